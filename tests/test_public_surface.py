"""Every public name is annotated and documented, but for a list that must shrink."""

import ast
import dataclasses
import functools
import importlib
import inspect
import io
import re
from pathlib import Path

import pytest

from sudlib.book.freshness import Library

validate = pytest.importorskip("numpydoc.validate").validate

from docutils import nodes  # noqa: E402
from docutils.core import publish_doctree  # noqa: E402
from numpydoc.docscrape_sphinx import SphinxDocString  # noqa: E402

#: Names still to be done, one a line; a test fails for one that is done but listed.
LIST = Path(__file__).parent / "undocumented.txt"
CHECKS = {
    "GL07",  # sections in their order
    "GL08",  # a docstring
    "SS01",  # a summary
    "PR01",  # every parameter documented
    "PR02",  # and no other
    "PR03",  # in the order of the signature
    "PR10",  # "name : type"
    "RT01",  # what is returned
    "YD01",  # what is yielded
}


def public():
    """Return dotted name -> object: what each wing and each single room offers."""
    library, names = Library(), {}
    for module in library.modules():
        parts = module.split(".")
        if len(parts) == 1 or any(part.startswith("_") for part in parts):
            continue
        wing = importlib.import_module(".".join(parts[:2]))
        offered = getattr(wing, "__all__", None)
        # Below a wing: its namespaces (listed in __all__), or all of a wing that
        # gathers nothing.
        if len(parts) > 2 and offered is not None and parts[2] not in offered:
            continue
        here = importlib.import_module(module)
        for name in getattr(here, "__all__", vars(here)):
            each = getattr(here, name)
            if name.startswith("_") or not (
                inspect.isfunction(each) or inspect.isclass(each)
            ):
                continue
            if each.__module__.startswith("sudlib") and (
                hasattr(here, "__all__") or each.__module__ == module
            ):
                names[f"{each.__module__}.{each.__qualname__}"] = each
    return names


def members(name, each):
    """Yield a public object and, of a class, its own public methods and properties."""
    yield name, each
    if inspect.isclass(each) and not issubclass(each, BaseException):
        for attribute, value in vars(each).items():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if not attribute.startswith("_") and inspect.isfunction(function):
                yield f"{name}.{attribute}", function


def is_annotated(each):
    """Return whether every parameter and what is returned have annotations."""
    if inspect.isclass(each):
        each = vars(each).get("__init__")
        if each is None or not hasattr(each, "__code__"):
            return True
    signature = inspect.signature(each)
    given = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    whole = signature.return_annotation is not signature.empty
    return (whole or each.__name__ == "__init__") and all(
        parameter.annotation is not parameter.empty for parameter in given
    )


@functools.cache
def sphinx_roles():
    """Teach docutils the roles of Sphinx, as text, and its directive ``only``."""
    from docutils.parsers.rst import Directive, directives, roles

    class Only(Directive):
        """What numpydoc writes for references, which stand elsewhere in HTML."""

        optional_arguments, has_content = 1, True

        def run(self):
            return []

    directives.register_directive("only", Only)

    for role in "attr class data doc exc func meth mod obj ref".split():
        roles.register_generic_role(role, nodes.literal)


def markup_problems(each):
    """Return what is wrong with a docstring's markup, as Sphinx would warn."""
    sphinx_roles()
    text = str(SphinxDocString(inspect.getdoc(each)))
    settings = {"report_level": 2, "halt_level": 5, "warning_stream": io.StringIO()}
    tree = publish_doctree(text, settings_overrides=settings)
    lines = settings["warning_stream"].getvalue().splitlines()
    assert tree is not None
    return [f"markup: {line}" for line in lines if line.startswith("<string>")]


def problems(name, each):
    """Return what an object lacks, as short texts."""
    lacking = [] if is_annotated(each) else ["annotations"]
    if isinstance(each, type) and issubclass(each, BaseException | Warning):
        return lacking if each.__doc__ else [*lacking, "GL08"]
    text = inspect.getdoc(each) or ""
    if not text:
        return [*lacking, "GL08 no docstring"]
    ignored = set()
    if dataclasses.is_dataclass(each):  # its fields may stand there as attributes
        fields = {field.name for field in dataclasses.fields(each)}
        attributes = text.partition("\nAttributes\n---")[2]
        if fields <= set(re.findall(r"\w+", attributes)):
            ignored = {"PR01"}
    lacking += [
        f"{code} {message}"
        for code, message in validate(name)["errors"]
        if code in CHECKS - ignored
    ]
    return [*lacking, *markup_problems(each)]


@pytest.fixture(scope="module")
def found():
    listed = {}
    for name, each in public().items():
        for part, value in members(name, each):
            lacking = problems(part, value)
            if lacking:
                listed[part] = lacking
    return listed


def allowed():
    lines = LIST.read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def documented_defaults(each):
    """Yield each parameter whose documentation ends with its default, and the two."""
    given = inspect.signature(each).parameters
    for names, text in re.findall(
        r"^(\w[\w, ]*) : [^\n]*default=(.*)$", inspect.getdoc(each) or "", re.M
    ):
        for name in names.split(", "):
            if name in given and given[name].default is not inspect.Parameter.empty:
                try:
                    yield name, ast.literal_eval(text), given[name].default
                except (SyntaxError, ValueError):  # in words: "4 GiB"
                    continue


def test_a_documented_default_is_the_default():
    wrong, number = [], 0
    for name, each in public().items():
        for part, value in members(name, each):
            if isinstance(value, type) and issubclass(value, BaseException | Warning):
                continue
            for parameter, said, default in documented_defaults(value):
                number += 1
                if default != said:
                    wrong.append(f"{part}({parameter}={default!r}), said: {said!r}")
    assert not wrong and number > 300


def test_what_is_public_is_annotated_and_documented(found):
    new = {name: lacking for name, lacking in found.items() if name not in allowed()}
    assert not new


def test_the_list_of_what_is_not_yet_done_only_shrinks(found):
    done = allowed() - set(found)
    assert not done, "take these off tests/undocumented.txt"


def test_finished_wings_are_not_on_the_list():
    done = ("sudlib.book.", "sudlib.files.", "sudlib.validation.")
    assert not {name for name in allowed() if name.startswith(done)}


if __name__ == "__main__":  # make the list again: python tests/test_public_surface.py
    names = [
        part
        for name, each in sorted(public().items())
        for part, value in members(name, each)
        if problems(part, value)
    ]
    head = "# Public names whose annotations or documentation lack something.\n"
    LIST.write_text(head + "".join(f"{name}\n" for name in names))
