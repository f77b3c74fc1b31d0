"""Begin an experiment: a notebook that runs, and its places in the book.

    python tools/new_notebook.py a11_how_long_people_stay "How long do people stay?"

The first letter of the name is its study: a, b, c, or d for the data.  The notebook has
the cells that every page has; ``workflow/notebooks.yml`` and ``book/_toc.yml`` list it
after the last page of its study.  What comes next: CONTRIBUTING.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

import notebook_style  # noqa: E402

INTRODUCTION = """# {title}

One paragraph: the question, and why it matters.

You will learn ...

Reading: 5 minutes.
Running: about a minute at quick size on two CPU cores.
"""
PARAMETERS = """data: str = "twin"  # "twin", "teds-d-2018" or the path of a TEDS-D file
size: str = "quick"  # "quick" or "paper"
seed: int = 33  # one seed, passed down to everything that draws"""
IMPORTS = """from sudlib import book, records
from sudlib.book import figures"""
START = 'run = book.start("{name}", data=data, size=size, seed=seed)'


def cells(root: Path, name: str, title: str) -> list[nbformat.NotebookNode]:
    """Return the cells that every page begins and ends with."""
    model = nbformat.read(root / "notebooks" / "a02_forest_general.ipynb", as_version=4)
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    fold = notebook_style.fold
    return [
        markdown(INTRODUCTION.format(title=title).strip()),
        model.cells[1],  # Colab's, the same everywhere
        code(PARAMETERS, metadata={"tags": ["parameters"]}),
        fold(code(IMPORTS), "figure"),
        fold(code(START.format(name=name)), "prose"),
        markdown("## Provenance"),
        fold(code("run.finish()"), "prose"),
    ]


def after_last(text: str, pattern: str, line: str) -> str:
    """Return a text with a line put in after the last entry that a pattern finds."""
    entries = list(re.finditer(pattern, text, re.M))
    if not entries:
        sys.exit(f"no page of this study is listed yet: add {line.strip()!r} by hand")
    end = entries[-1].end()
    return f"{text[:end]}{line}\n{text[end:]}"


def main(words: list[str] | None = None, root: Path = ROOT) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name")
    parser.add_argument("title")
    given = parser.parse_args(words)
    if not re.fullmatch(r"[abcd]\d\d_[a-z0-9_]+", given.name):
        parser.error(f"a name is like a11_how_long_people_stay, not {given.name!r}")
    if not given.title.strip() or len(given.title.splitlines()) > 1:
        parser.error(f"a title is one line, such as 'A question?', not {given.title!r}")
    path = root / "notebooks" / f"{given.name}.ipynb"
    if path.exists():
        parser.error(f"{path.name} exists")
    notebook = nbformat.v4.new_notebook(cells=cells(root, given.name, given.title))
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    notebook.metadata = {
        "kernelspec": {
            "display_name": "sudlib",
            "language": "python",
            "name": "sudlib",
        },
        "language_info": {"name": "python"},
    }
    study = given.name[0]
    plan, toc = root / "workflow" / "notebooks.yml", root / "book" / "_toc.yml"
    entry = rf"^  {study}\d\d_\w+:.*\n(?:    .*\n)*"
    listed = after_last(plan.read_text("utf-8"), entry, f"  {given.name}: {{}}")
    place = rf"^ *- file: notebooks/{study}\d\d_\w+\n"
    line = f"      - file: notebooks/{given.name}"
    contents = after_last(toc.read_text("utf-8"), place, line)
    nbformat.write(notebook, path)
    plan.write_text(listed, "utf-8")
    toc.write_text(contents, "utf-8")
    sys.stdout.write(f"notebooks/{path.name} and its places are made\n")


if __name__ == "__main__":
    main()
