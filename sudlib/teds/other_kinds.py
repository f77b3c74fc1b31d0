"""Files of other kinds than can be read, known by how they begin, with a remedy."""

from __future__ import annotations

from pathlib import Path

from sudlib.files import InputError

UNPACK = "unpack it and give the CSV inside"
EXPORT = "save it as CSV (UTF-8, commas) where it was made, and give that"
RELOAD = "download the file again, or by hand in a browser"

#: How files begin: what they are, and what to do.
_SIGNS = {
    b"\x1f\x8b": ("a gzip archive", UNPACK),
    b"BZh": ("a bzip2 archive", UNPACK),
    b"\xfd7zXZ": ("an xz archive", UNPACK),
    b"\x28\xb5\x2f\xfd": ("a Zstandard archive", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", UNPACK),
    b"Rar!": ("a RAR archive", UNPACK),
    b"PK\x03\x04": ("a zip, and here a table is needed", UNPACK),
    b"PAR1": ("a parquet file, and here a CSV is needed", "give the parquet file"),
    b"<stata_dta>": ("a Stata file", EXPORT),
    **dict.fromkeys(
        [bytes([v, order, 1, 0]) for v in range(110, 116) for order in (1, 2)],
        ("a Stata file", EXPORT),
    ),
    b"$FL": ("an SPSS file", EXPORT),
    b"\0" * 12 + b"\xc2\xea\x81\x60": ("a SAS file", EXPORT),
    b"HEADER RECORD*******": ("a SAS transport file", EXPORT),
    b"RDX": ("an R file", EXPORT),
    b"ARROW1": ("a Feather file", EXPORT),
    b"\xff\xff\xff\xff": ("an Arrow stream", EXPORT),
    b"ORC": ("an ORC file", EXPORT),
    b"\x89HDF": ("an HDF5 file", EXPORT),
    b"SQLite format 3": ("an SQLite database", EXPORT),
    b"\xd0\xcf\x11\xe0": ("an old Excel file", EXPORT),
    b"%PDF": ("a PDF", "give the data file itself"),
    b"\xff\xfe": ("text in UTF-16", "save it as CSV in UTF-8"),
    b"\xfe\xff": ("text in UTF-16", "save it as CSV in UTF-8"),
}
#: Of kinds that do not always begin alike.
_ENDINGS = {
    **dict.fromkeys([".dta"], "a Stata file"),
    **dict.fromkeys([".sav", ".zsav", ".por"], "an SPSS file"),
    **dict.fromkeys([".sas7bdat", ".xpt"], "a SAS file"),
    **dict.fromkeys([".rda", ".rdata", ".rds"], "an R file"),
    **dict.fromkeys([".xls", ".xlsx", ".xlsb", ".ods"], "a spreadsheet"),
}


def check_kind(head: bytes, name: str) -> None:
    """Raise unless a file begins as a text table may.

    Parameters
    ----------
    head : bytes
        The beginning of the file.
    name : str
        Its name.

    Raises
    ------
    InputError
        Naming the file, what it is, and what to do.
    """
    kind = next((told for sign, told in _SIGNS.items() if head.startswith(sign)), None)
    text = head[:4096].lstrip()
    if head[257:262] == b"ustar":
        kind = "a tar archive", UNPACK
    elif kind is None and Path(name).suffix.casefold() in _ENDINGS:
        kind = _ENDINGS[Path(name).suffix.casefold()], EXPORT
    elif kind is None and text.startswith(b"<"):
        kind = "a web page or XML", RELOAD
    elif kind is None and text.startswith((b"{", b"[")):
        kind = "JSON", EXPORT
    elif kind is None and b"\0" in text:
        wide = text.count(b"\0") > len(text) / 3
        kind = ("text in UTF-16" if wide else "not a text file"), EXPORT
    elif kind is None and not text:
        kind = "empty", RELOAD
    if kind is not None:
        raise InputError(
            f"{name} is {kind[0]}; a TEDS-D file is a CSV, a zip of one, or parquet:"
            f" {kind[1]}"
        )
