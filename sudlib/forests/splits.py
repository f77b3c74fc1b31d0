"""Study A's splits into training, threshold and test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import train_test_split

from sudlib.classes import code_outcomes
from sudlib.files import InputError
from sudlib.forests.published import FOLDS
from sudlib.validation import check_seed, check_whole

#: People in the study's methadone experiment: 10% of its 167,301.
METHADONE_PEOPLE = 16_731

#: Which rows :func:`fit_on` may use, in words.
ROWS = {
    "source": "source only",
    "target": "target only",
    "both": "source and target",
    "on": "source, then further on target",
}


def take(people: pd.DataFrame, n: int | None, seed: int = 33) -> pd.DataFrame:
    """Return at most ``n`` people, drawn without replacement.

    Parameters
    ----------
    people : pandas.DataFrame
        A cohort.
    n : int or None
        None takes all.
    seed : int, default=33

    Returns
    -------
    pandas.DataFrame
        In their order; the cohort itself where it is small enough.
    """
    n = check_whole("n", n, 1, none="all")
    if n is None or len(people) <= n:
        return people
    places = pd.Series(range(len(people))).sample(n, random_state=check_seed(seed))
    return people.iloc[np.sort(places)]


@dataclass(frozen=True)
class Parts:
    """Which rows do what; positions, not labels.

    Attributes
    ----------
    study : numpy.ndarray
        Rows the published recipe is tuned and fitted on.
    fit : numpy.ndarray
        Rows the other recipes are tuned and fitted on.
    threshold : numpy.ndarray
        Rows on which they choose their threshold, and nothing else.
    report : numpy.ndarray
        Rows that every recipe reports on, and nothing else.
    """

    study: NDArray[np.int64]
    fit: NDArray[np.int64]
    threshold: NDArray[np.int64]
    report: NDArray[np.int64]

    @property
    def table(self) -> pd.DataFrame:
        """One line a part: its rows and what they are for."""
        uses = {
            "published: tuned and fitted": self.study,
            "repaired: tuned and fitted": self.fit,
            "repaired: threshold chosen": self.threshold,
            "both: reported": self.report,
        }
        people = pd.Series({use: len(rows) for use, rows in uses.items()})
        return people.rename_axis("rows used for").to_frame("people")


def split_general(completed: ArrayLike, seed: int = 33) -> Parts:
    """Return the rows of experiment 1: 70% to fit, 15% spare, 15% to report.

    The study never used its spare 15%; the repaired recipes choose their threshold
    there.  With the study's 622,821 people the parts have its 435,974, 93,423 and
    93,424.

    Parameters
    ----------
    completed : array-like of 0 and 1, shape (n,)
    seed : int, default=33

    Returns
    -------
    Parts
    """
    [completed] = code_outcomes(completed=completed)
    rows, seed = _rows(completed), check_seed(seed)
    fit, rest = train_test_split(rows, test_size=0.30, random_state=seed)
    threshold, report = train_test_split(rest, test_size=0.50, random_state=seed)
    return _enough(completed, Parts(fit, fit, threshold, report))


def split_methadone(completed: ArrayLike, seed: int = 33) -> Parts:
    """Return the rows of experiment 2: 10% of the people, in halves.

    With fewer people than 167,301 a tenth would be less than the study had: then as
    many as it had (16,731), or everybody, are taken.  The repaired recipes divide the
    first half once more, 70 to 30, to choose their threshold on rows of its own.

    Parameters
    ----------
    completed : array-like of 0 and 1, shape (n,)
    seed : int, default=33

    Returns
    -------
    Parts
    """
    [completed] = code_outcomes(completed=completed)
    rows, seed = _rows(completed), check_seed(seed)
    wanted = max(int(np.ceil(0.10 * len(rows))), METHADONE_PEOPLE)
    if wanted < len(rows):
        _, rows = train_test_split(rows, test_size=wanted, random_state=seed)
    study, report = train_test_split(rows, test_size=0.50, random_state=seed)
    outcome = completed[study]
    both = 2 <= outcome.sum() <= len(outcome) - 2
    fit, threshold = train_test_split(
        study, test_size=0.30, random_state=seed, stratify=outcome if both else None
    )
    return _enough(completed, Parts(study, fit, threshold, report))


def _rows(completed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the rows; stop before scikit-learn would, if there is hardly anybody."""
    if len(completed) < 20:
        raise InputError(
            f"a forest needs at least 20 people to divide, there are {len(completed)}:"
            " read more rows, or a larger file"
        )
    return np.arange(len(completed))


def _enough(completed: NDArray[np.bool_], parts: Parts) -> Parts:
    """Return the parts, or say which has too few people of one outcome."""
    for name, least in (("study", FOLDS), ("fit", FOLDS), ("threshold", 1)):
        rows = getattr(parts, name)
        done = int(completed[rows].sum())
        if min(done, len(rows) - done) < least:
            raise InputError(
                f"too few people: of the {len(rows)} rows to be used for {name},"
                f" {done} completed and {len(rows) - done} did not; at least {least}"
                " of either are needed: read more rows, or a larger file"
            )
    return parts
