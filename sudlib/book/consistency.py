"""Do a study's printed numbers agree with each other?"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from sudlib.book.arithmetic import (
    attainable,
    can_be_equal,
    from_matrix,
    shares_of_classes,
    split_sizes,
)
from sudlib.book.claims_text import _number, own_verdict
from sudlib.book.printed import published
from sudlib.book.verdicts import _NOISE, _flat, half_unit

_PARTS = ("train", "validation", "test")
# How study A splits its rows, to check its printed counts against each other:
# of `whole` a share is set aside (first part: the rest), then halved (second, third).
_SPLITS = (
    ("a.general", 0.3, ("a.general.train", "", "a.general.test")),
    ("a.methadone", 0.3, [f"a.methadone_large.{part}" for part in _PARTS]),
    ("a.methadone", 0.1, ("", "a.methadone.train", "a.methadone.test")),
)


def check_printed(printed: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return what the printed numbers say about each other; no data are needed.

    Parameters
    ----------
    printed : pandas.DataFrame, optional
        From :func:`published`; by default all three studies.

    Returns
    -------
    pandas.DataFrame
        One row a check: ``key``, ``check`` (what it is held against), ``printed``,
        ``expected`` (both as text) and ``agrees``.
    """
    printed = published() if printed is None else printed
    rows = [row for check in _CHECKS for row in check(printed)]
    return pd.DataFrame(rows, columns=["key", "check", "printed", "expected", "agrees"])


_Check = tuple[str, str, str, str, bool]


def _number_check(
    key: str, claim: Any, check: str, expected: float, agrees: bool
) -> _Check:
    """Return the row of a check of one printed number."""
    texts = _number(claim["value"], claim), _number(expected, claim)
    return key, check, *texts, bool(agrees)


def _count_check(key: str, check: str, said: int, made: int) -> _Check:
    """Return the row of a check that two counts are equal."""
    return key, check, f"{said:,}", f"{made:,}", said == made


def _check_scores(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check numbers against the unrounded output and against their matrix."""
    for key, claim in printed.iterrows():
        stem, _, score = key.rpartition(".")
        others = [("the number in the output", claim["exact"])]
        if f"{stem}.confusion" in printed.index and claim["kind"] != "matrix":
            scores = from_matrix(printed.loc[f"{stem}.confusion", "matrix"])
            others.append(("its confusion matrix", scores.get(score)))
        for check, expected in others:
            if expected is not None:
                near = half_unit(claim["decimals"]) + _NOISE
                agrees = abs(expected - claim["value"]) <= near
                yield _number_check(key, claim, check, expected, agrees)


def _check_totals(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check that a cohort's matrices hold as many people as said, and the same ones."""
    completed: dict[str, int] = {}
    for key, claim in printed[printed["kind"] == "matrix"].iterrows():
        tn, fp, fn, tp = (int(cell) for cell in _flat(claim["matrix"]))
        cohort = key.rsplit(".", 2)[0]
        said = _count(printed, f"{cohort}.test.rows")
        if said is not None:
            yield _count_check(key, "the rows of its test set", tn + fp + fn + tp, said)
        if cohort in completed:
            check = "people who completed, in the cohort's other matrices"
            yield _count_check(key, check, fn + tp, completed[cohort])
        completed.setdefault(cohort, fn + tp)


def _check_splits(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check counts of rows against the splits that are said to have made them."""
    for whole, share, parts in _SPLITS:
        total = _count(printed, f"{whole}.rows")
        known = [_count(printed, f"{part}.rows") for part in parts]
        if total is None or not any(known):
            continue
        fits = []
        for rows in range(total - 100, total + 101):
            pairs = zip(known, split_sizes(rows, share), strict=True)
            if all(said in (None, made) for said, made in pairs):
                fits.append(rows)
        named = " and ".join(f"{part:,}" for part in known if part)
        between = " to ".join(f"{end:,}" for end in sorted({*fits[:1], *fits[-1:]}))
        check = f"rows that split into {named}"
        yield (
            f"{whole}.rows",
            check,
            f"{total:,}",
            between or "none near",
            total in fits,
        )
    rows = _count(printed, "a.general.train.rows") or 0
    validation = int(0.3 * rows)
    made_of = {"images": rows - validation, "validation_images": validation}
    for name, made in made_of.items():
        said = _count(printed, f"a.general.train.{name}")
        if rows and said is not None:
            check = "the rows to train, split 70/30"
            yield _count_check(f"a.general.train.{name}", check, said, made)
    keys = [f"a.methadone.{part}.rows" for part in ("sample", "train", "test")]
    sample, train, test = (_count(printed, key) for key in keys)
    if sample and train and test:
        yield _count_check(keys[0], "its two halves", sample, train + test)


def _count(printed: pd.DataFrame, key: str) -> int | None:
    """Return a printed count, or None where there is no such claim."""
    return int(printed.loc[key, "value"]) if key in printed.index else None


def _check_odds(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check study B's equalized odds against the rates printed beside them."""
    value = printed["value"]
    near = 0.01 + _NOISE
    for key, claim in printed.iterrows():
        stem, _, last = key.rpartition(".")
        if ".equalized_odds." in key and last == "difference":
            said = claim["value"]
            rates = ("tpr", "fpr")
            gaps = [value.get(f"{stem}.{rate}_difference") for rate in rates]
            check = "the larger of its two printed differences"
            if None in gaps:
                # Over all classes: two groups differ in one class by no more than
                # this, and by how much, the printed extremes do not tell.
                ends = [
                    (value[f"{stem}.max_{r}"], value[f"{stem}.min_{r}"]) for r in rates
                ]
                expected = max(largest - smallest for largest, smallest in ends)
                check = "at most the larger of its two differences over all classes"
                agrees = said <= expected + near
            else:
                expected, mean = max(gaps), sum(gaps) / 2
                if abs(mean - said) <= near < abs(expected - said):
                    # The mean is called equalized odds, too.
                    check, expected = "the mean of its two printed differences", mean
                agrees = abs(expected - said) <= near
        elif last == "equalized_odds_ratio":
            expected = value.get(f"{stem}.equal_opportunity_ratio")
            expected = value.get(f"{stem}.worst_case_ratios", expected)
            check = "at most the printed equal opportunity ratio"
            agrees = claim["value"] <= expected
        else:
            continue
        yield _number_check(key, claim, check, expected, agrees)


def _check_rates(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check study B's tables of equal opportunity: rates, difference, the other table.

    Section 6.6 prints the difference of the same true positive rates again.
    """
    value = printed["value"]
    for key in printed.index[printed.index.str.contains(".equal_opportunity.")]:
        stem, _, last = key.rpartition(".")
        claim = printed.loc[key]
        largest, smallest = (value.get(f"{stem}.{end}_tpr") for end in ("max", "min"))
        if None in (largest, smallest):
            continue
        if last == "max_tpr":
            agrees = largest <= 1
            yield _number_check(key, claim, "the most that a rate can be", 1, agrees)
            check = "the smallest rate of the same row, at least"
            yield _number_check(key, claim, check, smallest, largest >= smallest)
        elif last == "difference":
            gap = abs(largest - smallest)
            agrees = abs(gap - claim["value"]) <= 0.01 + _NOISE
            check = "the largest rate less the smallest, in the same row"
            yield _number_check(key, claim, check, gap, agrees)


# Which printed number earns the word FAIR, by the study's own rule.
_RULES = (
    (r"\.disparate_impact\.", "FAIR above 0.80", lambda value: value > 0.8),
    (r"\.difference$", "FAIR below 0.20", lambda value: value < 0.2),
)


def _check_words(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check study B's printed verdicts against the rule of their own table."""
    for key, claim in printed.iterrows():
        said, _ = own_verdict(claim)
        for pattern, rule, fair in _RULES:
            if said and re.search(pattern, key):
                word = "FAIR" if fair(claim["value"]) else "UNFAIR"
                number = _number(claim["value"], claim)
                check = f"the rule of its table, {rule}"
                yield key, check, f"{number} {said}", word, word == said


def _check_equal_shares(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check whether classes printed without a difference can be equally frequent."""
    tables = {}
    for name in ("disparate_impact", "parity_difference"):
        stem = f"b.noprior.{name}."
        rows = printed.loc[printed.index.str.startswith(stem), "value"].astype(float)
        split = map(tuple, rows.index.str.removeprefix(stem).str.rsplit(".", n=1))
        rows.index = pd.MultiIndex.from_tuples(split, names=["variable", "class"])
        tables[name] = rows.unstack("class")
    ratios, differences = tables.values()
    if ratios.empty or differences.empty:
        return
    shares = shares_of_classes(ratios, differences)
    for variable in ratios.index:
        key = f"b.noprior.parity_satisfied.{variable}"
        if key in printed.index and printed.loc[key, "printed"].startswith("Satisfied"):
            of_both = ratios.loc[variable], differences.loc[variable]
            possible = can_be_equal(*of_both, shares)
            expected = "possible" if possible else "impossible"
            check = "equal shares of the class in both groups, by the printed ratios"
            yield key, check, printed.loc[key, "printed"], expected, possible


def _check_accuracies(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check accuracies: whole numbers of people, and the recalls beside them."""
    value = printed["value"]
    accuracies = printed.index.str.match(r"b\..*\.accuracy$")
    for key, claim in printed[accuracies].iterrows():
        if pd.isna(claim["rows"]):
            continue  # the study does not say on how many people it was tested
        rows = int(claim["rows"])
        near = round(claim["value"] * rows / 100) / rows * 100
        agrees = attainable(claim["value"], rows, claim["decimals"] or 0)
        check = f"the nearest share of the {rows} people of its test set"
        yield _number_check(key, claim, check, near, agrees)
        stem = key.removesuffix("accuracy")
        people = {
            name.removesuffix("support"): value[name]
            for name in printed.index
            if name.startswith(stem) and name.endswith(".support")
        }
        if sum(people.values()) == rows:
            right = sum(value[f"{name}recall"] * n for name, n in people.items())
            near = 0.5 + half_unit(claim["decimals"])
            agrees = abs(100 * right / rows - claim["value"]) <= near
            check = "the printed recalls of its classes"
            yield _number_check(key, claim, check, 100 * right / rows, agrees)


COMPAS = {"Black": ((990, 805), (532, 1369)), "white": ((1139, 349), (461, 505))}
"""Defendants in Broward County, by the group that the source gives them.

Rows did not and did reoffend, columns were rated low and not low (Larson, Mattu,
Kirchner and Angwin, "How we analyzed the COMPAS recidivism algorithm", ProPublica,
2016).
"""


def _check_compas(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check what study B says of COMPAS against the counts it goes back to."""
    key = "b.introduction.compas"
    if key in printed.index:
        (low, high), (missed, caught) = COMPAS["white"]
        rates = {
            "wrongly predicted to reoffend": high / (low + high),
            "wrongly predicted not to reoffend": missed / (missed + caught),
        }
        expected = min(rates, key=lambda words: abs(rates[words] - 0.477))
        check = "the error rates in ProPublica's counts, of which 47.7% is one"
        others = "; ".join(f"{words}: {rate:.1%}" for words, rate in rates.items())
        said = printed.loc[key, "printed"]
        yield key, check, said, others, said == expected


def _check_parameters(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check study C's count of parameters against its own count of DNN-simple."""
    key = "c.network.dnn_1hdd.parameters"
    if key in printed.index:
        # 155 = 5 · 30 + 5: each unit has its weights and one intercept, inputs none.
        units, constant = 30 + 1 + 5, 155 - 5 * 30
        expected = f"{constant} + {units} nₕ"
        said = printed.loc[key, "printed"]
        check = "weights and intercepts, counted as in the 155 of DNN-simple"
        yield key, check, said, expected, said == expected


def _check_binomials(printed: pd.DataFrame) -> Iterator[_Check]:
    """Check the factor of study C's loss of order tau, which divides by a binomial."""
    key = "c.extensions.order.factor"
    if key in printed.index:
        K, tau = 5, 2
        said = printed.loc[key, "printed"]
        divisor = math.comb(K, tau) if said == "binom(K, τ)" else math.comb(tau, K)
        expected = (
            f"binom(K, τ): {math.comb(K, tau)} for τ = {tau}, K = {K}, where the"
            f" printed one is {divisor}"
        )
        check = "a divisor that is not zero for τ below K"
        yield key, check, said, expected, divisor > 0


_CHECKS = (
    _check_scores,
    _check_totals,
    _check_splits,
    _check_odds,
    _check_rates,
    _check_words,
    _check_equal_shares,
    _check_accuracies,
    _check_compas,
    _check_parameters,
    _check_binomials,
)
