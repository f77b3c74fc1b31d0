"""Do a study's printed numbers agree with each other?"""

import math

import pandas as pd

from sudlib.book.claims_text import _number
from sudlib.book.printed import published
from sudlib.book.verdicts import _NOISE, _flat, half_unit

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
