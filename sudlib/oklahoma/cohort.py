"""The records of study B: its targets, its cleaning, its nine bias variables.

Study B cuts nine variables in two groups each, turns the rest into one column a code,
fills every gap with the commonest code and asks whether treatment was completed.
:func:`cohort` does that as published, or repaired: nothing filled in, *not recorded*
a level of its own, and nothing from after admission.  Taught in the notebook
*Who is in the Oklahoma records?*.
"""

import functools
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from sudlib import records
from sudlib.files import InputError
from sudlib.oklahoma.coding import (
    CLASSES,
    FEATURES,
    TARGETS,
    VARIABLES,
    VARIANTS,
    _choose,
    _need,
    bucketised,
    features,
    imputed,
    one_hot,
    target,
)
from sudlib.oklahoma.meanings import STUDY_YEAR
from sudlib.teds import codebook, cohorts

STUDY_ROWS = 2475
"""People in the study's records, from the sizes of its test sets (743 = 30 %)."""


NOPRIOR_COUNTS = {1: 192, 2: 18, 3: 6}
"""How often the study's test set has one, two and three earlier treatments."""


FEWEST_PEOPLE = 100
"""With fewer, a 30 % test set has hardly anybody in the rarer class."""


DRAWN = {"quick": 600_000, "paper": None}
"""Rows of the twin that a size draws; one state is a small part of them."""


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
        What "30-day centres" means: see :func:`sudlib.teds.cohorts.oklahoma`.

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
