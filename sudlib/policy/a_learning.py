"""A-learning: contrasts of treatments estimated with the propensity score."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.q_learning import PENALTIES
from sudlib.policy.treatments import check_covariates, check_study


class ContrastLearner(BaseEstimator):
    r"""Estimate the treatments' contrasts directly, without a model of the main effect.

    A-learning: :math:`R - \hat m(x) = \sum_k (a_k - \hat e_k(x))\,\tau_k(x)` is fitted
    by ridge regression, where :math:`\hat m(x)=E[R|x]` and
    :math:`\hat e_k(x)=E[a_k|x]` are cross-fitted.  Errors in either are multiplied by
    errors in the other.

    Parameters
    ----------
    folds : int, default=5
        For cross-fitting.
    randomised : bool, default=False
        True uses the observed share of each treatment for :math:`\hat e_k`.
    seed : int, default=33
        Draws the folds.
    """

    def __init__(self, folds=5, randomised=False, seed=33):
        self.folds = folds
        self.randomised = randomised
        self.seed = seed

    def fit(self, X, A, outcome, propensity=None):
        """Return the fitted learner; ``propensity`` is estimated, not taken."""
        X, A, outcome = check_study(X, A, outcome)
        if not 2 <= self.folds <= len(X):
            raise InputError(f"folds must be from 2 to {len(X)}, not {self.folds}")
        self.n_features_in_ = X.shape[1]
        self.scaler_ = StandardScaler().fit(X)
        Z = self.scaler_.transform(X)
        main = np.empty(len(Z))
        chance = np.empty(A.shape)
        parts = KFold(self.folds, shuffle=True, random_state=self.seed)
        for train, rest in parts.split(Z):
            main[rest] = (
                RidgeCV(alphas=PENALTIES).fit(Z[train], outcome[train]).predict(Z[rest])
            )
            if self.randomised:
                chance[rest] = A[train].mean(axis=0)
                continue
            for k in range(A.shape[1]):
                chance[rest, k] = 2 * _chance(Z[train], A[train, k], Z[rest]) - 1
        W = np.column_stack([np.ones(len(Z)), Z])
        design = np.column_stack(
            [(A[:, [k]] - chance[:, [k]]) * W for k in range(A.shape[1])]
        )
        model = RidgeCV(alphas=PENALTIES, fit_intercept=False)
        model.fit(design, outcome - main)
        self.coef_ = model.coef_.reshape(A.shape[1], -1)
        return self

    def decision_function(self, X):
        """Return the estimated contrasts τ_k(x)."""
        check_is_fitted(self, "coef_")
        Z = self.scaler_.transform(check_covariates(X))
        return np.column_stack([np.ones(len(Z)), Z]) @ self.coef_.T

    def predict(self, X):
        """Return the recommended treatments in −1 and +1."""
        return np.where(self.decision_function(X) > 0, 1, -1)


def _chance(X, given, at):
    """Return the chance of one treatment by logistic regression, 0.01 to 0.99."""
    from sklearn.linear_model import LogisticRegression

    if given.min() == given.max():
        return np.full(len(at), np.clip((given[0] + 1) / 2, 0.01, 0.99))
    model = LogisticRegression(C=1.0, max_iter=500).fit(X, given)
    return np.clip(
        model.predict_proba(at)[:, list(model.classes_).index(1)], 0.01, 0.99
    )
