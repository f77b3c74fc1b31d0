"""What SMOTEN makes of a table: impossible records and families of copies."""

import numpy as np
import pandas as pd

from sudlib.files import InputError

# --------------------------------------------------------------- for the notebook


def value_differences(levels, y):
    """Return how differently each pair of levels of a variable goes with the classes.

    Parameters
    ----------
    levels : pandas.Series
        One categorical variable.
    y : array-like
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
    profiles = pd.crosstab(
        np.asarray(levels), np.asarray(y), normalize="index", dropna=False
    )
    shares = profiles.to_numpy()
    differences = np.abs(shares[:, None, :] - shares[None, :, :]).sum(axis=2)
    names = profiles.index.rename("level")
    return (
        profiles.rename_axis(index="level", columns="class"),
        pd.DataFrame(differences, index=names, columns=list(names)),
    )


def families(columns):
    """Return the columns of each variable among columns named VARIABLE_level.

    Examples
    --------
    >>> families(["SUB1_2", "SUB1_5", "AGE_under 40"])
    {'SUB1': ['SUB1_2', 'SUB1_5'], 'AGE': ['AGE_under 40']}
    """
    found = {}
    for name in columns:
        found.setdefault(str(name).rsplit("_", 1)[0], []).append(name)
    return found


def audit(X, y, originals, *, drop_first=False):
    """Return, for each class, what its made-up rows are worth.

    Parameters
    ----------
    X : pandas.DataFrame
        All rows after balancing, the real ones first; levels, or columns of 0 and 1
        named VARIABLE_level.
    y : array-like
    originals : int
        How many rows are real.
    drop_first : bool, default=False
        Columns of 0 and 1 lack each variable's first level, so that none set is a
        level too.

    Returns
    -------
    pandas.DataFrame
        Indexed by class: ``real``, ``made_up``, ``repeats`` (made-up rows equal to an
        earlier made-up one), ``copies`` (equal to a real row of the class),
        ``contradictions`` (equal to a real row of another class) and ``impossible``
        (a variable with no level or with two; 0 for levels).
    """
    y = np.asarray(y)
    if not 0 < originals <= len(y) or len(X) != len(y):
        raise InputError(
            f"originals must be 1 to the number of rows, {len(y):,}, and X as long as"
            f" y; not {originals!r} and {len(X):,} rows"
        )
    code = pd.Series(X.groupby(list(X.columns), observed=True).ngroup().to_numpy())
    strange = impossible(X, drop_first=drop_first)
    real = np.arange(len(y)) < originals
    table = []
    for label in pd.unique(y[:originals]):
        made = (y == label) & ~real
        own, other = real & (y == label), real & (y != label)
        table.append(
            {
                "class": label,
                "real": int(own.sum()),
                "made_up": int(made.sum()),
                "repeats": int(code[made].duplicated().sum()),
                "copies": int(code[made].isin(code[own]).sum()),
                "contradictions": int(code[made].isin(code[other]).sum()),
                "impossible": int(strange[made].sum()),
            }
        )
    return pd.DataFrame(table).set_index("class").sort_values("real", ascending=False)


def impossible(X, *, drop_first=False):
    """Return which rows have a variable with two levels, or with none.

    Parameters
    ----------
    X : pandas.DataFrame
        Columns of 0 and 1 named VARIABLE_level; anything else is never impossible.
    drop_first : bool, default=False
        No level set then means the first one, and is possible.

    Returns
    -------
    numpy.ndarray of bool
    """
    wrong = np.zeros(len(X), bool)
    numeric = all(pd.api.types.is_numeric_dtype(kind) for kind in X.dtypes)
    if not numeric or not np.isin(X.to_numpy(), (0, 1)).all():
        return wrong
    for columns in families(X.columns).values():
        levels = X[columns].to_numpy().sum(axis=1)
        wrong |= (levels > 1) if drop_first else (levels != 1)
    return wrong
