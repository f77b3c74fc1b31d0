"""Cheap rivals of the networks: Q-learning, contrasts, a readable tree (floor 3.5).

Rules for combinations of treatments that need no network.  All share the interface of
``sudlib.owl``: ``fit(X, A, outcome, propensity=None)`` and ``predict(X)`` → treatments
in −1 and +1.  Taught in notebook ``c06_beyond_the_paper``.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.validation import check_is_fitted

from sudlib.combinations import combination_number, combinations
from sudlib.files import InputError
from sudlib.owl.rules import check_people

#: Ridge penalties that are tried, from weak to strong.
PENALTIES = np.logspace(-1, 4, 11)


# ------------------------------------------------------------------------- checking


def check_covariates(X):
    """Return covariates as an array of floats, or say what is wrong with them.

    Raises
    ------
    InputError
        If they are no table, or a value is missing or infinite (naming the column).
    """
    names = list(X.columns) if hasattr(X, "columns") else None
    try:
        values = np.asarray(X, dtype=float)
    except (TypeError, ValueError) as why:
        raise InputError(f"covariates must be numbers: {why}") from why
    if values.ndim != 2 or not len(values):
        raise InputError(
            "covariates must be a table with one row a person and at least one row,"
            f" not of shape {values.shape}"
        )
    bad = ~np.isfinite(values)
    if bad.any():
        column = int(np.flatnonzero(bad.any(axis=0))[0])
        raise InputError(
            f"the covariate {names[column] if names else f'in column {column}'!r} is"
            f" missing or infinite for {int(bad[:, column].sum())} people: impute it"
            " first, for instance with sudlib.cprd.impute"
        )
    return values


def check_study(X, A, outcome):
    """Return covariates, treatments and outcome of a study, checked.

    Raises
    ------
    InputError
        For covariates that :func:`check_covariates` refuses, and what
        :func:`sudlib.owl.rules.check_people` refuses: treatments not coded −1 and +1
        (0 and 1 are accepted, and said), one given to nobody or to everybody, outcomes
        that are not finite.
    """
    X = check_covariates(X)
    _, A, outcome, _ = check_people(X, A, outcome)
    return X, A.astype(int), outcome


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


class ContrastLearner(BaseEstimator):
    r"""Estimate the treatments' contrasts directly, without a model of the main effect.

    A-learning: :math:`R - \hat m(x) = \sum_k (a_k - \hat e_k(x))\,\tau_k(x)` is fitted
    by ridge regression, where :math:`\hat m(x)=E[R|x]` and
    :math:`\hat e_k(x)=E[a_k|x]` are cross-fitted.  Errors in either are multiplied by
    errors in the other.

    Parameters
    ----------
    folds : int, default=5
        For cross-fitting.
    randomised : bool, default=False
        True uses the observed share of each treatment for :math:`\hat e_k`.
    seed : int, default=33
        Draws the folds.
    """

    def __init__(self, folds=5, randomised=False, seed=33):
        self.folds = folds
        self.randomised = randomised
        self.seed = seed

    def fit(self, X, A, outcome, propensity=None):
        """Return the fitted learner; ``propensity`` is estimated, not taken."""
        X, A, outcome = check_study(X, A, outcome)
        if not 2 <= self.folds <= len(X):
            raise InputError(f"folds must be from 2 to {len(X)}, not {self.folds}")
        self.n_features_in_ = X.shape[1]
        self.scaler_ = StandardScaler().fit(X)
        Z = self.scaler_.transform(X)
        main = np.empty(len(Z))
        chance = np.empty(A.shape)
        parts = KFold(self.folds, shuffle=True, random_state=self.seed)
        for train, rest in parts.split(Z):
            main[rest] = (
                RidgeCV(alphas=PENALTIES).fit(Z[train], outcome[train]).predict(Z[rest])
            )
            if self.randomised:
                chance[rest] = A[train].mean(axis=0)
                continue
            for k in range(A.shape[1]):
                chance[rest, k] = 2 * _chance(Z[train], A[train, k], Z[rest]) - 1
        W = np.column_stack([np.ones(len(Z)), Z])
        design = np.column_stack(
            [(A[:, [k]] - chance[:, [k]]) * W for k in range(A.shape[1])]
        )
        model = RidgeCV(alphas=PENALTIES, fit_intercept=False)
        model.fit(design, outcome - main)
        self.coef_ = model.coef_.reshape(A.shape[1], -1)
        return self

    def decision_function(self, X):
        """Return the estimated contrasts τ_k(x)."""
        check_is_fitted(self, "coef_")
        Z = self.scaler_.transform(check_covariates(X))
        return np.column_stack([np.ones(len(Z)), Z]) @ self.coef_.T

    def predict(self, X):
        """Return the recommended treatments in −1 and +1."""
        return np.where(self.decision_function(X) > 0, 1, -1)


def _chance(X, given, at):
    """Return the chance of one treatment by logistic regression, 0.01 to 0.99."""
    from sklearn.linear_model import LogisticRegression

    if given.min() == given.max():
        return np.full(len(at), np.clip((given[0] + 1) / 2, 0.01, 0.99))
    model = LogisticRegression(C=1.0, max_iter=500).fit(X, given)
    return np.clip(
        model.predict_proba(at)[:, list(model.classes_).index(1)], 0.01, 0.99
    )


# -------------------------------------------------------------------- a readable tree


class PolicyTree(BaseEstimator):
    """A rule of at most three questions, found by trying all of them.

    Given a score of every combination for every person (for instance
    :func:`sudlib.values.augmented_scores`), find the tree of depth 1 or 2 whose mean
    score is largest.  The search over the candidate cuts is exhaustive.

    Parameters
    ----------
    depth : int, default=2
        0, 1 or 2.
    cuts : int, default=9
        Cuts tried in each covariate, at its quantiles.
    smallest : int, default=50
        People in the smallest leaf.
    """

    def __init__(self, depth=2, cuts=9, smallest=50):
        self.depth = depth
        self.cuts = cuts
        self.smallest = smallest

    def fit(self, X, scores):
        """Return the fitted tree.

        Parameters
        ----------
        X : array-like of shape (people, covariates)
        scores : array-like of shape (people, 2 ** treatments)
            Columns as in :func:`sudlib.combinations.combinations`.
        """
        names = list(X.columns) if hasattr(X, "columns") else None
        X = check_covariates(X)
        scores = np.asarray(scores, dtype=float)
        treatments = int(np.log2(scores.shape[1]))
        if scores.shape != (len(X), 2**treatments) or not np.isfinite(scores).all():
            raise InputError(
                "scores must be finite, one row a person and one column for each of"
                f" the 2^K combinations, not of shape {scores.shape}"
            )
        if self.depth not in (0, 1, 2):
            raise InputError(f"depth must be 0, 1 or 2, not {self.depth!r}")
        self.combinations_ = combinations(treatments)
        self.names_ = names or [f"covariate {j}" for j in range(X.shape[1])]
        grid = np.linspace(0, 1, self.cuts + 2)[1:-1]
        pairs = [
            (j, cut)
            for j in range(X.shape[1])
            for cut in np.unique(np.quantile(X[:, j], grid))
            if cut < X[:, j].max()
        ]
        below = np.column_stack(
            [X[:, j] <= cut for j, cut in pairs] or [np.zeros((len(X), 0), bool)]
        )
        self._pairs = pairs
        self.tree_ = self._grow(below, scores, np.ones(len(X), bool), self.depth)[1]
        return self

    def _grow(self, below, scores, here, depth):
        """Return the largest sum of scores in this part, and the tree that has it."""
        sums = scores[here].sum(axis=0)
        best = sums.max(), {"leaf": int(sums.argmax()), "people": int(here.sum())}
        if depth == 0 or not below.shape[1]:
            return best
        part = below[here].astype(float)
        counts = part.sum(axis=0)
        enough = (counts >= self.smallest) & (here.sum() - counts >= self.smallest)
        if not enough.any():
            return best
        if depth == 1:
            left = part.T @ scores[here]
            gains = left.max(axis=1) + (sums - left).max(axis=1)
            cut = int(np.where(enough, gains, -np.inf).argmax())
            if gains[cut] <= best[0]:
                return best
            choices = [cut]
        else:
            choices = np.flatnonzero(enough)
        for cut in choices:
            low = self._grow(below, scores, here & below[:, cut], depth - 1)
            high = self._grow(below, scores, here & ~below[:, cut], depth - 1)
            if low[0] + high[0] > best[0] + 1e-9:
                j, where = self._pairs[cut]
                node = {"column": j, "cut": where, "low": low[1], "high": high[1]}
                best = low[0] + high[0], node
        return best

    def predict(self, X):
        """Return the recommended treatments in −1 and +1."""
        check_is_fitted(self, "tree_")
        X = check_covariates(X)
        chosen = np.empty(len(X), int)

        def walk(node, here):
            if "leaf" in node:
                chosen[here] = node["leaf"]
                return
            low = X[:, node["column"]] <= node["cut"]
            walk(node["low"], here & low)
            walk(node["high"], here & ~low)

        walk(self.tree_, np.ones(len(X), bool))
        return self.combinations_[chosen]

    def leaves(self, treatments=None):
        """Return the rule in words, one row a leaf.

        Parameters
        ----------
        treatments : list of str, optional
            Names of the treatments.

        Returns
        -------
        pandas.DataFrame
            Columns ``who``, ``treatments`` and ``people`` (in the data it was fitted
            to; look at :func:`sudlib.values.guard` before showing it).
        """
        check_is_fitted(self, "tree_")
        labels = treatments or [
            f"treatment {k + 1}" for k in range(self.combinations_.shape[1])
        ]
        rows = []

        def walk(node, path):
            if "leaf" in node:
                given = self.combinations_[node["leaf"]] > 0
                taken = [label for label, g in zip(labels, given, strict=True) if g]
                rows.append(
                    {
                        "who": " and ".join(path) or "everybody",
                        "treatments": " + ".join(taken) or "none",
                        "people": node["people"],
                    }
                )
                return
            name = self.names_[node["column"]]
            walk(node["low"], [*path, f"{name} ≤ {node['cut']:g}"])
            walk(node["high"], [*path, f"{name} > {node['cut']:g}"])

        walk(self.tree_, [])
        return pd.DataFrame(rows)


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


# ------------------------------------------------------------------------ two stages


@dataclass(frozen=True)
class Course:
    """Two visits of a simulated disease, with what was given and what came of it."""

    start: np.ndarray  # covariates at the first visit
    first: np.ndarray  # treatments given there, −1 and +1
    gain: np.ndarray  # outcome until the second visit
    state: np.ndarray  # covariates at the second visit
    second: np.ndarray  # treatments given there
    later: np.ndarray  # outcome after the second visit, switching paid


class DiseaseCourse:
    """A simulated disease of two stages, three treatments and a cost of switching.

    Severity is ``x[:, 0]``.  The first two treatments act at once, the second wears
    out (taken before, it works half as well); the third does little at once but slows
    the disease, in some people more than in others, and severity lowers the second
    outcome.  Every treatment begun or stopped at the second visit costs ``switching``.

    Parameters
    ----------
    switching : float, default=0.25
        Cost of each treatment changed at the second visit.
    covariates : int, default=6
    noise : float, default=1.0
        Standard deviation of each outcome.
    """

    treatments = 3

    def __init__(self, switching=0.25, covariates=6, noise=1.0):
        if covariates < 4:
            raise InputError(f"covariates must be 4 or more, not {covariates}")
        self.switching = switching
        self.covariates = covariates
        self.noise = noise

    def effects(self, x):
        """Return the effect of giving each treatment, by person."""
        return np.column_stack(
            [
                0.4 + 0.7 * x[:, 1] + 0.3 * x[:, 0],
                0.6 - 0.6 * x[:, 1] + 0.4 * x[:, 2],
                -0.2 + 0.3 * x[:, 0] - 0.3 * x[:, 3],
            ]
        )

    def gains(self, start):
        """Return the expected first outcome under each first combination."""
        return self.effects(start) @ (combinations(3) > 0).T

    def laters(self, state, first):
        """Return the expected second outcome under each second combination."""
        taken = combinations(3) > 0
        worn = self.effects(state)
        worn[:, 1] *= np.where(first[:, 1] > 0, 0.5, 1.0)
        changed = (first[:, None, :] != combinations(3)[None]).sum(axis=2)
        return worn @ taken.T - self.switching * changed - state[:, :1]

    def next_state(self, start, first, gain):
        """Return the covariates at the second visit: severity has moved."""
        state = start.copy()
        slowed = (first[:, 2] > 0) * (1.0 + 0.6 * start[:, 3])
        state[:, 0] = 0.8 * start[:, 0] + 0.5 - 0.2 * gain - slowed
        return state

    def draw(self, people, seed, rules=None):
        """Return a course; randomised treatments, or those of a pair of rules.

        Parameters
        ----------
        people, seed : int
        rules : tuple of callables, optional
            ``rules[0](start)`` and ``rules[1](state, first)`` → treatments.
        """
        random = np.random.default_rng(seed)
        start = random.standard_normal((people, self.covariates))
        noise = self.noise * random.standard_normal((2, people))
        chance = random.integers(0, 8, (2, people))
        every = combinations(3)
        rows = np.arange(people)
        first = rules[0](start) if rules else every[chance[0]]
        gain = self.gains(start)[rows, combination_number(first)] + noise[0]
        state = self.next_state(start, first, gain)
        second = rules[1](state, first) if rules else every[chance[1]]
        later = self.laters(state, first)[rows, combination_number(second)] + noise[1]
        return Course(start, first, gain, state, second, later)

    def value(self, rules, people=20000, seed=1):
        """Return the mean total outcome if everybody followed a pair of rules."""
        course = self.draw(people, seed, rules)
        return float((course.gain + course.later).mean())

    def best_rules(self):
        """Return the pair of rules with the largest value, by working backwards."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(15)
        every = combinations(3)

        def second(state, first):
            return every[self.laters(state, first).argmax(axis=1)]

        def first(start):
            total = self.gains(start)
            for place in range(8):
                given = np.broadcast_to(every[place], (len(start), 3))
                for node, weight in zip(nodes, weights / weights.sum(), strict=True):
                    gain = self.gains(start)[:, place] + self.noise * node
                    state = self.next_state(start, given, gain)
                    total[:, place] += weight * self.laters(state, given).max(axis=1)
            return every[total.argmax(axis=1)]

        return first, second


def history(state, first):
    """Return what is known at the second visit: the covariates and what was taken."""
    return np.column_stack([state, first])


def two_stage_q_learning(course, learner=None):
    """Return a pair of rules by Q-learning, from the second stage back to the first.

    Parameters
    ----------
    course : Course
    learner : callable, optional
        Makes an unfitted :class:`AdditiveQLearner` (the default).

    Returns
    -------
    tuple of callables
        As :meth:`DiseaseCourse.draw` takes them.
    """
    make = learner or AdditiveQLearner
    later = make().fit(history(course.state, course.first), course.second, course.later)
    best = later.outcomes(history(course.state, course.first)).max(axis=1)
    now = make().fit(course.start, course.first, course.gain + best)
    return now.predict, lambda state, first: later.predict(history(state, first))


def stagewise_owl(course, make, *, borrow=True):
    """Return a pair of rules by outcome-weighted learning, backwards.

    The second rule is learned from the second outcome.  The first is learned from the
    total outcome of the people who happened to be given what the second rule
    recommends (weighted by the inverse of its chance): few.  With ``borrow``, everybody
    is used: the second outcome is replaced by what an additive Q-model expects under
    the second rule.

    Parameters
    ----------
    course : Course
    make : callable
        ``make(stage)`` returns an unfitted estimator with ``fit(X, A, outcome,
        propensity)`` and ``predict(X)``.
    borrow : bool, default=True

    Returns
    -------
    tuple of callables
    """
    count = course.first.shape[1]
    even = np.full(len(course.start), 0.5**count)
    known = history(course.state, course.first)
    later = make(2).fit(known, course.second, course.later, propensity=even)
    recommended = later.predict(known)
    if borrow:
        model = AdditiveQLearner().fit(known, course.second, course.later)
        rows = np.arange(len(known))
        total = (
            course.gain + model.outcomes(known)[rows, combination_number(recommended)]
        )
        now = make(1).fit(course.start, course.first, total, propensity=even)
    else:
        same = (recommended == course.second).all(axis=1)
        total = (course.gain + course.later)[same]
        now = make(1).fit(
            course.start[same], course.first[same], total, propensity=even[same] ** 2
        )
    return now.predict, lambda state, first: later.predict(history(state, first))
