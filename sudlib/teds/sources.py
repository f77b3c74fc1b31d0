"""The forms in which a TEDS-D file may come: CSV, a zip that holds one, parquet."""

from __future__ import annotations

import contextlib
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from sudlib.files import InputError, sha256
from sudlib.teds import registry
from sudlib.teds.csv_blocks import CsvBlocks


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
        self.header = list(self.file.schema_arrow.names)
        metadata = self.file.schema_arrow.metadata or {}
        self.synthetic = metadata.get(b"sudlib.synthetic") == b"True"

    def blocks(self, columns: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the columns {the file's name: the schema's}, block by block."""
        try:
            for batch in self.file.iter_batches(100_000, columns=list(columns)):
                yield {name: batch.column(source) for source, name in columns.items()}
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{self.name} cannot be read ({error})") from error

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return sha256(self.path)


@contextlib.contextmanager
def open_blocks(path: Path) -> Iterator[CsvBlocks | ParquetBlocks]:
    """Open a file as a stream of blocks; its ending says what it is.

    Parameters
    ----------
    path : pathlib.Path
        ``.zip``, ``.parquet`` or ``.pq``; any other file is read as CSV.

    Yields
    ------
    CsvBlocks or ParquetBlocks
    """
    ending = path.suffix.casefold()
    if ending in (".parquet", ".pq"):
        source = ParquetBlocks(path)
        with source.file:
            yield source
    elif ending == ".zip":
        try:
            bundle = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise InputError(
                f"{path.name} is not a whole zip file ({error}): it is cut off or"
                " another file. Download it again"
            ) from error
        with bundle:
            entry = find_table(bundle, path.name)
            with bundle.open(entry) as stream:
                yield CsvBlocks(stream, Path(entry.filename).name)
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
    entries = bundle.infolist()
    for entry in entries:
        parts = re.split(r"[/\\]", entry.filename)
        linked = stat.S_ISLNK(entry.external_attr >> 16)
        rooted = entry.filename.startswith(("/", "\\")) or ":" in parts[0]
        if ".." in parts or rooted or linked:
            what = "is a link" if linked else "would be written outside the folder"
            raise InputError(f"{name} is refused: its entry {entry.filename!r} {what}")
        if entry.flag_bits & 0x1:
            raise InputError(f"{name} is refused: {entry.filename!r} is encrypted")
    names = {
        entry: entry.filename.casefold()
        for entry in entries
        if not entry.filename.startswith("__MACOSX")
    }
    tables = [e for e, name in names.items() if name.endswith((".csv", ".tsv", ".txt"))]
    # A bundle may hold notes or further tables beside the agency's one.
    for only in (
        [e for e in tables if registry.official_download(Path(e.filename).name)],
        [e for e in tables if names[e].endswith(".csv")],
        tables,
    ):
        if len(only) == 1:
            return only[0]
    inside = ", ".join(entry.filename for entry in entries) or "nothing"
    raise InputError(f"{name} must hold one CSV of TEDS-D; it holds {inside}")
