"""The people of study B, and what a model is given of them.

Study B cuts nine variables in two groups each, turns the rest into one column a code,
replaces every -9 by the most frequent code and asks whether treatment was completed.
:func:`make_cohort` does that as published, or repaired: nothing imputed, *not
recorded* a level of its own, and nothing from after admission.  Taught in the notebook
*Who is in the Oklahoma records?*.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sudlib import records as record_files
from sudlib.files import InputError
from sudlib.oklahoma import coding
from sudlib.origin import origin_of
from sudlib.teds import cohorts
from sudlib.validation import (
    check_choice,
    check_columns,
    check_seed,
    check_whole,
    places,
)

STUDY_ROWS = 2475
"""People in the study's records, from the sizes of its test sets (743 = 30%)."""


NOPRIOR_COUNTS = {1: 192, 2: 18, 3: 6}
"""People of the study's test set with one, two and three previous episodes."""


FEWEST_PEOPLE = 100
"""With fewer, a 30% test set has hardly anyone in the rarer class."""


def load_people(
    data: str = "twin",
    *,
    everyone: bool = False,
    rows: int = 600_000,
    seed: int = 33,
    reading: str = "los-30",
) -> pd.DataFrame:
    """Return the records of people in Oklahoma's 30-day centres, of 2019.

    Parameters
    ----------
    data : str
        "twin", "teds-d-2019" or the path of a TEDS-D file.
    everyone : bool, default=False
        Whether all people are kept, or at most 2,475, as many as the study had.
    rows : int, default=600_000
        Records drawn from the twin, unless everyone is kept: one state is a small part
        of them, and these hold about as many of its people as the study had.
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
    drawn = rows if str(data) == "twin" and not everyone else None
    years = (coding.STUDY_YEAR,)
    everybody = record_files.load(data, years=years, rows=drawn, seed=seed)
    return select_people(everybody, everyone=everyone, seed=seed, reading=reading)


def select_people(
    everybody: pd.DataFrame,
    *,
    everyone: bool = False,
    seed: int = 33,
    reading: str = "los-30",
) -> pd.DataFrame:
    """Return the people of :func:`load_people` from records that are already loaded.

    Parameters
    ----------
    everybody : pandas.DataFrame
        Records of any states.
    everyone : bool, default=False
        Whether all people are kept, or at most 2,475.
    seed : int
        For which people are kept.
    reading : {"los-30", "services-4"}
        What "30-day centres" means.

    Returns
    -------
    pandas.DataFrame
        With a new index.

    Raises
    ------
    InputError
        If a column that study B needs is absent, or fewer than 100 people are left.
    """
    everybody = coding.check_records(
        everybody, ("STFIPS", "REASON", *coding.VARIABLES, *coding.FEATURES)
    )
    people = cohorts.oklahoma(everybody, reading)
    if len(people) < FEWEST_PEOPLE:
        raise InputError(
            f"study B needs at least {FEWEST_PEOPLE} people in Oklahoma's 30-day"
            f" centres; {everybody.attrs.get('data')} has {len(people)}"
        )
    people = _draw(people, None if everyone else STUDY_ROWS, seed)
    people = people.reset_index(drop=True)
    return older_noprior(people, seed) if origin_of(people) == "synthetic" else people


def _draw(people: pd.DataFrame, rows: int | None, seed: int) -> pd.DataFrame:
    """Return at most so many people, drawn without replacement, in their order."""
    if rows is None or rows >= len(people):
        return people
    order = np.random.default_rng(check_seed(seed)).permutation(len(people))
    return people.iloc[np.sort(order[:rows])]


def older_noprior(records: pd.DataFrame, seed: int = 33) -> pd.DataFrame:
    """Return the records with NOPRIOR counted up to 3, as before 2015.

    The files of 2015-2019 know only *none* and *one or more*.  For synthetic records
    *one or more* becomes 1, 2 or 3 at random, in the shares of the study's test set:
    whatever tells 1, 2 and 3 apart afterwards is noise.

    Parameters
    ----------
    records : pandas.DataFrame
        Synthetic records: :func:`sudlib.origin.origin_of` says so.
    seed : int
        For the draw.

    Returns
    -------
    pandas.DataFrame
        The same records, NOPRIOR apart.

    Raises
    ------
    InputError
        For any others: a count that was not recorded cannot be recovered.
    """
    records = coding.check_records(records, ["NOPRIOR"])
    if origin_of(records) != "synthetic":
        raise InputError(
            "only made-up records can have NOPRIOR in the older coding: a real file of"
            " 2015-2019 says none or one and more, and what lies behind is not there"
        )
    people = np.array(list(NOPRIOR_COUNTS.values()), float)
    times = records["NOPRIOR"].to_numpy().copy()
    some = times >= 1
    times[some] = np.random.default_rng(check_seed(seed)).choice(
        list(NOPRIOR_COUNTS), some.sum(), p=people / people.sum()
    )
    return records.assign(NOPRIOR=times)


@dataclass(frozen=True)
class Cohort:
    """What a model of study B is given: levels, classes, groups.

    Attributes
    ----------
    levels : pandas.DataFrame
        Categorical features, one column a variable.
    y : pandas.Series of str
        The class of each person.
    groups : pandas.DataFrame
        The nine sensitive features (:func:`bucketise`): as published without gaps,
        repaired NaN where not recorded.
    target, variant : str
        As given to :func:`make_cohort`.
    left_out : int
        People whose class is not recorded, who are not among them.
    """

    levels: pd.DataFrame
    y: pd.Series
    groups: pd.DataFrame
    target: str
    variant: str
    left_out: int = 0

    @property
    def classes(self) -> list[str]:
        """The classes that occur, in the order of the study's reports."""
        return [label for label in coding.CLASSES[self.target] if label in set(self.y)]

    @functools.cached_property
    def X(self) -> pd.DataFrame:
        """The levels as columns of 0 and 1, as this variant encodes them."""
        return coding.one_hot(self.levels, drop_first=self.variant == "published")

    def __len__(self) -> int:
        return len(self.y)


def make_cohort(
    records: pd.DataFrame,
    target_name: str = "COMPLETED",
    variant: str = "repaired",
    rows: int | None = None,
    seed: int = 33,
) -> Cohort:
    """Return people of the records as a model of study B is given them.

    Parameters
    ----------
    records : pandas.DataFrame
        The people: see :func:`load_people`.
    target_name : {"COMPLETED", "NOPRIOR", "COMPLETED_NOPRIOR", "REASON"}
        What is predicted.
    variant : {"published", "repaired"}
        As published, -9 becomes the most frequent code (in the target too: the three
        targets have nearly the same number of people in the study) and each
        variable's first level is dropped.  Repaired, nothing is imputed, people whose
        class is not recorded are left out, and every level has its column.
    rows : int, optional
        At most so many people, drawn at random.
    seed : int
        For that draw.

    Returns
    -------
    Cohort

    Raises
    ------
    InputError
        If fewer than two classes are left.

    Examples
    --------
    >>> from sudlib import twin
    >>> people = make_cohort(twin.sample(2019, 500), variant="published")
    >>> len(people), people.classes
    (500, ['INCOMPLETE', 'COMPLETE'])
    """
    check_choice("variant", variant, coding.VARIANTS)
    check_choice("target_name", target_name, coding.CLASSES)
    rows = check_whole("rows", rows, 1, none="everyone")
    published = variant == "published"
    in_target = ["NOPRIOR"] if target_name.endswith("NOPRIOR") else []
    records = coding.check_records(records, in_target)
    people = _draw(records, rows, seed)
    if published and in_target:
        people = people.assign(**coding.impute(people[in_target]))
    y = coding.make_target(people, target_name)
    left_out = int(y.isna().sum())
    people, y = (part[y.notna()].reset_index(drop=True) for part in (people, y))
    if y.nunique() < 2:
        raise InputError(
            f"{target_name} has {y.nunique()} class among {len(y):,} people; a model"
            " needs at least two"
        )
    return Cohort(
        levels=coding.make_features(people, target_name, variant),
        y=y,
        groups=coding.bucketise(people, "mode" if published else "undefined"),
        target=target_name,
        variant=variant,
        left_out=left_out,
    )


def subset(cohort: Cohort, rows: ArrayLike) -> Cohort:
    """Return a cohort of some of its people, with the same columns.

    Parameters
    ----------
    cohort : Cohort
        From :func:`make_cohort`.
    rows : array-like of int or bool
        Row numbers from 0 up, or one True or False for each person.

    Returns
    -------
    Cohort
        The people in the order of ``rows``.

    Raises
    ------
    InputError
        For other rows than there are.
    """
    if pd.api.types.is_bool_dtype(rows):
        check_columns(rows=rows, cohort=cohort.y)
    rows = places(rows, len(cohort))
    parts = {name: getattr(cohort, name) for name in ("levels", "y", "groups")}
    kept = {k: part.iloc[rows].reset_index(drop=True) for k, part in parts.items()}
    return replace(cohort, **kept)


def relabel(cohort: Cohort, y: ArrayLike) -> Cohort:
    """Return the same people with other classes: permuted ones, for instance.

    Parameters
    ----------
    cohort : Cohort
        From :func:`make_cohort`.
    y : array-like of str
        One class a person, of the classes of the target.

    Returns
    -------
    Cohort

    Raises
    ------
    InputError
        For another number of entries, another index or a class the target has not.
    """
    check_columns(y=y, cohort=cohort.y)
    labels = pd.Series(np.asarray(y, object), name=cohort.y.name)
    for label in dict.fromkeys(labels):
        check_choice("a class", label, coding.CLASSES[cohort.target])
    return replace(cohort, y=labels)
