"""The claims: what is printed, the tolerance, the verdict, and what is shown."""

import json
import math
import os
import re
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.model_selection import train_test_split

from sudlib import book, fairness
from sudlib.files import InputError, data_file

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SUDLIB_SHARED", ROOT.parent / "shared"))
F05 = "a.general.forest.f05"
MATRIX = "a.methadone.forest.confusion"

shares = st.floats(0, 1)
widths = st.floats(0, 0.5)
patient = settings(deadline=None)  # the machine may be busy


def result(*numbers, notebook="a02_forest_general"):
    """Return a result file with these claims."""
    return {"notebook": notebook, "claims": list(numbers)}


def number(key=F05, value=0.671, **more):
    """Return one number of ours: by default real, of 2018, whole, as published."""
    return {
        "key": key,
        "value": value,
        "low": None,
        "high": None,
        "arm": "published",
        "n": 93_424,
        "note": None,
        "synthetic": False,
        "data": "teds-d-2018",
        "years": [2018],
        "size": "paper",
        **more,
    }


def verdict(*numbers, key=F05):
    """Return verdict and reason of a claim, given these numbers of ours."""
    printed = book.published().loc[[key]]
    row = book.compare([result(*numbers)], printed).iloc[0]
    return row["verdict"], row["reason"]


# ------------------------------------------------------------------ what is printed


@pytest.mark.skipif(
    not (SHARED / "published").is_dir(),
    reason=f"the record of printed numbers is not at {SHARED / 'published'}",
)
def test_every_printed_claim_of_study_a_is_in_the_table():
    record = json.loads((SHARED / "published/study_a_published.json").read_text())
    table = book.published("a")
    # The record has lost two digits here; this is what the notebook prints.
    printed = {"a.heroin_opioid.forest.pr_auc": 0.43304159956486893}
    for claim in record["claims"]:
        row = table.loc[claim["id"]]
        claim["value"] = printed.get(claim["id"], claim["value"])
        if row["kind"] == "matrix":
            assert row["matrix"] == claim["value"]
            continue
        assert row["value"] == claim["value"]
        assert row["exact"] == claim.get("exact")
        if "decimals" in claim:
            assert row["decimals"] == claim["decimals"]
    assert len(record["claims"]) == 32


def test_each_claim_is_stated_once_and_whole():
    table = book.published()
    assert table.index.is_unique
    for key, claim in table.iterrows():
        assert key.startswith(f"{claim['study']}.")
        assert all(claim[name] for name in ("cohort", "metric", "kind", "where"))
        if claim["kind"] != "matrix" and claim["decimals"] is not None:
            assert claim["printed"] == f"{claim['value']:.{claim['decimals']}f}"
        assert not claim["same_as"] or claim["same_as"] in table.index


def test_an_unknown_study_is_named():
    with pytest.raises(InputError, match="a, b, c, d, not 'e'"):
        book.published("e")


# -------------------------------------------------------------------- the tolerance


@pytest.mark.parametrize(
    ("paper", "ours", "given_", "expected"),
    [
        # Printed .67, ours .66 (.653 to .667): .005 of rounding, .007 of interval.
        (0.67, 0.66, {"decimals": 2, "low": 0.653, "high": 0.667}, 0.012),
        # The printed number lies below ours: the lower arm counts.
        (0.67, 0.68, {"decimals": 2, "low": 0.67, "high": 0.70}, 0.015),
        # No interval of ours: rounding alone.
        (0.67, 0.68, {"decimals": 2}, 0.005),
        # A count: nothing.
        (622_821, 622_820, {}, 0.0),
        # A printed standard error and no interval: twice the error.
        (0.2125, 0.21, {"decimals": 4, "standard_error": 0.0016}, 0.00325),
        # Both: in quadrature (3-4-5), plus half a unit of the fourth decimal.
        (
            0.50,
            0.40,
            {"decimals": 4, "standard_error": 0.015, "low": 0.3, "high": 0.44},
            0.05005,
        ),
        # An interval that lies wholly beyond our number on the far side adds nothing.
        (0.50, 0.40, {"decimals": 2, "low": 0.30, "high": 0.39}, 0.005),
    ],
)
def test_tolerance_is_the_sum_worked_out_by_hand(paper, ours, given_, expected):
    assert book.tolerance(paper, ours, **given_) == pytest.approx(expected, abs=1e-12)


@patient
@given(shares, shares, st.integers(0, 4), widths, widths)
def test_a_wider_interval_never_lowers_the_tolerance(paper, ours, decimals, one, two):
    narrow, wide = sorted((one, two))

    def allowed(width):
        return book.tolerance(
            paper, ours, decimals=decimals, low=ours - width, high=ours + width
        )

    assert allowed(narrow) <= allowed(wide) + 1e-12


@patient
@given(st.floats(-1, 1), widths, widths)
def test_a_verdict_is_monotone_in_the_tolerance(gap, one, two):
    small, large = sorted((one, two))
    if book.judge(gap, small) == "reproduced":
        assert book.judge(gap, large) == "reproduced"


@patient
@given(
    st.decimals(0, 1, places=6, allow_nan=False),
    st.integers(0, 4),
    st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_HALF_DOWN]),
)
def test_whatever_rounds_to_the_printed_number_is_reproduced(true, decimals, rule):
    printed = float(true.quantize(Decimal(1).scaleb(-decimals), rounding=rule))
    allowed = book.tolerance(printed, float(true), decimals=decimals)
    assert book.judge(float(true) - printed, allowed) == "reproduced"


@patient
@given(st.integers(0, 100), st.integers(1, 9), st.sampled_from([-1, 1]))
def test_what_rounds_to_a_neighbour_differs(hundredths, tenths, sign):
    printed = hundredths / 100
    ours = printed + sign * (0.005 + tenths / 10_000)
    allowed = book.tolerance(printed, ours, decimals=2)
    assert book.judge(ours - printed, allowed) == "differs"


def test_half_way_cases_are_in():
    for ours in (0.665, 0.675):
        allowed = book.tolerance(0.67, ours, decimals=2)
        assert book.judge(ours - 0.67, allowed) == "reproduced"


# --------------------------------------------------------------- confusion matrices


def test_matrices_of_one_classifier_are_reproduced_95_times_in_100():
    rng = np.random.default_rng(33)
    truth = [0.61, 0.01, 0.30, 0.08]
    draws = [rng.multinomial(8_366, truth, size=4_000) for _ in range(2)]
    good = 0
    for one, two in zip(*draws, strict=True):
        gap, allowed = book.compare_matrices(one.reshape(2, 2), two.reshape(2, 2))
        good += book.judge(gap, allowed) == "reproduced"
    assert 0.945 < good / 4_000 < 0.985


def test_matrix_gap_is_that_of_the_cell_furthest_out():
    paper, ours = [[50, 10], [20, 20]], [[40, 20], [20, 20]]
    gap, allowed = book.compare_matrices(paper, ours)
    assert gap == pytest.approx(0.10)  # FP: 20 against 10 of 100; TN is less far out
    assert allowed == pytest.approx(2.4977 * math.sqrt(0.15 * 0.85 * 2 / 100), rel=1e-4)


@patient
@given(
    st.lists(st.integers(0, 500), min_size=4, max_size=4),
    st.integers(1, 50),
)
def test_a_matrix_agrees_with_itself_at_any_size(cells, times):
    assume(sum(cells))
    paper = [cells[:2], cells[2:]]
    ours = [[times * cell for cell in row] for row in paper]
    gap, allowed = book.compare_matrices(paper, ours)
    assert book.judge(gap, allowed) == "reproduced"


@pytest.mark.parametrize("wrong", [[1, 2, 3, 4], [[1, 2]], [[1, -2], [3, 4]], 0.5])
def test_what_is_no_matrix_is_refused(wrong):
    with pytest.raises(InputError, match="two rows of two counts"):
        book.compare_matrices([[1, 2], [3, 4]], wrong)


def test_an_empty_matrix_is_refused():
    with pytest.raises(InputError, match="at least one row"):
        book.compare_matrices([[0, 0], [0, 0]], [[1, 2], [3, 4]])


# ---------------------------------------------------------------------- the verdicts


def test_reproduced_and_differs():
    assert verdict(number(value=0.6712)) == ("reproduced", "")
    assert verdict(number(value=0.6601, low=0.655, high=0.6651)) == ("reproduced", "")
    assert verdict(number(value=0.6601, low=0.656, high=0.6640)) == ("differs", "")


def test_the_unrounded_number_counts_where_it_is_known():
    key = "a.methadone.forest.f05"  # printed 0.38, in the output 0.381493...
    near = number(key, 0.3815, n=8_366)
    assert verdict(near, key=key)[0] == "differs"
    near |= {"low": 0.3814, "high": 0.3816}
    assert verdict(near, key=key)[0] == "reproduced"


def test_a_count_must_be_equal():
    key = "a.general.train.rows"
    assert verdict(number(key, 435_974), key=key)[0] == "reproduced"
    assert verdict(number(key, 435_973), key=key)[0] == "differs"


def test_a_matrix_gets_a_verdict():
    key = MATRIX
    same = number(key, [[5290, 1400], [877, 799]], n=8_366)
    assert verdict(same, key=key)[0] == "reproduced"
    other = number(key, [[5000, 1690], [877, 799]], n=8_366)
    assert verdict(other, key=key)[0] == "differs"


@settings(max_examples=8, deadline=None)
@given(shares)
def test_made_up_records_never_get_a_verdict(value):
    assert verdict(number(value=value, synthetic=True))[0] == "synthetic"


@pytest.mark.parametrize("synthetic", [None, 0])
def test_records_not_shown_to_be_real_never_get_a_verdict(synthetic):
    assert verdict(number())[0] == "reproduced"
    found = verdict(number(synthetic=synthetic))
    assert found == ("not comparable", "records of a reader's file (not verified)")
    unsaid = number()
    del unsaid["synthetic"]
    assert verdict(unsaid) == found


def test_the_2023_sample_is_not_comparable():
    found = verdict(number(years=[2023], n=200, data="tedsd_2023_sample_1000.csv"))
    assert found[0] == "not comparable"
    assert "year 2023, the claim is about 2018" in found[1]
    assert "too few rows: 200 of 93,424" in found[1]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"arm": "repaired"}, "another recipe than the study's (repaired)"),
        ({"size": "quick"}, "quick size: a smaller run than the study's"),
        ({"n": None}, "the number of rows is not recorded"),
        ({"n": 84_081}, "too few rows: 84,081 of 93,424"),
        ({"value": None}, "our number is undefined"),
        ({"years": [2017, 2018]}, "year 2017 and 2018, the claim is about 2018"),
        ({"years": []}, "year unknown, the claim is about 2018"),
    ],
)
def test_why_a_real_number_gets_no_verdict(more, reason):
    assert verdict(number(**more)) == ("not comparable", reason)


def test_ninety_per_cent_of_the_rows_are_enough():
    assert verdict(number(n=84_082))[0] == "reproduced"


def test_what_cannot_be_reproduced_keeps_its_reason_beside_any_number():
    key = "a.general.finetune.f05"
    assert verdict(key=key)[0] == "cannot be reproduced"
    found = verdict(number(key, 0.55), key=key)
    assert found[0] == "cannot be reproduced"
    assert "not in the study's repository" in found[1]


def test_a_claim_without_a_number_is_not_yet_run():
    assert verdict(key="b.completed.tree.accuracy")[0] == "not in this copy"


def test_a_simulation_needs_no_year():
    key = "c.right.n1000.dnn_simple.adjusted_mcr"  # 0.2125, standard error 0.0016
    ours = number(key, 0.2150, years=[], n=None, size="quick", low=0.213, high=0.217)
    assert verdict(ours, key=key)[0] == "reproduced"
    assert verdict({**ours, "value": 0.2200, "low": 0.2190}, key=key)[0] == "differs"


def test_the_recipe_of_the_study_decides_whatever_the_order():
    numbers = number(arm="repaired", value=0.9), number(value=0.671)
    table = book.compare([result(*numbers)]).loc[[F05]]
    assert list(table["arm"]) == ["published", "repaired"]
    assert list(table["verdict"]) == ["reproduced", "not comparable"]
    counts = book.count_verdicts(book.compare([result(*numbers)]))
    assert counts.loc["a", "reproduced"] == 1
    assert counts.loc["a", "not comparable"] == 0
    assert counts.to_numpy().sum() == len(book.published())


def test_a_number_answers_the_claims_that_repeat_it():
    ours = number("a.heroin_opioid.forest.f05", 0.3321, years=[2017, 2018], n=1_161)
    table = book.compare([result(ours)])
    assert table.loc["a.heroin_opioid.forest.f05_readme", "ours"] == 0.3321


def test_a_claim_nobody_makes_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'a.general.forest.f05'"):
        book.compare([result(number("a.general.forrest.f05"))])


INPUT = "b.completed.setting.c_grid"  # printed: [0.1, 1, 10, 100]


@pytest.mark.parametrize("synthetic", [True, False])
def test_a_setting_is_used_as_printed_or_otherwise_whatever_the_records(synthetic):
    more = {"synthetic": synthetic, "years": [2018], "size": "quick", "n": None}
    same = number(INPUT, (0.1, 1, 10, 100), **more)
    assert verdict(same, key=INPUT) == ("used as printed", "")
    other = number(INPUT, [0.1, 1], note="thinned", **more)
    assert verdict(other, key=INPUT) == ("used otherwise", "")
    assert verdict(key=INPUT)[0] == "not in this copy"


def test_a_setting_shows_what_is_used_and_why():
    table = book.compare([result(number(INPUT, [0.1, 1], note="thinned"))])
    cells = html(table.loc[[INPUT]])
    assert "[0.1, 1]" in cells and "thinned" in cells and "used otherwise" in cells
    assert "teds-d-2018" not in cells  # it depends on no records
    table = book.compare([result(number(INPUT, [0.1, 1, 10, 100]))])
    assert book.our_text(table.loc[INPUT]) == "as printed"


def test_a_setting_nobody_could_use_keeps_its_reason():
    [key] = [key for key in book.published("b").index if key.endswith("noprior_2")]
    assert verdict(key=key)[0] == "cannot be reproduced"


def test_results_may_come_by_name():
    by_name = {"a02_forest_general": result(number())}
    assert book.compare(by_name).loc[F05, "verdict"] == "reproduced"


# ---------------------------------------------------- do the printed numbers agree?


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=4, max_size=4))
def test_scores_of_a_matrix_equal_scikit_learns(cells):
    tn, fp, fn, tp = cells
    true = [0] * (tn + fp) + [1] * (fn + tp)
    guess = [0] * tn + [1] * fp + [0] * fn + [1] * tp
    expected = {
        "f05": metrics.fbeta_score(true, guess, beta=0.5),
        "f1": metrics.f1_score(true, guess),
        "precision": metrics.precision_score(true, guess),
        "recall": metrics.recall_score(true, guess),
        "accuracy": metrics.accuracy_score(true, guess),
        "balanced_accuracy": metrics.balanced_accuracy_score(true, guess),
        "roc_auc": metrics.roc_auc_score(true, guess),
    }
    found = book.from_matrix([[tn, fp], [fn, tp]])
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_score_without_a_denominator_is_undefined():
    assert math.isnan(book.from_matrix([[5, 0], [3, 0]])["precision"])


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 5_000), st.sampled_from([0.10, 0.30]))
def test_split_sizes_are_scikit_learns(rows, aside):
    rest, away = train_test_split(np.arange(rows), test_size=aside, random_state=33)
    assume(len(away) > 1)
    one, two = train_test_split(away, test_size=0.50, random_state=33)
    assert book.split_sizes(rows, aside) == (len(rest), len(one), len(two))


def test_exactly_these_printed_numbers_contradict_others():
    checks = book.check_printed()
    failed = checks[~checks["agrees"]].set_index("key")["expected"]
    of_a = failed[failed.index.str.startswith("a.")].to_dict()
    assert of_a == {
        "a.general.rows": "622,821",
        "a.general.test.rows_text": "93,424",
        "a.methadone_large.cnn_scratch.accuracy": "0.81",
        "a.methadone_large.cnn_scratch.balanced_accuracy": "0.54",
        "a.methadone_large.cnn_scratch.roc_auc": "0.54",
    }
    of_c = failed[failed.index.str.startswith("c.")]
    assert of_c["c.network.dnn_1hdd.parameters"] == "5 + 36 nₕ"
    assert of_c["c.extensions.order.factor"].startswith("binom(K, τ): 10")
    assert len(of_c) == 2 and len(checks) > 500


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("c.extensions.order.factor", "binom(K, τ)"),
        ("c.network.dnn_1hdd.parameters", "5 + 36 nₕ"),
        ("b.introduction.compas", "wrongly predicted not to reoffend"),
    ],
)
def test_a_statement_that_is_right_agrees(key, right):
    printed = book.published()
    printed.at[key, "printed"] = right
    checks = book.check_printed(printed).set_index("key")
    assert checks.loc[key, "agrees"]


def test_the_counts_of_compas_give_the_rates_that_propublica_prints():
    """Wrongly rated high and wrongly rated low, in percent, and all defendants."""
    published = {"Black": (44.85, 27.99, 3696), "white": (23.45, 47.72, 2454)}
    for people, (wrongly_high, wrongly_low, defendants) in published.items():
        (low, high), (missed, caught) = book.COMPAS[people]
        assert round(100 * high / (low + high), 2) == wrongly_high
        assert round(100 * missed / (missed + caught), 2) == wrongly_low
        assert low + high + missed + caught == defendants


def test_the_contradictions_of_study_b_are_counted_by_kind():
    checks = book.check_printed(book.published("b"))
    failed = checks.loc[~checks["agrees"], "key"].str.removeprefix("b.")
    kinds = failed.str.extract(
        r"(?P<kind>equalized_odds_ratio|equalized_odds|equal_opportunity"
        r"|parity_satisfied|accuracy|columns|compas)"
    )["kind"]
    rows = pd.read_csv(data_file("claims/tables_b.csv")).query(
        "table == 'T_EqOdds_binary'"
    )
    both = rows[["tpr_diff", "fpr_diff"]].agg(["max", "mean"], axis=1)
    away = both.sub(rows["eqodds_diff"], axis=0).abs().min(axis=1)
    in_66 = int((away > 0.0101).sum())
    odds = failed[kinds == "equalized_odds"]
    assert odds.str.startswith("completed").all() and in_66 > 20
    assert kinds.value_counts().to_dict() == {
        "equalized_odds": in_66,  # of 6.7, the numbers may be right
        "parity_satisfied": 5,
        "equal_opportunity": 3,
        "equalized_odds_ratio": 2,
        "compas": 1,
    }


def test_a_contradicted_number_has_its_verdict_without_any_run():
    table = book.compare([])
    row = table.loc["b.completed.svm_poly.equalized_odds.gender.difference"]
    assert row["verdict"] == "inconsistent" and row["consistent"] == "disagrees"
    assert row["reason"] == "The larger of its two printed differences: 0.14."
    four = table.loc["b.noprior.svm_rbf.equalized_odds.gender.difference"]
    assert four["consistent"] == "agrees" and four["verdict"] != "inconsistent"
    assert table.loc["b.completed.tree.accuracy", "verdict"] == "not in this copy"
    assert (table["verdict"] == "inconsistent").sum() == 42


def test_an_accuracy_is_held_against_its_own_test_set_only():
    printed = book.published("b")
    of_machines = printed.index.str.match(r"b\..*\.svm_.*\.accuracy$")
    assert of_machines.sum() == 8 and printed.loc[of_machines, "rows"].isna().all()
    checked = set(book.check_printed(printed)["key"])
    assert not checked & set(printed.index[of_machines])  # their people are not printed
    assert {"b.completed.tree.accuracy", "b.noprior.forest.accuracy"} <= checked
    printed.at["b.completed.tree.accuracy", "value"] = 97.97
    failed = book.check_printed(printed).query("not agrees")
    why = failed.set_index("key").loc["b.completed.tree.accuracy", "check"]
    assert why == "the nearest share of the 743 people of its test set"


def test_a_changed_digit_is_noticed():
    printed = book.published("a")
    printed.at["a.methadone.forest.precision", "value"] += 1e-9
    printed.at["a.methadone.cnn.confusion", "matrix"] = [[6665, 25], [1575, 102]]
    checks = book.check_printed(printed)
    failed = set(checks.loc[~checks["agrees"], "key"])
    assert {"a.methadone.forest.precision", "a.methadone.cnn.confusion"} <= failed
    assert "a.methadone.cnn.recall" in failed


def printed_numbers(rows):
    """Return a table of printed numbers: key -> value, or a dict of columns."""
    base = {"kind": "score", "decimals": 2, "exact": None, "matrix": None}
    full = {
        key: {**base, **(given if isinstance(given, dict) else {"value": given})}
        for key, given in rows.items()
    }
    return pd.DataFrame.from_dict(full, orient="index").astype(object)


def checks_of(rows):
    """Return {key: (expected, agrees)} of the checks of a table of printed numbers."""
    checks = book.check_printed(printed_numbers(rows)).set_index("key")
    return {
        key: (row["expected"], row["agrees"])
        for key, row in checks[["expected", "agrees"]].iterrows()
    }


@pytest.mark.parametrize(
    ("said", "agrees"), [(0.3, False), (0.39, True), (0.41, True), (0.415, False)]
)
def test_equalized_odds_are_the_larger_gap_of_two_rates(said, agrees):
    key = "b.x.equalized_odds.sex"
    rows = {f"{key}.tpr_difference": 0.4, f"{key}.fpr_difference": 0.05}
    found = checks_of({**rows, f"{key}.difference": said})
    assert found == {f"{key}.difference": ("0.40", agrees)}


def of_all_classes(true, predicted, groups):
    """Return a row as table 6.7 prints it, and what equalized odds really is."""
    rates = fairness.group_rates(
        true, predicted, sensitive_features=groups, labels=range(4), family="each"
    )
    key, row = "b.x.equalized_odds.sex", {}
    for short, name in (("tpr", "true"), ("fpr", "false")):
        for end in ("max", "min"):
            row[f"{key}.{end}_{short}"] = round(
                rates[f"{name}_positive_rate"].agg(end), 2
            )
    odds = fairness.equalized_odds_difference(
        true, predicted, sensitive_features=groups, labels=range(4)
    )
    return {**row, f"{key}.difference": round(float(odds), 2)}


def test_true_equalized_odds_over_four_classes_never_fails_its_check():
    random = np.random.default_rng(5)
    low = 1.0
    for _ in range(40):
        true = np.tile([0, 1, 2, 3], 60)
        groups = random.choice(["one", "other"], 240, p=[0.3, 0.7])
        wrong = random.random(240) < random.uniform(0, 1)
        predicted = np.where(wrong, random.integers(0, 4, 240), true)
        row = of_all_classes(true, predicted, groups)
        [(expected, agrees)] = checks_of(row).values()
        assert agrees
        low = min(low, row["b.x.equalized_odds.sex.difference"] / float(expected))
    assert low < 0.6  # so the bound is no stand-in for the number


def test_one_class_for_everybody_has_equalized_odds_of_zero_and_no_verdict():
    """As table 6.7 prints pregnancy: rates from 0 to 1, and a difference of 0."""
    row = of_all_classes([0, 1, 2, 3] * 2, [0] * 8, ["one"] * 4 + ["other"] * 4)
    assert row["b.x.equalized_odds.sex.max_fpr"] == 1.0
    assert row["b.x.equalized_odds.sex.difference"] == 0.0
    assert checks_of(row) == {"b.x.equalized_odds.sex.difference": ("1.00", True)}
    row |= {
        "b.x.equalized_odds.sex.max_tpr": 0.5,
        "b.x.equalized_odds.sex.max_fpr": 0.4,
    }
    for said, agrees in ((0.51, True), (0.52, False)):  # and the check can fail
        row["b.x.equalized_odds.sex.difference"] = said
        assert checks_of(row)["b.x.equalized_odds.sex.difference"] == ("0.50", agrees)


@pytest.mark.parametrize(
    ("said", "expected", "agrees"),
    [(0.5, "0.50", True), (0.335, "0.34", True), (0.33, "0.34", True)]
    + [(0.3, "0.50", False), (0.36, "0.50", False), (0.17, "0.50", False)],
)
def test_a_printed_odds_difference_may_be_the_mean_of_its_two(said, expected, agrees):
    stem = "b.x.equalized_odds.sex"
    rows = {f"{stem}.tpr_difference": 0.5, f"{stem}.fpr_difference": 0.17}
    found = checks_of({**rows, f"{stem}.difference": said})
    assert found == {f"{stem}.difference": (expected, agrees)}


def test_an_equalized_odds_ratio_is_at_most_that_of_equal_opportunity():
    rows = {"b.x.equalized_odds_ratio": 0.8, "b.x.equal_opportunity_ratio": 0.8}
    assert checks_of(rows) == {"b.x.equalized_odds_ratio": ("0.80", True)}
    rows["b.x.equalized_odds_ratio"] = 0.81
    assert checks_of(rows) == {"b.x.equalized_odds_ratio": ("0.80", False)}
    rows["b.x.worst_case_ratios"] = 0.9
    assert checks_of(rows) == {"b.x.equalized_odds_ratio": ("0.90", True)}


def count(value):
    return {"kind": "count", "value": value, "decimals": None}


@pytest.mark.parametrize(
    ("said", "expected", "agrees"),
    [
        (1000, "1,000", True),
        (1001, "1,000", False),
        (900, "1,000", False),
        (1100, "1,000", False),
        (899, "none near", False),
        (1101, "none near", False),
    ],
)
def test_a_total_must_split_into_the_printed_parts(said, expected, agrees):
    # 1,000 rows, 30% set aside and halved: 700, 150, 150; 999 and 1,001 do not.
    rows = {"a.methadone.rows": count(said)}
    for part, size in {"train": 700, "validation": 150, "test": 150}.items():
        rows[f"a.methadone_large.{part}.rows"] = count(size)
    assert checks_of(rows) == {"a.methadone.rows": (expected, agrees)}


def test_parts_of_the_training_rows_add_up():
    rows = {
        "a.general.train.rows": count(1001),
        "a.general.train.images": count(701),  # 30% of 1,001, rounded down, is 300
        "a.general.train.validation_images": count(301),
        "a.methadone.sample.rows": count(100),
        "a.methadone.train.rows": count(50),
        "a.methadone.test.rows": count(51),
    }
    assert checks_of(rows) == {
        "a.general.train.images": ("701", True),
        "a.general.train.validation_images": ("300", False),
        "a.methadone.sample.rows": ("101", False),
    }
    del rows["a.general.train.rows"], rows["a.methadone.test.rows"]
    assert checks_of(rows) == {}


def test_matrices_of_a_cohort_hold_the_same_people():
    def matrix(cells):
        return {"kind": "matrix", "value": math.nan, "matrix": cells}

    rows = {
        "a.x.test.rows": count(100),
        "a.x.forest.confusion": matrix([[50, 10], [15, 25]]),
        "a.x.cnn.confusion": matrix([[50, 9], [16, 25]]),
        "a.y.cnn.confusion": matrix([[1, 2], [3, 4]]),
    }
    checks = book.check_printed(printed_numbers(rows))
    texts = checks[["key", "printed", "expected", "agrees"]].to_numpy().tolist()
    assert texts == [
        ["a.x.forest.confusion", "100", "100", True],
        ["a.x.cnn.confusion", "100", "100", True],
        ["a.x.cnn.confusion", "41", "40", False],
    ]


@pytest.mark.parametrize(
    ("exact", "agrees"), [(0.665, True), (0.675, True), (0.6751, False), (0.66, False)]
)
def test_what_an_output_shows_must_round_to_what_is_printed(exact, agrees):
    found = checks_of({"a.x.f1": {"value": 0.67, "exact": exact}})
    assert found == {"a.x.f1": (f"{exact:.2f}", agrees)}
    # The same for a score that follows from a matrix: 130 of 200 and 135 of 200.
    tp = round(200 * exact, 2)
    cells = {"kind": "matrix", "value": 0, "matrix": [[5, 3], [200 - tp, tp]]}
    found = checks_of({"a.x.cnn.confusion": cells, "a.x.cnn.recall": 0.67})
    assert found["a.x.cnn.recall"] == (f"{tp / 200:.2f}", agrees)


def test_float_noise_is_no_difference_and_more_is():
    assert book.judge(0.001 + 5e-13, 0.001) == "reproduced"
    assert book.judge(1e6 + 5e-7, 1e6) == "reproduced"
    assert book.judge(0.001 + 5e-12, 0.001) == "differs"
    assert book.judge(1e6 + 1e-5, 1e6) == "differs"


# --------------------------------------------------------------------- what is shown


def html(*words, **more):
    """Return a table of claims as HTML, without its style sheet."""
    return book.show(*words, **more).data.partition("</style>")[2]


class Rows(HTMLParser):
    """Collect the text of each table row by its ``data-key``, and the tags seen."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.tags, self.key = {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.key = dict(attributes).get("data-key")

    def handle_data(self, data):
        if self.key:
            self.rows[self.key] = self.rows.get(self.key, "") + data + " "


def test_the_table_says_number_interval_verdict_and_synthetic():
    ours = number(value=0.6712, low=0.66, high=0.68, synthetic=True)
    rows = Rows(html(book.compare([result(ours)]))).rows
    assert set(rows) == set(book.published().index)
    for words in ("0.67", "0.671 (0.660 to 0.680)", "synthetic", "93,424 people"):
        assert words in rows[F05]
    for word in ("reproduced", "differs"):
        assert word not in rows[F05]
    assert "disagrees" in rows["a.general.rows"]


def test_the_verdict_says_how_far_off_and_what_is_allowed():
    def cell(key, ours, **more):
        printed = book.published().loc[[key]]
        table = book.compare([result(number(key, ours, **more))], printed)
        return Rows(html(table)).rows[key]

    assert "gap +0.004, tolerance 0.005" in cell(F05, 0.674)
    assert "gap −1, tolerance 0" in cell("a.general.train.rows", 435_973)
    matrix = cell(MATRIX, [[5000, 1690], [877, 799]], n=8_366)
    # Printed FP 1,400 of 8,366, ours 1,690: 16.7% against 20.2%.
    assert "gap +3.5 points, tolerance 1.5, in the cell furthest out" in matrix
    assert "gap" not in cell(INPUT, [1])
    assert "gap" not in cell("a.general.finetune.f05", 0.5)
    first = html(book.compare([result(number())]), caption="<")
    assert f'id="{F05}"' in first and "href" not in first
    assert "<caption>&lt;</caption>" in first
    assert ">General outpatient: tuned random forest</th>" in first
    assert ">general outpatient" not in first
    # A claim about a cohort and no model has the cohort's name and no colon.
    table = book.compare([], book.published().loc[["a.general.rows"]])
    assert ">General outpatient</th>" in html(table)


def test_the_explorer_holds_each_claim_once_with_its_link_and_reason():
    page = book.explorer(book.compare([result(number(value=0.6712))])).data
    ids = re.findall(r"<tr id=(\S+)", page)
    assert sorted(ids) == sorted(book.published().index)
    row = page[page.index(f"<tr id={F05} ") :][:600]
    assert "<a href=a02_forest_general.html>0.671</a>" in row
    # One reason, that of 531 claims, stands once, with their number.
    reason = "only whether a person was treated before"
    # A headline says its reason, too.
    assert page.count(reason) == 2 and "(531 claims)" in page
    assert page.count('class="claims headlines"') == 1
    assert "<summary><b>Section 6.7</b> · 64" not in page  # counted by verdict
    assert "<summary><b>Section 6.7</b> · " in page
    headlines = page[: page.index("<section")]
    assert "not significant" in headlines and "inconsistent" in headlines
    assert len(page.encode()) < 300_000


def test_a_fold_counts_in_english_one_claim_differs_and_two_differ():
    key = "a.methadone.forest."
    said = [
        book.explorer(book.compare([result(*map(number, keys))])).data
        for keys in ([f"{key}recall"], [f"{key}recall", f"{key}precision"])
    ]
    assert "1 differs" in said[0] and "1 differ," not in said[0]
    assert "2 differ" in said[1] and "2 differs" not in said[1]


def test_what_a_group_of_claims_shares_stands_once_in_its_title():
    page = book.explorer(book.compare([])).data
    shared = "printed in the other target&#39;s table"
    assert shared in page and page.count(shared) < 20  # of 216 claims
    # A group says why most of its claims cannot be reproduced; those say nothing, and
    # a claim with another verdict says it.
    groups = re.split("<tr class=group>", page)[1:]
    told = [
        g for g in groups if "cannot be reproduced<sup>" in g.partition("<tr id")[0]
    ]
    assert len(told) >= 8
    for group in told:
        rows = group.partition("</table>")[0].split("<tr id=")[1:]
        empty = [row.rstrip().endswith("<td>") for row in rows]
        others = [
            row for row, is_empty in zip(rows, empty, strict=True) if not is_empty
        ]
        assert len(rows) > 1 and 2 * sum(empty) > len(rows)
        assert ("unless a row says otherwise" in group) == bool(others)
        assert all(" class=c>" not in row for row in others)
        assert all(" class=c>" in row for row in rows if row not in others)


def test_numbers_at_the_studys_size_are_marked_and_share_their_own_words():
    keys = ("a.methadone.forest.precision", "a.methadone.forest.recall")
    ours = [number(key, 0.7, n=100) for key in keys]
    note = "at full size, 2026-11-30; all records"
    full = [number(key, 0.8, n=900, note=note) for key in keys]
    page = book.explorer(book.compare([result(*ours), result(*full)])).data
    assert page.count("<td>0.7000<br>0.8000 †<td>") == 2
    assert page.count("2026-11-30") == 0
    assert page.count("†: all records") + page.count(", all records") == 1


def test_a_number_at_full_size_does_not_repeat_the_words_of_the_number_above_it():
    def of(key, note, full):
        here = number(f"a.methadone.forest.{key}", 0.7, n=100, note=note)
        size = {"value": 0.8, "note": f"at full size, 2026-11-30; {full}"}
        return result(here), result(here | size)

    results = [*of("recall", "one", "one"), *of("precision", "two", "three")]
    page = book.explorer(book.compare(results)).data
    rows = [
        re.findall(f"<tr id=a.methadone.forest.{key} .*", page)[0]
        for key in ("recall", "precision")
    ]
    assert all("0.8000 †" in row for row in rows)
    assert rows[0].count("<small>one</small>") == 1
    assert [rows[1].count(f"<small>{word}</small>") for word in ("two", "three")] == [
        1,
        1,
    ]


def test_numbers_are_printed_with_the_digits_of_the_claim():
    printed = book.published("c").loc["c.right.n1000.dnn_simple.adjusted_mcr"]
    assert book.paper_text(printed) == "0.2125 (standard error 0.0016)"
    assert book.paper_text(printed, error=False) == "0.2125"
    row = book.compare([result(number(value=0.6712, low=0.66, high=None))]).loc[F05]
    assert book.our_text(row) == "0.671", "half an interval is none"
    row = {"kind": "score", "ours": 0.21504, "low": 0.2, "high": 0.25, "decimals": 4}
    assert book.our_text(row) == "0.2150 (0.2000 to 0.2500)", "four at most"
    assert book.our_text({**row, "decimals": 3, "low": None}) == "0.2150"
    assert book.our_text({**row, "decimals": 1, "low": None}) == "0.215"
    assert book.our_text({**row, "kind": "ratio", "decimals": 2, "low": None}) == "0.22"
    assert book.our_text({**row, "kind": "count", "ours": 1e4, "low": None}) == "10,000"
    percent = {**row, "decimals": 0, "ours": 0.0, "low": 0.0, "high": 11.4}
    assert book.our_text(percent) == "0 (0 to 11)", "one precision for all three"
    words = {"kind": "words", "ours": "Yes", "printed": "yes"}
    assert book.our_text(words) == "Yes"
    assert book.our_text({"kind": "words", "ours": [1, 2]}) == "[1, 2]"
    assert book.our_text({"kind": "input", "printed": "a", "ours": "b"}) == "b"


def test_what_a_note_holds_is_text_not_markup():
    ours = number(note="<script>alert(1)</script>")
    page = Rows(html(book.compare([result(ours)])))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.rows[F05]


def test_a_page_shows_its_own_claims():
    run = SimpleNamespace(
        notebook="a02_forest_general",
        claims=[number(), number(arm="repaired", value=0.7)],
    )
    rows = Rows(book.page_table(run).data).rows
    assert list(rows) == [F05]
    assert "0.671" in rows[F05] and "0.700" in rows[F05]


def test_a_page_can_name_claims_by_key_or_beginning():
    run = SimpleNamespace(notebook="a03", claims=[])
    rows = Rows(book.page_table(run, [F05, "a.methadone.forest."]).data).rows
    assert list(rows)[0] == F05 and MATRIX in rows and len(rows) > 5
    page = book.page_table(run, [F05, "a.methadone."]).data
    assert len(Rows(page).rows) > 12 and page.startswith("<details><summary>")
    assert not book.page_table(run).data.startswith("<details>")
    with pytest.raises(InputError, match=r"no study makes the claim 'a.nothing'"):
        book.page_table(run, ["a.nothing"])


def test_a_page_without_claims_has_an_empty_table():
    run = SimpleNamespace(notebook="d01", claims=[])
    assert not Rows(book.page_table(run).data).rows


@pytest.mark.parametrize("word", book.VERDICTS)
def test_a_badge_says_its_word(word):
    assert word in book.badge(word)
    assert f'class="verdict {word.replace(" ", "-")}"' in book.badge(word)


def test_a_verdict_is_not_told_by_its_colour_alone():
    signs = {word: book.badge(word).split(">")[1][:2] for word in book.VERDICTS}
    assert signs["reproduced"] == "✓ " and signs["differs"] == "✗ "
    assert signs["synthetic"] == "≈ "
    assert signs["used as printed"] == "= " and signs["used otherwise"] == "≠ "
    assert book.badge("agrees").count("✓") == book.badge("disagrees").count("✗") == 1
