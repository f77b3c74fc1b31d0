"""The one gate of the wing: group columns, classes, weights and missing values."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib.files import InputError
from sudlib.validation import check_choice, check_same_length

MISSING = ("error", "level", "omit")

#: One group column or several: fairlearn's ``sensitive_features``.
Columns: TypeAlias = ArrayLike | pd.Series | pd.DataFrame | Mapping[str, ArrayLike]


#: Arrays of numbers, whatever their shape.
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]


class Coded(NamedTuple):
    """A column as positions among its levels; -1 is missing."""

    codes: Ints
    levels: tuple[Hashable, ...]


def ordered(values: Iterable[Any]) -> list[Any]:
    """Return distinct values sorted; a mixture of types by what is shown.

    Parameters
    ----------
    values : iterable
        Distinct values.

    Returns
    -------
    list
    """
    values = list(values)
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def require_complete(name: str, values: ArrayLike) -> None:
    """Raise an InputError if a column has missing values.

    Parameters
    ----------
    name : str
        What the column is, for the message.
    values : array-like
        The column.
    """
    missing = int(pd.isna(np.asarray(values, dtype=object)).sum())
    if missing:
        raise InputError(
            f"{name} has {missing:,} missing values of {np.size(values):,}; leave those"
            " rows out (for group columns, see also the parameter missing)"
        )


def group_columns(sensitive_features: Columns) -> dict[str, NDArray[Any]]:
    """Return the group columns by name, whatever they were given as.

    Parameters
    ----------
    sensitive_features : array-like, Series, DataFrame or dict
        One or more group columns.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    InputError
        For an array of more than two dimensions, or without a column.
    """
    given: Any = sensitive_features
    if isinstance(given, pd.Series):
        given = {"group" if given.name is None else given.name: given}
    elif not isinstance(given, pd.DataFrame | Mapping):
        array = np.asarray(given)
        if array.ndim not in (1, 2):
            raise InputError(
                "sensitive_features must be one column or a table of columns, not"
                f" {type(given).__name__} of {array.ndim} dimensions"
            )
        one = array.ndim == 1
        given = {"group": array} if one else pd.DataFrame(array).add_prefix("group ")
    columns = {str(name): np.asarray(given[name]) for name in given}
    if not columns:
        raise InputError("sensitive_features must have at least one column, got none")
    return columns


def check_rows(columns: Mapping[str, ArrayLike], **others: ArrayLike | None) -> int:
    """Return the number of rows, if group columns and other columns agree in it.

    Parameters
    ----------
    columns : dict of str to array-like
        Group columns.
    **others
        Columns by name; None is passed over.

    Returns
    -------
    int
    """
    named = {f"the group column {name!r}": each for name, each in columns.items()}
    return check_same_length(**others, **named)


def code_column(
    name: str,
    values: ArrayLike,
    missing: str = "error",
    levels: Sequence[Any] | None = None,
) -> Coded:
    """Return one column as codes and levels; a missing value has the code -1.

    Parameters
    ----------
    name : str
        What the column is, for the message.
    values : array-like
        One value a row.
    missing : {"error", "level", "omit"}, default="error"
        As in :func:`sudlib.fairness.tabulate`.
    levels : sequence, optional
        All levels; by default those that occur, sorted.

    Returns
    -------
    Coded

    Raises
    ------
    InputError
        For missing values, unless they are allowed, and for unknown levels.
    """
    column = pd.Series(np.asarray(values, dtype=object)).infer_objects()
    if missing == "error":
        require_complete(name, column)
    elif column.isna().all() and len(column):
        raise InputError(f"{name} has no values at all")
    elif missing == "level":
        column = column.astype(object).where(column.notna(), "missing")
    if levels is None:
        levels = ordered(column.dropna().unique().tolist())
    codes = pd.Index(levels, dtype=object).get_indexer(column.astype(object))
    unknown = column[codes < 0].dropna()
    if len(unknown):
        raise InputError(
            f"{name} has values that are not among {list(levels)}:"
            f" {ordered(unknown.unique().tolist())[:5]}"
        )
    return Coded(codes, tuple(levels))


def code_groups(
    sensitive_features: Columns,
    missing: str = "error",
    levels: Mapping[str, Sequence[Any]] | None = None,
    **others: ArrayLike | None,
) -> dict[str, Coded]:
    """Return the group columns as codes, if they fit each other and other columns.

    Parameters
    ----------
    sensitive_features : array-like, Series, DataFrame or dict
        One or more group columns.
    missing : {"error", "level", "omit"}, default="error"
        As in :func:`sudlib.fairness.tabulate`.
    levels : dict of str to sequence, optional
        All levels of columns; by default those that occur.
    **others
        Columns that must have the same number of rows; None is passed over.

    Returns
    -------
    dict of str to Coded

    Raises
    ------
    InputError
        For columns of different lengths, no rows, missing values, unknown levels.
    """
    check_choice("missing", missing, MISSING)
    columns = group_columns(sensitive_features)
    check_rows(columns, **others)
    known = levels or {}
    return {
        name: code_column(f"the group column {name!r}", each, missing, known.get(name))
        for name, each in columns.items()
    }


def code_classes(
    y_true: ArrayLike, y_pred: ArrayLike, labels: Iterable[Any] | None = None
) -> tuple[tuple[Any, ...], Ints, Ints]:
    """Return the classes in order, and both columns as positions among them.

    Parameters
    ----------
    y_true, y_pred : array-like
        Classes, none missing.
    labels : iterable, optional
        All classes; by default those that occur, and 0 and 1 if there are no others.

    Returns
    -------
    labels : tuple
    truth, predicted : numpy.ndarray of int

    Raises
    ------
    InputError
        For a missing or an undeclared class, or a class that is declared twice.
    """
    if labels is None:
        occur = {*np.asarray(y_true).tolist(), *np.asarray(y_pred).tolist()}
        labels = [0, 1] if occur <= {0, 1} else ordered(occur)  # also True and False
    labels = list(labels)
    if len(set(labels)) != len(labels):
        raise InputError(f"labels must not repeat, got {labels}")
    truth = code_column("y_true", y_true, levels=labels).codes
    return tuple(labels), truth, code_column("y_pred", y_pred, levels=labels).codes


def check_weights(sample_weight: ArrayLike | None, n: int) -> Floats:
    """Return the weights of rows, 1 by default.

    Parameters
    ----------
    sample_weight : array-like of float or None
        Finite and at least 0.
    n : int
        Number of rows.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        For a weight that is negative or not finite.
    """
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=float)
    bad = weight[~(np.isfinite(weight) & (weight >= 0))]
    if len(bad):
        raise InputError(
            f"sample_weight must be finite and at least 0; {len(bad):,} are not, the"
            f" first is {bad[0]}"
        )
    return weight


def judged_classes(labels: tuple[Any, ...], pos_label: Any = None) -> list[int]:
    """Return the positions of the classes that are judged: one of two, or all.

    Parameters
    ----------
    labels : tuple
        The classes.
    pos_label : optional
        The class that counts as positive; needed for two classes that are neither 0
        and 1 nor -1 and 1.

    Returns
    -------
    list of int

    Raises
    ------
    InputError
        If ``pos_label`` is no class, or is needed and missing.
    """
    if pos_label is not None:
        check_choice("pos_label", pos_label, labels)
        return [labels.index(pos_label)]
    if len(labels) > 2:
        return list(range(len(labels)))
    if set(labels) in ({0, 1}, {-1, 1}):
        return [labels.index(1)]
    raise InputError(
        f"the classes are {list(labels)}: say with pos_label which one is the outcome"
        " that counts as positive"
    )
