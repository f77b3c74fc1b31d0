"""A claim of a study, our number for it, and the verdict (floor 4).

What the studies print is data (``data/claims/study_*.csv``); what a notebook finds is
a result file.  :func:`compare` joins the two and :func:`check_printed` asks whether the
printed numbers agree with each other.  Taught on the page *How to read this book*;
its results are the page *Claims*.
"""

import difflib
import html
import json
import math
import os
from pathlib import Path

import pandas as pd
from scipy.stats import norm

from sudlib.files import PACKAGE, InputError, data_file

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

STUDIES = {
    "a": "Study A: records drawn as pictures, transfer learning",
    "b": "Study B: kernels, trees, networks and fairness",
    "c": "Study C: outcome-weighted learning for combination therapies",
}

#: Kinds of claims that are no number.
NO_NUMBER = ("matrix", "words", "input")

# Float noise: a number printed with 17 digits is equal when it differs by this.
_NOISE = 1e-12

#: A matrix is four numbers compared at once: Bonferroni keeps the family at 5 %.
FOUR_CELLS = float(norm.ppf(1 - 0.05 / 8))

_CELLS = ("TN", "FP", "FN", "TP")

# How study A splits its rows, to check its printed counts against each other:
# of `whole` a share is set aside (first part: the rest), then halved (second, third).
_SPLITS = (
    (
        "a.general.rows",
        0.30,
        ("a.general.train.rows", None, "a.general.test.rows"),
    ),
    (
        "a.methadone.rows",
        0.30,
        (
            "a.methadone_large.train.rows",
            "a.methadone_large.validation.rows",
            "a.methadone_large.test.rows",
        ),
    ),
    (
        "a.methadone.rows",
        0.10,
        (None, "a.methadone.train.rows", "a.methadone.test.rows"),
    ),
)


# ------------------------------------------------------------- what studies print


def published(study=None):
    """Return what a study prints, one row a claim.

    Parameters
    ----------
    study : {"a", "b", "c"}, optional
        By default all three.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``key``: ``study``, ``cohort``, ``model``, ``metric``, ``kind``
        ("score", "share", "ratio", "count", "matrix", "words": a statement, or
        "input": a setting or a meaning that a page can only use, not find),
        ``printed`` (the text as printed), ``value`` (a float, NaN for a matrix and for
        words), ``matrix`` (rows true 0 and 1, or None), ``decimals`` (None where
        nothing was rounded), ``standard_error``,
        ``exact`` (the unrounded number where an output shows it), ``condition``,
        ``where``, ``years``, ``rows`` (people the number is computed on), ``same_as``
        (the claim it repeats) and ``reason`` (why it cannot be reproduced).

    Raises
    ------
    InputError
        For a study that is not one of the three.

    Examples
    --------
    >>> claim = published("a").loc["a.general.forest.f05"]
    >>> claim["printed"], claim["rows"]
    ('0.67', 93424)
    """
    if study is None:
        return pd.concat([published(name) for name in STUDIES])
    if study not in STUDIES:
        raise InputError(f"study must be one of {', '.join(STUDIES)}, not {study!r}")
    table = pd.read_csv(
        data_file(f"claims/study_{study}.csv"), dtype=str, keep_default_na=False
    )
    table["study"] = study
    table = table.rename(columns={"value": "printed"})
    matrix = table["kind"] == "matrix"
    table["value"] = [
        math.nan if kind in NO_NUMBER else float(text)
        for text, kind in zip(table["printed"], table["kind"], strict=True)
    ]
    table["matrix"] = [
        json.loads(text) if drawn else None
        for text, drawn in zip(table["printed"], matrix, strict=True)
    ]
    for name, convert in (
        ("decimals", int),
        ("standard_error", float),
        ("exact", float),
        ("rows", int),
    ):
        table[name] = pd.Series(
            [convert(text) if text else None for text in table[name]], dtype=object
        )
    table["years"] = [
        tuple(int(year) for year in text.split()) for text in table["years"]
    ]
    return table.set_index("key")


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


# ------------------------------------------------------------------ joining the two


def finished_results():
    """Return the folder that holds the results of the other notebooks.

    It is ``SUDLIB_FINISHED`` if that is set; during ``make book`` the results of the
    same build; otherwise the quick build's, or those of notebooks run by hand.

    Returns
    -------
    pathlib.Path
        It need not exist.
    """
    if os.environ.get("SUDLIB_FINISHED"):
        return Path(os.environ["SUDLIB_FINISHED"])
    writing = os.environ.get("SUDLIB_RESULTS")
    if writing:
        writing = Path(writing)
        # In a build a notebook writes to <build>/logs/unfinished first.
        beside = writing.parent.parent / "results"
        return beside if writing.name == "unfinished" else writing
    root = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").exists() else Path()
    quick = root / "_build" / "quick" / "results"
    return quick if quick.is_dir() else root / "_build" / "interactive" / "results"


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


# ----------------------------------------------- do the printed numbers agree at all?


def from_matrix(matrix):
    """Return the scores that follow from a confusion matrix.

    Parameters
    ----------
    matrix : list of list of int
        Rows true 0 and 1, columns predicted 0 and 1.

    Returns
    -------
    dict of str to float
        ``f05``, ``f1``, ``precision``, ``recall``, ``accuracy``,
        ``balanced_accuracy`` and ``roc_auc`` (of the labels: it equals the balanced
        accuracy); NaN where a denominator is zero.

    Examples
    --------
    >>> round(from_matrix([[90, 10], [30, 20]])["f05"], 4)
    0.5882
    """
    tn, fp, fn, tp = _flat(matrix)

    def share(part, whole):
        return part / whole if whole else math.nan

    recall, specificity = share(tp, tp + fn), share(tn, tn + fp)
    balanced = (recall + specificity) / 2
    return {
        "f05": share(1.25 * tp, 1.25 * tp + 0.25 * fn + fp),
        "f1": share(2 * tp, 2 * tp + fn + fp),
        "precision": share(tp, tp + fp),
        "recall": recall,
        "accuracy": share(tp + tn, tn + fp + fn + tp),
        "balanced_accuracy": balanced,
        "roc_auc": balanced,
    }


def check_printed(printed=None):
    """Return what the printed numbers say about each other; no data are needed.

    Parameters
    ----------
    printed : pandas.DataFrame, optional
        From :func:`published`; by default study A, whose outputs allow it.

    Returns
    -------
    pandas.DataFrame
        One row a check: ``key``, ``check`` (what it is held against), ``printed``,
        ``expected`` (both as text) and ``agrees``.
    """
    printed = published("a") if printed is None else printed
    rows = [
        *_check_rounding(printed),
        *_check_scores(printed),
        *_check_totals(printed),
        *_check_splits(printed),
        *_check_odds(printed),
    ]
    return pd.DataFrame(rows, columns=["key", "check", "printed", "expected", "agrees"])


def _check_rounding(printed):
    for key, claim in printed.iterrows():
        exact = claim["exact"]
        if exact is not None:
            yield (
                key,
                "the number in the output",
                _number(claim["value"], claim),
                _number(exact, claim),
                abs(exact - claim["value"]) <= half_unit(claim["decimals"]) + _NOISE,
            )


def _check_scores(printed):
    for key, claim in printed.iterrows():
        stem, _, score = key.rpartition(".")
        other = f"{stem}.confusion"
        if other not in printed.index or claim["kind"] == "matrix":
            continue
        expected = from_matrix(printed.loc[other, "matrix"]).get(score)
        if expected is None:
            continue
        near = half_unit(claim["decimals"]) + _NOISE
        yield (
            key,
            "its confusion matrix",
            _number(claim["value"], claim),
            _number(expected, claim),
            abs(expected - claim["value"]) <= near,
        )


def _check_totals(printed):
    """Check that a cohort's matrices hold as many people as said, and the same ones."""
    completed = {}
    for key, claim in printed[printed["kind"] == "matrix"].iterrows():
        tn, fp, fn, tp = (int(cell) for cell in _flat(claim["matrix"]))
        cohort = key.rsplit(".", 2)[0]
        said = _count(printed, f"{cohort}.test.rows")
        if said is not None:
            yield _same(key, "the rows of its test set", tn + fp + fn + tp, said)
        if cohort in completed:
            check = "people who completed, in the cohort's other matrices"
            yield _same(key, check, fn + tp, completed[cohort])
        completed.setdefault(cohort, fn + tp)


def _check_splits(printed):
    """Check counts of rows against the splits that are said to have made them."""
    for whole, aside, parts in _SPLITS:
        total = _count(printed, whole)
        known = [part and _count(printed, part) for part in parts]
        if total is None or not any(known):
            continue
        fits = [
            rows
            for rows in range(total - 100, total + 101)
            if all(
                said in (None, made)
                for said, made in zip(known, split_sizes(rows, aside), strict=True)
            )
        ]
        named = " and ".join(f"{part:,}" for part in known if part)
        between = " to ".join(f"{end:,}" for end in sorted({*fits[:1], *fits[-1:]}))
        check = f"rows that split into {named}"
        yield whole, check, f"{total:,}", between or "none near", total in fits
    rows = _count(printed, "a.general.train.rows")
    watched = None if rows is None else int(0.3 * rows)
    for part, made in (
        ("images", rows and rows - watched),
        ("validation_images", watched),
    ):
        said = _count(printed, f"a.general.train.{part}")
        if said is not None and made is not None:
            check = "the rows to train, split 70/30"
            yield _same(f"a.general.train.{part}", check, said, made)
    sample, *halves = (
        _count(printed, f"a.methadone.{part}.rows")
        for part in ("sample", "train", "test")
    )
    if sample is not None and None not in halves:
        yield _same("a.methadone.sample.rows", "its two halves", sample, sum(halves))


def _count(printed, key):
    """Return a printed count, or None where there is no such claim."""
    return int(printed.loc[key, "value"]) if key in printed.index else None


def _same(key, check, said, made):
    """Return the row of a check that two counts are equal."""
    return key, check, f"{said:,}", f"{made:,}", said == made


def _check_odds(printed):
    """Check study B's equalized odds against the rates printed beside them."""
    value = printed["value"]
    for key, claim in printed.iterrows():
        stem, _, last = key.rpartition(".")
        if ".equalized_odds." in key and last == "difference":
            parts = [value.get(f"{stem}.{rate}_difference") for rate in ("tpr", "fpr")]
            if None in parts:
                parts = [
                    value[f"{stem}.max_{rate}"] - value[f"{stem}.min_{rate}"]
                    for rate in ("tpr", "fpr")
                ]
            said, expected = "the larger of its two printed differences", max(parts)
            agrees = abs(expected - claim["value"]) <= 0.01 + _NOISE
        elif last == "equalized_odds_ratio":
            expected = value.get(f"{stem}.equal_opportunity_ratio")
            expected = value.get(f"{stem}.worst_case_ratios", expected)
            said = "at most the printed equal opportunity ratio"
            agrees = claim["value"] <= expected
        else:
            continue
        yield (
            key,
            said,
            _number(claim["value"], claim),
            _number(expected, claim),
            bool(agrees),
        )


def split_sizes(rows, aside):
    """Return the sizes that scikit-learn's ``train_test_split`` makes, called twice.

    Parameters
    ----------
    rows : int
        Rows to split.
    aside : float
        Share that is set aside; it is then split in halves.

    Returns
    -------
    tuple of int
        The rest and the two halves.

    Examples
    --------
    >>> split_sizes(622_821, 0.30)
    (435974, 93423, 93424)
    """
    away = math.ceil(rows * aside)
    half = math.ceil(away * 0.5)
    return rows - away, away - half, half


def _consistency(checks):
    """Return "agrees" or "disagrees" for each key that has a check."""
    every = checks.groupby("key")["agrees"].all()
    return {key: "agrees" if good else "disagrees" for key, good in every.items()}


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


_STYLE = """<style>
table.claims{--line:#8886;--good:#0b6b3a;--bad:#a4262c;--made:#6a3d9a;--still:#555b63;
 border-collapse:collapse;width:100%;font-size:.9em;line-height:1.4;color:inherit}
html[data-theme=dark] table.claims,body[data-jp-theme-light=false] table.claims{
 --good:#7ddba3;--bad:#ff9a93;--made:#cfb3ff;--still:#b6bcc4}
table.claims caption{caption-side:top;text-align:left;font-weight:600;color:inherit}
table.claims :is(th,td){text-align:left;vertical-align:top;white-space:normal;
 padding:.45em .7em .45em 0;border:0;border-bottom:1px solid var(--line);
 background:none;color:inherit}
table.claims tr{background:none!important}
table.claims tr.group th{padding-top:1.2em;border-bottom:2px solid var(--line)}
table.claims th[scope=row]{font-weight:500;width:33%}
table.claims small{display:block;font-size:.86em;font-weight:400}
table.claims .number{font-variant-numeric:tabular-nums}
table.claims .verdict{font-weight:600;color:var(--still)}
table.claims .verdict:is(.reproduced,.agrees){color:var(--good)}
table.claims .verdict:is(.differs,.disagrees){color:var(--bad)}
table.claims .verdict.synthetic{color:var(--made);font-style:italic}
@media (max-width:700px){
 table.claims thead{position:absolute;width:1px;height:1px;overflow:hidden;
  clip-path:inset(50%)}
 table.claims,table.claims :is(tbody,caption,tr,td,th){display:block;width:auto}
 table.claims tr{border-bottom:2px solid var(--line);padding:.5em 0}
 table.claims tr.group{border-bottom:0}
 table.claims :is(td,th[scope=row]){border:0;padding:.15em 0;width:auto}
 table.claims td[data-label]:not(:empty)::before{content:attr(data-label) ": ";
  font-weight:600}
 table.claims td:empty{display:none}
}
</style>"""

_SIGNS = {
    "reproduced": "✓",
    "differs": "✗",
    "agrees": "✓",
    "disagrees": "✗",
    "synthetic": "≈",
    "used as printed": "=",
    "used otherwise": "≠",
}


def badge(word):
    """Return a verdict as HTML: its word, its sign and a class for its colour.

    Examples
    --------
    >>> badge("differs")
    '<span class="verdict differs">✗ differs</span>'
    """
    text = f"{_SIGNS[word]} {word}" if word in _SIGNS else word
    return f'<span class="verdict {word.replace(" ", "-")}">{text}</span>'


def show(table, *, caption="", links=False):
    """Return a table of claims as HTML, for a notebook to display.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare`.
    caption : str, optional
        What the table shows, in one sentence.
    links : bool, default=False
        Link each number to the page that computed it (for the claims page, which
        stands beside them).

    Returns
    -------
    IPython.display.HTML
        Readable in light and dark mode; on a phone each claim becomes a card.
    """
    from IPython.display import HTML

    return HTML(_STYLE + to_html(table, caption=caption, links=links))


def to_html(table, *, caption="", links=False):
    """Return the HTML of :func:`show` without its style sheet, as text."""
    heads = ("Claim", "The study", "Ours (95 % interval)", "Verdict")
    # Roles are said outright: as cards on a phone the cells are no table cells.
    lines = ['<table class="claims" role="table">']
    if caption:
        lines.append(f"<caption>{html.escape(caption)}</caption>")
    names = "".join(
        f'<th scope="col" role="columnheader">{name}</th>' for name in heads
    )
    lines.append(f'<thead role="rowgroup"><tr role="row">{names}</tr></thead>')
    lines.append('<tbody role="rowgroup">')
    group = None
    for key in dict.fromkeys(table.index):
        arms = [row for _, row in table.loc[[key]].iterrows()]
        first = arms[0]
        title = ": ".join(part for part in (first["cohort"], first["model"]) if part)
        if title != group:
            group = title
            title = html.escape(title[0].upper() + title[1:])
            lines.append(
                '<tr class="group" role="row"><th scope="rowgroup" role="rowheader"'
                f' colspan="{len(heads)}">{title}</th></tr>'
            )
        cells = (
            _paper_cell(first),
            "".join(_ours_cell(row, links) for row in arms),
            _verdict_cell(first),
        )
        lines.append(
            f'<tr role="row" data-key="{key}"><th scope="row" role="rowheader">'
            f"{_claim_cell(first)}</th>"
            + "".join(
                f'<td role="cell" data-label="{name}">{cell}</td>'
                for name, cell in zip(heads[1:], cells, strict=True)
            )
            + "</tr>"
        )
    return "\n".join([*lines, "</tbody></table>"])


def _small(*parts):
    """Return the parts that are not empty as one line of small print."""
    text = "; ".join(str(part) for part in parts if part)
    return f"<small>{html.escape(text)}</small>" if text else ""


def _claim_cell(row):
    return html.escape(row["metric"]) + _small(row["condition"], row["where"])


def _paper_cell(row):
    full = html.escape(row["printed"])
    number = f'<span class="number" title="{full}">{paper_text(row)}</span>'
    if row["consistent"] != "disagrees":
        return number
    return f"{number}<small>{badge('disagrees')} with other printed numbers</small>"


def _ours_cell(row, links):
    text = our_text(row)
    if not text:
        return ""
    number = f'<span class="number">{html.escape(text)}</span>'
    if links:
        number = f'<a href="{row["notebook"]}.html">{number}</a>'
    return (
        f"<div>{number}"
        + _small(
            *(
                ()
                if row["kind"] == "input"  # it depends on no records
                else ("synthetic" if row["synthetic"] else row["data"], row["arm"])
            ),
            f"{row['n']:,} people" if row["n"] else "",
            row["note"],
        )
        + "</div>"
    )


def _verdict_cell(row):
    text = badge(row["verdict"]) + _small(row["reason"])
    unsaid = row["verdict"] == "cannot be reproduced"
    unsaid |= row["kind"] in ("words", "input")
    if row["gap"] is None or unsaid:
        return text
    if row["kind"] == "count":
        gap = f"{row['gap']:+,.0f}, tolerance {row['tolerance']:,.0f}"
    elif row["kind"] == "matrix":
        gap = f"{100 * row['gap']:+.1f} points, tolerance {100 * row['tolerance']:.1f}"
        gap += ", in the cell furthest out"
    else:
        gap = f"{row['gap']:+.3f}, tolerance {row['tolerance']:.3f}"
    return text + _small(f"gap {gap}")


def page_table(run, keys=None, *, caption=""):
    """Return this notebook's numbers beside the study's, for the end of a page.

    Parameters
    ----------
    run : sudlib.runs.Run
        The run whose claims are shown (anything with ``notebook`` and ``claims``).
    keys : list of str, optional
        Claims to show, in this order; by default those the run has numbers for, in
        the order of the study.  A key that ends in a dot stands for all that begin
        with it.
    caption : str, optional
        What the table shows, in one sentence.

    Returns
    -------
    IPython.display.HTML

    Raises
    ------
    InputError
        If a key is no claim of a study.
    """
    every = published()
    if keys is None:
        wanted = {ours["key"] for ours in run.claims}
        given = (every.index.isin(wanted)) | every["same_as"].isin(wanted)
        chosen = list(every.index[given])
    else:
        chosen = []
        for key in keys:
            found = [
                name
                for name in every.index
                if name == key or (key.endswith(".") and name.startswith(key))
            ]
            if not found:
                raise InputError(f"no study makes the claim {key!r}")
            chosen += [name for name in found if name not in chosen]
    result = {"notebook": run.notebook, "claims": run.claims}
    return show(compare([result], every.loc[chosen]), caption=caption)
