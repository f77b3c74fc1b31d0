"""Group measures against brute force, fairlearn, aif360 and what must not change."""

import importlib.util
import itertools
import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sudlib import fairness
from sudlib.files import InputError

settings.register_profile("fairness", max_examples=40, deadline=None)
settings.load_profile("fairness")

MEASURES = tuple(fairness.MEASURES)


def need(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed, so nothing is held against it here")


@st.composite
def tables(draw, classes=(2, 4), columns=(1, 3), rows=(1, 40), weighted=False):
    """Draw true classes, predictions, group columns and weights."""
    count = draw(st.integers(*rows))
    k = draw(st.integers(*classes))
    label = st.integers(0, k - 1)
    column = st.lists(st.integers(0, 2), min_size=count, max_size=count)
    width = draw(st.integers(*columns))
    table = {
        "true": draw(st.lists(label, min_size=count, max_size=count)),
        "predicted": draw(st.lists(label, min_size=count, max_size=count)),
        "groups": pd.DataFrame({f"c{at}": draw(column) for at in range(width)}),
        "classes": k,
    }
    if weighted:
        weight = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.25])
        table["weight"] = draw(st.lists(weight, min_size=count, max_size=count))
    else:
        table["weight"] = [1.0] * count
    return table


# --------------------------------------------------------- an independent count


def brute_force(table, crossed, measure):
    """Return a measure by going through the rows, one group at a time."""
    frame, k = table["groups"], table["classes"]
    groups = []
    for names in crossed:
        levels = [sorted(set(frame[name])) for name in names]
        for combination in itertools.product(*levels):
            groups.append(
                [
                    row
                    for row in range(len(frame))
                    if all(
                        frame[name][row] == level
                        for name, level in zip(names, combination, strict=True)
                    )
                ]
            )

    def share(rows, hit, of):
        bottom = sum(table["weight"][r] for r in rows if of(r))
        top = sum(table["weight"][r] for r in rows if of(r) and hit(r))
        return top / bottom if bottom > 0 else None

    def rate(name, rows, cls):
        true, guess = table["true"], table["predicted"]
        if name == "selection_rate":
            return share(rows, lambda r: guess[r] == cls, lambda r: True)
        if name == "true_positive_rate":
            return share(rows, lambda r: guess[r] == cls, lambda r: true[r] == cls)
        return share(rows, lambda r: guess[r] == cls, lambda r: true[r] != cls)

    names, kind = fairness.MEASURES[measure]
    judged = [1] if k == 2 else range(k)
    found = []
    for cls in judged:
        parts, comparable = [], True
        for name in names:
            rates = [rate(name, rows, cls) for rows in groups if rows]
            rates = [value for value in rates if value is not None]
            if len(rates) < 2:
                comparable = False
            elif kind == "difference":
                parts.append(max(rates) - min(rates))
            elif max(rates) > 0:
                parts.append(min(rates) / max(rates))
        if comparable and parts:
            found.append(max(parts) if kind == "difference" else min(parts))
    if not found:
        return math.nan
    return max(found) if kind == "difference" else min(found)


def compute(table, measure, family="joint", **more):
    return getattr(fairness, measure)(
        table["true"],
        table["predicted"],
        sensitive_features=table["groups"],
        sample_weight=table["weight"],
        labels=range(table["classes"]),
        family=family,
        **more,
    )


@given(table=tables(weighted=True), measure=st.sampled_from(MEASURES))
def test_measures_match_brute_force_on_crossed_columns(table, measure):
    expected = brute_force(table, [tuple(table["groups"])], measure)
    assert float(compute(table, measure)) == pytest.approx(expected, nan_ok=True)


@given(
    table=tables(columns=(3, 3)),
    measure=st.sampled_from(MEASURES),
    size=st.sampled_from([1, 2]),
)
def test_measures_match_brute_force_on_overlapping_families(table, measure, size):
    crossed = {
        1: [("c0",), ("c1",), ("c2",)],
        2: [("c0", "c1"), ("c0", "c2"), ("c1", "c2")],
    }[size]
    expected = brute_force(table, crossed, measure)
    found = compute(table, measure, family=size)
    assert float(found) == pytest.approx(expected, nan_ok=True)


@given(table=tables(columns=(3, 3)))
@settings(max_examples=8)
def test_report_holds_the_same_numbers_as_the_functions(table):
    report = fairness.assess(
        table["true"],
        table["predicted"],
        sensitive_features=table["groups"],
        labels=range(table["classes"]),
        families=["each", "pairs"],
        n_resamples=0,
    )
    for row in report.worst.itertuples():
        expected = compute(table, row.measure, family=row.family)
        assert row.value == pytest.approx(float(expected), nan_ok=True)
    for row in report.by_variables.itertuples():
        expected = compute(
            table, row.measure, family=[tuple(row.variables.split(", "))]
        )
        assert row.value == pytest.approx(float(expected), nan_ok=True)


@given(table=tables(weighted=True), measure=st.sampled_from(MEASURES))
def test_the_groups_named_attain_the_extremes(table, measure):
    found = compute(table, measure)
    assume(not np.isnan(found) and found.rate is not None)
    rates = fairness.group_rates(
        table["true"],
        table["predicted"],
        sensitive_features=table["groups"],
        sample_weight=table["weight"],
        labels=range(table["classes"]),
    )
    rates = rates[rates["label"] == found.label].set_index("group")
    low = rates.loc[found.lowest]
    high = rates.loc[found.highest]
    assert low[found.rate] == rates[found.rate].min() == found.lowest_rate
    assert high[found.rate] == rates[found.rate].max() == found.highest_rate
    behind = {  # unweighted rows of which the rate is a share
        "selection_rate": lambda true: np.ones(len(true), bool),
        "true_positive_rate": lambda true: true == found.label,
        "false_positive_rate": lambda true: true != found.label,
    }[found.rate](np.array(table["true"]))
    columns = table["groups"].items()
    for group, n in ((found.lowest, found.lowest_n), (found.highest, found.highest_n)):
        named = zip(group.split(", "), columns, strict=True)
        here = [(column == int(word[-1])).to_numpy() for word, (_, column) in named]
        columns = table["groups"].items()
        assert n == (np.all(here, axis=0) & behind).sum()
    expected = (
        found.highest_rate - found.lowest_rate
        if measure.endswith("difference")
        else found.lowest_rate / found.highest_rate
    )
    assert float(found) == pytest.approx(expected)


# ------------------------------------------------------------ what must not change


@given(table=tables(weighted=True), measure=st.sampled_from(MEASURES), data=st.data())
def test_order_of_rows_does_not_matter(table, measure, data):
    order = data.draw(st.permutations(range(len(table["true"]))))
    mixed = table | {
        "true": [table["true"][at] for at in order],
        "predicted": [table["predicted"][at] for at in order],
        "weight": [table["weight"][at] for at in order],
        "groups": table["groups"].iloc[list(order)].reset_index(drop=True),
    }
    assert float(compute(mixed, measure)) == pytest.approx(
        float(compute(table, measure)), nan_ok=True
    )


@given(table=tables(weighted=True), measure=st.sampled_from(MEASURES))
def test_scale_of_weights_does_not_matter(table, measure):
    scaled = table | {"weight": [3.7 * weight for weight in table["weight"]]}
    assert float(compute(scaled, measure)) == pytest.approx(
        float(compute(table, measure)), nan_ok=True
    )


@given(table=tables(), measure=st.sampled_from(MEASURES))
def test_doubling_all_rows_is_a_weight_of_two_and_changes_nothing(table, measure):
    doubled = table | {
        "true": table["true"] * 2,
        "predicted": table["predicted"] * 2,
        "weight": table["weight"] * 2,
        "groups": pd.concat([table["groups"]] * 2, ignore_index=True),
    }
    once = float(compute(table, measure))
    assert float(compute(doubled, measure)) == pytest.approx(once, nan_ok=True)
    weighted = table | {"weight": [2.0] * len(table["true"])}
    assert float(compute(weighted, measure)) == pytest.approx(once, nan_ok=True)


@given(table=tables(weighted=True, columns=(2, 3)), family=st.sampled_from([1, 2]))
def test_equalized_odds_ratio_is_never_above_equal_opportunity_ratio(table, family):
    odds = compute(table, "equalized_odds_ratio", family=family)
    opportunity = compute(table, "equal_opportunity_ratio", family=family)
    if table["classes"] == 2 and not (np.isnan(odds) or np.isnan(opportunity)):
        assert odds <= opportunity + 1e-12
    difference = compute(table, "equalized_odds_difference", family=family)
    one = compute(table, "equal_opportunity_difference", family=family)
    if table["classes"] == 2 and not (np.isnan(difference) or np.isnan(one)):
        assert difference >= one - 1e-12


@given(table=tables(columns=(3, 3)), measure=st.sampled_from(MEASURES))
def test_more_groups_never_raise_a_worst_case_ratio(table, measure):
    few = compute(table, measure, family=[("c0",)])
    more = compute(table, measure, family=[("c0",), ("c1",)])
    most = compute(table, measure, family=[("c0",), ("c1",), ("c0", "c2")])
    values = [float(value) for value in (few, more, most) if not np.isnan(value)]
    if measure.startswith("equalized") and table["classes"] > 2:
        return  # a class may become comparable only with more groups; still monotone
    worse = sorted(values, reverse=measure.endswith("ratio"))
    assert values == pytest.approx(worse)


@given(table=tables(columns=(2, 2), rows=(5, 40)))
def test_crossing_two_columns_is_never_fairer_than_either_alone(table):
    rates = {
        family: compute(table, "demographic_parity_ratio", family=family)
        for family in ("each", "pairs")
    }
    alone = [
        compute(table, "demographic_parity_ratio", family=[(name,)])
        for name in table["groups"]
    ]
    known = [float(value) for value in alone if not np.isnan(value)]
    if known and not np.isnan(rates["pairs"]):
        assert float(rates["pairs"]) <= min(known) + 1e-12


# ------------------------------------------------------------ against other libraries


@given(table=tables(classes=(2, 2), rows=(8, 40), columns=(1, 2), weighted=True))
@settings(max_examples=12)
def test_binary_measures_equal_fairlearn_where_every_group_has_both_classes(table):
    need("fairlearn")
    from fairlearn import metrics

    rates = fairness.group_rates(
        table["true"],
        table["predicted"],
        sensitive_features=table["groups"],
        sample_weight=table["weight"],
        labels=[0, 1],
    )
    rates = rates[(rates["label"] == 1) & (rates["n"] > 0)]
    assume(len(rates) > 1)
    assume(rates[["true_positive_rate", "false_positive_rate"]].notna().all(axis=None))
    assume((rates[["true_positive_rate", "false_positive_rate"]].max() > 0).all())
    for measure in MEASURES:
        theirs = getattr(metrics, measure)(
            table["true"],
            table["predicted"],
            sensitive_features=table["groups"],
            sample_weight=table["weight"],
        )
        # A set of columns is counted by us alone; "joint" may be fairlearn's number.
        for family in ("joint", [tuple(table["groups"])]):
            ours = compute(table, measure, family=family)
            assert float(ours) == pytest.approx(float(theirs))


@pytest.mark.parametrize("measure", MEASURES)
def test_fairlearns_words_give_fairlearns_numbers(measure):
    need("fairlearn")
    from fairlearn import metrics

    true, predicted, groups = make_people(500)
    both = dict(sensitive_features=groups)
    choices = [{"method": "to_overall"}, {"method": "between_groups"}]
    if "odds" in measure:
        choices = [
            how | {"agg": agg} for how in choices for agg in ("worst_case", "mean")
        ]
    for how in choices:
        theirs = getattr(metrics, measure)(true, predicted, **both, **how)
        ours = getattr(fairness, measure)(true, predicted, **both, **how)
        assert float(ours) == pytest.approx(float(theirs))
        if how["method"] == "to_overall":
            assert "overall" in (ours.lowest, ours.highest)
            report = fairness.assess(true, predicted, **both, families="joint", **how)
            row = report.worst.set_index("measure").loc[measure]
            assert row["value"] == float(ours)
            assert row["low"] <= row["value"] <= row["high"]
    with pytest.raises(InputError, match="method must be one of between_groups, to_ov"):
        getattr(fairness, measure)(true, predicted, method="all", **both)


def test_fairlearn_calls_a_rate_over_nobody_zero_and_we_do_not():
    need("fairlearn")
    from fairlearn import metrics

    true, predicted = [1, 0, 0, 0], [1, 0, 1, 0]
    groups = ["a", "a", "b", "b"]
    arguments = dict(sensitive_features=groups)
    assert metrics.equal_opportunity_ratio(true, predicted, **arguments) == 0
    ours = fairness.equal_opportunity_ratio(true, predicted, **arguments)
    assert np.isnan(ours)
    assert ours.reason == "true_positive_rate is defined in 1 of 2 groups"


def test_fairlearn_takes_class_1_of_several_silently_and_we_take_all():
    need("fairlearn")
    from fairlearn import metrics

    true, predicted = [0, 1, 2, 0, 1, 2], [0, 1, 2, 2, 1, 2]
    groups = list("aaabbb")
    theirs = metrics.demographic_parity_ratio(
        true, predicted, sensitive_features=groups
    )
    assert theirs == 1
    ours = fairness.demographic_parity_ratio(true, predicted, sensitive_features=groups)
    assert float(ours) == 0
    assert ours.label == 0


def test_binary_measures_equal_aif360():
    need("aif360")
    from aif360.datasets import BinaryLabelDataset
    from aif360.metrics import BinaryLabelDatasetMetric, ClassificationMetric

    random = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "a": random.integers(0, 2, 300),
            "y": random.integers(0, 2, 300),
            "w": random.random(300),
        }
    )
    predicted = random.integers(0, 2, 300)
    keywords = dict(label_names=["y"], protected_attribute_names=["a"])
    made = BinaryLabelDataset(df=frame[["a", "y"]], **keywords)
    made.instance_weights = frame["w"].to_numpy()
    guessed = made.copy()
    guessed.labels = predicted.reshape(-1, 1).astype(float)
    groups = dict(unprivileged_groups=[{"a": 0}], privileged_groups=[{"a": 1}])
    theirs = BinaryLabelDatasetMetric(guessed, **groups)
    both = ClassificationMetric(made, guessed, **groups)
    ours = {
        name: getattr(fairness, name)(
            frame["y"],
            predicted,
            sensitive_features=frame["a"],
            sample_weight=frame["w"],
        )
        for name in MEASURES
    }
    impact = theirs.disparate_impact()
    assert ours["demographic_parity_ratio"] == pytest.approx(min(impact, 1 / impact))
    assert ours["demographic_parity_difference"] == pytest.approx(
        abs(theirs.statistical_parity_difference())
    )
    assert ours["equal_opportunity_difference"] == pytest.approx(
        abs(both.equal_opportunity_difference())
    )
    assert ours["equalized_odds_difference"] == pytest.approx(
        both.equalized_odds_difference()
    )


# ---------------------------------------------------------------------- intervals


def make_people(rows, seed=7):
    random = np.random.default_rng(seed)
    groups = pd.DataFrame(
        {
            "sex": random.choice(["f", "m"], rows, p=[0.35, 0.65]),
            "age": random.choice([1, 2, 3], rows),
        }
    )
    true = (random.random(rows) < 0.4).astype(int)
    predicted = random.random(rows) < 0.25 + 0.3 * true + 0.1 * (groups["age"] == 2)
    return true, predicted.astype(int).to_numpy(), groups


def test_bounds_of_two_groups_are_about_fairlearns_bootstrap():
    need("fairlearn")
    from fairlearn.metrics import MetricFrame, selection_rate

    true, predicted, groups = make_people(2000)
    frame = MetricFrame(
        metrics=selection_rate,
        y_true=true,
        y_pred=predicted,
        sensitive_features=groups["sex"],
        n_boot=150,
        ci_quantiles=[0.025, 0.975],
        random_state=3,
    )
    low, high = (float(end) for end in frame.ratio_ci())
    ours = fairness.assess(
        true,
        predicted,
        sensitive_features=groups["sex"],
        families=["joint"],
        measures=["demographic_parity_ratio"],
    ).worst.iloc[0]
    assert ours["low"] == pytest.approx(low, abs=0.03)
    assert ours["high"] == 1 or ours["high"] == pytest.approx(high, abs=0.03)


def test_weighted_bounds_are_about_those_of_a_bootstrap_over_rows():
    true, predicted, groups = make_people(3000)
    predicted = np.where((groups["sex"] == "m") & (true == 1), 1, predicted)
    weight = np.random.default_rng(2).exponential(size=3000)
    ours = fairness.assess(
        true,
        predicted,
        sensitive_features=groups["sex"],
        sample_weight=weight,
        families=["joint"],
        measures=["demographic_parity_difference"],
        n_resamples=4000,
    ).worst.iloc[0]
    random = np.random.default_rng(3)
    found = []
    men = (groups["sex"] == "m").to_numpy()
    for _ in range(2000):
        rows = random.integers(0, 3000, 3000)
        rates = [
            np.average(predicted[rows][here], weights=weight[rows][here])
            for here in (men[rows], ~men[rows])
        ]
        found.append(rates[0] - rates[1])
    low, high = np.quantile(found, [0.025, 0.975])
    assert low > 0
    assert ours["low"] == pytest.approx(low, abs=0.1 * (high - low))
    assert ours["high"] == pytest.approx(high, abs=0.1 * (high - low))


def test_intervals_depend_on_the_seed_alone():
    true, predicted, groups = make_people(300)
    arguments = dict(sensitive_features=groups, n_resamples=50)
    first = fairness.assess(true, predicted, seed=1, families=["each"], **arguments)
    again = fairness.assess(true, predicted, seed=1, families=["each"], **arguments)
    other = fairness.assess(true, predicted, seed=2, families=["each"], **arguments)
    pd.testing.assert_frame_equal(first.worst, again.worst)
    assert (first.worst["critical"] != other.worst["critical"]).any()


def test_fair_null_equals_shuffling_predictions():
    true, predicted, groups = make_people(400)
    for measure in ("demographic_parity_ratio", "equalized_odds_difference"):
        ours = fairness.fair_null(
            true,
            predicted,
            sensitive_features=groups,
            family="pairs",
            measure=measure,
            n_resamples=2000,
        )
        random = np.random.default_rng(4)
        found = []
        for _ in range(200):
            dealt = predicted.copy()
            strata = (
                [np.arange(400)]
                if "parity" in measure
                else [np.flatnonzero(true == label) for label in (0, 1)]
            )
            for rows in strata:
                dealt[rows] = random.permutation(dealt[rows])
            found.append(
                float(
                    getattr(fairness, measure)(
                        true, dealt, sensitive_features=groups, family="pairs"
                    )
                )
            )
        spread = ours["null_high"] - ours["null_low"]
        assert np.median(found) == pytest.approx(ours["null_median"], abs=0.08 * spread)
        low, high = np.quantile(found, [0.025, 0.975])
        assert low == pytest.approx(ours["null_low"], abs=0.15 * spread)
        assert high == pytest.approx(ours["null_high"], abs=0.15 * spread)


def test_conditional_fair_null_equals_shuffling_predictions_within_levels():
    random = np.random.default_rng(5)
    n = 400
    groups = pd.DataFrame(
        {name: random.integers(0, 2, n) for name in ("one", "two", "three")}
    )
    level = random.integers(0, 2, n)
    true = random.integers(0, 2, n)
    predicted = (random.random(n) < 0.3 + 0.3 * level).astype(int)
    ours = fairness.fair_null(
        true, predicted, sensitive_features=groups, condition=level, n_resamples=2000
    )

    def worst(said):
        return fairness.conditional_statistical_parity_ratio(
            true, said, sensitive_features=groups, condition=level, family="pairs"
        )

    assert ours["value"] == pytest.approx(worst(predicted))
    shuffled = []
    for _ in range(60):
        said = predicted.copy()
        for here in (level == 0, level == 1):
            said[here] = random.permutation(said[here])
        shuffled.append(float(worst(said)))
    spread = np.std(shuffled) / np.sqrt(60)
    assert abs(np.median(shuffled) - ours["null_median"]) < 6 * spread


def test_fair_null_says_that_a_fair_predictor_looks_unfair_over_pairs():
    random = np.random.default_rng(8)
    groups = pd.DataFrame(random.random((743, 9)) < 0.15).astype(int)
    predicted = (random.random(743) < 0.4).astype(int)
    null = fairness.fair_null(predicted, predicted, sensitive_features=groups)
    assert null["null_median"] < 0.5 and null["p"] > 0.01


# -------------------------------------------------------------- one gate for classes


@pytest.mark.parametrize("values", [[0] * 4, [1] * 4, [True] * 4, [False, True] * 2])
def test_zero_and_one_are_the_classes_also_when_only_one_of_them_occurs(values):
    counts = fairness.tabulate(values, values, sensitive_features=list("aabb"))
    assert counts.labels == (0, 1)


def public_calls(true, predicted, groups):
    """Yield a call of each public function that takes truth, prediction and groups."""
    for name in (*MEASURES, "group_rates", "tabulate", "assess", "fair_null"):
        yield (
            name,
            lambda name=name: getattr(fairness, name)(
                true,
                predicted,
                sensitive_features=groups,
                **({"family": "each"} if name == "fair_null" else {}),
            ),
        )
    yield (
        "conditional",
        lambda: fairness.conditional_statistical_parity_ratio(
            true, predicted, condition=["x"] * len(true), sensitive_features=groups
        ),
    )


@pytest.mark.parametrize(
    ("predicted", "words"),
    [
        (
            ["1", "0"] * 10,
            r"one kind: y_true holds numbers \(0, 1\), y_pred holds text",
        ),
        (["True", "False"] * 10, "classes must be of one kind"),
        ([0.25, 0.75] * 10, "not scores such as 0.25.*sudlib.scores.evaluate"),
        ([-1.5, 2.5] * 10, "not scores such as -1.5"),
        ([1, None] * 10, "y_pred has 10 missing values of 20"),
        ([1, np.nan] * 10, "y_pred has 10 missing values of 20"),
        ([1, pd.NA] * 10, "y_pred has 10 missing values of 20"),
        (range(20), None),
        (pd.Series([1, 0] * 10, index=range(1, 21)), "have different indexes"),
    ],
)
def test_truth_and_prediction_are_one_set_of_classes_everywhere(predicted, words):
    true = pd.Series([1, 0] * 10)
    for name, call in public_calls(true, predicted, list("aabba") * 4):
        if words is None:
            call()
            continue
        with pytest.raises(InputError, match=words):
            call()
            raise AssertionError(name)


def test_classes_as_floats_and_booleans_are_the_same_classes():
    true, predicted, groups = make_people(200)
    expected = fairness.equal_opportunity_ratio(
        true, predicted, sensitive_features=groups
    )
    for kind in (float, bool, "Int64", "category", object):
        found = fairness.equal_opportunity_ratio(
            pd.Series(true),
            pd.Series(predicted).astype(kind),
            sensitive_features=groups,
        )
        assert found == expected
    halves = fairness.tabulate(
        [0.5, 1.5], [0.5, 0.5], sensitive_features=["a", "b"], labels=[0.5, 1.5, 2.5]
    )
    assert halves.labels == (0.5, 1.5, 2.5)


def test_thousands_of_classes_are_refused_before_a_table_is_made():
    ids = np.arange(20_000)
    with pytest.raises(InputError, match="20,000 classes, at most 1,000"):
        fairness.tabulate(ids, ids, sensitive_features=ids % 2)
    scores = np.random.default_rng(0).random(20_000)
    with pytest.raises(InputError, match="y_pred must hold classes, not scores"):
        fairness.tabulate(ids % 2, scores, sensitive_features=ids % 2)
    many = np.arange(40_000) % 200
    with pytest.raises(InputError, match="200 classes in 40,000 cells"):
        fairness.group_rates(many, many, sensitive_features=np.arange(40_000))


def test_what_is_declared_is_kept_when_it_is_empty():
    sex = pd.Categorical(list("mmff"), categories=["m", "f", "x"])
    classes = pd.Categorical(["no", "yes"] * 2, categories=["yes", "no", "maybe"])
    counts = fairness.tabulate(classes, list(classes), sensitive_features=sex)
    assert counts.levels == (("m", "f", "x"),)
    assert counts.labels == ("yes", "no", "maybe")
    found = fairness.demographic_parity_ratio(
        classes, classes, sensitive_features={"sex": sex}, pos_label="yes"
    )
    assert (found, found.n_groups, found.n_empty) == (1, 3, 1)
    later = fairness.tabulate(
        ["no"] * 2, classes[:2], sensitive_features=["a", None], missing="level"
    )
    assert later.labels == ("yes", "no", "maybe")
    assert later.levels == (("a", "missing"),)


def test_two_columns_never_become_one():
    true, groups = [0, 1] * 4, list("aabbaabb")
    for frame in (
        pd.DataFrame({1: groups, "1": groups}),
        pd.DataFrame(np.array([groups, groups]).T, columns=["sex", "sex"]),
    ):
        with pytest.raises(InputError, match="more than one column called (1|sex)"):
            fairness.demographic_parity_ratio(true, true, sensitive_features=frame)
    with pytest.raises(InputError, match=r"levels that look alike: \[1, '1'\]"):
        fairness.tabulate([0, 1], [0, 1], sensitive_features=[1, "1"])
    with pytest.raises(InputError, match="look alike: .'missing', 'missing'"):
        fairness.tabulate(
            [0] * 3, [0] * 3, sensitive_features=["missing", None, "b"], missing="level"
        )


def test_rows_of_pandas_inputs_match_or_are_refused():
    true, predicted, groups = make_people(60)
    order = np.random.default_rng(0).permutation(60)
    frame = groups.assign(true=true, predicted=predicted).iloc[order]
    expected = fairness.demographic_parity_ratio(
        true, predicted, sensitive_features=groups
    )
    same = fairness.demographic_parity_ratio(
        frame["true"], frame["predicted"], sensitive_features=frame[["sex", "age"]]
    )
    assert same == expected
    for change in (
        {"sensitive_features": groups},
        {"sample_weight": pd.Series(np.ones(60))},
    ):
        arguments = {"sensitive_features": frame[["sex", "age"]]} | change
        with pytest.raises(InputError, match="different indexes"):
            fairness.demographic_parity_ratio(
                frame["true"], frame["predicted"], **arguments
            )
    with pytest.raises(InputError, match="condition and .* have different indexes"):
        fairness.fair_null(
            frame["true"],
            predicted,
            sensitive_features=groups["sex"].to_numpy(),
            family="each",
            condition=groups["age"],
        )


# ----------------------------------------------------------------- undefined and bad


def test_one_group_is_undefined_not_fair():
    for measure in MEASURES:
        found = getattr(fairness, measure)(
            [0, 1, 1], [0, 1, 0], sensitive_features=["a", "a", "a"]
        )
        assert np.isnan(found)
        assert found.reason == "there is only one group"


def test_zero_to_zero_is_undefined_and_its_difference_zero():
    arguments = dict(sensitive_features=["a", "a", "b", "b"])
    found = fairness.demographic_parity_ratio([0, 1, 0, 1], [0] * 4, **arguments)
    assert np.isnan(found) and "0 in every group (0/0)" in found.reason
    assert (
        fairness.demographic_parity_difference([0, 1, 0, 1], [0] * 4, **arguments) == 0
    )
    assert fairness.demographic_parity_ratio([0, 1] * 2, [0, 0, 0, 1], **arguments) == 0


def test_a_perfect_model_has_an_equalized_odds_ratio_of_one():
    true = [0, 1, 0, 1]
    found = fairness.equalized_odds_ratio(true, true, sensitive_features=list("aabb"))
    assert found == 1


def test_a_class_absent_from_truth_and_prediction_is_skipped_and_counted():
    true, groups = [0, 1, 0, 1], ["a", "a", "b", "b"]
    found = fairness.demographic_parity_ratio(
        true, true, sensitive_features=groups, labels=[0, 1, 2]
    )
    assert found == 1 and found.n_undefined_classes == 1


def test_empty_small_and_undefined_groups_are_counted_and_named():
    groups = pd.DataFrame({"a": [0] * 80 + [1] * 10, "b": [0] * 85 + [1] * 5})
    true = [0, 1] * 40 + [0] * 10
    found = fairness.equal_opportunity_ratio(true, true, sensitive_features=groups)
    assert (found.n_groups, found.n_empty, found.n_small) == (4, 1, 2)
    assert found.n_undefined == 2 and np.isnan(found)
    table = fairness.group_rates(true, true, sensitive_features=groups)
    positive = table[table["label"] == 1].set_index("group")
    assert positive.loc["a 0, b 1", "status"] == "empty"
    assert positive.loc["a 1, b 0", "status"] == "small"
    assert positive.loc["a 0, b 0", "status"] == "ok"
    assert "nobody of this class" in positive.loc["a 1, b 0", "reason"]


def test_min_n_leaves_small_groups_out_of_the_extremes():
    groups = ["a"] * 50 + ["b"] * 50 + ["c"] * 3
    predicted = [1, 0] * 25 + [1, 1, 0, 0, 0] * 10 + [0] * 3
    arguments = dict(sensitive_features=groups)
    every = fairness.demographic_parity_ratio(predicted, predicted, **arguments)
    large = fairness.demographic_parity_ratio(
        predicted, predicted, min_n=30, **arguments
    )
    assert every == 0 and every.lowest == "group c" and every.lowest_n == 3
    assert large == pytest.approx(0.8) and large.n_small == 1
    only = fairness.demographic_parity_ratio(
        predicted, predicted, min_n=99, **arguments
    )
    assert np.isnan(only) and only.reason.startswith("only 0 of 3 groups")


def test_a_small_group_that_attains_the_extreme_settles_nothing():
    groups = ["a"] * 5000 + ["b"] * 5000 + ["c"] * 3
    predicted = [1, 0] * 5000 + [0] * 3
    arguments = dict(sensitive_features=groups, families="joint", n_resamples=100)
    for min_n, expected in ((0, "cannot tell"), (30, "passes")):
        worst = fairness.assess(predicted, predicted, min_n=min_n, **arguments).worst
        verdicts = worst.set_index("measure")["verdict"]
        assert verdicts["demographic_parity_ratio"] == expected
        assert verdicts["demographic_parity_difference"] == expected


def test_smallness_is_judged_by_the_denominator_of_the_rate():
    """Hundreds of rows, but one or two of the class that the rate is about."""
    groups = ["a"] * 400 + ["b"] * 400
    for positives in (1, 2, 3):
        true = np.array(([1] * positives + [0] * (400 - positives)) * 2)
        report = fairness.assess(true, true, sensitive_features=groups)
        rows = report.worst.set_index("measure")
        for name in ("equal_opportunity_difference", "equalized_odds_ratio"):
            assert rows.loc[name, "verdict"] == "cannot tell"
            assert rows.loc[name, "n_small"] == 2
            assert rows.loc[name, "lowest_n"] == positives
        assert rows.loc["demographic_parity_difference", "verdict"] == "passes"
        rates = report.rates[report.rates["label"] == 1]
        assert (rates["status"] == "small").all()
        left_out = fairness.equal_opportunity_difference(
            true, true, sensitive_features=groups, min_n=4
        )
        assert np.isnan(left_out) and left_out.n_small == 2
        assert left_out.reason == "only 0 of 2 groups is large enough and not empty"


def test_n_small_counts_what_min_n_leaves_out():
    groups = ["a"] * 50 + ["b"] * 20 + ["c"] * 9
    said = ([0, 1] * 40)[:79]
    for min_n, expected in ((0, 2), (10, 1), (21, 2), (9, 0)):
        found = fairness.demographic_parity_difference(
            said, said, sensitive_features=groups, min_n=min_n
        )
        assert found.n_small == expected


def test_fewer_rows_than_groups_is_allowed_and_counted():
    groups = pd.DataFrame(np.eye(4, dtype=int))
    found = fairness.demographic_parity_ratio(
        [0, 1, 0, 1], [0, 1, 1, 1], sensitive_features=groups
    )
    assert (found.n_groups, found.n_empty, found.n_small) == (16, 12, 4)


def test_classes_never_predicted_have_a_rate_of_zero_not_undefined():
    found = fairness.demographic_parity_difference(
        [0, 1, 2, 0, 1, 2], [0, 1, 1, 0, 1, 1], sensitive_features=list("aaabbb")
    )
    assert found == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sensitive_features": ["a", None, "b", "b"]}, "1 missing values of 4"),
        ({"sensitive_features": ["a", "b"]}, "must have the same length"),
        ({"y_pred": [0, 1]}, "must have the same length"),
        ({"sample_weight": [1, 1, 1, -1]}, "at least 0"),
        ({"sample_weight": [1, 1, 1, np.nan]}, "finite"),
        ({"labels": [0, 2]}, r"not among \[0, 2\]: \[1\]"),
        ({"labels": [0, 1, 1]}, "must not repeat"),
        ({"pos_label": 7}, "pos_label must be one of"),
        ({"family": "quadruples"}, "family must be one of"),
        ({"family": 3}, "cannot cross 3 columns"),
        ({"family": [("unknown",)]}, "must be made of group"),
        ({"agg": "best"}, "agg must be one of"),
        ({"y_true": [0, 1, None, 1]}, "missing values"),
        ({"missing": "guess"}, "missing must be"),
    ],
)
def test_bad_input_is_named(change, words):
    arguments = {
        "y_true": [0, 1, 0, 1],
        "y_pred": [0, 1, 1, 1],
        "sensitive_features": ["a", "a", "b", "b"],
    } | change
    with pytest.raises(InputError, match=words):
        fairness.demographic_parity_ratio(**arguments)


def test_minus_one_and_one_are_two_classes_of_which_one_counts():
    random = np.random.default_rng(11)
    y, found = random.integers(0, 2, (2, 300))
    groups = {"sensitive_features": np.where(random.random(300) < 0.3, "a", "b")}
    for name in fairness.MEASURES:
        measure = getattr(fairness, name)
        signed = measure(2 * y - 1, 2 * found - 1, **groups)
        assert signed == measure(y, found, **groups) and signed.label == 1


def test_words_as_classes_need_a_positive_one():
    arguments = dict(sensitive_features=list("abab"))
    with pytest.raises(InputError, match="say with pos_label"):
        fairness.demographic_parity_ratio(list("ynyn"), list("yyyn"), **arguments)
    found = fairness.demographic_parity_ratio(
        list("ynyn"), list("yyyn"), pos_label="y", **arguments
    )
    assert found == 0.5


def test_no_rows_is_an_error():
    with pytest.raises(InputError, match="must have rows"):
        fairness.demographic_parity_ratio([], [], sensitive_features=[])


def test_missing_values_can_be_a_group():
    found = fairness.group_rates(
        [0, 1, 1], [0, 1, 1], sensitive_features=["a", None, "b"], missing="level"
    )
    assert set(found["group"]) == {"group a", "group b", "group missing"}


def test_missing_values_can_be_in_no_group_of_their_column():
    groups = pd.DataFrame({"a": ["x", "x", None, "y"], "b": ["u", "v", "u", "v"]})
    predicted = [1, 0, 1, 1]
    found = fairness.group_rates(
        predicted, predicted, sensitive_features=groups, family="each", missing="omit"
    )
    found = found[found["label"] == 1].set_index("group")
    assert found["n"].to_dict() == {"a x": 2, "a y": 1, "b u": 2, "b v": 2}
    alone = fairness.demographic_parity_ratio(
        predicted, predicted, sensitive_features=groups, family=["a"], missing="omit"
    )
    kept = fairness.demographic_parity_ratio(
        [1, 0, 1], [1, 0, 1], sensitive_features=["x", "x", "y"]
    )
    assert alone == kept == 0.5
    crossed = fairness.demographic_parity_ratio(
        predicted, predicted, sensitive_features=groups, missing="omit"
    )
    assert crossed == 0 and crossed.n_empty == 1
    with pytest.raises(InputError, match="no values at all"):
        fairness.demographic_parity_ratio(
            [0, 1], [0, 1], sensitive_features=[None, None], missing="omit"
        )


def test_groups_of_your_own_may_overlap():
    masks = {
        "women": [True, True, False, False],
        "older": [False, True, True, False],
    }
    found = fairness.demographic_parity_ratio([0, 1, 0, 1], [0, 1, 1, 1], family=masks)
    assert found == 0.5 and (found.lowest, found.highest) == ("women", "older")
    assert found.n_groups == 2


def test_masks_are_groups_and_what_they_leave_out_is_none():
    true, predicted = [0, 1, 1, 1, 0, 1], [0, 1, 0, 1, 1, 1]
    masks = {
        "empty": [False] * 6,
        "first": [True, True, True, False, False, False],
        "all": [True] * 6,
    }
    found = fairness.equal_opportunity_difference(true, predicted, family=masks)
    assert (found.lowest, found.highest) == ("first", "all")
    assert (found.n_groups, found.n_empty) == (3, 1)  # a declared group stays
    assert found == pytest.approx(3 / 4 - 1 / 2) and found.highest_n == 4
    with pytest.raises(InputError, match="'first' must be a mask of True and False"):
        fairness.equal_opportunity_difference(
            true, predicted, family=masks | {"first": list("aabbab")}
        )
    with pytest.raises(InputError, match="no group of the family has a row"):
        fairness.equal_opportunity_difference(
            true, predicted, family={"empty": [False] * 6}
        )
    with pytest.raises(InputError, match="one column or a table of columns"):
        fairness.equal_opportunity_difference(true, predicted)


def test_columns_may_come_in_any_form():
    true, predicted = [0, 1, 1, 0, 1], [1, 1, 0, 0, 1]
    one, two = list("xyxyy"), [1, 1, 2, 2, 2]
    expected = fairness.tabulate(
        true, predicted, sensitive_features={"group 0": one, "group 1": two}
    )
    array = np.array([one, two], dtype=object).T
    frame = pd.DataFrame({"group 0": one, "group 1": two}, index=range(9, 4, -1))
    for given_as in (array, frame):
        found = fairness.tabulate(true, predicted, sensitive_features=given_as)
        assert found.columns == expected.columns and found.levels == expected.levels
        np.testing.assert_array_equal(found.cells, expected.cells)
    named = pd.Series(one, name="sex", index=range(5, 10))
    for given_as, name in (
        (named, "sex"),
        (named.rename(None), "group"),
        (one, "group"),
    ):
        found = fairness.tabulate(true, predicted, sensitive_features=given_as)
        assert found.columns == (name,) and found.levels == (("x", "y"),)
    with pytest.raises(InputError, match="not ndarray of 3 dimensions"):
        fairness.tabulate(true, predicted, sensitive_features=np.zeros((5, 1, 1)))
    with pytest.raises(InputError, match="at least one column"):
        fairness.tabulate(true, predicted, sensitive_features={})


def test_levels_are_sorted_and_a_mixture_is_sorted_by_what_is_shown():
    found = fairness.tabulate([0] * 4, [0] * 4, sensitive_features=[10, 9, 2, 2])
    assert found.levels == ((2, 9, 10),)
    mixed = pd.Series([10, "missing", 2, 9], dtype=object)
    found = fairness.tabulate([0] * 4, [0] * 4, sensitive_features=mixed)
    assert found.levels == ((10, 2, 9, "missing"),)
    classes = np.array(["b", "1", "a"], dtype=object)
    words = fairness.tabulate(classes, classes[::-1], sensitive_features=[1, 2, 3])
    assert words.labels == ("1", "a", "b")


def test_counts_hold_every_row_once():
    true, predicted, groups = make_people(300)
    weight = np.random.default_rng(0).integers(0, 3, 300) / 2
    counts = fairness.tabulate(
        true, predicted, sensitive_features=groups, sample_weight=weight
    )
    assert counts.n == 300 and (counts.cells >= 0).all()
    rows = {}
    for row in range(300):
        cell = tuple(counts.levels[at].index(groups.iloc[row, at]) for at in range(2))
        key = (*cell, true[row], predicted[row])
        rows.setdefault(key, []).append(weight[row])
    expected = {key: (len(w), sum(w), sum(x**2 for x in w)) for key, w in rows.items()}
    keys = zip(
        counts.cells[counts.cell].tolist(), counts.truth, counts.predicted, strict=True
    )
    sums = zip(counts.count, counts.weight, counts.square, strict=True)
    found = {(*cell, t, p): each for (cell, t, p), each in zip(keys, sums, strict=True)}
    assert found == expected


def test_real_valued_weights_make_no_more_categories_than_none():
    true, predicted, groups = make_people(2000)
    plain = fairness.tabulate(true, predicted, groups)
    weight = np.random.default_rng(0).random(2000)
    counts = fairness.tabulate(true, predicted, groups, sample_weight=weight)
    assert len(counts.count) == len(plain.count)
    assert counts.weight.sum() == pytest.approx(weight.sum())


def test_many_columns_do_not_overflow_and_too_many_groups_are_refused(monkeypatch):
    random = np.random.default_rng(1)
    groups = pd.DataFrame(random.integers(0, 40, (60, 30)))
    groups = pd.concat([groups, groups.iloc[:20]], ignore_index=True)
    counts = fairness.tabulate([0, 1] * 40, [0] * 80, sensitive_features=groups)
    assert len(counts.cells) == 60
    levels = [
        [counts.levels[at].index(value) for at, value in enumerate(row)]
        for row in groups.iloc[:60].to_numpy().tolist()
    ]
    assert sorted(levels) == counts.cells.tolist()
    with pytest.raises(InputError, match="at most 200,000 are allowed"):
        fairness.families(counts, "joint")
    sizes = [len(each) for each in counts.levels[:2]]
    monkeypatch.setattr(fairness.tables, "_MOST_GROUPS", sizes[0] * sizes[1])
    assert len(fairness.families(counts, [("0", "1")])) == sizes[0] * sizes[1]
    monkeypatch.setattr(fairness.tables, "_MOST_GROUPS", sizes[0] * sizes[1] - 1)
    with pytest.raises(InputError, match="cross fewer columns at a time"):
        fairness.families(counts, [("0", "1")])


def test_families_have_every_combination_in_order_and_count_their_rows():
    groups = {"s": list("aabbb"), "t": [1, 2, 1, 3, 3], "u": list("vvvvw")}
    counts = fairness.tabulate([0, 1] * 2 + [1], [1] * 5, sensitive_features=groups)
    pairs = fairness.families(counts, "pairs")
    assert pairs.sets == [("s", "t"), ("s", "u"), ("t", "u")] and len(pairs) == 16
    assert pairs.starts.tolist() == [0, 6, 10] and pairs.name == "pairs"
    assert pairs.groups["group"].tolist()[:7] == [
        *("s a, t 1", "s a, t 2", "s a, t 3", "s b, t 1", "s b, t 2", "s b, t 3"),
        "s a, u v",
    ]
    assert pairs.groups["n"].tolist() == [
        1,
        1,
        0,
        1,
        0,
        2,
        2,
        0,
        2,
        1,
        2,
        0,
        1,
        0,
        1,
        1,
    ]
    assert (
        pairs.groups["variables"].tolist() == ["s, t"] * 6 + ["s, u"] * 4 + ["t, u"] * 6
    )
    three = fairness.families(counts, 3)
    assert three.name == "3 at a time" and three.sets == [("s", "t", "u")]
    chosen = fairness.families(counts, ["u", ("t", "s")])
    assert chosen.name == "chosen" and chosen.sets == [("u",), ("t", "s")]
    assert chosen.groups["group"].tolist()[:3] == ["u v", "u w", "t 1, s a"]
    assert fairness.families(counts).sets == [("s", "t", "u")]
    for family, words in (
        (4, "cannot cross 4 columns at a time, there are 3: s, t, u"),
        (0, "family must be a whole number from 1 up, not 0"),
        (True, "family must be a whole number"),
        ([()], "must be made of s, t, u, not nothing"),
        ([("s", "s")], "must name each column once"),
        ([], "family must hold at least one set of columns, got none"),
    ):
        with pytest.raises(InputError, match=words):
            fairness.families(counts, family)


def test_the_facts_of_a_disparity_add_up():
    groups = ["a"] * 80 + ["b"] * 29 + ["c"] * 62 + ["d"] * 5
    true = np.array([0, 1] * 40 + [0] * 29 + [0, 1] * 31 + [1] * 5)
    predicted = np.array([1, 0, 1, 1] * 44)
    plain = fairness.equalized_odds_difference(
        true, predicted, sensitive_features=groups
    )
    assert (plain.n_groups, plain.n_empty, plain.n_small) == (4, 0, 2)
    assert plain.n_undefined == 2 and plain.n_undefined_classes == 0
    large = fairness.equalized_odds_difference(
        true, predicted, sensitive_features=groups, min_n=30
    )
    assert (large.n_small, large.n_undefined) == (2, 0)
    assert large.lowest in ("group a", "group c") and large.reason == ""
    only = fairness.equalized_odds_difference(
        true, predicted, sensitive_features=groups, min_n=32
    )
    assert only.reason == "only 1 of 4 groups is large enough and not empty"
    assert only.lowest is None and np.isnan(only.lowest_rate)
    three = fairness.demographic_parity_difference(
        [0, 1, 1, 0], [0, 1, 1, 0], sensitive_features=list("aabb"), labels=[0, 1, 2]
    )
    assert three.n_undefined_classes == 0 and three.label in (0, 1)
    gap = fairness.equal_opportunity_difference(
        [0, 1, 1, 2], [0, 1, 1, 2], sensitive_features=list("abab")
    )
    assert np.isnan(gap.lowest_rate) == np.isnan(gap)


def test_rates_that_are_never_defined_together_have_a_reason():
    """Class 0 has two true positive rates and one false; class 2 the other way."""
    found = fairness.equalized_odds_difference(
        [0, 0, 0, 1], [0, 1, 0, 1], sensitive_features=list("aabb"), labels=[0, 1]
    )
    assert found.reason == "true_positive_rate is defined in 1 of 2 groups"
    found = fairness.equalized_odds_ratio(
        [0, 1, 0, 1], [0, 0, 0, 0], sensitive_features=list("aabb")
    )
    assert found.reason == (
        "true_positive_rate and false_positive_rate are 0 in every group (0/0)"
    )


def test_of_equal_extremes_a_difference_names_the_first_rate_a_ratio_the_last():
    true, predicted = [1, 1, 0, 0] * 2, [1, 1, 1, 1, 0, 0, 0, 0]
    arguments = dict(sensitive_features=list("aaaabbbb"))
    difference = fairness.equalized_odds_difference(true, predicted, **arguments)
    assert (difference, difference.rate) == (1, "true_positive_rate")
    ratio = fairness.equalized_odds_ratio(true, predicted, **arguments)
    assert (ratio, ratio.rate) == (0, "false_positive_rate")


def test_a_disparity_survives_pickling():
    found = fairness.demographic_parity_ratio([0, 1], [0, 1], sensitive_features=[0, 1])
    again = pickle.loads(pickle.dumps(found))
    assert again == found and again.__dict__ == found.__dict__


# -------------------------------------------------------------------- conditional


def test_conditional_parity_is_the_worst_of_the_levels():
    true, predicted, groups = make_people(900)
    level = np.random.default_rng(4).choice(["low", "high"], 900)
    found = fairness.conditional_statistical_parity_ratio(
        true, predicted, condition=level, sensitive_features=groups
    )
    each = {
        name: fairness.demographic_parity_ratio(
            true[level == name],
            predicted[level == name],
            sensitive_features=groups[level == name],
        )
        for name in ("low", "high")
    }
    assert found == min(each.values())
    assert found.levels == each
    report = fairness.assess(
        true,
        predicted,
        sensitive_features=groups,
        condition=level,
        families=["joint"],
        n_resamples=200,
    )
    row = report.worst.set_index("measure").loc["conditional_statistical_parity_ratio"]
    assert row["value"] == pytest.approx(float(found))
    assert row["low"] <= row["value"] + 0.05 and row["low"] < row["high"]


def test_a_level_with_one_group_is_undefined_skipped_and_counted():
    found = fairness.conditional_statistical_parity_ratio(
        [0, 1, 0, 1, 0],
        [1, 1, 1, 1, 0],
        condition=["x", "x", "x", "x", "y"],
        sensitive_features=["a", "b", "a", "b", "a"],
    )
    assert found == 1 and found.n_undefined_levels == 1
    assert np.isnan(found.levels["y"])


def test_a_condition_with_missing_values_is_an_error():
    with pytest.raises(InputError, match="condition has 1 missing"):
        fairness.conditional_statistical_parity_ratio(
            [0, 1], [0, 1], condition=["x", None], sensitive_features=["a", "b"]
        )


# ----------------------------------------------------------------- as study B has it


def test_paper_odds_are_the_distance_of_the_two_differences_and_warn():
    true = [1, 1, 0, 0, 1, 1, 0, 0]
    predicted = [1, 1, 1, 1, 0, 0, 0, 0]
    arguments = dict(sensitive_features=list("aaaabbbb"))
    with pytest.warns(fairness.PaperFormulaWarning, match="as unfair as can be"):
        paper = fairness.equalized_odds_difference(
            true, predicted, agg="paper", **arguments
        )
    assert paper == 0
    assert fairness.equalized_odds_difference(true, predicted, **arguments) == 1


def test_paper_parity_drops_empty_cells():
    true = [0, 1, 2, 0, 1, 1]
    arguments = dict(sensitive_features=list("aaabbb"))
    with pytest.warns(fairness.PaperFormulaWarning, match="becomes 1"):
        paper = fairness.demographic_parity_ratio(true, true, agg="paper", **arguments)
    assert paper == pytest.approx(0.5)
    assert fairness.demographic_parity_ratio(true, true, **arguments) == 0
    table = fairness.paper_class_table(
        true, sensitive_features={"group": list("aaabbb")}
    )
    table = table.set_index("label")
    assert table.loc[2, "paper_ratio"] == 1 and table.loc[2, "ratio"] == 0
    assert table.loc[2, "paper_difference"] == 0
    assert table.loc[2, "difference"] == pytest.approx(1 / 3)
    assert table["paper_satisfied"].all()


def test_paper_opportunity_counts_a_rate_over_nobody_as_zero_and_pools_classes():
    true, predicted = [0, 1, 2, 0, 1, 1], [0, 1, 2, 0, 0, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fairness.PaperFormulaWarning)
        paper = fairness.equal_opportunity_difference(
            true, predicted, sensitive_features=list("aaabbb"), agg="paper"
        )
    assert paper == 1  # class 2 has nobody in group b
    ours = fairness.equal_opportunity_difference(
        true, predicted, sensitive_features=list("aaabbb")
    )
    assert ours == pytest.approx(0.5) and ours.label == 1


def published_by_loops(table, measure):
    """Return study B's number as its notebooks read it off a table of rates."""
    frame, k = table["groups"]["c0"], table["classes"]
    names, kind = fairness.MEASURES[measure]
    rates = {name: {} for name in names}
    for name, cls, group in itertools.product(names, range(k), sorted(set(frame))):
        rows = [
            row
            for row in range(len(frame))
            if frame[row] == group
            and {
                "selection_rate": True,
                "true_positive_rate": table["true"][row] == cls,
                "false_positive_rate": table["true"][row] != cls,
            }[name]
        ]
        hits = sum(table["predicted"][row] == cls for row in rows)
        rates[name][cls, group] = hits / len(rows) if rows else 0.0
    judged = [1] if k == 2 else range(k)
    ends = {}
    for name in names:
        for cls in judged:
            of_class = [rates[name][cls, group] for group in sorted(set(frame))]
            if name == "selection_rate":
                of_class = [rate for rate in of_class if rate]
            ends[name, cls] = (
                (min(of_class), max(of_class)) if of_class else (math.nan, math.nan)
            )
    if kind == "ratio":
        ratios = [low / high for low, high in ends.values() if high > 0]
        return min(ratios) if ratios else math.nan
    if names == ("selection_rate",):
        gaps = [high - low for low, high in ends.values() if high > 0]
        return min(gaps) if gaps else math.nan
    pooled = [
        max(ends[name, cls][1] for cls in judged)
        - min(ends[name, cls][0] for cls in judged)
        for name in names
    ]
    return pooled[0] if len(pooled) == 1 else abs(pooled[0] - pooled[1])


@given(table=tables(columns=(1, 1), rows=(6, 40)), measure=st.sampled_from(MEASURES))
def test_published_measures_equal_a_reading_of_the_tables(table, measure):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fairness.PaperFormulaWarning)
        found = compute(table, measure, agg="paper")
    expected = published_by_loops(table, measure)
    assert float(found) == pytest.approx(expected, nan_ok=True)


@given(table=tables(classes=(3, 4), columns=(1, 1), rows=(12, 40)))
@settings(max_examples=12)
def test_the_mean_is_over_rates_and_classes_that_are_defined(table):
    for measure in MEASURES:
        names, kind = fairness.MEASURES[measure]
        rates = fairness.group_rates(
            table["true"],
            table["predicted"],
            sensitive_features=table["groups"],
            labels=range(table["classes"]),
        )
        of_classes = []
        for _, rows in rates.groupby("label"):
            if (rows[list(names)].notna().sum() < 2).any():
                continue
            low, high = rows[list(names)].min(), rows[list(names)].max()
            spread = high - low if kind == "difference" else low / high.replace(0, None)
            if spread.notna().any():
                of_classes.append(spread.astype(float).mean())
        expected = np.mean(of_classes) if of_classes else math.nan
        found = compute(table, measure, agg="mean")
        assert float(found) == pytest.approx(expected, nan_ok=True)


def test_paper_odds_subtract_the_smallest_rate_also_where_it_is_not_zero():
    """TPR 0.25 to 0.75, FPR 0.5 to 0.6: a difference of 0.5 and 0.1, not sums."""
    true = [1] * 8 + [0] * 20
    groups = ["a"] * 4 + ["b"] * 4 + ["a"] * 10 + ["b"] * 10
    predicted = [1, 0, 0, 0, 1, 1, 1, 0] + [1] * 5 + [0] * 5 + [1] * 6 + [0] * 4
    proper = fairness.equalized_odds_difference(
        true, predicted, sensitive_features=groups
    )
    assert proper == pytest.approx(0.5)
    with pytest.warns(fairness.PaperFormulaWarning):
        paper = fairness.equalized_odds_difference(
            true, predicted, sensitive_features=groups, agg="paper"
        )
    assert paper == pytest.approx(0.4)
    with pytest.warns(fairness.PaperFormulaWarning):
        ratio = fairness.equalized_odds_ratio(
            true, predicted, sensitive_features=groups, agg="paper"
        )
    assert ratio == pytest.approx(1 / 3)


def test_paper_warnings_point_at_the_caller_and_name_the_measure():
    arguments = dict(sensitive_features=list("aabb"), agg="paper")
    for measure in MEASURES:
        with pytest.warns(fairness.PaperFormulaWarning, match=measure) as said:
            getattr(fairness, measure)([0, 1, 0, 1], [0, 1, 1, 1], **arguments)
        assert said[0].filename == __file__
    with pytest.warns(fairness.PaperFormulaWarning) as said:
        fairness.assess(
            [0, 1, 0, 1],
            [0, 1, 1, 1],
            families=["joint"],
            measures=MEASURES[:2],
            n_resamples=0,
            **arguments,
        )
    assert len(said) == 2 and said[0].filename == __file__
    with pytest.warns(fairness.PaperFormulaWarning) as said:
        fairness.conditional_statistical_parity_ratio(
            [0, 1, 0, 1], [0, 1, 1, 1], condition=[1] * 4, **arguments
        )
    assert len(said) == 1 and said[0].filename == __file__


def test_thresholds_of_the_study_are_the_largest_that_fail():
    for difference, expected in (
        (0.01, 0.01),
        (0.009, 0.0),
        (0.96, 0.96),
        (1.0, 0.96),
        (0.11 - 4e-10, 0.06),
        (0.11 - 1e-12, 0.11),  # printed differences carry rounding errors
        (np.float32(0.11), 0.11),
    ):
        assert fairness.max_threshold(difference) == expected


def test_the_class_table_counts_groups_and_judges_variables():
    values = [0, 1, 2, 0, 1, 1, 0, 0, 1, 2]
    columns = {"g": list("aaabbbbbcc"), "h": list("pqpqpqpqpq")}
    weights = [1, 2, 1, 1, 1, 1, 1, 1, 1, 1]
    table = fairness.paper_class_table(
        values, sensitive_features=columns, sample_weight=weights
    ).set_index(["variable", "label"])
    rates = fairness.group_rates(
        values,
        values,
        sensitive_features=columns,
        sample_weight=weights,
        family="each",
    ).set_index(["variables", "label"])
    for key in table.index:
        rate = rates.loc[key, "selection_rate"]
        row, some = table.loc[key], rate[rate > 0]
        assert row["difference"] == pytest.approx(rate.max() - rate.min())
        assert row["ratio"] == pytest.approx(rate.min() / rate.max())
        assert row["paper_difference"] == pytest.approx(some.max() - some.min())
        assert row["paper_ratio"] == pytest.approx(some.min() / some.max())
        assert row["n_without"] == (rate == 0).sum()
        expected = fairness.max_threshold(row["paper_difference"])
        assert row["paper_max_threshold"] == expected
    for variable in columns:
        zero = (table.loc[variable, "paper_difference"].round(2) == 0).any()
        assert (table.loc[variable, "paper_satisfied"] == zero).all()
    assert len(table) == 6 and table["n_without"].sum() > 0


def test_the_default_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fairness.assess(
            *make_people(200)[:2],
            sensitive_features=make_people(200)[2],
            families=["each", "pairs"],
            n_resamples=20,
        )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda more: fairness.interactions(more, [0, 1] * 8, sizes=[]), "sizes must"),
        (
            lambda more: fairness.assess(
                [0, 1] * 8, [0, 1] * 8, sensitive_features=more, measures=[]
            ),
            "measures must name at least one",
        ),
    ],
)
def test_nothing_asked_for_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call({"a": ["x", "y"] * 8, "b": ["u"] * 8 + ["v"] * 8})


def test_one_size_and_one_family_may_stand_alone():
    groups, y = {"a": ["x", "y"] * 8, "b": ["u"] * 8 + ["v"] * 8}, [0, 1, 1, 0] * 4
    assert fairness.interactions(groups, y, sizes=2)["size"].tolist() == [2]
    found = fairness.assess(y, y, sensitive_features=groups, families=2, n_resamples=9)
    assert found.worst["family"].unique().tolist() == ["2 at a time"]
