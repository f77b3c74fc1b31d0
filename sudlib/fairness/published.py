"""Study B's own formulas, to rebuild its tables; they do not measure fairness."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sudlib.fairness.inputs import Columns, Floats
from sudlib.fairness.rates import divide, extremes, rate_table
from sudlib.fairness.tables import families, tabulate
from sudlib.validation import check_number


class PaperFormulaWarning(UserWarning):
    """A formula of study B was asked for that does not measure what its name says."""


#: Measure: what is wrong with study B's formula for it.
FLAWS = {
    "demographic_parity_difference": "drops groups in which nobody gets a class, and"
    " over classes takes the smallest difference: it rewards the worst case",
    "demographic_parity_ratio": "drops groups in which nobody gets a class: a true"
    " ratio of 0 becomes 1",
    "equal_opportunity_difference": "counts a rate over nobody as 0 and pools classes:"
    " it mixes how hard a class is with how groups differ",
    "equal_opportunity_ratio": "counts a rate over nobody as 0",
    "equalized_odds_difference": "is |difference of TPR - difference of FPR|: it is 0"
    " when a model is as unfair as can be in both",
    "equalized_odds_ratio": "counts a rate over nobody as 0",
}


def warn_about_paper(measure: str) -> None:
    """Warn what study B's formula for a measure does.

    Parameters
    ----------
    measure : str
        A key of :data:`sudlib.fairness.MEASURES`.
    """
    warnings.warn(
        f"agg='paper': study B's {measure} {FLAWS[measure]}; use it to rebuild the"
        " study's tables, not to judge a model",
        PaperFormulaWarning,
        stacklevel=3,
    )


def paper_disparity(
    rates: Mapping[str, Floats], kind: str, starts: ArrayLike
) -> Floats:
    """Return a measure by study B's formulas, which the notebooks read off its tables.

    * Selection rates of exactly 0 are dropped as if the cell did not exist; over
      classes the difference is the smallest one ("at least one is zero").
    * Other rates over nobody count as 0; over classes, the extremes of a difference
      are pooled over classes and groups together.
    * Equalized odds is the distance between the two differences.

    Parameters
    ----------
    rates : dict of str to numpy.ndarray of shape (n_groups, n_resamples, n_classes)
        The rates that the measure compares.
    kind : {"difference", "ratio"}
        How it compares them.
    starts : array-like of int
        The position of the first group of each set.

    Returns
    -------
    numpy.ndarray of shape (n_sets, n_resamples)
    """
    spreads = []
    for name, rate in rates.items():
        selection = name == "selection_rate"
        coded = np.where(rate == 0, np.nan, rate) if selection else np.nan_to_num(rate)
        low, high = extremes(coded, starts)
        if kind == "ratio":
            spreads.append(np.fmin.reduce(divide(low, high), axis=-1))
        elif selection:
            spreads.append(np.fmin.reduce(high - low, axis=-1))
        else:
            spreads.append(high.max(-1) - low.min(-1))
    if kind == "ratio":
        return np.fmin.reduce(spreads, axis=0)
    return spreads[0] if len(spreads) == 1 else np.abs(spreads[0] - spreads[1])


def max_threshold(difference: float) -> float:
    """Return study B's "max threshold" for a difference (section 6.4).

    It is the largest of 0.01, 0.06, 0.11, … that does not exceed the difference, and
    0 for a difference of 0: the largest threshold at which the class still *fails*.

    Parameters
    ----------
    difference : float
        A difference of rates, 0 to 1.

    Returns
    -------
    float

    Examples
    --------
    >>> [max_threshold(value) for value in (0.27, 0.05, 0.06, 0.0)]
    [0.26, 0.01, 0.06, 0.0]
    """
    check_number("difference", difference, 0, 1)
    tried = np.round(np.arange(0.01, 1.0, 0.05), 2)
    written = float(str(np.asarray(difference)[()]))  # of a float32: 0.11, not 0.10999
    failed = tried[tried <= round(written, 10)]
    return float(failed[-1]) if len(failed) else 0.0


def paper_class_table(
    values: ArrayLike,
    *,
    sensitive_features: Columns,
    sample_weight: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
) -> pd.DataFrame:
    """Return study B's tables 6.2 and 6.4 beside what they should say.

    Taught in the notebook *What do the printed numbers prove?*.

    Parameters
    ----------
    values : array-like
        The classes: the study takes the *balanced labels* here, not predictions.
    sensitive_features : DataFrame or dict
        The sensitive features; each is taken alone.
    sample_weight : array-like, optional
        At least 0; by default 1.
    labels : iterable, optional
        All classes, also those that do not occur.

    Returns
    -------
    pandas.DataFrame
        One row a variable and class: ``ratio`` and ``difference`` over all groups,
        ``paper_ratio``, ``paper_difference`` and ``paper_max_threshold`` as the study
        computes them (groups in which nobody has the class do not count),
        ``n_without`` (such groups), and for the variable ``paper_satisfied`` ("at
        least one difference is 0").

    Examples
    --------
    >>> table = paper_class_table([0, 1, 1], sensitive_features={"sex": list("ffm")})
    >>> table[["label", "ratio", "paper_ratio"]].values.tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.5, 0.5]]
    """
    counts = tabulate(values, values, sensitive_features, sample_weight, labels)
    rates = rate_table(counts, families(counts, "each"))
    rates["present"] = rates["selection_rate"].replace(0, np.nan)
    by_class = rates.groupby(["variables", "label"], sort=False)
    columns: dict[str, pd.Series] = {}
    for prefix, name in (("", "selection_rate"), ("paper_", "present")):
        low, high = by_class[name].min(), by_class[name].max()
        columns |= {f"{prefix}ratio": low / high, f"{prefix}difference": high - low}
    table = pd.DataFrame(columns)
    difference = table["paper_difference"]
    table["paper_max_threshold"] = difference.map(max_threshold, na_action="ignore")
    table["n_without"] = by_class["selection_rate"].agg(lambda rate: (rate == 0).sum())
    zero = (difference.round(2) == 0).groupby("variables").transform("any")
    table["paper_satisfied"] = zero
    return table.reset_index(names=["variable", "label"])
