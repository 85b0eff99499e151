"""The demo's steps: which shipped config runs with which environment, after which step."""

import dataclasses
from pathlib import Path

from clipit_eva.demo import settings
from clipit_eva.demo.cohort import Cohort


@dataclasses.dataclass(frozen=True)
class Step:
    """One `eva` process."""

    name: str
    """What is shown, such as `clip_it, seed 1`."""

    command: str
    """`fit` or `predict`."""

    config: str
    """Name of a shipped config, see `clipit_eva.tasks.configs`."""

    folder: Path
    """Its OUTPUT_ROOT; the log lies in it too."""

    product: str
    """Pattern, below `folder`, of the file that the process writes last."""

    environment: dict[str, str]
    """Variables of the config."""

    after: str | None = None
    """Name of the step that must be done before, if not only the pairing."""

    @property
    def done(self) -> bool:
        """Whether an earlier call has finished the step."""
        return any(self.folder.glob(self.product))


def pairing_step(output: Path, cohort: Cohort) -> Step:
    """Returns the step that pairs the cohort's images with its reports."""
    folder = output / "pairing"
    environment = {**_shared(output, cohort), "PAIRING_TABLE": str(folder / "clip.parquet")}
    return Step("pairing", "predict", "pairing/bach", folder, "clip.parquet", environment)


def training_steps(output: Path, cohort: Cohort, seeds: list[int]) -> list[Step]:
    """Returns the steps that train and test the three methods for each seed."""
    steps = []
    for seed in seeds:
        unimodal = _training(output, cohort, "unimodal", seed, settings.UNIMODAL)
        head = {"VISION_HEAD_CHECKPOINT": str(unimodal.folder)}
        clip_it = _training(output, cohort, "clip_it", seed, {**settings.CLIP_IT, **head})
        text = _training(output, cohort, "text_only", seed, settings.TEXT_ONLY)
        steps += [unimodal, text, dataclasses.replace(clip_it, after=unimodal.name)]
    return steps


def _training(output: Path, cohort: Cohort, method: str, seed: int, own: dict[str, str]) -> Step:
    """Returns one training step."""
    environment = {**_shared(output, cohort), **own, "EVA_GLOBAL_SEED": str(seed), "N_RUNS": "1"}
    folder = output / "runs" / method / f"seed_{seed}"
    # eva writes this after the last run's test.
    return Step(
        f"{method}, seed {seed}", "fit", f"{method}/bach", folder, "*/results.json", environment
    )


def _shared(output: Path, cohort: Cohort) -> dict[str, str]:
    """Returns the variables that all steps share."""
    return {
        **settings.SHARED,
        "DATA_ROOT": str(cohort.bach),
        "REPORTS": str(cohort.reports),
        "PAIRING_TABLE": str(output / "pairing" / "bach.parquet"),
        "EMBEDDINGS_ROOT": str(output / "embeddings"),
    }
