"""Write records in the agency's byte format, as CSV, in a zip or as parquet."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from sudlib.files import InputError, expand_path
from sudlib.origin import IS_SYNTHETIC, origin_of
from sudlib.teds import codebook, registry
from sudlib.validation import check_frame


def write(frame: pd.DataFrame, path: str | PathLike[str]) -> Path:
    """Write records in the agency's byte format, or as parquet or zip.

    The CSV has a plain header, commas, unquoted integers and CRLF at the end of every
    line, as the agency's files have: a frame with an official file's contents gives
    that file to the byte.  The file appears under its name only when it is whole.

    Parameters
    ----------
    frame : pandas.DataFrame
        Integer columns.
    path : str or path
        Ends in ``.csv``, ``.zip`` (the CSV inside) or ``.parquet``.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If a column is no integer, the ending is another, the folder is not there, the
        disk is full, or made-up records would get an official file's name or
        could not be told from others.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame = pd.DataFrame({"DISYR": [2018], "LOS": [-9]})
    ...     write(frame, f"{folder}/small.csv").read_bytes()
    b'DISYR,LOS\\r\\n2018,-9\\r\\n'
    """
    path = expand_path(path)
    ending = path.suffix.casefold()
    writers = {".csv": _write_csv, ".zip": _write_zip, ".parquet": _write_parquet}
    if ending not in writers:
        raise InputError(
            f"a file of records ends in {', '.join(writers)}, not {path.name!r}"
        )
    # What the schema knows is written, also where pandas keeps it as the index.
    keys = [name for name in check_frame(frame).index.names if name in codebook.COLUMNS]
    frame = frame.reset_index(keys, allow_duplicates=True) if keys else frame
    names = list(map(str, frame.columns))
    if len(set(names)) < len(names) or not re.fullmatch(r"\w*", "".join(names)):
        raise InputError(
            "columns must have a name each, of letters, digits and _, not"
            f" {', '.join(names)}"
        )
    other = [
        f"{name} ({kind})"
        for name, kind in frame.dtypes.items()
        if not pd.api.types.is_integer_dtype(kind)
    ]
    # A nullable integer column is one too, as long as no cell is empty.
    other += [str(name) for name in frame.columns[frame.isna().any()]]
    if other or not len(frame.columns):
        raise InputError(
            "every column must hold integers (-9 for missing); these do not:"
            f" {', '.join(other) or 'there are no columns'}"
        )
    made_up = IS_SYNTHETIC[origin_of(frame)]
    if made_up and registry.official_download(path.with_suffix(".csv").name):
        raise InputError(
            f"{path.name} is the name of an official file; made-up records need"
            " another, so that nobody takes them for real ones"
        )
    if made_up and ending != ".parquet" and "CASEID" not in frame:
        raise InputError(
            f"{path.name} would not show that its records are made up: keep CASEID, by"
            " which they are known, or write a parquet file"
        )
    with whole_file(path) as part:
        writers[ending](frame, part, path)
    return path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a file beside ``path`` that takes its name when all went well."""
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r} to write into")
    with full_disk_told(path):
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.", suffix=f"{path.suffix}.part", dir=path.parent
        )
    os.close(handle)
    part = Path(name)
    try:
        with full_disk_told(path):
            yield part
            # mkstemp makes files for one's own eyes only; data are for the group.
            mask = os.umask(0)
            os.umask(mask)
            part.chmod(0o666 & ~mask)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Turn a full disk, and a place that cannot be written to, into a clear error."""
    try:
        yield
    except OSError as error:
        full = (errno.ENOSPC, errno.EDQUOT)
        if error.errno is None:  # nobody's file: of the network, say
            raise
        if error.errno not in full:
            raise InputError(
                f"{str(path)!r} cannot be written ({error.strerror})"
            ) from error
        free = shutil.disk_usage(path.parent).free
        raise InputError(
            f"the disk of {str(path.parent)!r} is full ({free / 1e6:,.0f} MB are free):"
            f" {path.name} was not written, and nothing was changed"
        ) from error


def _write_csv(frame: pd.DataFrame, part: Path, path: Path) -> None:
    with open(part, "wb") as stream:
        stream.writelines(_lines(frame))


def _write_zip(frame: pd.DataFrame, part: Path, path: Path) -> None:
    # A fixed date, so that the same records give the same bytes.
    entry = zipfile.ZipInfo(f"{path.stem}.csv", (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with (
        zipfile.ZipFile(part, "w") as bundle,
        bundle.open(entry, "w", force_zip64=True) as stream,
    ):
        stream.writelines(_lines(frame))


def _write_parquet(frame: pd.DataFrame, part: Path, path: Path) -> None:
    made_up = str(bool(IS_SYNTHETIC[origin_of(frame)])).encode()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({b"sudlib.synthetic": made_up})
    parquet.write_table(table, part, compression="zstd")


def _lines(frame: pd.DataFrame, rows: int = 50_000) -> Iterator[bytes]:
    """Yield the CSV's bytes block by block."""
    yield (",".join(map(str, frame.columns)) + "\r\n").encode()
    options = arrow_csv.WriteOptions(include_header=False)
    for start in range(0, len(frame), rows):
        block = frame.iloc[start : start + rows]
        sink = pa.BufferOutputStream()
        arrow_csv.write_csv(
            pa.Table.from_pandas(block, preserve_index=False), sink, options
        )
        yield sink.getvalue().to_pybytes().replace(b"\n", b"\r\n")
