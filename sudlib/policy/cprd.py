"""The diabetes extract of study C: its schema, a loader, a synthetic cohort.

The study's extract of the Clinical Practice Research Datalink is licensed and cannot
be shared.  ``data/cprd/schema.csv`` says what a file must look like; :func:`load` opens
a licensed one, or by default draws a synthetic cohort.  The synthetic cohort is made
up: its margins are rounded from what is published about such people, its treatment
effects follow published directions, and its best rule is *known*
(:func:`best_rule`), so that what a method claims can be held against the truth
(:func:`true_value`).  Taught in notebook ``c05_diabetes``.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from sudlib.files import InputError, data_file, sha256
from sudlib.policy.treatments import combination_number, combinations

#: People in the study's extract.
PEOPLE = 1139


#: The 21 covariates, in the order of the schema.
COVARIATES = (
    "male",
    "age",
    "duration",
    "bmi",
    "hba1c",
    "egfr",
    "hdl",
    "ldl",
    "log_triglycerides",
    "systolic",
    "diastolic",
    "log_alt",
    "smoker",
    "ex_smoker",
    "hypertension",
    "stroke",
    "ischaemic_heart_disease",
    "heart_failure",
    "chronic_kidney_disease",
    "retinopathy",
    "neuropathy",
)


#: The four treatments, in the order of the study.
TREATMENTS = ("dpp4", "su", "met", "tzd")


#: Percentage points of HbA1c; negative when it fell.
OUTCOME = "hba1c_change"


#: Share of the drop that is lost with each medicine after the first: fewer tablets are
#: taken when there are more of them.  A choice, not a measurement.
BURDEN = 0.08


@cache
def _schema():
    table = pd.read_csv(data_file("cprd/schema.csv"), keep_default_na=False)
    for name in ("low", "high", "mean", "spread", "missing"):
        table[name] = pd.to_numeric(table[name])
    return table.set_index("name")


def schema():
    """Return what a file of the extract must hold, one row a column.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``name``: ``label``, ``unit``, ``kind`` ("number", "yes-no",
        "treatment" or "outcome"), ``low`` and ``high`` (allowed values), ``mean``,
        ``spread`` (standard deviation) and ``missing`` (share) of the synthetic
        cohort, and a ``note``.

    Examples
    --------
    >>> schema().loc["bmi", "unit"]
    'kg/m2'
    """
    return _schema().copy()


# ------------------------------------------------------------------ a licensed file


def load(data="twin", *, people=PEOPLE, seed=33):
    """Return the records of a run: a synthetic cohort, or a licensed extract.

    Parameters
    ----------
    data : str, default="twin"
        ``"twin"`` draws a synthetic cohort; otherwise the path of a CSV file.  What
        studies A and B run on (``"teds-d-2018"``, or a file with a ``CASEID``) says
        nothing about diabetes and also draws the synthetic cohort, so that one choice
        of data serves the whole book.
    people : int, default=1139
        Size of the synthetic cohort; a file is always read whole.
    seed : int, default=33
        Seed of the synthetic cohort.

    Returns
    -------
    pandas.DataFrame
        See :func:`read`.
    """
    if data == "twin" or _of_another_study(data):
        return sample(people, seed=seed)
    return read(data)


def _of_another_study(data):
    """Return whether these are records of treatment for substance use."""
    if re.fullmatch(r"teds-d-\d{4}", str(data)) or Path(data).is_dir():
        return True
    if not Path(data).is_file():
        return False
    with open(data, "rb") as stream:
        start = stream.read(4096)
    return start[:4] in (b"PK\x03\x04", b"PAR1") or b"CASEID" in start.split(b"\n")[0]


def read(source):
    """Return a licensed extract, checked against the schema.

    Parameters
    ----------
    source : path-like
        A CSV file, one row a person, with exactly the columns of :func:`schema` in any
        order.  Treatments are 0 and 1 (−1 and +1 are accepted).  An empty cell is a
        missing covariate; treatments and the outcome must not be missing.

    Returns
    -------
    pandas.DataFrame
        Columns in the order of the schema, ``attrs`` as for every frame of the book.

    Raises
    ------
    InputError
        If there is no such file, it is empty, a column is absent, unknown or given
        twice, or a value is not allowed: the message names the column, the row, the
        value, and what is allowed.
    """
    path = Path(source)
    if not path.is_file():
        raise InputError(
            'data must be "twin" or the path of a CSV file of the diabetes extract;'
            f" there is no file {str(source)!r}"
        )
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as why:
        raise InputError(f"{path.name} is not a readable CSV file: {why}") from why
    frame = check(raw, name=path.name)
    frame.attrs = {
        "data": path.name,
        "years": [],
        "synthetic": False,
        "sha256": sha256(path),
        "rows_in_file": len(frame),
    }
    return frame


def check(frame, name="the records"):
    """Return records as numbers in the schema's order, or say what does not fit.

    Parameters
    ----------
    frame : pandas.DataFrame
        Text or numbers.
    name : str
        How messages call it.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        See :func:`read`.
    """
    wanted = _schema()
    heads = [str(head).strip() for head in frame.columns]
    # pandas renames the second of two equal heads to "head.1".
    doubled = [
        head
        for head in heads
        if head.rpartition(".")[0] in wanted.index
        and head.rpartition(".")[2].isdecimal()
    ]
    absent = [column for column in wanted.index if column not in heads]
    unknown = [head for head in heads if head not in wanted.index and head]
    if doubled:
        raise InputError(
            f"{name}: the column {doubled[0].rpartition('.')[0]!r} is there twice"
        )
    if absent:
        raise InputError(
            f"{name} lacks the column {', '.join(absent)}; it must have"
            f" {', '.join(wanted.index)}"
        )
    if unknown:
        raise InputError(
            f"{name} has the column {', '.join(unknown)}, which is not in the schema;"
            " leave out what is not used, identifiers above all"
        )
    if not len(frame):
        raise InputError(f"{name} has no rows; at least one person is needed")
    frame = frame.set_axis(heads, axis=1)
    columns = {column: _numbers(frame, column, name) for column in wanted.index}
    checked = pd.DataFrame(columns)
    both = (checked["smoker"] == 1) & (checked["ex_smoker"] == 1)
    if both.any():
        raise InputError(
            f"{name}: smoker and ex_smoker are both 1 in row"
            f" {int(np.flatnonzero(both)[0]) + 1}; a person is at most one of the two"
        )
    return checked


def _numbers(frame, column, name):
    """Return one column as floats, or name the first value that is not allowed."""
    rule = _schema().loc[column]
    text = frame[column]
    if pd.api.types.is_numeric_dtype(text):
        values = text.astype(float)
        empty = values.isna()
    else:
        text = text.astype("string").str.strip()
        empty = text.isna() | text.isin(["", "NA", "NaN", "nan", "."])
        values = pd.to_numeric(text.mask(empty), errors="coerce").astype(float)
    values = values.to_numpy(float, na_value=np.nan)
    empty = empty.to_numpy(bool)
    given = frame[column].to_numpy(object)

    def refuse(wrong, extra=""):
        row = int(np.flatnonzero(wrong)[0])
        many = int(wrong.sum())
        allowed = (
            f"{rule['unit']}"
            if rule["kind"] in ("yes-no", "treatment")
            else f"a number from {rule['low']:g} to {rule['high']:g} ({rule['unit']})"
        )
        shown = "empty" if empty[row] else repr(given[row])
        raise InputError(
            f"{name}: column {column!r} must be {allowed}; row {row + 1} is"
            f" {shown}{extra}" + (f", and {many - 1} more rows" if many > 1 else "")
        )

    if rule["kind"] in ("treatment", "outcome") and empty.any():
        refuse(empty, " (treatments and the outcome must not be missing)")
    if (~empty & ~np.isfinite(values)).any():
        refuse(~empty & ~np.isfinite(values))
    if rule["kind"] == "treatment" and set(np.unique(values)) <= {-1.0, 1.0}:
        values = (values + 1) / 2
    if rule["kind"] in ("yes-no", "treatment"):
        wrong = ~empty & ~np.isin(values, (0.0, 1.0))
    else:
        wrong = ~empty & ~((values >= rule["low"]) & (values <= rule["high"]))
    if wrong.any():
        seen = values[wrong]
        mmol = column == "hba1c" and np.median(seen) > 20 and np.median(seen) < 200
        refuse(wrong, " (it looks like mmol/mol: give per cent)" if mmol else "")
    return values


def arrays(records):
    """Return the covariates, the treatments in −1 and +1, and the drop in HbA1c.

    Parameters
    ----------
    records : pandas.DataFrame
        From :func:`load`.

    Returns
    -------
    covariates : pandas.DataFrame of shape (people, 21)
        With its missing values.
    treatments : numpy.ndarray of int, shape (people, 4)
    drop : numpy.ndarray of shape (people,)
        The outcome to be made large: *minus* the change in HbA1c.
    """
    treatments = 2 * records[list(TREATMENTS)].to_numpy(int) - 1
    return records[list(COVARIATES)], treatments, -records[OUTCOME].to_numpy(float)


def impute(covariates, *, times=5, seed=33):
    """Return the covariates completed several times by chained equations.

    Each missing value is drawn from the posterior of a Bayesian ridge regression on the
    other covariates (scikit-learn's ``IterativeImputer``), kept inside the schema's
    limits, and rounded where it is yes or no.  The outcome and the treatments are not
    used: a rule must work for a person who has neither.

    Parameters
    ----------
    covariates : pandas.DataFrame
    times : int, default=5
        Imputations; the study used five.
    seed : int, default=33

    Returns
    -------
    list of pandas.DataFrame
        Without missing values.

    Raises
    ------
    InputError
        If a covariate is missing for everybody.
    """
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from threadpoolctl import threadpool_limits

    nobody = [name for name in covariates if covariates[name].isna().all()]
    if nobody:
        raise InputError(
            f"the covariate {', '.join(nobody)} is missing for everybody: it cannot"
            " be imputed"
        )
    if not covariates.isna().to_numpy().any():
        return [covariates.copy() for _ in range(times)]
    rules = _schema().loc[list(covariates.columns)]
    completed = []
    for time in range(times):
        imputer = IterativeImputer(
            sample_posterior=True,
            max_iter=5,
            min_value=rules["low"].to_numpy(),
            max_value=rules["high"].to_numpy(),
            random_state=seed + time,
        )
        # Many small fits: threads would only wait for each other.
        with threadpool_limits(1):
            filled = imputer.fit_transform(covariates)
        values = pd.DataFrame(
            filled,
            columns=covariates.columns,
            index=covariates.index,
        )
        marks = rules.index[rules["kind"] == "yes-no"]
        values[marks] = values[marks].round()
        values.loc[values["smoker"] == 1, "ex_smoker"] = 0.0
        completed.append(values)
    return completed


# -------------------------------------------------------------- the synthetic cohort


def sample(people=PEOPLE, *, seed=33, missing=True):
    """Return a synthetic cohort with the columns of the extract.

    Parameters
    ----------
    people : int, default=1139
    seed : int, default=33
        The same seed gives the same people.
    missing : bool, default=True
        False leaves the same people's covariates complete, for :func:`true_value` and
        :func:`best_rule`.

    Returns
    -------
    pandas.DataFrame

    Examples
    --------
    >>> cohort = sample(200, seed=1)
    >>> cohort.shape
    (200, 26)
    """
    if not (isinstance(people, int | np.integer) and people >= 1):
        raise InputError(f"people must be a whole number from 1, not {people!r}")
    people_seed, care_seed, hidden_seed = np.random.SeedSequence(seed).spawn(3)
    covariates = _draw_covariates(people, np.random.default_rng(people_seed))
    random = np.random.default_rng(care_seed)
    chances = propensities(covariates)
    place = (random.random((people, 1)) > chances.cumsum(1)[:, :-1]).sum(1)
    given = combinations(len(TREATMENTS))[place]
    drop = expected_drops(covariates)[np.arange(people), place]
    # Measurement, and life between two visits.
    spread = np.sqrt(_room(covariates))
    frame = covariates.copy()
    frame[list(TREATMENTS)] = ((given + 1) // 2).astype(float)
    frame[OUTCOME] = -np.round(drop + spread * random.normal(0, 1.0, people), 1)
    if missing:
        _hide(frame, np.random.default_rng(hidden_seed))
    frame.attrs = {
        "data": "twin of the diabetes extract",
        "years": [],
        "synthetic": True,
        "sha256": None,
        "rows_in_file": people,
    }
    return frame


def _draw_covariates(people, random):
    """Return complete covariates; each line depends only on lines above it."""
    normal = random.standard_normal

    def limits(name, values):
        rule = _schema().loc[name]
        return np.clip(values, rule["low"], rule["high"])

    def yes(score):
        return (random.random(people) < expit(score)).astype(float)

    x = {}
    x["male"] = (random.random(people) < 0.57).astype(float)
    male = x["male"] - 0.57
    x["age"] = np.round(limits("age", 61 - 1.5 * male + 11.5 * normal(people)))
    older = (x["age"] - 61) / 11.5
    x["duration"] = np.round(
        limits("duration", random.gamma(1.7, 7.0 / 1.7, people) * np.exp(0.2 * older)),
        1,
    )
    longer = (x["duration"] - 7) / 5.5
    x["bmi"] = np.round(
        limits(
            "bmi", 31.4 * np.exp(-0.05 * older - 0.05 * male + 0.18 * normal(people))
        ),
        1,
    )
    heavier = (x["bmi"] - 32) / 6.2
    x["hba1c"] = np.round(
        limits(
            "hba1c",
            6.4 + random.gamma(2.1, 2.6 / 2.1, people) * np.exp(-0.12 * older),
        ),
        1,
    )
    worse = (x["hba1c"] - 9) / 1.8
    x["egfr"] = np.round(
        limits("egfr", 80 - 11 * older - 2 * longer + 15.5 * normal(people))
    )
    failing = (80 - x["egfr"]) / 20
    x["hdl"] = np.round(
        limits(
            "hdl", 1.12 * np.exp(-0.15 * male - 0.05 * heavier + 0.25 * normal(people))
        ),
        2,
    )
    x["ldl"] = np.round(
        limits("ldl", 2.26 * np.exp(-0.07 * older + 0.34 * normal(people))), 1
    )
    x["log_triglycerides"] = np.round(
        limits(
            "log_triglycerides",
            0.6 - 0.6 * (x["hdl"] - 1.15) + 0.1 * worse + 0.44 * normal(people),
        ),
        2,
    )
    x["systolic"] = np.round(
        limits("systolic", 135 + 3 * older + 1.5 * heavier + 14.5 * normal(people))
    )
    x["diastolic"] = np.round(
        limits(
            "diastolic",
            78 - 3 * older + 0.3 * (x["systolic"] - 135) + 7.6 * normal(people),
        )
    )
    x["log_alt"] = np.round(
        limits(
            "log_alt",
            3.35 + 0.2 * male - 0.12 * older + 0.1 * heavier + 0.45 * normal(people),
        ),
        2,
    )
    x["smoker"] = yes(-1.65 - 0.3 * older + 0.3 * male)
    x["ex_smoker"] = np.where(
        x["smoker"] == 1, 0.0, yes(-0.28 + 0.3 * older + 0.5 * male)
    )
    x["hypertension"] = yes(0.35 + 0.6 * older + 0.35 * heavier)
    x["ischaemic_heart_disease"] = yes(-1.74 + 0.6 * older + 0.7 * male)
    heart = x["ischaemic_heart_disease"] - 0.17
    x["stroke"] = yes(-3.0 + 0.6 * older + 0.5 * heart)
    x["heart_failure"] = yes(-3.4 + 0.7 * older + 0.3 * heavier + 1.5 * heart)
    x["chronic_kidney_disease"] = yes(-2.34 + 2.2 * (x["egfr"] < 60) + 0.8 * failing)
    x["retinopathy"] = yes(-1.35 + 0.5 * longer + 0.2 * worse)
    x["neuropathy"] = yes(-2.4 + 0.4 * longer + 0.2 * worse + 0.2 * older)
    return pd.DataFrame({name: x[name] for name in COVARIATES})


def _hide(frame, random):
    """Set covariates missing in place, at random given what is always known.

    Somebody who is older or ill sees a doctor more often and is measured more often.
    """
    ill = frame[
        [
            "hypertension",
            "stroke",
            "ischaemic_heart_disease",
            "heart_failure",
            "chronic_kidney_disease",
            "retinopathy",
            "neuropathy",
        ]
    ].sum(axis=1)
    seen = 0.5 * (ill - 1.35) + 0.3 * (frame["age"] - 61) / 11.5
    seen = seen.to_numpy() - 0.15 * (frame["male"].to_numpy() - 0.57)
    shares = _schema().loc[list(COVARIATES), "missing"]
    for name, share in shares[shares > 0].items():
        if name == "ex_smoker":
            continue
        # 0.18 makes up for averaging a logistic curve over people.
        score = np.log(share / (1 - share)) - 0.18 - seen
        hidden = random.random(len(frame)) < expit(score)
        frame.loc[hidden, name] = np.nan
        if name == "smoker":
            frame.loc[hidden, "ex_smoker"] = np.nan


def _standard(covariates):
    """Return the handful of standardised covariates the truth is written in."""
    need = list(COVARIATES)
    if list(covariates.columns) != need:
        covariates = covariates[need]
    if covariates.isna().to_numpy().any():
        raise InputError(
            "the truth of the synthetic cohort needs complete covariates: draw the"
            " same people with missing=False"
        )
    rules = _schema()
    return {
        name: covariates[name].to_numpy(float)
        if rules.loc[name, "kind"] == "yes-no"
        else (covariates[name].to_numpy(float) - rules.loc[name, "mean"])
        / rules.loc[name, "spread"]
        for name in need
    }


def propensities(covariates):
    """Return each person's true chance of each combination in the synthetic cohort.

    Treatments are given one after the other, as a doctor adds them: metformin first,
    less when the kidneys fail; a sulfonylurea to leaner people and when HbA1c is high;
    a DPP4 inhibitor to older people; a thiazolidinedione to heavier people, hardly ever
    with heart failure.  High HbA1c brings more medicines: so treatment is confounded.
    Who already has others gets a further one less often: so the four are not
    independent given the covariates.

    Parameters
    ----------
    covariates : pandas.DataFrame
        Complete.

    Returns
    -------
    numpy.ndarray of shape (people, 16)
        Columns as in :func:`combinations`; each row sums to 1.
    """
    x = _standard(covariates)
    every = combinations(4)
    chance = np.ones((len(covariates), len(every)))
    egfr = covariates["egfr"].to_numpy(float)
    for place, (dpp4, su, met, tzd) in enumerate(every > 0):
        p_met = expit(
            1.3 + 0.3 * x["bmi"] - 1.6 * (egfr < 45) - 0.2 * x["age"] + 0.2 * x["hba1c"]
        )
        p_su = expit(
            0.1 + 0.5 * x["hba1c"] - 0.4 * x["bmi"] + 0.3 * x["duration"] - 0.4 * met
        )
        p_dpp4 = expit(
            -0.5
            + 0.4 * x["hba1c"]
            + 0.35 * x["age"]
            + 0.25 * x["duration"]
            - 0.5 * su
            + 0.1 * met
        )
        p_tzd = expit(
            -0.5
            + 0.4 * x["hba1c"]
            + 0.35 * x["bmi"]
            - 0.3 * x["age"]
            - 2.0 * x["heart_failure"]
            - 0.7 * dpp4
            - 0.2 * su
        )
        for taken, probability in (
            (met, p_met),
            (su, p_su),
            (dpp4, p_dpp4),
            (tzd, p_tzd),
        ):
            chance[:, place] *= probability if taken else 1 - probability
    return chance


def effects(covariates):
    """Return what each treatment adds, before burden and baseline, by person.

    In percentage points of HbA1c for somebody who starts at 9 %.  Average sizes are the
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
    numpy.ndarray of shape (people, 4)
        In the order of ``TREATMENTS``.
    """
    x = _standard(covariates)
    woman = 0.5 - x["male"]
    egfr = covariates["egfr"].to_numpy(float)
    dpp4 = (
        0.5
        - 0.35 * x["bmi"]
        - 0.3 * x["log_triglycerides"]
        + 0.2 * x["age"]
        + 0.15 * woman
    )
    su = (
        1.0
        - 0.45 * x["bmi"]
        - 0.5 * woman
        - 0.45 * x["duration"]
        - 0.2 * np.maximum(x["age"], 0)
    )
    met = 1.0 + 0.2 * x["bmi"] - 0.2 * x["age"] - 0.5 * (egfr < 60) - 0.8 * (egfr < 45)
    tzd = (
        0.7
        + 0.45 * x["bmi"]
        + 0.5 * woman * (1 + 0.5 * (x["bmi"] > 0))
        + 0.25 * x["log_alt"]
        + 0.15 * x["log_triglycerides"]
        - 1.2 * x["heart_failure"]
    )
    return np.column_stack([dpp4, su, met, tzd])


def expected_drops(covariates, *, burden=BURDEN):
    """Return each person's expected drop in HbA1c under each of the 16 combinations.

    The effects add up; each medicine after the first costs a share ``burden`` of a
    positive sum; all is scaled by how far HbA1c stands above 5 % (1 at 9 %), for who
    starts high falls further; to this comes what happens without medicine.

    Parameters
    ----------
    covariates : pandas.DataFrame
        Complete.
    burden : float, default=0.08
        0 makes the effects additive.

    Returns
    -------
    numpy.ndarray of shape (people, 16)
    """
    x = _standard(covariates)
    taken = combinations(4) > 0
    total = effects(covariates) @ taken.T
    share = 1 - burden * np.maximum(taken.sum(axis=1) - 1, 0)
    total = np.where(total > 0, total * share, total)
    # Regression to the mean, advice and diet, and the disease going on.
    alone = 0.1 + 0.35 * x["hba1c"] - 0.1 * x["duration"] - 0.05 * x["smoker"]
    return _room(covariates)[:, None] * total + alone[:, None]


def _room(covariates):
    """Return how far HbA1c can fall: 1 for somebody who starts at 9 %."""
    return np.clip((covariates["hba1c"].to_numpy(float) - 5) / 4, 0.3, 2.0)


def best_rule(covariates, *, burden=BURDEN):
    """Return the combination with the largest expected drop, in −1 and +1.

    Parameters
    ----------
    covariates : pandas.DataFrame
        Complete.
    burden : float, default=0.08

    Returns
    -------
    numpy.ndarray of int, shape (people, 4)
    """
    return combinations(4)[expected_drops(covariates, burden=burden).argmax(axis=1)]


def hamming_rule(covariates, *, burden=BURDEN):
    """Return the rule that the outcome-weighted Hamming loss aims at (theorem 5.1).

    Each treatment is given when the mean outcome over all combinations that hold it is
    above the mean over those that do not.  It is the best rule when effects add up.
    """
    drops = expected_drops(covariates, burden=burden)
    return np.where(drops @ combinations(4) > 0, 1, -1)


def true_value(treatments, covariates, *, burden=BURDEN):
    """Return the mean expected drop in HbA1c if everybody were given these treatments.

    Parameters
    ----------
    treatments : array-like of shape (people, 4) or (4,)
        What a rule recommends, in −1 and +1; one row stands for everybody.
    covariates : pandas.DataFrame
        The same people's complete covariates.
    burden : float, default=0.08

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
