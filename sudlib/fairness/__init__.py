"""Rates of groups, worst-case ratios, their intervals, and reweighing.

The way is always the same: count rows by (cell of the group columns, true class,
predicted class), sum the counts to a family of groups, take rates, take the extremes.
What is undefined is NaN and says why.  Taught in the notebooks *How fair are the
models, variable by variable?*, *Do groups interact, and does reweighing help?* and
*What do the printed numbers prove?*.
"""

from sudlib.fairness.counts import FAMILIES, SMALL, Counts, Family, families, tabulate
from sudlib.fairness.interactions import interactions
from sudlib.fairness.measures import (
    MEASURES,
    Disparity,
    PaperFormulaWarning,
    conditional_statistical_parity_ratio,
    demographic_parity_difference,
    demographic_parity_ratio,
    disparate_impact,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
    group_rates,
    max_threshold,
    paper_class_table,
    statistical_parity_difference,
)
from sudlib.fairness.report import THRESHOLDS, Report, assess, fair_null
from sudlib.fairness.reweighing import (
    Reweighing,
    ReweighingWarning,
    effective_sample_size,
)

__all__ = [
    "FAMILIES",
    "MEASURES",
    "SMALL",
    "THRESHOLDS",
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
