"""Study A's splits into training, threshold and test rows, and the sizes of a run."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sudlib.files import InputError
from sudlib.forests.published import FOLDS

#: People in the study's methadone experiment: 10 % of its 167,301.
METHADONE_PEOPLE = 16_731


#: People of the rows to report that the pages on experiment 1 compare everybody on;
#: a network needs a while for each, so quick takes the first of them.
REPORTED = {"quick": 1500, "paper": None}


#: Which rows :func:`fit_on` may use, in words.
ROWS = {
    "source": "source only",
    "target": "target only",
    "both": "source and target",
    "on": "source, then on with target",
}


@dataclass(frozen=True)
class Effort:
    """How much of the study's work one size of a notebook does.

    Attributes
    ----------
    records : int or None
        Made-up records drawn; None draws as many as the agency's file has.
    people : int or None
        People of the cohort used at most, drawn at random; None uses all.
    trees : float
        Every number of trees is multiplied by this.
    candidates : int
        Settings that each search tries.
    seeds : int
        Other splits and seeds, for the spread.
    """

    records: int | None
    people: int | None
    trees: float
    candidates: int
    seeds: int


#: Quick keeps the study's ten candidate settings and its three folds; what shrinks is
#: the number of records and of trees.
EFFORTS = {
    ("general", "quick"): Effort(80_000, 30_000, trees=0.1, candidates=10, seeds=3),
    ("general", "paper"): Effort(None, None, trees=1, candidates=10, seeds=5),
    ("methadone", "quick"): Effort(170_000, 20_000, trees=0.1, candidates=10, seeds=5),
    ("methadone", "paper"): Effort(None, None, trees=1, candidates=10, seeds=5),
}


def effort_of(experiment, size, **changes):
    """Return an effort of :data:`EFFORTS`, with what a notebook's parameters change.

    Parameters
    ----------
    experiment : {"general", "methadone"}
    size : {"quick", "paper"}
    **changes
        Fields of :class:`Effort`; None leaves what the size says.

    Returns
    -------
    Effort

    Examples
    --------
    >>> effort_of("general", "quick", people=5000, trees=None)
    Effort(records=80000, people=5000, trees=0.1, candidates=10, seeds=3)
    """
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(EFFORTS[experiment, size], **given)


def take(people, effort, seed=33):
    """Return at most as many people as an effort allows, drawn without replacement.

    Parameters
    ----------
    people : pandas.DataFrame
        A cohort.
    effort : Effort
    seed : int, default=33

    Returns
    -------
    pandas.DataFrame
        The cohort itself where it is small enough.
    """
    if effort.people is None or len(people) <= effort.people:
        return people
    taken = people.sample(effort.people, random_state=seed).sort_index()
    taken.attrs = dict(people.attrs)
    return taken


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

    study: np.ndarray
    fit: np.ndarray
    threshold: np.ndarray
    report: np.ndarray

    @property
    def table(self):
        """One line a part: its rows and what they are for."""
        uses = {
            "study": "published: tuned and fitted",
            "fit": "repaired: tuned and fitted",
            "threshold": "repaired: threshold chosen",
            "report": "both: reported",
        }
        return pd.DataFrame(
            [(use, len(getattr(self, part))) for part, use in uses.items()],
            columns=["rows used for", "people"],
        ).set_index("rows used for")


def split_general(completed, seed=33):
    """Return the rows of experiment 1: 70 % to fit, 15 % spare, 15 % to report.

    The study never used its spare 15 %; the repaired recipes choose their threshold
    there.  With the study's 622,821 people the parts have its 435,974, 93,423 and
    93,424.

    Parameters
    ----------
    completed : array-like of 0 and 1
    seed : int, default=33

    Returns
    -------
    Parts
    """
    rows = np.arange(len(completed))
    _enough_rows(completed)
    fit, rest = train_test_split(rows, test_size=0.30, random_state=seed)
    threshold, report = train_test_split(rest, test_size=0.50, random_state=seed)
    return _enough(completed, Parts(fit, fit, threshold, report))


def split_methadone(completed, seed=33):
    """Return the rows of experiment 2: 10 % of the people, in halves.

    With fewer people than 167,301 a tenth would be less than the study had: then as
    many as it had (16,731), or everybody, are taken.  The repaired recipes divide the
    first half once more, 70 to 30, to choose their threshold on rows of its own.

    Parameters
    ----------
    completed : array-like of 0 and 1
    seed : int, default=33

    Returns
    -------
    Parts
    """
    rows = np.arange(len(completed))
    _enough_rows(completed)
    wanted = max(int(np.ceil(0.10 * len(rows))), METHADONE_PEOPLE)
    if wanted < len(rows):
        _, rows = train_test_split(rows, test_size=wanted, random_state=seed)
    study, report = train_test_split(rows, test_size=0.50, random_state=seed)
    outcome = np.asarray(completed)[study]
    both = 2 <= outcome.sum() <= len(outcome) - 2
    fit, threshold = train_test_split(
        study, test_size=0.30, random_state=seed, stratify=outcome if both else None
    )
    return _enough(completed, Parts(study, fit, threshold, report))


SPLITS = {"general": split_general, "methadone": split_methadone}


def _enough_rows(completed):
    """Stop before scikit-learn would, when there is hardly anybody to divide."""
    if len(completed) < 20:
        raise InputError(
            f"a forest needs at least 20 people to divide, there are {len(completed)}:"
            " read more rows, or a larger file"
        )


def _enough(completed, parts):
    """Return the parts, or say which has too few people of one outcome."""
    completed = np.asarray(completed)
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
