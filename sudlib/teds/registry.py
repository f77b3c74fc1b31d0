"""Which TEDS files there are, and their hashes."""

import csv
from dataclasses import dataclass

from sudlib.files import data_file

PAGE = "https://www.samhsa.gov/data/data-we-collect/teds/datafiles"
"""The agency's page from which the files can be downloaded by hand."""


# ------------------------------------------------------------------- registry


@dataclass(frozen=True)
class Download:
    """One year's download: names, sizes, hashes (None where not known), addresses."""

    year: int
    zip: str
    zip_bytes: int | None
    zip_sha256: str | None
    csv: str
    csv_bytes: int | None
    csv_sha256: str | None
    urls: tuple[str, ...]


def registry():
    """Return the known downloads by year, from ``data/registry.csv``.

    Examples
    --------
    >>> registry()[2019].csv_bytes
    318572676
    """
    with open(data_file("registry.csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {
        int(row["year"]): Download(
            year=int(row["year"]),
            zip=row["zip"],
            zip_bytes=int(row["zip_bytes"]) if row["zip_bytes"] else None,
            zip_sha256=row["zip_sha256"] or None,
            csv=row["csv"],
            csv_bytes=int(row["csv_bytes"]) if row["csv_bytes"] else None,
            csv_sha256=row["csv_sha256"] or None,
            urls=tuple(row["urls"].split()),
        )
        for row in rows
    }


def _official(name):
    """Return the download whose CSV has this name, if any."""
    for download in registry().values():
        if download.csv.casefold() == str(name).casefold():
            return download
    return None
