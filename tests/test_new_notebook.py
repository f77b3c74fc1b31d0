"""A new experiment begins as a page that the book accepts."""

import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "workflow")]

import new_notebook  # noqa: E402
import notebook_style  # noqa: E402
import stage  # noqa: E402

from sudlib import book  # noqa: E402

MODEL = "notebooks/a02_forest_general.ipynb"


@pytest.fixture
def root(tmp_path):
    for name in (MODEL, "workflow/notebooks.yml", "book/_toc.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("study", "abcd")
def test_a_new_page_is_listed_after_the_last_of_its_study(root, study):
    name = f"{study}99_a_new_page"
    new_notebook.main([name, "A question?"], root)
    plan = list(
        yaml.safe_load((root / "workflow/notebooks.yml").read_text())["notebooks"]
    )
    listed = stage.entries(stage.read_toc(root))
    before = [page for page in plan if page[0] == study and page[1].isdigit()][-2]
    assert plan.index(name) == plan.index(before) + 1
    same = [page for page in listed if page.startswith(f"notebooks/{study}")]
    assert same[-1] == f"notebooks/{name}"
    assert len(plan) == len(set(plan)) and len(listed) == len(set(listed))


def test_a_new_page_keeps_the_rules(root):
    new_notebook.main(["d99_a_new_page", "A question?"], root)
    path = root / "notebooks" / "d99_a_new_page.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# A question?\n")
    assert set(book.check_parameters(path, {})) == {"data", "size", "seed"}
    folded = notebook_style.fold_all(nbformat.read(path, as_version=4))
    assert [c.metadata for c in folded.cells] == [c.metadata for c in notebook.cells]
    with pytest.raises(SystemExit):
        new_notebook.main(["d99_a_new_page", "Again?"], root)
    for name, title in (("my page", "?"), ("d98_b", " "), ("d98_b", "Two\nlines")):
        with pytest.raises(SystemExit):
            new_notebook.main([name, title], root)
