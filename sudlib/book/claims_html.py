"""The claims ledger as HTML: badges, tables, one table a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from sudlib.book.claims import compare
from sudlib.book.claims_text import AT_FULL_SIZE, our_text, own_verdict, paper_text
from sudlib.book.printed import STUDIES, published
from sudlib.book.prose import folded
from sudlib.book.verdicts import PUBLISHED_ARM, VERDICTS
from sudlib.estimates import with_minus
from sudlib.files import InputError, data_file

if TYPE_CHECKING:
    import jinja2
    import pandas as pd
    from IPython.display import HTML

    from sudlib.book.run import Run

#: Tables longer than this are folded.
OPEN_LINES = 12

_HEADS = ("Claim", "The study", "Ours (95% interval)", "Verdict")
_SIGNS = {"reproduced": "✓", "differs": "✗", "agrees": "✓", "disagrees": "✗"}
_SIGNS |= {
    "inconsistent": "✗",
    "synthetic": "≈",
    "used as printed": "=",
    "used otherwise": "≠",
}

# One letter a verdict: the class of its rows among a thousand.
_CODES = dict(zip(VERDICTS, "rdisncuow", strict=True))


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
    return f'<span class="verdict {word.replace(" ", "-")}">{_with_sign(word)}</span>'


def _with_sign(word: str) -> str:
    return f"{_SIGNS[word]} {word}" if word in _SIGNS else word


def show(table: pd.DataFrame, *, caption: str = "") -> HTML:
    """Return a table of claims as HTML, for a notebook to display.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare`.
    caption : str, optional
        What the table shows, in one sentence.

    Returns
    -------
    IPython.display.HTML
        Readable in light and dark mode; on a phone each claim becomes a card.
    """
    rows = [_row(key, row) for key, row in table.iterrows()]
    groups = [
        (title, [list(arms) for _, arms in groupby(claims, lambda row: row["key"])])
        for title, claims in groupby(rows, lambda row: row["title"])
    ]
    given = {"groups": groups, "heads": _HEADS, "badge": badge}
    return _styled(_template("claims").render(**given, caption=caption))


def _styled(page: str) -> HTML:
    """Return a page's HTML with the ledger's style sheet."""
    from IPython.display import HTML

    style = data_file("style/claims.css").read_text(encoding="utf-8")
    return HTML(f"<style>{style}</style>{page}")


def explorer(table: pd.DataFrame) -> HTML:
    """Return all claims as HTML that a reader can search, filter, sort and link to.

    The claims that each study rests on stand open
    (``data/claims/headlines.csv``); all are folded by where the study prints them.
    Unfolding needs no JavaScript; search, filters, sorting and CSV do, and no network.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare`.

    Returns
    -------
    IPython.display.HTML
    """
    import pandas as pd

    headlines = pd.read_csv(data_file("claims/headlines.csv"), index_col="key")
    claims = {
        key: _claim(key, list(rows))
        for key, rows in groupby(table.iterrows(), lambda pair: pair[0])
    }
    chosen = [
        claims[key] | {"words": words, "about": claims[key]["place"]}
        for key, words in headlines["words"].items()
        if key in claims
    ]
    every = list(claims.values())
    sections = [
        _section(letter, [each for each in every if each["study"] == letter])
        for letter in STUDIES
    ]
    given = {claim["verdict"] for claim in every}
    page = _template("explorer").render(
        heads=_HEADS,
        badge=badge,
        studies=list(STUDIES),
        verdicts=[(code, word) for word, code in _CODES.items() if word in given],
        pages=sorted({ours["page"] for claim in every for ours in claim["ours"]}),
        headlines=chosen,
        sections=[section for section in sections if section["parts"]],
        script=data_file("style/explorer.js").read_text(encoding="utf-8"),
    )
    return _styled(page)


def _claim(key: Any, rows: list[tuple[Any, pd.Series]]) -> dict[str, Any]:
    """Return what the explorer shows of one claim and of all our numbers for it."""
    shown = [_row(key, row) for _, row in rows]
    first, ours = shown[0], []
    for row in filter(lambda row: row["number"], shown):
        # The study's own recipe is what a number is of unless it says more.
        parts = [part for part in row["behind"] if part and part != PUBLISHED_ARM]
        parts = "; ".join(parts).split("; ")
        kept = [part for part in parts if not part.startswith(AT_FULL_SIZE)]
        number = row["number"] + " †" * (len(kept) < len(parts))
        behind = "; ".join(kept)
        ours.append({"number": number, "page": row["notebook"], "behind": behind})
    return first | {
        "place": first["where"],
        "words": first["metric"],
        "word": _with_sign(first["verdict"]),
        "code": _CODES[first["verdict"]],
        "note": "",
        "ours": ours,
    }


def _section(letter: str, claims: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one study's claims, folded by place; a reason that repeats stands once."""
    reasons = Counter(claim["reason"] for claim in claims if claim["reason"])
    notes = [(reason, n) for reason, n in reasons.most_common() if n > 2]
    numbers = {reason: place for place, (reason, _) in enumerate(notes, 1)}
    for claim in claims:
        if claim["reason"] in numbers:
            claim["note"], claim["reason"] = numbers[claim["reason"]], ""
    parts = []
    for where in dict.fromkeys(claim["place"] for claim in claims):
        here = [claim for claim in claims if claim["place"] == where]
        counts = Counter(claim["verdict"] for claim in here)
        counted = ", ".join(_counted(v, counts[v]) for v in VERDICTS if counts[v])
        groups = [
            _group(title, [each for each in here if each["title"] == title])
            for title in dict.fromkeys(claim["title"] for claim in here)
        ]
        named = f"{where[:1].upper()}{where[1:]}"
        parts.append({"where": named, "counts": counted, "groups": groups})
    return {"letter": letter, "title": STUDIES[letter], "notes": notes, "parts": parts}


def _counted(verdict: str, claims: int) -> str:
    """Return how many claims have a verdict: one differs, and several differ."""
    word = "differ" if verdict == "differs" and claims > 1 else verdict
    return f"{claims:,} {word}"


def _group(title: str, claims: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a group: its title, with what all its claims share, and the claims.

    Where all our numbers come from one page, or most claims have one verdict for one
    numbered reason, the group says so and those claims do not.  A number at full size
    does not repeat what is said of the number above it.
    """
    ours = [number for claim in claims for number in claim["ours"]]
    pages = {number["page"] for number in ours}
    words = Counter((claim["word"], claim["note"]) for claim in claims)
    group = {"claims": claims, "page": "", "word": "", "note": ""}
    if len(claims) > 1:
        title = "; ".join([title, *_take_shared(claims, "condition")])
        for name, mark in (("ours", False), ("†", True)):
            marked = [number for number in ours if ("†" in number["number"]) == mark]
            if behind := _take_shared(marked, "behind"):
                title += f"; {name}: {', '.join(behind)}"
        if len(pages) == 1:
            group["page"] = pages.pop()
        (word, note), often = words.most_common(1)[0]
        if note and 2 * often > len(claims):
            rest = "" if often == len(claims) else " unless a row says otherwise"
            group |= {"word": word, "note": note, "rest": rest}
            for claim in claims:
                if (claim["word"], claim["note"]) == (word, note):
                    claim["word"], claim["note"] = "", ""
    for claim in claims:
        for ours, full in pairwise(claim["ours"]):
            if "†" in full["number"] and full["behind"] == ours["behind"]:
                full["behind"] = ""
    return group | {"title": title}


def _take_shared(rows: list[dict[str, Any]], name: str) -> list[str]:
    """Take the parts of a text that all rows share out of each; return them."""
    parts = [row[name].split("; ") for row in rows]
    first = parts[0] if parts else []
    shared = [part for part in first if part and all(part in own for own in parts)]
    for row, own in zip(rows, parts, strict=True):
        row[name] = "; ".join(part for part in own if part not in shared)
    return shared


@cache
def _template(name: str) -> jinja2.Template:
    import jinja2

    text = data_file(f"style/{name}.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True).from_string(text)


def _row(key: Any, row: pd.Series) -> dict[str, Any]:
    """Return what the template shows of one number."""
    title = ": ".join(part for part in (row["cohort"], row["model"]) if part)
    behind = ["synthetic" if row["synthetic"] else row["data"], row["arm"]]
    if row["kind"] == "input":  # it depends on no records
        behind = []
    behind += [f"{row['n']:,} people" if row["n"] else "", row["note"]]
    own, condition = own_verdict(row)
    # A setting stands as code has it.
    told = str if row["kind"] in ("words", "input") else with_minus
    return {
        **row,
        "key": key,
        "title": title[0].upper() + title[1:],
        "condition": condition,
        # The study's own word on a number stands beside it.
        "paper": f"{told(paper_text(row))} {own}".strip(),
        "number": told(our_text(row)),
        "behind": behind,
        "distance": told(_distance(row)),
    }


def _distance(row: Mapping[str, Any]) -> str:
    """Return gap and tolerance in words; empty where neither says anything."""
    gap, allowed, kind = row["gap"], row["tolerance"], row["kind"]
    if gap is None or row["verdict"] == "cannot be reproduced":
        return ""
    if kind == "matrix":
        points = f"gap {100 * gap:+z.1f} points, tolerance {100 * allowed:.1f}"
        return f"{points}, in the cell furthest out"
    digits = {"count": ",.0f", "words": "", "input": ""}.get(kind, ".3f")
    return f"gap {gap:+z{digits}}, tolerance {allowed:{digits}}" if digits else ""


def page_table(
    run: Run,
    keys: Iterable[str] | None = None,
    *,
    numbers: dict[str, Any] | None = None,
    caption: str = "",
) -> HTML:
    """Return this notebook's numbers beside the study's, for the end of a page.

    A table of more than :data:`OPEN_LINES` lines is folded.

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
        fits = str.startswith if key.endswith(".") else str.__eq__
        named = [name for name in every.index if fits(name, key)]
        if not named:
            raise InputError(f"no study makes the claim {key!r}")
        chosen |= dict.fromkeys(named)
    result = {"notebook": run.notebook, "claims": run.claims}
    table = compare([result], every.loc[list(chosen)])
    page = show(table, caption=caption)
    if len(table) <= OPEN_LINES:
        return page
    from IPython.display import HTML

    told = f"The study's {len(chosen)} numbers and ours, as a table"
    return HTML(folded(told, page.data))
