"""Doubly robust, cross-fitted estimates: of effects, and of the value of a rule.

An outcome model predicts, and the residual of the combination that was received,
divided by its probability, corrects the prediction.  The estimate is consistent when
the outcome model or the propensity is correctly specified.  Taught in notebooks
``c05_diabetes`` and ``c09_weights_value_robustness``.

References
----------
Robins, Rotnitzky and Zhao (1994), Estimation of regression coefficients when some
regressors are not always observed.  Athey and Wager (2021), Policy learning with
observational data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sudlib.estimates import NORMAL, Estimate
from sudlib.files import InputError
from sudlib.policy.crossfitting import correction, folds
from sudlib.policy.overlap import RARE, Overlap, least_chance, overlap
from sudlib.policy.propensity import PROPENSITIES, Propensity
from sudlib.policy.q_learning import AdditiveQLearner
from sudlib.policy.study import Study, check_propensity, check_study, column_names
from sudlib.policy.treatments import Array, combination_number, combinations, describe
from sudlib.policy.trial import Trial, place_of
from sudlib.validation import (
    check_bytes,
    check_choice,
    check_number,
    check_rows,
)


def doubly_robust_contrasts(
    X: ArrayLike,
    A: ArrayLike,
    outcome: ArrayLike,
    propensity: ArrayLike,
    seed: int = 0,
    n_splits: int = 5,
) -> Array:
    r"""Return a doubly robust estimate of each treatment's effect for each person.

    With an additive outcome model :math:`\hat Q` fitted on other folds,

    .. math:: \Delta_k = {} & \hat Q_k(X) + {} \\
       & \frac{A_k}{2^{K-1}} \frac{R - \hat Q(X, A)}{\pi_A(X)},

    whose mean given X is the average effect of treatment k over all combinations of
    the others.  It is the contrast between the mean :func:`augmented_scores` of the
    combinations with treatment k and of those without.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates.
    A : array-like of shape (n, K)
        Treatments received, coded -1 and +1.
    outcome : array-like of shape (n,)
        Larger is better.
    propensity : float or array-like of shape (n,)
        Probability of the combination received.
    seed : int, default=0
        Seed of the folds.
    n_splits : int, default=5
        Folds of the cross-fitting.

    Returns
    -------
    numpy.ndarray of shape (n, K)
    """
    study = check_study(X, A, outcome, propensity, varying=False)
    contrasts = np.empty(study.A.shape)

    for train, rest in folds(len(study.X), n_splits, seed):
        # In a small fold a rare treatment may be missing: its effect is shrunk to 0.
        model = AdditiveQLearner(effect_penalty=4.0, standardise=False)
        some = study.rows(train)
        model._fit(check_study(*some, estimator=model, varying=False))
        X, A, outcome, chance = study.rows(rest)
        residual = correction(outcome, model.expected(X, A), chance)
        scale = A / 2.0 ** (A.shape[1] - 1)
        contrasts[rest] = 2 * model.decision_function(X) + scale * residual[:, None]
    return contrasts


class Scores(np.ndarray):
    """Doubly robust scores, (n, combinations), with what tells their support.

    Rows may be chosen by one index, and keep it; other arrays made from scores are
    plain.  Larger is better.

    Attributes
    ----------
    names : list of str
        What the columns are called.
    codes : numpy.ndarray of shape (combinations, K)
        What they stand for.
    treatments : list of str or None
        What the columns of ``codes`` are called.
    X : numpy.ndarray of shape (n, p)
        Covariates.
    chances : numpy.ndarray of shape (n, combinations)
        Probability of each combination; NaN where nobody received it.
    received : numpy.ndarray of int, shape (n,)
        The column that each person received.
    known : bool
        Whether the probabilities are known.
    least : float
        Estimated probabilities below this were raised to it.
    clusters : numpy.ndarray or None
        Clusters of people.
    limits : tuple of float
        Smallest and largest outcome.
    sign : int
        -1 where less of the outcome is better.
    """

    _ROWS = ("X", "chances", "received", "clusters")

    names: list[str]
    codes: Array
    treatments: list[str] | None = None
    X: Array
    chances: Array
    received: Array
    known: bool
    least: float
    clusters: Array | None
    limits: tuple[float, float]
    sign: int

    def __getitem__(self, key: Any) -> Any:
        """Return chosen rows with their support, or a plain array."""
        values = np.asarray(self)[key]
        if isinstance(key, tuple) or values.ndim != 2:
            return values
        some = _with_support(values, vars(self))
        for name in self._ROWS:
            each = getattr(self, name)
            setattr(some, name, None if each is None else each[key])
        return some

    def __array_wrap__(self, array: Any, *_: Any) -> Any:
        """Return the results of arithmetic as plain arrays."""
        return np.asarray(array)[()]

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle keeps: the numbers and their support."""
        return _with_support, (np.asarray(self), vars(self))


def _with_support(values: Array, support: dict[str, Any]) -> Scores:
    scores = values.view(Scores)
    vars(scores).update(support)
    return scores


def augmented_scores(
    X: Any,
    A: ArrayLike | None = None,
    outcome: Any = None,
    *,
    propensity: str | ArrayLike = "auto",
    model: Any = None,
    n_splits: int = 5,
    least: float | None = None,
    seed: int = 33,
) -> Scores:
    r"""Return every person's doubly robust score of every combination, cross-fitted.

    .. math:: \Gamma_i(a) = {} & \hat Q(x_i, a) + {} \\
       & \frac{I\{a_i = a\}}{\hat\pi_a(x_i)} \{R_i - \hat Q(x_i, a_i)\}

    The mean of :math:`\Gamma_i(d(x_i))` estimates the value of the rule :math:`d`.
    Both models are fitted to other people than those they are used for.  Where outcomes
    are missing, :math:`\pi` is also multiplied by the estimated probability that they
    are not, given covariates and combination.

    Parameters
    ----------
    X : Trial, or array-like of shape (n, p)
        A trial; or covariates.
    A : array-like of shape (n, K), optional
        Treatments received, coded -1 and +1; not for a trial.
    outcome : array-like of shape (n,), or str
        Larger is better; of a trial the name of an outcome, by default the first.
    propensity : str or array-like, default="auto"
        How it is estimated ("marginal", "product" or "multinomial"; "auto" is
        multinomial unless combinations are many), or known probabilities: (n, 2 ** K),
        one column a combination, or of the one received.  Of a trial the known chances
        are used.
    model : estimator, optional
        With ``fit(X, A, outcome)`` and ``expected(X, A)``; by default
        :class:`AdditiveQLearner`.
    n_splits : int, default=5
        Folds of the cross-fitting; clusters of a trial stay whole.
    least : float, optional
        Smaller *estimated* probabilities are raised to this: a little bias against a
        lot of variance.  By default 0.01, or a tenth of an even share of the
        combinations received where that is less.  Known ones are never raised.
    seed : int, default=33
        Seed of the folds.

    Returns
    -------
    Scores
        (n, 2 ** K), columns as in :func:`sudlib.policy.combinations`; of a trial
        (n, arms).  NaN for combinations that nobody received.

    Raises
    ------
    sudlib.files.InputError
        For data that :class:`sudlib.policy.Trial` refuses, and known probabilities of
        another shape.
    """
    how = propensity if isinstance(propensity, str) else "auto"
    check_choice("propensity", how, ("auto", *PROPENSITIES))
    if not isinstance(X, Trial):
        settings = {"model": model, "n_splits": n_splits, "least": least, "seed": seed}
        return _every_combination(X, A, outcome, propensity, how, **settings)
    trial = X
    target, codes = trial.target(outcome), trial.codes
    seen = np.isfinite(target)
    if not seen.any():
        raise InputError("every outcome is missing")
    shape = len(trial), len(trial.arms)
    scores = np.empty(shape).view(Scores)
    scores.chances, scores.names = np.empty(shape), list(trial.arms)
    scores.codes, scores.received = codes.to_numpy(), trial.arm
    scores.treatments = list(codes)
    scores.known = trial.chances is not None
    scores.least = least_chance(shape[1]) if least is None else least
    check_number("least", scores.least, 0, 1, open_high=True)
    scores.clusters, scores.X = trial.clusters, trial.X.to_numpy()
    scores.limits = float(target[seen].min()), float(target[seen].max())
    single = None if isinstance(outcome, Mapping) else trial.main(outcome)
    scores.sign = -1 if single in trial.lower_is_better else 1
    A = codes.iloc[trial.arm].set_axis(trial.X.index)
    model = AdditiveQLearner() if model is None else model
    for train, rest in folds(len(trial), n_splits, seed, trial.clusters):
        fitted = clone(model).fit(*trial.study(outcome, train)[:3])
        new = trial.X.iloc[rest]
        each = [
            codes.iloc[[arm] * len(rest)].set_axis(new.index) for arm in range(shape[1])
        ]
        expected = np.column_stack([fitted.expected(new, arm) for arm in each])
        here = np.arange(len(rest)), trial.arm[rest]
        chances, scores.chances[rest] = _chances(trial, how, train, rest, scores.least)
        chance = chances[here]
        if not seen.all():
            chance = chance * _observed(trial.X.join(A), seen, train, rest)
        expected[here] += correction(target[rest], expected[here], chance)
        scores[rest] = expected
    return scores


def _every_combination(
    X: Any, A: Any, outcome: Any, propensity: Any, how: str, **settings: Any
) -> Scores:
    """Return the scores of a study given as tables; NaN for what nobody received."""
    known: Any = None if isinstance(propensity, str) else propensity
    check_rows(X=X, A=A, outcome=outcome, propensity=known)
    study = check_study(X, A, outcome)
    every = combinations(study.A.shape[1])
    shape = len(study.X), len(every)
    check_bytes("scores of every combination", 16 * shape[0] * shape[1])
    number = combination_number(study.A)
    names = describe(every, list(as_trial(X, A, study).codes))
    table: Any = None
    if np.ndim(known) == 2:
        if column_names(known) is not None:  # named columns are known by their names
            if set(column_names(known) or ()) != set(names):
                raise InputError(
                    f"known probabilities must be of {', '.join(names)}, not"
                    f" {', '.join(column_names(known) or ())}"
                )
            known = known.rename(columns=str)[names]
        table = np.asarray(known, float)
        if table.shape != shape:
            raise InputError(
                f"known probabilities must have shape {shape}, not {table.shape}"
            )
        if (table < 0).any() or not np.allclose(np.nansum(table, 1), 1, atol=1e-3):
            raise InputError(
                "known probabilities of all combinations must be at least 0 and sum to"
                " 1 for each person"
            )
        known = table[np.arange(len(table)), number]
    elif known is not None:
        known = check_propensity(known, shape[0])
    trial = as_trial(X, A, study, known)
    few = augmented_scores(trial, propensity=how, **settings)
    seen = np.unique(number)
    scores = _with_support(np.full(shape, np.nan), vars(few))
    scores[:, seen] = few
    scores.codes, scores.names = every, names
    scores.received = number
    scores.chances = np.full(shape, np.nan) if table is None else table
    if table is None:
        scores.chances[:, seen] = few.chances
    return scores


def as_trial(X: Any, A: Any, study: Study, known: Any = None) -> Trial:
    """Return a study given as tables as a trial, with the names it came with.

    Parameters
    ----------
    X, A : array-like
        What was given.
    study : Study
        The same, checked.
    known : float or array-like, optional
        Known propensities of the combinations received.

    Returns
    -------
    Trial
    """
    names = getattr(A, "columns", range(1, 1 + study.A.shape[1]))
    received = pd.DataFrame(study.A, columns=list(map(str, names)))
    covariates = pd.DataFrame(study.X, columns=getattr(X, "columns", None))
    return Trial(covariates, received, study.outcome, known)


def _chances(
    trial: Trial, how: str, train: Array, rest: Array, least: float
) -> tuple[Array, Array]:
    """Return what divides, and what tells the support."""
    if trial.chances is not None:
        return trial.chances[rest], trial.chances[rest]
    X, codes = trial.X.to_numpy(), trial.codes.to_numpy()

    def estimate(how: str) -> Array:
        fitted = Propensity(how).fit(X[train], codes[trial.arm[train]])
        chances = fitted.predict_combinations(X[rest], codes)
        return chances / chances.sum(axis=1, keepdims=True)

    chances = estimate(how)
    # Marginal shares cannot see who never receives an arm.
    shown = estimate("product") if how == "marginal" else chances
    return np.maximum(chances, max(least, 1e-12)), shown


def _observed(X: pd.DataFrame, seen: Array, train: Array, rest: Array) -> Array:
    """Return the probability that the outcome is not missing, at least 0.05."""
    if seen[train].all():
        return np.ones(len(rest))
    model = make_pipeline(StandardScaler(), LogisticRegression())
    chance = model.fit(X.iloc[train], seen[train]).predict_proba(X.iloc[rest])[:, 1]
    return np.maximum(chance, 0.05)


def _column(scores: Scores, advice: ArrayLike) -> Array:
    """Return the columns of what is advised."""
    if not isinstance(scores, Scores) or not hasattr(scores, "chances"):
        raise InputError(
            "scores must be the whole of what augmented_scores returned, or some of its"
            " rows: their support belongs to them"
        )
    column = place_of(advice, scores.names, scores.codes, scores.treatments)
    check_rows(scores=scores, advice=column)
    return column


def support(scores: Scores, recommended: ArrayLike) -> Overlap:
    """Return how far data support the advice of a rule.

    Parameters
    ----------
    scores, recommended
        As for :func:`augmented_value`.

    Returns
    -------
    Overlap
    """
    column = _column(scores, recommended)
    rows = np.arange(len(scores)), column
    chance = scores.chances[rows]
    if scores.known:  # those of other arms than the one received may not be told
        chance = np.where(np.isnan(chance) & np.isfinite(scores[rows]), 1.0, chance)
    return overlap(
        np.where(np.isnan(scores[rows]), np.nan, chance),
        column == scores.received,
        scores.X,
        least=scores.least,
        known=scores.known,
    )


def augmented_value(scores: Scores, recommended: ArrayLike) -> Estimate:
    """Return the value of a rule from :func:`augmented_scores`, with its interval.

    Where a few people's advice has no support (see :class:`Overlap`), the interval is
    widened to what their outcomes could be at the worst and at the best; where many
    people's has none, there is no value, and the estimate says why.

    Parameters
    ----------
    scores : Scores
        From :func:`augmented_scores`.
    recommended : array-like of shape (n, K), or of names, (n,)
        What a rule that was *not* fitted to these people recommends.

    Returns
    -------
    sudlib.estimates.Estimate
        In the outcome's own units, with the 95% interval; without one where everybody
        has the same outcome.

    Raises
    ------
    sudlib.files.InputError
        If the scores have lost their support on the way.
    """
    found = support(scores, recommended)
    if found.problem:
        return Estimate(math.nan, n=found.people, reason=found.problem)
    estimate = mean_score(scores, recommended)
    if scores.limits[0] == scores.limits[1]:
        alike = "everybody has one outcome: how far off it is cannot be told"
        return Estimate(estimate.value, n=estimate.n, reason=alike)
    if found.clipped:
        said = f"{found.clipped:.1%} of those who agree have a raised chance"
        return replace(estimate, reason=said)
    return estimate


def mean_score(
    scores: Scores, recommended: ArrayLike, instead: ArrayLike | None = None
) -> Estimate:
    """Return the mean score of advice, or what it gains over other advice.

    Parameters
    ----------
    scores, recommended
        As for :func:`augmented_value`.
    instead : array-like, optional
        Other advice.

    Returns
    -------
    sudlib.estimates.Estimate
        In the outcome's own units; the standard error counts clusters.
    """
    advised = [recommended] if instead is None else [recommended, instead]
    columns = [_column(scores, advice) for advice in advised]
    ends: Any = np.zeros((3, len(scores)))
    for sign, column in zip((1, -1), columns, strict=False):
        rows = np.arange(len(scores)), column
        followed = scores[rows]
        nobody = np.isnan(followed)
        lacking = nobody | (
            ~(scores.chances[rows] >= RARE * scores.least) & (not scores.known)
        )
        middle = np.where(nobody, np.mean(scores.limits), followed)
        low, high = (np.where(lacking, limit, middle) for limit in scores.limits)
        ends = ends + sign * np.stack([low, middle, high][::sign])
    if len(columns) == 2:
        ends[:, columns[0] == columns[1]] = 0.0
    low, mean, high = ends.mean(axis=1)
    error = _standard_error(ends[1], scores.clusters)
    low = min(low, mean) - NORMAL * error
    high = max(high, mean) + NORMAL * error
    if scores.sign < 0:
        low, mean, high = -high, -mean, -low
    return Estimate(float(mean), float(low), float(high), error, len(scores))


def _standard_error(values: Array, clusters: Array | None) -> float:
    n, groups = len(values), np.arange(len(values)) if clusters is None else clusters
    place = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(place, values - values.mean())
    return float(np.sqrt(sums @ sums * len(sums) / (len(sums) - 1)) / n)
