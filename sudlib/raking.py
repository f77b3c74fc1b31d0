"""Raking: iterative proportional fitting of a table to given margins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sudlib.files import InputError
from sudlib.validation import check_whole, numbers


def rake(
    table: ArrayLike,
    margins: Sequence[tuple[tuple[int, ...], ArrayLike]],
    *,
    max_iter: int = 500,
    tolerance: float = 1e-9,
) -> NDArray[np.float64]:
    """Return the table nearest to ``table`` that has the given margins.

    Parameters
    ----------
    table : array-like of float
        Starting values, not negative; ones for "no more structure than the margins".
        A cell of 0 stays 0.
    margins : sequence of (axes, totals)
        The axes that a margin keeps, and its totals: one dimension for each of these
        axes, in the same order.
    max_iter : int, default=500
        Largest number of rounds over all margins.
    tolerance : float, default=1e-9
        Stop when no cell has moved by more than this share of the whole.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        If the totals of a margin have another shape than its axes, name an axis that
        is not there, or sum to something else than those of another; for what is
        negative or not finite.

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
    fitted = numbers("table", table, 0, column=False).copy()
    wanted = []
    for axes, totals in margins:
        known = set(range(fitted.ndim))
        if not isinstance(axes, Iterable) or not set(axes := tuple(axes)) <= known:
            raise InputError(
                f"the axes of a margin must be among 0 to {fitted.ndim - 1}, as a"
                f" tuple, not {axes!r}"
            )
        if len(set(axes)) < len(axes):
            raise InputError(f"a margin must name each axis once, not {axes}")
        away = tuple(axis for axis in range(fitted.ndim) if axis not in axes)
        total = numbers(f"the margin over axes {axes}", totals, 0, column=False)
        shape = tuple(fitted.shape[axis] for axis in axes)
        if total.shape != shape:
            raise InputError(
                f"the margin over axes {axes} must have shape {shape}, not"
                f" {total.shape}"
            )
        order = np.argsort(axes)
        wanted.append((away, np.expand_dims(total.transpose(order), away)))
    sums = [float(total.sum()) for _, total in wanted]
    if sums and max(sums) - min(sums) > 1e-3 * max(sums):
        raise InputError(
            f"the totals of all margins must have one sum, not"
            f" {' and '.join(f'{each:g}' for each in sums)}: no table has them all"
        )
    whole = max([1.0, *sums])
    for _ in range(check_whole("max_iter", max_iter, 1)):
        before = fitted.copy()
        for away, total in wanted:
            have = fitted.sum(axis=away, keepdims=True)
            fitted *= np.divide(total, have, out=np.zeros(have.shape), where=have > 0)
        if np.abs(fitted - before).max() < tolerance * whole:
            break
    return fitted


def rake_cells(
    cells: ArrayLike,
    margins: Sequence[tuple[NDArray[np.intp], NDArray[np.float64]]],
    *,
    max_iter: int = 500,
    tolerance: float = 1e-9,
) -> tuple[NDArray[np.float64], float]:
    """Return cells that have the given margins, and how far off the margins still are.

    This is :func:`rake` for a table of which only the cells that occur are kept: nine
    columns of ten levels have a thousand million cells, of which a thousand rows fill
    at most a thousand.  For a table that is kept whole, :func:`rake` is faster.

    Parameters
    ----------
    cells : array-like of float, shape (n_cells,)
        Starting values, not negative.
    margins : sequence of (index, totals)
        For each cell the position of its total, and the totals.
    max_iter : int, default=500
        Largest number of rounds over all margins.
    tolerance : float, default=1e-9
        Stop when no margin is further from its totals than this share of the whole.

    Returns
    -------
    fitted : numpy.ndarray of shape (n_cells,)
    gap : float
        Largest distance of a margin from its totals, as a share of the whole.

    Examples
    --------
    >>> rows, columns = np.array([0, 0, 1]), np.array([0, 1, 1])
    >>> margins = [(rows, np.array([3.0, 7.0])), (columns, np.array([1.0, 9.0]))]
    >>> rake_cells([1, 1, 1], margins)[0].round(3)
    array([1., 2., 7.])
    """
    fitted, gap = np.array(cells, float), 0.0
    if not margins:
        return fitted, gap
    whole = max(float(totals.sum()) for _, totals in margins)
    for _ in range(check_whole("max_iter", max_iter, 1)):
        for index, totals in margins:
            have = np.bincount(index, fitted, len(totals))
            scale = np.divide(totals, have, out=np.zeros(len(have)), where=have > 0)
            fitted = fitted * scale[index]
        gap = max(
            float(np.abs(np.bincount(index, fitted, len(totals)) - totals).max())
            for index, totals in margins
        )
        gap /= whole
        if gap <= tolerance:
            break
    return fitted, gap
