"""Study B: Oklahoma's rehabilitation records, their coding, splits and models."""

from sudlib.oklahoma import coding, forensics, smoten_audit
from sudlib.oklahoma.cohort import (
    STUDY_ROWS,
    Cohort,
    load_people,
    make_cohort,
    relabel,
    select_people,
    subset,
)
from sudlib.oklahoma.generator import VariationalSampler
from sudlib.oklahoma.models import (
    COSTS,
    FOREST_GRID,
    KERNELS,
    OFFSET,
    PRINTED_C,
    TREE_GRID,
    DenseKernel,
    SupportVectorMachine,
    printed_models,
)
from sudlib.oklahoma.networks import EPOCHS, NETWORK_GRID, NetworkGridSearch
from sudlib.oklahoma.resampling import (
    BALANCE,
    Predictions,
    Split,
    make_splits,
    predict,
)

__all__ = [
    "BALANCE",
    "COSTS",
    "EPOCHS",
    "FOREST_GRID",
    "KERNELS",
    "NETWORK_GRID",
    "OFFSET",
    "PRINTED_C",
    "STUDY_ROWS",
    "TREE_GRID",
    "Cohort",
    "DenseKernel",
    "SupportVectorMachine",
    "NetworkGridSearch",
    "Predictions",
    "Split",
    "VariationalSampler",
    "coding",
    "forensics",
    "load_people",
    "make_cohort",
    "make_splits",
    "predict",
    "printed_models",
    "relabel",
    "select_people",
    "smoten_audit",
    "subset",
]
