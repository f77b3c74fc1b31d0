"""Which files a page depends on, and whether it is stale."""

import ast
import hashlib
import json
import os
from functools import cache
from pathlib import Path

import nbformat

from sudlib.book.results import ROOT
from sudlib.files import sha256

# ---------------------------------------------------------------- dependencies


def source_of(path):
    """Return the Python source of a module or of a notebook's code cells."""
    if Path(path).suffix != ".ipynb":
        return Path(path).read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    lines = "\n".join(c.source for c in cells if c.cell_type == "code").split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def read_dependencies(source):
    """Return the names of the sudlib modules and data files that a source uses."""
    modules, data = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            modules |= {name[1] for name in names if name[0] == "sudlib" and name[1:]}
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            if parts[0] == "sudlib" and parts[1:]:
                modules.add(parts[1])
            elif parts[0] == "sudlib" or (node.level and not node.module):
                modules |= {alias.name for alias in node.names}
            elif node.level:
                modules.add(parts[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            "data_file"
        ):
            data.add(data_pattern(node.args[0]))
    return modules, data - {None}


def data_pattern(argument):
    """Return a data file's name, with ``*`` where an f-string fills something in."""
    if isinstance(argument, ast.Constant):
        return argument.value
    if isinstance(argument, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else "*"
            for part in argument.values
        )
    return None


def inputs(notebook, root=ROOT):
    """Return every file that a notebook's outputs depend on.

    The library is followed through its imports, the data through the calls of
    :func:`sudlib.files.data_file`; so an edit reruns the notebooks it touches and
    no other.

    Parameters
    ----------
    notebook : path-like
        A notebook of the book.
    root : path-like
        The checkout.

    Returns
    -------
    dict of str to list of pathlib.Path
        Keys ``notebook``, ``sudlib``, ``data`` and ``lock``.
    """
    root = Path(root)
    modules, data = read_dependencies(source_of(notebook))
    waiting, files = set(modules), {root / "sudlib" / "__init__.py"}
    patterns, seen = set(data), set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        folder = root / "sudlib" / name
        found = sorted(folder.rglob("*.py")) if folder.is_dir() else []
        single = folder.with_suffix(".py")
        for path in found or ([single] if single.exists() else []):
            files.add(path)
            more, data = read_dependencies(source_of(path))
            waiting |= more - seen
            patterns |= data
    matched = {path for name in patterns for path in (root / "data").glob(name)}
    return {
        "notebook": [Path(notebook)],
        "sudlib": sorted(files),
        "data": sorted(path for path in matched if path.is_file()),
        "lock": [root / "requirements.lock"],
    }


@cache
def _sha256_at(path, size, modified):
    return sha256(path)


def cached_sha256(path):
    """Return a file's SHA-256, read again only when its size or time has changed."""
    state = os.stat(path)
    return _sha256_at(str(path), state.st_size, state.st_mtime_ns)


def fingerprints(notebook, parameters, root=ROOT):
    """Return one SHA-256 for each kind of input of a run.

    Parameters
    ----------
    notebook : path-like
        A notebook of the book.
    parameters : dict
        All parameters of the run.  Where ``data`` is the path of a file, its content
        counts as data.
    root : path-like
        The checkout.

    Returns
    -------
    dict of str to str
        Keys ``notebook``, ``sudlib``, ``data``, ``lock`` and ``parameters``.
    """
    root = Path(root)
    found = inputs(notebook, root)
    outside = Path(str(parameters.get("data", "")))
    if outside.is_file():
        found["data"] = [*found["data"], outside]
    stamp = {}
    for kind, paths in found.items():
        joined = hashlib.sha256()
        for path in paths:
            name = path.relative_to(root) if path.is_relative_to(root) else path.name
            joined.update(f"{Path(name).as_posix()} {cached_sha256(path)}\n".encode())
        stamp[kind] = joined.hexdigest()
    text = json.dumps(parameters, sort_keys=True)
    stamp["parameters"] = hashlib.sha256(text.encode()).hexdigest()
    return stamp


def stale(result, notebook, root=ROOT):
    """Return why a result no longer matches its sources, or None when it does.

    Parameters
    ----------
    result : dict
        A result as :meth:`Run.finish` writes it.
    notebook : path-like
        The notebook it came from.
    root : path-like
        The checkout.
    """
    stamp = result["stamp"]
    if not Path(notebook).exists():
        return f"its notebook {Path(notebook).name} is gone"
    now = fingerprints(notebook, stamp["parameters"], root)
    changed = [
        kind for kind, value in now.items() if stamp["fingerprints"].get(kind) != value
    ]
    if changed:
        return f"changed since it ran: {', '.join(changed)}"
    return None
