"""Simultaneous bounds, verdicts, and the null distribution of a fair predictor.

The smallest and the largest of many noisy rates lie further apart than the true ones,
and in a bootstrap resample further still.  So nothing is resampled here.  Every two
groups of a family have an interval for their difference and their ratio, made of exact
(Clopper-Pearson) limits of both rates by squaring and adding (Newcombe 1998; Donner and
Zou 2012), and all of them hold at once: the limits are taken at the critical value that
the largest standardised difference of any two groups exceeds in 5 % of samples in which
no rates differ (max-t; Hothorn, Bretz and Westfall 2008).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri
from scipy.stats import random_table

from sudlib.estimates import exact_limits
from sudlib.fairness import comparison, tables
from sudlib.fairness.inputs import Columns, Floats
from sudlib.fairness.rates import divide, fractions
from sudlib.validation import Ints, check_choice, check_whole

# Effective rows are rounded to powers of this, so that groups have few standard errors.
_STEP = 1.25

# Numbers held at once while drawing: 8 million floats are 64 MB.
_AT_ONCE = 8_000_000

# Additions that a draw of correlated errors may cost, in all resamples together.
_MOST_ADDITIONS = 300_000_000

# A "detectable" difference is found with a chance of 80 %: the normal quantile of that.
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
    names = dict.fromkeys(
        name for each in measures for name in comparison.MEASURES[each][0]
    )
    largest = {
        name: [np.zeros((len(starts), n_resamples)) for starts in partitions]
        for name in names
    }
    for chosen in compared:
        member = chosen.family.member
        joint = member.nnz * n_resamples * len(chosen.judged) <= _MOST_ADDITIONS
        step = max(1, _AT_ONCE // (max(member.shape) if joint else len(chosen.family)))
        squares = fractions(chosen.counts.tables(chosen.counts.square)[:, None])
        for name in names:
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
                    width = _width(n[known, at])
                    draws = slice(first, first + size)
                    for starts, found in zip(partitions, largest[name], strict=True):
                        here = largest_difference(
                            error * width[:, None], width, known, starts
                        )
                        np.fmax(found[:, draws], here, out=found[:, draws])
    values: list[dict[str, Floats]] = [{} for _ in partitions]
    for at, starts in enumerate(partitions):
        for measure in measures:
            drawn = np.max(
                [largest[name][at] for name in comparison.MEASURES[measure][0]], axis=0
            )
            values[at][measure] = (
                np.quantile(drawn, confidence_level, axis=1, method="higher")
                if n_resamples
                else np.full(len(starts), np.nan)
            )
    return values


def _width(n: Floats) -> Floats:
    """Return the standard error of a rate, but for a factor, with n rounded."""
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
    found = np.zeros((len(starts), error.shape[1]))
    ends = np.searchsorted(group, [*starts, np.iinfo(np.intp).max])
    for at, (start, end) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        if end - start < 2:
            continue
        widths, place = np.unique(width[start:end], return_inverse=True)
        order = np.argsort(place, kind="stable")
        firsts = np.searchsorted(place[order], np.arange(len(widths)))
        sorted_error = error[start:end][order]
        high = np.maximum.reduceat(sorted_error, firsts, axis=0)
        low = np.minimum.reduceat(sorted_error, firsts, axis=0)
        for one, top in zip(widths, high, strict=True):
            apart = (top - low) / np.hypot(one, widths)[:, None]
            np.fmax(found[at], apart.max(axis=0), out=found[at])
    return found


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
    found, by_names = {}, {}
    for measure in measures:
        names, kind = comparison.MEASURES[measure]
        spreads, comparable = comparison.spread_of(
            chosen.rates, measure, starts, chosen.overall
        )
        if chosen.agg == "paper":
            found[measure] = np.full((len(starts), 2), np.nan)
            continue
        if names not in by_names:  # a difference and a ratio share their limits
            by_names[names] = np.stack(
                [
                    _ends_of_rate(chosen, name, starts, critical[measure])
                    for name in names
                ]
            )
        ends = by_names[names][..., 0 if kind == "difference" else 1, :]
        found[measure] = np.stack(
            [
                comparison.combine(
                    np.where(np.isnan(spreads), np.nan, ends[:, :, None, :, side]),
                    comparable,
                    kind,
                    chosen.agg,
                )[:, 0]
                for side in (0, 1)
            ],
            axis=1,
        )
    return found


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
    order, found = np.lexsort((-second, -first)), []
    for _ in range(2):
        best = np.maximum.accumulate(second[order])
        leads = np.append(True, second[order][1:] > best[:-1])[: len(order)]
        found.append(order[leads])
        order = order[~leads]
    return np.concatenate(found)


def _pairs(high: Ints, low: Ints, n: int, to_last: bool) -> tuple[Ints, Ints]:
    """Return all pairs of two different groups, or those with the last one."""
    one, other = (each.ravel() for each in np.meshgrid(high, low))
    keep = one != other
    if to_last:
        one, other = (
            np.r_[high, np.full(len(low), n - 1)],
            np.r_[np.full(len(high), n - 1), low],
        )
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
    found = divide(top * bottom + np.sqrt(np.fmax(inner, 0)), bottom**2 - down**2)
    return np.where(np.isnan(found), np.inf, found)


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
        kept = divide(between * n, between * n + noise)
        # Nothing to learn from: all hits or none, so that nothing moves.
        drawn[name] = (centre + np.nan_to_num(kept) * (rate - centre))[:, None]
    return comparison.disparity(drawn, measure, starts, chosen.agg, chosen.overall)[
        :, 0
    ]


def detectable(
    chosen: comparison.Comparison, found: comparison.Disparity, critical: float
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
    reach = critical + _POWER
    ends = {}
    for end in ("lowest", "highest"):
        n, least = getattr(found, f"{end}_n"), np.nan
        if n is not None and found.rate is not None:
            label = chosen.judged.index(chosen.counts.labels.index(found.label))
            rate, every = (each[0, label] for each in chosen.everybody[found.rate])
            rate = (every * rate + 1) / (every + 2)  # also where nobody differs
            rest = max(every - n, 0)
            spread = rate * (1 - rate) * (1 / n + (1 / rest if rest else 0))
            least = min(reach * np.sqrt(spread), 1.0)
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


def fair_null(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: Columns,
    family: tables.FamilyName = "pairs",
    measure: str = "demographic_parity_ratio",
    condition: ArrayLike | None = None,
    min_n: int = 0,
    agg: str = "worst",
    pos_label: Any = None,
    labels: Iterable[Any] | None = None,
    missing: str = "error",
    n_resamples: int = 1000,
    seed: int = 33,
) -> pd.Series:
    """Return what a measure is for a predictor that does not look at the groups.

    The predictions are permuted among the rows: among all of them for demographic
    parity; among rows of the same true class for equal opportunity and equalized odds;
    among rows of the same level of a condition for conditional statistical parity.
    Group sizes, classes and how often each is predicted stay as they are.  Taught in
    the notebook *Do groups interact, and does reweighing help?*.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, labels, missing
        As in :func:`sudlib.fairness.tabulate`.
    family, measure, min_n, agg, pos_label
        As in :func:`sudlib.fairness.assess`, one family and one measure.
    condition : array-like, optional
        A legitimate attribute: the measure is then taken at each of its levels, and
        the worst level counts.  With the demographic parity ratio that is the
        conditional statistical parity ratio.
    n_resamples : int, default=1000
        Number of permutations.
    seed : int, default=33
        Of the random numbers.

    Returns
    -------
    pandas.Series
        ``value`` (of the predictions given), ``null_median``, ``null_low`` and
        ``null_high`` (95 % band), ``p`` (share of fair predictors two of whose groups
        are at least as many standard errors apart, with the usual +1) and
        ``undefined_draws``.  A few people who happen to have no hit put ``value`` at
        an extreme; ``p`` weighs every difference by its standard error, as the verdicts
        of :func:`sudlib.fairness.assess` do.

    Raises
    ------
    InputError
        As :func:`sudlib.fairness.assess`.

    Examples
    --------
    >>> y, sex = [0, 1] * 100, {"sex": ["f", "m"] * 100}
    >>> null = fair_null(y, y, sensitive_features=sex, family="each")
    >>> float(null["value"]), bool(null["p"] < 0.01)
    (0.0, True)
    """
    check_choice("measure", measure, comparison.MEASURES)
    check_whole("n_resamples", n_resamples, 1)
    strata = tables.tabulate_levels(
        condition, y_true, y_pred, sensitive_features, None, labels, missing
    )
    random = np.random.default_rng(seed)
    values: list[Floats] = []
    permuted: list[Floats] = []
    apart: list[Floats] = []
    permuted_apart: list[Floats] = []
    for counts in strata.values():
        groups = tables.families(counts, family)
        chosen = comparison.compare(counts, groups, agg, min_n, pos_label)
        permutations = _permuted_tables(counts, measure, n_resamples, random)
        rates = chosen.select(tables.sum_to_groups(groups, permutations))
        for found, differences, each in (
            (values, apart, chosen.rates),
            (permuted, permuted_apart, rates),
        ):
            found.append(comparison.disparity(each, measure, [0], chosen.agg)[0])
            differences.append(_apart(chosen, each, measure))
    ratio = comparison.MEASURES[measure][1] == "ratio"
    worst = np.fmin if ratio else np.fmax
    value, null = float(worst.reduce(values)[0]), worst.reduce(permuted, axis=0)
    defined = null[~np.isnan(null)]
    low = middle = high = p = np.nan
    if len(defined) and not np.isnan(value):
        low, middle, high = np.quantile(defined, [0.025, 0.5, 0.975])
        as_unfair = np.max(permuted_apart, axis=0) >= np.max(apart) - 1e-9
        p = (1 + as_unfair.sum()) / (1 + n_resamples)
    band = {"value": value, "null_median": middle, "null_low": low, "null_high": high}
    return pd.Series({**band, "p": p, "undefined_draws": len(null) - len(defined)})


def _apart(
    chosen: comparison.Comparison, rates: comparison.Rates, measure: str
) -> Floats:
    """Return the largest difference of two groups, in standard errors, a resample."""
    found = [np.zeros(next(iter(rates.values())).shape[1])]
    for name in comparison.MEASURES[measure][0]:
        for at, pooled in enumerate(chosen.everybody[name].rate[0]):
            rows = chosen.rows[name][:, at]
            known = np.flatnonzero(~np.isnan(rates[name][:, 0, at]))
            if 0 < pooled < 1 and len(known):
                error = rates[name][known, :, at] / np.sqrt(pooled * (1 - pooled))
                width = _width(rows[known])
                found += list(largest_difference(error, width, known, np.zeros(1, int)))
    return np.max(found, axis=0)


def _permuted_tables(
    counts: tables.Counts,
    measure: str,
    n_resamples: int,
    random: np.random.Generator,
) -> Floats:
    """Return tables of cell, truth, prediction and permutation of the predictions.

    Cells without a row and classes that are never predicted stay empty.
    """
    shape = len(counts.cells), len(counts.labels), len(counts.labels)
    observed = counts.tables(counts.count).astype(int)
    if comparison.MEASURES[measure][0] == ("selection_rate",):  # truth does not matter
        observed = observed.sum(1, keepdims=True)
    permuted = np.zeros((n_resamples, *shape))
    for truth, stratum in enumerate(observed.transpose(1, 0, 2)):
        rows, columns = np.flatnonzero(stratum.sum(1)), np.flatnonzero(stratum.sum(0))
        if len(rows):
            table = random_table(stratum.sum(1)[rows], stratum.sum(0)[columns])
            drawn = table.rvs(size=n_resamples, random_state=random)
            permuted[:, rows[:, None], truth, columns] = drawn
    return permuted.transpose(1, 2, 3, 0)
