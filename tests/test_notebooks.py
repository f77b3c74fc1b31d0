"""What every committed notebook must be."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from sudlib import book
from sudlib.book import freshness

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COLAB = "# Colab: install sudlib when it is missing"


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_the_workflow_lists_every_notebook():
    plan = yaml.safe_load((ROOT / "workflow" / "notebooks.yml").read_text())
    assert sorted(plan["notebooks"]) == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_is_valid_and_has_no_outputs(self, path):
        nbformat.validate(read(path))
        for cell in code_cells(path):
            assert not cell.outputs and cell.execution_count is None
        assert read(path).metadata["kernelspec"]["name"] == "sudlib"

    def test_declares_strict_parameters_and_binds_none_again(self, path):
        book.check_parameters(path, {})

    def test_starts_with_its_name_and_all_its_parameters(self, path):
        calls = [
            node
            for node in ast.walk(ast.parse(freshness.source_of(path)))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "book.start"
        ]
        assert len(calls) == 1
        assert ast.literal_eval(calls[0].args[0]) == path.stem
        named = {word.arg for word in calls[0].keywords}
        assert named == set(book.declared_parameters(path))

    def test_ends_with_its_provenance(self, path):
        assert "run.finish()" in code_cells(path)[-1].source

    def test_sets_itself_up_in_colab_out_of_sight(self, path):
        first = code_cells(path)[0]
        assert first.source.startswith(COLAB)
        assert "remove-cell" in first.metadata["tags"]
        assert "--no-deps" in first.source

    def test_says_no_number_that_it_could_compute(self, path):
        # Share-like numbers in prose (0.67, .38, 37.9%) are glued, not typed;
        # parameters, sizes named by the study and years are words of the method.
        text = "\n".join(
            re.sub(r"`[^`]*`|\$[^$]*\$|\([^)]*\)", "", cell.source)
            for cell in read(path).cells
            if cell.cell_type == "markdown" and "exercise" not in cell.source.lower()
        )
        typed = re.findall(r"(?<![\w.])0?\.\d{2,}(?!\d*[–-])", text)
        assert not typed, f"type no number into prose, glue it: {typed}"

    def test_keeps_code_cells_short(self, path):
        for cell in code_cells(path):
            assert len(cell.source.splitlines()) <= 30, cell.source[:60]


def test_one_more_draw_falls_where_the_page_of_heroin_says_it_does():
    """In 95 of 100 repeats, for ten draws of a normal law as for the page's own."""
    page = ROOT / "notebooks" / "a10_heroin_to_other_opioids.ipynb"
    [cell] = [cell for cell in code_cells(page) if "def claimed(" in cell.source]
    [function] = [
        node
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.FunctionDef) and node.name == "claimed"
    ]
    space = {"stats": stats, "draws": [([], [0] * 1161)]}
    exec(ast.unparse(function), space)
    random = np.random.default_rng(4)
    drawn = random.normal(0.4, 0.03, (2000, 11))
    held = 0
    for *ten, one_more in drawn:
        said = space["claimed"]("arm", pd.DataFrame({"arm": ten}), "")
        held += said["low"] < one_more < said["high"]
    assert abs(held / 2000 - 0.95) < 3 * (0.95 * 0.05 / 2000) ** 0.5
    assert space["claimed"]("arm", pd.DataFrame({"arm": [0.4]}), "")["low"] is None
