"""One look for every figure, and its alternative text.

A figure is drawn by matplotlib and put on the page as inline SVG whose ink is the
colour of the surrounding text.  So one drawing is readable in light and in dark mode,
in the built book, in Jupyter and in Colab, and its alternative text can hold computed
numbers (``mystnb.image.alt`` in a cell's metadata cannot: it is written before the
notebook runs).
"""

import hashlib
import html
import io
import itertools
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sudlib.files import InputError

#: The colour of text, axes and rules.  In SVG it becomes the page's own text colour.
INK = "#1b1b1a"


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


_MARKERS = ("o", "s", "^", "D", "v", "P")


#: One panel in inches: at 96 px an inch as wide as a column of text, and when a phone
#: shrinks it to 330 px its words are still 10 px high.
WIDTH, HEIGHT = 5.2, 3.9


_RULES = {
    "figure.figsize": (WIDTH, HEIGHT),
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "none",
    "savefig.dpi": 192,
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": matplotlib.cycler(
        color=list(PALETTE.values()), linestyle=list(_DASHES)
    ),
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
    "legend.frameon": False,
    "svg.fonttype": "path",
    # With a fixed salt the same figure is the same file on every run.
    "svg.hashsalt": "sudlib",
}


# The book's theme lays a light card under every HTML output in dark mode, which these
# figures do not need, and prints captions thin and grey.
_CARD = (
    "html[data-theme=dark] .bd-content div.cell_output"
    " .text_html.text_html:has(figure.sudlib)"
    "{background:none;color:inherit;padding:0}"
    "figure.sudlib figcaption{font-weight:400;color:inherit}"
)


def style():
    """Return nothing; give every figure drawn from here on the look of the book.

    The functions of this module use the look by themselves: call this for a figure of
    your own.  It changes matplotlib's settings, as ``matplotlib.style.use`` does.

    Examples
    --------
    >>> style()
    >>> matplotlib.rcParams["font.size"]
    12.0
    """
    matplotlib.rcParams.update(_RULES)


def canvas(rows=1, columns=1, *, width=WIDTH, height=None, **keywords):
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
    style()
    # Not one of pyplot's: a notebook shows those at the end of the cell that begins
    # them, half drawn and without words.
    figure = Figure(figsize=(width, height or HEIGHT * rows))
    return figure, figure.subplots(rows, columns, **keywords)


def to_svg(figure, alt):
    """Return a figure as inline SVG text that takes the colour of the page's text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What the figure shows, in words; becomes its accessible name.

    Returns
    -------
    str
        One ``<svg>`` element; its ids are its own, so that many fit on one page.
    """
    with matplotlib.rc_context(_RULES):
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            bbox_inches="tight",
            pad_inches=0.05,
            metadata={"Date": None, "Creator": None},
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = text.replace(INK, "currentColor")
    own = "f" + hashlib.sha256((alt + text).encode()).hexdigest()[:8] + "-"
    text = re.sub(r'\bid="', f'id="{own}', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{own}", text)
    width = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', text)[1]) * 96 / 72
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    return text.replace(
        "<svg",
        f'<svg role="img" aria-label="{html.escape(alt, quote=True)}"'
        f' style="width:{width:.0f}px;max-width:100%;height:auto"',
        1,
    ).strip()


def mark_synthetic(figure):
    """Return the figure with *synthetic data* written on it, once.

    For everything that was computed on a twin: the mark stays when a picture is copied
    without its caption.
    """
    if not any(text.get_gid() == "synthetic" for text in figure.texts):
        figure.text(
            1.0,
            1.0,
            "synthetic data",
            ha="right",
            va="bottom",
            fontsize=10,
            style="italic",
            color=INK,
            gid="synthetic",
        )
    return figure


def show(figure, alt, caption, *, synthetic=False):
    """Return nothing; put a figure on the page with its words.

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

    for name, words in (("alt", alt), ("caption", caption)):
        if not str(words).strip():
            raise InputError(
                f"a figure needs {name} text: the finding in words, got {words!r}"
            )
    if synthetic:
        mark_synthetic(figure)
        alt = f"Synthetic data. {alt}"
        caption = f"Synthetic data. {caption}"
    page = (
        f"<style>{_CARD}</style>"
        '<figure class="sudlib" style="margin:1rem 0;text-align:center">'
        f"{to_svg(figure, alt)}"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
    plt.close(figure)
    display(
        {"text/html": page, "text/plain": f"Figure. {caption} {alt}"},
        raw=True,
    )


def table(frame, caption, *, synthetic=False, index=True):
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

    Returns
    -------
    IPython.display.HTML
    """
    from IPython.display import HTML

    if not str(caption).strip():
        raise InputError(f"a table needs a caption, got {caption!r}")
    if synthetic:
        caption = f"Synthetic data. {caption}"
    frame = frame.rename_axis(index=None, columns=None)
    page = frame.to_html(index=index, border=0, na_rep="", justify="left")
    start = page.index(">") + 1
    words = (
        '<caption style="caption-side:top;text-align:left;color:inherit">'
        f"{html.escape(caption)}</caption>"
    )
    return HTML(page[:start] + words + page[start:])


def _look(index, colour=None):
    """Return colour, line style and marker of the ``index``-th series."""
    names = list(PALETTE)
    return {
        "color": PALETTE[colour] if colour else PALETTE[names[index % len(names)]],
        "linestyle": _DASHES[index % len(_DASHES)],
    }, _MARKERS[index % len(_MARKERS)]


def _legend_below(axes, **keywords):
    """Put the legend under the axes, one line an entry, where it hides nothing."""
    axes.figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower left",
        alignment="left",
        **keywords,
    )


def precision_recall(evaluations, *, share=None):
    """Return a figure of precision-recall curves, intervals and marked thresholds.

    Parameters
    ----------
    evaluations : dict of str to sudlib.scores.Evaluation
        One curve each; its area and interval stand in the legend, its 95 % band is
        shaded, and a marker shows the threshold it was scored at.
    share : float, optional
        Share of the positive class, drawn as the line a constant score reaches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = canvas(height=HEIGHT + 0.28 * (len(evaluations) + 1))
    for index, (name, evaluation) in enumerate(evaluations.items()):
        line, marker = _look(index)
        curve, band = evaluation.curve, evaluation.band
        if band is not None:
            axes.fill_between(
                band["recall"],
                band["low"],
                band["high"],
                color=line["color"],
                alpha=0.25,
                linewidth=0,
            )
        # A curve of 90,000 people has as many corners: some hundreds can be seen.
        seen = np.searchsorted(curve["recall"], np.linspace(0, 1, 600)).clip(
            max=len(curve) - 1
        )
        marked = np.flatnonzero(curve["threshold"] >= evaluation.threshold)[-1]
        curve = curve.iloc[np.unique([0, *seen, marked])]
        axes.plot(
            curve["recall"],
            curve["precision"],
            drawstyle="steps-post",
            label=f"{name}: area {evaluation.estimates['average_precision']}",
            **line,
        )
        axes.plot(
            evaluation.estimates["recall"].value,
            evaluation.estimates["precision"].value,
            marker=marker,
            markersize=10,
            color=line["color"],
            markeredgecolor=INK,
            linestyle="none",
        )
    if share is not None:
        axes.axhline(share, color=INK, linewidth=1, linestyle=(0, (2, 2)))
        axes.annotate(
            "constant score",
            (0, share),
            xytext=(4, -3),
            textcoords="offset points",
            va="top",
            fontsize=10,
        )
    axes.set(
        xlim=(0, 1.01), ylim=(0, 1.01), xlabel="recall", ylabel="precision", title=""
    )
    _legend_below(axes)
    return figure


def calibration(tables):
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
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (2, 2)))
    for index, (name, table) in enumerate(tables.items()):
        line, marker = _look(index)
        axes.errorbar(
            table["score"],
            table["observed"],
            yerr=[table["observed"] - table["low"], table["high"] - table["observed"]],
            marker=marker,
            capsize=3,
            elinewidth=1.2,
            label=name,
            **line,
        )
    axes.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="score given", ylabel="share that completed"
    )
    _legend_below(axes)
    return figure


def confusion(matrices, labels=("not completed", "completed")):
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
    figure, panels = canvas(
        len(matrices), height=2.45 * len(matrices) + 0.3, squeeze=False
    )
    for axes, (name, matrix) in zip(panels[:, 0], matrices.items(), strict=True):
        matrix = np.asarray(matrix)
        total = matrix.sum(axis=1, keepdims=True)
        share = matrix / np.where(total == 0, 1, total)
        for row, column in itertools.product(range(2), range(2)):
            axes.add_patch(
                plt.Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    facecolor=PALETTE["blue"],
                    alpha=0.08 + 0.42 * share[row, column],
                    edgecolor=INK,
                    linewidth=0.8,
                )
            )
            axes.text(
                column,
                row,
                f"{matrix[row, column]:,}\n{share[row, column]:.0%}",
                ha="center",
                va="center",
            )
        axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), title=name)
        axes.set_xticks([0, 1], labels)
        axes.set_yticks([0, 1], [label.replace(" ", "\n") for label in labels])
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.grid(False)
        axes.tick_params(length=0)
    return figure


def dots(table, *, xlabel, reference=None, limits=None):
    """Return a dot plot: one line an entry, its value, its interval, the paper's value.

    Parameters
    ----------
    table : pandas.DataFrame
        Index: what stands at the left.  Columns ``value``; optionally ``low`` and
        ``high`` (95 % interval), ``paper`` (a printed value, drawn hollow) and
        ``group`` (colour and marker).  A value that is missing is written *undefined*.
    xlabel : str
    reference : float, optional
        A vertical line.
    limits : tuple of float, optional
        Of the horizontal axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = list(dict.fromkeys(table["group"])) if "group" in table else [None]
    paper = "paper" in table and table["paper"].notna().any()
    entries = (len(groups) if groups != [None] else 0) + int(paper)
    figure, axes = canvas(height=0.9 + 0.42 * len(table) + 0.28 * entries)
    places = np.arange(len(table))
    for index, group in enumerate(groups):
        here = np.ones(len(table), bool) if group is None else table["group"] == group
        line, marker = _look(index)
        values = table["value"].to_numpy(float)
        if "low" in table:
            axes.hlines(
                places[here],
                table["low"][here].astype(float),
                table["high"][here].astype(float),
                color=line["color"],
                linewidth=2,
            )
        axes.plot(
            values[here],
            places[here],
            marker,
            color=line["color"],
            label=group,
            markersize=8,
        )
    if paper:
        axes.plot(
            table["paper"].astype(float),
            places,
            "D",
            markerfacecolor="none",
            markeredgecolor=INK,
            markersize=9,
            label="printed in the study",
        )
    if reference is not None:
        axes.axvline(reference, color=INK, linewidth=1, linestyle=(0, (2, 2)))
    if limits:
        axes.set_xlim(limits)
    for place in places[table["value"].isna()]:
        axes.text(
            0.99,
            place,
            "undefined",
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=10,
        )
    axes.set_yticks(places, [str(entry) for entry in table.index])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(xlabel)
    if entries:
        _legend_below(axes)
    return figure


def contrast(first, second):
    """Return the WCAG contrast ratio of two colours, 1 to 21."""
    lightness = []
    for colour in (first, second):
        channels = [int(to_hex(colour)[place : place + 2], 16) for place in (1, 3, 5)]
        linear = [
            value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
            for value in (channel / 255 for channel in channels)
        ]
        lightness.append(np.dot(linear, [0.2126, 0.7152, 0.0722]) + 0.05)
    return float(max(lightness) / min(lightness))


def words(table, column="value"):
    """Return the rows of a table as a phrase, for alternative texts.

    Examples
    --------
    >>> words(pd.DataFrame({"value": [0.5, 0.25]}, index=["forest", "network"]))
    'forest 0.50, network 0.25'
    """
    return ", ".join(
        f"{name} undefined" if pd.isna(value) else f"{name} {value:.2f}"
        for name, value in table[column].items()
    )
