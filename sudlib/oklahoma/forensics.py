"""What study B's printed numbers prove, and records in which nothing predicts anything.

Taught in the notebook *What do the printed numbers prove?*.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sudlib.fairness import Reweighing
from sudlib.files import data_file
from sudlib.oklahoma.coding import FEATURES, STUDY_YEAR, VARIABLES
from sudlib.oklahoma.cohort import Cohort
from sudlib.smoten import SMOTEN
from sudlib.teds import codebook
from sudlib.validation import check_choice

TEST_SETS: dict[str, dict[str | int, int]] = {
    "COMPLETED": {"INCOMPLETE": 446, "COMPLETE": 297},
    "NOPRIOR": {0: 522, 1: 192, 2: 18, 3: 6},
}
"""Study B's test sets: people of each class, from its classification reports."""


_NUMBERS = (
    *("C", "max_threshold", "max_tpr", "min_tpr", "max_fpr", "min_fpr", "diff"),
    *("tpr_diff", "fpr_diff", "eqodds_diff", "eod_diff", "precision", "recall"),
    *("f1", "support"),
)


# Half a unit of the last of two printed decimals.
_HALF = 0.005


def printed_rows(table: str) -> pd.DataFrame:
    """Return the rows of one of study B's tables, as printed.

    Parameters
    ----------
    table : str
        ``"T_DI_multi"``, ``"T_SPD_binary"``, ``"T_SPD_multi"``, ``"T_EqOpp_first"``,
        ``"T_EqOpp_second"``, ``"T_EqOdds_binary"``, ``"T_EqOdds_multi"``,
        ``"T_clf_report"``, ``"T_NN"``, ``"T_variables"`` or ``"prose"``.

    Returns
    -------
    pandas.DataFrame
        Only the columns that the table has; numbers as numbers.

    Examples
    --------
    >>> len(printed_rows("T_EqOdds_binary"))
    36
    """
    path = data_file("claims/tables_b.csv")
    tables = pd.read_csv(path, dtype=str, keep_default_na=False)
    check_choice("table", table, sorted(set(tables["table"])))
    rows = tables[tables["table"] == table].reset_index(drop=True)
    rows = rows.loc[:, (rows != "").any()]
    for name in rows.columns.intersection([*_NUMBERS, "value"]):
        numbers = pd.to_numeric(rows[name], errors="coerce")
        if name != "value" or numbers.notna().all():
            rows[name] = numbers
    return rows


def attainable(percent: float, rows: int, decimals: int = 2) -> bool:
    """Return whether some whole number of rows, as a percentage, prints like that.

    Parameters
    ----------
    percent : float
        As printed.
    rows : int
        Rows of the test set.
    decimals : int, default=2
        Printed decimals.

    Returns
    -------
    bool

    Examples
    --------
    >>> attainable(97.98, 743), attainable(63.70, 743)
    (True, False)
    """
    below = int(percent * rows / 100)
    half = 0.5 * 10.0**-decimals + 1e-9
    return any(abs(100 * n / rows - percent) <= half for n in (below, below + 1))


def _highest_rates(
    ratios: pd.DataFrame, differences: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the least and the largest value of the higher of two printed rates.

    From ``ratio = lower / higher`` and ``difference = higher - lower``, both rounded.
    """
    return (
        (differences - _HALF).clip(lower=0) / (1 - ratios + _HALF),
        (differences + _HALF) / (1 - ratios - _HALF),
    )


def shares_of_classes(ratios: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    """Return bounds of each class's share of all people, from the printed rates.

    The share of everyone lies between the smallest and the largest group's, for each
    of the study's variables: the intersection is what all of them allow.

    Parameters
    ----------
    ratios, differences : pandas.DataFrame
        Rows variables, columns classes, as printed with two decimals; a ratio of 1
        says nothing here.

    Returns
    -------
    pandas.DataFrame
        Rows classes; ``low`` and ``high``, with room for the rounding.
    """
    least, most = _highest_rates(ratios, differences)
    lowest = least * (ratios - _HALF).clip(lower=0)
    return pd.DataFrame(
        {
            "low": lowest.where(ratios < 1).max().clip(lower=0),
            "high": most.where(ratios < 1).min().clip(upper=1),
        }
    )


def can_be_equal(
    ratios: pd.Series, differences: pd.Series, shares: pd.DataFrame
) -> bool:
    """Return whether classes printed with difference 0 can be equal in both groups.

    The shares of the classes add up to 1 in either group, so the differences, each
    with its sign, add up to 0; and a share that is equal in both groups is that of
    everyone.

    Parameters
    ----------
    ratios, differences : pandas.Series
        One variable's, by class.
    shares : pandas.DataFrame
        From :func:`shares_of_classes`.

    Returns
    -------
    bool
        Whether any choice of signs is left, with room for the rounding.
    """
    unequal = ratios != 1
    gap = differences[unequal]
    least, most = _highest_rates(ratios[unequal], gap)
    equal = shares[~unequal].sum()
    slack = _HALF * len(ratios) + 1e-9
    for signs in map(np.array, itertools.product((1, -1), repeat=len(gap))):
        if abs((gap * signs).sum()) > slack:
            continue
        # Classes of sign -1 have the lower rate in the first group.
        lower = signs < 0
        smallest = (least - lower * (gap + _HALF)).sum()
        largest = (most - lower * (gap - _HALF)).sum()
        # What the first group has left for the equal classes.
        if 1 - smallest >= equal["low"] and 1 - largest <= equal["high"]:
            return True
    return False


def noise_records(
    classes: str, rows: int | None = None, seed: int = 33
) -> pd.DataFrame:
    """Return synthetic records in which all variables and the target are independent.

    Every variable of study B is drawn by itself from the frequencies that the agency
    printed for 2019; the target is permuted.

    Parameters
    ----------
    classes : {"COMPLETED", "NOPRIOR"}
        The target whose printed class shares the records have.
    rows : int, optional
        By default as many as the study had before its 70/30 split.
    seed : int, default=33
        For all draws.

    Returns
    -------
    pandas.DataFrame
        Official names and codes, marked as synthetic.
    """
    check_choice("classes", classes, TEST_SETS)
    random = np.random.default_rng(seed)
    tested = sum(TEST_SETS[classes].values())
    rows = int(tested / 0.3) if rows is None else rows
    printed = codebook.frequencies(STUDY_YEAR).groupby("variable")
    records = pd.DataFrame(index=range(rows))
    for name in dict.fromkeys((*FEATURES, *VARIABLES, "REASON")):
        codes = printed.get_group(name)
        chance = codes["frequency"] / codes["frequency"].sum()
        records[name] = random.choice(codes["code"], rows, p=chance)
    labels, people = zip(*TEST_SETS[classes].items(), strict=True)
    counts = [round(rows * each / tested) for each in people]
    counts[0] += rows - sum(counts)
    target = random.permutation(np.repeat(labels, counts))
    if classes == "COMPLETED":
        records["REASON"] = np.where(target == "COMPLETE", 1, 2)
    else:
        records["NOPRIOR"] = target
    records.attrs = {
        "data": "noise",
        "years": [STUDY_YEAR],
        "synthetic": True,
        "origin": "synthetic",
        "sha256": None,
        "rows_in_file": rows,
    }
    return records


def make_leaks(cohort: Cohort, seed: int = 33) -> dict[str, tuple[NDArray, NDArray]]:
    """Return the same records without a leak, and with one accident each.

    Parameters
    ----------
    cohort : Cohort
        Two classes.
    seed : int, default=33
        For the rows that stand twice and for SMOTEN.

    Returns
    -------
    dict of str to (numpy.ndarray, numpy.ndarray)
        What happened, and the rows and classes that are then split 70/30.
    """
    X = cohort.X.to_numpy(float)
    y = (cohort.y == cohort.classes[-1]).to_numpy().astype(int)
    random = np.random.default_rng(seed)
    twice = np.tile(random.permutation(len(y))[: len(y) // 2], 2)
    groups = cohort.groups.astype(str)

    def with_weight(recipe: Reweighing) -> NDArray:
        return np.column_stack([X, recipe.weights_ / recipe.scale_])

    accidents = {
        "nothing leaks": (X, y),
        "every row stands there twice": (X[twice], y[twice]),
        "SMOTEN before the split": SMOTEN(random_state=seed).fit_resample(X, y),
    }
    recipe = Reweighing(variant="published").fit(groups, y)
    if recipe.sets_:
        accidents["the weight as a column"] = (with_weight(recipe), y)
    assert recipe.tests_ is not None  # the published variant tests every set
    ten = recipe.tests_.sort_values("p", kind="stable")["variables"].head(10)
    weighted = with_weight(
        Reweighing(variant="published", sets=list(ten)).fit(groups, y)
    )
    accidents["the weight of ten interactions"] = (weighted, y)
    accidents["that weight, and every row twice"] = (weighted[twice], y[twice])
    return accidents
