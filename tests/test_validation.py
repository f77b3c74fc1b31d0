"""The gates that every room shares: numbers, seeds, levels, paths, frames."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from sudlib import (
    disclosure,
    encoding,
    estimates,
    fairness,
    files,
    leakage,
    mca,
    multiclass_scores,
    origin,
    policy,
    raking,
    records,
    scores,
    smoten,
    teds,
    twin,
    validation,
)
from sudlib.files import InputError
from sudlib.oklahoma import cohort
from sudlib.teds import cohorts
from sudlib.trials import ranking, share, shares

TRUTH = np.array([0, 1] * 30)
SCORE = np.random.default_rng(0).random(60)
GROUPS = {"sex": np.array(["f", "m", "m"] * 20), "age": np.array([1, 1, 2, 2] * 15)}
CHANCE = np.full(60, 0.5)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.1] * 1500 + ["0.2"], "not text such as '0.2'"),  # however late it comes
        ([0.1, b"0.2"], "not text such as b'0.2'"),
        (np.array([b"0.1", b"0.2"]), "not text such as b'0.1'"),
        (np.ones((3, 1)), r"must be one column, not of shape \(3, 1\)"),
        (sparse.csr_matrix([1.0, 2.0]), "must be one column, not of shape"),
        ([10**400], "must hold numbers"),
    ],
)
def test_what_is_no_column_of_numbers_is_refused_by_name(values, said):
    with pytest.raises(InputError, match=f"^score .*{said}"):
        validation.numbers("score", values)


def test_columns_of_other_libraries_hold_the_same_classes():
    for wrap in (pa.array, lambda each: pa.chunked_array([each])):
        found = fairness.demographic_parity_ratio(
            wrap(TRUTH), wrap(TRUTH[::-1]), sensitive_features=wrap(GROUPS["age"])
        )
        assert found == fairness.demographic_parity_ratio(
            TRUTH, TRUTH[::-1], sensitive_features=GROUPS["age"]
        )
    found = scores.evaluate(pa.array(TRUTH), pa.array(SCORE), n_resamples=5)
    assert found.n == 60


def test_tables_of_other_libraries_keep_the_names_of_their_columns():
    random = np.random.default_rng(1)
    X = pd.DataFrame({"age": random.normal(size=60), "bmi": random.normal(size=60)})
    A = pd.DataFrame({"met": np.sign(SCORE - 0.5), "ins": random.choice([-1, 1], 60)})
    rule = policy.AdditiveQLearner().fit(X, A, X["age"] * A["met"] + A["ins"])
    other = pa.Table.from_pandas(A[["ins", "met"]])
    judged = X, A, X["age"], 0.25
    assert rule.value(X, other, X["age"], 0.25) == rule.value(*judged)
    assert rule.value(*judged) != rule.value(X, A.to_numpy()[:, ::-1], *judged[2:])
    assert policy.Trial(pa.Table.from_pandas(X), other, X["age"]).arms[1:] == [
        "met",
        "ins",
        "ins + met",
    ]
    assert fairness.tabulate(TRUTH, TRUTH, other).columns == ("ins", "met")
    late = leakage.audit(
        other.append_column("LOS", [TRUTH]), TRUTH, trees=1, shuffles=1
    )
    assert late.loc["late", "detail"] == "LOS"
    made, _ = smoten.SMOTEN(random_state=0).fit_resample(other, TRUTH + (SCORE > 0.5))
    assert list(made) == ["ins", "met"]
    encoder = encoding.IntegerCodes().fit(pa.table({"AGE": [3, None]}))
    with pytest.raises(InputError, match="AGE is 99 in row 1"):
        encoder.transform(pa.table({"AGE": [99]}))


def test_a_column_of_records_and_labels_that_are_none_are_refused():
    record = np.rec.fromarrays([TRUTH, TRUTH], names="a, b")
    with pytest.raises(InputError, match="one value a row"):
        fairness.demographic_parity_ratio(TRUTH, TRUTH, sensitive_features=record)
    with pytest.raises(InputError, match="labels must list all classes, not 1"):
        fairness.demographic_parity_ratio(
            TRUTH, TRUTH, sensitive_features=GROUPS, labels=1
        )


SEEDED = {
    "scores.evaluate": lambda seed: scores.evaluate(TRUTH, SCORE, seed=seed),
    "scores.evaluate_matrix": lambda seed: scores.evaluate_matrix(
        [[5, 1], [2, 3]], seed=seed
    ),
    "multiclass_scores.measures": lambda seed: multiclass_scores.measures(
        TRUTH, TRUTH, n_resamples=5, seed=seed
    ),
    "fairness.assess": lambda seed: fairness.assess(
        TRUTH, TRUTH, sensitive_features=GROUPS, seed=seed
    ),
    "fairness.fair_null": lambda seed: fairness.fair_null(
        TRUTH, TRUTH, sensitive_features=GROUPS, n_resamples=5, seed=seed
    ),
    "fairness.interactions": lambda seed: fairness.interactions(
        GROUPS, TRUTH, sizes=[2], seed=seed
    ),
    "leakage.audit": lambda seed: leakage.audit(
        GROUPS["age"][:, None], TRUTH, seed=seed
    ),
    "mca.cluster": lambda seed: mca.cluster(np.eye(2)[TRUTH], 2, seed=seed),
    "mca.stability": lambda seed: mca.stability(pd.DataFrame(GROUPS), 2, seed=seed),
    "ranking.areas": lambda seed: ranking.areas(TRUTH, {"a": SCORE}, seed=seed),
    "policy.matched_interval": lambda seed: policy.matched_interval(
        SCORE, 2 * TRUTH[:, None] - 1, 2 * TRUTH[:, None] - 1, CHANCE, seed=seed
    ),
    "policy.splits": lambda seed: policy.splits(
        2 * TRUTH[:, None] - 1, test_size=20, seed=seed
    ),
    "policy.augmented_scores": lambda seed: policy.augmented_scores(
        SCORE[:, None], 2 * TRUTH[:, None] - 1, SCORE, seed=seed
    ),
    "cohort.make_cohort": lambda seed: cohort.make_cohort(
        twin.sample(2019, 300), rows=100, seed=seed
    ),
}


@pytest.mark.parametrize("wrong", [-1, 2**32, 33.0, "33", None])
@pytest.mark.parametrize("name", SEEDED)
def test_what_is_no_seed_is_refused_by_name(name, wrong):
    with pytest.raises(InputError, match="^seed must be a whole number from 0 to"):
        SEEDED[name](wrong)


LEVELS = {
    "scores.evaluate": lambda level: scores.evaluate(
        TRUTH, SCORE, n_resamples=5, confidence_level=level
    ),
    "scores.evaluate_matrix": lambda level: scores.evaluate_matrix(
        [[5, 1], [2, 3]], n_resamples=5, confidence_level=level
    ),
    "estimates.mean_over_splits": lambda level: estimates.mean_over_splits(
        [0.5, 0.6], confidence_level=level
    ),
    "estimates.percentile_estimate": lambda level: estimates.percentile_estimate(
        0.5, [0.4, 0.6], confidence_level=level
    ),
    "trials.share": lambda level: share(1, 2, level),
}


@pytest.mark.parametrize("wrong", [95, 1, 0, "0.95", np.nan])
@pytest.mark.parametrize("name", LEVELS)
def test_a_confidence_level_lies_between_0_and_1(name, wrong):
    with pytest.raises(InputError, match="^confidence_level must be a number above 0"):
        LEVELS[name](wrong)


@pytest.mark.parametrize("wrong", [None, 5, b"twin", pd.DataFrame({"AGE": [1]})])
def test_what_is_no_path_is_refused_by_its_type(wrong):
    said = f"a path must be text or a pathlib.Path, not {type(wrong).__name__}"
    for door in (files.expand_path, teds.read, records.load):
        with pytest.raises(InputError, match=said):
            door(wrong)


@pytest.mark.parametrize(
    "wrong", [None, {"SUB1": [2]}, np.zeros((2, 2)), pd.Series([1])]
)
def test_records_are_a_frame(wrong):
    for door in (cohorts.heroin, encoding.derive_flags, origin.origin_of):
        with pytest.raises(InputError, match="records must be a pandas DataFrame, not"):
            door(wrong)


def test_groups_of_one_name_are_kept_when_one_of_them_is_small():
    counts = pd.Series([40, 3, 12], index=["a", "a", "b"])
    assert disclosure.suppress_counts(counts).to_dict() == {"a": 40, "all others": 15}
    for wrong in (3.7, np.nan, "30"):
        with pytest.raises(InputError, match="counts"):
            disclosure.suppress_counts({"a": wrong, "b": 40})


def test_scores_may_have_any_name_and_groups_that_look_alike_are_refused():
    table = ranking.areas(TRUTH, {"outcome": SCORE, 1: SCORE}, n_resamples=5)
    assert table.index.tolist() == ["outcome", 1]
    few = ranking.areas([1, 1, 0, 0, 0], {"a": [0.9, 0.8, 0.1, 0.1, 0.1]})
    assert few.loc["a", ["low", "high"]].round(3).tolist() == [0.158, 1]
    with pytest.raises(InputError, match="by has levels that look alike"):
        shares(pd.Series([1, 0, 1]), pd.Series([1, "1", 2]))


MASKED = np.ma.masked_array([[5, 1], [2, 3]], mask=[[True, False], [False, False]])
TABLES = {
    "scores.evaluate_matrix": lambda table: scores.evaluate_matrix(
        table, n_resamples=5
    ),
    "multiclass_scores.from_confusion": multiclass_scores.from_confusion,
    "raking.rake": lambda table: raking.rake(table, [((0,), [30, 70])]),
    "policy.best_within": lambda table: policy.best_within(table, np.ones((2, 2)), 1),
    "policy.best_combination": lambda table: policy.best_combination(table, 2),
    "policy.value_search": lambda table: policy.value_search(np.eye(2), table),
    "disclosure.join_small_rows": disclosure.join_small_rows,
    "fairness.detectable_difference": fairness.detectable_difference,
}


@pytest.mark.parametrize(
    "wrong",
    [MASKED, [["5", "1"], ["2", "3"]], [[5, np.nan], [2, 3]], [[5, 1j], [2, 3]], None],
    ids=["masked", "text", "missing", "complex", "none"],
)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_holds_finite_numbers(name, wrong):
    TABLES[name](MASKED.data)
    with pytest.raises(InputError, match="must (hold numbers|be finite)"):
        TABLES[name](wrong)


def test_scores_of_splits_are_numbers():
    for wrong in (["0.5", "0.6"], [0.5, np.nan], np.ma.masked_less([0.5, 0.6], 0.6)):
        with pytest.raises(InputError, match="scores must"):
            estimates.mean_over_splits(wrong)
    with pytest.raises(InputError, match="number of scores must be"):
        estimates.mean_over_splits([])


@pytest.mark.parametrize("minimum", [np.nan, -1, 0, True, 9.5, "10"])
def test_a_minimum_that_hides_nobody_is_refused(minimum):
    for hide, counts in (
        (disclosure.suppress, 3),
        (disclosure.suppress_counts, {"a": 3, "b": 40}),
        (disclosure.join_small_rows, pd.DataFrame({"a": [3, 40]})),
    ):
        with pytest.raises(InputError, match="minimum must be a whole number from 1"):
            hide(counts, minimum=minimum)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([-1, 2], "rows must be at least 0"),
        ([0, 3], "whole numbers from 0 to 2, not 3"),
        ([0.5], "whole numbers from 0 to 2, not 0.5"),
        ([True, False], "True and False in rows must be 3, not 2"),
        (["0"], "rows must hold numbers"),
        (np.ma.masked_equal([0, 1], 1), "rows must be finite"),
    ],
)
def test_rows_are_named_from_0_up_or_by_true_and_false(rows, said):
    with pytest.raises(InputError, match=said):
        validation.places(rows, 3)
    for mask in ([True, False, True], pd.Series([1, 0, 1]).astype("boolean")):
        assert validation.places(mask, 3).tolist() == [0, 2]
    assert validation.places([2, 0, 2], 3).tolist() == [2, 0, 2]


def test_small_integer_types_do_not_overflow():
    counts = pd.DataFrame({"a": [4, 5, 120, 100, 3]}, dtype="int8")
    assert disclosure.join_small_rows(counts)["a"].to_dict() == {0: 129, 3: 103}


DESIGN = np.random.default_rng(2).normal(size=(60, 2))
GIVEN = np.random.default_rng(3).choice([-1, 1], (60, 2))
COURSE = policy.DiseaseCourse()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: policy.value_search(DESIGN, np.ones((60, 4)), alpha=-1), "alpha"),
        (lambda: policy.angle_based_rule(DESIGN, GIVEN, SCORE, 0.25, np.nan), "alpha"),
        (lambda: policy.boltzmann_start(DESIGN, True, 2), "each of nodes"),
        (lambda: policy.boltzmann_start(DESIGN, 3, 2, batch_size=0), "batch_size"),
        (lambda: policy.DiseaseCourse(noise=np.nan), "noise"),
        (lambda: COURSE.draw(5.0, 1), "people"),
        (lambda: COURSE.draw(5, [1, -2]), "seed"),
        (lambda: policy.combination_number(np.ones((1, 70))), "number of treatments"),
        (lambda: policy.agreement(GIVEN[:, :0], GIVEN[:, :0]), "number of treatments"),
        (lambda: policy.restricted_time([1, 2, 3], [1, 1, 0], 5), "horizon"),
        (lambda: policy.matched_average(SCORE * 1e200, GIVEN, GIVEN, 0.25), "largest"),
        (lambda: policy.matched_average(SCORE, GIVEN, GIVEN, 1e-320), "propensity"),
        (lambda: policy.over_divisions([0.5]), "estimates"),
        (lambda: fairness.Reweighing(sets="each", shrinkage=-1), "shrinkage"),
        (lambda: fairness.Reweighing(sets="each", max_iter=0), "max_iter"),
        (lambda: fairness.Reweighing(sets="each", min_n=2.5), "min_n"),
        (lambda: fairness.detectable_difference(10, rate=0), "rate"),
        (lambda: fairness.detectable_difference(10, critical=-1), "critical"),
        (lambda: raking.rake([[1]], [((0,), [1])], max_iter=0), "max_iter"),
        (lambda: mca.stability(pd.DataFrame([["x", None]] * 9), 2), "missing values"),
        (lambda: mca.stability(pd.DataFrame([["x", "y"]] * 9), 2), "all rows .* alike"),
        (lambda: scores.f_beta(TRUTH, TRUTH, 1e200), "beta"),
        (lambda: scores.evaluate_matrix([[10**19, 1], [1, 1]]), "matrix"),
        (lambda: scores.side_by_side([TRUTH]), "evaluations"),
        (lambda: scores.values({"a": 0.5}, "recall"), "evaluations"),
        (lambda: smoten.check_levels(pd.DataFrame({"a": [[1]]})), "one level a row"),
        (lambda: smoten.check_levels(pd.Series(["a"])), "table of columns"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(call, said):
    with pytest.raises(InputError, match=said):
        made = call()
        made.fit(pd.DataFrame(GROUPS), TRUTH)


def test_true_is_no_number_among_choices():
    for wrong in (True, np.True_):
        with pytest.raises(InputError, match="order must be one of 1, 2, not"):
            validation.check_choice("order", wrong, (1, 2))
    assert validation.check_choice("order", np.int64(1), (1, 2)) == 1
    assert validation.check_choice("flag", np.True_, (True, False))


def test_what_is_missing_altogether_is_said():
    for wrong in ({"completed": None, "score": SCORE}, {"score": None}):
        with pytest.raises(InputError, match="completed|score"):
            scores.evaluate(**{"completed": TRUTH, **wrong})
