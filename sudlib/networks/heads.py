"""Logistic heads on frozen features."""

import time
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import layers
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sudlib.files import InputError

#: Penalties that a head may choose from: C of scikit-learn's logistic regression.
STRENGTHS = tuple(float(10.0**power) for power in range(-5, 1))


# --------------------------------------------------------------------------- heads


def published_head(values, seed=33):
    """Return the study's head for features: one logit, untrained.

    On features of a frozen base, training it with the study's recipe is what the study
    ran, at the cost of the head alone: the base gave the same features in each epoch.

    Parameters
    ----------
    values : numpy.ndarray
        Features, for their number.
    seed : int, default=33

    Returns
    -------
    keras.Model
    """
    found = keras.Input(values.shape[1:], name="features")
    start = keras.initializers.GlorotUniform(seed)
    logit = layers.Dense(1, kernel_initializer=start, name="logit")(found)
    return keras.Model(found, logit)


@dataclass(frozen=True)
class Head:
    """A logistic regression on features that has converged.

    Attributes
    ----------
    model : sklearn.pipeline.Pipeline
        Features standardised, then the regression.
    strength : float
        Its penalty: C, the one with the lowest loss of the watched rows.
    losses : dict of float to float
        That loss, by penalty.
    steps : int
        Of L-BFGS until it converged.
    seconds : float
        Of all fits.
    """

    model: object = field(repr=False)
    strength: float
    losses: dict
    steps: int
    seconds: float

    def probabilities(self, values):
        """Return the probability of completing for each row of features."""
        return self.model.predict_proba(np.asarray(values, "float32"))[:, 1]


def converged_head(values, completed, watch, *, strengths=STRENGTHS):
    """Return a penalised logistic regression on standardised features, converged.

    Parameters
    ----------
    values : numpy.ndarray
        Features, rows x numbers.
    completed : array-like of 0 and 1
    watch : tuple of features and completed
        Rows on which the penalty is chosen.
    strengths : iterable of float
        Values of C to choose from.

    Returns
    -------
    Head
    """
    begin = time.perf_counter()
    # Copies, because they are scaled in place.
    values, watched = (np.array(part, "float32") for part in (values, watch[0]))
    scaler = StandardScaler(copy=False).fit(values)
    # What varies less than half precision can tell is noise: it is not made larger.
    scaler.scale_[scaler.scale_ < 1e-3 * abs(scaler.mean_)] = 1.0
    values, watched = scaler.transform(values), scaler.transform(watched)
    best, losses = None, {}
    # With few rows, threads wait for each other longer than they work.
    with threadpool_limits(1 if len(values) < 20_000 else None):
        for strength in strengths:
            head = LogisticRegression(C=strength, max_iter=5000).fit(values, completed)
            loss = log_loss(watch[1], head.predict_proba(watched)[:, 1], labels=[0, 1])
            losses[strength] = float(loss)
            if loss == min(losses.values()):
                best = head, strength
    head, strength = best
    return Head(
        model=make_pipeline(scaler.set_params(copy=True), head),
        strength=strength,
        losses=losses,
        steps=int(head.n_iter_[0]),
        seconds=time.perf_counter() - begin,
    )


def head_weights(head):
    """Return kernel and bias of a converged head, for features as they are.

    Parameters
    ----------
    head : sudlib.networks.heads.Head
    """
    scaler, regression = head.model
    kernel = regression.coef_[0] / scaler.scale_
    bias = regression.intercept_ - scaler.mean_ @ kernel
    return [kernel[:, None].astype("float32"), bias.astype("float32")]


#: Penalties of the new head that its cross-validation tries, strongest first.
HEAD_STRENGTHS = tuple(10.0**power for power in range(-4, 0))


def _both(completed):
    """Return the outcomes as whole numbers, or say that only one occurs."""
    completed = np.asarray(completed).astype(int)
    if len(np.unique(completed)) != 2:
        raise InputError(
            f"of the {len(completed)} target rows {completed.sum()} completed: rows"
            " with both outcomes are needed"
        )
    return completed


def logistic_head(found, completed):
    """Return kernel and bias of a penalised logistic regression on the features.

    Parameters
    ----------
    found : numpy.ndarray of shape (n, features)
    completed : array-like of 0 and 1

    Returns
    -------
    list of numpy.ndarray
        As the weights of a dense layer: ``found @ kernel + bias`` is the logit.
    """
    completed = _both(completed)
    scaler = StandardScaler().fit(found)
    scaled = scaler.transform(found)
    folds = min(3, np.bincount(completed).min())
    heads = [
        LogisticRegression(C=strength, max_iter=500) for strength in HEAD_STRENGTHS
    ]
    if folds > 1:
        losses = [
            cross_val_score(head, scaled, completed, cv=folds, scoring="neg_log_loss")
            for head in heads
        ]
        heads = [heads[int(np.argmax(np.mean(losses, axis=1)))]]
    fitted = heads[0].fit(scaled, completed)
    kernel = fitted.coef_[0] / scaler.scale_
    bias = fitted.intercept_[0] - scaler.mean_ @ kernel
    return [kernel[:, None], np.array([bias])]
