"""The stack of families, and the worlds it is tried in."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from sudlib import policy
from sudlib.files import InputError, data_file
from sudlib.policy import (
    AdditiveQLearner,
    best_rule,
    combination_number,
    combinations,
    worlds,
)


def learn(rule, world, people=1000, seed=1):
    X, A, outcome = world.draw(people, seed)
    new = world.people(2000, seed + 1000)
    return world.loss(clone(rule).fit(X, A, outcome).predict(new), new)


@pytest.mark.parametrize("name", worlds.SHAPES)
def test_a_world_draws_what_it_says(name):
    world = worlds.make_world(name)
    X, A, outcome = world.draw(4000, 3)
    number = combination_number(A)
    mean = world.means(X)[np.arange(4000), number]
    assert np.mean(outcome - mean) == pytest.approx(0, abs=0.06)
    spread = {
        "binary outcome": mean * (1 - mean),
        "lognormal": mean**2 * np.expm1(0.25),
    }.get(name, 1)
    assert np.mean((outcome - mean) ** 2 / spread) == pytest.approx(1, rel=0.1)
    shares = np.bincount(number, minlength=2**world.treatments) / 4000
    assert np.allclose(shares, world.chances(X).mean(axis=0), atol=0.02)
    best = combinations(world.treatments)[world.means(X).argmax(axis=1)]
    assert world.loss(best, X) == pytest.approx(0)
    assert world.loss(A, X) > 0.6


def alone(world, *values):
    """Return the effect of each treatment beside none, for one person.

    Covariates are 0 but for the given pairs of a number and a value.
    """
    x = np.zeros((1, world.covariates))
    for column, value in values:
        x[0, column] = value
    one = combination_number(2 * np.eye(world.treatments, dtype=int) - 1)
    means = world.means(x)[0]
    return means[one] - means[0]


def test_in_the_smooth_world_two_covariates_bend_each_effect_and_act_together():
    world = worlds.make_world("smooth")
    columns = range(world.covariates)
    np.testing.assert_allclose(alone(world), -0.7)
    bent = np.array([alone(world, (column, 2.0)) for column in columns])
    for treatment in range(world.treatments):
        # One covariate by itself, 0.7 (4 - 1); the other only beside it.
        [first] = np.flatnonzero(~np.isclose(bent[:, treatment], -0.7))
        assert bent[first, treatment] == pytest.approx(2.1)
        beside = [
            alone(world, (first, 1.0), (column, 1.0))[treatment]
            for column in columns
            if column != first
        ]
        assert sorted(np.round(beside, 9))[-2:] == [0.0, 0.7]


def test_few_covariates_matter_in_the_sparse_world_and_as_much_as_many_do():
    spread = {"sparse": [], "linear": []}
    for seed in range(40):
        for name, found in spread.items():
            world = worlds.make_world(name, seed)
            columns = range(world.covariates)
            slopes = [alone(world, (c, 1.0)) - alone(world) for c in columns]
            found.append((np.array(slopes) ** 2).sum(axis=0))
            matter = (np.abs(slopes) > 1e-9).sum(axis=0)
            assert (matter == (3 if name == "sparse" else 30)).all()
    for found in spread.values():  # of 200 effects, each of variance 1
        assert np.mean(found) == pytest.approx(1, abs=0.2)


def test_a_rule_expects_of_what_was_received_what_its_table_says():
    X, A, outcome = worlds.make_world("three treatments").draw(400, 5)
    options = combinations(3)
    rows = np.arange(400), combination_number(A)
    for name, rule in best_rule.families(networks=False).items():
        fitted = clone(rule).fit(X, A, outcome)
        table = best_rule._table(fitted, X, options)
        said = best_rule._expected(fitted, X, A)
        np.testing.assert_allclose(said, table[rows], err_msg=name)
    # Of a rule that only scores treatments: the sum of its scores, halved and signed.
    owl = policy.OutcomeWeightedClassifier(steps=50).fit(X, A, outcome)
    table = best_rule._table(owl, X, options)
    np.testing.assert_allclose(best_rule._expected(owl, X, A), table[rows], rtol=1e-5)
    gap = table[:, -1] - table[:, 0]  # all treatments against none
    np.testing.assert_allclose(gap, owl.decision_function(X).sum(axis=1), rtol=1e-5)


def test_people_of_a_world_share_no_stream_with_its_coefficients_or_its_studies():
    world = worlds.make_world("linear", 33)
    kept = [world.people(50, 33, new) for new in (False, True)]
    kept += [world.draw(50, 33)[0], np.random.default_rng(33).normal(size=(50, 10))]
    for at, one in enumerate(kept):
        assert not any(np.isin(one, other).any() for other in kept[:at])


@pytest.mark.parametrize("seed", [None, -1, "a", 1.5, True])
def test_a_world_asks_for_a_seed(seed):
    world = worlds.make_world("linear")
    for made in (
        world.people,
        world.draw,
        lambda _, seed: worlds.make_world("linear", seed),
    ):
        with pytest.raises(InputError, match="seed"):
            made(3, seed)


def test_weights_are_those_of_non_negative_least_squares_part_by_part():
    """Two rules: usual outcomes mixed to sum 1, differences by least squares."""
    X, A, outcome = worlds.make_world("three treatments").draw(300, 5)
    rules = {
        "ridge": policy.AdditiveQLearner(),
        "trees": policy.BoostedOutcome(max_iter=30),
    }
    found = policy.BestRule(rules).fit(X, A, outcome)
    said, usual = np.empty((2, 300, 2))
    folds = KFold(5, shuffle=True, random_state=33)
    for train, rest in folds.split(X):
        for place, rule in enumerate(rules.values()):
            fitted = clone(rule).fit(X[train], A[train], outcome[train])
            said[rest, place] = fitted.expected(X[rest], A[rest])
            each = [
                fitted.expected(X[rest], np.tile(code, (len(rest), 1)))
                for code in combinations(3)
            ]
            usual[rest, place] = np.mean(each, axis=0)
    share = LinearRegression(fit_intercept=False)
    one, two = said.T
    share = share.fit((one - two)[:, None], outcome - two).coef_[0].clip(0, 1)
    assert found.usual_weights_["ridge"] == pytest.approx(share, abs=1e-3)
    level = usual @ [share, 1 - share]
    line = LinearRegression(fit_intercept=False, positive=True)
    weights = line.fit(said - usual, outcome - level).coef_
    np.testing.assert_allclose(list(found.weights_.values()), weights, atol=1e-3)
    errors = ((said - outcome[:, None]) ** 2).mean(axis=0)
    np.testing.assert_allclose(list(found.errors_.values()), errors)
    chosen = policy.BestRule(rules, how="select").fit(X, A, outcome)
    best = list(rules)[int(np.argmin(errors))]
    assert list(chosen.rules_) == [best] and chosen.gain_ is None
    np.testing.assert_array_equal(chosen.predict(X), chosen.rules_[best].predict(X))


class Anything(policy.AdditiveQLearner):
    """Knows who does well, and nothing of treatments."""

    def outcomes(self, X):
        usual = super().outcomes(X).mean(axis=1, keepdims=True)
        noise = np.cos(1e6 * (X[:, :1] + np.arange(2**self.n_treatments_)))
        return usual + noise

    def expected(self, X, A):
        return self.outcomes(X)[np.arange(len(X)), combination_number(A)]


def test_a_rule_that_knows_nothing_of_treatments_gets_no_say_in_advice():
    X, A, outcome = worlds.make_world("three treatments").draw(2000, 5)
    rules = {"ridge": policy.AdditiveQLearner(), "other": Anything()}
    found = policy.BestRule(rules).fit(X, A, outcome)
    assert found.weights_["other"] < 0.1
    agree = found.predict(X) == found.rules_["ridge"].predict(X)
    assert agree.mean() > 0.97


def test_what_is_expected_and_what_is_advised_are_one():
    X, A, outcome = worlds.make_world("antagonism").draw(400, 6)
    rules = {
        "ridge": policy.AdditiveQLearner(),
        "pairs": policy.AdditiveQLearner(pairs=True),
    }
    found = policy.BestRule(rules).fit(X, A, outcome)
    best = found.decision_function(X).max(axis=1)
    np.testing.assert_allclose(found.expected(X, found.predict(X)), best, rtol=1e-6)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(X), found.predict(X))


class Opposite(policy.AdditiveQLearner):
    """Says of every combination what is true of its opposite."""

    def outcomes(self, X):
        return super().outcomes(X)[:, ::-1]

    def expected(self, X, A):
        return super().expected(X, -np.asarray(A))


def test_the_first_rule_alone_advises_where_it_is_worth_more(monkeypatch):
    X, A, outcome = worlds.make_world("three treatments").draw(1500, 7)
    rules = {"good": policy.AdditiveQLearner(), "wrong": Opposite()}
    monkeypatch.setattr(best_rule, "nnls", lambda X, y: (np.array([0.0, 1.0]), 0))
    found = policy.BestRule(rules).fit(X, A, outcome, 1 / 8)
    assert found.gain_.high < 0 and found.weights_ == {"good": 1, "wrong": 0}
    turned = policy.BestRule(dict(reversed(rules.items()))).fit(X, A, outcome, 1 / 8)
    assert turned.gain_.low > 0 and turned.weights_ == {"wrong": 0, "good": 1}
    np.testing.assert_array_equal(found.predict(X), turned.predict(X))


def test_few_predictions_are_kept_where_combinations_are_many(monkeypatch):
    monkeypatch.setattr(best_rule, "MOST_PREDICTIONS", 800)
    X, A, outcome = worlds.make_world("three treatments").draw(400, 6)
    rules = {"ridge": policy.AdditiveQLearner()}
    found = policy.BestRule(rules).fit(X, A, outcome)
    assert found.gain_.n == 100  # 800 pairs of a person and one of 8 combinations
    assert list(found.usual_weights_.values()) == pytest.approx([1])


@pytest.mark.parametrize("how", ["stack", "select"])
def test_one_treatment_in_words_with_names(how):
    random = np.random.default_rng(3)
    X = pd.DataFrame(random.normal(size=(300, 2)), columns=["age", "weeks"])
    given = random.random(300) < 0.3
    helps = np.where(X["age"] > 0, 1, -1)
    outcome = np.where(given, helps, -helps) + random.normal(size=300) / 4
    A = pd.DataFrame({"drug": np.where(given, "yes", "no")})
    rules = {"ridge": AdditiveQLearner(), "trees": policy.BoostedOutcome(max_iter=40)}
    found = policy.BestRule(rules, how=how).fit(X, A, outcome)
    assert (found.predict(X)[:, 0] == helps).mean() > 0.9
    assert set(found.advise(X)) == {"drug", "none"}
    assert found.feature_names_in_.tolist() == ["age", "weeks"]
    assert found.score(X, A, outcome) == pytest.approx(1, abs=0.1)
    with pytest.raises(ValueError, match="same order"):
        found.predict(X[["weeks", "age"]])


class Scores(policy.AdditiveQLearner):
    """Scores treatments, by a thousandth of their effects, and expects no outcome."""

    expected = outcomes = property()  # scikit-learn's way to lack a method

    def decision_function(self, X):
        return super().decision_function(X) / 1000


def test_a_rule_that_only_scores_treatments_has_a_say_in_advice_alone():
    X, A, outcome = worlds.make_world("three treatments").draw(1000, 5)
    outcome = outcome + 50
    rules = {"usual": Opposite(), "scores": Scores()}
    found = policy.BestRule(rules).fit(X, A, outcome)
    assert found.usual_weights_ == {"usual": pytest.approx(1), "scores": 0}
    whole = policy.BestRule(rules | {"scores": policy.AdditiveQLearner()})
    weight = whole.fit(X, A, outcome).weights_["scores"]
    # scores are half of effects, and a thousandth of that
    assert found.weights_["scores"] == pytest.approx(2000 * weight, rel=1e-3)
    assert list(found.errors_) == ["usual"]
    ridge = policy.AdditiveQLearner().fit(X, A, outcome)
    assert (found.predict(X) == ridge.predict(X)).mean() > 0.97
    # what it says is an outcome all the same
    assert found.expected(X, A).mean() == pytest.approx(outcome.mean(), abs=0.2)
    chosen = policy.BestRule(rules, how="select").fit(X, A, outcome)
    assert list(chosen.rules_) == ["usual"]


def test_known_chances_reach_the_rules():
    X, A, outcome = worlds.make_world("confounded").draw(300, 5)
    chances = np.linspace(0.01, 0.9, 300)

    class Asks(policy.AdditiveQLearner):
        def _fit(self, study):
            asked.append(study.propensity)
            super()._fit(study)

    asked = []
    rules = {"asks": Asks(), "plain": policy.AdditiveQLearner()}
    policy.BestRule(rules, how="select", n_splits=3).fit(X, A, outcome, chances)
    np.testing.assert_array_equal(asked[0], chances)  # everybody's, then the folds'
    seen = np.concatenate(asked[1:])
    np.testing.assert_allclose(np.sort(seen), np.repeat(chances, 2))
    asked.clear()
    policy.BestRule(rules, how="select", n_splits=3).fit(X, A, outcome)
    assert asked[0] is None


class Refuses(policy.AdditiveQLearner):
    """Cannot be fitted to fewer than 250 people."""

    def _fit(self, study):
        if len(study.X) < 250:
            raise InputError("too few")
        super()._fit(study)


@pytest.mark.parametrize("people", [200, 300])  # all of them, or those of a fold
def test_a_rule_that_refuses_the_people_is_left_out_with_a_warning(people):
    X, A, outcome = worlds.make_world("three treatments").draw(people, 5)
    rules = {"ridge": policy.AdditiveQLearner(), "trees": policy.BoostedOutcome()}
    with pytest.warns(UserWarning, match="'refuses' is left out of the stack: too few"):
        found = policy.BestRule(rules | {"refuses": Refuses()}).fit(X, A, outcome)
    alone = policy.BestRule(rules).fit(X, A, outcome)
    assert found.weights_ == alone.weights_ and list(found.errors_) == list(rules)
    np.testing.assert_array_equal(found.predict(X), alone.predict(X))
    with pytest.raises(InputError, match="too few"):
        policy.BestRule({"refuses": Refuses()} | rules).fit(X, A, outcome)


def test_real_people_who_ask_are_others_than_those_of_the_study():
    for name in worlds.REAL:
        world = worlds.make_world(name, 3)
        studied, new = (set(map(tuple, half)) for half in world.halves)
        assert not studied & new
        X = world.draw(len(world.halves[0]), 1)[0]
        assert set(map(tuple, X)) == studied  # each once
        assert set(map(tuple, world.people(500, 1))) <= new
        everybody = np.vstack(world.halves)
        np.testing.assert_allclose(everybody.mean(axis=0), 0, atol=1e-12)
        correlated = np.abs(np.corrcoef(everybody.T) - np.eye(world.covariates))
        assert correlated.max() > 0.8  # as no world of independent covariates has


@pytest.mark.parametrize("name", worlds.SHAPES)
def test_people_who_ask_are_not_those_of_a_study_with_the_same_seed(name):
    world = worlds.make_world(name, 33)
    studied = set(map(tuple, world.draw(200, 33)[0]))
    assert not studied & set(map(tuple, world.people(300, 33)))


@pytest.mark.parametrize("name", ["linear", "antagonism", "three treatments"])
def test_the_stack_is_near_the_best_family_in_a_few_worlds(name):
    world = worlds.make_world(name, 7)
    families = best_rule.families(networks=False)
    lost = {key: learn(rule, world) for key, rule in families.items()}
    stack = learn(policy.BestRule(families), world)
    assert stack <= min(lost.values()) + 0.06
    assert stack <= lost["ridge"] + 0.03


def test_the_record_of_worlds_is_whole_and_of_these_worlds():
    kept = pd.read_csv(data_file("results/study_c/worlds.csv"))
    assert not kept.duplicated(["world", "seed", "method"]).any()
    table = kept.pivot(index=["world", "seed"], columns="method", values="lost")
    assert table.shape == (3 * len(worlds.SHAPES), 11) and table.notna().all(axis=None)
    assert set(kept["world"]) == set(worlds.SHAPES)
    # LinearDML scores like additive Q-learning where its model is right.
    gap = table["EconML LinearDML"] - table["ridge"]
    assert gap.loc[["linear", "heavy tails"]].abs().max() < 0.02
    assert table["stack of all"].mean() < table["ridge"].mean()
    world = worlds.make_world("three treatments", 33)
    # The record is older than the separate stream: half of them are in the study.
    asked = world.people(2000, 33)
    again = AdditiveQLearner().fit(*world.draw(1000, 33)).predict(asked)
    ridge = table.loc[("three treatments", 33), "ridge"]
    assert world.loss(again, asked) == pytest.approx(ridge, abs=1e-4)


def test_networks_say_what_they_expect():
    world = worlds.make_world("three treatments")
    X, A, outcome = world.draw(800, 2)
    for rule in (
        policy.ContrastNetwork(steps=300, members=2),
        policy.BoundedEffectsNetwork(steps=300, members=1, bounds=(4.0,)),
        policy.ContrastLearner(),
    ):
        said = rule.fit(X, A, outcome).expected(X, A)
        assert np.corrcoef(said, outcome)[0, 1] > 0.4
        assert said.mean() == pytest.approx(outcome.mean(), abs=0.15)


def test_what_cannot_be_stacked_is_refused():
    X, A, outcome = worlds.make_world("three treatments").draw(100, 1)
    owl = {"owl": policy.OutcomeWeightedClassifier(steps=20)}
    with pytest.raises(InputError, match="the first with expected"):
        policy.BestRule(owl).fit(X, A, outcome)
    with pytest.raises(InputError, match="the first with expected"):
        policy.BestRule({}).fit(X, A, outcome)
    ridge = {"ridge": policy.AdditiveQLearner()}
    with pytest.raises(InputError, match="'line' has no expected and no decision_func"):
        policy.BestRule(ridge | {"line": LinearRegression()}).fit(X, A, outcome)
    for wrong in ([policy.AdditiveQLearner()], "ridge"):
        with pytest.raises(InputError, match="rules must be a mapping of names"):
            policy.BestRule(wrong).fit(X, A, outcome)
    with pytest.raises(InputError, match=r"'a' is a class: give AdditiveQLearner\(\)"):
        policy.BestRule({"a": policy.AdditiveQLearner}).fit(X, A, outcome)
    votes = {"votes": policy.OneAgainstOne()}  # they are of combinations
    with pytest.raises(InputError, match="in 3 columns, not 8"):
        policy.BestRule(ridge | votes).fit(X, A, outcome)
    with pytest.raises(InputError, match="stack, select"):
        policy.BestRule(how="vote").fit(X, A, outcome)
    with pytest.raises(InputError, match="world must be one of linear"):
        worlds.make_world("flat")


def test_pairs_are_modelled_where_they_lower_the_leave_one_out_error():
    for name, wanted in (("linear", False), ("antagonism", True)):
        world = worlds.make_world(name, 3)
        X, A, outcome = world.draw(3000, 4)
        rule = policy.AdditiveQLearner(pairs="auto").fit(X, A, outcome)
        assert rule.pairs_ is wanted
        alone = policy.AdditiveQLearner(pairs=wanted).fit(X, A, outcome)
        np.testing.assert_array_equal(rule.coef_, alone.coef_)
        np.testing.assert_array_equal(rule.predict(X), alone.predict(X))
    one = policy.AdditiveQLearner(pairs="auto").fit(X, A[:, :1], outcome)
    assert one.pairs_ is False and one.coef_.shape == (1, 31)
    with pytest.raises(InputError, match="pairs must be one of False, True, auto"):
        policy.AdditiveQLearner(pairs="maybe").fit(X, A, outcome)
    with pytest.raises(InputError, match="pairs of boosting"):
        policy.AdditiveQLearner("boosting", pairs="auto").fit(X, A, outcome)


def test_the_order_is_the_one_worth_most_on_people_not_seen():
    world = worlds.make_world("three treatments", 4)
    X, A, outcome = world.draw(400, 5)
    rule = policy.OutcomeWeightedClassifier(order="auto", steps=150)
    rule.fit(X, A, outcome, 1 / 8)
    values = rule.order_values_
    assert list(values) == [1, 2, 3] and rule.order_ == max(values, key=values.get)
    alone = policy.OutcomeWeightedClassifier(order=rule.order_, steps=150)
    np.testing.assert_array_equal(
        alone.fit(X, A, outcome, 1 / 8).predict(X), rule.predict(X)
    )
    # each value is near that of the rule's advice, by what the world knows
    for order, value in values.items():
        fitted = policy.OutcomeWeightedClassifier(order=order, steps=150)
        number = combination_number(fitted.fit(X, A, outcome, 1 / 8).predict(X))
        true = world.means(X)[np.arange(400), number].mean()
        assert value == pytest.approx(true, abs=0.6)
    assert rule.coef_.shape == (3, 11)
    again = pickle.loads(pickle.dumps(rule))
    np.testing.assert_array_equal(again.predict(X), rule.predict(X))


def test_orders_may_differ_among_rules_fitted_together():
    world = worlds.make_world("three treatments", 4)
    studies = [world.draw(200, seed) for seed in (1, 2)]
    made = [policy.OutcomeWeightedClassifier(order="auto", steps=40) for _ in studies]
    together = policy.fit_together(made, studies)
    for rule, study in zip(together, studies, strict=True):
        alone = policy.OutcomeWeightedClassifier(order="auto", steps=40).fit(*study)
        assert rule.order_ == alone.order_
        np.testing.assert_array_equal(rule.predict(study[0]), alone.predict(study[0]))
    one = policy.OutcomeWeightedClassifier(order="auto", steps=40)
    X, A, outcome = studies[0]
    assert one.fit(X, A[:, :1], outcome).order_ == 1
    with pytest.raises(InputError, match="order must be one of auto"):
        policy.OutcomeWeightedClassifier(order="best").fit(X, A, outcome)
