"""Synthetic rows from a small generative network: a conditional variational autoencoder.

Taught in the notebook *What would go beyond the study?*.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sudlib.smoten import check_levels, check_order
from sudlib.validation import check_number, check_whole


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
    epochs : int, default=60
        Passes over the rows, in batches of 64.
    beta : float, default=0.3
        Weight of the divergence.  At 1 a few hundred rows teach :math:`z` nothing, and
        the columns are drawn independently.

    Attributes
    ----------
    sampling_strategy_ : dict
        Synthetic rows for each class.
    encoder_, decoder_ : keras.Model
        From levels and class to mean and log variance of :math:`z`; from :math:`z` and
        class to the scores of all levels, -1e9 where a variable has no such level.

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
        epochs: int = 60,
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
        check_order(X, y)
        return super().fit_resample(X, y, **params)

    def _check_X_y(self, X: Any, y: Any, accept_sparse: Any = None) -> Any:
        y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
        X, y = validate_data(self, X=X, y=y, reset=True, dtype=None)
        return X, y, binarize_y

    def _fit_resample(self, X: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        draw = check_random_state(self.random_state)
        encoder = OrdinalEncoder(dtype=np.int32)
        codes = encoder.fit_transform(X)
        labels, classes = np.unique(y, return_inverse=True)
        of_class = np.eye(len(labels), dtype=np.float32)[classes]
        n_levels = [len(levels) for levels in encoder.categories_]
        self._fit(codes, of_class, n_levels, int(draw.randint(2**31 - 1)))
        new_rows, new_labels = [X], [y]
        for label, wanted in self.sampling_strategy_.items():
            if not wanted:
                continue
            begun = draw.choice(np.flatnonzero(y == label), wanted)
            mean, spread = np.split(
                np.asarray(self.encoder_([codes[begun], of_class[begun]])), 2, axis=1
            )
            z = mean + np.exp(spread / 2) * draw.standard_normal(mean.shape)
            scores = self.decoder_([z.astype(np.float32), of_class[begun]])
            below = softmax(np.asarray(scores, float), axis=2).cumsum(axis=2)
            place = draw.random_sample((*below.shape[:2], 1)) * below[:, :, -1:]
            made = (below <= place).sum(axis=2)
            new_rows.append(encoder.inverse_transform(made).astype(X.dtype))
            new_labels.append(np.full(wanted, label, dtype=y.dtype))
        return np.vstack(new_rows), np.hstack(new_labels)

    def _fit(
        self, codes: NDArray, of_class: NDArray, n_levels: list[int], seed: int
    ) -> None:
        """Train the encoder and the decoder."""
        import keras
        from keras import layers, ops

        keras.utils.set_random_seed(seed)
        shape = len(n_levels), max(n_levels)
        absent = np.where(np.arange(shape[1]) < np.array(n_levels)[:, None], 0, -1e9)
        levels = keras.Input(shape[:1], dtype="int32")
        group = keras.Input(of_class.shape[1:])

        columns = layers.Flatten()(ops.one_hot(levels, shape[1]))
        x = layers.Concatenate()([columns, group])
        x = layers.Dense(self.width, activation="relu")(x)
        normal = layers.Dense(2 * self.n_hidden)(x)
        self.encoder_ = keras.Model([levels, group], normal)

        z = keras.Input((self.n_hidden,))
        x = layers.Concatenate()([z, group])
        x = layers.Dense(self.width, activation="relu")(x)
        x = layers.Reshape(shape)(layers.Dense(shape[0] * shape[1])(x))
        self.decoder_ = keras.Model([z, group], x + absent.astype(np.float32))

        mean, spread = ops.split(normal, 2, axis=1)
        noise = layers.GaussianNoise(1.0, seed=seed)(ops.zeros_like(mean))
        scores = self.decoder_([mean + ops.exp(spread / 2) * noise, group])
        model = keras.Model([levels, group], [scores, normal])

        def surprise(truth: Any, scores: Any) -> Any:
            each = keras.losses.sparse_categorical_crossentropy(
                truth, scores, from_logits=True
            )
            return ops.sum(each, axis=-1)

        def divergence(_: Any, normal: Any) -> Any:
            mean, spread = ops.split(normal, 2, axis=1)
            return self.beta / 2 * ops.sum(
                mean**2 + ops.exp(spread) - spread - 1, axis=-1
            )

        model.compile(keras.optimizers.Adam(3e-3), [surprise, divergence])
        rows = [codes, of_class]
        model.fit(rows, [codes, of_class], 64, self.epochs, verbose=0)
