"""Splits keep test rows out of what is learned, and groups with their rows."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sudlib import oklahoma, twin
from sudlib.files import InputError
from sudlib.oklahoma import coding, resampling
from sudlib.oklahoma.cohort import older_noprior


@pytest.fixture(scope="module")
def records():
    return older_noprior(twin.sample(2019, 700, seed=2), seed=2)


@pytest.mark.parametrize("variant", coding.VARIANTS)
@pytest.mark.parametrize("n_splits", [None, 3])
def test_only_balancing_before_the_split_puts_made_up_rows_in_the_test(
    records, variant, n_splits
):
    cohort = oklahoma.make_cohort(records, "COMPLETED", variant)
    for balance in oklahoma.BALANCE:
        for split in oklahoma.make_splits(cohort, balance, n_splits=n_splits):
            made_up = split.made_up_test
            assert made_up.any() == (balance == "before")
            assert (split.rows_test[made_up] == -1).all()
            real = split.rows_test[~made_up]
            assert (cohort.y.to_numpy()[real] == split.y_test[~made_up]).all()
            assert (cohort.X.to_numpy()[real] == split.X_test[~made_up]).all()
            pd.testing.assert_frame_equal(
                split.groups_test[~made_up], cohort.groups.iloc[real]
            )
            sizes = pd.Series(split.y_train).value_counts()
            if balance in ("none", "inside", "weights"):
                assert (sizes.nunique() == 1) == (balance == "inside")
            assert len(split.X_train) == len(split.y_train) == len(split.groups_train)
            if balance in ("none", "weights"):
                train = np.setdiff1d(np.arange(len(cohort)), real)
                both = [
                    np.sort(cohort.X.iloc[train], axis=0),
                    np.sort(split.X_train, axis=0),
                ]
                assert (both[0] == both[1]).all()
            assert split.weighted == (balance == "weights")


def test_rows_made_inside_are_made_of_training_rows_of_their_class(records):
    cohort = oklahoma.make_cohort(records, "COMPLETED")
    [split] = oklahoma.make_splits(cohort, "inside")
    [plain] = oklahoma.make_splits(cohort, "none")
    n = len(plain.y_train)
    assert (split.X_train[:n] == plain.X_train).all()
    assert (split.y_train[:n] == plain.y_train).all()
    assert set(split.y_train[n:]) == {cohort.y.value_counts().idxmin()}
    # A made-up row has one level of each variable, and the groups of its levels.
    assert (split.X_train.sum(axis=1) == cohort.levels.shape[1]).all()
    X = pd.DataFrame(split.X_train, columns=cohort.X.columns)
    for name in ("GENDER", "AGE", "RACE"):
        for group in cohort.groups[name].cat.categories:
            has = X[f"{name}_{group}"].to_numpy() == 1
            assert (has == (split.groups_train[name] == group).to_numpy()).all()


def test_single_splits_are_train_test_splits_stratified_only_where_repaired(records):
    for variant in coding.VARIANTS:
        cohort = oklahoma.make_cohort(records, "NOPRIOR", variant)
        y = None if variant == "published" else cohort.y
        train, test = train_test_split(
            np.arange(len(cohort)), test_size=0.3, random_state=5, stratify=y
        )
        split, other = oklahoma.make_splits(cohort, "none", repeats=2, seed=5)
        assert (split.rows_test == test).all() and (
            split.y_train == cohort.y[train]
        ).all()
        assert set(other.rows_test) != set(test)


def test_folds_predict_everyone_once_in_each_round(records):
    cohort = oklahoma.make_cohort(records, "COMPLETED")
    splits = oklahoma.make_splits(cohort, "none", n_splits=4, repeats=2)
    for part in (splits[:4], splits[4:]):
        rows = np.concatenate([split.rows_test for split in part])
        assert sorted(rows) == list(range(len(cohort)))
    share = (cohort.y == "COMPLETE").mean()
    for split in splits:
        assert (split.y_test == "COMPLETE").mean() == pytest.approx(share, abs=0.01)


def test_groups_of_rows_are_read_off_their_columns(records):
    for variant in coding.VARIANTS:
        for chosen in (records, records[records["GENDER"] == 1]):
            cohort = oklahoma.make_cohort(chosen, "COMPLETED", variant)
            groups = resampling._groups(resampling._codes(cohort), cohort)
            pd.testing.assert_frame_equal(groups, cohort.groups)


def test_a_class_without_a_training_row_is_named(records):
    cohort = oklahoma.make_cohort(records, rows=50)
    rare = np.where(np.arange(50) == 7, "COMPLETE", "INCOMPLETE")
    cohort = oklahoma.relabel(cohort, rare)
    with pytest.raises(InputError, match="'COMPLETE' has no row to learn from"):
        with pytest.warns(UserWarning):
            oklahoma.make_splits(cohort, "none", n_splits=2)
    with pytest.raises(InputError, match="balance must be one of none, before"):
        oklahoma.make_splits(cohort, "after")


class Weights(DummyClassifier):
    """Predict the sum of the weights."""

    def fit(self, X, y, sample_weight=None):
        self.said = "none" if sample_weight is None else f"{sum(sample_weight):.6g}"
        self.classes_ = [self.said]
        return self

    def predict(self, X):
        return np.full(len(X), self.said)


def test_rare_classes_weigh_more_in_every_model_and_weights_are_multiplied(records):
    cohort = oklahoma.make_cohort(records, "NOPRIOR")
    [split] = oklahoma.make_splits(cohort, "weights")
    [plain] = oklahoma.make_splits(cohort, "none")
    weight = np.random.default_rng(0).uniform(0.5, 2, len(split.y_train))
    counts = pd.Series(split.y_train).value_counts()
    balanced = len(split.y_train) / (len(counts) * counts[split.y_train].to_numpy())
    for part, given, said in (
        (split, None, f"{balanced.sum():.6g}"),
        (split, weight, f"{(balanced * weight).sum():.6g}"),
        (plain, None, "none"),
        (plain, weight, f"{weight.sum():.6g}"),
    ):
        assert set(part.fit_predict(Weights(), sample_weight=given)) == {said}
    ours = split.fit_predict(SVC(C=0.05, kernel="linear"))
    theirs = SVC(C=0.05, kernel="linear", class_weight="balanced")
    theirs = theirs.fit(split.X_train, split.y_train).predict(split.X_test)
    assert (ours == theirs).all()
    assert len(set(ours)) > len(set(plain.fit_predict(SVC(C=0.05, kernel="linear"))))


def test_noise_scores_chance_inside_the_split_and_more_before_it():
    random = np.random.default_rng(0)
    made = twin.sample(2019, 900, seed=5)
    made["REASON"] = np.where(random.random(900) < 0.25, 1, 2)
    cohort = oklahoma.make_cohort(made, variant="published")
    score = {}
    for balance in ("before", "inside"):
        splits = oklahoma.make_splits(cohort, balance, repeats=3)
        model = SVC(C=10, kernel=oklahoma.DenseKernel())
        score[balance] = np.mean(
            [balanced_accuracy_score(s.y_test, s.fit_predict(model)) for s in splits]
        )
    assert abs(score["inside"] - 0.5) < 0.08
    assert score["before"] > 0.65


def test_predictions_hold_everyone_with_groups_in_the_order_of_the_splits(records):
    cohort = oklahoma.make_cohort(records, "COMPLETED")
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    told = oklahoma.predict(cohort, {"tree": tree})
    splits = oklahoma.make_splits(cohort, "inside", n_splits=5)
    rows = np.concatenate([split.rows_test for split in splits])
    assert len(told) == len(cohort) == len(told.predicted)
    assert (told.y.to_numpy() == cohort.y.to_numpy()[rows]).all()
    pd.testing.assert_frame_equal(
        told.groups, cohort.groups.iloc[rows].reset_index(drop=True)
    )
    by_hand = np.concatenate([split.fit_predict(tree) for split in splits])
    assert (told.predicted["tree"].to_numpy() == by_hand).all()
    assert not told.made_up.any() and told.classes == cohort.classes


def test_as_published_one_split_with_made_up_rows_and_the_printed_machines(records):
    cohort = oklahoma.make_cohort(records, variant="published")
    told = oklahoma.predict(cohort)
    [split] = oklahoma.make_splits(cohort, "before")
    assert list(told.predicted) == list(oklahoma.KERNELS)
    assert (told.made_up == split.made_up_test).all() and told.made_up.any()
    assert told.groups.notna().all().all()
    folds = oklahoma.predict(
        cohort, {"one": DummyClassifier()}, balance="none", n_splits=2
    )
    assert len(folds) == len(cohort) and not folds.made_up.any()


def test_reweighing_sees_training_rows_only_and_reaches_the_model(records):
    cohort = oklahoma.make_cohort(records, "COMPLETED")
    sizes = []

    def only_completed(groups, y):
        sizes.append(len(groups))
        assert len(groups) == len(y)
        return np.where(y == "COMPLETE", 1.0, 1e-9)

    stump = DecisionTreeClassifier(max_depth=1)
    told = oklahoma.predict(
        cohort, {"stump": stump}, balance="none", n_splits=3, reweigh=only_completed
    )
    # A leaf without anyone who completed still says so.
    assert (told.predicted["stump"] == "COMPLETE").mean() > 0.9
    assert max(sizes) < len(cohort)


def test_a_pipeline_is_a_model_too(records):
    cohort = oklahoma.make_cohort(records, rows=200)
    pipeline = make_pipeline(DecisionTreeClassifier(max_depth=2, random_state=0))
    [split] = oklahoma.make_splits(cohort, "none")
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    assert (split.fit_predict(pipeline) == split.fit_predict(tree)).all()
    [(train, test)] = StratifiedShuffleSplit(1, test_size=0.3, random_state=33).split(
        cohort.X, cohort.y
    )
    assert (split.rows_test == test).all()
