"""Which notebook is started when, and how long a build is said to take."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import plan
import pytest

from sudlib.files import InputError


@pytest.fixture
def four(monkeypatch):
    """Make a plan of four notebooks, of which one waits for the shortest."""
    monkeypatch.setattr(
        plan,
        "NOTEBOOKS",
        {
            "long": {"minutes": {"quick": 5}},
            "short": {"minutes": {"quick": 2}},
            "waits": {"minutes": {"quick": 4}, "needs": ["short"]},
            "all": {"minutes": {"quick": 1}, "needs": "all"},
        },
    )
    return ["all", "long", "short", "waits"]


def test_the_notebook_that_most_waits_for_goes_first(four):
    urgency = {name: plan.urgency(name, "quick") for name in four}
    assert urgency == {"short": 7, "long": 6, "waits": 5, "all": 1}


@pytest.mark.parametrize(("jobs", "minutes"), [(1, 12), (2, 7), (9, 7)])
def test_the_sum_is_what_the_cores_need_for_it(four, jobs, minutes):
    assert plan.duration(four, "quick", jobs) == minutes


def test_a_core_does_not_wait_while_something_can_run(monkeypatch):
    """By hand: of 3, 3 and 2, 2, 2 minutes two cores make 6; in this order, 3+2+2."""
    table = {f"n{n}": {"minutes": {"quick": m}} for n, m in enumerate((2, 3, 2, 3, 2))}
    monkeypatch.setattr(plan, "NOTEBOOKS", table)
    assert plan.duration(list(table), "quick", 2) == 7


def test_what_a_notebook_took_here_counts_before_the_table(four, tmp_path):
    stamp = {"minutes": 30, "fingerprints": {}}
    result = {"stamp": stamp, "claims": [], "values": {}}
    (tmp_path / "long.json").write_text(json.dumps(result))
    assert plan.duration(four, "quick", 2, tmp_path) == 31


def test_what_is_done_tells_how_long_the_rest_takes_on_this_machine(four, tmp_path):
    def finish(name, minutes):
        stamp = {"minutes": minutes, "fingerprints": {}}
        result = {"stamp": stamp, "claims": [], "values": {}}
        (tmp_path / f"{name}.json").write_text(json.dumps(result))

    def left():
        done = plan.finished(four, tmp_path, 0)
        return plan.left(four, done, "quick", 2, tmp_path)

    assert left() is None
    planned = plan.minutes("long", "quick")
    finish("long", 3 * planned)
    rest = [name for name in four if name != "long"]
    alone = plan.duration(rest, "quick", 2)
    assert alone > 0
    assert left() == pytest.approx(3 * alone)
    for name in rest:
        finish(name, 1)
    assert left() == 0
    assert plan.finished(four, tmp_path, time.time() + 9) == [], "of an earlier build"


def test_one_that_gathers_needs_none_in_earnest(four):
    assert plan.waits_for("waits") == {"short"}
    assert plan.waits_for("all") == set()
    assert plan.waits_for("all", gathered=True) == {"long", "short", "waits"}


def test_every_notebook_says_how_long_it_takes_at_each_size():
    for name, entry in plan.NOTEBOOKS.items():
        assert set(entry["minutes"]) == set(plan.PROFILES), name
        assert all(value > 0 for value in entry["minutes"].values()), name


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("shrot", "is it short?"),
        ("wai", "is it waits?"),
        ("notebooks/Long.ipynb", "is it long?"),
        ("xyz", "there are long, short, waits, all"),
        (".ipynb", "there are long, short, waits, all"),
    ],
)
def test_a_mistyped_notebook_is_told_which_one_may_be_meant(four, typed, said):
    for name in four:
        plan.check_name(name)
    with pytest.raises(InputError) as error:
        plan.check_name(typed)
    assert str(error.value).startswith(f"there is no notebook {typed!r}; ")
    assert str(error.value).endswith(said)


def test_what_one_notebook_gathers_is_counted(four, monkeypatch, capsys, tmp_path):
    import book as build

    monkeypatch.setattr(build, "ROOT", tmp_path)
    given = SimpleNamespace(profile="quick", jobs="2", threads="1", only=["all"])
    given.parameters = {}
    assert set(build.announce(given, Path("nothing"))) == set(four)
    assert "4 of 4 notebooks to run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stale", "told"),
    [
        ([], None),
        (["waits"], "2 of 4 notebooks to run at quick size, 2 at a time: about 5 min"),
        (["short"], "3 of 4 notebooks to run at quick size, 2 at a time: about 7 min"),
    ],
)
def test_what_changed_since_it_ran_and_what_reads_it_is_counted(
    four, monkeypatch, capsys, tmp_path, stale, told
):
    import book as build

    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(plan, "is_fresh", lambda name, *given: name not in stale)
    given = SimpleNamespace(profile="quick", jobs="2", threads="1", only=[])
    given.parameters = {}
    waiting = build.announce(given, Path("nothing"))
    said = capsys.readouterr().out
    assert said == "" and waiting == [] if told is None else told in said


@pytest.mark.parametrize("profile", ["quick", "paper"])
def test_the_time_is_said_before_anything_runs(monkeypatch, capsys, tmp_path, profile):
    import book as build

    monkeypatch.setattr(build, "ROOT", tmp_path)
    given = build.arguments_of(
        ["--profile", profile, "--jobs", "2", "--kernel", "python3"]
    )
    assert build.announce(given, Path("nothing")) == list(plan.NOTEBOOKS)
    said = capsys.readouterr().out
    assert f"{len(plan.NOTEBOOKS)} of {len(plan.NOTEBOOKS)} notebooks to run" in said
    assert "2 at a time: about" in said
    assert ("hours" in said) is (profile == "paper")
    assert ("a07_network_from_scratch" in said) is (profile == "paper")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.zip", b"PK\x03\x04 and no end", "cut.zip"),
        ("cut.parquet", b"PAR1 and no end", "cut.parquet"),
        ("mine.csv", b"", "mine.csv is empty"),
        ("page.csv", b"<!doctype html><p>Sign in", "page.csv is a web page or XML"),
        ("mine.csv.gz", b"\x1f\x8b\x08", "mine.csv.gz is a gzip archive"),
        ("teds-a.csv", b"ADMYR,CASEID,SERVICES\n2018,1,7\n", "admissions"),
        ("words.csv", b"hello\n", r"no file that a page can take: its columns \(hello"),
        ("mine.csv", b"a;b\n1;2\n", "neither those of TEDS-D"),
        ("cprd.csv", b"age,sex\n50,1\n", None),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_build_first(
    monkeypatch, tmp_path, name, content, said
):
    import book as build

    (tmp_path / name).write_bytes(content)
    words = ["--data", str(tmp_path / name), "--kernel", "python3"]
    monkeypatch.setattr(plan, "check", lambda *given: None)
    if said is None:  # a table of another kind is for the page that takes it
        assert build.arguments_of(words).data == str(tmp_path / name)
        return
    with pytest.raises(InputError, match=said):
        build.arguments_of(words)


def test_it_is_said_after_each_notebook_how_many_are_done(four, tmp_path, monkeypatch):
    import book as build

    monkeypatch.setattr(build, "ROOT", tmp_path)
    given = SimpleNamespace(profile="quick", jobs="2", threads="1")
    results = tmp_path / "out" / "results"
    results.mkdir(parents=True)
    said = []
    monkeypatch.setattr(build, "print", lambda text, file: said.append(text), raising=0)
    with build.followed(four, given, Path("out")):
        stamp = {"minutes": 10, "fingerprints": {}}
        result = {"stamp": stamp, "claims": [], "values": {}}
        (results / "long.json").write_text(json.dumps(result))
        for _ in range(100):
            if said:
                break
            time.sleep(0.1)
    # 5 minutes were planned and 10 taken; the others need 7, one after the other.
    (line,) = said
    assert line == "make book: 1 of 4 notebooks are done; the rest takes about 14 min"
    assert build.progress(four, four, given, results).endswith(
        "4 of 4 notebooks are done"
    )
