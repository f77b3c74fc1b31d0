"""A number with its interval: the one form in which the library returns estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats


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
        value = format(self.value, specification)
        if math.isnan(self.low):
            return value
        low, high = (format(end, specification) for end in (self.low, self.high))
        return f"{value} ({low} to {high})"

    def as_dict(self) -> dict[str, Any]:
        """Return value, low, high and reason, as a row of a table."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "reason": self.reason,
        }


def normal_estimate(
    value: float, standard_error: float, *, level: float = 0.95, n: int | None = None
) -> Estimate:
    """Return an estimate with the interval of the normal distribution.

    Parameters
    ----------
    value : float
        The number.
    standard_error : float
        Its standard error.
    level : float, default=0.95
        Nominal coverage.
    n : int, optional
        People behind the number.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> print(normal_estimate(1.0, 0.1))
    1.000 (0.804 to 1.196)
    """
    reach = float(stats.norm.ppf((1 + level) / 2)) * standard_error
    return Estimate(value, value - reach, value + reach, standard_error, n)


def mean_over_splits(
    scores: Any, *, test_size: float = 0.3, level: float = 0.95
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
    level : float, default=0.95
        Nominal coverage.

    Returns
    -------
    Estimate
        Without an interval for a single split.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error.

    Examples
    --------
    >>> print(mean_over_splits([0.60, 0.62, 0.61, 0.59, 0.63]))
    0.610 (0.575 to 0.645)
    """
    scores = np.asarray(scores, float)
    mean = float(scores.mean())
    if len(scores) < 2:
        return Estimate(mean)
    variance = scores.var(ddof=1) * (1 / len(scores) + test_size / (1 - test_size))
    error = float(np.sqrt(variance))
    reach = float(stats.t.ppf((1 + level) / 2, len(scores) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach, error)
