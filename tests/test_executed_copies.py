"""A page shows today's words beside the outputs of the code that ran."""

import executed_copies
import nbformat
import pytest

from sudlib.book import freshness

CELLS = ("from sudlib import scores\nscores", "x = 1\nx", '"A text."')


@pytest.fixture
def ran(notebook_maker, tmp_path):
    """Write a page and its executed copy; return both paths."""
    source = notebook_maker(tmp_path / "one.ipynb", "seed: int = 33", *CELLS)
    notebook = nbformat.read(source, as_version=4)
    words = nbformat.v4.new_markdown_cell("# Old\n\nOld words.")
    notebook.cells.insert(0, words)
    notebook.cells.append(nbformat.v4.new_code_cell(""))
    nbformat.write(notebook, source)
    for count, cell in enumerate(notebook.cells[1:-1], 1):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text=f"output {count}\n")]
    given = nbformat.v4.new_code_cell("seed = 34")
    given.metadata["tags"] = ["injected-parameters", "hide-input"]
    notebook.cells.insert(2, given)
    executed = tmp_path / "executed" / "one.ipynb"
    executed.parent.mkdir()
    nbformat.write(notebook, executed)
    return source, executed


def change(path, edit):
    notebook = nbformat.read(path, as_version=4)
    edit(notebook.cells)
    nbformat.write(notebook, path)


def texts(notebook):
    """Return the outputs of a page's code cells that have some."""
    found = [cell.outputs[0].text for cell in notebook.cells if cell.get("outputs")]
    return [text.split()[1] for text in found]


def test_new_words_new_tags_and_a_new_cell_of_words_are_shown(ran):
    source, executed = ran

    def edit(cells):
        cells[0].source = "# New\n\nNew words."
        cells[2].source = "# Why.\n" + cells[2].source
        cells[3].metadata["tags"] = ["hide-input"]
        cells.insert(3, nbformat.v4.new_markdown_cell("More."))
        cells.insert(3, nbformat.v4.new_code_cell("   "))

    change(source, edit)
    page = executed_copies.with_todays_words(source, executed)
    assert page.cells[0].source.startswith("# New")
    assert page.cells[2].source == "seed = 34", "what the run was given stays below"
    assert page.cells[3].source.startswith("# Why.")
    assert page.cells[6].metadata["tags"] == ["hide-input"]
    assert texts(page) == ["1", "2", "3", "4"]
    at = [cell.execution_count for cell in page.cells if cell.get("outputs")]
    assert at == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "edit",
    [
        lambda cells: cells[3].update(source="x = 2\nx"),
        lambda cells: cells[4].update(source='"Another text."'),
        lambda cells: cells[3].update(source="x = 1\nx;"),
        lambda cells: cells[3].update(source="%%bash\nx = 1\nx"),
        lambda cells: cells.pop(3),
        lambda cells: cells.insert(3, nbformat.v4.new_code_cell("x = 1")),
        lambda cells: cells.insert(2, cells.pop(3)),
        lambda cells: cells[1]["metadata"].pop("tags"),
    ],
)
def test_other_code_is_another_page_and_the_old_one_is_shown_whole(ran, edit):
    source, executed = ran
    before = freshness.cell_digests(source)
    change(source, edit)
    assert freshness.cell_digests(source) != before
    change(source, lambda cells: cells[0].update(source="# New"))
    page = executed_copies.with_todays_words(source, executed)
    assert page == nbformat.read(executed, as_version=4)


def test_what_a_run_was_given_is_no_difference_in_its_code(ran):
    source, executed = ran
    one = freshness.cell_digests(source)
    assert freshness.cell_digests(executed, injected=False) == one
    assert freshness.cell_digests(executed) != one


def test_a_cell_that_was_split_or_joined_is_another_page(ran):
    """Each cell shows its last value: the same code in other cells shows others."""
    source, executed = ran

    def split(cells):
        cells[3].source = "x = 1"
        cells.insert(4, nbformat.v4.new_code_cell("x"))

    change(source, split)
    page = executed_copies.with_todays_words(source, executed)
    assert len(texts(page)) == 4 and page.cells[4].source == "x = 1\nx"


def test_a_page_without_numbers_says_why(tmp_path):
    folder = tmp_path / "quick" / "executed"
    (tmp_path / "quick" / "logs").mkdir(parents=True)
    assert executed_copies.why_not_run("a02", folder) == "it was not asked for"
    (tmp_path / "quick" / "logs" / "a02.why").write_text("`ValueError: no`\n")
    assert executed_copies.why_not_run("a02", folder) == "`ValueError: no`"
