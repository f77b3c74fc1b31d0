"""Made-up discharge records that match the published totals."""

from sudlib.twin.completion import MECHANISMS
from sudlib.twin.fidelity import (
    check_structure,
    compare_completion,
    compare_correlations,
    compare_margins,
    compare_reasons,
    count_bytes,
    read_correlations,
)
from sudlib.twin.mechanisms import across_mechanisms, tell_signs
from sudlib.twin.parameters import margin, read_states, read_targets
from sudlib.twin.sampler import sample
from sudlib.twin.scorecard import (
    compare_coefficients,
    compare_left,
    compare_outpatient,
    compare_substances,
    measure_areas,
    read_real,
    score_card,
    skill,
)
from sudlib.twin.specification import PARTS, STEPS, YEARS

__all__ = [
    "MECHANISMS",
    "PARTS",
    "STEPS",
    "YEARS",
    "across_mechanisms",
    "check_structure",
    "compare_coefficients",
    "compare_completion",
    "compare_correlations",
    "compare_left",
    "compare_margins",
    "compare_outpatient",
    "compare_reasons",
    "compare_substances",
    "count_bytes",
    "margin",
    "measure_areas",
    "read_correlations",
    "read_real",
    "read_states",
    "read_targets",
    "sample",
    "score_card",
    "skill",
    "tell_signs",
]
