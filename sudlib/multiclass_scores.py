"""Scores of several classes, from confusion matrices.

Bootstrap resamples of rows are multinomial draws of the matrix, scored all at once;
scikit-learn's functions, which agree, would be called once a resample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_fscore_support

from sudlib.classes import code_classes
from sudlib.estimates import exact_limits, percentile_estimate
from sudlib.files import InputError
from sudlib.validation import check_seed, check_whole, numbers

SCORING = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "mcc": "matthews_corrcoef",
}
"""The same three scores as ``scoring`` of scikit-learn's cross-validation."""


def report(
    y_true: ArrayLike, y_pred: ArrayLike, classes: Sequence[Any]
) -> pd.DataFrame:
    """Return precision, recall, F1 and support of each class, NaN where undefined.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        True and predicted classes.
    classes : sequence
        The classes to report, in this order.

    Returns
    -------
    pandas.DataFrame
        Indexed by class: scikit-learn's classification report as numbers.

    Raises
    ------
    InputError
        As :func:`measures`, and for classes of another kind than those of the columns.
    """
    wanted = list(classes)
    if len(set(wanted)) < len(wanted):
        raise InputError(f"classes must name each class once, not {wanted}")
    occur, _ = code_classes(y_true=y_true, y_pred=y_pred)
    every = list(dict.fromkeys([*wanted, *occur]))
    _, (truth, predicted) = code_classes(every, y_true=y_true, y_pred=y_pred)
    columns = precision_recall_fscore_support(
        truth, predicted, labels=range(len(wanted)), zero_division=np.nan
    )
    names = ["precision", "recall", "f1", "support"]
    index = pd.Index(wanted, name="class")
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index)


def from_confusion(matrices: ArrayLike) -> dict[str, NDArray]:
    """Return accuracy, balanced accuracy and Matthews correlation of matrices.

    Parameters
    ----------
    matrices : array-like of shape (..., n_classes, n_classes)
        Counts, rows true, columns predicted.

    Returns
    -------
    dict of str to numpy.ndarray
        ``accuracy``; ``balanced_accuracy``, over the classes that occur; ``mcc``, NaN
        where one class takes all rows or all predictions (scikit-learn says 0).

    Raises
    ------
    InputError
        For matrices that are not square, or hold what is no count.
    """
    matrices = numbers("matrices", matrices, 0, column=False)
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2]:
        raise InputError(f"matrices must be square, not of shape {matrices.shape}")
    total = matrices.sum(axis=(-2, -1))
    true, predicted = matrices.sum(axis=-1), matrices.sum(axis=-2)
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (total**2 - (predicted**2).sum(-1)) * (total**2 - (true**2).sum(-1))
        agreement = right.sum(-1) * total - (true * predicted).sum(-1)
        return {
            "accuracy": right.sum(-1) / total,
            "balanced_accuracy": np.nansum(right / true, -1) / (true > 0).sum(-1),
            "mcc": np.where(spread > 0, agreement / np.sqrt(spread), np.nan),
        }


def measures(
    y_true: ArrayLike, y_pred: ArrayLike, *, n_resamples: int = 0, seed: int = 33
) -> dict[str, float]:
    """Return accuracy, balanced accuracy and MCC, with intervals when asked.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        True and predicted classes.
    n_resamples : int, default=0
        Draws for the intervals; with some, ``accuracy_low`` and so on are the ends of
        95% percentile intervals of a bootstrap of the rows.  If people of a class are
        all predicted alike, no resample can differ in that: the intervals then also
        reach as far as half a person more in each place of the matrix would take them.
    seed : int
        For the resamples.

    Returns
    -------
    dict of str to float
        As :func:`from_confusion`, and the ends.

    Raises
    ------
    InputError
        If the two are not columns of the same rows, at least 1, with classes of one
        kind, none missing.

    Examples
    --------
    >>> measures(["a", "a", "b", "b"], ["a", "a", "b", "a"])["accuracy"]
    0.75
    """
    check_whole("n_resamples", n_resamples)
    classes, (truth, predicted) = code_classes(y_true=y_true, y_pred=y_pred)
    k, n = len(classes), len(truth)
    matrix = np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k)
    scores = {name: float(value) for name, value in from_confusion(matrix).items()}
    if n_resamples:
        # To draw rows with replacement is to draw the cells of the matrix.
        random = np.random.default_rng(check_seed(seed))
        drawn = from_confusion(
            random.multinomial(n, matrix.ravel() / n, n_resamples).reshape(-1, k, k)
        )
        exact = _not_rigid(matrix, n_resamples, random)
        for name, draws in drawn.items():
            likely = exact.get(name, np.empty(0))
            likely = likely[~np.isnan(likely)]
            reach = [*np.percentile(likely, [2.5, 97.5])] if len(likely) else []
            if name == "accuracy" and scores[name] in (0, 1) and k > 1:
                reach += [float(end) for end in exact_limits(scores[name] * n, n)]
            ends = percentile_estimate(scores[name], draws, reach=reach)
            scores[f"{name}_low"], scores[f"{name}_high"] = ends.low, ends.high
    return scores


def _not_rigid(
    matrix: NDArray[Any], n_resamples: int, random: np.random.Generator
) -> dict[str, NDArray]:
    """Return draws of the scores with Jeffreys' prior, if a class never varies."""
    rows = matrix.sum(axis=1)
    known = rows > 0
    if not (matrix.max(axis=1) == rows)[known].any():
        return {}
    full = np.zeros((n_resamples, *matrix.shape))
    for at in np.flatnonzero(known):
        full[:, at] = rows[at] * random.dirichlet(matrix[at] + 0.5, n_resamples)
    return from_confusion(full)
