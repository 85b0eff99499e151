"""The tables and sentences of the four contrasts: whether reports helped, in words."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ..frames.contrasts_frame import MORE_SEEDS, over_datasets
from ..frames.headline_frame import rank_test
from ..reading import arms, published
from ..reading.study import Comparison
from ..significance.attribution import CONFIRMATORY, LORA_AND_LAYERS, METHOD, PAIRS, TEXT
from . import layout, notes
from .layout import Column, Row, lay_out
from .table import (
    DAGGER,
    NONE,
    Footnotes,
    Table,
    difference,
    difference_of,
    number,
    p_value,
    records,
)

CSV_COLUMNS = [
    "dataset", "backbone", "contrast", "difference_points", "low_points", "high_points", "p",
    "p_holm", "verdict", "n_seeds", "n_samples", "n_slides", "detectable_points", "wall_points",
    "equivalence", *MORE_SEEDS,
]  # fmt: skip

NAMES = {
    METHOD: "method: CLIP-IT - unimodal",
    TEXT: "text: CLIP-IT - no text",
    PAIRS: "pairs: CLIP-IT - shuffled pairs",
    LORA_AND_LAYERS: "LoRA and layers: no text - unimodal",
}

VERDICTS = {
    "reports_helped": "reports helped",
    "text_target_helped": "a text target helped; that it takes the right report is not shown",
    "reports_harmed": "reports harmed",
    "no_difference": "reports made no difference beyond the margin",
    "not_shown": "not shown that reports helped, nor that they made no difference",
    "cannot_tell": "cannot tell whether reports helped",
}
"""Verdicts in words."""

PLAN_LINES = {
    arms.NO_TEXT: "no_text: {DISTILL_WEIGHT: 0}",
    arms.SHUFFLED: "shuffled: {PAIRING_POLICY: shuffled}",
}
"""What a plan's `factors` must have for an arm."""

_CONTRAST = Column("Contrast", lambda row, _: NAMES[row["contrast"]])
_NUMBERS = (
    layout.differences(adjusted="p_holm"),
    layout.p_values("p", "p"),
    layout.p_values("Holm p", "p_holm"),
    layout.words("wins", "wins"),
    Column("detectable", lambda row, _: _detectable(row), "detectable_points"),
)
_DETECTABLE = (
    "Detectable: the true difference that 80% of such studies would detect, in points, by the "
    "variances found here; in brackets, with 5 and 10 seeds of each backbone, and with infinitely "
    "many on this test set. A contrast "
    "cannot be equivalent here where half of its 90% interval exceeds the margin."
)


def contrasts(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns the contrasts of each dataset; its CSV has those of single backbones, too."""
    means = frame.loc[frame["backbone"] == ""]
    margin = float(frame["margin_points"].iloc[0])
    size = int(means.loc[means["contrast"].isin(CONFIRMATORY), "p_holm"].notna().sum())
    before = (
        "Differences of balanced accuracy (macro recall) in points, mean over backbones. The "
        "method's gain is LoRA's and the text's together; the text's own is against the same "
        "layers trained without text.",
        notes.CROSSED,
        f"Confirmatory are method and text: Holm over {size} tests of all datasets; pairs is a "
        "gate.",
        "Verdict, asked in this order: reports helped (text and pairs above 0, p below 0.05); a "
        "text target helped (text alone); reports harmed (text below 0); no difference (90% "
        f"interval of text within the margin of {margin:g} points); else not "
        "shown.",
        _DETECTABLE,
        notes.STARRED,
    )
    after = (
        *notes.few_labels(comparisons),
        *_over_datasets(frame),
        *_ranks(comparisons),
        *_published(means),
        notes.what_varied(comparisons),
        *notes.warnings(means.drop(columns="backbone")),
    )
    columns = (
        layout.words("Dataset", "dataset"),
        Column("Backbones", _backbones),
        _CONTRAST,
        *_NUMBERS,
        Column("verdict", _verdict),
    )
    title = "What of the gain is the text's"
    made = lay_out("contrasts", title, means, columns, comparisons, before=before, after=after)
    return replace(made, data=frame.loc[:, CSV_COLUMNS])


def contrasts_by_backbone(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table | None:
    """Returns the contrasts of single backbones; None where no dataset has several."""
    several = frame.loc[(frame["backbone"] == "") & (frame["n_backbones"] > 1), "dataset"]
    cells = frame.loc[(frame["backbone"] != "") & frame["dataset"].isin(list(several))]
    if not len(cells):
        return None
    before = (
        "Single backbones, to describe: what is tested is their mean. Holm p, over the backbones "
        "and datasets of one contrast, only from 5 seeds on.",
        notes.CROSSED,
        _DETECTABLE,
        notes.STARRED,
    )
    return lay_out(
        "contrasts_by_backbone",
        "The contrasts of each backbone",
        cells.drop(columns=["verdict", "reason"]),
        (*layout.WHERE, _CONTRAST, *_NUMBERS),
        comparisons,
        before=before,
        after=notes.warnings(cells),
    )


def told(frame: pd.DataFrame) -> bool:
    """Returns whether a dataset has the arms that tell whether reports helped."""
    return any(not missing_arms(mine) for _, mine in by_dataset(frame))


def sentences(frame: pd.DataFrame) -> tuple[str, ...]:
    """Says of each dataset whether reports helped, with intervals.

    First, where arms are missing for that: the line of a plan that would train them.

    Args:
        frame: `frames.contrasts_frame.contrasts_frame`'s.
    """
    groups = by_dataset(frame)
    lacking = {dataset: missing_arms(mine) for dataset, mine in groups if missing_arms(mine)}
    first = ()
    if lacking:
        whose = "These runs" if len(lacking) == len(groups) else f"Runs on {', '.join(lacking)}"
        words, line = plan_line({arm for some in lacking.values() for arm in some})
        first = (
            f"{whose} cannot tell whether reports helped: there are no runs of {words}. This line "
            "in their plan (which trains them by itself unless it says `contrasts: false`) would "
            f"tell: {line}",
        )
    return (*first, *(_sentence(dataset, mine) for dataset, mine in groups))


def plan_line(lacking: Collection[str]) -> tuple[str, str]:
    """Returns arms that are missing in words, and the line of a plan that would train them."""
    names = [arm for arm in PLAN_LINES if arm in lacking]
    words = " and ".join(name.replace("_", " ") for name in names)
    return words, f"factors: {{{', '.join(PLAN_LINES[name] for name in names)}}}"


def by_dataset(frame: pd.DataFrame) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """Returns the rows of means by dataset and contrast."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in records(frame.loc[frame["backbone"] == ""]) if len(frame) else ():
        found.setdefault(row["dataset"], {})[row["contrast"]] = row
    return list(found.items())


def missing_arms(mine: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the arms that a dataset lacks to tell."""
    sides = ((TEXT, arms.NO_TEXT), (PAIRS, arms.SHUFFLED))
    return [arm for contrast, arm in sides if not mine[contrast]["n_backbones"]]


def _sentence(dataset: str, mine: dict[str, dict[str, Any]]) -> str:
    """Returns the sentences on one dataset."""
    parts = [_part(mine[name], words) for name, words in _WORDS.items()]
    shown = "; ".join(part for part in parts if part)
    many = max(row["n_backbones"] for row in mine.values())
    of = f" (means over {many:.0f} backbones)" if many > 1 else ""
    return f"{dataset}: {verdict_words(mine)}. In points of balanced accuracy{of}: {shown}."


def verdict_words(mine: dict[str, dict[str, Any]]) -> str:
    """Returns a dataset's verdict in words; its rows are by contrast, as in `by_dataset`."""
    verdict, text = str(mine[METHOD]["verdict"]), mine[TEXT]
    words = VERDICTS[verdict]
    if verdict == "no_difference":
        words += f" of {text['margin_points']:g} points"
    if verdict == "cannot_tell" and text["reason"]:
        words += f" ({text['reason']})"
    if text["mark"] and not text["refused"]:
        words += f" ({text['mark']}: slides or patients are not known)"
    return words


_WORDS = {
    TEXT: "the text's own gain (CLIP-IT minus no text)",
    PAIRS: "CLIP-IT minus shuffled pairs",
    METHOD: "CLIP-IT minus unimodal, LoRA's and the text's gain together,",
    LORA_AND_LAYERS: "LoRA and layers without text (no text minus unimodal)",
}


def _part(row: dict[str, Any], words: str) -> str:
    """Returns a contrast with its interval and p; nothing where there are no runs."""
    if not row["n_backbones"]:
        return ""
    if row["refused"]:
        return f"{words} {difference_of(row)}, not tested ({row['refused']})"
    p = f"Holm p {p_value(row['p_holm'])}" if pd.notna(row["p_holm"]) else f"p {p_value(row['p'])}"
    return f"{words} {difference_of(row)} ({p})"


def _backbones(row: Row, _: Footnotes) -> str:
    return f"{row['n_backbones']:.0f}" if row["n_backbones"] else NONE


def _detectable(row: Row) -> str:
    """Returns what the contrast could show: of these seeds, of infinitely many, and equivalence."""
    own, wall = (number(row[name]) for name in ("detectable_points", "wall_points"))
    more = " / ".join(number(row[name]) for name in MORE_SEEDS)
    words = own if own == NONE else f"{own} ({more}; {wall})"
    return "; ".join(filter(None, (words, row["equivalence"])))


def _verdict(row: Row, _: Footnotes) -> str:
    """Returns the dataset's verdict, once: in the row of the text."""
    if row["contrast"] != TEXT:
        return ""
    marked = row["mark"] and not row["refused"]
    return row["verdict"].replace("_", " ") + (DAGGER if marked else "")


def _over_datasets(frame: pd.DataFrame) -> tuple[str, ...]:
    """Returns the means over several datasets."""
    found = []
    for name in CONFIRMATORY:
        macro = over_datasets(frame, name)
        if macro is not None and macro.estimate is not None and macro.ci95 is not None:
            numbers = difference(macro.estimate, *macro.ci95)
            found.append(f"{NAMES[name]} {numbers}")
    return (f"Mean over these datasets, and of no others: {'; '.join(found)}.",) if found else ()


def _ranks(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Returns what may be said of ranks over datasets, or why nothing may."""
    ranks = rank_test(comparisons)
    if ranks is None:
        return ()
    if ranks.refused is not None:
        return (f"Rank test over datasets (Nemenyi) refused: {ranks.refused}.",)
    one, two = ranks.mean_ranks
    return (
        f"Mean ranks over datasets: unimodal {one:.2f}, CLIP-IT {two:.2f}; Nemenyi's critical "
        f"difference {ranks.critical_difference:.2f}.",
    )


def _published(means: pd.DataFrame) -> tuple[str, ...]:
    """Returns the published mean gains of the method, of datasets that have them."""
    sources = (published.V1_TABLE, published.REPOSITORY)
    found = [
        f"{dataset} "
        + ", ".join(
            f"{published.mean_gain(dataset, source):+.2f} ({published.SHORT_SOURCES[source]})"
            for source in sources
        )
        for dataset in dict.fromkeys(means["dataset"])
        if dataset in published.CLAIMED_MEAN_GAINS
    ]
    if not found:
        return ()
    return (f"Published mean gains of the method: {'; '.join(found)}; {published.CLAIM_NOTE}.",)
