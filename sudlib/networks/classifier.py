"""Networks on drawn records, as scikit-learn's estimators.

Taught in the notebook *A network from scratch*.
"""

import keras
import numpy as np

from sudlib.files import InputError
from sudlib.networks import architectures, flops, training
from sudlib.networks.estimator import CodesClassifier

#: What a network is, by its name, and how it is trained when nothing else is said.
ARCHITECTURES = {
    "published": training.Recipe(),
    "cells": architectures.CELL_RECIPE,
}


class PictureClassifier(CodesClassifier):
    """A network that reads records drawn as pictures.

    The pictures are drawn inside the network, from 28 small integers a record; none is
    kept, so memory does not grow with the number of records.

    Parameters
    ----------
    architecture : {"published", "cells"}
        The study's network from scratch, or ours that reads one cell at a time.
    picture : TextImage or str, optional
        What draws; by default the layout ``"general"``, and ``"grid"`` for cells.
    recipe : Recipe, optional
        How it is trained; by default as the study did, and for cells AdamW with a rate
        that falls as a cosine.
    preprocessing : {"unit", "raw"}
        Pixels from 0 to 1, or from 0 to 255 as published.  Cells know only the first.
    blocks : {"atlas", "plain", "grey"}, optional
        Whether the first layers are computed on patches or on whole pictures: the same
        weights and logits, see :mod:`sudlib.networks.architectures`.  By default what is
        fastest here.
    seed : int, default=33
        First weights, order of the records and dropout.
    folder : path-like, optional
        Where training is kept, so that it goes on after a kill.
    distribution : optional
        Shares each batch over devices, see :func:`sudlib.networks.training.train`.
    progress : bool, default=True
        Show a bar for each epoch.

    Attributes
    ----------
    classes_ : numpy.ndarray
        0 and 1.
    n_features_in_ : int
        28.
    model_ : keras.Model
        Takes codes, ends in a logit.
    training_ : Training
        How it went.
    history_ : pandas.DataFrame
        Its losses, one row an epoch.
    multiply_adds_ : int
        Of one record, forward.

    Examples
    --------
    >>> PictureClassifier("cells").get_params()["architecture"]
    'cells'
    """

    _batch_size = 128  # drawn pictures need room

    def __init__(
        self,
        architecture="published",
        picture=None,
        recipe=None,
        preprocessing="unit",
        blocks=None,
        seed=33,
        folder=None,
        distribution=None,
        progress=True,
    ):
        self.architecture = architecture
        self.picture = picture
        self.recipe = recipe
        self.preprocessing = preprocessing
        self.blocks = blocks
        self.seed = seed
        self.folder = folder
        self.distribution = distribution
        self.progress = progress

    def build(self):
        """Return the network with its first weights, which hang on the seed alone."""
        if self.architecture not in ARCHITECTURES:
            raise InputError(
                f"architecture must be one of {', '.join(ARCHITECTURES)}, not"
                f" {self.architecture!r}"
            )
        keras.utils.set_random_seed(self.seed)
        if self.architecture == "cells":
            if self.preprocessing != "unit":
                raise InputError('cells are read as preprocessing="unit" only')
            return architectures.cell_network(
                self.picture or "grid", blocks=self.blocks or "atlas"
            )
        picture = self.picture or "general"
        return architectures.published_network(
            picture,
            self.preprocessing,
            blocks=self.blocks or architectures.fastest(picture),
        )

    def fit(self, people, completed, watch=None):
        """Train, and keep the best weights.

        Parameters
        ----------
        people : pandas.DataFrame or numpy.ndarray
            Records, or their codes from :func:`sudlib.images.codes.encode`.
        completed : array-like of 0 and 1
        watch : tuple of people and completed, optional
            Rows that decide when to stop and which epoch is best.

        Returns
        -------
        self
        """
        codes, completed = self._pair(people, completed)
        if len(np.unique(completed)) < 2:
            raise InputError("both outcomes must occur among the people to fit")
        if watch is not None:
            watch = self._pair(*watch)
        model = self.build()
        self._train(
            model,
            codes,
            completed,
            watch=watch,
            recipe=self.recipe or ARCHITECTURES[self.architecture],
            progress=self.progress,
        )
        self.multiply_adds_ = flops.multiply_adds(model, self.training_.batch_size)
        return self
