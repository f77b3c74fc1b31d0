"""The variables of the twin, and the order in which they are drawn."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

YEARS = (2015, 2016, 2017, 2018, 2019)
"""The years the twin can be drawn for: those with a complete codebook."""

Columns = Mapping[str, NDArray[np.int8]]
Groups = tuple[tuple[int, ...], ...]

SHIFT = 9  # codes run from -9: a lookup array is indexed by code + 9
WIDTH = 96


class Part(NamedTuple):
    """One part of a key: a column and the groups its codes are seen in."""

    column: str
    groups: Groups


@functools.cache
def _lookup(groups: Groups) -> NDArray[np.int16]:
    """Return an array that maps code + 9 to the number of its group."""
    table = np.zeros(WIDTH, np.int16)
    for level, codes in enumerate(groups):
        table[np.array(codes) + SHIFT] = level
    return table


def find_cells(parts: Sequence[Part], columns: Columns) -> NDArray[np.int16]:
    """Return, for every row, the cell of a table that has an axis for each part.

    Parameters
    ----------
    parts : sequence of Part
        The axes of the table, the last running fastest.
    columns : dict of str to numpy.ndarray of int8, shape (n,)
        Codes.

    Returns
    -------
    numpy.ndarray of int16, shape (n,)
        A mixed-radix number of the parts' levels.
    """
    cell: Any = np.int16(0)
    for part in parts:
        level = _lookup(part.groups)[columns[part.column] + np.int8(SHIFT)]
        cell = cell * np.int16(len(part.groups)) + level
    return cell


def _each(*codes: int) -> Groups:
    """Return every code as a group of its own."""
    return tuple((code,) for code in codes)


_SUBSTANCES = _each(-9, *range(1, 20))
_NAMED = ((-9, 1), tuple(range(2, 20)))  # whether a substance is named

PARTS = {
    "state": Part("_place", _each(*range(52))),
    "seven": Part("SERVICES", ((1, 2, 3, 4, 5, 6, 8), (7,))),
    "none": Part("SUB1", (tuple(range(2, 20)), (-9, 1))),
    "drug": Part(
        "SUB1",
        ((-9, 1), (2,), (3,), (4,), (5, 6, 7), (10, 11, 12))
        + ((8, 9, *range(13, 20)),),
    ),
    "class": Part(
        "SUB1", ((-9,), (5, 6, 7), (1, 2, 3, 4, *range(8, 20)))
    ),  # as the cohorts of study A see it
    "sub1": Part("SUB1", _SUBSTANCES),
    "sub2": Part("SUB2", _SUBSTANCES),
    "sub3": Part("SUB3", _SUBSTANCES),
    "sub1_d": Part("SUB1_D", _SUBSTANCES),
    "third": Part("SUB3", _NAMED),
    "age": Part("AGE", ((1,), (2,), (3,), (4,), (5,), (6, 7, 8, 9, 10), (11, 12))),
    "services": Part("SERVICES", _each(*range(1, 9))),
    "outpatient": Part("SERVICES", ((1, 2, 3, 4, 5), (6, 7, 8))),
    "employ": Part("EMPLOY", _each(-9, 1, 2, 3, 4)),
    "outside": Part("EMPLOY", ((-9, 1, 2, 3), (4,))),
    "court": Part("PSOURCE", ((-9, 1, 2, 3, 4, 5, 6), (7,))),
    "idle": Part("DETNLF", ((-9,), (1, 2, 3, 4, 5))),
    "sentenced": Part("DETCRIM", ((-9,), (1, 2, 3, 4, 5, 6, 7, 8))),
    "arrests_known": Part("ARRESTS", ((-9,), (0, 1, 2))),
    "gender": Part("GENDER", _each(-9, 1, 2)),
    "race": Part("RACE", ((-9,), (4,), (5,), (7,), (1, 2, 3, 6, 8, 9))),
    "hlthins": Part("HLTHINS", _each(-9, 1, 2, 3, 4)),
    "injects1": Part("ROUTE1", ((-9, 1, 2, 3, 5), (4,))),
    "injects": Part("_injects", _each(0, 1)),
    "present1_d": Part("SUB1_D", _NAMED),
    "present2_d": Part("SUB2_D", _NAMED),
    "present3_d": Part("SUB3_D", _NAMED),
    "present2": Part("SUB2", _NAMED),
    "present3": Part("SUB3", _NAMED),
    "freq1": Part("FREQ1", _each(-9, 1, 2, 3)),
    "freq2": Part("FREQ2", _each(-9, 1, 2, 3)),
    "freq3": Part("FREQ3", _each(-9, 1, 2, 3)),
    "outside_d": Part("EMPLOY_D", ((-9, 1, 2, 3), (4,))),
    "detnlf": Part("DETNLF", _each(-9, 1, 2, 3, 4, 5)),
    "livarag": Part("LIVARAG", _each(-9, 1, 2, 3)),
    "arrests": Part("ARRESTS", _each(-9, 0, 1, 2)),
    "self_help": Part("FREQ_ATND_SELF_HELP", _each(-9, 1, 2, 3, 4, 5)),
}
"""The parts that keys are made of."""


class Step(NamedTuple):
    """How one variable is cut.

    ``latent`` names the latent number (its own, another's, or none: then a uniform
    number is cut), ``weight`` how much of it is used beside fresh noise.
    """

    variable: str
    keys: tuple[str, ...]
    latent: str | None = None
    weight: float = 1.0


def _own(variable: str, *keys: str) -> Step:
    return Step(variable, keys, variable)


STEPS = (
    _own("SUB1", "state"),
    _own("SERVICES", "state", "drug"),
    _own("METHUSE", "class", "outpatient"),
    _own("AGE", "none", "drug"),
    Step("GENDER", ("seven", "state", "drug")),
    Step("PREG", ("gender", "age")),
    _own("RACE", "state", "none"),
    _own("ETHNIC", "state", "none", "race"),
    _own("EMPLOY", "none", "age"),
    _own("DETNLF", "outside", "age"),
    _own("PSOURCE", "drug", "idle"),
    _own("DETCRIM", "court", "drug"),
    _own("EDUC", "none", "age", "idle"),
    _own("LIVARAG", "none", "age", "idle"),
    _own("ARRESTS", "none", "idle"),
    _own("MARSTAT", "none", "age", "arrests_known"),
    _own("HLTHINS", "none", "idle", "sentenced"),
    _own("PRIMINC", "none", "employ", "idle", "hlthins"),
    _own("PRIMPAY", "none", "hlthins", "sentenced"),
    _own("NOPRIOR", "none", "arrests_known"),
    _own("PSYPROB", "none", "arrests_known"),
    _own("DAYWAIT", "none", "idle", "hlthins"),
    _own("FREQ_ATND_SELF_HELP", "none", "idle", "arrests_known"),
    Step("VET", ("gender", "age"), "LIVARAG", 0.85),
    _own("DSMCRIT", "sub1", "idle"),
    _own("ROUTE1", "sub1"),
    _own("FREQ1", "sub1"),
    _own("FRSTUSE1", "sub1", "age"),
    _own("LOS", "services"),
    Step("SUB2", ("sub1",)),
    Step("SUB3", ("sub1", "sub2")),
    Step("ROUTE2", ("sub2", "injects1", "third")),
    Step("ROUTE3", ("sub3", "injects")),
    Step("FREQ2", ("sub2", "freq1")),
    Step("FREQ3", ("sub3", "freq1")),
    Step("FRSTUSE2", ("sub2", "age")),
    Step("FRSTUSE3", ("sub3", "age")),
    Step("EMPLOY_D", ("employ",), "DISCHARGE", 0.75),
    Step("LIVARAG_D", ("livarag",), "DISCHARGE", 0.75),
    Step("ARRESTS_D", ("arrests",), "DISCHARGE", 0.75),
    Step("FREQ_ATND_SELF_HELP_D", ("self_help",), "DISCHARGE", 0.6),
    Step("DETNLF_D", ("outside_d", "detnlf")),
    Step("SERVICES_D", ("services",)),
    Step("SUB1_D", ("sub1",), "DISCHARGE", 0.6),
    Step("SUB2_D", ("sub2", "sub1_d")),
    Step("SUB3_D", ("sub3", "present2_d")),
    Step("FREQ1_D", ("present1_d", "freq1"), "DISCHARGE", 0.6),
    Step("FREQ2_D", ("present2_d", "freq2")),
    Step("FREQ3_D", ("present3_d", "freq3")),
)
"""The order in which the variables are cut; each sees only those before it."""


LATENTS = (
    *(step.variable for step in STEPS if step.latent == step.variable),
    "DISCHARGE",
)
"""The correlated latent normal numbers."""


def key_size(step: Step) -> int:
    """Return how many different keys a step has.

    Parameters
    ----------
    step : Step

    Returns
    -------
    int
    """
    return int(np.prod([len(PARTS[name].groups) for name in step.keys], dtype=int))


def key_levels(step: Step) -> dict[str, NDArray[np.int64]]:
    """Return, for every key of a step, the level of each of its parts.

    Parameters
    ----------
    step : Step

    Returns
    -------
    dict of str to numpy.ndarray, shape (key_size(step),)
    """
    shape = [len(PARTS[name].groups) for name in step.keys]
    grid = np.indices(shape).reshape(len(shape), -1)
    return dict(zip(step.keys, grid, strict=True))
