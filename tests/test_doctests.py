"""Every example in a docstring of the library runs and prints what it says."""

import doctest
import importlib

import pytest

from sudlib.book.freshness import Library

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("name", Library().modules())
def test_examples_run(name, monkeypatch, tmp_path):
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path))
    module = importlib.import_module(name)
    # Examples may use the public names of their wing, as a reader has them.
    wing = importlib.import_module(".".join(name.split(".")[:2]))
    names = {each: getattr(wing, each) for each in getattr(wing, "__all__", [])}
    failed, _ = doctest.testmod(
        module, globs={**names, **vars(module)}, optionflags=FLAGS
    )
    assert not failed


def test_most_wings_have_examples():
    finder = doctest.DocTestFinder()
    counts = {}
    for name in Library().modules():
        found = finder.find(importlib.import_module(name))
        wing = ".".join(name.split(".")[:2])
        counts[wing] = counts.get(wing, 0) + sum(bool(each.examples) for each in found)
    assert sum(counts.values()) > 100, counts
