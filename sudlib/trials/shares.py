"""Shares of groups and the difference of two, with intervals."""

from __future__ import annotations

import math

import pandas as pd
from scipy import stats

from sudlib.classes import code_column, code_outcomes
from sudlib.estimates import Estimate
from sudlib.files import InputError
from sudlib.validation import check_choice, check_columns, check_confidence, check_whole


def share(events: int, people: int, confidence_level: float = 0.95) -> Estimate:
    """Return a share with Wilson's interval.

    Parameters
    ----------
    events, people : int
        How many of how many.
    confidence_level : float, default=0.95
        Of the interval.

    Returns
    -------
    sudlib.estimates.Estimate

    Examples
    --------
    >>> print(share(204, 283))
    0.721 (0.666 to 0.770)
    """
    check_confidence(confidence_level)
    people = check_whole("people", people)
    if not 0 <= check_whole("events", events) <= people or people == 0:
        raise InputError(f"a share needs some of some people, not {events}/{people}")
    test = stats.binomtest(int(events), int(people))
    low, high = map(float, test.proportion_ci(confidence_level, "wilson"))
    return Estimate(events / people, low, high, n=int(people))


def shares(outcome: pd.Series, by: pd.Series) -> pd.DataFrame:
    """Return the share of each group with an outcome, among those where it is known.

    Parameters
    ----------
    outcome : pandas.Series
        0 and 1, or bool; NaN where it is not known.
    by : pandas.Series
        Each person's group; series with other indexes are matched by their labels.

    Returns
    -------
    pandas.DataFrame
        Indexed by group: ``people``, ``events``, ``value``, ``low`` and ``high``.

    Examples
    --------
    >>> shares(pd.Series([1, 0, 1, None]), pd.Series(["a", "a", "b", "b"]))["value"]
    a    0.5
    b    1.0
    Name: value, dtype: float64
    """
    if isinstance(outcome, pd.Series) and isinstance(by, pd.Series):
        if not outcome.index.equals(by.index):  # the same people by their labels
            if not (outcome.index.is_unique and by.index.is_unique):
                raise InputError(
                    "outcome and by have different indexes, which are not unique"
                )
            outcome, by = outcome.align(by, join="inner")
    check_columns(outcome=outcome, by=by)
    outcome, by = pd.Series(outcome), pd.Series(by)
    known = (outcome.notna().to_numpy()) & by.notna().to_numpy()
    code_column("by", by[known])  # or raise: 1 and "1" would be two groups
    events = code_outcomes(outcome=outcome[known])[0].astype(int)
    named = by[known].reset_index(drop=True).rename(None)
    groups = pd.Series(events).groupby(named, observed=True)
    table = groups.agg(people="size", events="sum")
    estimates = [share(row.events, row.people) for row in table.itertuples()]
    for end in ("value", "low", "high"):
        table[end] = [getattr(each, end) for each in estimates]
    return table


def difference(table: pd.DataFrame, first: str, second: str) -> Estimate:
    """Return the share of one group minus that of another (Newcombe's interval).

    The interval is method 10 of Newcombe (1998), "Interval estimation for the
    difference between independent proportions".

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`shares`.
    first, second : str
        Two of its groups.

    Returns
    -------
    sudlib.estimates.Estimate

    Examples
    --------
    >>> two = pd.DataFrame(
    ...     {"value": [0.7, 0.6], "low": [0.573, 0.491], "high": [0.804, 0.700]},
    ...     index=["a", "b"],
    ... )
    >>> print(difference(two, "a", "b"))
    0.100 (−0.062 to 0.251)
    """
    for name in (first, second):
        check_choice("the group", name, table.index)
        check_whole(f"rows of {name!r}", int((table.index == name).sum()), 1, 1)
    a, b = table.loc[first], table.loc[second]
    gap = a["value"] - b["value"]
    down = math.hypot(a["value"] - a["low"], b["high"] - b["value"])
    up = math.hypot(a["high"] - a["value"], b["value"] - b["low"])
    return Estimate(gap, gap - down, gap + up)
