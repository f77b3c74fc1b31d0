"""A notebook's file, read so that what other people and programs left in it is named.

Lines that IPython alone understands (``%magic``, ``!shell``, ``name?``) are read as
IPython reads them; what nobody can read is an error that names notebook and cell.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sudlib.files import InputError

#: Cell magics whose body is Python; that of any other is not.
_PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
#: Tags of a cell that change what runs; the others change how a page looks.
_RUNNING_TAGS = {"parameters", "raises-exception", "skip-execution"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_MERGE = re.compile(r"(?m)^(<{7}|>{7}|\|{7})( |$)")


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook.

    Attributes
    ----------
    place : str
        Notebook and cell, as a message names them: ``"a02.ipynb, cell 3"``.
    kind : str
        ``"code"``, ``"markdown"`` or ``"raw"``.
    source : str
    tags : tuple of str
    """

    place: str
    kind: str
    source: str
    tags: tuple[str, ...] = ()

    def python(self) -> str:
        """Return the cell's Python: what IPython makes of its magics and shell lines.

        Returns
        -------
        str
            Empty for a cell in another language (``%%bash``, ``%%html``).

        Raises
        ------
        InputError
            If it is no Python of this version.
        """
        source = self.source
        if source.startswith("%%"):
            magic, _, body = source.partition("\n")
            source = body if magic.split()[0] in _PYTHON_MAGICS else ""
        try:
            ast.parse(source)
        except SyntaxError:
            from IPython.core.inputtransformer2 import TransformerManager

            source = TransformerManager().transform_cell(source)
            try:
                ast.parse(source)
            except SyntaxError as error:
                raise InputError(
                    f"{self.place}, line {error.lineno}: this is no Python"
                    f" {platform.python_version()} ({error.msg}):"
                    f" {(error.text or '').strip()!r}; mend the cell in JupyterLab"
                ) from None
        return source


def read_cells(notebook: str | os.PathLike[str]) -> list[Cell]:
    """Return the cells of a notebook.

    Parameters
    ----------
    notebook : path-like
        An ``.ipynb`` file.

    Returns
    -------
    list of Cell

    Raises
    ------
    InputError
        If the file cannot be read, is no notebook of format 4, or holds the marks of
        a merge that was not settled; the message says what to do.
    """
    path = Path(notebook)
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(
            f"{path.name} is not in UTF-8: open it in JupyterLab and save it again"
        ) from None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path.name} {_why_no_json(text, error)}") from None
    form = content.get("nbformat") if isinstance(content, dict) else None
    cells = content.get("cells") if isinstance(content, dict) else None
    if form != 4 or not isinstance(cells, list):
        given = f"of format {form}" if form else "something else"
        raise InputError(
            f"{path.name} must be a notebook of format 4, not {given}: convert it with"
            f" jupyter nbconvert --to notebook --inplace {path.name!r}, or restore it"
        )
    return [_cell(f"{path.name}, cell {n}", cell) for n, cell in enumerate(cells, 1)]


def _why_no_json(text: str, error: ValueError) -> str:
    """Return what is wrong with a notebook's text, and what to do."""
    mark = _MERGE.search(text)
    if mark:
        line = text.count("\n", 0, mark.start()) + 1
        return (
            f"holds the marks of an unsettled merge (line {line}: {mark[1]}): take one"
            " side, git checkout --ours or --theirs, or settle it with nbdime"
        )
    if text.startswith("\ufeff"):
        return (
            "begins with a byte order mark, which Jupyter does not read: save it from a"
            " text editor as UTF-8 without one"
        )
    return (
        f"is no JSON, so no notebook ({error}): restore it with git checkout, or save"
        " it again from JupyterLab"
    )


def _cell(place: str, cell: Any) -> Cell:
    if not isinstance(cell, dict) or not {"cell_type", "source"} <= set(cell):
        raise InputError(
            f"{place} has no type or no source, so it is no cell: restore the notebook"
            " with git checkout, or save it again from JupyterLab"
        )
    source = cell["source"]
    source = source if isinstance(source, str) else "".join(source)
    source = re.sub(r"\r\n?", "\n", source)
    mark = _MERGE.search(source)
    if mark:
        raise InputError(
            f"{place} holds the marks of an unsettled merge ({mark[1]}): choose one"
            " side of it in JupyterLab and delete the marks"
        )
    tags = (cell.get("metadata") or {}).get("tags") or ()
    return Cell(place, cell["cell_type"], source, tuple(tags))


def code_of(notebook: str | os.PathLike[str]) -> str:
    """Return the Python of a notebook's code cells, one below the other.

    Parameters
    ----------
    notebook : path-like

    Returns
    -------
    str
    """
    cells = read_cells(notebook)
    return "\n".join(cell.python() for cell in cells if cell.kind == "code")


def code_digest(source: str) -> str:
    """Return the SHA-256 of Python code without its comments and docstrings.

    Parameters
    ----------
    source : str
        Where it reads docstrings itself (``__doc__``), these count.

    Returns
    -------
    str

    Examples
    --------
    >>> code_digest("x = 1  # one") == code_digest("x = 1")
    True
    >>> code_digest("x = 1") == code_digest("x = 2")
    False
    """
    tree = ast.parse(source)
    for node in ast.walk(tree) if "__doc__" not in source else []:
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def cell_digests(
    notebook: str | os.PathLike[str], *, injected: bool = True
) -> list[str]:
    """Return one SHA-256 for each code cell of a notebook.

    Parameters
    ----------
    notebook : path-like
        Its prose, outputs, execution counts, ids and metadata do not count, nor does a
        cell without code.
    injected : bool, default=True
        Whether a cell that papermill added counts.

    Returns
    -------
    list of str
    """
    digests = []
    for cell in read_cells(notebook):
        if cell.kind == "code" and cell.source.strip():
            if "injected-parameters" in cell.tags and not injected:
                continue
            magic = cell.source.partition("\n")[0] if cell.source[:2] == "%%" else ""
            # A cell in another language counts as it stands; a text on top of one in
            # Python is shown, so it is no docstring; a last ";" shows nothing.
            python = cell.python()
            code = code_digest(f"0\n{python}") if python else cell.source
            tags = sorted(_RUNNING_TAGS.intersection(cell.tags))
            text = json.dumps([magic, code, cell.source.rstrip()[-1] == ";", tags])
            digests.append(hashlib.sha256(text.encode()).hexdigest())
    return digests
