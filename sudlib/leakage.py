"""Does the outcome stand among the features?  Five alarms for leaks.

Taught in the notebook *What would go beyond the study?*; the accidents it is tried on
are those of *What do the printed numbers prove?*.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.tree import DecisionTreeClassifier

from sudlib.files import InputError
from sudlib.validation import check_same_length, check_whole

LATE = ("LOS", "REASON", "DISYR", "COMPLETED", "FinalProbability")
"""Known only at discharge; every column that ends in ``_D`` is too."""


ALARMS = {
    "late": ("columns known only at discharge", 1),
    "lone": ("balanced accuracy of the best single column", 0.75),
    "tree": ("accuracy of a tree less that of a forest", 0.01),
    "copies": ("share of test rows that stand in the training set", 0.10),
    "shuffled": ("balanced accuracy above chance with shuffled classes", 0.05),
}
"""What each alarm looks for, and the value from which it rings."""


def audit(
    X: Any,
    y: ArrayLike,
    *,
    prepare: Callable[[pd.DataFrame, Any], tuple[Any, Any]] | None = None,
    trees: int = 100,
    folds: int = 3,
    shuffles: int = 3,
    seed: int = 33,
    n_jobs: int = 2,
) -> pd.DataFrame:
    """Return five signs of a leak, each with the value from which it rings.

    Parameters
    ----------
    X : pandas.DataFrame or array-like of float, shape (n_rows, n_columns)
        Features; with column names, those known too late are named.
    y : array-like of shape (n_rows,)
        Classes.
    prepare : callable, optional
        What is done with rows and classes before they are split: from ``(X, y)`` to
        ``(X, y)``.  With permuted classes it is done again, so that a preparation
        which leaks the classes is detected.
    trees : int, default=100
        Trees of a forest.
    folds : int, default=3
        Of the cross-validation of single columns, tree and forest.
    shuffles : int, default=3
        Permutations of the classes.
    seed : int, default=33
        For models, splits and permutations.
    n_jobs : int, default=2
        Threads of a forest.

    Returns
    -------
    pandas.DataFrame
        Indexed by the keys of :data:`ALARMS`: ``sign``, ``value``, ``limit``,
        ``rings`` and ``detail``.

    Raises
    ------
    InputError
        For lengths that differ, too few rows or a single class.

    Notes
    -----
    The limits are rules of thumb, tried on accidents made on purpose; that no alarm
    rings does not prove that nothing leaks.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame(random.random((300, 4)), columns=list("abcd"))
    >>> y = random.integers(0, 2, 300)
    >>> audit(X, y).query("rings").index.tolist()
    []
    >>> audit(X.assign(LOS=y), y).query("rings").index.tolist()
    ['late', 'lone']
    """
    frame, y = pd.DataFrame(X), np.asarray(y)
    check_whole("the number of rows", check_same_length(y=y, X=frame.index), 2 * folds)
    if len(np.unique(y)) < 2:
        raise InputError("an audit needs at least two classes; y has one")
    prepare = prepare or (lambda rows, classes: (rows, classes))
    rows, classes = (np.asarray(part) for part in prepare(frame, y))
    forest = RandomForestClassifier(trees, random_state=seed, n_jobs=n_jobs)
    tree = DecisionTreeClassifier(random_state=seed)
    cv = StratifiedKFold(folds, shuffle=True, random_state=seed)
    one, many = (
        accuracy_score(classes, cross_val_predict(model, rows, classes, cv=cv))
        for model in (tree, forest)
    )
    stump = DecisionTreeClassifier(min_samples_leaf=2, random_state=seed)
    alone = [
        balanced_accuracy_score(
            classes, cross_val_predict(stump, column[:, None], classes, cv=cv)
        )
        for column in rows.T
    ]
    train, test = train_test_split(
        pd.util.hash_pandas_object(pd.DataFrame(rows.astype(float)), index=False),
        test_size=0.3,
        random_state=seed,
    )
    random = np.random.default_rng(seed)
    above_chance = []
    for _ in range(shuffles):
        permuted = [np.asarray(part) for part in prepare(frame, random.permutation(y))]
        X_train, X_test, y_train, y_test = train_test_split(
            *permuted, test_size=0.3, random_state=seed, stratify=permuted[1]
        )
        said = forest.fit(X_train, y_train).predict(X_test)
        above_chance.append(balanced_accuracy_score(y_test, said))
    names = list(map(str, frame.columns))
    late = [name for name in names if name.endswith("_D") or name.split("_")[0] in LATE]
    best = int(np.argmax(alone))
    signs = {
        "late": (len(late), ", ".join(late)),
        "lone": (alone[best], names[best] if best < len(names) else str(best)),
        "tree": (one - many, f"tree {one:.3f}, forest {many:.3f}"),
        "copies": (test.isin(train).mean(), f"of {len(test):,} test rows"),
        "shuffled": (
            np.mean(above_chance) - 1 / len(np.unique(y)),
            f"{shuffles} shuffles",
        ),
    }
    table = pd.DataFrame.from_dict(signs, orient="index", columns=["value", "detail"])
    table.insert(0, "sign", [sign for sign, _ in ALARMS.values()])
    table.insert(2, "limit", [float(limit) for _, limit in ALARMS.values()])
    table.insert(3, "rings", table["value"] >= table["limit"])
    return table
