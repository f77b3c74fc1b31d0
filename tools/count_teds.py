"""Count the agency's TEDS-D files: the numbers that ``data/`` is made from.

    python tools/count_teds.py 2018 2019         # downloads them, 350 MB a year
    python tools/count_teds.py --from FOLDER     # every year whose file is below it
    python tools/count_teds.py --codebooks       # 2017 to 2019, from small tables

Written to ``_build/counts`` (or ``--counts``) are tables of counts, never of rows;
years counted earlier stay.  ``--codebooks`` takes the frequencies from tables that
others read out of the agency's codebooks: 120 KB instead of a gigabyte, but nothing
about two variables together.
"""

import argparse
import sys
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import sources

from sudlib import teds
from sudlib.files import InputError, sha256
from sudlib.teds import codebook, cohorts

KEYS = {
    "files": ["year"],
    "frequencies": ["year", "variable", "code"],
    "reason_by_state": ["year", "state", "reason"],
    "reason_by_service": ["year", "service", "reason"],
    "correlations": ["year", "first", "second"],
    "completion": ["year", "variable", "code"],
    "cohorts": ["year", "cohort"],
}
"""The tables of counts, each with what tells its rows apart."""

NOT_COUNTED = ("CASEID", "DISYR", "YEAR")  # a number of each record; one value a file
PRINTED = range(2017, 2020)  # years whose codebook others have made a table of


def count(year, path, correlated=None):
    """Return the tables of counts of one file.

    Parameters
    ----------
    year : int
        Year of discharge.
    path : path
        The CSV, or the agency's zip.
    correlated : list of str, optional
        Variables whose correlations are wanted; by default those of
        ``data/twin/correlations_2019.csv``.

    Returns
    -------
    dict of str to pandas.DataFrame
        As in :data:`KEYS`.
    """
    path = Path(path)
    columns = header(path)
    known = {codebook.RENAMED.get(name, name) for name in columns}
    extra = sorted(known & {"NUMSUBS"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of blanks; they are counted as missing
        records = teds.read(path, [*codebook.COLUMNS, *extra], year=year)
    if records.attrs["synthetic"]:
        raise InputError(
            f"{path.name} holds made-up records; counts of real files are needed"
        )
    counted = [name for name in records if name not in NOT_COUNTED]
    frequencies = pd.concat(
        records[name]
        .value_counts()
        .sort_index()
        .rename_axis("code")
        .reset_index(name="frequency")
        .assign(variable=name)
        for name in counted
    )
    names = wanted_correlations() if correlated is None else correlated
    matrix = records[names].corr().round(3).rename_axis("first")
    tables = {
        "files": pd.DataFrame([sizes(path, records, columns)]),
        "frequencies": frequencies[["variable", "code", "frequency"]],
        "reason_by_state": cross(records, "STFIPS", "state"),
        "reason_by_service": cross(records, "SERVICES", "service"),
        "correlations": matrix.melt(
            ignore_index=False, var_name="second", value_name="r"
        ).reset_index(),
        "completion": completion(records),
        "cohorts": cohorts.table(records)[["cohort", "rows", "completed"]],
    }
    for table in tables.values():
        table.insert(0, "year", year)
    return tables


def wanted_correlations():
    """Return the variables whose correlations the twin is held to."""
    with open(sources.DATA / "twin/correlations_2019.csv", encoding="utf-8") as stream:
        return stream.readline().strip().split(",")[1:]


def cross(records, variable, name):
    """Return how often each REASON occurs with each code of a variable."""
    sizes = records.groupby([variable, "REASON"]).size()
    return sizes.rename_axis([name, "reason"]).reset_index(name="count")


def completion(records):
    """Return the share that completed by age, sex and substance, where known."""
    done = cohorts.completed(records)
    parts = []
    for variable in ("AGE", "GENDER", "SUB1"):
        # -9 is missing, and 1 of SUB1 is "none".
        known = records[variable] > (1 if variable == "SUB1" else 0)
        shares = done[known].groupby(records[variable][known]).agg(["mean", "size"])
        shares = shares.set_axis(["completed", "rows"], axis=1).round(3)
        shares = shares.rename_axis("code").reset_index()
        shares.insert(0, "variable", variable)
        parts.append(shares)
    return pd.concat(parts)


def header(path):
    """Return the names of a file's columns."""
    if path.suffix.casefold() == ".zip":
        with zipfile.ZipFile(path) as bundle, bundle.open(_entry(bundle)) as stream:
            line = stream.readline()
    else:
        with open(path, "rb") as stream:
            line = stream.readline()
    return line.decode("latin-1").strip().split(",")


def sizes(path, records, columns):
    """Return sizes and hashes of a file, as ``years.csv`` and ``registry.csv`` do."""
    row = {"rows": records.attrs["rows_in_file"], "columns": len(columns)}
    bundle = path if path.suffix.casefold() == ".zip" else None
    if bundle is None:
        row |= {"csv": path.name, "csv_bytes": path.stat().st_size}
        download = teds.read_registry().get(records.attrs["years"][0])
        beside = path.with_name(download.zip) if download else path
        bundle = beside if beside.is_file() and beside != path else None
    else:
        with zipfile.ZipFile(bundle) as inside:
            entry = inside.getinfo(_entry(inside))
        row |= {"csv": Path(entry.filename).name, "csv_bytes": entry.file_size}
    row["csv_sha256"] = records.attrs["sha256"]
    if bundle is not None:
        row |= {"zip": bundle.name, "zip_bytes": bundle.stat().st_size}
        row["zip_sha256"] = sha256(bundle)
    return row


def _entry(bundle):
    """Return the name of the one CSV in a zip."""
    names = [name for name in bundle.namelist() if name.casefold().endswith(".csv")]
    if len(names) != 1:
        raise InputError(
            f"{bundle.filename} must hold one CSV, not {', '.join(names) or 'none'}"
        )
    return names[0]


def read_codes(path, year):
    """Return the frequencies in a table of codes read out of a codebook.

    Parameters
    ----------
    path : path
        A CSV with the columns ``code`` (the variable), ``Value``, ``Label`` and
        ``Frequency``.
    year : int
        The year of the codebook.

    Raises
    ------
    InputError
        If a variable's frequencies do not sum to the file's records: then the table
        was damaged on its way from paper (that of 2015 was, by a spreadsheet).
    """
    table = pd.read_csv(path, dtype=str).dropna(subset=["Value"])
    lacking = {"code", "Value", "Label", "Frequency"} - set(table)
    if lacking:
        raise InputError(
            f"{path} lacks the columns {', '.join(sorted(lacking))}; it has"
            f" {', '.join(table)}"
        )
    table = table[table.Value.str.strip().str.fullmatch(r"-?\d+")]
    table = pd.DataFrame(
        {
            "year": year,
            "variable": table.code.str.strip().replace(codebook.RENAMED),
            "code": table.Value.astype(int),
            "frequency": table.Frequency.str.replace(",", "").astype(int),
            "label": table.Label.str.strip(),
        }
    )
    total = table.loc[table.variable == "DISYR", "frequency"].sum()
    sums = table[table.variable != "CBSA2010"].groupby("variable").frequency.sum()
    wrong = sums[sums != total]
    if len(wrong):
        raise InputError(
            f"{path}: the frequencies of {', '.join(wrong.index)} sum to"
            f" {', '.join(f'{n:,}' for n in wrong)}, not to the {total:,} records of"
            f" {year}"
        )
    return table[~table.variable.isin(NOT_COUNTED)].reset_index(drop=True)


def store(folder, tables):
    """Write tables of counts; years that were counted earlier and not now stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        if path.is_file():
            before = pd.read_csv(path)
            before = before[~before.year.isin(table.year.unique())]
            table = pd.concat([before, table]) if len(before) else table
        table = table.sort_values("year", kind="stable")
        if table.duplicated(KEYS[name]).any():
            raise InputError(f"{name}: {', '.join(KEYS[name])} do not tell rows apart")
        table.to_csv(path, index=False, lineterminator="\n")


def load(folder, name):
    """Return one table of counts, or None where it was not counted."""
    path = Path(folder) / f"{name}.csv"
    if not path.is_file():
        return None
    table = pd.read_csv(path)
    lacking = set(KEYS[name]) - set(table)
    if lacking:
        raise InputError(
            f"{path} lacks the columns {', '.join(sorted(lacking))}; it has"
            f" {', '.join(table)}"
        )
    return table


def main(words=None):
    """Count what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("years", nargs="*", type=int)
    parser.add_argument("--from", dest="folders", action="append", default=[])
    parser.add_argument("--counts", type=Path, default=sources.COUNTS)
    parser.add_argument("--codebooks", action="store_true")
    asked = parser.parse_args(words)
    if asked.codebooks:
        for year in asked.years or PRINTED:
            path = sources.obtain(f"codes-{year}", asked.folders)
            table = read_codes(path, year)
            store(asked.counts, {"frequencies": table})
            print(f"{year}: {len(table)} codes of {table.variable.nunique()} variables")
        return 0
    years = asked.years
    if not years:
        if not asked.folders:
            raise InputError("name the years to count, or their folder with --from")
        years = [
            year
            for year in teds.read_registry()
            if sources.obtain_year(year, asked.folders, fetch=False)
        ]
        if not years:
            raise InputError(
                f"no TEDS-D file is below {', '.join(asked.folders)}; they are named"
                " as in data/registry.csv"
            )
    for year in years:
        tables = count(year, sources.obtain_year(year, asked.folders))
        store(asked.counts, tables)
        print(f"{year}: {tables['files'].rows[0]:,} records", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sources.run(main)
