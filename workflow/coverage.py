"""What of the papers is here: the rows of ``data/claims/coverage.csv`` as tables."""

from __future__ import annotations

import re

import nbformat
import pandas as pd

from sudlib import book
from sudlib.files import data_file

STATES = ("complete", "partial", "missing")
NOTEBOOKS = book.ROOT / "notebooks"


def rows():
    """Return the items of the three studies, each with its state and its place."""
    return pd.read_csv(data_file("claims/coverage.csv"), keep_default_na=False)


def headings(page):
    """Return the headings of a notebook below its title."""
    cells = nbformat.read(NOTEBOOKS / f"{page}.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"^##+ (.+)$", text, re.M)


def anchor(heading):
    """Return the anchor that MyST gives to a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.strip().replace(" ", "-")


def place(row):
    """Return the link of a row to its section."""
    if not row.page:
        return ""
    return (
        f"[{row.section}](../notebooks/{row.page}.ipynb#{anchor(row.section)})"
        f" ({row.page.split('_')[0]})"
    )


def table(items):
    """Return items of one study as a Markdown table."""
    lines = ["| in the paper | item | state | where |", "| --- | --- | --- | --- |"]
    for row in items.itertuples():
        where = " ".join(filter(None, (place(row), row.reason)))
        lines.append(f"| {row.where} | {row.item} | {row.state} | {where} |")
    return "\n".join(lines)


def names():
    """Return what the page ``book/coverage.md`` shows, by its names."""
    items = rows()
    counts = {
        f"coverage_{state}": str((items.state == state).sum()) for state in STATES
    }
    tables = {
        f"coverage_{study}": table(part) for study, part in items.groupby("study")
    }
    return {"coverage_all": str(len(items)), **counts, **tables}
