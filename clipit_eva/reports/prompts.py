"""Texts that name a task's classes: a corpus of prompts to pair images with, instead of reports.

The classes' names are those of the datasets' publications; the templates follow common practice of
zero-shot classification with CLIP (Radford et al. 2021, section 3.1.4).
"""

import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus

PREFIX = "prompts:"
"""`REPORTS=prompts:bach` means the prompts of that task."""

TEMPLATES = (
    "{}.",
    "an H&E stained image of {}.",
    "histopathology image showing {}.",
    "microscopic examination shows {}.",
)
"""What is said of each name of a class."""

CLASSES = {
    "bach": {
        "Normal": ("normal breast tissue", "unremarkable breast parenchyma"),
        "Benign": ("benign breast lesion", "benign breast tissue without malignancy"),
        "InSitu": ("breast carcinoma in situ", "ductal carcinoma in situ"),
        "Invasive": ("invasive breast carcinoma", "infiltrating ductal carcinoma"),
    },
    "crc": {
        "ADI": ("adipose tissue", "fat"),
        "BACK": ("background", "empty glass without tissue"),
        "DEB": ("debris", "necrotic debris"),
        "LYM": ("lymphocytes", "lymphoid aggregate"),
        "MUC": ("mucus", "extracellular mucin"),
        "MUS": ("smooth muscle", "muscularis propria"),
        "NORM": ("normal colon mucosa", "benign colonic glands"),
        "STR": ("cancer-associated stroma", "desmoplastic stroma"),
        "TUM": ("colorectal adenocarcinoma epithelium", "adenocarcinoma of the colon"),
    },
    "patch_camelyon": {
        "no_tumor": ("lymph node without tumor", "benign lymphoid tissue"),
        "tumor": ("lymph node metastasis of breast cancer", "metastatic carcinoma in lymph node"),
    },
}
"""Task -> class -> its names in words."""


def read_prompts(source: str) -> ReportCorpus:
    """Returns a task's prompts as a corpus.

    Args:
        source: `PREFIX` and a key of `CLASSES`.

    Returns:
        One prompt per class, name and template, with columns `report_id`, `text` and `class`.

    Raises:
        InputError: The task is unknown.
    """
    task = source.removeprefix(PREFIX)
    if task not in CLASSES:
        raise InputError(f"REPORTS={source}: no such prompts; there are {', '.join(CLASSES)}")
    rows = [
        (f"{label}-{number}", template.format(name), label)
        for label, names in CLASSES[task].items()
        for number, (name, template) in enumerate(
            ((name, template) for name in names for template in TEMPLATES), start=1
        )
    ]
    return ReportCorpus.from_table(
        pd.DataFrame(rows, columns=["report_id", "text", "class"]), source
    )
