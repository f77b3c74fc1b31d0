"""Sentences with numbers in them."""

from __future__ import annotations

import html
import inspect
import math
import re
import string
from numbers import Real
from typing import Any

from sudlib.estimates import formatted
from sudlib.files import InputError


def direction(
    difference: Any,
    up: str = "higher",
    down: str = "lower",
    same: str = "not measurably different",
) -> str:
    """Return the word for a difference, by whether its interval excludes zero.

    Parameters
    ----------
    difference : object
        With ``low`` and ``high``, the ends of its 95% interval, such as
        :class:`sudlib.estimates.Estimate`; or the two ends as a tuple.
    up, down, same : str
        What to say if the interval lies above zero, below it, or contains it (or is
        undefined).

    Returns
    -------
    str

    Examples
    --------
    >>> direction((0.01, 0.03)), direction((-0.03, -0.01), "rises", "falls")
    ('higher', 'falls')
    >>> direction((-0.01, 0.03), same="does not change")
    'does not change'
    """
    ends = getattr(difference, "low", None), getattr(difference, "high", None)
    low, high = difference if isinstance(difference, tuple) else ends
    return up if low > 0 else down if high < 0 else same


# What only one of the site, JupyterLab and Colab would show as it is meant.
_RAW = {
    r"\{[A-Za-z][\w:.+-]*\}`": "a role",
    r"(?m)^\s*(`{3,}|:{3,}|~{3,})\s*\{": "a directive",
    r"(?m)^#{1,6}\s": "a heading",
}


def folded(summary: str, content: str) -> str:
    """Return content of which a page shows the summary alone until it is opened.

    Parameters
    ----------
    summary : str
        Plain text.
    content : str
        HTML; or Markdown, between empty lines.

    Returns
    -------
    str

    Examples
    --------
    >>> folded("A proof", "<p>Trivial.</p>")
    '<details><summary>A proof</summary><p>Trivial.</p></details>'
    """
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"


def fill(template: str, numbers: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return a template of sentences with its numbers, and each number's text.

    Parameters
    ----------
    template : str
        See :meth:`sudlib.book.Run.say`.
    numbers : dict
        A value for each field.

    Returns
    -------
    text : str
    texts : dict of str to str
        By the field's name, in which ``.`` and ``[`` become ``_``.
    """
    template = inspect.cleandoc(template)
    odd = sorted({repr(letter) for letter in template if letter < " "} - {"'\\n'"})
    if odd:
        raise InputError(
            f"say() got the control character {', '.join(odd)}: a backslash was read"
            ' as Python reads it; write say(r"""...""")'
        )
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InputError(
            f"say() cannot read its template ({error}): braces of a formula are written"
            " twice, {{ and }}"
        ) from None
    pieces, seen = [], set()
    texts: dict[str, str] = {}
    for literal, name, form, conversion in parsed:
        pieces.append(literal)
        if name is None:
            continue
        first, text = _field(name, form or "", conversion, numbers)
        seen.add(first)
        key = re.sub(r"[.\[]", "_", name).replace("]", "")
        if texts.setdefault(key, text) != text:
            raise InputError(
                f"say() prints {key!r} in two ways, {texts[key]!r} and {text!r}: other"
                " pages could not ask for it; give the second another name"
            )
        pieces.append(text)
    unused = sorted(set(numbers) - seen)
    if unused:
        raise InputError(
            f"say() was given {', '.join(unused)} but its template has no such field;"
            f" it has {', '.join(sorted(seen)) or 'none'}"
        )
    text = "".join(pieces)
    for pattern, words in _RAW.items():
        raw = re.search(pattern, text)
        if raw:
            raise InputError(
                f"say() got {words}, {raw[0].strip()!r}: that belongs in a Markdown"
                " cell; allowed are paragraphs, lists, tables, formulas and links"
            )
    return text, texts


def _field(
    name: str, form: str, conversion: str | None, numbers: dict[str, Any]
) -> tuple[str, str]:
    """Return the first name of a field, and its text."""
    ending = (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
    whole = f"{{{name}{ending}}}"
    first = re.split(r"\W", name)[0]
    if not first.isidentifier() or not re.fullmatch(r"\w+(\.\w+|\[\w+\])*", name):
        raise InputError(
            f"say() takes named fields, such as {{gain:+.2f}} or {{gain.low:.2f}}, not"
            f" {whole}"
        )
    if first not in numbers:
        raise InputError(
            f"say() has no value for the field {whole}; it was given"
            f" {', '.join(numbers) or 'none'}. (Braces of a formula are written twice;"
            " roles such as {cite}`...` belong in a Markdown cell)"
        )
    if "{" in form:
        raise InputError(f"say() takes no field inside a format: {whole}")
    try:
        value, _ = string.Formatter().get_field(name, (), numbers)
        value = string.Formatter().convert_field(value, conversion)
        if isinstance(value, Real) and math.isnan(value):
            return first, "undefined"
        return first, formatted(value, form)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"say() cannot print {whole} of {numbers[first]!r}"
            f" ({type(numbers[first]).__name__}): {error}"
        ) from None
