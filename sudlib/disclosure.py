"""Small-cell suppression."""

import pandas as pd

from sudlib.files import InputError

#: No group of fewer people is shown.
LEAST = 10


def guard(count, least=LEAST):
    """Return a number of people as text, hidden when it is under ten.

    Examples
    --------
    >>> guard(12), guard(3), guard(0)
    ('12', 'under 10', 'under 10')
    """
    return f"{int(count):,}" if count >= least else f"under {least}"


def guard_counts(counts, *, least=LEAST, other="all others"):
    """Return a count table in which no cell is under ten people.

    Small cells are put together into one; when that is still too small, the next
    smallest joins it, so that nothing can be worked out from the total.

    Parameters
    ----------
    counts : pandas.Series
        People, by group.
    least : int, default=10
    other : str, default="all others"

    Returns
    -------
    pandas.Series
        Empty when there are fewer than ``least`` people in all.

    Examples
    --------
    >>> guard_counts(pd.Series({"a": 40, "b": 12, "c": 3, "d": 0})).to_dict()
    {'a': 40, 'all others': 15}
    """
    counts = pd.Series(counts).astype(int)
    if (counts < 0).any():
        raise InputError("counts of people must not be negative")
    if counts.sum() < least:
        return counts.iloc[:0]
    order = counts.sort_values(kind="stable")
    small = order[order < least]
    # Groups with nobody tell nothing apart, but their name would be a cell of 0.
    if small.empty:
        return counts
    taken = list(small.index)
    for name in order.index[len(taken) :]:
        if counts[taken].sum() >= least or counts[taken].sum() == 0:
            break
        taken.append(name)
    kept = counts.drop(taken)
    total = int(counts[taken].sum())
    if total:
        kept = pd.concat([kept, pd.Series({other: total})])
    return kept
