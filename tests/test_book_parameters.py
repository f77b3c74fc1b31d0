"""Declared parameters: their types, their names, and notebooks as others left them."""

import json

import pytest

from sudlib import book
from sudlib.files import InputError

DECLARED = """data: str = "twin"  # a comment
size: str = "quick"
seed: int = 33
rate: float = 0.5
deep: bool = False
path: str | None = None
people: int | None = None"""


@pytest.fixture
def notebook(tmp_path, notebook_maker):
    return notebook_maker(tmp_path / "notebooks" / "one.ipynb", DECLARED, "seed")


def test_parameters_are_read_with_types_and_defaults(notebook):
    found = book.declared_parameters(notebook)
    assert list(found) == [
        "data", "size", "seed", "rate", "deep", "path", "people",
    ]  # fmt: skip
    assert found["seed"] == book.Parameter("seed", "int", 33)
    assert found["path"].type == "str | None"


def test_given_parameters_replace_defaults(notebook):
    given = {"seed": 0, "rate": 0, "path": "x", "people": 1}
    assert book.check_parameters(notebook, given)["seed"] == 0
    full = book.check_parameters(notebook, {"seed": 7, "rate": 1, "path": "x"})
    assert full["seed"] == 7 and full["rate"] == 1 and full["data"] == "twin"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sed": 3}, "no parameter 'sed'; it has data, size, seed"),
        ({"people": 0}, "people must be more than 0, not 0; None takes what the size"),
        ({"people": -3}, "people must be more than 0, not -3"),
        ({"seed": "3"}, "seed must be of type int, not '3' of type str"),
        ({"seed": True}, "seed must be of type int, not True of type bool"),
        ({"deep": 1}, "deep must be of type bool, not 1 of type int"),
        ({"rate": "half"}, "rate must be of type float"),
        ({"path": 3}, "path must be of type str | None"),
        ({"size": "tiny"}, 'size must be "quick" or "paper", not \'tiny\''),
    ],
)
def test_wrong_parameters_name_what_is_allowed(notebook, given, said):
    with pytest.raises(InputError) as caught:
        book.check_parameters(notebook, given)
    assert said in str(caught.value)


@pytest.mark.parametrize("cell", ["seed = 33", "import os", "seed: int"])
def test_a_parameters_cell_of_another_form_is_refused(tmp_path, notebook_maker, cell):
    notebook = notebook_maker(tmp_path / "bad.ipynb", cell)
    with pytest.raises(InputError, match="every line of the parameters cell"):
        book.declared_parameters(notebook)


# --------------------------------------------------------------- read-only parameters


@pytest.mark.parametrize(
    "cell",
    [
        "for seed in range(3): pass",
        "for rate, seed in []: pass",
        "seed = 7",
        "seed += 1",
        "seed: int = 7",
        "x = [seed for x in y if (seed := x)]",
        "with open('f') as seed: pass",
        "import numpy as seed",
        "from numpy import random as seed",
        "def seed(): pass",
        "class seed: pass",
        "try: pass\nexcept ValueError as seed: pass",
        "match 1:\n    case seed: pass",
        "del seed",
        "def f():\n    global seed\n    seed = 2",
        "%%time\nseed = 3",
        "seed = !ls",
    ],
)
def test_a_cell_that_takes_a_parameters_name_is_refused(tmp_path, notebook_maker, cell):
    path = notebook_maker(tmp_path / "one.ipynb", DECLARED, "1", cell)
    with pytest.raises(InputError, match="one.ipynb, cell 3 binds .*seed again"):
        book.check_parameters(path, {})


@pytest.mark.parametrize(
    "cell",
    [
        "[seed for seed in range(3)]",
        "def f(seed):\n    seed = 3",
        "f(seed=3)",
        "x.seed = 3",
        "seeds = seed",
        "lambda seed: seed",
        "# seed = 3",
    ],
)
def test_a_name_of_its_own_is_no_parameter(tmp_path, notebook_maker, cell):
    path = notebook_maker(tmp_path / "one.ipynb", DECLARED, cell)
    assert book.check_parameters(path, {})["seed"] == 33


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": "all"}, "the parameter size was 'quick'"),
        ({"seed": 33.0}, "the parameter seed was 33 .* is 33.0 now"),
        ({"seed": True}, "the parameter seed"),
        ({"years": [2018, 2019]}, r"years was \[2018\]"),
        ({}, None),
    ],
)
def test_a_run_ends_only_with_the_parameters_it_began_with(
    tmp_path, monkeypatch, change, named
):
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path))
    page = {"book": book, "size": "quick", "seed": 33, "years": [2018]}
    exec("run = book.start('none', size=size, seed=seed, years=years)", page)
    if "years" in change:  # the same list, changed in place
        page["years"].append(2019)
    page |= change
    if named is None:
        page["run"].finish()
    else:
        with pytest.raises(InputError, match=named):
            page["run"].finish()
    assert (tmp_path / "none.json").exists() is (named is None)


def test_the_parameters_of_a_run_cannot_be_set():
    run = book.Run("none", {"seed": 33})
    with pytest.raises(TypeError):
        run.parameters["seed"] = 34


# ------------------------------------------------------------ the forms of parameters


@pytest.mark.parametrize(
    ("line", "good", "bad"),
    [
        ("x: list[int] = [2018]", [1, 2], ["2018", [2018.5], 3]),
        ("x: list = []", ["a", 1], ["a"]),
        ("x: Optional[int] = None", 3, ["many", 1.5]),
        ("x: Literal['a', 'b'] = 'a'", "b", ["c", 1]),
        ("x: int | list[str] | None = None", ["a"], [["a", 1], "a"]),
        ("x: float = 1.0", 2, [float("nan"), float("inf"), True, "1"]),
    ],
)
def test_a_value_is_held_against_any_declared_type(
    tmp_path, notebook_maker, line, good, bad
):
    path = notebook_maker(tmp_path / "one.ipynb", line)
    assert book.check_parameters(path, {"x": good}) == {"x": good}
    for value in bad:
        with pytest.raises(InputError, match="x must be of type"):
            book.check_parameters(path, {"x": value})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x: int = 'a'", "x must be of type int, not 'a'"),
        ("x: Path = None", "the type of x must be made of str, int"),
        ("x: 'quick | paper' = 'quick'", "the type of x must be made of"),
        ("x: str = 'a' + 'b'", "must be written out, not computed"),
        ("x: int = 1\nx: int = 2", "declared twice"),
        ("x: int = ", "line 1: this is no Python"),
    ],
)
def test_a_declaration_that_cannot_be_checked_is_refused(
    tmp_path, notebook_maker, line, said
):
    path = notebook_maker(tmp_path / "one.ipynb", line)
    with pytest.raises(InputError, match=f"one.*{said}"):
        book.declared_parameters(path)


# ------------------------------------------------------- notebooks as others left them


def changed(text, **replaced):
    content = json.loads(text)
    for cell in content["cells"]:
        cell |= replaced
    return json.dumps(content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: "", "is no JSON, so no notebook"),
        (lambda t: t[:-20], "is no JSON"),
        (lambda t: "<<<<<<< HEAD\n" + t, r"unsettled merge \(line 1: <<<<<<<\)"),
        (lambda t: "\ufeff" + t, "byte order mark, .* UTF-8 without one"),
        (lambda t: "[]", "must be a notebook of format 4, not something else"),
        (lambda t: '{"nbformat": 3, "worksheets": []}', "format 4, not of format 3"),
        (lambda t: '{"nbformat": 5, "cells": []}', "format 4, not of format 5"),
        (lambda t: '{"nbformat": 4, "cells": [{}]}', "cell 1 has no type or no source"),
        (
            lambda t: changed(t, source="a\n<<<<<<< HEAD\n1\n=======\n"),
            "cell 1 holds the marks of an unsettled merge",
        ),
        (lambda t: changed(t, metadata={}), "exactly one cell tagged 'parameters'"),
        (
            lambda t: changed(t, metadata={"tags": ["parameters"]}),
            "'parameters', not 2: set the tag",
        ),
        (lambda t: changed(t, cell_type="code", source="x = = 1"), "cell 1, line 1: "),
    ],
)
def test_a_broken_notebook_is_named_with_what_to_do(
    tmp_path, notebook_maker, change, said
):
    path = notebook_maker(tmp_path / "Über uns.ipynb", "seed: int = 33", "1")
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=said) as caught:
        book.check_parameters(path, {})
    assert "Über uns.ipynb" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_other_programs_write_differently_is_read_alike(tmp_path, notebook_maker):
    path = notebook_maker(tmp_path / "one.ipynb", "seed: int = 33\nrate: float = 1.0")
    content = json.loads(path.read_text())
    content["nbformat_minor"], content["metadata"] = 99, {"colab": {}}
    cell = content["cells"][0]
    cell["metadata"]["id"] = cell.pop("id")
    cell["source"] = "".join(cell["source"]).replace("\n", "\r\n")
    cell.pop("outputs")
    path.write_text(json.dumps(content))
    assert book.check_parameters(path, {}) == {"seed": 33, "rate": 1.0}


def test_true_is_not_the_1_of_a_list_of_choices(tmp_path, notebook_maker):
    path = notebook_maker(tmp_path / "n.ipynb", 'take: Literal["all", 1] = "all"')
    assert book.check_parameters(path, {"take": 1}) == {"take": 1}
    for wrong in (True, 1.0, "1"):
        with pytest.raises(InputError, match="take must be of type Literal"):
            book.check_parameters(path, {"take": wrong})
