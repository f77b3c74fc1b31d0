"""The claims ledger as HTML: badges, tables, one table a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sudlib.book.claims import compare
from sudlib.book.claims_text import our_text, paper_text
from sudlib.book.printed import published
from sudlib.files import InputError, data_file

if TYPE_CHECKING:
    import jinja2
    import pandas as pd
    from IPython.display import HTML

    from sudlib.book.run import Run

_HEADS = ("Claim", "The study", "Ours (95 % interval)", "Verdict")
_SIGNS = {"reproduced": "✓", "differs": "✗", "agrees": "✓", "disagrees": "✗"}
_SIGNS |= {
    "inconsistent": "✗",
    "synthetic": "≈",
    "used as printed": "=",
    "used otherwise": "≠",
}


def badge(word: str) -> str:
    """Return a verdict as HTML: its word, its sign and a class for its colour.

    Parameters
    ----------
    word : str
        One of :data:`sudlib.book.VERDICTS`, ``"agrees"`` or ``"disagrees"``.

    Returns
    -------
    str

    Examples
    --------
    >>> badge("differs")
    '<span class="verdict differs">✗ differs</span>'
    """
    text = f"{_SIGNS[word]} {word}" if word in _SIGNS else word
    return f'<span class="verdict {word.replace(" ", "-")}">{text}</span>'


def show(table: pd.DataFrame, *, caption: str = "", links: bool = False) -> HTML:
    """Return a table of claims as HTML, for a notebook to display.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare`.
    caption : str, optional
        What the table shows, in one sentence.
    links : bool, default=False
        Link each number to the page that computed it (for the claims page, which
        stands beside them).

    Returns
    -------
    IPython.display.HTML
        Readable in light and dark mode; on a phone each claim becomes a card.
    """
    from IPython.display import HTML

    style = data_file("style/claims.css").read_text(encoding="utf-8")
    page = to_html(table, caption=caption, links=links)
    return HTML(f"<style>{style}</style>{page}")


def to_html(table: pd.DataFrame, *, caption: str = "", links: bool = False) -> str:
    """Return the HTML of :func:`show` without its style sheet, as text.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare`.
    caption : str, optional
        What the table shows, in one sentence.
    links : bool, default=False
        As for :func:`show`.

    Returns
    -------
    str
    """
    rows = [_row(key, row) for key, row in table.iterrows()]
    groups = [
        (title, [list(arms) for _, arms in groupby(claims, lambda row: row["key"])])
        for title, claims in groupby(rows, lambda row: row["title"])
    ]
    return _template().render(
        groups=groups, heads=_HEADS, caption=caption, links=links, badge=badge
    )


@cache
def _template() -> jinja2.Template:
    import jinja2

    text = data_file("style/claims.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True).from_string(text)


def _row(key: Any, row: pd.Series) -> dict[str, Any]:
    """Return what the template shows of one number."""
    title = ": ".join(part for part in (row["cohort"], row["model"]) if part)
    behind = ["synthetic" if row["synthetic"] else row["data"], row["arm"]]
    if row["kind"] == "input":  # it depends on no records
        behind = []
    behind += [f"{row['n']:,} people" if row["n"] else "", row["note"]]
    return {
        **row,
        "key": key,
        "title": title[0].upper() + title[1:],
        "paper": paper_text(row),
        "number": our_text(row),
        "behind": behind,
        "distance": _distance(row),
    }


def _distance(row: Mapping[str, Any]) -> str:
    """Return gap and tolerance in words; empty where neither says anything."""
    gap, allowed, kind = row["gap"], row["tolerance"], row["kind"]
    if gap is None or row["verdict"] == "cannot be reproduced":
        return ""
    if kind == "matrix":
        points = f"gap {100 * gap:+.1f} points, tolerance {100 * allowed:.1f}"
        return f"{points}, in the cell furthest out"
    digits = {"count": ",.0f", "words": "", "input": ""}.get(kind, ".3f")
    return f"gap {gap:+{digits}}, tolerance {allowed:{digits}}" if digits else ""


def page_table(
    run: Run,
    keys: Iterable[str] | None = None,
    *,
    numbers: dict[str, Any] | None = None,
    caption: str = "",
) -> HTML:
    """Return this notebook's numbers beside the study's, for the end of a page.

    Parameters
    ----------
    run : sudlib.book.run.Run
        The run whose claims are shown (anything with ``notebook`` and ``claims``).
    keys : list of str, optional
        Claims to show, in this order; by default those the run has numbers for, in
        the order of the study.  A key that ends in a dot stands for all that begin
        with it.
    numbers : dict, optional
        Our numbers, kept first as :meth:`sudlib.book.Run.claim` keeps a dict.
    caption : str, optional
        What the table shows, in one sentence.

    Returns
    -------
    IPython.display.HTML

    Raises
    ------
    InputError
        If a key is no claim of a study.
    """
    every = published()
    if numbers:
        run.claim(numbers)
    if keys is None:
        wanted = {ours["key"] for ours in run.claims}
        keys = every.index[every.index.isin(wanted) | every["same_as"].isin(wanted)]
    chosen: dict[str, None] = {}  # a set that keeps its order
    for key in keys:
        named = [name for name in every.index if name == key]
        if key.endswith("."):
            named = [name for name in every.index if name.startswith(key)]
        if not named:
            raise InputError(f"no study makes the claim {key!r}")
        chosen |= dict.fromkeys(named)
    result = {"notebook": run.notebook, "claims": run.claims}
    return show(compare([result], every.loc[list(chosen)]), caption=caption)
