"""Verdicts, intervals and bias against hand-made cases, where a sign would show."""

import numpy as np
import pandas as pd
import pytest

from sudlib import fairness
from sudlib.fairness.comparison import Disparity
from sudlib.fairness.inference import judge, resampled_disparities, verdict
from sudlib.files import InputError


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        ("ratio", 0.8, 0.9, "passes"),
        ("ratio", 0.79, 0.9, "inconclusive"),
        ("ratio", 0.7, 0.8, "inconclusive"),
        ("ratio", 0.7, 0.79, "fails"),
        ("difference", 0.1, 0.2, "passes"),
        ("difference", 0.1, 0.21, "inconclusive"),
        ("difference", 0.2, 0.3, "inconclusive"),
        ("difference", 0.21, 0.3, "fails"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(kind, low, high, expected):
    found = Disparity(0.5, lowest_n=30, highest_n=31)
    assert verdict(found, low, high, kind) == expected
    for small in ({"lowest_n": 29}, {"highest_n": 29}):
        few = Disparity(0.5, **({"lowest_n": 90, "highest_n": 90} | small))
        assert verdict(few, low, high, kind) == "inconclusive"
    nothing = Disparity(np.nan, reason="no rows")
    assert verdict(nothing, low, high, kind) == "undefined"


def test_without_an_interval_the_value_decides():
    for value, kind, expected in (
        (0.85, "ratio", "passes"),
        (0.75, "ratio", "fails"),
        (0.15, "difference", "passes"),
        (0.25, "difference", "fails"),
    ):
        assert verdict(Disparity(value), np.nan, np.nan, kind) == expected


@pytest.mark.parametrize(
    ("value", "resampled", "kind", "expected"),
    [
        # Resamples of a ratio lie 0.15 too low; moved back, they pass.
        (0.95, 0.80, "ratio", "passes"),
        (0.82, 0.72, "ratio", "inconclusive"),
        (0.70, 0.60, "ratio", "fails"),
        # Resamples of a difference lie too high; moved back, they pass.
        (0.10, 0.20, "difference", "passes"),
        (0.19, 0.27, "difference", "inconclusive"),
        (0.30, 0.40, "difference", "fails"),
        # And the other way: the resamples look fairer than the sample.
        (0.75, 0.85, "ratio", "fails"),
        (0.30, 0.20, "difference", "fails"),
    ],
)
def test_the_interval_is_moved_back_by_the_bias(value, resampled, kind, expected):
    drawn = resampled + np.linspace(-0.03, 0.03, 201)
    row = judge(Disparity(value), drawn, kind)
    assert row["bias"] == pytest.approx(resampled - value)
    assert row["low"] == pytest.approx(resampled - 0.0285)
    assert row["high"] == pytest.approx(resampled + 0.0285)
    assert row["verdict"] == expected


def test_a_percentile_interval_leaves_out_undefined_resamples_and_counts_them():
    drawn = np.r_[np.linspace(0.4, 0.6, 101), [np.nan] * 7]
    row = judge(Disparity(0.5), drawn, "ratio", confidence_level=0.8)
    assert (row["low"], row["high"]) == (pytest.approx(0.42), pytest.approx(0.58))
    assert row["undefined_draws"] == 7 and row["bias"] == pytest.approx(0)
    nothing = judge(Disparity(np.nan, reason="why"), drawn, "ratio")
    assert np.isnan([nothing[name] for name in ("value", "low", "high", "bias")]).all()
    assert (nothing["verdict"], nothing["reason"]) == ("undefined", "why")


def test_the_interval_of_a_skewed_measure_is_moved_back_in_a_report():
    """Many equal groups: resamples look less fair than the sample, and both less
    fair than the truth; the verdict must not be *fails* for a value above 0.8."""
    cells = 12
    predicted = np.tile(np.r_[np.ones(50), np.zeros(50)], cells).astype(int)
    groups = np.repeat(np.arange(cells), 100)
    row = fairness.assess(
        predicted,
        predicted,
        sensitive_features=groups,
        families=["joint"],
        measures=["demographic_parity_ratio"],
    ).worst.iloc[0]
    assert row["value"] == 1 and row["high"] < 0.95 and row["bias"] < -0.2
    assert row["low"] - row["bias"] > 0.8 > row["low"] + 1e-9
    assert row["verdict"] == "passes"
    difference = fairness.assess(
        predicted,
        predicted,
        sensitive_features=groups,
        families=["joint"],
        measures=["demographic_parity_difference"],
    ).worst.iloc[0]
    assert difference["bias"] > 0.1 and difference["verdict"] == "passes"


def make_people(rows=500, seed=3):
    """Return unbalanced, confounded classes, predictions and groups."""
    random = np.random.default_rng(seed)
    groups = pd.DataFrame(
        {
            "sex": random.choice(["f", "m"], rows, p=[0.3, 0.7]),
            "age": random.choice(["old", "young", "other"], rows, p=[0.5, 0.3, 0.2]),
        }
    )
    old = (groups["age"] == "old").to_numpy()
    true = (random.random(rows) < 0.3 + 0.25 * old).astype(int)
    predicted = random.random(rows) < 0.2 + 0.4 * true + 0.1 * (groups["sex"] == "m")
    return true, predicted.astype(int).to_numpy(), groups


def test_resamples_do_not_depend_on_how_many_are_held_at_once(monkeypatch):
    from sudlib.fairness import comparison, inference, tables

    true, predicted, groups = make_people()
    counts = tables.tabulate(true, predicted, groups)
    family = tables.families(counts, "each")
    chosen = comparison.compare(counts, family, "worst", 0, None)
    measures = ["equalized_odds_difference", "demographic_parity_ratio"]

    def draw():
        return resampled_disparities(chosen, measures, [[0], family.starts], 50, 7)

    whole = draw()
    for held in (1, 7 * 16 * len(counts.count)):
        monkeypatch.setattr(inference, "_AT_ONCE", held)
        for one, other in zip(whole, draw(), strict=True):
            for name in measures:
                np.testing.assert_array_equal(one[name], other[name])
    assert [each[measures[0]].shape for each in whole] == [(1, 50), (2, 50)]
    # The family is as unfair as the worst of its sets, in each resample.
    worst, alone = (each["demographic_parity_ratio"] for each in whole)
    assert (worst[0] <= alone.min(axis=0) + 1e-12).all()


def test_no_resamples_give_no_interval():
    true, predicted, groups = make_people()
    report = fairness.assess(
        true,
        predicted,
        sensitive_features=groups,
        families=[["sex"]],
        condition=groups["age"] == "old",
        n_resamples=0,
    )
    assert report.worst[["low", "high", "bias"]].isna().all(axis=None)
    assert (report.worst["undefined_draws"] == 0).all() and report.n == 500
    assert set(report.worst["verdict"]) <= {"passes", "fails"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_resamples": -1}, "n_resamples must be a whole number from 0 up, not -1"),
        ({"n_resamples": 10.5}, "n_resamples must be a whole number"),
        ({"n_resamples": True}, "n_resamples must be a whole number"),
        ({"confidence_level": 1.0}, "confidence_level must be a number above 0 below"),
        ({"confidence_level": 0}, "confidence_level must be a number above 0 below"),
        ({"measures": ["accuracy"]}, "measures must be one of demographic_parity_diff"),
        ({"agg": "best"}, "agg must be one of worst, mean, paper, not 'best'"),
        ({"families": []}, "family must hold at least one set"),
        ({"min_n": -1}, "min_n must be a whole number"),
    ],
)
def test_bad_requests_are_named(change, words):
    true, predicted, groups = make_people(60)
    with pytest.raises(InputError, match=words):
        fairness.assess(
            true, predicted, sensitive_features=groups, **{"families": [1]} | change
        )


def test_fair_null_needs_a_resample_and_a_known_measure():
    true, predicted, groups = make_people(60)
    for change, words in (
        ({"n_resamples": 0}, "n_resamples must be a whole number from 1"),
        ({"measure": "accuracy"}, "measure must be one of"),
    ):
        with pytest.raises(InputError, match=words):
            fairness.fair_null(true, predicted, sensitive_features=groups, **change)


def test_the_p_value_of_fair_null_has_the_right_tail():
    random = np.random.default_rng(2)
    sex = np.repeat(["f", "m"], [70, 130])
    blind = np.r_[random.permutation(70) < 35, random.permutation(130) < 65].astype(int)
    unfair = (random.random(200) < np.where(sex == "f", 0.2, 0.7)).astype(int)
    for measure in ("demographic_parity_ratio", "demographic_parity_difference"):
        found = {
            name: fairness.fair_null(
                said,
                said,
                sensitive_features=sex,
                family="each",
                measure=measure,
                n_resamples=199,
            )
            for name, said in (("blind", blind), ("unfair", unfair))
        }
        assert found["unfair"]["p"] == pytest.approx(1 / 200)
        # Rates that are equal are the fairest value there is: every draw is as unfair.
        assert found["blind"]["p"] == 1
        row = found["blind"]
        assert row["null_low"] < row["null_median"] < row["null_high"]
        assert row["undefined_draws"] == 0


def test_fair_null_keeps_the_rates_of_each_true_class_for_opportunity():
    """All predictions right: permuted within the true class, nothing changes."""
    true, _, groups = make_people(300)
    for measure in ("equal_opportunity_difference", "equalized_odds_difference"):
        null = fairness.fair_null(
            true, true, sensitive_features=groups, measure=measure, n_resamples=40
        )
        assert (null[["value", "null_low", "null_high"]] == 0).all()
    parity = fairness.fair_null(
        true,
        true,
        sensitive_features=groups,
        measure="demographic_parity_difference",
        n_resamples=40,
    )
    assert parity["null_low"] > 0


def test_fair_null_of_a_condition_takes_the_worst_level():
    true, predicted, groups = make_people(400)
    level = np.where(groups["age"] == "old", "a", "b")
    for measure in ("demographic_parity_ratio", "demographic_parity_difference"):
        at_levels = [
            float(
                getattr(fairness, measure)(
                    true[level == each],
                    predicted[level == each],
                    sensitive_features=groups["sex"][level == each],
                )
            )
            for each in "ab"
        ]
        null = fairness.fair_null(
            true,
            predicted,
            sensitive_features=groups["sex"],
            family="each",
            measure=measure,
            condition=level,
            n_resamples=20,
        )
        worst = min if measure.endswith("ratio") else max
        assert null["value"] == pytest.approx(worst(at_levels))


def test_conditional_rows_name_the_level_and_count_what_is_undefined():
    true, predicted, groups = make_people(400)
    level = np.where(groups["age"] == "old", "a", "b").astype(object)
    level[:3] = "c"
    groups = groups.assign(sex=np.where(level == "c", "m", groups["sex"]))
    arguments = dict(sensitive_features=groups["sex"], condition=level)
    found = fairness.conditional_statistical_parity_ratio(true, predicted, **arguments)
    assert found.n_undefined_levels == 1 and set(found.levels) == {"a", "b", "c"}
    report = fairness.assess(
        true, predicted, families=["each", "joint"], n_resamples=50, **arguments
    ).worst
    assert list(report["family"]) == ["each"] * 7 + ["joint"] * 7
    rows = report[report["measure"] == "conditional_statistical_parity_ratio"]
    assert len(rows) == 2
    for _, row in rows.iterrows():
        assert row["value"] == pytest.approx(float(found))
        words = f"at level {found.level!r} of the condition; 1 levels undefined"
        assert row["reason"] == words
        assert row["low"] < row["value"] + 0.1 and row["low"] < row["high"] <= 1
    alone = ["m"] * 400
    nothing = fairness.assess(
        true,
        predicted,
        sensitive_features=alone,
        condition=level,
        families=["each"],
        n_resamples=5,
    ).worst.iloc[-1]
    assert nothing["verdict"] == "undefined" and np.isnan(nothing["value"])
    assert nothing["reason"] == "undefined at each of the 3 levels of the condition"


def test_a_report_says_which_family_and_variables_each_row_is_of():
    true, predicted, groups = make_people(400)
    groups = groups.assign(third=np.arange(400) % 2)
    report = fairness.assess(
        true,
        predicted,
        sensitive_features=groups,
        families=["pairs", ["third"], "each"],
        measures=["demographic_parity_ratio", "equal_opportunity_ratio"],
        n_resamples=20,
    )
    assert list(report.worst["family"]) == ["pairs"] * 2 + ["chosen"] * 2 + ["each"] * 2
    sets = ["sex, age", "sex, third", "age, third", "third", "sex", "age", "third"]
    assert list(report.by_variables["variables"]) == list(np.repeat(sets, 2))
    assert list(report.rates.groupby("family", sort=False).size()) == [
        2 * (6 + 4 + 6),
        2 * 2,
        2 * (2 + 3 + 2),
    ]
    assert list(report.worst)[:7] == [
        *("family", "measure", "value", "low", "high", "verdict", "bias"),
    ]
    for name in ("pairs", "each"):
        expected = fairness.group_rates(
            true, predicted, sensitive_features=groups, family=name
        )
        rates = report.rates[report.rates["family"] == name].drop(columns="family")
        pd.testing.assert_frame_equal(rates.reset_index(drop=True), expected)
