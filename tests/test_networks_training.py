"""Training: reproducible, the same on every backend, and not lost by a kill."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sudlib.files import InputError

keras = pytest.importorskip("keras")

from network_task import codes, completed, fit, network, watch  # noqa: E402

from sudlib.networks import compiled, devices, training  # noqa: E402
from sudlib.networks.batches import Batches  # noqa: E402

#: What every child process begins with.
BEGIN = """
import json, sys
import numpy as np
import keras
from network_task import codes, completed, fit, network, numbers, watch
from sudlib.networks import training
from sudlib.networks.training import Recipe, train
"""


def child(script, *arguments, backend="jax", devices=1, start=False):
    """Run a script in a process of its own; return what it printed last."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(Path(__file__).parent),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-c", BEGIN + textwrap.dedent(script), *arguments]
    if start:
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def close(ours, theirs, tolerance=1e-5):
    return all(
        np.allclose(a, b, rtol=0, atol=tolerance)
        for a, b in zip(ours, theirs, strict=True)
    )


class TestRecipe:
    @pytest.mark.parametrize(
        "wrong, word",
        [
            ({"optimizer": "sgd"}, "adamw"),
            ({"schedule": "linear"}, "cosine"),
            ({"precision": "float16"}, "mixed_bfloat16"),
            ({"epochs": 0}, "epochs"),
            ({"batch_size": 2.5}, "batch_size"),
            ({"learning_rate": 0}, "learning_rate"),
            ({"weight_decay": 0.1}, "adamw"),
        ],
    )
    def test_says_what_is_allowed(self, wrong, word):
        with pytest.raises(InputError, match=word):
            training.Recipe(**wrong)

    def test_is_the_studys_when_nothing_is_said(self):
        recipe = training.Recipe()
        assert (recipe.epochs, recipe.batch_size, recipe.patience) == (15, 32, 5)
        assert recipe.optimizer == "adam" and recipe.learning_rate == 1e-3

    def test_weight_decay_and_schedule_reach_the_optimizer(self):
        recipe = training.Recipe(
            epochs=3,
            learning_rate=0.02,
            optimizer="adamw",
            weight_decay=0.05,
            schedule="cosine",
        )
        optimizer = training._optimizer(recipe, steps=10)
        assert isinstance(optimizer, keras.optimizers.AdamW)
        assert optimizer.weight_decay == 0.05
        rates = [float(optimizer._learning_rate(step)) for step in (0, 10, 15, 30)]
        assert rates == pytest.approx([0.02, 0.015, 0.01, 0], abs=1e-8)

    @pytest.mark.parametrize("wrong", [-0.1, np.nan, "much"])
    def test_weight_decay_is_a_number_from_zero(self, wrong):
        with pytest.raises(InputError, match="weight_decay"):
            training.Recipe(optimizer="adamw", weight_decay=wrong)


class TestSplitValidation:
    def test_has_the_studys_sizes(self):
        train, watched = training.split_validation(np.arange(435_974))
        assert (len(train), len(watched)) == (305_182, 130_792)

    def test_of_the_methadone_experiment_too(self):
        train, watched = training.split_validation(np.arange(8_365))
        assert (len(train), len(watched)) == (5_856, 2_509)

    def test_keeps_every_row_once(self):
        rows = np.arange(100) * 7
        assert set(np.concatenate(training.split_validation(rows))) == set(rows)

    def test_needs_rows(self):
        with pytest.raises(InputError, match="at least 4"):
            training.split_validation([1, 2, 3])


class TestBatches:
    def test_every_row_comes_once_an_epoch(self):
        rows = Batches(codes, completed, batch_size=50, seed=3)
        for epoch in (0, 1):
            rows.epoch = epoch
            seen = np.concatenate([rows[k][0] for k in range(rows.num_batches)])
            assert sorted(map(tuple, seen)) == sorted(map(tuple, codes))

    def test_order_hangs_on_seed_and_epoch_alone(self):
        first = Batches(codes, completed, batch_size=50, seed=3)
        again = Batches(codes, completed, batch_size=50, seed=3)
        first.epoch = again.epoch = 5
        assert (first.order() == again.order()).all()
        again.epoch = 6
        assert (first.order() != again.order()).any()

    def test_travel_as_small_integers(self):
        batch, outcome = Batches(codes, completed, batch_size=32)[0]
        assert batch.dtype == np.uint8 and batch.nbytes == 32 * 28
        assert outcome.shape == (32, 1)

    def test_shared_batches_are_multiples(self):
        rows = Batches(codes[:101], completed[:101], batch_size=15, multiple=4)
        sizes = [len(rows[k][0]) for k in range(rows.num_batches)]
        assert all(size % 4 == 0 for size in sizes) and sum(sizes) == 100

    def test_given_rows_come_in_their_order_or_are_shuffled_among_themselves(self):
        chosen = np.array([7, 3, 3, 600])
        batch, outcome = Batches(codes, completed, batch_size=9, rows=chosen)[0]
        assert (batch == codes[chosen]).all()
        assert (outcome[:, 0] == completed[chosen]).all()
        shuffled = Batches(codes, batch_size=9, rows=chosen, seed=1).order()
        assert sorted(shuffled) == sorted(chosen)


@pytest.mark.parametrize(
    "error, is_memory",
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), True),
        (type("ResourceExhaustedError", (Exception,), {})("OOM"), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), True),
        (RuntimeError("INVALID_ARGUMENT"), False),
        (ValueError("of memory"), False),
    ],
)
def test_lack_of_memory_is_known_by_every_backends_words(error, is_memory):
    assert devices.is_out_of_memory(error) == is_memory


def test_without_ipywidgets_a_notebook_is_not_told_of_its_bar():
    """As tqdm sees a notebook, and as one without ipywidgets is."""
    script = (
        "import sys, ipykernel.zmqshell\nsys.modules['ipywidgets'] = None\nimport {}\n"
    )
    for module, told in (("tqdm.keras", True), ("sudlib.networks.training", False)):
        command = [sys.executable, "-c", script.format(module)]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ("IProgress" in said.stderr) is told


def test_the_device_count_is_the_product_of_the_mesh():
    mesh = type("Mesh", (), {"shape": (2, 3)})
    assert devices.count_replicas(None) == 1
    assert devices.count_replicas(type("D", (), {"device_mesh": mesh})()) == 6
    assert devices.count_replicas(type("D", (), {"num_replicas_in_sync": 4})()) == 4


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_xla_is_used_where_it_is_faster(backend, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    for gpu in (False, True):
        monkeypatch.setattr(devices, "has_gpu", lambda gpu=gpu: gpu)
        alone = {"tensorflow": gpu, "jax": True, "torch": False}[backend]
        assert devices.use_xla() == alone
        assert devices.use_xla(2) == (backend == "jax")


class TestEpochs:
    """What is done, best, and stopped follows from the history alone."""

    def epochs(self, folder, losses, patience=2):
        epochs = training._Epochs(folder, Batches(codes, batch_size=9), patience)
        name = "val_loss" if losses[0] is not None else "loss"
        epochs.history = [{name: loss if loss else 1.0} for loss in losses]
        epochs.done = len(losses)
        return epochs

    @pytest.mark.parametrize(
        "losses, best, stopped",
        [
            ([3, 2, 1], 3, False),
            ([1, 2], 1, False),
            ([1, 2, 3], 1, True),
            ([2, 1, 1, 1], 2, True),  # as low is not lower
            ([None, None, None, None], 4, False),  # nothing is validated
        ],
    )
    def test_best_and_end(self, tmp_path, losses, best, stopped):
        epochs = self.epochs(tmp_path, losses)
        assert epochs.best() == best and epochs.has_stopped() == stopped

    def test_only_epochs_whose_weights_were_saved_count(self, tmp_path):
        losses = [0.1 + 0.2, np.nextafter(0.2, 1), 0.1]  # read to the last bit
        pd.DataFrame({"epoch": [1, 2, 3], "loss": losses}).to_csv(
            tmp_path / "history.csv", index=False
        )
        (tmp_path / "epoch_0002.npz").touch()
        epochs = training._Epochs(tmp_path, Batches(codes, batch_size=9), 5)
        assert epochs.done == 2 and epochs.table()["loss"].tolist() == losses[:2]
        assert epochs.table().index.tolist() == [1, 2]


def fingerprint(model, arrays, recipe, seed):
    return compiled.fingerprint(model, arrays, asdict(recipe), seed)


@pytest.mark.parametrize("row", [0, 1, 77, -1])
@pytest.mark.parametrize(
    "change",
    ["weights", "dropout", "recipe", "seed", "types"]
    + ["inputs", "outcome", "validation", "its outcome"],
)
def test_the_fingerprint_of_a_training_holds_all_that_decides_its_end(change, row):
    model, recipe, seed = network(), training.Recipe(), 3
    arrays = [*fit, *watch]
    key = fingerprint(model, arrays, recipe, seed)
    assert key == fingerprint(network(), arrays, training.Recipe(), 3)
    inputs, outcome, watched, seen = (part.copy() for part in arrays)
    if change == "weights":
        model = network(seed=2)
    elif change == "dropout":
        model = network(dropout=0.4)
    elif change == "recipe":
        recipe = training.Recipe(patience=6)
    elif change == "seed":
        seed = 4
    elif change == "types":
        outcome = outcome.astype("int8")
    else:
        part = {"inputs": inputs, "outcome": outcome, "validation": watched}
        part.get(change, seen)[row] = 1 - part.get(change, seen)[row]
    assert key != fingerprint(model, (inputs, outcome, watched, seen), recipe, seed)


def test_not_one_row_or_outcome_of_many_can_change_unnoticed():
    """More rows than a block, and more than any sample of a thousand would take."""
    inputs, outcome = np.zeros((9_000, 28), "uint8"), np.zeros(9_000, int)
    model, recipe = network(), training.Recipe()
    key = fingerprint(model, (inputs, outcome), recipe, 3)
    reversed_ = np.where(np.arange(9_000) % 9, 1, 0)  # all but those of a sample
    assert key != fingerprint(model, (inputs, reversed_), recipe, 3)
    for row in (1, 4_095, 4_096, 8_999):
        for part in (inputs, outcome):
            part[row] += 1
            assert key != fingerprint(model, (inputs, outcome), recipe, 3)
            part[row] -= 1
    assert key == fingerprint(model, (inputs, outcome), recipe, 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network, how its training went, and the folder."""
    folder = tmp_path_factory.mktemp("training") / "run"
    model = network()
    recipe = training.Recipe(epochs=6, learning_rate=0.02, patience=2)
    found = training.train(
        model, *fit, validation_data=watch, recipe=recipe, folder=folder
    )
    return model, found, folder, recipe


class TestTrain:
    def test_the_same_seed_gives_the_same_weights(self, trained):
        model, _, _, recipe = trained
        again = network()
        training.train(again, *fit, validation_data=watch, recipe=recipe)
        assert close(model.get_weights(), again.get_weights(), 1e-6)

    def test_learns(self, trained):
        history = trained[1].history
        assert history["val_loss"].min() < history["val_loss"].iloc[0]
        assert list(history.columns) == ["loss", "val_loss", "seconds"]

    def test_puts_the_best_weights_back(self, trained):
        model, found, _, _ = trained
        score = training.probabilities(model, watch[0])
        truth = watch[1]
        lost = -np.mean(truth * np.log(score) + (1 - truth) * np.log(1 - score))
        best = found.history["val_loss"]
        assert found.best_epoch == best.idxmin()
        assert lost == pytest.approx(best.min(), abs=1e-5)

    def test_resumes_where_it_was_with_early_stopping(self, trained, tmp_path):
        """As after a kill: the first two epochs are there, the others are gone."""
        model, found, folder, recipe = trained
        short = tmp_path / "run"
        real = keras.Model.fit

        def killed(self, *given, **options):
            return real(self, *given, **{**options, "epochs": 2})

        again = network()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keras.Model, "fit", killed)
            training.train(
                network(), *fit, validation_data=watch, recipe=recipe, folder=short
            )
        assert len(list(short.glob("epoch_0002*"))) == 1
        resumed = training.train(
            again, *fit, validation_data=watch, recipe=recipe, folder=short
        )
        for name in ("loss", "val_loss"):
            assert np.allclose(resumed.history[name], found.history[name], atol=1e-6)
        assert resumed.best_epoch == found.best_epoch
        assert close(model.get_weights(), again.get_weights(), 1e-6)

    def test_counts_the_pictures(self, trained):
        _, found, _, _ = trained
        epochs = len(found.history)
        assert found.images == epochs * 480 and found.validation_images == epochs * 240

    def test_keeps_the_history_as_csv(self, trained):
        _, found, folder, _ = trained
        lines = pd.read_csv(folder / "history.csv")
        assert lines["val_loss"].tolist() == found.history["val_loss"].tolist()

    def test_a_finished_training_is_not_done_again(self, trained):
        model, found, folder, recipe = trained
        other = network()
        again = training.train(
            other, *fit, validation_data=watch, recipe=recipe, folder=folder
        )
        assert close(model.get_weights(), other.get_weights(), 0)
        assert again.history.equals(found.history)

    def test_the_folder_of_another_training_is_not_trusted(
        self, trained, tmp_path, capsys
    ):
        shutil.copytree(trained[2], tmp_path / "run")
        short = training.Recipe(epochs=2)
        found = training.train(network(), *fit, recipe=short, folder=tmp_path / "run")
        assert "trained again" in capsys.readouterr().out
        # Without watched rows the last epoch stands.
        assert len(found.history) == found.best_epoch == 2
        assert "val_loss" not in found.history and found.validation_images == 0

    def test_stops_when_the_watched_loss_rises(self):
        noise = np.random.default_rng(1).integers(0, 2, 480)
        recipe = training.Recipe(epochs=40, learning_rate=0.05, patience=2)
        found = training.train(
            network(dropout=0.0),
            codes[:480],
            noise,
            validation_data=watch,
            recipe=recipe,
        )
        assert found.best_epoch == len(found.history) - 2 < 38

    def test_computes_in_sixteen_bits_when_asked_and_not_after(self):
        seen = []

        class Spy(keras.layers.Layer):
            def call(self, x):
                seen.append(keras.backend.standardize_dtype(x.dtype))
                return x

        given = keras.Input((28,), dtype="uint8")
        x = keras.layers.Rescaling(0.1)(given)
        x = Spy(dtype="float32", autocast=False)(keras.layers.Dense(8)(x))
        model = keras.Model(given, keras.layers.Dense(1)(x))
        recipe = training.Recipe(epochs=1, precision="mixed_bfloat16")
        seen.clear()
        found = training.train(model, *fit, validation_data=watch, recipe=recipe)
        assert set(seen) == {"bfloat16"} and np.isfinite(found.history["loss"]).all()
        assert {weight.dtype for weight in model.weights} == {"float32"}
        seen.clear()
        with devices.precision(model, "mixed_bfloat16"):
            training.probabilities(model, codes[:10])
        assert set(seen) == {"bfloat16"}
        seen.clear()
        training.probabilities(model, codes[:10])
        assert set(seen) == {"float32"}

    def test_an_error_that_is_not_memory_is_not_hidden(self, monkeypatch):
        def broken(*_, **__):
            raise ValueError("something else")

        monkeypatch.setattr(keras.Model, "fit", broken)
        with pytest.raises(ValueError, match="something else"):
            training.train(network(), *fit)

    def test_a_sigmoid_at_the_end_is_refused(self):
        given = keras.Input((28,))
        model = keras.Model(given, keras.layers.Dense(1, activation="sigmoid")(given))
        with pytest.raises(InputError, match="must end in a logit"):
            training.train(model, *fit)

    @pytest.mark.parametrize(
        "inputs, outcome, word",
        [
            (codes[:5], completed[:4], "length"),
            (codes[:0], completed[:0], "must have rows"),
            (codes[:5], np.arange(5), "0 or 1"),
        ],
    )
    def test_wrong_rows_are_refused(self, inputs, outcome, word):
        with pytest.raises(InputError, match=word):
            training.train(network(), inputs, outcome)

    def test_an_unknown_distribution_is_refused(self):
        with pytest.raises(InputError, match="distribution"):
            training.train(network(), *fit, distribution="all of them")


def test_probabilities_do_not_hang_on_the_batch(trained):
    model = trained[0]
    whole = training.probabilities(model, codes, 720)
    assert np.allclose(whole, training.probabilities(model, codes, 77), atol=1e-6)
    assert whole.shape == (720,) and len(training.probabilities(model, codes[:0])) == 0


FULL = """
import numpy as np
real = keras.Model.fit
sizes = []

class Full(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 3 and self.model.optimizer.iterations > 6:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

def fit_once(self, rows, **options):
    sizes.append(rows.batch_size)
    if len(sizes) == 1:
        options["callbacks"] = [*options["callbacks"], Full()]
    return real(self, rows, **options)
"""


@pytest.mark.slow
def test_a_batch_out_of_memory_is_halved_once_said_and_goes_on(monkeypatch, capsys):
    space = {"keras": keras}
    exec(FULL, space)
    monkeypatch.setattr(keras.Model, "fit", space["fit_once"])
    recipe = training.Recipe(epochs=3, batch_size=60, schedule="cosine")
    model = network()
    found = training.train(model, *fit, validation_data=watch, recipe=recipe)
    assert space["sizes"] == [60, 30] and found.batch_size == 30
    assert "batches of 30" in capsys.readouterr().out
    assert len(found.history) == 3  # the first epoch was kept
    trained = compiled.twin(model, "training")  # which carries the optimizer
    assert int(trained.optimizer.iterations.numpy()) == 3 * 16


def test_out_of_memory_twice_is_an_error(monkeypatch):
    def full(*_, **__):
        raise MemoryError("no memory")

    monkeypatch.setattr(keras.Model, "fit", full)
    with pytest.raises(MemoryError):
        training.train(network(), *fit)


JAX = (
    FULL
    + """
recipe = Recipe(epochs=2, batch_size=96, learning_rate=0.01)
found = {}
target, logit = np.array([[0.0], [1.0], [1.0]]), np.array([[0.3], [-2.0], [4.0]])
found["loss"] = float(training.loss()(target, logit))
slip = keras.losses.BinaryCrossentropy(from_logits=True)
found["slip"] = float(slip(target, keras.ops.sigmoid(logit)))
keras.Model.fit = fit_once
model = network()
halved = train(model, *fit, validation_data=watch, recipe=recipe)
found["halved"] = [sizes, halved.batch_size, len(halved.history)]
print(json.dumps(found))
"""
)


@pytest.fixture(scope="module")
def on_jax():
    pytest.importorskip("jax", reason="JAX is not installed")
    return child(JAX)


class TestOnJax:
    def test_a_batch_out_of_memory_is_halved(self, on_jax):
        assert on_jax["halved"] == [[96, 48], 48, 2]


class TestFromLogits:
    """The trap: the published words mean two things, ours one."""

    target = np.array([[0.0], [1.0], [1.0]], "float32")
    logit = np.array([[0.3], [-2.0], [4.0]], "float32")

    def by_hand(self, score):
        logs = self.target * np.log(score) + (1 - self.target) * np.log(1 - score)
        return -logs.mean()

    def slip(self):
        given = keras.ops.sigmoid(keras.ops.convert_to_tensor(self.logit))
        return float(
            keras.losses.BinaryCrossentropy(from_logits=True)(self.target, given)
        )

    def test_our_loss_is_the_cross_entropy_on_every_backend(self, on_jax):
        score = 1 / (1 + np.exp(-self.logit))
        for ours in (float(training.loss()(self.target, self.logit)), on_jax["loss"]):
            assert ours == pytest.approx(self.by_hand(score), abs=1e-6)

    def test_jax_puts_a_sigmoid_on_the_sigmoid(self, on_jax):
        score = 1 / (1 + np.exp(-1 / (1 + np.exp(-self.logit))))
        assert on_jax["slip"] == pytest.approx(self.by_hand(score), abs=1e-6)

    def test_two_sigmoids_have_a_floor(self):
        certain = np.where(self.target == 1, 50.0, -50.0)
        score = 1 / (1 + np.exp(-1 / (1 + np.exp(-certain))))
        assert training.loss_floor(2 / 3) == pytest.approx(self.by_hand(score))
        # What the notes on the published logs say, at their two base rates.
        assert training.loss_floor(0.38) == pytest.approx(0.5488, abs=5e-5)
        assert training.loss_floor(0.20) == pytest.approx(0.6172, abs=5e-5)

    @pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="this process has no TensorFlow"
    )
    def test_tensorflow_takes_the_sigmoid_off_again(self, on_jax):
        score = 1 / (1 + np.exp(-self.logit))
        assert self.slip() == pytest.approx(self.by_hand(score), abs=1e-6)
        assert abs(self.slip() - on_jax["slip"]) > 0.05


LONG = """
recipe = Recipe(
    epochs=20, learning_rate=0.01, optimizer="adamw", schedule="cosine",
    weight_decay=0.01, patience=19,
)
def run(folder):
    model = network()
    found = train(model, *fit, validation_data=watch, recipe=recipe, folder=folder)
    return numbers(model), found.history.drop(columns="seconds").to_dict("list")
"""


@pytest.mark.slow
def test_training_goes_on_after_a_real_kill(tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed")
    folder = tmp_path / "killed"
    process = child(LONG + "run(sys.argv[1])", str(folder), start=True)
    wait_for_epochs(process, folder / "history.csv", 5)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(pd.read_csv(folder / "history.csv"))
    assert 5 <= done < 20 and list(folder.glob("epoch_*.npz"))
    both = child(
        LONG + "print(json.dumps([run(path) for path in sys.argv[1:]]))",
        *(str(folder), str(tmp_path / "undisturbed")),
    )
    (resumed, its_history), (undisturbed, history) = both
    assert resumed == undisturbed
    assert its_history == history and len(history["loss"]) == 20


def wait_for_epochs(process, path, epochs):
    for _ in range(6000):
        if path.exists() and len(path.read_text().splitlines()) > epochs:
            return
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    raise AssertionError("it did not start in 30 s")


PARALLEL = """
devices = keras.distribution.list_devices()
recipe = Recipe(epochs=2, batch_size=96, learning_rate=0.01)
def run(distribution=None):
    model = network()
    history = train(
        model, *fit, validation_data=watch, recipe=recipe, distribution=distribution
    )
    return numbers(model), history.history["val_loss"].tolist()
shared = keras.distribution.DataParallel(devices=devices)
print(json.dumps([len(devices), run(), run(), run(shared)]))
"""


@pytest.mark.slow
def test_two_devices_on_jax_end_where_one_does():
    pytest.importorskip("jax", reason="JAX is not installed")
    devices, one, again, two = child(PARALLEL, devices=2)
    assert devices == 2 and one == again  # the same seed, the same weights
    assert close(map(np.array, one[0]), map(np.array, two[0]))
    assert np.allclose(one[1], two[1], atol=1e-6)


MIRRORED = """
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, two)
recipe = Recipe(epochs=3, batch_size=32, learning_rate=0.01)
def run(distribution=None):
    model = network(dropout=0.0)
    history = train(
        model, *fit, validation_data=watch, recipe=recipe, distribution=distribution
    )
    return numbers(model), history.history["val_loss"].tolist()
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
print(json.dumps([strategy.num_replicas_in_sync, run(), run(strategy)]))
"""


@pytest.mark.slow
def test_a_mirrored_strategy_ends_where_one_device_does():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    replicas, one, two = child(MIRRORED, backend="tensorflow")
    assert replicas == 2
    assert close(map(np.array, one[0]), map(np.array, two[0]), 1e-4)
    assert np.allclose(one[1], two[1], atol=1e-5)


class TestTwins:
    """An architecture is traced once, and nobody can tell by the results."""

    @pytest.fixture(autouse=True)
    def _none_yet(self, monkeypatch):
        monkeypatch.setattr(compiled, "_twins", type(compiled._twins)())

    def weights(self, seed=1, **recipe):
        model = network(seed=seed)
        recipe = training.Recipe(**{"epochs": 2, "patience": 9} | recipe)
        given = {"validation_data": watch, "recipe": recipe, "seed": 3}
        course = training.train(model, *fit, **given)
        score = training.probabilities(model, codes)
        return [*model.get_weights(), score, course.history["val_loss"]]

    @pytest.mark.parametrize(
        "recipe",
        [{}, {"learning_rate": 0.01}, {"optimizer": "adamw", "schedule": "cosine"}],
    )
    def test_a_second_network_ends_where_it_would_have_ended_alone(self, recipe):
        alone = self.weights(**recipe)
        compiled._twins.clear()
        self.weights(seed=2)
        self.weights(seed=5, **recipe)
        assert close(self.weights(**recipe), alone, tolerance=0)

    def test_one_architecture_is_compiled_once(self, monkeypatch):
        calls, compile_ = [], keras.Model.compile

        def counted(self, *given, **named):
            calls.append(self)
            return compile_(self, *given, **named)

        monkeypatch.setattr(keras.Model, "compile", counted)
        for seed in (1, 2, 3):
            self.weights(seed)
        assert len(calls) == 1
        self.weights(optimizer="adamw", schedule="cosine")
        assert len(calls) == 2

    def test_a_frozen_layer_makes_another_architecture(self):
        model, other = network(), network()
        assert compiled.architecture(model) == compiled.architecture(other)
        other.layers[-1].trainable = False
        assert compiled.architecture(model) != compiled.architecture(other)
        twin = compiled.twin(other, "training")
        assert len(twin.trainable_weights) == len(other.trainable_weights)

    def test_other_wiring_is_another_architecture(self):
        def crossed(first, second):
            start = keras.Input((3,))
            hidden = {"a": keras.layers.Dense(3), "b": keras.layers.Dense(3)}
            middle = hidden["b"](hidden["a"](start))
            ends = {"a": hidden["a"].output, "b": middle}
            return keras.Model(start, ends[first] - ends[second])

        one, same, other = crossed("a", "b"), crossed("a", "b"), crossed("b", "a")
        assert compiled.architecture(one) == compiled.architecture(same)
        assert compiled.architecture(one) != compiled.architecture(other)

    def test_a_twin_draws_no_random_numbers_of_its_callers(self):
        model, before = network(), random.getstate()
        twin = compiled.twin(model, "training")
        assert twin is not model and random.getstate() == before

    def test_few_twins_are_kept_and_none_of_a_large_network(self, monkeypatch):
        model = network()
        for number in range(compiled.KEPT + 3):
            compiled.twin(model, str(number))
        assert len(compiled._twins) == compiled.KEPT
        monkeypatch.setattr(compiled, "LARGE", 1)
        assert compiled.twin(model, "another") is model
