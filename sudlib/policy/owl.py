"""Treatment rules as scikit-learn estimators.

Every rule has ``fit(X, A, outcome, propensity=None)``, ``predict(X)`` (combinations
coded -1 and +1, one column a treatment) and ``value(X, A, outcome)``.  Taught in
notebooks c01 (the idea), c02 and c03 (the study's rules and ours).
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sudlib.policy.base import _each, _Rule, _signs, _split, fit_together
from sudlib.policy.batched import train
from sudlib.policy.losses import WeightedHamming
from sudlib.policy.outcome_weights import outcome_weights
from sudlib.policy.propensity import estimate_propensity
from sudlib.policy.treatments import check_people, check_treatments

#: The penalty strengths that the study tries.
STRENGTHS = (0.1, 0.01, 0.001, 0.0001)


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
        See :func:`sudlib.policy.outcome_weights.outcome_weights`; "centred" by default.
    propensity : {"marginal", "product", "multinomial"}, default="marginal"
        How it is estimated when ``fit`` is not given one.
    penalty : {"lasso", "ridge", "nodes"}, default="lasso"
    strength : float or sequence of float, default=0.001
        Of the penalty.  Of several, the one with the best ``gain`` on validation rows.
    dropout : float, default=0
    steps, batch_size, learning_rate, decay, optimiser
        See :func:`sudlib.policy.batched.train`.
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
        :class:`sudlib.policy.batched.Shape`, shape (members, weights).
    engine : {"auto", "numpy", "keras"}, default="auto"
        See :mod:`sudlib.policy.batched`.
    random_state : int, default=0

    Attributes
    ----------
    networks_ : sudlib.policy.batched.Networks
        The members that decide, (1, members).
    candidates_ : sudlib.policy.batched.Networks
        All fits, (1, strengths times members), members next to each other.
    gains_ : numpy.ndarray or None
        Gain of each strength on validation rows.
    strength_ : float
        The strength chosen.
    n_treatments_, n_features_in_ : int

    Examples
    --------
    >>> from sudlib.policy import simulation
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
