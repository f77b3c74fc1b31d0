"""Cheap rivals of the networks: Q-learning, contrasts, a readable tree (floor 3.5).

Rules for combinations of treatments that need no network.  All share the interface of
``sudlib.owl``: ``fit(X, A, outcome, propensity=None)`` and ``predict(X)`` → treatments
in −1 and +1.  Taught in notebook ``c06_beyond_the_paper``.
"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.validation import check_is_fitted

from sudlib.files import InputError
from sudlib.policy.base import _Rule, best_combination
from sudlib.policy.outcome_weights import interactions, ridge_effects
from sudlib.policy.treatments import check_covariates, check_study, combinations

# -------------------------------------------------------------------------- ours


class RidgeQ(_Rule):
    """The cheap rival: ridge regression of the outcome on X, A and A times X.

    Parameters
    ----------
    pairs : bool, default=False
        Also products of two treatments; then the best of all combinations is
        recommended, otherwise every treatment with a positive effect.
    standardise : bool, default=True
    """

    def __init__(self, pairs=False, standardise=True):
        self.pairs = pairs
        self.standardise = standardise

    def fit(self, X, A, outcome, propensity=None):
        """Return the fitted rule; the propensity is not used."""
        given = X
        X, A, outcome, _ = self._start(X, A, outcome, propensity)
        X = self._scale(X, given)
        self.model_ = RidgeCV(alphas=np.logspace(-1, 4, 11))
        self.model_.fit(interactions(A, X, self.pairs), outcome)
        return self

    def decision_function(self, X):
        """Return the effect of each treatment, and of each pair, (n, effects)."""
        X = self._inputs(X)
        effects = self.n_treatments_
        if self.pairs:
            effects += effects * (effects - 1) // 2
        return ridge_effects(self.model_, X, effects)

    def predict(self, X):
        """Return the recommended combinations, coded -1 and +1, (n, K)."""
        return best_combination(self.decision_function(X), self.n_treatments_)


#: Ridge penalties that are tried, from weak to strong.
PENALTIES = np.logspace(-1, 4, 11)


# ---------------------------------------------------------- additive Q- and A-learning


class AdditiveQLearner(BaseEstimator):
    r"""Model the outcome as a main effect plus one effect a treatment, then choose.

    .. math:: E[R \mid x, a] = m(x) + \sum_k a_k \tau_k(x)

    Treatment :math:`k` is recommended where :math:`\tau_k(x) > 0`.

    Parameters
    ----------
    learner : {"ridge", "boosting"}, default="ridge"
        Linear functions under one ridge penalty (chosen by leave-one-out), or sums of
        small trees, boosted together.
    rounds : int, default=150
        Boosting: trees for each function.
    depth : int, default=3
        Boosting: depth of a tree.
    learning_rate : float, default=0.1
        Boosting: share of each tree that is added.
    subsample : float, default=0.5
        Boosting: share of people that each tree is fitted to.
    seed : int, default=33
        Boosting: draws the subsamples.
    """

    def __init__(
        self,
        learner="ridge",
        rounds=150,
        depth=3,
        learning_rate=0.1,
        subsample=0.5,
        seed=33,
    ):
        self.learner = learner
        self.rounds = rounds
        self.depth = depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.seed = seed

    def fit(self, X, A, outcome, propensity=None):
        """Return the fitted learner; ``propensity`` is not needed and ignored."""
        X, A, outcome = check_study(X, A, outcome)
        if self.learner not in ("ridge", "boosting"):
            raise InputError(
                f'learner must be "ridge" or "boosting", not {self.learner!r}'
            )
        self.n_features_in_ = X.shape[1]
        self.treatments_ = A.shape[1]
        if self.learner == "ridge":
            self._fit_ridge(X, A, outcome)
        else:
            self._fit_boosting(X, A, outcome)
        return self

    def _fit_ridge(self, X, A, outcome):
        self.scaler_ = StandardScaler().fit(X)
        Z = self.scaler_.transform(X)
        W = np.column_stack([np.ones(len(Z)), Z])
        columns = [Z] + [A[:, [k]] * W for k in range(self.treatments_)]
        model = RidgeCV(alphas=PENALTIES).fit(np.column_stack(columns), outcome)
        width = Z.shape[1]
        self.main_ = np.r_[model.intercept_, model.coef_[:width]]
        self.coef_ = model.coef_[width:].reshape(self.treatments_, width + 1)

    def _fit_boosting(self, X, A, outcome):
        random = np.random.default_rng(self.seed)
        self.start_ = float(outcome.mean())
        size = max(2, int(self.subsample * len(X)))
        signs = np.column_stack([np.ones(len(X)), A])
        fitted = np.full(len(X), self.start_)
        self.trees_ = [[] for _ in range(signs.shape[1])]
        for _ in range(self.rounds):
            for function, sign in enumerate(signs.T):
                # Least squares in τ_k with a_k² = 1: the target is a_k × residual.
                rows = random.choice(len(X), size, replace=False)
                tree = DecisionTreeRegressor(
                    max_depth=self.depth,
                    min_samples_leaf=10,
                    random_state=int(random.integers(2**31)),
                )
                tree.fit(X[rows], (sign * (outcome - fitted))[rows])
                fitted += self.learning_rate * sign * tree.predict(X)
                self.trees_[function].append(tree)

    def _functions(self, X):
        """Return m(x) and the τ_k(x), side by side."""
        check_is_fitted(self, "treatments_")
        X = check_covariates(X)
        if X.shape[1] != self.n_features_in_:
            raise InputError(
                f"covariates must have {self.n_features_in_} columns, not {X.shape[1]}"
            )
        if self.learner == "ridge":
            Z = np.column_stack([np.ones(len(X)), self.scaler_.transform(X)])
            return Z @ np.vstack([self.main_, self.coef_]).T
        sums = np.column_stack(
            [
                self.learning_rate * np.sum([t.predict(X) for t in trees], axis=0)
                for trees in self.trees_
            ]
        )
        return sums + np.r_[self.start_, np.zeros(self.treatments_)]

    def decision_function(self, X):
        """Return the estimated τ_k(x), half the gain from giving treatment k."""
        return self._functions(X)[:, 1:]

    def predict(self, X):
        """Return the recommended treatments in −1 and +1."""
        return np.where(self.decision_function(X) > 0, 1, -1)

    def outcomes(self, X):
        """Return the outcome expected under every combination, one column each."""
        functions = self._functions(X)
        return functions[:, :1] + functions[:, 1:] @ combinations(self.treatments_).T
