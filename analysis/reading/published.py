"""Every accuracy that the paper and its authors' repository print, each with its source.

Published numbers are other people's measurements: tables show them beside one's own under their
source and never mix the two. The metric is balanced accuracy (macro recall) in percent.
"""

from dataclasses import dataclass

import pandas as pd

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
    "UNI": ((94.2, 0.08), (95.5, 0.15), (78.9, 0.90), (81.8, 1.14), (94.7, 0.21), (95.9, 0.03)),
    "DINO ViT-L/14": (
        (88.9, 0.43), (92.3, 0.48), (84.3, 1.33), (86.1, 1.85), (94.4, 0.20), (95.9, 0.03),
    ),
    "ViT-B/16": (
        (88.1, 0.63), (91.4, 0.74), (80.8, 1.24), (82.9, 2.61), (95.9, 0.12), (95.7, 0.09),
    ),
    "ViT-S/16": (
        (88.4, 0.15), (90.9, 0.64), (82.9, 3.21), (84.6, 3.85), (93.8, 0.15), (95.3, 0.10),
    ),
    "ViT-B/8": (
        (87.5, 0.41), (91.9, 0.50), (86.9, 1.34), (87.1, 0.81), (95.7, 0.05), (95.7, 0.26),
    ),
    "ViT-S/8": (
        (87.9, 0.35), (90.2, 0.52), (81.0, 1.76), (82.6, 0.91), (95.0, 0.06), (94.8, 0.30),
    ),
}  # fmt: skip
"""The same order; accuracy and its standard deviation over three runs."""

_ABLATIONS = {
    "clip_it": ("CLIP-IT", 95.49),
    "no_lora": ("no LoRA (frozen backbones)", 93.86),
    "no_text": ("no text (same layers)", 94.31),
    "word_dropout_30": ("30% of report words removed in training", 95.39),
}
"""UNI on PCAM, by the name of the arm (`analysis.arms`): in words, and its accuracy."""


@dataclass(frozen=True)
class Published:
    """One printed accuracy.

    Attributes:
        table: `table1` or `ablation`.
        source: Where it is printed.
        dataset: The paper's name of the dataset.
        backbone: The paper's name of the backbone.
        arm: Name of the arm, see `analysis.arms`.
        method: The method in words.
        accuracy_percent: Balanced accuracy in percent.
        sd_percent: Standard deviation over runs, in points, if printed.
        runs: Number of runs, if printed.
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
    for source, table in ((V1_TABLE, _V1), (REPOSITORY, _REPOSITORY)):
        for backbone, values in table.items():
            for place, value in enumerate(values):
                accuracy, sd = value if isinstance(value, tuple) else (value, None)
                dataset = tuple(CLAIMED_MEAN_GAINS)[place // 2]
                arm, method = (("unimodal", "unimodal"), ("clip_it", "CLIP-IT"))[place % 2]
                rows.append(
                    Published("table1", source, dataset, backbone, arm, method, accuracy, sd, 3)
                )
    for arm, (method, accuracy) in _ABLATIONS.items():
        rows.append(
            Published("ablation", V1_ABLATION, "PCAM", "UNI", arm, method, accuracy, None, None)
        )
    return tuple(rows)


def published_frame() -> pd.DataFrame:
    """Returns every published accuracy as a DataFrame, one row each."""
    return pd.DataFrame(published())


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
