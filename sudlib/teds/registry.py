"""Which TEDS-D files the agency offers: names, sizes, hashes and addresses."""

from __future__ import annotations

from dataclasses import dataclass

from sudlib.files import data_file, read_rows

PAGE = "https://www.samhsa.gov/data/data-we-collect/teds/datafiles"
"""The agency's page from which the files can be downloaded by hand."""


@dataclass(frozen=True)
class Download:
    """One year's download; what is not known is None.

    Attributes
    ----------
    year : int
        Year of discharge.
    zip, csv : str
        Names of the zip and of the CSV inside it.
    zip_bytes, csv_bytes : int or None
        Their sizes.
    zip_sha256, csv_sha256 : str or None
        Their SHA-256.
    urls : tuple of str
        Addresses of the zip, newest first.
    """

    year: int
    zip: str
    zip_bytes: int | None
    zip_sha256: str | None
    csv: str
    csv_bytes: int | None
    csv_sha256: str | None
    urls: tuple[str, ...]


def read_registry() -> dict[int, Download]:
    """Return the known downloads by year, from ``data/registry.csv``.

    Returns
    -------
    dict of int to Download

    Examples
    --------
    >>> read_registry()[2019].csv_bytes
    318572676
    """
    return {
        int(row["year"]): Download(
            year=int(row["year"]),
            zip=row["zip"],
            zip_bytes=int(row["zip_bytes"] or 0) or None,
            zip_sha256=row["zip_sha256"] or None,
            csv=row["csv"],
            csv_bytes=int(row["csv_bytes"] or 0) or None,
            csv_sha256=row["csv_sha256"] or None,
            urls=tuple(row["urls"].split()),
        )
        for row in read_rows(data_file("registry.csv"))
    }


def official_download(csv_name: str) -> Download | None:
    """Return the download whose CSV has this name, in any case; None if there is none.

    Parameters
    ----------
    csv_name : str
        A file's name, without its folder.

    Returns
    -------
    Download or None
    """
    named = {each.csv.casefold(): each for each in read_registry().values()}
    return named.get(csv_name.casefold())
