"""Networks fitted to outcomes: contrasts and bounded effects."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.base import _each, _Rule, _split, best_combination, fit_together
from sudlib.policy.batched import Networks, train
from sudlib.policy.losses import SquaredContrast, SquaredCurve
from sudlib.policy.outcome_weights import contrast_basis
from sudlib.policy.treatments import check_people, combinations


def _fit(networks, X, basis, left):
    """Return minus the mean squared error, (G, F)."""
    said = (basis * networks.outputs(X)).sum(axis=-1)
    return -((left - said) ** 2).mean(axis=-1)


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
    :class:`sudlib.policy.losses.SquaredCurve`: each treatment taken adds an effect of at
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
    >>> from sudlib.policy import BoundedEffectsNetwork, simulation
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
