"""What of a gain is the text's: the four contrasts of each dataset and backbone, unrounded."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from ..significance.attribution import (
    CONFIRMATORY,
    LORA_AND_LAYERS,
    METHOD,
    PAIRS,
    TEXT,
    Attribution,
    attribute,
)
from ..significance.crossed import CrossedTest
from ..significance.crossed_backbones import BackbonesTest, crossed_test_over_backbones
from ..significance.datasets import MacroDifference, macro_difference
from ..significance.equivalence import tost_crossed
from ..significance.multiplicity import adjust
from ..significance.power import Variances, detectable
from ..significance.rules import MIN_SEEDS, WARN_SEEDS
from . import columns
from .ablation_frame import MARGIN_POINTS

SIDES = {
    METHOD: (arms.CLIP_IT, arms.UNIMODAL),
    TEXT: (arms.CLIP_IT, arms.NO_TEXT),
    PAIRS: (arms.CLIP_IT, arms.SHUFFLED),
    LORA_AND_LAYERS: (arms.NO_TEXT, arms.UNIMODAL),
}
"""The arms of each contrast, first - second."""

MORE_SEEDS = {"detectable_5_seeds_points": 5, "detectable_10_seeds_points": 10}
"""Columns of what further studies with more seeds of each backbone would detect."""

NUMBERS = (
    "difference_points", "low_points", "high_points", "p", "p_holm", "df", "se_points",
    "detectable_points", "wall_points", *MORE_SEEDS,
)  # fmt: skip
"""Columns that are missing where there is no test."""

CANNOT_BE_EQUIVALENT = "cannot be equivalent here"
"""Said where half of the 90% interval exceeds the margin, whatever the difference."""

Test = CrossedTest | BackbonesTest


def contrasts_frame(
    comparisons: Sequence[Comparison], margin_points: float = MARGIN_POINTS
) -> pd.DataFrame:
    """Tests the four contrasts of balanced accuracy, over backbones and in each.

    Args:
        comparisons: Of `reading.study.gather`; each contrast is on the seeds that its arms share.
        margin_points: Largest difference that counts as none, in points; fixed before looking.

    Returns:
        First a row for each dataset (column `backbone` is empty: the mean over backbones) and
        contrast, in the order of `SIDES`, then one for each backbone. `p_holm` of means is over
        the method and text of all datasets; of a single backbone it is descriptive, over the
        backbones and datasets of one contrast that have 5 seeds. `verdict` is the dataset's (see
        `significance.attribution`), `reason` why it cannot be told; both are empty in rows of
        backbones. `detectable_points` is the smallest true difference that 80% of such studies
        would detect, `wall_points` that of infinitely many seeds on this test set (missing where
        seeds share no variance), `equivalence` is empty or `CANNOT_BE_EQUIVALENT`. Contrasts
        without runs have no numbers and say so in `refused`. Datasets without any of these
        contrasts have no rows.

    Raises:
        InputError: A margin not above 0.
    """
    means, cells, tests = [], [], {}
    for dataset, mine in _by_dataset(comparisons).items():
        tests[dataset] = {}
        for name, sides in SIDES.items():
            pairs = [one.between(*sides) for one in mine if one.has(*sides)]
            if pairs:
                tests[dataset][name] = _over_backbones(pairs)
            means.append(_mean_row(mine, name, pairs, tests[dataset].get(name)))
        cells += [_cell_row(one, name) for one in mine for name in SIDES]
    verdicts = attribute(tests, margin_points / 100)
    rows = [{**row, **_outcome(verdicts[row["dataset"]], row["contrast"])} for row in means]
    frame = pd.DataFrame([*rows, *_with_holm(cells)])
    if not len(frame):
        return frame
    half = frame.pop("half_90_points").astype(float)
    return frame.astype(dict.fromkeys(NUMBERS, float)).assign(
        margin_points=margin_points,
        equivalence=np.where(half > margin_points, CANNOT_BE_EQUIVALENT, ""),
    )


def over_datasets(frame: pd.DataFrame, contrast: str) -> MacroDifference | None:
    """Averages a contrast over datasets, in points; None with fewer than two.

    `frame` is `contrasts_frame`'s. Test sets of datasets share no samples (those of several numbers
    of labels do: None); backbones are averaged.
    """
    mean = (frame["backbone"] == "") & (frame["n_backbones"] > 0)
    rows = frame.loc[mean & (frame["contrast"] == contrast)]
    if len(rows) < 2 or rows["task"].duplicated().any():
        return None
    numbers = rows[["difference_points", "se_points", "df"]].astype(float).to_numpy()
    return macro_difference(*numbers.T)


def _by_dataset(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Returns the comparisons with a contrast, by dataset."""
    found: dict[str, list[Comparison]] = {}
    for one in comparisons:
        if any(one.has(*sides) for sides in SIDES.values()):
            found.setdefault(one.dataset, []).append(one)
    return found


def _enough(pairs: Sequence[Comparison]) -> list[Comparison]:
    """Returns the backbones with seeds enough for a test; all of them if none has."""
    return [one for one in pairs if len(one.replicates) >= MIN_SEEDS] or list(pairs)


def _over_backbones(pairs: Sequence[Comparison]) -> BackbonesTest:
    """Tests a contrast once for all backbones: pairs hold its two arms, on shared seeds."""
    tested = _enough(pairs)
    first, second = _sides(tested[0])
    return crossed_test_over_backbones(
        [one.right(first) for one in tested],
        [one.right(second) for one in tested],
        classes=tested[0].targets,
        clusters=tested[0].clusters,
    )


def _sides(pair: Comparison) -> tuple[str, str]:
    """Returns the contrast's arms in its order."""
    return next(sides for sides in SIDES.values() if set(sides) == {arm.name for arm in pair.runs})


def _mean_row(
    mine: Sequence[Comparison], name: str, pairs: Sequence[Comparison], test: Test | None
) -> dict[str, Any]:
    """Returns the row of a dataset and contrast; backbones that are not in the mean are named."""
    tested = _enough(pairs)
    left_out = [one.backbone for one in mine if one.backbone not in {t.backbone for t in tested}]
    row = _row(mine[0], "", name, test)
    if tested and left_out:
        why = f"without {', '.join(left_out)}: too few runs"
        row["warnings"] = "; ".join(filter(None, (row["warnings"], why)))
    se = None if test is None else test.se_floor
    return {
        **row,
        "se_points": None if se is None else 100 * se,
        "n_backbones": len(tested),
        "n_seeds": min((len(one.replicates) for one in tested), default=0),
    }


def _cell_row(comparison: Comparison, name: str) -> dict[str, Any]:
    """Returns the row of a dataset, backbone and contrast."""
    sides = SIDES[name]
    test, seeds = None, 0
    if comparison.has(*sides):
        test = columns.primary_test(comparison, *sides)
        seeds = len(comparison.between(*sides).replicates)
    row = _row(comparison, comparison.backbone, name, test)
    return {**row, "verdict": "", "reason": "", "n_backbones": 1, "n_seeds": seeds}


def _row(comparison: Comparison, backbone: str, name: str, test: Test | None) -> dict[str, Any]:
    """Returns what all rows have."""
    if test is None:
        missing = [side for side in SIDES[name] if comparison.arm(side) is None]
        reason = f"no runs of {' or '.join(_print(side) for side in missing or SIDES[name])}"
        numbers = columns.untested(reason)
    else:
        numbers = columns.crossed(test)
    where = {"dataset": comparison.dataset, "backbone": backbone, "contrast": name}
    sizes = {"n_samples": len(comparison.samples), "n_slides": comparison.n_slides}
    return {**where, **numbers, **_power(test, comparison), **sizes, "task": comparison.task}


def _power(test: Test | None, comparison: Comparison) -> dict[str, float | None]:
    """Returns what a test could show, by its own variances, in points; None without a test."""
    names = ("detectable_points", "wall_points", "half_90_points", *MORE_SEEDS)
    if test is None or test.se_floor is None or test.df_floor is None:
        return dict.fromkeys(names)
    part = test.samples_part if isinstance(test, BackbonesTest) else test.cov_cases
    shared = max(part or 0.0, 0.0)
    groups, classes = test.n_clusters, len(np.unique(comparison.targets))
    df_cases = len(comparison.samples) - classes if groups is None else groups - 1
    seeds = np.atleast_1d(test.n_seeds)  # of each backbone
    of_a_seed = max(test.se_floor**2 - shared, 0) * seeds.sum()
    variances = Variances(of_a_seed, shared, df_cases, len(seeds))
    wall = 100 * variances.detectable(np.inf) if shared else None
    low, high = tost_crossed(test, margin=1.0).ci90 or (np.nan, np.nan)
    own = 100 * detectable(test.se_floor, test.df_floor)
    more = [100 * variances.detectable(n) for n in MORE_SEEDS.values()]
    return dict(zip(names, (own, wall, 50 * (high - low), *more), strict=True))


def _print(arm: str) -> str:
    """Returns an arm's name in print."""
    return arms.LABELS.get(arm, arm.replace("_", " "))


def _outcome(attribution: Attribution, name: str) -> dict[str, Any]:
    """Returns the columns that rest on all datasets."""
    return {
        "p_holm": attribution.holm.get(name),
        "verdict": attribution.verdict,
        "reason": attribution.reason,
    }


def _with_holm(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Adds the descriptive adjusted p of single backbones: a family for each contrast."""
    adjusted: dict[int, float | None] = {}
    for name in CONFIRMATORY:
        places = [place for place, row in enumerate(cells) if _counts(row, name)]
        family = adjust([cells[place]["p"] for place in places])
        adjusted.update(zip(places, family.adjusted, strict=True))
    return [{**row, "p_holm": adjusted.get(place)} for place, row in enumerate(cells)]


def _counts(row: Mapping[str, Any], name: str) -> bool:
    return row["contrast"] == name and row["n_seeds"] >= WARN_SEEDS and row["p"] is not None
