"""The codebook of TEDS-D: variables, codes, labels and frequencies (floor 0).

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


# ---------------------------------------------------------------- reading aloud

_NUMBER = {1: "primary", 2: "secondary", 3: "tertiary"}
_SCHOOL = {
    1: "eight years of school or less",
    2: "nine to eleven years of school",
    3: "twelve years of school or a GED",
    4: "one to three years of college or vocational school",
    5: "four years of college or more",
}
_WORK = {
    1: "working full time",
    2: "working part time",
    3: "unemployed",
    4: "not in the labor force",
}
_NOT_WORKING = {
    1: "as a homemaker",
    2: "as a student",
    3: "retired or disabled",
    4: "living in an institution",
}
_HOME = {1: "homeless", 2: "in dependent living", 3: "living independently"}
_SOURCE = {
    1: "coming alone or through family or friends",
    2: "referred by another provider of substance use care",
    3: "referred by another health care provider",
    4: "referred by a school",
    5: "referred by an employer",
    6: "referred by the community",
    7: "referred by the courts or criminal justice",
}
_SERVICE = {
    1: "24-hour detoxification in a hospital",
    2: "24-hour detoxification in a residential centre",
    3: "residential treatment in a hospital",
    4: "short-term residential treatment (30 days or fewer)",
    5: "long-term residential treatment (more than 30 days)",
    6: "intensive outpatient treatment",
    7: "outpatient treatment",
    8: "outpatient detoxification",
}
_ROUTE = {1: "taken by mouth", 2: "smoked", 3: "inhaled", 4: "injected"}
_USE = {1: "not used in the month before", 2: "used on some days", 3: "used daily"}
_WAIT = {
    0: "without waiting",
    1: "after waiting 1 to 7 days",
    2: "after waiting 8 to 14 days",
    3: "after waiting 15 to 30 days",
    4: "after waiting 31 days or more",
}
_BEFORE = {0: "this was a first treatment", 1: "there had been treatment before"}
_MEDICATION = {
    1: "medication-assisted opioid therapy was planned",
    2: "no medication-assisted opioid therapy was planned",
}
_ARRESTS = {
    1: "there had been an arrest in the month before",
    2: "there had been two or more arrests in the month before",
}
_END = {
    1: "with treatment completed",
    2: "when the person left before the end",
    3: "when the facility ended it",
    4: "with a transfer to another program or facility",
    5: "with incarceration",
    6: "with the person's death",
    7: "for another reason",
}
_SUBSTANCE = {  # where the label in lower case would not read well in a sentence
    7: "other opiates or synthetics",
    8: "PCP",
    19: "another drug",
}


def read_aloud(record):
    """Return one record as a short paragraph of plain English.

    Parameters
    ----------
    record : mapping or pandas.Series
        Codes by variable.  Variables that are not there, and codes -9, are passed
        over; how many are missing is said at the end.

    Returns
    -------
    str
        Two to five sentences.

    Raises
    ------
    InputError
        If a code is not in the codebook.

    Examples
    --------
    >>> print(read_aloud({"DISYR": 2018, "GENDER": 2, "AGE": 6, "SERVICES": 7,
    ...                   "SUB1": 5, "ROUTE1": 4, "LOS": 34, "REASON": 1}))
    A woman aged 30–34 years entered outpatient treatment. Primary substance: heroin \
(injected). The stay lasted 91 to 120 days and ended in 2018 with treatment completed.
    """
    record = {RENAMED.get(name, name): value for name, value in dict(record).items()}
    year = record.get("DISYR")
    year = int(year) if year in YEARS else YEARS[-1]
    values = {}
    for name, value in record.items():
        if name not in _VARIABLES or name in OPEN or pd.isna(value):
            continue
        allowed = codes(name, year)
        if value not in allowed:
            raise InputError(
                f"{name} is {value!r} in this record; allowed are"
                f" {', '.join(map(str, allowed))}"
            )
        values[name] = int(value)
    sentences = [_who(values), *_substances(values), _stay(values)]
    missing = sum(value == MISSING for value in values.values())
    if missing:
        sentences.append(
            f"Missing or not applicable: {missing} of the {len(values)} variables read."
        )
    return " ".join(filter(None, sentences))


def _word(values, variable, words):
    """Return the words for a variable's code, or nothing if it is missing."""
    return words.get(values.get(variable, MISSING), "")


def _label(values, variable):
    """Return a code's label, or nothing if it is missing or absent."""
    code = values.get(variable, MISSING)
    return _codes()[variable][code]["label"] if code != MISSING else ""


def _who(values):
    """Return the sentence on the person and how treatment began."""
    person = {1: "A man", 2: "A woman"}.get(values.get("GENDER"), "A person")
    if values.get("AGE") in (1, 2):
        person = {1: "A boy", 2: "A girl"}.get(values.get("GENDER"), "A young person")
    age = _label(values, "AGE")
    if age:
        person += f" aged {age}"
    origin = _label(values, "ETHNIC") if values.get("ETHNIC") != 4 else ""
    work = _word(values, "EMPLOY", _WORK)
    if work and values["EMPLOY"] == 4:
        work = " ".join(filter(None, [work, _word(values, "DETNLF", _NOT_WORKING)]))
    school = _word(values, "EDUC", _SCHOOL)
    facts = [
        f"race: {_label(values, 'RACE')}" if _label(values, "RACE") else "",
        f"Hispanic origin: {origin}" if origin else "",
        "pregnant" if values.get("PREG") == 1 else "",
        "a veteran" if values.get("VET") == 1 else "",
        _label(values, "MARSTAT").lower().replace(", ", " or "),
        f"with {school}" if school else "",
        work,
        _word(values, "LIVARAG", _HOME),
    ]
    facts = ", ".join(filter(None, facts))
    opening = f"{person} ({facts})" if facts else person
    service = _word(values, "SERVICES", _SERVICE) or "treatment"
    state = _label(values, "STFIPS")
    where = f" in {'the ' * (state == 'District of Columbia')}{state}" if state else ""
    how = [_word(values, "PSOURCE", _SOURCE), _word(values, "DAYWAIT", _WAIT)]
    how = ", ".join(filter(None, how))
    return f"{opening} entered {service}{where}{', ' if how else ''}{how}."


def _substances(values):
    """Return the sentences on substances, earlier treatment and medication."""
    named = []
    for number, rank in _NUMBER.items():
        code = values.get(f"SUB{number}", MISSING)
        if code in (MISSING, 1):
            continue
        words = _SUBSTANCE.get(code, _label(values, f"SUB{number}").lower())
        first = _label(values, f"FRSTUSE{number}").replace(" years", "")
        first = first.replace(" and ", " or ")
        details = [
            _word(values, f"ROUTE{number}", _ROUTE),
            _word(values, f"FREQ{number}", _USE),
            f"first used at age {first}" if first else "",
        ]
        details = ", ".join(filter(None, details))
        named.append(f"{rank} substance: {words}{f' ({details})' if details else ''}")
    if named:
        yield "; ".join(named).capitalize().replace("pcp", "PCP") + "."
    elif values.get("SUB1") == 1:
        yield "No substance is named."
    facts = [
        _word(values, variable, words)
        for variable, words in (
            ("NOPRIOR", _BEFORE),
            ("METHUSE", _MEDICATION),
            ("PSYPROB", {1: "a mental disorder was present too"}),
            ("ARRESTS", _ARRESTS),
        )
    ]
    text = "; ".join(filter(None, facts))
    if text:
        yield text[0].upper() + text[1:] + "."


def _stay(values):
    """Return the sentence on how long treatment lasted and how it ended."""
    length = _label(values, "LOS")
    if length.isdigit():
        length += " day" if length == "1" else " days"
    end = _word(values, "REASON", _END)
    year = f" in {values['DISYR']}" if "DISYR" in values else ""
    lasted = f"lasted {length.lower()}" if length else ""
    ended = f"ended{year} {end}" if end else f"ended{year}" if year else ""
    text = " and ".join(filter(None, [lasted, ended]))
    return f"The stay {text}." if text else ""
