"""Outcome-weighted learning: losses, training, rules, against independent counts."""

import importlib
import itertools

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.utils import estimator_checks

from sudlib import policy
from sudlib.files import InputError
from sudlib.policy import (
    AdditiveQLearner,
    BoundedEffectsNetwork,
    ContrastNetwork,
    OneAgainstOne,
    OutcomeWeightedClassifier,
    batched,
    best_combination,
    combination_number,
    combinations,
    losses,
    simulation,
)


@pytest.fixture(scope="module")
def people():
    world = simulation.draw_truth("right", 33, p=6, nodes=8, treatments=3)
    return simulation.draw(world, 600, 34)


def fit(rule, people, **more):
    return rule.fit(people.X, people.A, people.outcome, **more)


# --------------------------------------------------------------------------- losses


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_hamming_loss_counts_the_subsets_that_are_not_all_right(order):
    for A, D in itertools.product(combinations(4), repeat=2):
        subsets = list(itertools.combinations(range(4), order))
        wrong = sum(any(A[k] != D[k] for k in subset) for subset in subsets)
        assert losses.hamming_loss(A, D, order) == pytest.approx(wrong / len(subsets))


def test_orders_go_from_hamming_to_zero_one_and_never_fall():
    A = combinations(5)
    D = A[::-1][np.random.default_rng(0).permutation(32)]
    by_order = np.array([losses.hamming_loss(A, D, order) for order in range(1, 6)])
    assert np.allclose(by_order[0], (A != D).mean(axis=1))
    assert np.allclose(by_order[-1], (A != D).any(axis=1))
    assert (np.diff(by_order, axis=0) >= -1e-12).all()


@pytest.mark.parametrize("name", losses.SURROGATES)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_one_sort_gives_the_surrogate_of_all_subsets(name, order):
    generator = np.random.default_rng(1)
    outputs, A = generator.normal(size=(7, 4)), generator.choice([-1, 1], (7, 4))
    loss = losses.WeightedHamming(name, order, 4, "identity")
    function = losses.surrogate(name)[0]
    subsets = list(itertools.combinations(range(4), order))
    brute = [
        np.mean([function(np, (row * a)[list(subset)].min()) for subset in subsets])
        for row, a in zip(outputs, A, strict=True)
    ]
    assert np.allclose(loss.value(np, outputs, A, 1.0), brute, atol=1e-6)


@pytest.mark.parametrize("name", losses.SURROGATES)
@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("output", ["tanh", "identity"])
def test_slope_of_the_hamming_surrogate_is_its_numeric_derivative(name, order, output):
    generator = np.random.default_rng(2)
    outputs = generator.normal(size=(9, 4))
    rows = generator.choice([-1, 1], (9, 4)), generator.normal(size=(9, 1))
    loss = losses.WeightedHamming(name, order, 4, output)
    _assert_slope(loss, outputs, rows)


def test_slope_of_the_squared_contrast_is_its_numeric_derivative():
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(9, 4)), generator.normal(size=(9, 1))
    _assert_slope(losses.SquaredContrast(), generator.normal(size=(9, 4)), rows)


@pytest.mark.parametrize("bound", [0.5, 1.5, 1e6])
@pytest.mark.parametrize("curvature", [-0.3, 0.0, 0.2])
def test_slope_of_the_squared_curve_is_its_numeric_derivative(bound, curvature):
    generator = np.random.default_rng(3)
    rows = generator.integers(0, 2, (9, 3)), generator.normal(size=(9, 1))
    loss = losses.SquaredCurve(bound, curvature)
    _assert_slope(loss, generator.normal(size=(9, 4)), rows)


def test_a_squared_curve_without_curve_or_bound_is_a_squared_contrast():
    generator = np.random.default_rng(4)
    taken, outcome = generator.integers(0, 2, (9, 3)), generator.normal(size=(9, 1))
    outputs = generator.normal(size=(9, 4))
    basis = np.column_stack([np.ones(9), taken])
    plain = losses.SquaredContrast().value(np, outputs, basis, outcome)
    curved = losses.SquaredCurve(1e6).value(np, outputs, taken, outcome)
    assert np.allclose(plain, curved)


def _assert_slope(loss, outputs, rows, step=1e-6):
    found = loss.slope(np, outputs, *rows)
    for column in range(outputs.shape[1]):
        move = np.zeros_like(outputs)
        move[:, column] = step
        up, down = (
            loss.value(np, outputs + move, *rows),
            loss.value(np, outputs - move, *rows),
        )
        assert np.allclose(found[:, column], (up - down) / (2 * step), atol=1e-5)


# ------------------------------------------------------------------------- theorems


def _small_problem(generator, size, treatments=3):
    """Return expected outcomes, each effect and the interactions of one person."""
    every = combinations(treatments)
    effects = generator.normal(size=treatments) * 2
    rest = generator.uniform(-size, size, len(every))
    return every, ((every > 0) @ effects) + rest + 20, effects, rest


def _hamming_best(every, outcomes):
    """Return the rule with the least outcome-weighted Hamming loss, by enumeration."""
    loss = [(outcomes * (every != rule).mean(axis=1)).sum() for rule in every]
    return every[int(np.argmin(loss))]


def test_small_interactions_leave_the_hamming_rule_right():
    """Theorem 5.2, on every one of 300 random problems that meets its condition."""
    generator, met = np.random.default_rng(4), 0
    for _ in range(300):
        every, outcomes, effects, rest = _small_problem(generator, 0.3)
        if 2 * np.abs(rest).max() < np.abs(effects).min():
            met += 1
            best = every[outcomes.argmax()]
            assert np.array_equal(_hamming_best(every, outcomes), best)
    assert met > 50


def test_the_hamming_rule_is_the_sign_of_the_summed_differences():
    """The condition of theorem 5.1 is what enumeration finds, interactions or not."""
    generator = np.random.default_rng(5)
    for _ in range(100):
        every, outcomes, _, _ = _small_problem(generator, 5)
        assert np.array_equal(
            _hamming_best(every, outcomes), np.sign(every.T @ outcomes)
        )


def test_large_interactions_make_the_hamming_rule_wrong():
    generator = np.random.default_rng(6)
    wrong = 0
    for _ in range(100):
        every, outcomes, _, _ = _small_problem(generator, 5)
        best = every[outcomes.argmax()]
        wrong += not np.array_equal(_hamming_best(every, outcomes), best)
    assert wrong > 10


@pytest.mark.parametrize("name", losses.SURROGATES)
def test_each_surrogate_is_minimised_on_the_right_side_of_zero(name):
    """Theorem 5.3: with outcomes above 0 the minimiser has the sign of the gap."""
    generator = np.random.default_rng(7)
    function = losses.surrogate(name)[0]
    for _ in range(30):
        given, not_given = generator.uniform(0.1, 3, 2)

        def risk(score, given=given, not_given=not_given):
            return given * function(np, score) + not_given * function(np, -score)

        found = minimize_scalar(risk, bounds=(-9, 9), method="bounded").x
        assert np.sign(found) == np.sign(given - not_given)


# ------------------------------------------------------------------------- training


def _problem(rows=200, p=4, treatments=3):
    generator = np.random.default_rng(8)
    X = generator.normal(size=(rows, p)).astype("f4")
    A = generator.choice([-1.0, 1.0], (rows, treatments)).astype("f4")
    return X, A, generator.normal(size=(rows, 1)).astype("f4")


def test_the_written_out_gradient_is_the_numeric_one():
    X, A, w = (array.astype(float) for array in _problem(20))
    shape = batched.Shape((4, 5, 6, 3))
    generator = np.random.default_rng(9)
    flat = generator.normal(size=(1, 1, shape.size))
    loss = losses.WeightedHamming("logistic", 1, 3)
    masks = [(generator.random((20, width)) > 0.3) / 0.7 for width in (5, 6)]

    inputs = batched.with_ones(X[None, None])

    def total(flat):
        out = batched.forward(np, inputs, shape.matrices(np, flat), masks)[-1]
        return loss.value(np, out, A, w).sum()

    matrices = shape.matrices(np, flat)
    values = batched.forward(np, inputs, matrices, masks)
    slope = loss.slope(np, values[-1], A, w)
    found = batched.backward(np, values, matrices, slope, masks)[0, 0]
    for place in range(shape.size):
        move = np.zeros_like(flat)
        move[..., place] = 1e-6
        numeric = (total(flat + move) - total(flat - move)) / 2e-6
        assert found[place] == pytest.approx(numeric, abs=1e-4)


@pytest.mark.parametrize("kind", ["l1", "ridge"])
def test_the_slope_of_a_penalty_is_that_of_its_norm(kind):
    """Of the absolute values, and of the squares."""
    shape = batched.Shape((3, 4, 2))
    flat = np.random.default_rng(12).normal(size=(1, 2, shape.size))
    alpha = np.array([[0.5], [2.0]])

    def norm(flat):
        total = 0.0
        for matrix in shape.matrices(np, flat):
            weights = matrix[..., :-1, :]  # the bias is the last row
            total += {
                "l1": np.abs(weights).sum(axis=(-1, -2)),
                "ridge": (weights**2).sum(axis=(-1, -2)),
            }[kind]
        return total * alpha[:, 0]

    slope = batched.penalty_slope(np, kind, shape, flat, alpha)
    for place in range(shape.size):
        move = np.zeros_like(flat)
        move[..., place] = 1e-6
        numeric = (norm(flat + move) - norm(flat - move)) / 2e-6
        assert np.allclose(slope[..., place], numeric, atol=1e-5)


def test_the_group_lasso_drops_an_input_that_says_nothing():
    random = np.random.default_rng(13)
    X = random.normal(size=(2000, 4)).astype("f4")
    A = np.sign(X[:, :2]) * np.where(random.random((2000, 2)) < 0.9, 1, -1)
    networks = batched.train(
        X,
        (A[None, None], np.ones((1, 1, 2000, 1))),
        losses.WeightedHamming("logistic", 1, 2),
        outputs=2,
        alphas=[0.05],
        penalty="nodes",
        decay=True,
        engine="numpy",
    )
    weights = networks.shape.matrices(np, networks.flat)[0][0, 0, :-1]
    length = np.linalg.norm(weights, axis=1)
    assert length[2:].max() == 0 < 0.3 < length[:2].min()


@pytest.mark.parametrize("kind", ["lasso", "nodes"])
def test_a_proximal_step_is_the_minimum_it_stands_for(kind):
    """Half the squared distance from where it began, plus rate times the norm."""
    shape = batched.Shape((3, 2))
    random = np.random.default_rng(14)
    flat, alpha = random.normal(size=(1, 1, shape.size)), np.array([[0.8]])
    found = batched.proximal_step(np, kind, shape, flat, 0.5, alpha)

    def objective(new):
        weights = shape.matrices(np, new)[0][..., :-1, :]
        size = np.abs(weights) if kind == "lasso" else np.linalg.norm(weights, axis=-1)
        return ((new - flat) ** 2).sum() / 2 + 0.4 * size.sum()

    best = objective(found)
    for _ in range(300):
        other = found + random.normal(size=flat.shape) * 10 ** random.uniform(-6, 0)
        assert objective(other) >= best
    assert (found[..., -2:] == flat[..., -2:]).all()  # biases stay


def test_a_node_is_dropped_where_its_own_weights_are_too_short_for_their_rates():
    """Each weight has a rate of its own, and one output has short weights only."""
    shape = batched.Shape((4, 2))
    weights = np.array([[0.9, 0.01], [0.7, 0.02], [0.03, 0.02], [0.3, 0.01]])
    rates = np.array([[0.2, 0.1], [0.1, 0.3], [0.2, 0.2], [2.0, 0.1]])
    flat = np.append(weights, [[0.5, 0.6]], axis=0).reshape(1, 1, -1)
    rate = np.append(rates, [[1.0, 1.0]], axis=0).reshape(1, 1, -1)
    alpha = np.array([[0.4]])
    found = batched.proximal_step(np, "nodes", shape, flat, rate, alpha)
    wanted = np.zeros((5, 2))
    wanted[4] = 0.5, 0.6  # biases stay
    for node, (own, rate_of_own) in enumerate(zip(weights, rates, strict=True)):
        if np.hypot(*(own / (0.4 * rate_of_own))) > 1:
            kept = np.maximum(1 - 0.4 * rate_of_own / np.hypot(*own), 0)
            wanted[node] = own * kept
    assert (wanted[:4] == 0).all(axis=1).tolist() == [False, False, True, True]
    np.testing.assert_allclose(found.reshape(5, 2), wanted, rtol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "keras"])
def test_sparse_penalties_set_weights_and_nodes_to_zero(people, engine):
    pytest.importorskip("keras") if engine == "keras" else None
    few = {"hidden": (20,), "steps": 600, "engine": engine}
    zeros = {}
    for penalty, alpha in (("l1", 0.02), ("lasso", 0.02), ("nodes", 0.06)):
        rule = OutcomeWeightedClassifier(penalty=penalty, alpha=alpha, **few)
        fit(rule, people)
        first, second = (
            matrix[0, 0, :-1]
            for matrix in rule.networks_.shape.matrices(np, rule.networks_.flat)
        )
        zeros[penalty] = (first == 0).mean(), (second == 0).all(axis=1).mean()
    assert zeros["l1"][0] == 0 and zeros["lasso"][0] > 0.3
    assert zeros["nodes"][1] > 0.2


def test_dropout_keeps_the_mean_of_what_a_node_says(monkeypatch):
    seen, plain = [], batched.forward
    monkeypatch.setattr(
        batched,
        "forward",
        lambda xp, inputs, matrices, masks=None: (
            seen.extend(masks or []),
            plain(xp, inputs, matrices, masks),
        )[1],
    )
    X, A, w = _problem()
    batched.train(
        X,
        (A[None, None], w[None, None]),
        losses.WeightedHamming("hinge", 1, 3),
        hidden=(50, 30),
        outputs=3,
        dropout=0.2,
        steps=40,
        engine="numpy",
    )
    masks = np.concatenate([mask.ravel() for mask in seen])
    assert set(np.unique(masks).round(4)) == {0, 1.25}
    assert (masks == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert [mask.shape[-1] for mask in seen[:2]] == [50, 30]


def test_the_step_size_falls_along_half_a_cosine():
    sizes = batched.step_sizes(0.01, 200, decay=True, optimiser="sgd")
    assert sizes[0] == 0.01 and sizes[100] == pytest.approx(0.005)
    assert sizes[50] == pytest.approx(0.01 * (1 + 0.5**0.5) / 2)
    assert (np.diff(sizes) < 0).all() and 0 < sizes[-1] < 1e-5
    assert (batched.step_sizes(0.01, 5, optimiser="sgd") == 0.01).all()
    # Adam's moments start at zero; after many steps nothing is left to correct
    adam = batched.step_sizes(0.01, 20_000)
    assert adam[0] == pytest.approx(0.01 * 0.001**0.5 / 0.1)
    assert adam[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("penalty", batched.PENALTIES)
def test_fits_trained_together_equal_fits_trained_alone(penalty):
    X, A, w = _problem()
    loss = losses.WeightedHamming("hinge", 1, 3)
    alphas = (0.1, 0.01, 0.0)
    shape = batched.Shape((4, 7, 3))
    start = shape.initial(np.random.default_rng(1), (1, 3))
    same = {
        "hidden": (7,),
        "outputs": 3,
        "steps": 60,
        "batch_size": 32,
        "penalty": penalty,
        "engine": "numpy",
    }
    rows = A[None, None], w[None, None]
    together = batched.train(X, rows, loss, alphas=alphas, start=start, **same)
    for place, alpha in enumerate(alphas):
        alone = batched.train(
            X,
            rows,
            loss,
            alphas=[alpha],
            start=start[:, place : place + 1],
            **same,
        )
        assert np.allclose(together.flat[:, place], alone.flat[:, 0], atol=2e-5)


def test_data_sets_trained_together_equal_data_sets_trained_alone():
    first, second = _problem(), [array[::-1].copy() for array in _problem()]
    loss = losses.WeightedHamming("hinge", 1, 3)
    start = batched.Shape((4, 3)).initial(np.random.default_rng(1), (2, 1))
    same = {"outputs": 3, "steps": 40, "engine": "numpy"}
    X, A, w = (np.stack(pair) for pair in zip(first, second, strict=True))
    both = batched.train(X, (A[:, None], w[:, None]), loss, start=start, **same)
    for place, (x, a, v) in enumerate((first, second)):
        alone = batched.train(
            x, (a[None, None], v[None, None]), loss, start=start[[place]], **same
        )
        assert np.allclose(both.flat[place], alone.flat[0], atol=1e-5)


@pytest.mark.parametrize("optimiser", batched.OPTIMISERS)
def test_numpy_and_keras_engines_and_a_plain_keras_model_agree(optimiser):
    keras = pytest.importorskip("keras")
    X, A, w = _problem()
    shape = batched.Shape((4, 6, 3))
    start = shape.initial(np.random.default_rng(1), (1, 1))
    order = batched.batches(np.random.default_rng(2), len(X), 50, 12)
    found = {}
    for engine in ("numpy", "keras"):
        found[engine] = batched.train(
            X,
            (A[None, None], w[None, None]),
            losses.WeightedHamming("hinge", 1, 3),
            hidden=(6,),
            outputs=3,
            alphas=[0.01],
            start=start,
            order=order,
            steps=12,
            optimiser=optimiser,
            engine=engine,
        ).flat[0, 0]
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(
                6, "relu", kernel_regularizer=keras.regularizers.L1(0.01)
            ),
            keras.layers.Dense(
                3, "tanh", kernel_regularizer=keras.regularizers.L1(0.01)
            ),
        ]
    )
    model.set_weights(
        [
            part
            for matrix in shape.matrices(np, start[0, 0])
            for part in (matrix[:-1], matrix[-1])
        ]
    )
    used = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[optimiser]
    model.compile(used(0.01), "hinge")
    chosen = order.ravel()
    model.fit(
        X[chosen],
        A[chosen],
        sample_weight=w[chosen, 0],
        batch_size=50,
        shuffle=False,
        verbose=0,
    )
    plain = np.concatenate([part.ravel() for part in model.get_weights()])
    assert np.allclose(found["numpy"], found["keras"], atol=1e-5)
    assert np.allclose(found["numpy"], plain, atol=1e-4)


_ON_JAX = """
import numpy as np
from sudlib.policy import batched, losses
X = np.random.default_rng(1).normal(size=(2, 60, 4)).astype("f4")
A = np.where(X[..., :3] > 0, 1, -1)[:, None]
w = np.random.default_rng(2).normal(size=(2, 1, 60, 1))
one, two = (
    batched.train(X, (A, w), losses.WeightedHamming("hinge", 1, 3), hidden=(6,),
                  outputs=3, alphas=[0.1, 0.001], steps=30, batch_size=20,
                  watch=lambda step, networks: np.full((2, 2), step), watch_every=10,
                  engine=engine)
    for engine in ("numpy", "keras")
)
print(np.abs(one.flat - two.flat).max())
"""


def test_the_compiled_loop_on_jax_takes_the_steps_that_numpy_takes():
    """Stacked data sets and penalties, jitted: the path that a GPU would take."""
    pytest.importorskip("jax")
    import os
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", _ON_JAX],
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout.split()[-1]) < 1e-5


@pytest.mark.parametrize(
    "kind", [OutcomeWeightedClassifier, ContrastNetwork, BoundedEffectsNetwork]
)
def test_a_network_sees_each_person_a_few_times_however_many_there_are(
    kind, people, monkeypatch
):
    base = importlib.import_module("sudlib.policy.base")
    asked, train = [], base.train

    def watched(X, *more, **settings):
        asked.append((np.shape(X)[-2], settings["steps"]))
        return train(X, *more, **settings)

    monkeypatch.setattr(base, "train", watched)
    few = {"hidden": (2,), "steps": 5, "batch_size": 20, "epochs": 3}
    fit(kind(**few), people)
    rows, steps = asked[-1]  # before it a network may have been searched for
    assert rows > 400 and steps == 3 * -(-rows // 20)


def test_every_row_is_used_once_before_any_comes_again():
    order = batched.batches(np.random.default_rng(0), 103, 10, 25)
    assert order.shape == (25, 10)
    for begin in (0, 10):
        assert len(np.unique(order[begin : begin + 10])) == 100


def test_watching_keeps_the_best_weights_of_each_fit():
    X, A, w = _problem()
    seen = []

    def watch(step, networks):
        seen.append(networks.flat.copy())
        return np.array([[-abs(step - 20), -abs(step - 30)]], dtype=float)

    found = batched.train(
        X,
        (A[None, None], w[None, None]),
        losses.WeightedHamming("hinge", 1, 3),
        outputs=3,
        alphas=[0.0, 0.0],
        steps=50,
        watch=watch,
        watch_every=10,
        engine="numpy",
    )
    assert np.array_equal(found.flat[0, 0], seen[1][0, 0])
    assert np.array_equal(found.flat[0, 1], seen[2][0, 1])


# ---------------------------------------------------------------------------- rules


def test_least_squares_comes_to_its_closed_form(people):
    """Without a bound, weighted least squares has one solution: normal equations."""
    rule = OutcomeWeightedClassifier(
        "least squares",
        output="identity",
        weights="shifted",
        alpha=0.0,
        steps=3000,
        batch_size=600,
        decay=True,
        standardise=False,
    )
    fit(rule, people)
    propensity = policy.estimate_propensity(people.X, people.A)
    w = (people.outcome - people.outcome.min()) / propensity
    X1 = np.column_stack([people.X, np.ones(len(w))])
    closed = np.linalg.solve((X1 * w[:, None]).T @ X1, (X1 * w[:, None]).T @ people.A)
    assert np.allclose(rule.decision_function(people.X), X1 @ closed, atol=5e-3)


def test_a_constant_added_to_the_outcome_changes_no_centred_rule(people):
    for rule in (
        OutcomeWeightedClassifier(steps=200),
        ContrastNetwork(1, steps=200),
        BoundedEffectsNetwork(bounds=(1.0,), curvatures=(-0.2,), steps=200),
    ):
        first = fit(clone(rule), people).decision_function(people.X)
        more = clone(rule).fit(people.X, people.A, people.outcome + 8)
        assert np.allclose(first, more.decision_function(people.X), atol=1e-2)


def test_units_of_the_covariates_change_nothing(people):
    moved = people.X * np.arange(1, 7) + 5
    for rule in (OutcomeWeightedClassifier(steps=200), AdditiveQLearner()):
        first = fit(clone(rule), people).decision_function(people.X)
        again = clone(rule).fit(moved, people.A, people.outcome)
        assert np.allclose(first, again.decision_function(moved), atol=1e-2)


def test_ridge_q_is_ridge_regression_on_treatments_times_covariates(people):
    rule = fit(AdditiveQLearner(effect_penalty=4.0, standardise=False), people)
    parts = [people.X]
    for k in range(3):
        half = people.A[:, [k]] / 2
        parts += [half, half * people.X]
    design = np.column_stack(parts).astype(float)
    middle = design - design.mean(axis=0)
    outcome = people.outcome - people.outcome.mean()
    gram = middle.T @ middle + rule.alpha_ * np.eye(middle.shape[1])
    closed = np.linalg.solve(gram, middle.T @ outcome)
    effects = np.column_stack([np.ones(600), people.X]) @ closed[6:].reshape(3, 7).T
    assert np.allclose(2 * rule.decision_function(people.X), effects)


@pytest.mark.parametrize("treatments", [2, 3, 4])
def test_the_best_combination_is_found_by_enumeration(treatments):
    generator = np.random.default_rng(10)
    pairs = list(itertools.combinations(range(treatments), 2))
    effects = generator.normal(size=(20, treatments + len(pairs)))
    for row, found in zip(effects, best_combination(effects, treatments), strict=True):
        best = max(
            itertools.product((-1, 1), repeat=treatments),
            key=lambda a: (
                sum(a[k] * row[k] for k in range(treatments))
                + sum(
                    a[i] * a[j] * row[treatments + n] for n, (i, j) in enumerate(pairs)
                )
            ),
        )
        assert tuple(found) == best


def test_one_against_one_trains_each_pair_as_if_it_were_alone():
    """All pairs in one product, against one network a pair on the same rows."""
    generator = np.random.default_rng(11)
    every = combinations(2)
    A = np.repeat(every, 8, axis=0)
    X = generator.normal(size=(32, 3)).astype("f4")
    outcome = generator.normal(size=32)
    rule = OneAgainstOne(steps=30, batch_size=8, standardise=False, alpha=0.01)
    rule.fit(X, A, outcome)
    for place, (first, second) in enumerate(rule.pairs_):
        inside = np.isin(combination_number(A), (first, second))
        side = np.where(combination_number(A) == first, 1.0, -1.0)
        alone = batched.train(
            X[inside],
            (
                side[inside][None, None, :, None],
                outcome[inside][None, None, :, None] * 4,
            ),
            losses.WeightedHamming("hinge", 1, 1, "identity"),
            outputs=1,
            alphas=[0.01],
            start=np.zeros((1, 1, 4), "f4"),
            steps=30,
            batch_size=16,
            engine="numpy",
        )
        assert np.allclose(rule.coef_[0, place], alone.flat[0, 0], atol=1e-4)


def test_one_against_one_has_496_rules_for_five_treatments():
    world = simulation.draw_truth("right", 1)
    sample = simulation.draw(world, 400, 2)
    rule = fit(OneAgainstOne(steps=5), sample)
    assert rule.coef_.shape == (1, 496, 31)
    assert set(np.unique(rule.predict(sample.X))) <= {-1, 1}


def test_the_networks_beat_chance_and_ours_beats_the_study():
    world = simulation.draw_truth("right", 5)
    train, test = simulation.draw(world, 3000, 6), simulation.draw(world, 5000, 7)
    found = {}
    for name, rule in {
        "study": OutcomeWeightedClassifier(hidden=(45,), steps=600),
        "ours": ContrastNetwork(1, steps=600, members=2),
        "bounded": BoundedEffectsNetwork(steps=600, members=2),
    }.items():
        advice = fit(rule, train).predict(test.X)
        found[name] = simulation.score(advice, test.best, test.outcomes)["adjusted_mcr"]
    assert found["bounded"] < found["ours"] < found["study"] < 0.35


@pytest.mark.parametrize("curvature", [-0.3, 0.0, 0.3])
def test_the_curvature_of_a_known_curve_is_found(curvature):
    """The grid holds the true curvature (in outcome units) and wrong ones beside it."""
    random = np.random.default_rng(3)
    X, A = random.normal(size=(4000, 4)), random.choice([-1, 1], (4000, 3))
    effects = np.where(X[:, :3] > 0, 2.0, -2.0)
    total = ((A > 0) * effects).sum(axis=1)
    outcome = total + curvature * total**2
    size = outcome.std()
    rule = BoundedEffectsNetwork(
        bounds=(2.0 / size, 8.0 / size),
        curvatures=tuple(q * size for q in (-0.3, 0.0, 0.3)),
        steps=800,
        members=1,
    ).fit(X, A, outcome)
    # the standard deviation is that of the four fifths it learns from
    assert rule.curvature_ == pytest.approx(curvature, rel=0.05)
    assert rule.bound_ == pytest.approx(2.0, rel=0.05)
    assert rule.errors_.shape == (2, 3)
    every = combinations(3)
    sums = effects @ (every > 0).T
    best = (sums + curvature * sums**2).max(axis=1)
    mine = ((rule.predict(X) > 0) * effects).sum(axis=1)
    assert np.isclose(mine + curvature * mine**2, best).mean() > 0.9


def test_bounded_effects_of_both_engines_agree(people):
    pytest.importorskip("keras")
    few = {"hidden": (5,), "steps": 12, "members": 2, "bounds": (0.5, 4.0)}
    rules = [
        fit(BoundedEffectsNetwork(engine=engine, **few), people)
        for engine in ("numpy", "keras")
    ]
    assert np.allclose(rules[0].errors_, rules[1].errors_, rtol=1e-4)
    first, second = (rule.decision_function(people.X) for rule in rules)
    assert np.allclose(first, second, atol=1e-4)


def test_no_effect_is_larger_than_its_bound(people):
    rule = fit(BoundedEffectsNetwork(bounds=(0.2,), steps=300), people)
    assert rule.bound_ == pytest.approx(0.2 * people.outcome.std(), rel=0.1)
    assert np.abs(rule.decision_function(people.X)).max() <= rule.bound_


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"bounds": ()}, "bounds must be numbers above 0"),
        ({"bounds": (1.0, 0.0)}, "bounds must be numbers above 0"),
        ({"curvatures": ()}, "curvatures must be numbers"),
        ({"curvatures": (0.0, np.nan)}, "curvatures must be numbers"),
        ({"search": 0}, "search must be a number above 0"),
    ],
)
def test_bounds_and_curvatures_that_make_no_sense_are_refused(wrong, says, people):
    with pytest.raises(InputError, match=says):
        fit(BoundedEffectsNetwork(**wrong), people)


def test_value_is_the_weighted_mean_of_those_treated_as_advised(people):
    rule = fit(OutcomeWeightedClassifier(steps=50), people)
    propensity = np.random.default_rng(0).uniform(0.05, 0.9, len(people.X))
    total = weight = 0.0
    for a, d, r, p in zip(
        people.A, rule.predict(people.X), people.outcome, propensity, strict=True
    ):
        if tuple(a) == tuple(d):
            total, weight = total + r / p, weight + 1 / p
    found = rule.value(people.X, people.A, people.outcome, propensity)
    assert found == pytest.approx(total / weight)


def test_of_several_penalties_the_best_gain_is_kept(people):
    rule = OutcomeWeightedClassifier(alpha=(100.0, 0.001), steps=300)
    fit(rule, people)
    assert rule.alpha_ == 0.001
    assert rule.gains_[1] > rule.gains_[0]
    assert np.array_equal(rule.predict(people.X), rule.with_alpha(1)(people.X))


# ------------------------------------------------------------------ outcome weights


@pytest.fixture(scope="module")
def confounded():
    """Unbalanced treatments that go with a strong main effect; X, A, outcome."""
    random = np.random.default_rng(15)
    X = random.normal(size=(800, 2))
    chance = 1 / (1 + np.exp(-(X + [1.0, -1.0])))
    A = np.where(random.random((800, 2)) < chance, 1, -1)
    return X, A, 5 + 10 * X[:, 0] + A[:, 0] + 0.5 * random.normal(size=800)


def test_weights_are_outcomes_less_a_baseline_by_the_propensity(confounded):
    X, A, outcome = confounded
    propensity = np.random.default_rng(0).uniform(0.1, 0.9, 800)
    for how, baseline in (
        ("raw", 0),
        ("shifted", outcome.min()),
        ("centred", outcome.mean()),
    ):
        targets, weights = policy.outcome_weights(X, A, outcome, propensity, how)
        assert np.array_equal(targets, A) and weights.shape == (800, 1)
        assert np.allclose(weights[:, 0] * propensity + baseline, outcome)


def test_residual_weights_are_what_covariates_do_not_explain(confounded):
    """Effect and noise are left; the main effect is ten times as large."""
    X, A, outcome = confounded
    residual = policy.outcome_weights(X, A, outcome, 0.5, "residual")[1][:, 0] / 2
    design = np.column_stack([np.ones(800), X])
    plain = outcome - design @ np.linalg.lstsq(design, outcome, rcond=None)[0]
    assert np.corrcoef(residual, plain)[0, 1] > 0.99
    assert residual.std() == pytest.approx(plain.std(), rel=0.05)
    # of other folds: no person's own outcome is in the baseline
    changed = outcome.copy()
    changed[7] += 1000
    again = policy.outcome_weights(X, A, changed, 0.5, "residual")[1][:, 0] / 2
    assert again[7] - residual[7] == pytest.approx(1000)


def test_augmented_weights_are_the_sizes_of_the_contrasts(confounded):
    X, A, outcome = confounded
    targets, weights = policy.outcome_weights(X, A, outcome, 0.3, "augmented", 5)
    contrasts = policy.doubly_robust_contrasts(X, A, outcome, 0.3, 5)
    assert np.allclose(targets * weights, contrasts) and (weights >= 0).all()


def test_a_rare_combination_does_not_keep_the_propensity_from_settling(recwarn):
    random = np.random.default_rng(5)
    X = random.normal(size=(400, 6)) * 10.0 ** np.arange(-2, 4)
    A = np.where(random.random((400, 3)) < (0.9, 0.5, 0.05), 1, -1)
    chance = policy.estimate_propensity(X, A, "multinomial")
    assert ((chance > 0) & (chance < 1)).all()
    assert not [w for w in recwarn if "converge" in str(w.message)]


def test_doubly_robust_contrasts_average_to_the_true_effects():
    world = simulation.draw_truth("right", 12, p=6, nodes=8, treatments=3)
    sample = simulation.draw(world, 8000, 13)
    found = policy.doubly_robust_contrasts(
        sample.X, sample.A, sample.outcome, np.full(8000, 1 / 8)
    )
    error = found.std(axis=0) / np.sqrt(8000)
    gap = found.mean(axis=0) - world.effects(sample.X).mean(axis=0)
    assert (np.abs(gap) < 4 * error).all()


# ------------------------------------------------------------------------ bad input


def _broken(people, **changes):
    return {"X": people.X, "y": people.A, "outcome": people.outcome} | changes


def _nan(array):
    array = np.array(array, dtype=float)
    array[3] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {"outcome": _nan(s.outcome)}, "row 3 has nan"),
        (lambda s: {"outcome": s.outcome[:9]}, "same length, not 600 and 600"),
        (lambda s: {"y": np.where([[True] * 3], s.A, s.A) * 2}, "coded -1 and"),
        (lambda s: {"y": np.column_stack([s.A[:, :2], np.ones(600)])}, "to everybody"),
        (lambda s: {"y": np.column_stack([s.A[:, :2], -np.ones(600)])}, "to nobody"),
        (lambda s: {"y": s.A[:10]}, "same length, not 600 and 10"),
        (lambda s: {"X": _nan(s.X)}, "impute"),
        (lambda s: {"propensity": np.zeros(600)}, "above 0 and at most 1"),
        (lambda s: {"propensity": np.full(600, 1.5)}, "above 0 and at most 1"),
    ],
)
@pytest.mark.parametrize(
    "rule", [OutcomeWeightedClassifier(), OneAgainstOne(), AdditiveQLearner()]
)
def test_bad_people_are_refused_with_a_reason(rule, change, said, people):
    with pytest.raises(InputError, match=said):
        clone(rule).fit(**_broken(people, **change(people)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": "0-1"}, "hinge"),
        ({"order": 4}, "from 1 to 3"),
        ({"order": 0}, "from 1 to 3"),
        ({"output": "relu"}, "tanh"),
        ({"weights": "squared"}, "residual"),
        ({"propensity": "forest"}, "multinomial"),
        ({"penalty": "l3"}, "lasso"),
        ({"engine": "gpu"}, "numpy"),
        ({"optimiser": "lbfgs"}, "adam"),
    ],
)
def test_unknown_choices_name_the_allowed_ones(changes, said, people):
    with pytest.raises(InputError, match=said):
        fit(OutcomeWeightedClassifier(steps=2, **changes), people)


@pytest.mark.parametrize("treatments", [0, 13, True, 2.0])
def test_enumerating_needs_1_to_12_treatments(treatments):
    with pytest.raises(InputError, match="from 1 to 12"):
        combinations(treatments)


@pytest.mark.parametrize(
    "rule",
    [
        OutcomeWeightedClassifier(steps=300),
        OneAgainstOne(steps=300),
        AdditiveQLearner(),
        AdditiveQLearner(pairs=True),
        ContrastNetwork(steps=200, members=1),
        BoundedEffectsNetwork(steps=400, members=1, alpha=0.5),
    ],
)
def test_one_treatment_can_be_learned(rule):
    generator = np.random.default_rng(14)
    X, A = generator.normal(size=(80, 2)), generator.choice([-1, 1], (80, 1))
    outcome = A[:, 0] * X[:, 0]
    rule = clone(rule).fit(X, A, outcome)
    assert (rule.predict(X)[:, 0] == np.sign(X[:, 0])).mean() > 0.85


def test_treatments_coded_0_and_1_are_read_and_said(people):
    rule = OutcomeWeightedClassifier(steps=20)
    first = fit(clone(rule), people).predict(people.X)
    with pytest.warns(UserWarning, match="read as -1"):
        again = clone(rule).fit(people.X, people.A > 0, people.outcome)
    assert np.array_equal(first, again.predict(people.X))


# ---------------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize(
    "rule",
    [
        OutcomeWeightedClassifier(),
        OneAgainstOne(),
        AdditiveQLearner(),
        ContrastNetwork(),
        BoundedEffectsNetwork(),
    ],
)
@pytest.mark.parametrize(
    "check",
    [
        "check_parameters_default_constructible",
        "check_no_attributes_set_in_init",
        "check_get_params_invariance",
        "check_set_params",
        "check_estimator_repr",
    ],
)
def test_scikit_learns_checks_that_need_no_outcome(rule, check):
    getattr(estimator_checks, check)(type(rule).__name__, clone(rule))


def test_fitting_twice_gives_the_same_and_changes_no_input(people):
    before = [people.X.copy(), people.A.copy(), people.outcome.copy()]
    rule = OutcomeWeightedClassifier(hidden=(5,), steps=50, members=2)
    params = rule.get_params()
    first = fit(rule, people).decision_function(people.X)
    assert np.array_equal(first, fit(rule, people).decision_function(people.X))
    assert rule.get_params() == params
    after = people.X, people.A, people.outcome
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    assert rule.n_features_in_ == 6


def test_a_rule_that_is_not_fitted_says_so(people):
    from sklearn.exceptions import NotFittedError

    for rule in (OutcomeWeightedClassifier(), OneAgainstOne(), AdditiveQLearner()):
        with pytest.raises(NotFittedError):
            rule.predict(people.X)


def test_a_rule_refuses_other_covariates_than_it_learned(people):
    rule = fit(OutcomeWeightedClassifier(steps=5), people)
    with pytest.raises(ValueError, match="features"):
        rule.predict(people.X[:, :3])


def test_restarting_from_given_weights_uses_them(people):
    shape = batched.Shape((6, 3))
    start = np.full((1, shape.size), 0.5, "f4")
    rule = fit(
        OutcomeWeightedClassifier(steps=0, start=start, standardise=False), people
    )
    raw = 0.5 * people.X.sum(axis=1, keepdims=True) + 0.5
    assert np.allclose(rule.decision_function(people.X), np.tanh(raw), atol=1e-5)


def test_training_that_diverges_says_so(people):
    rule = OutcomeWeightedClassifier(
        "exponential", output="identity", optimiser="sgd", learning_rate=10.0
    )
    with pytest.raises(InputError, match="diverged"):
        fit(rule, people)
