"""The measures of group fairness, by fairlearn's names and signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from numpy.typing import ArrayLike

from sudlib.fairness import comparison, tables
from sudlib.fairness.disparity import (
    ConditionalDisparity,
    Disparity,
    smallest_over_levels,
)
from sudlib.fairness.inputs import Columns
from sudlib.fairness.published import warn_about_paper


def _define(name: str, what: str, notes: str) -> Callable[..., Disparity]:
    """Return the public function of a measure, with its documentation."""

    def measure(
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sensitive_features: Columns | None = None,
        sample_weight: ArrayLike | None = None,
        family: tables.FamilyName | Mapping[str, ArrayLike] = "joint",
        agg: str = "worst",
        method: str = "between_groups",
        min_n: int = 0,
        pos_label: Any = None,
        labels: Iterable[Any] | None = None,
        missing: str = "error",
    ) -> Disparity:
        """Return {what}.

        Taught in the notebook *How fair are the models, variable by variable?*.

        Parameters
        ----------
        y_true, y_pred : array-like
            Classes.  With two, the rates are those of ``pos_label``; with more, those
            of every class, and the {worst} over classes is returned.
        sensitive_features : array-like, Series, DataFrame or dict
            One or more group columns; not needed if ``family`` is a dict of masks.
        sample_weight : array-like of float, optional
            At least 0; by default 1.
        family : str, int, list or dict, default="joint"
            Which groups are compared: see :func:`sudlib.fairness.families`; or a dict
            of masks, for groups of your own that may overlap.
        agg : {{"worst", "mean", "paper"}}, default="worst"
            Over classes and rates; ``"paper"`` is study B's own formula, and warns;
            fairlearn's ``"worst_case"`` is ``"worst"``.
        method : {{"between_groups", "to_overall"}}, default="between_groups"
            Compare groups with each other, or each with all rows, as in fairlearn.
        min_n : int, default=0
            Rates of fewer rows (a true positive rate: rows of the class) are left out
            of the extremes and counted.
        pos_label : optional
            Judge this class only; needed for two classes that are not 0 and 1.
        labels : iterable, optional
            All classes, also those that do not occur.
        missing : {{"error", "level", "omit"}}, default="error"
            Whether a missing group value stops, is a group, or leaves the row out of
            the groups that need it.

        Returns
        -------
        Disparity
            A float between 0 and 1 that also names the groups that attain it; {fair}
            is fair.  NaN, with a reason, where fewer than two groups have the
            rate{undefined}.

        Raises
        ------
        InputError
            For columns of different lengths, unknown classes, families or columns, and
            missing values.

        Notes
        -----
        {notes}

        Examples
        --------
        >>> {name}(
        ...     [1, 1, 0, 0, 1, 1, 0, 0],
        ...     [1, 0, 1, 0, 1, 1, 1, 1],
        ...     sensitive_features=list("aaaabbbb"),
        ... )
        0.5
        """
        if agg == "paper":
            warn_about_paper(name)
        masks = isinstance(family, Mapping)
        columns: Any = family if masks else sensitive_features
        more = (sample_weight, labels, missing)
        counts = tables.tabulate(y_true, y_pred, columns, *more)
        each = tables.mask_family(counts) if masks else tables.families(counts, family)
        how = (agg, min_n, pos_label, method)
        return comparison.Comparison(counts, each, *how).describe(name)

    ratio = name.endswith("ratio")
    measure.__name__ = measure.__qualname__ = name
    measure.__doc__ = (measure.__doc__ or "").format(
        name=name,
        what=what,
        notes=notes,
        worst="smallest ratio" if ratio else "largest difference",
        fair=int(ratio),
        undefined=", or all rates are 0" if ratio else "",
    )
    return measure


demographic_parity_difference = _define(
    "demographic_parity_difference",
    "how far apart groups are in how often they are predicted a class",
    "The largest P(prediction = k | group) minus the smallest; study B's equation 4.",
)
demographic_parity_ratio = _define(
    "demographic_parity_ratio",
    "the smallest rate of a prediction over groups, divided by the largest",
    "Study B's equations 38 to 40 (Ghosh, Genuit and Reagan 2021).",
)
equal_opportunity_difference = _define(
    "equal_opportunity_difference",
    "how far apart groups are in their true positive rates",
    "Study B's equations 5 to 7 (Hardt, Price and Srebro 2016).",
)
equal_opportunity_ratio = _define(
    "equal_opportunity_ratio",
    "the smallest true positive rate over groups, divided by the largest",
    "Study B's equations 44 to 47.",
)
equalized_odds_difference = _define(
    "equalized_odds_difference",
    "the larger of the differences in true and in false positive rates",
    "Study B's equation 15 as Hardt, Price and Srebro (2016) mean it, not as printed.",
)
equalized_odds_ratio = _define(
    "equalized_odds_ratio",
    "the smaller of the ratios of true and of false positive rates",
    "Study B's equations 48 and 49.  It is never above the equal opportunity ratio.",
)

#: Study B's word for :func:`demographic_parity_ratio`: over groups they are equal.
disparate_impact = demographic_parity_ratio

#: Study B's word for :func:`demographic_parity_difference`.
statistical_parity_difference = demographic_parity_difference


def conditional_statistical_parity_ratio(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    condition: ArrayLike,
    sensitive_features: Columns,
    sample_weight: ArrayLike | None = None,
    family: tables.FamilyName = "joint",
    agg: str = "worst",
    method: str = "between_groups",
    min_n: int = 0,
    pos_label: Any = None,
    labels: Iterable[Any] | None = None,
    missing: str = "error",
) -> ConditionalDisparity:
    """Return the smallest demographic parity ratio over levels of a condition.

    Among rows with the same value of a legitimate attribute, how unequal are the
    predictions?  Study B's equations 41 to 43; it never names its attribute, so here
    it must be given.

    Parameters
    ----------
    y_true, y_pred : array-like
        Classes, one a row.
    condition : array-like
        The legitimate attribute, one value a row.
    sensitive_features, sample_weight, family, agg, method, min_n
        As in :func:`demographic_parity_ratio`.
    pos_label, labels, missing
        As there.

    Returns
    -------
    ConditionalDisparity
        A :class:`Disparity` that also has ``levels`` (the ratio at each level),
        ``level`` (where it is smallest) and ``n_undefined_levels``: levels with fewer
        than two groups are undefined and skipped.

    Raises
    ------
    InputError
        As :func:`demographic_parity_ratio`, and for missing values of the condition.

    Examples
    --------
    >>> found = conditional_statistical_parity_ratio(
    ...     [1, 1, 1, 1, 1, 1],
    ...     [1, 0, 1, 1, 1, 1],
    ...     condition=["old", "old", "old", "young", "young", "young"],
    ...     sensitive_features=list("aabaab"),
    ... )
    >>> found, found.level
    (0.5, 'old')
    """
    if agg == "paper":
        warn_about_paper("demographic_parity_ratio")
    counted = tables.tabulate_levels(
        condition, y_true, y_pred, sensitive_features, sample_weight, labels, missing
    )
    at_levels = {}
    for level, counts in counted.items():
        groups = tables.families(counts, family)
        chosen = comparison.Comparison(counts, groups, agg, min_n, pos_label, method)
        at_levels[level] = chosen.describe("demographic_parity_ratio")
    return smallest_over_levels(at_levels)
