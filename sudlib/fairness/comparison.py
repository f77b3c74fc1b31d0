"""How far apart the rates of groups lie, and which groups attain the extremes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sudlib.fairness.disparity import Disparity
from sudlib.fairness.inputs import Floats, judged_classes
from sudlib.fairness.published import paper_disparity
from sudlib.fairness.rates import divide, extremes, fractions, rates_of
from sudlib.fairness.tables import SMALL, Counts, Family, sum_to_groups
from sudlib.files import InputError
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

AGGREGATES = ("worst", "worst_case", "mean", "paper")

METHODS = ("between_groups", "to_overall")

Rates: TypeAlias = Mapping[str, Floats]


def disparity(
    rates: Rates,
    measure: str,
    starts: ArrayLike,
    agg: str = "worst",
    overall: Rates | None = None,
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
    overall : dict of str to numpy.ndarray of shape (n_resamples, n_classes), optional
        The rates of all rows, if groups are compared with these.

    Returns
    -------
    numpy.ndarray of shape (n_sets, n_resamples)
    """
    names, kind = MEASURES[measure]
    if agg == "paper":
        return paper_disparity({name: rates[name] for name in names}, kind, starts)
    return combine(*spread_of(rates, measure, starts, overall), kind, agg)


def combine(
    spreads: Floats, comparable: NDArray[np.bool_], kind: str, agg: str
) -> Floats:
    """Return spreads combined over rates and classes.

    Parameters
    ----------
    spreads, comparable
        As :func:`spread_of` returns them.
    kind : {"difference", "ratio"}
        What is worse: more, or less.
    agg : {"worst", "mean"}
        How.

    Returns
    -------
    numpy.ndarray of shape (n_sets, n_resamples)
    """
    worst = np.fmax.reduce if kind == "difference" else np.fmin.reduce
    together: Callable[..., Any] = worst if agg == "worst" else _mean
    by_class = np.where(comparable, together(spreads, axis=0), np.nan)
    return together(by_class, axis=-1)


def spread_of(
    rates: Rates, measure: str, starts: ArrayLike, overall: Rates | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how far apart the rates of a measure lie within each set of groups.

    Parameters
    ----------
    rates, measure, starts, overall
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
        ends = [(low, high)]
        if overall is not None:
            whole = np.broadcast_to(overall[name], low.shape)
            ends = [(low, whole), (whole, high)]
        if kind == "difference":
            spread = np.max([high - low for low, high in ends], axis=0)
        else:
            spread = np.min([divide(low, high) for low, high in ends], axis=0)
        spreads.append(np.where(two, spread, np.nan))
        comparable.append(two)
    return np.stack(spreads), np.all(comparable, axis=0)


def _mean(values: Floats, axis: int) -> Floats:
    """Return the mean of what is defined, NaN where nothing is, without a warning."""
    return divide(np.nansum(values, axis), (~np.isnan(values)).sum(axis))


class Shares(NamedTuple):
    """A rate of each group and class, and how many rows, in effect, it rests on.

    Weighted rows count as Kish has it, or as fewer if the weights of hits and misses
    differ (Korn and Graubard 1998).
    """

    rate: Floats
    n: Floats


def _shares(weights: Floats, squares: Floats, judged: list[int]) -> dict[str, Shares]:
    """Return the rates of tables that hold sums of weights and of their squares."""
    summed, squared = fractions(weights), fractions(squares)
    rates = {}
    for name, pair in summed.items():
        top, bottom, hit, every = (
            each[:, 0, judged] for each in (*pair, *squared[name])
        )
        rate = divide(top, bottom)
        spread = (1 - rate) ** 2 * hit + rate**2 * (every - hit)
        n = divide(rate * (1 - rate) * bottom**2, spread)
        rates[name] = Shares(rate, np.fmin(divide(bottom**2, every), n))
    return rates


@dataclass
class Comparison:
    """Which groups are compared, in which classes and how.

    Parameters
    ----------
    counts : Counts
        The counted rows.
    family : Family
        The groups.
    agg : {"worst", "mean", "paper"}
        How rates and classes are combined; fairlearn's "worst_case" is "worst".
    min_n : int
        Rates of fewer rows are left out; those of no row always are.
    pos_label : object or None
        Judge this class only.
    method : {"between_groups", "to_overall"}
        What a group is compared with.

    Attributes
    ----------
    judged : list of int
        Positions of the classes that are judged.
    """

    counts: Counts
    family: Family
    agg: str = "worst"
    min_n: int = 0
    pos_label: Any = None
    method: str = "between_groups"

    def __post_init__(self) -> None:
        check_choice("agg", self.agg, AGGREGATES)
        check_choice("method", self.method, METHODS)
        if self.agg == "paper" and self.method == "to_overall":
            raise InputError(
                "agg='paper' compares groups with each other: method='between_groups'"
            )
        self.judged = judged_classes(self.counts.labels, self.pos_label)
        self.min_n = check_whole("min_n", self.min_n)
        self.agg = "worst" if self.agg == "worst_case" else self.agg

    @cached_property
    def _groups(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The groups in words, and their rows."""
        groups = self.family.groups
        return groups["group"].to_numpy(object), groups["n"].to_numpy()

    @cached_property
    def _summed(self) -> dict[str, Floats]:
        """The tables of the groups: rows, sums of weights, and of their squares."""
        counts, family = self.counts, self.family
        count = sum_to_groups(family, counts.tables(counts.count))
        summed = {"count": count, "weight": count, "square": count}
        if (counts.weight != counts.count).any():
            for name in ("weight", "square"):
                table = counts.tables(getattr(counts, name))
                summed[name] = sum_to_groups(family, table)
        return summed

    @cached_property
    def rows(self) -> Rates:
        """The rows in the denominators of the rates, by rate: (n_groups, n_judged)."""
        return {
            name: bottom[:, 0, self.judged]
            for name, (_, bottom) in fractions(self._summed["count"]).items()
        }

    @cached_property
    def rates(self) -> Rates:
        """The rates, by name; NaN for those that are left out."""
        return self.select(self._summed["weight"])

    @property
    def overall(self) -> Rates | None:
        """What groups are compared with, if not with each other."""
        if self.method == "between_groups":
            return None
        return {name: share.rate for name, share in self.everybody.items()}

    def select(self, summed: Floats) -> Rates:
        """Return rates from counts that are summed to groups, NaN for those left out.

        Parameters
        ----------
        summed : numpy.ndarray of shape (n_groups, n_resamples, n_classes, n_classes)
            Truth before prediction.

        Returns
        -------
        dict of str to numpy.ndarray of shape (n_groups, n_resamples, n_judged)
        """
        rates = {}
        for name, rate in rates_of(summed).items():
            enough = (self.rows[name] >= max(self.min_n, 1))[:, None]
            rates[name] = np.where(enough, rate[..., self.judged], np.nan)
        return rates

    @cached_property
    def shares(self) -> Mapping[str, Shares]:
        """The rates, by name: (n_groups, n_judged); NaN for those that are left out."""
        weights, squares = (self._summed[name] for name in ("weight", "square"))
        shares = {}
        for name, share in _shares(weights, squares, self.judged).items():
            lost = np.isnan(self.rates[name][:, 0])
            shares[name] = Shares(*(np.where(lost, np.nan, each) for each in share))
        return shares

    @cached_property
    def everybody(self) -> Mapping[str, Shares]:
        """The rates of all rows, by name: (1, n_judged)."""
        weights, squares = (
            self.counts.tables(each).sum(0)[None, None]
            for each in (self.counts.weight, self.counts.square)
        )
        return _shares(weights, squares, self.judged)

    def describe(self, measure: str, groups: slice = slice(None)) -> Disparity:
        """Return a measure over some of the groups, and which groups attain it.

        Parameters
        ----------
        measure : str
            A key of :data:`MEASURES`.
        groups : slice
            By default all groups.

        Returns
        -------
        Disparity
        """
        names, kind = MEASURES[measure]
        rates = {name: self.rates[name][groups] for name in names}
        rows = {name: self.rows[name][groups] for name in names}
        words, n = (each[groups] for each in self._groups)
        fewest = np.min([*rows.values()], axis=0)
        compared = (fewest >= self.min_n).any(axis=1) & (n > 0)
        by_class, comparable = spread_of(rates, measure, [0], self.overall)
        if self.agg == "paper":
            value = float(paper_disparity(rates, kind, [0])[0, 0])
        else:
            value = float(combine(by_class, comparable, kind, self.agg)[0, 0])
        spreads = np.where(comparable[0, 0], by_class[:, 0, 0], np.nan)
        least = fewest.min(axis=1)
        facts: dict[str, Any] = {
            "n_groups": len(n),
            "n_empty": int((n == 0).sum()),
            "n_small": int(((n > 0) & (least < (self.min_n or SMALL))).sum()),
            "n_undefined": int(((n > 0) & (least == 0) & (self.min_n == 0)).sum()),
            "n_undefined_classes": int(np.isnan(spreads).all(axis=0).sum()),
        }
        if np.isnan(value):
            facts["reason"] = _why_undefined(rates, kind, compared)
        elif not np.isnan(spreads).all():  # only study B's formulas are defined then
            # Of equal extremes a difference names the first rate, a ratio the last.
            order = np.arange(len(names))[:: -1 if kind == "ratio" else 1]
            furthest = np.nanargmin if kind == "ratio" else np.nanargmax
            first, label = np.unravel_index(furthest(spreads[order]), spreads.shape)
            name = names[order[first]]
            facts |= {"label": self.counts.labels[self.judged[label]], "rate": name}
            rate = rates[name][:, 0, label]
            ends = {"lowest": np.nanargmin(rate), "highest": np.nanargmax(rate)}
            for end, at in ends.items():
                facts[end] = words[at]
                facts[f"{end}_rate"] = float(rate[at])
                facts[f"{end}_n"] = int(rows[name][at, label])
            if self.overall is not None:
                facts |= self._far_end(facts, name, int(label), kind)
        return Disparity(value, **facts)

    def _far_end(
        self, facts: Mapping[str, Any], name: str, label: int, kind: str
    ) -> dict[str, Any]:
        """Return the facts of the end that is everybody: the nearer of the two."""
        whole = float(self.everybody[name].rate[0, label])
        low, high = facts["lowest_rate"], facts["highest_rate"]
        if kind == "difference":
            near = "highest" if whole - low > high - whole else "lowest"
        else:
            near = "highest" if low * high < whole**2 else "lowest"
        rows = fractions(self.counts.tables(self.counts.count).sum(0)[None, None])
        n = int(rows[name][1][0, 0, self.judged[label]])
        return {near: "overall", f"{near}_rate": whole, f"{near}_n": n}


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
