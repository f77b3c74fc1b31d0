"""The tuned forests of study A, as published and repaired, and their peers (floor 3).

Everything is scikit-learn's: what stands here is which rows, which settings and in
which order.  :func:`learn` is called once for each recipe, so that published and
repaired differ in what they should and in nothing else.  Taught in the notebooks
*How good is the tuned forest?* and *Does it hold for people in methadone treatment?*.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import (
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
    train_test_split,
)
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from sudlib import encoding
from sudlib.files import InputError, data_file

#: What ``predict`` of a forest does: completed when the score is *above* one half.
PUBLISHED_THRESHOLD = float(np.nextafter(0.5, 1))

#: People in the study's methadone experiment: 10 % of its 167,301.
METHADONE_PEOPLE = 16_731

FOLDS = 3

#: F0.5 as the study scored it: 0 for settings that flag nobody.
F05 = make_scorer(fbeta_score, beta=0.5, zero_division=0)

RECIPES = {
    "published": "forest, as published",
    "repaired": "forest, repaired",
    "boosting": "boosting",
    "logistic": "logistic regression",
    "constant": "everybody completes",
}


@dataclass(frozen=True)
class Effort:
    """How much of the study's work one size of a notebook does.

    Attributes
    ----------
    records : int or None
        Made-up records drawn; None draws as many as the agency's file has.
    people : int or None
        People of the cohort used at most, drawn at random; None uses all.
    trees : float
        Every number of trees is multiplied by this.
    candidates : int
        Settings that each search tries.
    seeds : int
        Other splits and seeds, for the spread.
    """

    records: int | None
    people: int | None
    trees: float
    candidates: int
    seeds: int


#: Quick keeps the study's ten candidate settings and its three folds; what shrinks is
#: the number of records and of trees.
EFFORTS = {
    ("general", "quick"): Effort(100_000, 40_000, trees=0.1, candidates=10, seeds=3),
    ("general", "paper"): Effort(None, None, trees=1, candidates=10, seeds=5),
    ("methadone", "quick"): Effort(170_000, 20_000, trees=0.1, candidates=10, seeds=5),
    ("methadone", "paper"): Effort(None, None, trees=1, candidates=10, seeds=5),
}


def take(people, effort, seed=33):
    """Return at most as many people as an effort allows, drawn without replacement.

    Parameters
    ----------
    people : pandas.DataFrame
        A cohort.
    effort : Effort
    seed : int, default=33

    Returns
    -------
    pandas.DataFrame
        The cohort itself where it is small enough.
    """
    if effort.people is None or len(people) <= effort.people:
        return people
    taken = people.sample(effort.people, random_state=seed).sort_index()
    taken.attrs = dict(people.attrs)
    return taken


@dataclass(frozen=True)
class Parts:
    """Which rows do what; positions, not labels.

    Attributes
    ----------
    study : numpy.ndarray
        Rows the published recipe is tuned and fitted on.
    fit : numpy.ndarray
        Rows the other recipes are tuned and fitted on.
    threshold : numpy.ndarray
        Rows on which they choose their threshold, and nothing else.
    report : numpy.ndarray
        Rows that every recipe reports on, and nothing else.
    """

    study: np.ndarray
    fit: np.ndarray
    threshold: np.ndarray
    report: np.ndarray

    @property
    def table(self):
        """One line a part: its rows and what they are for."""
        uses = {
            "study": "published: tuned and fitted",
            "fit": "repaired: tuned and fitted",
            "threshold": "repaired: threshold chosen",
            "report": "both: reported",
        }
        return pd.DataFrame(
            [(use, len(getattr(self, part))) for part, use in uses.items()],
            columns=["rows used for", "people"],
        ).set_index("rows used for")


def split_general(completed, seed=33):
    """Return the rows of experiment 1: 70 % to fit, 15 % spare, 15 % to report.

    The study never used its spare 15 %; the repaired recipes choose their threshold
    there.  With the study's 622,821 people the parts have its 435,974, 93,423 and
    93,424.

    Parameters
    ----------
    completed : array-like of 0 and 1
    seed : int, default=33

    Returns
    -------
    Parts
    """
    rows = np.arange(len(completed))
    _enough_rows(completed)
    fit, rest = train_test_split(rows, test_size=0.30, random_state=seed)
    threshold, report = train_test_split(rest, test_size=0.50, random_state=seed)
    return _enough(completed, Parts(fit, fit, threshold, report))


def split_methadone(completed, seed=33):
    """Return the rows of experiment 2: 10 % of the people, in halves.

    With fewer people than 167,301 a tenth would be less than the study had: then as
    many as it had (16,731), or everybody, are taken.  The repaired recipes divide the
    first half once more, 70 to 30, to choose their threshold on rows of its own.

    Parameters
    ----------
    completed : array-like of 0 and 1
    seed : int, default=33

    Returns
    -------
    Parts
    """
    rows = np.arange(len(completed))
    _enough_rows(completed)
    wanted = max(int(np.ceil(0.10 * len(rows))), METHADONE_PEOPLE)
    if wanted < len(rows):
        _, rows = train_test_split(rows, test_size=wanted, random_state=seed)
    study, report = train_test_split(rows, test_size=0.50, random_state=seed)
    outcome = np.asarray(completed)[study]
    both = 2 <= outcome.sum() <= len(outcome) - 2
    fit, threshold = train_test_split(
        study, test_size=0.30, random_state=seed, stratify=outcome if both else None
    )
    return _enough(completed, Parts(study, fit, threshold, report))


SPLITS = {"general": split_general, "methadone": split_methadone}


def _enough_rows(completed):
    """Stop before scikit-learn would, when there is hardly anybody to divide."""
    if len(completed) < 20:
        raise InputError(
            f"a forest needs at least 20 people to divide, there are {len(completed)}:"
            " read more rows, or a larger file"
        )


def _enough(completed, parts):
    """Return the parts, or say which has too few people of one outcome."""
    completed = np.asarray(completed)
    for name, least in (("study", FOLDS), ("fit", FOLDS), ("threshold", 1)):
        rows = getattr(parts, name)
        done = int(completed[rows].sum())
        if min(done, len(rows) - done) < least:
            raise InputError(
                f"too few people: of the {len(rows)} rows to be used for {name},"
                f" {done} completed and {len(rows) - done} did not; at least {least}"
                " of either are needed: read more rows, or a larger file"
            )
    return parts


def _settings():
    with open(data_file("study_a/forest_grid.json"), encoding="utf-8") as stream:
        return json.load(stream)


def published_grid(trees=1.0):
    """Return the study's grid, as scikit-learn takes it today.

    ``max_features="auto"`` is gone from scikit-learn; for classifiers it meant
    ``"sqrt"``.  The grid keeps both entries, so that the same seed draws the same ten
    candidates as it did for the study.

    Parameters
    ----------
    trees : float, default=1.0
        Every number of trees is multiplied by this.

    Returns
    -------
    dict of str to list

    Examples
    --------
    >>> published_grid()["max_features"]
    ['sqrt', 'sqrt']
    """
    grid = dict(_settings()["published"]["grid"])
    grid["max_features"] = [
        {"auto": "sqrt"}.get(entry, entry) for entry in grid["max_features"]
    ]
    grid["class_weight"] = [_weights(entry) for entry in grid["class_weight"]]
    return _scaled(grid, trees)


def _weights(entry):
    """Return class weights with whole numbers as keys, which JSON cannot hold."""
    return None if entry is None else {int(key): value for key, value in entry.items()}


def scaled(number, trees):
    """Return a number of trees multiplied by ``trees``, at least 5.

    Examples
    --------
    >>> scaled(600, 0.1), scaled(20, 0.1)
    (60, 5)
    """
    return max(5, round(number * trees))


def _scaled(grid, trees):
    if "n_estimators" in grid:
        numbers = [scaled(number, trees) for number in grid["n_estimators"]]
        grid = {**grid, "n_estimators": numbers}
    return grid


def published_best():
    """Return the settings that the study printed as best for its methadone set."""
    best = dict(_settings()["published"]["best_methadone"])
    best["class_weight"] = _weights(best["class_weight"])
    return best


def published_candidates(seed=33):
    """Return the settings that the study's search tried, in its order.

    Returns
    -------
    list of dict

    Examples
    --------
    The winner that the study printed is among the ten, which shows that grid, order
    and seed are the study's.

    >>> published_candidates().index(published_best())
    1
    """
    return list(ParameterSampler(published_grid(), 10, random_state=seed))


class SteadyForest(RandomForestClassifier):
    """scikit-learn's random forest, whose scores are the same to the last digit.

    It grows its trees side by side but adds up their votes one after another: added in
    whatever order the cores finish, the last digit changes from run to run, and with it
    what becomes of a score of one half.
    """

    def predict_proba(self, X):
        """Return the share of votes for each class, as scikit-learn does."""
        n_jobs, self.n_jobs = self.n_jobs, 1
        try:
            return super().predict_proba(X)
        finally:
            self.n_jobs = n_jobs


def estimator(recipe, *, seed=33, n_jobs=-1):
    """Return the unfitted pipeline of a recipe: an encoder, then a model.

    Parameters
    ----------
    recipe : {"published", "repaired", "boosting", "logistic", "constant"}
    seed : int, default=33
    n_jobs : int, default=-1
        Cores for the trees of a forest.  Results do not depend on it.

    Returns
    -------
    sklearn.pipeline.Pipeline
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe must be one of {', '.join(RECIPES)}, not {recipe!r}")
    forest = SteadyForest(random_state=seed, n_jobs=n_jobs)
    steps = {
        "published": (encoding.IntegerCodes(), forest),
        "repaired": (encoding.OneHotCodes(ordered="number"), forest),
        "boosting": (
            encoding.NativeCategories(),
            HistGradientBoostingClassifier(
                categorical_features="from_dtype",
                early_stopping=False,
                random_state=seed,
            ),
        ),
        "logistic": (
            encoding.OneHotCodes(),
            LogisticRegression(max_iter=2000),
        ),
        "constant": (encoding.IntegerCodes(), DummyClassifier(strategy="prior")),
    }
    encoder, model = steps[recipe]
    return Pipeline([("encode", encoder), ("model", model)])


def size_of(choices):
    """Return how many combinations a grid has.

    Examples
    --------
    >>> size_of(published_grid())
    11880
    """
    return len(ParameterGrid(choices))


def grid(recipe, trees=1.0):
    """Return the settings that a recipe's search may try, as a dict of lists."""
    if recipe == "published":
        return published_grid(trees)
    return _scaled(dict(_settings().get(recipe, {})), trees)


@dataclass(frozen=True)
class Arm:
    """A fitted recipe and the scores it gives to the rows to report.

    Attributes
    ----------
    recipe : str
    model : sklearn.pipeline.Pipeline or None
        Fitted, with the best settings; kept only where asked, since a forest of the
        study's size takes gigabytes.
    settings : dict
        Those settings.
    search : pandas.DataFrame or None
        One line a candidate: its settings, ``mean`` and ``std`` over the folds.
    threshold : float
        Completed is predicted at or above it.
    score, completed : numpy.ndarray
        Of the rows to report.
    spare : numpy.ndarray
        Scores of the rows for the threshold.  Where ``study`` holds these rows, the
        published recipe has been fitted on them.
    seconds : float
        Wall clock, search included.
    """

    recipe: str
    model: Pipeline | None = field(repr=False)
    settings: dict
    search: pd.DataFrame | None = field(repr=False)
    threshold: float
    score: np.ndarray = field(repr=False)
    completed: np.ndarray = field(repr=False)
    spare: np.ndarray = field(repr=False)
    seconds: float


def learn(
    recipe,
    features,
    completed,
    parts,
    *,
    choose: Callable,
    effort: Effort,
    seed=33,
    settings=None,
    n_jobs=-1,
    keep_model=False,
):
    """Return a recipe tuned, fitted, given a threshold, and scored on the report rows.

    The published recipe does what the study did: a search by F0.5 on the rows it
    fits, class weights among what is searched, and a threshold of one half.  The
    others are searched by the area under the precision-recall curve, and choose the
    threshold afterwards, on rows of its own.

    Parameters
    ----------
    recipe : str
        A key of :data:`RECIPES`.
    features : pandas.DataFrame
        Codes, one row a person.
    completed : array-like of 0 and 1
    parts : Parts
    choose : callable
        ``choose(completed, score)`` returns a threshold, as
        :func:`sudlib.scores.best_threshold` does.
    effort : Effort
        Trees and candidates.
    seed : int, default=33
        Of the search and of the model.
    settings : dict, optional
        Settings found before: nothing is searched.
    n_jobs : int, default=-1
        Cores for the trees of a forest.
    keep_model : bool, default=False
        Whether the arm keeps the fitted model.

    Returns
    -------
    Arm
    """
    begin = time.perf_counter()
    completed = np.asarray(completed).astype(np.int8)
    model = estimator(recipe, seed=seed, n_jobs=n_jobs)
    # A forest grows its trees side by side whatever this says.  The threads inside
    # boosting and linear algebra wait for each other: on a busy machine two are many
    # times slower than one.
    with threadpool_limits(1):
        if settings is None and grid(recipe):
            model, settings, table = _search(
                model, recipe, features, completed, parts, effort, seed
            )
        else:
            settings, table = settings or {}, None
            named = {f"model__{name}": value for name, value in settings.items()}
            rows = _rows_to_fit(recipe, parts)
            model.set_params(**named).fit(features.iloc[rows], completed[rows])
        spare = _score(model, features.iloc[parts.threshold])
        score = _score(model, features.iloc[parts.report])
    if recipe == "published":
        threshold = PUBLISHED_THRESHOLD
    else:
        threshold = choose(completed[parts.threshold], spare)
    return Arm(
        recipe=recipe,
        model=model if keep_model else None,
        settings=settings,
        search=table,
        threshold=threshold,
        score=score,
        completed=completed[parts.report],
        spare=spare,
        seconds=time.perf_counter() - begin,
    )


def _rows_to_fit(recipe, parts):
    return parts.study if recipe == "published" else parts.fit


def _search(model, recipe, features, completed, parts, effort, seed):
    """Return the best pipeline of a random search, its settings and what was tried."""
    choices = grid(recipe, effort.trees)
    rows = _rows_to_fit(recipe, parts)
    search = RandomizedSearchCV(
        model,
        {f"model__{name}": values for name, values in choices.items()},
        n_iter=min(effort.candidates, size_of(choices)),
        cv=FOLDS,
        scoring=F05 if recipe == "published" else "average_precision",
        random_state=seed,
    ).fit(features.iloc[rows], completed[rows])
    settings = _plain(search.best_params_)
    return search.best_estimator_, settings, _search_table(search.cv_results_)


def repeat(arm, features, completed, split, seeds, **keywords):
    """Return an arm's settings fitted again on other splits with other seeds.

    Parameters
    ----------
    arm : Arm
        Its settings are kept: nothing is searched.
    features : pandas.DataFrame
    completed : array-like of 0 and 1
    split : callable
        ``split(completed, seed)`` returns :class:`Parts`.
    seeds : iterable of int
        A split that leaves a part with too few people is passed over.
    **keywords
        ``choose`` and ``effort``, as for :func:`learn`.

    Returns
    -------
    list of Arm
    """
    again = []
    for seed in seeds:
        try:
            parts = split(completed, seed)
        except InputError:
            continue
        again.append(
            learn(
                arm.recipe,
                features,
                completed,
                parts,
                seed=seed,
                settings=arm.settings,
                **keywords,
            )
        )
    return again


def _score(model, features):
    return model.predict_proba(features)[:, 1]


def _plain(settings):
    return {name.removeprefix("model__"): value for name, value in settings.items()}


def _search_table(results):
    """Return what a search tried, best first; only the settings that varied."""
    table = pd.DataFrame([_plain(entry) for entry in results["params"]])
    table["mean"], table["std"] = results["mean_test_score"], results["std_test_score"]
    return table.sort_values("mean", ascending=False, kind="stable")


def describe(settings):
    """Return settings as a phrase, in the order of their names.

    Examples
    --------
    >>> describe({"max_depth": None, "class_weight": {0: 20, 1: 80}})
    'class weights 20 to 80, max depth none'
    """
    words = []
    for name, value in sorted(settings.items()):
        if name == "class_weight":
            value = "none" if value is None else " to ".join(map(str, value.values()))
            name = "class weights"
        if value is None or isinstance(value, bool):
            value = {None: "none", True: "yes", False: "no"}[value]
        words.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(words)
