"""The tuned forests of study A, as published and repaired, and their peers (floor 3).

Everything is scikit-learn's or LightGBM's: what stands here is which rows, which
settings and in which order.  :func:`learn` is called once for each recipe, so that
published and repaired differ in what they should and in nothing else;
:func:`fit_on` says which of two cohorts a recipe may see.  Taught in the notebooks
*How good is the tuned forest?*, *Does it hold for people in methadone treatment?* and
*Does a network carry over from heroin to other opioids?*.
"""

import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.base import clone
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

#: Recipes that later pages set beside these; :func:`why_not` says if one cannot run.
PEERS = {"lightgbm": "LightGBM"}

#: People of the rows to report that the pages on experiment 1 compare everybody on;
#: a network needs a while for each, so quick takes the first of them.
REPORTED = {"quick": 1500, "paper": None}

#: Which rows :func:`fit_on` may use, in words.
ROWS = {
    "source": "source only",
    "target": "target only",
    "both": "source and target",
    "on": "source, then on with target",
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
    ("general", "quick"): Effort(80_000, 30_000, trees=0.1, candidates=10, seeds=3),
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


def printed_curves():
    """Return the best F0.5 along the curves that study A prints, as read off them.

    The curves are pictures, so the numbers hold to about 0.005.

    Returns
    -------
    pandas.Series
        Index: the claim without its last word.

    Examples
    --------
    >>> float(printed_curves()["a.methadone.forest"])
    0.414
    """
    path = data_file("study_a/printed_curves.csv")
    return pd.read_csv(path, index_col="key")["best_f05"]


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

    def fit(self, X, y, sample_weight=None):
        """Return the forest, grown as scikit-learn grows it."""
        # Its threads all set Python's warning filters and put them back, side by side:
        # now and then none are left, and every later library's warnings fill the page.
        with warnings.catch_warnings():
            return super().fit(X, y, sample_weight)

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
    recipe : {"published", "repaired", "boosting", "logistic", "constant", "lightgbm"}
    seed : int, default=33
    n_jobs : int, default=-1
        Cores for the trees of a forest.  Results do not depend on it.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Raises
    ------
    InputError
        If there is no such recipe, or it cannot run here (see :func:`why_not`).
    """
    if recipe not in RECIPES and recipe not in PEERS:
        known = ", ".join([*RECIPES, *PEERS])
        raise InputError(f"recipe must be one of {known}, not {recipe!r}")
    if why_not(recipe):
        raise InputError(why_not(recipe))
    if recipe == "lightgbm":
        return Pipeline(
            [("encode", encoding.NativeCategories()), ("model", _lightgbm(seed))]
        )
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


def why_not(recipe):
    """Return why a recipe cannot run on this machine; an empty text if it can.

    LightGBM needs the OpenMP library of the system, ``libgomp``, which a bare
    container may lack: then its row is left out, and the page says why.

    Parameters
    ----------
    recipe : str

    Returns
    -------
    str

    Examples
    --------
    >>> why_not("boosting")
    ''
    """
    if recipe != "lightgbm":
        return ""
    try:
        import lightgbm  # noqa: F401
    except ModuleNotFoundError:
        return "LightGBM is not installed: pip install lightgbm"
    except (ImportError, OSError) as error:
        return (
            f"LightGBM is installed but cannot be loaded ({error}); it needs the"
            " OpenMP library of the system (Debian and Ubuntu: apt-get install"
            " libgomp1)"
        )
    return ""


def _lightgbm(seed):
    """Return LightGBM, the same to the last digit on any number of cores."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


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
    if recipe == "lightgbm":  # its trees are steps, not votes: fewer is another model
        return dict(_settings()["lightgbm"])
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
        A key of :data:`RECIPES` or :data:`PEERS`.
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


def fit_on(
    recipe,
    rows,
    source,
    target,
    *,
    settings=None,
    more=None,
    fitted=None,
    seed=33,
    n_jobs=-1,
):
    """Return a recipe fitted on a source cohort, a target cohort, or both.

    These are the controls of a transfer: whoever claims that a network carries
    something over from the source must beat a forest that saw the source too.

    Parameters
    ----------
    recipe : str
        A key of :data:`RECIPES` or :data:`PEERS`.
    rows : {"source", "target", "both", "on"}
        ``"on"``, for LightGBM alone, keeps the trees that the source grew and adds
        more for what they leave unexplained in the target.
    source, target : tuple
        Features (a frame of codes) and completed, of each cohort.
    settings : dict, optional
        Of the model; nothing is searched.
    more : dict, optional
        Settings of the trees that ``"on"`` adds, where they differ.
    fitted : sklearn.pipeline.Pipeline, optional
        For ``"on"``: what ``rows="source"`` returned, so that it is not fitted anew.
    seed : int, default=33
    n_jobs : int, default=-1
        Cores for the trees of a forest.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Fitted.

    Raises
    ------
    InputError
        If ``rows`` is unknown, or ``"on"`` is asked of another recipe than LightGBM.
    """
    if rows not in ROWS:
        raise InputError(f"rows must be one of {', '.join(ROWS)}, not {rows!r}")
    if rows == "on" and recipe != "lightgbm":
        raise InputError(f'only "lightgbm" can go on from a source, not {recipe!r}')
    model = estimator(recipe, seed=seed, n_jobs=n_jobs)
    model.set_params(**{f"model__{k}": v for k, v in (settings or {}).items()})
    with threadpool_limits(1):
        if rows == "on":
            if fitted is None:
                fitted = model.fit(source[0], _whole(source[1]))
            encoder, first = fitted["encode"], fitted["model"]
            last = clone(first).set_params(**(more or {}))
            last.fit(
                encoder.transform(target[0]),
                _whole(target[1]),
                init_model=first.booster_,
            )
            return Pipeline([("encode", encoder), ("model", last)])
        if rows == "both":
            seen = pd.concat([source[0], target[0]], ignore_index=True)
            return model.fit(seen, np.append(_whole(source[1]), _whole(target[1])))
        seen, outcome = source if rows == "source" else target
        return model.fit(seen, _whole(outcome))


def _whole(completed):
    return np.asarray(completed).astype(np.int8)


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
