"""Study B's people, targets and groups are what its text says, gaps included."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sudlib import book, twin
from sudlib.files import InputError
from sudlib.oklahoma import coding, cohort, meanings
from sudlib.teds import codebook


@pytest.fixture(scope="module")
def records():
    made = twin.sample(2019, 3000, seed=1)
    return cohort.older_noprior(made, seed=1)


def test_every_code_of_the_codebook_has_one_group():
    for name, cut in coding.BUCKETS.items():
        members = [code for group in cut.codes for code in group]
        assert sorted(members) == sorted(set(codebook.codes(name)) - {codebook.MISSING})


@given(st.lists(st.integers(0, 11), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_groups_agree_with_a_count_by_hand(ages):
    frame = pd.DataFrame({name: 1 for name in coding.VARIABLES}, index=range(len(ages)))
    frame["AGE"] = np.array(ages) + 1
    groups = coding.bucketised(frame)
    # Age band 8 begins at 40 years.
    assert (groups["AGE"] == "40 and over").sum() == sum(age + 1 >= 8 for age in ages)
    assert groups.notna().all().all()


def test_missing_is_no_group_a_level_or_the_commonest(records):
    gaps = records[list(coding.VARIABLES)] == codebook.MISSING
    open_ = coding.bucketised(records)
    level = coding.bucketised(records, "level")
    mode = coding.bucketised(records, "mode")
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


def test_group_counts_add_up(records):
    table = coding.group_counts(coding.bucketised(records), coding.target(records))
    for _, part in table.groupby("variable"):
        assert part["people"].sum() == len(records)
        assert part["share"].sum() == pytest.approx(1)
    assert (table["COMPLETE"] + table["INCOMPLETE"] == table["people"]).all()


def test_features_are_known_at_admission():
    after = {"LOS", "REASON", *(n for n in codebook.COLUMNS if n.endswith("_D"))}
    assert not after & set(coding.FEATURES)
    assert set(coding.FEATURES) <= set(codebook.COLUMNS)
    assert not set(coding.FEATURES) & set(coding.VARIABLES)


def test_targets(records):
    done = coding.target(records, "COMPLETED")
    assert ((done == "COMPLETE") == (records["REASON"] == 1)).all()
    times = coding.target(records, "NOPRIOR")
    assert (times.isna() == (records["NOPRIOR"] == -9)).all()
    assert set(times.dropna()) == set(coding.CLASSES["NOPRIOR"])
    both = coding.target(records, "COMPLETED_NOPRIOR").dropna()
    assert (both == (done + "_" + times)[both.index]).all()
    assert set(both) <= set(coding.CLASSES["COMPLETED_NOPRIOR"])
    reason = coding.target(records, "REASON")
    assert set(reason) <= set(coding.CLASSES["REASON"])
    assert ((reason == "completed") == (done == "COMPLETE")).all()


def test_older_coding_only_deals_out_one_or_more_and_only_for_made_up_records():
    made = twin.sample(2019, 3000, seed=1)
    older = cohort.older_noprior(made, seed=1)
    assert ((older["NOPRIOR"] >= 1) == (made["NOPRIOR"] == 1)).all()
    same = made["NOPRIOR"] < 1
    assert (older["NOPRIOR"][same] == made["NOPRIOR"][same]).all()
    made.attrs["synthetic"] = False
    with pytest.raises(InputError, match="only made-up records"):
        cohort.older_noprior(made)


def test_imputing_puts_the_commonest_code_in_every_gap_and_changes_nothing_else(
    records,
):
    filled = coding.imputed(records)
    gaps = records == codebook.MISSING
    for name in records.columns[gaps.any() & ~gaps.all()]:
        common = records[name][~gaps[name]].mode().iloc[0]
        assert (filled[name][gaps[name]] == common).all()
        assert (filled[name][~gaps[name]] == records[name][~gaps[name]]).all()


def test_clean_drops_identifiers_and_constants(records):
    oklahoma = records.assign(STFIPS=40)
    kept, dropped = coding.clean(oklahoma)
    assert set(dropped["column"]) >= {"CASEID", "DISYR", "STFIPS", "REGION"}
    assert set(kept.columns) | set(dropped["column"]) == set(records.columns)
    assert kept.nunique().min() > 1


def test_dropping_the_first_level_changes_a_kernels_distances():
    levels = pd.DataFrame({"V": pd.Categorical(["a", "b", "c"])})

    def distances(X):
        X = X.to_numpy(float)
        return ((X[:, None] - X[None]) ** 2).sum(axis=2)

    assert (distances(coding.one_hot(levels)) == 2 * (1 - np.eye(3))).all()
    short = distances(coding.one_hot(levels, drop_first=True))
    assert short.tolist() == [[0, 1, 1], [1, 0, 2], [1, 2, 0]]


def test_cohort_as_published_and_repaired(records):
    published = cohort.cohort(records, "NOPRIOR", "published")
    repaired = cohort.cohort(records, "NOPRIOR", "repaired")
    assert len(published) == len(records)
    assert len(repaired) == (records["NOPRIOR"] >= 0).sum()
    assert "NOPRIOR" not in repaired.levels and "NOPRIOR" not in published.levels
    assert published.groups.notna().all().all()
    assert repaired.groups.isna().any().any()
    assert set(np.unique(published.X)) == {0, 1}
    full = repaired.X.to_numpy().sum(axis=1)
    assert (full == repaired.levels.shape[1]).all()
    assert published.synthetic


def test_cohort_of_some_rows_is_drawn_by_the_seed(records):
    first, again, other = (
        cohort.cohort(records, rows=500, seed=seed) for seed in (1, 1, 2)
    )
    assert len(first) == 500
    assert first.levels.equals(again.levels)
    assert not first.levels.equals(other.levels)


def test_subset_keeps_the_columns(records):
    whole = cohort.cohort(records)
    part = cohort.subset(whole, np.arange(0, 300, 3))
    assert list(part.X.columns) == list(whole.X.columns)
    assert (part.X.to_numpy() == whole.X.to_numpy()[np.arange(0, 300, 3)]).all()


def test_oklahoma_is_oklahoma_and_has_the_studys_size():
    people = cohort.oklahoma(size="quick", seed=3)
    assert (people["STFIPS"] == 40).all()
    assert people["LOS"].between(1, 30).all()
    assert 0.8 * cohort.STUDY_ROWS <= len(people) <= cohort.STUDY_ROWS
    assert people.attrs["synthetic"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: coding.bucketised(r, "zero"), 'missing must be one of "undefined"'),
        (lambda r: coding.bucketised(r.drop(columns="VET")), "needs the column VET"),
        (lambda r: coding.bucketised(r.assign(RACE=17)), "first 17; allowed are 1, 2"),
        (lambda r: coding.target(r, "LOS"), 'target must be one of "COMPLETED"'),
        (lambda r: coding.target(r.assign(REASON=9)), None),
        (lambda r: coding.target(r.assign(REASON=9), "REASON"), "1 to 7, not 9"),
        (
            lambda r: coding.target(r.assign(NOPRIOR=7), "NOPRIOR"),
            "0 to 5 or -9, not 7",
        ),
        (lambda r: cohort.cohort(r, variant="mended"), 'variant must be one of "publ'),
        (lambda r: cohort.cohort(r, rows=0), "rows must be at least 1"),
        (lambda r: cohort.cohort(r.assign(REASON=1)), "1 class among"),
        (lambda r: cohort.cohort([1, 2]), "must be a pandas DataFrame, not list"),
        (lambda r: cohort.oklahoma(size="big"), 'size must be one of "quick"'),
    ],
)
def test_bad_input_is_named(records, call, message):
    if message is None:
        call(records)
        return
    with pytest.raises(InputError, match=message):
        call(records)


def test_relabelled_people_keep_everything_but_their_class(records):
    whole = cohort.cohort(records, rows=300)
    order = np.random.default_rng(0).permutation(300)
    other = cohort.relabel(whole, whole.y.to_numpy()[order])
    assert other.levels is whole.levels
    assert (other.y.to_numpy() == whole.y.to_numpy()[order]).all()
    with pytest.raises(InputError, match="among them YES"):
        cohort.relabel(whole, ["YES"] * 300)


def test_a_real_file_keeps_its_two_classes_of_noprior():
    real = twin.sample(2019, 30_000, seed=4)
    real.attrs["synthetic"] = False
    people = cohort.pick(real)
    assert set(coding.target(people, "NOPRIOR").dropna()) == {"0", "1"}
    assert len(cohort.cohort(people, "REASON").classes) == 4


def test_a_file_without_study_b_is_refused_in_words():
    frame = twin.sample(2019, rows=5_000)
    with pytest.raises(InputError, match="has no DETNLF, DETCRIM"):
        cohort.pick(frame.drop(columns=["DETNLF", "DETCRIM"]))
    with pytest.raises(InputError, match="at least 100 people in Oklahoma"):
        cohort.pick(frame)


def test_listed_columns_mean_what_the_codebook_says():
    said = book.published("b")
    said = said[said.index.str.startswith("b.columns.") & (said["reason"] == "")]
    columns = list(said["metric"].str.split().str[-1])
    assert len(columns) == 82
    unlike = {
        column: meanings.unlike_words(printed, meanings.meaning(column))
        for column, printed in zip(columns, said["printed"], strict=True)
    }
    # The study writes "substance abuse" where the codebook has "substance use".
    assert {name: words for name, words in unlike.items() if words} == {
        "PSYPROB_2": ["abuse"]
    }
    # The comparison can tell: another column's meaning is nearly always noticed.
    wrong = [
        meanings.unlike_words(printed, meanings.meaning(column))
        for column in columns[::5]
        for other, printed in zip(columns, said["printed"], strict=True)
        if other != column
    ]
    assert sum(not words for words in wrong) / len(wrong) < 0.02


@pytest.mark.parametrize("column", ["NOPRIOR_2", "ADMYR_2015", "SUB1_x", "SUB1"])
def test_a_column_the_codebook_does_not_have_is_named(column):
    with pytest.raises(InputError, match="codebook of 2019|has the codes"):
        meanings.meaning(column)
