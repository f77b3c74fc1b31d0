"""Records drawn as pictures of text, as study A drew them.

A picture holds 28 cells, one a variable, white ink on black.  In a cell stand words
(``Not Pregnant``) or a code (``4``); ``?`` is missing.  Where each cell stands is a
*layout* (``data/study_a/layouts.csv``): study A had two.  Every cell can show only few
texts, so all 184 of them are drawn once, as patches, and a picture is 28 patches put
in their places: :meth:`TextImage.draw` does that for thousands of records at a time,
:class:`sudlib.networks.layers.DrawRecords` inside a network, and
:meth:`TextImage.draw_pil` the slow way, from the font, to compare with.

Method: SuperTML (Sun et al., 2019).  Taught in ``a04_records_as_pictures``.
"""

import base64
import dataclasses
import hashlib
import itertools
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from sudlib.files import InputError
from sudlib.images import layouts
from sudlib.images.codes import LEVELS, VARIABLES, as_codes, encode, levels
from sudlib.images.layouts import Cell, Layout, font_file, text


def _overlap(boxes):
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
        "general", "clinic", "grid", or a layout of your own.
    font : str or path
        See :func:`font_file`.

    Attributes
    ----------
    shape : tuple of int
        Height and width of a picture.
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

    def __init__(self, layout="general", font="liberation-sans"):
        self.layout = layouts.layout(layout) if isinstance(layout, str) else layout
        self.font = str(font)
        self.blank, self.side = (), None
        self._fonts = {}
        self.shape = (self.layout.height, self.layout.width)
        boxes, patches = zip(*map(self._render, VARIABLES), strict=True)
        self._finish(boxes, patches)

    def _finish(self, boxes, patches):
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

    def __repr__(self):
        return (
            f"TextImage({self.layout.name!r}, font={Path(self.font).stem!r},"
            f" {self.shape[0]} x {self.shape[1]}, key {self.key[:8]})"
        )

    # ------------------------------------------------------------ drawing, from a font

    def _font(self, size):
        """Return the opened font at a size."""
        if size not in self._fonts:
            # The basic engine, so that text looks the same with and without libraqm.
            path = str(font_file(self.font))
            try:
                self._fonts[size] = ImageFont.truetype(
                    path, size, layout_engine=ImageFont.Layout.BASIC
                )
            except OSError as wrong:
                raise InputError(
                    f"{path} is no font that can be read: {wrong}"
                ) from None
        return self._fonts[size]

    def __getstate__(self):
        return {**self.__dict__, "_fonts": {}}  # opened again where they are needed

    def _texts(self, cell):
        """Return a cell's texts as one array, uncut, and where their ink begins.

        Row and column of that corner count from the place of the cell.
        """
        words = [text(cell, code) for code in LEVELS[cell.variable]]
        font, margin, pictures = self._font(cell.size), 2 * cell.size, []
        size = max(map(len, words)) * cell.size + 2 * margin, 2 * margin + cell.size
        for each in words:
            picture = Image.new("L", size)
            ImageDraw.Draw(picture).text((margin, margin), each, fill=255, font=font)
            pictures.append(np.asarray(picture))
        ink = np.any(pictures, axis=0)
        if not ink.any():
            raise InputError(f"{cell.variable} has no ink in font {self.font!r}")
        rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
        cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        corner = int(rows[0]) - margin, int(columns[0]) - margin
        return np.stack([picture[cut] for picture in pictures]), corner

    def _place(self, cell, shape, corner):
        """Return the box (y, x, height, width) of a cell's ink on the canvas."""
        (y, x), (high, wide) = (cell.y + corner[0], cell.x + corner[1]), shape
        end = min(x + wide, self.layout.width) if cell.may_be_cut else x + wide
        if (
            y < 0
            or x < 0
            or end <= x
            or y + high > self.layout.height
            or (end > self.layout.width)
        ):
            raise InputError(
                f"the cell of {cell.variable} leaves the canvas in layout"
                f" {self.layout.name!r}: its ink has rows {y} to {y + high - 1} and"
                f" columns {x} to {x + wide - 1}; allowed are 0 to"
                f" {self.layout.height - 1} and 0 to {self.layout.width - 1}"
            )
        return y, x, high, end - x

    def _render(self, variable):
        """Return the box and the patches of a variable."""
        cell = self.layout.cell(variable)
        texts, corner = self._texts(cell)
        box = self._place(cell, texts.shape[1:], corner)
        return box, texts[:, :, : box[3]]

    def draw_pil(self, codes_row):
        """Return one picture drawn from the font by Pillow: the reference, slow.

        Parameters
        ----------
        codes_row : sequence of 28 int
            One row of what :func:`encode` returns.

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
                font = self._font(cell.size)
                pen.text((cell.x, cell.y), words, fill=255, font=font)
        if self.side:
            picture = picture.resize(self.shape[::-1], Image.Resampling.BOX)
        return picture

    # --------------------------------------------------------- drawing, from patches

    def encode(self, people):
        """Return records as 28 small integers a person: :func:`encode`."""
        return encode(people)

    def draw(self, codes, out=None, *, clear=True):
        """Return the pictures of many records, from the patches.

        Parameters
        ----------
        codes : numpy.ndarray
            Integers, records x 28, from :func:`encode`.
        out : numpy.ndarray, optional
            uint8, at least as many pictures: drawn into, and its first ones returned.
        clear : bool
            False leaves the background of ``out`` as it is: right if the last thing
            drawn into it was drawn by this same object, and faster.

        Returns
        -------
        numpy.ndarray
            uint8, records x height x width; 255 is full ink.
        """
        codes = as_codes(codes)
        if out is None:
            out = np.zeros((len(codes), *self.shape), np.uint8)
        elif out.shape[1:] != self.shape or out.dtype != np.uint8:
            raise InputError(
                f"out must hold uint8 pictures of {self.shape[0]} x {self.shape[1]}"
                f" pixels, not {out.dtype} of shape {out.shape}"
            )
        elif len(out) < len(codes):
            raise InputError(
                f"out has room for {len(out)} pictures, not for {len(codes)}"
            )
        else:
            out = out[: len(codes)]
            if clear:
                out[...] = 0
        for column, (y, x, high, wide) in enumerate(self.boxes):
            patch = self.patches[column][codes[:, column]]
            out[:, y : y + high, x : x + wide] = patch
        return out

    def batches(self, codes, size=128):
        """Yield pictures batch by batch, all in the same memory.

        Each batch is overwritten by the next: use it, or copy it, before going on.
        So memory does not grow with the number of records.

        Parameters
        ----------
        codes : numpy.ndarray
            Integers, records x 28.
        size : int
            Pictures in a batch; the last one may have fewer.

        Yields
        ------
        numpy.ndarray
            uint8, batch x height x width.
        """
        if isinstance(size, bool) or int(size) != size or size < 1:
            raise InputError(f"a batch must have at least 1 picture, not {size!r}")
        size = min(int(size), max(len(codes), 1))
        out = np.zeros((size, *self.shape), np.uint8)
        for start in range(0, len(codes), size):
            yield self.draw(codes[start : start + size], out, clear=False)

    # ------------------------------------------------------- what is on a picture

    def ink(self, codes):
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
        found = np.empty(codes.shape, np.int64)
        for column, patch in enumerate(self.patches):
            of_level = patch.sum(axis=(1, 2), dtype=np.int64)
            found[:, column] = of_level[codes[:, column]]
        return found

    def counts(self, codes):
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
            name: [text(self.layout.cell(name), code) for code in LEVELS[name]]
            for name in VARIABLES
            if name not in self.blank
        }
        columns = sorted(set(itertools.chain(*shown.values())))
        place = {words: column for column, words in enumerate(columns)}
        found = np.zeros((len(codes), len(columns)), np.int16)
        rows = np.arange(len(codes))
        for column, name in enumerate(VARIABLES):
            if name in shown:
                of_level = np.array([place[words] for words in shown[name]])
                found[rows, of_level[codes[:, column]]] += 1
        return pd.DataFrame(found, columns=columns)

    # -------------------------------------------------------------------- controls

    def _copy(self, **changes):
        """Return a copy with some attributes changed."""
        copy = object.__new__(TextImage)
        copy.__dict__.update(self.__dict__, **changes)
        return copy

    def _again(self, layout=None, font=None):
        """Return the same picture with another layout or font, blanks and side kept."""
        made = TextImage(layout or self.layout, font or self.font)
        made = made.blanked(self.blank) if self.blank else made
        return made.resized(self.side) if self.side else made

    def with_font(self, font):
        """Return the same picture in another font: :func:`font_file`."""
        return self._again(font=font)

    def with_layout_shuffled(self, seed=33):
        """Return a picture whose cells have changed places, each text as before.

        Code cells exchange places with code cells and word cells with word cells, as
        far as the words have room; every person's picture is shuffled the same way.

        Parameters
        ----------
        seed : int

        Returns
        -------
        TextImage
        """
        generator = np.random.default_rng(seed)
        cells = {cell.variable: cell for cell in self.layout.cells}
        inks = {name: self._texts(cell) for name, cell in cells.items()}

        def has_room(cells):
            try:
                boxes = [
                    self._place(cell, inks[name][0].shape[1:], inks[name][1])
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
                for name, other in zip(
                    names, generator.permutation(names), strict=True
                ):
                    there = self.layout.cell(other)
                    moved[name] = dataclasses.replace(cells[name], x=there.x, y=there.y)
                if moved != cells and has_room(moved):
                    cells = moved
                    break
        name = f"{self.layout.name}, shuffled {seed}"
        return self._again(
            layout=dataclasses.replace(
                self.layout, name=name, cells=tuple(cells.values())
            )
        )

    def blanked(self, which="words"):
        """Return a picture in which some cells stay empty.

        Parameters
        ----------
        which : {"words", "codes"}, str or sequence of str
            The cells that are drawn as words, those drawn as codes, or variables.

        Returns
        -------
        TextImage
        """
        kinds = {"words": "words", "codes": "code"}
        if isinstance(which, str) and which in kinds:
            names = [
                cell.variable
                for cell in self.layout.cells
                if cell.drawn == kinds[which]
            ]
            if not names:
                raise InputError(
                    f"layout {self.layout.name!r} has no cell with {which}"
                )
        else:
            names = [which] if isinstance(which, str) else list(which)
        unknown = [name for name in names if name not in VARIABLES]
        if unknown:
            raise InputError(
                f'blank "words", "codes" or some of {", ".join(VARIABLES)}; not'
                f" {', '.join(map(str, unknown))}"
            )
        blank = tuple(name for name in VARIABLES if name in {*self.blank, *names})
        made = self._copy(blank=blank)
        made._finish(
            self.boxes,
            [
                np.zeros_like(patch) if name in blank else patch
                for name, patch in zip(VARIABLES, self.patches, strict=True)
            ],
        )
        return made

    def resized(self, side):
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
            If neighbouring cells would share a pixel: the side is too small.
        """
        height, width = self.layout.height, self.layout.width
        if isinstance(side, bool) or int(side) != side or not 1 <= side <= width:
            raise InputError(
                f"the side must be between 1 and {width} pixels, not {side!r}"
            )
        if self.side:
            raise InputError("this picture is resized already; resize the first one")
        shape = max(1, round(height * side / width)), int(side)
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
        made = self._copy(shape=shape, side=int(side))
        try:
            made._finish(boxes, patches)
        except InputError as clash:
            raise InputError(f"{side} pixels are too few: {clash}") from None
        return made

    # ------------------------------------------------------------- kept with a model

    def to_config(self):
        """Return all this as JSON-like data, the patches included, for a saved model.

        Whoever loads it draws the same pixels, without the font.
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
    def from_config(cls, config):
        """Return the picture that :meth:`to_config` described.

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
        cells = (Cell(**cell) for cell in config["layout"]["cells"])
        made = object.__new__(cls)
        made.layout = Layout(**{**config["layout"], "cells": tuple(cells)})
        made.font, made.side = config["font"], config["side"]
        made.blank, made.shape = tuple(config["blank"]), tuple(config["shape"])
        made._fonts = {}
        ink = np.frombuffer(zlib.decompress(base64.b64decode(config["patches"])), "u1")
        ends = np.cumsum(
            [
                many * high * wide
                for many, (_, _, high, wide) in zip(
                    levels(), config["boxes"], strict=True
                )
            ]
        )
        made._finish(
            config["boxes"],
            [
                part.reshape(-1, high, wide)
                for part, (_, _, high, wide) in zip(
                    np.split(ink, ends[:-1]), config["boxes"], strict=True
                )
            ],
        )
        if made.key != config["key"]:
            raise InputError("this saved picture is damaged: its key does not fit")
        return made
