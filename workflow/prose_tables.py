"""The tables that pages of prose show: what contradicts what, verdicts, devices."""

import re
from pathlib import Path

import nbformat
import pandas as pd

from sudlib import book
from sudlib.files import data_file

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "data" / "results" / "benchmarks"


def errata_table(checks):
    """Return the printed numbers that contradict each other, as a Markdown table."""
    printed = book.published()
    lines = ["| number | printed | but | gives |", "| --- | ---: | --- | ---: |"]
    for _, check in checks[~checks["agrees"]].iterrows():
        claim = printed.loc[check["key"]]
        lines.append(
            f"| {book.describe(claim)} ({claim['where']}) | {check['printed']}"
            f" | {check['check']} | {check['expected']} |"
        )
    return "\n".join(lines)


def title_of(page):
    """Return a page's title as a link, from a page of prose."""
    prose = ROOT / "book" / f"{page}.md"
    if prose.exists():
        first, where = prose.read_text(encoding="utf-8"), prose.name
    else:
        path = ROOT / "notebooks" / f"{page}.ipynb"
        first = nbformat.read(path, as_version=4).cells[0].source
        where = f"../notebooks/{path.name}"
    return f"[{first.partition(chr(10))[0].lstrip('# ')}]({where})"


def judgements_table():
    """Return what the book says against the studies, as a Markdown table."""
    titles = {}
    lines = ["| page | what it says | what would refute it |", "| --- | --- | --- |"]
    register = pd.read_csv(data_file("claims/judgements.csv"), keep_default_na=False)
    for _, row in register.iterrows():
        name = row["page"]
        if name not in titles:
            titles[name] = title_of(name)
        said = re.sub(r"\[([^]]*)\](\([^)]*\))?", r"\1", row["sentence"])
        said = re.sub(r"\{[^}]*\}", "…", said).replace("**", "")
        # the row ends with dots of its own
        said = said.rstrip(".").removesuffix("…").rstrip()
        lines.append(f"| {titles[name]} | … {said} … | {row['refuted_by']} |")
    return "\n".join(lines)


def verdict_table(counts):
    """Return how many claims have which verdict, as a Markdown table."""
    shown = [verdict for verdict in book.VERDICTS if counts[verdict].sum()]
    lines = [
        "| study | " + " | ".join(book.badge(verdict) for verdict in shown) + " |",
        "| --- |" + " ---: |" * len(shown),
    ]
    for study, row in counts.iterrows():
        numbers = " | ".join(str(row[verdict]) for verdict in shown)
        lines.append(f"| {book.STUDIES[study]} | {numbers} |")
    return "\n".join(lines)


def devices_table(measured):
    """Return how fast each device was, as a Markdown table; a GPU's absence is said.

    Parameters
    ----------
    measured : pandas.DataFrame
        What ``tests/benchmarks/bench_devices.py --save`` wrote.
    """
    lines = [
        "| device | work | precision | records a second | measured |",
        "| --- | --- | --- | ---: | --- |",
    ]
    for _, row in measured.iterrows():
        rate = row["records_per_second"]
        lines.append(
            f"| {row['device']} | {row['work']}, {row['batch']} at a time"
            f" | {row['precision'].replace('_', ' ')}"
            f" | {rate:,.0f} | {row['date']} |"
        )
    if not measured["gpu"].any():
        lines.append("| a GPU | not measured: none was at hand | | | |")
    return "\n".join(lines)


def benchmarks(folder=BENCHMARKS):
    """Return the benchmarks that were kept, each with its question and provenance."""
    parts = []
    for path in sorted(folder.glob("*.txt")):
        question, command, where, _, *table = path.read_text("utf-8").splitlines()
        fence = ["```text", *table, "```"]
        parts += [f"## {question}", "", f"`{command}`", "", f"Measured {where}.", ""]
        parts += [*fence, ""]
    return "\n".join(parts) or "No benchmark is kept: `make bench` runs them."
