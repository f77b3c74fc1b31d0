"""Rules judged on held-out people over many splits."""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler

from sudlib.files import InputError
from sudlib.policy.batched import Networks, train
from sudlib.policy.evaluation import matched_average
from sudlib.policy.losses import WeightedHamming
from sudlib.policy.outcome_weights import outcome_weights
from sudlib.policy.owl import STRENGTHS
from sudlib.policy.propensity import Propensity
from sudlib.policy.treatments import (
    check_covariates,
    check_study,
    check_treatments,
    combination_number,
)

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
        As in :class:`sudlib.policy.OutcomeWeightedClassifier`.
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
