"""The four rates of each group, and their extremes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib.fairness import tables
from sudlib.fairness.inputs import Columns, Floats

#: Rate: what its denominator counts, for the reason why a rate is undefined.
RATES = {
    "selection_rate": "no rows",
    "base_rate": "no rows",
    "true_positive_rate": "nobody of this class",
    "false_positive_rate": "nobody of another class",
}


def divide(top: NDArray[Any], bottom: NDArray[Any]) -> Floats:
    """Return a quotient, NaN where the denominator is 0 or NaN.

    Parameters
    ----------
    top, bottom : numpy.ndarray
        Of the same shape.

    Returns
    -------
    numpy.ndarray

    Examples
    --------
    >>> divide(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def fractions(summed: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Return numerators and denominators of the four rates, from summed counts.

    Parameters
    ----------
    summed : numpy.ndarray of shape (n_groups, n_resamples, n_classes, n_classes)
        From :func:`sudlib.fairness.tables.sum_to_groups`.

    Returns
    -------
    dict of str to tuple of numpy.ndarray of shape (n_groups, n_resamples, n_classes)
        By the names of :data:`RATES`.
    """
    others = 1.0 - np.eye(summed.shape[-1])
    true, predicted = summed.sum(-1), summed.sum(-2)
    total = np.broadcast_to(true.sum(-1, keepdims=True), true.shape)
    hits = np.diagonal(summed, axis1=-2, axis2=-1)
    # Sums over the other classes, not total minus own: an exact 0 must stay 0.
    false = np.einsum("...tp,tp->...p", summed, others)
    return {
        "selection_rate": (predicted, total),
        "base_rate": (true, total),
        "true_positive_rate": (hits, true),
        "false_positive_rate": (false, true @ others),
    }


def rates_of(summed: Floats) -> dict[str, Floats]:
    """Return the four rates of each group, resample and class from summed counts.

    Parameters
    ----------
    summed : numpy.ndarray of shape (n_groups, n_resamples, n_classes, n_classes)
        From :func:`sudlib.fairness.tables.sum_to_groups`.

    Returns
    -------
    dict of str to numpy.ndarray of shape (n_groups, n_resamples, n_classes)
        By the names of :data:`RATES`; NaN where the denominator is 0.
    """
    return {name: divide(*pair) for name, pair in fractions(summed).items()}


def extremes(rate: Floats, starts: ArrayLike) -> tuple[Floats, Floats]:
    """Return the smallest and the largest rate within each set of groups.

    Parameters
    ----------
    rate : numpy.ndarray of shape (n_groups, ...)
        NaN where undefined.
    starts : array-like of int
        The position of the first group of each set.

    Returns
    -------
    low, high : numpy.ndarray of shape (n_sets, ...)
        NaN where no rate of the set is defined.
    """
    low = np.fmin.reduceat(rate, starts, axis=0)  # type: ignore[arg-type]
    return low, np.fmax.reduceat(rate, starts, axis=0)  # type: ignore[arg-type]


def group_rates(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: Columns,
    sample_weight: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
    family: tables.FamilyName = "joint",
    min_n: int = 0,
    missing: str = "error",
) -> pd.DataFrame:
    """Return the rates of every group of a family, with counts and what is undefined.

    Taught in the notebook *How fair are the models, variable by variable?*.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, sample_weight, labels
        As in :func:`sudlib.fairness.tabulate`.
    family
        As in :func:`sudlib.fairness.families`.
    min_n : int, default=0
        A group one of whose rates has fewer rows in its denominator (a true positive
        rate: rows of the class) gets the status "small" (below 30 in any case).
    missing
        As in :func:`sudlib.fairness.tabulate`.

    Returns
    -------
    pandas.DataFrame
        One row a group and class: ``variables``, ``group``, ``label``, ``n`` (rows),
        ``positives`` and ``predicted`` (weighted rows of the class in truth and in
        prediction), the four rates, ``status`` ("ok", "small", "empty", "undefined")
        and ``reason``.

    Examples
    --------
    >>> table = group_rates([1, 0, 1], [1, 1, 1], sensitive_features=["a", "a", "b"])
    >>> table.loc[table["label"] == 1, "reason"].tolist()
    ['', 'false_positive_rate: nobody of another class']
    """
    counts = tables.tabulate(
        y_true, y_pred, sensitive_features, sample_weight, labels, missing
    )
    return rate_table(counts, tables.families(counts, family), min_n)


def rate_table(
    counts: tables.Counts, family: tables.Family, min_n: int = 0
) -> pd.DataFrame:
    """Return :func:`group_rates` for rows that are already counted.

    Parameters
    ----------
    counts : Counts
        The counted rows.
    family : Family
        The groups.
    min_n : int, default=0
        As in :func:`group_rates`.

    Returns
    -------
    pandas.DataFrame
    """
    summed = tables.sum_to_groups(family, counts.tables(counts.weight))
    rows = tables.sum_to_groups(family, counts.tables(counts.count))
    fewest = np.min([bottom for _, bottom in fractions(rows).values()], axis=0).ravel()
    repeated = family.groups.index.repeat(len(counts.labels))
    table = family.groups.loc[repeated].reset_index(drop=True)
    table.insert(2, "label", list(counts.labels) * len(family))
    table["positives"] = summed.sum(-1).ravel()
    table["predicted"] = summed.sum(-2).ravel()
    for name, rate in rates_of(summed).items():
        table[name] = rate.ravel()
    undefined = table[list(RATES)].isna()
    least, empty = max(min_n, tables.SMALL), table["n"] == 0
    why = [empty, table["n"] < least, undefined.any(axis=1), fewest < least]
    table["status"] = np.select(why, ["empty", "small", "undefined", "small"], "ok")
    reasons = [
        "; ".join(f"{name}: {RATES[name]}" for name in compress(RATES, row))
        for row in undefined.to_numpy()
    ]
    table["reason"] = np.where(empty, "no rows", reasons)
    return table
