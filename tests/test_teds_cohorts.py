import doctest
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sudlib.files import InputError
from sudlib.teds import codebook, cohorts

# A busy machine is no failure of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*repeat a case")
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SHARED = Path(
    os.environ.get("SUDLIB_SHARED", Path(__file__).resolve().parents[2] / "shared")
)

NEEDED = ("SERVICES", "SUB1", "SUB2", "SUB3", "METHUSE", "STFIPS", "LOS", "REASON")


def codes(variable):
    """Codes of a variable, those that the rules name more often than others."""
    telling = {"STFIPS": [40], "LOS": [1, 29, 30, 31], "SUB1": [5, 6, 7]}
    known = list(codebook.codes(variable, 2016))
    return st.sampled_from(known + telling.get(variable, []) * 5)


records = st.lists(
    st.fixed_dictionaries(
        {name: codes(name) for name in NEEDED}
        | {"CASEID": st.integers(1, 20), "DISYR": st.sampled_from([2017, 2018])}
    ),
    min_size=1,
    max_size=40,
).map(pd.DataFrame)


def by_hand(records, rule):
    """Filter row by row in plain Python, each case of a year once; return labels."""
    seen, labels = set(), []
    for label, row in zip(records.index, records.to_dict("records"), strict=True):
        case = (row["DISYR"], row["CASEID"])
        if rule(row) and case not in seen:
            seen.add(case)
            labels.append(label)
    return labels


# As study A's notebooks and study B's text say them, written out once more.
BY_HAND = {
    "all": lambda row: True,
    "general": lambda row: (
        (row["SERVICES"] == 6 or row["SERVICES"] == 7 or row["SERVICES"] == 8)
        and (1 <= row["SUB1"] <= 4 or 8 <= row["SUB1"] <= 19)
        and row["METHUSE"] == 2
    ),
    "methadone": lambda row: row["METHUSE"] == 1 and 5 <= row["SUB1"] <= 7,
    "heroin": lambda row: row["SUB1"] == 5,
    "other_opioids": lambda row: (
        row["SUB1"] == 7 and row["SUB2"] != 5 and row["SUB3"] != 5
    ),
    "oklahoma services-4": lambda row: row["STFIPS"] == 40 and row["SERVICES"] == 4,
    "oklahoma los-30": lambda row: row["STFIPS"] == 40 and 0 < row["LOS"] <= 30,
}


def test_examples_in_docstrings_run():
    assert doctest.testmod(cohorts).failed == 0


@settings(QUICK, max_examples=60)
@given(records)
def test_rules_pick_what_a_plain_filter_picks(records):
    before = records.copy()
    for name, pick in cohorts.COHORTS.items():
        picked = pick(records)
        assert list(picked.index) == by_hand(records, BY_HAND[name]), name
        pd.testing.assert_frame_equal(picked, records.loc[picked.index])
    pd.testing.assert_frame_equal(records, before)


@settings(QUICK, max_examples=30)
@given(records)
def test_table_counts_what_the_rules_pick(records):
    table = cohorts.table(records).set_index("cohort")
    for name, rule in BY_HAND.items():
        labels = by_hand(records, rule)
        done = [records.loc[label, "REASON"] == 1 for label in labels]
        assert table.rows[name] == len(labels)
        assert table.completed[name] == sum(done)
        if labels:
            assert table.share[name] == pytest.approx(np.mean(done))
        else:
            assert np.isnan(table.share[name])


def test_completed_is_reason_one_and_nothing_else():
    frame = pd.DataFrame({"REASON": range(1, 8)}, index=list("abcdefg"))
    done = cohorts.completed(frame)
    assert done.dtype == bool and list(done.index) == list("abcdefg")
    assert done.sum() == 1 and done["a"]


def test_a_case_counts_once_but_the_same_number_in_another_year_is_another_case():
    frame = pd.DataFrame(
        {"DISYR": [2020, 2020, 2021], "CASEID": [7, 7, 7], "SUB1": [5, 5, 5]}
    )
    assert list(cohorts.heroin(frame).index) == [0, 2]


def test_attrs_stay_with_the_cohort():
    frame = pd.DataFrame({"SUB1": [5, 2]})
    frame.attrs = {"data": "twin", "synthetic": True}
    assert cohorts.heroin(frame).attrs == {"data": "twin", "synthetic": True}


def test_the_28_features_are_variables_and_leave_out_what_comes_after_admission():
    assert len(set(cohorts.FEATURES)) == 28
    assert set(cohorts.FEATURES) <= set(codebook.COLUMNS)
    assert not {"REASON", "LOS", "CASEID"} & set(cohorts.FEATURES)
    assert not [name for name in cohorts.FEATURES if name.endswith("_D")]


def test_missing_columns_and_unknown_reading_are_clear_errors():
    frame = pd.DataFrame({"SUB1": [5]})
    with pytest.raises(InputError, match="columns SERVICES, METHUSE; .* have SUB1"):
        cohorts.general(frame)
    with pytest.raises(InputError, match="the column REASON"):
        cohorts.completed(frame)
    with pytest.raises(InputError, match="one of services-4, los-30, not '30'"):
        cohorts.oklahoma(frame, "30")


def test_known_heroin_size_is_the_sum_of_the_codebooks():
    sizes = [
        codebook.frequencies(year).query("variable == 'SUB1' and code == 5").frequency
        for year in (2017, 2018)
    ]
    known = cohorts.known().set_index("cohort")
    assert known.rows["heroin"] == sum(int(size.iloc[0]) for size in sizes)


def test_cohorts_are_held_against_what_is_known_of_their_own_years():
    rows = 300
    frame = pd.DataFrame(
        {
            "DISYR": [2017] * rows + [2018] * rows,
            "CASEID": range(2 * rows),
            "SERVICES": 7,
            "SUB1": [5, 2, 7] * (2 * rows // 3),
            "SUB2": 1,
            "SUB3": 1,
            "METHUSE": [1, 2, 1] * (2 * rows // 3),
            "STFIPS": 40,
            "LOS": 3,
            "REASON": [1, 1, 2] * (2 * rows // 3),
        }
    )
    table = cohorts.against_known(frame).set_index("cohort")
    general, heroin = table.loc["general"], table.loc["heroin"]
    assert general.years == "2018" and general["rows"] == 100
    assert general.of_all == pytest.approx(1 / 3) and general.share == 1
    assert general.known_of_all == pytest.approx(622821 / codebook.size(2018))
    assert heroin.years == "2017 2018" and heroin["rows"] == 200
    both = codebook.size(2017) + codebook.size(2018)
    assert heroin.known_of_all == pytest.approx(813793 / both)
    assert pd.isna(heroin.known_share) and pd.isna(table.known_rows["all"])
    # With a year missing nothing is compared.
    table = cohorts.against_known(frame[frame.DISYR == 2017]).set_index("cohort")
    assert table.known_rows.isna().all() and table.years["general"] == "2017"


@pytest.mark.skipif(
    not (SHARED / "published").is_dir(),
    reason="what the studies printed is not here (SUDLIB_SHARED names its folder)",
)
def test_features_and_known_sizes_are_those_study_a_printed():
    path = SHARED / "published/study_a_published.json"
    printed = json.loads(path.read_text())
    assert list(cohorts.FEATURES) == printed["features"]
    known = cohorts.known().set_index("cohort")
    general, methadone = (printed["cohorts"][k] for k in ("general", "methadone"))
    assert known.rows["general"] == general["n_total"]
    share = general["test_completed_share"]  # four decimals
    assert known.completed_share["general"] == pytest.approx(share, abs=5e-5)
    assert known.rows["methadone"] == methadone["n_total"]
    share = methadone["large_test_completed_share"]
    assert known.completed_share["methadone"] == share
    other = printed["cohorts"]["heroin_to_opioid"]
    assert known.completed_share["other_opioids"] == pytest.approx(
        other["test_completed"] / other["test_n"], abs=5e-4
    )


def test_columns_of_a_readers_own_do_not_stop_a_cohort():
    frame = pd.DataFrame({"SERVICES": [7, 4, 7], "SUB1": [2, 2, 5], "METHUSE": 2})
    found = cohorts.general(frame.assign(note="x", score=0.5, when=pd.Timestamp(0)))
    assert found.index.tolist() == [0]
    assert {"note", "score", "when"} <= set(found.columns)
