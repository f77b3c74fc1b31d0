"""A number with its interval: the one form in which the library returns estimates."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import betaincinv

from sudlib.validation import check_confidence, check_number, check_whole, numbers

#: The 0.975 quantile of the normal distribution.
NORMAL = float(stats.norm.ppf(0.975))


def formatted(value: Any, specification: str = "") -> str:
    """Return a value's text for a reader: a minus sign, and none before a zero.

    Parameters
    ----------
    value : object
        A number, or what has a format of its own.
    specification : str, optional
        As for :func:`format`.

    Returns
    -------
    str

    Examples
    --------
    >>> formatted(-0.0004, "+.3f"), formatted(-0.0006, "+.3f"), formatted(0.0, "+.0%")
    ('0.000', '−0.001', '0%')
    """
    text = format(value, specification)
    return text[1:] if re.fullmatch(r"[-+]0(\.0+)?%?", text) else with_minus(text)


def with_minus(text: str) -> str:
    """Return a text whose negative numbers have a minus sign in place of a hyphen.

    Parameters
    ----------
    text : str
        Sentences; code and formulas that begin with the number stay as they are.

    Returns
    -------
    str

    Examples
    --------
    >>> with_minus("-0.02 (-0.05 to +0.01) in 2017-2019, code `-9`, $-1$")
    '−0.02 (−0.05 to +0.01) in 2017-2019, code `-9`, $-1$'
    """
    return re.sub(r"(?<![\w`$-])-(?=\.?\d)", "\N{MINUS SIGN}", text)


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, or the reason why there is none.

    Attributes
    ----------
    value : float
        NaN where undefined.
    low, high : float
        Ends of the confidence interval; NaN where there is none.
    standard_error : float
        NaN where unknown.
    n : int or None
        People behind the number.
    reason : str
        Why the value, or a part of the resamples, is undefined; empty when all is well.

    Examples
    --------
    >>> print(Estimate(0.6712, 0.6651, 0.6779))
    0.671 (0.665 to 0.678)
    >>> f"{Estimate(2.5104, 2.444, 2.581):.2f}"
    '2.51 (2.44 to 2.58)'
    >>> print(Estimate(-0.0001, -0.004, 0.003))
    0.000 (−0.004 to 0.003)
    >>> print(Estimate(float("nan"), reason="nobody was predicted to complete"))
    undefined (nobody was predicted to complete)
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    standard_error: float = math.nan
    n: int | None = None
    reason: str = ""

    def __str__(self) -> str:
        return format(self, ".3f")

    def __format__(self, specification: str) -> str:
        """Return value and interval, each formatted by the specification."""
        if math.isnan(self.value):
            return f"undefined ({self.reason})" if self.reason else "undefined"
        specification = specification or ".3f"
        value = formatted(self.value, specification)
        if math.isnan(self.low):
            return value
        low, high = (formatted(end, specification) for end in (self.low, self.high))
        return f"{value} ({low} to {high})"

    def as_dict(self) -> dict[str, Any]:
        """Return value, low, high and reason, as a row of a table.

        Returns
        -------
        dict of str to float or str
        """
        names = ("value", "low", "high", "reason")
        return {name: getattr(self, name) for name in names}


def mean_over_splits(
    scores: Any, *, test_size: float = 0.3, confidence_level: float = 0.95
) -> Estimate:
    """Return the mean of a score over random splits, with a corrected interval.

    Random splits share rows, so that their spread alone understates the uncertainty;
    the variance is multiplied by :math:`1/J + n_{test}/n_{train}` for J splits.

    Parameters
    ----------
    scores : array-like of float
        One score a split.
    test_size : float, default=0.3
        Share of the rows in the test set.
    confidence_level : float, default=0.95
        Nominal coverage.

    Returns
    -------
    Estimate
        Without an interval for a single split.

    Raises
    ------
    InputError
        For no scores, and for a share or a level that is not between 0 and 1.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error.

    Examples
    --------
    >>> print(mean_over_splits([0.60, 0.62, 0.61, 0.59, 0.63]))
    0.610 (0.575 to 0.645)
    """
    scores = numbers("scores", scores)
    check_whole("the number of scores", len(scores), 1)
    check_number("test_size", test_size, 0, 1, open_low=True, open_high=True)
    check_confidence(confidence_level)
    mean = float(scores.mean())
    if len(scores) < 2:
        return Estimate(mean)
    variance = scores.var(ddof=1) * (1 / len(scores) + test_size / (1 - test_size))
    error = float(np.sqrt(variance))
    reach = float(stats.t.ppf((1 + confidence_level) / 2, len(scores) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach, error)


def exact_limits(
    k: ArrayLike, n: ArrayLike, tail: ArrayLike = 0.025
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Clopper and Pearson's (1934) limits of shares.

    They hold for any share and any number of people, also where none or all of them
    are counted and a bootstrap cannot vary.

    Parameters
    ----------
    k, n : array-like of float
        Counted, of how many; fractions are allowed.
    tail : array-like of float, default=0.025
        Chance of missing the truth at each side, at most.

    Returns
    -------
    low, high : numpy.ndarray

    Examples
    --------
    >>> low, high = exact_limits(2, 2)
    >>> round(float(low), 3), float(high)
    (0.158, 1.0)
    """
    every = np.asarray(n, float)
    some = np.clip(np.asarray(k, float), 0, every)
    rest = every - some
    with np.errstate(invalid="ignore"):
        low = np.where(some > 0, betaincinv(np.fmax(some, 1e-9), rest + 1, tail), 0.0)
        high = 1 - betaincinv(np.fmax(rest, 1e-9), some + 1, tail)
    return low, np.where(rest > 0, high, 1.0)


def percentile_estimate(
    value: float,
    draws: ArrayLike,
    *,
    confidence_level: float = 0.95,
    reach: ArrayLike = (),
    undefined: str = "undefined",
) -> Estimate:
    """Return an estimate with the percentile interval of its resamples.

    Parameters
    ----------
    value : float
        The number; NaN where undefined.
    draws : array-like of float
        Its values in resamples, NaN where undefined.
    confidence_level : float, default=0.95
        Nominal coverage.
    reach : array-like of float, optional
        Numbers that the interval has to hold as well; it always holds the value.
    undefined : str, default="undefined"
        Why the value is, if it is.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> print(percentile_estimate(0.9, [0.5, 0.6, 0.7], confidence_level=0.5))
    0.900 (0.550 to 0.900)
    """
    check_confidence(confidence_level)
    draws = np.asarray(draws, float)
    lost = int(np.isnan(draws).sum())
    if np.isnan(value):
        return Estimate(value, reason=undefined)
    if lost == len(draws):
        return Estimate(value, reason="undefined" if lost else "no draws")
    sides = 1 - confidence_level, 1 + confidence_level
    percentiles = np.nanpercentile(draws, [50 * side for side in sides])
    ends = np.array([*percentiles, value, *np.asarray(reach, float)])
    reason = f"undefined in {lost:,} of {len(draws):,} draws" if lost else ""
    return Estimate(
        value, float(np.nanmin(ends)), float(np.nanmax(ends)), reason=reason
    )
