"""Draw the rooms of the library and the arrows between them into the README.

A room is a module or package directly below ``sudlib``; an arrow says that the first
imports from the second.  A room's floor is the length of the longest way down from it,
so that every arrow runs downwards.  A test holds the README to what this draws.

    python tools/draw_house.py           # print the picture, the floors and the counts
    python tools/draw_house.py --write   # put them into README.md
"""

from __future__ import annotations

import argparse
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

from sudlib.book.freshness import Library

ROOT = Path(__file__).resolve().parent.parent
MARKS = "<!-- drawn by tools/draw_house.py -->", "<!-- end of the drawing -->"


def imports(library: Library | None = None) -> dict[str, set[str]]:
    """Return module -> the modules of the library that it imports, by dotted names."""
    library = library or Library(ROOT)  # not one that is installed elsewhere
    return {
        name: library.needs(library.source(name)) - {name} for name in library.modules()
    }


def rooms(modules: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return room -> the rooms that it imports from."""
    arrows: dict[str, set[str]] = {}
    for module, others in modules.items():
        _, *room = module.split(".")[:2]
        if room:
            found = {name.split(".")[1] for name in others if "." in name}
            arrows.setdefault(room[0], set()).update(found - {*room})
    return arrows


def floors(arrows: dict[str, set[str]]) -> dict[str, int]:
    """Return room -> floor; raises a CycleError where rooms import each other."""
    floor: dict[str, int] = {}
    for room in TopologicalSorter(arrows).static_order():
        floor[room] = max((floor[other] + 1 for other in arrows[room]), default=0)
    return floor


def direct(arrows: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return the arrows that do not follow from longer ways down."""

    def below(room: str) -> set[str]:
        return arrows[room].union(*(below(other) for other in arrows[room]))

    return [
        (room, other)
        for room, others in sorted(arrows.items())
        for other in sorted(others)
        if not any(other in below(between) for between in others)
    ]


def draw(arrows: dict[str, set[str]]) -> str:
    """Return the picture, the table of floors and the counts, as Markdown."""
    floor = floors(arrows)
    shown = direct(arrows)
    count = sum(map(len, arrows.values()))
    by_floor = {
        each: sorted(room for room in floor if floor[room] == each)
        for each in sorted(set(floor.values()))
    }
    lines = ["```mermaid", "flowchart TD"]
    for each in reversed(by_floor):
        lines.append(f'  subgraph floor{each}["floor {each}"]')
        lines += [f"    {room}" for room in by_floor[each]]
        lines.append("  end")
    lines += [f"  {room} --> {other}" for room, other in shown]
    lines += ["```", "", "| floor | rooms |", "| --- | --- |"]
    for each, names in by_floor.items():
        lines.append(f"| {each} | {', '.join(f'`{name}`' for name in names)} |")
    lines += [
        "",
        f"{len(arrows)} rooms, {count} arrows;"
        f" the {count - len(shown)} that follow from others are not drawn.",
    ]
    return "\n".join(lines)


def with_block(text: str, block: str) -> str:
    """Return a README's text with the block between its marks."""
    start, end = MARKS
    pattern = re.compile(f"{re.escape(start)}.*{re.escape(end)}", re.S)
    return pattern.sub(lambda _: f"{start}\n\n{block}\n\n{end}", text)


def main(words: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into README.md")
    block = draw(rooms(imports()))
    if parser.parse_args(words).write:
        readme = ROOT / "README.md"
        readme.write_text(with_block(readme.read_text(), block))
    sys.stdout.write(block + "\n")


if __name__ == "__main__":
    main()
