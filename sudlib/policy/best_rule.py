"""One rule of several families, stacked by what a study observes.

Taught in notebook ``c09_weights_value_robustness``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.utils.validation import check_is_fitted

from sudlib.estimates import NORMAL, Estimate
from sudlib.files import InputError
from sudlib.policy.a_learning import ContrastLearner
from sudlib.policy.base import TreatmentRule
from sudlib.policy.crossfitting import correction, folds
from sudlib.policy.outcome_networks import BoundedEffectsNetwork, ContrastNetwork
from sudlib.policy.owl import OutcomeWeightedClassifier
from sudlib.policy.propensity import estimate_propensity
from sudlib.policy.q_learning import RIDGE_ALPHAS, AdditiveQLearner
from sudlib.policy.study import Study, check_covariates
from sudlib.policy.treatments import Array, combination_number
from sudlib.validation import check_choice, check_whole, draw_seed


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
        return self._expected(inputs, self._given(X, A))

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


def families(networks: bool = True) -> dict[str, Any]:
    """Return the rules that :class:`BestRule` stacks by default, by name.

    Parameters
    ----------
    networks : bool, default=True
        With the three families of networks, which take most of the time.

    Returns
    -------
    dict of str to estimator
        The plainest first.
    """
    plain = {
        "ridge": AdditiveQLearner(),
        "ridge with pairs": AdditiveQLearner(pairs=True),
        "A-learning": ContrastLearner(),
        "boosted outcome": BoostedOutcome(),
    }
    if not networks:
        return plain
    owl: dict[str, Any] = {"weights": "augmented", "propensity": "product"}
    return plain | {
        "contrast network": ContrastNetwork(),
        "bounded network": BoundedEffectsNetwork(),
        "outcome weighting": OutcomeWeightedClassifier(early_stopping=True, **owl),
    }


#: Predictions for at most so many pairs of a person and a combination are compared.
MOST_PREDICTIONS = 20_000_000


@dataclass(eq=False, repr=False)
class BestRule(OutcomeRule):
    """Choose or stack families of rules by what a study observes.

    Every family predicts the outcome of people it has not seen under what they
    received.  What it says of a person has two parts: the usual outcome (the mean over
    the combinations), and how combinations differ.  Advice rests on the second alone,
    so that the stack weighs the parts separately: a family that knows who does well,
    and nothing of treatments, gets no say in what to advise.

    Parameters
    ----------
    rules : mapping of str to estimator, optional
        Rules with ``fit(X, A, outcome)`` and ``expected(X, A)``, the plainest first;
        by default :func:`families`.  A rule without ``expected`` whose
        ``decision_function`` scores each treatment, as in outcome-weighted learning,
        has a say in how combinations differ, and in that only.
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.
    how : {"stack", "select"}, default="stack"
        Weigh all, unless the first rule alone is worth more by a standard error
        (doubly robust, on people not seen); or take the one with the least error, of
        those that say what outcome they expect.
    n_splits : int, default=5
        Folds.
    random_state : None, int, RandomState or Generator, default=33
        Draws the folds.

    Attributes
    ----------
    errors_ : dict of str to float
        Cross-validated mean squared error of each rule that expects an outcome.
    weights_ : dict of str to float
        Weight of what each rule says of combinations, from 0 up.
    usual_weights_ : dict of str to float
        Weight of what it says of the usual outcome; they sum to 1.
    gain_ : sudlib.estimates.Estimate or None
        Value of the stack's advice less the first rule's, on people whom the rules
        have not seen but the weights have: a check before use, and no value to report,
        which :func:`sudlib.policy.evaluate` gives.
    rules_ : dict of str to estimator
        Those with a weight, fitted to everybody.  A rule that refuses these people, or
        those of a fold, is left out with a warning.

    Notes
    -----
    Weights are those of non-negative least squares.  See van der Laan, Polley and
    Hubbard (2007), Super learner; for the parts, Robinson (1988), Root-N-consistent
    semiparametric regression.
    """

    rules: Mapping[str, Any] | None = None
    _: KW_ONLY
    how: str = "stack"
    n_splits: int = 5
    random_state: Any = 33

    def _fit(self, study: Study) -> None:
        check_choice("how", self.how, ("stack", "select"))
        check_whole("n_splits", self.n_splits, 2, len(study.X))
        if not isinstance(self.rules, Mapping | None):
            raise InputError(
                f"rules must be a mapping of names to estimators, not {self.rules!r}"
            )
        rules = families() if self.rules is None else dict(self.rules)
        for name, rule in rules.items():
            if isinstance(rule, type):
                raise InputError(f"{name!r} is a class: give {rule.__name__}()")
            if not hasattr(rule, "expected") and not hasattr(rule, "decision_function"):
                raise InputError(f"{name!r} has no expected and no decision_function")
        if not rules or not hasattr(next(iter(rules.values())), "expected"):
            raise InputError(
                "rules must be estimators by name, the first with expected"
            )
        whole = _fit_each(rules, study)
        rows, said, tables = self._unseen(study, rules, whole)
        rules = {name: rules[name] for name in whole}
        expects = np.array([hasattr(rule, "expected") for rule in rules.values()])
        outcome = study.outcome[rows]
        errors = ((said - outcome[:, None]) ** 2).mean(axis=0)
        errors[~expects] = np.inf
        self.errors_ = {
            name: float(error)
            for name, error in zip(rules, errors, strict=True)
            if error < np.inf
        }
        usual = weights = np.eye(len(rules))[errors.argmin()]
        self.gain_: Estimate | None = None
        if self.how == "stack":
            usual, weights = self._stack(study.rows(rows), said, tables, expects)
        self.weights_ = dict(zip(rules, map(float, weights), strict=True))
        self.usual_weights_ = dict(zip(rules, map(float, usual), strict=True))
        self.rules_ = {
            name: fitted
            for name, fitted in whole.items()
            if max(self.weights_[name], self.usual_weights_[name]) > 1e-6
        }

    def _unseen(
        self, study: Study, rules: Mapping[str, Any], whole: dict[str, Any]
    ) -> tuple[Array, Array, Array]:
        """Return rows, and what each rule says of people whom it has not seen.

        Of the combination received, (n, rules), and of all options, (n, m, rules).
        Rules that cannot be fitted to a part of the people go out of ``whole``.
        """
        seed = draw_seed(self.random_state)
        options, rows = self._options(), []
        said: dict[str, list[Array]] = {name: [] for name in whole}
        tables: dict[str, list[Array]] = {name: [] for name in whole}
        most = max(2, MOST_PREDICTIONS // len(options) // self.n_splits)
        random = np.random.default_rng(seed)
        for train, rest in folds(len(study.X), self.n_splits, seed):
            rest = np.sort(random.permutation(rest)[:most])
            rows.append(rest)
            fitted = _fit_each({name: rules[name] for name in whole}, study.rows(train))
            for name in set(whole) - set(fitted):
                del whole[name]
            for name, rule in fitted.items():
                said[name].append(_expected(rule, study.X[rest], study.A[rest]))
                tables[name].append(_table(rule, study.X[rest], options))
        return (
            np.concatenate(rows),
            np.stack([np.concatenate(said[name]) for name in whole], 1),
            np.stack([np.concatenate(tables[name]) for name in whole], 2),
        )

    def _stack(
        self, study: Study, said: Array, tables: Array, expects: Array
    ) -> tuple[Array, Array]:
        """Return the weights of both parts, from predictions for people not seen."""
        # a heavy row that asks the weights to sum to 1
        heavy = 1e3 * np.abs(said).max() * np.ones((1, expects.sum()))
        shares = np.zeros(len(expects))
        rows = np.vstack([said[:, expects], heavy])
        shares[expects] = nnls(rows, np.r_[study.outcome, heavy[0, 0]])[0]
        usual = tables.mean(axis=1)
        level = usual @ (shares / shares.sum())
        target, design = study.outcome - level, said - usual
        weights = nnls(design, target)[0]
        first = np.eye(said.shape[1])[0]
        if not weights.any():
            return first, first
        differ = tables - usual[:, None]
        expected = level[:, None] + differ @ weights
        chance = study.propensity
        if chance is None:  # known chances stay as they are
            chance = estimate_propensity(study.X, study.A, "auto").clip(0.01)
        received, numbers = map(combination_number, (study.A, self._options()))
        residual = correction(target, design @ weights, chance)

        def worth(scores: Array) -> Array:
            advice = scores.argmax(axis=1)
            agree = numbers[advice] == received
            return expected[np.arange(len(advice)), advice] + agree * residual

        gain = worth(expected) - worth(differ[:, :, 0])
        error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        value, reach = float(gain.mean()), NORMAL * error
        self.gain_ = Estimate(value, value - reach, value + reach, error, len(gain))
        if gain.mean() < -error:
            return first, first
        return shares / shares.sum(), weights

    def _inputs(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        return check_covariates(X, estimator=self)

    def _expected(self, X: Array, A: Array) -> Array:
        return self._blend(X, lambda rule, table: _expected(rule, X, A)[:, None])[:, 0]

    def _blend(self, X: Array, said: Callable[[Any, Array], Array]) -> Array:
        """Return the weighted sum of what rules say, usual part and differences."""
        total: Any = 0.0
        for name, rule in self.rules_.items():
            table = _table(rule, X, self._options())
            usual = table.mean(axis=1, keepdims=True)
            total = total + self.usual_weights_[name] * usual
            total = total + self.weights_[name] * (said(rule, table) - usual)
        return total

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
        return self._blend(self._inputs(X), lambda rule, table: table)


def _fit_each(rules: Mapping[str, Any], study: Study) -> dict[str, Any]:
    """Return rules fitted to people, with the chances where they are known.

    One that cannot be fitted to them is left out with a warning; the first one must be.
    """
    given = study[:3] if study.propensity is None else tuple(study)
    fitted: dict[str, Any] = {}
    for name, rule in rules.items():
        try:
            fitted[name] = clone(rule).fit(*given)
        except InputError as why:
            if not fitted:
                raise
            warnings.warn(f"{name!r} is left out of the stack: {why}", stacklevel=5)
    return fitted


def _expected(rule: Any, X: Array, A: Array) -> Array:
    """Return what a rule expects, or the sum of its scores, signed by treatment."""
    if hasattr(rule, "expected"):
        return rule.expected(X, A)
    return (_scores(rule, X, A.shape[1]) * A).sum(axis=1) / 2


def _scores(rule: Any, X: Array, treatments: int) -> Array:
    """Return the scores of treatments by a rule that expects no outcome."""
    scores = rule.decision_function(X)
    if scores.shape[1] != treatments:
        raise InputError(
            f"a rule without expected must score each treatment, in {treatments}"
            f" columns, not {scores.shape[1]}"
        )
    return scores


def _table(rule: Any, X: Array, options: Array) -> Array:
    """Return what a rule expects of each option, (n, m)."""
    if hasattr(rule, "outcomes"):  # all at once
        return rule.outcomes(X)[:, combination_number(options)]
    if not hasattr(rule, "expected"):
        return _scores(rule, X, options.shape[1]) @ options.T / 2
    codes = (np.tile(code, (len(X), 1)) for code in options)
    return np.column_stack([rule.expected(X, code) for code in codes])
