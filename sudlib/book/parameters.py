"""A notebook's declared parameters: what they may be, and that no cell changes them."""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from symtable import SymbolTable, symtable
from typing import Any

from sudlib.book.notebooks import Cell, read_cells
from sudlib.files import InputError, expand_path

ARMS = ("published", "repaired")


ALLOWED = {"size": ("quick", "paper"), "variant": ("published", "repaired")}
_TYPES: dict[str, Any] = {"str": str, "int": int, "float": (float, int), "bool": bool}
_KNOWN = "str, int, float, bool, None, list[...], Literal[...] and unions of them by |"


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell.

    Attributes
    ----------
    name : str
    type : str
        As it is written: ``"int"``, ``"str | None"``.
    default : object
    """

    name: str
    type: str
    default: Any


def declared_parameters(notebook: str | os.PathLike[str]) -> dict[str, Parameter]:
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
    return _declared(read_cells(notebook), Path(notebook))[0]


def _declared(cells: list[Cell], path: Path) -> tuple[dict[str, Parameter], list[Cell]]:
    """Return the parameters that cells declare, and the cells below."""
    tagged = [n for n, cell in enumerate(cells) if "parameters" in cell.tags]
    if len(tagged) != 1:
        raise InputError(
            f"{path.name} must have exactly one cell tagged 'parameters', not"
            f" {len(tagged)}: set the tag in JupyterLab (Property Inspector, Cell Tags)"
        )
    cell = cells[tagged[0]]
    declared: dict[str, Parameter] = {}
    for line in ast.parse(cell.python()).body:
        if not (isinstance(line, ast.AnnAssign) and line.value is not None):
            raise InputError(
                f"{cell.place}: every line of the parameters cell must be"
                f" 'name: type = value', not {ast.unparse(line)!r}"
            )
        name, type_ = ast.unparse(line.target), ast.unparse(line.annotation)
        try:
            default = ast.literal_eval(line.value)
        except ValueError:
            raise InputError(
                f"{cell.place}: the value of {name} must be written out, not computed:"
                f" {ast.unparse(line.value)!r}"
            ) from None
        if name in declared:
            raise InputError(f"{cell.place}: {name} is declared twice; once is needed")
        declared[name] = Parameter(name, type_, default)
        check_value(declared[name], default, path.stem)
    return declared, cells[tagged[0] + 1 :]


def check_parameters(
    notebook: str | os.PathLike[str], given: dict[str, Any]
) -> dict[str, Any]:
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
        allowed ones, naming what is allowed; and for a notebook in which a cell binds
        the name of a parameter again, so that it would not run at what it says.
    """
    cells, stem = read_cells(notebook), Path(notebook).stem
    declared, below = _declared(cells, Path(notebook))
    for name, value in given.items():
        if name not in declared:
            raise InputError(
                f"{stem} has no parameter {name!r}; it has {', '.join(declared)}"
            )
        check_value(declared[name], value, stem)
    for cell in cells:
        if cell.kind == "code" and "injected-parameters" not in cell.tags:
            again = sorted(bound_names(cell.python()) & set(declared))
            if again and cell in below:
                raise InputError(
                    f"{cell.place} binds {', '.join(again)} again, which the parameters"
                    " cell declares: parameters are read only, so give the variable"
                    " there another name"
                )
    return {name: each.default for name, each in declared.items()} | given


def bound_names(source: str) -> set[str]:
    """Return the module's names that Python code binds or deletes, in any way.

    Parameters
    ----------
    source : str

    Returns
    -------
    set of str

    Examples
    --------
    >>> sorted(bound_names("import os as a\\nfor b in c: d = [e for e in b]"))
    ['a', 'b', 'd']
    """

    def tables(table: SymbolTable) -> Iterator[SymbolTable]:
        yield table
        for child in table.get_children():
            yield from tables(child)

    module = symtable(source, "", "exec")
    return {
        symbol.get_name()
        for table in tables(module)
        for symbol in table.get_symbols()
        if (symbol.is_assigned() or symbol.is_imported())
        # Below the module: by "global", or by := in a comprehension.
        and (table is module or symbol.is_declared_global())
    }


def check_value(parameter: Parameter, value: Any, stem: str) -> None:
    """Raise an InputError when a value does not fit a declared parameter.

    Parameters
    ----------
    parameter : Parameter
        A union such as ``int | None`` admits a value of either type.
    value : object
    stem : str
        The notebook, for the message.

    Raises
    ------
    InputError
        For a value of another type, or one that is not among the allowed ones, and for
        a type that no value can be checked against.
    """

    def fits(kind: ast.expr, value: Any) -> bool:
        match kind:
            case ast.BinOp(left=one, op=ast.BitOr(), right=other):
                return any([fits(one, value), fits(other, value)])
            case ast.Subscript(value=ast.Name(id="Optional"), slice=one):
                return any([fits(one, value), value is None])
            case ast.Subscript(value=ast.Name(id="Literal"), slice=one):
                choices = ast.literal_eval(one)
                each = choices if isinstance(choices, tuple) else (choices,)
                return (type(value), value) in [(type(e), e) for e in each]
            case ast.Subscript(value=ast.Name(id="list"), slice=one):
                return isinstance(value, list) and all(fits(one, v) for v in value)
            case ast.Name(id="list"):
                return isinstance(value, list)
            case ast.Constant(value=None):
                return value is None
            case ast.Name(id=name) if name in _TYPES:
                if isinstance(value, bool):  # to Python True is an int
                    return name == "bool"
                finite = not isinstance(value, float) or math.isfinite(value)
                return isinstance(value, _TYPES[name]) and finite
        raise InputError(
            f"{stem}: the type of {parameter.name} must be made of {_KNOWN}, not"
            f" {parameter.type}"
        )

    if not fits(ast.parse(parameter.type, mode="eval").body, value):
        raise InputError(
            f"{stem}: {parameter.name} must be of type {parameter.type}, not"
            f" {value!r} of type {type(value).__name__}"
        )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # A number beside None is an amount; 0 would be read as None.
    if number and parameter.default is None and value <= 0:
        raise InputError(
            f"{stem}: {parameter.name} must be more than 0, not {value!r}; None takes"
            " what the size says"
        )
    allowed = ALLOWED.get(parameter.name, (value,))
    if value not in allowed:
        choices = " or ".join(f'"{choice}"' for choice in allowed)
        raise InputError(f"{stem}: {parameter.name} must be {choices}, not {value!r}")


def given_files(
    parameters: dict[str, Any], folder: str | os.PathLike[str] = "."
) -> dict[str, Path]:
    """Return every file that parameters name, by the name it counts under.

    Parameters
    ----------
    parameters : dict
        Each text among them, or in a list of them, may be a path: of a file, or of a
        folder, which stands for all files below it.
    folder : path-like, default="."
        Where relative paths start from.

    Returns
    -------
    dict of str to pathlib.Path
        Links stay what they are called; their targets are what is read.
    """
    files: dict[str, Path] = {}
    each = [
        (f"{name} {place}" if place else name, one)
        for name, value in parameters.items()
        if name not in ALLOWED
        for place, one in enumerate(value if isinstance(value, list) else [value])
    ]
    for name, value in each:
        if not isinstance(value, str) or not value.strip():
            continue
        path = Path(folder) / expand_path(value)
        if os.path.isfile(path):
            files[f"{name}: {path.name}"] = path
        elif os.path.isdir(path):
            files |= {f"{name}: {p.relative_to(path)}": p for p in _below(path)}
    return files


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in order; a ring of links ends."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = sorted(
            each
            for each in folders
            if os.path.realpath(os.path.join(place, each)) not in seen
        )
        yield from (
            path for name in sorted(names) if (path := Path(place, name)).is_file()
        )
