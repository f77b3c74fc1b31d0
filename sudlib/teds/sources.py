"""The forms in which a TEDS-D file may come: CSV, a zip that holds one, parquet."""

from __future__ import annotations

import contextlib
import json
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import parquet

from sudlib.files import InputError, sha256
from sudlib.teds import codebook, registry
from sudlib.teds.csv_blocks import CsvBlocks
from sudlib.teds.other_kinds import EXPORT, UNPACK

#: Ways of packing a zip that Python cannot undo, by their numbers.
_METHODS = {
    9: "Deflate64 (Windows Explorer, large files)",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd (7-Zip)",
    99: "AES (encrypted)",
}


class ParquetBlocks:
    """A parquet file as a stream of blocks of rows."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        try:
            self.file = parquet.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                f"{path.name} is not a whole parquet file ({error})"
            ) from error
        metadata = self.file.schema_arrow.metadata or {}
        # An index of consecutive numbers is no column of the file for pandas.
        index = json.loads(metadata.get(b"pandas", b"{}")).get("index_columns", [])
        self.ranges = {
            each["name"]: range(each["start"], each["stop"], each["step"])
            for each in index
            if isinstance(each, dict) and each.get("name")
        }
        self.header = [*self.ranges, *self.file.schema_arrow.names]
        # The library's own mark, or the attrs as pandas writes them.
        attrs = metadata.get(b"PANDAS_ATTRS", b"")
        said = metadata.get(b"sudlib.synthetic") == b"True"
        self.synthetic = said or b'"synthetic": true' in attrs

    def blocks(self, columns: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the columns {the file's name: the schema's}, block by block."""
        asked, begin = [name for name in columns if name not in self.ranges], 0
        try:
            for batch in self.file.iter_batches(100_000, columns=asked):
                end = begin + batch.num_rows
                yield {
                    name: pa.array(self.ranges[source][begin:end])
                    if source in self.ranges
                    else batch.column(source)
                    for source, name in columns.items()
                }
                begin = end
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{self.name} cannot be read ({error})") from error

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return sha256(self.path)


@contextlib.contextmanager
def open_blocks(path: Path) -> Iterator[CsvBlocks | ParquetBlocks]:
    """Open a file as a stream of blocks; its first bytes say what it is.

    Parameters
    ----------
    path : pathlib.Path
        A zip, a parquet file or a CSV, whatever its name ends in.

    Yields
    ------
    CsvBlocks or ParquetBlocks
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read ({error.strerror})") from error
    if head == b"PAR1":
        source = ParquetBlocks(path)
        with source.file:
            yield source
    elif head in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        try:
            bundle = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise InputError(
                f"{path.name} is not a whole zip file ({error}): it is cut off or"
                " another file. Download it again"
            ) from error
        with bundle:
            entry = find_table(bundle, path.name)
            with open_entry(bundle, entry, path.name) as stream:
                yield CsvBlocks(stream, Path(entry.filename).name, path.name)
    else:
        size, official = path.stat().st_size, registry.official_download(path.name)
        if official and official.csv_bytes and size < official.csv_bytes:
            raise InputError(
                f"{path.name} has {size:,} bytes, but the agency's file of"
                f" {official.year} has {official.csv_bytes:,}: it is cut off. Download"
                " it again; or, if it is meant to be a part, give it another name"
            )
        with open(path, "rb") as stream:
            yield CsvBlocks(stream, path.name)


def find_table(bundle: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return the one CSV in a zip.

    Parameters
    ----------
    bundle : zipfile.ZipFile
        Open for reading.
    name : str
        The zip's name, for messages.

    Returns
    -------
    zipfile.ZipInfo

    Raises
    ------
    InputError
        If there is none or more than one, or an entry is encrypted, a link, or would
        be written outside the folder.
    """
    entries = [entry for entry in bundle.infolist() if not entry.is_dir()]
    for entry in entries:
        parts = re.split(r"[/\\]", entry.filename)
        linked = stat.S_ISLNK(entry.external_attr >> 16)
        rooted = entry.filename.startswith(("/", "\\")) or ":" in parts[0]
        if ".." in parts or rooted or linked:
            what = "is a link" if linked else "would be written outside the folder"
            raise InputError(f"{name} is refused: its entry {entry.filename!r} {what}")
    inside = ", ".join(entry.filename for entry in entries)[:300] or "nothing"
    if "[Content_Types].xml" in inside:
        raise InputError(f"{name} is a spreadsheet or document: {EXPORT}")
    names = {
        entry: entry.filename.casefold()
        for entry in entries
        # What a Mac puts beside each file is none of ours.
        if not re.search(r"(^|[/\\])(__MACOSX[/\\]|\.)", entry.filename)
    }
    tables = [e for e, name in names.items() if name.endswith((".csv", ".tsv", ".txt"))]
    # A bundle may hold notes or further tables beside the agency's one.
    official = [e for e in tables if registry.official_download(Path(e.filename).name)]
    if len(tables) > 1 and len(official) != 1:
        official = [e for e in tables if _is_teds(bundle, e, name)]
    for only in (tables, official):
        if len(only) == 1:
            return only[0]
    raise InputError(
        f"{name} must hold one CSV of TEDS-D; it holds {inside}: unpack it and give"
        " the one that is meant"
    )


def open_entry(bundle: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> IO[bytes]:
    """Open an entry of a zip for reading.

    Parameters
    ----------
    bundle : zipfile.ZipFile
        Open for reading.
    entry : zipfile.ZipInfo
        Of the bundle.
    name : str
        The zip's name, for messages.

    Returns
    -------
    file
        Its bytes.

    Raises
    ------
    InputError
        If it is encrypted or packed by a method that Python cannot unpack.
    """
    try:
        return bundle.open(entry)
    except NotImplementedError as error:
        method = _METHODS.get(entry.compress_type, f"number {entry.compress_type}")
        raise InputError(
            f"{name} is packed by the method {method}, which Python cannot unpack:"
            f" {UNPACK}"
        ) from error
    except RuntimeError as error:  # a password is needed
        raise InputError(
            f"{name} is refused: {entry.filename!r} is encrypted; unpack it with its"
            " password and give the CSV inside"
        ) from error
    except zipfile.BadZipFile as error:
        raise InputError(f"{name} is damaged ({error}). Download it again") from error


def _is_teds(bundle: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bool:
    """Tell whether the first line of an entry names variables of TEDS-D."""
    with open_entry(bundle, entry, name) as stream:
        first_line = stream.readline(10_000).decode("latin-1")
    words = {codebook.schema_name(word) for word in re.findall(r"\w+", first_line)}
    return len(words.intersection(codebook.COLUMNS)) > 1
