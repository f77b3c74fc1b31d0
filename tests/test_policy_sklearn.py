"""Treatment rules under scikit-learn's contract, and what the package imports."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sudlib import policy
from sudlib.files import InputError

FEW = {"hidden": (3,), "steps": 10, "members": 1}
RULES = [
    policy.AdditiveQLearner(),
    policy.AdditiveQLearner("boosting", n_estimators=5),
    policy.ContrastLearner(n_splits=2),
    policy.OutcomeWeightedClassifier(steps=10),
    policy.OutcomeWeightedClassifier(**FEW, alpha=(0.1, 0.01), early_stopping=True),
    policy.OneAgainstOne(steps=5),
    policy.ContrastNetwork(**FEW),
    policy.BoundedEffectsNetwork(**FEW, bounds=(0.5, 4.0), curvatures=(0.0,)),
]


@pytest.fixture
def study():
    """A confounded study with names: X, A (frames) and the outcome."""
    generator = np.random.default_rng(0)
    X = pd.DataFrame(generator.normal(size=(240, 3)), columns=["age", "bmi", "egfr"])
    chance = 1 / (1 + np.exp(-X.to_numpy()[:, :2] - 0.5))
    A = np.where(generator.random((240, 2)) < chance, 1, -1)
    outcome = X["age"] + (A * X.to_numpy()[:, :2]).sum(axis=1)
    return X, pd.DataFrame(A, columns=["met", "su"]), outcome.to_numpy()


def name_of(rule):
    return f"{type(rule).__name__}-{getattr(rule, 'learner', '')}"


# ------------------------------------------------------------- scikit-learn's checks


def treated(rule):
    """Return a rule of the same kind that draws its own treatments from the rows.

    check_estimator calls ``fit(X, y)``: it knows no treatments.  Everything else that
    it checks reaches the rule.
    """

    def treatments(X):
        number = np.arange(X.shape[0] if hasattr(X, "shape") else len(X))
        return np.column_stack([number % 2, number // 2% 2]) * 2 - 1

    class Treated(type(rule)):
        def fit(self, X, y=None):
            return super().fit(X, y, treatment=treatments(X))

        def score(self, X, y=None):
            return super().score(X, y, treatment=treatments(X))

    # picklable, and with the signature that get_params reads
    Treated.__qualname__ = Treated.__name__ = f"Treated{type(rule).__name__}"
    globals()[Treated.__name__] = Treated
    Treated.__init__ = type(rule).__init__
    return Treated(**rule.get_params())


@pytest.mark.parametrize("rule", RULES, ids=name_of)
@pytest.mark.filterwarnings("ignore")
def test_a_rule_passes_all_of_scikit_learns_checks(rule):
    results = check_estimator(treated(rule), on_fail=None)
    failed = {
        r["check_name"]: r["exception"] for r in results if r["status"] == "failed"
    }
    assert len(results) > 35
    assert not failed


# ------------------------------------------------------------------ metadata routing


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_both_ways_of_calling_fit_are_one(rule, study):
    X, A, outcome = study
    first = clone(rule).fit(X, A, outcome)
    second = clone(rule).fit(X, y=outcome, treatment=A)
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    value = first.value(X, A, outcome)
    assert value == second.score(X, outcome, treatment=A)
    assert np.isfinite(value)


def test_a_pipeline_passes_treatments_to_the_rule_alone(study, routing):
    X, A, outcome = study
    rule = policy.AdditiveQLearner(standardise=False)
    pipe = make_pipeline(StandardScaler(), rule).fit(X, outcome, treatment=A)
    alone = policy.AdditiveQLearner().fit(X, A, outcome)
    np.testing.assert_array_equal(pipe.predict(X), alone.predict(X))
    value = alone.value(X, A, outcome)
    assert pipe.score(X, outcome, treatment=A) == pytest.approx(value)


def test_a_pipeline_needs_no_routing_when_the_step_is_named(study):
    X, A, outcome = study
    pipe = make_pipeline(StandardScaler(), policy.AdditiveQLearner())
    pipe.fit(X, outcome, additiveqlearner__treatment=A)
    alone = policy.AdditiveQLearner().fit(X, A, outcome)
    np.testing.assert_array_equal(pipe.predict(X), alone.predict(X))


def test_a_grid_search_scores_on_the_treatments_and_propensities_of_the_fold(
    study, routing
):
    """The best mean of T over folds, from a loop written out."""
    X, A, outcome = study
    propensity = np.random.default_rng(1).uniform(0.1, 0.9, len(X))
    rule = policy.AdditiveQLearner()
    grid = {"effect_penalty": [1e-3, 1e6]}
    folds = KFold(3)
    search = GridSearchCV(rule, grid, cv=folds)
    search.fit(X, outcome, treatment=A, propensity=propensity)
    means = []
    for penalty in grid["effect_penalty"]:
        scores = []
        for train, test in folds.split(X):
            fitted = clone(rule).set_params(effect_penalty=penalty)
            fitted.fit(X.iloc[train], A.iloc[train], outcome[train])
            agree = (fitted.predict(X.iloc[test]) == A.iloc[test]).all(axis=1)
            weights = agree / propensity[test]
            scores.append(weights @ outcome[test] / weights.sum())
        means.append(np.mean(scores))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], means)
    assert search.best_index_ == np.argmax(means)


def test_cross_val_predict_recommends_by_rules_that_did_not_see_the_people(
    study, routing
):
    X, A, outcome = study
    folds = KFold(4, shuffle=True, random_state=0)
    advice = cross_val_predict(
        policy.ContrastLearner(), X, outcome, cv=folds, params={"treatment": A}
    )
    assert advice.shape == A.shape
    train, test = next(folds.split(X))
    rule = policy.ContrastLearner().fit(X.iloc[train], A.iloc[train], outcome[train])
    np.testing.assert_array_equal(advice[test], rule.predict(X.iloc[test]))


def test_neither_and_both_ways_of_calling_fit_are_refused(study):
    X, A, outcome = study
    for more in ({}, {"outcome": outcome, "treatment": A}):
        with pytest.raises(InputError, match=r"treatment=A"):
            policy.AdditiveQLearner().fit(X, A, **more)


# ------------------------------------------------------------------- names and gates


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_names_of_covariates_and_treatments_are_kept_and_compared(rule, study):
    X, A, outcome = study
    fitted = clone(rule).fit(X, A, outcome)
    assert list(fitted.feature_names_in_) == ["age", "bmi", "egfr"]
    assert fitted.treatment_names_ == ["met", "su"]
    assert (fitted.n_features_in_, fitted.n_treatments_) == (3, 2)
    with pytest.raises(InputError, match="feature names"):
        fitted.predict(X[["bmi", "age", "egfr"]])
    with pytest.raises(InputError, match="expecting 3 features"):
        fitted.predict(X.to_numpy()[:, :2])
    again = fitted.fit(X.to_numpy(), A.to_numpy(), outcome)
    assert again.treatment_names_ is None and not hasattr(again, "feature_names_in_")


@pytest.mark.parametrize("rule", [*RULES, policy.Propensity(), policy.PolicyTree()])
def test_a_rule_that_is_not_fitted_says_so(rule, study):
    with pytest.raises(NotFittedError):
        clone(rule).predict(study[0])


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_a_large_offset_of_a_covariate_costs_no_digits(rule, study):
    """Years of the calendar: float32 would keep three digits behind the point."""
    X, A, outcome = study
    near = clone(rule).fit(X, A, outcome)
    far = clone(rule).fit(X + 20_000, A, outcome)
    if "boosting" in name_of(rule):  # trees of scikit-learn compute in float32
        return
    gap = near.decision_function(X) - far.decision_function(X + 20_000)
    assert np.abs(gap[np.isfinite(gap)]).max() < 1e-4


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_any_random_state_of_scikit_learn_is_taken(rule, study):
    if not hasattr(rule, "random_state"):
        return
    X, A, outcome = study
    for make in (np.random.RandomState, np.random.default_rng):
        one, two = (
            clone(rule).set_params(random_state=make(5)).fit(X, A, outcome)
            for _ in range(2)
        )
        np.testing.assert_array_equal(one.predict(X), two.predict(X))
    clone(rule).set_params(random_state=None).fit(X, A, outcome)


# --------------------------------------------------------------------------- imports

ALONE = r"""
import importlib.metadata as metadata, re, sys

def closure(name, seen):
    if name in seen:
        return
    seen.add(name)
    for line in metadata.requires(name) or ():
        if "extra ==" not in line:
            try:
                closure(re.match(r"[\w.-]+", line)[0].lower(), seen)
            except metadata.PackageNotFoundError:
                pass

needed = set()
for name in ("numpy", "scipy", "pandas", "scikit-learn"):
    closure(name, needed)
allowed = {"sudlib", *sys.stdlib_module_names}
for module, owners in metadata.packages_distributions().items():
    if {owner.lower() for owner in owners} & needed:
        allowed.add(module)

class Blocked:
    def find_spec(self, name, path=None, target=None):
        module = name.partition(".")[0]
        if module not in allowed and not module.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
import numpy as np
from sudlib import policy
records = policy.cprd.sample(200, seed=1)
X, A, drop = policy.cprd.arrays(records)
X = policy.cprd.impute(X, n_imputations=1)[0]
rule = policy.OutcomeWeightedClassifier(steps=5).fit(X, A, drop)
policy.augmented_scores(X, A, drop, propensity="product")
print(rule.value(X, A, drop), sorted(needed))
assert not {"keras", "matplotlib", "tensorflow", "seaborn"} & set(sys.modules)
"""


def test_the_package_needs_numpy_scipy_pandas_and_scikit_learn_only():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
