"""The synthetic twin of TEDS-D: made-up records in the form of the file.

No row of the twin is a person, and none is copied from a real file.  The rows are drawn
from some 25,000 fitted numbers a year in ``data/twin``, which ``tools/fit_twin.py``
worked out from published tables only: the codebooks' frequencies, the correlations of
29 variables, completion by state and by service, and the sizes of two cohorts.

How a record is drawn:

1. The state comes first.  A latent normal number hangs on it.
2. Twenty-seven more latent numbers follow, correlated with it and with each other.
3. Each variable is cut from its latent number, in a fixed order.  Where the cuts lie
   depends on what is already known of the record (the *key*): no injected alcohol, no
   first use at an age not reached yet, no substance named twice.
4. Flags, groups and regions are worked out from the rest.
5. The reason for discharge comes last, from a score with interactions of two and three
   variables, with the state, the service and the cohort.

Taught in ``d01_how_real_is_the_twin``.
"""

import numpy as np
import pandas as pd
from scipy.special import ndtri

from sudlib.files import InputError
from sudlib.teds import codebook
from sudlib.twin.completion import (
    N_STATES,
    add_up,
    draw_reason,
    find_endings,
    find_groups,
)
from sudlib.twin.parameters import margin, read_parameters, read_states, read_targets
from sudlib.twin.specification import FLAGS, LATENTS, STEPS, YEARS, find_keys

CHUNK = 65_536  # rows drawn at a time: the working arrays stay in the cache


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
    # A made-up case can be told by its number, whatever becomes of the file's name.
    out["CASEID"] = rng.permutation(n) + (year * 10_000_000 + codebook.SYNTHETIC_CASES)
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
