"""Make what a course needs: student and solution notebooks, marking, slides.

``_build/teach/student/``    exercises empty, each with a hint and a cell that marks it
``_build/teach/solutions/``  the same notebooks with solution and answer
``_build/teach/slides/``     a page of slides for each chapter that has been run: title,
                             glance, figures, take-away; it needs no network

Usage: python workflow/teach.py [NAME ...] [--executed _build/quick/executed]
       [--out _build/teach]
"""

import argparse
import ast
import html
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import executed_copies
import marking
import nbformat
import notebook_style
import plan
import questions
from nbconvert import HTMLExporter

from sudlib.files import InputError

ROOT = Path(__file__).resolve().parent.parent
SOLUTION = re.compile(r"<details>\s*<summary>A solution</summary>.*?</details>", re.S)
MARKED = """# @title Is the answer right?
from marking import check

check("{stem}", globals())"""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
html {{ scroll-snap-type: y proximity; font: 1.5rem/1.4 system-ui, sans-serif; }}
body {{ margin: 0; }}
section {{ box-sizing: border-box; min-height: 100vh; padding: 4vh 7vw;
  display: flex; flex-direction: column; justify-content: center;
  scroll-snap-align: start; break-after: page; }}
h1 {{ font-size: 2em; }}
figure {{ margin: 0; }}
figure svg {{ width: 100% !important; height: auto; max-height: 62vh; }}
figcaption {{ font-size: 0.8em; }}
</style>
<script>
MathJax = {{ tex: {{ inlineMath: [["$", "$"]] }} }};
addEventListener("keydown", (key) => {{
  const step = {{ ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }}[key.key];
  if (!step) return;
  key.preventDefault();
  const slides = [...document.querySelectorAll("section")];
  const here = slides.findLastIndex((s) => s.getBoundingClientRect().top < 9);
  slides[Math.max(0, here + step)]?.scrollIntoView();
}});
</script>
<script defer src="mathjax/tex-chtml.js"></script>
</head><body>
{slides}
</body></html>
"""


# ------------------------------------------------------------------------- notebooks


def is_solution(cell):
    """Return whether a cell is the solution of an exercise."""
    return (
        cell.cell_type == "code"
        and notebook_style.kind_of(cell) == "solution"
        and cell.source.startswith(notebook_style.TITLES["solution"])
    )


def tools(notebook, source):
    """Return the calls of a source that are the library's or a package's, in order."""
    known = {
        (alias.asname or alias.name)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for node in ast.walk(notebook_style.parsed(cell.source))
        if isinstance(node, ast.ImportFrom) and (node.module or "") != "__future__"
        for alias in node.names
    } - {"figures"}
    # A method of what a call returns (`tool(x).fit`) would tell more than a name.
    names = [name for name, _ in notebook_style.calls(source) if "(" not in name]
    return list(dict.fromkeys(n for n in names if n.split(".")[0] in known))


def made_above(notebook, source):
    """Return the names that a source uses and the page's other cells make, in order."""
    made, used = set(), []
    for cell in notebook.cells:
        if cell.cell_type != "code" or is_solution(cell):
            continue
        for node in ast.walk(notebook_style.parsed(cell.source)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                made.add(node.id)
            elif isinstance(node, ast.FunctionDef):
                made.add(node.name)
    own = set()
    for node in ast.walk(notebook_style.parsed(source)):
        if isinstance(node, ast.Name):
            (used.append if isinstance(node.ctx, ast.Load) else own.add)(node.id)
    return list(dict.fromkeys(name for name in used if name in made - own))


def hint(notebook):
    """Return a folded hint: what the solution calls, or else what it begins with."""
    source = "\n".join(cell.source for cell in notebook.cells if is_solution(cell))
    called = ", ".join(f"`{name}`" for name in tools(notebook, source))
    above = ", ".join(f"`{name}`" for name in made_above(notebook, source))
    words = "What you need stands above" + (f": {above}." if above else ".")
    if called:
        words = f"The solution calls {called}."
    return f"<details>\n<summary>A hint</summary>\n\n{words}\n\n</details>"


def copy_of(path, *, solved):
    """Return a notebook with its exercise open or solved, its marking and questions.

    Parameters
    ----------
    path : pathlib.Path
        The committed notebook.
    solved : bool
        Whether it shows the solution.
    """
    notebook_style.check_readable(path)
    notebook, stem = nbformat.read(path, as_version=4), path.stem
    test = marking.EXERCISES.get(stem)
    folded = "" if solved else hint(notebook)
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = cell.source.replace("<details>", "<details open>")
            text = text if solved else SOLUTION.sub(lambda _: folded, cell.source)
            # Pages of the book do not travel with a notebook.
            cell.source = re.sub(
                r"\[(\[?[^\[\]]+\]?)\]\(\.\./book/[^)]*\)", r"\1", text
            )
        cells.append(cell)
        if is_solution(cell):
            notebook_style.fold(cell, "visible")
            if not solved:
                cell.source = "# Your code.\nanswer = None"
            if test:
                keep = f"# Keep {test.keep} as `answer`.\n"
                end = f"\nanswer = {test.solution}" if solved else ""
                cell.source = keep + cell.source + end
                mark = nbformat.v4.new_code_cell(MARKED.format(stem=stem))
                mark["id"] = "marking"
                cells.append(notebook_style.fold(mark, "figure"))
    notebook.cells = cells
    return questions.add(notebook, stem, form=False)


# ---------------------------------------------------------------------------- slides


def outputs(cell, kind):
    """Return the outputs of a code cell that have a kind, as texts."""
    found = (output.get("data", {}).get(kind) for output in cell.get("outputs", []))
    return ["".join(each) for each in found if each]


def take_away(summary):
    """Return the last slide: a summary without the way to the next page."""
    words = re.split(r"(?m)^\* Next: |^## |Next: \[", summary)[0]
    return f"## Take-away\n\n{words.strip()}"


def slide_texts(notebook):
    """Return the slides of an executed notebook, each as Markdown with HTML."""
    title, _, rest = notebook.cells[0].source.partition("\n")
    slides = [f"{title}\n\n{rest.strip().split(chr(10) * 2)[0]}"]
    heading = ""
    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown":
            found = re.findall(r"(?m)^#{2,3} .*$", cell.source)
            heading = found[-1].lstrip("# ") if found else heading
            said = cell.source.partition("## Summary\n")[2].strip()
            slides += [take_away(said)] if said else []
            continue
        for text in outputs(cell, "text/markdown"):
            if text.startswith("**At a glance"):
                slides.insert(1, text)
            elif heading == "Summary":
                slides.append(take_away(text))
        for text in outputs(cell, "text/html"):
            if '<figure class="sudlib"' in text:
                text = re.sub(r'<img class="untrusted"[^>]*>', "", text)
                slides.append(f"## {heading}\n\n{text}")
    slides = numbered(slides)
    # Other pages do not travel with the slides.
    local = re.compile(r"\[(\[?[^\[\]]+\]?)\]\((?!https?:)[^)]*\)")
    return [local.sub(r"\1", text) for text in slides]


def numbered(slides):
    """Return slides of which those with one heading say which of them each is."""
    parts = [text.partition("\n") for text in slides]
    total, seen = Counter(head for head, _, _ in parts), Counter()
    for place, (head, gap, rest) in enumerate(parts):
        seen[head] += 1
        if total[head] > 1:
            parts[place] = f"{head} ({seen[head]} of {total[head]})", gap, rest
    return ["".join(part) for part in parts]


def slides_of(notebook):
    """Return an executed notebook's slides as one page of HTML."""
    texts = slide_texts(notebook)
    exporter = HTMLExporter(template_name="basic")
    parts = []
    for text in texts:
        one = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
        one.cells[0]["id"] = "slide"
        body, _ = exporter.from_notebook_node(one)
        body = re.sub(r'<a class="anchor-link".*?</a>', "", body)
        parts.append(f'<section id="{len(parts) + 1}">\n{body}\n</section>')
    title = texts[0].partition("\n")[0].lstrip("# ")
    return PAGE.format(title=html.escape(title), slides="\n".join(parts))


# ------------------------------------------------------------------------ command line


def make(names, executed, out, root=ROOT):
    """Write everything; return the chapters that have no slides, as they were not run.

    Parameters
    ----------
    names : list of str
        Notebooks without their ending; none: all.
    executed, out : path-like
        Folders of the executed notebooks, and to write to.
    root : pathlib.Path
        The checkout.
    """
    paths = sorted((root / "notebooks").glob("*.ipynb"))
    known = {path.stem: path for path in paths}
    for name in names:
        plan.check_name(name)
    out, missing = Path(out), []
    for folder in ("student", "solutions", "slides"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for stem in names or known:
        for folder in ("student", "solutions"):
            made = copy_of(known[stem], solved=folder == "solutions")
            nbformat.write(made, out / folder / f"{stem}.ipynb")
        run = Path(executed) / f"{stem}.ipynb"
        if not run.exists():
            missing.append(stem)
            continue
        page = slides_of(executed_copies.with_todays_words(known[stem], run))
        (out / "slides" / f"{stem}.html").write_text(page, encoding="utf-8")
    for folder in ("student", "solutions"):
        shutil.copy(marking.__file__, out / folder / "marking.py")
    mathjax = root / "book" / "_static" / "mathjax"
    shutil.copytree(mathjax, out / "slides" / "mathjax", dirs_exist_ok=True)
    return missing


def main(words=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="notebooks without .ipynb; none: all")
    quick = ROOT / "_build" / "quick" / "executed"
    parser.add_argument("--executed", type=Path, default=quick)
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "teach")
    given = parser.parse_args(words)
    try:
        missing = make(given.names, given.executed, given.out)
    except (InputError, OSError) as error:
        print(f"\nteach: {error}\n", file=sys.stderr)
        return 2
    print(f"student, solutions and slides are in {given.out}")
    if missing:
        print(f"no slides of {', '.join(missing)}: run `make book` first")
    return 0


if __name__ == "__main__":
    sys.exit(main())
