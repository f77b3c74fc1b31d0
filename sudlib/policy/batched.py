"""Many small networks trained as one computation.

The fits of a study (repeats, tuning values, ensemble members) differ in their numbers
and not in their shape.  So their weights are stacked along leading axes and one matrix
product serves them all.  The gradient of these small networks is written out, once,
in functions that numpy and ``keras.ops`` both understand:

``engine="numpy"``
    the fastest for networks this small on a CPU (tests/benchmarks/bench_policy.py);
``engine="keras"``
    the same steps compiled by TensorFlow, JAX or PyTorch, for a GPU;
``engine="auto"``
    numpy, unless Keras is loaded and sees a GPU.

Shapes: ``G`` data sets, ``F`` fits on each, ``n`` rows.  Inputs are (G, 1, n, p), what
a loss needs of a row is (G, 1 or F, n, .), outputs are (G, F, n, outputs).

The limit is that of the matrix products: a step of 100 rows through 30 inputs, 45 nodes
and 5 outputs is 0.9 million multiplications, 10 microseconds of one core.  So whatever
passes over all rows and nodes once more is left out: inputs carry a column of ones, and
the first layer's bias is a row of its weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from sudlib.files import InputError
from sudlib.policy.optimisers import (
    OPTIMISERS,
    batches,
    choose_engine,
    keras_steps,
    numpy_steps,
    step_sizes,
)
from sudlib.policy.treatments import Array
from sudlib.validation import check_choice

#: The slope of the L1 norm added to the gradient, as Keras has it and the study; the
#: squared L2 norm; and by proximal steps, which reach zero, the L1 norm and the group
#: lasso over the weights that leave a node.
PENALTIES = ("l1", "ridge", "lasso", "nodes")


@dataclass(frozen=True)
class Shape:
    """The layers of a network, and where each lies in its flat weights.

    Attributes
    ----------
    widths : tuple of int
        Number of inputs, of nodes in each hidden layer, and of outputs.
    """

    widths: tuple[int, ...]

    @property
    def places(self) -> list[tuple[int, int, int]]:
        """Return (start, inputs, outputs) of each layer; its bias follows it."""
        layers, start = [], 0
        for inputs, outputs in zip(self.widths[:-1], self.widths[1:], strict=True):
            layers.append((start, inputs, outputs))
            start += (inputs + 1) * outputs
        return layers

    @property
    def size(self) -> int:
        """Return the number of weights and biases."""
        start, inputs, outputs = self.places[-1]
        return start + (inputs + 1) * outputs

    def matrices(self, xp: Any, flat: Any) -> list[Any]:
        """Return the weights of each layer as a matrix, the bias as its last row.

        Parameters
        ----------
        xp : module
            ``numpy`` or ``keras.ops``.
        flat : array of shape (..., size)

        Returns
        -------
        list of arrays of shape (..., inputs + 1, outputs)
        """
        lead, matrices = tuple(flat.shape[:-1]), []
        for start, inputs, outputs in self.places:
            layer = flat[..., start : start + (inputs + 1) * outputs]
            matrices.append(xp.reshape(layer, (*lead, inputs + 1, outputs)))
        return matrices

    def initial(self, generator: np.random.Generator, lead: tuple[int, ...]) -> Array:
        """Return Keras' default start: Glorot uniform weights, biases of zero.

        Parameters
        ----------
        generator : numpy.random.Generator
        lead : tuple of int
            Leading axes, such as (data sets, fits).

        Returns
        -------
        numpy.ndarray of shape (..., size)
        """
        flat = np.zeros((*lead, self.size), dtype="float32")
        for start, inputs, outputs in self.places:
            limit, end = math.sqrt(6 / (inputs + outputs)), start + inputs * outputs
            flat[..., start:end] = generator.uniform(
                -limit, limit, (*lead, end - start)
            )
        return flat

    def penalised(self) -> Array:
        """Return 1 for each weight and 0 for each bias.

        Returns
        -------
        numpy.ndarray of shape (size,)
        """
        flat = np.zeros(self.size, dtype="float32")
        for start, inputs, outputs in self.places:
            flat[start : start + inputs * outputs] = 1
        return flat


def with_ones(X: Array) -> Array:
    """Return inputs with a column of ones behind them, which meets the bias.

    Parameters
    ----------
    X : numpy.ndarray of shape (..., n, p)

    Returns
    -------
    numpy.ndarray of shape (..., n, p + 1)
    """
    return np.concatenate([X, np.ones((*X.shape[:-1], 1), X.dtype)], axis=-1)


def forward(xp: Any, inputs: Any, matrices: list[Any], masks: Any = None) -> list[Any]:
    """Return the values of every layer, the inputs first and the outputs last.

    Parameters
    ----------
    xp : module
        ``numpy`` or ``keras.ops``.
    inputs : array of shape (..., n, p + 1)
        From :func:`with_ones`.
    matrices : list of arrays
        From :meth:`Shape.matrices`.
    masks : list of arrays of shape (n, nodes), optional
        What each hidden node is multiplied by (dropout).

    Returns
    -------
    list of arrays
    """
    values = [inputs, xp.matmul(inputs, matrices[0])]
    for layer, matrix in enumerate(matrices[1:]):
        hidden = xp.maximum(values[-1], 0.0)
        values[-1] = hidden * masks[layer] if masks else hidden
        below = xp.matmul(values[-1], matrix[..., :-1, :])
        values.append(below + matrix[..., -1:, :])
    return values


def backward(
    xp: Any, values: list[Any], matrices: list[Any], slope: Any, masks: Any = None
) -> Any:
    """Return the gradient of every weight, flat, by backpropagation.

    Parameters
    ----------
    xp : module
        ``numpy`` or ``keras.ops``.
    values : list of arrays
        From :func:`forward`.
    matrices : list of arrays
        As for :func:`forward`.
    slope : array of shape (..., n, outputs)
        Derivative of the loss with respect to the outputs.
    masks : list of arrays, optional
        As for :func:`forward`.

    Returns
    -------
    array of shape (..., size)
    """
    pieces = []
    for layer in reversed(range(len(matrices))):
        if layer:
            ones = xp.ones((1, slope.shape[-2]), slope.dtype)
            pieces.append(xp.matmul(ones, slope)[..., 0, :])
        gradient = xp.matmul(xp.swapaxes(values[layer], -1, -2), slope)
        pieces.append(_flat(xp, gradient))
        if layer:
            above = xp.swapaxes(matrices[layer][..., :-1, :], -1, -2)
            # ReLU's slope: 1 where its output is above 0
            slope = xp.multiply(xp.matmul(slope, above), xp.greater(values[layer], 0.0))
            if masks:
                slope = slope * masks[layer - 1]
    return xp.concatenate(pieces[::-1], axis=-1)


def _flat(xp: Any, matrix: Any) -> Any:
    size = matrix.shape[-2] * matrix.shape[-1]
    return xp.reshape(matrix, (*matrix.shape[:-2], size))


def penalty_slope(xp: Any, kind: str, shape: Shape, flat: Any, alpha: Any) -> Any:
    """Return what a smooth penalty adds to the gradient; biases are not penalised.

    Parameters
    ----------
    xp : module
        ``numpy`` or ``keras.ops``.
    kind : {"l1", "ridge"}
        The sign of each weight, or twice the weight.
    shape : Shape
        The layers.
    flat : array of shape (..., F, size)
        Weights.
    alpha : numpy.ndarray of shape (F, 1)
        Strength in each fit.

    Returns
    -------
    array of shape (..., F, size)
    """
    penalised = alpha * shape.penalised()
    if kind == "l1":
        return xp.multiply(penalised, xp.sign(flat))
    return xp.multiply(2.0 * penalised, flat)


def proximal_step(
    xp: Any, kind: str, shape: Shape, flat: Any, rate: Any, alpha: Any
) -> Any:
    """Return weights that a penalty has moved towards zero, or to it.

    Parameters
    ----------
    xp : module
        ``numpy`` or ``keras.ops``.
    kind : {"lasso", "nodes"}
        Each weight by itself (soft thresholding); or all weights that leave an input or
        a hidden node together, which drops whole nodes.
    shape : Shape
        The layers.
    flat : array of shape (..., F, size)
        Weights.
    rate : float or array like ``flat``
        Step sizes.
    alpha : numpy.ndarray of shape (F, 1)
        Strength in each fit.

    Returns
    -------
    array of shape (..., F, size)
    """
    move = rate * (alpha * shape.penalised())
    if kind == "lasso":
        return xp.sign(flat) * xp.maximum(xp.abs(flat) - move, 0.0)
    move = xp.broadcast_to(move, flat.shape)
    pieces = []
    matrices = shape.matrices(xp, flat), shape.matrices(xp, move)
    for matrix, moves in zip(*matrices, strict=True):
        length = xp.sqrt(xp.sum(matrix * matrix, axis=-1, keepdims=True) + 1e-20)
        # the node is dropped where its weights, in units of their rates, are too short
        pull = matrix / xp.maximum(moves, 1e-20)
        long_enough = xp.sum(pull * pull, axis=-1, keepdims=True) > 1.0
        shrunk = matrix * xp.maximum(1.0 - moves / length, 0.0)
        pieces.append(_flat(xp, xp.where(long_enough, shrunk, 0.0 * matrix)))
    return xp.concatenate(pieces, axis=-1)


def train(
    X: ArrayLike,
    rows: Sequence[ArrayLike],
    loss: Any,
    *,
    hidden: Sequence[int] = (),
    outputs: int,
    alphas: Sequence[float] | Array = (0.0,),
    penalty: str = "l1",
    steps: int = 2000,
    batch_size: int = 100,
    learning_rate: float = 0.01,
    decay: bool = False,
    optimiser: str = "adam",
    dropout: float = 0.0,
    seed: int = 0,
    start: ArrayLike | None = None,
    alike: bool = False,
    order: Array | None = None,
    watch: Callable[[int, Networks], ArrayLike] | None = None,
    watch_every: int = 100,
    engine: str = "auto",
) -> Networks:
    """Return the trained weights of ``F`` networks on each of ``G`` data sets.

    Parameters
    ----------
    X : array-like of shape (G, n, p) or (n, p)
        Inputs; used as float32.
    rows : sequence of arrays of shape (G, 1 or F, n, .)
        What ``loss`` needs of each row.
    loss : WeightedHamming, SquaredContrast or SquaredCurve
        Anything with ``slope(xp, outputs, *rows)``.
    hidden : sequence of int, default=()
        Width of each hidden layer.
    outputs : int
        Width of the last.
    alphas : sequence of float, length F
        Strength of the penalty in each fit; larger is stronger.
    penalty : {"l1", "ridge", "lasso", "nodes"}, default="l1"
        See :data:`PENALTIES`.
    steps : int, default=2000
        Steps of the optimiser.
    batch_size : int, default=100
        Rows in a step.
    learning_rate : float, default=0.01
        Step size.
    decay : bool, default=False
        Let the step size fall to zero along a cosine.
    optimiser : {"adam", "sgd"}, default="adam"
    dropout : float, default=0
        Share of hidden nodes left out of a step; the others are scaled up.
    seed : int, default=0
        Of the start, the order of rows and dropout.
    start : array-like of shape (G, F, weights), optional
        Weights to begin with, in the order of :class:`Shape`.
    alike : bool, default=False
        Begin with the same weights on every data set, so that each is trained as it
        would be alone.
    order : int array of shape (steps, batch), optional
        The rows of each step, instead of a random order.
    watch : callable, optional
        Called with ``(step, networks)`` every ``watch_every`` steps; returns a (G, F)
        array, larger is better.  The best weights of each fit are kept.
    watch_every : int, default=100
    engine : {"auto", "numpy", "keras"}, default="auto"

    Returns
    -------
    Networks

    Raises
    ------
    sudlib.files.InputError
        For a choice that is not one of these, or when every fit diverged.
    """
    check_choice("penalty", penalty, PENALTIES)
    check_choice("optimiser", optimiser, OPTIMISERS)
    X = np.asarray(X, dtype="float32")
    X = with_ones((X if X.ndim == 3 else X[None])[:, None])
    rows = tuple(np.asarray(array, dtype="float32") for array in rows)
    shape = Shape((X.shape[-1] - 1, *hidden, outputs))
    lead = len(X), len(alphas)
    generator = np.random.default_rng(seed)
    if start is None and alike:
        start = np.repeat(shape.initial(generator, (1, lead[1])), lead[0], axis=0)
    if start is None:
        start = shape.initial(generator, lead)
    flat = np.array(start, "float32")
    if order is None:
        order = batches(generator, X.shape[-2], batch_size, steps)
    sizes = step_sizes(learning_rate, steps, decay, optimiser).astype("f4")
    masks = [
        (generator.random((steps, order.shape[1], width), "f4") >= dropout).astype("f4")
        / np.float32(1 - dropout)
        for width in (hidden if dropout else ())
    ]
    alpha = np.asarray(alphas, dtype="f4")[:, None]
    proximal = penalty in ("lasso", "nodes")
    share = np.float32(1 / order.shape[1])

    def gradient(xp: Any, flat: Any, inputs: Any, picked: Any, masks: Any) -> Any:
        matrices = shape.matrices(xp, flat)
        values = forward(xp, inputs, matrices, masks)
        slope = loss.slope(xp, values[-1], *picked) * share
        descent = backward(xp, values, matrices, slope, masks)
        if proximal:
            return descent
        return descent + penalty_slope(xp, penalty, shape, flat, alpha)

    def shrink(xp: Any, flat: Any, rate: Any) -> Any:
        return proximal_step(xp, penalty, shape, flat, rate, alpha)

    make = numpy_steps if choose_engine(engine) == "numpy" else keras_steps
    take_steps = make(gradient, optimiser, shrink if proximal else None)
    best: Any = None
    best_gain: Any = None
    state = (flat, np.zeros_like(flat), np.zeros_like(flat))
    ends = [*range(watch_every, steps, watch_every), steps] if watch else [steps]
    for begin, end in zip([0, *ends], ends, strict=False):
        span = slice(begin, end)
        now = [mask[span] for mask in masks]
        with threadpool_limits(1, "blas"):  # the products are small: threads only wait
            state = take_steps(state, X, rows, order[span], sizes[span], now)
        if watch:
            gain = np.asarray(watch(end, Networks(shape, state[0])))
            if best is None:
                best, best_gain = state[0].copy(), gain
            else:
                better = gain > best_gain
                best[better] = state[0][better]
                best_gain = np.maximum(gain, best_gain)
    networks = Networks(shape, state[0] if best is None else best)
    if not np.isfinite(networks.flat).all(axis=-1).any():
        raise InputError(
            "training diverged in every fit; use a bounded output (tanh), a smaller"
            " learning rate or the optimiser adam"
        )
    return networks


@dataclass
class Networks:
    """``F`` trained networks on each of ``G`` data sets.

    Attributes
    ----------
    shape : Shape
        The layers of each.
    flat : numpy.ndarray of shape (G, F, size)
        Their weights.
    """

    shape: Shape
    flat: Array

    def outputs(self, X: ArrayLike, rows_at_once: int = 20_000) -> Array:
        """Return the last layer.

        Parameters
        ----------
        X : array-like of shape (G, n, p) or (n, p)
            Inputs.
        rows_at_once : int, default=20000
            Limits the memory used.

        Returns
        -------
        numpy.ndarray of shape (G, F, n, outputs)
        """
        X = np.asarray(X, dtype="float32")
        X = with_ones((X if X.ndim == 3 else X[None])[:, None])
        matrices = self.shape.matrices(np, self.flat)
        blocks = [
            forward(np, X[..., begin : begin + rows_at_once, :], matrices)[-1]
            for begin in range(0, X.shape[-2], rows_at_once)
        ]
        return np.concatenate(blocks, axis=-2)

    def __getitem__(self, chosen: Any) -> Networks:
        """Return some of the networks: index (G, F) as a numpy array."""
        return Networks(self.shape, self.flat[chosen])
