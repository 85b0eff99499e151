"""Diagnostics of pairing tables as files: numbers, figures, and a page of images if asked for."""

import functools
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.files import atomic_path
from clipit_eva.pairing.pairing_table import read_pairs

from . import diagnostics, pairing_figures

_OWN = ("clipit_eva.data.labelled_images", "LabelledImages")

LABELLED = "train"
"""The only split whose labels are read, for purity."""


def inspect_tables(
    paths: Sequence[Path],
    output: Path | None = None,
    images: Path | None = None,
    reports: str | None = None,
    column: str = "text",
    gallery: bool = False,
) -> pd.DataFrame:
    """Describes pairing tables, and writes files if there is a folder for them.

    Args:
        paths: The tables; several are compared.
        output: Folder for `diagnostics.csv`, `agreement.csv`, `purity.csv` and figures.
        images: DATA_ROOT of the images: train labels are read for purity.
        reports: The reports, for the gallery.
        column: Their text column.
        gallery: Whether to write `gallery.html` for the first table.

    Returns:
        One row a table and split, see `diagnostics.summarize`.

    Raises:
        InputError: A file is not a pairing table, or what the gallery needs is not given.
    """
    if gallery and not (output and images and reports):
        raise InputError("--gallery needs --output, --images and --reports; give them")
    read = [read_pairs(path) for path in paths]
    texts = _texts(reports, column, read[0][0]) if gallery and reports else {}
    tables = dict(zip(_names(paths, [made for _, made in read]), read, strict=True))
    rows, purity = [], []
    for name, (pairs, made) in tables.items():
        for split, part in pairs.groupby("split", sort=False):
            labels = None
            if images is not None and split == LABELLED:
                labels = _labels(made, str(split), images, part)
                best = part.loc[part["rank"] == 0]
                purity.append(diagnostics.purity_of_reports(best, labels).assign(table=name))
            numbers = diagnostics.summarize(part, _report_count(made, part), labels)
            rows.append({"table": name, "split": split, **numbers})
    summary = pd.DataFrame(rows)
    if output is not None:
        _write(output, summary, {name: pairs for name, (pairs, _) in tables.items()}, purity)
    if gallery and output and images:
        _gallery(*read[0], output, images, texts)
    return summary


def _write(
    output: Path,
    summary: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    purity: Sequence[pd.DataFrame],
) -> None:
    """Writes tables and figures."""
    from matplotlib.figure import Figure

    agreement = diagnostics.agreements(tables)
    files = {"diagnostics": summary, "agreement": agreement.rename_axis("table").reset_index()}
    if purity:
        files["purity"] = pd.concat(purity, ignore_index=True)
    for name, frame in files.items():
        with atomic_path(output / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    counts = {name: diagnostics.occurrences(pairs) for name, pairs in tables.items()}
    plots = {
        "similarities": functools.partial(pairing_figures.plot_similarities, tables),
        "occurrences": functools.partial(pairing_figures.plot_occurrences, counts),
    }
    if len(tables) > 1:
        plots["agreement"] = functools.partial(pairing_figures.plot_agreement, agreement)
    for name, plot in plots.items():
        figure = Figure(figsize=(5, 4), layout="constrained")
        plot(figure.add_subplot())
        for suffix in ("png", "svg"):
            with atomic_path(output / f"{name}.{suffix}") as temporary:
                figure.savefig(temporary, dpi=200)


def _gallery(
    pairs: pd.DataFrame,
    made: Mapping[str, Any],
    output: Path,
    images: Path,
    texts: Mapping[str, str],
) -> None:
    """Writes the page of images and reports."""
    from .gallery import write_gallery

    datasets = {split: _dataset(made, split, images) for split in pairs["split"].unique()}

    def load(split: str, index: int) -> np.ndarray:
        return np.asarray(datasets[split].load_data(index)).transpose(1, 2, 0)

    write_gallery(pairs.loc[pairs["rank"] == 0], load, texts, output / "gallery.html")


def _texts(reports: str, column: str, pairs: pd.DataFrame) -> dict[str, str]:
    """Returns the reports by their ids; raises InputError unless they are those of the pairs."""
    corpus = ReportSource(reports, column).corpus()
    texts = dict(zip(corpus.ids, corpus.texts, strict=True))
    lacking = pairs.loc[~pairs["report_id"].isin(list(texts)), "report_id"]
    if len(lacking):
        raise InputError(
            f"--reports {reports} lacks report {lacking.iloc[0]!r}, which is paired; give the "
            "reports that were paired"
        )
    return texts


def _labels(
    made: Mapping[str, Any], split: str, images: Path, part: pd.DataFrame
) -> dict[int, int]:
    """Returns the class of each image of a split."""
    dataset = _dataset(made, split, images)
    return {int(index): int(dataset.load_target(int(index))) for index in part["index"].unique()}


def _dataset(made: Mapping[str, Any], split: str, images: Path) -> Any:
    """Returns the eva dataset that a table was made for."""
    described = made.get("datasets", {}).get(split, {})
    module, _, name = described.get("class", "").rpartition(".")
    # Never code that a file names.
    if not module.startswith("eva.") and (module, name) != _OWN:
        raise InputError(f"--images: the table is of {module}.{name}, which is no dataset of eva's")
    try:
        kind, more = getattr(importlib.import_module(module), name), described.get("arguments", {})
        dataset = kind(root=str(images), split=split, **more)
        dataset.configure()
    except (OSError, ValueError, AttributeError, ImportError, TypeError) as error:
        raise InputError(
            f"--images {images} cannot be read as {name} ({error}); give those that were paired"
        ) from error
    if len(dataset) != described.get("length"):
        raise InputError(
            f"--images {images} has {len(dataset)} images in split {split!r}, but the table was "
            f"made for {described.get('length')}"
        )
    return dataset


def _names(paths: Sequence[Path], made: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names each table by its policy if that tells them apart, else by its path."""
    policies = [str(one.get("policy", {}).get("name", "")) for one in made]
    if all(policies) and len(set(policies)) == len(paths):
        return policies
    return [str(path) for path in paths]


def _report_count(made: Mapping[str, Any], part: pd.DataFrame) -> int:
    """Returns the number of reports in the corpus that a table was made of."""
    return int(made.get("reports", {}).get("count", part["report_id"].nunique()))


def render(summary: pd.DataFrame) -> str:
    """Returns the numbers as text, one column a table and split."""
    table = summary.set_index(["table", "split"]).T
    return table.to_string(float_format=lambda value: f"{value:.4g}", na_rep="-")
