"""Combinations of treatments and their numbers (floor 0).

A treatment is coded -1 (not given) and +1 (given); a combination of K treatments is a
row of K such codes.  Used by study C: ``sudlib.owl``, ``cprd``, ``rivals`` and
``values``.  Taught in notebook ``c01_the_idea``.
"""

import itertools

import numpy as np

from sudlib.files import InputError

#: Methods that look at every combination stop here: 2^12 is 4,096.
MOST_TREATMENTS = 12


def combinations(treatments, dtype=int):
    """Return all combinations of K treatments, coded -1 and +1, in counting order.

    Parameters
    ----------
    treatments : int
        K, from 2 to 12.
    dtype : default=int
        Type of the codes; "int8" where there are many people.

    Returns
    -------
    numpy.ndarray of shape (2 ** K, K)
        The row number read in binary, first treatment first.

    Raises
    ------
    InputError
        If K is outside 2 to 12.

    Examples
    --------
    >>> combinations(2).tolist()
    [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    """
    if not 2 <= treatments <= MOST_TREATMENTS:
        raise InputError(
            f"combinations are listed for 2 to {MOST_TREATMENTS} treatments, not"
            f" {treatments}: one makes none, and more than {MOST_TREATMENTS} make over"
            f" {2**MOST_TREATMENTS:,}"
        )
    return np.array(list(itertools.product((-1, 1), repeat=treatments)), dtype=dtype)


def combination_number(A):
    """Return the row of :func:`combinations` that each person's combination is.

    Examples
    --------
    >>> combination_number([[1, -1], [1, 1]]).tolist()
    [2, 3]
    """
    given = np.asarray(A) > 0
    return given @ (2 ** np.arange(given.shape[-1])[::-1])
