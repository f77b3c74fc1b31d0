"""What SMOTEN makes of a table: copies, contradictions and impossible records.

Taught in the notebook *What does balancing do?*.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sudlib.classes import code_column
from sudlib.files import InputError
from sudlib.validation import check_columns, check_rows, check_whole


def value_differences(
    levels: pd.Series, y: ArrayLike
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how differently each pair of a variable's levels goes with the classes.

    Parameters
    ----------
    levels : pandas.Series
        One categorical variable.
    y : array-like of shape (n_rows,)
        The class of each row.

    Returns
    -------
    profiles : pandas.DataFrame
        Share of each class (columns) among the rows with a level (rows).
    differences : pandas.DataFrame
        Equation 1 of the study with its constant at 1: the sum over the classes of
        the absolute differences of these shares, between 0 and 2.

    Examples
    --------
    >>> profiles, differences = value_differences(
    ...     pd.Series(["full", "full", "none", "none"]), [1, 1, 1, 0])
    >>> float(differences.loc["full", "none"])
    1.0
    """
    check_columns(levels=levels, y=y)
    profiles = pd.crosstab(
        np.asarray(levels), np.asarray(y), rownames=["level"], colnames=["class"],
        normalize="index", dropna=False,
    )  # fmt: skip
    shares = profiles.to_numpy()
    differences = np.abs(shares[:, None, :] - shares[None, :, :]).sum(axis=2)
    return profiles, pd.DataFrame(differences, profiles.index, list(profiles.index))


def audit_rows(
    X: pd.DataFrame, y: ArrayLike, originals: int, *, drop_first: bool = False
) -> pd.DataFrame:
    """Return, for each class, what the rows that SMOTEN made are worth.

    Parameters
    ----------
    X : pandas.DataFrame
        All rows after balancing, the real ones first; levels, or columns of 0 and 1
        named VARIABLE_level.
    y : array-like of shape (n_rows,)
        Classes.
    originals : int
        How many rows are real.
    drop_first : bool, default=False
        Columns of 0 and 1 lack each variable's first level, so that none set is a
        level too.

    Returns
    -------
    pandas.DataFrame
        Indexed by class, the most frequent first: ``real``, ``made_up`` (rows), and of
        the latter ``repeats`` (equal to an earlier one), ``copies`` (equal to a real
        row of the class), ``contradictions`` (equal to a real row of another class)
        and ``impossible`` (a variable with no level or with two; 0 for levels).
    """
    check_rows(y=y, X=X)
    code_column("y", y)  # or raise: a class that is missing would be counted nowhere
    if X.columns.has_duplicates:
        raise InputError("the columns of X must have a name each")
    y = np.asarray(y)
    real = np.arange(len(y)) < check_whole("originals", originals, 1, len(y))
    row = X.groupby(list(X.columns), observed=True, dropna=False).ngroup().to_numpy()
    impossible = find_impossible(X, drop_first=drop_first)
    counts = {}
    for label in pd.unique(y[real]):
        made_up = ~real & (y == label)
        counts[label] = {
            "real": np.sum(real & (y == label)),
            "made_up": made_up.sum(),
            "repeats": pd.Series(row[made_up]).duplicated().sum(),
            "copies": np.isin(row[made_up], row[real & (y == label)]).sum(),
            "contradictions": np.isin(row[made_up], row[real & (y != label)]).sum(),
            "impossible": impossible[made_up].sum(),
        }
    table = pd.DataFrame.from_dict(counts, orient="index").rename_axis("class")
    return table.sort_values("real", ascending=False)


def find_impossible(X: pd.DataFrame, *, drop_first: bool = False) -> NDArray[np.bool_]:
    """Return which rows have a variable with two levels, or with none.

    Parameters
    ----------
    X : pandas.DataFrame
        Columns of 0 and 1 named VARIABLE_level; other columns are never impossible.
    drop_first : bool, default=False
        No level set then means the first one, and is possible.

    Returns
    -------
    numpy.ndarray of bool
        One a row.
    """
    is_numeric = pd.api.types.is_numeric_dtype
    binary = [is_numeric(x) and bool(x.isin((0, 1)).all()) for _, x in X.items()]
    variables = X.columns.astype(str).str.rsplit("_", n=1).str[0].to_numpy()
    several = pd.Series(variables).duplicated(keep=False).to_numpy()
    # a column by itself is a level of something only where all columns are encoded
    encoded = np.array(binary, bool) & (several | all(binary))
    if not encoded.any():
        return np.zeros(len(X), bool)
    set_levels = X.loc[:, encoded].astype(int).T.groupby(variables[encoded]).sum().T
    wrong = set_levels > 1 if drop_first else set_levels != 1
    return wrong.any(axis=1).to_numpy()
