"""Correspondence analysis keeps chi-squared distances; clusterings know noise."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

from sudlib.files import InputError
from sudlib.mca import MCA, cluster, stability


def levels(seed, rows=200, sizes=(3, 4, 2, 5)):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            f"V{j}": pd.Categorical(random.integers(0, k, rows))
            for j, k in enumerate(sizes)
        }
    )


def columns(table):
    return pd.get_dummies(table, dtype=int).to_numpy()


def test_total_inertia_is_levels_over_variables_less_one():
    X = columns(levels(0))
    found = MCA(99).fit(X)
    assert found.inertia_.sum() == pytest.approx(14 / 4 - 1)


def test_all_components_keep_the_chi_squared_distance():
    X = columns(levels(1, rows=40))
    place = MCA(99).fit_transform(X)
    share = X.mean(axis=0)
    for one, other in ((0, 1), (5, 30)):
        by_hand = ((X[one] - X[other]) ** 2 / (4 * share)).sum()
        assert ((place[one] - place[other]) ** 2).sum() == pytest.approx(by_hand)


def test_inertia_is_that_of_the_burt_table():
    # Independent route: the eigenvalues of the Burt table's analysis are the squares.
    X = columns(levels(2)).astype(float)
    burt = X.T @ X
    table = burt / burt.sum()
    mass = table.sum(axis=0)
    centred = (table - np.outer(mass, mass)) / np.sqrt(np.outer(mass, mass))
    values = np.sort(np.linalg.svd(centred, compute_uv=False))[::-1]
    assert np.allclose(MCA(5).fit(X).inertia_ ** 2, values[:5] ** 2, atol=1e-10)


def test_coordinates_are_centred_and_as_wide_as_their_inertia():
    found = MCA(4)
    place = found.fit_transform(columns(levels(3)))
    assert np.allclose(place.mean(axis=0), 0)
    assert np.allclose((place**2).mean(axis=0), found.inertia_)
    assert 0 <= found.adjusted_.sum() <= 1 + 1e-9


def test_two_equal_variables_are_one_axis_after_correction():
    twice = levels(4, sizes=(2,))
    twice["again"] = twice["V0"]
    assert MCA(1).fit(columns(twice)).adjusted_[0] == pytest.approx(1)


def test_a_level_unseen_in_fit_counts_for_nothing():
    X = columns(levels(5))
    some = X[X[:, 0] == 0]
    found = MCA(3).fit(some)
    assert np.isfinite(found.transform(X)).all()
    assert clone(found).n_components == 3


def test_it_is_princes_analysis():
    prince = pytest.importorskip("prince", reason="prince, the peer, is not installed")
    table = levels(11, rows=120).astype(str)
    X = pd.get_dummies(table, dtype=int)
    theirs = prince.MCA(n_components=6, engine="scipy", correction=None).fit(table)
    ours = MCA(6).fit(X.to_numpy())
    assert np.allclose(ours.inertia_, theirs.eigenvalues_)
    place, peer = ours.transform(X.to_numpy()), theirs.row_coordinates(table).to_numpy()
    assert np.allclose(np.abs(place), np.abs(peer), atol=1e-8)
    corrected = prince.MCA(n_components=6, engine="scipy", correction="greenacre")
    share = corrected.fit(table).percentage_of_variance_ / 100
    kept = ours.inertia_ > 1 / 4
    assert np.allclose(ours.adjusted_[kept], share[kept])


class OfNumbers(MCA):
    """MCA behind a gate that cuts each number in two levels, as the checks need."""

    def _check(self, X, *, reset):
        X = validate_data(self, X, reset=reset, dtype=float)
        return np.hstack([X > 0, X <= 0]).astype(float)


@parametrize_with_checks(
    [OfNumbers()],
    expected_failed_checks=lambda estimator: {
        "check_fit2d_1feature": "one variable has nothing to correspond with: two are"
        " asked for, in our own words"
    },
)
def test_it_is_a_transformer_of_scikit_learn(estimator, check):
    check(estimator)


def test_groups_that_are_there_are_steady_and_noise_is_not():
    random = np.random.default_rng(6)
    group = random.integers(0, 3, 400)
    table = pd.DataFrame(
        {
            f"V{j}": pd.Categorical(
                np.where(random.random(400) < 0.9, group, random.integers(0, 3, 400))
            )
            for j in range(6)
        }
    )
    found = stability(table, 3, n_resamples=8)
    assert found["value"] > 0.9 > found["noise"]
    labels, assign = cluster(columns(table), 3)
    assert (assign(columns(table)) == labels).all()
    sizes = pd.crosstab(labels, group).max(axis=1).sum()
    assert sizes > 0.95 * 400


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1, 0], [1, 1]], "one level of each of at least two"),
        ([[0.5, 1]], "table of 0 and 1"),
        ([[1, 0], [0, 1]], "at least two variables"),
    ],
)
def test_bad_tables_are_refused(X, message):
    with pytest.raises(InputError, match=message):
        MCA().fit(X)


def test_other_columns_than_in_fit_are_refused():
    found = MCA(2).fit(columns(levels(7)))
    with pytest.raises(ValueError, match="13 features, but MCA is expecting 14"):
        found.transform(columns(levels(7))[:, 1:])


def test_clusters_are_at_most_as_many_as_people_and_arrays_are_tables():
    table = np.array([["a", "x"], ["b", "y"]] * 20)
    found = stability(table, 2, n_resamples=2, n_components=1)
    assert found["value"] == 1
    X = np.tile(np.eye(2, dtype=int)[[0, 1]], 2)
    with pytest.raises(InputError, match="n_clusters must be a whole number from 1 to"):
        cluster(X, 3)
