"""Lay out what Jupyter Book reads: pages, executed notebooks, computed numbers.

``_build/src`` becomes a copy of ``book/`` beside the executed notebooks, so that the
launch and download buttons of the built pages point at the committed sources.  The
numbers that pages of prose show as ``{{ name }}`` are computed from the result files.

Usage: python workflow/stage.py --results _build/quick/results
       --notebooks _build/quick/executed --out _build/src [--allow-missing]
"""

import argparse
import math
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import address
import api_links
import coverage
import executed_copies
import glossary
import nbformat
import notebook_style
import pandas as pd
import prose_tables
import questions
import sizes
import stories
import widgets
import yaml

from sudlib import book
from sudlib.book import freshness
from sudlib.files import InputError
from sudlib.origin import ORIGINS

ROOT = Path(__file__).resolve().parent.parent
NOT_RUN = "not yet run here"
DEVICES = ROOT / "data" / "results" / "study_a" / "devices.csv"

SYNTHETIC = """```{{admonition}} Synthetic data
:class: important synthetic
{words}
```
"""
MADE_UP = (
    "Our numbers on this page come from made-up records (the {name}), except{but} those"
    " that follow from what a study prints.\n"
    "No number from made-up records says anything about the study or about people in"
    " treatment."
)
BESIDE = (
    "This page sets made-up records (the {made}) beside real ones ({real}).\n"
    "A figure or table that holds any made-up records is marked as synthetic; it says"
    " nothing about people in treatment."
)
MIXTURE = (
    "Made-up records are among those of this page ({name}).\n"
    "None of its numbers says anything about the study or about people in treatment."
)
UNVERIFIED = """```{{admonition}} Not verified
:class: important synthetic
Numbers on this page were computed on {words}:
nothing shows that they are the agency's, so they give no verdict about the study.
```
"""
NOISE = (
    "Where this page learns from data, the data are noise, in which nothing predicts"
    " anything.\nWhat it says of the study follows from the printed numbers."
)
STALE = """```{{admonition}} STALE
:class: danger stale
The numbers of this page no longer match what they were computed from: {reason}.
Run `make book` again.
```
"""
MISSING = """```{{admonition}} Not run
:class: warning
This page has not been run in this build, so it has no numbers: {reason}.
```
"""


# -------------------------------------------------------------------- what is listed


def entries(toc):
    """Return the pages of a table of contents, in order, without their endings."""
    found = [toc["root"]]
    waiting = [*toc.get("parts", []), *toc.get("chapters", [])]
    while waiting:
        entry = waiting.pop(0)
        if "file" in entry:
            found.append(entry["file"])
        waiting = [*entry.get("chapters", []), *entry.get("sections", []), *waiting]
    return found


def read_toc(root=ROOT):
    """Return the book's table of contents."""
    return yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))


def used_names(text):
    """Return the names that a page of prose asks for as ``{{ name }}``."""
    return set(re.findall(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}", text))


# ---------------------------------------------------------------- computed numbers


def origin_banner(result):
    """Return what a page says of records that are not shown to be real, or ''."""
    used = [*result["stamp"].get("data", []), *result["claims"]]
    if any(each.get("synthetic") for each in used):
        return SYNTHETIC.format(words=synthetic_words(result))
    unknown = [each for each in used if each.get("synthetic") is not False]
    return UNVERIFIED.format(words=ORIGINS["unverified"]) if unknown else ""


def synthetic_words(result):
    """Return what a page on made-up data says of them below its title."""
    names = {used.get("data") for used in result["stamp"].get("data", [])}
    if names == {"noise"}:
        return NOISE
    known = {"twin": "twin of TEDS-D"}
    if any(used.get("origin") == "mixture" for used in result["stamp"]["data"]):
        return MIXTURE.format(name=" and ".join(sorted(map(str, names))))
    used = result["stamp"]["data"]
    real = {str(each["data"]) for each in used if each.get("synthetic") is False}
    made = " and the ".join(
        sorted(known.get(name, str(name)) for name in names if str(name) not in real)
    )
    if real and made:
        return BESIDE.format(made=made, real=" and ".join(sorted(real)))
    counted = {
        str(c.get("data")) for c in result["claims"] if c.get("synthetic") is False
    }
    but = f" those from {' and '.join(sorted(counted))} and" if counted else ""
    return MADE_UP.format(name=made, but=but)


def slug(key):
    """Return a claim's key as a name that a page can ask for."""
    return key.replace(".", "_")


def substitutions(results):
    """Return every name that a page of prose can show, with its text.

    ``paper_<key>``, ``ours_<key>`` and ``verdict_<key>`` for each claim (dots become
    underscores; ours is that of the study's own recipe), ``share_<cohort>`` (of people
    who completed, from a printed confusion matrix), ``<notebook>_<name>`` for each
    field of a ``run.say``, ``minutes_<notebook>``, and the counts below.
    """
    table = book.compare(results)
    first = table[~table.index.duplicated()]
    names = {}
    for key, row in first.iterrows():
        ours = book.our_text(row)
        if ours and row["synthetic"]:
            ours += " *(synthetic)*"
        names[f"paper_{slug(key)}"] = book.paper_text(row, error=False)
        names[f"ours_{slug(key)}"] = ours or NOT_RUN
        names[f"verdict_{slug(key)}"] = book.badge(row["verdict"])
    counts = book.count_verdicts(table)
    for verdict in book.VERDICTS:
        names[f"count_{verdict.replace(' ', '_')}"] = str(counts[verdict].sum())
        for study in book.STUDIES:
            name = f"count_{study}_{verdict.replace(' ', '_')}"
            names[name] = str(counts[verdict].get(study, 0))
    names["count_claims"] = str(len(first))
    judged = counts[["reproduced", "differs"]].sum(axis=1)
    for study in book.STUDIES:
        names[f"count_{study}_judged"] = str(judged.get(study, 0))
        names[f"count_{study}_claims"] = str((first["study"] == study).sum())
    for key, row in first[first["kind"] == "matrix"].iterrows():
        (tn, fp), (fn, tp) = row["matrix"]
        cohort = slug(key.rsplit(".", 2)[0])
        names[f"share_{cohort}"] = f"{(fn + tp) / (tn + fp + fn + tp):.1%}"
    checks = book.check_printed()
    names["checks"] = str(len(checks))
    names["checks_agree"] = str(checks["agrees"].sum())
    names["checks_disagree"] = str((~checks["agrees"]).sum())
    failed = checks[~checks["agrees"]]
    for study in book.STUDIES:
        names[f"inconsistent_{study}"] = str(failed["key"].str[0].eq(study).sum())
        names[f"errata_table_{study}"] = prose_tables.errata_table(
            checks[checks["key"].str[0] == study]
        )
    names["judgements_table"] = prose_tables.judgements_table()
    names |= coverage.names()
    names |= sizes.names(results)
    names["verdict_table"] = prose_tables.verdict_table(counts)
    names["benchmarks"] = prose_tables.benchmarks()
    names["devices_table"] = prose_tables.devices_table(pd.read_csv(DEVICES))
    names["four_cells"] = f"{book.FOUR_CELLS:.2f}"
    names["enough_rows"] = f"{book.ENOUGH_ROWS:.0%}"
    for stem, result in results.items():
        for name, text in result["values"].items():
            names[f"{stem}_{name}"] = text
        names[f"minutes_{stem}"] = f"{result['stamp']['minutes']:.1f}"
    minutes = sum(result["stamp"]["minutes"] for result in results.values())
    names["minutes_all"] = str(max(1, math.ceil(minutes)))
    names["data_words"] = data_words(results)
    for study in book.STUDIES:
        own = {stem: r for stem, r in results.items() if stem[0] == study}
        names[f"data_words_{study}"] = data_words(own)
    return names


def data_words(results):
    """Return in words which data this copy of the book was computed on."""
    used = {
        (entry.get("data"), entry.get("synthetic"))
        for result in results.values()
        for entry in result["stamp"].get("data", [])
    }
    if not used:
        return NOT_RUN
    words = {
        ORIGINS["synthetic"]
        if synthetic
        else f"`{name}`" + ("" if synthetic is False else " (not verified)")
        for name, synthetic in used
    }
    return " and ".join(sorted(words))


# ----------------------------------------------------------------------- laying out


def with_banner(notebook, banner):
    """Put a banner below the title of a notebook's first cell; return the notebook."""
    first = notebook.cells[0]
    title, _, rest = first.source.partition("\n")
    first.source = f"{title}\n\n{banner}\n{rest.lstrip()}"
    return notebook


def change_prose(notebook, change):
    """Change the Markdown of a notebook's cells and of its outputs; return it."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = change(cell.source)
        for output in cell.get("outputs", []):
            if "text/markdown" in output.get("data", {}):
                text = output["data"]["text/markdown"]
                output["data"]["text/markdown"] = change("".join(text))
    return notebook


def is_address(output):
    """Return whether an output only says where in memory an object was."""
    data = output.get("data", {})
    text = "".join(data.get("text/plain", "")).strip()
    return set(data) == {"text/plain"} and bool(
        re.fullmatch(r"<[\w.]+( object)? at 0x[0-9a-f]+>", text)
    )


def for_the_site(notebook):
    """Make citations of links to the bibliography, leave out what is not for the site.

    That is Colab's titles, the pictures for JupyterLab behind each drawing, and what a
    cell's last line returned by the way.
    """
    published = address.is_published()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = notebook_style.without_title(cell.source)
            if cell.source.startswith(notebook_style.COLAB) and not published:
                cell.source = address.FROM_WHEEL
        if "outputs" in cell:
            cell.outputs = [each for each in cell.outputs if not is_address(each)]
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                text = "".join(output["data"]["text/html"])
                text = re.sub(r'<img class="untrusted"[^>]*>', "", text)
                output["data"]["text/html"] = text
    notebook.cells = folds_joined(notebook.cells)
    return change_prose(notebook, notebook_style.with_citations)


def folds_joined(cells):
    """Return cells in which folded code that shows nothing is part of the next fold.

    A page would have one *Show code* above the other: the parameters it was given, then
    its imports.
    """
    joined = []
    for cell in cells:
        above = joined[-1] if joined else {}
        if is_folded(above) and is_folded(cell) and not above.outputs:
            cell.source = f"{joined.pop().source}\n\n{cell.source}"
        joined.append(cell)
    return joined


def is_folded(cell):
    """Return whether a reader sees of a cell's code that it is there."""
    return "hide-input" in cell.get("metadata", {}).get("tags", [])


def stage_notebook(
    source, executed, result, out, root=ROOT, why="it was not asked for"
):
    """Write one page's notebook; return why it is stale, or None.

    Parameters
    ----------
    source : pathlib.Path
        The committed notebook.
    executed : pathlib.Path or None
        Its executed copy; without one the source is shown.
    result : dict or None
        Its result file.
    out : pathlib.Path
        The page's place below ``_build/src``.
    why : str
        Why it has not been run, where it has not.
    """
    reason = None
    if executed is None or result is None:
        notebook = nbformat.read(source, as_version=4)
        notebook = with_banner(notebook, MISSING.format(reason=why.rstrip(".")))
    else:
        notebook = executed_copies.with_todays_words(source, executed)
        if banner := origin_banner(result):
            notebook = with_banner(notebook, banner)
        reason = freshness.stale(result, source, root)
        if reason:
            notebook = with_banner(notebook, STALE.format(reason=reason))
    notebook = sizes.add(notebook, source.stem, executed and result)
    links = api_links.links_cell(source, root)
    if links:
        notebook.cells.append(nbformat.v4.new_markdown_cell(links))
    notebook = glossary.add(notebook, source.stem, root)
    notebook = questions.add(notebook, source.stem, root=root)
    out.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(for_the_site(notebook), out)
    return reason


def stage(results, notebooks, out, *, allow_missing=False, root=ROOT):
    """Lay out the whole source of the book.

    Parameters
    ----------
    results, notebooks : path-like
        Folders of result files and of executed notebooks.
    out : path-like
        The folder to fill; what was in it is removed.
    allow_missing : bool, default=False
        Show notebooks that were not run without their outputs, and leave out pages
        of the table of contents that do not exist.
    root : pathlib.Path
        The checkout.

    Returns
    -------
    dict of str to str
        The stale pages, each with the reason.

    Raises
    ------
    InputError
        If a page, an executed notebook, a result or a number is missing.
    """
    results, notebooks, out = Path(results), Path(notebooks), Path(out)
    toc = read_toc(root)
    found = book.read_results(results)
    stems = {
        name.split("/")[1] for name in entries(toc) if name.startswith("notebooks/")
    }
    found = {stem: result for stem, result in found.items() if stem in stems}
    shutil.rmtree(out, ignore_errors=True)
    checkpoints = shutil.ignore_patterns(".ipynb_checkpoints")
    shutil.copytree(root / "book", out / "book", ignore=checkpoints)
    glossary.add_to_prose(out / "book", root)
    stale, absent = {}, set()
    for name in entries(toc):
        folder, _, stem = name.partition("/")
        if folder != "notebooks":
            if not (root / f"{name}.md").exists():
                raise InputError(
                    f"book/_toc.yml lists {name}, but there is no {name}.md"
                )
            continue
        source = root / f"{name}.ipynb"
        executed = notebooks / f"{stem}.ipynb"
        if not source.exists():
            absent.add(name)
            continue
        complete = executed.exists() and stem in found
        if not complete and not allow_missing:
            raise InputError(
                f"{stem} has not been run: there is no {executed} or no result in"
                f" {results}. Run `make book`, or stage with --allow-missing"
            )
        reason = stage_notebook(
            source,
            executed if complete else None,
            found.get(stem),
            out / f"{name}.ipynb",
            root,
            executed_copies.why_not_run(stem, notebooks),
        )
        if reason:
            stale[stem] = reason
    if absent and not allow_missing:
        raise InputError(
            f"book/_toc.yml lists {', '.join(sorted(absent))}, which do not exist"
        )
    write_toc(out / "book" / "_toc.yml", toc, absent)
    write_config(root, out, found, notebooks, allow_missing)
    unlink_absent(out, absent)
    return stale


def write_toc(path, toc, absent):
    """Write the table of contents without the pages that are absent."""
    for part in toc.get("parts", []):
        part["chapters"] = [
            entry for entry in part["chapters"] if entry["file"] not in absent
        ]
    toc["parts"] = [part for part in toc.get("parts", []) if part["chapters"]]
    path.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")


def write_config(root, out, found, executed, allow_missing):
    """Write the settings with every number that the pages of prose ask for."""
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    settings = address.with_buttons(settings, root)
    asked = set()
    for page in sorted((out / "book").rglob("*.md")):
        asked |= used_names(page.read_text(encoding="utf-8"))
    names = substitutions(found) | stories.pictures(asked, found, executed)
    names |= widgets.blocks(asked, found)
    lacking = asked - set(names)
    if lacking and not allow_missing:
        raise InputError(
            f"pages in book/ ask for numbers that no result has: {sorted(lacking)}"
        )
    chosen = {name: names.get(name, NOT_RUN) for name in sorted(asked)}
    settings.setdefault("parse", {})["myst_substitutions"] = chosen
    (out / "_config.yml").write_text(
        yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def unlink_absent(out, absent):
    """Turn links to absent pages into plain text, so that none is broken."""
    stems = [name.split("/")[1] for name in absent]
    if not stems:
        return
    pattern = re.compile(rf"\[([^\]]*)\]\([^)]*(?:{'|'.join(stems)})\.ipynb[^)]*\)")
    for page in (out / "book").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(pattern.sub(r"\1", text), encoding="utf-8")
    for page in (out / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(page, as_version=4)
        nbformat.write(change_prose(notebook, partial(pattern.sub, r"\1")), page)


def main(words=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--notebooks", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "src")
    parser.add_argument("--allow-missing", action="store_true")
    given = parser.parse_args(words)
    try:
        places = given.results, given.notebooks, given.out
        stale = stage(*places, allow_missing=given.allow_missing)
    except InputError as error:
        print(f"\nstage: {error}\n", file=sys.stderr)
        return 2
    for stem, reason in stale.items():
        print(f"{stem} is STALE: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
