"""The last stages of a backbone, fine-tuned to pictures of records.

Study A fine-tuned ResNet50, and the notebook is lost.  What stands here is a documented
protocol: first a head on the frozen backbone, then head and last stage together, at a
low learning rate, with batch normalisation frozen.  What lies before that stage never
changes, so its maps are computed once (:func:`sudlib.networks.feature_cache.compute`)
and only the rest is trained: the same function, for a fraction of the work.  Taught in
``a06_fine_tuning``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import log_loss

from sudlib.images import TextImage
from sudlib.networks import training
from sudlib.networks.backbones import Base
from sudlib.networks.batches import predict
from sudlib.networks.layers import DrawRecords, codes_input
from sudlib.networks.transfer import count_trainable
from sudlib.validation import check_choice

NORMS = ("frozen", "trained")


@dataclass(frozen=True)
class Protocol:
    """One reasonable way to fine-tune: choices that a paper rarely prints.

    The steps and the learning rate are those of Keras's guide to transfer learning,
    which leaves open how much of the network is released.

    Parameters
    ----------
    stages : {1, 2}
        Last stages that are trained.
    learning_rate : float, default=1e-5
        Of Adam.
    epochs : int, default=3
        At most; the epoch with the lowest validation loss is kept.
    norm : {"frozen", "trained"}
        Batch normalisation: frozen keeps the averages learned from photographs.
    warm_up : bool, default=True
        Whether the head is trained before the stages are.
    may_stay : bool, default=True
        Whether the network before fine-tuning counts as an epoch too, so that what
        raises the validation loss is not kept.

    Raises
    ------
    InputError
        If a value is not one of these.
    """

    stages: int = 1
    learning_rate: float = 1e-5
    epochs: int = 3
    norm: str = "frozen"
    warm_up: bool = True
    may_stay: bool = True

    def __post_init__(self) -> None:
        check_choice("stages", self.stages, (1, 2))
        check_choice("norm", self.norm, NORMS)

    def recipe(self, **more: Any) -> training.Recipe:
        """Return it as a recipe for :func:`sudlib.networks.training.train`.

        Parameters
        ----------
        **more
            Further hyperparameters of the recipe.

        Returns
        -------
        sudlib.networks.training.Recipe
        """
        return training.Recipe(self.epochs, learning_rate=self.learning_rate, **more)


#: The steps and the learning rate of Keras's guide to transfer learning.
DOCUMENTED = Protocol()


@dataclass(frozen=True)
class Tuned:
    """What :func:`tune` returns.

    Attributes
    ----------
    model : keras.Model
        From the map before the trained stages to one logit.
    course : sudlib.networks.training.Training
        How training went.
    trained : int
        Weights that were trained.
    start_loss : float
        Validation loss before.
    best_epoch : int
        The epoch whose weights are kept; 0 if those from before are.
    seconds : float
        Of training.
    """

    model: keras.Model = field(repr=False)
    course: training.Training = field(repr=False)
    trained: int
    start_loss: float
    best_epoch: int
    seconds: float

    @property
    def loss(self) -> float:
        """The validation loss with the weights that are kept."""
        if self.best_epoch == 0:
            return self.start_loss
        return float(self.course.history["val_loss"].min())


def top_of(
    base: Base,
    protocol: Protocol = DOCUMENTED,
    *,
    start: list[NDArray[Any]] | None = None,
    seed: int = 33,
) -> keras.Model:
    """Return what is trained: the last stages of a backbone, an average, one logit.

    Parameters
    ----------
    base : sudlib.networks.backbones.Base
        It stays as it is: the stages are copies.
    protocol : Protocol, optional
        Says which stages, and what becomes of batch normalisation.
    start : list of array, optional
        Kernel and bias of the logit after its warm-up; without it they are random.
    seed : int, default=33
        Of the random kernel.

    Returns
    -------
    keras.Model
        From the map before these stages to one logit.
    """
    tail = base.tail(protocol.stages)
    for layer in tail.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = protocol.norm == "trained"
    pooled = layers.GlobalAveragePooling2D(name="average")(tail.output)
    initial = keras.initializers.GlorotUniform(seed)
    logit = layers.Dense(1, kernel_initializer=initial, name="logit")
    model = keras.Model(tail.input, logit(pooled))
    if start is not None:
        logit.set_weights(start)
    return model


def averages(
    top: keras.Model, maps: NDArray[np.floating], batch_size: int = 64
) -> NDArray[np.floating]:
    """Return the averaged last map: the features that a frozen backbone would give.

    Parameters
    ----------
    top : keras.Model
        From :func:`top_of`.
    maps : numpy.ndarray
        Maps before its stages.
    batch_size : int, default=64
        At most.

    Returns
    -------
    numpy.ndarray of shape (n, channels)
    """
    average = keras.Model(top.input, top.get_layer("average").output)
    return predict(average, maps, batch_size)


def next_maps(
    base: Base, maps: NDArray[np.floating], batch_size: int = 64
) -> NDArray[np.floating]:
    """Return the maps before the last stage, from those before the last two.

    Parameters
    ----------
    base : sudlib.networks.backbones.Base
        The backbone that made the maps.
    maps : numpy.ndarray
        From :func:`sudlib.networks.feature_cache.compute` with ``stages=2``.
    batch_size : int, default=64
        At most.

    Returns
    -------
    numpy.ndarray
        What ``stages=1`` gives, up to rounding, without going through all of the
        network again.
    """
    tail = base.tail(2)
    between = tail.get_layer(base.before(1)).output
    return predict(keras.Model(tail.input, between), maps, batch_size)


def tune(
    top: keras.Model,
    inputs: NDArray[Any],
    completed: ArrayLike,
    validation_data: tuple[NDArray[Any], ArrayLike],
    protocol: Protocol = DOCUMENTED,
    *,
    batch_size: int = 32,
    precision: str = "float32",
    **settings: Any,
) -> Tuned:
    """Return the top fine-tuned by a protocol; the model given is trained in place.

    Parameters
    ----------
    top : keras.Model
        From :func:`top_of`, or a whole network from :func:`whole`.
    inputs : numpy.ndarray
        Maps for the first, codes for the second.
    completed : array-like of 0 and 1
        Outcomes.
    validation_data : tuple of inputs and completed
        Its loss picks the epoch.
    protocol : Protocol, optional
        Learning rate, epochs, and whether the network may stay as it was.
    batch_size, precision : int and str
        Of the recipe: see :class:`sudlib.networks.training.Recipe`.
    **settings
        For :func:`sudlib.networks.training.train`.

    Returns
    -------
    Tuned
    """
    begin = time.perf_counter()
    before = top.get_weights()
    score = training.probabilities(top, validation_data[0], batch_size=32)
    start_loss = float(log_loss(validation_data[1], score, labels=[0, 1]))
    recipe = protocol.recipe(batch_size=batch_size, precision=precision)
    settings |= {"validation_data": validation_data, "recipe": recipe}
    course = training.train(top, inputs, completed, **settings)
    best_epoch = course.best_epoch
    if protocol.may_stay and start_loss <= course.history["val_loss"].min():
        top.set_weights(before)
        best_epoch = 0
    seconds = time.perf_counter() - begin
    return Tuned(top, course, count_trainable(top), start_loss, best_epoch, seconds)


def whole(
    base: Base, picture: TextImage, top: keras.Model, stages: int = 1
) -> keras.Model:
    """Return the whole network, from codes to the logit: drawing, trunk, top.

    For more records than whose maps can be kept, on a GPU.  Training it trains the
    same weights in the same steps as training the top on kept maps: the trunk is
    frozen and its normalisation with it.

    Parameters
    ----------
    base : sudlib.networks.backbones.Base
        The backbone.
    picture : sudlib.images.TextImage
        Of the backbone's height and width.
    top : keras.Model
        From :func:`top_of`, with the same number of stages.
    stages : {1, 2}
        Stages of the top.

    Returns
    -------
    keras.Model
    """
    trunk = base.trunk(stages)
    codes = codes_input()
    drawn = DrawRecords(picture, channels=1)(codes)
    return keras.Model(codes, top(trunk(drawn, training=False)))
