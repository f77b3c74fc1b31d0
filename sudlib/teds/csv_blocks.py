"""CSV files parsed in blocks of bytes."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import itertools
import lzma
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from sudlib.files import InputError
from sudlib.teds import codebook
from sudlib.teds.other_kinds import check_kind

BLOCK = 4 * 2**20  # bytes of CSV parsed at a time; more is not faster
WORKERS = 2  # blocks parsed side by side

# What unpacking a damaged zip raises; bz2 raises an OSError without a number.
DAMAGED = (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError)

Columns = dict[str, pa.ChunkedArray]


class CsvBlocks:
    """A CSV as a stream of blocks of rows, hashed on the way."""

    synthetic = False

    def __init__(self, stream: IO[bytes], name: str, inside: str = "") -> None:
        self.stream, self.name = stream, name
        self.place = f"{name} in {inside}" if inside else name
        self.hash = hashlib.sha256()
        self.line = 1
        self.text = False  # cells are labels: do not try integers first
        self.lone_returns = False
        self.rest = self._take()
        check_kind(self.rest, name)
        first_line, end, self.rest = _first_line(self.rest)
        self.returns = end == b"\r\n"
        # Old Macs end a line so; pyarrow reads it, but blocks are cut at line feeds.
        self.lone_returns = end == b"\r" and b"\n" not in self.rest
        if self.lone_returns:
            self.rest = self.rest.replace(b"\r", b"\n")
        head = _decode(first_line).lstrip("\ufeff")
        self.delimiter = max(",\t;|", key=head.count)
        fields = next(csv.reader([head], delimiter=self.delimiter))
        self.header = [field.strip() for field in fields]
        twice = {field for field in self.header if self.header.count(field) > 1}
        if twice:
            raise InputError(
                f"{name} has the column {', '.join(sorted(twice))} more than once"
            )

    def _take(self) -> bytes:
        try:
            block = self.stream.read(BLOCK)
        except DAMAGED as error:
            if getattr(error, "errno", None):  # the disk's fault, not the zip's
                raise
            raise InputError(
                f"{self.place} cannot be unpacked to its end, the zip is cut off or"
                f" damaged ({error}). Download it again"
            ) from error
        self.hash.update(block)
        return block.replace(b"\r", b"\n") if self.lone_returns else block

    def digest(self) -> str:
        """Return the SHA-256 of the CSV; every byte has been read by then."""
        return self.hash.hexdigest()

    def blocks(self, columns: dict[str, str]) -> Iterator[Columns]:
        """Yield the columns {the file's name: the schema's}, block by block."""
        with ThreadPoolExecutor(WORKERS) as pool:
            ahead: deque[tuple[bytes, Future[Columns | None]]] = deque()
            for block in self._lines():
                ahead.append((block, pool.submit(self._integers, block, columns)))
                if len(ahead) > WORKERS:
                    yield self._finish(*ahead.popleft(), columns)
            while ahead:
                yield self._finish(*ahead.popleft(), columns)

    def _lines(self) -> Iterator[bytes]:
        """Yield the file's bytes in blocks that end with a line."""
        rest = b""
        for more in itertools.chain([self.rest], iter(self._take, b"")):
            cut = more.rfind(b"\n") + 1
            if cut:
                yield b"".join((rest, memoryview(more)[:cut]))
                rest = more[cut:]
            else:
                rest += more
        if rest.strip():
            if self.returns:
                raise InputError(
                    f"{self.name} is cut off: its last line, which begins with"
                    f" {_decode(rest[:40])!r}, has no end"
                )
            yield rest

    def _integers(self, block: bytes, columns: dict[str, str]) -> Columns | None:
        """Return a block's columns as integers, or None if a cell is none."""
        if self.text:
            return None
        kinds = [pa.type_for_alias(codebook.dtype(name)) for name in columns.values()]
        with contextlib.suppress(pa.ArrowInvalid):
            return self._table(block, columns, kinds)
        return None

    def _finish(
        self, block: bytes, future: Future[Columns | None], columns: dict[str, str]
    ) -> Columns:
        """Return a block's columns; as text where they are not all integers."""
        table = future.result()
        if table is None:
            # Slower: labels, cells that are no code, or rows of another length.
            self._check_lengths(block)
            text = pa.dictionary(pa.int32(), pa.string())
            block = _decode(block).encode()
            table = self._table(block, columns, [text] * len(columns))
            # A text column that begins with a label: later blocks will hold labels.
            self.text = any(
                re.search("[A-Za-z]", next(filter(None, column[:1000].to_pylist()), ""))
                for column in table.values()
            )
        self.line += len(next(iter(table.values())))
        return table

    def _table(
        self, block: bytes, columns: dict[str, str], kinds: list[Any]
    ) -> Columns:
        """Return a block's columns of these types, parsed by pyarrow."""
        table = arrow_csv.read_csv(
            pa.py_buffer(block),
            # One thread and one piece a block: whole blocks run side by side instead.
            read_options=arrow_csv.ReadOptions(
                column_names=self.header,
                use_threads=False,
                block_size=max(len(block), 1),
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(columns),
                column_types=dict(zip(columns, kinds, strict=True)),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        return dict(zip(columns.values(), table.columns, strict=True))

    def _check_lengths(self, block: bytes) -> None:
        """Raise on the first row that has too few or too many fields."""
        lines = csv.reader(_decode(block).splitlines(), delimiter=self.delimiter)
        for number, row in enumerate(lines, self.line):
            if row and len(row) != len(self.header):
                raise InputError(
                    f"{self.name} is cut off or damaged: row {number}, line"
                    f" {number + 1} has {len(row)} fields, the header has"
                    f" {len(self.header)}"
                )


def _first_line(block: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the first line, what ends it, and the rest."""
    end = re.search(rb"\r\n|\r|\n", block)
    if end is None:
        return block, b"", b""
    return block[: end.start()], end[0], block[end.end() :]


def _decode(block: bytes) -> str:
    """Return bytes as text: UTF-8, or else latin-1 (the file of 2021)."""
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError:
        return block.decode("latin-1")
