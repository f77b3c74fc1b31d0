"""Transfer of a network from one cohort to another.

A source network, trained on many people of one kind, meets few people of another.
Five things can be done, from nothing to everything: apply it as it is, fit the two
numbers that turn its logit into a probability, train a new head on its last features,
train all of it further, or train a network from scratch.  Each is one function, and
each says how many weights it trained.  Taught in ``a09_methadone_transfer`` and
``a10_heroin_to_other_opioids``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sudlib.files import InputError
from sudlib.images import TextImage
from sudlib.networks import training
from sudlib.networks.batches import check_pair, predict
from sudlib.networks.heads import check_both_outcomes
from sudlib.validation import check_seed, check_whole

Array = NDArray[Any]

#: Fine-tuning from end to end: a tenth of the study's learning rate, fewer epochs.
FINE_TUNING = training.Recipe(
    epochs=8, learning_rate=1e-4, optimizer="adamw", weight_decay=1e-2, patience=3
)

#: A small network of ours, trained from scratch on few records.
FEW_RECORDS = training.Recipe(
    epochs=20,
    batch_size=64,
    learning_rate=2e-3,
    optimizer="adamw",
    schedule="cosine",
    weight_decay=2e-2,
    patience=10,
)

#: The same network, trained further from a source.
FEW_RECORDS_FURTHER = replace(FEW_RECORDS, epochs=8, learning_rate=5e-4, patience=8)


def samples(
    people: int, size: int, draws: int, seed: int = 33
) -> list[tuple[NDArray[np.int_], NDArray[np.int_]]]:
    """Return training and test rows of several samples of a population.

    The first sample is the study's, split by scikit-learn as in its notebook, which
    sets the seed 33 twice.  No person is in two samples as long as there are enough
    people.

    Parameters
    ----------
    people : int
        Size of the population.
    size : int
        People of a sample, at least 2: its first half trains, its second half tests.
    draws : int
        Number of samples.
    seed : int, default=33
        Of the draws.

    Returns
    -------
    list of tuple of numpy.ndarray

    Raises
    ------
    InputError
        If a sample is larger than the population.

    Examples
    --------
    >>> [(len(train), len(test)) for train, test in samples(100, 10, 2)]
    [(5, 5), (5, 5)]
    """
    check_whole("size", size, 2, people)
    random, everybody = np.random.default_rng(check_seed(seed)), np.arange(people)
    first, unused = everybody, everybody[:0]
    if size < people:
        unused, first = train_test_split(everybody, test_size=size, random_state=seed)
    drawn = [tuple(train_test_split(first, test_size=0.5, random_state=seed))]
    for _ in range(draws - 1):
        if len(unused) < size:
            unused = random.permutation(people)
        rows, unused = unused[:size], unused[size:]
        drawn.append((rows[: size // 2], rows[size // 2 :]))
    return drawn


@dataclass(frozen=True)
class Transferred:
    """A network moved to a target cohort, and how it was trained there.

    Attributes
    ----------
    model : keras.Model
        Ends in one logit.
    training : sudlib.networks.training.Training or None
        Where Keras trained it.
    """

    model: keras.Model
    training: training.Training | None = None

    @property
    def trained(self) -> int:
        """Weights that could change on the target rows."""
        return count_trainable(self.model)

    def logits(self, inputs: Array) -> NDArray[np.float32]:
        """Return the logit of each row.

        Parameters
        ----------
        inputs : array of shape (n, ...)
            What the network takes.

        Returns
        -------
        numpy.ndarray of shape (n,)
        """
        return training.logits(self.model, inputs)

    def probabilities(self, inputs: Array) -> NDArray[np.float64]:
        """Return the probability of completion for each row.

        Parameters
        ----------
        inputs : array of shape (n, ...)
            What the network takes.

        Returns
        -------
        numpy.ndarray of shape (n,)
        """
        return training.probabilities(self.model, inputs)


def count_trainable(model: keras.Model) -> int:
    """Return how many weights of a model training may change.

    Parameters
    ----------
    model : keras.Model
        Built.

    Returns
    -------
    int
    """
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def last_layer(model: keras.Model) -> keras.layers.Dense:
    """Return the dense layer that makes the model's one logit.

    Parameters
    ----------
    model : keras.Model
        A source network.

    Returns
    -------
    keras.layers.Dense

    Raises
    ------
    InputError
        If the model ends in anything else.
    """
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.units != 1:
        raise InputError(
            "the source network must end in a dense layer with one unit, not in"
            f" {type(last).__name__} {last.name!r}"
        )
    return last


def features_of(source: keras.Model) -> keras.Model:
    """Return the source network up to the features that its last layer reads.

    Parameters
    ----------
    source : keras.Model
        Ends in one logit.

    Returns
    -------
    keras.Model
        It shares the weights of the source.
    """
    return keras.Model(source.input, last_layer(source).input)


def redraw(model: keras.Model, picture: TextImage) -> keras.Model:
    """Return the same network with the same weights that draws its records otherwise.

    Parameters
    ----------
    model : keras.Model
        One of its layers holds a picture, as those of :mod:`sudlib.networks.layers` and
        :mod:`sudlib.networks.atlas` do.
    picture : sudlib.images.TextImage
        Of the same height and width.

    Returns
    -------
    keras.Model

    Raises
    ------
    InputError
        If no layer holds a picture, or the sizes differ.
    """
    replaced = []

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if isinstance(getattr(layer, "picture", None), TextImage):
            if layer.picture.shape != picture.shape:
                raise InputError(
                    f"the picture must be of the size the network reads,"
                    f" {layer.picture.shape}, not {picture.shape}"
                )
            replaced.append(layer.name)
            config["picture"] = picture.to_config()
        return layer.__class__.from_config(config)

    redrawn = keras.models.clone_model(model, clone_function=clone)
    if not replaced:
        raise InputError("none of the network's layers draws a picture")
    redrawn.set_weights(model.get_weights())
    return redrawn


def _copy(model: keras.Model) -> keras.Model:
    """Return a model like this one with the same weights, all of them its own."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _replace_top(base: keras.Model, top: keras.layers.Layer) -> keras.Model:
    """Return a frozen copy of a network under a new last layer."""
    frozen = _copy(base)
    frozen.trainable = False
    return keras.Model(frozen.input, top(frozen.output))


def zero_shot(
    source: keras.Model,
    inputs: Array | None = None,
    completed: ArrayLike | None = None,
    **settings: Any,
) -> Transferred:
    """Return the source network with a new top that holds no weights.

    This is how the study moved its network to the methadone cohort: the last layers
    were replaced by an activation.  With rows it is "trained", and nothing changes.

    Parameters
    ----------
    source : keras.Model
        Ends in one logit.
    inputs, completed : array and array-like, optional
        Target rows and outcomes; without them nothing is run.
    **settings
        For :func:`sudlib.networks.training.train`.

    Returns
    -------
    Transferred
    """
    last_layer(source)
    model = _replace_top(source, keras.layers.Activation("linear", name="new_top"))
    if inputs is None or completed is None:
        return Transferred(model)
    return Transferred(model, training.train(model, inputs, completed, **settings))


def platt(
    source: keras.Model,
    inputs: Array,
    completed: ArrayLike,
    *,
    recipe: training.Recipe | None = None,
    start: float | None = None,
    validation_data: training.Pair | None = None,
    seed: int = 33,
    **settings: Any,
) -> Transferred:
    """Return the source network with a dense layer of one unit on its old logit.

    Slope and intercept: Platt scaling.  A positive slope keeps the order of the
    people, and with it the precision-recall curve.

    Parameters
    ----------
    source : keras.Model
        Ends in one logit.
    inputs : array
        Target rows.
    completed : array-like of 0 and 1
        Their outcomes.
    recipe : Recipe, optional
        Trains as the study did, with Keras; without it the two numbers maximise the
        likelihood exactly.
    start : float, optional
        The first slope; without it Keras draws one, which may be negative.
    validation_data : tuple of (inputs, outcomes), optional
        Picks the epoch; without a recipe it joins the other rows.
    seed : int, default=33
        Draws the order of the rows, and the first slope where none is given.
    **settings
        For :func:`sudlib.networks.training.train`.

    Returns
    -------
    Transferred
        Its model's last layer holds the two numbers.

    References
    ----------
    Platt (2000), Probabilities for SV machines.
    """
    last_layer(source)
    check_pair(inputs, completed)
    outcome, history = check_both_outcomes(completed), None
    # The frozen network gives the same logits in every epoch: computed once.
    logits = predict(source, inputs)
    if validation_data is not None:
        watched, ends = check_pair(*validation_data, ("validation inputs", "outcomes"))
        validation_data = predict(source, watched), ends
    if recipe is None:
        if validation_data is not None:
            logits = np.concatenate([logits, validation_data[0]])
            outcome = np.append(outcome, validation_data[1])
        regression = LogisticRegression(C=np.inf).fit(logits, outcome)
        weights = [regression.coef_, regression.intercept_]
    else:
        keras.utils.set_random_seed(seed)
        small = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        if start is not None:
            small.set_weights([np.array([[start]]), np.zeros(1)])
        settings |= {"validation_data": validation_data, "recipe": recipe, "seed": seed}
        history = training.train(small, logits, outcome, **settings)
        weights = small.get_weights()
    top = keras.layers.Dense(1, name="new_logit")
    model = _replace_top(source, top)
    top.set_weights(weights)
    return Transferred(model, history)


def unfrozen(
    source: keras.Model,
    inputs: Array,
    completed: ArrayLike,
    *,
    recipe: training.Recipe = FINE_TUNING,
    **settings: Any,
) -> Transferred:
    """Return the source network trained further, from end to end, at a low rate.

    Parameters
    ----------
    source : keras.Model
        Ends in one logit; it stays as it is, a copy is trained.
    inputs : array
        Target rows.
    completed : array-like of 0 and 1
        Their outcomes.
    recipe : Recipe, default=FINE_TUNING
        Hyperparameters.
    **settings
        For :func:`sudlib.networks.training.train`.

    Returns
    -------
    Transferred
    """
    last_layer(source)
    model, outcome = _copy(source), check_both_outcomes(completed)
    history = training.train(model, inputs, outcome, recipe=recipe, **settings)
    return Transferred(model, history)


def from_scratch(
    source: keras.Model,
    inputs: Array,
    completed: ArrayLike,
    *,
    seed: int = 33,
    **settings: Any,
) -> Transferred:
    """Return a network of the same architecture that has never seen the source.

    The control of every transfer.

    Parameters
    ----------
    source : keras.Model
        Only its architecture is used.
    inputs : array
        Target rows.
    completed : array-like of 0 and 1
        Their outcomes.
    seed : int, default=33
        Of the first weights, the order of the rows and dropout.
    **settings
        For :func:`sudlib.networks.training.train`.

    Returns
    -------
    Transferred
    """
    last_layer(source)
    keras.utils.set_random_seed(seed)
    model, outcome = keras.models.clone_model(source), check_both_outcomes(completed)
    history = training.train(model, inputs, outcome, seed=seed, **settings)
    return Transferred(model, history)
