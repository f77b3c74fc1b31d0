"""A multiverse analysis: what the study leaves open, each choice tried by itself.

The base specification fills every gap as :func:`simulation_study.recipes
<sudlib.policy.simulation_study.recipes>` does; a choice changes one thing.  Taught in
notebook c04.

References
----------
Steegen, Tuerlinckx, Gelman and Vanpaemel (2016), Increasing transparency through a
multiverse analysis.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sudlib.files import data_file
from sudlib.policy import simulation_study
from sudlib.validation import check_choice


@dataclass(frozen=True)
class Choice:
    """One choice: which question it answers, and what it changes.

    Attributes
    ----------
    question, answer : str
        In words.
    repeats : dict
        What changes in :func:`sudlib.policy.simulation_study.run_repeats`.
    network, naive : dict
        Changed parameters of both networks, and of the naive rule.
    """

    question: str
    answer: str
    repeats: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    naive: dict[str, Any] = field(default_factory=dict)


#: Every choice, the base first.
CHOICES = {
    name: Choice(**choice)
    for name, choice in json.loads(
        data_file("study_c/choices.json").read_text(encoding="utf-8")
    ).items()
}
#: The choices of the naive rule, tried at every size of both settings.
NAIVE = ("base", *(name for name, choice in CHOICES.items() if choice.naive))


def run_choices(
    names: Sequence[str],
    size: int,
    repeats: Sequence[int],
    *,
    methods: Sequence[str] | None = None,
    setting: str = "right",
    seed: int = simulation_study.SEED,
) -> pd.DataFrame:
    """Return the scores of the study's methods with one choice changed at a time.

    A method that a choice cannot touch is not fitted again.  All repeats of a choice
    are trained as one computation.

    Parameters
    ----------
    names : sequence of str
        Keys of :data:`CHOICES`.
    size : int
        People per treatment in the training data.
    repeats : sequence of int
        Numbers of the repeats.
    methods : sequence of str, optional
        Only these of "naive", "dnn_simple" and "dnn_1hdd".
    setting : {"right", "wrong"}, default="right"
        Section 6.1 or 6.2.
    seed : int, default=33
        Seed of the study.

    Returns
    -------
    pandas.DataFrame
        Columns ``choice``, ``setting``, ``n_train``, ``repeat``, ``method`` and scores.

    Raises
    ------
    sudlib.files.InputError
        For a name that is no choice.
    """
    frames = []
    for name in names:
        choice = CHOICES[check_choice("a choice", name, CHOICES)]
        recipes = _changed(choice, size, methods)
        more: Any = {"seed": seed, "methods": recipes, "test": 20_000} | choice.repeats
        scores = simulation_study.run_repeats(setting, size, repeats, **more)
        scores.insert(0, "choice", name)
        frames.append(scores[scores["method"].isin([*recipes, "bayes"])])
    return pd.concat(frames, ignore_index=True).drop(columns=["alpha", "seconds"])


def _changed(made: Choice, size: int, methods: Sequence[str] | None) -> dict[str, Any]:
    """Return the recipes that a choice can touch, changed."""
    networks = () if made.naive else ("dnn_simple", "dnn_1hdd")
    changes = dict.fromkeys(networks, made.network)
    if not made.network:
        changes["naive"] = made.naive
    recipes = simulation_study.recipes(size)
    return {
        name: recipes[name].set_params(**change)
        for name, change in changes.items()
        if not methods or name in methods
    }


def naive_table(
    scores: pd.DataFrame, printed: Mapping[tuple[str, int], float]
) -> pd.DataFrame:
    """Return the naive rule's adjusted MCR by choice, at every size of both settings.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of :func:`run_choices`.
    printed : mapping of (str, int) to float
        What the study prints, by setting and size.

    Returns
    -------
    pandas.DataFrame
        Indexed by choice: one column a (setting, size), and ``away``, the root mean
        square of the differences from the print; the nearest first.
    """
    here = scores[(scores["method"] == "naive") & scores["choice"].isin(NAIVE)]
    cell = ["setting", "n_train"]
    # only repeats in which every choice ran: the same worlds for all
    wide = here.pivot(index=[*cell, "repeat"], columns="choice", values="adjusted_mcr")
    wide = wide.dropna().groupby(cell).mean().T
    wide.columns = list(wide.columns)
    wide = wide[[column for column in printed if column in list(wide)]]
    away = wide - pd.Series(printed)[list(wide)]
    return wide.assign(away=np.sqrt((away**2).mean(axis=1))).sort_values("away")


def choices_table(
    scores: pd.DataFrame, printed: Mapping[tuple[str, str], float]
) -> pd.DataFrame:
    """Return choices as rows: each method's mean, its standard error, and the print.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of :func:`run_choices`, of one setting and size.
    printed : mapping of (str, str) to float
        What the study prints, by method and score.

    Returns
    -------
    pandas.DataFrame
        ``question``, ``choice``, ``repeats``, and columns such as ``DNN-simple`` and
        ``Bayes, AMCR``; texts, empty where a choice cannot touch a method.
    """
    methods = ("naive", "dnn_simple", "dnn_1hdd", "bayes")
    words = simulation_study.METHODS
    shown = {words[method]: (method, "adjusted_mcr") for method in methods}
    shown["Bayes, AMCR"] = "bayes", "adjusted_amcr"
    shown["Bayes, AB"] = "bayes", "ab"
    rows = []
    for name, choice in CHOICES.items():
        here = scores[scores["choice"] == name]
        if len(here):
            means = [
                _mean(here.loc[here["method"] == method, score])
                for method, score in shown.values()
            ]
            repeats = here["repeat"].nunique()
            rows.append((choice.question, choice.answer, repeats, *means))
    prints = [
        f"{printed[method, score]:.{2 if score == 'ab' else 3}f}"
        for method, score in shown.values()
    ]
    rows.append(("the study", "printed", simulation_study.REPEATS, *prints))
    return pd.DataFrame(rows, columns=["question", "choice", "repeats", *shown])


def _mean(values: pd.Series) -> str:
    """Return mean and standard error as text."""
    if values.empty:
        return ""
    error = f" ({values.sem():.3f})" if len(values) > 1 else ""
    return f"{values.mean():.3f}{error}"


def published_choices() -> pd.DataFrame:
    """Return the scores of all choices that come with the book.

    Returns
    -------
    pandas.DataFrame
        As :func:`run_choices` returns it.
    """
    return pd.read_csv(data_file("results/study_c/choices.csv.gz"))
