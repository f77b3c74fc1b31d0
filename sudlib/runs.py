"""Strict parameters, the provenance stamp and results on disk (floor 5).

Papermill runs a notebook and Snakemake knows when; this module adds what they lack.
A notebook begins with :func:`start`, names the data it used with :meth:`Run.uses`,
keeps its numbers with :meth:`Run.claim`, :meth:`Run.value` and :meth:`Run.table`,
and ends with :meth:`Run.finish`.  How it is used is shown on the page
*How to rerun* of the book.
"""

import ast
import datetime
import hashlib
import html
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import nbformat
import numpy as np

from sudlib.files import PACKAGE, InputError, sha256

ROOT = PACKAGE.parent
ALLOWED = {"size": ("quick", "paper"), "variant": ("published", "repaired")}
SHOWN_VERSIONS = (
    "numpy",
    "pandas",
    "scikit-learn",
    "keras",
    "imbalanced-learn",
    "papermill",
)


# ------------------------------------------------------------------ parameters


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell: its name, its type's name and its default."""

    name: str
    type: str
    default: object


def declared_parameters(notebook):
    """Return the parameters that a notebook declares in its tagged cell.

    Parameters
    ----------
    notebook : path-like
        A notebook with exactly one cell tagged ``parameters``, in which every line
        is ``name: type = literal``.

    Returns
    -------
    dict of str to Parameter

    Raises
    ------
    InputError
        If there is not exactly one such cell, or a line of it has another form.
    """
    cells = [
        cell.source
        for cell in nbformat.read(notebook, as_version=4).cells
        if "parameters" in cell.metadata.get("tags", [])
    ]
    if len(cells) != 1:
        raise InputError(
            f"{Path(notebook).name} must have exactly one cell tagged 'parameters',"
            f" not {len(cells)}"
        )
    found = {}
    for line in ast.parse(cells[0]).body:
        if not (isinstance(line, ast.AnnAssign) and line.value is not None):
            raise InputError(
                f"{Path(notebook).name}: every line of the parameters cell must be"
                f" 'name: type = value', not {ast.unparse(line)!r}"
            )
        name = ast.unparse(line.target)
        found[name] = Parameter(
            name, ast.unparse(line.annotation), ast.literal_eval(line.value)
        )
    return found


def check_parameters(notebook, given):
    """Return all parameters of a run, or stop before a kernel is started.

    Parameters
    ----------
    notebook : path-like
        The notebook to be run.
    given : dict
        Parameter names and values that replace the defaults.

    Returns
    -------
    dict
        Every declared parameter with the value it will have.

    Raises
    ------
    InputError
        For an unknown name, a value of the wrong type, or a value outside the
        allowed ones, naming what is allowed.
    """
    declared = declared_parameters(notebook)
    stem = Path(notebook).stem
    for name, value in given.items():
        if name not in declared:
            raise InputError(
                f"{stem} has no parameter {name!r}; it has {', '.join(declared)}"
            )
        check_value(declared[name], value, stem)
    return {name: given.get(name, kept.default) for name, kept in declared.items()}


def check_value(parameter, value, stem):
    """Raise an InputError when a value does not fit a declared parameter."""
    types = {"str": str, "int": int, "float": (float, int), "bool": bool}
    wanted = [part.strip() for part in parameter.type.split("|")]
    fits = any(
        value is None
        if part == "None"
        else isinstance(value, types.get(part, object))
        and (part == "bool" or not isinstance(value, bool))
        for part in wanted
    )
    if not fits:
        raise InputError(
            f"{stem}: {parameter.name} must be of type {parameter.type}, not"
            f" {value!r} of type {type(value).__name__}"
        )
    allowed = ALLOWED.get(parameter.name)
    if allowed and value not in allowed:
        choices = " or ".join(f'"{choice}"' for choice in allowed)
        raise InputError(f"{stem}: {parameter.name} must be {choices}, not {value!r}")


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


# ------------------------------------------------------------------------ stamp


def git_commit(root=ROOT):
    """Return the commit of the checkout, marked when files differ from it, or None."""

    def ask(*words):
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True
        )
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit = ask("rev-parse", "--short=12", "HEAD")
        if commit and ask("status", "--porcelain"):
            commit += " with uncommitted changes"
    except OSError:
        return None
    return commit


def device():
    """Return the device in words; asks Keras only when a notebook has loaded it."""
    text = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    if "keras" in sys.modules:
        keras = sys.modules["keras"]
        backend = keras.backend.backend()
        try:
            names = _kinds(backend) or keras.distribution.list_devices()
        except Exception:  # older backends cannot list: the core count stands
            names = []
        text += f", Keras on {backend}" + (f": {', '.join(names)}" if names else "")
    return text


def _kinds(backend):
    """Return the graphics cards a loaded backend computes on, by their makers' names.

    Asking is each framework's own affair: Keras knows a device as ``gpu:0`` only.
    """
    framework = sys.modules.get(backend)
    if framework is None:
        return []
    if backend == "tensorflow":
        ask = framework.config.experimental.get_device_details
        cards = framework.config.list_physical_devices("GPU")
        return [ask(card).get("device_name", card.name) for card in cards]
    if backend == "jax":
        found = framework.devices()
        return [each.device_kind for each in found if each.platform == "gpu"]
    cards = range(framework.cuda.device_count())
    return [framework.cuda.get_device_name(card) for card in cards]


def versions():
    """Return the versions of Python and of the packages that shape the numbers."""
    found = {"python": platform.python_version()}
    for name in SHOWN_VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name in ("tensorflow", "tensorflow-cpu", "jax", "torch"):
        if name.split("-")[0] in sys.modules:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
    return found


# ---------------------------------------------------------------------- results


def plain(value):
    """Return a value as JSON can hold it; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def results_folder():
    """Return where results are written: ``SUDLIB_RESULTS`` or below ``_build``."""
    asked = os.environ.get("SUDLIB_RESULTS")
    if asked:
        return Path(asked)
    base = ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()
    return base / "_build" / "interactive" / "results"


@dataclass
class Run:
    """One run of one notebook: its parameters, its data and its numbers."""

    notebook: str
    parameters: dict
    started: float = field(default_factory=time.perf_counter)
    data: list = field(default_factory=list)
    claims: list = field(default_factory=list)
    values: dict = field(default_factory=dict)
    tables: dict = field(default_factory=dict)
    fingerprints: dict = field(default_factory=dict)

    @property
    def synthetic(self):
        """True when any records of this run came from a twin."""
        return any(used.get("synthetic") for used in self.data)

    def uses(self, records):
        """Remember which data a frame of records came from; return the frame."""
        self.data.append(plain(dict(records.attrs)))
        return records

    def claim(
        self, key, value, *, low=None, high=None, arm=None, n=None, note=None, **more
    ):
        """Keep our number for a claim of a study.

        Parameters
        ----------
        key : str
            The claim's key in ``data/claims``.
        value : float or list
            Our number; a confusion matrix as a list of rows.
        low, high : float, optional
            Ends of the 95 % interval.
        arm : str, optional
            ``"published"`` or ``"repaired"``; by default this run's variant.
        n : int, optional
            Rows the number was computed on.
        note : str, optional
            What a reader must know beside it.
        **more
            Anything else to keep with the number.
        """
        arm = arm or self.parameters.get("variant")
        years = sorted({year for used in self.data for year in used.get("years", [])})
        self.claims.append(
            plain(
                {
                    "key": key,
                    "arm": arm,
                    "value": value,
                    "low": low,
                    "high": high,
                    "n": n,
                    "note": note,
                    "synthetic": self.synthetic,
                    "data": ", ".join(sorted({u.get("data", "") for u in self.data})),
                    "years": years,
                    "size": self.parameters.get("size"),
                    "seed": self.parameters.get("seed"),
                    **more,
                }
            )
        )

    def used(self, key, value, *, note=None):
        """Keep what this page really uses of a setting that a study prints.

        The claims page compares it with what is printed; records, years and sizes do
        not matter for it.

        Parameters
        ----------
        key : str
            A claim of the kind "input".
        value : object
            The setting itself, taken from the code that uses it: a text, a number, a
            list or a grid.
        note : str, optional
            Why it differs from what is printed, or where it stands.

        Returns
        -------
        object
            The value.
        """
        self.claim(key, value, arm="published", note=note)
        return value

    def value(self, name, value, form="{}"):
        """Name a number for prose: here by ``glue``, elsewhere by substitution.

        Parameters
        ----------
        name : str
            Name to glue it by.
        value : object
            The number.
        form : str
            How it is printed, as in :meth:`str.format`.

        Returns
        -------
        str
            The printed number.
        """
        text = form.format(value)
        self.values[name] = text
        try:
            from myst_nb import glue
        except ImportError:  # Colab: the page is not built there
            return text
        glue(name, text, display=False)
        return text

    def table(self, name, frame):
        """Keep a small table with the results; return it."""
        self.tables[name] = plain(frame.reset_index().to_dict(orient="records"))
        return frame

    def finish(self):
        """Write the results and show where they came from.

        Returns
        -------
        IPython.display.HTML
            The provenance table for the foot of the page.
        """
        stamp = {
            "parameters": plain(self.parameters),
            "data": self.data,
            "fingerprints": self.fingerprints,
            "commit": git_commit(),
            "versions": versions(),
            "device": device(),
            "minutes": round((time.perf_counter() - self.started) / 60, 2),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        }
        result = {
            "notebook": self.notebook,
            "stamp": stamp,
            "claims": self.claims,
            "values": self.values,
            "tables": self.tables,
        }
        write_json(results_folder() / f"{self.notebook}.json", result)
        from IPython.display import HTML

        return HTML(provenance(result))


def start(notebook, **parameters):
    """Return a new run; call it once, in the cell below the imports.

    Parameters
    ----------
    notebook : str
        The notebook's file name without its ending.
    **parameters
        The notebook's parameters, all of them, by name.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If a parameter is unknown, of the wrong type or not one of the allowed
        values.

    Examples
    --------
    >>> run = start("a02_forest_general", size="quick", seed=33)
    >>> run.value("share", 0.3795, "{:.1%}")
    '38.0%'
    """
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    if not path.exists():  # Colab, where only the library is installed
        for name, value in parameters.items():
            kept = Parameter(name, type(value).__name__, value)
            check_value(kept, value, notebook)
        return Run(notebook, dict(parameters))
    parameters = check_parameters(path, parameters)
    # Taken now: what is edited while the notebook runs is not what it ran on.
    taken = fingerprints(path, parameters)
    return Run(notebook, parameters, fingerprints=taken)


def write_json(path, content):
    """Write JSON to a neighbour file first, so that a stop leaves no half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_results(folder):
    """Return all results in a folder, by notebook.

    Parameters
    ----------
    folder : path-like
        A folder of ``<notebook>.json`` files; an absent one holds none.
    """
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(Path(folder).glob("*.json"))
    }


def provenance(result):
    """Return the provenance stamp of a result as an HTML table."""
    stamp = result["stamp"]
    data = [
        f"{used.get('data')} ({', '.join(map(str, used.get('years', [])))})"
        + (", synthetic" if used.get("synthetic") else "")
        + (f", SHA-256 {used['sha256']}" if used.get("sha256") else "")
        for used in stamp["data"]
    ]
    rows = {
        "data": "; ".join(dict.fromkeys(data)) or "none",
        "parameters": ", ".join(f"{k} = {v!r}" for k, v in stamp["parameters"].items()),
        "commit": stamp["commit"] or "not known",
        **{
            f"SHA-256 of {kind}": value
            for kind, value in stamp["fingerprints"].items()
            if kind != "parameters"
        },
        "versions": ", ".join(f"{k} {v}" for k, v in stamp["versions"].items()),
        "device": stamp["device"],
        "minutes": f"{stamp['minutes']:.2f}",
        "date": stamp["date"],
    }
    cells = "".join(
        f"<tr><th scope='row'>{name}</th><td>{html.escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    return f"<table class='provenance'><tbody>{cells}</tbody></table>"
