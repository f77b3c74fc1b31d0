"""Records as numbers a model can learn from.

Three ways to hand the same 28 codes to a model: as they stand (the study), one column
a code, or as categories that a booster splits by itself.  Taught in the notebook
*How good is the tuned forest?*.
"""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.teds import codebook, cohorts

#: Each flag and the substance it stands for; both lists run in the same order.
FLAGS = {
    name: substance
    for substance, name in enumerate(
        (name for name in codebook.COLUMNS if name.endswith("FLG")), start=2
    )
}


def derive_flags(records, flags=None):
    """Return the records with the flags they lack, worked out from SUB1 to SUB3.

    A flag says that its substance is among the three a record names; in the agency's
    files this holds without exception.

    Parameters
    ----------
    records : pandas.DataFrame
        Flags that are there stay as they are.
    flags : iterable of str, optional
        Which flags; by default all 18.

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
    lacking = [
        name
        for name in (FLAGS if flags is None else flags)
        if name not in records.columns
    ]
    substances = [f"SUB{place}" for place in (1, 2, 3)]
    if not lacking or not set(substances) <= set(records.columns):
        return records
    found = records.assign(
        **{
            name: records[substances].eq(FLAGS[name]).any(axis=1).astype(np.int8)
            for name in lacking
        }
    )
    found.attrs = dict(records.attrs)
    return found


def features(records, wanted=cohorts.FEATURES):
    """Return the features of the records, and the names of those they lack.

    Flags that a file leaves out are derived; other columns cannot be.

    Parameters
    ----------
    records : pandas.DataFrame
    wanted : sequence of str
        By default the 28 of study A.

    Returns
    -------
    features : pandas.DataFrame
        In the order wanted.
    left_out : list of str
    """
    records = derive_flags(records, [name for name in wanted if name in FLAGS])
    left_out = [name for name in wanted if name not in records.columns]
    if len(left_out) == len(wanted):
        raise InputError(
            f"none of the features is there: wanted {', '.join(wanted)}; the records"
            f" have {', '.join(map(str, records.columns))}"
        )
    return records[[name for name in wanted if name not in left_out]], left_out


class _Encoder(TransformerMixin, BaseEstimator):
    """What the encoders share: frames of codes in, columns known from the codebook."""

    def fit(self, X, y=None):
        """Return the encoder, having read the column names; values play no part."""
        if not isinstance(X, pd.DataFrame):
            raise InputError(
                f"records must be a pandas DataFrame, not {type(X).__name__}"
            )
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def _columns(self, X):
        """Return the frame's columns in fitted order, or say what is lacking."""
        check_is_fitted(self, "feature_names_in_")
        lacking = [name for name in self.feature_names_in_ if name not in X.columns]
        if lacking:
            raise InputError(
                f"these columns were there in fit and are not now: {', '.join(lacking)}"
            )
        return X[list(self.feature_names_in_)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags


class IntegerCodes(_Encoder):
    """The codes as they stand, -9 for missing included: what the study did.

    A tree may then ask whether RACE is below 5, or a person's marital status above a
    missing one: an order that nominal codes do not have.

    Examples
    --------
    >>> IntegerCodes().fit_transform(pd.DataFrame({"RACE": [5, -9]})).tolist()
    [[5.0], [-9.0]]
    """

    def transform(self, X):
        """Return the codes as an array of float32, which trees use as it is."""
        return self._columns(X).to_numpy(np.float32)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns."""
        check_is_fitted(self, "feature_names_in_")
        return self.feature_names_in_


class OneHotCodes(_Encoder):
    """One column for each code of the codebook, with missing as a code of its own.

    Parameters
    ----------
    ordered : {"one-hot", "number"}, default="one-hot"
        With ``"number"`` a variable whose codes rise with what it measures (AGE, EDUC)
        stays one column, with NaN for missing: fine for trees, which split it where
        they like.

    Notes
    -----
    The columns come from the codebook and not from the rows seen, so every cohort,
    fold and year has the same ones.  A code that no codebook lists becomes zeros.

    Examples
    --------
    >>> encoder = OneHotCodes().fit(pd.DataFrame({"GENDER": [1]}))
    >>> encoder.get_feature_names_out().tolist()
    ['GENDER=-9', 'GENDER=1', 'GENDER=2']
    >>> encoder.transform(pd.DataFrame({"GENDER": [2, -9]})).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    def __init__(self, ordered="one-hot"):
        self.ordered = ordered

    def fit(self, X, y=None):
        """Return the encoder with the columns the codebook gives these variables."""
        if self.ordered not in ("one-hot", "number"):
            raise InputError(
                f'ordered must be "one-hot" or "number", not {self.ordered!r}'
            )
        super().fit(X, y)
        self.codes_ = {name: self._codes(name) for name in self.feature_names_in_}
        return self

    def _codes(self, name):
        """Return the codes that get a column, or None where the number stays."""
        if self.ordered == "number" and codebook.scale(name) == "ordered":
            return None
        return known_codes(name)

    def transform(self, X):
        """Return an array of float32, one row a record."""
        parts = []
        for name, column in self._columns(X).items():
            values = column.to_numpy()
            if self.codes_[name] is None:
                parts.append(_number(values)[:, None])
            else:
                parts.append(values[:, None] == self.codes_[name])
        width = sum(part.shape[1] for part in parts)
        table = np.empty((len(X), width), np.float32)
        return np.concatenate(parts, axis=1, out=table)

    def get_feature_names_out(self, input_features=None):
        """Return one name a column: ``RACE=5``, or ``AGE`` where the number stays."""
        check_is_fitted(self, "codes_")
        names = []
        for name, known in self.codes_.items():
            names += [name] if known is None else [f"{name}={code}" for code in known]
        return np.asarray(names, dtype=object)


class NativeCategories(_Encoder):
    """Nominal codes as pandas categories, ordered ones as numbers with NaN for missing.

    LightGBM and scikit-learn's histogram boosting split categories into two groups by
    themselves, so nothing is one-hot and nothing is ordered.

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

    def fit(self, X, y=None):
        """Return the encoder, having seen which variables are known for anybody."""
        super().fit(X, y)
        known = {
            name: codebook.scale(name) != "ordered"
            or bool((X[name] != codebook.MISSING).any())
            for name in self.feature_names_in_
        }
        self.kept_ = [name for name, is_known in known.items() if is_known]
        return self

    def transform(self, X):
        """Return a frame: category columns know every code of the codebook."""
        columns = {}
        for name, column in self._columns(X)[self.kept_].items():
            if codebook.scale(name) == "ordered":
                columns[name] = _number(column.to_numpy())
            else:
                known = known_codes(name)
                codes = np.searchsorted(known, column).clip(max=len(known) - 1)
                codes[known[codes] != column] = -1  # of no codebook: missing
                columns[name] = pd.Categorical.from_codes(codes, known)
        return pd.DataFrame(columns, index=X.index)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns."""
        check_is_fitted(self, "kept_")
        return np.asarray(self.kept_, dtype=object)


def known_codes(variable):
    """Return every code a variable has in any year, missing among them, rising.

    Examples
    --------
    >>> known_codes("GENDER").tolist()
    [-9, 1, 2]
    """
    found = {code for year in codebook.YEARS for code in codebook.codes(variable, year)}
    return np.array(sorted(found | {codebook.MISSING}))


def _number(values):
    """Return ordered codes as float32 with NaN for missing."""
    values = values.astype(np.float32)
    values[values == codebook.MISSING] = np.nan
    return values
