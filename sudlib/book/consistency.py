"""Do a study's printed numbers agree with each other?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from sudlib.book.claims_text import _number
from sudlib.book.printed import published
from sudlib.book.verdicts import _NOISE, _flat, half_unit

# How study A splits its rows, to check its printed counts against each other:
# of `whole` a share is set aside (first part: the rest), then halved (second, third).
_LARGE = "a.methadone_large"
_SPLITS = (
    ("a.general.rows", 0.3, ("a.general.train.rows", None, "a.general.test.rows")),
    (
        "a.methadone.rows",
        0.3,
        tuple(f"{_LARGE}.{part}.rows" for part in ("train", "validation", "test")),
    ),
    (
        "a.methadone.rows",
        0.1,
        (None, "a.methadone.train.rows", "a.methadone.test.rows"),
    ),
)


def from_matrix(matrix: Any) -> dict[str, float]:
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

    def share(part: float, whole: float) -> float:
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


def check_printed(printed: pd.DataFrame | None = None) -> pd.DataFrame:
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
    checks = (_check_scores, _check_totals, _check_splits, _check_odds)
    rows = [row for check in checks for row in check(printed)]
    return pd.DataFrame(rows, columns=["key", "check", "printed", "expected", "agrees"])


_Check = tuple[str, str, str, str, bool]


def _number_check(
    key: str, claim: Any, check: str, expected: float, agrees: bool
) -> _Check:
    """Return the row of a check of one printed number."""
    texts = _number(claim["value"], claim), _number(expected, claim)
    return key, check, *texts, bool(agrees)


def _count_check(key: str, check: str, said: int, made: int) -> _Check:
    """Return the row of a check that two counts are equal."""
    return key, check, f"{said:,}", f"{made:,}", said == made


def _check_scores(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check numbers against the unrounded output and against their matrix."""
    for key, claim in printed.iterrows():
        stem, _, score = key.rpartition(".")
        others = [("the number in the output", claim["exact"])]
        if f"{stem}.confusion" in printed.index and claim["kind"] != "matrix":
            scores = from_matrix(printed.loc[f"{stem}.confusion", "matrix"])
            others.append(("its confusion matrix", scores.get(score)))
        for check, expected in others:
            if expected is not None:
                near = half_unit(claim["decimals"]) + _NOISE
                agrees = abs(expected - claim["value"]) <= near
                yield _number_check(key, claim, check, expected, agrees)


def _check_totals(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check that a cohort's matrices hold as many people as said, and the same ones."""
    completed: dict[str, int] = {}
    for key, claim in printed[printed["kind"] == "matrix"].iterrows():
        tn, fp, fn, tp = (int(cell) for cell in _flat(claim["matrix"]))
        cohort = key.rsplit(".", 2)[0]
        said = _count(printed, f"{cohort}.test.rows")
        if said is not None:
            yield _count_check(key, "the rows of its test set", tn + fp + fn + tp, said)
        if cohort in completed:
            check = "people who completed, in the cohort's other matrices"
            yield _count_check(key, check, fn + tp, completed[cohort])
        completed.setdefault(cohort, fn + tp)


def _check_splits(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check counts of rows against the splits that are said to have made them."""
    for whole, share, parts in _SPLITS:
        total = _count(printed, whole)
        known = [part and _count(printed, part) for part in parts]
        if total is None or not any(known):
            continue
        fits = [
            rows
            for rows in range(total - 100, total + 101)
            if all(
                said in (None, made)
                for said, made in zip(known, split_sizes(rows, share), strict=True)
            )
        ]
        named = " and ".join(f"{part:,}" for part in known if part)
        between = " to ".join(f"{end:,}" for end in sorted({*fits[:1], *fits[-1:]}))
        check = f"rows that split into {named}"
        yield whole, check, f"{total:,}", between or "none near", total in fits
    rows = _count(printed, "a.general.train.rows") or 0
    validation = int(0.3 * rows)
    for name, made in (
        ("images", rows - validation),
        ("validation_images", validation),
    ):
        said = _count(printed, f"a.general.train.{name}")
        if rows and said is not None:
            check = "the rows to train, split 70/30"
            yield _count_check(f"a.general.train.{name}", check, said, made)
    sample, train, test = (
        _count(printed, f"a.methadone.{part}.rows")
        for part in ("sample", "train", "test")
    )
    if sample and train and test:
        key = "a.methadone.sample.rows"
        yield _count_check(key, "its two halves", sample, train + test)


def _count(printed: pd.DataFrame, key: str) -> int | None:
    """Return a printed count, or None where there is no such claim."""
    return int(printed.loc[key, "value"]) if key in printed.index else None


def _check_odds(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check study B's equalized odds against the rates printed beside them."""
    value = printed["value"]
    for key, claim in printed.iterrows():
        stem, _, last = key.rpartition(".")
        if ".equalized_odds." in key and last == "difference":
            gaps = [value.get(f"{stem}.{rate}_difference") for rate in ("tpr", "fpr")]
            if None in gaps:
                gaps = [
                    value[f"{stem}.max_{rate}"] - value[f"{stem}.min_{rate}"]
                    for rate in ("tpr", "fpr")
                ]
            check, expected = "the larger of its two printed differences", max(gaps)
            agrees = abs(expected - claim["value"]) <= 0.01 + _NOISE
        elif last == "equalized_odds_ratio":
            expected = value.get(f"{stem}.equal_opportunity_ratio")
            expected = value.get(f"{stem}.worst_case_ratios", expected)
            check = "at most the printed equal opportunity ratio"
            agrees = claim["value"] <= expected
        else:
            continue
        yield _number_check(key, claim, check, expected, agrees)


def split_sizes(rows: int, aside: float) -> tuple[int, int, int]:
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


def _consistency(checks: pd.DataFrame) -> dict[str, str]:
    """Return "agrees" or "disagrees" for each key that has a check."""
    every = checks.groupby("key")["agrees"].all()
    return {key: "agrees" if good else "disagrees" for key, good in every.items()}
