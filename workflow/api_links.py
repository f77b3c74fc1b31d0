"""Links between API pages and notebooks, both ways, from what the notebooks use.

A Sphinx extension: below each entry of an API page stand the notebooks that use it, and
titles of notebooks that a docstring names in *italics* become links.  And
:func:`used_names` tells ``stage.py`` what to list at the end of a notebook.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from sudlib.book.freshness import Library, read_source

ROOT = Path(__file__).resolve().parent.parent


def title_of(notebook: Path) -> str:
    """Return a notebook's title, from its first cell."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]).partition("\n")[0].lstrip("# ")


def documented(library: Library, target: str) -> str | None:
    """Return the name under which an API page has an object, or None.

    Parameters
    ----------
    library : Library
    target : str
        ``"module:name"``, as it is imported and used.
    """
    parts = [part for part in re.split("[.:]", target) if part]
    room, depth = ".".join(parts[:2]), 3
    if library.is_package(room) and len(parts) > 2:
        origin = library.exports(room).get(parts[2], f"{room}:{parts[2]}")
        if origin == f"{room}:{parts[2]}" and library.path(".".join(parts[:3])):
            depth = 4  # of a module that is a namespace of its own
    name = parts[depth - 1] if len(parts) >= depth else ""
    module, attributes = library.locate(target)
    if library.path(module) and attributes:  # not what a module itself only imports
        name = name if attributes[0] in library.source(module).defines else ""
    private = not name or name.startswith("_") or name.isupper()
    return None if private else ".".join(parts[:depth])


@cache
def used_names(notebook: Path, root: Path = ROOT) -> list[str]:
    """Return the functions and classes of the library that a notebook uses itself."""
    library, source = Library(root), read_source(notebook)
    names = set()
    for bound, target in source.imports:
        if not re.match(r"sudlib[.:]", target):
            continue
        for chain in source.uses.get(bound, set()):
            joint = "." if ":" in target else ":"
            whole = joint.join([target, ".".join(chain)]).rstrip(joint)
            names.add(documented(library, whole))
    return sorted(name for name in names if name)


def links_cell(notebook: Path, root: Path = ROOT) -> str:
    """Return what stands at the end of a notebook's page: links to what it uses."""
    links = ", ".join(f"{{py:obj}}`~{name}`" for name in used_names(notebook, root))
    return f"**From the library**: {links}" if links else ""


@cache
def pages() -> dict[str, list[tuple[str, str]]]:
    """Return documented name -> (title, page) of the notebooks that use it."""
    found = defaultdict(list)
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for name in used_names(notebook):
            found[name].append((title_of(notebook), f"/notebooks/{notebook.stem}"))
    return found


def add_links(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]):
    """Link a docstring to notebooks: titles it names, and the pages that use it."""
    known = app.env.found_docs
    titles = {
        title_of(path): f"/notebooks/{path.stem}"
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        if f"notebooks/{path.stem}" in known
    }
    text = "\n".join(lines)

    def link(match: re.Match[str]) -> str:
        title = " ".join(match[1].split())
        return f":doc:`{title} <{titles[title]}>`" if title in titles else match[0]

    text = re.sub(r"(?<![*\w])\*([A-Z][^*]+)\*(?!\*)", link, text)
    users = [pair for pair in pages().get(name, []) if pair[1][1:] in known]
    if users:
        words = ", ".join(f":doc:`{title} <{page}>`" for title, page in users)
        text += f"\n\n.. rubric:: Used in\n\n{words}\n"
    lines[:] = text.split("\n")


def join_lines(app: Any, what: str, name: str, obj: Any, options: Any, lines: list):
    """Join lines that end in a backslash, which a raw docstring leaves apart."""
    lines[:] = re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n")


def skip_foreign(
    app: Any, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what a class has from elsewhere, such as scikit-learn's requests."""
    module = getattr(obj, "__module__", None) or "sudlib"
    foreign = not module.startswith("sudlib") or name.endswith("_request")
    return True if what == "class" and foreign else None


@cache
def home(name: str) -> str | None:
    """Return where what a dotted name stands for is defined; None for no such name."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):  # the longest module, then its attributes
        try:
            obj: Any = import_module(".".join(parts[:end]))
            obj = attrgetter(".".join(parts[end:]))(obj) if parts[end:] else obj
        except (ImportError, AttributeError, ValueError):
            continue
        place = getattr(obj, "__module__", ""), getattr(obj, "__qualname__", name)
        return ".".join(place)
    return None


def resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Link a name that a docstring has from where it is defined, or leave it as text.

    A name that is nowhere in the library stays unresolved: the build then fails.
    """
    if node.get("refdomain") != "py":
        return None
    entries = env.get_domain("py").objects
    name, module = node["reftarget"], node.get("py:module") or "sudlib"
    wanted = home(name) or home(f"{module}.{name}")
    if wanted is None:
        return None
    from sphinx.util.nodes import make_refnode

    for other, entry in entries.items():
        if other.startswith("sudlib") and home(other) == wanted:
            here = app.builder, node["refdoc"], entry.docname, entry.node_id
            return make_refnode(*here, contnode, other)
    return contnode


def keep_own_sources(app: Any, env: Any) -> None:
    """Drop Python's and NumPy's modules, of which types come, from the source pages."""
    sources = getattr(env, "_viewcode_modules", {})
    for name in [name for name in sources if name.split(".")[0] != "sudlib"]:
        del sources[name]


def setup(app: Any) -> dict[str, bool]:
    """Register the extension; its links come after numpydoc has made its sections."""
    app.connect("autodoc-process-docstring", join_lines, priority=100)
    app.connect("autodoc-process-docstring", add_links, priority=900)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("missing-reference", resolve)
    app.connect("env-check-consistency", keep_own_sources)
    return {"parallel_read_safe": True}
