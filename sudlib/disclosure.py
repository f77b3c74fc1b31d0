"""Small-cell suppression: no group of fewer than ten people is shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib.files import InputError
from sudlib.validation import check_whole, numbers

#: Fewest people in a group that is shown.
MINIMUM_COUNT = 10


def suppress(count: int, minimum: int = MINIMUM_COUNT) -> str:
    """Return a number of people as text, suppressed when it is small.

    Parameters
    ----------
    count : int
        People in a group.
    minimum : int, default=10
        Smaller counts are suppressed.

    Returns
    -------
    str

    Examples
    --------
    >>> suppress(1139), suppress(3), suppress(0)
    ('1,139', 'under 10', 'under 10')
    """
    people = _people(count, minimum)
    return f"{int(people):,}" if people >= minimum else f"under {minimum}"


def _people(counts: ArrayLike, minimum: int) -> NDArray[np.float64]:
    """Return counts of people, once they are whole and the minimum hides somebody."""
    check_whole("minimum", minimum, 1)
    people = numbers("counts", counts, 0, column=False)
    if (people % 1 != 0).any():
        raise InputError("counts of people must be whole numbers")
    return people


def suppress_counts(
    counts: pd.Series | Mapping[str, int],
    *,
    minimum: int = MINIMUM_COUNT,
    other: str = "all others",
) -> pd.Series:
    """Return a table of counts without small cells.

    Small cells are put together into one; when that is still too small, the next
    smallest joins it, so that nothing can be worked out from the total (complementary
    suppression).

    Parameters
    ----------
    counts : pandas.Series or mapping
        People, by group.
    minimum : int, default=10
        Smaller cells are suppressed.
    other : str, default="all others"
        What the cell of the groups put together is called.

    Returns
    -------
    pandas.Series
        Empty when there are fewer than ``minimum`` people in all.

    Raises
    ------
    sudlib.files.InputError
        For what is no whole number from 0 up.

    Examples
    --------
    >>> suppress_counts({"a": 40, "b": 12, "c": 3, "d": 0}).to_dict()
    {'a': 40, 'all others': 15}
    """
    counts = pd.Series(counts)
    counts = pd.Series(_people(counts, minimum), counts.index).astype(int)
    if counts.sum() < minimum:
        return counts.iloc[:0]
    ascending = counts.sort_values(kind="stable")
    together = int((ascending < minimum).sum())
    if not together:
        return counts
    # Groups with nobody tell nothing apart, but their name would be a cell of 0.
    while 0 < ascending.iloc[:together].sum() < minimum:
        together += 1
    # By their places: a name may occur twice.
    common = np.argsort(counts.to_numpy(), kind="stable")[together:]
    shown = counts.iloc[np.sort(common)]
    total = int(ascending.iloc[:together].sum())
    return pd.concat([shown, pd.Series({other: total})]) if total else shown


def join_small_rows(
    counts: pd.DataFrame, *, minimum: int = MINIMUM_COUNT
) -> pd.DataFrame:
    """Return ordered counts in which each row has enough people in every column.

    A row with a small cell is joined with the next; what is left over at the end joins
    the row before it.

    Parameters
    ----------
    counts : pandas.DataFrame
        People: one row a bin, in order; the index is the lower end of the bin.
    minimum : int, default=10
        Fewest people in a cell.

    Returns
    -------
    pandas.DataFrame
        Empty when a whole column has fewer than ``minimum`` people.

    Examples
    --------
    >>> import pandas as pd
    >>> join_small_rows(pd.DataFrame({"a": [4, 7, 12, 3]}, index=[0.0, 0.1, 0.2, 0.3]))
          a
    0.0  11
    0.2  15
    """
    people = _people(counts, minimum)
    frame = pd.DataFrame(counts)
    wide = people.reshape(frame.shape)  # sums of small integer types overflow
    counts = pd.DataFrame(wide, frame.index, frame.columns)
    joined: list[pd.Series] = []
    names: list[object] = []
    waiting = False
    for name, row in counts.iterrows():
        if waiting:
            joined[-1] = joined[-1] + row
        else:
            joined.append(row)
            names.append(name)
        waiting = bool((joined[-1] < minimum).any())
    if waiting and len(joined) > 1:
        last = joined.pop()
        names.pop()
        joined[-1] = joined[-1] + last
        waiting = bool((joined[-1] < minimum).any())
    table = pd.DataFrame(joined, columns=counts.columns, dtype=int)
    table.index = pd.Index(names, name=counts.index.name)
    return table.iloc[:0] if waiting else table
