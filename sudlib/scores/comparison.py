"""Evaluations side by side: differences on the same draws, tables, values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from sudlib.estimates import Estimate
from sudlib.files import InputError
from sudlib.scores.evaluation import MEASURES, Evaluation, _estimate
from sudlib.validation import check_choice, check_confidence


def difference(
    first: Evaluation, second: Evaluation, measure: str, confidence_level: float = 0.95
) -> Estimate:
    """Return how much higher the first evaluation is, on the same bootstrap draws.

    Parameters
    ----------
    first, second : Evaluation
        Of the same rows, with the same seed and number of draws.
    measure : str
        A key of :data:`MEASURES`.
    confidence_level : float, default=0.95
        Nominal coverage of the interval.

    Returns
    -------
    sudlib.estimates.Estimate

    Raises
    ------
    InputError
        If the two are not of the same rows and draws.

    Examples
    --------
    >>> truth = [0, 0, 1, 1]
    >>> good, bad = evaluate(truth, [0.1, 0.2, 0.8, 0.9]), evaluate(truth, [0.5] * 4)
    >>> round(difference(good, bad, "average_precision").value, 3)
    0.5
    """
    check_choice("measure", measure, MEASURES)
    check_confidence(confidence_level)
    for name, each in (("first", first), ("second", second)):
        if not isinstance(each, Evaluation):
            raise InputError(
                f"{name} must be what evaluate returned, not {type(each).__name__}"
            )
    if first.draws.attrs != second.draws.attrs or len(first.draws) != len(second.draws):
        raise InputError(
            "two evaluations can be compared pairwise only on the same rows with the"
            " same seed and number of draws"
        )
    one, other = first.estimates[measure], second.estimates[measure]
    drawn, against = first.draws[measure], second.draws[measure]
    exact = (np.nan, np.nan)
    if drawn.nunique() == against.nunique() == 1:  # no draw can differ: exact limits
        value = one.value - other.value
        below = np.hypot(one.value - one.low, other.high - other.value)
        above = np.hypot(one.high - one.value, other.value - other.low)
        exact = value - below, value + above
    return _estimate(
        measure, one.value - other.value, drawn - against, confidence_level, exact
    )


def _check(evaluations: Any) -> None:
    """Raise unless evaluations are given by name."""
    by_name = isinstance(evaluations, Mapping)
    for each in evaluations.values() if by_name else [evaluations]:
        if not by_name or not isinstance(each, Evaluation | Mapping):
            raise InputError(
                "evaluations must be a dict of what evaluate returned, by name, not"
                f" {type(each).__name__}"
            )


def side_by_side(
    evaluations: Mapping[str, Evaluation | Mapping[str, Estimate]],
    measures: Iterable[str] = ("f05", "precision", "recall", "average_precision"),
) -> pd.DataFrame:
    """Return evaluations as a table of words: one row each, one column a measure.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        Or to the dict of estimates that :func:`evaluate_matrix` returns; what it
        lacks is left empty.
    measures : iterable of str
        Keys of :data:`MEASURES`.

    Returns
    -------
    pandas.DataFrame
    """
    rows = {}
    _check(evaluations)
    measures = [measures] if isinstance(measures, str) else list(measures)
    for measure in measures:
        check_choice("measures", measure, MEASURES)
    for name, evaluation in evaluations.items():
        if isinstance(evaluation, Evaluation):
            evaluation = evaluation.estimates
        rows[name] = {MEASURES[key]: str(evaluation.get(key, "")) for key in measures}
    return pd.DataFrame.from_dict(rows, orient="index")


def values(evaluations: Mapping[Any, Evaluation], measure: str) -> pd.DataFrame:
    """Return one measure of several evaluations, for a figure or a phrase.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
    measure : str
        A key of :data:`MEASURES`.

    Returns
    -------
    pandas.DataFrame
        One row each: ``value``, ``low``, ``high``.
    """
    check_choice("measure", measure, MEASURES)
    _check(evaluations)
    rows = [each.estimates[measure].as_dict() for each in evaluations.values()]
    return pd.DataFrame(rows, list(evaluations), ["value", "low", "high"])
