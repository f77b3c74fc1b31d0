"""What a network costs: multiply-adds of one record, forward.

Training takes about three times as many, once forward and twice backward.  Taught in
``a07_network_from_scratch``.
"""

from __future__ import annotations

import math

import keras
import pandas as pd

from sudlib.files import InputError
from sudlib.networks.devices import leaves


def multiply_adds(model: keras.Model, batch_size: int = 32) -> int:
    """Return the multiplications (each with its addition) of one record, forward.

    Convolutions and dense layers are counted; activations, pools, normalisation and
    the drawing of records are not, as in the figures printed for known networks.

    Parameters
    ----------
    model : keras.Model
        With inputs of a known size.
    batch_size : int, default=32
        Layers that work once a batch (those on patches) share it among so many records.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If a layer has weights and nothing is known of its work.

    Examples
    --------
    >>> inputs = keras.Input((28,))
    >>> multiply_adds(keras.Model(inputs, keras.layers.Dense(10)(inputs)))
    280
    """
    return round(by_layer(model, batch_size)["multiply-adds"].sum())


def by_layer(model: keras.Model, batch_size: int = 32) -> pd.DataFrame:
    """Return one row a layer that multiplies: its type, its output, its work.

    Parameters
    ----------
    model : keras.Model
        With inputs of a known size.
    batch_size : int, default=32
        As for :func:`multiply_adds`.

    Returns
    -------
    pandas.DataFrame
        Columns ``type``, ``output`` and ``multiply-adds``, by the layer's name.
    """
    rows = []
    for layer in leaves(model):
        work = _work(layer, batch_size)
        if work:
            output = " x ".join(map(str, layer.output.shape[1:]))
            rows.append((layer.name, type(layer).__name__, output, work))
    columns = ["layer", "type", "output", "multiply-adds"]
    return pd.DataFrame(rows, columns=columns).set_index("layer")


def _work(layer: keras.layers.Layer, batch_size: int) -> float:
    """Return the multiplications of one record in one layer."""
    if hasattr(layer, "batch_multiply_adds"):
        return layer.batch_multiply_adds() / batch_size
    if not layer.weights or isinstance(layer, keras.layers.BatchNormalization):
        return 0
    output = layer.output.shape[1:]
    if None in output:
        raise InputError(
            f"the size of what layer {layer.name} returns is not known: give the model"
            " inputs of a fixed size"
        )
    if isinstance(layer, keras.layers.Dense):
        return math.prod(output) * layer.kernel.shape[0]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return math.prod(output) * math.prod(layer.kernel_size)
    if isinstance(layer, keras.layers.Conv2D):
        # A group of filters sees its own group of inputs only.
        seen = math.prod(layer.kernel_size) * layer.input.shape[-1] // layer.groups
        return math.prod(output) * seen
    raise InputError(
        f"nothing is known of the work of layer {layer.name} ({type(layer).__name__})"
    )
