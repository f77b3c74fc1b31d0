"""Plain integers between separators, read by arithmetic on the bytes.

The agency's files hold nothing else, and all but a few columns hold one or two
characters: the last two before a separator say what a cell is.  Read so, a year takes
about half the processor time of a general parser
(``tests/benchmarks/bench_read_teds.py``).  Wherever a piece is not so (a blank, a
label, a quote, a row of another length) the answer is None, and a general parser reads
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

PIECE = 3 * 2**16  # bytes read at a time: what is made of them stays in the cache
LONGEST = 18  # characters whose value an int64 surely holds

_ZERO, _MINUS, _LINE, _RETURN = b"0-\n\r"

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]


def read(
    block: memoryview,
    count: int,
    columns: Sequence[int],
    kinds: Sequence[DTypeLike],
    *,
    delimiter: str = ",",
    returns: bool = False,
) -> list[NDArray[np.signedinteger]] | None:
    r"""Return columns of whole lines, or None where a cell is no plain integer.

    Parameters
    ----------
    block : memoryview
        Lines, the last one too with its end.
    count : int
        Columns of the file, at least two.
    columns : sequence of int
        The numbers of those wanted; cells of others are not looked at.
    kinds : sequence of numpy.dtype or str
        Signed integer types of those wanted; a cell that its type does not hold is no
        plain integer.
    delimiter : str, default=","
        A character in front of the digits in ASCII, such as a comma or a tab.
    returns : bool, default=False
        Whether lines end in a carriage return and a line feed.

    Returns
    -------
    list of numpy.ndarray, or None
        In the order of ``columns``.

    Examples
    --------
    >>> read(memoryview(b"1,-9,2018\n12,3,2019\n"), 3, [2, 1], ["int16", "int8"])
    [array([2018, 2019], dtype=int16), array([-9,  3], dtype=int8)]
    >>> read(memoryview(b"1,,2018\n"), 3, [1], ["int8"]) is None
    True
    """
    types: list[np.dtype[Any]] = [np.dtype(kind) for kind in kinds]
    narrow = [n for n, kind in enumerate(types) if kind.itemsize == 1]
    parts: list[list[NDArray[np.signedinteger]]] = [[] for _ in types]
    tables = []
    text = np.frombuffer(block, np.uint8)
    start = 0
    while start < len(text):
        cut = bytes(block[start : start + PIECE]).rfind(b"\n") + 1
        piece = text[start : start + cut] if cut else text[start:]
        start += len(piece)
        grid = _separators(piece, count, ord(delimiter), returns)
        if grid is None:
            return None
        table = _short(piece, *_cells(grid, [columns[n] for n in narrow]))
        if table is None:
            return None
        tables.append(table)
        for n, kind in enumerate(types):
            if kind.itemsize > 1:
                ends, lengths = _cells(grid, [columns[n]])
                values = _long(piece, ends[:, 0], lengths[:, 0], kind)
                if values is None:
                    return None
                parts[n].append(values)
    if not tables:
        return None
    # A column's codes side by side: what is done to columns later is then fast.
    whole = np.empty((len(narrow), sum(map(len, tables))), np.int8)
    np.concatenate([table.T for table in tables], axis=1, out=whole)
    by_number = dict(zip(narrow, whole, strict=True))
    return [
        by_number[n] if n in by_number else np.concatenate(part)
        for n, part in enumerate(parts)
    ]


def _separators(
    piece: Bytes, count: int, delimiter: int, returns: bool
) -> Places | None:
    """Return where cells end, a row for each line; None if lines differ.

    With carriage returns the line feed ends one cell more, which is empty.
    """
    # All in front of the minus in ASCII: the separators, and what must not be.
    ends = np.flatnonzero(piece < _MINUS)
    rows, odd = divmod(len(ends), count + returns)
    if odd or not rows:
        return None
    grid = ends.reshape(rows, count + returns)
    good = (
        np.count_nonzero(piece == delimiter) == rows * (count - 1)
        and bool((piece[grid[:, -1]] == _LINE).all())
        and (not returns or bool((piece[grid[:, -2]] == _RETURN).all()))
        and grid[-1, -1] == len(piece) - 1
    )
    return grid if good else None


def _cells(grid: Places, columns: list[int]) -> tuple[Places, Places]:
    """Return where the cells of columns end, and how long they are."""
    ends = grid.take(columns, axis=1)
    lengths = ends - grid.take([column - 1 for column in columns], axis=1)
    for n, column in enumerate(columns):
        if column == 0:  # begins behind the line before
            lengths[0, n] = ends[0, n] + 1
            lengths[1:, n] = ends[1:, n] - grid[:-1, -1]
    lengths -= 1
    return ends, lengths


def _short(piece: Bytes, ends: Places, lengths: Places) -> NDArray[np.int8] | None:
    """Return cells of one or two characters, (rows, columns); None if one is other."""
    ends -= 1
    last = piece.take(ends)
    last -= _ZERO
    ends -= 1
    codes = piece.take(ends, mode="wrap")  # in front of the first cell is nothing
    minus = codes == _MINUS
    codes -= _ZERO
    two = codes < 10
    codes *= two
    codes *= 10
    codes += last
    # Two's complement: v ^ -1 + 1 is -v.
    codes ^= -minus.view(np.uint8)
    codes += minus
    two |= minus
    lengths -= 1
    if (last < 10).all() and np.array_equal(lengths, two):
        return codes.view(np.int8)
    return None


def _long(
    piece: Bytes, ends: Places, lengths: Places, kind: np.dtype[Any]
) -> NDArray[np.signedinteger] | None:
    """Return cells of up to 18 characters; None if one is no integer of this type."""
    longest = int(lengths.max())
    if not 0 < int(lengths.min()) <= longest <= LONGEST:
        return None
    values = np.zeros(len(ends), np.int64)
    minus = piece[ends - lengths] == _MINUS
    digits = lengths - minus
    for place in range(longest):
        # A character in front of the cell is read too, and does not count.
        digit = piece.take(ends - 1 - place, mode="wrap") - np.uint8(_ZERO)
        here = digits > place
        if not ((digit < 10) | ~here).all():
            return None
        values += np.where(here, digit, 0) * np.int64(10**place)
    values = np.where(minus, -values, values)
    limits = np.iinfo(kind)
    if not digits.all() or values.min() < limits.min or values.max() > limits.max:
        return None
    return values.astype(kind)
