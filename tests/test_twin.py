"""The twin is held against the published tables, its own rules and itself."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sudlib import twin
from sudlib.files import InputError
from sudlib.teds import codebook, cohorts

FULL_BYTES = 318_572_676  # the agency's CSV file of 2019
SIZES_2018 = {"general": 622_821, "methadone": 167_301}  # study A
SHARES_2018 = {"general": 0.3795, "methadone": 0.202}


@pytest.fixture(scope="module")
def records():
    """Return 200,000 records of 2019."""
    return twin.sample(2019, rows=200_000, seed=1)


def assert_structure(records):
    broken = twin.check_structure(records)
    assert broken.broken.sum() == 0, broken[broken.broken > 0].to_string()


# ---------------------------------------------------------------- form


def test_schema_is_the_official_one(records):
    assert list(records.columns) == list(codebook.COLUMNS) == codebook.variables(2019)
    kinds = records.dtypes.astype(str).to_dict()
    assert kinds.pop("CASEID") == "int64"
    assert kinds.pop("CBSA2010") == "int32"
    assert kinds.pop("DISYR") == "int16"
    assert set(kinds.values()) == {"int8"}


def test_attrs_say_that_it_is_synthetic(records):
    assert records.attrs["synthetic"] is True
    assert records.attrs["data"] == "twin"
    assert records.attrs["years"] == [2019]
    assert records.attrs["rows_in_file"] == 200_000


def test_rows_are_ordered_by_state_as_the_official_files_are(records):
    postal = {int(row["STFIPS"]): row["postal"] for row in twin.read_states()}
    letters = records.STFIPS.map(postal)
    assert letters.is_monotonic_increasing
    assert (letters.iloc[0], letters.iloc[-1]) == ("AK", "WY")


def test_areas_belong_to_their_state_and_are_missing_as_often_as_published(records):
    allowed = {
        int(row["STFIPS"]): {-9, *map(int, row["areas"].split("|"))}
        for row in twin.read_states()
    }
    pairs = records[["STFIPS", "CBSA2010"]].drop_duplicates()
    assert all(area in allowed[state] for state, area in pairs.to_numpy())
    assert (records.CBSA2010 == -9).mean() == pytest.approx(
        704_011 / 1_722_503, abs=0.005
    )


def test_divisions_of_the_states_add_up_to_the_codebook():
    states = pd.DataFrame(twin.read_states()).astype({"STFIPS": int})
    for year in twin.YEARS:
        table = codebook.frequencies(year)
        rows = table[table.variable == "STFIPS"].set_index("code").frequency
        for name in ("DIVISION", "REGION"):
            group = states.set_index("STFIPS")[name].astype(int).reindex(rows.index)
            wanted = table[table.variable == name].set_index("code").frequency
            assert rows.groupby(group).sum().to_dict() == wanted.to_dict()


# ---------------------------------------------------------------- structure


@pytest.mark.parametrize("year", twin.YEARS)
def test_structure_is_exact_in_every_year(year):
    assert_structure(twin.sample(year, rows=100_000, seed=year))


@settings(max_examples=12, deadline=None)
@given(
    year=st.sampled_from(twin.YEARS),
    rows=st.integers(1, 4000),
    seed=st.integers(0, 2**70),
)
def test_structure_is_exact_for_any_rows_and_seed(year, rows, seed):
    drawn = twin.sample(year, rows=rows, seed=seed)
    assert len(drawn) == rows
    assert_structure(drawn)


@pytest.mark.parametrize(
    ("column", "value", "where"),
    [
        ("SUB2", 2, "SUB1 == 2"),
        ("PREG", 2, "GENDER == 1"),
        ("DETNLF", 2, "EMPLOY == 1"),
        ("DETCRIM", 2, "PSOURCE == 1"),
        ("ROUTE1", 1, "SUB1 == 1"),
        ("HERFLG", 1, "SUB1 == 2 and SUB2 == 1"),
        ("REGION", 1, "STFIPS == 6"),
        ("FRSTUSE1", 7, "AGE == 2 and SUB1 == 4"),
        ("IDU", 1, "SUB1 == 1"),
        ("ALCDRUG", 0, "SUB1 == 2"),
        ("AGE", 13, "SUB1 == 2"),
        ("CASEID", 20190000001, "index < 2"),
    ],
)
def test_a_broken_rule_is_seen(records, column, value, where):
    spoiled = records.copy()
    place = spoiled.query(where).index[:2]
    spoiled.loc[place, column] = value
    assert twin.check_structure(spoiled).broken.sum() > 0


# ---------------------------------------------------------------- margins


@pytest.mark.parametrize("year", twin.YEARS)
def test_margins_match_the_codebook(year):
    drawn = twin.sample(year, rows=200_000, seed=5)
    table = twin.compare_margins(drawn).set_index("variable")
    assert len(table) == 74
    # What chance alone would show at this size is added to the promise of 0.01.
    late = table[table.distance > 0.01 + table.chance]
    assert late.empty, late.to_string()
    assert table.distance.median() < 0.003


def test_compare_margins_counts_by_hand():
    drawn = twin.sample(2018, rows=3000, seed=2)
    table = codebook.frequencies(2018).query("variable == 'REASON'")
    shares = table.set_index("code").frequency / codebook.size(2018)
    have = drawn.REASON.value_counts(normalize=True)
    by_hand = have.sub(shares, fill_value=0).abs().sum() / 2
    found = twin.compare_margins(drawn).set_index("variable").distance["REASON"]
    assert found == pytest.approx(by_hand)


def test_correlations_match_the_published_table(records):
    gap = twin.compare_correlations(records)
    gap = np.abs(gap.to_numpy()[np.triu_indices(29, 1)])
    # The standard error of a correlation at this size is at most 0.0022.
    assert gap.mean() <= 0.03
    assert gap.max() <= 0.12 + 3 * 0.0022


def test_discharge_variables_stay_close_to_their_admission_twin(records):
    stay = {
        "SERVICES": 0.95,
        "SUB1": 0.7,
        "SUB2": 0.8,
        "SUB3": 0.85,
        "EMPLOY": 0.7,
        "LIVARAG": 0.7,
        "ARRESTS": 0.75,
        "FREQ_ATND_SELF_HELP": 0.6,
    }
    for name, least in stay.items():
        assert (records[name] == records[f"{name}_D"]).mean() > least, name


# ---------------------------------------------------------------- cohorts, completion


def test_cohorts_of_study_a_have_their_size_and_completion():
    drawn = twin.sample(2018, rows=400_000, seed=3)
    part = len(drawn) / codebook.size(2018)
    for name, find in (("general", cohorts.general), ("methadone", cohorts.methadone)):
        cohort = find(drawn)
        error = 3 * np.sqrt(SIZES_2018[name] * part)
        assert abs(len(cohort) - SIZES_2018[name] * part) < (
            0.03 * SIZES_2018[name] * part + error
        )
        share = cohorts.completed(cohort).mean()
        error = 3 * np.sqrt(0.24 / len(cohort))
        assert abs(share - SHARES_2018[name]) < 0.015 + error, name


def test_completion_can_be_learnt_but_not_perfectly():
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    cohort = cohorts.general(twin.sample(2018, rows=60_000, seed=4))
    features, completed = cohort[list(cohorts.FEATURES)], cohorts.completed(cohort)
    half = np.random.default_rng(0).random(len(cohort)) < 0.5
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    model.fit(features[half], completed[half])
    chance = model.predict_proba(features[~half])[:, 1]
    assert 0.72 < roc_auc_score(completed[~half], chance) < 0.92


def test_completion_of_2023_is_reported_for_every_age_sex_and_substance(records):
    table = twin.compare_completion(records)
    assert set(table.variable) == {"AGE", "GENDER", "SUB1"}
    assert table.groupby("variable").size().to_dict() == {
        "AGE": 12,
        "GENDER": 2,
        "SUB1": 18,
    }
    alcohol = table.query("variable == 'SUB1' and code == 2").iloc[0]
    cohort = records[records.SUB1 == 2]
    assert alcohol.rows == len(cohort)
    assert alcohol.share == pytest.approx(cohorts.completed(cohort).mean())
    # Men and women of 2023 add up to nearly every discharge of that year.
    assert table.query("variable == 'GENDER'").real_rows.sum() == 1_473_116


def test_correlations_are_those_of_numpy():
    drawn = twin.sample(2019, rows=3000, seed=8)
    names = list(twin.read_correlations().index)
    wanted = np.corrcoef(drawn[names].to_numpy(float).T)
    found = twin.compare_correlations(drawn) + twin.read_correlations()
    np.testing.assert_allclose(found, wanted, atol=1e-9)


# ---------------------------------------------------------------- seeds, errors


def test_same_seed_same_records_and_another_seed_others():
    first, again = (twin.sample(2017, rows=70_000, seed=9) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    other = twin.sample(2017, rows=70_000, seed=10)
    assert (first.SUB1 != other.SUB1).mean() > 0.3


def test_records_of_a_seed_do_not_change_from_release_to_release():
    """A frozen digest: another machine, thread count or library must agree."""
    drawn = twin.sample(2018, rows=20_000, seed=33)
    total = sum(
        int((drawn[name].to_numpy(np.int64) * (1 + np.arange(len(drawn)) % 97)).sum())
        for name in drawn.columns
        if name != "CASEID"
    )
    assert total == FROZEN


FROZEN = 20325057245


def test_older_coding_of_noprior_counts_to_five():
    binary = twin.sample(2018, rows=30_000, seed=6)
    older = twin.sample(2018, rows=30_000, seed=6, noprior="0-5")
    assert set(older.NOPRIOR) == {-9, 0, 1, 2, 3, 4, 5}
    assert (older.NOPRIOR.clip(upper=1) == binary.NOPRIOR).all()
    rest = [name for name in binary.columns if name != "NOPRIOR"]
    pd.testing.assert_frame_equal(older[rest], binary[rest])
    counts = older.NOPRIOR.value_counts()
    assert counts[1] > counts[2] > counts[3] > counts[4]


@pytest.mark.parametrize("year", [2014, 2020, 2023, "2018", 2018.5, None, True])
def test_a_year_without_a_codebook_is_refused(year):
    with pytest.raises(InputError, match="2015, 2016, 2017, 2018, 2019"):
        twin.sample(year, rows=10)


@pytest.mark.parametrize("rows", [0, -1, 1.5, "10", True, 10**7])
def test_rows_that_cannot_be_are_refused(rows):
    with pytest.raises(InputError, match="rows must be a whole number"):
        twin.sample(2018, rows=rows)


@pytest.mark.parametrize("seed", [-1, 0.5, "33", None, False])
def test_seeds_that_cannot_be_are_refused(seed):
    with pytest.raises(InputError, match="seed must be a whole number"):
        twin.sample(2018, rows=10, seed=seed)


def test_an_unknown_coding_is_refused():
    with pytest.raises(InputError, match="noprior must be one of 0-1, 0-5"):
        twin.sample(2018, rows=10, noprior="0-3")


def test_comparisons_refuse_records_of_two_years():
    both = pd.concat([twin.sample(2018, rows=5), twin.sample(2019, rows=5)])
    with pytest.raises(InputError, match="one year"):
        twin.compare_margins(both)
    with pytest.raises(InputError, match="STFIPS"):
        twin.compare_reasons(twin.sample(2018, rows=5), by="AGE")


def test_bytes_are_those_of_a_written_file(tmp_path):
    drawn = twin.sample(2019, rows=500)
    path = tmp_path / "twin.csv"
    drawn.to_csv(path, index=False, lineterminator="\r\n")
    assert twin.count_bytes(drawn) == path.stat().st_size


# ---------------------------------------------------------------- whole files


@pytest.mark.slow
@pytest.mark.parametrize("year", [2017, 2018, 2019])
def test_whole_file_meets_every_target(year):
    drawn = twin.sample(year)
    assert len(drawn) == codebook.size(year)
    assert_structure(drawn)
    table = twin.compare_margins(drawn)
    assert table.distance.max() <= 0.01, table.nlargest(5, "distance").to_string()
    for by in ("STFIPS", "SERVICES"):
        assert twin.compare_reasons(drawn, by).gap.abs().max() <= 0.01
    states = twin.compare_reasons(drawn)
    wanted = twin.read_targets(year)[0]
    assert states.rows.to_list() == wanted[wanted.sum(axis=1) > 0].ravel().tolist()


@pytest.mark.slow
def test_whole_files_meet_the_cohorts_and_the_length():
    last, study, before = (twin.sample(year) for year in (2019, 2018, 2017))
    gap = np.abs(twin.compare_correlations(last).to_numpy()[np.triu_indices(29, 1)])
    assert gap.mean() <= 0.03
    assert gap.max() <= 0.12
    assert twin.count_bytes(last) == pytest.approx(FULL_BYTES, rel=0.001)
    oklahoma = last[last.STFIPS == 40].REASON.value_counts().sort_index()
    assert oklahoma.to_list() == [4391, 5754, 498, 1353, 223, 41, 520]
    for name, find in (("general", cohorts.general), ("methadone", cohorts.methadone)):
        cohort = find(study)
        assert len(cohort) == pytest.approx(SIZES_2018[name], rel=0.03)
        share = cohorts.completed(cohort).mean()
        assert share == pytest.approx(SHARES_2018[name], abs=0.015)
    other = pd.concat([cohorts.other_opioids(frame) for frame in (before, study)])
    assert len(other) == pytest.approx(232_200, rel=0.05)
    assert cohorts.completed(other).mean() == pytest.approx(310 / 1161, abs=0.015)
