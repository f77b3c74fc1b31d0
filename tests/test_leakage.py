"""The alarms ring for accidents made on purpose, and not without one."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import binomtest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.tree import DecisionTreeClassifier

from sudlib.files import InputError
from sudlib.leakage import ALARMS, LEVEL, audit
from sudlib.smoten import SMOTEN

FEW = {"trees": 20, "shuffles": 3}


@pytest.fixture(scope="module")
def people():
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        random.integers(0, 2, (600, 30)), columns=[f"V{j}" for j in range(30)]
    )
    chance = 0.25 + 0.15 * X["V0"] + 0.15 * X["V1"]
    return X, (random.random(600) < chance).astype(int)


def rings(*arguments, **more):
    return set(audit(*arguments, **FEW, **more).query("rings").index)


def test_nothing_rings_where_nothing_leaks(people):
    assert rings(*people) == set()


def test_a_column_of_the_discharge_is_named(people):
    X, y = people
    found = audit(X.assign(LOS=1, EMPLOY_D=2, LOSS=3), y, **FEW)
    assert found.loc["late", "detail"] == "LOS, EMPLOY_D"


def test_a_column_made_from_the_outcome_rings_twice(people):
    X, y = people
    # Not monotone in the outcome, as the study's probability: a tree cuts it in four,
    # a forest is shown it in few of its splits.
    weight = np.random.default_rng(1).integers(0, 2, len(y)) + 0.5 * y
    assert {"lone", "tree"} <= rings(X.assign(weight=weight), y)


def test_rows_that_stand_there_twice_ring(people):
    X, y = people
    assert "copies" in rings(pd.concat([X, X]), np.r_[y, y])


def test_balancing_before_the_split_rings_with_shuffled_classes(people):
    X, y = people

    def before(rows, classes):
        return SMOTEN(random_state=0).fit_resample(rows, classes)

    assert "shuffled" in rings(X, y, prepare=before)


def test_columns_made_from_late_ones_are_late_too():
    X = pd.DataFrame({"REASON_4": [0, 1] * 20, "LOSS_1": 1, "SUB1_D": 2, "DAYS_D_": 3})
    found = audit(X, [0, 0, 1, 1] * 10, **FEW)
    assert found.loc["late", "detail"] == "REASON_4, SUB1_D"
    assert found.loc["late", "value"] == 2


def test_signs_are_those_of_a_calculation_by_hand(people):
    X, y = people[0].iloc[:120, :4].assign(V2=people[1][:120]), people[1][:120]
    y = np.where(np.arange(120) % 10, y, 1 - y)  # V2 is right in nine of ten
    found = audit(X, y, trees=15, n_splits=4, shuffles=2, seed=5)
    rows, folds = X.to_numpy(), StratifiedKFold(4, shuffle=True, random_state=5)

    def out_of_fold(model, columns):
        said = np.empty_like(y)
        for train, test in folds.split(rows, y):
            fitted = model.fit(rows[train][:, columns], y[train])
            said[test] = fitted.predict(rows[test][:, columns])
        return said

    forest = RandomForestClassifier(15, random_state=5)
    tree = DecisionTreeClassifier(random_state=5)
    one, many = (out_of_fold(each, range(4)) == y for each in (tree, forest))
    assert found.loc["tree", "value"] == pytest.approx(one.mean() - many.mean())
    pairs = (one & ~many).sum(), (one != many).sum()
    if pairs[1]:
        by_hand = binomtest(*map(int, pairs), alternative="greater").pvalue
        assert found.loc["tree", "p_value"] == pytest.approx(by_hand)
    lone, others = (out_of_fold(*each) for each in ((tree, [2]), (forest, [0, 1, 3])))
    assert found.loc["lone", "value"] == pytest.approx(balanced_accuracy_score(y, lone))
    null = balanced_accuracy_score(y, others)
    assert found.loc["lone", "null"] == pytest.approx(null)
    pairs = ((lone == y) & (others != y)).sum(), ((lone == y) != (others == y)).sum()
    by_hand = binomtest(*map(int, pairs), alternative="greater").pvalue
    assert found.loc["lone", "p_value"] == pytest.approx(by_hand)
    assert found.loc["lone", "rings"]
    train, test = train_test_split(rows, test_size=0.3, random_state=5)
    known = {tuple(row) for row in train}
    copies = np.mean([tuple(row) in known for row in test])
    assert found.loc["copies", "value"] == pytest.approx(copies) and copies > 0.9
    random, scores = np.random.default_rng(5), []
    for _ in range(2):
        z = random.permutation(y)
        Z = train_test_split(rows, z, test_size=0.3, random_state=5, stratify=z)
        scores.append(
            balanced_accuracy_score(Z[3], forest.fit(Z[0], Z[2]).predict(Z[1]))
        )
    assert found.loc["shuffled", "value"] == pytest.approx(np.mean(scores) - 1 / 2)
    assert found["sign"].tolist() == [sign for sign, _ in ALARMS.values()]
    assert found["limit"].tolist() == [limit for _, limit in ALARMS.values()]


# ---------------------------------------------------------------- clean tables


@pytest.mark.parametrize(
    "load", [load_wine, load_breast_cancer, load_iris, load_digits]
)
def test_no_alarm_rings_on_a_clean_public_table(load):
    X, y = load(return_X_y=True)
    found = audit(X[:700], y[:700], trees=30)
    assert not found["rings"].any(), found


def clean(seed):
    """Return a table of one of five kinds in which nothing leaks."""
    random = np.random.default_rng(seed)
    people, kind = int(random.integers(150, 500)), seed % 5
    X = random.normal(size=(people, 6))
    if kind == 0:  # noise
        return X, random.integers(0, 2, people)
    if kind == 1:  # three classes from several columns
        score = X[:, :2] + random.normal(size=(people, 2))
        return X, (score > 0).sum(axis=1)
    if kind == 2:  # few levels: many people have all values alike, as in COMPAS
        X = random.integers(0, 3, (people, 4))
        chance = 1 / (1 + np.exp(-1.2 * (X[:, 0] - 1) - 0.6 * (X[:, 1] - 1)))
        return X, (random.random(people) < chance).astype(int)
    if kind == 3:  # one strong column among weak ones
        y = random.integers(0, 2, people)
        return np.column_stack([X, y + 0.55 * random.normal(size=people)]), y
    y = (random.random(people) < 0.15).astype(int)  # rare, text and levels
    table = pd.DataFrame(random.integers(0, 4, (people, 5))).astype(str)
    word = np.where(random.random(people) < 0.3 + 0.4 * y, "a", "b")
    return table.assign(word=word), y


def false_alarms(tables):
    return np.mean([audit(*clean(seed), **FEW)["rings"].any() for seed in tables])


def test_false_alarms_are_rare_on_a_few_clean_tables():
    assert false_alarms(range(15)) <= 1 / 15


@pytest.mark.slow
def test_false_alarms_on_clean_tables_are_at_most_five_per_cent():
    assert false_alarms(range(100, 400)) <= 0.05


@pytest.mark.parametrize("seed", range(5))
def test_leaks_are_found_in_each_kind_of_clean_table(seed):
    X, y = clean(seed)
    X, random = pd.DataFrame(X), np.random.default_rng(seed)
    noisy = np.where(random.random(len(y)) < 0.03, random.permutation(y), y)
    planted = audit(X.assign(leak=noisy), y, **FEW)
    # a column that says no more than the strong one of kind 3 is no alarm of its own
    assert planted.loc["lone", "rings"] or planted.loc["lone", "null"] > 0.8
    if seed != 2:  # there most people have a double anyway
        double = audit(pd.concat([X, X]), np.r_[y, y], **FEW)
        assert double.loc["copies", "rings"]


def test_every_sign_is_reported(people):
    found = audit(*people, **FEW)
    assert list(found.index) == list(ALARMS)
    above = (found["value"] >= found["limit"]) & (found["p_value"] <= LEVEL)
    assert (found["rings"] == above).all()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1], [2]], [0, 1, 1], "same length"),
        ([[1]] * 9, [0] * 9, "two classes"),
        ([[1]] * 5, [0, 1, 0, 1, 0], "number of rows must be a whole number from 6 up"),
    ],
)
def test_bad_input_is_named(X, y, message):
    with pytest.raises(InputError, match=message):
        audit(X, y)


def test_an_audit_needs_columns_and_two_people_of_each_class():
    X = pd.DataFrame({"a": range(60)})
    with pytest.raises(InputError, match="rows of the rarest class"):
        audit(X, [1, *[0] * 59], **FEW)
    with pytest.raises(InputError, match="number of columns of X"):
        audit(X[[]], [0, 1] * 30, **FEW)
    with pytest.raises(InputError, match="dense table"):
        audit(sparse.csr_matrix(X.to_numpy()), [0, 1] * 30, **FEW)


@pytest.mark.parametrize("gap", ["Int64", "boolean", "masked"])
def test_gaps_of_every_kind_are_missing(people, gap):
    X, y = people
    given = X.iloc[:, :1].to_numpy()
    flat = pd.Series(given.ravel().astype(float)).mask(np.arange(len(X)) < 5)
    if gap == "masked":
        other = np.ma.masked_array(given, np.arange(len(X))[:, None] < 5)
        table = pd.DataFrame(flat)
    else:
        other = pd.DataFrame({"a": flat.astype(gap), "b": ["x", "y"] * (len(X) // 2)})
        table = other.assign(a=flat)
    few = {"trees": 3, "shuffles": 1, "n_jobs": 1}
    assert audit(other, y, **few).equals(audit(table, y, **few))


@pytest.mark.parametrize("wrong", [None, {"a": [1]}, np.zeros((4, 2, 2)), 5])
def test_what_is_no_table_is_refused(wrong):
    with pytest.raises(InputError, match="X must be a dense table, not"):
        audit(wrong, [0, 1, 0, 1])


@pytest.mark.parametrize(
    "name",
    [
        "REASON=1",
        "services_d=2",
        "SERVICES_D_2",
        "EMPLOY_D_-9",
        " LOS ",
        ("LOS", "days"),
    ],
)
def test_levels_of_late_columns_are_late(people, name):
    X, y = people
    X = X.set_axis([name, *X.columns[1:]], axis=1)
    assert audit(X, y, trees=2, shuffles=1).loc["late", "value"] == 1
    for early in ("LOST", "D", "VITAMIN_DOSE", "GRADE_DE_2", "REASONABLE"):
        renamed = X.set_axis([early, *X.columns[1:]], axis=1)
        assert audit(renamed, y, trees=2, shuffles=1).loc["late", "value"] == 0


def test_text_with_gaps_is_audited(people):
    X, y = people
    mixed = np.resize(np.array(["a", None, 1], object), len(X))
    text = pd.Series(np.resize(["a", "b"], len(X))).mask(np.arange(len(X)) < 9)
    X = X.assign(mixed=mixed, text=text.to_numpy())
    assert list(audit(X, y, trees=2, shuffles=1).index) == list(ALARMS)
