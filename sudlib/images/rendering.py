"""Texts and signs drawn from a font, by Pillow."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from sudlib.files import InputError
from sudlib.images.codes import LEVELS
from sudlib.images.layouts import GRID_CELL, Cell, Layout, font_file, text
from sudlib.validation import check_bytes, check_whole

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


def draw_grid(
    codes: ArrayLike,
    columns: int = 4,
    font: str | os.PathLike[str] = "liberation-sans",
) -> NDArray[np.uint8]:
    """Return records of any variables as pictures: equal cells, one digit in each.

    The cells are those of the layout ``"grid"``, filled from the left and downwards, so
    that a code looks as it does on study A's records.

    Parameters
    ----------
    codes : array-like of int, records x variables
        0 to 9; 0 is missing and drawn as a question mark.
    columns : int, default=4
        Cells beside each other; those that are left over stay black.
    font : str or path
        See :func:`sudlib.images.font_file`.

    Returns
    -------
    numpy.ndarray
        uint8, records x height x width; 255 is full ink.

    Raises
    ------
    InputError
        If a code is no whole number from 0 to 9.

    Examples
    --------
    >>> draw_grid([[3, 0, 1, 2, 9]]).shape  # five cells of 8 x 16 pixels, two rows
    (1, 16, 64)
    """
    given, (high, wide) = np.asarray(codes), GRID_CELL
    masked = " with gaps (masked)" if np.ma.is_masked(codes) else ""
    if given.ndim != 2 or given.dtype.kind not in "iu" or not given.size or masked:
        raise InputError(
            "codes must be a table of whole numbers, records x variables, not"
            f" {given.dtype} of shape {given.shape}{masked}"
        )
    if given.min() < 0 or given.max() > 9:
        raise InputError(
            f"codes must be 0 to 9, one digit a cell; they are {given.min()} to"
            f" {given.max()}"
        )
    columns, ink = check_whole("columns", columns, 1), []
    lines = -(-given.shape[1] // columns)
    check_bytes("the pictures", 9 * len(given) * lines * columns * high * wide)
    for sign in "?123456789 ":
        picture = Image.new("L", (wide, high))
        pen = open_font(font_file(font), 10)
        ImageDraw.Draw(picture).text((2, -2), sign, fill=255, font=pen)
        ink.append(np.asarray(picture))
    blank = np.full((len(given), lines * columns), 10)  # the last sign, a space
    blank[:, : given.shape[1]] = given
    cells = np.stack(ink)[blank].reshape(len(given), lines, columns, high, wide)
    return cells.swapaxes(2, 3).reshape(len(given), lines * high, columns * wide)
