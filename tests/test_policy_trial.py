"""A trial's treatments with levels, its outcomes, and advice within its support."""

import numpy as np
import pandas as pd
import pytest

from sudlib import policy
from sudlib.files import InputError


def factorial(people=900, seed=0, **more):
    """Aspirin x heparin as in the stroke trial: aspirin helps the old."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(people, 2)), columns=["age", "pressure"])
    heparin = random.choice(["none", "low", "medium"], people, p=[0.5, 0.25, 0.25])
    given = pd.DataFrame({"aspirin": random.integers(0, 2, people), "heparin": heparin})
    well = X["age"] * (2 * given["aspirin"] - 1) - (heparin == "medium")
    out = {"death": -well + random.normal(size=people), "days": well + 10}
    return policy.Trial(X, given, out, lower_is_better=["death"], **more)


@pytest.fixture(scope="module")
def trial():
    chances = {
        f"{a}heparin {h}" if h else a.removesuffix(" + ") or "none": c / 2
        for a in ("", "aspirin + ")
        for h, c in (("", 0.5), ("low", 0.25), ("medium", 0.25))
    }
    return factorial(propensities=chances)


def test_arms_are_the_combinations_received_with_a_name_each(trial):
    assert sorted(trial.arms) == [
        "aspirin",
        "aspirin + heparin low",
        "aspirin + heparin medium",
        "heparin low",
        "heparin medium",
        "none",
    ]
    assert list(trial.codes) == ["aspirin", "heparin low", "heparin medium"]
    assert trial.codes.loc["aspirin + heparin low"].tolist() == [1, 1, -1]
    said = trial.names(trial.codes.iloc[trial.arm])
    assert said.tolist() == [trial.arms[place] for place in trial.arm]
    np.testing.assert_allclose(trial.chances.sum(axis=1), 1)


@pytest.mark.parametrize("shape", [(900, 2), (900, 4), (900, 3, 1)])
def test_advice_has_a_column_for_each_code(trial, shape):
    # Of fewer columns the numbers of combinations would be those of other arms.
    with pytest.raises(InputError, match="advice must have 3 columns, one a treatment"):
        trial.place(np.full(shape, -1))


def test_levels_keep_the_order_of_their_categories_and_lose_empty_ones():
    dose = pd.Categorical(
        ["low", "high", "low", "high"], categories=["low", "middle", "high"]
    )
    trial = policy.Trial({"x": [1, 2, 3, 4]}, {"dose": dose}, [1, 2, 3, 4])
    assert trial.arms == ["dose low", "dose high"]
    assert list(trial.codes) == ["dose high"]
    arms = policy.Trial({"x": [1, 2]}, ["placebo", "a drug"], [1, 2])
    assert arms.arms == ["placebo", "a drug"]


def test_treatments_without_names_are_numbered_from_one():
    codes = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])
    numbered = policy.Trial({"x": [1, 2, 3, 4]}, codes, [1, 2, 3, 4])
    assert list(numbered.codes) == ["treatment 1", "treatment 2"]
    assert "treatment 1 + treatment 2" in numbered.arms
    alone = policy.Trial({"x": [1, 2]}, codes[:2, :1], [1, 2])
    assert list(alone.treatments) == ["treatment"]


def test_a_rule_learns_from_a_trial_and_advises_its_arms_only(trial):
    rule = policy.AdditiveQLearner().fit(*trial.study("death")[:3])
    advice = trial.names(rule.predict(trial.X))
    old = trial.X["age"] > 0.5
    assert np.mean([said.startswith("aspirin") for said in advice[old]]) > 0.95
    assert rule.advise(trial.X.iloc[:1])[0] in trial.arms
    # both levels of heparin would be another arm: no rule advises it
    both = (rule.predict(trial.X)[:, 1:] > 0).all(axis=1)
    assert not both.any()


@pytest.mark.parametrize(
    "rule",
    [
        policy.AdditiveQLearner(),
        policy.AdditiveQLearner(pairs=True),
        policy.ContrastLearner(),
        policy.OutcomeWeightedClassifier(steps=50),
        policy.ContrastNetwork(steps=30, members=1),
        policy.BoundedEffectsNetwork(steps=20, members=1, bounds=(4.0,)),
        policy.OneAgainstOne(steps=20),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_no_rule_advises_a_combination_that_nobody_received(rule):
    """Three treatments in four of eight combinations, as in ACTG 175."""
    random = np.random.default_rng(1)
    arms = np.array([[1, -1, -1], [1, 1, -1], [1, -1, 1], [-1, 1, -1]])
    A = arms[random.integers(0, 4, 400)]
    X = random.normal(size=(400, 3))
    rule.fit(X, A, (A * X).sum(axis=1))
    received = {tuple(arm) for arm in arms}
    assert {tuple(row) for row in rule.predict(X)} <= received
    asked = random.normal(size=(50, 3)) * 3
    assert {tuple(row) for row in rule.predict(asked)} <= received


def test_among_the_allowed_the_best_is_advised():
    random = np.random.default_rng(2)
    X = random.normal(size=(300, 2))
    A = random.choice([-1, 1], (300, 2))
    rule = policy.AdditiveQLearner().fit(X, A, (A * X).sum(axis=1))
    free = rule.predict(X)
    allowed = np.array([[1, -1], [-1, 1]])
    rule.allowed = allowed
    bound = rule.predict(X)
    kept = (free[:, None] == allowed).all(axis=2).any(axis=1)
    np.testing.assert_array_equal(bound[kept], free[kept])
    effects = rule.decision_function(X)
    np.testing.assert_array_equal(bound[:, 0] > 0, effects[:, 0] > effects[:, 1])
    rule.allowed = "all"
    np.testing.assert_array_equal(rule.predict(X), free)
    rule.allowed = [[1, 1, 1]]
    with pytest.raises(InputError, match="2 columns"):
        rule.predict(X)


def test_a_tree_and_an_evaluation_speak_of_arms(trial):
    scores = policy.augmented_scores(trial, outcome="death")
    assert scores.shape == (900, 6) and scores.names == trial.arms
    leaves = policy.PolicyTree(max_depth=1).fit(trial.X, scores).leaves()
    assert set(leaves["treatments"]) <= set(trial.arms)
    found = policy.evaluate(policy.AdditiveQLearner(), trial, outcome="death")
    assert set(found.advice) <= set(trial.arms)
    # less of it is better: the rule saves, and the sign is the outcome's own
    assert found.difference.high < 0 and found.value.high < found.best.low
    truth = -np.abs(trial.X["age"]).mean()
    assert found.value.low < truth < found.value.high
    tree = policy.evaluate(policy.PolicyTree(max_depth=1), trial, outcome="days")
    assert tree.difference.low > 0


def test_one_arm_for_all_is_judged_by_its_name(trial):
    found = policy.evaluate("aspirin", trial, outcome="days")
    assert found.value.low < 10 < found.value.high
    with pytest.raises(InputError, match="must be one of"):
        policy.evaluate("ibuprofen", trial, outcome="days")


def test_several_outcomes_are_weighed_in_their_directions(trial):
    both = trial.target({"death": 2.0, "days": 1.0})
    expected = trial.outcomes["days"] - 2 * trial.outcomes["death"]
    np.testing.assert_allclose(both, expected)
    assert trial.target("death")[0] == -trial.outcomes["death"][0]


def test_missing_outcomes_that_go_with_covariates_bias_no_value():
    errors, plain = [], []
    for seed in range(12):
        full = factorial(700, seed)
        random = np.random.default_rng(100 + seed)
        lost = random.random(700) < 1 / (1 + np.exp(-2 * full.X["age"]))
        outcome = (full.outcomes["days"] + full.X["age"] * 3).where(~lost)
        trial = policy.Trial(
            full.X, full.treatments, outcome, {arm: c for arm, c in shares(full)}
        )
        found = policy.evaluate("aspirin", trial)
        assert found.value.n == 700
        errors.append((found.value.value - 10) / found.value.standard_error)
        plain.append(outcome[trial.arm == trial.arms.index("aspirin")].mean() - 10)
    assert abs(np.mean(errors)) < 1
    assert np.mean(plain) < -1


def shares(trial):
    chance = {"none": 0.5, "low": 0.25, "medium": 0.25}
    return [
        (arm, 0.5 * chance[level])
        for arm, level in zip(trial.arms, trial.levels["heparin"], strict=True)
    ]


def test_clusters_widen_the_interval_and_stay_whole():
    random = np.random.default_rng(3)
    hospital = np.repeat(np.arange(40), 20)
    effect = random.normal(size=40)[hospital]
    X = pd.DataFrame({"x": random.normal(size=800)})
    arm = random.choice(["a", "b"], 800)
    outcome = effect + 0.3 * random.normal(size=800)
    alone, together = (
        policy.evaluate("a", policy.Trial(X, arm, outcome, 0.5, clusters)).value
        for clusters in (None, hospital)
    )
    assert together.standard_error > 1.8 * alone.standard_error
    between = np.std([outcome[hospital == each].mean() for each in range(40)])
    assert together.standard_error == pytest.approx(between / 40**0.5, rel=0.35)


def test_pseudo_observations_average_to_the_area_under_kaplan_meier():
    random = np.random.default_rng(4)
    time, end = random.exponential(1, 3000), random.uniform(0.2, 3, 3000)
    seen = policy.restricted_time(np.minimum(time, end), time <= end, 1.0)
    assert seen.mean() == pytest.approx(1 - np.exp(-1), abs=0.03)
    complete = policy.restricted_time(time, np.ones(3000, bool), 1.0)
    np.testing.assert_allclose(complete, np.minimum(time, 1))


def test_a_trial_refuses_what_does_not_belong_together():
    X = pd.DataFrame({"x": [1.0, 2, 3, 4]})
    given = pd.DataFrame({"a": [0, 1, 0, 1], "b": [0, 0, 1, 1]})
    good = [1.0, 2, 3, 4]
    for change, said in [
        (
            {"allowed": [(0, 0), (0, 1), (1, 0)]},
            "received what is not allowed: 1 and 1",
        ),
        ({"allowed": [(0,)]}, "a level of each of a, b"),
        (
            {"treatments": given.iloc[:2], "allowed": [(0, 0), (1, 0), (1, 1)]},
            "X and treatments and outcomes must have the same length",
        ),
        ({"X": X.assign(x=[1, np.nan, 2, 3])}, "impute"),
        ({"outcomes": ["a", "b", "c", "d"]}, "must hold numbers"),
        ({"outcomes": {"y": good}, "lower_is_better": ["z"]}, "must be one of y"),
        ({"propensities": {"a": 0.5}}, "must be of the arms"),
        ({"propensities": np.full((4, 4), 0.2)}, "sum to 1"),
        ({"propensities": 0.0}, "above 0"),
        ({"treatments": given.assign(b=[0, np.nan, 1, 1])}, "missing for 1"),
        ({"treatments": given.set_axis([1, "1"], axis=1)}, "called '1'"),
        ({"treatments": given.set_axis([4, 3, 2, 1])}, "different indexes"),
        ({"treatments": given * 0}, "at least two arms"),
        ({"clusters": [1, 2]}, "the same length, not 4 and 4 and 4 and 2"),
    ]:
        whole = {"X": X, "treatments": given, "outcomes": good} | change
        with pytest.raises(InputError, match=said):
            policy.Trial(**whole)
    with pytest.raises(InputError, match="nobody received what is allowed"):
        policy.Trial(X, given["a"], good, allowed=["0", "1", "2"])
    trial = policy.Trial(X, given, good)
    with pytest.raises(InputError, match="1 of 1 people are advised what nobody"):
        trial.names(["c"])
    with pytest.raises(InputError, match="must be one of outcome"):
        trial.target("death")


def test_a_mask_marks_the_people_of_its_index_or_is_refused():
    X = pd.DataFrame({"age": [50.0, 60, 70, 80]}, index=list("dbca"))
    days = pd.Series([1.0, 2, 3, 4], index=X.index)
    trial = policy.Trial(X, pd.Series(list("xyxy"), index=X.index), {"days": days})
    old = X["age"] > 60
    for mask in (old, trial.X["age"] > 60, old.to_numpy(), old.tolist()):
        assert trial.study(rows=mask)[2].tolist() == [3, 4]
    for other in (old.sort_index(), old.reset_index(drop=True)[::-1]):
        with pytest.raises(InputError, match="rows and X have different indexes"):
            trial.study(rows=other)
    some = X[old]  # of the trial's table, but not all of it
    with pytest.raises(InputError, match="rows and X must have the same length"):
        trial.study(rows=some["age"] > 0)
    bare = policy.Trial([[1], [2]], ["x", "y"], [1.0, 2])
    assert bare.study(rows=pd.Series([False, True]))[2].tolist() == [2]


def test_columns_of_a_mapping_belong_to_the_same_people():
    X = pd.DataFrame({"age": [50.0, 60, 70, 80]})
    arms, death = pd.Series(["a", "b", "a", "b"]), pd.Series([0, 1, 0, 1])
    policy.Trial(X, {"arm": arms}, {"death": death})
    for columns in (
        ({"arm": arms[::-1]}, {"death": death}),
        ({"arm": arms}, {"death": death[::-1]}),
        ({"arm": arms}, {"death": death}, {"a": death[::-1] / 2, "b": 0.5}),
    ):
        with pytest.raises(InputError, match="different indexes"):
            policy.Trial(X, *columns)
    with pytest.raises(InputError, match="different indexes"):
        policy.Trial({"age": X["age"], "bmi": X["age"][::-1]}, {"arm": arms}, death)


def test_chances_of_arms_that_are_numbers_and_one_outcome_by_its_name():
    X, arms = {"age": [50.0, 60, 70, 80]}, [1, 2, 1, 2]
    trial = policy.Trial(X, arms, {"death": [0, 1, 0, 1]}, {1: 0.25, 2: 0.75}, None,
                         None, "death")  # fmt: skip
    np.testing.assert_allclose(trial.chances, [[0.25, 0.75]] * 4)
    assert trial.lower_is_better == ("death",)


@pytest.mark.parametrize("levels", [[1, "1", 2, 2], ["a", "a ", "b", "b"]])
def test_levels_of_a_treatment_that_look_alike_are_refused(levels):
    arms = pd.Series(levels, dtype=object)
    with pytest.raises(InputError, match="levels that look alike"):
        policy.Trial(
            {"age": [50.0, 60, 70, 80]}, {"arm": arms}, {"death": [0, 1, 0, 1]}
        )


@pytest.mark.parametrize("levels", [(0, 1), ("0", "1"), (0.0, 1.0), (" 0", 1)])
@pytest.mark.parametrize("name", ["a", None])
def test_of_one_treatment_its_levels_are_allowed_bare_or_as_tuples(levels, name):
    X, given = np.arange(4.0)[:, None], pd.Series([0, 1, 0, 1], name=name)
    for allowed in (levels, [(level,) for level in levels]):
        trial = policy.Trial(X, given, [1.0, 2, 3, 4], allowed=allowed)
        assert trial.arms == (["no a", "a"] if name else ["no treatment", "treatment"])
        for wrong, said in (
            (trial.arms, "somebody received what is not allowed: 0; 1"),
            (levels[:1], "somebody received what is not allowed: 1"),
            ([*allowed, 2], "nobody received what is allowed: it cannot be learned: 2"),
            ([(0, 1)], "must have a level of each of"),
        ):
            with pytest.raises(InputError, match=said):
                policy.Trial(X, given, [1.0, 2, 3, 4], allowed=wrong)


def test_blanks_around_a_level_change_no_reference():
    X, outcome = np.arange(8.0)[:, None], np.arange(8.0)
    words = pd.DataFrame({"dose": ["none", "low", "high", "none"] * 2})
    plain = policy.Trial(X, words, outcome)
    padded = policy.Trial(
        X, words.map("{} ".format), outcome, allowed=["none ", "low", "high"]
    )
    assert padded.arms == plain.arms == ["dose none", "dose high", "dose low"]
    assert (padded.codes == plain.codes).all(axis=None)
    arrow = words.replace({"none": 0, "low": 1, "high": 2}).astype("double[pyarrow]")
    assert policy.Trial(X, arrow, outcome).arms == [
        "dose 0",
        "dose 1",
        "dose 2",
    ]
