"""Make the published tables that the twin is held to, from counts.

    python tools/count_teds.py 2016 2017 2018 2019 2023 && python tools/make_targets.py

REASON by state is counted in 2016 to 2019 and by service in 2019: that is what had been
published when the twin was fitted.  The other years are estimated, with that year's
own margins and the odds ratios of a counted one; ``--every-year`` counts them instead,
which is better, but not what the twin of this book was fitted to.
"""

import argparse
from pathlib import Path

import count_teds
import pandas as pd
import sources

from sudlib import twin
from sudlib.raking import rake

COUNTED = {"state": (2016, 2017, 2018, 2019), "service": (2019,)}
ORDER = {"state": 2016, "service": 2019}  # whose odds ratios are taken first


# Completed, of all, in residential services (4, 5) in 2017: five substances added up,
# as printed beside the regressions of logistic_2017.csv.
RESIDENTIAL_2017 = 152_364 / 303_342


def proportional(table, rows, columns):
    """Return a table with its margins fitted, its odds ratios kept."""
    margins = [((0,), rows.to_numpy(float)), ((1,), columns.to_numpy(float))]
    made = rake(table.to_numpy(float), margins, max_iter=500)
    return pd.DataFrame(made, table.index, table.columns)


def with_residential(table, rows, columns):
    """Return a table of services in which as many complete inside as in 2017."""
    for _ in range(40):
        inside = table.loc[[4, 5]]
        have = inside[1].sum() / inside.to_numpy().sum()
        odds = RESIDENTIAL_2017 / (1 - RESIDENTIAL_2017) * (1 - have) / have
        table = table.copy()
        table.loc[[4, 5], 1] *= odds
        table = proportional(table, rows, columns)
    return table


def reasons(name, variable, counts, every_year=False):
    """Return REASON by state or by service for every year of the twin.

    Parameters
    ----------
    name : {"state", "service"}
    variable : str
        STFIPS or SERVICES.
    counts : pandas.DataFrame
        ``year``, ``name``, ``reason``, ``count``.
    every_year : bool
        Use every year that was counted.

    Returns
    -------
    pandas.DataFrame
        ``year``, ``name``, ``reason_1`` to ``reason_7``.
    """
    taken = set(counts.year) & set(twin.YEARS)
    if not every_year:
        lacking = set(COUNTED[name]) - taken
        if lacking:
            raise sources.InputError(
                f"REASON by {name} must be counted in"
                f" {', '.join(map(str, COUNTED[name]))};"
                f" {', '.join(map(str, sorted(lacking)))} is not"
            )
        taken = set(COUNTED[name])
    tables = {
        year: counts[counts.year == year]
        .pivot(index=name, columns="reason", values="count")
        .fillna(0)
        for year in sorted(taken)
    }
    patterns = [ORDER[name], *sorted(taken)]
    patterns = [tables[year] for year in patterns if year in tables]
    lines = []
    for year in twin.YEARS:
        if year not in tables:
            ends = pd.Series(*twin.margin(year, "REASON")[::-1]).sort_index()
            places = pd.Series(*twin.margin(year, variable)[::-1]).sort_index()
            start = patterns[0].reindex(places.index)
            for other in patterns[1:]:
                start = start.fillna(other.reindex(places.index))
            start = start.fillna(ends / ends.sum())
            # No cell of a state is surely empty.
            start = start + 0.01 if name == "state" else start
            tables[year] = proportional(start, places, ends)
            if name == "service" and year <= 2017:
                tables[year] = with_residential(tables[year], places, ends)
        for code, row in tables[year].sort_index().iterrows():
            cells = [round(float(value), 2) for value in row]
            lines.append(
                [year, int(code), *(int(v) if v % 1 == 0 else v for v in cells)]
            )
    names = ["year", name, *(f"reason_{k}" for k in range(1, 8))]
    return pd.DataFrame(lines, columns=names)


def make(counts, out, every_year=False, only=None):
    """Write the tables below ``out/twin`` that were counted; return their names.

    ``only`` names one of the tables of counts (``count_teds.KEYS``).
    """
    folder = out / "twin"
    folder.mkdir(parents=True, exist_ok=True)
    made = []

    def load(name):
        return count_teds.load(counts, name) if only in (None, name) else None

    def write(table, name, index=False):
        table.to_csv(folder / name, index=index, lineterminator="\n")
        made.append(f"twin/{name}")

    for name, variable in (("state", "STFIPS"), ("service", "SERVICES")):
        table = load(f"reason_by_{name}")
        if table is not None:
            table = reasons(name, variable, table, every_year)
            write(table, f"reason_by_{name}.csv")
    table = load("correlations")
    if table is not None and (table.year == 2019).any():
        names = list(table[table.year == 2019]["first"].unique())
        square = table[table.year == 2019].pivot(
            index="first", columns="second", values="r"
        )
        square = square.loc[names, names].round(3)
        write(square.rename_axis(None), "correlations_2019.csv", index=True)
    table = load("completion")
    if table is not None and (table.year == 2023).any():
        table = table[table.year == 2023].sort_values(["variable", "code"])
        columns = ["variable", "code", "completed", "rows"]
        write(table[columns], "completion_2023.csv")
    return made


def main(words=None):
    """Write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=Path, default=sources.COUNTS)
    parser.add_argument("--out", type=Path, default=sources.DATA)
    parser.add_argument("--every-year", action="store_true")
    asked = parser.parse_args(words)
    made = make(asked.counts, asked.out, asked.every_year)
    if not made:
        raise sources.InputError(
            f"nothing has been counted in {asked.counts}; run tools/count_teds.py first"
        )
    print("\n".join(made))
    return 0


if __name__ == "__main__":
    sources.run(main)
