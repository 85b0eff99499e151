import itertools
import re

import numpy as np
import pytest
from scipy import stats

from clipit_eva.analysis.significance import (
    friedman_test,
    macro_difference,
    min_two_sided_p,
    nemenyi_critical_difference,
    nemenyi_p,
    nemenyi_test,
    wilcoxon_test,
)
from clipit_eva.errors import InputError

KNOWN = "12_across_datasets.json"
FRIEDMAN = (
    "friedman_chi2",
    "friedman_p",
    "friedman_p_exact",
    "iman_davenport_F",
    "iman_davenport_p",
    "mean_ranks_rank1_best",
)


def test_friedman(known, check):
    expected = {key: known["expected"][key] for key in FRIEDMAN}
    result = friedman_test(known["inputs"]["scores"])
    check(expected, result, known["tolerance"]["default"])


def test_nemenyi_formulas(known, check):
    tolerance, scores = known["tolerance"], known["inputs"]["scores"]
    ranks = friedman_test(scores).mean_ranks_rank1_best
    check(known["expected"]["nemenyi_p"], nemenyi_p(ranks, len(scores)), tolerance["nemenyi_p"])
    for key, expected in known["expected"]["nemenyi_cd"].items():
        methods, datasets = map(int, re.fullmatch(r"k(\d+)_N(\d+)", key).groups())
        critical = nemenyi_critical_difference(methods, datasets)
        check(expected, critical, tolerance["nemenyi_cd"])


def test_few_datasets_get_no_diagram_and_no_signed_rank(known):
    (key,) = (key for key in known["expected"] if key.startswith("wilcoxon_min_p"))
    n = int(re.search(r"\d+", key)[0])
    assert min_two_sided_p(n) == known["expected"][key]
    test = wilcoxon_test(np.arange(1, n + 1))
    assert (test.p, test.min_attainable_two_sided_p) == (None, known["expected"][key])
    diagram = nemenyi_test(known["inputs"]["scores"])
    assert (diagram.p, diagram.critical_difference) == (None, None)
    assert "a critical-difference diagram needs at least 6" in diagram.refused
    assert "only the exact p holds" in friedman_test(known["inputs"]["scores"]).warnings[0]


def test_macro_difference(known, check):
    per_dataset = known["inputs"]["per_dataset"]
    result = macro_difference([d["est"] for d in per_dataset], [d["se"] for d in per_dataset])
    check(known["expected"]["fixed_datasets_macro"], result, known["tolerance"]["default"])
    handled = {*FRIEDMAN, "nemenyi_p", "nemenyi_cd", "fixed_datasets_macro"}
    assert {key for key in set(known["expected"]) - handled if "wilcoxon_min_p" not in key} == set()


def test_macro_difference_with_degrees_of_freedom():
    result = macro_difference([0.02, 0.04], [0.01, 0.03], [4, 9])
    df = (0.01**2 + 0.03**2) ** 2 / (0.01**4 / 4 + 0.03**4 / 9)
    assert result.df == pytest.approx(df)
    assert result.p == pytest.approx(2 * stats.t.sf(0.03 / (np.sqrt(0.001) / 2), df))
    known = macro_difference([0.02, 0.04], [0.01, 0.03])
    assert known.p < result.p
    assert known.df is None
    with pytest.raises(InputError, match="degrees of freedom above 0"):
        macro_difference([0.02], [0.01], [0])


@pytest.mark.parametrize("tied", [False, True])
def test_exact_p_counts_every_arrangement(tied):
    scores = np.array([[0.1, 0.2, 0.3], [0.5, 0.7, 0.6], [0.2, 0.3, 0.9]])
    if tied:
        scores[1, 1] = scores[1, 2]
    observed = stats.friedmanchisquare(*scores.T).statistic
    rows = [list(itertools.permutations(row)) for row in scores]
    arranged = [np.array(rows) for rows in itertools.product(*rows)]
    statistics = [stats.friedmanchisquare(*table.T).statistic for table in arranged]
    expected = np.mean(np.array(statistics) >= observed - 1e-9)
    assert friedman_test(scores).friedman_p_exact == pytest.approx(expected)


def test_order_of_datasets_and_methods_changes_nothing():
    rng = np.random.default_rng(0)
    scores = rng.random((7, 4))
    one = friedman_test(scores)
    order = rng.permutation(4)
    two = friedman_test(scores[rng.permutation(7)][:, order])
    assert two.friedman_p == pytest.approx(one.friedman_p)
    assert two.mean_ranks_rank1_best == tuple(np.array(one.mean_ranks_rank1_best)[order])
    assert one.friedman_p_exact is None  # 24**6 arrangements
    diagram = nemenyi_test(scores)
    assert diagram.refused is None
    assert diagram.critical_difference == nemenyi_critical_difference(4, 7)
    assert np.array(diagram.p).shape == (4, 4)


def test_refusals():
    assert "tie on every dataset" in friedman_test(np.ones((3, 4))).refused
    missing = macro_difference([0.1, np.nan], [0.1, np.nan])
    assert (missing.p, missing.refused) == (None, "a dataset has no estimate or standard error")
    assert "zero variance" in macro_difference([0.1, 0.2], [0.0, 0.0]).refused
    with pytest.raises(InputError, match="not negative"):
        macro_difference([0.1], [-0.1])
    with pytest.raises(InputError, match="at least 2 x 3"):
        friedman_test([[0.1, 0.2, 0.3]])
    with pytest.raises(InputError, match="NaN"):
        nemenyi_test([[0.1, np.nan], [0.2, 0.3]])
