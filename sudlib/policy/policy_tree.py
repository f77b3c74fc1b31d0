"""Depth-two policy trees found by exhaustive search.

The search is that of R's ``policytree``, without R and with quantiles as cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.study import check_covariates
from sudlib.policy.treatments import Array, combinations, describe
from sudlib.validation import check_choice, check_rows, check_whole


@dataclass(eq=False, repr=False)
class PolicyTree(BaseEstimator):
    """A rule of at most three questions, found by trying all of them.

    Given a score of every combination for every person (for instance
    :func:`sudlib.policy.augmented_scores`), find the tree of depth 1 or 2 whose mean
    score is largest.  The search over the candidate cuts is exhaustive.  A leaf
    recommends one combination (label powerset).  Taught in notebook
    ``c09_weights_value_robustness``.

    Parameters
    ----------
    max_depth : {0, 1, 2}, default=2
        Questions on the way to a leaf.
    n_cuts : int, default=9
        Cuts tried in each covariate, at its quantiles.
    min_samples_leaf : int, default=50
        People in the smallest leaf.

    Attributes
    ----------
    tree_ : dict
        Nodes ("column", "cut", "low", "high") and leaves ("leaf", "people").
    combinations_ : numpy.ndarray of shape (2 ** K, K) or (arms, K)
        What the number of a leaf stands for.

    References
    ----------
    Zhou, Athey and Wager (2023), Offline multi-action policy learning.

    Examples
    --------
    >>> X = np.arange(100.0)[:, None]
    >>> scores = np.zeros((100, 4))
    >>> scores[:50, 1], scores[50:, 2] = 1, 1
    >>> tree = PolicyTree(max_depth=1, min_samples_leaf=10).fit(X, scores)
    >>> tree.predict([[3.0], [80.0]]).tolist()
    [[-1, 1], [1, -1]]
    """

    max_depth: int = 2
    n_cuts: int = 9
    min_samples_leaf: int = 50

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Return the fitted tree.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.
        y : Scores, or array-like of shape (n, 2 ** K)
            Score of every combination, columns as in
            :func:`sudlib.policy.combinations`, or of every arm of a trial.  A column
            of NaN, a combination that nobody received, is never recommended.

        Returns
        -------
        PolicyTree

        Raises
        ------
        sudlib.files.InputError
            For another depth, and for scores of another shape, other rows or not
            finite.
        """
        check_choice("max_depth", self.max_depth, (0, 1, 2))
        check_whole("n_cuts", self.n_cuts, 1)
        check_whole("min_samples_leaf", self.min_samples_leaf, 1)
        check_rows(X=X, scores=y)
        X = check_covariates(X, estimator=self, reset=True)
        try:
            scores = np.asarray(y, dtype=float)
        except (TypeError, ValueError) as why:
            raise InputError(f"scores must be a table of numbers: {why}") from why
        columns = scores.shape[1] if scores.ndim == 2 else 0
        codes = getattr(y, "codes", None)
        if codes is None:
            codes = combinations(max(1, columns.bit_length() - 1))
        nobody = np.isnan(scores).all(axis=0)
        if (
            scores.shape != (len(X), len(codes))
            or nobody.all()
            or not np.isfinite(scores[:, ~nobody]).all()
        ):
            raise InputError(
                "scores must be finite, one row a person and one column for each of"
                f" the 2^K combinations, not of shape {scores.shape}"
            )
        self.combinations_ = codes[~nobody]
        names = getattr(y, "names", None)
        self.arm_names_ = names and np.asarray(names, object)[~nobody].tolist()
        scores = scores[:, ~nobody]
        quantiles = np.linspace(0, 1, self.n_cuts + 2)[1:-1]
        self._cuts = [
            (column, cut)
            for column in range(X.shape[1])
            for cut in np.unique(np.quantile(X[:, column], quantiles))
            if cut < X[:, column].max()
        ]
        none = np.zeros((len(X), 0), bool)
        below = np.column_stack([none, *(X[:, k] <= cut for k, cut in self._cuts)])
        everybody = np.ones(len(X), bool)
        self.tree_ = self._grow(below, scores, everybody, self.max_depth)[1]
        return self

    def _grow(
        self, below: Array, scores: Array, here: Array, depth: int
    ) -> tuple[float, dict[str, Any]]:
        """Return the largest sum of scores in this part, and the tree that has it."""
        sums = scores[here].sum(axis=0)
        leaf = {"leaf": int(sums.argmax()), "people": int(here.sum())}
        best: tuple[float, dict[str, Any]] = sums.max(), leaf
        if depth == 0 or not below.shape[1]:
            return best
        answers = below[here].astype(float)
        counts = answers.sum(axis=0)
        smaller = np.minimum(counts, here.sum() - counts)
        enough = smaller >= self.min_samples_leaf
        if not enough.any():
            return best
        choices = np.flatnonzero(enough)
        if depth == 1:
            below_cut = answers.T @ scores[here]
            gains = below_cut.max(axis=1) + (sums - below_cut).max(axis=1)
            choices = np.where(enough, gains, -np.inf).argmax(axis=0, keepdims=True)
            if gains[choices[0]] <= best[0]:
                return best
        for cut in choices:
            low = self._grow(below, scores, here & below[:, cut], depth - 1)
            high = self._grow(below, scores, here & ~below[:, cut], depth - 1)
            if low[0] + high[0] > best[0] + 1e-9:
                column, where = self._cuts[cut]
                node = {"column": column, "cut": where, "low": low[1], "high": high[1]}
                best = low[0] + high[0], node
        return best

    def predict(self, X: ArrayLike) -> Array:
        """Return the recommended combinations.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of int, shape (n, K)
            Coded -1 and +1.
        """
        check_is_fitted(self, "tree_")
        X = check_covariates(X, estimator=self)

        def leaves(node: dict[str, Any]) -> Any:
            if "leaf" in node:
                return node["leaf"]
            low = X[:, node["column"]] <= node["cut"]
            return np.where(low, leaves(node["low"]), leaves(node["high"]))

        chosen = np.broadcast_to(leaves(self.tree_), len(X))
        return self.combinations_[chosen]

    def leaves(self, treatments: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rule in words, one row a leaf.

        Parameters
        ----------
        treatments : sequence of str, optional
            Names of the treatments; by default those of the scores.

        Returns
        -------
        pandas.DataFrame
            Columns ``who``, ``treatments`` and ``people`` (in the data it was fitted
            to; see :func:`sudlib.disclosure.suppress` before showing it).
        """
        check_is_fitted(self, "tree_")
        count = self.combinations_.shape[1]
        labels = treatments or [f"treatment {k + 1}" for k in range(count)]
        named = None if treatments else self.arm_names_
        arms = named or describe(self.combinations_, labels)
        names = getattr(self, "feature_names_in_", None)
        rows = []

        def walk(node: dict[str, Any], path: list[str]) -> None:
            if "leaf" in node:
                who = " and ".join(path) or "everybody"
                rows.append((who, arms[node["leaf"]], node["people"]))
                return
            column = node["column"]
            name = f"covariate {column}" if names is None else names[column]
            walk(node["low"], [*path, f"{name} ≤ {node['cut']:g}"])
            walk(node["high"], [*path, f"{name} > {node['cut']:g}"])

        walk(self.tree_, [])
        return pd.DataFrame(rows, columns=["who", "treatments", "people"])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags
