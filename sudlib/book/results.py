"""Result files: where they are, how they are written and read."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from sudlib.files import PACKAGE, InputError, expand_path

#: The checkout.
#:
#: :meta hide-value:
ROOT = PACKAGE.parent


def _builds() -> Path:
    """Return the folder of builds: the checkout's, or one where the kernel runs."""
    return (ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()) / "_build"


def finished_results() -> Path:
    """Return the folder that holds the results of the other notebooks.

    It is ``SUDLIB_FINISHED`` if that is set; during ``make book`` the results of the
    same build; otherwise the quick build's, or those of notebooks run by hand.

    Returns
    -------
    pathlib.Path
        It need not exist.
    """
    if os.environ.get("SUDLIB_FINISHED"):
        return Path(os.environ["SUDLIB_FINISHED"])
    if os.environ.get("SUDLIB_RESULTS"):
        writing = Path(os.environ["SUDLIB_RESULTS"])
        # In a build a notebook writes to <build>/logs/unfinished first.
        beside = writing.parent.parent / "results"
        return beside if writing.name == "unfinished" else writing
    quick = _builds() / "quick" / "results"
    return quick if quick.is_dir() else results_folder()


_GAPS = ("NAType", "NaTType")


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it; gaps and infinity become None.

    Parameters
    ----------
    value : object
        Numbers, texts, NumPy's arrays and scalars, and dictionaries and lists of them.

    Returns
    -------
    object

    Examples
    --------
    >>> plain({"rate": float("nan"), 2018: (1, 2)})
    {'rate': None, '2018': [1, 2]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars
        return plain(value.tolist())
    infinite = isinstance(value, float) and not math.isfinite(value)
    # Those of pandas are known by name: this module does without it.
    return None if infinite or type(value).__name__ in _GAPS else value


def results_folder() -> Path:
    """Return where results are written: ``SUDLIB_RESULTS`` or below ``_build``.

    Returns
    -------
    pathlib.Path
    """
    asked = os.environ.get("SUDLIB_RESULTS")
    return Path(asked) if asked else _builds() / "interactive" / "results"


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write JSON to a neighbouring file first, so that no file is ever half written.

    Parameters
    ----------
    path : path-like
        Its folder is made where it is missing.
    content : object
        What :mod:`json` can write.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_results(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return all results in a folder, by notebook.

    Parameters
    ----------
    folder : path-like
        A folder of ``<notebook>.json`` files; an absent one holds none.

    Returns
    -------
    dict of str to dict
    """
    folder = expand_path(folder)
    return {path.stem: read_result(path) for path in sorted(folder.glob("*.json"))}


def read_result(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return one result.

    Parameters
    ----------
    path : path-like
        As :meth:`sudlib.book.Run.finish` wrote it.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the file is not there or damaged, or is no result.
    """
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
        result["stamp"]["fingerprints"], result["claims"], result["values"]
    except OSError:
        raise InputError(f"there is no result {os.fspath(path)} to read") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{os.fspath(path)} is damaged: it is not what a notebook writes at its"
            " end. Delete it; `make book` runs its notebook again"
        ) from None
    return result
