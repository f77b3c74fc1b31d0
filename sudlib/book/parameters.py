"""A notebook's declared parameters, and the check of those it is given."""

from __future__ import annotations

import ast
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sudlib.files import InputError

ARMS = ("published", "repaired")


ALLOWED = {"size": ("quick", "paper"), "variant": ("published", "repaired")}
_TYPES: dict[str, Any] = {"str": str, "int": int, "float": (float, int), "bool": bool}


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
    name = Path(notebook).name
    cells = [
        "".join(cell["source"])
        for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
        if "parameters" in cell["metadata"].get("tags", [])
    ]
    if len(cells) != 1:
        raise InputError(
            f"{name} must have exactly one cell tagged 'parameters', not {len(cells)}"
        )
    declared = {}
    for line in ast.parse(cells[0]).body:
        if not (isinstance(line, ast.AnnAssign) and line.value is not None):
            raise InputError(
                f"{name}: every line of the parameters cell must be"
                f" 'name: type = value', not {ast.unparse(line)!r}"
            )
        target, type_ = ast.unparse(line.target), ast.unparse(line.annotation)
        declared[target] = Parameter(target, type_, ast.literal_eval(line.value))
    return declared


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
    return {name: each.default for name, each in declared.items()} | given


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
        For a value of another type, or one that is not among the allowed ones.
    """

    def fits(kind: str) -> bool:
        if kind == "None" or isinstance(value, bool):  # to Python True is an int
            return value is None if kind == "None" else kind == "bool"
        return isinstance(value, _TYPES.get(kind, object))

    if not any(fits(kind.strip()) for kind in parameter.type.split("|")):
        raise InputError(
            f"{stem}: {parameter.name} must be of type {parameter.type}, not"
            f" {value!r} of type {type(value).__name__}"
        )
    allowed = ALLOWED.get(parameter.name, (value,))
    if value not in allowed:
        choices = " or ".join(f'"{choice}"' for choice in allowed)
        raise InputError(f"{stem}: {parameter.name} must be {choices}, not {value!r}")
