"""How much of a pairing is replaced by chance: the demo's knob, and a control.

Run: python -m clipit_eva.pairing.replacement PAIRS OUTPUT --share SHARE --reports REPORTS
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.pairing.controls import CONTROLS
from clipit_eva.pairing.pairing_table import read_pairs, write_pairs
from clipit_eva.reports.corpus import read_corpus


def replace_pairs(
    pairs: pd.DataFrame, share: float, report_ids: Sequence[str], seed: int | Sequence[int]
) -> pd.DataFrame:
    """Replaces the reports of a random share of the images by uniformly random ones.

    Args:
        pairs: A pairing table; `split` and `index` name an image, which has one row a rank.
        share: Share of the images whose reports are replaced, in [0, 1]; rounded to whole images.
            1 leaves no information in the pairs.
        report_ids: The corpus to draw from. The reports of one image stay distinct; the report
            an image had may be drawn again, as chance has it.
        seed: Fixes the draw. With one seed, the images of a smaller share are among those of a
            larger one and get the same reports.

    Returns:
        A copy of the table, rows in the same order. Replaced rows have `chunk` 0 and, since
        nobody compared them, `similarity` NaN (where the table has these columns).

    Raises:
        InputError: The share is outside [0, 1], or the corpus is smaller than the number of ranks.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}; give a number from 0 to 1")
    images = pairs.groupby(["split", "index"], sort=True).ngroup().to_numpy()
    ranks = pairs.groupby(["split", "index"]).cumcount().to_numpy()
    n_images = int(images.max(initial=-1)) + 1
    n_ranks = int(ranks.max(initial=-1)) + 1
    if len(report_ids) < n_ranks:
        raise InputError(
            f"report_ids has {len(report_ids)} reports; pairs with {n_ranks} need more"
        )
    which, what = np.random.default_rng(seed).spawn(2)
    chosen = np.zeros(n_images, bool)
    chosen[which.permutation(n_images)[: round(share * n_images)]] = True
    drawn = np.array(
        [what.choice(len(report_ids), n_ranks, replace=False) for _ in range(n_images)], int
    ).reshape(n_images, n_ranks)

    replaced = chosen[images]
    result = pairs.copy()
    ids = np.asarray(report_ids, dtype=object)
    result.loc[replaced, "report_id"] = ids[drawn[images, ranks]][replaced]
    for column, value in (("chunk", 0), ("similarity", np.float32("nan"))):
        if column in result:
            result.loc[replaced, column] = value
    return result


def replace_in_table(table: Path, output: Path, share: float, reports: Path, seed: int) -> None:
    """Writes a table with a share of another's pairs replaced (`replace_pairs`); it says so.

    The pairs of a control get a draw of their own: with all replaced, it would be no control but
    the same table as that which it is compared with.

    Raises:
        InputError: The share is outside [0, 1], or a file is missing or damaged.
    """
    pairs, provenance = read_pairs(table)
    control = provenance.get("control")
    own = seed if control is None else [seed, 1 + CONTROLS.index(control)]
    replaced = replace_pairs(pairs, share, read_corpus(reports).ids, own)
    write_pairs(replaced, output, {**provenance, "replaced_share": share})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--reports", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    replace_in_table(options.pairs, options.output, options.share, options.reports, options.seed)
