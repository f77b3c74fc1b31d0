"""Depth-two policy trees found by exhaustive search."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.treatments import check_covariates, combinations

# -------------------------------------------------------------------- a readable tree


class PolicyTree(BaseEstimator):
    """A rule of at most three questions, found by trying all of them.

    Given a score of every combination for every person (for instance
    :func:`sudlib.policy.evaluation.augmented_scores`), find the tree of depth 1 or 2 whose mean
    score is largest.  The search over the candidate cuts is exhaustive.

    Parameters
    ----------
    depth : int, default=2
        0, 1 or 2.
    cuts : int, default=9
        Cuts tried in each covariate, at its quantiles.
    smallest : int, default=50
        People in the smallest leaf.
    """

    def __init__(self, depth=2, cuts=9, smallest=50):
        self.depth = depth
        self.cuts = cuts
        self.smallest = smallest

    def fit(self, X, scores):
        """Return the fitted tree.

        Parameters
        ----------
        X : array-like of shape (people, covariates)
        scores : array-like of shape (people, 2 ** treatments)
            Columns as in :func:`sudlib.policy.treatments.combinations`.
        """
        names = list(X.columns) if hasattr(X, "columns") else None
        X = check_covariates(X)
        scores = np.asarray(scores, dtype=float)
        treatments = int(np.log2(scores.shape[1]))
        if scores.shape != (len(X), 2**treatments) or not np.isfinite(scores).all():
            raise InputError(
                "scores must be finite, one row a person and one column for each of"
                f" the 2^K combinations, not of shape {scores.shape}"
            )
        if self.depth not in (0, 1, 2):
            raise InputError(f"depth must be 0, 1 or 2, not {self.depth!r}")
        self.combinations_ = combinations(treatments)
        self.names_ = names or [f"covariate {j}" for j in range(X.shape[1])]
        grid = np.linspace(0, 1, self.cuts + 2)[1:-1]
        pairs = [
            (j, cut)
            for j in range(X.shape[1])
            for cut in np.unique(np.quantile(X[:, j], grid))
            if cut < X[:, j].max()
        ]
        below = np.column_stack(
            [X[:, j] <= cut for j, cut in pairs] or [np.zeros((len(X), 0), bool)]
        )
        self._pairs = pairs
        self.tree_ = self._grow(below, scores, np.ones(len(X), bool), self.depth)[1]
        return self

    def _grow(self, below, scores, here, depth):
        """Return the largest sum of scores in this part, and the tree that has it."""
        sums = scores[here].sum(axis=0)
        best = sums.max(), {"leaf": int(sums.argmax()), "people": int(here.sum())}
        if depth == 0 or not below.shape[1]:
            return best
        part = below[here].astype(float)
        counts = part.sum(axis=0)
        enough = (counts >= self.smallest) & (here.sum() - counts >= self.smallest)
        if not enough.any():
            return best
        if depth == 1:
            left = part.T @ scores[here]
            gains = left.max(axis=1) + (sums - left).max(axis=1)
            cut = int(np.where(enough, gains, -np.inf).argmax())
            if gains[cut] <= best[0]:
                return best
            choices = [cut]
        else:
            choices = np.flatnonzero(enough)
        for cut in choices:
            low = self._grow(below, scores, here & below[:, cut], depth - 1)
            high = self._grow(below, scores, here & ~below[:, cut], depth - 1)
            if low[0] + high[0] > best[0] + 1e-9:
                j, where = self._pairs[cut]
                node = {"column": j, "cut": where, "low": low[1], "high": high[1]}
                best = low[0] + high[0], node
        return best

    def predict(self, X):
        """Return the recommended treatments in −1 and +1."""
        check_is_fitted(self, "tree_")
        X = check_covariates(X)
        chosen = np.empty(len(X), int)

        def walk(node, here):
            if "leaf" in node:
                chosen[here] = node["leaf"]
                return
            low = X[:, node["column"]] <= node["cut"]
            walk(node["low"], here & low)
            walk(node["high"], here & ~low)

        walk(self.tree_, np.ones(len(X), bool))
        return self.combinations_[chosen]

    def leaves(self, treatments=None):
        """Return the rule in words, one row a leaf.

        Parameters
        ----------
        treatments : list of str, optional
            Names of the treatments.

        Returns
        -------
        pandas.DataFrame
            Columns ``who``, ``treatments`` and ``people`` (in the data it was fitted
            to; look at :func:`sudlib.disclosure.guard` before showing it).
        """
        check_is_fitted(self, "tree_")
        labels = treatments or [
            f"treatment {k + 1}" for k in range(self.combinations_.shape[1])
        ]
        rows = []

        def walk(node, path):
            if "leaf" in node:
                given = self.combinations_[node["leaf"]] > 0
                taken = [label for label, g in zip(labels, given, strict=True) if g]
                rows.append(
                    {
                        "who": " and ".join(path) or "everybody",
                        "treatments": " + ".join(taken) or "none",
                        "people": node["people"],
                    }
                )
                return
            name = self.names_[node["column"]]
            walk(node["low"], [*path, f"{name} ≤ {node['cut']:g}"])
            walk(node["high"], [*path, f"{name} > {node['cut']:g}"])

        walk(self.tree_, [])
        return pd.DataFrame(rows)
