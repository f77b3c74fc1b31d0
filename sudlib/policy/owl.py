"""Outcome-weighted learning with networks: K decisions at once.

Taught in notebooks c01 (the idea), c02 and c03 (the study's rules and ours).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from sudlib.policy.base import NetworkRule, score_each
from sudlib.policy.batched import Networks
from sudlib.policy.crossfitting import folds
from sudlib.policy.doubly_robust import augmented_scores
from sudlib.policy.losses import WeightedHamming
from sudlib.policy.outcome_weights import outcome_weights
from sudlib.policy.study import Study
from sudlib.policy.treatments import Array, combination_number
from sudlib.validation import check_choice

#: The strengths of the lasso penalty that the study tries.
STUDY_ALPHAS = (0.1, 0.01, 0.001, 0.0001)


def observed_gain(
    networks: Networks, X: ArrayLike, targets: Array, weights: Array, members: int = 1
) -> Array:
    """Return the weighted share of decisions that agree with the targets.

    It is what a study can observe: minus equation (3) on validation rows, up to a
    constant.

    Parameters
    ----------
    networks : Networks
        (1, F) of them, the members of an ensemble next to each other.
    X : array-like of shape (n, p)
        Inputs.
    targets, weights : numpy.ndarray of shape (n, K) and (n, 1 or K)
        From :func:`sudlib.policy.outcome_weights`.
    members : int, default=1
        Networks in an ensemble.

    Returns
    -------
    numpy.ndarray of shape (1, F / members)
    """
    outputs = np.tanh(networks.outputs(X))
    lead = len(outputs), outputs.shape[1] // members, members
    decided = outputs.reshape(*lead, *outputs.shape[2:]).mean(axis=2) > 0
    return ((decided == (targets > 0)) * weights).mean(axis=(-1, -2))


@dataclass(eq=False, repr=False)
class OutcomeWeightedClassifier(NetworkRule):
    r"""A treatment rule by outcome-weighted learning, K decisions at once.

    Minimises equation (7) of the study: the mean of
    :math:`w_i \frac1K \sum_k \phi(A_{ik} \tilde D_k(X_i))` plus a penalty, with
    :math:`w_i` from the outcome and the propensity.  ``hidden=()`` is its DNN-simple,
    ``hidden=(45,)`` its DNN-1hdd.  In multi-label terms order 1 is binary relevance
    with shared hidden layers; with order K it is a surrogate of the 0-1 loss of the
    label powerset.

    Parameters
    ----------
    loss : {"hinge", "logistic", "exponential", "least squares"}, default="hinge"
        Surrogate of the 0-1 loss of one decision.
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.
    hidden : sequence of int, default=()
        Widths of hidden layers.
    members : int, default=1
        Networks in an ensemble, which differ in their start; outputs are averaged.
    alpha : float or sequence of float, default=0.001
        Strength of the penalty, larger is stronger.  Of several, the one with the best
        :func:`observed_gain` on the validation set.
    steps, batch_size, learning_rate
        See :func:`sudlib.policy.batched.train`.
    validation_fraction : float, default=0.2
        Share of rows in the validation set, where one is needed and not given.
    standardise : bool, default=True
        Scale covariates to mean 0 and variance 1.
    engine : {"auto", "numpy", "keras"}, default="auto"
        See :mod:`sudlib.policy.batched`.
    random_state : None, int, RandomState or Generator, default=0
        Start, order of rows, dropout, validation set and folds.
    epochs : int, default=4
        Passes over all rows at least.
    order : int or "auto", default=1
        τ of the Hamming loss: 1 is the study's, K the 0-1 loss.  "auto" takes of 1, 2
        and K the one whose rules, learned on four folds of five, are worth most on the
        fifth (doubly robust).
    output : {"tanh", "identity"}, default="tanh"
        A bounded output keeps the hinge bounded where weights are negative.
    weights : {"raw", "shifted", "centred", "residual", "augmented"}, default="centred"
        See :func:`sudlib.policy.outcome_weights`.
    propensity : {"marginal", "product", "multinomial"}, default="marginal"
        How it is estimated when ``fit`` is not given one.
    penalty : {"l1", "ridge", "lasso", "nodes"}, default="l1"
        Of weights.  "l1" is the study's, whose weights come near zero; "lasso" sets
        weights to zero, and "nodes", a group lasso, drops whole nodes.
    dropout : float, default=0
        Share of hidden nodes left out of a step.
    decay, optimiser
        See :func:`sudlib.policy.batched.train`.
    early_stopping : bool, default=False
        Keep the weights with the best gain on the validation set, which is looked at
        forty times.
    start : array-like of shape (members, weights), optional
        Weights to begin with, flat, in the order of
        :class:`sudlib.policy.batched.Shape`.

    Attributes
    ----------
    networks_ : sudlib.policy.batched.Networks
        The members that decide, (1, members).
    candidates_ : sudlib.policy.batched.Networks
        All fits, (1, alphas times members), members next to each other.
    gains_ : numpy.ndarray or None
        Gain of each alpha on the validation set.
    alpha_ : float
        The strength chosen.
    order_ : int
        τ, given or chosen.
    order_values_ : dict of int to float
        Cross-fitted value of each τ that was tried; only with "auto".

    References
    ----------
    Liang, Ye and Fu, sections 3 to 5; Zhao, Zeng, Rush and Kosorok (2012), Estimating
    individualized treatment rules using outcome weighted learning.

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> X, A = generator.normal(size=(300, 2)), generator.choice([-1, 1], (300, 2))
    >>> rule = OutcomeWeightedClassifier(steps=300).fit(X, A, (A * X).sum(axis=1))
    >>> rule.predict([[2.0, -2.0]]).tolist()
    [[1, -1]]
    """

    loss: str = "hinge"
    _: KW_ONLY
    order: int | str = 1
    output: str = "tanh"
    weights: str = "centred"
    propensity: str = "marginal"
    penalty: str = "l1"
    dropout: float = 0.0
    decay: bool = False
    optimiser: str = "adam"
    early_stopping: bool = False
    start: ArrayLike | None = None

    def _loss(self) -> WeightedHamming:
        return WeightedHamming(self.loss, self.order_, self.n_treatments_, self.output)

    def _choose_order(self, study: Study) -> int:
        """Return the order whose rules are worth most to people they did not see."""
        X, A, outcome, chance = study
        orders = sorted({1, min(2, A.shape[1]), A.shape[1]})
        scores = augmented_scores(X, A, outcome, propensity=chance, seed=self.seed_)
        worth = np.full((len(orders), len(X)), np.nan)
        for train, rest in folds(len(X), 5, self.seed_):
            for place, order in enumerate(orders):
                rule = clone(self).set_params(order=order, standardise=False)
                advice = rule.fit(*study.rows(train)).predict(X[rest])
                number = combination_number(advice)
                worth[place, rest] = np.asarray(scores)[rest, number]
        values = np.nanmean(worth, axis=1)
        self.order_values_ = dict(zip(orders, map(float, values), strict=True))
        return orders[int(values.argmax())]

    def _validates(self) -> bool:
        return np.size(self.alpha) > 1 or bool(self.early_stopping)

    def _rows(self, study: Study) -> tuple[Any, ...]:
        self.order_: Any = self.order
        if isinstance(self.order, str):
            check_choice("order", self.order, ("auto",))
            self.order_ = self._choose_order(study)
        self._loss()
        return self._weighted(study, self.weights)

    def _validation_rows(self, study: Study) -> tuple[Any, ...]:
        # Centred or not, the choice of a penalty must not reward giving what most have.
        how = "augmented" if self.weights == "augmented" else "centred"
        return self._weighted(study, how)

    def _weighted(self, study: Study, how: str) -> tuple[Any, ...]:
        return study.X, *outcome_weights(*study, how, self.seed_)

    def _train(self, data: tuple[Array, ...], held: Any, alike: bool) -> list[Any]:
        """Return networks of each data set, (1, alphas times members)."""
        X, targets, weights = data
        alphas = np.atleast_1d(np.asarray(self.alpha, dtype=float))
        start = self.start
        if start is not None:
            start = np.tile(np.asarray(start, "f4"), (len(X), len(alphas), 1))

        def gains(step: int, networks: Networks) -> Array:
            return score_each(held, lambda i, *rows: observed_gain(networks[i], *rows))

        networks = self._descend(
            X,
            (targets[:, None], weights[:, None]),
            self._loss(),
            outputs=self.n_treatments_,
            alphas=np.repeat(alphas, self.members),
            penalty=self.penalty,
            decay=self.decay,
            optimiser=self.optimiser,
            dropout=self.dropout,
            start=start,
            alike=alike,
            watch=gains if self.early_stopping else None,
            steps=(steps := self._steps(X.shape[-2])),
            watch_every=max(1, steps // 40),
        )
        return [networks[i : i + 1] for i in range(len(X))]

    def _finish(self, networks: Networks, held: Any) -> None:
        """Choose the strength and keep the networks that decide."""
        self.candidates_ = networks
        chosen, self.gains_ = 0, None
        if held is not None:
            X, targets, weights = held
            self.gains_ = observed_gain(networks, X, targets, weights, self.members)[0]
            chosen = int(self.gains_.argmax())
        self.alpha_ = float(np.atleast_1d(self.alpha)[chosen])
        self.networks_ = self.member(chosen)

    @property
    def coef_(self) -> Array:
        """Coefficients of scaled covariates, (K, 1 + p), intercepts first.

        Only without hidden layers; the mean over members.
        """
        check_is_fitted(self)
        if tuple(self.hidden):
            raise AttributeError("coef_ is of rules without hidden layers")
        networks = self.networks_
        weights = networks.shape.matrices(np, networks.flat)[0][0].mean(axis=0)
        return np.roll(weights, 1, axis=0).T

    def member(self, index: int) -> Networks:
        """Return the networks of one of several strengths.

        Parameters
        ----------
        index : int
            Its place in ``alpha``.

        Returns
        -------
        sudlib.policy.batched.Networks
            (1, members) of them.
        """
        first = index * self.members
        return self.candidates_[:, first : first + self.members]

    def with_alpha(self, index: int) -> Callable[[ArrayLike], Array]:
        """Return the rule of one of several strengths, as a function.

        Parameters
        ----------
        index : int
            Its place in ``alpha``.

        Returns
        -------
        callable
            From covariates to combinations, as ``predict``.
        """
        networks = self.member(index)
        return lambda X: self._advise(self._scores(X, networks))

    def _scores(self, X: ArrayLike, networks: Networks) -> Array:
        outputs = networks.outputs(self._inputs(X))[0]
        return (np.tanh(outputs) if self.output == "tanh" else outputs).mean(axis=0)

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the score of each treatment; above 0 it is recommended.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, K)
        """
        check_is_fitted(self)
        return self._scores(X, self.networks_)
