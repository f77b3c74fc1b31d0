"""The five things to touch: what their blocks hold, and that they move in a browser."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import widgets
from chromium import LACKING, Browser, wait_for
from conftest import ROOT

from sudlib import disclosure, images

STATIC = ROOT / "book" / "_static"
SYNTHETIC = {"data": "twin", "origin": "synthetic", "synthetic": True}
STAMP = {"date": "2026-11-29T11:00+00:00", "commit": "abc"}

# Scores 0.0, 0.5 and 0.9: people who do not complete, who do.
PEOPLE = {
    "Alcohol": ([50, 20, 0], [10, 30, 60]),
    "Heroin": ([70, 10, 5], [40, 10, 5]),
    "Marijuana": ([30, 30, 30], [30, 30, 30]),
    "Cocaine": ([10, 10, 10], [10, 10, 20]),
    "others": ([9, 9, 9], [9, 9, 9]),
}
MEASURES = ("demographic_parity", "equal_opportunity", "equalized_odds")


def result(tables, values=None, data=(SYNTHETIC,)):
    """Return a result file as the workflow reads it."""
    return {"stamp": {**STAMP, "data": list(data)}, "tables": tables, "values": values}


def score_counts():
    return [
        {"score": score, "group": group, "completed": completed, "people": people}
        for group, outcomes in PEOPLE.items()
        for completed, counts in enumerate(outcomes)
        for score, people in zip((0.0, 0.5, 0.9), counts, strict=True)
    ]


def answers():
    """Return a row for each measure, family and size; each value is another."""
    chosen = [
        (f"{measure}_{kind}", family, size)
        for measure in MEASURES
        for kind in ("difference", "ratio")
        for family in ("each", "pairs")
        for size in (10, 100)
    ]
    return [
        {
            "measure": measure, "family": family, "min_n": size,
            "value": at / 100, "low": at / 200, "high": at / 50, "verdict": "fails",
            "lowest": "VET veteran", "lowest_n": 12, "highest": "SEX male, VET other",
            "highest_n": 1200, "n_groups": 18, "n_empty": 1, "n_small": 2,
            "max_difference": 0.2, "min_ratio": 0.8,
        }
        for at, (measure, family, size) in enumerate(chosen, start=10)
    ]  # fmt: skip


def linear_rule():
    """Return a rule: nobody needs a DPP4 inhibitor, the others depend on covariates."""
    zero = dict.fromkeys(("anyway", *widgets.MEDICINES), 0.0)
    base = {**zero, "anyway": 1.0, "dpp4": -0.1, "su": 0.2, "met": 0.3, "tzd": 0.1}
    slopes = {
        "hba1c": {"anyway": 0.5, "met": 0.1},
        "age": {"su": -0.02},
        "bmi": {},
        "duration": {},
        "male": {},
        "heart_failure": {"tzd": -0.4},
    }
    rows = [{"covariate": "middle", **base}]
    for name, slope in slopes.items():
        yes_no = name in ("male", "heart_failure")
        ends = (0, 0, 1) if yes_no else (6, 8, 12) if name == "hba1c" else (20, 40, 80)
        rows.append(
            {
                "covariate": name,
                **zero,
                **slope,
                "kind": "yes-no" if yes_no else "number",
            }
            | dict(zip(("low", "middle", "high"), ends, strict=True))
        )
    return rows


RESULTS = {
    "a02_forest_general": result(
        {
            "score_counts": score_counts(),
            "costs": [{"arm": "boosting", "threshold": 0.52}],
        }
    ),
    "b05_fairness_measures": result({"smallest_group": answers()}),
    "b07_what_the_printed_numbers_prove": result(
        {},
        {"noise_inside": "26%", "noise_best": "85%"},
        [{**SYNTHETIC, "data": "noise"}],
    ),
    "c05_diabetes": result({"linear_rule": linear_rule()}),
}
BLOCKS = widgets.blocks(set(widgets.DRAWN), RESULTS)


class Controls(HTMLParser):
    """Collect the inputs of a block and whether each stands in a label."""

    def __init__(self, text):
        super().__init__()
        self.depth, self.inputs, self.outputs = 0, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.depth += tag == "label"
        if tag in ("input", "select"):
            self.inputs.append((dict(attributes)["name"], self.depth > 0))
        if tag == "output":
            self.outputs.append(dict(attributes))

    def handle_endtag(self, tag):
        self.depth -= tag == "label"


@pytest.mark.parametrize("name", widgets.DRAWN)
def test_a_block_is_small_labelled_and_fetches_nothing(name):
    text = BLOCKS[name]
    script = sum(
        (STATIC / f"touch.{ending}").stat().st_size for ending in ("js", "css")
    )
    assert len(text.encode()) + script < 100_000
    assert "://" not in text
    found = Controls(text)
    assert found.inputs or "<button" in text
    assert all(labelled for _, labelled in found.inputs)
    assert [each["aria-live"] for each in found.outputs] == ["polite"]
    assert "<form hidden" in text, "without a script there is nothing to press"
    assert "\n\n" not in text, "an empty line would end raw HTML in Markdown"
    assert json.loads(re.search(r'json">(.*?)</script>', text)[1])


def sentence(name):
    return re.search(r"<output[^>]*>(.*?)</output>", BLOCKS[name])[1]


def test_the_sentences_without_a_script_say_the_numbers():
    lit = (images.TextImage().draw(images.encode(person()))[0] > 0).sum()
    assert f"{lit:,} of 62,500 pixels" in sentence("touch_record")
    # At 0.5: 213 are found of 312; 133 of 302 others are named.
    assert "346 of 614 people" in sentence("touch_threshold")
    assert "precision 0.62, recall 0.68" in sentence("touch_threshold")
    assert "Marijuana 67, Alcohol 90, Heroin 27, Cocaine 75" in sentence(
        "touch_threshold"
    )
    assert (
        "15 groups of at least 10 people: 0.14, 95% interval 0.07 to 0.28; fair means"
        " at least 0.8. Verdict: fails. Furthest apart: veteran (12 people) and male,"
        " other (1,200)."
    ) in sentence("touch_fairness")
    assert "right in 85 of 100" in sentence("touch_noise")
    assert "in 26 of 100" in sentence("touch_noise")
    assert (
        "advises sulfonylurea + metformin + thiazolidinedione. HbA1c is expected to"
        " fall by 1.7 percentage points; without medicine, to fall by 0.5."
    ) in sentence("touch_rule")


def person():
    """Return the made-up record that is drawn first."""
    codes = widgets.PERSON | dict.fromkeys(widgets.FLAGS, 0)
    return pd.DataFrame([{name: codes.get(name, -9) for name in images.VARIABLES}])


def test_without_a_run_a_block_names_the_page_to_run():
    found = widgets.blocks(set(widgets.DRAWN), {})
    assert "touch" in found.pop("touch_record")
    for text in found.values():
        assert re.fullmatch(r"\*This needs a run of the page \[(\w+)\].*\*", text)


@pytest.mark.parametrize(
    ("used", "words"),
    [
        ([SYNTHETIC], "made-up records (<span"),
        ([{"synthetic": True}], "made-up records (<span"),
        ([{"synthetic": None}], "not verified"),
        ([{"origin": "real", "synthetic": False}], "on real records by"),
        ([{"origin": "real"}, SYNTHETIC], "made-up records among others (<span"),
        ([], "on no records by"),
    ],
)
def test_the_origin_of_the_numbers_stands_beside_them(used, words):
    text = widgets.stamp({"c05_diabetes": result({}, data=used)}, "c05_diabetes")
    assert words in text
    assert ('class="verdict synthetic"' in text) == ("made-up" in words)


def test_counts_that_are_kept_have_no_small_cell_and_lose_nobody():
    generator = np.random.default_rng(33)
    for _ in range(50):
        counts = pd.DataFrame(generator.poisson(generator.uniform(1, 25), (30, 4)))
        joined = disclosure.join_small_rows(counts)
        assert (joined >= disclosure.MINIMUM_COUNT).all(axis=None)
        assert joined.sum().tolist() == counts.sum().tolist() or joined.empty
        assert joined.empty == bool((counts.sum() < disclosure.MINIMUM_COUNT).any())
        assert joined.index.is_monotonic_increasing
        assert joined.empty or joined.index[0] == 0


def test_too_few_people_are_not_shown():
    few = {**RESULTS["a02_forest_general"], "tables": {"score_counts": []}}
    assert widgets.threshold({"a02_forest_general": few}) == widgets.TOO_FEW


# --------------------------------------------------------------------- in a browser

browser_needed = pytest.mark.skipif(bool(LACKING), reason=LACKING or "here")
ERRORS = """
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message)));
for (const name of ["error", "warn"])
  console[name] = (...said) => problems.push(said.join(" "));
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Open the five blocks from disk; at the end nothing has gone wrong."""
    folder = tmp_path_factory.mktemp("touch")
    body = "".join(
        text.removeprefix("```{raw} html\n").removesuffix("\n```")
        for text in BLOCKS.values()
    )
    sheets = "".join(
        f'<link rel="stylesheet" href="{(STATIC / name).as_uri()}">'
        for name in ("sudlib.css", "touch.css")
    )
    (folder / "page.html").write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Touch</title>'
        f'{sheets}<body>{body}<script src="{(STATIC / "touch.js").as_uri()}"></script>',
        encoding="utf-8",
    )
    browser = Browser(folder / "profile")
    try:
        browser.call("Page.enable")
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=ERRORS)
        browser.call("Page.navigate", url=(folder / "page.html").as_uri())
        drawn = "!!document.querySelector('canvas') && document.readyState"
        wait_for(lambda: browser.run(drawn) == "complete", 30, "the page")
        browser.first = {
            kind: says(browser, kind)
            for kind in ("record", "threshold", "fairness", "rule")
        }
        yield browser
        assert browser.run("problems") == []
    finally:
        browser.close()


def says(page, kind):
    return page.run(f"document.querySelector('[data-touch={kind}] output').textContent")


def move(page, kind, field, value):
    """Give a control another value as a reader would; return the new sentence."""
    page.run(
        "(() => {"
        f"const field = document.querySelector('[data-touch={kind}] [name={field}]');"
        f"if (field.type === 'checkbox') field.checked = {json.dumps(value)};"
        f"else field.value = {json.dumps(str(value))};"
        "field.dispatchEvent(new Event('input', {bubbles: true}));})()"
    )
    return says(page, kind)


@browser_needed
def test_the_script_says_first_what_the_page_says_without_it(page):
    assert len(page.first) == 4
    for kind, said in page.first.items():
        assert said == sentence(f"touch_{kind}")


@browser_needed
def test_the_record_is_drawn_as_the_library_draws_it(page):
    changed = person().assign(AGE=3, EDUC=2, PREG=1)
    for name, value in changed[["AGE", "EDUC", "PREG"]].iloc[0].items():
        said = move(page, "record", name, value)
        assert re.search(r"Your last change altered [1-9]\d* pixels", said)
    for name in widgets.LAYOUTS:
        move(page, "record", "layout", name)
        pixels = page.run(
            "(() => { const c = document.querySelector('canvas');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return Array.from(d.filter((_, at) => at % 4 === 0)); })()"
        )
        drawn = images.TextImage(name).draw(images.encode(changed))[0]
        assert np.array_equal(np.array(pixels).reshape(250, 250), drawn), name


@browser_needed
def test_flags_follow_from_the_substances(page):
    value = "document.querySelector('[name=%s]').value"
    move(page, "record", "SUB3", 5)
    assert page.run(value % "HERFLG") == "1"
    move(page, "record", "SUB3", 1)
    assert page.run(value % "HERFLG") == "0"


@browser_needed
def test_another_threshold_finds_others(page):
    high = move(page, "threshold", "threshold", 2)
    # Of 178 named, 124 complete; 312 complete in all.
    assert "At a threshold of 0.90, 178 of 614 people" in high
    assert "precision 0.70, recall 0.40, F0.5 0.61" in high
    assert "Marijuana 33, Alcohol 60, Heroin 9, Cocaine 50" in high
    everybody = move(page, "threshold", "threshold", 0)
    assert "recall 1.00" in everybody and "Heroin 100" in everybody


@browser_needed
def test_the_slider_moves_by_keyboard_and_names_its_value(page):
    move(page, "threshold", "threshold", 0)
    page.run("document.querySelector('[name=threshold]').focus()")
    for kind in ("rawKeyDown", "keyUp"):
        page.call(
            "Input.dispatchKeyEvent",
            type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39,
        )  # fmt: skip
    wait_for(lambda: "At a threshold of 0.50" in says(page, "threshold"), 5, "the key")
    named = "document.querySelector('[name=threshold]').getAttribute('aria-valuetext')"
    assert page.run(named) == "0.50"


@browser_needed
def test_every_choice_of_fairness_has_its_answer(page):
    for row in answers():
        for field, column in (
            ("measure", "measure"),
            ("family", "family"),
            ("smallest", "min_n"),
        ):
            said = move(page, "fairness", field, row[column])
        assert f": {row['value']:.2f}, 95% interval {row['low']:.2f} to" in said


@browser_needed
def test_noise_scores_high_only_where_copies_cross_the_split(page):
    drawn = {says(page, "noise")}
    for _ in range(9):
        page.run("document.querySelector('[data-touch=noise] button').click()")
        drawn.add(says(page, "noise"))
    assert len(drawn) == 10
    before, after = map(
        int,
        re.search(r"Mean of all draws: (\d+) and (\d+)", says(page, "noise")).groups(),
    )
    assert before > 70
    assert 15 < after < 35


@browser_needed
def test_the_rule_advises_by_the_covariates(page):
    failure = move(page, "rule", "heart_failure", True)
    assert "advises sulfonylurea + metformin." in failure
    # 1 + (0.1 + 0.2 + 0.3 + 0.3): the rule; 1 - (-0.1 + 0.2 + 0.3 - 0.3): no medicine.
    assert "fall by 1.9 percentage points; without medicine, to fall by 0.9." in failure
    high = move(page, "rule", "hba1c", 10)
    assert "fall by 3.1 percentage points; without medicine, to fall by 1.7." in high
    # 0 + (0.1 + 0.2 + 0.1 + 0.1): the rule; 0 - (-0.1 + 0.2 + 0.1 + 0.1): no medicine.
    move(page, "rule", "heart_failure", False)
    low = move(page, "rule", "hba1c", 6)
    assert "fall by 0.5 percentage points; without medicine, to rise by 0.3." in low
    move(page, "rule", "heart_failure", True)
    move(page, "rule", "hba1c", 10)
    assert "advises metformin." in move(page, "rule", "age", 60)


@browser_needed
def test_a_phone_shows_it_without_scrolling_sideways(page):
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=390, height=800, deviceScaleFactor=1, mobile=True,
    )  # fmt: skip
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.run("document.documentElement.scrollWidth") <= 390
    page.call("Emulation.clearDeviceMetricsOverride")
