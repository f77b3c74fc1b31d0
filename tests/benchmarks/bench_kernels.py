"""The grids that share work beside one fit a setting, in one run.

python tests/benchmarks/bench_kernels.py [--full]

Rows: 2,500 made-up people, about 80 columns of 0 and 1, five folds.  The support vector
grid has four kernels, four values of C, two of gamma, two of r and two degrees.  The
peer (scikit-learn's SVC and forests, one fit a setting) runs one fold, or all with
``--full``; its predictions are compared one by one.
"""

import sys
import time

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from sudlib import bias, kernels, records


def timed(what):
    """Return what a function returns, seconds and CPU seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    found = what()
    return found, time.perf_counter() - start, time.process_time() - cpu


def main(full):
    """Print both sides, their ratio and how many predictions differ."""
    people = records.load("twin", years=(2019,), rows=2500)
    cohort = bias.cohort(people, "COMPLETED", "published")
    keep = cohort.X.columns[np.argsort(-cohort.X.var().to_numpy())[:80]]
    cohort.__dict__["X"] = cohort.X[sorted(keep)]
    parts = kernels.splits(cohort, "none", folds=5)
    print(f"{len(cohort):,} people, {cohort.X.shape[1]} columns, {len(parts)} folds")
    some = parts if full else parts[:1]
    grid = kernels.svm_candidates(gamma=("scale", 0.01), coef0=(-0.1, 1), degree=(2, 3))

    ours, seconds, cpu = timed(lambda: [kernels.svm_grid(p, grid) for p in parts])
    print(f"SVM: {len(grid)} settings, all folds: {seconds:.1f} s ({cpu:.1f} s of CPU)")

    def peer():
        return [
            [SVC(**s).fit(p.X_train, p.y_train).predict(p.X_test) for s in grid]
            for p in some
        ]

    theirs, peers_seconds, peers_cpu = timed(peer)
    share = len(parts) / len(some)
    wrong = sum(
        int((np.array(b) != a).sum()) for a, b in zip(ours, theirs, strict=False)
    )
    print(
        f"SVC alone, {len(some)} fold(s): {peers_seconds:.1f} s ({peers_cpu:.1f} s of"
        f" CPU); ratio of CPU {share * peers_cpu / cpu:.1f}; {wrong} predictions differ"
    )

    grid = kernels.settings(
        {**kernels.FOREST_GRID, "max_depth": (None, 10), "min_samples_leaf": (1,)}
    )
    grid = [setting for setting in grid if setting["min_samples_split"] != 5]
    [part] = parts[:1]
    ours, seconds, cpu = timed(lambda: kernels.forest_grid(part, grid))
    print(f"Forests: {len(grid)} settings, one fold: {seconds:.1f} s ({cpu:.1f} CPU)")

    def forests():
        return [
            RandomForestClassifier(random_state=33, **setting)
            .fit(part.X_train, part.y_train)
            .predict(part.X_test)
            for setting in grid
        ]

    theirs, peers_seconds, peers_cpu = timed(forests)
    wrong = int((np.array(theirs) != ours).sum())
    print(
        f"One forest a setting: {peers_seconds:.1f} s ({peers_cpu:.1f} CPU); ratio of"
        f" CPU {peers_cpu / cpu:.1f}; {wrong} predictions differ"
    )


if __name__ == "__main__":
    main("--full" in sys.argv[1:])
