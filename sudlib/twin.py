"""The synthetic twin of TEDS-D: made-up records in the form of the file (floor 1).

No row of the twin is a person, and none is copied from a real file.  The rows are drawn
from about twenty thousand fitted numbers in ``data/twin``, which ``tools/fit_twin.py``
worked out from published tables only: the codebooks' frequencies, the correlations of
29 variables, completion by state and by service, and the sizes of two cohorts.

How a record is drawn:

1. The state comes first.  A latent normal number hangs on it.
2. Twenty-six more latent normal numbers follow, correlated with it and with each other.
3. Each variable is cut from its latent number, in a fixed order.  Where the cuts lie
   depends on what is already known of the record (the *key*): no injected alcohol, no
   first use at an age not reached yet, no substance named twice.
4. Flags, groups and regions are worked out from the rest.
5. The reason for discharge comes last, from a score with interactions of two and three
   variables, with the state, the service and the cohort.

Taught in ``d01_how_real_is_the_twin``.
"""

import csv
import functools
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

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
"""The 18 flags, each with the substance that it stands for."""

CHUNK = 65_536  # rows drawn at a time: the working arrays stay in the cache

# ------------------------------------------------------------------ what a key sees

_SHIFT = 9  # codes run from -9: a lookup array is indexed by code + 9
_WIDTH = 96


def _lookup(groups):
    """Return an array that maps code + 9 to the number of its group."""
    table = np.zeros(_WIDTH, np.int16)
    for level, codes in enumerate(groups):
        for code in codes:
            table[code + _SHIFT] = level
    return table


class Part(NamedTuple):
    """One part of a key: a column and the groups its codes are seen in."""

    column: str
    groups: tuple


_SUBSTANCES = ((-9,), *((code,) for code in range(1, 20)))
PARTS = {
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
    "third": Part("SUB3", ((-9, 1), tuple(range(2, 20)))),
    "age": Part("AGE", ((1,), (2,), (3,), (4,), (5,), (6, 7, 8, 9, 10), (11, 12))),
    "services": Part("SERVICES", tuple((code,) for code in range(1, 9))),
    "outpatient": Part("SERVICES", ((1, 2, 3, 4, 5), (6, 7, 8))),
    "employ": Part("EMPLOY", ((-9,), (1,), (2,), (3,), (4,))),
    "outside": Part("EMPLOY", ((-9, 1, 2, 3), (4,))),
    "court": Part("PSOURCE", ((-9, 1, 2, 3, 4, 5, 6), (7,))),
    "idle": Part("DETNLF", ((-9,), (1, 2, 3, 4, 5))),
    "sentenced": Part("DETCRIM", ((-9,), (1, 2, 3, 4, 5, 6, 7, 8))),
    "arrests_known": Part("ARRESTS", ((-9,), (0, 1, 2))),
    "gender": Part("GENDER", ((-9,), (1,), (2,))),
    "race": Part("RACE", ((-9,), *((code,) for code in range(1, 10)))),
    "hlthins": Part("HLTHINS", ((-9,), (1,), (2,), (3,), (4,))),
    "general": Part("_general", ((0,), (1,))),
    "injects1": Part("ROUTE1", ((-9, 1, 2, 3, 5), (4,))),
    "injects": Part("_injects", ((0,), (1,))),
    "present1_d": Part("SUB1_D", ((-9, 1), tuple(range(2, 20)))),
    "present2_d": Part("SUB2_D", ((-9, 1), tuple(range(2, 20)))),
    "present3_d": Part("SUB3_D", ((-9, 1), tuple(range(2, 20)))),
    "present2": Part("SUB2", ((-9, 1), tuple(range(2, 20)))),
    "present3": Part("SUB3", ((-9, 1), tuple(range(2, 20)))),
    "freq1": Part("FREQ1", ((-9,), (1,), (2,), (3,))),
    "freq2": Part("FREQ2", ((-9,), (1,), (2,), (3,))),
    "freq3": Part("FREQ3", ((-9,), (1,), (2,), (3,))),
    "outside_d": Part("EMPLOY_D", ((-9, 1, 2, 3), (4,))),
    "detnlf": Part("DETNLF", ((-9,), (1,), (2,), (3,), (4,), (5,))),
    "livarag": Part("LIVARAG", ((-9,), (1,), (2,), (3,))),
    "arrests": Part("ARRESTS", ((-9,), (0,), (1,), (2,))),
    "self_help": Part("FREQ_ATND_SELF_HELP", ((-9,), (1,), (2,), (3,), (4,), (5,))),
}
"""The parts that keys are made of."""

_LOOKUPS = {name: _lookup(part.groups) for name, part in PARTS.items()}


class Step(NamedTuple):
    """How one variable is cut.

    ``latent`` names the latent number (its own, another's, or none: then a uniform
    number is cut), ``weight`` how much of it is used beside fresh noise.
    """

    variable: str
    keys: tuple
    latent: str | None = None
    weight: float = 1.0


def _own(variable, *keys):
    return Step(variable, keys, variable)


STEPS = (
    _own("SUB1"),
    _own("SERVICES", "drug"),
    _own("METHUSE", "class", "outpatient"),
    _own("AGE", "none", "drug"),
    Step("GENDER", ("general", "drug")),
    Step("PREG", ("gender", "age")),
    _own("RACE", "none"),
    _own("ETHNIC", "none", "race"),
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
    "STATE",
    *(step.variable for step in STEPS if step.latent == step.variable),
    "DISCHARGE",
)
"""The correlated latent normal numbers."""


def key_size(step):
    """Return how many different keys a step has."""
    return int(np.prod([len(PARTS[name].groups) for name in step.keys], dtype=int))


def key_levels(step):
    """Return, for every key of a step, the level of each of its parts."""
    shape = [len(PARTS[name].groups) for name in step.keys]
    grid = np.indices(shape).reshape(len(shape), -1)
    return dict(zip(step.keys, grid, strict=True))


def find_keys(step, columns):
    """Return the key of every row: a mixed-radix number of its parts' levels."""
    key = None
    for name in step.keys:
        part = PARTS[name]
        level = _LOOKUPS[name][columns[part.column] + np.int8(_SHIFT)]
        key = level if key is None else key * np.int16(len(part.groups)) + level
    return key


def cut(values, key, cuts):
    """Return the number of cuts that lie below each value, given its key."""
    if key is None:
        return np.searchsorted(cuts[0], values).astype(np.int8)
    place = np.zeros(len(values), np.int8)
    for column in range(cuts.shape[1]):
        place += values > cuts[:, column][key]
    return place


def add_derived(variable, columns):
    """Add, after a step, what later keys need or what follows by rule."""
    if variable == "METHUSE":
        sub1 = columns["SUB1"]
        columns["_general"] = (
            (columns["SERVICES"] >= 6)
            & (sub1 > 0)
            & ((sub1 < 5) | (sub1 > 7))
            & (columns["METHUSE"] == 2)
        ).astype(np.int8)
    elif variable == "ROUTE2":
        columns["_injects"] = (
            (columns["ROUTE1"] == 4) | (columns["ROUTE2"] == 4)
        ).astype(np.int8)
    elif variable == "SUB3_D":
        # The key does not see which substances the others are: none is named twice.
        third = columns["SUB3_D"]
        again = (third > 1) & (
            (third == columns["SUB1_D"]) | (third == columns["SUB2_D"])
        )
        third[again] = 1


def add_flags(year, columns):
    """Add the 18 flags, ALCDRUG and IDU: they follow from the substances."""
    substances = [columns[f"SUB{place}"] for place in (1, 2, 3)]
    for flag, code in FLAGS.items():
        named = substances[0] == code
        for substance in substances[1:]:
            named |= substance == code
        columns[flag] = named.astype(np.int8)
    other = np.zeros(len(substances[0]), bool)
    for substance in substances:
        other |= substance > 2
    columns["ALCDRUG"] = columns["ALCFLG"] + 2 * other.astype(np.int8)
    routes = [columns[f"ROUTE{place}"] for place in (1, 2, 3)]
    injected = (routes[0] == 4) | (routes[1] == 4) | (routes[2] == 4)
    if year in (2017, 2018):
        # In these two files IDU is 0 only where all three routes are known.
        known = (routes[0] > 0) & (routes[1] > 0) & (routes[2] > 0)
    else:
        known = substances[0] > 1
    columns["IDU"] = np.where(
        injected, np.int8(1), np.where(known, np.int8(0), np.int8(-9))
    )


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


def state_bounds(order, counts):
    """Return where each state lies on the scale of the latent number of states.

    Parameters
    ----------
    order : array of int
        Places of the states, from most to least completion.
    counts : array
        Rows of each state, in the order of the file.

    Returns
    -------
    tuple of two arrays
        Lower bound and width of each state, as shares.
    """
    shares = counts / counts.sum()
    low = np.zeros(len(counts))
    low[order] = np.cumsum(shares[order]) - shares[order]
    return low, shares


def draw_features(parameters, year, place, bounds, rng, fit=None):
    """Draw everything of some rows that comes before the reason for discharge.

    Parameters
    ----------
    parameters : dict
        See `read_parameters`.
    year : int
    place : array of int8, shape (n,)
        State of each row, as its place in the order of the file.
    bounds : tuple of two arrays
        See `state_bounds`.
    rng : numpy.random.Generator
    fit : callable, optional
        Called with (step, values, key, columns), returns the cuts: the way in for
        ``tools/fit_twin.py``.

    Returns
    -------
    dict of str to array of int8
    """
    n = len(place)
    low, width = bounds
    share = low[place] + width[place] * rng.random(n)
    normal = rng.standard_normal((len(LATENTS) - 1, n), dtype=np.float32)
    mixing = parameters["mixing"]
    state = ndtri(np.clip(share, 1e-6, 1 - 1e-6)).astype(np.float32)
    latent = {}
    # Added up one by one, not by a matrix product: the order of the sums, and so the
    # last bit, must not depend on the machine's linear algebra.
    for row, name in enumerate(LATENTS[1:], 1):
        total = state * mixing[row, 0]
        for column in range(1, row + 1):
            if mixing[row, column]:
                total += normal[column - 1] * mixing[row, column]
        latent[name] = total
    columns = {}
    for step in STEPS:
        if step.latent is None:
            values = rng.random(n, dtype=np.float32)
        elif step.weight == 1:
            values = latent[step.latent]
        else:
            rest = np.float32(np.sqrt(1 - step.weight**2))
            values = latent[step.latent] * np.float32(step.weight)
            values += rng.standard_normal(n, dtype=np.float32) * rest
        key = find_keys(step, columns)
        if fit is None:
            cuts = parameters["cuts"][step.variable]
            codes = parameters["codes"][step.variable]
        else:
            codes, cuts = fit(step, values, key, columns)
        columns[step.variable] = codes[cut(values, key, cuts)]
        add_derived(step.variable, columns)
    add_flags(year, columns)
    return columns


# ------------------------------------------------------------------ the sample


def _check(year, rows, seed, noprior):
    """Return the parameters of a sample as plain ints, or raise."""

    def whole(value):
        return isinstance(value, int | np.integer) and not isinstance(value, bool)

    if not whole(year) or year not in YEARS:
        raise InputError(
            f"the twin's year must be one of {', '.join(map(str, YEARS))} (the years"
            f" with a complete codebook), not {year!r}"
        )
    if rows is not None and (not whole(rows) or not 1 <= rows <= 8_999_999):
        raise InputError(
            "rows must be a whole number from 1 to 8,999,999, or None for as many as"
            f" the official file has, not {rows!r}"
        )
    if not whole(seed) or seed < 0:
        raise InputError(f"seed must be a whole number from 0 up, not {seed!r}")
    if noprior not in ("0-1", "0-5"):
        raise InputError(f'noprior must be "0-1" or "0-5", not {noprior!r}')
    size = codebook.size(int(year))
    return int(year), size if rows is None else int(rows), int(seed)


def sample(year=2018, rows=None, seed=33, *, noprior="0-1"):
    """Return made-up records of a year, in the form of the official file.

    Parameters
    ----------
    year : int
        2015 to 2019.
    rows : int, optional
        None: as many as the official file has, with every state's and every service's
        counts of REASON as published.  Any other number: that many independent draws.
        A smaller sample is not the beginning of a larger one.
    seed : int
        The same year, rows and seed give the same records, on every machine.
    noprior : {"0-1", "0-5"}
        How NOPRIOR counts earlier treatment episodes: 0 or 1 and more (the files from
        2015 on), or 0 to 5 and more (the files up to 2014; made up by our guess).

    Returns
    -------
    pandas.DataFrame
        The 76 columns of 2017-2020 in the official order, ordered by state as the
        official files are; -9 is missing.  ``attrs`` say that it is synthetic.

    Raises
    ------
    InputError
        For a year, rows, seed or coding that cannot be used.

    Notes
    -----
    Taught in ``d01_how_real_is_the_twin``, which also lists what the twin cannot be
    used for.

    Examples
    --------
    >>> records = sample(2018, rows=1000)
    >>> records.shape
    (1000, 76)
    >>> records.attrs["synthetic"]
    True
    """
    year, n, seed = _check(year, rows, seed, noprior)
    parameters = read_parameters(year)
    whole = n == codebook.size(year)
    roots = np.random.SeedSequence([seed, year, n]).spawn(2 + -(-n // CHUNK))
    rng = np.random.Generator(np.random.PCG64(roots[0]))
    states = read_states()
    codes, frequencies = margin(year, "STFIPS")
    lookup = {int(row["STFIPS"]): place for place, row in enumerate(states)}
    official = np.zeros(N_STATES, np.int64)
    for code, frequency in zip(codes, frequencies, strict=True):
        official[lookup[int(code)]] = frequency
    counts = official if whole else rng.multinomial(n, official / official.sum())
    place = np.repeat(np.arange(N_STATES, dtype=np.int8), counts)
    bounds = state_bounds(parameters["order"], official)

    names = [name for name in codebook.COLUMNS if name not in codebook.OPEN]
    out = {name: np.empty(n, np.int8) for name in names if name != "DISYR"}
    score = np.empty(n, np.int16)
    group = np.empty(n, np.int8)
    kind = np.empty(n, np.int8)
    for chunk, root in enumerate(roots[2:]):
        rows_here = slice(chunk * CHUNK, min(n, (chunk + 1) * CHUNK))
        columns = draw_features(
            parameters,
            year,
            place[rows_here],
            bounds,
            np.random.Generator(np.random.PCG64(root)),
        )
        group[rows_here], class_here = find_groups(columns)
        kind[rows_here] = find_endings(columns)
        score[rows_here] = add_up(parameters, columns, class_here)
        for name, values in columns.items():
            if name in out:
                out[name][rows_here] = values
    out["REASON"] = draw_reason(
        parameters,
        np.random.Generator(np.random.PCG64(roots[1])),
        score,
        place,
        out["SERVICES"] - np.int8(1),
        group,
        kind,
        read_targets(year) if whole else None,
    )
    for name, dtype in (
        ("STFIPS", np.int8),
        ("DIVISION", np.int8),
        ("REGION", np.int8),
    ):
        out[name] = np.array([int(row[name]) for row in states], dtype)[place]
    out["DISYR"] = np.full(n, year, np.int16)
    # A random number of seven digits, each once: 11 digits with the year.
    out["CASEID"] = rng.permutation(n) + (year * 10_000_000 + 1_000_000)
    out["CBSA2010"] = _draw_areas(year, n, counts, rng)
    if noprior == "0-5":
        out["NOPRIOR"] = _split_prior(parameters, out, rng)
    frame = pd.DataFrame({name: out[name] for name in codebook.COLUMNS}, copy=False)
    frame.attrs = {
        "data": "twin",
        "years": [year],
        "synthetic": True,
        "sha256": None,
        "rows_in_file": n,
    }
    return frame


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


def _draw_areas(year, n, counts, rng):
    """Return CBSA2010: missing as often as in the year's file, else one of the state's.

    Only the state's largest areas are used, each as often as the next.
    """
    table = codebook.frequencies(year).query("variable == 'CBSA2010' and code == -9")
    missing = int(table.frequency.iloc[0]) / codebook.size(year)
    areas = np.empty(n, np.int32)
    start = 0
    for row, count in zip(read_states(), counts, strict=True):
        choices = np.array([int(code) for code in row["areas"].split("|")], np.int32)
        areas[start : start + count] = choices[rng.integers(0, len(choices), count)]
        start += count
    if n == codebook.size(year):
        hidden = rng.permutation(n)[: int(table.frequency.iloc[0])]
    else:
        hidden = rng.random(n) < missing
    areas[hidden] = codebook.MISSING
    return areas


# Of people with earlier episodes: how many had 1, 2, 3, 4, and 5 or more.  Our guess,
# from reports on the years that still counted; older people and those with opioids
# have more.  No file of 2015 or later can confirm it.
_PRIOR = np.array([0.35, 0.21, 0.13, 0.08, 0.23])


def _split_prior(parameters, columns, rng):
    """Return NOPRIOR in the older coding: 0 to 4, and 5 for five or more."""
    noprior = columns["NOPRIOR"].copy()
    some = np.flatnonzero(noprior == 1)
    age = columns["AGE"][some]
    sub1 = columns["SUB1"][some]
    tilt = np.clip((age - 6) // 2, -2, 2) + 2 * ((sub1 >= 5) & (sub1 <= 7))
    tilt -= 2 * (sub1 == 4)
    levels = np.arange(-4, 5)
    shares = _PRIOR * np.exp(0.18 * levels[:, None] * (np.arange(5) - 2))
    below = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    drawn = rng.random(len(some))
    number = np.ones(len(some), np.int8)
    for column in range(4):
        number += drawn >= below[:, column][tilt + 4]
    noprior[some] = number
    return noprior


# ------------------------------------------------------------------ how real is it


def _year_of(records):
    """Return the one year of discharge of a frame, or raise."""
    years = np.unique(records["DISYR"])
    if len(years) != 1 or years[0] not in YEARS:
        raise InputError(
            f"records must all be of one year of {YEARS[0]} to {YEARS[-1]}, not"
            f" {', '.join(map(str, years))}"
        )
    return int(years[0])


def check_structure(records):
    """Return how many records break each rule of the file's structure.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of one year, twin or real, with all 76 columns.

    Returns
    -------
    pandas.DataFrame
        Columns ``rule`` and ``broken`` (number of records).

    Examples
    --------
    >>> int(check_structure(sample(2019, rows=2000)).broken.sum())
    0
    """
    year = _year_of(records)
    columns = {name: records[name].to_numpy() for name in records.columns}
    broken = {}
    for end, when in (("", "at admission"), ("_D", "at discharge")):
        one, two, three = (columns[f"SUB{place}{end}"] for place in (1, 2, 3))
        twice = ((one == two) & (one > 1)) | ((two == three) & (two > 1))
        twice |= (one == three) & (one > 1)
        broken[f"no substance is named twice {when}"] = twice
        after = ((one <= 1) & (two > 1)) | ((two <= 1) & (three > 1))
        broken[f"no substance follows where none is named {when}"] = after
    for place in (1, 2, 3):
        nobody = columns[f"SUB{place}"] <= 1
        said = np.zeros(len(nobody), bool)
        for name in ("ROUTE", "FREQ", "FRSTUSE"):
            said |= columns[f"{name}{place}"] != codebook.MISSING
        broken[f"no route, frequency or first use without SUB{place}"] = nobody & said
        nobody = columns[f"SUB{place}_D"] <= 1
        said = columns[f"FREQ{place}_D"] != codebook.MISSING
        broken[f"no frequency at discharge without SUB{place}_D"] = nobody & said
    follows = {name: columns[name] for name in columns}
    add_flags(year, follows)
    wrong = np.zeros(len(records), bool)
    for flag in FLAGS:
        wrong |= follows[flag] != columns[flag]
    broken["the 18 flags say what SUB1 to SUB3 say"] = wrong
    broken["ALCDRUG follows from the substances"] = (
        follows["ALCDRUG"] != columns["ALCDRUG"]
    )
    broken["IDU follows from the routes"] = follows["IDU"] != columns["IDU"]
    for name, condition, words in (
        ("PREG", columns["GENDER"] == 2, "PREG only for women"),
        ("DETNLF", columns["EMPLOY"] == 4, "DETNLF only where EMPLOY is 4"),
        ("DETNLF_D", columns["EMPLOY_D"] == 4, "DETNLF_D only where EMPLOY_D is 4"),
        ("DETCRIM", columns["PSOURCE"] == 7, "DETCRIM only where PSOURCE is 7"),
    ):
        broken[words] = ~condition & (columns[name] != codebook.MISSING)
    latest = np.array([0, 2, 3, 4, 5, 6, 7])[np.clip(columns["AGE"], 0, 6)]
    early = np.zeros(len(records), bool)
    for place in (1, 2, 3):
        early |= columns[f"FRSTUSE{place}"] > latest
    broken["no first use at an age not reached yet"] = early
    by_state = {int(row["STFIPS"]): row for row in read_states()}
    for name in ("DIVISION", "REGION"):
        known = {code: int(row[name]) for code, row in by_state.items()}
        broken[f"{name} is that of the state"] = (
            records["STFIPS"].map(known).to_numpy() != columns[name]
        )
    strange = np.zeros(len(records), bool)
    for name, part in codebook.frequencies(year).groupby("variable"):
        if name in codebook.COLUMNS and name not in codebook.OPEN:
            strange |= ~np.isin(columns[name], part.code)
    broken["every code is in the year's codebook"] = strange
    broken["CASEID is the year and seven digits, each once"] = (
        columns["CASEID"] // 10_000_000 != year
    ) | records["CASEID"].duplicated().to_numpy()
    return pd.DataFrame(
        {"rule": list(broken), "broken": [int(rows.sum()) for rows in broken.values()]}
    )


def compare_margins(records):
    """Return how far every variable's shares are from the year's codebook.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of one year.

    Returns
    -------
    pandas.DataFrame
        One row a variable: ``variable``, ``distance`` (total variation: half the sum
        of the absolute differences of shares), ``chance`` (what independent rows drawn
        from the codebook's own shares would show on average) and ``worst`` (the code
        that is furthest off).
    """
    year = _year_of(records)
    rows = []
    for name in codebook.COLUMNS:
        if name in codebook.OPEN:
            continue
        if name == "DISYR":
            codes, counts = np.array([year]), np.array([1])
        else:
            codes, counts = margin(year, name)
        shares = counts / counts.sum()
        place = {int(code): index for index, code in enumerate(codes)}
        have = np.zeros(len(codes) + 1)
        for code, count in records[name].value_counts().items():
            have[place.get(int(code), -1)] += count / len(records)
        gap = np.abs(have[:-1] - shares)
        chance = np.sqrt(2 * shares * (1 - shares) / np.pi / len(records)).sum() / 2
        distance = (gap.sum() + have[-1]) / 2
        rows.append((name, distance, chance, int(codes[gap.argmax()])))
    return pd.DataFrame(rows, columns=["variable", "distance", "chance", "worst"])


def read_correlations():
    """Return the published Pearson correlations of 29 variables in 2019.

    On raw codes, -9 included; three decimals.
    """
    return pd.read_csv(data_file("twin/correlations_2019.csv"), index_col=0)


def compare_completion(records):
    """Return completion by age, sex and substance, beside that of 2023.

    The twin is not fitted to the table of 2023 (completion of 1,474,025 real
    discharges), so the gaps tell how far its guesses hold; the years differ too.

    Parameters
    ----------
    records : pandas.DataFrame
        With AGE, GENDER, SUB1 and REASON.

    Returns
    -------
    pandas.DataFrame
        Columns ``variable``, ``code``, ``rows`` and ``share`` (of these records),
        ``real`` (share in 2023) and ``real_rows``.
    """
    table = pd.read_csv(data_file("twin/completion_2023.csv"))
    table = table.rename(columns={"completed": "real", "rows": "real_rows"})
    done = records["REASON"] == 1
    found = [
        done.groupby(records[name])
        .agg(rows="size", share="mean")
        .reset_index(names="code")
        for name in table["variable"].unique()
    ]
    keys = table["variable"].unique()
    found = pd.concat(found, keys=keys, names=["variable", None])
    found = found.reset_index("variable")
    joined = table.merge(found, how="left", on=["variable", "code"])
    return joined[["variable", "code", "rows", "share", "real", "real_rows"]]


def compare_correlations(records):
    """Return the records' correlations less the published ones of 2019, 29 by 29."""
    wanted = read_correlations()
    names = list(wanted.index)
    middle = records[names].mean().to_numpy()
    total = np.zeros((len(names), len(names)))
    for start in range(0, len(records), CHUNK):  # no copy of the whole table
        part = records[names].iloc[start : start + CHUNK].to_numpy(float) - middle
        total += part.T @ part
    spread = np.sqrt(np.diag(total))
    have = pd.DataFrame(total / np.outer(spread, spread), names, names)
    return have - wanted


def compare_reasons(records, by="STFIPS"):
    """Return the reasons for discharge within each state or service, and the targets.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of one year.
    by : {"STFIPS", "SERVICES"}

    Returns
    -------
    pandas.DataFrame
        Columns ``by``, ``reason``, ``rows``, ``share``, ``target`` and ``gap``: shares
        within the state or service.  The targets are published for the states in 2016
        to 2019 and for the services in 2019; the others are those tables, fitted to the
        year's margins.
    """
    if by not in ("STFIPS", "SERVICES"):
        raise InputError(f'by must be "STFIPS" or "SERVICES", not {by!r}')
    year = _year_of(records)
    table = read_targets(year)[0 if by == "STFIPS" else 1]
    if by == "STFIPS":
        index = [int(row["STFIPS"]) for row in read_states()]
    else:
        index = list(range(1, N_SERVICES + 1))
    wanted = pd.DataFrame(table, index, range(1, 8))
    wanted = wanted[wanted.sum(axis=1) > 0]
    have = pd.crosstab(records[by], records["REASON"])
    have = have.reindex(index=wanted.index, columns=wanted.columns, fill_value=0)
    share = have.div(have.sum(axis=1).clip(lower=1), axis=0)
    target = wanted.div(wanted.sum(axis=1), axis=0)
    result = pd.DataFrame(
        {
            "by": np.repeat(wanted.index.to_numpy(), 7),
            "reason": np.tile(np.arange(1, 8), len(wanted)),
            "rows": have.to_numpy().ravel(),
            "share": share.to_numpy().ravel(),
            "target": target.to_numpy().ravel(),
        }
    )
    result["gap"] = result.share - result.target
    return result


def count_bytes(records):
    """Return how long the official CSV file of these records would be, in bytes.

    Plain header, commas, whole numbers, CR LF: the form of the agency's files.
    """
    length = len(",".join(records.columns)) + 2
    length += len(records) * (len(records.columns) - 1 + 2)
    for name in records.columns:
        if name == "CASEID":
            powers = 10 ** np.arange(1, 19)
            digits = np.searchsorted(powers, records[name].to_numpy(), "right") + 1
            length += int(digits.sum())
            continue
        for code, count in records[name].value_counts().items():
            length += len(str(int(code))) * int(count)
    return length
