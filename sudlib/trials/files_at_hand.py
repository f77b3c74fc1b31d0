"""Where the files of open studies are: your own folder, the cache, the internet."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

from sudlib import teds
from sudlib.files import InputError, expand_path, sha256
from sudlib.trials.rda import read_rda
from sudlib.trials.studies import Study, study

#: The environment variable that names a folder with the files, or says ``recorded``.
VARIABLE = "SUDLIB_OPEN_DATA"
#: Its value that asks for recorded results, without looking for files.
RECORDED = "recorded"


class NotAtHand(InputError):
    """A study's files are not on this machine and could not be downloaded."""


def open_folder() -> Path:
    """Return the folder in which the files of open studies are looked for.

    Returns
    -------
    pathlib.Path
        What the environment variable SUDLIB_OPEN_DATA names; otherwise ``open`` in
        the cache folder (:func:`sudlib.teds.cache_folder`).

    Raises
    ------
    sudlib.files.InputError
        If the variable names a folder that does not exist.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked in ("", RECORDED):
        return teds.cache_folder() / "open"
    folder = expand_path(asked)
    if not folder.is_dir():
        raise InputError(
            f"{VARIABLE} must name a folder with the files of the open studies, or be"
            f" {RECORDED!r}; there is no folder {asked!r}"
        )
    return folder


def at_hand(name: str) -> bool:
    """Return whether a study can be read without a download.

    Parameters
    ----------
    name : str
        A key of :func:`registry`.

    Returns
    -------
    bool
        False where SUDLIB_OPEN_DATA is ``recorded``.
    """
    folder = open_folder()
    files = study(name).files.items()
    there = all(_found(folder, file, entry)[0] for file, entry in files)
    return there and os.environ.get(VARIABLE) != RECORDED


def fetch(name: str) -> dict[str, Path]:
    """Return the paths of a study's files, downloaded if they are not at hand.

    Parameters
    ----------
    name : str
        A key of :func:`registry`.

    Returns
    -------
    dict of str to pathlib.Path
        By the files' places in the registry; a file with the same table may stand for
        the one that is named.

    Raises
    ------
    NotAtHand
        If a file is missing: the message says which, and how to get it.
    sudlib.files.InputError
        If a file of a folder of yours has another SHA-256 than it should.
    """
    wanted, folder = study(name), open_folder()
    own = os.environ.get(VARIABLE, "")
    if own == RECORDED:
        raise NotAtHand(f"{name} is not read, for {VARIABLE} is {RECORDED!r}")
    paths = {}
    for file, entry in wanted.files.items():
        path, place = _found(folder, file, entry)
        wrong = path and _wrong(path, entry, place)
        if wrong and own:
            raise InputError(f"{path} is not the file that is meant: {wrong}")
        if wrong or path is None:
            path = _download(wanted, file, folder, allowed=not own)
        paths[file] = path
    return paths


def _found(
    folder: Path, file: str, entry: Mapping[str, Any]
) -> tuple[Path | None, str]:
    """Return where a file, or one with the same table, is, and by which name.

    Rows of the agency's files lie in a folder of their own, beside the open studies.
    """
    for place in (*entry.get("same", ()), file):
        for root in (folder, folder.parent):
            if (root / place).is_file():
                return root / place, place
    return None, ""


def _wrong(path: Path, entry: Mapping[str, Any], place: str = "") -> str:
    """Return how a file differs from what it should be; empty if it does not."""
    should = entry.get("same", {}).get(place, entry["sha256"])
    if should:
        digest = sha256(path)
        same = digest == should
        return "" if same else f"its SHA-256 is {digest}, it should be {should}"
    try:
        with zipfile.ZipFile(path) as bundle:
            by_name = {Path(each).name: each for each in bundle.namelist()}
            for inside, should in entry["inside"].items():
                if inside not in by_name:
                    return f"it does not hold {inside}"
                with bundle.open(by_name[inside]) as stream:
                    digest = file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
                if digest != should:
                    return f"the SHA-256 of its {inside} is {digest}, not {should}"
    # A cut or damaged zip, one with a password, or packed as Python cannot unpack.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        return f"it is no zip that can be unpacked whole ({error})"
    return ""


def _download(wanted: Study, file: str, folder: Path, *, allowed: bool) -> Path:
    """Download a file into the cache, or say what is missing and how to get it."""
    entry, path = wanted.files[file], folder / file
    if not entry["urls"]:
        raise NotAtHand(
            f"{wanted.name} needs {file}, which is at no address that we know: put it"
            f" into a folder of yours, and name that folder by {VARIABLE}"
        )
    reason = f"{VARIABLE} names {folder}, where it is not"
    if allowed:
        # Imported here: who has the files needs no network library.
        from sudlib import downloads

        path.parent.mkdir(parents=True, exist_ok=True)
        taken = path.with_name("cancer.rda") if "made" in entry else path
        try:
            downloads.download(
                entry["urls"],
                taken,
                sha256=None if "made" in entry else entry["sha256"],
                good=_good(entry, path),
                tries=1,
                timeout=(5, 20),
            )
            return path
        except downloads.DownloadError as error:
            reason = f"it could not be downloaded:\n  {error}"
    raise NotAtHand(
        f"{wanted.name} needs {file}, and {reason}\nOn a machine with the internet"
        f" `make book` fetches it. By hand: put the file of {entry['urls'][0]} into a"
        f" folder as {file}, and name that folder by {VARIABLE}"
    )


def _good(entry: Mapping[str, Any], path: Path) -> Callable[[Path], bool] | None:
    """Return how a download is looked at where its own hash is not known."""
    if "made" in entry:
        return lambda taken: _make_colon(taken, path, entry["sha256"])
    return None if entry["sha256"] else lambda taken: not _wrong(taken, entry)


def _make_colon(taken: Path, path: Path, should: str) -> bool:
    """Make the table of deaths from R's file; return whether it is the known one."""
    try:
        table = read_rda(taken, "colon")
    except Exception:  # whatever the reader says: this is another file
        return False
    numbers = table.columns.drop("rx")
    table = table[table["etype"] == 2].astype(dict.fromkeys(numbers, float))
    table.astype({"rx": str}).to_csv(path, index=False, lineterminator="\n")
    if sha256(path) == should:
        return True
    path.unlink()
    return False
