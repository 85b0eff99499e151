"""What a reader gets for a pair of arms, and the inputs on which libraries answer wrongly."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import balanced_accuracy_score

from clipit_eva.analysis.metrics.complementarity import complementarity
from clipit_eva.analysis.reading.samples import Samples, check_same
from clipit_eva.analysis.significance import (
    auc_cluster_bootstrap,
    clustered_difference,
    compare,
    crossed_test,
    delong_test,
    mcnemar_test,
    nemenyi_test,
    paired_t_test,
    wilcoxon_test,
)
from clipit_eva.errors import InputError

KNOWN = "16_degenerate_cases.json"


def random_arms(seeds: int = 5, n: int = 90):
    rng = np.random.default_rng(0)
    first, second = ((rng.random((seeds, n)) < 0.8) * 1.0 for _ in range(2))
    return first, second, np.arange(n) % 3, np.arange(n) % 30


def mcnemar_no_discordant(case):
    result = mcnemar_test(case["table"])
    assert (result.exact, result.midp, result.note) == (1.0, 1.0, "identical correctness")
    assert (result.asymptotic, result.asymptotic_cc) == (None, None)


def t_zero_variance(case):
    result = paired_t_test(case["x"], case["y"])
    assert result.p is None
    assert "zero variance" in result.refused


def t_all_equal(case):
    result = paired_t_test(case["x"], case["y"])
    assert (result.mean_diff, result.p) == (0.0, None)


def one_seed(case):
    first, second, y, slides = random_arms(seeds=1)
    result = compare(first, second, y, slides)
    assert (result.first.sd, result.seeds_only.p, result.accuracy.p_floor) == (None, None, None)
    assert "1 seed" in result.refused
    assert result.samples_only.ci95 is not None
    assert len(result.mcnemar.per_seed) == 1


def two_seeds(case):
    first, second, y, slides = random_arms(seeds=2)
    result = compare(first, second, y, slides)
    assert (result.first.sd, result.seeds_only.sd_diff, result.seeds_only.t) == (None, None, None)
    assert result.first.minimum <= result.first.mean <= result.first.maximum
    assert "2 seeds" in result.seeds_only.refused


def unequal_sample_ids(case):
    def samples(name, index, targets):
        names = pa.chunked_array([[f"{place}.png" for place in index]])
        return Samples.make(Path(name), np.asarray(index), names, np.asarray(targets), None)

    ids, targets = np.arange(5), np.array([0, 1, 0, 1, 1])
    reference = samples("a", ids, targets)
    check_same(reference, samples("b", ids, targets), Path("b"))
    wrong = [
        (ids + 1, targets, "different test sets .sample 1 is"),
        (ids[:4], targets[:4], "4 and 5 samples"),
        (ids, 1 - targets, "disagree on the target of sample 0"),
        (np.array([0, 1, 2, 3, 3]), targets, "predicts sample 3 twice"),
    ]
    for index, labels, message in wrong:
        with pytest.raises(InputError, match=f"b.*{message}"):
            check_same(reference, samples("b", index, labels), Path("b"))


def class_missing_in_y(case):
    y = np.array([0, 0, 0, 2, 2, 2] * 5)
    rng = np.random.default_rng(1)
    first, second = rng.choice([0, 2], (2, 3, y.size))
    result = crossed_test(first == y, second == y, classes=y)
    for seed, estimate in enumerate(result.per_seed):
        scores = [balanced_accuracy_score(y, arm[seed]) for arm in (first, second)]
        assert estimate == pytest.approx(scores[0] - scores[1])


def vision_perfect(case):
    result = complementarity([0, 1, 1], [0, 0, 1], [0, 1, 1])
    assert (result.rescue_rate, result.rescue_rate_ci95) == (None, None)


def nan_or_inf_scores(case):
    y, slides = np.array([0, 1] * 10), np.arange(20)
    scores = np.linspace(0, 1, 20)
    for bad in (np.nan, np.inf, -np.inf):
        broken = np.where(slides == 3, bad, scores)
        for test in (
            lambda broken=broken: delong_test(y, scores, broken),
            lambda broken=broken: auc_cluster_bootstrap(y, broken, scores, slides),
            lambda broken=broken: crossed_test(broken, scores),
            lambda broken=broken: paired_t_test(scores, broken),
            lambda broken=broken: wilcoxon_test(broken),
        ):
            with pytest.raises(InputError, match="NaN or infinite"):
                test()


def wilcoxon_n_lt_6(case):
    for n in range(1, 6):
        result = wilcoxon_test(np.arange(1, n + 1))
        assert result.p is None
        assert f"{result.min_attainable_two_sided_p:g}" in result.refused
    assert wilcoxon_test(np.arange(1, 7)).p is not None


def fewer_than_5_clusters(case):
    first, second, y, slides = random_arms()
    for result in (
        crossed_test(first, second, clusters=slides % 4),
        clustered_difference(first, second, slides % 4),
        compare(first, second, y, slides % 4),
    ):
        assert "needs at least 5" in result.refused
    assert crossed_test(first, second, clusters=slides % 4).p is None
    assert clustered_difference(first, second, slides % 4).p is None


def datasets_lt_6(case):
    rng = np.random.default_rng(2)
    for n in range(2, 6):
        assert "at least 6" in nemenyi_test(rng.random((n, 4))).refused
        assert wilcoxon_test(rng.random(n)).refused is not None
    assert nemenyi_test(rng.random((6, 4))).refused is None


CASES = {
    function.__name__: function
    for function in (
        mcnemar_no_discordant,
        t_zero_variance,
        t_all_equal,
        one_seed,
        two_seeds,
        unequal_sample_ids,
        class_missing_in_y,
        vision_perfect,
        nan_or_inf_scores,
        wilcoxon_n_lt_6,
        fewer_than_5_clusters,
        datasets_lt_6,
    )
}


@pytest.mark.parametrize("name", CASES)
def test_degenerate(known, name):
    CASES[name](known["expected"][name])


def test_every_degenerate_case_has_a_test(known):
    assert set(known["expected"]) == set(CASES)


def test_comparison_joins_the_tests_of_one_pair():
    first, second, y, slides = random_arms()
    result = compare(first, second, y, slides, seed=3)
    assert result.accuracy == crossed_test(first, second, clusters=slides)
    assert result.balanced_accuracy == crossed_test(first, second, classes=y, clusters=slides)
    assert result.clustered == clustered_difference(first, second, slides)
    assert result.first.mean - result.second.mean == pytest.approx(result.accuracy.estimate)
    assert result.bootstrap.n_clusters == 30
    assert "cannot reach .05" in result.signed_rank.refused
    alone = compare(first, second, y)
    assert alone.clustered is None
    assert alone.bootstrap.mark == alone.accuracy.mark == "patch-level, optimistic"
    assert result == compare(first, second, y, slides, seed=3)
