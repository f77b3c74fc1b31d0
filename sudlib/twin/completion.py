"""Who completes treatment in the twin, and how a stay ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sudlib.raking import rake
from sudlib.twin.specification import (
    PARTS,
    SHIFT,
    WIDTH,
    Columns,
    Part,
    find_cells,
)

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

SCORE_PARTS = {
    "drug": PARTS["drug"],
    "age": Part("AGE", ((1, 2, 3), (4, 5), (6, 7), (8, 9, 10, 11, 12))),
    "referral": Part("PSOURCE", ((-9,), (1,), (2, 3), (4, 5, 6), (7,))),
    "work": Part("EMPLOY", ((-9,), (1, 2), (3,), (4,))),
    "school": Part("EDUC", ((-9,), (1, 2), (3,), (4, 5))),
    "home": Part("LIVARAG", ((-9,), (1,), (2,), (3,))),
    "use": Part("FREQ1", ((-9,), (1,), (2,), (3,))),
    "before": Part("NOPRIOR", ((-9,), (0,), (1,))),
    "woman": Part("GENDER", ((-9, 1), (2,))),
    "married": Part("MARSTAT", ((-9,), (1,), (2,), (3, 4))),
    "start": Part("FRSTUSE1", ((-9,), (1, 2), (3,), (4, 5), (6, 7))),
    "second": Part("SUB2", ((-9, 1), (2,), (4,), (3, *range(5, 20)))),
    "route": Part("ROUTE1", ((-9, 5), (1,), (2,), (3,), (4,))),
    "race": Part("RACE", ((-9, 1, 2, 3, 6, 7, 8, 9), (4,), (5,))),
}
"""What the score for completion sees of a record, beside the lines over codes."""


SCORE_PARTS |= {
    "substance": Part(
        "SUB1",
        ((-9, 1), (2,), (3,), (4,), (5,), (6, 7), (10, 11, 12))
        + ((8, 9, *range(13, 20)),),
    ),
    "service": Part("SERVICES", tuple((code,) for code in range(1, 9))),
    "setting": Part("SERVICES", ((1, 2), (3, 4, 5), (6, 7, 8))),
    "pace": Part("SERVICES", ((1, 2), (3, 4), (5,), (6, 7, 8))),
    "stay": Part(
        "LOS",
        ((1,), (2, 3), tuple(range(4, 8)), tuple(range(8, 15)), tuple(range(15, 22)))
        + (tuple(range(22, 28)), (28, 29, 30))
        + tuple((code,) for code in range(31, 38)),
    ),
    "state": PARTS["state"],
}


BASE = (("substance", "service"), ("stay", "pace"), ("state", "setting"))
"""Tables of effects on completion that are the same in every mechanism."""


_SETS = (
    ("drug", "referral"),
    ("age", "drug"),
    ("work", "home"),
    ("drug", "use"),
    ("referral", "before"),
    ("drug", "second"),
    ("school", "work"),
    ("route", "race"),
    ("drug", "use", "work"),
    ("age", "woman", "referral"),
    ("use", "home", "before"),
    ("referral", "work", "married"),
    ("drug", "woman", "start"),
)

MECHANISMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "additive": (),
    "pairs": (*_SETS[:8], ("age", "use"), ("before", "work"), ("home", "second")),
    "smooth": (
        ("age", "start", "use"),
        ("age", "school", "work"),
        ("use", "home", "referral"),
        ("school", "married", "age"),
        ("start", "before", "work"),
        ("home", "use", "second"),
    ),
    "trees": (
        ("referral", "age", "use"),
        ("drug", "before", "work"),
        ("age", "home", "woman"),
        ("second", "route", "start"),
        ("school", "use", "referral"),
        ("married", "drug", "age"),
        ("work", "start", "before"),
        ("race", "referral", "home"),
        ("use", "second", "age"),
        ("route", "before", "woman"),
        ("referral", "drug", "school"),
        ("work", "use", "married"),
    ),
    "tables": _SETS,
}
"""For every mechanism, the sets of parts that have a table of effects on completion."""


LINES_OF = ("elsewhere", "opioids", "alcohol", "other")
"""Where each code has an effect of its own: outside residential services and, there,
by primary substance."""


UNIT = 256
"""Scores are whole numbers of 1/256 of a logit: sums are exact on every machine."""

_MIDDLE = -3 * UNIT // 2
"""The effect of state, service and length of stay that does not turn: with other
opioids about its mean, so that as many complete."""

_REACH = 16 * UNIT
_CHANCE = (1 / (1 + np.exp(-np.arange(-_REACH, _REACH + 1) / UNIT))).astype(np.float32)

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
N_KINDS = 6  # of unfinished stays: see find_endings
N_OTHER = 6  # reasons for discharge beside completion


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


def find_endings(columns: Columns) -> NDArray[np.int8]:
    """Return, for every row, which of six kinds of unfinished stay it would be.

    Parameters
    ----------
    columns : dict of str to numpy.ndarray of int8, shape (n,)
        With PSOURCE (referred by a court or not) and LOS (up to a week, up to three
        months, longer).

    Returns
    -------
    numpy.ndarray of int8, shape (n,)
    """
    court, length = columns["PSOURCE"] == 7, columns["LOS"]
    return (3 * court + (length > 7) + (length > 33)).astype(np.int8)


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
    return np.clip(score, -_REACH, _REACH).astype(np.int16)


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


def calibrate_completion(
    score: Ints,
    state: Ints,
    service: Ints,
    group: Ints,
    targets: tuple[Floats, Floats, Floats],
    max_iter: int = 60,
) -> tuple[Floats, ...]:
    """Return the intercepts of a logistic model that meet three sets of counts.

    The scores are a fixed offset; one set of intercepts after another takes a Newton
    step towards its counts of expected completions.  (No raking: the chances, not the
    cells of a table, are what is fitted.)

    Parameters
    ----------
    score : array of int16, shape (n,)
        In units of 1/256 logit.
    state, service, group : arrays of int, shape (n,)
        Positions.
    targets : tuple of three arrays
        How many should complete in each place (see `find_places`), service and group.
    max_iter : int, default=60
        Rounds over the three sets.

    Returns
    -------
    tuple of three arrays of float
        Intercepts in logits.
    """
    step = UNIT // 16
    sizes = (N_PLACES, N_SERVICES, len(GROUPS))
    shape = (*sizes, 2 * _REACH // step + 1)
    bins = (score.astype(np.int32) + _REACH + step // 2) // step
    places = find_places(state, service)
    cell = np.ravel_multi_index((places, service, group, bins), shape)
    counts = np.bincount(cell)
    filled = np.flatnonzero(counts)
    weight = counts[filled].astype(float)
    *members, binned = np.unravel_index(filled, shape)
    logit = (binned * step - _REACH) / UNIT
    intercepts = [np.zeros(size) for size in sizes]
    for _ in range(max_iter):
        for axis, member in enumerate(members):
            offsets = zip(intercepts, members, strict=True)
            linear = logit + sum(values[index] for values, index in offsets)
            chance = 1 / (1 + np.exp(-linear))
            total, have, slope = (
                np.bincount(member, weight * each, sizes[axis])
                for each in (np.ones_like(chance), chance, chance * (1 - chance))
            )
            want = np.clip(targets[axis], 1e-3, np.maximum(total - 1e-3, 1e-3))
            move = np.where(slope > 1e-6, (want - have) / np.maximum(slope, 1e-6), 0)
            intercepts[axis] += np.clip(move, -1, 1)
    return tuple(intercepts)


def calibrate_endings(
    counts: Ints,
    shape: Floats,
    by_state: Floats,
    by_service: Floats,
    max_iter: int = 60,
) -> tuple[Floats, Floats]:
    """Return the intercepts of REASON 2 to 7 that meet counts by state and service.

    Parameters
    ----------
    counts : array, shape (states, services, kinds)
        Unfinished stays.
    shape : array, shape (kinds, 6)
        How the reasons differ between kinds of stays, in logits.
    by_state, by_service : arrays, shapes (states, 6) and (services, 6)
        Unfinished stays by reason.
    max_iter : int, default=60
        Rounds over the two sets.

    Returns
    -------
    tuple of two arrays of float
        Intercepts by state and by service, in logits.
    """
    state = np.log(np.maximum(by_state, 0.02))
    state -= state.mean(axis=1, keepdims=True)
    service = np.zeros_like(by_service, float)
    for _ in range(max_iter):
        for other, want, values in ((1, by_state, state), (0, by_service, service)):
            expected = ending_chances(state, service, shape) * counts[..., None]
            have = expected.sum(axis=(other, 2))
            move = np.log(np.maximum(want, 0.02) / np.maximum(have, 1e-9)).clip(-1, 1)
            values += move * (have > 1e-9)
    return state, service


def ending_chances(state: Floats, service: Floats, shape: Floats) -> Floats:
    """Return P(REASON 2 to 7 | unfinished) by state, service and kind of stay."""
    logit = state[:, None, None, :] + service[None, :, None, :] + shape[None, None]
    chances = np.exp(logit - logit.max(axis=-1, keepdims=True))
    return chances / chances.sum(axis=-1, keepdims=True)


def _systematic(chance: NDArray[Any], start: float) -> NDArray[np.bool_]:
    """Return a choice whose count over any run of rows is its sum of chances, ±1."""
    total = np.cumsum(chance, dtype=float)
    total += start
    whole = np.floor(total)
    return np.diff(whole, prepend=np.floor(start)) > 0


def draw_reason(
    parameters: dict[str, Any],
    rng: np.random.Generator,
    score: Ints,
    state: Ints,
    service: Ints,
    group: Ints,
    kind: Ints,
    targets: tuple[Floats, Floats] | None,
) -> NDArray[np.int8]:
    """Draw the reason for discharge of every row.

    With ``targets`` the intercepts are fitted to just these rows and the draw is
    systematic, so that the counts are met; without, every row is drawn by itself with
    the year's stored intercepts.

    Parameters
    ----------
    parameters : dict
        See `read_parameters`.
    rng : numpy.random.Generator
    score : numpy.ndarray of int16, shape (n,)
        See :func:`add_up`.
    state, service, group, kind : numpy.ndarray of int, shape (n,)
        Positions; rows are ordered by state.
    targets : tuple of two arrays, or None
        Counts of REASON by state and by service.

    Returns
    -------
    numpy.ndarray of int8, shape (n,)
    """
    if targets is None:
        completion, endings = parameters["completion"], parameters["endings"]
    else:
        wanted = counts_to_meet(parameters, targets, state, service, group)
        completion = calibrate_completion(score, state, service, group, wanted)
    total = score.astype(np.int32)
    members = (find_places(state, service), service, group)
    for values, member in zip(completion, members, strict=True):
        total += np.rint(values * UNIT).astype(np.int32)[member]
    chance = _CHANCE[np.clip(total, -_REACH, _REACH) + _REACH]
    reason = np.zeros(len(score), np.int8)
    if targets is None:
        reason[rng.random(len(score), dtype=np.float32) < chance] = 1
    else:
        order = np.lexsort((service, state))
        chosen = _systematic(chance[order], rng.random())
        reason[order[chosen]] = 1
        _mend(reason, state, 1, targets[0][:, 0], rng)
    open_rows = np.flatnonzero(reason == 0)
    shape = (N_STATES, N_SERVICES, N_KINDS)
    cell = np.ravel_multi_index(
        (state[open_rows], service[open_rows], kind[open_rows]), shape
    )
    if targets is not None:
        counts = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
        by_service = services_in(targets, service)
        endings = calibrate_endings(
            counts, parameters["shape"], targets[0][:, 1:], by_service[:, 1:]
        )
    chances = ending_chances(endings[0], endings[1], parameters["shape"])
    chances = chances.reshape(-1, N_OTHER)
    if targets is None:
        drawn = rng.random(len(open_rows), dtype=np.float32)
        below = np.cumsum(chances, axis=1)[:, :-1].astype(np.float32)
        reason[open_rows] = 2 + sum(drawn >= column[cell] for column in below.T)
        return reason
    # One reason after another, each as its share of those still to come.
    for column in range(N_OTHER - 1):
        share = chances[:, column] / chances[:, column:].sum(axis=1)
        order = np.lexsort((kind[open_rows], service[open_rows], state[open_rows]))
        chosen = _systematic(share[cell[order]], rng.random())
        picked = np.zeros(len(open_rows), bool)
        picked[order[chosen]] = True
        reason[open_rows[picked]] = column + 2
        open_rows, cell = open_rows[~picked], cell[~picked]
    reason[open_rows] = N_OTHER + 1
    for code in range(2, N_OTHER + 1):
        _mend(reason, state, code, targets[0][:, code - 1], rng, after=True)
    return reason


def services_in(targets: tuple[Floats, Floats], service: Ints) -> Floats:
    """Return REASON by service, raked to how many rows of a service there are."""
    by_state, by_service = targets
    rows = np.bincount(service, minlength=N_SERVICES)
    margins = [((0,), rows), ((1,), by_state.sum(axis=0))]
    return rake(by_service, margins, max_iter=100, tolerance=0)


def counts_to_meet(
    parameters: dict[str, Any],
    targets: tuple[Floats, Floats],
    state: Ints,
    service: Ints,
    group: Ints,
) -> tuple[Floats, Floats, Floats]:
    """Return how many of just these rows should complete, by three groupings."""
    completed = targets[0][:, 0]
    sizes = np.bincount(group, minlength=len(GROUPS)).astype(float)
    rows = np.bincount(find_places(state, service), minlength=N_PLACES)
    others, inside = rows.reshape(N_STATES, 2).T.astype(float)
    there = parameters["outpatient"] * inside
    there = np.clip(there, np.maximum(completed - others, 0), completed)
    return (
        np.column_stack([completed - there, there]).ravel(),
        services_in(targets, service)[:, 0],
        completed_by_group(parameters["shares"], sizes, completed.sum()),
    )


def completed_by_group(shares: Floats, sizes: Floats, total: float) -> Floats:
    """Return how many should be completed in each of GROUPS.

    ``shares`` are of the general cohort, the methadone cohort, its members with other
    opioids, and all with other opioids.
    """
    general, methadone, both, other = shares
    counts = np.zeros(len(GROUPS))
    counts[0] = general * sizes[0]
    counts[2] = both * sizes[2]
    counts[1] = methadone * (sizes[1] + sizes[2]) - counts[2]
    counts[3] = other * (sizes[2] + sizes[3]) - counts[2]
    counts[4] = total - counts[:4].sum()
    return counts


def _mend(
    reason: NDArray[np.int8],
    state: Ints,
    code: int,
    wanted: Floats,
    rng: np.random.Generator,
    after: bool = False,
) -> None:
    """Move the last few rows so that a state's count of a reason is exact."""
    starts = np.searchsorted(state, np.arange(N_STATES + 1))
    for position in range(N_STATES):
        here = reason[starts[position] : starts[position + 1]]
        over = int((here == code).sum() - round(wanted[position]))
        if not over:
            continue
        # Not yet decided rows are 0; later reasons take what earlier ones leave.
        spare = (here > code) if after else (here == 0)
        pool = np.flatnonzero(here == code if over > 0 else spare)
        moved = rng.choice(pool, size=min(abs(over), len(pool)), replace=False)
        here[moved] = code if over < 0 else N_OTHER + 1 if after else 0
