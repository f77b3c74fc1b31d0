"""The variables of the diabetes extract, and the schema that a file must fit."""

from __future__ import annotations

from functools import cache

import pandas as pd

from sudlib.files import data_file

#: People in the study's extract.
PEOPLE = 1139

#: The 21 covariates, in the order of the schema.
COVARIATES = tuple(
    "male age duration bmi hba1c egfr hdl ldl log_triglycerides systolic diastolic"
    " log_alt smoker ex_smoker hypertension stroke ischaemic_heart_disease"
    " heart_failure chronic_kidney_disease retinopathy neuropathy".split()
)

#: The four treatments, in the order of the study.
TREATMENTS = ("dpp4", "su", "met", "tzd")

#: Percentage points of HbA1c; negative when it fell.
OUTCOME = "hba1c_change"


@cache
def cached_schema() -> pd.DataFrame:
    """Return the schema; it is shared and must not be changed.

    Returns
    -------
    pandas.DataFrame
    """
    table = pd.read_csv(data_file("cprd/schema.csv"), keep_default_na=False)
    for name in ("low", "high", "mean", "spread", "missing"):
        table[name] = pd.to_numeric(table[name])
    return table.set_index("name")


def schema() -> pd.DataFrame:
    """Return what a file of the extract must hold, one row a column.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``name``: ``label``, ``unit``, ``kind`` ("number", "yes-no",
        "treatment" or "outcome"), ``low`` and ``high`` (allowed values), ``mean``,
        ``spread`` (standard deviation) and ``missing`` (share) of the synthetic
        cohort, and a ``note``.

    Examples
    --------
    >>> schema().loc["bmi", "unit"]
    'kg/m2'
    """
    return cached_schema().copy()
