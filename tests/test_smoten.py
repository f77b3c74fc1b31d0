"""SMOTEN makes the rows imbalanced-learn makes, also where that runs out of memory."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.metrics.pairwise import ValueDifferenceMetric
from imblearn.over_sampling import SMOTEN as Peer
from imblearn.pipeline import make_pipeline
from imblearn.utils.estimator_checks import parametrize_with_checks
from scipy import sparse
from scipy.stats import mode
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC

from sudlib import smoten
from sudlib.files import InputError
from sudlib.oklahoma.smoten_audit import (
    audit_rows,
    find_impossible,
    value_differences,
)
from sudlib.smoten import SMOTEN, find_neighbours


def records(seed, rows, columns, levels, classes):
    random = np.random.default_rng(seed)
    X = random.integers(0, levels, (rows, columns))
    y = random.integers(0, classes, rows)
    y[random.random(rows) < 0.4] = 0
    return X, y


def metric(X, y):
    levels = X.max(axis=0) + 1
    return ValueDifferenceMetric(n_categories=levels).fit(X.astype(np.int32), y)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("levels", [2, 7])
def test_fast_path_makes_the_rows_of_imbalanced_learn(classes, levels):
    # Enough columns that no two distances are equal: then nothing is left to choose.
    X, y = records(classes + levels, 420, 40, levels, classes)
    ours = SMOTEN(random_state=5, method="fast").fit_resample(X, y)
    theirs = Peer(random_state=5).fit_resample(X, y)
    assert np.array_equal(ours[1], theirs[1])
    assert np.array_equal(ours[0], theirs[0])


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(14, 60),
    columns=st.integers(1, 8),
    levels=st.integers(1, 4),
    classes=st.integers(2, 4),
    count=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_neighbours_are_as_near_as_imbalanced_learns(
    seed, rows, columns, levels, classes, count
):
    X, y = records(seed, rows, columns, levels, classes)
    y[:classes] = np.arange(classes)
    vdm = metric(X, y)
    members = X[y == 0]
    if len(members) <= count:
        return
    exact = vdm.pairwise(members.astype(np.int32))
    found = find_neighbours(members, vdm.proba_per_class_, count)
    assert all(len(set(row)) == count + 1 for row in found)
    # Rows tie often here: the same distances, though not always the same rows.
    ours = np.sort(np.take_along_axis(exact, found, axis=1), axis=1)
    assert np.allclose(ours, np.sort(exact, axis=1)[:, : count + 1], atol=1e-9)


def test_of_equally_near_rows_the_first_are_taken():
    X = np.zeros((9, 3), int)
    profiles = [np.array([[0.5, 0.5]])] * 3
    assert (find_neighbours(X, profiles, 2) == [0, 1, 2]).all()


def test_blocks_change_nothing(monkeypatch):
    X, y = records(1, 300, 12, 3, 3)
    whole = SMOTEN(random_state=1, method="fast").fit_resample(X, y)[0]
    monkeypatch.setattr(smoten, "_BLOCK", 500)
    assert np.array_equal(
        SMOTEN(random_state=1, method="fast").fit_resample(X, y)[0], whole
    )


def test_commonest_level_is_scipys_mode():
    codes = np.random.default_rng(2).integers(0, 4, (50, 9))
    near = np.random.default_rng(3).integers(0, 50, (30, 6))
    assert np.array_equal(
        smoten._most_frequent(codes, near), mode(codes[near], axis=1).mode
    )


def test_auto_leaves_small_classes_to_imbalanced_learn():
    X, y = records(4, 200, 3, 2, 2)  # full of ties: only the same code agrees
    ours = SMOTEN(random_state=0).fit_resample(X, y)[0]
    assert np.array_equal(ours, Peer(random_state=0).fit_resample(X, y)[0])


def test_classes_become_as_large_as_the_largest_and_real_rows_stay():
    X, y = records(6, 900, 10, 3, 3)
    frame = pd.DataFrame(X, columns=[f"V{j}" for j in range(10)]).astype("category")
    made, label = SMOTEN(random_state=0, method="fast").fit_resample(frame, y)
    assert len(set(np.bincount(label))) == 1
    assert (made.iloc[:900].astype(int).to_numpy() == X).all()
    assert list(made.columns) == list(frame.columns)


def test_binary_distance_is_euclidean_in_the_levels_shares():
    X, y = records(8, 60, 5, 3, 2)
    vdm = metric(X, y)
    place = np.column_stack(
        [2 * s[X[:, j], 1] for j, s in enumerate(vdm.proba_per_class_)]
    )
    euclid = ((place[:, None] - place[None]) ** 2).sum(axis=2)
    assert np.allclose(vdm.pairwise(X.astype(np.int32)), euclid, atol=1e-12)


@parametrize_with_checks([SMOTEN()], expected_failed_checks=lambda sampler: {})
def test_it_is_a_sampler_of_imbalanced_learn(estimator, check, monkeypatch):
    # The checks feed continuous columns, as their authors do to their own SMOTEN.
    monkeypatch.setattr(smoten, "check_levels", lambda X: None)
    check(estimator)


@pytest.fixture(scope="module")
def rare():
    """Levels that say nothing of a class of one in six."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        {f"V{j}": random.choice(list("abcd"), 240) for j in range(12)}
    ).astype("category")
    return X, np.where(np.arange(240) % 6, "common", "rare")


def test_in_a_pipeline_no_made_up_row_reaches_a_test_fold(rare):
    X, y = rare
    seen = []

    class Watch(DummyClassifier):
        def fit(self, X, y):
            seen.append(("fit", X.shape[0], pd.Series(y).value_counts().nunique()))
            return super().fit(X, y)

        def predict(self, X):
            seen.append(("predict", X.shape[0], None))
            return super().predict(X)

    model = make_pipeline(SMOTEN(random_state=0), OneHotEncoder(), Watch())
    cross_val_score(model, X, y, cv=4)
    # 150 of 180 training rows are common, as many are made rare; 60 rows are tested.
    assert seen == [("fit", 300, 1), ("predict", 60, None)] * 4


def test_nested_cross_validation_around_a_pipeline_scores_noise_as_noise(rare):
    X, y = rare
    search = GridSearchCV(
        make_pipeline(SMOTEN(random_state=0), OneHotEncoder(), SVC()),
        {"svc__C": [0.1, 10], "smoten__k_neighbors": [2, 5]},
        scoring="balanced_accuracy",
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    inside = cross_validate(search, X, y, cv=folds, scoring="balanced_accuracy")
    assert abs(inside["test_score"].mean() - 0.5) < 0.12
    before, label = SMOTEN(random_state=0).fit_resample(X, y)
    leaking = make_pipeline(OneHotEncoder(), SVC(C=10))
    assert cross_val_score(leaking, before, label, cv=folds).mean() > 0.75


def test_a_class_with_too_few_rows_stops_or_uses_what_it_has():
    X, y = np.zeros((12, 2), int), np.array([0] * 9 + [1] * 3)
    with pytest.raises(InputError, match="class 1 has 3 rows and needs 6"):
        SMOTEN().fit_resample(X, y)
    label = SMOTEN(fewer_neighbours=True).fit_resample(X, y)[1]
    assert (np.bincount(label) == 9).all()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[0.5, 1], [1, 2]]), "column 0 is continuous"),
        (np.array([[np.nan, 1], [1, 2]]), "1 missing values"),
        (pd.DataFrame({"SUB1": ["a", None]}), "'SUB1' has 1 missing"),
        (sparse.csr_matrix([[0, 1], [1, 0]]), "dense table"),
    ],
)
def test_what_is_not_levels_is_refused(X, message):
    with pytest.raises(InputError, match=message):
        SMOTEN().fit_resample(X, [0, 1])


def test_one_class_and_unknown_method_are_refused():
    with pytest.raises(ValueError, match="more than 1 class"):
        SMOTEN().fit_resample([[0], [1]], [1, 1])
    with pytest.raises(InputError, match="method must be one of auto, imb"):
        SMOTEN(method="slow").fit_resample([[0], [1]], [0, 1])


# ------------------------------------------------------------------------- audit


def test_value_differences_are_equation_1_by_hand():
    levels = pd.Series(["full"] * 4 + ["none"] * 5)
    y = [1, 1, 1, 0, 1, 0, 0, 0, 0]
    profiles, differences = value_differences(levels, y)
    assert profiles.loc["full"].tolist() == [0.25, 0.75]
    by_hand = abs(1 / 4 - 4 / 5) + abs(3 / 4 - 1 / 5)
    assert differences.loc["full", "none"] == pytest.approx(by_hand)
    assert differences.loc["full", "full"] == 0


def test_audit_counts_repeats_copies_contradictions_and_impossible_rows():
    X = pd.DataFrame(
        [[1, 0], [1, 0], [0, 1], [1, 0], [1, 1], [1, 1], [0, 1], [0, 0]],
        columns=["SEX_a", "SEX_b"],
    )
    y = ["x", "x", "y", "y", "y", "y", "y", "y"]
    table = audit_rows(X, y, 3).loc["y"]
    assert table.to_dict() == {
        "real": 1, "made_up": 5, "repeats": 1, "copies": 1, "contradictions": 1,
        "impossible": 3,
    }  # fmt: skip
    assert audit_rows(X, y, 3, drop_first=True).loc["y", "impossible"] == 2
    with pytest.raises(
        InputError, match="originals must be a whole number from 1 to 8"
    ):
        audit_rows(X, y, 0)


def test_levels_are_never_impossible_but_encoded_columns_are():
    random = np.random.default_rng(0)
    levels = pd.DataFrame({f"V{j}": random.integers(0, 4, 300) for j in range(6)})
    y = (random.random(300) < 0.3).astype(int)
    encoded = pd.get_dummies(levels.astype("category"), dtype=int)
    good = SMOTEN(random_state=0).fit_resample(levels, y)[0]
    bad = SMOTEN(random_state=0).fit_resample(encoded, y)[0]
    assert not find_impossible(good).any()
    assert not find_impossible(encoded).any()
    assert find_impossible(bad)[300:].mean() > 0.5


@pytest.mark.parametrize("method", ["imbalanced-learn", "fast"])
def test_random_states_and_neighbours_are_taken_as_scikit_learn_takes_them(method):
    random = np.random.default_rng(5)
    X = pd.DataFrame(random.integers(0, 3, (60, 3)), columns=list("abc"))
    y = np.repeat([0, 1], [45, 15])

    def rows(**more):
        return SMOTEN(method=method, **more).fit_resample(X, y)[0].to_numpy()

    for make in (np.random.RandomState, np.random.default_rng):
        one, two = rows(random_state=make(3)), rows(random_state=make(3))
        np.testing.assert_array_equal(one, two)
    sampler = SMOTEN(random_state=(state := np.random.default_rng(1)))
    sampler.fit_resample(X, y)
    assert sampler.random_state is state
    near = NearestNeighbors(n_neighbors=5, metric="precomputed")
    plain = rows(random_state=0, k_neighbors=np.int64(4))
    np.testing.assert_array_equal(rows(random_state=0, k_neighbors=near), plain)


def test_columns_and_rows_that_cannot_be_told_apart_are_refused():
    X = pd.DataFrame({"a": [0, 1] * 20, "b": [1, 0] * 20})
    y = pd.Series([0] * 25 + [1] * 15)
    for table, classes, said in [
        (pd.concat([X, X[["a"]]], axis=1), y, "'a' occurs twice"),
        (X.assign(a=[1, "1"] * 20), y, "mixes text and numbers"),
        (X, y.iloc[::-1], "same order"),
    ]:
        with pytest.raises(InputError, match=said):
            SMOTEN().fit_resample(table, classes)


def test_encoded_columns_beside_text_are_still_audited():
    X = pd.DataFrame({"S_1": [1, 1, 0], "S_2": [0, 1, 0], "V": ["x", None, "y"]})
    assert find_impossible(X).tolist() == [False, True, True]
    assert find_impossible(X.astype({"S_1": bool, "S_2": bool}))[1]
    table = audit_rows(pd.concat([X, X.iloc[[1]]]), [0, 0, 1, 0], 3)
    assert table.loc[0, "copies"] == 1


def test_levels_and_classes_of_other_people_are_refused():
    levels, y = pd.Series(["a", "b", "b"]), pd.Series([1, 0, 0])
    with pytest.raises(InputError, match="levels and y have different indexes"):
        value_differences(levels, y[::-1])


def test_what_is_masked_is_no_level_and_no_class():
    X, y = np.array([[0, 1], [1, 0]] * 10), np.array([0, 1] * 10)
    with pytest.raises(InputError, match="column 0 has 10 missing values"):
        SMOTEN().fit_resample(np.ma.masked_array(X, X * [1, 0] > 0), y)
    with pytest.raises(InputError, match="y has 10 missing values"):
        SMOTEN().fit_resample(X, np.ma.masked_equal(y, 1))


def test_an_audit_counts_every_row_or_says_why_not():
    X = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1]})
    for y in ([0, 1, None], np.ma.masked_equal([0, 1, 2], 2)):
        with pytest.raises(InputError, match="y has 1 missing values"):
            audit_rows(X, y, 2)
    with pytest.raises(InputError, match="a name each"):
        audit_rows(pd.concat([X, X], axis=1), [0, 1, 1], 2)


KINDS = {
    "bands": pd.cut(pd.Series(np.arange(60) % 3), 3),
    "flags": pd.Series(np.arange(60) % 3 > 0).astype("category"),
    "dates": pd.Series(pd.Timestamp("2019-01-01", tz="UTC"), range(60))
    + pd.to_timedelta(np.arange(60) % 3, unit="D"),
    "arrow": pd.Series(np.arange(60) % 3, dtype="double[pyarrow]"),
    "sparse": pd.Series(pd.arrays.SparseArray(np.arange(60) % 3)),
    "ordered": pd.Series(
        pd.Categorical(np.array(["lo", "hi", "mid"])[np.arange(60) % 3])
    ).cat.set_categories(["lo", "mid", "hi", "never"], ordered=True),
}


@pytest.mark.parametrize("method", ["auto", "fast"])
@pytest.mark.parametrize("kind", KINDS)
def test_levels_of_every_type_come_back_as_they_were(kind, method):
    levels = KINDS[kind]
    codes = pd.DataFrame({"level": np.arange(60) % 3, "other": np.arange(60) // 7 % 2})
    codes = codes.clip(upper=1) if kind == "flags" else codes
    y = np.arange(60) % 4 == 0
    X = codes.assign(level=levels)
    made, label = SMOTEN(random_state=0, method=method).fit_resample(X, y)
    assert made["level"].dtype == levels.dtype
    assert made["level"].iloc[:60].tolist() == levels.tolist()
    assert label.sum() == 45 and len(made) == 90
    if kind != "ordered":  # whose words have another order than the numbers
        plain = SMOTEN(random_state=0, method=method).fit_resample(codes, y)[0]
        which = dict(zip(levels, codes["level"], strict=True))
        assert made["level"].map(which).tolist() == plain["level"].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_classes_of_every_type_come_back_as_they_were(kind):
    y = KINDS[kind].iloc[np.r_[0:60, 0:60:3]].reset_index(drop=True)
    X = pd.DataFrame({"a": np.arange(80) % 2, "b": np.arange(80) // 3 % 2})
    label = SMOTEN(random_state=0).fit_resample(X, y)[1]
    assert label.dtype == y.dtype
    assert label.iloc[:80].tolist() == y.tolist()
    sizes = label.astype(object).value_counts()
    assert len(set(sizes)) == 1 and sizes.sum() == len(label)


def test_classes_that_mix_numbers_and_text_stay_what_they_are():
    X, y = pd.DataFrame({"a": [1, 2] * 10}), [1] * 14 + ["one"] * 6
    label = SMOTEN(random_state=0).fit_resample(X, y)[1]
    assert label[:20] == y and label.count("one") == 14
    with pytest.raises(InputError, match="y has 1 missing values of 20"):
        SMOTEN().fit_resample(X, [None, *y[1:]])
