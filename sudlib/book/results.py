"""Result files: where they are, how they are written and read."""

import json
import math
import os
from pathlib import Path

import numpy as np

from sudlib.files import PACKAGE

# ------------------------------------------------------------------ joining the two


def finished_results():
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
    writing = os.environ.get("SUDLIB_RESULTS")
    if writing:
        writing = Path(writing)
        # In a build a notebook writes to <build>/logs/unfinished first.
        beside = writing.parent.parent / "results"
        return beside if writing.name == "unfinished" else writing
    root = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").exists() else Path()
    quick = root / "_build" / "quick" / "results"
    return quick if quick.is_dir() else root / "_build" / "interactive" / "results"


ROOT = PACKAGE.parent


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
