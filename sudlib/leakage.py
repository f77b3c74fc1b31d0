"""Does the answer stand among the questions?  Five alarms for leaks.

Taught in the notebook *What would go beyond the study?*; the accidents it is tried on
are those of *What do the printed numbers prove?*.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.tree import DecisionTreeClassifier

from sudlib.files import InputError

#: Known only at discharge; every column that ends in ``_D`` is too.
LATE = ("LOS", "REASON", "DISYR", "COMPLETED", "FinalProbability")


#: What each alarm looks for, and the value from which it rings.
ALARMS = {
    "late": ("columns known only at discharge", 1),
    "lone": ("balanced accuracy of the best single column", 0.75),
    "tree": ("accuracy of a tree less that of a forest", 0.01),
    "copies": ("share of test rows that stand in the training set", 0.10),
    "shuffled": ("balanced accuracy above chance with shuffled classes", 0.05),
}


def audit(X, y, *, prepare=None, trees=100, folds=3, shuffles=3, seed=33, n_jobs=2):
    """Return five signs of a leak, each with the value from which it rings.

    Parameters
    ----------
    X : pandas.DataFrame or array-like of float
        Features; with column names, those known too late are named.
    y : array-like
        Classes.
    prepare : callable, optional
        What is done with rows and classes before they are split: from ``(X, y)`` to
        ``(X, y)``.  With shuffled classes it is done anew, so that a preparation
        which leaks the classes is found out.
    trees, folds, shuffles : int
    seed : int
    n_jobs : int, default=2

    Returns
    -------
    pandas.DataFrame
        Indexed by the keys of :data:`ALARMS`: ``sign``, ``value``, ``limit``,
        ``rings`` and ``detail``.

    Notes
    -----
    The limits are rules of thumb, tried on accidents made on purpose; no alarm is no
    proof that nothing leaks.

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
    frame = pd.DataFrame(X)
    y = np.asarray(y)
    if len(frame) != len(y) or len(y) < 2 * folds:
        raise InputError(
            f"X and y must have the same length, at least {2 * folds}; they have"
            f" {len(frame):,} and {len(y):,}"
        )
    if len(np.unique(y)) < 2:
        raise InputError("an audit needs at least two classes")
    prepare = prepare or (lambda rows, classes: (rows, classes))
    rows, classes = (np.asarray(part) for part in prepare(frame, y))
    names = list(map(str, frame.columns))
    late = [
        name
        for name in names
        if name.endswith("_D") or name.split("_")[0] in LATE or name in LATE
    ]

    def forest():
        return RandomForestClassifier(trees, random_state=seed, n_jobs=n_jobs)

    parts = list(
        StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, classes)
    )
    tree = DecisionTreeClassifier(random_state=seed)
    one, many = (
        accuracy_score(classes, _out_of_fold(model, rows, classes, parts))
        for model in (tree, forest())
    )
    alone = [
        balanced_accuracy_score(
            classes,
            _out_of_fold(
                DecisionTreeClassifier(min_samples_leaf=2, random_state=seed),
                rows[:, [place]],
                classes,
                parts,
            ),
        )
        for place in range(rows.shape[1])
    ]
    best = int(np.argmax(alone))
    train, test = train_test_split(
        np.arange(len(classes)), test_size=0.3, random_state=seed
    )
    values = np.ascontiguousarray(rows, float)
    known = {values[row].tobytes() for row in train}
    copies = np.mean([values[row].tobytes() in known for row in test])
    luck = _shuffled(frame, y, prepare, forest, shuffles, seed)
    found = {
        "late": (len(late), ", ".join(late)),
        "lone": (alone[best], names[best] if best < len(names) else str(best)),
        "tree": (one - many, f"tree {one:.3f}, forest {many:.3f}"),
        "copies": (copies, f"of {len(test):,} test rows"),
        "shuffled": (luck, f"{shuffles} shuffles"),
    }
    return pd.DataFrame(
        {
            key: {
                "sign": ALARMS[key][0],
                "value": float(value),
                "limit": ALARMS[key][1],
                "rings": bool(value >= ALARMS[key][1]),
                "detail": detail,
            }
            for key, (value, detail) in found.items()
        }
    ).T.astype({"value": float, "limit": float, "rings": bool})


def _out_of_fold(model, rows, classes, parts):
    """Return everybody's prediction by a model that did not see them."""
    found = np.empty_like(classes)
    for train, test in parts:
        found[test] = model.fit(rows[train], classes[train]).predict(rows[test])
    return found


def _shuffled(frame, y, prepare, forest, shuffles, seed):
    """Return the mean balanced accuracy above chance with shuffled classes."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(shuffles):
        rows, classes = prepare(frame, random.permutation(y))
        rows, classes = np.asarray(rows), np.asarray(classes)
        train, test = train_test_split(
            np.arange(len(classes)), test_size=0.3, random_state=seed, stratify=classes
        )
        said = forest().fit(rows[train], classes[train]).predict(rows[test])
        found.append(balanced_accuracy_score(classes[test], said))
    return float(np.mean(found) - 1 / len(np.unique(y)))
