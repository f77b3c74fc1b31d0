"""The codebook of TEDS-D: variables, codes, labels and frequencies.

A *record* is one discharge: one stay in treatment of one person, as 76 small integer
codes.  This module knows what each code means in which year.  The facts stand in
``data/codebook``; ``tools/make_codebook.py`` wrote them from the agency's codebooks,
which are in the public domain.

Taught in ``a01_discharge_records``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Set
from numbers import Real

import pandas as pd

from sudlib.files import InputError, data_file, read_rows

MISSING = -9
"""The code that stands for missing, unknown, not collected or invalid."""


YEARS = tuple(range(2015, 2024))
"""The years of discharge whose files can be read."""


RENAMED = {"SEX": "GENDER", "CBSA": "CBSA2010", "CBSA2020": "CBSA2010"}
"""Names that some years use, and the one name used here."""


OPEN = ("CASEID", "CBSA2010")
"""Variables whose codes the codebook does not list one by one."""


WIDE_TYPES = {"DISYR": "int16", "YEAR": "int16", "CBSA2010": "int32", "CASEID": "int64"}
"""Types of the variables whose codes have more than two characters."""


# 2015 and 2016 have another order.  These ends of it are known from a printed file;
# between them stand the other columns, in an order that is not known.
_HEAD_2015 = "DISYR CASEID STFIPS AGE SERVICES SUB1 SUB2 SUB3 DETCRIM NOPRIOR".split()


_TAIL_2015 = "OTHERFLG NUMSUBS IDU DIVISION REGION ALCDRUG YEAR CBSA GENDER".split()


_VARIABLES = {
    row["variable"]: row for row in read_rows(data_file("codebook/variables.csv"))
}
_SIZES = {int(row["year"]): row for row in read_rows(data_file("codebook/years.csv"))}

COLUMNS = tuple(
    name for name, row in _VARIABLES.items() if int(row["last_year"]) == YEARS[-1]
)
"""The one schema: the 76 columns of 2017-2020, in the official order."""


FLAGS = {
    name: substance
    for substance, name in enumerate(
        (name for name in COLUMNS if name.endswith("FLG")), start=2
    )
}
"""The 18 flags, each with the substance it stands for; both run in the same order."""


@functools.cache
def _codes() -> dict[str, dict[int, dict[str, str]]]:
    """Return codes.csv as {variable: {code: row}}."""
    table: dict[str, dict[int, dict[str, str]]] = {}
    for row in read_rows(data_file("codebook/codes.csv")):
        table.setdefault(row["variable"], {})[int(row["code"])] = row
    return table


def schema_name(name: str) -> str:
    """Return the schema's name of a file's column, however it is spelt.

    Parameters
    ----------
    name : str
        A column of a file, of any year and in any case.

    Returns
    -------
    str
        In capitals; a name that is not TEDS-D's stays as it is.
    """
    return RENAMED.get(name.upper(), name.upper())


def known_name(variable: str) -> str:
    """Return a variable's name in the one schema.

    Parameters
    ----------
    variable : str
        A name of the schema, or one that some year uses (SEX, CBSA, CBSA2020).

    Returns
    -------
    str

    Raises
    ------
    InputError
        If TEDS-D has no such variable in any year.
    """
    name = RENAMED.get(variable, variable) if isinstance(variable, str) else None
    if name not in _VARIABLES:
        raise InputError(
            f"TEDS-D has no variable {variable!r}; it has {', '.join(_VARIABLES)}"
        )
    return name


def known_names(columns: Iterable[str] | str) -> list[str]:
    """Return names of columns in the one schema, in their order.

    Parameters
    ----------
    columns : list of str or str
        Names as :func:`known_name` takes them.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If one is not known or there twice, there is none, or they have no order.

    Examples
    --------
    >>> known_names(["AGE", "SEX"])
    ['AGE', 'GENDER']
    """
    given = [columns] if isinstance(columns, str) else columns
    listed = isinstance(given, Iterable) and not isinstance(given, Set | bytes)
    names = [known_name(each) for each in given] if listed else []
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"columns must list at least one column, and each once, not {columns!r}"
        )
    return names


def check_year(year: int) -> int:
    """Return the year as an int, or raise if its file is not known here.

    Parameters
    ----------
    year : int
        A year of discharge.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If it is not a whole number from 2015 to 2023.
    """
    if not isinstance(year, Real) or isinstance(year, bool) or year not in YEARS:
        raise InputError(
            f"the year must be one of {YEARS[0]} to {YEARS[-1]}, not {year!r}"
        )
    return int(year)


def variables(year: int = 2019) -> list[str]:
    """Return the columns of a year's file, by the names that year uses.

    Parameters
    ----------
    year : int
        2015 to 2023.  The order is the official one from 2017 to 2020; the middle of
        2015 and 2016, and the order of 2021 to 2023, are not known here.

    Returns
    -------
    list of str
        78 names for 2015 and 2016, else 76.

    Examples
    --------
    >>> variables(2018)[:3]
    ['DISYR', 'CASEID', 'STFIPS']
    >>> sorted(set(variables(2016)) - set(variables(2018)))
    ['CBSA', 'NUMSUBS', 'YEAR']
    """
    year = check_year(year)
    if year >= 2017:
        names = {"GENDER": "SEX", "CBSA2010": "CBSA2020"} if year == 2023 else {}
        return [names.get(name, name) for name in COLUMNS]
    ends = {RENAMED.get(name, name) for name in _HEAD_2015 + _TAIL_2015}
    middle = [name for name in COLUMNS if name not in ends]
    return [*_HEAD_2015, *middle, *_TAIL_2015]


def size(year: int) -> int:
    """Return how many rows the agency's file of a year has.

    Parameters
    ----------
    year : int
        2015 to 2023.

    Returns
    -------
    int

    Raises
    ------
    InputError
        For a year not known here, and for 2021, whose size is not known.

    Examples
    --------
    >>> size(2018)
    1666366
    """
    rows = _SIZES[check_year(year)]["rows"]
    if not rows:
        known = [str(known) for known, row in _SIZES.items() if row["rows"]]
        raise InputError(
            f"the size of the file of {year} is not known here; known are the sizes"
            f" of {', '.join(known)}"
        )
    return int(rows)


def label(variable: str) -> str:
    """Return the agency's short label of a variable.

    Parameters
    ----------
    variable : str
        A name of the schema, or one that some year uses (SEX, CBSA, CBSA2020).

    Returns
    -------
    str

    Examples
    --------
    >>> label("LOS")
    'Length of stay in treatment (days)'
    """
    return _VARIABLES[known_name(variable)]["label"]


def describe(variable: str) -> str:
    """Return in a sentence of ours what a variable holds.

    Parameters
    ----------
    variable : str
        A name of the schema, or one that some year uses (SEX, CBSA, CBSA2020).

    Returns
    -------
    str

    Examples
    --------
    >>> describe("PREG")
    'Whether a woman was pregnant at admission; missing for every man.'
    """
    return _VARIABLES[known_name(variable)]["description"]


def scale(variable: str) -> str:
    """Return "ordered", "nominal" or "identifier".

    The codes of an *ordered* variable rise with what it measures (-9 does not take
    part); those of a *nominal* one are only names; an *identifier* (CASEID, the year,
    the area) says nothing of the person.

    Parameters
    ----------
    variable : str
        A name of the schema, or one that some year uses (SEX, CBSA, CBSA2020).

    Returns
    -------
    {"ordered", "nominal", "identifier"}

    Examples
    --------
    >>> scale("AGE"), scale("RACE")
    ('ordered', 'nominal')
    """
    return _VARIABLES[known_name(variable)]["scale"]


def dtype(variable: str) -> str:
    """Return the smallest integer type that holds a variable in every year.

    Parameters
    ----------
    variable : str
        A name of the schema, or one that some year uses (SEX, CBSA, CBSA2020).

    Returns
    -------
    str
        The name of a NumPy type.

    Examples
    --------
    >>> dtype("LOS"), dtype("DISYR"), dtype("CBSA2010"), dtype("CASEID")
    ('int8', 'int16', 'int32', 'int64')
    """
    return WIDE_TYPES.get(known_name(variable), "int8")


def codes(variable: str, year: int = 2019) -> dict[int, str]:
    """Return the codes of a variable in a year's file, with their labels.

    Parameters
    ----------
    variable : str
        A name of the schema, or one that some year uses (SEX, CBSA, CBSA2020).
    year : int
        2015 to 2023.  For 2015-2019 these are the codes the year's codebook lists.
        The codebooks of 2020-2023 are not at hand: the answer is then every code
        listed from 2017 on, and every state.  The wording is that of 2019.

    Returns
    -------
    dict of int to str
        In rising order of the code.  Empty for CASEID; for CBSA2010 only the few
        areas whose names are known.

    Examples
    --------
    >>> codes("REASON")[1]
    'Treatment completed'
    >>> codes("NOPRIOR")[-9]
    'Missing/unknown/not collected/invalid'
    """
    name, year = known_name(variable), check_year(year)
    if name in ("DISYR", "YEAR"):
        return {year: str(year)}
    rows = _codes().get(name, {})
    listed = year <= 2019 and any(row[f"f{year}"] for row in rows.values())
    return {
        code: row["label"]
        for code, row in rows.items()
        if name in OPEN or (row[f"f{year}"] if listed else _lives_on(row))
    }


def _lives_on(row: dict[str, str]) -> bool:
    """Tell whether a code is listed from 2017 on (or in no codebook at all)."""
    after = any(row[f"f{year}"] for year in range(2017, 2021))
    return after or not (row["f2015"] or row["f2016"])


def wordings(variable: str) -> dict[int, list[str]]:
    """Return every known wording of a variable's codes, as {code: [labels]}.

    The first is that of 2019; the others were used in other years and are kept in
    lower case.

    Parameters
    ----------
    variable : str
        A name of the schema, or one that some year uses (SEX, CBSA, CBSA2020).

    Returns
    -------
    dict of int to list of str

    Examples
    --------
    >>> wordings("SUB1")[10]
    ['Methamphetamine/speed', 'methamphetamine']
    """
    rows = _codes().get(known_name(variable), {})
    return {
        code: [row["label"], *filter(None, row["also"].split("|"))]
        for code, row in rows.items()
    }


def frequencies(year: int) -> pd.DataFrame:
    """Return how often each code occurs in the agency's file of a year.

    Parameters
    ----------
    year : int
        2015 to 2019, from the printed codebooks; 2020 for 27 variables, worked out
        from published pools of years.

    Returns
    -------
    pandas.DataFrame
        Columns ``variable``, ``code``, ``frequency``.  The frequencies of a variable
        sum to ``size(year)``, but for CBSA2010, of which only some codes are known.
        CASEID is left out; so is SERVICES in 2015 and 2016, whose codebooks miss it.

    Examples
    --------
    >>> table = frequencies(2018)
    >>> int(table.query("variable == 'REASON'").frequency.sum()) == size(2018)
    True
    """
    year = check_year(year)
    if year > 2020:
        raise InputError(
            f"the frequencies of {year} are not known here; known are those of 2015"
            " to 2019, and of 2020 for 27 variables"
        )
    rows = [("DISYR", year, size(year))]
    for variable, table in _codes().items():
        for code, row in table.items():
            if row[f"f{year}"]:
                rows.append((variable, code, int(row[f"f{year}"])))
    return pd.DataFrame(rows, columns=["variable", "code", "frequency"])
