"""The null distribution of a measure: what a fair predictor would show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import random_table

from sudlib.fairness import comparison, inference, tables
from sudlib.fairness.inputs import Columns, Floats
from sudlib.fairness.published import warn_about_paper
from sudlib.validation import check_choice, check_seed, check_whole


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
    """Return what a measure is for a predictor that is independent of the groups.

    The predictions are permuted among the rows: among all of them for demographic
    parity; among rows of the same true class for equal opportunity and equalized odds;
    among rows of the same level of a condition for conditional statistical parity.
    Group sizes, classes and how often each is predicted stay as they are.  Taught in
    the notebook *Do groups interact, and does reweighing help?*.

    Parameters
    ----------
    y_true, y_pred, sensitive_features
        As in :func:`sudlib.fairness.tabulate`.
    family, measure
        As in :func:`sudlib.fairness.assess`, one family and one measure.
    condition : array-like, optional
        A legitimate attribute: the measure is then taken at each of its levels, and
        the worst level counts.  With the demographic parity ratio that is the
        conditional statistical parity ratio.
    min_n, agg, pos_label, labels, missing
        As in :func:`sudlib.fairness.assess`.
    n_resamples : int, default=1000
        Number of permutations.
    seed : int, default=33
        Of the random numbers.

    Returns
    -------
    pandas.Series
        ``value`` (of the predictions given), ``null_median``, ``null_low`` and
        ``null_high`` (95% band), ``p`` (share of fair predictors two of whose groups
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
    if agg == "paper":
        warn_about_paper(measure)
    check_whole("n_resamples", n_resamples, 1)
    strata = tables.tabulate_levels(
        condition, y_true, y_pred, sensitive_features, None, labels, missing
    )
    random = np.random.default_rng(check_seed(seed))
    observed: list[tuple[Floats, Floats]] = []
    permuted: list[tuple[Floats, Floats]] = []
    for counts in strata.values():
        groups = tables.families(counts, family)
        chosen = comparison.Comparison(counts, groups, agg, min_n, pos_label)
        permutations = _permuted_tables(counts, measure, n_resamples, random)
        rates = chosen.select(tables.sum_to_groups(groups, permutations))
        for kept, each in ((observed, chosen.rates), (permuted, rates)):
            found = comparison.disparity(each, measure, [0], chosen.agg)[0]
            kept.append((found, _apart(chosen, each, measure)))
    values, apart = zip(*observed, strict=True)
    drawn, drawn_apart = zip(*permuted, strict=True)
    ratio = comparison.MEASURES[measure][1] == "ratio"
    worst = np.fmin if ratio else np.fmax
    value, null = float(worst.reduce(values)[0]), worst.reduce(drawn, axis=0)
    defined = null[~np.isnan(null)]
    low = middle = high = p = np.nan
    if len(defined) and not np.isnan(value):
        low, middle, high = np.quantile(defined, [0.025, 0.5, 0.975])
        as_unfair = np.max(drawn_apart, axis=0) >= np.max(apart) - 1e-9
        p = (1 + as_unfair.sum()) / (1 + n_resamples)
    band = {"value": value, "null_median": middle, "null_low": low, "null_high": high}
    return pd.Series({**band, "p": p, "undefined_draws": len(null) - len(defined)})


def _apart(
    chosen: comparison.Comparison, rates: comparison.Rates, measure: str
) -> Floats:
    """Return the largest difference of two groups, in standard errors, a resample."""
    largest = [np.zeros(next(iter(rates.values())).shape[1])]
    for name in comparison.MEASURES[measure][0]:
        for at, pooled in enumerate(chosen.everybody[name].rate[0]):
            rows = chosen.rows[name][:, at]
            known = np.flatnonzero(~np.isnan(rates[name][:, 0, at]))
            if 0 < pooled < 1 and len(known):
                error = rates[name][known, :, at] / np.sqrt(pooled * (1 - pooled))
                width = inference.rounded_width(rows[known])
                largest += list(
                    inference.largest_difference(error, width, known, np.zeros(1, int))
                )
    return np.max(largest, axis=0)


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
