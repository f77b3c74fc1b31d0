"""Networks trained from scratch on records drawn as pictures.

:func:`published_network` is the study's; :func:`cell_network` is ours, whose first
layer reads one cell at a time.  Both take the 28 small integers of a record and draw
inside.  Both can also leave the drawing out: a picture is made of few patches, so what
the first layers make of every patch is computed once a batch and looked up
(``blocks="atlas"``), which is exact and, on a processor, several times as fast.  Taught
in the notebook *A network from scratch*.
"""

from dataclasses import dataclass

import keras
import numpy as np

from sudlib.files import InputError
from sudlib.images import VARIABLES, TextImage
from sudlib.networks.atlas import (
    AtlasBlocks,
    GreyConv2D,
    ReadCells,
    atlas,
    cell_of,
    glyphs,
)
from sudlib.networks.layers import DrawRecords
from sudlib.networks.training import Recipe, has_gpu

#: What the study did to the pixels, and what it should have done.
SCALES = {"raw": 1.0, "unit": 1 / 255}


BLOCKS = ("plain", "grey", "atlas")


#: How :func:`cell_network` is trained: AdamW, the rate falling as a cosine.
CELL_RECIPE = Recipe(
    epochs=20,
    batch_size=256,
    learning_rate=2e-3,
    optimizer="adamw",
    schedule="cosine",
    weight_decay=0.02,
    patience=20,
)


@dataclass(frozen=True)
class Effort:
    """How much the notebook on these networks does at one of its sizes.

    Attributes
    ----------
    pictures : int or None
        People whose pictures of 250 pixels are trained on; None: all.
    epochs : int
        Of these networks, at most.
    small, small_epochs : int or None
        The same for the network on a smaller canvas.
    """

    pictures: int | None
    epochs: int
    small: int | None
    small_epochs: int


EFFORTS = {
    "quick": Effort(pictures=1_200, epochs=4, small=2_000, small_epochs=6),
    "paper": Effort(pictures=None, epochs=15, small=None, small_epochs=15),
}


def _picture(picture):
    return TextImage(picture) if isinstance(picture, str) else picture


def _scale(preprocessing):
    if preprocessing not in SCALES:
        raise InputError(
            f"preprocessing must be one of {', '.join(SCALES)}, not {preprocessing!r}"
        )
    return SCALES[preprocessing]


def _codes():
    return keras.Input((len(VARIABLES),), dtype="uint8", name="codes")


def fastest(picture="general"):
    """Return how blocks are computed fastest here, ``"atlas"`` or ``"plain"``.

    On a processor the patches win where they are few beside a batch of pictures.  On a
    GPU nobody has measured it yet, so the plain path stays.

    Parameters
    ----------
    picture : TextImage or str

    Returns
    -------
    str
    """
    picture = _picture(picture)
    if has_gpu():
        return "plain"
    try:
        parts, _ = atlas(picture)
    except InputError:
        return "plain"
    pixels = sum(windows.size for _, _, windows in parts)
    return "atlas" if pixels < 16 * picture.shape[0] * picture.shape[1] else "plain"


# ------------------------------------------------------------------------ the study's


def published_network(picture="general", preprocessing="raw", *, blocks="plain"):
    """Return the study's network from scratch, which takes codes and ends in a logit.

    Four times a convolution of 3 x 3 with 32 filters, ReLU and the largest of 2 x 2;
    dropout of a quarter after the second and the fourth; 256 hidden units, dropout of
    one half, one logit.  Three equal channels go in, as in the study.

    Parameters
    ----------
    picture : TextImage or str
        What draws, or the name of its layout.
    preprocessing : {"raw", "unit"}
        Pixels from 0 to 255, as published, or from 0 to 1.
    blocks : {"plain", "grey", "atlas"}
        How the first two blocks are computed.  All three have the same weights, in the
        same order, and return the same logits: ``"grey"`` adds the first kernel up over
        the three equal channels; ``"atlas"`` computes them on the patches.

    Returns
    -------
    keras.Model

    Raises
    ------
    InputError
        If a word is unknown, or the picture is too small for four blocks.

    Examples
    --------
    >>> published_network("general").count_params()  # doctest: +SKIP
    1413601
    """
    if blocks not in BLOCKS:
        raise InputError(f"blocks must be one of {', '.join(BLOCKS)}, not {blocks!r}")
    picture, scale = _picture(picture), _scale(preprocessing)
    if min(picture.shape) < 46:
        raise InputError(
            "four blocks need pictures of at least 46 x 46 pixels, not"
            f" {picture.shape[0]} x {picture.shape[1]}"
        )
    layers = keras.layers
    codes = _codes()
    if blocks == "atlas":
        x = AtlasBlocks(picture, scale=scale, name="blocks_1_and_2")(codes)
    else:
        channels = 3 if blocks == "plain" else 1
        x = DrawRecords(picture, channels=channels, scale=scale, name="draw")(codes)
        first = layers.Conv2D if blocks == "plain" else GreyConv2D
        x = first(32, 3, activation="relu", name="convolution_1")(x)
        x = layers.MaxPooling2D(2, name="pool_1")(x)
        x = layers.Conv2D(32, 3, activation="relu", name="convolution_2")(x)
        x = layers.MaxPooling2D(2, name="pool_2")(x)
    x = layers.Dropout(0.25, name="dropout_2")(x)
    for number in (3, 4):
        x = layers.Conv2D(32, 3, activation="relu", name=f"convolution_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = layers.Dropout(0.25, name="dropout_4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(256, activation="relu", name="hidden")(x)
    x = layers.Dropout(0.5, name="dropout_hidden")(x)
    return keras.Model(codes, layers.Dense(1, name="logit")(x), name="published")


# ------------------------------------------------------------------------------ ours


def cell_network(
    picture="grid", *, glyphs=32, hidden=(256, 128), dropout=0.5, blocks="plain"
):
    """Return a network whose first layer reads one cell of a picture at a time.

    The kernel is as large as a cell, and so is its step: one shared reader of glyphs
    looks at each of the 28 cells once, and a small network on its answers does the
    rest.  The answers are kept where they stand, since where a mark stands says which
    variable it is.

    Parameters
    ----------
    picture : TextImage or str
        With 28 equal cells that touch each other, as the layout ``"grid"`` has them.
    glyphs : int, default=32
        Filters of the first layer: the length of what is read in a cell.
    hidden : tuple of int, default=(256, 128)
    dropout : float, default=0.5
        After each hidden layer.
    blocks : {"plain", "atlas"}
        ``"plain"`` draws the pictures and reads their cells; ``"atlas"`` reads every
        glyph once a batch and looks the answers up.  Weights and logits are the same.

    Returns
    -------
    keras.Model
        Takes codes, ends in a logit.
    """
    if blocks not in ("plain", "atlas"):
        raise InputError(f"blocks must be one of plain, atlas, not {blocks!r}")
    picture = _picture(picture)
    layers, codes = keras.layers, _codes()
    cell = cell_of(picture)
    if blocks == "atlas":
        x = ReadCells(picture, glyphs, scale=1 / 255, name="read_cells")(codes)
    else:
        x = DrawRecords(picture, channels=1, scale=1 / 255, name="draw")(codes)
        x = layers.Conv2D(glyphs, cell, strides=cell, name="read_cells")(x)
    x = layers.Flatten(name="flatten")(x)
    for number, units in enumerate(hidden, 1):
        x = layers.Dense(units, activation="relu", name=f"hidden_{number}")(x)
        x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    return keras.Model(codes, layers.Dense(1, name="logit")(x), name="cells")


def embeddings(model):
    """Return what the first layer of a cell network reads, as tables: an embedding.

    A convolution whose step is its size multiplies each cell with the kernel, and a
    cell shows one of few glyphs.  So the layer is a table with one row a level: glyph
    times kernel, plus bias.

    Parameters
    ----------
    model : keras.Model
        From :func:`cell_network`, with either blocks.

    Returns
    -------
    list of numpy.ndarray
        For each variable, levels x glyphs, float64.
    """
    layer = model.get_layer("read_cells")
    kernel, bias = (np.asarray(weight, float) for weight in layer.get_weights())
    source = layer if isinstance(layer, ReadCells) else model.get_layer("draw")
    kernel = kernel.reshape(-1, kernel.shape[-1])
    return [
        cells.reshape(len(cells), -1) / 255 @ kernel + bias
        for cells in glyphs(source.picture)
    ]
