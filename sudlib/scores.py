"""How well a score finds the people who completed, with intervals.

Point values are scikit-learn's.  What is added: 95 % intervals by a stratified
bootstrap fast enough for 90,000 rows, differences of two models on the same draws, a
threshold chosen on rows of its own, and undefined values that stay undefined.
Taught in the notebook *How good is the tuned forest?*.
"""

import zlib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn import metrics

from sudlib.files import InputError

#: The measures of an :class:`Evaluation`, in the order of its table.
MEASURES = {
    "f05": "F0.5",
    "precision": "precision",
    "recall": "recall",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "f1": "F1",
    "average_precision": "PR area",
    "brier": "Brier score",
}

_RECALL_GRID = np.linspace(0.01, 1, 100)


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, or the reason why there is none.

    Attributes
    ----------
    value, low, high : float
        NaN where undefined.
    reason : str
        Why the value or a part of the draws is undefined; empty when all is well.

    Examples
    --------
    >>> print(Estimate(0.6712, 0.6651, 0.6779))
    0.671 (0.665 to 0.678)
    >>> print(Estimate(np.nan, np.nan, np.nan, "nobody was predicted to complete"))
    undefined (nobody was predicted to complete)
    >>> f"{Estimate(0.6712, 0.6651, 0.6779):.0%}"
    '67% (67% to 68%)'
    """

    value: float
    low: float
    high: float
    reason: str = ""

    def __str__(self):
        return format(self, ".3f")

    def __format__(self, form):
        form = form or ".3f"
        if np.isnan(self.value):
            return f"undefined ({self.reason})"
        if np.isnan(self.low):
            return format(self.value, form)
        ends = (format(end, form) for end in (self.low, self.high))
        return f"{self.value:{form}} ({' to '.join(ends)})"


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` returns for one score on one set of rows.

    Attributes
    ----------
    estimates : dict of str to Estimate
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

    estimates: dict
    matrix: np.ndarray
    threshold: float
    curve: pd.DataFrame = field(repr=False)
    band: pd.DataFrame | None = field(repr=False)
    n: int
    draws: pd.DataFrame = field(repr=False)

    @property
    def table(self):
        """One row a measure: value, low, high, reason."""
        return pd.DataFrame(
            [
                {
                    "measure": MEASURES[name],
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "reason": estimate.reason,
                }
                for name, estimate in self.estimates.items()
            ]
        ).set_index("measure")


def _check(completed, score):
    """Return the truth as booleans and the score as floats, or stop and say why not."""
    completed, score = np.asarray(completed), np.asarray(score, dtype=float)
    if completed.ndim != 1 or completed.shape != score.shape:
        raise InputError(
            "completed and score must be two columns of the same length, not of shapes"
            f" {completed.shape} and {score.shape}"
        )
    if len(completed) == 0:
        raise InputError("there are no rows to score")
    if not np.isin(completed, (0, 1)).all():
        raise InputError(
            "completed must be 0 or 1, not"
            f" {sorted(set(np.unique(completed)) - {0, 1})[:5]}"
        )
    if not np.isfinite(score).all():
        raise InputError(
            f"score must be finite; {np.sum(~np.isfinite(score)):,} of"
            f" {len(score):,} are not"
        )
    return completed.astype(bool), score


def f_beta(completed, predicted, beta=0.5):
    """Return F-beta, or NaN when nobody is positive in truth or prediction.

    ``(1 + beta²) precision · recall / (beta² precision + recall)``; a beta of 0.5
    favours precision.  With nobody predicted positive it is 0 as long as somebody is:
    recall is then 0, and only precision is undefined.

    Parameters
    ----------
    completed, predicted : array-like of 0 and 1
    beta : float, default=0.5
    """
    return float(
        metrics.fbeta_score(completed, predicted, beta=beta, zero_division=np.nan)
    )


def best_threshold(completed, score, beta=0.5):
    """Return the threshold with the highest F-beta on these rows.

    Choose it on rows that neither fitted the model nor report its result.

    Parameters
    ----------
    completed : array-like of 0 and 1
    score : array-like of float
    beta : float, default=0.5

    Returns
    -------
    float
        One of the scores; predict positive at or above it.  Of equally good ones the
        highest, which flags the fewest people.

    Raises
    ------
    InputError
        If nobody is positive: every threshold is then equally bad.

    Examples
    --------
    >>> best_threshold([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    0.5
    """
    completed, score = _check(completed, score)
    if not completed.any():
        raise InputError(
            "a threshold cannot be chosen: none of the"
            f" {len(completed):,} people completed"
        )
    precision, recall, thresholds = metrics.precision_recall_curve(completed, score)
    top = (1 + beta**2) * precision * recall
    bottom = beta**2 * precision + recall
    value = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)[:-1]
    return float(thresholds[np.flatnonzero(value == value.max())[-1]])


def resamples(completed, draws=1000, seed=33):
    """Yield the rows of each stratified bootstrap draw, positives then negatives.

    Each class is drawn from itself, with replacement, as often as it has rows.

    Parameters
    ----------
    completed : array-like of 0 and 1
    draws : int, default=1000
    seed : int, default=33

    Yields
    ------
    positive, negative : numpy.ndarray of int
        Positions **within** the class; ``numpy.flatnonzero(completed)[positive]`` are
        positions in the data.
    """
    completed = np.asarray(completed).astype(bool)
    random = np.random.default_rng(seed)
    sizes = int(completed.sum()), int((~completed).sum())
    for _ in range(draws):
        yield tuple(
            random.integers(0, size, size) if size else np.empty(0, int)
            for size in sizes
        )


def _measures(tp, fp, fn, tn):
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


def _estimate(name, value, draws, level):
    """Return the Estimate of a value and its bootstrap draws (percentile interval)."""
    value, draws = float(value), np.asarray(draws, float)
    if np.isnan(value):
        return Estimate(np.nan, np.nan, np.nan, _REASONS.get(name, "undefined"))
    lost = int(np.isnan(draws).sum())
    if lost == len(draws):
        return Estimate(value, np.nan, np.nan, "no draws" if lost == 0 else "undefined")
    tail = 50 * (1 - level)
    low, high = np.nanpercentile(draws, [tail, 100 - tail])
    reason = f"undefined in {lost:,} of {len(draws):,} draws" if lost else ""
    return Estimate(value, float(low), float(high), reason)


def evaluate(
    completed, score, *, threshold=0.5, draws=1000, level=0.95, seed=33, band=True
):
    """Return every measure of a score, with intervals, its curve and its matrix.

    The intervals are percentiles of a stratified bootstrap of these rows: they say how
    much the result could change with other people in the test set, not how much it
    would change with another training set.

    Parameters
    ----------
    completed : array-like of 0 and 1
    score : array-like of float
        Higher means more likely to complete.
    threshold : float, default=0.5
        Positive at or above it.  Choose it elsewhere, see :func:`best_threshold`.
    draws : int, default=1000
        Bootstrap draws; 0 leaves the intervals out.
    level : float, default=0.95
    seed : int, default=33
        The same seed on the same rows makes the same draws, so that two models are
        compared pairwise by :func:`difference`.
    band : bool, default=True
        Whether to compute the pointwise band of the curve as well.

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> kept = evaluate([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], draws=200)
    >>> kept.matrix.tolist(), round(kept.estimates["average_precision"].value, 3)
    ([[1, 1], [1, 1]], 0.833)
    """
    completed, score = _check(completed, score)
    predicted = score >= threshold
    matrix = metrics.confusion_matrix(completed, predicted, labels=[False, True])
    (tn, fp), (fn, tp) = matrix
    positives, negatives = int(completed.sum()), int((~completed).sum())
    probability = score.min() >= 0 and score.max() <= 1
    values = _measures(tp, fp, fn, tn)
    values["average_precision"] = (
        metrics.average_precision_score(completed, score) if positives else np.nan
    )
    values["brier"] = np.mean((completed - score) ** 2) if probability else np.nan

    # The distinct scores, highest first: ties move together, as in scikit-learn.
    distinct, group = np.unique(-score, return_inverse=True)
    flagged = int(np.searchsorted(distinct, -threshold, side="right"))
    of_positive, of_negative = group[completed], group[~completed]
    grid = np.ceil(_RECALL_GRID * positives - 1e-9).astype(int)
    of_completed, of_others = (1 + distinct) ** 2, distinct**2  # squared errors
    counts, areas, briers, bands = [], [], [], []
    for positive, negative in resamples(completed, draws, seed):
        positive = np.bincount(of_positive[positive], minlength=len(distinct))
        negative = np.bincount(of_negative[negative], minlength=len(distinct))
        tps, all_flagged = positive.cumsum(), (positive + negative).cumsum()
        at = (tps[flagged - 1], all_flagged[flagged - 1]) if flagged else (0, 0)
        counts.append(at)
        if positives:
            precision = tps / np.maximum(all_flagged, 1)
            areas.append((precision * positive).sum() / positives)
            if band:
                bands.append(precision[np.searchsorted(tps, grid)])
        if probability:
            lost = positive * of_completed + negative * of_others
            briers.append(lost.sum() / len(score))
    tp, marked = np.array(counts, float).reshape(-1, 2).T
    drawn = _measures(tp, marked - tp, positives - tp, negatives - marked + tp)
    drawn["average_precision"] = areas or np.full(draws, np.nan)
    drawn["brier"] = briers or np.full(draws, np.nan)
    drawn = pd.DataFrame(drawn)
    drawn.attrs = {"seed": seed, "rows": zlib.crc32(completed.tobytes())}
    estimates = {
        name: _estimate(name, values[name], drawn[name], level) for name in MEASURES
    }
    tails = 50 * (1 - level), 50 * (1 + level)
    return Evaluation(
        estimates=estimates,
        matrix=matrix,
        threshold=float(threshold),
        curve=_curve(completed, score),
        band=pd.DataFrame(
            {
                "recall": _RECALL_GRID,
                **dict(
                    zip(
                        ("low", "high"),
                        np.percentile(bands, tails, axis=0),
                        strict=True,
                    )
                ),
            }
        )
        if bands
        else None,
        n=len(score),
        draws=drawn,
    )


def _curve(completed, score):
    """Return scikit-learn's precision-recall curve as a frame, recall rising."""
    if not completed.any():
        return pd.DataFrame(columns=["precision", "recall", "threshold"], dtype=float)
    precision, recall, threshold = metrics.precision_recall_curve(completed, score)
    return pd.DataFrame(
        {
            "precision": precision[::-1],
            "recall": recall[::-1],
            "threshold": np.append(np.inf, threshold[::-1]),
        }
    )


def difference(first, second, measure, level=0.95):
    """Return how much higher the first evaluation is, on the same bootstrap draws.

    Parameters
    ----------
    first, second : Evaluation
        Of the same rows, with the same seed and number of draws.
    measure : str
        A key of :data:`MEASURES`.
    level : float, default=0.95

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        If the two are not of the same rows and draws.
    """
    if first.draws.attrs != second.draws.attrs or len(first.draws) != len(second.draws):
        raise InputError(
            "two evaluations can be compared pairwise only on the same rows with the"
            " same seed and number of draws"
        )
    return _estimate(
        measure,
        first.estimates[measure].value - second.estimates[measure].value,
        first.draws[measure] - second.draws[measure],
        level,
    )


def side_by_side(
    evaluations, measures=("f05", "precision", "recall", "average_precision")
):
    """Return evaluations as a table of words: one row each, one column a measure.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        Or to the dict of estimates that :func:`evaluate_matrix` returns; what it
        lacks is left empty.
    measures : iterable of str
        Keys of :data:`MEASURES`.

    Returns
    -------
    pandas.DataFrame
    """
    rows = {}
    for name, evaluation in evaluations.items():
        estimates = getattr(evaluation, "estimates", evaluation)
        rows[name] = {
            MEASURES[measure]: str(estimates.get(measure, "")) for measure in measures
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def values(evaluations, measure):
    """Return one measure of several evaluations, for a figure or a phrase.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
    measure : str
        A key of :data:`MEASURES`.

    Returns
    -------
    pandas.DataFrame
        One row each: ``value``, ``low``, ``high``.
    """
    ends = ["value", "low", "high"]
    return pd.DataFrame(
        [
            [getattr(evaluation.estimates[measure], end) for end in ends]
            for evaluation in evaluations.values()
        ],
        index=list(evaluations),
        columns=ends,
    )


def evaluate_matrix(matrix, *, draws=10_000, level=0.95, seed=33):
    """Return the measures of a printed confusion matrix, with intervals.

    A stratified bootstrap of the rows behind a matrix needs only the matrix: what is
    flagged in each class is binomial.  So a study that printed counts can be given the
    intervals it did not print.

    Parameters
    ----------
    matrix : array-like of shape (2, 2)
        Counts, rows true, columns predicted, the positive class last.
    draws, level, seed
        As in :func:`evaluate`.

    Returns
    -------
    dict of str to Estimate
        Without the measures that need scores.

    Examples
    --------
    >>> print(evaluate_matrix([[5290, 1400], [877, 799]])["f05"])
    0.381 (0.365 to 0.398)
    """
    (tn, fp), (fn, tp) = np.asarray(matrix)
    random = np.random.default_rng(seed)
    drawn_tp = random.binomial(tp + fn, tp / max(tp + fn, 1), draws)
    drawn_fp = random.binomial(tn + fp, fp / max(tn + fp, 1), draws)
    values = _measures(tp, fp, fn, tn)
    drawn = _measures(drawn_tp, drawn_fp, tp + fn - drawn_tp, tn + fp - drawn_fp)
    return {name: _estimate(name, values[name], drawn[name], level) for name in values}


def calibration(completed, score, bins=10, level=0.95):
    """Return the share that completed among people with about the same score.

    Parameters
    ----------
    completed : array-like of 0 and 1
    score : array-like of float
        Probabilities.
    bins : int, default=10
        Bins with about equally many people; equal scores stay together, so there may be
        fewer.
    level : float, default=0.95
        Of the Wilson interval.

    Returns
    -------
    pandas.DataFrame
        One row a bin: ``score`` (mean), ``observed`` (share), ``low``, ``high``, ``n``.
    """
    completed, score = _check(completed, score)
    places = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    frame = pd.DataFrame(
        {
            "bin": np.searchsorted(places, score, side="left"),
            "score": score,
            "observed": completed,
        }
    )
    table = frame.groupby("bin").agg(
        score=("score", "mean"),
        observed=("observed", "mean"),
        completed=("observed", "sum"),
        n=("observed", "size"),
    )
    ends = [
        binomtest(int(row.completed), int(row.n)).proportion_ci(level, method="wilson")
        for row in table.itertuples()
    ]
    table["low"] = [end.low for end in ends]
    table["high"] = [end.high for end in ends]
    return table[["score", "observed", "low", "high", "n"]].reset_index(drop=True)
