"""Record how other software does on the draws of notebook ``c07_other_software``.

    python tools/other_software.py

needs EconML (``pip install econml``) and R with glmnet (Debian: ``r-base-core``,
``r-cran-glmnet``), which are not in the book's environment: use one of your own, with
this repository on ``PYTHONPATH``.  Every finished fit is appended to
``data/results/study_c/other_software.csv``; those already there are skipped.
DTRlearn2, which the comparison would want, is on CRAN only and has no Debian package.
"""

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

from sudlib import cprd, owl, rivals
from sudlib.owl import simulation

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "data" / "results" / "study_c" / "other_software.csv"
SEED, ROWS, TEST = 33, 5000, 20_000


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
    every = cprd.combinations(5)
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


def all_arms(make):
    """Return a policy learner of EconML over the 32 combinations as arms."""

    def advise(train, test):
        arms = cprd.places(train.A).astype(int)
        policy = make().fit(train.outcome, arms, X=train.X)
        return cprd.combinations(5)[np.asarray(policy.predict(test.X), int)]

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
            seconds, version = (Path(folder) / "seconds.txt").read_text().split()
            advice = pd.read_csv(Path(folder) / "advice.csv").to_numpy()
        advise.seconds, advise.version = float(seconds), version
        return advice

    return advise


def methods():
    """Return every method: its software, its name, the call, the repeats."""
    from econml.dml import CausalForestDML
    from econml.dr import LinearDRLearner
    from econml.policy import DRPolicyForest, DRPolicyTree
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LassoCV, LogisticRegression

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

    study = {"strength": 0.01, "random_state": SEED}
    return [
        ("sudlib", "additive Q-learning, ridge", of_sudlib(rivals.AdditiveQLearner), 5),
        ("sudlib", "A-learning, ridge", of_sudlib(rivals.ContrastLearner), 5),
        (
            "sudlib",
            "DNN-simple",
            of_sudlib(lambda: owl.OutcomeWeightedClassifier(**study)),
            5,
        ),
        (
            "sudlib",
            "DNN-1hdd",
            of_sudlib(lambda: owl.OutcomeWeightedClassifier(hidden=(45,), **study)),
            5,
        ),
        (
            "sudlib",
            "contrast network",
            of_sudlib(lambda: owl.ContrastNetwork(1, random_state=SEED)),
            5,
        ),
        (
            "sudlib",
            "additive Q-learning, boosting",
            of_sudlib(lambda: rivals.AdditiveQLearner("boosting")),
            3,
        ),
        ("lightgbm", "one model, best of 32 predictions", boosted_arms, 5),
        ("R", "lm: additive Q-learning", in_r("lm"), 5),
        ("glmnet", "cv.glmnet: additive Q-learning, lasso", in_r("glmnet"), 5),
        (
            "econml",
            "LinearDRLearner for each treatment",
            each_treatment(lambda: LinearDRLearner(**plain())),
            5,
        ),
        (
            "econml",
            "DRPolicyTree over 32 arms",
            all_arms(lambda: DRPolicyTree(max_depth=5, **plain())),
            3,
        ),
        ("econml", "CausalForestDML for each treatment", each_treatment(forest), 2),
        (
            "econml",
            "DRPolicyForest over 32 arms",
            all_arms(lambda: DRPolicyForest(n_estimators=100, n_jobs=1, **plain())),
            2,
        ),
    ]


def main():
    """Run what has not been run."""
    done = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame()
    seen = set(zip(done.get("method", []), done.get("repeat", []), strict=True))
    for software, name, advise, repeats in methods():
        for repeat in range(repeats):
            if (name, repeat) in seen:
                continue
            train, test = draws(repeat)
            begun = time.perf_counter()
            with warnings.catch_warnings(record=True):
                advice = advise(train, test)
            seconds = getattr(advise, "seconds", time.perf_counter() - begun)
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
                "seconds": round(seconds, 2),
                "python": platform.python_version(),
            }
            pd.DataFrame([row]).to_csv(
                RESULTS, mode="a", header=not RESULTS.exists(), index=False
            )
            print(row, file=sys.stderr, flush=True)


def rivals_regret(advice, test):
    """Return what a rule loses against the Bayes rule, in expected outcome."""
    own = test.expected[np.arange(len(test.X)), cprd.places(advice)]
    return float((test.expected.max(axis=1) - own).mean())


if __name__ == "__main__":
    main()
