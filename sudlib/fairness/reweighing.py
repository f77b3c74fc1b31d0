"""Weights that make groups and target independent; study B's weights as printed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    check_is_fitted,
    validate_data,
)

from sudlib.classes import Coded
from sudlib.fairness import inputs
from sudlib.fairness.contingency import cell_of_row, crosstab, interactions
from sudlib.fairness.inputs import Columns, Floats
from sudlib.fairness.rates import divide
from sudlib.fairness.tables import named_sets
from sudlib.raking import rake_cells
from sudlib.validation import (
    check_choice,
    check_number,
    check_whole,
    draw_seed,
    named_table,
)

VARIANTS = ("kamiran_calders", "raking", "published")


class ReweighingWarning(UserWarning):
    """Weights that do not do what their name promises."""


def effective_sample_size(weights: ArrayLike) -> float:
    r"""Return :math:`(\sum w)^2 / \sum w^2`: the rows that such weights are worth.

    Parameters
    ----------
    weights : array-like of float
        One a row, at least 0.

    Returns
    -------
    float
        NaN if all weights are 0.

    Raises
    ------
    InputError
        For text, and a weight that is negative or not finite.

    References
    ----------
    Kish (1965), Survey Sampling.

    Examples
    --------
    >>> effective_sample_size([1, 1, 1, 1])
    4.0
    """
    checked: Any = inputs.check_weights(weights)
    squares = float((checked**2).sum())
    return float(checked.sum() ** 2 / squares) if squares else np.nan


@dataclass(eq=False, repr=False)
class Reweighing(BaseEstimator):
    r"""Weights of rows, learned from group columns and target of the training rows.

    Fit it on training rows and pass the weights as ``sample_weight``.  It has no
    ``transform``: a weight is never a column, for it is made from the target.  Taught
    in the notebook *Do groups interact, and does reweighing help?*.

    Parameters
    ----------
    variant : {"kamiran_calders", "raking", "published"}, default="kamiran_calders"
        With :math:`n_v` rows in a cell :math:`v` of a set of crossed columns,
        :math:`n_k` rows of a class, :math:`n_{vk}` of both:

        * ``"kamiran_calders"``: the mean over the sets of
          :math:`n_v n_k / (n\, n_{vk})` (Kamiran and Calders 2012).  With one set the
          weighted target is independent of its cells; with several it is not quite.
        * ``"raking"``: one weight for each cell of all columns and class, fitted in
          turns until in *every* set the weighted target is independent of the cells.
        * ``"published"``: one reading of study B's equations 29 to 36, whose bodies are
          missing from the text we have:
          :math:`1 - \prod (1 - n_{vk}/n_k)` over all sets that are significant without
          correction.  It makes large cells heavier and saturates at 1.
    sets : str or list of sequence of str, default="significant"
        Sets of columns: "each", "pairs", "triples", "joint", or those given;
        "significant" tests all sets of ``sizes`` (Holm's correction; none for
        ``"published"``).
    sizes : tuple of int, default=(2, 3)
        How many columns the tests cross at a time.
    alpha : float, default=0.05
        Significance level of the tests.
    min_n : int, default=5
        Kamiran and Calders: a cell and class with fewer rows is shrunk towards weight
        1, :math:`(n_v n_k / n + \tau) / (n_{vk} + \tau)` with :math:`\tau` =
        ``shrinkage``.
    shrinkage : float, default=5.0
        See ``min_n``.
    max_iter : int, default=200
        Largest number of rounds of raking.
    tol : float, default=1e-6
        Raking has converged when every cell and class is that close to its target, as
        a share of all rows.
    random_state : int, RandomState or None, default=33
        Of the random tables of the tests.

    Attributes
    ----------
    weights_ : numpy.ndarray
        Of the rows it was fitted on; their mean is 1.
    scale_ : float
        What the weights were multiplied by so that their mean is 1.
    sets_ : list of tuple of str
        The sets that were used.
    skipped_ : list of tuple of str
        Sets that raking had to leave out: a cell and class without rows cannot be
        given weight.
    tests_ : pandas.DataFrame or None
        The tests that chose them.
    columns_ : tuple of str
        The group columns.
    levels_ : dict of str to tuple
        The groups of each column.
    classes_ : tuple
        The classes of the target.
    effective_n_ : float
        The effective sample size of the weights.
    saturated_ : float
        Share of rows whose published weight, before scaling, is above 0.999.
    converged_ : bool
        Whether raking met its tolerance.
    residual_ : float
        Largest distance of a weighted cell and class from independence, as a share.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    References
    ----------
    Kamiran and Calders (2012), Data preprocessing techniques for classification
    without discrimination.

    Examples
    --------
    >>> people = pd.DataFrame({"sex": ["f", "f", "f", "m", "m", "m"]})
    >>> weigh = Reweighing(sets=[("sex",)], min_n=0)
    >>> weigh.fit(people, [1, 1, 0, 1, 0, 0]).weights_.tolist()
    [0.75, 0.75, 1.5, 1.5, 0.75, 0.75]
    """

    variant: str = "kamiran_calders"
    sets: str | Sequence[str | Sequence[str]] = "significant"
    sizes: Sequence[int] = (2, 3)
    alpha: float = 0.05
    min_n: int = 5
    shrinkage: float = 5.0
    max_iter: int = 200
    tol: float = 1e-6
    random_state: Any = 33

    def fit(self, X: Columns, y: ArrayLike) -> Self:
        """Learn the weights of training rows; return the estimator.

        Parameters
        ----------
        X : DataFrame, dict or array-like of shape (n_rows, n_columns)
            The group columns, nothing else.
        y : array-like of shape (n_rows,)
            The target.

        Returns
        -------
        Reweighing

        Raises
        ------
        InputError
            For unknown parameters, missing values and columns of different lengths.
        """
        check_choice("variant", self.variant, VARIANTS)
        check_whole("min_n", self.min_n)
        check_whole("max_iter", self.max_iter, 1)
        check_number("shrinkage", self.shrinkage, 0)
        check_number("tol", self.tol, 0)
        groups, target = self._coded(X, y, fitted=False)
        self.columns_ = tuple(groups)
        self.levels_ = {name: column.levels for name, column in groups.items()}
        self.classes_ = target.levels
        self.sets_ = self._choose(X, y)
        self.skipped_: list[tuple[str, ...]] = []
        self.converged_, self.saturated_ = True, 0.0
        if self.variant == "raking":
            self._rake(groups, target)
        else:
            self._tabulate(groups, target)
        raw = self._raw(groups, target)
        self.scale_ = 1.0 / raw.mean()
        self.weights_ = raw * self.scale_
        self.effective_n_ = effective_sample_size(self.weights_)
        self.residual_ = self._residual(groups, target)
        self._warn(raw)
        return self

    def weights(self, X: Columns, y: ArrayLike) -> Floats:
        """Return the weights of rows like those it was fitted on.

        Parameters
        ----------
        X, y
            As in :meth:`fit`.  For rows of the training folds only: the weight of a row
            tells its target.

        Returns
        -------
        numpy.ndarray
            On the scale of ``weights_``; 1 for a cell and class that did not occur.

        Raises
        ------
        InputError
            For a group or class that it was not fitted on.
        """
        check_is_fitted(self)
        groups, target = self._coded(X, y, fitted=True)
        return self._raw(groups, target) * self.scale_

    def _coded(
        self, X: Any, y: ArrayLike, fitted: bool
    ) -> tuple[dict[str, Coded], Coded]:
        """Return group columns and target as codes; keep or check feature names."""
        X = named_table(X)
        frame = isinstance(X, pd.DataFrame | pd.Series | Mapping) and not issparse(X)
        if frame:  # with missing values, which our message counts by column
            X = pd.DataFrame(inputs.group_columns(X))
        X = validate_data(self, X, reset=not fitted, skip_check_array=frame, dtype=None)
        if fitted and not frame:  # an array, by position
            X = pd.DataFrame(X, columns=list(self.columns_))
        levels, classes = (self.levels_, self.classes_) if fitted else (None, None)
        groups = inputs.code_groups(X, levels=levels, y=y)
        return groups, inputs.code_levels("y", y, levels=classes)

    def _choose(self, X: Columns, y: ArrayLike) -> list[tuple[str, ...]]:
        """Return which sets of columns are used."""
        self.tests_ = None
        if not (isinstance(self.sets, str) and self.sets == "significant"):
            return named_sets(self.columns_, self.sets, "sets")[1]
        published, seed = self.variant == "published", draw_seed(self.random_state)
        how: Any = {"sizes": self.sizes, "alpha": self.alpha, "seed": seed}
        self.tests_ = interactions(X, y, n_resamples=0 if published else 4999, **how)
        column = "significant" if published else "significant_holm"
        return list(self.tests_.loc[self.tests_[column], "variables"])

    def _tabulate(self, groups: Mapping[str, Coded], target: Coded) -> None:
        """Keep the table of weights or probabilities of each set."""
        self.tables_ = {}
        for names in self.sets_:
            seen = crosstab(groups, names, target).astype(float)
            of_class = seen.reshape(-1, seen.shape[-1]).sum(0)
            if self.variant == "published":
                self.tables_[names] = seen / of_class
                continue
            expected = seen.sum(-1, keepdims=True) * of_class / len(target.codes)
            extra = np.where(seen < self.min_n, self.shrinkage, 0.0)
            ratio = divide(expected + extra, seen + extra)
            self.tables_[names] = np.nan_to_num(ratio, nan=1.0)

    def _rake(self, groups: Mapping[str, Coded], target: Coded) -> None:
        """Fit one weight for each cell of all columns and class, in turns."""
        rows = _joint(groups, target)
        first = ~rows.duplicated()
        self.cells_ = rows[first]
        count = np.bincount(self.cells_.get_indexer(rows))
        margins, used = [], []
        for names in self.sets_:
            seen = crosstab(groups, names, target).reshape(-1, len(self.classes_))
            wanted = seen.sum(1, keepdims=True) * seen.sum(0) / len(rows)
            if ((seen == 0) & (wanted > 0)).any():
                self.skipped_.append(names)
            else:
                used.append(names)
                cell, _ = cell_of_row(groups, names, target)
                margins.append((cell[first], wanted.ravel()))
        self.sets_ = used
        fitted, gap = rake_cells(
            count, margins, max_iter=self.max_iter, tolerance=self.tol
        )
        self.converged_ = gap <= self.tol
        self.factors_ = fitted / count

    def _raw(self, groups: Mapping[str, Coded], target: Coded) -> Floats:
        """Return the weights of coded rows before scaling."""
        if self.variant == "raking":
            cell = self.cells_.get_indexer(_joint(groups, target))
            return np.where(cell < 0, 1.0, self.factors_[cell])
        if not self.sets_:
            return np.ones(len(target.codes))
        cells = {names: cell_of_row(groups, names, target)[0] for names in self.sets_}
        of_sets = np.array([self.tables_[names].flat[cells[names]] for names in cells])
        if self.variant == "published":
            return 1 - np.prod(1 - of_sets, axis=0)
        return of_sets.mean(axis=0)

    def _residual(self, groups: Mapping[str, Coded], target: Coded) -> float:
        """Return how far the weighted target is from independence, at most."""
        gaps = [0.0]
        for names in self.sets_:
            mass = crosstab(groups, names, target, self.weights_)
            mass = mass.reshape(-1, mass.shape[-1]) / mass.sum()
            gaps.append(np.abs(mass - mass.sum(1, keepdims=True) * mass.sum(0)).max())
        return float(max(gaps))

    def _warn(self, raw: Floats) -> None:
        """Warn about weights that do not do what their name promises."""
        said = []
        if self.variant == "published":
            self.saturated_ = float((raw > 0.999).mean())
            if self.saturated_ > 0.5:
                said.append(
                    f"study B's weight is above 0.999 for {(raw > 0.999).sum():,} of"
                    f" {len(raw):,} rows ({len(self.sets_)} sets are significant): it"
                    " leaves the sample effectively unweighted"
                    f" ({self.effective_n_:,.0f} rows remain effective)"
                )
        if self.skipped_:
            said.append(
                f"raking left out {len(self.skipped_)} sets: one of their cells has"
                " rows, but none of some class"
            )
        if not self.converged_:
            said.append(
                f"raking has not converged after {self.max_iter} rounds; the largest"
                f" distance from independence is {self.residual_:.2g} of all rows"
            )
        for message in said:
            warnings.warn(message, ReweighingWarning, stacklevel=3)


def _joint(groups: Mapping[str, Coded], target: Coded) -> pd.MultiIndex:
    """Return the cell of all columns and the target in which each row lies."""
    columns = [*groups.values(), target]
    return pd.MultiIndex.from_arrays([column.codes for column in columns])
