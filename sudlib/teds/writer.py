"""Writing records in the agency's formats."""

import contextlib
import errno
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from sudlib.files import InputError
from sudlib.teds.registry import _official

# ----------------------------------------------------------------------- write


def write(frame, path):
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
        disk is full, or made-up records would get an official file's name.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame = pd.DataFrame({"DISYR": [2018], "LOS": [-9]})
    ...     write(frame, f"{folder}/small.csv").read_bytes()
    b'DISYR,LOS\\r\\n2018,-9\\r\\n'
    """
    path = Path(path).expanduser()
    ending = path.suffix.casefold()
    writers = {".csv": _write_csv, ".zip": _write_zip, ".parquet": _write_parquet}
    if ending not in writers:
        raise InputError(
            f"a file of records ends in {', '.join(writers)}, not {path.name!r}"
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
    if frame.attrs.get("synthetic") and _official(path.with_suffix(".csv").name):
        raise InputError(
            f"{path.name} is the name of an official file; made-up records need"
            " another, so that nobody takes them for real ones"
        )
    with _whole_file(path) as part:
        writers[ending](frame, part, path)
    return path


@contextlib.contextmanager
def _whole_file(path):
    """Yield a file beside ``path`` that takes its name when all went well."""
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r} to write into")
    handle, part = tempfile.mkstemp(
        prefix=f".{path.stem}.", suffix=f"{path.suffix}.part", dir=path.parent
    )
    os.close(handle)
    part = Path(part)
    try:
        with _room(path):
            yield part
            # mkstemp makes files for one's own eyes only; data are for the group.
            mask = os.umask(0)
            os.umask(mask)
            part.chmod(0o666 & ~mask)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _room(path):
    """Turn a full disk into a clear error."""
    try:
        yield
    except OSError as error:
        full = (errno.ENOSPC, errno.EDQUOT)
        if error.errno not in full:
            raise
        free = shutil.disk_usage(path.parent).free
        raise InputError(
            f"the disk of {str(path.parent)!r} is full ({free / 1e6:,.0f} MB are free):"
            f" {path.name} was not written, and nothing was changed"
        ) from error


def _write_csv(frame, part, _):
    with open(part, "wb") as stream:
        for block in _lines(frame):
            stream.write(block)


def _write_zip(frame, part, path):
    # A fixed date, so that the same records give the same bytes.
    entry = zipfile.ZipInfo(f"{path.stem}.csv", (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with (
        zipfile.ZipFile(part, "w") as bundle,
        bundle.open(entry, "w", force_zip64=True) as stream,
    ):
        for block in _lines(frame):
            stream.write(block)


def _write_parquet(frame, part, _):
    table = pa.table(
        {str(name): pa.array(frame[name].to_numpy()) for name in frame.columns}
    )
    made_up = str(bool(frame.attrs.get("synthetic"))).encode()
    table = table.replace_schema_metadata({b"sudlib.synthetic": made_up})
    pa.parquet.write_table(table, part, compression="zstd")


def _lines(frame, rows=50_000):
    """Yield the CSV's bytes block by block.

    Every cell with what ends it becomes four bytes (or eight, or more) padded with
    zero bytes; then the zero bytes are dropped, all at once.
    """
    yield (",".join(map(str, frame.columns)) + "\r\n").encode()
    columns = [frame[name].to_numpy() for name in frame.columns]
    ends = [b","] * (len(columns) - 1) + [b"\r\n"]
    tables = [_tokens(values, end) for values, end in zip(columns, ends, strict=True)]
    for start in range(0, len(frame), rows):
        row = []
        for values, end, table in zip(columns, ends, tables, strict=True):
            piece = values[start : start + rows]
            if table is not None:
                row.append(table[piece.view(np.uint8)][:, None])
            else:
                row.append(_digits(piece))
                row.append(np.full((len(piece), 1), _four(end), "<u4"))
        flat = np.hstack(row).view(np.uint8).ravel()
        yield flat[flat != 0].tobytes()


def _four(text):
    """Return up to four bytes as one number."""
    return int.from_bytes(text, "little")


def _tokens(values, end):
    """Return the four bytes of each code with its end, or None if four are too few."""
    if values.dtype != np.int8 or not len(values):
        return None
    texts = [str(code).encode() + end for code in range(-128, 128)]
    if (
        max(len(texts[int(values.min()) + 128]), len(texts[int(values.max()) + 128]))
        > 4
    ):
        return None
    # As unsigned bytes the codes run 0 ... 127, -128 ... -1.
    return np.array([_four(text[:4]) for text in texts[128:] + texts[:128]], "<u4")


def _digits(values):
    """Return the text of integers as rows of bytes, in groups of four, with zeros."""
    values = values.astype(np.int64)
    width = max(len(str(values.min())), len(str(values.max())))
    width += -width % 4
    texts = values.astype(f"S{width}")
    return texts.view("<u4").reshape(len(values), -1)
