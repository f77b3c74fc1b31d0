"""What study B says that a column means, beside the agency's codebook."""

import difflib
import re

from sudlib.files import InputError
from sudlib.teds import codebook

STUDY_YEAR = 2019
"""The year of discharge of the study's records."""


# Words that carry no meaning of their own when two labels are compared.
_SMALL_WORDS = frozenset("a an and at for in of on or reported the use".split())


def meaning(column):
    """Return what an encoded column stands for, in the words of the codebook of 2019.

    Parameters
    ----------
    column : str
        VARIABLE_code, as :func:`one_hot` names it.

    Returns
    -------
    str
        Label of the variable and of the code.

    Raises
    ------
    InputError
        If the codebook has no such variable or code.

    Examples
    --------
    >>> meaning("SUB1_5")
    'Substance use at admission (primary): Heroin'
    """
    name, _, code = column.rpartition("_")
    if name not in codebook.variables(STUDY_YEAR):
        raise InputError(f"the codebook of {STUDY_YEAR} has no variable {name!r}")
    codes = codebook.codes(name, STUDY_YEAR)
    if not code.isdigit() or int(code) not in codes:
        raise InputError(
            f"{name} has the codes {', '.join(map(str, codes))}, not {code!r}"
        )
    return f"{codebook.label(name)}: {codes[int(code)]}"


def unlike_words(printed, official):
    """Return the words of a printed meaning that the official words do not have.

    Spelling may differ a little after the first letter (*dependency*, *dependence*);
    case, hyphens and small words do not count.

    Parameters
    ----------
    printed, official : str

    Returns
    -------
    list of str
        Empty where the two say the same.

    Examples
    --------
    >>> unlike_words("cocaine dependency", "Diagnosis: Cocaine dependence")
    []
    >>> unlike_words("one prior treatment", "Prior treatment: none")
    ['one']
    """
    known = _content_words(official)
    return [
        word
        for word in _content_words(printed)
        if not difflib.get_close_matches(
            word, [other for other in known if other[0] == word[0]], n=1, cutoff=0.75
        )
    ]


def _content_words(text):
    joined = text.casefold().replace("-", "").replace("non ", "non")
    words = re.findall(r"[a-z0-9]+", joined)
    return [word for word in words if word not in _SMALL_WORDS]
