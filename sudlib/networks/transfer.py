"""From one cohort to another: what a network carries over.

A source network, trained on many people of one kind, meets few people of another.
Five things can be done with it, from nothing to everything: apply it as it is, fit the
two numbers that turn its logit into a probability, train a new head on its last
features, train all of it on, or forget it and begin anew.  Each is one function, and
each says how many weights it trained.  Taught in the notebooks *Methadone* and *Heroin
to other opioids*.
"""

import dataclasses
import time
from dataclasses import dataclass, field
from functools import partial

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from sudlib.files import InputError
from sudlib.images import TextImage
from sudlib.networks import training
from sudlib.networks.heads import _both, logistic_head

#: Fine-tuning from end to end: a tenth of the study's rate, for fewer epochs.
FINE_TUNING = training.Recipe(
    epochs=8, learning_rate=1e-4, optimizer="adamw", weight_decay=1e-2, patience=3
)


#: A small network of ours on few people, begun anew.
ANEW = training.Recipe(
    epochs=20,
    batch_size=64,
    learning_rate=2e-3,
    optimizer="adamw",
    schedule="cosine",
    weight_decay=2e-2,
    patience=10,
)


#: The same network, carried on from a source.
ON = dataclasses.replace(ANEW, epochs=8, learning_rate=5e-4, patience=8)


@dataclass(frozen=True)
class Effort:
    """How much of the work one size of a page on transfer does.

    Attributes
    ----------
    records : int or None
        Made-up records drawn for a year; None draws as many as the agency's file has.
    source : int or None
        People of the source that every arm but the study's network learns from.
    pictures : int or None
        People of the source that the study's network learns from.
    side : int or None
        Side of its pictures in pixels; None is the study's 250.
    epochs : int
        Of its training on the source.
    draws : int
        Samples of the target.
    trained : int
        On how many of them it is trained from end to end.
    trees : float
        Every number of a forest's trees is multiplied by this.
    reported : int or None
        People of a target without samples that are reported on; None is all.
    """

    records: int | None
    source: int | None
    pictures: int | None
    side: int | None
    epochs: int
    draws: int
    trained: int
    trees: float
    reported: int | None = None


#: Quick shrinks the study's network most: on a processor no other arm is as slow.
EFFORTS = {
    ("heroin", "quick"): Effort(175_000, 8_000, 4_000, 46, 6, 10, 1, 0.1),
    ("heroin", "paper"): Effort(None, None, None, None, 15, 10, 10, 1),
    ("methadone", "quick"): Effort(170_000, 8_000, 4_000, 46, 4, 4, 1, 0.1, 3_000),
    ("methadone", "paper"): Effort(None, None, None, None, 15, 20, 5, 1),
}


def samples(people, size, draws, seed=33):
    """Return rows to learn from and rows to report on, for several samples.

    No person is in two samples as long as there are enough people.

    Parameters
    ----------
    people : int
        How many there are.
    size : int
        People of a sample; its first half learns, its second half reports.
    draws : int
        Samples.
    seed : int, default=33

    Returns
    -------
    list of tuple of numpy.ndarray

    Examples
    --------
    >>> [(len(learn), len(report)) for learn, report in samples(100, 10, 2)]
    [(5, 5), (5, 5)]
    """
    if not 2 <= size <= people:
        raise InputError(
            f"a sample must have from 2 to {people:,} people, all there are, not {size}"
        )
    random, found, left = np.random.default_rng(seed), [], np.empty(0, int)
    for _ in range(draws):
        if len(left) < size:
            left = random.permutation(people)
        rows, left = left[:size], left[size:]
        found.append((rows[: size // 2], rows[size // 2 :]))
    return found


@dataclass(frozen=True)
class Carried:
    """A source network on a target cohort, and what was trained there.

    Attributes
    ----------
    arm : str
        The function that made it.
    model : keras.Model
        Ends in one logit.
    trained : int
        Weights that could change on the target rows.
    rows : int
        Target rows they could learn from.
    training : sudlib.networks.training.Training or None
        Where Keras trained them.
    seconds : float
    """

    arm: str
    model: keras.Model = field(repr=False)
    trained: int
    rows: int
    training: "training.Training | None" = field(repr=False)
    seconds: float

    def logits(self, inputs):
        """Return the logit of each row."""
        return training.logits(self.model, inputs)

    def score(self, inputs):
        """Return the probability of completion for each row."""
        return training.probabilities(self.model, inputs)


def trainable(model):
    """Return how many weights of a model training may change."""
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))


def last_layer(model):
    """Return the dense layer that makes the model's one logit, or say what is amiss."""
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.units != 1:
        raise InputError(
            "the source network must end in a dense layer with one unit, not in"
            f" {type(last).__name__} {last.name!r}"
        )
    return last


def copy(model):
    """Return a model like this one with the same weights, all of them its own."""
    made = keras.models.clone_model(model)
    made.set_weights(model.get_weights())
    return made


def fresh(model, seed=33):
    """Return a model like this one with new random weights."""
    keras.utils.set_random_seed(seed)
    return keras.models.clone_model(model)


def redraw(model, picture):
    """Return the same network, weights and all, that draws its records otherwise.

    Parameters
    ----------
    model : keras.Model
        A layer of it holds a picture, as :class:`sudlib.networks.layers.DrawRecords`
        and the layers of :mod:`sudlib.networks.architectures` do.
    picture : sudlib.images.text_image.TextImage
        Of the same height and width.

    Returns
    -------
    keras.Model
    """
    replaced = []

    def swap(layer):
        settings = layer.get_config()
        if isinstance(getattr(layer, "picture", None), TextImage):
            if layer.picture.shape != picture.shape:
                raise InputError(
                    f"the picture must be of the size the network reads,"
                    f" {layer.picture.shape}, not {picture.shape}"
                )
            replaced.append(layer.name)
            settings["picture"] = picture.to_config()
        return layer.__class__.from_config(settings)

    made = keras.models.clone_model(model, clone_function=swap)
    if not replaced:
        raise InputError("none of the network's layers draws a picture")
    made.set_weights(model.get_weights())
    return made


def _frozen(model):
    """Return a copy that training leaves as it is."""
    made = copy(model)
    made.trainable = False
    return made


def zero_shot(source, inputs=None, completed=None, *, watch=None, recipe=None, seed=33):
    """Return the source network with a new top that holds no weights.

    So the study moved its network to the methadone cohort: the last layers were
    replaced by an activation.  With rows it is "trained", and nothing changes.

    Parameters
    ----------
    source : keras.Model
        Ends in one logit.
    inputs, completed, watch, recipe, seed : optional
        As for :func:`sudlib.networks.training.train`; without inputs nothing is run.

    Returns
    -------
    Carried
    """
    begin = time.perf_counter()
    last_layer(source)
    base = _frozen(source)
    top = keras.layers.Activation("linear", name="new_top")(base.output)
    model = keras.Model(base.input, top)
    kept = None
    if inputs is not None:
        kept = training.train(
            model, inputs, completed, watch=watch, recipe=recipe, seed=seed
        )
    rows = 0 if inputs is None else len(inputs)
    return _carried("zero_shot", model, rows, kept, begin)


def _carried(arm, model, rows, kept, begin):
    return Carried(
        arm=arm,
        model=model,
        trained=trainable(model),
        rows=rows,
        training=kept,
        seconds=time.perf_counter() - begin,
    )


def platt(source, inputs, completed, *, watch=None, recipe=None, seed=33, start=None):
    """Return the source network with a dense layer of one unit on its old logit.

    Slope and intercept: Platt scaling (Platt 2000).  A rising line keeps the order of
    the people, and with it the precision-recall curve.

    Parameters
    ----------
    source : keras.Model
    inputs : array
        Target rows.
    completed : array-like of 0 and 1
    watch : tuple of inputs and completed, optional
    recipe : Recipe, optional
        Trains as the study did, with Keras; without it the two numbers are those of
        the exact maximum of the likelihood.
    seed : int, default=33
        Of the slope at the start, which Keras draws at random, and of the order.
    start : float, optional
        The slope at the start, instead.

    Returns
    -------
    Carried
        Its model's last layer holds the two numbers.
    """
    begin = time.perf_counter()
    completed = _both(completed)
    last_layer(source)
    logits = training.logits(source, inputs)[:, None]
    kept = None
    if recipe is None:
        line = LogisticRegression(C=np.inf).fit(logits, completed)
        slope, intercept = line.coef_, line.intercept_
    else:
        # The frozen part gives the same logits in every epoch: they are computed once.
        watched = watch and (training.logits(source, watch[0])[:, None], watch[1])
        keras.utils.set_random_seed(seed)
        small = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        if start is not None:
            small.set_weights([np.array([[start]]), np.zeros(1)])
        kept = training.train(
            small, logits, completed, watch=watched, recipe=recipe, seed=seed
        )
        slope, intercept = small.get_weights()
    base = _frozen(source)
    top = keras.layers.Dense(1, name="platt")
    model = keras.Model(base.input, top(base.output))
    top.set_weights([np.reshape(slope, (1, 1)), np.reshape(intercept, 1)])
    return _carried("platt", model, len(inputs), kept, begin)


def slope_of(carried):
    """Return the slope that :func:`platt` found."""
    return float(last_layer(carried.model).get_weights()[0][0, 0])


def outputs(model, inputs, batch_size=256):
    """Return what a model makes of each row, whatever its shape."""
    size = min(batch_size, len(inputs))
    # The last batch is filled up: another shape would be compiled anew.
    spare = np.repeat(inputs[-1:], -len(inputs) % size, axis=0)
    model.jit_compile = training.compiled()
    found = model.predict(np.concatenate([inputs, spare]), batch_size=size, verbose=0)
    return np.asarray(found)[: len(inputs)]


def features_of(source):
    """Return the source network up to the features its last layer reads."""
    return keras.Model(source.input, last_layer(source).input)


def new_head(source, inputs, completed, *, watch=None, recipe=None, seed=33):
    """Return the source network with a new last layer, trained on its features.

    What :func:`platt` is often taken for.  The features are computed once; the head is
    a logistic regression on them, its penalty chosen by cross-validation.

    Parameters
    ----------
    source : keras.Model
    inputs : array
        Target rows.
    completed : array-like of 0 and 1
    watch : tuple of inputs and completed, optional
        Not needed for the exact head: these rows join the others.
    recipe, seed : optional
        With a recipe, Keras trains the head, and ``watch`` picks its epoch.

    Returns
    -------
    Carried
    """
    begin = time.perf_counter()
    completed = _both(completed)
    base = features_of(source)
    found = outputs(base, inputs)
    kept = None
    if recipe is None:
        if watch is not None:
            found = np.concatenate([found, outputs(base, watch[0])])
            completed = np.append(completed, np.asarray(watch[1]).astype(int))
        weights = logistic_head(found, completed)
    else:
        watched = watch and (outputs(base, watch[0]), watch[1])
        keras.utils.set_random_seed(seed)
        small = keras.Sequential([keras.Input(found.shape[1:]), keras.layers.Dense(1)])
        kept = training.train(
            small, found, completed, watch=watched, recipe=recipe, seed=seed
        )
        weights = small.get_weights()
    base = _frozen(base)
    top = keras.layers.Dense(1, name="new_head")
    model = keras.Model(base.input, top(base.output))
    top.set_weights(weights)
    return _carried("new_head", model, len(found), kept, begin)


def _end_to_end(arm, make, source, inputs, completed, settings):
    """Return a model made from the source, all of its weights trained by Keras."""
    begin = time.perf_counter()
    last_layer(source)
    model = make(source)
    kept = training.train(model, inputs, _both(completed), **settings)
    return _carried(arm, model, len(inputs), kept, begin)


def unfrozen(source, inputs, completed, *, watch=None, recipe=None, seed=33, **more):
    """Return the source network trained on, from end to end, at a low rate.

    Parameters
    ----------
    source : keras.Model
        Stays as it is: a copy is trained.
    inputs : array
        Target rows.
    completed : array-like of 0 and 1
    watch : tuple of inputs and completed, optional
    recipe : Recipe, optional
        By default :data:`FINE_TUNING`.
    seed : int, default=33
    **more
        For :func:`sudlib.networks.training.train`.

    Returns
    -------
    Carried
    """
    settings = {"watch": watch, "recipe": recipe or FINE_TUNING, "seed": seed, **more}
    return _end_to_end("unfrozen", copy, source, inputs, completed, settings)


def from_scratch(
    source, inputs, completed, *, watch=None, recipe=None, seed=33, **more
):
    """Return a network of the same build that has never seen the source.

    The control of every transfer.

    Parameters
    ----------
    source : keras.Model
        Only its build is used.
    inputs : array
        Target rows.
    completed : array-like of 0 and 1
    watch : tuple of inputs and completed, optional
    recipe : Recipe, optional
        By default the study's.
    seed : int, default=33
        Of the weights, too.
    **more
        For :func:`sudlib.networks.training.train`.

    Returns
    -------
    Carried
    """
    settings = {"watch": watch, "recipe": recipe, "seed": seed, **more}
    return _end_to_end(
        "from_scratch", partial(fresh, seed=seed), source, inputs, completed, settings
    )
