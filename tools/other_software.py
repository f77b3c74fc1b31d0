"""Record how other software does on the draws of notebook ``c07_other_software``.

    python tools/other_software.py

needs EconML (``pip install econml``) and R with glmnet (Debian: ``r-base-core``,
``r-cran-glmnet``), which are not in the book's environment: use one of your own, with
this repository on ``PYTHONPATH`` and ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1``.
Every finished fit is appended to ``data/results/study_c/other_software.csv``; those
already there are skipped.  Slow methods come last, and each repeat of them in turn, so
that a run may be stopped anywhere.  ``seconds`` are those of a clock on the wall,
``cpu_seconds`` those of the processor, which other jobs do not lengthen as much; of R,
both are its own, without starting it and without files.
DTRlearn2 is on CRAN only: install it, or unpack its source and name that folder in
``DTRLEARN2``; only its file ``R/owl_logit.R`` is used, which needs nothing but glmnet.
"""

import argparse
import importlib.metadata
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

from sudlib.policy import (
    a_learning,
    combination_number,
    combinations,
    outcome_networks,
    owl,
    q_learning,
    simulation,
)

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "data" / "results" / "study_c" / "other_software.csv"
SEED, ROWS, TEST = 33, 5000, 20_000
REPEATS = 10
SLOW = (
    "additive Q-learning, boosting",
    "DRPolicyForest over 32 arms",
    "CausalForestDML for each treatment",
)


def draws(repeat):
    """Return the people of one repeat: setting 6.1, n_train 1,000 a treatment."""
    truth = simulation.draw_truth("right", [SEED, repeat, 0])
    train = simulation.draw(truth, ROWS, [SEED, repeat, 1])
    return train, simulation.draw(truth, TEST, [SEED, repeat, 2])


def of_sudlib(make):
    """Return a method from an estimator of this book."""

    def advise(train, test):
        return make().fit(train.X, train.A, train.outcome).predict(test.X)

    return advise


def boosted_arms(train, test):
    """LightGBM on covariates and treatments; the best of 32 predictions."""
    model = LGBMRegressor(n_estimators=300, learning_rate=0.05, verbose=-1, n_jobs=1)
    model.fit(np.column_stack([train.X, train.A]), train.outcome)
    every = combinations(5)
    told = [
        model.predict(np.column_stack([test.X, np.tile(arm, (len(test.X), 1))]))
        for arm in every
    ]
    return every[np.argmax(told, axis=0)]


def each_treatment(make):
    """Return a method of EconML for one treatment, used five times."""

    def advise(train, test):
        columns = []
        for k in range(train.A.shape[1]):
            rest = np.delete(train.A, k, axis=1)
            model = make()
            given = (train.A[:, k] > 0).astype(int)
            model.fit(train.outcome, given, X=train.X, W=rest)
            columns.append(np.ravel(model.effect(test.X)) > 0)
        return np.where(np.column_stack(columns), 1, -1)

    return advise


def all_treatments(make):
    """Return a method of EconML for several treatments at once, effects added up."""

    def advise(train, test):
        given = (train.A > 0).astype(float)
        model = make().fit(train.outcome, given, X=train.X)
        effects = np.asarray(model.const_marginal_effect(test.X))
        return np.where(effects.reshape(len(test.X), -1) > 0, 1, -1)

    return advise


def all_arms(make):
    """Return a policy learner of EconML over the 32 combinations as arms."""

    def advise(train, test):
        arms = combination_number(train.A).astype(int)
        policy = make().fit(train.outcome, arms, X=train.X)
        return combinations(5)[np.asarray(policy.predict(test.X), int)]

    return advise


def in_r(method):
    """Return a method that runs in R."""

    def advise(train, test):
        with tempfile.TemporaryDirectory() as folder:
            names = [f"x{j}" for j in range(train.X.shape[1])]
            frame = pd.DataFrame(train.X, columns=names)
            for k, column in enumerate(train.A.T):
                frame[f"a{k}"] = column
            frame["outcome"] = train.outcome
            frame.to_csv(Path(folder) / "train.csv", index=False)
            people = pd.DataFrame(test.X, columns=names)
            people.to_csv(Path(folder) / "test.csv", index=False)
            script = Path(__file__).with_name("other_software.R")
            subprocess.run(["Rscript", str(script), method, folder], check=True)
            told = (Path(folder) / "seconds.txt").read_text().split()
            advice = pd.read_csv(Path(folder) / "advice.csv").to_numpy()
        advise.seconds = tuple(float(seconds) for seconds in told[:2])
        advise.version = told[2]
        return advice

    return advise


def methods():
    """Return every method: its software, its name, the call."""
    from econml.dml import CausalForestDML, LinearDML
    from econml.dr import LinearDRLearner
    from econml.policy import DRPolicyForest, DRPolicyTree
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LassoCV, LogisticRegression, MultiTaskLassoCV

    def plain():
        return {
            "model_propensity": LogisticRegression(max_iter=500),
            "model_regression": LassoCV(cv=3),
            "random_state": SEED,
        }

    def forest():
        return CausalForestDML(
            model_y=HistGradientBoostingRegressor(random_state=SEED),
            model_t=LogisticRegression(max_iter=500),
            discrete_treatment=True,
            n_estimators=200,
            random_state=SEED,
            n_jobs=1,
        )

    study = {"alpha": 0.01, "random_state": SEED}
    return [
        (
            "sudlib",
            "additive Q-learning, ridge",
            of_sudlib(q_learning.AdditiveQLearner),
        ),
        ("sudlib", "A-learning, ridge", of_sudlib(a_learning.ContrastLearner)),
        (
            "sudlib",
            "DNN-simple",
            of_sudlib(lambda: owl.OutcomeWeightedClassifier(**study)),
        ),
        (
            "sudlib",
            "DNN-1hdd",
            of_sudlib(lambda: owl.OutcomeWeightedClassifier(hidden=(45,), **study)),
        ),
        (
            "sudlib",
            "contrast network",
            of_sudlib(lambda: outcome_networks.ContrastNetwork(1, random_state=SEED)),
        ),
        (
            "sudlib",
            "bounded-effects network",
            of_sudlib(
                lambda: outcome_networks.BoundedEffectsNetwork(random_state=SEED)
            ),
        ),
        (
            "sudlib",
            "additive Q-learning, boosting",
            of_sudlib(lambda: q_learning.AdditiveQLearner("boosting")),
        ),
        ("lightgbm", "one model, best of 32 predictions", boosted_arms),
        ("R", "lm: additive Q-learning", in_r("lm")),
        ("glmnet", "cv.glmnet: additive Q-learning, lasso", in_r("glmnet")),
        ("DTRlearn2", "owl for each treatment, logistic loss", in_r("owl")),
        (
            "econml",
            "LinearDRLearner for each treatment",
            each_treatment(lambda: LinearDRLearner(**plain())),
        ),
        (
            "econml",
            "LinearDML, all treatments at once",
            all_treatments(
                lambda: LinearDML(
                    model_y=LassoCV(cv=3),
                    model_t=MultiTaskLassoCV(cv=3),
                    random_state=SEED,
                )
            ),
        ),
        (
            "econml",
            "DRPolicyTree over 32 arms",
            all_arms(lambda: DRPolicyTree(max_depth=5, **plain())),
        ),
        (
            "econml",
            "DRPolicyForest over 32 arms",
            all_arms(lambda: DRPolicyForest(n_estimators=100, n_jobs=1, **plain())),
        ),
        ("econml", "CausalForestDML for each treatment", each_treatment(forest)),
    ]


def main():
    """Run what has not been run."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    done = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame()
    seen = set(zip(done.get("method", []), done.get("repeat", []), strict=True))
    every = methods()
    runs = [
        (software, name, advise, repeat)
        for slow in (False, True)
        for repeat in range(REPEATS)
        for software, name, advise in every
        if (name in SLOW) is slow and (name, repeat) not in seen
    ]
    for software, name, advise, repeat in runs:
        train, test = draws(repeat)
        begun = time.perf_counter(), time.process_time()
        with warnings.catch_warnings(record=True):
            advice = advise(train, test)
        spent = time.perf_counter() - begun[0], time.process_time() - begun[1]
        spent = getattr(advise, "seconds", spent)
        scores = simulation.score(advice, test.best, test.outcomes)
        row = {
            "software": software,
            "version": getattr(advise, "version", None)
            or (
                "this book"
                if software == "sudlib"
                else importlib.metadata.version(software)
            ),
            "method": name,
            "repeat": repeat,
            "adjusted_mcr": round(scores["adjusted_mcr"], 5),
            "ab": round(scores["ab"], 5),
            "regret": round(rivals_regret(advice, test), 5),
            "seconds": round(spent[0], 2),
            "cpu_seconds": round(spent[1], 2),
            "python": platform.python_version(),
        }
        pd.DataFrame([row]).to_csv(
            RESULTS, mode="a", header=not RESULTS.exists(), index=False
        )
        print(row, file=sys.stderr, flush=True)


def rivals_regret(advice, test):
    """Return what a rule loses against the Bayes rule, in expected outcome."""
    own = test.expected[np.arange(len(test.X)), combination_number(advice)]
    return float((test.expected.max(axis=1) - own).mean())


if __name__ == "__main__":
    main()
