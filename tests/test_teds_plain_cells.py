"""Integers read by arithmetic on bytes, held against Python's own ``int``."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from sudlib.teds import plain_cells

KINDS = ("int8", "int16", "int64")
#: What stands in cells: codes, years, case numbers, and what is no plain integer.
PLAIN = some.one_of(
    some.sampled_from(["0", "1", "-9", "07", "63", "-0", "-1"]),
    some.integers(-(10**5), 10**11).map(str),
)
OTHER = [
    "",
    "-",
    "--1",
    "1-",
    "+1",
    " 1",
    "1.0",
    "x",
    '"1"',
    "1e3",
    "é",
    "200",
    "9" * 19,
]


def by_python(rows, column, kind):
    """Return a column read cell by cell; None where one is no plain integer."""
    # Longer cells of the smallest type are left to the parser, which names them.
    form = "-[0-9]|[0-9]{1,2}" if kind == "int8" else "(?=.{1,18}$)-?[0-9]+"
    cells = [row[column] for row in rows]
    if not all(re.fullmatch(form, cell) for cell in cells):
        return None
    limits = np.iinfo(kind)
    numbers = [int(cell) for cell in cells]
    fit = all(limits.min <= number <= limits.max for number in numbers)
    return numbers if fit else None


@settings(deadline=None, max_examples=150)
@given(
    rows=some.lists(some.tuples(*[PLAIN] * 4), min_size=1, max_size=12),
    odd=some.none() | some.tuples(some.integers(0, 11), some.integers(0, 3)),
    what=some.sampled_from(OTHER),
    wanted=some.permutations(range(4)).flatmap(
        lambda order: some.integers(1, 4).map(lambda n: order[:n])
    ),
    kinds=some.tuples(*[some.sampled_from(KINDS)] * 4),
    delimiter=some.sampled_from([",", "\t"]),
    end=some.sampled_from(["\n", "\r\n"]),
    piece=some.sampled_from([1, 20, 200]),
)
def test_a_column_is_what_python_reads_or_none(
    rows, odd, what, wanted, kinds, delimiter, end, piece
):
    rows = [list(row) for row in rows]
    if odd is not None:
        rows[odd[0] % len(rows)][odd[1]] = what
    text = "".join(delimiter.join(row) + end for row in rows).encode()
    kinds = [kinds[column] for column in wanted]
    usual, plain_cells.PIECE = plain_cells.PIECE, piece
    try:
        found = plain_cells.read(
            memoryview(text), 4, wanted, kinds,
            delimiter=delimiter, returns=end == "\r\n",
        )  # fmt: skip
    finally:
        plain_cells.PIECE = usual
    said = [by_python(rows, *each) for each in zip(wanted, kinds, strict=True)]
    # Signs in front of the minus in ASCII might end a cell, whoever's it is.
    unclear = any(letter < "-" for row in rows for cell in row for letter in cell)
    assert (found is None) == (unclear or None in said)
    if found is None:
        return
    for column, numbers, kind in zip(found, said, kinds, strict=True):
        assert column.dtype == kind
        assert column.tolist() == numbers


@pytest.mark.parametrize(
    "text",
    [
        b"1,2\n3\n", b"1,2\n3,4,5\n", b"1,2\n\n", b"1,2", b"1,2\n3,4",
        b"1\n2,3,4\n", b'1,"2"\n', b"1,2\r3,4\n", b"",
    ],
)  # fmt: skip
def test_rows_of_another_length_are_left_to_the_parser(text):
    assert plain_cells.read(memoryview(text), 2, [0, 1], ["int8", "int8"]) is None


def test_the_plain_cells_of_a_year_are_read_without_the_parser():
    """Else the check above, which takes None for an answer, could see nothing."""
    text = b"2018,20181000001,-9,12\n" * 1000
    found = plain_cells.read(
        memoryview(text), 4, [0, 1, 2, 3], ["int16", "int64", "int8", "int8"]
    )
    assert [set(column.tolist()) for column in found] == [
        {2018}, {20181000001}, {-9}, {12},
    ]  # fmt: skip
    assert [len(column) for column in found] == [1000] * 4
