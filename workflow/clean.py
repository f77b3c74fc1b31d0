"""Remove what was built; results that took an hour or more only when told to.

``make clean`` keeps the results and executed notebooks of long builds, and the shards
of study C; ``make clean-all`` removes them and the environment too, and asks first.
Runs on a bare Python: standard library only.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHES = (".snakemake", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis")
#: Minutes of computing that are not thrown away without being told.
DEAR = 60
#: What is kept of a build.
WORK = ("results", "executed")


def minutes(folder):
    """Return how long the results of a build took, in minutes."""
    total = 0.0
    for path in folder.glob("results/*.json"):
        try:
            total += json.loads(path.read_text(encoding="utf-8"))["stamp"]["minutes"]
        except (ValueError, KeyError, TypeError):
            continue  # damaged: it is worth nothing
    return total


def dear(build):
    """Return what below the folder of builds took long, each with the reason."""
    found = {
        folder: f"{minutes(folder) / 60:.1f} hours of computing"
        for folder in sorted(build.glob("*"))
        if folder.is_dir() and minutes(folder) >= DEAR
    }
    shards = build / "study_c"
    if any(shards.glob("*.csv")):
        found[shards] = "finished parts of the simulation study"
    return found


def clean(root, everything=False):
    """Remove what was built below a checkout; return what was kept, with the reason."""
    build = root / "_build"
    kept = {} if everything else dear(build)
    for path in build.glob("*"):
        if path not in kept:
            remove(path)
    for folder in kept:
        for path in folder.glob("*"):
            if folder.name != "study_c" and path.name not in WORK:
                remove(path)
    gone = [*CACHES, *([".venv"] if everything else [])]
    for name in [*gone, *([] if kept else ["_build"])]:
        remove(root / name)
    return kept


def remove(path):
    """Remove a file or a folder; a link, not what it points at."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main(words=None, root=ROOT):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="long results and .venv too")
    given = parser.parse_args(words)
    long = dear(root / "_build")
    if given.all and long:
        named = "".join(
            f"\n  {path.relative_to(root)}: {w}" for path, w in long.items()
        )
        print(f"This removes{named}")
        try:
            answer = input("Remove these too? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            print("Nothing was removed.")
            return 1
    for path, why in clean(root, given.all).items():
        print(f"kept {path.relative_to(root)} ({why}); make clean-all removes it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
