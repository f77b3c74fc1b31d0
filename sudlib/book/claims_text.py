"""A claim and our number for it, in words."""

import json

from sudlib.book.verdicts import _flat, is_same_input

_CELLS = ("TN", "FP", "FN", "TP")


def paper_text(claim, error=True):
    """Return the printed number as text, at most four decimals.

    Parameters
    ----------
    claim : mapping
        A row of :func:`published`.
    error : bool, default=True
        With the printed standard error, if there is one.

    Examples
    --------
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


def our_text(row):
    """Return our number with its interval as text; empty where there is none.

    Parameters
    ----------
    row : mapping
        A row of :func:`compare`.
    """
    if row["ours"] is None:
        return ""
    if row["kind"] == "matrix":
        return matrix_text(row["ours"])
    if row["kind"] == "words":
        return str(row["ours"])
    if row["kind"] == "input":
        used = row["ours"]
        if is_same_input(row["printed"], used):
            return "as printed"
        return used if isinstance(used, str) else json.dumps(used)
    text = _number(float(row["ours"]), row, ours=True)
    if row["low"] is not None and row["high"] is not None:
        low, high = (
            _number(float(row[end]), row, ours=True) for end in ("low", "high")
        )
        text += f" ({low} to {high})"
    return text


def describe(claim):
    """Return what a claim is about, in words.

    Examples
    --------
    >>> describe(published("a").loc["a.methadone.forest.f05"])
    'F0.5, tuned random forest, opioid treatment with medication'
    """
    parts = (claim["metric"], claim["model"], claim["cohort"])
    return ", ".join(part for part in parts if part)


def matrix_text(matrix):
    """Return a confusion matrix as four shares and the number of rows.

    Examples
    --------
    >>> matrix_text([[50, 10], [20, 20]])
    'TN 50.0%, FP 10.0%, FN 20.0%, TP 20.0% of 100'
    """
    cells = _flat(matrix)
    shares = ", ".join(
        f"{name} {cell / sum(cells):.1%}"
        for name, cell in zip(_CELLS, cells, strict=True)
    )
    return f"{shares} of {sum(cells):,.0f}"


def _number(value, claim, ours=False):
    """Return a number with the decimals its claim prints, at most 4; ours one more."""
    if claim["kind"] == "count":
        return f"{value:,.0f}"
    decimals = min(claim["decimals"] or 0, 4)
    if ours and claim["kind"] != "ratio":
        decimals = min(max(decimals + 1, 3), 4)
    return f"{value:.{decimals}f}"
