"""What a page depends on: exactly the modules and data files it can reach."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sudlib import book, files
from sudlib.book import freshness
from sudlib.files import InputError

NOTEBOOKS = sorted((book.ROOT / "notebooks").glob("*.ipynb"))
LIBRARY = {
    "__init__.py": '"""A library."""\n\n__version__ = "1"\n',
    "files.py": "def data_file(name):\n    return name\n",
    "rules/__init__.py": "from sudlib.rules import trees\n"
    "from sudlib.rules.linear import Linear, fit as learn\n"
    "from sudlib.rules.cohort import cohort\n\n"
    "LIMIT = 3\n",
    "rules/linear.py": "from sudlib.rules.base import Base\n\n\n"
    'class Linear(Base):\n    """A rule."""\n\n    def fit(self):\n        return 1\n',
    "rules/base.py": "from .. import files\n\nfiles.data_file('base.csv')\n",
    "rules/trees.py": "from sudlib import scores as s\nfrom . import base\n",
    "rules/cohort.py": "def cohort():\n    return 0\n",
    "rules/deep/__init__.py": "",
    "rules/deep/end.py": "x = 1\n",
    "scores.py": "import numpy\n",
    "lazy/__init__.py": "from typing import TYPE_CHECKING\n\n"
    "if TYPE_CHECKING:\n    from sudlib.lazy.one import first\n",
    "lazy/one.py": "first = 1\n",
    "lazy/two.py": "second = 2\n",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkout")
    for name, text in LIBRARY.items():
        (root / "sudlib" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "sudlib" / name).write_text(text)
    return freshness.Library(root)


def needs(library, source, package=""):
    """Return all modules that a source text depends on, without their first name."""
    read = freshness._Source(package).read(source)
    return {name.removeprefix("sudlib.") for name in library.closure(read)}


LINEAR = {"rules.linear", "rules.base", "files"}
TREES = {"rules.trees", "rules.base", "files", "scores"}


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        # One name of a package: the module that defines it, and what that imports.
        ("from sudlib import rules\nrules.Linear().fit()", LINEAR),
        ("from sudlib import rules as r\nf = [r.learn]", LINEAR),
        ("from sudlib.rules import Linear", LINEAR),
        ("from sudlib.rules.linear import Linear as L", LINEAR),
        ("import sudlib.rules\nsudlib.rules.Linear", LINEAR),
        ("import sudlib.rules as r\nr.Linear", LINEAR),
        ("import sudlib.rules.linear", LINEAR),
        ("import numpy, sudlib\nsudlib.rules.linear.Linear", LINEAR),
        # A module of a package: listed in its __init__ or not.
        ("from sudlib import rules\nrules.trees.x", TREES),
        ("from sudlib.rules import base\nbase.x", {"rules.base", "files"}),
        ("from sudlib.rules.deep import end", {"rules.deep.end"}),
        # A function that has its module's name, either way.
        ("from sudlib import rules\nrules.cohort()", {"rules.cohort"}),
        ("from sudlib.rules.cohort import cohort", {"rules.cohort"}),
        # A name that the package itself defines: it and all that it imports.
        (
            "from sudlib import rules\nrules.LIMIT",
            {"rules", "rules.trees", "rules.cohort", "scores", *LINEAR},
        ),
        # What cannot be traced: the whole package, also what no __init__ imports.
        ("from sudlib import lazy\nlazy.second", {"lazy", "lazy.one", "lazy.two"}),
        ("from sudlib import lazy\nuse(lazy)", {"lazy", "lazy.one", "lazy.two"}),
        ("from sudlib import lazy", {"lazy", "lazy.one", "lazy.two"}),
        ("from sudlib.lazy import *", {"lazy", "lazy.one", "lazy.two"}),
        # Names listed for type checkers only, as a package that loads on demand has.
        ("from sudlib import lazy\nlazy.first", {"lazy.one"}),
        ("def f():\n    from sudlib import scores", {"scores"}),
        ("import sudlib\nsudlib.__version__", {"sudlib"}),
        ("import sudlib", set()),
        ("from sudlib import nothing_there", {"sudlib"}),
        ("import pandas as sudlib_like\nsudlib_like.rules", set()),
    ],
)  # fmt: skip
def test_a_name_depends_on_the_module_that_defines_it(library, source, modules):
    found = needs(library, source)
    if "nothing_there" in source:  # of sudlib itself: everything, to be safe
        assert found >= {"sudlib", "lazy.two", "scores"}
    else:
        assert found == modules


@pytest.mark.parametrize(
    ("source", "package", "modules"),
    [
        ("from . import base", "sudlib.rules", {"rules.base", "files"}),
        ("from .base import x", "sudlib.rules", {"rules.base", "files"}),
        ("from .. import scores", "sudlib.rules", {"scores"}),
        ("from ...scores import x", "sudlib.rules.deep", {"scores"}),
        ("from . import scores", "sudlib", {"scores"}),
    ],
)
def test_relative_imports_start_from_their_package(library, source, package, modules):
    assert needs(library, source, package) == modules


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("import pandas\ndata_file('a/b.csv')", {"a/b.csv"}),
        ("files.data_file(f'twin/{year}.npz')", {"twin/*.npz"}),
        ("read(files.data_file('x').read_text())", {"x"}),
        ("data_file(name)", set()),
        ("data_file()", set()),
    ],
)
def test_every_form_of_data_file_is_seen(source, data):
    assert freshness._Source().read(source).data == data


def test_every_data_file_call_of_the_library_is_a_literal():
    for path in (book.ROOT / "sudlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                "data_file"
            ):
                assert freshness.data_pattern(node.args[0]), ast.unparse(node)


def test_packages_only_gather_names_so_that_only_those_used_count():
    """An ``__init__`` that computed something would be left out of the stamp."""
    allowed = ast.Import | ast.ImportFrom | ast.FunctionDef
    for path in (book.ROOT / "sudlib").rglob("__init__.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Expr):
                assert isinstance(node.value, ast.Constant), ast.unparse(node)
            elif isinstance(node, ast.If):
                assert ast.unparse(node.test) == "TYPE_CHECKING"
            elif isinstance(node, ast.Assign):
                ast.literal_eval(node.value)
            else:
                assert isinstance(node, allowed), ast.unparse(node)


def test_no_page_of_the_book_holds_a_whole_wing():
    """A package passed on as an object would make its page depend on all of it."""
    library = freshness.Library()
    for notebook in NOTEBOOKS:
        modules = library.closure(freshness.read_source(notebook))
        assert "sudlib.book.run" in modules, notebook.stem
        assert "sudlib.book" not in modules, notebook.stem
        # Study C's rules are for study C and for the pages on real people.
        if notebook.stem[0] in "ab" or notebook.stem.startswith("d01"):
            assert not {name for name in modules if "policy" in name}, notebook.stem


def project(folder, code):
    """Write a tiny checkout; return its notebook."""
    for name, text in {**LIBRARY, "../requirements.lock": "numpy==2\n"}.items():
        path = folder / "sudlib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "data").mkdir()
    for name in ("base.csv", "other.csv"):
        (folder / "data" / name).write_text("a\n")
    from conftest import make_notebook

    return make_notebook(folder / "notebooks" / "one.ipynb", "seed: int = 33", code)


def edit(path, old, new):
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "kind"),
    [
        # A package's modules count; those a page does not reach do not.
        ("sudlib/rules/linear.py", "return 1", "return 2", "sudlib"),
        ("sudlib/rules/base.py", "import files", "import files  # why", None),
        ("sudlib/rules/linear.py", '"""A rule."""', '"""Other words."""', None),
        ("sudlib/rules/linear.py", '"""A rule."""\n', '"rule"\n', None),
        ("sudlib/rules/trees.py", "import base", "import base as b", None),
        ("sudlib/rules/__init__.py", "LIMIT = 3", "LIMIT = 4", None),
        ("sudlib/scores.py", "numpy", "pandas", None),
        ("data/base.csv", "a", "b", "data"),
        ("data/other.csv", "a", "b", None),
        ("requirements.lock", "2", "3", "lock"),
        ("notebooks/one.ipynb", "fit", "learn", "notebook"),
    ],
)
def test_a_stamp_goes_stale_with_what_its_page_uses_and_nothing_else(
    tmp_path, name, old, new, kind
):
    code = "from sudlib import rules\nrules.Linear().fit()"
    notebook, given = project(tmp_path, code), {"seed": 33}
    stamp = {
        "parameters": given,
        "fingerprints": freshness.fingerprints(notebook, given, tmp_path),
    }
    assert freshness.stale({"stamp": stamp}, notebook, tmp_path) is None
    edit(tmp_path / name, old, new)
    said = freshness.stale({"stamp": stamp}, notebook, tmp_path)
    assert said == (kind and f"changed since it ran: {kind}")


def test_a_stamp_goes_stale_with_its_parameters_and_its_notebook(tmp_path):
    notebook = project(tmp_path, "1")
    stamp = {
        "parameters": {"seed": 33},
        "fingerprints": freshness.fingerprints(notebook, {"seed": 34}, tmp_path),
    }
    said = freshness.stale({"stamp": stamp}, notebook, tmp_path)
    assert said == "changed since it ran: parameters"
    (tmp_path / "requirements.lock").write_text("other")
    said = freshness.stale({"stamp": stamp}, notebook, tmp_path)
    assert said == "changed since it ran: lock, parameters"
    gone = notebook.with_name("none.ipynb")
    assert "none.ipynb is gone" in freshness.stale({"stamp": stamp}, gone, tmp_path)


def test_renaming_a_module_changes_the_stamp(tmp_path):
    notebook = project(tmp_path, "from sudlib.lazy import one")
    before = freshness.fingerprints(notebook, {}, tmp_path)["sudlib"]
    lazy = tmp_path / "sudlib" / "lazy"
    (lazy / "one.py").rename(lazy / "three.py")
    edit(notebook, "import one", "import three")
    assert freshness.fingerprints(notebook, {}, tmp_path)["sudlib"] != before


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Return the fingerprint of data that a page's parameters name."""
    notebook = project(tmp_path / "checkout", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RECORDS", str(tmp_path))

    def data(**parameters):
        return freshness.fingerprints(notebook, parameters, tmp_path / "checkout")[
            "data"
        ]

    return data


@pytest.mark.parametrize("name", ["data", "weights", "real_sample"])
@pytest.mark.parametrize(
    "said",
    ["{}/real.csv", "~/real.csv", "$RECORDS/real.csv", "${{RECORDS}}/real.csv"]
    + ["../real.csv", "{}/folder", "~/folder", "{}/link.csv", "{}/links"],
)
def test_a_file_that_a_parameter_names_counts_by_its_content(
    tmp_path, given, name, said
):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "links").symlink_to(tmp_path / "folder")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    parameter = {name: said.format(tmp_path)}
    files = [tmp_path / "real.csv", tmp_path / "folder" / "deep" / "one.csv"]
    seen = set()
    for text in ("a", "bb", "cc"):
        for file in files:
            file.write_text(text)
        seen.add(given(**parameter))
    assert len(seen) == 3
    assert given(**parameter) in seen


def test_a_link_that_points_elsewhere_is_another_file(tmp_path, given):
    link = tmp_path / "link.csv"
    seen = set()
    for text in ("a", "b"):
        target = tmp_path / f"{text}.csv"
        target.write_text(text)
        os.utime(target, (1, 1))  # same size, same time
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        seen.add(given(data=str(link)))
    assert len(seen) == 2


def test_a_file_that_comes_goes_or_is_renamed_in_a_folder_counts(tmp_path, given):
    folder = tmp_path / "folder"
    folder.mkdir()
    seen = [given(data=str(folder))]
    (folder / "one.csv").write_text("a")
    seen.append(given(data=str(folder)))
    (folder / "one.csv").rename(folder / "two.csv")
    seen.append(given(data=str(folder)))
    (folder / "ring").symlink_to(folder)
    assert given(data=str(folder)) == seen[-1]
    assert len(set(seen)) == 3


def test_words_that_are_no_path_are_no_data(given, tmp_path):
    (tmp_path / "checkout" / "quick").mkdir()
    assert given(data="twin", size="quick", rows=3, path="", long="a" * 999) == given()


def test_copies_that_jupyter_keeps_are_no_modules(tmp_path):
    notebook = project(tmp_path, "from sudlib import lazy")
    before = freshness.fingerprints(notebook, {}, tmp_path)
    kept = tmp_path / "sudlib" / "lazy" / ".ipynb_checkpoints"
    kept.mkdir()
    (kept / "one-checkpoint.py").write_text("first = 0\n")
    assert freshness.fingerprints(notebook, {}, tmp_path) == before


def test_a_file_that_cannot_be_read_is_named(tmp_path, given, monkeypatch):
    def digest(path):
        if path.endswith("one.csv"):
            raise PermissionError(13, "Permission denied")
        return "0"

    monkeypatch.setattr(freshness, "sha256", digest)  # root may read everything
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one.csv").write_text("a")
    with pytest.raises(
        InputError, match=r"cannot read '.*one\.csv': Permission denied"
    ):
        given(data=str(tmp_path / "folder"))


def test_a_name_with_a_dollar_in_it_is_itself(tmp_path):
    (tmp_path / "a$HOME b").write_text("x")
    named = tmp_path / "a$HOME b"
    assert files.expand_path(str(named)) == named


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('"""Words."""\nx = 1', "x = 1", True),
        ("def f():\n    'Words.'", "def f():\n    pass", True),
        ("class A:\n    'W.'\n    x = 1", "class A:\n\n    x = 1  # one", True),
        ("async def f():\n    'W.'\n    g()", "async def f():\n    g()", True),
        ("x = 'Words.'", "x = 'Other words.'", False),
        ("def f():\n    g()\n    'W.'", "def f():\n    g()\n    'V.'", False),
        ("'Usage.'\nprint(__doc__)", "'Other.'\nprint(__doc__)", False),
        ("x = 1", "x = 1.0", False),
        ("if a:\n    b()\nc()", "if a:\n    b()\n    c()", False),
    ],
)
def test_code_counts_and_words_do_not(one, other, same):
    assert (freshness.code_digest(one) == freshness.code_digest(other)) is same


@pytest.mark.parametrize(
    "cell",
    [
        "%matplotlib inline\n!ls\nfrom sudlib import scores",
        "files = !ls\nfrom sudlib import scores",
        "if True:\n    !ls\nfrom sudlib import scores",
        "home = %env HOME\n%pip install \\\n -q pandas\nfrom sudlib import scores",
        "scores?\n?scores\nfrom sudlib import scores",
        "%%time\nfrom sudlib import scores",
        "%%capture out\n!ls\nfrom sudlib import scores",
        "import asyncio\nawait asyncio.sleep(0)\nfrom sudlib import scores;",
        "from sudlib import scores\r\n!ls\r\n",
    ],
)
def test_what_ipython_runs_is_read_around(tmp_path, notebook_maker, cell):
    path = notebook_maker(tmp_path / "one.ipynb", "seed: int = 33", cell)
    assert ("scores", "sudlib:scores") in freshness.read_source(path).imports


@pytest.mark.parametrize("magic", ["%%bash", "%%html", "%%writefile notes.txt"])
def test_a_cell_in_another_language_imports_nothing(tmp_path, notebook_maker, magic):
    cell = f"{magic}\nfrom sudlib import scores"
    path = notebook_maker(tmp_path / "one.ipynb", "seed: int = 33", cell)
    assert not freshness.read_source(path).imports


def test_asking_for_freshness_loads_no_heavy_package():
    code = (
        "import sys, sudlib.book as b\n"
        "b.freshness, b.check_parameters, b.declared_parameters, b.read_results\n"
        "print({'pandas', 'matplotlib', 'keras', 'numpy', 'scipy'} & {*sys.modules})"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "set()"


def test_every_public_name_is_there_and_no_other():
    for name in book.__all__:
        assert getattr(book, name) is not None
    assert dir(book) == book.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        book.nothing  # noqa: B018
    assert Path(book.figures.__file__).name == "figures.py"


def test_files_in_a_list_of_a_parameter_count_by_their_content(tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("1")
    second.write_text("2")
    given = {"data": [str(first), str(second)], "sizes": [3, 4]}
    named = book.parameters.given_files(given, tmp_path)
    assert named == {"data: a.csv": first, "data 1: b.csv": second}
