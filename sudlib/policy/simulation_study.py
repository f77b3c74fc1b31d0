"""The full simulation study of section 6 in shards, merged exactly.

A shard is some repeats of one setting and one size.  Every repeat has its own seed, so
shards can run anywhere, in any order, and the merged table is the same to the last
digit.  ``tools/run_study_c.py`` runs them; notebooks c02 and c03 show the table and
derive some of its rows again.
"""

import json
import time

import numpy as np
import pandas as pd
from sklearn.base import clone

from sudlib.files import InputError, data_file
from sudlib.policy.base import fit_together
from sudlib.policy.one_vs_one import OneAgainstOne
from sudlib.policy.outcome_networks import BoundedEffectsNetwork, ContrastNetwork
from sudlib.policy.owl import STRENGTHS, OutcomeWeightedClassifier
from sudlib.policy.q_learning import RidgeQ
from sudlib.policy.simulation import SETTINGS, SIZES, draw, draw_truth, score_rules
from sudlib.policy.treatments import combination_number

SEED = 33


REPEATS = 100


TREATMENTS = 5


#: Each method: what the tables call it, and who it is by.
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


SCORES = ("adjusted_mcr", "adjusted_amcr", "ab")


def recipes(size):
    """Return the rules of the study and ours, not yet fitted, by name.

    Parameters
    ----------
    size : int
        People per treatment in the training data.
    """
    # What the study leaves open is filled in as notebook c04 finds it to fit best.
    steps = max(2000, round(12 * size * TREATMENTS / 100))  # twelve passes or more
    paper = {"strength": STRENGTHS, "standardise": False}
    descent = {"optimiser": "sgd", "learning_rate": 0.01, "steps": steps}
    wide = {"hidden": (100,), "members": 3, "alpha": 20.0, "batch_size": 200}
    return {
        "naive": OneAgainstOne(steps=300, **paper),
        "dnn_simple": OutcomeWeightedClassifier(**paper, **descent),
        "dnn_1hdd": OutcomeWeightedClassifier(hidden=(45,), **paper, **descent),
        "ridge_q": RidgeQ(),
        "contrast": ContrastNetwork(
            order=1, steps=steps, **(wide if size >= 4000 else {})
        ),
        "bounded": BoundedEffectsNetwork(
            steps=steps, batch_size=200 if size >= 4000 else 100
        ),
    }


def _choice(rules, sample):
    """Return which rule errs least against the best realised combination."""
    wrong = [(_number(rule(sample.X)) != sample.best).mean() for rule in rules]
    return int(np.argmin(wrong))


def _number(advice):
    return combination_number(advice) if np.ndim(advice) == 2 else advice


def fit_rules(train, validation, recipes, propensity=None):
    """Return fitted rules, the penalty each was given, and the seconds each took.

    Where a rule has several penalty strengths, ``name`` is tuned as the study does, on
    the misclassification of the best realised combination in the validation data,
    which no real study observes; ``name_observed`` on the gain that one does observe.

    Parameters
    ----------
    train, validation : sudlib.policy.simulation.Sample
    recipes : dict of str to estimator
    propensity : float, optional
        Of every combination, where it is known; estimated by default.

    Returns
    -------
    rules : dict of str to callable
    strengths, seconds : dict of str to float
    """
    return fit_rules_together([train], [validation], recipes, propensity)[0]


def fit_rules_together(trains, validations, recipes, propensity=None):
    """Return what :func:`fit_rules` returns for every pair of samples, as a list.

    The networks of all samples and all penalty strengths are trained as one
    computation; the numbers are those of samples fitted one by one.  Seconds are
    shared out evenly.

    Parameters
    ----------
    trains, validations : list of sudlib.policy.simulation.Sample
        All of the same size.
    recipes, propensity
        As in :func:`fit_rules`.
    """
    found = [({}, {}, {}) for _ in trains]
    for name, recipe in recipes.items():
        start = time.perf_counter()
        fitted = [clone(recipe) for _ in trains]
        studies = [(s.X, s.A, s.outcome, propensity) for s in trains]
        if isinstance(recipe, OneAgainstOne | RidgeQ):
            for rule, data in zip(fitted, studies, strict=True):
                rule.fit(*data)
        else:
            held = [(s.X, s.A, s.outcome) for s in validations]
            fit_together(
                fitted,
                [(*data, seen) for data, seen in zip(studies, held, strict=True)],
            )
        for rule, people, (rules, strengths, _) in zip(
            fitted, validations, found, strict=True
        ):
            every = _candidates(rule)
            chosen = _choice(every, people) if len(every) > 1 else 0
            rules[name] = every[chosen]
            tried = np.atleast_1d(getattr(rule, "strength", np.nan))
            strengths[name] = float(tried[chosen])
            if isinstance(rule, OutcomeWeightedClassifier):
                rules[f"{name}_observed"] = rule.predict
                strengths[f"{name}_observed"] = rule.strength_
        took = (time.perf_counter() - start) / len(trains)
        for rules, _, seconds in found:
            seconds |= dict.fromkeys({name, f"{name}_observed"} & set(rules), took)
    return found


def _candidates(rule):
    """Return what a fitted rule advises with each penalty strength, as functions."""
    if isinstance(rule, OneAgainstOne):
        return [rule.rule(place) for place in range(len(rule.coef_))]
    if isinstance(rule, OutcomeWeightedClassifier):
        return [rule.with_strength(place) for place in range(np.size(rule.strength))]
    return [rule.predict]


def run_repeat(setting, size, repeat, *, seed=SEED, methods=None, test=None):
    """Return the scores of every method in one repeat of the study.

    Parameters
    ----------
    setting : {"right", "wrong"}
        Section 6.1 or 6.2.
    size : int
        People per treatment: ``size * 5`` to train, as many to validate, ten times as
        many to test.
    repeat : int
    seed : int
    methods : dict of str to estimator, optional
        By default :func:`recipes`.
    test : int, optional
        Rows to test on, for a quicker look.

    Returns
    -------
    pandas.DataFrame
        One row a method: ``setting``, ``n_train``, ``repeat``, ``method``, the scores
        of equations (20) to (22), ``strength`` chosen, and ``seconds``.
    """
    return run_repeats(setting, size, [repeat], seed=seed, methods=methods, test=test)


def run_repeats(setting, size, repeats, *, seed=SEED, methods=None, test=None):
    """Return the scores of several repeats, trained as one computation.

    Arguments as in :func:`run_repeat`, with a sequence of repeats; so are the numbers.
    """
    if setting not in SETTINGS:
        raise InputError(f'setting must be "right" or "wrong", not {setting!r}')
    rows, worlds = size * TREATMENTS, []
    for repeat in repeats:
        own = [seed, list(SETTINGS).index(setting), size, repeat]
        truth = draw_truth(setting, [*own, 0], treatments=TREATMENTS)
        train, held = (draw(truth, rows, [*own, part]) for part in (1, 2))
        worlds.append((own, truth, train, held))
    _, _, trains, validations = zip(*worlds, strict=True)
    methods = recipes(size) if methods is None else methods
    fitted = fit_rules_together(trains, validations, methods)
    table = []
    for (own, truth, _, _), (rules, strengths, seconds) in zip(
        worlds, fitted, strict=True
    ):
        found = score_rules(truth, test or 10 * rows, [*own, 3], rules)
        table += [
            {
                "setting": setting,
                "n_train": size,
                "repeat": own[-1],
                "method": name,
                **scores,
                "strength": strengths.get(name, np.nan),
                "seconds": round(seconds.get(name, 0.0), 3),
            }
            for name, scores in found.items()
        ]
    return pd.DataFrame(table)


def shards(settings=tuple(SETTINGS), sizes=SIZES, repeats=REPEATS, block=10):
    """Return the shards of a study, (setting, size, first repeat, number of repeats).

    The first five repeats of every size come first, then the cheap sizes, so that a
    stopped study shows all sizes and is whole where it got to.
    """
    found = [
        (setting, size, first, min(block, repeats - first))
        for size in sizes
        for first in range(0, repeats, block)
        for setting in settings
    ]
    return sorted(found, key=lambda shard: shard[2] >= 5)


def shard_name(setting, size, first, number):
    """Return the name of a shard's file.

    Examples
    --------
    >>> shard_name("right", 200, 10, 10)
    'right_n200_r010-019.csv'
    """
    return f"{setting}_n{size}_r{first:03d}-{first + number - 1:03d}.csv"


def repeats_of(name):
    """Return the (setting, size, repeat) that a shard's file holds, from its name.

    Examples
    --------
    >>> sorted(repeats_of("wrong_n200_r010-011.csv"))
    [('wrong', 200, 10), ('wrong', 200, 11)]
    """
    setting, size, span = name.removesuffix(".csv").split("_")
    first, last = (int(number) for number in span[1:].split("-"))
    return {(setting, int(size[1:]), repeat) for repeat in range(first, last + 1)}


#: People of all repeats that are trained as one computation, at most.
AT_ONCE = 100_000


def run_shard(setting, size, first, number, *, seed=SEED, progress=None, at_once=None):
    """Return the scores of several repeats, some of them trained at once.

    ``at_once`` is how many; by default as many as keep to :data:`AT_ONCE` people.
    """
    at_once = at_once or max(1, AT_ONCE // (size * TREATMENTS))
    frames = []
    for begin in range(first, first + number, at_once):
        part = range(begin, min(begin + at_once, first + number))
        frames.append(run_repeats(setting, size, part, seed=seed))
        if progress:
            for repeat in part:
                progress(setting, size, repeat)
    return pd.concat(frames, ignore_index=True)


_KEY = ["setting", "n_train", "repeat", "method"]


def merge(frames):
    """Return shards as one table in a fixed order, whatever order they came in.

    Raises
    ------
    InputError
        If a repeat comes twice with different numbers.
    """
    table = pd.concat(list(frames), ignore_index=True)
    numbers = [name for name in table.columns if name != "seconds"]
    table = table.drop_duplicates(numbers)
    twice = table.duplicated(_KEY)
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(
            "two shards disagree about"
            f" {', '.join(str(row[name]) for name in _KEY)}; run one of them again"
        )
    order = {name: place for place, name in enumerate(METHODS)}
    rank = table["method"].map(order).fillna(len(order))
    return (
        table.assign(rank=rank)
        .sort_values(["setting", "n_train", "repeat", "rank", "method"])
        .drop(columns="rank")
        .reset_index(drop=True)
    )


def summary(scores):
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
    scores = scores.copy()
    bayes = scores[scores["method"] == "bayes"].set_index(_KEY[:3])["ab"]
    same = pd.MultiIndex.from_frame(scores[_KEY[:3]])
    scores["regret"] = bayes.reindex(same).to_numpy() - scores["ab"]
    groups = scores.groupby(["setting", "n_train", "method"], sort=False)
    parts = []
    for name in (*SCORES, "regret"):
        parts += [
            groups[name].mean(),
            groups[name].sem().rename(f"{name}_se"),
        ]
    table = pd.concat([*parts, groups.size().rename("repeats")], axis=1)
    order = {name: place for place, name in enumerate(METHODS)}
    return table.sort_index(
        level=["setting", "n_train", "method"],
        key=lambda level: level.map(order) if level.name == "method" else level,
    )


def published_study():
    """Return the scores of the full study that come with the book."""
    return pd.read_csv(data_file("results/study_c/scores.csv.gz"))


def provenance():
    """Return where the scores that come with the book came from, as a dict."""
    path = data_file("results/study_c/provenance.json")
    return json.loads(path.read_text(encoding="utf-8"))


def paired_difference(scores, setting, size, first, second, score="adjusted_mcr"):
    """Return mean and standard error of a difference within repeats.

    Both methods see the same people in a repeat, so its standard error is far smaller
    than that of two means.
    """
    here = scores[(scores["setting"] == setting) & (scores["n_train"] == size)]
    wide = here.pivot(index="repeat", columns="method", values=score)
    gap = (wide[first] - wide[second]).dropna()
    return float(gap.mean()), float(gap.sem())
