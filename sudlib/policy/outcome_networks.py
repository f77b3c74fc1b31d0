"""Networks fitted to outcomes: contrasts and bounded effects.

Our own rules; taught in notebooks c02, c03 and c09.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.base import NetworkRule, score_each
from sudlib.policy.batched import Networks
from sudlib.policy.losses import SquaredContrast, SquaredCurve
from sudlib.policy.study import Study
from sudlib.policy.treatments import Array, combinations, contrast_basis
from sudlib.validation import check_choice, check_number

#: Validation rows that early stopping looks at, at most.
WATCHED = 5000


class _OutcomeNetwork(NetworkRule):
    """Networks that model the outcome by squared error."""

    def _rows(self, study: Study) -> tuple[Any, ...]:
        self.centre_ = float(study.outcome.mean())
        return self._validation_rows(study)

    def _validation_rows(self, study: Study) -> tuple[Any, ...]:
        return study.X, study.A, study.outcome - self.centre_

    def _fit_curves(self, X: Array, rows: Any, loss: Any, **settings: Any) -> Networks:
        """Return networks on each data set, each where it fitted best."""
        alphas = [self.alpha / X.shape[1]] * settings.pop("number")
        every = max(1, settings["steps"] // 20)
        settings |= {"penalty": "ridge", "decay": True, "watch_every": every}
        return self._descend(X, rows, loss, alphas=alphas, **settings)


@dataclass(eq=False, repr=False)
class ContrastNetwork(_OutcomeNetwork):
    r"""Our rule: one network for the outcome's contrasts (additive Q-learning).

    The outcome is modelled as
    :math:`m(X) + \sum_k \frac{A_k}{2} f_k(X)`, with ``order=2`` also
    :math:`\sum_{j<k} \frac{A_j A_k}{2} f_{jk}(X)`, by squared error: what the other
    treatments do is explained, where outcome-weighted learning counts it as noise.
    Early stopping, averaging of members and the choice of the order use the squared
    error on the validation set, which every study observes.  Order 1 is binary
    relevance with shared hidden layers.

    Parameters
    ----------
    order : {"auto", 1, 2}, default="auto"
        Without or with pairs, or the one with the smaller validation error.
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.
    hidden : sequence of int, default=(45,)
        Widths of hidden layers.
    members : int, default=5
        Networks in the ensemble, whose outputs are averaged.
    alpha : float, default=40
        Strength of the ridge penalty, as in ridge regression: it is divided by the
        number of rows, so that more people need no other value.
    steps, batch_size, learning_rate
        Of Adam with a step size that falls along a cosine.
    validation_fraction : float, default=0.2
        Share of rows in the validation set, if none is given.
    standardise : bool, default=True
        Scale covariates to mean 0 and variance 1.
    engine : {"auto", "numpy", "keras"}, default="auto"
        See :mod:`sudlib.policy.batched`.
    random_state : None, int, RandomState or Generator, default=0
        Start, order of rows and validation set.
    epochs : int, default=4
        Passes over all rows at least: more steps where people are many.

    Attributes
    ----------
    order_ : int
        The order chosen.
    errors_ : dict of int to float
        Mean squared error of each order on the validation set.
    networks_ : sudlib.policy.batched.Networks
        Those of the order chosen, (1, members).
    """

    order: int | str = "auto"
    _: KW_ONLY
    hidden: Sequence[int] = (45,)
    members: int = 5
    alpha: float = 40.0

    def _train(self, data: tuple[Array, ...], held: Any, alike: bool) -> list[Any]:
        """Return the networks of each data set, by order."""
        X, A, outcome = data
        by_order = {}
        asked = check_choice("order", self.order, ("auto", 1, 2))
        for order in (1, 2) if asked == "auto" else (asked,):
            basis = np.stack([contrast_basis(treatments, order) for treatments in A])

            def fit(networks: Any, *rows: Any, order: Any = order) -> Array:
                X, A, outcome = (array[:WATCHED] for array in rows)
                modelled = contrast_basis(A, order) * networks.outputs(X)
                return -((outcome - modelled.sum(axis=-1)) ** 2).mean(axis=-1)

            def watch(step: int, networks: Networks, fit: Any = fit) -> Array:
                return score_each(held, lambda i, *rows: fit(networks[i], *rows))

            by_order[order] = self._fit_curves(
                X,
                (basis[:, None], outcome[:, None, :, None]),
                SquaredContrast(),
                outputs=basis.shape[-1],
                number=self.members,
                steps=self._steps(X.shape[-2]),
                alike=alike,
                watch=watch,
            )
        return [
            {order: networks[i : i + 1] for order, networks in by_order.items()}
            for i in range(len(X))
        ]

    def _finish(self, networks: dict[int, Networks], held: Any) -> None:
        """Choose the order and keep its networks."""
        self.errors_ = {}
        X, A, outcome = held
        for order, members in networks.items():
            effects = members.outputs(X)[0].mean(axis=0)
            modelled = (contrast_basis(A, order) * effects).sum(axis=-1)
            self.errors_[order] = float(((outcome - modelled) ** 2).mean())
        self.order_ = min(self.errors_, key=self.errors_.__getitem__)
        self.networks_ = networks[self.order_]

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the effect of each treatment, then of each pair.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, K) or, with order 2, (n, K + K (K - 1) / 2)
            In units of the outcome.
        """
        inputs = self._inputs(X)
        return self.networks_.outputs(inputs)[0].mean(axis=0)[:, 1:]

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
        outputs = self.networks_.outputs(self._inputs(X))[0].mean(axis=0)
        basis = contrast_basis(self._given(X, A), self.order_)
        return self.centre_ + (basis * outputs).sum(axis=1)


@dataclass(eq=False, repr=False)
class BoundedEffectsNetwork(_OutcomeNetwork):
    r"""Our rule where effects level off: bounded, and adding up to a curve.

    The outcome is modelled by squared error as in
    :class:`sudlib.policy.losses.SquaredCurve`: each treatment taken adds an effect of
    at most :math:`c`, and their sum may have diminishing returns.  Bound and curvature
    are chosen, from the values given, by the squared error on the validation set, which
    every study observes: a short training with each, then a full one with the best.

    Parameters
    ----------
    allowed : {"received", "all"} or array-like of shape (m, K), default="received"
        Combinations that may be recommended; see :class:`TreatmentRule`.
    hidden : sequence of int, default=(100,)
        Widths of hidden layers.
    members : int, default=3
        Networks in the ensemble, whose outputs are averaged.
    alpha : float, default=20
        Strength of the ridge penalty, as in :class:`ContrastNetwork`.
    steps, batch_size, learning_rate, validation_fraction
        As in :class:`ContrastNetwork`.
    standardise, engine, random_state
        As in :class:`ContrastNetwork`.
    epochs : int, default=4
        Passes over all rows at least: more steps where people are many.
    bounds : sequence of float
        Bounds to try, in standard deviations of the outcome; 4 is as good as none.
    curvatures : sequence of float
        Curvatures to try, of outcomes in standard deviations; 0 is a plain sum.
    search : float, default=0.25
        Share of ``steps`` in the short training.

    Attributes
    ----------
    bound_, curvature_ : float
        Those chosen, in units of the outcome.
    errors_ : numpy.ndarray of shape (bounds, curvatures)
        Mean squared error on the validation set after the short training.
    networks_ : sudlib.policy.batched.Networks
        (1, members) of them.

    Examples
    --------
    >>> from sudlib.policy import BoundedEffectsNetwork, simulation
    >>> world = simulation.draw_truth("wrong", 33)
    >>> train = simulation.draw(world, 1000, 1)
    >>> rule = BoundedEffectsNetwork(steps=200, members=1)
    >>> rule.fit(train.X, train.A, train.outcome).predict(train.X[:2]).shape
    (2, 5)
    """

    _: KW_ONLY
    bounds: Sequence[float] = (0.35, 0.5, 0.7, 1.0, 4.0)
    curvatures: Sequence[float] = (-0.4, -0.2, 0.0, 0.2)
    search: float = 0.25
    hidden: Sequence[int] = (100,)
    members: int = 3
    alpha: float = 20.0

    def _rows(self, study: Study) -> tuple[Any, ...]:
        bounds, curvatures = np.asarray(self.bounds), np.asarray(self.curvatures)
        if bounds.ndim != 1 or not bounds.size or not (bounds > 0).all():
            raise InputError(f"bounds must be numbers above 0, not {self.bounds!r}")
        finite = curvatures.ndim == 1 and np.isfinite(curvatures).all()
        if not finite or not curvatures.size:
            raise InputError(f"curvatures must be numbers, not {self.curvatures!r}")
        check_number("search", self.search, 0, 1, open_low=True)
        combinations(self.n_treatments_)  # says how many treatments it can compare
        return super()._rows(study)

    def _train(self, data: tuple[Array, ...], held: Any, alike: bool) -> list[Any]:
        """Return, of every data set, networks of the best bound and curvature."""
        X, A, outcome = data
        grid = np.array(list(itertools.product(self.bounds, self.curvatures)), "f4")
        scale = outcome.std(axis=1, keepdims=True).astype("f4")
        bounds = (grid[:, 0] * scale)[..., None, None]
        curvatures = (grid[:, 1] / scale)[..., None, None]

        def fits(networks: Networks, loss: SquaredCurve) -> Array:
            def fit(i: slice, *rows: Any) -> Array:
                X, A, outcome = (array[:WATCHED] for array in rows)
                modelled = loss[i].outcome(np, networks[i].outputs(X), A > 0)
                error = outcome[:, None].astype("f4") - modelled
                return -(error**2).mean(axis=(-1, -2))

            return score_each(held, fit)

        def descend(loss: SquaredCurve, steps: int) -> Networks:
            return self._fit_curves(
                X,
                ((A > 0)[:, None], outcome[:, None, :, None]),
                loss,
                outputs=1 + self.n_treatments_,
                number=loss.bound.shape[1],
                steps=steps,
                alike=alike,
                watch=lambda step, networks: fits(networks, loss),
            )

        steps = self._steps(X.shape[-2])
        errors = np.full((len(X), len(grid)), np.nan)
        if len(grid) > 1:
            loss = SquaredCurve(bounds, curvatures)
            errors = -fits(descend(loss, max(1, round(self.search * steps))), loss)
        # a fit that diverged has no error and is not chosen
        best = np.nan_to_num(errors, nan=np.inf).argmin(axis=1)[:, None, None, None]
        chosen = [
            np.take_along_axis(tried, best, 1).repeat(self.members, axis=1)
            for tried in (bounds, curvatures)
        ]
        loss = SquaredCurve(*chosen)
        networks = descend(loss, steps)
        places = [slice(i, i + 1) for i in range(len(X))]
        return [(networks[i], loss[i], errors[i]) for i in places]

    def _finish(self, trained: Any, held: Any) -> None:
        """Keep the networks, and what was chosen."""
        self.networks_, self.loss_, errors = trained
        self.errors_ = errors.reshape(len(self.bounds), len(self.curvatures))
        self.bound_ = float(self.loss_.bound.flat[0])
        self.curvature_ = float(self.loss_.curvature.flat[0])

    def decision_function(self, X: ArrayLike) -> Array:
        """Return what each treatment adds to the sum that the curve is of.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, K)
            In units of the outcome.
        """
        check_is_fitted(self)
        outputs = self.networks_.outputs(self._inputs(X))
        return self.loss_.effects(np, outputs)[0].mean(axis=0)

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
        outputs = self.networks_.outputs(self._inputs(X))
        taken = self._given(X, A) > 0
        return self.centre_ + self.loss_.outcome(np, outputs, taken)[0, ..., 0].mean(0)

    def predict(self, X: ArrayLike) -> Array:
        """Return the recommended combinations.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of int8, shape (n, K)
            Coded -1 and +1.
        """
        effects = self.decision_function(X)
        every = self._options()
        totals = effects @ (every > 0).astype(effects.dtype).T
        return every[(totals + self.curvature_ * totals**2).argmax(axis=1)]
