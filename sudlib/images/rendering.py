"""The texts of a cell drawn from a font, by Pillow."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sudlib.files import InputError
from sudlib.images.codes import LEVELS
from sudlib.images.layouts import Cell, Layout, text

#: y, x, height and width of a cell's ink on the canvas, in pixels.
Box = tuple[int, int, int, int]


@functools.lru_cache(maxsize=64)
def open_font(path: Path, size: int) -> Any:
    """Return a font opened at a size.

    Parameters
    ----------
    path : pathlib.Path
        From :func:`sudlib.images.font_file`.
    size : int
        In pixels.

    Returns
    -------
    PIL.ImageFont.FreeTypeFont

    Raises
    ------
    InputError
        If the file is no font.
    """
    try:
        # The basic engine, so that text looks the same with and without libraqm.
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise InputError(f"{path} is no font that can be read: {error}") from None


def draw_texts(cell: Cell, path: Path) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return what a cell can show, and where its ink begins.

    Parameters
    ----------
    cell : Cell
        Of one variable.
    path : pathlib.Path
        Of the font.

    Returns
    -------
    texts : numpy.ndarray
        uint8, levels x height x width, not yet cut at the edge of the canvas.
    corner : tuple of int
        Row and column of the ink's first pixel, from the place of the cell.

    Raises
    ------
    InputError
        If the font draws nothing.
    """
    words = [text(cell, code) for code in LEVELS[cell.variable]]
    font, margin, pictures = open_font(path, cell.size), 2 * cell.size, []
    size = max(map(len, words)) * cell.size + 2 * margin, 2 * margin + cell.size
    for each in words:
        picture = Image.new("L", size)
        ImageDraw.Draw(picture).text((margin, margin), each, fill=255, font=font)
        pictures.append(np.asarray(picture))
    ink = np.any(pictures, axis=0)
    if not ink.any():
        raise InputError(f"{cell.variable} has no ink in font {path.name}")
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    corner = int(rows[0]) - margin, int(columns[0]) - margin
    return np.stack([picture[cut] for picture in pictures]), corner


def place_ink(
    layout: Layout, cell: Cell, shape: tuple[int, ...], corner: tuple[int, int]
) -> Box:
    """Return the box of a cell's ink on the canvas.

    Parameters
    ----------
    layout : Layout
        For the size of the canvas.
    cell : Cell
        Where it stands.
    shape : tuple of int
        Height and width of its ink.
    corner : tuple of int
        From :func:`draw_texts`.

    Returns
    -------
    tuple of int
        y, x, height and width, cut at the right edge where the cell may be cut.

    Raises
    ------
    InputError
        If the ink leaves the canvas.
    """
    (y, x), (high, wide) = (cell.y + corner[0], cell.x + corner[1]), shape
    end = min(x + wide, layout.width) if cell.may_be_cut else x + wide
    if not (0 <= y <= layout.height - high and 0 <= x < end <= layout.width):
        raise InputError(
            f"the cell of {cell.variable} leaves the canvas in layout"
            f" {layout.name!r}: its ink has rows {y} to {y + high - 1} and columns {x}"
            f" to {x + wide - 1}; allowed are 0 to {layout.height - 1} and 0 to"
            f" {layout.width - 1}"
        )
    return y, x, high, end - x
