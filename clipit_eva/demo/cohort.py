"""Writes the demo's cohort: images as a BACH folder, unpaired reports, and the truth apart.

Run: python -m clipit_eva.demo.cohort FOLDER SEED
"""

import dataclasses
from pathlib import Path

import jsonargparse
import numpy as np
import pandas as pd
from PIL import Image

from clipit_eva.demo.report_wording import write_report
from clipit_eva.demo.tissue import KINDS, draw, sample_tissue
from clipit_eva.files import atomic_path, write_table

IMAGES_PER_CLASS = 100
"""As in BACH; eva's dataset class demands it."""

N_REPORTS = 400
"""Number of reports, as many of each class."""

_STREAM = 1
"""Keeps the random numbers of cohorts apart from those of `train_clip`, whatever the seeds."""

_PREFIXES = {"Benign": "b", "InSitu": "is", "Invasive": "iv", "Normal": "n"}


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Where the parts of a cohort lie.

    Attributes:
        bach: The root to give to `eva.vision.datasets.BACH`.
        reports: Parquet: `report_id` and `text`, in random order.
        truth: CSV: `report_id`, `patient_id` and the class that the report describes. Never an
            input of the method: it is read to print how good the pairing was.
        seed: What fixed it.
    """

    bach: Path
    reports: Path
    truth: Path
    seed: int


def make_cohort(folder: Path, seed: int) -> Cohort:
    """Writes 400 images (100 a class) and 400 reports that describe other tissue.

    Files of the same name are replaced. The seed fixes every byte that is written; none gives
    anything that `train_clip` has seen.
    """
    images, texts = np.random.default_rng((_STREAM, seed)).spawn(2)
    cohort = Cohort(folder / "bach", folder / "reports.parquet", folder / "truth.csv", seed)
    _write_images(cohort.bach / "ICIAR2018_BACH_Challenge" / "Photos", images)
    reports = _reports(texts)
    made = {"made_by": "clipit_eva.demo.cohort", "seed": seed}
    write_table(reports[["report_id", "text"]], cohort.reports, provenance=made)
    with atomic_path(cohort.truth) as temporary:
        reports.drop(columns="text").to_csv(temporary, index=False)
    return cohort


def _write_images(photos: Path, rng: np.random.Generator) -> None:
    """Writes the images, named as in BACH."""
    for kind in KINDS:
        for number in range(1, IMAGES_PER_CLASS + 1):
            image = draw(sample_tissue(kind, rng), rng)
            with atomic_path(photos / kind / f"{_PREFIXES[kind]}{number:03d}.tif") as temporary:
                Image.fromarray(image).save(temporary, format="TIFF")


def _reports(rng: np.random.Generator) -> pd.DataFrame:
    """Returns the reports with their truth, in an order and with names that tell nothing."""
    kinds = rng.permutation(np.repeat(KINDS, N_REPORTS // len(KINDS)))
    patients = rng.permutation(np.arange(1000, 10000))[:N_REPORTS]
    return pd.DataFrame(
        {
            "report_id": [f"R{number:04d}" for number in range(1, N_REPORTS + 1)],
            "patient_id": [f"P-{patient}" for patient in patients],
            "described_class": kinds,
            "text": [write_report(sample_tissue(str(kind), rng), rng) for kind in kinds],
        }
    )


if __name__ == "__main__":
    jsonargparse.CLI(make_cohort, description=__doc__)
