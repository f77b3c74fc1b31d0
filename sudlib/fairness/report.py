"""Every measure over every family, with intervals, and the band of a fair predictor."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import random_table

from sudlib.fairness.counts import SMALL, Family, families, sum_to_groups, tabulate
from sudlib.fairness.measures import (
    AGGREGATES,
    MEASURES,
    _classes_of,
    _columns,
    _positions,
    condition_levels,
    describe,
    disparity,
    rate_table,
    rates_of,
    warn_about_paper,
)
from sudlib.files import InputError

#: What passes: study B's two thresholds (its tables 6.2 and 6.6).
THRESHOLDS = {"ratio": 0.8, "difference": 0.2}

# Numbers held at once while resampling: 32 million floats are 256 MB at most.
_AT_ONCE = 8_000_000

_CONDITIONAL = "conditional_statistical_parity_ratio"


@dataclass(frozen=True)
class Report:
    """What :func:`assess` returns.

    Attributes
    ----------
    worst : pandas.DataFrame
        One row a family and measure, over all groups of the family together: ``value``,
        ``low``, ``high`` (interval), ``bias``, ``verdict``, ``label`` (class),
        ``lowest``, ``highest`` (groups that attain it) with ``…_rate`` and ``…_n``,
        ``n_groups``, ``n_empty``, ``n_small``, ``n_undefined``, ``undefined_draws``
        and ``reason``.
    by_variables : pandas.DataFrame
        The same for each set of crossed columns alone: one row a family, set of
        variables and measure.
    rates : pandas.DataFrame
        As :func:`sudlib.fairness.group_rates`, with the ``family``.
    n : int
        Rows.
    draws : int
    """

    worst: pd.DataFrame
    by_variables: pd.DataFrame
    rates: pd.DataFrame = field(repr=False)
    n: int
    draws: int


def assess(
    y_true,
    y_pred,
    *,
    sensitive_features,
    sample_weight=None,
    families=("each", "pairs", "triples"),
    measures=tuple(MEASURES),
    condition=None,
    agg="worst",
    min_n=0,
    pos_label=None,
    labels=None,
    missing="error",
    draws=1000,
    coverage=0.95,
    seed=33,
):
    """Return every measure over every family of groups, with intervals.

    The interval is that of a bootstrap over rows: the counts of (group, truth,
    prediction) are drawn from a multinomial distribution, and the extremes are taken
    anew in each draw.  That is exactly the bootstrap over rows, at a cost that does
    not grow with them.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, sample_weight, labels, missing
        As in :func:`sudlib.fairness.tabulate`.
    families : sequence, default=("each", "pairs", "triples")
        As in :func:`sudlib.fairness.families`.
    measures : sequence of str
        Keys of :data:`sudlib.fairness.MEASURES`.
    condition : array-like, optional
        A legitimate attribute: adds the conditional statistical parity ratio.
    agg, min_n, pos_label
        As in :func:`sudlib.fairness.demographic_parity_ratio`.
    draws : int, default=1000
        Bootstrap draws; 0 gives no intervals.
    coverage : float, default=0.95
        Of the percentile intervals.
    seed : int, default=33

    Returns
    -------
    Report

    Notes
    -----
    The smallest and largest of many noisy rates lie further apart than the true ones,
    and in a resample further still: an interval may even exclude its value.  ``bias``
    is by how much the draws are, on average, off the value; see also
    :func:`sudlib.fairness.fair_null` for what a fair predictor would show.

    Verdicts: *passes* or *fails* when the whole interval, moved back by that bias,
    lies on one side of the threshold (0.8 for ratios, 0.2 for differences);
    *inconclusive* when it does not, or when a group that attains the extreme has fewer
    than 30 rows; *undefined*.
    """
    _check(measures, agg, draws, coverage)
    counts = tabulate(
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        labels=labels,
        missing=missing,
    )
    judged = _positions(counts.labels, pos_label)
    if agg == "paper":
        for measure in measures:
            warn_about_paper(measure)
    groups = [_family(counts, name) for name in families]
    worst, by_set = _assess(
        counts, groups, measures, judged, agg, min_n, draws, coverage, seed
    )
    if condition is not None:
        levels = _levels(
            y_true,
            y_pred,
            condition,
            _columns(sensitive_features),
            sample_weight,
            labels or _classes_of(y_true, y_pred),
            missing,
        )
        worst += _conditional(
            levels, families, judged, agg, min_n, draws, coverage, seed
        )
    rates = pd.concat(
        [
            rate_table(counts, family, min_n).assign(family=family.name)
            for family in groups
        ],
        ignore_index=True,
    )
    order = ["family", "measure", "value", "low", "high", "verdict"]
    tables = [pd.DataFrame(rows) for rows in (worst, by_set)]
    tables[0] = tables[0][
        [*order, *(name for name in tables[0] if name not in order)]
    ].sort_values(
        "family",
        kind="stable",
        key=lambda names: names.map(
            {family.name: place for place, family in enumerate(groups)}
        ),
        ignore_index=True,
    )
    return Report(tables[0], tables[1], rates, counts.n, draws)


def _family(counts, name):
    return families(counts, name)


def _check(measures, agg, draws, coverage):
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise InputError(
            f"measures must be some of {', '.join(MEASURES)}, not {unknown}"
        )
    if agg not in AGGREGATES:
        raise InputError(f"agg must be one of {', '.join(AGGREGATES)}, not {agg!r}")
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 0:
        raise InputError(f"draws must be a whole number, at least 0, not {draws!r}")
    if not 0 < coverage < 1:
        raise InputError(f"coverage must lie between 0 and 1, not {coverage!r}")


def resample(counts, draws, seed):
    """Yield the categories' counts of bootstrap draws, a few draws at a time.

    Parameters
    ----------
    counts : sudlib.fairness.Counts
    draws : int
    seed : int

    Yields
    ------
    numpy.ndarray of shape (categories, draws of this part)
    """
    random = np.random.default_rng(seed)
    share = counts.count / counts.n
    part = max(1, min(draws, _AT_ONCE // (16 * len(share))))
    for first in range(0, draws, part):
        size = min(part, draws - first)
        yield random.multinomial(counts.n, share, size=size).T.astype(float)


def _join(groups):
    """Return several families as one, so that each draw is summed once."""
    starts, first = [], 0
    for family in groups:
        starts.append(family.starts + first)
        first += len(family)
    return Family(
        name="all",
        sets=[crossed for family in groups for crossed in family.sets],
        starts=np.concatenate(starts),
        groups=pd.concat([family.groups for family in groups], ignore_index=True),
        member=sparse.vstack([family.member for family in groups], format="csr"),
    )


def _draw(counts, joined, parts, measures, judged, kept, agg, draws, seed):
    """Return each measure's draws: over each set, and over each family."""
    by_set = {name: [] for name in measures}
    by_family = {name: [] for name in measures}
    needed = {rate for name in measures for rate in MEASURES[name][0]}
    # Memory holds one part of the draws, summed to every group.
    cells = len(joined) * len(counts.labels) ** 2
    for resampled in resample(counts, draws, seed):
        step = max(1, _AT_ONCE // cells)
        for first in range(0, resampled.shape[1], step):
            summed = sum_to_groups(counts, joined, resampled[:, first : first + step])
            rates = {}
            for name, rate in rates_of(summed).items():
                if name in needed:
                    rates[name] = np.where(
                        kept[:, None, None], rate[..., judged], np.nan
                    )
            for name in measures:
                by_set[name].append(disparity(rates, name, joined.starts, agg))
                by_family[name].append(disparity(rates, name, parts, agg))
    return (
        {name: np.concatenate(found, axis=1) for name, found in by_set.items()},
        {name: np.concatenate(found, axis=1) for name, found in by_family.items()},
    )


def _assess(counts, groups, measures, judged, agg, min_n, draws, coverage, seed):
    """Return the rows of both tables of a report."""
    joined = _join(groups)
    parts = np.cumsum([0, *(len(family) for family in groups[:-1])])
    kept = joined.groups["n"].to_numpy() >= max(min_n, 1)
    drawn = (
        _draw(counts, joined, parts, measures, judged, kept, agg, draws, seed)
        if draws
        else None
    )
    worst, by_set, place = [], [], 0
    for number, family in enumerate(groups):
        rates = rates_of(sum_to_groups(counts, family))
        large = family.groups["n"].to_numpy() >= max(min_n, 1)
        for measure in measures:
            found = describe(counts, family, rates, measure, agg, judged, large, [0])
            values = None if drawn is None else drawn[1][measure][number]
            worst.append(
                {
                    "family": family.name,
                    "measure": measure,
                    **_row(found, values, MEASURES[measure][1], coverage),
                }
            )
        ends = [*family.starts[1:], len(family)]
        for start, end, crossed in zip(family.starts, ends, family.sets, strict=True):
            one = Family(
                name=family.name,
                sets=[crossed],
                starts=np.array([0]),
                groups=family.groups.iloc[start:end].reset_index(drop=True),
                member=family.member[start:end],
            )
            inside = {name: rate[start:end] for name, rate in rates.items()}
            for measure in measures:
                found = describe(
                    counts, one, inside, measure, agg, judged, large[start:end], [0]
                )
                values = None if drawn is None else drawn[0][measure][place]
                by_set.append(
                    {
                        "family": family.name,
                        "variables": ", ".join(crossed),
                        "measure": measure,
                        **_row(found, values, MEASURES[measure][1], coverage),
                    }
                )
            place += 1
    return worst, by_set


def _row(found, values, kind, coverage):
    """Return a disparity with its interval and its verdict as a dict."""
    low = high = bias = np.nan
    undefined = 0
    if values is not None:
        defined = values[~np.isnan(values)]
        undefined = len(values) - len(defined)
        if len(defined) and not np.isnan(found):
            tail = (1 - coverage) / 2
            low, high = np.quantile(defined, [tail, 1 - tail])
            bias = defined.mean() - float(found)
    return {
        "value": float(found),
        "low": float(low),
        "high": float(high),
        "bias": float(bias),
        "verdict": verdict(found, low - bias, high - bias, kind),
        **found.__dict__,
        "undefined_draws": undefined,
    }


def verdict(found, low, high, kind):
    """Return "passes", "fails", "inconclusive" or "undefined" (see :func:`assess`)."""
    if np.isnan(found):
        return "undefined"
    rows = [n for n in (found.lowest_n, found.highest_n) if n is not None]
    if rows and min(rows) < SMALL:
        return "inconclusive"
    low, high = (float(found) if np.isnan(end) else end for end in (low, high))
    threshold = THRESHOLDS[kind]
    passes = (low >= threshold, high >= threshold)
    if kind == "difference":
        passes = (high <= threshold, low <= threshold)
    if passes[0]:
        return "passes"
    return "inconclusive" if passes[1] else "fails"


def _levels(y_true, y_pred, condition, columns, weight, labels, missing):
    """Return the counted rows of each level of a condition."""
    found = {}
    for level, here in condition_levels(condition, y_true).items():
        found[level] = tabulate(
            np.asarray(y_true)[here],
            np.asarray(y_pred)[here],
            sensitive_features={name: values[here] for name, values in columns.items()},
            sample_weight=None if weight is None else np.asarray(weight)[here],
            labels=labels,
            missing=missing,
        )
    return found


def _conditional(levels, names, judged, agg, min_n, draws, coverage, seed):
    """Return the rows of the conditional statistical parity ratio.

    Each level is resampled by itself, with the rows it has: the condition is given.
    """
    rows = []
    for name in names:
        values, drawn, skipped = {}, [], 0
        for number, (level, counts) in enumerate(levels.items()):
            family = families(counts, name)
            kept = family.groups["n"].to_numpy() >= max(min_n, 1)
            rates = rates_of(sum_to_groups(counts, family))
            found = describe(
                counts,
                family,
                rates,
                "demographic_parity_ratio",
                agg,
                judged,
                kept,
                [0],
            )
            if np.isnan(found):
                skipped += 1
                continue
            values[level] = found
            if draws:
                drawn.append(
                    _draw(
                        counts,
                        family,
                        np.array([0]),
                        ["demographic_parity_ratio"],
                        judged,
                        kept,
                        agg,
                        draws,
                        [seed, number],
                    )[1]["demographic_parity_ratio"][0]
                )
        if values:
            level = min(values, key=lambda key: float(values[key]))
            worst = values[level]
            worst.reason = f"at level {level!r} of the condition"
            if skipped:
                worst.reason += f"; {skipped} levels undefined"
        else:
            worst = found
            worst.reason = f"undefined at each of {len(levels)} levels"
        smallest = np.fmin.reduce(drawn, axis=0) if drawn else None
        rows.append(
            {
                "family": family.name,
                "measure": _CONDITIONAL,
                **_row(worst, smallest, "ratio", coverage),
            }
        )
    return rows


def fair_null(
    y_true,
    y_pred,
    *,
    sensitive_features,
    family="pairs",
    measure="demographic_parity_ratio",
    condition=None,
    min_n=0,
    agg="worst",
    pos_label=None,
    labels=None,
    missing="error",
    draws=1000,
    seed=33,
):
    """Return what a measure is for a predictor that does not look at the groups.

    The predictions are dealt anew among the rows: among all of them for demographic
    parity; among rows of the same true class for equal opportunity and equalized odds;
    among rows of the same level of a condition for conditional statistical parity.
    Group sizes, classes and how often each is predicted stay as they are.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, labels, missing
        As in :func:`sudlib.fairness.tabulate`.
    family, measure, min_n, agg, pos_label
        As in :func:`sudlib.fairness.assess`.
    condition : array-like, optional
        A legitimate attribute: the measure is then taken at each of its levels, and
        the worst level counts.  With the demographic parity ratio that is the
        conditional statistical parity ratio.
    draws : int, default=1000
    seed : int, default=33

    Returns
    -------
    pandas.Series
        ``value`` (of the predictions given), ``null_median``, ``null_low`` and
        ``null_high`` (95 % band), ``p`` (share of fair predictors that look at least
        as unfair, with the usual +1) and ``undefined_draws``.
    """
    _check([measure], agg, draws, 0.95)
    if draws < 1:
        raise InputError(f"draws must be at least 1, not {draws}")
    if condition is None:
        parts = [
            tabulate(
                y_true,
                y_pred,
                sensitive_features=sensitive_features,
                labels=labels,
                missing=missing,
            )
        ]
    else:
        known = labels or _classes_of(y_true, y_pred)
        columns = _columns(sensitive_features)
        levels = _levels(y_true, y_pred, condition, columns, None, known, missing)
        parts = list(levels.values())
    random = np.random.default_rng(seed)
    found = [
        _null_of(counts, family, measure, agg, min_n, pos_label, draws, random)
        for counts in parts
    ]
    kind = MEASURES[measure][1]
    worst = np.fmin if kind == "ratio" else np.fmax
    value = float(worst.reduce([value for value, _ in found]))
    null = worst.reduce([drawn for _, drawn in found], axis=0)
    known = null[~np.isnan(null)]
    if np.isnan(value) or not len(known):
        low = middle = high = p = np.nan
    else:
        low, middle, high = np.quantile(known, [0.025, 0.5, 0.975])
        worse = known <= value + 1e-12 if kind == "ratio" else known >= value - 1e-12
        p = (1 + worse.sum()) / (1 + len(known))
    return pd.Series(
        {
            "value": value,
            "null_median": middle,
            "null_low": low,
            "null_high": high,
            "p": p,
            "undefined_draws": len(null) - len(known),
        }
    )


def _null_of(counts, family, measure, agg, min_n, pos_label, draws, random):
    """Return a measure of counted rows, and of as many fair predictors as draws."""
    groups = families(counts, family)
    judged = _positions(counts.labels, pos_label)
    kept = groups.groups["n"].to_numpy() >= max(min_n, 1)
    names = MEASURES[measure][0]
    rates = rates_of(sum_to_groups(counts, groups))
    value = float(describe(counts, groups, rates, measure, agg, judged, kept, [0]))
    classes, cells = len(counts.labels), len(counts.cells)
    full = np.zeros((cells, classes, classes))
    np.add.at(full, (counts.cell, counts.truth, counts.predicted), counts.count)
    strata = (
        [full.sum(1)] if names == ("selection_rate",) else list(full.transpose(1, 0, 2))
    )
    dealt = np.zeros((draws, cells, classes, classes))
    for truth, stratum in enumerate(strata):
        if stratum.sum():
            dealt[:, :, truth] = _deal(stratum, draws, random)
    table = dealt.transpose(1, 2, 3, 0).reshape(cells, -1)
    summed = np.asarray(groups.member @ table)
    summed = summed.reshape(len(groups), classes, classes, draws).transpose(0, 3, 1, 2)
    rates = {
        name: np.where(kept[:, None, None], rate[..., judged], np.nan)
        for name, rate in rates_of(summed).items()
    }
    return value, disparity(rates, measure, [0], agg)[0]


def _deal(stratum, draws, random):
    """Return tables with the margins of one, as if rows and columns were independent.

    Cells without a row and classes nobody gets stay empty.
    """
    rows, columns = stratum.sum(1).astype(int), stratum.sum(0).astype(int)
    made = np.zeros((draws, *stratum.shape))
    here = np.ix_(range(draws), np.flatnonzero(rows), np.flatnonzero(columns))
    deal = random_table(rows[rows > 0], columns[columns > 0])
    made[here] = deal.rvs(size=draws, random_state=random)
    return made
