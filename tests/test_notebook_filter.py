"""Saving a page in JupyterLab leaves no difference, neither in git nor in its stamp."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import notebook_filter
import pytest

from sudlib.book import freshness

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def saved(text):
    """Return a notebook as JupyterLab leaves it after a run, with another kernel."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata.kernelspec = {
        "name": "mine",
        "display_name": "M",
        "language": "p",
    }
    notebook.metadata.language_info = {"name": "python", "version": "3.12.1"}
    notebook.metadata.widgets = {"application/json": {}}
    for n, cell in enumerate(notebook.cells):
        cell.metadata["trusted"] = True
        if cell.cell_type == "code":
            cell.execution_count = n + 1
            cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
            cell.outputs = [nbformat.v4.new_output("stream", text="x\n")]
    # Keys in another order, characters as \u escapes: programs differ.
    return json.dumps(dict(reversed(notebook.items())))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_saved_page_is_the_same_to_git_and_to_its_stamp(path, tmp_path):
    text = path.read_text(encoding="utf-8")
    after = saved(text)
    assert notebook_filter.clean(after) == notebook_filter.clean(text)
    (tmp_path / path.name).write_text(after)
    assert freshness.cell_digests(tmp_path / path.name) == freshness.cell_digests(path)


def test_what_is_kept_is_as_jupyter_writes_it(notebook_maker, tmp_path):
    path = notebook_maker(tmp_path / "one.ipynb", "seed: int = 33", "a = 'ä'\nb = 2")
    kept = notebook_filter.clean(saved(path.read_text()))
    assert nbformat.writes(nbformat.reads(kept, as_version=4)) + "\n" == kept
    cell = json.loads(kept)["cells"][1]
    assert cell["source"] == ["a = 'ä'\n", "b = 2"]
    assert cell["outputs"] == [] and cell["execution_count"] is None
    assert "ä" in kept


@pytest.mark.parametrize(
    "change",
    [
        lambda cell: cell.update(source="seed: int = 34"),
        lambda cell: cell["metadata"].update(tags=["other"]),
        lambda cell: cell["metadata"].update(jupyter={"source_hidden": True}),
        lambda cell: cell.update(id="another"),
    ],
)
def test_what_a_person_changes_is_kept(notebook_maker, tmp_path, change):
    path = notebook_maker(tmp_path / "one.ipynb", "seed: int = 33", "1")
    before = notebook_filter.clean(path.read_text())
    notebook = json.loads(path.read_text())
    change(notebook["cells"][0])
    assert notebook_filter.clean(json.dumps(notebook)) != before


@pytest.mark.parametrize("text", ["", "<<<<<<< ours\n{}", "[1]", '{"cells": 3}'])
def test_what_is_no_notebook_stays_what_it_is(text):
    assert notebook_filter.clean(text) == text


def test_git_sees_no_difference_once_it_is_told(notebook_maker, tmp_path):
    def git(*words):
        return subprocess.run(
            ["git", "-C", str(tmp_path), *words], capture_output=True, text=True
        ).stdout

    (tmp_path / "workflow").mkdir()
    shutil.copy(notebook_filter.__file__, tmp_path / "workflow")
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    path = notebook_maker(tmp_path / "one.ipynb", "seed: int = 33", "1")
    path.write_text(notebook_filter.clean(path.read_text()))
    git("init", "-q")
    notebook_filter.tell_git(tmp_path)
    assert sys.executable in git("config", "filter.sudlib-notebook.clean")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one")
    path.write_text(saved(path.read_text()))
    assert git("diff", "--stat") == ""
    path.write_text(path.read_text().replace("33", "34"))
    assert "one.ipynb" in git("diff", "--stat")


@pytest.mark.parametrize("name", ["--help", "nope.ipynb"])
def test_what_is_no_file_is_named_without_a_traceback(name):
    script = ROOT / "workflow" / "notebook_filter.py"
    done = subprocess.run(
        [sys.executable, script, name], capture_output=True, text=True
    )
    assert done.returncode == 1 and f"There is no file {name}." in done.stderr
    assert "Usage:" in done.stderr and "Traceback" not in done.stderr
