"""What a row counts in outcome-weighted learning.

Taught in notebooks c04 (which weights reproduce the study) and c09 (which are better).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict

from sudlib.policy.crossfitting import folds
from sudlib.policy.doubly_robust import doubly_robust_contrasts
from sudlib.policy.q_learning import RIDGE_ALPHAS
from sudlib.policy.study import (
    check_outcome,
    check_propensity,
    check_treatments,
)
from sudlib.policy.treatments import Array, signs
from sudlib.validation import check_choice, check_rows

#: What may be made of the outcome before it is divided by the propensity.
WEIGHTS = ("raw", "shifted", "centred", "residual", "augmented")


def outcome_weights(
    X: ArrayLike,
    A: ArrayLike,
    outcome: ArrayLike,
    propensity: ArrayLike,
    how: str = "centred",
    seed: int = 0,
) -> tuple[Array, Array]:
    """Return what each row counts in the outcome-weighted loss.

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
    how : {"raw", "shifted", "centred", "residual", "augmented"}, default="centred"
        The outcome itself; less its minimum; less its mean; less a ridge regression on
        X (cross-fitted); or, for each treatment, a doubly robust contrast.
    seed : int, default=0
        Seed of the folds.

    Returns
    -------
    targets : numpy.ndarray of shape (n, K)
        Combinations that a rule should agree with; the received ones, or with
        "augmented" the sign of each contrast.
    weights : numpy.ndarray of shape (n, 1) or (n, K)
        Without "augmented" they may be negative: such a person's treatment should be
        avoided.

    Raises
    ------
    sudlib.files.InputError
        For outcomes, treatments or propensities that cannot be used, or whose rows do
        not match.

    Examples
    --------
    >>> targets, weights = outcome_weights([[0], [0]], [[1], [-1]], [3.0, 1.0], 0.5)
    >>> weights.tolist()
    [[2.0], [-2.0]]
    """
    check_choice("weights", how, WEIGHTS)
    check_rows(X=X, A=A, outcome=outcome, propensity=propensity)
    A = check_treatments(A, len(X))  # type: ignore[arg-type]
    outcome = check_outcome(outcome, len(A))
    propensity = check_propensity(propensity, len(A))
    if how == "augmented":
        contrasts = doubly_robust_contrasts(X, A, outcome, propensity, seed)
        return signs(contrasts), np.abs(contrasts)
    baseline = {"shifted": outcome.min(), "centred": outcome.mean()}.get(how, 0.0)
    if how == "residual":
        ridge = RidgeCV(alphas=RIDGE_ALPHAS)
        cv = list(folds(len(A), 5, seed))
        baseline = cross_val_predict(ridge, X, outcome, cv=cv)
    return A, ((outcome - baseline) / propensity)[:, None]
