"""The book's sources, the staging, and the built site when there is one."""

import json
import os
import re
import shutil
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import nbformat
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

import build_site  # noqa: E402
import notebook_style  # noqa: E402
import prose_tables  # noqa: E402
import side_by_side  # noqa: E402
import stage  # noqa: E402
import stories  # noqa: E402
import widgets  # noqa: E402

from sudlib import book  # noqa: E402
from sudlib.book import freshness  # noqa: E402
from sudlib.files import InputError  # noqa: E402

BOOK = ROOT / "book"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted(BOOK.rglob("*.md"))
PLAN = yaml.safe_load((ROOT / "workflow" / "notebooks.yml").read_text())["notebooks"]
SITE = Path(os.environ.get("SUDLIB_SITE", ROOT / "_build" / "html"))


def prose(notebook):
    """Return the Markdown cells of a notebook, and what its code says."""
    cells = nbformat.read(notebook, as_version=4).cells
    written = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return written + notebook_style.templates(freshness.source_of(notebook))


def address():
    """Return the public address: the one place that holds it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["urls"]["Repository"], project


# ---------------------------------------------------------------------- the sources


def test_every_page_is_in_the_table_of_contents():
    listed = stage.entries(stage.read_toc())
    assert len(listed) == len(set(listed))
    pages = {page.relative_to(ROOT).with_suffix("").as_posix() for page in PAGES}
    assert {name for name in listed if name.startswith("book/")} == pages
    notebooks = {name.split("/")[1] for name in listed if name.startswith("notebooks/")}
    assert {path.stem for path in NOTEBOOKS} <= notebooks
    assert notebooks == set(PLAN)


def test_claims_are_the_second_page():
    assert stage.entries(stage.read_toc())[:2] == ["book/index", "notebooks/claims"]


@pytest.fixture(scope="module")
def computed():
    """Return the names of all pictures and numbers, and of pages not in this copy."""
    names = {*stories.DRAWN, *stories.FIGURES, *widgets.DRAWN, *stage.substitutions({})}
    patterns = []
    for stem in PLAN:
        names.add(f"minutes_{stem}")
        source = ROOT / "notebooks" / f"{stem}.ipynb"
        if source.exists():
            said = notebook_style.fields(freshness.source_of(source))
            names |= {f"{stem}_{name}" for name in said}
        else:
            patterns.append(rf"{stem}_\w+")
    return names, patterns


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_number_a_page_asks_for_is_computed(page, computed):
    names, patterns = computed
    asked = stage.used_names(page.read_text(encoding="utf-8")) - names
    lacking = {
        name for name in asked if not any(re.fullmatch(p, name) for p in patterns)
    }
    assert not lacking


@pytest.mark.parametrize(("stem", "cell"), stories.FIGURES.values())
def test_a_figure_of_a_prose_page_is_a_cell_of_its_notebook(stem, cell):
    cells = nbformat.read(ROOT / f"notebooks/{stem}.ipynb", as_version=4).cells
    (source,) = (each.source for each in cells if each.get("id") == cell)
    assert "figures.show(" in source


def test_bars_say_their_numbers_and_are_as_long():
    text = stories.bars("Wrong", [("<a>", 25, "ours"), ("b", 60, "")], 50, "%")
    assert "&lt;a&gt;" in text and "25%" in text and "60%" in text
    assert re.findall(r"--part:([0-9.]*)", text) == ["0.500", "1.000"]


def test_the_record_of_the_front_page_says_what_each_text_means():
    text = stories.record_picture()
    assert text.count("<title>") == 28
    assert "Not Pregnant<title>" in text and "?<title>" in text


def test_the_public_address_stands_in_one_place():
    url, project = address()
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert settings["repository"]["url"] == url
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["repository-code"] == url
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    for page in PAGES:
        for found in re.findall(r"git clone (\S+)", page.read_text(encoding="utf-8")):
            assert found == url
    for notebook in NOTEBOOKS:
        cells = nbformat.read(notebook, as_version=4).cells
        assert f'"git+{url}"' in cells[1].source, notebook.name
        assert "remove-cell" in cells[1].metadata["tags"]


def test_every_work_that_is_cited_is_listed():
    listed = set(
        re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text(), re.M)
    )
    cited = set()
    for text in [page.read_text(encoding="utf-8") for page in PAGES] + [
        cell for notebook in NOTEBOOKS for cell in prose(notebook)
    ]:
        for names in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text):
            cited |= {name.strip() for name in names.split(",")}
        cited |= notebook_style.cited(text)
    assert cited <= listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_one_sentence_a_line(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for line in text.split("\n"):
        if line.startswith("|") or "<span" in line:
            continue
        line = re.sub(r"^(\d+\.|\*) ", "", line.strip())
        line = re.sub(r"\*\*[^*]*\*\*|`[^`]*`", "", line)
        assert not re.search(r"[a-z)][.?!] [A-Z]", line), line


def test_mathjax_is_kept_with_its_licence():
    folder = BOOK / "_static" / "mathjax"
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert '"3.2.2"' in (folder / "tex-chtml.js").read_text(encoding="utf-8")
    fonts = list((folder / "output" / "chtml" / "fonts" / "woff-v2").glob("*.woff"))
    assert len(fonts) == 23


# --------------------------------------------------------------------- the staging


@pytest.fixture
def small(tmp_path, notebook_maker, monkeypatch):
    """Make a book of one page and one notebook that has been run."""
    root = tmp_path / "small"
    for name in ("sudlib", "data"):
        (root / name).mkdir(parents=True)
    (root / "sudlib" / "__init__.py").write_text("")
    (root / "requirements.lock").write_text("")
    (root / "_config.yml").write_text("title: small\n")
    (root / "book").mkdir()
    (root / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n"
        "  - chapters:\n      - file: notebooks/one\n"
        "  - caption: later\n    chapters:\n      - file: notebooks/two\n"
    )
    (root / "book" / "index.md").write_text(
        "# Small\n\n{{ one_share }} and {{ verdict_a_general_forest_f05 }},"
        " [one](../notebooks/one.ipynb), [two](../notebooks/two.ipynb#part)\n"
    )
    source = notebook_maker(root / "notebooks" / "one.ipynb", "seed: int = 33", "1 + 1")
    content = nbformat.read(source, as_version=4)
    first = nbformat.v4.new_markdown_cell("# One?\n\nIt is a share.")
    content.cells.insert(0, first)
    nbformat.write(content, source)
    out = tmp_path / "run"
    for name in ("results", "executed"):
        (out / name).mkdir(parents=True)
    shutil.copy(source, out / "executed" / "one.ipynb")
    result = {
        "notebook": "one",
        "stamp": {
            "parameters": {"seed": 33},
            "data": [{"data": "twin", "synthetic": True}],
            "fingerprints": freshness.fingerprints(source, {"seed": 33}, root),
            "minutes": 1.26,
        },
        "claims": [],
        "values": {"share": "42%"},
        "tables": {},
    }
    (out / "results" / "one.json").write_text(json.dumps(result))

    def run(**more):
        stale = stage.stage(
            out / "results", out / "executed", out / "src", root=root, **more
        )
        page = nbformat.read(out / "src" / "notebooks" / "one.ipynb", as_version=4)
        settings = yaml.safe_load((out / "src" / "_config.yml").read_text())
        return stale, page.cells[0].source, settings["parse"]["myst_substitutions"]

    run.root, run.out = root, out
    return run


def test_a_page_on_made_up_records_says_so_below_its_title(small):
    stale, first, _ = small(allow_missing=True)
    assert not stale
    assert re.match(r"# One\?\n\n```\{admonition\} Synthetic data\n", first)
    assert "STALE" not in first and first.endswith("It is a share.")


def test_copies_that_jupyter_keeps_are_no_pages(small):
    kept = small.root / "book" / ".ipynb_checkpoints"
    kept.mkdir()
    (kept / "index-checkpoint.md").write_text("# Old\n\n{{ nobody_computes_it }}\n")
    small(allow_missing=True)
    assert not (small.out / "src" / "book" / kept.name).exists()


def test_a_page_on_real_records_has_no_banner(small):
    path = small.out / "results" / "one.json"
    path.write_text(path.read_text().replace("true", "false"))
    assert "Synthetic" not in small(allow_missing=True)[1]


def test_a_page_that_sets_made_up_records_beside_real_ones_calls_only_those_made_up(
    small,
):
    path = small.out / "results" / "one.json"
    result = json.loads(path.read_text())
    result["stamp"]["data"] = [
        {"data": "twin", "synthetic": True, "origin": "synthetic"},
        {"data": "ist", "synthetic": False, "origin": "real"},
    ]
    path.write_text(json.dumps(result))
    first = small(allow_missing=True)[1]
    assert "made-up records (the twin of TEDS-D) beside real ones (ist)" in first
    assert "Our numbers on this page" not in first


@pytest.mark.parametrize(
    ("used", "title", "words", "short"),
    [
        ({"synthetic": False, "origin": "real"}, None, "", "`own.csv`"),
        (
            {"synthetic": None, "origin": "unverified"},
            "Not verified",
            "records of a reader's file (not verified)",
            "`own.csv` (not verified)",
        ),
        ({}, "Not verified", "give no verdict", "`own.csv` (not verified)"),
        (
            {"synthetic": True, "origin": "mixture"},
            "Synthetic data",
            "Made-up records are among those of this page (own.csv)",
            "made-up records",
        ),
    ],
)
def test_a_page_says_which_records_are_not_shown_to_be_real(
    small, used, title, words, short
):
    path = small.out / "results" / "one.json"
    result = json.loads(path.read_text())
    result["stamp"]["data"] = [{"data": "own.csv", **used}]
    path.write_text(json.dumps(result))
    first = small(allow_missing=True)[1]
    assert words in first
    assert ("{admonition}" in first) == bool(title)
    assert title is None or f"{{admonition}} {title}\n" in first
    assert stage.data_words({"one": result}) == short


def test_numbers_reach_the_pages_of_prose(small):
    _, _, names = small(allow_missing=True)
    assert names == {
        "one_share": "42%",
        "verdict_a_general_forest_f05": book.badge("not in this copy"),
    }


def test_a_page_whose_sources_changed_is_stale(small):
    with (small.root / "requirements.lock").open("a") as lock:
        lock.write("numpy==2\n")
    stale, first, _ = small(allow_missing=True)
    assert stale == {"one": "changed since it ran: lock"}
    assert "{admonition} STALE" in first and "changed since it ran: lock" in first


def test_what_has_not_been_run_stops_the_staging(small):
    with pytest.raises(InputError, match="lists notebooks/two, which do not exist"):
        small()
    (small.out / "executed" / "one.ipynb").unlink()
    with pytest.raises(InputError, match="one has not been run"):
        small()


def test_what_has_not_been_run_can_be_allowed(small):
    (small.out / "executed" / "one.ipynb").unlink()
    _, first, _ = small(allow_missing=True)
    assert "{admonition} Not run" in first and first.endswith("It is a share.")
    toc = yaml.safe_load((small.out / "src" / "book" / "_toc.yml").read_text())
    assert toc["parts"] == [{"chapters": [{"file": "notebooks/one"}]}]
    index = (small.out / "src" / "book" / "index.md").read_text()
    assert "[one](../notebooks/one.ipynb), two" in index


def test_what_a_page_says_is_made_ready_for_the_site(small):
    path = small.out / "executed" / "one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    said = (
        "42% [[Breiman, 2001]](../book/references.md#breiman_2001) ([two](two.ipynb))"
    )
    cell = nbformat.v4.new_code_cell("# @title\nrun.say(...)")
    legend = {"text/plain": "<matplotlib.legend.Legend at 0x7fb6457b61d0>"}
    cell.outputs = [
        nbformat.v4.new_output("execute_result", legend, execution_count=1),
        nbformat.v4.new_output("display_data", {"text/markdown": said}),
    ]
    notebook.cells.append(cell)
    nbformat.write(notebook, path)
    small(allow_missing=True)
    page = nbformat.read(small.out / "src" / "notebooks" / "one.ipynb", as_version=4)
    assert page.cells[-1].source == "run.say(...)" and len(page.cells[-1].outputs) == 1
    shown = page.cells[-1].outputs[0].data["text/markdown"]
    assert shown == "42% {cite:p}`breiman_2001` (two)"


def test_pictures_for_jupyterlab_are_not_on_the_site(small):
    path = small.out / "executed" / "one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = nbformat.v4.new_code_cell("figures.show(...)")
    html = "<figure><svg></svg>{}<figcaption>c</figcaption></figure>"
    image = '<img class="untrusted" alt="a" src="data:image/png;base64,aa==">'
    data = {"text/html": html.format(image)}
    cell.outputs = [nbformat.v4.new_output("display_data", data)]
    notebook.cells.append(cell)
    nbformat.write(notebook, path)
    small(allow_missing=True)
    page = nbformat.read(small.out / "src" / "notebooks" / "one.ipynb", as_version=4)
    assert page.cells[-1].outputs[0].data["text/html"] == html.format("")


def test_folded_code_that_shows_nothing_is_part_of_the_next_fold():
    def cell(source, *tags, outputs=()):
        made = nbformat.v4.new_code_cell(source, outputs=list(outputs))
        made.metadata["tags"] = list(tags)
        return made

    shown = nbformat.v4.new_output("stream", text="a figure")
    notebook = nbformat.v4.new_notebook(
        cells=[
            cell("size = 'quick'", "injected-parameters", "hide-input"),
            cell("# @title Imports\nimport re", "hide-input"),
            cell("draw()", "hide-input", outputs=[shown]),
            cell("again()", "hide-input", outputs=[shown]),
            cell("prepare()", "hide-input"),
            cell("compute()"),
        ]
    )
    cells = stage.for_the_site(notebook).cells
    assert [each.source for each in cells] == [
        "size = 'quick'\n\nimport re\n\ndraw()",
        "again()",
        "prepare()",
        "compute()",
    ]
    assert [each.outputs for each in cells] == [[shown], [shown], [], []]


def test_a_number_nobody_computes_stops_the_staging(small):
    (small.root / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n  - file: notebooks/one\n"
    )
    small()
    with (small.root / "book" / "index.md").open("a") as page:
        page.write("{{ one_shaer }}\n")
    with pytest.raises(InputError, match="one_shaer"):
        small()


def test_the_site_is_exchanged_whole(tmp_path):
    new, old = tmp_path / "new", tmp_path / "html"
    for folder, text in ((new, "new"), (old, "old")):
        folder.mkdir()
        (folder / "index.html").write_text(text)
    build_site.replace(new, old)
    assert (old / "index.html").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["html"]


def test_mended_pages_ask_for_no_font_know_their_mode_and_name_their_parts():
    page = build_site.mend_page(
        '<html data-theme="auto">'
        '<script>theme = localStorage.getItem("theme") || "auto";</script>'
        '<link rel="preload" as="font" type="font/woff2" href="x.woff2" />'
        '<div class="bd-sidebar-primary bd-sidebar"></div>'
        '<div role="list" class="citation-list">'
        '<div class="citation" id="id6" role="doc-biblioentry"></div></div>'
        "<table><tr><th></th><th>a</th></tr></table>"
    )
    assert page == (
        '<html data-theme="light">'
        '<script>theme = localStorage.getItem("theme") || (matchMedia('
        '"(prefers-color-scheme: dark)").matches ? "dark" : "light");</script>'
        '<div class="bd-sidebar-primary bd-sidebar" role="navigation"'
        ' aria-label="Book"></div>'
        '<div class="citation-list"><div class="citation" id="id6"></div></div>'
        "<table><tr><td></td><th>a</th></tr></table>"
    )


ICONS = '<script src="_static/vendor/fontawesome/js/all.min.js?digest=1"></script>'
MATHJAX = (
    '<script>window.MathJax = {"options": {"processHtmlClass": "math"}}</script>'
    '<script defer="defer" src="../_static/mathjax/tex-chtml.js?v=1"></script>'
)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("<p>no formula</p>", False),
        ('<section class="tex2jax_ignore mathjax_ignore">words</section>', False),
        ('<span class="math notranslate nohighlight">\\(x\\)</span>', True),
        ('<div class="output text_latex math">x</div>', True),
    ],
)
def test_mathjax_is_loaded_by_pages_with_a_formula_only(body, kept):
    page = build_site.mend_page(ICONS + MATHJAX + body)
    assert page == (MATHJAX if kept else "") + body


def test_icons_are_those_of_the_style_sheet():
    github = '<i class="fab fa-github fa-lg"></i>'
    assert build_site.mend_page(github) == '<i class="fas fa-code-branch fa-lg"></i>'


def test_the_themes_icons_are_kept_once(tmp_path):
    icons = tmp_path / "_static" / "vendor" / "fontawesome" / "6"
    for name in ("css/all.min.css", "webfonts/fa-solid-900.woff2", "js/all.min.js"):
        (icons / name).parent.mkdir(parents=True)
        (icons / name).write_text("@font-face{src:url(x)}.fa-sun{}")
    (tmp_path / "index.html").write_text(ICONS)
    build_site.mend(tmp_path)
    [sheet] = [path for path in icons.rglob("*") if path.is_file()]
    assert "url(x)" not in sheet.read_text() and "base64," in sheet.read_text()
    assert (tmp_path / "index.html").read_text() == ""


def test_mending_notices_another_theme(tmp_path):
    with pytest.raises(InputError, match="FontAwesome"):
        build_site.mend(tmp_path)


@pytest.mark.slow
def test_the_sources_build_without_a_warning(tmp_path):
    """No notebook is run: this is about pages, links, citations and settings."""
    page, stale = build_site.build(
        tmp_path / "none", tmp_path / "none", tmp_path / "out", allow_missing=True
    )
    assert page.exists() and not stale
    assert not problems_below(page.parent)


# ------------------------------------------------------------------- the built site


class Page(HTMLParser):
    """Collect what a page loads, links to, shows and names."""

    def __init__(self, path):
        super().__init__()
        self.assets, self.links, self.ids, self.unnamed = [], [], set(), []
        self.classes, self.words, self.silent = [], [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        self.classes.append((given.get("class") or "").split())
        if tag == "link":
            (self.assets if given.get("rel") != "next" else self.links).append(
                given["href"]
            )
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if given.get("src"):
            self.assets.append(given["src"])
        picture = tag == "img" or (tag == "svg" and given.get("role") == "img")
        if picture and not (given.get("alt") or given.get("aria-label")):
            self.unnamed.append(given.get("src", "svg"))
        self.silent += tag in ("script", "style", "pre", "code")

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style", "pre", "code")

    def handle_data(self, data):
        if self.silent <= 0:
            self.words.append(data)

    def has(self, *names):
        """Return whether an element has all these classes."""
        return any(set(names) <= set(classes) for classes in self.classes)


_PAGES = {}


def page_of(path):
    """Return a parsed page, parsed once."""
    path = path.resolve()
    if path not in _PAGES:
        _PAGES[path] = Page(path)
    return _PAGES[path]


def problems_of(path, site):
    """Return what is wrong with one built page."""
    page, found = page_of(path), []
    name = path.relative_to(site).as_posix()
    for asset in page.assets:
        parts = urlsplit(asset)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            found.append(f"{name} asks another site for {asset}")
        elif not (path.parent / unquote(parts.path)).exists():
            found.append(f"{name} loads {asset}, which does not exist")
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)) if parts.path else path
        if not target.exists():
            found.append(f"{name} links to {link}, which does not exist")
        elif parts.fragment and target.suffix == ".html":
            if unquote(parts.fragment) not in page_of(target).ids:
                found.append(f"{name} links to {link}, where there is no such part")
    found += [f"{name} shows {picture} without words" for picture in page.unnamed]
    if "{{" in "".join(page.words) or "{glue" in "".join(page.words):
        found.append(f"{name} shows a name where a number should be")
    if page.has("admonition", "stale"):
        found.append(f"{name} is STALE")
    return found


def problems_below(site):
    """Return what is wrong with a site's pages (the theme's templates are none)."""
    return [
        problem
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.relative_to(site).parts
        for problem in problems_of(path, site)
    ]


built = pytest.mark.skipif(
    not (SITE / "index.html").exists(),
    reason=f"no site is built at {SITE}: run `make book` first",
)


@built
def test_the_built_site_is_whole():
    assert not problems_below(SITE)


@built
def test_a_first_visit_takes_less_than_a_megabyte():
    first = SITE / "book" / "index.html"
    page = first.read_text(encoding="utf-8")
    asked = {SITE / "index.html", first}
    for link in re.findall(
        r'<(?:script|link|img)\b[^>]*?(?:src|href)="([^"#]+)"', page
    ):
        path = (first.parent / unquote(urlsplit(link).path)).resolve()
        if path.is_file() and path.suffix != ".html":
            asked.add(path)
    assert len(asked) > 10
    assert sum(path.stat().st_size for path in asked) < 1_000_000


@built
def test_the_page_of_all_claims_has_less_than_300_kilobytes():
    assert (SITE / "notebooks" / "claims.html").stat().st_size < 300_000


@built
def test_style_sheets_ask_no_other_site():
    for sheet in SITE.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8", errors="replace")
        asked = re.findall(
            r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", text
        )
        assert not asked, (sheet.name, asked)


@built
def test_built_pages_on_made_up_records_say_so_and_give_no_verdict():
    seen = 0
    for path in sorted((SITE / "notebooks").glob("*.html")):
        page = page_of(path)
        text = " ".join(" ".join(page.words).split())
        made_up = re.search(r"\btwin \(\d{4}(, \d{4})*\), synthetic", text)
        if not (page.has("provenance") and made_up):
            continue
        seen += 1
        assert page.has("admonition", "synthetic"), path.name
        # Counts that the agency prints are real on any page, and name their source.
        rows = re.findall(r"<tr\b.*?</tr>", path.read_text(encoding="utf-8"), re.DOTALL)
        judged = [r for r in rows if re.search(r"verdict (reproduced|differs)\b", r)]
        assert all("the agency&#39;s codebook" in row for row in judged), path.name
    claims_page = page_of(SITE / "notebooks" / "claims.html")
    assert not seen or claims_page.has("verdict", "synthetic")


@built
def test_every_page_of_the_contents_is_built():
    for name in stage.entries(stage.read_toc()):
        assert (SITE / f"{name}.html").exists(), name
    first = (SITE / "index.html").read_text()
    assert "book/index.html" in first


def test_the_table_of_devices_names_each_and_says_when_no_gpu_was_measured():
    row = {
        "device": "2 CPU cores",
        "gpu": False,
        "work": "drawing",
        "precision": "mixed_bfloat16",
        "batch": 32,
        "records_per_second": 1234.6,
        "date": "2026-11-22",
    }
    alone = prose_tables.devices_table(pd.DataFrame([row]))
    line = (
        "| 2 CPU cores | drawing, 32 at a time | mixed bfloat16 | 1,235 | 2026-11-22 |"
    )
    assert line in alone
    assert "not measured: none was at hand" in alone
    card = row | {"device": "NVIDIA H200", "gpu": True}
    both = prose_tables.devices_table(pd.DataFrame([row, card]))
    assert "| NVIDIA H200 |" in both
    assert "none was at hand" not in both


def test_what_unfolds_the_contents_has_a_name():
    toggle = (
        '<summary><span class="toctree-toggle" role="presentation"></span></summary>'
    )
    made = build_site.mend_page(toggle + "<summary>A solution</summary>")
    assert re.findall(r"<summary[^>]*>", made) == [
        '<summary aria-label="The pages below">',
        "<summary>",
    ]


def rows(*lines):
    """Return an HTML table of prose, as Sphinx writes one."""
    head, *body = [line.split(" | ") for line in lines]
    cells = "".join("".join(f"<td><p>{cell}</p></td>" for cell in row) for row in body)
    heads = "".join(f'<th class="head"><p>{name}</p></th>' for name in head)
    return f'<table class="table"><thead>{heads}</thead><tbody>{cells}</tbody></table>'


def test_cells_of_a_table_of_sentences_name_their_column():
    sentence = "The records shown are made up, so this is not the study's own table."
    made = build_site.mend_page(
        rows("item | state | where", f"a | <b>b</b> | {sentence}")
    )
    assert '<table class="table stacked">' in made
    assert re.findall(r'<td data-label="(\w+)"', made) == ["item", "state", "where"]
    made = build_site.mend_page(rows("item | state | where", f"a |  | {sentence}"))
    assert re.findall(r'<td data-label="(\w+)"', made) == ["item", "where"]


@pytest.mark.parametrize(
    "table",
    [
        rows("item | state | where", "a | b | 0.5"),  # short cells fit
        rows("item | where", f"a | {'long ' * 20}"),  # two columns fit
        rows("a | b | c", f"{'long ' * 20} | b | c").replace(
            "<td>", '<td colspan="1">'
        ),
    ],
)
def test_other_tables_stay_as_they_are(table):
    assert build_site.mend_page(table) == table


def test_a_wide_table_of_numbers_names_each_column_and_a_narrow_one_does_not():
    wide = pd.DataFrame(
        [[0.847, float("nan"), "a < b", 31]] * 2,
        index=["SMOTEN, then split", "split"],
        columns=["balanced accuracy", "contradictions", "classes", "impossibilities"],
    )
    made = build_site.mend_page(wide.to_html(border=0, na_rep="", justify="left"))
    assert 'class="dataframe stacked"' in made
    told = re.findall(r'<td data-label="([^"]*)">(.*?)</td>', made)
    row = ("0.847", "a &lt; b", "31")  # an empty cell has no label
    assert told == list(zip(wide.columns[[0, 2, 3]], row, strict=True)) * 2
    assert made.count("<td></td>") == 3 and made.count("</th>") == 6
    heads = wide.reset_index().to_html(index=False, na_rep="")
    assert build_site.mend_page(heads).count("data-label") == 8
    two_heads = pd.concat({"quick": wide, "at full size": wide}, axis="columns")
    for other in (wide.iloc[:, :2], two_heads):
        assert "stacked" not in build_site.mend_page(other.to_html())


def test_blank_lines_are_left_out_but_those_of_code_stay():
    code = "<pre>if x:\n\n    y</pre>"
    assert build_site.mend_page(f"<p>\n\n    a</p>{code}") == f"<p>\na</p>{code}"
    # Between blocks none is needed; between words one is their blank.
    rows = "<tr><td>a</td></tr>"
    assert build_site.mend_page(f"{rows}\n{rows}") == rows + rows
    words = "<b>a</b>\n<i>b</i>\n<a href=#c>c</a>"
    assert build_site.mend_page(words) == words
    code = "<pre>a\n<div>b</div></pre>"
    assert build_site.mend_page(code) == code


def test_pages_are_built_on_all_cores_where_extensions_say_that_it_is_safe(monkeypatch):
    from sphinx.application import Sphinx

    extensions = {
        name: SimpleNamespace(name=name, parallel_read_safe=None)
        for name in side_by_side.SILENT
    }
    app = SimpleNamespace(extensions=extensions, connect=lambda event, call: None)
    monkeypatch.setenv(side_by_side.VARIABLE, "3")
    assert side_by_side.setup(app)["parallel_read_safe"]
    assert app.parallel == 3
    side_by_side.declare_safe(app, None, [])
    assert Sphinx.is_parallel_allowed(app, "read")
