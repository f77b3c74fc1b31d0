"""Rows made up so that every class is as large as the largest: SMOTEN.

The algorithm is imbalanced-learn's, and for small classes so is the code.  For larger
ones :class:`SMOTEN` finds the same neighbours without holding all distances at once.
:func:`audit` counts what the made-up rows are worth: how many are copies, how many
could not exist.  Taught in the notebook *What does balancing do?*.
"""

import numpy as np
import pandas as pd
from imblearn import over_sampling
from imblearn.metrics.pairwise import ValueDifferenceMetric
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import check_random_state

from sudlib.files import InputError

METHODS = ("auto", "imbalanced-learn", "fast")


#: A class up to this many rows takes imbalanced-learn's own code.
SMALL_CLASS = 500


# Distances at once: 128 MB of float64.
_BLOCK = 16_000_000


# Sums of the same shares in another order differ in the sixteenth digit: rounded to
# the tenth, rows that are equally far are equally far.
_DIGITS = 10


class SMOTEN(over_sampling.SMOTEN):
    r"""SMOTEN that also does for a hundred thousand rows.

    Two rows are the further apart, the less their levels agree on the classes:
    :math:`\Delta(x, z) = \sum_j \big(\sum_c |P(c \mid x_j) - P(c \mid z_j)|\big)^2`.
    A made-up row takes, in each column, the commonest level of a row and its nearest
    neighbours.

    The fast path: with two classes :math:`\Delta` is the squared Euclidean distance
    of the rows' values :math:`2 P(1 \mid x_j)`; with more it is a sum of looked-up
    table entries, one matrix product.  Both run in blocks.  Of equally near rows the
    first is taken; imbalanced-learn takes any.

    Parameters
    ----------
    method : {"auto", "imbalanced-learn", "fast"}, default="auto"
        Auto takes imbalanced-learn's code for classes of up to 500 rows.
    fewer_neighbours : bool, default=False
        Let a class of fewer than ``k_neighbors + 1`` rows use as many neighbours as
        it has, instead of stopping.
    categorical_encoder, sampling_strategy, random_state, k_neighbors
        As in ``imblearn.over_sampling.SMOTEN``.

    Attributes
    ----------
    sampling_strategy_ : dict
        Rows made up for each class.

    Raises
    ------
    InputError
        For continuous columns, missing values, a single class, or a class with too
        few rows for its neighbours.

    References
    ----------
    Chawla et al. (2002), section 6.2; study B, equation 1.

    Examples
    --------
    >>> levels = np.array([["a", "x"]] * 6 + [["b", "y"]] * 8)
    >>> X, y = SMOTEN(random_state=0).fit_resample(levels, [1] * 6 + [0] * 8)
    >>> len(y), X[-1].tolist()
    (16, ['a', 'x'])
    """

    _parameter_constraints: dict = {
        **over_sampling.SMOTEN._parameter_constraints,
        "method": "no_validation",
        "fewer_neighbours": ["boolean"],
    }

    def __init__(
        self,
        categorical_encoder=None,
        *,
        sampling_strategy="auto",
        random_state=None,
        k_neighbors=5,
        method="auto",
        fewer_neighbours=False,
    ):
        super().__init__(
            categorical_encoder,
            sampling_strategy=sampling_strategy,
            random_state=random_state,
            k_neighbors=k_neighbors,
        )
        self.method = method
        self.fewer_neighbours = fewer_neighbours

    def fit_resample(self, X, y, **params):
        """Return the rows with the made-up ones below them.

        Parameters
        ----------
        X : array-like or pandas.DataFrame of shape (rows, columns)
            Levels: text, categories, or whole numbers.
        y : array-like of shape (rows,)

        Returns
        -------
        X, y : of the kind that came in
        """
        if self.method not in METHODS:
            choices = ", ".join(f'"{method}"' for method in METHODS)
            raise InputError(f"method must be one of {choices}, not {self.method!r}")
        check_levels(X)
        labels, counts = np.unique(np.asarray(y), return_counts=True)
        if len(labels) < 2:
            raise InputError(
                f"balancing needs at least two classes; all {len(np.asarray(y)):,}"
                " rows have the same"
            )
        return super().fit_resample(X, y, **params)

    def _fit_resample(self, X, y):
        largest = 0
        for label, made in self.sampling_strategy_.items():
            rows = int(np.sum(y == label))
            largest = max(largest, rows if made else 0)
            if made and rows <= self._neighbours() and not self.fewer_neighbours:
                raise InputError(
                    f"class {label} has {rows} rows and needs"
                    f" {self._neighbours() + 1}, itself and {self._neighbours()}"
                    " neighbours: lower k_neighbors, or set fewer_neighbours"
                )
        if self.method == "imbalanced-learn" or (
            self.method == "auto"
            and largest <= SMALL_CLASS
            and not self.fewer_neighbours
        ):
            return super()._fit_resample(X, y)
        self._validate_estimator()
        if self.categorical_encoder is None:
            self.categorical_encoder_ = OrdinalEncoder(dtype=np.int32)
        else:
            self.categorical_encoder_ = clone(self.categorical_encoder)
        codes = self.categorical_encoder_.fit_transform(X)
        levels = [len(found) for found in self.categorical_encoder_.categories_]
        profiles = ValueDifferenceMetric(n_categories=levels).fit(codes, y)
        new_rows, new_labels = [X], [y]
        for label, made in self.sampling_strategy_.items():
            if made == 0:
                continue
            members = codes[y == label]
            count = min(self._neighbours(), len(members) - 1)
            near = neighbours(members, profiles.proba_per_class_, count)
            # The same draw as imbalanced-learn's, so that a seed gives the same rows.
            drawn = check_random_state(self.random_state).choice(
                np.arange(len(members)), size=made, replace=True
            )
            wanted, place = np.unique(drawn, return_inverse=True)
            rows = _commonest(members, near[wanted])[place]
            new_rows.append(self.categorical_encoder_.inverse_transform(rows))
            new_labels.append(np.full(made, label, dtype=y.dtype))
        return np.vstack(new_rows), np.hstack(new_labels)

    def _neighbours(self):
        """Return how many neighbours a row has, itself not counted."""
        return int(getattr(self.k_neighbors, "n_neighbors", self.k_neighbors + 1)) - 1


def check_levels(X):
    """Raise unless every column holds levels: text, categories or whole numbers.

    imbalanced-learn takes continuous columns without a word and treats each number
    as a level of its own.
    """
    if sparse.issparse(X):
        raise InputError("SMOTEN compares levels one by one: give a dense table")
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
    for name in frame.columns:
        column = frame[name]
        if column.isna().any():
            raise InputError(
                f"column {name!r} has {int(column.isna().sum()):,} missing values; make"
                " them a level of their own, or fill them in"
            )
        if pd.api.types.is_float_dtype(column) and (column % 1 != 0).any():
            raise InputError(
                f"column {name!r} is continuous (for example"
                f" {column[column % 1 != 0].iloc[0]}); SMOTEN takes levels only: cut"
                " it in bands first"
            )


def neighbours(codes, profiles, count):
    """Return each row itself and its nearest neighbours by the value difference.

    Parameters
    ----------
    codes : numpy.ndarray of int, shape (rows, columns)
        Levels as 0, 1, 2 …
    profiles : list of numpy.ndarray, shape (levels, classes)
        One a column: the share of each class among the rows that have a level.
    count : int
        Neighbours, the row itself not counted.

    Returns
    -------
    numpy.ndarray of int, shape (rows, count + 1)
        Row numbers in rising order: the ``count + 1`` nearest of all rows, the row
        itself among them unless more rows are equal to it.  Of rows that are equally
        near the first is taken.
    """
    rows, near = len(codes), count + 1
    left, right, base = _factors(codes, profiles)
    found = np.empty((rows, near), np.intp)
    step = max(1, _BLOCK // max(rows, 1))
    for start in range(0, rows, step):
        block = slice(start, start + step)
        distance = left[block] @ right.T
        if base is not None:
            distance += base[block, None]
            distance += base[None, :]
        np.round(distance, _DIGITS, out=distance)
        edge = np.partition(distance, count, axis=1)[:, count, None]
        chosen = distance < edge
        ties = distance == edge
        lacking = near - chosen.sum(axis=1, keepdims=True)
        over = ties.sum(axis=1, keepdims=True) > lacking
        # Only rows with more ties than places need the count of ties so far.
        many = np.flatnonzero(over[:, 0])
        ties[many] &= np.cumsum(ties[many], axis=1, dtype=np.int32) <= lacking[many]
        chosen |= ties
        found[block] = np.nonzero(chosen)[1].reshape(-1, near)
    return found


def _factors(codes, profiles):
    """Return two matrices and a column, whose product and sums are the distances."""
    classes = profiles[0].shape[1]
    if classes == 2:
        place = np.column_stack(
            [2 * shares[codes[:, j], 0] for j, shares in enumerate(profiles)]
        )
        return -2 * place, place, np.sum(place**2, axis=1)
    left, right = [], []
    for j, shares in enumerate(profiles):
        table = np.abs(shares[:, None, :] - shares[None, :, :]).sum(axis=2) ** 2
        left.append(table[codes[:, j]])
        right.append(np.eye(len(shares))[codes[:, j]])
    return np.hstack(left), np.hstack(right), None


def _commonest(codes, near):
    """Return the commonest level in each column of each row's neighbours.

    Of equally common levels the lowest, as ``scipy.stats.mode`` has it.
    """
    made = np.empty((len(near), codes.shape[1]), codes.dtype)
    step = max(1, _BLOCK // (near.shape[1] ** 2 * codes.shape[1]))
    for start in range(0, len(near), step):
        block = slice(start, start + step)
        around = codes[near[block]]
        votes = np.zeros(around.shape, np.int16)
        for place in range(around.shape[1]):
            votes += around == around[:, place, None]
        top = votes == votes.max(axis=1, keepdims=True)
        made[block] = np.where(top, around, np.iinfo(around.dtype).max).min(axis=1)
    return made
