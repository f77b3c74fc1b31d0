"""Count the discharges of all years: ``teds.Archive`` beside ``pandas.read_parquet``.

    python tests/benchmarks/bench_archive.py [--rows N]

Five made-up years of official size (7,928,437 rows of 76 columns), written once into a
temporary folder.  Each way runs in a process of its own, the best of three by CPU time;
the memory is what it used at most, less what it used after its imports.  The limit is
reading the bytes of the columns asked for.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, resource, sys, time
import pandas
from sudlib import teds
archive = teds.Archive({folder!r})
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
unit = 1 if sys.platform == "darwin" else 1024
before, cpu, wall = peak(), time.process_time(), time.perf_counter()
{call}
print(json.dumps({{"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
                  "peak": (peak() - before) * unit, "rows": int(counts.sum())}}))
"""
WRITE = """
from sudlib import teds, twin
archive = teds.Archive({folder!r})
for year in range(2015, 2020):
    archive.add(twin.sample(year, {rows}))
print(0)
"""
ASKED = '["DISYR", "STFIPS", "REASON"]'
WHERE = '{"SERVICES": (6, 7, 8), "METHUSE": 2}'
WAYS = {
    "Archive.count": f"counts = archive.count({ASKED}, {WHERE}).records",
    "pandas, columns asked for": (
        "frame = pandas.read_parquet(archive.folder, columns=['DISYR', 'STFIPS',"
        " 'REASON', 'SERVICES', 'METHUSE'])\n"
        "frame = frame[frame.SERVICES.isin((6, 7, 8)) & (frame.METHUSE == 2)]\n"
        "counts = frame.groupby(['DISYR', 'STFIPS', 'REASON'], observed=True).size()"
    ),
    "pandas, whole files": (
        "frame = pandas.read_parquet(archive.folder)\n"
        "frame = frame[frame.SERVICES.isin((6, 7, 8)) & (frame.METHUSE == 2)]\n"
        "counts = frame.groupby(['DISYR', 'STFIPS', 'REASON'], observed=True).size()"
    ),
}


def python(code):
    """Run code in a process of its own; return what it reports."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def main():
    """Write the archive, count in every way, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="of each year; default: all")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python(WRITE.format(folder=folder, rows=given.rows))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        print(f"{size / 1e6:,.0f} MB on disk; study A's cohort by year, state, outcome")
        best = {}
        for name, call in WAYS.items():
            runs = [python(CHILD.format(folder=folder, call=call)) for _ in range(3)]
            best[name] = min(runs, key=lambda run: run["cpu"])
    assert len({each["rows"] for each in best.values()}) == 1, "they did not agree"
    print(f"{'':28}{'CPU s':>8}{'wall s':>8}{'MB':>8}{'ratio':>8}")
    ours = best["Archive.count"]
    for name, each in best.items():
        ratio = each["cpu"] / ours["cpu"]
        print(
            f"{name:28}{each['cpu']:8.2f}{each['wall']:8.2f}"
            f"{each['peak'] / 1e6:8,.0f}{ratio:8.1f}"
        )


if __name__ == "__main__":
    main()
