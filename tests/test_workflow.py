"""make book, as its user meets it: what runs, what stops it, what it says."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import execute
import plan
import psutil
import pytest

from sudlib.files import InputError

ROOT = Path(__file__).resolve().parent.parent


def book(project, *words, wait=True):
    """Run workflow/book.py in a project, with that project's own sudlib."""
    process = subprocess.Popen(
        [sys.executable, "workflow/book.py", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    if not wait:
        return process
    said = process.communicate(timeout=240)[0]
    return process.returncode, said


NOTEBOOKS = ("--kernel", "python3", "--only", "first second last")


def ran(project):
    """Return the dates of the executed notebooks."""
    folder = project / "_build" / "quick" / "executed"
    return {path.stem: path.stat().st_mtime_ns for path in folder.glob("*.ipynb")}


def test_only_what_depends_on_an_edit_runs_again(tiny_project):
    status, said = book(tiny_project, *NOTEBOOKS)
    assert status == 0, said
    first = ran(tiny_project)
    assert set(first) == {"first", "second", "last"}

    def would_run():
        status, said = book(tiny_project, *NOTEBOOKS, "--dry-run")
        assert status == 0, said
        table = said.split("job ", 1)[1] if "job " in said else ""
        rows = [line.split() for line in table.splitlines()]
        return {row[0] for row in rows if len(row) == 2 and row[0] in first}

    lower = tiny_project / "sudlib" / "lower.py"
    lower.write_text(lower.read_text() + "# words\n")
    (tiny_project / "notebooks" / "second.ipynb").touch()
    (tiny_project / "data" / "two.csv").write_text("nobody reads this\n")
    assert would_run() == set(), "a comment, a date or a file nobody reads is no change"
    lower.write_text(lower.read_text() + "EDITED = True\n")
    assert book(tiny_project, *NOTEBOOKS)[0] == 0
    second = ran(tiny_project)
    assert {name for name in first if first[name] != second[name]} == {"first", "last"}
    (tiny_project / "data" / "one.csv").write_text("a\n123\n")
    assert would_run() == {"first", "last"}
    lock = tiny_project / "requirements.lock"
    lock.write_text(lock.read_text() + "# a new pin\n")
    assert would_run() == {"first", "second", "last"}


def test_a_failing_notebook_stays_to_be_read_and_is_named(tiny_project, notebook_maker):
    notebook_maker(
        tiny_project / "notebooks" / "second.ipynb",
        'size: str = "quick"',
        "share = 0\n1 / share",
    )
    status, said = book(tiny_project, *NOTEBOOKS)
    assert status == 1
    assert "second stopped in cell [3]" in said
    assert "share = 0" in said and "ZeroDivisionError: division by zero" in said
    assert "Traceback" not in said
    left = tiny_project / "_build" / "quick" / "logs" / "second.ipynb"
    assert "ZeroDivisionError" in left.read_text()
    assert not (tiny_project / "_build" / "quick" / "results" / "second.json").exists()


def test_a_notebook_whose_kernel_dies_is_named(tiny_project, notebook_maker):
    notebook_maker(
        tiny_project / "notebooks" / "second.ipynb",
        'size: str = "quick"',
        "import os\nos._exit(9)",
    )
    status, said = book(tiny_project, "--kernel", "python3", "--only", "second")
    assert status == 1 and "second stopped" in said and "DeadKernelError" in said
    assert "Traceback" not in said


def test_a_kernel_that_will_not_start_says_why(tiny_project, tmp_path, monkeypatch):
    from sudlib.book import jupyter_kernel

    missing = [name for name in ("torch", "jax") if not importlib.util.find_spec(name)]
    if not missing:
        pytest.skip("jax and torch are both installed here: the kernel would start")
    jupyter_kernel.install(prefix=tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    monkeypatch.setenv("KERAS_BACKEND", missing[0])
    status, said = book(tiny_project, "--only", "second")
    assert status == 1 and "second stopped" in said
    assert f"the backend {missing[0]!r} was asked for but is not installed" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile", "huge"], "PROFILE must be quick or paper, not 'huge'"),
        (["--jobs", "many"], "JOBS must be a whole number of CPU cores"),
        (["--threads", "0"], "THREADS must be a whole number of threads, not '0'"),
        (["--only", "third"], "no notebook 'third'; there are first, second, last"),
        (["--only", "secnd"], "there is no notebook 'secnd'; is it second?"),
        (["--data", "no/such/file.csv"], "no/such/file.csv"),
        (["--kernel", "nowhere", "--only", "second"], "no Jupyter kernel 'nowhere'"),
    ],
)
def test_bad_words_get_one_clear_line(tiny_project, words, said):
    status, output = book(tiny_project, *words)
    assert status != 0
    assert said in output
    assert "Traceback" not in output


def test_a_bad_parameter_stops_before_the_kernel_starts(tiny_project):
    plan = tiny_project / "workflow" / "notebooks.yml"
    plan.write_text(plan.read_text().replace("size: quick", "size: tiny"))
    status, output = book(tiny_project, "--only", "second")
    assert status != 0
    assert 'size must be "quick" or "paper", not \'tiny\'' in output
    assert not (tiny_project / "_build" / "quick" / "logs" / "second.ipynb").exists()


def test_a_second_build_waits_outside_and_a_killed_one_resumes(
    tiny_project, notebook_maker
):
    slow = tiny_project / "notebooks" / "second.ipynb"
    kept = slow.read_text()
    notebook_maker(slow, 'size: str = "quick"', "import time\ntime.sleep(120)")
    kernel = ("--kernel", "python3", "--only")
    assert book(tiny_project, *kernel, "first")[0] == 0
    running = book(tiny_project, *kernel, "first second", wait=False)
    try:
        started = tiny_project / "_build" / "quick" / "logs" / "second.ipynb"
        for _ in range(600):
            if started.exists():
                break
            time.sleep(0.1)
        status, said = book(tiny_project, *kernel, "first")
        assert status == 2 and "another `make book` is running" in said
        before = ran(tiny_project)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    slow.write_text(kept)
    status, said = book(tiny_project, *kernel, "first second")
    assert status == 0, said
    assert ran(tiny_project)["first"] == before["first"], "finished work is kept"
    assert "second" in ran(tiny_project)


def test_a_changed_file_of_ones_own_runs_its_pages_again(
    tiny_project, notebook_maker, tmp_path, monkeypatch
):
    """Also where no shell expands its path: in quotes, and in zsh after DATA=."""
    notebook_maker(
        tiny_project / "notebooks" / "second.ipynb",
        'data: str = "twin"',
        "from sudlib import book, files\nrun = book.start('second', data=data)",
        "rows = len(files.expand_path(data).read_text().splitlines())",
        "run.say('{rows}', rows=rows)",
        "run.finish()",
    )
    home = tmp_path / "it's {my} home: ä"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    words = ("--kernel", "python3", "--only", "second", "--data", "~/peo{p}le (1).csv")

    def rows():
        status, said = book(tiny_project, *words)
        assert status == 0, said
        [result] = tiny_project.glob("_build/*/results/second.json")
        return json.loads(result.read_text())["values"]["rows"]

    head = "DISYR,CASEID\n"
    (home / "old.csv").write_text(f"{head}2018,1\n2018,2\n")
    (home / "new.csv").write_text(f"{head}2018,1\n")
    for target, said in (("old", "3"), ("new", "2")):
        (home / "peo{p}le (1).csv").unlink(missing_ok=True)
        (home / "peo{p}le (1).csv").symlink_to(home / f"{target}.csv")
        assert rows() == said
    (home / "new.csv").write_text(head)
    assert rows() == "1"


def test_a_build_in_an_awkward_place_with_awkward_variables_is_made(
    tiny_project, tmp_path, monkeypatch
):
    place = tmp_path / "it's my Büch#lein $HOME {x}"
    tiny_project.rename(place)
    long = tmp_path / ("a_long_name_" * 9)
    long.mkdir()
    renamed = place / "notebooks" / "zwei ä.ipynb"
    (place / "notebooks" / "second.ipynb").rename(renamed)
    for file in (place / "workflow" / "notebooks.yml", renamed):
        file.write_text(file.read_text().replace("second", "zwei ä"))
    (tmp_path / "file").touch()
    for name, value in {
        "TMPDIR": str(long),  # too long for the name of a Unix socket
        "HOME": str(tmp_path / "file" / "me"),  # cannot be made
        "SNAKEMAKE_PROFILE": "of-another-project",
        "PYTHONWARNINGS": "error",
        "LC_ALL": "C",
    }.items():
        monkeypatch.setenv(name, value)
    status, said = book(place, "--kernel", "python3", "--only", "zwei ä")
    assert status == 0, said
    assert (place / "_build" / "quick" / "results" / "zwei ä.json").exists()
    assert "HOME" in said and "set HOME to a folder of yours" in said


def test_a_broken_notebook_stops_the_build_with_one_line(tiny_project):
    path = tiny_project / "notebooks" / "second.ipynb"
    text = path.read_text()
    for broken, said in (
        ("<<<<<<< ours\n" + text, "second.ipynb holds the marks of an unsettled merge"),
        (text.replace("1 + 1", "1 +* 1"), "second.ipynb, cell 3, line 1: this is no"),
        (text.replace("1 + 1", "size = 3"), "second.ipynb, cell 3 binds size again"),
    ):
        path.write_text(broken)
        status, output = book(tiny_project, "--kernel", "python3", "--only", "second")
        assert status == 2 and said in output, output
        assert "Traceback" not in output
        assert len(output.strip().splitlines()) == 1


def test_a_checkout_that_cannot_be_written_to_is_said(tiny_project):
    (tiny_project / "_build").write_text("a file where the folder should be")
    status, output = book(tiny_project, "--kernel", "python3", "--only", "second")
    assert status == 2 and "cannot be written to" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("name", ["Snakefile", "workflow/study_c.smk"])
def test_what_a_workflow_takes_from_the_library_is_there(name):
    text = (ROOT / name).read_text()
    names = {}
    for line in re.findall(r"^(?:from|import) sudlib.*$", text, re.M):
        exec(line, names)
    for name, attribute in re.findall(r"\b(\w+)\.(\w+)\(", text):
        assert name not in names or hasattr(names[name], attribute), attribute


def test_a_page_says_which_open_studies_it_reads(tiny_project, monkeypatch):
    monkeypatch.setattr(plan, "ROOT", tiny_project)
    assert plan.uses_open_studies("first") == []
    path = tiny_project / "notebooks" / "first.ipynb"
    text = path.read_text().replace("1 + 1", "")
    text = text.replace('"run.finish()"', '"page = trials.Page(run, \\"ist\\")"')
    path.write_text(text)
    assert plan.uses_open_studies("first") == ["ist"]


@pytest.mark.parametrize("there", [True, False])
def test_open_studies_are_fetched_before_the_build_or_not_asked_for_again(
    monkeypatch, capsys, there
):
    import book as build
    from sudlib import trials

    asked = []

    def fetch(name):
        asked.append(name)
        if not there:
            raise trials.NotAtHand("no internet")

    monkeypatch.setenv("SUDLIB_OPEN_DATA", "")
    monkeypatch.setattr(trials, "fetch", fetch)
    monkeypatch.setattr(build.plan, "uses_open_studies", lambda name: [name[:3]])
    build.get_open_studies(["ist_1", "ist_2", "ctn_1"])
    assert asked == (["ist", "ctn"] if there else ["ist"])
    said = capsys.readouterr().out
    assert ("recorded results" in said) is not there
    assert os.environ["SUDLIB_OPEN_DATA"] == ("" if there else "recorded")


# ------------------------------------------------------------- what stops some pages


STAND_IN = """import os, pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1], "html")
out.mkdir(parents=True)
(out / "index.html").write_text(" ".join(sys.argv[1:]))
"""


def test_a_page_that_stops_keeps_none_of_the_others_from_the_site(
    tiny_project, notebook_maker, tmp_path
):
    devices = tiny_project / "data" / "results" / "study_a" / "devices.csv"
    devices.parent.mkdir(parents=True)
    devices.write_text("device\n")
    (tiny_project / "workflow" / "build_site.py").write_text(STAND_IN)
    table = tiny_project / "workflow" / "notebooks.yml"
    table.write_text(table.read_text() + "  after: {needs: [first]}\n")
    cells = ["from sudlib import book", "run.finish()"]
    cells[0] += "\nrun = book.start('{}', size=size)"
    for name, use in (("first", "int('no `number`')"), ("after", "1")):
        notebook_maker(
            tiny_project / "notebooks" / f"{name}.ipynb",
            'size: str = "quick"\ndata: str = "twin"',
            cells[0].format(name),
            use,
            cells[1],
        )
    file = tmp_path / "mine (1).csv"
    file.write_text("DISYR,CASEID\n")
    status, said = book(tiny_project, "--kernel", "python3", "--data", str(file))
    assert status == 1, "the exit status says that something is missing"
    assert "The book is built without first, after" in said, said
    [out] = tiny_project.glob("_build/quick-mine__1_-*")
    ran = {path.stem for path in (out / "executed").glob("*.ipynb")}
    assert ran == {"second", "last"}, "last shows the results there are"
    page = (out / "html" / "index.html").read_text()
    assert "--allow-missing" in page and str(out.name) in page
    why = (out / "logs" / "first.why").read_text()
    assert "ValueError" in why and why.count("`") == 2, "Markdown that holds it as code"
    why = (out / "logs" / "after.why").read_text()
    assert why == "it needs the results of first\n"


@pytest.mark.parametrize(
    ("sign", "by"),
    [
        (signal.SIGKILL, ()),
        (signal.SIGTERM, ()),
        (signal.SIGKILL, ("make", "-s", "-f", "by.mk")),
    ],
    ids=["killed", "told to end", "its make killed"],
)
def test_a_build_that_is_ended_leaves_no_process(
    tiny_project, notebook_maker, sign, by
):
    slow = tiny_project / "notebooks" / "second.ipynb"
    begun = tiny_project / "begun"
    code = f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(600)"
    notebook_maker(slow, 'size: str = "quick"', code)
    running = book(tiny_project, "--kernel", "python3", "--only", "second", wait=False)
    started = []
    try:
        for _ in range(1200):
            if begun.exists():
                break
            time.sleep(0.1)
        started = psutil.Process(running.pid).children(recursive=True)
        assert len(started) >= 3, "Snakemake, the runner and the kernel"
        os.kill(running.pid, sign)
        assert running.wait(timeout=60) != 0
        _, alive = psutil.wait_procs(started, timeout=60)
        assert not alive
    finally:
        for process in started:
            if process.is_running():
                process.kill()
        running.kill()
        running.wait()


@pytest.mark.parametrize("name", ["results/second.json", "executed/second.ipynb"])
def test_what_is_damaged_is_named_and_made_again(monkeypatch, tmp_path, capsys, name):
    import book as build

    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(plan, "NOTEBOOKS", {"first": {}, "second": {}})
    for stem in plan.NOTEBOOKS:
        whole = {"stamp": {"fingerprints": {}}, "claims": [], "values": {}, "cells": []}
        for path in (f"results/{stem}.json", f"executed/{stem}.ipynb"):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(json.dumps(whole))
    build.remove_damaged(Path())
    assert capsys.readouterr().err == "", "nothing is damaged"
    (tmp_path / name).write_text(json.dumps(whole)[:-20])
    build.remove_damaged(Path())
    assert f"{name} is damaged" in capsys.readouterr().err
    left = {path.stem for path in tmp_path.rglob("*.*") if path.is_file()}
    assert left == {"first"}, "both files of it go: Snakemake asks for one only"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stamp": {}}', '{"stamp": 3}'])
def test_a_damaged_result_is_named_where_it_is_read(tmp_path, text):
    from sudlib import book as library

    (tmp_path / "a02.json").write_text(text)
    with pytest.raises(InputError) as caught:
        library.read_results(tmp_path)
    assert f"{tmp_path / 'a02.json'} is damaged" in str(caught.value)


@pytest.mark.parametrize(
    ("goal", "names", "handed_on"),
    [
        ("book", ["DATA", "JOBS"], "--data={}"),
        ("notebook", ["TITLE", "NAME"], "{}"),
        ("mutants", ["ROOM", "N"], "{}"),
        ("teach", ["PROFILE", "NAME"], "_build/{}/executed"),
        ("test", ["JOBS", "NAME"], "{}"),
    ],
)
def test_make_hands_on_what_is_asked_for_as_it_stands(goal, names, handed_on, tmp_path):
    """Also a file whose name holds what a shell would read."""
    makefile = (ROOT / "Makefile").read_text()
    makefile = re.sub(r"(?m)^environment: .*\n.*\n", "environment:\n", makefile)
    (tmp_path / "Makefile").write_text(makefile)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    name = 'it\'s "mine" (1) `x`; y.csv'
    done = subprocess.run(
        ["make", goal, f"{names[0]}={name}", f"{names[1]}=3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    said = done.stdout.splitlines()
    assert handed_on.format(name) in said, done
    if goal == "book":
        assert "--jobs=3" in said and "--profile=" in said


def test_a_name_of_the_machines_own_is_no_benchmark(tmp_path):
    makefile = (ROOT / "Makefile").read_text()
    makefile = re.sub(r"(?m)^environment: .*\n.*\n", "environment:\n", makefile)
    (tmp_path / "Makefile").write_text(makefile)
    done = subprocess.run(
        ["make", "-s", "bench", "BIN=echo"],
        cwd=tmp_path,
        env={**os.environ, "NAME": "DESKTOP-7"},
        capture_output=True,
        text=True,
    )
    assert "DESKTOP-7" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "given", ["[1]", "{size: quick}", "quick", '{"size": "quick", "size": "paper"}']
)
def test_parameters_are_names_and_values(given, capsys):
    where = ["--executed", "a", "--result", "b", "--log", "c"]
    with pytest.raises(SystemExit):
        execute.main(["notebooks/x.ipynb", "--parameters", given, *where])
    assert "--parameters: must be JSON such as" in capsys.readouterr().err


def test_a_result_may_have_any_name(tiny_project):
    words = ["--kernel", "python3", "--executed", "x.ipynb", "--log", "l/log.txt"]
    done = subprocess.run(
        [sys.executable, "workflow/execute.py", "notebooks/second.ipynb", *words]
        + ["--result", "other.json"],
        cwd=tiny_project,
        env={**os.environ, "PYTHONPATH": str(tiny_project)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tiny_project / "other.json").read_text())
    assert result["notebook"] == "second"
