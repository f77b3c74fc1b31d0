"""Other ways to learn a rule, and the best rule within a bound on harm."""

import itertools

import numpy as np
import pytest

from sudlib import policy
from sudlib.files import InputError
from sudlib.policy import best_within, combination_number, combinations


def draw(expected, people=3000, seed=0, noise=0.5):
    """Return a randomised trial whose expected outcomes are a function of X."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(people, 3))
    means = expected(X)
    number = random.integers(0, means.shape[1], people)
    outcome = means[np.arange(people), number] + noise * random.normal(size=people)
    treatments = means.shape[1].bit_length() - 1
    return X, combinations(treatments)[number], outcome, means


def one_alone(X):
    """Return outcomes of two treatments: either helps somebody alone, both harm."""
    first, second = 1 + X[:, 0] - X[:, 1], 1 - X[:, 0] + X[:, 1]
    return np.column_stack([0 * first, second, first, first + second - 6])


def lost(rule, means, X):
    """Return the share of the possible gain over chance that a rule loses."""
    number = combination_number(rule(X))
    obtained = means[np.arange(len(X)), number].mean()
    best = means.max(axis=1).mean()
    return (best - obtained) / (best - means.mean())


def test_the_angle_based_rule_finds_one_alone_where_two_are_too_many():
    X, A, outcome, means = draw(one_alone)
    rule = policy.angle_based_rule(X, A, outcome, 1 / 4)
    assert lost(rule, means, X) < 0.05
    # the Hamming loss decides about each treatment on average over the other
    hamming = np.where(means @ combinations(2) > 0, 1, -1)
    assert lost(lambda X: hamming, means, X) > 0.1


def test_the_angle_based_rule_avoids_what_people_fared_badly_with():
    # Every outcome is negative or zero, so most weights ask to be disagreed with.
    X, A, outcome, means = draw(lambda X: one_alone(X) - 100)
    rule = policy.angle_based_rule(X, A, outcome, 1 / 4)
    assert lost(rule, means, X) < 0.05


@pytest.mark.parametrize(
    "learn",
    [
        policy.angle_based_rule,
        lambda *data, **more: policy.ranking_rule(*data, take=1, **more),
    ],
    ids=["angle-based", "ranking"],
)
def test_a_penalty_means_the_same_in_any_unit_of_the_outcome(learn):
    X, A, outcome, _ = draw(one_alone, 400)
    advice, strong = (learn(X, A, outcome, 1 / 4, alpha=a)(X) for a in (0.001, 0.5))
    assert (advice != strong).any()
    for unit in (0.01, 100):
        rule = learn(X, A, unit * outcome, 1 / 4, alpha=0.5)
        assert (rule(X) == strong).all(axis=1).mean() > 0.99


def test_rare_combinations_count_more_in_the_angle_based_rule():
    random = np.random.default_rng(3)
    X = random.normal(size=(6000, 1))
    chance = np.where(X[:, 0] > 0, 0.95, 0.05)  # given to whom it does not help
    A = np.where(random.random(6000) < chance, 1, -1)[:, None]
    outcome = -np.sign(X[:, 0]) * A[:, 0] + X[:, 0]
    received = np.where(A[:, 0] > 0, chance, 1 - chance)

    def right(propensity):
        rule = policy.angle_based_rule(X, A, outcome, propensity)
        return (rule(X)[:, 0] == -np.sign(X[:, 0])).mean()

    assert right(received) > 0.8 > 0.75 > right(0.5)


def test_the_ranking_rule_ranks_and_cannot_say_how_many():
    def expected(X):
        effects = np.column_stack([1 + X[:, 0], X[:, 1], -1 + X[:, 2]])
        return effects @ (combinations(3) > 0).T

    X, A, outcome, _ = draw(expected, 6000)
    effects = np.column_stack([1 + X[:, 0], X[:, 1], -1 + X[:, 2]])
    advice = {
        take: policy.ranking_rule(X, A, outcome, 1 / 8, take)(X) for take in range(4)
    }
    for take, given in advice.items():
        assert ((given > 0).sum(axis=1) == take).all()
    first = (advice[1] > 0).argmax(axis=1)
    assert (first == effects.argmax(axis=1)).mean() > 0.85
    last = (advice[2] < 0).argmax(axis=1)
    assert (last == effects.argmin(axis=1)).mean() > 0.85
    with pytest.raises(InputError, match="take"):
        policy.ranking_rule(X, A, outcome, 1 / 8, 4)


def test_the_value_search_finds_the_best_linear_rule():
    X, A, outcome, means = draw(one_alone, noise=1.0)
    scores = policy.augmented_scores(X, A, outcome, propensity=0.25)
    rule = policy.value_search(X, scores)
    values = [means[np.arange(len(X)), combination_number(rule(X))].mean()]
    for a, b in itertools.product(np.linspace(0, 2 * np.pi, 24), repeat=2):
        sides = [X[:, 0] * np.cos(t) + X[:, 1] * np.sin(t) > 0 for t in (a, b)]
        number = 2 * sides[0].astype(int) + sides[1]
        values.append(means[np.arange(len(X)), number].mean())
    assert values[0] > max(values[1:]) - 0.1


def test_no_rule_with_as_little_harm_has_more_benefit():
    random = np.random.default_rng(2)
    benefit, harm = random.normal(size=(2, 5, 3))
    for bound in (-0.3, 0.0, 0.2):
        chosen = best_within(benefit, harm, bound)
        rows = np.arange(5)
        gain, cost = benefit[rows, chosen.number], harm[rows, chosen.number]
        assert cost.mean() <= bound
        for other in itertools.product(range(3), repeat=5):
            if harm[rows, other].sum() <= cost.sum():
                assert benefit[rows, other].sum() <= gain.sum() + 1e-9


def test_a_bound_that_does_not_bind_costs_nothing_and_one_too_tight_is_refused():
    benefit, harm = np.array([[0, 1], [2, 1]]), np.array([[0, 3], [1, 5]])
    loose = best_within(benefit, harm, 10)
    assert loose.price == 0 and loose.number.tolist() == [1, 0]
    tight = best_within(benefit, harm, 0.5)
    assert tight.number.tolist() == [0, 0]
    with pytest.raises(
        InputError, match=r"bound of 0.4: the smallest mean harm is 0.5"
    ):
        best_within(benefit, harm, 0.4)
    with pytest.raises(InputError, match=r"shapes \(2, 2\) and \(2, 1\)"):
        best_within(benefit, harm[:, :1], 1)
