"""Read TEDS-D files of any year into one schema, checked against the codebook."""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sudlib.files import InputError, expand_path
from sudlib.teds import codebook, registry
from sudlib.teds.codebook import MISSING
from sudlib.teds.csv_blocks import CsvBlocks
from sudlib.teds.sources import ParquetBlocks, open_blocks
from sudlib.validation import check_choice

DUPLICATES = ("error", "drop", "keep")


def read(
    source: str | PathLike[str],
    columns: Sequence[str] | str | None = None,
    *,
    year: int | None = None,
    check: bool = True,
    duplicates: str = "error",
) -> pd.DataFrame:
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
    check : bool, default=True
        Check codes, size, hash and case numbers against the codebook and the registry.
        Without it only what cannot be read at all is an error.
    duplicates : {"error", "drop", "keep"}, default="error"
        What to do with a CASEID that occurs again in the same year.

    Returns
    -------
    pandas.DataFrame
        Smallest integer types, -9 where missing, text labels turned back into codes
        and blank cells into -9 (with a warning that counts them).  ``attrs`` hold
        ``data`` (file name), ``years``, ``synthetic`` (made-up cases, recognised by
        their numbers), ``sha256`` (of the CSV, also inside a zip), ``rows_in_file``,
        ``verified`` (the hash is the agency's) and ``blanks`` (cells by column).

    Raises
    ------
    InputError
        If the file is missing, cut off, not a TEDS-D file, lacks a column that is
        asked for, repeats a CASEID, or holds a cell that is no code of its variable:
        then the message names column, row, value, what is allowed, and how many.

    Notes
    -----
    Taught in ``a01_discharge_records``.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from sudlib import teds
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame = pd.DataFrame({"DISYR": [2018], "CASEID": [20181000001], "AGE": [6]})
    ...     path = teds.write(frame, f"{folder}/small.csv")
    ...     read(path, ["AGE"]).AGE.tolist()
    [6]
    """
    check_choice("duplicates", duplicates, DUPLICATES)
    if year is not None:
        year = codebook.check_year(year)
    path = expand_path(source)
    if not path.exists():
        raise InputError(f"there is no file {str(path)!r}")
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; a file is needed")
    with open_blocks(path) as stream:
        reading = _Reading(stream, columns, year, check, duplicates)
        sources = {reading.sources[name]: name for name in reading.blocks}
        for block in stream.blocks(sources):
            reading.add(block)
        return reading.finish()


class _Reading:
    """One pass over a file: columns gathered block by block, and what is wrong."""

    def __init__(
        self,
        stream: CsvBlocks | ParquetBlocks,
        columns: Sequence[str] | str | None,
        year: int | None,
        check: bool,
        duplicates: str,
    ) -> None:
        self.stream, self.year = stream, year
        self.check, self.duplicates = check, duplicates
        self.wanted, self.sources = _choose(stream, columns)
        # These two are needed to check the file, whatever is wanted of it.
        keys = [name for name in ("DISYR", "CASEID") if name in self.sources]
        names = dict.fromkeys([*self.wanted, *keys])
        self.blocks: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
        if "DISYR" not in self.sources and year is None and check:
            named = re.search(r"20\d\d", stream.name)
            if not named or int(named[0]) not in codebook.YEARS:
                raise InputError(
                    f"{stream.name} has no column DISYR, so its year is not known: say"
                    f" year={codebook.YEARS[0]} to year={codebook.YEARS[-1]}"
                )
            self.year = int(named[0])
        self.rows = 0
        self.wrong: dict[tuple[str, str], list[Any]] = {}  # row, value, count
        self.blanks: dict[str, int] = {}
        self.years = set() if self.year is None else {self.year}

    def add(self, block: dict[str, Any]) -> None:
        """Take one block of rows, as {schema name: column}."""
        arrays = {name: self._integers(name, block[name]) for name in self.blocks}
        years = self._years(arrays.get("DISYR"))
        for name, values in arrays.items():
            if self.check:
                self._check(name, values, years)
            self.blocks[name].append(values)
        self.rows += len(next(iter(block.values())))

    def _integers(self, name: str, column: Any) -> NDArray[Any]:
        """Return a column's cells as integers; note those that are none."""
        if isinstance(column, np.ndarray):
            return self._fit(name, column)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if pa.types.is_floating(column.type):  # whole numbers, perhaps
            with contextlib.suppress(pa.ArrowInvalid):
                column = column.cast(pa.int64())
        if pa.types.is_integer(column.type):
            if column.null_count:
                self._count_blanks(name, column.null_count)
                column = column.cast(pa.int64()).fill_null(MISSING)
            return self._fit(name, column.to_numpy())
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        return self._codes_of_texts(name, column)

    def _count_blanks(self, name: str, cells: int) -> None:
        if cells:
            self.blanks[name] = self.blanks.get(name, 0) + cells

    def _fit(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
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

    def _codes_of_texts(self, name: str, column: Any) -> NDArray[Any]:
        """Return text cells as codes: whole numbers, labels of any year, blanks."""
        labels = _labels(name)
        texts = column.dictionary.to_pylist()
        codes = np.full(len(texts) + 1, MISSING, np.int64)
        blank, bad = np.zeros((2, len(texts) + 1), bool)
        blank[-1] = True  # stands for a cell without text
        positions = column.indices.fill_null(len(texts)).to_numpy()
        for position, text in enumerate(texts):
            text = text.strip()
            key, bare = _plain(text), _plain(re.sub(r"^-?\d+\W+", "", text))
            if re.fullmatch(r"[+-]?\d{1,18}", text):
                codes[position] = int(text)
            elif key in labels or bare in labels:  # "1 - Treatment completed"
                codes[position] = labels[key if key in labels else bare]
            # Most areas' names are in no codebook at hand.
            elif not text or (name == "CBSA2010" and re.search("[a-z]", key)):
                blank[position] = True
            else:
                bad[position] = True
        if bad[positions].any():
            cells = np.array([*texts, ""], object)[positions]
            self._note(name, "text", bad[positions], cells)
        self._count_blanks(name, int(blank[positions].sum()))
        return self._fit(name, codes[positions])

    def _years(self, values: NDArray[Any] | None) -> tuple[int, ...]:
        """Return the years in a block; they choose the codes that are allowed."""
        if values is None:
            return (self.year,) if self.year else ()
        present = set(np.unique(values).tolist())
        if self.check:
            unknown = ~np.isin(values, codebook.YEARS)
            if unknown.any():
                self._note("DISYR", "code", unknown, values)
            if self.year is not None and present - {self.year, MISSING}:
                raise InputError(
                    f"{self.stream.name} has records of"
                    f" {', '.join(map(str, sorted(present - {MISSING})))} in DISYR,"
                    f" but year={self.year} was given"
                )
        years = tuple(sorted(present & set(codebook.YEARS)))
        self.years.update(years)
        return years

    def _check(self, name: str, values: NDArray[Any], years: tuple[int, ...]) -> None:
        """Note cells that are no code of their variable in their year."""
        if name in ("DISYR", "YEAR") or not years:
            return
        if name == "CASEID":
            good = (values > 0) | (values == MISSING)
        elif name == "CBSA2010":
            good = ((values > 9999) & (values < 100_000)) | (values == MISSING)
        else:
            good = _allowed(name, years)[values.view(np.uint8)]
            if name in self.blanks:  # a blank cell is no claim about the codebook
                good |= values == MISSING
        if not good.all():
            self._note(name, "code", ~good, values)

    def _note(
        self, name: str, kind: str, bad: NDArray[Any], values: NDArray[Any]
    ) -> None:
        """Remember the first wrong cell of a column and how many there are."""
        first = int(np.argmax(bad))
        note = self.wrong.setdefault(
            (name, kind), [self.rows + first + 1, values[first], 0]
        )
        note[2] += int(bad.sum())

    def finish(self) -> pd.DataFrame:
        """Raise what is wrong, or return the frame."""
        stream = self.stream
        if self.wrong:
            raise InputError(self._complaint())
        if not self.rows:
            raise InputError(f"{stream.name} has a header but no records")
        digest = stream.digest()
        verified = self._verify(digest) if self.check else False
        data = {name: np.concatenate(self.blocks.pop(name)) for name in [*self.blocks]}
        repeated = self._repeated(data)
        cases = data.get("CASEID", np.zeros(1, np.int64))
        made_up = (cases // 10**7 >= codebook.YEARS[0]) & (
            cases % 10**7 >= codebook.SYNTHETIC_CASES
        )
        # No second copy of the whole table.
        frame = pd.DataFrame({name: data[name] for name in self.wanted}, copy=False)
        if repeated is not None:
            frame = frame[~repeated].reset_index(drop=True)
        frame.attrs = {
            "data": stream.name,
            "years": sorted(self.years),
            "synthetic": stream.synthetic or bool(made_up.all()),
            "sha256": digest,
            "rows_in_file": self.rows,
            "verified": verified,
            "blanks": dict(sorted(self.blanks.items())),
        }
        if self.blanks:
            listed = ", ".join(f"{k} {v}" for k, v in frame.attrs["blanks"].items())
            warnings.warn(
                f"{stream.name}: {sum(self.blanks.values())} blank cells are read as"
                f" missing ({MISSING}): {listed}",
                stacklevel=3,
            )
        return frame

    def _complaint(self) -> str:
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
        return "\n  ".join([f"{self.stream.name} does not fit the codebook:", *lines])

    def _verify(self, digest: str) -> bool:
        """Check size and hash against the agency's; return if the hash is known."""
        name = self.stream.name
        if any(digest == each.csv_sha256 for each in registry.read_registry().values()):
            return True
        official = registry.official_download(name)  # of a CSV, never of parquet
        if official is None:
            return False
        rows = None
        with contextlib.suppress(InputError):
            rows = codebook.size(official.year)
        if rows not in (None, self.rows):
            raise InputError(
                f"{name} has {self.rows:,} records, but the agency's file of"
                f" {official.year} has {rows:,}: it is cut off or another file."
                " Download it again; or, if it is a part, give it another name"
            )
        if official.csv_sha256:
            raise InputError(
                f"{name} is not the agency's file of {official.year}: its"
                f" SHA-256 is {digest}, the agency's {official.csv_sha256}. Download it"
                " again; or, if it is meant to be changed, give it another name"
            )
        return False

    def _repeated(self, data: dict[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
        """Return which rows repeat an earlier case and go; None for no row."""
        unasked = self.duplicates == "error" and not self.check
        if "CASEID" not in data or self.duplicates == "keep" or unasked:
            return None
        cases = data["CASEID"]
        if len(self.years) > 1 and "DISYR" in data:
            # Case numbers begin again each year from 2020 on.
            cases = cases + data["DISYR"].astype(np.int64) * 10**12
        again = pd.Series(cases).duplicated().to_numpy()
        repeated = again & (data["CASEID"] != MISSING)
        if self.duplicates == "drop" or not repeated.any():
            return repeated if repeated.any() else None
        second = int(np.argmax(repeated))
        first = int(np.argmax(cases == cases[second]))
        raise InputError(
            f"{self.stream.name}: CASEID {data['CASEID'][second]} of row {first + 1}"
            f" occurs again in row {second + 1}; {int(repeated.sum())} rows repeat an"
            ' earlier one. duplicates="drop" keeps the first of each,'
            ' duplicates="keep" all'
        )


def _choose(
    stream: CsvBlocks | ParquetBlocks, columns: Sequence[str] | str | None
) -> tuple[list[str], dict[str, str]]:
    """Return the columns wanted and the file's own name of each, or raise."""
    header = stream.header
    sources: dict[str, str] = {}
    for source in header:
        name = codebook.schema_name(source)
        if name in (*codebook.COLUMNS, "NUMSUBS", "YEAR"):
            if name in sources:
                raise InputError(
                    f"{stream.name} has the column {name} twice, as {sources[name]} and"
                    f" {source}"
                )
            sources[name] = source
    if len(sources) < 2 or len(sources) < len(header) / 2:
        raise InputError(
            f"{stream.name} is not a TEDS-D file: {len(sources)} of its"
            f" {len(header)} columns are TEDS-D's. It begins with"
            f" {', '.join(header[:6])[:200]}; a TEDS-D file has"
            f" {', '.join(codebook.COLUMNS[:6])} …"
        )
    if columns is None:
        return [name for name in codebook.COLUMNS if name in sources], sources
    columns = [columns] if isinstance(columns, str) else list(columns)
    wanted = [codebook.known_name(name) for name in columns]
    if len(set(wanted)) < len(wanted) or not wanted:
        raise InputError(
            f"columns must name at least one column, and each once, not {columns!r}"
        )
    absent = [name for name in wanted if name not in sources]
    if absent:
        raise InputError(
            f"{stream.name} has no column {', '.join(absent)}; it has"
            f" {', '.join(header)}"
        )
    return wanted, sources


@functools.cache
def _allowed(name: str, years: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return for each code, as an unsigned byte, whether a variable may have it."""
    codes = {code for year in years for code in codebook.codes(name, year)}
    allowed = np.zeros(256, bool)
    allowed[np.array(list(codes), np.int8).view(np.uint8)] = True
    return allowed


def _spell(name: str, years: list[int]) -> str:
    """Return the allowed values of a variable in words: '-9, 1-12'."""
    if name in ("DISYR", "YEAR"):
        return f"{codebook.YEARS[0]}-{codebook.YEARS[-1]}"
    if name in codebook.OPEN:
        return "a whole number" if name == "CASEID" else f"{MISSING} or five digits"
    runs: list[list[int]] = []
    for code in sorted({c for y in years or [2019] for c in codebook.codes(name, y)}):
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _plain(label: str) -> str:
    """Return a label in one spelling, whatever became of its dashes and case."""
    return re.sub(r"[^a-z0-9]+", " ", label.casefold()).strip()


@functools.cache
def _labels(name: str) -> dict[str, int]:
    """Return the code of every known wording of a variable, in one spelling."""
    return {
        _plain(wording): code
        for code, wordings in codebook.wordings(name).items()
        for wording in wordings
    }
