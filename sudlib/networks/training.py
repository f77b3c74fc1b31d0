"""Training of the networks of study A: one recipe, one function.

Keras 3 does the work, on any backend.  Every arm of an experiment is trained alike: a
loss that means the same on every backend, the best epoch restored, an order of the
records that depends on seed and epoch alone, training that resumes after a kill, a
batch that is halved when the memory does not hold it.  Taught in
``a07_network_from_scratch``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from tqdm import TqdmWarning

from sudlib.files import InputError, read_rows
from sudlib.networks import compiled, devices
from sudlib.networks.batches import Batches, check_pair, predict
from sudlib.validation import check_choice, check_number, check_seed, check_whole

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmWarning)  # without ipywidgets a bar of text
    from tqdm.keras import TqdmCallback

Array = NDArray[Any]
Pair = tuple[Array, ArrayLike]


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of training.  The defaults are the study's.

    Parameters
    ----------
    epochs : int, default=15
        At most; fewer when the validation loss no longer falls.
    batch_size : int, default=32
        Rows of a step.
    learning_rate : float, default=1e-3
        Of the first step.
    optimizer : {"adam", "adamw"}
        AdamW decouples the weight decay from the gradient.
    schedule : {"constant", "cosine"}
        Cosine lets the learning rate fall to zero over all epochs.
    weight_decay : float, default=0
        Of AdamW; 0 for Adam.
    patience : int, default=5
        Epochs without a lower validation loss before training stops.
    precision : {"float32", "mixed_bfloat16"}
        Mixed: weights, the logit and the loss in 32 bits, the layers in 16.

    Raises
    ------
    InputError
        If a value is not one of these.

    Examples
    --------
    >>> Recipe(optimizer="sgd")
    Traceback (most recent call last):
        ...
    sudlib.files.InputError: optimizer must be one of adam, adamw, not 'sgd'
    """

    epochs: int = 15
    batch_size: int = 32
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    schedule: str = "constant"
    weight_decay: float = 0.0
    patience: int = 5
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_choice("optimizer", self.optimizer, ("adam", "adamw"))
        check_choice("schedule", self.schedule, ("constant", "cosine"))
        check_choice("precision", self.precision, ("float32", "mixed_bfloat16"))
        for name in ("epochs", "batch_size", "patience"):
            whole = check_whole(name, getattr(self, name), 1)
            object.__setattr__(self, name, whole)  # a NumPy integer is no JSON
        check_number("learning_rate", self.learning_rate, 0, open_low=True)
        check_number("weight_decay", self.weight_decay, 0)
        if self.weight_decay and self.optimizer != "adamw":
            raise InputError('weight_decay needs optimizer="adamw"')


@dataclass(frozen=True)
class Training:
    """How training went: what :func:`train` returns.

    Attributes
    ----------
    history : pandas.DataFrame
        One row an epoch, counted from 1: ``loss``, ``val_loss`` where there is a
        validation set, ``seconds``.
    best_epoch : int
        The epoch whose weights the model has now.
    seconds : float
        Of all epochs, those before a kill and the validation included.
    images : int
        Records that went through the network forward and backward.
    batch_size : int
        The one that was used in the end.
    validation_images : int
        Records of the validation set, which went forward only.
    """

    history: pd.DataFrame = field(repr=False)
    best_epoch: int
    seconds: float
    images: int
    batch_size: int
    validation_images: int = 0


def split_validation(rows: ArrayLike, seed: int = 6) -> tuple[Array, Array]:
    """Return training and validation rows: the study's second 70/30 split.

    It rounds as ``image_dataset_from_directory(validation_split=0.3, seed=6)`` does,
    by which the study made it; which record came where depended on the names of files.

    Parameters
    ----------
    rows : array-like of int
        Rows of a data set, at least 4.
    seed : int, default=6
        Of the shuffle.

    Returns
    -------
    train, validation : numpy.ndarray
        The rows, shuffled.

    Raises
    ------
    InputError
        If there are fewer than 4 rows.

    Examples
    --------
    >>> [len(part) for part in split_validation(range(435_974))]
    [305182, 130792]
    """
    rows = np.asarray(rows)
    n_validation = int(0.3 * len(rows))
    if n_validation == 0:
        raise InputError(f"at least 4 rows are needed to validate, not {len(rows)}")
    shuffled = rows[np.random.default_rng(check_seed(seed)).permutation(len(rows))]
    return shuffled[:-n_validation], shuffled[-n_validation:]


def loss() -> keras.losses.Loss:
    """Return the loss of all networks here: cross-entropy of one **logit**.

    The study asks for ``from_logits=True`` on a sigmoid's output.  On TensorFlow Keras
    takes the sigmoid off again, so its runs computed this; on JAX and PyTorch the same
    code computes another loss, and nothing warns.

    Returns
    -------
    keras.losses.Loss
    """
    return keras.losses.BinaryCrossentropy(from_logits=True)


def loss_floor(share: float) -> float:
    """Return the lowest loss that a sigmoid of a sigmoid can reach.

    It lies between 0.5 and 0.731.  Even a network that predicts every outcome
    correctly has a positive loss, larger for people who did not complete.

    Parameters
    ----------
    share : float
        Share of the people who completed.

    Returns
    -------
    float

    Examples
    --------
    >>> round(loss_floor(0.38), 4), round(loss_floor(0.20), 4)
    (0.5488, 0.6172)
    """
    return (1 - share) * math.log(2) + share * math.log(1 + math.exp(-1))


class _Epochs(keras.callbacks.Callback):
    """All that happens between epochs, so that training can resume after each.

    Keras's callbacks for this each keep a state of their own, which is lost or out of
    step when training resumes.  Here the best epoch and the end follow from the history
    of the epochs whose weights were saved.
    """

    def __init__(self, folder: Path, batches: Batches, patience: int) -> None:
        super().__init__()
        self.folder, self.batches, self.patience = folder, batches, patience
        self.saved = max(folder.glob("epoch_*.npz"), default=None)
        self.done = int(self.saved.name[6:10]) if self.saved else 0
        self.history: list[dict[str, float]] = []
        if self.done:
            # The text of a float is the float again, as pandas does not promise.
            for row in read_rows(folder / "history.csv")[: self.done]:
                del row["epoch"]
                self.history.append({name: float(row[name]) for name in row})

    def table(self) -> pd.DataFrame:
        """Return the history, epochs counted from 1."""
        numbers = pd.RangeIndex(1, len(self.history) + 1, name="epoch")
        return pd.DataFrame(self.history, index=numbers)

    def best(self) -> int:
        """Return the best epoch, the last where there is no validation set."""
        history = self.table()
        return int(history.get("val_loss", -history.index.to_series()).idxmin())

    def has_stopped(self) -> bool:
        """Return whether the last ``patience`` epochs brought no lower loss."""
        return self.done > 0 and self.done - self.best() >= self.patience

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.epoch = epoch
        # From seed and epoch, the state of dropout is the same again after a kill.
        random = np.random.default_rng([self.batches.seed or 0, epoch, 1])
        for variable in self.model.non_trainable_variables:
            if variable.name == "seed_generator_state":
                variable.assign(random.integers(0, 2**31 - 1, 2).astype("uint32"))
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"the loss is no longer a number in epoch {epoch + 1}: try a lower"
                " learning_rate, or pixels between 0 and 1"
            )
        self.history.append({**logs, "seconds": time.perf_counter() - self.start})
        self.done = epoch + 1
        if self.best() == self.done:
            _save(self.folder / "best.npz", self.model.variables)
        _write(self.folder / "history.csv", self.table().to_csv)
        # The last: now the epoch counts.
        path = self.folder / f"epoch_{self.done:04d}.npz"
        _save(path, _state(self.model))
        if self.saved:
            self.saved.unlink()
        self.saved = path
        self.model.stop_training = self.has_stopped()


def _write(path: Path, save: Callable[[Path], Any]) -> None:
    """Let a file be written whole or not at all."""
    partial = path.with_name(f"partial_{path.name}")
    save(partial)
    os.replace(partial, path)


def _state(model: keras.Model) -> list[keras.Variable]:
    """Return all that training changes: of the model, and of its optimizer."""
    return [*model.variables, *model.optimizer.variables]


def _save(path: Path, variables: list[keras.Variable]) -> None:
    """Keep variables by their order.

    Keras's own files name each by its place in the model, and to find these names takes
    a small network longer than an epoch.
    """
    arrays = [keras.ops.convert_to_numpy(variable) for variable in variables]
    _write(path, lambda partial: np.savez(partial, *arrays))


def _load(path: Path, variables: list[keras.Variable]) -> None:
    """Give variables what :func:`_save` kept."""
    with np.load(path) as arrays:
        for variable, array in zip(variables, arrays.values(), strict=True):
            variable.assign(array)


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, recipe.epochs * steps)
    if recipe.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    return keras.optimizers.Adam(rate)


#: For which recipe a twin was compiled.
_compiled: weakref.WeakKeyDictionary[keras.Model, Any] = weakref.WeakKeyDictionary()


def _compile(model: keras.Model, recipe: Recipe, steps: int, replicas: int) -> None:
    """Compile a model, or let it begin again where it was compiled for this recipe."""
    asked: tuple[Any, ...] = (replace(recipe, patience=1), steps, replicas)
    if recipe.schedule == "constant":  # its rate is a variable
        asked = replace(asked[0], epochs=1, learning_rate=1), replicas
    if _compiled.get(model) == asked:
        for variable in model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        if recipe.schedule == "constant":
            model.optimizer.learning_rate = recipe.learning_rate
        return
    optimizer = _optimizer(recipe, steps)
    model.compile(optimizer, loss(), jit_compile=devices.use_xla(replicas))
    model.optimizer.build(model.trainable_variables)
    if compiled.is_twin(model):  # whose layers nobody changes
        _compiled[model] = asked


def _check_model(model: keras.Model) -> None:
    if (shape := tuple(model.output_shape)) != (None, 1):
        raise InputError(f"the model must end in one logit, (None, 1), not {shape}")
    last = model.layers[-1]
    if getattr(last, "activation", None) is keras.activations.sigmoid:
        raise InputError(
            f"the model ends in a sigmoid (layer {last.name}); it must end in a logit:"
            " leave the activation out, sudlib's loss and probabilities() apply it"
        )


def train(
    model: keras.Model,
    inputs: Array,
    completed: ArrayLike,
    *,
    validation_data: Pair | None = None,
    recipe: Recipe | None = None,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 33,
    distribution: Any = None,
    progress: bool = True,
) -> Training:
    """Train a model in place, restore its best epoch, and return how training went.

    Parameters
    ----------
    model : keras.Model
        A functional model that ends in one logit.  It starts from its own weights;
        everything random after that depends on ``seed``.
    inputs : array of shape (n, ...)
        What the model takes, for instance the codes of the records.
    completed : array-like of shape (n,)
        Outcomes, 0 or 1.
    validation_data : tuple of inputs and completed, optional
        Its loss decides when to stop and which epoch is best.  Without it all epochs
        are run, and the last is kept.
    recipe : Recipe, optional
        Hyperparameters; by default the study's.
    folder : path-like, optional
        Keeps history (CSV), best weights and last epoch: the same call again resumes
        after a kill, and does no work when training had ended.  By default temporary.
    seed : int, default=33
        Of the order of the records and of dropout.
    distribution : keras.distribution.Distribution or tf.distribute.Strategy, optional
        Shares each batch over devices; rows that their number does not divide are lost.
    progress : bool, default=True
        Show progress bars on a terminal.

    Returns
    -------
    Training

    Raises
    ------
    InputError
        If the model does not end in a logit, lengths differ, an outcome is not 0 or 1,
        or the loss is no longer a number.
    """
    recipe = recipe or Recipe()
    _check_model(model)
    data = check_pair(inputs, completed)
    names = "validation inputs", "their outcomes"
    watched = validation_data and check_pair(*validation_data, names)
    replicas = devices.count_replicas(distribution)
    with contextlib.ExitStack() as stack:
        folder = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        arrays = *data, *(watched or ())
        key = compiled.fingerprint(model, arrays, asdict(recipe), seed)
        batch_size = _resume(folder, key, recipe.batch_size)
        trained = model
        if distribution is None and recipe.precision == "float32":
            trained = compiled.twin(model, "training")
        if distribution is not None:
            # Where variables live is decided when they are made.
            stack.enter_context(distribution.scope())
            trained = keras.models.clone_model(model)
            trained.set_weights(model.get_weights())
        stack.enter_context(devices.precision(trained, recipe.precision))
        start = trained.get_weights()

        def fit(batch_size: int) -> _Epochs:
            """Train from where the folder stands; the best weights are in it then."""
            state = json.dumps({"key": key, "batch_size": batch_size})
            _write(folder / "training.json", lambda path: path.write_text(state))
            shared: Any = {"batch_size": batch_size, "multiple": replicas}
            batches = Batches(*data, seed=seed, **shared)
            epochs = _Epochs(folder, batches, recipe.patience)
            _compile(trained, recipe, batches.num_batches, replicas)
            if epochs.saved:
                _load(epochs.saved, _state(trained))
                # The schedule counts steps: since the batch was halved there are more.
                trained.optimizer.iterations.assign(epochs.done * batches.num_batches)
            if epochs.done < recipe.epochs and not epochs.has_stopped():
                # None: a bar on a terminal only, not in a file or under papermill.
                bars = [TqdmCallback(leave=False, disable=None)] if progress else []
                trained.fit(
                    batches,
                    validation_data=watched and Batches(*watched, **shared),
                    initial_epoch=epochs.done,
                    epochs=recipe.epochs,
                    callbacks=[epochs, *bars],
                    shuffle=False,
                    verbose=0,
                )
            return epochs

        try:
            epochs = fit(batch_size)
        except Exception as error:
            _compiled.pop(trained, None)  # where it stopped, nobody knows
            halved = batch_size < recipe.batch_size or batch_size < 2 * replicas
            if halved or not devices.is_out_of_memory(error):
                raise
            batch_size //= 2
            print(
                f"The memory did not hold a batch of {recipe.batch_size}: training goes"
                f" on with batches of {batch_size}."
            )
            trained.set_weights(start)
            epochs = fit(batch_size)
        _load(folder / "best.npz", trained.variables)
        model.set_weights(trained.get_weights())
    return Training(
        history=epochs.table(),
        best_epoch=epochs.best(),
        seconds=float(epochs.table()["seconds"].sum()),
        images=len(inputs) // replicas * replicas * epochs.done,
        batch_size=batch_size,
        validation_images=len(watched[0]) * epochs.done if watched else 0,
    )


def _resume(folder: Path, key: str, batch_size: int) -> int:
    """Return the batch size to go on with; empty a folder of another training."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "training.json"
    if state.exists():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            known = json.loads(state.read_text())
            if known["key"] == key:
                return int(known["batch_size"])
        print(f"{folder.name} holds another training: it is trained again.")
    for path in folder.glob("*.npz"):
        path.unlink()
    return batch_size


def probabilities(
    model: keras.Model, inputs: Array, batch_size: int = 256
) -> NDArray[np.float64]:
    """Return the predicted probability of completion for each row.

    Parameters
    ----------
    model : keras.Model
        Ends in one logit.
    inputs : array of shape (n, ...)
        What the model takes.
    batch_size : int, default=256
        At most; halved, as often as needed, where the memory does not hold it.

    Returns
    -------
    numpy.ndarray of shape (n,)
    """
    return np.exp(-np.logaddexp(0, -logits(model, inputs, batch_size).astype(float)))


def logits(
    model: keras.Model, inputs: Array, batch_size: int = 256
) -> NDArray[np.float32]:
    """Return the logit of each row.

    Parameters
    ----------
    model : keras.Model
        Ends in one logit.
    inputs : array of shape (n, ...)
        What the model takes.
    batch_size : int, default=256
        At most, as for :func:`probabilities`.

    Returns
    -------
    numpy.ndarray of shape (n,)
    """
    if len(inputs) == 0:
        return np.empty(0, "float32")
    return np.asarray(predict(model, inputs, batch_size), "float32")[:, 0]
