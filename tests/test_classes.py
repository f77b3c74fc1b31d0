"""The gate of classes: what is coded otherwise, or is no class, never gets a number."""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from sudlib import fairness, forests, leakage, multiclass_scores, scores, trials
from sudlib.classes import code_classes, code_column, code_outcomes
from sudlib.fairness.inputs import code_levels
from sudlib.files import InputError
from sudlib.networks.batches import check_pair
from sudlib.networks.heads import check_both_outcomes
from sudlib.oklahoma import smoten_audit
from sudlib.smoten import SMOTEN

RANDOM = np.random.default_rng(5)
TRUTH = np.array([1, 0] * 200)
# Everybody of group a is found, and nobody of group b.
GROUP = np.array(["a"] * 200 + ["b"] * 200)
FOUND = np.where(GROUP == "a", TRUTH, 0)
SCORE = RANDOM.random(400)
OTHER_ORDER = pd.Series(TRUTH).iloc[::-1]


def opportunity(y_true, y_pred, **more):
    return float(
        fairness.equal_opportunity_difference(
            y_true, y_pred, sensitive_features=GROUP, **more
        )
    )


@pytest.mark.parametrize(
    "kind",
    ["Int64", "boolean", "Float64", "int64[pyarrow]", "bool[pyarrow]", "category"],
)
def test_an_unfair_model_is_unfair_whatever_the_dtype(kind):
    given = FOUND.astype(bool) if "bool" in kind else FOUND
    assert opportunity(TRUTH, pd.Series(given).astype(kind)) == 1.0


@pytest.mark.parametrize(
    "predicted",
    [
        FOUND + 1,
        2 * FOUND - 1,
        FOUND * 2**60,
        np.rint(100 * SCORE),
        RANDOM.integers(0, 100, 400),
    ],
    ids=["1 and 2", "-1 and 1", "0 and 2^60", "per cent as floats", "per cent"],
)
def test_predictions_that_are_coded_otherwise_than_the_truth_are_refused(predicted):
    with pytest.raises(InputError, match="y_pred is coded otherwise than y_true"):
        opportunity(TRUTH, predicted)
    with pytest.raises(InputError, match="y_pred is coded otherwise than y_true"):
        multiclass_scores.measures(TRUTH, predicted)


@pytest.mark.parametrize("wrong", ["yes", "Yes ", "YES"])
def test_words_that_differ_in_case_or_blanks_are_refused_in_any_number_of_rows(wrong):
    with pytest.raises(InputError, match=f"{wrong!r} never occurs in y_true"):
        code_classes(y_true=["Yes", "No"], y_pred=[wrong, "No"])


def test_a_rare_class_that_is_predicted_and_never_true_is_a_class():
    true = ["a", "b", "c"] * 40
    predicted = [*true[:-1], "d"]
    assert code_classes(y_true=true, y_pred=predicted)[0] == ("a", "b", "c", "d")
    assert code_classes(y_true=["a", "b"], y_pred=["a", "c"])[0] == ("a", "b", "c")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code_classes(y_true=true, y_pred=predicted)
        with pytest.raises(UserWarning, match="are both coded alike"):
            code_classes(
                y_true=[*true, "e"], y_pred=[*predicted, "a"]
            )  # e is never predicted, d never true


def test_declared_classes_may_be_predicted_and_never_true():
    true = pd.Categorical(TRUTH, categories=[0, 1, 2])
    labels, (_, predicted) = code_classes(y_true=true, y_pred=FOUND + 1)
    assert labels == (0, 1, 2) and predicted.max() == 2
    labels, _ = code_classes([0, 1, 2], y_true=TRUTH, y_pred=FOUND + 1)
    assert labels == (0, 1, 2)


@pytest.mark.parametrize(
    "given",
    [
        [Decimal(str(round(each, 3))) for each in SCORE],
        pd.Categorical(SCORE.round(2)),
        SCORE.astype("float32"),
        np.where(SCORE > 0.5, np.inf, 0),
    ],
    ids=["decimal", "category", "float32", "infinite"],
)
def test_scores_are_no_classes_in_whatever_form(given):
    with pytest.raises(InputError, match="must hold classes, not scores such as"):
        opportunity(TRUTH, given)


def test_levels_that_differ_by_a_blank_only_are_refused():
    with pytest.raises(InputError, match="look alike"):
        code_column("sex", ["f", "f ", "m"])


def test_a_continuous_group_column_is_refused_and_rounded_doses_are_groups():
    with pytest.raises(InputError, match="cut it into bands"):
        fairness.demographic_parity_difference(TRUTH, FOUND, sensitive_features=SCORE)
    for target in (SCORE, SCORE.tolist()):
        with pytest.raises(InputError, match="y must hold levels"):
            fairness.Reweighing(sets="each").fit(pd.DataFrame({"g": GROUP}), target)
        with pytest.raises(InputError, match="y must hold levels"):
            fairness.interactions({"g": GROUP}, target, sizes=(1,))
    # Up to 100 levels are levels, or as many as half of the rows.
    for rows, most in ((150, 100), (400, 200)):
        for levels in (most, most + 1):
            doses = np.arange(rows) % levels / 7
            if levels == most:
                assert len(code_levels("dose", doses).levels) == most
            else:
                with pytest.raises(InputError, match="cut it into bands"):
                    code_levels("dose", doses)
    dose = np.where(GROUP == "a", 0.5, 1.5)
    assert fairness.equal_opportunity_difference(
        TRUTH, FOUND, sensitive_features=dose
    ) == pytest.approx(1)


@pytest.mark.parametrize("weight", [["1"] * 400, np.ones(400, complex)])
def test_weights_that_are_no_numbers_are_refused(weight):
    with pytest.raises(InputError, match="sample_weight must hold numbers"):
        opportunity(TRUTH, FOUND, sample_weight=weight)


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_no_unit_of_weight_changes_bounds(unit):
    def bounds(weight):
        found = fairness.assess(
            TRUTH,
            FOUND,
            sensitive_features=GROUP,
            sample_weight=weight,
            measures="demographic_parity_difference",
            n_resamples=50,
        )
        return found.worst[["value", "low", "high"]].to_numpy(float)

    weight = RANDOM.random(400)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(bounds(unit * weight), bounds(weight), rtol=1e-9)


def test_effective_sample_size_takes_weights_only():
    assert fairness.effective_sample_size([1, 1, 2]) == pytest.approx(16 / 6)
    for wrong in ([-1, 1, 1], ["1", "2"], [1, np.nan]):
        with pytest.raises(InputError, match="sample_weight"):
            fairness.effective_sample_size(wrong)


WRONG_OUTCOMES = {
    "text": TRUTH.astype(str),
    "1 and 2": TRUTH + 1,
    "-1 and 1": 2 * TRUTH - 1,
    "missing": np.where(np.arange(400) == 3, np.nan, TRUTH),
    "None": [None, *TRUTH[1:]],
    "words": np.where(TRUTH, "yes", "no"),
    "scores": SCORE,
    "too short": TRUTH[:9],
    "another order": OTHER_ORDER,
}


@pytest.mark.parametrize("wrong", WRONG_OUTCOMES.values(), ids=WRONG_OUTCOMES)
@pytest.mark.parametrize(
    "call",
    [
        trials.area,
        lambda outcome, score: trials.areas(outcome, {"m": score}, n_resamples=2),
        lambda outcome, score: scores.evaluate(outcome, score, n_resamples=2),
        scores.best_threshold,
        scores.calibration,
    ],
    ids=["area", "areas", "evaluate", "best_threshold", "calibration"],
)
def test_outcomes_are_0_and_1_of_the_same_people_or_refused(call, wrong):
    with pytest.raises(InputError):
        call(wrong, pd.Series(SCORE))


@pytest.mark.parametrize("name", ["text", "1 and 2", "missing", "words", "scores"])
@pytest.mark.parametrize(
    "call",
    [
        forests.split_general,
        forests.split_methadone,
        check_both_outcomes,
        lambda outcome: code_outcomes(outcome=outcome),
    ],
)
def test_outcomes_to_learn_from_are_0_and_1(call, name):
    with pytest.raises(InputError, match="must be 0 or 1"):
        call(WRONG_OUTCOMES[name])


@pytest.mark.parametrize(
    "kind", [bool, "Int64", "boolean", "category", "int64[pyarrow]"]
)
def test_an_area_is_scikit_learns_whatever_the_dtype(kind):
    outcome = pd.Series(TRUTH).astype(bool if "bool" in str(kind) else int)
    expected = roc_auc_score(TRUTH, SCORE)
    assert trials.area(outcome.astype(kind), SCORE) == pytest.approx(expected)
    table = trials.areas(outcome.astype(kind), {"m": SCORE}, n_resamples=5)
    assert table.loc["m", "value"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "score",
    [
        SCORE.astype(str),
        SCORE + 0j,
        pd.to_datetime(SCORE * 1e9),
        np.where(SCORE > 0.9, np.nan, SCORE),
        np.column_stack([SCORE, SCORE]),
    ],
    ids=["text", "complex", "dates", "missing", "two columns"],
)
def test_scores_are_finite_numbers_or_refused(score):
    for call in (trials.area, scores.best_threshold, scores.evaluate):
        with pytest.raises(InputError, match="score must"):
            call(TRUTH, score)


def test_a_share_is_of_known_outcomes_of_the_same_people():
    outcome, by = pd.Series([1, 0, None, 1]), pd.Series(list("aabb"))
    for kind in ("object", "Float64", "boolean"):
        found = trials.shares(outcome.astype(kind), by)
        assert found["value"].to_dict() == {"a": 0.5, "b": 1.0}
        assert found["people"].to_dict() == {"a": 2, "b": 1}
    for wrong in (
        pd.Series([0.5, 0.2, 0.1, 0.9]),
        pd.Series(["yes", "no", "no", "yes"]),
        pd.Series(["1", "0", "0", "1"]),
        pd.Series([1, 0, 0, 1], index=[0, 0, 1, 1]),
        pd.Series([1, 0, 0, 1], index=[7, 8, 9, 10]),
        pd.Series([1, 2, 1, 2]),
    ):
        with pytest.raises(InputError):
            trials.shares(wrong, by)
    for order in ([3, 1, 2, 0], [0, 1, 3]):
        found = trials.shares(outcome.loc[order], by)
        assert found["value"].to_dict() == {"a": 0.5, "b": 1.0}
    with pytest.raises(InputError, match="the group must be one of a, b"):
        trials.difference(trials.shares(outcome, by), "a", "z")
    with pytest.raises(InputError, match="events must be a whole number"):
        trials.share(2.5, 5)


def test_an_audit_matches_rows_and_takes_classes():
    X = pd.DataFrame({"a": RANDOM.integers(0, 3, 400), "los": TRUTH})
    quick = {"trees": 5, "shuffles": 1}
    assert leakage.audit(X, TRUTH, **quick).loc["late", "rings"]  # named "los"
    nested = X.set_axis(
        pd.MultiIndex.from_tuples([("x", "a"), ("x", "REASON")]), axis=1
    )
    assert leakage.audit(nested, TRUTH, **quick).loc["late", "detail"] == "REASON"
    for wrong in (OTHER_ORDER, SCORE, [None, *TRUTH[1:]], TRUTH[:9]):
        with pytest.raises(InputError):
            leakage.audit(X, wrong, **quick)
    with pytest.raises(InputError, match="X must be finite"):
        leakage.audit(X.assign(b=np.inf), TRUTH, **quick)


def test_rows_that_carry_other_indexes_are_not_balanced_together():
    X = pd.DataFrame({"a": RANDOM.integers(0, 3, 400)})
    for wrong in (OTHER_ORDER, pd.Series(TRUTH, index=range(7, 407))):
        with pytest.raises(InputError, match="different indexes"):
            SMOTEN(random_state=0).fit_resample(X, wrong)
        with pytest.raises(InputError, match="different indexes"):
            smoten_audit.audit_rows(X, wrong, 300)


@pytest.mark.parametrize(
    "call",
    [
        lambda: scores.f_beta(TRUTH, FOUND, beta=-1),
        lambda: scores.best_threshold(TRUTH, SCORE, beta=np.nan),
        lambda: scores.calibration(TRUTH, SCORE, bins=0),
        lambda: scores.evaluate(TRUTH, SCORE, threshold=np.nan),
        lambda: scores.evaluate_matrix([[1, 2], [3, "4"]]),
        lambda: multiclass_scores.from_confusion([[1, -1], [0, 1]]),
        lambda: multiclass_scores.from_confusion([[1, 1, 2], [0, 1, 1]]),
        lambda: multiclass_scores.report(TRUTH, FOUND, [0, 0, 1]),
        lambda: fairness.max_threshold(-0.3),
        lambda: fairness.max_threshold(np.nan),
    ],
)
def test_settings_that_mean_nothing_are_refused(call):
    with pytest.raises(InputError):
        call()


def test_numbers_beyond_a_floats_digits_stay_apart_beside_a_gap():
    numbers = [2**53, 2**53 + 1, None, 2**53]  # as pandas' floats the first two are one
    coded = code_column("hospital", numbers, "omit")
    assert coded.codes.tolist() == [0, 1, -1, 0]
    assert coded.levels == (2**53, 2**53 + 1)
    assert repr(code_column("g", list(np.array([1, 2]))).levels) == "(1, 2)"


@pytest.mark.parametrize("other", ["cafe\u0301", "caf\u00e9 ", "\u00a0caf\u00e9"])
def test_words_in_another_encoding_of_the_same_letters_look_alike(other):
    with pytest.raises(InputError, match="look alike"):
        code_column("place", ["caf\u00e9", other, "bar"])
    assert code_column("gene", ["AA", "Aa", "aa"]).levels == ("AA", "Aa", "aa")


def test_arrays_of_a_machine_with_the_other_order_of_bytes_are_read():
    outcome = np.array([0, 1, 1], np.dtype("int32").newbyteorder(">"))
    assert [each.tolist() for each in code_outcomes(y=outcome)] == [[False, True, True]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, np.nan], "labels has 1 missing values of 3"),
        ([[0], [1]], "labels must hold one value a row"),
        (["0", "0 "], "labels has levels that look alike"),
    ],
)
def test_labels_pass_the_gate_of_classes(labels, message):
    with pytest.raises(InputError, match=message):
        code_classes(labels, y_true=[0, 1])


def test_a_positive_class_is_one_class():
    with pytest.raises(InputError, match="pos_label must be one of the classes"):
        fairness.disparate_impact(
            [1, 0], [1, 0], sensitive_features=list("ab"), pos_label=np.array([1, 0])
        )


@pytest.mark.parametrize("kind", [bool, "Int8", "boolean", "category", object, float])
def test_outcomes_of_a_network_are_numbers_whatever_held_them(kind):
    outcome = check_pair(np.zeros((3, 2)), pd.Series([0, 1, 1]).astype(kind))[1]
    assert outcome.dtype.kind in "biuf" and outcome.astype(int).tolist() == [0, 1, 1]
    for wrong in ([0, None, 1], ["0", "1", "1"], [0, 0.3, 1]):
        with pytest.raises(InputError, match="completed must be 0 or 1"):
            check_pair(np.zeros((3, 2)), pd.Series(wrong))
