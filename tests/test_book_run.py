"""Strict parameters, runs, results."""

import json
import math
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sudlib import book
from sudlib.book import provenance, results
from sudlib.estimates import Estimate
from sudlib.files import InputError, sha256


def test_results_come_back_as_written(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path))
    run = book.start("not_in_the_book", size="quick", variant="published", seed=1)
    frame = pd.DataFrame({"a": [1, 2]})
    frame.attrs = {"data": "twin", "years": [2018], "synthetic": True, "sha256": None}
    assert run.uses(frame) is frame
    run.claim("a.x", np.float64(0.5), low=0.4, high=math.nan, n=np.int64(3))
    assert run.say("{share:.1%}", share=0.12345).data == "12.3%"
    run.keep(t=pd.DataFrame({"b": [1.5]}, index=["row"]))
    run.started -= 90  # as if it had begun a minute and a half ago
    shown = run.finish().data
    result = book.read_results(tmp_path)["not_in_the_book"]
    claim = result["claims"][0]
    assert (claim["value"], claim["low"], claim["n"]) == (0.5, 0.4, 3)
    assert claim["high"] is None, "JSON has no NaN"
    assert claim["synthetic"] and claim["arm"] == "published"
    assert claim["years"] == [2018]
    assert result["values"] == {"share": "12.3%"}
    assert result["tables"]["t"] == [{"index": "row", "b": 1.5}]
    assert 1.5 <= result["stamp"]["minutes"] < 2
    assert "twin (2018), synthetic" in shown
    assert "variant = &#x27;published&#x27;" in shown
    for key in ("commit", "versions", "device", "minutes", "date"):
        assert result["stamp"][key] is not None


REAL = {"synthetic": False, "verified": True, "rows_in_file": 1}


def records(**attributes):
    """Return a frame of records as the library's readers mark them."""
    frame = pd.DataFrame({"age": [1]})
    frame.attrs = {"data": "teds-d-2018", "years": [2018], **attributes}
    return frame


@pytest.mark.parametrize(
    ("marks", "synthetic", "words"),
    [
        ([], False, "real records"),
        ([REAL], False, "real records"),
        # What is not shown to be real is not called real, whatever it says of itself.
        ([{"synthetic": False}], None, "not verified"),
        ([{}], None, "not verified"),
        ([{"verified": True, "rows_in_file": 0}], None, "not verified"),
        ([REAL, {}], None, "not verified"),
        ([{"synthetic": True}], True, "made-up records$"),
        # A page of real and made-up records keeps its label, in either order.
        ([{"synthetic": True}, REAL], True, "made-up records among others"),
        ([REAL, {"synthetic": True}], True, "made-up records among others"),
        ([{}, {"synthetic": True}], True, "made-up records among others"),
    ],
)
def test_a_page_is_real_only_if_all_its_records_are(marks, synthetic, words):
    run = book.start("not_in_the_book", size="quick")
    for mark in marks:
        run.uses(records(**mark))
    assert run.synthetic is synthetic and re.search(words, run.records_words)
    run.claim("a.x", 0.5)
    assert run.claims[0]["synthetic"] is synthetic


def test_a_claim_names_every_source_and_year_before_it():
    run = book.start("not_in_the_book", size="paper", seed=4, variant="repaired")
    run.uses(records(years=[2018, 2017]))
    run.uses(records(data="twin", years=[2016, 2017]))
    run.claim("a.x", 1, arm="published", extra=np.arange(2))
    claim = run.claims[0]
    assert claim["data"] == "teds-d-2018, twin" and claim["years"] == [2016, 2017, 2018]
    assert claim["size"] == "paper" and claim["seed"] == 4
    assert claim["arm"] == "published" and claim["extra"] == [0, 1]
    assert run.used("a.y", (1, 10), note="why") == (1, 10)
    assert run.claims[1]["arm"] == "published" and run.claims[1]["note"] == "why"
    run.claim("a.z", 1)
    assert run.claims[2]["arm"] == "repaired"


# --------------------------------------------------------------- sentences with numbers


@pytest.fixture
def run():
    return book.Run("page", {"variant": "repaired"})


def test_a_sentence_is_shown_and_its_numbers_have_names(run):
    gain = Estimate(0.0421, 0.0317, 0.0519)
    said = run.say(
        r"""
        The area rises by {gain.value:+.2f} ({gain.low:.2f} to {gain.high:.2f}).

        * $F_{{0.5}} = \frac{{1}}{{2}}$ of {row[n]:,}, `threshold={t:.1f}`
        * {whole}; {pd!s}; [next](other.ipynb)
        """,
        gain=gain,
        row={"n": 1234},
        t=0.35,
        whole=gain,
        pd=math.nan,
    )
    assert said.data == (
        "The area rises by +0.04 (0.03 to 0.05).\n\n"
        "* $F_{0.5} = \\frac{1}{2}$ of 1,234, `threshold=0.3`\n"
        "* 0.042 (0.032 to 0.052); nan; [next](other.ipynb)"
    )
    assert run.values == {
        "gain_value": "+0.04",
        "gain_low": "0.03",
        "gain_high": "0.05",
        "row_n": "1,234",
        "t": "0.3",
        "whole": "0.042 (0.032 to 0.052)",
        "pd": "nan",
    }


@pytest.mark.parametrize(
    ("form", "number", "said"),
    [
        ("+.3f", -0.0004, "0.000"),
        ("+.2f", 0.001, "0.00"),
        ("+.1%", -0.0001, "0.0%"),
        (".0f", -0.2, "0"),
        ("+.3f", -0.0006, "−0.001"),
        ("+.0f", -10, "−10"),
        ("", Estimate(0.5, -17, 37), "0.500 (−17.000 to 37.000)"),
        (".0f", Estimate(-20, -37, -2), "−20 (−37 to −2)"),
        ("", "from -3 to `-9`, 2017-2019", "from −3 to `-9`, 2017-2019"),
    ],
)
def test_zero_has_no_sign_and_what_is_negative_a_minus(run, form, number, said):
    assert run.say(f"{{gain:{form}}}.", gain=number).data == f"{said}."


def test_what_is_undefined_is_said_to_be(run):
    none = Estimate(math.nan, reason="nobody")
    said = run.say("{a:.2f}, {b:.1%}, {c:.2f}", a=math.nan, b=np.float32("nan"), c=none)
    assert said.data == "undefined, undefined, undefined (nobody)"


@pytest.mark.parametrize(
    "template, numbers, message",
    [
        ("{gain}", {}, "no value for the field {gain}; it was given none"),
        ("{cite}`x`", {}, "roles .* belong in a Markdown cell"),
        ("{a}", {"a": 1, "b": 2}, "was given b but its template has no such field"),
        ("{} {a}", {"a": 1}, "takes named fields, such as .*, not {}"),
        ("{0}", {"a": 1}, "takes named fields"),
        ("{a:.2f} {a:.1f}", {"a": 0.123}, "prints 'a' in two ways, '0.12' and '0.1'"),
        ("{a:.{b}f}", {"a": 1, "b": 2}, "no field inside a format"),
        ("{a:.2f}", {"a": "text"}, "cannot print {a:.2f} of 'text' \\(str\\)"),
        ("{a.low}", {"a": 1}, "cannot print {a.low} of 1 \\(int\\)"),
        ("$\\beta$ \frac", {}, "control character '.x0c'"),
        ("$F_{0.5$", {}, "cannot read its template"),
        ("{{cite}}`x`", {}, "got a role"),
        ("```{{note}}\nx\n```", {}, "got a directive"),
        ("# Result", {}, "got a heading"),
    ],
)
def test_a_sentence_that_cannot_be_said_says_why(run, template, numbers, message):
    with pytest.raises(InputError, match=message):
        run.say(template, **numbers)
    assert not run.values


def test_a_sentence_can_be_shown_further_up(run):
    with pytest.raises(InputError, match="places made with .* are none"):
        run.say("{a}", a=1, at="glance")
    run.place("glance")
    run.place("glance")
    assert run.places == ["glance"]
    assert run.say("{a}", a=1, at="glance") is None
    assert run.values == {"a": "1"}


def test_claims_are_declared_at_once(run):
    area = Estimate(0.7, 0.6, 0.8)
    for value in (0.1, 0.2):  # said again, a number takes the place of the one before
        run.claim(
            {
                "a.x": {"published": area, "repaired": {"value": area, "note": "why"}},
                "a.y": value,
                "a.z": {"value": 3, "low": 2, "n": 5},
            },
            n=4,
        )
    kept = [
        [claim[name] for name in ("key", "arm", "value", "low", "high", "n", "note")]
        for claim in run.claims
    ]
    assert kept == [
        ["a.x", "published", 0.7, 0.6, 0.8, 4, None],
        ["a.x", "repaired", 0.7, 0.6, 0.8, 4, "why"],
        ["a.y", "repaired", 0.2, None, None, 4, None],
        ["a.z", "repaired", 3, 2, None, 5, None],
    ]


def test_tables_are_kept_together(run):
    frame = pd.DataFrame({"b": [1.5]}, index=["row"])
    assert run.keep(frame=frame, series=frame["b"]) is None
    assert run.tables["frame"] == run.tables["series"] == [{"index": "row", "b": 1.5}]
    with pytest.raises(InputError, match="data frame or a series, not dict"):
        run.keep(a={})


def test_a_start_outside_the_book_still_checks_allowed_values():
    with pytest.raises(InputError, match='size must be "quick" or "paper"'):
        book.start("not_in_the_book", size="huge")


def test_written_json_is_whole_or_absent(tmp_path):
    path = tmp_path / "r.json"
    results.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        results.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_sha256_matches_the_standard_vector(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256(path).startswith("ba7816bf8f01cfea414140de5dae2223b00361a396177a9c")


@pytest.mark.parametrize("text", ["33,744", "0.670", "(1, 2)", "it's 5% (4 to 6)"])
def test_a_glued_number_is_shown_as_it_was_printed(text):
    from IPython.core.formatters import PlainTextFormatter
    from myst_nb.core.variables import format_plain_text

    assert format_plain_text(PlainTextFormatter()(text), "") == text


def test_the_stamp_names_the_card_a_backend_computes_on(monkeypatch):
    class Card:
        platform, device_kind = "gpu", "NVIDIA H200"

    class Processor:
        platform, device_kind = "cpu", "cpu"

    class Framework:
        @staticmethod
        def devices():
            return found

    monkeypatch.setitem(sys.modules, "jax", Framework)
    found = [Card, Processor]
    assert provenance._kinds("jax") == ["NVIDIA H200"]
    found = [Processor]
    assert provenance._kinds("jax") == []


def test_where_finished_results_are(monkeypatch, tmp_path):
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path / "quick/logs/unfinished"))
    monkeypatch.delenv("SUDLIB_FINISHED", raising=False)
    assert book.finished_results() == tmp_path / "quick" / "results"
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path / "mine"))
    assert book.finished_results() == tmp_path / "mine"
    monkeypatch.setenv("SUDLIB_FINISHED", str(tmp_path / "asked"))
    assert book.finished_results() == tmp_path / "asked"
    monkeypatch.delenv("SUDLIB_FINISHED")
    monkeypatch.delenv("SUDLIB_RESULTS")
    monkeypatch.setattr(results, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    interactive = tmp_path / "_build" / "interactive" / "results"
    assert book.finished_results() == interactive == results.results_folder()
    quick = tmp_path / "_build" / "quick" / "results"
    quick.mkdir(parents=True)
    assert book.finished_results() == quick
    assert results.results_folder() == interactive
    (tmp_path / "pyproject.toml").unlink()  # installed, as in Colab
    monkeypatch.chdir(tmp_path / "_build")
    assert (
        results.results_folder()
        == tmp_path / "_build" / "_build" / "interactive" / "results"
    )
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path / "mine"))
    assert results.results_folder() == tmp_path / "mine"


# ------------------------------------------------------------------------- the commit


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Return a caller of git in a folder, with nobody's settings."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "n")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "n@example.org")

    def call(folder, *words):
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.strip()

    def repository(folder):
        folder.mkdir(parents=True, exist_ok=True)
        call(folder, "init", "-q")
        (folder / "file").write_text("a")
        call(folder, "add", ".")
        call(folder, "commit", "-q", "-m", "m")
        return call(folder, "rev-parse", "--short=12", "HEAD")

    call.repository = repository
    return call


def test_the_commit_is_that_of_the_books_own_repository(tmp_path, git, monkeypatch):
    top = tmp_path / "top"
    commit = git.repository(top)
    other = tmp_path / "other"
    git.repository(other)
    monkeypatch.chdir(other)  # where the kernel runs says nothing
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))  # nor does a hook of git
    assert book.git_commit(top) == commit
    link = tmp_path / "link"
    link.symlink_to(top)
    assert book.git_commit(link) == commit
    (top / "new").write_text("untracked")
    assert book.git_commit(top) == f"{commit} with uncommitted changes"
    git(top, "config", "status.showUntrackedFiles", "no")
    assert book.git_commit(top) == f"{commit} with uncommitted changes"


@pytest.mark.parametrize("tracked", [False, True])
def test_a_repository_around_the_book_says_nothing_of_it(tmp_path, git, tracked):
    git.repository(tmp_path / "around")
    inside = tmp_path / "around" / "book"
    inside.mkdir()
    (inside / "page").write_text("1")
    if tracked:
        git(inside, "add", ".")
        git(inside, "commit", "-q", "-m", "the book, copied into it")
    assert book.git_commit(inside) == "unknown"


def test_without_a_commit_or_without_git_it_is_unknown(tmp_path, git, monkeypatch):
    git(tmp_path, "init", "-q")
    assert book.git_commit(tmp_path) == "unknown"
    commit = git.repository(tmp_path)
    assert book.git_commit(tmp_path).startswith(commit)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert book.git_commit(tmp_path) == "unknown"


def test_tables_are_kept_whole_or_refused(run):
    table = pd.DataFrame({"n": pd.array([1, None], "Int64"), "day": [pd.NaT, pd.NaT]})
    run.keep(table=table)
    json.dumps(run.tables)
    assert run.tables["table"][1] == {"index": 1, "n": None, "day": None}
    for wrong in (
        pd.concat([table, table[["n"]]], axis=1),
        table.rename_axis("n"),
        pd.DataFrame({1: [1], "1": [2]}),
    ):
        with pytest.raises(InputError, match="must have a name each, not"):
            run.keep(table=wrong)
