"""Study B's variables: buckets, targets, features and one-hot columns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sudlib.files import InputError
from sudlib.teds import codebook, cohorts

VARIANTS = ("published", "repaired")


TARGETS = ("COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON")
"""What can be predicted; REASON in four classes is ours (section 4 announces it)."""


NOT_RECORDED = "not recorded"


NOT_APPLICABLE = "does not apply"


@dataclass(frozen=True)
class Bucket:
    """How a bias variable is cut in two.

    Attributes
    ----------
    variable : str
    groups : tuple of str
        The two labels, in the order of the study's tables.
    codes : tuple of tuple of int
        The codes of each group.
    """

    variable: str
    groups: tuple
    codes: tuple


BUCKETS = {
    name: Bucket(name, groups, codes)
    for name, groups, codes in (
        ("GENDER", ("male", "female"), ((1,), (2,))),
        ("AGE", ("under 40", "40 and over"), (tuple(range(1, 8)), tuple(range(8, 13)))),
        ("VET", ("veteran", "not a veteran"), ((1,), (2,))),
        ("EDUC", ("no college", "college"), ((1, 2, 3), (4, 5))),
        ("MARSTAT", ("married before or now", "never married"), ((2, 3, 4), (1,))),
        ("EMPLOY", ("not employed", "employed"), ((3, 4), (1, 2))),
        ("RACE", ("White", "not White"), ((5,), (1, 2, 3, 4, 6, 7, 8, 9))),
        ("ETHNIC", ("Hispanic or Latino", "not Hispanic"), ((1, 2, 3, 5), (4,))),
        ("PREG", ("pregnant", "not pregnant"), ((1,), (2,))),
    )
}
"""The nine bias variables in the order of the study's tables (section 5.2)."""


VARIABLES = tuple(BUCKETS)


_FLAGS = tuple(name for name in codebook.COLUMNS if name.endswith("FLG"))


FEATURES = (
    *("SERVICES", "PSOURCE", "METHUSE", "LIVARAG", *_FLAGS, "ALCDRUG", "DETNLF"),
    *("DETCRIM", "NOPRIOR", "ARRESTS", "PSYPROB", "DSMCRIT", "SUB1", "SUB3"),
)
"""The variables behind the study's encoded columns (section 8), bias variables apart.

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


# REASON: 4 transferred, 6 died, 7 other.
_REASONS = {1: 0, 2: 1, 3: 2, 5: 2, 4: 3, 6: 3, 7: 3}


_MISSING_RULES = ("undefined", "level", "mode")


def _need(records, columns):
    """Raise unless the records are a frame with these columns."""
    if not isinstance(records, pd.DataFrame):
        raise InputError(
            f"records must be a pandas DataFrame, not {type(records).__name__}"
        )
    absent = [column for column in columns if column not in records.columns]
    if absent:
        raise InputError(
            f"this needs the column{'s' * (len(absent) > 1)} {', '.join(absent)}; the"
            f" records have {', '.join(map(str, records.columns)) or 'no columns'}"
        )


def _choose(name, given, allowed):
    """Raise unless a choice is one of those allowed."""
    if given not in allowed:
        choices = ", ".join(f'"{choice}"' for choice in allowed)
        raise InputError(f"{name} must be one of {choices}, not {given!r}")


# -------------------------------------------------------------- imputing, groups


def imputed(records):
    """Return the records with every -9 replaced by the column's commonest code.

    As the study did it, before the split.  Most gaps are no gaps at all: PREG is -9
    for every man, DETNLF for everybody in the labour force, DETCRIM for everybody
    whom no court sent.  So men become not pregnant, and so on.

    Examples
    --------
    >>> imputed(pd.DataFrame({"PREG": [-9, 2, 2, 1]})).PREG.tolist()
    [2, 2, 2, 1]
    """
    filled = records.copy()
    for name in records.columns:
        column = records[name]
        gaps = column == codebook.MISSING
        if gaps.any() and not gaps.all():
            filled[name] = column.mask(gaps, column[~gaps].mode().iloc[0])
    filled.attrs = dict(records.attrs)
    return filled


def bucketised(records, missing="undefined"):
    """Return the nine bias variables, each cut in two labelled groups.

    Parameters
    ----------
    records : pandas.DataFrame
        Needs the nine variables of :data:`VARIABLES`.
    missing : {"undefined", "level", "mode"}, default="undefined"
        What becomes of a -9: no group (NaN), a group of its own ("not recorded", and
        "does not apply" for PREG of everybody but women), or, as published, the group
        of the commonest code.

    Returns
    -------
    pandas.DataFrame
        Nine categorical columns with the records' index; categories in the order of
        the study's tables.

    Raises
    ------
    InputError
        For a code that no group has.

    Examples
    --------
    >>> people = pd.DataFrame({name: [1, 2] for name in VARIABLES})
    >>> bucketised(people)["GENDER"].tolist()
    ['male', 'female']
    """
    _choose("missing", missing, _MISSING_RULES)
    _need(records, VARIABLES)
    source = imputed(records[list(VARIABLES)]) if missing == "mode" else records
    columns = {}
    for name, bucket in BUCKETS.items():
        codes = source[name].to_numpy()
        group = np.full(len(codes), -1, np.int8)
        for index, members in enumerate(bucket.codes):
            group[np.isin(codes, members)] = index
        labels = list(bucket.groups)
        gaps = group == -1
        strange = gaps & (codes != codebook.MISSING)
        if strange.any():
            allowed = sorted(code for members in bucket.codes for code in members)
            raise InputError(
                f"{name} has {int(strange.sum()):,} codes that belong to no group, the"
                f" first {codes[strange][0]}; allowed are"
                f" {', '.join(map(str, allowed))} and"
                f" {codebook.MISSING}"
            )
        if missing == "level" and gaps.any():
            group[gaps] = len(labels)
            labels.append(NOT_RECORDED)
            if name == "PREG":
                others = gaps & (source["GENDER"].to_numpy() != 2)
                group[others] = len(labels)
                labels.append(NOT_APPLICABLE)
        columns[name] = pd.Categorical.from_codes(group, categories=labels)
    groups = pd.DataFrame(columns, index=records.index)
    return groups.apply(lambda column: column.cat.remove_unused_categories())


def group_counts(groups, target=None):
    """Return how many people each group has, and of each class.

    Parameters
    ----------
    groups : pandas.DataFrame
        From :func:`bucketised`.
    target : pandas.Series, optional
        The class of each person, with the same index.

    Returns
    -------
    pandas.DataFrame
        Columns ``variable``, ``group``, ``people``, ``share`` and one a class.
        People without a group are counted as "not recorded".
    """
    rows = []
    for name in groups.columns:
        column = groups[name].astype(object).where(groups[name].notna(), NOT_RECORDED)
        order = [*groups[name].cat.categories]
        if (column == NOT_RECORDED).any() and NOT_RECORDED not in order:
            order.append(NOT_RECORDED)
        for group in order:
            here = column == group
            row = {
                "variable": name,
                "group": group,
                "people": int(here.sum()),
                "share": float(here.mean()),
            }
            if target is not None:
                row |= {
                    str(label): int((target[here] == label).sum())
                    for label in sorted(target.dropna().unique())
                }
            rows.append(row)
    return pd.DataFrame(rows)


# -------------------------------------------------------------------- the target


def target(records, name="COMPLETED"):
    """Return the class of each person for one of the study's targets.

    Parameters
    ----------
    records : pandas.DataFrame
    name : {"COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON"}
        Whether treatment was completed; how often the person was treated before; both
        joined; or the reason of discharge in four classes.

    Returns
    -------
    pandas.Series of str
        Named as the target; NaN where NOPRIOR is not recorded.  A file of 2015-2019
        has only the classes 0 and 1 (one or more) of NOPRIOR.

    Examples
    --------
    >>> people = pd.DataFrame({"REASON": [1, 5], "NOPRIOR": [0, -9]})
    >>> target(people).tolist(), target(people, "COMPLETED_NOPRIOR").tolist()
    (['COMPLETE', 'INCOMPLETE'], ['COMPLETE_0', nan])
    """
    _choose("target", name, TARGETS)
    found = None
    if name != "NOPRIOR":
        _need(records, ["REASON"])
        done = cohorts.completed(records).map({True: "COMPLETE", False: "INCOMPLETE"})
        found = done.astype(object)
    if name == "REASON":
        strange = ~records["REASON"].isin(_REASONS)
        if strange.any():
            raise InputError(
                "REASON must be one of 1 to 7, not"
                f" {records['REASON'][strange].iloc[0]}"
            )
        names = {code: CLASSES["REASON"][place] for code, place in _REASONS.items()}
        found = records["REASON"].map(names).astype(object)
    if name.endswith("NOPRIOR"):
        _need(records, ["NOPRIOR"])
        times = records["NOPRIOR"]
        strange = ~times.between(0, 5) & (times != codebook.MISSING)
        if strange.any():
            raise InputError(
                f"NOPRIOR must be 0 to 5 or {codebook.MISSING}, not"
                f" {times[strange].iloc[0]}"
            )
        # The study's classes end at 3; 4 and 5 of the oldest files join them.
        text = times.clip(upper=3).astype(str).astype(object)
        found = text if found is None else found + "_" + text
        found = found.where(times >= 0, np.nan)
    return found.rename(name)


# ------------------------------------------------------------- cleaning, encoding


def clean(records):
    """Return the records without identifiers and constants, and what was dropped.

    The study's first step (section 3): CASEID, the year, state, region and division
    say nothing once one state is picked, and a constant column nothing ever.

    Returns
    -------
    records : pandas.DataFrame
    dropped : pandas.DataFrame
        Columns ``column`` and ``why``.
    """
    why = {}
    for name in records.columns:
        known = name in codebook.COLUMNS
        if known and codebook.scale(name) == "identifier":
            why[name] = "identifies the record, its year or its place"
        elif name in ("STFIPS", "REGION", "DIVISION"):
            why[name] = "identifies the record, its year or its place"
        elif records[name].nunique() <= 1:
            why[name] = "has one value only"
    kept = records.drop(columns=list(why))
    kept.attrs = dict(records.attrs)
    return kept, pd.DataFrame(list(why.items()), columns=["column", "why"])


def features(records, target="COMPLETED", variant="repaired"):
    """Return what a model of study B may learn from, as levels.

    Parameters
    ----------
    records : pandas.DataFrame
    target : str
        NOPRIOR is left out where it is part of the target.
    variant : {"published", "repaired"}
        As published every gap is filled with the commonest code; repaired, *not
        recorded* is a level of its own.

    Returns
    -------
    pandas.DataFrame
        One categorical column a variable: codes for the variables of
        :data:`FEATURES`, labels for the nine bias variables; constant columns are
        left out.
    """
    _choose("target", target, TARGETS)
    _choose("variant", variant, VARIANTS)
    names = [
        name
        for name in FEATURES
        if not (name == "NOPRIOR" and target.endswith("NOPRIOR"))
    ]
    _need(records, [*names, *VARIABLES])
    published = variant == "published"
    codes = imputed(records[names]) if published else records[names]
    groups = bucketised(records, "mode" if published else "level")
    table = pd.concat([codes.astype("category"), groups], axis=1)
    return table[[name for name in table.columns if table[name].nunique() > 1]]


def one_hot(levels, drop_first=False):
    """Return levels as columns of 0 and 1, one a level, named VARIABLE_level.

    Parameters
    ----------
    levels : pandas.DataFrame
        Categorical columns.
    drop_first : bool, default=False
        Leave out each variable's first level, as the study's columns do.  A kernel
        then sees the dropped level at squared distance 1 from all others and those
        at distance 2 from each other; with every level kept all are at distance 2.

    Returns
    -------
    pandas.DataFrame of int8

    Examples
    --------
    >>> levels = pd.DataFrame({"SUB1": pd.Categorical([2, 5, 7])})
    >>> one_hot(levels).columns.tolist()
    ['SUB1_2', 'SUB1_5', 'SUB1_7']
    >>> one_hot(levels, drop_first=True).columns.tolist()
    ['SUB1_5', 'SUB1_7']
    """
    return pd.get_dummies(levels, drop_first=drop_first, dtype=np.int8)
