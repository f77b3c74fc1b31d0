"""The best rule among those whose harm stays below a bound.

Taught in notebook ``c10_outcomes_and_visits``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sudlib.files import InputError
from sudlib.policy.study import column_names
from sudlib.policy.treatments import Array
from sudlib.validation import check_number, check_rows, numbers


class Bounded(NamedTuple):
    """What :func:`best_within` chooses.

    Parameters
    ----------
    number : numpy.ndarray of int, shape (n,)
        The column chosen for each person.
    price : float
        What one unit of harm costs, in units of benefit.
    """

    number: Array
    price: float


def best_within(benefit: ArrayLike, harm: ArrayLike, bound: float) -> Bounded:
    """Return the choice with the largest mean benefit whose mean harm is in bounds.

    Everybody gets the option with the largest ``benefit - price * harm``.  A higher
    price brings less harm; the lowest price is taken that keeps the bound.

    Parameters
    ----------
    benefit, harm : array-like of shape (n, options)
        Expected for each person under each option, such as each combination.
    bound : float
        The largest mean harm allowed.

    Returns
    -------
    Bounded
        Their ``number`` and the ``price``.

    Raises
    ------
    sudlib.files.InputError
        If no choice keeps the bound, or shapes, rows or the names of options differ.

    Examples
    --------
    >>> best_within([[0, 2], [0, 1]], [[0, 1], [0, 1]], bound=0.5).number.tolist()
    [1, 0]
    """
    check_rows(benefit=benefit, harm=harm)
    bound = check_number("bound", bound)
    names = column_names(benefit), column_names(harm)
    if None not in names and names[0] != names[1]:
        raise InputError(
            "benefit and harm must have the same options in one order, not"
            f" {', '.join(names[0] or ())} and {', '.join(names[1] or ())}"
        )
    good = numbers("benefit", benefit, column=False)
    bad = numbers("harm", harm, column=False)
    if good.shape != bad.shape or good.ndim != 2 or not good.size:
        raise InputError(
            "benefit and harm must have the same rows and options, not shapes"
            f" {good.shape} and {bad.shape}"
        )
    least = bad.min(axis=1).mean()
    if not least <= bound:
        raise InputError(
            f"no rule keeps a bound of {bound:g}: the smallest mean harm is {least:g}"
        )

    def choose(price: float) -> tuple[Array, float]:
        best = (good - price * bad).argmax(axis=1)
        return best, float(bad[np.arange(len(bad)), best].mean())

    low, high = 0.0, 1.0
    if choose(0.0)[1] <= bound:
        return Bounded(choose(0.0)[0], 0.0)
    for _ in range(100):
        if choose(high)[1] <= bound:
            break
        low, high = high, 2 * high
    else:  # at any price: the least harm, and of equals the best
        return Bounded(np.lexsort((-good, bad), axis=1)[:, 0], float("inf"))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if choose(middle)[1] <= bound else (middle, high)
    return Bounded(choose(high)[0], high)
