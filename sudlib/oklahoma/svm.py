"""The models of study B: kernels, trees, forests and a small network.

Everything is scikit-learn's and Keras's.  What stands here is which rows, balanced when
(:func:`splits`: before the split, as published, or inside it), and grids that do shared
work once: one matrix of dot products for all kernels, one forest for all its sizes,
many networks in one fit.
Taught in the notebooks *How well do kernels predict completion?* and *Do trees, forests
and networks do better?*.
"""

import itertools

import numpy as np
from joblib import Parallel, delayed
from sklearn.svm import SVC

from sudlib.files import InputError

KERNELS = ("linear", "poly", "rbf", "sigmoid")


COSTS = (0.1, 1, 10, 100)
"""The values of C of section 6.5."""


OFFSET = -0.1
"""The study's r (section 11: "r = -0.1, gamma = scale")."""


PRINTED_C = {
    "COMPLETED": {"linear": 0.1, "poly": 10, "rbf": 10, "sigmoid": 1},
    "NOPRIOR": {"linear": 10, "poly": 1, "rbf": 10, "sigmoid": 1},
}
"""The optimal C of each kernel in the tables of sections 6.6 and 6.7."""


# Which parameters a kernel has.
_PARAMETERS = {
    "linear": (),
    "poly": ("gamma", "coef0", "degree"),
    "rbf": ("gamma",),
    "sigmoid": ("gamma", "coef0"),
}


# ----------------------------------------------------------- support vector machines


def svm_candidates(
    kernels=KERNELS, C=COSTS, gamma=("scale",), coef0=(OFFSET,), degree=(3,)
):
    """Return the settings of a grid; a kernel varies only the parameters it has.

    Examples
    --------
    >>> [len(svm_candidates([kernel], degree=(2, 3))) for kernel in KERNELS]
    [4, 8, 4, 4]
    """
    values = {"gamma": gamma, "coef0": coef0, "degree": degree}
    found = []
    for kernel in kernels:
        if kernel not in _PARAMETERS:
            raise InputError(
                f"a kernel must be one of {', '.join(KERNELS)}, not {kernel!r}"
            )
        own = _PARAMETERS[kernel]
        for setting in itertools.product(*(values[name] for name in own)):
            found += [
                {"kernel": kernel, "C": cost, **dict(zip(own, setting, strict=True))}
                for cost in C
            ]
    return found


def gram(dots, left, right, *, kernel, gamma=1.0, coef0=0.0, degree=3):
    """Return a kernel's values from dot products, scikit-learn's formulas.

    Parameters
    ----------
    dots : numpy.ndarray of shape (n, m)
        Dot products of two sets of rows.
    left, right : numpy.ndarray of shape (n,) and (m,)
        Dot products of each row with itself.
    kernel : {"linear", "poly", "rbf", "sigmoid"}
    gamma, coef0 : float
    degree : int

    Returns
    -------
    numpy.ndarray of shape (n, m)
    """
    if kernel == "linear":
        return dots
    if kernel == "rbf":
        return np.exp(-gamma * (left[:, None] + right[None, :] - 2 * dots))
    raised = gamma * dots + coef0
    return np.tanh(raised) if kernel == "sigmoid" else raised**degree


def scale(X):
    """Return what gamma="scale" means for these rows: 1 / (columns · variance)."""
    variance = X.var()
    return 1.0 / (X.shape[1] * variance) if variance else 1.0


def svm_grid(split, candidates, *, sample_weight=None, seed=None, n_jobs=2):
    """Return the predictions of every setting of a grid for a split's test rows.

    The dot products are worked out once; each kernel is a function of them, and all
    values of C share one kernel matrix.  The machine itself is scikit-learn's ``SVC``,
    so the predictions are those of ``SVC`` on the rows.

    Parameters
    ----------
    split : Split
    candidates : list of dict
        From :func:`svm_candidates`.
    sample_weight : array-like, optional
        Of the training rows.
    seed : int, optional
        For the other grids; a support vector machine draws nothing.
    n_jobs : int, default=2
        Threads.

    Returns
    -------
    numpy.ndarray of str, shape (settings, test rows)

    Notes
    -----
    scikit-learn-intelex's SVC is not used: on 2,500 rows of 80 columns it takes as much
    CPU time as scikit-learn's, and predicts other classes in 12 of 60 settings, most of
    them with the sigmoid and the polynomial kernel
    (``bench_oklahoma_models.py`` compares the two where it is installed).
    """
    if not candidates:
        raise InputError("the grid has no settings")
    train, test = split.X_train, split.X_test
    within, across = train @ train.T, test @ train.T
    own = np.diag(within)
    theirs = np.einsum("ij,ij->i", test, test)
    shared = {}
    for place, setting in enumerate(candidates):
        kernel = tuple(sorted((k, v) for k, v in setting.items() if k != "C"))
        shared.setdefault(kernel, []).append((place, setting["C"]))
    weights = "balanced" if split.weighted else None

    def run(setting, costs):
        setting = dict(setting)
        if setting.get("gamma") == "scale":
            setting["gamma"] = scale(train)
        matrix = gram(within, own, own, **setting)
        rows = gram(across, theirs, own, **setting)
        found = []
        for place, cost in costs:
            machine = SVC(
                kernel="precomputed", C=cost, class_weight=weights, cache_size=500
            ).fit(matrix, split.y_train, sample_weight=sample_weight)
            found.append((place, machine.predict(rows)))
        return found

    # The slowest first: the linear kernel with a large C.
    done = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(run)(setting, costs) for setting, costs in shared.items()
    )
    found = np.empty((len(candidates), len(test)), split.y_train.dtype)
    for place, predicted in itertools.chain.from_iterable(done):
        found[place] = predicted
    return found
