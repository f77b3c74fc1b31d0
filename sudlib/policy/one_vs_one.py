"""Outcome-weighted learning by one-against-one comparisons of combinations."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.base import _Rule
from sudlib.policy.batched import OPTIMISERS, step_sizes
from sudlib.policy.losses import WeightedHamming
from sudlib.policy.outcome_weights import outcome_weights
from sudlib.policy.treatments import combination_number, combinations


class OneAgainstOne(_Rule):
    """The study's naive rule: a linear classifier for each pair of combinations.

    Each of the 2^K (2^K - 1) / 2 classifiers is trained by outcome-weighted hinge loss
    on the people who received one of its two combinations; the combination with the
    most votes is recommended.

    Parameters
    ----------
    loss : str, default="hinge"
    output : {"identity", "tanh"}, default="identity"
    weights : {"raw", "shifted", "centred", "residual"}, default="raw"
        The study says nothing; raw, signed outcomes come nearest to its tables.
    strength : float or sequence of float, default=0.001
        Of the lasso penalty.  Of several, the first is used to predict; ``rule(i)``
        returns the others.
    steps, batch_size, learning_rate
        ``batch_size`` people of each combination a step.
    optimiser : {"adam", "sgd"}, default="adam"
    votes : {"signs", "scores"}, default="signs"
    standardise : bool, default=True
    random_state : int, default=0
    """

    def __init__(
        self,
        loss="hinge",
        *,
        output="identity",
        weights="raw",
        strength=0.001,
        steps=500,
        batch_size=8,
        learning_rate=0.01,
        optimiser="adam",
        votes="signs",
        standardise=True,
        random_state=0,
    ):
        self.loss = loss
        self.output = output
        self.weights = weights
        self.strength = strength
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimiser = optimiser
        self.votes = votes
        self.standardise = standardise
        self.random_state = random_state

    def fit(self, X, A, outcome, propensity=None):
        """Return the fitted rule; arguments as in OutcomeWeightedClassifier."""
        if self.optimiser not in OPTIMISERS:
            raise InputError(
                f"optimiser must be one of {', '.join(OPTIMISERS)},"
                f" not {self.optimiser!r}"
            )
        if self.votes not in ("signs", "scores"):
            raise InputError(f'votes must be "signs" or "scores", not {self.votes!r}')
        given = X
        X, A, outcome, propensity = self._start(X, A, outcome, propensity)
        X = self._scale(X, given)
        every = combinations(A.shape[1])
        if self.weights == "augmented":
            raise InputError('weights of OneAgainstOne cannot be "augmented"')
        weights = outcome_weights(X, A, outcome, propensity, self.weights)[1][:, 0]
        number = combination_number(A)
        self.seen_ = np.unique(number)
        if len(self.seen_) < 2:
            raise InputError("one-against-one needs two combinations that were given")
        first, second = np.triu_indices(len(self.seen_), 1)
        self.pairs_ = np.column_stack([self.seen_[first], self.seen_[second]])
        self.votes_ = np.zeros((len(first), len(every)), "f4")
        rows = np.arange(len(first))
        self.votes_[rows, self.pairs_[:, 0]] = 1
        self.votes_[rows, self.pairs_[:, 1]] = -1
        strengths = np.atleast_1d(np.asarray(self.strength, "f4"))
        self.coef_ = self._train(X, number, weights, strengths, first, second)
        return self

    def _train(self, X, number, weights, strengths, first, second):
        """Return the coefficients, (strengths, pairs, p + 1), the intercept last."""
        generator = np.random.default_rng(self.random_state)
        classes, size = len(self.seen_), self.batch_size
        X1 = np.column_stack([X, np.ones(len(X), "f4")])
        streams = [
            np.concatenate([generator.permutation(rows) for _ in range(passes)])
            for rows in (np.flatnonzero(number == seen) for seen in self.seen_)
            for passes in [-(-self.steps * size // len(rows))]
        ]
        # of class c: its pairs, and whether it stands first in them
        table = np.full((classes, classes), -1)
        table[first, second] = table[second, first] = np.arange(len(first))
        others = ~np.eye(classes, dtype=bool)
        pairs = table[others].reshape(classes, classes - 1)
        side = np.where(np.arange(classes)[:, None] < np.arange(classes), 1.0, -1.0)
        side = side[others].reshape(classes, 1, classes - 1).astype("f4")
        at_first = first * (classes - 1) + second - 1
        at_second = second * (classes - 1) + first
        loss = WeightedHamming(self.loss, 1, 1, self.output)
        flat = np.zeros((len(strengths), len(first), X1.shape[1]), "f4")
        mean, square = np.zeros_like(flat), np.zeros_like(flat)
        penal = np.ones(X1.shape[1], "f4")
        penal[-1] = 0
        penal = penal * strengths[:, None, None]
        adam = self.optimiser == "adam"
        sizes = step_sizes(self.learning_rate, self.steps, optimiser=self.optimiser)
        for step, rate in enumerate(sizes.astype("f4")):
            part = slice(step * size, (step + 1) * size)
            chosen = np.stack([stream[part] for stream in streams])
            inputs, weight = X1[chosen], weights[chosen].astype("f4")[..., None]
            own = np.swapaxes(flat[:, pairs], -1, -2)
            outputs = inputs @ own
            slope = loss.slope(np, outputs, side, weight) * np.float32(0.5 / size)
            by_class = np.swapaxes(slope, -1, -2) @ inputs
            by_class = by_class.reshape(len(strengths), -1, X1.shape[1])
            found = by_class[:, at_first] + by_class[:, at_second]
            found += penal * np.sign(flat)
            if not adam:
                flat -= rate * found
                continue
            mean += np.float32(0.1) * (found - mean)
            square += np.float32(0.001) * (found * found - square)
            flat -= rate * mean / (np.sqrt(square) + np.float32(1e-7))
        return flat

    def rule(self, strength):
        """Return the rule of the ``strength``-th strength: X to combination numbers."""

        def advise(X):
            scores = self._inputs(X) @ self.coef_[strength, :, :-1].T
            scores += self.coef_[strength, :, -1]
            # a vote for the first is a vote less for the second: the ranking is kept
            if self.votes == "signs":
                scores = np.where(scores > 0, np.float32(1), np.float32(-1))
            elif self.output == "tanh":
                scores = np.tanh(scores)
            votes = scores @ self.votes_
            unseen = np.setdiff1d(np.arange(votes.shape[1]), self.seen_)
            votes[:, unseen] = -np.inf
            return votes.argmax(axis=1)

        return advise

    def predict(self, X):
        """Return the recommended combinations, coded -1 and +1, (n, K)."""
        check_is_fitted(self)
        return combinations(self.n_treatments_, "int8")[self.rule(0)(X)]
