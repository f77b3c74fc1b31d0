"""Load the records of treatment, from one of three sources.

``load`` is what every notebook calls first.  Whichever source it is from, the frame
has one schema: official names, small integer codes, -9 for missing, and ``attrs`` that
say where it is from and whether it is made up.

Taught in ``a01_discharge_records``.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sudlib import teds, twin
from sudlib.files import InputError, expand_path
from sudlib.origin import joint_origin, label, origin_of
from sudlib.teds import codebook
from sudlib.validation import check_whole


def load(
    data: str | Path = "twin",
    *,
    years: Iterable[int] | int = (2018,),
    rows: int | None = None,
    seed: int = 33,
    columns: Sequence[str] | str | None = None,
) -> pd.DataFrame:
    """Return records of treatment, real or made up, in the one schema.

    Parameters
    ----------
    data : str or path, default="twin"
        The source:

        * ``"twin"``: made-up records, drawn here;
        * ``"teds-d-2018"`` (or another year): the agency's file, downloaded once;
        * a path: a TEDS-D file of yours (CSV, zip or parquet), or a folder of the
          agency's files under their own names.
    years : iterable of int, default=(2018,)
        The years of discharge to put together.  Of a file of several years these are
        taken, and how many rows are left out is told.  A year that ``"teds-d-YEAR"``
        names, or the only one a file has, is loaded instead of years that leave it
        out; for a file this is told.
    rows : int, optional
        How many rows: the twin draws that many; of real records that many are
        sampled without replacement, in the file's order.  None: all there are.
    seed : int, default=33
        For the twin, and for the sample.
    columns : list of str, optional
        The columns wanted; None for all.

    Returns
    -------
    pandas.DataFrame
        With a new index and ``attrs``: ``data``, ``years``, ``origin``,
        ``synthetic``, ``sha256``, ``rows_in_file`` (before sampling), and for files
        ``verified`` and ``dropped`` (rows of other years, repeated rows).

    Raises
    ------
    InputError
        If the source, a year, ``rows``, ``seed`` or a column is not known or not there.

    Examples
    --------
    >>> records = load("twin", rows=100, columns=["AGE", "REASON"])
    >>> records.shape, records.attrs["synthetic"]
    ((100, 2), True)
    """
    rows = check_whole("rows", rows, 1, none="all there are")
    seed = check_whole("seed", seed)
    given: Any = years
    several = isinstance(given, Iterable) and not isinstance(given, str)
    years = tuple(map(codebook.check_year, given if several else (given,)))
    if not years or len(set(years)) < len(years):
        raise InputError(f"years must name at least one year, each once, not {years}")
    kind, place = door(data)
    if kind == "twin":
        frames, name = _twin(years, rows, seed, columns), "twin"
    elif kind == "year":
        years = years if place in years else (place,)
        frames = [teds.read(teds.fetch(year), columns) for year in years]
        name = "teds-d-" + "+".join(map(str, years))
    elif kind == "file":
        frames = [_of_years(place, columns, years)]
        name = frames[0].attrs["data"]  # of a zip given by its path the CSV inside
    else:
        files = [_official(place, year) for year in years]
        frames = [teds.read(file, columns) for file in files]
        name = " + ".join(file.name for file in files)
    return _sample(_together(frames, name), rows, seed)


def door(data: str | Path) -> tuple[str, Any]:
    """Return which kind of source a ``data`` parameter names, and which.

    Parameters
    ----------
    data : str or path
        As in :func:`load`.

    Returns
    -------
    kind : {"twin", "year", "file", "folder"}
    place : None, int or pathlib.Path
        The year, or the path.

    Raises
    ------
    InputError
        If it is none of these, or a path where nothing is.

    Examples
    --------
    >>> door("twin"), door("teds-d-2018")
    (('twin', None), ('year', 2018))
    """
    name, path = str(data), expand_path(data)
    named = re.fullmatch(r"teds-d-(\d{4})", name.casefold())
    if name == "twin":
        return "twin", None
    if named:
        return "year", codebook.check_year(int(named[1]))
    if os.path.isfile(path):
        return "file", path
    if os.path.isdir(path):
        return "folder", path
    raise InputError(
        f'data must be "twin", "teds-d-YEAR" with a year from {codebook.YEARS[0]}'
        f" to {codebook.YEARS[-1]}, or the path of a TEDS-D file, not {name!r}"
        " (there is no such file or folder)"
    )


def example_aloud(records: pd.DataFrame, columns: Sequence[str] | None = None) -> str:
    """Return one record in words: never that of a real person.

    Parameters
    ----------
    records : pandas.DataFrame
        A records frame with its ``attrs``.
    columns : list of str, optional
        The columns to read; those that are not there are passed over.

    Returns
    -------
    str
        The first record, if the frame is made up; else a made-up record, said to be
        one.

    Examples
    --------
    >>> example_aloud(load("twin", rows=1), ["SERVICES"])
    'A person entered short-term residential treatment (30 days or fewer).'
    """
    made_up = origin_of(records) == "synthetic"
    one = records if made_up else load("twin", rows=1, years=(2019,))
    asked = records.columns if columns is None else codebook.known_names(columns)
    words = teds.read_aloud(one[one.columns.intersection(asked)].iloc[0])
    if made_up:
        return words
    return f"{words} (This one is made up: the book shows no real person's record.)"


def _twin(
    years: tuple[int, ...],
    rows: int | None,
    seed: int,
    columns: Sequence[str] | str | None,
) -> list[pd.DataFrame]:
    """Return made-up records of the years, shared out as the agency's files are."""
    shares: list[int | None] = [None] * len(years)
    if rows is not None:
        sizes = np.array([codebook.size(year) for year in years], dtype=float)
        ends = np.rint(rows * sizes.cumsum() / sizes.sum()).astype(int)
        shares = np.diff(ends, prepend=0).tolist()
    frames = []
    for year, share in zip(years, shares, strict=True):
        if share != 0:
            frame = twin.sample(year, share, seed)
            frames.append(frame if columns is None else _columns(columns, frame))
    return frames


def _of_years(
    file: Path, columns: Sequence[str] | str | None, years: tuple[int, ...]
) -> pd.DataFrame:
    """Return a file's records of these years, and tell which are others."""
    frame = teds.read(file, columns)
    there = frame.attrs["years"]
    name, asked = frame.attrs["data"], " and ".join(map(str, years))
    absent = [str(year) for year in years if year not in there]
    if absent and set(there) & set(years):
        warnings.warn(
            f"{name} has no discharges of {' and '.join(absent)}", stacklevel=3
        )
    if set(there) <= set(years):
        return frame
    if len(there) == 1:
        warnings.warn(
            f"{name} has discharges of {there[0]} only, and those are taken, not of"
            f" {asked}",
            stacklevel=3,
        )
        return frame
    taken = [year for year in there if year in years]
    if not taken:
        raise InputError(
            f"{name} has discharges of {', '.join(map(str, there))}, none of {asked}"
        )
    disyr = frame if "DISYR" in frame else teds.read(file, "DISYR")
    asked_for = frame[disyr["DISYR"].isin(taken)].reset_index(drop=True)
    left_out = len(frame) - len(asked_for)
    warnings.warn(
        f"{name}: {left_out:,} of {len(frame):,} rows are of other years than"
        f" {' and '.join(map(str, taken))} and are left out",
        stacklevel=3,
    )
    dropped = frame.attrs["dropped"] + left_out
    asked_for.attrs = frame.attrs | {"years": taken, "dropped": dropped}
    return asked_for


def _columns(columns: Sequence[str] | str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns, by any year's names, or raise if one is not there."""
    names = codebook.known_names(columns)
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise InputError(
            f"columns must be among {', '.join(frame.columns)}, not {columns!r}"
        )
    return frame[names]


def _official(folder: Path, year: int) -> Path:
    """Return the agency's file of a year in a folder, by its own name, or raise."""
    download = teds.read_registry()[year]
    for name in (download.csv, download.zip):
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"the folder {str(folder)!r} has no file of {year}: neither {download.csv}"
        f" nor {download.zip}"
    )


def _together(frames: list[pd.DataFrame], name: str) -> pd.DataFrame:
    """Return frames of several years as one, with attrs that speak for all."""
    attrs = [frame.attrs for frame in frames]
    origin = joint_origin(origin_of(frame) for frame in frames)
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    hashes = [each["sha256"] for each in attrs]
    frame.attrs = attrs[0] | label(
        name,
        sum(each["rows_in_file"] for each in attrs),
        years=sorted(year for each in attrs for year in each["years"]),
        origin=origin,
        sha256=" + ".join(hashes) if all(hashes) else None,
    )
    if "verified" in attrs[0]:  # from files
        frame.attrs["verified"] = all(each["verified"] for each in attrs)
        frame.attrs["dropped"] = sum(each["dropped"] for each in attrs)
        blanks = (Counter(each["blanks"]) for each in attrs)
        frame.attrs["blanks"] = dict(sum(blanks, Counter()))
    return frame


def _sample(frame: pd.DataFrame, rows: int | None, seed: int) -> pd.DataFrame:
    """Return so many rows without replacement, in their order; all if None."""
    if rows is not None and rows != len(frame):
        if rows > len(frame):
            name = frame.attrs["data"]
            raise InputError(f"rows is {rows:,}, but {name} has only {len(frame):,}")
        picked = np.random.default_rng(seed).choice(len(frame), rows, replace=False)
        frame = frame.iloc[np.sort(picked)]
    return frame.reset_index(drop=True)
