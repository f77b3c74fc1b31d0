"""The tuned forests of study A, as published and repaired, and their peers.

Everything is scikit-learn's or LightGBM's: what stands here is which rows, which
settings and in which order.  :func:`learn` is called once for each recipe, so that
published and repaired differ in what they should and in nothing else;
:func:`fit_on` says which of two cohorts a recipe may see.  Taught in the notebooks
*How good is the tuned forest?*, *Does it hold for people in methadone treatment?* and
*Does a network carry over from heroin to other opioids?*.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from sudlib.files import InputError
from sudlib.forests.estimators import estimator, grid, size_of
from sudlib.forests.published import F05, FOLDS, PUBLISHED_THRESHOLD
from sudlib.forests.splits import ROWS, Effort


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
