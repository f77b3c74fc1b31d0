"""One tidy frame a study: our names, numbers with units, levels in words."""

from __future__ import annotations

import hashlib
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sudlib.files import InputError
from sudlib.teds import codebook
from sudlib.trials import files_at_hand
from sudlib.trials.rda import read_rda
from sudlib.trials.studies import dictionary, study
from sudlib.validation import check_choice


def load(name: str) -> pd.DataFrame:
    """Return a study's people, one row each (stays in hospital for ``diabetes130``).

    Parameters
    ----------
    name : str
        A key of :func:`registry`, such as ``"ctn0094"``.

    Returns
    -------
    pandas.DataFrame
        Its columns are those of :func:`dictionary`: numbers and yes/no as floats (1 is
        yes, NaN is missing), levels as categories in words, the agency's codes as
        integers (-9 is missing), the rest as text.
        ``attrs`` says where it came from, for :meth:`sudlib.book.Run.uses`.

    Raises
    ------
    NotAtHand
        If its files are not on this machine and could not be downloaded.
    sudlib.files.InputError
        If there is no such study, or a file is not the one that is meant.

    Notes
    -----
    Taught in ``d02_three_trials``.  Never commit rows of these files, and never try to
    find out who a row is about.
    """
    wanted = study(name)
    paths = files_at_hand.fetch(name)
    frame = _tidy(_raw(name, tuple(paths.values())), dictionary(name))
    if len(frame) != wanted.rows:
        raise InputError(f"{name} has {wanted.rows:,} rows, not {len(frame):,}")
    frame.attrs = {"data": name, "sha256": digest(name), "verified": True}
    frame.attrs |= {"synthetic": False, "rows_in_file": wanted.rows}
    return frame


def digest(name: str) -> str:
    """Return one SHA-256 for a study: of the hashes of its files, in order.

    Parameters
    ----------
    name : str
        A key of :func:`registry`.

    Returns
    -------
    str
        A file's own hash where there is only one.
    """
    files = study(name).files.values()
    hashes = [h for e in files for h in [e["sha256"], *e.get("inside", {}).values()]]
    hashes = [each for each in hashes if each]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _raw(name: str, paths: tuple[Path, ...]) -> pd.DataFrame:
    """Return a study's columns as they are in its files, in texts and numbers."""
    if name == "ctn0094":
        return _people_of_ctn0094()
    path = paths[0]
    if path.suffix == ".rda":
        return read_rda(path)
    gaps: dict[str, Any] = {"na_values": ["", "NA", "?"], "keep_default_na": False}
    space: dict[str, Any] = {"sep": " "} if path.suffix == ".txt" else {}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as bundle:
            # The one whose hash was checked, whatever else stands beside it.
            by_name = {Path(each).name: each for each in bundle.namelist()}
            with bundle.open(by_name["diabetic_data.csv"]) as stream:
                return pd.read_csv(stream, dtype=str, **gaps)
    return pd.read_csv(path, dtype=str, **gaps, **space)


def _tidy(raw: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a dictionary, recoded as it says."""
    raw, columns = raw.reset_index(drop=True), {}
    for name, row in words.iterrows():
        column = raw[name if name in raw else row["source"]]
        levels = dict(
            pair.split("=") for pair in filter(None, row["levels"].split("|"))
        )
        if levels:
            # R's integers and the texts of a CSV say the same: 1, "1", "1.0".
            codes = column.astype("string").str.removesuffix(".0")
            column = codes.map(levels)
        if row["kind"] in ("number", "yes/no"):
            values = pd.to_numeric(column).astype(float)
            # R's NA is a NaN of its own kind, which NumPy warns of: an ordinary one.
            columns[name] = values.where(values.notna(), np.nan)
        elif row["kind"] == "code":
            codes = pd.to_numeric(column).fillna(codebook.MISSING)
            columns[name] = codes.astype("int16")
        elif row["kind"] == "levels":
            order = list(dict.fromkeys(levels.values()))
            columns[name] = pd.Categorical(column, categories=order)
        else:
            columns[name] = column.astype("string").str.removesuffix(".0")
    return pd.DataFrame(columns)


# ---------------------------------------------------------------------- CTN-0094


@cache
def _table(name: str, path: str, modified: int) -> pd.DataFrame:
    frame = read_rda(Path(path))
    if "who" in frame:
        frame = frame[frame["who"].notna()].astype({"who": int})
    return frame.reset_index(drop=True)


def table(name: str) -> pd.DataFrame:
    """Return one of the 25 linked tables of CTN-0094, as it is in its file.

    Parameters
    ----------
    name : str
        Such as ``"uds"`` (urine drug screens), ``"tlfb"`` (use as reported day by
        day), ``"visit"``, ``"treatment"`` (doses), ``"randomization"``.

    Returns
    -------
    pandas.DataFrame
        ``who`` is the person and ``when`` the day since consent.

    Raises
    ------
    sudlib.files.InputError
        If there is no such table.
    """
    paths = files_at_hand.fetch("ctn0094")
    names = {path.stem: path for path in paths.values()}
    path = names[check_choice("the table of CTN-0094", name, names)]
    return _table(name, str(path), path.stat().st_mtime_ns).copy()


def _people_of_ctn0094() -> pd.DataFrame:
    """Return one row a person: what was known at admission, treatment, doses."""
    people = table("everybody").set_index("who")
    people["person"], people["trial"] = people.index.astype(str), people["project"]
    for name in ("site_masked", "demographics", "qol", "asi", "fagerstrom", "pain"):
        own = table(name).drop_duplicates("who").set_index("who")
        people = people.join(own.drop(columns="when", errors="ignore"))
    people = people.join(table("psychiatric").set_index("who"))
    injections = table("rbs_iv").set_index("who")["days"]
    people["injection_days"] = injections
    use = table("rbs").pivot(index="who", columns="what", values="days")
    # "Never used" leaves the number of days empty: it is none.
    never = table("rbs").pivot(index="who", columns="what", values="did_use") == "No"
    use = use.astype(float).mask(use.isna() & never, 0.0)
    for name in ("heroin", "opioid", "cocaine", "speed"):
        people[f"{name}_days"] = use[name]
    drawn = table("randomization").set_index("who")
    first, second = (drawn[drawn["which"] == which] for which in ("1", "2"))
    people["treatment"] = first["treatment"]
    people["consent_to_randomisation"] = first["when"]
    later = (second["when"] - first["when"]).where(lambda days: days > 0)
    people["second_randomisation"] = later
    # The files repeat the first randomisation as the second where there was only one.
    people["second_treatment"] = second["treatment"].where(later.notna())
    given = table("treatment").merge(first["when"].rename("start"), on="who")
    days = (given["when"] - given["start"]).groupby(given["who"])
    people["last_dose"], people["doses"] = days.max(), days.count()
    people["doses"] = people["doses"].where(people["doses"].notna(), 0.0)
    people.loc[people["treatment"].isna(), "doses"] = np.nan
    renamed = {
        "female": "is_male", "hispanic": "is_hispanic", "work": "job",
        "married": "marital", "stable_housing": "is_living_stable",
        "homeless": "is_homeless", "ever_injected": "used_iv", "site": "site_masked",
        "smoker": "is_smoker", "depression": "has_major_dep",
        "anxiety": "has_anx_pan", "bipolar": "has_bipolar",
    }  # fmt: skip
    return people.assign(**{ours: people[theirs] for ours, theirs in renamed.items()})
