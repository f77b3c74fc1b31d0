"""Study B's variables: groups, targets, features and one-hot columns."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from sudlib import teds
from sudlib.files import InputError
from sudlib.teds import codebook, cohorts
from sudlib.validation import check_choice, check_rows

STUDY_YEAR = 2019
"""The year of discharge of the study's records."""


VARIANTS = ("published", "repaired")


TARGETS = ("COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON")
"""What can be predicted; REASON in four classes is ours (section 4 announces it)."""


NOT_RECORDED = "not recorded"


NOT_APPLICABLE = "does not apply"


BUCKETS: dict[str, dict[str, tuple[int, ...]]] = {
    "GENDER": {"male": (1,), "female": (2,)},
    "AGE": {"under 40": tuple(range(1, 8)), "40 and over": tuple(range(8, 13))},
    "VET": {"veteran": (1,), "not a veteran": (2,)},
    "EDUC": {"no college": (1, 2, 3), "college": (4, 5)},
    "MARSTAT": {"married before or now": (2, 3, 4), "never married": (1,)},
    "EMPLOY": {"not employed": (3, 4), "employed": (1, 2)},
    "RACE": {"White": (5,), "not White": (1, 2, 3, 4, 6, 7, 8, 9)},
    "ETHNIC": {"Hispanic or Latino": (1, 2, 3, 5), "not Hispanic": (4,)},
    "PREG": {"pregnant": (1,), "not pregnant": (2,)},
}
"""The codes of both groups of each of the nine sensitive features (section 5.2).

Variables and groups stand in the order of the study's tables.
"""


VARIABLES = tuple(BUCKETS)


WORDS = {
    **{"GENDER": "gender", "AGE": "age", "VET": "veteran status", "EDUC": "education"},
    **{"MARSTAT": "marital status", "EMPLOY": "employment", "RACE": "race"},
    **{"ETHNIC": "ethnicity", "PREG": "pregnancy", "COMPLETED": "completion"},
    **{"NOPRIOR": "earlier treatments", "REASON": "reason of discharge"},
    "COMPLETED_NOPRIOR": "completion and earlier treatments",
}
"""What the nine sensitive features and the targets are called in figures."""


FEATURES = (
    *("SERVICES", "PSOURCE", "METHUSE", "LIVARAG"),
    *(name for name in codebook.COLUMNS if name.endswith("FLG")),
    *("ALCDRUG", "DETNLF", "DETCRIM", "NOPRIOR", "ARRESTS", "PSYPROB", "DSMCRIT"),
    *("SUB1", "SUB3"),
)
"""The variables behind the study's encoded columns (section 8), without the nine above.

All are known at admission: no length of stay, no reason, nothing of the discharge.
"""


CLASSES = {
    "COMPLETED": ("INCOMPLETE", "COMPLETE"),
    "NOPRIOR": ("0", "1", "2", "3"),
    "COMPLETED_NOPRIOR": tuple(
        f"{done}_{times}" for done in ("COMPLETE", "INCOMPLETE") for times in range(4)
    ),
    "REASON": (
        "completed",
        "dropped out",
        "terminated or incarcerated",
        "transferred or other",
    ),
}
"""The classes of each target, in the order of the study's reports."""


# Words that carry no meaning of their own when two labels are compared.
_SMALL_WORDS = frozenset("a an and at for in of on or reported the use".split())


# Class of each code of REASON: 4 is transferred, 6 died, 7 other.
_REASON_CLASS = {1: 0, 2: 1, 3: 2, 5: 2, 4: 3, 6: 3, 7: 3}


def check_records(records: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return records as official codes, or raise unless they have these columns.

    Parameters
    ----------
    records : pandas.DataFrame
        What was given as records.
    columns : iterable of str
        The columns needed.

    Returns
    -------
    pandas.DataFrame
        From :func:`sudlib.teds.official_codes`.

    Raises
    ------
    InputError
        Naming the columns that are not there, or not in capitals, and cells that are
        no code.
    """
    records = teds.official_codes(records, columns, who="study B")
    known = set(codebook.COLUMNS).difference(records.columns)
    other = [str(name) for name in records if str(name).upper() in known]
    if other:  # they would pass unchecked, and identifiers would stay
        raise InputError(
            f"the columns of a TEDS file have names in capitals, such as"
            f" {other[0].upper()}, not {', '.join(other)}: rename them"
        )
    return records


def impute(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records with every -9 replaced by the column's most frequent code.

    The study does this before the split.  Most of these values are not missing: PREG
    is -9 for every man, DETNLF for everyone in the labour force, DETCRIM for everyone
    whom no court referred.  So men become not pregnant, and so on.

    Parameters
    ----------
    records : pandas.DataFrame
        Codes; a column that is -9 throughout stays as it is.

    Returns
    -------
    pandas.DataFrame
        With the index and ``attrs`` of the records.

    Examples
    --------
    >>> impute(pd.DataFrame({"PREG": [-9, 2, 2, 1]})).PREG.tolist()
    [2, 2, 2, 1]
    """
    records = check_records(records, ())
    filled = records.copy()  # with its attrs
    for name, column in records.items():
        missing = column == codebook.MISSING
        if missing.any() and not missing.all():
            filled[name] = column.mask(missing, column[~missing].mode().iloc[0])
    return filled


def bucketise(records: pd.DataFrame, missing: str = "undefined") -> pd.DataFrame:
    """Return the nine sensitive features, each in two labelled groups.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs the nine variables of :data:`VARIABLES`.
    missing : {"undefined", "level", "mode"}, default="undefined"
        What becomes of a -9: no group (NaN); a group of its own ("not recorded", and
        "does not apply" for PREG of everyone but women); or, as published, the group
        of the most frequent code.

    Returns
    -------
    pandas.DataFrame
        Nine categorical columns with the records' index; the categories are those
        that occur, in the order of the study's tables.

    Raises
    ------
    InputError
        For a code of no codebook.

    Examples
    --------
    >>> people = pd.DataFrame({name: [1, 2] for name in VARIABLES})
    >>> bucketise(people)["GENDER"].tolist()
    ['male', 'female']
    """
    check_choice("missing", missing, ("undefined", "level", "mode"))
    records = check_records(records, VARIABLES)
    source = impute(records[list(VARIABLES)]) if missing == "mode" else records
    columns = {}
    for name, bucket in BUCKETS.items():
        group_of = {code: group for group, codes in bucket.items() for code in codes}
        codes = source[name]
        groups = codes.map(group_of).astype(object)
        if missing == "level":
            absent = groups.isna()
            groups[absent] = NOT_RECORDED
            if name == "PREG":
                groups[absent & (source["GENDER"] != 2)] = NOT_APPLICABLE
        present, known = set(groups), (*bucket, NOT_RECORDED, NOT_APPLICABLE)
        order = [group for group in known if group in present]
        columns[name] = pd.Categorical(groups, categories=order)
    return pd.DataFrame(columns, index=records.index)


def group_counts(groups: pd.DataFrame, target: pd.Series | None = None) -> pd.DataFrame:
    """Return the number of people in each group, and in each class.

    Parameters
    ----------
    groups : pandas.DataFrame
        From :func:`bucketise`.
    target : pandas.Series, optional
        The class of each person, with the same index.

    Returns
    -------
    pandas.DataFrame
        Columns ``variable``, ``group``, ``people``, ``share`` of all people, and one
        for each class.  People without a group are counted as "not recorded".
    """
    if target is not None:
        check_rows(groups=groups, target=target)
    rows = []
    for name, column in groups.items():
        column = column.astype("category")
        labels = column.astype(object).fillna(NOT_RECORDED)
        for group in dict.fromkeys([*column.cat.categories, *labels[column.isna()]]):
            members = labels == group
            row = {"variable": name, "group": group, "people": int(members.sum())}
            row["share"] = float(members.mean())
            if target is not None:
                for label in sorted(target.dropna().unique()):
                    row[str(label)] = int((target[members] == label).sum())
            rows.append(row)
    return pd.DataFrame(rows)


def make_target(records: pd.DataFrame, name: str = "COMPLETED") -> pd.Series:
    """Return the class of each person for one of the study's targets.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs REASON, NOPRIOR or both.
    name : {"COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON"}
        Whether treatment was completed; the number of previous treatment episodes;
        both joined; or the reason of discharge in four classes.

    Returns
    -------
    pandas.Series of str
        Named as the target; NaN where NOPRIOR is not recorded.  A file of 2015-2019
        has only the classes 0 and 1 (one or more) of NOPRIOR.

    Raises
    ------
    InputError
        For another target, an absent column or a code that has no class.

    Examples
    --------
    >>> people = pd.DataFrame({"REASON": [1, 5], "NOPRIOR": [0, -9]})
    >>> make_target(people).tolist(), make_target(people, "COMPLETED_NOPRIOR").tolist()
    (['COMPLETE', 'INCOMPLETE'], ['COMPLETE_0', nan])
    """
    check_choice("target", name, TARGETS)
    needed = {"NOPRIOR": ["NOPRIOR"], "COMPLETED_NOPRIOR": ["REASON", "NOPRIOR"]}
    records = check_records(records, needed.get(name, ["REASON"]))
    if name == "REASON":
        cohorts.completed(records)  # or raise: somebody's reason is missing
        reasons = {code: CLASSES[name][place] for code, place in _REASON_CLASS.items()}
        return records["REASON"].map(reasons).astype(object)
    labels = pd.Series("", index=records.index, dtype=object)
    if name != "NOPRIOR":
        done = cohorts.completed(records)
        labels = done.map({True: "COMPLETE", False: "INCOMPLETE"}).astype(object)
    if name != "COMPLETED":
        times = records["NOPRIOR"]
        # The study's classes end at 3; 4 and 5 of the oldest files join them.
        text = times.clip(upper=3).astype(str).astype(object)
        joined = text if name == "NOPRIOR" else labels + "_" + text
        labels = joined.where(times >= 0, np.nan)
    return labels.rename(name)


def clean(records: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the records without identifiers and constants, and what was dropped.

    The study's first step (section 3): CASEID, the year, state, region and division
    carry no information once one state is selected, and a constant column never does.

    Parameters
    ----------
    records : pandas.DataFrame
        Codes, one column a variable.

    Returns
    -------
    records : pandas.DataFrame
        The columns that stay.
    dropped : pandas.DataFrame
        Columns ``column`` and ``why``.
    """
    records, why = check_records(records, ()), {}
    for name, column in records.items():
        local = name in ("STFIPS", "REGION", "DIVISION")
        if local or (name in codebook.COLUMNS and codebook.scale(name) == "identifier"):
            why[name] = "identifies the record, its year or its place"
        elif column.nunique() <= 1:
            why[name] = "has one value only"
    dropped = pd.DataFrame(list(why.items()), columns=["column", "why"])
    return records.drop(columns=list(why)), dropped


def make_features(
    records: pd.DataFrame, target: str = "COMPLETED", variant: str = "repaired"
) -> pd.DataFrame:
    """Return the features of study B's models, as levels.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs the columns of :data:`FEATURES` and :data:`VARIABLES`.
    target : {"COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON"}
        NOPRIOR is left out where it is part of the target.
    variant : {"published", "repaired"}
        As published every -9 becomes the most frequent code; repaired, *not recorded*
        is a level of its own.

    Returns
    -------
    pandas.DataFrame
        One categorical column a variable: codes for the variables of
        :data:`FEATURES`, labels for the nine sensitive features; constant columns are
        left out.
    """
    check_choice("target", target, TARGETS)
    check_choice("variant", variant, VARIANTS)
    left_out = {"NOPRIOR"} if target.endswith("NOPRIOR") else set()
    names = [name for name in FEATURES if name not in left_out]
    records = check_records(records, [*names, *VARIABLES])
    published = variant == "published"
    codes = impute(records[names]) if published else records[names]
    groups = bucketise(records, "mode" if published else "level")
    levels = pd.concat([codes.astype("category"), groups], axis=1)
    return levels.loc[:, levels.nunique() > 1]


def one_hot(levels: pd.DataFrame, drop_first: bool = False) -> pd.DataFrame:
    """Return levels as columns of 0 and 1, one a level, named VARIABLE_level.

    Parameters
    ----------
    levels : pandas.DataFrame
        Categorical columns.
    drop_first : bool, default=False
        Leave out each variable's first level, as the study's columns do.  In a kernel
        the dropped level is then at squared distance 1 from all others and those at
        distance 2 from each other; with every level kept all are at distance 2.

    Returns
    -------
    pandas.DataFrame of int8
        With the index of the levels.

    Examples
    --------
    >>> levels = pd.DataFrame({"SUB1": pd.Categorical([2, 5, 7])})
    >>> one_hot(levels).columns.tolist()
    ['SUB1_2', 'SUB1_5', 'SUB1_7']
    >>> one_hot(levels, drop_first=True).columns.tolist()
    ['SUB1_5', 'SUB1_7']
    """
    return pd.get_dummies(levels, drop_first=drop_first, dtype=np.int8)


def meaning(column: str) -> str:
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
    if code not in map(str, codes):
        raise InputError(
            f"{name} has the codes {', '.join(map(str, codes))}, not {code!r}"
        )
    return f"{codebook.label(name)}: {codes[int(code)]}"


def unlike_words(printed: str, official: str) -> list[str]:
    """Return the words of a printed meaning that the official words do not have.

    Spelling may differ a little after the first letter (*dependency*, *dependence*);
    case, hyphens and small words do not count.

    Parameters
    ----------
    printed, official : str
        The two labels.

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

    def is_known(word: str) -> bool:
        alike = [other for other in known if other[0] == word[0]]
        return bool(difflib.get_close_matches(word, alike, n=1, cutoff=0.75))

    return [word for word in _content_words(printed) if not is_known(word)]


def _content_words(text: str) -> list[str]:
    """Return the words of a label, lower case, without the small ones."""
    joined = text.casefold().replace("-", "").replace("non ", "non")
    return [w for w in re.findall(r"[a-z0-9]+", joined) if w not in _SMALL_WORDS]
