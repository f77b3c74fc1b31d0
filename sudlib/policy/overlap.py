"""Has a rule's advice support in the data?

The value of a rule can be learned only where people like those it advises received what
it advises.  Taught in notebook ``c09_weights_value_robustness``.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.tree import DecisionTreeClassifier

from sudlib.files import InputError
from sudlib.policy.study import check_treatments
from sudlib.policy.treatments import Array, combination_number

#: The largest share of people whose advice may have no support, bounded by the extremes
#: of the outcome; beyond it there is no value.
TOLERATED = 0.05

#: The smallest effective number of people behind a value.
FEWEST = 5.0


#: People whose estimated chance is less than this share of the least one allowed have
#: no support: the others are clipped, which is counted.
RARE = 0.1


def least_chance(arms: int) -> float:
    """Return the probability to which smaller estimated ones are raised by default.

    Parameters
    ----------
    arms : int
        Combinations that somebody received.

    Returns
    -------
    float
        0.01, or a tenth of an even share where that is less.
    """
    return min(0.01, 0.1 / arms)


@dataclass(frozen=True)
class Overlap:
    """How far data support the advice of a rule.

    Attributes
    ----------
    people : int
        All people.
    agree : int
        Those who received what they are advised.
    effective : float
        Kish's effective sample size of the weights of those who agree.
    smallest : float
        Smallest probability of what is advised.
    clipped : float
        Share of those who agree whose probability was raised; 0 if it is known.
    unsupported : float
        Share of all people who would hardly ever receive what they are advised.

    Examples
    --------
    >>> print(Overlap(200, 50, 41.2, 0.03, 0.0, 0.0))
    50 of 200 people agree, effectively 41.2; smallest chance 0.03; 0% clipped
    """

    people: int
    agree: int
    effective: float
    smallest: float
    clipped: float
    unsupported: float

    def __str__(self) -> str:
        return (
            f"{self.agree:,} of {self.people:,} people agree, effectively"
            f" {self.effective:.1f}; smallest chance {self.smallest:.2g};"
            f" {100 * self.clipped:.2g}% clipped"
        )

    @property
    def problem(self) -> str:
        """Why there is no value; empty where there is one."""
        if self.unsupported > TOLERATED:
            return (
                f"no support: {self.unsupported:.0%} of {self.people:,} people are"
                f" advised what people like them hardly ever received"
                f" (at most {TOLERATED:.0%} may be)"
            )
        if not self.effective >= FEWEST:
            return (
                f"no support: the value would rest on effectively"
                f" {self.effective:.1f} people ({self.agree} agree; at least"
                f" {FEWEST:g} are needed)"
            )
        return ""


def overlap(
    chance: ArrayLike,
    agree: ArrayLike,
    X: ArrayLike | None = None,
    *,
    least: float = 0.01,
    known: bool = False,
) -> Overlap:
    """Return how far data support the advice of a rule.

    A logistic model smooths over the edge of a contraindication.  So a small tree is
    asked too: a leaf that hardly anybody agrees in, where at least twenty people would
    if agreement were spread evenly, has no support.

    Parameters
    ----------
    chance : array-like of shape (n,)
        Each person's probability of the combination that the rule advises; NaN where
        nobody received it.
    agree : array-like of bool, shape (n,)
        Who received it.
    X : array-like of shape (n, p), optional
        Covariates, for the tree.
    least : float, default=0.01
        Estimated probabilities below this are clipped; those below a tenth of it give
        no support.
    known : bool, default=False
        Whether probabilities are known, as in a randomised trial: then any above 0 are
        support, and none is clipped.

    Returns
    -------
    Overlap
    """
    chance, agree = np.asarray(chance, float), np.asarray(agree, bool)
    lacking = ~(chance > 0) if known else ~(chance >= RARE * least)
    raised = (chance < least)[agree]
    if X is not None and not known:
        lacking = lacking | _deserted(np.asarray(X, float), agree, least)
    weights = 1 / (chance if known else np.maximum(chance, least))[agree]
    total = weights.sum()
    return Overlap(
        people=len(chance),
        agree=int(agree.sum()),
        effective=float(total**2 / (weights @ weights)) if total else 0.0,
        smallest=float(np.nanmin(chance)) if (chance >= 0).any() else math.nan,
        clipped=float(raised.mean()) if raised.size and not known else 0.0,
        unsupported=float(lacking.mean()),
    )


def _deserted(X: Array, agree: Array, least: float) -> Array:
    """Return who belongs to a group in which hardly anybody agrees."""
    size = math.ceil(20 / max(agree.mean(), 1 / len(agree)))
    if 2 * size > len(agree) or agree.all() or not X.shape[1]:
        return np.zeros(len(agree), bool)
    tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=size, random_state=0)
    return tree.fit(X, agree).predict_proba(X)[:, 1] < least / 3


def check_support(X: Array, A: Array, recommended: Array, model: Any) -> None:
    """Raise if a rule's advice has no support.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates.
    A, recommended : array-like of shape (n, K)
        Treatments received and advised, coded -1 and +1.
    model : Propensity
        Fitted.  A marginal one cannot see who never receives a treatment, so a product
        of logistic regressions is asked in its place.

    Raises
    ------
    sudlib.files.InputError
        If the advice of more than a few people has no support.
    """
    if model.how_ == "marginal":
        model = type(model)("product").fit(X, A)
    recommended = check_treatments(recommended, len(X))
    chance = model.predict_received(X, recommended)
    arms = len(np.unique(A, axis=0))
    agree = (A == recommended).all(axis=1)
    found = overlap(chance, agree, X, least=least_chance(arms))
    if found.agree and found.unsupported > TOLERATED:
        raise InputError(found.problem)


def warn_of_unseen(recommended: Array, *received: Array) -> None:
    """Warn if many people are advised a combination that nobody received.

    With known chances such people drop out of a value without a word.

    Parameters
    ----------
    recommended : array-like of shape (n, K)
        Treatments advised, coded -1 and +1.
    *received : array-like of shape (m, K)
        Treatments received, in the fit and here.
    """
    there = combination_number(np.concatenate(received))
    share = float((~np.isin(combination_number(recommended), there)).mean())
    if share > TOLERATED:
        warnings.warn(
            f"no support: {share:.0%} of {len(recommended):,} people are advised a"
            " combination that nobody received; the value is that of the others",
            UserWarning,
            stacklevel=3,
        )
