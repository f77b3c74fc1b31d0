"""What git keeps of a notebook: the same text, whichever program saved it.

Outputs, counts and what programs note for themselves are left out, keys are sorted as
Jupyter sorts them.  ``make lab`` tells git to use it (``.gitattributes`` names it), so
that saving a page in JupyterLab leaves no difference in git unless its text has one;
the file itself keeps its outputs.

Usage: python workflow/notebook_filter.py < saved.ipynb > kept.ipynb
       python workflow/notebook_filter.py notebooks/*.ipynb     writes these files anew
"""

import json
import subprocess
import sys
from pathlib import Path

NAME = "sudlib-notebook"
#: What a notebook and a cell may say about themselves; the rest is a program's own.
ABOUT = {
    "kernelspec": {"display_name": "sudlib", "language": "python", "name": "sudlib"},
    "language_info": {"name": "python"},
}
KEPT = ("cellView", "mystnb", "slideshow", "tags")


def lines(source):
    """Return a cell's source as a list of lines, as Jupyter writes it."""
    text = source if isinstance(source, str) else "".join(source)
    return text.splitlines(keepends=True)


def clean_cell(cell):
    """Return what is kept of one cell."""
    about = {name: cell["metadata"][name] for name in KEPT if name in cell["metadata"]}
    folded = cell["metadata"].get("jupyter", {})
    if folded.get("source_hidden"):  # an output folded alone is a reader's own
        both = ("source_hidden", "outputs_hidden")
        about["jupyter"] = {name: True for name in both if folded.get(name)}
    kept = {**cell, "metadata": about, "source": lines(cell["source"])}
    if cell["cell_type"] == "code":
        kept |= {"outputs": [], "execution_count": None}
    return kept


def clean(text):
    """Return the text that git keeps of a notebook; of what is none, the text itself.

    Parameters
    ----------
    text : str
        Also one in the middle of a merge, which is no JSON.
    """
    try:
        notebook = json.loads(text)
        cells = [clean_cell(cell) for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return text
    notebook |= {"cells": cells, "metadata": ABOUT}
    made = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    return made + "\n"


def tell_git(root):
    """Set the filter in a checkout's own settings; nothing where git is missing."""
    own = "workflow/notebook_filter.py"
    for key, value in (("clean", f'"{sys.executable}" {own}'), ("smudge", "cat")):
        command = ["git", "-C", str(root), "config", f"filter.{NAME}.{key}", value]
        try:
            subprocess.run(command, capture_output=True)
        except OSError:
            return


def main(names):
    """Filter the standard input, or the named files in place."""
    if names == ["--tell-git"]:
        tell_git(Path(__file__).resolve().parent.parent)
    elif names:
        absent = [name for name in names if not Path(name).is_file()]
        if absent:
            sys.exit(f"{__doc__}\nThere is no file {', '.join(absent)}.")
        for path in map(Path, names):
            path.write_text(clean(path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        text = sys.stdin.buffer.read().decode(errors="surrogateescape")
        sys.stdout.buffer.write(clean(text).encode(errors="surrogateescape"))


if __name__ == "__main__":
    main(sys.argv[1:])
