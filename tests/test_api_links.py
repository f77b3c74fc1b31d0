"""API pages list every wing, and notebooks and entries link to each other."""

import re
from pathlib import Path
from types import SimpleNamespace

import api_links
import pytest

from sudlib.book.freshness import Library

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    path.stem: path.read_text() for path in sorted((ROOT / "book" / "api").glob("*.md"))
}


def test_every_room_has_its_place_on_a_page():
    listed = set(re.findall(r"automodule:: (\S+)", "\n".join(PAGES.values())))
    library = Library()
    for module in library.modules():
        room, *below = module.split(".")[1:] or [""]
        if room and not below:
            assert module in listed, f"{module} stands on no page of book/api"
    # Modules that a wing offers as namespaces of their own stand beside it.
    for module in listed:
        assert library.path(module), f"there is no {module}"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("sudlib:policy.AdditiveQLearner", "sudlib.policy.AdditiveQLearner"),
        ("sudlib:policy.AdditiveQLearner.fit", "sudlib.policy.AdditiveQLearner"),
        ("sudlib.policy:AdditiveQLearner", "sudlib.policy.AdditiveQLearner"),
        ("sudlib.policy:simulation.draw", "sudlib.policy.simulation.draw"),
        ("sudlib:oklahoma.make_cohort", "sudlib.oklahoma.make_cohort"),
        ("sudlib:scores.evaluate", "sudlib.scores.evaluate"),
        ("sudlib.book:figures.dots", "sudlib.book.figures.dots"),
        ("sudlib:book.start", "sudlib.book.start"),
        ("sudlib:forests.RECIPES", None),  # no function and no class
        ("sudlib.networks:training.keras", None),  # not ours
        ("sudlib:policy", None),
    ],
)
def test_what_a_notebook_uses_has_the_name_of_its_api_entry(target, name):
    assert api_links.documented(Library(), target) == name


def test_notebooks_and_entries_link_to_each_other():
    notebook = ROOT / "notebooks" / "a02_forest_general.ipynb"
    names = api_links.used_names(notebook)
    assert "sudlib.book.start" in names and "sudlib.scores.evaluate" in names
    assert "{py:obj}`~sudlib.scores.evaluate`" in api_links.links_cell(notebook)
    users = {page for _, page in api_links.pages()["sudlib.scores.evaluate"]}
    assert "/notebooks/a02_forest_general" in users
    assert not {page for page in users if "/c0" in page}


def test_names_are_found_by_whichever_way_they_are_written():
    here = api_links.home("sudlib.policy.OutcomeWeightedClassifier")
    assert here and here == api_links.home(
        "sudlib.policy.owl.OutcomeWeightedClassifier"
    )
    assert api_links.home("sudlib.policy.outcome_weights.outcome_weights")
    assert api_links.home("sudlib.policy.nothing_there") is None


def test_only_the_librarys_own_modules_have_pages_of_source_code():
    found = dict.fromkeys(["sudlib.scores", "sudlib", "numpy", "collections.abc"])
    api_links.keep_own_sources(None, SimpleNamespace(_viewcode_modules=found))
    assert list(found) == ["sudlib.scores", "sudlib"]
    api_links.keep_own_sources(None, SimpleNamespace())  # where nothing was read again
