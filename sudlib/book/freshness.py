"""Which files a page depends on, and whether it is stale.

The library is followed module by module: ``from sudlib import policy`` with
``policy.PolicyTree`` depends on the module that defines it and on what that
module imports, not on the whole package.  Only a name that cannot be traced (a package
passed on as an object, a star import) stands for the package as a whole.  Python code
is hashed without its comments and docstrings, and a notebook by its code cells alone,
so that words, ids and the order of keys rerun nothing.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from symtable import symtable
from typing import Any

from sudlib.book.notebooks import cell_digests, code_digest, code_of
from sudlib.book.parameters import given_files
from sudlib.book.results import ROOT
from sudlib.files import InputError, sha256


def source_of(path: str | os.PathLike[str]) -> str:
    """Return the Python source of a module or of a notebook's code cells.

    Parameters
    ----------
    path : path-like
        A ``.py`` file, or an ``.ipynb`` file, whose lines of magic (``%``, ``!``) are
        read as IPython reads them.

    Returns
    -------
    str
    """
    if Path(path).suffix == ".ipynb":
        return code_of(path)
    return Path(path).read_text(encoding="utf-8")


def data_pattern(argument: ast.expr) -> str | None:
    """Return a data file's name, with ``*`` where an f-string fills something in.

    Parameters
    ----------
    argument : ast.expr
        What :func:`sudlib.files.data_file` is called with.

    Returns
    -------
    str or None
        None where it is neither a literal nor an f-string.
    """
    if isinstance(argument, ast.Constant):
        return str(argument.value)
    if isinstance(argument, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "*"
            for part in argument.values
        )
    return None


@dataclass
class _Source(ast.NodeVisitor):
    """What a source imports, which attributes of it it uses, and what it reads."""

    package: str = ""
    imports: list[tuple[str, str]] = field(default_factory=list)
    uses: defaultdict[str, set[tuple[str, ...]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    defines: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)

    def read(self, text: str) -> _Source:
        """Fill the fields from a source text; return the object."""
        self.visit(ast.parse(text))
        names = symtable(text, "", "exec").get_symbols()
        defined = [each for each in names if each.is_assigned()]
        self.defines = {each.get_name() for each in defined if not each.is_imported()}
        return self

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            # "import sudlib.a.b" binds sudlib; its uses say what of it is needed.
            bound = alias.asname or alias.name.partition(".")[0]
            target = alias.name if alias.asname else bound
            self.imports += [(bound, target), ("", alias.name)]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        parts = self.package.split(".")[: 1 - node.level or None] if node.level else []
        parts += node.module.split(".") if node.module else []
        for alias in node.names:
            target = f"{'.'.join(parts)}:{alias.name}"
            self.imports.append((alias.asname or alias.name, target))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            chain.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            self.uses[base.id].add(tuple(chain))
        else:
            self.visit(base)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.uses[node.id].add(())

    def visit_Call(self, node: ast.Call) -> None:
        if node.args and ast.unparse(node.func).endswith("data_file"):
            self.data |= {data_pattern(node.args[0])} - {None}  # type: ignore[arg-type]
        self.generic_visit(node)


@dataclass(frozen=True)
class Library:
    """The modules of ``sudlib`` below a checkout, and which of them need which.

    Parameters
    ----------
    root : pathlib.Path, optional
        The folder that holds ``sudlib``; by default this checkout.
    """

    root: Path = ROOT

    def path(self, module: str) -> Path | None:
        """Return the file of a module, or None where there is none.

        Parameters
        ----------
        module : str
            Its dotted name.

        Returns
        -------
        pathlib.Path or None
        """
        base = self.root.joinpath(*module.split("."))
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
        return None

    def modules(self, package: str = "sudlib") -> list[str]:
        """Return the dotted names of all modules of a package, itself included.

        Parameters
        ----------
        package : str, default="sudlib"

        Returns
        -------
        list of str
            Sorted.
        """
        names = set()
        for path in self.root.joinpath(*package.split(".")).rglob("*.py"):
            parts = path.relative_to(self.root).with_suffix("").parts
            if all(part.isidentifier() for part in parts):  # .ipynb_checkpoints
                names.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        return sorted(names)

    def source(self, module: str) -> _Source:
        """Return what a module says, read again only when its file has changed.

        Parameters
        ----------
        module : str

        Returns
        -------
        _Source
        """
        path = self.path(module)
        assert path is not None, module
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        return read_source(path, package)

    def exports(self, package: str) -> dict[str, str]:
        """Return the names that a package's ``__init__`` imports, each with its origin.

        Imports below ``if TYPE_CHECKING`` count: a package that loads its modules on
        demand lists its names there.

        Parameters
        ----------
        package : str

        Returns
        -------
        dict of str to str
            Origins as for :meth:`locate`.
        """
        return {
            bound: target
            for bound, target in self.source(package).imports
            if target.startswith("sudlib") and ":" in target
        }

    def is_package(self, module: str) -> bool:
        """Return whether a module is a package.

        Parameters
        ----------
        module : str

        Returns
        -------
        bool
        """
        path = self.path(module)
        return path is not None and path.name == "__init__.py"

    def locate(self, target: str) -> tuple[str, list[str]]:
        """Return the module where a name is found, and what of the name is left.

        Parameters
        ----------
        target : str
            ``"module:name"``, as for an entry point: ``"sudlib.policy:PolicyTree"``.

        Returns
        -------
        module : str
        attributes : list of str
            Empty where the name is a module; below a package, what it lacks.
        """
        module, _, name = target.partition(":")
        attributes = name.split(".") if name else []
        while attributes and self.is_package(module):
            first, *rest = attributes
            origin = self.exports(module).get(first, "")
            if origin not in ("", f"{module}:{first}"):
                return self.locate(".".join([origin, *rest]))
            if not self.path(f"{module}.{first}"):
                break
            module, attributes = f"{module}.{first}", rest
        return module, attributes

    def resolve(self, target: str) -> set[str]:
        """Return the modules that a name stands for.

        Parameters
        ----------
        target : str
            As for :meth:`locate`.

        Returns
        -------
        set of str
            The module that defines it; every module of the package where that
            cannot be told, or where it is the package itself.
        """
        module, attributes = self.locate(target)
        if not self.is_package(module) or self.source(module).defines.intersection(
            attributes[:1]
        ):
            return {module} if self.path(module) else set()
        return set(self.modules(module))

    def needs(self, source: _Source) -> set[str]:
        """Return the modules of the library that a source uses directly.

        Parameters
        ----------
        source : _Source

        Returns
        -------
        set of str
        """
        wanted: set[str] = set()
        for bound, target in source.imports:
            if re.split("[.:]", target)[0] != "sudlib":
                continue
            module, attributes = self.locate(target)
            if attributes or not self.is_package(module):
                wanted |= self.resolve(target)
                continue
            used = source.uses.get(bound, set())
            if not used and ":" in target:
                used = {()}  # bound for others to use: nothing says what of it
            for chain in used:
                wanted |= self.resolve(f"{module}:{'.'.join(chain)}")
        return wanted

    def closure(self, source: _Source) -> set[str]:
        """Return every module that a source depends on, directly or through others.

        Parameters
        ----------
        source : _Source
            From :func:`read_source`.

        Returns
        -------
        set of str
        """
        waiting, seen = self.needs(source), set()
        while waiting:
            module = waiting.pop()
            seen.add(module)
            waiting |= self.needs(self.source(module)) - seen
        return seen


def _state(path: str | os.PathLike[str]) -> tuple[Any, ...]:
    """Return what changes when a file, or what a link points at, does."""
    state = os.stat(path)
    changed = state.st_mtime_ns, state.st_ctime_ns
    return os.path.realpath(path), state.st_ino, state.st_size, *changed


@cache
def _source_at(path: str, package: str, state: tuple[Any, ...]) -> _Source:
    return _Source(package).read(source_of(path))


def read_source(path: str | os.PathLike[str], package: str = "") -> _Source:
    """Return what a module or notebook imports, uses and reads.

    Parameters
    ----------
    path : path-like
    package : str, optional
        The package that its relative imports start from.

    Returns
    -------
    _Source
    """
    return _source_at(str(path), package, _state(path))


def inputs(
    notebook: str | os.PathLike[str], root: str | os.PathLike[str] = ROOT
) -> dict[str, list[Path]]:
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
    library, source = Library(root), read_source(notebook)
    modules = sorted(library.closure(source))
    patterns = source.data.union(*(library.source(name).data for name in modules))
    matched = {path for name in patterns for path in (root / "data").glob(name)}
    return {
        "notebook": [Path(notebook)],
        "sudlib": [path for name in modules if (path := library.path(name))],
        "data": sorted(path for path in matched if path.is_file()),
        "lock": [root / "requirements.lock"],
    }


@cache
def _digest_at(path: str, state: tuple[Any, ...]) -> str:
    if path.endswith(".ipynb"):
        return hashlib.sha256(" ".join(cell_digests(path)).encode()).hexdigest()
    return code_digest(source_of(path)) if path.endswith(".py") else sha256(path)


def cached_digest(path: str | os.PathLike[str]) -> str:
    """Return a file's SHA-256, of modules and notebooks that of their code.

    It is computed again only when the file's place, size or time has changed.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    str
    """
    try:
        return _digest_at(str(path), _state(path))
    except OSError as error:
        raise InputError(f"cannot read {os.fspath(path)!r}: {error.strerror}") from None


def fingerprints(
    notebook: str | os.PathLike[str],
    parameters: dict[str, Any],
    root: str | os.PathLike[str] = ROOT,
    folder: str | os.PathLike[str] | None = None,
) -> dict[str, str]:
    """Return one SHA-256 for each kind of input of a run.

    Parameters
    ----------
    notebook : path-like
        A notebook of the book.
    parameters : dict
        All parameters of the run.  Where one is the path of a file or a folder, the
        content counts as data (:func:`given_files`).
    root : path-like
        The checkout.
    folder : path-like, optional
        Where relative paths start from; None: the checkout, as in a build.

    Returns
    -------
    dict of str to str
        Keys ``notebook``, ``sudlib``, ``data``, ``lock`` and ``parameters``.
    """
    root = Path(root)
    files = {
        kind: {os.path.relpath(path, root): path for path in paths}
        for kind, paths in inputs(notebook, root).items()
    }
    files["data"] |= given_files(parameters, root if folder is None else folder)
    stamp = {}
    for kind, named in files.items():
        joined = hashlib.sha256()
        for name, path in named.items():
            joined.update(f"{Path(name).as_posix()} {cached_digest(path)}\n".encode())
        stamp[kind] = joined.hexdigest()
    text = json.dumps(parameters, sort_keys=True)
    stamp["parameters"] = hashlib.sha256(text.encode()).hexdigest()
    return stamp


def stale(
    result: dict[str, Any],
    notebook: str | os.PathLike[str],
    root: str | os.PathLike[str] = ROOT,
) -> str | None:
    """Return why a result no longer matches its sources, or None when it does.

    Parameters
    ----------
    result : dict
        A result as :meth:`sudlib.book.run.Run.finish` writes it.
    notebook : path-like
        The notebook it came from.
    root : path-like
        The checkout.

    Returns
    -------
    str or None
    """
    stamp = result["stamp"]
    if not Path(notebook).exists():
        return f"its notebook {Path(notebook).name} is gone"
    now, was = fingerprints(notebook, stamp["parameters"], root), stamp["fingerprints"]
    changed = [kind for kind in now if was.get(kind) != now[kind]]
    return f"changed since it ran: {', '.join(changed)}" if changed else None
