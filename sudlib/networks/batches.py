"""Batches of records, in an order of their own, and prediction batch by batch."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sudlib.classes import code_outcomes
from sudlib.networks import compiled
from sudlib.networks.devices import is_out_of_memory, use_xla
from sudlib.validation import check_rows


def check_pair(
    inputs: Any, completed: ArrayLike, names: tuple[str, str] = ("inputs", "completed")
) -> tuple[Any, NDArray[Any]]:
    """Return what a network is given: inputs, and the outcome of each record.

    Parameters
    ----------
    inputs : array-like of shape (n, ...)
        What the model takes.
    completed : array-like of shape (n,)
        Outcomes, 0 or 1.
    names : tuple of str, optional
        What the two are called in messages.

    Returns
    -------
    inputs : object
        As they were given.
    completed : numpy.ndarray

    Raises
    ------
    InputError
        If lengths or indexes differ, there are no rows, or an outcome is not 0 or 1.
    """
    check_rows(**dict(zip(names, (inputs, completed), strict=True)))
    [coded] = code_outcomes(**{names[1]: completed})
    outcome = np.asarray(completed)
    return inputs, outcome if outcome.dtype.kind in "biuf" else coded.astype(int)


class Batches(keras.utils.PyDataset):
    """Batches of records in an order that the seed and the epoch alone decide.

    Training that is resumed after a kill therefore sees what it would have seen.  The
    arrays are indexed batch by batch and never copied whole, so that a file mapped
    into memory serves as well.

    Parameters
    ----------
    inputs : array of shape (n, ...)
        What the model takes, for instance the codes of records.
    completed : array of shape (n,), optional
        Outcomes, 0 or 1; without them the batches hold inputs only.
    batch_size : int
        Rows of a batch.
    seed : int, optional
        Of the order of each epoch; without it the rows keep their order.
    multiple : int, default=1
        Devices that share a batch: every batch has a multiple of so many rows, and the
        rows that remain at the end are dropped.
    rows : array of int, optional
        Rows to go through, in this order; by default all.

    Attributes
    ----------
    epoch : int
        The present epoch, counted from 0; who trains sets it.
    """

    def __init__(
        self,
        inputs: NDArray[Any],
        completed: NDArray[Any] | None = None,
        *,
        batch_size: int,
        seed: int | None = None,
        multiple: int = 1,
        rows: NDArray[np.integer] | None = None,
    ) -> None:
        super().__init__(workers=0)
        self.inputs, self.completed, self.seed = inputs, completed, seed
        self.rows = np.arange(len(inputs)) if rows is None else rows
        self.size = len(self.rows) // multiple * multiple
        self.batch_size = max(batch_size // multiple, 1) * multiple
        self.epoch = 0
        self._drawn: tuple[int | None, NDArray[np.integer]] = None, self.rows

    @property
    def num_batches(self) -> int:
        """Batches of an epoch."""
        return math.ceil(self.size / self.batch_size)

    def order(self) -> NDArray[np.integer]:
        """Return the rows in the order of the present epoch.

        Returns
        -------
        numpy.ndarray
        """
        if self.seed is not None and self._drawn[0] != self.epoch:
            random = np.random.default_rng([self.seed, self.epoch])
            self._drawn = self.epoch, self.rows[random.permutation(len(self.rows))]
        return self._drawn[1][: self.size]

    def __getitem__(self, number: int) -> tuple[NDArray[Any], ...]:
        """Return one batch: inputs, and outcomes as one column where there are any."""
        start = number * self.batch_size
        rows = self.order()[start : start + self.batch_size]
        if self.completed is None:
            return (np.asarray(self.inputs[rows]),)
        outcome = np.asarray(self.completed[rows], "float32")[:, None]
        return np.asarray(self.inputs[rows]), outcome


def predict_within_memory(
    model: keras.Model, inputs: NDArray[Any], batch_size: int = 256
) -> tuple[Any, int]:
    """Return a model's outputs and the batch size that the memory held.

    Parameters
    ----------
    model : keras.Model
        With one input and any number of outputs.
    inputs : array of shape (n, ...)
        At least one row.
    batch_size : int, default=256
        Halved, as often as needed, where the memory does not hold it.

    Returns
    -------
    outputs : numpy.ndarray, or list or dict of them
        As the model returns them, one row for each row of the inputs.
    batch_size : int
        The one that was used in the end.
    """
    size = batch_size
    model.jit_compile = use_xla()
    while True:
        # The last batch is filled up: another shape would be compiled again.
        filled = np.arange(math.ceil(len(inputs) / size) * size)
        rows = np.minimum(filled, len(inputs) - 1)
        batches = Batches(inputs, batch_size=size, rows=rows)
        try:
            outputs = model.predict(batches, verbose=0)
        except Exception as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size //= 2
        else:
            return keras.tree.map_structure(lambda x: x[: len(inputs)], outputs), size


def predict(model: keras.Model, inputs: NDArray[Any], batch_size: int = 256) -> Any:
    """Return a model's outputs for each row.

    Parameters
    ----------
    model : keras.Model
        With one input and any number of outputs.
    inputs : array of shape (n, ...)
        At least one row.
    batch_size : int, default=256
        At most; halved where the memory does not hold it.

    Returns
    -------
    numpy.ndarray, or list or dict of them
        As the model returns them.
    """
    model = compiled.twin(model, "prediction")
    return predict_within_memory(model, inputs, min(batch_size, len(inputs)))[0]
