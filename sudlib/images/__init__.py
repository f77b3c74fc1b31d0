"""Records drawn as pictures of text, as study A draws them."""

from sudlib.images.codes import LEVELS, VARIABLES, as_codes, encode, levels
from sudlib.images.layouts import GRID_CELL, LAYOUTS, font_file, layout, words
from sudlib.images.rendering import draw_grid
from sudlib.images.text_image import TextImage

__all__ = [
    "GRID_CELL",
    "LAYOUTS",
    "LEVELS",
    "TextImage",
    "VARIABLES",
    "as_codes",
    "draw_grid",
    "encode",
    "font_file",
    "layout",
    "levels",
    "words",
]
