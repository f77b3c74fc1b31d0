"""Fit who completes treatment in the twin: the last part of ``fit_twin.py``.

The score for completion has one effect for every code, outside residential services
and three times inside (opioids, alcohol, the rest), tables by substance and service, by
length of stay and by state, and the tables of a mechanism.  It is moved until four
things of the real files come out: who left by level of eleven variables, the
coefficients of two logistic regressions of residential treatment in 2017, completion
there by substance, and the correlations with REASON.  How strong a mechanism is, is set
by how well boosting predicts completion in real discharges.

Last comes who leaves residential treatment among those who do not complete it: effects
of codes that bring out the coefficients of a third regression.
"""

import time

import numpy as np
import pandas as pd
import twin_states
from scipy.special import expit, logit

from sudlib import twin
from sudlib.twin import completion as model
from sudlib.twin import reasons, sampler, scorecard, specification

SEED = 2019
SHARES = np.array([0.3795, 0.2020, 0.20, 310 / 1161])
"""Completion in study A's cohorts: general, methadone, its members with other opioids
(our guess), and other opioids."""

# How the reasons for an unfinished stay differ between kinds of stays: rows are not
# court, court, each with stays of a week, of up to 90 days, longer; columns are REASON
# 2 to 7, in logits.  Guessed; the margins are raked.
SHAPE = np.array(
    [
        [0.2, -0.2, 0.2, -0.3, 0.0, 0.0],
        [0.1, 0.1, -0.1, 0.0, 0.0, 0.0],
        [-0.1, 0.1, 0.0, 0.0, 0.3, 0.1],
        [-0.1, 0.0, 0.1, 0.5, -0.2, 0.1],
        [-0.1, 0.4, -0.1, 0.9, -0.3, 0.0],
        [-0.2, 0.4, -0.1, 0.8, -0.2, 0.1],
    ]
)
# How completion goes with the length of stay, in logits: detoxification, shorter and
# longer residential treatment, outpatient.  Guessed; its size is STAY_FACTOR.
STAY = np.array(
    [
        [
            -1.0,
            0.0,
            0.8,
            0.3,
            0.0,
            -0.2,
            -0.3,
            -0.3,
            -0.4,
            -0.4,
            -0.4,
            -0.4,
            -0.4,
            -0.5,
        ],
        [-2.2, -1.8, -1.3, -0.6, 0.0, 0.5, 1.3, 1.0, 0.6, 0.5, 0.4, 0.3, 0.2, 0.0],
        [-2.2, -2.0, -1.6, -1.1, -0.7, -0.4, 0.2, 0.4, 0.6, 0.9, 1.0, 1.0, 0.8, 0.3],
        [-1.3, -1.3, -1.2, -1.0, -0.8, -0.6, -0.4, -0.2, 0.1, 0.4, 0.7, 0.8, 0.8, 0.3],
    ]
).T
BULK = 7 * model.UNIT  # a record closed in bulk is nearly surely completed
SUBSTANCES = {
    "opioids": (5, 6, 7),
    "alcohol": (2,),
    "cocaine": (3,),
    "methamphetamine": (10,),
    "marijuana": (4,),
}
EXTRA = ("GENDER", "SUB2", "ARRESTS_D", "IDU")
FIXED = ("REASON", "SERVICES", "IDU", "ALCDRUG", "SUB1")
KNOWN = "AGE GENDER RACE PSOURCE EDUC EMPLOY ROUTE1 FREQ1 FRSTUSE1 NOPRIOR".split()
"""The variables for which it is known who left, beside SUB1 and SERVICES."""

FOLLOWED = 0.75
"""How much of the real differences between levels is aimed at: with all of them, and
what other variables add, completion would be easier to predict than it is."""

SPREAD = {"general": 0.6, "methadone": 0.95, "rest": 0.2}
"""Standard deviation of a mechanism's tables, in logits.  Set by hand, not fitted: with
these, the areas of the twin's score card come within 0.03 of those of real discharges
(``data/twin/real_figures.csv``).  A fit takes minutes, so they were tried a few times
and not searched for."""

PULL = {"general": 1.0, "methadone": 1.0, "rest": 1.0}

STAY_FACTOR = 1.4
"""What STAY is multiplied by.  Set by hand, like SPREAD: the length of stay is to weigh
as much in a forest of the twin as in the printed one (its importance in
``data/twin/real_figures.csv``; notebook d01 shows both)."""


def standard(codes, counts):
    """Return codes with mean 0 and standard deviation 1."""
    weight = counts / counts.sum()
    mean = (codes * weight).sum()
    return (codes - mean) / np.sqrt((weight * (codes - mean) ** 2).sum())


class Year:
    """The features of a year, drawn once, with what is expected of their REASON."""

    def __init__(self, parameters, year, share):
        """Draw a share of the official file's rows."""
        rng = np.random.default_rng([SEED, year, 7])
        official = np.rint(twin_states.official_rows(year) * share).astype(int)
        self.year, self.share = year, share
        self.state = np.repeat(np.arange(52, dtype=np.int8), official)
        parts = []
        for start in range(0, len(self.state), sampler.CHUNK):
            here = self.state[start : start + sampler.CHUNK]
            parts.append(sampler.draw_features(parameters, year, here, rng))
        self.columns = {
            name: np.concatenate([part[name] for part in parts]) for name in parts[0]
        }
        self.columns["DIVISION"] = twin_states.DIVISIONS[self.state]
        none = np.array(twin_states.STATES)[self.state]
        self.columns["MEDEXP"] = (~np.isin(none, scorecard.NO_EXPANSION)).astype(
            np.int8
        )
        self.group, self.level = model.find_groups(self.columns)
        self.service = self.columns["SERVICES"] - np.int8(1)
        by_state, by_service = twin.read_targets(year)
        sums = np.maximum(by_state.sum(axis=1), 1e-9)
        self.targets = (by_state * (official / sums)[:, None], by_service * share)
        rows = np.bincount(
            model.find_places(self.state, self.service), minlength=104
        ).reshape(52, 2)
        self.outpatient = twin_states.outpatient_completed(year, rows)

    def expect(self, parameters):
        """Work out every row's chance of completing, and how it ends."""
        parameters = parameters | {"outpatient": self.outpatient}
        score = model.add_up(parameters, self.columns, self.level)
        wanted = reasons.counts_to_meet(
            parameters, self.targets, self.state, self.service, self.group
        )
        self.completion = reasons.calibrate_completion(
            score, self.state, self.service, self.group, wanted
        )
        places = model.find_places(self.state, self.service)
        members = (places, self.service, self.group)
        pairs = zip(self.completion, members, strict=True)
        self.linear = score / model.UNIT + sum(values[index] for values, index in pairs)
        self.done = expit(self.linear)
        self.end(parameters)

    def end(self, parameters):
        """Work out every row's chance of leaving, given that of completing."""
        kind = reasons.find_kinds(parameters["leaving"], self.columns)
        shape = (52, 8, reasons.N_KINDS)
        cell = np.ravel_multi_index((self.state, self.service, kind), shape)
        counts = np.bincount(cell, 1 - self.done, np.prod(shape)).reshape(shape)
        self.endings = reasons.calibrate_endings(
            counts,
            reasons.lean_shape(SHAPE),
            self.targets[0][:, 1:],
            reasons.services_in(self.targets, self.service)[:, 1:],
        )
        chances = reasons.ending_chances(*self.endings, reasons.lean_shape(SHAPE))
        chances = chances.reshape(-1, 6)
        self.left = (1 - self.done) * chances[cell, 0]
        self.gone = (1 - self.done) * chances[cell, :2].sum(axis=1)
        self.reason = self.done + (1 - self.done) * (chances @ np.arange(2, 8))[cell]


# ------------------------------------------------------------------ regressions


def residential(year, codes):
    """Return which rows are of residential treatment for some substances."""
    inside = (year.service == 3) | (year.service == 4)
    return inside & np.isin(year.columns["SUB1"], codes)


# ------------------------------------------------------------------ the score


def draw_tables(mechanism):
    """Return the seeded effects of a mechanism's tables."""
    rng = np.random.default_rng([SEED, 28, list(model.MECHANISMS).index(mechanism)])
    tables = []
    for names in model.MECHANISMS[mechanism]:
        sizes = [len(model.SCORE_PARTS[name].groups) for name in names]
        if mechanism == "smooth":
            places = np.indices(sizes).reshape(len(sizes), -1).T
            places = 2 * places / (np.array(sizes) - 1) - 1
            waves = rng.normal(0, 1.2, (len(sizes), 3))
            effect = np.sin(places @ waves + rng.uniform(0, 2 * np.pi, 3)).sum(axis=1)
        elif mechanism == "trees":
            cuts = [rng.integers(1, size) for size in sizes]
            places = np.indices(sizes).reshape(len(sizes), -1)
            leaf = sum(
                (place >= cut) << bit
                for bit, (place, cut) in enumerate(zip(places, cuts, strict=True))
            )
            effect = rng.standard_normal(2 ** len(sizes))[leaf]
        else:
            effect = rng.standard_normal(np.prod(sizes))
        tables.append((effect - effect.mean()) / effect.std())
    return tables


def find_parts(mechanism, columns):
    """Return every row's cell in each of a mechanism's tables."""
    return [
        specification.find_cells([model.SCORE_PARTS[n] for n in names], columns)
        for names in model.MECHANISMS[mechanism]
    ]


def purify(effect, names, columns, weights=None):
    """Return a table without the main effects of its parts, on given rows."""
    sizes = [len(model.SCORE_PARTS[name].groups) for name in names]
    cells = specification.find_cells([model.SCORE_PARTS[n] for n in names], columns)
    rows = np.bincount(cells, minlength=len(effect)).reshape(sizes) + 1e-6
    table = effect.reshape(sizes).copy()
    for _ in range(4):
        for axis in range(len(sizes)):
            away = tuple(other for other in range(len(sizes)) if other != axis)
            mean = (table * rows).sum(away, keepdims=True) / rows.sum(
                away, keepdims=True
            )
            table -= mean
    return table.ravel()


def tables_of(mechanism, columns):
    """Return the whole-number tables of a mechanism; together their spread is 1."""
    tables = draw_tables(mechanism)
    if not tables:
        return []
    if mechanism != "smooth":
        sets = model.MECHANISMS[mechanism]
        tables = [
            purify(t, names, columns) for t, names in zip(tables, sets, strict=True)
        ]
    cells = find_parts(mechanism, columns)
    total = sum(table[cell] for table, cell in zip(tables, cells, strict=True))
    scale = model.UNIT / total.std()
    return [
        np.rint((table - table[cell].mean()) * scale).astype(np.int16)
        for table, cell in zip(tables, cells, strict=True)
    ]


def balance(spreads):
    """Return signs for which the effects that turn carry half of the spread."""
    signs = np.ones(len(spreads), np.int8)
    total = 0.0
    for place in np.argsort(-np.asarray(spreads), kind="stable"):
        signs[place] = -1 if total > 0 else 1
        total += signs[place] * spreads[place]
    return signs


class Score:
    """The numbers of the score that are being fitted, in logits."""

    def __init__(self, wanted):
        """Start from half of the real coefficients, everywhere."""
        names = [*(n for n in wanted.index if n not in FIXED), *EXTRA]
        self.lines = {name: np.zeros((4, specification.WIDTH)) for name in names}
        sizes = [
            [len(model.SCORE_PARTS[name].groups) for name in names]
            for names in model.BASE
        ]
        self.base = [np.zeros(size) for size in sizes]
        self.base[1] = STAY_FACTOR * STAY
        self.wanted = wanted
        self.terms = scorecard.real_terms()
        left = self.terms.query("model == 'opioids left'")["variable"]
        self.leaving = {
            name: np.zeros(specification.WIDTH)
            for name in dict.fromkeys(left)
            if name != "MEDEXP"  # which no record holds
        }
        for row in self.terms.query("model != 'opioids left'").itertuples():
            if row.variable in self.lines:
                trust = 1 / (1 + (row.error / 0.4) ** 2)
                step = 0.25 * trust * row.estimate / 2
                self.lines[row.variable][0, row.code + specification.SHIFT] += step

    def whole(self):
        """Return the whole numbers that are stored."""

        def rounded(tables):
            return {
                name: np.rint(model.UNIT * table).astype(np.int32)
                for name, table in tables.items()
            }

        return {
            "lines": rounded(self.lines),
            "leaving": rounded(self.leaving),
            "base": [
                np.rint(model.UNIT * table.ravel()).astype(np.int32)
                for table in self.base
            ],
            "bulk": BULK,
        }

    def learn_coefficients(self, year, gain):
        """Move effects inside residential treatment towards the real regressions'."""
        found = {}
        for name in ("opioids", "alcohol"):
            codes = SUBSTANCES[name]
            real = self.terms.query("model == @name")
            rows = residential(year, codes)
            part = {n: year.columns[n][rows] for n in set(real["variable"])}
            ours = scorecard.regress(part, year.done[rows], real)
            gaps = real["estimate"].to_numpy() - ours
            seen = real["error"].to_numpy() < 1
            found[name] = np.corrcoef(real["estimate"][seen], ours[seen])[0, 1]
            for row, gap in zip(real.itertuples(), gaps, strict=True):
                trust = max(
                    1 / (1 + (row.error / 0.3) ** 2), 0.3 if row.error > 9 else 0
                )
                step = gain * np.clip(trust * gap, -1, 1)
                places = {"opioids": (1,), "alcohol": (2,)}[name]
                if row.variable in self.lines:
                    at = row.code + specification.SHIFT
                    for place in places:
                        self.lines[row.variable][place, at] += step
                elif row.variable == "DIVISION":
                    there = twin_states.DIVISIONS == row.code
                    self.base[2][there, 1] += step / 2
        for table in self.lines.values():
            table[3] = (table[1] + table[2]) / 2
        return found

    def learn_leaving(self, year, gain):
        """Move who of those who do not complete leaves towards the real regression."""
        real = self.terms.query("model == 'opioids left'")
        rows = residential(year, SUBSTANCES["opioids"])
        part = {n: year.columns[n][rows] for n in set(real["variable"])}
        ours = scorecard.regress(part, year.gone[rows], real)
        seen = real["error"].to_numpy() < 1
        for row, gap in zip(real.itertuples(), real["estimate"] - ours, strict=True):
            if row.variable in self.leaving:
                trust = 1 / (1 + (row.error / 0.3) ** 2)
                step = gain * np.clip(trust * gap, -1, 1)
                self.leaving[row.variable][row.code + specification.SHIFT] += step
        # The counts by state and service say how many leave; this only says who.
        inside = np.isin(year.service, (3, 4))
        for name, table in self.leaving.items():
            table -= table[year.columns[name][inside] + specification.SHIFT].mean()
        return np.corrcoef(real["estimate"][seen], ours[seen])[0, 1]

    def learn_levels(self, years, gain):
        """Move effects elsewhere towards who left; return the skill by variable."""
        known = twin_states.table("left_by_level")
        overall = known.query("variable == 'all'")["left"].iloc[0]
        parts, skill = [], {}
        for year in years:
            keep = year.columns["SUB1"] > 1
            columns = {name: year.columns[name][keep] for name in (*KNOWN, "SUB1")}
            columns["SERVICES"] = year.service[keep] + 1
            columns |= {"left": year.left[keep], "done": year.done[keep]}
            parts.append(pd.DataFrame(columns))
        people = pd.concat(parts, ignore_index=True)
        both = people["left"] + people["done"]
        middle = people["left"].sum() / both.sum()
        for name in (*KNOWN, "SUB1", "SERVICES"):
            real = known.query("variable == @name").set_index("code")
            left = people["left"].groupby(people[name]).sum()
            rate = left / both.groupby(people[name]).sum()
            rate = rate.reindex(real.index).fillna(middle)
            goal = FOLLOWED * (logit(real["left"]) - logit(overall))
            gap = goal - logit(rate) + logit(middle)
            weight = real["people"]
            miss = ((rate - middle - real["left"] + overall).abs() * weight).sum()
            skill[name] = 1 - miss / ((real["left"] - overall).abs() * weight).sum()
            if name == "SUB1":
                groups = model.SCORE_PARTS["substance"].groups
                for code, step in gap.items():
                    (row,) = [k for k, group in enumerate(groups) if code in group]
                    self.base[0][row, [0, 1, 2, 5, 6, 7]] -= gain * step
            elif name != "SERVICES":
                for code, step in gap.items():
                    step = np.clip(step, -1, 1) * min(1, weight[code] / 3000)
                    self.lines[name][0, code + specification.SHIFT] -= gain * step
        for table in self.lines.values():
            np.clip(table[0], -1.5, 1.5, out=table[0])
        return skill

    def learn_substances(self, year, gain):
        """Move completion in residential treatment to that of 2017, by substance."""
        groups = model.SCORE_PARTS["substance"].groups
        gaps = {}
        real = twin_states.table("real_figures").query("kind == 'residential'")
        for name, share in zip(real["key"], real["value"], strict=True):
            codes = SUBSTANCES[name]
            have = year.done[residential(year, codes)].mean()
            gaps[codes] = share - have
            for row, group in enumerate(groups):
                if set(group) & set(codes):
                    self.base[0][row, [3, 4]] += gain * (logit(share) - logit(have))
        return max(map(abs, gaps.values()))

    def learn_correlations(self, year, gain):
        """Move straight lines elsewhere towards the correlations with REASON."""
        names = [name for name in self.lines if name in self.wanted.index]
        table = np.array([year.columns[name] for name in names], np.float32)
        codes, counts = twin.margin(year.year, "REASON")
        weight = counts / counts.sum()
        spread = np.sqrt(weight @ (codes - weight @ codes) ** 2)
        centred = table - table.mean(axis=1, keepdims=True)
        got = centred @ (year.reason - year.reason.mean()) / len(year.reason)
        got /= table.std(axis=1) * spread
        gap = self.wanted.loc[names, "REASON"].to_numpy() - got
        inner = np.corrcoef(table)
        move = np.linalg.solve(inner + 0.5 * np.eye(len(names)), gap) / 0.33
        for name, step in zip(names, move, strict=True):
            if name in KNOWN:
                continue
            codes, counts = twin.margin(2019, name)
            at = codes + specification.SHIFT
            self.lines[name][0, at] -= gain * step * standard(codes, counts)
            self.lines[name][0, at] *= 0.9
        return np.abs(gap).mean(), np.abs(gap).max()


def fit(arrays, wanted, rows, rounds, share=1.0):
    """Return the arrays with the fitted score for completion.

    Parameters
    ----------
    arrays : dict
        Of ``fit_twin.cut_years``.
    wanted : pandas.DataFrame
        Published correlations.
    rows : int
        Rows of each of three years that the score is fitted to.
    rounds : int
        Rounds over all that is known.
    share : float
        Of the official rows, for the intercepts.
    """
    began = time.time()
    stored = dict(arrays)

    def of_year(year, mechanism="pairs"):
        found = {name: arrays[name] for name in ("mixing", "means", "shift")}
        found["closed"] = arrays[f"{year}/closed"]
        for kind in ("cuts", "codes"):
            found[kind] = {
                s.variable: arrays[f"{year}/{kind}/{s.variable}"] for s in twin.STEPS
            }
        found |= {"shape": SHAPE, "shares": SHARES, "mechanism": mechanism}
        found["pull"] = np.array([round(64 * PULL[n]) for n in model.CLASSES], np.int32)
        return found

    years = [Year(of_year(y), y, min(1, rows / 1.7e6)) for y in (2017, 2018, 2019)]
    columns = {
        name: np.concatenate([year.columns[name] for year in years])
        for name in years[0].columns
    }
    tables = {name: tables_of(name, columns) for name in model.MECHANISMS}
    strength = np.array([round(64 * SPREAD[n]) for n in model.CLASSES], np.int16)
    score = Score(wanted)
    for turn in range(rounds):
        whole = score.whole() | {
            "tables": [t.astype(np.int32) for t in tables["pairs"]]
        }
        whole["strength"] = strength.astype(np.int32)
        for year in years:
            year.expect(of_year(year.year) | whole)
        gain = 0.8 if turn < rounds - 3 else 0.4
        found = score.learn_coefficients(years[0], gain)
        skill = score.learn_levels(years, gain)
        substance = score.learn_substances(years[0], gain)
        mean, worst = score.learn_correlations(years[2], 0.4 * gain)
        print(
            f"outcome {turn + 1}/{rounds}: coefficients {found['opioids']:.2f} and"
            f" {found['alcohol']:.2f}, who left {np.median(list(skill.values())):.2f}"
            f" (least {min(skill, key=skill.get)} {min(skill.values()):.2f}),"
            f" substances {substance:.3f}, REASON {mean:.3f}, at most {worst:.3f},"
            f" {time.time() - began:.0f} s",
            flush=True,
        )
    for _ in range(rounds):
        left = score.learn_leaving(years[0], 0.8)
        years[0].end(of_year(2017) | score.whole())
    print(f"coefficients of leaving {left:.2f}", flush=True)
    whole = score.whole()
    spreads = [
        np.var(table[0][columns[name] + specification.SHIFT])
        for name, table in whole["lines"].items()
    ]
    stored |= {"shape": SHAPE, "shares": SHARES, "bulk": np.int16(BULK)}
    stored["pull"] = of_year(2019)["pull"].astype(np.int16)
    stored["signs/lines"] = balance(spreads)
    for name, table in whole["lines"].items():
        stored[f"lines/{name}"] = table.astype(np.int16)
    for name, table in whole["leaving"].items():
        stored[f"leaving/{name}"] = table.astype(np.int16)
    for place, table in enumerate(whole["base"]):
        stored[f"base/{place}"] = table.astype(np.int16)
    for name in model.MECHANISMS:
        stored[f"strength/{name}"] = strength
        cells = find_parts(name, columns)
        spreads = [np.var(t[c]) for t, c in zip(tables[name], cells, strict=True)]
        stored[f"signs/{name}"] = balance(spreads)
        for place, table in enumerate(tables[name]):
            stored[f"{name}/{place}"] = table
    for year in twin.YEARS:
        drawn = Year(of_year(year), year, min(share, 0.5))
        stored[f"{year}/outpatient"] = np.round(drawn.outpatient, 4).astype(np.float32)
        for name in model.MECHANISMS:
            parameters = of_year(year, name) | whole
            parameters["tables"] = [t.astype(np.int32) for t in tables[name]]
            parameters["strength"] = strength.astype(np.int32)
            drawn.expect(parameters)
            for place in range(3):
                kept = np.round(drawn.completion[place], 3).astype(np.float32)
                stored[f"{year}/completion/{name}/{place}"] = kept
            if name == "pairs":
                for place in range(2):
                    kept = np.round(drawn.endings[place], 3).astype(np.float32)
                    stored[f"{year}/endings/{place}"] = kept
    return stored
