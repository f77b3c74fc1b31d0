"""Records as pictures: three ways to draw, the same pixels, and what can go wrong."""

import copy
import csv
import dataclasses
import os
import pickle
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import draw_codes, picture
from PIL import Image

from sudlib import files, images, twin
from sudlib.files import InputError
from sudlib.images import layouts
from sudlib.teds import codebook, cohorts

ROOT = Path(__file__).resolve().parent.parent
COLUMN = {name: column for column, name in enumerate(images.VARIABLES)}


def by_pil(picture, codes):
    return np.stack([np.asarray(picture.draw_pil(row)) for row in codes])


def changed(layout, variable, **changes):
    """Return a layout in which one cell is changed."""
    cells = tuple(
        dataclasses.replace(cell, **changes) if cell.variable == variable else cell
        for cell in layout.cells
    )
    return dataclasses.replace(layout, cells=cells)


@pytest.fixture(scope="module")
def people():
    return twin.sample(2018, rows=3000, seed=5)


class TestPixels:
    @pytest.mark.parametrize("name", images.LAYOUTS)
    def test_numpy_draws_what_pillow_draws_on_a_thousand_records(self, name):
        codes = draw_codes(1000)
        np.testing.assert_array_equal(
            picture(name).draw(codes), by_pil(picture(name), codes)
        )

    @settings(max_examples=100, deadline=None)
    @given(
        st.sampled_from(images.LAYOUTS),
        st.tuples(*(st.integers(0, many - 1) for many in images.levels())),
    )
    def test_any_record_has_the_same_pixels_both_ways(self, name, row):
        drawn = picture(name).draw(np.array([row]))[0]
        np.testing.assert_array_equal(drawn, np.asarray(picture(name).draw_pil(row)))

    @pytest.mark.parametrize(
        "control",
        [
            lambda drawn: drawn.with_layout_shuffled(3),
            lambda drawn: drawn.with_font("dejavu-sans"),
            lambda drawn: drawn.blanked("words"),
            lambda drawn: drawn.resized(64),
            lambda drawn: drawn.resized(100).blanked("AGE"),
        ],
        ids=["shuffled", "font", "blanked", "resized", "resized and blanked"],
    )
    def test_controls_have_the_same_pixels_both_ways(self, control):
        made, codes = control(picture()), draw_codes(100)
        np.testing.assert_array_equal(made.draw(codes), by_pil(made, codes))

    def test_people_of_the_twin_have_the_same_pixels_both_ways(self, people):
        codes = images.encode(people.head(300))
        np.testing.assert_array_equal(
            picture("clinic").draw(codes), by_pil(picture("clinic"), codes)
        )

    def test_ink_stays_in_its_box_and_depends_on_its_variable_only(self):
        drawn, codes = picture(), draw_codes(2)
        for column, (y, x, high, wide) in enumerate(drawn.boxes):
            other = codes[:1].copy()
            other[0, column] = (other[0, column] + 1) % images.levels()[column]
            rows, columns = np.nonzero((drawn.draw(codes[:1]) != drawn.draw(other))[0])
            assert len(rows)
            assert y <= rows.min() and rows.max() < y + high
            assert x <= columns.min() and columns.max() < x + wide

    def test_every_code_of_a_variable_looks_different(self):
        for name in images.LAYOUTS:
            for patch in picture(name).patches:
                assert len({level.tobytes() for level in patch}) == len(patch)

    def test_long_words_are_cut_at_the_right_edge_as_in_the_study(self):
        row = np.zeros(28, int)
        row[COLUMN["SUB2"]] = images.LEVELS["SUB2"].index(10)
        drawn = np.asarray(picture().draw_pil(row))
        assert drawn[:, -1].any()
        # On a wider canvas the words go on, and what was seen before is the same.
        wide = dataclasses.replace(images.layout("general"), width=400)
        whole = np.asarray(images.TextImage(wide).draw_pil(row))
        np.testing.assert_array_equal(whole[:, :250], drawn)
        assert whole[:, 250:].any()


class TestCodes:
    def test_levels_hold_every_code_of_every_year(self):
        for name in images.VARIABLES:
            for year in codebook.YEARS:
                assert set(codebook.codes(name, year)) <= set(images.LEVELS[name])
            assert images.LEVELS[name][0] == codebook.MISSING
            assert list(images.LEVELS[name]) == sorted(images.LEVELS[name])

    @pytest.mark.parametrize("year", twin.YEARS)
    def test_people_of_every_year_of_the_twin_can_be_drawn(self, year):
        codes = images.encode(twin.sample(year, rows=200, seed=1))
        assert (codes < images.levels()).all()

    def test_records_and_whole_numbers_become_the_same_codes(self, people):
        codes = images.encode(people.head(50))
        for like in (people.head(50), codes.astype(int), codes.tolist()):
            made = images.as_codes(like)
            assert made.dtype == np.uint8
            np.testing.assert_array_equal(made, codes)
        assert images.as_codes(codes) is codes

    def test_codes_are_places_in_levels_whatever_the_layout(self, people):
        codes = images.encode(people)
        assert codes.dtype == np.uint8 and codes.shape == (len(people), 28)
        for column, name in enumerate(images.VARIABLES):
            back = np.array(images.LEVELS[name])[codes[:, column]]
            np.testing.assert_array_equal(back, people[name])
        np.testing.assert_array_equal(images.encode(people), codes)

    def test_flags_that_a_file_leaves_out_are_worked_out(self, people):
        bare = people.drop(columns=[name for name in people if name.endswith("FLG")])
        np.testing.assert_array_equal(images.encode(bare), images.encode(people))

    def test_order_of_columns_and_other_columns_do_not_matter(self, people):
        turned = people[people.columns[::-1]]
        np.testing.assert_array_equal(images.encode(turned), images.encode(people))

    def test_the_variables_are_those_of_the_forest(self):
        assert images.VARIABLES == cohorts.FEATURES

    @pytest.mark.parametrize("code", [0, 13, -1, 300, 2.5])
    def test_a_code_without_a_glyph_is_named(self, people, code):
        one = people.head(3).assign(AGE=[1, code, 2])
        with pytest.raises(InputError, match=f"AGE is {code} in row 2 of 3; allowed"):
            images.encode(one)

    def test_a_variable_that_is_not_there_is_named(self, people):
        with pytest.raises(InputError, match="needs the column LIVARAG"):
            images.encode(people.drop(columns="LIVARAG"))

    def test_nobody_gives_no_pictures(self, people):
        codes = images.encode(people.head(0))
        assert picture().draw(codes).shape == (0, 250, 250)
        assert list(picture().batches(codes)) == []


class TestLayouts:
    def test_the_two_layouts_differ_in_the_last_row_of_codes_only(self):
        general, clinic = images.layout("general"), images.layout("clinic")
        moved = {
            name for name in images.VARIABLES if general.cell(name) != clinic.cell(name)
        }
        assert moved == {"VET", "NOPRIOR", "ROUTE2", "HERFLG"}
        for name in moved - {"VET"}:
            assert clinic.cell(name).y == general.cell(name).y - 4
            assert clinic.cell(name).x == general.cell(name).x

    def test_the_pilot_differs_from_the_first_experiment_in_two_cells(self):
        general, pilot = images.layout("general"), images.layout("pilot")
        moved = {
            name for name in images.VARIABLES if general.cell(name) != pilot.cell(name)
        }
        assert moved == {"PREG", "SUB2"}
        substance, pregnant = pilot.cell("SUB2"), pilot.cell("PREG")
        assert (substance.x, substance.y, substance.drawn) == (132, 97, "code")
        # PREG takes the place at the top right that SUB2 has in the other layouts.
        assert (pregnant.x, pregnant.y) == (
            general.cell("SUB2").x,
            general.cell("SUB2").y,
        )
        assert pregnant.drawn == "words"

    def test_words_know_every_code_and_say_whose_they_are(self):
        drawn = {
            cell.variable
            for cell in images.layout("general").cells
            if cell.drawn == "words"
        }
        assert set(images.words()) == drawn
        for name, said in images.words().items():
            assert set(said) == set(images.LEVELS[name])
            assert len({words for words, _ in said.values()}) == len(said)
            assert {source for _, source in said.values()} <= {"study", "ours"}
            assert said[codebook.MISSING] == ("?", "study")

    def test_the_ink_covers_about_a_tenth_of_the_canvas(self):
        for name in ("general", "clinic"):
            cells = picture(name).boxes[:, 2:].prod(axis=1).sum()
            assert 0.10 < cells / 250**2 < 0.12

    def test_a_convolution_of_one_cell_reads_one_variable_of_the_grid(self):
        high, wide = images.GRID_CELL
        drawn = picture("grid")
        assert drawn.shape == (7 * high, 4 * wide)
        for place, (y, x, tall, broad) in enumerate(drawn.boxes):
            top, left = place // 4 * high, place % 4 * wide
            assert top <= y and y + tall <= top + high
            assert left <= x and x + broad <= left + wide

    def test_a_code_looks_the_same_in_every_cell_of_the_grid(self):
        cells = {}
        drawn = picture("grid")
        for column, name in enumerate(images.VARIABLES):
            for level, code in enumerate(images.LEVELS[name]):
                row = np.zeros((1, 28), int)
                row[0, column] = level
                high, wide = images.GRID_CELL
                y, x = column // 4 * high, column % 4 * wide
                cell = drawn.draw(row)[0, y : y + high, x : x + wide]
                cells.setdefault(code, set()).add(cell.tobytes())
        assert {len(looks) for looks in cells.values()} == {1}
        assert len(set.union(*cells.values())) == len(cells)

    def test_records_of_other_variables_are_drawn_with_the_same_digits(self):
        high, wide = images.GRID_CELL
        ages = np.zeros((10, 28), int)
        ages[:, 0] = range(10)  # the levels of AGE: missing, then 1 to 9
        digits = picture("grid").draw(ages)[:, :high, :wide]
        drawn = images.draw_grid([[*range(10)], [9] * 10], columns=4)
        assert drawn.shape == (2, 3 * high, 4 * wide)
        for place in range(12):
            top, left = place // 4 * high, place % 4 * wide
            cell = drawn[:, top : top + high, left : left + wide]
            expected = digits[[place, 9]] if place < 10 else np.zeros_like(cell)
            assert np.array_equal(cell, expected)

    @pytest.mark.parametrize("codes", [[[10]], [[-1]], [[0.5]], [1, 2], [[]]])
    def test_a_code_that_is_no_digit_is_refused(self, codes):
        with pytest.raises(InputError, match="codes must be"):
            images.draw_grid(codes)

    def test_equal_pictures_have_equal_keys_and_others_do_not(self):
        made = [
            *map(images.TextImage, images.LAYOUTS),
            picture().with_font("dejavu-sans"),
            picture().blanked("words"),
            picture().blanked("codes"),
            picture().resized(64),
            *(picture().with_layout_shuffled(seed) for seed in (1, 2)),
        ]
        assert len({each.key for each in made}) == len(made)
        assert images.TextImage("general").key == picture().key

    def test_a_picture_can_be_copied_kept_and_sent(self):
        for other in (
            copy.deepcopy(picture()),
            pickle.loads(pickle.dumps(picture())),
            images.TextImage.from_config(picture().resized(64).to_config()),
        ):
            codes = draw_codes(20)
            np.testing.assert_array_equal(other.draw(codes), by_pil(other, codes))

    def test_what_was_saved_needs_no_font(self, tmp_path):
        font = tmp_path / "own.ttf"
        font.write_bytes(images.font_file().read_bytes())
        made = images.TextImage("clinic", font=font)
        config = made.to_config()
        font.unlink()
        again = images.TextImage.from_config(config)
        assert again.key == made.key == picture("clinic").key
        assert (
            again.draw(draw_codes(9)) == picture("clinic").draw(draw_codes(9))
        ).all()


class TestControls:
    def test_shuffled_cells_keep_their_texts_and_change_places(self):
        made = picture().with_layout_shuffled(33)
        for mine, yours in zip(picture().patches, made.patches, strict=True):
            wide = min(mine.shape[2], yours.shape[2])  # one word cell is cut, or not
            np.testing.assert_array_equal(mine[..., :wide], yours[..., :wide])
        moved = (made.boxes[:, :2] != picture().boxes[:, :2]).any(axis=1)
        assert moved.sum() > 20
        places = {(cell.x, cell.y) for cell in picture().layout.cells}
        assert {(cell.x, cell.y) for cell in made.layout.cells} == places
        assert picture().with_layout_shuffled(33).key == made.key

    def test_another_font_keeps_the_places(self):
        made = picture().with_font("dejavu-sans")
        assert made.layout == picture().layout and made.shape == picture().shape
        assert made.key != picture().key

    def test_blanked_cells_are_empty_and_all_others_as_before(self):
        codes = draw_codes(40)
        before, after = picture().draw(codes), picture().blanked("words").draw(codes)
        for name, (y, x, high, wide) in zip(
            images.VARIABLES, picture().boxes, strict=True
        ):
            cut = slice(None), slice(y, y + high), slice(x, x + wide)
            if images.layout("general").cell(name).drawn == "words":
                assert not after[cut].any()
            else:
                np.testing.assert_array_equal(after[cut], before[cut])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nothing = picture().blanked("words").blanked("codes")
        assert not nothing.draw(codes).any()
        assert picture().blanked(["AGE", "SUB1"]).blank == ("AGE", "SUB1")

    def test_a_smaller_picture_is_the_mean_of_its_pixels(self):
        codes = draw_codes(20)
        small = picture().resized(125).draw(codes)
        blocks = picture().draw(codes).reshape(20, 125, 2, 125, 2)
        # Pillow rounds twice, along rows and along columns.
        assert np.abs(small - blocks.mean(axis=(2, 4))).max() <= 1

    def test_a_resized_picture_can_be_shuffled_and_change_its_font(self):
        made = picture().resized(64).with_font("dejavu-sans").with_layout_shuffled(1)
        assert made.shape == (64, 64)


class TestContent:
    @pytest.mark.parametrize("name", images.LAYOUTS)
    def test_ink_is_the_sum_of_the_pixels_of_a_cell(self, name):
        codes, drawn = draw_codes(50), picture(name)
        pixels, ink = drawn.draw(codes).astype(int), drawn.ink(codes)
        for column, (y, x, high, wide) in enumerate(drawn.boxes):
            cell = pixels[:, y : y + high, x : x + wide]
            np.testing.assert_array_equal(ink[:, column], cell.sum(axis=(1, 2)))
        np.testing.assert_array_equal(ink.sum(axis=1), pixels.sum(axis=(1, 2)))

    def test_texts_are_counted_wherever_they_stand(self):
        missing = np.zeros((1, 28), int)
        counts = picture().counts(missing)
        assert counts.loc[0, "?"] == 28 and counts.loc[0].sum() == 28
        codes = draw_codes(50)
        assert (picture().counts(codes).sum(axis=1) == 28).all()
        assert (picture().blanked("words").counts(codes).sum(axis=1) == 23).all()
        pregnant = missing.copy()
        pregnant[0, COLUMN["PREG"]] = images.LEVELS["PREG"].index(1)
        assert picture().counts(pregnant).loc[0, "Pregnant"] == 1


class TestMemory:
    def test_batches_share_one_buffer_and_show_every_record(self):
        codes = draw_codes(50)
        whole, start, first = picture().draw(codes), 0, None
        for batch in picture().batches(codes, 16):
            np.testing.assert_array_equal(batch, whole[start : start + 16])
            first = batch if first is None else first
            assert np.shares_memory(batch, first)
            start += len(batch)
        assert start == 50

    def test_memory_does_not_grow_with_the_number_of_records(self):
        peaks = []
        for records in (256, 4096):
            codes = draw_codes(records)
            tracemalloc.start()
            for _ in picture("general").batches(codes, 64):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 1.05 * peaks[0]

    def test_what_is_drawn_over_leaves_no_trace(self):
        codes = draw_codes(30)
        out = np.full((12, 250, 250), 7, np.uint8)
        for start in (0, 12, 24):
            part = codes[start : start + 12]
            drawn = picture().draw(part, out)
            assert np.shares_memory(drawn, out)
            np.testing.assert_array_equal(drawn, picture().draw(part))

    @pytest.mark.parametrize(
        "out, words",
        [
            (np.zeros((9, 250, 250), np.uint8), "room for 10 uint8 pictures"),
            (np.zeros((10, 250, 200), np.uint8), "250 x 250"),
            (np.zeros((10, 250, 250)), "uint8"),
        ],
    )
    def test_a_buffer_that_does_not_fit_is_refused(self, out, words):
        with pytest.raises(InputError, match=words):
            picture().draw(draw_codes(10), out)


class TestBadInput:
    @pytest.mark.parametrize(
        "codes, words",
        [
            (np.zeros((2, 27), int), "28 columns"),
            (np.zeros(28, int), "28 columns"),
            (np.zeros((2, 28)), "integers"),
            (np.full((2, 28), 12), "GENDER has a level without a glyph, 12"),
            (np.full((2, 28), -1), "AGE has a level without a glyph"),
        ],
    )
    def test_codes_that_cannot_be_drawn(self, codes, words):
        with pytest.raises(InputError, match=words):
            picture().draw(codes)

    def test_a_level_that_is_too_high_is_named_beside_allowed_ones(self):
        codes = np.zeros((2, 28), int)
        codes[1, 1] = 12
        with pytest.raises(InputError, match="GENDER has a level without a glyph, 12;"):
            images.as_codes(codes)

    @pytest.mark.parametrize("kind", ["int8", "int64"])
    def test_a_negative_level_is_named_and_never_wrapped(self, kind):
        codes = draw_codes(5).astype(kind)
        codes[3, 1] = -250 if kind == "int64" else -1
        with pytest.raises(InputError, match=f"level without a glyph, {codes[3, 1]};"):
            images.as_codes(codes)

    def test_an_unknown_layout(self):
        with pytest.raises(
            InputError, match="general, clinic, pilot, grid, not 'tiny'"
        ):
            images.TextImage("tiny")

    def test_cells_that_overlap(self):
        wrong = changed(images.layout("general"), "VET", x=80)
        with pytest.raises(InputError, match="cells of VET and NOPRIOR overlap"):
            images.TextImage(wrong)

    @pytest.mark.parametrize(
        "place", [{"x": 246}, {"y": 246}, {"x": -3}, {"y": -20}, {"x": 900}]
    )
    def test_a_cell_off_the_canvas(self, place):
        wrong = changed(images.layout("general"), "GENDER", **place)
        with pytest.raises(InputError, match="GENDER leaves the canvas"):
            images.TextImage(wrong)

    def test_a_cell_that_may_be_cut_must_still_be_seen(self):
        wrong = changed(images.layout("general"), "SUB2", x=250)
        with pytest.raises(InputError, match="SUB2 leaves the canvas"):
            images.TextImage(wrong)

    def test_a_layout_without_a_variable_or_with_one_twice(self):
        general = images.layout("general")
        for cells in (general.cells[1:], (*general.cells, general.cells[0])):
            with pytest.raises(InputError, match="28 variables once"):
                dataclasses.replace(general, cells=cells)

    def test_a_cell_drawn_as_something_else(self):
        with pytest.raises(
            InputError, match="drawn of AGE must be one of words, code, not 'runes'"
        ):
            changed(images.layout("general"), "AGE", drawn="runes")

    def test_words_for_a_variable_that_has_none(self):
        wrong = changed(images.layout("general"), "VET", drawn="words")
        with pytest.raises(InputError, match="no words for VET"):
            images.TextImage(wrong)

    def test_words_that_lack_a_code(self, monkeypatch):
        fewer = {name: dict(said) for name, said in images.words().items()}
        del fewer["AGE"][12]
        monkeypatch.setattr(layouts, "words", lambda: fewer)
        with pytest.raises(InputError, match="no words for AGE = 12"):
            images.TextImage("general")

    def test_a_font_that_is_not_there(self):
        with pytest.raises(InputError, match="no font 'arial.ttf'.*liberation-sans"):
            images.TextImage("general", font="arial.ttf")

    def test_a_file_that_is_no_font(self, tmp_path):
        path = tmp_path / "text.ttf"
        path.write_text("no font")
        with pytest.raises(InputError, match="no font that can be read"):
            images.TextImage("general", font=path)

    def test_a_bundled_font_that_was_changed(self, tmp_path, monkeypatch):
        changed_font = tmp_path / "LiberationSans-Regular.ttf"
        changed_font.write_bytes(images.font_file().read_bytes() + b"\0")
        real = layouts.data_file
        monkeypatch.setattr(
            layouts,
            "data_file",
            lambda name: changed_font if name.endswith(".ttf") else real(name),
        )
        with pytest.raises(InputError, match="has been changed: its SHA-256"):
            images.TextImage("general")

    def test_the_font_comes_with_its_licence_and_its_hash(self):
        with open(files.data_file("fonts/fonts.csv"), newline="") as stream:
            (row,) = csv.DictReader(stream)
        assert files.sha256(images.font_file()) == row["sha256"]
        licence = files.data_file("fonts/LICENSE-OFL.txt").read_text()
        assert "SIL OPEN FONT LICENSE Version 1.1" in licence
        assert "Reserved Font Name Liberation" in licence

    @pytest.mark.parametrize("side", [0, 251, 64.5, True, 28])
    def test_a_side_that_is_too_small_or_no_side(self, side):
        with pytest.raises(InputError, match="side must be a whole number|are too few"):
            picture().resized(side)

    def test_a_picture_resized_twice(self):
        with pytest.raises(InputError, match="resized already"):
            picture().resized(100).resized(50)

    @pytest.mark.parametrize("which", ["digits", ["AGE", "REASON"]])
    def test_cells_that_cannot_be_blanked(self, which):
        with pytest.raises(InputError, match='blank "words", "codes" or some of'):
            picture().blanked(which)

    def test_words_of_a_layout_without_words(self):
        with pytest.raises(InputError, match="no cell with words"):
            picture("grid").blanked("words")

    @pytest.mark.parametrize("size", [0, -1, 2.5, True])
    def test_a_batch_without_pictures(self, size):
        with pytest.raises(InputError, match="size must be a whole number from 1"):
            list(picture().batches(draw_codes(3), size))

    @pytest.mark.parametrize(
        "change, words",
        [
            ({"key": "0" * 64}, "key does not fit"),
            ({"levels": [[0, 1]] * 28}, "other codes"),
        ],
    )
    def test_a_saved_picture_that_is_damaged_or_old(self, change, words):
        with pytest.raises(InputError, match=words):
            images.TextImage.from_config(picture().to_config() | change)


def test_pillow_shrinks_a_whole_picture_as_it_shrinks_its_cells():
    codes = draw_codes(10)
    for side in (50, 64, 100):
        small = picture().resized(side)
        for row, drawn in zip(codes, small.draw(codes), strict=True):
            whole = picture().draw_pil(row).resize((side, side), Image.Resampling.BOX)
            np.testing.assert_array_equal(drawn, np.asarray(whole))


def test_every_code_in_real_rows_has_a_glyph():
    """Rows of the agency, where they are at hand; they are not in the repository."""
    shared = Path(os.environ.get("SUDLIB_SHARED", ROOT.parent / "shared"))
    path = shared / "teds" / "rows" / "tedsd_2023_sample_1000.csv"
    if not path.is_file():
        pytest.skip(f"no real rows at hand: {path} is not there (SUDLIB_SHARED)")
    people = pd.read_csv(path).rename(columns=codebook.RENAMED)
    shown = [name for name in images.VARIABLES if name in people.columns]
    assert len(shown) > 10
    for name in shown:
        assert set(people[name].dropna()) <= set(images.LEVELS[name])


def test_codes_with_gaps_and_what_is_no_layout_are_refused():
    codes = np.zeros((2, 28), np.uint8)
    drawn = images.TextImage("grid")
    for draw in (drawn.draw, drawn.ink, lambda each: next(drawn.batches(each))):
        with pytest.raises(InputError, match=r"not uint8 with gaps \(masked\)"):
            draw(np.ma.masked_equal(codes, 0))
    with pytest.raises(InputError, match="codes must have 28 columns"):
        next(drawn.batches(None))
    with pytest.raises(InputError, match="layout must be one of"):
        images.TextImage(None)


def test_codes_with_gaps_and_pictures_without_an_end_are_refused():
    codes = np.array([[3, 0, 1]])
    with pytest.raises(InputError, match="gaps"):
        images.draw_grid(np.ma.array(codes, mask=[[0, 1, 0]]))
    with pytest.raises(InputError, match="the pictures: .* GiB asked for"):
        images.draw_grid(codes, columns=10**9)


def test_a_font_at_home_is_found_by_its_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.ttf").write_bytes(images.font_file().read_bytes())
    assert images.font_file("~/own.ttf") == tmp_path / "own.ttf"
    with pytest.raises(InputError, match="a path must be text"):
        images.font_file(None)
