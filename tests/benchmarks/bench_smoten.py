"""SMOTEN's fast path beside imbalanced-learn's, in one run.

python tests/benchmarks/bench_smoten.py [rows ...]

Each side runs in a process of its own, so that its peak memory is its own.  By default
2,500, 5,000 and 33,000 rows of 60 columns of 0 and 1, one third in the small class;
imbalanced-learn is left out above 10,000 rows unless ``--all`` is given: it needs
minutes and gigabytes there.
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np

COLUMNS, LIMIT = 60, 10_000


def records(rows):
    """Return columns of 0 and 1 and two classes, one third in the small one."""
    random = np.random.default_rng(0)
    y = (random.random(rows) < 1 / 3).astype(int)
    shares = random.uniform(0.05, 0.5, COLUMNS)
    shift = 0.1 * random.normal(size=COLUMNS)
    chance = np.clip(shares + np.outer(y, shift), 0.02, 0.98)
    return (random.random((rows, COLUMNS)) < chance).astype(np.int8), y


def measure(side, rows):
    """Print seconds, CPU seconds, peak memory and made-up rows of one side as JSON."""
    from sudlib.smoten import SMOTEN

    X, y = records(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    made, _ = SMOTEN(random_state=0, method=side).fit_resample(X, y)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "cpu": time.process_time() - cpu,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
                "before": before / 1e6,
                "made": len(made) - rows,
            }
        )
    )


def main(arguments):
    """Print a table of both sides and their ratio."""
    everything = "--all" in arguments
    sizes = [int(word) for word in arguments if word.isdigit()] or [2500, 5000, 33_000]
    print(
        f"{'rows':>8} {'side':>17} {'seconds':>8} {'CPU':>7} {'peak GB':>8} {'made':>7}"
    )
    for rows in sizes:
        found = {}
        for side in ("fast", "imbalanced-learn"):
            if side != "fast" and rows > LIMIT and not everything:
                continue
            done = subprocess.run(
                [sys.executable, __file__, "--one", side, str(rows)],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                print(f"{rows:>8,} {side:>17} {done.stderr.strip().splitlines()[-1]}")
                continue
            found[side] = one = json.loads(done.stdout)
            print(
                f"{rows:>8,} {side:>17} {one['seconds']:>8.2f} {one['cpu']:>7.2f}"
                f" {one['peak']:>8.2f} {one['made']:>7,}"
            )
        if len(found) == 2:
            ratio = found["imbalanced-learn"]["cpu"] / found["fast"]["cpu"]
            print(f"{rows:>8,} {'ratio of CPU':>17} {ratio:>16.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1:])
