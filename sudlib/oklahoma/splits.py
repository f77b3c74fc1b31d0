"""Training and test rows, balanced before the split, inside it or not at all."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

from sudlib.files import InputError
from sudlib.oklahoma import coding
from sudlib.smoten import SMOTEN

BALANCE = {
    "none": "classes as they are",
    "before": "SMOTEN on all rows, then split",
    "inside": "split, then SMOTEN on the training rows",
    "weights": "split, rare classes weigh more",
}
"""When classes are balanced; "before" lets made-up rows reach the test set."""


# ------------------------------------------------------------------------ splits


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge by.

    Attributes
    ----------
    X_train, X_test : numpy.ndarray of float
        Columns of 0 and 1, as the cohort's variant encodes them.
    y_train, y_test : numpy.ndarray of str
    groups_train, groups_test : pandas.DataFrame
        The nine bias variables of the same rows; of a made-up row, those it was
        given.
    made_up_train, made_up_test : numpy.ndarray of bool
        Which rows SMOTEN made up.
    rows_test : numpy.ndarray of int
        Row in the cohort; -1 for a made-up row.
    weighted : bool
        Whether rare classes weigh more.
    """

    X_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    groups_train: pd.DataFrame = field(repr=False)
    made_up_train: np.ndarray = field(repr=False)
    X_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    groups_test: pd.DataFrame = field(repr=False)
    made_up_test: np.ndarray = field(repr=False)
    rows_test: np.ndarray = field(repr=False)
    weighted: bool = False


def splits(cohort, balance="inside", *, folds=None, repeats=1, test_share=0.3, seed=33):
    """Return the splits of a cohort, balanced before, inside or not at all.

    Parameters
    ----------
    cohort : sudlib.oklahoma.cohort.Cohort
    balance : {"none", "before", "inside", "weights"}
        See :data:`BALANCE`.  "before" is the study's way: a made-up row may stand in
        the test set, its parents in the training set.
    folds : int, optional
        Cross-validation in so many stratified folds; by default single splits.
    repeats : int, default=1
        How many single splits, or rounds of folds.
    test_share : float, default=0.3
        Of a single split.
    seed : int

    Returns
    -------
    list of Split
        Single splits are stratified unless the cohort is as published.

    Raises
    ------
    InputError
        If a class has fewer rows than there are folds, or the split leaves a class
        without a row to learn from.
    """
    if balance not in BALANCE:
        choices = ", ".join(f'"{name}"' for name in BALANCE)
        raise InputError(f"balance must be one of {choices}, not {balance!r}")
    smallest = cohort.y.value_counts()
    if folds and smallest.iloc[-1] < folds:
        raise InputError(
            f"class {smallest.index[-1]!r} has {smallest.iloc[-1]} rows, fewer than"
            f" the {folds} folds"
        )
    table, y = _table(cohort), cohort.y
    made = np.zeros(len(y), bool)
    if balance == "before":
        table, y = _balanced(table, y, seed)
        made = np.arange(len(y)) >= len(cohort)
    y = np.asarray(y)
    groups = _groups(table, cohort) if balance == "before" else cohort.groups
    found = []
    for train, test in _divide(y, cohort, folds, repeats, test_share, seed):
        part, label, own = table.iloc[train], y[train], made[train]
        groups_train = groups.iloc[train]
        if set(label) != set(y):
            raise InputError(
                f"class {sorted(set(y) - set(label))[0]!r} has no row to learn from in"
                " a split: too few people"
            )
        if balance == "inside":
            part, label = _balanced(part, label, seed)
            label = np.asarray(label)
            own = np.arange(len(label)) >= len(train)
            groups_train = _groups(part, cohort)
        found.append(
            Split(
                X_train=_encoded(part, cohort),
                y_train=label,
                groups_train=groups_train,
                made_up_train=own,
                X_test=_encoded(table.iloc[test], cohort),
                y_test=y[test],
                groups_test=groups.iloc[test],
                made_up_test=made[test],
                rows_test=np.where(test < len(cohort), test, -1),
                weighted=balance == "weights",
            )
        )
    return found


def _divide(y, cohort, folds, repeats, test_share, seed):
    """Yield the row numbers to learn from and to judge by."""
    for repeat in range(repeats):
        if folds:
            rounds = StratifiedKFold(folds, shuffle=True, random_state=seed + repeat)
            yield from rounds.split(np.zeros(len(y)), y)
        else:
            yield train_test_split(
                np.arange(len(y)),
                test_size=test_share,
                shuffle=True,
                random_state=seed + repeat,
                stratify=None if cohort.variant == "published" else y,
            )


def _table(cohort):
    """Return what SMOTEN is given: encoded columns as published, repaired the levels.

    On encoded columns it can set two levels of a variable at once, or none.
    """
    if cohort.variant == "published":
        return cohort.X
    return cohort.levels.apply(lambda column: column.cat.codes)


def _balanced(table, y, seed):
    return SMOTEN(random_state=seed, fewer_neighbours=True).fit_resample(table, y)


def _levels(table, cohort):
    """Return level codes as the cohort's categorical columns."""
    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(
                table[name].to_numpy(), dtype=cohort.levels[name].dtype
            )
            for name in table.columns
        },
        index=table.index,
    )


def _encoded(table, cohort):
    """Return the columns of 0 and 1 as floats."""
    if cohort.variant != "published":
        table = coding.one_hot(_levels(table, cohort))
    return table.to_numpy(float)


def _groups(table, cohort):
    """Return the nine bias variables of rows that may be made up."""
    found = {}
    for name in coding.VARIABLES:
        like = cohort.groups[name]
        if name not in cohort.levels:  # constant, hence no feature
            values = np.full(len(table), like.cat.categories[0], object)
        elif cohort.variant == "published":
            # One column a pair of groups: the first was dropped.
            second = f"{name}_{like.cat.categories[1]}"
            values = like.cat.categories.to_numpy()[table[second].to_numpy()]
        else:
            values = cohort.levels[name].cat.categories.to_numpy()[
                table[name].to_numpy()
            ]
        found[name] = pd.Categorical(
            np.where(np.isin(values, like.cat.categories), values, None),
            categories=like.cat.categories,
        )
    return pd.DataFrame(found, index=table.index)
