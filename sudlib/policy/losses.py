r"""Outcome-weighted losses: surrogates, and the Hamming loss of every order.

A person with covariates :math:`X` received the combination
:math:`A \in \{-1, +1\}^K` and had the outcome :math:`R`, larger is better.  A rule
:math:`D` recommends a combination.  In multi-label terms the Hamming loss (order 1)
is that of binary relevance and the 0-1 loss (order K) that of the label powerset.
Taught in notebook c01.

Every function takes the array library ``xp`` it computes with: ``numpy`` or
``keras.ops``, which has numpy's names on every Keras backend.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sudlib.policy.treatments import Array, _codes
from sudlib.validation import check_choice, check_whole

#: Called with an array library and margins.
MarginFunction = Callable[[Any, Any], Any]

#: Each surrogate of the study's section 5.2: the function and its derivative.
SURROGATES: dict[str, tuple[MarginFunction, MarginFunction]] = {
    "hinge": (
        lambda xp, margin: xp.maximum(1.0 - margin, 0.0),
        # float32 scalars: numpy would make float64 of two Python numbers
        lambda xp, margin: xp.where(margin < 1.0, np.float32(-1), np.float32(0)),
    ),
    "logistic": (
        # log(1 + exp(-m)) without overflow
        lambda xp, margin: xp.maximum(-margin, 0.0) + xp.log1p(xp.exp(-xp.abs(margin))),
        lambda xp, margin: 0.5 * (xp.tanh(0.5 * margin) - 1.0),
    ),
    "exponential": (
        lambda xp, margin: xp.exp(-margin),
        lambda xp, margin: -xp.exp(-margin),
    ),
    "least squares": (
        lambda xp, margin: (1.0 - margin) ** 2,
        lambda xp, margin: 2.0 * (margin - 1.0),
    ),
}


def surrogate(name: str) -> tuple[MarginFunction, MarginFunction]:
    """Return a surrogate's function and derivative, called with ``(xp, margin)``.

    Parameters
    ----------
    name : {"hinge", "logistic", "exponential", "least squares"}

    Returns
    -------
    function, derivative : callable

    Raises
    ------
    sudlib.files.InputError
        For any other name.

    Examples
    --------
    >>> surrogate("hinge")[0](np, np.array([-1.0, 0.5, 2.0])).tolist()
    [2.0, 0.5, 0.0]
    """
    return SURROGATES[check_choice("loss", name, SURROGATES)]


def rank_weights(treatments: int, order: int) -> Array:
    r"""Return how much each margin counts, the smallest first, in a τ-th order loss.

    Of all subsets of :math:`\tau` treatments, the share in which the :math:`j`-th
    smallest margin is the smallest is :math:`\binom{K-j}{\tau-1} / \binom{K}{\tau}`.
    So the loss of all subsets costs one sort, not :math:`\binom{K}{\tau}` terms.

    Parameters
    ----------
    treatments : int
        K.
    order : int
        τ, from 1 (Hamming loss) to K (0-1 loss).

    Returns
    -------
    numpy.ndarray of shape (K,)
        They sum to 1.

    Raises
    ------
    sudlib.files.InputError
        If the order is no whole number from 1 to K.

    Examples
    --------
    >>> rank_weights(3, 1), rank_weights(3, 3)
    (array([0.33333333, 0.33333333, 0.33333333]), array([1., 0., 0.]))
    """
    check_whole("order", order, 1, treatments)
    ranks = range(1, treatments + 1)
    shares = [math.comb(treatments - rank, order - 1) for rank in ranks]
    return np.array(shares) / math.comb(treatments, order)


def hamming_loss(A: ArrayLike, D: ArrayLike, order: int = 1) -> Array:
    """Return the τ-th order Hamming loss of each person (section 8 of the study).

    It is the share of subsets of τ treatments with at least one wrong decision: order 1
    is the share of treatments that differ, order K the 0-1 loss.

    Parameters
    ----------
    A, D : array-like of shape (..., K)
        Combinations, coded -1 and +1.
    order : int, default=1
        τ, from 1 to K.

    Returns
    -------
    numpy.ndarray of shape (...)

    Raises
    ------
    sudlib.files.InputError
        If the order is no whole number from 1 to K, or these are no combinations.

    Examples
    --------
    >>> [round(float(hamming_loss([1, 1, 1], [1, 1, -1], t)), 3) for t in (1, 2, 3)]
    [0.333, 0.667, 1.0]
    """
    given, advised = _codes(A) > 0, _codes(D) > 0
    treatments = given.shape[-1]
    check_choice("the number of treatments of D", advised.shape[-1], [treatments])
    agree = given == advised
    check_whole("order", order, 1, treatments)
    subsets = [math.comb(number, order) for number in range(treatments + 1)]
    return 1 - np.array(subsets)[agree.sum(axis=-1)] / subsets[-1]


class WeightedHamming:
    r"""The surrogate of the outcome-weighted τ-th order Hamming loss.

    For one person
    :math:`w \sum_j c_j\, \phi(m_{(j)})`, where :math:`m_{(1)} \le m_{(2)} \le \dots`
    are the sorted margins :math:`A_k \tilde D_k(X)`, :math:`w` is the outcome's weight
    and :math:`c` are :func:`rank_weights`.  Order 1 is equation (6) of the study.

    Parameters
    ----------
    loss : str, default="hinge"
        A key of :data:`SURROGATES`.
    order : int, default=1
        τ.
    treatments : int, default=5
        K.
    output : {"tanh", "identity"}, default="tanh"
        What is applied to the network's last layer before the margin.
    """

    def __init__(
        self,
        loss: str = "hinge",
        order: int = 1,
        treatments: int = 5,
        output: str = "tanh",
    ) -> None:
        check_choice("output", output, ("tanh", "identity"))
        self.function, self.derivative = surrogate(loss)
        self.counts = rank_weights(treatments, order).astype("float32")
        self.order, self.treatments, self.output = order, treatments, output

    def _margin(self, xp: Any, outputs: Any, targets: Any) -> tuple[Any, Any]:
        bounded = xp.tanh(outputs) if self.output == "tanh" else outputs
        return bounded, targets * bounded

    def _counts(self, xp: Any, margin: Any) -> Any:
        if self.order == 1:
            return 1.0 / self.treatments
        rank = xp.argsort(xp.argsort(margin, axis=-1), axis=-1)
        return xp.take(xp.array(self.counts), rank)

    def value(self, xp: Any, outputs: Any, targets: Any, weights: Any) -> Any:
        """Return each row's loss.

        Parameters
        ----------
        xp : module
            The array library.
        outputs : array of shape (..., n, K)
            The network's last layer.
        targets : array of shape (..., n, K)
            Combinations to agree with, coded -1 and +1.
        weights : array of shape (..., n, 1) or (..., n, K)
            What each row, or each decision, counts.

        Returns
        -------
        array of shape (..., n)
        """
        margin = self._margin(xp, outputs, targets)[1]
        loss = weights * self._counts(xp, margin) * self.function(xp, margin)
        return xp.sum(loss, axis=-1)

    def slope(self, xp: Any, outputs: Any, targets: Any, weights: Any) -> Any:
        """Return the derivative of :meth:`value` with respect to ``outputs``.

        Parameters
        ----------
        xp, outputs, targets, weights
            As for :meth:`value`.

        Returns
        -------
        array of shape (..., n, K)
        """
        bounded, margin = self._margin(xp, outputs, targets)
        counted = weights * self._counts(xp, margin)
        slope = counted * targets * self.derivative(xp, margin)
        return slope * (1.0 - bounded * bounded) if self.output == "tanh" else slope


class SquaredContrast:
    r"""Half the squared error of an outcome that is a sum of contrasts.

    The outcome is modelled as :math:`\sum_j B_j(A)\, f_j(X)` with a known basis
    :math:`B` (a constant, each treatment, pairs of them) and :math:`f` the network's
    outputs.
    """

    def value(self, xp: Any, outputs: Any, basis: Any, outcome: Any) -> Any:
        """Return each row's loss.

        Parameters
        ----------
        xp : module
            The array library.
        outputs, basis : array of shape (..., n, J)
            :math:`f(X)` and :math:`B(A)`.
        outcome : array of shape (..., n, 1)

        Returns
        -------
        array of shape (..., n)
        """
        return 0.5 * (xp.sum(basis * outputs, axis=-1) - outcome[..., 0]) ** 2

    def slope(self, xp: Any, outputs: Any, basis: Any, outcome: Any) -> Any:
        """Return the derivative of :meth:`value` with respect to ``outputs``.

        Parameters
        ----------
        xp, outputs, basis, outcome
            As for :meth:`value`.

        Returns
        -------
        array of shape (..., n, J)
        """
        error = xp.sum(basis * outputs, axis=-1, keepdims=True) - outcome
        return error * basis


class SquaredCurve:
    r"""Half the squared error of an outcome whose bounded effects add up to a curve.

    With :math:`T_k \in \{0, 1\}` for a treatment taken, :math:`m, f_1, \dots, f_K` the
    network's outputs and a bound :math:`c`, the outcome is modelled as

    .. math:: & m(X) + S + q\,S^2, \\
       & S = \sum_k T_k\, c \tanh(f_k(X) / c).

    No effect is larger than :math:`c`; with :math:`q < 0` returns diminish.

    Parameters
    ----------
    bound, curvature : float or array of shape (G, F, 1, 1)
        :math:`c` and :math:`q`, one for all fits or one for each.
    """

    def __init__(self, bound: Any, curvature: Any = 0.0) -> None:
        self.bound, self.curvature = bound, curvature

    def __getitem__(self, data_sets: Any) -> SquaredCurve:
        """Return the loss of some data sets' fits."""
        return SquaredCurve(self.bound[data_sets], self.curvature[data_sets])

    def effects(self, xp: Any, outputs: Any) -> Any:
        """Return what each treatment adds to the sum.

        Parameters
        ----------
        xp : module
            The array library.
        outputs : array of shape (..., n, 1 + K)
            The network's last layer, the main effect first.

        Returns
        -------
        array of shape (..., n, K)
        """
        return self.bound * xp.tanh(outputs[..., 1:] / self.bound)

    def curve(self, total: Any) -> Any:
        """Return what effects with the sum ``total`` are worth.

        Parameters
        ----------
        total : array
            :math:`S`.

        Returns
        -------
        array
            Of the same shape.
        """
        return total + self.curvature * total * total

    def outcome(self, xp: Any, outputs: Any, taken: Any) -> Any:
        """Return the modelled outcome.

        Parameters
        ----------
        xp : module
            The array library.
        outputs : array of shape (..., n, 1 + K)
        taken : array of shape (..., n, K)
            1 for a treatment that was taken.

        Returns
        -------
        array of shape (..., n, 1)
        """
        effects = taken * self.effects(xp, outputs)
        return outputs[..., :1] + self.curve(xp.sum(effects, axis=-1, keepdims=True))

    def value(self, xp: Any, outputs: Any, taken: Any, outcome: Any) -> Any:
        """Return each row's loss.

        Parameters
        ----------
        xp, outputs, taken
            As for :meth:`outcome`.
        outcome : array of shape (..., n, 1)

        Returns
        -------
        array of shape (..., n)
        """
        return 0.5 * (self.outcome(xp, outputs, taken) - outcome)[..., 0] ** 2

    def slope(self, xp: Any, outputs: Any, taken: Any, outcome: Any) -> Any:
        """Return the derivative of :meth:`value` with respect to ``outputs``.

        Parameters
        ----------
        xp, outputs, taken, outcome
            As for :meth:`value`.

        Returns
        -------
        array of shape (..., n, 1 + K)
        """
        share = xp.tanh(outputs[..., 1:] / self.bound)
        total = self.bound * xp.sum(taken * share, axis=-1, keepdims=True)
        error = outputs[..., :1] + self.curve(total) - outcome
        steep = error * (1.0 + 2.0 * self.curvature * total)
        return xp.concatenate([error, steep * taken * (1.0 - share * share)], axis=-1)
