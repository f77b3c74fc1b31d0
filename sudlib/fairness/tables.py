"""Rows counted by group, truth and prediction; families of groups."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from sudlib.fairness import inputs
from sudlib.fairness.inputs import Columns, Floats, Ints
from sudlib.files import InputError
from sudlib.validation import check_choice, check_whole

#: Named families: how many of the group columns are crossed at a time.
FAMILIES = {"each": 1, "pairs": 2, "triples": 3}

#: A group with fewer rows is called small: an extreme that it attains settles nothing.
SMALL = 30

#: A name, a number of columns to cross, or sets of columns.
FamilyName: TypeAlias = str | int | Iterable[str | Sequence[str]]

# More groups than this is a mistake in the call, not an analysis.
_MOST_GROUPS = 200_000


@dataclass(frozen=True)
class Counts:
    """Rows counted by cell of the group columns, truth, prediction and weight.

    Every measure is a function of these few numbers, whatever the number of rows.
    Rows that agree in all four are one category.

    Attributes
    ----------
    columns : tuple of str
        The group columns.
    levels : tuple of tuple
        The values of each column, sorted.
    cells : numpy.ndarray of shape (n_cells, n_columns)
        The combinations that occur, as positions in ``levels``; -1 is missing.
    labels : tuple
        The classes.
    cell, truth, predicted : numpy.ndarray of int
        The cell and the classes of each category, as positions.
    weight : numpy.ndarray of float
        The sample weight of each row of a category.
    count : numpy.ndarray of int
        Number of rows of each category.
    """

    columns: tuple[str, ...]
    levels: tuple[tuple[Any, ...], ...]
    cells: Ints = field(repr=False)
    labels: tuple[Any, ...]
    cell: Ints = field(repr=False)
    truth: Ints = field(repr=False)
    predicted: Ints = field(repr=False)
    weight: Floats = field(repr=False)
    count: Ints = field(repr=False)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.count.sum())


@dataclass(frozen=True)
class Family:
    """Groups that are compared with each other.

    Attributes
    ----------
    name : str
        "each", "pairs", "triples", "joint", "3 at a time" or "chosen".
    sets : list of tuple of str
        The crossed columns; each set is a partition of the rows.
    starts : numpy.ndarray of int
        The position of the first group of each set.
    groups : pandas.DataFrame
        One row a group: ``variables``, ``group`` (in words) and ``n`` (rows).
    member : scipy.sparse.csr_matrix of shape (n_groups, n_cells)
        1 where a cell belongs to a group.
    """

    name: str
    sets: list[tuple[str, ...]]
    starts: Ints = field(repr=False)
    groups: pd.DataFrame = field(repr=False)
    member: sparse.csr_matrix = field(repr=False)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.groups)


def tabulate(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Columns,
    sample_weight: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
    missing: str = "error",
) -> Counts:
    """Return the rows counted by cell of the group columns, truth and prediction.

    Parameters
    ----------
    y_true, y_pred : array-like
        True and predicted classes, two or more.
    sensitive_features : array-like, Series, DataFrame or dict
        One or more group columns.
    sample_weight : array-like of float, optional
        At least 0; by default 1.
    labels : iterable, optional
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
    others: Any = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
    coded = inputs.code_groups(sensitive_features, missing, **others)
    labels, truth, predicted = inputs.code_classes(y_true, y_pred, labels)
    groups = [codes for codes, _ in coded.values()]
    weight = inputs.check_weights(sample_weight, len(truth))
    in_cell, cell = _distinct(groups)
    weight_code = np.unique(weight, return_inverse=True)[1]
    first, category = _distinct([cell, truth, predicted, weight_code])
    return Counts(
        columns=tuple(coded),
        levels=tuple(levels for _, levels in coded.values()),
        cells=np.stack(groups, axis=1)[in_cell],
        labels=labels,
        cell=cell[first],
        truth=truth[first],
        predicted=predicted[first],
        weight=weight[first],
        count=np.bincount(category),
    )


def _distinct(columns: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Return a row of each combination of codes, sorted, and which one each row has."""
    joint = np.zeros(len(columns[0]), np.int64)
    for codes in columns:
        size = int(codes.max()) + 2  # codes begin at -1
        if int(joint.max()) * size > 2**62:  # renumber before the product overflows
            joint = np.unique(joint, return_inverse=True)[1]
        joint = joint * size + codes + 1
    _, first, position = np.unique(joint, return_index=True, return_inverse=True)
    return first, position


def tabulate_levels(
    condition: ArrayLike | None,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Columns,
    sample_weight: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
    missing: str = "error",
) -> dict[Any, Counts]:
    """Return the counted rows of each level of a condition, sorted as text.

    Parameters
    ----------
    condition : array-like or None
        One value a row, none missing; None puts all rows at one level.
    y_true, y_pred, sensitive_features, sample_weight, labels, missing
        As in :func:`tabulate`.  The classes of all rows are classes at each level.

    Returns
    -------
    dict of object to Counts

    Raises
    ------
    InputError
        As :func:`tabulate`, and for missing values of the condition.
    """
    if condition is None:
        how = (sensitive_features, sample_weight, labels, missing)
        return {None: tabulate(y_true, y_pred, *how)}
    columns = inputs.group_columns(sensitive_features)
    others = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
    n = inputs.check_rows(columns, condition=condition, **others)
    inputs.require_complete("condition", condition)
    labels = inputs.code_classes(y_true, y_pred)[0] if labels is None else list(labels)
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    weight = inputs.check_weights(sample_weight, n)
    level_of_row = pd.Series(np.asarray(condition))
    counted = {}
    for level in sorted(level_of_row.unique(), key=str):
        here = (level_of_row == level).to_numpy()
        groups = {name: each[here] for name, each in columns.items()}
        counted[level] = tabulate(
            y_true[here], y_pred[here], groups, weight[here], labels, missing
        )
    return counted


def named_sets(
    columns: Sequence[str], family: FamilyName, parameter: str = "family"
) -> tuple[str, list[tuple[str, ...]]]:
    """Return the name of a family and the sets of columns that it crosses.

    Parameters
    ----------
    columns : sequence of str
        The columns that there are.
    family : str, int or iterable
        As in :func:`families`.
    parameter : str, default="family"
        The name of the argument, for the message.

    Returns
    -------
    name : str
    sets : list of tuple of str

    Raises
    ------
    InputError
        For an unknown family or column, or more columns than there are.
    """
    if isinstance(family, str):
        known = {**FAMILIES, "joint": len(columns)}
        name, size = family, known[check_choice(parameter, family, known)]
    elif isinstance(family, Iterable):
        return "chosen", [column_set(columns, entry) for entry in family]
    else:
        size = check_whole(parameter, family, 1)
        name = f"{size} at a time"
    if size > len(columns):
        raise InputError(
            f"cannot cross {size} columns at a time, there are {len(columns)}:"
            f" {', '.join(columns)}"
        )
    return name, list(itertools.combinations(columns, size))


def column_set(columns: Sequence[str], entry: str | Sequence[str]) -> tuple[str, ...]:
    """Return a set of columns as a tuple of names, if all are known.

    Parameters
    ----------
    columns : sequence of str
        The columns that there are.
    entry : str or sequence of str
        One name or several.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        For an empty set or an unknown name.
    """
    names = (entry,) if isinstance(entry, str) else tuple(entry)
    unknown = [name for name in names if name not in columns]
    if unknown or not names:
        raise InputError(
            f"a set of columns must be made of {', '.join(columns)}, not"
            f" {unknown or 'nothing'}"
        )
    return names


def families(counts: Counts, family: FamilyName = "joint") -> Family:
    """Return a family of groups.

    Parameters
    ----------
    counts : Counts
        The counted rows.
    family : {"joint", "each", "pairs", "triples"}, int or list, default="joint"
        ``"joint"`` crosses all columns, as fairlearn does; ``"each"`` takes every
        column alone, ``"pairs"`` and ``"triples"`` cross two and three at a time (a
        number crosses that many); a list names sets of columns.  Groups of different
        sets overlap.

    Returns
    -------
    Family
        With every combination of the levels that occur, also those that no row has.

    Raises
    ------
    InputError
        For an unknown family or column, more columns than there are, or more than
        200,000 groups.

    Examples
    --------
    >>> table = {"sex": ["f", "m", "m"], "age": [1, 1, 2]}
    >>> counts = tabulate([1, 0, 1], [1, 1, 1], sensitive_features=table)
    >>> families(counts, "joint").groups["n"].tolist()
    [1, 0, 1, 1]
    """
    name, sets = named_sets(counts.columns, family)
    if not sets:
        raise InputError("family must hold at least one set of columns, got none")
    axes = [[counts.columns.index(column) for column in names] for names in sets]
    shapes = [[len(counts.levels[axis]) for axis in crossed] for crossed in axes]
    sizes = [math.prod(shape) for shape in shapes]
    if sum(sizes) > _MOST_GROUPS:
        raise InputError(
            f"the family would have {sum(sizes):,} groups, at most {_MOST_GROUPS:,} are"
            " allowed; cross fewer columns at a time (family='pairs')"
        )
    in_words = [
        [f"{column} {level}" for level in levels]
        for column, levels in zip(counts.columns, counts.levels, strict=True)
    ]
    starts = np.cumsum([0, *sizes[:-1]])
    words: list[str] = []
    rows, cells = [], []
    for crossed, shape, start in zip(axes, shapes, starts, strict=True):
        recorded = np.flatnonzero((counts.cells[:, crossed] >= 0).all(axis=1))
        codes = tuple(counts.cells[np.ix_(recorded, np.array(crossed))].T)
        rows.append(start + np.ravel_multi_index(codes, shape))
        cells.append(recorded)
        words += map(", ".join, itertools.product(*(in_words[c] for c in crossed)))
    place = np.concatenate(rows), np.concatenate(cells)
    member = sparse.csr_matrix(
        (np.ones(len(place[0])), place), (len(words), len(counts.cells))
    )
    n_in_cells = np.bincount(counts.cell, counts.count, len(counts.cells))
    variables = np.array([", ".join(names) for names in sets], dtype=object)
    groups = pd.DataFrame({"variables": np.repeat(variables, sizes), "group": words})
    groups["n"] = (member @ n_in_cells).round().astype(int)
    return Family(name, sets, starts, groups, member)


def mask_family(counts: Counts) -> Family:
    """Return the groups whose members are given by masks of rows; they may overlap.

    Parameters
    ----------
    counts : Counts
        With a column of True and False for each group.

    Returns
    -------
    Family
        The rows with True in each column; the others are no group.

    Raises
    ------
    InputError
        For values that are not True or False, or if no group has a row.
    """
    each = families(counts, "each")
    members = {}
    for name, levels, start in zip(
        counts.columns, counts.levels, each.starts, strict=True
    ):
        if not set(levels) <= {False, True}:
            raise InputError(
                f"the group {name!r} must be a mask of True and False, not of"
                f" {list(levels)[:5]}"
            )
        if True in levels:
            members[name] = start + levels.index(True)
    if not members:
        raise InputError("no group of the family has a row")
    rows = list(members.values())
    groups = each.groups.iloc[rows].reset_index(drop=True).assign(group=list(members))
    sets: list[tuple[str, ...]] = [(name,) for name in members]
    return Family("chosen", sets, np.arange(len(rows)), groups, each.member[rows])


def sum_to_groups(
    counts: Counts, family: Family, resampled: ArrayLike | None = None
) -> Floats:
    """Return the weighted counts of each group, truth and prediction.

    Parameters
    ----------
    counts : Counts
        The counted rows.
    family : Family
        The groups.
    resampled : array-like of shape (n_categories, n_resamples), optional
        Counts of each category in each resample; by default the counts.

    Returns
    -------
    numpy.ndarray of shape (n_groups, n_resamples, n_classes, n_classes)
        Truth before prediction; one resample by default.
    """
    drawn = np.asarray(counts.count[:, None] if resampled is None else resampled, float)
    shape = (len(counts.cells), len(counts.labels), len(counts.labels))
    cell = np.ravel_multi_index((counts.cell, counts.truth, counts.predicted), shape)
    to_cells = sparse.csr_matrix(
        (counts.weight, (cell, np.arange(len(cell)))), (np.prod(shape), len(cell))
    )
    return sum_cells(family, (to_cells @ drawn).reshape(*shape, drawn.shape[1]))


def sum_cells(family: Family, tables: Floats) -> Floats:
    """Return tables of truth and prediction summed from cells to groups.

    Parameters
    ----------
    family : Family
        The groups.
    tables : numpy.ndarray of shape (n_cells, n_classes, n_classes, n_resamples)
        Truth before prediction.

    Returns
    -------
    numpy.ndarray of shape (n_groups, n_resamples, n_classes, n_classes)
    """
    summed = np.asarray(family.member @ tables.reshape(len(tables), -1))
    return summed.reshape(len(family), *tables.shape[1:]).transpose(0, 3, 1, 2)
