"""Multiple correspondence analysis, and how steady a clustering is.

What principal components are for numbers, correspondence analysis is for levels: a
few numbers for each person, in which people who share rare levels lie close together.
Study B names it, its kernel form and a clustering of substances as future work.
Taught in the notebook *What would go beyond the study?*.
"""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError


class MCA(TransformerMixin, BaseEstimator):
    r"""Multiple correspondence analysis of columns of 0 and 1, every level kept.

    The singular value decomposition of the columns, each centred and divided by the
    square root of its mass.  With all components the squared distance of two people
    is the chi-squared distance :math:`\sum_l (z_l - u_l)^2 / (J\,p_l)`, where
    :math:`p_l` is the share of people with level :math:`l` and :math:`J` the number
    of variables.

    Parameters
    ----------
    components : int, default=10

    Attributes
    ----------
    inertia_ : numpy.ndarray
        Of each component; all of them sum to levels / variables - 1.
    adjusted_ : numpy.ndarray
        Share of the inertia after Greenacre's correction, which takes out what each
        variable must share with itself.
    variables_ : int

    References
    ----------
    Greenacre (2017), Correspondence Analysis in Practice, chapters 18 and 19.

    Examples
    --------
    >>> columns = [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]]
    >>> MCA(2).fit(columns).inertia_.round(3).tolist()
    [0.5, 0.5]
    """

    def __init__(self, components=10):
        self.components = components

    def fit(self, X, y=None):
        """Return the analysis of these rows."""
        X = self._check(X)
        rows = X.sum(axis=1)
        if not (rows == rows[0]).all() or rows[0] < 2:
            raise InputError(
                "every row must have one level of each of at least two variables; the"
                f" rows have {int(rows.min())} to {int(rows.max())}"
            )
        self.n_features_in_ = X.shape[1]
        self.variables_ = int(rows[0])
        share = X.mean(axis=0)
        self.present_ = share > 0
        self.mass_ = share[self.present_] / self.variables_
        scaled = self.scaled(X)
        left, values, right = np.linalg.svd(scaled / np.sqrt(len(X)), False)
        kept = min(self.components, int((values > 1e-10).sum()))
        self.inertia_ = values[:kept] ** 2
        self.axes_ = right[:kept].T
        everything = values**2
        fair = 1 / self.variables_
        stretch = self.variables_ / (self.variables_ - 1)
        levels = len(self.mass_)
        total = stretch * (
            (everything**2).sum() - (levels - self.variables_) / self.variables_**2
        )
        above = np.clip(self.inertia_ - fair, 0, None)
        self.adjusted_ = (stretch * above) ** 2 / total if total > 0 else above
        return self

    def scaled(self, X):
        """Return the columns so that plain distances are chi-squared distances."""
        check_is_fitted(self, "mass_")
        X = self._check(X)[:, self.present_]
        return (X / self.variables_ - self.mass_) / np.sqrt(self.mass_)

    def transform(self, X):
        """Return each row's coordinates; a level not seen in fit counts for nothing."""
        check_is_fitted(self, "axes_")
        return self.scaled(X) @ self.axes_

    def _check(self, X):
        X = np.asarray(X, float)
        if X.ndim != 2 or not len(X) or not np.isin(X, (0, 1)).all():
            raise InputError("MCA takes a table of 0 and 1, one column a level")
        if hasattr(self, "n_features_in_") and X.shape[1] != self.n_features_in_:
            raise InputError(
                f"the table has {X.shape[1]} columns, in fit it had"
                f" {self.n_features_in_}"
            )
        return X


def cluster(X, groups, *, components=5, seed=33):
    """Return the group of each row: k-means on its first coordinates.

    Parameters
    ----------
    X : array-like of 0 and 1
    groups : int
    components : int, default=5
    seed : int

    Returns
    -------
    labels : numpy.ndarray of int
    assign : callable
        From other rows of the same columns to their groups.
    """
    analysis = MCA(components).fit(X)
    means = KMeans(groups, n_init=3, random_state=seed).fit(analysis.transform(X))
    return means.labels_, lambda rows: means.predict(analysis.transform(rows))


def stability(levels, groups, *, draws=20, components=5, seed=33):
    """Return how alike the clusterings of resampled people are, beside mere noise.

    Each draw clusters people drawn with replacement and assigns everybody; the
    adjusted Rand index with the clustering of everybody is 1 for the same groups and
    0 for chance.  The same is done with every variable shuffled by itself, which
    keeps its levels and ties it to nothing.

    Parameters
    ----------
    levels : pandas.DataFrame
        Categorical columns.
    groups : int
        How many clusters.
    draws : int, default=20
    components : int, default=5
    seed : int

    Returns
    -------
    dict of str to float
        ``value``, ``low``, ``high`` (middle and 95 % range of the draws) and
        ``noise`` (the middle for shuffled variables).
    """
    random = np.random.default_rng(seed)
    shuffled = levels.apply(
        lambda column: pd.Categorical.from_codes(
            random.permutation(column.cat.codes.to_numpy()), dtype=column.dtype
        )
    )
    found = {}
    for name, table in (("real", levels), ("noise", shuffled)):
        X = pd.get_dummies(table, dtype=np.int8).to_numpy()
        whole, _ = cluster(X, groups, components=components, seed=seed)
        alike = []
        for _ in range(draws):
            drawn = X[random.integers(0, len(X), len(X))]
            _, assign = cluster(drawn, groups, components=components, seed=seed)
            alike.append(adjusted_rand_score(whole, assign(X)))
        found[name] = np.percentile(alike, [2.5, 50, 97.5])
    low, middle, high = (float(value) for value in found["real"])
    return {
        "value": middle,
        "low": low,
        "high": high,
        "noise": float(found["noise"][1]),
    }
