"""Combinations of treatments, and the one check of a study's data.

A treatment is coded -1 (not given) and +1 (given); a combination of K treatments is a
row of K such codes, one of :math:`2^K` (in multi-label terms: one element of the label
powerset).  Taught in notebook ``c01_the_idea``.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from sudlib.files import InputError
from sudlib.validation import check_choice, check_whole

#: An array; its docstring says of what type and shape.
Array = NDArray[Any]

#: Methods that look at every combination stop here: 2^12 is 4,096.
MOST_TREATMENTS = 12


def combinations(treatments: int, dtype: DTypeLike = int) -> Array:
    """Return all combinations of K treatments, coded -1 and +1, in counting order.

    Parameters
    ----------
    treatments : int
        K, from 2 to 12.
    dtype : dtype, default=int
        Type of the codes; "int8" saves memory where there are many people.

    Returns
    -------
    numpy.ndarray of shape (2 ** K, K)
        Row i is i written in binary, the first treatment being the first digit.

    Raises
    ------
    sudlib.files.InputError
        If K is outside 2 to 12.

    Examples
    --------
    >>> combinations(2).tolist()
    [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    """
    check_whole("treatments", treatments, 2, MOST_TREATMENTS)
    return np.array(list(itertools.product((-1, 1), repeat=treatments)), dtype=dtype)


def combination_number(A: ArrayLike) -> Array:
    """Return the row of :func:`combinations` that each person's combination is.

    Parameters
    ----------
    A : array-like of shape (..., K)
        Treatments, coded -1 and +1.

    Returns
    -------
    numpy.ndarray of int, shape (...)

    Examples
    --------
    >>> combination_number([[1, -1], [1, 1]]).tolist()
    [2, 3]
    """
    given = np.asarray(A) > 0
    return given @ (2 ** np.arange(given.shape[-1])[::-1])


def describe(treatments: ArrayLike, names: Sequence[str]) -> list[str]:
    """Return each person's combination in words.

    Parameters
    ----------
    treatments : array-like of shape (n, K)
        Coded -1 and +1.
    names : sequence of str, length K
        What the treatments are called.

    Returns
    -------
    list of str

    Examples
    --------
    >>> describe([[1, -1, 1], [-1, -1, -1]], ["dpp4", "su", "met"])
    ['dpp4 + met', 'none']
    """
    return [
        " + ".join(n for n, t in zip(names, row, strict=True) if t > 0) or "none"
        for row in check_treatments(treatments)
    ]


def signs(scores: ArrayLike) -> Array:
    """Return +1 where a score is above 0: without evidence nothing is recommended.

    Parameters
    ----------
    scores : array-like of float

    Returns
    -------
    numpy.ndarray of int8, the shape of ``scores``
    """
    return np.where(np.asarray(scores) > 0, 1, -1).astype("int8")


def contrast_basis(A: ArrayLike, order: int = 1) -> Array:
    """Return a constant, each treatment (halved), and with order 2 each pair's product.

    Treatments are coded -1/2 and +1/2, so that a treatment's coefficient is its effect:
    the outcome with it less the outcome without it.

    Parameters
    ----------
    A : array-like of shape (n, K)
        Treatments, coded -1 and +1.
    order : {1, 2}, default=1
        Whether products of two treatments belong to the basis.

    Returns
    -------
    numpy.ndarray of shape (n, 1 + K) or (n, 1 + K + K (K - 1) / 2)

    Examples
    --------
    >>> contrast_basis([[1, -1]], 2).tolist()
    [[1.0, 0.5, -0.5, -0.5]]
    """
    check_choice("order of a contrast", order, (1, 2))
    A = np.asarray(A, dtype="float32")
    columns = [np.ones((len(A), 1), "f4"), A / 2]
    if order == 2:
        first, second = np.triu_indices(A.shape[1], 1)
        columns.append(A[:, first] * A[:, second] / 2)
    return np.column_stack(columns)


def best_combination(effects: ArrayLike, treatments: int) -> Array:
    """Return the combinations with the largest sum of effects.

    Parameters
    ----------
    effects : array-like of shape (n, K) or (n, K + K (K - 1) / 2)
        Effects of treatments, then of pairs, as in :func:`contrast_basis`.
    treatments : int
        K.

    Returns
    -------
    numpy.ndarray of int8, shape (n, K)
        Without pairs every treatment with a positive effect; with pairs the best of all
        combinations, by enumeration.
    """
    effects = np.asarray(effects)
    if effects.shape[1] == treatments:
        return signs(effects)
    every = combinations(treatments, "int8")
    return every[(effects @ contrast_basis(every, 2)[:, 1:].T).argmax(axis=1)]


class Study(NamedTuple):
    """Checked data of a study, one row a person.

    Attributes
    ----------
    X : numpy.ndarray of shape (n, p)
        Covariates, float64 (or float32 where they were given as float32).
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
    propensity: Array | None = None

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


def check_treatments(A: ArrayLike, rows: int | None = None) -> Array:
    """Return treatments coded -1 and +1.

    Parameters
    ----------
    A : array-like of shape (n, K) or (n,)
        Coded -1 and +1; 0 and 1 are accepted, with a warning that says so.
    rows : int, optional
        How many rows there must be.

    Returns
    -------
    numpy.ndarray of int8, shape (n, K)

    Raises
    ------
    sudlib.files.InputError
        For another code, a missing one, or another number of rows.
    """
    A = np.asarray(A)
    A = A[:, None] if A.ndim == 1 else A
    if A.ndim != 2 or (rows is not None and len(A) != rows):
        raise InputError(
            f"A must have one row a person ({rows}) and one column a treatment,"
            f" not shape {A.shape}"
        )
    codes = set(np.unique(A).tolist())
    if codes <= {-1, 1}:
        return A.astype("int8")
    if codes <= {0, 1}:
        warnings.warn(
            "treatments coded 0 and 1 are read as -1 (not given) and +1 (given)",
            UserWarning,
            stacklevel=3,
        )
        return (2 * A.astype("int8") - 1).astype("int8")
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
    numpy.ndarray of shape (n, p)
        float64, unless it was given as float32.

    Raises
    ------
    sudlib.files.InputError
        If it is no table of numbers, a value is missing or infinite (naming the
        column), or the features are not those the estimator was fitted to.
    """
    wanted = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}
    names = list(getattr(X, "columns", ()))
    try:
        if estimator is None:
            values = check_array(X, **wanted)
        else:
            values = validate_data(estimator, X, reset=reset, **wanted)
    except ValueError as why:
        raise InputError(f"covariates must be a table of numbers: {why}") from why
    bad = ~np.isfinite(values)
    if bad.any():
        column = int(np.flatnonzero(bad.any(axis=0))[0])
        raise InputError(
            f"the covariate {names[column] if names else f'in column {column}'!r} is"
            f" missing (NaN) or infinite for {int(bad[:, column].sum())} people: impute"
            " it first, for instance with sklearn.impute.IterativeImputer"
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
        For another shape, and for outcomes that are missing or infinite.
    """
    outcome = np.asarray(outcome, dtype=float)
    if outcome.shape != (rows,):
        raise InputError(
            f"outcome must be one number a person ({rows}), not shape {outcome.shape}"
        )
    if not np.isfinite(outcome).all():
        row = int(np.flatnonzero(~np.isfinite(outcome))[0])
        raise InputError(f"outcomes must be finite; row {row} has {outcome[row]}")
    return outcome


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
        For another shape, and for a number that is no probability of something that
        happened.
    """
    values = np.asarray(propensity, dtype=float)
    if values.shape not in ((), (rows,)):
        raise InputError(
            f"propensity must be one number a person ({rows}), not shape {values.shape}"
        )
    values = np.broadcast_to(values, (rows,))
    bad = ~((values > 0) & (values <= 1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"a propensity must be above 0 and at most 1; row {row} has {values[row]:g}"
            f" ({int(bad.sum())} such rows)"
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
    received: Any = y if treatment is None else treatment
    result: Any = outcome if treatment is None else y
    X = check_covariates(X, estimator=estimator, reset=reset)
    A = check_treatments(received, len(X))
    result = check_outcome(result, len(X))
    given = (A > 0).mean(axis=0)
    if varying and ((given == 0) | (given == 1)).any():
        column = int(np.flatnonzero((given == 0) | (given == 1))[0])
        group = "nobody" if given[column] == 0 else "everybody"
        raise InputError(
            f"treatment {column} is given to {group} (n_samples={len(X)}): its effect"
            " cannot be learnt"
        )
    if propensity is not None:
        propensity = check_propensity(propensity, len(X))
    if estimator is not None and reset:
        estimator.n_treatments_ = A.shape[1]
        estimator.treatment_names_ = (
            list(map(str, received.columns)) if hasattr(received, "columns") else None
        )
    return Study(X, A, result, propensity)
