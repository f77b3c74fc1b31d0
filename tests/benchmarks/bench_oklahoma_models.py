"""The grids that share work beside one fit a setting, in one run.

python tests/benchmarks/bench_oklahoma_models.py [--full]

Rows: 2,500 made-up people, about 80 columns of 0 and 1, five folds.  The support vector
grid has four kernels, four values of C, two of gamma, two of r and two degrees.  The
peer (scikit-learn's SVC and forests, one fit a setting) runs one fold, or all with
``--full``; its predictions are compared one by one.

Where scikit-learn-intelex is installed (in an environment of its own: sudlib does not
depend on it), its SVC runs the same fold and its predictions are compared too.
Measured with 2026.2 beside scikit-learn 1.9.1, one fold on a busy machine: 15.3 s of
CPU against 14.4, and 12 of 60 settings predict other classes, for 485 of 30,000
predictions (431 of them with the polynomial kernel); so sudlib keeps scikit-learn's.
"""

import os
import sys
import time

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from sudlib import oklahoma, records


def timed(what):
    """Return what a function returns, seconds and CPU seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    found = what()
    return found, time.perf_counter() - start, time.process_time() - cpu


def with_intelex(parts, grid, theirs, seconds, cpu):
    """Return in words what scikit-learn-intelex's SVC takes and predicts."""
    try:
        from sklearnex.svm import SVC as Fast
    except ImportError:
        return "scikit-learn-intelex is not installed: not compared"

    def peer():
        return [
            [Fast(**s).fit(p.X_train, p.y_train).predict(p.X_test) for s in grid]
            for p in parts
        ]

    found, own_seconds, own_cpu = timed(peer)
    other = [
        int((np.array(a) != np.array(b)).sum())
        for one, two in zip(found, theirs, strict=True)
        for a, b in zip(one, two, strict=True)
    ]
    return (
        f"scikit-learn-intelex: {own_seconds:.1f} s ({own_cpu:.1f} s of CPU), ratio of"
        f" CPU to SVC {cpu / own_cpu:.1f}, on the clock {seconds / own_seconds:.1f};"
        f" {sum(n > 0 for n in other)} of {len(other)} fits predict otherwise,"
        f" {sum(other)} predictions in all"
    )


def main(full):
    """Print both sides, their ratio and how many predictions differ."""
    people = records.load("twin", years=(2019,), rows=2500)
    cohort = oklahoma.cohort(people, "COMPLETED", "published")
    keep = cohort.X.columns[np.argsort(-cohort.X.var().to_numpy())[:80]]
    cohort.__dict__["X"] = cohort.X[sorted(keep)]
    parts = oklahoma.splits(cohort, "none", folds=5)
    print(f"{len(cohort):,} people, {cohort.X.shape[1]} columns, {len(parts)} folds")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"{os.cpu_count()} cores, {busy:.1f} processes waiting for them before we start"
    )
    some = parts if full else parts[:1]
    grid = oklahoma.svm_candidates(
        gamma=("scale", 0.01), coef0=(-0.1, 1), degree=(2, 3)
    )

    ours, seconds, cpu = timed(lambda: [oklahoma.svm_grid(p, grid) for p in parts])
    print(
        f"SVM: {len(grid)} settings, all folds: {seconds:.1f} s on the clock"
        f" ({cpu:.1f} s of CPU); the goal is 60 s on two cores"
    )

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

    print(with_intelex(some, grid, theirs, peers_seconds, peers_cpu))

    grid = oklahoma.settings(
        {**oklahoma.FOREST_GRID, "max_depth": (None, 10), "min_samples_leaf": (1,)}
    )
    grid = [setting for setting in grid if setting["min_samples_split"] != 5]
    [part] = parts[:1]
    ours, seconds, cpu = timed(lambda: oklahoma.forest_grid(part, grid))
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
