"""The claims ledger as HTML: badges, tables, one table a page."""

import html

from sudlib.book.claims import compare
from sudlib.book.claims_text import our_text, paper_text
from sudlib.book.printed import published
from sudlib.files import InputError

_STYLE = """<style>
table.claims{--line:#8886;--good:#0b6b3a;--bad:#a4262c;--made:#6a3d9a;--still:#555b63;
 border-collapse:collapse;width:100%;font-size:.9em;line-height:1.4;color:inherit}
html[data-theme=dark] table.claims,body[data-jp-theme-light=false] table.claims{
 --good:#7ddba3;--bad:#ff9a93;--made:#cfb3ff;--still:#b6bcc4}
table.claims caption{caption-side:top;text-align:left;font-weight:600;color:inherit}
table.claims :is(th,td){text-align:left;vertical-align:top;white-space:normal;
 padding:.45em .7em .45em 0;border:0;border-bottom:1px solid var(--line);
 background:none;color:inherit}
table.claims tr{background:none!important}
table.claims tr.group th{padding-top:1.2em;border-bottom:2px solid var(--line)}
table.claims th[scope=row]{font-weight:500;width:33%}
table.claims small{display:block;font-size:.86em;font-weight:400}
table.claims .number{font-variant-numeric:tabular-nums}
table.claims .verdict{font-weight:600;color:var(--still)}
table.claims .verdict:is(.reproduced,.agrees){color:var(--good)}
table.claims .verdict:is(.differs,.disagrees){color:var(--bad)}
table.claims .verdict.synthetic{color:var(--made);font-style:italic}
@media (max-width:700px){
 table.claims thead{position:absolute;width:1px;height:1px;overflow:hidden;
  clip-path:inset(50%)}
 table.claims,table.claims :is(tbody,caption,tr,td,th){display:block;width:auto}
 table.claims tr{border-bottom:2px solid var(--line);padding:.5em 0}
 table.claims tr.group{border-bottom:0}
 table.claims :is(td,th[scope=row]){border:0;padding:.15em 0;width:auto}
 table.claims td[data-label]:not(:empty)::before{content:attr(data-label) ": ";
  font-weight:600}
 table.claims td:empty{display:none}
}
</style>"""


_SIGNS = {
    "reproduced": "✓",
    "differs": "✗",
    "agrees": "✓",
    "disagrees": "✗",
    "synthetic": "≈",
    "used as printed": "=",
    "used otherwise": "≠",
}


def badge(word):
    """Return a verdict as HTML: its word, its sign and a class for its colour.

    Examples
    --------
    >>> badge("differs")
    '<span class="verdict differs">✗ differs</span>'
    """
    text = f"{_SIGNS[word]} {word}" if word in _SIGNS else word
    return f'<span class="verdict {word.replace(" ", "-")}">{text}</span>'


def show(table, *, caption="", links=False):
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

    return HTML(_STYLE + to_html(table, caption=caption, links=links))


def to_html(table, *, caption="", links=False):
    """Return the HTML of :func:`show` without its style sheet, as text."""
    heads = ("Claim", "The study", "Ours (95 % interval)", "Verdict")
    # Roles are said outright: as cards on a phone the cells are no table cells.
    lines = ['<table class="claims" role="table">']
    if caption:
        lines.append(f"<caption>{html.escape(caption)}</caption>")
    names = "".join(
        f'<th scope="col" role="columnheader">{name}</th>' for name in heads
    )
    lines.append(f'<thead role="rowgroup"><tr role="row">{names}</tr></thead>')
    lines.append('<tbody role="rowgroup">')
    group = None
    for key in dict.fromkeys(table.index):
        arms = [row for _, row in table.loc[[key]].iterrows()]
        first = arms[0]
        title = ": ".join(part for part in (first["cohort"], first["model"]) if part)
        if title != group:
            group = title
            title = html.escape(title[0].upper() + title[1:])
            lines.append(
                '<tr class="group" role="row"><th scope="rowgroup" role="rowheader"'
                f' colspan="{len(heads)}">{title}</th></tr>'
            )
        cells = (
            _paper_cell(first),
            "".join(_ours_cell(row, links) for row in arms),
            _verdict_cell(first),
        )
        lines.append(
            f'<tr role="row" data-key="{key}"><th scope="row" role="rowheader">'
            f"{_claim_cell(first)}</th>"
            + "".join(
                f'<td role="cell" data-label="{name}">{cell}</td>'
                for name, cell in zip(heads[1:], cells, strict=True)
            )
            + "</tr>"
        )
    return "\n".join([*lines, "</tbody></table>"])


def _small(*parts):
    """Return the parts that are not empty as one line of small print."""
    text = "; ".join(str(part) for part in parts if part)
    return f"<small>{html.escape(text)}</small>" if text else ""


def _claim_cell(row):
    return html.escape(row["metric"]) + _small(row["condition"], row["where"])


def _paper_cell(row):
    full = html.escape(row["printed"])
    number = f'<span class="number" title="{full}">{paper_text(row)}</span>'
    if row["consistent"] != "disagrees":
        return number
    return f"{number}<small>{badge('disagrees')} with other printed numbers</small>"


def _ours_cell(row, links):
    text = our_text(row)
    if not text:
        return ""
    number = f'<span class="number">{html.escape(text)}</span>'
    if links:
        number = f'<a href="{row["notebook"]}.html">{number}</a>'
    return (
        f"<div>{number}"
        + _small(
            *(
                ()
                if row["kind"] == "input"  # it depends on no records
                else ("synthetic" if row["synthetic"] else row["data"], row["arm"])
            ),
            f"{row['n']:,} people" if row["n"] else "",
            row["note"],
        )
        + "</div>"
    )


def _verdict_cell(row):
    text = badge(row["verdict"]) + _small(row["reason"])
    unsaid = row["verdict"] == "cannot be reproduced"
    unsaid |= row["kind"] in ("words", "input")
    if row["gap"] is None or unsaid:
        return text
    if row["kind"] == "count":
        gap = f"{row['gap']:+,.0f}, tolerance {row['tolerance']:,.0f}"
    elif row["kind"] == "matrix":
        gap = f"{100 * row['gap']:+.1f} points, tolerance {100 * row['tolerance']:.1f}"
        gap += ", in the cell furthest out"
    else:
        gap = f"{row['gap']:+.3f}, tolerance {row['tolerance']:.3f}"
    return text + _small(f"gap {gap}")


def page_table(run, keys=None, *, numbers=None, caption=""):
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
        Our numbers, kept first as :meth:`sudlib.book.run.Run.claim` keeps a dict.
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
        given = (every.index.isin(wanted)) | every["same_as"].isin(wanted)
        chosen = list(every.index[given])
    else:
        chosen = []
        for key in keys:
            found = [
                name
                for name in every.index
                if name == key or (key.endswith(".") and name.startswith(key))
            ]
            if not found:
                raise InputError(f"no study makes the claim {key!r}")
            chosen += [name for name in found if name not in chosen]
    result = {"notebook": run.notebook, "claims": run.claims}
    return show(compare([result], every.loc[chosen]), caption=caption)
