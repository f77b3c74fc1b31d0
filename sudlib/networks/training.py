"""Training of the networks of study A: one recipe, one function.

Keras 3 does the work, on whatever backend it runs on; what stands here is which of its
parts work together, so that every arm of an experiment is trained in the same way: a
loss that means the same on every backend, the best checkpoint put back, an order of the
records that depends on the seed and the epoch alone, training that goes on after a
kill, a batch that is halved when the memory does not hold it.  Taught in the notebook
*A network from scratch*.
"""

import contextlib
import hashlib
import inspect
import json
import math
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from sudlib import forests
from sudlib.files import InputError

#: People of the part to report that the networks are scored on; None: all of them.
REPORTED = forests.REPORTED

OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.  The defaults are the study's.

    Attributes
    ----------
    epochs : int
        At most; fewer when the loss of the watched rows stops falling.
    batch_size : int
    learning_rate : float
        Of the first step.
    optimizer : {"adam", "adamw"}
    schedule : {"constant", "cosine"}
        Cosine lets the rate fall to zero over all epochs.
    weight_decay : float
        Of AdamW; 0 for Adam.
    patience : int
        Epochs without a lower loss of the watched rows before training stops.
    precision : {"float32", "mixed_bfloat16"}
        Mixed: weights, the logit and the loss in 32 bits, the layers in 16.

    Raises
    ------
    InputError
        If a value is not one of these.

    Examples
    --------
    >>> Recipe().batch_size
    32
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

    def __post_init__(self):
        for name, allowed in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            given = getattr(self, name)
            if given not in allowed:
                raise InputError(
                    f"{name} must be one of {', '.join(allowed)}, not {given!r}"
                )
        for name in ("epochs", "batch_size", "patience"):
            given = getattr(self, name)
            if not isinstance(given, int) or given < 1:
                raise InputError(f"{name} must be a whole number from 1, not {given!r}")
        if not self.learning_rate > 0:
            raise InputError(
                f"learning_rate must be above 0, not {self.learning_rate!r}"
            )
        if self.weight_decay and self.optimizer != "adamw":
            raise InputError('weight_decay needs optimizer="adamw"')


@dataclass(frozen=True)
class Training:
    """What :func:`train` returns.

    Attributes
    ----------
    history : pandas.DataFrame
        One row an epoch, counted from 1: ``loss``, ``val_loss`` where rows were
        watched, ``seconds``.
    best_epoch : int
        The epoch whose weights the model has now.
    seconds : float
        Of all epochs, those before a kill and the look at the watched rows included.
    images : int
        Pictures that went through the network forward and backward.
    batch_size : int
        The one that was used in the end.
    watched : int
        Pictures of the watched rows that went forward only.
    """

    history: pd.DataFrame = field(repr=False)
    best_epoch: int
    seconds: float
    images: int
    batch_size: int
    watched: int = 0


def split_watch(rows, seed=6):
    """Return the rows to train on and those to watch: the study's second 70/30 split.

    It rounds as ``image_dataset_from_directory(validation_split=0.3, seed=6)`` does, by
    which the study made it; which rows come where hung on its files' names.

    Parameters
    ----------
    rows : array-like of int
    seed : int, default=6

    Returns
    -------
    train, watched : numpy.ndarray

    Examples
    --------
    >>> [len(part) for part in split_watch(range(435_974))]
    [305182, 130792]
    """
    rows = np.asarray(rows)
    watched = int(0.3 * len(rows))
    if not 0 < watched < len(rows):
        raise InputError(
            f"at least 4 rows are needed to train and to watch, not {len(rows)}"
        )
    shuffled = rows[np.random.default_rng(seed).permutation(len(rows))]
    return shuffled[:-watched], shuffled[-watched:]


def loss():
    """Return the loss of all networks here: cross-entropy of one **logit**.

    The study asks for ``from_logits=True`` on a sigmoid's output.  Keras on TensorFlow
    finds the sigmoid and takes it off again, so what its runs computed is this; on JAX
    and PyTorch the same words compute another loss, and nothing warns.
    """
    return keras.losses.BinaryCrossentropy(from_logits=True)


def loss_floor(share):
    """Return the lowest loss that two sigmoids, one on the other, can reach.

    A sigmoid of a sigmoid lies between 0.5 and 0.731.  So even a network that knows
    every outcome pays for each person, and more for those who did not complete.

    Parameters
    ----------
    share : float
        Of the people who completed.

    Returns
    -------
    float

    Examples
    --------
    >>> round(loss_floor(0.38), 4), round(loss_floor(0.20), 4)
    (0.5488, 0.6172)
    """
    return (1 - share) * math.log(2) + share * math.log(1 + math.exp(-1))


class Rows(keras.utils.PyDataset):
    """Batches of small integers, in an order that seed and epoch decide alone.

    So a run that goes on after a kill sees what it would have seen.  The arrays are
    indexed, never copied whole: a file mapped into memory serves too.

    Parameters
    ----------
    inputs : array of shape (n, ...)
    completed : array of shape (n,), optional
        Without it the batches hold inputs only.
    batch_size : int
    seed : int, optional
        Without it the order is that of the rows.
    multiple : int, default=1
        Every batch has a multiple of so many rows, as devices that share it want;
        what is left of the last batch is dropped.
    """

    def __init__(self, inputs, completed=None, *, batch_size, seed=None, multiple=1):
        super().__init__(workers=0)
        self.inputs, self.completed = inputs, completed
        self.rows = len(inputs) // multiple * multiple
        self.batch_size = max(batch_size // multiple, 1) * multiple
        self.seed, self.epoch = seed, 0
        self._order = None, None

    @property
    def num_batches(self):
        """Batches of an epoch."""
        return math.ceil(self.rows / self.batch_size)

    def order(self):
        """Return the order of the rows in the present epoch."""
        if self.seed is None:
            return np.arange(self.rows)
        if self._order[0] != self.epoch:
            random = np.random.default_rng([self.seed, self.epoch])
            self._order = self.epoch, random.permutation(len(self.inputs))
        return self._order[1][: self.rows]

    def __getitem__(self, number):
        """Return one batch."""
        taken = self.order()[number * self.batch_size : (number + 1) * self.batch_size]
        if self.completed is None:
            return (np.asarray(self.inputs[taken]),)
        outcome = np.asarray(self.completed[taken], "float32")[:, None]
        return np.asarray(self.inputs[taken]), outcome


class _Epochs(keras.callbacks.Callback):
    """What hangs on the epoch: order of the rows, dropout, seconds, a bar."""

    def __init__(self, rows, seed, bar):
        super().__init__()
        self.rows, self.seed, self.bar = rows, seed, bar

    def on_epoch_begin(self, epoch, logs=None):
        self.rows.epoch = epoch
        # Keras saves weights, not the state of dropout: from seed and epoch it is the
        # same again after a kill.
        states = [
            variable
            for variable in self.model.non_trainable_variables
            if variable.name == "seed_generator_state"
        ]
        random = np.random.default_rng([self.seed, epoch, 1])
        for state in states:
            state.assign(random.integers(0, 2**31 - 1, 2).astype("uint32"))
        self.started = time.perf_counter()
        if self.bar is not None:
            self.bar.reset(total=self.rows.num_batches)
            self.bar.set_description(f"epoch {epoch + 1}")

    def on_train_batch_end(self, batch, logs=None):
        if self.bar is not None:
            self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.perf_counter() - self.started
        if self.bar is not None:
            self.bar.set_postfix({k: f"{v:.4f}" for k, v in logs.items()})
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"the loss is no longer a number in epoch {epoch + 1}: try a lower"
                " learning_rate, or pixels between 0 and 1"
            )


class _GoOn(keras.callbacks.Callback):
    """After BackupAndRestore: what it does not restore, from the history on disk."""

    def __init__(self, history, recipe, steps, checkpoint, stopping, halved):
        super().__init__()
        self.history, self.epochs, self.steps = history, recipe.epochs, steps
        self.checkpoint, self.stopping, self.halved = checkpoint, stopping, halved

    def on_train_begin(self, logs=None):
        model = self.model
        steps_done = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
        if self.halved:
            # The schedule counts steps: as many as the halved batch would have taken.
            done = model._initial_epoch or 0
            model.optimizer.iterations.assign(done * self.steps)
        else:
            # A kill between Keras' two files leaves newer weights than its note says:
            # the optimizer's steps are in the weights, and tell the truth.
            done = steps_done // self.steps
        model._initial_epoch = done
        past = read_history(self.history).iloc[:done]
        if self.stopping is None:
            return
        for epoch, logs in enumerate(past.to_dict("records")):
            self.stopping.on_epoch_end(epoch, logs)
        if len(past):
            self.checkpoint.best = past["val_loss"].min()
        if model.stop_training:  # it had ended, and was killed before it could say so
            model.stop_training = False
            model._initial_epoch = self.epochs


def read_history(path):
    """Return the history of a training so far, epochs counted from 1.

    Parameters
    ----------
    path : path-like
        A CSV file as Keras' CSVLogger writes it; an absent one is an empty history.
    """
    if not Path(path).exists() or not Path(path).stat().st_size:
        return pd.DataFrame({"loss": [], "seconds": []}, index=_epochs([]))
    # An epoch that was cut short after its line was written stands there twice.
    lines = pd.read_csv(path).drop_duplicates("epoch", keep="last")
    lines = lines.set_index(_epochs(lines["epoch"] + 1))
    wanted = [name for name in ("loss", "val_loss", "seconds") if name in lines]
    return lines[wanted].dropna(axis="columns", how="all")


def _epochs(numbers):
    return pd.Index(np.asarray(numbers, int), name="epoch")


def out_of_memory(error):
    """Tell whether an error says that the memory did not hold the batch."""
    words = f"{type(error).__name__} {error}".lower().replace(" ", "").replace("_", "")
    return isinstance(error, MemoryError) or any(
        sign in words for sign in ("resourceexhausted", "outofmemory")
    )


def _optimizer(recipe, steps):
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, recipe.epochs * steps)
    if recipe.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    return keras.optimizers.Adam(rate)


def leaves(model):
    """Yield every layer of a model, those of models inside it too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


@contextlib.contextmanager
def precision(model, name):
    """Let the layers of a model compute in another precision, and back again.

    Weights stay in 32 bits, and so does the last layer, whose logit the loss reads.

    Parameters
    ----------
    model : keras.Model
    name : {"float32", "mixed_bfloat16"}
    """
    if name == "float32":
        yield
        return
    layers = [layer for layer in leaves(model) if layer.count_params()][:-1]
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = keras.dtype_policies.DTypePolicy(name)
        model.predict_function = None  # it was traced in the other precision
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy
        model.predict_function = None


def _replicas(distribution):
    """Return over how many devices a distribution shares a batch."""
    if distribution is None:
        return 1
    if hasattr(distribution, "device_mesh"):
        return math.prod(distribution.device_mesh.shape)
    if hasattr(distribution, "num_replicas_in_sync"):
        return distribution.num_replicas_in_sync
    raise InputError(
        "distribution must be a keras.distribution.Distribution (JAX) or a"
        f" tf.distribute.Strategy (TensorFlow), not {distribution!r}"
    )


def _key(model, inputs, completed, watch, recipe, seed):
    """Return a fingerprint of everything that decides what training ends with."""
    digest = hashlib.sha256()
    digest.update(json.dumps([asdict(recipe), seed], sort_keys=True).encode())
    for variable in model.variables:
        if variable.name != "seed_generator_state":
            digest.update(str(variable.trainable).encode())
            digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    for part in (inputs, completed, *(watch or ())):
        digest.update(str(np.shape(part)).encode())
        sample = part[:: max(1, len(part) // 1000)]
        digest.update(np.ascontiguousarray(sample).tobytes())
    return digest.hexdigest()


def _check(model, inputs, completed, watch):
    if tuple(model.output_shape) != (None, 1):
        raise InputError(
            "the model must end in one logit, shape (None, 1), not"
            f" {tuple(model.output_shape)}"
        )
    last = model.layers[-1]
    if getattr(last, "activation", None) is keras.activations.sigmoid:
        raise InputError(
            f"the model ends in a sigmoid (layer {last.name}); it must end in a logit:"
            " leave the activation out, sudlib's loss and probabilities() apply it"
        )
    checked = []
    for name, (rows, outcome) in {"": (inputs, completed), "watched ": watch}.items():
        outcome = np.asarray(outcome)
        if len(rows) != len(outcome) or outcome.ndim != 1 or len(rows) == 0:
            raise InputError(
                f"{name}inputs and completed must have the same, positive length, not"
                f" {len(rows)} and {outcome.shape}"
            )
        if not np.isin(outcome, (0, 1)).all():
            raise InputError(f"{name}completed must be 0 or 1")
        checked.append((rows, outcome))
    return checked


def train(
    model,
    inputs,
    completed,
    *,
    watch=None,
    recipe=None,
    folder=None,
    seed=33,
    distribution=None,
    progress=True,
):
    """Train a model and return how it went; the model then has its best weights.

    Parameters
    ----------
    model : keras.Model
        A functional model that ends in one logit.  Its weights at the start are its
        own affair; everything random after that hangs on ``seed``.
    inputs : array of shape (n, ...)
        What the model takes: the small integers of the records, say.
    completed : array-like of 0 and 1
    watch : tuple of inputs and completed, optional
        Rows whose loss decides when to stop and which epoch is best.  Without them all
        epochs are run, and the last is kept.
    recipe : Recipe, optional
        The study's, when nothing is given.
    folder : path-like, optional
        Where the history (CSV), the best weights and a backup are kept.  The same call
        again goes on after a kill, and does no work when it had ended.  Without it a
        temporary folder is used.
    seed : int, default=33
        Order of the records and dropout.
    distribution : keras.distribution.Distribution or tf.distribute.Strategy, optional
        Shares each batch over devices.  The rows of a batch that the number of devices
        does not divide are left out.
    progress : bool, default=True
        Show a bar for each epoch; in a file, or under papermill, there is none.

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
    pair = watch if watch is not None else (inputs[:1], completed[:1])
    (inputs, completed), pair = _check(model, inputs, np.asarray(completed), pair)
    watch = pair if watch is not None else None
    replicas = _replicas(distribution)
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        folder = Path(folder)
        state = _open(folder, _key(model, inputs, completed, watch, recipe, seed))
        trained = model
        if distribution is not None:
            # Where variables live is decided when they are made.
            stack.enter_context(distribution.scope())
            trained = keras.models.clone_model(model)
            trained.set_weights(model.get_weights())
        stack.enter_context(precision(trained, recipe.precision))
        if not state["finished"]:
            start = trained.get_weights()
            size = state["batch_size"] or recipe.batch_size
            arguments = (trained, inputs, completed, watch, recipe, folder, seed)
            try:
                _fit(*arguments, size, replicas, progress)
            except Exception as error:
                if not out_of_memory(error) or size < 2 * replicas or state["halved"]:
                    raise
                print(
                    f"The memory did not hold a batch of {size}: it goes on with"
                    f" batches of {size // 2}."
                )
                size //= 2
                state.update(batch_size=size, halved=True)
                _note(folder, state)
                trained.set_weights(start)
                _fit(*arguments, size, replicas, progress, halved=True)
            state.update(batch_size=size, finished=True)
            _note(folder, state)
        if watch is not None:
            trained.load_weights(folder / "best.weights.h5")
        else:
            trained.load_weights(folder / "last.weights.h5")
        if trained is not model:
            model.set_weights(trained.get_weights())
        history = read_history(folder / "history.csv")
    best = history["val_loss"].idxmin() if watch is not None else history.index[-1]
    rows = len(inputs) // replicas * replicas
    return Training(
        history=history,
        best_epoch=int(best),
        seconds=float(history["seconds"].sum()),
        images=rows * len(history),
        batch_size=state["batch_size"],
        watched=len(watch[0]) * len(history) if watch is not None else 0,
    )


def _note(folder, state):
    """Write what is known of a training, first to a neighbour file."""
    path = folder / "training.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.replace(path)


def _open(folder, key):
    """Return the state of the training in a folder; remove a foreign one."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = {"key": key, "batch_size": None, "halved": False, "finished": False}
    try:
        state = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        known = state["key"] == key and set(state) == set(fresh)
    except (OSError, ValueError, KeyError, TypeError):
        state, known = None, False
    if known:
        return state
    if state is not None:
        print(
            f"{folder.name} holds another training (other data, weights, recipe or"
            " seed): it is trained anew."
        )
    for name in ("training.json", "history.csv", "best.weights.h5", "last.weights.h5"):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / "backup").glob("*"):
        path.unlink()
    _note(folder, fresh)
    return fresh


def _fit(
    model,
    inputs,
    completed,
    watch,
    recipe,
    folder,
    seed,
    batch_size,
    replicas,
    progress,
    halved=False,
):
    """Compile and fit with the callbacks; the best weights are then in the folder."""
    rows = Rows(inputs, completed, batch_size=batch_size, seed=seed, multiple=replicas)
    checkpoint = stopping = watched = None
    with contextlib.ExitStack() as stack:
        bar = None
        if progress:
            bar = stack.enter_context(tqdm(unit="batch", leave=False, disable=None))
        callbacks = [_Epochs(rows, seed, bar)]
        if watch is not None:
            watched = Rows(*watch, batch_size=batch_size, multiple=replicas)
            checkpoint = keras.callbacks.ModelCheckpoint(
                str(folder / "best.weights.h5"),
                monitor="val_loss",
                mode="min",
                save_best_only=True,
                save_weights_only=True,
            )
            stopping = keras.callbacks.EarlyStopping(
                monitor="val_loss", mode="min", patience=recipe.patience
            )
            callbacks += [checkpoint, stopping]
        options = {}
        backup = keras.callbacks.BackupAndRestore
        if "double_checkpoint" in inspect.signature(backup.__init__).parameters:
            options["double_checkpoint"] = (
                True  # newer Keras: a broken file has a spare
            )
        history = folder / "history.csv"
        callbacks += [
            keras.callbacks.CSVLogger(str(history), append=True),
            backup(str(folder / "backup"), **options),
            _GoOn(history, recipe, rows.num_batches, checkpoint, stopping, halved),
        ]
        model._initial_epoch = None  # Keras keeps it from the fit before
        model.compile(
            optimizer=_optimizer(recipe, rows.num_batches),
            loss=loss(),
            jit_compile=compiled(replicas),
        )
        model.optimizer.build(model.trainable_variables)
        model.fit(
            rows,
            validation_data=watched,
            epochs=recipe.epochs,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
    model._initial_epoch = None
    if watch is None:
        model.save_weights(folder / "last.weights.h5")


def compiled(replicas=1):
    """Return whether Keras should compile a step with XLA.

    JAX knows nothing else.  TensorFlow gains from it on a GPU; on a processor its own
    convolutions are far faster (a step of the study's network: eleven times), and it
    cannot add up the gradients of several devices inside.  PyTorch has no XLA here.
    """
    if keras.backend.backend() == "tensorflow":
        return replicas == 1 and has_gpu()
    return keras.backend.backend() == "jax"


def has_gpu():
    """Tell whether Keras' backend sees a GPU."""
    if keras.backend.backend() == "torch":
        import torch  # what Keras has loaded already; it lists no devices for it

        return torch.cuda.is_available()
    return any("gpu" in name.lower() for name in keras.distribution.list_devices())


def probabilities(model, inputs, batch_size=256):
    """Return the probability of completion for each row.

    Parameters
    ----------
    model : keras.Model
        Ends in one logit.
    inputs : array of shape (n, ...)
    batch_size : int, default=256
        Halved, as often as needed, where the memory does not hold it.

    Returns
    -------
    numpy.ndarray of shape (n,)
    """
    found = logits(model, inputs, batch_size).astype(float)
    return np.exp(-np.logaddexp(0, -found))


def logits(model, inputs, batch_size=256):
    """Return the logit of each row, as :func:`probabilities` reads it."""
    rows = len(inputs)
    if rows == 0:
        return np.empty(0, "float32")
    size = min(batch_size, rows)
    model.jit_compile = compiled()
    while True:
        try:
            # The last batch is filled up: another shape would be compiled anew.
            filled = np.minimum(np.arange(math.ceil(rows / size) * size), rows - 1)
            batches = Rows(_Filled(inputs, filled), batch_size=size)
            found = model.predict(batches, verbose=0)
            return np.asarray(found, "float32")[:rows, 0]
        except Exception as error:
            if not out_of_memory(error) or size == 1:
                raise
            size //= 2


class _Filled:
    """An array seen through a list of its rows, copied a batch at a time."""

    def __init__(self, inputs, rows):
        self.inputs, self.rows = inputs, rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, taken):
        return self.inputs[self.rows[taken]]
