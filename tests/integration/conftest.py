"""Real `eva` processes on small data in eva's own layouts."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from forked import ForkServer, run_process
from PIL import Image

from clipit_eva.demo.cohort import Cohort, make_cohort
from clipit_eva.pairing.pairing_table import make_pairs, write_pairs
from clipit_eva.reports.corpus import read_corpus
from clipit_eva.tasks import configs, synthetic

CRC_CLASSES = ["ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM"]

QUICK = {
    **synthetic.SHARED,
    "N_RUNS": "1",
    "MAX_STEPS": "2",
    "VAL_CHECK_INTERVAL": "1",
    "BATCH_SIZE": "32",
}
"""A run of two steps, with the demo's models."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """An `eva` process that has ended."""

    status: int
    output: str
    folder: Path

    @property
    def error(self) -> str:
        """The one line of a user's mistake."""
        lines = [line for line in self.output.splitlines() if "clipit-eva: error:" in line]
        return lines[0] if len(lines) == 1 else ""

    def file(self, pattern: str) -> Path:
        """The only file of a pattern below OUTPUT_ROOT."""
        (path,) = self.folder.rglob(pattern)
        return path


RunEva = Callable[..., Finished]


@pytest.fixture(scope="session")
def run_eva(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> RunEva:
    """Runs `eva COMMAND --config CONFIG` in a folder of its own; not `forked`, from nothing."""

    def run(
        command: str,
        config: str | Path,
        environment: Mapping[str, str],
        *arguments: str,
        forked: bool = True,
    ) -> Finished:
        folder = tmp_path_factory.mktemp("eva")
        path = configs.path(config) if isinstance(config, str) else config
        line = ["eva", command, "--config", str(path), *arguments]
        variables = {**QUICK, **environment, "OUTPUT_ROOT": str(folder)}
        start = server.run if forked else run_process
        ended = start(line, folder, variables, seconds=600)
        return Finished(ended.status, ended.output, folder)

    return run


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """The demo's cohort: a BACH folder and unpaired reports."""
    return make_cohort(tmp_path_factory.mktemp("cohort"), seed=1)


@pytest.fixture(scope="session")
def bach(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of runs on the cohort."""
    folder = tmp_path_factory.mktemp("bach")
    return {
        "DATA_ROOT": str(cohort.bach),
        "REPORTS": str(cohort.reports),
        "PAIRING_TABLE": str(folder / "pairs.parquet"),
        "EMBEDDINGS_ROOT": str(folder / "embeddings"),
    }


@pytest.fixture(scope="session")
def paired_bach(bach: dict[str, str], run_eva: RunEva) -> dict[str, str]:
    """The same, once the pairing config has run."""
    finished = run_eva("predict", "pairing/bach", bach)
    assert finished.status == 0, finished.output
    return bach


@pytest.fixture(scope="session")
def crc(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """CRC at full length: each image of a class is a link to one small file."""
    folder = tmp_path_factory.mktemp("crc")
    lengths = {"NCT-CRC-HE-100K": 100_000, "CRC-VAL-HE-7K": 7_180}
    for part, length in lengths.items():
        for position, name in enumerate(CRC_CLASSES):
            images = folder / part / name
            images.mkdir(parents=True)
            first = images / f"{name}-000000.tif"
            Image.new("RGB", (16, 16), (25 * position, 100, 200)).save(first)
            for number in range(1, length // 9 + (position < length % 9)):
                os.link(first, images / f"{name}-{number:06d}.tif")
    names = {"train": lengths["NCT-CRC-HE-100K"], "val": lengths["CRC-VAL-HE-7K"]}
    return _with_pairs(folder, cohort, "crc.CRC", names)


@pytest.fixture(scope="session")
def patch_camelyon(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """PatchCamelyon at full length: black images that take no space on disk."""
    folder = tmp_path_factory.mktemp("patch_camelyon")
    lengths = {"train": 262_144, "val": 32_768, "test": 32_768}
    for split, length in lengths.items():
        stem = f"camelyonpatch_level_2_split_{'valid' if split == 'val' else split}"
        with h5py.File(folder / f"{stem}_x.h5", "w") as file:
            file.create_dataset("x", (length, 96, 96, 3), "u1", chunks=(1, 96, 96, 3))
        with h5py.File(folder / f"{stem}_y.h5", "w") as file:
            file["y"] = (np.arange(length) % 2).astype("u1").reshape(-1, 1, 1, 1)
    return _with_pairs(folder, cohort, "patch_camelyon.PatchCamelyon", lengths)


@pytest.fixture(scope="session")
def embedded_bach(paired_bach: dict[str, str], run_eva: RunEva) -> dict[str, str]:
    """BACH, once the pairing and the embeddings config have run."""
    finished = run_eva("predict", "embeddings/bach", paired_bach)
    assert finished.status == 0, finished.output
    return paired_bach


@pytest.fixture(scope="session")
def embedded_crc(crc: dict[str, str]) -> dict[str, str]:
    """CRC with random embeddings."""
    classes = np.arange(len(CRC_CLASSES))
    for split, length in {"train": 100_000, "val": 7_180}.items():
        counts = length // 9 + (classes < length % 9)
        _write_embeddings(crc, "crc.CRC", split, np.repeat(classes, counts))
    return crc


@pytest.fixture(scope="session")
def embedded_patch_camelyon(patch_camelyon: dict[str, str]) -> dict[str, str]:
    """PatchCamelyon with random embeddings."""
    for split, length in {"train": 262_144, "val": 32_768, "test": 32_768}.items():
        labels = np.arange(length, dtype=np.float32) % 2
        _write_embeddings(patch_camelyon, "patch_camelyon.PatchCamelyon", split, labels)
    return patch_camelyon


def _write_embeddings(
    environment: Mapping[str, str], dataset: str, split: str, targets: np.ndarray
) -> None:
    """Writes embeddings of a dataset whose images are too many to embed."""
    from eva.vision.data.transforms.common import ResizeAndCrop

    from clipit_eva.embeddings import EmbeddedBackbone, embedded_split
    from clipit_eva.embeddings.embedded_backbone import weights_digest
    from clipit_eva.embeddings.images import image_facts
    from clipit_eva.embeddings.row_store import RowStore
    from clipit_eva.eva import activation

    activation.register_backbones()
    half = (0.5, 0.5, 0.5)
    transform = ResizeAndCrop(size=synthetic.IMAGE_SIZE, mean=half, std=half)
    root = environment["DATA_ROOT"]
    images = _dataset_class(dataset)(root=root, split=split, transforms=transform)
    images.configure()
    backbone = EmbeddedBackbone(synthetic.NAME, None, environment["EMBEDDINGS_ROOT"])
    weights = weights_digest(backbone.load())
    backbone.keep_record(weights, synthetic.FEATURES)
    facts = {**image_facts(images, split, backbone.root), **backbone.identity, "weights": weights}
    rows = RowStore(backbone.root, embedded_split.KIND, facts, len(images), synthetic.FEATURES)
    generator = np.random.default_rng(0)
    with rows.lock():
        rows.start()
        rows.write(range(len(images)), generator.normal(size=(len(images), synthetic.FEATURES)))
        rows.finish()
    embedded_split.complete(rows, targets)


def _dataset_class(dataset: str) -> Callable[..., Any]:
    """Returns one of eva's classification datasets."""
    from importlib import import_module

    module, _, name = f"eva.vision.data.datasets.classification.{dataset}".rpartition(".")
    return getattr(import_module(module), name)


def _with_pairs(
    folder: Path, cohort: Cohort, dataset: str, lengths: Mapping[str, int]
) -> dict[str, str]:
    """Writes a pairing table (random pairs) for a dataset whose images are too many to embed."""
    dataset_class = _dataset_class(dataset)
    corpus = read_corpus(cohort.reports)
    generator = np.random.default_rng(0)
    pairs = []
    for split, length in lengths.items():
        images = dataset_class(root=str(folder), split=split)
        images.configure()
        names = [images.filename(index) for index in range(length)]
        reports = generator.integers(len(corpus), size=(length, 1))
        cosines = np.zeros((length, 1), dtype=np.float32)
        pairs.append(make_pairs(split, names, corpus.ids, reports, cosines))
    import pandas as pd

    class_path = f"eva.vision.data.datasets.classification.{dataset}"
    datasets = {split: {"class": class_path, "length": n} for split, n in lengths.items()}
    provenance = {
        "datasets": datasets,
        "reports": {"source": corpus.source, "sha256": corpus.sha256},
    }
    write_pairs(pd.concat(pairs), folder / "pairs.parquet", provenance)
    return {
        "DATA_ROOT": str(folder),
        "REPORTS": str(cohort.reports),
        "PAIRING_TABLE": str(folder / "pairs.parquet"),
        "EMBEDDINGS_ROOT": str(folder / "embeddings"),
    }
