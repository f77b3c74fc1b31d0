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
        (lambda X, A, y: (X, A.iloc[::-1], y), "different indexes"),
        (lambda X, A, y: (X, A, y.iloc[::-1]), "different indexes"),
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
    rare = X[:, 0] > 1.9  # 3% never get the treatment
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
    kept = pickle.loads(pickle.dumps(some))
    assert policy.augmented_value(kept, A[:200]) == policy.augmented_value(
        some, A[:200]
    )
    for wrong in (np.asarray(scores), scores + 0.0):
        with pytest.raises(InputError, match="their support belongs to them"):
            policy.augmented_value(wrong, A)
    with pytest.raises(InputError, match="same length, not 400 and 9"):
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


@pytest.mark.parametrize(
    "wrong",
    [
        lambda y: y.astype(str),
        lambda y: np.where(y > 0, "good", "bad"),
        lambda y: pd.to_datetime(y * 1e9),
        lambda y: y + 0j,
        lambda y: pd.array([pd.NA, *y[1:]], dtype="Float64"),
        lambda y: [None, *y[1:]],
    ],
    ids=["text", "words", "dates", "complex", "NA", "None"],
)
def test_outcomes_are_numbers_or_refused(clinic, wrong):
    X, A, outcome = clinic
    given = wrong(np.asarray(outcome))
    for act in (
        lambda: policy.AdditiveQLearner().fit(X, A, given),
        lambda: policy.outcome_weights(X, A, given, 0.25),
        lambda: policy.matched_average(given, A, A, 0.25),
        lambda: policy.augmented_scores(X, A, given),
    ):
        with pytest.raises(InputError, match="outcome must"):
            act()


@pytest.mark.parametrize(
    "propensity", [["0.25"] * 400, np.ones(400, bool), [None] * 400, np.zeros(400)]
)
def test_propensities_are_probabilities_in_every_function(clinic, propensity):
    X, A, outcome = clinic
    for act in (
        lambda: policy.OutcomeWeightedClassifier().fit(X, A, outcome, propensity),
        lambda: policy.outcome_weights(X, A, outcome, propensity),
        lambda: policy.matched_average(outcome, A, A, propensity),
        lambda: policy.augmented_scores(X, A, outcome, propensity=propensity),
    ):
        with pytest.raises(InputError, match="propensity must"):
            act()


def test_functions_that_are_no_rules_match_rows_too(clinic):
    X, A, outcome = clinic
    other = A.sample(frac=1, random_state=0)
    chance = pd.Series(0.25, index=A.index)
    for act in (
        lambda: policy.agreement(A, other),
        lambda: policy.matched_average(pd.Series(outcome, A.index), other, A, 0.25),
        lambda: policy.matched_average(outcome, A, A, chance.loc[other.index]),
        lambda: policy.matched_average(
            chance, A, A, 0.25, sample_weight=chance.loc[other.index]
        ),
        lambda: policy.outcome_weights(X, other, outcome, 0.25),
        lambda: policy.estimate_propensity(X, other),
    ):
        with pytest.raises(InputError, match="different indexes"):
            act()


def test_treatments_in_words_are_the_same_treatments_in_functions(clinic):
    X, A, outcome = clinic
    words = A.replace({1: "yes", -1: "no"})
    expected = policy.outcome_weights(X, A.to_numpy(), outcome, 0.25)
    found = policy.outcome_weights(X, words, outcome, 0.25)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    missing = A.astype(float).mask(A > 0)
    for act in (policy.combination_number, lambda given: policy.describe(given, "ab")):
        for wrong in (words, missing):
            with pytest.raises(InputError, match="must be coded -1 and"):
                act(wrong)


def test_weights_of_people_are_numbers_from_0_up(clinic):
    _, A, outcome = clinic
    for wrong in (-np.ones(400), ["1"] * 400, np.ones(3), np.full(400, np.nan)):
        with pytest.raises(InputError, match="sample_weight"):
            policy.matched_average(outcome, A, A, 0.25, sample_weight=wrong)


@pytest.mark.parametrize(
    "column", [pd.Timestamp(0), pd.Timedelta(1), pd.Interval(0, 1), 1j, 1e200]
)
def test_covariates_that_are_no_numbers_are_refused_in_words(clinic, column):
    X, A, outcome = clinic
    with pytest.raises(InputError, match="covariate"):
        policy.AdditiveQLearner().fit(X.assign(more=column), A, outcome)


def test_a_value_is_asked_for_the_treatments_of_the_fit(clinic):
    X, A, outcome = clinic
    rule = policy.AdditiveQLearner().fit(X, A, outcome)
    with pytest.raises(InputError, match="the fit had"):
        rule.value(X, np.column_stack([A, A.iloc[:, 0]]), outcome)


def test_boosting_keeps_the_names_of_covariates_without_a_warning(clinic):
    X, A, outcome = clinic
    rule = policy.BoostedOutcome(max_iter=3).fit(X, A, outcome)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rule.predict(X)
        rule.expected(X, A)


def test_few_people_agree_so_the_interval_is_students():
    random = np.random.default_rng(8)
    A = np.ones((12, 1), int)
    outcome = random.normal(size=12)
    found = policy.matched_interval(outcome, A, A, 0.5, n_resamples=20_000)
    # 12 of 12 agree: t(0.975, 11) = 2.201, and the bootstrap divides by n.
    reach = 2.201 * outcome.std(ddof=1) / np.sqrt(12)
    assert found.high - found.low == pytest.approx(2 * reach, rel=0.06)


def test_a_tree_is_judged_whichever_chances_are_known():
    random = np.random.default_rng(0)
    X, arm = random.normal(size=(200, 2)), random.choice(["a", "b"], 200)
    outcome = (arm == "a") * X[:, 0] + random.normal(size=200)
    values = [
        policy.evaluate(
            policy.PolicyTree(), policy.Trial(X, arm, outcome, chance)
        ).value
        for chance in ({"a": 0.5, "b": 0.5}, 0.5, np.full(200, 0.5))
    ]
    assert values[0].value == values[1].value == values[2].value


def test_people_with_one_outcome_make_no_interval_of_no_width():
    A = np.ones((3, 1), int)
    found = policy.matched_interval(np.ones(3), A, A, 0.5, n_resamples=20)
    assert found.value == 1 and np.isnan(found.low)
    assert found.reason.startswith("all who agree have one outcome")
    X, arm = np.random.default_rng(1).normal(size=(40, 1)), ["a", "b"] * 20
    nobody = policy.Trial(X, arm, {"death": np.zeros(40)}, "randomised")
    value = policy.augmented_value(policy.augmented_scores(nobody), ["a"] * 40)
    assert value.value == 0 and np.isnan(value.low) and "one outcome" in value.reason


def test_a_value_with_known_chances_says_who_has_no_support():
    random = np.random.default_rng(5)
    X = random.normal(size=(800, 2))
    arms = np.array([[-1, -1], [1, -1], [-1, 1]])  # never both
    A = arms[random.integers(3, size=800)]
    outcome = (A * np.sign(X)).sum(axis=1)
    rule = policy.AdditiveQLearner(allowed="all").fit(X, A, outcome)
    with pytest.warns(UserWarning, match="advised a combination that nobody received"):
        rule.value(X, A, outcome, 1 / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rule.set_params(allowed="received").value(X, A, outcome, 1 / 3)


REVERSED = ["metformin", "insulin"]


@pytest.mark.parametrize(
    "rule",
    [
        policy.AdditiveQLearner(),
        policy.ContrastLearner(),
        policy.BoostedOutcome(max_iter=5),
        policy.ContrastNetwork(steps=5),
        policy.BoundedEffectsNetwork(steps=5),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_what_is_expected_of_treatments_goes_by_their_names_and_codes(clinic, rule):
    X, A, outcome = clinic
    rule = clone(rule).fit(X, A, outcome)
    expected = rule.expected(X, A)
    np.testing.assert_array_equal(rule.expected(X, A[REVERSED]), expected)
    with pytest.warns(UserWarning, match="coded 0 and 1"):
        np.testing.assert_array_equal(rule.expected(X, (A + 1) // 2), expected)
    for wrong, said in (
        (A[::-1], "different indexes"),
        (A.iloc[:1], "same length"),
        (A.to_numpy() * 2, "coded -1 and"),
        (A.rename(columns={"insulin": "aspirin"}), "must be those of the fit"),
    ):
        with pytest.raises(InputError, match=said):
            rule.expected(X, wrong)


def test_a_validation_set_goes_by_the_names_of_treatments(clinic):
    X, A, outcome = clinic
    rule, few = policy.ContrastNetwork(steps=20), {"validation": (X, A, outcome)}
    one = clone(rule).fit(X, A, outcome, **few).decision_function(X)
    few = {"validation": (X, A[REVERSED], outcome)}
    other = clone(rule).fit(X, A, outcome, **few).decision_function(X)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("how", ["marginal", "product", "multinomial"])
def test_propensities_go_by_the_names_of_treatments(clinic, how):
    X, A, _ = clinic
    model = policy.Propensity(how).fit(X, A)
    received = model.predict_received(X, A)
    np.testing.assert_array_equal(model.predict_received(X, A[REVERSED]), received)
    with pytest.raises(InputError, match="different indexes"):
        model.predict_received(X, A[::-1])


def test_agreement_goes_by_the_names_of_treatments(clinic):
    X, A, outcome = clinic
    assert policy.agreement(A, A[REVERSED]).all()
    same = policy.matched_average(outcome, A, A, 0.25)
    assert policy.matched_average(outcome, A, A[REVERSED], 0.25) == same
    numbered = pd.DataFrame(A.to_numpy())  # without names they go by their places
    assert policy.agreement(A, numbered).all()
    with pytest.raises(InputError, match="must be those of the fit"):
        policy.agreement(A, A.rename(columns={"insulin": "aspirin"}))


def test_advice_goes_by_the_names_of_treatments(clinic):
    X, A, outcome = clinic
    scores = policy.augmented_scores(X, A, outcome, n_splits=2)
    same = policy.augmented_value(scores, A)
    assert policy.augmented_value(scores, A[REVERSED]) == same
    trial = policy.Trial(X, A, outcome)
    received = np.asarray(trial.arms, dtype=object)[trial.arm]
    assert (trial.names(A[REVERSED]) == received).all()


def test_known_chances_belong_to_their_people_and_combinations(clinic):
    X, A, outcome = clinic
    of_each = pd.Series(np.where(A["insulin"] > 0, 0.3, 0.2), index=A.index)
    table = pd.DataFrame(
        [[0.1, 0.2, 0.3, 0.4]] * len(X),
        columns=["none", "metformin", "insulin", "insulin + metformin"],
    )

    def scores(propensity):
        more = {"propensity": propensity, "n_splits": 2}
        return policy.augmented_scores(X, A, outcome, **more)

    for shuffled in (of_each[::-1], table[::-1]):
        with pytest.raises(InputError, match="X and propensity have different indexes"):
            scores(shuffled)
    np.testing.assert_array_equal(scores(table.iloc[:, ::-1]), scores(table.to_numpy()))
    with pytest.raises(InputError, match="must be of none, metformin, insulin"):
        scores(table.rename(columns={"none": "nothing"}))
    for wrong in (table.to_numpy() * 2, table.to_numpy() - [0.2, -0.2, 0, 0]):
        with pytest.raises(InputError, match="at least 0 and sum to 1"):
            scores(wrong)


def test_weights_scores_and_outcomes_of_other_people_are_refused(clinic):
    X, A, outcome = clinic
    scores = policy.augmented_scores(X, A, outcome, n_splits=2)
    rule = policy.AdditiveQLearner().fit(X, A, outcome)
    weights = pd.Series(np.arange(1.0, 401), index=X.index)
    with pytest.raises(InputError, match="X and sample_weight have different indexes"):
        rule.value(X, A, outcome, sample_weight=weights[::-1])
    with pytest.raises(InputError, match="scores must be of the same study"):
        policy.evaluate(rule, X, A, outcome, scores=scores[np.arange(400)[::-1]])
    with pytest.raises(InputError, match="X and scores have different indexes"):
        policy.PolicyTree().fit(X, pd.DataFrame(np.asarray(scores))[::-1])
    parts = policy.splits(A, test_size=50, n_splits=1)
    methods = {"ridge": policy.one_by_one(policy.AdditiveQLearner)}
    found = policy.held_out([X], A, pd.Series(outcome), parts, methods)
    plain = policy.held_out([X], A.to_numpy(), np.asarray(outcome), parts, methods)
    pd.testing.assert_frame_equal(found, plain)
    with pytest.raises(InputError, match="different indexes"):
        policy.held_out([X], A, pd.Series(outcome)[::-1], parts, methods)
    with pytest.raises(InputError, match="rule must be an estimator"):
        policy.evaluate(5, X, A, outcome, scores=scores)


@pytest.mark.parametrize("wrong", [[[1, 2]], [[0.2, -0.3]], [[np.nan, 1.0]], []])
def test_other_numbers_are_no_combination(wrong):
    if len(wrong):
        with pytest.raises(InputError, match="must be coded -1 and"):
            policy.combination_number(wrong)
        with pytest.raises(InputError, match="must be coded -1 and"):
            policy.describe(wrong, ["a", "b"])
    with pytest.raises(InputError, match="a column for each of the 3 names"):
        policy.describe([[1, -1]], ["a", "b", "c"])
    with pytest.raises(InputError, match="effects must have 2 columns"):
        policy.best_combination(np.ones((2, 5)), 2)


def test_what_is_masked_is_missing(clinic):
    X, A, outcome = clinic
    masked = np.ma.masked_greater(X.to_numpy(), 1)
    with pytest.raises(InputError, match="is missing"):
        policy.AdditiveQLearner().fit(masked, A, outcome)
    masked = np.ma.masked_array(A.to_numpy(), mask=X.to_numpy()[:, :2] > 1)
    with pytest.raises(InputError, match="must be coded -1 and"):
        policy.AdditiveQLearner().fit(X, masked, outcome)


def test_what_is_masked_in_a_trial_is_missing():
    X, arm = np.arange(6.0)[:, None], list("ababab")
    outcome = np.ma.masked_less(np.arange(6.0), 2)
    for given in (outcome, {"outcome": outcome}):
        trial = policy.Trial(X, arm, given)
        assert trial.outcomes["outcome"].isna().tolist() == [True, True, *[False] * 4]
    nullable = pd.Series([1, None, 3, 4, 5, 6], dtype="Int64")
    assert policy.Trial(X, arm, {"y": nullable}).outcomes["y"].isna().sum() == 1
    with pytest.raises(InputError, match="treatment 'treatment' is missing"):
        policy.Trial(X, np.ma.masked_equal([0, 1, 2, 0, 1, 2], 2), np.arange(6.0))
    for given, said in (
        ({"outcomes": list("123456")}, "must hold numbers, not text"),
        ({"clusters": [1, 1, 2, 2, None, None]}, "clusters has 2 missing values"),
        ({"propensities": list("......")}, "propensities must hold numbers"),
    ):
        with pytest.raises(InputError, match=said):
            policy.Trial(**{"X": X, "treatments": arm, "outcomes": X[:, 0], **given})
    for rows in ([-1], [6], [True, False]):
        with pytest.raises(InputError, match="rows"):
            trial.study(rows=rows)
    assert trial.study(rows=np.arange(6) > 3)[2].tolist() == [4, 5]


def test_losses_take_combinations_only():
    for wrong in (
        [[1, 0.5]],
        [["1", "-1"]],
        [[1, np.inf]],
        np.ma.masked_less([[1, -1]], 0),
    ):
        with pytest.raises(InputError, match="must be coded -1 and"):
            policy.losses.hamming_loss(wrong, [[1, -1]])
    assert policy.losses.hamming_loss([[1, 0]], [[1, -1]]).tolist() == [0]
    with pytest.raises(InputError, match="treatments of D must be one of 2, not 1"):
        policy.losses.hamming_loss([[1, -1]], [[1]])


def test_rules_that_are_functions_go_by_the_names_of_covariates(clinic):
    X, A, outcome = clinic
    scores = policy.augmented_scores(X, A, outcome)
    for rule in (
        policy.value_search(X, scores),
        policy.angle_based_rule(X, A, outcome, 0.25),
        policy.ranking_rule(X, A, outcome, 0.25, take=1),
    ):
        assert rule(X).shape == A.shape
        with pytest.raises(InputError, match="feature names"):
            rule(X[X.columns[::-1]])
    with pytest.raises(InputError, match="feature names"):
        policy.network_advice([(X, A, outcome)], [X[X.columns[::-1]]], steps=2)
    with pytest.raises(InputError, match="different indexes"):
        policy.value_search(X, pd.DataFrame(scores, index=X.index[::-1]))


TIMES = [2.0, 4.0, 9.0]


@pytest.mark.parametrize(
    ("event", "horizon", "groups", "said"),
    [
        (["1", "1", "0"], 5.0, None, "event must be 0 or 1"),
        (["yes", "yes", "no"], 5.0, None, "event must be 0 or 1"),
        ([2, 2, 1], 5.0, None, "event must be 0 or 1"),
        ([1, 1, np.nan], 5.0, None, "event must be 0 or 1"),
        ([1, 1, 0], np.nan, None, "horizon must be a number"),
        ([1, 1, 0], -1.0, None, "horizon must be a number"),
        ([1, 1, 0], 5.0, [1, 1, np.nan], "groups has 1 missing"),
        ([1, 1, 0], 5.0, [1, 1], "same length"),
    ],
)
def test_events_are_0_or_1_and_everybody_has_a_group(event, horizon, groups, said):
    with pytest.raises(InputError, match=said):
        policy.restricted_time(TIMES, event, horizon, groups)


def test_benefit_and_harm_are_of_the_same_people_and_options():
    benefit = pd.DataFrame([[0, 2], [0, 1]], columns=["none", "drug"])
    harm = pd.DataFrame([[0, 1], [0, 1]], columns=["none", "drug"])
    assert policy.best_within(benefit, harm, 0.5).number.tolist() == [1, 0]
    with pytest.raises(InputError, match="different indexes"):
        policy.best_within(benefit, harm[::-1], 0.5)
    with pytest.raises(InputError, match="same options in one order"):
        policy.best_within(benefit, harm[["drug", "none"]], 0.5)
    with pytest.raises(InputError, match="bound must be a number"):
        policy.best_within(benefit, harm, "0.5")


@pytest.mark.parametrize("wrong", [0.5, 0, -1, "5"])
def test_a_leaf_has_people(wrong):
    tree = policy.PolicyTree(min_samples_leaf=wrong)
    with pytest.raises(InputError, match="min_samples_leaf must be a whole number"):
        tree.fit(np.zeros((10, 2)), np.zeros((10, 4)))


@pytest.mark.parametrize("kind", ["Int64", "int8[pyarrow]", "category", object, float])
def test_combinations_of_any_type_of_number_have_their_number(kind):
    given = pd.DataFrame({"a": [-1, 1, 1], "b": [1, -1, 1]}).astype(kind)
    assert policy.combination_number(given).tolist() == [1, 2, 3]
    assert policy.describe(given, ["a", "b"]) == ["b", "a", "a + b"]
    words = pd.DataFrame({"a": ["yes", "no"]})
    with pytest.raises(InputError, match="takes words"):
        policy.combination_number(words)
