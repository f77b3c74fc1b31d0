"""What several test files share: tiny notebooks and a tiny copy of the project."""

import shutil
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))


def make_notebook(path, parameters, *cells):
    """Write a notebook with a parameters cell and some code cells; return its path."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook.cells = [first, *(nbformat.v4.new_code_cell(cell) for cell in cells)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="session")
def notebook_maker():
    """Give :func:`make_notebook` to a test."""
    return make_notebook


@pytest.fixture
def tiny_project(tmp_path):
    """Copy the project without its notebooks; tiny ones instead, and two data files.

    ``first`` uses the module ``sudlib.claims_like`` and one data file, ``second``
    neither; ``last`` reads the results of both.
    """
    project = tmp_path / "project"
    for name in ("sudlib", "workflow", "data/codebook", "data/twin"):
        shutil.copytree(
            ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    more = ("Snakefile", "requirements.lock", "pyproject.toml", "data/registry.csv")
    for name in more:
        shutil.copy(ROOT / name, project / name)
    for path, text in {
        "_config.yml": "title: tiny\n",
        "book/index.md": "# tiny\n",
        "data/one.csv": "a\n1\n",
        "data/two.csv": "a\n2\n",
        "sudlib/lower.py": "from sudlib.files import data_file\n\n\n"
        "def count():\n    return len(data_file('one.csv').read_text())\n",
        "sudlib/upper.py": "from sudlib import lower\n\n\n"
        "def count():\n    return lower.count()\n",
        "workflow/notebooks.yml": "profiles:\n  quick: {size: quick}\n"
        "  paper: {size: paper}\nnotebooks:\n  first: {minutes: {quick: 2}}\n"
        "  second: {minutes: {quick: 1}}\n  last: {needs: all}\n",
    }.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    declare = 'size: str = "quick"\nseed: int = 33'
    for name, use in {
        "first": "from sudlib import upper\nupper.count()",
        "second": "1 + 1",
        "last": "from sudlib import book as again\nlen(str(seed))",
    }.items():
        make_notebook(
            project / "notebooks" / f"{name}.ipynb",
            declare,
            "from sudlib import book\n"
            f'run = book.start("{name}", size=size, seed=seed)',
            use,
            "run.finish()",
        )
    return project
