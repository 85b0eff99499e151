"""A search with real `eva` processes on the synthetic cohort."""

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from eva.vision.data.datasets import BACH

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.plan.plan_file import Plan
from clipit_eva.analysis.grid.search.search_results import SearchResult
from clipit_eva.analysis.grid.search.search_run import run_search
from clipit_eva.analysis.grid.search.search_settings import (
    Choices,
    Interval,
    SearchSettings,
)
from clipit_eva.demo.cohort import make_cohort
from clipit_eva.tasks import configs, synthetic

pytestmark = [pytest.mark.slow, pytest.mark.long]

METRIC = "val/AverageLoss"
"""Told apart after two steps already, unlike the accuracy."""


def _plan(data: Path, reports: Path) -> Plan:
    return Plan(
        seeds=(1,),
        tasks={"bach": {"DATA_ROOT": str(data), "REPORTS": str(reports)}},
        backbones={"demo": {}},
        methods={"clip_it": {"LORA_TEXT": True}},  # for the layers of kind Embedding
        environment={
            **synthetic.SHARED,
            "MAX_STEPS": 2,
            "VAL_CHECK_INTERVAL": 1,
            "BATCH_SIZE": 32,
        },
        search=SearchSettings(
            space={
                "LORA_RANK": Interval(4, 64, log=True),
                "LORA_TARGETS": Choices(("[Linear]", "[Conv2d, Embedding]")),
            },
            trials=2,
            metric=METRIC,
            direction="minimize",
        ),
    )


@dataclasses.dataclass(frozen=True)
class Searched:
    """A search that has ended, and its folder."""

    result: SearchResult
    output: Path

    def results(self, kind: str) -> Iterator[dict[str, float]]:
        """Yields metrics (`val` or `test`) of all runs of CLIP-IT, in order of their validation."""
        found = [
            json.loads(path.read_text())["metrics"]
            for path in self.output.glob("jobs/clip_it-*/work/*/results.json")
        ]
        for metrics in sorted(found, key=lambda metrics: metrics["val"][0][METRIC]["mean"]):
            yield {name: value["mean"] for name, value in metrics[kind][0].items()}


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> tuple[Searched, Searched]:
    """The same search twice: on the cohort, and with wrong images under the test split's labels."""
    folder = tmp_path_factory.mktemp("search")
    cohort = make_cohort(folder / "cohort", seed=1)
    shutil.copytree(cohort.bach, folder / "wrong")
    test = BACH(str(folder / "wrong"), split="val")
    test.configure()
    names = [_find(folder / "wrong", test.filename(index)) for index in range(len(test))]
    images = [name.read_bytes() for name in names]
    shift = len(names) // 4  # names are in order of their classes
    for name, image in zip(names, images[shift:] + images[:shift], strict=True):
        name.write_bytes(image)
    found = []
    for name, data in (("right", cohort.bach), ("wrong", folder / "wrong")):
        output = folder / f"out_{name}"
        found.append(Searched(run_search(_plan(data, cohort.reports), output, parallel=2), output))
    return found[0], found[1]


def _find(root: Path, name: str) -> Path:
    (path,) = root.rglob(Path(name).name)
    return path


def test_test_labels_do_not_change_what_is_chosen(searches: tuple[Searched, Searched]) -> None:
    right, wrong = searches
    assert list(right.results("val")) == list(wrong.results("val"))
    assert list(right.results("test")) != list(wrong.results("test"))
    assert right.result.trials == wrong.result.trials
    assert right.result.best == wrong.result.best
    assert right.result.reference == wrong.result.reference
    assert right.result.trials[0].value != right.result.trials[1].value


def test_trials_are_jobs_like_any_other(searches: tuple[Searched, Searched]) -> None:
    output = searches[0].output
    kinds = [path.name.rpartition("-")[0] for path in output.glob("jobs/*")]
    assert kinds.count("pairing") == 1
    assert kinds.count("unimodal") == 1
    assert kinds.count("clip_it") == 3  # the plan's own and two trials
    for path in output.glob("jobs/clip_it-*"):
        record = store.read_record(path)
        assert record is not None
        assert record.status == 0
        assert {Path(name).name for name in record.facts["outputs"]} == {
            "results.json", "predictions.parquet",
        }  # fmt: skip


def test_eva_takes_the_best_config_as_it_is(searches: tuple[Searched, Searched]) -> None:
    result = searches[0].result
    command = [configs.command("fit", "clip_it/bach")[0], "fit", "--config"]
    environment = {**configs.clean_environment(), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, str(result.folder / "best.yaml")],
        env={**environment, "EVA_GLOBAL_SEED": "1", "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    (path,) = (result.folder / "best").glob("*/results.json")
    metrics = json.loads(path.read_text())["metrics"]["val"][0]
    assert metrics[METRIC]["mean"] == result.best.value
