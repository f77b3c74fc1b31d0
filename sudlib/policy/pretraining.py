"""Starting weights from a restricted Boltzmann machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.preprocessing import StandardScaler

from sudlib.policy.study import check_covariates
from sudlib.policy.treatments import Array
from sudlib.validation import check_number, check_seed, check_whole


def boltzmann_start(
    X: ArrayLike,
    nodes: int | Sequence[int],
    treatments: int,
    *,
    passes: int = 30,
    batch_size: int = 50,
    learning_rate: float = 0.01,
    seed: int = 33,
) -> Array:
    r"""Return a network's first weights from stacked restricted Boltzmann machines.

    The deep belief pre-training of section 4 of study C: the first machine sees the
    covariates (Gaussian, standardised), each further one the hidden probabilities of
    the one below; hidden nodes are on or off, and each machine is trained by
    contrastive divergence with one step (CD-1).  Their weights and hidden biases become
    the hidden layers; the last layer starts as Keras' default.  No outcome is used.
    scikit-learn's ``BernoulliRBM`` has no Gaussian visible units.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates.
    nodes : int or sequence of int
        Width of each hidden layer.
    treatments : int
        Width of the output.
    passes : int, default=30
        Passes over the rows.
    batch_size : int, default=50
        Rows in a step.
    learning_rate : float, default=0.01
        Step size of contrastive divergence.
    seed : int, default=33
        Of the start, the order of rows and hidden states.

    Returns
    -------
    numpy.ndarray of float32, shape (1, weights)
        For ``OutcomeWeightedClassifier(hidden=nodes, start=...)``.

    Raises
    ------
    sudlib.files.InputError
        For a layer without nodes, and settings that are out of range.

    References
    ----------
    Hinton, Osindero and Teh (2006), A fast learning algorithm for deep belief nets.
    """
    widths = tuple(nodes) if isinstance(nodes, Iterable) else (nodes,)
    check_whole("the number of layers in nodes", len(widths), 1)
    for width in widths:
        check_whole("each of nodes", width, 1)
    check_whole("treatments", treatments, 1)
    check_whole("passes", passes)
    check_whole("batch_size", batch_size, 1)
    check_number("learning_rate", learning_rate, 0, open_low=True)
    seen = StandardScaler().fit_transform(check_covariates(X).astype(float))
    generator = np.random.default_rng(check_seed(seed))
    pieces = []
    for layer, width in enumerate(widths):
        W = 0.01 * generator.standard_normal((seen.shape[1], width))
        visible, hidden = np.zeros(seen.shape[1]), np.zeros(width)
        for _ in range(passes):
            shuffled = generator.permutation(len(seen))
            for rows in np.array_split(shuffled, max(1, len(seen) // batch_size)):
                data = seen[rows]
                up = expit(data @ W + hidden)
                on = generator.random(up.shape) < up
                down = on @ W.T + visible
                down = expit(down) if layer else down
                again = expit(down @ W + hidden)
                W += learning_rate * (data.T @ up - down.T @ again) / len(rows)
                visible += learning_rate * (data - down).mean(axis=0)
                hidden += learning_rate * (up - again).mean(axis=0)
        pieces += [W.ravel(), hidden]
        seen = expit(seen @ W + hidden)
    limit = np.sqrt(6 / (widths[-1] + treatments))
    last = generator.uniform(-limit, limit, widths[-1] * treatments)
    flat = np.concatenate([*pieces, last, np.zeros(treatments)])
    return flat[None].astype("float32")
