"""Record what the pages on real people compute, for machines without the files.

    python tools/record_trials.py _build/quick/results/d02_three_trials.json ...

Takes result files of runs that had the files (``SUDLIB_OPEN_DATA`` names a folder with
them) and writes ``data/results/trials/``: sums and estimates with their provenance, no
row of a person.
"""

import argparse
import json
import sys
from pathlib import Path

import sources

from sudlib import trials


def main(words=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, default=sources.DATA / "results/trials")
    given = parser.parse_args(words)
    for path in given.results:
        made = trials.record(json.loads(path.read_text("utf-8")), given.to)
        sys.stdout.write(f"{made.name} recorded\n")
    return 0


if __name__ == "__main__":
    sources.run(main)
