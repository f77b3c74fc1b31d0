"""Read a full-size TEDS-D file: ``teds.read`` beside ``pandas.read_csv``.

    python tests/benchmarks/bench_read_teds.py [--rows N] [--repeats N]

The file is a made-up 2019 of official size (1,722,503 rows, 76 columns), drawn by the
twin and written by ``teds.write`` into a temporary folder, which is deleted again.
Each reading runs in a process of its own; its peak memory is what the process used at
most, less what it used after the imports.  The two take turns, so that both meet
the same machine; the medians are compared.  ``teds.read`` also checks every code, looks
for repeated cases and takes the SHA-256; ``pandas.read_csv`` has its defaults.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

CHILD = """
import json, resource, sys, time
import pandas
from sudlib import teds
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
unit = 1 if sys.platform == "darwin" else 1024
before, started = peak(), time.perf_counter()
cpu = time.process_time()
frame = {call}
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
after = peak()
held = int(frame.memory_usage(deep=True).sum())
total = int(frame.sum().sum())
print(json.dumps({{"seconds": seconds, "cpu": cpu, "peak": (after - before) * unit,
                  "held": held, "rows": len(frame), "total": total}}))
"""

READERS = {
    "pandas.read_csv": "pandas.read_csv({path!r})",
    "teds.read": "teds.read({path!r})",
}
OTHERS = {
    "teds.read, 4 columns": (
        "teds.read({path!r}, ['AGE', 'SUB1', 'SERVICES', 'REASON'])"
    ),
    "pandas.read_csv, 4 columns": (
        "pandas.read_csv({path!r}, usecols=['AGE', 'SUB1', 'SERVICES', 'REASON'])"
    ),
    "teds.read of the zip": "teds.read({zip!r})",
    "pandas.read_csv of the zip": "pandas.read_csv({zip!r})",
}


def python(code):
    """Run code in a process of its own; return what it reports."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


WRITE = """
import json, os, time
from sudlib import teds, twin
frame = twin.sample(2019, {rows})
started = time.perf_counter()
teds.write(frame, {path!r})
seconds = time.perf_counter() - started
teds.write(frame, {zip!r})
print(json.dumps({{"seconds": seconds, "shape": frame.shape,
                  "bytes": os.path.getsize({path!r})}}))
"""


def main():
    """Write the file, read it by turns, print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="fewer rows than the official file")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = {"path": f"{folder}/twin_2019.csv", "zip": f"{folder}/twin_2019.zip"}
        # In a process of its own too: a child's peak begins at its parent's size.
        written = python(WRITE.format(rows=given.rows, **paths))
        print(
            f"{written['shape'][0]:,} rows, {written['shape'][1]} columns,"
            f" {written['bytes']:,} bytes, written in {written['seconds']:.1f} s"
        )
        found = {name: [] for name in READERS}
        for _ in range(given.repeats):
            for name, call in READERS.items():
                found[name].append(python(CHILD.format(call=call.format(**paths))))
        totals = {each["total"] for runs in found.values() for each in runs}
        assert len(totals) == 1, "the two did not read the same"
        middle = {
            name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for name, runs in found.items()
        }
        for name, call in OTHERS.items():
            middle[name] = python(CHILD.format(call=call.format(**paths)))
    print(
        f"medians of {given.repeats} (last four: once); load {os.getloadavg()[0]:.1f}"
    )
    print(f"{'':28}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}{'held MB':>9}")
    for name, each in middle.items():
        memory = f"{each['peak'] / 1e6:9.0f}{each['held'] / 1e6:9.0f}"
        print(f"{name:28}{each['seconds']:9.2f}{each['cpu']:9.2f}{memory}")
    theirs, ours = middle["pandas.read_csv"], middle["teds.read"]
    print(
        f"teds.read is {theirs['seconds'] / ours['seconds']:.1f} times as fast"
        f" ({theirs['cpu'] / ours['cpu']:.1f} by CPU time) with"
        f" 1/{theirs['peak'] / ours['peak']:.1f} of the peak memory"
    )


if __name__ == "__main__":
    main()
