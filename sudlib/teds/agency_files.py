"""Download of the agency's files: verified, resumed, cached."""

from __future__ import annotations

import contextlib
import lzma
import os
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from sudlib.files import InputError, expand_path, sha256
from sudlib.teds import codebook, registry
from sudlib.teds.csv_blocks import BLOCK
from sudlib.teds.registry import Download
from sudlib.teds.sources import find_table, open_entry
from sudlib.teds.writer import full_disk_told, whole_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def cache_folder() -> Path:
    """Return the folder where downloads are kept.

    Returns
    -------
    pathlib.Path
        The environment variable SUDLIB_CACHE, or else the place where your system
        keeps caches (on Linux ``~/.cache/sudlib``).
    """
    if os.environ.get("SUDLIB_CACHE"):
        return expand_path(os.environ["SUDLIB_CACHE"])
    # Imported here: a page that reads the twin needs no network library.
    from sudlib import downloads

    return downloads.system_cache()


def fetch(year: int, *, folder: str | PathLike[str] | None = None) -> Path:
    """Return the path of the agency's CSV of a year; download it if it is not there.

    Each address that is known is tried, newest first.  A download that broke off goes
    on where it stopped, also in a later run.  Zip and CSV are held against their
    SHA-256 in ``data/registry.csv``; for 2021 and 2023 none is known, and a warning
    says so.  What is there and whole is never downloaded again, and a file that you
    have put into the folder by hand counts.

    Parameters
    ----------
    year : int
        2015 to 2023.
    folder : path, optional
        Where to keep zip and CSV; None: :func:`cache_folder`.

    Returns
    -------
    pathlib.Path
        The CSV.

    Raises
    ------
    InputError
        If nothing could be downloaded (it then says what to download by hand and
        where to put it), a hash is wrong, the zip is unsafe, or the disk is full.

    Notes
    -----
    Taught in ``a01_discharge_records``.
    """
    download = registry.read_registry()[codebook.check_year(year)]
    folder = cache_folder() if folder is None else expand_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {str(folder)!r} for downloads cannot be made ({error});"
            " the environment variable SUDLIB_CACHE names another"
        ) from error
    with _alone(folder / f".{year}.lock"):
        table = folder / download.csv
        if not _is_whole(table, download.csv_bytes, download.csv_sha256):
            bundle = folder / download.zip
            if not _is_whole(bundle, download.zip_bytes, download.zip_sha256):
                _download(download, bundle)
            _extract(download, bundle, table)
        if download.csv_sha256 is None:
            warnings.warn(
                f"no SHA-256 of the agency's file of {year} is known, so"
                f" {table.name} cannot be verified",
                stacklevel=2,
            )
    return table


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock, so that two runs do not download the same file at once."""
    if fcntl is None:  # not on Windows
        yield
        return
    with open(path, "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _is_whole(path: Path, size: int | None, digest: str | None) -> bool:
    """Tell whether a file is there and the agency's; put a wrong one aside."""
    if not path.exists():
        return False
    if digest is None:
        return True
    if path.stat().st_size == size and sha256(path) == digest:
        return True
    aside = path.with_name(path.name + ".wrong")
    os.replace(path, aside)
    warnings.warn(
        f"{path.name} in {str(path.parent)!r} is not the agency's file (wrong size or"
        f" SHA-256); it is now {aside.name}",
        stacklevel=4,
    )
    return False


def _download(download: Download, bundle: Path) -> None:
    """Download a zip from the first address that has the right one."""
    from sudlib import downloads

    _need_room(download, bundle.with_name(bundle.name + ".part"))
    digest = download.zip_sha256
    try:
        with full_disk_told(bundle):
            downloads.download(
                download.urls, bundle, sha256=digest, good=zipfile.is_zipfile
            )
    except downloads.DownloadError as error:
        raise InputError(
            f"the TEDS-D file of {download.year} could not be downloaded:\n  {error}"
            f"\nDownload {download.zip} by hand from {registry.PAGE}, put it into"
            f" {str(bundle.parent)!r} and run again."
            + (f" Its SHA-256 must be {digest}." if digest else "")
        ) from error


def _need_room(download: Download, part: Path) -> None:
    """Raise if the disk has no room for zip and CSV."""
    got = part.stat().st_size if part.exists() else 0
    need = (download.zip_bytes or 5e7) - got + (download.csv_bytes or 3.5e8)
    free = shutil.disk_usage(part.parent).free
    if free < need:
        raise InputError(
            f"the disk of {str(part.parent)!r} has {free / 1e6:,.0f} MB free, but the"
            f" TEDS-D file of {download.year} needs {need / 1e6:,.0f} MB; the"
            " environment variable SUDLIB_CACHE names another folder"
        )


def _extract(download: Download, bundle: Path, table: Path) -> None:
    """Write the CSV in a zip beside it, and hold it against its SHA-256."""
    limit = download.csv_bytes or 2**31
    try:
        with zipfile.ZipFile(bundle) as opened:
            member = find_table(opened, bundle.name)
            if member.file_size > limit:
                raise InputError(
                    f"{bundle.name} is refused: {member.filename} would have"
                    f" {member.file_size:,} bytes, more than the {limit:,} allowed"
                )
            with whole_file(table) as part:
                with open_entry(opened, member, bundle.name) as source:
                    with open(part, "wb") as stream:
                        shutil.copyfileobj(source, stream, BLOCK)
                digest = sha256(part)
                if download.csv_sha256 not in (None, digest):
                    raise InputError(
                        f"{member.filename} in {bundle.name} is not the agency's file"
                        f" of {download.year}: its SHA-256 is {digest},"
                        f" the agency's {download.csv_sha256}"
                    )
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            f"{bundle.name} in {str(bundle.parent)!r} cannot be unpacked ({error});"
            " delete it and run again"
        ) from error
