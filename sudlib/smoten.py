"""Synthetic rows that make every class as large as the largest: SMOTEN.

The algorithm is imbalanced-learn's, and for small classes so is the code.  For larger
ones :class:`SMOTEN` finds the same neighbours without holding all distances at once.
Taught in the notebook *What does balancing do?*.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from imblearn import over_sampling
from imblearn.metrics.pairwise import ValueDifferenceMetric
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import check_random_state

from sudlib.classes import code_column
from sudlib.files import InputError
from sudlib.validation import as_frame, check_choice, check_rows, named_table

METHODS = ("auto", "imbalanced-learn", "fast")


#: A class up to this many rows takes imbalanced-learn's own code.
SMALL_CLASS = 500


# Distances at once: 128 MB of float64, and as much again while they are rounded.
_BLOCK = 16_000_000


# Sums of the same shares in another order differ in the sixteenth digit: rounded to
# the tenth, rows that are equally far are equally far.
_DIGITS = 10


class SMOTEN(over_sampling.SMOTEN):
    r"""SMOTEN that scales to 100,000 rows.

    The distance of two rows grows with the difference between the class shares of
    their levels:

    .. math:: \Delta(x, z) = \sum_j \Big(\sum_c |P(c \mid x_j) - P(c \mid z_j)|\Big)^2

    A synthetic row takes, in each column, the most frequent level of a row and its
    nearest neighbours.

    The fast path: with two classes :math:`\Delta` is the squared Euclidean distance
    of the rows' values :math:`2 P(1 \mid x_j)`; with more it is a sum of looked-up
    table entries, one matrix product.  Both run in blocks.  Of equally near rows the
    first is taken; imbalanced-learn takes any.  In ``imblearn.pipeline.make_pipeline``
    the sampler sees training rows only, so that no synthetic row reaches a test set.

    Parameters
    ----------
    categorical_encoder : estimator, optional
        As in ``imblearn.over_sampling.SMOTEN``, like the next three.
    sampling_strategy : float, str, dict or callable, default="auto"
        Rows wanted of each class.
    random_state : int, RandomState, Generator or None, default=None
        For the rows from which synthetic ones are made.
    k_neighbors : int or estimator, default=5
        Neighbours of a row, itself not counted.
    method : {"auto", "imbalanced-learn", "fast"}, default="auto"
        Auto takes imbalanced-learn's code for classes of up to 500 rows.
    fewer_neighbours : bool, default=False
        Let a class of fewer than ``k_neighbors + 1`` rows use as many neighbours as
        it has, instead of stopping.

    Attributes
    ----------
    sampling_strategy_ : dict
        Synthetic rows for each class.

    Raises
    ------
    InputError
        For continuous columns, missing values, or a class with too few rows for its
        neighbours.

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
        "random_state": ["random_state", np.random.Generator],
        "method": "no_validation",
        "fewer_neighbours": ["boolean"],
    }

    def __init__(
        self,
        categorical_encoder: Any = None,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        k_neighbors: Any = 5,
        method: str = "auto",
        fewer_neighbours: bool = False,
    ) -> None:
        super().__init__(
            categorical_encoder,
            sampling_strategy=sampling_strategy,
            random_state=random_state,
            k_neighbors=k_neighbors,
        )
        self.method = method
        self.fewer_neighbours = fewer_neighbours

    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """Return the rows with the synthetic ones below them.

        Parameters
        ----------
        X : array-like or pandas.DataFrame of shape (n_rows, n_columns)
            Levels: text, categories, or whole numbers.
        y : array-like of shape (n_rows,)
            Classes.
        **params
            Passed to imbalanced-learn.

        Returns
        -------
        X, y : of the kind that came in
        """
        check_choice("method", self.method, METHODS)
        X = named_table(X)
        check_levels(X)
        check_rows(X=X, y=y)
        # Rows are taken again as they are, so that levels of any type come back.
        plain, restore = _plain(X) if self.categorical_encoder is None else (X, None)
        classes, restore_class = _plain_classes(y)
        given: Any = self.random_state  # type: ignore[has-type]
        try:
            if isinstance(given, np.random.Generator):  # imbalanced-learn knows none
                self.random_state = np.random.RandomState(given.integers(2**31 - 1))
            made, label = super().fit_resample(plain, classes, **params)
            return restore(made) if restore else made, restore_class(label)
        finally:
            self.random_state = given

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        sizes = {
            label: int(np.sum(y == label))
            for label, made in self.sampling_strategy_.items()
            if made
        }
        wanted = self._neighbours()
        for label, rows in sizes.items():
            if rows <= wanted and not self.fewer_neighbours:
                raise InputError(
                    f"class {label} has {rows} rows and needs {wanted + 1}, itself and"
                    f" {wanted} neighbours: lower k_neighbors, or set fewer_neighbours"
                )
        small = max(sizes.values(), default=0) <= SMALL_CLASS
        if self.method == "imbalanced-learn" or (
            self.method == "auto" and small and not self.fewer_neighbours
        ):
            return super()._fit_resample(X, y)
        self._validate_estimator()
        encoder = self.categorical_encoder or OrdinalEncoder(dtype=np.int32)
        self.categorical_encoder_ = clone(encoder)
        codes = self.categorical_encoder_.fit_transform(X)
        n_levels = [len(levels) for levels in self.categorical_encoder_.categories_]
        profiles = ValueDifferenceMetric(n_categories=n_levels).fit(codes, y)
        new_rows, new_labels = [X], [y]
        for label, rows in sizes.items():
            members = codes[y == label]
            near = find_neighbours(
                members, profiles.proba_per_class_, min(wanted, rows - 1)
            )
            # The same draw as imbalanced-learn's, so that a seed gives the same rows.
            drawn = check_random_state(self.random_state).choice(
                rows, size=self.sampling_strategy_[label], replace=True
            )
            parents, place = np.unique(drawn, return_inverse=True)
            made = _most_frequent(members, near[parents])[place]
            new_rows.append(self.categorical_encoder_.inverse_transform(made))
            new_labels.append(np.full(len(made), label, dtype=y.dtype))
        return np.vstack(new_rows), np.hstack(new_labels)

    def _neighbours(self) -> int:
        """Return how many neighbours a row has, itself not counted."""
        if hasattr(self.k_neighbors, "n_neighbors"):
            return int(self.k_neighbors.n_neighbors) - 1
        return int(self.k_neighbors)


def _again(column: Any, rows: NDArray) -> Any:
    """Return rows of a column, of its kind."""
    if isinstance(column, pd.Series):
        return column.take(rows).reset_index(drop=True)
    return column.take(rows) if hasattr(column, "take") else [column[at] for at in rows]


def _plain(X: Any) -> tuple[Any, Any]:
    """Return a frame's levels as whole numbers, in order, and the way back."""
    if not isinstance(X, pd.DataFrame) or X.empty:
        return X, None
    coded = [pd.factorize(np.asarray(X[name]), sort=True)[0] for name in X.columns]
    first = [np.unique(codes, return_index=True)[1] for codes in coded]
    plain = pd.DataFrame(np.column_stack(coded), X.index, X.columns)

    def restore(made: pd.DataFrame) -> pd.DataFrame:
        columns = zip(X.columns, first, made.to_numpy().T, strict=True)
        found = [_again(X[name], rows[codes]) for name, rows, codes in columns]
        return pd.concat(found, axis=1).set_axis(X.columns, axis=1)

    return plain, restore


def _plain_classes(y: Any) -> tuple[Any, Any]:
    """Return classes as numbers or text, none missing, and the way back."""
    if np.ndim(y) != 1:  # a column for each class
        return y, lambda made: made
    codes, levels = code_column("y", y)
    kinds = np.asarray(levels)
    if kinds.ndim > 1 or kinds.dtype.char not in "?lLqQdU":
        kinds = np.array([str(level) for level in levels])
    first = np.zeros(len(kinds), int)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    places = pd.Index(kinds)
    return kinds[codes], lambda made: _again(y, first[places.get_indexer(made)])


def check_levels(X: Any) -> None:
    """Raise unless every column holds levels: text, categories or whole numbers.

    imbalanced-learn accepts continuous columns and treats each number as a level.

    Parameters
    ----------
    X : array-like or pandas.DataFrame of shape (n_rows, n_columns)
        What was given.

    Raises
    ------
    InputError
        For a sparse table, missing values, a continuous column, one that mixes text
        and numbers, or a name that occurs twice.
    """
    frame = as_frame("X", X)
    if np.ndim(X) != 2 or not len(frame.columns):
        raise InputError(f"X must be a table of columns, not of shape {np.shape(X)}")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InputError(f"columns must have a name each; {twice[0]!r} occurs twice")
    for name in frame.columns:
        column = frame[name]
        if column.isna().any():
            raise InputError(
                f"column {name!r} has {int(column.isna().sum()):,} missing values; make"
                " them a level of their own, or fill them in"
            )
        kinds = (
            {isinstance(each, str) for each in column} if column.dtype == "O" else ()
        )
        if column.dtype == "O" and not all(isinstance(v, Hashable) for v in column):
            raise InputError(f"column {name!r} must hold one level a row")
        if len(kinds) > 1:
            raise InputError(
                f"column {name!r} mixes text and numbers: make all its levels text"
            )
        if pd.api.types.is_float_dtype(column):
            fractions = column[column.to_numpy(float) % 1 != 0]
            if len(fractions):
                raise InputError(
                    f"column {name!r} is continuous (for example {fractions.iloc[0]});"
                    " only levels can be resampled: cut it in bands first"
                )


def find_neighbours(
    codes: NDArray, profiles: Sequence[NDArray], count: int
) -> NDArray[np.intp]:
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
    one, other = _factors(codes, profiles)
    neighbours = np.empty((rows, near), np.intp)
    step = max(1, _BLOCK // max(rows, 1))
    for start in range(0, rows, step):
        block = slice(start, start + step)
        distance = np.round(one[block] @ other.T, _DIGITS)
        edge = np.partition(distance, count, axis=1)[:, count, None]
        chosen = distance < edge
        ties = distance == edge
        lacking = near - chosen.sum(axis=1, keepdims=True)
        over = ties.sum(axis=1, keepdims=True) > lacking
        # Only rows with more ties than places need the count of ties so far.
        many = np.flatnonzero(over[:, 0])
        ties[many] &= np.cumsum(ties[many], axis=1, dtype=np.int32) <= lacking[many]
        chosen |= ties
        neighbours[block] = np.nonzero(chosen)[1].reshape(-1, near)
    return neighbours


def _factors(codes: NDArray, profiles: Sequence[NDArray]) -> tuple[NDArray, NDArray]:
    """Return two matrices whose product is the matrix of distances."""
    if profiles[0].shape[1] == 2:
        levels = enumerate(profiles)
        place = np.column_stack([2 * shares[codes[:, j], 0] for j, shares in levels])
        square, one = np.sum(place**2, axis=1), np.ones(len(place))
        left = np.column_stack([-2 * place, square, one])
        return left, np.column_stack([place, one, square])
    tables, columns = [], []
    for j, shares in enumerate(profiles):
        table = np.abs(shares[:, None, :] - shares[None, :, :]).sum(axis=2) ** 2
        tables.append(table[codes[:, j]])
        columns.append(np.eye(len(shares))[codes[:, j]])
    return np.hstack(tables), np.hstack(columns)


def _most_frequent(codes: NDArray, near: NDArray) -> NDArray:
    """Return the most frequent level in each column of each row's neighbours.

    Of equally frequent levels the lowest, as ``scipy.stats.mode`` has it.
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
