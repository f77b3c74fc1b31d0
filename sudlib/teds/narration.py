"""A record in words."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from sudlib.files import InputError, data_file, read_rows
from sudlib.teds import codebook
from sudlib.teds.codebook import MISSING
from sudlib.teds.gate import OLDER_CODES, code_of, spell, told


@functools.cache
def _phrases() -> dict[str, dict[int, str]]:
    """Return the words of codes whose label would not read well in a sentence."""
    phrases: dict[str, dict[int, str]] = {}
    for row in read_rows(data_file("codebook/phrases.csv")):
        phrases.setdefault(row["variable"], {})[int(row["code"])] = row["words"]
    return phrases


def read_aloud(record: Mapping[str, Any] | pd.Series) -> str:
    """Return one record as a short paragraph of plain English.

    Parameters
    ----------
    record : mapping or pandas.Series
        Codes by variable.  Variables that are not there, codes -9 and blanks are
        passed over; how many are missing is said at the end.

    Returns
    -------
    str
        Two to five sentences.

    Raises
    ------
    InputError
        If a code is not in the codebook.

    Notes
    -----
    Taught in ``a01_discharge_records``.

    Examples
    --------
    >>> print(read_aloud({"DISYR": 2018, "GENDER": 2, "AGE": 6, "SERVICES": 7,
    ...                   "SUB1": 5, "ROUTE1": 4, "LOS": 34, "REASON": 1}))
    A woman aged 30–34 years entered outpatient treatment. Primary substance: heroin \
(injected). The stay lasted 91 to 120 days and ended in 2018 with treatment completed.
    """
    if not isinstance(record, Mapping | pd.Series):
        raise InputError(
            f"a record must be a row of a frame or a dict, not {type(record).__name__}"
        )
    cells = {codebook.schema_name(str(name)): code for name, code in record.items()}
    known = [
        name
        for name in (*codebook.COLUMNS, "NUMSUBS", "YEAR")
        if name in cells and name not in codebook.OPEN
    ]
    codes = {name: code_of(name, cells[name]) for name in known}
    year = codes.get("DISYR")
    year = year if year in codebook.YEARS else codebook.YEARS[-1]
    values = {}
    for name, code in codes.items():
        if name == "DISYR" and code in (None, MISSING):
            continue
        allowed = {*codebook.codes(name, year), *OLDER_CODES.get(name, ()), None}
        if name != "DISYR" and code not in allowed:
            raise InputError(
                f"{name} is {told(cells[name])} in this record; allowed are"
                f" {spell(name, [year])}"
            )
        values[name] = MISSING if code is None else code
    sentences = [_who(values), *_substances(values), _stay(values)]
    missing = sum(code == MISSING for code in values.values())
    if missing:
        sentences.append(
            f"Missing or not applicable: {missing} of the {len(values)} variables read."
        )
    return " ".join(filter(None, sentences))


def _join(separator: str, *words: str) -> str:
    """Return the words that are there, joined."""
    return separator.join(filter(None, words))


def _phrase(values: dict[str, int], variable: str) -> str:
    """Return the words for a variable's code, or nothing if it is missing."""
    phrases = _phrases()[variable.rstrip("123")]
    return phrases.get(values.get(variable, MISSING), "")


def _label(values: dict[str, int], variable: str) -> str:
    """Return a code's label, or nothing if it is missing or absent."""
    code = values.get(variable, MISSING)
    return codebook.wordings(variable)[code][0] if code != MISSING else ""


def _who(values: dict[str, int]) -> str:
    """Return the sentence on the person and how treatment began."""
    young = values.get("AGE") in (1, 2)
    names = ["young person", "boy", "girl"] if young else ["person", "man", "woman"]
    person = "A " + names[max(values.get("GENDER", 0), 0)]
    age, race, state = (_label(values, name) for name in ("AGE", "RACE", "STFIPS"))
    origin = _label(values, "ETHNIC") if values.get("ETHNIC") != 4 else ""
    school, work = _phrase(values, "EDUC"), _phrase(values, "EMPLOY")
    if values.get("EMPLOY") == 4:
        work = _join(", ", work, _phrase(values, "DETNLF"))
    facts = _join(
        ", ",
        race and f"race: {race}",
        origin and f"Hispanic origin: {origin}",
        "pregnant" if values.get("PREG") == 1 else "",
        "a veteran" if values.get("VET") == 1 else "",
        _label(values, "MARSTAT").lower().replace(", ", " or "),
        school and f"with {school}",
        work,
        _phrase(values, "LIVARAG"),
    )
    person = _join(" ", person, age and f"aged {age}", facts and f"({facts})")
    article = "the " if state == "District of Columbia" else ""
    entered = _join(
        " ",
        _phrase(values, "SERVICES") or "treatment",
        state and f"in {article}{state}",
    )
    how = (_phrase(values, "PSOURCE"), _phrase(values, "DAYWAIT"))
    return _join(", ", f"{person} entered {entered}", *how) + "."


def _substances(values: dict[str, int]) -> Iterator[str]:
    """Yield the sentences on substances, earlier treatment and medication."""
    named = []
    for number, rank in enumerate(("primary", "secondary", "tertiary"), 1):
        if values.get(f"SUB{number}", MISSING) in (MISSING, 1):
            continue
        label = _label(values, f"SUB{number}").lower()
        first = _label(values, f"FRSTUSE{number}").replace(" years", "")
        details = _join(
            ", ",
            _phrase(values, f"ROUTE{number}"),
            _phrase(values, f"FREQ{number}"),
            first and f"first used at age {first.replace(' and ', ' or ')}",
        )
        words = f"{rank} substance: {_phrase(values, f'SUB{number}') or label}"
        named.append(_join(" ", words, details and f"({details})"))
    if named:
        yield "; ".join(named).capitalize().replace("pcp", "PCP") + "."
    elif values.get("SUB1") == 1:
        yield "No substance is named."
    facts = (_phrase(values, v) for v in ("NOPRIOR", "METHUSE", "PSYPROB", "ARRESTS"))
    text = _join("; ", *facts)
    if text:
        yield text[0].upper() + text[1:] + "."


def _stay(values: dict[str, int]) -> str:
    """Return the sentence on how long treatment lasted and how it ended."""
    length, end = _label(values, "LOS").lower(), _phrase(values, "REASON")
    if length.isdigit():
        length += " day" if length == "1" else " days"
    year = f"in {values['DISYR']}" if "DISYR" in values else ""
    ended = _join(" ", "ended", year, end) if year or end else ""
    stay = _join(" and ", length and f"lasted {length}", ended)
    return f"The stay {stay}." if stay else ""
