"""What the three trials of CTN-0094 called a success, from the days as they were.

Weeks are counted from a randomisation; week ``k`` is day ``7 k`` and the three days on
either side, in which its visit was due.  Three things can be known of a person's week:
whether a urine sample was given, whether it showed an opioid that is not the study's
medication, and whether the person reported use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sudlib.files import InputError
from sudlib.trials.readers import load, table
from sudlib.validation import check_choice, check_frame, check_whole

#: What a missing urine sample may be taken for.
MISSING = ("positive", "negative")
_URINE = ("Opioid", "Methadone")
_REPORT = ("Heroin", "Opioid", "Methadone")


@dataclass(frozen=True)
class Weeks:
    """What is known of each person's weeks: three tables, people by weeks.

    Attributes
    ----------
    sample : pandas.DataFrame of bool
        Whether a urine sample was given.
    positive : pandas.DataFrame of bool
        Whether one showed an opioid other than the study's medication.
    reported : pandas.DataFrame of bool
        Whether the person reported use of one.
    days : pandas.DataFrame
        Days with reported use: ``who`` and ``day`` from randomisation.
    """

    sample: pd.DataFrame
    positive: pd.DataFrame
    reported: pd.DataFrame
    days: pd.DataFrame

    def used(self, missing: str = "positive", *, reports: bool = True) -> pd.DataFrame:
        """Return whether a week counts as a week with use.

        Parameters
        ----------
        missing : {"positive", "negative"}
            What a week without a sample counts as.
        reports : bool, default=True
            Whether reported use counts, too.

        Returns
        -------
        pandas.DataFrame of bool
        """
        counted = bool(check_choice("reports", reports, (True, False)))
        used = self.positive | (self.reported & counted)
        if check_choice("missing", missing, MISSING) == "positive":
            used = used | ~self.sample
        return used


def randomised(trial: str, *, phase: int = 1) -> pd.DataFrame:
    """Return the people of a trial who were randomised, by their number.

    Parameters
    ----------
    trial : {"0027", "0030", "0051"}
    phase : {1, 2}, default=1
        2: those of 0030 who went on to its second phase.

    Returns
    -------
    pandas.DataFrame
        As :func:`load` gives it; ``origin`` is the day of the randomisation, counted
        from consent, and ``weeks`` how many weeks people stayed on study medication:
        until the last dose, or until an injection had worn off.  In phase 2
        ``treatment`` is that of the second randomisation.
    """
    people = load("ctn0094")
    check_choice("trial", trial, people["trial"].cat.categories)
    check_choice("phase", phase, (1, 2) if trial == "0030" else (1,))
    people = people[(people["trial"] == trial) & people["treatment"].notna()]
    people = people.set_index(people["person"].astype(int).rename("who"))
    people["treatment"] = people["treatment"].cat.remove_unused_categories()
    people["origin"] = people["consent_to_randomisation"]
    if phase == 2:
        people = people[people["second_randomisation"].notna()]
        people["origin"] += people["second_randomisation"]
        people["treatment"] = people["second_treatment"]
    # An injection of naltrexone lasts four weeks.
    lasts = np.where(people["treatment"] == "naltrexone", 28, 0)
    people["weeks"] = ((people["last_dose"] + lasts) / 7).clip(lower=0).fillna(0)
    return people


def weeks(people: pd.DataFrame, number: int = 24) -> Weeks:
    """Return what is known of each week after a randomisation.

    A sample is a urine temperature, a finding, or an attended visit: a sample was due
    at each, and at half of those of 0030 its temperature was not recorded.

    Parameters
    ----------
    people : pandas.DataFrame
        From :func:`randomised`, all or some of them.
    number : int, default=24
        Weeks, at most 104.

    Returns
    -------
    Weeks
    """
    check_whole("number", number, 1, 104)
    kept = {"person", "origin"} <= {*check_frame(people)}
    kept = kept and [*people["person"]] == [*map(str, people.index)]
    if not (kept and people.index.is_unique):
        raise InputError(
            "people must have origin and the index of trials.randomised, each once, by"
            " which their weeks are found; reset_index and merge lose it"
        )
    urine, visits = table("uds"), table("visit")
    attended = visits[visits["what"].isin(["visit", "final"])]
    samples = [each[["who", "when"]] for each in (table("uds_temp"), urine, attended)]
    reports = table("tlfb")
    reports = _from_origin(reports[reports["what"].isin(_REPORT)], people)
    opioids = urine[urine["what"].isin(_URINE)]
    return Weeks(
        sample=_by_week(_from_origin(pd.concat(samples), people), people, number),
        positive=_by_week(_from_origin(opioids, people), people, number),
        reported=_by_week(reports, people, number),
        days=reports[["who", "day"]].drop_duplicates(),
    )


def _from_origin(rows: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of some people with their day from randomisation."""
    rows = rows[rows["who"].isin(people.index)]
    rows = rows.assign(day=rows["when"] - rows["who"].map(people["origin"]))
    return rows[rows["day"].notna()]


def _by_week(rows: pd.DataFrame, people: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return whether a person has a row in each week."""
    week = ((rows["day"] + 3) // 7).astype(int).rename("week")
    there = pd.crosstab(rows["who"], week) > 0
    columns = range(1, number + 1)
    return there.reindex(index=people.index, columns=columns, fill_value=False)


def relapsed(
    weeks: Weeks,
    *,
    missing: str = "positive",
    reports: bool = True,
    in_a_row: int = 4,
    first_week: int = 3,
    seven_days: bool = True,
) -> pd.Series:
    """Return who relapsed by the definition of CTN-0051, or by another.

    Parameters
    ----------
    weeks : Weeks
    missing : {"positive", "negative"}
        What a week without a urine sample counts as.
    reports : bool, default=True
        Whether a week with reported use counts, too.
    in_a_row : int, default=4
        Weeks with use, one after the other, that are a relapse.
    first_week : int, default=3
        The first week that counts (day 21); after it come ``in_a_row`` or more.
    seven_days : bool, default=True
        Whether seven days of reported use in a row, from day 20 on, are a relapse.

    Returns
    -------
    pandas.Series of bool
        By person.
    """
    used = weeks.used(missing, reports=reports)
    number = used.shape[1]
    check_whole("in_a_row", in_a_row, 1, number)
    check_whole("first_week", first_week, 1, number + 1 - in_a_row)
    check_choice("seven_days", seven_days, (True, False))
    used = used.loc[:, first_week:]
    relapse = _run(used.to_numpy(), in_a_row)
    if seven_days:
        last = 7 * used.columns[-1]
        rows = weeks.days[weeks.days["day"].between(20, last)]
        daily = pd.crosstab(rows["who"], rows["day"].astype(int)) > 0
        daily = daily.reindex(
            index=used.index, columns=range(20, last + 1), fill_value=False
        )
        relapse = relapse | _run(daily.to_numpy(), 7)
    return pd.Series(relapse, index=used.index, name="relapsed")


def _run(events: np.ndarray, length: int) -> np.ndarray:
    """Return which rows have a run of events of a length."""
    steps = events.shape[1] - length + 1
    starts = [events[:, at : at + length].all(axis=1) for at in range(max(steps, 0))]
    return np.any(starts, axis=0) if starts else np.zeros(len(events), dtype=bool)


def succeeded(weeks: Weeks, phase: int = 2, *, missing: str = "positive") -> pd.Series:
    """Return who had a successful outcome by the definition of CTN-0030.

    Phase 2: no use in week 12 and in at least two of the weeks 9 to 11.  Phase 1: at
    most four days of reported use in each four weeks, no two positive samples one after
    the other, at most one of the eight samples of the first twelve weeks missing.

    Parameters
    ----------
    weeks : Weeks
        From the randomisation of that phase on, 12 or more.
    phase : {1, 2}, default=2
    missing : {"positive", "negative"}
        Phase 2: what a week without a sample counts as.

    Returns
    -------
    pandas.Series of bool
        By person.
    """
    check_whole("the number of weeks", weeks.sample.shape[1], 12)
    check_choice("missing", missing, MISSING)
    if check_choice("phase", phase, (1, 2)) == 2:
        unused = ~weeks.used(missing)
        success = unused[12] & (unused[[9, 10, 11]].sum(axis=1) >= 2)
        return success.rename("succeeded")
    # Visits are weekly first and every other week after the fourth.
    due = [[1], [2], [3], [4], [5, 6], [7, 8], [9, 10], [11, 12]]
    sample = np.column_stack([weeks.sample[each].any(axis=1) for each in due])
    positive = np.column_stack([weeks.positive[each].any(axis=1) for each in due])
    days = weeks.days[weeks.days["day"].between(0, 83)]
    month = pd.crosstab(days["who"], (days["day"] // 28).astype(int))
    most = month.max(axis=1).reindex(weeks.sample.index, fill_value=0)
    success = (most <= 4) & ((~sample).sum(axis=1) <= 1) & ~_run(positive, 2)
    return success.rename("succeeded")
