"""The simulation study of section 6: its methods, its repeats, and their summary.

Every repeat has its own seed, so repeats can run anywhere, in any order, and the merged
table is the same to the last digit.  ``tools/run_study_c.py`` runs all of them in
shards; notebooks c02 and c03 show the table and derive some of its rows again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from sudlib.files import InputError, data_file
from sudlib.policy.base import NetworkRule, fit_together
from sudlib.policy.one_vs_one import OneAgainstOne
from sudlib.policy.outcome_networks import BoundedEffectsNetwork, ContrastNetwork
from sudlib.policy.owl import STUDY_ALPHAS, OutcomeWeightedClassifier
from sudlib.policy.q_learning import AdditiveQLearner
from sudlib.policy.simulation import SETTINGS, Sample, draw, draw_truth, score_rules
from sudlib.policy.treatments import Array, combination_number
from sudlib.validation import check_choice

#: Seed of the study that comes with the book.
SEED = 33

#: Repeats of each setting and size, as in the study.
REPEATS = 100

#: K.
TREATMENTS = 5

#: What the tables call each method.
METHODS = {
    "naive": "Naive",
    "dnn_simple": "DNN-simple",
    "dnn_1hdd": "DNN-1hdd",
    "bayes": "Bayes",
    "dnn_simple_observed": "DNN-simple, tuned on what is observed",
    "dnn_1hdd_observed": "DNN-1hdd, tuned on what is observed",
    "ridge_q": "Ridge Q-learning",
    "contrast": "Contrast network (ours)",
    "bounded": "Bounded-effects network (ours)",
}

#: The scores that the study prints, equations (20) to (22).
SCORES = ("adjusted_mcr", "adjusted_amcr", "ab")

#: A fitted rule: from covariates to combinations.
Rule = Callable[[ArrayLike], Array]

_KEY = ["setting", "n_train", "repeat", "method"]


def recipes(size: int) -> dict[str, Any]:
    """Return the rules of the study and ours, not yet fitted, by name.

    Parameters
    ----------
    size : int
        People per treatment in the training data.

    Returns
    -------
    dict of str to estimator
    """
    # What the study leaves open is filled in as notebook c04 finds it to fit best.
    steps = max(2000, round(12 * size * TREATMENTS / 100))  # twelve passes or more
    paper: dict[str, Any] = {"alpha": STUDY_ALPHAS, "standardise": False}
    descent: dict[str, Any] = {"optimiser": "sgd", "steps": steps}
    large: dict[str, Any] = {"batch_size": 200} if size >= 4000 else {}
    wide: dict[str, Any] = large and {"hidden": (100,), "members": 3, "alpha": 20.0}
    return {
        "naive": OneAgainstOne(steps=300, **paper),
        "dnn_simple": OutcomeWeightedClassifier(**paper, **descent),
        "dnn_1hdd": OutcomeWeightedClassifier(hidden=(45,), **paper, **descent),
        "ridge_q": AdditiveQLearner(effect_penalty=4.0),
        "contrast": ContrastNetwork(1, steps=steps, **wide, **large),
        "bounded": BoundedEffectsNetwork(steps=steps, **large),
    }


def fit_rules_together(
    trains: Sequence[Sample],
    validations: Sequence[Sample],
    recipes: Mapping[str, Any],
    propensity: float | None = None,
) -> list[tuple[dict[str, Rule], dict[str, float], dict[str, float]]]:
    """Return, for every pair of samples, the fitted rules by name.

    Where a rule has several penalty strengths, ``name`` is tuned as the study does, on
    the misclassification of the best realised combination in the validation data,
    which no real study observes; ``name_observed`` on the gain that one does observe.
    The networks of all samples and all penalty strengths are trained as one
    computation; the numbers are those of samples fitted one by one.

    Parameters
    ----------
    trains, validations : sequence of sudlib.policy.simulation.Sample
        All of the same size.
    recipes : mapping of str to estimator
        Not fitted.
    propensity : float, optional
        Of every combination, where it is known; estimated by default.

    Returns
    -------
    list of (rules, alphas, seconds)
        Of each pair of samples: rules as functions, the penalty each was given, and the
        seconds each took, shared out evenly.
    """
    results: list[Any] = [({}, {}, {}) for _ in trains]
    for name, recipe in recipes.items():
        start = time.perf_counter()
        fitted = [clone(recipe) for _ in trains]
        studies = [(s.X, s.A, s.outcome, propensity) for s in trains]
        if isinstance(recipe, NetworkRule):
            held = [(s.X, s.A, s.outcome) for s in validations]
            pairs = zip(studies, held, strict=True)
            fit_together(fitted, [(*study, seen) for study, seen in pairs])
        else:
            for rule, study in zip(fitted, studies, strict=True):
                rule.fit(*study)
        seconds = (time.perf_counter() - start) / len(trains)
        for rule, people, result in zip(fitted, validations, results, strict=True):
            # other rules have no strength that the study would tune
            candidates = {np.nan: rule.predict}
            if hasattr(rule, "with_alpha"):
                alphas = enumerate(np.atleast_1d(rule.alpha))
                candidates = {float(a): rule.with_alpha(i) for i, a in alphas}
            chosen = next(iter(candidates))
            if len(candidates) > 1:
                chosen = min(candidates, key=lambda a: _errors(candidates[a], people))
            named = {name: (candidates[chosen], chosen, seconds)}
            if isinstance(rule, OutcomeWeightedClassifier):
                named[f"{name}_observed"] = rule.predict, rule.alpha_, seconds
            for key, entries in named.items():
                for column, entry in zip(result, entries, strict=True):
                    column[key] = entry
    return results


def _errors(rule: Rule, sample: Sample) -> float:
    """Return how often a rule misses the best realised combination."""
    return float((combination_number(rule(sample.X)) != sample.best).mean())


def run_repeats(
    setting: str,
    size: int,
    repeats: Iterable[int],
    *,
    seed: int = SEED,
    methods: Mapping[str, Any] | None = None,
    test: int | None = None,
    propensity: float | None = None,
    covariates: str = "normal",
    best: str = "realised",
    same_world: bool = False,
) -> pd.DataFrame:
    """Return the scores of every method in some repeats of the study.

    All repeats are trained as one computation, or on a cluster
    (:func:`sudlib.parallel.use`) as one for each worker; the numbers are those of each
    repeat by itself.

    Parameters
    ----------
    setting : {"right", "wrong"}
        Section 6.1 or 6.2.
    size : int
        People per treatment: ``size * 5`` to train, as many to validate, ten times as
        many to test.
    repeats : iterable of int
        Numbers of the repeats.
    seed : int, default=33
        Seed of the study.
    methods : mapping of str to estimator, optional
        By default :func:`recipes`.
    test : int, optional
        Rows to test on, for a quicker look; by default ten times those of training.
    propensity : float, optional
        Of every combination, where it is known; estimated by default.
    covariates, best : str
        As in :func:`sudlib.policy.simulation.draw_truth` and ``draw``.
    same_world : bool, default=False
        Whether all repeats draw their people from one world.

    Returns
    -------
    pandas.DataFrame
        One row a repeat and method: ``setting``, ``n_train``, ``repeat``, ``method``,
        the scores of equations (20) to (22), ``alpha`` chosen, and ``seconds``.
    """
    check_choice("setting", setting, SETTINGS)
    repeats = list(repeats)
    shares = np.array_split(repeats, max(1, min(len(repeats), effective_n_jobs(None))))
    choices = {"covariates": covariates, "best": best, "same_world": same_world}
    choices |= {"methods": methods, "test": test, "propensity": propensity}
    run = delayed(_run_together)
    tables = Parallel()(
        run(setting, size, share.tolist(), seed=seed, **choices) for share in shares
    )
    return pd.concat(tables, ignore_index=True)


def _run_together(
    setting: str,
    size: int,
    repeats: Sequence[int],
    *,
    seed: int,
    methods: Mapping[str, Any] | None,
    test: int | None,
    propensity: float | None,
    covariates: str,
    best: str,
    same_world: bool,
) -> pd.DataFrame:
    """Return what :func:`run_repeats` does, of repeats trained as one computation."""
    rows = size * TREATMENTS
    worlds: list[Any] = []
    for repeat in repeats:
        seeds = [seed, list(SETTINGS).index(setting), size, repeat]
        world = [*seeds[:3], 0, 0] if same_world else [*seeds, 0]
        truth = draw_truth(setting, world, covariates=covariates)
        samples = (draw(truth, rows, [*seeds, part], best=best) for part in (1, 2))
        worlds.append((seeds, truth, *samples))
    _, _, trains, validations = zip(*worlds, strict=True)
    methods = recipes(size) if methods is None else methods
    fitted = fit_rules_together(trains, validations, methods, propensity)
    table = []
    for world, (rules, alphas, seconds) in zip(worlds, fitted, strict=True):
        seeds, truth, *_ = world
        scored = score_rules(truth, test or 10 * rows, [*seeds, 3], rules, best=best)
        for name, scores in scored.items():
            row = {"setting": setting, "n_train": size, "repeat": seeds[-1]}
            row |= {"method": name, **scores, "alpha": alphas.get(name, np.nan)}
            table.append(row | {"seconds": round(seconds.get(name, 0.0), 3)})
    return pd.DataFrame(table)


def merge(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return results as one table in a fixed order, whatever order they came in.

    Parameters
    ----------
    frames : iterable of pandas.DataFrame
        From :func:`run_repeats`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    sudlib.files.InputError
        If a repeat comes twice with different numbers.
    """
    table = pd.concat(list(frames), ignore_index=True)
    table = table.drop_duplicates([name for name in table if name != "seconds"])
    twice = table.duplicated(_KEY)
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(
            "two shards disagree about"
            f" {', '.join(str(row[name]) for name in _KEY)}; run one of them again"
        )
    methods = [*METHODS, *sorted(set(table["method"]) - set(METHODS))]
    rank = table["method"].map(methods.index)
    ordered = table.assign(rank=rank).sort_values([*_KEY[:3], "rank"])
    return ordered.drop(columns="rank").reset_index(drop=True)


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard error of each score, by setting, size and method.

    ``regret`` is the average benefit that the Bayes rule has more, on the same people
    in the same repeat.

    Parameters
    ----------
    scores : pandas.DataFrame
        From :func:`merge`.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``setting``, ``n_train`` and ``method``: each score and
        ``<score>_se``, ``regret`` and ``regret_se``, and ``repeats``.
    """
    bayes = scores[scores["method"] == "bayes"].set_index(_KEY[:3])["ab"]
    same = pd.MultiIndex.from_frame(scores[_KEY[:3]])
    scores = scores.assign(regret=bayes.reindex(same).to_numpy() - scores["ab"])
    groups = scores.groupby(["setting", "n_train", "method"], sort=False)
    columns = []
    for name in (*SCORES, "regret"):
        columns += [groups[name].mean(), groups[name].sem().rename(f"{name}_se")]
    table = pd.concat([*columns, groups.size().rename("repeats")], axis=1)
    order = {name: place for place, name in enumerate(METHODS)}
    return table.sort_index(
        level=["setting", "n_train", "method"],
        key=lambda level: level.map(order) if level.name == "method" else level,
    )


def published_study() -> pd.DataFrame:
    """Return the scores of the full study that come with the book.

    Returns
    -------
    pandas.DataFrame
        As :func:`merge` returns it.
    """
    scores = pd.read_csv(data_file("results/study_c/scores.csv.gz"))
    return scores.rename(columns={"strength": "alpha"})


def provenance() -> dict[str, Any]:
    """Return where the scores that come with the book came from.

    Returns
    -------
    dict
    """
    path = data_file("results/study_c/provenance.json")
    return json.loads(path.read_text(encoding="utf-8"))


def paired_difference(
    scores: pd.DataFrame,
    setting: str,
    size: int,
    first: str,
    second: str,
    score: str = "adjusted_mcr",
) -> tuple[float, float]:
    """Return mean and standard error of a difference within repeats.

    Both methods see the same people in a repeat, so its standard error is far smaller
    than that of two means.

    Parameters
    ----------
    scores : pandas.DataFrame
        From :func:`merge`.
    setting : {"right", "wrong"}
    size : int
        People per treatment.
    first, second : str
        Methods; the second is subtracted.
    score : str, default="adjusted_mcr"
        A column of ``scores``.

    Returns
    -------
    mean, standard_error : float
    """
    here = scores[(scores["setting"] == setting) & (scores["n_train"] == size)]
    wide = here.pivot(index="repeat", columns="method", values=score)
    gap = (wide[first] - wide[second]).dropna()
    return float(gap.mean()), float(gap.sem())
