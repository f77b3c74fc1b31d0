"""What a row counts: propensities, outcome weights, pseudo-outcomes.

Taught in notebooks c04 (which weights reproduce the study) and c06 (which are better).
"""

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from sudlib.files import InputError

WEIGHTS = ("raw", "shifted", "centred", "residual", "augmented")


def interactions(A, X, pairs=False):
    """Return the design of an additive outcome model: X, A, and A times X.

    With ``pairs`` also each product of two treatments, and it times X.
    """
    A = np.asarray(A, dtype="float32")
    basis = contrast_basis(A, 2 if pairs else 1)[:, 1:]
    X1 = np.column_stack([np.ones(len(X), "f4"), X])
    crossed = (basis[:, :, None] * X1[:, None, :]).reshape(len(X), -1)
    return np.column_stack([X, crossed])


def contrast_basis(A, order=1):
    """Return a constant, each treatment (halved), and with order 2 each pair's product.

    Treatments are coded -1/2 and +1/2, so that a treatment's coefficient is its effect.

    Examples
    --------
    >>> contrast_basis([[1, -1]], 2).tolist()
    [[1.0, 0.5, -0.5, -0.5]]
    """
    if order not in (1, 2):
        raise InputError(f"order of a contrast must be 1 or 2, not {order!r}")
    A = np.asarray(A, dtype="float32")
    parts = [np.ones((len(A), 1), "f4"), A / 2]
    if order == 2:
        first, second = np.triu_indices(A.shape[1], 1)
        parts.append(A[:, first] * A[:, second] / 2)
    return np.column_stack(parts)


def outcome_weights(X, A, outcome, propensity, how="centred", seed=0):
    """Return what each row counts in the outcome-weighted loss.

    Parameters
    ----------
    X, A, outcome : arrays of shape (n, p), (n, K) and (n,)
    propensity : array of shape (n,)
        Probability of the combination each person received.
    how : {"raw", "shifted", "centred", "residual", "augmented"}
        The outcome itself; less its minimum; less its mean; less a ridge regression on
        X (cross-fitted); or, for each treatment, a doubly robust contrast.
    seed : int
        Of the folds.

    Returns
    -------
    targets : numpy.ndarray of shape (n, K)
        Combinations a rule should agree with; the received ones, or with "augmented"
        the sign of each contrast.
    weights : numpy.ndarray of shape (n, 1) or (n, K)
    """
    if how not in WEIGHTS:
        raise InputError(f"weights must be one of {', '.join(WEIGHTS)}, not {how!r}")
    A, outcome = np.asarray(A), np.asarray(outcome, dtype=float)
    if how == "augmented":
        contrasts = doubly_robust_contrasts(X, A, outcome, propensity, seed)
        return np.where(contrasts > 0, 1, -1), np.abs(contrasts)
    taken = {
        "raw": lambda: outcome,
        "shifted": lambda: outcome - outcome.min(),
        "centred": lambda: outcome - outcome.mean(),
        "residual": lambda: outcome - crossed_ridge(X, outcome, seed),
    }[how]()
    return A, (taken / propensity)[:, None]


_STRENGTHS = np.logspace(-1, 4, 11)


def crossed_ridge(X, outcome, seed=0, folds=5):
    """Return predictions of a ridge regression for rows it was not fitted on."""
    found = np.empty(len(outcome))
    for kept, left in KFold(folds, shuffle=True, random_state=seed).split(X):
        model = RidgeCV(alphas=_STRENGTHS).fit(X[kept], outcome[kept])
        found[left] = model.predict(X[left])
    return found


def doubly_robust_contrasts(X, A, outcome, propensity, seed=0, folds=5):
    r"""Return a doubly robust estimate of each treatment's effect for each person.

    With an additive outcome model :math:`\hat Q` fitted on other folds,

    .. math:: \Delta_k = \hat Q_k(X) + \frac{A_k}{2^{K-1}}
              \frac{R - \hat Q(X, A)}{\pi_A(X)},

    whose mean given X is the average effect of treatment k over all combinations of
    the others if either the model or the propensity is right.

    Returns
    -------
    numpy.ndarray of shape (n, K)
    """
    A = np.asarray(A)
    effects, error = np.empty(A.shape), np.empty(len(A))
    for kept, left in KFold(folds, shuffle=True, random_state=seed).split(X):
        model = RidgeCV(alphas=_STRENGTHS)
        model.fit(interactions(A[kept], X[kept]), outcome[kept])
        error[left] = outcome[left] - model.predict(interactions(A[left], X[left]))
        effects[left] = ridge_effects(model, X[left], A.shape[1])
    scale = A / 2.0 ** (A.shape[1] - 1)
    return effects + scale * (error / propensity)[:, None]


def ridge_effects(model, X, treatments):
    """Return each treatment's effect in a linear model on :func:`interactions`."""
    p = X.shape[1]
    crossed = model.coef_[p:].reshape(-1, p + 1)[:treatments]
    return np.column_stack([np.ones(len(X)), X]) @ crossed.T
