"""Time the forests' parts side by side with their peers.

Usage: python tests/benchmarks/bench_forests.py [--records 300000] [--paper]
       [--threads 1 2]

Prints, measured in this one run: the stratified bootstrap against scikit-learn called
on every draw; scikit-learn's boosting against LightGBM with the same settings, with
their areas under the curve; and, with --paper, trees at the study's number of people,
from which the length of a run at paper size follows.
"""

import argparse
import os
import time

import lightgbm
import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from sudlib import encoding, forests, records, scores
from sudlib.forests import estimators
from sudlib.teds import cohorts


class Clock:
    """Wall and CPU seconds of a block."""

    def __enter__(self):
        self.begin = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.wall = time.perf_counter() - self.begin[0]
        self.cpu = time.process_time() - self.begin[1]


def bench_bootstrap(completed, score, draws=20):
    """Ours against the brute force on the same rows; the peer gets fewer draws."""
    with Clock() as ours:
        kept = scores.evaluate(completed, score, n_resamples=1000, band=False)
    positives, negatives = np.flatnonzero(completed), np.flatnonzero(~completed)
    with Clock() as peer:
        found = []
        for first, second in scores.resamples(completed, draws):
            rows = np.concatenate([positives[first], negatives[second]])
            y, s = completed[rows], score[rows]
            metrics.precision_recall_fscore_support(y, s >= 0.5, beta=0.5, pos_label=1)
            metrics.balanced_accuracy_score(y, s >= 0.5)
            found.append(metrics.average_precision_score(y, s))
    np.testing.assert_allclose(found, kept.draws["average_precision"][:draws])
    each, other = ours.cpu / 1000, peer.cpu / draws
    print(
        f"bootstrap of {len(score):,} rows: {1000 * each:.2f} ms a draw, scikit-learn"
        f" {1000 * other:.1f} ms: {other / each:.0f} times faster, same numbers"
    )


def bench_boosting(features, completed, parts, numbers_of_threads):
    """HistGradientBoosting against LightGBM with the same settings."""
    rows = []
    for threads in numbers_of_threads:
        peers = {
            "HistGradientBoosting": HistGradientBoostingClassifier(
                categorical_features="from_dtype",
                early_stopping=False,
                max_iter=200,
                max_leaf_nodes=15,
                learning_rate=0.1,
                random_state=33,
            ),
            "LightGBM": lightgbm.LGBMClassifier(
                n_estimators=200,
                num_leaves=15,
                learning_rate=0.1,
                n_jobs=threads,
                verbose=-1,
                random_state=33,
            ),
        }
        for name, model in peers.items():
            model = make_pipeline(encoding.NativeCategories(), model)
            with threadpool_limits(threads), Clock() as clock:
                model.fit(features.iloc[parts.fit], completed[parts.fit])
                score = model.predict_proba(features.iloc[parts.report])[:, 1]
            kept = scores.evaluate(completed[parts.report], score, n_resamples=200)
            rows.append(
                {
                    "model": name,
                    "threads": threads,
                    "wall s": clock.wall,
                    "CPU s": clock.cpu,
                    "PR area": str(kept.estimates["average_precision"]),
                    "kept": kept,
                }
            )
    table = pd.DataFrame(rows)
    gap = scores.difference(table["kept"][1], table["kept"][0], "average_precision")
    print(table.drop(columns="kept").round(2).to_string(index=False))
    ratio = table["CPU s"][0] / table["CPU s"][1]
    print(f"LightGBM takes 1/{ratio:.1f} of the CPU; its area is higher by {gap}")


def bench_paper(features, completed, trees=6):
    """Seconds a tree on the study's number of rows, for both encodings."""
    random = np.random.default_rng(33)
    rows = random.integers(0, len(features), 290_649)  # two folds of its 435,974
    total = 0.0
    for recipe in ("published", "repaired"):
        model = estimators.estimator(recipe, n_jobs=1)
        # Without repeated rows trees are deeper; a little noise has the same effect.
        truth = completed[rows] ^ (random.random(len(rows)) < 0.05)
        model.set_params(model__n_estimators=trees)
        with Clock() as clock:
            model.fit(features.iloc[rows], truth)
        nodes = np.mean([tree.tree_.node_count for tree in model[-1].estimators_])
        grid = estimators.grid(recipe)
        fits = forests.FOLDS * 10 * np.mean(grid["n_estimators"])
        total += fits * clock.cpu / trees
        print(
            f"{recipe}: {clock.cpu / trees:.2f} CPU s a tree of {nodes:,.0f} nodes;"
            f" 1,000 trees need {1000 * nodes * 80 / 1e9:.1f} GB; a search of"
            f" {fits:,.0f} trees {fits * clock.cpu / trees / 3600:.1f} CPU hours"
        )
    cores = os.cpu_count()
    print(f"both searches: about {total / 3600 / cores:.1f} hours on {cores} cores")


def main():
    """Run all of them on one draw of the twin."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--paper", action="store_true")
    # On a busy machine two threads of scikit-learn's boosting take minutes.
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    people = cohorts.general(records.load("twin", rows=given.records))
    features, _ = encoding.features(people)
    completed = cohorts.completed(people).to_numpy()
    print(f"{len(people):,} people, load {os.getloadavg()[0]:.1f} before the start")
    random = np.random.default_rng(1)
    truth = random.random(93_424) < 0.38
    bench_bootstrap(truth, random.beta(2 + truth, 3 - truth))
    parts = forests.split_general(completed)
    bench_boosting(features, completed, parts, given.threads)
    if given.paper:
        bench_paper(features, completed)


if __name__ == "__main__":
    main()
