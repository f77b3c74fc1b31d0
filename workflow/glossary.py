"""Link the first use of each term on a page to the glossary, with its meaning.

The meaning is shown where the pointer rests on the link (its title).  Only text is
touched: no heading, link, code, formula, tag or directive.
"""

import html
import re
import unicodedata
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Words that mean something else too: the studies on whose pages they are the term
#: ("-": pages of no study).
ONLY = {
    "arm": "a", "bias": "", "cell": "", "claim": "", "completed": "", "contrast": "c",
    "head": "a", "interaction": "bc", "kernel": "b", "missing": "", "multiverse": "ac",
    "overlap": "", "permuted": "ab", "profile": "", "stale": "", "threshold": "a-",
    "value": "c", "verdict": "acd-",
}  # fmt: skip
#: What stays as it is: fenced and indented code, displayed and inline formulas, code,
#: substitutions, headings, comments, links with their words, and tags.
KEPT = re.compile(
    r"(?ms)^(?P<fence> *(?:`{3,}|~{3,})).*?^(?P=fence)`*~* *$"
    r"|^ {4,}\S[^\n]*$|^#{1,6} [^\n]*$|^:{3,}[^\n]*$|^\([\w-]+\)=$"
    r"|\$\$.*?\$\$|(?<![\\$])\$[^$\n]+\$|(?P<tick>`+).*?(?P=tick)|\{\{.*?\}\}"
    r"|<!--.*?-->|<(?P<tag>a|summary|code|pre|script|style|svg|button)\b.*?</(?P=tag)>"
    r"|</?[a-zA-Z][^>]*>|!?\[(?:[^\[\]]|\[[^\[\]]*\])*\](?:\([^)]*\)|\[[^\]]*\])?"
    r"|https?://\S+"
)


@cache
def read(root=ROOT):
    """Return the meaning of each term of ``book/glossary.md``, on one line."""
    path = root / "book" / "glossary.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.search(r"(?ms)^```\{glossary\}\n(.*?)^```", text)
    return {
        term: re.sub(r"\s+", " ", meaning).strip()
        for term, meaning in re.findall(
            r"(?m)^(\S.*)\n((?: +\S.*\n)+)", found[1] if found else ""
        )
    }


def anchor(term):
    """Return the id that Sphinx gives to a term of a glossary."""
    plain = unicodedata.normalize("NFKD", term).encode("ascii", "ignore").decode()
    return "term-" + re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-")


@cache
def pattern(terms):
    """Return what finds any of some terms, the longest first, plurals too."""
    words = sorted(terms, key=len, reverse=True)
    either = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in words)
    return re.compile(rf"(?<![\w-])({either})(e?s)?(?![\w-])", re.I)


def linker(page, root=ROOT):
    """Return a function that links terms in one text of a page after another.

    Parameters
    ----------
    page : str
        Its name without folder and ending; the first letter of a notebook's is its
        study, which decides about words with two meanings (:data:`ONLY`).
    root : pathlib.Path
        The checkout.
    """
    found = re.match(r"([abcd])\d\d_|study_([abcd])$", page)
    study = (found[1] or found[2]) if found else "-"
    meanings = {
        term: meaning
        for term, meaning in read(root).items()
        if study in ONLY.get(term, study)
    }
    if not meanings:
        return str
    names = {term.casefold(): term for term in meanings}
    used = set()

    def link(found):
        term = names[re.sub(r"\s+", " ", found[1]).casefold()]
        if term in used or (term == "value" and found[2]):  # values are numbers
            return found[0]
        used.add(term)
        title = html.escape(re.sub(r"[`*]", "", meanings[term])).replace("|", "&#124;")
        return (
            f'<a class="term" href="../book/glossary.html#{anchor(term)}"'
            f' title="{title}">{found[0]}</a>'
        )

    def link_all(text):
        parts, end = [], 0
        for kept in KEPT.finditer(text):
            parts += [pattern(tuple(meanings)).sub(link, text[end : kept.start()])]
            parts += [kept[0]]
            end = kept.end()
        return "".join([*parts, pattern(tuple(meanings)).sub(link, text[end:])])

    return link_all


def add(notebook, page, root=ROOT):
    """Link the terms in a notebook's Markdown cells; return the notebook."""
    link = linker(page, root)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = link(cell.source)
    return notebook


def add_to_prose(folder, root=ROOT):
    """Link the terms on a folder's pages of prose, but for those that are lists."""
    for page in sorted(folder.glob("*.md")):
        if page.stem not in ("errata", "glossary", "index", "references", "words"):
            text = page.read_text(encoding="utf-8")
            page.write_text(linker(page.stem, root)(text), encoding="utf-8")
