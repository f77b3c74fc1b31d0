"""Treatment rules as scikit-learn estimators (floor 3).

Every rule has ``fit(X, A, outcome, propensity=None)``, ``predict(X)`` (combinations
coded -1 and +1, one column a treatment) and ``value(X, A, outcome)``.  Taught in
notebooks c01 (the idea), c02 and c03 (the study's rules and ours).
"""

import itertools
import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from sudlib.combinations import combination_number, combinations
from sudlib.files import InputError
from sudlib.owl.batched import (
    OPTIMISERS,
    Networks,
    Shape,
    choose_engine,
    step_sizes,
    train,
)
from sudlib.owl.losses import SquaredContrast, SquaredCurve, WeightedHamming
from sudlib.owl.weights import (
    contrast_basis,
    estimate_propensity,
    interactions,
    outcome_weights,
    ridge_effects,
)

#: The penalty strengths that the study tries.
STRENGTHS = (0.1, 0.01, 0.001, 0.0001)


# -------------------------------------------------------------------------- checks


def check_treatments(A, rows=None):
    """Return treatments coded -1 and +1, int8, or say what is wrong.

    Parameters
    ----------
    A : array-like of shape (n, K) or (n,)
        Coded -1 and +1; 0 and 1 are accepted, with a warning that says so.
    rows : int, optional
        How many rows there must be.

    Raises
    ------
    InputError
        For another code, a missing one, or the wrong number of rows.
    """
    A = np.asarray(A)
    A = A[:, None] if A.ndim == 1 else A
    if A.ndim != 2 or (rows is not None and len(A) != rows):
        raise InputError(
            f"A must have one row a person ({rows}) and one column a treatment,"
            f" not shape {A.shape}"
        )
    codes = {code for code in np.unique(A).tolist()}
    if codes <= {-1, 1}:
        return A.astype("int8")
    if codes <= {0, 1}:
        warnings.warn(
            "treatments coded 0 and 1 are read as -1 (not given) and +1 (given)",
            UserWarning,
            stacklevel=3,
        )
        return (2 * A.astype("int8") - 1).astype("int8")
    shown = ", ".join(map(str, sorted(codes, key=str)[:6]))
    raise InputError(f"treatments must be coded -1 and +1 (or 0 and 1), not {shown}")


def check_people(X, A, outcome, propensity=None, *, train=True):
    """Return X, A, outcome and propensity as arrays, or say what is wrong.

    Raises
    ------
    InputError
        For missing covariates, outcomes that are not finite, a treatment that is given
        to nobody or to everybody (when training), or a propensity that is not above 0
        and at most 1.
    """
    X = np.asarray(X)
    if X.dtype.kind == "f" and np.isnan(X).any():
        columns = np.flatnonzero(np.isnan(X).any(axis=0)).tolist()
        raise InputError(
            f"X has missing values in columns {columns}; impute them first, for"
            " example with sklearn.impute.IterativeImputer"
        )
    X = check_array(X, dtype="float32")
    A = check_treatments(A, len(X))
    outcome = np.asarray(outcome, dtype=float)
    if outcome.shape != (len(X),):
        raise InputError(
            f"outcome must have one number a person ({len(X)}), not shape"
            f" {outcome.shape}"
        )
    if not np.isfinite(outcome).all():
        row = int(np.flatnonzero(~np.isfinite(outcome))[0])
        raise InputError(f"outcomes must be finite; row {row} has {outcome[row]}")
    if train:
        given = (A > 0).mean(axis=0)
        if ((given == 0) | (given == 1)).any():
            column = int(np.flatnonzero((given == 0) | (given == 1))[0])
            who = "nobody" if given[column] == 0 else "everybody"
            raise InputError(
                f"treatment {column} is given to {who}: its effect cannot be learnt"
            )
    if propensity is not None:
        propensity = np.broadcast_to(np.asarray(propensity, float), outcome.shape)
        bad = ~((propensity > 0) & (propensity <= 1))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                "a propensity must be above 0 and at most 1; row"
                f" {row} has {propensity[row]}"
            )
    return X, A, outcome, propensity


class _Rule(BaseEstimator):
    """What all rules share."""

    def _start(self, X, A, outcome, propensity):
        """Check what was given, remember its shape, and return it with propensities."""
        X, A, outcome, propensity = check_people(X, A, outcome, propensity)
        self.n_treatments_ = A.shape[1]
        if propensity is None:
            how = getattr(self, "propensity", "marginal")
            propensity = estimate_propensity(X, A, how)
        return X, A, outcome, propensity

    def _inputs(self, X):
        check_is_fitted(self)
        X = np.asarray(
            validate_data(self, X, reset=False, dtype="float32"), dtype="float32"
        )
        return self.scaler_.transform(X) if self.scaler_ is not None else X

    def _scale(self, X, given):
        """Remember names and widths of the covariates; return them scaled if asked."""
        validate_data(self, given, skip_check_array=True)
        self.scaler_ = StandardScaler().fit(X) if self.standardise else None
        return X if self.scaler_ is None else self.scaler_.transform(X)

    def value(self, X, A, outcome, propensity=None):
        """Return the estimated mean outcome if everybody followed the rule.

        The mean outcome of those who happened to be treated as advised, each weighted
        by one over the probability of the combination (T of the study's section 7).

        Parameters
        ----------
        X, A, outcome : arrays of shape (n, p), (n, K) and (n,)
        propensity : array of shape (n,), optional
            By default the share of each combination.

        Returns
        -------
        float
            NaN if nobody was treated as advised.
        """
        raw, A, outcome, propensity = check_people(
            X, A, outcome, propensity, train=False
        )
        if propensity is None:
            propensity = estimate_propensity(raw, A)
        as_advised = (self.predict(X) == A).all(axis=1)
        weight = as_advised / propensity
        return float(weight @ outcome / weight.sum()) if weight.any() else float("nan")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _split(rows, share, seed):
    """Return rows to train on and rows to watch."""
    order = np.random.default_rng([seed, 1]).permutation(rows)
    held = min(max(1, round(share * rows)), rows - 1)
    return order[held:], order[:held]


# -------------------------------------------------------------------- the study's


class OutcomeWeightedClassifier(_Rule):
    r"""A treatment rule by outcome-weighted learning, K decisions at once.

    Minimises equation (7) of the study: the mean of
    :math:`w_i \frac1K \sum_k \phi(A_{ik} \tilde D_k(X_i))` plus a penalty, with
    :math:`w_i` from the outcome and the propensity.  ``hidden=()`` is its DNN-simple,
    ``hidden=(45,)`` its DNN-1hdd.

    Parameters
    ----------
    loss : {"hinge", "logistic", "exponential", "least squares"}, default="hinge"
    order : int, default=1
        τ of the Hamming loss: 1 is the study's, K the 0-1 loss.
    hidden : tuple of int, default=()
        Widths of hidden layers.
    output : {"tanh", "identity"}, default="tanh"
        A bounded output keeps the hinge bounded where weights are negative.
    weights : {"raw", "shifted", "centred", "residual", "augmented"}
        See :func:`sudlib.owl.weights.outcome_weights`; "centred" by default.
    propensity : {"marginal", "product", "multinomial"}, default="marginal"
        How it is estimated when ``fit`` is not given one.
    penalty : {"lasso", "ridge", "nodes"}, default="lasso"
    strength : float or sequence of float, default=0.001
        Of the penalty.  Of several, the one with the best ``gain`` on validation rows.
    dropout : float, default=0
    steps, batch_size, learning_rate, decay, optimiser
        See :func:`sudlib.owl.batched.train`.
    early_stopping : bool, default=False
        Keep the weights with the best gain on validation rows.
    validation_fraction : float, default=0.2
        Share of rows set aside where validation rows are needed and not given.
    members : int, default=1
        Networks in an ensemble, which differ in their start; outputs are averaged.
    standardise : bool, default=True
        Scale covariates to mean 0 and variance 1.
    start : array, optional
        Weights to begin with, flat, in the order of
        :class:`sudlib.owl.batched.Shape`, shape (members, weights).
    engine : {"auto", "numpy", "keras"}, default="auto"
        See :mod:`sudlib.owl.batched`.
    random_state : int, default=0

    Attributes
    ----------
    networks_ : sudlib.owl.batched.Networks
        The members that decide, (1, members).
    candidates_ : sudlib.owl.batched.Networks
        All fits, (1, strengths times members), members next to each other.
    gains_ : numpy.ndarray or None
        Gain of each strength on validation rows.
    strength_ : float
        The strength chosen.
    n_treatments_, n_features_in_ : int

    Examples
    --------
    >>> from sudlib.owl import simulation
    >>> world = simulation.draw_truth("right", 33)
    >>> people = simulation.draw(world, 500, 34)
    >>> rule = OutcomeWeightedClassifier(steps=200)
    >>> rule.fit(people.X, people.A, people.outcome).predict(people.X[:2]).shape
    (2, 5)
    """

    def __init__(
        self,
        loss="hinge",
        *,
        order=1,
        hidden=(),
        output="tanh",
        weights="centred",
        propensity="marginal",
        penalty="lasso",
        strength=0.001,
        dropout=0.0,
        steps=2000,
        batch_size=100,
        learning_rate=0.01,
        decay=False,
        optimiser="adam",
        early_stopping=False,
        validation_fraction=0.2,
        members=1,
        standardise=True,
        start=None,
        engine="auto",
        random_state=0,
    ):
        self.loss = loss
        self.order = order
        self.hidden = hidden
        self.output = output
        self.weights = weights
        self.propensity = propensity
        self.penalty = penalty
        self.strength = strength
        self.dropout = dropout
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay = decay
        self.optimiser = optimiser
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.members = members
        self.standardise = standardise
        self.start = start
        self.engine = engine
        self.random_state = random_state

    def fit(self, X, A, outcome, propensity=None, *, validation=None):
        """Return the fitted rule.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates, without missing values.
        A : array-like of shape (n, K)
            Treatments received, coded -1 and +1.
        outcome : array-like of shape (n,)
            Larger is better.
        propensity : array-like of shape (n,), optional
            Probability of the combination received; estimated by default.
        validation : tuple of (X, A, outcome), optional
            People to choose the strength on, and when to stop.

        Raises
        ------
        sudlib.files.InputError
            See :func:`check_people`.
        """
        return fit_together([self], [(X, A, outcome, propensity, validation)])[0]

    def _prepare(self, X, A, outcome, propensity=None, validation=None):
        """Return what to train on and, or None, whom to validate on."""
        WeightedHamming(self.loss, self.order, check_treatments(A).shape[1])
        given = X
        X, A, outcome, propensity = self._start(X, A, outcome, propensity)
        X = self._scale(X, given)
        watched = self._watched(
            X, A, outcome, propensity, validation, np.size(self.strength)
        )
        X, A, outcome, propensity, held = watched
        targets, weights = outcome_weights(
            X, A, outcome, propensity, self.weights, self.random_state
        )
        return (X, targets, weights), held

    def _train(self, parts, held):
        """Return networks, (data sets, strengths times members)."""
        X, targets, weights = (np.stack(column) for column in zip(*parts, strict=True))
        strengths = np.atleast_1d(np.asarray(self.strength, dtype=float))
        treatments = targets.shape[-1]
        start = None
        if self.start is not None:
            start = np.tile(np.asarray(self.start, "f4"), (len(strengths), 1))
            start = np.repeat(start[None], len(X), axis=0)

        def gains(step, networks):
            return _each(networks, held, _gain)

        return train(
            X,
            (targets[:, None], weights[:, None]),
            WeightedHamming(self.loss, self.order, treatments, self.output),
            hidden=tuple(self.hidden),
            outputs=treatments,
            strengths=np.repeat(strengths, self.members),
            penalty=self.penalty,
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            decay=self.decay,
            optimiser=self.optimiser,
            dropout=self.dropout,
            seed=self.random_state,
            start=start,
            alike=True,
            watch=gains if self._stops() else None,
            engine=self.engine,
        )

    def _finish(self, networks, held):
        """Choose the strength and keep the networks that decide."""
        self.candidates_ = networks
        strengths = np.atleast_1d(np.asarray(self.strength, dtype=float))
        chosen, self.gains_ = 0, None
        if held is not None:
            self.gains_ = _gain(networks, *held, members=self.members)[0]
            chosen = int(self.gains_.argmax())
        self.strength_ = float(strengths[chosen])
        self.networks_ = self.member(chosen)

    def _stops(self):
        return bool(self.early_stopping)

    def _watched(self, X, A, outcome, propensity, validation, strengths):
        """Return what to train on, and what to validate on or None."""
        if strengths == 1 and not self._stops():
            return X, A, outcome, propensity, None
        if validation is None:
            kept, left = _split(len(X), self.validation_fraction, self.random_state)
            held = X[left], A[left], outcome[left], propensity[left]
            X, A, outcome, propensity = (
                X[kept],
                A[kept],
                outcome[kept],
                propensity[kept],
            )
        else:
            raw, seen, result, _ = check_people(*validation)
            chance = estimate_propensity(raw, seen, self.propensity)
            if self.scaler_ is not None:
                raw = self.scaler_.transform(raw)
            held = raw, seen, result, chance
        targets, weights = outcome_weights(
            *held, "augmented" if self.weights == "augmented" else "centred"
        )
        return X, A, outcome, propensity, (held[0], targets, weights)

    def member(self, strength):
        """Return the networks of the ``strength``-th strength, (1, members)."""
        first = strength * self.members
        return self.candidates_[:, first : first + self.members]

    def with_strength(self, strength):
        """Return the rule of the ``strength``-th strength tried: X to combinations."""
        networks = self.member(strength)
        return lambda X: _signs(self._scores(X, networks))

    def decision_function(self, X):
        """Return the score of each treatment, (n, K); above 0 it is recommended."""
        check_is_fitted(self)
        return self._scores(X, self.networks_)

    def _scores(self, X, networks):
        outputs = networks.outputs(self._inputs(X))[0]
        return (np.tanh(outputs) if self.output == "tanh" else outputs).mean(axis=0)

    def predict(self, X):
        """Return the recommended combinations, coded -1 and +1, (n, K)."""
        return _signs(self.decision_function(X))


def _signs(scores):
    """Return +1 where a score is above 0: without evidence nothing is recommended."""
    return np.where(scores > 0, 1, -1).astype("int8")


def _gain(networks, X, targets, weights, members=1):
    """Return the weighted share of agreeing decisions, (G, F / members).

    It is what a study can observe: minus equation (3) on validation rows, up to a
    constant.
    """
    outputs = np.tanh(networks.outputs(X))
    lead = (*outputs.shape[:1], outputs.shape[1] // members, members)
    decided = outputs.reshape(*lead, *outputs.shape[2:]).mean(axis=2) > 0
    agree = decided == (targets > 0)
    return (agree * weights).mean(axis=(-1, -2))


def _fit(networks, X, basis, left):
    """Return minus the mean squared error, (G, F)."""
    said = (basis * networks.outputs(X)).sum(axis=-1)
    return -((left - said) ** 2).mean(axis=-1)


def _each(networks, held, score):
    """Return the scores of the networks of every data set on its own people."""
    return np.concatenate(
        [
            score(networks[place : place + 1], *people)
            for place, people in enumerate(held)
        ]
    )


def fit_together(rules, studies):
    """Return rules, each fitted to its own study, trained as one computation.

    Every rule is what its ``fit`` alone would make it, to the last digit: the data sets
    are stacked, and one matrix product serves them all.

    Parameters
    ----------
    rules : list of OutcomeWeightedClassifier or of ContrastNetwork
        Not yet fitted, with the same settings.
    studies : list of tuple
        What ``fit`` takes for each: ``(X, A, outcome, propensity, validation)``.

    Returns
    -------
    list
        The same rules.

    Raises
    ------
    InputError
        If settings differ, or the studies do not have the same shape.
    """
    first = rules[0]
    if any(repr(rule.get_params()) != repr(first.get_params()) for rule in rules):
        raise InputError("rules that are fitted together must have the same settings")
    ready = [rule._prepare(*study) for rule, study in zip(rules, studies, strict=True)]
    parts, held = zip(*ready, strict=True)
    shapes = {tuple(array.shape for array in part) for part in parts}
    if len(shapes) > 1:
        raise InputError(
            "studies that are fitted together must have as many people, covariates and"
            f" treatments; their shapes are {sorted(shapes)}"
        )
    networks = first._train(parts, held)
    for place, (rule, people) in enumerate(zip(rules, held, strict=True)):
        own = slice(place, place + 1)
        if isinstance(networks, dict):
            rule._finish({key: net[own] for key, net in networks.items()}, people)
        else:
            rule._finish(networks[own], people)
    return rules


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


# -------------------------------------------------------------------------- ours


class RidgeQ(_Rule):
    """The cheap rival: ridge regression of the outcome on X, A and A times X.

    Parameters
    ----------
    pairs : bool, default=False
        Also products of two treatments; then the best of all combinations is
        recommended, otherwise every treatment with a positive effect.
    standardise : bool, default=True
    """

    def __init__(self, pairs=False, standardise=True):
        self.pairs = pairs
        self.standardise = standardise

    def fit(self, X, A, outcome, propensity=None):
        """Return the fitted rule; the propensity is not used."""
        given = X
        X, A, outcome, _ = self._start(X, A, outcome, propensity)
        X = self._scale(X, given)
        self.model_ = RidgeCV(alphas=np.logspace(-1, 4, 11))
        self.model_.fit(interactions(A, X, self.pairs), outcome)
        return self

    def decision_function(self, X):
        """Return the effect of each treatment, and of each pair, (n, effects)."""
        X = self._inputs(X)
        effects = self.n_treatments_
        if self.pairs:
            effects += effects * (effects - 1) // 2
        return ridge_effects(self.model_, X, effects)

    def predict(self, X):
        """Return the recommended combinations, coded -1 and +1, (n, K)."""
        return best_combination(self.decision_function(X), self.n_treatments_)


def best_combination(effects, treatments):
    """Return the combinations with the largest sum of effects, (n, K).

    Parameters
    ----------
    effects : array of shape (n, K) or (n, K + K (K - 1) / 2)
        Effects of treatments, and then of pairs, as in
        :func:`sudlib.owl.weights.contrast_basis`.
    treatments : int
    """
    effects = np.asarray(effects)
    if effects.shape[1] == treatments:
        return _signs(effects)
    every = combinations(treatments, "int8")
    return every[(effects @ contrast_basis(every, 2)[:, 1:].T).argmax(axis=1)]


class _OutcomeNetwork(_Rule):
    """Networks that model the outcome by squared error."""

    def fit(self, X, A, outcome, propensity=None, *, validation=None):
        """Return the fitted rule; arguments as in OutcomeWeightedClassifier."""
        return fit_together([self], [(X, A, outcome, propensity, validation)])[0]

    def _prepare(self, X, A, outcome, propensity=None, validation=None):
        """Return what to train on and whom to validate on."""
        given = X
        X, A, outcome, _ = self._start(X, A, outcome, propensity)
        X = self._scale(X, given)
        if validation is None:
            kept, left = _split(len(X), self.validation_fraction, self.random_state)
            held = X[left], A[left], outcome[left]
            X, A, outcome = X[kept], A[kept], outcome[kept]
        else:
            held = check_people(*validation)[:3]
            if self.scaler_ is not None:
                held = (self.scaler_.transform(held[0]), *held[1:])
        self.centre_ = float(outcome.mean())
        return (X, A, outcome - self.centre_), (*held[:2], held[2] - self.centre_)

    def _descend(self, data, loss, fits, outputs, number, steps):
        """Return ``number`` networks on each data set, each where ``fits`` was best."""
        X, rows = data
        return train(
            X,
            rows,
            loss,
            hidden=tuple(self.hidden),
            outputs=outputs,
            strengths=[self.alpha / X.shape[1]] * number,
            penalty="ridge",
            steps=steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            decay=True,
            seed=self.random_state,
            alike=True,
            watch=fits,
            watch_every=max(1, steps // 20),
            engine=self.engine,
        )


class ContrastNetwork(_OutcomeNetwork):
    r"""Our rule: one network for the outcome's contrasts (additive A-learning).

    The outcome is modelled as
    :math:`m(X) + \sum_k \frac{A_k}{2} f_k(X)`, with ``order=2`` also
    :math:`\sum_{j<k} \frac{A_j A_k}{2} f_{jk}(X)`, by squared error: what the other
    treatments do is explained, where outcome-weighted learning counts it as noise.
    Early stopping, averaging of members and the choice of the order use the squared
    error on validation rows, which every study observes.

    Parameters
    ----------
    order : {"auto", 1, 2}, default="auto"
    hidden : tuple of int, default=(45,)
    members : int, default=5
    alpha : float, default=40
        Of the ridge penalty, as in ridge regression: it is divided by the number of
        rows, so that more people need no other value.
    steps, batch_size, learning_rate
        Of Adam with a step size that falls along a cosine.
    validation_fraction : float, default=0.2
    standardise : bool, default=True
    engine : {"auto", "numpy", "keras"}, default="auto"
    random_state : int, default=0

    Attributes
    ----------
    order_ : int
        The order chosen.
    errors_ : dict of int to float
        Mean squared error of each order on validation rows.
    """

    def __init__(
        self,
        order="auto",
        *,
        hidden=(45,),
        members=5,
        alpha=40.0,
        steps=2000,
        batch_size=100,
        learning_rate=0.01,
        validation_fraction=0.2,
        standardise=True,
        engine="auto",
        random_state=0,
    ):
        self.order = order
        self.hidden = hidden
        self.members = members
        self.alpha = alpha
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.standardise = standardise
        self.engine = engine
        self.random_state = random_state

    def _prepare(self, X, A, outcome, propensity=None, validation=None):
        """Return what to train on and whom to validate on."""
        if self.order not in ("auto", 1, 2):
            raise InputError(f'order must be "auto", 1 or 2, not {self.order!r}')
        return super()._prepare(X, A, outcome, propensity, validation)

    def _train(self, parts, held):
        """Return networks, (data sets, members), of each order that is tried."""
        X, A, outcome = (np.stack(column) for column in zip(*parts, strict=True))
        few = [tuple(array[:5000] for array in people) for people in held]
        found = {}
        for order in (1, 2) if self.order == "auto" else (self.order,):
            basis = np.stack([contrast_basis(treatments, order) for treatments in A])
            seen = [(X, contrast_basis(A, order), left) for X, A, left in few]

            def fits(step, networks, seen=seen):
                return _each(networks, seen, _fit)

            data = X, (basis[:, None], outcome[:, None, :, None])
            sizes = basis.shape[-1], self.members, self.steps
            found[order] = self._descend(data, SquaredContrast(), fits, *sizes)
        return found

    def _finish(self, networks, held):
        """Choose the order and keep its networks."""
        self.errors_ = {}
        X, A, left = held
        for order, members in networks.items():
            effects = members.outputs(X)[0].mean(axis=0)
            said = (contrast_basis(A, order) * effects).sum(axis=-1)
            self.errors_[order] = float(((left - said) ** 2).mean())
        self.order_ = min(self.errors_, key=self.errors_.get)
        self.networks_ = networks[self.order_]

    def decision_function(self, X):
        """Return the effect of each treatment, then of each pair, (n, effects)."""
        outputs = self.networks_.outputs(self._inputs(X))[0].mean(axis=0)
        return outputs[:, 1:]

    def predict(self, X):
        """Return the recommended combinations, coded -1 and +1, (n, K)."""
        return best_combination(self.decision_function(X), self.n_treatments_)


class BoundedEffectsNetwork(_OutcomeNetwork):
    r"""Our rule where effects level off: bounded, and adding up to a curve.

    The outcome is modelled by squared error as in
    :class:`sudlib.owl.losses.SquaredCurve`: each treatment taken adds an effect of at
    most :math:`c`, and their sum may have diminishing returns.  Bound and curvature are
    chosen, from the values given, by the squared error on validation rows, which every
    study observes: a short training with each, then a full one with the best.

    Parameters
    ----------
    bounds : sequence of float
        Bounds to try, in standard deviations of the outcome; 4 is as good as none.
    curvatures : sequence of float
        Curvatures to try, of outcomes in standard deviations; 0 is a plain sum.
    search : float, default=0.25
        Share of ``steps`` in the short training.
    hidden, members, alpha, steps, batch_size, learning_rate, validation_fraction
        As in :class:`ContrastNetwork`.
    standardise : bool, default=True
    engine : {"auto", "numpy", "keras"}, default="auto"
    random_state : int, default=0

    Attributes
    ----------
    bound_, curvature_ : float
        Those chosen, in units of the outcome.
    errors_ : numpy.ndarray of shape (bounds, curvatures)
        Mean squared error on validation rows after the short training.

    Examples
    --------
    >>> from sudlib.owl import BoundedEffectsNetwork, simulation
    >>> world = simulation.draw_truth("wrong", 33)
    >>> train = simulation.draw(world, 1000, 1)
    >>> rule = BoundedEffectsNetwork(steps=200, members=1)
    >>> rule.fit(train.X, train.A, train.outcome).predict(train.X[:2]).shape
    (2, 5)
    """

    def __init__(
        self,
        *,
        bounds=(0.35, 0.5, 0.7, 1.0, 4.0),
        curvatures=(-0.4, -0.2, 0.0, 0.2),
        search=0.25,
        hidden=(100,),
        members=3,
        alpha=20.0,
        steps=2000,
        batch_size=100,
        learning_rate=0.01,
        validation_fraction=0.2,
        standardise=True,
        engine="auto",
        random_state=0,
    ):
        self.bounds = bounds
        self.curvatures = curvatures
        self.search = search
        self.hidden = hidden
        self.members = members
        self.alpha = alpha
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.standardise = standardise
        self.engine = engine
        self.random_state = random_state

    def _prepare(self, X, A, outcome, propensity=None, validation=None):
        """Return what to train on and whom to validate on."""
        bounds, curvatures = np.asarray(self.bounds), np.asarray(self.curvatures)
        if bounds.ndim != 1 or not bounds.size or not (bounds > 0).all():
            raise InputError(f"bounds must be numbers above 0, not {self.bounds!r}")
        finite = curvatures.ndim == 1 and np.isfinite(curvatures).all()
        if not finite or not curvatures.size:
            raise InputError(f"curvatures must be numbers, not {self.curvatures!r}")
        if not 0 < self.search <= 1:
            raise InputError(f"search must be above 0, at most 1, not {self.search!r}")
        ready = super()._prepare(X, A, outcome, propensity, validation)
        combinations(self.n_treatments_)  # says how many treatments it can compare
        return ready

    def _train(self, parts, held):
        """Return, of every data set, the networks of the best bound and curvature."""
        X, A, outcome = (np.stack(column) for column in zip(*parts, strict=True))
        data = X, ((A > 0)[:, None], outcome[:, None, :, None])
        few = [
            (X[:5000], A[:5000] > 0, left[:5000, None].astype("f4"))
            for X, A, left in held
        ]
        grid = np.array(list(itertools.product(self.bounds, self.curvatures)), "f4")
        scale = outcome.std(axis=1, keepdims=True).astype("f4")
        loss = SquaredCurve(
            (grid[:, 0] * scale)[..., None, None], (grid[:, 1] / scale)[..., None, None]
        )
        errors = np.full((len(X), len(grid)), np.nan)
        if len(grid) > 1:
            steps = max(1, round(self.search * self.steps))
            curves = self._curves(data, few, loss, steps)
            errors = -_each(curves, few, _curve_fit)
        # a fit that diverged has no error and is not chosen
        best = np.nan_to_num(errors, nan=np.inf).argmin(axis=1)[:, None, None, None]
        loss = SquaredCurve(
            *(
                np.take_along_axis(array, best, 1).repeat(self.members, axis=1)
                for array in (loss.bound, loss.curvature)
            )
        )
        return replace(self._curves(data, few, loss, self.steps), errors=errors)

    def _curves(self, data, few, loss, steps):
        """Return trained networks, one for each bound and curvature of the loss."""

        def fits(step, networks):
            return _each(_Curves(networks, loss), few, _curve_fit)

        sizes = 1 + self.n_treatments_, loss.bound.shape[1], steps
        return _Curves(self._descend(data, loss, fits, *sizes), loss)

    def _finish(self, curves, held):
        """Keep the networks, and what was chosen."""
        self.networks_, self.loss_ = curves.networks, curves.loss
        self.errors_ = curves.errors.reshape(len(self.bounds), len(self.curvatures))
        self.bound_ = float(self.loss_.bound.flat[0])
        self.curvature_ = float(self.loss_.curvature.flat[0])

    def decision_function(self, X):
        """Return what each treatment adds to the sum that the curve is of, (n, K)."""
        check_is_fitted(self)
        outputs = self.networks_.outputs(self._inputs(X))
        return self.loss_.effects(np, outputs)[0].mean(axis=0)

    def predict(self, X):
        """Return the recommended combinations, coded -1 and +1, (n, K)."""
        effects = self.decision_function(X)
        every = combinations(self.n_treatments_, "int8")
        totals = effects @ (every > 0).astype(effects.dtype).T
        return every[(totals + self.curvature_ * totals**2).argmax(axis=1)]


@dataclass
class _Curves:
    """Networks of data sets, with their bounds and curvatures."""

    networks: Networks
    loss: SquaredCurve
    errors: np.ndarray | None = None

    def __getitem__(self, chosen):
        """Return those of some data sets."""
        errors = None if self.errors is None else self.errors[chosen]
        return _Curves(self.networks[chosen], self.loss[chosen], errors)


def _curve_fit(curves, X, taken, left):
    """Return minus the mean squared error, (G, F)."""
    said = curves.loss.outcome(np, curves.networks.outputs(X), taken)
    return -((left - said) ** 2).mean(axis=(-1, -2))


__all__ = [
    "STRENGTHS",
    "BoundedEffectsNetwork",
    "ContrastNetwork",
    "Networks",
    "OneAgainstOne",
    "OutcomeWeightedClassifier",
    "RidgeQ",
    "Shape",
    "best_combination",
    "check_people",
    "check_treatments",
    "choose_engine",
    "fit_together",
]
