"""What of the papers is here: every row has its place, or a reason."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

import coverage

ROWS = coverage.rows()


@pytest.mark.parametrize("row", list(ROWS.itertuples()), ids=lambda row: row.item[:30])
def test_an_item_has_a_section_that_exists_or_a_reason(row):
    assert row.state in coverage.STATES
    assert bool(row.reason) == (row.state != "complete")
    assert not row.reason or (row.reason[0].isupper() and row.reason.endswith("."))
    if row.state == "missing":
        assert not row.page
        assert not row.section
    else:
        assert row.section in coverage.headings(row.page)


def test_items_are_told_once():
    assert not ROWS.duplicated(["study", "where", "item"]).any()


def test_a_row_of_the_table_links_to_its_section_and_gives_its_reason():
    rows = ROWS.iloc[:1].assign(
        page="b02_balancing",
        section="When are two people alike?",
        state="partial",
        reason="Why.",
    )
    assert (
        coverage.table(rows)
        .splitlines()[-1]
        .endswith(
            "| partial | [When are two people alike?]"
            "(../notebooks/b02_balancing.ipynb#when-are-two-people-alike) (b02) Why. |"
        )
    )
