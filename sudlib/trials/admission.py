"""What is known on the first day of CTN-0094's trials, and how it ended."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import pandas as pd

from sudlib.files import InputError
from sudlib.trials.outcomes import randomised, relapsed, succeeded, weeks
from sudlib.trials.readers import digest
from sudlib.validation import check_choice, check_frame, numbers

#: Answers that all three trials asked for.
NUMBERS = (
    "age",
    "female",
    "hispanic",
    "injection_days",
    "heroin_days",
    "opioid_days",
    "cocaine_days",
    "speed_days",
    "smoker",
    "depression",
    "anxiety",
    "bipolar",
)
WORDS = ("race", "pain")
#: Weeks on medication that count as completing 24 weeks.
COMPLETED_WEEKS = 22


class Cohort(NamedTuple):
    """The people of one trial, for models.

    Parameters
    ----------
    X : pandas.DataFrame
        What was known at admission: numbers, and one column a level; NaN is missing.
    good : pandas.Series of int
        1 where the outcome is good: in 0027 the person completed 24 weeks, in the
        second phase of 0030 the outcome was successful, in 0051 there was no relapse.
    site : pandas.Series
        Clinic.
    treatment : pandas.Series of str
    people : pandas.DataFrame
        From :func:`randomised`.
    """

    X: pd.DataFrame
    good: pd.Series
    site: pd.Series
    treatment: pd.Series
    people: pd.DataFrame


def cohort(trial: str) -> Cohort:
    """Return a trial's people, what was known of them, and how it ended.

    Parameters
    ----------
    trial : {"0027", "0030", "0051"}
        Of 0030 those of the second phase.

    Returns
    -------
    Cohort
    """
    check_choice("trial", trial, ("0027", "0030", "0051"))
    return Cohort(*(part.copy() for part in _cohort(trial, digest("ctn0094"))))


@lru_cache(maxsize=3)
def _cohort(trial: str, _digest: str) -> Cohort:
    people = randomised(trial, phase=2 if trial == "0030" else 1)
    if trial == "0027":
        good = people["last_dose"] >= 7 * COMPLETED_WEEKS
    elif trial == "0030":
        good = succeeded(weeks(people, 12))
    else:
        good = ~relapsed(weeks(people))
    levels = pd.get_dummies(people[list(WORDS)], dtype=float)
    return Cohort(
        people[list(NUMBERS)].join(levels),
        good.astype(int),
        people["site"].astype(str),
        people["treatment"].astype(str),
        people,
    )


def without_gaps(X: pd.DataFrame) -> pd.DataFrame:
    """Return covariates for methods that take no missing ones.

    Parameters
    ----------
    X : pandas.DataFrame
        Numbers; NaN is missing.

    Returns
    -------
    pandas.DataFrame
        Medians where something is missing, and, if that is so for more than 2% of the
        people in a column, a column ``not answered`` that says of whom.
    """
    gaps = check_frame(X).isna()
    for name, column in X.items():
        if column.isna().all():
            raise InputError(f"{name!r} is missing throughout: leave it out")
        numbers(str(name), column.dropna())
    filled = X.astype(float).reset_index(drop=True)
    filled = filled.fillna(filled.median())
    often = gaps.loc[:, gaps.mean() > 0.02].any(axis=1)
    if often.any():
        filled["not answered"] = often.to_numpy(dtype=float)
    return filled
