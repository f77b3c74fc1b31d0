"""Doubly robust, cross-fitted estimates: of effects, and of the value of a rule.

An outcome model predicts, and the residual of the combination that was received,
divided by its probability, corrects the prediction.  The estimate is consistent when
the outcome model or the propensity is correctly specified.  Taught in notebooks
``c05_diabetes`` and ``c06_beyond_the_paper``.

References
----------
Robins, Rotnitzky and Zhao (1994), Estimation of regression coefficients when some
regressors are not always observed.  Athey and Wager (2021), Policy learning with
observational data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import KFold

from sudlib.estimates import Estimate, normal_estimate
from sudlib.files import InputError
from sudlib.policy.propensity import Propensity
from sudlib.policy.q_learning import AdditiveQLearner
from sudlib.policy.treatments import (
    Array,
    Study,
    check_propensity,
    check_study,
    check_treatments,
    combination_number,
)
from sudlib.validation import check_number, check_whole


def _cross_fit(
    fit: Callable[[Study], Any], study: Study, n_splits: int, seed: int
) -> Iterator[tuple[Array, Array, Any]]:
    """Yield training rows, the rows left out, and what was fitted to the former."""
    check_whole("n_splits", n_splits, 2, len(study.X))
    folds = KFold(n_splits, shuffle=True, random_state=seed)
    for train, rest in folds.split(study.X):
        yield train, rest, fit(study.rows(train))


def doubly_robust_contrasts(
    X: ArrayLike,
    A: ArrayLike,
    outcome: ArrayLike,
    propensity: ArrayLike,
    seed: int = 0,
    n_splits: int = 5,
) -> Array:
    r"""Return a doubly robust estimate of each treatment's effect for each person.

    With an additive outcome model :math:`\hat Q` fitted on other folds,

    .. math:: \Delta_k = \hat Q_k(X) + \frac{A_k}{2^{K-1}}
              \frac{R - \hat Q(X, A)}{\pi_A(X)},

    whose mean given X is the average effect of treatment k over all combinations of
    the others.  It is the contrast between the mean :func:`augmented_scores` of the
    combinations with treatment k and of those without.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates.
    A : array-like of shape (n, K)
        Treatments received, coded -1 and +1.
    outcome : array-like of shape (n,)
        Larger is better.
    propensity : float or array-like of shape (n,)
        Probability of the combination received.
    seed : int, default=0
        Seed of the folds.
    n_splits : int, default=5
        Folds of the cross-fitting.

    Returns
    -------
    numpy.ndarray of shape (n, K)
    """
    study = check_study(X, A, outcome, propensity, varying=False)
    contrasts = np.empty(study.A.shape)

    def fit(train: Study) -> AdditiveQLearner:
        # In a small fold a rare treatment may be missing: its effect is shrunk to 0.
        model = AdditiveQLearner(effect_penalty=4.0, standardise=False)
        model._fit(check_study(*train, estimator=model, varying=False))
        return model

    for _, rest, model in _cross_fit(fit, study, n_splits, seed):
        X, A, outcome, chance = study.rows(rest)
        correction = (outcome - model.expected(X, A)) / chance
        scale = A / 2.0 ** (A.shape[1] - 1)
        contrasts[rest] = 2 * model.decision_function(X) + scale * correction[:, None]
    return contrasts


def augmented_scores(
    X: ArrayLike,
    A: ArrayLike,
    outcome: ArrayLike,
    *,
    propensity: str | ArrayLike = "multinomial",
    model: Any = None,
    n_splits: int = 5,
    least: float = 0.01,
    seed: int = 33,
) -> Array:
    r"""Return every person's doubly robust score of every combination, cross-fitted.

    .. math:: \Gamma_i(a) = \hat Q(x_i, a) +
       \frac{I\{a_i = a\}}{\hat\pi_a(x_i)} \{R_i - \hat Q(x_i, a_i)\}

    The mean of :math:`\Gamma_i(d(x_i))` estimates the value of the rule :math:`d`.
    Both models are fitted to other people than those they are used for.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates.
    A : array-like of shape (n, K)
        Treatments received, coded -1 and +1.
    outcome : array-like of shape (n,)
        Larger is better.
    propensity : str or array-like, default="multinomial"
        How it is estimated ("marginal", "product" or "multinomial"), or known
        probabilities, (n, 2 ** K), one column a combination.
    model : estimator, optional
        With ``fit(X, A, outcome)`` and ``outcomes(X)``; by default
        :class:`AdditiveQLearner`.
    n_splits : int, default=5
        Folds of the cross-fitting.
    least : float, default=0.01
        Smaller probabilities are raised to this: a little bias against a lot of
        variance.
    seed : int, default=33
        Seed of the folds.

    Returns
    -------
    numpy.ndarray of shape (n, 2 ** K)
        Columns as in :func:`sudlib.policy.combinations`.

    Raises
    ------
    sudlib.files.InputError
        For data that :func:`sudlib.policy.treatments.check_study` refuses, and known
        probabilities of another shape.
    """
    study = check_study(X, A, outcome)
    check_number("least", least, 0, 1, open_high=True)
    model = AdditiveQLearner() if model is None else model
    received = combination_number(study.A)
    scores = np.empty((len(study.X), 2 ** study.A.shape[1]))
    known = None if isinstance(propensity, str) else np.asarray(propensity, float)
    if known is not None and known.shape != scores.shape:
        raise InputError(
            f"known probabilities must have shape {scores.shape}, not {known.shape}"
        )

    def fit(train: Study) -> Any:
        return clone(model).fit(*train[:3])

    for train, rest, fitted in _cross_fit(fit, study, n_splits, seed):
        X, A, outcome, _ = study.rows(rest)
        if known is None:
            chances = Propensity(propensity).fit(study.X[train], study.A[train])
            chance = chances.predict_received(X, A)
        else:
            chance = known[rest, received[rest]]
        chance = check_propensity(np.clip(chance, max(least, 1e-12), 1), len(rest))
        scores[rest] = fitted.outcomes(X)
        scores[rest, received[rest]] += (
            outcome - scores[rest, received[rest]]
        ) / chance
    return scores


def augmented_value(scores: Array, recommended: ArrayLike) -> Estimate:
    """Return the value of a rule from :func:`augmented_scores`, with its interval.

    Parameters
    ----------
    scores : numpy.ndarray of shape (n, 2 ** K)
        From :func:`augmented_scores`.
    recommended : array-like of shape (n, K)
        What a rule that was *not* fitted to these people recommends.

    Returns
    -------
    sudlib.estimates.Estimate
        With the normal 95 % interval around the mean of the scores.
    """
    recommended = check_treatments(recommended, len(scores))
    followed = scores[np.arange(len(scores)), combination_number(recommended)]
    error = followed.std(ddof=1) / np.sqrt(len(followed))
    return normal_estimate(float(followed.mean()), float(error), n=len(followed))


def cross_fitted_value(
    make: Callable[[], Any],
    X: ArrayLike,
    A: ArrayLike,
    outcome: ArrayLike,
    *,
    n_splits: int = 5,
    seed: int = 33,
    scores: Array | None = None,
    **more: Any,
) -> tuple[Estimate, Array]:
    """Return the value of a *method*: rules from the other folds, scored on each.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator with ``fit(X, A, outcome)`` and ``predict(X)``.
    X, A, outcome : array-like
        The study, as for :func:`augmented_scores`.
    n_splits : int, default=5
        Folds of the cross-fitting.
    seed : int, default=33
        Seed of the folds.
    scores : numpy.ndarray of shape (n, 2 ** K), optional
        From :func:`augmented_scores`; computed if absent.
    **more
        Further arguments of :func:`augmented_scores`.

    Returns
    -------
    estimate : sudlib.estimates.Estimate
        The value with its 95 % interval.
    recommended : numpy.ndarray of int8, shape (n, K)
        What each person is recommended by the rule that was fitted without them.
    """
    study = check_study(X, A, outcome)
    if scores is None:
        scores = augmented_scores(*study[:3], n_splits=n_splits, seed=seed, **more)
    recommended = np.empty_like(study.A)

    def fit(train: Study) -> Any:
        return make().fit(*train[:3])

    for _, rest, rule in _cross_fit(fit, study, n_splits, seed):
        recommended[rest] = rule.predict(study.X[rest])
    return augmented_value(scores, recommended), recommended
