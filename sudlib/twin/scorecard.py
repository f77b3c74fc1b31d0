"""The twin beside what others printed from the real files.

Joint tables, coefficients, areas and curves of real discharges stand in ``data/twin``;
each function here works out the same of some records and sets both side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from sudlib.files import data_file
from sudlib.teds import codebook
from sudlib.twin.fidelity import coded, year_of
from sudlib.twin.parameters import read_states
from sudlib.validation import check_choice, check_seed, check_whole

NO_EXPANSION = (
    *(1, 12, 13, 16, 20, 23, 28, 29, 31, 37, 40, 45, 46, 47, 48, 49, 51, 55, 56),
)
"""States without expanded Medicaid in 2017."""

MODELS = {"opioids": (5, 6, 7), "alcohol": (2,), "opioids left": (5, 6, 7)}
"""The real regressions, with the codes of SUB1 whose people they are of."""

ADMISSION = (
    *("AGE", "GENDER", "RACE", "ETHNIC", "MARSTAT", "EDUC", "EMPLOY", "LIVARAG"),
    *("PSOURCE", "NOPRIOR", "ROUTE1", "FREQ1", "FRSTUSE1", "SERVICES", "STFIPS"),
)
"""Fifteen variables known at admission; which fifteen the real areas are of is not
printed in full."""

SUBSTANCES = (2, 3, 4, 5, 7, 10)

OKLAHOMA = 40
"""The state of study B."""


def read_real(name: str) -> pd.DataFrame:
    """Return a table that others printed from the real files.

    Parameters
    ----------
    name : str
        ``sub1_by_state``, ``outpatient_by_state``, ``people_by_state``,
        ``left_by_level``, ``logistic_2017`` or ``real_figures``.

    Returns
    -------
    pandas.DataFrame

    Examples
    --------
    >>> list(read_real("left_by_level").columns)
    ['variable', 'code', 'people', 'left']
    """
    return pd.read_csv(data_file(f"twin/{name}.csv"))


def compare_substances(records: pd.DataFrame) -> pd.Series:
    """Return how far each state's primary substances are from those of 2019.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of 2019.

    Returns
    -------
    pandas.Series
        Total variation by STFIPS.
    """
    real = read_real("sub1_by_state").set_index("state")
    real.columns = real.columns.astype(int)
    records = coded(records, ["STFIPS", "SUB1"])
    ours = pd.crosstab(records["STFIPS"], records["SUB1"])
    ours = ours.reindex(index=real.index, columns=real.columns, fill_value=0)
    ours, real = (t.div(t.sum(axis="columns"), axis="index") for t in (ours, real))
    return (ours - real).abs().sum(axis="columns") / 2


def compare_outpatient(records: pd.DataFrame, least: int = 200) -> pd.DataFrame:
    """Return women and completion of SERVICES_D 7 by state, beside the real ones.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of one year.
    least : int, default=200
        Fewest real discharges of a state that is listed.

    Returns
    -------
    pandas.DataFrame
        One row a state: ``rows``, ``people`` (real discharges), ``women`` and
        ``completed`` (shares of the records), ``real_women``, ``real_completed``.
    """
    check_whole("least", least)
    needed = ["DISYR", "SERVICES_D", "STFIPS", "GENDER", "REASON"]
    records = coded(records, needed)
    year = year_of(records)
    real = read_real("outpatient_by_state")
    real = real[(real["year"] == year) & (real["people"] >= least)].set_index("state")
    there = records[records["SERVICES_D"] == 7]
    by_state = there.groupby("STFIPS")
    return pd.DataFrame(
        {
            "rows": by_state.size().reindex(real.index, fill_value=0),
            "people": real["people"],
            "women": by_state["GENDER"].apply(lambda codes: (codes == 2).mean()),
            "real_women": real["women"] / real["people"],
            "completed": by_state["REASON"].apply(lambda codes: (codes == 1).mean()),
            "real_completed": real["completed"] / real["people"],
        }
    ).loc[real.index]


def compare_left(records: pd.DataFrame) -> pd.DataFrame:
    """Return who left, by level of eleven variables and SUB1, beside real discharges.

    Of those who completed or left (REASON 1 or 2) with a known substance, as shares
    less the share of all.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of any years.

    Returns
    -------
    pandas.DataFrame
        Columns ``variable``, ``code``, ``people`` (real), ``real`` and ``ours``.
    """
    real = read_real("left_by_level")
    overall = real.loc[real["variable"] == "all", "left"].iloc[0]
    real = real[~real["variable"].isin(["all", "DISYR"])]
    variables = real["variable"].unique()
    records = coded(records, ["SUB1", "REASON", *variables])
    people = records[(records["SUB1"] > 1) & records["REASON"].isin([1, 2])]
    left = people["REASON"] == 2
    rates = {n: left.groupby(people[n]).mean() for n in variables}
    pairs = real[["variable", "code"]].to_numpy()
    ours = np.array([rates[name].get(code, np.nan) for name, code in pairs])
    return real.drop(columns="left").assign(
        real=real["left"] - overall, ours=np.nan_to_num(ours - left.mean())
    )


def skill(table: pd.DataFrame) -> pd.Series:
    """Return, for each variable, how much of the real differences is there.

    Parameters
    ----------
    table : pandas.DataFrame
        See :func:`compare_left`.

    Returns
    -------
    pandas.Series
        1 for the real table, 0 for no differences at all, less for wrong ones.

    Examples
    --------
    >>> made = pd.DataFrame({"variable": "A", "people": 1, "real": [0.1, -0.1]})
    >>> skill(made.assign(ours=[0.05, -0.1]))["A"].round(2)
    np.float64(0.75)
    """
    miss = (table["ours"] - table["real"]).abs() * table["people"]
    whole = table["real"].abs() * table["people"]
    return (
        1
        - miss.groupby(table["variable"]).sum() / whole.groupby(table["variable"]).sum()
    )


@functools.cache
def real_terms() -> pd.DataFrame:
    """Return the terms of the real regressions of 2017, each with variable and code.

    Returns
    -------
    pandas.DataFrame
        Columns ``model``, ``term``, ``estimate``, ``error``, ``variable`` and ``code``.
    """
    pattern = f"^({'|'.join((*codebook.COLUMNS, 'MEDEXP'))})(-?[0-9]+)$"
    terms = read_real("logistic_2017")
    parts = terms["term"].str.extract(pattern)
    terms = terms.assign(variable=parts[0], code=parts[1]).dropna(subset="code")
    return terms.astype({"code": int}).reset_index(drop=True)


def regress(
    columns: Mapping[str, Any], outcome: NDArray[Any], terms: pd.DataFrame
) -> NDArray[np.float64]:
    """Return the coefficients of a logistic regression on the given terms.

    Parameters
    ----------
    columns : mapping of str to array of shape (n,)
        Codes.
    outcome : array of shape (n,)
        0 or 1, or chances.
    terms : pandas.DataFrame
        With ``variable`` and ``code``: a term is 1 where the variable has the code.

    Returns
    -------
    numpy.ndarray of shape (len(terms),)
        A little shrunk, so that a term which is never 1 gets 0.
    """
    design = np.ones((len(outcome), len(terms) + 1), np.float32)
    for place, row in enumerate(terms.itertuples(), 1):
        design[:, place] = np.asarray(columns[row.variable]) == row.code
    beta = np.zeros(design.shape[1])
    ridge = np.full(len(beta), 0.1)
    # By Newton's method: scikit-learn's regression takes classes, and no chances.
    for _ in range(7):
        mean = expit(design @ beta)
        weight = np.maximum(mean * (1 - mean), 1e-6).astype(np.float32)
        curve = (design * weight[:, None]).T @ design + np.diag(ridge)
        slope = design.T @ (outcome - mean) - ridge * beta
        beta = beta + np.linalg.solve(curve, slope)
    return beta[1:]


def compare_coefficients(records: pd.DataFrame) -> pd.DataFrame:
    """Return the coefficients of the regressions of 2017, real and of the records.

    Residential treatment (SERVICES 4 and 5); completed against all else, for opioids
    and for alcohol, and left or terminated against all else, for opioids.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of 2017.

    Returns
    -------
    pandas.DataFrame
        Columns ``model``, ``variable``, ``code``, ``real``, ``error`` and ``ours``.
    """
    parts = []
    asked = {*real_terms()["variable"], "SERVICES", "SUB1", "REASON", "STFIPS"}
    records = coded(records, sorted(asked - {"MEDEXP"}))
    for name, codes in MODELS.items():
        terms = real_terms()
        terms = terms[terms["model"] == name]
        inside = records["SERVICES"].isin([4, 5]) & records["SUB1"].isin(codes)
        people = records[inside]
        columns = {each: people[each].to_numpy() for each in people}
        columns["MEDEXP"] = ~np.isin(columns["STFIPS"], NO_EXPANSION)
        ends = [2, 3] if name.endswith("left") else [1]
        outcome = people["REASON"].isin(ends).to_numpy(float)
        ours = regress(columns, outcome, terms)
        parts.append(terms.rename(columns={"estimate": "real"}).assign(ours=ours))
    return pd.concat(parts, ignore_index=True).drop(columns="term")


def measure_areas(records: pd.DataFrame, seed: int = 33) -> dict[str, float]:
    """Return how well completion can be predicted, as areas under the ROC curve.

    Completed against left, by fifteen variables known at admission, for each of six
    substances by itself; two thirds of the records are learned from.

    Parameters
    ----------
    records : pandas.DataFrame
        Records of any years, at least some 20,000 for each substance.
    seed : int, default=33
        Of the split.

    Returns
    -------
    dict of str to float
        ``boosting`` and ``logistic`` (on one column a code): means over the
        substances; ``within a state``: of boosting, the mean over states;
        ``Oklahoma``: of boosting learned on Oklahoma's records alone, all six
        substances together, cross-validated.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(check_seed(seed))
    records = coded(records, [*ADMISSION, "SUB1", "REASON"])
    areas_of: dict[str, list[float]] = {
        "boosting": [],
        "logistic": [],
        "within a state": [],
    }
    for substance in SUBSTANCES:
        people = records[
            (records["SUB1"] == substance) & records["REASON"].isin([1, 2])
        ]
        X, y = people[list(ADMISSION)].to_numpy(), people["REASON"].to_numpy() == 1
        fewer = int(min(y.sum(), (~y).sum()))
        check_whole("people of a substance who completed, or who left,", fewer, 20)
        order = rng.permutation(len(y))
        fit, test = np.split(order, [2 * len(order) // 3])
        boosting = HistGradientBoostingClassifier(max_iter=120, random_state=0)
        codes = OneHotEncoder(handle_unknown="ignore")
        logistic = make_pipeline(codes, LogisticRegression(max_iter=200))
        chances = {}
        for name, model in (("boosting", boosting), ("logistic", logistic)):
            chances[name] = model.fit(X[fit], y[fit]).predict_proba(X[test])[:, 1]
            areas_of[name].append(roc_auc_score(y[test], chances[name]))
        states, sizes, areas = X[test, -1], [], []
        for state in np.unique(states):
            here = states == state
            done = y[test][here]
            if min(done.sum(), (~done).sum()) >= 20:
                sizes.append(here.sum())
                areas.append(roc_auc_score(done, chances["boosting"][here]))
        check_whole("states with 20 who completed and 20 who did not", len(sizes), 1)
        areas_of["within a state"].append(float(np.average(areas, weights=sizes)))
    people = records[
        (records["STFIPS"] == OKLAHOMA)
        & records["SUB1"].isin(SUBSTANCES)
        & records["REASON"].isin([1, 2])
    ]
    # so few records bear only a few small steps
    boosting = HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.05, random_state=0
    )
    X, y = people[[*ADMISSION, "SUB1"]].to_numpy(), people["REASON"] == 1
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    guess = cross_val_predict(boosting, X, y, cv=folds, method="predict_proba")
    areas_of["Oklahoma"] = [roc_auc_score(y, guess[:, 1])]
    return {name: float(np.mean(areas)) for name, areas in areas_of.items()}


def score_card(
    first: pd.DataFrame, last: pd.DataFrame, areas: Mapping[str, float]
) -> pd.DataFrame:
    """Return the twin's score card: what it should be like, and what it is like.

    Parameters
    ----------
    first : pandas.DataFrame
        Records of 2017.
    last : pandas.DataFrame
        Records of 2019.
    areas : mapping of str to float
        See :func:`measure_areas`.

    Returns
    -------
    pandas.DataFrame
        Columns ``what``, ``measure``, ``value``, ``goal``, ``better`` ("lower" where
        the goal is the most, "higher" where it is the least there should be) and
        ``met``.
    """
    outpatient = pd.concat([compare_outpatient(each) for each in (first, last)])
    gap = 100 * (outpatient["women"] - outpatient["real_women"]).abs()
    miss = 100 * (outpatient["completed"] - outpatient["real_completed"]).abs()
    left = skill(compare_left(pd.concat([first, last])))
    names = {int(row["STFIPS"]): row["postal"] for row in read_states()}
    far = compare_substances(last)

    def furthest(points: pd.Series) -> str:
        return f"{names[int(points.idxmax())]} by {points.max():.1f}"

    low, high = "lower", "higher"
    off, points = "total variation", "points off, 9 of 10 states"
    worst, answer = names[int(far.idxmax())], codebook.label(left.idxmin()).lower()
    women = f"women in each state (furthest off: {furthest(gap)})"
    completion = f"completion in each state (furthest off: {furthest(miss)})"
    lines = [
        ("substances of each state, 2019", f"mean {off}", far.mean(), 0.10, low),
        (f"substances of the state furthest off ({worst})", off, far.max(), 0.25, low),
        (women, points, gap.quantile(0.9), 3, low),
        (completion, points, miss.quantile(0.9), 5, low),
        ("who left, by answer", "median skill", left.median(), 0.5, high),
        (f"who left, by {answer} (furthest off)", "skill", left.min(), 0, high),
    ]
    coefficients = compare_coefficients(first)
    for name, part in coefficients[coefficients["error"] < 1].groupby("model"):
        r = float(np.corrcoef(part["real"], part["ours"])[0, 1])
        lines.append((f"coefficients of 2017, {name}", "correlation", r, 0.6, high))
    real = read_real("real_figures").query("kind == 'area'").set_index("key")["value"]
    for name, area in areas.items():
        gone = abs(area - real[check_choice("an area", name, real.index)])
        what = f"{name}: {area:.3f}, real {real[name]}"
        lines.append((what, "area off", gone, 0.03, low))
    columns = ["what", "measure", "value", "goal", "better"]
    card = pd.DataFrame(lines, columns=columns)
    ahead = card["value"] - card["goal"]
    return card.assign(met=np.where(card["better"] == high, ahead >= 0, ahead <= 0))
