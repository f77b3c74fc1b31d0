"""Study A's tuned forest, as published and repaired, and its baselines."""

from sudlib.forests.estimators import RECIPES, why_not
from sudlib.forests.experiment import describe, fit_on, learn, repeat
from sudlib.forests.published import (
    FOLDS,
    PUBLISHED_THRESHOLD,
    printed_curves,
    printed_points,
    published_best,
    published_grid,
    scaled,
)
from sudlib.forests.splits import (
    ROWS,
    Parts,
    split_general,
    split_methadone,
    take,
)

__all__ = [
    "FOLDS",
    "PUBLISHED_THRESHOLD",
    "Parts",
    "RECIPES",
    "ROWS",
    "describe",
    "fit_on",
    "learn",
    "printed_curves",
    "printed_points",
    "published_best",
    "published_grid",
    "repeat",
    "scaled",
    "split_general",
    "split_methadone",
    "take",
    "why_not",
]
