"""A small generative network learns how levels go together, and stays in its class."""

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.utils.estimator_checks import parametrize_with_checks
from scipy import sparse
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from sudlib.files import InputError
from sudlib.oklahoma import VariationalSampler, generator

LEVELS = np.array(list("abcd"))


def made_up(seed, rows):
    """Return rows of a known joint distribution, unlike in two unequal classes.

    The second column repeats the first in nine of ten rows; the third follows the
    first in the rare class only, and the last two are their own.
    """
    random = np.random.default_rng(seed)
    rare = random.random(rows) < 0.15
    first = random.choice(4, rows, p=[0.5, 0.25, 0.15, 0.1])
    second = np.where(random.random(rows) < 0.9, first, random.integers(0, 4, rows))
    third = np.where(
        rare & (random.random(rows) < 0.9), 3 - first, random.integers(0, 4, rows)
    )
    alone = random.choice(4, (2, rows), p=[0.4, 0.3, 0.2, 0.1])
    codes = np.column_stack([first, second, third, *alone])
    return pd.DataFrame(LEVELS[codes], columns=list("VWXYZ")), np.where(
        rare, "rare", "common"
    )


def of_rare(X, y):
    """Return the rows that a sampler appended."""
    return pd.DataFrame(X).iloc[len(y) :].reset_index(drop=True)


def apart(rows, others):
    """Return the mean total variation distance of all tables of two columns."""
    distances = []
    for at, one in enumerate(rows):
        for other in list(rows)[at + 1 :]:
            shares = [
                t.groupby([one, other])
                .size()
                .reindex(pd.MultiIndex.from_product([LEVELS, LEVELS]), fill_value=0)
                / len(t)
                for t in (rows, others)
            ]
            distances.append((shares[0] - shares[1]).abs().sum() / 2)
    return np.mean(distances)


@pytest.fixture(scope="module")
def learned():
    X, y = made_up(0, 1500)
    rows, labels = VariationalSampler(random_state=1).fit_resample(X, y)
    return X, y, rows, labels


def test_all_classes_become_as_large_as_the_largest_and_people_stay_as_they_are(
    learned,
):
    X, y, rows, labels = learned
    assert len(set(pd.Series(labels).value_counts())) == 1
    assert rows.iloc[: len(X)].equals(X)
    assert set(labels[len(y) :]) == {"rare"}
    assert rows.dtypes.equals(X.dtypes)
    assert all(set(rows[name]) <= set(X[name]) for name in X)


def test_a_known_joint_distribution_is_learned_better_than_column_by_column(learned):
    X, y, rows, _ = learned
    made = of_rare(rows, y)
    truth = made_up(99, 60_000)
    truth = truth[0][truth[1] == "rare"]
    random = np.random.default_rng(2)
    columnwise = X[y == "rare"].apply(lambda column: random.choice(column, len(made)))
    for pair in (["V", "W"], ["V", "X"]):
        assert apart(made[pair], truth) < 0.4 * apart(columnwise[pair], truth)


def test_a_row_is_of_its_class(learned):
    """The third column mirrors the first among rare rows, and among no others."""
    X, y, rows, _ = learned

    def mirrored(table):
        place = {level: k for k, level in enumerate(LEVELS)}
        return (table["V"].map(place) + table["X"].map(place) == 3).mean()

    assert mirrored(X[y == "common"]) < 0.4
    assert mirrored(of_rare(rows, y)) > 0.6


def test_rows_seldom_repeat_people(learned):
    X, y, rows, _ = learned
    made, copies = (
        len(of_rare(table, y).drop_duplicates())
        for table in (rows, RandomOverSampler(random_state=0).fit_resample(X, y)[0])
    )
    assert made > copies


def test_a_seed_repeats_the_rows_and_another_does_not():
    X, y = made_up(3, 200)
    one, again, other = (
        VariationalSampler(random_state=seed, epochs=2).fit_resample(X, y)[0]
        for seed in (5, 5, 6)
    )
    assert one.equals(again)
    assert not one.equals(other)


def test_in_a_pipeline_training_rows_only_are_balanced():
    X, y = made_up(4, 300)
    seen = []

    class Watch(DecisionTreeClassifier):
        def fit(self, X, y):
            seen.append(("fit", len(y)))
            return super().fit(X, y)

        def predict(self, X):
            seen.append(("predict", X.shape[0]))
            return super().predict(X)

    pipeline = make_pipeline(
        VariationalSampler(random_state=0, epochs=1),
        OneHotEncoder(handle_unknown="ignore"),
        Watch(),
    )
    cross_val_score(pipeline, X, y, cv=3)
    common = (y == "common").sum()
    assert [n for what, n in seen if what == "predict"] == [100, 100, 100]
    assert sum(n for what, n in seen if what == "fit") == 2 * 2 * common


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"n_hidden": 0}, "n_hidden must be a whole number from 1"),
        ({"width": 2.5}, "width must be a whole number from 1"),
        ({"epochs": -1}, "epochs must be a whole number from 1"),
        ({"beta": -0.1}, "beta must be a number from 0, not -0.1"),
    ],
)
def test_a_setting_out_of_range_is_named(setting, words):
    X, y = made_up(5, 40)
    with pytest.raises(InputError, match=words):
        VariationalSampler(**setting).fit_resample(X, y)


def test_columns_that_hold_no_levels_are_named():
    X, y = made_up(6, 40)
    with pytest.raises(InputError, match="column 'age' is continuous"):
        VariationalSampler().fit_resample(X.assign(age=np.linspace(0, 1, 40)), y)
    with pytest.raises(InputError, match="X must be a dense table"):
        VariationalSampler().fit_resample(sparse.csr_matrix(np.eye(40)), y)
    with pytest.raises(InputError, match="column 'V' has 1 missing values"):
        VariationalSampler().fit_resample(X.assign(V=[None, *X["V"][1:]]), y)


@pytest.mark.slow  # each check trains networks
@parametrize_with_checks(
    [VariationalSampler(epochs=1, width=4, n_hidden=2, random_state=0)],
    expected_failed_checks=lambda sampler: dict.fromkeys(
        ("check_samplers_sparse", "check_samplers_pandas_sparse"),
        "levels are no numbers, so a sparse table is refused by name",
    ),
)
def test_it_is_a_sampler_of_imbalanced_learn(estimator, check, monkeypatch):
    # The checks feed continuous columns.
    monkeypatch.setattr(generator, "check_levels", lambda X: None)
    check(estimator)
