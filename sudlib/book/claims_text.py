"""A claim and our number for it, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sudlib.book.verdicts import _flat, is_same_input

#: How the note of a number begins that was recorded at full size.
AT_FULL_SIZE = "at full size"

# Part of a condition: what the study itself calls a number.
_OWN = "printed verdict "


def own_verdict(claim: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the study itself calls a number, and the rest of its condition.

    Parameters
    ----------
    claim : mapping
        A row of :func:`published`.

    Returns
    -------
    tuple of str
        Such as ``("FAIR", "C = 1")``; each is empty where there is none.
    """
    parts = (claim.get("condition") or "").split("; ")
    own = [part for part in parts if part.startswith(_OWN)]
    rest = [part for part in parts if part not in own]
    return " ".join(part.removeprefix(_OWN) for part in own), "; ".join(rest)


def paper_text(claim: Mapping[str, Any], error: bool = True) -> str:
    """Return the printed number as text, at most four decimals.

    Parameters
    ----------
    claim : mapping
        A row of :func:`published`.
    error : bool, default=True
        With the printed standard error, if there is one.

    Returns
    -------
    str

    Examples
    --------
    >>> from sudlib.book import published
    >>> paper_text(published("a").loc["a.general.transfer.precision"])
    '0.9204'
    """
    if claim["kind"] == "matrix":
        return matrix_text(claim["matrix"])
    if claim["kind"] in ("words", "input"):
        return claim["printed"]
    text = _number(claim["value"], claim)
    if error and claim["standard_error"] is not None:
        text += f" (standard error {_number(claim['standard_error'], claim)})"
    return text


def our_text(row: Mapping[str, Any]) -> str:
    """Return our number with its interval as text; empty where there is none.

    Parameters
    ----------
    row : mapping
        A row of :func:`compare`.

    Returns
    -------
    str
    """
    ours, kind = row["ours"], row["kind"]
    if ours is None:
        return ""
    if kind == "matrix":
        return matrix_text(ours)
    if kind == "input" and is_same_input(row["printed"], ours):
        return "as printed"
    if kind in ("words", "input"):
        return ours if isinstance(ours, str) else json.dumps(ours)
    ends = [] if None in (row["low"], row["high"]) else [row["low"], row["high"]]
    # value and interval have as many decimals as the largest of them
    largest = max(abs(float(number)) for number in (ours, *ends))
    text = _number(ours, row, largest)
    if ends:
        text += f" ({' to '.join(_number(end, row, largest) for end in ends)})"
    return text


def describe(claim: Mapping[str, Any]) -> str:
    """Return what a claim is about, in words.

    Parameters
    ----------
    claim : mapping
        A row of :func:`published`.

    Returns
    -------
    str

    Examples
    --------
    >>> from sudlib.book import published
    >>> describe(published("a").loc["a.methadone.forest.f05"])
    'F0.5, tuned random forest, opioid treatment with medication'
    """
    parts = (claim["metric"], claim["model"], claim["cohort"])
    return ", ".join(part for part in parts if part)


def matrix_text(matrix: Any) -> str:
    """Return a confusion matrix as four shares and the number of rows.

    Parameters
    ----------
    matrix : list of list of int
        Rows true 0 and 1, columns predicted 0 and 1.

    Returns
    -------
    str

    Examples
    --------
    >>> matrix_text([[50, 10], [20, 20]])
    'TN 50.0%, FP 10.0%, FN 20.0%, TP 20.0% of 100'
    """
    tn, fp, fn, tp = cells = _flat(matrix)
    named = {"TN": tn, "FP": fp, "FN": fn, "TP": tp}.items()
    shares = ", ".join(f"{name} {cell / sum(cells):.1%}" for name, cell in named)
    return f"{shares} of {sum(cells):,.0f}"


def _number(value: Any, claim: Mapping[str, Any], ours: float | None = None) -> str:
    """Return a number with the decimals its claim prints, at most 4; ours one more.

    ``ours`` is the largest of our numbers that stand together: from 10 up, none more.
    """
    if claim["kind"] == "count":
        return f"{float(value):,.0f}"
    decimals = min(claim["decimals"] or 0, 4)
    if ours is not None and claim["kind"] != "ratio" and ours < 10:
        decimals = min(max(decimals + 1, 3), 4)
    return f"{float(value):.{decimals}f}"
