"""A record in words."""

import pandas as pd

from sudlib.files import InputError
from sudlib.teds.codebook import (
    _VARIABLES,
    MISSING,
    OPEN,
    RENAMED,
    YEARS,
    _codes,
    codes,
)

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
