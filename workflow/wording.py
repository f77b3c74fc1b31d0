"""Which words does a built page use that this book does not?

The list is the one readers see: in the tables of ``book/words.md``, what stands in
italics in the column *in place of* is looked for in the text of every page.  Code,
quotations, labels and titles are not ours and are passed over.

Usage: python workflow/wording.py _build/html
prints the page, the word with some of its sentence, and what to write; exit code 1 if
there is any.
"""

import argparse
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from sudlib.files import InputError

ROOT = Path(__file__).resolve().parent.parent
WORDS = ROOT / "book" / "words.md"
#: Pages that are not prose of this book, or name the words to say why not.
PASSED_OVER = ("words.html", "genindex.html", "search.html", "py-modindex.html",
               "references.html")  # fmt: skip
FOLDERS_PASSED_OVER = ("_modules", "_sources", "_static", "api")
#: Names and labels that are kept letter for letter.
AGENCY = "Substance Abuse and Mental Health Services Administration"
LABELS = pd.concat(
    pd.read_csv(ROOT / "data" / "codebook" / f"{table}.csv").label
    for table in ("codes", "variables")
)
#: Terms in which an avoided word means something else.
TERMS = ("heart failure",)
#: What the list of claims prints in the words of a study or of the codebook.
PRINTED = {"claims.html": ("abuse", "medication-assisted")}


def avoided(page=WORDS):
    """Return {word or phrase, lower case: what to write in its place}."""
    words = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) < 2:
            continue
        for word in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", cells[1]):
            words[word.lower()] = cells[0]
    if not words:
        raise InputError(f"{page.name} has no word in italics in its second column")
    return words


class _Prose(HTMLParser):
    """The text of a page that is this book's own prose."""

    NOT_OURS = {"script", "style", "code", "pre", "q", "cite", "em", "i", "nav",
                "footer", "head", "blockquote", "title"}  # fmt: skip
    WITHOUT_END = {"br", "img", "hr", "input", "meta", "link", "wbr", "col", "source"}

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.WITHOUT_END:
            self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if not self.NOT_OURS.intersection(self.open):
            self.texts.append(data)


def prose(html):
    """Return the text of a page without code, emphasis, quotations and menus."""
    parser = _Prose()
    parser.feed(html)
    return _ours(" ".join(parser.texts))


def written(markdown):
    """Return a Markdown text without code, emphasis in italics and quotations."""
    text = re.sub(r"```.*?```|`[^`]*`|<[^>]*>", "", markdown, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return _ours(re.sub(r"(?<![*\w])([*_])(?![*_\s])[^*_]+\1(?![*\w])", "…", text))


def _ours(text):
    """Return a text without quotations, the agency's name and its labels."""
    text = re.sub(r"“[^”]*”|\"[^\"]*\"", "…", " ".join(text.split()))
    for quoted in (AGENCY, *TERMS, *LABELS[LABELS.str.len() > 10]):
        text = text.replace(quoted, "…")
    return text


def find(text, words):
    """Yield each avoided word in a text, with its surroundings and its substitute."""
    anyone = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    for match in re.finditer(rf"\b({anyone})\b", text, re.IGNORECASE):
        around = text[max(0, match.start() - 45) : match.end() + 45]
        yield match[0], around, words[match[0].lower()]


def find_on(page, words):
    """Return the avoided words on a built page, as :func:`find` yields them."""
    printed = PRINTED.get(page.name, ())
    found = find(prose(page.read_text(encoding="utf-8")), words)
    return [each for each in found if each[0].lower() not in printed]


def pages(site):
    """Yield the pages of a built site whose words are ours."""
    for page in sorted(Path(site).rglob("*.html")):
        inside = page.relative_to(site)
        if page.name not in PASSED_OVER and not {*FOLDERS_PASSED_OVER} & {
            *inside.parts
        }:
            yield page


def main():
    """Tell what is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, help="the built site, _build/html say")
    site = parser.parse_args().site
    if not site.is_dir():
        sys.exit(f"there is no folder {str(site)!r}: run make book first")
    words, count = avoided(), 0
    for page in pages(site):
        for word, around, better in find_on(page, words):
            count += 1
            print(f"{page.relative_to(site)}: {word!r} in … {around} …; {better}")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
