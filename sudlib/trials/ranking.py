"""How well scores rank people: the area under the ROC curve, with its interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from sudlib.classes import code_outcomes
from sudlib.estimates import exact_limits
from sudlib.files import InputError
from sudlib.validation import check_columns, check_seed, check_whole, numbers


def area(outcome: ArrayLike, score: ArrayLike) -> float:
    """Return the share of pairs, one with and one without, that a score ranks rightly.

    Parameters
    ----------
    outcome : array-like of 0 and 1, shape (n,)
    score : array-like of float, shape (n,)
        A tie counts as half a pair.

    Returns
    -------
    float
        The area under the ROC curve; NaN where everybody has the same outcome.

    Raises
    ------
    InputError
        For outcomes other than 0 and 1, scores that are no finite numbers, and rows
        that do not match.

    Examples
    --------
    >>> area([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    check_columns(outcome=outcome, score=score)
    [positive] = code_outcomes(outcome=outcome)
    return _area(positive, numbers("score", score))


def _area(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Return the area of checked columns."""
    ranks, n = rankdata(score), int(positive.sum())
    if not 0 < n < len(ranks):
        return float("nan")
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(ranks) - n)))


def areas(
    outcome: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    n_resamples: int = 500,
    seed: int = 33,
) -> pd.DataFrame:
    """Return several scores' areas, and each one's difference to the first.

    The intervals are percentiles of a bootstrap of these people, stratified by
    outcome; all scores are judged on the same draws.  Where no draw can differ (an
    area of 0 or 1, or one score for everybody with an outcome, as of one person) the
    interval reaches to exact (Clopper-Pearson) limits, as a share of the people of the
    rarer outcome, and a gap of two such areas to Newcombe's.

    Parameters
    ----------
    outcome : array-like of 0 and 1, shape (n,)
    scores : dict of str to array-like, shape (n,)
    n_resamples : int, default=500
    seed : int, default=33

    Returns
    -------
    pandas.DataFrame
        One row a score: ``value``, ``low``, ``high``, and ``gap``, ``gap_low``,
        ``gap_high``.
    """
    check_whole("n_resamples", n_resamples, low=1)
    if not isinstance(scores, Mapping | pd.DataFrame):
        raise InputError(f"scores must be a dict, by name, not {type(scores).__name__}")
    check_columns(outcome=outcome, **{f"score {k}": each for k, each in scores.items()})
    [positive] = code_outcomes(outcome=outcome)
    given = {name: numbers(name, score) for name, score in scores.items()}
    if not given or positive.all() or not positive.any():
        raise InputError("areas need scores, and people with and without the outcome")
    random = np.random.default_rng(check_seed(seed))
    groups = [np.flatnonzero(positive == value) for value in (False, True)]
    draws = np.hstack([random.choice(g, (n_resamples, len(g))) for g in groups])
    every = list(given.values())
    value = np.array([_area(positive, score) for score in every])
    drawn = np.array([[_area(positive[d], s[d]) for s in every] for d in draws])
    table = pd.DataFrame({"value": value}, index=list(given))
    ends = [0.025, 0.975]
    low, high = np.quantile(drawn, ends, axis=0)
    fewer = min(map(len, groups))
    least, most = exact_limits(value * fewer, fewer)
    alike = [min(np.ptp(s[g]) for g in groups) == 0 < np.ptp(s) for s in every]
    rigid = (value == 0) | (value == 1) | alike
    low = np.where(rigid, np.fmin(low, least), low)
    high = np.where(rigid, np.fmax(high, most), high)
    table["low"], table["high"], table["gap"] = low, high, value - value[0]
    gap_low, gap_high = np.quantile(drawn - drawn[:, :1], ends, axis=0)
    rigid &= rigid[0] & [not np.array_equal(s, every[0]) for s in every]
    below = np.hypot(value - low, high[0] - value[0])
    above = np.hypot(high - value, value[0] - low[0])
    table["gap_low"] = np.where(rigid, table["gap"] - below, gap_low)
    table["gap_high"] = np.where(rigid, table["gap"] + above, gap_high)
    return table
