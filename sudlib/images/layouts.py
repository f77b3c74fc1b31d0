"""Where each variable stands on the picture, in which font and in which words."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

import pandas as pd

from sudlib.files import InputError, data_file, expand_path, read_rows, sha256
from sudlib.images.codes import VARIABLES
from sudlib.teds.codebook import MISSING
from sudlib.validation import check_choice

SIDE = 250
"""Height and width of the study's pictures, in pixels."""


LAYOUTS = ("general", "clinic", "pilot", "grid")
"""The study's three layouts, and ours: 28 equal cells in rows of four, codes only."""


FONTS = ("liberation-sans", "dejavu-sans")
"""Fonts known by name; any other is given by the path of its file."""


GRID_CELL = (8, 16)
"""Height and width of a cell of the layout "grid", in pixels."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """Where one variable stands and how it is written.

    Attributes
    ----------
    variable : str
        One of the 28.
    x, y : int
        Left end and top (of the tallest letters) of the text, in pixels.
    drawn : {"words", "code"}
        What is written.
    size : int
        Of the font, in pixels.
    may_be_cut : bool
        Whether the text may run over the right edge, where it is cut off.
    """

    variable: str
    x: int
    y: int
    drawn: str
    size: int
    may_be_cut: bool = False


@dataclasses.dataclass(frozen=True)
class Layout:
    """A canvas and the 28 cells on it.

    Attributes
    ----------
    name : str
        For messages.
    height, width : int
        In pixels.
    cells : tuple of Cell
        One a variable, in any order.

    Raises
    ------
    InputError
        If a variable is absent or has two cells, or is drawn as something else.
    """

    name: str
    height: int
    width: int
    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        for cell in self.cells:
            check_choice(f"drawn of {cell.variable}", cell.drawn, ("words", "code"))
        names = [cell.variable for cell in self.cells]
        if sorted(names) != sorted(VARIABLES):
            wrong = sorted(set(names) ^ set(VARIABLES)) or "one of them twice"
            raise InputError(
                f"a layout must have each of the 28 variables once; layout"
                f" {self.name!r} differs in {wrong}"
            )

    def cell(self, variable: str) -> Cell:
        """Return the cell of a variable.

        Parameters
        ----------
        variable : str
            One of the 28.

        Returns
        -------
        Cell
        """
        return next(cell for cell in self.cells if cell.variable == variable)


def layout(name: str) -> Layout:
    """Return a layout by its name.

    Parameters
    ----------
    name : {"general", "clinic", "pilot", "grid"}
        The study's layout of its first experiment; that of its methadone and opioid
        experiments; that of its pilot of March 2021, of which its pictures show where
        PREG and SUB2 stand (the other cells are those of "general"); ours, with 28
        equal cells that touch each other, codes only.

    Returns
    -------
    Layout

    Examples
    --------
    >>> layout("general").cell("VET").x, layout("clinic").cell("VET").x
    (5, 24)
    >>> layout("grid").height, layout("grid").width
    (56, 64)
    """
    check_choice("layout", name, LAYOUTS)
    if name == "grid":
        high, wide = GRID_CELL
        cells = tuple(
            # The offsets bring the digits of the bundled font inside their cell.
            Cell(variable, place % 4 * wide + 2, place // 4 * high - 2, "code", 10)
            for place, variable in enumerate(VARIABLES)
        )
        return Layout("grid", 7 * high, 4 * wide, cells)
    table = pd.read_csv(data_file("study_a/layouts.csv"), keep_default_na=False)
    table["may_be_cut"] = table["may_be_cut"] == "right"
    rows = table[table["layout"] == name].drop(columns="layout").to_dict("records")
    cells = tuple(Cell(**row) for row in rows)
    return Layout(name, SIDE, SIDE, cells)


@functools.cache
def words() -> dict[str, dict[int, tuple[str, str]]]:
    """Return what the word cells say.

    Returns
    -------
    dict
        ``{variable: {code: (words, source)}}``.  The source is "study" where a picture
        in the study's notebooks shows the words, and "ours" where none does and we had
        to choose.
    """
    table: dict[str, dict[int, tuple[str, str]]] = {}
    for row in read_rows(data_file("study_a/words.csv")):
        said = row["words"], row["source"]
        table.setdefault(row["variable"], {})[int(row["code"])] = said
    return table


def text(cell: Cell, code: int) -> str:
    """Return what a cell says for a code.

    Parameters
    ----------
    cell : Cell
        Drawn as words or as a code.
    code : int
        One of its variable's; the missing code is a question mark.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If there are no words for this code.

    Examples
    --------
    >>> text(layout("general").cell("AGE"), 5), text(layout("grid").cell("AGE"), 5)
    ('25-29 Years', '5')
    """
    if code == MISSING:
        return "?"
    if cell.drawn == "code":
        return str(code)
    said = words().get(cell.variable, {})
    if code not in said:
        raise InputError(
            f"there are no words for {cell.variable} = {code}; there are for"
            f" {', '.join(map(str, said)) or 'no code of it'}"
        )
    return said[code][0]


def font_file(font: str | os.PathLike[str] = "liberation-sans") -> Path:
    """Return the path of a font's file.

    Parameters
    ----------
    font : str or path
        "liberation-sans" (comes with the book; its SHA-256 is checked), "dejavu-sans"
        (comes with Matplotlib), or the path of a TrueType or OpenType file.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If there is no such file, or the bundled one has been changed.
    """
    if font == "liberation-sans":
        path = data_file("fonts/LiberationSans-Regular.ttf")
        known = pd.read_csv(data_file("fonts/fonts.csv"), index_col="name")["sha256"]
        if sha256(path) != known[font]:
            raise InputError(
                f"the bundled font {path.name} has been changed: its SHA-256 should be"
                f" {known[font]}, and is {sha256(path)}"
            )
        return path
    if font == "dejavu-sans":
        import matplotlib  # here, because nothing else needs it

        return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    path = expand_path(font)
    if not path.is_file():
        raise InputError(
            f"there is no font {str(font)!r}: give {' or '.join(FONTS)}, or the path of"
            " a font file"
        )
    return path
