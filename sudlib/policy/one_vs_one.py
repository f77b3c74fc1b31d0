"""Outcome-weighted learning by one-against-one comparisons of combinations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from sudlib.files import InputError
from sudlib.policy.base import TreatmentRule
from sudlib.policy.batched import with_ones
from sudlib.policy.losses import WeightedHamming
from sudlib.policy.optimisers import OPTIMISERS, numpy_steps, step_sizes
from sudlib.policy.outcome_weights import WEIGHTS, outcome_weights
from sudlib.policy.propensity import estimate_propensity
from sudlib.policy.study import Study
from sudlib.policy.treatments import Array, combination_number, combinations
from sudlib.validation import check_bytes, check_choice, check_whole, draw_seed

#: One classifier a pair of combinations: memory beyond this is refused.
MOST = 2**30


@dataclass(eq=False, repr=False)
class OneAgainstOne(TreatmentRule):
    """The study's naive rule: a linear classifier for each pair of combinations.

    The combinations are classes (the label powerset).  Each of the
    2^K (2^K - 1) / 2 classifiers is trained by outcome-weighted hinge loss on the
    people who received one of its two combinations; the combination with the most votes
    is recommended.  Taught in notebooks c02 and c04.

    Parameters
    ----------
    loss : str, default="hinge"
        A key of :data:`sudlib.policy.losses.SURROGATES`.
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.
    output : {"identity", "tanh"}, default="identity"
        What is applied to each classifier's score.
    weights : {"raw", "shifted", "centred", "residual"}, default="raw"
        The study says nothing; raw, signed outcomes come nearest to its tables.
    alpha : float or sequence of float, default=0.001
        Strength of the lasso penalty, larger is stronger.  Of several, the first is
        used to predict; :meth:`with_alpha` returns the others.
    steps : int, default=500
        Steps of the optimiser.
    batch_size : int, default=8
        People of each combination in a step.
    learning_rate : float, default=0.01
        Step size.
    optimiser : {"adam", "sgd"}, default="adam"
    votes : {"signs", "scores"}, default="signs"
        Whether votes are counted or scores added up.
    standardise : bool, default=True
        Scale covariates to mean 0 and variance 1.
    random_state : None, int, RandomState or Generator, default=0
        Order of rows.

    Attributes
    ----------
    coef_ : numpy.ndarray of shape (alphas, pairs, p + 1)
        Coefficients of each classifier, the intercept last.
    pairs_ : numpy.ndarray of int, shape (pairs, 2)
        Numbers of its two combinations.
    seen_ : numpy.ndarray of int
        Numbers of the combinations that were received; no other is recommended.
    """

    loss: str = "hinge"
    _: KW_ONLY
    output: str = "identity"
    weights: str = "raw"
    alpha: float | Sequence[float] = 0.001
    steps: int = 500
    batch_size: int = 8
    learning_rate: float = 0.01
    optimiser: str = "adam"
    votes: str = "signs"
    standardise: bool = True
    random_state: Any = 0

    def _fit(self, study: Study) -> None:
        check_choice("optimiser", self.optimiser, OPTIMISERS)
        check_choice("votes", self.votes, ("signs", "scores"))
        check_whole("steps", self.steps, 1)
        check_whole("batch_size", self.batch_size, 1)
        # "augmented" weighs single decisions, which a pair of combinations has not.
        check_choice("weights of OneAgainstOne", self.weights, WEIGHTS[:-1])
        every = combinations(self.n_treatments_)
        X, A, outcome, chance = study
        chance = estimate_propensity(X, A) if chance is None else chance
        X = self._scale(X).astype("float32")
        _, weights = outcome_weights(X, A, outcome, chance, self.weights)
        number = combination_number(A)
        self.seen_ = np.unique(number)
        if len(self.seen_) < 2:
            raise InputError("one-against-one needs two combinations that were given")
        pairs = len(self.seen_) * (len(self.seen_) - 1) // 2
        a_pair = 4 * (len(every) + 8 * np.size(self.alpha) * (1 + X.shape[1]))
        check_bytes(
            f"one-against-one of {len(self.seen_):,} combinations that were received"
            f" ({pairs:,} pairs)",
            pairs * a_pair + 8 * len(self.seen_) * self.steps * self.batch_size,
            MOST,
        )
        first, second = np.triu_indices(len(self.seen_), 1)
        self.pairs_ = np.column_stack([self.seen_[first], self.seen_[second]])
        for_one = np.eye(len(every), dtype="f4")
        self.votes_ = for_one[self.pairs_[:, 0]] - for_one[self.pairs_[:, 1]]
        self.coef_ = self._train(X, number, weights.astype("f4"), first, second)

    def _train(
        self, X: Array, number: Array, weights: Array, first: Array, second: Array
    ) -> Array:
        """Return the coefficients of every strength and pair.

        A step picks rows of each class once, and they serve all pairs of that class.
        """
        generator = np.random.default_rng(draw_seed(self.random_state))
        classes, size = len(self.seen_), self.batch_size
        streams = [
            np.concatenate([generator.permutation(rows) for _ in range(passes)])
            for rows in (np.flatnonzero(number == seen) for seen in self.seen_)
            for passes in [-(-self.steps * size // len(rows))]
        ]
        order = np.stack([stream[: self.steps * size] for stream in streams])
        order = order.reshape(classes, self.steps, size).swapaxes(0, 1)
        # of class c: its pairs, and whether it stands first in them
        table = np.full((classes, classes), -1)
        table[first, second] = table[second, first] = np.arange(len(first))
        others = ~np.eye(classes, dtype=bool)
        pairs = table[others].reshape(classes, classes - 1)
        stands_first = np.arange(classes)[:, None] < np.arange(classes)
        side = np.where(stands_first, 1, -1)[others].reshape(classes, 1, -1)
        at_first = first * (classes - 1) + second - 1
        at_second = second * (classes - 1) + first
        loss = WeightedHamming(self.loss, 1, 1, self.output)
        alphas = np.atleast_1d(np.asarray(self.alpha, "f4"))[:, None, None]
        flat = np.zeros((len(alphas), len(first), X.shape[1] + 1), "f4")
        penalised = np.ones(flat.shape[-1], "f4")
        penalised[-1] = 0

        def gradient(xp: Any, flat: Any, inputs: Any, picked: Any, masks: Any) -> Array:
            outputs = inputs @ np.swapaxes(flat[:, pairs], -1, -2)
            slope = loss.slope(xp, outputs, side.astype("f4"), *picked)
            by_class = np.swapaxes(slope * np.float32(0.5 / size), -1, -2) @ inputs
            by_class = by_class.reshape(len(alphas), -1, flat.shape[-1])
            descent = by_class[:, at_first] + by_class[:, at_second]
            return descent + alphas * penalised * np.sign(flat)

        sizes = step_sizes(self.learning_rate, self.steps, optimiser=self.optimiser)
        take_steps = numpy_steps(gradient, self.optimiser)
        state = flat, np.zeros_like(flat), np.zeros_like(flat)
        given = with_ones(X), [weights], order, sizes.astype("f4")
        with threadpool_limits(1, "blas"):
            return take_steps(state, *given)[0]

    def _votes(self, X: ArrayLike, index: int) -> Array:
        scores = with_ones(self._inputs(X)) @ self.coef_[index].T
        # a vote for the first is a vote less for the second: the ranking is kept
        if self.votes == "signs":
            scores = np.where(scores > 0, np.float32(1), np.float32(-1))
        elif self.output == "tanh":
            scores = np.tanh(scores)
        votes = scores @ self.votes_
        allowed = self._allowed()
        may = self.seen_ if allowed is None else combination_number(allowed)
        votes[:, np.setdiff1d(np.arange(votes.shape[1]), may)] = -np.inf
        return votes

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the votes of each combination, less those against it.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, 2 ** K)
            Columns as in :func:`sudlib.policy.combinations`; minus infinity for a
            combination that nobody received.
        """
        return self._votes(X, 0)

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
        every = combinations(self.n_treatments_, "int8")
        return lambda X: every[self._votes(X, index).argmax(axis=1)]

    def predict(self, X: ArrayLike) -> Array:
        """Return the combination with the most votes.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of int8, shape (n, K)
            Coded -1 and +1.
        """
        check_is_fitted(self)
        return self.with_alpha(0)(X)
