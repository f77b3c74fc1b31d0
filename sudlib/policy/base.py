"""What all treatment rules share: fitting, judging, and scikit-learn's contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.batched import Networks, train
from sudlib.policy.matching import matched_average
from sudlib.policy.overlap import check_support, warn_of_unseen
from sudlib.policy.propensity import Propensity, estimate_propensity
from sudlib.policy.study import (
    Study,
    check_covariates,
    check_study,
    check_treatments,
)
from sudlib.policy.treatments import (
    Array,
    best_combination,
    combination_number,
    combinations,
    contrast_basis,
    describe,
)
from sudlib.validation import (
    check_choice,
    check_number,
    check_rows,
    check_whole,
    draw_seed,
)


@dataclass(eq=False, repr=False)
class TreatmentRule(BaseEstimator):
    """Base class of estimators that recommend a combination of treatments.

    Every rule can be called in two ways.  ``fit(X, A, outcome)`` is the study's order.
    ``fit(X, outcome, treatment=A)`` is scikit-learn's: ``y`` is passed by position and
    everything else is metadata, so that ``Pipeline``, ``GridSearchCV`` and
    ``cross_val_predict`` work.  With
    ``sklearn.set_config(enable_metadata_routing=True)`` the metadata ``treatment``,
    ``outcome`` and ``propensity`` are requested by default.

    Parameters
    ----------
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended: those that somebody received in the data
        of the fit, all, or those given.

    Attributes
    ----------
    n_features_in_, n_treatments_ : int
        Numbers of covariates and of treatments.
    feature_names_in_ : numpy.ndarray of str
        Names of covariates; only if ``X`` was a frame.
    treatment_names_ : list of str or None
        Names of treatments, if they were columns of a frame.
    received_ : numpy.ndarray of int8, shape (m, K)
        Combinations that somebody received.
    """

    _: KW_ONLY
    allowed: Any = "received"

    __metadata_request__fit = {"treatment": True, "outcome": True, "propensity": True}
    __metadata_request__score = __metadata_request__fit | {"sample_weight": True}

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        outcome: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
        treatment: ArrayLike | None = None,
    ) -> Self:
        """Return the fitted rule.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates, without missing values.
        y : array-like
            The treatments received, (n, K), coded -1 and +1, followed by ``outcome``;
            or the outcome, (n,), with ``treatment``.
        outcome : array-like of shape (n,), optional
            Larger is better.
        propensity : float or array-like of shape (n,), optional
            Probability of the combination received; estimated where it is needed and
            not given.
        treatment : array-like of shape (n, K), optional
            Treatments received, where ``y`` is the outcome.

        Returns
        -------
        TreatmentRule
            The same object.

        Raises
        ------
        sudlib.files.InputError
            For covariates, treatments, outcomes or propensities that cannot be used:
            the message says which and why.
        """
        self._fit(check_study(X, y, outcome, propensity, treatment, estimator=self))
        return self

    def _fit(self, study: Study) -> None:
        raise NotImplementedError

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the score of each treatment; above 0 it is recommended.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.

        Returns
        -------
        numpy.ndarray of shape (n, K)
            Where a rule models pairs of treatments, scores of pairs follow.
        """
        raise NotImplementedError

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
        return self._advise(self.decision_function(X))

    def advise(self, X: ArrayLike) -> list[str]:
        """Return the recommended combinations in words.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.

        Returns
        -------
        list of str
            Such as "insulin + metformin"; without names "treatment 1" and so on.
        """
        advice = self.predict(X)
        numbered = [f"treatment {k + 1}" for k in range(self.n_treatments_)]
        return describe(advice, self.treatment_names_ or numbered)

    def _given(self, X: ArrayLike, A: ArrayLike) -> Array:
        """Return combinations of the same people, treatments in the order of the fit.

        Columns that have names are known by them.
        """
        check_is_fitted(self)
        return check_treatments(A, check_rows(X=X, A=A), self.treatment_names_)

    def _allowed(self) -> Array | None:
        """Return the combinations that may be recommended; None stands for all."""
        if isinstance(self.allowed, str):
            check_choice("allowed", self.allowed, ("received", "all"))
            return self.received_ if self.allowed == "received" else None
        allowed = check_treatments(self.allowed, names=self.treatment_names_)
        if allowed.shape[1] != self.n_treatments_ or not len(allowed):
            raise InputError(
                f"allowed must have a row a combination and {self.n_treatments_}"
                f" columns, not shape {allowed.shape}"
            )
        return allowed

    def _options(self) -> Array:
        """Return the combinations that may be recommended, all of them if any may."""
        allowed = self._allowed()
        return combinations(self.n_treatments_, "int8") if allowed is None else allowed

    def _advise(self, scores: Array) -> Array:
        """Return the best of the allowed combinations."""
        best = best_combination(scores, self.n_treatments_)
        allowed = self._allowed()
        if allowed is None:
            return best
        numbers = combination_number(best), combination_number(allowed)
        outside = np.flatnonzero(~np.isin(*numbers))
        order = 1 if scores.shape[1] == self.n_treatments_ else 2
        basis = contrast_basis(allowed, order)[:, 1:].T
        for block in np.array_split(outside, 1 + outside.size * len(allowed) // 10**7):
            best[block] = allowed[(scores[block] @ basis).argmax(axis=1)]
        return best

    def value(
        self,
        X: ArrayLike,
        y: ArrayLike,
        outcome: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
        treatment: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the estimated mean outcome if everybody followed the rule.

        The study's statistic T, see :func:`sudlib.policy.matched_average`.  It is also
        called ``score``, the name that scikit-learn's searches look for.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.
        y : array-like
            As for ``fit``: the treatments received, or the outcome.
        outcome : array-like of shape (n,), optional
            Larger is better.
        propensity : float or array-like of shape (n,), optional
            Probability of the combination received; by default estimated on these
            people, in the rule's own way if it has one (``propensity``), else by
            regression (``Propensity("auto")``).
        treatment : array-like of shape (n, K), optional
            Treatments received, where ``y`` is the outcome.
        sample_weight : array-like of shape (n,), optional
            What each person counts; by default 1.

        Returns
        -------
        float
            NaN if nobody was treated as advised.

        Raises
        ------
        sudlib.files.InputError
            If the rule's advice has no support in these data; see
            :func:`sudlib.policy.overlap`.  With a given propensity a warning says how
            many people are advised what nobody received.
        """
        check_rows(X=X, sample_weight=sample_weight)
        recommended = self.predict(X)
        given = X, y, outcome, propensity, treatment
        study = check_study(*given, estimator=self, reset=False, varying=False)
        X, A, outcome, chance = study
        if chance is None:
            model = Propensity(getattr(self, "propensity", "auto")).fit(X, A)
            chance = model.predict_received(X, A)
            check_support(X, A, recommended, model)
        else:
            warn_of_unseen(recommended, self.received_, A)
        followed = outcome, A, recommended, chance
        return matched_average(*followed, sample_weight=sample_weight)[0]

    score = value

    def _scale(self, X: Array) -> Array:
        """Fit the scaler, if covariates are to be standardised, and apply it."""
        scaled = getattr(self, "standardise", True)
        self.scaler_ = StandardScaler().fit(X) if scaled else None
        return X if self.scaler_ is None else self.scaler_.transform(X)

    def _inputs(self, X: ArrayLike) -> Array:
        """Return checked, scaled covariates of new people."""
        check_is_fitted(self)
        X = check_covariates(X, estimator=self)
        return X if self.scaler_ is None else self.scaler_.transform(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


@dataclass(eq=False, repr=False)
class NetworkRule(TreatmentRule):
    """Base class of rules that are networks, trained on stacked data sets.

    A rule has ``_rows`` and ``_validation_rows``, what is trained on and what decides;
    ``_train``, networks of each of the stacked data sets; and ``_finish``, which makes
    the choices that need the validation set.

    Parameters
    ----------
    hidden : sequence of int, default=()
        Widths of hidden layers.
    members : int, default=1
        Networks in an ensemble, which differ in their start; outputs are averaged.
    alpha : float or sequence of float, default=0.001
        Strength of the penalty, larger is stronger.
    steps : int, default=2000
        Steps of the optimiser; where people are many, more: see ``epochs``.
    batch_size : int, default=100
        Rows in a step.
    learning_rate : float, default=0.01
        Step size.
    validation_fraction : float, default=0.2
        Share of rows in the validation set, where one is needed and not given.
    standardise : bool, default=True
        Scale covariates to mean 0 and variance 1.
    engine : {"auto", "numpy", "keras"}, default="auto"
        See :mod:`sudlib.policy.batched`.
    random_state : None, int, RandomState or Generator, default=0
        Start, order of rows, dropout, validation set and folds.
    epochs : int, default=4
        Passes over all rows at least, unless ``steps`` is 0.
    """

    _: KW_ONLY
    hidden: Sequence[int] = ()
    members: int = 1
    alpha: float | Sequence[float] = 0.001
    steps: int = 2000
    batch_size: int = 100
    learning_rate: float = 0.01
    validation_fraction: float = 0.2
    standardise: bool = True
    engine: str = "auto"
    random_state: Any = 0
    epochs: int = 4

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        outcome: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
        treatment: ArrayLike | None = None,
        *,
        validation: tuple[Any, ...] | None = None,
    ) -> Self:
        """Return the fitted rule.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates, without missing values.
        y : array-like
            The treatments received, (n, K), coded -1 and +1, followed by ``outcome``;
            or the outcome, (n,), with ``treatment``.
        outcome : array-like of shape (n,), optional
            Larger is better.
        propensity : float or array-like of shape (n,), optional
            Probability of the combination received; estimated where it is needed and
            not given.
        treatment : array-like of shape (n, K), optional
            Treatments received, where ``y`` is the outcome.
        validation : tuple of (X, A, outcome) or (X, A, outcome, propensity), optional
            Validation set for early stopping and the choice of a hyperparameter; by
            default a share of the rows, where it is needed.

        Returns
        -------
        TreatmentRule
            The same object.

        Raises
        ------
        sudlib.files.InputError
            For covariates, treatments, outcomes or propensities that cannot be used.
        """
        study = X, y, outcome, propensity, validation, treatment
        return fit_together([self], [study])[0]

    def _prepare(
        self, X, y, outcome=None, propensity=None, validation=None, treatment=None
    ):
        """Return what to train on and, or None, what to validate on."""
        study = check_study(X, y, outcome, propensity, treatment, estimator=self)
        self.seed_ = draw_seed(self.random_state)
        for name in ("members", "batch_size"):
            check_whole(name, getattr(self, name), 1)
        for name in ("steps", "epochs"):
            check_whole(name, getattr(self, name))
        for width in self.hidden:
            check_whole("a width in hidden", width, 1)
        check_number("learning_rate", self.learning_rate, 0, open_low=True)
        check_number("validation_fraction", self.validation_fraction, 0, 1)
        study = self._with_propensity(study)
        study = study._replace(X=self._scale(study.X))
        if not self._validates():
            return self._rows(study), None
        if validation is None:
            order = np.random.default_rng([self.seed_, 1]).permutation(len(study.X))
            size = max(1, round(self.validation_fraction * len(order)))
            cut = min(size, len(order) - 1)
            study, held = study.rows(order[cut:]), study.rows(order[:cut])
        else:
            known: Any = {"estimator": self, "reset": False, "varying": False}
            held = check_study(*validation, **known)
            held = self._with_propensity(held)._replace(X=self._inputs(validation[0]))
        return self._rows(study), self._validation_rows(held)

    def _with_propensity(self, study: Study) -> Study:
        """Estimate the propensity if the rule has a parameter that says how."""
        how = getattr(self, "propensity", None)
        if how is None or study.propensity is not None:
            return study
        return study._replace(propensity=estimate_propensity(study.X, study.A, how))

    def _validates(self) -> bool:
        return True

    def _steps(self, people: int) -> int:
        """Return how many steps there are, where each row is seen a few times."""
        passes = self.epochs * math.ceil(people / min(self.batch_size, people))
        return max(self.steps, passes) if self.steps else 0

    def _descend(self, X: Array, rows: Any, loss: Any, **settings: Any) -> Networks:
        shared = ("batch_size", "learning_rate", "engine")
        settings = {name: getattr(self, name) for name in shared} | settings
        hidden = tuple(self.hidden)
        return train(X, rows, loss, hidden=hidden, seed=self.seed_, **settings)


def fit_together(
    rules: list[Any], studies: Sequence[tuple[Any, ...]], *, alike: bool = True
) -> list[Any]:
    """Return rules, each fitted to its own study, trained as one computation.

    Every rule is what its ``fit`` alone would make it, to the last digit: the data sets
    are stacked, and one matrix product serves them all.

    Parameters
    ----------
    rules : list of OutcomeWeightedClassifier, ContrastNetwork or BoundedEffectsNetwork
        Not yet fitted, with the same settings.
    studies : sequence of tuple
        What ``fit`` takes for each: ``(X, A, outcome, propensity, validation)``.
    alike : bool, default=True
        False starts each rule with other weights than it would have alone.

    Returns
    -------
    list
        The same rules.

    Raises
    ------
    sudlib.files.InputError
        If settings differ, or the studies do not have the same shape.
    """
    first = rules[0]
    if any(repr(rule.get_params()) != repr(first.get_params()) for rule in rules):
        raise InputError("rules that are fitted together must have the same settings")
    if getattr(first, "order", 1) == "auto" and len(rules) > 1:  # orders may differ
        one = zip(rules, studies, strict=True)
        return [fit_together([rule], [study], alike=alike)[0] for rule, study in one]
    ready = [rule._prepare(*study) for rule, study in zip(rules, studies, strict=True)]
    rows, held = zip(*ready, strict=True)
    shapes = {tuple(array.shape for array in study) for study in rows}
    if len(shapes) > 1:
        raise InputError(
            "studies that are fitted together must have as many people, covariates and"
            f" treatments; their shapes are {sorted(shapes)}"
        )
    data = tuple(np.stack(column) for column in zip(*rows, strict=True))
    trained = first._train(data, held, alike)
    for rule, networks, people in zip(rules, trained, held, strict=True):
        rule._finish(networks, people)
    return rules


def score_each(held: Sequence[Any], score: Callable[..., Any]) -> Array:
    """Return scores of the networks of every data set on its own validation rows.

    Parameters
    ----------
    held : sequence of tuple
        Validation rows of each data set.
    score : callable
        ``score(place, *rows)`` returns (1, F) scores; ``place`` is the slice of the
        data set.

    Returns
    -------
    numpy.ndarray of shape (G, F)
    """
    scores = [score(slice(i, i + 1), *rows) for i, rows in enumerate(held)]
    return np.concatenate(scores)
