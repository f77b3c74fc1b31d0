"""One look for every figure, and its alternative text.

A figure is drawn by matplotlib and put on the page as inline SVG whose ink is the
colour of the surrounding text.  So one drawing is readable in light and in dark mode,
in the built book, in Jupyter and in Colab, and its alternative text can hold computed
numbers (``mystnb.image.alt`` in a cell's metadata cannot: it is written before the
notebook runs).

JupyterLab takes inline SVG and style sheets out of an executed notebook that somebody
else has run, and leaves pictures: so a PNG stands behind each drawing, which only the
style sheet hides.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sudlib.book import prose
from sudlib.book.svg import INK, LOOK, to_png, to_svg
from sudlib.estimates import with_minus
from sudlib.files import InputError

if TYPE_CHECKING:
    from IPython.display import HTML

#: Colour-blind safe (Okabe and Ito 2008); orange and sky blue are darkened until each
#: has a contrast of 3:1 on white and on the book's dark page (a test measures it).
PALETTE = {
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "purple": "#c46a9c",
    "orange": "#b07a00",
    "sky": "#3a93c4",
}
# Colour is never alone: the n-th series also has its own line and its own marker.
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 3)), (0, (3, 1)))
_MARKERS = "os^DvP"
_CYCLE = plt.cycler(color=PALETTE.values(), linestyle=_DASHES)
#: One panel, in inches.
WIDTH, HEIGHT = LOOK["figure.figsize"]
_RULE = {"color": INK, "linewidth": 1, "linestyle": (0, (2, 2))}  # a line of reference

# The book's theme lays a light card under every HTML output in dark mode, which these
# figures do not need, and prints captions thin and grey.
_CARD = (
    "html[data-theme=dark] .bd-content div.cell_output"
    " .text_html.text_html:has(figure.sudlib)"
    "{background:none;color:inherit;padding:0}"
    "figure.sudlib figcaption{font-weight:400;color:inherit}"
    "figure.sudlib img.untrusted{display:none}"
)


def canvas(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = WIDTH,
    height: float | None = None,
    **keywords: Any,
) -> tuple[Figure, Any]:
    """Return a new figure and its axes in the look of the book.

    Parameters
    ----------
    rows, columns : int, default=1
        Panels.  Stack panels in rows: side by side they are small on a phone.
    width, height : float, optional
        Inches; by default 5.2 and 3.9 a row.
    **keywords
        Passed to the ``subplots`` of the figure (``sharex``, ``height_ratios`` …).

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes or numpy.ndarray of them

    Examples
    --------
    >>> figure, axes = canvas()
    >>> line, = axes.plot([1, 2], [3, 4])
    """
    mpl.rcParams.update({**LOOK, "axes.prop_cycle": _CYCLE})
    # Not one of pyplot's: a notebook shows those at the end of the cell that begins
    # them, half drawn and without words.
    figure = Figure(figsize=(width, height or HEIGHT * rows))
    return figure, figure.subplots(rows, columns, **keywords)


def _mark_synthetic(figure: Figure) -> Figure:
    """Return the figure with *synthetic data* written on it, once.

    For everything that was computed on a twin: the mark stays when a picture is copied
    without its caption.
    """
    if not any(text.get_gid() == "synthetic" for text in figure.texts):
        corner: dict[str, Any] = {"ha": "right", "va": "bottom", "gid": "synthetic"}
        figure.text(1, 1, "synthetic data", fontsize=10, style="italic", **corner)
    return figure


def show(figure: Figure, alt: str, caption: str, *, synthetic: bool = False) -> None:
    """Put a figure on the page with its words.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        One of pyplot's is closed, so that a notebook does not show it a second time.
    alt : str
        What a person who cannot see the figure needs to know: its finding, in words
        and numbers.  Not empty.
    caption : str
        The finding, in one sentence.  Plain text.
    synthetic : bool, default=False
        True if it was computed on a twin: the figure and its caption then say so.

    Raises
    ------
    InputError
        If ``alt`` or ``caption`` is empty.
    """
    from IPython.display import display

    if not str(alt).strip():
        raise InputError(f"a figure needs alt text: the finding in words, got {alt!r}")
    caption = _labelled(caption, "a figure", synthetic)
    if synthetic:
        _mark_synthetic(figure)
        alt = f"Synthetic data. {alt}"
    _keep_labels_inside(figure)
    page = (
        f"<style>{_CARD}</style>"
        '<figure class="sudlib" style="margin:1rem 0;text-align:center">'
        f"{to_svg(figure, alt)}{to_png(figure, alt)}"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
    plt.close(figure)
    display({"text/html": page, "text/plain": f"Figure. {caption} {alt}"}, raw=True)


def _keep_labels_inside(figure: Figure) -> None:
    """Let a label that is longer than its horizontal axis reach to the left.

    Centred, it would reach beyond the right edge, and the page would shrink all else.
    """
    figure.draw_without_rendering()
    for axes in figure.axes:
        label = axes.xaxis.label
        beyond = label.get_window_extent().x1 > figure.bbox.x1
        if axes.axison and label.get_text() and beyond:
            axes.set_xlabel(label.get_text(), loc="right")


def _labelled(caption: str, what: str, synthetic: bool) -> str:
    """Return a caption, which says whether the data are made up, or refuse none."""
    if not str(caption).strip():
        raise InputError(f"{what} needs caption text: the finding, got {caption!r}")
    caption = with_minus(caption)
    return f"Synthetic data. {caption}" if synthetic else caption


def table(
    frame: pd.DataFrame,
    caption: str,
    *,
    synthetic: bool = False,
    index: bool = True,
    folded: bool | str = False,
) -> HTML:
    """Return a small table with its caption, for a notebook to display.

    Parameters
    ----------
    frame : pandas.DataFrame
        Cells are shown as they are: format them before.
    caption : str
        What the table says, in one sentence.
    synthetic : bool, default=False
        True if it was computed on a twin: the caption then says so.
    index : bool, default=True
        Whether the index is a column of its own.
    folded : bool or str, default=False
        Whether the caption alone, or this text, is seen until the reader opens it: for
        tables that the argument does not need.

    Returns
    -------
    IPython.display.HTML
    """
    from IPython.display import HTML

    caption = _labelled(caption, "a table", synthetic)
    frame = frame.rename_axis(index=None, columns=None)
    page = frame.to_html(index=index, border=0, na_rep="", justify="left")
    page = re.sub(r">[^<]+", lambda cell: with_minus(cell[0]), page)
    if folded is True:
        return HTML(prose.folded(caption, page))
    style = "caption-side:top;text-align:left;color:inherit"
    words = f'<caption style="{style}">{html.escape(caption)}</caption>'
    page = page.replace(">", f">{words}", 1)
    return HTML(prose.folded(folded, page) if folded else page)


def _look(index: int) -> dict[str, Any]:
    """Return colour, line style and marker of the ``index``-th series."""
    at = index % len(_MARKERS)
    colour = list(PALETTE.values())[at]
    return {"color": colour, "linestyle": _DASHES[at], "marker": _MARKERS[at]}


def _point(index: int, size: float) -> dict[str, Any]:
    """Return the look of the ``index``-th series where it has points and no line."""
    return {**_look(index), "linestyle": "none", "markersize": size}


def _legend_below(axes: Axes) -> None:
    """Put the legend under the axes, one line an entry, where it hides nothing."""
    where: dict[str, Any] = {"loc": "outside lower left", "alignment": "left"}
    axes.figure.legend(*axes.get_legend_handles_labels(), **where)


def precision_recall(
    evaluations: Mapping[str, Any], *, share: float | None = None
) -> Figure:
    """Return a figure of precision-recall curves, intervals and marked thresholds.

    Parameters
    ----------
    evaluations : dict of str to sudlib.scores.Evaluation
        One curve each; the legend has its average precision with the interval, its
        95% band is shaded, and a marker shows the threshold it was scored at.
    share : float, optional
        Share of the positive class, drawn as the line a constant score reaches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = canvas(height=HEIGHT + 0.28 * (len(evaluations) + 1))
    for index, (name, evaluation) in enumerate(evaluations.items()):
        label = f"{name}: {evaluation.estimates['average_precision']:.2f}"
        _draw_curve(axes, index, evaluation, label)
    if share is not None:
        axes.axhline(share, **_RULE)
        below = {"xytext": (4, -3), "textcoords": "offset points", "va": "top"}
        axes.annotate("constant score", (0, share), fontsize=10, **below)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01), xlabel="recall", ylabel="precision")
    _legend_below(axes)
    return figure


def _draw_curve(axes: Axes, index: int, evaluation: Any, label: str) -> None:
    """Draw one precision-recall curve, its band and the threshold it was scored at."""
    curve, band = evaluation.curve, evaluation.band
    point, estimates = _point(index, 10), evaluation.estimates
    if band is not None:
        shade = {"color": point["color"], "alpha": 0.25, "linewidth": 0}
        axes.fill_between(band["recall"], band["low"], band["high"], **shade)
    # A curve of 90,000 people has as many corners: some hundreds can be seen.
    steps = np.searchsorted(curve["recall"], np.linspace(0, 1, 600))
    marked = np.flatnonzero(curve["threshold"] >= evaluation.threshold)[-1]
    corners = np.unique([0, marked, *steps.clip(max=len(curve) - 1)])
    axes.plot(
        *curve.iloc[corners][["recall", "precision"]].to_numpy().T,
        drawstyle="steps-post",
        label=label,
        **{**_look(index), "marker": ""},
    )
    at = estimates["recall"].value, estimates["precision"].value
    axes.plot(*at, markeredgecolor=INK, **point)


def beside_printed(
    evaluations: Mapping[str, Any], printed: Mapping[str, Mapping[str, pd.Series]]
) -> Figure:
    """Return our precision-recall curves beside printed ones, a panel a model.

    Parameters
    ----------
    evaluations : dict of str to sudlib.scores.Evaluation
        By the name of their panel; a panel may lack ours.
    printed : dict of str to dict of str to pandas.Series
        For each panel the curves that are printed, by their names: precision at some
        values of recall (the index), read off a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    height = 2.9 * len(printed) + 0.3
    figure, panels = canvas(len(printed), height=height, sharex=True, squeeze=False)
    marks = ("x", "+")
    for axes, (name, curves) in zip(panels.flat, printed.items(), strict=True):
        if name in evaluations:
            _draw_curve(axes, 0, evaluations[name], "ours")
        for mark, (source, curve) in zip(marks, curves.items(), strict=False):
            axes.plot(curve.index, curve, f"{mark}:", color=INK, label=source)
        axes.set(title=name, xlim=(0, 1.01), ylim=(0, 1.01), ylabel="precision")
        axes.legend(loc="upper right", frameon=False)
    panels.flat[-1].set_xlabel("recall")
    return figure


def calibration(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Return a reliability figure: the share observed against the score given.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        From :func:`sudlib.scores.calibration`: columns ``score``, ``observed``, ``low``
        and ``high``, one row a bin.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = canvas(height=HEIGHT + 0.28 * len(tables))
    axes.plot([0, 1], [0, 1], **_RULE)
    for index, (name, table) in enumerate(tables.items()):
        share = table["observed"]
        arms = [share - table["low"], table["high"] - share]
        bars = {"capsize": 3, "elinewidth": 1.2, "label": name, **_look(index)}
        axes.errorbar(table["score"], share, yerr=arms, **bars)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set(xlabel="score given", ylabel="share who completed")
    _legend_below(axes)
    return figure


def confusion(
    matrices: Mapping[str, ArrayLike],
    labels: tuple[str, ...] = ("not completed", "completed"),
) -> Figure:
    """Return confusion matrices: counts, and shares of each true class by shade.

    Parameters
    ----------
    matrices : dict of str to array-like of shape (2, 2)
        Rows true, columns predicted, the positive class last.
    labels : tuple of str, default=("not completed", "completed")

    Returns
    -------
    matplotlib.figure.Figure
    """
    shares, words = {}, {}
    lines = [label.replace(" ", "\n") for label in labels]
    for name, given in matrices.items():
        matrix = np.asarray(given)
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        shares[name] = pd.DataFrame(share, lines, list(labels))
        words[name] = np.vectorize("{:,}\n{:.0%}".format)(matrix, share)
    return heat(shares, words, xlabel="predicted", ylabel="true", cell=0.75)


def heat(
    tables: Mapping[str, pd.DataFrame],
    words: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str = "",
    limits: tuple[float, float] = (0, 1),
    columns: int = 1,
    cell: float = 0.4,
    fontsize: float = 11,
) -> Figure:
    """Return tables of numbers, each cell shaded by its number and with its words.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        One panel each; index and columns name its rows and columns.  A missing number
        has no shade.
    words : dict of str to array-like of str
        What stands in the cells of each table.
    xlabel, ylabel : str
        What columns and rows are.
    limits : tuple of float, default=(0, 1)
        The numbers with the lightest and the darkest shade.
    columns : int, default=1
        Panels side by side; more than one is wider than a column of text.
    cell : float, default=0.4
        Height of a row of cells, in inches.
    fontsize : float, default=11
        Of the words and of the names of rows and columns.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = list(tables)
    grid = [names[at : at + columns] for at in range(0, len(names), columns)]
    heights = [max(len(tables[name]) for name in row) * cell + 0.95 for row in grid]
    size: dict[str, Any] = {"height_ratios": heights, "height": sum(heights)}
    size |= {"width": WIDTH * (1 + columns) / 2, "squeeze": False}
    figure, panels = canvas(len(grid), columns, **size)
    shade = [to_rgba(PALETTE["blue"], alpha) for alpha in (0.08, 0.5)]
    cells: dict[str, Any] = {"cmap": LinearSegmentedColormap.from_list("shade", shade)}
    cells |= {"norm": Normalize(*limits), "linewidth": 0.8, "edgecolors": INK}
    for axes, (name, table) in zip(panels.flat, tables.items(), strict=False):
        mesh = axes.pcolormesh(np.ma.masked_invalid(table.to_numpy(float)), **cells)
        mesh.update_scalarmappable()  # now, and not when it is drawn
        for (row, column), text in np.ndenumerate(np.asarray(words[name], object)):
            middle: dict[str, Any] = {"ha": "center", "va": "center"}
            axes.text(column + 0.5, row + 0.5, text, fontsize=fontsize, **middle)
        axes.set_xticks(np.arange(table.shape[1]) + 0.5, table.columns)
        axes.set_yticks(np.arange(table.shape[0]) + 0.5, table.index)
        axes.set(title=name, xlabel=xlabel, ylabel=ylabel)
        axes.invert_yaxis()
        axes.grid(False)
        axes.tick_params(length=0, labelrotation=0, labelsize=fontsize)
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    return figure


def dots(
    table: pd.DataFrame,
    *,
    xlabel: str,
    reference: float | None = None,
    limits: tuple[float | None, float | None] | None = None,
) -> Figure:
    """Return a dot plot: one line an entry, its value, its interval, the paper's value.

    Parameters
    ----------
    table : pandas.DataFrame
        Index: what stands at the left.  Columns ``value``; optionally ``low`` and
        ``high`` (95% interval), ``paper`` (a printed value, drawn hollow) and
        ``group`` (colour and marker).  A value that is missing is written *undefined*.
    xlabel : str
        What the horizontal axis shows, with its unit.
    reference : float, optional
        A vertical line.
    limits : tuple of float, optional
        Of the horizontal axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    group = table["group"] if "group" in table else pd.Series("", table.index)
    numbers = table.drop(columns="group", errors="ignore").astype(float)
    numbers["place"] = np.arange(len(table))
    printed = "paper" in table and table["paper"].notna().any()
    entries = ("group" in table) * group.nunique() + printed
    figure, axes = canvas(height=0.9 + 0.42 * len(table) + 0.28 * entries)
    for index, name in enumerate(dict.fromkeys(group)):
        rows = numbers[group == name]
        look = _point(index, 8)
        if "low" in rows:
            axes.hlines(rows["place"], rows["low"], rows["high"], look["color"])
        axes.plot(rows["value"], rows["place"], label=name or None, **look)
    if printed:
        hollow = {"markerfacecolor": "none", "markeredgecolor": INK, "markersize": 9}
        label = "printed in the study"
        axes.plot(numbers["paper"], numbers["place"], "D", label=label, **hollow)
    if reference is not None:
        axes.axvline(reference, **_RULE)
    if limits:
        axes.set_xlim(limits)
    right = {"ha": "right", "va": "center", "fontsize": 10}
    for place in numbers.loc[numbers["value"].isna(), "place"]:
        where = axes.get_yaxis_transform()
        axes.text(0.99, place, "undefined", transform=where, **right)
    axes.set_yticks(numbers["place"], [str(entry) for entry in table.index])
    axes.set(xlabel=xlabel, ylim=(len(table) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    if entries:
        _legend_below(axes)
    return figure


def words(table: pd.DataFrame, column: str = "value") -> str:
    """Return the rows of a table as a phrase, for alternative texts.

    Parameters
    ----------
    table : pandas.DataFrame
    column : str, default="value"
        The column that holds the numbers.

    Returns
    -------
    str

    Examples
    --------
    >>> words(pd.DataFrame({"value": [0.5, 0.25]}, index=["forest", "network"]))
    'forest 0.50, network 0.25'
    """
    return ", ".join(
        f"{name} undefined" if pd.isna(value) else f"{name} {value:.2f}"
        for name, value in table[column].items()
    )
