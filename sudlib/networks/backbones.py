"""Networks learned on photographs, as bases to transfer from.

A :class:`Base` takes pictures of 0-255 pixels and returns its last feature map; what
the pixels have to be turned into first is inside the model, so that nobody forgets it,
or leaves it out by name.  ResNet50 is Keras' own; EfficientNet-Lite0 is built here,
layer by layer as its authors' file has it.  Taught in ``a05_resnet50_transfer``.
"""

import functools
import hashlib
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import layers, ops

from sudlib.files import InputError
from sudlib.networks import imagenet

#: The bases, and how they are called on a page.
BASES = {"resnet50": "ResNet50", "efficientnet-lite0": "EfficientNet-Lite0"}


PREPROCESSINGS = ("right", "raw")


#: Both bases halve a picture five times.
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
    """A network without its top.

    Attributes
    ----------
    name : {"resnet50", "efficientnet-lite0"}
    weights_words : str
        "ImageNet weights" or "random weights": print it beside every number.
    preprocessing : {"right", "raw"}
    side : tuple of int
        Height and width of the pictures.
    model : keras.Model
        Pixels 0-255, n x height x width x 3, to a map n x rows x columns x channels.
        It is not trainable.
    key : str
        SHA-256 of all this and of every weight: equal keys make equal features.
    """

    name: str
    weights_words: str
    preprocessing: str
    side: tuple
    model: keras.Model = field(repr=False)
    key: str = field(repr=False)

    def __str__(self):
        pixels = "" if self.preprocessing == "right" else ", raw pixels"
        return f"{BASES[self.name]}, {self.weights_words}{pixels}"

    @property
    def shape(self):
        """Rows, columns and channels of the map."""
        return tuple(self.model.output_shape[1:])

    @property
    def multiply_adds(self):
        """Multiplications and additions that one picture takes."""
        from sudlib.networks import flops

        return flops.multiply_adds(self.model)

    @functools.cached_property
    def grey(self):
        """The same function of a picture with one channel, and faster.

        Pixels 0-255, n x height x width x 1, to the same map: the convolutions take
        the batch normalisations in, and where all channels are prepared alike the
        first convolution adds up its kernels instead of reading the same picture three
        times.  Equal to ``model`` up to rounding.
        """
        picture = keras.Input((*self.side, 1), name="grey")
        if self.name == "efficientnet-lite0":
            return folded(self.model, picture)
        thrice = layers.Concatenate()([picture] * 3)
        return keras.Model(picture, folded(self.model)(thrice))

    def cut(self, stages=1):
        """Return the network in two: what stays frozen, and its last stages.

        Parameters
        ----------
        stages : {1, 2}
            Stages of the second part.

        Returns
        -------
        trunk : keras.Model
            Grey pixels, n x height x width x 1, to the map before those stages.
        tail : keras.Model
            That map to the last one; a copy with weights of its own, which can be
            trained.  ``tail(trunk(grey))`` is what ``model`` returns, up to rounding.

        Raises
        ------
        InputError
            If so many stages cannot be cut off.
        """
        if stages not in (1, 2):
            raise InputError(f"the last 1 or 2 stages can be cut off, not {stages!r}")
        name = _BEFORE[self.name][stages - 1]
        between = self.model.get_layer(name).output
        whole = keras.Model(self.model.input, [between, self.model.output])
        picture = keras.Input((*self.side, 1), name="grey")
        thrice = layers.Concatenate()([picture] * 3)
        trunk = keras.Model(picture, folded(keras.Model(whole.input, between))(thrice))
        shared = keras.Model(between, self.model.output)
        tail = keras.models.clone_model(shared)
        tail.set_weights(shared.get_weights())
        for layer in tail.layers:
            layer.trainable = True
        return trunk, tail


def base(name, weights="imagenet", side=250, *, preprocessing="right", seed=33):
    """Return a network without its top, not trainable.

    Parameters
    ----------
    name : {"resnet50", "efficientnet-lite0"}
    weights : str or path, default="imagenet"
        "imagenet", the path of the file with these weights, or "random": see
        :func:`sudlib.networks.imagenet.locate`.
    side : int or tuple of int, default=250
        Height and width of the pictures.
    preprocessing : {"right", "raw"}
        "right": what the weights were learned with.  "raw": pixels as they are, which
        is how study A fed ResNet50.
    seed : int, default=33
        Of random weights, drawn by NumPy: the same on every backend.

    Returns
    -------
    Base

    Raises
    ------
    InputError
        If the base is unknown, the pictures are too small for it, or the weights
        cannot be had or are of another network.
    """
    if name not in BASES:
        raise InputError(f"base must be one of {', '.join(BASES)}, not {name!r}")
    if preprocessing not in PREPROCESSINGS:
        raise InputError(
            f"preprocessing must be one of {', '.join(PREPROCESSINGS)}, not"
            f" {preprocessing!r}"
        )
    side = (side, side) if np.isscalar(side) else tuple(side)
    if min(side) < SMALLEST:
        raise InputError(
            f"{BASES[name]} halves a picture five times: height and width must be at"
            f" least {SMALLEST}, not {' x '.join(map(str, side))}"
        )
    path = imagenet.locate(name, weights)
    pixels = keras.Input((*side, 3), name="pixels")
    prepared = _prepared(pixels, name, preprocessing)
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
    digest = hashlib.sha256(repr((name, side, preprocessing)).encode())
    for value in model.get_weights():
        digest.update(value.tobytes())
    words = imagenet.words(weights)
    return Base(name, words, preprocessing, side, model, digest.hexdigest())


def _prepared(pixels, name, preprocessing):
    """Return pixels as the weights of a base want them, or as they are."""
    if preprocessing == "raw":
        return layers.Activation("linear", name="raw_pixels")(pixels)
    if name == "efficientnet-lite0":
        return layers.Rescaling(1 / 128, -127 / 128, name="right_pixels")(pixels)
    # As Keras' preprocess_input for ResNet50: blue first, less the means of ImageNet.
    blue_first = ops.flip(pixels, axis=-1)
    means = [-103.939, -116.779, -123.68]
    return layers.Rescaling(1.0, means, name="right_pixels")(blue_first)


def efficientnet_lite0(side=(224, 224), path=None, *, top=False):
    """Return EfficientNet-Lite0: ReLU6, no squeeze-and-excitation.

    Padding is TensorFlow's "same", with which the weights were learned: PyTorch's own,
    symmetric one would shift every second picture by a pixel.

    Parameters
    ----------
    side : tuple of int, default=(224, 224)
        Height and width; 224 is what it was learned on.
    path : path-like, optional
        Its weights, as :func:`sudlib.networks.imagenet.locate` finds them.
    top : bool, default=False
        End in 1,000 logits, one for each class of ImageNet, instead of the map.

    Returns
    -------
    keras.Model
        It takes prepared pixels: ``(pixels - 127) / 128``.
    """
    picture = keras.Input((*side, 3), name="prepared")
    x = _efficientnet_lite0(picture)
    if top:
        x = layers.GlobalAveragePooling2D(name="pooled")(x)
        x = layers.Dense(1000, name="fc")(x)
    model = keras.Model(picture, x, name="efficientnet_lite0")
    if path is not None:
        _load(model, imagenet.read_torch(path))
    return model


def _efficientnet_lite0(x):
    """Return the map of prepared pixels."""
    x = _convolution(x, "conv_stem", "bn0", 32, 3, 2)
    number, channels = 0, 32
    for blocks, kernel, first, wider, out in STAGES:
        for stride in (first, *[1] * (blocks - 1)):
            x = _block(x, number, kernel, stride, wider * channels, out)
            number, channels = number + 1, out
    return _convolution(x, "conv_head", "bn1", 1280)


def _block(x, number, kernel, stride, width, out):
    """Return one block: wider, a convolution of each channel alone, narrower again."""
    name, y = f"blocks_{number}", x
    if width != x.shape[-1]:
        y = _convolution(y, f"{name}_expand_conv", f"{name}_bn0", width)
    y = _convolution(y, f"{name}_depthwise_conv", f"{name}_bn1", None, kernel, stride)
    y = _convolution(y, f"{name}_project_conv", f"{name}_bn2", out, active=False)
    if stride == 1 and x.shape[-1] == out:
        return layers.Add(name=f"block_{number}_out")([x, y])
    return layers.Activation("linear", name=f"block_{number}_out")(y)


def _convolution(x, name, norm, filters, kernel=1, stride=1, active=True):
    """Return a convolution (of each channel alone: filters None), normalised."""
    shape = dict(strides=stride, padding="same", use_bias=False, name=name)
    if filters is None:
        x = layers.DepthwiseConv2D(kernel, **shape)(x)
    else:
        x = layers.Conv2D(filters, kernel, **shape)(x)
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=norm)(x)
    return layers.ReLU(6.0, name=f"{norm}_relu6")(x) if active else x


def _load(model, tensors):
    """Give EfficientNet-Lite0 the arrays of PyTorch's file."""
    left = {name for name in tensors if not name.endswith("num_batches_tracked")}
    for layer in model.layers:
        if not layer.weights:
            continue
        # blocks_3_bn0 here is _blocks.3._bn0 there.
        parts = layer.name.split("_", 2)
        name = "_" + layer.name
        if parts[0] == "blocks":
            name = f"_blocks.{parts[1]}._{parts[2]}"
        if isinstance(layer, layers.BatchNormalization):
            kinds = ("weight", "bias", "running_mean", "running_var")
        else:
            kinds = ("weight", "bias") if layer.name == "fc" else ("weight",)
        values = [tensors[f"{name}.{kind}"] for kind in kinds]
        left -= {f"{name}.{kind}" for kind in kinds}
        if isinstance(layer, layers.DepthwiseConv2D):
            values[0] = values[0].transpose(2, 3, 0, 1)
        elif isinstance(layer, layers.Conv2D):
            values[0] = values[0].transpose(2, 3, 1, 0)
        elif layer.name == "fc":
            values[0] = values[0].T
        layer.set_weights(values)
    if left - {"_fc.weight", "_fc.bias"}:
        raise InputError(f"the file has weights of no layer: {', '.join(sorted(left))}")


def _draw_weights(model, name, seed):
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


# ------------------------------------------------------------------- faster, but equal


def folded(model, picture=None):
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
    """
    taken_in = {}
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            before = layer._inbound_nodes[0].parent_nodes[0].operation
            if isinstance(before, layers.Conv2D | layers.DepthwiseConv2D):
                taken_in[before.name] = layer
    gone = {layer.name for layer in taken_in.values()}

    def copy(layer):
        if not isinstance(layer, keras.Layer) or layer.name in gone:
            return layer
        settings = layer.get_config()
        if layer.name in taken_in:
            settings["use_bias"] = True
        return type(layer).from_config(settings)

    def call(layer, *inputs, **keywords):
        return inputs[0] if layer.name in gone else layer(*inputs, **keywords)

    result = keras.models.clone_model(
        model, input_tensors=picture, clone_function=copy, call_function=call
    )
    for layer in result.layers:
        if not layer.weights:
            continue
        values = model.get_layer(layer.name).get_weights()
        if layer.name in taken_in:
            values = _taken_in(layer, values, taken_in[layer.name])
        wanted = layer.weights[0].shape
        if len(wanted) == 4 and wanted[2] == 1 < values[0].shape[2]:
            if not isinstance(layer, layers.DepthwiseConv2D):
                values[0] = values[0].sum(axis=2, keepdims=True)
        layer.set_weights(values)
    result.trainable = False
    return result


def _taken_in(layer, values, norm):
    """Return kernel and bias of a convolution that has taken a normalisation in."""
    kernel, bias = values[0], values[1] if len(values) > 1 else 0.0
    scale, shift, mean, variance = (np.float64(value) for value in norm.get_weights())
    factor = scale / np.sqrt(variance + norm.epsilon)
    across = factor[:, None] if isinstance(layer, layers.DepthwiseConv2D) else factor
    return [
        (kernel * across).astype("float32"),
        ((bias - mean) * factor + shift).astype("float32"),
    ]
