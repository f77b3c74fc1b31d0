"""Study B's kernels and networks predict what SVC and Keras predict one by one."""

import json
import signal
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import compute_sample_weight

from sudlib import book, oklahoma, twin
from sudlib.files import InputError
from sudlib.oklahoma import models, networks
from sudlib.oklahoma.cohort import older_noprior


@pytest.fixture(scope="module")
def people():
    """Rows of 0 and 1, three classes in shares of 6 : 3 : 1."""
    records = older_noprior(twin.sample(2019, 500, seed=2), seed=2)
    cohort = oklahoma.make_cohort(records, "REASON")
    random = np.random.default_rng(0)
    y = random.choice(["a", "b", "c"], len(cohort), p=[0.6, 0.3, 0.1])
    return cohort.X.to_numpy(float), y


GAMMAS = ("scale", 0.05)
KERNELS = [
    {"kernel": "linear"},
    *({"kernel": "rbf", "gamma": gamma} for gamma in GAMMAS),
    *(
        {"kernel": "sigmoid", "gamma": gamma, "coef0": r}
        for gamma in GAMMAS
        for r in (-0.1, 1)
    ),
    *(
        {"kernel": "poly", "gamma": gamma, "coef0": r, "degree": degree}
        for gamma in GAMMAS
        for r, degree in ((-0.1, 2), (1, 3))
    ),
]


def dense(setting):
    """Return a setting of SVC as a kernel of ours."""
    rest = {name: value for name, value in setting.items() if name != "kernel"}
    return oklahoma.DenseKernel(setting["kernel"], **rest)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("setting", KERNELS, ids=str)
def test_a_machine_with_a_dense_kernel_predicts_what_svc_predicts(
    people, setting, class_weight
):
    X, y = people
    train, test = np.arange(0, 350), np.arange(350, len(y))
    weight = np.random.default_rng(0).uniform(0.2, 3, len(train))
    for C, sample_weight in ((0.1, None), (5, None), (1, weight)):
        same = {"C": C, "class_weight": class_weight}
        ours, theirs = (
            machine.fit(X[train], y[train], sample_weight).predict(X[test])
            for machine in (SVC(kernel=dense(setting), **same), SVC(**setting, **same))
        )
        assert (ours == theirs).all()


def test_a_grid_of_dense_kernels_is_scored_as_a_grid_of_svc(people):
    X, y = people[0][:250], people[1][:250]
    folds = StratifiedKFold(2, shuffle=True, random_state=1)
    C = [0.1, 10]
    ours = GridSearchCV(
        SVC(class_weight="balanced"),
        {"kernel": [dense(setting) for setting in KERNELS], "C": C},
        scoring="balanced_accuracy",
        cv=folds,
    ).fit(X, y)
    theirs = GridSearchCV(
        SVC(class_weight="balanced"),
        [{name: [v] for name, v in s.items()} | {"C": [c]} for c in C for s in KERNELS],
        scoring="balanced_accuracy",
        cv=folds,
    ).fit(X, y)
    mean = "mean_test_score"
    assert np.allclose(ours.cv_results_[mean], theirs.cv_results_[mean])
    assert ours.best_params_["kernel"].name == theirs.best_params_["kernel"]


@given(
    seed=st.integers(0, 10_000),
    gamma=st.floats(0.01, 2),
    coef0=st.floats(-1, 1),
    degree=st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_a_dense_kernel_takes_the_hyperparameters_that_it_has(
    seed, gamma, coef0, degree
):
    random = np.random.default_rng(seed)
    X, Z = random.integers(0, 2, (9, 5)) * 1.0, random.integers(0, 2, (4, 5)) * 1.0
    has = {
        "linear": {},
        "poly": {"gamma": gamma, "coef0": coef0, "degree": degree},
        "rbf": {"gamma": gamma},
        "sigmoid": {"gamma": gamma, "coef0": coef0},
    }
    for name in oklahoma.KERNELS:
        kernel = oklahoma.DenseKernel(name, gamma, coef0, degree)
        assert np.allclose(
            kernel(X, Z), pairwise_kernels(X, Z, metric=name, **has[name])
        )


def test_scale_is_that_of_the_rows_of_fit_and_defined_for_constant_rows():
    X, Z = np.eye(4)[:1], np.array([[0.0, 2, 0, 1], [1, 1, 0, 0]])
    kernel = oklahoma.DenseKernel("rbf")
    by_hand = np.exp(-((X[:, None] - Z[None]) ** 2).sum(axis=2) / (4 * Z.var()))
    assert np.allclose(kernel(X, Z), by_hand)
    ones = np.exp(-((X - 1) ** 2).sum())  # a factor of 1
    assert np.allclose(kernel(X, np.ones((2, 4))), ones)
    # SVC hands a frame on as it is.
    frame = pd.DataFrame(np.r_[X, Z].astype(np.int8), columns=list("abcd"))
    assert np.allclose(kernel(frame[:1], frame[1:]), by_hand)


def test_printed_models_have_the_printed_hyperparameters():
    for target in ("COMPLETED", "NOPRIOR"):
        for name, model in oklahoma.printed_models(target).items():
            assert model.C == oklahoma.PRINTED_C[target][name]
            assert model.kernel == oklahoma.DenseKernel(name, "scale", -0.1, 3)
    others = oklahoma.printed_models("COMPLETED_NOPRIOR")
    assert others["linear"].C == oklahoma.PRINTED_C["NOPRIOR"]["linear"] == 10


def test_the_grids_are_the_printed_ones():
    printed = book.published("b")["printed"]
    for model, grid in (
        ("tree", oklahoma.TREE_GRID),
        ("forest", oklahoma.FOREST_GRID),
        ("network", oklahoma.NETWORK_GRID),
    ):
        study = json.loads(printed[f"b.completed.{model}.grid"])
        # "auto" meant "sqrt" and is gone from scikit-learn.
        study = {
            name: [v for v in values if v != "auto"] for name, values in study.items()
        }
        assert {name: list(values) for name, values in grid.items()} == study
    assert list(oklahoma.COSTS) == json.loads(printed["b.completed.setting.c_grid"])
    for target in ("completed", "noprior"):
        epochs = printed.get(f"b.{target}.network.epochs")
        assert epochs is None or float(epochs) == oklahoma.EPOCHS


# Networks: different layers, activations, optimizers and losses, out of order.
CANDIDATES = [
    {"layer1": 8, "layer2": 20, "activation": "relu", "optimizer": "sgd",
     "loss": "categorical_crossentropy"},
    {"layer1": 20, "layer2": 10, "activation": "sigmoid", "optimizer": "adam",
     "loss": "mean_squared_error"},
    {"layer1": 10, "layer2": 8, "activation": "tanh", "optimizer": "sgd",
     "loss": "categorical_crossentropy"},
]  # fmt: skip


def test_networks_side_by_side_learn_what_each_learns_alone(people, monkeypatch):
    import keras

    monkeypatch.setattr(networks, "EPOCHS", 2)
    X, code = (
        people[0][:80].astype("float32"),
        np.unique(people[1], return_inverse=True),
    )
    wanted = np.eye(3, dtype=np.float32)[code[1][:80]]
    weight = np.random.default_rng(3).uniform(0, 3, 80).astype("float32")
    predict_proba = networks.fit_side_by_side(X, wanted, CANDIDATES, weight, seed=1)
    for together, candidate in zip(predict_proba(X), CANDIDATES, strict=True):
        alone = keras.Sequential(
            [
                keras.Input((X.shape[1],)),
                keras.layers.Dense(candidate["layer1"], candidate["activation"]),
                keras.layers.Dense(candidate["layer2"], candidate["activation"]),
                keras.layers.Dense(3, "softmax"),
            ]
        )
        alone.set_weights(networks.first_weights(X.shape[1], 3, candidate, seed=1))
        alone.compile(candidate["optimizer"], candidate["loss"], run_eagerly=True)
        keras.utils.set_random_seed(1)
        alone.fit(X, wanted, 32, epochs=2, sample_weight=weight, verbose=0)
        assert np.allclose(np.asarray(alone(X)), together, atol=1e-5), candidate


def test_first_weights_are_keras_glorot_uniform():
    import keras

    ours = networks.first_weights(200, 3, {"layer1": 40, "layer2": 30}, seed=1)
    shapes = [weight.shape for weight in ours]
    assert shapes == [(200, 40), (40,), (40, 30), (30,), (30, 3), (3,)]
    for kernel, bias in zip(ours[::2], ours[1::2], strict=True):
        theirs = np.asarray(keras.initializers.GlorotUniform(0)(kernel.shape))
        assert abs(kernel).max() == pytest.approx(abs(theirs).max(), rel=0.1)
        assert kernel.mean() == pytest.approx(0, abs=0.1) and not bias.any()


@pytest.fixture
def fits(monkeypatch):
    """Replace networks: a candidate predicts the class number in its column of X.

    The test is given the arguments of each fit.
    """
    calls = []

    def fit(X, wanted, candidates, sample_weight, seed):
        calls.append((X, wanted, list(candidates), sample_weight, seed))
        one_hot = np.eye(wanted.shape[1])
        return lambda rows: one_hot[
            [rows[:, c["column"]].astype(int) for c in candidates]
        ]

    monkeypatch.setattr(networks, "fit_side_by_side", fit)
    return calls


def test_the_search_takes_the_first_of_the_best_and_fits_it_on_all_rows(fits):
    code = np.random.default_rng(0).choice(3, 60, p=[0.6, 0.3, 0.1])
    half, place = np.where(np.arange(60) % 2, code, 0), np.arange(60)
    X = np.column_stack([half, code, np.zeros(60), code, place])
    y = np.array(["a", "b", "c"])[code]
    search = oklahoma.NetworkGridSearch(
        [{"column": column} for column in range(4)],
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        class_weight="balanced",
        random_state=5,
    )
    search.fit(X, y, sample_weight=place + 1.0)
    assert search.best_params_ == {"column": 1} and search.best_index_ == 1
    assert (search.predict(X) == y).all() and search.classes_.tolist() == list("abc")
    assert (search.predict_proba(X) == np.eye(3)[code]).all()  # one column a class
    mean = search.cv_results_["mean_test_score"]
    assert mean[1] == mean[3] == 1 and mean[2] == pytest.approx(1 / 3)
    assert 1 / 3 < mean[0] < 1
    # Three folds of all candidates, then the best on everything.
    assert [len(candidates) for _, _, candidates, _, _ in fits] == [4, 4, 4, 1]
    assert [len(rows) for rows, *_ in fits] == [40, 40, 40, 60]
    weights = compute_sample_weight("balanced", y) * (place + 1)
    for rows, wanted, _, weight, seed in fits:
        each = rows[:, 4].astype(int)
        assert np.allclose(weight, weights[each]) and seed == 5
        assert (wanted.argmax(axis=1) == code[each]).all()
        assert (wanted.sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("scoring", "best"), [("accuracy", 0), ("balanced_accuracy", 1), ("mcc", 1)]
)
def test_scoring_decides_which_network_is_best(fits, scoring, best):
    code = np.repeat([0, 1], [45, 15])
    first, second = code.copy(), code.copy()
    first[45:55] = 0  # misses 10 of the 15
    second[:11] = 1  # misses 11 of the 45
    search = oklahoma.NetworkGridSearch(
        [{"column": 0}, {"column": 1}],
        cv=[(np.arange(60), np.arange(60))],
        scoring=scoring,
    )
    assert search.fit(np.column_stack([first, second]), code).best_index_ == best


def test_a_single_candidate_is_fitted_without_cross_validation(fits):
    search = oklahoma.NetworkGridSearch([{"column": 0}], random_state=None)
    search.fit([[0], [1], [1]], [0, 1, 1])
    assert len(fits) == 1 and np.isnan(search.cv_results_["mean_test_score"]).all()
    assert clone(search).get_params() == search.get_params()


def test_bad_models_are_named(people):
    with pytest.raises(InputError, match="kernel must be one of linear, poly"):
        oklahoma.DenseKernel("cosine")
    with pytest.raises(InputError, match="number of candidates must be"):
        oklahoma.NetworkGridSearch([]).fit(*people)


# ---------------------------------------------------------- machines that would not end


@pytest.fixture
def unscaled():
    """Columns as they come: 0 to 8, and classes that nothing predicts."""
    random = np.random.default_rng(0)
    return random.normal([6, 3, 4, 1], [0.8, 0.4, 1.7, 0.7], (100, 4)), random.choice(
        ["a", "b", "c"], 100
    )


def test_a_kernel_no_machine_can_be_fitted_to_says_to_scale_the_columns(unscaled):
    kernel = oklahoma.DenseKernel("poly", 4178.0, 0.0, 7)
    for machine in (SVC, oklahoma.SupportVectorMachine):
        with pytest.raises(InputError, match="scale the columns .*gamma or degree"):
            machine(C=0.67, kernel=kernel).fit(*unscaled)
    X = StandardScaler().fit_transform(unscaled[0])
    kernel = oklahoma.DenseKernel("poly", "scale", 0.0, 7)
    machine = oklahoma.SupportVectorMachine(kernel=kernel).fit(X, unscaled[1])
    assert machine.n_iter_.max() < models.MAX_ITER


def test_a_machine_that_does_not_converge_ends_and_says_so(unscaled, monkeypatch):
    monkeypatch.setattr(models, "MAX_ITER", 1000)
    machine = oklahoma.SupportVectorMachine(C=100, kernel=oklahoma.DenseKernel("poly"))
    with pytest.warns(ConvergenceWarning, match="StandardScaler"):
        machine.fit(*unscaled)
    assert machine.max_iter == -1 and machine.n_iter_.max() == 1000
    with pytest.warns(ConvergenceWarning):
        GridSearchCV(machine, {"C": [10, 100]}, cv=2).fit(*unscaled)


def test_a_machine_with_an_end_is_svc_in_all_else(people):
    X, y = people[0][:200], people[1][:200]
    for options in ({"C": 3}, {"kernel": "linear", "class_weight": "balanced"}):
        ours = oklahoma.SupportVectorMachine(**options)
        weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
        theirs = SVC(**options).fit(X, y, weight)
        assert (clone(ours).fit(X, y, weight).predict(X) == theirs.predict(X)).all()
        assert ours.get_params() == theirs.get_params()
    with pytest.raises(ValueError, match="NaN"):
        ours.fit(np.where(X == 0, np.nan, X), y)


def test_an_interrupt_is_not_kept_waiting():
    """It is raised while libsvm still works, not when it has ended."""
    random = np.random.default_rng(0)
    X, y = random.normal(50, 30, (1500, 4)), random.integers(0, 2, 1500)
    machine = oklahoma.SupportVectorMachine(C=100, kernel="poly", degree=5, gamma=0.01)

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    threads = set(threading.enumerate())
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            machine.set_params(max_iter=2_000_000).fit(X, y)
        [working] = set(threading.enumerate()) - threads
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    working.join(120)
