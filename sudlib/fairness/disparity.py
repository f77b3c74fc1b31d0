"""A disparity: a number that knows which groups, class and rate it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np


class Disparity(float):
    """A difference or ratio of rates: a float that knows where it comes from.

    Parameters
    ----------
    value : float
        The number.
    **facts
        The attributes below.

    Attributes
    ----------
    reason : str
        Why it is NaN; empty when it is defined.
    label : object
        The class whose rates are furthest apart (None when it is undefined).
    rate : str or None
        The rate that is furthest apart.
    lowest, highest : str or None
        The groups that attain the extremes.
    lowest_rate, highest_rate : float
        Their rates.
    lowest_n, highest_n : int or None
        How many rows their rates are shares of: for a true positive rate, those of the
        class.
    n_groups, n_empty, n_small, n_undefined : int
        Groups in the family; those without a row; those with rows, but fewer than
        ``min_n`` (left out) or, without ``min_n``, than 30 (kept) in the denominator of
        a rate that is compared; those that are not left out, with denominator 0.
    n_undefined_classes : int
        Classes left out of the extreme over classes because nothing is defined there.
    """

    reason: str = ""
    label: Any = None
    rate: str | None = None
    lowest: str | None = None
    highest: str | None = None
    lowest_rate: float = np.nan
    highest_rate: float = np.nan
    lowest_n: int | None = None
    highest_n: int | None = None
    n_groups: int = 0
    n_empty: int = 0
    n_small: int = 0
    n_undefined: int = 0
    n_undefined_classes: int = 0

    def __new__(cls, value: float, **facts: Any) -> Self:
        """Return the float with its facts."""
        made = super().__new__(cls, value)
        made.__dict__.update(facts)
        return made

    def __repr__(self) -> str:
        return f"undefined ({self.reason})" if np.isnan(self) else super().__repr__()

    __str__ = __repr__

    def facts(self) -> dict[str, Any]:
        """Return the attributes by name, as a part of a row of a table.

        Returns
        -------
        dict of str to object
        """
        return {name: getattr(self, name) for name in Disparity.__annotations__}


class ConditionalDisparity(Disparity):
    """The smallest of the disparities at the levels of a condition.

    Parameters
    ----------
    value : float
        The smallest one.
    **facts
        The attributes below, and those of :class:`Disparity`.

    Attributes
    ----------
    levels : dict of object to Disparity
        The disparity at each level.
    level : object
        The level with the smallest one; None when all are undefined.
    n_undefined_levels : int
        Levels that are undefined and skipped.
    """

    levels: dict[Any, Disparity]
    level: Any
    n_undefined_levels: int


def smallest_over_levels(levels: Mapping[Any, Disparity]) -> ConditionalDisparity:
    """Return the smallest defined disparity of the levels of a condition.

    Parameters
    ----------
    levels : dict of object to Disparity
        The disparity at each level, at least one.

    Returns
    -------
    ConditionalDisparity
    """
    defined = {level: value for level, value in levels.items() if not np.isnan(value)}
    level = min(defined, key=lambda each: float(defined[each]), default=None)
    chosen = defined[level] if defined else next(iter(levels.values()))
    facts = chosen.facts()
    if not defined:
        facts["reason"] = (
            f"undefined at each of the {len(levels)} levels of the condition"
        )
    skipped = len(levels) - len(defined)
    return ConditionalDisparity(
        chosen, **facts, levels=dict(levels), level=level, n_undefined_levels=skipped
    )
