"""Synthetic rows from a conditional variational autoencoder, a generative network.

Taught in the notebook *What would go beyond the study?*.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sudlib.smoten import check_levels
from sudlib.validation import check_number, check_rows, check_whole

# Rows in a batch, and the learning rate of Adam.
_BATCH, _RATE = 256, 0.01


class VariationalSampler(BaseOverSampler):
    r"""Oversampling of levels by a conditional variational autoencoder.

    An encoder gives each row a normal distribution of a few hidden numbers
    :math:`z`; a decoder turns :math:`z` and the class into one softmax for each
    variable.  Both learn from the rows of *all* classes, by minimising

    .. math:: -\sum_j \log p(x_j \mid z, y)
              + \beta\, \mathrm{KL}\big(q(z \mid x, y) \,\big\Vert\, N(0, I)\big).

    A synthetic row of a class is what the decoder makes of a :math:`z` from the
    distribution of one of the class's rows, each level drawn from its softmax.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Rows wanted of each class, as in imbalanced-learn.
    random_state : int, RandomState or None, default=None
        For the network's first weights, the order of the rows and all draws.
    n_hidden : int, default=8
        Length of :math:`z`.
    width : int, default=64
        Units of the one layer in the encoder, and in the decoder.
    epochs : int, default=40
        Passes over the rows, in batches of 256.
    beta : float, default=0.3
        Weight of the divergence: the larger, the more a synthetic row may differ from
        the row it begins with.

    Attributes
    ----------
    sampling_strategy_ : dict
        Synthetic rows for each class.
    encoder_, decoder_ : keras.Model
        From levels and class to mean and log variance of :math:`z`; from :math:`z` and
        class to the scores of all levels, whose softmax is taken variable by variable.

    Raises
    ------
    InputError
        For continuous columns, missing values, or a setting out of range.

    References
    ----------
    Kingma and Welling (2014), Auto-encoding variational Bayes; Xu and others (2019),
    Modeling tabular data using conditional GAN, whose TVAE this simplifies.

    Examples
    --------
    >>> levels = np.array([["a", "x"]] * 6 + [["b", "y"]] * 8)
    >>> sampler = VariationalSampler(random_state=0, epochs=1)
    >>> X, y = sampler.fit_resample(levels, [1] * 6 + [0] * 8)
    >>> X.shape, sorted(set(X[-1]) - {"a", "b", "x", "y"})
    ((16, 2), [])
    """

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        n_hidden: int = 8,
        width: int = 64,
        epochs: int = 40,
        beta: float = 0.3,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.n_hidden = n_hidden
        self.width = width
        self.epochs = epochs
        self.beta = beta

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        **dict.fromkeys(("n_hidden", "width", "epochs", "beta"), "no_validation"),
    }

    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """Return the rows with the synthetic ones below them.

        Parameters
        ----------
        X : array-like or pandas.DataFrame of shape (n_rows, n_columns)
            Levels: text, categories, or whole numbers.
        y : array-like of shape (n_rows,)
            Classes.
        **params
            Passed to imbalanced-learn.

        Returns
        -------
        X, y : of the kind that came in
        """
        for name in ("n_hidden", "width", "epochs"):
            check_whole(name, getattr(self, name), 1)
        check_number("beta", self.beta, 0)
        check_levels(X)
        check_rows(X=X, y=y)
        return super().fit_resample(X, y, **params)

    def _check_X_y(self, X: Any, y: Any, accept_sparse: Any = None) -> Any:
        y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
        X, y = validate_data(self, X=X, y=y, reset=True, dtype=None)
        return X, y, binarize_y

    def _fit_resample(self, X: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        from keras import ops

        draw = check_random_state(self.random_state)
        encoder = OneHotEncoder(sparse_output=False, dtype=np.float32)
        rows = encoder.fit_transform(X)
        ends = np.cumsum([len(levels) for levels in encoder.categories_])
        labels, classes = np.unique(y, return_inverse=True)
        of_class = np.eye(len(labels), dtype=np.float32)[classes]
        self._train(rows, of_class, ends, draw)
        new_rows, new_labels = [X], [y]
        for label, wanted in self.sampling_strategy_.items():
            if not wanted:
                continue
            begun = draw.choice(np.flatnonzero(y == label), wanted)
            normal = self.encoder_([rows[begun], of_class[begun]])
            mean, spread = np.split(ops.convert_to_numpy(normal), 2, axis=1)
            z = mean + np.exp(spread / 2) * draw.standard_normal(mean.shape)
            scores = self.decoder_([z.astype(np.float32), of_class[begun]])
            # The highest of scores with Gumbel noise is a draw from their softmax.
            noisy = ops.convert_to_numpy(scores)
            noisy = noisy + draw.gumbel(size=noisy.shape)
            each = np.split(noisy, ends[:-1], axis=1)
            made = [
                levels[column.argmax(axis=1)]
                for levels, column in zip(encoder.categories_, each, strict=True)
            ]
            new_rows.append(np.column_stack(made).astype(X.dtype))
            new_labels.append(np.full(wanted, label, dtype=y.dtype))
        return np.vstack(new_rows), np.hstack(new_labels)

    def _train(
        self,
        rows: NDArray,
        of_class: NDArray,
        ends: NDArray,
        draw: np.random.RandomState,
    ) -> None:
        """Train the encoder and the decoder on columns of 0 and 1."""
        import keras
        from keras import layers, ops

        seed = int(draw.randint(2**31 - 1))
        keras.utils.set_random_seed(seed)
        total = int(ends[-1])
        variable = np.searchsorted(ends, np.arange(total), side="right")
        member = np.eye(len(ends), dtype=np.float32)[variable]  # levels × variables

        levels, group = keras.Input((total,)), keras.Input(of_class.shape[1:])
        x = layers.Concatenate()([levels, group])
        x = layers.Dense(self.width, activation="relu")(x)
        normal = layers.Dense(2 * self.n_hidden)(x)
        self.encoder_ = keras.Model([levels, group], normal)

        z = keras.Input((self.n_hidden,))
        x = layers.Concatenate()([z, group])
        x = layers.Dense(self.width, activation="relu")(x)
        scores = 15 * ops.tanh(layers.Dense(total)(x) / 15)  # so that exp stays finite
        self.decoder_ = keras.Model([z, group], scores)

        mean, spread = ops.split(normal, 2, axis=1)
        noise = layers.GaussianNoise(1.0, seed=seed)(ops.zeros_like(mean))
        scores = self.decoder_([mean + ops.exp(spread / 2) * noise, group])
        model = keras.Model([levels, group], [scores, normal])

        def surprise(truth: Any, scores: Any) -> Any:
            whole = ops.log(ops.matmul(ops.exp(scores), member))
            return ops.sum(whole, axis=1) - ops.sum(truth * scores, axis=1)

        def divergence(_: Any, normal: Any) -> Any:
            mean, spread = ops.split(normal, 2, axis=1)
            each = mean**2 + ops.exp(spread) - spread - 1
            return self.beta / 2 * ops.sum(each, axis=1)

        model.compile(
            keras.optimizers.Adam(_RATE),
            [surprise, divergence],
            jit_compile=keras.backend.backend() == "jax",
        )
        size = min(_BATCH, len(rows))  # always the same: another one is compiled again
        for _ in range(self.epochs):
            order = draw.permutation(len(rows))
            for start in range(0, len(rows) - size + 1, size):
                at = order[start : start + size]
                part = [rows[at], of_class[at]]
                model.train_on_batch(part, part)
