"""How well a score finds the people who completed, with intervals.

Point values are scikit-learn's.  What is added: 95% intervals by a stratified
bootstrap fast enough for 90,000 rows, exact ones where all or none of the people are
counted, differences of two models on the same draws, a threshold chosen on rows of its
own, and undefined values that stay undefined.
Taught in ``a02_forest_general``.
"""

from sudlib.scores.comparison import difference, side_by_side, values
from sudlib.scores.evaluation import (
    MEASURES,
    Evaluation,
    evaluate,
    evaluate_matrix,
    resamples,
)
from sudlib.scores.thresholds import best_threshold, calibration, f_beta, net_benefit

__all__ = [
    "Evaluation",
    "MEASURES",
    "best_threshold",
    "calibration",
    "difference",
    "evaluate",
    "evaluate_matrix",
    "f_beta",
    "net_benefit",
    "resamples",
    "side_by_side",
    "values",
]
