"""When a number of ours reproduces a printed one, and when no verdict is given."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from sudlib.files import InputError
from sudlib.origin import ORIGINS

#: Every verdict, in the order in which a table counts them, with what it means.
VERDICTS = {
    "reproduced": "our number lies within the tolerance of the printed one",
    "differs": "our number lies outside the tolerance",
    "inconsistent": "another printed number, or its own definition, contradicts it",
    "synthetic": "computed on made-up records: shown beside, never a verdict",
    "not comparable": "a file not verified, another year, few rows or another recipe",
    "cannot be reproduced": "what the study leaves out cannot be filled in",
    "used as printed": "a setting or a meaning, no result; the page's code uses it",
    "used otherwise": "a setting or a meaning that the page replaces, and why",
    "not in this copy": "no run of this copy computes it, such as a count of real rows",
}


#: The study's own recipe; a number of any other arm is shown but not judged.
PUBLISHED_ARM = "published"


#: Below this share of the rows the study tested on, a real file gets no verdict.
ENOUGH_ROWS = 0.9


# Float noise: a number printed with 17 digits is equal when it differs by this.
_NOISE = 1e-12


#: A matrix is four numbers compared at once: Bonferroni keeps the family at 5%.
FOUR_CELLS = NormalDist().inv_cdf(1 - 0.05 / 8)


def half_unit(decimals: int | None) -> float:
    """Return half a unit of the last printed decimal; 0 where nothing was rounded.

    Parameters
    ----------
    decimals : int or None

    Returns
    -------
    float

    Examples
    --------
    >>> half_unit(2), half_unit(None)
    (0.005, 0.0)
    """
    return 0.0 if decimals is None else 0.5 * 10.0**-decimals


def tolerance(
    paper: float,
    ours: float,
    *,
    decimals: int | None = None,
    standard_error: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> float:
    r"""Return how far our number may lie from the printed one.

    With :math:`r` half a unit of the last printed decimal, :math:`s` the printed
    standard error (0 if none) and :math:`h` the length of our 95% interval on the
    side of the printed number (0 without an interval), it is
    :math:`r + \sqrt{h^2 + (2s)^2}`.

    Parameters
    ----------
    paper, ours : float
        The printed number and ours.
    decimals : int, optional
        Decimals printed; None for a number that was not rounded, such as a count.
    standard_error : float, optional
        The printed standard error.
    low, high : float, optional
        Ends of our 95% interval.

    Returns
    -------
    float

    Examples
    --------
    >>> round(tolerance(0.67, 0.66, decimals=2, low=0.653, high=0.667), 4)
    0.012
    """
    end = high if paper > ours else low
    side = 0.0 if end is None or math.isnan(end) else end - ours
    if side * (paper - ours) < 0:
        side = 0.0  # the interval does not reach towards the printed number at all
    return half_unit(decimals) + math.hypot(side, 2 * (standard_error or 0.0))


def judge(gap: float, allowed: float) -> str:
    """Return ``"reproduced"`` or ``"differs"``; a gap equal to the tolerance is in.

    Parameters
    ----------
    gap : float
        Our number minus the printed one.
    allowed : float
        The tolerance.

    Returns
    -------
    str

    Examples
    --------
    >>> judge(0.665 - 0.67, 0.005), judge(0.0051, 0.005)
    ('reproduced', 'differs')
    """
    slack = _NOISE * max(1.0, abs(gap))
    return "reproduced" if abs(gap) <= allowed + slack else "differs"


def compare_matrices(paper: Any, ours: Any) -> tuple[float, float]:
    """Return the gap and tolerance of two confusion matrices, in shares of all rows.

    Each of the four cells is a share of its matrix.  A cell may differ by the 95%
    limit of the difference of two shares that are the same in truth (both matrices
    are samples), with Bonferroni's correction for four cells.  Returned is the cell
    that is furthest out, so that the matrix is reproduced if and only if this cell is.

    Parameters
    ----------
    paper, ours : list of list of int
        Rows true 0 and 1, columns predicted 0 and 1.

    Returns
    -------
    gap, tolerance : float

    Examples
    --------
    >>> compare_matrices([[50, 10], [20, 20]], [[500, 100], [200, 200]])[0]
    0.0
    """
    first, second = _flat(paper), _flat(ours)
    n, m = sum(first), sum(second)
    if not n or not m:
        raise InputError("a confusion matrix needs at least one row, got one without")
    cells = []
    for one, two in zip(first, second, strict=True):
        share = (one + two) / (n + m)
        allowed = FOUR_CELLS * math.sqrt(share * (1 - share) * (1 / n + 1 / m))
        cells.append((two / m - one / n, allowed))
    return max(cells, key=lambda cell: abs(cell[0]) - cell[1])


def _flat(matrix: Any) -> list[float]:
    """Return TN, FP, FN, TP, or say what a confusion matrix must look like."""
    try:
        cells = [float(cell) for row in matrix for cell in row]
        shape = [len(row) for row in matrix]
    except TypeError:
        cells, shape = [], []
    if shape != [2, 2] or any(cell < 0 for cell in cells):
        raise InputError(
            "a confusion matrix must be two rows of two counts, rows true 0 and 1,"
            f" not {matrix!r}"
        )
    return cells


def why_not_comparable(claim: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Return why a number gets no verdict; empty when it gets one.

    Parameters
    ----------
    claim : mapping
        A row of :func:`published`.
    ours : dict
        A claim of a result file.

    Returns
    -------
    str
    """
    reasons = []
    if ours.get("synthetic") is not False:  # what is not shown to be real is not
        reasons.append(ORIGINS["unverified"])
    if ours.get("arm") not in (None, PUBLISHED_ARM):
        reasons.append(f"another recipe than the study's ({ours['arm']})")
    years = tuple(sorted(ours.get("years") or ()))
    if claim["years"] and years != claim["years"]:
        ran = " and ".join(map(str, years)) or "unknown"
        said = " and ".join(map(str, claim["years"]))
        reasons.append(f"year {ran}, the claim is about {said}")
    if claim["years"] and ours.get("size") not in (None, "paper"):
        reasons.append("quick size: a smaller run than the study's")
    if claim["rows"] and claim["kind"] != "count":
        if ours.get("n") is None:
            reasons.append("the number of rows is not recorded")
        elif ours["n"] < ENOUGH_ROWS * claim["rows"]:
            reasons.append(f"too few rows: {ours['n']:,} of {claim['rows']:,}")
    if ours.get("value") is None:
        reasons.append("our number is undefined")
    return "; ".join(reasons)


def _gap(claim: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[float, float]:
    """Return gap and tolerance of one number of ours."""
    kind, value = claim["kind"], ours["value"]
    if kind == "matrix":
        return compare_matrices(claim["matrix"], value)
    if kind in ("words", "input"):
        read = is_same_input if kind == "input" else _are_same_words
        return float(not read(claim["printed"], value)), 0.0
    paper, decimals, exact = claim["value"], claim["decimals"], claim["exact"]
    if exact is not None and abs(exact - paper) <= half_unit(decimals) + _NOISE:
        paper, decimals = exact, None  # known to more digits than the printed number
    more = {"standard_error": claim["standard_error"], "decimals": decimals}
    more |= {"low": ours.get("low"), "high": ours.get("high")}
    return float(value) - paper, tolerance(paper, float(value), **more)


def _are_same_words(printed: str, used: Any) -> bool:
    return str(used).casefold() == printed.casefold()


def is_same_input(printed: str, used: Any) -> bool:
    """Return whether a page uses a setting as it is printed.

    Parameters
    ----------
    printed : str
        A text, or a number, list or grid in JSON.
    used : object
        What the page's code really uses.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_same_input("[0.1, 1, 10]", (0.1, 1, 10)), is_same_input("0.2", 0.25)
    (True, False)
    """
    try:
        said = json.loads(printed)
    except json.JSONDecodeError:
        return _are_same_words(printed, used)
    # Through JSON and back: a tuple is a list, None is null, 10 is 10.0.
    return json.loads(json.dumps(used)) == said
