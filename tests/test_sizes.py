"""Runs at full size: recorded, and shown beside those of this copy."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "workflow"), str(ROOT / "tools")]

import plan  # noqa: E402
import record_paper  # noqa: E402
import sizes  # noqa: E402

from sudlib import book  # noqa: E402
from sudlib.book import freshness, recorded  # noqa: E402
from sudlib.files import InputError  # noqa: E402

NAME = "a03_forest_methadone"
F05, PR = "a.methadone.forest.f05", "a.methadone.forest.roc_auc"
KEPT = sorted((ROOT / "data" / "results" / "paper").glob("*.json"))


def claim(key, value, low=None, high=None, **more):
    ends = {"value": value, "low": low, "high": high}
    common = {"arm": "published", "n": 7, "note": None, "synthetic": True}
    common |= {"data": "twin", "years": [2018], "size": "quick", "seed": 33}
    return {"key": key, **ends, **common, **more}


def result(size, claims=(), origin="synthetic", **values):
    """Return what a run of a page would write."""
    data = {"data": "twin", "years": [2018], "origin": origin, "state": 1}
    stamp = {
        "parameters": {"size": size, "seed": 33},
        "data": [{**data, "synthetic": origin == "synthetic"}],
        "fingerprints": {"notebook": "0"},
        "commit": "0123456789ab",
        "versions": {"numpy": "2"},
        "device": "2 CPU cores (x86_64)",
        "threads": "1",
        "minutes": 31.2,
        "cpu_minutes": 12.34,
        "date": "2026-11-30T00:10+00:00",
    }
    run = {"notebook": NAME, "stamp": stamp, "claims": list(claims)}
    return {**run, "values": values, "tables": {"people": [{"AGE": 1}]}}


@pytest.fixture
def build(tmp_path):
    """Give a build of one page at paper size."""

    def make(made, said="**At a glance.**\nIt falls."):
        cell = nbformat.v4.new_code_cell('# @title\nrun.place("glance")')
        shown = nbformat.v4.new_output("display_data", {"text/markdown": said})
        cell.outputs = [shown]
        for name in ("results", "executed"):
            (tmp_path / name).mkdir(exist_ok=True)
        notebook = nbformat.v4.new_notebook(cells=[cell])
        nbformat.write(notebook, tmp_path / "executed" / f"{NAME}.ipynb")
        path = tmp_path / "results" / f"{NAME}.json"
        path.write_text(json.dumps(made))
        return path, tmp_path / "kept"

    return make


# ---------------------------------------------------------------------- recording


def test_claims_values_and_the_top_are_kept_and_no_row(build, capsys):
    made = result("paper", [claim(F05, 0.5, extra=[1, 2])], share="42%", text="a" * 101)
    made["values"]["example"] = "A man"
    [used] = made["stamp"]["data"]
    made["stamp"]["data"] = [used, dict(used), used | {"years": [2019]}]
    path, to = build(made)
    assert record_paper.main([str(path), "--to", str(to)]) == 0
    assert capsys.readouterr().out.startswith(f"{NAME}.json: ")
    kept = book.read_result(to / f"{NAME}.json")
    assert kept["tables"] == {} and kept["values"] == {"share": "42%"}
    assert kept["glance"] == "It falls."
    assert kept["claims"] == [{"key": F05, "value": 0.5}]
    assert kept["common"]["years"] == [2018] and kept["claims_left_out"] == 0
    assert kept["stamp"]["cpu_minutes"] == 12.34
    assert [each["years"] for each in kept["stamp"]["data"]] == [[2018], [2019]]
    assert "state" not in kept["stamp"]["data"][0]
    assert kept["stamp"]["data"][0]["origin"] == "synthetic"


def test_a_page_recorded_again_takes_the_place_of_the_one_before(build):
    to = build(result("paper"))[1]
    to.mkdir()
    (to / "another.json").write_text("{}")
    for share in ("1%", "2%"):
        path, _ = build(result("paper", share=share))
        record_paper.record(path, to)
    assert book.read_result(to / f"{NAME}.json")["values"] == {"share": "2%"}
    assert sorted(each.name for each in to.iterdir()) == [
        f"{NAME}.json",
        "another.json",
    ]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (result("quick"), "size = \"paper\", not 'quick'"),
        (result("paper", origin="unverified"), "not verified"),
        (
            result("paper", **{f"a{n}": "b" * 90 for n in range(300)}),
            "30,000 of a page",
        ),
    ],
)
def test_what_cannot_be_recorded_is_refused(build, made, words):
    path, to = build(made)
    with pytest.raises(InputError, match=words):
        record_paper.record(path, to)
    assert not to.exists()


def test_of_many_claims_those_a_study_rests_on_and_those_with_intervals_are_kept(build):
    many = [claim(PR, 0.1 + n / 10**6, note=f"{n}") for n in range(700)]
    many += [claim(PR, 0.123456789, 0.1, 0.2, note="b"), claim(F05, 0.5, note="a")]
    path, to = build(result("paper", many))
    made = json.loads(record_paper.record(path, to).read_text())
    assert made["common"]["arm"] == "published" and "arm" not in made["claims"][0]
    assert len(made["claims"]) + made["claims_left_out"] == 702
    assert 200 < len(made["claims"]) < 702
    assert [each["value"] for each in made["claims"][-2:]] == [0.123457, 0.5]
    assert made["claims"][0]["note"] == "0"


def test_a_run_of_files_that_are_not_committed_is_refused(build):
    made = result("paper")
    made["stamp"]["commit"] += " with uncommitted changes"
    path, to = build(made)
    with pytest.raises(InputError, match="commit, and run it again"):
        record_paper.record(path, to)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_is_recorded_is_small_of_paper_size_and_of_claims_that_exist(path):
    kept = book.read_result(path)
    assert path.stem in plan.NOTEBOOKS and path.stem == kept["notebook"]
    assert path.stat().st_size < 30_000 and not kept["tables"]
    assert kept["stamp"]["parameters"]["size"] == "paper"
    for name in ("date", "commit", "versions", "device", "cpu_minutes"):
        assert kept["stamp"][name]
    assert len(book.compare([kept])) > 0


def test_all_that_is_recorded_is_small():
    assert sum(path.stat().st_size for path in KEPT) < 400_000


# ------------------------------------------------------------------ side by side


@pytest.fixture
def known(monkeypatch):
    """Let one page be recorded, as it is given."""

    def set_to(full):
        def found(name):
            return full if full is not None and name == full["notebook"] else None

        # `book` first: it loads names of `recorded` when they are asked for, and would
        # keep the replaced one.
        monkeypatch.setattr(book, "recorded_result", found)
        monkeypatch.setattr(recorded, "recorded_result", found)
        return full

    return set_to


def test_each_number_stands_beside_its_own_recipe():
    here = result("quick", [claim(F05, 0.5, 0.4, 0.6), claim(F05, 0.3, arm="repaired")])
    there = result("paper", [claim(F05, 0.61), claim(PR, 0.7)])
    rows = list(recorded.beside(here, there))
    numbers = [[row if row is None else row["ours"] for row in two] for _, *two in rows]
    assert numbers == [[0.5, 0.61], [0.3, None], [None, 0.7]]
    assert rows[1][0].endswith("(repaired)") and "(published)" not in rows[0][0]
    assert recorded.lies_within(*rows[0][1:]) is False
    assert recorded.lies_within(rows[0][1], rows[0][1]) is True
    assert recorded.lies_within(rows[1][1], rows[0][1]) is None


def test_the_foot_of_a_page_says_when_it_ran_and_what_it_found():
    there = result("paper", [claim(F05, 0.61, 0.6, 0.62)]) | {"glance": "One.\nTwo."}
    here = result("quick", [claim(F05, 0.5, 0.4, 0.6)])
    text = book.at_full_size(here, there)
    assert (
        "at full size on 2026-11-30, on 2 CPU cores with 1 thread, in 12 minutes"
        in text
    )
    assert "records of that run are made up" in text
    assert "> One.\n> Two." in text
    line = text.splitlines()[-1]
    assert line.startswith("| F0.5, tuned random forest")
    assert line.endswith(" | 0.500 (0.400 to 0.600) | 0.610 (0.600 to 0.620) |")
    assert "<details>" not in text
    same = book.at_full_size(here, here | {"stamp": there["stamp"]})
    assert "|" not in same
    assert "1 more of its numbers and settings are the same at both sizes" in same
    real = book.at_full_size(result("quick"), result("paper", origin="real"))
    assert "made up" not in real and "|" not in real


def test_the_list_of_claims_has_what_differs_at_the_studys_size(known):
    known(result("paper", [claim(F05, 0.61), claim(PR, 0.7)]))
    here = result("quick", [claim(F05, 0.5), claim(PR, 0.7)])
    both = book.with_recorded({NAME: here})
    assert both[0] is here and len(both) == 2
    (one,) = both[1]["claims"]
    assert one["value"] == 0.61
    assert one["note"] == "at full size, 2026-11-30"
    assert list(book.compare(both).loc[F05, "ours"]) == [0.5, 0.61]
    itself = result("paper", [claim(F05, 0.5)])
    assert book.with_recorded({NAME: itself}) == [itself]


def test_a_page_that_is_run_by_hand_shows_what_is_recorded(
    known, monkeypatch, tmp_path
):
    known(result("paper") | {"glance": "It falls."})
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda each: shown.append(each.data))
    monkeypatch.setattr("sudlib.book.run.write_json", lambda path, content: None)
    monkeypatch.delenv("SUDLIB_RESULTS", raising=False)
    book.Run(NAME, {"size": "quick"}).finish()
    assert len(shown) == 1 and "It falls." in shown[0]
    book.Run(NAME, {"size": "paper"}).finish()
    book.Run("a04_records_as_pictures", {"size": "quick"}).finish()
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path))
    book.Run(NAME, {"size": "quick"}).finish()
    assert len(shown) == 1


# --------------------------------------------------------------- what a page would need


@pytest.fixture
def pages(monkeypatch):
    """Make a plan of five pages, of which none is recorded."""
    table = {
        "card": {"minutes": {"paper": 150}, "card": True},
        "waits": {"minutes": {"paper": 30}, "needs": ["card"]},
        "long": {"minutes": {"paper": 30}},
        "whole": {"minutes": {"paper": 45}, "recorded": "study_c/scores.csv.gz"},
        "single": {"minutes": {"paper": 1}},
    }
    monkeypatch.setattr(plan, "NOTEBOOKS", table)
    monkeypatch.setattr(sizes, "has_sizes", lambda name: name != "single")
    return table


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("card", "needs a graphics card, and about 2.5 hours on one."),
        ("waits", "waits for [card](card.ipynb), which needs a graphics card."),
        ("long", "Not run yet: it takes about 30 minutes of one core."),
        ("whole", "`scores.csv.gz` in `data/results/study_c`"),
        ("single", "one size only"),
    ],
)
def test_a_page_without_a_recorded_run_says_why(pages, name, words):
    said = sizes.why_not(name)
    assert words in said and said.count(". ") == 0 and said.endswith(".")


def test_the_plan_says_which_pages_take_more_people_than_their_study_had():
    for name, entry in plan.NOTEBOOKS.items():
        source = freshness.source_of(ROOT / plan.source(name))
        takes_all = re.search(r"everyone\s*=\s*size == \"paper\"", source) is not None
        assert bool(entry.get("everybody")) == takes_all, name


def test_a_recorded_run_of_more_people_than_the_study_had_says_so(monkeypatch):
    monkeypatch.setattr(book, "at_full_size", lambda *_: "")
    monkeypatch.setattr(sizes, "turns", lambda *_: [])
    told = sizes.block("b02_balancing", {})
    assert "keeps (6,204 in the twin, where the study had 2,475)" in told
    assert "study B" not in sizes.block("d05_which_medication", {})


def test_a_whole_study_that_is_named_is_there():
    for name, entry in plan.NOTEBOOKS.items():
        if entry.get("recorded"):
            assert (ROOT / "data" / "results" / entry["recorded"]).is_file(), name


def test_it_stands_before_the_provenance_and_only_where_there_are_two_sizes(pages):
    def page():
        cells = [
            nbformat.v4.new_markdown_cell(text) for text in ("# A", "## Provenance")
        ]
        return nbformat.v4.new_notebook(cells=cells)

    here = result("quick")
    cells = sizes.add(page(), "card", here).cells
    assert [cell.source.partition("\n")[0] for cell in cells] == [
        "# A",
        "## At full size",
        "## Provenance",
    ]
    assert "graphics card" in cells[1].source
    for name, made in (
        ("single", here),
        ("nobody", here),
        ("card", None),
        ("card", result("paper")),
    ):
        assert len(sizes.add(page(), name, made).cells) == 2


# ------------------------------------------------------------------- what turns


def test_a_sentence_turns_when_a_word_does_and_not_when_a_number_does(monkeypatch):
    said = (
        "It {word} by {gain:.2f}. It is {share:.0%}. {odd.low:.1f} {gone}",
        "What turns: {word}.",
    )
    monkeypatch.setattr(sizes.notebook_style, "templates", lambda source: said)
    sizes.sentences.cache_clear()
    here = result("quick", word="rises", gain="0.10", share="1%", odd_low="1.0")
    there = result("paper", word="falls", gain="0.20", share="2%", odd_low="1.0")
    assert sizes.sentences(NAME) == [
        "It {word} by {gain:.2f}.",
        "It is {share:.0%}.",
        "{odd.low:.1f} {gone}",
        "What turns: {word}.",  # a field after a colon is no sentence by itself
    ]
    assert sizes.turns(NAME, here, there) == [
        ("It rises by 0.10.", "It falls by 0.20."),
        ("What turns: rises.", "What turns: falls."),
    ]
    assert sizes.turns(NAME, here, here) == []
    there["values"]["gain"] = here["values"]["gain"]
    del there["values"]["share"]  # a field that the recorded page did not have
    assert len(sizes.turns(NAME, here, there)) == 2
    sizes.sentences.cache_clear()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_recorded_text_still_fits_the_sentence_around_it(path):
    # A field that takes over a part of its sentence needs another name: otherwise the
    # text of the recorded run says that part twice.
    kept = json.loads(path.read_text(encoding="utf-8"))["values"]
    for sentence in sizes.sentences(path.stem):
        said = sizes.filled(sentence, kept) or ""
        assert not re.search(r"\b(\w+ \w+ \w+) \1\b", said), said


def test_numbers_within_the_interval_and_verdicts_that_differ_are_counted():
    here = result("quick", [claim(F05, 0.5, 0.4, 0.6), claim(PR, 0.5, 0.4, 0.6)])
    there = result("paper", [claim(F05, 0.6), claim(PR, 0.7, synthetic=False)])
    counts = sizes.compared(here, there)
    assert (counts["with_interval"], counts["within"]) == (2, 1)
    ((words, first, second),) = counts["verdicts"]
    assert words.startswith("area under the ROC curve") or "ROC" in words
    assert first == "synthetic" and second != first


def test_the_page_of_sizes_has_a_line_for_each_page_with_two_sizes(known):
    known(result("paper", [claim(F05, 0.9)], word="x") | {"glance": ""})
    here = result("quick", [claim(F05, 0.5, 0.4, 0.6)], word="x")
    names = sizes.names({NAME: here})
    (line,) = names["sizes_table"].splitlines()[2:]
    lacking = names["sizes_missing"].splitlines()[2:]
    assert len(lacking) + 1 == int(names["sizes_pages"])
    assert names["sizes_recorded"] == "1" and names["sizes_time"] == "12 minutes"
    assert "| 2026-11-30 | 12 minutes | " in line
    assert "0 of 1 numbers lie in the interval" in line
    assert "code has changed since" in line
    assert sum("graphics card" in each for each in lacking) > 3
    assert re.match(r"Of \d+ sentences .* on 1 pages? ", names["sizes_answer"])
    nothing = sizes.names({})
    assert nothing["sizes_recorded"] == "1"
    assert nothing["sizes_answer"].startswith("No page of this copy")


def test_links_of_a_notebook_are_turned_for_a_page_of_prose():
    assert sizes.for_prose("[a](b02.ipynb#x), [e](../book/errata.md)") == (
        "[a](../notebooks/b02.ipynb#x), [e](errata.md)"
    )
