"""Where each variable stands on the picture, in which font and in which words."""

import csv
import dataclasses
import functools
from pathlib import Path

from sudlib.files import InputError, data_file, sha256
from sudlib.images.codes import VARIABLES
from sudlib.teds.codebook import MISSING

SIDE = 250
"""Height and width of the study's pictures, in pixels."""


LAYOUTS = ("general", "clinic", "grid")
"""The study's two layouts, and ours: 28 equal cells in rows of four, codes only."""


FONTS = ("liberation-sans", "dejavu-sans")
"""Fonts known by name; any other is given by the path of its file."""


GRID_CELL = (8, 16)
"""Height and width of a cell of the layout "grid", in pixels."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """Where one variable stands and how it is written."""

    variable: str
    x: int  # left end of the text, in pixels from the left
    y: int  # its top (of the tallest letters), in pixels from above
    drawn: str  # "words" or "code"
    size: int  # of the font, in pixels
    may_be_cut: bool = False  # may run over the right edge, where it is cut off


@dataclasses.dataclass(frozen=True)
class Layout:
    """A canvas and the 28 cells on it."""

    name: str
    height: int
    width: int
    cells: tuple

    def __post_init__(self):
        for cell in self.cells:
            if cell.drawn not in ("words", "code"):
                raise InputError(
                    f'{cell.variable} must be drawn as "words" or "code", not'
                    f" {cell.drawn!r}"
                )
        names = [cell.variable for cell in self.cells]
        if sorted(names) != sorted(VARIABLES):
            wrong = sorted(set(names) ^ set(VARIABLES)) or "one of them twice"
            raise InputError(
                f"a layout must have each of the 28 variables once; layout"
                f" {self.name!r} differs in {wrong}"
            )

    def cell(self, variable):
        """Return the cell of a variable."""
        return next(cell for cell in self.cells if cell.variable == variable)


def layout(name):
    """Return a layout by its name.

    Parameters
    ----------
    name : {"general", "clinic", "grid"}
        The study's layout of its first experiment; that of its methadone and opioid
        experiments; ours, with 28 equal cells that touch each other, codes only.

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
    if name not in LAYOUTS:
        raise InputError(
            f"the layout must be one of {', '.join(LAYOUTS)}, not {name!r}"
        )
    if name == "grid":
        high, wide = GRID_CELL
        cells = tuple(
            # The offsets bring the digits of the bundled font inside their cell.
            Cell(variable, place % 4 * wide + 2, place // 4 * high - 2, "code", 10)
            for place, variable in enumerate(VARIABLES)
        )
        return Layout("grid", 7 * high, 4 * wide, cells)
    with open(data_file("study_a/layouts.csv"), newline="", encoding="utf-8") as stream:
        cells = tuple(
            Cell(
                row["variable"],
                *(int(row[key]) for key in ("x", "y")),
                row["drawn"],
                int(row["size"]),
                row["may_be_cut"] == "right",
            )
            for row in csv.DictReader(stream)
            if row["layout"] == name
        )
    return Layout(name, SIDE, SIDE, cells)


@functools.cache
def words():
    """Return what the word cells say: {variable: {code: (words, source)}}.

    The source is "study" where a picture in the study's notebooks shows the words, and
    "ours" where none does and we had to choose.
    """
    table = {}
    with open(data_file("study_a/words.csv"), newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            said = row["words"], row["source"]
            table.setdefault(row["variable"], {})[int(row["code"])] = said
    return table


def text(cell, code):
    """Return what a cell says for a code.

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


def font_file(font="liberation-sans"):
    """Return the path of a font's file.

    Parameters
    ----------
    font : str or path
        "liberation-sans" (comes with the book; its SHA-256 is checked), "dejavu-sans"
        (comes with Matplotlib), or the path of a TrueType or OpenType file.

    Raises
    ------
    InputError
        If there is no such file, or the bundled one has been changed.
    """
    if font == "liberation-sans":
        path = data_file("fonts/LiberationSans-Regular.ttf")
        with open(data_file("fonts/fonts.csv"), newline="") as stream:
            known = {row["name"]: row["sha256"] for row in csv.DictReader(stream)}
        found = sha256(path)
        if found != known[font]:
            raise InputError(
                f"the bundled font {path.name} has been changed: its SHA-256 should be"
                f" {known[font]}, and is {found}"
            )
        return path
    if font == "dejavu-sans":
        import matplotlib  # here, because nothing else needs it

        return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    if not Path(font).is_file():
        raise InputError(
            f"there is no font {str(font)!r}: give {' or '.join(FONTS)}, or the path of"
            " a font file"
        )
    return Path(font)
