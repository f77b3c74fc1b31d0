"""F-beta, net benefit, the best threshold, and how well a score is calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from sklearn import metrics

from sudlib.classes import code_outcomes
from sudlib.files import InputError
from sudlib.validation import (
    check_columns,
    check_confidence,
    check_number,
    check_whole,
    numbers,
)

#: Squares of larger numbers are too close to what a float can hold.
_LARGEST_BETA = 1e100


def _check(
    completed: ArrayLike, *score: ArrayLike, **more: ArrayLike
) -> tuple[NDArray[Any], ...]:
    """Return truth and predictions as booleans, a score as floats, or say why not."""
    given = dict(zip(["score"], score, strict=False))
    check_columns(completed=completed, **given, **more)
    found = code_outcomes(completed=completed, **more)
    return (*found, *(numbers("score", each) for each in score))


def _check_risks(completed: ArrayLike, score: ArrayLike) -> tuple[NDArray[Any], ...]:
    """Return truth and probabilities; percentages and logits are none."""
    completed, score = _check(completed, score)
    for end in (score.min(), score.max()):
        check_number("each score, a probability,", float(end), 0, 1)
    return completed, score


def f_beta(completed: ArrayLike, predicted: ArrayLike, beta: float = 0.5) -> float:
    """Return F-beta, or NaN when nobody is positive in truth or prediction.

    ``(1 + beta²) precision · recall / (beta² precision + recall)``; a beta of 0.5
    favours precision.  With nobody predicted positive it is 0 as long as somebody is:
    recall is then 0, and only precision is undefined.

    Parameters
    ----------
    completed, predicted : array-like of 0 and 1, shape (n,)
    beta : float, default=0.5
        How many times as much recall counts as precision.

    Returns
    -------
    float

    Examples
    --------
    >>> f_beta([0, 1, 1], [1, 1, 0])
    0.5
    """
    check_number("beta", beta, 0, _LARGEST_BETA)
    completed, predicted = _check(completed, predicted=predicted)
    score = metrics.fbeta_score(completed, predicted, beta=beta, zero_division=np.nan)
    return float(score)


def best_threshold(completed: ArrayLike, score: ArrayLike, beta: float = 0.5) -> float:
    """Return the threshold with the highest F-beta on these rows.

    Choose it on rows that neither fitted the model nor report its result.

    Parameters
    ----------
    completed : array-like of 0 and 1, shape (n,)
    score : array-like of float, shape (n,)
    beta : float, default=0.5
        See :func:`f_beta`.

    Returns
    -------
    float
        One of the scores; predict positive at or above it.  Of equally good ones the
        highest, which flags the fewest people.

    Raises
    ------
    InputError
        If nobody is positive: every threshold is then equally bad.

    Examples
    --------
    >>> best_threshold([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    0.5
    """
    completed, score = _check(completed, score)
    check_number("beta", beta, 0, _LARGEST_BETA)
    if not completed.any():
        raise InputError(
            "a threshold cannot be chosen: none of the"
            f" {len(completed):,} people completed"
        )
    # From counts, in one division each: equally good thresholds are equal floats.
    distinct, group = np.unique(-score, return_inverse=True)
    hits, flagged = np.bincount(group, completed).cumsum(), np.bincount(group).cumsum()
    value = (1 + beta**2) * hits / (beta**2 * completed.sum() + flagged)
    return float(-distinct[value.argmax()])


def calibration(
    completed: ArrayLike,
    score: ArrayLike,
    bins: int = 10,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Return the share that completed among people with about the same score.

    Parameters
    ----------
    completed : array-like of 0 and 1, shape (n,)
    score : array-like of float, shape (n,)
        Probabilities.
    bins : int, default=10
        Bins with about equally many people; equal scores stay together, so there may be
        fewer.
    confidence_level : float, default=0.95
        Nominal coverage of the Wilson interval.

    Returns
    -------
    pandas.DataFrame
        One row a bin: ``score`` (mean), ``observed`` (share), ``low``, ``high``, ``n``.

    Examples
    --------
    >>> calibration([0, 1, 0, 1], [0.2, 0.2, 0.8, 0.8], bins=2)["observed"].tolist()
    [0.5, 0.5]
    """
    completed, score = _check_risks(completed, score)
    check_whole("bins", bins, 1)
    check_confidence(confidence_level)
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    frame = pd.DataFrame({"score": score, "observed": completed})
    groups = frame.groupby(np.searchsorted(edges, score, side="left"))
    table, done = groups.mean(), groups["observed"].agg(["sum", "size"])
    ends = [
        binomtest(k, n).proportion_ci(confidence_level, method="wilson")
        for k, n in done.itertuples(index=False)
    ]
    table["low"], table["high"] = zip(*ends, strict=True)
    return table.assign(n=done["size"]).reset_index(drop=True)


def net_benefit(
    outcome: ArrayLike, score: ArrayLike, thresholds: ArrayLike
) -> pd.DataFrame:
    """Return the net benefit of acting on a score, at each threshold.

    To act at a probability of t is to say that one person reached in vain costs
    t / (1 - t) of what one person reached rightly is worth.  Net benefit is the share
    reached rightly, less the share reached in vain at that price: TP/n - FP/n t/(1-t).

    Parameters
    ----------
    outcome : array-like of 0 and 1, shape (n,)
        1 for the people who are to be reached.
    score : array-like of float, shape (n,)
        The probability of that outcome, as the model gives it.
    thresholds : array-like of float, shape (m,)
        Between 0 and 1; the action is taken at or above.

    Returns
    -------
    pandas.DataFrame
        One row a threshold: ``model``, and ``everybody`` where all are reached.  To
        reach nobody has a net benefit of 0.

    Raises
    ------
    InputError
        If a threshold is 0 or less, or 1 or more: the price would be 0 or infinite.

    Notes
    -----
    Drawn over all thresholds it is the decision curve of Vickers and Elkin (2006).
    Taught in ``a03_forest_methadone``.

    Examples
    --------
    >>> net_benefit([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], [0.5]).round(3).values.tolist()
    [[0.0, 0.0]]
    """
    outcome, score = _check_risks(outcome, score)
    at = numbers("thresholds", thresholds)
    if not len(at) or at.min() <= 0 or at.max() >= 1:
        raise InputError(
            f"thresholds must lie between 0 and 1, both excluded, not {at.tolist()}"
        )
    reached = score >= at[:, None]
    rightly, in_vain = (reached & outcome).mean(1), (reached & ~outcome).mean(1)
    price, share = at / (1 - at), outcome.mean()
    worth = {"model": rightly - in_vain * price}
    worth["everybody"] = share - (1 - share) * price
    return pd.DataFrame(worth, pd.Index(at, name="threshold"))
