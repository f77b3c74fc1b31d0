"""Q-learning: model the outcome as a sum of effects, then choose.

Rules for combinations of treatments that need no network, the baselines of every table.
Taught in notebook ``c09_weights_value_robustness``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import RidgeCV
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.validation import check_is_fitted

from sudlib.policy.base import TreatmentRule
from sudlib.policy.study import Study, check_covariates
from sudlib.policy.treatments import Array, combinations, contrast_basis
from sudlib.validation import check_choice, check_number, draw_seed

#: Ridge penalties that are tried, from weak to strong.
RIDGE_ALPHAS = np.logspace(-1, 4, 11)


def with_intercept(X: Array) -> Array:
    """Return covariates with a column of ones before them.

    Parameters
    ----------
    X : numpy.ndarray of shape (n, p)

    Returns
    -------
    numpy.ndarray of shape (n, 1 + p)
    """
    return np.column_stack([np.ones(len(X), X.dtype), X])


@dataclass(eq=False, repr=False)
class AdditiveQLearner(TreatmentRule):
    r"""Model the outcome as a main effect plus one effect a treatment, then choose.

    .. math:: E[R \mid x, a] = {} & m(x) + \sum_k a_k \tau_k(x) \\
       & \Bigl[ + \sum_{j<k} a_j a_k \tau_{jk}(x) \Bigr], \\
       & a_k \in \{-1, +1\}

    Without pairs treatment :math:`k` is recommended where :math:`\tau_k(x) > 0` (binary
    relevance, one model for all); with pairs the best of all combinations is.

    Parameters
    ----------
    learner : {"ridge", "boosting"}, default="ridge"
        Linear functions under one ridge penalty (chosen by leave-one-out), or sums of
        small trees, boosted together.
    n_estimators : int, default=150
        Boosting: trees for each function.
    max_depth : int, default=3
        Boosting: depth of a tree.
    learning_rate : float, default=0.1
        Boosting: share of each tree that is added.
    subsample : float, default=0.5
        Boosting: share of people that each tree is fitted to.
    random_state : None, int, RandomState or Generator, default=33
        Boosting: draws the subsamples.
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.
    pairs : bool or "auto", default=False
        Also model products of two treatments (ridge only).  "auto" does if that lowers
        the leave-one-out error.
    effect_penalty : float, default=1.0
        Ridge: how strongly coefficients of effects are penalised, relative to those of
        the main effect.  4 is what treatments coded -1/2 and +1/2 amount to, and was
        used in the simulation study.
    standardise : bool, default=True
        Ridge: scale covariates to mean 0 and variance 1.

    Attributes
    ----------
    coef_ : numpy.ndarray of shape (functions, 1 + p)
        Ridge: intercept and coefficients of each :math:`\tau`, of scaled covariates.
    main_ : numpy.ndarray of shape (1 + p,)
        Ridge: those of the main effect.
    alpha_ : float
        Ridge: the penalty chosen.
    pairs_ : bool
        Whether products of two treatments are modelled.

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> X, A = generator.normal(size=(300, 2)), generator.choice([-1, 1], (300, 2))
    >>> rule = AdditiveQLearner().fit(X, A, (A * X).sum(axis=1))
    >>> rule.predict([[2.0, -2.0]]).tolist()
    [[1, -1]]
    """

    learner: str = "ridge"
    n_estimators: int = 150
    max_depth: int = 3
    learning_rate: float = 0.1
    subsample: float = 0.5
    random_state: Any = 33
    _: KW_ONLY
    pairs: bool | str = False
    effect_penalty: float = 1.0
    standardise: bool = True

    def _fit(self, study: Study) -> None:
        check_choice("learner", self.learner, ("ridge", "boosting"))
        if self.learner == "ridge":
            self._fit_ridge(study)
        else:
            self.pairs_ = check_choice("pairs of boosting", self.pairs, (False,))
            self._fit_boosting(study)

    def _fit_ridge(self, study: Study) -> None:
        check_number("effect_penalty", self.effect_penalty, 0, open_low=True)
        check_choice("pairs", self.pairs, (False, True, "auto"))
        Z = self._scale(study.X.astype(float))
        # A column divided by s has its coefficient penalised s² times as strongly.
        shrink = np.sqrt(self.effect_penalty)
        models = {}
        for pairs in (False, True) if self.pairs == "auto" else (bool(self.pairs),):
            self.pairs_ = pairs
            codes = self._codes(study.A) / shrink
            crossed = codes[:, :, None] * with_intercept(Z)[:, None]
            columns = np.column_stack([Z, crossed.reshape(len(Z), -1)])
            models[pairs] = RidgeCV(alphas=RIDGE_ALPHAS).fit(columns, study.outcome)
        # Minus the leave-one-out error; of two alike the model without pairs.
        self.pairs_ = max(models, key=lambda pairs: models[pairs].best_score_)
        model = models[self.pairs_]
        width = Z.shape[1]
        self.alpha_ = float(model.alpha_)
        self.main_ = np.r_[model.intercept_, model.coef_[:width]]
        self.coef_ = model.coef_[width:].reshape(-1, width + 1) / shrink

    def _codes(self, A: ArrayLike) -> Array:
        """Return what multiplies each effect: a_k and, with pairs, a_j a_k."""
        return 2 * contrast_basis(A, 2 if self.pairs_ else 1)[:, 1:].astype(float)

    def _fit_boosting(self, study: Study) -> None:
        X, A, outcome, _ = study
        generator = np.random.default_rng(draw_seed(self.random_state))
        self.start_ = float(outcome.mean())
        size = max(2, int(self.subsample * len(X)))
        codes = with_intercept(A)
        fitted = np.full(len(X), self.start_)
        self.trees_: list[list[DecisionTreeRegressor]] = [[] for _ in codes.T]
        for _ in range(self.n_estimators):
            for trees, code in zip(self.trees_, codes.T, strict=True):
                # Least squares in τ_k with a_k² = 1: the target is a_k × residual.
                rows = generator.choice(len(X), size, replace=False)
                tree = DecisionTreeRegressor(
                    max_depth=self.max_depth,
                    min_samples_leaf=10,
                    random_state=int(generator.integers(2**31)),
                )
                tree.fit(X[rows], (code * (outcome - fitted))[rows])
                fitted += self.learning_rate * code * tree.predict(X)
                trees.append(tree)

    def _functions(self, X: ArrayLike) -> tuple[Array, Array]:
        """Return m(x), and the τ(x) side by side."""
        if self.learner == "ridge":
            Z = with_intercept(self._inputs(X).astype(float))
            return Z @ self.main_, Z @ self.coef_.T
        check_is_fitted(self)
        X = check_covariates(X, estimator=self)
        said = ([tree.predict(X) for tree in trees] for trees in self.trees_)
        sums = np.column_stack([np.sum(each, axis=0) for each in said])
        sums *= self.learning_rate
        return self.start_ + sums[:, 0], sums[:, 1:]

    def decision_function(self, X: ArrayLike) -> Array:
        r"""Return the estimated :math:`\tau_k(x)`, half the gain from giving k.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, K) or, with pairs, (n, K + K (K - 1) / 2)
        """
        return self._functions(X)[1]

    def expected(self, X: ArrayLike, A: ArrayLike) -> Array:
        """Return the outcome expected under the given combinations.

        Parameters
        ----------
        X : array-like of shape (n, p)
        A : array-like of shape (n, K)
            Coded -1 and +1.

        Returns
        -------
        numpy.ndarray of shape (n,)
        """
        main, effects = self._functions(X)
        return main + (self._codes(self._given(X, A)) * effects).sum(axis=1)

    def outcomes(self, X: ArrayLike) -> Array:
        """Return the outcome expected under every combination.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, 2 ** K)
            Columns as in :func:`sudlib.policy.combinations`.
        """
        main, effects = self._functions(X)
        return main[:, None] + effects @ self._codes(combinations(self.n_treatments_)).T
