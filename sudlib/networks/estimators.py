"""The networks as estimators of scikit-learn: records or codes in, probabilities out.

Taught in ``a07_network_from_scratch`` and ``a08_experiment_1_side_by_side``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import pandas as pd
from numpy.random import Generator, RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sudlib import images
from sudlib.files import InputError
from sudlib.networks import architectures, entity_embedding, flops, training
from sudlib.networks.batches import check_pair
from sudlib.networks.heads import check_both_outcomes
from sudlib.validation import check_choice, draw_seed

#: The networks on pictures, and how they are trained when nothing else is said.
ARCHITECTURES = {"published": training.Recipe(), "cells": architectures.CELL_RECIPE}

#: Records, or their codes.
Records: TypeAlias = pd.DataFrame | ArrayLike


class _CodesClassifier(ClassifierMixin, BaseEstimator):
    """A network that takes the 28 codes of a record and ends in a logit.

    Subclasses have the parameters ``recipe``, ``random_state``, ``folder``,
    ``distribution`` and ``progress``, and build their network in ``_build``.
    """

    _batch_size = 256  # records predicted at once
    _splits = False  # whether a validation set is split off when none is given

    def _pair(
        self, X: Records, y: ArrayLike
    ) -> tuple[NDArray[np.uint8], NDArray[np.int_]]:
        """Return codes and outcomes, or say what is wrong with them."""
        codes = images.as_codes(X)
        return codes, check_pair(X, y, ("X", "y"))[1]

    def fit(
        self,
        X: Records,
        y: ArrayLike,
        validation_data: tuple[Records, ArrayLike] | None = None,
    ) -> _CodesClassifier:
        """Train, and keep the weights of the best epoch.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of int, n x 28
            Records, or their codes from :func:`sudlib.images.encode`.
        y : array-like of shape (n,)
            Outcomes: 1 completed, 0 did not.
        validation_data : tuple of X and y, optional
            Validation set, which decides when to stop and which epoch is best.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If a code has no level, an outcome is not 0 or 1 or only one occurs, or a
            parameter is unknown.
        """
        codes, completed = self._pair(X, y)
        check_both_outcomes(completed)
        if validation_data is not None:
            validation_data = self._pair(*validation_data)
        elif self._splits:
            train, rows = training.split_validation(np.arange(len(codes)))
            validation_data = codes[rows], completed[rows]
            codes, completed = codes[train], completed[train]
        self.model_ = self.build()
        self.training_ = training.train(
            self.model_,
            codes,
            completed,
            validation_data=validation_data,
            recipe=self.recipe or self._default_recipe(),
            folder=self.folder,
            seed=draw_seed(self.random_state),
            distribution=self.distribution,
            progress=self.progress,
        )
        self.history_ = self.training_.history
        size = self.training_.batch_size
        self.multiply_adds_ = flops.multiply_adds(self.model_, size)
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = len(images.VARIABLES)
        self.feature_names_in_ = np.array(images.VARIABLES, dtype=object)
        return self

    def build(self) -> keras.Model:
        """Return the network with its first weights, untrained.

        Returns
        -------
        keras.Model
        """
        keras.utils.set_random_seed(draw_seed(self.random_state))
        return self._build()

    def predict_proba(
        self, X: Records, batch_size: int | None = None
    ) -> NDArray[np.float64]:
        """Return the probabilities of not completing and of completing.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of int, n x 28
            Records, or their codes.
        batch_size : int, optional
            Records that are predicted at once.

        Returns
        -------
        numpy.ndarray of shape (n, 2)
        """
        check_is_fitted(self)
        size = batch_size or self._batch_size
        completes = training.probabilities(self.model_, images.as_codes(X), size)
        return np.column_stack([1 - completes, completes])

    def predict(self, X: Records) -> NDArray[np.int_]:
        """Return whether each person is predicted to complete.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of int, n x 28
            Records, or their codes.

        Returns
        -------
        numpy.ndarray of shape (n,)
            1 where the probability is above one half.
        """
        return (self.predict_proba(X)[:, 1] > 0.5).astype(int)


@dataclass(eq=False, repr=False)
class PictureClassifier(_CodesClassifier):
    """A network that reads records drawn as pictures.

    The pictures are drawn inside the network, from the 28 codes of a record; none is
    kept, so memory does not grow with the number of records.

    Parameters
    ----------
    architecture : {"published", "cells"}
        The study's network from scratch, or ours that reads one cell at a time.
    picture : TextImage or str, optional
        What draws; by default the layout ``"general"``, and ``"grid"`` for cells.
    recipe : Recipe, optional
        How it is trained; by default as the study did, and for cells AdamW with a
        learning rate that falls as a cosine.
    preprocessing : {"unit", "raw"}
        Pixels from 0 to 1, or from 0 to 255 as published.  Cells know only the first.
    blocks : {"atlas", "plain", "grey"}, optional
        Whether the first layers are computed on patches or on whole pictures: the same
        weights and logits, see :mod:`sudlib.networks.architectures`.  By default what
        is fastest here.
    random_state : int, RandomState instance or None, default=33
        Of the first weights, the order of the records and dropout.
    folder : path-like, optional
        Where training is kept, so that it resumes after a kill.
    distribution : keras.distribution.Distribution or tf.distribute.Strategy, optional
        Shares each batch over devices.
    progress : bool, default=True
        Show progress bars on a terminal.

    Attributes
    ----------
    classes_ : numpy.ndarray
        0 and 1.
    n_features_in_ : int
        28.
    feature_names_in_ : numpy.ndarray
        The 28 variables, by which a frame's columns are found.
    model_ : keras.Model
        Takes codes, ends in a logit.
    training_ : sudlib.networks.training.Training
        How training went.
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

    architecture: str = "published"
    picture: images.TextImage | str | None = None
    recipe: training.Recipe | None = None
    preprocessing: str = "unit"
    blocks: str | None = None
    random_state: int | RandomState | Generator | None = 33
    folder: str | os.PathLike[str] | None = None
    distribution: Any = None
    progress: bool = True

    def _default_recipe(self) -> training.Recipe:
        return ARCHITECTURES[self.architecture]

    def _build(self) -> keras.Model:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        if self.architecture == "cells":
            if self.preprocessing != "unit":
                raise InputError('cells are read as preprocessing="unit" only')
            blocks = self.blocks or "atlas"
            return architectures.cell_network(self.picture or "grid", blocks=blocks)
        picture, scale = self.picture or "general", self.preprocessing
        blocks = self.blocks or architectures.fastest(picture)
        return architectures.published_network(picture, scale, blocks=blocks)


@dataclass(eq=False, repr=False)
class EmbeddingNetwork(_CodesClassifier):
    """The network of :mod:`sudlib.networks.entity_embedding`, on codes as they are.

    Parameters
    ----------
    width : int, default=8
        Length of the vector of a level.
    hidden : sequence of int, default=(128, 64)
        Widths of the dense layers.
    dropout : float, default=0.25
        After the embeddings and each dense layer.
    recipe : Recipe, optional
        By default :data:`sudlib.networks.entity_embedding.RECIPE`.
    random_state : int, RandomState instance or None, default=33
        Of the first weights, the order of the records and dropout.
    folder : path-like, optional
        Where training is kept, so that it resumes after a kill.
    distribution : keras.distribution.Distribution or tf.distribute.Strategy, optional
        Shares each batch over devices.
    progress : bool, default=True
        Show progress bars on a terminal.

    Attributes
    ----------
    classes_ : numpy.ndarray
        0 and 1.
    n_features_in_ : int
        28.
    feature_names_in_ : numpy.ndarray
        The 28 variables, by which a frame's columns are found.
    model_ : keras.Model
        Takes codes, ends in a logit.
    training_ : sudlib.networks.training.Training
        How training went.
    history_ : pandas.DataFrame
        Its losses, one row an epoch.
    multiply_adds_ : int
        Of one record, forward.

    Notes
    -----
    Without a validation set, 30 of 100 records are split off as one.
    """

    _splits = True

    width: int = 8
    hidden: Sequence[int] = (128, 64)
    dropout: float = 0.25
    recipe: training.Recipe | None = None
    random_state: int | RandomState | Generator | None = 33
    folder: str | os.PathLike[str] | None = None
    distribution: Any = None
    progress: bool = True

    def _default_recipe(self) -> training.Recipe:
        return entity_embedding.RECIPE

    def _build(self) -> keras.Model:
        return entity_embedding.embedding_network(
            width=self.width, hidden=self.hidden, dropout=self.dropout
        )
