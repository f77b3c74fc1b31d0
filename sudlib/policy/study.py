"""The one gate of a study's data: covariates, treatments, outcomes and propensities.

Covariates and treatments that have names are known by them: names that occur twice are
refused, treatments are put in the order that a rule learned, and tables whose rows
carry different indexes are not laid side by side.  Taught in ``c01_the_idea``.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from sudlib.files import InputError
from sudlib.policy.treatments import Array
from sudlib.validation import (
    check_number,
    check_rows,
    check_whole,
    named_table,
    numbers,
)

#: Words that say that a treatment was given, and that it was not.
GIVEN = ("yes", "given", "true", "1", "1.0", "+1", "treated")
NOT_GIVEN = ("no", "none", "not given", "false", "0", "0.0", "-1", "-1.0", "untreated")


#: Squares of larger numbers are too close to what a float can hold.
LARGEST = 1e100


class NotNumbers(InputError, TypeError):
    """Raised for cells that are no numbers, where scikit-learn asks for a TypeError."""


class Study(NamedTuple):
    """Checked data of a study, one row a person.

    Attributes
    ----------
    X : numpy.ndarray of float64, shape (n, p)
        Covariates.
    A : numpy.ndarray of int8, shape (n, K)
        Treatments received, coded -1 and +1.
    outcome : numpy.ndarray of float64, shape (n,)
        Larger is better.
    propensity : numpy.ndarray of float64, shape (n,), or None
        Probability of the combination received.
    """

    X: Array
    A: Array
    outcome: Array
    propensity: Any = None

    def rows(self, chosen: Any) -> Study:
        """Return the chosen people.

        Parameters
        ----------
        chosen : index array or slice

        Returns
        -------
        Study
        """
        chance = None if self.propensity is None else self.propensity[chosen]
        return Study(self.X[chosen], self.A[chosen], self.outcome[chosen], chance)


def with_names(table: Any, what: str) -> Any:
    """Return a data frame with its column names as text; other tables as they are.

    Of a masked array what is masked is missing (NaN).

    Parameters
    ----------
    table : object
        A frame, or anything else.
    what : str
        What its columns are, for the message.

    Returns
    -------
    object

    Raises
    ------
    sudlib.files.InputError
        If two columns have one name (1 and "1" are one).
    """
    if isinstance(table, np.ma.MaskedArray):  # what is masked is missing
        return np.ma.filled(table.astype(float), np.nan)
    table = named_table(table)
    if not isinstance(table, pd.DataFrame):
        return table
    names = pd.Index([str(name) for name in table.columns])
    if names.has_duplicates:
        twice = ", ".join(map(repr, names[names.duplicated()].unique()))
        raise InputError(
            f"two {what} may not have one name; several are called {twice}"
        )
    return table.set_axis(names, axis=1)


def column_names(table: Any) -> list[str] | None:
    """Return the names of a frame's columns; None where they are only numbered.

    Parameters
    ----------
    table : object
        A frame, or anything else.

    Returns
    -------
    list of str or None
    """
    table = named_table(table)
    numbered = isinstance(getattr(table, "columns", None), pd.RangeIndex)
    if not isinstance(table, pd.DataFrame) or numbered:
        return None
    return list(map(str, table.columns))


def _decode(column: pd.Series) -> Array:
    """Return a column of words as -1 and +1; other columns as they are."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy()
    words = column.astype("object")
    if words.isna().any():
        raise InputError(
            f"treatment {column.name!r} is missing for {int(words.isna().sum())} people"
        )
    if words.map(lambda word: isinstance(word, int | float | np.number)).all():
        return words.to_numpy(float)
    said = words.astype(str).str.strip().str.lower()
    given = said.isin([*GIVEN, str(column.name).lower()])
    unknown = said[~given & ~said.isin(NOT_GIVEN)]
    if len(unknown):
        shown = ", ".join(map(repr, unknown.unique()[:6]))
        raise InputError(
            f"treatments must be coded -1 and +1 (or 0 and 1, yes and no); column"
            f" {column.name!r} has {shown}: treatments with other levels make a"
            " sudlib.policy.Trial"
        )
    return np.where(given, 1, -1)


def check_treatments(
    A: ArrayLike, rows: int | None = None, names: list[str] | None = None
) -> Array:
    """Return treatments coded -1 and +1.

    Parameters
    ----------
    A : array-like of shape (n, K) or (n,)
        Coded -1 and +1, or in words such as "yes" and "no"; 0 and 1 are accepted, with
        a warning that says so.
    rows : int, optional
        How many rows there must be.
    names : list of str, optional
        The treatments a rule was fitted to: columns that have names are put in this
        order.

    Returns
    -------
    numpy.ndarray of int8, shape (n, K)

    Raises
    ------
    sudlib.files.InputError
        For another code, a missing one, another number of rows, names that occur twice,
        and names that differ from those learned.
    """
    table: Any = with_names(A, "treatments")
    if isinstance(table, pd.DataFrame) and names is not None:
        if set(table.columns) != set(names):
            raise InputError(
                f"the treatments must be those of the fit ({', '.join(names)}), not"
                f" {', '.join(table.columns)}"
            )
        table = table[names]
    elif isinstance(table, pd.Series):
        table = table.to_frame()
    elif not isinstance(table, pd.DataFrame):
        table = np.asarray(table)
        table = table[:, None] if table.ndim == 1 else table
        if table.ndim == 2 and not np.issubdtype(table.dtype, np.number):
            table = pd.DataFrame(table)
    if table.ndim != 2 or (rows is not None and len(table) != rows):
        raise InputError(
            f"A must have one row a person ({rows}) and one column a treatment,"
            f" not shape {table.shape}"
        )
    if isinstance(table, pd.DataFrame):
        columns = [_decode(table.iloc[:, place]) for place in range(table.shape[1])]
        table = np.column_stack(columns) if columns else np.empty((len(table), 0))
    check_whole("the number of treatments", table.shape[1], 1)
    codes = set(np.unique(table).tolist())
    if codes <= {-1, 1}:
        return table.astype("int8")
    if codes <= {0, 1}:
        warnings.warn(
            "treatments coded 0 and 1 are read as -1 (not given) and +1 (given)",
            UserWarning,
            stacklevel=3,
        )
        return (2 * table.astype("int8") - 1).astype("int8")
    shown = ", ".join(map(str, sorted(codes, key=str)[:6]))
    raise InputError(f"treatments must be coded -1 and +1 (or 0 and 1), not {shown}")


def check_covariates(
    X: ArrayLike, *, estimator: Any = None, reset: bool = False
) -> Array:
    """Return covariates as a table of finite numbers.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Numbers without missing values.
    estimator : estimator, optional
        Whose number and names of features are to be kept (``reset``) or compared.
    reset : bool, default=False
        Keep the names and the number of features in the estimator.

    Returns
    -------
    numpy.ndarray of float64, shape (n, p)

    Raises
    ------
    sudlib.files.InputError
        If it is no table of numbers, a value is missing or infinite (naming the
        column), two columns have one name, or the features are not those the estimator
        was fitted to, in their order.
    """
    wanted = {"dtype": np.float64, "ensure_all_finite": False}
    X = with_names(X, "covariates")
    shape = np.shape(X)
    if len(shape) == 1:  # scikit-learn's message would show people's numbers
        raise InputError(
            f"covariates must be a table of numbers, not of shape {shape}. Reshape your"
            " data: one row a person, one column a covariate"
        )
    if shape[1:] == (0,):
        X = np.empty(shape)
    names = list(getattr(X, "columns", ()))
    try:
        if estimator is None:
            values = check_array(X, **wanted)
        else:
            values = validate_data(estimator, X, reset=reset, **wanted)
    except TypeError as why:
        raise NotNumbers(f"covariates must be a table of numbers: {why}") from why
    except ValueError as why:
        raise InputError(f"covariates must be a table of numbers: {why}") from why
    bad = ~(np.abs(values) < LARGEST)
    if bad.any():
        column = int(np.flatnonzero(bad.any(axis=0))[0])
        raise InputError(
            f"the covariate {names[column] if names else f'in column {column}'!r} is"
            f" missing (NaN) or infinite (from {LARGEST:g}) for"
            f" {int(bad[:, column].sum())} people: impute it first, for instance with"
            " sklearn.impute.IterativeImputer"
        )
    return values


def check_outcome(outcome: ArrayLike, rows: int) -> Array:
    """Return outcomes as finite numbers, one a person.

    Parameters
    ----------
    outcome : array-like of shape (n,)
    rows : int
        How many there must be.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)

    Raises
    ------
    sudlib.files.InputError
        For another shape, and for outcomes that are no numbers, missing or infinite.
    """
    if np.shape(outcome) != (rows,):
        raise InputError(
            f"outcome must be one number a person ({rows}), not shape"
            f" {np.shape(outcome)}"
        )
    values = numbers("outcome", outcome)
    check_number("the largest outcome", float(np.abs(values).max()), 0, LARGEST)
    return values


def check_propensity(propensity: ArrayLike, rows: int) -> Array:
    """Return propensities as numbers above 0 and at most 1, one a person.

    Parameters
    ----------
    propensity : float or array-like of shape (n,)
        One number stands for everybody.
    rows : int
        How many there must be.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)

    Raises
    ------
    sudlib.files.InputError
        For another shape, for what is no probability of something that happened, and
        for one so small that its person counts more than all others.
    """
    shape = np.shape(propensity)
    if shape not in ((), (rows,)):
        raise InputError(
            f"propensity must be one number a person ({rows}), not shape {shape}"
        )
    given = pd.Series(propensity)
    if given.dtype.kind == "b":
        raise InputError("propensity must hold probabilities, not True and False")
    values = np.broadcast_to(numbers("propensity", given), (rows,))
    bad = ~((values > 1 / LARGEST) & (values <= 1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"a propensity must be above 0 and at most 1; row {row} has {values[row]:g}"
            f" ({int(bad.sum())} such rows)"
        )
    weights = 1 / values
    if rows > 10 and weights.max() > weights.sum() / 2:
        row = int(weights.argmax())
        raise InputError(
            f"the propensity {values[row]:g} of row {row} makes one person count as"
            f" much as the {rows - 1} others together: nothing can be learned from such"
            " weights"
        )
    return values


def check_study(
    X: ArrayLike,
    y: ArrayLike | None,
    outcome: ArrayLike | None = None,
    propensity: ArrayLike | None = None,
    treatment: ArrayLike | None = None,
    *,
    estimator: Any = None,
    reset: bool = True,
    varying: bool = True,
) -> Study:
    """Return the checked data of a study, whichever way it was given.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates, without missing values.
    y : array-like
        The treatments received, (n, K), where ``outcome`` is given; the outcome, (n,),
        where ``treatment`` is given.
    outcome : array-like of shape (n,), optional
        Larger is better.
    propensity : float or array-like of shape (n,), optional
        Probability of the combination received.
    treatment : array-like of shape (n, K), optional
        Treatments received, coded -1 and +1.
    estimator : estimator, optional
        Keeps (``reset``) or compares the names and the number of covariates and, where
        they are columns of a frame, the names of treatments.
    reset : bool, default=True
        Whether the estimator is being fitted.
    varying : bool, default=True
        Whether every treatment must have been given to some and not to others.

    Returns
    -------
    Study

    Raises
    ------
    sudlib.files.InputError
        For what the four checks above refuse, for both or neither of ``outcome`` and
        ``treatment``, and for a treatment that is given to nobody or to everybody.
    """
    if y is None or (outcome is None) == (treatment is None):
        raise InputError(
            "a study has an outcome and treatments: it requires y to be passed, but the"
            " target y is None"
            if y is None
            else "a study has an outcome and treatments: give (X, A, outcome), or"
            " (X, outcome, treatment=A) where scikit-learn passes y by position"
        )
    received: Any = named_table(y if treatment is None else treatment)
    result: Any = outcome if treatment is None else y
    check_rows(X=X, A=received, outcome=result, propensity=propensity)
    X = check_covariates(X, estimator=estimator, reset=reset)
    known = None if reset else getattr(estimator, "treatment_names_", None)
    A = check_treatments(received, len(X), known)
    wanted = A.shape[1] if reset else getattr(estimator, "n_treatments_", A.shape[1])
    if A.shape[1] != wanted:
        raise InputError(f"the fit had {wanted} treatments, these are {A.shape[1]}")
    result = check_outcome(result, len(X))
    alike = np.flatnonzero((A == A[0]).all(axis=0))
    if varying and len(alike):
        column = alike[0]
        group = "nobody" if A[0, column] < 0 else "everybody"
        name = list(getattr(received, "columns", range(A.shape[1])))[column]
        raise InputError(
            f"treatment {name} is given to {group} (n_samples={len(X)}): its effect"
            " cannot be learned"
        )
    if propensity is not None:
        propensity = check_propensity(propensity, len(X))
    if estimator is not None and reset:
        names = getattr(received, "columns", None)
        estimator.treatment_names_ = None if names is None else list(map(str, names))
        estimator.n_treatments_ = A.shape[1]
        estimator.received_ = np.unique(A, axis=0)
    return Study(X, A, result, propensity)
