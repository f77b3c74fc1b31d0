"""Records as numbers a model can learn from.

Three ways to give the same 28 codes to a model: as they stand (the study), one column
a code, or as categories that a booster splits by itself.  Taught in
``a02_forest_general``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sudlib import teds
from sudlib.files import InputError
from sudlib.teds import codebook, cohorts
from sudlib.validation import as_frame, check_choice, check_frame, named_table


def derive_flags(
    records: pd.DataFrame, flags: Iterable[str] | None = None
) -> pd.DataFrame:
    """Return the records with the flags they lack, worked out from SUB1 to SUB3.

    A flag says that its substance is among the three a record names; in the agency's
    files this holds without exception.

    Parameters
    ----------
    records : pandas.DataFrame
        Flags that are there stay as they are.
    flags : iterable of str, optional
        Which flags; by default all 18 of :data:`sudlib.teds.codebook.FLAGS`.

    Returns
    -------
    pandas.DataFrame
        The same records where nothing is lacking or one of SUB1 to SUB3 is absent.

    Examples
    --------
    >>> records = pd.DataFrame({"SUB1": [2, 5], "SUB2": [4, 1], "SUB3": [1, 1]})
    >>> derive_flags(records, ["ALCFLG", "MARFLG"]).iloc[:, 3:].to_numpy().tolist()
    [[1, 1], [0, 0]]
    """
    asked = codebook.FLAGS if flags is None else flags
    lacking = [name for name in asked if name not in check_frame(records).columns]
    if not lacking or not {"SUB1", "SUB2", "SUB3"} <= set(records.columns):
        return records
    substances = teds.official_codes(records[["SUB1", "SUB2", "SUB3"]])
    derived = {
        name: substances.eq(codebook.FLAGS[name]).any(axis=1).astype(np.int8)
        for name in lacking
    }
    return records.assign(**derived)


def features(
    records: pd.DataFrame, wanted: Sequence[str] = cohorts.FEATURES
) -> tuple[pd.DataFrame, list[str]]:
    """Return the features of the records, and the names of those they lack.

    Flags that a file leaves out are derived; other columns cannot be.

    Parameters
    ----------
    records : pandas.DataFrame
    wanted : sequence of str, default=cohorts.FEATURES
        The 28 of study A by default.

    Returns
    -------
    features : pandas.DataFrame
        In the order wanted.
    left_out : list of str

    Raises
    ------
    InputError
        If none of them is there.

    Examples
    --------
    >>> table, left_out = features(pd.DataFrame({"SUB1": [2], "AGE": [4]}))
    >>> list(table.columns), len(left_out)
    (['AGE', 'SUB1'], 26)
    """
    records = derive_flags(records, [name for name in wanted if name in codebook.FLAGS])
    there = [name for name in wanted if name in records.columns]
    if not there:
        raise InputError(
            f"none of the features is there: wanted {', '.join(wanted)}; the records"
            f" have {', '.join(map(str, records.columns))}"
        )
    left_out = [name for name in wanted if name not in there]
    return teds.official_codes(records[there]), left_out


class _Encoder(TransformerMixin, BaseEstimator):
    """What the encoders share: codes in, variables known from the codebook.

    A cell that is no code of its variable is an error.
    """

    def __init__(self, variables: Sequence[str] | None = None) -> None:
        self.variables = variables

    def fit(self, X: ArrayLike | pd.DataFrame, y: Any = None) -> Self:
        """Return the encoder, having read which variables the columns hold.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of shape (n, n_features)
            Codes.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        codes = validate_data(self, self._official(X))
        names = getattr(self, "feature_names_in_", self.variables)
        if names is not None and len(names) != codes.shape[1]:
            raise InputError(
                f"variables names {len(names)} columns, but the array has"
                f" {codes.shape[1]}"
            )
        if names is None:
            names = [f"x{position}" for position in range(codes.shape[1])]
            known: list[Any] = [np.unique(column) for column in codes.T]
        else:
            known = [self._known(name) for name in names]
        #: Codes of each column; None for an ordered variable that stays a number.
        self.codes_ = dict(zip(names, known, strict=True))
        return self

    def _known(self, name: str) -> NDArray[Any] | None:
        is_number = codebook.scale(name) == "ordered"
        return None if is_number else known_codes(name)

    def _columns(self, X: ArrayLike | pd.DataFrame) -> NDArray[Any]:
        """Return the codes as an array, checked against what was fitted."""
        check_is_fitted(self)
        return validate_data(self, self._official(X), reset=False)

    def _official(self, X: ArrayLike | pd.DataFrame) -> ArrayLike | pd.DataFrame:
        """Return a frame's codes, or those of an array whose variables are named."""
        X = named_table(X)
        if isinstance(X, pd.DataFrame):
            return teds.official_codes(X)
        if isinstance(X, np.ma.MaskedArray):
            X = np.ma.filled(X.astype(float), codebook.MISSING)
        if self.variables is not None and np.shape(X)[1:] == (len(self.variables),):
            named = as_frame("X", X).set_axis(list(self.variables), axis=1)
            return teds.official_codes(named).to_numpy()
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []  # single precision throughout
        return tags


class IntegerCodes(_Encoder):
    """The codes as they stand, -9 for missing included: what the study did.

    A tree may then ask whether RACE is below 5, or a person's marital status above a
    missing one: an order that nominal codes do not have.

    Parameters
    ----------
    variables : sequence of str, optional
        The variables that the columns of an array hold; a frame names its own.

    Examples
    --------
    >>> IntegerCodes().fit_transform(pd.DataFrame({"RACE": [5, -9]})).tolist()
    [[5.0], [-9.0]]
    """

    def _known(self, name: str) -> NDArray[Any] | None:
        return None

    def transform(self, X: ArrayLike | pd.DataFrame) -> NDArray[np.float32]:
        """Return the codes as float32, which trees use as it is.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of shape (n, n_features)

        Returns
        -------
        numpy.ndarray of shape (n, n_features)
        """
        return self._columns(X).astype(np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        numpy.ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(list(self.codes_), dtype=object)


class OneHotCodes(_Encoder):
    """One column for each code of the codebook, with missing as a code of its own.

    Parameters
    ----------
    ordered : {"one-hot", "number"}, default="one-hot"
        With ``"number"`` a variable whose codes rise with what it measures (AGE, EDUC)
        stays one column, with NaN for missing: fine for trees, which split it where
        they like.
    variables : sequence of str, optional
        The variables that the columns of an array hold; a frame names its own.

    Notes
    -----
    The columns come from the codebook and not from the rows seen, so every cohort,
    fold and year has the same ones; of an array without ``variables`` they are the
    codes seen in ``fit``, and any other code becomes zeros.  scikit-learn's
    OneHotEncoder with these categories gives the same table; keeping ordered variables
    in their place beside the others would take a ColumnTransformer of one step a
    variable.

    Examples
    --------
    >>> encoder = OneHotCodes().fit(pd.DataFrame({"GENDER": [1]}))
    >>> encoder.get_feature_names_out().tolist()
    ['GENDER=-9', 'GENDER=1', 'GENDER=2']
    >>> encoder.transform(pd.DataFrame({"GENDER": [2, -9]})).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    def __init__(
        self, ordered: str = "one-hot", variables: Sequence[str] | None = None
    ) -> None:
        super().__init__(variables)
        self.ordered = ordered

    def fit(self, X: ArrayLike | pd.DataFrame, y: Any = None) -> Self:
        """Return the encoder with the columns the codebook gives these variables.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of shape (n, n_features)
            Codes.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        check_choice("ordered", self.ordered, ("one-hot", "number"))
        return super().fit(X, y)

    def _known(self, name: str) -> NDArray[Any] | None:
        return super()._known(name) if self.ordered == "number" else known_codes(name)

    def transform(self, X: ArrayLike | pd.DataFrame) -> NDArray[np.float32]:
        """Return one row a record.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of shape (n, n_features)

        Returns
        -------
        numpy.ndarray of float32, shape (n, n_features_out)
        """
        blocks = [
            _number(values)[:, None] if known is None else values[:, None] == known
            for values, known in zip(
                self._columns(X).T, self.codes_.values(), strict=True
            )
        ]
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return one name a column: ``RACE=5``, or ``AGE`` where the number stays.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        numpy.ndarray of str
        """
        check_is_fitted(self)
        names = []
        for name, known in self.codes_.items():
            names += [name] if known is None else [f"{name}={code}" for code in known]
        return np.asarray(names, dtype=object)


class NativeCategories(_Encoder):
    """Nominal codes as pandas categories, ordered ones as numbers with NaN for missing.

    LightGBM and scikit-learn's histogram boosting split categories into two groups by
    themselves, so nothing is one-hot and nothing is ordered.

    Parameters
    ----------
    variables : sequence of str, optional
        The variables that the columns of an array hold; a frame names its own.

    Notes
    -----
    An ordered variable that is missing for everybody in ``fit`` is left out: histogram
    boosting cannot divide an empty range.

    Examples
    --------
    >>> table = NativeCategories().fit_transform(
    ...     pd.DataFrame({"AGE": [3, -9], "RACE": [5, -9]}))
    >>> table["AGE"].tolist(), table["RACE"].tolist()
    ([3.0, nan], [5, -9])
    """

    def fit(self, X: ArrayLike | pd.DataFrame, y: Any = None) -> Self:
        """Return the encoder, having seen which variables are known for anybody.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of shape (n, n_features)
            Codes.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        super().fit(X, y)
        is_known = (self._columns(X) != codebook.MISSING).any(axis=0)
        self.kept_ = [
            name
            for (name, codes), known in zip(self.codes_.items(), is_known, strict=True)
            if known or codes is not None
        ]
        return self

    def transform(self, X: ArrayLike | pd.DataFrame) -> pd.DataFrame:
        """Return a frame: category columns know every code of the codebook.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of shape (n, n_features)

        Returns
        -------
        pandas.DataFrame
            Of an array without ``variables``, a code not seen in ``fit`` is NaN.
        """
        codes = self._columns(X)
        columns = dict(zip(self.codes_, codes.T, strict=True))
        table = {}
        for name in self.kept_:
            known = self.codes_[name]
            if known is None:
                table[name] = _number(columns[name])
            else:
                positions = pd.Index(known).get_indexer(columns[name])  # or -1
                table[name] = pd.Categorical.from_codes(positions, known)
        return pd.DataFrame(table, X.index if isinstance(X, pd.DataFrame) else None)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        numpy.ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(self.kept_, dtype=object)


def known_codes(variable: str) -> NDArray[np.int64]:
    """Return every code a variable has in any year, missing among them, rising.

    Parameters
    ----------
    variable : str
        A variable of the codebook.

    Returns
    -------
    numpy.ndarray of int

    Examples
    --------
    >>> known_codes("GENDER").tolist()
    [-9, 1, 2]
    """
    return np.unique([codebook.MISSING, *codebook.wordings(variable)])


def _number(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return ordered codes as float32 with NaN for missing."""
    return np.where(values == codebook.MISSING, np.nan, values).astype(np.float32)
