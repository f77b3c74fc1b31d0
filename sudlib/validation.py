"""Input gates: one check for each kind of argument, with one form of message.

Every message says what was wrong, what is allowed and what was given.  The gates of a
single field of study stand beside it (treatments in ``policy``, codes in ``teds``);
what several share stands here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib.files import InputError

#: Positions, whatever the shape.
Ints: TypeAlias = NDArray[np.intp]


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
    flag = isinstance(given, bool | np.bool_)  # which equals 0 or 1
    try:
        known = any(
            given is each or (given == each and flag == isinstance(each, bool))
            for each in allowed
        )
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
    >>> check_whole("n_splits", np.int64(5), 2)
    5
    >>> check_whole("n_splits", 2.5, 2)
    Traceback (most recent call last):
    sudlib.files.InputError: n_splits must be a whole number from 2 up, not 2.5
    """
    if given is None and none is not None:
        return None
    whole = isinstance(given, Integral) and not isinstance(given, (bool, np.bool_))
    if whole and low <= given and (high is None or given <= high):
        return int(given)
    span = f"{low} up" if high is None else f"{low} to {high:,}"
    allowed = f"{low:,}" if low == high else f"a whole number from {span}"
    instead = f", or None for {none}" if none else ""
    raise InputError(f"{name} must be {allowed}{instead}, not {given!r}")


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
        between = ("and " if open_low else "to ") if open_high and parts else ""
        parts.append(f"{between}{'below' if open_high else 'to'} {high:g}")
    span = f" {' '.join(parts)}" if parts else ""
    raise InputError(f"{name} must be a number{span}, not {given!r}")


def check_confidence(confidence_level: Any) -> float:
    """Return a confidence level as a float if it is one: 0.95, not 95.

    Parameters
    ----------
    confidence_level : float
        Between 0 and 1.

    Returns
    -------
    float

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> check_confidence(0.9)
    0.9
    """
    bounds: Any = {"open_low": True, "open_high": True}
    return check_number("confidence_level", confidence_level, 0, 1, **bounds)


def check_seed(seed: Any) -> int:
    """Return a seed as an int if it is one that every library takes.

    Parameters
    ----------
    seed : int
        From 0 to 2 ** 32 - 1.

    Returns
    -------
    int

    Raises
    ------
    InputError
        For anything else, None among them: what is drawn could not be drawn again.

    Examples
    --------
    >>> check_seed(-1)
    Traceback (most recent call last):
    sudlib.files.InputError: seed must be a whole number from 0 to 4,294,967,295, not -1
    """
    return check_whole("seed", seed, 0, 2**32 - 1)


def draw_seed(random_state: Any) -> int:
    """Return an int from what scikit-learn takes as ``random_state``.

    Parameters
    ----------
    random_state : None, int, RandomState or Generator
        An int is returned as it is; the others are drawn from.

    Returns
    -------
    int

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> draw_seed(33), draw_seed(np.random.default_rng(1))
    (33, 1016164991)
    """
    from sklearn.utils import check_random_state

    if isinstance(random_state, Integral):
        return check_whole("random_state", random_state, 0, 2**32 - 1)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as why:
        raise InputError(
            "random_state must be a whole number, a RandomState, a Generator or None,"
            f" not {random_state!r}"
        ) from why


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


#: What has an index that says which row is whose.
_LABELLED = pd.DataFrame | pd.Series


def check_rows(**tables: Any) -> int:
    """Return the common number of rows of tables and columns that belong together.

    Rows are matched by position.  Two pandas objects that have different indexes do
    not say which rows belong together, so they are refused.

    Parameters
    ----------
    **tables
        Array-likes by name, of any number of dimensions; None, and one value that
        stands for all rows, are passed over.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If their lengths or indexes differ, or there are no rows.

    Examples
    --------
    >>> check_rows(X=[[1, 2], [3, 4]], y=[1])
    Traceback (most recent call last):
    sudlib.files.InputError: X and y must have the same length, not 2 and 1
    >>> check_rows(y_true=pd.Series([0, 1]), y_pred=pd.Series([1, 1], index=[1, 0]))
    Traceback (most recent call last):
    sudlib.files.InputError: y_true and y_pred have different indexes, so it is not \
clear which rows belong together; give them one index, or arrays in the same order
    """
    shapes = {name: _shape(name, each) for name, each in tables.items()}
    lengths = {name: shape[0] for name, shape in shapes.items() if shape}
    if len(set(lengths.values())) > 1:
        raise InputError(
            f"{' and '.join(lengths)} must have the same length, not"
            f" {' and '.join(map(str, lengths.values()))}"
        )
    if not any(lengths.values()):
        raise InputError(f"{' and '.join(lengths) or 'the input'} must have rows: none")
    labelled = [name for name in lengths if isinstance(tables[name], _LABELLED)]
    for name in labelled[1:]:
        if not tables[name].index.equals(tables[labelled[0]].index):
            raise InputError(
                f"{labelled[0]} and {name} have different indexes, so it is not clear"
                " which rows belong together; give them one index, or arrays in the"
                " same order"
            )
    return next(iter(lengths.values()))


def _shape(name: str, table: Any) -> tuple[int, ...]:
    """Return the shape of an array-like, ``()`` of None."""
    try:
        return np.shape(table)
    except ValueError as why:
        raise InputError(f"the rows of {name} must have one length: {why}") from why


def check_columns(**columns: Any) -> int:
    """Return the common length of columns whose rows belong together.

    Parameters
    ----------
    **columns
        Array-likes of one dimension by name; None is passed over.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If one is not one-dimensional, and as :func:`check_rows` does.

    Examples
    --------
    >>> check_columns(y_true=[0, 1], y_pred=[[0, 1]])
    Traceback (most recent call last):
    sudlib.files.InputError: y_pred must be one column, not of shape (1, 2)
    """
    for name, column in columns.items():
        shape = _shape(name, column)
        if column is not None and len(shape) != 1:
            raise InputError(f"{name} must be one column, not of shape {shape}")
    return check_rows(**columns)


def places(rows: ArrayLike, n: int) -> Ints:
    """Return the positions of some rows, named by number or by True and False.

    Parameters
    ----------
    rows : array-like of int or bool
        Numbers from 0 to n - 1, or one True or False for each row.
    n : int
        How many rows there are.

    Returns
    -------
    numpy.ndarray of int

    Raises
    ------
    InputError
        For anything else: a negative number would count from the end.

    Examples
    --------
    >>> places([True, False, True], 3), places([2, 2], 3)
    (array([0, 2]), array([2, 2]))
    """
    given = numbers("rows", rows, 0)
    if pd.api.types.is_bool_dtype(pd.Series(rows).infer_objects()):
        check_whole("the number of True and False in rows", len(given), n, n)
        return np.flatnonzero(given)
    wrong = given[(given % 1 != 0) | (given >= n)]
    if len(wrong):
        raise InputError(
            f"rows must be whole numbers from 0 to {n - 1:,}, not {wrong[0]:g}"
        )
    return given.astype(np.intp)


def check_frame(records: Any) -> pd.DataFrame:
    """Return records if they are a frame of pandas.

    Parameters
    ----------
    records : object
        What was given as records.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> check_frame({"AGE": [1]})
    Traceback (most recent call last):
    sudlib.files.InputError: records must be a pandas DataFrame, not dict
    """
    if not isinstance(records, pd.DataFrame):
        raise InputError(
            f"records must be a pandas DataFrame, not {type(records).__name__}"
        )
    return records


def named_table(table: Any) -> Any:
    """Return a table of pyarrow or polars as a frame of pandas; others as they are.

    As arrays they would lose the names of their columns.

    Parameters
    ----------
    table : object
        Anything.

    Returns
    -------
    object

    Examples
    --------
    >>> named_table([[1, 2]])
    [[1, 2]]
    """
    tabular = hasattr(table, "to_pandas") and hasattr(table, "columns")
    return table.to_pandas() if tabular else table


def as_frame(name: str, table: Any) -> pd.DataFrame:
    """Return a dense table as a frame; what is masked is missing.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    table : pandas.DataFrame or array-like of shape (n,) or (n, columns)
        A frame is returned as it is.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        For a sparse table, other shapes, and rows of different lengths.

    Examples
    --------
    >>> as_frame("X", [[1, 2], [3, 4]]).shape
    (2, 2)
    """
    table = named_table(table)
    shape = _shape(name, table)
    if isinstance(table, pd.DataFrame):
        return table
    if len(shape) not in (1, 2) or not np.ndim(np.ma.asarray(table)):  # sparse
        raise InputError(
            f"{name} must be a dense table, not {type(table).__name__} of shape {shape}"
        )
    return pd.DataFrame(np.ma.asarray(table))


def numbers(
    name: str, values: ArrayLike, low: float = -math.inf, *, column: bool = True
) -> NDArray[np.float64]:
    """Return numbers as finite floats; text is not turned into numbers.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    values : array-like of float
        One value a row.  What is masked is missing.
    low : float
        The smallest allowed; by default any.
    column : bool, default=True
        False allows tables, of any number of dimensions.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        For text, dates, complex numbers, missing, infinite and smaller values.

    Examples
    --------
    >>> numbers("score", ["0.5"])
    Traceback (most recent call last):
    sudlib.files.InputError: score must hold numbers, not text such as '0.5'
    """
    shape = _shape(name, values)
    if column and len(shape) > 1:
        raise InputError(f"{name} must be one column, not of shape {shape}")
    flat: Any = values if len(shape) == 1 else np.ma.asarray(values).ravel()
    given = pd.Series(flat if shape else [values])
    if not pd.api.types.is_numeric_dtype(given.dtype):
        words = [each for each in given if isinstance(each, str | bytes)]
        if words:
            raise InputError(f"{name} must hold numbers, not text such as {words[0]!r}")
    if given.dtype.kind in "mMc":
        raise InputError(f"{name} must hold numbers, not {given.dtype}")
    try:
        found = given.to_numpy(float, na_value=np.nan)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} must hold numbers: {error}") from error
    lost = np.flatnonzero(~np.isfinite(found))
    if len(lost):
        raise InputError(
            f"{name} must be finite; row {lost[0]} has {found[lost[0]]}"
            f" ({len(lost):,} of {len(found):,} are not)"
        )
    less = found[found < low]
    if len(less):
        raise InputError(
            f"{name} must be at least {low:g}; {len(less):,} are not, the first is"
            f" {less[0]}"
        )
    return found if column else found.reshape(shape)
