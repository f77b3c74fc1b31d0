"""Combinations of treatments.

A treatment is coded -1 (not given) and +1 (given); a combination of K treatments is a
row of K such codes, one of :math:`2^K` (in multi-label terms: one element of the label
powerset).  Taught in notebook ``c01_the_idea``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sudlib.files import InputError
from sudlib.validation import check_choice, check_whole, numbers

#: An array; its docstring says of what type and shape.
Array = NDArray[Any]

#: Methods that look at every combination stop here: 2^12 is 4,096.
MOST_TREATMENTS = 12


def combinations(treatments: int, dtype: DTypeLike = int) -> Array:
    """Return all combinations of K treatments, coded -1 and +1, in counting order.

    Parameters
    ----------
    treatments : int
        K, from 1 to 12.
    dtype : dtype, default=int
        Type of the codes; "int8" saves memory where there are many people.

    Returns
    -------
    numpy.ndarray of shape (2 ** K, K)
        Row i is i written in binary, the first treatment being the first digit.

    Raises
    ------
    sudlib.files.InputError
        If K is outside 1 to 12.

    Examples
    --------
    >>> combinations(2).tolist()
    [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    """
    check_whole("treatments", treatments, 1, MOST_TREATMENTS)
    return np.array(list(itertools.product((-1, 1), repeat=treatments)), dtype=dtype)


def _codes(A: ArrayLike) -> Array:
    """Return codes as an array; words, other numbers and gaps are no codes."""
    codes = np.asarray(A)
    if codes.dtype == object and codes.ndim:  # nullable, decimal or of pyarrow
        with suppress(InputError):
            codes = numbers("combinations", A, column=False)
    known = codes.dtype.kind in "biuf" and codes.ndim > 0 and not np.ma.is_masked(A)
    # -1, 0 and 1 are the numbers whose squares are their amounts; NaN is none.
    if not known or not (np.isfinite(codes) & (codes * codes == np.abs(codes))).all():
        raise InputError(
            "combinations must be coded -1 and +1, none missing;"
            " sudlib.policy.Trial takes words"
        )
    return codes


def combination_number(A: ArrayLike) -> Array:
    """Return the row of :func:`combinations` that each person's combination is.

    Parameters
    ----------
    A : array-like of shape (..., K)
        Treatments, coded -1 and +1.

    Returns
    -------
    numpy.ndarray of int, shape (...)

    Examples
    --------
    >>> combination_number([[1, -1], [1, 1]]).tolist()
    [2, 3]
    """
    given = _codes(A) > 0
    check_whole("the number of treatments", given.shape[-1], 1, 62)
    return given @ (2 ** np.arange(given.shape[-1])[::-1])


def describe(treatments: ArrayLike, names: Sequence[str]) -> list[str]:
    """Return each person's combination in words.

    Parameters
    ----------
    treatments : array-like of shape (n, K)
        Coded -1 and +1.
    names : sequence of str, length K
        What the treatments are called.

    Returns
    -------
    list of str

    Examples
    --------
    >>> describe([[1, -1, 1], [-1, -1, -1]], ["dpp4", "su", "met"])
    ['dpp4 + met', 'none']
    """
    codes = _codes(treatments)
    if codes.ndim != 2 or codes.shape[1] != len(names):
        raise InputError(
            f"treatments must have a column for each of the {len(names)} names, not"
            f" shape {codes.shape}"
        )
    return [
        " + ".join(n for n, t in zip(names, row, strict=True) if t > 0) or "none"
        for row in codes
    ]


def signs(scores: ArrayLike) -> Array:
    """Return +1 where a score is above 0: without evidence nothing is recommended.

    Parameters
    ----------
    scores : array-like of float

    Returns
    -------
    numpy.ndarray of int8, the shape of ``scores``
    """
    return np.where(np.asarray(scores) > 0, 1, -1).astype("int8")


def contrast_basis(A: ArrayLike, order: int = 1) -> Array:
    """Return a constant, each treatment (halved), and with order 2 each pair's product.

    Treatments are coded -1/2 and +1/2, so that a treatment's coefficient is its effect:
    the outcome with it less the outcome without it.

    Parameters
    ----------
    A : array-like of shape (n, K)
        Treatments, coded -1 and +1.
    order : {1, 2}, default=1
        Whether products of two treatments belong to the basis.

    Returns
    -------
    numpy.ndarray of shape (n, 1 + K) or (n, 1 + K + K (K - 1) / 2)

    Examples
    --------
    >>> contrast_basis([[1, -1]], 2).tolist()
    [[1.0, 0.5, -0.5, -0.5]]
    """
    check_choice("order of a contrast", order, (1, 2))
    A = np.asarray(A, dtype="float32")
    columns = [np.ones((len(A), 1), "f4"), A / 2]
    if order == 2:
        first, second = np.triu_indices(A.shape[1], 1)
        columns.append(A[:, first] * A[:, second] / 2)
    return np.column_stack(columns)


def best_combination(effects: ArrayLike, treatments: int) -> Array:
    """Return the combinations with the largest sum of effects.

    Parameters
    ----------
    effects : array-like of shape (n, K) or (n, K + K (K - 1) / 2)
        Effects of treatments, then of pairs, as in :func:`contrast_basis`.
    treatments : int
        K.

    Returns
    -------
    numpy.ndarray of int8, shape (n, K)
        Without pairs every treatment with a positive effect; with pairs the best of all
        combinations, by enumeration.
    """
    effects = numbers("effects", effects, column=False)
    pairs = treatments * (treatments + 1) // 2
    if effects.ndim != 2 or effects.shape[1] not in (treatments, pairs):
        raise InputError(
            f"effects must have {treatments} columns, or with pairs {pairs}, not shape"
            f" {effects.shape}"
        )
    if effects.shape[1] == treatments:
        return signs(effects)
    every = combinations(treatments, "int8")
    return every[(effects @ contrast_basis(every, 2)[:, 1:].T).argmax(axis=1)]
