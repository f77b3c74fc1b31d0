"""Study B's kernels and networks beside scikit-learn's and Keras's own, in one run.

python tests/benchmarks/bench_oklahoma_models.py [--networks]

Machines: ``SVC`` with a kernel of ours beside ``SVC`` with the same kernel of its own,
on one split of 2,500 made-up people in about 170 columns of 0 and 1.  One
thread each, as the book's kernel has it.  A grid that also shared each kernel matrix
between its values of C took 0.66, 0.75, 0.35 and 0.46 s of CPU for the four kernels,
where this took 0.68, 1.07, 0.57 and 0.78: too little for a grid search of our own.

Networks: one fit of several networks side by side beside one Keras fit each.  Measured:
48 networks in 8.4 s of CPU, one alone in 2.6 s, which is a factor of 15.

Where scikit-learn-intelex is installed (in an environment of its own: sudlib does not
depend on it), its SVC runs the same settings and its predictions are compared.
Measured with 2026.2 beside scikit-learn 1.9.1, on a busy machine: 15.3 s of CPU against
14.4, and 12 of 60 settings predict other classes; so sudlib keeps scikit-learn's.
"""

import itertools
import sys
import time

import numpy as np
from sklearn.model_selection import ParameterGrid
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from sudlib import oklahoma, records
from sudlib.oklahoma import networks

GAMMAS = ("scale", 0.01)


def timed(what):
    """Return what a function returns, seconds and CPU seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    answer = what()
    return answer, time.perf_counter() - start, time.process_time() - cpu


def machines(split):
    """Print both sides of each kernel, their ratio and how many predictions differ."""
    try:
        from sklearnex.svm import SVC as IntelSVC
    except ImportError:
        IntelSVC = None
        print("scikit-learn-intelex is not installed: not compared")
    print(
        f"\n{'kernel':10}{'settings':>9}{'machine':>14}{'CPU s':>8}{'ratio':>7}"
        f"{'other predictions':>19}"
    )
    values = {
        "linear": [{}],
        "poly": [
            {"gamma": gamma, "coef0": r, "degree": degree}
            for gamma, r, degree in itertools.product(
                ("scale", 0.01), (-0.1, 1), (2, 3)
            )
        ],
        "rbf": [{"gamma": gamma} for gamma in GAMMAS],
        "sigmoid": [
            {"gamma": gamma, "coef0": r}
            for gamma, r in itertools.product(GAMMAS, (-0.1, 1))
        ],
    }
    for name, settings in values.items():
        grid = list(itertools.product((0.1, 1, 10), settings))
        sides = {
            "DenseKernel": lambda C, s, name=name: SVC(
                C=C, kernel=oklahoma.DenseKernel(name, **s)
            ),
            "SVC": lambda C, s, name=name: SVC(C=C, kernel=name, **s),
        }
        if IntelSVC is not None:
            sides["intelex"] = lambda C, s, name=name: IntelSVC(C=C, kernel=name, **s)
        said, took = {}, {}
        for side, make in sides.items():
            said[side], _, took[side] = timed(
                lambda make=make, grid=grid: np.array(
                    [split.fit_predict(make(C, setting)) for C, setting in grid]
                )
            )
        for side, seconds in took.items():
            other = int((said[side] != said["SVC"]).sum())
            print(
                f"{name:10}{len(grid):9}{side:>14}{seconds:8.2f}"
                f"{seconds / took['DenseKernel']:7.2f}{other:19}"
            )


def side_by_side(split):
    """Print what networks take together and alone."""
    X = split.X_train.astype("float32")
    labels, code = np.unique(split.y_train, return_inverse=True)
    wanted = np.eye(len(labels), dtype="float32")[code]
    weight = np.ones(len(X), "float32")
    grid = [
        setting
        for setting in ParameterGrid(oklahoma.NETWORK_GRID)
        if setting["optimizer"] == "adam" and setting["loss"] == "mean_squared_error"
    ]
    together, seconds, cpu = timed(
        lambda: networks.fit_side_by_side(X, wanted, grid, weight, 33)(X)
    )
    print(f"{len(grid)} networks side by side: {seconds:.1f} s ({cpu:.1f} s of CPU)")
    for setting, scores in list(zip(grid, together, strict=True))[:3]:
        alone, seconds, cpu = timed(
            lambda setting=setting: networks.fit_side_by_side(
                X, wanted, [setting], weight, 33
            )(X)[0]
        )
        off = np.abs(alone - scores).max()
        print(f"one alone: {seconds:.1f} s ({cpu:.1f} s of CPU); off by {off:.1g}")


def main(arguments):
    """Print the comparison of machines, and of networks when asked."""
    people = records.load("twin", years=(2019,), rows=2500)
    cohort = oklahoma.make_cohort(people, "COMPLETED")
    [split] = oklahoma.make_splits(cohort, "none")
    print(f"{len(cohort):,} people, {cohort.X.shape[1]} columns")
    with threadpool_limits(1):
        machines(split)
    if "--networks" in arguments:
        side_by_side(split)


if __name__ == "__main__":
    main(sys.argv[1:])
