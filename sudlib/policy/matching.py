"""The study's statistic T: the mean outcome of people who were treated as advised.

Section 7 of the study; taught in notebook ``c05_diabetes``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from sudlib.estimates import Estimate
from sudlib.files import InputError
from sudlib.policy.study import (
    check_outcome,
    check_propensity,
    check_treatments,
    column_names,
)
from sudlib.policy.treatments import Array
from sudlib.validation import (
    check_columns,
    check_rows,
    check_seed,
    check_whole,
    numbers,
)


def agreement(given: ArrayLike, recommended: ArrayLike) -> Array:
    """Return who received exactly what a rule recommends.

    Parameters
    ----------
    given, recommended : array-like of shape (n, K)
        Coded -1 and +1.  Of two frames whose columns have names, columns of one name
        are compared.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)

    Raises
    ------
    sudlib.files.InputError
        If they are not of the same shape, or their rows do not match.
    """
    check_rows(given=given, recommended=recommended)
    names = column_names(given) if column_names(recommended) else None
    given = check_treatments(given)
    recommended = check_treatments(recommended, len(given), names)
    if given.shape != recommended.shape:
        raise InputError(
            f"the rule recommends on {recommended.shape[1]} treatments,"
            f" {given.shape[1]} were given"
        )
    return (given == recommended).all(axis=1)


def matched_average(
    outcome: ArrayLike,
    given: ArrayLike,
    recommended: ArrayLike,
    propensity: ArrayLike,
    *,
    normalise: bool = True,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, int]:
    r"""Return study C's :math:`T` and :math:`N`: an inverse probability weighted mean.

    .. math:: T &= \frac{\sum_i w_i R_i}{\sum_i w_i}, \\
       w_i &= \frac{I\{\hat A_i = a_i\}}{P(A_i = a_i \mid X_i)}

    Parameters
    ----------
    outcome : array-like of shape (n,)
        The study puts in the *change* in HbA1c (lower is better); this book puts in the
        drop unless it stands beside the printed table.
    given, recommended : array-like of shape (n, K)
        Coded -1 and +1.
    propensity : float or array-like of shape (n,)
        Probability of the combination received.
    normalise : bool, default=True
        False divides by the number of people instead of the sum of the weights.
    sample_weight : array-like of shape (n,), optional
        What each person counts; by default 1.

    Returns
    -------
    T : float
        NaN when nobody received what the rule recommends.
    N : int
        Number of people who did.

    Raises
    ------
    sudlib.files.InputError
        For outcomes, treatments, propensities or weights that cannot be used, or whose
        rows do not match.

    References
    ----------
    Liang, Ye and Fu, section 7.
    """
    check_rows(outcome=outcome, given=given, propensity=propensity)
    check_columns(outcome=outcome, sample_weight=sample_weight)
    agree = agreement(given, recommended)
    outcome = check_outcome(outcome, len(agree))
    counts = np.ones(len(agree))
    if sample_weight is not None:
        counts = numbers("sample_weight", sample_weight, 0)
        counts = counts / (counts.max() or 1)  # so that no sum is too large
    weights = agree * counts / check_propensity(propensity, len(agree))
    if not weights.any():
        return float("nan"), 0
    total = weights.sum() if normalise else counts.sum()
    return float(weights @ outcome / total), int(agree.sum())


def matched_interval(
    outcome: ArrayLike,
    given: ArrayLike,
    recommended: ArrayLike,
    propensity: ArrayLike,
    *,
    normalise: bool = True,
    n_resamples: int = 1000,
    seed: int = 33,
) -> Estimate:
    """Return :math:`T` with an expanded percentile bootstrap interval.

    People are drawn again with replacement; the rule and the propensities stay, so the
    interval says how well the sample tells the value of *this* rule.  Resamples in
    which nobody agrees are left out.  Percentiles are expanded for the effective number
    of people who agree, of whom there may be few (Hesterberg 2015, What teachers should
    know about the bootstrap).

    Parameters
    ----------
    outcome, given, recommended, propensity, normalise
        As for :func:`matched_average`.
    n_resamples : int, default=1000
        Bootstrap resamples.
    seed : int, default=33
        Seed of the resamples.

    Returns
    -------
    sudlib.estimates.Estimate
        With the 95% interval; ``n`` is the number of people who agree.  Without one
        where these are fewer than two, or all have the same outcome.
    """
    check_whole("n_resamples", n_resamples, 2)
    value, people = matched_average(
        outcome, given, recommended, propensity, normalise=normalise
    )
    if people < 2:
        return Estimate(value, n=people, reason="fewer than two people agree")
    agree = agreement(given, recommended)
    outcome = np.asarray(outcome, float)[agree]
    if normalise and (outcome == outcome[0]).all():
        alike = "all who agree have one outcome: resamples cannot differ"
        return Estimate(value, n=people, reason=alike)
    weights = 1 / check_propensity(propensity, len(agree))[agree]
    # Only people who agree count: their copies in a resample of everybody.
    shares = np.r_[np.full(people, 1 / len(agree)), 1 - people / len(agree)]
    generator = np.random.default_rng(check_seed(seed))
    copies = generator.multinomial(len(agree), shares, size=n_resamples)[:, :-1]
    top = copies @ (weights * outcome)
    total = copies @ weights if normalise else np.full(n_resamples, len(agree))
    resampled = top[total > 0] / total[total > 0]
    # Of so few people percentiles alone are too narrow, by n - 1 for n and z for t.
    few = max(float(weights.sum() ** 2 / (weights**2).sum()), 2.0)
    tail = stats.norm.cdf(stats.t.ppf(0.025, few - 1) * np.sqrt(few / (few - 1)))
    low, high = np.quantile(resampled, [tail, 1 - tail])
    error = float(resampled.std(ddof=1))
    return Estimate(value, float(low), float(high), error, people)
