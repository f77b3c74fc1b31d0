"""How long a million rows of the twin take, beside the simplest sampler there is.

    python tests/benchmarks/bench_twin.py [--rows 1000000] [--repeats 3]

The peer draws every variable by itself from its frequencies with
``numpy.random.Generator.choice``: it has the margins and nothing else.  Both run on one
thread in processes of their own; peak memory is that of the whole process.
"""

import argparse
import os
import statistics
import subprocess
import sys

CHILD = """
import resource, sys, time
import numpy as np, pandas as pd
from sudlib import twin
from sudlib.teds import codebook
rows, kind = int(sys.argv[1]), sys.argv[2]
tables = {n: twin.margin(2018, n) for n in codebook.COLUMNS
          if n not in codebook.OPEN and n != "DISYR"}
twin.sample(2018, 1)  # reads the parameters
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter(), time.process_time()
if kind == "twin":
    frame = twin.sample(2018, rows)
else:
    rng = np.random.default_rng(33)
    frame = pd.DataFrame({
        name: rng.choice(codes, rows, p=counts / counts.sum())
        for name, (codes, counts) in tables.items()
    })
took = time.perf_counter() - began[0], time.process_time() - began[1]
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
print(took[0], took[1], peak, len(frame))
"""


def measure(kind, rows):
    """Return seconds on the clock, seconds of CPU and peak megabytes of one run."""
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(rows), kind],
        env=os.environ | one,
        capture_output=True,
        text=True,
        check=True,
    )
    clock, cpu, peak, _ = map(float, done.stdout.split())
    return clock, cpu, peak


def main():
    """Print the two side by side, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    found = {"twin": [], "margins only": []}
    for _ in range(chosen.repeats):  # by turns, so that both meet the same machine
        for kind, runs in found.items():
            runs.append(measure(kind, chosen.rows))
    print(f"{chosen.rows:,} rows, median of {chosen.repeats}, one thread")
    middle = {}
    for kind, runs in found.items():
        middle[kind] = [statistics.median(column) for column in zip(*runs, strict=True)]
        clock, cpu, peak = middle[kind]
        print(f"{kind:14} {clock:6.2f} s ({cpu:.2f} s of CPU), peak {peak:,.0f} MB")
    ratio = middle["twin"][1] / middle["margins only"][1]
    print(f"CPU time of the twin over that of drawing the margins alone: {ratio:.2f}")


if __name__ == "__main__":
    main()
