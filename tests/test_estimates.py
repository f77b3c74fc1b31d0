"""Exact limits beside SciPy's, and intervals that hold their own number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sudlib import estimates
from sudlib.files import InputError


@given(
    k=st.integers(0, 40), more=st.integers(0, 40), tail=st.sampled_from([0.025, 1e-6])
)
@settings(max_examples=60, deadline=None)
def test_limits_are_scipys_exact_ones(k, more, tail):
    if k + more == 0:
        return
    found = estimates.exact_limits(
        np.array([1.0 * k]), np.array([1.0 * k + more]), tail
    )
    expected = stats.binomtest(k, k + more).proportion_ci(1 - 2 * tail, "exact")
    assert found[0][0] == pytest.approx(expected.low, abs=1e-9)
    assert found[1][0] == pytest.approx(expected.high, abs=1e-9)


@given(
    value=st.floats(-2, 2),
    draws=st.lists(st.floats(-2, 2), min_size=1, max_size=30),
    reach=st.lists(st.floats(-3, 3), max_size=2),
)
@settings(max_examples=60, deadline=None)
def test_a_percentile_interval_holds_its_value_and_what_it_has_to(value, draws, reach):
    found = estimates.percentile_estimate(value, draws, reach=[*reach, np.nan])
    low, high = np.percentile(draws, [2.5, 97.5])
    assert found.low <= value <= found.high
    assert found.low == pytest.approx(min(low, value, *reach))
    assert found.high == pytest.approx(max(high, value, *reach))


def test_draws_without_a_value_are_counted():
    found = estimates.percentile_estimate(0.5, [0.4, 0.6, np.nan])
    assert found.reason == "undefined in 1 of 3 draws" and found.low >= 0.4
    assert estimates.percentile_estimate(0.5, []).reason == "no draws"
    assert estimates.percentile_estimate(0.5, [np.nan]).reason == "undefined"
    nothing = estimates.percentile_estimate(np.nan, [0.4], undefined="nobody")
    assert nothing.reason == "nobody" and np.isnan(nothing.low)


@pytest.mark.parametrize("share", [0, 1, 30, "0.3"])
def test_the_share_of_the_test_set_lies_between_0_and_1(share):
    with pytest.raises(
        InputError, match="test_size must be a number above 0 and below 1"
    ):
        estimates.mean_over_splits([0.5, 0.6], test_size=share)


@pytest.mark.parametrize("wrong", [[], [[0.5, 0.6], [0.1, 0.2]]])
def test_scores_of_splits_are_one_column(wrong):
    with pytest.raises(InputError, match="scores must"):
        estimates.mean_over_splits(wrong)
