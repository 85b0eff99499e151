import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from clipit_eva.analysis.significance import adjust
from clipit_eva.errors import InputError

KNOWN = "05_multiplicity.json"
METHODS = ("holm", "fdr_bh", "bonferroni", "fdr_by")


def test_methods(known, check):
    for method in METHODS:
        result = adjust(known["inputs"]["pvalues"], method)
        check(known["expected"][method], result, known["tolerance"]["default"])
        assert result.size == len(known["inputs"]["pvalues"])
    others = {"holm_of_permuted", "statsmodels_with_nan_raw", "holm_without_nan"}
    assert set(known["expected"]) == others | set(METHODS)


def test_permuted(known, check):
    permuted = np.array(known["inputs"]["pvalues"])[known["inputs"]["permutation"]]
    expected = known["expected"]["holm_of_permuted"]
    check(expected, adjust(permuted).adjusted, known["tolerance"]["default"])


def test_refused_cells_do_not_count(known):
    expected = known["expected"]["holm_without_nan"]
    raw = known["expected"]["statsmodels_with_nan_raw"]
    # The fixture does not list its p-values: undo Holm on them (its steps do not bind each other).
    family = np.argsort(np.argsort(expected))
    pvalues = iter(np.array(expected) / (len(expected) - family))
    with_gap = [None if value is None else next(pvalues) for value in raw]
    result = adjust(with_gap)
    present = [p for p in result.adjusted if p is not None]
    assert present == pytest.approx(expected, abs=known["tolerance"]["default"])
    assert result.size == len(expected)
    assert result.left_out == tuple(i for i, value in enumerate(raw) if value is None)
    assert [result.reject[i] for i in result.left_out] == [None] * len(result.left_out)
    assert present != pytest.approx([value for value in raw if value is not None])
    assert result.warnings
    assert adjust([np.nan if p is None else p for p in with_gap]) == result


@given(
    st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=20),
    st.sampled_from(METHODS),
    st.randoms(use_true_random=False),
)
def test_adjustment_does_not_depend_on_order(pvalues, method, random):
    order = list(range(len(pvalues)))
    random.shuffle(order)
    plain, shuffled = adjust(pvalues, method), adjust([pvalues[i] for i in order], method)
    for place, cell in enumerate(order):
        one, other = plain.adjusted[cell], shuffled.adjusted[place]
        assert (one is None) == (other is None) == (pvalues[cell] is None)
        assert one is None or one == pytest.approx(other, abs=1e-15)
        assert one is None or one >= pvalues[cell]


def test_a_family_without_p_values_is_refused():
    result = adjust([None, None])
    assert result.refused == "no test of the family has a p-value"
    assert (result.size, result.adjusted) == (0, (None, None))


def test_impossible_p_values_are_refused():
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        adjust([0.5, 1.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.sampled_from(METHODS))
@settings(max_examples=25)  # statsmodels collects garbage in every call
def test_statsmodels_says_the_same(pvalues, method):
    reject, adjusted, *_ = multipletests(pvalues, alpha=0.05, method=method)
    ours = adjust(pvalues, method)
    assert ours.adjusted == pytest.approx(adjusted, rel=1e-12)
    clear = np.abs(adjusted - 0.05) > 1e-9
    assert np.array_equal(np.array(ours.reject)[clear], reject[clear])
