"""How a notebook looks to a reader: which cells are seen, and how much code.

A code cell has one of five kinds, and its tags and metadata say so to the three
programs that show it: Jupyter Book (tags), JupyterLab (``source_hidden``) and Colab
(``cellView`` and a first line ``# @title``).

visible    the argument, in code: it computes
prose      sentences with numbers, by ``run.say``; only its output is seen
figure     a figure, a table, the imports: the output, and the code one click away
furniture  what is kept for other pages, or sets up: not on the site at all
solution   an exercise's solution: input and output one click away

Usage: python workflow/notebook_style.py notebooks/a02_forest_general.ipynb ...
       python workflow/notebook_style.py --fold notebooks/a02_forest_general.ipynb
The first tells what is not as it should be; ``--fold`` first writes the metadata that
each code cell's tag asks for.
"""

import argparse
import ast
import copy
import re
import sys
from pathlib import Path

import nbformat

from sudlib.book.notebooks import Cell, read_cells
from sudlib.files import InputError

#: The tag of each kind, for Jupyter Book.
KINDS = {
    "visible": None,
    "prose": "remove-input",
    "figure": "hide-input",
    "furniture": "remove-cell",
    "solution": "hide-cell",
}
#: The first line of a folded cell, where it has none: Colab folds the code behind it,
#: and JupyterLab shows this line, and it alone, of a hidden source.
TITLES = {
    "prose": "# @title",
    "figure": "# @title Code of what is shown here",
    "furniture": "# @title Kept for other pages",
    "solution": "# @title Code of the solution",
}
COLAB = "# Colab: install"

LINES_A_CELL = 15
LINES_A_PAGE = 80
COMPUTING = 0.75

#: Calls that a reader of the argument need not see.
PLUMBING = {
    "run.keep", "run.claim", "run.say", "run.place", "run.used",
    "book.page_table", "figures.table",
}  # fmt: skip
#: What a statement calls that shows or keeps, and computes nothing.
SHOWING = ("print", "display", "Markdown", "HTML", "run.", "book.", "figures.",
           "plt.", "axes.", "axis.", "figure.")  # fmt: skip

# ----------------------------------------------------------------------------- kinds


def kind_of(cell):
    """Return the kind of a code cell, by its tags."""
    tags = cell.metadata.get("tags", [])
    found = [kind for kind, tag in KINDS.items() if tag in tags]
    if len(found) > 1:
        raise InputError(f"a cell is tagged as {' and '.join(found)}: it has one kind")
    return found[0] if found else "visible"


def fold(cell, kind):
    """Give a code cell the tag and the metadata of a kind; return it.

    Parameters
    ----------
    cell : nbformat.NotebookNode
        Changed in place.  Tags that are no kind's stay, and so does a first line
        ``# @title`` in words of its own.
    kind : str
        A key of :data:`KINDS`.
    """
    if kind not in KINDS:
        raise InputError(f"a cell's kind must be {', '.join(KINDS)}, not {kind!r}")
    hidden, meta = kind != "visible", cell.metadata
    tags = [tag for tag in meta.get("tags", []) if tag not in KINDS.values()]
    tags += [KINDS[kind]] if hidden else []
    jupyter = {**meta.get("jupyter", {}), "source_hidden": True}
    jupyter["outputs_hidden"] = True
    if kind != "solution":
        del jupyter["outputs_hidden"]
    if not hidden:
        del jupyter["source_hidden"]
    for name, value in (
        ("tags", tags),
        ("jupyter", jupyter),
        ("cellView", "form" if hidden else None),
    ):
        meta.pop(name, None)
        if value:
            meta[name] = value
    source = without_title(cell.source)
    titles = [cell.source.split("\n")[0]] if source != cell.source else []
    if hidden and not source.startswith(COLAB):  # which stays readable in Colab
        own = [title for title in titles if title not in TITLES.values()]
        source = f"{(own or [TITLES[kind]])[0]}\n{source}"
    cell.source = source
    return cell


def without_title(source):
    """Return a cell's source without the title that Colab folds it behind."""
    return re.sub(r"\A#\s*@title.*\n?", "", source)


def fold_all(notebook):
    """Give every code cell the metadata that its tags ask for; return the notebook."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            fold(cell, kind_of(cell))
    return notebook


# -------------------------------------------------------------- what code says and does


def check_readable(path):
    """Raise if a notebook or one of its cells cannot be read, naming it."""
    for cell in read_cells(path):
        if cell.kind == "code":
            cell.python()


def parsed(source):
    """Return the syntax tree of a cell, which may hold lines for IPython alone."""
    return ast.parse(Cell("a cell", "code", source).python())


def calls(source):
    """Return the calls in a source, each as its function's name and its node."""
    return [
        (ast.unparse(node.func), node)
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Call)
    ]


def templates(source):
    """Return the texts that a source gives to ``run.say``.

    A template that a condition chooses counts with all its parts.
    """
    return [
        part.value
        for name, call in calls(source)
        if name == "run.say" and call.args
        for part in ast.walk(call.args[0])
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def fields(source):
    """Return the names of the numbers that a source says, each with its formats."""
    found = {}
    for template in templates(source):
        # Of a text that a condition chooses, a part may be no template.
        for name, form in re.findall(
            r"(?<!\{)\{([A-Za-z_][\w.\[\]]*)(?:![rsa])?(:[^{}]*)?\}(?!\})", template
        ):
            name = re.sub(r"[.\[]", "_", name).replace("]", "")
            found.setdefault(name, set()).add(form)
    return found


def computing(source):
    """Return which lines of a source compute, and which count at all.

    Blank lines, comments and docstrings do not count.  Imports do not compute, nor do
    statements that only show or keep (:data:`SHOWING`).
    """
    tree, lines = parsed(source), source.split("\n")
    counted = {
        number
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    }
    idle = set()
    for node in ast.walk(tree):
        docstring = (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        )
        if docstring:
            counted -= set(range(node.lineno, node.end_lineno + 1))
        called = getattr(node, "value", None)
        showing = (
            isinstance(node, ast.Expr | ast.Assign)
            and isinstance(called, ast.Call)
            and any(
                ast.unparse(called.func) == name.rstrip(".")
                or (name.endswith(".") and ast.unparse(called.func).startswith(name))
                for name in SHOWING
            )
            and ast.unparse(called.func) != "run.uses"
        )
        if showing or isinstance(node, ast.Import | ast.ImportFrom):
            idle |= set(range(node.lineno, node.end_lineno + 1))
    return counted - idle, counted


# ------------------------------------------------------------------------------- rules


def problems(notebook):
    """Return what is not as it should be in a notebook, in words.

    * At most 15 lines in a visible cell and 80 on the page, blank lines included.
    * No plumbing (:data:`PLUMBING`) in a visible cell.
    * At least 75% of the visible lines, blank ones, comments, docstrings and the
      parameters aside, compute (:func:`computing`).
    * No role and no fenced directive in a Markdown cell: they stay raw in JupyterLab.
    * Every code cell has the metadata of its kind; only cells of prose say sentences.
    * A number that is said twice is printed in the same way, and no two numbers have
      one name.
    """
    found, page, work, total, said, meant = [], 0, 0, 0, {}, {}
    for place, cell in enumerate(notebook.cells):
        where = f"cell {place}"
        if cell.cell_type == "markdown":
            found += [f"{where} {raw}" for raw in _raw(cell.source)]
            continue
        kind, source = kind_of(cell), cell.source
        for name, forms in fields(source).items():
            said.setdefault(name, set()).update(forms)
        if fold(copy.deepcopy(cell), kind) != cell:
            found.append(f"{where} ({kind}) lacks metadata: run --fold")
        for name, call in calls(source):
            away = any(word.arg == "at" for word in call.keywords)
            if name == "run.say":
                for word in call.keywords:
                    meant.setdefault(word.arg, set()).add(ast.unparse(word.value))
            if name == "run.say" and not away and kind not in ("prose", "visible"):
                found.append(f"{where} says a sentence but is a cell of {kind}")
        if kind != "visible":
            continue
        lines = len(source.split("\n"))
        page += lines
        if lines > LINES_A_CELL:
            found.append(f"{where} has {lines} visible lines of {LINES_A_CELL}")
        shown = sorted({name for name, _ in calls(source)} & PLUMBING)
        if shown:
            found.append(f"{where} is visible and calls {', '.join(shown)}")
        if "parameters" not in cell.metadata.get("tags", []):
            active, counted = computing(source)
            work, total = work + len(active), total + len(counted)
    if page > LINES_A_PAGE:
        found.append(f"the page has {page} visible lines of {LINES_A_PAGE}")
    if total and work / total < COMPUTING:
        found.append(
            f"only {work} of {total} visible lines compute ({work / total:.0%}, at"
            f" least {COMPUTING:.0%})"
        )
    found += [
        f"the number {name} is said with the formats {sorted(forms)}"
        for name, forms in said.items()
        if len(forms) > 1
    ]
    found += [
        f"{name} names more than one number: {', '.join(sorted(ways))}"
        for name, ways in meant.items()
        if name and name != "at" and len(ways) > 1
    ]
    return found


def _raw(text):
    """Return what of a Markdown cell JupyterLab would show raw, in words."""
    text = re.sub(r"(?m)^```\w*\n.*?^```$", "", text, flags=re.S)  # plain code blocks
    found = [
        f"has the role {role}" for role in re.findall(r"\{[\w:+-]+\}`[^`]*`", text)
    ]
    fences = re.findall(r"(?m)^\s*((?:`{3,}|:{3,}|~{3,})\s*\{[^}]*\})", text)
    return found + [f"has the fence {fence}" for fence in fences]


# ------------------------------------------------------------------------- citations

# A citation that reads well everywhere: [[Breiman, 2001]](../book/references.md#key)
# or, as a part of the sentence, [Breiman (2001)](../book/references.md#key).
_CITED = re.compile(r"\[(\[?)([^\[\]]+)\]?\]\(\.\./book/references\.md#(\w+)\)")


def cited(text):
    """Return the keys of the works that a text cites by links."""
    return {key for _, _, key in _CITED.findall(text)}


def with_citations(text):
    """Return a text whose links to the bibliography are the site's citations."""

    def role(found):
        kind = "cite:p" if found[1] else "cite:t"
        return f"{{{kind}}}`{found[3]}`"

    return _CITED.sub(role, text)


def main(words=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", type=Path, nargs="+")
    parser.add_argument("--fold", action="store_true", help="write the metadata first")
    given = parser.parse_args(words)
    bad = 0
    for path in given.notebooks:
        try:
            check_readable(path)
        except InputError as error:
            parser.error(f"{path}: {error}")
        notebook = nbformat.read(path, as_version=4)
        if given.fold:
            nbformat.write(fold_all(notebook), path)
        for problem in problems(notebook):
            bad += 1
            print(f"{path.stem}: {problem}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
