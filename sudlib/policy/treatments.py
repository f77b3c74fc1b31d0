"""Combinations of treatments and their numbers.

A treatment is coded -1 (not given) and +1 (given); a combination of K treatments is a
row of K such codes.  Used by study C: ``sudlib.owl``, ``cprd``, ``rivals`` and
``values``.  Taught in notebook ``c01_the_idea``.
"""

import itertools
import warnings

import numpy as np
from sklearn.utils import check_array

from sudlib.files import InputError

#: Methods that look at every combination stop here: 2^12 is 4,096.
MOST_TREATMENTS = 12


def combinations(treatments, dtype=int):
    """Return all combinations of K treatments, coded -1 and +1, in counting order.

    Parameters
    ----------
    treatments : int
        K, from 2 to 12.
    dtype : default=int
        Type of the codes; "int8" where there are many people.

    Returns
    -------
    numpy.ndarray of shape (2 ** K, K)
        The row number read in binary, first treatment first.

    Raises
    ------
    InputError
        If K is outside 2 to 12.

    Examples
    --------
    >>> combinations(2).tolist()
    [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    """
    if not 2 <= treatments <= MOST_TREATMENTS:
        raise InputError(
            f"combinations are listed for 2 to {MOST_TREATMENTS} treatments, not"
            f" {treatments}: one makes none, and more than {MOST_TREATMENTS} make over"
            f" {2**MOST_TREATMENTS:,}"
        )
    return np.array(list(itertools.product((-1, 1), repeat=treatments)), dtype=dtype)


def combination_number(A):
    """Return the row of :func:`combinations` that each person's combination is.

    Examples
    --------
    >>> combination_number([[1, -1], [1, 1]]).tolist()
    [2, 3]
    """
    given = np.asarray(A) > 0
    return given @ (2 ** np.arange(given.shape[-1])[::-1])


# -------------------------------------------------------------------------- checks


def check_treatments(A, rows=None):
    """Return treatments coded -1 and +1, int8, or say what is wrong.

    Parameters
    ----------
    A : array-like of shape (n, K) or (n,)
        Coded -1 and +1; 0 and 1 are accepted, with a warning that says so.
    rows : int, optional
        How many rows there must be.

    Raises
    ------
    InputError
        For another code, a missing one, or the wrong number of rows.
    """
    A = np.asarray(A)
    A = A[:, None] if A.ndim == 1 else A
    if A.ndim != 2 or (rows is not None and len(A) != rows):
        raise InputError(
            f"A must have one row a person ({rows}) and one column a treatment,"
            f" not shape {A.shape}"
        )
    codes = {code for code in np.unique(A).tolist()}
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


def check_people(X, A, outcome, propensity=None, *, train=True):
    """Return X, A, outcome and propensity as arrays, or say what is wrong.

    Raises
    ------
    InputError
        For missing covariates, outcomes that are not finite, a treatment that is given
        to nobody or to everybody (when training), or a propensity that is not above 0
        and at most 1.
    """
    X = np.asarray(X)
    if X.dtype.kind == "f" and np.isnan(X).any():
        columns = np.flatnonzero(np.isnan(X).any(axis=0)).tolist()
        raise InputError(
            f"X has missing values in columns {columns}; impute them first, for"
            " example with sklearn.impute.IterativeImputer"
        )
    X = check_array(X, dtype="float32")
    A = check_treatments(A, len(X))
    outcome = np.asarray(outcome, dtype=float)
    if outcome.shape != (len(X),):
        raise InputError(
            f"outcome must have one number a person ({len(X)}), not shape"
            f" {outcome.shape}"
        )
    if not np.isfinite(outcome).all():
        row = int(np.flatnonzero(~np.isfinite(outcome))[0])
        raise InputError(f"outcomes must be finite; row {row} has {outcome[row]}")
    if train:
        given = (A > 0).mean(axis=0)
        if ((given == 0) | (given == 1)).any():
            column = int(np.flatnonzero((given == 0) | (given == 1))[0])
            who = "nobody" if given[column] == 0 else "everybody"
            raise InputError(
                f"treatment {column} is given to {who}: its effect cannot be learnt"
            )
    if propensity is not None:
        propensity = np.broadcast_to(np.asarray(propensity, float), outcome.shape)
        bad = ~((propensity > 0) & (propensity <= 1))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                "a propensity must be above 0 and at most 1; row"
                f" {row} has {propensity[row]}"
            )
    return X, A, outcome, propensity


# ------------------------------------------------------------------------- checking


def check_covariates(X):
    """Return covariates as an array of floats, or say what is wrong with them.

    Raises
    ------
    InputError
        If they are no table, or a value is missing or infinite (naming the column).
    """
    names = list(X.columns) if hasattr(X, "columns") else None
    try:
        values = np.asarray(X, dtype=float)
    except (TypeError, ValueError) as why:
        raise InputError(f"covariates must be numbers: {why}") from why
    if values.ndim != 2 or not len(values):
        raise InputError(
            "covariates must be a table with one row a person and at least one row,"
            f" not of shape {values.shape}"
        )
    bad = ~np.isfinite(values)
    if bad.any():
        column = int(np.flatnonzero(bad.any(axis=0))[0])
        raise InputError(
            f"the covariate {names[column] if names else f'in column {column}'!r} is"
            f" missing or infinite for {int(bad[:, column].sum())} people: impute it"
            " first, for instance with sudlib.policy.cprd.impute"
        )
    return values


def check_study(X, A, outcome):
    """Return covariates, treatments and outcome of a study, checked.

    Raises
    ------
    InputError
        For covariates that :func:`check_covariates` refuses, and what
        :func:`sudlib.policy.treatments.check_people` refuses: treatments not coded −1 and +1
        (0 and 1 are accepted, and said), one given to nobody or to everybody, outcomes
        that are not finite.
    """
    X = check_covariates(X)
    _, A, outcome, _ = check_people(X, A, outcome)
    return X, A.astype(int), outcome
