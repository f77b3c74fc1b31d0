"""Rates of groups and how far apart they lie, by fairlearn's names and signatures."""

import warnings

import numpy as np
import pandas as pd

from sudlib.fairness.counts import SMALL, families, sum_to_groups, tabulate
from sudlib.files import InputError

#: Measure: the rates it compares, and how.
MEASURES = {
    "demographic_parity_difference": (("selection_rate",), "difference"),
    "demographic_parity_ratio": (("selection_rate",), "ratio"),
    "equal_opportunity_difference": (("true_positive_rate",), "difference"),
    "equal_opportunity_ratio": (("true_positive_rate",), "ratio"),
    "equalized_odds_difference": (
        ("true_positive_rate", "false_positive_rate"),
        "difference",
    ),
    "equalized_odds_ratio": (("true_positive_rate", "false_positive_rate"), "ratio"),
}

RATES = ("selection_rate", "base_rate", "true_positive_rate", "false_positive_rate")

AGGREGATES = ("worst", "mean", "paper")

_NOBODY = {
    "selection_rate": "no rows",
    "base_rate": "no rows",
    "true_positive_rate": "nobody of this class",
    "false_positive_rate": "nobody of another class",
}


class PaperFormulaWarning(UserWarning):
    """A formula of study B was asked for that does not measure what its name says."""


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
    lowest_n, highest_n : int or None
        Their rows.
    n_groups, n_empty, n_small, n_undefined : int
        Groups in the family; those without a row; those with rows but fewer than
        ``min_n`` (left out) or, without ``min_n``, than 30 (kept); those of the rest
        for which a rate that is compared has denominator 0.
    n_undefined_classes : int
        Classes left out of the extreme over classes because nothing is defined there.
    """

    reason: str
    label: object

    def __new__(cls, value, **facts):
        """Return the float with its facts."""
        made = super().__new__(cls, value)
        for name, fact in facts.items():
            setattr(made, name, fact)
        return made

    def __repr__(self):
        if np.isnan(self):
            return f"undefined ({self.reason})"
        return float.__repr__(self)

    __str__ = __repr__

    def __reduce__(self):
        return _remake, (float(self), dict(self.__dict__))


def _remake(value, facts):
    return Disparity(value, **facts)


# --------------------------------------------------------------------------- rates


def rates_of(summed):
    """Return the four rates of each group, draw and class from summed counts.

    Parameters
    ----------
    summed : numpy.ndarray of shape (groups, draws, classes, classes)
        From :func:`sudlib.fairness.counts.sum_to_groups`.

    Returns
    -------
    dict of str to numpy.ndarray of shape (groups, draws, classes)
        NaN where the denominator is 0.
    """
    classes = summed.shape[-1]
    others = 1.0 - np.eye(classes)
    true, guessed = summed.sum(-1), summed.sum(-2)
    total = true.sum(-1, keepdims=True)
    hits = np.diagonal(summed, axis1=-2, axis2=-1)
    # Sums over the other classes, not total minus own: an exact 0 must stay 0.
    false = np.einsum("...tp,tp->...p", summed, others)
    parts = {
        "selection_rate": (guessed, np.broadcast_to(total, guessed.shape)),
        "base_rate": (true, np.broadcast_to(total, true.shape)),
        "true_positive_rate": (hits, true),
        "false_positive_rate": (false, true @ others),
    }
    return {name: _divide(top, bottom) for name, (top, bottom) in parts.items()}


def _divide(top, bottom):
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _positions(labels, pos_label):
    """Return which classes are judged: one of two, or all of several."""
    if pos_label is not None:
        if pos_label not in labels:
            raise InputError(
                f"pos_label must be one of {list(labels)}, not {pos_label!r}"
            )
        return [labels.index(pos_label)]
    if len(labels) > 2:
        return list(range(len(labels)))
    if len(labels) == 2 and set(labels) in ({0, 1}, {-1, 1}):
        return [labels.index(1)]
    raise InputError(
        f"the classes are {list(labels)}: say with pos_label which one is the outcome"
        " that counts as positive"
    )


def group_rates(
    y_true,
    y_pred,
    *,
    sensitive_features,
    sample_weight=None,
    labels=None,
    family="joint",
    min_n=0,
    missing="error",
):
    """Return the rates of every group of a family, with counts and what is undefined.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, sample_weight, labels, missing
        As in :func:`sudlib.fairness.tabulate`.
    family
        As in :func:`sudlib.fairness.families`.
    min_n : int, default=0
        Groups with fewer rows get the status "small" (below 30 rows in any case).

    Returns
    -------
    pandas.DataFrame
        One row a group and class: ``variables``, ``group``, ``label``, ``n`` (rows),
        ``positives`` and ``predicted`` (weighted rows of the class in truth and in
        prediction), the four rates, ``status`` ("ok", "small", "empty", "undefined")
        and ``reason``.

    Examples
    --------
    >>> table = group_rates([1, 0, 1], [1, 1, 1], sensitive_features=["a", "a", "b"])
    >>> table.loc[table["label"] == 1, "reason"].tolist()
    ['', 'false_positive_rate: nobody of another class']
    """
    counts = tabulate(
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        labels=labels,
        missing=missing,
    )
    return rate_table(counts, families(counts, family), min_n)


def rate_table(counts, family, min_n=0):
    """Return :func:`group_rates` for rows that are already counted."""
    summed = sum_to_groups(counts, family)
    rates = {name: values[:, 0] for name, values in rates_of(summed).items()}
    classes = len(counts.labels)
    table = family.groups.loc[family.groups.index.repeat(classes)].reset_index(
        drop=True
    )
    table.insert(2, "label", list(counts.labels) * len(family))
    table["positives"] = summed[:, 0].sum(-1).ravel()
    table["predicted"] = summed[:, 0].sum(-2).ravel()
    for name in RATES:
        table[name] = rates[name].ravel()
    absent = table[list(RATES)].isna()
    table["status"] = np.select(
        [
            table["n"] == 0,
            table["n"] < max(min_n, SMALL),
            absent.any(axis=1),
        ],
        ["empty", "small", "undefined"],
        "ok",
    )
    table["reason"] = [
        "no rows"
        if rows == 0
        else "; ".join(
            f"{name}: {_NOBODY[name]}"
            for name, gone in zip(RATES, line, strict=True)
            if gone
        )
        for rows, line in zip(table["n"], absent.to_numpy(), strict=True)
    ]
    return table


# --------------------------------------------------------------------- disparities


def spread_of(rate, starts, kind, paper=None):
    """Return how far apart a rate lies within each set of a family.

    Parameters
    ----------
    rate : numpy.ndarray of shape (groups, draws, classes)
        NaN where undefined.
    starts : array-like of int
        Where each set of groups begins; ``[0]`` compares all with all.
    kind : {"difference", "ratio"}

    Returns
    -------
    numpy.ndarray of shape (sets, draws, classes)
        NaN with fewer than two defined rates, and for a ratio of 0 to 0.
    """
    low = np.fmin.reduceat(rate, starts, axis=0)
    high = np.fmax.reduceat(rate, starts, axis=0)
    enough = np.add.reduceat(~np.isnan(rate), starts, axis=0, dtype=int) > 1
    if kind == "difference":
        return np.where(enough, high - low, np.nan)
    ratio = np.divide(low, high, out=np.full(low.shape, np.nan), where=high > 0)
    return np.where(enough, ratio, np.nan)


def combine(spreads, kind, agg):
    """Return one number from the spreads of one or two rates over classes.

    Within a class a difference needs all its rates, and a ratio all but those that are
    0 in every group (0/0: they do not differ).  Classes where nothing is defined are
    skipped.

    Parameters
    ----------
    spreads : list of (numpy.ndarray, numpy.ndarray)
        For each rate: its spread and whether two groups have it, (sets, draws,
        classes) each.
    kind : {"difference", "ratio"}
    agg : {"worst", "mean"}
    """
    extreme = np.fmax if kind == "difference" else np.fmin
    stacked = np.stack([spread for spread, _ in spreads])
    comparable = np.all([two for _, two in spreads], axis=0)
    if agg == "worst":
        by_class = extreme.reduce(stacked, axis=0)
    else:
        by_class = _mean(stacked, 0)
    by_class = np.where(comparable, by_class, np.nan)
    return extreme.reduce(by_class, axis=-1) if agg == "worst" else _mean(by_class, -1)


def _mean(values, axis):
    """Return the mean over what is defined, NaN where nothing is."""
    known = ~np.isnan(values)
    return _divide(
        np.where(known, values, 0.0).sum(axis), known.sum(axis).astype(float)
    )


def disparity(rates, measure, starts, agg="worst"):
    """Return a measure for each set of groups and draw, from the groups' rates.

    Parameters
    ----------
    rates : dict of str to numpy.ndarray of shape (groups, draws, classes)
        Only the classes that are judged and the groups that are compared (NaN for
        the others).
    measure : str
        A key of :data:`MEASURES`.
    starts : array-like of int
        Where each set begins.
    agg : {"worst", "mean", "paper"}

    Returns
    -------
    numpy.ndarray of shape (sets, draws)
    """
    names, kind = MEASURES[measure]
    if agg == "paper":
        return _as_published(rates, measure, starts)
    spreads = []
    for name in names:
        rate = rates[name]
        two = np.add.reduceat(~np.isnan(rate), starts, axis=0, dtype=int) > 1
        spreads.append((spread_of(rate, starts, kind), two))
    return combine(spreads, kind, agg)


def _as_published(rates, measure, starts):
    """Return a measure by study B's formulas, which the notebooks read off its tables.

    * Rates of selection of exactly 0 are dropped as if the cell did not exist; over
      classes the difference is the smallest one ("at least one is zero").
    * Rates over nobody count as 0; over classes, extremes are pooled over classes and
      groups together.
    * Equalized odds is the distance between the two differences.
    """
    names, kind = MEASURES[measure]
    if names == ("selection_rate",):
        rate = np.where(rates["selection_rate"] == 0, np.nan, rates["selection_rate"])
        low = np.fmin.reduceat(rate, starts, axis=0)
        high = np.fmax.reduceat(rate, starts, axis=0)
        if kind == "difference":
            return np.fmin.reduce(high - low, axis=-1)
        return np.fmin.reduce(_divide(low, np.nan_to_num(high)), axis=-1)
    spreads = []
    for name in names:
        rate = np.nan_to_num(rates[name], nan=0.0)
        low = np.fmin.reduceat(rate, starts, axis=0)
        high = np.fmax.reduceat(rate, starts, axis=0)
        if kind == "difference":
            spreads.append(high.max(-1) - low.min(-1))
        else:
            spreads.append(np.fmin.reduce(_divide(low, high), axis=-1))
    if kind == "ratio":
        return np.fmin.reduce(spreads, axis=0)
    return spreads[0] if len(spreads) == 1 else np.abs(spreads[0] - spreads[1])


def describe(counts, family, rates, measure, agg, judged, kept, starts):
    """Return a :class:`Disparity` over groups: its value and who attains it."""
    names, kind = MEASURES[measure]
    chosen = {
        name: np.where(kept[:, None, None], rates[name][..., judged], np.nan)
        for name in names
    }
    value = float(disparity(chosen, measure, starts, agg)[0, 0])
    n = family.groups["n"].to_numpy()
    undefined = np.any(
        [np.isnan(chosen[name]).any(axis=(1, 2)) for name in names], axis=0
    )
    facts = {
        "reason": "",
        "label": None,
        "rate": None,
        "lowest": None,
        "highest": None,
        "lowest_rate": np.nan,
        "highest_rate": np.nan,
        "lowest_n": None,
        "highest_n": None,
        "n_groups": len(family),
        "n_empty": int((n == 0).sum()),
        "n_small": int(((n > 0) & ((n < SMALL) | ~kept)).sum()),
        "n_undefined": int((undefined & kept & (n > 0)).sum()),
        "n_undefined_classes": 0,
    }
    comparable = np.all(
        [(~np.isnan(rate)).sum(axis=0)[0] > 1 for rate in chosen.values()], axis=0
    )
    spreads = {
        name: np.where(comparable, spread_of(rate, [0], kind)[0, 0], np.nan)
        for name, rate in chosen.items()
    }
    gone = np.all([np.isnan(spread) for spread in spreads.values()], axis=0)
    facts["n_undefined_classes"] = int(gone.sum())
    if np.isnan(value):
        facts["reason"] = _why(chosen, kind, names, kept, n)
        return Disparity(value, **facts)
    place = np.nanargmax if kind == "difference" else np.nanargmin
    best = None
    for name, spread in spreads.items():
        if np.isnan(spread).all():
            continue
        at = int(place(spread))
        if best is None or (spread[at] > best[0]) == (kind == "difference"):
            best = (spread[at], name, at)
    if best is not None:
        _, name, at = best
        rate = chosen[name][:, 0, at]
        low, high = int(np.nanargmin(rate)), int(np.nanargmax(rate))
        words = family.groups["group"]
        facts |= {
            "label": counts.labels[judged[at]],
            "rate": name,
            "lowest": words[low],
            "highest": words[high],
            "lowest_rate": float(rate[low]),
            "highest_rate": float(rate[high]),
            "lowest_n": int(n[low]),
            "highest_n": int(n[high]),
        }
    return Disparity(value, **facts)


def _why(chosen, kind, names, kept, n):
    """Return why a disparity is undefined."""
    compared = int((kept & (n > 0)).sum())
    if len(n) < 2:
        return "there is only one group"
    if compared < 2:
        return f"only {compared} of {len(n)} groups is large enough and not empty"
    for name in names:
        defined = (~np.isnan(chosen[name])).sum(axis=(0, 1)).max()
        if defined < 2:
            return f"{name} is defined in {defined} of {compared} groups"
    if kind == "ratio":
        return f"{' and '.join(names)} are 0 in every group (0/0)"
    return "the rates that are compared are defined in different classes"


def _measure(measure, y_true, y_pred, keywords):
    """Return one measure as a :class:`Disparity`."""
    sensitive_features = keywords.pop("sensitive_features")
    agg, family = keywords.pop("agg"), keywords.pop("family")
    min_n, pos_label = keywords.pop("min_n"), keywords.pop("pos_label")
    if agg not in AGGREGATES:
        raise InputError(f"agg must be one of {', '.join(AGGREGATES)}, not {agg!r}")
    if agg == "paper":
        warn_about_paper(measure)
    made = isinstance(family, dict)
    counts = tabulate(
        y_true,
        y_pred,
        sensitive_features=family if made else sensitive_features,
        **keywords,
    )
    groups = families(counts, "each" if made else family)
    if made:
        groups = _only_members(counts, groups)
    judged = _positions(counts.labels, pos_label)
    kept = groups.groups["n"].to_numpy() >= max(min_n, 1)
    rates = rates_of(sum_to_groups(counts, groups))
    found = describe(counts, groups, rates, measure, agg, judged, kept, [0])
    if not made and family == "joint" and agg != "paper" and len(judged) == 1:
        return _by_fairlearn(found, counts, measure, agg, judged[0], kept, groups)
    return found


def _only_members(counts, groups):
    """Return the family of the masks' members: a mask's complement is no group."""
    keep, names = [], []
    for number, (name, levels) in enumerate(
        zip(counts.columns, counts.levels, strict=True)
    ):
        if not set(levels) <= {False, True}:
            raise InputError(
                f"the group {name!r} must be a mask of True and False, not of"
                f" {list(levels)[:5]}"
            )
        if True in levels:
            keep.append(int(groups.starts[number]) + list(levels).index(True))
            names.append(name)
    if not keep:
        raise InputError("no group of the family has a row")
    chosen = groups.groups.iloc[keep].reset_index(drop=True)
    chosen["group"] = names
    return type(groups)(
        name="chosen",
        sets=[(name,) for name in names],
        starts=np.arange(len(keep)),
        groups=chosen,
        member=groups.member[keep],
    )


def _by_fairlearn(found, counts, measure, agg, positive, kept, groups):
    """Return the same with fairlearn's number, where fairlearn's is the right one.

    fairlearn does binary classes on one partition well, as long as every group has
    people of both classes: it calls a rate over nobody 0.  It is given the counted
    table with counts as weights, so its cost does not grow with the rows.
    """
    names, kind = MEASURES[measure]
    clean = (
        len(counts.labels) == 2
        and not np.isnan(found)
        and (counts.cells >= 0).all()
        and found.n_undefined == 0
        and kept[groups.groups["n"].to_numpy() > 0].all()
        and not (agg == "mean" and len(names) == 1)
    )
    if not clean:
        return found
    try:
        from fairlearn import metrics
    except ImportError:
        return found
    more = {"agg": "worst_case" if agg == "worst" else "mean"}
    if kind == "ratio" and np.isnan(found.lowest_rate):
        return found
    theirs = getattr(metrics, measure)(
        (counts.truth == positive).astype(int),
        (counts.predicted == positive).astype(int),
        sensitive_features=pd.Series(counts.cell, name="cell"),
        sample_weight=counts.count * counts.weight,
        **(more if len(names) == 2 else {}),
    )
    if np.isnan(theirs):  # 0/0 in one of the two rates: they do not differ there
        return found
    return Disparity(theirs, **found.__dict__)


_PAPER = {
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


def warn_about_paper(measure):
    """Warn what study B's formula for a measure does."""
    warnings.warn(
        f"agg='paper': study B's {measure} {_PAPER[measure]}; use it to rebuild the"
        " study's tables, not to judge a model",
        PaperFormulaWarning,
        stacklevel=4,
    )


_DOC = """Return {what}.

    Parameters
    ----------
    y_true, y_pred : array-like
        Classes.  With two, the rates are those of ``pos_label``; with more, those of
        every class, and the {extreme} over classes is returned.
    sensitive_features : array-like, Series, DataFrame or dict
        One or more group columns.
    sample_weight : array-like of float, optional
    family : str, int, list or dict, default="joint"
        Which groups are compared: see :func:`sudlib.fairness.families`; or a dict of
        masks, for groups of your own that may overlap.
    agg : {{"worst", "mean", "paper"}}, default="worst"
        Over classes and rates; ``"paper"`` is study B's own formula, and warns.
    min_n : int, default=0
        Groups with fewer rows are left out of the extremes and counted.
    pos_label : optional
        Judge this class only; needed for two classes that are not 0 and 1.
    labels : sequence, optional
        All classes, also those that do not occur.
    missing : {{"error", "level", "omit"}}, default="error"
        Whether a missing group value stops, is a group, or leaves the row out of the
        groups that need it.

    Returns
    -------
    Disparity
        A float between 0 and 1 that also names the groups that attain it; {fair} is
        fair.  NaN, with a reason, where fewer than two groups have the rate{ratio}.

    Notes
    -----
    {notes}
    """


def _define(name, what, notes):
    kind = MEASURES[name][1]

    def measure(
        y_true,
        y_pred,
        *,
        sensitive_features=None,
        sample_weight=None,
        family="joint",
        agg="worst",
        min_n=0,
        pos_label=None,
        labels=None,
        missing="error",
    ):
        if sensitive_features is None and not isinstance(family, dict):
            raise InputError(
                "sensitive_features is needed, unless family is a dict of masks"
            )
        return _measure(
            name,
            y_true,
            y_pred,
            {
                "sensitive_features": sensitive_features,
                "sample_weight": sample_weight,
                "family": family,
                "agg": agg,
                "min_n": min_n,
                "pos_label": pos_label,
                "labels": labels,
                "missing": missing,
            },
        )

    measure.__name__ = measure.__qualname__ = name
    measure.__doc__ = _DOC.format(
        what=what,
        extreme="largest difference" if kind == "difference" else "smallest ratio",
        fair="0" if kind == "difference" else "1",
        ratio="" if kind == "difference" else ", or all rates are 0",
        notes=notes,
    )
    return measure


demographic_parity_difference = _define(
    "demographic_parity_difference",
    "how far apart groups are in how often they are predicted a class",
    "max over groups of P(prediction = k | group) minus its min; study B's equation 4"
    " and section 6.4.",
)
demographic_parity_ratio = _define(
    "demographic_parity_ratio",
    "the smallest rate of a prediction over groups, divided by the largest",
    "min over groups of P(prediction = k | group) over its max; study B's equations 38"
    " to 40 (Ghosh, Genuit and Reagan 2021).",
)
equal_opportunity_difference = _define(
    "equal_opportunity_difference",
    "how far apart groups are in their true positive rates",
    "max over groups of P(prediction = k | truth = k, group) minus its min; study B's"
    " equations 5 to 7 (Hardt, Price and Srebro 2016).",
)
equal_opportunity_ratio = _define(
    "equal_opportunity_ratio",
    "the smallest true positive rate over groups, divided by the largest",
    "Study B's equations 44 to 47.",
)
equalized_odds_difference = _define(
    "equalized_odds_difference",
    "the larger of the differences in true and in false positive rates",
    "Study B's equation 15 as Hardt, Price and Srebro (2016) mean it; the study itself"
    " prints the distance between the two differences (``agg='paper'``).",
)
equalized_odds_ratio = _define(
    "equalized_odds_ratio",
    "the smaller of the ratios of true and of false positive rates",
    "Study B's equations 48 and 49.  It is never above the equal opportunity ratio of"
    " the same groups.",
)

#: Study B's word for :func:`demographic_parity_ratio`: over groups they are equal.
disparate_impact = demographic_parity_ratio

#: Study B's word for :func:`demographic_parity_difference`.
statistical_parity_difference = demographic_parity_difference


def conditional_statistical_parity_ratio(
    y_true,
    y_pred,
    *,
    condition,
    sensitive_features,
    sample_weight=None,
    family="joint",
    agg="worst",
    min_n=0,
    pos_label=None,
    labels=None,
    missing="error",
):
    """Return the smallest demographic parity ratio over levels of a condition.

    Among people with the same value of a legitimate attribute, how unequal are the
    predictions?  Study B's equations 41 to 43; it never names its attribute, so here
    it must be given.

    Parameters
    ----------
    condition : array-like
        The legitimate attribute, one value a row.
    y_true, y_pred, sensitive_features, sample_weight, family, agg, min_n, pos_label
        As in :func:`demographic_parity_ratio`.
    labels, missing
        As there.

    Returns
    -------
    Disparity
        With two more attributes: ``levels`` (the ratio at each level, a dict of
        Disparity) and ``level`` (where it is smallest).  Levels with fewer than two
        groups are undefined, skipped and counted in ``n_undefined_levels``.
    """
    levels = condition_levels(condition, y_true)
    if labels is None:
        labels = _classes_of(y_true, y_pred)
    columns = pd.DataFrame(_columns(sensitive_features))
    found = {}
    for level, here in levels.items():
        found[level] = demographic_parity_ratio(
            np.asarray(y_true)[here],
            np.asarray(y_pred)[here],
            sensitive_features=columns[here],
            sample_weight=None
            if sample_weight is None
            else np.asarray(sample_weight)[here],
            family=family,
            agg=agg,
            min_n=min_n,
            pos_label=pos_label,
            labels=labels,
            missing=missing,
        )
    defined = {level: value for level, value in found.items() if not np.isnan(value)}
    more = {"levels": found, "n_undefined_levels": len(found) - len(defined)}
    if not defined:
        reason = f"undefined at each of the {len(found)} levels of the condition"
        first = next(iter(found.values()))
        return Disparity(
            np.nan, **(first.__dict__ | more | {"level": None, "reason": reason})
        )
    level = min(defined, key=lambda name: float(defined[name]))
    worst = defined[level]
    return Disparity(float(worst), **(worst.__dict__ | more | {"level": level}))


def condition_levels(condition, y_true):
    """Return which rows have each level of a condition, in the order of their names.

    Parameters
    ----------
    condition : array-like
        One value a row, none missing.
    y_true : array-like
        For the number of rows.

    Returns
    -------
    dict of object to numpy.ndarray of bool
    """
    condition = pd.Series(np.asarray(condition))
    if len(condition) != len(np.asarray(y_true)):
        raise InputError(
            f"condition has {len(condition):,} rows, y_true {len(np.asarray(y_true)):,}"
        )
    if condition.isna().any():
        raise InputError(
            f"condition has {int(condition.isna().sum()):,} missing values; every row"
            " needs a level"
        )
    return {
        level: (condition == level).to_numpy()
        for level in sorted(condition.unique(), key=str)
    }


def _columns(sensitive_features):
    from sudlib.fairness.counts import _frame

    return {
        name: np.asarray(values) for name, values in _frame(sensitive_features).items()
    }


def _classes_of(y_true, y_pred):
    from sudlib.fairness.counts import _classes

    return _classes(y_true, y_pred, None)[0]


# ----------------------------------------------------- study B's tables, row by row


def max_threshold(difference):
    """Return study B's "max threshold" for a difference (section 6.4).

    It is the largest of 0.01, 0.06, 0.11, … that does not exceed the difference, and
    0 for a difference of 0: the largest threshold at which the class still *fails*.

    Parameters
    ----------
    difference : float

    Examples
    --------
    >>> [max_threshold(value) for value in (0.27, 0.05, 0.06, 0.0)]
    [0.26, 0.01, 0.06, 0.0]
    """
    tried = np.round(np.arange(0.01, 1.0, 0.05), 2)
    passed = tried[tried <= round(float(difference), 10)]
    return float(passed[-1]) if len(passed) else 0.0


def paper_class_table(values, *, sensitive_features, sample_weight=None, labels=None):
    """Return study B's tables 6.2 and 6.4 beside what they should say.

    Parameters
    ----------
    values : array-like
        The classes: the study takes the *balanced labels* here, not predictions.
    sensitive_features : DataFrame or dict
        The bias variables; each is taken alone.
    sample_weight : array-like, optional
    labels : sequence, optional

    Returns
    -------
    pandas.DataFrame
        One row a variable and class: ``ratio`` and ``difference`` over all groups,
        ``paper_ratio``, ``paper_difference`` and ``paper_max_threshold`` as the study
        computes them (groups in which nobody has the class do not count),
        ``n_without`` (such groups), and for the variable ``paper_satisfied`` ("at
        least one difference is 0").
    """
    counts = tabulate(
        values,
        values,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        labels=labels,
    )
    family = families(counts, "each")
    rate = rates_of(sum_to_groups(counts, family))["selection_rate"]
    present = np.where(rate == 0, np.nan, rate)
    tables = {}
    for name, used in (("", rate), ("paper_", present)):
        low = np.fmin.reduceat(used, family.starts, axis=0)[:, 0]
        high = np.fmax.reduceat(used, family.starts, axis=0)[:, 0]
        tables[f"{name}ratio"] = _divide(low, np.nan_to_num(high))
        tables[f"{name}difference"] = high - low
    without = np.add.reduceat(rate == 0, family.starts, axis=0, dtype=int)[:, 0]
    rows = []
    for number, (variable,) in enumerate(family.sets):
        satisfied = bool((np.round(tables["paper_difference"][number], 2) == 0).any())
        for place, label in enumerate(counts.labels):
            line = {name: table[number, place] for name, table in tables.items()}
            rows.append(
                {
                    "variable": variable,
                    "label": label,
                    **line,
                    "paper_max_threshold": max_threshold(line["paper_difference"])
                    if not np.isnan(line["paper_difference"])
                    else np.nan,
                    "n_without": int(without[number, place]),
                    "paper_satisfied": satisfied,
                }
            )
    return pd.DataFrame(rows)
