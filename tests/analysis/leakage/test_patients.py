"""Slides and patients on both sides, and reports of test patients."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from eva.vision.data.datasets import vision

from clipit_eva.analysis.leakage.patients import (
    one_report_for_many,
    reports_of_test_patients,
    slides_on_both_sides,
)
from clipit_eva.analysis.leakage.split_images import SplitImages
from clipit_eva.analysis.reading.runs import read_run


@pytest.fixture
def make(write_run, tmp_path):
    """Writes a run on images of these names, or on PatchCamelyon, and reads it."""

    def run(filenames=None, **facts):
        targets = np.arange(len(filenames or range(4))) % 2
        path = write_run(
            "unimodal", targets, targets, classes=2, filenames=filenames, provenance=facts
        )
        return read_run(path)

    return run


def pairs(images: list[str], reports: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"filename": images, "report_id": reports, "rank": 0})


@pytest.mark.parametrize(
    ("names", "images", "reports", "found", "word"),
    [
        (["TCGA-AA-3675-01A.tif"], ["x"], ["TCGA-AA-3675.pdf"], "yes", "1 by report, 0 by image"),
        (["t/tcga-aa-3675-01A.tif"], ["TCGA-AA-3675_2.tif"], ["r"], "yes", "0 by report, 1 by im"),
        (["TCGA-AA-3675.tif"], ["x"], ["TCGA-AA-3676.uuid"], "no", "1 test patients"),
        (["ADI-TCGA-AAICEQFN.tif"], ["x"], ["TCGA-AA-3676"], "not known", "1 test images are of T"),
        (["ADI-TCGA-AAICEQFN.tif"], ["x"], ["report 7"], "not known", "no barcodes"),
        (["b001.tif"], ["x"], ["TCGA-AA-3676"], "not known", "no barcodes"),
    ],
)
def test_test_patients_in_training(make, names, images, reports, found, word) -> None:
    finding = reports_of_test_patients(make(names), pairs(images, reports))
    assert (finding.found, word in finding.detail) == (found, True), finding


def test_without_pairs_nothing_is_known(make) -> None:
    assert reports_of_test_patients(make(["TCGA-AA-3675.tif"]), None).found == "not known"
    assert one_report_for_many(None).found == "not known"


@pytest.mark.parametrize(("most", "found"), [(2, "no"), (3, "yes")])
def test_one_report_for_many(most: int, found: str) -> None:
    reports = ["hub"] * most + [f"r{n}" for n in range(10 - most)]
    table = pairs([f"{n}.tif" for n in range(10)], reports)
    # Further reports of an image do not count.
    table = pd.concat([table, table.assign(rank=1, report_id="second")])
    assert one_report_for_many(table).found == found


@pytest.mark.parametrize(
    ("train", "found"), [(["s1", "s2"], "no"), (["s1", "s8"], "yes"), (None, "not known")]
)
def test_slides(make, tmp_path: Path, train, found) -> None:
    slides = {"train": train, "test": ["s7", "s8"], "valid": ["s3"] if train else None}
    for split, names in slides.items():
        if names:
            file = tmp_path / f"camelyonpatch_level_2_split_{split}_meta.csv"
            pd.DataFrame({"wsi": names}).to_csv(file)
    splits = {"train": "train", "val": "val", "test": "test"}
    data = {
        role: {
            "class_path": "eva.vision.datasets.PatchCamelyon",
            "init_args": {"root": str(tmp_path), "split": split},
        }
        for role, split in splits.items()
    }
    run = make(
        config={"model": {"class_path": "eva.HeadModule"}, "data": {"datasets": data}},
        datasets=[{"class": "eva.vision.datasets.PatchCamelyon", "classes": ["no", "yes"]}],
    )
    assert slides_on_both_sides(run).found == found


@pytest.mark.parametrize(("groups", "found"), [("aabbccdd", "no"), ("aabbccda", "yes")])
def test_slides_that_the_dataset_knows(make, groups, found) -> None:
    class Known(vision.VisionDataset):
        def __len__(self) -> int:
            return len(groups)

        def group(self, index: int) -> str:
            return groups[index]

        filename = load_data = load_target = None  # type: ignore[assignment]

    images = {
        role: SplitImages(Known(), np.array(indices))
        for role, indices in {"train": [0, 1, 2, 3], "val": [2, 3], "test": [4, 5, 6, 7]}.items()
    }
    assert slides_on_both_sides(make(), images).found == found
    assert slides_on_both_sides(make()).found == "not known"
