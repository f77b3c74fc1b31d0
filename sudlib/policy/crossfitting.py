"""Cross-fitting: models are used for people whom they were not fitted to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import GroupKFold, KFold

from sudlib.policy.treatments import Array
from sudlib.validation import check_seed, check_whole


def folds(
    people: int, n_splits: int, seed: int, clusters: Array | None = None
) -> Iterator[tuple[Array, Array]]:
    """Yield training rows and the rows left out.

    Parameters
    ----------
    people : int
        How many.
    n_splits : int
        Folds.
    seed : int
        Seed of the folds.
    clusters : numpy.ndarray, optional
        Stay whole.

    Yields
    ------
    train, rest : numpy.ndarray of int
        Rows of each fold.
    """
    kinds = people if clusters is None else len(np.unique(clusters))
    check_whole("n_splits", n_splits, 2, kinds)
    kind = KFold if clusters is None else GroupKFold
    fold = kind(n_splits, shuffle=True, random_state=check_seed(seed))
    yield from fold.split(np.zeros((people, 1)), groups=clusters)


def correction(outcome: Array, expected: Array, chance: Array) -> Array:
    """Return what corrects a prediction: its residual, divided by its probability.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n,)
        Observed; NaN where it is missing, and nothing is corrected.
    expected : numpy.ndarray of shape (n,)
        Predicted under the combination received, by a model of other people.
    chance : numpy.ndarray of shape (n,)
        Probability of that combination.

    Returns
    -------
    numpy.ndarray of shape (n,)

    Examples
    --------
    >>> correction(np.array([3.0, np.nan]), np.array([2.0, 2.0]), np.array([0.5, 0.5]))
    array([2., 0.])
    """
    return np.where(np.isnan(outcome), 0.0, outcome - expected) / chance
