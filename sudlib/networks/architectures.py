"""Networks trained from scratch on records drawn as pictures.

:func:`published_network` is the study's; :func:`cell_network` is ours, whose first
layer reads one cell at a time; :func:`token_transformer` lets cells look at each other.
All take the 28 codes of a record and draw inside.  They can also leave the drawing out:
a picture is made of few patches, so what the first layers make of every patch is
computed once a batch and looked up (``blocks="atlas"``), which is exact and, on a CPU,
several times as fast.  Taught in ``a07_network_from_scratch``.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from sudlib.files import InputError
from sudlib.images import TextImage, levels
from sudlib.networks.atlas import (
    AtlasBlocks,
    GreyConv2D,
    ReadCells,
    atlas,
    cell_of,
    glyphs,
)
from sudlib.networks.devices import has_gpu
from sudlib.networks.entity_embedding import EntityEmbedding
from sudlib.networks.layers import DrawRecords, codes_input
from sudlib.networks.training import Recipe
from sudlib.validation import check_choice

#: What the study did to the pixels (raw), and what it should have done.
SCALES = {"raw": 1.0, "unit": 1 / 255}

BLOCKS = ("plain", "grey", "atlas")

#: How :func:`cell_network` is trained: AdamW, the learning rate falling as a cosine.
CELL_RECIPE = Recipe(
    epochs=20,
    batch_size=256,
    learning_rate=2e-3,
    optimizer="adamw",
    schedule="cosine",
    weight_decay=0.02,
    patience=20,
)


def _as_picture(picture: TextImage | str) -> TextImage:
    return TextImage(picture) if isinstance(picture, str) else picture


def fastest(picture: TextImage | str = "general") -> str:
    """Return how blocks are computed fastest here: ``"atlas"`` or ``"plain"``.

    On a CPU the patches win where they are few beside a batch of pictures.  On a GPU
    the plain path stays.

    Parameters
    ----------
    picture : TextImage or str, default="general"
        What draws, or the name of its layout.

    Returns
    -------
    str
    """
    picture = _as_picture(picture)
    if has_gpu():
        return "plain"
    try:
        parts, _ = atlas(picture)
    except InputError:
        return "plain"
    pixels = sum(windows.size for _, _, windows in parts)
    return "atlas" if pixels < 16 * picture.shape[0] * picture.shape[1] else "plain"


def published_network(
    picture: TextImage | str = "general",
    preprocessing: str = "raw",
    *,
    blocks: str = "plain",
) -> keras.Model:
    """Return the study's network from scratch, which takes codes and ends in a logit.

    Four times a convolution of 3 x 3 with 32 filters, ReLU and 2 x 2 max pooling;
    dropout of a quarter after the second and the fourth; 256 hidden units, dropout of
    one half, one logit.  Three equal channels go in, as in the study.

    Parameters
    ----------
    picture : TextImage or str, default="general"
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
        If an argument is unknown, or the picture is too small for four blocks.

    Examples
    --------
    >>> published_network("general").count_params()
    1413601
    """
    check_choice("blocks", blocks, BLOCKS)
    scale = SCALES[check_choice("preprocessing", preprocessing, SCALES)]
    picture = _as_picture(picture)
    if min(picture.shape) < 46:
        raise InputError(
            "four blocks need pictures of at least 46 x 46 pixels, not"
            f" {picture.shape[0]} x {picture.shape[1]}"
        )
    codes = codes_input()
    if blocks == "atlas":
        x = AtlasBlocks(picture, scale=scale, name="blocks_1_and_2")(codes)
    else:
        channels, first = (3, layers.Conv2D) if blocks == "plain" else (1, GreyConv2D)
        x = DrawRecords(picture, channels=channels, scale=scale, name="draw")(codes)
        x = _block(_block(x, 1, first), 2)
    x = layers.Dropout(0.25, name="dropout_2")(x)
    x = _block(_block(x, 3), 4)
    x = layers.Dropout(0.25, name="dropout_4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(256, activation="relu", name="hidden")(x)
    x = layers.Dropout(0.5, name="dropout_hidden")(x)
    return keras.Model(codes, layers.Dense(1, name="logit")(x), name="published")


def _block(x: Any, number: int, convolution: type = layers.Conv2D) -> Any:
    x = convolution(32, 3, activation="relu", name=f"convolution_{number}")(x)
    return layers.MaxPooling2D(2, name=f"pool_{number}")(x)


def cell_network(
    picture: TextImage | str = "grid",
    *,
    glyphs: int = 32,
    hidden: tuple[int, ...] = (256, 128),
    dropout: float = 0.5,
    blocks: str = "plain",
) -> keras.Model:
    """Return a network whose first layer reads one cell of a picture at a time.

    Kernel and stride are as large as a cell: one shared reader of glyphs looks at each
    of the 28 cells once, and dense layers on its answers do the rest.  The answers are
    kept where they stand, since the place of a mark says which variable it is.

    Parameters
    ----------
    picture : TextImage or str, default="grid"
        With 28 equal cells that touch each other, as the layout ``"grid"`` has them.
    glyphs : int, default=32
        Filters of the first layer: the length of what is read in a cell.
    hidden : tuple of int, default=(256, 128)
        Widths of the dense layers.
    dropout : float, default=0.5
        After each of them.
    blocks : {"plain", "atlas"}
        ``"plain"`` draws the pictures and reads their cells; ``"atlas"`` reads every
        glyph once a batch and looks the answers up.  Weights and logits are the same.

    Returns
    -------
    keras.Model
        Takes codes, ends in a logit.

    Raises
    ------
    InputError
        If the cells of the picture are not equal, or an argument is unknown.
    """
    check_choice("blocks", blocks, ("plain", "atlas"))
    picture, codes = _as_picture(picture), codes_input()
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


def token_transformer(
    tokens: str = "cells",
    *,
    width: int = 32,
    heads: int = 4,
    depth: int = 2,
    dropout: float = 0.1,
) -> keras.Model:
    """Return a small transformer over the 28 answers of a record.

    With cells of the picture as tokens it is a vision transformer whose patches are the
    cells of the grid; with codes it has an embedding for each variable and never sees
    a picture.  The rest is the same: attention and two dense layers, each normalised
    before and added after, then the mean of the tokens and one logit.

    Parameters
    ----------
    tokens : {"cells", "codes"}, default="cells"
        What a token is made of.
    width : int, default=32
        Length of a token.
    heads : int, default=4
        Of the attention.
    depth : int, default=2
        Number of blocks.
    dropout : float, default=0.1
        Within the attention and after each block's dense layers.

    Returns
    -------
    keras.Model
        Takes codes, ends in a logit.
    """
    check_choice("tokens", tokens, ("cells", "codes"))
    codes = codes_input()
    if tokens == "codes":
        x = EntityEmbedding(levels(), width, name="read_codes")(codes)
    else:
        cells = ReadCells(_as_picture("grid"), width, scale=1 / 255, name="read_cells")
        x = layers.Reshape((-1, width), name="tokens")(cells(codes))
        # A cell says what is written there; where it stands is a vector of its own.
        place = EntityEmbedding((1,) * x.shape[1], width, name="places")
        x = x + place(keras.ops.zeros_like(codes))
    for number in range(1, depth + 1):
        normal = layers.LayerNormalization(name=f"normal_{number}")(x)
        attention = layers.MultiHeadAttention(
            heads, width // heads, dropout=dropout, name=f"attention_{number}"
        )
        x = x + attention(normal, normal)
        y = layers.LayerNormalization(name=f"normal_dense_{number}")(x)
        y = layers.Dense(2 * width, activation="gelu", name=f"wide_{number}")(y)
        y = layers.Dense(width, name=f"narrow_{number}")(y)
        x = x + layers.Dropout(dropout, name=f"dropout_{number}")(y)
    x = layers.LayerNormalization(name="normal")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(codes, layers.Dense(1, name="logit")(x), name="transformer")


def embeddings(model: keras.Model) -> list[NDArray[np.float64]]:
    """Return what the first layer of a cell network reads, as tables: an embedding.

    A convolution whose stride is its size multiplies each cell with the kernel, and a
    cell shows one of few glyphs.  So the layer is a table with one row a level: glyph
    times kernel, plus bias.

    Parameters
    ----------
    model : keras.Model
        From :func:`cell_network`, with either blocks.

    Returns
    -------
    list of numpy.ndarray
        For each variable, levels x glyphs.
    """
    layer = model.get_layer("read_cells")
    kernel, bias = (np.asarray(weight, float) for weight in layer.get_weights())
    source = layer if isinstance(layer, ReadCells) else model.get_layer("draw")
    kernel = kernel.reshape(-1, kernel.shape[-1])
    tables = (cells.reshape(len(cells), -1) for cells in glyphs(source.picture))
    return [table / 255 @ kernel + bias for table in tables]
