r"""Outcome-weighted losses: surrogates, and the Hamming loss of every order.

A person with covariates :math:`X` received the combination
:math:`A \in \{-1, +1\}^K` and had the outcome :math:`R`, larger is better.  A rule
:math:`D` recommends a combination.  Taught in notebook c01.

Every function takes the array library ``xp`` it computes with: ``numpy`` or
``keras.ops``, which has numpy's names on every Keras backend.
"""

import math

import numpy as np

from sudlib.files import InputError


def _hinge(xp, margin):
    return xp.maximum(1.0 - margin, 0.0)


def _hinge_slope(xp, margin):
    # float32 scalars: numpy would make float64 of two Python numbers
    return xp.where(margin < 1.0, np.float32(-1), np.float32(0))


def _logistic(xp, margin):
    # log(1 + exp(-m)) without overflow
    return xp.maximum(-margin, 0.0) + xp.log1p(xp.exp(-xp.abs(margin)))


def _logistic_slope(xp, margin):
    return 0.5 * (xp.tanh(0.5 * margin) - 1.0)


def _exponential(xp, margin):
    return xp.exp(-margin)


def _exponential_slope(xp, margin):
    return -xp.exp(-margin)


def _squares(xp, margin):
    return (1.0 - margin) ** 2


def _squares_slope(xp, margin):
    return 2.0 * (margin - 1.0)


#: Each surrogate of the study's section 5.2: the function and its slope.
SURROGATES = {
    "hinge": (_hinge, _hinge_slope),
    "logistic": (_logistic, _logistic_slope),
    "exponential": (_exponential, _exponential_slope),
    "least squares": (_squares, _squares_slope),
}


def surrogate(name):
    """Return a surrogate's function and slope, both called with ``(xp, margin)``.

    Parameters
    ----------
    name : {"hinge", "logistic", "exponential", "least squares"}

    Raises
    ------
    InputError
        For any other name.
    """
    if name not in SURROGATES:
        raise InputError(f"loss must be one of {', '.join(SURROGATES)}, not {name!r}")
    return SURROGATES[name]


def check_order(order, treatments):
    """Raise an InputError unless ``order`` is a whole number from 1 to K."""
    if not (isinstance(order, int | np.integer) and 1 <= order <= treatments):
        raise InputError(
            f"order must be a whole number from 1 to the {treatments} treatments,"
            f" not {order!r}"
        )


def rank_weights(treatments, order):
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

    Examples
    --------
    >>> rank_weights(3, 1), rank_weights(3, 3)
    (array([0.33333333, 0.33333333, 0.33333333]), array([1., 0., 0.]))
    """
    check_order(order, treatments)
    whole = math.comb(treatments, order)
    return np.array(
        [math.comb(treatments - j, order - 1) / whole for j in range(1, treatments + 1)]
    )


def hamming_loss(A, D, order=1):
    """Return the τ-th order Hamming loss of each person (section 8 of the study).

    Order 1 is the share of treatments that differ, order K the 0-1 loss.

    Parameters
    ----------
    A, D : array-like of shape (..., K)
        Combinations, coded -1 and +1.
    order : int, default=1

    Returns
    -------
    numpy.ndarray of shape (...)

    Examples
    --------
    >>> [round(float(hamming_loss([1, 1, 1], [1, 1, -1], t)), 3) for t in (1, 2, 3)]
    [0.333, 0.667, 1.0]
    """
    agree = np.asarray(A) == np.asarray(D)
    treatments = agree.shape[-1]
    check_order(order, treatments)
    alike = agree.sum(axis=-1)
    right = [math.comb(number, order) for number in range(treatments + 1)]
    return 1 - np.array(right)[alike] / math.comb(treatments, order)


class WeightedHamming:
    r"""The surrogate of the outcome-weighted τ-th order Hamming loss.

    For one person
    :math:`w \sum_j c_j\, \phi(m_{(j)})`, where :math:`m_{(1)} \le m_{(2)} \le \dots`
    are the sorted margins :math:`A_k \tilde D_k(X)`, :math:`w` is the outcome's weight
    and :math:`c` are :func:`rank_weights`.  Order 1 is equation (6) of the study.

    Parameters
    ----------
    loss : str
        A key of :data:`SURROGATES`.
    order : int
        τ.
    treatments : int
        K.
    output : {"tanh", "identity"}
        What is applied to the network's last layer before the margin.
    """

    def __init__(self, loss="hinge", order=1, treatments=5, output="tanh"):
        if output not in ("tanh", "identity"):
            raise InputError(f'output must be "tanh" or "identity", not {output!r}')
        self.function, self.derivative = surrogate(loss)
        self.counts = rank_weights(treatments, order).astype("float32")
        self.order, self.treatments, self.output = order, treatments, output

    def _margin(self, xp, outputs, targets):
        bounded = xp.tanh(outputs) if self.output == "tanh" else outputs
        return bounded, targets * bounded

    def _counts(self, xp, margin):
        if self.order == 1:
            return 1.0 / self.treatments
        rank = xp.argsort(xp.argsort(margin, axis=-1), axis=-1)
        return xp.take(xp.array(self.counts), rank)

    def value(self, xp, outputs, targets, weights):
        """Return each row's loss; rows on axis -2, treatments on axis -1."""
        margin = self._margin(xp, outputs, targets)[1]
        loss = weights * self._counts(xp, margin) * self.function(xp, margin)
        return xp.sum(loss, axis=-1)

    def slope(self, xp, outputs, targets, weights):
        """Return the derivative of :meth:`value` with respect to ``outputs``."""
        bounded, margin = self._margin(xp, outputs, targets)
        slope = (
            weights * self._counts(xp, margin) * targets * self.derivative(xp, margin)
        )
        return slope * (1.0 - bounded * bounded) if self.output == "tanh" else slope


class SquaredContrast:
    r"""Half the squared error of an outcome that is a sum of contrasts.

    The outcome is modelled as :math:`\sum_j B_j(A)\, f_j(X)` with a known basis
    :math:`B` (a constant, each treatment, pairs of them) and :math:`f` the network's
    outputs.
    """

    def value(self, xp, outputs, basis, outcome):
        """Return each row's loss."""
        return 0.5 * (xp.sum(basis * outputs, axis=-1) - outcome[..., 0]) ** 2

    def slope(self, xp, outputs, basis, outcome):
        """Return the derivative of :meth:`value` with respect to ``outputs``."""
        error = xp.sum(basis * outputs, axis=-1, keepdims=True) - outcome
        return error * basis


class SquaredCurve:
    r"""Half the squared error of an outcome whose bounded effects add up to a curve.

    With :math:`T_k \in \{0, 1\}` for a treatment taken, :math:`m, f_1, \dots, f_K` the
    network's outputs and a bound :math:`c`, the outcome is modelled as

    .. math:: m(X) + S + q\,S^2, \qquad S = \sum_k T_k\, c \tanh(f_k(X) / c).

    No effect is larger than :math:`c`; with :math:`q < 0` returns diminish.

    Parameters
    ----------
    bound, curvature : float or array of shape (G, F, 1, 1)
        :math:`c` and :math:`q`, one for all fits or one for each.
    """

    def __init__(self, bound, curvature=0.0):
        self.bound, self.curvature = bound, curvature

    def __getitem__(self, data_sets):
        """Return the loss of some data sets' fits."""
        return SquaredCurve(self.bound[data_sets], self.curvature[data_sets])

    def effects(self, xp, outputs):
        """Return what each treatment adds to the sum, (..., n, K)."""
        return self.bound * xp.tanh(outputs[..., 1:] / self.bound)

    def curve(self, total):
        """Return what effects of that sum are worth."""
        return total + self.curvature * total * total

    def outcome(self, xp, outputs, taken):
        """Return the modelled outcome, (..., n, 1)."""
        effects = taken * self.effects(xp, outputs)
        return outputs[..., :1] + self.curve(xp.sum(effects, axis=-1, keepdims=True))

    def value(self, xp, outputs, taken, outcome):
        """Return each row's loss."""
        return 0.5 * (self.outcome(xp, outputs, taken) - outcome)[..., 0] ** 2

    def slope(self, xp, outputs, taken, outcome):
        """Return the derivative of :meth:`value` with respect to ``outputs``."""
        share = xp.tanh(outputs[..., 1:] / self.bound)
        total = self.bound * xp.sum(taken * share, axis=-1, keepdims=True)
        error = outputs[..., :1] + self.curve(total) - outcome
        steep = error * (1.0 + 2.0 * self.curvature * total)
        return xp.concatenate([error, steep * taken * (1.0 - share * share)], axis=-1)
