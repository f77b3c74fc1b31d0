"""The one door to the value of a rule: cross-fitted, supported, and against the best.

Taught in notebooks ``c09_weights_value_robustness`` and ``d05_which_medication``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from sudlib.estimates import NORMAL, Estimate
from sudlib.files import InputError
from sudlib.policy.crossfitting import folds
from sudlib.policy.doubly_robust import (
    Scores,
    as_trial,
    augmented_scores,
    augmented_value,
    mean_score,
    support,
)
from sudlib.policy.overlap import Overlap
from sudlib.policy.policy_tree import PolicyTree
from sudlib.policy.study import check_study
from sudlib.policy.treatments import Array
from sudlib.policy.trial import Trial, place_of
from sudlib.validation import check_rows, check_whole


@dataclass(frozen=True)
class Evaluation:
    """What a rule is worth.

    Attributes
    ----------
    value : Estimate
        Of the method: rules learned from the other folds, in the outcome's own units.
    best : Estimate
        Of one combination for all, chosen on the other folds as rules are.
    difference : Estimate
        Rule less one for all; its interval is that of the paired difference.
    for_all : numpy.ndarray of str, shape (n,)
        The combination that the other folds chose for all; mostly one and the same.
    overlap : Overlap
        The support of the rule's advice.
    advice : numpy.ndarray of str, shape (n,)
        What each person is advised by the rule that was learned without them.
    recommended : numpy.ndarray of int8, shape (n, K)
        The same in codes.
    """

    value: Estimate
    best: Estimate
    difference: Estimate
    for_all: Array
    overlap: Overlap
    advice: Array
    recommended: Array

    def __str__(self) -> str:
        chosen = " or ".join(sorted(set(self.for_all)))
        return (
            f"value {self.value}; one for all ({chosen}) {self.best};"
            f" difference {self.difference}; {self.overlap}"
        )


def evaluate(
    rule: Any,
    X: Any,
    A: ArrayLike | None = None,
    outcome: Any = None,
    *,
    propensity: str | ArrayLike = "auto",
    model: Any = None,
    n_splits: int = 5,
    seed: int = 33,
    scores: Scores | None = None,
) -> Evaluation:
    """Return the value of a rule, cross-fitted, and its gain over one for all.

    Rules are learned on all folds but one and judged on that one, and so is the choice
    of the best combination for all: neither profits from having been chosen on the
    people it is judged by.

    Parameters
    ----------
    rule : estimator, callable or str
        An estimator with ``fit(X, A, outcome)`` and ``predict(X)``, which is not
        changed; a :class:`PolicyTree`; a callable that returns one; or the name of a
        combination that all shall have.
    X, A, outcome : Trial, or array-like
        The study, as for :func:`augmented_scores`.
    propensity, model, n_splits, seed
        As for :func:`augmented_scores`.
    scores : Scores, optional
        From :func:`augmented_scores` of the same study; computed if absent.

    Returns
    -------
    Evaluation
        Where the advice has no support, ``value`` and ``difference`` are undefined and
        say why.

    Notes
    -----
    What is estimated is the mean value of the rules learned on each J - 1 of J folds.
    Given its rule, the error of fold i has mean 0 whatever the other folds hold; it
    goes together with that of fold j only if j matters to the rule of i, and i to the
    rule of j.  Each is 1 in J - 1 of the folds the other's rule learned from, so that a
    correlation of the order of :math:`1/(J-1)^2` is plausible; taken twice (the rule,
    and the models of outcomes and chances behind the scores) and summed over the J - 1
    others it multiplies the variance by :math:`1 + 2/(J-1)`.  That is an order of
    magnitude and no bound: no unbiased estimate of this variance exists (Bengio and
    Grandvalet 2004, No unbiased estimator of the variance of K-fold cross-validation).
    It was held against worlds where the choice is hardest
    (tests/test_policy_coverage.py).  Nadeau and Bengio's (2003) correction, Inference
    for the generalization error, is wider, 2 + 1 / (J - 1): it is for the value of the
    *method* over all training sets of this size.

    One division into folds is one draw.  Another seed learns other rules, and can move
    the value by as much as its standard error: take :func:`over_divisions` of several
    before a rule is called better, and widen the intervals where several rules are
    tried.

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> X, A = generator.normal(size=(400, 2)), generator.choice([-1, 1], (400, 2))
    >>> y = (A * np.sign(X)).sum(axis=1) + generator.normal(size=400)
    >>> from sudlib.policy import AdditiveQLearner
    >>> found = evaluate(AdditiveQLearner(), X, A, y)
    >>> found.difference.low > 1.5
    True
    """
    more = {"propensity": propensity, "model": model, "n_splits": n_splits}
    if scores is None:
        scores = augmented_scores(X, A, outcome, seed=seed, **more)
    if isinstance(X, Trial):
        trial, single = X, outcome
    else:
        study = check_study(X, A, outcome)
        trial, single = as_trial(X, A, study), None
    check_rows(X=trial.X, scores=scores)
    taken = trial.codes.to_numpy()[trial.arm]
    if not np.array_equal(scores.codes[scores.received], taken):
        raise InputError(
            "scores must be of the same study, its people in the same order: these"
            " people received something else than those of the scores"
        )
    place, best = np.empty((2, len(trial)), int)
    fixed = isinstance(rule, str)
    if fixed and rule not in scores.names:
        raise InputError(
            f"a combination for all must be one of {', '.join(scores.names)}, not"
            f" {rule!r}"
        )
    if not fixed and not callable(rule) and not hasattr(rule, "fit"):
        raise InputError(
            "rule must be an estimator with fit and predict, a callable that returns"
            f" one, or the name of a combination, not {type(rule).__name__}"
        )
    received = np.unique(scores.received)
    for train, rest in folds(len(trial), n_splits, seed, trial.clusters):
        means = np.asarray(scores)[train][:, received].mean(axis=0)
        best[rest] = received[means.argmax()]
        if fixed:
            advice = np.full(len(rest), rule)
        else:
            makes = isinstance(rule, type) or not hasattr(rule, "fit")
            fresh = rule() if makes else clone(rule)
            learned = _learn(fresh, trial, single, train, more, seed)
            advice = learned.predict(trial.X.iloc[rest])
        place[rest] = place_of(advice, scores.names, scores.codes, scores.treatments)
    names = np.asarray(scores.names, dtype=object)
    found = support(scores, names[place])
    undefined = Estimate(float("nan"), n=found.people, reason=found.problem)
    gain = mean_score(scores, names[place], names[best])
    wider = (1 + 2 / (n_splits - 1)) ** 0.5
    value = augmented_value(scores, names[place])
    return Evaluation(
        value=value if fixed else _widen(value, wider),
        best=_widen(augmented_value(scores, names[best]), wider),
        difference=undefined if found.problem else _widen(gain, wider),
        for_all=names[best],
        overlap=found,
        advice=names[place],
        recommended=scores.codes[place].astype("int8"),
    )


def over_divisions(estimates: Iterable[Estimate]) -> Estimate:
    """Return the mean of estimates from several divisions of the same people.

    Parameters
    ----------
    estimates : iterable of Estimate
        Such as the ``difference`` of :func:`evaluate` with several seeds.

    Returns
    -------
    Estimate
        Its squared standard error is the mean over divisions of theirs, each plus the
        squared distance of its value from the mean.  Divisions share their people, so
        more of them do not narrow it.  Undefined if one of the estimates is.

    References
    ----------
    Chernozhukov and others (2018), Double/debiased machine learning for treatment and
    structural parameters, section 3.4.

    Examples
    --------
    >>> ends = ((0.1, -0.1, 0.3, 0.1), (0.3, 0.1, 0.5, 0.1))
    >>> print(over_divisions(Estimate(*each) for each in ends))
    0.200 (−0.077 to 0.477)
    """
    every = list(estimates)
    check_whole("the number of estimates", len(every), 1)
    for each in every:
        if not isinstance(each, Estimate):
            raise InputError(f"estimates must be Estimates, not {type(each).__name__}")
    undefined = [each for each in every if each.reason]
    if undefined:
        return undefined[0]
    values = np.array([each.value for each in every])
    errors = np.array([each.standard_error for each in every])
    value = float(values.mean())
    error = float(np.sqrt((errors**2).mean() + values.var()))
    reach = NORMAL * error
    return Estimate(value, value - reach, value + reach, error, n=every[0].n)


def _widen(estimate: Estimate, factor: float) -> Estimate:
    """Return an estimate with a larger standard error."""
    more = (factor - 1) * estimate.standard_error
    return replace(
        estimate,
        low=estimate.low - NORMAL * more,
        high=estimate.high + NORMAL * more,
        standard_error=factor * estimate.standard_error,
    )


def _learn(
    rule: Any, trial: Trial, outcome: Any, rows: Array, more: dict[str, Any], seed: int
) -> Any:
    """Return a rule fitted to some people."""
    if not isinstance(rule, PolicyTree):
        return rule.fit(*(x for x in trial.study(outcome, rows) if x is not None))
    clusters = None if trial.clusters is None else trial.clusters[rows]
    chances = None if trial.chances is None else trial.chances[rows]
    if chances is not None and np.isnan(chances).any():  # of the arm received only
        chances = chances[np.arange(len(rows)), trial.arm[rows]]
    some = Trial(
        trial.X.iloc[rows],
        trial.treatments.iloc[rows],
        {"target": trial.target(outcome)[rows]},
        chances,
        clusters,
    )
    return rule.fit(some.X, augmented_scores(some, seed=seed, **more))
