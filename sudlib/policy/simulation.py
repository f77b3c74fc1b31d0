r"""The simulations of the study's section 6 as pure functions of a seed.

Taught in notebooks c02 (correctly specified model, "right") and c03 (misspecified,
"wrong"); what the study leaves open is a parameter here and is weighed in notebook c04.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sudlib.files import InputError
from sudlib.policy.treatments import Array, combination_number, combinations
from sudlib.validation import check_choice

#: Each setting, of sections 6.1 and 6.2: interaction (gamma of equation (23)) and noise
#: (sigma).  Without interactions the additive model is correctly specified.
SETTINGS = {"right": (0.0, 1.1), "wrong": (0.1, 0.2)}

#: How covariates may be drawn; the study does not say which.
COVARIATES = ("normal", "uniform", "unit", "binary")

#: The sizes of tables 1 and 2: people per treatment in the training data.
SIZES = (200, 1000, 4000, 10000)


@dataclass(frozen=True)
class Truth:
    """A world: its weights, its setting, and how its covariates are drawn.

    Attributes
    ----------
    first : numpy.ndarray of shape (p, nodes)
        Weights of the hidden layer of the effects.
    second : numpy.ndarray of shape (nodes, K)
        Weights of its output.
    main : numpy.ndarray of shape (p,)
        Weights of the main effect.
    interaction : float
        Gamma of equation (23).
    noise : float
        Standard deviation of each potential outcome.
    covariates : str
        One of :data:`COVARIATES`.
    """

    first: Array
    second: Array
    main: Array
    interaction: float
    noise: float
    covariates: str = "normal"

    @property
    def treatments(self) -> int:
        """Return K."""
        return self.second.shape[1]

    def effects(self, X: Array) -> Array:
        """Return the effect of each treatment for each person, equations (16), (17).

        Parameters
        ----------
        X : numpy.ndarray of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, K)
        """
        score = np.maximum(X @ self.first, 0) @ self.second
        return np.sign(score) * (0.05 * _logistic(score) + 2.0)

    def outcomes(self, X: Array) -> Array:
        """Return each person's expected outcome under every combination.

        Parameters
        ----------
        X : numpy.ndarray of shape (n, p)

        Returns
        -------
        numpy.ndarray of shape (n, 2 ** K)
            Columns in the order of :func:`sudlib.policy.combinations`.
        """
        taken = (combinations(self.treatments) > 0).astype(X.dtype)
        total = self.effects(X) @ taken.T
        main = 0.05 * _logistic(X @ self.main) - 2.05
        return total - self.interaction * total**2 + main[:, None]


def _logistic(score: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * score))


@dataclass(frozen=True)
class Sample:
    """People: covariates, the combination received, its outcome, and what is hidden.

    Attributes
    ----------
    X : numpy.ndarray of shape (n, p)
        Covariates.
    A : numpy.ndarray of int8, shape (n, K)
        Treatments received, coded -1 and +1.
    outcome : numpy.ndarray of shape (n,)
        Outcome of the combination received.
    outcomes, expected : numpy.ndarray of shape (n, 2 ** K)
        All realised potential outcomes, and their expectations.
    best : numpy.ndarray of int, shape (n,)
        Number of the best realised combination (the study's A_opt) or, where asked, of
        the best expected one.
    """

    X: Array
    A: Array
    outcome: Array
    outcomes: Array
    expected: Array
    best: Array

    @property
    def bayes(self) -> Array:
        """Return the number of the combination with the best expected outcome."""
        return self.expected.argmax(axis=1)


def draw_truth(
    setting: str,
    seed: int | Sequence[int],
    *,
    p: int = 30,
    nodes: int = 45,
    treatments: int = 5,
    covariates: str = "normal",
    **changes: float,
) -> Truth:
    """Return a world drawn as the study says: all weights standard normal.

    Parameters
    ----------
    setting : {"right", "wrong"}
        Section 6.1 (no interactions) or 6.2.
    seed : int or sequence of int
        Seed of the weights; another one than that of any people, who are drawn by the
        same generator.
    p, nodes, treatments : int
        Numbers of covariates, hidden nodes and treatments.
    covariates : {"normal", "uniform", "unit", "binary"}, default="normal"
        Standard normal, uniform on (-1, 1), uniform on (0, 1), or fair coins.
    **changes
        Other values of ``interaction`` or ``noise``.

    Returns
    -------
    Truth

    Raises
    ------
    sudlib.files.InputError
        For a setting or a distribution that is not one of these.

    Examples
    --------
    >>> draw_truth("right", 33).treatments
    5
    """
    check_choice("setting", setting, SETTINGS)
    check_choice("covariates", covariates, COVARIATES)
    generator = np.random.default_rng(seed)
    world = dict(zip(("interaction", "noise"), SETTINGS[setting], strict=True))
    return Truth(
        generator.standard_normal((p, nodes), "f4"),
        generator.standard_normal((nodes, treatments), "f4"),
        generator.standard_normal(p, "f4"),
        covariates=covariates,
        **(world | changes),
    )


def draw(
    truth: Truth, rows: int, seed: int | Sequence[int], *, best: str = "realised"
) -> Sample:
    """Return people of a world, each treatment combination equally likely.

    Parameters
    ----------
    truth : Truth
        The world.
    rows : int
        Number of people.
    seed : int or sequence of int
        Seed of the people.
    best : {"realised", "expected"}, default="realised"
        Whether the best combination counts the noise of each potential outcome.  With
        "realised" even the Bayes rule errs, as in the study's tables.

    Returns
    -------
    Sample
    """
    check_choice("best", best, ("realised", "expected"))
    generator = np.random.default_rng(seed)
    size = rows, len(truth.main)
    if truth.covariates == "normal":
        X = generator.standard_normal(size, "f4")
    elif truth.covariates == "binary":
        X = generator.integers(0, 2, size).astype("f4")
    else:
        X = generator.random(size, "f4")
        X = 2 * X - 1 if truth.covariates == "uniform" else X
    expected = truth.outcomes(X)
    outcomes = generator.standard_normal(expected.shape, "f4")
    outcomes *= np.float32(truth.noise)
    outcomes += expected
    given = generator.integers(0, expected.shape[1], rows)
    return Sample(
        X,
        combinations(truth.treatments, "int8")[given],
        outcomes[np.arange(rows), given],
        outcomes,
        expected,
        (outcomes if best == "realised" else expected).argmax(axis=1),
    )


def adjusted(rate: float, treatments: int) -> float:
    """Return a rate of wrong combinations as one of wrong single decisions.

    ``1 - (1 - rate) ** (1 / K)``: the error rate of each of K equal, independent
    decisions.

    Parameters
    ----------
    rate : float
        Share of wrong combinations.
    treatments : int
        K.

    Returns
    -------
    float

    Examples
    --------
    >>> round(adjusted(1 - 0.9**5, 5), 12)
    0.1
    """
    return 1 - (1 - rate) ** (1 / treatments)


class Tally:
    """Scores of a rule, equations (20) to (22), added up over batches of people.

    A combination that is best for nobody has no misclassification rate: AMCR is the
    mean over the combinations that are best for somebody (the study does not say).

    Parameters
    ----------
    treatments : int
        K.
    """

    def __init__(self, treatments: int) -> None:
        self.treatments = treatments
        cells = 2**treatments
        self.people, self.wrong = np.zeros(cells), np.zeros(cells)
        self.benefit = 0.0

    def add(self, recommended: Array, best: Array, outcomes: Array) -> Self:
        """Count people, and return the same object.

        Parameters
        ----------
        recommended, best : numpy.ndarray of int, shape (n,)
            Numbers of combinations.
        outcomes : numpy.ndarray of shape (n, 2 ** K)
            Realised potential outcomes.

        Returns
        -------
        Tally
        """
        cells = len(self.people)
        self.people += np.bincount(best, minlength=cells)
        self.wrong += np.bincount(best[recommended != best], minlength=cells)
        chosen = outcomes[np.arange(len(best)), recommended]
        self.benefit += float(chosen.sum(dtype=float))
        return self

    def scores(self) -> dict[str, float]:
        """Return the scores of everybody counted.

        Returns
        -------
        dict of str to float
            ``mcr``, ``amcr``, their adjusted forms, and ``ab``.

        Raises
        ------
        sudlib.files.InputError
            If nobody was counted.
        """
        n = self.people.sum()
        if not n:
            raise InputError("scores need at least one person, got none")
        some = self.people > 0
        mcr = self.wrong.sum() / n
        amcr = (self.wrong[some] / self.people[some]).mean()
        return {
            "mcr": mcr,
            "amcr": amcr,
            "adjusted_mcr": adjusted(mcr, self.treatments),
            "adjusted_amcr": adjusted(amcr, self.treatments),
            "ab": self.benefit / n,
        }


def score(recommended: ArrayLike, best: Array, outcomes: Array) -> dict[str, float]:
    """Return the scores of recommendations, equations (20) to (22).

    Parameters
    ----------
    recommended : array-like of shape (n, K)
        Combinations, coded -1 and +1.
    best : numpy.ndarray of int, shape (n,)
        Number of the best combination of each person.
    outcomes : numpy.ndarray of shape (n, 2 ** K)
        Potential outcomes.

    Returns
    -------
    dict of str to float
        ``mcr``, ``amcr``, ``adjusted_mcr``, ``adjusted_amcr`` and ``ab``.
    """
    tally = Tally(np.shape(recommended)[1])
    return tally.add(combination_number(recommended), best, outcomes).scores()


def score_rules(
    truth: Truth,
    rows: int,
    seed: int | Sequence[int],
    rules: Mapping[Any, Callable[[Array], ArrayLike]],
    *,
    best: str = "realised",
    rows_at_once: int = 20_000,
) -> dict[Any, dict[str, float]]:
    """Return the scores of several rules on the same new people of a world.

    Parameters
    ----------
    truth : Truth
        The world.
    rows : int
        People; they are drawn and forgotten ``rows_at_once`` at a time.
    seed : int or sequence of int
        Seed of the people: another one than that of those whom the rules have learned
        from, since :func:`draw` returns the first of these people for the same seed.
    rules : mapping of str to callable
        ``rule(X)`` returns combinations coded -1 and +1.
    best : {"realised", "expected"}, default="realised"
        As in :func:`draw`.
    rows_at_once : int, default=20000
        Limits the memory used.

    Returns
    -------
    dict of str to dict
        :meth:`Tally.scores` of each rule, and of ``"bayes"``.
    """
    tallies = {name: Tally(truth.treatments) for name in (*rules, "bayes")}
    seeds = [seed] if isinstance(seed, int | np.integer) else list(seed)
    for block, begin in enumerate(range(0, rows, rows_at_once)):
        number = min(rows_at_once, rows - begin)
        people = draw(truth, number, [*seeds, block], best=best)
        numbers = {n: combination_number(rule(people.X)) for n, rule in rules.items()}
        for name, recommended in (numbers | {"bayes": people.bayes}).items():
            tallies[name].add(recommended, people.best, people.outcomes)
    return {name: tally.scores() for name, tally in tallies.items()}
