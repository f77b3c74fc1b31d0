"""The last stages of a base, tuned to pictures of records.

Study A fine-tuned ResNet50, and the notebook is lost.  What stands here is a documented
recipe: first a head on the frozen base, then head and last stage together, at a low
rate, with batch normalisation frozen.  What lies before that stage never changes, so
its maps are computed once (:func:`sudlib.networks.feature_cache.compute`) and only the rest
is trained: the same function, for a fraction of the work.  Taught in
``a06_fine_tuning``.
"""

import time
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import layers
from sklearn.metrics import log_loss

from sudlib.files import InputError
from sudlib.networks import training
from sudlib.networks.layers import DrawRecords

NORMS = ("frozen", "trained")


@dataclass(frozen=True)
class Way:
    """One reasonable way to fine-tune: the choices that a text rarely prints.

    Attributes
    ----------
    stages : {1, 2}
        Last stages that are trained.
    learning_rate : float
    epochs : int
        At most; the best epoch on the watched people is kept.
    norm : {"frozen", "trained"}
        Batch normalisation: frozen keeps the averages learned from photographs.
    warm_up : bool
        Whether the head is trained before the stages are.
    may_stay : bool
        Whether the network as it was before counts as an epoch too, so that what does
        harm on the watched people is not kept.
    """

    stages: int = 1
    learning_rate: float = 1e-5
    epochs: int = 3
    norm: str = "frozen"
    warm_up: bool = True
    may_stay: bool = True

    def __post_init__(self):
        if self.stages not in (1, 2):
            raise InputError(f"stages must be 1 or 2, not {self.stages!r}")
        if self.norm not in NORMS:
            raise InputError(
                f"norm must be one of {', '.join(NORMS)}, not {self.norm!r}"
            )

    def recipe(self, **more):
        """Return it as a recipe for :func:`sudlib.networks.training.train`."""
        return training.Recipe(
            epochs=self.epochs, learning_rate=self.learning_rate, **more
        )


#: Ours: the steps and the rate of Keras' guide to transfer learning.
DOCUMENTED = Way()


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
        Loss of the watched people before.
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
    def loss(self):
        """The loss of the watched people with the weights that are kept."""
        if self.best_epoch == 0:
            return self.start_loss
        return float(self.course.history["val_loss"].min())


def top_of(base, way=DOCUMENTED, *, start=None, seed=33):
    """Return what is trained: the last stages of a base, an average, and one logit.

    Parameters
    ----------
    base : sudlib.networks.backbones.Base
        It stays as it is: the stages are copies.
    way : Way
    start : list of array, optional
        Kernel and bias of the logit after its warm-up; without it they are random.
    seed : int, default=33

    Returns
    -------
    keras.Model
        From the map before these stages to one logit.
    """
    _, tail = base.cut(way.stages)
    for layer in tail.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = way.norm == "trained"
    pooled = layers.GlobalAveragePooling2D(name="average")(tail.output)
    initial = keras.initializers.GlorotUniform(seed)
    logit = layers.Dense(1, kernel_initializer=initial, name="logit")
    model = keras.Model(tail.input, logit(pooled))
    if start is not None:
        logit.set_weights(start)
    return model


def averages(top, maps, batch_size=64):
    """Return the averaged last map: the features that a frozen base would give.

    Parameters
    ----------
    top : keras.Model
        From :func:`top_of`.
    maps : numpy.ndarray
        Maps before its stages.
    batch_size : int, default=64
    """
    pooled = keras.Model(top.input, top.get_layer("average").output)
    # Compiled as training is, so that TensorFlow keeps to its own convolutions.
    pooled.compile(jit_compile=training.compiled())
    return pooled.predict(maps, batch_size=batch_size, verbose=0)


def tune(top, inputs, completed, watch, way=DOCUMENTED, *, seed=33, **more):
    """Return the top trained one way; the model given is the one trained.

    Parameters
    ----------
    top : keras.Model
        From :func:`top_of`, or a whole network from :func:`whole`.
    inputs : numpy.ndarray
        Maps for the first, codes for the second.
    completed : array-like of 0 and 1
    watch : tuple of inputs and completed
    way : Way
    seed : int, default=33
    **more
        For :func:`sudlib.networks.training.train`; ``batch_size`` and ``precision``
        go into the recipe.

    Returns
    -------
    Tuned
    """
    begin = time.perf_counter()
    named = {key: more.pop(key) for key in ("batch_size", "precision") if key in more}
    trained = sum(int(np.prod(each.shape)) for each in top.trainable_variables)
    before = top.get_weights()
    score = training.probabilities(top, watch[0], batch_size=32)
    start_loss = float(log_loss(watch[1], score, labels=[0, 1]))
    course = training.train(
        top,
        inputs,
        completed,
        watch=watch,
        recipe=way.recipe(**named),
        seed=seed,
        **more,
    )
    best_epoch = course.best_epoch
    if way.may_stay and start_loss <= course.history["val_loss"].min():
        top.set_weights(before)
        best_epoch = 0
    seconds = time.perf_counter() - begin
    return Tuned(top, course, trained, start_loss, best_epoch, seconds)


def whole(base, picture, top, stages=1):
    """Return the whole network, from codes to the logit: drawing, trunk, top.

    For more records than whose maps can be kept, on a GPU.  Training it trains the
    same weights in the same steps as training the top on kept maps: the trunk is
    frozen and its normalisation with it.

    Parameters
    ----------
    base : sudlib.networks.backbones.Base
    picture : sudlib.images.text_image.TextImage
    top : keras.Model
        From :func:`top_of`, with the same number of stages.
    stages : {1, 2}

    Returns
    -------
    keras.Model
    """
    trunk, _ = base.cut(stages)
    codes = keras.Input((28,), dtype="uint8", name="codes")
    drawn = DrawRecords(picture, channels=1)(codes)
    return keras.Model(codes, top(trunk(drawn, training=False)))
