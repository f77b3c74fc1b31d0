"""Reading and checking a licensed extract, or drawing the cohort in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sudlib.files import InputError, expand_path, sha256
from sudlib.origin import label
from sudlib.policy.cprd.cohort import sample
from sudlib.policy.cprd.variables import (
    COVARIATES,
    OUTCOME,
    PEOPLE,
    TREATMENTS,
    cached_schema,
)
from sudlib.policy.treatments import Array


def load(
    data: str | Path = "twin", *, people: int = PEOPLE, seed: int = 33
) -> pd.DataFrame:
    """Return the records of a run: a synthetic cohort, or a licensed extract.

    Parameters
    ----------
    data : str or path, default="twin"
        ``"twin"`` draws a synthetic cohort; otherwise the path of a CSV file.  What
        studies A and B run on (``"teds-d-2018"``, or a file of TEDS-D) says
        nothing about diabetes and also draws the synthetic cohort, so that one choice
        of data serves the whole book.
    people : int, default=1139
        Size of the synthetic cohort; a file is always read whole.
    seed : int, default=33
        Seed of the synthetic cohort.

    Returns
    -------
    pandas.DataFrame
        See :func:`read`.
    """
    from sudlib import records, teds

    # The door of studies A and B says what is theirs, so that both doors judge alike.
    kind, place = records.door(data)
    if kind != "file" or teds.is_discharges(place):
        return sample(people, seed=seed)
    return read(data)


def read(source: str | Path) -> pd.DataFrame:
    """Return a licensed extract, checked against the schema.

    Parameters
    ----------
    source : path-like
        A CSV file, one row a person, with exactly the columns of :func:`schema` in any
        order.  Treatments are 0 and 1 (−1 and +1 are accepted).  An empty cell is a
        missing covariate; treatments and the outcome must not be missing.

    Returns
    -------
    pandas.DataFrame
        Columns in the order of the schema, ``attrs`` as for every frame of the book.

    Raises
    ------
    sudlib.files.InputError
        If there is no such file, it is empty, a column is absent, unknown or given
        twice, or a value is not allowed: the message names the column, the row, the
        value, and what is allowed.
    """
    path = expand_path(source)
    if not path.is_file():
        raise InputError(
            'data must be "twin" or the path of a CSV file of the diabetes extract;'
            f" there is no file {str(source)!r}"
        )
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as why:
        raise InputError(f"{path.name} is not a readable CSV file: {why}") from why
    frame = check(raw, name=path.name)
    digest = sha256(path)
    frame.attrs = label(path.name, len(frame), origin="unverified", sha256=digest)
    return frame


def check(frame: pd.DataFrame, name: str = "the records") -> pd.DataFrame:
    """Return records as numbers in the schema's order, or say what does not fit.

    Parameters
    ----------
    frame : pandas.DataFrame
        Text or numbers.
    name : str, default="the records"
        What messages call it.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    sudlib.files.InputError
        See :func:`read`.
    """
    wanted = list(cached_schema().index)
    heads = [str(head).strip() for head in frame.columns]
    # pandas renames the second of two equal heads to "head.1".
    stems = [head.rpartition(".") for head in heads]
    doubled = [stem for stem, _, end in stems if stem in wanted and end.isdecimal()]
    absent = [column for column in wanted if column not in heads]
    unknown = [head for head in heads if head not in wanted and head]
    if doubled:
        raise InputError(f"{name}: the column {doubled[0]!r} is there twice")
    if absent:
        raise InputError(
            f"{name} lacks the column {', '.join(absent)}; it must have"
            f" {', '.join(wanted)}"
        )
    if unknown:
        raise InputError(
            f"{name} has the column {', '.join(unknown)}, which is not in the schema;"
            " leave out what is not used, identifiers above all"
        )
    if not len(frame):
        raise InputError(f"{name} has no rows; at least one person is needed")
    frame = frame.set_axis(heads, axis=1)
    checked = pd.DataFrame({c: _numbers(frame[c], c, name) for c in wanted})
    both = (checked["smoker"] == 1) & (checked["ex_smoker"] == 1)
    if both.any():
        raise InputError(
            f"{name}: smoker and ex_smoker are both 1 in row"
            f" {int(np.flatnonzero(both)[0]) + 1}; a person is at most one of the two"
        )
    return checked


def _numbers(cells: pd.Series, column: str, name: str) -> Array:
    """Return one column as floats, or name the first value that is not allowed."""
    rule = cached_schema().loc[column]
    coded = rule["kind"] in ("yes-no", "treatment")
    text = cells.astype("string").str.strip()
    empty = (text.isna() | text.isin(["", "NA", "NaN", "nan", "."])).to_numpy(bool)
    values = pd.to_numeric(text.mask(empty), errors="coerce")
    values = values.to_numpy(float, na_value=np.nan)
    if rule["kind"] == "treatment" and set(np.unique(values)) <= {-1.0, 1.0}:
        values = (values + 1) / 2
    # whatever is no number compares as not allowed
    allowed = (values >= rule["low"]) & (values <= rule["high"])
    allowed &= np.isin(values, (0.0, 1.0)) | (not coded)
    needed = rule["kind"] in ("treatment", "outcome")
    wrong = ~allowed & (needed | ~empty)
    if not wrong.any():
        return values
    row = int(np.flatnonzero(wrong)[0])
    limits = f"a number from {rule['low']:g} to {rule['high']:g} ({rule['unit']})"
    message = (
        f"{name}: column {column!r} must be {rule['unit'] if coded else limits};"
        f" row {row + 1} is {'empty' if empty[row] else repr(cells.iloc[row])}"
    )
    if empty[row]:
        message += " (treatments and the outcome must not be missing)"
    elif column == "hba1c" and 20 < np.median(values[wrong]) < 200:
        message += " (it looks like mmol/mol: give per cent)"
    more = int(wrong.sum()) - 1
    raise InputError(message + (f", and {more} more rows" if more else ""))


def arrays(records: pd.DataFrame) -> tuple[pd.DataFrame, Array, Array]:
    """Return the covariates, the treatments in −1 and +1, and the drop in HbA1c.

    Parameters
    ----------
    records : pandas.DataFrame
        From :func:`load`.

    Returns
    -------
    covariates : pandas.DataFrame of shape (n, 21)
        With its missing values.
    treatments : numpy.ndarray of int, shape (n, 4)
        Coded -1 and +1.
    drop : numpy.ndarray of shape (n,)
        The outcome to be made large: *minus* the change in HbA1c.
    """
    treatments = 2 * records[list(TREATMENTS)].to_numpy(int) - 1
    return records[list(COVARIATES)], treatments, -records[OUTCOME].to_numpy(float)
