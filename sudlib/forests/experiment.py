"""The tuned forests of study A, as published and repaired, and their peers.

Everything is scikit-learn's or LightGBM's: what stands here is which rows, which
settings and in which order.  :func:`learn` is called once for each recipe, so that
published and repaired differ in what they should and in nothing else;
:func:`fit_on` says which of two cohorts a recipe may see.
Taught in ``a02_forest_general``, ``a03_forest_methadone`` and
``a10_heroin_to_other_opioids``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid, ParameterSampler, cross_val_score
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from sudlib.classes import code_outcomes
from sudlib.files import InputError
from sudlib.forests.estimators import estimator, grid
from sudlib.forests.published import F05, FOLDS, PUBLISHED_THRESHOLD
from sudlib.forests.splits import ROWS, Parts
from sudlib.validation import check_choice, check_rows

Cohort = tuple[pd.DataFrame, ArrayLike]


@dataclass(frozen=True)
class Arm:
    """A fitted recipe and the scores it gives to the test set.

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
        Of the test set.
    spare : numpy.ndarray
        Scores of the rows for the threshold.  Where ``study`` holds these rows, the
        published recipe has been fitted on them.
    seconds : float
        Wall clock, search included.
    """

    recipe: str
    model: Pipeline | None = field(repr=False)
    settings: dict[str, Any]
    search: pd.DataFrame | None = field(repr=False)
    threshold: float
    score: NDArray[Any] = field(repr=False)
    completed: NDArray[Any] = field(repr=False)
    spare: NDArray[Any] = field(repr=False)
    seconds: float


def learn(
    recipe: str,
    features: pd.DataFrame,
    completed: ArrayLike,
    parts: Parts,
    *,
    choose: Callable[..., float],
    trees: float = 1.0,
    n_candidates: int = 10,
    seed: int = 33,
    settings: dict[str, Any] | None = None,
    n_jobs: int = -1,
    keep_model: bool = False,
    memory: joblib.Memory | None = None,
) -> Arm:
    """Return a recipe tuned, fitted, given a threshold, and scored on the test set.

    The published recipe does what the study did: a search by F0.5 on the rows it
    fits, class weights among what is searched, and a threshold of one half.  The
    others are searched by average precision, and choose the threshold afterwards, on
    rows of its own.

    Parameters
    ----------
    recipe : str
        A key of :data:`RECIPES` or :data:`PEERS`.
    features : pandas.DataFrame
        Codes, one row a person.
    completed : array-like of 0 and 1, shape (n,)
    parts : Parts
        Which rows do what.
    choose : callable
        ``choose(completed, score)`` returns a threshold, as
        :func:`sudlib.scores.best_threshold` does.
    trees : float, default=1.0
        Every number of trees that a search may try is multiplied by this.
    n_candidates : int, default=10
        Settings that a search tries; the study tried ten.
    seed : int, default=33
        Of the search and of the model.
    settings : dict, optional
        Settings found before: nothing is searched.
    n_jobs : int, default=-1
        Cores for the trees of a forest.
    keep_model : bool, default=False
        Whether the arm keeps the fitted model.
    memory : joblib.Memory, optional
        Where the score of each candidate and the finished arm are kept, so that a
        run of hours that was stopped goes on where it was.  It knows this function and
        what it is given, not the code behind it: name its folder by that, as
        ``a02_forest_general`` does.

    Returns
    -------
    Arm

    Notes
    -----
    Taught in ``a02_forest_general``.
    """
    check_rows(features=features, completed=completed)
    [completed] = code_outcomes(completed=completed)
    once = memory or joblib.Memory(None, verbose=0)
    return once.cache(_learn, ignore=["n_jobs", "memory"])(
        recipe,
        features,
        completed.astype(np.int8),
        parts,
        choose=choose,
        trees=trees,
        n_candidates=n_candidates,
        seed=seed,
        settings=settings,
        n_jobs=n_jobs,
        keep_model=keep_model,
        memory=once,
    )


def _learn(
    recipe: str,
    features: pd.DataFrame,
    completed: NDArray[np.int8],
    parts: Parts,
    *,
    choose: Callable[..., float],
    trees: float,
    n_candidates: int,
    seed: int,
    settings: dict[str, Any] | None,
    n_jobs: int,
    keep_model: bool,
    memory: joblib.Memory,
) -> Arm:
    """Return what :func:`learn` returns, computed."""
    begin = time.perf_counter()
    model = estimator(recipe, seed=seed, n_jobs=n_jobs)
    rows = parts.study if recipe == "published" else parts.fit
    choices, table = _of_model(grid(recipe, trees)), None
    # A forest grows its trees side by side whatever this says.  The threads inside
    # boosting and linear algebra wait for each other: on a busy machine two are many
    # times slower than one.
    with threadpool_limits(1):
        if settings is None and choices:
            # The candidates of RandomizedSearchCV, scored one call each: a search that
            # was stopped goes on with those that ``memory`` does not hold yet.
            n_iter = min(n_candidates, len(ParameterGrid(choices)))
            drawn = list(ParameterSampler(choices, n_iter, random_state=seed))
            scored = memory.cache(cross_val_score)
            reached = [
                scored(
                    clone(model).set_params(**candidate),
                    features.iloc[rows],
                    completed[rows],
                    scoring=F05 if recipe == "published" else "average_precision",
                    cv=FOLDS,
                )
                for candidate in drawn
            ]
            table = _search_table(drawn, reached)
            settings = _plain(drawn[table.index[0]])
        settings = settings or {}
        model.set_params(**_of_model(settings))
        model.fit(features.iloc[rows], completed[rows])
        spare, score = (
            model.predict_proba(features.iloc[part])[:, 1]
            for part in (parts.threshold, parts.report)
        )
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


def repeat(
    arm: Arm,
    features: pd.DataFrame,
    completed: ArrayLike,
    split: Callable[..., Parts],
    seeds: Iterable[int],
    **keywords: Any,
) -> list[Arm]:
    """Return an arm's settings fitted again on other splits with other seeds.

    Parameters
    ----------
    arm : Arm
        Its settings are kept: nothing is searched.
    features : pandas.DataFrame
        Codes, one row a person.
    completed : array-like of 0 and 1, shape (n,)
    split : callable
        ``split(completed, seed)`` returns :class:`Parts`.
    seeds : iterable of int
        A split that leaves a part with too few people is passed over.
    **keywords
        As for :func:`learn`: ``choose`` and, if wanted, ``trees``.

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
        keywords |= {"seed": seed, "settings": arm.settings}
        again.append(learn(arm.recipe, features, completed, parts, **keywords))
    return again


def fit_on(
    recipe: str,
    rows: str,
    source: Cohort,
    target: Cohort,
    *,
    settings: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    fitted: Pipeline | None = None,
    seed: int = 33,
    n_jobs: int = -1,
) -> Pipeline:
    """Return a recipe fitted on a source cohort, a target cohort, or both.

    These are the controls of a transfer: a network that carries something over from
    the source must beat a forest that saw the source too.

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
        For ``"on"``: what ``rows="source"`` returned, so that it is not fitted again.
    seed : int, default=33
        Of the model.
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
    check_choice("rows", rows, ROWS)
    if rows == "on" and recipe != "lightgbm":
        raise InputError(f'only "lightgbm" can go on from a source, not {recipe!r}')
    cohorts = {"both": (source, target), "target": (target,)}.get(rows, (source,))
    for features, outcome in (*cohorts, *([target] if rows == "on" else [])):
        check_rows(features=features, completed=outcome)
    seen = pd.concat([features for features, _ in cohorts], ignore_index=True)
    outcomes = [code_outcomes(completed=outcome)[0] for _, outcome in cohorts]
    completed = np.concatenate(outcomes).astype(np.int8)
    model = estimator(recipe, seed=seed, n_jobs=n_jobs)
    model.set_params(**_of_model(settings or {}))
    with threadpool_limits(1):
        if rows != "on":
            return model.fit(seen, completed)
        fitted = fitted or model.fit(seen, completed)
        encoder, first = fitted["encode"], fitted["model"]
        last = clone(first).set_params(**(more or {}))
        [outcome] = code_outcomes(completed=target[1])
        table = encoder.transform(target[0])
        last.fit(table, outcome.astype(np.int8), init_model=first.booster_)
    return Pipeline([("encode", encoder), ("model", last)])


def _of_model(settings: dict[str, Any]) -> dict[str, Any]:
    return {f"model__{name}": value for name, value in settings.items()}


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("model__"): value for name, value in settings.items()}


def _search_table(
    drawn: list[dict[str, Any]], reached: list[NDArray[np.float64]]
) -> pd.DataFrame:
    """Return what a search tried, best first, each with its place among those drawn."""
    table = pd.DataFrame([_plain(entry) for entry in drawn])
    table["mean"], table["std"] = np.mean(reached, axis=1), np.std(reached, axis=1)
    return table.sort_values("mean", ascending=False, kind="stable")


def describe(settings: dict[str, Any]) -> str:
    """Return settings as a phrase, in the order of their names.

    Parameters
    ----------
    settings : dict
        Settings of a model, by the names of scikit-learn.

    Returns
    -------
    str

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
