"""Build the book: check what was asked, then let Snakemake run what has changed.

``make book`` calls it; ``python workflow/book.py --help`` lists what can be changed.
"""

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import plan
from execute import check_kernel

from sudlib import book, parallel
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
    parser.add_argument("--threads", default="", help="threads of each notebook (1)")
    parser.add_argument("--only", default="", help="these notebooks, and no site")
    parser.add_argument("--scheduler", default="", help="of Dask, tcp://host:port")
    parser.add_argument("--dry-run", action="store_true", help="say what would run")
    given = parser.parse_args(words)
    given.profile = given.profile or "quick"
    given.kernel = given.kernel or "sudlib"
    given.jobs = given.jobs or str(cores())
    given.threads = given.threads or "1"
    given.scheduler = given.scheduler or os.environ.get(parallel.VARIABLE, "")
    if given.profile not in plan.PROFILES:
        raise InputError(f"PROFILE must be {profiles}, not {given.profile!r}")
    for name, what in (("jobs", "CPU cores"), ("threads", "threads")):
        number = getattr(given, name)
        if not number.isdecimal() or int(number) < 1:
            raise InputError(
                f"{name.upper()} must be a whole number of {what}, not {number!r}"
            )
    names = [name.strip() for name in given.only.split(",") if name.strip()]
    # Between spaces, too, where no name has one.
    known = set(names) <= set(plan.NOTEBOOKS)
    given.only = names if known else given.only.replace(",", " ").split()
    for name in given.only:
        plan.check_name(name)
    if given.data:
        from sudlib import records, teds  # pandas and pyarrow: only when needed

        kind, place = records.door(given.data)
        # Before anything starts: no table raises, and one that no page takes, too.
        if kind == "file" and not teds.is_discharges(place):
            check_extract(place)
        if kind in ("file", "folder"):
            # Links stay: one that points at another file is still the same source.
            given.data = os.path.abspath(place)
    given.parameters = {"data": given.data} if given.data else {}
    plan.check(given.profile, given.parameters)
    check_kernel(given.kernel)
    if given.scheduler:
        with parallel.use(given.scheduler):  # here, before hours are spent
            os.environ[parallel.VARIABLE] = given.scheduler
    return given


def check_extract(place):
    """Raise if a table that is not of TEDS-D has no column of a diabetes extract."""
    import pandas as pd

    from sudlib.policy import cprd
    from sudlib.teds import codebook

    header = pd.read_csv(place, nrows=0, index_col=False, encoding_errors="replace")
    if header.columns.str.strip().isin(cprd.schema().index).any():
        return  # what else is wrong with it, its page says
    raise InputError(
        f"{place.name} is no file that a page can take: its columns"
        f" ({', '.join(header.columns[:6])[:200]}) are neither those of TEDS-D"
        f" ({', '.join(codebook.COLUMNS[:3])} …) nor those of a diabetes extract"
        f" ({', '.join(cprd.schema().index[:3])} …)"
    )


def cores():
    """Return how many CPU cores this process may use (a container may allow fewer)."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count()


def output_folder(given):
    """Return the folder of a profile and a data source: none overwrites another."""
    name = given.profile
    if given.data not in ("", "twin"):
        stem = re.sub(r"[^\w.-]", "_", Path(given.data).stem)
        if Path(given.data).is_absolute():
            stem += "-" + hashlib.sha256(given.data.encode()).hexdigest()[:8]
        name += f"-{stem}"
    return Path("_build") / name


def site_folder(out):
    """Return where the site of a build goes: none overwrites another."""
    return out.parent if out.name == "quick" else out


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
    settings = [f"out={out.as_posix()}", f"site={site_folder(out).as_posix()}"]
    settings += [f"profile={given.profile}", f"threads={given.threads}"]
    settings += [f"kernel={given.kernel}"]
    settings += [f"given={json.dumps(given.parameters)}"]
    target = [f"{out.as_posix()}/executed/{name}.ipynb" for name in given.only]
    quiet = ["rules", "host"] + ([] if "--dry-run" in more else ["progress"])
    return call(
        [
            sys.executable, "-m", "snakemake", *target, *more,
            "--snakefile", str(ROOT / "Snakefile"), "--directory", str(ROOT),
            "--cores", given.jobs, "--rerun-incomplete",
            # One that cannot be run keeps none of the others from it.
            "--keep-going",
            # By priority alone, and so always in the same order.
            "--scheduler", "greedy",
            # The lock of this script is held: Snakemake's own can only be a dead
            # run's, and is taken away first.
            "--quiet", *quiet, "--config", *settings,
        ],
    )  # fmt: skip


def call(command):
    """Run a command and all that it starts; leave none of them behind.

    It gets a group of its own, which ends with it, also where this process is
    interrupted or told to end; where this one is killed, they notice by themselves.
    """
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "SUDLIB_BUILD": str(os.getpid())},
        start_new_session=True,
    )
    try:
        return process.wait()
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def end_with_make():
    """End this process once the ``make`` that started it is no more, if one did."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    if os.environ.get("MAKELEVEL"):
        threading.Thread(target=watch, daemon=True).start()


def remove_damaged(out):
    """Remove results and executed notebooks of which one cannot be read; name it."""
    for name in plan.NOTEBOOKS:
        result = ROOT / out / "results" / f"{name}.json"
        executed = ROOT / out / "executed" / f"{name}.ipynb"
        for path in (result, executed):
            if path.exists() and not is_whole(path):
                print(
                    f"make book: {path.relative_to(ROOT)} is damaged; its notebook runs"
                    " again",
                    file=sys.stderr,
                )
                # Both: Snakemake asks for one of them only.
                result.unlink(missing_ok=True)
                executed.unlink(missing_ok=True)


def is_whole(path):
    """Return whether a result or an executed notebook can be read."""
    try:
        if path.suffix == ".json":
            book.read_result(path)
        else:
            json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (InputError, ValueError, KeyError, TypeError):
        return False
    return True


def announce(given, out):
    """Say what will run and about how long it takes; return the notebooks."""
    results = ROOT / out / "results"
    names = given.only or list(plan.NOTEBOOKS)
    wanted = {*names}.union(*(plan.waits_for(name, True) for name in names))

    asked = given.profile, given.parameters, results
    stale = {name for name in wanted if not plan.is_fresh(name, *asked)}
    # What reads the results of one of these runs again, too.
    waits = {name: {name, *plan.waits_for(name, True)} for name in wanted}
    waiting = [n for n in plan.NOTEBOOKS if n in wanted and stale & waits[n]]
    if not waiting:
        return []
    jobs = side_by_side(given)
    total = in_words(plan.duration(waiting, given.profile, jobs, results))
    print(
        f"\nmake book: {len(waiting)} of {len(wanted)} notebooks to run at"
        f" {given.profile} size, {jobs} at a time: {total} on a fast machine, up to"
        " three times as long on a slow one.\nWhat is finished is kept: Ctrl-C stops,"
        " and the same command goes on."
    )
    cards = [name for name in waiting if plan.NOTEBOOKS[name].get("card")]
    if given.profile == "paper" and cards:
        print(
            f"{', '.join(cards)} are counted as on a graphics card (KERNEL=sudlib-gpu);"
            " without one each takes a day or more."
        )
    print(flush=True)
    return waiting


def side_by_side(given):
    """Return how many notebooks run at a time."""
    return max(1, int(given.jobs) // int(given.threads))


@contextmanager
def followed(waiting, given, out):
    """Say after each notebook how many are done, and about how long the rest takes."""
    results, ended = ROOT / out / "results", threading.Event()
    began = time.time() - 1  # a disk's clock may be coarse

    def watch():
        said = 0
        while not ended.wait(1):
            done = plan.finished(waiting, results, began)
            if len(done) > said:
                print(progress(done, waiting, given, results), file=sys.stderr)
            said = len(done)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def progress(done, waiting, given, results):
    """Return what to say when some of the waiting notebooks are done."""
    text = f"make book: {len(done)} of {len(waiting)} notebooks are done"
    if len(done) == len(waiting):
        return text
    minutes = plan.left(waiting, done, given.profile, side_by_side(given), results)
    return text if minutes is None else f"{text}; the rest takes {in_words(minutes)}"


def in_words(minutes):
    """Return a length of time that is an estimate."""
    if minutes < 90:
        return f"about {max(1, round(minutes))} min"
    return f"about {minutes / 60:.0f} hours"


def finish_without(given, out):
    """Build the site of what ran where some notebooks stopped; return these.

    Pages that gather the results of the others show those there are.
    """
    folder = ROOT / out
    lacking = [
        name
        for name in plan.NOTEBOOKS
        if not (folder / "executed" / f"{name}.ipynb").exists()
    ]
    for name in lacking:
        if plan.gathers(name):
            call(
                [
                    sys.executable, "workflow/execute.py", plan.source(name),
                    "--kernel", given.kernel, "--threads", given.threads,
                    "--parameters",
                    json.dumps(plan.parameters(name, given.profile, given.parameters)),
                    "--executed", out / "executed" / f"{name}.ipynb",
                    "--result", out / "results" / f"{name}.json",
                    "--log", out / "logs" / f"{name}.log",
                ]
            )  # fmt: skip
        why = folder / "logs" / f"{name}.why"
        blocked = [other for other in lacking if other in plan.waits_for(name)]
        if blocked and not why.exists():
            why.write_text(f"it needs the results of {', '.join(blocked)}\n")
    call(
        [
            sys.executable, "workflow/build_site.py", "--allow-missing",
            "--results", out / "results", "--notebooks", out / "executed",
            "--out", site_folder(out), "--jobs", given.jobs,
        ]
    )  # fmt: skip
    return [n for n in lacking if not (folder / "executed" / f"{n}.ipynb").exists()]


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    end_with_make()
    clear_surroundings()
    lacking = []
    try:
        given = arguments_of(words)
        out = output_folder(given)
        if given.dry_run:
            return snakemake(given, out, "--dry-run")
        with alone():
            if any((ROOT / ".snakemake" / "locks").glob("*")):
                snakemake(given, out, "--unlock")
            logs = ROOT / out / "logs"
            for old in (*logs.glob("*.error"), *logs.glob("*.why")):
                old.unlink()
            remove_damaged(out)
            get_open_studies(given.only or plan.NOTEBOOKS)
            waiting = announce(given, out)
            with followed(waiting, given, out):
                status = snakemake(given, out)
            stopped = sorted(logs.glob("*.error"))
            ran = any((ROOT / out).glob("results/*.json"))
            if status and stopped and ran and not given.only:
                lacking = finish_without(given, out)
    except InputError as error:
        print(f"\nmake book: {error}\n", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmake book: stopped; the same command goes on from here.\n")
        return 130
    page = ROOT / site_folder(out) / "html" / "index.html"
    if status:
        said = [path.read_text() for path in stopped]
        said = said or ["What stopped it is said above."]
        kept = f"Finished notebooks are kept in {out}: the next `make book` goes on."
        if lacking:
            kept += f"\nThe book is built without {', '.join(lacking)}: {page}"
        print("\nmake book: not finished.", *said, kept, "", sep="\n", file=sys.stderr)
        return 1
    if not given.only:
        print(f"\nThe book is built. Its first page: {page}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
