"""The twin's parameters and targets, as stored in ``data/twin``."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sudlib.files import data_file, read_rows
from sudlib.teds import codebook
from sudlib.twin.completion import BASE, MECHANISMS, N_SERVICES
from sudlib.twin.reasons import lean_shape
from sudlib.twin.specification import STEPS, YEARS
from sudlib.validation import check_choice


@functools.cache
def read_states() -> tuple[dict[str, str], ...]:
    """Return the states in the order of the official file: by postal letters.

    Returns
    -------
    tuple of dict
        ``STFIPS``, ``postal``, ``DIVISION``, ``REGION`` and ``areas``, as text.
    """
    rows = read_rows(data_file("twin/states.csv"))
    return tuple(sorted(rows, key=lambda row: row["postal"]))


@functools.cache
def read_parameters(year: int, mechanism: str = "pairs") -> dict[str, Any]:
    """Return the fitted numbers of a year (see ``tools/fit_twin.py``)."""
    with np.load(data_file("twin/parameters.npz")) as stored:
        variables = [step.variable for step in STEPS]

        def tables_of(kind: str) -> dict[str, NDArray[np.int32]]:
            """Return the effects of codes that are stored under a name."""
            return {
                name.removeprefix(kind): stored[name].astype(np.int32)
                for name in stored.files
                if name.startswith(kind)
            }

        tables = [f"{mechanism}/{i}" for i in range(len(MECHANISMS[mechanism]))]
        return {
            "mechanism": mechanism,
            "mixing": stored["mixing"],
            "means": stored["means"],
            "shift": stored["shift"],
            "closed": stored[f"{year}/closed"],
            "cuts": {name: stored[f"{year}/cuts/{name}"] for name in variables},
            "codes": {name: stored[f"{year}/codes/{name}"] for name in variables},
            "lines": tables_of("lines/"),
            "leaving": tables_of("leaving/"),
            "base": [stored[f"base/{i}"].astype(np.int32) for i in range(len(BASE))],
            "bulk": int(stored["bulk"]),
            "tables": [stored[name].astype(np.int32) for name in tables],
            "signs": (stored["signs/lines"], stored[f"signs/{mechanism}"]),
            "strength": stored[f"strength/{mechanism}"].astype(np.int32),
            "pull": stored["pull"].astype(np.int32),
            "shape": lean_shape(stored["shape"]),
            "shares": stored["shares"],
            "outpatient": stored[f"{year}/outpatient"],
            "completion": tuple(
                stored[f"{year}/completion/{mechanism}/{i}"] for i in range(3)
            ),
            "endings": tuple(stored[f"{year}/endings/{i}"] for i in range(2)),
        }


@functools.cache
def margin(year: int, variable: str) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return the codes of a variable and how often each occurs in a year's file.

    SERVICES is not in the codebooks of 2015 and 2016: there the twin takes
    SERVICES_D, from which it differs little in the other years.

    Parameters
    ----------
    year : int
        2015 to 2019.
    variable : str
        A name of the schema.

    Returns
    -------
    codes, frequencies : numpy.ndarray
        In rising order of the code.

    Examples
    --------
    >>> margin(2019, "GENDER")[0].tolist()
    [-9, 1, 2]
    """
    table = codebook.frequencies(year)
    of_variable = table[table.variable == variable].sort_values("code")
    if of_variable.empty and variable == "SERVICES":
        return margin(year, "SERVICES_D")
    codebook.known_name(variable)  # or raise
    pair = of_variable.code.to_numpy(np.int8), of_variable.frequency.to_numpy(np.int64)
    for values in pair:  # kept for the next call
        values.setflags(write=False)
    return pair


def read_targets(year: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how many rows have each REASON, by state and by service.

    Parameters
    ----------
    year : int
        2015 to 2019.

    Returns
    -------
    tuple of two arrays of float, shapes (52, 7) and (8, 7)
        States in the order of the file.
    """
    check_choice("year", year, YEARS)
    by_state = pd.read_csv(data_file("twin/reason_by_state.csv"), index_col="state")
    by_service = pd.read_csv(
        data_file("twin/reason_by_service.csv"), index_col="service"
    )
    states = [int(row["STFIPS"]) for row in read_states()]
    services = range(1, N_SERVICES + 1)
    state_counts, service_counts = (
        table[table.year == year].drop(columns="year").reindex(wanted, fill_value=0)
        for table, wanted in ((by_state, states), (by_service, services))
    )
    return state_counts.to_numpy(float), service_counts.to_numpy(float)
