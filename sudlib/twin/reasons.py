"""How a stay ends in the twin: completed, or one of six other reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sudlib.raking import rake
from sudlib.twin.completion import (
    GROUPS,
    N_PLACES,
    N_SERVICES,
    N_STATES,
    REACH,
    UNIT,
    Floats,
    Ints,
    find_places,
)
from sudlib.twin.specification import SHIFT, Columns

N_ENDINGS = 6  # see find_endings
N_LEANS = 13  # see find_leans
N_KINDS = N_LEANS * N_ENDINGS  # of unfinished stays
N_OTHER = 6  # reasons for discharge beside completion
_CHANCE = (1 / (1 + np.exp(-np.arange(-REACH, REACH + 1) / UNIT))).astype(np.float32)


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


def find_leans(leaving: dict[str, Ints], columns: Columns) -> NDArray[np.int8]:
    """Return, for every row, how far an unfinished stay leans towards leaving.

    Leaving, or being told to leave (REASON 2 and 3), against a transfer and what else
    ends a stay: known for residential treatment only, so all others are in the middle.

    Parameters
    ----------
    leaving : dict of str to numpy.ndarray of int
        Effects of codes, in units of 1/256 logit.
    columns : dict of str to numpy.ndarray of int8, shape (n,)
        Codes.

    Returns
    -------
    numpy.ndarray of int8, shape (n,)
        0 to 12: from -3 to 3 logits, in steps of a half; 6 does not lean.
    """
    services = columns["SERVICES"]
    lean = np.zeros(len(services), np.int32)
    for name, table in leaving.items():
        lean += table[columns[name] + SHIFT]
    lean[(services != 4) & (services != 5)] = 0
    middle = N_LEANS // 2
    steps = (lean + UNIT // 4) // (UNIT // 2)
    return (np.clip(steps, -middle, middle) + middle).astype(np.int8)


def find_kinds(leaving: dict[str, Ints], columns: Columns) -> NDArray[np.int8]:
    """Return every row's kind of unfinished stay: how it leans, and its ending."""
    return N_ENDINGS * find_leans(leaving, columns) + find_endings(columns)


def lean_shape(shape: Floats) -> Floats:
    """Return how reasons differ between all kinds, from how they do between endings.

    Parameters
    ----------
    shape : numpy.ndarray, shape (endings, 6)
        In logits.

    Returns
    -------
    numpy.ndarray, shape (kinds, 6)
    """
    leans = (np.arange(N_LEANS) - N_LEANS // 2) / 2
    lean = np.outer(leans, [1, 1, 0, 0, 0, 0])
    return (lean[:, None, :] + shape).reshape(N_KINDS, N_OTHER)


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
    shape = (*sizes, 2 * REACH // step + 1)
    bins = (score.astype(np.int32) + REACH + step // 2) // step
    places = find_places(state, service)
    cell = np.ravel_multi_index((places, service, group, bins), shape)
    counts = np.bincount(cell)
    filled = np.flatnonzero(counts)
    weight = counts[filled].astype(float)
    *members, binned = np.unravel_index(filled, shape)
    logit = (binned * step - REACH) / UNIT
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
    chance = _CHANCE[np.clip(total, -REACH, REACH) + REACH]
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
