"""CSV files parsed in blocks of bytes."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import lzma
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from sudlib.files import InputError
from sudlib.teds import codebook
from sudlib.teds.other_kinds import check_kind

BLOCK = 4 * 2**20  # bytes of CSV read at a time
PIECE = 2**19  # bytes parsed at a time: they stay in a processor's cache
HEAD = 2**16  # bytes in which the header is looked for
WORKERS = 2  # blocks parsed side by side

# What unpacking a damaged zip raises; bz2 raises an OSError without a number.
DAMAGED = (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError)

Columns = dict[str, pa.ChunkedArray]


@dataclass
class Block:
    """Bytes that end with a line, in a buffer that is used again after them.

    Attributes
    ----------
    buffer : bytearray
    lines : memoryview
        The part of it that holds whole lines.
    hashed : concurrent.futures.Future
        Done when the hash has seen them.
    """

    buffer: bytearray
    lines: memoryview
    hashed: Future[None]


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
        buffer = bytearray(HEAD)
        head = bytes(buffer[: self._fill(buffer, 0)])
        self.hash.update(head)
        check_kind(head, name)
        first_line, end, self.rest = _first_line(head)
        self.returns = end == b"\r\n"
        # Old Macs end a line so; pyarrow reads it, but blocks are cut at line feeds.
        self.lone_returns = end == b"\r" and b"\n" not in self.rest
        if self.lone_returns:
            self.rest = self.rest.replace(b"\r", b"\n")
        names = _decode(first_line).lstrip("\ufeff")
        self.delimiter = max(",\t;|", key=names.count)
        fields = next(csv.reader([names], delimiter=self.delimiter))
        self.header = [field.strip() for field in fields]
        twice = {field for field in self.header if self.header.count(field) > 1}
        if twice:
            raise InputError(
                f"{name} has the column {', '.join(sorted(twice))} more than once"
            )

    def _fill(self, buffer: bytearray, begin: int) -> int:
        """Read into a buffer from a place on; return where what it holds ends."""
        try:
            return begin + self.stream.readinto(memoryview(buffer)[begin:])  # type: ignore[attr-defined]
        except DAMAGED as error:
            if getattr(error, "errno", None):  # the disk's fault, not the zip's
                raise
            raise InputError(
                f"{self.place} cannot be unpacked to its end, the zip is cut off or"
                f" damaged ({error}). Download it again"
            ) from error

    def digest(self) -> str:
        """Return the SHA-256 of the CSV; every byte has been read by then."""
        return self.hash.hexdigest()

    def blocks(self, columns: dict[str, str]) -> Iterator[Columns]:
        """Yield the columns {the file's name: the schema's}, block by block."""
        spare: list[bytearray] = []
        # The hash has a thread of its own, because its blocks have an order.
        with ThreadPoolExecutor(WORKERS) as pool, ThreadPoolExecutor(1) as hashing:
            ahead: deque[tuple[Block, Future[Columns | None]]] = deque()

            def first() -> Columns:
                block, future = ahead.popleft()
                table = self._finish(block.lines, future, columns)
                block.hashed.result()
                spare.append(block.buffer)
                return table

            for block in self._lines(spare, hashing):
                ahead.append((block, pool.submit(self._integers, block.lines, columns)))
                if len(ahead) > WORKERS:
                    yield first()
            while ahead:
                yield first()

    def _lines(
        self, spare: list[bytearray], hashing: ThreadPoolExecutor
    ) -> Iterator[Block]:
        """Yield the file in blocks that end with a line, in spare buffers if any."""
        rest = self.rest
        while True:
            buffer = spare.pop() if spare else bytearray(BLOCK)
            begin = len(rest)
            if begin > len(buffer) // 2:  # a line without an end
                buffer = bytearray(2 * begin)
            buffer[:begin] = rest
            end = self._fill(buffer, begin)
            if end == begin:
                break
            hashed = hashing.submit(self.hash.update, memoryview(buffer)[begin:end])
            if self.lone_returns:
                hashed.result()
                buffer[begin:end] = buffer[begin:end].replace(b"\r", b"\n")
            cut = buffer.rfind(b"\n", 0, end) + 1
            rest = bytes(memoryview(buffer)[cut:end])
            if cut:
                yield Block(buffer, memoryview(buffer)[:cut], hashed)
            else:
                hashed.result()
                spare.append(buffer)
        cut = rest.rfind(b"\n") + 1
        last, hashed = memoryview(rest), hashing.submit(self.hash.update, b"")
        if cut:
            yield Block(bytearray(), last[:cut], hashed)
        if rest[cut:].strip():
            if self.returns:
                raise InputError(
                    f"{self.name} is cut off: its last line, which begins with"
                    f" {_decode(rest[cut : cut + 40])!r}, has no end"
                )
            yield Block(bytearray(), last[cut:], hashed)

    def _integers(self, block: memoryview, columns: dict[str, str]) -> Columns | None:
        """Return a block's columns as integers, or None if a cell is none."""
        if self.text:
            return None
        kinds = [pa.type_for_alias(codebook.dtype(name)) for name in columns.values()]
        with contextlib.suppress(pa.ArrowInvalid):
            return self._table(block, columns, kinds, PIECE)
        return None

    def _finish(
        self,
        block: memoryview,
        future: Future[Columns | None],
        columns: dict[str, str],
    ) -> Columns:
        """Return a block's columns; as text where they are not all integers."""
        table = future.result()
        if table is None:
            # Slower: labels, cells that are no code, or rows of another length.
            self._check_lengths(block)
            text = pa.dictionary(pa.int32(), pa.string())
            whole = _decode(block).encode()
            table = self._table(whole, columns, [text] * len(columns), len(whole))
            # A text column that begins with a label: later blocks will hold labels.
            self.text = any(
                re.search("[A-Za-z]", next(filter(None, column[:1000].to_pylist()), ""))
                for column in table.values()
            )
        self.line += len(next(iter(table.values())))
        return table

    def _table(
        self,
        block: bytes | memoryview,
        columns: dict[str, str],
        kinds: list[Any],
        piece: int,
    ) -> Columns:
        """Return a block's columns of these types, parsed by pyarrow."""
        table = arrow_csv.read_csv(
            pa.py_buffer(block),
            # One thread a block: whole blocks run side by side instead.
            read_options=arrow_csv.ReadOptions(
                column_names=self.header,
                use_threads=False,
                block_size=max(piece, 1),
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(columns),
                column_types=dict(zip(columns, kinds, strict=True)),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        # In one piece each, here and not where all blocks meet.
        parts = table.combine_chunks().columns
        return dict(zip(columns.values(), parts, strict=True))

    def _check_lengths(self, block: memoryview) -> None:
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


def _decode(block: bytes | memoryview) -> str:
    """Return bytes as text: UTF-8, or else latin-1 (the file of 2021)."""
    try:
        return str(block, "utf-8")
    except UnicodeDecodeError:
        return str(block, "latin-1")
