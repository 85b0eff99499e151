"""A small dataset in eva's sense, six reports, and a pairing table of both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from eva.vision.data.datasets import vision

from clipit_eva import provenance
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.pairing import pairing_table


class Slides(vision.VisionDataset):
    """Any eva vision dataset: empty until it is configured, with a transform and metadata."""

    def __init__(self, count: int = 20, transforms: Callable | None = None) -> None:
        super().__init__(transforms)
        self._count = count
        self._numbers: list[int] = []
        self.calls: list[str] = []

    @property
    def classes(self) -> list[str]:
        return ["benign", "malignant", "normal"]

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.classes)}

    def prepare_data(self) -> None:
        self.calls.append("prepare")

    def configure(self) -> None:
        self.calls.append("configure")
        self._numbers = list(range(self._count))

    def validate(self) -> None:
        self.calls.append("validate")

    def teardown(self) -> None:
        self.calls.append("teardown")

    def __len__(self) -> int:
        return len(self._numbers)

    def filename(self, index: int) -> str:
        return f"slide_{self._numbers[index]}.tif"

    def load_data(self, index: int) -> torch.Tensor:
        return torch.full((3, 2, 2), float(self._numbers[index]))

    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(self._numbers[index] % 3 if index < 18 else 0)

    def load_metadata(self, index: int) -> dict[str, Any]:
        return {"site": f"site {index % 2}"}


@pytest.fixture
def slides() -> Callable[..., Slides]:
    """Returns the class of the dataset."""
    return Slides


@pytest.fixture
def source(tmp_path: Path) -> ReportSource:
    """Six reports; no CLIP model is loaded."""
    path = tmp_path / "reports.csv"
    path.write_text("report_id,text\n" + "".join(f"r{n},text of report {n}\n" for n in range(6)))
    return ReportSource(str(path), clip_model="none", cache_dir=str(tmp_path))


NEIGHBOURS = np.stack([np.roll(np.arange(6), n)[:3] for n in range(20)])
SIMILARITIES = np.tile(np.float32([0.5, 0.3, 0.1]), (20, 1)) + np.arange(20)[:, None] / 1000


@pytest.fixture
def neighbours() -> np.ndarray:
    """The report rows of the table, best first."""
    return NEIGHBOURS


@pytest.fixture
def similarities() -> np.ndarray:
    """Their similarities."""
    return SIMILARITIES.astype(np.float32)


@pytest.fixture
def write_pairs(source: ReportSource, tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes a pairing table of 20 slides, with what is given changed."""

    def write(
        change: Callable[..., Any] = lambda pairs: pairs,
        dataset: str = provenance.class_path(Slides()),
        length: int = 20,
        split: str = "train",
        **facts: str | None,
    ) -> Path:
        corpus = source.corpus()
        names = [f"slide_{number}.tif" for number in range(20)]
        pairs = pairing_table.make_pairs(
            "train", names, corpus.ids, NEIGHBOURS, SIMILARITIES.astype(np.float32)
        )
        path = tmp_path / "pairs.parquet"
        pairing_table.write_pairs(
            change(pairs),
            path,
            {
                "datasets": {split: {"class": dataset, "length": length, **facts}},
                "reports": {"sha256": corpus.sha256, "source": corpus.source},
            },
        )
        return path

    return write
