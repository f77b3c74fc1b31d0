"""The value of a rule from data: what would happen if it were followed (floor 4).

Study C's statistic :math:`T` (section 7), the doubly robust alternative, propensities
in the three ways that section 3 names, and intervals.  Also the guard that keeps small
groups of people out of what is shown.  Taught in notebook ``c05_diabetes``.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sudlib.combinations import combination_number, combinations
from sudlib.files import InputError
from sudlib.owl.batched import Networks, train
from sudlib.owl.losses import WeightedHamming
from sudlib.owl.rules import STRENGTHS, check_treatments
from sudlib.owl.weights import logistic_regression, outcome_weights
from sudlib.rivals import AdditiveQLearner, check_covariates, check_study

#: No group of fewer people is shown.
LEAST = 10

_Z = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error, its 95 % interval, and the people behind it."""

    value: float
    error: float
    low: float
    high: float
    people: int

    def __str__(self):
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


# --------------------------------------------------------------------- propensities


class Propensity(BaseEstimator):
    """The chance of each person's combination of treatments.

    Parameters
    ----------
    how : {"marginal", "product", "multinomial"}, default="multinomial"
        *Marginal*: the share of each combination, the same for everybody (what the
        study used).  *Product*: one logistic regression a treatment, multiplied, as if
        treatments were independent given the covariates.  *Multinomial*: one regression
        for all combinations that occur.
    strength : float, default=1.0
        Inverse strength of the ridge penalty of the regressions.
    """

    def __init__(self, how="multinomial", strength=1.0):
        self.how = how
        self.strength = strength

    def fit(self, X, A):
        """Return the fitted model.

        Raises
        ------
        InputError
            For another ``how``, and more than 12 treatments.
        """
        if self.how not in ("marginal", "product", "multinomial"):
            raise InputError(
                f'how must be "marginal", "product" or "multinomial", not {self.how!r}'
            )
        X = check_covariates(X)
        A = check_treatments(A, len(X))
        self.combinations_ = combinations(A.shape[1])
        place = combination_number(A)
        if self.how == "marginal":
            counts = np.bincount(place, minlength=len(self.combinations_))
            self.shares_ = counts / len(place)
        elif self.how == "multinomial" and place.min() != place.max():
            self.models_ = [self._regression().fit(X, place)]
        elif self.how == "multinomial":
            self.models_ = [float(place[0])]
        else:
            self.models_ = [
                float(column[0] > 0)
                if column.min() == column.max()
                else self._regression().fit(X, column)
                for column in A.T
            ]
        self.treatments_ = A.shape[1]
        return self

    def _regression(self):
        return logistic_regression(self.strength)

    def matrix(self, X):
        """Return every person's chance of every combination; each row sums to 1.

        A combination that nobody was given in the data fitted to has chance 0 in the
        marginal and the multinomial model.
        """
        check_is_fitted(self, "treatments_")
        X = check_covariates(X)
        if self.how == "marginal":
            return np.tile(self.shares_, (len(X), 1))
        chances = np.zeros((len(X), len(self.combinations_)))
        if self.how == "multinomial":
            model = self.models_[0]
            if isinstance(model, float):
                chances[:, int(model)] = 1.0
            else:
                chances[:, model.classes_] = model.predict_proba(X)
            return chances
        given = np.column_stack(
            [
                np.full(len(X), model)
                if isinstance(model, float)
                else model.predict_proba(X)[:, 1]
                for model in self.models_
            ]
        )
        taken = self.combinations_[None] > 0
        return np.where(taken, given[:, None], 1 - given[:, None]).prod(axis=2)

    def predict(self, X, A):
        """Return every person's chance of the combination that they were given."""
        chances = self.matrix(X)
        A = check_treatments(A, len(chances))
        return chances[np.arange(len(chances)), combination_number(A)]


def check_propensity(propensity, people):
    """Return propensities as an array, or say what is wrong: 0 < π ≤ 1 is allowed."""
    values = np.asarray(propensity, dtype=float)
    if values.shape != (people,):
        raise InputError(
            f"the propensity must be one number for each of {people} people, not of"
            f" shape {values.shape}"
        )
    wrong = ~((values > 0) & (values <= 1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"a propensity must be above 0 and at most 1; row {row + 1} is"
            f" {values[row]:g} ({int(wrong.sum())} such rows)"
        )
    return values


# ------------------------------------------------------------------ the study's own T


def agreement(given, recommended):
    """Return who was given exactly what the rule recommends, as booleans."""
    given = check_treatments(given)
    recommended = check_treatments(recommended, len(given))
    if given.shape != recommended.shape:
        raise InputError(
            f"the rule recommends on {recommended.shape[1]} treatments,"
            f" {given.shape[1]} were given"
        )
    return (given == recommended).all(axis=1)


def matched_average(outcome, given, recommended, propensity, *, normalise=True):
    r"""Return study C's :math:`T` and :math:`N` (section 7).

    .. math:: T = \frac{\sum_i w_i R_i}{\sum_i w_i}, \qquad
       w_i = \frac{I\{\hat A_i = a_i\}}{P(A_i = a_i \mid X_i)}

    Parameters
    ----------
    outcome : array-like of shape (people,)
        The study puts in the *change* in HbA1c (lower is better); this book puts in the
        drop unless it stands beside the printed table.
    given, recommended : array-like of shape (people, treatments)
        In −1 and +1.
    propensity : array-like of shape (people,)
        The chance of what was given.
    normalise : bool, default=True
        False divides by the number of people instead of the sum of the weights.

    Returns
    -------
    T : float
        NaN when nobody was given what the rule recommends.
    N : int
        People who were.
    """
    same = agreement(given, recommended)
    outcome = np.asarray(outcome, dtype=float)
    if outcome.shape != same.shape or not np.isfinite(outcome).all():
        raise InputError(
            f"the outcome must be one finite number for each of {len(same)} people"
        )
    weights = same / check_propensity(propensity, len(same))
    if not same.any():
        return float("nan"), 0
    bottom = weights.sum() if normalise else len(same)
    return float(weights @ outcome / bottom), int(same.sum())


def matched_interval(
    outcome, given, recommended, propensity, *, normalise=True, repeats=1000, seed=33
):
    """Return :math:`T` with a percentile bootstrap interval.

    People are drawn again with replacement; the rule and the propensities stay, so the
    interval says how well the sample tells the value of *this* rule.  Draws in which
    nobody agrees are left out.

    Parameters
    ----------
    outcome, given, recommended, propensity, normalise
        As for :func:`matched_average`.
    repeats : int, default=1000
    seed : int, default=33

    Returns
    -------
    Estimate
    """
    value, people = matched_average(
        outcome, given, recommended, propensity, normalise=normalise
    )
    same = agreement(given, recommended)
    if people < 2:
        nan = float("nan")
        return Estimate(value, nan, nan, nan, people)
    rows = np.flatnonzero(same)
    weights = 1 / np.asarray(propensity, float)[rows]
    random = np.random.default_rng(seed)
    # Only those who agree count: their copies are drawn from the whole sample.
    chances = np.r_[np.full(len(rows), 1 / len(same)), 1 - len(rows) / len(same)]
    copies = random.multinomial(len(same), chances, size=repeats)[:, :-1]
    top = copies @ (weights * np.asarray(outcome, float)[rows])
    bottom = copies @ weights if normalise else np.full(repeats, len(same))
    draws = top[bottom > 0] / bottom[bottom > 0]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value, float(draws.std(ddof=1)), float(low), float(high), people)


# ---------------------------------------------------- doubly robust, cross-fitted


def augmented_scores(
    X,
    A,
    outcome,
    *,
    propensity="multinomial",
    model=None,
    folds=5,
    least=0.01,
    seed=33,
):
    r"""Return every person's doubly robust score of every combination, cross-fitted.

    .. math:: \Gamma_i(a) = \hat Q(x_i, a) +
       \frac{I\{a_i = a\}}{\hat\pi_a(x_i)} \{R_i - \hat Q(x_i, a_i)\}

    The mean of :math:`\Gamma_i(d(x_i))` estimates the value of the rule :math:`d`.  It
    is right when the outcome model or the propensity is.  Both are fitted to other
    people than those they are used for.

    Parameters
    ----------
    X, A, outcome
        The study.
    propensity : {"marginal", "product", "multinomial"} or array-like
        How it is estimated, or the known chances, one column a combination.
    model : estimator, optional
        With ``fit(X, A, outcome)`` and ``outcomes(X)``; by default
        :class:`sudlib.rivals.AdditiveQLearner`.
    folds : int, default=5
    least : float, default=0.01
        Smaller chances are raised to this: a little bias against a lot of variance.
    seed : int, default=33

    Returns
    -------
    numpy.ndarray of shape (people, 2 ** treatments)
        Columns as in :func:`sudlib.combinations.combinations`.
    """
    X, A, outcome = check_study(X, A, outcome)
    if not 2 <= folds <= len(X):
        raise InputError(f"folds must be from 2 to {len(X)} people, not {folds}")
    if not 0 <= least < 1:
        raise InputError(f"least must be from 0 to below 1, not {least!r}")
    model = AdditiveQLearner() if model is None else model
    known = None if isinstance(propensity, str) else np.asarray(propensity, float)
    scores = np.empty((len(X), 2 ** A.shape[1]))
    if known is not None and known.shape != scores.shape:
        raise InputError(
            f"known chances must have the shape {scores.shape}, not {known.shape}"
        )
    place = combination_number(A)
    for kept, rest in KFold(folds, shuffle=True, random_state=seed).split(X):
        fitted = clone(model).fit(X[kept], A[kept], outcome[kept])
        scores[rest] = fitted.outcomes(X[rest])
        if known is None:
            chances = Propensity(propensity).fit(X[kept], A[kept]).matrix(X[rest])
        else:
            chances = known[rest]
        here = np.arange(len(rest)), place[rest]
        chance = check_propensity(
            np.clip(chances[here], max(least, 1e-12), 1), len(rest)
        )
        scores[rest, place[rest]] += (outcome[rest] - scores[rest][here]) / chance
    return scores


def augmented_value(scores, recommended):
    """Return the value of a rule from :func:`augmented_scores`, with its interval.

    Parameters
    ----------
    scores : numpy.ndarray of shape (people, 2 ** treatments)
    recommended : array-like of shape (people, treatments)
        What a rule that was *not* fitted to these people recommends.

    Returns
    -------
    Estimate
        The interval is the normal one around the mean of the scores.
    """
    recommended = check_treatments(recommended, len(scores))
    own = scores[np.arange(len(scores)), combination_number(recommended)]
    value, error = float(own.mean()), float(own.std(ddof=1) / np.sqrt(len(own)))
    return Estimate(value, error, value - _Z * error, value + _Z * error, len(own))


def cross_fitted_value(make, X, A, outcome, *, folds=5, seed=33, scores=None, **more):
    """Return the value of a *method*: rules from the other folds, scored on each.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator with ``fit(X, A, outcome)`` and ``predict(X)``.
    X, A, outcome
        The study.
    folds, seed : int
    scores : numpy.ndarray, optional
        From :func:`augmented_scores`; computed with ``**more`` if absent.

    Returns
    -------
    estimate : Estimate
    recommended : numpy.ndarray
        What each person is recommended by the rule that did not see them.
    """
    X, A, outcome = check_study(X, A, outcome)
    if scores is None:
        scores = augmented_scores(X, A, outcome, folds=folds, seed=seed, **more)
    recommended = np.empty_like(A)
    for kept, rest in KFold(folds, shuffle=True, random_state=seed).split(X):
        rule = make().fit(X[kept], A[kept], outcome[kept])
        recommended[rest] = rule.predict(X[rest])
    return augmented_value(scores, recommended), recommended


# ------------------------------------------------------------------- splits and guard


def splits(given, *, test=227, repeats=100, seed=33, stratify=False):
    """Return training and test rows, many times.

    Parameters
    ----------
    given : array-like of shape (people, treatments)
    test : int, default=227
        People to test on; the study's number.
    repeats : int, default=100
    seed : int, default=33
    stratify : bool, default=False
        Keep the share of each combination the same on both sides.

    Returns
    -------
    list of (numpy.ndarray, numpy.ndarray)

    Raises
    ------
    InputError
        If there are too few people, or, stratified, a combination has only one person
        or there are fewer test people than combinations.
    """
    given = check_treatments(given)
    people = len(given)
    if not 1 <= test < people:
        raise InputError(
            f"test must be from 1 to {people - 1}, below the {people} people,"
            f" not {test}"
        )
    place = combination_number(given)
    if stratify:
        found, counts = np.unique(place, return_counts=True)
        if counts.min() < 2 or min(test, people - test) < len(found):
            raise InputError(
                f"stratified splits need at least 2 people in each of the {len(found)}"
                f" combinations given and at least {len(found)} people on each side;"
                f" the smallest combination has {counts.min()}, the sides have"
                f" {people - test} and {test}: use stratify=False or more people"
            )
    kind = StratifiedShuffleSplit if stratify else ShuffleSplit
    parts = kind(n_splits=repeats, test_size=test, random_state=seed)
    return list(parts.split(place, place))


def network_advice(
    trains,
    tests,
    *,
    hidden=(),
    weights="raw",
    propensity="marginal",
    strengths=STRENGTHS,
    steps=2000,
    early_stopping=False,
    watched=0.2,
    least=0.01,
    at_once=20,
    seed=33,
):
    """Return what the study's networks advise on many splits, trained together.

    On each split a share ``watched`` of the training people chooses the penalty, by
    what a study can see: the weighted share of decisions that agree with what was
    given.

    Parameters
    ----------
    trains : list of (X, A, outcome)
        All with the same number of people.
    tests : list of X
        All with the same number of people.
    hidden : tuple of int, default=()
        ``()`` is DNN-simple, ``(45,)`` DNN-1hdd.
    weights, propensity
        As in :class:`sudlib.owl.OutcomeWeightedClassifier`.
    strengths : sequence of float
        Penalties to choose from.
    steps : int, default=2000
    early_stopping : bool, default=False
        Keep the step with the best of that share, as section 6 of the study suggests.
    watched : float, default=0.2
    least : float, default=0.01
        Smaller propensities are raised to this.
    at_once : int, default=20
        Splits in one computation.
    seed : int, default=33

    Returns
    -------
    numpy.ndarray of shape (splits, people, treatments)
    """
    found = []
    for begin in range(0, len(trains), at_once):
        part = slice(begin, begin + at_once)
        prepared = [
            _prepare(*data, test, weights, propensity, watched, least, seed)
            for data, test in zip(trains[part], tests[part], strict=True)
        ]
        X, targets, counts, held, held_targets, held_counts, new = (
            np.stack(column) for column in zip(*prepared, strict=True)
        )
        seen = held, held_targets, held_counts
        networks = train(
            X,
            (targets[:, None], counts[:, None]),
            WeightedHamming("hinge", 1, targets.shape[-1]),
            hidden=hidden,
            outputs=targets.shape[-1],
            strengths=strengths,
            steps=steps,
            seed=seed + begin,
            watch=partial(_observed_gains, *seen) if early_stopping else None,
            watch_every=max(1, steps // 40),
        )
        chosen = _observed_gains(*seen, None, networks).argmax(axis=1)
        flat = networks.flat[np.arange(len(chosen)), chosen][:, None]
        outputs = Networks(networks.shape, flat).outputs(new)[:, 0]
        found.append(np.where(outputs > 0, 1, -1))
    return np.concatenate(found)


def _observed_gains(X, targets, counts, step, networks):
    """Return the weighted share of decisions that agree, by split and penalty."""
    agree = (networks.outputs(X) > 0) == (targets[:, None] > 0)
    return (agree * counts[:, None]).mean(axis=(-1, -2))


def _prepare(X, A, outcome, test, weights, propensity, watched, least, seed):
    """Return one split's rows to train on, to watch, and to advise, standardised."""
    X, A, outcome = check_study(X, A, outcome)
    scaler = StandardScaler().fit(X)
    X = scaler.transform(X)
    chance = np.maximum(Propensity(propensity).fit(X, A).predict(X, A), least)
    order = np.random.default_rng([seed, len(X)]).permutation(len(X))
    held, kept = np.split(order, [round(watched * len(X))])
    targets, counts = outcome_weights(
        X[kept], A[kept], outcome[kept], chance[kept], weights, seed
    )
    # Centred or not, the choice of a penalty must not reward giving what most have.
    seen = "augmented" if weights == "augmented" else "centred"
    held_targets, held_counts = outcome_weights(
        X[held], A[held], outcome[held], chance[held], seen, seed
    )
    return (
        X[kept],
        targets,
        counts,
        X[held],
        held_targets,
        held_counts,
        scaler.transform(check_covariates(test)),
    )


def one_by_one(make):
    """Return a way of advising for :func:`held_out` from a maker of estimators."""

    def advise(trains, tests):
        return np.stack(
            [
                make().fit(*data).predict(test)
                for data, test in zip(trains, tests, strict=True)
            ]
        )

    return advise


def held_out(
    completed,
    given,
    outcome,
    parts,
    methods,
    *,
    propensity="marginal",
    scores=None,
    truth=None,
):
    """Return T and N of methods on every split of every imputation (section 7).

    Parameters
    ----------
    completed : list of pandas.DataFrame
        Imputed covariates.
    given, outcome
        Treatments and outcome (larger is better).
    parts : list of (train rows, test rows)
        From :func:`splits`.
    methods : dict of str to callable
        ``methods[name](trains, tests)`` returns the advice on every split, as
        :func:`network_advice` and :func:`one_by_one` do.
    propensity : {"marginal", "product", "multinomial"}, default="marginal"
        For T, estimated on everybody in the imputed data, as in the study.
    scores : list of numpy.ndarray, optional
        Of each imputation, from :func:`augmented_scores` on everybody.
    truth : callable, optional
        ``truth(advice, rows)`` returns the true value, where it is known.

    Returns
    -------
    pandas.DataFrame
        One row a method, imputation and split: ``T`` (NaN where nobody agrees), ``N``,
        ``all`` (share of test people advised everything), ``robust`` (doubly robust
        estimate) if scores are given, and ``value`` (the truth) if it is known.
    """
    rows = []
    for imputation, covariates in enumerate(completed):
        X = covariates.to_numpy(float)
        chance = np.maximum(
            Propensity(propensity).fit(X, given).predict(X, given), 1e-3
        )
        trains = [(X[a], given[a], outcome[a]) for a, _ in parts]
        tests = [X[b] for _, b in parts]
        for name, advise in methods.items():
            for split, advice in enumerate(advise(trains, tests)):
                here = parts[split][1]
                value, people = matched_average(
                    outcome[here], given[here], advice, chance[here]
                )
                row = {"method": name, "imputation": imputation, "split": split}
                row |= {"T": value, "N": people, "all": (advice > 0).all(axis=1).mean()}
                if scores is not None:
                    own = scores[imputation][here, combination_number(advice)]
                    row["robust"] = own.mean()
                if truth is not None:
                    row["value"] = truth(advice, here)
                rows.append(row)
    return pd.DataFrame(rows)


def over_splits(results):
    """Return means and standard errors over splits, imputations averaged first.

    Parameters
    ----------
    results : pandas.DataFrame
        From :func:`held_out`.

    Returns
    -------
    pandas.DataFrame
        Indexed by method, in order of appearance: for ``T``, ``N``, ``all``,
        ``robust`` and ``value`` the mean and, under ``…_se``, its standard error over
        splits, as in table 3 of the study.
    """
    measures = [
        name for name in ("T", "N", "all", "robust", "value") if name in results
    ]
    order = list(dict.fromkeys(results["method"]))
    by_split = results.groupby(["method", "split"])[measures].mean()
    mean = by_split.groupby("method").mean()
    counts = by_split.groupby("method").count()
    errors = by_split.groupby("method").std(ddof=1) / np.sqrt(counts)
    table = pd.concat([mean, errors.add_suffix("_se")], axis=1)
    return table.loc[order, [m + end for m in measures for end in ("", "_se")]]


def guard(count, least=LEAST):
    """Return a number of people as text, hidden when it is under ten.

    Examples
    --------
    >>> guard(12), guard(3), guard(0)
    ('12', 'under 10', 'under 10')
    """
    return f"{int(count):,}" if count >= least else f"under {least}"


def guard_counts(counts, *, least=LEAST, other="all others"):
    """Return a count table in which no cell is under ten people.

    Small cells are put together into one; when that is still too small, the next
    smallest joins it, so that nothing can be worked out from the total.

    Parameters
    ----------
    counts : pandas.Series
        People, by group.
    least : int, default=10
    other : str, default="all others"

    Returns
    -------
    pandas.Series
        Empty when there are fewer than ``least`` people in all.

    Examples
    --------
    >>> guard_counts(pd.Series({"a": 40, "b": 12, "c": 3, "d": 0})).to_dict()
    {'a': 40, 'all others': 15}
    """
    counts = pd.Series(counts).astype(int)
    if (counts < 0).any():
        raise InputError("counts of people must not be negative")
    if counts.sum() < least:
        return counts.iloc[:0]
    order = counts.sort_values(kind="stable")
    small = order[order < least]
    # Groups with nobody tell nothing apart, but their name would be a cell of 0.
    if small.empty:
        return counts
    taken = list(small.index)
    for name in order.index[len(taken) :]:
        if counts[taken].sum() >= least or counts[taken].sum() == 0:
            break
        taken.append(name)
    kept = counts.drop(taken)
    total = int(counts[taken].sum())
    if total:
        kept = pd.concat([kept, pd.Series({other: total})])
    return kept


def describe(treatments, names):
    """Return each person's combination in words.

    Examples
    --------
    >>> describe([[1, -1, 1], [-1, -1, -1]], ["dpp4", "su", "met"])
    ['dpp4 + met', 'none']
    """
    return [
        " + ".join(n for n, t in zip(names, row, strict=True) if t > 0) or "none"
        for row in check_treatments(treatments)
    ]
