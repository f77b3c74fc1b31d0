"""Find and fingerprint the files that come with the book."""

from __future__ import annotations

import csv
import hashlib
import os
from os import PathLike
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


class InputError(ValueError):
    """Raised for an invalid argument or input file.

    The message says what was wrong, what is allowed and what was given, so that it
    can be shown without a traceback.
    """


def data_file(name: str) -> Path:
    """Return the path of an embedded data file.

    Call it with a literal string: the build reads these calls to know which notebook
    depends on which data file.

    Parameters
    ----------
    name : str
        Path below ``data/``, with forward slashes, e.g. ``"codebook/codes.csv"``.

    Returns
    -------
    pathlib.Path
        In a checkout the file below ``data/``; in an installed wheel its copy.

    Raises
    ------
    InputError
        If there is no such file.

    Examples
    --------
    >>> data_file("README.md").name
    'README.md'
    """
    folders = (PACKAGE / "_data", PACKAGE.parent / "data")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"sudlib has no embedded data file {name!r}; it looked in"
        f" {' and '.join(str(folder) for folder in folders)}"
    )


def read_rows(path: str | PathLike[str]) -> list[dict[str, str]]:
    """Return a small CSV table as a list of dictionaries.

    Parameters
    ----------
    path : str or path
        Of a file in UTF-8 with a header.

    Returns
    -------
    list of dict
        One a row, from column names to texts.

    Examples
    --------
    >>> read_rows(data_file("codebook/variables.csv"))[0]["variable"]
    'DISYR'
    """
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def expand_path(path: str | PathLike[str]) -> Path:
    """Return a path with ``~`` and environment variables filled in.

    Every path that a person gives goes through here, where it is read and where it is
    fingerprinted; a shell expands only some of them (not one in quotes).

    Parameters
    ----------
    path : str or path
        A ``$`` that is part of the name of an existing file or folder stays.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If it is neither, such as bytes, an open file or None.

    Examples
    --------
    >>> import os
    >>> os.environ["RECORDS"] = "data"
    >>> expand_path("$RECORDS/README.md").as_posix()
    'data/README.md'
    >>> del os.environ["RECORDS"]
    """
    if not isinstance(path, str | PathLike):
        raise InputError(
            f"a path must be text or a pathlib.Path, not {type(path).__name__}"
        )
    home = os.path.expanduser(path)
    return Path(home if os.path.exists(home) else os.path.expandvars(home))


def sha256(path: str | PathLike[str]) -> str:
    """Return the SHA-256 of a file, read in pieces.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
