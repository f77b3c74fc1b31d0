"""Made-up discharge records that match the published totals."""

from sudlib.twin.completion import (
    INTERACTIONS,
    SCORE_PARTS,
    UNIT,
    add_up,
    calibrate_completion,
    calibrate_endings,
    draw_reason,
    find_endings,
    find_groups,
)
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
from sudlib.twin.sampler import CHUNK, draw_features, sample, state_bounds
from sudlib.twin.specification import LATENTS, PARTS, STEPS, YEARS, key_levels, key_size

__all__ = [
    "CHUNK",
    "INTERACTIONS",
    "LATENTS",
    "PARTS",
    "SCORE_PARTS",
    "STEPS",
    "UNIT",
    "YEARS",
    "add_up",
    "calibrate_completion",
    "calibrate_endings",
    "check_structure",
    "compare_completion",
    "compare_correlations",
    "compare_margins",
    "compare_reasons",
    "count_bytes",
    "draw_features",
    "draw_reason",
    "find_endings",
    "find_groups",
    "key_levels",
    "key_size",
    "margin",
    "read_correlations",
    "read_states",
    "read_targets",
    "sample",
    "state_bounds",
]
