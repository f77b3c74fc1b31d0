"""Logistic heads: regressions on features that a frozen network has computed.

Taught in ``a05_resnet50_transfer`` (trained by Adam or converged) and in
``a10_heroin_to_other_opioids`` (a new head for few target records).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sudlib.classes import code_outcomes
from sudlib.files import InputError
from sudlib.networks.batches import check_pair


def published_head(features: NDArray[Any], seed: int = 33) -> keras.Model:
    """Return the study's head for features: one logit, untrained.

    Trained with the study's recipe on the features of a frozen backbone, it is what the
    study ran, at the cost of the head alone: the backbone gives the same features in
    each epoch.

    Parameters
    ----------
    features : numpy.ndarray of shape (n, features)
        For their number only.
    seed : int, default=33
        Of the first weights.

    Returns
    -------
    keras.Model
    """
    inputs = keras.Input(features.shape[1:], name="features")
    start = keras.initializers.GlorotUniform(seed)
    logit = keras.layers.Dense(1, kernel_initializer=start, name="logit")
    return keras.Model(inputs, logit(inputs))


@dataclass(frozen=True)
class Head:
    """A converged logistic regression on features: see :func:`logistic_head`.

    Attributes
    ----------
    model : sklearn.pipeline.Pipeline
        Standardisation, then the regression.
    C : float
        Its inverse penalty strength, the one with the lowest validation loss.
    losses : dict of float to float
        Validation loss by C.
    n_iter : int
        Iterations of L-BFGS until it converged.
    seconds : float
        Of all fits.
    """

    model: Pipeline = field(repr=False)
    C: float
    losses: dict[float, float]
    n_iter: int
    seconds: float

    @property
    def weights(self) -> list[NDArray[np.floating]]:
        """Kernel and bias of a dense layer that returns the logit of raw features."""
        scaler, regression = self.model
        kernel = regression.coef_[0] / scaler.scale_
        bias = regression.intercept_ - scaler.mean_ @ kernel
        return [kernel[:, None], bias]

    def probabilities(self, features: ArrayLike) -> NDArray[np.floating]:
        """Return the probability of completion for each row of features.

        Parameters
        ----------
        features : array-like of shape (n, features)
            As they come from the network.

        Returns
        -------
        numpy.ndarray of shape (n,)
        """
        return self.model.predict_proba(np.asarray(features, "float32"))[:, 1]


def logistic_head(
    features: ArrayLike,
    completed: ArrayLike,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    Cs: Sequence[float] | None = None,
) -> Head:
    """Return a penalised logistic regression on standardised features, converged.

    Parameters
    ----------
    features : array-like of shape (n, features)
        From a frozen network.
    completed : array-like of shape (n,)
        Outcomes, 0 or 1; both must occur.
    validation_data : tuple of features and completed, optional
        Validation set on which C is chosen; without it, 3-fold cross-validation.
    Cs : sequence of float, optional
        Inverse penalty strengths to choose from; by default the powers of ten from 1e-5
        to 1, and from 1e-4 to 0.1 for cross-validation, which is meant for few rows.

    Returns
    -------
    Head

    Raises
    ------
    InputError
        If only one of both outcomes occurs, is not 0 or 1, or the rows do not match.

    Examples
    --------
    >>> head = logistic_head([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> head.C, [f"{p:.2f}" for p in head.probabilities([[0.0], [3.0]])]
    (0.1, ['0.45', '0.55'])
    """
    begin = time.perf_counter()
    check_pair(features, completed, ("features", "completed"))
    if validation_data is not None:
        names = ("features of the validation set", "their outcomes")
        validation_data = check_pair(*validation_data, names)
    # Copies, because they are standardised in place.
    rows, outcome = np.array(features, "float32"), check_both_outcomes(completed)
    scaler = StandardScaler(copy=False).fit(rows)
    # What varies less than half precision can tell is noise and is not scaled up.
    scaler.scale_[scaler.scale_ < 1e-3 * abs(scaler.mean_)] = 1.0
    rows = scaler.transform(rows)
    n_splits = min(3, np.bincount(outcome).min())
    if validation_data is not None:
        validation = scaler.transform(np.array(validation_data[0], "float32"))
    powers = range(-4, 0) if validation_data is None else range(-5, 1)
    grid = [10.0**power for power in powers] if Cs is None else Cs
    heads = {C: LogisticRegression(C=C, max_iter=5000) for C in grid}
    losses: dict[float, float] = {}
    # With few rows, threads wait for each other longer than they work.
    with threadpool_limits(1 if len(rows) < 20_000 else None):
        for C, head in heads.items():
            if validation_data is not None:
                score = head.fit(rows, outcome).predict_proba(validation)[:, 1]
                losses[C] = float(log_loss(validation_data[1], score, labels=[0, 1]))
            elif n_splits > 1:
                given = {"cv": n_splits, "scoring": "neg_log_loss"}
                losses[C] = -float(cross_val_score(head, rows, outcome, **given).mean())
            else:  # a single record of one outcome: the strongest penalty
                losses[C] = np.nan
        best = min(losses, key=losses.__getitem__)
        if validation_data is None:
            heads[best].fit(rows, outcome)
    model = make_pipeline(scaler.set_params(copy=True), heads[best])
    n_iter, seconds = int(heads[best].n_iter_[0]), time.perf_counter() - begin
    return Head(model, C=best, losses=losses, n_iter=n_iter, seconds=seconds)


def check_both_outcomes(completed: ArrayLike) -> NDArray[np.int_]:
    """Return outcomes as whole numbers if both occur.

    Parameters
    ----------
    completed : array-like of shape (n,)
        Outcomes, 0 or 1.

    Returns
    -------
    numpy.ndarray of shape (n,)

    Raises
    ------
    InputError
        If only one of both occurs, and for anything but 0 and 1.
    """
    outcome = code_outcomes(completed=completed)[0].astype(int)
    if len(np.unique(outcome)) != 2:
        raise InputError(
            f"{outcome.sum()} of the {len(outcome)} records completed: records with"
            " both outcomes are needed"
        )
    return outcome
