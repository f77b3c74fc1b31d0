"""A claim of a study, our number for it, and the verdict.

What the studies print is data (``data/claims/study_*.csv``); what a notebook finds is
a result file.  :func:`compare` joins the two and :func:`check_printed` asks whether the
printed numbers agree with each other.  Taught on the page *How to read this book*;
its results are the page *Claims*.
"""

import difflib

import pandas as pd

from sudlib.book.consistency import _consistency, check_printed
from sudlib.book.printed import published
from sudlib.book.verdicts import (
    PUBLISHED_ARM,
    VERDICTS,
    _gap,
    judge,
    why_not_comparable,
)
from sudlib.files import InputError


def compare(results, printed=None):
    """Return every claim beside our numbers for it, with a verdict.

    Parameters
    ----------
    results : dict or list of dict
        Result files, as a notebook's ``run.finish()`` writes them; a dict's values
        are taken.
    printed : pandas.DataFrame, optional
        From :func:`published`; by default all three studies.

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
    found = list(results.values() if isinstance(results, dict) else results)
    numbers = {}
    for result in found:
        for ours in result["claims"]:
            key = ours["key"]
            if key not in every.index:
                near = difflib.get_close_matches(key, every.index, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise InputError(
                    f"{result['notebook']}: no study makes the claim {key!r}{hint}"
                )
            numbers.setdefault(key, []).append({"notebook": result["notebook"], **ours})
    consistent = _consistency(check_printed(every))
    rows = []
    for key, claim in printed.iterrows():
        of_key = numbers.get(key) or numbers.get(claim["same_as"]) or [None]
        for ours in sorted(of_key, key=_published_first):
            rows.append({**_row(claim, ours), "key": key})
    # As objects, so that None stays None and a count stays a whole number.
    table = pd.DataFrame(rows, dtype=object, columns=["key", *printed, *_ADDED])
    table = table.set_index("key")
    table["consistent"] = [consistent.get(key, "") for key in table.index]
    return table


# What a row of `compare` has beyond a row of `published`.
_ADDED = (
    *("notebook", "arm", "ours", "low", "high", "n", "note"),
    *("synthetic", "data", "gap", "tolerance", "verdict"),
)


def _published_first(ours):
    arm = ours and ours.get("arm")
    return (arm not in (None, PUBLISHED_ARM), str(arm))


def _row(claim, ours):
    """Return one row of :func:`compare` as a dict."""
    row = {
        **claim.to_dict(),
        **dict.fromkeys(_ADDED),
        "synthetic": False,
        "verdict": "not yet run",
    }
    if ours is not None:
        row |= {
            "notebook": ours["notebook"],
            "ours": ours.get("value"),
            "synthetic": bool(ours.get("synthetic")),
            **{name: ours.get(name) for name in ("arm", "low", "high", "n", "note")},
            "data": ours.get("data"),
        }
        if row["ours"] is not None:
            row["gap"], row["tolerance"] = _gap(claim, ours)
    if claim["reason"]:
        row["verdict"] = "cannot be reproduced"
    elif ours is not None and claim["kind"] == "input":
        same = row["gap"] == 0.0
        row["verdict"] = "used as printed" if same else "used otherwise"
        row["synthetic"] = False  # what is used does not depend on the records
    elif ours is not None and row["synthetic"]:
        row["verdict"] = "synthetic"
    elif ours is not None:
        row["reason"] = why_not_comparable(claim, ours)
        row["verdict"] = (
            "not comparable" if row["reason"] else judge(row["gap"], row["tolerance"])
        )
    return row


# ---------------------------------------------------------------------- what is shown


def count_verdicts(table):
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
