"""Dynamic treatment regimes over two stages.

Taught in notebook ``c10_outcomes_and_visits``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sudlib.policy.q_learning import AdditiveQLearner
from sudlib.policy.treatments import Array, combination_number, combinations
from sudlib.validation import check_number, check_seed, check_whole

#: The rules of both visits: ``first(start)`` and ``second(state, first)``.
Regime = tuple[Callable[..., Array], Callable[..., Array]]


@dataclass(frozen=True)
class Course:
    """Two visits of a simulated disease, with what was given and what came of it.

    Attributes
    ----------
    start, state : numpy.ndarray of shape (n, p)
        Covariates at the first and at the second visit.
    first, second : numpy.ndarray of shape (n, 3)
        Treatments given there, coded -1 and +1.
    gain, later : numpy.ndarray of shape (n,)
        Outcome until the second visit, and after it, the cost of switching paid.
    """

    start: Array
    first: Array
    gain: Array
    state: Array
    second: Array
    later: Array


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
        Number of covariates, 4 or more.
    noise : float, default=1.0
        Standard deviation of each outcome.

    Raises
    ------
    sudlib.files.InputError
        For fewer than 4 covariates, and other settings that are out of range.
    """

    treatments = 3

    def __init__(
        self, switching: float = 0.25, covariates: int = 6, noise: float = 1.0
    ) -> None:
        self.switching = check_number("switching", switching, 0)
        self.covariates = check_whole("covariates", covariates, 4)
        self.noise = check_number("noise", noise, 0)

    def effects(self, x: Array) -> Array:
        """Return the effect of giving each treatment, by person.

        Parameters
        ----------
        x : numpy.ndarray of shape (n, p)
            Covariates.

        Returns
        -------
        numpy.ndarray of shape (n, 3)
        """
        effects = (
            0.4 + 0.7 * x[:, 1] + 0.3 * x[:, 0],
            0.6 - 0.6 * x[:, 1] + 0.4 * x[:, 2],
            -0.2 + 0.3 * x[:, 0] - 0.3 * x[:, 3],
        )
        return np.column_stack(effects)

    def gains(self, start: Array) -> Array:
        """Return the expected first outcome under each first combination.

        Parameters
        ----------
        start : numpy.ndarray of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, 8)
        """
        return self.effects(start) @ (combinations(3) > 0).T

    def laters(self, state: Array, first: Array) -> Array:
        """Return the expected second outcome under each second combination.

        Parameters
        ----------
        state : numpy.ndarray of shape (n, p)
        first : numpy.ndarray of shape (n, 3)
            Treatments given at the first visit.

        Returns
        -------
        numpy.ndarray of shape (n, 8)
        """
        worn = self.effects(state)
        worn[:, 1] *= np.where(first[:, 1] > 0, 0.5, 1.0)
        changed = (first[:, None, :] != combinations(3)[None]).sum(axis=2)
        gains = worn @ (combinations(3) > 0).T
        return gains - self.switching * changed - state[:, :1]

    def next_state(self, start: Array, first: Array, gain: Array) -> Array:
        """Return the covariates at the second visit: severity has moved.

        Parameters
        ----------
        start : numpy.ndarray of shape (n, p)
        first : numpy.ndarray of shape (n, 3)
        gain : numpy.ndarray of shape (n,)

        Returns
        -------
        numpy.ndarray of shape (n, p)
        """
        state = start.copy()
        slowed = (first[:, 2] > 0) * (1.0 + 0.6 * start[:, 3])
        state[:, 0] = 0.8 * start[:, 0] + 0.5 - 0.2 * gain - slowed
        return state

    def draw(
        self, people: int, seed: int | Sequence[int], rules: Regime | None = None
    ) -> Course:
        """Return a course; randomised treatments, or those of a pair of rules.

        Parameters
        ----------
        people : int
            Number of people.
        seed : int or sequence of int
            Seed of the draw.
        rules : tuple of callables, optional
            ``rules[0](start)`` and ``rules[1](state, first)`` return treatments.

        Returns
        -------
        Course
        """
        check_whole("people", people, 1)
        for each in seed if isinstance(seed, Iterable) else [seed]:
            check_seed(each)
        random = np.random.default_rng(seed)
        start = random.standard_normal((people, self.covariates))
        noise = self.noise * random.standard_normal((2, people))
        drawn = combinations(3)[random.integers(0, 8, (2, people))]
        rows = np.arange(people)
        first = rules[0](start) if rules else drawn[0]
        gain = self.gains(start)[rows, combination_number(first)] + noise[0]
        state = self.next_state(start, first, gain)
        second = rules[1](state, first) if rules else drawn[1]
        later = self.laters(state, first)[rows, combination_number(second)] + noise[1]
        return Course(start, first, gain, state, second, later)

    def value(self, rules: Regime, people: int = 20000, seed: int = 1) -> float:
        """Return the mean total outcome if everybody followed a pair of rules.

        Parameters
        ----------
        rules : tuple of callables
            As for :meth:`draw`.
        people : int, default=20000
            People simulated.
        seed : int, default=1
            Seed of the draw.  They are other people than those that :meth:`draw`
            returns for this seed, from whom the rules may have been learned.

        Returns
        -------
        float
        """
        course = self.draw(people, [seed, 1], rules)
        return float((course.gain + course.later).mean())

    def best_rules(self) -> Regime:
        """Return the pair of rules with the largest value, by backward induction.

        Returns
        -------
        tuple of callables
        """
        nodes, weights = np.polynomial.hermite_e.hermegauss(15)
        every = combinations(3)

        def second(state: Array, first: Array) -> Array:
            return every[self.laters(state, first).argmax(axis=1)]

        def first(start: Array) -> Array:
            total = self.gains(start)
            for number, combination in enumerate(every):
                given = np.broadcast_to(combination, (len(start), 3))
                for node, weight in zip(nodes, weights / weights.sum(), strict=True):
                    gain = self.gains(start)[:, number] + self.noise * node
                    state = self.next_state(start, given, gain)
                    best = self.laters(state, given).max(axis=1)
                    total[:, number] += weight * best
            return every[total.argmax(axis=1)]

        return first, second


def history(state: Array, first: Array) -> Array:
    """Return what is known at the second visit: the covariates and what was taken.

    Parameters
    ----------
    state : numpy.ndarray of shape (n, p)
    first : numpy.ndarray of shape (n, K)

    Returns
    -------
    numpy.ndarray of shape (n, p + K)
    """
    return np.column_stack([state, first])


def two_stage_q_learning(course: Course) -> Regime:
    """Return a pair of rules by Q-learning, from the second stage back to the first.

    Parameters
    ----------
    course : Course
        The data.

    Returns
    -------
    tuple of callables
        As :meth:`DiseaseCourse.draw` takes them.

    References
    ----------
    Murphy (2005), A generalization error for Q-learning.
    """
    known = history(course.state, course.first)
    later = AdditiveQLearner().fit(known, course.second, course.later)
    best = later.outcomes(known).max(axis=1)
    now = AdditiveQLearner().fit(course.start, course.first, course.gain + best)
    return now.predict, lambda state, first: later.predict(history(state, first))


def stagewise_owl(
    course: Course, make: Callable[[int], Any], *, borrow: bool = True
) -> Regime:
    """Return a pair of rules by outcome-weighted learning, backwards.

    The second rule is learned from the second outcome.  The first is learned from the
    total outcome of the people who happened to be given what the second rule
    recommends (weighted by the inverse of its probability): few.  With ``borrow``,
    everybody is used: the second outcome is replaced by what an additive Q-model
    expects under the second rule.

    Parameters
    ----------
    course : Course
        The data, from a randomised trial.
    make : callable
        ``make(stage)`` returns an unfitted estimator with ``fit(X, A, outcome,
        propensity)`` and ``predict(X)``.
    borrow : bool, default=True
        Whether everybody is used for the first rule.

    Returns
    -------
    tuple of callables
        As :meth:`DiseaseCourse.draw` takes them.

    References
    ----------
    Zhao, Zeng, Laber and Kosorok (2015), New statistical learning methods for
    estimating optimal dynamic treatment regimes.
    """
    even = np.full(len(course.start), 0.5 ** course.first.shape[1])
    known = history(course.state, course.first)
    later = make(2).fit(known, course.second, course.later, propensity=even)
    recommended = later.predict(known)
    if borrow:
        model = AdditiveQLearner().fit(known, course.second, course.later)
        used, propensity = np.ones(len(known), bool), even
        total = course.gain + model.expected(known, recommended)
    else:
        used, propensity = (recommended == course.second).all(axis=1), even**2
        total = course.gain + course.later
    some = (each[used] for each in (course.start, course.first, total))
    now = make(1).fit(*some, propensity=propensity[used])
    return now.predict, lambda state, first: later.predict(history(state, first))
