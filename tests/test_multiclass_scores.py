"""Scores are scikit-learn's, intervals those of drawing rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from sudlib import multiclass_scores
from sudlib.files import InputError


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("abc")),
        min_size=2,
        max_size=40,
    )
)
@settings(max_examples=60, deadline=None)
def test_measures_are_scikit_learns(pairs):
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    ours = multiclass_scores.measures(truth, predicted)
    assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    recalls = metrics.recall_score(
        truth, predicted, labels=np.unique(truth), average="macro"
    )
    assert ours["balanced_accuracy"] == pytest.approx(recalls)
    if len(set(truth)) == 1 or len(set(predicted)) == 1:
        assert np.isnan(ours["mcc"])  # scikit-learn says 0 where it is undefined
    else:
        theirs = metrics.matthews_corrcoef(truth, predicted)
        assert ours["mcc"] == pytest.approx(theirs, abs=1e-12)


def test_many_matrices_are_scored_as_each_alone():
    matrices = np.random.default_rng(0).integers(0, 9, (4, 5, 3, 3))
    together = multiclass_scores.from_confusion(matrices)
    for place in np.ndindex(4, 5):
        alone = multiclass_scores.from_confusion(matrices[place])
        for name, values in together.items():
            assert values[place] == pytest.approx(alone[name], nan_ok=True)


def test_interval_is_that_of_drawing_rows():
    random = np.random.default_rng(1)
    truth = random.choice(["a", "b"], 300, p=[0.7, 0.3])
    predicted = np.where(random.random(300) < 0.7, truth, "a")
    ours = multiclass_scores.measures(truth, predicted, n_resamples=4000)
    rows = random.integers(0, 300, (300, 300))
    for name, score in (
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
        ("mcc", metrics.matthews_corrcoef),
    ):
        low, high = np.percentile(
            [score(truth[draw], predicted[draw]) for draw in rows], [2.5, 97.5]
        )
        assert ours[f"{name}_low"] == pytest.approx(low, abs=0.02)
        assert ours[f"{name}_high"] == pytest.approx(high, abs=0.02)


def test_interval_of_what_is_undefined_in_every_resample_is_undefined():
    ours = multiclass_scores.measures(["a", "a"], ["a", "a"], n_resamples=20)
    assert (ours["accuracy_low"], ours["accuracy_high"]) == (1, 1)
    assert np.isnan([ours["mcc"], ours["mcc_low"], ours["mcc_high"]]).all()


def test_report_has_the_classes_in_the_order_given_and_says_what_is_undefined():
    truth, predicted = list("aaabbc"), list("aabbaa")
    table = multiclass_scores.report(truth, predicted, ["c", "b", "a", "d"])
    assert table["support"].tolist() == [1, 2, 3, 0]
    assert table.loc["a"].tolist()[:2] == [2 / 4, 2 / 3]
    assert table.loc["b"].tolist() == [1 / 2, 1 / 2, 1 / 2, 2]
    assert np.isnan(table.loc["c", "precision"]) and table.loc["c", "recall"] == 0
    assert table.loc["d"].isna().tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        (["a"], ["a", "b"], "the same length, not 1 and 2"),
        ([], [], "must have rows"),
        ([["a"]], ["a"], "y_true must be one column"),
        ([1, 0], ["1", "0"], "classes must be of one kind"),
        ([1.0, 0.0], ["1", "0"], "classes must be of one kind"),
        ([1, 0], [0.7, 0.2], "y_pred must hold classes, not scores"),
        (["a", "b"], ["a", None], "y_pred has 1 missing value"),
        (range(2000), range(2000), "2,000 classes, at most 1,000"),
    ],
)
def test_bad_input_is_named(truth, predicted, message):
    for call in (
        lambda: multiclass_scores.measures(truth, predicted),
        lambda: multiclass_scores.report(truth, predicted, ["a", "b"]),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_five_right_of_five_are_no_proof():
    found = multiclass_scores.measures(list("aabba"), list("aabba"), n_resamples=500)
    exact = stats.binomtest(5, 5).proportion_ci(0.95, "exact").low
    assert found["accuracy_low"] == pytest.approx(exact)
    assert found["balanced_accuracy_low"] < 0.75 and found["mcc_low"] < 0.6
    for name in multiclass_scores.SCORING:
        assert found[name] == found[f"{name}_high"] == 1
    # One class of two people, all right; the other varies.
    truth, predicted = ["a"] * 2 + ["b"] * 400, ["a"] * 2 + ["b"] * 300 + ["a"] * 100
    found = multiclass_scores.measures(truth, predicted, n_resamples=500)
    assert found["balanced_accuracy_low"] < 0.7 < found["balanced_accuracy"]


def test_every_interval_holds_its_value():
    random = np.random.default_rng(3)
    for _ in range(30):
        truth, predicted = random.integers(0, 3, (2, 12))
        found = multiclass_scores.measures(truth, predicted, n_resamples=40)
        for name in multiclass_scores.SCORING:
            if not np.isnan(found[name]):
                assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
