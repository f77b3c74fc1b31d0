"""The records of study B: its targets, its cleaning, its nine bias variables (floor 2).

Study B cuts nine variables in two groups each, turns the rest into one column a code,
fills every gap with the commonest code and asks whether treatment was completed.
:func:`cohort` does that as published, or repaired: nothing filled in, *not recorded*
a level of its own, and nothing from after admission.  Taught in the notebook
*Who is in the Oklahoma records?*.
"""

import difflib
import functools
import re
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from sudlib import codebook, cohorts, records
from sudlib.files import InputError

VARIANTS = ("published", "repaired")

TARGETS = ("COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON")
"""What can be predicted; REASON in four classes is ours (section 4 announces it)."""

NOT_RECORDED = "not recorded"
NOT_APPLICABLE = "does not apply"

STUDY_ROWS = 2475
"""People in the study's records, from the sizes of its test sets (743 = 30 %)."""

STUDY_YEAR = 2019
"""The year of discharge of the study's records."""

NOPRIOR_COUNTS = {1: 192, 2: 18, 3: 6}
"""How often the study's test set has one, two and three earlier treatments."""


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

FEWEST_PEOPLE = 100
"""With fewer, a 30 % test set has hardly anybody in the rarer class."""

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

DRAWN = {"quick": 600_000, "paper": None}
"""Rows of the twin that a size draws; one state is a small part of them."""


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


# ------------------------------------------------------------------ the records


def oklahoma(data="twin", *, size="quick", seed=33, reading="los-30"):
    """Return the records of people in Oklahoma's 30-day centres, of 2019.

    Parameters
    ----------
    data : str
        "twin", "teds-d-2019" or the path of a TEDS-D file.
    size : {"quick", "paper"}
        Quick draws a smaller twin, and keeps at most 2,475 people, as many as the
        study had; paper takes everybody.
    seed : int
        For the twin and for which people are kept.
    reading : {"los-30", "services-4"}
        What "30-day centres" means: see :func:`sudlib.cohorts.oklahoma`.

    Returns
    -------
    pandas.DataFrame
        With the twin NOPRIOR in the older coding (:func:`older_noprior`), so that
        the study's four classes are there; a real file keeps its 0 and 1.
    """
    _choose("size", size, tuple(DRAWN))
    everybody = records.load(
        data,
        years=(STUDY_YEAR,),
        rows=DRAWN[size] if str(data) == "twin" else None,
        seed=seed,
    )
    return pick(everybody, size=size, seed=seed, reading=reading)


def pick(everybody, *, size="quick", seed=33, reading="los-30"):
    """Return the people of :func:`oklahoma` from records that are already loaded.

    Parameters
    ----------
    everybody : pandas.DataFrame
    size, seed, reading
        As in :func:`oklahoma`.

    Returns
    -------
    pandas.DataFrame
        With a new index.

    Raises
    ------
    InputError
        If a column that study B needs is not there, or hardly anybody is.
    """
    _choose("size", size, tuple(DRAWN))
    attrs = dict(everybody.attrs)
    needed = ["STFIPS", "REASON", *dict.fromkeys((*VARIABLES, *FEATURES))]
    absent = [name for name in needed if name not in everybody.columns]
    if absent:
        raise InputError(
            f"study B needs the columns {', '.join(needed)}; {attrs.get('data')} has"
            f" no {', '.join(absent)}"
        )
    people = cohorts.oklahoma(everybody, reading)
    if len(people) < FEWEST_PEOPLE:
        raise InputError(
            f"study B needs at least {FEWEST_PEOPLE} people in Oklahoma's 30-day"
            f" centres; {attrs.get('data')} has {len(people)}"
        )
    if size == "quick" and len(people) > STUDY_ROWS:
        keep = np.random.default_rng(seed).permutation(len(people))[:STUDY_ROWS]
        people = people.iloc[np.sort(keep)]
    people = people.reset_index(drop=True)
    people.attrs = attrs
    return older_noprior(people, seed) if attrs.get("synthetic") else people


def older_noprior(records, seed=33):
    """Return the records with NOPRIOR counted up to 3, as before 2015.

    The files of 2015-2019 know only *none* and *one or more*.  For made-up records
    the *one or more* are dealt out to 1, 2 and 3 in the shares of the study's test
    set, by chance alone: whatever tells 1, 2 and 3 apart afterwards is noise.

    Parameters
    ----------
    records : pandas.DataFrame
        Made-up records: ``records.attrs["synthetic"]`` is true.
    seed : int

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        For real records: a count that was not recorded cannot be rebuilt.
    """
    _need(records, ["NOPRIOR"])
    if not records.attrs.get("synthetic"):
        raise InputError(
            "only made-up records can have NOPRIOR in the older coding: a real file of"
            " 2015-2019 says none or one and more, and what lies behind is not there"
        )
    shares = np.array(list(NOPRIOR_COUNTS.values()), float)
    some = (records["NOPRIOR"] >= 1).to_numpy()
    times = records["NOPRIOR"].to_numpy().copy()
    times[some] = np.random.default_rng(seed).choice(
        list(NOPRIOR_COUNTS), some.sum(), p=shares / shares.sum()
    )
    counted = records.assign(NOPRIOR=times)
    counted.attrs = dict(records.attrs)
    return counted


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


@dataclass(frozen=True)
class Cohort:
    """What a model of study B is given: levels, classes, groups.

    Attributes
    ----------
    levels : pandas.DataFrame
        Categorical features, one column a variable (:func:`features`).
    y : pandas.Series of str
        The class of each person.
    groups : pandas.DataFrame
        The nine bias variables (:func:`bucketised`): as published without gaps,
        repaired NaN where not recorded.
    target, variant : str
    synthetic : bool
    notes : pandas.DataFrame
        What was done on the way: columns ``step``, ``people``.
    """

    levels: pd.DataFrame
    y: pd.Series
    groups: pd.DataFrame
    target: str
    variant: str
    synthetic: bool
    notes: pd.DataFrame = field(repr=False)

    @property
    def classes(self):
        """The classes that occur, in the order of the study's reports."""
        here = set(self.y)
        return [label for label in CLASSES[self.target] if label in here]

    @functools.cached_property
    def X(self):
        """The levels as columns of 0 and 1, as this variant encodes them."""
        return one_hot(self.levels, drop_first=self.variant == "published")

    def __len__(self):
        return len(self.y)


def cohort(records, target_name="COMPLETED", variant="repaired", rows=None, seed=33):
    """Return people of the records as a model of study B is given them.

    Parameters
    ----------
    records : pandas.DataFrame
        The people: see :func:`oklahoma`.
    target_name : {"COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON"}
    variant : {"published", "repaired"}
        As published, gaps are filled with the commonest code (in the target too: the
        three targets have nearly the same number of people in the study) and each
        variable's first level is dropped.  Repaired, nothing is filled in, people
        whose class is not recorded are left out, and every level has its column.
    rows : int, optional
        At most so many people, drawn by chance.
    seed : int

    Returns
    -------
    Cohort

    Raises
    ------
    InputError
        If fewer than two classes, or fewer people than asked for, are left.

    Examples
    --------
    >>> from sudlib import twin
    >>> people = cohort(twin.sample(2019, 500), variant="published")
    >>> len(people), people.classes
    (500, ['INCOMPLETE', 'COMPLETE'])
    """
    _choose("target", target_name, TARGETS)
    _choose("variant", variant, VARIANTS)
    steps = [("records", len(records))]
    people = records
    if rows is not None and rows < len(people):
        if rows < 1:
            raise InputError(f"rows must be at least 1, not {rows!r}")
        keep = np.sort(np.random.default_rng(seed).permutation(len(people))[:rows])
        people = people.iloc[keep]
        steps.append(("drawn by chance", len(people)))
    if variant == "published" and target_name.endswith("NOPRIOR"):
        _need(people, ["NOPRIOR"])
        steps.append(
            (
                "number of earlier treatments filled in",
                int((people["NOPRIOR"] == codebook.MISSING).sum()),
            )
        )
        filled = imputed(people[["NOPRIOR"]])["NOPRIOR"]
        people = people.assign(NOPRIOR=filled)
    y = target(people, target_name)
    known = y.notna()
    if not known.all():
        steps.append(("left out: class not recorded", int((~known).sum())))
        people, y = people[known], y[known]
    if y.nunique() < 2:
        raise InputError(
            f"{target_name} has {y.nunique()} class among {len(y):,} people; a model"
            " needs at least two"
        )
    people, y = people.reset_index(drop=True), y.reset_index(drop=True)
    steps.append(("people", len(people)))
    return Cohort(
        levels=features(people, target_name, variant),
        y=y,
        groups=bucketised(people, "mode" if variant == "published" else "undefined"),
        target=target_name,
        variant=variant,
        synthetic=bool(records.attrs.get("synthetic")),
        notes=pd.DataFrame(steps, columns=["step", "people"]),
    )


def subset(cohort, rows):
    """Return a cohort of some of its people, its columns as they were.

    Parameters
    ----------
    cohort : Cohort
    rows : array-like of int
        Row numbers.
    """
    return replace(
        cohort,
        levels=cohort.levels.iloc[rows].reset_index(drop=True),
        y=cohort.y.iloc[rows].reset_index(drop=True),
        groups=cohort.groups.iloc[rows].reset_index(drop=True),
    )


def relabel(cohort, y):
    """Return the same people with other classes: shuffled ones, for instance.

    Parameters
    ----------
    cohort : Cohort
    y : array-like of str
        One class a person, of the classes of the target.
    """
    y = pd.Series(np.asarray(y, object), name=cohort.y.name)
    unknown = set(y) - set(CLASSES[cohort.target])
    if len(y) != len(cohort) or unknown:
        raise InputError(
            f"y must give each of the {len(cohort):,} people one of"
            f" {', '.join(CLASSES[cohort.target])}; it has {len(y):,}"
            f" entries{', among them ' + str(sorted(unknown)[0]) if unknown else ''}"
        )
    return replace(cohort, y=y)
