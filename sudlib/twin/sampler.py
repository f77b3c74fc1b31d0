"""The synthetic twin of TEDS-D: made-up records in the form of the file.

No row of the twin is a person, and none is copied from a real file.  The rows are drawn
from some 25,000 fitted numbers a year in ``data/twin``, which ``tools/fit_twin.py``
worked out from published tables only: the codebooks' frequencies, the correlations of
29 variables, completion by state and by service, the sizes of two cohorts, and what
others printed from the real files (see ``data/README.md``).

How a record is drawn:

1. The state comes first, and in a few states and years whether the record is one of
   many that were closed in bulk, nearly all as completed and with few answers.
2. Twenty-seven latent normal numbers follow, correlated with each other, whose means
   are the state's own.
3. Each variable is cut from its latent number, in a fixed order.  Where the cuts lie
   depends on what is already known of the record (the *key*): the state for substance,
   service, sex and race; no injected alcohol, no first use at an age not reached yet,
   no substance named twice.
4. Flags, groups and regions are worked out from the rest.
5. The reason for discharge comes last, from a score with the state, the service, the
   cohort and one of several mechanisms (see ``MECHANISMS``).

Taught in ``d01_how_real_is_the_twin``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sudlib.origin import SYNTHETIC_CASES, label
from sudlib.teds import codebook
from sudlib.twin.completion import (
    MECHANISMS,
    N_STATES,
    Ints,
    add_up,
    find_groups,
)
from sudlib.twin.parameters import margin, read_parameters, read_states, read_targets
from sudlib.twin.reasons import draw_reason, find_kinds
from sudlib.twin.specification import LATENTS, PARTS, STEPS, YEARS, find_cells
from sudlib.validation import check_choice, check_number, check_whole

CHUNK = 65_536  # rows drawn at a time: the working arrays stay in the cache


MAX_ROWS = 10_000_000 - SYNTHETIC_CASES  # case numbers have seven digits

Codes = dict[str, NDArray[np.int8]]


def cut(
    values: NDArray[np.float32],
    key: NDArray[np.int16] | None,
    cuts: NDArray[np.float32],
) -> NDArray[np.int8]:
    """Return the number of cuts that lie below each value, given its key."""
    if key is None:
        return np.searchsorted(cuts[0], values).astype(np.int8)
    below = np.zeros(len(values), np.int8)
    for column in cuts.T:
        below += values > column[key]
    return below


def add_derived(variable: str, columns: Codes) -> None:
    """Add, after a step, what later keys need or what follows by rule."""
    sub1 = columns["SUB1"]
    if variable == "METHUSE":
        outpatient = (columns["SERVICES"] >= 6) & (columns["METHUSE"] == 2)
        opioid_or_none = (sub1 <= 0) | ((sub1 >= 5) & (sub1 <= 7))
        columns["_general"] = (outpatient & ~opioid_or_none).astype(np.int8)
    elif variable == "ROUTE2":
        injects = (columns["ROUTE1"] == 4) | (columns["ROUTE2"] == 4)
        columns["_injects"] = injects.astype(np.int8)
    elif variable == "SUB3_D":
        # The key does not see which substances the others are: none is named twice.
        third = columns["SUB3_D"]
        again = (third == columns["SUB1_D"]) | (third == columns["SUB2_D"])
        third[again & (third > 1)] = 1


def add_flags(year: int, columns: Codes) -> None:
    """Add the 18 flags, ALCDRUG and IDU: they follow from the substances."""
    substances = np.array([columns[f"SUB{place}"] for place in (1, 2, 3)])
    routes = np.array([columns[f"ROUTE{place}"] for place in (1, 2, 3)])
    for flag, code in codebook.FLAGS.items():
        columns[flag] = (substances == code).any(axis=0).astype(np.int8)
    other = (substances > 2).any(axis=0).astype(np.int8)
    columns["ALCDRUG"] = columns["ALCFLG"] + 2 * other
    if year in (2017, 2018):
        # In these two files IDU is 0 only where all three routes are known.
        known = (routes > 0).all(axis=0)
    else:
        known = substances[0] > 1
    injected = (routes == 4).any(axis=0)
    columns["IDU"] = np.where(injected, 1, np.where(known, 0, -9)).astype(np.int8)


def draw_features(
    parameters: dict[str, Any],
    year: int,
    place: NDArray[np.int8],
    rng: np.random.Generator,
    fit: Callable[..., tuple[Any, Any]] | None = None,
) -> Codes:
    """Draw everything of some rows that comes before the reason for discharge.

    Parameters
    ----------
    parameters : dict
        See `read_parameters`.
    year : int
        2015 to 2019.
    place : array of int8, shape (n,)
        State of each row, as its position in the order of the file.
    rng : numpy.random.Generator
    fit : callable, optional
        Called with (step, values, key, columns), returns codes and cuts: the way in
        for ``tools/fit_twin.py``.

    Returns
    -------
    dict of str to array of int8
    """
    n = len(place)
    closed = rng.random(n, dtype=np.float32) < parameters["closed"][place]
    normal = rng.standard_normal((len(LATENTS), n), dtype=np.float32)
    mixing, means = parameters["mixing"], parameters["means"]
    latent = {}
    # Added up one by one, not by a matrix product: the order of the sums, and so the
    # last bit, must not depend on the machine's linear algebra.
    for row, name in enumerate(LATENTS):
        total = means[row][place]
        for column in range(row + 1):
            if mixing[row, column]:
                total += normal[column] * mixing[row, column]
        if parameters["shift"][row]:
            total[closed] += parameters["shift"][row]
        latent[name] = total
    columns: Codes = {"_place": place, "_closed": closed.astype(np.int8)}
    for step in STEPS:
        if step.latent is None:
            values = rng.random(n, dtype=np.float32)
        elif step.weight == 1:
            values = latent[step.latent]
        else:
            rest = np.float32(np.sqrt(1 - step.weight**2))
            values = latent[step.latent] * np.float32(step.weight)
            values += rng.standard_normal(n, dtype=np.float32) * rest
        parts = [PARTS[name] for name in step.keys]
        key = find_cells(parts, columns) if parts else None
        if fit is None:
            codes, cuts = (
                parameters[name][step.variable] for name in ("codes", "cuts")
            )
        else:
            codes, cuts = fit(step, values, key, columns)
        columns[step.variable] = codes[cut(values, key, cuts)]
        add_derived(step.variable, columns)
    add_flags(year, columns)
    return columns


def sample(
    year: int = 2018,
    rows: int | None = None,
    seed: int = 33,
    *,
    noprior: str = "0-1",
    mechanism: str = "pairs",
    similarity: float = 1.0,
) -> pd.DataFrame:
    """Return made-up records of a year, in the form of the official file.

    Parameters
    ----------
    year : int, default=2018
        2015 to 2019.
    rows : int, optional
        At most 2,000,000.  None: as many as the official file has, with every state's
        and every service's counts of REASON as published.  Any other number: that many
        independent draws.
        A smaller sample is not the beginning of a larger one.
    seed : int, default=33
        The same year, rows and seed give the same records, on every machine.
    noprior : {"0-1", "0-5"}, default="0-1"
        How NOPRIOR counts earlier treatment episodes: 0 or 1 and more (the files from
        2015 on), or 0 to 5 and more (the files up to 2014; made up by our guess).
    mechanism : {"additive", "pairs", "smooth", "trees", "tables"}, default="pairs"
        How completion depends on what is known of a person, beside state, service and
        substance: code by code; with effects of pairs; over a smooth surface; by small
        trees; or by tables of two and three variables without any order.  The people
        are the same, and so are the totals.
    similarity : float, default=1.0
        How far completion with other opioids than heroin comes about as with heroin:
        about the correlation of the two log odds, over people, states and services. 1,
        wholly alike; 0, not at all, so that states that complete one complete the other
        no more often than chance.

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
    year = int(check_choice("year", year, YEARS))
    rows = check_whole(
        "rows", rows, 1, MAX_ROWS, none="as many as the official file has"
    )
    seed = check_whole("seed", seed)
    check_choice("noprior", noprior, ("0-1", "0-5"))
    check_choice("mechanism", mechanism, tuple(MECHANISMS))
    similarity = check_number("similarity", similarity, 0, 1)
    n = codebook.size(year) if rows is None else rows
    whole = n == codebook.size(year)
    parameters, states = read_parameters(year, mechanism), read_states()
    roots = np.random.SeedSequence([seed, year, n]).spawn(2 + -(-n // CHUNK))
    rng, rng_of_reason, *rngs = (
        np.random.Generator(np.random.PCG64(root)) for root in roots
    )
    frequencies = dict(zip(*margin(year, "STFIPS"), strict=True))
    official = np.array([frequencies.get(int(row["STFIPS"]), 0) for row in states])
    counts = official if whole else rng.multinomial(n, official / official.sum())
    place = np.repeat(np.arange(N_STATES, dtype=np.int8), counts)

    out = {name: np.empty(n, codebook.dtype(name)) for name in codebook.COLUMNS}
    for name in ("STFIPS", "DIVISION", "REGION"):
        out[name] = np.array([int(row[name]) for row in states], np.int8)[place]
    score, group, kind = (np.empty(n, each) for each in (np.int16, np.int8, np.int8))
    for chunk, rng_of_chunk in enumerate(rngs):
        here = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        columns = draw_features(parameters, year, place[here], rng_of_chunk)
        group[here], strength_class = find_groups(columns)
        columns["DIVISION"] = out["DIVISION"][here]
        kind[here] = find_kinds(parameters["leaving"], columns)
        score[here] = add_up(parameters, columns, strength_class, similarity)
        for name in out.keys() & columns.keys():
            out[name][here] = columns[name]
    out["REASON"] = draw_reason(
        parameters,
        rng_of_reason,
        score,
        place,
        out["SERVICES"] - np.int8(1),
        group,
        kind,
        read_targets(year) if whole else None,
    )
    out["DISYR"][:] = year
    # A random number of seven digits, each once: 11 digits with the year.
    # A made-up case can be told by its number, whatever becomes of the file's name.
    out["CASEID"] = rng.permutation(n) + (year * 10_000_000 + SYNTHETIC_CASES)
    out["CBSA2010"] = _draw_areas(year, counts, rng)
    if noprior == "0-5":
        out["NOPRIOR"] = _split_prior(out, rng)
    frame = pd.DataFrame(out, copy=False)
    frame.attrs = label("twin", n, years=[year])
    return frame


def _draw_areas(year: int, counts: Ints, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return CBSA2010: missing as often as in the year's file, else one of the state's.

    Only the state's largest areas are used, each as often as the next.
    """
    table = codebook.frequencies(year).query("variable == 'CBSA2010' and code == -9")
    missing, size = int(table.frequency.iloc[0]), codebook.size(year)
    areas = np.concatenate(
        [
            rng.choice(np.array(row["areas"].split("|"), np.int32), count)
            for row, count in zip(read_states(), counts, strict=True)
        ]
    )
    n = len(areas)
    hidden = (
        rng.permutation(n)[:missing] if n == size else rng.random(n) < missing / size
    )
    areas[hidden] = codebook.MISSING
    return areas


# Of people with earlier episodes: how many had 1, 2, 3, 4, and 5 or more.  Our guess,
# from reports on the years that still counted; older people and those with opioids
# have more.  No file of 2015 or later can confirm it.
_PRIOR = np.array([0.35, 0.21, 0.13, 0.08, 0.23])


def _split_prior(columns: Codes, rng: np.random.Generator) -> NDArray[np.int8]:
    """Return NOPRIOR in the older coding: 0 to 4, and 5 for five or more."""
    noprior = columns["NOPRIOR"].copy()
    some = np.flatnonzero(noprior == 1)
    age, sub1 = columns["AGE"][some], columns["SUB1"][some]
    tilt = np.clip((age - 6) // 2, -2, 2) + 2 * ((sub1 >= 5) & (sub1 <= 7))
    tilt -= 2 * (sub1 == 4)
    shares = _PRIOR * np.exp(0.18 * np.arange(-4, 5)[:, None] * (np.arange(5) - 2))
    below = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    drawn = rng.random(len(some))
    noprior[some] = 1 + sum(drawn >= column[tilt + 4] for column in below[:, :4].T)
    return noprior
