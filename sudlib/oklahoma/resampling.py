"""Training and test rows, balanced before or inside the split, and predictions.

Taught in the notebook *What does balancing do?*.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import (
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.utils.class_weight import compute_sample_weight

from sudlib.files import InputError
from sudlib.oklahoma import coding
from sudlib.oklahoma.cohort import Cohort
from sudlib.oklahoma.models import printed_models
from sudlib.smoten import SMOTEN
from sudlib.validation import check_choice, check_seed, check_whole

BALANCE = {
    "none": "classes as they are",
    "before": "SMOTEN on all rows, then split",
    "inside": "split, then SMOTEN on the training rows",
    "weights": "split, rare classes weigh more",
}
"""When classes are balanced; "before" lets synthetic rows reach the test set."""


@dataclass(frozen=True)
class Split:
    """Training rows and test rows.

    Attributes
    ----------
    X_train, X_test : numpy.ndarray of float, shape (n_rows, n_columns)
        Columns of 0 and 1, as the cohort's variant encodes them.
    y_train, y_test : numpy.ndarray of str, shape (n_rows,)
        Their classes.
    groups_train, groups_test : pandas.DataFrame
        The nine sensitive features of the same rows; of a row that SMOTEN made, those
        it was given.
    made_up_test : numpy.ndarray of bool
        Which test rows SMOTEN made; none, unless it ran before the split.
    rows_test : numpy.ndarray of int
        Row in the cohort; -1 for a row that SMOTEN made.
    weighted : bool
        Whether rare classes weigh more.
    """

    X_train: NDArray = field(repr=False)
    y_train: NDArray = field(repr=False)
    groups_train: pd.DataFrame = field(repr=False)
    X_test: NDArray = field(repr=False)
    y_test: NDArray = field(repr=False)
    groups_test: pd.DataFrame = field(repr=False)
    made_up_test: NDArray = field(repr=False)
    rows_test: NDArray = field(repr=False)
    weighted: bool = False

    def fit_predict(
        self, model: Any, sample_weight: ArrayLike | None = None
    ) -> NDArray:
        """Return what a model, fitted on the training rows, predicts for the test rows.

        Parameters
        ----------
        model : estimator
            A classifier; it is cloned.
        sample_weight : array-like of shape (n_train,), optional
            Weights of the training rows; where rare classes weigh more, both are
            multiplied.

        Returns
        -------
        numpy.ndarray of shape (n_test,)
            Classes.
        """
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if self.weighted:
            balanced = compute_sample_weight("balanced", self.y_train)
            weights = {"sample_weight": balanced * weights.get("sample_weight", 1)}
        fitted = clone(model).fit(self.X_train, self.y_train, **weights)
        return fitted.predict(self.X_test)


def make_splits(
    cohort: Cohort,
    balance: str = "inside",
    *,
    n_splits: int | None = None,
    repeats: int = 1,
    seed: int = 33,
) -> list[Split]:
    """Return the splits of a cohort, balanced before, inside or not at all.

    Parameters
    ----------
    cohort : Cohort
        From :func:`make_cohort`.
    balance : {"none", "before", "inside", "weights"}
        See :data:`BALANCE`.  "before" is the study's way: a synthetic row may be in
        the test set and its parents in the training set.
    n_splits : int, optional
        Cross-validation in so many stratified folds; by default single 70/30 splits.
    repeats : int, default=1
        How many single splits, or rounds of folds.
    seed : int
        For the splits and for SMOTEN.

    Returns
    -------
    list of Split
        Single splits are stratified unless the cohort is as published.

    Raises
    ------
    InputError
        If a split leaves a class without a training row.
    """
    check_choice("balance", balance, BALANCE)
    n_splits = check_whole("n_splits", n_splits, 2, none="single splits")
    check_whole("repeats", repeats, 1)
    check_seed(seed)
    rows, labels = _codes(cohort), np.asarray(cohort.y)
    if balance == "before":
        rows, labels = _oversample(rows, labels, seed)
    made_up = np.arange(len(labels)) >= len(cohort)

    def splitter(state: int) -> Any:
        if n_splits:
            return StratifiedKFold(n_splits, shuffle=True, random_state=state)
        once = ShuffleSplit if cohort.variant == "published" else StratifiedShuffleSplit
        return once(1, test_size=0.3, random_state=state)

    splits = []
    # Each round has its own seed, so that a longer series begins with the shorter one.
    rounds = (splitter(seed + repeat).split(rows, labels) for repeat in range(repeats))
    for train, test in itertools.chain.from_iterable(rounds):
        rows_train, y_train = rows.iloc[train], labels[train]
        if absent := sorted(set(labels) - set(y_train)):
            raise InputError(
                f"class {absent[0]!r} has no row to learn from in a split: too few"
                " people"
            )
        if balance == "inside":
            rows_train, y_train = _oversample(rows_train, y_train, seed)
        splits.append(
            Split(
                X_train=_encode(rows_train, cohort),
                y_train=y_train,
                groups_train=_groups(rows_train, cohort),
                X_test=_encode(rows.iloc[test], cohort),
                y_test=labels[test],
                groups_test=_groups(rows.iloc[test], cohort),
                made_up_test=made_up[test],
                rows_test=np.where(made_up[test], -1, test),
                weighted=balance == "weights",
            )
        )
    return splits


def _codes(cohort: Cohort) -> pd.DataFrame:
    """Return what SMOTEN is given: encoded columns as published, repaired the levels.

    On encoded columns it can set two levels of a variable at once, or none.
    """
    if cohort.variant == "published":
        return cohort.X
    return cohort.levels.apply(lambda column: column.cat.codes)


def _oversample(
    rows: pd.DataFrame, labels: NDArray, seed: int
) -> tuple[pd.DataFrame, NDArray]:
    """Return the rows and classes with those that SMOTEN makes below them."""
    sampler = SMOTEN(random_state=seed, fewer_neighbours=True)
    rows, labels = sampler.fit_resample(rows, labels)
    return rows, np.asarray(labels)


def _encode(rows: pd.DataFrame, cohort: Cohort) -> NDArray:
    """Return rows of :func:`_codes` as columns of 0 and 1."""
    if cohort.variant == "published":
        return rows.to_numpy(float)
    levels = {
        name: pd.Categorical.from_codes(codes, dtype=cohort.levels[name].dtype)
        for name, codes in rows.items()
    }
    return coding.one_hot(pd.DataFrame(levels)).to_numpy(float)


def _groups(rows: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Return the nine sensitive features of rows of :func:`_codes`."""
    groups = {}
    for name, column in cohort.groups.items():
        categories = column.cat.categories
        if name not in cohort.levels:  # constant, hence no feature
            codes = np.full(len(rows), min(0, len(categories) - 1))
        elif cohort.variant == "published":
            # One column for a pair of groups: the first was dropped.
            codes = rows[f"{name}_{categories[1]}"].to_numpy()
        else:
            # Levels end in "not recorded" and the like, which are no groups.
            codes = rows[name].where(rows[name] < len(categories), -1).to_numpy()
        groups[name] = pd.Categorical.from_codes(codes, dtype=column.dtype)
    return pd.DataFrame(groups, index=rows.index)


@dataclass(frozen=True)
class Predictions:
    """Predictions of several models for the same people, with their groups.

    Attributes
    ----------
    y : pandas.Series of str
        True classes.
    predicted : pandas.DataFrame of str
        One column a model, the same rows.
    groups : pandas.DataFrame
        The nine sensitive features of the same rows; NaN where not recorded.
    made_up : numpy.ndarray of bool
        Which rows SMOTEN made: some, when it ran before the split.
    classes : list of str
        The classes that occur, in the order of the study's reports.
    """

    y: pd.Series
    predicted: pd.DataFrame
    groups: pd.DataFrame
    made_up: NDArray
    classes: list[str]

    def __len__(self) -> int:
        return len(self.y)


def predict(
    cohort: Cohort,
    models: Mapping[str, Any] | None = None,
    *,
    balance: str | None = None,
    n_splits: int | None = None,
    reweigh: Callable[[pd.DataFrame, NDArray], ArrayLike] | None = None,
    seed: int = 33,
) -> Predictions:
    """Return what models predict for people they were not fitted on, with groups.

    Parameters
    ----------
    cohort : Cohort
        From :func:`make_cohort`.
    models : dict of str to classifier, optional
        By name; by default :func:`printed_models`.
    balance : {"none", "before", "inside", "weights"}, optional
        As in :func:`make_splits`; by default "before" for a cohort as published,
        "inside" for a repaired one.
    n_splits : int, optional
        By default one 70/30 split as published; 5 folds repaired, so that each person
        is predicted once, by models that were fitted without them.
    reweigh : callable, optional
        From the groups and classes of the training rows to their weights.
    seed : int
        For the splits and for SMOTEN; models have their own ``random_state``.

    Returns
    -------
    Predictions
        The test rows of all splits, one after the other.
    """
    published = cohort.variant == "published"
    models = printed_models(cohort.target) if models is None else models
    balance = balance or ("before" if published else "inside")
    n_splits = n_splits if n_splits or published else 5
    splits = make_splits(cohort, balance, n_splits=n_splits, seed=seed)
    predicted = []
    for split in splits:
        weight = reweigh and reweigh(split.groups_train, split.y_train)
        said = {name: split.fit_predict(each, weight) for name, each in models.items()}
        predicted.append(pd.DataFrame(said))
    return Predictions(
        y=pd.Series(np.concatenate([s.y_test for s in splits]), name=cohort.target),
        predicted=pd.concat(predicted, ignore_index=True),
        groups=pd.concat([s.groups_test for s in splits], ignore_index=True),
        made_up=np.concatenate([s.made_up_test for s in splits]),
        classes=cohort.classes,
    )
