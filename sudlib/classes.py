"""The gate of classes and groups: columns as positions among their levels.

Truth and prediction have one set of classes, of one kind; what looks like scores, or
is coded otherwise than the truth, is refused with the remedy in the message.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Sequence
from numbers import Number
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib.files import InputError
from sudlib.validation import Ints, check_columns

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
        look alike, such as 1 and "1", or "a" and "a ".

    Examples
    --------
    >>> code_column("sex", ["m", "f", None], missing="omit")
    Coded(codes=array([ 1,  0, -1]), levels=('f', 'm'))
    """
    given: Any = values
    if not isinstance(given, pd.Series):
        listed = isinstance(given, np.ndarray | pd.api.extensions.ExtensionArray)
        if not listed and hasattr(given, "__array__"):  # of pyarrow, polars, PyTorch
            given, listed = np.asarray(given), True
        try:  # of a list with a gap pandas would make floats, which join large numbers
            given = pd.Series(given) if listed else pd.Series(list(given), dtype=object)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} must hold one value a row: {error}") from error
    if getattr(given.dtype, "byteorder", "=") not in "=|":  # of another machine
        given = given.astype(given.dtype.newbyteorder("="))
    if isinstance(given.dtype, pd.CategoricalDtype):
        codes, occur = given.cat.codes.to_numpy(np.intp), given.cat.categories.tolist()
        known = occur  # in the order in which they are declared
    else:
        try:
            codes, distinct = pd.factorize(given)
        except TypeError as error:
            raise InputError(f"{name} must hold one value a row: {error}") from error
        occur = [
            each.item() if isinstance(each, np.number | np.bool_ | np.str_) else each
            for each in distinct.tolist()
        ]
        known = ordered(occur)
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
        known = occur if declared else ordered(occur)
    if levels is None:
        levels = list(known)
        # Accents and blanks have several encodings.
        plain = (normalize("NFKC", str(level)) for level in levels)
        shown = pd.Index([" ".join(each.split()) for each in plain])
        if shown.has_duplicates:
            twice = np.flatnonzero(shown.duplicated(keep=False))
            alike = [levels[int(at)] for at in twice]
            raise InputError(f"{name} has levels that look alike: {alike[:4]}")
    return Coded(_among(name, codes, occur, levels), tuple(levels))


def _among(name: str, codes: Ints, occur: list[Any], levels: Sequence[Any]) -> Ints:
    """Return codes of one list of levels as codes of another; -1 stays missing."""
    if occur == list(levels):
        return codes
    known = pd.Index(list(levels), dtype=object)
    place = known.get_indexer(pd.Index(occur, dtype=object))
    used = np.bincount(codes + 1, minlength=len(occur) + 1)[1:] > 0
    unknown = [occur[at] for at in np.flatnonzero((place < 0) & used)]
    if unknown:
        raise InputError(
            f"{name} has values that are not among {list(levels)}:"
            f" {ordered(unknown)[:5]}"
        )
    return np.append(place, -1)[codes]


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
        kinds, scores in the place of classes, a second column coded otherwise than the
        first ("yes" for "Yes", 1 and 2 for 0 and 1), a class that is undeclared or
        declared twice, and more than 1,000 classes.

    Examples
    --------
    >>> code_classes(y_true=[0, 1], y_pred=["0", "1"])
    Traceback (most recent call last):
    sudlib.files.InputError: classes must be of one kind: y_true holds numbers (0, 1), \
y_pred holds text ('0', '1'); turn one into the other
    """
    check_columns(**columns)
    coded = {name: code_column(name, each) for name, each in columns.items()}
    if not isinstance(labels, Iterable | None):
        raise InputError(f"labels must list all classes, not {labels!r}")
    given = None if labels is None else list(labels)
    declared = set(code_column("labels", given).levels) if given else set()
    if given is not None and len(declared) != len(given):
        raise InputError(f"labels must not repeat, got {given}")
    categories: dict[Any, None] = {}
    for name, (_, levels) in coded.items():
        if isinstance(getattr(columns[name], "dtype", None), pd.CategoricalDtype):
            categories |= dict.fromkeys(levels)
        fraction = [each for each in levels if is_fraction(each)]
        if not declared.issuperset(fraction):
            raise InputError(
                f"{name} must hold classes, not scores such as {fraction[0]}: give"
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
    if given is None and len(coded) == 2:
        _check_coding(coded, categories)
    if given is None:
        occur = set().union(*(levels for _, levels in coded.values()))
        rest = [each for each in ordered(occur) if each not in categories]
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


def is_fraction(value: Any) -> bool:
    """Return whether a level is a number, but no whole one.

    Parameters
    ----------
    value : object
        A level.

    Returns
    -------
    bool
    """
    real = isinstance(value, Number) and not isinstance(value, complex)
    return real and value % 1 != 0


#: Fewer rows than this may lack a class by chance.
_MANY = 30


def _check_coding(coded: dict[str, Coded], declared: Iterable[Any]) -> None:
    """Raise if predictions are coded otherwise than the truth, which comes first.

    A class that is predicted and never true is no proof of that: it may be rare.
    """
    (truth, true), (guess, predicted) = (
        (name, {each.levels[at] for at in np.unique(each.codes)})
        for name, each in coded.items()
    )
    levels, codes = coded[guess].levels, coded[guess].codes
    extra = predicted - true - set(declared)
    if not extra:
        return
    plain = {str(each).strip().casefold() for each in true}
    alike = {each for each in extra if str(each).strip().casefold() in plain}
    rows = sum(int((codes == levels.index(each)).sum()) for each in list(extra)[:20])
    apart = bool(true - predicted)
    binary = apart and len(true) == len(predicted) == 2
    often = apart and rows >= 0.05 * len(codes)
    if alike or (
        len(codes) >= _MANY and (binary or often or len(extra) > max(len(true), 8))
    ):
        shown = ", ".join(map(repr, ordered(alike or extra)[:5]))
        raise InputError(
            f"{guess} is coded otherwise than {truth}: {shown} never occurs in {truth},"
            f" which holds {', '.join(map(repr, ordered(true)[:5]))}; code both alike"
            " (classes that do not occur are declared by labels, or as categories of a"
            " pandas Categorical)"
        )
    if apart and len(codes) >= _MANY:
        warnings.warn(
            f"{guess} has classes that never occur in {truth}, such as"
            f" {ordered(extra)[0]!r}, and lacks others: are both coded alike?",
            stacklevel=4,
        )


def code_outcomes(**columns: ArrayLike) -> list[NDArray[np.bool_]]:
    """Return columns of 0 and 1 as True and False.

    Parameters
    ----------
    **columns
        By name, one value a row, none missing.

    Returns
    -------
    list of numpy.ndarray of bool

    Raises
    ------
    InputError
        For anything but 0 and 1, or False and True, and for rows that do not match.

    Examples
    --------
    >>> code_outcomes(completed=[0, 1.0, True])
    [array([False,  True,  True])]
    """
    try:
        _, codes = code_classes([0, 1], **columns)
    except InputError as error:
        raise InputError(f"{' and '.join(columns)} must be 0 or 1: {error}") from error
    return [each.astype(bool) for each in codes]
