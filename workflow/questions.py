"""Five questions at the end of a chapter, for readers to check themselves.

They stand in ``book/questions.yml``.  A reader needs no script and no kernel: options
are radio buttons, the answer is folded behind them.
"""

import html
import re
from functools import cache
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
TITLE = "## Check yourself"


@cache
def read(root=ROOT):
    """Return the questions of each notebook, by its name.

    A question has ``ask``, ``right`` (the answer), ``wrong`` (a list) and ``why``.
    """
    path = root / "book" / "questions.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def options(question):
    """Return a question's options in the order shown: that of the alphabet."""
    return sorted([question["right"], *question["wrong"]], key=str.casefold)


def as_html(text):
    """Return a text for HTML: backticks mean code, asterisks emphasis."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text, quote=False))
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", text)


def block(stem, questions):
    """Return the questions of a page of the site, as Markdown that holds HTML."""
    parts = [TITLE]
    for number, question in enumerate(questions, 1):
        found = options(question)
        letter = "ABCD"[found.index(question["right"])]
        lines = [
            '<fieldset class="question">',
            f"<legend>{number}. {as_html(question['ask'])}</legend>",
            *(
                f'<label><input type="radio" name="{stem}-{number}">'
                f" {'ABCD'[place]}. {as_html(option)}</label>"
                for place, option in enumerate(found)
            ),
            f"<details><summary>Answer to question {number}</summary>",
            f"<p><strong>{letter}.</strong> {as_html(question['why'])}</p></details>",
            "</fieldset>",
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def plain_block(questions):
    """Return the questions as Markdown that reads the same in every notebook."""
    parts = [TITLE]
    for number, question in enumerate(questions, 1):
        found = options(question)
        letter = "ABCD"[found.index(question["right"])]
        listed = [f"* {'ABCD'[n]}. {option}" for n, option in enumerate(found)]
        parts += [
            f"**{number}.** {question['ask']}",
            "\n".join(listed),
            f"<details>\n<summary>Answer to question {number}</summary>\n\n"
            f"**{letter}.** {question['why']}\n\n</details>",
        ]
    return "\n\n".join(parts)


def add(notebook, stem, *, form=True, root=ROOT):
    """Put a notebook's questions below its summary; return the notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Changed in place.
    stem : str
        Its name; without questions nothing is added.
    form : bool, default=True
        Radio buttons, for the site; False: a list, for JupyterLab and Colab.
    root : pathlib.Path
        The checkout.
    """
    questions = read(root).get(stem)
    if not questions:
        return notebook
    text = block(stem, questions) if form else plain_block(questions)
    places = [
        place
        for place, cell in enumerate(notebook.cells)
        if cell.cell_type == "markdown" and cell.source.startswith("## Provenance")
    ]
    cell = nbformat.v4.new_markdown_cell(text)
    cell["id"] = "check-yourself"
    notebook.cells.insert(places[-1] if places else len(notebook.cells), cell)
    return notebook
