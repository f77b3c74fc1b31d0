"""Chi-squared tests of crossed group columns against a target."""

import itertools

import numpy as np
import pandas as pd
from scipy.stats import chi2, chi2_contingency, random_table

from sudlib.fairness.counts import _column, _frame
from sudlib.files import InputError

TESTS = ("cell", "association", "product")

# Below this expected count the chi-squared distribution is no guide (Cochran 1954).
_SPARSE = 5


def holm(p):
    """Return p-values adjusted by Holm's method; NaN stays NaN and does not count.

    Examples
    --------
    >>> [round(float(value), 3) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


def coded(sensitive_features, y):
    """Return names, codes and sizes of the group columns, and the target's codes."""
    columns = _frame(sensitive_features)
    target, classes = _column(y, "y", "error")
    made = {name: _column(values, name, "error") for name, values in columns.items()}
    wrong = {name: len(codes) for name, (codes, _) in made.items()}
    if {*wrong.values()} != {len(target)}:
        raise InputError(
            "all columns must have the same number of rows, got y"
            f" {len(target):,}, "
            + ", ".join(f"{name} {length:,}" for name, length in wrong.items())
        )
    if not len(target):
        raise InputError("there are no rows to test")
    return made, target, classes


def crosstab(made, names, target, classes):
    """Return counts by the crossed columns and the class, as an array."""
    shape = [*(len(made[name][1]) for name in names), classes]
    place = np.ravel_multi_index((*(made[name][0] for name in names), target), shape)
    return np.bincount(place, minlength=int(np.prod(shape))).reshape(shape)


def interactions(
    sensitive_features,
    y,
    *,
    sizes=(2, 3),
    test="cell",
    alpha=0.05,
    permutations=4999,
    seed=33,
):
    """Return a test of every pair and triple of group columns, with Holm's correction.

    Parameters
    ----------
    sensitive_features : DataFrame or dict
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
    permutations : int, default=4999
        Where an expected count is below 5, the p-value of ``"cell"`` comes from that
        many tables with the same margins instead of the chi-squared distribution; 0
        keeps that distribution.  It is at least 1 / (permutations + 1): with fewer
        than 2,400, none of 120 tests could pass Holm's correction.
    seed : int, default=33

    Returns
    -------
    pandas.DataFrame
        One row a set, in the order of the columns: ``variables`` (a tuple), ``size``,
        ``statistic``, ``dof``, ``p``, ``p_holm``, ``significant`` (p below alpha),
        ``significant_holm``, ``cramers_v``, ``min_expected``, ``method`` and
        ``reason`` (why a test is undefined).

    Examples
    --------
    >>> table = {"a": [0, 0, 1, 1] * 9, "b": [0, 1, 0, 1] * 9}
    >>> interactions(table, [0, 1, 1, 0] * 9, sizes=(2,))["significant"].item()
    True
    """
    if test not in TESTS:
        raise InputError(f"test must be one of {', '.join(TESTS)}, not {test!r}")
    if not 0 < alpha < 1:
        raise InputError(f"alpha must lie between 0 and 1, not {alpha!r}")
    made, target, classes = coded(sensitive_features, y)
    for size in sizes:
        if not 1 <= size <= len(made):
            raise InputError(
                f"cannot cross {size} columns at a time, there are {len(made)}"
            )
    random = np.random.default_rng(seed)
    rows = []
    for size in sizes:
        for names in itertools.combinations(made, size):
            table = crosstab(made, names, target, len(classes))
            found = _TEST[test](table, permutations, random)
            rows.append({"variables": names, "size": size, **found})
    table = pd.DataFrame(rows)
    table.insert(5, "p_holm", holm(table["p"]))
    table.insert(6, "significant", table["p"] < alpha)
    table.insert(7, "significant_holm", table["p_holm"] < alpha)
    return table


def _undefined(reason):
    return {
        "statistic": np.nan,
        "dof": 0,
        "p": np.nan,
        "cramers_v": np.nan,
        "min_expected": np.nan,
        "method": "undefined",
        "reason": reason,
    }


def _test_cells(table, permutations, random):
    """Test crossed cells against the target; empty rows and columns drop out."""
    flat = table.reshape(-1, table.shape[-1])
    flat = flat[flat.sum(1) > 0][:, flat.sum(0) > 0]
    if min(flat.shape) < 2:
        return _undefined(
            "only one cell has rows" if len(flat) < 2 else "the target has one class"
        )
    statistic, p, dof, expected = chi2_contingency(flat, correction=False)
    method = "chi-squared"
    if expected.min() < _SPARSE and permutations:
        drawn = random_table(flat.sum(1), flat.sum(0)).rvs(
            size=permutations, random_state=random
        )
        other = ((drawn - expected) ** 2 / expected).sum(axis=(1, 2))
        p = (1 + (other >= statistic * (1 - 1e-12)).sum()) / (1 + permutations)
        method = "permutation"
    return {
        "statistic": float(statistic),
        "dof": int(dof),
        "p": float(p),
        "cramers_v": float(np.sqrt(statistic / flat.sum() / (min(flat.shape) - 1))),
        "min_expected": float(expected.min()),
        "method": method,
        "reason": "",
    }


def _test_association(table, permutations, random):
    """Test the columns for (mutual) independence, without the target."""
    counts = table.sum(-1)
    if min(counts.shape) < 2 or counts.ndim < 2:
        return _undefined("a column has only one value")
    statistic, p, dof, expected = chi2_contingency(counts, correction=False)
    return {
        "statistic": float(statistic),
        "dof": int(dof),
        "p": float(p),
        "cramers_v": float(np.sqrt(statistic / counts.sum() / (min(counts.shape) - 1))),
        "min_expected": float(expected.min()),
        "method": "chi-squared",
        "reason": "",
    }


def fit_margins(table, margins, rounds=500, tolerance=1e-9):
    """Return the table that has the given margins of another and no more structure.

    Iterative proportional fitting (Deming and Stephan 1940).

    Parameters
    ----------
    table : numpy.ndarray
        Counts.
    margins : list of tuple of int
        The axes that each margin keeps.

    Returns
    -------
    numpy.ndarray
    """
    fitted = np.ones(table.shape)
    everything = set(range(table.ndim))
    for _ in range(rounds):
        before = fitted.copy()
        for margin in margins:
            away = tuple(everything - set(margin))
            wanted = table.sum(axis=away, keepdims=True)
            have = fitted.sum(axis=away, keepdims=True)
            fitted = fitted * np.divide(
                wanted, have, out=np.zeros(have.shape), where=have > 0
            )
        if np.abs(fitted - before).max() < tolerance * max(1.0, table.sum()):
            break
    return fitted


def _test_product(table, permutations, random):
    """Test the product term of all columns in a (multinomial) logistic model.

    A logistic model of the target is the log-linear model with all associations of the
    columns; the product term is the highest one with the target.
    """
    columns = tuple(range(table.ndim - 1))
    if min(table.shape) < 2 or len(columns) < 2:
        return _undefined("a column or the target has only one value")
    lower = [
        (*crossed, table.ndim - 1)
        for crossed in itertools.combinations(columns, len(columns) - 1)
    ]
    expected = fit_margins(table.astype(float), [columns, *lower])
    seen = table > 0
    with_zero = bool((table.sum(-1) == 0).any())
    statistic = 2 * (table[seen] * np.log(table[seen] / expected[seen])).sum()
    dof = int(np.prod([size - 1 for size in table.shape]))
    found = {
        "statistic": float(max(statistic, 0.0)),
        "dof": dof,
        "p": float(chi2.sf(max(statistic, 0.0), dof)),
        "cramers_v": np.nan,
        "min_expected": float(expected.min()),
        "method": "likelihood ratio",
        "reason": "",
    }
    if with_zero:
        found |= _undefined("a combination of the columns has no rows")
    return found


_TEST = {
    "cell": _test_cells,
    "association": _test_association,
    "product": _test_product,
}
