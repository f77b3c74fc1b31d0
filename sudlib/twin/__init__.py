"""Made-up discharge records that match the published totals."""

from sudlib.twin.fidelity import (
    check_structure,
    compare_completion,
    compare_correlations,
    compare_margins,
    compare_reasons,
    count_bytes,
    read_correlations,
)
from sudlib.twin.parameters import margin, read_states, read_targets
from sudlib.twin.sampler import sample
from sudlib.twin.specification import PARTS, STEPS, YEARS

__all__ = [
    "PARTS",
    "STEPS",
    "YEARS",
    "check_structure",
    "compare_completion",
    "compare_correlations",
    "compare_margins",
    "compare_reasons",
    "count_bytes",
    "margin",
    "read_correlations",
    "read_states",
    "read_targets",
    "sample",
]
