"""What the backend and the device can do: GPUs, XLA, memory, precision."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras

from sudlib.files import InputError


def has_gpu() -> bool:
    """Return whether Keras's backend sees a GPU.

    Returns
    -------
    bool
    """
    if keras.backend.backend() == "torch":
        import torch  # what Keras has loaded already; it lists no devices for it

        return torch.cuda.is_available()
    return any("gpu" in name.lower() for name in keras.distribution.list_devices())


def use_xla(replicas: int = 1) -> bool:
    """Return whether Keras should compile a step with XLA.

    JAX always does.  TensorFlow gains from XLA on a GPU; on a CPU its own convolutions
    are far faster (a training step of the study's network: eleven times), and XLA
    cannot add up the gradients of several devices.  PyTorch has no XLA here.

    Parameters
    ----------
    replicas : int, default=1
        Devices that share each batch.

    Returns
    -------
    bool
    """
    if keras.backend.backend() == "tensorflow":
        return replicas == 1 and has_gpu()
    return keras.backend.backend() == "jax"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory did not hold the batch.

    Every backend has an error class and a wording of its own.

    Parameters
    ----------
    error : BaseException
        As it was caught.

    Returns
    -------
    bool
    """
    words = f"{type(error).__name__} {error}".lower().replace(" ", "").replace("_", "")
    return isinstance(error, MemoryError) or any(
        sign in words for sign in ("resourceexhausted", "outofmemory")
    )


def count_replicas(distribution: Any) -> int:
    """Return over how many devices a distribution shares a batch.

    Parameters
    ----------
    distribution : keras.distribution.Distribution, tf.distribute.Strategy or None
        None is one device.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If it is neither of these.
    """
    if distribution is None:
        return 1
    if hasattr(distribution, "device_mesh"):
        return math.prod(distribution.device_mesh.shape)
    if hasattr(distribution, "num_replicas_in_sync"):
        return distribution.num_replicas_in_sync
    raise InputError(
        "distribution must be a keras.distribution.Distribution (JAX) or a"
        f" tf.distribute.Strategy (TensorFlow), not {distribution!r}"
    )


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield every layer of a model, and those of the models inside it.

    Parameters
    ----------
    model : keras.Model
        Functional or sequential.

    Yields
    ------
    keras.layers.Layer
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


@contextlib.contextmanager
def precision(model: keras.Model, name: str) -> Iterator[None]:
    """Let the layers of a model compute in another precision inside a ``with`` block.

    Weights stay in 32 bits, and so does the last layer, whose logit the loss reads.

    Parameters
    ----------
    model : keras.Model
        It has its own precision again after the block.
    name : {"float32", "mixed_bfloat16"}
        "float32" leaves the model as it is.

    Yields
    ------
    None
    """
    if name == "float32":
        yield
        return
    layers = [layer for layer in leaves(model) if layer.count_params()][:-1]
    policies = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = keras.dtype_policies.DTypePolicy(name)
        model.predict_function = None  # it was traced in the other precision
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy
        model.predict_function = None
