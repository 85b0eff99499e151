"""A finished run on disk: what it was made with, and the checkpoint that it was tested with."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipit_eva import files
from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.predictions import predictions_table


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A finished run: its predictions table's folder, checkpoint and provenance.

    The provenance holds the configuration as run.
    """

    folder: Path
    checkpoint: Path
    provenance: dict[str, Any]

    @functools.cached_property
    def config(self) -> RecordedConfig:
        """The configuration as run, with images where the run read their embeddings from disk."""
        return RecordedConfig(self.provenance["config"]).of_images()

    @property
    def datasets(self) -> Mapping[str, Any]:
        """Class and arguments of each dataset of images by stage; None where there is none."""
        return self.config.part("data.datasets").arguments

    @property
    def transforms(self) -> RecordedConfig:
        """What happens to an image before the model sees it in a test, or in validation."""
        dataset = self.datasets.get("test") or self.datasets.get("val")
        return RecordedConfig(dataset).innermost.part("transforms")

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the model's order."""
        return self.provenance["datasets"][0]["classes"]


def find_run(path: Path) -> FinishedRun:
    """Returns the only run in a folder: its own, or one above it.

    Raises:
        InputError: There is no run, or several, or its checkpoint or configuration is missing.
    """
    if not path.is_dir():
        raise InputError(f"RUN={path} is no folder; give the folder of a finished run")
    # A table without checkpoints beside it is of `eva predict`: it made no model.
    tables = sorted(path.rglob(predictions_table.FILENAME))
    tables = [file for file in tables if any(file.parent.rglob("*.ckpt"))]
    if not tables:
        raise InputError(
            f"RUN={path} is no finished run: it holds no {predictions_table.FILENAME} with a "
            "checkpoint below the same folder; give a folder such as logs/clip_it/SESSION/run_0"
        )
    if len(tables) > 1:
        names = ", ".join(str(file.parent.relative_to(path)) for file in tables)
        raise InputError(f"RUN={path} holds {len(tables)} runs; give the folder of one: {names}")
    folder = tables[0].parent
    _, provenance = predictions_table.read_predictions(tables[0])
    if "model" not in provenance.get("config", {}):
        raise InputError(
            f"{tables[0]} does not tell the run's configuration; train it with `eva fit`"
        )
    for checkpoint in sorted(folder.rglob("*.ckpt")):
        if files.sha256_file(checkpoint) == provenance.get("checkpoint"):
            return FinishedRun(folder, checkpoint, provenance)
    raise InputError(
        f"RUN={folder} has no checkpoint that its predictions were made with; restore "
        "best.ckpt, or train the run again"
    )
