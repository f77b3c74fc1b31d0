import base64
import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from sudlib import scores
from sudlib.book import figures
from sudlib.estimates import Estimate
from sudlib.files import InputError

LIGHT, DARK = "#ffffff", "#121212"  # pages of the book's theme


def an_evaluation(seed=1, threshold=0.5):
    random = np.random.default_rng(seed)
    completed = random.random(500) < 0.4
    score = np.clip(random.normal(0.35 + 0.2 * completed, 0.2), 0, 1)
    return scores.evaluate(completed, score, threshold=threshold, n_resamples=50), (
        completed,
        score,
    )


def every_figure():
    first, (completed, score) = an_evaluation()
    second, _ = an_evaluation(2)
    table = pd.DataFrame(
        {
            "value": [0.67, 0.7, np.nan],
            "low": [0.66, 0.69, np.nan],
            "high": [0.68, 0.71, np.nan],
            "paper": [0.67, np.nan, np.nan],
            "group": ["published", "repaired", "repaired"],
        },
        index=["forest", "boosting", "network"],
    )
    return {
        "precision_recall": figures.precision_recall(
            {"forest": first, "boosting": second}, share=0.4
        ),
        "calibration": figures.calibration(
            {"forest": scores.calibration(completed, score)}
        ),
        "confusion": figures.confusion({"forest": first.matrix, "all": second.matrix}),
        "heat": figures.heat(
            {"accuracy": pd.DataFrame([[0.2, 0.8]], ["rbf"], ["C = 1", "C = 10"])},
            {"accuracy": [["20%", "80%"]]},
            xlabel="C",
        ),
        "dots": figures.dots(table, xlabel="F0.5", reference=0.5),
    }


@pytest.fixture(scope="module")
def drawn():
    found = every_figure()
    return found


def shown(figure, **words):
    """Return what a notebook would receive from show()."""
    from unittest.mock import patch

    with patch("IPython.display.display") as display:
        figures.show(figure, **{"alt": "An <alt> text", "caption": "A & B", **words})
    return display.call_args.args[0]


def contrast(first, second):
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    lightness = []
    for colour in (first, second):
        value = np.array(to_rgb(colour))
        low = value <= 0.04045
        linear = np.where(low, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
        lightness.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return max(lightness) / min(lightness)


def test_every_colour_can_be_seen_on_light_and_on_dark_pages():
    for name, colour in figures.PALETTE.items():
        assert contrast(colour, LIGHT) >= 3, name
        assert contrast(colour, DARK) >= 3, name
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def seen_by(colour, matrix):
    """A colour as a person sees it (Machado, Oliveira and Fernandes 2009)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return np.clip(np.dot(matrix, channels), 0, 1)


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3),
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ],
    ],
    ids=["normal", "protanopia", "deuteranopia"],
)
def test_the_first_four_colours_differ_for_everybody(matrix):
    seen = [seen_by(colour, matrix) for colour in list(figures.PALETTE.values())[:4]]
    for place, one in enumerate(seen):
        for other in seen[place + 1 :]:
            assert np.linalg.norm(one - other) > 0.12


def test_colour_is_never_alone():
    looks = [figures._look(place) for place in range(len(figures.PALETTE))]
    for name in ("color", "linestyle", "marker"):
        assert len({str(look[name]) for look in looks}) == len(looks), name


def test_all_words_in_figures_are_at_least_ten_points(drawn):
    for name, figure in drawn.items():
        figures._mark_synthetic(figure)
        for text in figure.findobj(Text):
            if text.get_text().strip():
                assert text.get_fontsize() >= 10, (name, text.get_text())


def test_figures_are_one_column_wide(drawn):
    for figure in drawn.values():
        assert figure.get_figwidth() == figures.WIDTH


def test_a_label_longer_than_its_axis_makes_the_figure_no_wider():
    rows = pd.DataFrame({"value": [0.2]}, index=["a name that takes half of the width"])
    long = "a label that is much longer than what is left of it"
    widths = []
    for label in ("short", long):
        page = shown(figures.dots(rows, xlabel=label))["text/html"]
        widths.append(int(re.search(r"width:(\d+)px", page)[1]))
    assert widths[0] == pytest.approx(widths[1], abs=6)


def test_a_figure_too_wide_for_a_phone_says_so():
    column, wide = (shown(figures.canvas(width=w)[0])["text/html"] for w in (5.2, 9))
    assert 'class="wide"' in wide and 'class="wide"' not in column


def test_ink_is_the_colour_of_the_page(drawn):
    for figure in drawn.values():
        svg = figures.to_svg(figure, "words")
        ET.fromstring(svg)  # well-formed
        assert "currentColor" in svg
        assert figures.INK not in svg
        for colour in re.findall(r"(?:fill|stroke): ?(#[0-9a-fA-F]{6})", svg):
            assert colour in figures.PALETTE.values(), colour


def test_many_figures_fit_on_one_page(drawn):
    pages = "".join(figures.to_svg(each, name) for name, each in drawn.items())
    found = re.findall(r'\bid="([^"]+)"', pages)
    assert len(found) == len(set(found)) > 50
    asked = re.findall(r'(?:href="#|url\(#)([^")]+)', pages)
    assert set(asked) <= set(found)


def test_the_same_figure_is_the_same_text():
    first, second = (
        [figures.to_svg(figures._mark_synthetic(each), "words") for each in found]
        for found in (every_figure().values(), every_figure().values())
    )
    assert first == second


def test_figures_shrink_on_a_phone_and_name_no_other_page(drawn):
    svg = figures.to_svg(drawn["dots"], "words")
    assert "max-width:100%" in svg and "height:auto" in svg
    assert not re.search(r'(?:href|src)="https?:', svg)
    assert not re.search(r'<svg[^>]* (?:width|height)="', svg)


def test_show_gives_computed_alternative_text_and_a_caption():
    figure, axes = figures.canvas()
    axes.plot([1, 2], [1, 2])
    sent = shown(figure, alt=f"The area is {0.5:.2f} < 1")
    assert 'role="img" aria-label="The area is 0.50 &lt; 1"' in sent["text/html"]
    assert "<figcaption>A &amp; B</figcaption>" in sent["text/html"]
    assert "The area is 0.50" in sent["text/plain"]


def test_a_picture_stands_behind_each_drawing_for_notebooks_that_are_not_trusted():
    figure, axes = figures.canvas()
    axes.plot([1, 2], [1, 2])
    page = shown(figure, alt="A < B")["text/html"]
    [data] = re.findall(
        r'</svg><img class="untrusted" alt="A &lt; B"'
        r' src="data:image/png;base64,([^"]+)">',
        page,
    )
    assert base64.b64decode(data).startswith(b"\x89PNG")
    [style] = re.findall(r"<style>(.*?)</style>", page)
    assert "figure.sudlib img.untrusted{display:none}" in style


def test_no_figure_is_left_for_a_notebook_to_show_without_words():
    """Pyplot's figures are shown at the end of the cell that begins them."""
    figures.canvas(2)
    assert not plt.get_fignums()
    by_pyplot, _ = plt.subplots()
    shown(by_pyplot)
    assert not plt.get_fignums()


@pytest.mark.parametrize("lacking", ["alt", "caption"])
def test_a_figure_without_words_is_refused(lacking):
    figure, _ = figures.canvas()
    with pytest.raises(InputError, match=f"needs {lacking} text"):
        shown(figure, **{lacking: " "})


def test_synthetic_stands_on_the_figure_in_its_caption_and_its_words():
    figure, _ = figures.canvas()
    sent = shown(figure, synthetic=True)
    # Of the drawing, of the picture behind it, and in the caption.
    assert sent["text/html"].count("Synthetic data.") == 3
    assert len([t for t in figure.texts if t.get_text() == "synthetic data"]) == 1
    figures._mark_synthetic(figure)
    assert len([t for t in figure.texts if t.get_text() == "synthetic data"]) == 1
    other, _ = figures.canvas()
    assert "ynthetic" not in shown(other)["text/html"]


def test_the_marked_point_lies_on_the_curve(drawn):
    axes = drawn["precision_recall"].axes[0]
    curve, point = axes.lines[0], axes.lines[1]
    recall, precision = point.get_xdata()[0], point.get_ydata()[0]
    at = np.flatnonzero(np.isclose(curve.get_xdata(), recall))
    assert np.isclose(curve.get_ydata()[at], precision).any()


def test_what_is_undefined_is_written_not_drawn_at_zero(drawn):
    words = [text.get_text() for text in drawn["dots"].axes[0].texts]
    assert words == ["undefined"]
    for line in drawn["dots"].axes[0].lines[:2]:
        assert 0 not in np.asarray(line.get_xdata(), float)


def test_an_undefined_precision_draws_no_marker():
    evaluation, _ = an_evaluation(threshold=2.0)
    assert np.isnan(evaluation.estimates["precision"].value)
    figure = figures.precision_recall({"forest": evaluation})
    assert "currentColor" in figures.to_svg(figure, "words")


def test_tables_carry_a_caption_and_say_synthetic():
    frame = pd.DataFrame({"a < b": ["1 & 2"]}, index=["row"])
    page = figures.table(frame, "What it says", synthetic=True).data
    assert "Synthetic data. What it says</caption>" in page
    assert 'class="dataframe"' in page and "1 &amp; 2" in page
    ET.fromstring(page)
    with pytest.raises(InputError, match="a table needs caption text"):
        figures.table(frame, "")


def test_negative_numbers_have_a_minus_sign_in_captions_and_tables():
    caption = f"Lower by {Estimate(-0.2, -0.3, 0.1):.1f}, on 2026-12-01"
    frame = pd.DataFrame({"gap": ["-.5 (-1 to 2)", "b-1"]}, index=["-9", "r"])
    page = figures.table(frame, caption).data
    assert "Lower by −0.2 (−0.3 to 0.1), on 2026-12-01</caption>" in page
    assert "<td>−.5 (−1 to 2)</td>" in page and "<td>b-1</td>" in page
    assert "<th>−9</th>" in page
    assert (
        "<figcaption>A gap of −1</figcaption>"
        in shown(figures.canvas()[0], caption="A gap of -1")["text/html"]
    )


def test_a_folded_table_shows_its_caption_and_opens_by_a_click():
    frame = pd.DataFrame({"column": [12]}, index=["row"])
    page = figures.table(frame, "All < of it", synthetic=True, folded=True).data
    root = ET.fromstring(page)
    assert root.tag == "details" and "open" not in root.attrib
    assert [each.tag for each in root] == ["summary", "table"]
    assert root[0].text == "Synthetic data. All < of it"
    page = figures.table(frame, "What it says", folded="All & more").data
    root = ET.fromstring(page)
    assert root[0].text == "All & more" and root[1][0].tag == "caption"
    assert root[1][0].text == "What it says"


def test_a_confusion_matrix_has_true_classes_in_rows_and_shades_their_shares():
    """Unbalanced, so that shares of columns or of all people would be others."""
    figure = figures.confusion({"forest": [[600, 200], [50, 150]]}, ("no", "yes all"))
    (axes,) = figure.axes
    cells = [text.get_text() for text in axes.texts]
    assert cells == ["600\n75%", "200\n25%", "50\n25%", "150\n75%"]
    axes.figure.canvas.draw()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["no", "yes\nall"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert [text.get_position()[1] for text in axes.texts] == [0.5, 0.5, 1.5, 1.5]
    assert axes.yaxis.get_inverted(), "the first true class stands above"
    shades = axes.collections[0].get_facecolors()[:, 3]
    assert shades == pytest.approx([0.395, 0.185, 0.185, 0.395], abs=0.01)
    empty = figures.confusion({"none": [[0, 0], [1, 3]]})
    assert [text.get_text()[-2:] for text in empty.axes[0].texts[:2]] == ["0%", "0%"]


def test_heat_shades_by_number_within_the_limits_and_leaves_a_gap_blank():
    table = pd.DataFrame([[10.0, 20.0], [np.nan, 5.0]], ["poly", "rbf"], ["0.1", "100"])
    figure = figures.heat(
        {name: table for name in ("first", "second", "third")},
        {name: [["a", "b"], ["", "c"]] for name in ("first", "second", "third")},
        xlabel="C",
        limits=(10, 20),
        columns=2,
    )
    first, *_, unused = figure.axes
    assert [text.get_text() for text in first.texts] == ["a", "b", "", "c"]
    shades = first.collections[0].get_facecolors()[:, 3]
    assert shades == pytest.approx([0.08, 0.5, 0, 0.08], abs=0.01)
    assert [text.get_text() for text in first.get_xticklabels()] == ["0.1", "100"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["poly", "rbf"]
    assert len(figure.axes) == 4 and not unused.axison


def test_dots_stand_in_the_order_of_the_table_with_their_intervals(drawn):
    axes = drawn["dots"].axes[0]
    first, second, printed, reference = axes.lines
    assert first.get_xydata().tolist() == [[0.67, 0]]
    assert second.get_xydata()[0].tolist() == [0.7, 1]
    assert printed.get_xydata()[0].tolist() == [0.67, 0]
    assert printed.get_label() == "printed in the study"
    assert reference.get_xdata() == [0.5, 0.5]
    ends = axes.collections[0].get_segments()[0]
    assert ends.tolist() == [[0.66, 0], [0.68, 0]]
    assert axes.get_ylim() == (2.5, -0.5)
    names = [text.get_text() for text in drawn["dots"].legends[0].get_texts()]
    assert names == ["published", "repaired", "printed in the study"]
    plain = figures.dots(pd.DataFrame({"value": [1, 2]}), xlabel="x", limits=(0, 3))
    assert not plain.legends and plain.axes[0].get_xlim() == (0, 3)
    assert plain.axes[0].lines[0].get_xydata().tolist() == [[1, 0], [2, 1]]


def test_the_reliability_figure_has_score_across_and_share_up():
    table = pd.DataFrame(
        {"score": [0.2, 0.8], "observed": [0.3, 0.6], "low": [0.2, 0.5]}
    ).assign(high=[0.5, 0.65])
    axes = figures.calibration({"forest": table}).axes[0]
    points = axes.containers[0]
    assert points[0].get_xydata().tolist() == [[0.2, 0.3], [0.8, 0.6]]
    ends = np.array(points[2][0].get_segments())[:, :, 1]
    assert ends == pytest.approx(np.array([[0.2, 0.5], [0.5, 0.65]]))


def test_a_curve_of_many_people_is_drawn_with_few_points():
    random = np.random.default_rng(3)
    completed = random.random(50_000) < 0.4
    score = random.normal(0.3 + 0.2 * completed, 0.2)
    evaluation = scores.evaluate(completed, score, n_resamples=10)
    figure = figures.precision_recall({"forest": evaluation})
    line = figure.axes[0].lines[0]
    assert len(line.get_xdata()) < 700 < len(evaluation.curve)
    whole = np.interp(
        line.get_xdata(), *evaluation.curve[["recall", "precision"]].T.to_numpy()
    )
    assert np.abs(whole - line.get_ydata())[5:].max() < 0.02
    assert len(figures.to_svg(figure, "words")) < 60_000
