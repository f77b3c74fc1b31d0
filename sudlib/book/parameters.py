"""A notebook's declared parameters, and the check of those it is given."""

import ast
from dataclasses import dataclass
from pathlib import Path

import nbformat

from sudlib.files import InputError

ARMS = ("published", "repaired")


ALLOWED = {"size": ("quick", "paper"), "variant": ("published", "repaired")}


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
