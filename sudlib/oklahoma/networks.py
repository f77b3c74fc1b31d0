"""Study B's multilayer perceptrons, many trained side by side."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import check_cv
from sklearn.utils import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, validate_data

from sudlib.multiclass_scores import measures
from sudlib.validation import check_whole, draw_seed

NETWORK_GRID = {
    "layer1": (8, 10, 20, 30),
    "layer2": (8, 10, 20, 30),
    "activation": ("relu", "tanh", "sigmoid"),
    "optimizer": ("adam", "sgd"),
    "loss": ("categorical_crossentropy", "mean_squared_error"),
}
"""Section 7.4."""


EPOCHS = 20
"""Passes over the training rows (section 7.4), in batches of 32."""


@dataclass(eq=False, repr=False)
class NetworkGridSearch(ClassifierMixin, BaseEstimator):
    """Grid search over the study's networks, all of a fold trained side by side.

    A network has two hidden layers and one softmax output a class.  Networks with the
    same optimizer and loss share one fit (:func:`side_by_side`), the 192 of the
    study's grid four: 15 times as fast as one Keras fit a network
    (``tests/benchmarks/bench_oklahoma_models.py``).  The interface is that of
    ``GridSearchCV``.

    Parameters
    ----------
    candidates : sequence of dict
        Settings, as from ``ParameterGrid(NETWORK_GRID)``: ``layer1``, ``layer2``
        (units), ``activation``, ``optimizer`` and ``loss`` (Keras's names).  A single
        one needs no cross-validation.
    cv : int, cross-validation splitter or iterable, optional
        As in ``GridSearchCV``.
    scoring : {"accuracy", "balanced_accuracy", "mcc"}, default="balanced_accuracy"
        The score that selects.
    class_weight : dict or "balanced", optional
        As in scikit-learn: factors of the loss, one a class.
    random_state : int, RandomState instance or None, default=None
        For the initial weights and the order of the rows.

    Attributes
    ----------
    classes_ : numpy.ndarray of shape (n_classes,)
        The classes.
    cv_results_ : dict
        ``params`` and ``mean_test_score`` of each candidate; NaN for a single one.
    best_index_ : int
        The first candidate with the highest score.
    best_params_ : dict
        Its setting.
    predict_proba_ : callable
        The best network, fitted on all rows.
    """

    candidates: Sequence[dict[str, Any]]
    _: KW_ONLY
    cv: Any = None
    scoring: str = "balanced_accuracy"
    class_weight: dict[Any, float] | str | None = None
    random_state: Any = None

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> NetworkGridSearch:
        """Select a candidate by cross-validation and fit it on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Columns of 0 and 1.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), optional
            Factors of the loss, one a row.

        Returns
        -------
        NetworkGridSearch
            The estimator itself.
        """
        rows, labels = validate_data(self, X, y, dtype=np.float32)
        candidates = list(self.candidates)
        check_whole("the number of candidates", len(candidates), 1)
        weights = compute_sample_weight(self.class_weight, labels)
        weights *= 1 if sample_weight is None else np.asarray(sample_weight)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        wanted = np.eye(len(self.classes_), dtype=np.float32)[codes]
        seed = draw_seed(self.random_state)

        def fit(part: Any, settings: list[dict[str, Any]]) -> Any:
            data = rows[part], wanted[part], settings, weights[part]
            return fit_side_by_side(*data, seed)

        scores = []
        if len(candidates) > 1:
            cv = check_cv(self.cv, labels, classifier=True)
            for train, test in cv.split(rows, labels):
                predicted = fit(train, candidates)(rows[test]).argmax(axis=2)
                tested = (measures(codes[test], each) for each in predicted)
                scores.append([each[self.scoring] for each in tested])
        mean = np.mean(scores or [[np.nan] * len(candidates)], axis=0)
        self.cv_results_ = {"params": candidates, "mean_test_score": mean}
        self.best_index_ = int(np.argmax(mean))
        self.best_params_ = candidates[self.best_index_]
        self.predict_proba_ = fit(slice(None), [self.best_params_])
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Return the probability of each class by the best network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Columns of 0 and 1.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float32)
        return self.predict_proba_(rows)[0]

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the class of each row by the best network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Columns of 0 and 1.

        Returns
        -------
        numpy.ndarray of shape (n_samples,)
        """
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def first_weights(
    columns: int, classes: int, candidate: dict[str, Any], seed: int
) -> list[NDArray]:
    """Return a network's initial weights: Glorot's uniform ones, biases of 0.

    They depend on the seed and the layers alone, not on the other candidates or on
    Keras's backend.

    Parameters
    ----------
    columns, classes : int
        Inputs and outputs.
    candidate : dict
        With ``layer1`` and ``layer2``.
    seed : int
        For the draw.

    Returns
    -------
    list of numpy.ndarray
        As ``keras.Model.set_weights`` takes them.
    """
    widths = (columns, candidate["layer1"], candidate["layer2"], classes)
    random = np.random.default_rng([seed, *widths])
    weights = []
    for inputs, units in itertools.pairwise(widths):
        limit = np.sqrt(6 / (inputs + units))
        kernel = random.uniform(-limit, limit, (inputs, units))
        weights += [kernel.astype(np.float32), np.zeros(units, np.float32)]
    return weights


def side_by_side(
    columns: int, classes: int, candidates: Sequence[dict[str, Any]], seed: int
) -> Any:
    """Return one Keras model that holds many of the study's networks, not compiled.

    They share nothing, so the gradient of the sum of their losses is each network's
    own: training them together is training each alone, in one pass over the data.
    Smaller layers are padded with units that always give 0.

    Parameters
    ----------
    columns, classes : int
        Inputs and outputs of each network.
    candidates : sequence of dict
        Settings; their optimizer and loss do not matter here.
    seed : int
        For :func:`first_weights`.

    Returns
    -------
    keras.Model
        Its output has shape (rows, networks, classes).
    """
    import keras

    def dense(equation: str, units: int, activation: Any) -> Any:
        shape = (len(candidates), units)
        return keras.layers.EinsumDense(equation, shape, activation, bias_axes="nr")

    def hidden(equation: str, layer: str) -> Any:
        units = np.arange(max(candidate[layer] for candidate in candidates))
        kinds = np.array([[candidate["activation"]] for candidate in candidates])
        there = units < np.array([[candidate[layer]] for candidate in candidates])
        masks = {k: np.float32(there & (kinds == k)) for k in set(kinds.flat)}

        def activate(value: Any) -> Any:
            each = (keras.activations.get(name)(value) * masks[name] for name in masks)
            return sum(each)

        return dense(equation, len(units), activate)

    layers = (
        keras.Input((columns,)),
        hidden("bl,nlr->bnr", "layer1"),
        hidden("bnl,nlr->bnr", "layer2"),
        dense("bnl,nlr->bnr", classes, "softmax"),
    )
    model = keras.Sequential(layers)
    padded = [np.zeros(weight.shape, np.float32) for weight in model.weights]
    for number, candidate in enumerate(candidates):
        start = first_weights(columns, classes, candidate, seed)
        for weight, values in zip(padded, start, strict=True):
            weight[number][tuple(map(slice, values.shape))] = values
    model.set_weights(padded)
    return model


def fit_side_by_side(
    X: NDArray,
    wanted: NDArray,
    candidates: Sequence[dict[str, Any]],
    sample_weight: NDArray,
    seed: int,
) -> Callable[[NDArray], NDArray]:
    """Return the class probabilities of fitted networks, as a function of the rows.

    Parameters
    ----------
    X : numpy.ndarray of float32, shape (n_samples, n_features)
        Training rows.
    wanted : numpy.ndarray of shape (n_samples, n_classes)
        1 in the column of each row's class, else 0.
    candidates : sequence of dict
        Settings; those with the same optimizer and loss share one fit.
    sample_weight : numpy.ndarray of shape (n_samples,)
        Factors of the loss.
    seed : int
        For the initial weights and the order of the rows.

    Returns
    -------
    callable
        From rows to probabilities of shape (n_candidates, n_rows, n_classes).
    """
    import keras

    def kind(candidate: dict[str, Any]) -> tuple[str, str]:
        return candidate["optimizer"], candidate["loss"]

    models = {}
    for optimizer, loss in sorted({kind(candidate) for candidate in candidates}):
        together = [each for each in candidates if kind(each) == (optimizer, loss)]
        model = side_by_side(X.shape[1], wanted.shape[1], together, seed)
        alone = keras.losses.get(loss)
        model.compile(
            optimizer,
            # The sum over networks; Keras averages over rows.
            lambda truth, scores, alone=alone: keras.ops.sum(alone(truth, scores), -1),
        )
        keras.utils.set_random_seed(seed)  # the order of the rows
        truth = np.repeat(wanted[:, None, :], len(together), axis=1)
        model.fit(X, truth, 32, EPOCHS, verbose=0, sample_weight=sample_weight)
        models[optimizer, loss] = model

    def predict_proba(rows: NDArray) -> NDArray:
        scores = {
            each: iter(np.swapaxes(model(rows, training=False), 0, 1))
            for each, model in models.items()
        }
        return np.array([next(scores[kind(candidate)]) for candidate in candidates])

    return predict_proba
