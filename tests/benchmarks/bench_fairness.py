"""Measure the intervals of group measures beside fairlearn's bootstrap, in one run.

    python tests/benchmarks/bench_fairness.py [--rows 100000] [--fairlearn-draws 20]

Both judge nine binary group columns, each alone, on the same rows, on one core.
fairlearn runs fewer draws (its cost is proportional to them) and is scaled up.
Ours are bounds that hold for all groups at once, its are percentiles of a bootstrap;
for two large groups they agree.  Harder inputs follow: weights, five levels a column.
"""

import argparse
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # one core: set before numpy is imported

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from sudlib import fairness  # noqa: E402

SHARES = (0.33, 0.02, 0.63, 0.23, 0.37, 0.7, 0.25, 0.08, 0.02)


def make_rows(rows, seed=33):
    """Return true classes, predictions and nine group columns."""
    random = np.random.default_rng(seed)
    groups = pd.DataFrame(
        {
            f"group {place}": (random.random(rows) < share).astype(int)
            for place, share in enumerate(SHARES)
        }
    )
    true = (random.random(rows) < 0.4).astype(int)
    predicted = random.random(rows) < 0.3 + 0.2 * true + 0.05 * groups["group 0"]
    return true, predicted.astype(int).to_numpy(), groups


def time_ours(true, predicted, groups, families, draws, weight=None, times=3):
    """Return the seconds of one report, the best of three."""
    best = np.inf
    for _ in range(times):
        start = time.perf_counter()
        report = fairness.assess(
            true,
            predicted,
            sensitive_features=groups,
            sample_weight=weight,
            families=families,
            n_resamples=draws,
        )
        best = min(best, time.perf_counter() - start)
    return best, report


def time_fairlearn(true, predicted, groups, draws):
    """Return the seconds of fairlearn's bootstrap of the same three rates."""
    from fairlearn.metrics import (
        MetricFrame,
        false_positive_rate,
        selection_rate,
        true_positive_rate,
    )

    rates = {
        "selection_rate": selection_rate,
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
    }
    found = {}
    start = time.perf_counter()
    for name in groups:
        frame = MetricFrame(
            metrics=rates,
            y_true=true,
            y_pred=predicted,
            sensitive_features=groups[name],
            n_boot=draws,
            ci_quantiles=[0.025, 0.975],
            random_state=33,
        )
        found[name] = [end["selection_rate"] for end in frame.ratio_ci()]
    return time.perf_counter() - start, found


def main():
    """Print both times, their ratio and the widths of both intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--fairlearn-draws", type=int, default=20)
    given = parser.parse_args()
    rows = make_rows(given.rows)
    print(f"{given.rows:,} rows, nine group columns, {given.draws:,} draws, one core")
    ours, report = time_ours(*rows, ["each"], given.draws)
    print(f"sudlib, each column (18 groups, 6 measures):          {ours:8.2f} s")
    every, _ = time_ours(*rows, ["each", "pairs", "triples"], given.draws)
    print(f"sudlib, each, pairs and triples (834 groups):         {every:8.2f} s")
    random = np.random.default_rng(1)
    weight = random.random(given.rows)
    weighted, _ = time_ours(*rows, None, given.draws, weight, 1)
    print(f"sudlib, the same with real-valued weights:            {weighted:8.2f} s")
    levels = pd.DataFrame(random.integers(0, 5, (given.rows, 9)))
    five, _ = time_ours(*rows[:2], levels, None, given.draws, None, 1)
    print(f"sudlib, the same with five levels (11,445 groups):    {five:8.2f} s")
    theirs, found = time_fairlearn(*rows, given.fairlearn_draws)
    scaled = theirs * given.draws / given.fairlearn_draws
    print(
        f"fairlearn, each column ({given.fairlearn_draws} draws {theirs:.1f} s),"
        f" scaled to {given.draws:,}: {scaled:8.1f} s"
    )
    print(f"ratio, same groups:                                   {scaled / ours:8.0f}")
    table = report.by_variables.set_index(["measure", "variables"])
    table = table.loc["demographic_parity_ratio"]
    for name, (low, high) in found.items():
        print(
            f"  {name}: sudlib {table.loc[name, 'low']:.3f} to"
            f" {table.loc[name, 'high']:.3f}, fairlearn {low:.3f} to {high:.3f}"
        )


if __name__ == "__main__":
    main()
