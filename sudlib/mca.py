"""Multiple correspondence analysis, and how stable a clustering is.

What principal components are for numbers, correspondence analysis is for levels: a
few numbers for each person, in which people who share rare levels lie close together.
Study B names it, its kernel form and a clustering of substances as future work.
Taught in the notebook *What would go beyond the study?*.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from sudlib.files import InputError
from sudlib.validation import as_frame, check_rows, check_seed, check_whole


class MCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Multiple correspondence analysis of columns of 0 and 1, every level kept.

    The singular value decomposition of the columns, each centred and divided by the
    square root of its mass.  With all components the squared distance of two people
    is the chi-squared distance :math:`\sum_l (z_l - u_l)^2 / (J\,p_l)`, where
    :math:`p_l` is the share of people with level :math:`l` and :math:`J` the number
    of variables.

    Parameters
    ----------
    n_components : int, default=10
        At most so many components; fewer where the table has fewer.

    Attributes
    ----------
    inertia_ : numpy.ndarray of shape (n_components,)
        Of each component; all of them sum to levels / variables - 1.
    adjusted_ : numpy.ndarray of shape (n_components,)
        Share of the inertia after Greenacre's correction, which takes out what each
        variable must share with itself.
    axes_ : numpy.ndarray of shape (n_present, n_components)
        The axes, on the scale of :meth:`scaled`.
    mass_ : numpy.ndarray of shape (n_present,)
        Share of each level that occurs, divided by the number of variables.
    present_ : numpy.ndarray of bool, shape (columns,)
        Which levels occur in the rows of fit.
    variables_ : int
        The number of variables.
    n_features_in_ : int
        Columns seen in fit; with names also ``feature_names_in_``.

    References
    ----------
    Greenacre (2017), Correspondence Analysis in Practice, chapters 18 and 19.

    Examples
    --------
    >>> columns = [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]]
    >>> MCA(2).fit(columns).inertia_.round(3).tolist()
    [0.5, 0.5]
    """

    def __init__(self, n_components: int = 10) -> None:
        self.n_components = n_components

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> MCA:
        """Analyse these rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Columns of 0 and 1, one a level; each row has one level of each variable.
        y : array-like, optional
            Not used.

        Returns
        -------
        MCA
            The estimator itself.

        Raises
        ------
        InputError
            For other numbers, or rows that do not have as many levels.
        """
        check_whole("n_components", self.n_components, 1)
        table = self._check(X, reset=True)
        counts = table.sum(axis=1)
        if not (counts == counts[0]).all() or counts[0] < 2:
            raise InputError(
                "every row must have one level of each of at least two variables; the"
                f" rows have {int(counts.min())} to {int(counts.max())}"
            )
        J = self.variables_ = int(counts[0])
        share = table.mean(axis=0)
        self.present_ = share > 0
        self.mass_ = share[self.present_] / J
        _, values, right = np.linalg.svd(self._scale(table) / len(table) ** 0.5, False)
        count = min(self.n_components, int((values > 1e-10).sum()))
        self.inertia_ = values[:count] ** 2
        self.axes_ = right[:count].T
        total = (values**4).sum() - (len(self.mass_) - J) / J**2
        above = np.clip(self.inertia_ - 1 / J, 0, None)
        self.adjusted_ = J / (J - 1) * above**2 / total if total > 0 else above
        self._n_features_out = count
        return self

    def scaled(self, X: ArrayLike) -> NDArray:
        """Return the columns so that plain distances are chi-squared distances.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Columns as in fit.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_present)
        """
        check_is_fitted(self)
        return self._scale(self._check(X, reset=False))

    def transform(self, X: ArrayLike) -> NDArray:
        """Return each row's coordinates; a level not seen in fit counts for nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Columns as in fit.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_components)
        """
        return self.scaled(X) @ self.axes_

    def _scale(self, X: NDArray) -> NDArray:
        centred = X[:, self.present_] / self.variables_ - self.mass_
        return centred / np.sqrt(self.mass_)

    def _check(self, X: ArrayLike, *, reset: bool) -> NDArray:
        table = validate_data(self, X, reset=reset, dtype=float)
        if not np.isin(table, (0, 1)).all():
            raise InputError("MCA takes a table of 0 and 1, one column a level")
        return table


def cluster(
    X: ArrayLike, n_clusters: int, *, n_components: int = 5, seed: int = 33
) -> tuple[NDArray, Callable[[ArrayLike], NDArray]]:
    """Return the cluster of each row: k-means on its first coordinates.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Columns of 0 and 1, as for :class:`MCA`.
    n_clusters : int
        How many clusters.
    n_components : int, default=5
        Coordinates that k-means uses.
    seed : int
        For k-means' starts.

    Returns
    -------
    labels : numpy.ndarray of int, shape (n_samples,)
        Each row's cluster.
    assign : callable
        From other rows of the same columns to their clusters.
    """
    check_whole("n_clusters", n_clusters, 1, check_rows(X=X))
    means = KMeans(n_clusters, n_init=3, random_state=check_seed(seed))
    model = make_pipeline(MCA(n_components), means)
    coordinates = model[0].fit_transform(X)
    if not coordinates.shape[1]:
        raise InputError("all rows of X are alike: there is nothing to cluster")
    means.fit(coordinates)
    return means.labels_, model.predict


def stability(
    levels: pd.DataFrame | ArrayLike,
    n_clusters: int,
    *,
    n_resamples: int = 20,
    n_components: int = 5,
    seed: int = 33,
) -> dict[str, float]:
    """Return how similar the clusterings of resampled people are, beside mere noise.

    Each resample clusters people drawn with replacement and assigns everyone; the
    adjusted Rand index with the clustering of everyone is 1 for the same clusters and
    0 for chance.  The same is done with every variable permuted by itself, which
    keeps its levels and makes it independent of all others.

    Parameters
    ----------
    levels : pandas.DataFrame or array-like of shape (n_samples, n_variables)
        Categorical columns.
    n_clusters : int
        How many clusters.
    n_resamples : int, default=20
        Bootstrap resamples.
    n_components : int, default=5
        Coordinates that k-means uses.
    seed : int
        For permutations, resamples and k-means.

    Returns
    -------
    dict of str to float
        ``value``, ``low``, ``high`` (median and 95% range of the resamples) and
        ``noise`` (the median for permuted variables).
    """
    check_whole("n_resamples", n_resamples, 1)
    random = np.random.default_rng(check_seed(seed))
    levels = as_frame("levels", levels)
    if gaps := int(levels.isna().to_numpy().sum()):
        raise InputError(f"levels has {gaps} missing values: code them first")
    settings = {"n_components": n_components, "seed": seed}
    permuted = levels.apply(lambda column: random.permutation(column.to_numpy()))
    ranges = []
    for table in (levels, permuted):
        X = pd.get_dummies(table, dtype=np.int8, columns=list(table)).to_numpy()
        whole, _ = cluster(X, n_clusters, **settings)
        indices = []
        for _ in range(n_resamples):
            drawn = X[random.integers(0, len(X), len(X))]
            _, assign = cluster(drawn, n_clusters, **settings)
            indices.append(adjusted_rand_score(whole, assign(X)))
        ranges.append([float(end) for end in np.percentile(indices, [2.5, 50, 97.5])])
    (low, value, high), (_, noise, _) = ranges
    return {"value": value, "low": low, "high": high, "noise": noise}
