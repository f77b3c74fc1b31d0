"""The list of claims, as a reader searches, follows and saves it in a browser."""

import pytest
from chromium import LACKING, Browser

from sudlib import book

pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

F05 = "a.general.forest.f05"
LOST = "b.noprior.svm_linear.equal_opportunity.gender.difference"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Open the claims with one number of ours, and one at full size."""
    folder = tmp_path_factory.mktemp("claims")
    ours = dict(key=F05, value=0.6712, arm="published", n=93_424, synthetic=True)
    ours |= {"data": "twin", "years": [2018], "size": "quick", "seed": 33}
    recorded = ours | {"value": 0.65, "note": "at full size, 2026-11-30"}
    results = [
        {"notebook": "a02_forest_general", "claims": [claim]}
        for claim in (ours, recorded)
    ]
    html = book.explorer(book.compare(results)).data
    file = folder / "claims.html"
    file.write_text(f"<!doctype html><meta charset=utf-8>{html}", encoding="utf-8")
    browser = Browser(folder / "profile")
    assert browser.visit(file.as_uri()) == []
    yield browser
    browser.close()


def shown(page):
    """Return the ids of the claims that are not hidden."""
    return page.run(
        "[...document.querySelectorAll('details tr[id]:not([hidden])')].map(r => r.id)"
    )


def ask(browser, **choices):
    """Search and filter as a reader would; return which claims are left."""
    for name, value in choices.items():
        what = "input" if name == "search" else f"[data-filter={name}]"
        browser.run(
            f"(() => {{ const box = document.querySelector('form.filters {what}');"
            f" box.value = '{value}';"
            " box.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )
    return shown(browser)


@pytest.fixture(autouse=True)
def cleared(page):
    yield
    page.run("document.querySelector('[data-do=clear]').click()")


def test_all_claims_are_there_before_anything_is_asked(page):
    assert sorted(shown(page)) == sorted(book.published().index)


def test_a_printed_number_finds_its_claim(page):
    printed = book.published().loc[F05, "printed"]
    assert F05 in ask(page, search=printed, study="a")
    assert ask(page, search="no such words") == []
    # Its minus sign is typed as a hyphen, or copied from the page.
    for typed in ("-1.5171", "−1.5171"):
        assert ask(page, search=typed, study="c") == ["c.right.n200.naive.ab"]
    cell = "document.getElementById('c.right.n200.naive.ab').cells[1]"
    assert page.run(f"{cell}.textContent").startswith("−1.5171 (")


def test_what_a_group_says_for_all_its_claims_finds_them_too(page):
    assert LOST in ask(page, search="cannot be reproduced linear", study="b")
    assert all(key.startswith("b.") for key in shown(page))


def test_our_number_leads_to_the_row_of_the_page_that_computed_it(page):
    assert ask(page, page="a02_forest_general") == [F05]
    link = f"document.getElementById('{F05}').cells[2].querySelector('a')"
    assert page.run(f"{link}.getAttribute('href')") == f"a02_forest_general.html#{F05}"
    assert page.run(f"{link}.textContent") == "0.671"
    cell = page.run(f"document.getElementById('{F05}').cells[2].textContent")
    assert "0.650 †" in cell and "0.671 †" not in cell


def test_what_is_saved_holds_the_verdict_that_stands_in_the_groups_head(page):
    page.run(
        "window.saved = ''; URL.createObjectURL = (blob) => {"
        " blob.text().then((text) => { window.saved = text; }); return '#'; }"
    )
    ask(page, search=LOST)
    page.run("document.querySelector('[data-do=csv]').click()")
    page.run("new Promise((done) => setTimeout(done, 200))")
    head, line = page.run("window.saved").split("\r\n")
    assert head.startswith('"id","study","printed in","about","claim"')
    assert line.startswith(f'"{LOST}","b"')
    assert ',"cannot be reproduced","The discharge file of 2019 says only' in line
    assert "our page" not in line and "reproduced1" not in line
