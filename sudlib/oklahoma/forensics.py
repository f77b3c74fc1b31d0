"""What study B's printed numbers prove, and records in which nothing predicts anything.

Taught in the notebook *What do the printed numbers prove?*.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sudlib.fairness import Reweighing
from sudlib.files import data_file
from sudlib.oklahoma.coding import FEATURES, STUDY_YEAR, VARIABLES
from sudlib.oklahoma.cohort import Cohort
from sudlib.origin import label
from sudlib.smoten import SMOTEN
from sudlib.teds import codebook
from sudlib.validation import check_choice, check_seed, check_whole

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
    random = np.random.default_rng(check_seed(seed))
    tested = sum(TEST_SETS[classes].values())
    rows = check_whole("rows", rows, 1, 10**6, none="as many as the study had")
    rows = rows or int(tested / 0.3)
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
    records.attrs = label("noise", rows, years=[STUDY_YEAR])
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
    random = np.random.default_rng(check_seed(seed))
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
    some = Reweighing(variant="published", sets=list(ten))
    weighted = with_weight(some.fit(groups, y))
    accidents["the weight of ten interactions"] = (weighted, y)
    accidents["that weight, and every row twice"] = (weighted[twice], y[twice])
    return accidents
