"""A figure as inline SVG, and the picture that is seen where SVG is taken out."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
import warnings
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from sudlib.files import data_file

#: How every figure is drawn.
LOOK = mpl.rc_params_from_file(
    data_file("style/book.mplstyle"), use_default_template=False
)
#: The colour of text, axes and rules.  In SVG it becomes the page's own text colour.
INK = LOOK["text.color"]
#: Points; as wide as one and a half panels.
WIDE = 1.5 * 72 * LOOK["figure.figsize"][0]
_TIGHT: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.05}


def to_svg(figure: Figure, alt: str) -> str:
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
    buffer, undated = io.StringIO(), {"Date": None, "Creator": None}
    with mpl.rc_context(LOOK):
        figure.savefig(buffer, format="svg", metadata=undated, **_TIGHT)
    _, tag, text = buffer.getvalue().partition("<svg")
    text = tag + text
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = text.replace(INK, "currentColor")
    own = "f" + hashlib.sha256((alt + text).encode()).hexdigest()[:8] + "-"
    text = re.sub(r'\bid="', f'id="{own}', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{own}", text)
    points = re.findall(r' width="([\d.]+)pt"', text)[0]
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    style = f"width:{float(points) * 96 / 72:.0f}px;max-width:100%;height:auto"
    # Some figures are too wide to be shrunk to a phone: the style sheet scrolls them.
    wide = ' class="wide"' if float(points) > WIDE else ""
    words = f'<svg role="img"{wide} aria-label="{html.escape(alt)}" style="{style}"'
    return text.replace(tag, words, 1).strip()


def to_png(figure: Figure, alt: str) -> str:
    """Return a figure as an image that is seen where its SVG is taken out.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str

    Returns
    -------
    str
        One ``<img>`` element, hidden by the style sheet of the page.
    """
    buffer = io.BytesIO()
    with mpl.rc_context(LOOK), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said when the SVG was made
        figure.savefig(buffer, format="png", dpi=96, facecolor="white", **_TIGHT)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<img class="untrusted" alt="{html.escape(alt)}"'
        f' src="data:image/png;base64,{data}">'
    )
