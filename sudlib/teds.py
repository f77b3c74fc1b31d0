"""Read, write and download TEDS-D files of any year (floor 1).

``read`` turns a file of 2015-2023, as CSV, inside its zip or as parquet, into one
schema of small integers and checks it against the codebook.  ``write`` writes the
agency's byte format.  ``fetch`` downloads a year, verifies it and keeps it.

Taught in ``a01_discharge_records``.
"""

import contextlib
import csv
import errno
import functools
import hashlib
import itertools
import os
import re
import shutil
import stat
import tempfile
import warnings
import zipfile
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sudlib import codebook
from sudlib.codebook import MISSING
from sudlib.files import InputError, data_file, sha256

try:
    import fcntl
except ImportError:
    fcntl = None

PAGE = "https://www.samhsa.gov/data/data-we-collect/teds/datafiles"
"""The agency's page from which the files can be downloaded by hand."""

BLOCK = 4 * 2**20  # bytes of CSV parsed at a time; more is not faster
PIECE = 2**19  # bytes of them looked at at a time, so that they stay in the cache
WORKERS = 2  # blocks parsed side by side
WIDE = ("DISYR", "CASEID", "CBSA2010", "YEAR")  # columns of more than two characters
DUPLICATES = ("error", "drop", "keep")


# ------------------------------------------------------------------- registry


@dataclass(frozen=True)
class Download:
    """One year's download: names, sizes, hashes (None where not known), addresses."""

    year: int
    zip: str
    zip_bytes: int | None
    zip_sha256: str | None
    csv: str
    csv_bytes: int | None
    csv_sha256: str | None
    urls: tuple[str, ...]


def registry():
    """Return the known downloads by year, from ``data/registry.csv``.

    Examples
    --------
    >>> registry()[2019].csv_bytes
    318572676
    """
    with open(data_file("registry.csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {
        int(row["year"]): Download(
            year=int(row["year"]),
            zip=row["zip"],
            zip_bytes=int(row["zip_bytes"]) if row["zip_bytes"] else None,
            zip_sha256=row["zip_sha256"] or None,
            csv=row["csv"],
            csv_bytes=int(row["csv_bytes"]) if row["csv_bytes"] else None,
            csv_sha256=row["csv_sha256"] or None,
            urls=tuple(row["urls"].split()),
        )
        for row in rows
    }


def _official(name):
    """Return the download whose CSV has this name, if any."""
    for download in registry().values():
        if download.csv.casefold() == str(name).casefold():
            return download
    return None


# ------------------------------------------------------------------------ read


def read(source, columns=None, *, year=None, check=True, duplicates="error"):
    """Return the records of a TEDS-D file, in the one schema.

    Parameters
    ----------
    source : str or path
        A CSV of the agency's form, a zip that holds one, or a parquet file.
    columns : list of str, optional
        The columns wanted, in that order, by the names of the schema (GENDER,
        CBSA2010) or of the file's year (SEX, CBSA, CBSA2020).  None: every column of
        the schema that the file has, in the official order.
    year : int, optional
        The year of discharge, for a file without DISYR; with DISYR it must agree.
    check : bool
        Hold codes, size, hash and case numbers against the codebook and the registry.
        Without it only what cannot be read at all is an error.
    duplicates : {"error", "drop", "keep"}
        What to do with a CASEID that occurs again in the same year.

    Returns
    -------
    pandas.DataFrame
        Smallest integer types, -9 where missing, text labels turned back into codes
        and blank cells into -9 (with a warning that counts them).  ``attrs`` hold
        ``data`` (file name), ``years``, ``synthetic`` (made-up cases, told by their
        numbers), ``sha256`` (of the CSV, also inside a zip), ``rows_in_file``,
        ``verified`` (the hash is the agency's) and ``blanks`` (cells by column).

    Raises
    ------
    InputError
        If the file is missing, cut off, not a TEDS-D file, lacks a column that is
        asked for, repeats a CASEID, or holds a cell that is no code of its variable:
        then the message names column, row, value, what is allowed, and how many.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame = pd.DataFrame({"DISYR": [2018], "CASEID": [20181000001], "AGE": [6]})
    ...     path = write(frame, f"{folder}/small.csv")
    ...     read(path, ["AGE"]).AGE.tolist()
    [6]
    """
    if duplicates not in DUPLICATES:
        raise InputError(
            f"duplicates must be one of {', '.join(DUPLICATES)}, not {duplicates!r}"
        )
    if year is not None:
        year = codebook.check_year(year)
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f"there is no file {str(path)!r}")
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; a file is needed")
    open_file = _PARTS.get(path.suffix.casefold(), _open_csv)
    with open_file(path) as part:
        reading = _Reading(part, columns, year, check, duplicates)
        for block in part.blocks():
            reading.add(block)
        return reading.finish()


class _Reading:
    """One pass over a file: columns filled block by block, and what is wrong."""

    def __init__(self, part, columns, year, check, duplicates):
        self.part, self.year = part, year
        self.check, self.duplicates = check, duplicates
        self.wanted, self.sources = _choose(part, columns)
        self.names = list(self.wanted)
        # These two are needed to check the file, whatever is wanted of it.
        for name in ("DISYR", "CASEID"):
            if name in self.sources and name not in self.names:
                self.names.append(name)
        if "DISYR" not in self.sources and year is None and check:
            found = re.search(r"20\d\d", part.name)
            if not found or int(found[0]) not in codebook.YEARS:
                raise InputError(
                    f"{part.name} has no column DISYR, so its year is not known: say"
                    f" year={codebook.YEARS[0]} to year={codebook.YEARS[-1]}"
                )
            self.year = int(found[0])
        self.data = self._room(max(part.rows_expected, 1))
        self.rows = 0
        self.wrong = {}  # (column, kind) -> [row, value, count]
        self.blanks = {}
        self.years = {self.year} - {None}
        part.expect({self.sources[name]: name for name in self.names})

    def add(self, block):
        """Take one block of rows, as {schema name: arrow array or column}."""
        size = len(next(iter(block.values())))
        if self.rows + size > len(next(iter(self.data.values()))):
            self._grow(size)
        rows = slice(self.rows, self.rows + size)
        arrays = {name: self._numbers(name, block[name]) for name in self.names}
        years = self._years(arrays.get("DISYR"))
        for name, values in arrays.items():
            if self.check:
                self._check(name, values, years)
            self.data[name][rows] = values
        self.rows += size

    def _room(self, rows):
        """Return room for so many rows, as one array for each column."""
        small = [n for n in self.names if codebook.dtype(n) == "int8"]
        # One piece of memory for them all: the system hands out large ones faster.
        table = dict(zip(small, np.empty((len(small), rows), np.int8), strict=True))
        return {
            name: table[name] if name in table else np.empty(rows, codebook.dtype(name))
            for name in self.names
        }

    def _grow(self, size):
        full, self.data = self.data, self._room(self.rows + max(self.rows // 4, size))
        for name, values in full.items():
            self.data[name][: self.rows] = values[: self.rows]

    def _numbers(self, name, column):
        """Return a column's cells as integers; note what is none."""
        if isinstance(column, np.ndarray):
            return self._fit(name, column)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no chunk at all
            column = pa.array([], column.type)
        if pa.types.is_integer(column.type):
            if column.null_count:
                self.blanks[name] = self.blanks.get(name, 0) + column.null_count
                column = column.fill_null(MISSING)
            values = column.to_numpy()
            return self._fit(name, values)
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        return self._texts(name, column)

    def _fit(self, name, values):
        """Return integers in the variable's own type; note what does not fit."""
        small = np.dtype(codebook.dtype(name))
        if values.dtype == small:
            return values
        limits = np.iinfo(small)
        bad = (values < limits.min) | (values > limits.max)
        if bad.any():
            self._note(name, "code", bad, values)
            values = np.where(bad, MISSING, values)
        return values.astype(small)

    def _texts(self, name, column):
        """Return text cells as codes: whole numbers, labels of any year, blanks."""
        labels = _labels(name)
        texts = column.dictionary.to_pylist()
        codes = np.full(len(texts) + 1, MISSING, np.int64)
        places = column.indices.fill_null(len(texts)).to_numpy()
        blank = [len(texts)]
        for place, text in enumerate(texts):
            stripped = text.strip()
            if not stripped:
                blank.append(place)
            elif re.fullmatch(r"[+-]?\d{1,18}", stripped):
                codes[place] = int(stripped)
            elif (key := _plain(stripped)) in labels:
                codes[place] = labels[key]
            elif (key := _plain(re.sub(r"^-?\d+\W+", "", stripped))) in labels:
                codes[place] = labels[key]  # "1 - Treatment completed"
            elif name == "CBSA2010" and labels and re.search("[a-z]", key):
                # Most areas' names are in no codebook at hand.
                blank.append(place)
            else:
                self._note(name, "text", places == place, np.array(texts)[[place]])
        empty = int(np.isin(places, blank).sum())
        if empty:
            self.blanks[name] = self.blanks.get(name, 0) + empty
        return self._fit(name, codes[places])

    def _years(self, values):
        """Return the years in a block; they choose the codes that are allowed."""
        if values is None:
            return (self.year,) if self.year else ()
        years = tuple(np.unique(values).tolist())
        if self.check:
            unknown = ~np.isin(values, codebook.YEARS)
            if unknown.any():
                self._note("DISYR", "code", unknown, values)
            if self.year is not None and set(years) - {self.year, MISSING}:
                raise InputError(
                    f"{self.part.name} has records of"
                    f" {', '.join(map(str, sorted(set(years) - {MISSING})))} in DISYR,"
                    f" but year={self.year} was given"
                )
        self.years.update(year for year in years if year in codebook.YEARS)
        return tuple(year for year in years if year in codebook.YEARS)

    def _check(self, name, values, years):
        """Note cells that are no code of their variable in their year."""
        if name in ("DISYR", "YEAR") or not years:
            return
        if name == "CASEID":
            good = (values > 0) | (values == MISSING)
        elif name == "CBSA2010":
            good = ((values > 9999) & (values < 100_000)) | (values == MISSING)
        else:
            low, span, table = _allowed(name, years)
            if name in self.blanks:  # a blank is no claim about the codebook
                low, table = None, table | (np.arange(256) == MISSING % 256)
            if low is None:
                good = table[values.view(np.uint8)]
            else:
                good = (values - low).view(np.uint8) <= span
                if table[MISSING]:
                    good |= values == MISSING
        if not good.all():
            self._note(name, "code", ~good, values)

    def _note(self, name, kind, bad, values):
        """Remember the first wrong cell of a column and how many there are."""
        first = int(np.argmax(bad))
        value = values[first] if len(values) == len(bad) else values[0]
        note = self.wrong.setdefault((name, kind), [self.rows + first + 1, value, 0])
        note[2] += int(bad.sum())

    def finish(self):
        """Raise what is wrong, or return the frame."""
        part = self.part
        if self.wrong:
            raise InputError(self._complaint())
        if not self.rows:
            raise InputError(f"{part.name} has a header but no records")
        digest = part.digest()
        verified = self._compare(digest) if self.check else False
        keep = self._unique()
        frame = {name: self.data[name][: self.rows] for name in self.wanted}
        # Each column stays where it was read: no second copy of the whole table.
        frame = pd.DataFrame(frame, copy=False)
        synthetic = part.synthetic or self._made_up()
        if keep is not None:
            frame = frame[keep].reset_index(drop=True)
        frame.attrs = {
            "data": part.name,
            "years": sorted(self.years),
            "synthetic": synthetic,
            "sha256": digest,
            "rows_in_file": self.rows,
            "verified": verified,
            "blanks": dict(sorted(self.blanks.items())),
        }
        if self.blanks:
            cells = sum(self.blanks.values())
            listed = ", ".join(f"{k} {v}" for k, v in sorted(self.blanks.items()))
            warnings.warn(
                f"{part.name}: {cells} blank cells are read as missing ({MISSING}):"
                f" {listed}",
                stacklevel=3,
            )
        return frame

    def _complaint(self):
        """Return the message on every column with wrong cells."""
        lines = []
        wrong = sorted(self.wrong.items(), key=lambda item: item[1][0])
        for (name, kind), (row, value, count) in wrong[:8]:
            shown = repr(str(value)) if kind == "text" else str(value)
            others = "" if count == 1 else f" (the first of {count} such cells)"
            lines.append(
                f"{self.sources[name]} is {shown} in row {row}, line {row + 1}{others};"
                f" allowed: {_spell(name, sorted(self.years))}"
            )
        if len(wrong) > 8:
            lines.append(f"and {len(wrong) - 8} more columns")
        late = [year for year in self.years if year > 2019]
        if late and any(kind == "code" for _, kind in self.wrong):
            lines.append(
                f"the codebook of {late[0]} is not part of sudlib: the codes allowed"
                " are those of 2017 to 2020; check=False reads the file as it is"
            )
        return "\n  ".join([f"{self.part.name} does not fit the codebook:", *lines])

    def _compare(self, digest):
        """Hold size and hash against the agency's; return whether the hash is known."""
        known = {d.csv_sha256: d for d in registry().values() if d.csv_sha256}
        if digest in known:
            return True
        official = _official(self.part.name)
        if official is None or self.part.kind == "parquet":
            return False
        rows = None
        with contextlib.suppress(InputError):
            rows = codebook.size(official.year)
        if rows is not None and rows != self.rows:
            raise InputError(
                f"{self.part.name} has {self.rows:,} records, but the agency's file of"
                f" {official.year} has {rows:,}: it is cut off or another file."
                " Download it again; or, if it is a part, give it another name"
            )
        if official.csv_sha256:
            raise InputError(
                f"{self.part.name} is not the agency's file of {official.year}: its"
                f" SHA-256 is {digest}, the agency's {official.csv_sha256}. Download it"
                " again; or, if it is meant to be changed, give it another name"
            )
        return False

    def _unique(self):
        """Return which rows to keep, or None for all; raise on repeated cases."""
        if "CASEID" not in self.data or self.duplicates == "keep":
            return None
        if not self.check and self.duplicates == "error":
            return None
        cases = self.data["CASEID"][: self.rows]
        if len(self.years) > 1 and "DISYR" in self.data:
            # Case numbers begin anew each year from 2020 on.
            cases = cases + self.data["DISYR"][: self.rows].astype(np.int64) * 10**12
        ordered = np.sort(cases)
        if not (ordered[1:] == ordered[:-1]).any():
            return None
        again = pd.Series(cases).duplicated().to_numpy()
        again = again & (self.data["CASEID"][: self.rows] != MISSING)
        if not again.any():
            return None
        if self.duplicates == "drop":
            return ~again
        second = int(np.argmax(again))
        first = int(np.argmax(cases == cases[second]))
        raise InputError(
            f"{self.part.name}: CASEID {self.data['CASEID'][second]} of row {first + 1}"
            f" occurs again in row {second + 1}; {int(again.sum())} rows repeat an"
            ' earlier one. duplicates="drop" keeps the first of each,'
            ' duplicates="keep" all'
        )

    def _made_up(self):
        """Tell by the case numbers whether the records are the twin's."""
        if "CASEID" not in self.data:
            return False
        cases = self.data["CASEID"][: self.rows]
        return bool(
            (cases // 10**7 >= codebook.YEARS[0]).all()
            and (cases % 10**7 >= codebook.SYNTHETIC_CASES).all()
        )


def _schema_name(name):
    """Return the schema's name of a file's column, however it is spelt."""
    name = name.upper()
    return codebook.RENAMED.get(name, name)


def _choose(part, columns):
    """Return the columns wanted and the file's own name of each, or raise."""
    header = part.header
    known = [_schema_name(name) for name in header]
    schema = {*codebook.COLUMNS, "NUMSUBS", "YEAR"}
    sources = {}
    for name, source in zip(known, header, strict=True):
        if name in schema:
            if name in sources:
                raise InputError(
                    f"{part.name} has the column {name} twice, as {sources[name]} and"
                    f" {source}"
                )
            sources[name] = source
    if len(sources) < 2 or len(sources) < len(header) / 2:
        raise InputError(
            f"{part.name} is not a TEDS-D file: {len(sources)} of its"
            f" {len(header)} columns are TEDS-D's. It begins with"
            f" {', '.join(header[:6])[:200]}; a TEDS-D file has"
            f" {', '.join(codebook.COLUMNS[:6])} …"
        )
    if columns is None:
        return [name for name in codebook.COLUMNS if name in sources], sources
    if isinstance(columns, str):
        columns = [columns]
    wanted = [codebook.RENAMED.get(name, name) for name in columns]
    for name in wanted:
        codebook.label(name)  # raises on a name that no year has
    if len(set(wanted)) < len(wanted) or not wanted:
        raise InputError(
            f"columns must name at least one column, and each once, not {columns!r}"
        )
    absent = [name for name in wanted if name not in sources]
    if absent:
        raise InputError(
            f"{part.name} has no column {', '.join(absent)}; it has {', '.join(header)}"
        )
    return wanted, sources


@functools.cache
def _allowed(name, years):
    """Return the codes of a variable in two forms: a range, and 256 truths.

    The range is the lowest code but for -9 and how far the highest is from it, or
    None if there are gaps; the truths are by the code's unsigned byte.
    """
    codes = {code for year in years for code in codebook.codes(name, year)}
    table = np.zeros(256, bool)
    table[np.array(list(codes), np.int8).view(np.uint8)] = True
    codes -= {MISSING}
    low, high = min(codes), max(codes)
    if high - low + 1 != len(codes):
        return None, None, table
    # In the types of the cells, so that numpy need not widen them.
    return np.int8(low), np.uint8(high - low), table


def _spell(name, years):
    """Return the allowed values of a variable in words: '-9, 1-12'."""
    if name in ("DISYR", "YEAR"):
        return f"{codebook.YEARS[0]}-{codebook.YEARS[-1]}"
    if name == "CASEID":
        return "a whole number"
    if name == "CBSA2010":
        return f"{MISSING} or five digits"
    codes = sorted({c for year in years or [2019] for c in codebook.codes(name, year)})
    runs = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _plain(label):
    """Return a label in one spelling, whatever became of its dashes and case."""
    return re.sub(r"[^a-z0-9]+", " ", label.casefold()).strip()


@functools.cache
def _labels(name):
    """Return the code of every known wording of a variable, in one spelling."""
    return {
        _plain(wording): code
        for code, wordings in codebook.wordings(name).items()
        for wording in wordings
    }


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


class _Parquet:
    """A parquet file as a stream of blocks."""

    kind = "parquet"

    def __init__(self, path):
        self.path, self.name = path, path.name
        try:
            self.file = pa.parquet.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                f"{path.name} is not a whole parquet file ({error})"
            ) from error
        self.header = list(self.file.schema_arrow.names)
        self.rows_expected = self.file.metadata.num_rows
        metadata = self.file.schema_arrow.metadata or {}
        self.synthetic = metadata.get(b"sudlib.synthetic") == b"True"
        self.columns = {}

    def expect(self, columns):
        """Say which columns are wanted: {the file's name: the schema's}."""
        self.columns = columns

    def digest(self):
        """Return the SHA-256 of the file."""
        return sha256(self.path)

    def blocks(self):
        """Yield blocks of rows as {schema name: column}."""
        batches = self.file.iter_batches(100_000, columns=list(self.columns))
        try:
            for batch in batches:
                yield {
                    name: _whole(batch.column(source), name)
                    for source, name in self.columns.items()
                }
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{self.name} cannot be read ({error})") from error


def _whole(column, name):
    """Return floating numbers without a fraction as integers."""
    if pa.types.is_floating(column.type):
        with contextlib.suppress(pa.ArrowInvalid):
            return column.cast(pa.int64())
    return column


@contextlib.contextmanager
def _open_csv(path):
    with open(path, "rb") as stream:
        size = path.stat().st_size
        official = _official(path.name)
        if official and official.csv_bytes and size < official.csv_bytes:
            raise InputError(
                f"{path.name} has {size:,} bytes, but the agency's file of"
                f" {official.year} has {official.csv_bytes:,}: it is cut off. Download"
                " it again; or, if it is meant to be a part, give it another name"
            )
        yield _Csv(stream, path.name, size)


@contextlib.contextmanager
def _open_zip(path):
    try:
        bundle = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{path.name} is not a whole zip file ({error}): it is cut off or another"
            " file. Download it again"
        ) from error
    with bundle:
        member = _table_in(bundle, path.name)
        with bundle.open(member) as stream:
            yield _Csv(stream, Path(member.filename).name, member.file_size)


@contextlib.contextmanager
def _open_parquet(path):
    part = _Parquet(path)
    with part.file:
        yield part


_PARTS = {".zip": _open_zip, ".parquet": _open_parquet, ".pq": _open_parquet}


def _table_in(bundle, name):
    """Return the one CSV in a zip; raise on entries that would leave the folder."""
    for entry in bundle.infolist():
        parts = re.split(r"[/\\]", entry.filename)
        linked = stat.S_ISLNK(entry.external_attr >> 16)
        rooted = entry.filename.startswith(("/", "\\")) or ":" in parts[0]
        if ".." in parts or rooted or linked:
            what = "is a link" if linked else "would be written outside the folder"
            raise InputError(f"{name} is refused: its entry {entry.filename!r} {what}")
        if entry.flag_bits & 0x1:
            raise InputError(f"{name} is refused: {entry.filename!r} is encrypted")
    tables = [
        entry
        for entry in bundle.infolist()
        if entry.filename.casefold().endswith((".csv", ".tsv", ".txt"))
        and not entry.filename.startswith("__MACOSX")
    ]
    official = [entry for entry in tables if _official(Path(entry.filename).name)]
    tables = official if len(official) == 1 else tables
    csvs = [e for e in tables if e.filename.casefold().endswith(".csv")]
    tables = csvs if len(csvs) == 1 else tables
    if len(tables) != 1:
        inside = ", ".join(entry.filename for entry in bundle.infolist()) or "nothing"
        raise InputError(f"{name} must hold one CSV of TEDS-D; it holds {inside}")
    return tables[0]


# ----------------------------------------------------------------------- write


def write(frame, path):
    """Write records in the agency's byte format, or as parquet or zip.

    The CSV has a plain header, commas, unquoted integers and CRLF at the end of every
    line, as the agency's files have: a frame with an official file's contents gives
    that file to the byte.  The file appears under its name only when it is whole.

    Parameters
    ----------
    frame : pandas.DataFrame
        Integer columns.
    path : str or path
        Ends in ``.csv``, ``.zip`` (the CSV inside) or ``.parquet``.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If a column is no integer, the ending is another, the folder is not there, the
        disk is full, or made-up records would get an official file's name.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame = pd.DataFrame({"DISYR": [2018], "LOS": [-9]})
    ...     write(frame, f"{folder}/small.csv").read_bytes()
    b'DISYR,LOS\\r\\n2018,-9\\r\\n'
    """
    path = Path(path).expanduser()
    ending = path.suffix.casefold()
    writers = {".csv": _write_csv, ".zip": _write_zip, ".parquet": _write_parquet}
    if ending not in writers:
        raise InputError(
            f"a file of records ends in {', '.join(writers)}, not {path.name!r}"
        )
    other = [
        f"{name} ({kind})"
        for name, kind in frame.dtypes.items()
        if not pd.api.types.is_integer_dtype(kind)
    ]
    # A nullable integer column is one too, as long as no cell is empty.
    other += [str(name) for name in frame.columns[frame.isna().any()]]
    if other or not len(frame.columns):
        raise InputError(
            "every column must hold integers (-9 for missing); these do not:"
            f" {', '.join(other) or 'there are no columns'}"
        )
    if frame.attrs.get("synthetic") and _official(path.with_suffix(".csv").name):
        raise InputError(
            f"{path.name} is the name of an official file; made-up records need"
            " another, so that nobody takes them for real ones"
        )
    with _whole_file(path) as part:
        writers[ending](frame, part, path)
    return path


@contextlib.contextmanager
def _whole_file(path):
    """Yield a file beside ``path`` that takes its name when all went well."""
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r} to write into")
    handle, part = tempfile.mkstemp(
        prefix=f".{path.stem}.", suffix=f"{path.suffix}.part", dir=path.parent
    )
    os.close(handle)
    part = Path(part)
    try:
        with _room(path):
            yield part
            # mkstemp makes files for one's own eyes only; data are for the group.
            mask = os.umask(0)
            os.umask(mask)
            part.chmod(0o666 & ~mask)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _room(path):
    """Turn a full disk into a clear error."""
    try:
        yield
    except OSError as error:
        full = (errno.ENOSPC, errno.EDQUOT)
        if error.errno not in full:
            raise
        free = shutil.disk_usage(path.parent).free
        raise InputError(
            f"the disk of {str(path.parent)!r} is full ({free / 1e6:,.0f} MB are free):"
            f" {path.name} was not written, and nothing was changed"
        ) from error


def _write_csv(frame, part, _):
    with open(part, "wb") as stream:
        for block in _lines(frame):
            stream.write(block)


def _write_zip(frame, part, path):
    # A fixed date, so that the same records give the same bytes.
    entry = zipfile.ZipInfo(f"{path.stem}.csv", (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with (
        zipfile.ZipFile(part, "w") as bundle,
        bundle.open(entry, "w", force_zip64=True) as stream,
    ):
        for block in _lines(frame):
            stream.write(block)


def _write_parquet(frame, part, _):
    table = pa.table(
        {str(name): pa.array(frame[name].to_numpy()) for name in frame.columns}
    )
    made_up = str(bool(frame.attrs.get("synthetic"))).encode()
    table = table.replace_schema_metadata({b"sudlib.synthetic": made_up})
    pa.parquet.write_table(table, part, compression="zstd")


def _lines(frame, rows=50_000):
    """Yield the CSV's bytes block by block.

    Every cell with what ends it becomes four bytes (or eight, or more) padded with
    zero bytes; then the zero bytes are dropped, all at once.
    """
    yield (",".join(map(str, frame.columns)) + "\r\n").encode()
    columns = [frame[name].to_numpy() for name in frame.columns]
    ends = [b","] * (len(columns) - 1) + [b"\r\n"]
    tables = [_tokens(values, end) for values, end in zip(columns, ends, strict=True)]
    for start in range(0, len(frame), rows):
        row = []
        for values, end, table in zip(columns, ends, tables, strict=True):
            piece = values[start : start + rows]
            if table is not None:
                row.append(table[piece.view(np.uint8)][:, None])
            else:
                row.append(_digits(piece))
                row.append(np.full((len(piece), 1), _four(end), "<u4"))
        flat = np.hstack(row).view(np.uint8).ravel()
        yield flat[flat != 0].tobytes()


def _four(text):
    """Return up to four bytes as one number."""
    return int.from_bytes(text, "little")


def _tokens(values, end):
    """Return the four bytes of each code with its end, or None if four are too few."""
    if values.dtype != np.int8 or not len(values):
        return None
    texts = [str(code).encode() + end for code in range(-128, 128)]
    if (
        max(len(texts[int(values.min()) + 128]), len(texts[int(values.max()) + 128]))
        > 4
    ):
        return None
    # As unsigned bytes the codes run 0 ... 127, -128 ... -1.
    return np.array([_four(text[:4]) for text in texts[128:] + texts[:128]], "<u4")


def _digits(values):
    """Return the text of integers as rows of bytes, in groups of four, with zeros."""
    values = values.astype(np.int64)
    width = max(len(str(values.min())), len(str(values.max())))
    width += -width % 4
    texts = values.astype(f"S{width}")
    return texts.view("<u4").reshape(len(values), -1)


# ----------------------------------------------------------------------- fetch


def cache_folder():
    """Return the folder where downloads are kept.

    It is the environment variable SUDLIB_CACHE, or else the place where your system
    keeps caches (on Linux ``~/.cache/sudlib``).
    """
    if os.environ.get("SUDLIB_CACHE"):
        return Path(os.environ["SUDLIB_CACHE"]).expanduser()
    from sudlib import downloads

    return downloads.system_cache()


def fetch(year, *, folder=None):
    """Return the path of the agency's CSV of a year; download it if it is not there.

    Each address that is known is tried, newest first.  A download that broke off goes
    on where it stopped, also in a later run.  Zip and CSV are held against their
    SHA-256 in ``data/registry.csv``; for 2021 and 2023 none is known, and a warning
    says so.  What is there and whole is never downloaded again, and a file that you
    have put into the folder by hand counts.

    Parameters
    ----------
    year : int
        2015 to 2023.
    folder : path, optional
        Where to keep zip and CSV; None: :func:`cache_folder`.

    Returns
    -------
    pathlib.Path
        The CSV.

    Raises
    ------
    InputError
        If nothing could be downloaded (it then says what to download by hand and
        where to put it), a hash is wrong, the zip is unsafe, or the disk is full.
    """
    download = registry()[codebook.check_year(year)]
    folder = cache_folder() if folder is None else Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {str(folder)!r} for downloads cannot be made ({error});"
            " the environment variable SUDLIB_CACHE names another"
        ) from error
    with _alone(folder / f".{year}.lock"):
        table = folder / download.csv
        if not _is_whole(table, download.csv_bytes, download.csv_sha256):
            bundle = folder / download.zip
            if not _is_whole(bundle, download.zip_bytes, download.zip_sha256):
                _download(download, bundle)
            _extract(download, bundle, table)
        if download.csv_sha256 is None:
            warnings.warn(
                f"no SHA-256 of the agency's file of {year} is known, so"
                f" {table.name} cannot be verified",
                stacklevel=2,
            )
    return table


@contextlib.contextmanager
def _alone(path):
    """Hold a lock, so that two runs do not download the same file at once."""
    if fcntl is None:  # not on Windows
        yield
        return
    with open(path, "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _is_whole(path, size, digest):
    """Tell whether a file is there and the agency's; put a wrong one aside."""
    if not path.exists():
        return False
    if digest is None:
        return True
    if path.stat().st_size == size and sha256(path) == digest:
        return True
    aside = path.with_name(path.name + ".wrong")
    os.replace(path, aside)
    warnings.warn(
        f"{path.name} in {str(path.parent)!r} is not the agency's file (wrong size or"
        f" SHA-256); it is now {aside.name}",
        stacklevel=4,
    )
    return False


def _download(download, bundle):
    """Download a zip from the first address that has the right one."""
    # Imported here: a page that reads the twin needs no network library.
    from sudlib import downloads

    _need_room(download, bundle.with_name(bundle.name + ".part"))
    digest = download.zip_sha256
    try:
        with _room(bundle):
            downloads.download(
                download.urls, bundle, sha256=digest, good=zipfile.is_zipfile
            )
    except downloads.DownloadError as error:
        raise InputError(
            f"the TEDS-D file of {download.year} could not be downloaded:\n  {error}"
            f"\nDownload {download.zip} by hand from {PAGE}, put it into"
            f" {str(bundle.parent)!r} and run again."
            + (f" Its SHA-256 must be {digest}." if digest else "")
        ) from error


def _need_room(download, part):
    """Raise if the disk has no room for zip and CSV."""
    got = part.stat().st_size if part.exists() else 0
    need = (download.zip_bytes or 5e7) - got + (download.csv_bytes or 3.5e8)
    free = shutil.disk_usage(part.parent).free
    if free < need:
        raise InputError(
            f"the disk of {str(part.parent)!r} has {free / 1e6:,.0f} MB free, but the"
            f" TEDS-D file of {download.year} needs {need / 1e6:,.0f} MB; the"
            " environment variable SUDLIB_CACHE names another folder"
        )


def _extract(download, bundle, table):
    """Write the CSV in a zip beside it, and hold it against its SHA-256."""
    limit = download.csv_bytes or 2**31
    try:
        with zipfile.ZipFile(bundle) as opened:
            member = _table_in(opened, bundle.name)
            if member.file_size > limit:
                raise InputError(
                    f"{bundle.name} is refused: {member.filename} would have"
                    f" {member.file_size:,} bytes, more than the {limit:,} allowed"
                )
            with _whole_file(table) as part:
                digest = hashlib.sha256()
                with opened.open(member) as source, open(part, "wb") as stream:
                    while block := source.read(BLOCK):
                        digest.update(block)
                        stream.write(block)
                if download.csv_sha256 not in (None, digest.hexdigest()):
                    raise InputError(
                        f"{member.filename} in {bundle.name} is not the agency's file"
                        f" of {download.year}: its SHA-256 is {digest.hexdigest()},"
                        f" the agency's {download.csv_sha256}"
                    )
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{bundle.name} in {str(bundle.parent)!r} cannot be unpacked ({error});"
            " delete it and run again"
        ) from error
