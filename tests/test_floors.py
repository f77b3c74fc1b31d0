"""The flow of the library: imports run downwards, in no ring, as the README shows."""

import importlib
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import draw_house  # noqa: E402

from sudlib.book.freshness import Library  # noqa: E402

MODULES = draw_house.imports()
ARROWS = draw_house.rooms(MODULES)


def test_the_readme_shows_the_house_as_it_is():
    text = (ROOT / "README.md").read_text()
    drawn = draw_house.with_block(text, draw_house.draw(ARROWS))
    assert text == drawn, "run `make house`"
    assert draw_house.MARKS[0] in text


def test_no_rooms_and_no_modules_import_each_other():
    TopologicalSorter(ARROWS).prepare()
    own = {
        name: {other for other in others if not Library().is_package(other)}
        for name, others in MODULES.items()
        if not Library().is_package(name)
    }
    TopologicalSorter(own).prepare()


def test_every_arrow_runs_downwards():
    floor = draw_house.floors(ARROWS)
    for room, others in ARROWS.items():
        for other in others:
            assert floor[other] < floor[room], f"{room} imports {other}"


def test_a_wing_is_reached_through_its_front_door():
    """Below a wing's ``__init__`` only its own modules and its namespaces are named."""
    library = Library()
    for module in library.modules():
        for _, target in library.source(module).imports:
            path, _, name = target.partition(":")
            parts = path.split(".")
            if parts[0] != "sudlib" or len(parts) < 3 or parts[1] in module.split("."):
                continue
            wing = importlib.import_module(".".join(parts[:2]))
            public = getattr(wing, "__all__", [parts[2]])
            assert parts[2] in public, f"{module} imports {target}"


def test_every_room_is_drawn():
    there = {path.stem for path in (ROOT / "sudlib").glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in (ROOT / "sudlib").glob("*/__init__.py")}
    assert set(ARROWS) == there


def test_floors_are_longest_ways_and_arrows_that_follow_are_left_out():
    arrows = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set(), "e": {"d"}}
    assert draw_house.floors(arrows) == {"a": 3, "b": 2, "c": 1, "d": 0, "e": 1}
    drawn = [("a", "b"), ("b", "c"), ("c", "d"), ("e", "d")]
    assert draw_house.direct(arrows) == drawn
    text = draw_house.draw(arrows)
    assert "| 1 | `c`, `e` |" in text and "  a --> b\n" in text
    assert "5 rooms, 6 arrows; the 2 that follow" in text
    with pytest.raises(CycleError):
        draw_house.floors({"a": {"b"}, "b": {"a"}})
