"""Outcomes that are times, some of them cut off."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sudlib.classes import code_column, code_outcomes
from sudlib.policy.treatments import Array
from sudlib.validation import check_columns, check_number, numbers


def restricted_time(
    time: ArrayLike, event: ArrayLike, horizon: float, groups: ArrayLike | None = None
) -> Array:
    r"""Return time to an event up to a horizon, complete in spite of censoring.

    These are the pseudo-observations of the restricted mean: :math:`n\hat\mu -
    (n-1)\hat\mu_{-i}` with the area under the Kaplan-Meier curve for :math:`\hat\mu`.
    Their mean given covariates is that of the time itself if censoring does not depend
    on it, within each group.

    Parameters
    ----------
    time : array-like of shape (n,)
        Time to the event or to the end of observation.
    event : array-like of bool or of 0 and 1, shape (n,)
        Whether the event was seen.
    horizon : float
        Time is cut here.
    groups : array-like of shape (n,), optional
        Such as arms: censoring may differ between them.

    Returns
    -------
    numpy.ndarray of shape (n,)
        An outcome for :class:`Trial`.

    Raises
    ------
    sudlib.files.InputError
        For rows that do not match, times that are no numbers from 0 up, events other
        than 0 and 1, people without a group, and a horizon up to which nobody of a
        group is observed.

    Notes
    -----
    See Andersen, Hansen and Klein (2004), Regression analysis of restricted mean
    survival time based on pseudo-observations.

    Examples
    --------
    >>> restricted_time([2.0, 4.0, 9.0], [True, True, False], 5.0).tolist()
    [2.0, 4.0, 5.0]
    """
    check_columns(time=time, event=event, groups=groups)
    time, [event] = numbers("time", time, 0), code_outcomes(event=event)
    check_number("horizon", horizon, 0)
    part: Array = np.zeros(len(time))
    if groups is not None:
        part = code_column("groups", groups).codes
    values = np.empty(len(time))
    for group in np.unique(part):
        here = np.flatnonzero(part == group)
        last = float(time[here].max())
        if not event[here][time[here] == last].all():  # somebody lives on, unseen
            what = "horizon (people of a group are observed no longer)"
            check_number(what, horizon, 0, last)
        values[here] = _pseudo(time[here], event[here], horizon)
    return values


def _pseudo(time: Array, event: Array, horizon: float) -> Array:
    """Return pseudo-observations; people with the same time and event share theirs."""
    n = len(time)
    whole = _restricted_mean(time, event, horizon, np.ones(n))
    cut = np.minimum(time, horizon)
    pairs, people = np.column_stack([cut, event & (time <= horizon)]), np.arange(n)
    _, first, kind = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    without = [_restricted_mean(time, event, horizon, people != one) for one in first]
    return (n * whole - (n - 1) * np.array(without))[kind.ravel()]


def _restricted_mean(time: Array, event: Array, horizon: float, counts: Array) -> float:
    """Return the area under the Kaplan-Meier curve up to the horizon."""
    cuts, cut_of = np.unique(np.minimum(time, horizon), return_inverse=True)
    happened = np.bincount(cut_of, counts * (event & (time <= horizon)))
    present = np.bincount(cut_of, counts)
    at_risk = present[::-1].cumsum()[::-1]
    share = np.divide(happened, at_risk, np.zeros(len(cuts)), where=at_risk > 0)
    alive = np.r_[1.0, np.cumprod(1 - share)]
    return float(alive @ np.diff(np.r_[0.0, cuts, horizon]))
