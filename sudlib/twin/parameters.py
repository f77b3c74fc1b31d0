"""The twin's parameters, as stored in data/twin."""

import csv
import functools

import numpy as np
import pandas as pd

from sudlib.files import data_file
from sudlib.teds import codebook
from sudlib.twin.completion import INTERACTIONS, N_SERVICES, N_STATES
from sudlib.twin.specification import STEPS

# ------------------------------------------------------------------ the parameters


@functools.cache
def read_states():
    """Return the states in the order of the official file: by postal letters."""
    with open(data_file("twin/states.csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return tuple(sorted(rows, key=lambda row: row["postal"]))


@functools.cache
def read_parameters(year):
    """Return the fitted numbers of a year (see ``tools/fit_twin.py``)."""
    with np.load(data_file("twin/parameters.npz")) as stored:
        parameters = {
            "mixing": stored["mixing"],
            "cuts": {
                step.variable: stored[f"{year}/cuts/{step.variable}"] for step in STEPS
            },
            "codes": {
                step.variable: stored[f"{year}/codes/{step.variable}"] for step in STEPS
            },
            "order": stored[f"{year}/order"],
            "lines": {
                name.removeprefix("lines/"): stored[name].astype(np.int32)
                for name in stored.files
                if name.startswith("lines/")
            },
            "tables": [
                stored[f"tables/{place}"].astype(np.int32)
                for place in range(len(INTERACTIONS))
            ],
            "strength": stored["strength"].astype(np.int32),
            "pull": stored["pull"].astype(np.int32),
            "shape": stored["shape"],
            "shares": stored["shares"],
            "completion": tuple(
                stored[f"{year}/completion/{place}"] for place in range(3)
            ),
            "endings": tuple(stored[f"{year}/endings/{place}"] for place in range(2)),
        }
    return parameters


@functools.cache
def margin(year, variable):
    """Return the codes of a variable and how often each occurs in a year's file.

    SERVICES is not in the codebooks of 2015 and 2016: there the twin takes
    SERVICES_D, from which it differs little in the other years.
    """
    table = codebook.frequencies(year)
    part = table[table.variable == variable]
    if part.empty and variable == "SERVICES":
        return margin(year, "SERVICES_D")
    part = part.sort_values("code")
    return part.code.to_numpy(np.int8), part.frequency.to_numpy(np.int64)


@functools.cache
def read_targets(year):
    """Return how many rows have each REASON, by state and by service.

    Returns
    -------
    tuple of two arrays of float, shapes (52, 7) and (8, 7)
        States in the order of the file.
    """
    tables = []
    for name, size in (("state", N_STATES), ("service", N_SERVICES)):
        path = (
            data_file("twin/reason_by_state.csv")
            if name == "state"
            else data_file("twin/reason_by_service.csv")
        )
        table = pd.read_csv(path)
        table = table[table.year == year].set_index(name).drop(columns="year")
        if name == "state":
            wanted = [int(row["STFIPS"]) for row in read_states()]
        else:
            wanted = range(1, size + 1)
        tables.append(table.reindex(wanted, fill_value=0).to_numpy(float))
    return tuple(tables)
