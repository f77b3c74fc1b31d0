"""What the networks that are scikit-learn's estimators have in common.

Taught in the notebook *A network from scratch*.
"""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sudlib import images
from sudlib.files import InputError
from sudlib.networks import training


class CodesClassifier(ClassifierMixin, BaseEstimator):
    """A network that takes the 28 codes of a record and ends in a logit.

    Who inherits has the parameters ``folder``, ``seed`` and ``distribution``, builds a
    model in ``fit`` and hands it to :meth:`_train`.
    """

    _codes = staticmethod(images.as_codes)
    _batch_size = 256  # records scored at once when nothing else is said

    def _pair(self, people, completed):
        """Return codes and outcomes, or say what is wrong with them."""
        codes, completed = self._codes(people), np.asarray(completed)
        if completed.shape != (len(codes),):
            raise InputError(
                "people and completed must have the same length, one outcome a record:"
                f" there are {len(codes):,} records, and completed has the shape"
                f" {completed.shape}"
            )
        if not np.isin(completed, (0, 1)).all():
            raise InputError("completed must be 0 or 1")
        return codes, completed.astype(int)

    def _train(self, model, codes, completed, **more):
        """Train a model, keep it and what is known of it, and return the estimator."""
        self.training_ = training.train(
            model,
            codes,
            completed,
            folder=self.folder,
            seed=self.seed,
            distribution=self.distribution,
            **more,
        )
        self.model_ = model
        self.history_ = self.training_.history
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = len(images.VARIABLES)
        return self

    def predict_proba(self, people, batch_size=None):
        """Return the probabilities of not completing and of completing.

        Parameters
        ----------
        people : pandas.DataFrame or numpy.ndarray
            Records, or their codes.
        batch_size : int, optional
            Records that are scored at once.

        Returns
        -------
        numpy.ndarray of shape (n, 2)
        """
        check_is_fitted(self, "model_")
        completes = training.probabilities(
            self.model_, self._codes(people), batch_size or self._batch_size
        )
        return np.column_stack([1 - completes, completes])

    def predict(self, people):
        """Return who is predicted to complete: a probability above one half."""
        return (self.predict_proba(people)[:, 1] > 0.5).astype(int)
