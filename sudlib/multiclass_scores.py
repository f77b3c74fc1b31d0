"""Scores of several classes, from confusion matrices.

Bootstrap resamples of rows are multinomial draws of the matrix, scored all at once;
scikit-learn's functions, which agree, would be called once a resample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_fscore_support

from sudlib.validation import check_same_length

SCORING = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "mcc": "matthews_corrcoef",
}
"""The same three scores as ``scoring`` of scikit-learn's cross-validation."""


def report(
    y_true: ArrayLike, y_pred: ArrayLike, classes: Sequence[str]
) -> pd.DataFrame:
    """Return precision, recall, F1 and support of each class, NaN where undefined.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        True and predicted classes.
    classes : sequence of str
        The classes to report, in this order.

    Returns
    -------
    pandas.DataFrame
        Indexed by class: scikit-learn's classification report as numbers.
    """
    columns = precision_recall_fscore_support(
        y_true, y_pred, labels=list(classes), zero_division=np.nan
    )
    names = ["precision", "recall", "f1", "support"]
    index = pd.Index(classes, name="class")
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
    """
    matrices = np.asarray(matrices, float)
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
        Bootstrap resamples of the rows; with some, ``accuracy_low`` and so on are the
        ends of 95 % percentile intervals.
    seed : int
        For the resamples.

    Returns
    -------
    dict of str to float
        As :func:`from_confusion`, and the ends.

    Raises
    ------
    InputError
        If the two are not columns of the same length, at least 1.

    Examples
    --------
    >>> measures(["a", "a", "b", "b"], ["a", "a", "b", "a"])["accuracy"]
    0.75
    """
    n = check_same_length(y_true=y_true, y_pred=y_pred)
    classes, code = np.unique(np.r_[y_true, y_pred], return_inverse=True)
    matrix = np.zeros((len(classes), len(classes)), int)
    np.add.at(matrix, (code[:n], code[n:]), 1)
    scores = {name: float(value) for name, value in from_confusion(matrix).items()}
    if n_resamples:
        # To draw rows with replacement is to draw the cells of the matrix.
        random = np.random.default_rng(seed)
        drawn = random.multinomial(n, matrix.ravel() / n, n_resamples)
        for name, values in from_confusion(drawn.reshape(-1, *matrix.shape)).items():
            known = values[~np.isnan(values)]
            ends = np.percentile(known, [2.5, 97.5]) if len(known) else [np.nan] * 2
            scores[f"{name}_low"], scores[f"{name}_high"] = map(float, ends)
    return scores
