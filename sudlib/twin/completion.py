"""Who completes treatment in the twin, and how a stay ends."""

import numpy as np

from sudlib.twin.specification import _SHIFT, PARTS, Part, _lookup

# ------------------------------------------------------------------ the outcome

_REFERRAL = ((-9,), (1,), (2, 3), (4, 5, 6), (7,))


SCORE_PARTS = {
    "drug": PARTS["drug"],
    "age": Part("AGE", ((1, 2, 3), (4, 5), (6, 7), (8, 9, 10, 11, 12))),
    "referral": Part("PSOURCE", _REFERRAL),
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


INTERACTIONS = (
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
"""Sets of two or three parts that each have a table of effects on completion."""


_SCORE_LOOKUPS = {name: _lookup(part.groups) for name, part in SCORE_PARTS.items()}


UNIT = 256  # scores are whole numbers of 1/256 of a logit: sums are exact everywhere


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


N_STATES, N_SERVICES, N_OTHER = 52, 8, 6


def interaction_levels(names, columns):
    """Return, for every row, the cell of an interaction's table."""
    cell = None
    for name in names:
        part = SCORE_PARTS[name]
        level = _SCORE_LOOKUPS[name][columns[part.column] + np.int8(_SHIFT)]
        cell = level if cell is None else cell * np.int16(len(part.groups)) + level
    return cell


def find_groups(columns):
    """Return every row's place in GROUPS and in CLASSES."""
    sub1 = columns["SUB1"]
    opioid = (sub1 >= 5) & (sub1 <= 7)
    methadone = opioid & (columns["METHUSE"] == 1)
    other = (sub1 == 7) & (columns["SUB2"] != 5) & (columns["SUB3"] != 5)
    group = np.full(len(sub1), 4, np.int8)
    group[columns["_general"] == 1] = 0
    group[methadone] = 1
    group[other] = 3
    group[methadone & other] = 2
    place = np.array([0, 1, 1, 2, 2], np.int8)[group]
    return group, place


def find_endings(columns):
    """Return, for every row, which of six kinds of unfinished stay it would be."""
    court = (columns["PSOURCE"] == 7).astype(np.int8)
    length = (columns["LOS"] > 7).astype(np.int8) + (columns["LOS"] > 33)
    return court * np.int8(3) + length.astype(np.int8)


def add_up(parameters, columns, place):
    """Return every row's score for completion, in units of 1/256 logit."""
    score = np.zeros(len(place), np.int32)
    for name, table in parameters["lines"].items():
        score += table[columns[name] + np.int8(_SHIFT)]
    joint = np.zeros(len(place), np.int32)
    for names, table in zip(INTERACTIONS, parameters["tables"], strict=True):
        joint += table[interaction_levels(names, columns)]
    score *= parameters["pull"][place]  # pull and strength are in 64ths
    joint *= parameters["strength"][place]
    score = (score + joint) >> 6
    return np.clip(score, -_REACH, _REACH).astype(np.int16)


def rake_completion(score, state, service, group, targets, rounds=60):
    """Return the three sets of intercepts that meet three sets of counts.

    Parameters
    ----------
    score : array of int16, shape (n,)
        In units of 1/256 logit.
    state, service, group : arrays of int, shape (n,)
    targets : tuple of three arrays
        How many should be completed in each state, service and group.
    rounds : int

    Returns
    -------
    tuple of three arrays of float
        Intercepts in logits.
    """
    step = UNIT // 16
    bins = 2 * _REACH // step + 1
    cell = (state.astype(np.int64) * N_SERVICES + service) * len(GROUPS) + group
    place = (score.astype(np.int32) + _REACH + step // 2) // step
    counts = np.bincount(
        cell * bins + place, minlength=N_STATES * N_SERVICES * len(GROUPS) * bins
    )
    filled = np.flatnonzero(counts)
    weight = counts[filled].astype(float)
    logit = (filled % bins * step - _REACH) / UNIT
    cell = filled // bins
    members = (
        cell // (N_SERVICES * len(GROUPS)),
        cell // len(GROUPS) % N_SERVICES,
        cell % len(GROUPS),
    )
    sizes = (N_STATES, N_SERVICES, len(GROUPS))
    totals = [
        np.bincount(member, weight, size)
        for member, size in zip(members, sizes, strict=True)
    ]
    intercepts = [np.zeros(size) for size in sizes]
    for _ in range(rounds):
        for place, member in enumerate(members):
            linear = logit + sum(
                values[index] for values, index in zip(intercepts, members, strict=True)
            )
            chance = 1 / (1 + np.exp(-linear))
            have = np.bincount(member, weight * chance, sizes[place])
            slope = np.bincount(member, weight * chance * (1 - chance), sizes[place])
            want = np.clip(targets[place], 1e-3, np.maximum(totals[place] - 1e-3, 1e-3))
            move = np.where(slope > 1e-6, (want - have) / np.maximum(slope, 1e-6), 0)
            intercepts[place] += np.clip(move, -1, 1)
    return tuple(intercepts)


def rake_endings(counts, shape, by_state, by_service, rounds=60):
    """Return the intercepts of REASON 2 to 7 that meet counts by state and service.

    Parameters
    ----------
    counts : array, shape (states, services, kinds)
        Unfinished stays.
    shape : array, shape (kinds, 6)
        How the reasons differ between kinds of stays, in logits.
    by_state, by_service : arrays, shapes (states, 6) and (services, 6)

    Returns
    -------
    tuple of two arrays of float
        Intercepts by state and by service, in logits.
    """
    state = np.log(np.maximum(by_state, 0.02))
    state -= state.mean(axis=1, keepdims=True)
    service = np.zeros_like(by_service, float)
    for _ in range(rounds):
        for axis, want in (("state", by_state), ("service", by_service)):
            chances = ending_chances(state, service, shape)
            have = chances * counts[..., None]
            if axis == "state":
                have = have.sum(axis=(1, 2))
                state += np.log(np.maximum(want, 0.02) / np.maximum(have, 1e-9)).clip(
                    -1, 1
                ) * (have > 1e-9)
            else:
                have = have.sum(axis=(0, 2))
                service += np.log(np.maximum(want, 0.02) / np.maximum(have, 1e-9)).clip(
                    -1, 1
                ) * (have > 1e-9)
    return state, service


def ending_chances(state, service, shape):
    """Return P(REASON 2 to 7 | unfinished) by state, service and kind of stay."""
    logit = state[:, None, None, :] + service[None, :, None, :] + shape[None, None]
    chances = np.exp(logit - logit.max(axis=-1, keepdims=True))
    return chances / chances.sum(axis=-1, keepdims=True)


def _systematic(chance, start):
    """Return a choice whose count over any run of rows is its sum of chances, ±1."""
    total = np.cumsum(chance, dtype=float)
    total += start
    whole = np.floor(total)
    return np.diff(whole, prepend=np.floor(start)) > 0


def draw_reason(parameters, rng, score, place, service, group, kind, targets):
    """Draw the reason for discharge of every row.

    With ``targets`` (the counts of REASON by state and by service) the intercepts are
    fitted to just these rows and the draw is systematic, so that the counts are met;
    without, every row is drawn by itself with the year's stored intercepts.
    """
    n = len(score)
    if targets is None:
        intercepts = parameters["completion"]
    else:
        wanted = _fit_to_rows(parameters, targets, place, service, group)
        intercepts = rake_completion(score, place, service, group, wanted)
    state, services, groups = (
        np.rint(values * UNIT).astype(np.int32) for values in intercepts
    )
    total = state[place] + services[service] + groups[group]
    total += score
    chance = _CHANCE[np.clip(total, -_REACH, _REACH) + _REACH]
    reason = np.zeros(n, np.int8)
    if targets is None:
        reason[rng.random(n, dtype=np.float32) < chance] = 1
    else:
        order = np.lexsort((service, place))
        chosen = _systematic(chance[order], rng.random())
        reason[order[chosen]] = 1
        _mend(reason, place, 1, targets[0][:, 0], rng)
    left = np.flatnonzero(reason == 0)
    cell = (place[left].astype(np.int64) * N_SERVICES + service[left]) * 6 + kind[left]
    if targets is None:
        by_state, by_service = parameters["endings"]
    else:
        cells = np.bincount(cell, minlength=N_STATES * N_SERVICES * 6)
        by_state, by_service = rake_endings(
            cells.reshape(N_STATES, N_SERVICES, 6),
            parameters["shape"],
            targets[0][:, 1:],
            _services_in(targets, service)[:, 1:],
        )
    chances = ending_chances(by_state, by_service, parameters["shape"]).reshape(-1, 6)
    below = np.cumsum(chances, axis=1)
    if targets is None:
        drawn = rng.random(len(left), dtype=np.float32)
        ending = np.full(len(left), 2, np.int8)
        for column in range(N_OTHER - 1):
            ending += drawn >= below[:, column].astype(np.float32)[cell]
        reason[left] = ending
        return reason
    # One reason after another, each as its share of those still to come.
    for column in range(N_OTHER - 1):
        share = chances[:, column] / chances[:, column:].sum(axis=1)
        order = np.lexsort((kind[left], service[left], place[left]))
        chosen = _systematic(share[cell[order]], rng.random())
        picked = np.zeros(len(left), bool)
        picked[order[chosen]] = True
        reason[left[picked]] = column + 2
        left, cell = left[~picked], cell[~picked]
    reason[left] = N_OTHER + 1
    for code in range(2, N_OTHER + 1):
        _mend(reason, place, code, targets[0][:, code - 1], rng, after=True)
    return reason


def _services_in(targets, service):
    """Return REASON by service, fitted to how many rows of a service there are."""
    by_state, by_service = targets
    have = np.bincount(service, minlength=N_SERVICES).astype(float)
    table = by_service.copy()
    for _ in range(100):
        table *= (have / np.maximum(table.sum(axis=1), 1e-9))[:, None]
        table *= by_state.sum(axis=0) / np.maximum(table.sum(axis=0), 1e-9)
    return table


def _fit_to_rows(parameters, targets, place, service, group):
    """Return how many of just these rows should be completed, by three groupings."""
    by_state, _ = targets
    services = _services_in(targets, service)[:, 0]
    sizes = np.bincount(group, minlength=len(GROUPS)).astype(float)
    return (
        by_state[:, 0],
        services,
        completed_by_group(parameters["shares"], sizes, by_state[:, 0].sum()),
    )


def completed_by_group(shares, sizes, total):
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


def _mend(reason, place, code, wanted, rng, after=False):
    """Move the last few rows so that a state's count of a reason is exact."""
    starts = np.searchsorted(place, np.arange(N_STATES + 1))
    for state in range(N_STATES):
        here = reason[starts[state] : starts[state + 1]]
        over = int((here == code).sum() - round(wanted[state]))
        if not over:
            continue
        # Not yet decided rows are 0; later reasons take what earlier ones leave.
        spare = (here > code) if after else (here == 0)
        pool = np.flatnonzero(here == code) if over > 0 else np.flatnonzero(spare)
        moved = rng.choice(pool, size=min(abs(over), len(pool)), replace=False)
        if over > 0:
            here[moved] = N_OTHER + 1 if after else 0
        else:
            here[moved] = code
