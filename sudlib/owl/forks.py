"""What the study leaves open, each choice tried by itself (floor 3).

The base fills every gap as :func:`sudlib.owl.study.recipes` does; a fork changes one
thing.  Taught in notebook c04.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sudlib.files import InputError, data_file
from sudlib.owl import study
from sudlib.owl.simulation import SETTINGS, draw, draw_truth, score_rules


@dataclass(frozen=True)
class Fork:
    """One choice: which question it answers, and what it changes."""

    question: str
    choice: str
    covariates: str = "normal"
    best: str = "realised"
    same_world: bool = False
    propensity: float | None = None
    network: dict = field(default_factory=dict)
    naive: dict = field(default_factory=dict)


#: Every fork, the base first.
FORKS = {
    "base": Fork("our reading", "as in the tables"),
    "uniform": Fork("distribution of X", "uniform, -1 to 1", covariates="uniform"),
    "unit": Fork("distribution of X", "uniform, 0 to 1", covariates="unit"),
    "binary": Fork("distribution of X", "fair coins, 0 or 1", covariates="binary"),
    "same_world": Fork(
        "what is redrawn", "people only, one world for all repeats", same_world=True
    ),
    "expected": Fork(
        "the best combination", "by expected outcome, not realised", best="expected"
    ),
    "raw": Fork("negative outcomes", "kept as they are", network={"weights": "raw"}),
    "shifted": Fork(
        "negative outcomes", "less the smallest", network={"weights": "shifted"}
    ),
    "residual": Fork(
        "negative outcomes",
        "less a ridge regression on X",
        network={"weights": "residual"},
    ),
    "naive_centred": Fork(
        "negative outcomes", "naive: less the mean", naive={"weights": "centred"}
    ),
    "identity": Fork(
        "output of the network",
        "unbounded (with Adam; SGD diverges)",
        network={"output": "identity", "optimiser": "adam"},
    ),
    "naive_tanh": Fork(
        "output of the network", "naive: bounded (tanh)", naive={"output": "tanh"}
    ),
    "adam": Fork("optimiser", "Adam, step size 0.01", network={"optimiser": "adam"}),
    "step_large": Fork(
        "optimiser", "SGD, step size 0.03", network={"learning_rate": 0.03}
    ),
    "steps_fewer": Fork("iterations", "500", network={"steps": 500}),
    "steps_more": Fork("iterations", "6,000", network={"steps": 6000}),
    "naive_fewer": Fork("iterations", "naive: 100", naive={"steps": 100}),
    "naive_more": Fork("iterations", "naive: 1,000", naive={"steps": 1000}),
    "known": Fork("propensity", "known, 1 in 32", propensity=1 / 32),
}

_SETTINGS = tuple(SETTINGS)


def run_fork(name, size, repeat, *, setting="right", seed=study.SEED, test=20_000):
    """Return the scores of the study's methods in one repeat with one choice changed.

    A method that the choice cannot touch is not fitted again.

    Parameters
    ----------
    name : str
        A key of :data:`FORKS`.
    size, repeat, setting, seed
        As in :func:`sudlib.owl.study.run_repeat`.
    test : int
        People to test on.

    Returns
    -------
    pandas.DataFrame
        Columns ``fork``, ``setting``, ``n_train``, ``repeat``, ``method`` and scores.
    """
    if name not in FORKS:
        raise InputError(f"a fork must be one of {', '.join(FORKS)}, not {name!r}")
    fork = FORKS[name]
    own = [seed, _SETTINGS.index(setting), size, repeat]
    world = [*own[:3], 0, 0] if fork.same_world else [*own, 0]
    truth = draw_truth(setting, world, covariates=fork.covariates)
    rows = size * study.TREATMENTS
    train, held = (draw(truth, rows, [*own, n], best=fork.best) for n in (1, 2))
    recipes = study.recipes(size)
    chosen = {}
    only_naive = bool(fork.naive)
    only_network = bool(fork.network)
    if not only_naive:
        for method in ("dnn_simple", "dnn_1hdd"):
            chosen[method] = recipes[method].set_params(**fork.network)
    if not only_network:
        chosen["naive"] = recipes["naive"].set_params(**fork.naive)
    rules = study.fit_rules(train, held, chosen, propensity=fork.propensity)[0]
    rules = {method: rules[method] for method in chosen}
    found = score_rules(truth, test, [*own, 3], rules, best=fork.best)
    return pd.DataFrame(
        [
            {
                "fork": name,
                "setting": setting,
                "n_train": size,
                "repeat": repeat,
                "method": method,
                **scores,
            }
            for method, scores in found.items()
        ]
    )


def forks_table(scores, printed):
    """Return forks as rows: each method's mean, its standard error, and the print.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of :func:`run_fork`, of one setting and size.
    printed : dict of (str, str) to float
        What the study prints, by method and score.

    Returns
    -------
    pandas.DataFrame
        ``question``, ``choice``, and columns such as ``DNN-simple`` and ``Bayes AMCR``.
    """
    rows = []
    for name, fork in FORKS.items():
        here = scores[scores["fork"] == name]
        if here.empty:
            continue
        row = {"question": fork.question, "choice": fork.choice}
        for method in ("naive", "dnn_simple", "dnn_1hdd", "bayes"):
            values = here.loc[here["method"] == method, "adjusted_mcr"]
            row[study.METHODS[method]] = _mean(values)
        bayes = here[here["method"] == "bayes"]
        row["Bayes, AMCR"] = _mean(bayes["adjusted_amcr"])
        row["Bayes, AB"] = _mean(bayes["ab"])
        rows.append(row)
    last = {"question": "the study", "choice": "printed"}
    for method in ("naive", "dnn_simple", "dnn_1hdd", "bayes"):
        last[study.METHODS[method]] = f"{printed[method, 'adjusted_mcr']:.3f}"
    last["Bayes, AMCR"] = f"{printed['bayes', 'adjusted_amcr']:.3f}"
    last["Bayes, AB"] = f"{printed['bayes', 'ab']:.2f}"
    return pd.DataFrame([*rows, last]).fillna("")


def _mean(values):
    if values.empty:
        return ""
    error = values.sem() if len(values) > 1 else np.nan
    return f"{values.mean():.3f}" + ("" if np.isnan(error) else f" ({error:.3f})")


def published_forks():
    """Return the scores of all forks that come with the book."""
    return pd.read_csv(data_file("results/study_c/forks.csv.gz"))
