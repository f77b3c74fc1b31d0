"""The stack of families, and the worlds it is tried in."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from sudlib import policy
from sudlib.files import InputError
from sudlib.policy import best_rule, combination_number, combinations, worlds


def learn(rule, world, people=1000, seed=1):
    X, A, outcome = world.draw(people, seed)
    new = np.random.default_rng(seed + 1000).normal(size=(2000, world.covariates))
    return world.loss(clone(rule).fit(X, A, outcome).predict(new), new)


@pytest.mark.parametrize("name", worlds.SHAPES)
def test_a_world_draws_what_it_says(name):
    world = worlds.make_world(name)
    X, A, outcome = world.draw(4000, 3)
    number = combination_number(A)
    mean = world.means(X)[np.arange(4000), number]
    assert np.mean(outcome - mean) == pytest.approx(0, abs=0.06)
    spread = (mean * (1 - mean)).mean() if name == "binary outcome" else 1
    assert np.var(outcome - mean) == pytest.approx(spread, rel=0.08)
    shares = np.bincount(number, minlength=2**world.treatments) / 4000
    assert np.allclose(shares, world.chances(X).mean(axis=0), atol=0.02)
    best = combinations(world.treatments)[world.means(X).argmax(axis=1)]
    assert world.loss(best, X) == pytest.approx(0)
    assert world.loss(A, X) > 0.6


def test_weights_are_those_of_non_negative_least_squares():
    """Two rules whose errors are known: the stack is their best mixture."""
    X, A, outcome = worlds.make_world("linear").draw(300, 5)
    rules = {
        "ridge": policy.AdditiveQLearner(),
        "trees": policy.BoostedOutcome(max_iter=30),
    }
    found = policy.BestRule(rules).fit(X, A, outcome)
    said = {name: np.empty(300) for name in rules}
    folds = best_rule.KFold(5, shuffle=True, random_state=33)
    for train, rest in folds.split(X):
        for name, rule in rules.items():
            fitted = clone(rule).fit(X[train], A[train], outcome[train])
            said[name][rest] = fitted.expected(X[rest], A[rest])
    one, two = said.values()
    share = LinearRegression(fit_intercept=False)
    share = share.fit((one - two)[:, None], outcome - two).coef_[0].clip(0, 1)
    assert found.weights_["ridge"] == pytest.approx(share, abs=1e-3)
    errors = [((each - outcome) ** 2).mean() for each in said.values()]
    np.testing.assert_allclose(list(found.errors_.values()), errors)
    chosen = policy.BestRule(rules, how="select").fit(X, A, outcome)
    assert list(chosen.rules_) == [list(rules)[int(np.argmin(errors))]]
    np.testing.assert_array_equal(chosen.predict(X), chosen.rules_["ridge"].predict(X))


@pytest.mark.parametrize("name", ["linear", "antagonism", "three treatments"])
def test_the_stack_is_near_the_best_family_in_a_few_worlds(name):
    world = worlds.make_world(name, 7)
    lost = {key: learn(rule, world) for key, rule in best_rule.families().items()}
    stack = learn(policy.BestRule(), world)
    assert stack <= min(lost.values()) + 0.06
    assert stack <= lost["ridge"] + 0.03


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
    with pytest.raises(InputError, match="fit and expected"):
        policy.BestRule({"owl": policy.OutcomeWeightedClassifier()}).fit(X, A, outcome)
    with pytest.raises(InputError, match="stack, select"):
        policy.BestRule(how="vote").fit(X, A, outcome)
    with pytest.raises(InputError, match="world must be one of linear"):
        worlds.make_world("flat")
