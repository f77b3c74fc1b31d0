"""The book keeps its own list of words: in its sources, and on the built site."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

import notebook_style  # noqa: E402
import wording  # noqa: E402

from sudlib.book import freshness  # noqa: E402
from sudlib.files import InputError  # noqa: E402

SITE = Path(os.environ.get("SUDLIB_SITE", ROOT / "_build" / "html"))
PAGES = [
    *(page for page in sorted((ROOT / "book").glob("*.md")) if page.stem != "words"),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]
WORDS = wording.avoided()


def text_of(page):
    """Return what a source page says in words."""
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8")
    cells = nbformat.read(page, as_version=4).cells
    said = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return "\n\n".join(said + notebook_style.templates(freshness.source_of(page)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_keeps_the_list_of_words(page):
    assert not list(wording.find(wording.written(text_of(page)), WORDS))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_percentage_has_no_space_before_its_sign(page):
    assert not re.findall(r".{20}\d %", wording.written(text_of(page)))


@pytest.mark.skipif(not SITE.is_dir(), reason="no site is built: run `make book`")
def test_the_built_site_keeps_the_list_of_words():
    pages = list(wording.pages(SITE))
    assert len(pages) > 30
    wrong = {page.name: wording.find_on(page, WORDS) for page in pages}
    assert not {name: said for name, said in wrong.items() if said}


def test_the_list_holds_people_first_words_and_terms_of_the_field():
    assert {"addict", "patients", "abuse", "nought", "wrong model"} <= set(WORDS)
    assert "people" not in WORDS


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("<p>Forty patients were <b>clean</b>, anew.</p>", ["patients", "anew"]),
        ("<p>The study writes <em>patients</em> and “an addict”.</p>", []),
        ("<pre>patients = 3</pre><code>abuse</code><nav>abuse</nav>", []),
        ("<p>Substance Abuse and Mental Health Services Administration</p>", []),
        ("<p>Dropped out of treatment</p><p>They dropped\nout.</p>", ["dropped out"]),
        ("<p>impatients, renewed</p>", []),
        ("<p>heart failure, a failure</p>", ["failure"]),
        ("<p>one<br>two <img alt='patients'> abuse</p>", ["abuse"]),
    ],
)
def test_what_is_found_on_a_page_is_our_own_prose(said, words):
    assert [each[0] for each in wording.find(wording.prose(said), WORDS)] == words


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Two *patients* and `patients`, [abuse](abuse.md).", ["abuse"]),
        ("**Many patients** came.", ["patients"]),
        ("```\npatients\n```\nNobody.", []),
    ],
)
def test_what_is_found_in_a_source_is_our_own_prose(said, words):
    assert [each[0] for each in wording.find(wording.written(said), WORDS)] == words


def test_a_list_without_a_word_is_an_error(tmp_path):
    page = tmp_path / "words.md"
    page.write_text("| we write | in place of |\n| --- | --- |\n| this | that |\n")
    with pytest.raises(InputError, match=re.escape("words.md has no word in italics")):
        wording.avoided(page)
