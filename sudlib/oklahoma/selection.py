"""Hyperparameter search by cross-validation, nested and as published."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sudlib.files import InputError
from sudlib.multiclass_scores import confusion, measures
from sudlib.oklahoma.cohort import subset
from sudlib.oklahoma.mlp import network_grid
from sudlib.oklahoma.splits import splits
from sudlib.oklahoma.svm import KERNELS, PRINTED_C, svm_candidates, svm_grid
from sudlib.oklahoma.trees import forest_grid, tree_grid

# -------------------------------------------------------------- trees and forests


def settings(grid):
    """Return every combination of a grid's values, as a list of dicts.

    Examples
    --------
    >>> [len(settings(grid)) for grid in (TREE_GRID, FOREST_GRID, NETWORK_GRID)]
    [54, 288, 192]
    """
    return [
        dict(zip(grid, values, strict=True))
        for values in itertools.product(*grid.values())
    ]


GRIDS = {
    "svm": svm_grid,
    "tree": tree_grid,
    "forest": forest_grid,
    "network": network_grid,
}


# ------------------------------------------------------------ choosing, predicting


def cross_validate(method, cohort, candidates, *, balance="inside", folds=5, **more):
    """Return a grid's out-of-fold scores.

    Parameters
    ----------
    method : {"svm", "tree", "forest", "network"}
    cohort : sudlib.oklahoma.cohort.Cohort
    candidates : list of dict
    balance : str
    folds : int
    **more
        ``seed``, ``n_jobs`` …

    Returns
    -------
    pandas.DataFrame
        One row a setting, in the order of the candidates: its parameters, then
        ``accuracy``, ``balanced_accuracy`` and ``mcc`` over all test rows.
    """
    parts = splits(cohort, balance, folds=folds, seed=more.get("seed", 33))
    return grid_scores(method, parts, candidates, **more)


def grid_scores(method, parts, candidates, **more):
    """Return the scores of a grid over the test rows of some splits, pooled.

    Parameters and result as in :func:`cross_validate`, but for ``parts``, a list of
    :class:`Split`.
    """
    grid = _grid(method)
    predicted = np.hstack([grid(part, candidates, **more) for part in parts])
    truth = np.concatenate([part.y_test for part in parts])
    table = pd.DataFrame(candidates)
    scored = pd.DataFrame([measures(truth, row) for row in predicted])
    return pd.concat([table, scored], axis=1)


def _grid(method):
    if method not in GRIDS:
        raise InputError(f"method must be one of {', '.join(GRIDS)}, not {method!r}")
    return GRIDS[method]


def nested(
    method,
    cohort,
    candidates,
    *,
    balance="inside",
    repeats=5,
    inner=3,
    by="balanced_accuracy",
    seed=33,
    **more,
):
    """Return predictions of settings that were chosen without the rows they predict.

    For each of several stratified 70/30 splits the grid is cross-validated inside the
    training rows, the best setting fitted on them, and the test rows predicted once.

    Parameters
    ----------
    method, cohort, candidates, balance
        As in :func:`cross_validate`.
    repeats : int, default=5
        Splits.
    inner : int, default=3
        Folds inside the training rows.
    by : str, default="balanced_accuracy"
        The score that chooses.
    seed : int
    **more
        Passed to the grid.

    Returns
    -------
    pandas.DataFrame
        One row a split: the chosen setting, ``inner`` (its score inside),
        ``accuracy``, ``balanced_accuracy``, ``mcc``, ``n`` and ``matrix``.
    """
    found = []
    for repeat in range(repeats):
        [part] = splits(cohort, balance, seed=seed + repeat)
        best, inside = 0, np.nan
        if len(candidates) > 1:  # nothing to choose from one
            known = np.setdiff1d(np.arange(len(cohort)), part.rows_test)
            table = cross_validate(
                method,
                subset(cohort, known),
                candidates,
                balance=balance,
                folds=inner,
                seed=seed + repeat,
                **more,
            )
            best = int(table[by].to_numpy().argmax())
            inside = table[by][best]
        [predicted] = _grid(method)(part, [candidates[best]], seed=seed, **more)
        found.append(
            {
                **candidates[best],
                "inner": inside,
                **measures(part.y_test, predicted),
                "n": len(predicted),
                "matrix": confusion(part.y_test, predicted, cohort.classes).tolist(),
            }
        )
    return pd.DataFrame(found)


def tuned(method, cohort, candidates, *, balance="none", inner=3, seed=33, **more):
    """Return a grid search and the test predictions of its winner, as published.

    One 70/30 split; the grid is scored by accuracy inside the training rows, in
    ``inner`` folds (1: on one split of them); the best is fitted on all of them.

    Parameters
    ----------
    method, cohort, candidates, balance
        As in :func:`cross_validate`.
    inner : int, default=3
    seed : int
    **more
        Passed to the grid.

    Returns
    -------
    setting : dict
        The winner.
    part : Split
    predicted : numpy.ndarray of str
    table : pandas.DataFrame
        Every setting's scores inside the training rows.
    """
    [part] = splits(cohort, balance, seed=seed)
    training = subset(cohort, np.setdiff1d(np.arange(len(cohort)), part.rows_test))
    folds = inner if inner > 1 else None
    inside = splits(training, balance, folds=folds, seed=seed)
    table = grid_scores(method, inside, candidates, seed=seed, **more)
    setting = candidates[int(table["accuracy"].to_numpy().argmax())]
    [predicted] = _grid(method)(part, [setting], seed=seed, **more)
    return setting, part, predicted, table


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
        The nine bias variables of the same rows; NaN where not recorded.
    made_up : numpy.ndarray of bool
        Which rows SMOTEN made up: some, when it ran before the split.
    classes : list of str
    synthetic : bool
        Whether the people themselves are made up (the twin).
    """

    y: pd.Series
    predicted: pd.DataFrame
    groups: pd.DataFrame
    made_up: np.ndarray
    classes: list
    synthetic: bool

    def __len__(self):
        return len(self.y)


def printed_models(target):
    """Return the study's support vector machines: each kernel with its optimal C.

    Returns
    -------
    dict of str to (str, dict)
        Name, then method and setting, as :func:`predictions` takes them.
    """
    costs = PRINTED_C["COMPLETED" if target == "COMPLETED" else "NOPRIOR"]
    return {
        kernel: ("svm", svm_candidates([kernel], C=[costs[kernel]])[0])
        for kernel in KERNELS
    }


TREES = {
    "tree": ("tree", {}),
    "forest": ("forest", {"n_estimators": 100}),
}
"""A decision tree and a forest with scikit-learn's defaults, as models."""


def predictions(
    cohort, models=None, *, balance=None, folds=None, reweigh=None, seed=33, n_jobs=2
):
    """Return what the study's models predict, with everybody's groups.

    Parameters
    ----------
    cohort : sudlib.oklahoma.cohort.Cohort
    models : dict of str to (str, dict), optional
        Name, then method ("svm", "tree", "forest", "network") and setting; by default
        :func:`printed_models`.
    balance : str, optional
        As in :func:`splits`; by default "before" for a cohort as published, "inside"
        for a repaired one.
    folds : int, optional
        By default one 70/30 split as published; 5 folds repaired, so that everybody
        is predicted once by models that never saw them.
    reweigh : callable, optional
        From the groups and classes of the training rows to their weights.
    seed : int
    n_jobs : int, default=2

    Returns
    -------
    Predictions
    """
    published = cohort.variant == "published"
    models = printed_models(cohort.target) if models is None else models
    balance = balance or ("before" if published else "inside")
    folds = folds if folds or published else 5
    parts = splits(cohort, balance, folds=folds, seed=seed)
    columns = {name: [] for name in models}
    for part in parts:
        weight = None
        if reweigh is not None:
            weight = np.asarray(reweigh(part.groups_train, part.y_train), float)
        for name, (method, setting) in models.items():
            [predicted] = _grid(method)(
                part, [setting], sample_weight=weight, seed=seed, n_jobs=n_jobs
            )
            columns[name].append(predicted)
    return Predictions(
        y=pd.Series(
            np.concatenate([part.y_test for part in parts]), name=cohort.target
        ),
        predicted=pd.DataFrame(
            {name: np.concatenate(found) for name, found in columns.items()}
        ),
        groups=pd.concat([part.groups_test for part in parts], ignore_index=True),
        made_up=np.concatenate([part.made_up_test for part in parts]),
        classes=cohort.classes,
        synthetic=cohort.synthetic,
    )
