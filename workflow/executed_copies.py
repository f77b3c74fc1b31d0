"""What a page of the site takes from the executed copy of its notebook."""

from pathlib import Path

import nbformat

from sudlib.book import freshness


def with_todays_words(source, executed):
    """Return a committed notebook with the outputs of its executed copy.

    Prose, comments and what is folded may have changed since it ran; where its code
    has, the executed copy is returned as it is.
    """
    # First, since what is damaged is named there.
    old = freshness.cell_digests(executed, injected=False)
    notebook = nbformat.read(source, as_version=4)
    ran = nbformat.read(executed, as_version=4)
    if freshness.cell_digests(source) != old:
        return ran
    given = [cell for cell in ran.cells if "injected-parameters" in tags_of(cell)]
    waiting = [cell for cell in ran.cells if has_code(cell) and cell not in given]
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if has_code(cell):
            old = waiting.pop(0)
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
        if "parameters" in tags_of(cell):
            cells += given
    notebook.cells = cells
    return notebook


def has_code(cell):
    """Return whether a cell is one of code that is not empty."""
    return cell.cell_type == "code" and bool(cell.source.strip())


def tags_of(cell):
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def why_not_run(name, executed):
    """Return why a notebook has no numbers in a build, in words for its page.

    Parameters
    ----------
    name : str
        The notebook.
    executed : pathlib.Path
        The folder of executed notebooks; what stopped stands in ``logs`` beside it.
    """
    path = Path(executed).parent / "logs" / f"{name}.why"
    if not path.exists():
        return "it was not asked for"
    return path.read_text(encoding="utf-8").strip()
