"""One gate for X, A and Y: names, words, limits, and values without support."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sudlib import policy
from sudlib.files import InputError


@pytest.fixture(scope="module")
def clinic():
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(400, 3)), columns=["age", "bmi", "hba1c"])
    A = pd.DataFrame(random.choice([-1, 1], (400, 2)), columns=["insulin", "metformin"])
    best = np.sign(X[["age", "hba1c"]].to_numpy())
    return X, A, (A * best).sum(axis=1) + 0.3 * random.normal(size=400)


def test_treatments_go_by_name_and_covariates_in_their_order(clinic):
    X, A, outcome = clinic
    rule = policy.AdditiveQLearner().fit(X, A, outcome)
    assert rule.treatment_names_ == ["insulin", "metformin"]
    same = rule.value(X, A, outcome)
    assert rule.value(X, A[["metformin", "insulin"]], outcome) == pytest.approx(same)
    with pytest.raises(InputError, match="must be those of the fit"):
        rule.value(X, A.rename(columns={"insulin": "aspirin"}), outcome)
    for other in (
        X[["hba1c", "age", "bmi"]],
        X.rename(columns={"bmi": "weight"}),
        X[["age", "bmi"]],
        X.assign(more=1.0),
    ):
        with pytest.raises(InputError, match="feature"):
            rule.predict(other)
    numbered = policy.AdditiveQLearner().fit(X.set_axis([0, 1, 2], axis=1), A, outcome)
    with pytest.raises(InputError, match="same order"):
        numbered.predict(X.set_axis([0, 1, 2], axis=1)[[2, 0, 1]])


def test_names_of_treatments_stand_in_rules_and_values(clinic):
    X, A, outcome = clinic
    rule = policy.AdditiveQLearner().fit(X, A, outcome)
    old = pd.DataFrame({"age": [2.0], "bmi": [0.0], "hba1c": [-2.0]})
    assert rule.advise(old) == ["insulin"]
    assert pickle.loads(pickle.dumps(rule)).advise(old) == ["insulin"]
    found = policy.evaluate(policy.AdditiveQLearner(), X, A, outcome)
    assert set(found.advice) <= {"none", "insulin", "metformin", "insulin + metformin"}
    tree = policy.PolicyTree().fit(X, policy.augmented_scores(X, A, outcome))
    assert tree.leaves()["treatments"].str.contains("insulin").any()


@pytest.mark.parametrize(
    "words", [("no", "yes"), (False, True), ("-1", "1"), ("none", "given")]
)
def test_treatments_in_words_are_read(words, clinic):
    X, A, outcome = clinic
    said = A.map(lambda code: words[int(code > 0)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rules = [
            policy.AdditiveQLearner().fit(X, given, outcome).coef_
            for given in (A, said, said.astype("category"))
        ]
    np.testing.assert_array_equal(rules[0], rules[1])
    np.testing.assert_array_equal(rules[0], rules[2])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X, A, y: (X, A.assign(insulin="maybe"), y), "'maybe'.*Trial"),
        (lambda X, A, y: (X, A.assign(insulin=None), y), "missing for 400"),
        (lambda X, A, y: (X, A.set_axis(["a", "a"], axis=1), y), "called 'a'"),
        (lambda X, A, y: (X.set_axis([1, "1", 2], axis=1), A, y), "called '1'"),
        (lambda X, A, y: (X, A.iloc[::-1], y), "indexes differ"),
        (lambda X, A, y: (X, A, y.iloc[::-1]), "indexes differ"),
        (lambda X, A, y: (X, A.assign(insulin=1), y), "insulin is given to everybody"),
    ],
)
def test_tables_that_lie_are_refused(change, said, clinic):
    with pytest.raises(InputError, match=said):
        policy.AdditiveQLearner().fit(*change(*clinic))


def test_covariates_of_single_precision_far_from_zero_lose_nothing(clinic):
    _, A, _ = clinic
    year = 1.0e6 + np.arange(400.0)[:, None]
    outcome = A["insulin"] * np.sign(year[:, 0] - year.mean())
    rules = [
        policy.AdditiveQLearner().fit(X, A, outcome).decision_function(X)
        for X in (year, year.astype("f4"))
    ]
    np.testing.assert_allclose(*rules, rtol=1e-6)


@pytest.mark.parametrize("wrong", [True, -1, 2.5, "seed"])
def test_random_states_that_are_none_are_refused(wrong, clinic):
    with pytest.raises(InputError, match="random_state"):
        policy.ContrastLearner(random_state=wrong).fit(*clinic)


@pytest.mark.parametrize(
    ("rule", "name", "good", "bad"),
    [
        (policy.OutcomeWeightedClassifier(), "steps", np.int32(5), True),
        (policy.OutcomeWeightedClassifier(steps=5), "members", np.int64(2), 2.0),
        (policy.ContrastNetwork(steps=5), "hidden", (np.int8(3),), (3.0,)),
        (policy.OneAgainstOne(), "steps", np.int64(5), False),
        (policy.ContrastLearner(), "n_splits", np.uint8(2), True),
        (policy.BoostedOutcome(), "max_iter", np.int64(3), 3.0),
    ],
)
def test_whole_numbers_of_numpy_are_whole_and_booleans_are_not(
    rule, name, good, bad, clinic
):
    clone(rule).set_params(**{name: good}).fit(*clinic)
    with pytest.raises(InputError, match="whole number"):
        clone(rule).set_params(**{name: bad}).fit(*clinic)


def test_one_against_one_says_its_limit_before_it_asks_for_memory():
    random = np.random.default_rng(1)
    A = random.choice([-1, 1], (1000, 12))
    X = random.normal(size=(1000, 2))
    with pytest.raises(InputError, match=r"pairs\): .* GiB asked for; the limit is 1"):
        policy.OneAgainstOne(steps=2).fit(X, A, A.sum(axis=1))
    with pytest.raises(InputError, match="weights; the limit is"):
        policy.Propensity("multinomial").fit(np.tile(X, 4), A)
    assert policy.Propensity("auto").fit(np.tile(X, 4), A).how_ == "product"


# ------------------------------------------------------------------- support


@pytest.fixture(scope="module")
def contraindicated():
    """Half of the people can never get the second treatment, which would harm them."""
    random = np.random.default_rng(2)
    X = random.normal(size=(1500, 3))
    never = X[:, 0] + 0.3 * X[:, 1] > 0
    coin = random.choice([-1, 1], (1500, 2))
    A = np.column_stack([coin[:, 0], np.where(never, -1, coin[:, 1])])
    gain = np.where(never, -4.0, 2.0)
    outcome = X[:, 1] + (A[:, 1] > 0) * gain + 0.5 * random.normal(size=1500)
    return X, A, outcome, never


@pytest.mark.parametrize("how", ["marginal", "product", "multinomial", "auto"])
def test_advice_without_support_has_no_value(how, contraindicated):
    X, A, outcome, never = contraindicated
    scores = policy.augmented_scores(X, A, outcome, propensity=how)
    found = policy.augmented_value(scores, np.ones_like(A))
    assert np.isnan(found.value) and "no support" in found.reason
    assert policy.support(scores, np.ones_like(A)).unsupported > 0.3
    careful = np.column_stack([np.ones(1500), np.where(never, -1, 1)])
    truth = (X[:, 1] + np.where(never, 0, 2)).mean()
    if how != "marginal":
        good = policy.augmented_value(scores, careful)
        assert good.low - 0.1 < truth < good.high + 0.1


def test_a_rule_s_value_uses_its_propensities_and_stops_without_support(
    contraindicated,
):
    X, A, outcome, _ = contraindicated
    rule = policy.AdditiveQLearner(allowed=[[1, 1], [-1, 1]]).fit(X, A, outcome)
    with pytest.raises(InputError, match="no support"):
        rule.value(X, A, outcome)
    random = np.random.default_rng(3)
    X = random.normal(size=(3000, 2))
    given = random.random(3000) < 1 / (1 + np.exp(-1.5 * X[:, 0]))
    A = np.column_stack([np.where(given, 1, -1), random.choice([-1, 1], 3000)])
    outcome = 3 * X[:, 0] + A[:, 1]
    rule = policy.OutcomeWeightedClassifier(propensity="multinomial", steps=200)
    rule.fit(X, A, outcome)
    advice = rule.predict(X)
    chance = policy.Propensity("multinomial").fit(X, A).predict_received(X, A)
    by_hand = policy.matched_average(outcome, A, advice, chance)[0]
    assert rule.value(X, A, outcome) == pytest.approx(by_hand)
    assert rule.set_params(propensity="marginal").value(X, A, outcome) != by_hand


@pytest.mark.parametrize("treatments", [7, 8])
def test_known_chances_are_never_clipped(treatments):
    """At 1/128 and 1/256 the value is the mean outcome of those who agree."""
    random = np.random.default_rng(4)
    X = random.normal(size=(6000, 2))
    A = random.choice([-1, 1], (6000, treatments))
    outcome = 6.0 - 2 * (A < 0).sum(axis=1) + random.normal(size=6000)
    scores = policy.augmented_scores(X, A, outcome, propensity=0.5**treatments)
    found = policy.augmented_value(scores, np.ones_like(A))
    assert found.low < 6 < found.high and found.high - found.low < 2
    assert policy.support(scores, np.ones_like(A)).clipped == 0


def test_a_little_lack_of_support_widens_the_interval_by_the_worst():
    random = np.random.default_rng(5)
    X = random.normal(size=(2000, 2))
    rare = X[:, 0] > 1.9  # 3 % never get the treatment
    A = np.where(rare, -1, random.choice([-1, 1], 2000))[:, None]
    outcome = A[:, 0] + random.normal(size=2000)
    scores = policy.augmented_scores(X, A, outcome)
    scores.chances[rare, 1] = 0.0
    found = policy.augmented_value(scores, np.ones_like(A))
    plain = found.standard_error * 1.96
    span = rare.mean() * (outcome.max() - outcome.min())
    width = found.high - found.low
    assert width == pytest.approx(2 * plain + span, rel=0.15)


def test_scores_keep_their_support_by_rows_and_lose_it_otherwise(clinic):
    X, A, outcome = clinic
    scores = policy.augmented_scores(X, A, outcome)
    some = scores[np.arange(200)]
    assert policy.support(some, A.iloc[:200]).people == 200
    for wrong in (np.asarray(scores), scores + 0.0):
        with pytest.raises(InputError, match="their support belongs to them"):
            policy.augmented_value(wrong, A)
    with pytest.raises(InputError, match="for the 400 people"):
        policy.augmented_value(scores, A.iloc[:9])


def test_one_person_may_not_count_more_than_all_others(clinic):
    X, A, outcome = clinic
    chance = np.full(400, 0.25)
    chance[7] = 1e-6
    for act in (
        lambda: policy.OutcomeWeightedClassifier(steps=5).fit(X, A, outcome, chance),
        lambda: policy.matched_average(outcome, A, A, chance),
    ):
        with pytest.raises(InputError, match="of row 7 makes one person count"):
            act()
