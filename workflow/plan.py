"""What workflow/notebooks.yml says, for Snakemake and for ``make book``."""

import ast
import difflib
from pathlib import Path

import yaml

from sudlib import book
from sudlib.book import freshness
from sudlib.files import InputError

ROOT = Path(__file__).resolve().parent.parent
PLAN = yaml.safe_load((ROOT / "workflow" / "notebooks.yml").read_text(encoding="utf-8"))
PROFILES = PLAN["profiles"]
NOTEBOOKS = {name: entry or {} for name, entry in PLAN["notebooks"].items()}
#: Minutes, as planned, of finished notebooks that tell how fast a machine is.
ENOUGH_MINUTES = 1


def source(name):
    """Return a notebook's path in the checkout."""
    return f"notebooks/{name}.ipynb"


def check_name(name):
    """Refuse a name that no notebook has, and say which one may be meant.

    Parameters
    ----------
    name : str
        As somebody typed it: perhaps with a slip, its beginning only, or as a path.

    Raises
    ------
    sudlib.files.InputError
    """
    if name in NOTEBOOKS:
        return
    stem = Path(name).name.removesuffix(".ipynb").lower()
    near = [other for other in NOTEBOOKS if other.startswith(stem)]
    near += difflib.get_close_matches(stem, NOTEBOOKS, n=3)
    if stem and near:
        meant = " or ".join(dict.fromkeys(near[:5]))
        raise InputError(f"there is no notebook {name!r}; is it {meant}?")
    raise InputError(f"there is no notebook {name!r}; there are {', '.join(NOTEBOOKS)}")


def parameters(name, profile, given):
    """Return the parameters a notebook is given: profile, then ours, then its own.

    Those of the profile and of the command line go to the notebooks that declare
    them; a notebook's own must be declared.
    """
    declared = book.declared_parameters(ROOT / source(name))
    common = {**PROFILES[profile], **given}
    chosen = {key: value for key, value in common.items() if key in declared}
    return {**chosen, **NOTEBOOKS[name].get("parameters", {})}


def needs(name):
    """Return the notebooks whose results a notebook reads."""
    wanted = NOTEBOOKS[name].get("needs", [])
    if wanted == "all":
        wanted = [other for other in NOTEBOOKS if other != name]
    unknown = sorted(set(wanted) - set(NOTEBOOKS))
    if unknown:
        raise InputError(f"{name} needs {', '.join(unknown)}, not in notebooks.yml")
    return wanted


def waits_for(name, gathered=False):
    """Return the notebooks whose results a notebook needs, directly or through others.

    One that gathers what there is (``needs: all``) needs none of them in earnest, but
    they are run before it: they count where ``gathered`` is true.
    """
    direct = [] if gathers(name) and not gathered else needs(name)
    return {*direct}.union(*(waits_for(other, gathered) for other in direct))


def gathers(name):
    """Return whether a notebook shows the results of all others that there are."""
    return NOTEBOOKS[name].get("needs") == "all"


def minutes(name, profile, results=None):
    """Return how long a notebook computes, on one thread, in minutes.

    Parameters
    ----------
    name, profile : str
    results : path-like, optional
        A folder with results of this profile: what a notebook took here counts, before
        what ``notebooks.yml`` says.
    """
    path = Path(results or ROOT) / f"{name}.json"
    if results and path.exists():
        return book.read_result(path)["stamp"]["minutes"]
    return NOTEBOOKS[name].get("minutes", {}).get(profile, 1)


def urgency(name, profile):
    """Return the minutes from a notebook's start to the end of all that wait for it.

    Those with most are started first, so that no long one is left for the end.
    """
    after = [urgency(n, profile) for n in NOTEBOOKS if name in needs(n) and n != name]
    return minutes(name, profile) + max(after, default=0)


def duration(names, profile, jobs, results=None):
    """Return how long some notebooks take together, in minutes.

    They are laid out as Snakemake does it: whenever a core is free, the most urgent
    of those that need nothing more is started.
    """
    waiting = sorted(names, key=lambda name: -urgency(name, profile))
    now, running = 0.0, {}
    while waiting or running:
        for name in list(waiting):
            if len(running) < jobs and not {*needs(name)} & {*waiting, *running}:
                waiting.remove(name)
                running[name] = now + minutes(name, profile, results)
        first = min(running, key=running.get)
        now = running.pop(first)
    return now


def finished(names, results, since):
    """Return those of some notebooks whose results were written since then."""
    paths = {name: Path(results) / f"{name}.json" for name in names}
    return [n for n, p in paths.items() if p.exists() and p.stat().st_mtime >= since]


def left(names, done, profile, jobs, results):
    """Return about how long the unfinished ones of some notebooks take, in minutes.

    Machines differ by a factor of three: what is done tells how fast this one is.

    Parameters
    ----------
    names : sequence of str
        Those that were to run.
    done : sequence of str
        Those of them that have.
    profile : str
    jobs : int
    results : path-like
        The folder with the results of those.

    Returns
    -------
    float or None
        As if no other had begun; None before enough is done to tell.
    """
    planned = sum(minutes(name, profile) for name in done)
    if planned < ENOUGH_MINUTES:
        return None
    took = sum(minutes(name, profile, results) for name in done)
    waiting = [name for name in names if name not in done]
    return duration(waiting, profile, jobs) * took / planned


def is_fresh(name, profile, given, results):
    """Return whether a notebook's result is there and is what it would be now."""
    path = Path(results) / f"{name}.json"
    if not path.exists():
        return False
    stamp = book.read_result(path)["stamp"]["fingerprints"]
    return stamp == {
        kind: digest
        for kind, digest in fingerprint(name, profile, given).items()
        if kind in stamp
    }


def check(profile, given):
    """Raise an InputError for a missing notebook or a parameter that cannot be used."""
    for name in NOTEBOOKS:
        if not (ROOT / source(name)).exists():
            raise InputError(
                f"workflow/notebooks.yml names {name}, but there is no {source(name)}"
            )
        book.check_parameters(ROOT / source(name), parameters(name, profile, given))
        needs(name)


def fingerprint(name, profile, given):
    """Return the SHA-256s of everything a notebook's outputs depend on."""
    path = ROOT / source(name)
    full = book.check_parameters(path, parameters(name, profile, given))
    stamp = freshness.fingerprints(path, full, ROOT)
    used = uses_open_studies(name)
    if used:
        from sudlib import trials  # pandas: only where a page needs it

        stamp["open studies"] = ", ".join(filter(trials.at_hand, used))
    return stamp


def uses_open_studies(name):
    """Return the open studies whose files a notebook reads, by their names.

    It says so itself: ``trials.Page(run, "ist")``.
    """
    path = ROOT / source(name)
    if "trials.Page(" not in path.read_text(encoding="utf-8"):
        return []
    return [
        argument.value
        for node in ast.walk(ast.parse(freshness.source_of(path)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "trials.Page"
        for argument in node.args[1:]
    ]


def own_inputs(name):
    """Return the files a notebook depends on, relative to the checkout."""
    found = freshness.inputs(ROOT / source(name), ROOT)
    return [
        path.relative_to(ROOT).as_posix() for paths in found.values() for path in paths
    ]
