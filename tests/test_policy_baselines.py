"""Q-learning, contrasts, readable trees, two stages: each against a known truth."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest

from sudlib import policy
from sudlib.files import InputError
from sudlib.policy import combination_number, combinations


def study(people=2000, seed=0, *, linear=True, confounded=False):
    """Three treatments whose effects are known; returns X, A, outcome, best."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((people, 5))
    effect = np.column_stack([X[:, 0], X[:, 1] + 0.3, -X[:, 2]])
    if not linear:
        effect = np.column_stack(
            [np.where(X[:, 0] * X[:, 1] > 0, 1.0, -1.0), abs(X[:, 2]) - 0.7, -X[:, 3]]
        )
    chance = 1 / (1 + np.exp(-0.9 * X[:, :3])) if confounded else 0.5
    A = np.where(random.random((people, 3)) < chance, 1, -1)
    main = 3 * X[:, 0] + X[:, 4] ** 2 + (2 * X[:, 1] if confounded else 0)
    outcome = main + (A * effect).sum(axis=1) + 0.5 * random.standard_normal(people)
    return X, A, outcome, np.where(effect > 0, 1, -1)


def rate(rule, best):
    return (rule == best).mean()


@pytest.mark.parametrize(
    "learner", [policy.AdditiveQLearner(), policy.ContrastLearner()]
)
@pytest.mark.parametrize("confounded", [False, True])
def test_linear_effects_are_found_also_when_treatment_is_confounded(
    learner, confounded
):
    X, A, outcome, _ = study(confounded=confounded)
    new, _, _, best = study(seed=1)
    assert rate(learner.fit(X, A, outcome).predict(new), best) > 0.93


def test_boosting_finds_effects_that_no_line_can_tell():
    X, A, outcome, _ = study(4000, linear=False)
    new, _, _, best = study(seed=1, linear=False)
    boosted = policy.AdditiveQLearner("boosting", n_estimators=80).fit(X, A, outcome)
    ridge = policy.AdditiveQLearner().fit(X, A, outcome)
    assert rate(boosted.predict(new), best) > 0.85
    assert rate(boosted.predict(new), best) > rate(ridge.predict(new), best) + 0.15


def test_expected_outcomes_are_the_ridge_fit_written_out():
    X, A, outcome, _ = study(400)
    model = policy.AdditiveQLearner().fit(X, A, outcome)
    every = model.outcomes(X)
    assert every.shape == (400, 8)
    np.testing.assert_array_equal(
        combinations(3)[every.argmax(axis=1)], model.predict(X)
    )
    np.testing.assert_allclose(
        every[:, 7] - every[:, 3], 2 * model.decision_function(X)[:, 0]
    )
    fitted = every[np.arange(400), combination_number(A)]
    assert np.corrcoef(fitted, outcome)[0, 1] > 0.9


def test_ridge_of_no_effect_recommends_by_noise_alone():
    X, A, _, _ = study(2000)
    outcome = np.random.default_rng(5).standard_normal(2000)
    model = policy.AdditiveQLearner().fit(X, A, outcome)
    assert abs(model.decision_function(X)).max() < 0.2


# ------------------------------------------------------------------------------ tree


def test_tree_of_depth_two_is_the_best_of_all_trees():
    random = np.random.default_rng(3)
    X = random.standard_normal((60, 2))
    scores = random.standard_normal((60, 4)) + np.where(X[:, :1] > 0, 1, -1)
    tree = policy.PolicyTree(n_cuts=3, min_samples_leaf=5).fit(X, scores)
    found = scores[np.arange(60), combination_number(tree.predict(X))].sum()

    masks = [
        X[:, j] <= cut
        for j in range(2)
        for cut in np.quantile(X[:, j], [0.25, 0.5, 0.75])
    ]

    def stump(here):
        options = [scores[here].sum(axis=0).max()]
        for mask in masks:
            low, high = here & mask, here & ~mask
            if min(low.sum(), high.sum()) >= 5:
                options.append(
                    scores[low].sum(axis=0).max() + scores[high].sum(axis=0).max()
                )
        return max(options)

    everybody = np.ones(60, bool)
    best = max(
        [stump(everybody)]
        + [
            stump(mask) + stump(~mask)
            for mask in masks
            if min(mask.sum(), (~mask).sum()) >= 5
        ]
    )
    assert found == pytest.approx(best)


def test_tree_says_its_rule_in_words():
    X = pd.DataFrame({"age": np.arange(100.0), "bmi": np.tile([20.0, 30.0], 50)})
    scores = np.zeros((100, 4))
    scores[:50, 1] = 1
    scores[50:, 2] = 1
    tree = policy.PolicyTree(max_depth=1, min_samples_leaf=10).fit(X, scores)
    table = tree.leaves(["met", "su"])
    assert table["treatments"].tolist() == ["su", "met"]
    assert table["who"][0].startswith("age ≤ 49")
    assert table["people"].tolist() == [50, 50]


def test_tree_with_too_few_people_for_a_question_gives_all_the_same():
    X = np.random.default_rng(0).standard_normal((30, 3))
    scores = np.random.default_rng(1).standard_normal((30, 4))
    tree = policy.PolicyTree(min_samples_leaf=20).fit(X, scores)
    assert len(tree.leaves()) == 1 and tree.leaves()["who"][0] == "everybody"


def test_tree_refuses_scores_that_are_no_power_of_two():
    X = np.zeros((10, 2))
    for wrong in (np.zeros((10, 3)), np.zeros((9, 4)), np.full((10, 4), np.nan)):
        with pytest.raises(InputError, match="scores must"):
            policy.PolicyTree().fit(X, wrong)
    with pytest.raises(InputError, match="depth"):
        policy.PolicyTree(max_depth=3).fit(X, np.zeros((10, 4)))


# ---------------------------------------------------------------------- pre-training


def test_boltzmann_machine_finds_the_direction_in_which_covariates_move_together():
    random = np.random.default_rng(0)
    factor = random.standard_normal((2000, 1))
    X = np.hstack([factor + 0.3 * random.standard_normal((2000, 3)), factor[:, :0]])
    X = np.hstack([X, random.standard_normal((2000, 3))])
    start = policy.boltzmann_start(X, 4, 2, passes=40)
    assert start.shape == (1, 6 * 4 + 4 + 4 * 2 + 2) and start.dtype == np.float32
    weights = np.abs(start[0, :24].reshape(6, 4))
    assert weights[:3].mean() > 3 * weights[3:].mean()


def test_boltzmann_start_fits_the_network_it_is_for():
    from sudlib.policy import OutcomeWeightedClassifier

    X, A, outcome, best = study(1000)
    start = policy.boltzmann_start(X, 8, 3, passes=5)
    rule = OutcomeWeightedClassifier(
        hidden=(8,), weights="augmented", start=start, steps=600
    )
    assert rate(rule.fit(X, A, outcome).predict(X), best) > 0.85


def test_stacked_machines_start_a_network_of_several_layers():
    from sudlib.policy import OutcomeWeightedClassifier

    X, A, outcome, best = study(1000)
    start = policy.boltzmann_start(X, (8, 6), 3, passes=5)
    alone = policy.boltzmann_start(X, 8, 3, passes=5)
    first = X.shape[1] * 8 + 8
    assert np.array_equal(start[0, :first], alone[0, :first])
    rule = OutcomeWeightedClassifier(
        hidden=(8, 6), weights="augmented", start=start, steps=600
    )
    # far above chance; a net this deep needs no such start here and does without better
    assert rate(rule.fit(X, A, outcome).predict(X), best) > 0.75
    with pytest.raises(
        InputError, match="each of nodes must be a whole number from 1 up, not 0"
    ):
        policy.boltzmann_start(X, (8, 0), 3)


# ------------------------------------------------------------------------ two stages


def test_best_rules_of_the_disease_course_beat_every_fixed_pair():
    course = policy.DiseaseCourse()
    best = course.value(course.best_rules(), people=4000)
    for one, two in itertools.product(range(8), repeat=2):
        pair = (
            lambda x, one=one: np.tile(combinations(3)[one], (len(x), 1)),
            lambda x, a, two=two: np.tile(combinations(3)[two], (len(x), 1)),
        )
        assert course.value(pair, people=4000) < best


def test_two_stage_q_learning_comes_near_the_best_and_beats_looking_one_step():
    course = policy.DiseaseCourse()
    data = course.draw(3000, 2)
    pair = policy.two_stage_q_learning(data)
    best = course.value(course.best_rules())
    now = policy.AdditiveQLearner().fit(data.start, data.first, data.gain).predict
    assert best - 0.08 < course.value(pair) <= best + 0.02
    assert course.value((now, pair[1])) < course.value(pair) - 0.05


def test_stagewise_learning_takes_any_rule_learner():
    course = policy.DiseaseCourse()
    data = course.draw(3000, 2)
    seen = []

    class Learner(policy.ContrastLearner):
        def fit(self, X, A, outcome, propensity=None):
            seen.append((len(X), float(propensity[0])))
            return super().fit(X, A, outcome)

    best = course.value(course.best_rules())
    for borrow in (True, False):
        pair = policy.stagewise_owl(data, lambda stage: Learner(), borrow=borrow)
        assert course.value(pair) > best - 0.25
    assert seen[0] == (3000, 0.125) and seen[1] == (3000, 0.125)
    assert seen[3][0] < 600 and seen[3][1] == 0.125**2


def test_a_pair_of_rules_is_not_judged_on_the_people_of_a_study_with_the_same_seed():
    course, asked = policy.DiseaseCourse(), []

    def treat_nobody(start):
        asked.append(start)
        return np.full((len(start), 3), -1)

    study = course.draw(200, seed=1)
    course.value((treat_nobody, lambda state, first: first), people=200, seed=1)
    assert not np.isin(asked[0], study.start).any()


def test_a_disease_course_is_the_same_for_the_same_seed():
    course = policy.DiseaseCourse()
    one, two = course.draw(50, 4), course.draw(50, 4)
    np.testing.assert_array_equal(one.later, two.later)
    with pytest.raises(InputError, match="from 4"):
        policy.DiseaseCourse(covariates=2)


# ------------------------------------------------------------------------- bad input


LEARNERS = [policy.AdditiveQLearner(), policy.ContrastLearner()]


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda X, A, y: (X, A, np.where(y == y[3], np.inf, y)),
            "finite; row 3 has inf",
        ),
        (lambda X, A, y: (X, A, np.where(y == y[3], np.nan, y)), "finite"),
        (
            lambda X, A, y: (X, np.c_[A[:, :2], -np.ones(len(A))], y),
            "2 is given to nobody",
        ),
        (
            lambda X, A, y: (X, np.c_[A[:, :2], np.ones(len(A))], y),
            "given to everybody",
        ),
        (lambda X, A, y: (X, A + 1, y), "coded -1 and"),
        (lambda X, A, y: (X, A[:-1], y), "same length, not 200 and 199"),
        (lambda X, A, y: (np.where(X == X[2, 1], np.nan, X), A, y), "impute it first"),
        (lambda X, A, y: (X, A, y[:-1]), "same length, not 200 and 200 and 199"),
        (lambda X, A, y: (X[:0], A[:0], y[:0]), "must have rows"),
        (lambda X, A, y: (X.astype(str) + "x", A, y), "table of numbers"),
    ],
)
def test_bad_input_is_refused_in_words(learner, change, words):
    X, A, outcome, _ = study(200)
    with pytest.raises(InputError, match=words):
        learner.fit(*change(X, A, outcome))


def test_treatments_coded_0_and_1_are_accepted_and_said():
    X, A, outcome, _ = study(300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        signs = policy.AdditiveQLearner().fit(X, A, outcome)
    with pytest.warns(UserWarning, match="coded 0 and 1 are read as"):
        zeros = policy.AdditiveQLearner().fit(X, (A + 1) // 2, outcome)
    np.testing.assert_array_equal(signs.coef_, zeros.coef_)


def test_an_unknown_learner_and_a_wrong_width_are_refused():
    X, A, outcome, _ = study(100)
    with pytest.raises(InputError, match="one of ridge, boosting"):
        policy.AdditiveQLearner("forest").fit(X, A, outcome)
    with pytest.raises(InputError, match="expecting 5 features"):
        policy.AdditiveQLearner().fit(X, A, outcome).predict(X[:, :2])
