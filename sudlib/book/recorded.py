"""Runs at the studies' own sizes, which come with the book, beside a run of this copy.

They take minutes to hours of computing, so they were run once and kept in
``data/results/paper`` by ``tools/record_paper.py``: claims and what the page says of
itself, no row.  All of them stand on the page *At full size*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from sudlib.book.claims import compare
from sudlib.book.claims_html import OPEN_LINES
from sudlib.book.claims_text import AT_FULL_SIZE, describe, our_text, paper_text
from sudlib.book.printed import published
from sudlib.book.prose import folded
from sudlib.book.results import read_result
from sudlib.book.verdicts import PUBLISHED_ARM
from sudlib.estimates import with_minus
from sudlib.files import InputError, data_file


def recorded_result(notebook: str) -> dict[str, Any] | None:
    """Return what was recorded of a page at full size, or None.

    Parameters
    ----------
    notebook : str
        Its name.

    Returns
    -------
    dict or None
        As :func:`sudlib.book.read_result` returns it, without tables, and with
        ``glance``: what the page then said at its top.

    Examples
    --------
    >>> recorded_result("a99_no_page") is None
    True
    """
    try:
        path = data_file(f"results/paper/{notebook}.json")
    except InputError:
        return None
    full = read_result(path)
    shared = full.pop("common", {})
    return full | {"claims": [{**shared, **claim} for claim in full["claims"]]}


def when(full: Mapping[str, Any]) -> str:
    """Return when and how long a recorded run computed, in words.

    Parameters
    ----------
    full : mapping
        From :func:`recorded_result`.

    Returns
    -------
    str

    Examples
    --------
    >>> when({"stamp": {"date": "2026-11-30T00:10+00:00", "device": "2 CPU cores (x)",
    ...                 "threads": "1", "cpu_minutes": 12.34}})
    'on 2026-11-30, on 2 CPU cores with 1 thread, in 12 minutes of computing'
    """
    stamp = full["stamp"]
    device = stamp["device"].partition(" (")[0]
    threads = stamp["threads"]
    with_threads = f"with {threads} thread{'s' * (threads != '1')}"
    if not threads.isdigit():
        with_threads = f"with threads: {threads}"
    return (
        f"on {stamp['date'][:10]}, on {device} {with_threads}, in"
        f" {in_words(stamp['cpu_minutes'])} of computing"
    )


def in_words(minutes: float) -> str:
    """Return a time in words.

    Parameters
    ----------
    minutes : float

    Returns
    -------
    str

    Examples
    --------
    >>> [in_words(minutes) for minutes in (0.21, 12.34, 150)]
    ['13 seconds', '12 minutes', '2.5 hours']
    """
    if minutes < 1.5:
        return f"{60 * minutes:.0f} seconds"
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.2g} hours"


def with_recorded(results: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return results, and after them what was recorded at the studies' sizes.

    Parameters
    ----------
    results : mapping of str to dict
        By notebook, as :func:`sudlib.book.read_results` returns them.

    Returns
    -------
    list of dict
        Of a recorded page those claims whose numbers differ from this copy's, each
        with a note; none of a page that this copy ran at full size itself.
    """
    found = list(results.values())
    for name, result in results.items():
        full = recorded_result(name)
        if full is None or is_paper_size(result):
            continue
        own = [_number(claim) for claim in result["claims"]]
        note = f"{AT_FULL_SIZE}, {full['stamp']['date'][:10]}"
        claims = [
            {**claim, "note": "; ".join(filter(None, (note, claim.get("note"))))}
            for claim in full["claims"]
            if _number(claim) not in own
        ]
        found.append({**full, "claims": claims})
    return found


def is_paper_size(result: Mapping[str, Any]) -> bool:
    """Return whether a result was itself computed at full size.

    Parameters
    ----------
    result : mapping
        As :meth:`sudlib.book.Run.finish` writes it.

    Returns
    -------
    bool
    """
    return bool(result["stamp"]["parameters"].get("size") == "paper")


def _number(claim: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes a claim's number the same as another's."""
    return tuple(
        str(claim.get(name)) for name in ("key", "arm", "value", "low", "high")
    )


def beside(
    result: Mapping[str, Any], full: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None]]:
    """Yield each claim of a page, with its number in two runs.

    Parameters
    ----------
    result, full : mapping
        A run of this copy, and what was recorded.

    Yields
    ------
    str
        What the claim is about.
    mapping or None
        The row of :func:`sudlib.book.compare` for this copy, None where it has none.
    mapping or None
        The same for the recorded run.
    """
    every = published()
    keys = {claim["key"] for run in (result, full) for claim in run["claims"]}
    printed = every[every.index.isin(keys)]
    if printed.empty:
        return
    sides = [_by_arm(compare([dict(run)], printed)) for run in (result, full)]
    for key, arm, place in dict.fromkeys([*sides[0], *sides[1]]):
        claim = every.loc[key]
        words = "; ".join(filter(None, (describe(claim), claim["condition"])))
        if arm not in (None, PUBLISHED_ARM):
            words += f" ({arm})"
        first, second = (side.get((key, arm, place)) for side in sides)
        yield words, first, second


def _by_arm(table: Any) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Return the rows that have a number, by claim, arm and place among the same."""
    rows = [(key, row["arm"], row) for key, row in table.iterrows()]
    rows = [each for each in rows if each[2]["ours"] is not None]
    return {
        (*pair, place): row
        for pair, same in groupby(rows, key=lambda each: each[:2])
        for place, (_, _, row) in enumerate(same)
    }


def lies_within(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool | None:
    """Return whether a number lies in another's interval; None without an interval.

    Parameters
    ----------
    first, second : mapping
        Rows of :func:`sudlib.book.compare`; the interval is the first's.

    Returns
    -------
    bool or None
    """
    if None in (first["low"], first["high"]) or first["kind"] == "matrix":
        return None
    return bool(first["low"] <= second["ours"] <= first["high"])


def at_full_size(result: Mapping[str, Any], full: Mapping[str, Any]) -> str:
    """Return what a page finds at full size, beside a run of this copy.

    Parameters
    ----------
    result, full : mapping
        A run of this copy, and what was recorded of the same page.

    Returns
    -------
    str
        Markdown.
    """
    origins = {used.get("origin", "unverified") for used in full["stamp"]["data"]}
    made_up = " The records of that run are made up." if "synthetic" in origins else ""
    parts = [
        f"This page was run at full size {when(full)}"
        f" (commit {full['stamp']['commit']}).{made_up}"
    ]
    if full.get("glance"):
        quoted = full["glance"].replace("\n", "\n> ")
        parts += ["At its top, the page then says:", f"> {quoted}"]
    lines, same = [], 0
    for words, first, second in beside(result, full):
        ours = ["" if row is None else our_text(row) for row in (first, second)]
        same += ours[0] == ours[1]
        if ours[0] != ours[1]:
            printed = next(paper_text(r) for r in (second, first) if r is not None)
            lines.append(f"| {words} | {printed} | {ours[0]} | {ours[1]} |")
    if lines:
        size = result["stamp"]["parameters"].get("size", "")
        head = [
            f"| claim | printed | this copy{f' ({size})' if size else ''} | at full"
            " size |",
            "| --- | ---: | ---: | ---: |",
        ]
        table = "\n".join([*head, *lines])
        if len(lines) > OPEN_LINES:
            told = f"{len(lines)} numbers: printed, of this copy, at full size"
            table = folded(told, f"\n\n{table}\n\n")
        parts.append(table)
    if same:
        parts.append(
            f"{same} more of its numbers and settings are the same at both sizes."
        )
    if full.get("claims_left_out"):
        parts.append(
            f"Of the recorded run {len(full['claims'])} numbers of claims are kept;"
            f" {full['claims_left_out']} more can be had by running it."
        )
    return with_minus("\n\n".join(parts))
