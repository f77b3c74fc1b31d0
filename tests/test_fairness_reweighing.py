"""Interaction tests and weights against scipy, brute force, aif360 and algebra."""

import importlib.util
import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import PermutationMethod, chi2, chi2_contingency
from scipy.stats.contingency import association
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.utils.estimator_checks import check_estimator

from sudlib.fairness import (
    Reweighing,
    ReweighingWarning,
    effective_sample_size,
    interactions,
)
from sudlib.fairness.contingency import holm
from sudlib.files import InputError


def make_people(rows=2500, columns=4, seed=1):
    """Return group columns and a target that depends on the first two together."""
    random = np.random.default_rng(seed)
    shares = (0.35, 0.5, 0.25, 0.4, 0.6, 0.3, 0.45, 0.2, 0.15)[:columns]
    people = pd.DataFrame(
        {f"v{at}": (random.random(rows) < p).astype(int) for at, p in enumerate(shares)}
    )
    chance = 0.3 + 0.25 * (people["v0"] ^ people["v1"])
    return people, (random.random(rows) < chance).astype(int).to_numpy()


# --------------------------------------------------------------------------- tests


def test_nine_columns_give_36_pairs_and_84_triples():
    people, y = make_people(columns=9)
    found = interactions(people, y)
    assert found["size"].value_counts().to_dict() == {2: 36, 3: 84}
    assert found["variables"].is_unique


def test_cell_tests_equal_scipy_on_tables_counted_by_pandas():
    people, y = make_people()
    found = interactions(people, y, n_resamples=0).set_index("variables")
    for names in itertools.chain(
        itertools.combinations(people, 2), itertools.combinations(people, 3)
    ):
        table = pd.crosstab([people[name] for name in names], y)
        expected = chi2_contingency(table, correction=False)
        row = found.loc[[names]].iloc[0]
        assert row["statistic"] == pytest.approx(expected.statistic)
        assert row["p"] == pytest.approx(expected.pvalue)
        assert row["dof"] == expected.dof
        assert row["min_expected"] == pytest.approx(expected.expected_freq.min())


def test_holm_equals_its_definition():
    p = np.array([0.01, 0.2, np.nan, 0.03, 0.001])
    adjusted = holm(p)
    order = [4, 0, 3, 1]
    running = 0.0
    for rank, at in enumerate(order):
        running = max(running, min(1.0, p[at] * (4 - rank)))
        assert adjusted[at] == pytest.approx(running)
    assert np.isnan(adjusted[2])


def test_holm_keeps_false_alarms_at_five_percent_and_raw_tests_do_not():
    alarms = {"significant": 0, "significant_holm": 0}
    for seed in range(40):
        people, _ = make_people(rows=400, columns=5, seed=seed)
        y = np.random.default_rng(900 + seed).integers(0, 2, 400)
        found = interactions(people, y, n_resamples=0)
        for column in alarms:
            alarms[column] += found[column].any()
    assert alarms["significant_holm"] <= 6 < alarms["significant"]


def test_product_term_equals_a_logistic_regressions_likelihood_ratio():
    people, y = make_people()
    found = interactions(people, y, sizes=(2, 3), test="product")
    found = found.set_index("variables")
    for names in (("v0", "v1"), ("v2", "v3"), ("v0", "v1", "v2")):
        column = {name: people[name] for name in names}
        terms = []
        for size in range(1, len(names)):
            for crossed in itertools.combinations(names, size):
                terms.append(np.prod([column[name] for name in crossed], axis=0))
        top = np.prod([column[name] for name in names], axis=0)
        deviance = []
        for X in (np.stack(terms, 1), np.stack([*terms, top], 1)):
            model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(X, y)
            deviance.append(2 * len(y) * log_loss(y, model.predict_proba(X)[:, 1]))
        row = found.loc[[names]].iloc[0]
        assert row["statistic"] == pytest.approx(deviance[0] - deviance[1], abs=1e-3)
        assert row["dof"] == 1
    assert found.loc[[("v0", "v1")], "p"].item() < 1e-6
    assert found.loc[[("v2", "v3")], "p"].item() > 0.01


@pytest.mark.parametrize("test", ["cell", "association", "product"])
def test_levels_that_nobody_has_change_no_test(test):
    random = np.random.default_rng(4)
    plain = {"sex": random.choice(["f", "m"], 300), "age": random.integers(1, 4, 300)}
    y = random.integers(0, 3, 300)
    declared = {
        "sex": pd.Categorical(plain["sex"], ["x", "m", "f"]),
        "age": pd.Categorical(plain["age"], range(6)),
    }
    one, other = (
        interactions(columns, target, sizes=[2], test=test, n_resamples=0)
        for columns, target in (
            (plain, y),
            (declared, pd.Categorical(y, [5, 0, 1, 2])),
        )
    )
    pd.testing.assert_frame_equal(one, other)
    assert one["dof"].item() == {"cell": 10, "association": 2, "product": 4}[test]


def test_cell_tests_flag_pairs_without_interaction_and_product_tests_do_not():
    """Only v0 matters: every pair with v0 is significant, no product term is."""
    people, _ = make_people(columns=5)
    chance = 0.2 + 0.3 * people["v0"]
    y = (np.random.default_rng(3).random(len(people)) < chance).astype(int)
    cell = interactions(people, y, sizes=(2,))
    product = interactions(people, y, sizes=(2,), test="product")
    with_v0 = ["v0" in names for names in cell["variables"]]
    assert cell.loc[with_v0, "significant_holm"].all()
    assert not product["significant_holm"].any()


def test_permutations_are_enough_for_holm_over_120_tests():
    people, _ = make_people(rows=400, columns=9)
    people = (people * 0).assign(**{"v0": people["v0"], "v1": people["v1"]})
    for name in list(people)[2:]:  # rare groups: expected counts below 5
        people.loc[np.random.default_rng(len(name)).choice(400, 6), name] = 1
    found = interactions(people, people["v0"])
    with_v0 = found["variables"].map(lambda names: "v0" in names)
    sparse = with_v0 & (found["method"] == "permutation")
    assert sparse.sum() > 10 and found.loc[sparse, "significant_holm"].all()


def test_association_tests_leave_the_target_out():
    people, y = make_people()
    one = interactions(people, y, sizes=(2,), test="association")
    two = interactions(people, 1 - y, sizes=(2,), test="association")
    pd.testing.assert_frame_equal(one, two)


def test_sparse_tables_use_permutations():
    people = pd.DataFrame({"a": [0] * 40 + [1] * 3, "b": [0, 1] * 21 + [0]})
    y = [0] * 30 + [1] * 13
    found = interactions(people, y, sizes=(2,)).iloc[0]
    assert found["method"] == "permutation" and found["min_expected"] < 5
    plain = interactions(people, y, sizes=(2,), n_resamples=0).iloc[0]
    assert plain["method"] == "chi-squared"
    table = pd.crosstab([people["a"], people["b"]], y)
    random, more = np.random.default_rng(0), 0
    for _ in range(1000):
        mixed = pd.Series(random.permutation(y))
        other = chi2_contingency(
            np.histogramdd(
                np.stack([people["a"] * 2 + people["b"], mixed], 1),
                bins=[range(5), range(3)],
            )[0][: len(table)],
            correction=False,
        ).statistic
        more += other >= found["statistic"] - 1e-9
    assert found["p"] == pytest.approx(more / 1000, abs=0.05)


def test_a_column_with_one_value_is_undefined_with_a_reason():
    people = pd.DataFrame({"a": [0, 0, 0, 0], "b": [1, 1, 1, 1]})
    found = interactions(people, [0, 1, 0, 1], sizes=(2,)).iloc[0]
    assert np.isnan(found["p"]) and found["reason"] == "only one cell has rows"
    assert not found["significant"] and not found["significant_holm"]


# The cells of a 2 x 2 x 2 table whose product is divided by that of the others.
sign = np.array([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])


def make_many_levels(rows=900, seed=4):
    """Return unbalanced columns of several levels and a target of three classes."""
    random = np.random.default_rng(seed)
    people = pd.DataFrame(
        {
            "a": random.choice(["x", "y", "z"], rows, p=[0.5, 0.3, 0.2]),
            "b": random.choice([1, 2], rows, p=[0.7, 0.3]),
        }
    )
    people["c"] = np.where(random.random(rows) < 0.6, people["a"], "w")
    shift = 0.2 * (people["a"] == "x") * (people["b"] == 2)
    y = (random.random(rows) + shift > 0.5).astype(int) + (random.random(rows) < 0.2)
    return people, np.array(["no", "yes", "maybe"])[y]


def test_association_and_cramers_v_equal_scipys():
    people, y = make_many_levels()
    found = interactions(people, y, sizes=(2,), test="association")
    cell = interactions(people, y, sizes=(2,))
    for at, names in enumerate(itertools.combinations(people, 2)):
        table = pd.crosstab(*(people[name] for name in names))
        expected = chi2_contingency(table, correction=False)
        row = found.iloc[at]
        assert row["statistic"] == pytest.approx(expected.statistic)
        assert row["p"] == pytest.approx(expected.pvalue)
        assert row["cramers_v"] == pytest.approx(association(table, method="cramer"))
        assert row["method"] == "chi-squared"
        crossed = pd.crosstab([people[name] for name in names], y)
        assert cell.iloc[at]["cramers_v"] == pytest.approx(association(crossed))
    mutual = interactions(people, y, sizes=(3,), test="association").iloc[0]
    cells = people.groupby(list(people)).size()
    shares = [people[name].value_counts(normalize=True) for name in people]
    chi = sum(
        (cells.get((a, b, c), 0) - expected) ** 2 / expected
        for a, b, c in itertools.product(*(share.index for share in shares))
        for expected in [900 * shares[0][a] * shares[1][b] * shares[2][c]]
    )
    assert mutual["statistic"] == pytest.approx(chi)
    assert mutual["dof"] == 3 * 2 * 4 - (3 + 2 + 4) + 2


def test_the_product_term_of_three_classes_equals_a_multinomial_regressions():
    people, y = make_many_levels()
    row = interactions(people[["a", "b"]], y, sizes=(2,), test="product").iloc[0]
    a = pd.get_dummies(people["a"], drop_first=True).to_numpy(float)
    b = (people[["b"]] == 2).to_numpy(float)
    deviance = []
    for X in (np.hstack([a, b]), np.hstack([a, b, a * b])):
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000).fit(X, y)
        deviance.append(2 * len(y) * log_loss(y, model.predict_proba(X)))
    assert row["statistic"] == pytest.approx(deviance[0] - deviance[1], abs=1e-2)
    assert (row["dof"], row["method"]) == (2 * 1 * 2, "likelihood ratio")
    assert row["p"] == pytest.approx(chi2.sf(row["statistic"], 4))


def test_the_permutation_p_value_is_scipys_and_that_of_shuffled_rows():
    random = np.random.default_rng(6)
    people = pd.DataFrame({"a": np.repeat([0, 1, 2], [60, 8, 5]), "b": [0] * 73})
    people.loc[[3, 65, 70], "b"] = 1
    y = (random.random(73) < 0.2 + 0.15 * people["a"]).astype(int)
    row = interactions(people, y, sizes=(2,), n_resamples=1999).iloc[0]
    table = pd.crosstab([people["a"], people["b"]], y).to_numpy()
    method = PermutationMethod(n_resamples=1999, rng=5)
    theirs = chi2_contingency(table, correction=False, method=method)
    assert row["statistic"] == pytest.approx(theirs.statistic)
    assert row["p"] == pytest.approx(theirs.pvalue, abs=0.04)
    assert abs(row["p"] - chi2_contingency(table, correction=False).pvalue) > 0.005
    assert row["p"] * 2000 == pytest.approx(round(row["p"] * 2000))
    again = interactions(people, y, sizes=(2,), n_resamples=1999, seed=33).iloc[0]
    other = interactions(people, y, sizes=(2,), n_resamples=1999, seed=34).iloc[0]
    assert row["p"] == again["p"] != other["p"]


def test_sparse_associations_keep_the_chi_squared_distribution():
    people = pd.DataFrame({"a": [0] * 40 + [1] * 3, "b": [0, 1] * 21 + [0]})
    row = interactions(people, people["a"], sizes=(2,), test="association").iloc[0]
    expected = chi2_contingency(pd.crosstab(people["a"], people["b"]), correction=False)
    assert row["min_expected"] < 5 and row["method"] == "chi-squared"
    assert row["p"] == pytest.approx(expected.pvalue)


def test_the_smallest_expected_count_of_a_product_test_is_that_of_its_model():
    """Without a product term one cubic equation gives a 2 x 2 x 2 table."""
    seen = np.array([[[20.0, 5], [9, 14]], [[3, 11], [16, 7]]])
    cells = np.array(list(np.ndindex(2, 2, 2)))
    rows = np.repeat(cells, seen.ravel().astype(int), axis=0)
    people, y = pd.DataFrame(rows[:, :2], columns=["a", "b"]), rows[:, 2]
    row = interactions(people, y, sizes=(2,), test="product").iloc[0]
    shift = brentq(
        lambda d: np.log(
            np.prod([(seen + d * sign)[at] ** sign[at] for at in np.ndindex(2, 2, 2)])
        ),
        -seen[sign > 0].min() + 1e-9,
        seen[sign < 0].min() - 1e-9,
    )
    assert row["min_expected"] == pytest.approx((seen + shift * sign).min(), rel=1e-5)


def test_an_expected_count_of_five_is_enough_for_the_chi_squared_distribution():
    people = pd.DataFrame({"a": [0] * 10 + [1] * 10, "b": [0] * 20})
    y = [0, 1] * 10
    row = interactions(people, y, sizes=(2,)).iloc[0]
    assert row["min_expected"] == 5 and row["method"] == "chi-squared"
    row = interactions(people.iloc[:19], y[:19], sizes=(2,)).iloc[0]
    assert row["min_expected"] < 5 and row["method"] == "permutation"


@pytest.mark.parametrize(
    ("test", "people", "y", "reason"),
    [
        ("cell", {"a": [0, 1, 0, 1], "b": [1] * 4}, [1] * 4, "the target has one"),
        ("cell", {"a": [0] * 4, "b": [1] * 4}, [0, 1] * 2, "only one cell has rows"),
        ("association", {"a": [0, 1] * 2, "b": [1] * 4}, [0, 1] * 2, "a column has"),
        ("product", {"a": [0, 1] * 2, "b": [1] * 4}, [0, 1] * 2, "a column or the"),
        ("product", {"a": [0, 1] * 2, "b": [0, 1] * 2}, [0, 1, 1, 0], "a combination"),
    ],
)
def test_undefined_tests_say_why_and_do_not_count_in_holms(test, people, y, reason):
    row = interactions(people, y, sizes=(2,), test=test).iloc[0]
    assert row["reason"].startswith(reason) and row["method"] == "undefined"
    assert row[["statistic", "p", "p_holm", "cramers_v", "min_expected"]].isna().all()
    assert row["dof"] == 0 and not row["significant"]


def test_single_columns_can_be_tested_and_their_product_is_undefined():
    people, y = make_many_levels()
    found = interactions(people, y, sizes=(1, 2))
    assert found["variables"].tolist()[:4] == [("a",), ("b",), ("c",), ("a", "b")]
    expected = chi2_contingency(pd.crosstab(people["a"], y), correction=False)
    assert found.loc[0, "p"] == pytest.approx(expected.pvalue)
    for test in ("association", "product"):
        row = interactions(people, y, sizes=(1,), test=test).iloc[0]
        assert row["method"] == "undefined"


def weighted_table(people, y, weights, names):
    return pd.crosstab([people[name] for name in names], y, weights, aggfunc="sum")


def independent(table):
    table = table.to_numpy() / table.to_numpy().sum()
    return np.abs(table - np.outer(table.sum(1), table.sum(0))).max()


def test_kamiran_and_calders_makes_one_set_independent_of_the_target():
    people, y = make_people()
    fitted = Reweighing(sets=[("v0", "v1")]).fit(people, y)
    before = weighted_table(people, y, np.ones(len(y)), ["v0", "v1"])
    after = weighted_table(people, y, fitted.weights_, ["v0", "v1"])
    assert independent(before) > 0.02
    assert independent(after) < 1e-12
    np.testing.assert_allclose(after.sum(axis=0), before.sum(axis=0))
    np.testing.assert_allclose(after.sum(axis=1), before.sum(axis=1))
    assert fitted.weights_.mean() == pytest.approx(1)
    assert fitted.effective_n_ < len(y)


def test_kamiran_and_calders_equals_aif360():
    if importlib.util.find_spec("aif360") is None:
        pytest.skip("aif360 is not installed, so nothing is held against it here")
    from aif360.algorithms.preprocessing import Reweighing as Theirs
    from aif360.datasets import BinaryLabelDataset

    people, y = make_people()
    frame = people[["v0"]].assign(y=y)
    data = BinaryLabelDataset(
        df=frame, label_names=["y"], protected_attribute_names=["v0"]
    )
    theirs = Theirs([{"v0": 0}], [{"v0": 1}]).fit_transform(data).instance_weights
    ours = Reweighing(sets=[("v0",)]).fit(people, y).weights_
    np.testing.assert_allclose(ours, theirs)


def test_kamiran_and_calders_over_several_sets_is_their_mean():
    people, y = make_people()
    sets = [("v0", "v1"), ("v1", "v2", "v3")]
    each = [Reweighing(sets=[one]).fit(people, y).weights_ for one in sets]
    both = Reweighing(sets=sets).fit(people, y).weights_
    mean = sum(each) / 2
    np.testing.assert_allclose(both, mean / mean.mean())


def test_raking_makes_every_pair_independent_of_the_target_at_once():
    people, y = make_people(columns=5)
    fitted = Reweighing(variant="raking", sets="pairs").fit(people, y)
    assert fitted.converged_ and fitted.residual_ < 1e-5
    for names in itertools.combinations(people, 2):
        table = weighted_table(people, y, fitted.weights_, list(names))
        assert independent(table) < 1e-5
    mean = Reweighing(sets="pairs").fit(people, y)
    assert mean.residual_ > 100 * fitted.residual_


def test_raking_leaves_out_sets_it_cannot_serve_and_says_so():
    people, y = make_people(rows=400)
    people["rare"] = 0
    people.loc[np.flatnonzero(y == 0)[:4], "rare"] = 1
    with pytest.warns(ReweighingWarning, match="left out 5 sets"):
        fitted = Reweighing(
            variant="raking", sets=[*itertools.combinations(people, 2), ("rare",)]
        ).fit(people, y)
    assert set(fitted.skipped_) == {
        *((name, "rare") for name in ("v0", "v1", "v2", "v3")),
        ("rare",),
    }


def test_published_weights_follow_the_formula_row_by_row():
    people, y = make_people(rows=300, columns=3)
    sets = [("v0", "v1"), ("v0", "v1", "v2")]
    fitted = Reweighing(variant="published", sets=sets).fit(people, y)
    expected = []
    for row in range(len(y)):
        nobody = 1.0
        for names in sets:
            same = np.all([people[name] == people[name][row] for name in names], axis=0)
            of_class = y == y[row]
            nobody *= 1 - (same & of_class).sum() / of_class.sum()
        expected.append(1 - nobody)
    expected = np.array(expected)
    np.testing.assert_allclose(fitted.weights_, expected / expected.mean())


def test_published_weights_saturate_and_warn():
    people, _ = make_people(columns=9)
    chance = 0.2 + 0.07 * people.sum(axis=1)
    y = (np.random.default_rng(2).random(len(people)) < chance).astype(int)
    with pytest.warns(ReweighingWarning, match="effectively unweighted"):
        fitted = Reweighing(variant="published").fit(people, y)
    assert len(fitted.sets_) > 60
    assert fitted.saturated_ > 0.9
    assert fitted.effective_n_ > 0.999 * len(y)


def test_published_weights_go_against_reweighing():
    """The larger a cell is within its class, the heavier its rows become."""
    people, y = make_people(columns=2)
    fitted = Reweighing(variant="published", sets=[("v0", "v1")]).fit(people, y)
    sizes = people.assign(y=y, w=fitted.weights_).groupby(["v0", "v1", "y"])["w"]
    table = sizes.agg(["size", "first"]).reset_index()
    for _, part in table.groupby("y"):
        assert part["size"].corr(part["first"], method="spearman") == 1


def test_small_cells_are_shrunk_towards_one():
    people = pd.DataFrame({"a": [0] * 98 + [1] * 2})
    y = [0, 1] * 49 + [1, 1]
    bare = Reweighing(sets="each", min_n=0).fit(people, y)
    kind = Reweighing(sets="each").fit(people, y)
    assert abs(kind.weights_[-1] - 1) < abs(bare.weights_[-1] - 1)


def test_nothing_significant_means_weights_of_one():
    people, _ = make_people(rows=300, columns=3)
    y = np.random.default_rng(12).integers(0, 2, 300)
    fitted = Reweighing().fit(people, y)
    assert fitted.sets_ == [] and (fitted.weights_ == 1).all()


@pytest.mark.parametrize("variant", ["kamiran_calders", "raking", "published"])
def test_weights_of_the_training_rows_come_back(variant):
    people, y = make_people(rows=600, columns=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReweighingWarning)
        fitted = Reweighing(variant=variant, sets="pairs").fit(people, y)
    again = fitted.weights(people.iloc[100:200], y[100:200])
    np.testing.assert_allclose(again, fitted.weights_[100:200])
    as_words = people.replace({0: "no", 1: "yes"})
    words = clone(fitted).fit(as_words, y)
    np.testing.assert_allclose(words.weights_, fitted.weights_)


def test_it_is_an_estimator_without_transform():
    people, y = make_people(rows=200, columns=2)
    estimator = Reweighing(sets="each", shrinkage=2.0)
    assert clone(estimator).get_params() == estimator.get_params()
    assert not hasattr(estimator, "transform")
    with pytest.raises(Exception, match="not fitted"):
        estimator.weights(people, y)


@pytest.mark.filterwarnings("ignore::sudlib.fairness.ReweighingWarning")
@pytest.mark.parametrize("variant", ["kamiran_calders", "raking", "published"])
def test_it_keeps_scikit_learns_contract(variant):
    check_estimator(
        Reweighing(variant=variant, sets="each"),
        on_skip=None,
        expected_failed_checks={
            "check_dtype_object": "groups are words or numbers: any hashable will do,"
            " and what is not hashable raises Python's TypeError"
        },
    )


def test_names_of_columns_are_kept_and_checked():
    people, y = make_people(rows=200, columns=3)
    fitted = Reweighing(sets="each").fit(people, y)
    assert fitted.feature_names_in_.tolist() == ["v0", "v1", "v2"]
    assert fitted.n_features_in_ == 3 and fitted.columns_ == ("v0", "v1", "v2")
    for other in (people[["v1", "v0", "v2"]], people.rename(columns={"v0": "w0"})):
        with pytest.raises(ValueError, match="feature names"):
            fitted.weights(other, y)
    array = Reweighing(sets="each").fit(people.to_numpy(), y)
    np.testing.assert_allclose(array.weights_, fitted.weights_)
    assert not hasattr(array, "feature_names_in_")
    columns = {name: people[name].tolist() for name in people}
    np.testing.assert_allclose(
        Reweighing(sets="each").fit(columns, y).weights_, fitted.weights_
    )
    with pytest.raises(ValueError, match="3 features"):
        array.weights(people.to_numpy()[:, :2], y)


def test_small_cells_are_shrunk_by_the_formula_cell_by_cell():
    people = pd.DataFrame({"a": np.repeat([0, 1, 2], [90, 6, 4])})
    y = np.r_[[0, 1, 1] * 30, [0] * 5 + [1], [1] * 4]
    fitted = Reweighing(sets="each", min_n=5, shrinkage=3.0).fit(people, y)
    raw = fitted.weights_ / fitted.scale_
    share = y.mean()
    expected = {
        (0, 1): 90 * share / 60,
        (1, 0): 6 * (1 - share) / 5,  # five rows are enough
        (1, 1): (6 * share + 3) / (1 + 3),
        (2, 1): (4 * share + 3) / (4 + 3),
    }
    for (group, label), weight in expected.items():
        rows = (people["a"] == group) & (y == label)
        np.testing.assert_allclose(raw[rows], weight)


def test_residual_effective_size_and_scale_equal_their_definitions():
    people, y = make_people(columns=3)
    fitted = Reweighing(sets=["v0", ("v1", "v2")]).fit(people, y)
    assert fitted.sets_ == [("v0",), ("v1", "v2")]
    tables = [
        weighted_table(people, y, fitted.weights_, list(names)).fillna(0)
        for names in fitted.sets_
    ]
    assert fitted.residual_ == pytest.approx(max(map(independent, tables)))
    w = fitted.weights_
    assert fitted.effective_n_ == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert fitted.saturated_ == 0 and fitted.converged_ and fitted.skipped_ == []
    assert np.isnan(effective_sample_size([0, 0]))
    assert effective_sample_size([3, 1]) == pytest.approx(1.6)


def test_raking_that_does_not_converge_says_so():
    people, y = make_people(columns=4)
    with pytest.warns(ReweighingWarning, match="not converged after 1 rounds"):
        fitted = Reweighing(variant="raking", sets="pairs", max_iter=1, tol=1e-9).fit(
            people, y
        )
    assert not fitted.converged_ and fitted.residual_ > 1e-9
    loose = Reweighing(variant="raking", sets="pairs", tol=1e-2).fit(people, y)
    tight = Reweighing(variant="raking", sets="pairs", tol=1e-9).fit(people, y)
    assert tight.converged_ and loose.converged_
    assert tight.residual_ < 1e-8 < loose.residual_


def test_a_cell_that_did_not_occur_has_weight_one_before_scaling():
    people = pd.DataFrame({"a": [0, 0, 1, 1, 0, 1], "b": [0, 1, 0, 0, 0, 0]})
    y = [0, 1, 1, 0, 1, 1]
    new = pd.DataFrame({"a": [1], "b": [1]})
    for variant in ("kamiran_calders", "raking"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReweighingWarning)
            fitted = Reweighing(variant=variant, sets="joint", min_n=0).fit(people, y)
        assert fitted.weights(new, [1]) == pytest.approx([fitted.scale_])


def test_the_sets_are_those_that_the_tests_find():
    people, y = make_people()
    holm_sets = Reweighing(sizes=(1, 2)).fit(people, y)
    table = interactions(people, y, sizes=(1, 2))
    assert holm_sets.sets_ == table.loc[table["significant_holm"], "variables"].tolist()
    pd.testing.assert_frame_equal(holm_sets.tests_, table)
    strict = Reweighing(sizes=(1, 2), alpha=1e-12).fit(people, y)
    assert len(strict.sets_) < len(holm_sets.sets_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReweighingWarning)
        raw = Reweighing(variant="published", sizes=(1, 2)).fit(people, y)
    plain = interactions(people, y, sizes=(1, 2), n_resamples=0)
    assert raw.sets_ == plain.loc[plain["significant"], "variables"].tolist()
    assert (raw.tests_["method"] == "chi-squared").all()
    rare = people.assign(rare=np.arange(len(y)) % 600 == 0)
    default = Reweighing(sizes=(1, 2)).fit(rare, y)
    pd.testing.assert_frame_equal(default.tests_, interactions(rare, y, sizes=(1, 2)))
    assert (default.tests_["method"] == "permutation").any()
    for seed in (np.random.RandomState(3), None, np.int64(33)):
        again = Reweighing(sizes=(1, 2), random_state=seed).fit(people, y)
        assert again.sets_ == holm_sets.sets_
    assert Reweighing(sets="triples").fit(people, y).sets_[0] == ("v0", "v1", "v2")
    assert len(Reweighing(sets="pairs").fit(people, y).sets_) == 6
    assert Reweighing(sets="joint").fit(people, y).sets_ == [("v0", "v1", "v2", "v3")]
    assert Reweighing(sets=[]).fit(people, y).weights_.tolist() == [1.0] * len(y)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"variant": "best"}, "variant must be one of"),
        ({"sets": "quads"}, "sets must be one of"),
        ({"sets": [("v9",)]}, "a set of columns must be made of"),
        ({"alpha": 2.0}, "alpha must be a number above 0 and below 1"),
    ],
)
def test_bad_parameters_are_named(change, words):
    people, y = make_people(rows=50, columns=3)
    with pytest.raises(InputError, match=words):
        Reweighing(**change).fit(people, y)


def test_bad_rows_are_named():
    people, y = make_people(rows=50, columns=2)
    with pytest.raises(InputError, match="must have the same length"):
        Reweighing().fit(people, y[:-1])
    with pytest.raises(InputError, match="'v0' has 1 missing"):
        Reweighing().fit(people.astype(float).assign(v0=[np.nan, *people["v0"][1:]]), y)
    fitted = Reweighing(sets="each").fit(people, y)
    with pytest.raises(
        InputError, match=r"'v0' has values that are not among \[0, 1\]: \[7\]"
    ):
        fitted.weights(people.replace({"v0": {1: 7}}), y)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.weights(people[["v0"]], y)
