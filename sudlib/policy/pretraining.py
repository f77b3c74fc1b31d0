"""Starting weights from a restricted Boltzmann machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.preprocessing import StandardScaler

from sudlib.files import InputError
from sudlib.policy.study import check_covariates
from sudlib.policy.treatments import Array
from sudlib.validation import check_seed


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
        For a layer without nodes.

    References
    ----------
    Hinton, Osindero and Teh (2006), A fast learning algorithm for deep belief nets.
    """
    widths = (nodes,) if isinstance(nodes, int | np.integer) else tuple(nodes)
    if not widths or min(widths) < 1:
        raise InputError(f"nodes must be 1 or more in every layer, not {nodes!r}")
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
