"""Every measure over every family of groups, with intervals and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sudlib.fairness import comparison, inference, tables
from sudlib.fairness.inputs import Columns, Floats, Ints
from sudlib.fairness.published import warn_about_paper
from sudlib.fairness.rates import rate_table
from sudlib.validation import check_choice


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
        Number of rows.
    n_resamples : int
        Number of bootstrap resamples.
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
    families: Sequence[tables.FamilyName] = ("each", "pairs", "triples"),
    measures: Sequence[str] = tuple(comparison.MEASURES),
    condition: ArrayLike | None = None,
    agg: str = "worst",
    min_n: int = 0,
    pos_label: Any = None,
    labels: Iterable[Any] | None = None,
    missing: str = "error",
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int = 33,
) -> Report:
    """Return every measure over every family of groups, with intervals.

    The interval is that of a bootstrap over rows: the counts of (group, truth,
    prediction) are drawn from a multinomial distribution, and the extremes are taken
    again in each resample.  That is exactly the bootstrap over rows, at a cost that
    does not grow with them.  Taught in the notebook *How fair are the models, variable
    by variable?*.

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
    n_resamples : int, default=1000
        Number of bootstrap resamples; 0 gives no intervals.
    confidence_level : float, default=0.95
        Of the percentile intervals.
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
    The smallest and largest of many noisy rates lie further apart than the true ones,
    and in a resample further still: an interval may even exclude its value.  ``bias``
    is by how much the resamples are, on average, off the value; see also
    :func:`sudlib.fairness.fair_null` for what a fair predictor would show.

    Verdicts: *passes* or *fails* when the whole interval, moved back by that bias,
    lies on one side of the threshold (0.8 for ratios, 0.2 for differences);
    *inconclusive* when it does not, or when a group that attains the extreme has fewer
    than 30 rows; *undefined*.

    Examples
    --------
    >>> report = assess(
    ...     [1, 0] * 200,
    ...     [1, 1, 1, 0] * 100,
    ...     sensitive_features={"sex": ["f"] * 300 + ["m"] * 100},
    ...     families=["each"],
    ... )
    >>> report.worst.set_index("measure")["verdict"]["demographic_parity_difference"]
    'passes'
    """
    for measure in measures:
        check_choice("measures", measure, comparison.MEASURES)
        if agg == "paper":
            warn_about_paper(measure)
    columns = (sensitive_features, sample_weight, labels, missing)
    how = (agg, min_n, pos_label)
    counts = tables.tabulate(y_true, y_pred, *columns)
    named = [tables.named_sets(counts.columns, family) for family in families]
    groups = tables.families(counts, [names for _, sets in named for names in sets])
    firsts = groups.starts[np.cumsum([0, *(len(sets) for _, sets in named[:-1])])]
    chosen = comparison.compare(counts, groups, *how)
    by_family, by_set = inference.resampled_disparities(
        chosen, measures, [firsts, groups.starts], n_resamples, seed
    )
    of_family = [{"family": name} for name, _ in named]
    of_set = [
        {"family": name, "variables": ", ".join(names)}
        for name, sets in named
        for names in sets
    ]
    worst = _rows(chosen, firsts, of_family, by_family, confidence_level)
    alone = _rows(chosen, groups.starts, of_set, by_set, confidence_level)
    if condition is not None:
        levels = tables.tabulate_levels(condition, y_true, y_pred, *columns)
        measure = "conditional_statistical_parity_ratio"
        for rows, family, name in zip(worst, families, of_family, strict=True):
            found, values = _conditional(levels, family, how, n_resamples, seed)
            row = inference.judge(found, values, "ratio", confidence_level)
            rows.append({**name, "measure": measure, **row})
    table = pd.DataFrame(chain.from_iterable(worst))
    table.insert(5, "verdict", table.pop("verdict"))
    rates = rate_table(counts, groups, min_n)
    sizes = np.diff([*firsts, len(groups)]) * len(counts.labels)
    rates["family"] = np.repeat([name for name, _ in named], sizes)
    by_variables = pd.DataFrame(chain.from_iterable(alone))
    return Report(table, by_variables, rates, counts.n, n_resamples)


def _rows(
    chosen: comparison.Comparison,
    starts: Ints,
    names: Sequence[dict[str, str]],
    resampled: inference.Resampled,
    confidence_level: float,
) -> list[list[dict[str, Any]]]:
    """Return for each set of groups its rows: one a measure."""
    rates, ends = chosen.rates(), [*starts[1:], len(chosen.family)]
    rows: list[list[dict[str, Any]]] = []
    for at, (start, end, name) in enumerate(zip(starts, ends, names, strict=True)):
        rows.append([])
        for measure, values in resampled.items():
            found = chosen.describe(measure, rates, slice(start, end))
            row = inference.judge(
                found, values[at], comparison.MEASURES[measure][1], confidence_level
            )
            rows[-1].append({**name, "measure": measure, **row})
    return rows


def _conditional(
    levels: Mapping[Any, tables.Counts],
    family: tables.FamilyName,
    how: tuple[str, int, Any],
    n_resamples: int,
    seed: int,
) -> tuple[comparison.Disparity, Floats]:
    """Return the conditional statistical parity ratio and its value in resamples.

    Each level is resampled by itself, with the rows it has: the condition is given.
    """
    measure = "demographic_parity_ratio"
    at_levels, drawn = {}, []
    for number, (level, counts) in enumerate(levels.items()):
        chosen = comparison.compare(counts, tables.families(counts, family), *how)
        at_levels[level] = chosen.describe(measure)
        if not np.isnan(at_levels[level]):
            [resampled] = inference.resampled_disparities(
                chosen, [measure], [[0]], n_resamples, [seed, number]
            )
            drawn.append(resampled[measure][0])
    found = comparison.smallest_over_levels(at_levels)
    if found.level is not None:
        found.reason = f"at level {found.level!r} of the condition"
        if found.n_undefined_levels:
            found.reason += f"; {found.n_undefined_levels} levels undefined"
    return found, np.fmin.reduce(drawn, axis=0) if drawn else np.empty(0)
