import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import t
from sklearn.metrics import balanced_accuracy_score
from statsmodels.stats.anova import anova_lm

from clipit_eva.analysis.significance import (
    compare,
    crossed_mean,
    crossed_test,
    crossed_test_unpaired,
    mcnemar_per_seed,
    paired_t_test,
    samples_only_test,
)
from clipit_eva.errors import InputError

KNOWN = "08_crossed_seeds_and_samples.json"


def test_cases(known, check, arms):
    for name, expected in known["expected"]["cases"].items():
        dataset = name.split("_")[0]
        first, second, y, slides = arms(known["inputs"][dataset])
        test = crossed_test_unpaired if "unpaired" in name else crossed_test
        result = test(
            first,
            second,
            classes=y if "balacc" in name else None,
            clusters=slides if "by_slide" in name else None,
        )
        check(expected, result, known["tolerance"]["default"])


def test_contrast(known, check, arms):
    tolerance = known["tolerance"]["default"]
    for dataset, expected in known["expected"]["contrast"].items():
        first, second, _, slides = arms(known["inputs"][dataset])
        mcnemar = mcnemar_per_seed(first, second)
        reported = {
            "p_paired_t_over_seeds": paired_t_test(first.mean(1), second.mean(1)).p,
            "p_samples_only_seed_averaged": samples_only_test(first, second).p,
            "p_crossed": crossed_test(first, second).p,
            "p_crossed_by_slide": crossed_test(first, second, clusters=slides).p,
            "per_seed_mcnemar_exact": [test.exact for test in mcnemar.per_seed],
        }
        invalid = {key for key in expected if key.startswith("INVALID")}
        assert set(expected) == set(reported) | invalid
        check(expected, reported, tolerance, without=tuple(invalid))


def test_invalid_p_values_are_nowhere_in_a_comparison(known, arms):
    for dataset, expected in known["expected"]["contrast"].items():
        first, second, y, slides = arms(known["inputs"][dataset])
        reported = repr(compare(first, second, y, slides)) + repr(compare(first, second, y))
        numbers = [float(text) for text in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", reported)]
        for key in expected:
            # A p of 1 says nothing about where it comes from.
            if key.startswith("INVALID") and expected[key] < 1:
                assert not np.isclose(numbers, expected[key], rtol=1e-6, atol=0).any()


def test_copies_of_seeds_do_not_change_the_samples_only_p(known, arms):
    expected = known["expected"]["metamorphic_duplicate_seeds"]
    (copies,) = (int(re.search(r"(\d+)x", key)[1]) for key in expected if "samples_only_p_" in key)
    (dataset,) = known["expected"]["contrast"]
    first, second, *_ = arms(known["inputs"][dataset])
    tolerance = known["tolerance"]["default"]
    once = samples_only_test(first, second).p
    again = samples_only_test(np.tile(first, (copies, 1)), np.tile(second, (copies, 1))).p
    assert once == pytest.approx(expected["samples_only_p"], abs=tolerance)
    assert again == pytest.approx(
        expected[f"samples_only_p_after_{copies}x_duplication"], abs=tolerance
    )


def random_arms(seed: int, seeds: int = 4, n: int = 60):
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    first, second = (
        (rng.random((seeds, n)) < 0.4 + 0.5 * hard + rng.normal(0, 0.05, (seeds, 1))) * 1.0
        for _ in range(2)
    )
    return rng, first, second, rng.integers(0, 3, n), rng.integers(0, 8, n)


def test_accuracy_equals_the_quasi_f_of_a_two_way_anova():
    _, first, second, *_ = random_arms(0)
    difference = first - second
    seeds, n = difference.shape
    table = pd.DataFrame(
        {
            "d": difference.ravel(),
            "seed": np.repeat(np.arange(seeds), n),
            "sample": np.tile(np.arange(n), seeds),
        }
    )
    squares = anova_lm(smf.ols("d ~ C(seed) + C(sample)", table).fit())["mean_sq"]
    by_hand = squares["C(seed)"] + max(squares["C(sample)"] - squares["Residual"], 0)
    result = crossed_test(first, second)
    assert result.se == pytest.approx(np.sqrt(by_hand / (seeds * n)))


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_balanced_accuracy_averages_the_classes_present():
    _, _, _, y, _ = random_arms(1)
    rng = np.random.default_rng(2)
    y = y * 2  # class 1 and 3 do not occur
    predictions = [np.where(rng.random((3, y.size)) < 0.7, y, 3) for _ in range(2)]
    result = crossed_test(predictions[0] == y, predictions[1] == y, classes=y)
    expected = [
        balanced_accuracy_score(y, first) - balanced_accuracy_score(y, second)
        for first, second in zip(*predictions, strict=True)
    ]
    assert result.per_seed == pytest.approx(expected)


RUNS = st.integers(0, 2**32 - 1)
INVARIANT = ("p", "p_floor", "se", "se_floor", "df", "df_hillis", "se_samples_only", "ms_seed")


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
@given(seed=RUNS)
@settings(max_examples=25, deadline=None)
def test_swapping_flips_signs_and_order_changes_nothing(balanced, clustered, seed):
    rng, first, second, y, slides = random_arms(seed)
    classes, clusters = (y if balanced else None), (slides if clustered else None)
    one = crossed_test(first, second, classes=classes, clusters=clusters)
    assume(one.refused is None)
    swapped = crossed_test(second, first, classes=classes, clusters=clusters)
    samples, seeds = rng.permutation(len(y)), rng.permutation(len(first))
    shuffled = crossed_test(
        first[seeds][:, samples],
        second[seeds][:, samples],
        classes=None if classes is None else classes[samples],
        clusters=None if clusters is None else clusters[samples],
    )
    for other in (swapped, shuffled):
        assert [getattr(one, name) for name in INVARIANT] == pytest.approx(
            [getattr(other, name) for name in INVARIANT]
        )
    assert swapped.estimate == pytest.approx(-one.estimate)
    assert swapped.ci95_floor == pytest.approx((-one.ci95_floor[1], -one.ci95_floor[0]))
    assert shuffled.estimate == pytest.approx(one.estimate)


@given(seed=RUNS)
@settings(max_examples=25, deadline=None)
def test_unpaired_seeds_swap_and_shuffle_alike(seed):
    rng, first, second, y, slides = random_arms(seed)
    first = first[:3]
    one = crossed_test_unpaired(first, second, classes=y, clusters=slides)
    swapped = crossed_test_unpaired(second, first, classes=y, clusters=slides)
    shuffled = crossed_test_unpaired(
        first, second[rng.permutation(len(second))], classes=y, clusters=slides
    )
    names = ("se", "se_floor", "df", "p", "p_floor", "ms_r", "cov2", "cov3")
    for other in (swapped, shuffled):
        assert [getattr(one, name) for name in names] == pytest.approx(
            [getattr(other, name) for name in names]
        )
    assert swapped.estimate == pytest.approx(-one.estimate)


def test_unpaired_seeds_count_seed_and_sample_variance():
    rng = np.random.default_rng(11)
    hard = rng.random(80)
    # What an arm finds hard is its own, so that seeds of an arm covary and arms do not.
    first, second = (
        ((rng.random((3, 80)) < 0.9) * (rng.permutation(hard) < 0.7)) * 1.0 for _ in range(2)
    )
    result = crossed_test_unpaired(first, second, classes=np.arange(80) % 2)
    seeds, samples = result.ms_r * (1 / 3 + 1 / 3), 2 * (result.cov2 - result.cov3)
    assert samples > 0
    assert result.se**2 == pytest.approx(seeds + samples)
    df = (seeds + samples) ** 2 / (seeds**2 / 4 + samples**2 / 78)
    assert (result.df, result.p) == pytest.approx((df, 2 * t.sf(abs(result.t), df)))


def test_unpaired_seeds_have_a_floor():
    # Seeds agree in accuracy but not in which samples they miss: se is below the samples' own.
    first = np.ones((3, 60))
    for seed in range(3):
        first[seed, 10 * seed : 10 * seed + 9 + seed % 2] = 0
    result = crossed_test_unpaired(first, 1 - first[:, ::-1])
    assert result.se < result.se_samples_only == result.se_floor
    assert result.p_floor == pytest.approx(
        2 * t.sf(abs(result.estimate) / result.se_floor, result.df_floor)
    )
    half = (result.ci95_floor[1] - result.ci95_floor[0]) / 2
    assert half == pytest.approx(t.ppf(0.975, result.df_floor) * result.se_floor)


def test_copies_of_samples_narrow_the_interval_unless_clusters_are_given():
    _, first, second, *_ = random_arms(5)
    n = first.shape[1]
    copies = np.tile(np.arange(n), 4)
    once = crossed_test(first, second, clusters=np.arange(n))
    again = crossed_test(first[:, copies], second[:, copies], clusters=copies)
    naive = crossed_test(first[:, copies], second[:, copies])
    assert again.se_samples_only == pytest.approx(once.se_samples_only)
    assert naive.se_samples_only < 0.6 * once.se_samples_only


@pytest.mark.parametrize("test", [crossed_test, crossed_test_unpaired])
def test_few_seeds_and_few_slides(test):
    _, first, second, y, slides = random_arms(6, seeds=6)
    two = test(first[:2], second[:2])
    assert two.refused == "2 seeds: the crossed test needs at least 3"
    assert (two.p_floor, two.ci95_floor) == (None, None)
    assert two.se_samples_only > 0
    assert "only 3 seeds" in test(first[:3], second[:3]).warnings[0]
    assert test(first[:5], second[:5]).warnings == ()
    few = test(first, second, clusters=slides % 4)
    assert few.refused == "4 clusters: a clustered standard error needs at least 5"
    assert few.se_samples_only is None
    assert "only 5 clusters" in test(first, second, clusters=slides % 5).warnings[0]
    assert "only 19 clusters" in test(first, second, clusters=np.arange(60) % 19).warnings[0]
    assert test(first, second, clusters=np.arange(60) // 3).warnings == ()
    assert few.mark is None
    assert test(first, second).mark == "patch-level, optimistic"
    assert "one test sample" in test(first, second, classes=[9, *y[1:]]).refused


def test_zero_variance_is_refused():
    _, first, *_ = random_arms(7)
    same = crossed_test(first, first)
    assert "zero variance" in same.refused
    assert (same.estimate, same.p_floor) == (0.0, None)
    assert "zero variance" in crossed_test_unpaired(first * 0, first * 0 + 1).refused
    assert "zero variance" in samples_only_test(first, first).refused


def test_frames_and_any_labels_are_accepted():
    _, first, second, y, slides = random_arms(8)
    names = pd.Series([f"slide_{slide}" for slide in slides])
    framed = crossed_test(pd.DataFrame(first), pd.DataFrame(second), classes=y, clusters=names)
    assert framed == crossed_test(first, second, classes=y, clusters=slides)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b, g: (a[:, 1:], b, g), "align both by sample id"),
        (lambda a, b, g: (a[1:], b, g), "give the same seeds"),
        (lambda a, b, g: (a, b, g[1:]), "one label for each of the 60 samples"),
        (lambda a, b, g: (a, b, [None, *g[1:]]), "missing labels"),
        (lambda a, b, g: (a, np.where(b > 0, np.nan, b), g), "second contains NaN"),
        (lambda a, b, g: (a[np.newaxis], b, g), "give \\[seeds, samples\\]"),
        (lambda a, b, g: (a[:, :0], b, g), "not empty"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    _, first, second, _, slides = random_arms(9)
    one, two, clusters = change(first, second, slides.tolist())
    with pytest.raises(InputError, match=message):
        crossed_test(one, two, clusters=clusters)


def test_a_mean_is_tested_like_a_difference():
    _, first, second, y, _ = random_arms(10)
    assert crossed_mean(first - second, classes=y) == crossed_test(first, second, classes=y)


def test_wins_are_counted_over_seeds():
    assert crossed_mean([[1, 0, 1], [0, 0, 0], [0, -1, 0], [0, 1, 1]]).wins == "2/4"
