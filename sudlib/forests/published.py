"""The forest as study A tuned it: grid, draws, printed curves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import fbeta_score, make_scorer

from sudlib.files import data_file

#: What ``predict`` of a forest does: completed when the score is *above* one half.
PUBLISHED_THRESHOLD = float(np.nextafter(0.5, 1))


#: Folds of every search.
FOLDS = 3

#: F0.5 as the study scored it: 0 for settings that flag nobody.
F05 = make_scorer(fbeta_score, beta=0.5, zero_division=0)


def read_settings() -> dict[str, Any]:
    """Return the grids of every recipe, from ``data/study_a/forest_grid.json``."""
    with open(data_file("study_a/forest_grid.json"), encoding="utf-8") as stream:
        return json.load(stream)


def scaled(n_estimators: int, trees: float) -> int:
    """Return a number of trees multiplied by ``trees``, at least 5.

    Parameters
    ----------
    n_estimators : int
        Trees at the study's size.
    trees : float
        Share of them to grow.

    Returns
    -------
    int

    Examples
    --------
    >>> scaled(600, 0.1), scaled(20, 0.1)
    (60, 5)
    """
    return max(5, round(n_estimators * trees))


def scaled_grid(grid: dict[str, list[Any]], trees: float) -> dict[str, list[Any]]:
    """Return a grid with its numbers of trees scaled, if it has any."""
    if "n_estimators" not in grid:
        return grid
    numbers = [scaled(number, trees) for number in grid["n_estimators"]]
    return {**grid, "n_estimators": numbers}


def published_grid(trees: float = 1.0) -> dict[str, list[Any]]:
    """Return the study's grid, as scikit-learn takes it today.

    ``max_features="auto"`` is gone from scikit-learn; for classifiers it meant
    ``"sqrt"``.  The grid keeps both entries, so that the same seed draws the same ten
    candidates as it did for the study.

    Parameters
    ----------
    trees : float, default=1.0
        Every number of trees is multiplied by this.

    Returns
    -------
    dict of str to list

    Examples
    --------
    >>> published_grid()["max_features"]
    ['sqrt', 'sqrt']
    """
    grid = dict(read_settings()["published"]["grid"])
    grid["max_features"] = [
        {"auto": "sqrt"}.get(entry, entry) for entry in grid["max_features"]
    ]
    grid["class_weight"] = [_weights(entry) for entry in grid["class_weight"]]
    return scaled_grid(grid, trees)


def _weights(entry: dict[str, int] | None) -> dict[int, int] | None:
    """Return class weights with whole numbers as keys, which JSON cannot hold."""
    return None if entry is None else {int(key): value for key, value in entry.items()}


def printed_curves() -> pd.DataFrame:
    """Return average precision and best F0.5 of the curves that study A prints.

    The curves are pictures, so the numbers hold to about 0.005.

    Returns
    -------
    pandas.DataFrame
        Columns ``area`` and ``best_f05``; index: the claim without its last word.

    Examples
    --------
    >>> float(printed_curves().loc["a.methadone.forest", "best_f05"])
    0.414
    """
    return _read_curves()[["area", "best_f05"]]


def printed_points() -> dict[str, pd.Series]:
    """Return points of the precision-recall curves that study A prints.

    Returns
    -------
    dict of str to pandas.Series
        For each curve whose points were read off, precision by recall.  The README
        prints another curve of the network in opioid treatment than its notebook.

    Examples
    --------
    >>> float(printed_points()["a.general.forest"][0.5])
    0.717
    """
    points = _read_curves().filter(like="precision_").dropna()
    points.columns = points.columns.str.removeprefix("precision_").astype(float)
    return dict(points.iterrows())


def _read_curves() -> pd.DataFrame:
    return pd.read_csv(data_file("study_a/printed_curves.csv"), index_col="key")


def published_best() -> dict[str, Any]:
    """Return the settings that the study printed as best for its methadone set.

    Returns
    -------
    dict

    Examples
    --------
    It is among the ten that the study's seed draws from its grid, which shows that
    grid, order and seed are the study's.

    >>> from sklearn.model_selection import ParameterSampler
    >>> drawn = list(ParameterSampler(published_grid(), 10, random_state=33))
    >>> drawn.index(published_best())
    1
    """
    best = dict(read_settings()["published"]["best_methadone"])
    best["class_weight"] = _weights(best["class_weight"])
    return best
