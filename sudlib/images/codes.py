"""The codes of a record as small integers, the form that layers and renderers take."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib import encoding, teds
from sudlib.files import InputError
from sudlib.teds import codebook, cohorts
from sudlib.teds.codebook import MISSING

VARIABLES = cohorts.FEATURES
"""The 28 variables of a picture, in the order of the columns of its codes."""


LEVELS = {
    name: (MISSING, *sorted(set(codebook.wordings(name)) - {MISSING}))
    for name in VARIABLES
}
"""Each variable's codes in all years, missing first, then rising.

The place of a code in this tuple is the small integer that stands for it.
"""


def levels() -> tuple[int, ...]:
    """Return how many levels each of the 28 variables has, for embeddings.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> dict(zip(VARIABLES, levels()))["GENDER"]
    3
    """
    return tuple(len(LEVELS[name]) for name in VARIABLES)


def encode(people: pd.DataFrame) -> NDArray[np.uint8]:
    """Return records as 28 codes (small integers) a person, whatever the layout.

    Parameters
    ----------
    people : pandas.DataFrame
        Records with the 28 variables; flags that are not there are worked out from
        SUB1 to SUB3 (:func:`sudlib.encoding.derive_flags`).

    Returns
    -------
    numpy.ndarray
        uint8, people x 28: the columns are ``VARIABLES``, a value is the place of the
        code in ``LEVELS``.

    Raises
    ------
    InputError
        If a variable is absent, or a cell is no code of it.

    Examples
    --------
    >>> import pandas as pd
    >>> person = {name: MISSING for name in VARIABLES} | {"AGE": 3}
    >>> encode(pd.DataFrame([person]))[0, :3].tolist()
    [3, 0, 0]
    """
    people = encoding.derive_flags(
        people, [name for name in VARIABLES if name in codebook.FLAGS]
    )
    people = teds.official_codes(people, VARIABLES, only=VARIABLES, who="a picture")
    codes = np.empty((len(people), len(VARIABLES)), np.uint8)
    for column, name in enumerate(VARIABLES):
        codes[:, column] = pd.Index(LEVELS[name]).get_indexer(people[name])
    return codes


def as_codes(people: pd.DataFrame | ArrayLike) -> NDArray[np.uint8]:
    """Return records, or codes that were made of them, as codes that can be drawn.

    Parameters
    ----------
    people : pandas.DataFrame or array-like of int
        Records, which are encoded, or what :func:`encode` returns, which is checked.

    Returns
    -------
    numpy.ndarray
        uint8, people x 28; an array that is this already is not copied.

    Raises
    ------
    InputError
        If the shape is another, a code is no whole number or stands for no level.

    Examples
    --------
    >>> as_codes([[0] * 28]).dtype
    dtype('uint8')
    """
    if isinstance(people, pd.DataFrame):
        return encode(people)
    codes = np.asarray(people)
    if codes.ndim != 2 or codes.shape[1] != len(VARIABLES):
        raise InputError(
            f"codes must have {len(VARIABLES)} columns, as images.encode makes them;"
            f" their shape is {codes.shape}"
        )
    masked = " with gaps (masked)" if np.ma.is_masked(people) else ""
    if codes.dtype.kind not in "iu" or masked:
        raise InputError(
            f"codes must be whole numbers (integers), not {codes.dtype}{masked}"
        )
    if len(codes):
        lowest, highest = codes.min(axis=0), codes.max(axis=0)
        for column in np.flatnonzero((lowest < 0) | (highest >= levels())):
            worst = lowest[column] if lowest[column] < 0 else highest[column]
            raise InputError(
                f"{VARIABLES[column]} has a level without a glyph, {worst}; it may be 0"
                f" to {levels()[column] - 1} (places in LEVELS, not codes)"
            )
    return codes.astype(np.uint8, copy=False)
