"""Load the records of treatment, through one of three doors (floor 1.5).

``load`` is what every notebook calls first.  Whichever door it comes through, the
frame has one schema: official names, small integer codes, -9 for missing, and
``attrs`` that say where it is from and whether it is made up.

Taught in ``a01_discharge_records``.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sudlib import teds, twin
from sudlib.files import InputError
from sudlib.teds import codebook


def load(data="twin", *, years=(2018,), rows=None, seed=33, columns=None):
    """Return records of treatment, real or made up, in the one schema.

    Parameters
    ----------
    data : str or path
        The door:

        * ``"twin"``: made-up records, drawn here;
        * ``"teds-d-2018"`` (or another year): the agency's file, downloaded once;
        * a path: a TEDS-D file of yours (CSV, zip or parquet), or a folder of the
          agency's files under their own names.
    years : iterable of int
        The years of discharge to put together.  A year that the second door names and
        ``years`` leaves out is loaded instead of them.  A single file has the years
        it has.
    rows : int, optional
        How many rows: the twin draws that many; of real records that many are
        sampled without replacement, in the file's order.  None: all there are.
    seed : int
        For the twin, and for the sample.
    columns : list of str, optional
        The columns wanted; None for all.

    Returns
    -------
    pandas.DataFrame
        With a new index and ``attrs``: ``data``, ``years``, ``synthetic``,
        ``sha256``, ``rows_in_file`` (before sampling), and for files ``verified``.

    Raises
    ------
    InputError
        If the door, a year, ``rows``, ``seed`` or a column is not known or not there.

    Examples
    --------
    >>> records = load("twin", rows=100, columns=["AGE", "REASON"])
    >>> records.shape, records.attrs["synthetic"]
    ((100, 2), True)
    """
    rows, seed = _whole("rows", rows, 1), _whole("seed", seed, 0)
    years = _years(years)
    kind, place = door(data)
    if kind == "twin":
        frame = _twin(years, rows, seed, columns)
    elif kind == "year":
        frame = _agency(years if place in years else (place,), columns)
    elif kind == "file":
        frame = teds.read(place, columns)
    else:
        files = [_official(place, year) for year in years]
        frames = [teds.read(file, columns) for file in files]
        frame = _together(frames, " + ".join(file.name for file in files))
    return _sample(frame, rows, seed)


def door(data):
    """Return which door a ``data`` parameter names, and what lies behind it.

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
    name, path = str(data), Path(data).expanduser()
    named = re.fullmatch(r"teds-d-(\d{4})", name.casefold())
    if name == "twin":
        return "twin", None
    if named:
        return "year", codebook.check_year(int(named[1]))
    if path.is_file():
        return "file", path
    if path.is_dir():
        return "folder", path
    raise InputError(
        f'data must be "twin", "teds-d-YEAR" with a year from {codebook.YEARS[0]}'
        f" to {codebook.YEARS[-1]}, or the path of a TEDS-D file, not {name!r}"
        " (there is no such file or folder)"
    )


def example_aloud(records, columns=None):
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
    """
    made_up = records.attrs.get("synthetic")
    one = records if made_up else load("twin", rows=1, years=(2019,))
    asked = records.columns if columns is None else columns
    words = teds.read_aloud(one[one.columns.intersection(asked)].iloc[0])
    if made_up:
        return words
    return f"{words} (This one is made up: the book shows no real person's record.)"


def _whole(name, number, least):
    """Return a whole number from ``least`` up, or raise; rows may be None."""
    if number is None and name == "rows":
        return None
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        number_is_good = False
    else:
        number_is_good = number >= least
    if not number_is_good:
        none = " or None" * (name == "rows")
        raise InputError(
            f"{name} must be a whole number from {least} up{none}, not {number!r}"
        )
    return int(number)


def _years(years):
    """Return the years as a tuple, each once and known, or raise."""
    years = (years,) if isinstance(years, int | np.integer) else tuple(years)
    years = tuple(codebook.check_year(year) for year in years)
    if not years or len(set(years)) < len(years):
        raise InputError(f"years must name at least one year, each once, not {years}")
    return years


def _twin(years, rows, seed, columns):
    """Return made-up records of the years, shared out as the agency's files are."""
    if rows is None:
        shares = [None] * len(years)
    else:
        sizes = np.array([codebook.size(year) for year in years], dtype=float)
        ends = np.rint(rows * sizes.cumsum() / sizes.sum()).astype(int)
        shares = np.diff(ends, prepend=0).tolist()
    frames = []
    for year, share in zip(years, shares, strict=True):
        if share == 0:
            continue
        frame = twin.sample(year, share, seed)
        if columns is not None:
            frame = frame[_columns(columns, frame)]
        frames.append(frame)
    return _together(frames, "twin")


def _columns(columns, frame):
    """Return the schema's names of the columns, or raise if one is not there."""
    columns = [columns] if isinstance(columns, str) else list(columns)
    names = [codebook.RENAMED.get(name, name) for name in columns]
    absent = [name for name in names if name not in frame.columns]
    if absent or not names or len(set(names)) < len(names):
        raise InputError(
            f"columns must be among {', '.join(frame.columns)}, each once,"
            f" not {columns}"
        )
    return names


def _agency(years, columns):
    """Return the agency's records of the years, downloaded where they are not yet."""
    frames = [teds.read(teds.fetch(year), columns) for year in years]
    return _together(frames, "teds-d-" + "+".join(map(str, years)))


def _official(folder, year):
    """Return the agency's file of a year in a folder, by its own name, or raise."""
    download = teds.read_registry()[year]
    for name in (download.csv, download.zip):
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"the folder {str(folder)!r} has no file of {year}: neither {download.csv}"
        f" nor {download.zip}"
    )


def _together(frames, name):
    """Return frames of several years as one, with attrs that speak for all."""
    attrs = [frame.attrs for frame in frames]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    hashes = [each.get("sha256") for each in attrs]
    frame.attrs = attrs[0] | {
        "data": name,
        "years": sorted(year for each in attrs for year in each["years"]),
        "synthetic": any(each["synthetic"] for each in attrs),
        "sha256": " + ".join(hashes) if all(hashes) else None,
        "rows_in_file": sum(each["rows_in_file"] for each in attrs),
    }
    if "verified" in attrs[0]:
        frame.attrs["verified"] = all(each["verified"] for each in attrs)
    if "blanks" in attrs[0]:
        blanks = {}
        for column, cells in (
            item for each in attrs for item in each["blanks"].items()
        ):
            blanks[column] = blanks.get(column, 0) + cells
        frame.attrs["blanks"] = blanks
    return frame


def _sample(frame, rows, seed):
    """Return so many rows without replacement, in their order; all if None."""
    if rows is None or rows == len(frame):
        return frame.reset_index(drop=True)
    if rows > len(frame):
        raise InputError(
            f"rows is {rows:,}, but {frame.attrs['data']} has only {len(frame):,}"
        )
    picked = np.random.default_rng(seed).choice(len(frame), rows, replace=False)
    attrs = dict(frame.attrs)
    frame = frame.iloc[np.sort(picked)].reset_index(drop=True)
    frame.attrs = attrs
    return frame
