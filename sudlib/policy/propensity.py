"""Propensity scores: the probability of each combination given covariates."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.treatments import (
    check_covariates,
    check_treatments,
    combination_number,
    combinations,
)

PROPENSITIES = ("marginal", "product", "multinomial")


def logistic_regression(strength=1.0):
    """Return an unfitted regression of treatments on covariates, ridge-penalised.

    By Newton's method, because lbfgs does not settle when a combination is rare.
    """
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(C=strength, solver="newton-cholesky", max_iter=200),
    )


def estimate_propensity(X, A, how="marginal"):
    """Return the estimated probability of the combination that each person received.

    Parameters
    ----------
    X : array of shape (n, p)
    A : array of shape (n, K)
        Coded -1 and +1.
    how : {"marginal", "product", "multinomial"}
        The share of the combination; a product of K logistic regressions on X; one
        multinomial regression on X (each as in section 3.1 of the study).

    Returns
    -------
    numpy.ndarray of shape (n,)
    """
    if how not in PROPENSITIES:
        raise InputError(
            f"propensity must be one of {', '.join(PROPENSITIES)}, not {how!r}"
        )
    A = np.asarray(A)
    if how == "product":
        logs = np.zeros(len(A))
        for column in A.T:
            model = logistic_regression().fit(X, column > 0)
            chance = model.predict_proba(X)[:, 1]
            logs += np.log(np.where(column > 0, chance, 1 - chance))
        return np.exp(logs)
    number = combination_number(A)
    if how == "marginal":
        return (np.bincount(number) / len(number))[number]
    seen, place = np.unique(number, return_inverse=True)
    model = logistic_regression().fit(X, number)
    if not np.array_equal(model.classes_, seen):  # pragma: no cover - sklearn's promise
        raise AssertionError("classes are not sorted")
    return model.predict_proba(X)[np.arange(len(A)), place]


# --------------------------------------------------------------------- propensities


class Propensity(BaseEstimator):
    """The chance of each person's combination of treatments.

    Parameters
    ----------
    how : {"marginal", "product", "multinomial"}, default="multinomial"
        *Marginal*: the share of each combination, the same for everybody (what the
        study used).  *Product*: one logistic regression a treatment, multiplied, as if
        treatments were independent given the covariates.  *Multinomial*: one regression
        for all combinations that occur.
    strength : float, default=1.0
        Inverse strength of the ridge penalty of the regressions.
    """

    def __init__(self, how="multinomial", strength=1.0):
        self.how = how
        self.strength = strength

    def fit(self, X, A):
        """Return the fitted model.

        Raises
        ------
        InputError
            For another ``how``, and more than 12 treatments.
        """
        if self.how not in ("marginal", "product", "multinomial"):
            raise InputError(
                f'how must be "marginal", "product" or "multinomial", not {self.how!r}'
            )
        X = check_covariates(X)
        A = check_treatments(A, len(X))
        self.combinations_ = combinations(A.shape[1])
        place = combination_number(A)
        if self.how == "marginal":
            counts = np.bincount(place, minlength=len(self.combinations_))
            self.shares_ = counts / len(place)
        elif self.how == "multinomial" and place.min() != place.max():
            self.models_ = [self._regression().fit(X, place)]
        elif self.how == "multinomial":
            self.models_ = [float(place[0])]
        else:
            self.models_ = [
                float(column[0] > 0)
                if column.min() == column.max()
                else self._regression().fit(X, column)
                for column in A.T
            ]
        self.treatments_ = A.shape[1]
        return self

    def _regression(self):
        return logistic_regression(self.strength)

    def matrix(self, X):
        """Return every person's chance of every combination; each row sums to 1.

        A combination that nobody was given in the data fitted to has chance 0 in the
        marginal and the multinomial model.
        """
        check_is_fitted(self, "treatments_")
        X = check_covariates(X)
        if self.how == "marginal":
            return np.tile(self.shares_, (len(X), 1))
        chances = np.zeros((len(X), len(self.combinations_)))
        if self.how == "multinomial":
            model = self.models_[0]
            if isinstance(model, float):
                chances[:, int(model)] = 1.0
            else:
                chances[:, model.classes_] = model.predict_proba(X)
            return chances
        given = np.column_stack(
            [
                np.full(len(X), model)
                if isinstance(model, float)
                else model.predict_proba(X)[:, 1]
                for model in self.models_
            ]
        )
        taken = self.combinations_[None] > 0
        return np.where(taken, given[:, None], 1 - given[:, None]).prod(axis=2)

    def predict(self, X, A):
        """Return every person's chance of the combination that they were given."""
        chances = self.matrix(X)
        A = check_treatments(A, len(chances))
        return chances[np.arange(len(chances)), combination_number(A)]


def check_propensity(propensity, people):
    """Return propensities as an array, or say what is wrong: 0 < π ≤ 1 is allowed."""
    values = np.asarray(propensity, dtype=float)
    if values.shape != (people,):
        raise InputError(
            f"the propensity must be one number for each of {people} people, not of"
            f" shape {values.shape}"
        )
    wrong = ~((values > 0) & (values <= 1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"a propensity must be above 0 and at most 1; row {row + 1} is"
            f" {values[row]:g} ({int(wrong.sum())} such rows)"
        )
    return values
