"""Training: each call trains anew, into a folder of its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from clipit_eva import files
from clipit_eva.pairing.pairing_table import make_pairs, write_pairs
from clipit_eva.reports.corpus import read_corpus

SESSION = ("run", "checkpoint")
"""Keys of a provenance that tell one session from another: its folder's name, which is the time,
and a digest of what names it."""


@pytest.fixture(scope="module")
def stage(begin_stage, eva_words, data, server, tmp_path_factory):
    pairs, root = tmp_path_factory.mktemp("pairs") / "pairs.parquet", server.root
    _write_pairs(data, pairs)
    own = {
        "PAIRING_TABLE": str(pairs),
        "EMBEDDINGS_ROOT": str(root / "embeddings"),
        "OUTPUT_ROOT": str(root / "runs"),
    }
    return begin_stage("training", eva_words("fit", "clip_it/bach"), _tables, {**data, **own})


def _write_pairs(data: dict[str, str], path: Path) -> None:
    """Writes random pairs."""
    from eva.vision.data.datasets import BACH

    corpus, draw, parts, datasets = read_corpus(data["REPORTS"]), np.random.default_rng(0), [], {}
    for split in ("train", "val"):
        images = BACH(root=data["DATA_ROOT"], split=split)
        images.configure()
        names = [images.filename(index) for index in range(len(images))]
        rows = draw.integers(len(corpus), size=(len(images), 1))
        parts.append(make_pairs(split, names, corpus.ids, rows, np.zeros((len(images), 1), "f4")))
        path_of_class = "eva.vision.data.datasets.classification.bach.BACH"
        datasets[split] = {"class": path_of_class, "length": len(images)}
    reports = {"source": corpus.source, "sha256": corpus.sha256}
    write_pairs(pd.concat(parts), path, {"datasets": datasets, "reports": reports})


def _tables(root: Path) -> dict[str, Any]:
    """Returns rows and provenance of the tables; sessions that have the same have one."""
    found = {}
    for path in sorted(root.glob("runs/*/run_0/*.parquet")):
        if not path.name.startswith("."):
            table = pq.read_table(path)
            facts = json.loads(table.schema.metadata[files.PROVENANCE_KEY])
            kept = {key: value for key, value in facts.items() if key not in SESSION}
            content = (table.to_pylist(), kept)
            assert found.setdefault(path.name, content) == content
    return found


@pytest.mark.slow
@pytest.mark.faults(kill=18, cut=14)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
