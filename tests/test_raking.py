"""Raking against closed forms, a general optimiser and what must hold of any answer."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from sudlib.files import InputError
from sudlib.raking import rake, rake_cells


def make_table(shape=(2, 3, 4), seed=5):
    """Return positive counts of which no two margins are alike."""
    table = np.random.default_rng(seed).integers(1, 50, shape).astype(float)
    table[0] *= 3
    return table


def margins_of(table, sets):
    away = [[a for a in range(table.ndim) if a not in axes] for axes in sets]
    return [
        (axes, table.sum(tuple(rest))) for axes, rest in zip(sets, away, strict=True)
    ]


def flat(table, margins):
    """Return margins as positions of flattened cells, counted by loops."""
    cells = list(itertools.product(*map(range, table.shape)))
    made = []
    for axes, totals in margins:
        where = [
            np.ravel_multi_index([cell[a] for a in axes], totals.shape)
            for cell in cells
        ]
        made.append((np.array(where), totals.ravel()))
    return made


def test_one_way_margins_give_the_outer_product():
    rows, columns = np.array([30.0, 60.0, 10.0]), np.array([80.0, 20.0])
    fitted = rake(np.ones((3, 2)), [((0,), rows), ((1,), columns)])
    np.testing.assert_allclose(fitted, np.outer(rows, columns) / 100)


def test_fitted_margins_equal_the_margins_and_odds_ratios_stay():
    start, wanted = make_table(seed=1), make_table(seed=2)
    fitted = rake(start, margins_of(wanted, [(0,), (1,), (2,)]))
    for away in ((1, 2), (0, 2), (0, 1)):
        np.testing.assert_allclose(fitted.sum(away), wanted.sum(away), rtol=1e-7)
    cross = (fitted / start)[:2, :2, :2]  # factors of the axes: no interaction left
    assert cross[0, 0, 0] * cross[0, 1, 1] == pytest.approx(
        cross[0, 0, 1] * cross[0, 1, 0]
    )


def test_two_way_margins_in_any_order_of_axes_leave_no_three_way_interaction():
    table = make_table()
    straight = rake(np.ones(table.shape), margins_of(table, [(0, 1), (0, 2), (1, 2)]))
    turned = rake(
        np.ones(table.shape),
        [
            (axes[::-1], totals.T)
            for axes, totals in margins_of(table, [(0, 1), (0, 2), (1, 2)])
        ],
    )
    np.testing.assert_allclose(turned, straight)
    for away in (0, 1, 2):
        np.testing.assert_allclose(straight.sum(away), table.sum(away), rtol=1e-6)
    odds = [
        straight[i, 0, 0] * straight[i, 1, 1] / straight[i, 0, 1] / straight[i, 1, 0]
        for i in (0, 1)
    ]
    assert odds[0] == pytest.approx(odds[1], rel=1e-5)


def test_the_answer_is_the_nearest_table_by_relative_entropy():
    start, wanted = make_table((2, 3), seed=3), make_table((2, 3), seed=4)
    rows, columns = wanted.sum(1), wanted.sum(0)

    def entropy(free):
        table = np.empty((2, 3))
        table[0, :2] = free
        table[0, 2] = rows[0] - free.sum()
        table[1] = columns - table[0]
        if (table <= 0).any():
            return np.inf
        return (table * np.log(table / start) - table + start).sum()

    first = np.outer(rows, columns)[0, :2] / wanted.sum()
    best = minimize(entropy, first, method="Nelder-Mead", tol=1e-10).x
    fitted = rake(start, [((0,), rows), ((1,), columns)])
    np.testing.assert_allclose(fitted[0, :2], best, rtol=1e-4)


def test_zeros_stay_and_a_margin_of_zero_empties_its_cells():
    start = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    fitted = rake(start, [((0,), [3, 7, 0]), ((1,), [1, 9])])
    np.testing.assert_allclose(fitted, [[0, 3], [1, 6], [0, 0]], atol=1e-6)
    assert rake(np.ones((2, 2)), [((0,), [0, 5])])[0].tolist() == [0, 0]


def test_it_stops_after_max_iter_and_at_its_tolerance():
    start, wanted = make_table(seed=1), make_table(seed=2)
    margins = margins_of(wanted, [(0, 1), (0, 2), (1, 2)])

    def off(**how):
        fitted = rake(start, margins, **how)
        return np.abs(fitted.sum(2) - wanted.sum(2)).max() / wanted.sum()

    assert off(max_iter=1) > off(max_iter=3) > 1e-8
    assert 1e-8 < off(tolerance=1e-2) and off(tolerance=1e-12) < 1e-9


def test_totals_of_another_shape_are_an_error():
    with pytest.raises(InputError, match=r"axes \(0,\) must have shape \(2,\), not"):
        rake(np.ones((2, 3)), [((0,), [1, 2, 3])])


def test_a_list_of_cells_gives_what_the_whole_table_gives():
    start, wanted = make_table(seed=1), make_table(seed=2)
    margins = margins_of(wanted, [(0, 1), (2,), (1, 2)])
    whole = rake(start, margins, tolerance=1e-13)
    cells, gap = rake_cells(start.ravel(), flat(start, margins), tolerance=1e-12)
    np.testing.assert_allclose(cells, whole.ravel(), rtol=1e-8)
    assert gap <= 1e-12


def test_the_gap_of_cells_is_the_largest_one_as_a_share_of_the_whole():
    start, wanted = make_table(seed=1), make_table(seed=2)
    margins = flat(start, margins_of(wanted, [(0,), (1,), (2,)]))
    cells, gap = rake_cells(start.ravel(), margins, max_iter=1)
    off = [
        np.abs(np.bincount(index, cells, len(totals)) - totals).max()
        for index, totals in margins
    ]
    assert gap == pytest.approx(max(off) / wanted.sum()) and gap > 1e-4
    loose, gap = rake_cells(start.ravel(), margins, tolerance=1e-3)
    assert 1e-9 < gap <= 1e-3
    assert rake_cells([1.0, 2.0], []) == (pytest.approx([1.0, 2.0]), 0.0)


def test_cells_of_a_margin_of_zero_are_emptied():
    margins = [(np.array([0, 0, 1]), np.array([0.0, 4.0]))]
    assert rake_cells([1.0, 2.0, 3.0], margins)[0].tolist() == [0, 0, 4]
    empty = [(np.array([0, 0, 2]), np.array([6.0, 0.0, 4.0]))]
    assert rake_cells([1.0, 2.0, 3.0], empty)[0].tolist() == [2, 4, 4]


@pytest.mark.parametrize(
    ("table", "margins", "said"),
    [
        (np.ones((2, 2)), [((0,), [30, 70]), ((1,), [40, 61])], "must have one sum"),
        (np.ones((2, 2)), [((-1,), [30, 70])], "axes of a margin must be among 0 to 1"),
        (np.ones((2, 2)), [((5,), [30, 70])], "axes of a margin must be among 0 to 1"),
        (np.ones((2, 2)), [(0, [30, 70])], "axes of a margin must be among 0 to 1"),
        (np.ones((2, 2)), [((0, 0), np.ones((2, 2)))], "each axis once"),
        (np.ones((2, 2)), [((0,), [-30, 70])], "must be at least 0"),
        (np.ones((2, 2)), [((0,), [np.nan, 70])], "must be finite"),
        ([[1, np.nan], [1, 1]], [((0,), [30, 70])], "table must be finite"),
        ([[1, -1], [1, 1]], [((0,), [30, 70])], "table must be at least 0"),
    ],
)
def test_what_no_table_can_have_is_refused(table, margins, said):
    with pytest.raises(InputError, match=said):
        rake(table, margins)
