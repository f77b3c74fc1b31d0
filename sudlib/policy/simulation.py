r"""The simulations of the study's section 6 as pure functions of a seed.

Taught in notebooks c02 (right model) and c03 (wrong model); what the study leaves open
is a parameter here and is weighed in notebook c04.
"""

from dataclasses import dataclass

import numpy as np

from sudlib.files import InputError
from sudlib.policy.treatments import combination_number, combinations

#: Each setting: interaction (gamma of equation (23)) and noise (sigma).
SETTINGS = {"right": (0.0, 1.1), "wrong": (0.1, 0.2)}


#: How covariates may be drawn; the study does not say which.
COVARIATES = ("normal", "uniform", "unit", "binary")


#: The sizes of tables 1 and 2: people per treatment in the training data.
SIZES = (200, 1000, 4000, 10000)


@dataclass(frozen=True)
class Truth:
    """A world: its weights, its setting, and how its covariates are drawn."""

    first: np.ndarray
    second: np.ndarray
    main: np.ndarray
    interaction: float
    noise: float
    covariates: str = "normal"

    @property
    def treatments(self):
        """Return K."""
        return self.second.shape[1]

    def effects(self, X):
        """Return the effect of each treatment for each person, equations (16), (17)."""
        score = np.maximum(X @ self.first, 0) @ self.second
        return np.sign(score) * (0.05 * _logistic(score) + 2.0)

    def outcomes(self, X):
        """Return each person's expected outcome under every combination.

        Returns
        -------
        numpy.ndarray of shape (n, 2 ** K)
            Columns in the order of :func:`sudlib.policy.treatments.combinations`.
        """
        taken = (combinations(self.treatments) > 0).astype(X.dtype)
        total = self.effects(X) @ taken.T
        main = 0.05 * _logistic(X @ self.main) - 2.05
        return total - self.interaction * total**2 + main[:, None]


def _logistic(score):
    return 0.5 * (1 + np.tanh(0.5 * score))


@dataclass(frozen=True)
class Sample:
    """People: covariates, the combination received, its outcome, and what is hidden.

    ``outcomes`` are all realised potential outcomes, (n, 2 ** K); ``expected`` their
    expectations; ``best`` the number of the best realised combination (the study's
    A_opt) or, where asked, of the best expected one.
    """

    X: np.ndarray
    A: np.ndarray
    outcome: np.ndarray
    outcomes: np.ndarray
    expected: np.ndarray
    best: np.ndarray

    @property
    def bayes(self):
        """Return the number of the combination with the best expected outcome."""
        return self.expected.argmax(axis=1)


def draw_truth(
    setting, seed, *, p=30, nodes=45, treatments=5, covariates="normal", **changes
):
    """Return a world drawn as the study says: all weights standard normal.

    Parameters
    ----------
    setting : {"right", "wrong"}
        Section 6.1 (no interactions) or 6.2.
    seed : int or sequence of int
    p, nodes, treatments : int
        Covariates, hidden nodes and treatments.
    covariates : {"normal", "uniform", "unit", "binary"}
        Standard normal, uniform on (-1, 1), uniform on (0, 1), or fair coins.
    **changes
        Other values of ``interaction`` or ``noise``.

    Returns
    -------
    Truth

    Raises
    ------
    InputError
        For a setting or a distribution that is not one of these.

    Examples
    --------
    >>> draw_truth("right", 33).treatments
    5
    """
    if setting not in SETTINGS:
        raise InputError(f'setting must be "right" or "wrong", not {setting!r}')
    if covariates not in COVARIATES:
        raise InputError(
            f"covariates must be one of {', '.join(COVARIATES)}, not {covariates!r}"
        )
    generator = np.random.default_rng(seed)
    interaction, noise = SETTINGS[setting]
    world = {"interaction": interaction, "noise": noise} | changes
    return Truth(
        generator.standard_normal((p, nodes), "f4"),
        generator.standard_normal((nodes, treatments), "f4"),
        generator.standard_normal(p, "f4"),
        covariates=covariates,
        **world,
    )


def draw(truth, rows, seed, *, best="realised"):
    """Return people of a world, each treatment combination equally likely.

    Parameters
    ----------
    truth : Truth
    rows : int
    seed : int or sequence of int
    best : {"realised", "expected"}
        Whether the best combination counts the noise of each potential outcome.  With
        "realised" even the Bayes rule errs, as in the study's tables.

    Returns
    -------
    Sample
    """
    if best not in ("realised", "expected"):
        raise InputError(f'best must be "realised" or "expected", not {best!r}')
    generator = np.random.default_rng(seed)
    p = len(truth.main)
    X = {
        "normal": lambda: generator.standard_normal((rows, p), "f4"),
        "uniform": lambda: 2 * generator.random((rows, p), "f4") - 1,
        "unit": lambda: generator.random((rows, p), "f4"),
        "binary": lambda: generator.integers(0, 2, (rows, p)).astype("f4"),
    }[truth.covariates]()
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


def adjusted(rate, treatments):
    """Return a rate of wrong combinations as one of wrong single decisions.

    ``1 - (1 - rate) ** (1 / K)``: what each of K equal, independent decisions would
    have to err.

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
    """

    def __init__(self, treatments):
        self.treatments = treatments
        cells = 2**treatments
        self.people, self.wrong = np.zeros(cells), np.zeros(cells)
        self.benefit = 0.0

    def add(self, recommended, best, outcomes):
        """Count people; all arguments by number of the combination.

        Parameters
        ----------
        recommended, best : int array of shape (n,)
        outcomes : array of shape (n, 2 ** K)
            Realised potential outcomes.
        """
        cells = len(self.people)
        self.people += np.bincount(best, minlength=cells)
        self.wrong += np.bincount(best[recommended != best], minlength=cells)
        chosen = outcomes[np.arange(len(best)), recommended]
        self.benefit += float(chosen.sum(dtype=float))
        return self

    def scores(self):
        """Return ``mcr``, ``amcr``, their adjusted forms, and ``ab``.

        Raises
        ------
        InputError
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


def score(recommended, best, outcomes):
    """Return the scores of recommendations, equations (20) to (22).

    Parameters
    ----------
    recommended : array of shape (n, K)
        Combinations, coded -1 and +1.
    best : int array of shape (n,)
        Number of the best combination of each person.
    outcomes : array of shape (n, 2 ** K)
        Potential outcomes.

    Returns
    -------
    dict of str to float
        ``mcr``, ``amcr``, ``adjusted_mcr``, ``adjusted_amcr`` and ``ab``.
    """
    recommended = np.asarray(recommended)
    tally = Tally(recommended.shape[1])
    return tally.add(combination_number(recommended), best, outcomes).scores()


def score_rules(truth, rows, seed, rules, *, best="realised", rows_at_once=20_000):
    """Return the scores of several rules on the same new people of a world.

    Parameters
    ----------
    truth : Truth
    rows : int
        People; they are drawn and forgotten ``rows_at_once`` at a time.
    seed : int or sequence of int
    rules : dict of str to callable
        ``rule(X)`` returns combinations coded -1 and +1, or their numbers.

    Returns
    -------
    dict of str to dict
        :meth:`Tally.scores` of each rule, and of ``"bayes"``.
    """
    tallies = {name: Tally(truth.treatments) for name in (*rules, "bayes")}
    seed = [seed] if np.isscalar(seed) else list(seed)
    for part, place in enumerate(range(0, rows, rows_at_once)):
        people = draw(truth, min(rows_at_once, rows - place), [*seed, part], best=best)
        for name, rule in rules.items():
            advice = np.asarray(rule(people.X))
            number = combination_number(advice) if advice.ndim == 2 else advice
            tallies[name].add(number, people.best, people.outcomes)
        tallies["bayes"].add(people.bayes, people.best, people.outcomes)
    return {name: tally.scores() for name, tally in tallies.items()}
