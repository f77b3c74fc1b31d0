"""A network for codes as they are: one embedding for each variable.

A text image shows a network the digits of 28 codes; this is what remains of the idea
when the picture is left out.  Every level of every variable has a short vector of its
own, learned with the rest (Guo and Berkhahn 2016).  Taught in
``a08_experiment_1_side_by_side``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from sudlib import images
from sudlib.networks import training

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
    """Small integers in, one learned vector for each out.

    Parameters
    ----------
    levels : sequence of int
        How many levels each variable has.
    width : int, default=8
        Length of every vector.
    **kwargs
        Of ``keras.layers.Layer``.

    Notes
    -----
    Input of shape (n, variables), output of shape (n, variables, width).  All vectors
    stand in one table, those of the second variable below those of the first.

    References
    ----------
    Guo and Berkhahn (2016), Entity embeddings of categorical variables.
    """

    def __init__(self, levels: Sequence[int], width: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels, self.width = tuple(int(number) for number in levels), int(width)
        self.first = np.cumsum((0, *self.levels[:-1])).astype("int32")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the table of vectors.

        Parameters
        ----------
        input_shape : tuple
            Of the inputs, the number of records unknown.
        """
        self.vectors = self.add_weight(
            shape=(sum(self.levels), self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.3),
            name="vectors",
        )

    def call(self, codes: Any) -> Any:
        """Return the vectors of these levels.

        Parameters
        ----------
        codes : tensor of shape (n, variables)
            Levels of a batch of records.

        Returns
        -------
        tensor
        """
        rows = keras.ops.cast(codes, "int32") + self.first
        return keras.ops.take(self.vectors, rows, axis=0)

    def batch_multiply_adds(self) -> int:
        """Return the multiplications of one batch: looking up needs none.

        Returns
        -------
        int
        """
        return 0

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple:
        """Return the shape of what :meth:`call` returns.

        Parameters
        ----------
        input_shape : tuple
            Of the inputs, the number of records unknown.

        Returns
        -------
        tuple
        """
        return (*input_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer.

        Returns
        -------
        dict
        """
        return {**super().get_config(), "levels": self.levels, "width": self.width}


def embedding_network(
    levels: Sequence[int] | None = None,
    *,
    width: int = 8,
    hidden: Sequence[int] = (128, 64),
    dropout: float = 0.25,
) -> keras.Model:
    """Return an untrained network: embeddings, dense layers, one logit.

    Its first weights depend on ``keras.utils.set_random_seed``.

    Parameters
    ----------
    levels : sequence of int, optional
        Levels of each variable; by default those of the study's 28.
    width : int, default=8
        Length of the vector of a level.
    hidden : sequence of int, default=(128, 64)
        Widths of the dense layers.
    dropout : float, default=0.25
        After the embeddings and each dense layer.

    Returns
    -------
    keras.Model
        Takes codes of shape (n, variables), as :func:`sudlib.images.encode` makes them.
    """
    levels = images.levels() if levels is None else tuple(levels)
    codes = keras.Input((len(levels),), dtype="uint8", name="codes")
    x = keras.layers.Flatten()(EntityEmbedding(levels, width)(codes))
    x = keras.layers.Dropout(dropout)(x)
    for units in hidden:
        x = keras.layers.Dense(units, activation="relu")(x)
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(codes, keras.layers.Dense(1, name="logit")(x))
