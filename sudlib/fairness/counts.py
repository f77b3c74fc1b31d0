"""Rows counted by group, truth and prediction; families of groups."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse

from sudlib.files import InputError

#: Named families: how many of the group columns are crossed at a time.
FAMILIES = {"each": 1, "pairs": 2, "triples": 3}

#: A group with fewer rows is called small: an extreme that it attains settles nothing.
SMALL = 30

# More groups than this is a mistake in the call, not an analysis.
_MOST_GROUPS = 200_000


@dataclass(frozen=True)
class Counts:
    """Rows counted by cell of the group columns, truth, prediction and weight.

    Every measure is a function of these few numbers, whatever the number of rows.

    Attributes
    ----------
    columns : tuple of str
        The group columns.
    levels : tuple of tuple
        The values of each column, sorted.
    cells : numpy.ndarray of shape (cells, columns)
        The combinations that occur, as positions in ``levels``; -1 is missing.
    labels : tuple
        The classes.
    cell, truth, predicted : numpy.ndarray of int
        Each category's cell and classes, as positions.
    weight : numpy.ndarray of float
        The sample weight of a row of each category.
    count : numpy.ndarray of int
        Rows of each category.
    """

    columns: tuple
    levels: tuple
    cells: np.ndarray = field(repr=False)
    labels: tuple
    cell: np.ndarray = field(repr=False)
    truth: np.ndarray = field(repr=False)
    predicted: np.ndarray = field(repr=False)
    weight: np.ndarray = field(repr=False)
    count: np.ndarray = field(repr=False)

    @property
    def n(self):
        """Rows."""
        return int(self.count.sum())

    def place(self):
        """Return the sparse matrix that sums categories into (cell, truth, guess)."""
        classes = len(self.labels)
        where = (self.cell * classes + self.truth) * classes + self.predicted
        return sparse.csr_matrix(
            (self.weight, (where, np.arange(len(where)))),
            shape=(len(self.cells) * classes**2, len(where)),
        )

    def rows_in_cells(self):
        """Return the unweighted number of rows of each cell."""
        return np.bincount(self.cell, weights=self.count, minlength=len(self.cells))


@dataclass(frozen=True)
class Family:
    """Groups that are compared with each other, cell by cell of the columns.

    Attributes
    ----------
    name : str
    sets : list of tuple of str
        The crossed columns; each set is a partition of the rows.
    starts : numpy.ndarray of int
        Where each set's groups begin.
    groups : pandas.DataFrame
        One row a group: ``variables``, ``group`` (in words) and ``n`` (rows).
    member : scipy.sparse.csr_matrix of shape (groups, cells)
    """

    name: str
    sets: list
    starts: np.ndarray = field(repr=False)
    groups: pd.DataFrame = field(repr=False)
    member: sparse.csr_matrix = field(repr=False)

    def __len__(self):
        return len(self.groups)


def _column(values, name, missing):
    """Return one group column as codes and levels; missing values are no level."""
    values = pd.Series(np.asarray(values, dtype=object)).infer_objects()
    absent = values.isna()
    if absent.any():
        if missing == "error":
            raise InputError(
                f"the group column {name!r} has {int(absent.sum()):,} missing values of"
                f" {len(values):,}; leave those rows out, or ask for missing='level'"
                " to make them a group of their own, or for missing='omit' to have"
                " them in no group of this column"
            )
        if absent.all():
            raise InputError(f"the group column {name!r} has no values at all")
        if missing == "level":
            values = values.astype(object).where(~absent, "missing")
    codes, levels = pd.factorize(values, sort=False)
    try:
        order = np.argsort(np.asarray(levels))
    except TypeError:  # a mixture of numbers and words: order by what is shown
        order = np.argsort([str(level) for level in levels])
    rank = np.empty(len(levels), int)
    rank[order] = np.arange(len(levels))
    # factorize gives a missing value the code -1: it stays -1.
    return np.where(codes < 0, -1, rank[codes]), tuple(
        np.asarray(levels, dtype=object)[order].tolist()
    )


def _frame(sensitive_features):
    """Return the group columns by name, whatever they were given as."""
    given = sensitive_features
    if isinstance(given, pd.DataFrame):
        return {str(name): given[name] for name in given.columns}
    if isinstance(given, dict):
        return {str(name): values for name, values in given.items()}
    if isinstance(given, pd.Series):
        return {str(given.name) if given.name is not None else "group": given}
    array = np.asarray(given)
    if array.ndim == 1:
        return {"group": array}
    if array.ndim == 2:
        return {f"group {place}": column for place, column in enumerate(array.T)}
    raise InputError(
        "sensitive_features must be one column or a table of columns, not"
        f" {type(given).__name__} of {array.ndim} dimensions"
    )


def _classes(y_true, y_pred, labels):
    """Return the classes in order and both columns as positions among them."""
    y_true, y_pred = (np.asarray(y) for y in (y_true, y_pred))
    for name, values in (("y_true", y_true), ("y_pred", y_pred)):
        if values.ndim != 1:
            raise InputError(
                f"{name} must be one column of classes, not of shape {values.shape}"
            )
        if pd.isna(values).any():
            raise InputError(
                f"{name} has {int(pd.isna(values).sum()):,} missing values; every row"
                " needs a class"
            )
    if labels is None:
        found = set(y_true.tolist()) | set(y_pred.tolist())
        if found <= {0, 1}:  # True and False among them
            found = {0, 1}
        try:
            labels = sorted(found)
        except TypeError:
            labels = sorted(found, key=str)
    else:
        labels = list(labels)
        if len(set(labels)) != len(labels):
            raise InputError(f"labels must not repeat, got {labels}")
    index = pd.Index(labels, dtype=object)
    places = []
    for name, values in (("y_true", y_true), ("y_pred", y_pred)):
        place = index.get_indexer(pd.Index(values.tolist(), dtype=object))
        if (place < 0).any():
            unknown = sorted(set(values[place < 0].tolist()), key=str)[:5]
            raise InputError(
                f"{name} has classes that are not among the labels {labels}: {unknown}"
            )
        places.append(place)
    return tuple(labels), *places


def tabulate(
    y_true,
    y_pred,
    *,
    sensitive_features,
    sample_weight=None,
    labels=None,
    missing="error",
):
    """Return the rows counted by cell of the group columns, truth and prediction.

    Parameters
    ----------
    y_true, y_pred : array-like
        Classes, two or more.
    sensitive_features : array-like, Series, DataFrame or dict
        One or more group columns.
    sample_weight : array-like of float, optional
        At least 0; by default 1.
    labels : sequence, optional
        The classes; by default those that occur (0 and 1 if no others do).  A class
        that is declared but never occurs stays a class.
    missing : {"error", "level", "omit"}, default="error"
        What to do with a missing value in a group column: stop, make it the group
        "missing", or have the row in no group that needs the column.

    Returns
    -------
    Counts

    Raises
    ------
    InputError
        For columns of different lengths, no rows, negative weights, unknown classes,
        missing values.

    Examples
    --------
    >>> counts = tabulate([1, 0, 1], [1, 1, 1], sensitive_features=["a", "a", "b"])
    >>> counts.n, counts.levels, counts.labels
    (3, (('a', 'b'),), (0, 1))
    """
    if missing not in ("error", "level", "omit"):
        raise InputError(f"missing must be 'error', 'level' or 'omit', not {missing!r}")
    labels, truth, predicted = _classes(y_true, y_pred, labels)
    columns = _frame(sensitive_features)
    lengths = {"y_true": len(truth), "y_pred": len(predicted)} | {
        name: len(values) for name, values in columns.items()
    }
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight, dtype=float)
        lengths["sample_weight"] = len(sample_weight)
    if len(set(lengths.values())) != 1:
        raise InputError(
            "all columns must have the same number of rows, got "
            + ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        )
    if len(truth) == 0:
        raise InputError("there are no rows to assess")
    if not columns:
        raise InputError("sensitive_features has no column")
    if sample_weight is None:
        sample_weight = np.ones(len(truth))
    elif not (np.isfinite(sample_weight).all() and (sample_weight >= 0).all()):
        bad = sample_weight[~(np.isfinite(sample_weight) & (sample_weight >= 0))]
        raise InputError(
            f"sample_weight must be finite and at least 0; {len(bad):,} are not, the"
            f" first is {bad[0]}"
        )
    coded = [_column(values, name, missing) for name, values in columns.items()]
    levels = tuple(level for _, level in coded)
    cells, cell = _unique([codes for codes, _ in coded], [len(x) for x in levels])
    classes = len(labels)
    joint = (cell * classes + truth) * classes + predicted
    if (sample_weight == sample_weight[0]).all():
        table, counted = np.unique(joint, return_counts=True)
        weights = np.full(len(table), sample_weight[0])
    else:
        pairs = np.stack([joint.astype(float), sample_weight])
        pairs, counted = np.unique(pairs, axis=1, return_counts=True)
        table, weights = pairs[0].astype(int), pairs[1]
    return Counts(
        columns=tuple(columns),
        levels=levels,
        cells=cells,
        labels=labels,
        cell=table // classes**2,
        truth=table // classes % classes,
        predicted=table % classes,
        weight=weights,
        count=counted,
    )


def _unique(codes, sizes):
    """Return the combinations that occur and each row's position among them."""
    joint = np.zeros(len(codes[0]), dtype=np.int64)
    space = 1
    for code, size in zip(codes, sizes, strict=True):
        if space * (size + 1) > 2**62:  # renumber before the product overflows
            _, joint = np.unique(joint, return_inverse=True)
            space = int(joint.max()) + 1
        joint, space = joint * (size + 1) + code + 1, space * (size + 1)
    _, first, cell = np.unique(joint, return_index=True, return_inverse=True)
    return np.stack([code[first] for code in codes], axis=1), cell


def _sets(columns, family):
    """Return the name of a family and the sets of columns that it crosses."""
    if isinstance(family, str):
        if family == "joint":
            return family, [tuple(range(len(columns)))]
        if family not in FAMILIES:
            raise InputError(
                f"family must be one of {', '.join((*FAMILIES, 'joint'))}, a number of"
                f" columns to cross or a list of sets of columns, not {family!r}"
            )
        size, name = FAMILIES[family], family
    elif isinstance(family, int | np.integer) and not isinstance(family, bool):
        size, name = int(family), f"{family} at a time"
    else:
        chosen = []
        for entry in family:
            names = (entry,) if isinstance(entry, str) else tuple(entry)
            unknown = [name for name in names if name not in columns]
            if unknown or not names:
                raise InputError(
                    f"a set of columns must be made of {', '.join(columns)}, not"
                    f" {unknown or 'nothing'}"
                )
            chosen.append(tuple(columns.index(name) for name in names))
        if not chosen:
            raise InputError("family must hold at least one set of columns, got none")
        return "chosen", chosen
    if not 1 <= size <= len(columns):
        raise InputError(
            f"cannot cross {size} columns at a time: sensitive_features has"
            f" {len(columns)} ({', '.join(columns)})"
        )
    return name, list(itertools.combinations(range(len(columns)), size))


def families(counts, family="joint"):
    """Return a family of groups over counted rows.

    Parameters
    ----------
    counts : Counts
    family : {"joint", "each", "pairs", "triples"}, int or list, default="joint"
        ``"joint"`` crosses all columns, as fairlearn does; ``"each"`` takes every
        column alone, ``"pairs"`` and ``"triples"`` cross two and three at a time (a
        number crosses that many); a list names sets of columns.  Groups of different
        sets overlap.

    Returns
    -------
    Family
        With every combination of the levels that occur, also those that no row has.

    Examples
    --------
    >>> table = {"sex": ["f", "m", "m"], "age": [1, 1, 2]}
    >>> counts = tabulate([1, 0, 1], [1, 1, 1], sensitive_features=table)
    >>> families(counts, "joint").groups["n"].tolist()
    [1, 0, 1, 1]
    """
    name, sets = _sets(counts.columns, family)
    sizes = [[len(counts.levels[column]) for column in crossed] for crossed in sets]
    total = sum(int(np.prod(size, dtype=float)) for size in sizes)
    if total > _MOST_GROUPS:
        raise InputError(
            f"the family would have {total:,} groups, at most {_MOST_GROUPS:,} are"
            " allowed; cross fewer columns at a time (family='pairs')"
        )
    words, owner, rows, columns, starts, first = [], [], [], [], [], 0
    for crossed, size in zip(sets, sizes, strict=True):
        named = ", ".join(counts.columns[column] for column in crossed)
        starts.append(first)
        here = np.flatnonzero((counts.cells[:, crossed] >= 0).all(axis=1))
        places = tuple(counts.cells[np.ix_(here, crossed)].T)
        rows.append(first + np.ravel_multi_index(places, size))
        columns.append(here)
        for combination in itertools.product(*(counts.levels[c] for c in crossed)):
            owner.append(named)
            words.append(
                ", ".join(
                    f"{counts.columns[column]} {level}"
                    for column, level in zip(crossed, combination, strict=True)
                )
            )
        first += int(np.prod(size))
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    member = sparse.csr_matrix(
        (np.ones(len(rows)), (rows, columns)), shape=(total, len(counts.cells))
    )
    groups = pd.DataFrame(
        {
            "variables": owner,
            "group": words,
            "n": (member @ counts.rows_in_cells()).round().astype(int),
        }
    )
    return Family(
        name=name,
        sets=[tuple(counts.columns[column] for column in crossed) for crossed in sets],
        starts=np.array(starts),
        groups=groups,
        member=member,
    )


def sum_to_groups(counts, family, resampled=None):
    """Return the weighted counts of each group, truth and prediction.

    Parameters
    ----------
    counts : Counts
    family : Family
    resampled : array-like of shape (categories, draws), optional
        Counts of each category in each bootstrap draw; by default the counts.

    Returns
    -------
    numpy.ndarray of shape (groups, draws, classes, classes)
        Truth before prediction; one draw by default.
    """
    drawn = counts.count[:, None] if resampled is None else resampled
    draws, classes = drawn.shape[1], len(counts.labels)
    table = counts.place() @ drawn.astype(float)
    table = table.reshape(len(counts.cells), classes**2 * draws)
    summed = np.asarray(family.member @ table)
    return summed.reshape(len(family), classes, classes, draws).transpose(0, 3, 1, 2)
