"""Rates of groups, worst-case ratios, their bounds, and reweighing.

The way is always the same: count rows by (cell of the group columns, true class,
predicted class), sum the counts to a family of groups, take rates, take the extremes.
Bounds hold for all groups of a family at once.  What is undefined is NaN and says why.
Taught in the notebooks *How fair are the models, variable by variable?*, *Do groups
interact, and does reweighing help?* and *What do the printed numbers prove?*.

It needs NumPy, SciPy, pandas and scikit-learn only.
"""

from sudlib.fairness.comparison import MEASURES
from sudlib.fairness.contingency import interactions
from sudlib.fairness.disparity import ConditionalDisparity, Disparity
from sudlib.fairness.inference import detectable_difference
from sudlib.fairness.measures import (
    conditional_statistical_parity_ratio,
    demographic_parity_difference,
    demographic_parity_ratio,
    disparate_impact,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
    statistical_parity_difference,
)
from sudlib.fairness.null import fair_null
from sudlib.fairness.published import (
    PaperFormulaWarning,
    max_threshold,
    paper_class_table,
)
from sudlib.fairness.rates import group_rates
from sudlib.fairness.report import Report, assess
from sudlib.fairness.reweighing import (
    Reweighing,
    ReweighingWarning,
    effective_sample_size,
)
from sudlib.fairness.tables import (
    FAMILIES,
    SMALL,
    Counts,
    Family,
    families,
    tabulate,
)

__all__ = [
    "FAMILIES",
    "MEASURES",
    "SMALL",
    "ConditionalDisparity",
    "Counts",
    "Disparity",
    "Family",
    "PaperFormulaWarning",
    "Report",
    "Reweighing",
    "ReweighingWarning",
    "assess",
    "conditional_statistical_parity_ratio",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "detectable_difference",
    "disparate_impact",
    "effective_sample_size",
    "equal_opportunity_difference",
    "equal_opportunity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "fair_null",
    "families",
    "group_rates",
    "interactions",
    "max_threshold",
    "paper_class_table",
    "statistical_parity_difference",
    "tabulate",
]
