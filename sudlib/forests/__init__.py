"""Study A's tuned forest, as published and repaired, and its baselines."""

from sudlib.forests.estimators import PEERS, RECIPES, estimator, grid, why_not
from sudlib.forests.experiment import describe, fit_on, learn, repeat
from sudlib.forests.published import (
    FOLDS,
    PUBLISHED_THRESHOLD,
    printed_curves,
    published_best,
    published_candidates,
    published_grid,
    scaled,
)
from sudlib.forests.splits import (
    EFFORTS,
    METHADONE_PEOPLE,
    REPORTED,
    ROWS,
    SPLITS,
    Effort,
    Parts,
    effort_of,
    split_general,
    split_methadone,
    take,
)

__all__ = [
    "effort_of",
    "EFFORTS",
    "Effort",
    "FOLDS",
    "METHADONE_PEOPLE",
    "PUBLISHED_THRESHOLD",
    "Parts",
    "PEERS",
    "RECIPES",
    "REPORTED",
    "ROWS",
    "SPLITS",
    "describe",
    "estimator",
    "fit_on",
    "grid",
    "learn",
    "printed_curves",
    "published_best",
    "published_candidates",
    "published_grid",
    "repeat",
    "scaled",
    "split_general",
    "split_methadone",
    "take",
    "why_not",
]
