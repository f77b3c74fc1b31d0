"""A network for codes as they are: one embedding for each variable.

A text image shows a network the digits of 28 codes; this is what remains of the idea
when the picture is left out.  Every level of every variable has a short vector of its
own, learnt with the rest (Guo and Berkhahn 2016).  Taught in the notebook *Experiment 1
side by side*.
"""

import keras
import numpy as np
import pandas as pd

from sudlib import images
from sudlib.files import InputError
from sudlib.networks import training
from sudlib.networks.estimator import CodesClassifier

#: What the repaired pages train it with.
RECIPE = training.Recipe(
    epochs=15,
    batch_size=128,
    learning_rate=3e-3,
    optimizer="adamw",
    schedule="cosine",
    weight_decay=1e-2,
    patience=15,
)


@keras.saving.register_keras_serializable("sudlib")
class EntityEmbedding(keras.layers.Layer):
    """Small integers in, one learnt vector for each out.

    Parameters
    ----------
    levels : sequence of int
        How many levels each variable has.
    width : int, default=8
        Length of every vector.

    Notes
    -----
    Input of shape (n, variables), output of shape (n, variables, width).  All vectors
    stand in one table, those of the second variable below those of the first.
    """

    def __init__(self, levels, width=8, **keywords):
        super().__init__(**keywords)
        self.levels, self.width = tuple(int(number) for number in levels), int(width)
        self.first = np.cumsum((0, *self.levels[:-1])).astype("int32")

    def build(self, input_shape):
        """Make the table of vectors."""
        self.vectors = self.add_weight(
            shape=(sum(self.levels), self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.3),
            name="vectors",
        )

    def call(self, codes):
        """Return the vectors of these levels."""
        rows = keras.ops.cast(codes, "int32") + self.first
        return keras.ops.take(self.vectors, rows, axis=0)

    def compute_output_shape(self, input_shape):
        """Return the shape of what :meth:`call` returns."""
        return (*input_shape, self.width)

    def get_config(self):
        """Return what rebuilds the layer."""
        return {**super().get_config(), "levels": self.levels, "width": self.width}


def embedding_network(levels=None, *, width=8, hidden=(128, 64), dropout=0.25, seed=33):
    """Return an untrained network: embeddings, dense layers, one logit.

    Parameters
    ----------
    levels : sequence of int, optional
        Levels of each variable; by default those of the study's 28.
    width : int, default=8
        Length of the vector of a level.
    hidden : tuple of int, default=(128, 64)
        Widths of the dense layers.
    dropout : float, default=0.25
        After the embeddings and each dense layer.
    seed : int, default=33
        Of the weights at the start.

    Returns
    -------
    keras.Model
        Takes codes of shape (n, variables), as :func:`sudlib.images.codes.encode` makes them.
    """
    levels = images.levels() if levels is None else tuple(levels)
    keras.utils.set_random_seed(seed)
    codes = keras.Input((len(levels),), dtype="uint8", name="codes")
    found = keras.layers.Flatten()(EntityEmbedding(levels, width)(codes))
    found = keras.layers.Dropout(dropout)(found)
    for units in hidden:
        found = keras.layers.Dense(units, activation="relu")(found)
        found = keras.layers.Dropout(dropout)(found)
    return keras.Model(codes, keras.layers.Dense(1, name="logit")(found))


def as_codes(people):
    """Return the small integers of records; an array must be of uint8 already."""
    if not isinstance(people, pd.DataFrame):
        people, wanted = np.asarray(people), len(images.VARIABLES)
        if people.dtype != np.uint8 or people.ndim != 2 or people.shape[1] != wanted:
            raise InputError(
                f"codes must be an array of uint8 with {wanted} columns, as"
                f" images.encode makes it, not {people.dtype} of shape {people.shape}"
            )
    return images.as_codes(people)


class EmbeddingNetwork(CodesClassifier):
    """The network of :func:`embedding_network` as an estimator of scikit-learn.

    Parameters
    ----------
    width : int, default=8
    hidden : tuple of int, default=(128, 64)
    dropout : float, default=0.25
    recipe : sudlib.networks.training.Recipe, optional
        By default :data:`RECIPE`.
    seed : int, default=33
    folder : path-like, optional
        As for :func:`sudlib.networks.training.train`.
    distribution : optional
        As for :func:`sudlib.networks.training.train`.

    Attributes
    ----------
    model_ : keras.Model
    training_ : sudlib.networks.training.Training
    history_ : pandas.DataFrame
    classes_ : numpy.ndarray
        0 and 1.
    """

    _codes = staticmethod(as_codes)

    def __init__(
        self,
        width=8,
        hidden=(128, 64),
        dropout=0.25,
        recipe=None,
        seed=33,
        folder=None,
        distribution=None,
    ):
        self.width = width
        self.hidden = hidden
        self.dropout = dropout
        self.recipe = recipe
        self.seed = seed
        self.folder = folder
        self.distribution = distribution

    def fit(self, people, completed, watch=None):
        """Return the network, trained.

        Parameters
        ----------
        people : pandas.DataFrame, or array of uint8 of shape (n, 28)
            Records, or what :func:`sudlib.images.codes.encode` makes of them.
        completed : array-like of 0 and 1
        watch : tuple of people and completed, optional
            Rows whose loss picks the epoch; by default 30 of 100 rows are set aside.
        """
        codes, completed = self._pair(people, completed)
        if watch is None:
            fit, watched = training.split_watch(np.arange(len(codes)))
            watch = codes[watched], completed[watched]
            codes, completed = codes[fit], completed[fit]
        else:
            watch = self._pair(*watch)
        model = embedding_network(
            width=self.width, hidden=self.hidden, dropout=self.dropout, seed=self.seed
        )
        return self._train(
            model, codes, completed, watch=watch, recipe=self.recipe or RECIPE
        )
