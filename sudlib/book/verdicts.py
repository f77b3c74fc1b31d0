"""When a number of ours reproduces a printed one, and when no verdict is given."""

import json
import math

from scipy.stats import norm

from sudlib.files import InputError

#: Every verdict, in the order in which a table counts them, with what it means.
VERDICTS = {
    "reproduced": "our number lies within the tolerance of the printed one",
    "differs": "our number lies outside the tolerance",
    "synthetic": "computed on made-up records: shown beside, never a verdict",
    "not comparable": "a real file, but of another year, too small, or another recipe",
    "cannot be reproduced": "what the study leaves out cannot be filled in",
    "used as printed": "a setting or a meaning, no result; the page's code uses it",
    "used otherwise": "a setting or a meaning that the page replaces, and why",
    "not yet run": "no notebook of this book computes it yet",
}


#: The study's own recipe; a number of any other arm is shown but not judged.
PUBLISHED_ARM = "published"


#: Below this share of the rows the study tested on, a real file gets no verdict.
ENOUGH_ROWS = 0.9


# Float noise: a number printed with 17 digits is equal when it differs by this.
_NOISE = 1e-12


#: A matrix is four numbers compared at once: Bonferroni keeps the family at 5 %.
FOUR_CELLS = float(norm.ppf(1 - 0.05 / 8))


# ---------------------------------------------------------------------- the rule


def half_unit(decimals):
    """Return half a unit of the last printed decimal; 0 where nothing was rounded.

    Examples
    --------
    >>> half_unit(2), half_unit(None)
    (0.005, 0.0)
    """
    return 0.0 if decimals is None else 0.5 * 10.0**-decimals


def tolerance(paper, ours, *, decimals=None, standard_error=None, low=None, high=None):
    r"""Return how far our number may lie from the printed one.

    With :math:`r` half a unit of the last printed decimal, :math:`s` the printed
    standard error (0 if none) and :math:`h` the length of our 95 % interval on the
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
        Ends of our 95 % interval.

    Returns
    -------
    float

    Examples
    --------
    >>> round(tolerance(0.67, 0.66, decimals=2, low=0.653, high=0.667), 4)
    0.012
    """
    end = high if paper > ours else low
    side = 0.0 if end is None or math.isnan(end) else max(0.0, abs(end - ours))
    if end is not None and (end - ours) * (paper - ours) < 0:
        side = 0.0  # the interval does not reach towards the printed number at all
    spread = 2 * (standard_error or 0.0)
    return half_unit(decimals) + math.hypot(side, spread)


def judge(gap, allowed):
    """Return ``"reproduced"`` or ``"differs"``; a gap equal to the tolerance is in.

    Examples
    --------
    >>> judge(0.665 - 0.67, 0.005), judge(0.0051, 0.005)
    ('reproduced', 'differs')
    """
    slack = _NOISE * max(1.0, abs(gap))
    return "reproduced" if abs(gap) <= allowed + slack else "differs"


def compare_matrices(paper, ours):
    """Return the gap and tolerance of two confusion matrices, in shares of all rows.

    Each of the four cells is a share of its matrix.  A cell may differ by the 95 %
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
    worst = None
    for one, two in zip(first, second, strict=True):
        gap = two / m - one / n
        share = (one + two) / (n + m)
        allowed = FOUR_CELLS * math.sqrt(share * (1 - share) * (1 / n + 1 / m))
        excess = abs(gap) - allowed
        if worst is None or excess > worst[0]:
            worst = (excess, gap, allowed)
    return worst[1], worst[2]


def _flat(matrix):
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


def why_not_comparable(claim, ours):
    """Return why a number of a real file gets no verdict; empty when it gets one.

    Parameters
    ----------
    claim : mapping
        A row of :func:`published`.
    ours : dict
        A claim of a result file.
    """
    reasons = []
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


def _gap(claim, ours):
    """Return gap and tolerance of one number of ours."""
    if claim["kind"] == "matrix":
        return compare_matrices(claim["matrix"], ours["value"])
    if claim["kind"] == "words":
        same = str(ours["value"]).casefold() == claim["printed"].casefold()
        return float(not same), 0.0
    if claim["kind"] == "input":
        return float(not is_same_input(claim["printed"], ours["value"])), 0.0
    paper, decimals = claim["value"], claim["decimals"]
    exact = claim["exact"]
    if exact is not None and abs(exact - paper) <= half_unit(decimals) + _NOISE:
        paper, decimals = exact, None  # known to more digits than the printed number
    value = float(ours["value"])
    allowed = tolerance(
        paper,
        value,
        decimals=decimals,
        standard_error=claim["standard_error"],
        low=ours.get("low"),
        high=ours.get("high"),
    )
    return value - paper, allowed


def is_same_input(printed, used):
    """Return whether a page uses a setting as it is printed.

    Parameters
    ----------
    printed : str
        A text, or a number, list or grid in JSON.
    used : object
        What the page's code really uses.

    Examples
    --------
    >>> is_same_input("[0.1, 1, 10]", (0.1, 1, 10)), is_same_input("0.2", 0.25)
    (True, False)
    """
    try:
        said = json.loads(printed)
    except json.JSONDecodeError:
        return str(used).casefold() == printed.casefold()
    # Through JSON and back: a tuple is a list, None is null, 10 is 10.0.
    return json.loads(json.dumps(used)) == said
