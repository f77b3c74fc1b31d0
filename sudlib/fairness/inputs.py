"""The gate of the wing: group columns, weights and the classes that are judged.

Columns, missing values and classes pass :mod:`sudlib.validation` first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib.classes import Coded, code_column, is_fraction
from sudlib.files import InputError
from sudlib.validation import check_choice, check_columns, named_table, numbers

MISSING = ("error", "level", "omit")

#: One group column or several: fairlearn's ``sensitive_features``.
Columns: TypeAlias = ArrayLike | pd.Series | pd.DataFrame | Mapping[str, ArrayLike]

#: Arrays of numbers, whatever their shape.
Floats: TypeAlias = NDArray[np.float64]


def group_columns(sensitive_features: Columns) -> dict[str, Any]:
    """Return the group columns by name, whatever they were given as.

    Parameters
    ----------
    sensitive_features : array-like, Series, DataFrame or dict
        One or more group columns.

    Returns
    -------
    dict of str to array-like

    Raises
    ------
    InputError
        For an array of more than two dimensions, without a column, or two columns of
        one name (1 and "1" are one name).
    """
    given: Any = named_table(sensitive_features)
    if isinstance(given, pd.Series):
        named = [("group" if given.name is None else given.name, given)]
    elif isinstance(given, pd.DataFrame):
        named = [(name, given.iloc[:, at]) for at, name in enumerate(given.columns)]
    elif isinstance(given, Mapping):
        named = list(given.items())

    else:
        if isinstance(given, list | tuple):  # not text at once: that would hide None
            nested = bool(given) and isinstance(given[0], list | tuple | np.ndarray)
            array = np.asarray(given, dtype=object) if nested else pd.Series(given)
        else:
            array = given if hasattr(given, "ndim") else np.asarray(given)
        if array.ndim not in (1, 2):
            raise InputError(
                "sensitive_features must be one column or a table of columns, not"
                f" {type(given).__name__} of {array.ndim} dimensions"
            )
        named = [("group", array)]
        if array.ndim == 2:
            named = [(f"group {at}", column) for at, column in enumerate(array.T)]
    columns = {str(name): column for name, column in named}
    if not columns:
        raise InputError("sensitive_features must have at least one column, got none")
    if len(columns) < len(named):
        names = pd.Index([str(name) for name, _ in named])
        twice = names[names.duplicated()].unique().tolist()
        raise InputError(
            f"sensitive_features has more than one column called {', '.join(twice)}"
            " (1 and '1' are one name); rename or drop one"
        )
    return columns


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
        All levels of columns; by default those that are declared or occur.
    **others
        Columns that must have the same rows; None is passed over.

    Returns
    -------
    dict of str to Coded

    Raises
    ------
    InputError
        For columns of different lengths or indexes, no rows, missing values, unknown
        levels.
    """
    check_choice("missing", missing, MISSING)
    columns = group_columns(sensitive_features)
    named = {f"the group column {name!r}": each for name, each in columns.items()}
    check_columns(**others, **named)
    known = levels or {}
    return {
        name: code_levels(words, each, missing, known.get(name))
        for (words, each), name in zip(named.items(), columns, strict=True)
    }


def code_levels(
    name: str,
    values: ArrayLike,
    missing: str = "error",
    levels: Sequence[Any] | None = None,
) -> Coded:
    """Return a column as codes, unless it is continuous.

    Parameters
    ----------
    name, values, missing, levels
        As in :func:`sudlib.classes.code_column`.

    Returns
    -------
    Coded

    Raises
    ------
    InputError
        As :func:`sudlib.classes.code_column`, and for fractions of which most rows have
        one of their own.
    """
    coded = code_column(name, values, missing, levels)
    if len(coded.levels) > max(100, len(coded.codes) / 2):
        fraction = next(filter(is_fraction, coded.levels), None)
        if fraction is not None:
            raise InputError(
                f"{name} must hold levels, not {len(coded.levels):,} numbers such as"
                f" {fraction}: cut it into bands first"
            )
    return coded


def check_weights(sample_weight: ArrayLike | None) -> Floats | None:
    """Return the weights of rows as floats.

    Parameters
    ----------
    sample_weight : array-like of float or None
        Finite and at least 0.

    Returns
    -------
    numpy.ndarray or None

    Raises
    ------
    InputError
        For text, and a weight that is negative or not finite.
    """
    if sample_weight is None:
        return None
    weight = numbers("sample_weight", sample_weight, 0)
    largest = weight.max(initial=0)
    # So large or small that its square is no number: rates know no unit of weight.
    usual = largest == 0 or 1e-100 < largest < 1e100
    return weight if usual else weight / largest


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
        if np.ndim(pos_label) or pos_label not in labels:
            raise InputError(
                f"pos_label must be one of the classes {list(labels)}, not"
                f" {pos_label!r}"
            )
        return [labels.index(pos_label)]
    if len(labels) > 2:
        return list(range(len(labels)))
    if set(labels) in ({0, 1}, {-1, 1}):
        return [labels.index(1)]
    raise InputError(
        f"the classes are {list(labels)}: say with pos_label which one is the outcome"
        " that counts as positive"
    )
