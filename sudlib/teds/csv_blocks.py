"""CSV files parsed in blocks of bytes."""

import contextlib
import csv
import hashlib
import itertools
import re
import zipfile
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from sudlib.files import InputError
from sudlib.teds import codebook

BLOCK = 4 * 2**20  # bytes of CSV parsed at a time; more is not faster


PIECE = 2**19  # bytes of them looked at at a time, so that they stay in the cache


WORKERS = 2  # blocks parsed side by side


WIDE = ("DISYR", "CASEID", "CBSA2010", "YEAR")  # columns of more than two characters


def _schema_name(name):
    """Return the schema's name of a file's column, however it is spelt."""
    name = name.upper()
    return codebook.RENAMED.get(name, name)


# ------------------------------------------------------------- parts of a file


class _Csv:
    """A CSV as a stream of blocks, hashed on the way."""

    kind = "csv"
    synthetic = False

    def __init__(self, stream, name, size):
        self.stream, self.name, self.size = stream, name, size
        self.hash = hashlib.sha256()
        self.line = 1
        self.columns = {}
        self.text = False  # cells are labels: do not try integers first
        self.rest = self._take()
        if b"\0" in self.rest[:4096] or not self.rest.strip():
            what = "is empty" if not self.rest.strip() else "is not a text file"
            raise InputError(
                f"{name} {what}; a TEDS-D file is a CSV, a zip of one, or parquet"
            )
        head, line_end, self.rest = self.rest.partition(b"\n")
        self.returns = head.endswith(b"\r")
        head = _decode(head).lstrip("\ufeff").strip("\r")
        self.delimiter = "\t" if head.count("\t") > head.count(",") else ","
        self.header = [
            field.strip()
            for field in next(csv.reader([head], delimiter=self.delimiter))
        ]
        if len(set(self.header)) < len(self.header):
            twice = {name for name in self.header if self.header.count(name) > 1}
            raise InputError(
                f"{name} has the column {', '.join(sorted(twice))} more than once"
            )
        lines = max(self.rest.count(b"\n"), 1)
        average = max(len(self.rest) / lines, 2 * len(self.header))
        self.rows_expected = int(1.03 * size / average) + 1

    def expect(self, columns):
        """Say which columns are wanted: {the file's name: the schema's}."""
        self.columns = columns

    def _take(self):
        try:
            block = self.stream.read(BLOCK)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise InputError(
                f"{self.name} cannot be unpacked to its end, the zip is cut off or"
                f" damaged ({error}). Download it again"
            ) from error
        self.hash.update(block)
        return block

    def digest(self):
        """Return the SHA-256 of the CSV; every byte has been read by then."""
        return self.hash.hexdigest()

    def blocks(self):
        """Yield blocks of whole lines as {schema name: column}."""
        with ThreadPoolExecutor(WORKERS) as pool:
            ahead = deque()
            for block in self._lines():
                ahead.append((block, pool.submit(self._integers, block)))
                if len(ahead) > WORKERS:
                    yield self._next(*ahead.popleft())
            while ahead:
                yield self._next(*ahead.popleft())

    def _lines(self):
        """Yield the file's bytes in blocks that end with a line."""
        rest = b""
        for more in itertools.chain([self.rest], iter(self._take, b"")):
            cut = more.rfind(b"\n") + 1
            if cut:
                yield b"".join((rest, memoryview(more)[:cut]))
                rest = more[cut:]
            else:
                rest += more
        if rest.strip():
            if self.returns:
                raise InputError(
                    f"{self.name} is cut off: its last line, which begins with"
                    f" {_decode(rest[:40])!r}, has no end"
                )
            yield rest

    def _integers(self, block):
        """Return a block's columns as integers, or None if a cell is none."""
        if self.text:
            return None
        cells = _cells(
            block, self.header, self.returns, self.delimiter, list(self.columns)
        )
        if cells is not None:
            return {name: cells[source] for source, name in self.columns.items()}
        kinds = {
            source: pa.type_for_alias(codebook.dtype(name))
            for source, name in self.columns.items()
        }
        with contextlib.suppress(pa.ArrowInvalid):
            return self._table(block, kinds)

    def _next(self, block, future):
        """Return a block's columns; as text where they are not all integers."""
        table = future.result()
        if table is None:
            # Slower: labels, cells that are no code, or rows of another length.
            self._lengths(block)
            kinds = dict.fromkeys(self.columns, pa.dictionary(pa.int32(), pa.string()))
            table = self._table(_decode(block).encode(), kinds)
            self.text = any(_has_letters(column) for column in table.values())
        self.line += len(next(iter(table.values())))
        return table

    def _table(self, block, kinds):
        table = pa.csv.read_csv(
            pa.py_buffer(block),
            # One thread and one piece a block: whole blocks run side by side instead.
            read_options=pa.csv.ReadOptions(
                column_names=self.header,
                use_threads=False,
                block_size=max(len(block), 1),
            ),
            parse_options=pa.csv.ParseOptions(delimiter=self.delimiter),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(kinds),
                column_types=kinds,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        return {
            name: table.column(place)
            for place, name in enumerate(self.columns.values())
        }

    def _lengths(self, block):
        """Raise on the first row that has too few or too many fields."""
        lines = _decode(block).splitlines()
        for place, row in enumerate(csv.reader(lines, delimiter=self.delimiter)):
            if row and len(row) != len(self.header):
                number = self.line + place
                raise InputError(
                    f"{self.name} is cut off or damaged: row {number}, line"
                    f" {number + 1} has {len(row)} fields, the header has"
                    f" {len(self.header)}"
                )


def _cells(block, header, returns, delimiter, wanted=None):
    """Return columns of whole lines of plain integers, or None if they are not.

    This is the fast path, several times as fast as a general parser: in the agency's
    files all but three columns hold one or two characters, so the last two characters
    before each separator say what the cell is.  Wherever that is not so (a blank, a
    quote, a label, a row of another length) the answer is None.

    Parameters
    ----------
    block : bytes
        Whole lines.
    header : list of str
        The file's columns.
    returns : bool
        Whether lines end in CRLF.
    delimiter : str
        "," or a tab.
    wanted : list of str, optional
        Columns of the header; None for all.

    Returns
    -------
    dict of str to numpy.ndarray, or None
        An array for each column wanted, and perhaps for others.
    """
    wanted = header if wanted is None else wanted
    wide = [place for place, name in enumerate(header) if _schema_name(name) in WIDE]
    small = [place for place in range(len(header)) if place not in wide]
    # Few columns are picked out one by one, many by going through all of them.
    few = 3 * len(wanted) < len(header)
    if few:
        wide = [place for place in wide if header[place] in wanted]
        small = [place for place in small if header[place] in wanted]
    parts, wides = [], [[] for _ in wide]
    start = 0
    while start < len(block):
        end = block.rfind(b"\n", start, start + PIECE) + 1 or len(block)
        # Two bytes in front, so that the first cell too has two characters before it.
        piece = b"".join((b"\n\n", memoryview(block)[start:end]))
        piece = np.frombuffer(piece, np.uint8)
        grid = _separators(piece[2:], len(header), returns, delimiter)
        if grid is None:
            return None
        long = 0
        for place, cells in zip(wide, wides, strict=True):
            lengths = _lengths(grid, place)
            long += int(lengths.sum())
            cells.append((grid[:, place] - lengths + start, lengths))
        if few:
            codes, two, digit = _codes(piece, grid[:, small])
            short = np.column_stack([_lengths(grid, place) for place in small] or [[]])
            good = digit.all() and (short == 1 + two).all() if small else True
        else:
            codes, two, digit = _codes(piece, grid)
            # No cell is longer than it seems: else the characters counted would not
            # be all there are.
            two = np.count_nonzero(two) - np.count_nonzero(
                two[:, [*wide, *range(len(header), grid.shape[1])]]
            )
            seen = grid.size + long + len(small) * len(grid) + two
            good = np.count_nonzero(digit) == len(header) * len(grid)
            good = good and seen == len(piece) - 2
        if not good:
            return None
        parts.append(codes.T)
        start = end
    # A column's codes side by side: what is done to columns later is then fast.
    table = np.empty((len(parts[0]), sum(part.shape[1] for part in parts)), np.int8)
    np.concatenate(parts, axis=1, out=table)
    if few:
        columns = {header[place]: row for place, row in zip(small, table, strict=True)}
    else:
        columns = dict(zip(header, table, strict=False))
    text = np.frombuffer(block, np.uint8)
    for place, cells in zip(wide, wides, strict=True):
        first, lengths = (np.concatenate(part) for part in zip(*cells, strict=True))
        columns[header[place]] = numbers = _number(text, first, lengths)
        if numbers is None:
            return None
    return columns


def _separators(text, columns, returns, delimiter):
    """Return where cells end, a row for each line, or None if lines differ.

    With CRLF the LF ends one cell more, in front of which stands the CR.
    """
    ends = np.flatnonzero(text < ord("-"))  # the separators; and what must not be
    rows, odd = divmod(len(ends), columns + returns)
    if odd or not rows:
        return None
    grid = ends.reshape(rows, columns + returns)
    good = (
        np.count_nonzero(text == ord(delimiter)) == rows * (columns - 1)
        and (text[grid[:, -1]] == ord("\n")).all()
        and (not returns or (text[grid[:, -2]] == ord("\r")).all())
    )
    return grid if good else None


def _codes(piece, ends):
    """Return cells by their last two characters, where they end given.

    Returns
    -------
    codes : numpy.ndarray of int8
    two : numpy.ndarray of bool
        Whether the cell has a second character, a digit or a minus.
    digit : numpy.ndarray of bool
        Whether its last character is a digit.
    """
    last = piece[1:].take(ends)
    last -= ord("0")
    codes = piece.take(ends)
    minus = codes == ord("-")
    codes -= ord("0")
    two = codes < 10
    codes *= two
    codes *= 10
    codes += last
    # Two's complement: v ^ -1 + 1 is -v.
    codes ^= -minus.view(np.uint8)
    codes += minus
    two |= minus
    return codes.view(np.int8), two, last < 10


def _lengths(grid, place):
    """Return the lengths of the cells of a column."""
    if place:
        return grid[:, place] - grid[:, place - 1] - 1
    return grid[:, 0] - np.concatenate([[0], grid[:-1, -1] + 1])


def _number(text, first, lengths):
    """Return cells of up to 18 characters as integers, or None if they are none."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    if not 0 < shortest <= longest <= 18:
        return None
    numbers = np.empty(len(first), np.int64)
    for length in range(shortest, longest + 1):
        here = slice(None) if shortest == longest else lengths == length
        # Every place of the text as the start of a cell of this length.
        windows = np.ndarray(len(text) - length + 1, f"V{length}", text, strides=(1,))
        digits = windows[first[here]].view(np.uint8).reshape(-1, length)
        digits -= ord("0")
        minus = digits[:, 0] == (ord("-") - ord("0")) % 256
        digits[minus, 0] = 0
        if (digits > 9).any() or (length == 1 and minus.any()):
            return None
        value = np.zeros(len(digits), np.int64)
        for place in range(length):
            value *= 10
            value += digits[:, place]
        numbers[here] = np.where(minus, -value, value)
    return numbers


def _has_letters(column):
    """Tell whether a text column begins with a label, not with a number."""
    first = next((text for text in column[:1000].to_pylist() if text), "")
    return bool(re.search("[A-Za-z]", first))


def _decode(block):
    """Return bytes as text: UTF-8, or else latin-1 (the file of 2021)."""
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError:
        return block.decode("latin-1")
