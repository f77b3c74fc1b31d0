"""Study B's support vector machines, and the grids of its trees and forests.

Models are scikit-learn's; hyperparameters are searched by ``GridSearchCV``, and nested
cross-validation is ``cross_validate`` around it.  Taught in the notebooks *How well do
kernels predict completion?* and *Do trees, forests and networks do better?*.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context, get_config
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.svm import SVC

from sudlib.files import InputError
from sudlib.validation import check_choice

KERNELS = ("linear", "poly", "rbf", "sigmoid")


COSTS = (0.1, 1, 10, 100)
"""The values of C of section 6.5."""


MAX_ITER = 10_000_000
"""Iterations of a support vector machine at most, as in libsvm."""


LARGEST = 1e12
"""Of a kernel's values: above it their rounding exceeds what the solver resolves."""


OFFSET = -0.1
"""The study's r (section 11: "r = -0.1, gamma = scale")."""


PRINTED_C: dict[str, dict[str, float]] = {
    "COMPLETED": {"linear": 0.1, "poly": 10, "rbf": 10, "sigmoid": 1},
    "NOPRIOR": {"linear": 10, "poly": 1, "rbf": 10, "sigmoid": 1},
}
"""The optimal C of each kernel in the tables of sections 6.6 and 6.7."""


TREE_GRID = {
    "max_depth": (None, 2, 4, 6, 8, 10),
    "min_samples_split": (2, 5, 10),
    "min_samples_leaf": (1, 2, 4),
}
"""Section 7.2."""


FOREST_GRID = {
    "n_estimators": (10, 50, 100, 200),
    "max_features": ("sqrt", "log2"),
    "max_depth": (None, 5, 10, 20),
    "min_samples_split": (2, 5, 10),
    "min_samples_leaf": (1, 2, 4),
}
"""Section 7.3; its third choice of features, "auto", meant "sqrt" and is gone."""


@dataclass(frozen=True)
class DenseKernel:
    """A kernel of ``SVC`` for dense rows, computed by one product of two matrices.

    By itself ``SVC`` computes kernel values row by row as it needs them.  For a few
    thousand rows the whole kernel matrix fits into memory: with this kernel a fit
    makes the same predictions in 0.4 to 0.7 of the time, on one thread
    (``tests/benchmarks/bench_oklahoma_models.py``).  A kernel holds its own
    hyperparameters, so that a grid of kernels varies none that a kernel does not have.

    Parameters
    ----------
    name : {"linear", "poly", "rbf", "sigmoid"}, default="rbf"
        In scikit-learn's formulas (``sklearn.metrics.pairwise.pairwise_kernels``).
    gamma : float or "scale", default="scale"
        Factor of the dot products or squared distances; "scale" is
        1 / (columns x variance) of the rows that the machine was fitted on.
    coef0 : float, default=0.0
        The constant r of the polynomial and the sigmoid kernel.
    degree : int, default=3
        Of the polynomial kernel.

    Notes
    -----
    A grid that shares each kernel matrix between all values of C, which this replaces,
    was faster by another factor of 1.4 (polynomial, RBF, sigmoid) or not at all
    (linear, where the solver takes the time), and needed a grid search of its own.
    scikit-learn-intelex's ``SVC`` takes as much CPU time as scikit-learn's on these
    rows and predicts other classes in 12 of 60 settings.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import SVC
    >>> X = np.array([[0, 0], [1, 1], [0, 1]])
    >>> SVC(C=10, kernel=DenseKernel("rbf")).fit(X, [0, 1, 0]).predict([[1, 1]])
    array([1])
    """

    name: str = "rbf"
    gamma: float | Literal["scale"] = "scale"
    coef0: float = 0.0
    degree: int = 3

    def __post_init__(self) -> None:
        check_choice("kernel", self.name, KERNELS)

    def __call__(self, X: ArrayLike, X_fit: ArrayLike) -> NDArray:
        """Return the kernel's value for each pair of rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Rows; a dense table.
        X_fit : array-like of shape (n_fit, n_columns)
            The rows that the machine was fitted on.

        Returns
        -------
        numpy.ndarray of shape (n_rows, n_fit)
        """
        X, X_fit = np.asarray(X, float), np.asarray(X_fit, float)
        gamma = self.gamma
        if gamma == "scale":
            gamma = 1 / (X_fit.shape[1] * X_fit.var() or 1)
        hyperparameters = {"gamma": gamma, "coef0": self.coef0, "degree": self.degree}
        with np.errstate(over="ignore"):
            values = pairwise_kernels(
                X, X_fit, metric=self.name, filter_params=True, **hyperparameters
            )
        largest = np.abs(values).max(initial=0)
        if not largest <= LARGEST:
            raise InputError(
                f"the values of {self} go up to {largest:.1e}, and above"
                f" {LARGEST:.0e} no machine can be fitted to them in double precision:"
                " scale the columns (sklearn.preprocessing.StandardScaler), or lower"
                " gamma or degree"
            )
        return values


class SupportVectorMachine(SVC):
    """scikit-learn's ``SVC`` with an end: a limit of iterations, and Ctrl-C at once.

    Columns that are not scaled can keep libsvm busy for ever, and while it works Python
    takes no signal.  A machine that reaches the limit warns (``ConvergenceWarning``)
    and says to scale the columns.

    Parameters
    ----------
    C, kernel, degree, gamma, coef0, shrinking, probability, tol, cache_size : optional
        As for ``sklearn.svm.SVC``.
    class_weight, verbose : optional
        As for ``sklearn.svm.SVC``.
    max_iter : int, default=-1
        -1 is libsvm's own limit, :data:`MAX_ITER`; scikit-learn takes it away.
    decision_function_shape, break_ties, random_state : optional
        As for ``sklearn.svm.SVC``.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0, 0], [1, 1], [0, 1]])
    >>> SupportVectorMachine(C=10, kernel="linear").fit(X, [0, 1, 0]).predict([[1, 1]])
    array([1])
    """

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> SupportVectorMachine:
        """Fit the machine in a thread, so that an interrupt is not kept waiting.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
            Classes.
        sample_weight : array-like of shape (n_rows,), optional

        Returns
        -------
        SupportVectorMachine
            Itself.
        """
        asked, settings = self.get_params()["max_iter"], get_config()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                with config_context(**settings):  # scikit-learn keeps them by thread
                    super(SupportVectorMachine, self).fit(X, y, sample_weight)
            except BaseException as error:
                failed.append(error)

        self.set_params(max_iter=MAX_ITER if asked == -1 else asked)
        thread = threading.Thread(target=work, daemon=True)  # dies with the process
        try:
            thread.start()
            while thread.is_alive():
                thread.join(0.2)
        finally:
            self.set_params(max_iter=asked)
        if failed:
            raise failed[0]
        return self


def printed_models(target: str) -> dict[str, SupportVectorMachine]:
    """Return the study's support vector machines: each kernel with its optimal C.

    Parameters
    ----------
    target : {"COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON"}
        What they predict; the study prints C for COMPLETED and NOPRIOR, and the other
        two take those of NOPRIOR.

    Returns
    -------
    dict of str to SupportVectorMachine
        By kernel.
    """
    costs = PRINTED_C["COMPLETED" if target == "COMPLETED" else "NOPRIOR"]
    kernels = {name: DenseKernel(name, coef0=OFFSET) for name in KERNELS}
    return {
        name: SupportVectorMachine(C=costs[name], kernel=kernel)
        for name, kernel in kernels.items()
    }
