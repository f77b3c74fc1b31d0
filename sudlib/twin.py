"""The synthetic twin of TEDS-D: made-up records with the file's own form (floor 1)."""

import csv

import numpy as np
import pandas as pd

from sudlib import codebook
from sudlib.files import InputError, data_file

YEARS = (2015, 2016, 2017, 2018, 2019)
"""The years the twin can be drawn for: those with a complete codebook."""

FLAGS = {
    "ALCFLG": 2,
    "COKEFLG": 3,
    "MARFLG": 4,
    "HERFLG": 5,
    "METHFLG": 6,
    "OPSYNFLG": 7,
    "PCPFLG": 8,
    "HALLFLG": 9,
    "MTHAMFLG": 10,
    "AMPHFLG": 11,
    "STIMFLG": 12,
    "BENZFLG": 13,
    "TRNQFLG": 14,
    "BARBFLG": 15,
    "SEDHPFLG": 16,
    "INHFLG": 17,
    "OTCFLG": 18,
    "OTHERFLG": 19,
}
"""The 18 flags and the substance that each stands for."""


def _states():
    with open(data_file("twin/states.csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return sorted(rows, key=lambda row: row["postal"])


def sample(year=2018, rows=None, seed=33):
    """Return made-up records of a year, in the form of the official file."""
    if isinstance(year, bool) or year not in YEARS:
        raise InputError(
            f"the twin's year must be one of {YEARS[0]} to {YEARS[-1]}, not {year!r}"
        )
    n = codebook.size(year) if rows is None else rows
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"rows must be a positive whole number or None, not {rows!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be a whole number from 0 up, not {seed!r}")
    rng = np.random.default_rng([int(seed), int(year), int(n)])
    table = codebook.frequencies(year)
    margins = {
        name: part.sort_values("code")[["code", "frequency"]].to_numpy()
        for name, part in table.groupby("variable")
    }
    margins.setdefault("SERVICES", margins["SERVICES_D"])
    out = {}

    def draw(name, allowed=None, size=n):
        codes, counts = margins[name].T
        shares = counts.astype(float)
        if allowed is not None:
            shares = shares * np.isin(codes, allowed)
        cuts = np.cumsum(shares)[:-1] / shares.sum()
        return codes.astype(np.int8)[np.searchsorted(cuts, rng.random(size), "right")]

    states = _states()
    order = {int(row["STFIPS"]): place for place, row in enumerate(states)}
    out["STFIPS"] = draw("STFIPS")
    place = np.zeros(100, np.int8)
    for fips, rank in order.items():
        place[fips] = rank
    out["STFIPS"] = out["STFIPS"][np.argsort(place[out["STFIPS"]], kind="stable")]
    for name in ("DIVISION", "REGION"):
        lookup = np.zeros(100, np.int8)
        for row in states:
            lookup[int(row["STFIPS"])] = int(row[name])
        out[name] = lookup[out["STFIPS"]]
    skip = {"SUB1", "SUB2", "SUB3", "SUB1_D", "SUB2_D", "SUB3_D", "IDU", "ALCDRUG"}
    for name in codebook.COLUMNS:
        if name in out or name in skip or name in FLAGS or name in codebook.OPEN:
            continue
        if name == "DISYR":
            out[name] = np.full(n, year, np.int16)
        else:
            out[name] = draw(name)
    for end in ("", "_D"):
        first, second, third = (draw(f"SUB{k}{end}") for k in (1, 2, 3))
        second[(first <= 1) | (second == first)] = 1
        third[(second <= 1) | (third == first) | (third == second)] = 1
        for k, substance in enumerate((first, second, third), 1):
            out[f"SUB{k}{end}"] = substance
            parts = ("FREQ",) if end else ("ROUTE", "FREQ", "FRSTUSE")
            for part in parts:
                out[f"{part}{k}{end}"][substance <= 1] = -9
    out["DETNLF"][out["EMPLOY"] != 4] = -9
    out["DETNLF_D"][out["EMPLOY_D"] != 4] = -9
    out["DETCRIM"][out["PSOURCE"] != 7] = -9
    out["PREG"][out["GENDER"] != 2] = -9
    substances = [out[f"SUB{k}"] for k in (1, 2, 3)]
    for flag, code in FLAGS.items():
        out[flag] = np.zeros(n, np.int8)
        for substance in substances:
            out[flag] |= substance == code
    drugs = sum((substance > 2).astype(np.int8) for substance in substances) > 0
    out["ALCDRUG"] = (out["ALCFLG"] + 2 * drugs).astype(np.int8)
    injected = (out["ROUTE1"] == 4) | (out["ROUTE2"] == 4) | (out["ROUTE3"] == 4)
    out["IDU"] = np.where(out["SUB1"] > 1, injected, -9).astype(np.int8)
    # Completed stays follow a few features, so that there is something to learn.
    logit = (
        -0.4
        + 0.5 * (out["EMPLOY"] == 1)
        - 0.6 * np.isin(out["SUB1"], (5, 6, 7))
        + 0.5 * ((out["PSOURCE"] == 7) & (out["AGE"] > 5))
        - 0.8 * (out["METHUSE"] == 1)
        + 0.6 * (out["LIVARAG"] == 3) * (out["FREQ1"] == 1)
    )
    done = rng.random(n) < 1 / (1 + np.exp(-1.5 * logit))
    out["REASON"] = np.where(done, 1, draw("REASON", range(2, 8))).astype(np.int8)
    out["CASEID"] = year * 10_000_000 + 1_000_000 + rng.permutation(n)
    out["CBSA2010"] = np.full(n, -9, np.int32)
    frame = pd.DataFrame({name: out[name] for name in codebook.COLUMNS}, copy=False)
    frame.attrs = {
        "data": "twin",
        "years": [int(year)],
        "synthetic": True,
        "sha256": None,
        "rows_in_file": int(n),
    }
    return frame
