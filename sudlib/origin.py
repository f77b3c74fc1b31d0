"""Where records come from: the agency, a twin, both, or nobody knows.

The label fails closed: records are *real* only where the hash of their file is the
agency's; whatever cannot be shown to be real is not called so.  A frame loses its
``attrs`` in a merge, a concat or a file, so made-up cases are known by their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_string_dtype

from sudlib.validation import check_frame

SYNTHETIC_CASES = 8_000_000
"""Made-up cases are numbered from here within their year; the agency's stay below.

A CASEID is the year and seven digits.  Every real one seen begins with a 1 after the
year, so a file of made-up records can be told from a real one, whoever renames it.
"""

ORIGINS = {
    "real": "real records",
    "synthetic": "made-up records",
    "mixture": "made-up records among others",
    "unverified": "records of a reader's file (not verified)",
}
"""Every origin, in the words of a page."""

IS_SYNTHETIC = {"real": False, "synthetic": True, "mixture": True, "unverified": None}
"""What ``attrs["synthetic"]`` says of each origin; None is not known."""


def label(
    data: str,
    rows: int,
    *,
    years: Iterable[int] = (),
    origin: str = "synthetic",
    **more: Any,
) -> dict[str, Any]:
    """Return what a frame of records keeps in its ``attrs``.

    Parameters
    ----------
    data : str
        What the records are called on a page.
    rows : int
        Rows of the whole file, or of the whole draw.
    years : iterable of int, optional
        Years of discharge.
    origin : str, default="synthetic"
        A key of :data:`ORIGINS`.
    **more
        What else is known, such as ``sha256``.

    Returns
    -------
    dict
    """
    known = {"data": data, "years": list(years), "synthetic": IS_SYNTHETIC[origin]}
    return known | {"origin": origin, "sha256": None, "rows_in_file": rows} | more


def made_up_cases(cases: Any) -> NDArray[np.bool_]:
    """Return which case numbers are of made-up records.

    Parameters
    ----------
    cases : array-like
        CASEID, as numbers or text.

    Returns
    -------
    numpy.ndarray of bool

    Examples
    --------
    >>> made_up_cases([20181000001, "20188000001", None]).tolist()
    [False, True, False]
    """
    given = pd.Series(cases)
    if not pd.api.types.is_integer_dtype(given.dtype):
        given = pd.to_numeric(given.astype(object), errors="coerce").fillna(0)
    numbers = given.to_numpy(np.int64, na_value=0)
    year, number = np.divmod(numbers, 10_000_000)
    return (year > 1900) & (year < 2100) & (number >= SYNTHETIC_CASES)


def _like_cases(column: pd.Series) -> bool:
    """Return whether the numbers of a column are a year and seven digits each."""
    if isinstance(column.dtype, pd.CategoricalDtype) or is_string_dtype(column):
        kinds = pd.Series(column.unique(), dtype=object)
        column = pd.to_numeric(kinds, errors="coerce")
    kind = column.dtype
    if not pd.api.types.is_numeric_dtype(kind) or getattr(kind, "itemsize", 8) < 8:
        return False
    low, high = column.min(), column.max()
    return bool(pd.notna(low) and 2_015 * 10**7 < low <= high < 2_100 * 10**7)


def origin_of(records: pd.DataFrame) -> str:
    """Return where the records of a frame come from.

    Parameters
    ----------
    records : pandas.DataFrame
        Of any reader of the library, whatever was done to it since.

    Returns
    -------
    {"real", "synthetic", "mixture", "unverified"}
        By the numbers of its cases where it has them, else by its ``attrs``.

    Examples
    --------
    >>> origin_of(pd.DataFrame({"CASEID": [20181000001, 20188000001]}))
    'mixture'
    """
    said = check_frame(records).attrs
    origin = said.get("origin") or ("synthetic" if said.get("synthetic") else "")
    # After a merge there may be CASEID_x and CASEID_y, or another name.
    index = records.index
    parts = [(name, records.iloc[:, at]) for at, name in enumerate(records.columns)]
    parts += [(n, index.get_level_values(i)) for i, n in enumerate(index.names)]
    known = [
        made_up_cases(part)
        for name, part in parts
        if "CASEID" in str(name).upper() or _like_cases(pd.Series(part))
    ]
    made_up = np.concatenate([np.zeros(0, bool), *known])
    if made_up.any():
        return "synthetic" if made_up.all() else "mixture"
    if origin in ("synthetic", "mixture"):
        return origin
    # More rows than the file had are not those of the file.
    whole = len(records) <= said.get("rows_in_file", 0)
    return "real" if said.get("verified") is True and whole else "unverified"


def joint_origin(origins: Iterable[str]) -> str:
    """Return the origin of records that are put together.

    Parameters
    ----------
    origins : iterable of str
        Of each part; none is *real*: nothing made up is there.

    Returns
    -------
    str

    Examples
    --------
    >>> joint_origin(["real", "synthetic"]), joint_origin(["real", "unverified"])
    ('mixture', 'unverified')
    """
    there = set(origins)
    if len(there) <= 1:
        return there.pop() if there else "real"
    return "mixture" if there & {"synthetic", "mixture"} else "unverified"
