"""What study B's printed numbers prove, and records in which nothing predicts anything.

Taught in the notebook *What do the printed numbers prove?*.
"""

import itertools

import numpy as np
import pandas as pd

from sudlib.fairness import Reweighing
from sudlib.files import InputError, data_file
from sudlib.oklahoma.coding import FEATURES, VARIABLES
from sudlib.smoten import SMOTEN
from sudlib.teds import codebook

_NUMBERS = (
    *("C", "max_threshold", "max_tpr", "min_tpr", "max_fpr", "min_fpr", "diff"),
    *("tpr_diff", "fpr_diff", "eqodds_diff", "eod_diff", "precision", "recall"),
    *("f1", "support"),
)


#: Study B's test sets: people of each class, from its classification reports.
TEST_SETS = {
    "COMPLETED": {"INCOMPLETE": 446, "COMPLETE": 297},
    "NOPRIOR": {0: 522, 1: 192, 2: 18, 3: 6},
}


def printed_rows(table):
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
    rows = pd.read_csv(
        data_file("claims/tables_b.csv"), dtype=str, keep_default_na=False
    )
    if table not in set(rows["table"]):
        raise InputError(
            f"table must be one of {', '.join(sorted(set(rows['table'])))}, not"
            f" {table!r}"
        )
    rows = rows[rows["table"] == table].reset_index(drop=True)
    rows = rows[[name for name in rows if (rows[name] != "").any()]].copy()
    for name in rows.columns.intersection(_NUMBERS):
        rows[name] = pd.to_numeric(rows[name])
    if "value" in rows:
        numbers = pd.to_numeric(rows["value"], errors="coerce")
        if numbers.notna().all():
            rows["value"] = numbers
    return rows


def attainable(percent, rows, decimals=2):
    """Return whether some whole number of rows, as a percentage, prints like that.

    Parameters
    ----------
    percent : float
        As printed.
    rows : int
        Rows of the test set.
    decimals : int, default=2

    Examples
    --------
    >>> attainable(97.98, 743), attainable(63.70, 743)
    (True, False)
    """
    near = int(percent * rows / 100)
    half = 0.5 * 10.0**-decimals + 1e-9
    return any(abs(100 * right / rows - percent) <= half for right in (near, near + 1))


def implied_rates(ratio, difference):
    """Return the largest and smallest rate that a printed ratio and difference imply.

    From ``smallest / largest`` and ``largest - smallest``; NaN for a ratio of 1.

    Examples
    --------
    >>> [round(rate, 3) for rate in implied_rates(0.43, 0.27)]
    [0.474, 0.204]
    """
    if ratio >= 1:
        return np.nan, np.nan
    largest = difference / (1 - ratio)
    return largest, largest * ratio


def noise_records(classes, rows=None, seed=33):
    """Return made-up records in which no variable knows any other, nor the target.

    Every variable of study B is drawn by itself from the frequencies that the agency
    printed for 2019; the target is dealt out by chance.

    Parameters
    ----------
    classes : {"COMPLETED", "NOPRIOR"}
        The target whose printed class shares are dealt out.
    rows : int, optional
        By default as many as the study had before its 70/30 split.
    seed : int, default=33

    Returns
    -------
    pandas.DataFrame
        Official names and codes, marked as synthetic.
    """
    if classes not in TEST_SETS:
        raise InputError(
            f"classes must be one of {', '.join(TEST_SETS)}, not {classes!r}"
        )
    random = np.random.default_rng(seed)
    shares = TEST_SETS[classes]
    tested = sum(shares.values())
    rows = int(tested / 0.3) if rows is None else rows
    printed = codebook.frequencies(2019)
    records = {}
    for name in dict.fromkeys((*FEATURES, *VARIABLES, "REASON")):
        here = printed[printed["variable"] == name]
        chance = here["frequency"] / here["frequency"].sum()
        records[name] = random.choice(here["code"], rows, p=chance)
    records = pd.DataFrame(records)
    counts = {label: round(rows * people / tested) for label, people in shares.items()}
    first = next(iter(counts))
    counts[first] += rows - sum(counts.values())
    dealt = random.permutation(np.repeat(list(counts), list(counts.values())))
    if classes == "COMPLETED":
        records["REASON"] = np.where(dealt == "COMPLETE", 1, 2)
    else:
        records["NOPRIOR"] = dealt.astype(int)
    records.attrs = {
        "data": "noise",
        "years": [2019],
        "synthetic": True,
        "sha256": None,
        "rows_in_file": rows,
    }
    return records


def shares_of_classes(ratios, differences):
    """Return where each class's share of all people must lie, by the printed rates.

    The share of everybody lies between the smallest and the largest group's, for each
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
    half = 0.005
    highest = (differences + half) / (1 - ratios - half)
    lowest = (differences - half).clip(lower=0) / (1 - ratios + half)
    lowest = lowest * (ratios - half).clip(lower=0)
    known = ratios < 1
    return pd.DataFrame(
        {
            "low": lowest.where(known).max().clip(lower=0),
            "high": highest.where(known).min().clip(upper=1),
        }
    )


def can_be_equal(ratios, differences, shares):
    """Return whether classes printed with difference 0 can be equal in both groups.

    The shares of the classes add up to 1 in either group, so the differences, each
    with its sign, add up to 0; and a share that is equal in both groups is that of
    everybody.

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
    half = 0.005
    equal = list(ratios.index[ratios == 1])
    rest = [name for name in ratios.index if name not in equal]
    slack = half * len(ratios) + 1e-9
    for signs in itertools.product((1, -1), repeat=len(rest)):
        total = sum(
            sign * differences[name] for sign, name in zip(signs, rest, strict=True)
        )
        if abs(total) > slack:
            continue
        # What the first group has left for the equal classes.
        ends = [1.0, 1.0]
        for sign, name in zip(signs, rest, strict=True):
            low, high = differences[name] - half, differences[name] + half
            bottom = low / (1 - ratios[name] + half)
            top = high / (1 - ratios[name] - half)
            if sign < 0:
                bottom, top = bottom - high, top - low
            ends = [ends[0] - top, ends[1] - bottom]
        wanted = shares.loc[equal]
        if ends[1] >= wanted["low"].sum() and ends[0] <= wanted["high"].sum():
            return True
    return False


def leaks(cohort, seed=33):
    """Return the same records with nothing leaking, and with one accident each.

    Parameters
    ----------
    cohort : sudlib.oklahoma.cohort.Cohort
        Two classes.
    seed : int, default=33

    Returns
    -------
    dict of str to (numpy.ndarray, numpy.ndarray)
        What happened, and the rows and classes that are then split 70/30.
    """
    X = cohort.X.to_numpy(float)
    y = (cohort.y == cohort.classes[-1]).to_numpy().astype(int)
    random = np.random.default_rng(seed)
    twice = np.tile(random.permutation(len(y))[: len(y) // 2], 2)
    balanced, classes = SMOTEN(random_state=seed).fit_resample(X.astype(int), y)
    groups = cohort.groups.astype(str)
    found = {
        "nothing leaks": (X, y),
        "every row stands there twice": (X[twice], y[twice]),
        "SMOTEN before the split": (np.asarray(balanced, float), np.asarray(classes)),
    }
    weigh = Reweighing(variant="published").fit(groups, y)
    if weigh.sets_:
        weight = weigh.weights_ / weigh.scale_
        found["the weight as a column"] = (np.column_stack([X, weight]), y)
    chosen = weigh.tests_.sort_values("p", kind="stable")["variables"].head(10)
    ten = Reweighing(variant="published", sets=list(chosen)).fit(groups, y)
    weight = ten.weights_ / ten.scale_
    both = np.column_stack([X, weight])
    found["the weight of ten interactions"] = (both, y)
    found["that weight, and every row twice"] = (both[twice], y[twice])
    return found
