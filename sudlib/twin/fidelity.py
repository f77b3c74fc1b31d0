"""The twin compared with what is published of the real files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from sudlib.files import InputError, data_file
from sudlib.teds import codebook, official_codes
from sudlib.twin.parameters import margin, read_states, read_targets
from sudlib.twin.sampler import CHUNK, add_flags
from sudlib.twin.specification import YEARS
from sudlib.validation import check_choice, check_frame


def coded(records: pd.DataFrame, needed: Iterable[str] = ()) -> pd.DataFrame:
    """Return records whose codes are integers, whatever form they came in.

    Columns that are integers already are not looked at: the comparisons count what is
    wrong in them.

    Parameters
    ----------
    records : pandas.DataFrame
    needed : iterable of str
        Columns that must be there.

    Returns
    -------
    pandas.DataFrame
    """
    kinds = check_frame(records).dtypes.items()
    whole = {n for n, kind in kinds if isinstance(kind, np.dtype) and kind.kind in "iu"}
    others = [name for name in records.columns if name not in whole]
    return official_codes(
        records, needed, only=others, who="a comparison with the twin"
    )


def year_of(records: pd.DataFrame) -> int:
    """Return the one year of discharge of a frame, or raise.

    Parameters
    ----------
    records : pandas.DataFrame
        With DISYR.

    Returns
    -------
    int
    """
    years = np.unique(records["DISYR"])
    if len(years) != 1 or years[0] not in YEARS:
        raise InputError(
            f"records must all be of one year of {YEARS[0]} to {YEARS[-1]}, not"
            f" {', '.join(map(str, years)) or 'of none'}"
        )
    return int(years[0])


def check_structure(records: pd.DataFrame) -> pd.DataFrame:
    """Return how many records break each rule of the file's structure.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of one year, twin or real, with all 76 columns.

    Returns
    -------
    pandas.DataFrame
        Columns ``rule`` and ``broken`` (number of records).

    Examples
    --------
    >>> from sudlib import twin
    >>> int(check_structure(twin.sample(2019, rows=2000)).broken.sum())
    0
    """
    records = coded(records, codebook.COLUMNS)
    year = year_of(records)
    columns = {name: records[name].to_numpy() for name in records.columns}
    broken = {}
    for end, when in (("", "at admission"), ("_D", "at discharge")):
        one, two, three = (columns[f"SUB{place}{end}"] for place in (1, 2, 3))
        pairs = ((one, two), (two, three), (one, three))
        broken[f"no substance is named twice {when}"] = np.any(
            [(a == b) & (a > 1) for a, b in pairs], axis=0
        )
        broken[f"no substance follows where none is named {when}"] = np.any(
            [(a <= 1) & (b > 1) for a, b in pairs[:2]], axis=0
        )
    for place in (1, 2, 3):
        said = [
            columns[f"{name}{place}"] != codebook.MISSING
            for name in ("ROUTE", "FREQ", "FRSTUSE")
        ]
        broken[f"no route, frequency or first use without SUB{place}"] = (
            columns[f"SUB{place}"] <= 1
        ) & np.any(said, axis=0)
        broken[f"no frequency at discharge without SUB{place}_D"] = (
            columns[f"SUB{place}_D"] <= 1
        ) & (columns[f"FREQ{place}_D"] != codebook.MISSING)
    follows = dict(columns)
    add_flags(year, follows)
    broken["the 18 flags say what SUB1 to SUB3 say"] = np.any(
        [follows[flag] != columns[flag] for flag in codebook.FLAGS], axis=0
    )
    broken["ALCDRUG follows from the substances"] = (
        follows["ALCDRUG"] != columns["ALCDRUG"]
    )
    broken["IDU follows from the routes"] = follows["IDU"] != columns["IDU"]
    for name, other, code, words in (
        ("PREG", "GENDER", 2, "PREG only for women"),
        ("DETNLF", "EMPLOY", 4, "DETNLF only where EMPLOY is 4"),
        ("DETNLF_D", "EMPLOY_D", 4, "DETNLF_D only where EMPLOY_D is 4"),
        ("DETCRIM", "PSOURCE", 7, "DETCRIM only where PSOURCE is 7"),
    ):
        broken[words] = (columns[other] != code) & (columns[name] != codebook.MISSING)
    latest = np.array([0, 2, 3, 4, 5, 6, 7])[np.clip(columns["AGE"], 0, 6)]
    broken["no first use at an age not reached yet"] = np.any(
        [columns[f"FRSTUSE{place}"] > latest for place in (1, 2, 3)], axis=0
    )
    for name in ("DIVISION", "REGION"):
        known = {int(row["STFIPS"]): int(row[name]) for row in read_states()}
        broken[f"{name} is that of the state"] = (
            records["STFIPS"].map(known).to_numpy() != columns[name]
        )
    broken["every code is in the year's codebook"] = np.any(
        [
            ~np.isin(columns[name], listed.code)
            for name, listed in codebook.frequencies(year).groupby("variable")
            if name in codebook.COLUMNS and name not in codebook.OPEN
        ],
        axis=0,
    )
    broken["CASEID is the year and seven digits, each once"] = (
        columns["CASEID"] // 10_000_000 != year
    ) | records["CASEID"].duplicated().to_numpy()
    return pd.DataFrame(
        {"rule": list(broken), "broken": [int(rows.sum()) for rows in broken.values()]}
    )


def compare_margins(records: pd.DataFrame) -> pd.DataFrame:
    """Return how far every variable's shares are from the year's codebook.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of one year.

    Returns
    -------
    pandas.DataFrame
        One row a variable: ``variable``, ``distance`` (total variation: half the sum
        of the absolute differences of shares), ``chance`` (what independent rows drawn
        from the codebook's own shares would show on average) and ``worst`` (the code
        that is furthest off).
    """
    names = [name for name in codebook.COLUMNS if name not in codebook.OPEN]
    records = coded(records, names)
    year = year_of(records)
    rows = []
    for name in names:
        one = np.array([year]), np.array([1])
        codes, counts = one if name == "DISYR" else margin(year, name)
        shares = counts / counts.sum()
        have = records[name].value_counts(normalize=True)
        unlisted = have[~have.index.isin(codes)].sum()
        gap = np.abs(have.reindex(codes, fill_value=0).to_numpy() - shares)
        chance = np.sqrt(2 * shares * (1 - shares) / np.pi / len(records)).sum() / 2
        rows.append(
            (name, (gap.sum() + unlisted) / 2, chance, int(codes[gap.argmax()]))
        )
    return pd.DataFrame(rows, columns=["variable", "distance", "chance", "worst"])


def read_correlations() -> pd.DataFrame:
    """Return the published Pearson correlations of 29 variables in 2019.

    Returns
    -------
    pandas.DataFrame of shape (29, 29)
        On raw codes, -9 included; three decimals.
    """
    return pd.read_csv(data_file("twin/correlations_2019.csv"), index_col=0)


def compare_completion(records: pd.DataFrame) -> pd.DataFrame:
    """Return completion by age, sex and substance, beside that of 2023.

    The twin is not fitted to the table of 2023 (completion of 1,474,025 real
    discharges), so the gaps tell how far its guesses hold; the years differ too.

    Parameters
    ----------
    records : pandas.DataFrame
        With AGE, GENDER, SUB1 and REASON.

    Returns
    -------
    pandas.DataFrame
        Columns ``variable``, ``code``, ``rows`` and ``share`` (of these records),
        ``real`` (share in 2023) and ``real_rows``.
    """
    published = pd.read_csv(data_file("twin/completion_2023.csv"))
    published = published.rename(columns={"completed": "real", "rows": "real_rows"})
    variables = published["variable"].unique()
    records = coded(records, ["REASON", *variables])
    done = records["REASON"] == 1
    ours = {
        name: done.groupby(records[name].rename("code")).agg(rows="size", share="mean")
        for name in variables
    }
    ours = pd.concat(ours, names=["variable"]).reset_index()
    joined = published.merge(ours, how="left", on=["variable", "code"])
    return joined[["variable", "code", "rows", "share", "real", "real_rows"]]


def compare_correlations(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records' correlations less the published ones of 2019.

    Parameters
    ----------
    records : pandas.DataFrame
        With the 29 variables of :func:`read_correlations`.

    Returns
    -------
    pandas.DataFrame of shape (29, 29)
    """
    wanted = read_correlations()
    names = list(wanted.index)
    records = coded(records, names)
    mean = records[names].mean().to_numpy()
    total = np.zeros((len(names), len(names)))
    for start in range(0, len(records), CHUNK):  # no copy of the whole table
        centred = records[names].iloc[start : start + CHUNK].to_numpy(float) - mean
        total += centred.T @ centred
    spread = np.sqrt(np.diag(total))
    return pd.DataFrame(total / np.outer(spread, spread), names, names) - wanted


def compare_reasons(records: pd.DataFrame, by: str = "STFIPS") -> pd.DataFrame:
    """Return the reasons for discharge within each state or service, and the targets.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of one year.
    by : {"STFIPS", "SERVICES"}, default="STFIPS"

    Returns
    -------
    pandas.DataFrame
        Columns ``by``, ``reason``, ``rows``, ``share``, ``target`` and ``gap``: shares
        within the state or service.  The targets are published for the states in 2016
        to 2019 and for the services in 2019; the others are those tables, fitted to the
        year's margins.
    """
    check_choice("by", by, ("STFIPS", "SERVICES"))
    records = coded(records, ["DISYR", "REASON", by])
    targets_by_state, targets_by_service = read_targets(year_of(records))
    if by == "STFIPS":
        states = [int(row["STFIPS"]) for row in read_states()]
        wanted = pd.DataFrame(targets_by_state, states, range(1, 8))
    else:
        wanted = pd.DataFrame(targets_by_service, range(1, 9), range(1, 8))
    wanted = wanted[wanted.sum(axis=1) > 0]
    have = pd.crosstab(records[by], records["REASON"])
    have = have.reindex(index=wanted.index, columns=wanted.columns, fill_value=0)
    result = pd.DataFrame(
        {
            "rows": have.stack(),
            "share": have.div(have.sum(axis=1).clip(lower=1), axis=0).stack(),
            "target": wanted.div(wanted.sum(axis=1), axis=0).stack(),
        }
    )
    result["gap"] = result.share - result.target
    return result.rename_axis(["by", "reason"]).reset_index()


def count_bytes(records: pd.DataFrame) -> int:
    """Return how long the official CSV file of these records would be, in bytes.

    Plain header, commas, whole numbers, CR LF: the form of the agency's files.

    Parameters
    ----------
    records : pandas.DataFrame

    Returns
    -------
    int

    Examples
    --------
    >>> count_bytes(pd.DataFrame({"AGE": [-9, 12], "LOS": [3, 4]}))
    21
    """
    records = coded(records)
    length = len(",".join(records.columns)) + 2
    length += len(records) * (len(records.columns) + 1)  # commas, CR and LF
    for name in records.columns:
        counts = records[name].value_counts()
        digits = np.char.str_len(counts.index.to_numpy().astype(str))
        length += int(digits @ counts.to_numpy())
    return length
