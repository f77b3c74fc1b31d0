"""Chi-squared tests of crossed group columns against a target."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import MonteCarloMethod, chi2, chi2_contingency

from sudlib.classes import Coded
from sudlib.fairness import inputs
from sudlib.fairness.inputs import Columns, Floats
from sudlib.files import InputError
from sudlib.raking import rake
from sudlib.validation import Ints, check_choice, check_number, check_seed, check_whole

TESTS = ("cell", "association", "product")

# Below this expected count the chi-squared distribution is no guide (Cochran 1954).
_SPARSE = 5


def holm(p: ArrayLike) -> Floats:
    """Return p-values adjusted by Holm's method; NaN stays NaN and does not count.

    Parameters
    ----------
    p : array-like of float
        P-values, NaN where a test is undefined.

    Returns
    -------
    numpy.ndarray

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure.

    Examples
    --------
    >>> [round(float(value), 3) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]  # NaN last
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


def cell_of_row(
    groups: Mapping[str, Coded], names: Sequence[str], target: Coded
) -> tuple[Ints, list[int]]:
    """Return the position of each row in the table of crossed columns and target.

    Parameters
    ----------
    groups : dict of str to Coded
        The group columns.
    names : sequence of str
        The columns that are crossed.
    target : Coded
        The last axis.

    Returns
    -------
    cell : numpy.ndarray of int, shape (n_rows,)
        In the flattened table.
    shape : list of int
        Of the table.
    """
    crossed = [*(groups[name] for name in names), target]
    shape = [len(column.levels) for column in crossed]
    return np.ravel_multi_index(tuple(c.codes for c in crossed), shape), shape


def crosstab(
    groups: Mapping[str, Coded],
    names: Sequence[str],
    target: Coded,
    weights: Floats | None = None,
) -> NDArray[Any]:
    """Return (weighted) counts by the crossed columns and the target, as an array.

    Parameters
    ----------
    groups, names, target
        As in :func:`cell_of_row`.
    weights : numpy.ndarray, optional
        Of rows; by default 1.

    Returns
    -------
    numpy.ndarray
        One axis a column; 0 where a combination does not occur.
    """
    cell, shape = cell_of_row(groups, names, target)
    return np.bincount(cell, weights, int(np.prod(shape))).reshape(shape)


def interactions(
    sensitive_features: Columns,
    y: ArrayLike,
    *,
    sizes: Sequence[int] = (2, 3),
    test: str = "cell",
    alpha: float = 0.05,
    n_resamples: int = 4999,
    seed: int = 33,
) -> pd.DataFrame:
    """Return a test of every pair and triple of group columns, with Holm's correction.

    Taught in the notebook *Do groups interact, and does reweighing help?*.

    Parameters
    ----------
    sensitive_features : DataFrame or dict
        The group columns, without missing values.
    y : array-like
        The target's classes.
    sizes : sequence of int, default=(2, 3)
        How many columns are crossed at a time; nine give 36 pairs and 84 triples.
    test : {"cell", "association", "product"}, default="cell"
        What is tested.  ``"cell"``: do the crossed cells differ in the target (study
        B's equation 28, as its weights need it)?  It is no test of interaction: one
        column that matters makes every pair with it significant.  ``"association"``:
        are the columns themselves associated (triples: mutually independent)?
        ``"product"``: does the target need the product term, given all lower-order
        terms (likelihood ratio, as a logistic model has it; Veenstra 2011)?
    alpha : float, default=0.05
        Significance level.
    n_resamples : int, default=4999
        Where an expected count is below 5, the p-value of ``"cell"`` comes from that
        many random tables with the same margins instead of the chi-squared
        distribution (SciPy's Monte Carlo method); 0 keeps that distribution.  It is
        at least 1 / (n_resamples + 1): with fewer than 2,400, none of 120 tests could
        pass Holm's correction.
    seed : int, default=33
        Of the random tables.

    Returns
    -------
    pandas.DataFrame
        One row a set, in the order of the columns: ``variables`` (a tuple), ``size``,
        ``statistic``, ``dof``, ``p``, ``p_holm``, ``significant`` (p below alpha),
        ``significant_holm``, ``cramers_v``, ``min_expected``, ``method`` and
        ``reason`` (why a test is undefined).

    Raises
    ------
    InputError
        For missing values, columns of different lengths, an unknown test, or more
        columns at a time than there are.

    Examples
    --------
    >>> table = {"a": [0, 0, 1, 1] * 9, "b": [0, 1, 0, 1] * 9}
    >>> interactions(table, [0, 1, 1, 0] * 9, sizes=(2,))["significant"].item()
    True
    """
    check_choice("test", test, TESTS)
    check_number("alpha", alpha, 0, 1, open_low=True, open_high=True)
    check_whole("n_resamples", n_resamples)
    groups = inputs.code_groups(sensitive_features, y=y)
    target = inputs.code_levels("y", y)
    listed = list(sizes) if isinstance(sizes, Iterable) else [sizes]
    if not listed:
        raise InputError("sizes must say how many columns are crossed at a time: none")
    for size in listed:
        check_whole("each of sizes", size, 1, len(groups))
    random = np.random.default_rng(check_seed(seed))
    rows = []
    for size in listed:
        for names in itertools.combinations(groups, size):
            counts = _that_occur(crosstab(groups, names, target))
            if test == "product":
                result = _test_product(counts)
            elif test == "association":
                result = _test_association(counts)
            else:
                result = _test_cells(counts, n_resamples, random)
            rows.append({"variables": names, "size": size, **result._asdict()})
    table = pd.DataFrame(rows)
    table.insert(5, "p_holm", holm(table["p"]))
    table.insert(6, "significant", table["p"] < alpha)
    table.insert(7, "significant_holm", table["p_holm"] < alpha)
    return table


def _that_occur(counts: NDArray[Any]) -> NDArray[Any]:
    """Return counts without the levels, of columns or target, that nobody has."""
    for axis in range(counts.ndim):
        others = tuple(each for each in range(counts.ndim) if each != axis)
        counts = np.compress(counts.sum(others) > 0, counts, axis)
    return counts


class _Result(NamedTuple):
    """One test, as a part of a row of the table."""

    statistic: float = np.nan
    dof: int = 0
    p: float = np.nan
    cramers_v: float = np.nan
    min_expected: float = np.nan
    method: str = "undefined"
    reason: str = ""


def _chi_squared(
    counts: Ints, n_resamples: int = 0, random: np.random.Generator | None = None
) -> _Result:
    """Return Pearson's test of the mutual independence of all axes."""
    statistic, p, dof, expected = chi2_contingency(counts, correction=False)
    method = "chi-squared"
    if n_resamples and expected.min() < _SPARSE:
        monte_carlo = MonteCarloMethod(n_resamples=n_resamples, rng=random)
        p = chi2_contingency(counts, correction=False, method=monte_carlo).pvalue
        method = "permutation"
    cramers_v = np.sqrt(statistic / counts.sum() / (min(counts.shape) - 1))
    return _Result(statistic, dof, p, cramers_v, expected.min(), method)


def _test_cells(counts: Ints, n_resamples: int, random: np.random.Generator) -> _Result:
    """Test crossed cells against the target; cells without rows drop out."""
    flat = counts.reshape(-1, counts.shape[-1])
    flat = flat[flat.sum(1) > 0]
    if len(flat) < 2:
        return _Result(reason="only one cell has rows")
    if flat.shape[1] < 2:
        return _Result(reason="the target has one class")
    return _chi_squared(flat, n_resamples, random)


def _test_association(counts: Ints) -> _Result:
    """Test the columns for (mutual) independence, without the target."""
    columns = counts.sum(-1)
    if min(columns.shape) < 2 or columns.ndim < 2:
        return _Result(reason="a column has only one value")
    return _chi_squared(columns)


def _test_product(counts: Ints) -> _Result:
    """Test the product term of all columns in a (multinomial) logistic model.

    A logistic model of the target is the log-linear model with all associations of the
    columns; the product term is the highest one with the target.
    """
    axes = range(counts.ndim)
    if min(counts.shape) < 2 or counts.ndim < 3:
        return _Result(reason="a column or the target has only one value")
    if (counts.sum(-1) == 0).any():
        return _Result(reason="a combination of the columns has no rows")
    # All margins without one axis: the model without the highest term.
    margins = [(tuple(a for a in axes if a != away), counts.sum(away)) for away in axes]
    expected = rake(np.ones(counts.shape), margins[::-1])
    seen = counts > 0
    statistic = 2 * (counts[seen] * np.log(counts[seen] / expected[seen])).sum()
    statistic = max(statistic, 0.0)
    dof = np.prod([size - 1 for size in counts.shape])
    p = chi2.sf(statistic, dof)
    return _Result(
        statistic, dof, p, min_expected=expected.min(), method="likelihood ratio"
    )
