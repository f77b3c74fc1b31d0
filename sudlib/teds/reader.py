"""Read TEDS-D files of any year into one schema, checked against the codebook."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sudlib.files import InputError, expand_path
from sudlib.origin import label, made_up_cases
from sudlib.teds import codebook, gate, registry
from sudlib.teds.codebook import MISSING
from sudlib.teds.csv_blocks import WORKERS, CsvBlocks
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
        ``data`` (file name), ``years``, ``origin`` (see :data:`sudlib.origin.ORIGINS`;
        made-up cases are known by their numbers), ``synthetic`` (False only if the
        hash is the agency's, None if nothing is shown), ``sha256`` (of the CSV, also
        inside a zip), ``rows_in_file``, ``dropped`` (repeated rows), ``verified`` (the
        hash is the agency's) and ``blanks`` (cells by column).

    Raises
    ------
    InputError
        If the file is missing, cut off, not a TEDS-D file (of admissions, say), lacks
        a column that is asked for, repeats a CASEID, or holds a cell that is no code
        of its variable: then the message names column, row, value, what is allowed,
        and how many.

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
    if os.path.isdir(path):
        raise InputError(f"{str(path)!r} is a folder; a file is needed")
    if not os.path.isfile(path):  # nor a pipe, which can be read only once
        raise InputError(f"there is no file {str(path)!r}")
    with open_blocks(path) as stream:
        reading = _Reading(stream, columns, year, check, duplicates)
        sources = {reading.sources[name]: name for name in reading.blocks}
        for block in stream.blocks(sources):
            reading.add(block)
        return reading.finish()


def is_discharges(path: Path) -> bool:
    """Return whether a file is one of TEDS-D, by its columns.

    Parameters
    ----------
    path : pathlib.Path
        Of a file that is there.

    Returns
    -------
    bool

    Raises
    ------
    InputError
        If it is no table that can be read, or of admissions (TEDS-A).
    """
    with open_blocks(path) as stream:
        try:
            _choose(stream, None)
        except InputError:
            return False
        gate.check_discharges(stream.header, path.name)
    return True


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
        if check:
            gate.check_discharges(stream.header, stream.name, proof=True)
        if "DISYR" not in self.sources and year is None and check:
            raise InputError(
                f"{stream.name} has no column DISYR, so its year is not known: say"
                f" year={codebook.YEARS[0]} to year={codebook.YEARS[-1]} to teds.read,"
                " or add the column"
            )
        self.rows = self.made_up = 0
        self.wrong: dict[str, list[Any]] = {}  # row, value, count
        self.blanks: dict[str, int] = {}
        self.years = set() if self.year is None else {self.year}

    def add(self, block: dict[str, Any]) -> None:
        """Take one block of rows, as {schema name: column}."""
        cells = {name: gate.to_codes(name, block[name]) for name in self.blocks}
        years = self._years(cells["DISYR"].codes if "DISYR" in cells else None)
        for name, column in cells.items():
            self._check(name, column, years)
            self.blocks[name].append(column.codes)
        if "CASEID" in cells:
            self.made_up += int(made_up_cases(cells["CASEID"].codes).sum())
        self.rows += len(next(iter(block.values())))

    def _years(self, values: NDArray[Any] | None) -> tuple[int, ...]:
        """Return the years in a block; they choose the codes that are allowed."""
        if values is None:
            return (self.year,) if self.year else ()
        present = set(np.unique(values).tolist())
        other = sorted(present - {self.year, MISSING})
        if self.check and self.year is not None and other:
            raise InputError(
                f"{self.stream.name} has records of {', '.join(map(str, other))} in"
                f" DISYR, but year={self.year} was given; records.load(..., years="
                f"({self.year},)) takes that year's of a file of several"
            )
        years = tuple(sorted(present & set(codebook.YEARS)))
        self.years.update(years)
        return years

    def _check(self, name: str, cells: gate.Cells, years: tuple[int, ...]) -> None:
        """Note the first cell that is no code of its variable, and how many are."""
        bad = cells.wrong
        if self.check and name != "YEAR" and (years or name == "DISYR"):
            others = gate.no_codes(name, cells.codes, years)
            bad = others if bad is None else bad | others
        if cells.blank is not None and cells.blank.any():
            self.blanks[name] = self.blanks.get(name, 0) + int(cells.blank.sum())
            # A blank cell is no claim about the codebook.
            bad = bad & ~cells.blank if name != "DISYR" and bad is not None else bad
        if bad is not None and bad.any():
            first = int(np.argmax(bad))
            is_wrong = cells.wrong is not None and cells.wrong[first]
            value = (cells.given if is_wrong else cells.codes)[first]
            note = self.wrong.setdefault(name, [self.rows + first + 1, value, 0])
            note[2] += int(bad.sum())

    def finish(self) -> pd.DataFrame:
        """Raise what is wrong, or return the frame."""
        stream = self.stream
        if self.wrong:
            raise InputError(self._complaint())
        if not self.rows:
            raise InputError(f"{stream.name} has a header but no records")
        digest = stream.digest()
        verified = self._verify(digest)
        with ThreadPoolExecutor(WORKERS) as pool:
            names = [*self.blocks]  # no second copy of the whole table
            parts = pool.map(lambda name: np.concatenate(self.blocks.pop(name)), names)
            data = dict(zip(names, parts, strict=True))
        self._check_cases(data)
        repeated = self._repeated(data)
        origin = "real" if verified else "unverified"
        if self.made_up:
            origin = "synthetic" if self.made_up == self.rows else "mixture"
        elif stream.synthetic:
            origin = "synthetic"
        # No second copy of the whole table.
        frame = pd.DataFrame({name: data[name] for name in self.wanted}, copy=False)
        if repeated is not None:
            frame = frame[~repeated].reset_index(drop=True)
            warnings.warn(
                f"{stream.name}: {int(repeated.sum()):,} of {self.rows:,} rows repeat"
                " the CASEID of an earlier one and are dropped",
                stacklevel=3,
            )
        frame.attrs = label(
            stream.name,
            self.rows,
            years=sorted(self.years),
            origin=origin,
            sha256=digest,
            dropped=self.rows - len(frame),
            verified=verified,
            blanks=dict(sorted(self.blanks.items())),
        )
        if self.blanks:
            listed = ", ".join(f"{k} {v}" for k, v in frame.attrs["blanks"].items())
            warnings.warn(
                f"{stream.name}: {sum(self.blanks.values())} blank cells are read as"
                f" missing ({MISSING}): {listed}",
                stacklevel=3,
            )
        return frame

    def _check_cases(self, data: dict[str, NDArray[Any]]) -> None:
        """Raise if case numbers, which begin with their year, tell another year."""
        if "CASEID" in data and "DISYR" not in data and self.year and self.check:
            said = set((np.unique(data["CASEID"] // 10**7)).tolist())
            other = said.intersection(codebook.YEARS) - {self.year}
            if other:
                raise InputError(
                    f"{self.stream.name}: year={self.year} was given, but its case"
                    f" numbers begin with {', '.join(map(str, sorted(other)))}"
                )

    def _complaint(self) -> str:
        """Return the message on every column with wrong cells."""
        lines = []
        wrong = sorted(self.wrong.items(), key=lambda item: item[1][0])
        for name, (row, value, count) in wrong[:8]:
            others = "" if count == 1 else f" (the first of {count} such cells)"
            lines.append(
                f"{self.sources[name]} is {gate.told(value)} in row {row}, line"
                f" {row + 1}{others}; allowed:"
                f" {gate.spell(name, sorted(self.years) or [2019])}"
            )
        if len(wrong) > 8:
            lines.append(f"and {len(wrong) - 8} more columns")
        late = [year for year in self.years if year > 2019]
        if late and not all(isinstance(note[1], str) for _, note in wrong):
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
        if official is None or not self.check:
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
        if _all_differ(cases):
            return None
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


def _all_differ(cases: NDArray[np.int64]) -> bool:
    """Return whether numbers that lie close together all differ; False if unknown."""
    low, high = int(cases.min()), int(cases.max())
    if high - low >= 8 * len(cases):
        return False
    seen = np.zeros(high - low + 1, bool)
    seen[cases - low] = True
    return int(np.count_nonzero(seen)) == len(cases)


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
    if len(sources) < max(2, min(20, len(header) / 2)):  # readers add columns
        raise InputError(
            f"{stream.name} is not a TEDS-D file: {len(sources)} of its"
            f" {len(header)} columns are TEDS-D's. It begins with"
            f" {', '.join(header[:6])[:200]}; a TEDS-D file has"
            f" {', '.join(codebook.COLUMNS[:6])} …"
        )
    if columns is None:
        return [name for name in codebook.COLUMNS if name in sources], sources
    wanted = codebook.known_names(columns)
    absent = [name for name in wanted if name not in sources]
    if absent:
        raise InputError(
            f"{stream.name} has no column {', '.join(absent)}; it has"
            f" {', '.join(header)}"
        )
    return wanted, sources
