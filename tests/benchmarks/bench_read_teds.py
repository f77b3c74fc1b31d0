"""Read a full-size TEDS-D file: ``teds.read`` beside pandas, pyarrow and polars.

    python tests/benchmarks/bench_read_teds.py [--rows N] [--repeats N]

The file is a made-up 2019 of official size (1,722,503 rows, 76 columns), drawn by the
twin and written by ``teds.write`` into a temporary folder, which is deleted again.
Each reading runs in a process of its own; its peak memory is what the process used at
most, less what it used after the imports.  All readers take turns, so that they meet
the same machine; the medians are compared.  ``teds.read`` also checks every code, looks
for repeated cases and takes the SHA-256.  pandas has its defaults; pyarrow and polars
are told the type of every column, and give tables of their own, which nobody turns into
a frame of pandas.  polars is no part of the book's environment: without it its rows are
left out.
"""

import argparse
import importlib.util
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
{imports}
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
unit = 1 if sys.platform == "darwin" else 1024
with open({path!r}) as stream:
    header = stream.readline().strip().split(",")
kinds = {{name: teds.codebook.dtype(name) for name in header}}
columns = {columns!r}
before, started = peak(), time.perf_counter()
cpu = time.process_time()
frame = {call}
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
after = peak()
print(json.dumps({{"seconds": seconds, "cpu": cpu, "peak": (after - before) * unit,
                  "held": int({held}), "rows": len(frame), "total": int({total})}}))
"""

PANDAS = {
    "imports": "",
    "held": "frame.memory_usage(deep=True).sum()",
    "total": "frame.sum().sum()",
}
PYARROW = {
    "imports": "import pyarrow.compute, pyarrow.csv",
    "held": "frame.nbytes",
    "total": "sum(pyarrow.compute.sum(each).as_py() for each in frame.columns)",
    "call": (
        "pyarrow.csv.read_csv({place!r}, convert_options=pyarrow.csv.ConvertOptions("
        "column_types=kinds, include_columns=columns or header))"
    ),
}
POLARS = {
    "imports": "import polars",
    "held": "frame.estimated_size()",
    "total": ("sum(frame.select(polars.all().cast(polars.Int64).sum()).row(0))"),
    "call": (
        "polars.read_csv({place!r}, columns=columns or None, schema_overrides="
        "{{n: getattr(polars, k.title()) for n, k in kinds.items()}})"
    ),
}
READERS = {
    "teds.read": {**PANDAS, "call": "teds.read({place!r}, columns or None)"},
    "polars, types declared": POLARS,
    "pyarrow, types declared": PYARROW,
    "pandas.read_csv": {
        **PANDAS,
        "call": "pandas.read_csv({place!r}, usecols=columns or None)",
    },
}
COLUMNS = ["AGE", "SUB1", "SERVICES", "REASON"]
ZIPPED = "teds.read", "pandas.read_csv"


def python(code):
    """Run code in a process of its own; return what it reports."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def take_turns(readers, paths, repeats, columns=(), kind="path"):
    """Return reader -> medians of what it reports."""
    found = {name: [] for name in readers}
    for _ in range(repeats):
        for name in readers:
            words = READERS[name]
            call = words["call"].format(place=paths[kind])
            code = CHILD.format(
                **{**words, "call": call}, path=paths["path"], columns=[*columns]
            )
            found[name].append(python(code))
    totals = {(each["rows"], each["total"]) for runs in found.values() for each in runs}
    assert len(totals) == 1, f"they did not read the same: {totals}"
    return {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    }


def show(title, middle):
    """Print the medians of readers, the first of which the others are compared to."""
    heads = f"{'seconds':>9}{'ratio':>7}{'CPU s':>8}{'peak MB':>9}{'held MB':>9}"
    print(f"\n{title:24}{heads}")
    first = next(iter(middle.values()))["seconds"]
    for name, each in middle.items():
        memory = f"{each['peak'] / 1e6:9.0f}{each['held'] / 1e6:9.0f}"
        times = (
            f"{each['seconds']:9.2f}{each['seconds'] / first:7.2f}{each['cpu']:8.2f}"
        )
        print(f"{name:24}{times}{memory}")


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
    readers = list(READERS)
    if importlib.util.find_spec("polars") is None:
        readers.remove("polars, types declared")
        print("polars is not installed: its rows are left out")
    with tempfile.TemporaryDirectory() as folder:
        paths = {"path": f"{folder}/twin_2019.csv", "zip": f"{folder}/twin_2019.zip"}
        # In a process of its own too: a child's peak begins at its parent's size.
        written = python(WRITE.format(rows=given.rows, **paths))
        rows, columns = written["shape"]
        print(
            f"{rows:,} rows, {columns} columns, {written['bytes']:,} bytes, written in"
            f" {written['seconds']:.1f} s; medians of {given.repeats}, load"
            f" {os.getloadavg()[0]:.1f}"
        )
        show("whole year", take_turns(readers, paths, given.repeats))
        few = take_turns(readers, paths, given.repeats, COLUMNS)
        show("four columns", few)
        show("the zip", take_turns(ZIPPED, paths, 1, kind="zip"))


if __name__ == "__main__":
    main()
