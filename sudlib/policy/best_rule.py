"""One rule of several families, stacked by what a study observes.

Taught in notebook ``c06_beyond_the_paper``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.a_learning import ContrastLearner
from sudlib.policy.base import TreatmentRule, draw_seed
from sudlib.policy.q_learning import RIDGE_ALPHAS, AdditiveQLearner
from sudlib.policy.study import Study, check_covariates, check_treatments
from sudlib.policy.treatments import Array, combination_number, combinations
from sudlib.validation import check_choice, check_whole


class OutcomeRule(TreatmentRule):
    """Base class of rules that take the combination with the best expected outcome."""

    def _expected(self, X: Array, A: Array) -> Array:
        """Return expected outcomes for checked, scaled covariates."""
        raise NotImplementedError

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
        inputs = self._inputs(X)
        return self._expected(inputs, check_treatments(A, len(inputs)))

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the outcome expected under each combination that may be advised.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.

        Returns
        -------
        numpy.ndarray of shape (n, combinations)
        """
        inputs = self._inputs(X)
        codes = (np.tile(code, (len(inputs), 1)) for code in self._options())
        return np.column_stack([self._expected(inputs, code) for code in codes])

    def _options(self) -> Array:
        allowed = self._allowed()
        return combinations(self.n_treatments_, "int8") if allowed is None else allowed

    def predict(self, X: ArrayLike) -> Array:
        """Return the recommended combinations.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.

        Returns
        -------
        numpy.ndarray of int8, shape (n, K)
            Coded -1 and +1.
        """
        return self._options()[self.decision_function(X).argmax(axis=1)]


@dataclass(eq=False, repr=False)
class BoostedOutcome(OutcomeRule):
    """Model the outcome by boosted trees of covariates and treatments together.

    A ridge regression of both comes first, and trees of what it leaves: they find
    interactions of treatments with each other and with covariates (an S-learner).

    Parameters
    ----------
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.
    max_iter : int, default=150
        Trees.
    learning_rate : float, default=0.08
        Share of each tree that is added.
    max_leaf_nodes : int, default=12
        Leaves of a tree.
    random_state : None, int, RandomState or Generator, default=33
        For the trees.

    Attributes
    ----------
    line_ : sklearn.linear_model.RidgeCV
        Of scaled covariates, then treatments.
    model_ : sklearn.ensemble.HistGradientBoostingRegressor
        Of the same, for what the line leaves.
    """

    _: KW_ONLY
    max_iter: int = 150
    learning_rate: float = 0.08
    max_leaf_nodes: int = 12
    random_state: Any = 33

    def _fit(self, study: Study) -> None:
        check_whole("max_iter", self.max_iter, 1)
        columns = np.column_stack([self._scale(study.X), study.A])
        self.line_ = RidgeCV(alphas=RIDGE_ALPHAS).fit(columns, study.outcome)
        self.model_ = HistGradientBoostingRegressor(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            random_state=draw_seed(self.random_state),
        ).fit(columns, study.outcome - self.line_.predict(columns))

    def _expected(self, X: Array, A: Array) -> Array:
        columns = np.column_stack([X, A])
        return self.line_.predict(columns) + self.model_.predict(columns)


def families() -> dict[str, Any]:
    """Return the rules that :class:`BestRule` stacks by default, by name."""
    return {
        "ridge": AdditiveQLearner(),
        "ridge with pairs": AdditiveQLearner(pairs=True),
        "A-learning": ContrastLearner(),
        "boosted outcome": BoostedOutcome(),
    }


@dataclass(eq=False, repr=False)
class BestRule(OutcomeRule):
    """Choose or stack families of rules by their cross-validated error.

    Every family predicts the outcome of people it has not seen under what they
    received; a study observes how far it is off.  The stack weighs the predictions so
    that the error is least, with weights from 0 up that sum to 1, and advises the
    combination with the best weighted expectation.

    Parameters
    ----------
    rules : mapping of str to estimator, optional
        Rules with ``fit(X, A, outcome)`` and ``expected(X, A)``; by default
        :func:`families`.
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.
    how : {"stack", "select"}, default="stack"
        Weigh all, or take the one with the least error.
    n_splits : int, default=5
        Folds.
    random_state : None, int, RandomState or Generator, default=33
        Draws the folds.

    Attributes
    ----------
    errors_ : dict of str to float
        Cross-validated mean squared error of each rule.
    weights_ : dict of str to float
        Weight of each rule.
    rules_ : dict of str to estimator
        Those with a weight, fitted to everybody.

    Notes
    -----
    See van der Laan, Polley and Hubbard (2007), Super learner.
    """

    rules: Mapping[str, Any] | None = None
    _: KW_ONLY
    how: str = "stack"
    n_splits: int = 5
    random_state: Any = 33

    def _fit(self, study: Study) -> None:
        check_choice("how", self.how, ("stack", "select"))
        check_whole("n_splits", self.n_splits, 2, len(study.X))
        rules = families() if self.rules is None else dict(self.rules)
        if not rules or not all(hasattr(rule, "expected") for rule in rules.values()):
            raise InputError("rules must be estimators with fit and expected, by name")
        seed = draw_seed(self.random_state)
        folds = KFold(self.n_splits, shuffle=True, random_state=seed)
        said = np.empty((len(study.X), len(rules)))
        for train, rest in folds.split(study.X):
            some = study.rows(train)
            for place, rule in enumerate(rules.values()):
                fitted = clone(rule).fit(*some[:3])
                said[rest, place] = fitted.expected(study.X[rest], study.A[rest])
        errors = ((said - study.outcome[:, None]) ** 2).mean(axis=0)
        self.errors_ = dict(zip(rules, map(float, errors), strict=True))
        weights = np.eye(len(rules))[errors.argmin()]
        if self.how == "stack":
            # a heavy row that asks the weights to sum to 1
            heavy = 1e3 * np.abs(said).max() * np.ones((1, len(rules)))
            weights = nnls(np.vstack([said, heavy]), np.r_[study.outcome, heavy[0, 0]])[
                0
            ]
            weights /= weights.sum()
        self.weights_ = dict(zip(rules, map(float, weights), strict=True))
        self.rules_ = {
            name: clone(rules[name]).fit(*study[:3])
            for name, weight in self.weights_.items()
            if weight > 1e-6
        }

    def _inputs(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        return check_covariates(X, estimator=self)

    def _expected(self, X: Array, A: Array) -> Array:
        rules = self.rules_.items()
        said = [self.weights_[name] * rule.expected(X, A) for name, rule in rules]
        return np.sum(said, axis=0)

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the outcome expected under each combination that may be advised.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.

        Returns
        -------
        numpy.ndarray of shape (n, combinations)
        """
        X, options = self._inputs(X), self._options()
        total: Any = 0.0
        for name, rule in self.rules_.items():
            if hasattr(rule, "outcomes"):  # all at once
                said = rule.outcomes(X)[:, combination_number(options)]
            else:
                codes = (np.tile(code, (len(X), 1)) for code in options)
                said = np.column_stack([rule.expected(X, code) for code in codes])
            total = total + self.weights_[name] * said
        return total
