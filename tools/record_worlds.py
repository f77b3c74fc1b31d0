"""Record what rules lose in worlds that none of them was made for.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tools/record_worlds.py

appends to ``data/results/study_c/worlds.csv`` what is not there yet: EconML's rows
where EconML is installed (``pip install econml``, in an environment of your own), those
of this book where it is not.  Every method gets the same 1,000 people (or, where they
are real, half of those there are) and advises the same 2,000 draws of new ones.
Notebook ``c09_weights_value_robustness`` shows the table.
"""

import argparse
import importlib.util
import time
from pathlib import Path

import pandas as pd

from sudlib import policy
from sudlib.policy import combinations, worlds

RESULTS = Path(__file__).resolve().parents[1] / "data/results/study_c/worlds.csv"
SEEDS = (33, 34, 35)
PEOPLE, NEW = 1000, 2000


def linear_dml(study, asked):
    """Return the advice of EconML's LinearDML, which takes all treatments at once."""
    from econml.dml import LinearDML
    from sklearn.linear_model import LassoCV, MultiTaskLassoCV

    X, A, outcome = study
    model = LinearDML(
        model_y=LassoCV(cv=3), model_t=MultiTaskLassoCV(cv=3), random_state=33
    )
    effects = model.fit(outcome, A, X=X).const_marginal_effect(asked)
    every = combinations(A.shape[1])
    return every[(effects @ every.T).argmax(axis=1)]


def of_sudlib(rule):
    """Return a method from an estimator of this book."""
    return lambda study, asked: rule.fit(*study).predict(asked)


def methods():
    """Return the methods that can run in this environment, by name."""
    if importlib.util.find_spec("econml"):
        return {"EconML LinearDML": linear_dml}
    families = policy.best_rule.families
    rules = families() | {
        "the study's network": policy.OutcomeWeightedClassifier(alpha=0.01),
        "stack without networks": policy.BestRule(families(networks=False)),
        "stack of all": policy.BestRule(),
    }
    return {name: of_sudlib(rule) for name, rule in rules.items()}


def main():
    """Append every row that is missing."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    there = set()
    if RESULTS.exists():
        old = pd.read_csv(RESULTS)
        there = set(old[["world", "seed", "method"]].itertuples(index=False, name=None))
    for seed in SEEDS:
        for name in worlds.SHAPES:
            world = worlds.make_world(name, seed)
            # real people are as many as there are: half to learn from, half new
            there_are = PEOPLE if world.halves is None else len(world.halves[0])
            study = world.draw(min(PEOPLE, there_are), seed)
            asked = world.people(NEW, seed)
            for method, advise in methods().items():
                if (name, seed, method) in there:
                    continue
                begun = time.process_time()
                lost = world.loss(advise(study, asked), asked)
                spent = time.process_time() - begun
                row = {"world": name, "seed": seed, "method": method}
                row |= {"lost": round(lost, 5), "cpu_seconds": round(spent, 2)}
                pd.DataFrame([row]).to_csv(
                    RESULTS, mode="a", index=False, header=not RESULTS.exists()
                )
                print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
