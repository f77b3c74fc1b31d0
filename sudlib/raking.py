"""Raking: iterative proportional fitting of a table to given margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sudlib.files import InputError


def rake(
    table: Any,
    margins: Sequence[tuple[tuple[int, ...], Any]],
    *,
    max_iter: int = 500,
    tolerance: float = 1e-9,
) -> np.ndarray:
    """Return the table nearest to ``table`` that has the given margins.

    Parameters
    ----------
    table : array-like of float
        Starting values, not negative; ones for "no more structure than the margins".
        A cell of 0 stays 0.
    margins : sequence of (axes, totals)
        The axes that a margin keeps, and its totals, of the shape of those axes.
    max_iter : int, default=500
        Rounds over all margins.
    tolerance : float, default=1e-9
        Stop when no cell has moved by more than this share of the whole.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        If a margin has another shape than its axes.

    References
    ----------
    Deming and Stephan (1940), On a least squares adjustment of a sampled frequency
    table when the expected marginal totals are known.

    Examples
    --------
    >>> rake(np.ones((2, 2)), [((0,), [30, 70]), ((1,), [40, 60])])
    array([[12., 18.],
           [28., 42.]])
    """
    fitted = np.array(table, float)
    wanted = []
    for axes, totals in margins:
        away = tuple(axis for axis in range(fitted.ndim) if axis not in axes)
        totals = np.asarray(totals, float)
        shape = tuple(fitted.shape[axis] for axis in axes)
        if totals.shape != shape:
            raise InputError(
                f"the margin over axes {axes} must have shape {shape}, not"
                f" {totals.shape}"
            )
        order = np.argsort(axes)
        wanted.append((away, np.expand_dims(totals.transpose(order), away)))
    whole = max(1.0, *(float(total.sum()) for _, total in wanted))
    for _ in range(max_iter):
        before = fitted.copy()
        for away, totals in wanted:
            have = fitted.sum(axis=away, keepdims=True)
            fitted *= np.divide(totals, have, out=np.zeros(have.shape), where=have > 0)
        if np.abs(fitted - before).max() < tolerance * whole:
            break
    return fitted
