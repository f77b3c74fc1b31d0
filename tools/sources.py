"""Where the tools find what they make ``data/`` from.

``data/sources.csv`` names every file that is needed from outside, with its addresses.
Anybody can fetch them; whoever has them already names a folder with ``--from``.  The
TEDS-D files themselves stand in ``data/registry.csv``, with their hashes.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

from sudlib import downloads, teds
from sudlib.files import InputError, sha256

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
COUNTS = ROOT / "_build" / "counts"


@dataclass(frozen=True)
class Source:
    """One row of ``data/sources.csv``."""

    name: str
    file: str
    what: str
    urls: tuple[str, ...]
    sha256: str
    terms: str


def registry(path=None):
    """Return the declared sources by name."""
    rows = read_rows(path or DATA / "sources.csv")
    return {
        row["name"]: Source(**{**row, "urls": tuple(row["urls"].split())})
        for row in rows
    }


def obtain(name, folders=(), *, fetch=True, known=None):
    """Return the path of a source: from a folder, the cache, or its address.

    Parameters
    ----------
    name : str
        As in ``data/sources.csv``.
    folders : iterable of path
        Looked through first, with what is below them, for a file of that name.
    fetch : bool
        Whether to download what is not at hand.
    known : dict, optional
        Other sources than the declared ones.

    Returns
    -------
    pathlib.Path or None
        None if it is not at hand and is not to be downloaded.

    Raises
    ------
    InputError
        If there is no such source, a folder does not exist, a file has another SHA-256
        than it should, or no address gives it.
    """
    known = registry() if known is None else known
    if name not in known:
        raise InputError(
            f"there is no source {name!r}; data/sources.csv has {', '.join(known)}"
        )
    source = known[name]
    if not source.file:
        raise InputError(f"{name} is read on paper ({source.what}), not as a file")
    for path in _candidates(source.file, folders):
        if source.sha256 and (found := sha256(path)) != source.sha256:
            raise InputError(
                f"{path} is not the file that data/sources.csv means by {name}: its"
                f" SHA-256 is {found}, it should be {source.sha256}"
            )
        return path
    path = teds.cache_folder() / "sources" / source.file
    if path.is_file() and (not source.sha256 or sha256(path) == source.sha256):
        return path
    if not fetch:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        downloads.download(source.urls, path, sha256=source.sha256 or None)
    except downloads.DownloadError as error:
        raise InputError(
            f"{name} ({source.what}) could not be downloaded:\n  {error}\nFetch"
            f" {source.file} on a machine that has the internet, and name its folder"
            " with --from"
        ) from error
    return path


def obtain_year(year, folders=(), *, fetch=True):
    """Return the path of a year's TEDS-D file: CSV, or the agency's zip.

    Looks in the folders, then in the cache of :func:`sudlib.teds.fetch`, and downloads
    it unless ``fetch`` is False: then None stands for a file that is not at hand.
    """
    known = teds.read_registry()
    if year not in known:
        raise InputError(
            f"the year must be one of {', '.join(map(str, known))}, not {year!r}"
        )
    for name in (known[year].csv, known[year].zip):
        for path in _candidates(name, folders):
            return path
        if (teds.cache_folder() / name).is_file():
            return teds.cache_folder() / name
    return teds.fetch(year) if fetch else None


def _candidates(name, folders):
    """Yield the files of a name below some folders."""
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"--from must name a folder; {str(folder)!r} is none")
        yield from sorted(path for path in folder.rglob(name) if path.is_file())


def read_rows(path):
    """Return a CSV as a list of dictionaries of text."""
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_rows(path, rows, header=None):
    """Write dictionaries as a CSV with plain line ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, header or list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def run(main):
    """Run a tool's main function; show what is wrong with its input in words."""
    try:
        sys.exit(main())
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
