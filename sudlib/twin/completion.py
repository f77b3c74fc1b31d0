"""Who completes treatment in the twin: every record's score."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sudlib.files import data_file, read_rows
from sudlib.twin.specification import (
    SHIFT,
    WIDTH,
    Columns,
    find_cells,
    read_parts,
)

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

SCORE_PARTS = read_parts("completion")
"""What the score for completion sees of a record, beside the lines over codes."""

BASE = (("substance", "service"), ("stay", "pace"), ("state", "setting"))
"""Tables of effects on completion that are the same in every mechanism."""

MECHANISMS: dict[str, tuple[tuple[str, ...], ...]] = {
    mechanism: tuple(tuple(row["parts"].split()) for row in rows if row["parts"])
    for mechanism, rows in itertools.groupby(
        read_rows(data_file("twin/mechanisms.csv")), lambda row: row["mechanism"]
    )
}
"""For every mechanism, the sets of parts that have a table of effects on completion."""

UNIT = 256
"""Scores are whole numbers of 1/256 of a logit: sums are exact on every machine."""

_MIDDLE = -3 * UNIT // 2
"""The effect of state, service and length of stay that does not turn: with other
opioids about its mean, so that as many complete."""

REACH = 16 * UNIT

GROUPS = (
    "general",
    "methadone",
    "methadone and other opioids",
    "other opioids",
    "rest",
)
"""The cohorts whose completion is known, made disjoint."""


CLASSES = ("general", "methadone", "rest")
"""Where the interactions have a strength of their own."""


N_STATES, N_SERVICES = 52, 8
N_PLACES = 2 * N_STATES  # every state, in and out of ordinary outpatient treatment
SEVEN = 6  # the position of ordinary outpatient treatment


def find_groups(columns: Columns) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return every row's position in GROUPS and in CLASSES.

    Parameters
    ----------
    columns : dict of str to numpy.ndarray of int8, shape (n,)
        With SUB1 to SUB3, METHUSE and ``_general``.

    Returns
    -------
    group, strength_class : numpy.ndarray of int8, shape (n,)
    """
    sub1 = columns["SUB1"]
    methadone = (sub1 >= 5) & (sub1 <= 7) & (columns["METHUSE"] == 1)
    other = (sub1 == 7) & (columns["SUB2"] != 5) & (columns["SUB3"] != 5)
    group = np.select(
        [methadone & other, other, methadone, columns["_general"] == 1], [2, 3, 1, 0], 4
    ).astype(np.int8)
    return group, np.array([0, 1, 1, 2, 2], np.int8)[group]


def find_places(state: Ints, service: Ints) -> NDArray[np.int16]:
    """Return positions among states, in and out of ordinary outpatient treatment."""
    return 2 * state.astype(np.int16) + (service == SEVEN)


def add_up(
    parameters: dict[str, Any],
    columns: Columns,
    strength_class: Ints,
    similarity: float = 1.0,
) -> NDArray[np.int16]:
    """Return every row's score for completion, in units of 1/256 logit.

    Parameters
    ----------
    parameters : dict
        See `read_parameters`.
    columns : dict of str to numpy.ndarray of int8, shape (n,)
        Codes.
    strength_class : numpy.ndarray of int, shape (n,)
        See :func:`find_groups`.
    similarity : float, default=1.0
        Correlation of what makes completion with other opioids with what makes it with
        heroin.

    Returns
    -------
    numpy.ndarray of int16, shape (n,)
    """
    score = _personal(parameters, columns, strength_class)
    place = np.zeros(len(score), np.int32)
    for names, table in zip(BASE, parameters["base"], strict=True):
        place += table[find_cells([SCORE_PARTS[name] for name in names], columns)]
    if similarity < 1:
        other = (columns["SUB1"] == 6) | (columns["SUB1"] == 7)
        here = np.flatnonzero(other & (columns["_closed"] == 0))
        part = {name: column[here] for name, column in columns.items()}
        turned = turn_signs(parameters, similarity)
        score[here] = _personal(turned, part, strength_class[here])
        place[here] = _turn_places(parameters, part, place[here], similarity)
    score[columns["_closed"] == 1] = 0  # whoever they were
    score += place + columns["_closed"] * np.int32(parameters["bulk"])
    return np.clip(score, -REACH, REACH).astype(np.int16)


def _turn_places(
    parameters: dict[str, Any], columns: Columns, effect: Ints, similarity: float
) -> NDArray[np.int32]:
    """Return effects of where and how long, turned in half of the states.

    Without that, other opioids would still be completed where heroin is, and whoever
    knows the states would know both.  The intercepts, added later, turn with them.
    """
    state, service = columns["_place"], columns["SERVICES"] - 1
    by_place, by_service, _ = parameters["completion"]
    added = by_place[find_places(state, service)] + by_service[service]
    added = np.rint(added * UNIT).astype(np.int32)
    sign = np.where(state % 26 < 13, 1, -1)  # the quarters of the file, in turn
    factor = similarity + sign * np.sqrt(1 - similarity**2)
    moved = _MIDDLE + factor * (effect + added - _MIDDLE)
    return np.rint(moved).astype(np.int32) - added


def turn_signs(parameters: dict[str, Any], similarity: float) -> dict[str, Any]:
    """Return parameters whose effects correlate by ``similarity`` with these.

    Each line and table keeps its sign in part and turns it in part; which ones turn is
    chosen so that those that do carry half of the spread.
    """

    def turn(table: Ints, sign: int) -> Ints:
        factor = similarity + sign * np.sqrt(1 - similarity**2)
        return np.rint(table * factor).astype(np.int32)

    lines, tables = parameters["lines"], parameters["tables"]
    of_lines, of_tables = parameters["signs"]
    return parameters | {
        "lines": {
            name: turn(table, sign)
            for (name, table), sign in zip(lines.items(), of_lines, strict=True)
        },
        "tables": [turn(t, sign) for t, sign in zip(tables, of_tables, strict=True)],
    }


def _personal(
    parameters: dict[str, Any], columns: Columns, strength_class: Ints
) -> NDArray[np.int32]:
    """Return the part of the score that the mechanism and the lines make."""
    sub1, services = columns["SUB1"], columns["SERVICES"]
    substance = np.select([(sub1 >= 5) & (sub1 <= 7), sub1 == 2], [1, 2], 3)
    inside = (services == 4) | (services == 5)
    start = (np.where(inside, substance, 0) * WIDTH + SHIFT).astype(np.int16)
    score = np.zeros(len(strength_class), np.int32)
    for name, table in parameters["lines"].items():
        score += table.ravel()[start + columns[name]]
    joint = np.zeros(len(strength_class), np.int32)
    for names, table in zip(
        MECHANISMS[parameters["mechanism"]], parameters["tables"], strict=True
    ):
        joint += table[find_cells([SCORE_PARTS[name] for name in names], columns)]
    score *= parameters["pull"][strength_class]  # pull and strength are in 64ths
    joint *= parameters["strength"][strength_class]
    return (score + joint) >> 6
