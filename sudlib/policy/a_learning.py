"""A-learning: contrasts of treatments estimated with the propensity score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict

from sudlib.policy.base import TreatmentRule
from sudlib.policy.crossfitting import folds
from sudlib.policy.propensity import Propensity
from sudlib.policy.q_learning import RIDGE_ALPHAS, with_intercept
from sudlib.policy.study import Study
from sudlib.policy.treatments import Array
from sudlib.validation import draw_seed


@dataclass(eq=False, repr=False)
class ContrastLearner(TreatmentRule):
    r"""Estimate the treatments' contrasts directly, without a model of the main effect.

    A-learning (in its residual-on-residual form):
    :math:`R - \hat m(x) = \sum_k (a_k - \hat e_k(x))\,\tau_k(x)` is fitted by ridge
    regression, where :math:`\hat m(x)=E[R|x]` and :math:`\hat e_k(x)=E[a_k|x]` are
    cross-fitted.  Errors in either are multiplied by errors in the other.  One decision
    a treatment (binary relevance).  Taught in notebook
    ``c09_weights_value_robustness``.

    Parameters
    ----------
    n_splits : int, default=5
        Folds of the cross-fitting.
    randomised : bool, default=False
        True uses the observed share of each treatment for :math:`\hat e_k`.
    random_state : None, int, RandomState or Generator, default=33
        Draws the folds.
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.

    Attributes
    ----------
    coef_ : numpy.ndarray of shape (K, 1 + p)
        Intercept and coefficients of each contrast, of scaled covariates.

    References
    ----------
    Murphy (2003), Optimal dynamic treatment regimes; Robinson (1988),
    Root-N-consistent semiparametric regression.
    """

    n_splits: int = 5
    randomised: bool = False
    random_state: Any = 33

    def _fit(self, study: Study) -> None:
        X, A, outcome, _ = study
        Z = self._scale(X.astype(float))
        parts = list(folds(len(X), self.n_splits, draw_seed(self.random_state)))
        ridge = RidgeCV(alphas=RIDGE_ALPHAS)
        main = cross_val_predict(ridge, Z, outcome, cv=parts)
        probability = np.empty(A.shape)
        model = Propensity("marginal" if self.randomised else "product")
        for train, rest in parts:
            model.fit(Z[train], A[train])
            probability[rest] = model.treatment_probabilities(Z[rest])
        surprise = A - (2 * np.clip(probability, 0.01, 0.99) - 1)
        design = surprise[:, :, None] * with_intercept(Z)[:, None]
        contrast = RidgeCV(alphas=RIDGE_ALPHAS, fit_intercept=False)
        contrast.fit(design.reshape(len(Z), -1), outcome - main)
        self.coef_ = contrast.coef_.reshape(A.shape[1], -1)
        self.main_, self.propensity_ = ridge.fit(Z, outcome), model.fit(Z, A)

    def decision_function(self, X: ArrayLike) -> Array:
        r"""Return the estimated contrasts :math:`\tau_k(x)`, half the gain from k.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, K)
        """
        return with_intercept(self._inputs(X)) @ self.coef_.T

    def expected(self, X: ArrayLike, A: ArrayLike) -> Array:
        """Return the outcome expected under the given combinations.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.
        A : array-like of shape (n, K)
            Coded -1 and +1.

        Returns
        -------
        numpy.ndarray of shape (n,)
        """
        Z = self._inputs(X)
        usual = 2 * self.propensity_.treatment_probabilities(Z) - 1
        surprise = self._given(X, A) - usual
        effects = with_intercept(Z) @ self.coef_.T
        return self.main_.predict(Z) + (surprise * effects).sum(axis=1)
