"""Worlds in which no rule of this package was designed.

Each is a form of the outcome and of how treatments are assigned, with K = 5 treatments
and 30 covariates unless its name says otherwise.  In two of them the covariates are
those of real people, which scikit-learn brings along: 442 people with diabetes and 569
with a tumour of the breast.  Taught in notebook ``c09_weights_value_robustness``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.preprocessing import StandardScaler

from sudlib.policy.treatments import Array, combination_number, combinations
from sudlib.validation import check_choice, check_seed, check_whole

#: Name, treatments and covariates.
SHAPES = {
    "linear": (5, 30),
    "sparse": (5, 30),
    "smooth": (5, 30),
    "threshold": (5, 30),
    "confounded": (5, 30),
    "antagonism": (5, 30),
    "synergy": (5, 30),
    "three treatments": (3, 10),
    "binary outcome": (5, 30),
    "lognormal": (5, 30),
    "heavy tails": (5, 30),
    "many covariates": (5, 100),
    "eight treatments": (8, 30),
    "people with diabetes": (5, 10),
    "people with a tumour": (5, 30),
}

#: Worlds whose covariates are those of real people.
REAL = {
    "people with diabetes": load_diabetes,
    "people with a tumour": load_breast_cancer,
}


@dataclass(frozen=True)
class World:
    """A truth: what each combination is worth to whom.

    Attributes
    ----------
    name : str
        A key of :data:`SHAPES`.
    treatments : int
        K.
    covariates : int
        p.
    means : callable
        From covariates (n, p) to the mean outcome of each combination (n, 2 ** K).
    chances : callable
        From covariates to the probability of each combination.
    halves : tuple of two arrays of shape (n, p), optional
        Covariates of the real people to learn from, and of others who ask; without
        them, covariates are independent and normal.
    """

    name: str
    treatments: int
    covariates: int
    means: Callable[[Array], Array]
    chances: Callable[[Array], Array]
    halves: tuple[Array, Array] | None = None

    def people(self, number: int, random: Any, new: bool = True) -> Array:
        """Return the covariates of people.

        Real people are drawn without replacement, as long as there are enough.

        Parameters
        ----------
        number : int
            How many.
        random : int or numpy.random.Generator
            Seed or generator.
        new : bool, default=True
            People who ask for advice: others than those of a study, also of one that
            was drawn with the same seed.

        Returns
        -------
        numpy.ndarray of shape (number, p)
        """
        check_whole("number", number, 1)
        if not isinstance(random, np.random.Generator):
            # Streams of their own: a seed alone, which a zero behind it does not
            # change, is that of the coefficients, and 2 that of a study.
            random = np.random.default_rng([check_seed(random), 1 if new else 3])
        if self.halves is None:
            return random.normal(size=(number, self.covariates))
        half = self.halves[int(new)]
        return half[random.choice(len(half), number, replace=number > len(half))]

    def draw(self, people: int, seed: int) -> tuple[Array, Array, Array]:
        """Return a study of this world.

        Parameters
        ----------
        people : int
            How many.
        seed : int
            Of covariates, treatments and noise.

        Returns
        -------
        X, A, outcome : numpy.ndarray
            As for the ``fit`` of a rule.
        """
        check_whole("people", people, 1)
        # A stream of its own: the coefficients were drawn from that of the seed alone.
        random = np.random.default_rng([check_seed(seed), 2])
        X = self.people(people, random, new=False)
        total = self.chances(X).cumsum(axis=1)
        number = (total < random.random((people, 1)) * total[:, -1:]).sum(axis=1)
        mean = self.means(X)[np.arange(people), number]
        if self.name == "binary outcome":
            outcome = (random.random(people) < mean).astype(float)
        elif self.name == "lognormal":  # the noise multiplies, by 1 on average
            outcome = mean * np.exp(0.5 * random.normal(size=people) - 0.125)
        elif self.name == "heavy tails":  # of variance 1, too
            outcome = mean + 0.6**0.5 * random.standard_t(5, size=people)
        else:
            outcome = mean + random.normal(size=people)
        return X, combinations(self.treatments)[number], outcome

    def loss(self, recommended: Array, X: Array) -> float:
        """Return the share of what can be gained that a rule loses.

        Parameters
        ----------
        recommended : numpy.ndarray of shape (n, K)
            Advice.
        X : numpy.ndarray of shape (n, p)
            Covariates of new people.

        Returns
        -------
        float
            0 for the best rule, 1 for combinations drawn at random.
        """
        means = self.means(X)
        followed = means[np.arange(len(X)), combination_number(recommended)].mean()
        best, even = means.max(axis=1).mean(), means.mean()
        return float((best - followed) / (best - even))


def make_world(name: str, seed: int = 33) -> World:
    """Return a world with coefficients drawn at random.

    Parameters
    ----------
    name : str
        A key of :data:`SHAPES`.
    seed : int, default=33
        Of its coefficients.

    Returns
    -------
    World

    Examples
    --------
    >>> world = make_world("antagonism")
    >>> X, A, outcome = world.draw(100, 1)
    >>> X.shape, A.shape, world.loss(A, X) > 0.5
    ((100, 30), (100, 5), True)
    """
    treatments, p = SHAPES[check_choice("world", name, SHAPES)]
    random = np.random.default_rng(check_seed(seed))
    taken = (combinations(treatments) > 0).astype(float)
    slopes = random.normal(size=(p, treatments)) / np.sqrt(p)
    if name == "sparse":
        slopes *= np.arange(p)[:, None] < 3
        slopes *= np.sqrt(p / 3)
    offsets = random.normal(size=treatments) / 2
    main = random.normal(size=p) / np.sqrt(p)
    picks = random.permutation(p)[: 2 * treatments].reshape(2, treatments)
    assigned = random.normal(size=(p, treatments)) / np.sqrt(p) + main[:, None]
    pairs = np.triu_indices(treatments, 1)
    both = taken[:, pairs[0]] * taken[:, pairs[1]]

    def means(X: Array) -> Array:
        effects = X @ slopes + offsets
        first, second = X[:, picks[0]], X[:, picks[1]]
        if name == "smooth":
            effects = 0.7 * (first**2 - 1) + 0.7 * first * second
        if name in ("threshold", "three treatments"):
            effects = np.where((first > -0.3) & (second < 0.6), 1.2, -0.8)
        total = (X @ main)[:, None] + effects @ taken.T
        if name == "antagonism":
            total = total - 1.4 * both.sum(axis=1) / 2
        if name == "synergy":
            works = np.where(X[:, [0, 1]] > 0, 2.5, 0.5)
            total = (X @ main)[:, None] - 0.6 * taken.sum(axis=1)
            total = total + works @ both[:, [0, -1]].T
        if name == "lognormal":
            return np.exp(total / 3)
        return 1 / (1 + np.exp(-total)) if name == "binary outcome" else total

    def chances(X: Array) -> Array:
        if name != "confounded":
            return np.full((len(X), len(taken)), 1 / len(taken))
        given = 1 / (1 + np.exp(-(X @ assigned)))[:, None]
        return np.where(taken > 0, given, 1 - given).prod(axis=2)

    halves = None
    if name in REAL:
        rows = StandardScaler().fit_transform(REAL[name](return_X_y=True)[0])
        order = random.permutation(len(rows))
        halves = rows[order[::2]], rows[order[1::2]]
    return World(name, treatments, p, means, chances, halves)
