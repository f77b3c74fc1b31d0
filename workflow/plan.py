"""What workflow/notebooks.yml says, for Snakemake and for ``make book``."""

import ast
from pathlib import Path

import yaml

from sudlib import book
from sudlib.book import freshness
from sudlib.files import InputError

ROOT = Path(__file__).resolve().parent.parent
PLAN = yaml.safe_load((ROOT / "workflow" / "notebooks.yml").read_text(encoding="utf-8"))
PROFILES = PLAN["profiles"]
NOTEBOOKS = {name: entry or {} for name, entry in PLAN["notebooks"].items()}


def source(name):
    """Return a notebook's path in the checkout."""
    return f"notebooks/{name}.ipynb"


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
