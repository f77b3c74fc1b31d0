from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from sudlib import scores
from sudlib.files import InputError


def some_rows(n=400, share=0.3, seed=1, decimals=2):
    """Rows whose scores repeat, so that ties matter."""
    random = np.random.default_rng(seed)
    completed = random.random(n) < share
    score = np.clip(random.normal(0.35 + 0.25 * completed, 0.2), 0, 1).round(decimals)
    return completed, score


#: Each measure by scikit-learn, of (completed, predicted, score).
BY_SCIKIT_LEARN = {
    "f05": lambda truth, said, score: metrics.fbeta_score(truth, said, beta=0.5),
    "precision": lambda truth, said, score: metrics.precision_score(truth, said),
    "recall": lambda truth, said, score: metrics.recall_score(truth, said),
    "balanced_accuracy": lambda truth, said, score: metrics.balanced_accuracy_score(
        truth, said
    ),
    "accuracy": lambda truth, said, score: metrics.accuracy_score(truth, said),
    "f1": lambda truth, said, score: metrics.f1_score(truth, said),
    "average_precision": lambda truth, said, score: metrics.average_precision_score(
        truth, score
    ),
    "brier": lambda truth, said, score: metrics.brier_score_loss(truth, score),
}


def by_scikit_learn(completed, score, threshold):
    return {
        name: measure(completed, score >= threshold, score)
        for name, measure in BY_SCIKIT_LEARN.items()
    }


def test_every_value_is_scikit_learns():
    completed, score = some_rows()
    kept = scores.evaluate(completed, score, threshold=0.5, n_resamples=10)
    wanted = by_scikit_learn(completed, score, 0.5)
    assert kept.estimates.keys() == wanted.keys()
    for name, value in wanted.items():
        assert kept.estimates[name].value == pytest.approx(value, abs=1e-12)


def test_every_draw_equals_scikit_learn_on_the_resampled_rows():
    """The brute force: take the rows of each draw and ask scikit-learn."""
    completed, score = some_rows()
    kept = scores.evaluate(completed, score, threshold=0.5, n_resamples=60, seed=7)
    positives, negatives = np.flatnonzero(completed), np.flatnonzero(~completed)
    grid = kept.band["recall"].to_numpy()
    bands = []
    for draw, (first, second) in enumerate(scores.resamples(completed, 60, 7)):
        rows = np.concatenate([positives[first], negatives[second]])
        wanted = by_scikit_learn(completed[rows], score[rows], 0.5)
        for name, value in wanted.items():
            assert kept.draws[name][draw] == pytest.approx(value, abs=1e-12)
        precision, recall, _ = metrics.precision_recall_curve(
            completed[rows], score[rows]
        )
        # The highest threshold that reaches a recall has the smallest such recall.
        bands.append(
            [precision[np.flatnonzero(recall >= share - 1e-9)[-1]] for share in grid]
        )
    low, high = np.percentile(bands, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(kept.band["low"], low)
    np.testing.assert_allclose(kept.band["high"], high)


@pytest.mark.parametrize("measure", ["f05", "average_precision", "balanced_accuracy"])
def test_intervals_agree_with_scipys_bootstrap(measure):
    """Two samples, each drawn from itself, is SciPy's way to say stratified."""
    completed, score = some_rows(n=600)
    kept = scores.evaluate(
        completed, score, threshold=0.5, n_resamples=4000, band=False
    )

    def statistic(positive, negative):
        truth = np.repeat([True, False], [len(positive), len(negative)])
        joined = np.concatenate([positive, negative])
        return BY_SCIKIT_LEARN[measure](truth, joined >= 0.5, joined)

    peer = scipy.stats.bootstrap(
        (score[completed], score[~completed]),
        statistic,
        n_resamples=500,
        vectorized=False,
        method="percentile",
        random_state=3,
    )
    ours = kept.estimates[measure]
    width = peer.confidence_interval.high - peer.confidence_interval.low
    assert ours.low == pytest.approx(peer.confidence_interval.low, abs=0.12 * width)
    assert ours.high == pytest.approx(peer.confidence_interval.high, abs=0.12 * width)
    assert kept.draws[measure].std() == pytest.approx(peer.standard_error, rel=0.12)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Normal scores, so the true recall at the threshold is known."""
    truth = scipy.stats.norm.sf(0.5, 0.6, 0.25)
    random = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        completed = np.repeat([True, False], [150, 150])
        score = random.normal(0.35 + 0.25 * completed, 0.25)
        kept = scores.evaluate(completed, score, n_resamples=200, band=False)
        hits += kept.estimates["recall"].low <= truth <= kept.estimates["recall"].high
    assert 0.90 <= hits / 200 <= 0.985


def exact_f_beta(completed, predicted, beta):
    """F-beta as a fraction of whole numbers, from its definition."""
    pairs = list(zip(completed, predicted, strict=True))
    hits = sum(truth and said for truth, said in pairs)
    missed = sum(truth and not said for truth, said in pairs)
    false_alarms = sum(said and not truth for truth, said in pairs)
    weight = Fraction(beta) ** 2
    return (1 + weight) * hits / ((1 + weight) * hits + weight * missed + false_alarms)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40
    ).filter(lambda rows: any(completed for completed, _ in rows)),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_best_threshold_is_the_highest_of_the_best_with_ties(rows, beta):
    """Brute force over every threshold, in exact arithmetic."""
    completed = [row[0] for row in rows]
    score = [row[1] / 5 for row in rows]
    by_hand = {
        threshold: exact_f_beta(completed, [each >= threshold for each in score], beta)
        for threshold in set(score)
    }
    best = max(by_hand.values())
    highest = max(threshold for threshold, value in by_hand.items() if value == best)
    assert scores.best_threshold(completed, score, beta) == highest


def test_of_equally_good_thresholds_the_highest_flags_the_fewest():
    """F1 is 2/3 at 0.9 (1 of 2 found, no false alarm) and at 0.2 (2 found, 2 false)."""
    completed, score = [1, 0, 0, 1], [0.9, 0.5, 0.4, 0.2]
    assert exact_f_beta(completed, [1, 0, 0, 0], 1) == Fraction(2, 3)
    assert exact_f_beta(completed, [1, 1, 1, 1], 1) == Fraction(2, 3)
    assert scores.best_threshold(completed, score, beta=1) == 0.9


def test_the_curve_is_scikit_learns_with_ties_together():
    completed, score = some_rows(decimals=1)
    kept = scores.evaluate(completed, score, n_resamples=5)
    precision, recall, threshold = metrics.precision_recall_curve(completed, score)
    np.testing.assert_array_equal(kept.curve["precision"][::-1], precision)
    np.testing.assert_array_equal(kept.curve["recall"][::-1], recall)
    np.testing.assert_array_equal(kept.curve["threshold"][::-1][:-1], threshold)
    # The marked point is on the curve, ties at the threshold included.
    at = kept.curve[kept.curve["threshold"] == 0.5].iloc[0]
    assert kept.estimates["recall"].value == at["recall"]
    assert kept.estimates["precision"].value == at["precision"]


def test_the_printed_matrix_of_the_study_gives_its_printed_numbers():
    """Methadone forest: scores/README prints F0.5 .38149350649350655."""
    kept = scores.evaluate_matrix([[5290, 1400], [877, 799]])
    assert kept["f05"].value == pytest.approx(0.38149350649350655, abs=1e-15)
    assert kept["precision"].value == pytest.approx(0.3633469758981355, abs=1e-15)
    assert kept["recall"].value == pytest.approx(0.4767303102625298, abs=1e-15)
    assert kept["balanced_accuracy"].value == pytest.approx(
        0.6337313733674383, abs=1e-15
    )


def test_a_matrix_is_enough_for_the_interval_at_a_threshold():
    completed, score = some_rows(n=3000)
    kept = scores.evaluate(completed, score, n_resamples=4000, band=False)
    from_matrix = scores.evaluate_matrix(kept.matrix)
    for name, estimate in from_matrix.items():
        width = estimate.high - estimate.low
        assert kept.estimates[name].low == pytest.approx(estimate.low, abs=width / 15)
        assert kept.estimates[name].high == pytest.approx(estimate.high, abs=width / 15)


def test_undefined_is_nan_with_a_reason_never_zero():
    nobody_flagged = scores.evaluate(
        [0, 1, 1], [0.1, 0.2, 0.3], n_resamples=20
    ).estimates
    assert np.isnan(nobody_flagged["precision"].value)
    assert "predicted" in nobody_flagged["precision"].reason
    assert nobody_flagged["f05"].value == 0  # recall is 0: this one is defined
    nobody = scores.evaluate([0, 0, 0], [0.1, 0.2, 0.3], n_resamples=20)
    for name in ("recall", "average_precision", "f05", "balanced_accuracy"):
        assert np.isnan(nobody.estimates[name].value)
        assert nobody.estimates[name].reason
        assert str(nobody.estimates[name]).startswith("undefined (")
    assert nobody.band is None
    assert np.isnan(scores.f_beta([0, 0], [0, 0]))
    assert scores.evaluate([0, 1], [-3.0, 2.0], n_resamples=5).estimates["brier"].reason


def test_draws_without_a_value_are_counted_not_dropped_in_silence():
    kept = scores.evaluate([1, 1, 0, 0, 0], [0.9, 0.1, 0.2, 0.1, 0.1], n_resamples=400)
    reason = kept.estimates["precision"].reason
    assert reason.startswith("undefined in ") and reason.endswith("of 400 draws")


def test_the_same_seed_draws_the_same_people_for_two_models():
    completed, score = some_rows()
    first = scores.evaluate(completed, score, n_resamples=200)
    again = scores.evaluate(completed, score, n_resamples=200)
    assert scores.difference(first, again, "f05").high == 0
    worse = np.clip(score + np.random.default_rng(2).normal(0, 0.3, len(score)), 0, 1)
    second = scores.evaluate(completed, worse, n_resamples=200)
    gap = scores.difference(first, second, "average_precision")
    assert gap.low > 0
    unpaired = first.draws["f05"].std() ** 2 + second.draws["f05"].std() ** 2
    paired = (first.draws["f05"] - second.draws["f05"]).std() ** 2
    assert paired < unpaired
    other = scores.evaluate(completed, score, n_resamples=200, seed=1)
    with pytest.raises(InputError, match="same rows"):
        scores.difference(first, other, "f05")


def test_calibration_of_a_true_probability_lies_on_the_diagonal():
    random = np.random.default_rng(4)
    score = random.random(20_000)
    table = scores.calibration(random.random(20_000) < score, score)
    assert len(table) == 10 and table["n"].sum() == 20_000
    inside = (table["low"] <= table["score"]) & (table["score"] <= table["high"])
    assert inside.sum() >= 8


def test_calibration_keeps_equal_scores_together():
    table = scores.calibration([0, 1, 0, 1, 1, 0], [0.2, 0.2, 0.2, 0.2, 0.8, 0.8])
    assert table["n"].tolist() == [4, 2]
    assert table["observed"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("completed", "score", "words"),
    [
        ([0, 1], [0.1], "same length"),
        ([], [], "must have rows"),
        ([0, 2], [0.1, 0.2], "0 or 1"),
        ([0, 1], [0.1, np.nan], "finite"),
    ],
)
def test_what_cannot_be_scored_is_said(completed, score, words):
    with pytest.raises(InputError, match=words):
        scores.evaluate(completed, score)
    if words == "finite":
        with pytest.raises(InputError, match="none of the"):
            scores.best_threshold([0, 0], [0.1, 0.2])


def test_side_by_side_shows_what_each_has():
    completed, score = some_rows()
    table = scores.side_by_side(
        {
            "ours": scores.evaluate(completed, score, n_resamples=50),
            "printed": scores.evaluate_matrix([[5290, 1400], [877, 799]]),
        }
    )
    assert list(table.columns) == ["F0.5", "precision", "recall", "average precision"]
    assert table.loc["printed", "average precision"] == ""
    assert table.loc["printed", "F0.5"].startswith("0.381 (")


def test_what_is_left_out_has_the_default_that_is_documented():
    completed, score = some_rows()
    matrix = [[30, 10], [5, 15]]
    explicit = scores.evaluate(
        completed,
        score,
        threshold=0.5,
        n_resamples=1000,
        confidence_level=0.95,
        seed=33,
    )
    assert scores.evaluate(completed, score).draws.equals(explicit.draws)
    assert scores.evaluate(completed, score).estimates == explicit.estimates
    assert scores.evaluate_matrix(matrix) == scores.evaluate_matrix(
        matrix, n_resamples=10_000, confidence_level=0.95, seed=33
    )
    first, again = scores.resamples(completed), scores.resamples(completed, 1000, 33)
    assert [row.tolist() for row in next(first)] == [r.tolist() for r in next(again)]
    assert len(list(first)) == 999
    half = exact_f_beta(completed, score >= 0.6, 0.5)
    assert scores.f_beta(completed, score >= 0.6) == pytest.approx(float(half))
    chosen = scores.best_threshold(completed, score, 0.5)
    assert chosen == scores.best_threshold(completed, score)
    assert chosen != scores.best_threshold(completed, score, 2)
    ten = scores.calibration(completed, score, bins=10, confidence_level=0.95)
    assert scores.calibration(completed, score).equals(ten)
    assert list(ten.columns) == ["score", "observed", "low", "high", "n"]
    other = scores.evaluate(completed, 1 - score)
    assert scores.difference(explicit, other, "f1") == scores.difference(
        explicit, other, "f1", 0.95
    )


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_level_is_the_share_of_draws_between_the_ends(level):
    completed, score = some_rows()
    kept = scores.evaluate(completed, score, n_resamples=1000, confidence_level=level)
    noise = np.random.default_rng(3).normal(0, 0.1, len(score))
    worse = scores.evaluate(completed, np.clip(score + noise, 0, 1))
    gap = scores.difference(kept, worse, "average_precision", level)
    assert gap.low < gap.value < gap.high
    draws = kept.draws["average_precision"]
    estimate = kept.estimates["average_precision"]
    assert (draws < estimate.low).mean() == pytest.approx((1 - level) / 2, abs=0.002)
    assert (draws > estimate.high).mean() == pytest.approx((1 - level) / 2, abs=0.002)
    matrix = scores.evaluate_matrix(kept.matrix, confidence_level=level)["recall"]
    whole = scores.evaluate_matrix(kept.matrix)["recall"]
    assert whole.low < matrix.low < matrix.value < matrix.high < whole.high
    narrow = scores.calibration(completed, score, confidence_level=level)
    wide = scores.calibration(completed, score)
    assert (wide["low"] <= narrow["low"]).all() and (
        wide["high"] > narrow["high"]
    ).all()


def test_the_band_stands_at_every_hundredth_of_recall():
    completed, score = some_rows()
    band = scores.evaluate(completed, score, n_resamples=20).band
    np.testing.assert_allclose(band["recall"], np.arange(1, 101) / 100)
    assert (band["low"] <= band["high"]).all()
    assert scores.evaluate(completed, score, n_resamples=5, band=False).band is None


def test_each_class_is_drawn_from_itself_as_often_as_it_has_rows():
    completed = np.array([0, 1, 0, 0, 0])
    for positive, negative in scores.resamples(completed, 50, 1):
        assert positive.tolist() == [0]
        assert len(negative) == 4 and set(negative) <= {0, 1, 2, 3}
    (pair,) = scores.resamples([0, 0], 1)
    assert len(pair[0]) == 0 and len(pair[1]) == 2
    drawn = np.concatenate([n for _, n in scores.resamples(completed, 2000, 1)])
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), 0.25, atol=0.02)


@pytest.mark.parametrize("score", [[-0.5, 0.9], [0.2, 1.5]])
def test_a_score_beyond_zero_and_one_is_no_probability(score):
    kept = scores.evaluate([0, 1], score, n_resamples=5).estimates["brier"]
    assert np.isnan(kept.value) and kept.reason == "the score is not a probability"
    assert scores.evaluate([0, 1], [0.0, 1.0]).estimates["brier"].value == 0


def test_why_there_is_no_interval_is_said():
    none = scores.evaluate([0, 1], [0.2, 0.8], n_resamples=0).estimates["f05"]
    assert none.value == 1 and np.isnan(none.low) and none.reason == "no draws"
    lost = scores.difference(
        *(scores.evaluate([0, 0], [0.2, 0.8], n_resamples=9) for _ in range(2)),
        "recall",
    )
    assert np.isnan(lost.value) and lost.reason == "nobody completed"
    with pytest.raises(InputError, match="measure must be one of f05"):
        scores.difference(*[scores.evaluate([0, 1], [0.2, 0.8])] * 2, "f2")


def test_tables_hold_what_the_estimates_hold():
    completed, score = some_rows()
    kept = scores.evaluate(completed, score, n_resamples=50)
    table = kept.table
    assert list(table.index) == list(scores.MEASURES.values())
    assert table.index.name == "measure"
    recall = kept.estimates["recall"]
    row = [recall.value, recall.low, recall.high, recall.reason]
    assert table.loc["recall"].tolist() == row
    values = scores.values({"ours": kept}, "recall")
    assert values.loc["ours"].tolist() == row[:3] and values.dtypes.eq(float).all()
    assert kept.n == len(score)
    assert list(kept.curve) == ["precision", "recall", "threshold"]
    assert kept.curve["recall"].is_monotonic_increasing


def test_two_people_found_of_two_are_no_proof_of_a_recall_of_one():
    completed, score = [1, 1] + [0] * 500, [0.9, 0.8] + [0.1] * 500
    kept = scores.evaluate(completed, score, n_resamples=300).estimates
    exact = scipy.stats.binomtest(2, 2).proportion_ci(0.95, "exact")
    for name in ("recall", "precision", "average_precision"):
        assert kept[name].low == pytest.approx(exact.low) and kept[name].high == 1
    everybody = scipy.stats.binomtest(502, 502).proportion_ci(0.95, "exact").low
    assert kept["accuracy"].low == pytest.approx(everybody)
    for name in ("f05", "f1", "balanced_accuracy"):
        assert kept[name].low < 0.75 and kept[name].high == 1
    # Half of the balanced accuracy is the recall of two people.
    assert kept["balanced_accuracy"].low == pytest.approx((1 + exact.low) / 2, abs=0.01)
    printed = scores.evaluate_matrix([[500, 0], [0, 2]])
    assert printed["recall"] == kept["recall"] and printed["f05"] == kept["f05"]
    nobody = scores.evaluate([1] * 3 + [0] * 50, [0.1] * 53, n_resamples=50).estimates
    of_three = scipy.stats.binomtest(0, 3).proportion_ci(0.95, "exact").high
    assert (nobody["recall"].low, nobody["recall"].high) == (0, pytest.approx(of_three))
    assert nobody["f05"].high > 0.5
    both = [scores.evaluate(completed, score, n_resamples=300) for _ in range(2)]
    apart = scores.difference(*both, "recall")
    assert apart.value == 0  # Newcombe's ends: one of them at its limit, the other not
    assert (apart.low, apart.high) == pytest.approx((exact.low - 1, 1 - exact.low))
    none = scores.evaluate(completed, np.full(502, 0.1), n_resamples=300)
    apart = scores.difference(none, both[0], "recall")
    assert apart.value == apart.low == -1
    of_two = scipy.stats.binomtest(0, 2).proportion_ci(0.95, "exact").high
    assert apart.high == pytest.approx(-1 + np.hypot(of_two, 1 - exact.low))


def test_to_flag_everybody_or_nobody_settles_no_measure():
    # Three of three and two of two: the limits of Clopper and Pearson by hand.
    least, most = 0.025 ** (1 / 3), 1 - 0.025 ** (1 / 2)
    everybody = scores.evaluate_matrix([[0, 2], [0, 3]], n_resamples=200)
    precision, accuracy = everybody["precision"], everybody["accuracy"]
    ends = precision.low, precision.high, accuracy.low, accuracy.high
    found = 3 * least / (3 * least + 2), 3 / (3 + 2 * (1 - most))
    assert ends == pytest.approx((*found, 3 * least / 5, (3 + 2 * most) / 5))
    flat = scores.evaluate([0, 0, 1, 1, 1], [0.7] * 5, n_resamples=200).estimates
    found = flat["average_precision"]
    assert (found.low, found.high) == (precision.low, precision.high)
    # Nobody is positive: the share of those flagged may be as large as its limit.
    nobody = scores.evaluate_matrix([[5, 2], [0, 0]], n_resamples=200)
    assert nobody["f1"].value == nobody["f1"].low == 0
    assert nobody["f1"].high == pytest.approx(2 * most / (1 + most))
    assert nobody["precision"].high == pytest.approx(most)


def test_an_interval_that_can_vary_is_the_bootstraps_and_holds_its_value():
    random = np.random.default_rng(3)
    for _ in range(20):
        completed = np.r_[1, 0, random.random(28) < 0.3]
        score = np.clip(random.random(30) * 0.7 + 0.3 * completed, 0, 1)
        for kept in scores.evaluate(
            completed, score, n_resamples=60
        ).estimates.values():
            assert np.isnan(kept.value) or kept.low <= kept.value <= kept.high
    matrix = [[5290, 1400], [877, 799]]
    f05 = scores.evaluate_matrix(matrix)["f05"]
    assert (round(f05.low, 3), round(f05.high, 3)) == (0.365, 0.398)


@pytest.mark.parametrize(
    ("completed", "score", "words"),
    [
        (["0", "1"], [0.1, 0.2], "completed must be 0 or 1: classes must be of one"),
        ([0, None], [0.1, 0.2], "completed must be 0 or 1: .*1 missing value"),
        ([0.0, np.nan], [0.1, 0.2], "completed must be 0 or 1: .*1 missing value"),
        ([0.3, 0.8], [0.1, 0.2], "completed must be 0 or 1: .*not scores such as 0.3"),
        ([0, 1], ["0.1", "0.2"], "score must hold numbers, not text such as '0.1'"),
        ([0, 1], [0.1, None], "score must be finite; row 1 has nan"),
    ],
)
def test_every_function_says_what_truth_and_score_must_be(completed, score, words):
    for call in (scores.evaluate, scores.best_threshold, scores.calibration):
        with pytest.raises(InputError, match=words):
            call(completed, score)


def test_rows_of_another_index_and_matrices_of_another_shape_are_refused():
    completed = pd.Series([0, 1, 1], index=[2, 0, 1])
    score = pd.Series([0.2, 0.8, 0.6])
    for call in (scores.evaluate, scores.f_beta):
        with pytest.raises(InputError, match="different indexes"):
            call(completed, score)
    with pytest.raises(InputError, match="predicted must be 0 or 1: .* scores"):
        scores.f_beta([0, 1], [0.2, 0.8])
    for matrix in ([[1, 2]], [[1, -2], [3, 4]], [[1, 2.5], [3, 4]]):
        with pytest.raises(
            InputError, match="matrix must be (2 x 2 counts|at least 0)"
        ):
            scores.evaluate_matrix(matrix)


def test_net_benefit_counts_people_reached_in_vain_at_the_price_of_the_threshold():
    """By hand: at 0.75 one reached in vain cancels a third of one reached rightly."""
    outcome, score = [1, 0, 0, 1, 0], [0.9, 0.8, 0.3, 0.5, 0.1]
    table = scores.net_benefit(outcome, score, [0.25, 0.5, 0.75])
    assert table["model"].to_numpy() == pytest.approx(
        [2 / 5 - 2 / 5 / 3, 2 / 5 - 1 / 5, 1 / 5 - 1 / 5 * 3]
    )
    assert table["everybody"].to_numpy() == pytest.approx(
        [2 / 5 - 3 / 5 / 3, 2 / 5 - 3 / 5, 2 / 5 - 3 / 5 * 3]
    )
    assert table.index.tolist() == [0.25, 0.5, 0.75]


def test_a_score_that_knows_nothing_has_at_most_the_net_benefit_of_a_constant():
    random = np.random.default_rng(1)
    outcome, at = random.random(20_000) < 0.3, np.linspace(0.05, 0.95, 19)
    table = scores.net_benefit(outcome, random.random(20_000), at)
    assert (table["model"] <= table["everybody"].clip(lower=0) + 0.01).all()


@pytest.mark.parametrize("at", [[0, 0.5], [0.5, 1], []])
def test_net_benefit_has_no_price_at_0_or_1(at):
    with pytest.raises(InputError, match="thresholds must lie between 0 and 1"):
        scores.net_benefit([0, 1], [0.2, 0.8], at)


def test_only_draws_that_can_be_drawn_again_are_compared():
    completed, score = some_rows()
    for seed in (None, np.random.default_rng(1), np.random.RandomState(1)):
        with pytest.raises(InputError, match="seed must be a whole number"):
            scores.evaluate(completed, score, n_resamples=20, seed=seed)
    one = scores.evaluate(completed, score, n_resamples=20, seed=33)
    same = scores.evaluate(completed, score, n_resamples=20, seed=np.int64(33))
    nothing = scores.difference(one, same, "f05")
    assert (nothing.low, nothing.value, nothing.high) == (0, 0, 0)


def test_what_is_no_evaluation_or_measure_is_refused_by_name():
    one = scores.evaluate(*some_rows(), n_resamples=20)
    with pytest.raises(InputError, match="second must be what evaluate returned"):
        scores.difference(one, one.table, "f05")
    for call in (
        lambda: scores.values({"a": one}, "f0.5"),
        lambda: scores.side_by_side({"a": one}, ["f0.5"]),
    ):
        with pytest.raises(InputError, match="must be one of f05, precision"):
            call()
    assert list(scores.side_by_side({"a": one}, "f05")) == ["F0.5"]
    with pytest.raises(InputError, match="the rows of matrix must have one length"):
        scores.evaluate_matrix([[1, 2], [3]])


def test_one_person_is_no_proof_of_an_average_precision():
    completed = np.array([1] + [0] * 50)
    score = np.r_[0.7, np.linspace(0, 1, 50)]
    area = scores.evaluate(completed, score).estimates["average_precision"]
    assert area.low < 0.01 and area.high > 0.9


@pytest.mark.parametrize(
    "judge",
    [scores.calibration, lambda y, s: scores.net_benefit(y, s, [0.2])],
)
@pytest.mark.parametrize("score", [[10.0, 60.0], [-1.2, 0.4]])
def test_percentages_and_logits_are_no_probabilities(judge, score):
    with pytest.raises(InputError, match="each score, a probability, must be a number"):
        judge([0, 1], score)
