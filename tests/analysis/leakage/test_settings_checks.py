"""Leakage that settings tell."""

import numpy as np
import pandas as pd
import pytest

from clipit_eva.analysis.leakage import settings_checks
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.models import alignment_table

TARGETS = np.arange(8) % 4


def bach(split: str, part: str | None = None, seed: int = 42) -> dict:
    inner = {"class_path": "eva.vision.datasets.BACH", "init_args": {"root": "x", "split": split}}
    if part is None:
        return inner
    held = {"part": part, "seed": seed, "dataset": inner}
    return {"class_path": "clipit_eva.data.HoldOut", "init_args": held}


HELD = {"train": bach("train", "train"), "val": bach("train", "hold_out"), "test": bach("val")}


@pytest.fixture
def study(write_run, tmp_path):
    """Writes a unimodal and a CLIP-IT run with these data, and gathers them."""

    def write(first: dict, second: dict, backbone: dict | None = None):
        for method, datasets in (("unimodal", first), ("clip_it", second)):
            made = backbone if method == "clip_it" and backbone else {"model_name": "vit"}
            model = {"backbone": {"class_path": "eva.Backbone", "init_args": made}}
            config = {
                "model": {
                    "class_path": "CLIPITModule" if method == "clip_it" else "eva.HeadModule",
                    "init_args": model,
                },
                "data": {"class_path": "eva.DataModule", "init_args": {"datasets": datasets}},
            }
            write_run(method, TARGETS, TARGETS, provenance={"config": config})
        return gather(read_runs(tmp_path / "runs"))

    return write


def runs_of(comparisons):
    return [run for one in comparisons for group in one.runs.values() for run in group]


def test_the_shipped_protocol_leaks_nothing(study) -> None:
    comparisons = study(HELD, HELD)
    assert settings_checks.selection_on_test(runs_of(comparisons)).found == "no"
    assert settings_checks.different_data(comparisons).found == "no"
    assert settings_checks.different_weights(comparisons).found == "no"


def test_selection_on_test(study) -> None:
    stock = {"train": bach("train"), "val": bach("val"), "test": bach("val")}
    finding = settings_checks.selection_on_test(runs_of(study(HELD, stock)))
    assert finding.found == "yes"
    assert finding.detail.startswith("1 of 2 runs")


def test_other_hold_out(study) -> None:
    other = {**HELD, "val": bach("train", "hold_out", seed=7)}
    finding = settings_checks.different_data(study(HELD, other))
    assert (finding.found, "val of" in finding.detail) == ("yes", True)


def test_embeddings_of_the_same_images_are_the_same_data(study) -> None:
    embedded = {
        role: {"class_path": "clipit_eva.data.EmbeddedDataset", "init_args": {"dataset": value}}
        for role, value in HELD.items()
    }
    assert settings_checks.different_data(study(HELD, embedded)).found == "no"


def test_other_weights(study) -> None:
    started = {"model_name": "vit", "model_extra_kwargs": {"checkpoint_path": "other.pth"}}
    assert settings_checks.different_weights(study(HELD, HELD, started)).found == "yes"


def test_arguments_that_are_not_set_are_no_other_weights(study) -> None:
    unset = {"model_name": "vit", "model_kwargs": None, "transforms": None}  # as eva records images
    assert settings_checks.different_weights(study(HELD, HELD, unset)).found == "no"


def test_runs_that_record_no_data_are_not_called_clean(study) -> None:
    comparisons = study({}, {})
    assert settings_checks.selection_on_test(runs_of(comparisons)).found == "not known"
    assert settings_checks.different_data(comparisons).found == "not known"


@pytest.mark.parametrize(("cosine", "found"), [(0.6, "no"), (0.995, "yes"), (None, "not known")])
def test_texts_alike(study, cosine, found) -> None:
    comparisons = study(HELD, HELD)
    folder = next(r for r in runs_of(comparisons) if r.method == "clip_it").path.parent
    facts = {"kind": alignment_table.KIND}
    if cosine is not None:
        facts |= {"text_cosine_before": 0.5, "text_cosine_after": cosine}
    rows = {name: [0] for name in alignment_table.SCHEMA.names} | {"filename": ["x"]}
    alignment_table.write_alignment(pd.DataFrame(rows), folder / alignment_table.FILENAME, facts)
    assert settings_checks.texts_alike(comparisons).found == found
