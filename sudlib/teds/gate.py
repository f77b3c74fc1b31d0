"""The gate for records of the schema: official codes, in whatever form they come.

A cell may be a number (1, 1.0, a nullable or a decimal one), text ("1", "01", "1.0"),
a label of any year, or a category of these.  It becomes the code it stands for, or
it is told: what it was, in which row, and what is allowed.  Nothing else is guessed.
"""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sudlib.files import InputError
from sudlib.teds import codebook
from sudlib.teds.codebook import MISSING
from sudlib.validation import check_frame, check_whole

DISCHARGE_ONLY = tuple(
    name
    for name in codebook.COLUMNS
    if name in ("DISYR", "LOS", "REASON") or name.endswith("_D")
)
"""What only records of discharges have; all else is in those of admissions too."""

OLDER_CODES = {"NOPRIOR": range(6)}
"""Codes of the files up to 2014, which frames made here may have too."""

BLANKS = {"", ".", "na", "n/a", "#n/a", "nan", "<na>", "null", "#null!", "nat"}
_WHOLE = re.compile(r"([+-]?\d{1,18})(?:\.0*|,0)?")  # a decimal comma, no thousands


@dataclass(frozen=True)
class Cells:
    """A column's cells as codes.

    Attributes
    ----------
    codes : numpy.ndarray
        In the variable's own type; -9 where a cell is blank or wrong.
    blank, wrong : numpy.ndarray of bool, or None
        Cells that hold nothing, and cells that are no whole number and no label;
        None where there are none.
    given : sequence
        The cells as they were.
    """

    codes: NDArray[Any]
    blank: NDArray[np.bool_] | None
    wrong: NDArray[np.bool_] | None
    given: Sequence[Any] | NDArray[Any]


def to_codes(name: str, column: Any) -> Cells:
    """Return the cells of a variable as codes, without asking the codebook for them.

    Parameters
    ----------
    name : str
        The variable, by its name in the schema.
    column : numpy.ndarray of int, or pyarrow.Array
        Its cells.

    Returns
    -------
    Cells
    """
    if isinstance(column, np.ndarray):
        return _fit(name, column)
    if isinstance(column, pa.ChunkedArray):
        whole = column.num_chunks == 1
        column = column.chunk(0) if whole else column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _of_categories(name, column)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_boolean(kind) and _allowed(name) <= {MISSING, 0, 1}:
        column = column.cast(pa.int8())
    if pa.types.is_integer(column.type):
        if not column.null_count:
            return _fit(name, column.to_numpy())
        blank = column.is_null().to_numpy(zero_copy_only=False)
        values = column.fill_null(0).to_numpy()
        return _fit(name, values, blank)
    if pa.types.is_floating(column.type):
        return _of_floats(name, column)
    if not pa.types.is_string(column.type):
        try:
            column = column.cast(pa.string())
        except pa.ArrowInvalid as error:
            raise InputError(f"{name} holds {kind}, which is no code") from error
        except pa.ArrowNotImplementedError as error:
            raise InputError(f"{name} holds {kind}, which is no code") from error
    return _of_categories(name, column.dictionary_encode())


def _of_categories(name: str, column: pa.DictionaryArray) -> Cells:
    """Return the codes of a column whose distinct values stand beside it."""
    levels = column.dictionary
    if pa.types.is_string(levels.type) or pa.types.is_large_string(levels.type):
        cells = _of_texts(name, levels.to_pylist())
    else:
        cells = to_codes(name, levels)
    n = len(levels)
    places = column.indices.fill_null(n).to_numpy()

    def take(mask: NDArray[np.bool_] | None, end: bool) -> NDArray[np.bool_] | None:
        marks = np.append(np.zeros(n, bool) if mask is None else mask, end)
        return marks[places] if marks[places].any() else None

    given = np.empty(n + 1, object)
    given[:n], given[n] = list(cells.given), None
    return Cells(
        np.append(cells.codes, np.asarray(MISSING, cells.codes.dtype))[places],
        take(cells.blank, True),
        take(cells.wrong, False),
        given[places] if cells.wrong is not None else (),
    )


def _of_floats(name: str, column: pa.Array) -> Cells:
    """Return whole numbers that are written as floats; others are wrong."""
    values = column.to_numpy(zero_copy_only=False)
    blank = np.isnan(values)
    exact = 2.0 ** (np.finfo(values.dtype).nmant + 1)  # beyond it digits are lost
    number = np.where(blank, 0, values)
    wrong = (number != np.rint(number)) | (np.abs(number) >= exact)
    whole = np.where(wrong, 0, number).astype(np.int64)
    cells = _fit(name, whole, blank if blank.any() else None)
    if cells.wrong is not None:
        wrong |= cells.wrong
    cells.codes[wrong] = MISSING
    return Cells(cells.codes, cells.blank, wrong if wrong.any() else None, values)


def _of_texts(name: str, texts: Sequence[str]) -> Cells:
    """Return distinct texts as codes: whole numbers, labels of any year, blanks."""
    labels = _labels(name)
    codes = np.full(len(texts), MISSING, np.int64)
    blank, wrong = np.zeros((2, len(texts)), bool)
    for place, given in enumerate(texts):
        text = given.strip()
        whole, key = _WHOLE.fullmatch(text), plain(text)
        code = int(whole[1]) if whole else labels.get(key)
        if code is None and (begins := re.fullmatch(r"\(?(-?\d+)\W+(.+)", text)):
            # "1 - Treatment completed": number and label must say the same.
            decimal = re.fullmatch(r"-?\d+[.,]\d+", text)
            same = labels.get(plain(begins[2])) == int(begins[1])
            code = int(begins[1]) if same and not decimal else None
        if code is not None:
            codes[place] = code
        # Most areas' names are in no codebook at hand.
        elif text.casefold() in BLANKS or (
            name == "CBSA2010" and re.search("[a-z]", key)
        ):
            blank[place] = True
        else:
            wrong[place] = True
    cells = _fit(name, codes)
    if cells.wrong is not None:
        wrong |= cells.wrong
    return Cells(cells.codes, blank, wrong if wrong.any() else None, texts)


def _fit(
    name: str, values: NDArray[Any], blank: NDArray[np.bool_] | None = None
) -> Cells:
    """Return integers in the variable's own type; what does not fit is wrong."""
    small = np.dtype(codebook.dtype(name))
    wrong = None
    given = values
    if values.dtype != small:
        limits = np.iinfo(small)
        outside = (values < limits.min) | (values > limits.max)
        if outside.any():
            wrong = outside
        values = np.where(outside, 0, values).astype(small)
    unknown = [mask for mask in (blank, wrong) if mask is not None]
    if unknown:
        values = values.copy()
        for mask in unknown:
            values[mask] = MISSING
    return Cells(values, blank, wrong, given)


def no_codes(
    name: str, codes: NDArray[Any], years: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return which integers are no code of their variable in these years.

    Parameters
    ----------
    name : str
        The variable.
    codes : numpy.ndarray of int
        In the variable's own type.
    years : tuple of int
        Years of discharge; with none, the codes of every year and -9 are allowed.

    Returns
    -------
    numpy.ndarray of bool
    """
    if name in ("DISYR", "YEAR"):
        return (codes < codebook.YEARS[0]) | (codes > codebook.YEARS[-1])
    if name == "CASEID":
        return (codes < bool(years)) & (codes != MISSING)
    if name == "CBSA2010":
        return ((codes < 10_000) | (codes > 99_999)) & (codes != MISSING)
    bad = np.ones(len(codes), bool)
    for first, last in _runs(name, years):
        # Below the first wraps around, so that one comparison is enough.
        bad &= codes.view(np.uint8) - np.uint8(first % 256) > last - first
    return bad


@functools.cache
def _runs(name: str, years: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return the codes a variable may have as runs, from the first to the last."""
    runs: list[tuple[int, int]] = []
    for code in sorted(_allowed(name, years)):
        begins = runs.pop()[0] if runs and code == runs[-1][1] + 1 else code
        runs.append((begins, code))
    return tuple(runs)


@functools.cache
def _allowed(name: str, years: tuple[int, ...] = ()) -> frozenset[int]:
    """Return the codes a variable may have in these years, or in any."""
    if years:
        return frozenset(c for year in years for c in codebook.codes(name, year))
    older = OLDER_CODES.get(name, ())
    return frozenset([MISSING, *codebook.wordings(name), *older])


def spell(name: str, years: Iterable[int] = ()) -> str:
    """Return the allowed values of a variable in words: '-9, 1-12'.

    Parameters
    ----------
    name : str
        The variable.
    years : iterable of int
        Years of discharge; with none, those of every year.

    Returns
    -------
    str
    """
    if name in ("DISYR", "YEAR"):
        return f"{codebook.YEARS[0]}-{codebook.YEARS[-1]}"
    if name in codebook.OPEN:
        return "a whole number" if name == "CASEID" else f"{MISSING} or five digits"
    runs = _runs(name, tuple(years))
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def told(value: Any) -> str:
    """Return a wrong cell as messages show it: text in quotes.

    Parameters
    ----------
    value : object
        The cell.

    Returns
    -------
    str
    """
    return repr(value) if isinstance(value, str) else str(value)


def plain(label: str) -> str:
    """Return a label in one spelling, whatever became of its dashes and case.

    Parameters
    ----------
    label : str

    Returns
    -------
    str
    """
    return re.sub(r"[^a-z0-9]+", " ", label.casefold()).strip()


@functools.cache
def _labels(name: str) -> dict[str, int]:
    """Return the code of every known wording of a variable, in one spelling."""
    flag = {"false": 0, "true": 1} if _allowed(name) <= {MISSING, 0, 1} else {}
    return flag | {
        plain(wording): code
        for code, wordings in codebook.wordings(name).items()
        for wording in wordings
    }


def check_discharges(columns: Iterable[Any], what: str, *, proof: bool = False) -> None:
    """Raise if columns are those of admissions (TEDS-A), not of discharges (TEDS-D).

    Files of admissions have the same variables, but for what only the end of a
    treatment brings: :data:`DISCHARGE_ONLY`.

    Parameters
    ----------
    columns : iterable of str
        Of a file or a frame.
    what : str
        What it is, for the message.
    proof : bool, default=False
        Refuse also what nothing shows to be discharges.

    Raises
    ------
    InputError
        Naming what is there and what is not.
    """
    names = {codebook.schema_name(str(column)) for column in columns}
    ends = names.intersection(DISCHARGE_ONLY)
    shared = set(codebook.COLUMNS).difference(DISCHARGE_ONLY, codebook.OPEN)
    whole = len(names & shared) >= 0.9 * len(shared)  # a file with its outcomes cut
    if not ends - {"DISYR"} and (whole or ("ADMYR" in names and not ends)):
        raise InputError(
            f"{what} is of admissions (TEDS-A); discharges (TEDS-D) are needed. How"
            " treatment ended (REASON, LOS, SERVICES_D) is not among the columns"
            + (", ADMYR is" if "ADMYR" in names else "")
            + "; the agency's files of discharges are named tedsd_puf_YEAR"
        )
    if proof and not ends:
        raise InputError(
            f"{what}: nothing shows that these are discharges (TEDS-D) and not"
            f" admissions; one of {', '.join(DISCHARGE_ONLY)} is needed"
        )


def official_codes(
    records: pd.DataFrame,
    needed: Iterable[str] = (),
    *,
    only: Iterable[str] | None = None,
    who: str = "this",
) -> pd.DataFrame:
    """Return records with the official codes as integers, or say what does not fit.

    Every public function that takes records of the schema begins with it.

    Parameters
    ----------
    records : pandas.DataFrame
        Cells may be integers, whole floats, nullable or decimal numbers, text, labels
        of any year, or categories of these.
    needed : iterable of str
        Columns that must be there.
    only : iterable of str, optional
        The columns to look at; None: every column of the schema.
    who : str, default="this"
        Who needs them, for the message.

    Returns
    -------
    pandas.DataFrame
        ``records`` itself where its columns are integers already; else a frame with
        the same index and ``attrs``.  Blank cells become -9, with a warning that
        counts them.

    Raises
    ------
    InputError
        If ``records`` is no frame or of admissions, a column that is needed is absent
        or there twice, or a cell is no code of its variable: the message names
        variable, value, row, number of such cells, and what is allowed.

    Examples
    --------
    >>> import pandas as pd
    >>> records = pd.DataFrame({"SUB1": ["2", "05"], "GENDER": ["Male", "Female"]})
    >>> official_codes(records).to_numpy().tolist()
    [[2, 1], [5, 2]]
    """
    columns = check_frame(records).columns
    check_whole("the number of rows of column names", columns.nlevels, 1, 1)
    for name in columns[columns.duplicated()].intersection(list(codebook.COLUMNS)):
        raise InputError(f"the records have the column {name} twice")
    absent = [name for name in needed if name not in columns]
    if absent:
        raise InputError(
            f"{who} needs the column{'s' * (len(absent) > 1)} {', '.join(absent)};"
            f" the records have {', '.join(map(str, records.columns)) or 'no columns'}"
        )
    check_discharges(records.columns, str(records.attrs.get("data", "the frame")))
    wanted = codebook.COLUMNS if only is None else tuple(only)
    changed: dict[str, NDArray[Any]] = {}
    blanks: dict[str, int] = {}
    wrong: list[str] = []
    for name in records.columns.intersection(wanted):
        column = records[name]
        whole = isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu"
        cells = to_codes(name, column.to_numpy() if whole else _arrow(column))
        bad = no_codes(name, cells.codes, ()) & (cells.codes != MISSING)
        if cells.wrong is not None:
            bad |= cells.wrong
        if bad.any():
            first = int(np.argmax(bad))
            value = column.iloc[first]
            count = int(bad.sum())
            others = f" (the first of {count:,} such cells)" if count > 1 else ""
            wrong.append(
                f"{name} is {told(value)} in row {first + 1} of {len(bad):,}{others};"
                f" allowed: {spell(name)}"
            )
        if cells.blank is not None and cells.blank.any():
            blanks[name] = int(cells.blank.sum())
        if not whole:
            changed[name] = cells.codes
    if wrong:
        more = [f"and {len(wrong) - 8} more columns"] if len(wrong) > 8 else []
        lines = ["the records do not fit the codebook:", *wrong[:8], *more]
        raise InputError("\n  ".join(lines))
    if blanks:
        listed = ", ".join(f"{name} {count}" for name, count in blanks.items())
        warnings.warn(
            f"{sum(blanks.values())} blank cells are read as missing ({MISSING}):"
            f" {listed}",
            stacklevel=3,
        )
    if not changed:
        return records
    return records.assign(**changed)


def code_of(name: str, cell: Any) -> int | None:
    """Return the code that one cell stands for; None if it is blank.

    Parameters
    ----------
    name : str
        The variable.
    cell : object
        A number, a text or a label.

    Returns
    -------
    int or None

    Raises
    ------
    InputError
        If it is no whole number and no label of the variable.
    """
    cells = to_codes(name, _arrow(pd.Series([cell], dtype=object)))
    if cells.wrong is not None:
        raise InputError(f"{name} is {told(cell)}; allowed are {spell(name)}")
    return None if cells.blank is not None and cells.blank[0] else int(cells.codes[0])


def _arrow(column: pd.Series) -> Any:
    """Return a column of any type as an arrow array; odd objects by their text."""
    with contextlib.suppress(pa.ArrowException, TypeError, ValueError):
        return pa.array(column, from_pandas=True)
    texts = [None if pd.isna(cell) else str(cell) for cell in column]
    return pa.array(texts, pa.string())
