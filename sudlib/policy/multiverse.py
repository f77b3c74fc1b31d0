"""What the study leaves open, each choice tried by itself.

The base fills every gap as :func:`sudlib.policy.simulation_study.recipes` does; a fork changes one
thing.  Taught in notebook c04.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sudlib.files import InputError, data_file
from sudlib.policy import simulation_study
from sudlib.policy.simulation import SETTINGS, draw, draw_truth, score_rules


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
    "naive_shifted": Fork(
        "negative outcomes", "naive: less the smallest", naive={"weights": "shifted"}
    ),
    "naive_logistic": Fork("surrogate", "naive: logistic", naive={"loss": "logistic"}),
    "naive_sgd": Fork("optimiser", "naive: SGD", naive={"optimiser": "sgd"}),
    "naive_one": Fork(
        "rows in a step",
        "naive: one of each combination",
        naive={"batch_size": 1},
    ),
    "naive_one_sgd": Fork(
        "rows in a step",
        "naive: one of each combination, SGD",
        naive={"batch_size": 1, "optimiser": "sgd"},
    ),
    "naive_one_large": Fork(
        "rows in a step",
        "naive: one of each combination, step size 0.1",
        naive={"batch_size": 1, "learning_rate": 0.1},
    ),
    "naive_scores": Fork("votes", "naive: scores added up", naive={"votes": "scores"}),
}


#: The choices of the naive rule, tried at every size of both settings.
NAIVE = ("base", *(name for name, fork in FORKS.items() if fork.naive))


_SETTINGS = tuple(SETTINGS)


def run_fork(
    name, size, repeat, *, setting="right", seed=simulation_study.SEED, test=20_000
):
    """Return the scores of the study's methods in one repeat with one choice changed.

    A method that the choice cannot touch is not fitted again.

    Parameters
    ----------
    name : str
        A key of :data:`FORKS`.
    size, repeat, setting, seed
        As in :func:`sudlib.policy.simulation_study.run_repeat`.
    test : int
        People to test on.

    Returns
    -------
    pandas.DataFrame
        Columns ``fork``, ``setting``, ``n_train``, ``repeat``, ``method`` and scores.
    """
    return run_forks([name], size, [repeat], setting=setting, seed=seed, test=test)


def run_forks(
    names,
    size,
    repeats,
    *,
    methods=None,
    setting="right",
    seed=simulation_study.SEED,
    test=20_000,
):
    """Return the scores of several forks, each world drawn once.

    All repeats of a fork are trained as one computation.

    Parameters
    ----------
    names : sequence of str
        Keys of :data:`FORKS`.
    repeats : sequence of int
    methods : sequence of str, optional
        Only these of "naive", "dnn_simple" and "dnn_1hdd".
    size, setting, seed, test
        As in :func:`run_fork`.

    Returns
    -------
    pandas.DataFrame
        As :func:`run_fork` returns it.
    """
    for name in names:
        if name not in FORKS:
            raise InputError(f"a fork must be one of {', '.join(FORKS)}, not {name!r}")
    worlds = {}
    for name in names:
        fork = FORKS[name]
        world = fork.covariates, fork.best, fork.same_world
        worlds.setdefault(world, []).append(name)
    rows = []
    for (covariates, best, same_world), here in worlds.items():
        drawn = []
        for repeat in repeats:
            own = [seed, _SETTINGS.index(setting), size, repeat]
            world = [*own[:3], 0, 0] if same_world else [*own, 0]
            truth = draw_truth(setting, world, covariates=covariates)
            people = size * simulation_study.TREATMENTS
            train, held = (draw(truth, people, [*own, n], best=best) for n in (1, 2))
            drawn.append((own, truth, train, held))
        _, _, trains, helds = zip(*drawn, strict=True)
        rules = [{} for _ in drawn]
        for name in here:
            fork = FORKS[name]
            fitted = simulation_study.fit_rules_together(
                trains, helds, _changed(fork, size, methods), fork.propensity
            )
            for mine, (found, _, _) in zip(rules, fitted, strict=True):
                for method in _changed(fork, size, methods):
                    mine[name, method] = found[method]
        for (own, truth, _, _), mine in zip(drawn, rules, strict=True):
            found = score_rules(truth, test, [*own, 3], mine, best=best)
            bayes = found.pop("bayes")
            found |= {(name, "bayes"): bayes for name in here}
            rows += [
                {
                    "fork": name,
                    "setting": setting,
                    "n_train": size,
                    "repeat": own[-1],
                    "method": method,
                    **scores,
                }
                for (name, method), scores in found.items()
            ]
    return pd.DataFrame(rows)


def _changed(fork, size, methods):
    """Return the recipes that a fork can touch, changed."""
    recipes, chosen = simulation_study.recipes(size), {}
    if not fork.naive:
        for method in ("dnn_simple", "dnn_1hdd"):
            chosen[method] = recipes[method].set_params(**fork.network)
    if not fork.network:
        chosen["naive"] = recipes["naive"].set_params(**fork.naive)
    return {
        name: rule for name, rule in chosen.items() if not methods or name in methods
    }


def naive_table(scores, printed):
    """Return the naive rule's adjusted MCR by choice, at every size of both settings.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of :func:`run_forks`.
    printed : dict of (str, int) to float
        What the study prints, by setting and size.

    Returns
    -------
    pandas.DataFrame
        Indexed by fork: one column a (setting, size), and ``away``, the root mean
        square of the differences from the print; the nearest first.
    """
    here = scores[(scores["method"] == "naive") & scores["fork"].isin(NAIVE)]
    # only repeats in which every choice ran: the same worlds for all
    wide = here.pivot(
        index=["setting", "n_train", "repeat"], columns="fork", values="adjusted_mcr"
    ).dropna()
    wide = wide.groupby(["setting", "n_train"]).mean().T
    wide.columns = list(wide.columns)
    wide = wide[[cell for cell in printed if cell in list(wide)]]
    away = wide - pd.Series(printed)[list(wide)]
    return wide.assign(away=np.sqrt((away**2).mean(axis=1))).sort_values("away")


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
        number = here["repeat"].nunique()
        row = {"question": fork.question, "choice": fork.choice, "repeats": number}
        for method in ("naive", "dnn_simple", "dnn_1hdd", "bayes"):
            values = here.loc[here["method"] == method, "adjusted_mcr"]
            row[simulation_study.METHODS[method]] = _mean(values)
        bayes = here[here["method"] == "bayes"]
        row["Bayes, AMCR"] = _mean(bayes["adjusted_amcr"])
        row["Bayes, AB"] = _mean(bayes["ab"])
        rows.append(row)
    last = {
        "question": "the study",
        "choice": "printed",
        "repeats": simulation_study.REPEATS,
    }
    for method in ("naive", "dnn_simple", "dnn_1hdd", "bayes"):
        last[simulation_study.METHODS[method]] = (
            f"{printed[method, 'adjusted_mcr']:.3f}"
        )
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
