"""Other ways to learn a rule with linear scores, which the study names or precedes.

Each function returns a rule: a function from covariates to combinations.  Taught in
notebook ``c06_losses_and_structure``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler

from sudlib.policy.outcome_weights import outcome_weights
from sudlib.policy.q_learning import with_intercept
from sudlib.policy.study import check_covariates, check_study
from sudlib.policy.treatments import Array, combination_number, combinations
from sudlib.validation import check_number, check_rows, check_whole, numbers

Rule = Callable[[ArrayLike], Array]


def _linear_scores(
    X: ArrayLike,
    loss: Callable[[Array], tuple[float, Array]],
    outputs: int,
    alpha: float,
) -> Rule:
    """Return the linear scores that minimise a loss and a ridge penalty.

    ``loss`` returns its value and its slope by the scores.
    """
    check_number("alpha", alpha, 0)
    learned = BaseEstimator()  # keeps the names of covariates
    scaler = StandardScaler().fit(check_covariates(X, estimator=learned, reset=True))

    def inputs(new: ArrayLike) -> Array:
        return with_intercept(
            scaler.transform(check_covariates(new, estimator=learned))
        )

    Z = inputs(X)

    def objective(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(Z.shape[1], outputs)
        value, slope = loss(Z @ weights)
        shrunk = weights * (np.arange(len(weights)) > 0)[:, None]  # no intercepts
        slopes = Z.T @ slope + 2 * alpha * shrunk
        return value + alpha * float((shrunk**2).sum()), slopes.ravel()

    start = np.zeros(Z.shape[1] * outputs)
    found = minimize(objective, start, jac=True, method="L-BFGS-B").x
    return lambda new: inputs(new) @ found.reshape(-1, outputs)


def _signed_weights(
    X: ArrayLike, A: ArrayLike, outcome: ArrayLike, propensity: ArrayLike
) -> tuple[Array, Array, Array]:
    """Return treatments, and the size and the sign of centred weights."""
    A, weights = outcome_weights(*check_study(X, A, outcome, propensity))
    size = np.abs(weights[:, 0])
    return A, size / size.mean(), np.sign(weights[:, 0])


def angle_based_rule(
    X: ArrayLike,
    A: ArrayLike,
    outcome: ArrayLike,
    propensity: ArrayLike,
    alpha: float = 0.001,
) -> Rule:
    """Return a rule by angle-based multicategory outcome-weighted learning.

    Each combination is a class (the label powerset) and a corner of a simplex; the rule
    takes the corner nearest in angle to a vector of linear scores.  Weights are
    outcomes less their mean, over the propensity; where one is negative, the
    combination received is to be avoided.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates.
    A : array-like of shape (n, K)
        Treatments received, coded -1 and +1.
    outcome : array-like of shape (n,)
        Larger is better.
    propensity : float or array-like of shape (n,)
        Probability of the combination each person received.
    alpha : float, default=0.001
        Strength of the ridge penalty.

    Returns
    -------
    callable
        From covariates to combinations.

    Notes
    -----
    After Zhang, Chen, Fu, He, Zhao and Liu (2020), Multicategory outcome weighted
    margin-based learning for estimating individualized treatment rules.
    """
    A, size, sign = _signed_weights(X, A, outcome, propensity)
    arms = combinations(A.shape[1])
    corners = np.linalg.svd(np.eye(len(arms)) - 1 / len(arms))[0][:, :-1]
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    mine = corners[combination_number(A)]

    def loss(scores: Array) -> tuple[float, Array]:
        margin = sign * (mine * scores).sum(axis=1)
        slope = -(size * sign * expit(-margin))[:, None] * mine / len(scores)
        return float((size * np.logaddexp(0, -margin)).mean()), slope

    scores = _linear_scores(X, loss, len(arms) - 1, alpha)
    return lambda new: arms[(scores(new) @ corners.T).argmax(axis=1)]


def ranking_rule(
    X: ArrayLike,
    A: ArrayLike,
    outcome: ArrayLike,
    propensity: ArrayLike,
    take: int,
    alpha: float = 0.001,
) -> Rule:
    """Return a rule that ranks the treatments and gives the first of them.

    The loss compares each treatment that a person received with each that the person
    did not receive.  Only differences of scores matter, so there is no zero point: how
    many treatments to give cannot be learned from it.

    Parameters
    ----------
    X, A, outcome, propensity
        As for :func:`angle_based_rule`.
    take : int
        How many treatments everybody is given.
    alpha : float, default=0.001
        Strength of the ridge penalty.

    Returns
    -------
    callable
        From covariates to combinations.

    Notes
    -----
    After Huellermeier, Fuernkranz, Cheng and Brinker (2008), Label ranking by learning
    pairwise preferences.
    """
    A, size, sign = _signed_weights(X, A, outcome, propensity)
    treatments = A.shape[1]
    check_whole("take", take, 0, treatments)
    ahead = (A[:, :, None] > 0) & (A[:, None, :] < 0)  # received, not received
    share = ahead / np.maximum(ahead.sum(axis=(1, 2), keepdims=True), 1)

    def loss(scores: Array) -> tuple[float, Array]:
        margin = sign[:, None, None] * (scores[:, :, None] - scores[:, None, :])
        weight = size[:, None, None] * share
        pull = -weight * sign[:, None, None] * expit(-margin) / len(scores)
        value = float((weight * np.logaddexp(0, -margin)).sum() / len(scores))
        return value, pull.sum(axis=2) - pull.sum(axis=1)

    scores = _linear_scores(X, loss, treatments, alpha)

    def rule(new: ArrayLike) -> Array:
        place = (-scores(new)).argsort(axis=1).argsort(axis=1)
        return np.where(place < take, 1, -1)

    return rule


def value_search(X: ArrayLike, scores: ArrayLike, alpha: float = 0.0001) -> Rule:
    """Return the linear rule with the largest doubly robust value.

    The indicator of a decision is replaced by a logistic function of its score, so that
    the value has a slope to climb.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates.
    scores : array-like of shape (n, 2 ** K)
        From :func:`sudlib.policy.augmented_scores`.
    alpha : float, default=0.0001
        Strength of the ridge penalty.

    Returns
    -------
    callable
        From covariates to combinations.

    Notes
    -----
    After Zhang, Tsiatis, Laber and Davidian (2012), A robust method for estimating
    optimal treatment regimes.
    """
    check_rows(X=X, scores=scores)
    robust = numbers("scores", scores, column=False)
    taken = combinations(robust.shape[1].bit_length() - 1) > 0
    robust = (robust - robust.mean()) / (robust.std() or 1)

    def loss(linear: Array) -> tuple[float, Array]:
        given = expit(linear)[:, None]
        likely = np.where(taken, given, 1 - given).prod(axis=2) * robust
        slope = (likely[:, :, None] * (taken - given)).sum(axis=1)
        return -float(likely.sum(axis=1).mean()), -slope / len(linear)

    learned = _linear_scores(X, loss, taken.shape[1], alpha)
    return lambda new: np.where(learned(new) > 0, 1, -1)
