"""Input gates: one check for each kind of argument, with one form of message.

Every message says what was wrong, what is allowed and what was given.  The gates of a
single field of study stand beside it (treatments in ``policy``, codes in ``teds``);
what several share stands here.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral, Number, Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib.files import InputError

#: Positions, whatever the shape.
Ints: TypeAlias = NDArray[np.intp]

#: More classes than this are identifiers or scores, not classes.
MOST_CLASSES = 1000


class Coded(NamedTuple):
    """A column as positions among its levels.

    Parameters
    ----------
    codes : numpy.ndarray of int
        One a row; -1 is missing.
    levels : tuple
        The distinct values.
    """

    codes: Ints
    levels: tuple[Hashable, ...]


def check_choice(name: str, given: Any, allowed: Iterable[Any]) -> Any:
    """Return ``given`` if it is among the allowed values.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    given : object
        What was given.
    allowed : iterable
        The values allowed, in the order in which the message lists them.

    Returns
    -------
    object
        ``given``, unchanged.

    Raises
    ------
    InputError
        If it is not among them.

    Examples
    --------
    >>> check_choice("size", "tiny", ("quick", "paper"))
    Traceback (most recent call last):
    sudlib.files.InputError: size must be one of quick, paper, not 'tiny'
    """
    allowed = list(allowed)
    try:
        known = any(given is each or bool(given == each) for each in allowed)
    except (TypeError, ValueError):  # an array, for instance, is never a choice
        known = False
    if not known:
        raise InputError(
            f"{name} must be one of {', '.join(map(str, allowed))}, not {given!r}"
        )
    return given


def check_whole(
    name: str,
    given: Any,
    low: int = 0,
    high: int | None = None,
    *,
    none: str | None = None,
) -> Any:
    """Return ``given`` as a Python int if it is a whole number within bounds.

    NumPy's integers are whole numbers; booleans, floats and text are not.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    given : object
        What was given.
    low, high : int
        Smallest and largest value allowed; no largest by default.
    none : str, optional
        What None stands for; without it None is refused.

    Returns
    -------
    int or None

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> check_whole("folds", np.int64(5), 2)
    5
    >>> check_whole("folds", 2.5, 2)
    Traceback (most recent call last):
    sudlib.files.InputError: folds must be a whole number from 2 up, not 2.5
    """
    if given is None and none is not None:
        return None
    whole = isinstance(given, Integral) and not isinstance(given, (bool, np.bool_))
    if whole and low <= given and (high is None or given <= high):
        return int(given)
    span = f"{low} up" if high is None else f"{low} to {high:,}"
    instead = f", or None for {none}" if none else ""
    raise InputError(
        f"{name} must be a whole number from {span}{instead}, not {given!r}"
    )


def check_number(
    name: str,
    given: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return ``given`` as a float if it is a finite number within bounds.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    given : object
        What was given.
    low, high : float
        Bounds; by default none.
    open_low, open_high : bool, default=False
        Whether the bound itself is excluded.

    Returns
    -------
    float

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> check_number("test_size", 1.5, 0, 1)
    Traceback (most recent call last):
    sudlib.files.InputError: test_size must be a number from 0 to 1, not 1.5
    """
    number = isinstance(given, Real) and not isinstance(given, (bool, np.bool_))
    if number and math.isfinite(given):
        above = given > low if open_low else given >= low
        below = given < high if open_high else given <= high
        if above and below:
            return float(given)
    parts = []
    if low > -math.inf:
        parts.append(f"{'above' if open_low else 'from'} {low:g}")
    if high < math.inf:
        parts.append(f"{'below' if open_high else 'to'} {high:g}")
    span = f" {' '.join(parts)}" if parts else ""
    raise InputError(f"{name} must be a number{span}, not {given!r}")


#: Arrays larger than this are refused before they are made.
MOST_BYTES = 4 * 2**30


def check_bytes(what: str, wanted: int, most: int = MOST_BYTES) -> None:
    """Raise before more memory is asked for than is sensible.

    Parameters
    ----------
    what : str
        What would need it, for the message.
    wanted : int
        Bytes.
    most : int, default=4 GiB
        The limit.

    Raises
    ------
    InputError
        If it is more.

    Examples
    --------
    >>> check_bytes("all pairs", 53 * 2**30)
    Traceback (most recent call last):
    sudlib.files.InputError: all pairs: 53.0 GiB asked for; the limit is 4 GiB
    """
    if wanted > most:
        raise InputError(
            f"{what}: {wanted / 2**30:.1f} GiB asked for; the limit is"
            f" {most / 2**30:g} GiB"
        )


def check_rows(**columns: Any) -> int:
    """Return the common length of columns whose rows belong together.

    Rows are matched by position.  Two pandas columns that have different indexes do
    not say which rows belong together, so they are refused.

    Parameters
    ----------
    **columns
        Array-likes by name; None is passed over.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If one is not one-dimensional, their lengths or indexes differ, or there are no
        rows.

    Examples
    --------
    >>> check_rows(y_true=[0, 1], y_pred=[1])
    Traceback (most recent call last):
    sudlib.files.InputError: y_true and y_pred must have the same length, not 2 and 1
    >>> check_rows(y_true=pd.Series([0, 1]), y_pred=pd.Series([1, 1], index=[1, 0]))
    Traceback (most recent call last):
    sudlib.files.InputError: y_true and y_pred have different indexes, so it is not \
clear which rows belong together; give them one index, or arrays in the same order
    """
    shapes = {
        name: np.shape(column) for name, column in columns.items() if column is not None
    }
    for name, shape in shapes.items():
        if len(shape) != 1:
            raise InputError(f"{name} must be one column, not of shape {shape}")
    lengths = [shape[0] for shape in shapes.values()]
    if len(set(lengths)) > 1:
        raise InputError(
            f"{' and '.join(shapes)} must have the same length, not"
            f" {' and '.join(map(str, lengths))}"
        )
    if not lengths or not lengths[0]:
        raise InputError(f"{' and '.join(shapes) or 'the input'} must have rows: none")
    indexed = {
        name: column.index
        for name, column in columns.items()
        if isinstance(column, pd.Series)
    }
    for name, index in indexed.items():
        first = next(iter(indexed))
        if not index.equals(indexed[first]):
            raise InputError(
                f"{first} and {name} have different indexes, so it is not clear which"
                " rows belong together; give them one index, or arrays in the same"
                " order"
            )
    return lengths[0]


def _ordered(values: Iterable[Any]) -> list[Any]:
    """Return distinct values sorted; a mixture of types by what is shown."""
    values = list(values)
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def code_column(
    name: str,
    values: ArrayLike,
    missing: str = "error",
    levels: Sequence[Any] | None = None,
) -> Coded:
    """Return one column as codes and levels; a missing value has the code -1.

    None, NaN and pandas' NA are missing, in a list as well.  The categories of a
    pandas Categorical are its levels, in their order, also those that do not occur.

    Parameters
    ----------
    name : str
        What the column is, for the message.
    values : array-like
        One value a row.
    missing : {"error", "level", "omit"}, default="error"
        Whether a missing value stops, is the level "missing", or stays missing.
    levels : sequence, optional
        All levels; by default those that are declared or occur, sorted.

    Returns
    -------
    Coded

    Raises
    ------
    InputError
        For missing values, unless they are allowed, unknown levels, and levels that
        look alike, such as 1 and "1".

    Examples
    --------
    >>> code_column("sex", ["m", "f", None], missing="omit")
    Coded(codes=array([ 1,  0, -1]), levels=('f', 'm'))
    """
    given: Any = values
    if not isinstance(given, pd.Series):
        listed = isinstance(given, np.ndarray | pd.api.extensions.ExtensionArray)
        given = pd.Series(given if listed else list(given))
    if isinstance(given.dtype, pd.CategoricalDtype):
        codes, occur = given.cat.codes.to_numpy(np.intp), given.cat.categories.tolist()
        known = occur  # in the order in which they are declared
    else:
        try:
            codes, distinct = pd.factorize(given)
        except TypeError as error:
            raise InputError(f"{name} must hold one value a row: {error}") from error
        occur = distinct.tolist()
        known = _ordered(occur)
    lost = int((codes < 0).sum())
    if lost and missing == "error":
        raise InputError(
            f"{name} has {lost:,} missing values of {len(codes):,}; leave those rows"
            " out (for group columns, see also the parameter missing)"
        )
    if lost == len(codes) and lost and missing == "omit":
        raise InputError(f"{name} has no values at all")
    if lost and missing == "level":
        codes = np.where(codes < 0, len(occur), codes)
        declared, occur = known is occur, [*occur, "missing"]
        known = occur if declared else _ordered(occur)
    if levels is None:
        levels = list(known)
        shown = pd.Index([str(level) for level in levels])
        if shown.has_duplicates:
            twice = np.flatnonzero(shown.duplicated(keep=False))
            alike = [levels[int(at)] for at in twice]
            raise InputError(f"{name} has levels that look alike: {alike[:4]}")
    return Coded(_among(name, codes, occur, levels), tuple(levels))


def _among(name: str, codes: Ints, occur: list[Any], levels: Sequence[Any]) -> Ints:
    """Return codes of one list of levels as codes of another; -1 stays missing."""
    if occur == list(levels):
        return codes
    position = pd.Index(list(levels), dtype=object).get_indexer(
        pd.Index(occur, dtype=object)
    )
    used = np.bincount(codes + 1, minlength=len(occur) + 1)[1:] > 0
    unknown = [occur[at] for at in np.flatnonzero((position < 0) & used)]
    if unknown:
        raise InputError(
            f"{name} has values that are not among {list(levels)}:"
            f" {_ordered(unknown)[:5]}"
        )
    return np.append(position, -1)[codes]


def _kind(value: Any) -> str:
    """Return whether a class is a number (True and False are), text or what else."""
    if isinstance(value, Number | np.bool_):
        return "numbers"
    return "text" if isinstance(value, str) else type(value).__name__


def code_classes(
    labels: Iterable[Any] | None = None, **columns: ArrayLike
) -> tuple[tuple[Any, ...], list[Ints]]:
    """Return the classes in order, and each column as positions among them.

    The one gate for truth and prediction.  All columns share one set of classes, of
    one kind: numbers (1, 1.0 and True are the same class) or text.

    Parameters
    ----------
    labels : iterable, optional
        All classes; by default those that are declared as categories or occur, and 0
        and 1 if there are no others.
    **columns
        Classes by name, one a row, none missing.

    Returns
    -------
    labels : tuple
    codes : list of numpy.ndarray of int

    Raises
    ------
    InputError
        For columns whose rows do not match, missing values, classes of different
        kinds, scores in the place of classes, a class that is undeclared or declared
        twice, and more than 1,000 classes.

    Examples
    --------
    >>> code_classes(y_true=[0, 1], y_pred=["0", "1"])
    Traceback (most recent call last):
    sudlib.files.InputError: classes must be of one kind: y_true holds numbers (0, 1), \
y_pred holds text ('0', '1'); turn one into the other
    """
    check_rows(**columns)
    coded = {name: code_column(name, each) for name, each in columns.items()}
    given = None if labels is None else list(labels)
    declared: set[Any] = set(given or ())
    if given is not None and len(declared) != len(given):
        raise InputError(f"labels must not repeat, got {given}")
    categories: dict[Any, None] = {}
    for name, (_, levels) in coded.items():
        if isinstance(getattr(columns[name], "dtype", None), pd.CategoricalDtype):
            categories |= dict.fromkeys(levels)
            continue
        fraction = [
            each
            for each in levels
            if isinstance(each, Real)
            and not float(each).is_integer()
            and each not in declared
        ]
        if fraction:
            raise InputError(
                f"{name} must hold classes, not scores such as {fraction[0]:.4g}: give"
                " classes, for instance score >= 0.5, or use sudlib.scores.evaluate,"
                " whose argument score takes scores (fractions that are classes are"
                " declared by labels)"
            )
    named = {name: levels for name, (_, levels) in coded.items()}
    if given is not None:
        named["labels"] = tuple(given)
    kinds = {name: {_kind(each) for each in levels} for name, levels in named.items()}
    if len(set().union(*kinds.values())) > 1:
        words = ", ".join(
            f"{name} holds {' and '.join(sorted(kinds[name]))}"
            f" ({', '.join(map(repr, levels[:3]))})"
            for name, levels in named.items()
        )
        raise InputError(
            f"classes must be of one kind: {words}; turn one into the other"
        )
    if given is None:
        occur = set().union(*(levels for _, levels in coded.values()))
        rest = [each for each in _ordered(occur) if each not in categories]
        given = [0, 1] if occur <= {0, 1} and not categories else [*categories, *rest]
    if len(given) > MOST_CLASSES:
        raise InputError(
            f"{' and '.join(columns)} have {len(given):,} classes, at most"
            f" {MOST_CLASSES:,} are allowed: are they classes?"
        )
    return tuple(given), [
        _among(name, each.codes, list(each.levels), given)
        for name, each in coded.items()
    ]
