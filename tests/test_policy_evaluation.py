"""The value of a rule from data: against hand computation and the synthetic truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sudlib import disclosure, policy
from sudlib.estimates import Estimate
from sudlib.files import InputError
from sudlib.policy import combination_number, combinations, cprd
from sudlib.policy.doubly_robust import mean_score


@pytest.fixture(scope="module")
def cohort():
    records = cprd.sample(4000, seed=11, missing=False)
    return cprd.arrays(records)


# ----------------------------------------------------------------------------- T and N


def test_T_and_N_by_hand():
    given = np.array([[1, 1], [1, -1], [-1, 1], [1, 1]])
    advice = np.array([[1, 1], [1, -1], [1, 1], [1, 1]])
    outcome = np.array([2.0, 4.0, 100.0, 1.0])
    chance = np.array([0.5, 0.25, 0.1, 0.25])
    value, people = policy.matched_average(outcome, given, advice, chance)
    assert people == 3
    assert value == pytest.approx((2 / 0.5 + 4 / 0.25 + 1 / 0.25) / (2 + 4 + 4))
    raw, _ = policy.matched_average(outcome, given, advice, chance, normalise=False)
    assert raw == pytest.approx((4 + 16 + 4) / 4)


def test_T_is_undefined_when_nobody_agrees():
    value, people = policy.matched_average([1.0], [[1, 1]], [[1, -1]], [0.5])
    assert np.isnan(value) and people == 0
    estimate = policy.matched_interval([1.0], [[1, 1]], [[1, -1]], [0.5])
    assert np.isnan(estimate.low) and estimate.n == 0


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.2, np.nan])
def test_a_propensity_outside_0_to_1_is_refused(wrong):
    with pytest.raises(InputError, match="(above 0 and at most 1|finite); row 1"):
        policy.matched_average(
            [1.0, 2.0], [[1, 1], [1, 1]], [[1, 1], [1, 1]], [0.5, wrong]
        )


def test_bootstrap_interval_of_T_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    inside = []
    for trial in range(200):
        given = np.where(random.random((300, 2)) < 0.5, 1, -1)
        outcome = given.sum(axis=1) + random.standard_normal(300)
        estimate = policy.matched_interval(
            outcome, given, np.ones((300, 2)), np.full(300, 0.25), seed=trial
        )
        inside.append(estimate.low <= 2 <= estimate.high)
    assert 0.89 < np.mean(inside) < 0.985


@pytest.mark.parametrize("normalise", [True, False])
def test_interval_of_T_is_that_of_people_drawn_again_one_by_one(normalise):
    """Unequal propensities that go with the outcome, resampled the plain way."""
    random = np.random.default_rng(1)
    chance = random.uniform(0.05, 0.9, 400)
    advice = np.where(random.random((400, 2)) < 0.5, 1, -1)
    given = np.where(random.random((400, 1)) < chance[:, None], advice, -advice)
    outcome = 5 * chance + random.standard_normal(400)
    data = outcome, given, advice, chance
    asked = {} if normalise else {"normalise": False}  # normalised unless told not to
    estimate = policy.matched_interval(*data, **asked, n_resamples=40_000)
    plain = []
    for _ in range(4000):
        rows = random.integers(0, 400, 400)
        resample = (part[rows] for part in data)
        plain.append(policy.matched_average(*resample, normalise=normalise)[0])
    error = np.std(plain)
    assert estimate.standard_error == pytest.approx(error, rel=0.08)
    # Student's quantile, and n - 1, of the effective number of people who agree.
    weights = 1 / chance[(given == advice).all(axis=1)]
    people = weights.sum() ** 2 / (weights**2).sum()
    reach = stats.t.ppf(0.975, people - 1) * np.sqrt(people / (people - 1))
    assert 1.97 < reach < 2.2
    tail = stats.norm.sf(reach)
    low, high = np.quantile(plain, [tail, 1 - tail])
    assert estimate.low == pytest.approx(low, abs=0.15 * error)
    assert estimate.high == pytest.approx(high, abs=0.15 * error)


def test_weights_of_people_are_copies_of_people():
    random = np.random.default_rng(2)
    given, advice = random.choice([-1, 1], (2, 60, 2))
    outcome, chance = random.normal(size=60), random.uniform(0.1, 1, 60)
    copies = random.integers(0, 4, 60)
    data = outcome, given, advice, chance
    for normalise in (True, False):
        weighted = policy.matched_average(
            *data, normalise=normalise, sample_weight=copies
        )[0]
        copied = policy.matched_average(
            *(np.repeat(part, copies, axis=0) for part in data), normalise=normalise
        )[0]
        assert weighted == pytest.approx(copied)


# ------------------------------------------------------------------------ propensity


@pytest.fixture(scope="module")
def unbalanced():
    """Two treatments, confounded, one of them rare; independent given X."""
    random = np.random.default_rng(3)
    X = random.standard_normal((20_000, 2))
    chance = 1 / (1 + np.exp(-np.column_stack([1.5 + X[:, 0], -2 + 0.8 * X[:, 1]])))
    A = np.where(random.random(X.shape) < chance, 1, -1)
    return X, A, chance


@pytest.mark.parametrize("how", ["product", "multinomial"])
def test_propensities_of_unbalanced_treatments_are_the_true_ones(how, unbalanced):
    X, A, chance = unbalanced
    truth = np.where(A > 0, chance, 1 - chance).prod(axis=1)
    np.testing.assert_allclose(policy.estimate_propensity(X, A, how), truth, atol=0.05)
    model = policy.Propensity(how).fit(X, A)
    np.testing.assert_allclose(model.treatment_probabilities(X), chance, atol=0.05)
    every = model.predict_proba(X)
    received = model.predict_received(X, A)
    np.testing.assert_allclose(
        every[np.arange(len(X)), combination_number(A)], received
    )
    most = combinations(2)[every.argmax(axis=1)]
    np.testing.assert_array_equal(model.predict(X), most)


def test_a_weaker_penalty_makes_the_propensities_differ_more(unbalanced):
    X, A, _ = (part[:300] for part in unbalanced)
    spread = [
        policy.Propensity("product", C=C)
        .fit(X, A)
        .treatment_probabilities(X)
        .std(axis=0)
        for C in (1e-4, 1.0)
    ]
    assert (spread[0] < 0.2 * spread[1]).all()


def test_with_marginal_propensities_single_treatments_have_their_shares(unbalanced):
    X, A, _ = unbalanced
    model = policy.Propensity("marginal").fit(X, A)
    shares = np.tile((A > 0).mean(axis=0), (5, 1))
    np.testing.assert_allclose(model.treatment_probabilities(X[:5]), shares)


@pytest.mark.parametrize("how", ["marginal", "product", "multinomial"])
def test_propensities_sum_to_one_and_average_to_what_is_given(cohort, how):
    X, A, _ = cohort
    chances = policy.Propensity(how).fit(X, A).predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    shares = np.bincount(combination_number(A), minlength=16) / len(A)
    np.testing.assert_allclose(
        chances.mean(axis=0), shares, atol=0.03 if how == "product" else 0.005
    )


def test_multinomial_comes_nearest_to_the_true_propensity_when_there_are_many():
    X, A, _ = cprd.arrays(cprd.sample(20_000, seed=12, missing=False))
    truth = cprd.propensities(X)
    error = {
        how: np.abs(policy.Propensity(how).fit(X, A).predict_proba(X) - truth).mean()
        for how in ("marginal", "product", "multinomial")
    }
    assert error["multinomial"] < error["product"] < error["marginal"]


def test_marginal_propensity_is_the_share_of_the_combination():
    A = np.array([[1, 1], [1, 1], [1, -1], [-1, -1]])
    chance = (
        policy.Propensity("marginal")
        .fit(np.zeros((4, 1)), A)
        .predict_received(np.zeros((4, 1)), A)
    )
    np.testing.assert_allclose(chance, [0.5, 0.5, 0.25, 0.25])


@pytest.mark.parametrize("how", ["product", "multinomial"])
def test_a_treatment_that_all_have_does_not_break_the_propensity(how):
    random = np.random.default_rng(0)
    X = random.standard_normal((50, 2))
    A = np.column_stack([np.ones(50), np.where(random.random(50) < 0.5, 1, -1)])
    chances = policy.Propensity(how).fit(X, A).predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    same = (
        policy.Propensity(how)
        .fit(X, np.ones((50, 2)))
        .predict_received(X, np.ones((50, 2)))
    )
    np.testing.assert_allclose(same, 1)


def test_another_way_and_too_many_combinations_to_list_are_refused():
    X, A = np.zeros((20, 2)), np.ones((20, 13))
    A[::2] = -1
    with pytest.raises(InputError, match="marginal, product, multinomial"):
        policy.Propensity("guess").fit(X, A)
    model = policy.Propensity("marginal").fit(X, A)
    # the combination that was received needs no list of all of them
    assert (model.predict_received(X, A) == 0.5).all()
    with pytest.raises(InputError, match="from 1 to 12"):
        model.predict_proba(X)
    one = policy.Propensity("marginal").fit(X, A[:, :1])
    assert (one.predict_proba(X) == 0.5).all()


# --------------------------------------------------------------------- doubly robust


def test_with_true_chances_scores_are_unbiased_for_every_combination():
    records = cprd.sample(20_000, seed=21, missing=False)
    X, A, drop = cprd.arrays(records)
    scores = policy.augmented_scores(
        X, A, drop, propensity=cprd.propensities(X), least=0.0
    )
    truth = cprd.expected_drops(X).mean(axis=0)
    error = scores.std(axis=0) / np.sqrt(len(X))
    assert (np.abs(scores.mean(axis=0) - truth) < 4 * error + 1e-9).all()


def test_doubly_robust_value_beats_marginal_T_against_the_truth(cohort):
    X, A, drop = cohort
    everything = np.ones_like(A)
    truth = cprd.true_value(everything, X)
    estimate = policy.augmented_value(policy.augmented_scores(X, A, drop), everything)
    marginal = policy.estimate_propensity(X, A)
    naive, _ = policy.matched_average(drop, A, everything, marginal)
    assert naive > truth + 0.8
    assert abs(estimate.value - truth) < 3 * estimate.standard_error
    assert estimate.low < estimate.value < estimate.high


def test_doubly_robust_is_right_when_only_one_model_is():
    random = np.random.default_rng(4)
    X = random.standard_normal((20_000, 2))
    chance = 1 / (1 + np.exp(-1.5 * X))
    A = np.where(random.random(X.shape) < chance, 1, -1)
    advice = np.ones_like(A)
    right = np.where(combinations_taken(2), chance[:, None], 1 - chance[:, None])
    # The outcome is quadratic, which the ridge model misses; the chances are right.
    outcome = (
        A.sum(axis=1) + 2 * X[:, 0] ** 2 * (A[:, 0] > 0) + random.normal(size=20_000)
    )
    truth = 2 + 2
    scores = policy.augmented_scores(
        X, A, outcome, propensity=right.prod(axis=2), least=0
    )
    assert policy.augmented_value(scores, advice).value == pytest.approx(truth, abs=0.3)
    # The outcome is linear; the chances are wrong.
    linear = (
        A.sum(axis=1) + X[:, 0] * A[:, 0] + 3 * X[:, 1] + random.normal(size=20_000)
    )
    scores = policy.augmented_scores(X, A, linear, propensity="marginal")
    assert policy.augmented_value(scores, advice).value == pytest.approx(2, abs=0.1)


def confounded_study(people, seed):
    """Three unbalanced treatments, and an outcome that no additive model fits."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((people, 3))
    chance = 1 / (1 + np.exp(-(X + [0.5, -0.5, 1.0])))
    A = np.where(random.random(X.shape) < chance, 1, -1)
    taken = combinations(3) > 0
    expected = (1 + X**2) @ taken.T + 2 * np.exp(X.sum(axis=1) / 2)[:, None]
    expected -= 1.5 * (taken[:, 0] & taken[:, 1])
    number = combination_number(A)
    outcome = expected[np.arange(people), number] + random.normal(size=people)
    probability = np.where(taken, chance[:, None], 1 - chance[:, None]).prod(axis=2)
    return X, A, outcome, probability, expected


def test_contrasts_are_unbiased_where_the_model_is_misspecified():
    """The known propensities alone must carry them, at a confounded treatment."""
    X, A, outcome, probability, expected = confounded_study(60_000, 5)
    received = probability[np.arange(len(A)), combination_number(A)]
    contrasts = policy.doubly_robust_contrasts(X, A, outcome, received)
    truth = (expected @ combinations(3)).mean(axis=0) / 4
    error = contrasts.std(axis=0) / np.sqrt(len(A))
    assert (error < 0.1).all()
    assert (np.abs(contrasts.mean(axis=0) - truth) < 3.5 * error).all()
    # what the correction has to make good is much more than its error
    model = policy.AdditiveQLearner().fit(X, A, outcome)
    bias = 2 * model.decision_function(X).mean(axis=0) - truth
    assert (np.abs(bias) > 5 * error).any()


def test_contrasts_are_contrasts_of_the_augmented_scores():
    X, A, outcome, probability, _ = confounded_study(500, 6)
    received = probability[np.arange(len(A)), combination_number(A)]
    contrasts = policy.doubly_robust_contrasts(X, A, outcome, received, seed=4)
    scores = policy.augmented_scores(
        X,
        A,
        outcome,
        propensity=probability,
        model=policy.AdditiveQLearner(effect_penalty=4.0, standardise=False),
        least=0,
        seed=4,
    )
    np.testing.assert_allclose(contrasts, scores @ combinations(3) / 4)


def test_estimated_probabilities_below_the_least_are_raised_and_known_ones_never():
    X, A, outcome, probability, _ = confounded_study(300, 7)
    plain = policy.augmented_scores(X, A, outcome, least=0, seed=1)
    raised = policy.augmented_scores(X, A, outcome, least=0.2, seed=1)
    rows, number = np.arange(300), combination_number(A)
    small = plain.chances[rows, number] < 0.2
    assert policy.support(raised, A).clipped == pytest.approx(small.mean())
    known = [
        policy.augmented_scores(X, A, outcome, propensity=probability, least=least)
        for least in (0, 0.2)
    ]
    np.testing.assert_array_equal(*known)
    gap = (plain - raised)[rows, number]
    assert (gap[small] != 0).all() and np.allclose(gap[~small], 0)
    others = np.arange(8) != number[:, None]
    np.testing.assert_array_equal(plain[others], raised[others])
    with pytest.raises(InputError, match="least must be a number from 0 to below 1"):
        policy.augmented_scores(X, A, outcome, least=1)


def test_errors_are_those_of_a_mean_and_wider_where_a_rule_is_learned():
    X, A, outcome, probability, _ = confounded_study(400, 7)
    scores = policy.augmented_scores(X, A, outcome, propensity=probability)
    number = combination_number(A)
    followed = np.asarray(scores)[np.arange(400), number]
    plain = mean_score(scores, A)
    assert plain.standard_error == pytest.approx(stats.sem(followed))
    for n_splits, factor in ((5, 1.5**0.5), (3, 2**0.5)):
        found = policy.evaluate(
            policy.AdditiveQLearner(), X, A, outcome, scores=scores, n_splits=n_splits
        )
        alone = policy.augmented_value(scores, found.advice)
        wide = found.value
        assert wide.standard_error == pytest.approx(factor * alone.standard_error)
        more = (factor - 1) * alone.standard_error * stats.norm.ppf(0.975)
        assert (wide.low, wide.high) == pytest.approx(
            (alone.low - more, alone.high + more)
        )


def test_scores_of_more_combinations_than_memory_holds_are_refused():
    random = np.random.default_rng(1)
    A = random.choice([-1, 1], (140_000, 12))
    X, outcome = random.normal(size=(2, len(A)))
    with pytest.raises(InputError, match="scores of every combination: 8.5 GiB asked"):
        policy.augmented_scores(X[:, None], A, outcome)


def combinations_taken(count):
    return combinations(count)[None] > 0


def test_cross_fitted_value_never_scores_a_person_by_a_rule_that_saw_them(cohort):
    X, A, drop = (part[:500] for part in (cohort[0].to_numpy(), *cohort[1:]))
    fitted, asked = [], []

    class Spy:
        def fit(self, X, A, outcome):
            fitted.append(X)
            return self

        def predict(self, X):
            asked.append(X)
            return np.ones((len(X), 4), int)

    found = policy.evaluate(Spy, X, A, drop)
    assert found.recommended.shape == A.shape and found.overlap.people == 500
    assert sum(map(len, asked)) == 500
    for train, rest in zip(fitted, asked, strict=True):
        rows = (set(map(tuple, frame.to_numpy())) for frame in (train, rest))
        assert not set.intersection(*rows)


# ------------------------------------------------------------------- splits and guard


def test_splits_are_the_study_s_912_and_227():
    given = cprd.arrays(cprd.sample())[1]
    parts = policy.splits(given, n_splits=3, seed=1)
    assert [(len(train), len(rest)) for train, rest in parts] == [(912, 227)] * 3
    assert all(len(set(train) | set(rest)) == 1139 for train, rest in parts)
    again = policy.splits(given, n_splits=3, seed=1)
    np.testing.assert_array_equal(parts[2][1], again[2][1])


def test_stratified_splits_keep_the_shares_or_say_why_they_cannot():
    given = np.repeat(combinations(2), 10, axis=0)
    for _, rest in policy.splits(given, test_size=8, n_splits=5, stratify=True):
        assert np.bincount(combination_number(given[rest])).tolist() == [2, 2, 2, 2]
    alone = np.vstack([given, [[1, 1]]])[10:]
    alone = np.vstack([alone[alone.sum(axis=1) < 2], [[1, 1]]])
    with pytest.raises(InputError, match="cannot be stratified"):
        policy.splits(alone, test_size=8, stratify=True)
    with pytest.raises(InputError, match="stratify=False or more people"):
        policy.splits(given, test_size=3, stratify=True)


@pytest.mark.parametrize("test", [0, 40, 50])
def test_a_test_part_of_nobody_or_everybody_is_refused(test):
    with pytest.raises(InputError, match="from 1 to 39"):
        policy.splits(np.repeat(combinations(2), 10, axis=0), test_size=test)


def test_networks_trained_together_advise_as_one_alone_would():
    records = cprd.sample(300, seed=4, missing=False)
    X, A, drop = cprd.arrays(records)
    X = X.to_numpy()
    parts = policy.splits(A, test_size=60, n_splits=3, seed=1)
    trains = [(X[a], A[a], drop[a]) for a, _ in parts]
    tests = [X[b] for _, b in parts]
    together = policy.network_advice(trains, tests, steps=50)
    assert together.shape == (3, 60, 4)
    assert set(np.unique(together)) <= {-1, 1}
    alone = policy.network_advice(trains[:1], tests[:1], steps=50)
    assert (together[0] == alone[0]).mean() > 0.9  # only the random start differs


def test_networks_learn_from_the_cohort_and_naive_pairs_do_not():
    records = cprd.sample(4000, seed=4, missing=False)
    X, A, drop = cprd.arrays(records)
    new = cprd.sample(4000, seed=5, missing=False)[list(cprd.COVARIATES)]
    advice = policy.network_advice(
        [(X.to_numpy(), A, drop)], [new.to_numpy()], weights="augmented"
    )
    nothing = cprd.true_value([-1, -1, -1, -1], new)
    best = cprd.true_value(cprd.best_rule(new), new)
    assert cprd.true_value(advice[0], new) > nothing + 0.85 * (best - nothing)


def test_held_out_averages_imputations_first_and_then_splits():
    records = cprd.sample(200, seed=4, missing=False)
    X, A, drop = cprd.arrays(records)
    parts = policy.splits(A, test_size=50, n_splits=4, seed=1)
    same = policy.one_by_one(lambda: Everything())
    table = policy.held_out(
        [X, X], A, drop, parts, {"all": same}, truth=lambda d, rows: 7.0
    )
    assert len(table) == 8 and (table["all"] == 1).all()
    summary = policy.over_splits(table)
    by_split = table[table["imputation"] == 0]
    assert summary.loc["all", "N"] == pytest.approx(by_split["N"].mean())
    assert summary.loc["all", "N_se"] == pytest.approx(by_split["N"].std() / 2)
    assert summary.loc["all", "value"] == 7
    rows = parts[0][1]
    agree = (A[rows] == 1).all(axis=1)
    assert table["N"][0] == agree.sum()
    # With one chance for all who agree, T is their plain mean.
    assert table["T"][0] == pytest.approx(drop[rows][agree].mean())


class Everything:
    """A rule that advises everything to everybody."""

    def fit(self, X, A, outcome):
        return self

    def predict(self, X):
        return np.ones((len(X), 4), int)


def test_the_spread_of_divisions_widens_their_interval_and_more_do_not_narrow_it():
    """Equation (3.13) of Chernozhukov and others, a division at a time."""
    told = [(0.02, 0.010), (-0.01, 0.020), (0.05, 0.015), (0.02, 0.010)]
    each = [Estimate(v, v - 2 * se, v + 2 * se, se, n=90) for v, se in told]
    mean = (0.02 - 0.01 + 0.05 + 0.02) / 4
    variance = sum(se**2 + (v - mean) ** 2 for v, se in told) / 4
    found = policy.over_divisions(each)
    assert found.value == pytest.approx(mean) and found.n == 90
    assert found.standard_error == pytest.approx(variance**0.5)
    assert found.low == pytest.approx(mean - 1.959964 * variance**0.5)
    assert found.high == pytest.approx(mean + 1.959964 * variance**0.5)
    assert policy.over_divisions(each * 9).standard_error == found.standard_error
    alone = policy.over_divisions(each[:1])
    assert (alone.value, alone.standard_error) == (0.02, 0.010)
    nowhere = Estimate(float("nan"), reason="too little support")
    assert policy.over_divisions([each[0], nowhere]).reason == "too little support"
    with pytest.raises(InputError, match="number of estimates must be"):
        policy.over_divisions([])


def test_no_cell_under_ten_is_left_and_none_can_be_worked_out():
    random = np.random.default_rng(0)
    for _ in range(300):
        counts = pd.Series(random.integers(0, 40, random.integers(1, 17)))
        shown = disclosure.suppress_counts(counts.rename(str))
        assert (shown >= disclosure.MINIMUM_COUNT).all()
        if counts.sum() >= disclosure.MINIMUM_COUNT:
            assert shown.sum() == counts.sum()


def test_suppression_hides_small_numbers_also_zero():
    assert [disclosure.suppress(n) for n in (0, 9, 10, 1139)] == [
        "under 10",
        "under 10",
        "10",
        "1,139",
    ]


def test_rules_of_another_width_are_refused():
    with pytest.raises(InputError, match="recommends on 3 treatments, 2 were given"):
        policy.agreement([[1, 1]], [[1, 1, 1]])


@pytest.mark.parametrize("outcome", [[1.0, np.nan], [1.0]])
def test_outcomes_must_be_one_finite_number_a_person(outcome):
    given = [[1, 1], [1, -1]]
    with pytest.raises(InputError, match="outcome"):
        policy.matched_average(outcome, given, given, [0.5, 0.5])
