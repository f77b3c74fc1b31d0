"""Networks learned on photographs, as backbones to transfer from.

A :class:`Base` takes pictures of 0-255 pixels and returns its last feature map; the
preprocessing that its weights expect is inside the model, so that nobody forgets it, or
leaves it out by name.  ResNet50 is Keras's own; EfficientNet-Lite0 is built here, layer
by layer as its authors' file has it.  Taught in ``a05_resnet50_transfer``.
"""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from sudlib.files import InputError
from sudlib.networks import flops, imagenet
from sudlib.validation import check_choice

Array = NDArray[Any]

#: The backbones, and how they are called on a page.
BASES = {"resnet50": "ResNet50", "efficientnet-lite0": "EfficientNet-Lite0"}

PREPROCESSINGS = ("imagenet", "raw")

#: Both backbones halve a picture five times.
SMALLEST = 32

#: Stages of EfficientNet-Lite0: blocks, kernel, stride of the first, width within as a
#: multiple, and channels out.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

#: The last layer before each of the last stages, from the last backwards.
_BEFORE = {
    "efficientnet-lite0": ("block_14_out", "block_10_out"),
    "resnet50": ("conv4_block6_out", "conv3_block4_out"),
}


@dataclass(frozen=True)
class Base:
    """A backbone: a network without its top.

    Attributes
    ----------
    name : {"resnet50", "efficientnet-lite0"}
        Its architecture.
    weights_words : str
        "ImageNet weights" or "random weights": print it beside every number.
    preprocessing : {"imagenet", "raw"}
        What happens to the pixels first.
    side : tuple of int
        Height and width of the pictures.
    model : keras.Model
        Pixels 0-255, n x height x width x 3, to a map n x rows x columns x channels.
        It is not trainable.
    key : str
        SHA-256 of all this and of every weight: equal keys make equal features.
    built : dict
        The network around it that :mod:`sudlib.networks.feature_cache` built last.
    """

    name: str
    weights_words: str
    preprocessing: str
    side: tuple[int, int]
    model: keras.Model = field(repr=False)
    key: str = field(repr=False)
    built: dict[Any, keras.Model] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __str__(self) -> str:
        pixels = ", raw pixels" if self.preprocessing == "raw" else ""
        return f"{BASES[self.name]}, {self.weights_words}{pixels}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the map."""
        return tuple(self.model.output_shape[1:])

    @property
    def multiply_adds(self) -> int:
        """Multiplications and additions that one picture takes."""
        return flops.multiply_adds(self.model)

    @functools.cached_property
    def grey(self) -> keras.Model:
        """The same function of a picture with one channel, and faster.

        Pixels 0-255, n x height x width x 1, to the same map: the convolutions take
        the batch normalisations in, and where all channels are prepared alike the
        first convolution adds up its kernels instead of reading the same picture three
        times.  Equal to ``model`` up to rounding.
        """
        if self.name == "efficientnet-lite0":
            return folded(self.model, keras.Input((*self.side, 1), name="grey"))
        return self._of_grey(self.model)

    def _of_grey(self, model: keras.Model) -> keras.Model:
        picture = keras.Input((*self.side, 1), name="grey")
        return keras.Model(picture, folded(model)(layers.Concatenate()([picture] * 3)))

    def before(self, stages: int) -> str:
        """Return the name of the layer whose output the last stages read.

        Parameters
        ----------
        stages : {1, 2}
            How many stages follow it.

        Returns
        -------
        str
        """
        return _BEFORE[self.name][check_choice("stages", stages, (1, 2)) - 1]

    def trunk(self, stages: int = 1) -> keras.Model:
        """Return the network before its last stages.

        Parameters
        ----------
        stages : {1, 2}
            Stages that are left out.

        Returns
        -------
        keras.Model
            Grey pixels, n x height x width x 1, to the map before those stages.

        Raises
        ------
        InputError
            If so many stages cannot be cut off.
        """
        between = self.model.get_layer(self.before(stages)).output
        return self._of_grey(keras.Model(self.model.input, between))

    def tail(self, stages: int = 1) -> keras.Model:
        """Return the last stages of the network, ready to be trained.

        Parameters
        ----------
        stages : {1, 2}
            How many.

        Returns
        -------
        keras.Model
            From the map before them to the last one; a copy with weights of its own.
            ``tail(trunk(grey))`` is what ``model`` returns, up to rounding.

        Raises
        ------
        InputError
            If so many stages cannot be cut off.
        """
        between = self.model.get_layer(self.before(stages)).output
        shared = keras.Model(between, self.model.output)
        tail = keras.models.clone_model(shared)
        tail.set_weights(shared.get_weights())
        for layer in tail.layers:
            layer.trainable = True
        return tail


def base(
    name: str,
    weights: str | os.PathLike[str] = "imagenet",
    side: int | tuple[int, int] = 250,
    *,
    preprocessing: str = "imagenet",
    seed: int = 33,
) -> Base:
    """Return a backbone, not trainable.

    Parameters
    ----------
    name : {"resnet50", "efficientnet-lite0"}
        Its architecture.
    weights : str or path, default="imagenet"
        "imagenet", the path of the file with these weights, or "random": see
        :func:`sudlib.networks.imagenet.locate`.
    side : int or tuple of int, default=250
        Height and width of the pictures.
    preprocessing : {"imagenet", "raw"}
        "imagenet": that with which the weights were learned.  "raw": pixels as they
        are, which is how study A fed ResNet50.
    seed : int, default=33
        Of random weights, drawn by NumPy: the same on every backend.

    Returns
    -------
    Base

    Raises
    ------
    InputError
        If the backbone is unknown, the pictures are too small for it, or the weights
        cannot be had or belong to another network.
    """
    check_choice("base", name, BASES)
    check_choice("preprocessing", preprocessing, PREPROCESSINGS)
    height, width = (side, side) if isinstance(side, int) else side
    if min(height, width) < SMALLEST:
        raise InputError(
            f"{BASES[name]} halves a picture five times: height and width must be at"
            f" least {SMALLEST}, not {height} x {width}"
        )
    path = imagenet.locate(name, weights)
    pixels = keras.Input((height, width, 3), name="pixels")
    prepared = _prepare(pixels, name, preprocessing)
    if name == "resnet50":
        network = keras.applications.ResNet50(
            weights=None, include_top=False, input_tensor=prepared
        )
        if path is not None:
            network.load_weights(path)
        model = keras.Model(pixels, network.output)
    else:
        model = keras.Model(pixels, _efficientnet_lite0(prepared))
        if path is not None:
            _load(model, imagenet.read_torch(path))
    if path is None:
        _draw_weights(model, name, seed)
    model.trainable = False
    digest = hashlib.sha256(repr((name, height, width, preprocessing)).encode())
    for value in model.get_weights():
        digest.update(value.tobytes())
    words = "random weights" if path is None else "ImageNet weights"
    return Base(name, words, preprocessing, (height, width), model, digest.hexdigest())


def _prepare(pixels: Any, name: str, preprocessing: str) -> Any:
    """Return pixels as the weights of a backbone expect them, or as they are."""
    if preprocessing == "raw":
        return layers.Activation("linear", name="raw_pixels")(pixels)
    if name == "efficientnet-lite0":
        return layers.Rescaling(1 / 128, -127 / 128, name="preprocessing")(pixels)
    # As Keras's preprocess_input for ResNet50: blue first, less the means of ImageNet.
    blue_first = ops.flip(pixels, axis=-1)
    means = [-103.939, -116.779, -123.68]
    return layers.Rescaling(1.0, means, name="preprocessing")(blue_first)


def _efficientnet_lite0(x: Any) -> Any:
    """Return EfficientNet-Lite0's map of prepared pixels: ReLU6, no squeeze.

    Padding is TensorFlow's "same", with which the weights were learned: PyTorch's own,
    symmetric one would shift every second picture by a pixel (Tan and Le 2019).
    """
    x = _convolution(x, "conv_stem", "bn0", 32, (3, 2))
    number, channels = 0, 32
    for blocks, kernel, first, wider, out in STAGES:
        for stride in (first, *[1] * (blocks - 1)):
            x = _block(x, number, kernel, stride, wider * channels, out)
            number, channels = number + 1, out
    return _convolution(x, "conv_head", "bn1", 1280)


def _block(x: Any, number: int, kernel: int, stride: int, width: int, out: int) -> Any:
    """Return one block: wider, a convolution of each channel alone, narrower again."""
    name, y = f"blocks_{number}", x
    if width != x.shape[-1]:
        y = _convolution(y, f"{name}_expand_conv", f"{name}_bn0", width)
    y = _convolution(y, f"{name}_depthwise_conv", f"{name}_bn1", None, (kernel, stride))
    y = _convolution(y, f"{name}_project_conv", f"{name}_bn2", out, active=False)
    if stride == 1 and x.shape[-1] == out:
        return layers.Add(name=f"block_{number}_out")([x, y])
    return layers.Activation("linear", name=f"block_{number}_out")(y)


def _convolution(
    x: Any,
    name: str,
    norm: str,
    filters: int | None,
    shape: tuple[int, int] = (1, 1),
    active: bool = True,
) -> Any:
    """Return a convolution, of each channel alone without filters, normalised.

    Its shape is kernel and stride.
    """
    given: Any = dict(padding="same", use_bias=False, name=name)
    if filters is None:
        x = layers.DepthwiseConv2D(*shape, **given)(x)
    else:
        x = layers.Conv2D(filters, *shape, **given)(x)
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=norm)(x)
    return layers.ReLU(6.0, name=f"{norm}_relu6")(x) if active else x


#: Axes of PyTorch's kernels, in Keras's order.
_AXES = {layers.Conv2D: (2, 3, 1, 0), layers.DepthwiseConv2D: (2, 3, 0, 1)}


def _load(model: keras.Model, tensors: dict[str, Array]) -> None:
    """Give EfficientNet-Lite0 the arrays of PyTorch's file."""
    unused = {name for name in tensors if not name.endswith("num_batches_tracked")}
    for layer in model.layers:
        if not layer.weights:
            continue
        name = "_" + layer.name
        # blocks_3_bn0 here is _blocks.3._bn0 there
        if layer.name.startswith("blocks_"):
            _, number, rest = layer.name.split("_", 2)
            name = f"_blocks.{number}._{rest}"
        kinds = ("weight", "bias", "running_mean", "running_var")[: len(layer.weights)]
        values = [tensors[f"{name}.{kind}"] for kind in kinds]
        unused -= {f"{name}.{kind}" for kind in kinds}
        if values[0].ndim > 1:
            values[0] = values[0].transpose(_AXES[type(layer)])
        layer.set_weights(values)
    if unused - {"_fc.weight", "_fc.bias"}:
        names = ", ".join(sorted(unused))
        raise InputError(f"the file has weights of no layer: {names}")


def _draw_weights(model: keras.Model, name: str, seed: int) -> None:
    """Give every kernel random weights, drawn by NumPy as its authors draw them.

    ResNet50 as in Keras (Glorot, uniform); EfficientNet normal, by what goes out.
    """
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            kernel, *bias = layer.get_weights()
            area, (seen, out) = np.prod(kernel.shape[:2]), kernel.shape[2:]
            if name == "resnet50":
                limit = np.sqrt(6 / (area * (seen + out)))
                drawn = random.uniform(-limit, limit, kernel.shape)
            else:
                drawn = random.normal(0, np.sqrt(2 / (area * out)), kernel.shape)
            layer.set_weights([drawn.astype("float32"), *bias])


def folded(model: keras.Model, picture: keras.KerasTensor | None = None) -> keras.Model:
    """Return a model whose convolutions have taken their batch normalisations in.

    Outside training a batch normalisation multiplies and adds constants, which the
    convolution before it can do by itself.

    Parameters
    ----------
    model : keras.Model
        A functional model in which each layer is used once.
    picture : keras.KerasTensor, optional
        Its new input.  With one channel instead of three, the first convolution adds
        up its kernels: right only if the channels are equal and prepared alike.

    Returns
    -------
    keras.Model
        Not trainable.
    """
    norms = {}
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            before = layer._inbound_nodes[0].parent_nodes[0].operation
            if isinstance(before, layers.Conv2D | layers.DepthwiseConv2D):
                norms[before.name] = layer
    gone = {layer.name for layer in norms.values()}

    def clone(layer: Any) -> Any:
        if not isinstance(layer, keras.Layer) or layer.name in gone:
            return layer
        bias = {"use_bias": True} if layer.name in norms else {}
        return type(layer).from_config({**layer.get_config(), **bias})

    def call(layer: Any, *inputs: Any, **keywords: Any) -> Any:
        return inputs[0] if layer.name in gone else layer(*inputs, **keywords)

    result = keras.models.clone_model(
        model, input_tensors=picture, clone_function=clone, call_function=call
    )
    for layer in result.layers:
        if not layer.weights:
            continue
        values = model.get_layer(layer.name).get_weights()
        if layer.name in norms:
            values = _fold(layer, values, norms[layer.name])
        # One grey channel instead of three equal ones; depthwise kernels have as many.
        if values[0].shape != layer.weights[0].shape:
            values[0] = values[0].sum(axis=2, keepdims=True)
        layer.set_weights(values)
    result.trainable = False
    return result


def _fold(layer: keras.Layer, values: list[Array], norm: keras.Layer) -> list[Array]:
    """Return kernel and bias of a convolution that has taken a normalisation in."""
    kernel, bias = values[0], values[1] if len(values) > 1 else 0.0
    scale, shift, mean, variance = (np.float64(value) for value in norm.get_weights())
    factor = scale / np.sqrt(variance + norm.epsilon)
    across = factor[:, None] if isinstance(layer, layers.DepthwiseConv2D) else factor
    return [
        (kernel * across).astype("float32"),
        ((bias - mean) * factor + shift).astype("float32"),
    ]
