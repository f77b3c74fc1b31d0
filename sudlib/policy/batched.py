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

import math
import sys
from dataclasses import dataclass

import numpy as np

from sudlib.files import InputError

_BETA, _GAMMA, _EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults of Adam


PENALTIES = ("lasso", "ridge", "nodes")


OPTIMISERS = ("adam", "sgd")


@dataclass(frozen=True)
class Shape:
    """The layers of a network: how wide, and where each lies in the flat weights."""

    widths: tuple

    @property
    def places(self):
        """Return (start, inputs, outputs) of each layer; its bias follows it."""
        found, start = [], 0
        for inputs, outputs in zip(self.widths[:-1], self.widths[1:], strict=True):
            found.append((start, inputs, outputs))
            start += (inputs + 1) * outputs
        return found

    @property
    def size(self):
        """Return the number of weights and biases."""
        pairs = zip(self.widths[:-1], self.widths[1:], strict=True)
        return sum((inputs + 1) * outputs for inputs, outputs in pairs)

    def matrices(self, xp, flat):
        """Return each layer of weights that lie flat on the last axis.

        Each is (..., inputs + 1, outputs); the bias is the last row.
        """
        lead = tuple(flat.shape[:-1])
        return [
            xp.reshape(
                flat[..., start : start + (inputs + 1) * outputs],
                (*lead, inputs + 1, outputs),
            )
            for start, inputs, outputs in self.places
        ]

    def layers(self, xp, flat):
        """Return [(weights, bias), ...], the bias as (..., 1, outputs)."""
        return [
            (matrix[..., :-1, :], matrix[..., -1:, :])
            for matrix in self.matrices(xp, flat)
        ]

    def initial(self, generator, lead):
        """Return Keras' default start: Glorot uniform weights, biases of zero."""
        flat = np.zeros((*lead, self.size), dtype="float32")
        for start, inputs, outputs in self.places:
            limit = math.sqrt(6 / (inputs + outputs))
            end = start + inputs * outputs
            flat[..., start:end] = generator.uniform(
                -limit, limit, (*lead, inputs * outputs)
            )
        return flat

    def penalised(self):
        """Return 1 for each weight and 0 for each bias, as a flat array."""
        flat = np.zeros(self.size, dtype="float32")
        for start, inputs, outputs in self.places:
            flat[start : start + inputs * outputs] = 1
        return flat


def with_ones(X):
    """Return inputs with a column of ones behind them, which meets the bias."""
    return np.concatenate([X, np.ones((*X.shape[:-1], 1), X.dtype)], axis=-1)


def forward(xp, inputs, matrices, masks=None):
    """Return the values of every layer, the inputs first and the outputs last.

    ``inputs`` come from :func:`with_ones`, ``matrices`` from :meth:`Shape.matrices`.
    """
    values = [inputs]
    for place, matrix in enumerate(matrices):
        if place:
            hidden = xp.maximum(values[-1], 0.0)
            values[-1] = hidden if masks is None else hidden * masks[place - 1]
            below = xp.matmul(values[-1], matrix[..., :-1, :])
            values.append(below + matrix[..., -1:, :])
        else:
            values.append(xp.matmul(inputs, matrix))
    return values


def backward(xp, values, matrices, slope, masks=None):
    """Return the gradient of every weight, flat, from the slope at the outputs."""
    pieces = []
    for place in reversed(range(len(matrices))):
        if place:
            ones = xp.ones((1, slope.shape[-2]), slope.dtype)
            pieces.append(xp.matmul(ones, slope)[..., 0, :])
        gradient = xp.matmul(xp.swapaxes(values[place], -1, -2), slope)
        lead = tuple(gradient.shape[:-2])
        size = gradient.shape[-2] * gradient.shape[-1]
        pieces.append(xp.reshape(gradient, (*lead, size)))
        if place:
            above = xp.swapaxes(matrices[place][..., :-1, :], -1, -2)
            # ReLU's slope: 1 where its output is above 0
            slope = xp.multiply(xp.matmul(slope, above), xp.greater(values[place], 0.0))
            if masks is not None:
                slope = slope * masks[place - 1]
    return xp.concatenate(pieces[::-1], axis=-1)


def penalty_slope(xp, kind, shape, flat, strength, penalised):
    """Return the gradient of the penalty; ``strength`` is (F, 1)."""
    if kind == "lasso":
        return strength * penalised * xp.sign(flat)
    if kind == "ridge":
        return 2.0 * strength * penalised * flat
    # nodes: the length of all weights that leave an input or a hidden node
    pieces = []
    for weights, bias in shape.layers(xp, flat):
        length = xp.sqrt(xp.sum(weights * weights, axis=-1, keepdims=True) + 1e-12)
        lead = tuple(weights.shape[:-2])
        size = weights.shape[-2] * weights.shape[-1]
        pieces += [
            xp.reshape(weights / length, (*lead, size)),
            xp.reshape(bias * 0.0, (*lead, bias.shape[-1])),
        ]
    return strength * xp.concatenate(pieces, axis=-1)


def batches(generator, rows, size, steps):
    """Return the rows of each step: every row once before any comes again.

    Returns
    -------
    numpy.ndarray of shape (steps, min(size, rows)), int32
    """
    size = min(size, rows)
    a_pass = rows // size
    passes = [
        generator.permutation(rows)[: a_pass * size].reshape(a_pass, size)
        for _ in range(max(1, -(-steps // a_pass)))
    ]
    return np.concatenate(passes)[:steps].astype("int32")


def step_sizes(learning_rate, steps, decay=False, optimiser="adam"):
    """Return the step size of each step, Adam's correction for its start included."""
    step = np.arange(steps)
    rate = learning_rate * (
        0.5 * (1 + np.cos(np.pi * step / steps)) if decay else np.ones(steps)
    )
    if optimiser == "sgd":
        return rate
    correct = np.sqrt(1 - _GAMMA ** (step + 1)) / (1 - _BETA ** (step + 1))
    return rate * correct


def choose_engine(engine):
    """Return "numpy" or "keras"."""
    if engine not in ("auto", "numpy", "keras"):
        raise InputError(f'engine must be "auto", "numpy" or "keras", not {engine!r}')
    if engine != "auto":
        return engine
    keras = sys.modules.get("keras")
    try:
        gpu = bool(keras) and bool(keras.distribution.list_devices("gpu"))
    except Exception:  # a backend that cannot list devices has none to offer
        gpu = False
    return "keras" if gpu else "numpy"


def train(
    X,
    rows,
    loss,
    *,
    hidden=(),
    outputs,
    strengths=(0.0,),
    penalty="lasso",
    steps=2000,
    batch_size=100,
    learning_rate=0.01,
    decay=False,
    optimiser="adam",
    dropout=0.0,
    seed=0,
    start=None,
    alike=False,
    order=None,
    watch=None,
    watch_every=100,
    engine="auto",
):
    """Return the trained weights of ``F`` networks on each of ``G`` data sets.

    Parameters
    ----------
    X : array of shape (G, n, p) or (n, p)
    rows : tuple of arrays
        What ``loss`` needs of each row, each (G, 1 or F, n, .).
    loss : sudlib.policy.losses.WeightedHamming or SquaredContrast
        Anything with ``slope(xp, outputs, *rows)``.
    hidden : tuple of int
        Width of each hidden layer.
    outputs : int
        Width of the last.
    strengths : sequence of float, length F
        The penalty's strength in each fit.
    penalty : {"lasso", "ridge", "nodes"}
    steps, batch_size, learning_rate, decay
        With ``decay`` the step size falls to zero along a cosine.
    optimiser : {"adam", "sgd"}
    dropout : float, default=0
        Share of hidden nodes left out of a step.
    seed : int
        Start, order of rows and dropout.
    start : array of shape (G, F, weights), optional
        Weights to begin with, in the order of :class:`Shape`.
    alike : bool, default=False
        Begin with the same weights on every data set, so that each is trained as it
        would be alone.
    order : int array of shape (steps, batch), optional
        The rows of each step, instead of a random order.
    watch : callable, optional
        Called with ``(step, networks)`` every ``watch_every`` steps; returns a (G, F)
        array, larger is better.  The best weights of each fit are kept.
    engine : {"auto", "numpy", "keras"}

    Returns
    -------
    Networks

    Raises
    ------
    InputError
        For a choice that is not one of these, or when every fit diverged.
    """
    if penalty not in PENALTIES:
        raise InputError(
            f"penalty must be one of {', '.join(PENALTIES)}, not {penalty!r}"
        )
    if optimiser not in OPTIMISERS:
        raise InputError(
            f"optimiser must be one of {', '.join(OPTIMISERS)}, not {optimiser!r}"
        )
    X = np.asarray(X, dtype="float32")
    X = (X if X.ndim == 3 else X[None])[:, None]
    X = with_ones(X)
    rows = tuple(np.asarray(array, dtype="float32") for array in rows)
    shape = Shape((X.shape[-1] - 1, *hidden, outputs))
    lead = (X.shape[0], len(strengths))
    generator = np.random.default_rng(seed)
    if start is None and alike:
        start = np.repeat(shape.initial(generator, (1, lead[1])), lead[0], axis=0)
    flat = shape.initial(generator, lead) if start is None else start
    flat = np.array(flat, "float32")
    if order is None:
        order = batches(generator, X.shape[-2], batch_size, steps)
    sizes = step_sizes(learning_rate, steps, decay, optimiser).astype("f4")
    masks = [
        (generator.random((steps, order.shape[1], width), "f4") >= dropout).astype("f4")
        / np.float32(1 - dropout)
        for width in (hidden if dropout else ())
    ]
    strength = np.asarray(strengths, dtype="f4")[:, None]
    penalised = shape.penalised()
    share = np.float32(1 / order.shape[1])

    def gradient(xp, flat, inputs, picked, mask, strength, penalised):
        matrices = shape.matrices(xp, flat)
        values = forward(xp, inputs, matrices, mask)
        slope = loss.slope(xp, values[-1], *picked) * share
        found = backward(xp, values, matrices, slope, mask)
        return found + penalty_slope(xp, penalty, shape, flat, strength, penalised)

    make = _numpy_runner if choose_engine(engine) == "numpy" else _keras_runner
    runner = make(gradient, optimiser == "adam")
    best, record = None, None
    begin = 0
    state = (flat, np.zeros_like(flat), np.zeros_like(flat))
    ends = range(watch_every, steps, watch_every) if watch else ()
    for end in (*ends, steps):
        part = slice(begin, end)
        state = runner(
            state,
            X,
            rows,
            order[part],
            sizes[part],
            [mask[part] for mask in masks] or None,
            strength,
            penalised,
        )
        begin = end
        if watch:
            now = np.asarray(watch(end, Networks(shape, state[0])))
            if best is None:
                best, record = state[0].copy(), now
            else:
                better = now > record
                best[better], record = state[0][better], np.maximum(now, record)
    networks = Networks(shape, state[0] if best is None else best)
    if not np.isfinite(networks.flat).all(axis=-1).any():
        raise InputError(
            "training diverged in every fit; use a bounded output (tanh), a smaller"
            " learning rate or the optimiser adam"
        )
    return networks


def _numpy_runner(gradient, adam):
    """Return what takes steps with numpy; Adam works in place, inside the cache."""

    # An unbounded loss can diverge: train() says so, once, instead of in every step.
    @np.errstate(over="ignore", invalid="ignore")
    def run(state, X, rows, order, sizes, masks, strength, penalised):
        flat, mean, square = (np.array(array) for array in state)
        spare = np.empty_like(flat)
        for step, (chosen, size) in enumerate(zip(order, sizes, strict=True)):
            found = gradient(
                np,
                flat,
                np.take(X, chosen, axis=-2),
                [np.take(array, chosen, axis=-2) for array in rows],
                None if masks is None else [mask[step] for mask in masks],
                strength,
                penalised,
            )
            if not adam:
                flat -= size * found
                continue
            mean += (1 - _BETA) * (found - mean)
            np.multiply(found, found, out=found)
            found -= square
            found *= 1 - _GAMMA
            square += found
            np.sqrt(square, out=spare)
            spare += _EPSILON
            np.divide(mean, spare, out=spare)
            spare *= size
            flat -= spare
        return flat, mean, square

    return run


def _keras_runner(gradient, adam):
    """Return what takes the same steps inside one compiled loop of Keras' backend."""
    from keras import ops

    def steps(flat, mean, square, X, rows, order, sizes, masks, strength, penalised):
        def body(step, state):
            flat, mean, square = state
            found = gradient(
                ops,
                flat,
                ops.take(X, order[step], axis=2),
                [ops.take(array, order[step], axis=2) for array in rows],
                [mask[step] for mask in masks] or None,
                strength,
                penalised,
            )
            if not adam:
                return flat - sizes[step] * found, mean, square
            mean = mean + (1 - _BETA) * (found - mean)
            square = square + (1 - _GAMMA) * (found * found - square)
            flat = flat - sizes[step] * mean / (ops.sqrt(square) + _EPSILON)
            return flat, mean, square

        return ops.fori_loop(0, order.shape[0], body, (flat, mean, square))

    whole = compiled(steps)  # once: stretches of equal length share it

    def run(state, X, rows, order, sizes, masks, strength, penalised):
        tensor = ops.convert_to_tensor
        state = whole(
            *(tensor(array) for array in state),
            tensor(X),
            [tensor(array) for array in rows],
            tensor(order),
            tensor(sizes),
            [tensor(mask) for mask in masks or ()],
            tensor(strength),
            tensor(penalised),
        )
        return tuple(np.array(ops.convert_to_numpy(array)) for array in state)

    return run


def compiled(function, xla=True):
    """Return a function compiled by the Keras backend in use, where it compiles."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return function


@dataclass
class Networks:
    """``F`` trained networks on each of ``G`` data sets."""

    shape: Shape
    flat: np.ndarray

    def outputs(self, X, rows_at_once=20_000):
        """Return the last layer, (G, F, n, outputs), for X of (G, n, p) or (n, p)."""
        X = np.asarray(X, dtype="float32")
        X = with_ones((X if X.ndim == 3 else X[None])[:, None])
        matrices = self.shape.matrices(np, self.flat)
        parts = [
            forward(np, X[..., place : place + rows_at_once, :], matrices)[-1]
            for place in range(0, X.shape[-2], rows_at_once)
        ]
        return np.concatenate(parts, axis=-2)

    def __getitem__(self, chosen):
        """Return some of the networks: index (G, F) as a numpy array."""
        return Networks(self.shape, self.flat[chosen])
