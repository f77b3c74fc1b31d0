"""A score held against the truth: measures at a threshold, areas, intervals."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics

from sudlib.estimates import Estimate, exact_limits, percentile_estimate
from sudlib.files import InputError
from sudlib.scores.thresholds import _check
from sudlib.validation import (
    check_confidence,
    check_number,
    check_seed,
    check_whole,
    numbers,
)

#: The measures of an :class:`Evaluation`, in the order of its table.
MEASURES = {
    "f05": "F0.5",
    "precision": "precision",
    "recall": "recall",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "f1": "F1",
    "average_precision": "average precision",
    "brier": "Brier score",
}


_RECALL_GRID = np.linspace(0.01, 1, 100)


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` returns for one score on one set of rows.

    Attributes
    ----------
    estimates : dict of str to sudlib.estimates.Estimate
        By the keys of :data:`MEASURES`.
    matrix : numpy.ndarray of shape (2, 2)
        Confusion matrix, rows true, columns predicted, the positive class last.
    threshold : float
        A row is predicted positive when its score is at least this.
    curve : pandas.DataFrame
        Columns ``precision``, ``recall``, ``threshold``, as scikit-learn has them.
    band : pandas.DataFrame or None
        Columns ``recall``, ``low``, ``high``: pointwise interval of the precision.
    n : int
        Rows.
    draws : pandas.DataFrame
        One row a bootstrap draw, one column a measure.
    """

    estimates: dict[str, Estimate]
    matrix: NDArray[np.int64]
    threshold: float
    curve: pd.DataFrame = field(repr=False)
    band: pd.DataFrame | None = field(repr=False)
    n: int
    draws: pd.DataFrame = field(repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """One row a measure: value, low, high, reason."""
        rows = {MEASURES[k]: each.as_dict() for k, each in self.estimates.items()}
        return pd.DataFrame([*rows.values()], pd.Index(list(rows), name="measure"))


def resamples(
    completed: ArrayLike, n_resamples: int = 1000, seed: int = 33
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the rows of each stratified bootstrap draw, positives then negatives.

    Each class is drawn from itself, with replacement, as often as it has rows.

    Parameters
    ----------
    completed : array-like of 0 and 1, shape (n,)
    n_resamples : int, default=1000
    seed : int, default=33

    Yields
    ------
    positive, negative : numpy.ndarray of int
        Positions **within** the class; ``numpy.flatnonzero(completed)[positive]`` are
        positions in the data.
    """
    (completed,) = _check(completed)
    check_whole("n_resamples", n_resamples)
    random = np.random.default_rng(check_seed(seed))
    positives, negatives = int(completed.sum()), int((~completed).sum())
    for _ in range(n_resamples):
        positive = random.integers(0, max(positives, 1), positives)
        yield positive, random.integers(0, max(negatives, 1), negatives)


def _measures(
    tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike
) -> dict[str, NDArray[np.float64]]:
    """Return the measures at a threshold; NaN where a denominator is 0."""
    tp, fp, fn, tn = (np.asarray(count, float) for count in (tp, fp, fn, tn))
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, specificity = tp / (tp + fn), tn / (tn + fp)
        return {
            "f05": 1.25 * tp / (1.25 * tp + fp + 0.25 * fn),
            "precision": tp / (tp + fp),
            "recall": recall,
            "balanced_accuracy": (recall + specificity) / 2,
            "accuracy": (tp + tn) / (tp + fp + fn + tn),
            "f1": 2 * tp / (2 * tp + fp + fn),
        }


_REASONS = {
    "f05": "nobody is positive, in truth or in prediction",
    "precision": "nobody was predicted to complete",
    "recall": "nobody completed",
    "balanced_accuracy": "only one outcome occurs",
    "f1": "nobody is positive, in truth or in prediction",
    "average_precision": "nobody completed",
    "brier": "the score is not a probability",
}


def _estimate(
    name: str,
    value: Any,
    draws: ArrayLike,
    confidence_level: float,
    reach: ArrayLike = (),
) -> Estimate:
    """Return the estimate of a measure."""
    why = _REASONS.get(name, "undefined")
    return percentile_estimate(
        float(value),
        draws,
        confidence_level=confidence_level,
        reach=reach,
        undefined=why,
    )


def _exact(k: float, n: float, tail: float) -> tuple[float, float]:
    """Return Clopper and Pearson's limits if all or none of n are counted, else NaN."""
    if n == 0 or k not in (0, n):
        return np.nan, np.nan
    low, high = exact_limits(k, n, tail)
    return float(low), float(high)


def _exact_ends(matrix: NDArray[Any], tail: float) -> dict[str, tuple[float, float]]:
    """Return limits of measures where the draws of a count cannot vary.

    If all or none of a class are flagged, every draw has the same; two people found of
    two are no proof of a recall of 1.  Shares of which all or none are counted have
    exact limits then; the other measures are taken at the exact limits of the count
    that does not vary.  If nobody is positive, that is the share of those flagged.
    """
    (tn, fp), (fn, tp) = matrix
    positives, negatives = tp + fn, tn + fp
    corners = [(tp, fp, fn, tn)]
    for end in _exact(tp, positives, tail):
        corners.append((end * positives, fp, (1 - end) * positives, tn))
    for end in _exact(fp, negatives, tail):
        corners.append((tp, end * negatives, fn, (1 - end) * negatives))
    if not positives:
        right = _exact(0, fp, tail)[1]
        corners.append((right * fp, (1 - right) * fp, 0, tn))
    tried = _measures(*np.array(corners, float).T)
    ends = {
        name: (float(np.fmin.reduce(each)), float(np.fmax.reduce(each)))
        for name, each in tried.items()
    }
    shares = {
        "recall": (tp, positives),
        "precision": (tp, tp + fp),
        "accuracy": (tp + tn, positives + negatives),
    }
    for name, (counted, people) in shares.items():
        if people and counted in (0, people):
            ends[name] = _exact(counted, people, tail)
    return ends


def evaluate(
    completed: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float = 0.5,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int = 33,
    band: bool = True,
) -> Evaluation:
    """Return every measure of a score, with intervals, its curve and its matrix.

    The intervals are percentiles of a stratified bootstrap of these rows: they say how
    much the result could change with other people in the test set, not how much it
    would change with another training set.  Where all or none of a class are flagged,
    no draw can differ in that; the intervals then reach to exact (Clopper-Pearson)
    limits.

    Parameters
    ----------
    completed : array-like of 0 and 1, shape (n,)
    score : array-like of float, shape (n,)
        Higher means more likely to complete.
    threshold : float, default=0.5
        Positive at or above it.  Choose it elsewhere, see :func:`best_threshold`.
    n_resamples : int, default=1000
        Bootstrap draws; 0 leaves the intervals out.
    confidence_level : float, default=0.95
        Nominal coverage of the intervals.
    seed : int, default=33
        The same seed on the same rows makes the same draws, so that two models are
        compared pairwise by :func:`difference`.
    band : bool, default=True
        Whether to compute the pointwise band of the curve as well.

    Returns
    -------
    Evaluation

    Notes
    -----
    Taught in ``a02_forest_general``.

    References
    ----------
    Efron and Tibshirani (1993), An introduction to the bootstrap, chapters 8 and 13.

    Examples
    --------
    >>> result = evaluate([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], n_resamples=200)
    >>> result.matrix.tolist(), round(result.estimates["average_precision"].value, 3)
    ([[1, 1], [1, 1]], 0.833)
    """
    completed, score = _check(completed, score)
    n_resamples = check_whole("n_resamples", n_resamples)
    check_number("threshold", threshold)
    seed, confidence_level = check_seed(seed), check_confidence(confidence_level)
    flags = score >= threshold
    matrix = metrics.confusion_matrix(completed, flags, labels=[False, True])
    (tn, fp), (fn, tp) = matrix
    positives, negatives = tp + fn, tn + fp
    probability = score.min() >= 0 and score.max() <= 1
    values: dict[str, Any] = _measures(tp, fp, fn, tn)
    area = metrics.average_precision_score
    values["average_precision"] = area(completed, score) if positives else np.nan
    values["brier"] = np.mean((completed - score) ** 2) if probability else np.nan

    # The distinct scores, highest first: ties move together, as in scikit-learn.  They
    # are sorted once for all draws: the same numbers as from scikit-learn's functions
    # called in each, 36 times as fast (tests/benchmarks/bench_forests.py).
    distinct, group = np.unique(-score, return_inverse=True)
    n_flagged = int(np.searchsorted(distinct, -threshold, side="right"))
    of_positive, of_negative = group[completed], group[~completed]
    grid = np.ceil(_RECALL_GRID * positives - 1e-9).astype(int)
    counts = np.zeros((n_resamples, 2))  # true positives, all predicted positive
    areas, briers = np.full((2, n_resamples), np.nan)
    bands = []
    for draw, (first, second) in enumerate(resamples(completed, n_resamples, seed)):
        positive = np.bincount(of_positive[first], minlength=len(distinct))
        negative = np.bincount(of_negative[second], minlength=len(distinct))
        hits, flagged = positive.cumsum(), (positive + negative).cumsum()
        if n_flagged:
            counts[draw] = hits[n_flagged - 1], flagged[n_flagged - 1]
        if positives:
            precision = hits / np.maximum(flagged, 1)
            areas[draw] = (precision * positive).sum() / positives
            if band:
                bands.append(precision[np.searchsorted(hits, grid)])
        if probability:
            squares = positive * (1 + distinct) ** 2 + negative * distinct**2
            briers[draw] = squares.sum() / len(score)
    tp, marked = counts.T
    drawn = pd.DataFrame(
        _measures(tp, marked - tp, positives - tp, negatives - marked + tp)
        | {"average_precision": areas, "brier": briers}
    )
    tail = (1 - confidence_level) / 2
    exact = _exact_ends(matrix, tail)
    for name, people in (("average_precision", positives), ("brier", len(score))):
        counted = values[name] * people if values[name] in (0, 1) else np.nan
        exact[name] = _exact(counted, people, tail)
    if positives and np.ptp(score[completed]) == 0 < np.ptp(score):  # as of one person
        people = values["average_precision"] * positives
        least, most = exact_limits(people, positives, tail)
        exact["average_precision"] = float(least), float(most)
    if np.ptp(score) == 0:  # everybody is flagged, or nobody
        everybody = np.array([[0, negatives], [0, positives]])
        exact["average_precision"] = _exact_ends(everybody, tail)["precision"]
    drawn.attrs = {"seed": seed, "rows": zlib.crc32(completed.tobytes())}
    pointwise = None
    if bands:
        ends = [tail, (1 + confidence_level) / 2]
        low, high = np.quantile(bands, ends, axis=0)
        pointwise = pd.DataFrame({"recall": _RECALL_GRID, "low": low, "high": high})
    return Evaluation(
        estimates={
            name: _estimate(
                name, values[name], drawn[name], confidence_level, exact[name]
            )
            for name in MEASURES
        },
        matrix=matrix,
        threshold=float(threshold),
        curve=_curve(completed, score),
        band=pointwise,
        n=len(score),
        draws=drawn,
    )


def _curve(completed: NDArray[np.bool_], score: NDArray[np.float64]) -> pd.DataFrame:
    """Return scikit-learn's precision-recall curve as a frame, recall rising."""
    if not completed.any():
        return pd.DataFrame(columns=["precision", "recall", "threshold"], dtype=float)
    precision, recall, threshold = metrics.precision_recall_curve(completed, score)
    curve = {"precision": precision, "recall": recall}
    curve["threshold"] = np.append(threshold, np.inf)
    return pd.DataFrame(curve)[::-1].reset_index(drop=True)


def evaluate_matrix(
    matrix: ArrayLike,
    *,
    n_resamples: int = 10_000,
    confidence_level: float = 0.95,
    seed: int = 33,
) -> dict[str, Estimate]:
    """Return the measures of a printed confusion matrix, with intervals.

    A stratified bootstrap of the rows behind a matrix needs only the matrix: what is
    flagged in each class is binomial.  So a study that printed counts can be given the
    intervals it did not print.

    Parameters
    ----------
    matrix : array-like of shape (2, 2)
        Counts, rows true, columns predicted, the positive class last.
    n_resamples : int, default=10000
        Bootstrap draws.
    confidence_level : float, default=0.95
        Nominal coverage of the intervals.
    seed : int, default=33

    Returns
    -------
    dict of str to sudlib.estimates.Estimate
        Without the measures that need scores.

    Examples
    --------
    >>> print(evaluate_matrix([[5290, 1400], [877, 799]])["f05"])
    0.381 (0.365 to 0.398)
    """
    counts = numbers("matrix", matrix, 0, column=False)
    if counts.shape != (2, 2) or (counts % 1 != 0).any() or counts.max() > 2**53:
        raise InputError(f"matrix must be 2 x 2 counts, not {counts.tolist()}")
    (tn, fp), (fn, tp) = matrix = counts.astype(np.int64)
    check_whole("n_resamples", n_resamples)
    check_confidence(confidence_level)
    random = np.random.default_rng(check_seed(seed))
    drawn_tp = random.binomial(tp + fn, tp / max(tp + fn, 1), n_resamples)
    drawn_fp = random.binomial(tn + fp, fp / max(tn + fp, 1), n_resamples)
    values = _measures(tp, fp, fn, tn)
    drawn = _measures(drawn_tp, drawn_fp, tp + fn - drawn_tp, tn + fp - drawn_fp)
    exact = _exact_ends(matrix, (1 - confidence_level) / 2)
    return {
        k: _estimate(k, values[k], drawn[k], confidence_level, exact[k]) for k in values
    }
