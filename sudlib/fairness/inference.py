"""Bounds that hold for all groups at once, and verdicts.

The smallest and the largest of many noisy rates lie further apart than the true ones,
and in a bootstrap resample further still.  So nothing is resampled here.  Every two
groups of a family have an interval for their difference and their ratio, made of exact
(Clopper-Pearson) limits of both rates by squaring and adding (Newcombe 1998; Donner and
Zou 2012), and all of them hold at once: the limits are taken at the critical value that
the largest standardised difference of any two groups exceeds in 5% of samples in which
no rates differ (max-t; Hothorn, Bretz and Westfall 2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from sudlib.estimates import NORMAL, exact_limits
from sudlib.fairness import comparison
from sudlib.fairness.disparity import Disparity
from sudlib.fairness.inputs import Floats
from sudlib.fairness.rates import divide, fractions
from sudlib.validation import Ints, check_number, numbers

# Effective rows are rounded to powers of this, so that groups have few standard errors.
_STEP = 1.25

# Numbers held at once while drawing: 8 million floats are 64 MB.
_AT_ONCE = 8_000_000

# Cells in groups, counted for each class: with more, errors are drawn independently.
_MOST_MEMBERS = 1_000_000

# A "detectable" difference is found with a chance of 80%: the normal quantile of that.
_POWER = float(ndtri(0.8))

# So few groups are all compared with each other; of more, those that can be extreme.
_FEW = 40


def critical_values(
    compared: Sequence[comparison.Comparison],
    measures: Sequence[str],
    partitions: Sequence[Ints],
    n_resamples: int,
    confidence_level: float,
    seed: int,
) -> list[dict[str, Floats]]:
    """Return the critical value of each measure in each set of groups.

    Errors of rates are drawn as they would be if no rates differed: normal, with the
    correlation that groups have by sharing rows.  Where that would take too long, they
    are drawn independently, which is cautious: groups that share rows differ less.

    Parameters
    ----------
    compared : sequence of Comparison
        What must hold at once; several for the levels of a condition.
    measures : sequence of str
        Keys of :data:`sudlib.fairness.MEASURES`.
    partitions : sequence of numpy.ndarray of int
        For each result where the sets of groups begin, as many in each comparison.
    n_resamples : int
        Number of draws; 0 gives NaN.
    confidence_level : float
        In what share of draws no two groups of a set differ by more.
    seed : int
        Of the random numbers.

    Returns
    -------
    list of dict of str to numpy.ndarray of shape (n_sets,)
        One entry a partition.
    """
    random = np.random.default_rng(seed)
    largest = {
        name: [np.zeros((len(starts), n_resamples)) for starts in partitions]
        for measure in measures
        for name in comparison.MEASURES[measure][0]
    }
    for chosen in compared:
        member = chosen.family.member
        joint = member.nnz * len(chosen.judged) <= _MOST_MEMBERS
        step = max(1, _AT_ONCE // (max(member.shape) if joint else len(chosen.family)))
        squares = fractions(chosen.counts.tables(chosen.counts.square)[:, None])
        for name in largest:
            n = chosen.shares[name].n
            for at, label in enumerate(chosen.judged):
                variance = squares[name][1][:, 0, label]
                known = np.flatnonzero(~np.isnan(n[:, at]))
                total = np.sqrt(member @ variance)[known, None]
                for first in range(0, n_resamples, step):
                    size = min(step, n_resamples - first)
                    if joint:
                        noise = random.standard_normal((len(variance), size))
                        noise *= np.sqrt(variance)[:, None]
                        error = (member @ noise)[known] / total
                    else:
                        error = random.standard_normal((len(known), size))
                    width = rounded_width(n[known, at])
                    draws = slice(first, first + size)
                    for starts, worst in zip(partitions, largest[name], strict=True):
                        here = largest_difference(
                            error * width[:, None], width, known, starts
                        )
                        np.fmax(worst[:, draws], here, out=worst[:, draws])

    def critical(at: int, measure: str) -> Floats:
        """Return the quantile of a measure's largest difference in each set."""
        if not n_resamples:
            return np.full(len(partitions[at]), np.nan)
        rates = comparison.MEASURES[measure][0]
        drawn = np.max([largest[name][at] for name in rates], axis=0)
        return np.quantile(drawn, confidence_level, axis=1, method="higher")

    return [
        {each: critical(at, each) for each in measures} for at in range(len(partitions))
    ]


def rounded_width(n: Floats) -> Floats:
    """Return the standard error of a rate, but for a factor, with n rounded.

    Parameters
    ----------
    n : numpy.ndarray of float
        Effective rows.

    Returns
    -------
    numpy.ndarray
        Few distinct numbers, however many different n there are.
    """
    return _STEP ** (-np.round(np.log(n) / np.log(_STEP)) / 2)


def largest_difference(
    error: Floats, width: Floats, group: Ints, starts: Ints
) -> Floats:
    """Return the largest standardised difference of two groups, in each set and draw.

    Parameters
    ----------
    error : numpy.ndarray of shape (n_known, n_resamples)
        What differs.
    width : numpy.ndarray of shape (n_known,)
        Standard errors; few distinct ones.
    group : numpy.ndarray of int, shape (n_known,)
        Which groups these are, rising.
    starts : numpy.ndarray of int
        The position of the first group of each set.

    Returns
    -------
    numpy.ndarray of shape (n_sets, n_resamples)
        0 with fewer than two groups.
    """
    largest = np.zeros((len(starts), error.shape[1]))
    ends = np.searchsorted(group, [*starts, np.iinfo(np.intp).max])
    for at, (start, end) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        if end - start < 2:
            continue
        widths, which = np.unique(width[start:end], return_inverse=True)
        order = np.argsort(which, kind="stable")
        firsts = np.searchsorted(which[order], np.arange(len(widths)))
        sorted_error = error[start:end][order]
        high = np.maximum.reduceat(sorted_error, firsts, axis=0)
        low = np.minimum.reduceat(sorted_error, firsts, axis=0)
        for one, top in zip(widths, high, strict=True):
            apart = (top - low) / np.hypot(one, widths)[:, None]
            np.fmax(largest[at], apart.max(axis=0), out=largest[at])
    return largest


def bounds(
    chosen: comparison.Comparison,
    measures: Sequence[str],
    starts: Ints,
    critical: Mapping[str, Floats],
) -> dict[str, Floats]:
    """Return simultaneous bounds of measures in each set of groups.

    Parameters
    ----------
    chosen : Comparison
        The groups that are compared.
    measures : sequence of str
        Keys of :data:`sudlib.fairness.MEASURES`.
    starts : numpy.ndarray of int
        The position of the first group of each set.
    critical : dict of str to numpy.ndarray of shape (n_sets,)
        From :func:`critical_values`, by measure.

    Returns
    -------
    dict of str to numpy.ndarray of shape (n_sets, 2)
        Lower and upper bound; NaN where a measure is undefined, and for study B's
        formulas.
    """
    ends_of, by_names = {}, {}
    for measure in measures:
        names, kind = comparison.MEASURES[measure]
        spreads, comparable = comparison.spread_of(
            chosen.rates, measure, starts, chosen.overall
        )
        if chosen.agg == "paper":
            ends_of[measure] = np.full((len(starts), 2), np.nan)
            continue
        if names not in by_names:  # a difference and a ratio share their limits
            each = critical[measure]
            limits = [_ends_of_rate(chosen, name, starts, each) for name in names]
            by_names[names] = np.stack(limits)
        ends = by_names[names][:, :, None, :, 0 if kind == "difference" else 1]
        ends = np.where(np.isnan(spreads)[..., None], np.nan, ends)
        sides = (ends[..., 0], ends[..., 1])
        both = [comparison.combine(s, comparable, kind, chosen.agg) for s in sides]
        ends_of[measure] = np.stack(both, axis=1)[..., 0]
    return ends_of


def _ends_of_rate(
    chosen: comparison.Comparison, name: str, starts: Ints, critical: Floats
) -> Floats:
    """Return bounds of the difference and the ratio of a rate, by set and class.

    The shape is (n_sets, n_judged, 2, 2): difference and ratio, low and high.
    """
    share, whole = chosen.shares[name], chosen.everybody[name]
    ends = np.full((len(starts), len(chosen.judged), 2, 2), np.nan)
    tails = ndtr(-critical)
    stops = [*starts[1:], len(chosen.family)]
    for label in range(len(chosen.judged)):
        for at, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            rate, n = (each[start:stop, label] for each in share)
            known = ~np.isnan(rate)
            if known.sum() < 2 or np.isnan(tails[at]):
                continue
            rate, n = rate[known], n[known]
            to_last = chosen.overall is not None
            if to_last:
                rate = np.append(rate, whole.rate[0, label])
                n = np.append(n, whole.n[0, label])
            ends[at, label] = _extreme_ends(rate, n, tails[at], to_last)
    return ends


def _extreme_ends(
    rate: Floats, n: Floats, tail: float, to_last: bool
) -> list[list[float]]:
    """Return bounds of the largest difference, and of the smallest ratio, of two rates.

    The pair that attains a bound is among few: no other group has both a more extreme
    rate and a limit that is further (or nearer) away.
    """
    low, high = exact_limits(rate * n, n, tail)
    down, up = np.fmax(rate - low, 0), np.fmax(high - rate, 0)
    one, other = _pairs(_front(rate, up), _front(-rate, down), len(rate), to_last)
    far = rate[one] - rate[other] + np.hypot(up[one], down[other])
    least = _ratio_low(rate[other], down[other], rate[one], up[one])
    one, other = _pairs(_front(rate, -down), _front(-rate, -up), len(rate), to_last)
    near = rate[one] - rate[other] - np.hypot(down[one], up[other])
    most = _ratio_high(rate[other], up[other], rate[one], down[one])
    return [
        [max(near.max(), 0.0), min(far.max(), 1.0)],
        [least.min(), min(most.min(), 1.0)],
    ]


def _front(first: Floats, second: Floats) -> Ints:
    """Return the places that at most one other exceeds in both, of two arrays."""
    if len(first) <= _FEW:
        return np.arange(len(first))
    order, front = np.lexsort((-second, -first)), []
    for _ in range(2):
        best = np.maximum.accumulate(second[order])
        leads = np.append(True, second[order][1:] > best[:-1])[: len(order)]
        front.append(order[leads])
        order = order[~leads]
    return np.concatenate(front)


def _pairs(high: Ints, low: Ints, n: int, to_last: bool) -> tuple[Ints, Ints]:
    """Return all pairs of two different groups, or those with the last one."""
    one, other = (each.ravel() for each in np.meshgrid(high, low))
    if to_last:
        one = np.r_[high, np.full(len(low), n - 1)]
        other = np.r_[np.full(len(high), n - 1), low]
    keep = one != other
    return one[keep], other[keep]


def _ratio_low(top: Floats, down: Floats, bottom: Floats, up: Floats) -> Floats:
    """Return the lower limit of a ratio, from the rates and their limits' distances.

    It is the r at which top - r bottom is as far above 0 as its limit is away.
    """
    inner = (bottom * down) ** 2 + up**2 * (top**2 - down**2)
    return np.nan_to_num(
        divide(top**2 - down**2, top * bottom + np.sqrt(np.fmax(inner, 0)))
    )


def _ratio_high(top: Floats, up: Floats, bottom: Floats, down: Floats) -> Floats:
    """Return the upper limit of a ratio, infinite where the denominator may be 0."""
    inner = (bottom * up) ** 2 + down**2 * (top**2 - up**2)
    limit = divide(top * bottom + np.sqrt(np.fmax(inner, 0)), bottom**2 - down**2)
    return np.where(np.isnan(limit), np.inf, limit)


def shrunk(chosen: comparison.Comparison, measure: str, starts: Ints) -> Floats:
    """Return a measure of rates that are drawn towards the rate of their set.

    Empirical Bayes: a group keeps the share of its distance that is not, on average,
    noise (the variance between groups by the method of moments, DerSimonian and Laird
    1986).  A rate of few rows moves most.

    Parameters
    ----------
    chosen : Comparison
        The groups that are compared.
    measure : str
        A key of :data:`sudlib.fairness.MEASURES`.
    starts : numpy.ndarray of int
        The position of the first group of each set.

    Returns
    -------
    numpy.ndarray of shape (n_sets,)
    """
    sizes = np.diff([*starts, len(chosen.family)])

    def total(values: Floats) -> Floats:
        """Return the sum over the groups of each set, for each of its groups."""
        summed = np.add.reduceat(np.nan_to_num(values), starts, axis=0)
        return np.repeat(summed, sizes, axis=0)

    drawn = {}
    for name in comparison.MEASURES[measure][0]:
        rate, n = chosen.shares[name]
        rows = total(n)
        centre = divide(total(n * rate), rows)
        noise = centre * (1 - centre)
        groups = total(np.ones_like(n) * ~np.isnan(n))
        excess = total(n * (rate - centre) ** 2) - (groups - 1) * noise
        between = np.fmax(divide(excess, rows - divide(total(n**2), rows)), 0)
        weight = divide(between * n, between * n + noise)
        # Nothing to learn from: all hits or none, so that nothing moves.
        drawn[name] = (centre + np.nan_to_num(weight) * (rate - centre))[:, None]
    how = (chosen.agg, chosen.overall)
    return comparison.disparity(drawn, measure, starts, *how)[:, 0]


def detectable_difference(
    n: ArrayLike,
    others: ArrayLike | None = None,
    rate: float = 0.5,
    *,
    critical: float = NORMAL,
) -> Any:
    """Return the smallest difference of a group's rate that can be found.

    Found means: in four of five samples the difference of two rates is further from 0
    than its critical value.  Taught in the notebook *Are the twin's people like real
    people?*.

    Parameters
    ----------
    n : array-like of float
        People of the group whom the rate counts.
    others : array-like of float, optional
        People whom the group is compared with; None: very many.
    rate : float, default=0.5
        The rate of both, where they do not differ.
    critical : float, optional
        How many standard errors from 0 count as a difference; more where many groups
        are compared.  By default the 0.975 quantile of the normal distribution.

    Returns
    -------
    float or numpy.ndarray
        At most 1; 1 for nobody.

    Raises
    ------
    InputError
        For a rate that is not between 0 and 1 (at 0 or 1 it has no sampling
        variability), and a number of people or standard errors below 0.

    Examples
    --------
    >>> detectable_difference([10, 100, 1000], rate=0.4).round(2).tolist()
    [0.43, 0.14, 0.04]
    """
    check_number("rate", rate, 0, 1, open_low=True, open_high=True)
    if not np.isnan(critical):  # where there are no draws it is not known
        check_number("critical", critical, 0)
    sizes = [numbers("n", n, 0, column=False)]
    if others is not None:
        sizes.append(numbers("others", others, 0, column=False))
    with np.errstate(divide="ignore"):
        spread = sum(1 / size for size in sizes)
    with np.errstate(invalid="ignore"):
        least = (critical + _POWER) * np.sqrt(rate * (1 - rate) * spread)
    return np.where(np.isinf(spread), 1.0, np.minimum(least, 1.0))[()]


def detectable(
    chosen: comparison.Comparison, found: Disparity, critical: float
) -> dict[str, float]:
    """Return how far the extreme groups would have to differ from everybody else.

    Parameters
    ----------
    chosen : Comparison
        The groups that are compared.
    found : Disparity
        Which groups are extreme.
    critical : float
        The critical value of their set.

    Returns
    -------
    dict of str to float
        ``lowest_detectable`` and ``highest_detectable``: the smallest difference of
        that group's rate that would be found in four of five samples, at most 1.
    """
    ends = {}
    for end in ("lowest", "highest"):
        n, least = getattr(found, f"{end}_n"), np.nan
        if n is not None and found.rate is not None:
            label = chosen.judged.index(chosen.counts.labels.index(found.label))
            rate, every = (each[0, label] for each in chosen.everybody[found.rate])
            rate = (every * rate + 1) / (every + 2)  # also where nobody differs
            least = detectable_difference(
                n, max(every - n, 0) or None, rate, critical=critical
            )
        ends[f"{end}_detectable"] = float(least)
    return ends


def verdict(low: float, high: float, threshold: float, kind: str) -> str:
    """Return whether a disparity passes a threshold, as far as the data tell.

    Parameters
    ----------
    low, high : float
        Its bounds; NaN where there are none.
    threshold : float
        The largest difference, or the smallest ratio, that passes.
    kind : {"difference", "ratio"}
        Which of the two it is.

    Returns
    -------
    {"passes", "fails", "cannot tell"}

    Examples
    --------
    >>> verdict(0.85, 0.95, 0.8, "ratio"), verdict(0.75, 0.95, 0.8, "ratio")
    ('passes', 'cannot tell')
    """
    if kind == "ratio":
        passes, fails = low >= threshold, high < threshold
    else:
        passes, fails = high <= threshold, low > threshold
    return "passes" if passes else "fails" if fails else "cannot tell"
