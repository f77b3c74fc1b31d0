"""Arithmetic on printed numbers: what a matrix, a split or a rounded rate implies."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd

from sudlib.book.verdicts import _flat

# Half a unit of the last of two printed decimals.
_HALF = 0.005


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


def attainable(percent: float, rows: int, decimals: int = 2) -> bool:
    """Return whether some whole number of rows, as a percentage, prints like that.

    The check is known as the GRIM test (Brown and Heathers, 2017).

    Parameters
    ----------
    percent : float
        As printed.
    rows : int
        Rows of the test set.
    decimals : int, default=2
        Printed decimals.

    Returns
    -------
    bool

    Examples
    --------
    >>> attainable(97.98, 743), attainable(63.70, 743)
    (True, False)
    """
    below = int(percent * rows / 100)
    half = 0.5 * 10.0**-decimals + 1e-9
    return any(abs(100 * n / rows - percent) <= half for n in (below, below + 1))


def _highest_rates(
    ratios: pd.DataFrame, differences: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the least and the largest value of the higher of two printed rates.

    From ``ratio = lower / higher`` and ``difference = higher - lower``, both rounded.
    """
    return (
        (differences - _HALF).clip(lower=0) / (1 - ratios + _HALF),
        (differences + _HALF) / (1 - ratios - _HALF),
    )


def shares_of_classes(ratios: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    """Return bounds of each class's share of all people, from the printed rates.

    The share of everyone lies between the smallest and the largest group's, for each
    of the study's variables: the intersection is what all of them allow.

    Parameters
    ----------
    ratios, differences : pandas.DataFrame
        Rows variables, columns classes, as printed with two decimals; a ratio of 1
        says nothing here.

    Returns
    -------
    pandas.DataFrame
        Rows classes; ``low`` and ``high``, with room for the rounding.
    """
    least, most = _highest_rates(ratios, differences)
    lowest = least * (ratios - _HALF).clip(lower=0)
    return pd.DataFrame(
        {
            "low": lowest.where(ratios < 1).max().clip(lower=0),
            "high": most.where(ratios < 1).min().clip(upper=1),
        }
    )


def can_be_equal(
    ratios: pd.Series, differences: pd.Series, shares: pd.DataFrame
) -> bool:
    """Return whether classes printed with difference 0 can be equal in both groups.

    The shares of the classes add up to 1 in either group, so the differences, each
    with its sign, add up to 0; and a share that is equal in both groups is that of
    everyone.

    Parameters
    ----------
    ratios, differences : pandas.Series
        One variable's, by class.
    shares : pandas.DataFrame
        From :func:`shares_of_classes`.

    Returns
    -------
    bool
        Whether any choice of signs is left, with room for the rounding.
    """
    unequal = ratios != 1
    gap = differences[unequal]
    least, most = _highest_rates(ratios[unequal], gap)
    equal = shares[~unequal].sum()
    slack = _HALF * len(ratios) + 1e-9
    for signs in map(np.array, itertools.product((1, -1), repeat=len(gap))):
        if abs((gap * signs).sum()) > slack:
            continue
        # Classes of sign -1 have the lower rate in the first group.
        lower = signs < 0
        smallest = (least - lower * (gap + _HALF)).sum()
        largest = (most - lower * (gap - _HALF)).sum()
        # What the first group has left for the equal classes.
        if 1 - smallest >= equal["low"] and 1 - largest <= equal["high"]:
            return True
    return False
