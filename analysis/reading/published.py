"""Every accuracy that the paper and its authors' repository print, each with its source.

Published numbers are other people's measurements: tables show them beside one's own under their
source and never mix the two. The metric is balanced accuracy (macro recall) in percent.
"""

import itertools
from dataclasses import dataclass

V1_TABLE = "arXiv 2504.16181v1, Table 1"
V1_ABLATION = "arXiv 2504.16181v1, section 4(c)"
REPOSITORY = "ModalityPairing repository, README (2025)"
SHORT_SOURCES = {V1_TABLE: "v1", V1_ABLATION: "v1", REPOSITORY: "repository"}
"""Sources as they fit into a comparison of a table."""

BACKBONES = {
    "pathology/mahmood_uni": "UNI",
    "pathology/kaiko_vitl14": "DINO ViT-L/14",
    "pathology/kaiko_vitb16": "ViT-B/16",
    "pathology/kaiko_vits16": "ViT-S/16",
    "pathology/kaiko_vitb8": "ViT-B/8",
    "pathology/kaiko_vits8": "ViT-S/8",
}
"""The paper's name of a backbone, by eva's, in the order of the paper's Table 1."""

DATASETS = {"PatchCamelyon": "PCAM", "BACH": "BACH", "CRC": "CRC"}
"""The paper's name of a dataset, by eva's class, in the order of the paper's Table 1."""

CLAIMED_MEAN_GAINS = {"PCAM": 2.87, "BACH": 1.37, "CRC": 0.65}
"""Mean gains over backbones that the paper's text claims, in points."""

CLAIM_NOTE = (
    "the paper's text claims mean gains of 2.87 (PCAM), 1.37 (BACH) and 0.65 (CRC) points; its own "
    "Table 1 averages to 2.87, 1.37 and 0.79"
)

_V1 = {
    "UNI": (94.24, 95.49, 78.89, 81.79, 94.66, 95.92),
    "DINO ViT-L/14": (88.88, 92.32, 84.26, 86.11, 94.40, 95.91),
    "ViT-B/16": (88.13, 91.42, 80.78, 82.94, 95.86, 95.67),
    "ViT-S/16": (88.43, 90.93, 82.90, 84.64, 93.77, 95.34),
    "ViT-B/8": (87.54, 91.92, 86.90, 84.91, 95.71, 95.66),
    "ViT-S/8": (87.90, 90.24, 81.01, 82.55, 94.90, 95.55),
}
"""PCAM, BACH, CRC; of each unimodal and CLIP-IT."""

_REPOSITORY = {
    "UNI": (94.2, 95.5, 78.9, 81.8, 94.7, 95.9),
    "DINO ViT-L/14": (88.9, 92.3, 84.3, 86.1, 94.4, 95.9),
    "ViT-B/16": (88.1, 91.4, 80.8, 82.9, 95.9, 95.7),
    "ViT-S/16": (88.4, 90.9, 82.9, 84.6, 93.8, 95.3),
    "ViT-B/8": (87.5, 91.9, 86.9, 87.1, 95.7, 95.7),
    "ViT-S/8": (87.9, 90.2, 81.0, 82.6, 95.0, 94.8),
}
_REPOSITORY_SD = {
    "UNI": (0.08, 0.15, 0.90, 1.14, 0.21, 0.03),
    "DINO ViT-L/14": (0.43, 0.48, 1.33, 1.85, 0.20, 0.03),
    "ViT-B/16": (0.63, 0.74, 1.24, 2.61, 0.12, 0.09),
    "ViT-S/16": (0.15, 0.64, 3.21, 3.85, 0.15, 0.10),
    "ViT-B/8": (0.41, 0.50, 1.34, 0.81, 0.05, 0.26),
    "ViT-S/8": (0.35, 0.52, 1.76, 0.91, 0.06, 0.30),
}
"""The same order; accuracy and its standard deviation over three runs."""

_ABLATIONS = {
    "clip_it": ("CLIP-IT", 95.49),
    "no_lora": ("no LoRA (frozen backbones)", 93.86),
    "no_text": ("no text (same layers)", 94.31),
    "word_dropout_30": ("30% of report words removed in training", 95.39),
}
"""UNI on PCAM, by the name of the arm (`reading.arms`): in words, and its accuracy."""


@dataclass(frozen=True)
class Published:
    """One printed balanced accuracy, with its SD over runs and their number where printed.

    `table` is `table1` or `ablation`, `source` where it is printed; dataset and backbone have the
    paper's names, `arm` the one of `reading.arms`, and `method` says that in words.
    """

    table: str
    source: str
    dataset: str
    backbone: str
    arm: str
    method: str
    accuracy_percent: float
    sd_percent: float | None
    runs: int | None


def published() -> tuple[Published, ...]:
    """Returns every published accuracy: Table 1 of both sources, then the ablations."""
    rows = []
    methods = (("unimodal", "unimodal"), ("clip_it", "CLIP-IT"))
    columns = list(itertools.product(DATASETS.values(), methods))
    tables = ((V1_TABLE, _V1, {}), (REPOSITORY, _REPOSITORY, _REPOSITORY_SD))
    for source, table, deviations in tables:
        for backbone, values in table.items():
            sds = deviations.get(backbone, [None] * len(columns))
            for (dataset, (arm, method)), value, sd in zip(columns, values, sds, strict=True):
                row = ("table1", source, dataset, backbone, arm, method, value, sd, 3)
                rows.append(Published(*row))
    for arm, (method, value) in _ABLATIONS.items():
        row = ("ablation", V1_ABLATION, "PCAM", "UNI", arm, method, value, None, None)
        rows.append(Published(*row))
    return tuple(rows)


def lookup(table: str, dataset: str, backbone: str, arm: str) -> tuple[Published, ...]:
    """Returns what is published of one arm, one entry a source; often none. See `Published`."""
    wanted = (table, dataset, backbone, arm)
    return tuple(
        row for row in published() if (row.table, row.dataset, row.backbone, row.arm) == wanted
    )


def mean_gain(dataset: str, source: str) -> float:
    """Returns the mean gain over the six backbones that a source's Table 1 gives, in points."""
    rows = [r for r in published() if (r.table, r.source, r.dataset) == ("table1", source, dataset)]
    unimodal, clip_it = (
        sum(row.accuracy_percent for row in rows if row.arm == arm)
        for arm in ("unimodal", "clip_it")
    )
    return (clip_it - unimodal) / (len(rows) / 2)


def dataset_name(eva_class: str) -> str:
    """Returns the paper's name of an eva dataset class, or the class's own name."""
    return DATASETS.get(eva_class, eva_class)


def backbone_name(eva_name: str | None) -> str:
    """Returns the paper's name of a backbone, or eva's."""
    return "none" if eva_name is None else BACKBONES.get(eva_name, eva_name)
