"""Fill the numbers of ``data/codebook`` and ``data/registry.csv`` from counts.

    python tools/count_teds.py 2018 2019 && python tools/make_codebook.py

Words are transcribed from the agency's codebooks, or ours, and stand in the tables
themselves: labels, older wordings, descriptions, scales, addresses, notes.  Every
number comes from the counts: frequencies, sizes, states left out, bytes, hashes.  What
has not been counted (``_build/counts``, or ``--counts``) is left as it is.
"""

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path

import count_teds
import pandas as pd
import sources

OPEN = ("CBSA2010",)  # most of its codes have no name here, and no row


@dataclass
class Tally:
    """How counted numbers compare with those of a table."""

    equal: int = 0
    added: int = 0
    differ: list = field(default_factory=list)

    def __str__(self):
        """Return a line of words."""
        words = f"{self.equal:,} numbers as counted"
        if self.added:
            words += f", {self.added:,} counted that the table does not have"
        if self.differ:
            words += f", {len(self.differ):,} differ: " + "; ".join(self.differ[:5])
        return words


def fill(rows, key, cells):
    """Put counted numbers into a table, and tell what was there.

    Parameters
    ----------
    rows : list of dict of str to str
        The table; changed in place.
    key : list of str
        The columns that tell its rows apart.
    cells : dict
        Numbers by (tuple of the key, column).

    Returns
    -------
    Tally
    """
    tally = Tally()
    places = {tuple(row[name] for name in key): row for row in rows}
    for (place, column), value in cells.items():
        where = " ".join([*place, column])
        row = places.get(place)
        if row is None:
            tally.differ.append(f"{where} is counted, but has no row")
        elif row[column] == str(value):
            tally.equal += 1
        elif row[column] == "":
            tally.added += 1
            row[column] = str(value)
        else:
            tally.differ.append(f"{where} was {row[column]}, is {value}")
            row[column] = str(value)
    return tally


def codes(rows, counts):
    """Fill the frequencies of ``codes.csv``."""
    columns = [name for name in rows[0] if re.fullmatch(r"f\d{4}", name)]
    known = {(row["variable"], row["code"]) for row in rows}
    cells = {}
    for row in counts.itertuples():
        place, column = (row.variable, str(row.code)), f"f{row.year}"
        if column in columns and (place in known or row.variable not in OPEN):
            cells[place, column] = row.frequency
    tally = fill(rows, ["variable", "code"], cells)
    if "label" in counts:
        tally.differ += wrong_labels(rows, counts.dropna(subset=["label"]))
    # A code with a number that a full count does not have is wrong as well.
    for row in rows:
        for column in columns:
            year = int(column[1:])
            part = counts[(counts.year == year) & (counts.variable == row["variable"])]
            if row[column] and len(part) and int(row["code"]) not in set(part.code):
                tally.differ.append(
                    f"{row['variable']} {row['code']} {column} was {row[column]}, but"
                    " is not counted"
                )
                row[column] = ""
    return tally


def wrong_labels(rows, counts):
    """Return the labels counted along that a table does not know."""
    known = {
        (row["variable"], row["code"]): {
            plain(text) for text in (row["label"], *row["also"].split("|"))
        }
        for row in rows
    }
    return [
        f"{row.variable} {row.code} of {row.year} is labelled {row.label!r}"
        for row in counts.itertuples()
        if plain(row.label) not in known.get((row.variable, str(row.code)), ())
    ]


def plain(label):
    """Return a label without case, blanks, dashes and the like, which copies lose."""
    return re.sub(r"[^a-z0-9]+", "", label.casefold())


def years(rows, files, frequencies, states):
    """Fill the sizes of ``years.csv`` and which states are left out."""
    cells = {}
    if files is not None:
        for row in files.itertuples():
            cells[(str(row.year),), "rows"] = row.rows
            cells[(str(row.year),), "columns"] = row.columns
    if frequencies is not None:
        there = frequencies[frequencies.variable == "STFIPS"]
        for year, part in there.groupby("year"):
            found = {str(code) for code in part.code}
            out = [name for code, name in states.items() if code not in found]
            cells[(str(year),), "states_excluded"] = "; ".join(out)
            total = int(part.frequency.sum())
            cells.setdefault(((str(year),), "rows"), total)
    return fill(rows, ["year"], cells)


def registry(rows, files):
    """Fill sizes and hashes of ``registry.csv``."""
    columns = [name for name in rows[0] if name not in ("year", "urls")]
    cells = {}
    for row in files.to_dict("records"):
        for column in columns:
            value = row.get(column)
            if value is not None and not pd.isna(value):
                value = int(value) if column.endswith("_bytes") else value
                cells[(str(row["year"]),), column] = value
    return fill(rows, ["year"], cells)


def make(counts, out, base=sources.DATA):
    """Write the tables with the numbers of a folder of counts.

    Parameters
    ----------
    counts : path
        Written by ``count_teds.py``.
    out : path
        Like ``data/``.
    base : path
        Holds the tables as they are.

    Returns
    -------
    dict of str to Tally
        By the table's path below ``data/``; only those that something was counted for.
    """
    files = count_teds.load(counts, "files")
    frequencies = count_teds.load(counts, "frequencies")
    tallies = {}
    path = "codebook/codes.csv"
    rows = sources.read_rows(base / path)
    states = {row["code"]: row["label"] for row in rows if row["variable"] == "STFIPS"}
    if frequencies is not None:
        tallies[path] = codes(rows, frequencies)
        sources.write_rows(out / path, rows)
    path = "codebook/years.csv"
    if files is not None or frequencies is not None:
        rows = sources.read_rows(base / path)
        tallies[path] = years(rows, files, frequencies, states)
        sources.write_rows(out / path, rows)
    path = "registry.csv"
    if files is not None:
        rows = sources.read_rows(base / path)
        tallies[path] = registry(rows, files)
        sources.write_rows(out / path, rows)
    return tallies


def main(words=None):
    """Write the tables and tell what changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=Path, default=sources.COUNTS)
    parser.add_argument("--out", type=Path, default=sources.DATA)
    asked = parser.parse_args(words)
    tallies = make(asked.counts, asked.out)
    if not tallies:
        raise sources.InputError(
            f"nothing has been counted in {asked.counts}; run tools/count_teds.py first"
        )
    for path, tally in tallies.items():
        print(f"{path}: {tally}")
    return 0


if __name__ == "__main__":
    sources.run(main)
