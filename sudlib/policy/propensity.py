"""Propensity scores: the probability of each combination given covariates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.study import check_covariates, check_treatments, column_names
from sudlib.policy.treatments import Array, combination_number, combinations
from sudlib.validation import check_choice, check_rows

#: How the probability of a combination may be modelled (section 3.1 of the study).
PROPENSITIES = ("marginal", "product", "multinomial")

#: Weights of a multinomial regression up to which "auto" takes it, and at most.
AUTO_WEIGHTS, MOST_WEIGHTS = 500, 3000


@dataclass(eq=False, repr=False)
class Propensity(BaseEstimator):
    """Probabilities of combinations of treatments given covariates.

    Taught in notebook ``c05_diabetes``.

    Parameters
    ----------
    how : {"marginal", "product", "multinomial", "auto"}, default="multinomial"
        *Marginal*: the share of each combination, the same for everybody (what the
        study used).  *Product*: one logistic regression a treatment, multiplied, as if
        treatments were independent given the covariates (binary relevance).
        *Multinomial*: one regression for all combinations that occur (label powerset).
        *Auto*: multinomial up to 500 weights (combinations times covariates), product
        beyond.
    C : float, default=1.0
        Inverse strength of the ridge penalty of the regressions, on standardised
        covariates.

    Attributes
    ----------
    models_ : list of estimators
        One a treatment ("product") or one for all combinations.
    n_treatments_ : int
        K.
    treatment_names_ : list of str or None
        Names of treatments, if they were columns of a frame.
    how_ : str
        What "auto" decided.

    Examples
    --------
    >>> A = [[1, 1], [1, 1], [1, -1], [-1, -1]]
    >>> Propensity("marginal").fit([[0], [0], [0], [0]], A).predict_proba([[0]])
    array([[0.25, 0.  , 0.25, 0.5 ]])
    """

    how: str = "multinomial"
    C: float = 1.0

    def fit(self, X: ArrayLike, A: ArrayLike) -> Self:
        """Return the fitted model.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Covariates.
        A : array-like of shape (n, K)
            Treatments received, coded -1 and +1.

        Returns
        -------
        Propensity

        Raises
        ------
        sudlib.files.InputError
            For another ``how``, for covariates or treatments that are refused, and for
            more weights than a multinomial regression can have (3,000).
        """
        check_choice("propensity", self.how, (*PROPENSITIES, "auto"))
        check_rows(X=X, A=A)
        self.treatment_names_ = column_names(A)
        X = check_covariates(X, estimator=self, reset=True)
        A = check_treatments(A, len(X))
        self.n_treatments_ = A.shape[1]
        number = combination_number(A)
        weights = len(np.unique(number)) * (1 + X.shape[1])
        auto = "multinomial" if weights <= AUTO_WEIGHTS else "product"
        self.how_ = auto if self.how == "auto" else self.how
        if self.how_ == "multinomial" and weights > MOST_WEIGHTS:
            raise InputError(
                f"a multinomial regression of {len(np.unique(number)):,} combinations"
                f" on {X.shape[1]} covariates has {weights:,} weights; the limit is"
                f" {MOST_WEIGHTS:,}: use the product of single treatments"
            )
        targets = (A > 0).T if self.how_ == "product" else [number]
        self.models_ = [self._model(target).fit(X, target) for target in targets]
        return self

    def _model(self, target: Array) -> Any:
        if self.how_ == "marginal" or target.min() == target.max():
            return DummyClassifier(strategy="prior")
        # By Newton's method: lbfgs does not settle when a combination is rare.
        return make_pipeline(
            StandardScaler(),
            LogisticRegression(C=self.C, solver="newton-cholesky", max_iter=200),
        )

    def treatment_probabilities(self, X: ArrayLike) -> Array:
        """Return every person's probability of each single treatment.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, K)
        """
        check_is_fitted(self)
        if self.how_ != "product":
            given = combinations(self.n_treatments_) > 0
            return self.predict_proba(X) @ given
        X = check_covariates(X, estimator=self)
        shares = [model.predict_proba(X) @ model.classes_ for model in self.models_]
        return np.column_stack(shares)

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return every person's probability of every combination.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, 2 ** K)
            Columns as in :func:`sudlib.policy.combinations`; each row sums to 1.  A
            combination that nobody received has probability 0 in the marginal and the
            multinomial model.
        """
        check_is_fitted(self)
        return self.predict_combinations(X, combinations(self.n_treatments_))

    def predict_combinations(self, X: ArrayLike, codes: ArrayLike) -> Array:
        """Return every person's probability of some combinations.

        Parameters
        ----------
        X : array-like of shape (n, p)
        codes : array-like of shape (m, K)
            Combinations, coded -1 and +1.

        Returns
        -------
        numpy.ndarray of shape (n, m)
        """
        check_is_fitted(self)
        codes = check_treatments(codes, names=self.treatment_names_)
        if self.how_ == "product":
            probabilities: Any = 1.0
            shares = self.treatment_probabilities(X).T[:, :, None]
            for given, code in zip(shares, codes.T, strict=True):
                probabilities = probabilities * np.where(code > 0, given, 1 - given)
            return probabilities
        X = check_covariates(X, estimator=self)
        model = self.models_[0]
        wanted = combination_number(codes)[:, None] == model.classes_
        return model.predict_proba(X) @ wanted.T.astype(float)

    def predict(self, X: ArrayLike) -> Array:
        """Return the most probable combination.

        Parameters
        ----------
        X : array-like of shape (n, p)

        Returns
        -------
        numpy.ndarray of int, shape (n, K)
            Coded -1 and +1.
        """
        probabilities = self.predict_proba(X)
        return combinations(self.n_treatments_)[probabilities.argmax(axis=1)]

    def predict_received(self, X: ArrayLike, A: ArrayLike) -> Array:
        """Return every person's probability of the combination that they received.

        Parameters
        ----------
        X : array-like of shape (n, p)
        A : array-like of shape (n, K)
            Coded -1 and +1.

        Returns
        -------
        numpy.ndarray of shape (n,)
        """
        check_is_fitted(self)
        A = check_treatments(A, check_rows(X=X, A=A), self.treatment_names_)
        if self.how_ == "product":
            given = self.treatment_probabilities(X)
            return np.where(A > 0, given, 1 - given).prod(axis=1)
        X = check_covariates(X, estimator=self)
        model = self.models_[0]
        received = combination_number(A)[:, None] == model.classes_
        return (model.predict_proba(X) * received).sum(axis=1)


def estimate_propensity(X: ArrayLike, A: ArrayLike, how: str = "marginal") -> Array:
    """Return the estimated probability of the combination that each person received.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Covariates.
    A : array-like of shape (n, K)
        Treatments received, coded -1 and +1.
    how : {"marginal", "product", "multinomial"}, default="marginal"
        See :class:`Propensity`.

    Returns
    -------
    numpy.ndarray of shape (n,)

    Examples
    --------
    >>> A = [[1, 1], [1, 1], [1, -1], [-1, -1]]
    >>> estimate_propensity([[0], [0], [0], [0]], A)
    array([0.5 , 0.5 , 0.25, 0.25])
    """
    return Propensity(how).fit(X, A).predict_received(X, A)
