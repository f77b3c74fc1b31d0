"""Build the website from executed notebooks and result files.

Stages the sources, calls Jupyter Book with every warning an error, and puts the new
site in the place of the old one only when it is whole.  A page whose stamp does not
match its sources says STALE, and then the build fails.

Usage: python workflow/build_site.py --results _build/quick/results
       --notebooks _build/quick/executed [--allow-missing] [--out _build] [--jobs 2]
"""

import argparse
import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import address
import side_by_side
import stage
from execute import end_with_the_build

from sudlib.files import InputError

ROOT = Path(__file__).resolve().parent.parent
#: What of a page MathJax sets.
FORMULA = r'class="(?:[^"]* )?(?:math|(?:tex2jax|mathjax)_process|output_area)[" ]'
#: A table that was written in Markdown.
TABLE = r'<table class="table[ "].*?</table>'
#: A table of pandas.
FRAME = r'<table[^>]* class="dataframe".*?</table>'
#: A new line before a block.
BLOCK = r"\n(?=</?(?:div|li|ul|table|tbody|tr|td|th|section|nav|script|link|meta)\b)"
#: A cell of so many characters is a sentence.
LONG = 45
#: How many characters a phone shows side by side, and the room beside each column.
PHONE, GAP = 46, 1.6


def jupyter_book():
    """Return the path of Jupyter Book's script, beside the running Python.

    ``python -m jupyter_book.cli.main`` does nothing and exits 0.
    """
    name = "jupyter-book.exe" if os.name == "nt" else "jupyter-book"
    script = Path(sys.executable).parent / name
    if not script.exists():
        raise InputError(
            f"Jupyter Book is not installed beside {sys.executable}; `make book` makes"
            " the environment that has it"
        )
    return script


def call_jupyter_book(source, place, jobs):
    """Build the staged source below ``place/_build/html``; return that folder."""
    command = [
        jupyter_book(), "build", source.resolve(),
        "--config", (source / "_config.yml").resolve(),
        "--toc", (source / "book" / "_toc.yml").resolve(),
        "--path-output", place.resolve(),
        "--warningiserror", "--nitpick", "--keep-going", "--all",
    ]  # fmt: skip
    # Sphinx finds workflow/api_links.py and the library's docstrings there.
    paths = [str(ROOT), str(ROOT / "workflow"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment[side_by_side.VARIABLE] = str(jobs)
    done = subprocess.run([str(word) for word in command], env=environment)
    made = place / "_build" / "html"
    if done.returncode or not (made / "index.html").exists():
        raise InputError(
            "Jupyter Book stopped or warned (see above); the old site was kept"
        )
    return made


def mend(folder):
    """Mend what the theme leaves undone, in the pages built below a folder.

    Opened from disk, a browser may load no font file, so the theme's icon font becomes
    part of its style sheet; its other fonts are not used by this book, and neither is
    its script, which draws the icons a second time (1.5 MB).  And some parts get the
    names and roles that a screen reader needs.

    Raises
    ------
    InputError
        If the theme's icon fonts are no longer where they were.
    """
    icons = folder / "_static" / "vendor" / "fontawesome"
    sheets = list(icons.rglob("all.min.css"))
    fonts = list(icons.rglob("fa-solid-900.woff2"))
    if len(sheets) != 1 or len(fonts) != 1:
        raise InputError(
            "the theme has not one FontAwesome style sheet and one solid font, but"
            f" {len(sheets)} and {len(fonts)}: mend() in workflow/build_site.py must"
            " follow it"
        )
    inside = base64.b64encode(fonts[0].read_bytes()).decode()
    face = (
        '@font-face{font-family:"Font Awesome 6 Free";font-weight:900;'
        f'src:url(data:font/woff2;base64,{inside}) format("woff2")}}'
    )
    text = sheets[0].read_text(encoding="utf-8")
    text = re.sub(r"@font-face\{[^}]*\}", "", text)
    sheets[0].write_text(text + face, encoding="utf-8")
    shutil.rmtree(fonts[0].parent)
    shutil.rmtree(sheets[0].parent.parent / "js", ignore_errors=True)
    for page in sorted(folder.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        page.write_text(mend_page(text), encoding="utf-8")


def mend_page(text):
    """Return one page's HTML, mended (see :func:`mend`)."""
    for pattern, better in (
        (r'<link rel="preload" as="font"[^>]*>\s*', ""),
        # Icons come from the style sheet alone, which has no trademarks.
        (r'<script[^>]*src="[^"]*fontawesome[^"]*"[^>]*></script>\s*', ""),
        (r'<link rel="preload" as="script"[^>]*fontawesome[^>]*>\s*', ""),
        (r"\bfab fa-github\b", "fas fa-code-branch"),
        # Light without scripts; dark from the first moment where it is preferred.
        (r'data-theme="auto"', 'data-theme="light"'),
        (
            r'localStorage\.getItem\("theme"\) \|\| "auto"',
            'localStorage.getItem("theme") || (matchMedia('
            '"(prefers-color-scheme: dark)").matches ? "dark" : "light")',
        ),
        # Bibliographies: roles that HTML no longer allows on these elements.
        (r' role="(?:doc-biblioentry|doc-backlink)"', ""),
        (r'(<div) role="list"( class="citation-list")', r"\1\2"),
        # The sidebar is a landmark; the search button is called what it shows.
        (
            r'(<div class="bd-sidebar-primary[^"]*")',
            r'\1 role="navigation" aria-label="Book"',
        ),
        (r'(<button class="btn search-button-field[^>]*) aria-label="Search"', r"\1"),
        (r'<summary aria-label="Toggle hidden content">', "<summary>"),
        (
            r'<summary>(?=<span class="toctree-toggle")',
            '<summary aria-label="The pages below">',
        ),
        # Links from source code back to the API know one name of each module, and
        # miss where a module's objects are documented under two.
        (r'<a class="viewcode-back"[^>]*>[^<]*</a>', ""),
        # The empty corner of a pandas table is no heading.
        (r"<th></th>", "<td></td>"),
        (r'<th class="blank( level\d+)?"\s*>(&nbsp;|\s)*</th>', "<td></td>"),
        # What scrolls sideways can be reached with the keyboard.
        (
            r'<div class="pst-scrollable-table-container">',
            '<div class="pst-scrollable-table-container" tabindex="0">',
        ),
    ):
        text = re.sub(pattern, better, text)
    text = re.sub(TABLE, lambda found: label_cells(found[0]), text, flags=re.S)
    text = re.sub(FRAME, lambda found: stack_frame(found[0]), text, flags=re.S)
    # The theme's templates leave lines of blanks; those of code stay.
    parts = re.split(r"(<pre\b.*?</pre>)", text, flags=re.S)
    parts[::2] = [re.sub(r"\n\s+", "\n", part) for part in parts[::2]]
    # And between rows and blocks none is needed: a kilobyte of the page of claims.
    parts[::2] = [re.sub(BLOCK, "", part) for part in parts[::2]]
    text = "".join(parts)
    if not re.search(FORMULA, text):  # 1.2 MB that the page does not need
        text = re.sub(r"<script>window\.MathJax\b.*?</script>\s*", "", text, flags=re.S)
        text = re.sub(r'<script[^>]*src="[^"]*mathjax[^"]*"></script>\s*', "", text)
    return text


def label_cells(table):
    """Return a table of prose whose cells name their column, or the table as it is.

    The site's style sheet stacks such rows on a phone, where sentences side by side
    have one word a line.  A table of few or short columns is read as it is, and one of
    many short ones is scrolled.
    """
    heads = [words(cell) for cell in re.findall(r"<th\b[^>]*>(.*?)</th>", table, re.S)]
    cells = re.findall(r"<td\b[^>]*>(.*?)</td>", table, re.S)
    longest = max((len(words(cell)) for cell in cells), default=0)
    uneven = not heads or len(cells) % len(heads) or "span=" in table
    if uneven or len(heads) < 3 or longest < LONG:
        return table
    labels = zip(heads * (len(cells) // len(heads)), map(words, cells), strict=True)
    # An empty cell has no label, and no line on a phone.
    marks = iter(f' data-label="{head}"' if said else "" for head, said in labels)
    table = table.replace('class="table', 'class="table stacked', 1)
    return re.sub(r"<td\b", lambda _: f"<td{next(marks)}", table)


def stack_frame(table):
    """Return a table of pandas whose cells name their column if a phone is too narrow.

    That is where even the longest word of each column has no room beside the others.
    """
    rows = [
        re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, re.S)
        for row in re.findall(r"<tr\b.*?</tr>", table, re.S)
    ]
    if "span=" in table or len({len(row) for row in rows}) != 1:
        return table
    heads, *_ = rows = [[words(cell) for cell in row] for row in rows]
    columns = [" ".join(column).split(" ") for column in zip(*rows, strict=True)]
    longest = [max(map(len, column)) for column in columns]
    if sum(longest) + GAP * len(longest) <= PHONE:
        return table

    def label(row):
        cells = re.split(r"(?=<t[hd]\b)", row[0])
        for place, head in enumerate(heads, 1):
            if words(cells[place]):
                named = f'<td data-label="{head}"'
                cells[place] = cells[place].replace("<td", named, 1)
        return "".join(cells)

    head, body, rest = table.partition("<tbody>")
    rest = re.sub(r"<tr\b.*?</tr>", label, rest, flags=re.S)
    return head.replace('"dataframe"', '"dataframe stacked"', 1) + body + rest


def words(cell):
    """Return the words of a cell of HTML, which may stand in an attribute."""
    return re.sub(r"<[^>]*>|\s+", " ", cell).strip().replace('"', "&quot;")


def replace(new, old):
    """Put a new folder in the place of an old one; never be without either."""
    aside = old.with_name(old.name + ".old")
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def build(results, notebooks, out, *, allow_missing=False, jobs=1):
    """Build the site; return its first page and the stale pages with the reasons."""
    out = Path(out)
    source, place = out / "src", out / "site"
    stale = stage.stage(results, notebooks, source, allow_missing=allow_missing)
    shutil.rmtree(place, ignore_errors=True)
    made = call_jupyter_book(source, place, jobs)
    mend(made)
    address.add_wheel(made)
    replace(made, out / "html")
    shutil.rmtree(place, ignore_errors=True)
    return out / "html" / "index.html", stale


def main(words=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--notebooks", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "_build")
    parser.add_argument("--allow-missing", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="CPU cores to use (1)")
    given = parser.parse_args(words)
    end_with_the_build()
    try:
        page, stale = build(
            given.results,
            given.notebooks,
            given.out,
            allow_missing=given.allow_missing,
            jobs=given.jobs,
        )
    except InputError as error:
        print(f"\nbuild_site: {error}\n", file=sys.stderr)
        return 1
    for stem, reason in stale.items():
        print(f"build_site: {stem} is STALE: {reason}", file=sys.stderr)
    print(f"The first page: {page.resolve()}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
