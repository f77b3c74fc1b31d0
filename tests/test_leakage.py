"""The alarms ring for accidents made on purpose, and not without one."""

import numpy as np
import pandas as pd
import pytest

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


def test_every_sign_is_reported(people):
    found = audit(*people, **FEW)
    assert list(found.index) == list(ALARMS)
    assert (found["rings"] == (found["value"] >= found["limit"])).all()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1], [2]], [0, 1, 1], "same length"),
        ([[1]] * 9, [0] * 9, "two classes"),
    ],
)
def test_bad_input_is_named(X, y, message):
    with pytest.raises(InputError, match=message):
        audit(X, y)
