"""Scores of several classes from confusion matrices."""

import numpy as np
import pandas as pd
from scipy import stats

from sudlib.files import InputError


def report(truth, predicted, classes):
    """Return precision, recall, F1 and support of each class, NaN where undefined.

    Parameters
    ----------
    truth, predicted : array-like of str
    classes : list of str

    Returns
    -------
    pandas.DataFrame
        Indexed by class.
    """
    matrix = confusion(truth, predicted, classes)
    right, true, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return pd.DataFrame(
            {
                "precision": right / said,
                "recall": right / true,
                "f1": np.where(true > 0, 2 * right / (true + said), np.nan),
                "support": true,
            },
            index=pd.Index(classes, name="class"),
        )


# ------------------------------------------------------------------------- scores


def confusion(truth, predicted, classes):
    """Return the confusion matrix: rows true, columns predicted, in this order."""
    place = {label: index for index, label in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), int)
    try:
        rows = [place[label] for label in truth]
        columns = [place[label] for label in predicted]
    except KeyError as error:
        raise InputError(
            f"{error.args[0]!r} is not among the classes {', '.join(map(str, classes))}"
        ) from None
    np.add.at(matrix, (rows, columns), 1)
    return matrix


def from_confusion(matrices):
    """Return accuracy, balanced accuracy and Matthews correlation of matrices.

    Parameters
    ----------
    matrices : array-like of shape (..., classes, classes)

    Returns
    -------
    dict of str to numpy.ndarray
        Balanced accuracy is over the classes that occur; the correlation is NaN where
        one class takes all rows or all predictions.
    """
    matrices = np.asarray(matrices, float)
    total = matrices.sum(axis=(-2, -1))
    true, said = matrices.sum(axis=-1), matrices.sum(axis=-2)
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / true
        balanced = np.where(true > 0, recall, 0).sum(axis=-1) / (true > 0).sum(axis=-1)
        top = right.sum(axis=-1) * total - (true * said).sum(axis=-1)
        bottom = (total**2 - (said**2).sum(axis=-1)) * (
            total**2 - (true**2).sum(axis=-1)
        )
        return {
            "accuracy": right.sum(axis=-1) / total,
            "balanced_accuracy": balanced,
            "mcc": np.where(bottom > 0, top / np.sqrt(bottom), np.nan),
        }


def measures(truth, predicted, *, draws=0, seed=33):
    """Return accuracy, balanced accuracy and MCC, with intervals when asked.

    Parameters
    ----------
    truth, predicted : array-like of str
    draws : int, default=0
        Bootstrap draws of the rows; with some, ``accuracy_low`` and so on are the
        ends of 95 % intervals.
    seed : int

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> measures(["a", "a", "b", "b"], ["a", "a", "b", "a"])["accuracy"]
    0.75
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or truth.ndim != 1 or not len(truth):
        raise InputError(
            "truth and predicted must be two columns of the same length, at least 1,"
            f" not of shapes {truth.shape} and {predicted.shape}"
        )
    classes, code = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    k = len(classes)
    cells = code[: len(truth)] * k + code[len(truth) :]
    counts = np.bincount(cells, minlength=k * k)
    found = {
        name: float(value)
        for name, value in from_confusion(counts.reshape(k, k)).items()
    }
    if draws:
        # Drawing rows with replacement is drawing the cells of the matrix.
        drawn = np.random.default_rng(seed).multinomial(
            len(truth), counts / len(truth), draws
        )
        for name, values in from_confusion(drawn.reshape(draws, k, k)).items():
            known = values[~np.isnan(values)]
            low, high = (
                np.percentile(known, [2.5, 97.5]) if len(known) else [np.nan] * 2
            )
            found[f"{name}_low"], found[f"{name}_high"] = float(low), float(high)
    return found


def over_splits(values, test_share=0.3):
    """Return the mean of a score over random splits, with its 95 % interval.

    Random splits share rows, so their spread alone promises too much; the variance
    is corrected for it.

    Parameters
    ----------
    values : array-like of float
        One score a split.
    test_share : float, default=0.3

    Returns
    -------
    value, low, high : float
        The ends are NaN for a single split.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error.

    Examples
    --------
    >>> [round(end, 3) for end in over_splits([0.60, 0.62, 0.61, 0.59, 0.63])]
    [0.61, 0.575, 0.645]
    """
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, np.nan, np.nan
    variance = values.var(ddof=1) * (1 / len(values) + test_share / (1 - test_share))
    reach = float(stats.t.ppf(0.975, len(values) - 1) * np.sqrt(variance))
    return mean, mean - reach, mean + reach
