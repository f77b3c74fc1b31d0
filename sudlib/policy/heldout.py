"""Rules judged on held-out people over many splits, as in section 7 of the study.

Taught in notebook ``c05_diabetes``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler

from sudlib.files import InputError
from sudlib.policy.base import fit_together
from sudlib.policy.matching import matched_average
from sudlib.policy.owl import STUDY_ALPHAS, OutcomeWeightedClassifier
from sudlib.policy.propensity import estimate_propensity
from sudlib.policy.study import (
    check_covariates,
    check_outcome,
    check_study,
    check_treatments,
)
from sudlib.policy.treatments import Array, combination_number
from sudlib.validation import check_rows, check_seed, check_whole

#: From training studies and test covariates, of every split, to recommendations.
Method = Callable[[Sequence[Any], Sequence[Any]], Any]

#: Splits in one computation.
AT_ONCE = 20


def splits(
    given: ArrayLike,
    *,
    test_size: int = 227,
    n_splits: int = 100,
    seed: int = 33,
    stratify: bool = False,
) -> list[tuple[Array, Array]]:
    """Return training and test rows, many times.

    Parameters
    ----------
    given : array-like of shape (n, K)
        Treatments received, coded -1 and +1.
    test_size : int, default=227
        People in the test set; the study's number.
    n_splits : int, default=100
        Number of splits.
    seed : int, default=33
        Seed of the splits.
    stratify : bool, default=False
        Keep the share of each combination the same on both sides.

    Returns
    -------
    list of (numpy.ndarray, numpy.ndarray)
        Training and test rows of each split.

    Raises
    ------
    sudlib.files.InputError
        If there are too few people, or, stratified, a combination has only one person
        or there are fewer people on a side than combinations.
    """
    number = combination_number(check_treatments(given))
    check_whole("test_size", test_size, 1, len(number) - 1)
    check_whole("n_splits", n_splits, 1)
    check_seed(seed)
    kind = StratifiedShuffleSplit if stratify else ShuffleSplit
    shuffled = kind(n_splits=n_splits, test_size=test_size, random_state=seed)
    try:
        return list(shuffled.split(number, number))
    except ValueError as why:
        raise InputError(
            f"the combinations cannot be stratified: {why}; use stratify=False or more"
            " people"
        ) from why


def network_advice(
    trains: Sequence[tuple[Any, Any, Any]],
    tests: Sequence[Any],
    *,
    hidden: Sequence[int] = (),
    weights: str = "raw",
    propensity: str = "marginal",
    steps: int = 2000,
    early_stopping: bool = False,
    seed: int = 33,
) -> Array:
    """Return what the study's networks advise on many splits, trained together.

    On each split a fifth of the training people chooses the penalty, by
    ``observed_gain`` in ``sudlib.policy.owl``.  Propensities below 0.01 are raised to
    it.

    Parameters
    ----------
    trains : sequence of (X, A, outcome)
        All with the same number of people.
    tests : sequence of X
        All with the same number of people.
    hidden : sequence of int, default=()
        ``()`` is DNN-simple, ``(45,)`` DNN-1hdd.
    weights, propensity
        As in :class:`sudlib.policy.OutcomeWeightedClassifier`.
    steps : int, default=2000
        Steps of the optimiser.
    early_stopping : bool, default=False
        Keep the step with the best gain, as section 6 of the study suggests.
    seed : int, default=33
        Of the validation sets, starts and order of rows.

    Returns
    -------
    numpy.ndarray of int8, shape (splits, people, K)
        Coded -1 and +1.
    """
    advice = []
    for begin in range(0, len(trains), AT_ONCE):
        studies, new = [], []
        block = slice(begin, begin + AT_ONCE)
        for data, test in zip(trains[block], tests[block], strict=True):
            learned = BaseEstimator()  # keeps the names of covariates
            study = check_study(*data, estimator=learned)
            scaler = StandardScaler().fit(study.X)
            X = scaler.transform(study.X)
            chance = np.maximum(estimate_propensity(X, study.A, propensity), 0.01)
            study = study._replace(X=X, propensity=chance)
            order = np.random.default_rng([seed, len(X)]).permutation(len(X))
            held, rest = np.split(order, [round(0.2 * len(X))])
            studies.append((*study.rows(rest), study.rows(held)))
            new.append(scaler.transform(check_covariates(test, estimator=learned)))
        rule = OutcomeWeightedClassifier(
            hidden=hidden,
            weights=weights,
            alpha=STUDY_ALPHAS,
            steps=steps,
            early_stopping=early_stopping,
            standardise=False,
            random_state=seed + begin,
        )
        rules = fit_together([clone(rule) for _ in studies], studies, alike=False)
        advice += [rule.predict(X) for rule, X in zip(rules, new, strict=True)]
    return np.stack(advice)


def one_by_one(make: Callable[[], Any]) -> Method:
    """Return a method for :func:`held_out` that fits one estimator a split.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator with ``fit(X, A, outcome)`` and ``predict(X)``.

    Returns
    -------
    callable
    """

    def advise(trains: Sequence[Any], tests: Sequence[Any]) -> Array:
        pairs = zip(trains, tests, strict=True)
        return np.stack([make().fit(*data).predict(test) for data, test in pairs])

    return advise


def held_out(
    completed: Sequence[pd.DataFrame],
    given: Array,
    outcome: Array,
    parts: Sequence[tuple[Array, Array]],
    methods: Mapping[str, Method],
    *,
    propensity: str = "marginal",
    scores: Sequence[Array] | None = None,
    truth: Callable[[Any, Any], float] | None = None,
) -> pd.DataFrame:
    """Return T and N of methods on every split of every imputation (section 7).

    Parameters
    ----------
    completed : sequence of pandas.DataFrame
        Imputed covariates.
    given : numpy.ndarray of shape (n, K)
        Treatments received, coded -1 and +1.
    outcome : numpy.ndarray of shape (n,)
        Larger is better.
    parts : sequence of (training rows, test rows)
        From :func:`splits`.
    methods : mapping of str to callable
        ``methods[name](trains, tests)`` returns the advice on every split, as
        :func:`network_advice` and :func:`one_by_one` do.
    propensity : {"marginal", "product", "multinomial"}, default="marginal"
        For T, estimated on everybody in the imputed data, as in the study.
    scores : sequence of numpy.ndarray, optional
        Of each imputation, from :func:`sudlib.policy.augmented_scores` on everybody.
    truth : callable, optional
        ``truth(advice, rows)`` returns the true value, where it is known.

    Returns
    -------
    pandas.DataFrame
        One row a method, imputation and split: ``T`` (NaN where nobody agrees), ``N``,
        ``all`` (share of the test set advised everything), ``robust`` (doubly robust
        estimate) if scores are given, and ``value`` (the truth) if it is known.
    """
    named = {f"imputation {at}": each for at, each in enumerate(completed)}
    check_rows(given=given, outcome=outcome, **named)
    given = check_treatments(given)
    outcome = check_outcome(outcome, len(given))
    rows = []
    for imputation, covariates in enumerate(completed):
        X = covariates.to_numpy(float)
        chance = np.maximum(estimate_propensity(X, given, propensity), 1e-3)
        trains = [(X[a], given[a], outcome[a]) for a, _ in parts]
        tests = [X[b] for _, b in parts]
        for name, advise in methods.items():
            for split, advice in enumerate(advise(trains, tests)):
                here = parts[split][1]
                T, N = matched_average(outcome[here], given[here], advice, chance[here])
                row = {"method": name, "imputation": imputation, "split": split}
                row |= {"T": T, "N": N, "all": (advice > 0).all(axis=1).mean()}
                if scores is not None:
                    followed = scores[imputation][here, combination_number(advice)]
                    row["robust"] = followed.mean()
                if truth is not None:
                    row["value"] = truth(advice, here)
                rows.append(row)
    return pd.DataFrame(rows)


def over_splits(results: pd.DataFrame) -> pd.DataFrame:
    """Return means and standard errors over splits, imputations averaged first.

    The standard error is that of table 3 of the study: the standard deviation over
    splits by the square root of their number.  It takes splits as independent, which
    they are not; :func:`sudlib.estimates.mean_over_splits` corrects for that, and
    cannot stand beside the printed ones.

    Parameters
    ----------
    results : pandas.DataFrame
        From :func:`held_out`.

    Returns
    -------
    pandas.DataFrame
        Indexed by method, in order of appearance: for ``T``, ``N``, ``all``,
        ``robust`` and ``value`` the mean and, under ``…_se``, its standard error.
    """
    measures = [m for m in ("T", "N", "all", "robust", "value") if m in results]
    by_split = results.groupby(["method", "split"])[measures].mean()
    methods = by_split.groupby("method")
    table = pd.concat([methods.mean(), methods.sem().add_suffix("_se")], axis=1)
    columns = [measure + end for measure in measures for end in ("", "_se")]
    return table.loc[results["method"].unique(), columns]
