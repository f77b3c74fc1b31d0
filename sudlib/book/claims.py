"""A claim of a study, our number for it, and the verdict.

What the studies print is data (``data/claims/study_*.csv``); what a notebook finds is
a result file.  :func:`compare` joins the two and :func:`check_printed` asks whether the
printed numbers agree with each other.  Taught on the page *How to read this book*;
its results are the page *Claims*.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pandas as pd

from sudlib.book.consistency import check_printed
from sudlib.book.printed import published
from sudlib.book.verdicts import (
    PUBLISHED_ARM,
    VERDICTS,
    _gap,
    judge,
    why_not_comparable,
)
from sudlib.files import InputError


def compare(
    results: Mapping[str, dict[str, Any]] | Iterable[dict[str, Any]],
    printed: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return every claim beside our numbers for it, with a verdict.

    Parameters
    ----------
    results : dict or list of dict
        Result files, as a notebook's ``run.finish()`` writes them; a dict's values
        are taken.
    printed : pandas.DataFrame, optional
        From :func:`published`; by default all studies.

    Returns
    -------
    pandas.DataFrame
        One row for each claim and number of ours (one without a number where there
        is none): the columns of :func:`published`, then ``notebook``, ``arm``,
        ``ours``, ``low``, ``high``, ``n``, ``synthetic``, ``data``, ``gap``,
        ``tolerance``, ``verdict``, ``reason``, ``note`` and ``consistent`` ("agrees",
        "disagrees" or "" when nothing printed could be held against it).

    Raises
    ------
    InputError
        If a result names a claim that no study makes, naming the nearest.
    """
    every = published()
    printed = every if printed is None else printed
    numbers: dict[str, list[dict[str, Any]]] = {}
    for result in results.values() if isinstance(results, Mapping) else results:
        for ours in result["claims"]:
            key = ours["key"]
            if key not in every.index:
                near = difflib.get_close_matches(key, every.index, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise InputError(
                    f"{result['notebook']}: no study makes the claim {key!r}{hint}"
                )
            numbers.setdefault(key, []).append({"notebook": result["notebook"], **ours})
    rows = []
    for key, claim in printed.iterrows():
        of_key = numbers.get(key) or numbers.get(claim["same_as"]) or [{}]
        for ours in sorted(of_key, key=_published_first):
            rows.append({**_row(claim, ours), "key": key})
    # As objects, so that None stays None and a count stays a whole number.
    table = pd.DataFrame(rows, dtype=object, columns=["key", *printed, *_ADDED])
    return _with_consistency(table.set_index("key"), _checks())


@cache
def _checks() -> pd.DataFrame:
    """Return what all printed numbers say about each other, worked out once."""
    return check_printed()


def _with_consistency(table: pd.DataFrame, checks: pd.DataFrame) -> pd.DataFrame:
    """Say which printed numbers others contradict: a verdict that needs no records.

    It stands where our number gives none; its reason is the check that failed.
    """
    words = {True: "agrees", False: "disagrees"}
    consistent = checks.groupby("key")["agrees"].all().map(words)
    table["consistent"] = [consistent.get(key, "") for key in table.index]
    failed = checks[~checks["agrees"]].drop_duplicates("key").set_index("key")
    for key in failed.index.intersection(table.index):
        rows = (table.index == key) & ~table["verdict"].isin(_SETTLED)
        table.loc[rows, "verdict"] = "inconsistent"
        check, expected = failed.loc[key, ["check", "expected"]]
        table.loc[rows, "reason"] = f"{check[:1].upper()}{check[1:]}: {expected}."
    return table


# Verdicts that our own number gives, whatever other printed numbers say.
_SETTLED = ("reproduced", "differs", "used as printed", "used otherwise")

# What a row of `compare` has beyond a row of `published`: of ours, then the verdict.
_OURS = ("notebook", "arm", "low", "high", "n", "note", "data")
_ADDED = (
    "notebook arm ours low high n note synthetic data gap tolerance verdict".split()
)


def _published_first(ours: Mapping[str, Any]) -> tuple[bool, str]:
    arm = ours.get("arm")
    return arm not in (None, PUBLISHED_ARM), str(arm)


def _row(claim: pd.Series, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of :func:`compare`; ``ours`` is empty where there is no number."""
    row = {**claim, **dict.fromkeys(_ADDED), **{name: ours.get(name) for name in _OURS}}
    row["ours"], row["verdict"] = ours.get("value"), "not in this copy"
    if row["ours"] is not None:
        row["gap"], row["tolerance"] = _gap(claim, ours)
    is_input = claim["kind"] == "input"  # what is used does not depend on the records
    row["synthetic"] = bool(ours.get("synthetic")) and not is_input
    if claim["reason"]:
        row["verdict"] = "cannot be reproduced"
    elif ours and is_input:
        row["verdict"] = "used as printed" if row["gap"] == 0 else "used otherwise"
    elif ours and row["synthetic"]:
        row["verdict"] = "synthetic"
    elif ours:
        row["reason"] = why_not_comparable(claim, ours)
        row["verdict"] = "not comparable"
        if not row["reason"]:
            row["verdict"] = judge(row["gap"], row["tolerance"])
    return row


def count_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many claims have which verdict, by study.

    A claim with several numbers counts once, by that of the study's own recipe.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare`.

    Returns
    -------
    pandas.DataFrame
        Rows studies, columns verdicts.
    """
    once = table[~table.index.duplicated()]
    counts = pd.crosstab(once["study"], once["verdict"])
    return counts.reindex(columns=list(VERDICTS), fill_value=0)
