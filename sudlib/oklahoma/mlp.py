"""Study B's multilayer perceptrons, many trained side by side."""

import itertools

import numpy as np

NETWORK_GRID = {
    "layer1": (8, 10, 20, 30),
    "layer2": (8, 10, 20, 30),
    "activation": ("relu", "tanh", "sigmoid"),
    "optimizer": ("adam", "sgd"),
    "loss": ("categorical_crossentropy", "mean_squared_error"),
}
"""Section 7.4."""


EPOCHS = 20


# ----------------------------------------------------------------------- networks


def network(columns, classes, *, layer1, layer2, activation, optimizer, loss):
    """Return the study's network, compiled: two hidden layers, one score a class.

    Parameters
    ----------
    columns, classes : int
    layer1, layer2 : int
        Units.
    activation : {"relu", "tanh", "sigmoid"}
    optimizer : {"adam", "sgd"}
    loss : {"categorical_crossentropy", "mean_squared_error"}

    Returns
    -------
    keras.Model
    """
    import keras

    model = keras.Sequential(
        [
            keras.Input((columns,)),
            keras.layers.Dense(layer1, activation=activation),
            keras.layers.Dense(layer2, activation=activation),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(optimizer=optimizer, loss=loss)
    return model


def first_weights(columns, classes, setting, seed):
    """Return the weights a network begins with: Glorot's uniform ones, no bias.

    They depend on the seed and the setting alone, not on the grid it stands in.

    Returns
    -------
    list of numpy.ndarray
        As ``keras.Model.set_weights`` takes them.
    """
    sizes = (columns, setting["layer1"], setting["layer2"], classes)
    random = np.random.default_rng([seed, *sizes])
    found = []
    for left, right in itertools.pairwise(sizes):
        limit = np.sqrt(6 / (left + right))
        found.append(random.uniform(-limit, limit, (left, right)).astype(np.float32))
        found.append(np.zeros(right, np.float32))
    return found


def side_by_side(columns, classes, candidates, seed):
    """Return one Keras model that holds many of the study's networks, uncompiled.

    They share nothing, so the gradient of the sum of their losses is each network's
    own: training them together is training each alone, in one pass over the data.
    Smaller layers are padded with units that always give 0.

    Parameters
    ----------
    columns, classes : int
    candidates : list of dict
        Settings with the same optimizer and loss, sorted by activation.
    seed : int

    Returns
    -------
    keras.Model
        Its output has shape (rows, networks, classes).
    """
    import keras

    widest = [
        max(setting[name] for setting in candidates) for name in ("layer1", "layer2")
    ]
    sizes = (columns, *widest, classes)
    starts = [first_weights(columns, classes, s, seed) for s in candidates]
    names = [setting["activation"] for setting in candidates]
    runs = [(name, len(list(run))) for name, run in itertools.groupby(names)]

    class Layer(keras.layers.Layer):
        """One layer of every network."""

        def __init__(self, depth):
            super().__init__()
            left, right = sizes[depth : depth + 2]
            kernel = np.zeros((len(candidates), left, right), np.float32)
            real = np.zeros((len(candidates), right), np.float32)
            for place, start in enumerate(starts):
                rows, units = start[2 * depth].shape
                kernel[place, :rows, :units] = start[2 * depth]
                real[place, :units] = 1
            self.depth, self.real = depth, real
            self.kernel = self.add_weight(shape=kernel.shape, name="kernel")
            self.bias = self.add_weight(
                shape=real.shape, initializer="zeros", name="bias"
            )
            self.kernel.assign(kernel)
            self.built = True

        def call(self, inputs):
            form = "bl,nlr->bnr" if self.depth == 0 else "bnl,nlr->bnr"
            value = keras.ops.einsum(form, inputs, self.kernel) + self.bias
            if self.depth == 2:
                return keras.ops.softmax(value)
            parts, begin = [], 0
            for name, length in runs:
                bend = keras.activations.get(name)
                parts.append(bend(value[:, begin : begin + length]))
                begin += length
            return keras.ops.concatenate(parts, axis=1) * self.real

    inputs = keras.Input((columns,))
    return keras.Model(inputs, Layer(2)(Layer(1)(Layer(0)(inputs))))


def summed_loss(name):
    """Return Keras's loss of that name, summed over networks that lie side by side."""
    import keras

    alone = keras.losses.get(name)

    def loss(truth, scores):
        truth = keras.ops.broadcast_to(truth[:, None, :], keras.ops.shape(scores))
        return keras.ops.sum(alone(truth, scores), axis=-1)

    return loss


def network_grid(
    split, candidates, *, sample_weight=None, seed=33, epochs=EPOCHS, n_jobs=None
):
    """Return the predictions of every network of a grid (section 7.4).

    Networks with the same optimizer and loss are trained side by side, in one fit
    (:func:`side_by_side`): the 192 of the study's grid in four.  Parameters and
    result as in :func:`svm_grid`; ``epochs`` as printed, batches of 32, ``n_jobs`` is
    Keras's own affair.
    """
    import keras

    labels, code = np.unique(split.y_train, return_inverse=True)
    wanted = np.eye(len(labels), dtype=np.float32)[code]
    weights = None if sample_weight is None else np.asarray(sample_weight, np.float32)
    if split.weighted:
        rare = len(code) / (len(labels) * np.bincount(code))
        weights = (1 if weights is None else weights) * rare[code].astype(np.float32)
    train, test = (X.astype(np.float32) for X in (split.X_train, split.X_test))
    found = np.empty((len(candidates), len(test)), labels.dtype)
    order = sorted(
        range(len(candidates)),
        key=lambda place: [
            candidates[place][name] for name in ("optimizer", "loss", "activation")
        ],
    )
    for (optimizer, loss), places in itertools.groupby(
        order, lambda place: [candidates[place][name] for name in ("optimizer", "loss")]
    ):
        places = list(places)
        together = [candidates[place] for place in places]
        model = side_by_side(train.shape[1], len(labels), together, seed)
        model.compile(optimizer=optimizer, loss=summed_loss(loss))
        keras.utils.set_random_seed(seed)  # the order of the batches
        model.fit(
            train,
            wanted,
            epochs=epochs,
            batch_size=32,
            sample_weight=weights,
            verbose=0,
        )
        scores = keras.ops.convert_to_numpy(model(test, training=False))
        found[places] = labels[np.argmax(scores, axis=2)].T
    return found
