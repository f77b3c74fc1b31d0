"""Dynamic treatment regimes over two stages."""

from dataclasses import dataclass

import numpy as np

from sudlib.files import InputError
from sudlib.policy.q_learning import AdditiveQLearner
from sudlib.policy.treatments import combination_number, combinations

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
