"""The diabetes extract of study C: its schema, a loader, a synthetic cohort.

The study's extract of the Clinical Practice Research Datalink is licensed and cannot
be shared.  ``data/cprd/schema.csv`` says what a file must look like; :func:`load` opens
a licensed one, or by default draws a synthetic cohort, whose best rule is *known*, so
that what a method claims can be held against the truth.  Taught in notebook
``c05_diabetes``.
"""

from sudlib.policy.cprd.cohort import (
    BURDEN,
    best_rule,
    effects,
    expected_drops,
    hamming_rule,
    propensities,
    sample,
    true_value,
)
from sudlib.policy.cprd.imputation import impute
from sudlib.policy.cprd.records import arrays, check, load, read
from sudlib.policy.cprd.variables import COVARIATES, OUTCOME, PEOPLE, TREATMENTS, schema

__all__ = [
    "BURDEN",
    "COVARIATES",
    "OUTCOME",
    "PEOPLE",
    "TREATMENTS",
    "arrays",
    "best_rule",
    "check",
    "effects",
    "expected_drops",
    "hamming_rule",
    "impute",
    "load",
    "propensities",
    "read",
    "sample",
    "schema",
    "true_value",
]
