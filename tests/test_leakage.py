"""The alarms ring for accidents made on purpose, and not without one."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.tree import DecisionTreeClassifier

from sudlib.files import InputError
from sudlib.leakage import ALARMS, audit
from sudlib.smoten import SMOTEN

FEW = {"trees": 30, "shuffles": 2}


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
    found = audit(X, y, trees=15, folds=4, shuffles=2, seed=5)
    rows, folds = X.to_numpy(), StratifiedKFold(4, shuffle=True, random_state=5)

    def out_of_fold(model, columns):
        said = np.empty_like(y)
        for train, test in folds.split(rows, y):
            fitted = model.fit(rows[train][:, columns], y[train])
            said[test] = fitted.predict(rows[test][:, columns])
        return said

    forest = RandomForestClassifier(15, random_state=5)
    tree = DecisionTreeClassifier(random_state=5)
    right = [(out_of_fold(each, range(4)) == y).mean() for each in (tree, forest)]
    assert found.loc["tree", "value"] == pytest.approx(right[0] - right[1])
    lone = balanced_accuracy_score(y, out_of_fold(tree, [2]))
    assert found.loc["lone", ["value", "detail"]].tolist() == [
        pytest.approx(lone),
        "V2",
    ]
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


def test_every_sign_is_reported(people):
    found = audit(*people, **FEW)
    assert list(found.index) == list(ALARMS)
    assert (found["rings"] == (found["value"] >= found["limit"])).all()


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
