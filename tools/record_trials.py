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

from sudlib import book
from sudlib.files import InputError


def record(result, folder):
    """Write what the book shows where a notebook's files are not at hand.

    Parameters
    ----------
    result : dict
        The notebook's result, computed from the files.
    folder : pathlib.Path
        Where to; the file is called as the notebook.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    sudlib.files.InputError
        If the result itself was shown from a record.
    """
    stamp, name = result["stamp"], result["notebook"]
    if any("recorded" in used["data"] for used in stamp["data"]):
        raise InputError(f"{name} was not computed: its result shows a recorded one")
    names = ("date", "commit", "data", "parameters", "versions", "minutes")
    content = {"notebook": name, **{key: stamp[key] for key in names}}
    content["tables"] = result["tables"]
    path = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def main(words=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, default=sources.DATA / "results/trials")
    given = parser.parse_args(words)
    for path in given.results:
        made = record(book.read_result(path), given.to)
        sys.stdout.write(f"{made.name} recorded\n")
    return 0


if __name__ == "__main__":
    sources.run(main)
