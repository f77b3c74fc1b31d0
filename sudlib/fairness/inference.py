"""Resampling, intervals, verdicts, and the null distribution of a fair predictor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import random_table

from sudlib.fairness import comparison, tables
from sudlib.fairness.inputs import Columns, Floats
from sudlib.validation import check_choice, check_number, check_whole

#: What passes: study B's two thresholds (its tables 6.2 and 6.6).
THRESHOLDS = {"ratio": 0.8, "difference": 0.2}

#: For each measure its value in each set of groups and resample.
Resampled: TypeAlias = dict[str, Floats]

# Numbers held at once while resampling: 8 million floats are 64 MB.
_AT_ONCE = 8_000_000


def resampled_disparities(
    chosen: comparison.Comparison,
    measures: Sequence[str],
    partitions: Sequence[ArrayLike],
    n_resamples: int,
    seed: int | Sequence[int],
) -> list[Resampled]:
    """Return each measure in each set of groups and bootstrap resample.

    The counts of (group, truth, prediction) are drawn from a multinomial distribution,
    and the extremes are taken again in each resample.  That is exactly the bootstrap
    over rows, at a cost that does not grow with them.

    Parameters
    ----------
    chosen : Comparison
        The groups that are compared.
    measures : sequence of str
        Keys of :data:`sudlib.fairness.MEASURES`.
    partitions : sequence of array-like of int
        For each result where the sets of groups begin.
    n_resamples : int
        Number of resamples, at least 0.
    seed : int or sequence of int
        Of the random numbers.

    Returns
    -------
    list of dict of str to numpy.ndarray of shape (n_sets, n_resamples)
        One entry a partition.
    """
    check_whole("n_resamples", n_resamples)
    random, counts = np.random.default_rng(seed), chosen.counts
    share, classes = counts.count / counts.n, len(counts.labels)
    step = max(1, _AT_ONCE // max(16 * len(share), len(chosen.family) * classes**2))
    parts = []
    for first in range(0, max(n_resamples, 1), step):
        size = min(step, n_resamples - first)
        rates = chosen.rates(random.multinomial(counts.n, share, size=size).T)
        parts.append(
            [
                {
                    name: comparison.disparity(rates, name, starts, chosen.agg)
                    for name in measures
                }
                for starts in partitions
            ]
        )
    return [
        {name: np.concatenate([part[name] for part in each], 1) for name in measures}
        for each in zip(*parts, strict=True)
    ]


def judge(
    found: comparison.Disparity,
    resampled: Floats,
    kind: str,
    confidence_level: float = 0.95,
) -> dict[str, Any]:
    """Return a disparity with its interval, bias and verdict, as a row of a table.

    Parameters
    ----------
    found : Disparity
        The value in the sample.
    resampled : numpy.ndarray of shape (n_resamples,)
        Its values in resamples; NaN where undefined.
    kind : {"difference", "ratio"}
        Which threshold holds.
    confidence_level : float, default=0.95
        Of the percentile interval.

    Returns
    -------
    dict of str to object
        ``value``, ``low``, ``high``, ``bias`` (by how much the resamples are off the
        value, on average), ``verdict``, the facts of the disparity, and
        ``undefined_draws``.
    """
    check_number(
        "confidence_level", confidence_level, 0, 1, open_low=True, open_high=True
    )
    low = high = bias = np.nan
    defined = resampled[~np.isnan(resampled)]
    if len(defined) and not np.isnan(found):
        tail = (1 - confidence_level) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        bias = defined.mean() - float(found)
    return {
        "value": float(found),
        "low": float(low),
        "high": float(high),
        "bias": float(bias),
        "verdict": verdict(found, low - bias, high - bias, kind),
        **found.facts(),
        "undefined_draws": len(resampled) - len(defined),
    }


def verdict(found: comparison.Disparity, low: float, high: float, kind: str) -> str:
    """Return whether a disparity passes its threshold, as far as the data tell.

    Parameters
    ----------
    found : Disparity
        The value in the sample.
    low, high : float
        Its interval, moved back by the bias; NaN where there is none.
    kind : {"difference", "ratio"}
        Which threshold holds: a ratio should be at least 0.8, a difference at most 0.2.

    Returns
    -------
    {"passes", "fails", "inconclusive", "undefined"}
        "inconclusive" when the interval crosses the threshold, or a group that attains
        the extreme has fewer than 30 rows.

    Examples
    --------
    >>> from sudlib.fairness import Disparity
    >>> verdict(Disparity(0.9), 0.85, 0.95, "ratio")
    'passes'
    >>> verdict(Disparity(0.9), 0.75, 0.95, "ratio")
    'inconclusive'
    """
    if np.isnan(found):
        return "undefined"
    if any(
        n is not None and n < tables.SMALL for n in (found.lowest_n, found.highest_n)
    ):
        return "inconclusive"
    low, high = (float(found) if np.isnan(end) else end for end in (low, high))
    if kind == "ratio":
        worst, best = low >= THRESHOLDS[kind], high >= THRESHOLDS[kind]
    else:
        worst, best = high <= THRESHOLDS[kind], low <= THRESHOLDS[kind]
    return "passes" if worst else "inconclusive" if best else "fails"


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
        ``null_high`` (95 % band), ``p`` (share of fair predictors that look at least
        as unfair, with the usual +1) and ``undefined_draws``.

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
    values, permuted = [], []
    for counts in strata.values():
        groups = tables.families(counts, family)
        chosen = comparison.compare(counts, groups, agg, min_n, pos_label)
        values.append(comparison.disparity(chosen.rates(), measure, [0], agg)[0, 0])
        permutations = _permuted_tables(counts, measure, n_resamples, random)
        rates = chosen.select(tables.sum_cells(groups, permutations))
        permuted.append(comparison.disparity(rates, measure, [0], agg)[0])
    ratio = comparison.MEASURES[measure][1] == "ratio"
    worst = np.fmin if ratio else np.fmax
    value, null = float(worst.reduce(values)), worst.reduce(permuted, axis=0)
    defined = null[~np.isnan(null)]
    low = middle = high = p = np.nan
    if len(defined) and not np.isnan(value):
        low, middle, high = np.quantile(defined, [0.025, 0.5, 0.975])
        as_unfair = defined <= value + 1e-12 if ratio else defined >= value - 1e-12
        p = (1 + as_unfair.sum()) / (1 + len(defined))
    found = {"value": value, "null_median": middle, "null_low": low, "null_high": high}
    return pd.Series({**found, "p": p, "undefined_draws": len(null) - len(defined)})


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
    observed = np.zeros(shape, int)
    np.add.at(observed, (counts.cell, counts.truth, counts.predicted), counts.count)
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
