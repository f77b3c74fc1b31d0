"""The flow of the library: a module imports from its own floor or below, in no ring."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

from sudlib.book import freshness

ROOT = Path(__file__).resolve().parent.parent


def imports():
    """Return module -> modules of sudlib that it imports."""
    found = {}
    for path in sorted((ROOT / "sudlib").rglob("*.py")):
        name = path.relative_to(ROOT / "sudlib").parts[0].removesuffix(".py")
        modules, _ = freshness.read_dependencies(freshness.source_of(path))
        found.setdefault(name, set()).update(modules)
    known = set(found) - {"__init__"}
    return {name: (found[name] & known) - {name} for name in known}


def floors():
    """Return module -> floor, as the README's table has them."""
    rows = re.findall(r"^\| (\d) \| (.*) \|$", (ROOT / "README.md").read_text(), re.M)
    return {
        name: int(floor)
        for floor, names in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def test_the_readme_names_every_module_and_no_other():
    assert set(floors()) == set(imports())


def test_no_module_imports_from_a_floor_above():
    floor = floors()
    upwards = [
        f"{name} (floor {floor[name]}) imports {other} (floor {floor[other]})"
        for name, others in imports().items()
        for other in others
        if floor[other] > floor[name]
    ]
    assert not upwards


def test_no_modules_import_each_other():
    TopologicalSorter(imports()).prepare()
