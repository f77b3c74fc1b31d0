"""Fit the synthetic twin of TEDS-D to published tables: ``data/twin/parameters.npz``.

    python tools/fit_twin.py                   # 4 minutes on one core, 3 GB
    python tools/fit_twin.py --share 0.01 --rows 5000 --rounds 3 --outer 1 --out FOLDER

Everything it needs stands in ``data/``: the codebooks' frequencies, the correlations of
29 variables in 2019, REASON by state and by service (``make_targets.py``), the joint
tables and regressions that others printed (``make_joints.py``), the cohorts' sizes and
completion of study A.  No row of a real file is read.

What is guessed, not fitted, stands in ``twin_guesses.py``, in ``twin_states.py`` (how
states that no table names borrow from those that are named) and in
``data/twin/mechanisms.csv``: which sets of features act together on completion, with
effects drawn from a seed.  Every guess is bent until the published margins hold.

First the features of every year are fitted, then the outcome (``fit_outcome.py``).
``--share`` says to how large a part of the official files.
"""

import argparse
import time
from pathlib import Path

import fit_outcome
import numpy as np
import pandas as pd
import sources
import twin_states
from twin_guesses import guess

from sudlib import twin
from sudlib.raking import rake_cells
from sudlib.teds import codebook
from sudlib.twin import sampler, specification

SEED = 2019  # of everything random in the fit

# ------------------------------------------------------------------ what is known

GENERAL_2018 = 622_821  # rows of study A's general cohort
METHADONE_2018 = 167_301  # rows of its methadone cohort
OTHER_OPIOIDS = 232_200  # rows with SUB1 7 and no heroin, 2017 and 2018 together
FEMALE_GENERAL = 0.38  # study A

# ------------------------------------------------------------------ raking


def condition(table, rows, columns, cells=(), rounds=120):
    """Return P(code | key) with given counts of keys, codes and sets of cells.

    ``cells`` are pairs: for every cell the number of its set, 0 for none; and how many
    rows each set should have, that of 0 left open.
    """
    whole = rows.sum()
    columns = columns * whole / columns.sum()
    start = table / np.maximum(table.sum(axis=1, keepdims=True), 1e-12)
    joint = start * rows[:, None]
    margins = [(np.tile(np.arange(len(columns)), len(rows)), columns)]
    for index, wanted in cells:
        wanted = np.array(wanted, float)
        wanted[0] = max(whole - wanted[1:].sum(), 1)
        margins.append((index.ravel(), wanted))
    margins.append((np.repeat(np.arange(len(rows)), len(columns)), rows))
    joint, _ = rake_cells(joint.ravel(), margins, max_iter=rounds, tolerance=1e-7)
    joint = joint.reshape(table.shape)
    sums = joint.sum(axis=1, keepdims=True)
    return np.where(sums > 0, joint / np.maximum(sums, 1e-12), start)


class Fit:
    """What is being fitted: correlations, tilts, and what no-substance rows miss."""

    def __init__(self, wanted):
        """Start from the published correlations."""
        names = specification.LATENTS
        self.wanted = wanted
        self.latent = np.eye(len(names))
        self.tilts = {}
        self.missing = {}
        self.general_share = 0.93
        self.place = {name: place for place, name in enumerate(names)}
        self.means, self.shift = twin_states.means(wanted), twin_states.shift()
        self.steps = {step.variable: step for step in twin.STEPS}

    def _set(self, first, second, value):
        i, j = self.place[first], self.place[second]
        self.latent[i, j] = self.latent[j, i] = value

    def parents(self, variable):
        """Return the published variables that a step's key already settles."""
        step = self.steps[variable]
        found = {}
        for part in step.keys:
            column = twin.PARTS[part].column
            if part != "none" and column in self.wanted.index:
                found[column] = part
        return found

    def mixing(self):
        """Return a Cholesky factor of the nearest correlation matrix."""
        values, vectors = np.linalg.eigh(self.latent)
        near = vectors @ np.diag(np.maximum(values, 0.01)) @ vectors.T
        scale = np.sqrt(np.diag(near))
        near /= np.outer(scale, scale)
        return np.linalg.cholesky(near).astype(np.float32)

    def update(self, frame_corr, gain):
        """Move every free number against its error; return the errors."""
        error = self.wanted - frame_corr
        names = [n for n in self.wanted.index if n in self.place]
        for i, first in enumerate(names):
            for second in names[:i]:
                gap = error.loc[first, second]
                child, other = (
                    (first, second)
                    if self.place[first] > self.place[second]
                    else (second, first)
                )
                parents = self.parents(child)
                if other in parents:
                    if parents[other] in ("court", "outside"):
                        continue
                    tilt = self.tilts.setdefault((child, other), 0.0)
                    self.tilts[child, other] = tilt + gain * gap
                else:
                    value = self.latent[self.place[first], self.place[second]]
                    self._set(first, second, np.clip(value + gain * gap, -0.95, 0.95))
        for variable, step in self.steps.items():
            if "none" in step.keys and variable in self.wanted.index:
                gap = error.loc["IDU", variable]
                # A positive correlation with IDU means missing where nobody is named.
                share = self.missing.get(variable)
                if share is not None:
                    new = share + gain * 1.5 * gap * share * (1 - share) * 4
                    self.missing[variable] = float(np.clip(new, 0.002, 0.985))
        return error


def correlate(columns, names):
    """Return the Pearson correlations of codes."""
    table = np.array([columns[name] for name in names], np.float32)
    return pd.DataFrame(np.corrcoef(table), names, names)


class Cutter:
    """Works out the cuts of every step from the rows drawn so far."""

    def __init__(self, fit, year, rows, corrections=None):
        """Remember the margins; ``rows`` is how many are drawn."""
        self.fit, self.year, self.rows = fit, year, rows
        self.cuts, self.codes = {}, {}
        self.scale = rows / codebook.size(year)
        self.corrections = corrections or {}

    def count(self, variable, *codes):
        """Return the official count of some codes, scaled to the rows drawn."""
        have, counts = twin.margin(self.year, variable)
        return counts[np.isin(have, codes)].sum() * self.scale

    def __call__(self, step, values, key, columns):
        """Return the codes and cuts of a step."""
        codes, counts = twin.margin(self.year, step.variable)
        target = counts * self.scale
        if step.variable in self.corrections:
            target = np.maximum(target + self.corrections[step.variable], 0.01)
        table = guess(step, self.year)
        if step.keys:
            rows = np.bincount(key, minlength=len(table)).astype(float)
            table *= self._tilt(step, codes, counts)
            cells = list(self._cells(step, codes, rows, table))
            chances = condition(table, rows, target, cells)
        else:
            chances = (target / target.sum())[None]
        below = np.clip(np.cumsum(chances, axis=1)[:, :-1], 0, 1)
        if step.latent is None:
            cuts = below
            # A uniform float32 can be 0: the lowest code needs its cut above it.
            cuts = np.where(below <= 0, -1.0, below)
        else:
            cuts = _quantiles(values, key, below)
        self.codes[step.variable] = codes
        self.cuts[step.variable] = cuts.astype(np.float32)
        return codes, self.cuts[step.variable]

    def _tilt(self, step, codes, counts):
        """Return factors that bend a table towards wanted correlations."""
        table = np.ones((specification.key_size(step), len(codes)))
        levels = specification.key_levels(step)
        child = _standard(codes, counts)
        for parent, part in self.fit.parents(step.variable).items():
            theta = self.fit.tilts.get((step.variable, parent))
            if not theta:
                continue
            have, freq = twin.margin(self.year, parent)
            score = dict(zip(have.tolist(), _standard(have, freq), strict=True))
            weight = dict(zip(have.tolist(), freq, strict=True))
            by_level = []
            for group in twin.PARTS[part].groups:
                inside = [code for code in group if code in score]
                total = sum(weight[code] for code in inside) or 1
                by_level.append(sum(score[c] * weight[c] for c in inside) / total)
            power = theta * np.outer(np.array(by_level)[levels[part]], child)
            table *= np.exp(np.clip(power, -6, 6))
        return table

    def _cells(self, step, codes, rows, table):
        """Yield the sets of cells whose counts are known."""
        name = step.variable
        levels = specification.key_levels(step)
        fit = self.fit
        column = {int(code): place for place, code in enumerate(codes)}
        grid = np.zeros((len(rows), len(codes)), int)

        def cell(keep, *wanted, count):
            index = grid.copy()
            index[np.ix_(keep, [column[code] for code in wanted])] = 1
            return index, [0, max(count, 0.01)]

        if "none" in step.keys and name in fit.wanted.index and -9 in column:
            none = levels["none"] == 1
            missing = self.count(name, -9)
            share = fit.missing.get(name)
            if share is None:
                # Begin where the published correlation with IDU points to.
                share = _first_missing(self, name)
                fit.missing[name] = share
            total = rows[none].sum()
            yield cell(none, -9, count=min(share * total, 0.97 * missing))
        if name == "METHUSE":
            opioid = levels["class"] == 1
            treated = METHADONE_2018 / 199_701 * self.count("METHUSE", 1)
            yield cell(opioid, 1, count=treated)
            general = (levels["class"] == 2) & (levels["outpatient"] == 1)
            if self.year == 2018:
                want = GENERAL_2018 * self.scale
                fit.general_share = want / rows[general].sum()
            yield cell(general, 2, count=fit.general_share * rows[general].sum())
        elif name == "SERVICES":
            people = twin_states.outpatient(self.year)[0]
            known = ~np.isnan(people)
            official = np.maximum(twin_states.official_rows(self.year), 1)
            here = np.bincount(levels["state"], rows, 52)
            share = np.clip(np.nan_to_num(people) / official, 0, 0.97)
            index = grid.copy()
            outpatient = column[7]
            index[:, outpatient] = np.where(known, np.arange(1, 53), 0)[levels["state"]]
            yield index, [0, *(np.maximum(share * here, 0.01))]
        elif name == "GENDER":
            general = (levels["seven"] == 1) & ~np.isin(levels["drug"], (0, 4))
            yield cell(general, 2, count=FEMALE_GENERAL * rows[general].sum())
            inside = levels["seven"] == 1
            here = np.bincount(levels["state"], rows * inside, 52)
            index = grid.copy()
            index[inside, column[2]] = 1 + levels["state"][inside]
            yield index, [0, *np.maximum(twin_states.women(self.year) * here, 0.01)]
        elif name == "SUB2":
            alone = self.count("ALCDRUG", 1)
            first = np.array([-9, *range(1, 20)])[levels["sub1"]]
            yield cell(first == 2, -9, 1, count=alone)
            yield cell(first == 7, 5, count=self._heroin_beside() * 0.8)
        elif name == "SUB3":
            first = np.array([-9, *range(1, 20)])[levels["sub1"]]
            second = np.array([-9, *range(1, 20)])[levels["sub2"]]
            other = (first == 7) & (second != 5)
            yield cell(other, 5, count=self._heroin_beside() * 0.2)
        elif name == "ROUTE2":
            more = self.count("IDU", 1) - self.count("ROUTE1", 4)
            third = self.extra_third
            free = levels["injects1"] == 0
            yield cell(free & (levels["third"] == 1), 4, count=third)
            rest = max(more * 0.9 - third, 1)
            yield cell(free & (levels["third"] == 0), 4, count=rest)
        elif name == "ROUTE3":
            more = self.count("IDU", 1) - self.count("ROUTE1", 4)
            yield cell(levels["injects"] == 0, 4, count=more * 0.1)

    def _heroin_beside(self):
        both = sum(
            twin.margin(year, "SUB1")[1][twin.margin(year, "SUB1")[0] == 7].sum()
            for year in (2017, 2018)
        )
        return (both - OTHER_OPIOIDS) / both * self.count("SUB1", 7)

    def before_route2(self, columns):
        """Set how many inject only the second substance and name a third.

        In 2017 and 2018 IDU is 0 only where three routes are known, so its count
        tells how many of those people inject.
        """
        three = (columns["SUB3"] > 1).sum() * 0.985
        inject = ((columns["SUB3"] > 1) & (columns["ROUTE1"] == 4)).sum()
        more = self.count("IDU", 1) - self.count("ROUTE1", 4)
        if self.year in (2017, 2018):
            free = self.count("IDU", 0)
        else:
            free = 0.59 * three
        want = three - free - inject - 0.1 * more
        self.extra_third = float(np.clip(want, 0.02 * more, 0.86 * more))


def _first_missing(cutter, name):
    have, freq = twin.margin(cutter.year, name)
    p = (cutter.count("SUB1", -9, 1)) / cutter.rows
    mean = (have * freq).sum() / freq.sum()
    spread = np.sqrt((freq * (have - mean) ** 2).sum() / freq.sum())
    idu, n_idu = twin.margin(2019, "IDU")
    idu_mean = (idu * n_idu).sum() / n_idu.sum()
    idu_spread = np.sqrt((n_idu * (idu - idu_mean) ** 2).sum() / n_idu.sum())
    gap = cutter.fit.wanted.loc["IDU", name] * spread * idu_spread / 9.25 / p
    # Mean of those with no substance = mean - gap, reached by more or fewer -9.
    known = have >= 0
    rest = (have[known] * freq[known]).sum() / freq[known].sum()
    share = (rest - (mean - gap)) / (rest + 9)
    return float(np.clip(share, 0.002, 0.985))


def _standard(codes, counts):
    weight = counts / counts.sum()
    mean = (codes * weight).sum()
    return (codes - mean) / np.sqrt((weight * (codes - mean) ** 2).sum())


def _quantiles(values, key, below):
    """Return the quantiles of the values, key by key."""
    cuts = np.empty_like(below)
    if key is None:
        ordered = np.sort(values)
        cuts[0] = _pick(ordered, below[0])
        return cuts
    order = np.lexsort((values, key))
    ordered, key = values[order], key[order]
    starts = np.searchsorted(key, np.arange(len(below) + 1))
    everyone = None
    for row in range(len(below)):
        part = ordered[starts[row] : starts[row + 1]]
        if len(part) < 5:
            if everyone is None:
                everyone = np.sort(values)
            part = everyone
        cuts[row] = _pick(part, below[row])
    return cuts


def _pick(ordered, below):
    place = below * len(ordered)
    low = np.clip(np.floor(place).astype(int), 1, len(ordered) - 1)
    middle = (ordered[low - 1] + ordered[low]) / 2
    middle = np.where(below <= 0, -30, middle)
    return np.where(below >= 1 - 1e-9, 30, middle)


# ------------------------------------------------------------------ stage: features


def draw(fit, year, rows, seed, corrections=None):
    """Return rows drawn with cuts worked out on the way, and those cuts."""
    official = twin_states.official_rows(year).astype(float)
    rng = np.random.default_rng([SEED, seed, year])
    place = np.sort(rng.choice(52, rows, p=official / official.sum())).astype(np.int8)
    parameters = {
        "mixing": fit.mixing(),
        "means": fit.means,
        "shift": fit.shift,
        "closed": twin_states.closed(year),
    }
    cutter = Cutter(fit, year, rows, corrections)

    def hook(step, values, key, columns):
        if step.variable == "ROUTE2":
            cutter.before_route2(columns)
        return cutter(step, values, key, columns)

    columns = sampler.draw_features(parameters, year, place, rng, fit=hook)
    # Third substances at discharge lose a few to the rule against repeats: ask for
    # more of them, and draw again.
    codes, counts = twin.margin(year, "SUB3_D")
    have = np.array([(columns["SUB3_D"] == code).sum() for code in codes])
    lost = counts * cutter.scale - have
    return columns, cutter, lost


def fit_features(wanted, rows, rounds):
    """Return what was found when the correlations of 2019 were fitted."""
    fit = Fit(wanted)
    names = [name for name in wanted.index if name != "REASON"]
    known = wanted.loc[names, names]
    began = time.time()
    best = None
    for turn in range(rounds):
        if turn in (3, 12):
            draw(fit, 2018, rows // 2, 900)  # sets general_share
        seed = turn if turn < rounds - 6 else 999
        columns, *_ = draw(fit, 2019, rows, seed)
        got = correlate(columns, names)
        error = (known - got).to_numpy()
        off = np.abs(error[np.triu_indices(len(names), 1)])
        worst = np.unravel_index(np.abs(error).argmax(), error.shape)
        print(
            f"round {turn + 1}/{rounds}: mean error {off.mean():.4f}, worst"
            f" {off.max():.3f} ({names[worst[0]]}, {names[worst[1]]}),"
            f" {time.time() - began:.0f} s",
            flush=True,
        )
        state = (off.mean() + off.max() / 10, fit.latent.copy(), dict(fit.tilts))
        state += (dict(fit.missing),)
        if best is None or state[0] < best[0]:
            best = state
        if turn < rounds - 1:
            full = got.reindex(index=wanted.index, columns=wanted.columns)
            full.loc["REASON"] = wanted.loc["REASON"]
            full["REASON"] = wanted["REASON"]
            fit.update(full, 0.9 if turn < rounds // 2 else 0.5)
    _, fit.latent, fit.tilts, fit.missing = best
    return fit


def cut_years(fit, share=1.0):
    """Return the stored arrays of every year."""
    arrays = {"mixing": fit.mixing(), "means": fit.means, "shift": fit.shift}
    for year in (2018, *(year for year in twin.YEARS if year != 2018)):
        began = time.time()
        count = round(share * codebook.size(year))
        corrections = {}
        for turn in range(2):
            columns, cutter, lost = draw(fit, year, count, 50 + turn, corrections)
            corrections = {"SUB3_D": lost}
        arrays[f"{year}/closed"] = twin_states.closed(year)
        worst = 0.0
        for step in twin.STEPS:
            name = step.variable
            arrays[f"{year}/cuts/{name}"] = np.round(cutter.cuts[name], 5)
            arrays[f"{year}/codes/{name}"] = cutter.codes[name]
            codes, counts = twin.margin(year, name)
            have = np.array([(columns[name] == code).mean() for code in codes])
            gap = np.abs(have - counts / counts.sum()).sum() / 2
            if gap > 0.004:
                print(f"  {year} {name}: total variation {gap:.4f}")
            worst = max(worst, gap)
        print(
            f"{year}: worst margin {worst:.4f}, {time.time() - began:.0f} s", flush=True
        )
    return arrays


def make(out, rows=200_000, rounds=14, outer=9, share=0.5):
    """Fit the twin and write ``twin/parameters.npz`` below ``out``."""
    wanted = twin.read_correlations()
    fit = fit_features(wanted, rows, rounds)
    arrays = cut_years(fit, share)
    stored = fit_outcome.fit(arrays, wanted, 1.5 * rows, outer, share)
    path = out / "twin" / "parameters.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **stored)
    return path


def main(words=None):
    """Fit as the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=sources.DATA)
    parser.add_argument("--rows", type=int, default=200_000, help="rows a round")
    parser.add_argument("--rounds", type=int, default=14, help="rounds of features")
    parser.add_argument("--outer", type=int, default=9, help="rounds of the outcome")
    parser.add_argument("--share", type=float, default=0.5, help="of the official rows")
    asked = parser.parse_args(words)
    if not 0 < asked.share <= 1:
        raise sources.InputError(
            f"--share must be above 0 and at most 1, not {asked.share}"
        )
    make(asked.out, asked.rows, asked.rounds, asked.outer, asked.share)
    return 0


if __name__ == "__main__":
    sources.run(main)
