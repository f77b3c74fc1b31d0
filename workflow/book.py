"""Build the book: check what was asked, then let Snakemake run what has changed.

``make book`` calls it; ``python workflow/book.py --help`` lists what can be changed.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import plan
from execute import check_kernel

from sudlib.files import InputError

ROOT = plan.ROOT


def arguments_of(words=None):
    """Return the parsed command line; empty values (make's unset ones) are dropped."""
    profiles = " or ".join(plan.PROFILES)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="", help=profiles)
    parser.add_argument("--data", default="", help='"twin", "teds-d-2018" or a file')
    parser.add_argument("--kernel", default="", help="a Jupyter kernel (sudlib)")
    parser.add_argument("--jobs", default="", help="CPU cores to use (all)")
    parser.add_argument("--only", default="", help="these notebooks, and no site")
    parser.add_argument("--dry-run", action="store_true", help="say what would run")
    given = parser.parse_args(words)
    given.profile = given.profile or "quick"
    given.kernel = given.kernel or "sudlib"
    given.jobs = given.jobs or str(os.cpu_count())
    if given.profile not in plan.PROFILES:
        raise InputError(f"PROFILE must be {profiles}, not {given.profile!r}")
    if not given.jobs.isdigit() or given.jobs == "0":
        raise InputError(
            f"JOBS must be a whole number of CPU cores, not {given.jobs!r}"
        )
    names = [name.strip() for name in given.only.split(",") if name.strip()]
    # Between spaces, too, where no name has one.
    known = set(names) <= set(plan.NOTEBOOKS)
    given.only = names if known else given.only.replace(",", " ").split()
    for name in given.only:
        if name not in plan.NOTEBOOKS:
            raise InputError(
                f"NOTEBOOK must be of {', '.join(plan.NOTEBOOKS)}, not {name!r}"
            )
    if given.data:
        from sudlib import records  # pandas and pyarrow: only when needed

        kind, place = records.door(given.data)
        if kind in ("file", "folder"):
            # Links stay: one that points at another file is still the same source.
            given.data = os.path.abspath(place)
    given.parameters = {"data": given.data} if given.data else {}
    plan.check(given.profile, given.parameters)
    check_kernel(given.kernel)
    return given


def output_folder(given):
    """Return the folder of a profile and a data source: none overwrites another."""
    name = given.profile
    if given.data not in ("", "twin"):
        stem = re.sub(r"[^\w.-]", "_", Path(given.data).stem)
        if Path(given.data).is_absolute():
            stem += "-" + hashlib.sha256(given.data.encode()).hexdigest()[:8]
        name += f"-{stem}"
    return Path("_build") / name


@contextmanager
def alone():
    """Hold the build's lock, or say that another build is running."""
    import fcntl

    path = ROOT / "_build" / "lock"
    try:
        path.parent.mkdir(exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written to ({error.strerror}): make the book in"
            " a copy of the checkout that is yours"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another `make book` is running here; wait until it has ended"
            ) from None
        yield


def clear_surroundings():
    """Change the variables of this process and of those it starts.

    Snakemake's settings of other projects are left out, and where the caller's home
    cannot be written to, caches are kept in ``_build/home``.
    """
    for name in [name for name in os.environ if name.startswith("SNAKEMAKE_")]:
        del os.environ[name]
    path = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    os.environ["PATH"] = os.pathsep.join(path)
    moved = []
    for name, place in (
        ("XDG_CACHE_HOME", "~/.cache"),
        ("IPYTHONDIR", "~/.ipython"),
        ("JUPYTER_RUNTIME_DIR", "~/.local/share/jupyter/runtime"),
        ("MPLCONFIGDIR", "~/.config/matplotlib"),
        ("KERAS_HOME", "~/.keras"),
    ):
        if not is_writable(Path(os.environ.get(name) or place).expanduser()):
            own = ROOT / "_build" / "home" / name.lower()
            is_writable(own)  # makes it
            os.environ[name] = str(own)
            moved.append(name)
    if moved:
        print(
            f"make book: HOME ({Path.home()}) cannot be written to, so that"
            f" {', '.join(moved)} are set to folders below _build/home; set HOME to a"
            " folder of yours to keep what is downloaded",
            file=sys.stderr,
        )


def is_writable(folder):
    """Return whether a file can be made in a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def snakemake(given, out, *more):
    """Call Snakemake and return its exit status."""
    settings = [f"out={out.as_posix()}", f"profile={given.profile}"]
    settings += [f"kernel={given.kernel}"]
    settings += [f"given={json.dumps(given.parameters)}"]
    target = [f"{out.as_posix()}/executed/{name}.ipynb" for name in given.only]
    quiet = ["rules", "host"] + ([] if "--dry-run" in more else ["progress"])
    return subprocess.run(
        [
            sys.executable, "-m", "snakemake", *target, *more,
            "--snakefile", str(ROOT / "Snakefile"), "--directory", str(ROOT),
            "--cores", given.jobs, "--rerun-incomplete",
            # The lock of this script is held: Snakemake's own can only be a dead
            # run's, and is taken away first.
            "--quiet", *quiet, "--config", *settings,
        ],
    ).returncode  # fmt: skip


def get_open_studies(notebooks):
    """Download the open studies that some notebooks use, once; say so if it fails.

    What cannot be had is not asked for again, page by page: these show what was
    recorded.
    """
    wanted = dict.fromkeys(
        study for name in notebooks for study in plan.uses_open_studies(name)
    )
    if not wanted:
        return
    from sudlib import trials

    if os.environ.get(trials.VARIABLE) == trials.RECORDED:
        return
    try:
        for study in wanted:
            trials.fetch(study)
    except trials.NotAtHand as error:
        os.environ[trials.VARIABLE] = trials.RECORDED
        print(
            f"\nmake book: {error}\nThe pages on real people show recorded results, and"
            " say so.\n"
        )


def main(words=None):
    """Run the command line; return the exit status."""
    clear_surroundings()
    try:
        given = arguments_of(words)
        out = output_folder(given)
        if given.dry_run:
            return snakemake(given, out, "--dry-run")
        with alone():
            if any((ROOT / ".snakemake" / "locks").glob("*")):
                snakemake(given, out, "--unlock")
            for old in (ROOT / out).glob("logs/*.error"):
                old.unlink()
            get_open_studies(given.only or plan.NOTEBOOKS)
            status = snakemake(given, out)
    except InputError as error:
        print(f"\nmake book: {error}\n", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        status = 130
    if status:
        errors = [
            path.read_text() for path in sorted((ROOT / out).glob("logs/*.error"))
        ]
        print(
            "\nmake book: not finished.",
            *errors or ["What stopped it is said above."],
            f"Finished notebooks are kept in {out}: the next `make book` goes on there."
            "\n",
            sep="\n",
            file=sys.stderr,
        )
        return 1
    if not given.only:
        page = ROOT / "_build" / "html" / "index.html"
        print(f"\nThe book is built. Its first page: {page}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
