"""What a pairing table looks like: hubness, similarities, purity, agreement. Pure functions.

None of this is read by pairing or training; class purity is reported only.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

TOP_REPORTS = 10
"""The most used reports whose share of the images is reported."""


def occurrences(pairs: pd.DataFrame, report_ids: Sequence[str] | None = None) -> pd.Series:
    """Counts how often each report is chosen, at any rank (k-occurrence), in a table or a split.

    With `report_ids`, all reports, those never chosen count 0.

    Returns:
        Counts by report id, int64, the largest first, ties in the order of the reports.
    """
    counts = pairs["report_id"].value_counts(sort=False)
    if report_ids is not None:
        counts = counts.reindex(list(report_ids), fill_value=0)
    return counts.sort_values(ascending=False, kind="stable").astype(np.int64)


def summarize(
    pairs: pd.DataFrame, report_count: int, labels: Mapping[int, int] | None = None
) -> dict[str, float]:
    """Describes the pairs of one split, given the number of reports in the corpus.

    Labels, the class of each image by index where known, are used for purity alone.

    Returns:
        - `images`, `reports`: how many there are.
        - `reports_used`, `share_used`: how many reports are ever chosen, and their share.
        - `top_reports_share`: share of images on the ten most used best reports.
        - `occurrence_skewness`: skewness of the k-occurrences of all reports (Radovanovic et al.
          2010): above 1 there are hubs. NaN if all are alike.
        - `similarity_mean`, `_sd`, `_min`, `_median`, `_max`: of the best reports' cosines; NaN for
          controls.
        - `margin_mean`: mean cosine of the best report above the second's; NaN with one report.
        - `purity`, `purity_by_chance`: see `purity`; only with labels.
    """
    best = pairs.loc[pairs["rank"] == 0]
    counts = np.zeros(report_count)
    chosen = occurrences(pairs).to_numpy()
    counts[: len(chosen)] = chosen
    top = best["report_id"].value_counts().head(TOP_REPORTS).sum()
    similarity = best["similarity"].astype(np.float64)
    result = {
        "images": len(best),
        "reports": report_count,
        "reports_used": len(chosen),
        "share_used": len(chosen) / report_count,
        "top_reports_share": float(top / max(len(best), 1)),
        "occurrence_skewness": float(stats.skew(counts)) if np.ptp(counts) else np.nan,
        "similarity_mean": float(similarity.mean()),
        "similarity_sd": float(similarity.std()),
        "similarity_min": float(similarity.min()),
        "similarity_median": float(similarity.median()),
        "similarity_max": float(similarity.max()),
        "margin_mean": _margin(pairs),
    }
    if labels is not None:
        result["purity"], result["purity_by_chance"] = purity(best, labels)
    return result


def purity(best: pd.DataFrame, labels: Mapping[int, int]) -> tuple[float, float]:
    """Says how well a report tells the classes of its images apart.

    `best` are the rows of rank 0 of one split, `labels` the class of each image by index.

    Returns:
        The share of images in the class that most images of their report have, and the same
        after the classes were permuted over the images (mean of 20 permutations): reports with
        few images are pure by chance.
    """
    classes = best["index"].map(labels).to_numpy()
    reports = pd.factorize(best["report_id"])[0]
    generator = np.random.default_rng(0)
    chance = [_majority(reports, generator.permutation(classes)) for _ in range(20)]
    return _majority(reports, classes), float(np.mean(chance))


def purity_of_reports(best: pd.DataFrame, labels: Mapping[int, int]) -> pd.DataFrame:
    """Returns each report's number of images, most frequent class and that class's share.

    Given as for `purity`. One row per chosen report, the most used first: `report_id`, `images`,
    `class`, `share`.
    """
    table = pd.crosstab(best["report_id"], best["index"].map(labels))
    images = table.sum(axis=1)
    result = pd.DataFrame(
        {"images": images, "class": table.idxmax(axis=1), "share": table.max(axis=1) / images}
    )
    return result.sort_values("images", ascending=False, kind="stable").reset_index()


def agreement(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Returns the share, of images that two tables have, whose best report is the same.

    NaN if there are none.
    """
    keys = ["split", "index"]
    columns = [*keys, "report_id"]
    both = one.loc[one["rank"] == 0, columns].merge(
        other.loc[other["rank"] == 0, columns], on=keys, suffixes=("", "_other")
    )
    same = both["report_id"] == both["report_id_other"]
    return float(same.mean()) if len(both) else float("nan")


def agreements(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Returns the agreement of each table with each [tables, tables], by name."""
    names = list(tables)
    values = [[agreement(tables[one], tables[other]) for other in names] for one in names]
    return pd.DataFrame(values, index=names, columns=names)


def _majority(reports: np.ndarray, classes: np.ndarray) -> float:
    """Returns the share of images in their report's most frequent class."""
    return float(pd.crosstab(reports, classes).max(axis=1).sum() / len(reports))


def _margin(pairs: pd.DataFrame) -> float:
    """Returns the mean difference of the cosines of rank 0 and 1."""
    cosines = pairs.pivot(index="index", columns="rank", values="similarity")
    if 1 not in cosines:
        return float("nan")
    return float((cosines[0].astype(np.float64) - cosines[1].astype(np.float64)).mean())
