"""The variables of the twin, and the order in which they are drawn."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sudlib.files import data_file, read_rows

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


def read_parts(use: str) -> dict[str, Part]:
    """Return the parts of ``data/twin/parts.csv`` that are used to an end.

    Parameters
    ----------
    use : {"draw", "completion"}
        To draw the variables, or to score who completes.

    Returns
    -------
    dict of str to Part
        By name.
    """
    return {
        row["part"]: Part(
            row["column"],
            tuple(tuple(map(int, codes.split())) for codes in row["groups"].split("|")),
        )
        for row in read_rows(data_file("twin/parts.csv"))
        if use in row["used_to"].split()
    }


PARTS = read_parts("draw")
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


STEPS = tuple(
    Step(
        row["variable"],
        tuple(row["parts"].split()),
        row["latent"] or None,
        float(row["weight"] or 1),
    )
    for row in read_rows(data_file("twin/steps.csv"))
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
