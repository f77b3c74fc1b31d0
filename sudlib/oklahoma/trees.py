"""Grids of decision trees and random forests that share work."""

import numpy as np
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

TREE_GRID = {
    "max_depth": (None, 2, 4, 6, 8, 10),
    "min_samples_split": (2, 5, 10),
    "min_samples_leaf": (1, 2, 4),
}
"""Section 7.2."""


FOREST_GRID = {
    "n_estimators": (10, 50, 100, 200),
    "max_features": ("sqrt", "log2"),
    "max_depth": (None, 5, 10, 20),
    "min_samples_split": (2, 5, 10),
    "min_samples_leaf": (1, 2, 4),
}
"""Section 7.3; its third choice of features, "auto", meant "sqrt" and is gone."""


def tree_grid(split, candidates, *, sample_weight=None, seed=33, n_jobs=2):
    """Return the predictions of every decision tree of a grid (section 7.2).

    Parameters and result as in :func:`svm_grid`.
    """
    weights = "balanced" if split.weighted else None

    def run(setting):
        tree = DecisionTreeClassifier(
            random_state=seed, class_weight=weights, **setting
        )
        tree.fit(split.X_train, split.y_train, sample_weight=sample_weight)
        return tree.predict(split.X_test)

    return np.array(
        Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(run)(setting) for setting in candidates
        )
    )


def forest_grid(split, candidates, *, sample_weight=None, seed=33, n_jobs=2):
    """Return the predictions of every random forest of a grid (section 7.3).

    A forest of 200 trees begins with the trees that a forest of 10 with the same seed
    has: the largest is grown, the smaller ones are read off it.  Parameters and
    result as in :func:`svm_grid`.
    """
    shared = {}
    for place, setting in enumerate(candidates):
        rest = tuple(sorted((k, str(v)) for k, v in setting.items() if k[:2] != "n_"))
        shared.setdefault(rest, []).append(place)
    found = np.empty((len(candidates), len(split.y_test)), split.y_train.dtype)
    for places in shared.values():
        sizes = {place: candidates[place].get("n_estimators", 100) for place in places}
        forest = RandomForestClassifier(
            **{**candidates[places[0]], "n_estimators": max(sizes.values())},
            class_weight="balanced" if split.weighted else None,
            random_state=seed,
            n_jobs=n_jobs,
        ).fit(split.X_train, split.y_train, sample_weight=sample_weight)
        votes = np.zeros((len(split.y_test), len(forest.classes_)))
        rows = split.X_test.astype(np.float32)
        for grown, tree in enumerate(forest.estimators_, start=1):
            votes += tree.predict_proba(rows, check_input=False)
            for place in places:
                if sizes[place] == grown:
                    found[place] = forest.classes_[np.argmax(votes / grown, axis=1)]
    return found
