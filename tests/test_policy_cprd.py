"""The diabetes extract of study C: schema, loader, synthetic cohort and its truth."""

import numpy as np
import pandas as pd
import pytest

from sudlib import records, teds
from sudlib.files import InputError, data_file
from sudlib.policy import combination_number, combinations, cprd

EVERY = list(cprd.COVARIATES) + list(cprd.TREATMENTS) + [cprd.OUTCOME]


@pytest.fixture(scope="module")
def many():
    """Many people with complete covariates."""
    return cprd.sample(40_000, seed=7, missing=False)


@pytest.fixture(scope="module")
def covariates(many):
    return many[list(cprd.COVARIATES)]


def write(frame, tmp_path):
    path = tmp_path / "extract.csv"
    frame.to_csv(path, index=False)
    return path


# ---------------------------------------------------------------------- the schema


def test_schema_lists_the_study_s_21_covariates_4_treatments_and_outcome():
    table = cprd.schema()
    assert list(table.index) == EVERY
    assert table["kind"].value_counts().to_dict() == {
        "number": 11,
        "yes-no": 10,
        "treatment": 4,
        "outcome": 1,
    }
    assert table[["label", "unit"]].ne("").all(axis=None)


def test_schema_cannot_be_changed_by_who_reads_it():
    mine = cprd.schema()
    mine.loc["bmi", "low"] = -1
    assert cprd.schema().loc["bmi", "low"] == 14


# ------------------------------------------------------------------------ the loader


def test_a_written_cohort_is_read_back_unchanged(tmp_path):
    cohort = cprd.sample(300, seed=3)
    shuffled = cohort[EVERY[::-1]]
    back = cprd.load(str(write(shuffled, tmp_path)))
    pd.testing.assert_frame_equal(back, cohort)
    assert not back.attrs["synthetic"] and back.attrs["data"] == "extract.csv"
    assert len(back.attrs["sha256"]) == 64


def test_treatments_may_be_coded_minus_one_and_one(tmp_path):
    cohort = cprd.sample(300, seed=3)
    signs = cohort.copy()
    signs[list(cprd.TREATMENTS)] = 2 * signs[list(cprd.TREATMENTS)] - 1
    pd.testing.assert_frame_equal(cprd.read(write(signs, tmp_path)), cohort)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("bmi", 3.0, ["'bmi'", "14 to 70", "kg/m2", "row 5", "3"]),
        ("male", 2.0, ["'male'", "0 or 1", "2"]),
        ("met", 3.0, ["'met'", "0 or 1"]),
        ("met", np.nan, ["'met'", "must not be missing", "row 5"]),
        ("hba1c_change", np.nan, ["'hba1c_change'", "must not be missing"]),
        ("age", "sixty", ["'age'", "18 to 100", "'sixty'"]),
        ("hba1c", 75.0, ["'hba1c'", "mmol/mol", "per cent"]),
        ("log_alt", "inf", ["'log_alt'", "inf"]),
    ],
)
def test_a_value_that_does_not_fit_names_column_row_value_and_what_is_allowed(
    tmp_path, column, value, words
):
    cohort = cprd.sample(50, seed=3).astype(object)
    cohort.loc[4, column] = value
    with pytest.raises(InputError) as error:
        cprd.read(write(cohort, tmp_path))
    for word in words:
        assert word in str(error.value)


def test_columns_that_are_absent_unknown_or_double_are_named(tmp_path):
    cohort = cprd.sample(50, seed=3)
    with pytest.raises(InputError, match="lacks the column egfr, su"):
        cprd.read(write(cohort.drop(columns=["egfr", "su"]), tmp_path))
    with pytest.raises(InputError, match="patid.*not in the schema.*identifiers"):
        cprd.read(write(cohort.assign(patid=1), tmp_path))
    doubled = pd.concat([cohort, cohort[["bmi"]]], axis=1)
    with pytest.raises(InputError, match="'bmi' is there twice"):
        cprd.read(write(doubled, tmp_path))


def test_data_of_the_other_studies_leave_this_one_on_its_cohort(tmp_path):
    other = tmp_path / "tedsd.csv"
    other.write_text('"CASEID","AGE"\n1,5\n')
    for data in ("twin", "teds-d-2018", str(other), str(tmp_path)):
        assert cprd.load(data, people=50).attrs["synthetic"]


def test_both_doors_know_the_same_files(tmp_path, monkeypatch):
    frame = records.load("twin", rows=40)
    monkeypatch.setenv("HOME", str(tmp_path))
    forms = {
        "whole.csv": frame,
        "lower.csv": frame.rename(columns=str.lower),
        "nocase.csv": frame.drop(columns="CASEID"),
        "tab.tsv": frame,
    }
    for name, form in forms.items():
        sep = "\t" if name.endswith("tsv") else ","
        form.to_csv(tmp_path / name, index=False, sep=sep)
    frame.to_csv(tmp_path / "mark é.csv", index=False, encoding="utf-8-sig")
    teds.write(frame, tmp_path / "packed.zip")
    doors = [*(tmp_path / name for name in forms), tmp_path / "mark é.csv"]
    for data in [*doors, tmp_path / "packed.zip", "~/whole.csv"]:
        assert len(records.load(data)) == 40, data
        assert cprd.load(data, people=50).attrs["synthetic"], data
    for data in ("Teds-D-2019", "TEDS-D-2018", tmp_path):
        assert records.door(data)[0] in ("year", "folder")
        assert cprd.load(data, people=50).attrs["synthetic"], data
    gone = [name for name in frame if name.endswith("_D")]
    admitted = frame.drop(columns=[*gone, "LOS", "REASON", "DISYR"]).assign(ADMYR=2018)
    admitted.to_csv(tmp_path / "a.csv", index=False)
    for load in (records.load, cprd.load):
        with pytest.raises(InputError, match=r"a.csv is of admissions \(TEDS-A\)"):
            load(tmp_path / "a.csv")
        with pytest.raises(InputError, match="teds-d-YEAR|2015 to 2023"):
            load("teds-d-1999")


def test_a_file_that_is_absent_empty_or_no_table_is_refused(tmp_path):
    with pytest.raises(InputError, match='data must be "twin"'):
        cprd.load(str(tmp_path / "nothing.csv"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match="empty.csv is empty"):
        cprd.load(str(tmp_path / "empty.csv"))
    with pytest.raises(InputError, match="not a readable CSV"):
        cprd.read(tmp_path / "empty.csv")
    with pytest.raises(InputError, match="no rows"):
        cprd.read(write(cprd.sample(5).iloc[:0], tmp_path))


def test_somebody_cannot_smoke_and_have_stopped(tmp_path):
    cohort = cprd.sample(50, seed=3)
    cohort.loc[9, ["smoker", "ex_smoker"]] = 1.0
    with pytest.raises(InputError, match="row 10"):
        cprd.read(write(cohort, tmp_path))


# -------------------------------------------------------------- the synthetic cohort


def test_cohort_is_the_study_s_size_and_fits_its_own_schema():
    cohort = cprd.load()
    assert cohort.shape == (1139, 26)
    assert cohort.attrs["synthetic"]
    pd.testing.assert_frame_equal(cprd.check(cohort), cohort)


def test_same_seed_same_people_and_missing_only_hides():
    full = cprd.sample(500, seed=5, missing=False)
    holes = cprd.sample(500, seed=5)
    pd.testing.assert_frame_equal(cprd.sample(500, seed=5), holes)
    assert not full.isna().to_numpy().any()
    pd.testing.assert_frame_equal(holes.where(holes.notna(), full), full)
    assert not cprd.sample(500, seed=6).equals(holes)


def test_margins_are_those_the_schema_says(many):
    table = cprd.schema().loc[list(cprd.COVARIATES)]
    for name, row in table.iterrows():
        if row["kind"] == "number":
            assert abs(many[name].mean() - row["mean"]) < 0.05 * row["spread"], name
            assert many[name].std() == pytest.approx(row["spread"], rel=0.08), name
        else:
            assert many[name].mean() == pytest.approx(row["mean"], abs=0.012), name


def test_missing_shares_are_those_of_the_schema_and_smaller_in_the_ill():
    holes = cprd.sample(40_000, seed=7)
    shares = cprd.schema().loc[list(cprd.COVARIATES), "missing"]
    seen = holes[list(cprd.COVARIATES)].isna().mean()
    assert (seen[shares == 0] == 0).all()
    assert (seen - shares).abs().max() < 0.015
    assert 0.02 < seen[shares > 0].min() and seen.max() < 0.26
    ill = holes["ischaemic_heart_disease"] == 1
    assert holes.loc[ill, "ldl"].isna().mean() < 0.75 * holes["ldl"].isna().mean()


def test_treatment_is_confounded_who_gets_more_starts_higher(many):
    number = many[list(cprd.TREATMENTS)].sum(axis=1)
    assert many["hba1c"][number == 4].mean() > many["hba1c"][number <= 1].mean() + 1


# ------------------------------------------------------------------------- the truth


def test_propensities_are_chances_and_match_what_is_given(many, covariates):
    chances = cprd.propensities(covariates)
    assert chances.min() > 0
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    _, given, _ = cprd.arrays(many)
    shares = np.bincount(combination_number(given), minlength=16) / len(many)
    np.testing.assert_allclose(shares, chances.mean(axis=0), atol=0.008)


def test_weighting_by_the_true_propensity_gives_the_true_value(many, covariates):
    _, given, drop = cprd.arrays(many)
    chance = cprd.propensities(covariates)[
        np.arange(len(many)), combination_number(given)
    ]
    for rule in (
        cprd.best_rule(covariates),
        np.tile([-1, 1, 1, -1], (len(many), 1)),
    ):
        weights = (given == rule).all(axis=1) / chance
        value = weights @ drop / weights.sum()
        assert value == pytest.approx(cprd.true_value(rule, covariates), abs=0.1)


def test_outcomes_scatter_around_the_expected_drops(many, covariates):
    _, given, drop = cprd.arrays(many)
    expected = cprd.expected_drops(covariates)[
        np.arange(len(many)), combination_number(given)
    ]
    residual = drop - expected
    assert abs(residual.mean()) < 0.02
    assert residual.std() == pytest.approx(1.0, abs=0.05)
    assert (many["hba1c"] + many[cprd.OUTCOME] < 4).mean() < 0.01


def test_hba1c_falls_in_proportion_to_its_start_within_bounds(covariates):
    few = covariates.iloc[:40]
    single = combination_number(2 * np.eye(4, dtype=int) - 1)
    for start, room in ((5.5, 0.3), (7, 0.5), (9, 1), (12, 1.75), (13, 2), (18, 2)):
        begun = few.assign(hba1c=start)
        drops = cprd.expected_drops(begun)
        gained = drops[:, single] - drops[:, [0]]
        np.testing.assert_allclose(gained, room * cprd.effects(begun), atol=1e-12)


def test_no_rule_beats_the_best_rule(covariates):
    best = cprd.true_value(cprd.best_rule(covariates), covariates)
    assert best > cprd.true_value(cprd.hamming_rule(covariates), covariates)
    for same in combinations(4):
        assert best > cprd.true_value(same, covariates) + 0.2


def test_without_burden_hamming_and_best_rule_are_the_same(covariates):
    few = covariates.iloc[:5000]
    assert (cprd.hamming_rule(few, burden=0) == cprd.best_rule(few, burden=0)).all()
    np.testing.assert_array_equal(
        cprd.best_rule(few, burden=0) > 0, cprd.effects(few) > 0
    )


def test_published_directions_of_the_effects(covariates):
    effect = pd.DataFrame(cprd.effects(covariates), columns=list(cprd.TREATMENTS))
    woman = covariates["male"] == 0
    heavy = covariates["bmi"] > 30
    difference = effect["tzd"] - effect["su"]
    assert difference[woman & heavy].mean() > difference[~woman & ~heavy].mean() + 0.5
    low = covariates["egfr"] < 45
    assert effect["met"][low].mean() < effect["met"][~low].mean() - 0.8
    failing = covariates["heart_failure"] == 1
    assert effect["tzd"][failing].mean() < effect["tzd"][~failing].mean() - 0.8


def test_truth_needs_complete_covariates():
    holes = cprd.sample(200)[list(cprd.COVARIATES)]
    with pytest.raises(InputError, match="missing=False"):
        cprd.best_rule(holes)


@pytest.mark.parametrize("count", [0, 13])
def test_combinations_are_listed_for_1_to_12_treatments(count):
    with pytest.raises(InputError, match="1 to 12"):
        combinations(count)


def test_places_are_the_rows_of_combinations():
    for count in (1, 2, 5, 12):
        every = combinations(count)
        np.testing.assert_array_equal(combination_number(every), np.arange(2**count))


def test_people_must_be_a_positive_whole_number():
    for wrong in (0, -3, 2.5):
        with pytest.raises(InputError, match="whole number"):
            cprd.sample(wrong)


# ----------------------------------------------------------------------- imputation


def test_imputations_keep_what_is_known_and_stay_in_the_schema():
    holes, _, _ = cprd.arrays(cprd.sample(400, seed=2))
    first, second = cprd.impute(holes, n_imputations=2, seed=1)
    known = holes.notna()
    for done in (first, second):
        pd.testing.assert_frame_equal(done.where(known), holes)
        cprd.check(done.assign(**dict.fromkeys(cprd.TREATMENTS, 0.0), hba1c_change=0.0))
    hidden = ~known.to_numpy()
    assert not np.allclose(first.to_numpy()[hidden], second.to_numpy()[hidden])
    again = cprd.impute(holes, n_imputations=1, seed=1)[0]
    pd.testing.assert_frame_equal(again, first)


def test_imputing_a_covariate_that_nobody_has_is_refused():
    holes, _, _ = cprd.arrays(cprd.sample(60, seed=2))
    with pytest.raises(InputError, match="ldl is missing for everybody"):
        cprd.impute(holes.assign(ldl=np.nan))


def test_schema_file_comes_with_the_book():
    assert data_file("cprd/schema.csv").is_file()


@pytest.mark.slow
def test_notebook_shows_nothing_of_an_extract_that_stands_for_fewer_than_ten(
    tmp_path, monkeypatch
):
    nbformat = pytest.importorskip("nbformat")
    from sudlib import book, disclosure, policy

    path = write(cprd.sample(600, seed=8), tmp_path)
    cells = [
        cell
        for cell in nbformat.read(
            book.ROOT / "notebooks" / "c05_diabetes.ipynb", as_version=4
        ).cells
        if cell.cell_type == "code" and not cell.source.startswith("# Colab")
    ]
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path))
    shown = {}
    for cell in cells:
        source = cell.source.replace('data: str = "twin"', f"data: str = {str(path)!r}")
        exec(source.replace('"quick": (2, 5)', '"quick": (1, 2)'), shown)
    run = shown["run"]
    assert not run.synthetic
    assert "splits" not in run.tables
    small = [
        name
        for name, advice in shown["fixed"].items()
        if policy.agreement(shown["given"], advice).sum() < disclosure.MINIMUM_COUNT
    ]
    for row in run.tables["fixed_rules"]:
        if row["index"] in small:
            assert set(row.values()) == {row["index"], "under 10"}
    assert not [c for c in run.claims if c["key"].endswith(".n") and c["value"] < 10]
    assert "value" not in shown["results"]
