"""Does the outcome stand among the features?  Five alarms for leaks.

Each alarm has a null of its own: what a table shows in which nothing leaks.  Taught in
the notebook *What would go beyond the study?*; the accidents it is tried on are those
of *What do the printed numbers prove?*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GroupKFold,
    StratifiedKFold,
    cross_val_predict,
    train_test_split,
)
from sklearn.tree import DecisionTreeClassifier

from sudlib.classes import code_classes
from sudlib.files import InputError
from sudlib.validation import as_frame, check_rows, check_seed, check_whole

LATE = ("LOS", "REASON", "DISYR", "COMPLETED", "FINALPROBABILITY")
"""Known only at discharge; every column that ends in ``_D`` is too."""


ALARMS = {
    "late": ("columns known only at discharge", 1),
    "lone": ("balanced accuracy of the best single column", 0.85),
    "tree": ("accuracy of a tree less that of a forest", 0.02),
    "copies": ("share of test rows that stand in the training set", 0.10),
    "shuffled": ("balanced accuracy above chance with shuffled classes", 0.05),
}
"""What each alarm looks for, and the value below which it never rings."""

#: An alarm rings at a p-value up to this: four that are tried make at most 4%.
LEVEL = 0.01

#: The best single column must beat all others together by this.
LEAD = 0.15


def audit(
    X: Any,
    y: ArrayLike,
    *,
    prepare: Callable[[pd.DataFrame, Any], tuple[Any, Any]] | None = None,
    trees: int = 100,
    n_splits: int = 3,
    shuffles: int = 10,
    seed: int = 33,
    n_jobs: int = 2,
) -> pd.DataFrame:
    """Return five signs of a leak, each beside what a clean table shows.

    An alarm rings if its value reaches the limit and is more than its null explains:

    * *late*: no column is known only at discharge;
    * *lone*: a single column may be good, but not much better than all others together;
    * *tree*: a tree is right no more often than a forest, person by person;
    * *copies*: people with the same values have the same class as often as a forest,
      fitted without them, expects of people with such values, and where a column takes
      mostly different values nobody has a double;
    * *shuffled*: with permuted classes the score is that of chance.

    Parameters
    ----------
    X : pandas.DataFrame or array-like, shape (n_rows, n_columns)
        Features: numbers or text; with column names, those known too late are named.
    y : array-like of shape (n_rows,)
        Classes.
    prepare : callable, optional
        What is done with rows and classes before they are split: from ``(X, y)`` to
        ``(X, y)``.  With permuted classes it is done again, so that a preparation
        which leaks the classes is detected.
    trees : int, default=100
        Trees of a forest.
    n_splits : int, default=3
        Of the cross-validation of single columns, tree and forest.
    shuffles : int, default=10
        Permutations of the classes.
    seed : int, default=33
        For models, splits and permutations.
    n_jobs : int, default=2
        Threads of a forest.

    Returns
    -------
    pandas.DataFrame
        Indexed by the keys of :data:`ALARMS`: ``sign``, ``value``, ``null`` (expected
        where nothing leaks), ``limit``, ``p_value``, ``rings`` and ``detail``.

    Raises
    ------
    InputError
        For rows that do not match, infinite features, scores or missing values among
        the classes, too few rows or a single class.

    Notes
    -----
    That no alarm rings does not prove that nothing leaks, and an alarm is a reason to
    look, not a proof.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame(random.random((300, 4)), columns=list("abcd"))
    >>> y = random.integers(0, 2, 300)
    >>> audit(X, y, trees=20).query("rings").index.tolist()
    []
    >>> audit(X.assign(LOS=y), y, trees=20).query("rings").index.tolist()
    ['late', 'lone']
    """
    check_whole("n_splits", n_splits, 2)
    check_whole("shuffles", shuffles, 1)
    check_whole("trees", trees, 1)
    check_seed(seed)
    frame = as_frame("X", X)
    check_whole("the number of rows", check_rows(X=frame, y=y), 2 * n_splits)
    [y] = code_classes(y=y)[1]
    sizes = np.bincount(y)[np.unique(y)]
    if len(sizes) < 2:
        raise InputError("an audit needs at least two classes; y has one")
    check_whole("the number of rows of the rarest class", sizes.min(), 2)
    check_whole("the number of columns of X", frame.shape[1], 1)
    prepare = prepare or (lambda rows, classes: (rows, classes))
    rows, classes = _numbers(*prepare(frame, y))
    forest = RandomForestClassifier(trees, random_state=seed, n_jobs=n_jobs)
    cv = StratifiedKFold(n_splits, shuffle=True, random_state=seed)

    def said(model: Any, columns: Any = slice(None)) -> NDArray:
        return cross_val_predict(model, rows[:, columns], classes, cv=cv)

    shuffled = map(np.random.default_rng(seed).permutation, [y] * shuffles)
    permuted = (_numbers(*prepare(frame, each)) for each in shuffled)
    names = [str(each[-1] if isinstance(each, tuple) else each) for each in frame]
    late = [n for n, each in zip(names, frame, strict=True) if _is_late(each)]
    signs = {
        "late": (len(late), 0.0, 0.0 if late else 1.0, ", ".join(late)),
        "lone": _lone(said, forest, rows, classes, names, seed),
        "tree": _tree(said, forest, classes, seed),
        "copies": _copies(rows, classes, forest, n_splits, seed),
        "shuffled": _shuffled(permuted, forest, seed),
    }
    columns = ["value", "null", "p_value", "detail"]
    table = pd.DataFrame.from_dict(signs, orient="index", columns=columns)
    table.insert(0, "sign", [sign for sign, _ in ALARMS.values()])
    table.insert(3, "limit", [float(limit) for _, limit in ALARMS.values()])
    rings = (table["value"] >= table["limit"]) & (table["p_value"] <= LEVEL)
    table.insert(5, "rings", rings)
    return table


def _is_late(name: Any) -> bool:
    """Return whether a column, or a level of one (LOS=3, SERVICES_D_2), is late."""
    if isinstance(name, tuple):
        return any(map(_is_late, name))
    name = str(name).strip().upper()
    by_name = re.split(r"[\W_]", name)[0] in LATE
    return by_name or bool(re.search(r"_D($|\W|_-?\d+$)", name))


def _numbers(rows: Any, classes: Any) -> tuple[NDArray, NDArray]:
    """Return a table as numbers: text and categories by their codes."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    values = np.empty(frame.shape)
    for at, kind in enumerate(frame.dtypes):
        column = frame.iloc[:, at]
        if not pd.api.types.is_numeric_dtype(kind):
            text = column.astype(object).map(str)
            column = pd.Series(np.unique(text, return_inverse=True)[1])
        values[:, at] = column.to_numpy(float, na_value=np.nan)
    if (np.abs(values) > np.finfo("float32").max).any():  # as trees have numbers
        raise InputError("X must be finite; columns with infinite values are refused")
    return values, np.asarray(classes)


def _lone(
    said: Callable[..., NDArray],
    forest: Any,
    rows: NDArray,
    classes: NDArray,
    names: list[str],
    seed: int,
) -> tuple[float, float, float, str]:
    """Compare the best column alone with all others together."""
    stump = DecisionTreeClassifier(min_samples_leaf=2, random_state=seed)
    alone = [said(stump, [column]) for column in range(rows.shape[1])]
    scores = [balanced_accuracy_score(classes, each) for each in alone]
    best = int(np.argmax(scores))
    name = names[best] if best < len(names) else str(best)
    others = np.setdiff1d(np.arange(rows.shape[1]), [best])
    if not len(others):
        return scores[best], 1 / len(np.unique(classes)), 1.0, f"{name}, the only one"
    together = said(forest, others)
    null = float(balanced_accuracy_score(classes, together))
    p = _oftener(alone[best] == classes, together == classes)
    p = p if scores[best] >= null + LEAD else 1.0
    return scores[best], null, p, f"{name}; all others {null:.3f}"


def _tree(
    said: Callable[..., NDArray], forest: Any, classes: NDArray, seed: int
) -> tuple[float, float, float, str]:
    """Compare a tree with a forest."""
    one = said(DecisionTreeClassifier(random_state=seed)) == classes
    many = said(forest) == classes
    detail = f"tree {one.mean():.3f}, forest {many.mean():.3f}"
    return one.mean() - many.mean(), 0.0, _oftener(one, many), detail


def _oftener(one: NDArray, other: NDArray) -> float:
    """Return McNemar's exact one-sided p-value that one is right more often."""
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    if not wins + losses:
        return 1.0
    return float(stats.binomtest(wins, wins + losses, alternative="greater").pvalue)


def _copies(
    rows: NDArray, classes: NDArray, forest: Any, n_splits: int, seed: int
) -> tuple[float, float, float, str]:
    """Compare classes of equal rows with what people with such values would have."""
    same = pd.util.hash_pandas_object(pd.DataFrame(rows), index=False).to_numpy()
    train, test = train_test_split(same, test_size=0.3, random_state=seed)
    share = float(np.isin(test, train).mean())
    kinds, first, counts = np.unique(same, return_index=True, return_counts=True)
    detail = f"of {len(test):,} test rows"
    distinct = rows[first]
    if share == 0 or len(kinds) < 2 * n_splits:
        return share, share, 1.0, detail
    if max(len(np.unique(column)) for column in distinct.T) > len(kinds) / 2:
        return share, 0.0, 0.0, f"{detail}; no two people would have all values alike"
    # two people of each kind, at random, and a forest that has seen neither
    order = np.random.default_rng(seed).permutation(len(same))
    order = order[np.argsort(same[order], kind="stable")]
    start = np.r_[0, np.cumsum(counts)[:-1]][counts > 1]
    one, two = order[start], order[start + 1]
    alone = order[np.r_[0, np.cumsum(counts)[:-1]]]  # one person of each kind
    model = clone(forest).set_params(min_samples_leaf=5)
    labels = np.unique(classes, return_inverse=True)[1]
    chance = np.zeros((len(alone), labels.max() + 1))
    for fit, rest in GroupKFold(n_splits).split(alone, groups=same[alone]):
        model.fit(rows[alone[fit]], labels[alone[fit]])
        chance[np.ix_(rest, model.classes_)] = model.predict_proba(rows[alone[rest]])
    expected = (chance[counts > 1] ** 2).sum(axis=1)
    agree = labels[one] == labels[two]
    spread = np.sqrt((expected * (1 - expected)).sum())
    gap = agree.sum() - expected.sum()
    p = float(stats.norm.sf(gap / spread)) if spread else 1.0
    detail += f"; equal rows agree in {agree.mean():.2f}, not {expected.mean():.2f}"
    return share, share, p if gap > 0.1 * len(agree) else 1.0, detail


def _shuffled(
    tables: Iterable[tuple[NDArray, NDArray]], forest: Any, seed: int
) -> tuple[float, float, float, str]:
    """Compare the score with permuted classes with that of a coin."""
    above, spread = [], []
    for rows, classes in tables:
        X_train, X_test, y_train, y_test = train_test_split(
            rows, classes, test_size=0.3, random_state=seed, stratify=classes
        )
        guess = forest.fit(X_train, y_train).predict(X_test)
        kinds, sizes = np.unique(y_test, return_counts=True)
        shares = np.array([(guess == kind).mean() for kind in kinds])
        above.append(balanced_accuracy_score(y_test, guess) - 1 / len(kinds))
        spread.append((shares * (1 - shares) / sizes).sum() / len(kinds) ** 2)
    mean, error = float(np.mean(above)), float(np.sqrt(np.sum(spread)) / len(above))
    p = float(stats.norm.sf(mean / error)) if error else 1.0
    return mean, 0.0, p, f"{len(above)} shuffles"
