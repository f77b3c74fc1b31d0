"""Grids that share work predict what scikit-learn and Keras predict one by one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sudlib import multiclass_scores, oklahoma, twin
from sudlib.files import InputError
from sudlib.oklahoma import selection, splits


@pytest.fixture(scope="module")
def records():
    return oklahoma.older_noprior(twin.sample(2019, 700, seed=2), seed=2)


@pytest.fixture(scope="module")
def published(records):
    return oklahoma.cohort(records, "COMPLETED", "published")


@pytest.fixture(scope="module")
def split(published):
    return oklahoma.splits(published, "none")[0]


@pytest.fixture(scope="module")
def four(records):
    return oklahoma.splits(oklahoma.cohort(records, "NOPRIOR"), "inside")[0]


GRID = oklahoma.svm_candidates(
    C=(0.1, 5), gamma=("scale", 0.05), coef0=(-0.1, 1), degree=(3,)
)


@pytest.mark.parametrize("which", ["split", "four"])
def test_svm_grid_predicts_what_svc_predicts(which, request):
    part = request.getfixturevalue(which)
    ours = oklahoma.svm_grid(part, GRID)
    for setting, predicted in zip(GRID, ours, strict=True):
        alone = SVC(**setting).fit(part.X_train, part.y_train)
        assert (predicted == alone.predict(part.X_test)).all(), setting


def test_svm_grid_passes_weights_on(split):
    weight = np.random.default_rng(0).uniform(0.2, 3, len(split.y_train))
    ours = oklahoma.svm_grid(split, GRID[:6], sample_weight=weight)
    for setting, predicted in zip(GRID, ours, strict=False):
        alone = SVC(**setting).fit(split.X_train, split.y_train, sample_weight=weight)
        assert (predicted == alone.predict(split.X_test)).all()


@given(
    seed=st.integers(0, 10_000),
    gamma=st.floats(0.01, 2),
    coef0=st.floats(-1, 1),
    degree=st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_gram_is_scikit_learns_kernel(seed, gamma, coef0, degree):
    random = np.random.default_rng(seed)
    X, Z = random.integers(0, 2, (9, 5)) * 1.0, random.integers(0, 2, (4, 5)) * 1.0
    own = {
        "linear": {},
        "poly": {"gamma": gamma, "coef0": coef0, "degree": degree},
        "rbf": {"gamma": gamma},
        "sigmoid": {"gamma": gamma, "coef0": coef0},
    }
    for kernel, setting in own.items():
        ours = oklahoma.gram(
            X @ Z.T, (X**2).sum(1), (Z**2).sum(1), kernel=kernel, **setting
        )
        assert np.allclose(ours, pairwise_kernels(X, Z, metric=kernel, **setting))


def test_forest_grid_predicts_what_each_forest_predicts(split):
    grid = oklahoma.settings(
        {
            "n_estimators": (5, 12),
            "max_features": ("sqrt", "log2"),
            "max_depth": (None, 4),
            "min_samples_leaf": (1, 3),
        }
    )
    ours = oklahoma.forest_grid(split, grid, seed=4)
    for setting, predicted in zip(grid, ours, strict=True):
        alone = RandomForestClassifier(random_state=4, **setting)
        alone.fit(split.X_train, split.y_train)
        assert (predicted == alone.predict(split.X_test)).all(), setting


def test_tree_grid_predicts_what_each_tree_predicts(split):
    grid = oklahoma.settings(oklahoma.TREE_GRID)[::7]
    for setting, predicted in zip(grid, oklahoma.tree_grid(split, grid), strict=True):
        alone = DecisionTreeClassifier(random_state=33, **setting)
        alone.fit(split.X_train, split.y_train)
        assert (predicted == alone.predict(split.X_test)).all()


@pytest.mark.parametrize("loss", oklahoma.NETWORK_GRID["loss"])
def test_networks_side_by_side_learn_what_each_learns_alone(split, loss):
    X = split.X_train[:100].astype(np.float32)
    labels, code = np.unique(split.y_train[:100], return_inverse=True)
    wanted = np.eye(len(labels), dtype=np.float32)[code]
    rest = {"optimizer": "adam", "loss": loss}
    grid = [
        {"layer1": 8, "layer2": 20, "activation": "relu", **rest},
        {"layer1": 20, "layer2": 10, "activation": "tanh", **rest},
    ]
    together = oklahoma.side_by_side(X.shape[1], 2, grid, seed=1)
    together.compile(
        optimizer="adam", loss=oklahoma.summed_loss(loss), run_eagerly=True
    )
    together.fit(X, wanted, epochs=3, shuffle=False, verbose=0)
    scores = np.asarray(together(X))
    for place, setting in enumerate(grid):
        alone = oklahoma.network(X.shape[1], 2, **setting)
        alone.run_eagerly = True  # nothing to compile
        alone.set_weights(oklahoma.first_weights(X.shape[1], 2, setting, seed=1))
        alone.fit(X, wanted, epochs=3, shuffle=False, verbose=0)
        assert np.allclose(np.asarray(alone(X)), scores[:, place], atol=1e-5)


def test_network_grid_gives_its_predictions_in_the_order_of_the_candidates(split):
    grid = [
        {"layer1": 8, "layer2": 8, "activation": a, "optimizer": "adam",
         "loss": "mean_squared_error"}
        for a in ("tanh", "relu")
    ]  # fmt: skip
    forward = oklahoma.network_grid(split, grid, epochs=2)
    backward = oklahoma.network_grid(split, grid[::-1], epochs=2)
    assert (forward == backward[::-1]).all()


# ------------------------------------------------------------------------ splits


@pytest.mark.parametrize("variant", oklahoma.VARIANTS)
def test_only_balancing_before_the_split_puts_made_up_rows_in_the_test(
    records, variant
):
    cohort = oklahoma.cohort(records, "COMPLETED", variant)
    for balance in oklahoma.BALANCE:
        part = oklahoma.splits(cohort, balance)[0]
        assert part.made_up_test.any() == (balance == "before")
        assert part.made_up_train.any() == (balance in ("before", "inside"))
        assert (part.rows_test[part.made_up_test] == -1).all()
        real = part.rows_test[~part.made_up_test]
        assert (cohort.y.to_numpy()[real] == part.y_test[~part.made_up_test]).all()
        assert (cohort.X.to_numpy()[real] == part.X_test[~part.made_up_test]).all()
        groups = part.groups_test[~part.made_up_test].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            groups, cohort.groups.iloc[real].reset_index(drop=True)
        )
        if balance == "inside":
            sizes = pd.Series(part.y_train).value_counts()
            assert sizes.nunique() == 1


def test_folds_predict_everybody_once(records):
    cohort = oklahoma.cohort(records, "COMPLETED")
    parts = oklahoma.splits(cohort, "none", folds=4)
    rows = np.concatenate([part.rows_test for part in parts])
    assert sorted(rows) == list(range(len(cohort)))


def test_groups_of_made_up_rows_are_read_off_their_columns(records):
    for variant in oklahoma.VARIANTS:
        cohort = oklahoma.cohort(records, "COMPLETED", variant)
        table = splits._table(cohort)
        pd.testing.assert_frame_equal(splits._groups(table, cohort), cohort.groups)


def test_noise_scores_chance_inside_the_split_and_more_before_it():
    random = np.random.default_rng(0)
    made = twin.sample(2019, 900, seed=5)
    made["REASON"] = np.where(random.random(900) < 0.25, 1, 2)
    cohort = oklahoma.cohort(made, variant="published")
    score = {}
    for balance in ("before", "inside"):
        parts = oklahoma.splits(cohort, balance, repeats=3)
        table = oklahoma.grid_scores(
            "svm", parts, oklahoma.svm_candidates(["rbf"], [10])
        )
        score[balance] = table["balanced_accuracy"][0]
    assert abs(score["inside"] - 0.5) < 0.08
    assert score["before"] > 0.65


# ------------------------------------------------------- choosing and predicting


def test_nested_never_shows_the_test_rows_to_the_choice(records, monkeypatch):
    seen = []
    whole = oklahoma.cross_validate

    def watched(method, training, candidates, **more):
        seen.append(training)
        return whole(method, training, candidates, **more)

    monkeypatch.setattr(selection, "cross_validate", watched)
    cohort = oklahoma.cohort(records, "COMPLETED")
    grid = oklahoma.svm_candidates(["rbf"], [0.1, 1])
    table = oklahoma.nested("svm", cohort, grid, repeats=2, inner=2, balance="weights")
    assert len(table) == len(seen) == 2
    for training, row in zip(seen, table.itertuples(), strict=True):
        assert len(training) + row.n == len(cohort)
        assert np.sum(row.matrix) == row.n


def test_predictions_hold_everybody_with_groups(records):
    cohort = oklahoma.cohort(records, "COMPLETED")
    found = oklahoma.predictions(cohort, {"tree": ("tree", {"max_depth": 2})}, folds=3)
    assert len(found) == len(cohort) == len(found.predicted) == len(found.groups)
    assert sorted(found.y) == sorted(cohort.y)
    assert not found.made_up.any()
    published = oklahoma.predictions(oklahoma.cohort(records, variant="published"))
    assert list(published.predicted) == list(oklahoma.KERNELS)
    assert published.made_up.any()
    assert published.groups.notna().all().all()


def test_reweighing_sees_training_rows_only_and_reaches_the_model(records):
    cohort = oklahoma.cohort(records, "COMPLETED")
    sizes = []

    def only_completed(groups, y):
        sizes.append(len(groups))
        assert len(groups) == len(y)
        return np.where(y == "COMPLETE", 1.0, 1e-9)

    models = {"tree": ("tree", {"max_depth": 1})}
    found = oklahoma.predictions(
        cohort, models, balance="none", folds=3, reweigh=only_completed
    )
    # A leaf without anybody who completed still says so.
    assert (found.predicted["tree"] == "COMPLETE").mean() > 0.9
    assert max(sizes) < len(cohort)


# ------------------------------------------------------------------------- scores


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("abc")),
        min_size=2,
        max_size=40,
    ).filter(lambda pairs: len(set(sum(pairs, ()))) > 1)
)
@settings(max_examples=60, deadline=None)
def test_measures_are_scikit_learns(pairs):
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    ours = multiclass_scores.measures(truth, predicted)
    assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    recalls = metrics.recall_score(
        truth, predicted, labels=np.unique(truth), average="macro"
    )
    assert ours["balanced_accuracy"] == pytest.approx(recalls)
    theirs = metrics.matthews_corrcoef(truth, predicted)
    if np.isnan(ours["mcc"]):  # scikit-learn says 0 where it is undefined
        assert theirs == 0
    else:
        assert ours["mcc"] == pytest.approx(theirs)


def test_interval_is_that_of_drawing_rows():
    random = np.random.default_rng(1)
    truth = random.choice(["a", "b"], 300, p=[0.7, 0.3])
    predicted = np.where(random.random(300) < 0.7, truth, "a")
    ours = multiclass_scores.measures(truth, predicted, draws=4000)
    rows = random.integers(0, 300, (2000, 300))
    by_rows = [
        metrics.balanced_accuracy_score(truth[draw], predicted[draw]) for draw in rows
    ]
    low, high = np.percentile(by_rows, [2.5, 97.5])
    assert ours["balanced_accuracy_low"] == pytest.approx(low, abs=0.01)
    assert ours["balanced_accuracy_high"] == pytest.approx(high, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: oklahoma.splits(c, "after"), 'balance must be one of "none"'),
        (lambda c: oklahoma.splits(c, folds=10_000), "fewer than the 10000 folds"),
        (
            lambda c: oklahoma.svm_candidates(["cosine"]),
            "a kernel must be one of linear",
        ),
        (lambda c: oklahoma.grid_scores("bayes", [], []), "method must be one of svm"),
        (
            lambda c: multiclass_scores.measures(["a"], ["a", "b"]),
            "two columns of the same",
        ),
        (
            lambda c: multiclass_scores.confusion(["a"], ["z"], ["a"]),
            "'z' is not among",
        ),
    ],
)
def test_bad_input_is_named(published, call, message):
    with pytest.raises(InputError, match=message):
        call(published)


def test_an_empty_grid_is_named(split):
    with pytest.raises(InputError, match="no settings"):
        oklahoma.svm_grid(split, [])


def test_report_is_scikit_learns(split):
    [said] = oklahoma.tree_grid(split, [{"max_depth": 3}])
    classes = ["INCOMPLETE", "COMPLETE"]
    ours = multiclass_scores.report(split.y_test, said, classes)
    theirs = metrics.precision_recall_fscore_support(
        split.y_test, said, labels=classes, zero_division=np.nan
    )
    assert np.allclose(ours.to_numpy().T, theirs, equal_nan=True)
    nobody = multiclass_scores.report(["a", "a"], ["a", "a"], ["a", "b"])
    assert nobody.loc["b"].isna().tolist() == [True, True, True, False]


def test_tuned_chooses_inside_the_training_rows(published):
    grid = oklahoma.settings({"max_depth": (1, 3)})
    setting, part, said, table = oklahoma.tuned("tree", published, grid, inner=2)
    assert setting in grid
    assert len(said) == len(part.y_test) == round(0.3 * len(published))
    assert table["accuracy"].idxmax() == grid.index(setting)


def test_interval_over_splits_is_wider_than_that_of_independent_ones():
    values = np.random.default_rng(0).normal(0.6, 0.02, 20)
    mean, low, high = multiclass_scores.over_splits(values)
    naive = 2 * 2.09 * values.std(ddof=1) / np.sqrt(20)
    assert mean == pytest.approx(values.mean())
    assert high - low > 2 * naive
    assert np.isnan(multiclass_scores.over_splits([0.5])[1])
