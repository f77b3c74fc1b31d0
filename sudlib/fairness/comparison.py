"""How far apart the rates of groups lie, and which groups attain the extremes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sudlib.fairness.inputs import Floats, judged_classes
from sudlib.fairness.published import paper_disparity
from sudlib.fairness.rates import divide, extremes, rates_of
from sudlib.fairness.tables import SMALL, Counts, Family, sum_to_groups
from sudlib.validation import check_choice, check_whole

_COMPARED = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
}

#: Measure: the rates it compares, and how.
MEASURES = {
    f"{name}_{kind}": (rates, kind)
    for name, rates in _COMPARED.items()
    for kind in ("difference", "ratio")
}

AGGREGATES = ("worst", "mean", "paper")

Rates: TypeAlias = Mapping[str, Floats]


class Disparity(float):
    """A difference or ratio of rates: a float that knows where it comes from.

    Attributes
    ----------
    reason : str
        Why it is NaN; empty when it is defined.
    label : object
        The class whose rates are furthest apart (None when it is undefined).
    rate : str or None
        The rate that is furthest apart.
    lowest, highest : str or None
        The groups that attain the extremes.
    lowest_rate, highest_rate : float
        Their rates.
    lowest_n, highest_n : int or None
        Their numbers of rows.
    n_groups, n_empty, n_small, n_undefined : int
        Groups in the family; those without a row; those with rows but fewer than
        ``min_n`` (left out) or, without ``min_n``, than 30 (kept); those of the rest
        for which a rate that is compared has denominator 0.
    n_undefined_classes : int
        Classes left out of the extreme over classes because nothing is defined there.
    """

    reason: str = ""
    label: Any = None
    rate: str | None = None
    lowest: str | None = None
    highest: str | None = None
    lowest_rate: float = np.nan
    highest_rate: float = np.nan
    lowest_n: int | None = None
    highest_n: int | None = None
    n_groups: int = 0
    n_empty: int = 0
    n_small: int = 0
    n_undefined: int = 0
    n_undefined_classes: int = 0

    def __new__(cls, value: float, **facts: Any) -> Self:
        """Return the float with its facts."""
        made = super().__new__(cls, value)
        made.__dict__.update(facts)
        return made

    def __repr__(self) -> str:
        return f"undefined ({self.reason})" if np.isnan(self) else super().__repr__()

    __str__ = __repr__

    def facts(self) -> dict[str, Any]:
        """Return the attributes by name, as a part of a row of a table.

        Returns
        -------
        dict of str to object
        """
        return {name: getattr(self, name) for name in Disparity.__annotations__}


class ConditionalDisparity(Disparity):
    """The smallest of the disparities at the levels of a condition.

    Attributes
    ----------
    levels : dict of object to Disparity
        The disparity at each level.
    level : object
        The level with the smallest one; None when all are undefined.
    n_undefined_levels : int
        Levels that are undefined and skipped.
    """

    levels: dict[Any, Disparity]
    level: Any
    n_undefined_levels: int


def disparity(
    rates: Rates, measure: str, starts: ArrayLike, agg: str = "worst"
) -> Floats:
    """Return a measure for each set of groups and resample, from the groups' rates.

    Within a class a difference needs all its rates, and a ratio all but those that are
    0 in every group (0/0: they do not differ).  Classes where nothing is defined are
    skipped.

    Parameters
    ----------
    rates : dict of str to numpy.ndarray of shape (n_groups, n_resamples, n_classes)
        Only the classes that are judged and the groups that are compared (NaN for
        the others).
    measure : str
        A key of :data:`MEASURES`.
    starts : array-like of int
        The position of the first group of each set; ``[0]`` compares all with all.
    agg : {"worst", "mean", "paper"}
        How rates and classes are combined.

    Returns
    -------
    numpy.ndarray of shape (n_sets, n_resamples)
    """
    names, kind = MEASURES[measure]
    if agg == "paper":
        return paper_disparity({name: rates[name] for name in names}, kind, starts)
    spreads, comparable = spread_of(rates, measure, starts)
    worst = np.fmax.reduce if kind == "difference" else np.fmin.reduce
    combine: Callable[..., Any] = worst if agg == "worst" else _mean
    by_class = np.where(comparable, combine(spreads, axis=0), np.nan)
    return combine(by_class, axis=-1)


def spread_of(
    rates: Rates, measure: str, starts: ArrayLike
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how far apart the rates of a measure lie within each set of groups.

    Parameters
    ----------
    rates, measure, starts
        As in :func:`disparity`.

    Returns
    -------
    spreads : numpy.ndarray of shape (n_rates, n_sets, n_resamples, n_classes)
        NaN with fewer than two defined rates, and for a ratio of 0 to 0.
    comparable : numpy.ndarray of bool, shape (n_sets, n_resamples, n_classes)
        Whether each of the rates is defined in two groups.
    """
    names, kind = MEASURES[measure]
    spreads, comparable = [], []
    for name in names:
        low, high = extremes(rates[name], starts)
        defined = ~np.isnan(rates[name])
        two = np.add.reduceat(defined, starts, axis=0, dtype=int) > 1  # type: ignore[arg-type]
        spread = high - low if kind == "difference" else divide(low, high)
        spreads.append(np.where(two, spread, np.nan))
        comparable.append(two)
    return np.stack(spreads), np.all(comparable, axis=0)


def _mean(values: Floats, axis: int) -> Floats:
    """Return the mean of what is defined, NaN where nothing is, without a warning."""
    return divide(np.nansum(values, axis), (~np.isnan(values)).sum(axis))


@dataclass(frozen=True)
class Comparison:
    """Which groups are compared, in which classes and how; made by :func:`compare`.

    Attributes
    ----------
    counts : Counts
        The counted rows.
    family : Family
        The groups.
    judged : list of int
        Positions of the classes that are judged.
    kept : numpy.ndarray of bool, shape (n_groups,)
        The groups that are large enough to be compared.
    agg : {"worst", "mean", "paper"}
        How rates and classes are combined.
    """

    counts: Counts
    family: Family
    judged: list[int]
    kept: NDArray[np.bool_]
    agg: str

    def rates(self, resampled: ArrayLike | None = None) -> Rates:
        """Return the rates of the counts or of resamples, NaN for groups left out.

        Parameters
        ----------
        resampled : array-like of shape (n_categories, n_resamples), optional
            As in :func:`sudlib.fairness.tables.sum_to_groups`.

        Returns
        -------
        dict of str to numpy.ndarray of shape (n_groups, n_resamples, n_judged)
        """
        return self.select(sum_to_groups(self.counts, self.family, resampled))

    def select(self, summed: Floats) -> Rates:
        """Return :meth:`rates` from counts that are already summed to groups.

        Parameters
        ----------
        summed : numpy.ndarray of shape (n_groups, n_resamples, n_classes, n_classes)
            Truth before prediction.

        Returns
        -------
        dict of str to numpy.ndarray of shape (n_groups, n_resamples, n_judged)
        """
        kept = self.kept[:, None, None]
        return {
            name: np.where(kept, rate[..., self.judged], np.nan)
            for name, rate in rates_of(summed).items()
        }

    def describe(
        self, measure: str, rates: Rates | None = None, groups: slice = slice(None)
    ) -> Disparity:
        """Return a measure over some of the groups, and which groups attain it.

        Parameters
        ----------
        measure : str
            A key of :data:`MEASURES`.
        rates : dict of str to numpy.ndarray, optional
            From :meth:`rates`, which is called by default; of several resamples the
            first is described.
        groups : slice
            By default all groups.

        Returns
        -------
        Disparity
        """
        names, kind = MEASURES[measure]
        rates = self.rates() if rates is None else rates
        rates = {name: rates[name][groups, :1] for name in names}
        kept, table = self.kept[groups], self.family.groups.iloc[groups]
        n = table["n"].to_numpy()
        value = float(disparity(rates, measure, [0], self.agg)[0, 0])
        by_class, comparable = spread_of(rates, measure, [0])
        spreads = np.where(comparable[0, 0], by_class[:, 0, 0], np.nan)
        undefined = np.any([np.isnan(each).any((1, 2)) for each in rates.values()], 0)
        facts: dict[str, Any] = {
            "n_groups": len(n),
            "n_empty": int((n == 0).sum()),
            "n_small": int(((n > 0) & ((n < SMALL) | ~kept)).sum()),
            "n_undefined": int((undefined & kept & (n > 0)).sum()),
            "n_undefined_classes": int(np.isnan(spreads).all(axis=0).sum()),
        }
        if np.isnan(value):
            facts["reason"] = _why_undefined(rates, kind, kept & (n > 0))
        elif not np.isnan(spreads).all():  # only study B's formulas are defined then
            # Of equal extremes a difference names the first rate, a ratio the last.
            order = np.arange(len(names))[:: -1 if kind == "ratio" else 1]
            furthest = np.nanargmin if kind == "ratio" else np.nanargmax
            first, label = np.unravel_index(furthest(spreads[order]), spreads.shape)
            facts |= {
                "label": self.counts.labels[self.judged[label]],
                "rate": names[order[first]],
            }
            rate = rates[facts["rate"]][:, 0, label]
            ends = {"lowest": np.nanargmin(rate), "highest": np.nanargmax(rate)}
            for end, at in ends.items():
                facts[end] = table["group"].iloc[at]
                facts[f"{end}_rate"] = float(rate[at])
                facts[f"{end}_n"] = int(n[at])
        return Disparity(value, **facts)


def compare(
    counts: Counts, family: Family, agg: str, min_n: int, pos_label: Any
) -> Comparison:
    """Return a comparison of the groups of a family.

    Parameters
    ----------
    counts : Counts
        The counted rows.
    family : Family
        The groups.
    agg : {"worst", "mean", "paper"}
        How rates and classes are combined.
    min_n : int
        Groups with fewer rows are left out; empty ones always are.
    pos_label : object or None
        Judge this class only.

    Returns
    -------
    Comparison
    """
    check_choice("agg", agg, AGGREGATES)
    kept = family.groups["n"].to_numpy() >= max(check_whole("min_n", min_n), 1)
    return Comparison(
        counts, family, judged_classes(counts.labels, pos_label), kept, agg
    )


def _why_undefined(rates: Rates, kind: str, compared: NDArray[np.bool_]) -> str:
    """Return why a disparity is undefined."""
    n_compared = int(compared.sum())
    if len(compared) < 2:
        return "there is only one group"
    if n_compared < 2:
        return (
            f"only {n_compared} of {len(compared)} groups is large enough and not empty"
        )
    for name, rate in rates.items():
        defined = (~np.isnan(rate)).sum(axis=(0, 1)).max()
        if defined < 2:
            return f"{name} is defined in {defined} of {n_compared} groups"
    if kind == "ratio":
        return f"{' and '.join(rates)} are 0 in every group (0/0)"
    return "the rates that are compared are defined in different classes"


def smallest_over_levels(levels: Mapping[Any, Disparity]) -> ConditionalDisparity:
    """Return the smallest defined disparity of the levels of a condition.

    Parameters
    ----------
    levels : dict of object to Disparity
        The disparity at each level, at least one.

    Returns
    -------
    ConditionalDisparity
    """
    defined = {level: value for level, value in levels.items() if not np.isnan(value)}
    level = min(defined, key=lambda each: float(defined[each]), default=None)
    chosen = defined[level] if defined else next(iter(levels.values()))
    facts = chosen.facts()
    if not defined:
        facts["reason"] = (
            f"undefined at each of the {len(levels)} levels of the condition"
        )
    skipped = len(levels) - len(defined)
    return ConditionalDisparity(
        chosen, **facts, levels=dict(levels), level=level, n_undefined_levels=skipped
    )
