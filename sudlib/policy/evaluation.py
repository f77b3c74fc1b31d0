"""The value of a rule from data: what would happen if it were followed.

Study C's statistic :math:`T` (section 7), the doubly robust alternative, propensities
in the three ways that section 3 names, and intervals.  Also the guard that keeps small
groups of people out of what is shown.  Taught in notebook ``c05_diabetes``.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from sklearn.base import clone
from sklearn.model_selection import KFold

from sudlib.files import InputError
from sudlib.policy.propensity import Propensity, check_propensity
from sudlib.policy.q_learning import AdditiveQLearner
from sudlib.policy.treatments import check_study, check_treatments, combination_number

_Z = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error, its 95 % interval, and the people behind it."""

    value: float
    error: float
    low: float
    high: float
    people: int

    def __str__(self):
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


# ------------------------------------------------------------------ the study's own T


def agreement(given, recommended):
    """Return who was given exactly what the rule recommends, as booleans."""
    given = check_treatments(given)
    recommended = check_treatments(recommended, len(given))
    if given.shape != recommended.shape:
        raise InputError(
            f"the rule recommends on {recommended.shape[1]} treatments,"
            f" {given.shape[1]} were given"
        )
    return (given == recommended).all(axis=1)


def matched_average(outcome, given, recommended, propensity, *, normalise=True):
    r"""Return study C's :math:`T` and :math:`N` (section 7).

    .. math:: T = \frac{\sum_i w_i R_i}{\sum_i w_i}, \qquad
       w_i = \frac{I\{\hat A_i = a_i\}}{P(A_i = a_i \mid X_i)}

    Parameters
    ----------
    outcome : array-like of shape (people,)
        The study puts in the *change* in HbA1c (lower is better); this book puts in the
        drop unless it stands beside the printed table.
    given, recommended : array-like of shape (people, treatments)
        In −1 and +1.
    propensity : array-like of shape (people,)
        The chance of what was given.
    normalise : bool, default=True
        False divides by the number of people instead of the sum of the weights.

    Returns
    -------
    T : float
        NaN when nobody was given what the rule recommends.
    N : int
        People who were.
    """
    same = agreement(given, recommended)
    outcome = np.asarray(outcome, dtype=float)
    if outcome.shape != same.shape or not np.isfinite(outcome).all():
        raise InputError(
            f"the outcome must be one finite number for each of {len(same)} people"
        )
    weights = same / check_propensity(propensity, len(same))
    if not same.any():
        return float("nan"), 0
    bottom = weights.sum() if normalise else len(same)
    return float(weights @ outcome / bottom), int(same.sum())


def matched_interval(
    outcome, given, recommended, propensity, *, normalise=True, repeats=1000, seed=33
):
    """Return :math:`T` with a percentile bootstrap interval.

    People are drawn again with replacement; the rule and the propensities stay, so the
    interval says how well the sample tells the value of *this* rule.  Draws in which
    nobody agrees are left out.

    Parameters
    ----------
    outcome, given, recommended, propensity, normalise
        As for :func:`matched_average`.
    repeats : int, default=1000
    seed : int, default=33

    Returns
    -------
    Estimate
    """
    value, people = matched_average(
        outcome, given, recommended, propensity, normalise=normalise
    )
    same = agreement(given, recommended)
    if people < 2:
        nan = float("nan")
        return Estimate(value, nan, nan, nan, people)
    rows = np.flatnonzero(same)
    weights = 1 / np.asarray(propensity, float)[rows]
    random = np.random.default_rng(seed)
    # Only those who agree count: their copies are drawn from the whole sample.
    chances = np.r_[np.full(len(rows), 1 / len(same)), 1 - len(rows) / len(same)]
    copies = random.multinomial(len(same), chances, size=repeats)[:, :-1]
    top = copies @ (weights * np.asarray(outcome, float)[rows])
    bottom = copies @ weights if normalise else np.full(repeats, len(same))
    draws = top[bottom > 0] / bottom[bottom > 0]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value, float(draws.std(ddof=1)), float(low), float(high), people)


# ---------------------------------------------------- doubly robust, cross-fitted


def augmented_scores(
    X,
    A,
    outcome,
    *,
    propensity="multinomial",
    model=None,
    folds=5,
    least=0.01,
    seed=33,
):
    r"""Return every person's doubly robust score of every combination, cross-fitted.

    .. math:: \Gamma_i(a) = \hat Q(x_i, a) +
       \frac{I\{a_i = a\}}{\hat\pi_a(x_i)} \{R_i - \hat Q(x_i, a_i)\}

    The mean of :math:`\Gamma_i(d(x_i))` estimates the value of the rule :math:`d`.  It
    is right when the outcome model or the propensity is.  Both are fitted to other
    people than those they are used for.

    Parameters
    ----------
    X, A, outcome
        The study.
    propensity : {"marginal", "product", "multinomial"} or array-like
        How it is estimated, or the known chances, one column a combination.
    model : estimator, optional
        With ``fit(X, A, outcome)`` and ``outcomes(X)``; by default
        :class:`sudlib.policy.q_learning.AdditiveQLearner`.
    folds : int, default=5
    least : float, default=0.01
        Smaller chances are raised to this: a little bias against a lot of variance.
    seed : int, default=33

    Returns
    -------
    numpy.ndarray of shape (people, 2 ** treatments)
        Columns as in :func:`sudlib.policy.treatments.combinations`.
    """
    X, A, outcome = check_study(X, A, outcome)
    if not 2 <= folds <= len(X):
        raise InputError(f"folds must be from 2 to {len(X)} people, not {folds}")
    if not 0 <= least < 1:
        raise InputError(f"least must be from 0 to below 1, not {least!r}")
    model = AdditiveQLearner() if model is None else model
    known = None if isinstance(propensity, str) else np.asarray(propensity, float)
    scores = np.empty((len(X), 2 ** A.shape[1]))
    if known is not None and known.shape != scores.shape:
        raise InputError(
            f"known chances must have the shape {scores.shape}, not {known.shape}"
        )
    place = combination_number(A)
    for kept, rest in KFold(folds, shuffle=True, random_state=seed).split(X):
        fitted = clone(model).fit(X[kept], A[kept], outcome[kept])
        scores[rest] = fitted.outcomes(X[rest])
        if known is None:
            chances = Propensity(propensity).fit(X[kept], A[kept]).matrix(X[rest])
        else:
            chances = known[rest]
        here = np.arange(len(rest)), place[rest]
        chance = check_propensity(
            np.clip(chances[here], max(least, 1e-12), 1), len(rest)
        )
        scores[rest, place[rest]] += (outcome[rest] - scores[rest][here]) / chance
    return scores


def augmented_value(scores, recommended):
    """Return the value of a rule from :func:`augmented_scores`, with its interval.

    Parameters
    ----------
    scores : numpy.ndarray of shape (people, 2 ** treatments)
    recommended : array-like of shape (people, treatments)
        What a rule that was *not* fitted to these people recommends.

    Returns
    -------
    Estimate
        The interval is the normal one around the mean of the scores.
    """
    recommended = check_treatments(recommended, len(scores))
    own = scores[np.arange(len(scores)), combination_number(recommended)]
    value, error = float(own.mean()), float(own.std(ddof=1) / np.sqrt(len(own)))
    return Estimate(value, error, value - _Z * error, value + _Z * error, len(own))


def cross_fitted_value(make, X, A, outcome, *, folds=5, seed=33, scores=None, **more):
    """Return the value of a *method*: rules from the other folds, scored on each.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator with ``fit(X, A, outcome)`` and ``predict(X)``.
    X, A, outcome
        The study.
    folds, seed : int
    scores : numpy.ndarray, optional
        From :func:`augmented_scores`; computed with ``**more`` if absent.

    Returns
    -------
    estimate : Estimate
    recommended : numpy.ndarray
        What each person is recommended by the rule that did not see them.
    """
    X, A, outcome = check_study(X, A, outcome)
    if scores is None:
        scores = augmented_scores(X, A, outcome, folds=folds, seed=seed, **more)
    recommended = np.empty_like(A)
    for kept, rest in KFold(folds, shuffle=True, random_state=seed).split(X):
        rule = make().fit(X[kept], A[kept], outcome[kept])
        recommended[rest] = rule.predict(X[rest])
    return augmented_value(scores, recommended), recommended


def describe(treatments, names):
    """Return each person's combination in words.

    Examples
    --------
    >>> describe([[1, -1, 1], [-1, -1, -1]], ["dpp4", "su", "met"])
    ['dpp4 + met', 'none']
    """
    return [
        " + ".join(n for n, t in zip(names, row, strict=True) if t > 0) or "none"
        for row in check_treatments(treatments)
    ]
