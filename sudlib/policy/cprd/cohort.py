"""A synthetic cohort of the diabetes extract, and the truth behind it.

The cohort is made up: its margins are rounded from what is published about such people,
its treatment effects follow published directions, and its best rule is known.  Its
distributions stand in ``data/cprd/covariates.csv``, its linear predictors (of
covariates, of treatments, of effects) in ``data/cprd/coefficients.csv``; in both,
numbers are standardised by the means and spreads of the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from sudlib.files import InputError, data_file
from sudlib.origin import label
from sudlib.policy.cprd.variables import (
    COVARIATES,
    OUTCOME,
    PEOPLE,
    TREATMENTS,
    cached_schema,
)
from sudlib.policy.treatments import Array, combination_number, combinations
from sudlib.validation import check_whole

#: Share of the drop that is lost with each medicine after the first: fewer tablets are
#: taken when there are more of them.  A choice, not a measurement.
BURDEN = 0.08

_ILLNESSES = list(COVARIATES[14:])


def sample(
    people: int = PEOPLE, *, seed: int = 33, missing: bool = True
) -> pd.DataFrame:
    """Return a synthetic cohort with the columns of the extract.

    Parameters
    ----------
    people : int, default=1139
        Number of people.
    seed : int, default=33
        The same seed gives the same people.
    missing : bool, default=True
        False leaves the same people's covariates complete, for :func:`true_value` and
        :func:`best_rule`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    sudlib.files.InputError
        If ``people`` is no whole number from 1.

    Examples
    --------
    >>> cohort = sample(200, seed=1)
    >>> cohort.shape
    (200, 26)
    """
    check_whole("people", people, 1)
    people_seed, care_seed, hidden_seed = np.random.SeedSequence(seed).spawn(3)
    covariates = _draw_covariates(people, np.random.default_rng(people_seed))
    generator = np.random.default_rng(care_seed)
    cumulated = propensities(covariates).cumsum(axis=1)[:, :-1]
    number = (generator.random((people, 1)) > cumulated).sum(axis=1)
    drop = expected_drops(covariates)[np.arange(people), number]
    # Measurement, and life between two visits.
    noise = np.sqrt(_room(covariates)) * generator.normal(0, 1.0, people)
    frame = covariates.copy()
    frame[list(TREATMENTS)] = (combinations(4)[number] > 0).astype(float)
    frame[OUTCOME] = -np.round(drop + noise, 1)
    if missing:
        _hide(frame, np.random.default_rng(hidden_seed))
    frame.attrs = label("twin of the diabetes extract", people)
    return frame


@cache
def _coefficients() -> dict[tuple[str, str], dict[str, float]]:
    """Return the coefficients of each linear predictor, by model and target."""
    table = pd.read_csv(data_file("cprd/coefficients.csv"))
    return {
        key: dict(zip(rows["term"], rows["coefficient"], strict=True))
        for key, rows in table.groupby(["model", "target"], sort=False)
    }


def _linear(model: str, target: str, terms: Mapping[str, Any]) -> Any:
    """Return a linear predictor; 0 where nothing is said."""
    coefficients = _coefficients().get((model, target), {})
    return sum(weight * terms[term] for term, weight in coefficients.items())


def _standardise(name: str, values: Array) -> Array:
    """Return values less their mean, numbers also by their spread."""
    rule = cached_schema().loc[name]
    return (values - rule["mean"]) / (1 if np.isnan(rule["spread"]) else rule["spread"])


def _draw_covariates(people: int, generator: np.random.Generator) -> pd.DataFrame:
    """Return complete covariates; each row of the recipe depends only on rows above."""
    recipe = pd.read_csv(data_file("cprd/covariates.csv")).set_index("name")
    drawn: dict[str, Array] = {}
    terms: dict[str, Array] = {}
    for name, row in recipe.iterrows():
        rule, predictor = cached_schema().loc[name], _linear("covariate", name, terms)
        family, start, scale = row["family"], row["start"], row["scale"]
        if family in ("share", "logistic"):
            start = logit(rule["mean"]) if family == "share" else start
            values = (generator.random(people) < expit(start + predictor)).astype(float)
        else:
            if family == "gamma":
                spread = generator.gamma(row["shape"], scale / row["shape"], people)
                values = start + spread * np.exp(predictor)
            else:
                predictor += scale * generator.standard_normal(people)
                normal = family == "normal"
                values = start + predictor if normal else start * np.exp(predictor)
            values = np.clip(values, rule["low"], rule["high"])
            values = np.round(values, int(row["decimals"]))
        if name == "ex_smoker":
            values[drawn["smoker"] == 1] = 0.0
        drawn[name], terms[name] = values, _standardise(name, values)
        terms["egfr_below_60"] = np.asarray(drawn.get("egfr", np.nan)) < 60
    return pd.DataFrame({name: drawn[name] for name in COVARIATES})


def _hide(frame: pd.DataFrame, generator: np.random.Generator) -> None:
    """Set covariates missing in place, at random given what is always known.

    Older and ill people see a doctor more often and are measured more often.
    """
    seen = 0.5 * (frame[_ILLNESSES].sum(axis=1) - 1.35)
    seen += 0.3 * _standardise("age", frame["age"])
    seen -= 0.15 * _standardise("male", frame["male"])
    shares = cached_schema().loc[list(COVARIATES), "missing"]
    for name, share in shares[shares > 0].drop("ex_smoker").items():
        # 0.18 makes up for averaging a logistic curve over people.
        hidden = generator.random(len(frame)) < expit(logit(share) - 0.18 - seen)
        columns = [name, "ex_smoker"] if name == "smoker" else [name]
        frame.loc[hidden, columns] = np.nan


def _terms(covariates: pd.DataFrame) -> dict[str, Any]:
    """Return what the linear predictors of the truth are written in."""
    if covariates[list(COVARIATES)].isna().to_numpy().any():
        raise InputError(
            "the truth of the synthetic cohort needs complete covariates: draw the"
            " same people with missing=False"
        )
    kinds = cached_schema()["kind"]
    terms: dict[str, Any] = {"constant": 1.0}
    for name in COVARIATES:
        values = covariates[name].to_numpy(float)
        yes_no = kinds[name] == "yes-no"
        terms[name] = values if yes_no else _standardise(name, values)
    terms["woman"] = 0.5 - terms["male"]
    terms["woman_and_heavy"] = terms["woman"] * (terms["bmi"] > 0)
    terms["age_above_mean"] = np.maximum(terms["age"], 0)
    for limit in (45, 60):
        terms[f"egfr_below_{limit}"] = covariates["egfr"].to_numpy(float) < limit
    return terms


def propensities(covariates: pd.DataFrame) -> Array:
    """Return each person's true probability of each combination in the cohort.

    Treatments are given one after the other, as a doctor adds them: metformin first,
    less when the kidneys fail; a sulfonylurea to leaner people and when HbA1c is high;
    a DPP4 inhibitor to older people; a thiazolidinedione to heavier people, hardly ever
    with heart failure.  High HbA1c brings more medicines: so treatment is confounded.
    People with other medicines get a further one less often: so the four are not
    independent given the covariates.

    Parameters
    ----------
    covariates : pandas.DataFrame
        Complete.

    Returns
    -------
    numpy.ndarray of shape (n, 16)
        Columns as in :func:`sudlib.policy.combinations`; each row sums to 1.
    """
    terms = _terms(covariates)
    probability = np.ones((len(covariates), 16))
    for column, given in enumerate(combinations(4) > 0):
        terms |= dict(zip(TREATMENTS, given, strict=True))
        for name, taken in zip(TREATMENTS, given, strict=True):
            chance = expit(_linear("propensity", name, terms))
            probability[:, column] *= chance if taken else 1 - chance
    return probability


def effects(covariates: pd.DataFrame) -> Array:
    """Return what each treatment adds, before burden and baseline, by person.

    In percentage points of HbA1c for somebody who starts at 9%.  Average sizes are the
    study's (DPP4 0.5, sulfonylurea 1.0) and textbook ones; directions are published:
    women and heavier people respond better to thiazolidinediones, men and leaner people
    to sulfonylureas (Dennis 2018); obesity and high triglycerides weaken DPP4
    inhibitors; metformin is cut or stopped as the kidneys fail, a thiazolidinedione in
    heart failure, a sulfonylurea fails as years go by.  How strongly effects vary is
    our choice and larger than published, so that there is a rule to find.

    Parameters
    ----------
    covariates : pandas.DataFrame
        Complete.

    Returns
    -------
    numpy.ndarray of shape (n, 4)
        In the order of ``TREATMENTS``.
    """
    terms = _terms(covariates)
    return np.column_stack([_linear("effect", name, terms) for name in TREATMENTS])


def expected_drops(covariates: pd.DataFrame, *, burden: float = BURDEN) -> Array:
    """Return each person's expected drop in HbA1c under each of the 16 combinations.

    The effects add up; each medicine after the first costs a share ``burden`` of a
    positive sum; all is scaled by how far HbA1c stands above 5% (1 at 9%), for
    people who start high fall further; to this comes what happens without medicine
    (regression to the mean, advice and diet, and the disease going on).

    Parameters
    ----------
    covariates : pandas.DataFrame
        Complete.
    burden : float, default=0.08
        0 makes the effects additive.

    Returns
    -------
    numpy.ndarray of shape (n, 16)
        In percentage points.
    """
    taken = combinations(4) > 0
    total = effects(covariates) @ taken.T
    share = 1 - burden * np.maximum(taken.sum(axis=1) - 1, 0)
    total = np.where(total > 0, total * share, total)
    untreated = _linear("untreated", "drop", _terms(covariates))
    return _room(covariates)[:, None] * total + untreated[:, None]


def _room(covariates: pd.DataFrame) -> Array:
    """Return how far HbA1c can fall: 1 for somebody who starts at 9%."""
    return np.clip((covariates["hba1c"].to_numpy(float) - 5) / 4, 0.3, 2.0)


def best_rule(covariates: pd.DataFrame, *, burden: float = BURDEN) -> Array:
    """Return the combination with the largest expected drop, in −1 and +1.

    Parameters
    ----------
    covariates : pandas.DataFrame
        Complete.
    burden : float, default=0.08
        As in :func:`expected_drops`.

    Returns
    -------
    numpy.ndarray of int, shape (n, 4)
    """
    return combinations(4)[expected_drops(covariates, burden=burden).argmax(axis=1)]


def hamming_rule(covariates: pd.DataFrame, *, burden: float = BURDEN) -> Array:
    """Return the rule that the outcome-weighted Hamming loss aims at (theorem 5.1).

    Each treatment is given when the mean outcome over all combinations that hold it is
    above the mean over those that do not.  It is the best rule when effects add up.

    Parameters
    ----------
    covariates : pandas.DataFrame
        Complete.
    burden : float, default=0.08
        As in :func:`expected_drops`.

    Returns
    -------
    numpy.ndarray of int, shape (n, 4)
    """
    drops = expected_drops(covariates, burden=burden)
    return np.where(drops @ combinations(4) > 0, 1, -1)


def true_value(
    treatments: ArrayLike, covariates: pd.DataFrame, *, burden: float = BURDEN
) -> float:
    """Return the mean expected drop in HbA1c if everybody were given these treatments.

    Parameters
    ----------
    treatments : array-like of shape (n, 4) or (4,)
        What a rule recommends, in −1 and +1; one row stands for everybody.
    covariates : pandas.DataFrame
        The same people's complete covariates.
    burden : float, default=0.08
        As in :func:`expected_drops`.

    Returns
    -------
    float
        Percentage points; higher is better.

    Examples
    --------
    >>> people = sample(500, missing=False)[list(COVARIATES)]
    >>> true_value(best_rule(people), people) >= true_value([1, 1, 1, 1], people)
    True
    """
    treatments = np.broadcast_to(treatments, (len(covariates), len(TREATMENTS)))
    drops = expected_drops(covariates, burden=burden)
    return float(drops[np.arange(len(drops)), combination_number(treatments)].mean())
