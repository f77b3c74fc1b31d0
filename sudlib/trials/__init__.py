"""Open studies of real people, and the results of them that come with the book.

:func:`load` returns one tidy frame a study, :func:`dictionary` what its columns mean.
A page takes its numbers through :class:`Page`: computed where the files are at hand,
recorded where they are not.  Taught in the notebooks of part D.
"""

from sudlib.trials.admission import Cohort, cohort, without_gaps
from sudlib.trials.files_at_hand import (
    RECORDED,
    VARIABLE,
    NotAtHand,
    at_hand,
    fetch,
    open_folder,
)
from sudlib.trials.outcomes import (
    MISSING,
    Weeks,
    randomised,
    relapsed,
    succeeded,
    weeks,
)
from sudlib.trials.page import Page, check_counts, read_recorded
from sudlib.trials.ranking import area, areas
from sudlib.trials.readers import digest, load, table
from sudlib.trials.shares import difference, share, shares
from sudlib.trials.studies import Study, covariates, dictionary, registry, study

__all__ = [
    "Cohort",
    "MISSING",
    "NotAtHand",
    "Page",
    "RECORDED",
    "Study",
    "VARIABLE",
    "Weeks",
    "area",
    "areas",
    "at_hand",
    "check_counts",
    "cohort",
    "covariates",
    "dictionary",
    "difference",
    "digest",
    "fetch",
    "load",
    "open_folder",
    "randomised",
    "read_recorded",
    "registry",
    "relapsed",
    "share",
    "shares",
    "study",
    "succeeded",
    "table",
    "weeks",
    "without_gaps",
]
