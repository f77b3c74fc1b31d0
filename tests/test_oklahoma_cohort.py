"""Study B's people, targets and groups are what its text says, gaps included."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sudlib import book, twin
from sudlib.files import InputError
from sudlib.oklahoma import coding, cohort
from sudlib.teds import codebook


@pytest.fixture(scope="module")
def records():
    made = twin.sample(2019, 3000, seed=1)
    return cohort.older_noprior(made, seed=1)


def test_every_code_of_the_codebook_has_one_group():
    for name, groups in coding.BUCKETS.items():
        members = [code for codes in groups.values() for code in codes]
        assert sorted(members) == sorted(set(codebook.codes(name)) - {codebook.MISSING})


@given(st.lists(st.integers(0, 11), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_groups_agree_with_a_count_by_hand(ages):
    frame = pd.DataFrame({name: 1 for name in coding.VARIABLES}, index=range(len(ages)))
    frame["AGE"] = np.array(ages) + 1
    groups = coding.bucketise(frame)
    # Age band 8 begins at 40 years.
    assert (groups["AGE"] == "40 and over").sum() == sum(age + 1 >= 8 for age in ages)
    assert groups.notna().all().all()


def test_missing_is_no_group_a_level_or_the_commonest(records):
    gaps = records[list(coding.VARIABLES)] == codebook.MISSING
    open_ = coding.bucketise(records)
    level = coding.bucketise(records, "level")
    mode = coding.bucketise(records, "mode")
    assert (open_.isna().to_numpy() == gaps.to_numpy()).all()
    assert level.notna().all().all()
    assert mode.notna().all().all()
    men = records["GENDER"] == 1
    assert (level["PREG"][men] == coding.NOT_APPLICABLE).all()
    assert (mode["PREG"][men] == "not pregnant").all()
    assert set(level["RACE"][gaps["RACE"]]) == {coding.NOT_RECORDED}


def test_groups_in_the_order_of_the_studys_tables():
    assert coding.VARIABLES == (
        *("GENDER", "AGE", "VET", "EDUC", "MARSTAT"),
        *("EMPLOY", "RACE", "ETHNIC", "PREG"),
    )


def test_groups_hold_the_codes_that_the_study_names():
    people = pd.DataFrame({name: [1] for name in coding.VARIABLES}, index=range(5))
    people["MARSTAT"] = [1, 2, 3, 4, -9]
    people["EMPLOY"] = [1, 2, 3, 4, 4]
    people["ETHNIC"] = [1, 2, 3, 4, 5]
    people["RACE"] = [5, 4, 9, 5, 1]
    groups = coding.bucketise(people)
    married, white = "married before or now", ["White", "not White", "not White"]
    assert groups["MARSTAT"].tolist() == ["never married", *[married] * 3, np.nan]
    assert groups["EMPLOY"].tolist() == ["employed"] * 2 + ["not employed"] * 3
    assert (groups["ETHNIC"] == "not Hispanic").tolist() == [0, 0, 0, 1, 0]
    assert groups["RACE"].tolist() == [*white, "White", "not White"]
    # Categories are those that occur, in the order of the study's tables.
    assert groups["MARSTAT"].cat.categories.tolist() == [married, "never married"]
    assert groups["VET"].cat.categories.tolist() == ["veteran"]


def test_levels_of_what_is_missing_come_last(records):
    level = coding.bucketise(records, "level")["PREG"].cat.categories.tolist()
    assert level == ["pregnant", "not pregnant", "not recorded", "does not apply"]


def test_group_counts_are_a_cross_table(records):
    groups, target = coding.bucketise(records), coding.make_target(records)
    table = coding.group_counts(groups, target).set_index(["variable", "group"])
    for name in coding.VARIABLES:
        by_hand = pd.crosstab(
            groups[name].astype(object).fillna("not recorded"), target
        )
        rows = table.loc[name]
        assert set(rows.index) == set(by_hand.index)
        for group, counts in by_hand.iterrows():
            assert rows.loc[group, "COMPLETE"] == counts["COMPLETE"]
            assert rows.loc[group, "people"] == counts.sum()
            assert rows.loc[group, "share"] == pytest.approx(
                counts.sum() / len(records)
            )
    assert table.loc["VET"].index.tolist() == [
        "veteran",
        "not a veteran",
        "not recorded",
    ]
    assert list(coding.group_counts(groups)) == ["variable", "group", "people", "share"]


def test_features_are_known_at_admission():
    after = {"LOS", "REASON", *(n for n in codebook.COLUMNS if n.endswith("_D"))}
    assert not after & set(coding.FEATURES)
    assert set(coding.FEATURES) <= set(codebook.COLUMNS)
    assert not set(coding.FEATURES) & set(coding.VARIABLES)
    assert len(coding.FEATURES) == len(set(coding.FEATURES)) == 31


def test_targets(records):
    done = coding.make_target(records, "COMPLETED")
    assert ((done == "COMPLETE") == (records["REASON"] == 1)).all()
    times = coding.make_target(records, "NOPRIOR")
    assert (times.isna() == (records["NOPRIOR"] == -9)).all()
    assert set(times.dropna()) == set(coding.CLASSES["NOPRIOR"])
    both = coding.make_target(records, "COMPLETED_NOPRIOR").dropna()
    assert (both == (done + "_" + times)[both.index]).all()
    assert set(both) <= set(coding.CLASSES["COMPLETED_NOPRIOR"])
    reason = coding.make_target(records, "REASON")
    assert set(reason) <= set(coding.CLASSES["REASON"])
    by_code = reason.groupby(records["REASON"]).unique().map(list).to_dict()
    other = ["transferred or other"]
    ended = ["terminated or incarcerated"]
    assert by_code == {
        1: ["completed"], 2: ["dropped out"], 3: ended, 4: other, 5: ended, 6: other,
        7: other,
    }  # fmt: skip
    assert {done.name, times.name, reason.name} == {"COMPLETED", "NOPRIOR", "REASON"}


def test_four_and_five_previous_episodes_of_the_oldest_files_count_as_three():
    frame = pd.DataFrame({"NOPRIOR": [0, 3, 4, 5, -9], "REASON": [1, 2, 3, 1, 1]})
    assert coding.make_target(frame, "NOPRIOR").tolist()[:4] == list("0333")
    assert pd.isna(coding.make_target(frame, "NOPRIOR")[4])
    both = coding.make_target(frame, "COMPLETED_NOPRIOR").tolist()
    assert both[:4] == ["COMPLETE_0", "INCOMPLETE_3", "INCOMPLETE_3", "COMPLETE_3"]


def test_older_coding_only_deals_out_one_or_more_and_only_for_made_up_records():
    made = twin.sample(2019, 3000, seed=1)
    older = cohort.older_noprior(made, seed=1)
    assert ((older["NOPRIOR"] >= 1) == (made["NOPRIOR"] == 1)).all()
    same = made["NOPRIOR"] < 1
    assert (older["NOPRIOR"][same] == made["NOPRIOR"][same]).all()
    shares = older["NOPRIOR"][~same].value_counts(normalize=True)
    for times, people in cohort.NOPRIOR_COUNTS.items():
        assert shares[times] == pytest.approx(people / 216, abs=0.03)
    assert older.attrs == made.attrs and "synthetic" in older.attrs
    assert not older.equals(cohort.older_noprior(made, seed=2))
    made.attrs, made["CASEID"] = {}, range(3000)
    with pytest.raises(InputError, match="only made-up records"):
        cohort.older_noprior(made)


def test_imputing_puts_the_commonest_code_in_every_gap_and_changes_nothing_else(
    records,
):
    filled = coding.impute(records)
    gaps = records == codebook.MISSING
    for name in records.columns[gaps.any() & ~gaps.all()]:
        common = records[name][~gaps[name]].mode().iloc[0]
        assert (filled[name][gaps[name]] == common).all()
        assert (filled[name][~gaps[name]] == records[name][~gaps[name]]).all()
    assert filled.attrs == records.attrs
    nobody = pd.DataFrame({"PREG": [-9, -9]})
    assert coding.impute(nobody).equals(nobody)


def test_clean_drops_identifiers_and_constants(records):
    oklahoma = records.assign(STFIPS=40)
    kept, dropped = coding.clean(oklahoma)
    assert set(dropped["column"]) >= {"CASEID", "DISYR", "STFIPS", "REGION"}
    assert set(kept.columns) | set(dropped["column"]) == set(records.columns)
    assert kept.nunique().min() > 1 and kept.attrs == records.attrs
    why = dropped.set_index("column")["why"]
    assert (
        why["DIVISION"]
        == why["CASEID"]
        == "identifies the record, its year or its place"
    )
    constant = coding.clean(oklahoma.assign(VET=2))[1].set_index("column")["why"]
    assert constant["VET"] == "has one value only"


def test_identifiers_do_not_stay_because_their_names_are_in_small_letters(records):
    small = records.rename(columns={"CASEID": "caseid", "STFIPS": "Stfips"})
    for take in (coding.clean, coding.impute):
        with pytest.raises(InputError, match="CASEID, not caseid, Stfips: rename"):
            take(small)
    own = records.assign(age=1, region="north")  # beside AGE and REGION: a user's own
    assert {"age", "region"} <= {*coding.impute(own)}


def test_dropping_the_first_level_changes_a_kernels_distances():
    levels = pd.DataFrame({"V": pd.Categorical(["a", "b", "c"])})

    def distances(X):
        X = X.to_numpy(float)
        return ((X[:, None] - X[None]) ** 2).sum(axis=2)

    assert (distances(coding.one_hot(levels)) == 2 * (1 - np.eye(3))).all()
    short = distances(coding.one_hot(levels, drop_first=True))
    assert short.tolist() == [[0, 1, 1], [1, 0, 2], [1, 2, 0]]


def test_cohort_as_published_and_repaired(records):
    published = cohort.make_cohort(records, "NOPRIOR", "published")
    repaired = cohort.make_cohort(records, "NOPRIOR", "repaired")
    assert len(published) == len(records)
    assert len(repaired) == (records["NOPRIOR"] >= 0).sum()
    assert "NOPRIOR" not in repaired.levels and "NOPRIOR" not in published.levels
    assert published.groups.notna().all().all()
    assert repaired.groups.isna().any().any()
    assert set(np.unique(published.X)) == {0, 1}
    full = repaired.X.to_numpy().sum(axis=1)
    assert (full == repaired.levels.shape[1]).all()
    sizes = published.levels.nunique()
    assert published.X.shape[1] == (sizes - 1).sum() and sizes.min() > 1
    assert repaired.classes == ["0", "1", "2", "3"] and repaired.y.name == "NOPRIOR"
    assert coding.NOT_APPLICABLE in set(repaired.levels["PREG"])
    assert -9 in set(repaired.levels["DETNLF"])
    assert -9 not in set(published.levels["DETCRIM"])
    # The target is imputed too: its commonest class gains those not recorded.
    gain = published.y.value_counts() - repaired.y.value_counts()
    assert gain.pop(repaired.y.mode()[0]) == (records["NOPRIOR"] == -9).sum() > 0
    assert not gain.any()
    assert "NOPRIOR" in cohort.make_cohort(records, "COMPLETED").levels


def test_cohort_of_some_rows_is_drawn_by_the_seed(records):
    first, again, other = (
        cohort.make_cohort(records, rows=500, seed=seed) for seed in (1, 1, 2)
    )
    assert len(first) == 500 and len(set(first.y.index)) == 500
    everyone = [cohort.make_cohort(records, rows=n) for n in (None, 3000, 9000)]
    assert [len(each) for each in everyone] == [3000] * 3
    assert first.levels.drop_duplicates().shape[0] > 300  # nobody twice by design
    assert first.levels.equals(again.levels)
    assert not first.levels.equals(other.levels)


def test_subset_keeps_the_columns(records):
    whole = cohort.make_cohort(records)
    part = cohort.subset(whole, np.arange(0, 300, 3))
    assert list(part.X.columns) == list(whole.X.columns)
    assert (part.X.to_numpy() == whole.X.to_numpy()[np.arange(0, 300, 3)]).all()


def test_oklahoma_is_oklahoma_and_has_the_studys_size():
    people = cohort.load_people(seed=3)
    assert (people["STFIPS"] == 40).all()
    assert people["LOS"].between(1, 30).all()
    assert 0.8 * cohort.STUDY_ROWS <= len(people) <= cohort.STUDY_ROWS
    assert people.attrs["synthetic"] and set(people["NOPRIOR"]) >= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("data", "everyone", "rows"),
    [
        ("twin", False, 600_000),
        ("twin", True, None),
        ("a/file.csv", False, None),
    ],
)
def test_only_a_small_twin_is_drawn_and_only_of_the_studys_year(
    monkeypatch, data, everyone, rows
):
    asked = []
    made = twin.sample(2019, 45_000, seed=4)

    def load(name, **more):
        asked.append((name, more))
        return made

    monkeypatch.setattr(cohort.record_files, "load", load)
    people = cohort.load_people(data, everyone=everyone, seed=7)
    assert asked == [(data, {"years": (2019,), "rows": rows, "seed": 7})]
    again = cohort.select_people(made, everyone=everyone, seed=7)
    assert people.equals(again)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda r: coding.bucketise(r, "zero"),
            "missing must be one of undefined, level",
        ),
        (
            lambda r: coding.bucketise(r.drop(columns="VET")),
            "needs the column VET; the records have",
        ),
        (
            lambda r: coding.bucketise(r.assign(RACE=17)),
            r"RACE is 17 in row 1 of 3,000 .*; allowed: -9, 1-9",
        ),
        (lambda r: coding.make_target(r, "LOS"), "target must be one of COMPLETED"),
        (lambda r: coding.make_target(r.assign(REASON=9)), "REASON is 9 .* -9, 1-7"),
        (lambda r: coding.make_target(r.assign(REASON=9), "REASON"), "REASON is 9"),
        (lambda r: coding.make_target(r.assign(REASON=-9)), "REASON is missing"),
        (lambda r: coding.make_target(r.assign(REASON=-9), "REASON"), "is missing"),
        (
            lambda r: coding.make_target(r.assign(NOPRIOR=7), "NOPRIOR"),
            "NOPRIOR is 7 .*; allowed: -9, 0-5",
        ),
        (
            lambda r: cohort.make_cohort(r, variant="mended"),
            "variant must be one of publ",
        ),
        (
            lambda r: cohort.make_cohort(r, rows=0),
            "rows must be a whole number from 1 up, or None for everyone, not 0",
        ),
        (lambda r: cohort.make_cohort(r.assign(REASON=1)), "1 class among"),
        (lambda r: cohort.make_cohort([1, 2]), "must be a pandas DataFrame, not list"),
    ],
)
def test_bad_input_is_named(records, call, message):
    with pytest.raises(InputError, match=message):
        call(records)


def test_relabelled_people_keep_everything_but_their_class(records):
    whole = cohort.make_cohort(records, rows=300)
    order = np.random.default_rng(0).permutation(300)
    other = cohort.relabel(whole, whole.y.to_numpy()[order])
    assert other.levels is whole.levels
    assert (other.y.to_numpy() == whole.y.to_numpy()[order]).all()
    with pytest.raises(
        InputError, match="a class must be one of INCOMPLETE, COMPLETE, not 'YES'"
    ):
        cohort.relabel(whole, ["YES"] * 300)


def test_a_real_file_keeps_its_two_classes_of_noprior():
    real = twin.sample(2019, 45_000, seed=4)
    real["CASEID"] = range(len(real))
    real.attrs = {"data": "mine.csv"}
    people = cohort.select_people(real)
    assert len(people) == len(cohort.select_people(real, everyone=True))
    assert len(cohort.select_people(people.iloc[:100])) == 100
    with pytest.raises(InputError, match="has 99"):
        cohort.select_people(people.iloc[:99])
    with pytest.raises(InputError, match="mine.csv has 27"):
        cohort.select_people(real, reading="services-4")
    assert set(coding.make_target(people, "NOPRIOR").dropna()) == {"0", "1"}
    assert len(cohort.make_cohort(people, "REASON").classes) == 4


def test_a_file_without_study_b_is_refused_in_words():
    frame = twin.sample(2019, rows=5_000)
    with pytest.raises(
        InputError, match="needs the columns DETNLF, DETCRIM; the records"
    ):
        cohort.select_people(frame.drop(columns=["DETNLF", "DETCRIM"]))
    with pytest.raises(InputError, match="at least 100 people in Oklahoma.*; twin has"):
        cohort.select_people(frame)


def test_listed_columns_mean_what_the_codebook_says():
    said = book.published("b")
    said = said[said.index.str.startswith("b.columns.") & (said["reason"] == "")]
    columns = list(said["metric"].str.split().str[-1])
    assert len(columns) == 82
    unlike = {
        column: coding.unlike_words(printed, coding.meaning(column))
        for column, printed in zip(columns, said["printed"], strict=True)
    }
    # The study writes "substance abuse" where the codebook has "substance use".
    assert {name: words for name, words in unlike.items() if words} == {
        "PSYPROB_2": ["abuse"]
    }
    # The comparison can tell: another column's meaning is nearly always noticed.
    wrong = [
        coding.unlike_words(printed, coding.meaning(column))
        for column in columns[::5]
        for other, printed in zip(columns, said["printed"], strict=True)
        if other != column
    ]
    assert sum(not words for words in wrong) / len(wrong) < 0.02


@pytest.mark.parametrize("column", ["NOPRIOR_2", "ADMYR_2015", "SUB1_x", "SUB1"])
def test_a_column_the_codebook_does_not_have_is_named(column):
    with pytest.raises(InputError, match="codebook of 2019|has the codes"):
        coding.meaning(column)


@pytest.mark.filterwarnings("ignore:.*blank cells are read as missing")
def test_a_missing_code_is_a_value_of_its_column_in_any_form():
    few = pd.DataFrame({"PREG": [-9, -9, 2], "VET": [1, 1, 1], "REASON": [1, 2, 1]})
    gaps = few.astype(float).mask(few == -9)
    for form in (few, few.astype(str), gaps, gaps.astype("Int64")):
        kept, dropped = coding.clean(form)
        assert list(kept) == ["PREG", "REASON"] and dropped["column"].tolist() == [
            "VET"
        ]


def test_people_are_named_from_0_up(records):
    some = cohort.make_cohort(records)
    for wrong in ([-1], [len(some)], [True]):
        with pytest.raises(InputError, match="rows"):
            cohort.subset(some, wrong)
    with pytest.raises(InputError, match="target_name must be one of COMPLETED"):
        cohort.make_cohort(records, None)


def test_labelled_rows_in_another_order_are_refused(records):
    whole = cohort.make_cohort(records, rows=300)
    done = whole.y == "COMPLETE"
    assert set(cohort.subset(whole, done).y) == {"COMPLETE"}
    for shuffled in (done.sample(frac=1, random_state=1), done.set_axis(range(1, 301))):
        with pytest.raises(InputError, match="rows and cohort have different indexes"):
            cohort.subset(whole, shuffled)
    with pytest.raises(InputError, match="y and cohort have different indexes"):
        cohort.relabel(whole, whole.y.sample(frac=1, random_state=1))
    with pytest.raises(InputError, match="y must be one column"):
        cohort.relabel(whole, whole.y.to_frame())


def test_not_recorded_has_a_meaning_too():
    assert coding.meaning("SUB1_-9").endswith("Missing/unknown/not collected/invalid")
