"""Every measure over every family of groups, with bounds and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sudlib.fairness import comparison, inference, tables
from sudlib.fairness.disparity import Disparity, smallest_over_levels
from sudlib.fairness.inputs import Columns, Floats
from sudlib.fairness.published import warn_about_paper
from sudlib.fairness.rates import rate_table
from sudlib.files import InputError
from sudlib.validation import (
    Ints,
    check_choice,
    check_confidence,
    check_number,
    check_seed,
    check_whole,
)

# More groups than this are no default: the call is to say which it wants.
_MOST_GROUPS = 20_000


@dataclass(frozen=True)
class Report:
    """What :func:`assess` returns.

    Attributes
    ----------
    worst : pandas.DataFrame
        One row a family and measure, over all groups of the family together: ``value``,
        ``low``, ``high`` (simultaneous bounds), ``verdict``, ``shrunk`` (the value of
        rates that are drawn towards their mean by empirical Bayes), ``label`` (class),
        ``lowest``, ``highest`` (groups that attain it) with ``…_rate``, ``…_n`` (rows
        in the denominator) and ``…_detectable`` (the smallest difference from everybody
        else that would be found in four of five samples), ``n_groups``, ``n_empty``,
        ``n_small``, ``n_undefined``, ``critical`` (standard errors that the bounds
        reach) and ``reason``.
    by_variables : pandas.DataFrame
        The same for each set of crossed columns alone: one row a family, set of
        variables and measure.  The bounds of a row hold at once for the groups of that
        row, not for all rows.
    rates : pandas.DataFrame
        As :func:`sudlib.fairness.group_rates`, with the ``family``.
    n : int
        Number of rows.
    n_resamples : int
        Number of draws behind the critical values.
    """

    worst: pd.DataFrame
    by_variables: pd.DataFrame
    rates: pd.DataFrame = field(repr=False)
    n: int
    n_resamples: int


def assess(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: Columns,
    sample_weight: ArrayLike | None = None,
    families: str | Sequence[tables.FamilyName] | None = None,
    measures: str | Sequence[str] = tuple(comparison.MEASURES),
    condition: ArrayLike | None = None,
    agg: str = "worst",
    method: str = "between_groups",
    max_difference: float = 0.2,
    min_ratio: float = 0.8,
    min_n: int = 0,
    pos_label: Any = None,
    labels: Iterable[Any] | None = None,
    missing: str = "error",
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int = 33,
) -> Report:
    """Return every measure over every family of groups, with bounds and verdicts.

    The bounds hold for all groups of a family at once: each two groups have an interval
    for their difference and ratio, from exact limits of both rates, at a critical value
    that allows for how many groups there are and how they overlap.  Taught in the
    notebook *How fair are the models, variable by variable?*.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, sample_weight
        As in :func:`sudlib.fairness.tabulate`.
    families : str or sequence, optional
        As in :func:`sudlib.fairness.families`; by default each column alone, pairs and
        triples, as far as there are so many columns and no more than 20,000 groups.
    measures : str or sequence of str
        Keys of :data:`sudlib.fairness.MEASURES`.
    condition : array-like, optional
        A legitimate attribute: adds the conditional statistical parity ratio.
    agg, method
        As in :func:`sudlib.fairness.demographic_parity_ratio`.  Study B's formulas
        (``agg="paper"``) have no bounds.
    max_difference : float, default=0.2
        The largest difference that passes.
    min_ratio : float, default=0.8
        The smallest ratio that passes.
    min_n, pos_label, labels, missing
        As in :func:`sudlib.fairness.demographic_parity_ratio`.
    n_resamples : int, default=1000
        Number of draws for the critical values; 0 gives no bounds.
    confidence_level : float, default=0.95
        How often all differences of a family lie within their bounds, at least.
    seed : int, default=33
        Of the random numbers.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        For unknown measures, families or classes, columns of different lengths and
        missing values.

    Notes
    -----
    The bounds contain their value, and the raw value is too extreme: of many noisy
    rates the smallest and the largest lie further apart than the true ones.
    :func:`sudlib.fairness.fair_null` has what a fair predictor would show.

    Verdicts: *passes* when both bounds are on the fair side of the threshold, *fails*
    when both are beyond it, else *cannot tell*.  A group of few people in the
    denominator of its rate has a wide interval, so that it settles nothing.

    References
    ----------
    Hothorn, Bretz and Westfall (2008), Simultaneous inference in general parametric
    models.  Newcombe (1998), Interval estimation for the difference between independent
    proportions.  Donner and Zou (2012), Closed-form confidence intervals for functions
    of the normal mean and standard deviation.

    Examples
    --------
    >>> report = assess(
    ...     [1, 0] * 200,
    ...     [1, 1, 1, 0] * 100,
    ...     sensitive_features={"sex": ["f"] * 300 + ["m"] * 100},
    ... )
    >>> report.worst.set_index("measure")["verdict"]["demographic_parity_difference"]
    'passes'
    """
    listed: Any = measures
    if isinstance(measures, str) or not isinstance(measures, Iterable):
        listed = [measures]
    measures = list(listed)
    if not measures:
        raise InputError("measures must name at least one measure, got none")
    for measure in measures:
        check_choice("measures", measure, comparison.MEASURES)
        if agg == "paper":
            warn_about_paper(measure)
    n_resamples, seed = check_whole("n_resamples", n_resamples), check_seed(seed)
    check_confidence(confidence_level)
    thresholds = {
        "difference": check_number("max_difference", max_difference, 0, 1),
        "ratio": check_number("min_ratio", min_ratio, 0, 1),
    }
    columns = (sensitive_features, sample_weight, labels, missing)
    counts = tables.tabulate(y_true, y_pred, *columns)
    if families is None:
        families = _default_families(counts)
    elif isinstance(families, str) or not isinstance(families, Iterable):
        families = [families]
    families = list(families)
    named = [tables.named_sets(counts.columns, family) for family in families]
    groups = tables.families(counts, [names for _, sets in named for names in sets])
    firsts = groups.starts[np.cumsum([0, *(len(sets) for _, sets in named[:-1])])]
    chosen = comparison.Comparison(counts, groups, agg, min_n, pos_label, method)
    draws = (n_resamples, confidence_level, seed)
    by_family, by_set = inference.critical_values(
        [chosen], measures, [firsts, groups.starts], *draws
    )
    of_family = [{"family": name} for name, _ in named]
    of_set = [
        {"family": name, "variables": ", ".join(names)}
        for name, sets in named
        for names in sets
    ]
    worst = _rows(chosen, firsts, of_family, by_family, thresholds)
    alone = _rows(chosen, groups.starts, of_set, by_set, thresholds)
    if condition is not None:
        levels = tables.tabulate_levels(condition, y_true, y_pred, *columns)
        for rows, family, name in zip(worst, families, of_family, strict=True):
            compared = {
                level: comparison.Comparison(
                    each, tables.families(each, family), agg, min_n, pos_label, method
                )
                for level, each in levels.items()
            }
            rows.append({**name, **_conditional(compared, draws, min_ratio)})
    table = pd.DataFrame(chain.from_iterable(worst))
    rates = rate_table(counts, groups, min_n)
    sizes = np.diff([*firsts, len(groups)]) * len(counts.labels)
    rates["family"] = np.repeat([name for name, _ in named], sizes)
    by_variables = pd.DataFrame(chain.from_iterable(alone))
    return Report(table, by_variables, rates, counts.n, n_resamples)


def _default_families(counts: tables.Counts) -> list[tables.FamilyName]:
    """Return the families that there are columns for, without too many groups."""
    chosen: list[tables.FamilyName] = []
    total = 0
    sizes = [len(levels) for levels in counts.levels]
    for name, crossed in tables.FAMILIES.items():
        if crossed <= len(sizes):
            total += sum(math.prod(each) for each in combinations(sizes, crossed))
            if chosen and total > _MOST_GROUPS:
                break
            chosen.append(name)
    return chosen


def _row(
    chosen: comparison.Comparison,
    found: Disparity,
    ends: Iterable[float],
    critical: float,
    shrunk: float,
    rule: tuple[str, float],
) -> dict[str, Any]:
    """Return a disparity with its bounds and verdict, as a row of a table."""
    low, high = (float(end) for end in ends)
    kind, threshold = rule
    return {
        "value": float(found),
        "low": low,
        "high": high,
        "verdict": inference.verdict(low, high, threshold, kind),
        "shrunk": float(shrunk),
        **found.facts(),
        **inference.detectable(chosen, found, critical),
        "critical": float(critical),
    }


def _rows(
    chosen: comparison.Comparison,
    starts: Ints,
    names: Sequence[dict[str, str]],
    critical: Mapping[str, Floats],
    thresholds: Mapping[str, float],
) -> list[list[dict[str, Any]]]:
    """Return for each set of groups its rows: one a measure."""
    ends = [*starts[1:], len(chosen.family)]
    rows: list[list[dict[str, Any]]] = [[] for _ in names]
    bounds = inference.bounds(chosen, list(critical), starts, critical)
    for measure, reach in critical.items():
        shrunk = inference.shrunk(chosen, measure, starts)
        kind = comparison.MEASURES[measure][1]
        rule = kind, thresholds[kind]
        for at, (start, end, name) in enumerate(zip(starts, ends, names, strict=True)):
            value = chosen.describe(measure, slice(start, end))
            row = _row(chosen, value, bounds[measure][at], reach[at], shrunk[at], rule)
            rows[at].append({**name, "measure": measure, **row})
    return rows


def _conditional(
    compared: Mapping[Any, comparison.Comparison],
    draws: tuple[int, float, int],
    min_ratio: float,
) -> dict[str, Any]:
    """Return the row of the conditional statistical parity ratio.

    Its bounds hold at once for the groups of all levels of the condition.
    """
    measure, whole = "demographic_parity_ratio", np.zeros(1, np.intp)
    at_levels = {level: each.describe(measure) for level, each in compared.items()}
    smallest = smallest_over_levels(at_levels)
    defined = [each for k, each in compared.items() if not np.isnan(at_levels[k])]
    ends, shrunk, critical = np.full(2, np.nan), np.nan, np.nan
    chosen = next(iter(compared.values()))
    if defined:
        chosen = compared[smallest.level]
        smallest.reason = f"at level {smallest.level!r} of the condition"
        if smallest.n_undefined_levels:
            smallest.reason += f"; {smallest.n_undefined_levels} levels undefined"
        [values] = inference.critical_values(defined, [measure], [whole], *draws)
        bounds = [inference.bounds(each, [measure], whole, values) for each in defined]
        ends = np.min([each[measure][0] for each in bounds], axis=0)
        shrunk = min(inference.shrunk(each, measure, whole)[0] for each in defined)
        critical = values[measure][0]
    row = _row(chosen, smallest, ends, critical, shrunk, ("ratio", min_ratio))
    return {"measure": "conditional_statistical_parity_ratio", **row}
