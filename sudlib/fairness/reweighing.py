"""Weights that make groups and target independent; study B's weights as printed."""

import itertools
import warnings

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sudlib.fairness.interactions import coded, crosstab, interactions
from sudlib.files import InputError

VARIANTS = ("kamiran_calders", "raking", "published")

_SETS = ("significant", "each", "pairs", "triples", "joint")


class ReweighingWarning(UserWarning):
    """Weights that do not do what their name promises."""


def effective_sample_size(weights):
    r"""Return :math:`(\sum w)^2 / \sum w^2`: the rows that such weights are worth.

    Examples
    --------
    >>> effective_sample_size([1, 1, 1, 1])
    4.0
    """
    weights = np.asarray(weights, dtype=float)
    squares = float((weights**2).sum())
    return float(weights.sum() ** 2 / squares) if squares else np.nan


class Reweighing(BaseEstimator):
    r"""Weights of rows, learnt from group columns and target of the training rows.

    Fit it on training rows and pass the weights as ``sample_weight``.  It has no
    ``transform``: a weight is never a column, for it is made from the target.

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
        * ``"published"``: study B's equations 29 to 36, read literally:
          :math:`1 - \prod (1 - n_{vk}/n_k)` over all sets that are significant without
          correction.  It makes large cells heavier and saturates at 1.
    sets : {"significant", "each", "pairs", "triples", "joint"} or list, \
default="significant"
        Sets of columns; ``"significant"`` tests all sets of ``sizes`` (Holm's
        correction; none for ``"published"``).
    sizes : tuple of int, default=(2, 3)
    alpha : float, default=0.05
    smallest : int, default=5
        Kamiran and Calders: a cell and class with fewer rows is shrunk towards weight
        1, :math:`(n_v n_k / n + \tau) / (n_{vk} + \tau)` with :math:`\tau` =
        ``shrinkage``.
    shrinkage : float, default=5.0
    rounds : int, default=200
        Raking stops after so many turns.
    tolerance : float, default=1e-6
        Raking has converged when every cell and class is that close to its target, as
        a share of all rows.
    seed : int, default=33
        Of the permutation tests.

    Attributes
    ----------
    weights_ : numpy.ndarray
        Of the rows it was fitted on; their mean is 1.
    sets_ : list of tuple of str
        The sets that were used.
    skipped_ : list of tuple of str
        Sets that raking had to leave out: a cell and class without rows cannot be
        given weight.
    tests_ : pandas.DataFrame or None
        The tests that chose them.
    effective_n_ : float
    saturated_ : float
        Share of rows whose published weight, before scaling, is above 0.999.
    converged_ : bool
    residual_ : float
        Largest distance of a weighted cell and class from independence, as a share.

    Examples
    --------
    >>> people = pd.DataFrame({"sex": ["f", "f", "f", "m", "m", "m"]})
    >>> weigh = Reweighing(sets=[("sex",)], smallest=0)
    >>> weigh.fit(people, [1, 1, 0, 1, 0, 0]).weights_.tolist()
    [0.75, 0.75, 1.5, 1.5, 0.75, 0.75]
    """

    def __init__(
        self,
        variant="kamiran_calders",
        sets="significant",
        sizes=(2, 3),
        alpha=0.05,
        smallest=5,
        shrinkage=5.0,
        rounds=200,
        tolerance=1e-6,
        seed=33,
    ):
        self.variant = variant
        self.sets = sets
        self.sizes = sizes
        self.alpha = alpha
        self.smallest = smallest
        self.shrinkage = shrinkage
        self.rounds = rounds
        self.tolerance = tolerance
        self.seed = seed

    def fit(self, X, y):
        """Learn the weights of training rows; return the estimator.

        Parameters
        ----------
        X : DataFrame or dict
            The group columns, nothing else.
        y : array-like
            The target.
        """
        if self.variant not in VARIANTS:
            raise InputError(
                f"variant must be one of {', '.join(VARIANTS)}, not {self.variant!r}"
            )
        made, target, classes = coded(X, y)
        self.columns_ = tuple(made)
        self.levels_ = {name: levels for name, (_, levels) in made.items()}
        self.classes_ = classes
        self._choose(X, y)
        self.skipped_, self.converged_, self.saturated_ = [], True, 0.0
        codes = {name: code for name, (code, _) in made.items()}
        if self.variant == "raking":
            self._rake(codes, target)
        else:
            self._tabulate(made, target)
        raw = self._raw(codes, target)
        self.scale_ = 1.0 / raw.mean()
        self.weights_ = raw * self.scale_
        self.effective_n_ = effective_sample_size(self.weights_)
        self.residual_ = self._residual(made, target)
        self._warn(raw)
        return self

    def weights(self, X, y):
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
            For a column, group or class that it was not fitted on.
        """
        check_is_fitted(self)
        made, target, classes = coded(X, y)
        if tuple(made) != self.columns_:
            raise InputError(
                f"it was fitted on the columns {list(self.columns_)}, not {list(made)}"
            )
        codes = {}
        for name, (code, levels) in made.items():
            codes[name] = _translate(code, levels, self.levels_[name], name)
        target = _translate(target, classes, self.classes_, "y")
        return self._raw(codes, target) * self.scale_

    # ------------------------------------------------------------------ the parts

    def _choose(self, X, y):
        """Set which sets of columns are used."""
        self.tests_ = None
        if isinstance(self.sets, str):
            if self.sets not in _SETS:
                raise InputError(
                    f"sets must be one of {', '.join(_SETS)} or a list of sets of"
                    f" columns, not {self.sets!r}"
                )
            if self.sets == "significant":
                published = self.variant == "published"
                self.tests_ = interactions(
                    X,
                    y,
                    sizes=self.sizes,
                    alpha=self.alpha,
                    permutations=0 if published else 4999,
                    seed=self.seed,
                )
                column = "significant" if published else "significant_holm"
                self.sets_ = list(self.tests_.loc[self.tests_[column], "variables"])
                return
            size = {"each": 1, "pairs": 2, "triples": 3}.get(
                self.sets, len(self.columns_)
            )
            self.sets_ = list(itertools.combinations(self.columns_, size))
            return
        self.sets_ = [
            (entry,) if isinstance(entry, str) else tuple(entry) for entry in self.sets
        ]
        for entry in self.sets_:
            unknown = [name for name in entry if name not in self.columns_]
            if unknown or not entry:
                raise InputError(
                    f"a set must be made of {list(self.columns_)}, not {unknown}"
                )

    def _tabulate(self, made, target):
        """Keep each set's table of weights or probabilities."""
        self.tables_ = {}
        for names in self.sets_:
            seen = crosstab(made, names, target, len(self.classes_)).astype(float)
            of_class = seen.sum(axis=tuple(range(seen.ndim - 1)))
            if self.variant == "published":
                self.tables_[names] = seen / of_class
                continue
            expected = seen.sum(-1, keepdims=True) * of_class / len(target)
            less = (seen < self.smallest) & (expected > 0)
            extra = np.where(less, self.shrinkage, 0.0)
            self.tables_[names] = np.divide(
                expected + extra,
                seen + extra,
                out=np.ones(seen.shape),
                where=seen + extra > 0,
            )

    def _rake(self, codes, target):
        """Fit one weight for each cell of all columns and class, in turns."""
        sizes = [len(self.levels_[name]) for name in self.columns_]
        joint = np.stack([*(codes[name] for name in self.columns_), target], axis=1)
        self.joint_, where, counted = np.unique(
            joint, axis=0, return_inverse=True, return_counts=True
        )
        classes = len(self.classes_)
        margins, used = [], []
        for names in self.sets_:
            places = [self.columns_.index(name) for name in names]
            shape = [*(sizes[place] for place in places), classes]
            cell = np.ravel_multi_index(
                tuple(self.joint_[:, [*places, len(sizes)]].T), shape
            )
            seen = np.bincount(cell, weights=counted, minlength=int(np.prod(shape)))
            seen = seen.reshape(-1, classes)
            wanted = seen.sum(1, keepdims=True) * seen.sum(0) / len(target)
            if ((seen == 0) & (wanted > 0)).any():
                self.skipped_.append(names)
                continue
            used.append(names)
            margins.append((cell, wanted.ravel()))
        self.sets_ = used
        mass = counted.astype(float)
        self.converged_ = not margins
        for _ in range(self.rounds if margins else 0):
            for cell, wanted in margins:
                have = np.bincount(cell, weights=mass, minlength=len(wanted))
                mass = (
                    mass
                    * np.divide(wanted, have, out=np.ones(len(wanted)), where=have > 0)[
                        cell
                    ]
                )
            off = max(
                np.abs(
                    np.bincount(cell, weights=mass, minlength=len(wanted)) - wanted
                ).max()
                for cell, wanted in margins
            )
            if off <= self.tolerance * len(target):
                self.converged_ = True
                break
        self.factors_ = mass / counted
        self.lookup_ = {
            tuple(row): factor
            for row, factor in zip(self.joint_.tolist(), self.factors_, strict=True)
        }

    def _raw(self, codes, target):
        """Return the unscaled weights of coded rows."""
        rows = len(target)
        if self.variant == "raking":
            joint = np.stack([*(codes[name] for name in self.columns_), target], axis=1)
            return np.array(
                [self.lookup_.get(tuple(row), 1.0) for row in joint.tolist()]
            )
        if not self.sets_:
            return np.ones(rows)
        every = (
            self.tables_[names][(*(codes[name] for name in names), target)]
            for names in self.sets_
        )
        if self.variant == "published":
            nobody = np.ones(rows)
            for probability in every:
                nobody *= 1 - probability
            return 1 - nobody
        return sum(every) / len(self.sets_)

    def _residual(self, made, target):
        """Return how far the weighted target is from independence, at most."""
        worst = 0.0
        for names in self.sets_:
            shape = [*(len(made[name][1]) for name in names), len(self.classes_)]
            place = np.ravel_multi_index(
                (*(made[name][0] for name in names), target), shape
            )
            mass = np.bincount(
                place, weights=self.weights_, minlength=int(np.prod(shape))
            ).reshape(-1, len(self.classes_))
            mass = mass / mass.sum()
            free = mass.sum(1, keepdims=True) * mass.sum(0)
            worst = max(worst, float(np.abs(mass - free).max()))
        return worst

    def _warn(self, raw):
        if self.variant == "published":
            self.saturated_ = float((raw > 0.999).mean())
            if self.saturated_ > 0.5:
                warnings.warn(
                    f"study B's weight is above 0.999 for {self.saturated_:.0%} of the"
                    f" rows ({len(self.sets_)} sets are significant): it weighs nothing"
                    f" anew, {self.effective_n_:,.0f} of {len(raw):,} rows remain"
                    " effective",
                    ReweighingWarning,
                    stacklevel=3,
                )
        if self.skipped_:
            warnings.warn(
                f"raking left out {len(self.skipped_)} sets: one of their cells has"
                " rows, but none of some class",
                ReweighingWarning,
                stacklevel=3,
            )
        if not self.converged_:
            warnings.warn(
                f"raking has not converged after {self.rounds} rounds; the largest"
                f" distance from independence is {self.residual_:.2g} of all rows",
                ReweighingWarning,
                stacklevel=3,
            )


def _translate(codes, levels, known, name):
    """Return codes among other levels, or say which value is new."""
    place = pd.Index(known, dtype=object).get_indexer(pd.Index(levels, dtype=object))
    if (place < 0).any():
        new = [level for level, at in zip(levels, place, strict=True) if at < 0]
        raise InputError(f"{name} has values that it was not fitted on: {new[:5]}")
    return place[codes]
