"""Starting weights from a restricted Boltzmann machine."""

import numpy as np
from scipy.special import expit
from sklearn.preprocessing import StandardScaler

from sudlib.files import InputError
from sudlib.policy.treatments import check_covariates

# ------------------------------------------------------------------- pre-training


def boltzmann_start(
    X, nodes, treatments, *, passes=30, batch_size=50, learning_rate=0.01, seed=33
):
    r"""Return a network's first weights from stacked restricted Boltzmann machines.

    The deep belief pre-training of section 4 of study C: the first machine sees the
    covariates (Gaussian, standardised), each further one the hidden chances of the one
    below; hidden nodes are on or off, and each machine is trained by contrastive
    divergence with one step.  Their weights and hidden biases become the hidden
    layers; the last layer starts as Keras' default.  No outcome is used.

    Parameters
    ----------
    X : array-like of shape (people, covariates)
    nodes : int or tuple of int
        Width of each hidden layer.
    treatments : int
        Width of the output.
    passes, batch_size, learning_rate
        Of contrastive divergence.
    seed : int

    Returns
    -------
    numpy.ndarray of shape (1, weights)
        For ``OutcomeWeightedClassifier(hidden=nodes, start=...)``.
    """
    widths = (nodes,) if isinstance(nodes, int | np.integer) else tuple(nodes)
    if not widths or min(widths) < 1:
        raise InputError(f"nodes must be 1 or more in every layer, not {nodes!r}")
    seen = StandardScaler().fit_transform(check_covariates(X))
    random = np.random.default_rng(seed)
    pieces = []
    for place, width in enumerate(widths):
        W = 0.01 * random.standard_normal((seen.shape[1], width))
        visible, hidden = np.zeros(seen.shape[1]), np.zeros(width)
        for _ in range(passes):
            for rows in np.array_split(
                random.permutation(len(seen)), max(1, len(seen) // batch_size)
            ):
                data = seen[rows]
                up = expit(data @ W + hidden)
                on = random.random(up.shape) < up
                down = on @ W.T + visible
                down = expit(down) if place else down
                again = expit(down @ W + hidden)
                W += learning_rate * (data.T @ up - down.T @ again) / len(rows)
                visible += learning_rate * (data - down).mean(axis=0)
                hidden += learning_rate * (up - again).mean(axis=0)
        pieces += [W.ravel(), hidden]
        seen = expit(seen @ W + hidden)
    limit = np.sqrt(6 / (widths[-1] + treatments))
    last = random.uniform(-limit, limit, widths[-1] * treatments)
    flat = np.concatenate([*pieces, last, np.zeros(treatments)])
    return flat[None].astype("float32")
