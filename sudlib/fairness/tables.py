"""Rows counted by group, truth and prediction; families of groups."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sudlib.classes import code_classes
from sudlib.fairness import inputs
from sudlib.fairness.inputs import Columns, Floats
from sudlib.files import InputError
from sudlib.validation import Ints, check_choice, check_whole

#: Named families: how many of the group columns are crossed at a time.
FAMILIES = {"each": 1, "pairs": 2, "triples": 3}

#: A rate of fewer rows is called small (a true positive rate: rows of the class).
SMALL = 30

#: A name, a number of columns to cross, or sets of columns.
FamilyName: TypeAlias = str | int | Iterable[str | Sequence[str]]

# More groups than this is a mistake in the call, not an analysis.
_MOST_GROUPS = 200_000

# Numbers in the tables of truth and prediction of all cells: 200 million are 1.6 GB.
_MOST_NUMBERS = 200_000_000


@dataclass(frozen=True)
class Counts:
    """Rows counted by cell of the group columns, truth and prediction.

    Every measure is a function of these few numbers, whatever the number of rows.
    Rows that agree in all three are one category.

    Attributes
    ----------
    columns : tuple of str
        The group columns.
    levels : tuple of tuple
        The values of each column: as declared by a pandas Categorical, or sorted.
    cells : numpy.ndarray of shape (n_cells, n_columns)
        The combinations that occur, as positions in ``levels``; -1 is missing.
    labels : tuple
        The classes.
    cell, truth, predicted : numpy.ndarray of int
        The cell and the classes of each category, as positions.
    count : numpy.ndarray of int
        Number of rows of each category.
    weight, square : numpy.ndarray of float
        Sum of their sample weights, and of the squares of these.
    """

    columns: tuple[str, ...]
    levels: tuple[tuple[Any, ...], ...]
    cells: Ints = field(repr=False)
    labels: tuple[Any, ...]
    cell: Ints = field(repr=False)
    truth: Ints = field(repr=False)
    predicted: Ints = field(repr=False)
    count: Ints = field(repr=False)
    weight: Floats = field(repr=False)
    square: Floats = field(repr=False)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.count.sum())

    def tables(self, of: NDArray[Any]) -> Floats:
        """Return a number of each category as tables of truth and prediction.

        Parameters
        ----------
        of : numpy.ndarray
            ``count``, ``weight`` or ``square``.

        Returns
        -------
        numpy.ndarray of shape (n_cells, n_classes, n_classes)
            Truth before prediction.
        """
        shape = (len(self.cells), len(self.labels), len(self.labels))
        if np.prod(shape) > _MOST_NUMBERS:
            raise InputError(
                f"{len(self.labels):,} classes in {len(self.cells):,} cells of the"
                " group columns are too many to count; give fewer columns, or join"
                " classes"
            )
        at = np.ravel_multi_index((self.cell, self.truth, self.predicted), shape)
        counted = np.bincount(at, of, int(np.prod(shape)))
        return np.asarray(counted.reshape(shape), float)


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
    member : scipy.sparse.csc_matrix of shape (n_groups, n_cells)
        1 where a cell belongs to a group.
    """

    name: str
    sets: list[tuple[str, ...]]
    starts: Ints = field(repr=False)
    groups: pd.DataFrame = field(repr=False)
    member: sparse.csc_matrix = field(repr=False)

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
    columns = (sensitive_features, sample_weight, labels, missing)
    return tabulate_levels(None, y_true, y_pred, *columns)[None]


def _distinct(columns: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Return a row of each combination of codes, sorted, and which one each row has."""
    joint = np.zeros(len(columns[0]), np.int64)
    reach = 1
    for codes in columns:
        size = int(codes.max()) + 2  # codes begin at -1
        if reach * size > 2**62:  # renumber before the product overflows
            joint, kinds = pd.factorize(joint, sort=True)
            reach = len(kinds)
        joint = joint * size + codes + 1
        reach *= size
    position, kinds = pd.factorize(joint, sort=True)
    first = np.empty(len(kinds), np.intp)
    first[position[::-1]] = np.arange(len(position) - 1, -1, -1)
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
        As in :func:`tabulate`.  The classes and groups of all rows are classes and
        groups at each level.

    Returns
    -------
    dict of object to Counts

    Raises
    ------
    InputError
        As :func:`tabulate`, and for missing values of the condition.
    """
    others: Any = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
    coded = inputs.code_groups(
        sensitive_features, missing, condition=condition, **others
    )
    columns, crossed = tuple(coded), list(coded.values())
    if condition is not None:
        crossed.insert(0, inputs.code_levels("condition", condition))
    labels, (truth, predicted) = code_classes(labels, y_true=y_true, y_pred=y_pred)
    weight = inputs.check_weights(sample_weight)
    groups = [codes for codes, _ in crossed]
    in_cell, cell = _distinct(groups)
    first, category = _distinct([cell, truth, predicted])
    count = np.bincount(category)
    sums = [count.astype(float)] * 2
    if weight is not None:
        sums = [np.bincount(category, each) for each in (weight, weight**2)]
    levels = tuple(levels for _, levels in crossed)
    cells = np.stack([codes[in_cell] for codes in groups], axis=1)
    by_category = (cell[first], truth[first], predicted[first], count, *sums)
    if condition is None:
        return {None: Counts(columns, levels, cells, labels, *by_category)}
    by_level = {}
    for at in sorted(np.unique(cells[:, 0]), key=lambda at: str(levels[0][at])):
        here = np.flatnonzero(cells[:, 0] == at)
        rows = np.isin(by_category[0], here)
        own, *rest = (each[rows] for each in by_category)
        own = np.searchsorted(here, own)
        by_level[levels[0][at]] = Counts(
            columns, levels[1:], cells[here, 1:], labels, own, *rest
        )
    return by_level


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
    if len(set(names)) < len(names):
        raise InputError(f"a set of columns must name each column once, not {names}")
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
    codes = np.ascontiguousarray(counts.cells.T, np.int32)
    group_of = np.empty((len(sets), len(counts.cells)), np.int32)
    for at, (crossed, shape) in enumerate(zip(axes, shapes, strict=True)):
        group = np.ravel_multi_index(tuple(codes[crossed]), shape, mode="clip")
        unknown = (codes[crossed] < 0).any(axis=0)
        group_of[at] = np.where(unknown, -1, group + starts[at])
        words += map(", ".join, itertools.product(*(in_words[c] for c in crossed)))
    known = group_of.T >= 0
    # One row a cell, with its group in each set: the transpose needs no sorting.
    member = sparse.csr_matrix(
        (
            np.ones(known.sum(), np.float32),
            group_of.T[known],
            np.r_[0, known.sum(axis=1).cumsum()],
        ),
        (len(counts.cells), len(words)),
    ).T
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
        The rows with True in each column, also of a mask without one; the others are
        no group.

    Raises
    ------
    InputError
        For values that are not True or False, or if no group has a row.
    """
    each = families(counts, "each")
    picked = []
    for name, levels, start in zip(
        counts.columns, counts.levels, each.starts, strict=True
    ):
        if not set(levels) <= {False, True}:
            raise InputError(
                f"the group {name!r} must be a mask of True and False, not of"
                f" {list(levels)[:5]}"
            )
        is_member = [level == True for level in levels]  # noqa: E712
        picked.append(start + is_member.index(True) if any(is_member) else -1)
    rows = np.array(picked)
    if (rows < 0).all():
        raise InputError("no group of the family has a row")
    names = list(counts.columns)
    groups = pd.DataFrame({"variables": names, "group": names})
    n = each.groups["n"].to_numpy()
    groups["n"] = np.where(rows < 0, 0, n[rows])
    empty = sparse.csr_matrix((1, each.member.shape[1]))
    member = sparse.vstack([empty, each.member], format="csr")[rows + 1].tocsc()
    return Family(
        "chosen", [(name,) for name in names], np.arange(len(rows)), groups, member
    )


def sum_to_groups(family: Family, tables: Floats) -> Floats:
    """Return tables of truth and prediction summed from cells to groups.

    Parameters
    ----------
    family : Family
        The groups.
    tables : numpy.ndarray of shape (n_cells, n_classes, n_classes[, n_resamples])
        Truth before prediction.

    Returns
    -------
    numpy.ndarray of shape (n_groups, n_resamples, n_classes, n_classes)
    """
    if tables.ndim == 3:
        tables = tables[..., None]
    summed = np.asarray(family.member @ tables.reshape(len(tables), -1))
    return summed.reshape(len(family), *tables.shape[1:]).transpose(0, 3, 1, 2)
