"""How the notebooks look to a reader, and the checker that says so."""

import copy
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

import notebook_style as style  # noqa: E402

from sudlib.files import InputError  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_is_an_argument_with_its_plumbing_out_of_sight(path):
    found = style.problems(nbformat.read(path, as_version=4))
    assert not found, "\n".join(found)


# ------------------------------------------------------------------------ the checker


def page(*cells):
    """Return a notebook of cells: text is Markdown, a pair is a kind and its code."""
    made = [
        nbformat.v4.new_markdown_cell(cell)
        if isinstance(cell, str)
        else style.fold(nbformat.v4.new_code_cell(cell[1]), cell[0])
        for cell in cells
    ]
    return nbformat.v4.new_notebook(cells=made)


@pytest.mark.parametrize("kind", style.KINDS)
def test_folding_says_one_thing_to_three_programs_and_can_be_undone(kind):
    plain = nbformat.v4.new_code_cell("a = 1\na", metadata={"tags": ["parameters"]})
    cell = style.fold(copy.deepcopy(plain), kind)
    assert style.kind_of(cell) == kind
    assert style.fold(copy.deepcopy(cell), kind) == cell
    hidden = kind != "visible"
    assert cell.metadata.get("jupyter", {}).get("source_hidden", False) is hidden
    assert (cell.metadata.get("cellView") == "form") is hidden
    assert cell.source.startswith("# @title") is hidden
    assert "parameters" in cell.metadata.tags
    assert style.fold(cell, "visible") == plain


def test_a_title_in_words_of_its_own_stays():
    cell = nbformat.v4.new_code_cell("# @title Imports\nimport json")
    assert style.fold(cell, "figure").source == "# @title Imports\nimport json"
    assert style.without_title(cell.source) == "import json"


def test_a_cell_has_one_kind():
    cell = nbformat.v4.new_code_cell(
        "1", metadata={"tags": ["hide-input", "hide-cell"]}
    )
    with pytest.raises(InputError, match="figure and solution"):
        style.kind_of(cell)
    with pytest.raises(InputError, match="must be visible, prose"):
        style.fold(cell, "hidden")


LONG = "\n".join(f"a{number} = {number}" for number in range(16))
FULL = "\n".join(f"a{number} = {number}" for number in range(14))


@pytest.mark.parametrize(
    "cells, said",
    [
        ([("visible", LONG)], "16 visible lines of 15"),
        ([("visible", FULL)] * 6, "the page has 84 visible lines of 80"),
        ([("visible", "a = run.used('a', 1)")], "visible and calls run.used"),
        ([("visible", "figures.table(a, 'b')")], "visible and calls figures.table"),
        ([("visible", "import a\nprint(a)\nb = a + 1")], "only 1 of 3 visible lines"),
        (["It is {glue:text}`share`."], "has the role {glue:text}`share`"),
        (["As {cite}`someone` says."], "has the role {cite}`someone`"),
        (["```{dropdown} A solution\nYes.\n```"], "has the fence ```{dropdown}"),
        ([":::{note}\nYes.\n:::"], "has the fence :::{note}"),
        (
            [("figure", "run.say('{a}', a=1)")],
            "says a sentence but is a cell of figure",
        ),
        (
            [("prose", "run.say('{a:.2f}', a=1)"), ("prose", "run.say('{a}', a=1)")],
            "the number a is said with the formats",
        ),
        (
            [("prose", "run.say('{a}', a=b)"), ("prose", "run.say('{a}', a=c)")],
            "a names more than one number: b, c",
        ),
    ],
)
def test_the_checker_finds(cells, said):
    assert any(said in problem for problem in style.problems(page(*cells)))


def test_the_checker_finds_metadata_that_another_program_lacks():
    notebook = page(("figure", "1 + 1"))
    del notebook.cells[0].metadata["cellView"]
    assert style.problems(notebook) == ["cell 0 (figure) lacks metadata: run --fold"]
    assert not style.problems(style.fold_all(notebook))


def test_the_checker_is_content_with_a_page():
    solution = "<details>\n<summary>A solution</summary>\n\nYes.\n\n</details>"
    assert not style.problems(
        page(
            "# Title\n\n```python\nx = 1\n```\n",
            ("figure", "import a\nfigures.table(a.b, 'c')"),
            ("visible", "b = a.learn()\nc = a.judge(b)"),
            ("prose", "run.say('It is {c:.2f}.', c=c)"),
            ("furniture", "run.say('{c:.2f}', c=c, at='glance')\nrun.keep(c=c)"),
            solution,
            ("solution", "print(1)"),
        )
    )


def test_lines_that_compute():
    source = (
        '"""Words."""\nimport a\n\n# a comment\nfor x in y:\n    z = a.f(\n        x)\n'
        "    print(z)\nrun = book.start()\nd = run.uses(a.read())\n"
        "figures.show(\n    z,\n)\nd"
    )
    assert style.computing(source) == ({5, 6, 7, 10, 14}, {2, *range(5, 15)})


def test_templates_and_names_are_read_from_the_source():
    source = "run.say('{a.low:.2f} $x_{{0}}$' if b else '{c} {d[e]!r:>3}', a=a)"
    assert style.templates(source) == ["{a.low:.2f} $x_{{0}}$", "{c} {d[e]!r:>3}"]
    assert style.fields(source) == {"a_low": {":.2f"}, "c": {""}, "d_e": {":>3"}}


def test_links_to_the_bibliography_become_citations_on_the_site():
    text = (
        "A forest [[Breiman, 2001]](../book/references.md#breiman_2001), as"
        " [Breiman (2001)](../book/references.md#breiman_2001) says; see"
        " [the list](../book/references.md)."
    )
    assert style.cited(text) == {"breiman_2001"}
    assert style.with_citations(text) == (
        "A forest {cite:p}`breiman_2001`, as {cite:t}`breiman_2001` says; see"
        " [the list](../book/references.md)."
    )


def test_the_two_simulations_share_all_code_but_one_parameter():
    def code(name):
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        return [cell.source for cell in notebook.cells if cell.cell_type == "code"]

    right, wrong = (
        code(name)
        for name in ("c02_simulation_right_model", "c03_simulation_wrong_model")
    )
    words = ("run.say(", "book.start(", "setting: str")
    assert len(right) == len(wrong)
    for one, two in zip(right, wrong, strict=True):
        if one != two:
            assert any(word in one for word in words), one
    declared = [
        [line for cell in cells for line in cell.splitlines() if "setting: str" in line]
        for cells in (right, wrong)
    ]
    assert ['"right"' in declared[0][0], '"wrong"' in declared[1][0]] == [True, True]


@pytest.mark.parametrize("name", ["nope.ipynb", "README.md"])
def test_what_is_no_notebook_is_named_without_a_traceback(name, capsys):
    with pytest.raises(SystemExit):
        style.main([str(ROOT / name)])
    assert f"{ROOT / name}: {Path(name).name} " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "said"),
    [("files = !ls", ""), ("%%bash\nls -la", ""), ("run?", ""), ("x = = 1", "cell 1")],
)
def test_lines_for_ipython_alone_are_read_and_no_python_is_named(
    cell, said, tmp_path, capsys
):
    path = tmp_path / "mine.ipynb"
    cells = [nbformat.v4.new_code_cell(cell)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    if said:
        with pytest.raises(SystemExit):
            style.main([str(path)])
        assert f"mine.ipynb, {said}" in capsys.readouterr().err
    else:
        assert style.main([str(path)]) in (0, 1)
