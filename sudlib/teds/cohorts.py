"""The people each study looks at: rules that pick rows of the records.

Every cohort is a function from a records frame to the rows of it that fit; none
changes its input.  ``FEATURES`` are the 28 columns study A learns from, and
``completed`` is what it predicts.

Taught in ``a01_discharge_records``; the rules are those of the studies' own notebooks
(A) and text (B, section 3).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from sudlib.files import InputError, data_file
from sudlib.teds import codebook
from sudlib.teds.gate import official_codes
from sudlib.validation import check_choice, check_frame

FEATURES = (
    *("AGE", "GENDER", "RACE", "ETHNIC", "MARSTAT", "EDUC", "VET", "PREG", "EMPLOY"),
    *("LIVARAG", "ARRESTS", "METHUSE", "PSOURCE", "NOPRIOR", "SUB1", "FREQ1"),
    *("FRSTUSE1", "SUB2", "SUB3", "ROUTE1", "ROUTE2", "ROUTE3", "ALCFLG", "COKEFLG"),
    *("MARFLG", "METHFLG", "OPSYNFLG", "HERFLG"),
)
"""The 28 features of study A, in its order."""


RULES = {
    "all": "every record",
    "general": "SERVICES in 6, 7, 8; SUB1 in 1-4, 8-19; METHUSE = 2",
    "methadone": "METHUSE = 1; SUB1 in 5, 6, 7",
    "heroin": "SUB1 = 5",
    "other_opioids": "SUB1 = 7; SUB2 and SUB3 not 5",
    "oklahoma services-4": "STFIPS = 40; SERVICES = 4",
    "oklahoma los-30": "STFIPS = 40; LOS in 1-30",
}
"""The rule of each cohort, as it is applied; a case of a year counts once in all."""


READINGS = ("services-4", "los-30")
"""Two readings of study B's "30-day centres"."""


# A part of a rule: one or two variables, and codes that they have or have not.
_PART = re.compile(r"(\w+)(?: and (\w+))? (in|=|not) ([\d, -]+)")


def _parse(rule: str) -> list[tuple[str, bool, list[int]]]:
    """Return the variables of a rule, with the codes that they have or have not."""
    parts = []
    for *names, relation, text in _PART.findall(rule):
        spans = [each.split("-") for each in text.split(", ")]
        codes = [c for span in spans for c in range(int(span[0]), int(span[-1]) + 1)]
        parts += [(name, relation != "not", codes) for name in filter(None, names)]
    return parts


def _pick(records: pd.DataFrame, cohort: str) -> pd.DataFrame:
    """Return the rows that fit a rule, each case once, with what is known of the file.

    A case is known by its number and its year, for from 2020 on the numbers begin
    again each year; without both, and where the number is missing, nobody is dropped.
    """
    # Columns that are integers already are looked at where the rule needs them.
    others = set(check_frame(records).select_dtypes(exclude="integer"))
    others &= set(codebook.COLUMNS)
    rule = _parse(RULES[cohort])
    needed = [name for name, _, _ in rule]
    looked_at = {*needed, "DISYR", "CASEID", *others}
    records = official_codes(records, needed, only=looked_at)
    fit = np.ones(len(records), bool)
    for name, listed, codes in rule:
        fit &= records[name].isin(codes).to_numpy() == listed
    picked = records[fit]
    dropped = records.attrs.get("dropped", 0)
    if {"DISYR", "CASEID"} <= set(records.columns):
        again = picked.duplicated(subset=["DISYR", "CASEID"])
        again &= picked["CASEID"] != codebook.MISSING
        if again.any():
            warnings.warn(
                f"{int(again.sum()):,} of {len(picked):,} rows repeat a case (DISYR"
                " and CASEID) of an earlier one and are dropped",
                stacklevel=3,
            )
            picked = picked[~again]
            dropped += int(again.sum())
    if dropped:
        picked.attrs["dropped"] = dropped
    return picked


def general(records: pd.DataFrame) -> pd.DataFrame:
    """Return people in outpatient treatment for other substances than opioids.

    Study A, experiment 1: no opioid treatment with medication is planned.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs SERVICES, SUB1, METHUSE.

    Returns
    -------
    pandas.DataFrame
        The rows that fit, in their order, with their index.

    Examples
    --------
    >>> import pandas as pd
    >>> records = pd.DataFrame(
    ...     {"SERVICES": [7, 4, 7], "SUB1": [2, 2, 5], "METHUSE": [2, 2, 2]})
    >>> general(records).index.tolist()
    [0]
    """
    return _pick(records, "general")


def methadone(records: pd.DataFrame) -> pd.DataFrame:
    """Return people treated for opioids with medication (methadone and others).

    Study A, experiment 2, calls it the methadone set; the variable METHUSE says
    methadone, buprenorphine or naltrexone.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs SUB1, METHUSE.

    Returns
    -------
    pandas.DataFrame
        The rows that fit, in their order, with their index.
    """
    return _pick(records, "methadone")


def heroin(records: pd.DataFrame) -> pd.DataFrame:
    """Return people whose primary substance is heroin (study A, 2017 and 2018).

    Parameters
    ----------
    records : pandas.DataFrame
        Needs SUB1.

    Returns
    -------
    pandas.DataFrame
        The rows that fit, in their order, with their index.
    """
    return _pick(records, "heroin")


def other_opioids(records: pd.DataFrame) -> pd.DataFrame:
    """Return people whose primary substance is another opiate, without heroin.

    Study A, 2017 and 2018: the set to which what heroin taught is carried over.
    Non-prescription methadone (SUB1 = 6) does not belong to it.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs SUB1, SUB2, SUB3.

    Returns
    -------
    pandas.DataFrame
        The rows that fit, in their order, with their index.
    """
    return _pick(records, "other_opioids")


def oklahoma(records: pd.DataFrame, reading: str = "services-4") -> pd.DataFrame:
    """Return people treated in Oklahoma's "30-day centres" (study B).

    Parameters
    ----------
    records : pandas.DataFrame
        Needs STFIPS and SERVICES or LOS.
    reading : {"services-4", "los-30"}
        What "30-day centres" means, which the study does not say: admitted to
        short-term residential treatment (SERVICES = 4), or stayed at most 30 days
        (LOS 1 to 30 are days, above are bands, -9 is missing).  The study's own
        columns speak against the first: other services are among them.

    Returns
    -------
    pandas.DataFrame
        The rows that fit, in their order, with their index.
    """
    return _pick(records, f"oklahoma {check_choice('reading', reading, READINGS)}")


COHORTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "all": lambda records: _pick(records, "all"),
    "general": general,
    "methadone": methadone,
    "heroin": heroin,
    "other_opioids": other_opioids,
    "oklahoma services-4": partial(oklahoma, reading="services-4"),
    "oklahoma los-30": partial(oklahoma, reading="los-30"),
}
"""Every cohort by name, as a function from records to records."""


def completed(records: pd.DataFrame) -> pd.Series:
    """Return whether each person completed treatment: REASON is 1.

    Every other reason counts as not completed, a transfer and a death too, as in
    studies A and B.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs REASON.

    Returns
    -------
    pandas.Series of bool

    Raises
    ------
    InputError
        If REASON is missing for somebody: that is neither.

    Examples
    --------
    >>> import pandas as pd
    >>> completed(pd.DataFrame({"REASON": [1, 2, 7]})).tolist()
    [True, False, False]
    """
    reason = official_codes(records, ["REASON"], only=["REASON"])["REASON"]
    missing = int((reason == codebook.MISSING).sum())
    if missing:
        raise InputError(
            f"REASON is missing (-9 or blank) in {missing:,} of {len(reason):,} rows:"
            " whether treatment was completed is not known; leave these rows out"
        )
    return (reason == 1).rename("completed")


def table(records: pd.DataFrame) -> pd.DataFrame:
    """Return each cohort's rule, size and share that completed.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs the columns of every rule, and REASON.

    Returns
    -------
    pandas.DataFrame
        Columns ``cohort``, ``rule``, ``rows``, ``completed``, ``share``; a cohort
        without rows has no share (NaN).
    """
    rows, records = [], official_codes(records)
    for name, pick in COHORTS.items():
        done = completed(pick(records))
        rows.append((name, RULES[name], len(done), int(done.sum()), done.mean()))
    columns = ["cohort", "rule", "rows", "completed", "share"]
    return pd.DataFrame(rows, columns=columns).astype({"share": float})


def against_known(records: pd.DataFrame) -> pd.DataFrame:
    """Return each cohort's size and completion beside what is known of the real file.

    Sizes are compared as shares of all records, so that a part of a file, or some
    rows of the twin, can be compared with the whole file.

    Parameters
    ----------
    records : pandas.DataFrame
        With DISYR; what is known holds for 2018 (study A's first two cohorts) or for
        2017 and 2018 together.

    Returns
    -------
    pandas.DataFrame
        Columns ``cohort``, ``years``, ``rows``, ``of_all`` (share of all records of
        these years), ``known_rows``, ``known_of_all``, ``share`` (that completed) and
        ``known_share``.  Where a year is not among the records, or something is not
        known, the cell is empty.
    """
    records = official_codes(records, ["DISYR"])
    present = sorted(set(records.DISYR.tolist()))
    facts = known().astype({"rows": float}).set_index("cohort").to_dict("index")
    rows = []
    for name, pick in COHORTS.items():
        fact = facts.get(name, {"years": ""})
        years = [int(year) for year in fact["years"].split()]
        comparable = bool(years) and set(years) <= set(present)
        if not comparable:
            fact, years = {}, present
        of_years = records[records.DISYR.isin(years)]
        done = completed(pick(of_years))
        size = fact.get("rows", float("nan"))
        of_all = sum(map(codebook.size, years)) if fact else 1
        row = {"cohort": name, "years": " ".join(map(str, years)), "rows": len(done)}
        row["of_all"] = len(done) / len(of_years) if len(of_years) else pd.NA
        row |= {"known_rows": size, "known_of_all": size / of_all if fact else pd.NA}
        row["share"] = done.mean() if len(done) else pd.NA
        rows.append(row | {"known_share": fact.get("completed_share", pd.NA)})
    shares = ["of_all", "known_of_all", "share", "known_share"]
    kinds = {"known_rows": "Int64", **dict.fromkeys(shares, "Float64")}
    return pd.DataFrame(rows).astype(kinds)


def known() -> pd.DataFrame:
    """Return what is known of the cohorts in the agency's real files.

    Returns
    -------
    pandas.DataFrame
        Columns ``cohort``, ``years`` (text), ``rows``, ``completed_share``,
        ``source``.

    Examples
    --------
    >>> int(known().set_index("cohort").rows["methadone"])
    167301
    """
    return pd.read_csv(
        data_file("codebook/cohorts.csv"), dtype={"years": str, "rows": "Int64"}
    )
