"""Read, write and download TEDS-D files of any year.

``read`` turns a file of 2015-2023, as CSV, inside its zip or as parquet, into one
schema of small integers and checks it against the codebook.  ``write`` writes the
agency's byte format.  ``fetch`` downloads a year, verifies it and keeps it.

Taught in ``a01_discharge_records``.
"""

import contextlib
import functools
import re
import stat
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from sudlib.files import InputError, sha256
from sudlib.teds import codebook
from sudlib.teds.codebook import MISSING
from sudlib.teds.csv_blocks import _Csv, _schema_name
from sudlib.teds.registry import _official, registry

DUPLICATES = ("error", "drop", "keep")


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
