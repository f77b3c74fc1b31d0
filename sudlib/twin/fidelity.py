"""The twin held against what is published of the real files."""

import numpy as np
import pandas as pd

from sudlib.files import InputError, data_file
from sudlib.teds import codebook
from sudlib.twin.completion import N_SERVICES
from sudlib.twin.parameters import margin, read_states, read_targets
from sudlib.twin.sampler import CHUNK, add_flags
from sudlib.twin.specification import FLAGS, YEARS

# ------------------------------------------------------------------ how real is it


def _year_of(records):
    """Return the one year of discharge of a frame, or raise."""
    years = np.unique(records["DISYR"])
    if len(years) != 1 or years[0] not in YEARS:
        raise InputError(
            f"records must all be of one year of {YEARS[0]} to {YEARS[-1]}, not"
            f" {', '.join(map(str, years))}"
        )
    return int(years[0])


def check_structure(records):
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
    >>> int(check_structure(sample(2019, rows=2000)).broken.sum())
    0
    """
    year = _year_of(records)
    columns = {name: records[name].to_numpy() for name in records.columns}
    broken = {}
    for end, when in (("", "at admission"), ("_D", "at discharge")):
        one, two, three = (columns[f"SUB{place}{end}"] for place in (1, 2, 3))
        twice = ((one == two) & (one > 1)) | ((two == three) & (two > 1))
        twice |= (one == three) & (one > 1)
        broken[f"no substance is named twice {when}"] = twice
        after = ((one <= 1) & (two > 1)) | ((two <= 1) & (three > 1))
        broken[f"no substance follows where none is named {when}"] = after
    for place in (1, 2, 3):
        nobody = columns[f"SUB{place}"] <= 1
        said = np.zeros(len(nobody), bool)
        for name in ("ROUTE", "FREQ", "FRSTUSE"):
            said |= columns[f"{name}{place}"] != codebook.MISSING
        broken[f"no route, frequency or first use without SUB{place}"] = nobody & said
        nobody = columns[f"SUB{place}_D"] <= 1
        said = columns[f"FREQ{place}_D"] != codebook.MISSING
        broken[f"no frequency at discharge without SUB{place}_D"] = nobody & said
    follows = {name: columns[name] for name in columns}
    add_flags(year, follows)
    wrong = np.zeros(len(records), bool)
    for flag in FLAGS:
        wrong |= follows[flag] != columns[flag]
    broken["the 18 flags say what SUB1 to SUB3 say"] = wrong
    broken["ALCDRUG follows from the substances"] = (
        follows["ALCDRUG"] != columns["ALCDRUG"]
    )
    broken["IDU follows from the routes"] = follows["IDU"] != columns["IDU"]
    for name, condition, words in (
        ("PREG", columns["GENDER"] == 2, "PREG only for women"),
        ("DETNLF", columns["EMPLOY"] == 4, "DETNLF only where EMPLOY is 4"),
        ("DETNLF_D", columns["EMPLOY_D"] == 4, "DETNLF_D only where EMPLOY_D is 4"),
        ("DETCRIM", columns["PSOURCE"] == 7, "DETCRIM only where PSOURCE is 7"),
    ):
        broken[words] = ~condition & (columns[name] != codebook.MISSING)
    latest = np.array([0, 2, 3, 4, 5, 6, 7])[np.clip(columns["AGE"], 0, 6)]
    early = np.zeros(len(records), bool)
    for place in (1, 2, 3):
        early |= columns[f"FRSTUSE{place}"] > latest
    broken["no first use at an age not reached yet"] = early
    by_state = {int(row["STFIPS"]): row for row in read_states()}
    for name in ("DIVISION", "REGION"):
        known = {code: int(row[name]) for code, row in by_state.items()}
        broken[f"{name} is that of the state"] = (
            records["STFIPS"].map(known).to_numpy() != columns[name]
        )
    strange = np.zeros(len(records), bool)
    for name, part in codebook.frequencies(year).groupby("variable"):
        if name in codebook.COLUMNS and name not in codebook.OPEN:
            strange |= ~np.isin(columns[name], part.code)
    broken["every code is in the year's codebook"] = strange
    broken["CASEID is the year and seven digits, each once"] = (
        columns["CASEID"] // 10_000_000 != year
    ) | records["CASEID"].duplicated().to_numpy()
    return pd.DataFrame(
        {"rule": list(broken), "broken": [int(rows.sum()) for rows in broken.values()]}
    )


def compare_margins(records):
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
    year = _year_of(records)
    rows = []
    for name in codebook.COLUMNS:
        if name in codebook.OPEN:
            continue
        if name == "DISYR":
            codes, counts = np.array([year]), np.array([1])
        else:
            codes, counts = margin(year, name)
        shares = counts / counts.sum()
        place = {int(code): index for index, code in enumerate(codes)}
        have = np.zeros(len(codes) + 1)
        for code, count in records[name].value_counts().items():
            have[place.get(int(code), -1)] += count / len(records)
        gap = np.abs(have[:-1] - shares)
        chance = np.sqrt(2 * shares * (1 - shares) / np.pi / len(records)).sum() / 2
        distance = (gap.sum() + have[-1]) / 2
        rows.append((name, distance, chance, int(codes[gap.argmax()])))
    return pd.DataFrame(rows, columns=["variable", "distance", "chance", "worst"])


def read_correlations():
    """Return the published Pearson correlations of 29 variables in 2019.

    On raw codes, -9 included; three decimals.
    """
    return pd.read_csv(data_file("twin/correlations_2019.csv"), index_col=0)


def compare_completion(records):
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
    table = pd.read_csv(data_file("twin/completion_2023.csv"))
    table = table.rename(columns={"completed": "real", "rows": "real_rows"})
    done = records["REASON"] == 1
    found = [
        done.groupby(records[name])
        .agg(rows="size", share="mean")
        .reset_index(names="code")
        for name in table["variable"].unique()
    ]
    keys = table["variable"].unique()
    found = pd.concat(found, keys=keys, names=["variable", None])
    found = found.reset_index("variable")
    joined = table.merge(found, how="left", on=["variable", "code"])
    return joined[["variable", "code", "rows", "share", "real", "real_rows"]]


def compare_correlations(records):
    """Return the records' correlations less the published ones of 2019, 29 by 29."""
    wanted = read_correlations()
    names = list(wanted.index)
    middle = records[names].mean().to_numpy()
    total = np.zeros((len(names), len(names)))
    for start in range(0, len(records), CHUNK):  # no copy of the whole table
        part = records[names].iloc[start : start + CHUNK].to_numpy(float) - middle
        total += part.T @ part
    spread = np.sqrt(np.diag(total))
    have = pd.DataFrame(total / np.outer(spread, spread), names, names)
    return have - wanted


def compare_reasons(records, by="STFIPS"):
    """Return the reasons for discharge within each state or service, and the targets.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of one year.
    by : {"STFIPS", "SERVICES"}

    Returns
    -------
    pandas.DataFrame
        Columns ``by``, ``reason``, ``rows``, ``share``, ``target`` and ``gap``: shares
        within the state or service.  The targets are published for the states in 2016
        to 2019 and for the services in 2019; the others are those tables, fitted to the
        year's margins.
    """
    if by not in ("STFIPS", "SERVICES"):
        raise InputError(f'by must be "STFIPS" or "SERVICES", not {by!r}')
    year = _year_of(records)
    table = read_targets(year)[0 if by == "STFIPS" else 1]
    if by == "STFIPS":
        index = [int(row["STFIPS"]) for row in read_states()]
    else:
        index = list(range(1, N_SERVICES + 1))
    wanted = pd.DataFrame(table, index, range(1, 8))
    wanted = wanted[wanted.sum(axis=1) > 0]
    have = pd.crosstab(records[by], records["REASON"])
    have = have.reindex(index=wanted.index, columns=wanted.columns, fill_value=0)
    share = have.div(have.sum(axis=1).clip(lower=1), axis=0)
    target = wanted.div(wanted.sum(axis=1), axis=0)
    result = pd.DataFrame(
        {
            "by": np.repeat(wanted.index.to_numpy(), 7),
            "reason": np.tile(np.arange(1, 8), len(wanted)),
            "rows": have.to_numpy().ravel(),
            "share": share.to_numpy().ravel(),
            "target": target.to_numpy().ravel(),
        }
    )
    result["gap"] = result.share - result.target
    return result


def count_bytes(records):
    """Return how long the official CSV file of these records would be, in bytes.

    Plain header, commas, whole numbers, CR LF: the form of the agency's files.
    """
    length = len(",".join(records.columns)) + 2
    length += len(records) * (len(records.columns) - 1 + 2)
    for name in records.columns:
        if name == "CASEID":
            powers = 10 ** np.arange(1, 19)
            digits = np.searchsorted(powers, records[name].to_numpy(), "right") + 1
            length += int(digits.sum())
            continue
        for code, count in records[name].value_counts().items():
            length += len(str(int(code))) * int(count)
    return length
