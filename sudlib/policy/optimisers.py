"""The optimiser's steps, with numpy or compiled by Keras' backend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from sudlib.policy.treatments import Array
from sudlib.validation import check_choice

#: Adam (Kingma and Ba 2015), and stochastic gradient descent.
OPTIMISERS = ("adam", "sgd")

_BETA, _GAMMA, _EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults of Adam


def batches(generator: np.random.Generator, rows: int, size: int, steps: int) -> Array:
    """Return the rows of each step: every row once before any comes again.

    Parameters
    ----------
    generator : numpy.random.Generator
    rows : int
        Rows there are.
    size : int
        Rows in a step.
    steps : int

    Returns
    -------
    numpy.ndarray of int32, shape (steps, min(size, rows))
    """
    size = min(size, rows)
    in_a_pass = rows // size
    passes = [
        generator.permutation(rows)[: in_a_pass * size].reshape(in_a_pass, size)
        for _ in range(max(1, -(-steps // in_a_pass)))
    ]
    return np.concatenate(passes)[:steps].astype("int32")


def step_sizes(
    learning_rate: float, steps: int, decay: bool = False, optimiser: str = "adam"
) -> Array:
    """Return the step size of each step, Adam's bias correction included.

    Parameters
    ----------
    learning_rate : float
        Of the first step.
    steps : int
    decay : bool, default=False
        Let it fall along half a cosine: to a half midway, to zero at the end.
    optimiser : {"adam", "sgd"}, default="adam"

    Returns
    -------
    numpy.ndarray of shape (steps,)
    """
    step = np.arange(steps)
    fall = 0.5 * (1 + np.cos(np.pi * step / steps)) if decay else np.ones(steps)
    if optimiser == "sgd":
        return learning_rate * fall
    correct = np.sqrt(1 - _GAMMA ** (step + 1)) / (1 - _BETA ** (step + 1))
    return learning_rate * fall * correct


def choose_engine(engine: str) -> str:
    """Return "numpy" or "keras".

    Parameters
    ----------
    engine : {"auto", "numpy", "keras"}

    Returns
    -------
    str
    """
    check_choice("engine", engine, ("auto", "numpy", "keras"))
    if engine != "auto":
        return engine
    keras = sys.modules.get("keras")
    try:
        gpu = keras is not None and bool(keras.distribution.list_devices("gpu"))
    except Exception:  # a backend that cannot list devices has none to offer
        gpu = False
    return "keras" if gpu else "numpy"


def numpy_steps(
    gradient: Callable[..., Any], optimiser: str, shrink: Any = None
) -> Callable[..., Any]:
    """Return a function that takes steps of the optimiser with numpy.

    Parameters
    ----------
    gradient : callable
        ``gradient(xp, flat, inputs, picked, masks)`` returns an array like ``flat``.
    optimiser : {"adam", "sgd"}
        Adam works in place, inside the processor's cache.
    shrink : callable, optional
        ``shrink(xp, flat, rate)`` returns weights after a proximal step, at the rate at
        which the gradient moved each of them.

    Returns
    -------
    callable
        ``take_steps((flat, mean, square), X, rows, order, sizes, masks)`` returns the
        new state.
    """

    # An unbounded loss can diverge: train() says so, once, instead of in every step.
    @np.errstate(over="ignore", invalid="ignore")
    def take_steps(
        state: Any, X: Any, rows: Any, order: Any, sizes: Any, masks: Any = ()
    ) -> Any:
        flat, mean, square = (np.array(array) for array in state)
        spare = np.empty_like(flat)
        for step, (chosen, size) in enumerate(zip(order, sizes, strict=True)):
            inputs, *picked = (np.take(array, chosen, axis=-2) for array in (X, *rows))
            slope = gradient(np, flat, inputs, picked, [mask[step] for mask in masks])
            if optimiser == "sgd":
                flat -= size * slope
                if shrink:
                    flat = shrink(np, flat, size)
                continue
            mean += (1 - _BETA) * (slope - mean)
            np.multiply(slope, slope, out=slope)
            slope -= square
            slope *= 1 - _GAMMA
            square += slope
            np.sqrt(square, out=spare)
            spare += _EPSILON
            if shrink:
                rate = size / spare
                flat = shrink(np, flat - mean * rate, rate)
                continue
            np.divide(mean, spare, out=spare)
            spare *= size
            flat -= spare
        return flat, mean, square

    return take_steps


def keras_steps(
    gradient: Callable[..., Any], optimiser: str, shrink: Any = None
) -> Callable[..., Any]:
    """Return what takes the same steps inside one compiled loop of Keras' backend.

    Parameters
    ----------
    gradient, optimiser, shrink
        As for :func:`numpy_steps`.

    Returns
    -------
    callable
    """
    from keras import ops, tree

    shrink = shrink or (lambda xp, flat, rate: flat)

    def steps(
        state: Any, X: Any, rows: Any, order: Any, sizes: Any, masks: Any
    ) -> tuple[Any, ...]:
        def body(step: Any, state: Any) -> tuple[Any, ...]:
            flat, mean, square = state
            inputs, *picked = (
                ops.take(each, order[step], axis=2) for each in (X, *rows)
            )
            slope = gradient(ops, flat, inputs, picked, [mask[step] for mask in masks])
            if optimiser == "sgd":
                flat = flat - sizes[step] * slope
                return shrink(ops, flat, sizes[step]), mean, square
            mean = mean + (1 - _BETA) * (slope - mean)
            square = square + (1 - _GAMMA) * (slope * slope - square)
            rate = sizes[step] / (ops.sqrt(square) + _EPSILON)
            return shrink(ops, flat - rate * mean, rate), mean, square

        return ops.fori_loop(0, order.shape[0], body, tuple(state))

    whole = compiled(steps)  # once: stretches of equal length share it

    def take_steps(*arguments: Any) -> tuple[Array, ...]:
        tensors = tree.map_structure(ops.convert_to_tensor, arguments)
        return tuple(np.array(ops.convert_to_numpy(array)) for array in whole(*tensors))

    return take_steps


def compiled(function: Callable[..., Any], xla: bool = True) -> Callable[..., Any]:
    """Return a function compiled by the Keras backend in use, where it compiles.

    Parameters
    ----------
    function : callable
        Of tensors.
    xla : bool, default=True
        Whether TensorFlow compiles it by XLA.

    Returns
    -------
    callable
    """
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return function
