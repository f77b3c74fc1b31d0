"""The codebook of TEDS-D: variables, codes, labels and frequencies.

A *record* is one discharge: one stay in treatment of one person, as 76 small integer
codes.  This module knows what each code means in which year, and reads a record aloud
in words.  The facts stand in ``data/codebook``; ``tools/make_codebook.py`` wrote them
from the agency's codebooks, which are in the public domain.

Taught in ``a01_discharge_records``.
"""

import csv
import functools

import pandas as pd

from sudlib.files import InputError, data_file

MISSING = -9
"""The code that stands for missing, unknown, not collected or invalid."""


YEARS = tuple(range(2015, 2024))
"""The years of discharge whose files can be read."""


RENAMED = {"SEX": "GENDER", "CBSA": "CBSA2010", "CBSA2020": "CBSA2010"}
"""Names that some years use, and the one name used here."""


OPEN = ("CASEID", "CBSA2010")
"""Variables whose codes the codebook does not list one by one."""


SYNTHETIC_CASES = 8_000_000
"""Made-up cases are numbered from here within their year; the agency's stay below.

A CASEID is the year and seven digits.  Every real one seen begins with a 1 after the
year, so a file of made-up records can be told from a real one, whoever renames it.
"""


# 2015 and 2016 have another order.  These ends of it are known from a printed file;
# between them stand the other columns, in an order that is not known.
_HEAD_2015 = "DISYR CASEID STFIPS AGE SERVICES SUB1 SUB2 SUB3 DETCRIM NOPRIOR".split()


_TAIL_2015 = "OTHERFLG NUMSUBS IDU DIVISION REGION ALCDRUG YEAR CBSA GENDER".split()


def _rows(path):
    """Return a small CSV table as a list of dictionaries."""
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


_VARIABLES = {
    row["variable"]: row for row in _rows(data_file("codebook/variables.csv"))
}


_SIZES = {int(row["year"]): row for row in _rows(data_file("codebook/years.csv"))}


COLUMNS = tuple(
    name for name, row in _VARIABLES.items() if int(row["last_year"]) == YEARS[-1]
)
"""The one schema: the 76 columns of 2017-2020, in the official order."""


ORDERED = tuple(
    name for name in COLUMNS if _VARIABLES[name]["scale"] == "ordered"
)  # -9 is missing, not the lowest
"""Variables whose codes, but for -9, rise with what they measure."""


NOMINAL = tuple(name for name in COLUMNS if _VARIABLES[name]["scale"] == "nominal")
"""Variables whose codes are only names."""


@functools.cache
def _codes():
    """Return codes.csv as {variable: {code: row}}."""
    table = {}
    for row in _rows(data_file("codebook/codes.csv")):
        table.setdefault(row["variable"], {})[int(row["code"])] = row
    return table


def _known(variable):
    """Return a variable's name in the one schema, or raise."""
    name = RENAMED.get(variable, variable)
    if name not in _VARIABLES:
        raise InputError(
            f"TEDS-D has no variable {variable!r}; it has {', '.join(_VARIABLES)}"
        )
    return name


def check_year(year):
    """Return the year as an int, or raise if its file is not known here."""
    if isinstance(year, bool) or year not in YEARS:
        raise InputError(
            f"the year must be one of {YEARS[0]} to {YEARS[-1]}, not {year!r}"
        )
    return int(year)


def variables(year=2019):
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


def size(year):
    """Return how many rows the agency's file of a year has.

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


def label(variable):
    """Return the agency's short label of a variable.

    Examples
    --------
    >>> label("LOS")
    'Length of stay in treatment (days)'
    """
    return _VARIABLES[_known(variable)]["label"]


def describe(variable):
    """Return in a sentence of ours what a variable holds.

    Examples
    --------
    >>> describe("PREG")
    'Whether a woman was pregnant at admission; missing for every man.'
    """
    return _VARIABLES[_known(variable)]["description"]


def scale(variable):
    """Return "ordered", "nominal" or "identifier".

    The codes of an *ordered* variable rise with what it measures (-9 does not take
    part); those of a *nominal* one are only names; an *identifier* (CASEID, the year,
    the area) says nothing of the person.

    Examples
    --------
    >>> scale("AGE"), scale("RACE")
    ('ordered', 'nominal')
    """
    return _VARIABLES[_known(variable)]["scale"]


def dtype(variable):
    """Return the smallest integer type that holds a variable in every year.

    Examples
    --------
    >>> dtype("LOS"), dtype("DISYR"), dtype("CBSA2010"), dtype("CASEID")
    ('int8', 'int16', 'int32', 'int64')
    """
    wide = {"DISYR": "int16", "YEAR": "int16", "CBSA2010": "int32", "CASEID": "int64"}
    return wide.get(_known(variable), "int8")


def codes(variable, year=2019):
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
    name, year = _known(variable), check_year(year)
    if name in ("DISYR", "YEAR"):
        return {year: str(year)}
    rows = _codes().get(name, {})
    if name not in OPEN:
        if year <= 2019 and any(row[f"f{year}"] for row in rows.values()):
            rows = {code: row for code, row in rows.items() if row[f"f{year}"]}
        else:
            rows = {code: row for code, row in rows.items() if _lives_on(row)}
    return {code: row["label"] for code, row in rows.items()}


def _lives_on(row):
    """Tell whether a code is listed from 2017 on (or in no codebook at all)."""
    before, after = (
        any(row[f"f{year}"] for year in years)
        for years in (range(2015, 2017), range(2017, 2021))
    )
    return after or not before


def wordings(variable):
    """Return every known wording of a variable's codes, as {code: [labels]}.

    The first is that of 2019; the others were used in other years and are kept in
    lower case.

    Examples
    --------
    >>> wordings("SUB1")[10]
    ['Methamphetamine/speed', 'methamphetamine']
    """
    rows = _codes().get(_known(variable), {})
    return {
        code: [row["label"], *filter(None, row["also"].split("|"))]
        for code, row in rows.items()
    }


def frequencies(year):
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
    column = f"f{year}"
    rows = [("DISYR", year, size(year))] if year <= 2020 else []
    for variable, table in _codes().items():
        for code, row in table.items():
            if row.get(column):
                rows.append((variable, code, int(row[column])))
    if not rows:
        raise InputError(
            f"the frequencies of {year} are not known here; known are those of 2015"
            " to 2019, and of 2020 for 27 variables"
        )
    return pd.DataFrame(rows, columns=["variable", "code", "frequency"])
