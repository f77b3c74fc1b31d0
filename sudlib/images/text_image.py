"""Records drawn as pictures of text, as study A drew them.

A picture holds 28 cells, one a variable, white ink on black.  In a cell stand words
(``Not Pregnant``) or a code (``4``); ``?`` is missing.  Where each cell stands is a
*layout* (``data/study_a/layouts.csv``): study A had three.  A cell can show few texts,
so all 184 of them are drawn once, as patches, and a picture is 28 patches put in their
places: :meth:`TextImage.draw` does that for thousands of records at a time,
:class:`sudlib.networks.layers.DrawRecords` inside a network, and
:meth:`TextImage.draw_pil` the slow way, from the font, to compare with.

Method: SuperTML (Sun et al., 2019).  Taught in ``a04_records_as_pictures``.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import functools
import hashlib
import itertools
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from sudlib.files import InputError
from sudlib.images import layouts
from sudlib.images.codes import LEVELS, VARIABLES, as_codes, levels
from sudlib.images.layouts import Cell, Layout, font_file, text
from sudlib.images.rendering import Box, draw_texts, open_font, place_ink
from sudlib.validation import check_seed, check_whole


def _overlap(boxes: Sequence[Box] | NDArray[np.int64]) -> tuple[int, int] | None:
    """Return two rows of boxes (y, x, height, width) that overlap, or None."""
    for first, second in itertools.combinations(range(len(boxes)), 2):
        (y, x, high, wide), (v, u, tall, broad) = boxes[first], boxes[second]
        if y < v + tall and v < y + high and x < u + broad and u < x + wide:
            return first, second
    return None


class TextImage:
    """What draws records: a layout, a font, and the patches made of them.

    Parameters
    ----------
    layout : str or Layout
        "general", "clinic", "pilot", "grid", or a layout of your own.
    font : str or path
        See :func:`font_file`.

    Attributes
    ----------
    shape : tuple of int
        Height and width of a picture.
    blank : tuple of str
        Variables whose cells stay empty.
    side : int or None
        Width in pixels of a picture made smaller.
    boxes : numpy.ndarray
        Integers, 28 x 4: y, x, height and width of each cell's ink, in the order of
        ``VARIABLES``.  No two overlap.
    patches : list of numpy.ndarray
        For each variable uint8, levels x height x width: what its cell can show.
    key : str
        SHA-256 of all this.  Equal keys draw equal pictures.

    Raises
    ------
    InputError
        If the layout is unknown, cells overlap or leave the canvas, or the font is
        missing or changed.

    Examples
    --------
    >>> picture = TextImage("general")
    >>> picture.draw(np.zeros((2, 28), np.uint8)).shape  # all missing: 28 times "?"
    (2, 250, 250)
    """

    def __init__(
        self,
        layout: str | Layout = "general",
        font: str | os.PathLike[str] = "liberation-sans",
    ) -> None:
        if not isinstance(layout, Layout):
            layout = layouts.layout(layout)
        self.layout = layout
        self.font = str(font)
        self.blank: tuple[str, ...] = ()
        self.side: int | None = None
        self.shape = (self.layout.height, self.layout.width)
        boxes, patches = [], []
        for cell in map(self.layout.cell, VARIABLES):
            texts, corner = draw_texts(cell, self._font_path)
            boxes.append(place_ink(self.layout, cell, texts.shape[1:], corner))
            patches.append(texts[:, :, : boxes[-1][3]])
        self._finish(boxes, patches)

    def _finish(self, boxes: Any, patches: Any) -> None:
        """Keep boxes and patches, having checked that no two cells overlap."""
        self.boxes = np.asarray(boxes, np.int64).reshape(len(VARIABLES), 4)
        clash = _overlap(self.boxes)
        if clash:
            first, second = (VARIABLES[place] for place in clash)
            raise InputError(
                f"the cells of {first} and {second} overlap in layout"
                f" {self.layout.name!r} ({self.shape[0]} x {self.shape[1]} pixels,"
                f" font {Path(self.font).stem})"
            )
        self.patches = [np.ascontiguousarray(patch, np.uint8) for patch in patches]
        for patch in self.patches:
            patch.setflags(write=False)
        digest = hashlib.sha256(repr((self.shape, self.boxes.tolist())).encode())
        for patch in self.patches:
            digest.update(repr(patch.shape).encode() + patch.tobytes())
        self.key = digest.hexdigest()

    def __repr__(self) -> str:
        return (
            f"TextImage({self.layout.name!r}, font={Path(self.font).stem!r},"
            f" {self.shape[0]} x {self.shape[1]}, key {self.key[:8]})"
        )

    @functools.cached_property
    def _font_path(self) -> Path:
        """Where the font is; a saved picture can be loaded without it."""
        return font_file(self.font)

    def draw_pil(self, codes_row: ArrayLike) -> Image.Image:
        """Return one picture drawn from the font by Pillow: the reference, slow.

        Parameters
        ----------
        codes_row : sequence of 28 int
            One row of what :func:`sudlib.images.encode` returns.

        Returns
        -------
        PIL.Image.Image
            Mode "L" (grey): the study's three channels are equal.
        """
        (row,) = as_codes(np.asarray(codes_row)[None])
        picture = Image.new("L", (self.layout.width, self.layout.height))
        pen = ImageDraw.Draw(picture)
        for variable, level in zip(VARIABLES, row, strict=True):
            if variable not in self.blank:
                cell = self.layout.cell(variable)
                words = text(cell, LEVELS[variable][level])
                font = open_font(self._font_path, cell.size)
                pen.text((cell.x, cell.y), words, fill=255, font=font)
        if self.side:
            picture = picture.resize(self.shape[::-1], Image.Resampling.BOX)
        return picture

    def draw(
        self,
        codes: ArrayLike,
        out: NDArray[np.uint8] | None = None,
        *,
        clear: bool = True,
    ) -> NDArray[np.uint8]:
        """Return the pictures of many records, from the patches.

        Parameters
        ----------
        codes : numpy.ndarray
            Integers, records x 28, from :func:`sudlib.images.encode`.
        out : numpy.ndarray, optional
            uint8, at least as many pictures: drawn into, and its first ones returned.
        clear : bool, default=True
            False leaves the background of ``out`` as it is: right if the last thing
            drawn into it was drawn by this same object, and faster.

        Returns
        -------
        numpy.ndarray
            uint8, records x height x width; 255 is full ink.

        Raises
        ------
        InputError
            If a code has no glyph or ``out`` does not fit.
        """
        codes = as_codes(codes)
        shape = len(codes), *self.shape
        if out is None:
            out = np.zeros(shape, np.uint8)
        given = np.asarray(out)
        fits = given.dtype == np.uint8 and given[: len(codes)].shape == shape
        if not isinstance(out, np.ndarray) or not fits or not out.flags.writeable:
            raise InputError(
                f"out must be a writeable array with room for {len(codes)} uint8"
                f" pictures of {self.shape[0]} x {self.shape[1]} pixels, not"
                f" {type(out).__name__} of {given.dtype}, shape {given.shape}"
            )
        out = out[: len(codes)]
        if clear:
            out[...] = 0
        for column, (y, x, high, wide) in enumerate(self.boxes):
            patch = self.patches[column][codes[:, column]]
            out[:, y : y + high, x : x + wide] = patch
        return out

    def batches(
        self, codes: NDArray[np.integer], size: int = 128
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield pictures batch by batch, all in the same memory.

        Each batch is overwritten by the next: use it, or copy it, before going on.
        So memory does not grow with the number of records.

        Parameters
        ----------
        codes : numpy.ndarray
            Integers, records x 28.
        size : int, default=128
            Pictures in a batch; the last one may have fewer.

        Yields
        ------
        numpy.ndarray
            uint8, batch x height x width.
        """
        codes = as_codes(codes)
        size = min(check_whole("size", size, 1), max(len(codes), 1))
        out = np.zeros((size, *self.shape), np.uint8)
        for start in range(0, len(codes), size):
            yield self.draw(codes[start : start + size], out, clear=False)

    def ink(self, codes: ArrayLike) -> NDArray[np.int64]:
        """Return how much ink each cell of each picture has, without drawing it.

        Parameters
        ----------
        codes : numpy.ndarray
            Integers, records x 28.

        Returns
        -------
        numpy.ndarray
            int64, records x 28: the sum of a cell's pixels, 255 a full one.
        """
        codes = as_codes(codes)
        of_level = [patch.sum(axis=(1, 2), dtype=np.int64) for patch in self.patches]
        columns = [ink[codes[:, column]] for column, ink in enumerate(of_level)]
        return np.stack(columns, axis=1)

    def counts(self, codes: ArrayLike) -> pd.DataFrame:
        """Return how often each text stands on each picture, wherever it stands.

        Blanked cells do not count.

        Parameters
        ----------
        codes : numpy.ndarray
            Integers, records x 28.

        Returns
        -------
        pandas.DataFrame
            One row a record, one column a text (``"?"``, ``"4"``, ``"Pregnant"`` …).
        """
        codes = as_codes(codes)
        shown = {
            column: [text(self.layout.cell(name), code) for code in LEVELS[name]]
            for column, name in enumerate(VARIABLES)
            if name not in self.blank
        }
        texts = pd.Index(sorted(set(itertools.chain(*shown.values()))))
        counts = np.zeros((len(codes), len(texts)), np.int16)
        rows = np.arange(len(codes))
        for column, of_level in shown.items():
            counts[rows, texts.get_indexer(of_level)[codes[:, column]]] += 1
        return pd.DataFrame(counts, columns=texts)

    def _again(self, layout: Layout, font: str | os.PathLike[str]) -> TextImage:
        """Return the same picture with another layout or font, blanks and side kept."""
        made = TextImage(layout, font)
        made = made.blanked(self.blank) if self.blank else made
        return made.resized(self.side) if self.side else made

    def with_font(self, font: str | os.PathLike[str]) -> TextImage:
        """Return the same picture in another font.

        Parameters
        ----------
        font : str or path
            See :func:`font_file`.

        Returns
        -------
        TextImage
        """
        return self._again(self.layout, font)

    def with_layout_shuffled(self, seed: int = 33) -> TextImage:
        """Return a picture whose cells have changed places, each text as before.

        Code cells exchange places with code cells and word cells with word cells, as
        far as the words have room; every person's picture is shuffled the same way.

        Parameters
        ----------
        seed : int, default=33
            Of the permutation.

        Returns
        -------
        TextImage
        """
        generator = np.random.default_rng(check_seed(seed))
        cells = {cell.variable: cell for cell in self.layout.cells}
        inks = {name: draw_texts(cell, self._font_path) for name, cell in cells.items()}

        def has_room(cells: dict[str, Cell]) -> bool:
            try:
                boxes = [
                    place_ink(self.layout, cell, inks[name][0].shape[1:], inks[name][1])
                    for name, cell in cells.items()
                ]
            except InputError:
                return False
            return _overlap(boxes) is None

        for drawn in ("code", "words"):
            names = [name for name, cell in cells.items() if cell.drawn == drawn]
            # Long words fit in few places: take the first order that has room.
            for _ in range(200 if len(names) > 1 else 0):
                moved = dict(cells)
                others = map(self.layout.cell, generator.permutation(names))
                for name, other in zip(names, others, strict=True):
                    moved[name] = dataclasses.replace(cells[name], x=other.x, y=other.y)
                if moved != cells and has_room(moved):
                    cells = moved
                    break
        name = f"{self.layout.name}, shuffled {seed}"
        layout = dataclasses.replace(self.layout, name=name, cells=(*cells.values(),))
        return self._again(layout, self.font)

    def blanked(self, which: str | Sequence[str] = "words") -> TextImage:
        """Return a picture in which some cells stay empty.

        Parameters
        ----------
        which : {"words", "codes"}, str or sequence of str
            The cells that are drawn as words, those drawn as codes, or variables.

        Returns
        -------
        TextImage

        Raises
        ------
        InputError
            If a variable is unknown, or the layout has no such cells.
        """
        one = isinstance(which, str) or not isinstance(which, Iterable)
        names = [which] if one else list(which)
        if which in ("words", "codes"):
            drawn = which.removesuffix("s") if which == "codes" else which
            names = [cell.variable for cell in self.layout.cells if cell.drawn == drawn]
            if not names:
                raise InputError(
                    f"layout {self.layout.name!r} has no cell with {which}"
                )
        unknown = [name for name in names if name not in VARIABLES]
        if unknown:
            raise InputError(
                f'blank "words", "codes" or some of {", ".join(VARIABLES)}; not'
                f" {', '.join(map(str, unknown))}"
            )
        blank = {*self.blank, *names}
        made = copy.copy(self)
        made.blank = tuple(name for name in VARIABLES if name in blank)
        named = zip(VARIABLES, self.patches, strict=True)
        patches = [patch * (name not in blank) for name, patch in named]
        made._finish(self.boxes, patches)
        return made

    def resized(self, side: int) -> TextImage:
        """Return a picture made smaller: each pixel the mean of those it replaces.

        Parameters
        ----------
        side : int
            New width in pixels; the height keeps the proportion.

        Returns
        -------
        TextImage

        Raises
        ------
        InputError
            If neighbouring cells would share a pixel, because the side is too small,
            or the picture is resized already.
        """
        height, width = self.layout.height, self.layout.width
        side = check_whole("side", side, 1, width)
        if self.side:
            raise InputError("this picture is resized already; resize the first one")
        shape = max(1, round(height * side / width)), side
        boxes, patches = [], []
        whole = Image.new("L", (width, height))
        for (y, x, high, wide), patch in zip(self.boxes, self.patches, strict=True):
            top, left = y * shape[0] // height, x * shape[1] // width
            bottom = -(-(y + high) * shape[0] // height)
            right = -(-(x + wide) * shape[1] // width)
            small = []
            for level in patch:
                large = whole.copy()
                large.paste(Image.fromarray(level), (int(x), int(y)))
                small.append(large.resize(shape[::-1], Image.Resampling.BOX))
            boxes.append((top, left, bottom - top, right - left))
            cut = slice(top, bottom), slice(left, right)
            patches.append(np.stack([np.asarray(each)[cut] for each in small]))
        made = copy.copy(self)
        made.shape, made.side = shape, side
        try:
            made._finish(boxes, patches)
        except InputError as clash:
            raise InputError(f"{side} pixels are too few: {clash}") from None
        return made

    def to_config(self) -> dict[str, Any]:
        """Return all this as JSON-like data, the patches included, for a saved model.

        The loaded picture draws the same pixels, without the font.

        Returns
        -------
        dict
            What :meth:`from_config` takes.
        """
        ink = b"".join(patch.tobytes() for patch in self.patches)
        return {
            "layout": dataclasses.asdict(self.layout),
            "font": self.font,
            "blank": list(self.blank),
            "side": self.side,
            "shape": list(self.shape),
            "boxes": self.boxes.tolist(),
            "levels": [list(LEVELS[name]) for name in VARIABLES],
            "patches": base64.b64encode(zlib.compress(ink, 9)).decode("ascii"),
            "key": self.key,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextImage:
        """Return the picture that :meth:`to_config` described.

        Parameters
        ----------
        config : dict
            From :meth:`to_config`.

        Returns
        -------
        TextImage

        Raises
        ------
        InputError
            If the codes of the codebook are others now, or the data are damaged.
        """
        if config["levels"] != [list(LEVELS[name]) for name in VARIABLES]:
            raise InputError(
                "this picture was saved with other codes than the codebook has now;"
                " make it again"
            )
        cells = tuple(Cell(**cell) for cell in config["layout"]["cells"])
        made = object.__new__(cls)
        made.layout = Layout(**config["layout"] | {"cells": cells})
        made.font, made.side = config["font"], config["side"]
        made.blank, made.shape = tuple(config["blank"]), tuple(config["shape"])
        ink = np.frombuffer(zlib.decompress(base64.b64decode(config["patches"])), "u1")
        boxes = zip(levels(), config["boxes"], strict=True)
        shapes = [(number, *box[2:]) for number, box in boxes]
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        pieces = zip(np.split(ink, ends), shapes, strict=True)
        made._finish(config["boxes"], [ink.reshape(shape) for ink, shape in pieces])
        if made.key != config["key"]:
            raise InputError("this saved picture is damaged: its key does not fit")
        return made
