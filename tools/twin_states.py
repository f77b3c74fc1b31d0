"""What is known of each state, and how the rest borrow: for ``fit_twin.py``.

The tables of ``make_joints.py`` name some states and not others.  A state that a table
lacks takes the mean of its census division's states, or of all.
"""

import functools

import numpy as np
from scipy.special import expit, logit, ndtri

from sudlib import twin
from sudlib.raking import rake
from sudlib.twin import specification
from sudlib.twin.scorecard import read_real as table

STATES = [int(row["STFIPS"]) for row in twin.read_states()]
DIVISIONS = np.array([int(row["DIVISION"]) for row in twin.read_states()])
USUAL = 0.8  # completion above which a state's year is looked at
ORDERED = ("AGE", "EDUC", "EMPLOY", "LIVARAG", "PRIMINC")
# What the records closed in bulk lack or have: the shares of missing answers that jump
# in the codebook from 2017 to 2018, with Arizona's records.
LACKING = {"LIVARAG": -4.5, "EDUC": -4.5, "EMPLOY": -4.5, "FRSTUSE1": -3.0}
LACKING |= {"PSOURCE": -2.0, "RACE": -1.2, "FREQ1": -1.0, "HLTHINS": 2.5}
LACKING |= {
    "SUB1": -1.0,
    "DISCHARGE": -2.5,
    "METHUSE": 1.0,
    "ARRESTS": -2.2,
    "PRIMPAY": 2.5,
}


# How much states differ in whether they ask, beyond what is known of them: guessed,
# drawn from a seed.  Real forests that do not see the state predict completion almost
# as well as those that do; within one state completion is much harder to predict.
OWN_WAYS = {"DAYWAIT": 0.8, "HLTHINS": 0.5, "PRIMINC": 0.6, "PRIMPAY": 0.8}
OWN_WAYS |= {"DSMCRIT": 0.8, "PSYPROB": 0.9, "ARRESTS": 1.0, "MARSTAT": 1.2}
OWN_WAYS |= {"NOPRIOR": 1.2, "FREQ_ATND_SELF_HELP": 0.8, "METHUSE": 0.5, "FREQ1": 0.6}
OWN_WAYS |= {"PSOURCE": 0.5, "LIVARAG": 0.3, "ETHNIC": 0.4}


def official_rows(year):
    """Return how many rows each state has, in the order of the file."""
    codes, counts = twin.margin(year, "STFIPS")
    known = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    return np.array([known.get(state, 0) for state in STATES])


def completed(year):
    """Return the share of each state's discharges that completed; nan without any."""
    counts = twin.read_targets(year)[0]
    rows = counts.sum(axis=1)
    return np.divide(counts[:, 0], rows, out=np.full(52, np.nan), where=rows > 0)


def closed(year):
    """Return the share of each state's records that were closed in bulk.

    Where completion is far above the state's own usual share, the surplus is taken for
    records that were closed in bulk, as completed.
    """
    shares = np.array([completed(each) for each in twin.YEARS])
    least = np.nanmin(np.where(np.isnan(shares), np.inf, shares), axis=0)
    usual = np.clip(np.where(np.isfinite(least), least, 0.4), 0.2, 0.98)
    now = completed(year)
    surplus = (now - usual) / (1 - usual)
    found = np.where((now > USUAL) & (surplus > 0.2), surplus, 0)
    return np.clip(np.nan_to_num(found), 0, 0.99).astype(np.float32)


def borrow(values, weights=None):
    """Return values with those that are nan taken from the division, or from all."""
    values = np.array(values, float)
    weights = np.ones(52) if weights is None else weights
    known = ~np.isnan(values).reshape(52, -1).any(axis=1)
    everywhere = np.average(values[known], axis=0, weights=weights[known])
    for place in np.flatnonzero(~known):
        near = known & (DIVISIONS == DIVISIONS[place])
        mean = (
            np.average(values[near], axis=0, weights=weights[near]) if near.any() else 0
        )
        pull = near.sum() / (near.sum() + 1.0)
        values[place] = pull * mean + (1 - pull) * everywhere
    return values


def admitted(name):
    """Return the shares of a variable's codes in each state's admissions of 2020."""
    people = table("people_by_state").query("variable == @name")
    codes = sorted(people["code"].unique())
    wide = people.pivot_table(
        index="state", columns="code", values="people", aggfunc="sum", fill_value=0
    )
    wide = wide.reindex(index=STATES, columns=codes).to_numpy(float)
    sums = wide.sum(axis=1)
    few = ~(sums >= 100)
    national = np.nansum(wide, axis=0) / np.nansum(wide)
    shares = (wide + 20 * national) / (sums + 20)[:, None]
    shares[few] = np.nan
    return codes, borrow(shares, np.sqrt(np.nan_to_num(sums) + 1))


def substances(year):
    """Return the share of each state's discharges by SUB1, raked from 2019's table."""
    counts = table("sub1_by_state").set_index("state").reindex(STATES)
    codes, totals = twin.margin(year, "SUB1")
    counts = counts[[str(code) for code in codes]].to_numpy(float)
    rows = official_rows(year)
    if year < 2019:
        # Missing substances came with the records closed in bulk.
        base = counts.copy()
        bulk = closed(year) / np.maximum(closed(2019), 1e-9)
        bulk = np.where(closed(2019) > 0, bulk, 1)
        base[:, 0] *= np.clip(bulk, 0.002, 1)
        counts = base
    counts = borrow(counts / counts.sum(axis=1, keepdims=True), np.sqrt(rows))
    counts = (counts + 1e-5) * rows[:, None]
    return rake(counts, [((0,), rows), ((1,), totals)], max_iter=200)


def outpatient(year):
    """Return people, completions and women of SERVICES_D 7 by state; nan if unknown."""
    known = table("outpatient_by_state").query("year == @year").set_index("state")
    known = known.reindex(STATES)[["people", "completed", "women"]].to_numpy(float)
    return known.T


def women(year):
    """Return the share of women in each state's ordinary outpatient treatment."""
    known = table("outpatient_by_state")
    always = known.groupby("state")[["people", "women"]].sum().reindex(STATES)
    people, _, number = outpatient(year)
    always = (always["women"] / always["people"]).to_numpy()
    there = logit(np.where(people >= 300, number / people, always))
    codes, shares = admitted("GENDER")
    reported = np.isin(STATES, table("people_by_state").query("code == 2").state)
    elsewhere = logit(shares[:, codes.index(2)])
    both = ~np.isnan(there) & reported
    slope, intercept = np.polyfit(elsewhere[both], there[both], 1)
    guessed = np.where(reported, intercept + slope * elsewhere, np.nan)
    return expit(borrow(np.where(np.isnan(there), guessed, there)))


@functools.cache
def usual_outpatient():
    """Return the usual share of completion in ordinary outpatient treatment, by state.

    Where it is not known it is predicted from the state's completion and from how many
    of its people use marijuana, cocaine and methamphetamine: by ridge regression over
    the states that are known, where leaving one out misses it by 6 points, in the
    median by 4.
    """
    known = table("outpatient_by_state").groupby("state")[["people", "completed"]].sum()
    known = known.reindex(STATES)
    share = (known["completed"] / known["people"]).to_numpy()
    mixture = substances(2019)
    mixture = borrow(
        mixture
        / np.where(mixture.sum(axis=1) > 0, mixture.sum(axis=1), np.nan)[:, None]
    )
    codes = twin.margin(2019, "SUB1")[0].tolist()
    overall = borrow(np.nanmean([completed(year) for year in twin.YEARS], axis=0))
    columns = [logit(np.clip(overall, 0.02, 0.98))]
    columns += [mixture[:, codes.index(code)] for code in (4, 3, 10)]
    fit = ~np.isnan(share) & (closed(2019) == 0)
    design = np.column_stack(columns)
    design = (design - design[fit].mean(axis=0)) / design[fit].std(axis=0)
    goal = logit(np.clip(share[fit], 0.02, 0.98))
    inner = design[fit].T @ design[fit] + np.eye(design.shape[1])
    slope = np.linalg.solve(inner, design[fit].T @ (goal - goal.mean()))
    guessed = expit(goal.mean() + np.clip(design, -2.5, 2.5) @ slope)
    return np.where(np.isnan(share), guessed, share), np.isnan(share)


def outpatient_completed(year, rows):
    """Return the share that completes in each state's ordinary outpatient treatment.

    Where it is not known in a year it is the usual one; states without any are then
    shifted together towards the year's table by service.

    Parameters
    ----------
    year : int
    rows : array of int, shape (52, 2)
        Discharges outside and inside SERVICES 7.
    """
    people, done, _ = outpatient(year)
    usual, free = usual_outpatient()
    known = people >= 50
    share = np.where(known, done / np.where(known, people, 1), usual)
    by_state, by_service = twin.read_targets(year)
    wanted = by_service[6, 0] * rows[:, 1].sum() / by_service[6].sum()
    fixed = (share * rows[:, 1])[~free].sum()
    # The free states share what is left; shifted together, on the scale of logits.
    low, high = -4.0, 4.0
    for _ in range(50):
        middle = (low + high) / 2
        total = (expit(logit(share[free]) + middle) * rows[free, 1]).sum()
        low, high = (middle, high) if total + fixed < wanted else (low, middle)
    share[free] = expit(logit(share[free]) + np.clip(middle, -0.3, 0.3))
    sums = by_state.sum(axis=1)
    done = by_state[:, 0] * rows.sum(axis=1) / np.maximum(sums, 1)
    there = np.clip(share * rows[:, 1], done - 0.97 * rows[:, 0], 0.98 * done)
    return np.clip(there / np.maximum(rows[:, 1], 1), 0.002, 0.998)


def means(wanted):
    """Return the mean of every latent number in each state.

    Parameters
    ----------
    wanted : pandas.DataFrame
        Published correlations.
    """
    names = specification.LATENTS
    found = np.zeros((len(names), 52))
    usual = borrow(np.where(closed(2019) > 0, completed(2017), completed(2019)))
    rows = official_rows(2019) + 500
    order = np.argsort(-usual, kind="stable")
    place = (np.cumsum(rows[order]) - rows[order] / 2) / rows.sum()
    standing = np.empty(52)
    standing[order] = ndtri(place)
    for row, name in enumerate(names):
        if name in wanted.index and name not in ("SUB1", "SERVICES", "RACE", "ETHNIC"):
            pull = float(np.clip(2.0 * wanted.loc[name, "REASON"], -0.4, 0.4))
            found[row] = pull * standing
        if name in ORDERED:
            codes, shares = admitted(name)
            overall = np.average(shares, axis=0, weights=rows)
            middle = overall @ codes
            spread = np.sqrt(overall @ (np.array(codes) - middle) ** 2)
            own = (shares @ codes - middle) / spread
            found[row] = 0.4 * found[row] + own
    # Only records without a missing answer are in the admissions at hand: how many of
    # a state's they are tells whether it asks about insurance.
    sizes = table("people_by_state").query("variable == 'all'").set_index("state")
    sizes = sizes["people"].reindex(STATES).fillna(0).to_numpy()
    answered = np.clip(sizes / (0.3 * rows), 0.02, 0.9)
    found[names.index("HLTHINS")] += 0.6 * (ndtri(answered) + 0.5)
    rng = np.random.default_rng(2019)
    # Drawn with the published correlations, so that they need not be undone.
    own = [name for name in OWN_WAYS if name in wanted.index]
    values, vectors = np.linalg.eigh(wanted.loc[own, own].to_numpy())
    root = vectors * np.sqrt(np.maximum(values, 0.02))
    drawn = rng.standard_normal((52, len(own))) @ root.T
    drawn = np.clip(drawn, -1.5, 1.5)
    drawn[STATES.index(40)] = 0  # study B's state: nothing is guessed of it
    drawn -= np.average(drawn, axis=0, weights=rows)
    for column, name in zip(drawn.T, own, strict=True):
        found[names.index(name)] += OWN_WAYS[name] * column
    return found.astype(np.float32)


def shift():
    """Return how the latent numbers of records closed in bulk are moved."""
    moved = [LACKING.get(name, 0.0) for name in specification.LATENTS]
    return np.array(moved, np.float32)


def services(levels, codes, year):
    """Return factors on SERVICES by state: states where more complete use more detox.

    Only a little: in the states that are known the share in ordinary outpatient
    treatment hardly goes with completion.
    """
    by_service = twin.read_targets(2019)[1]
    ease = logit(by_service[:, 0] / by_service.sum(axis=1))
    own = np.where(closed(year) > 0, completed(2017), completed(year))
    own = logit(np.clip(np.where(np.isnan(own), 0.4, own), 0.05, 0.95))
    middle = np.average(own, weights=official_rows(year))
    power = 0.25 * np.outer(own - middle, ease - np.average(ease))
    return np.exp(np.clip(power, -3, 3))[levels["state"]]
