"""make clean takes nothing that took hours; make clean-all asks."""

import json

import clean
import pytest


def finished(folder, minutes):
    """Write a build with one result; return its folder."""
    for name in ("results", "executed", "logs", "html"):
        (folder / name).mkdir(parents=True)
        (folder / name / "one").touch()
    stamp = {"minutes": minutes}
    (folder / "results" / "one.json").write_text(json.dumps({"stamp": stamp}))
    return folder


def test_make_clean_keeps_what_took_hours_and_says_so(tmp_path, capsys):
    build = tmp_path / "_build"
    quick, long = finished(build / "quick", 0.7), finished(build / "paper", 90)
    shards = build / "study_c"
    shards.mkdir()
    (shards / "right_n100_r0-9.csv").touch()
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / ".venv").mkdir()
    assert clean.main([], tmp_path) == 0
    assert not quick.exists() and not (tmp_path / ".snakemake").exists()
    assert {path.name for path in long.iterdir()} == {"results", "executed"}
    assert list(shards.iterdir()) and (tmp_path / ".venv").exists()
    said = capsys.readouterr().out
    assert "_build/paper (1.5 hours of computing)" in said and "study_c" in said


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("", False), (None, False)])
def test_make_clean_all_asks_before_it_takes_hours(tmp_path, monkeypatch, answer, gone):
    def ask(question):
        if answer is None:
            raise EOFError  # nobody is there to ask
        return answer

    long = finished(tmp_path / "_build" / "paper", 90)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr("builtins.input", ask)
    assert clean.main(["--all"], tmp_path) == (0 if gone else 1)
    assert long.exists() is (tmp_path / ".venv").exists() is not gone


def test_make_clean_all_asks_nothing_where_nothing_took_long(tmp_path, monkeypatch):
    finished(tmp_path / "_build" / "quick", 2)
    monkeypatch.setattr("builtins.input", None)
    assert clean.main(["--all"], tmp_path) == 0
    assert not (tmp_path / "_build").exists()
