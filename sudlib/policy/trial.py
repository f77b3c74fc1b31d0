"""A study as it was done: treatments with names and levels, and several outcomes.

Rules see the *codes* of a trial's arms, one column a treatment (or a level of it) coded
-1 and +1, and recommend arms that somebody received.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sudlib.classes import code_column
from sudlib.files import InputError
from sudlib.policy.study import (
    GIVEN,
    NOT_GIVEN,
    check_covariates,
    check_propensity,
    check_treatments,
    column_names,
    with_names,
)
from sudlib.policy.treatments import Array, combination_number
from sudlib.validation import (
    as_frame,
    check_choice,
    check_columns,
    check_rows,
    named_table,
    numbers,
    places,
)

#: Levels that are the reference where a treatment comes without ordered categories.
REFERENCES = (*NOT_GIVEN, "placebo", "control")


def _factor(column: pd.Series) -> pd.Series:
    """Return a treatment as categories in words, in their order, without empty ones."""
    if column.isna().any():
        raise InputError(
            f"treatment {column.name!r} is missing for {int(column.isna().sum())}"
            " people: leave them out, or make it a level of its own"
        )
    codes, levels = code_column(f"treatment {column.name!r}", column)
    words = [_word(level) for level in levels]
    factor = pd.Series(pd.Categorical.from_codes(codes, words), column.index)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        words.sort(key=lambda word: word.lower() not in REFERENCES)
        factor = factor.cat.reorder_categories(words)
    return factor.cat.remove_unused_categories()


def _word(level: Any) -> str:
    """Return a level in words: 1 and 1.0 are the same."""
    whole = isinstance(level, float) and level % 1 == 0
    return f"{level:.0f}" if whole else str(level).strip()


def _is_yes_no(levels: Sequence[str]) -> bool:
    words = [level.lower() for level in levels]
    return len(words) == 2 and words[0] in NOT_GIVEN and words[1] in GIVEN


class Trial:
    """A trial, or an observed study: people, treatments with levels, and outcomes.

    How to use it::

        trial = policy.Trial(
            X,                                            # a frame of numbers
            frame[["aspirin", "heparin"]],                # levels in words, or codes
            frame[["death", "bleeding"]],
            propensities="randomised",                    # or {"arm": 1/6, ...}
            clusters=frame["hospital"],
            lower_is_better=("death", "bleeding"),
        )
        trial.arms                                        # the arms, by name
        rule = policy.AdditiveQLearner().fit(*trial.study("death"))
        trial.names(rule.predict(trial.X))                # advice, always an arm
        scores = policy.augmented_scores(trial, outcome="death")
        policy.PolicyTree().fit(trial.X, scores).leaves()
        print(policy.evaluate(policy.AdditiveQLearner(), trial, outcome="death"))

    Parameters
    ----------
    X : pandas.DataFrame or array-like of shape (n, p)
        Covariates: numbers, without missing values.
    treatments : pandas.DataFrame, mapping, pandas.Series or array-like
        One column a treatment, each with its levels (text, categories in their order,
        booleans, 0 and 1, or -1 and +1); or one column with the names of the arms.  The
        first level is the reference.
    outcomes : pandas.DataFrame, mapping, pandas.Series or array-like
        One or several, by name.  NaN is a missing outcome: people with one stay, and
        values are weighted for it.  For a time that is cut off by censoring see
        :func:`sudlib.policy.restricted_time`.
    propensities : None, "randomised", float, mapping or array-like, optional
        Known chances, which are never clipped: of each arm by name; of each person and
        arm, (n, arms); of the arm each person received, (n,); or one number for all.
        "Randomised" takes the observed shares of the arms.  None: to be estimated.
    clusters : array-like of shape (n,), optional
        Such as hospitals or persons: folds keep them whole and intervals count them.
    allowed : iterable of tuple, optional
        The combinations that may be given, each with a level of every treatment, in the
        order of the columns and as they stand there; for a single treatment the levels
        themselves will do.  By default what somebody received.
    lower_is_better : collection of str or bool, default=()
        Names of the outcomes of which less is better; True for all.

    Attributes
    ----------
    X : pandas.DataFrame
        Covariates.
    treatments : pandas.DataFrame
        The treatments as categories.
    outcomes : pandas.DataFrame
        In their own units.
    arms : list of str
        Names of the combinations, such as "aspirin + heparin low".
    arm : numpy.ndarray of int, shape (n,)
        Place in ``arms`` of what each person received.
    levels : pandas.DataFrame
        The levels of each arm, indexed by its name.
    codes : pandas.DataFrame of int8
        Codes of each arm, what rules are fitted to: one column a level that is no
        reference.
    chances : numpy.ndarray of shape (n, arms), or None
        Known chances; NaN where only those of the arm received are known.
    clusters : numpy.ndarray or None

    Raises
    ------
    sudlib.files.InputError
        For tables that do not belong together, missing covariates or treatments, people
        who received what is not allowed, and allowed arms that nobody received.

    Examples
    --------
    >>> trial = Trial(
    ...     {"age": [50, 60, 70, 80]},
    ...     {"aspirin": [1, 0, 1, 0], "heparin": ["none", "none", "low", "low"]},
    ...     {"death": [0, 1, 0, 1]},
    ...     allowed=[(0, "none"), (1, "none"), (0, "low"), (1, "low")],
    ...     lower_is_better=["death"],
    ... )
    >>> trial.arms
    ['none', 'heparin low', 'aspirin', 'aspirin + heparin low']
    """

    def __init__(
        self,
        X: Any,
        treatments: Any,
        outcomes: Any,
        propensities: Any = None,
        clusters: ArrayLike | None = None,
        allowed: Iterable[Any] | None = None,
        lower_is_better: Collection[str] | bool = (),
    ) -> None:
        X, treatments, outcomes = map(named_table, (X, treatments, outcomes))
        frame = pd.DataFrame(X) if isinstance(X, Mapping) else as_frame("X", X)
        frame = with_names(frame, "X")
        numbered = all(isinstance(name, int) for name in getattr(X, "columns", [0]))
        if numbered and not isinstance(X, Mapping):
            frame.columns = [f"covariate {name}" for name in frame.columns]
        values = check_covariates(frame)
        self.X = pd.DataFrame(values, columns=frame.columns)
        parts = {"X": X, "treatments": treatments, "outcomes": outcomes}
        parts["clusters"] = clusters
        # of each person, or of each person by the names of arms
        if np.shape(propensities)[:1] in ((len(self),), ()):
            parts["propensities"] = propensities
        columns: dict[str, Any] = {}
        for what, table in parts.items():
            of_names = table if isinstance(table, Mapping) else {"": table}
            columns |= {f"{what} {name}".strip(): c for name, c in of_names.items()}
        check_rows(**columns)
        labels = [
            each.index
            for each in columns.values()
            if isinstance(each, pd.DataFrame | pd.Series)
        ]
        self._index = labels[0] if labels else self.X.index
        self._set_treatments(treatments, allowed)
        self._set_outcomes(outcomes, lower_is_better)
        self.chances = self._known(propensities)
        check_columns(clusters=clusters, X=self.X.index)
        coded = None if clusters is None else code_column("clusters", clusters)
        self.clusters = coded and coded.codes

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        return (
            f"Trial({len(self):,} people; {len(self.arms)} arms:"
            f" {', '.join(self.arms)}; outcomes: {', '.join(self.outcomes)})"
        )

    def _set_treatments(self, given: Any, allowed: Iterable[Any] | None) -> None:
        if isinstance(given, pd.Series):
            given = given.to_frame(given.name or "treatment")
        elif isinstance(given, Mapping):
            given = pd.DataFrame(given)
        elif not isinstance(given, pd.DataFrame):
            given = as_frame("treatments", given)
            names = [f"treatment {k + 1}" for k in given.columns]
            given.columns = names if len(names) > 1 else ["treatment"]
        given = with_names(given, "treatments").reset_index(drop=True)
        check_rows(X=self.X, treatments=given)
        self.treatments = given.apply(_factor)
        columns = self.treatments.columns
        if allowed is not None:
            self._check_allowed(list(allowed))
        levels = self.treatments.drop_duplicates().sort_values(list(columns))
        every = {name: self.treatments[name].cat.categories for name in columns}
        given = [(name, level) for name in columns for level in every[name][1:]]
        codes = [np.where(levels[name] == level, 1, -1) for name, level in given]
        kept = [self._say(name, level, every[name]) for name, level in given]
        names = [
            " + ".join(
                self._say(name, level, every[name])
                for name, level in zip(columns, row, strict=True)
                if len(columns) == 1 or level.lower() not in NOT_GIVEN
            )
            or "none"
            for row in levels.itertuples(index=False)
        ]
        if len(names) < 2:
            raise InputError(f"a trial compares at least two arms; all had {names}")
        self.levels = levels.set_axis(pd.Index(names, name="arm"))
        self.arms = names
        self.codes = pd.DataFrame(
            np.column_stack(codes).astype("int8"), index=self.levels.index, columns=kept
        )
        groups = self.treatments.groupby(list(columns), observed=True)
        self.arm = groups.ngroup().to_numpy()

    @staticmethod
    def _say(name: str, level: str, every: Sequence[str]) -> str:
        """Return a level of a treatment in words."""
        if _is_yes_no(every):
            return name if level == every[1] else f"no {name}"
        alone = name in ("treatment", "arm", "group")
        return level if alone else f"{name} {level}"

    def _check_allowed(self, allowed: list[Any]) -> None:
        """Raise if people received what is not allowed, or nobody what is."""
        columns = self.treatments.columns
        rows = [each if np.ndim(each) else (each,) for each in allowed]
        wanted = {tuple(_word(level) for level in row) for row in rows}
        received = set(self.treatments.astype(str).itertuples(index=False, name=None))
        if any(len(row) != len(columns) for row in wanted):
            raise InputError(
                f"an allowed combination must have a level of each of"
                f" {', '.join(columns)}, not {allowed!r}"
            )
        for more, less, said in (
            (received, wanted, "somebody received what is not allowed"),
            (wanted, received, "nobody received what is allowed: it cannot be learned"),
        ):
            if more - less:
                shown = "; ".join(" and ".join(row) for row in sorted(more - less)[:4])
                raise InputError(f"{said}: {shown}")

    def _set_outcomes(self, outcomes: Any, lower: Collection[str] | bool) -> None:
        if isinstance(outcomes, pd.Series):
            outcomes = outcomes.to_frame(outcomes.name or "outcome")
        elif not isinstance(outcomes, pd.DataFrame):
            named = outcomes if isinstance(outcomes, Mapping) else {"outcome": outcomes}
            check_columns(**{f"outcome {name}": each for name, each in named.items()})
            # Without an index; what is masked is missing.
            outcomes = {
                k: pd.Series(v).reset_index(drop=True) for k, v in named.items()
            }
        frame = with_names(pd.DataFrame(outcomes), "outcomes").reset_index(drop=True)
        check_rows(X=self.X, outcomes=frame)
        for name, column in frame.items():
            numbers(f"the outcome {name!r} (NaN where missing)", column.dropna())
            frame[name] = column.to_numpy(float, na_value=np.nan)
        self.outcomes = frame
        if isinstance(lower, str):
            lower = (lower,)
        if isinstance(lower, bool | np.bool_):
            lower = tuple(frame.columns) if lower else ()
        self.lower_is_better = tuple(lower)
        for name in self.lower_is_better:
            check_choice("a name in lower_is_better", name, frame.columns)

    def _known(self, given: Any) -> Array | None:
        """Return known chances of each person and arm."""
        shape = len(self), len(self.arms)
        if given is None:
            return None
        if isinstance(given, str):
            check_choice("propensities", given, ("randomised",))
            given = np.bincount(self.arm, minlength=shape[1]) / len(self)
            return np.broadcast_to(given, shape)
        arms = set(self.arms)
        if isinstance(given, pd.Series) and set(map(str, given.index)) == arms:
            given = {str(arm): chance for arm, chance in given.items()}
        if isinstance(given, Mapping | pd.DataFrame):
            if set(map(str, given)) != arms:
                raise InputError(
                    f"propensities must be of the arms {', '.join(self.arms)}, not"
                    f" {', '.join(map(str, given))}"
                )
            named = {str(arm): np.asarray(chance) for arm, chance in given.items()}
            given = np.stack([named[arm] for arm in self.arms], axis=-1)
        given = numbers("propensities", given, 0, column=False)
        received = np.arange(len(self)), self.arm
        if given.shape in (shape, shape[1:]):
            chances = np.broadcast_to(given, shape)
            total = chances.sum(axis=1)
            if not np.allclose(total, 1, atol=1e-3):
                raise InputError(
                    "propensities of all arms must sum to 1 for each person"
                )
        else:
            chances = np.full(shape, np.nan)
            chances[received] = check_propensity(given, len(self))
        check_propensity(chances[received], len(self))
        return chances

    def target(self, outcome: str | Mapping[str, float] | None = None) -> Array:
        """Return an outcome so that larger is better; NaN where it is missing.

        Parameters
        ----------
        outcome : str or mapping of str to float, optional
            Its name; or weights of several, which are added after each is turned so
            that larger is better.  By default the first.

        Returns
        -------
        numpy.ndarray of shape (n,)
        """
        weights = outcome if isinstance(outcome, Mapping) else {self.main(outcome): 1.0}
        total: Any = 0.0
        for name, weight in weights.items():
            sign = -1 if self.main(name) in self.lower_is_better else 1
            total = total + sign * weight * self.outcomes[name].to_numpy()
        return np.asarray(total)

    def main(self, outcome: str | None = None) -> str:
        """Return the name of an outcome, by default of the first.

        Parameters
        ----------
        outcome : str, optional

        Returns
        -------
        str
        """
        names = self.outcomes.columns
        return check_choice("outcome", names[0] if outcome is None else outcome, names)

    def study(
        self,
        outcome: str | Mapping[str, float] | None = None,
        rows: ArrayLike | None = None,
    ) -> tuple[pd.DataFrame, pd.DataFrame, Array, Array | None]:
        """Return what a rule's ``fit`` takes: X, A, an outcome, known propensities.

        Parameters
        ----------
        outcome : str or mapping of str to float, optional
            As for :meth:`target`; larger is better in what is returned.
        rows : array-like of int or bool, optional
            Some people, by number from 0 up, or one True or False for each; those whose
            outcome is missing are left out.  A series of True and False has the index
            of ``X`` or of the table that the trial was made from, in the same order.

        Returns
        -------
        X, A : pandas.DataFrame
        outcome : numpy.ndarray
        propensity : numpy.ndarray or None
        """
        target = self.target(outcome)
        if (
            isinstance(rows, pd.Series)
            and pd.api.types.is_bool_dtype(rows)
            and not rows.index.equals(self._index)
        ):
            check_rows(rows=rows, X=self.X)
        chosen = np.arange(len(self)) if rows is None else places(rows, len(self))
        chosen = chosen[np.isfinite(target[chosen])]
        A = self.codes.iloc[self.arm[chosen]].reset_index(drop=True)
        X = self.X.iloc[chosen].reset_index(drop=True)
        known = self.chances
        chance = None if known is None else known[chosen, self.arm[chosen]]
        return X, A, target[chosen], chance

    def place(self, advice: Any) -> Array:
        """Return the places in ``arms`` of what is advised.

        Parameters
        ----------
        advice : array-like of str or of -1 and +1
            Names of arms, (n,), or codes, (n, columns of ``codes``).

        Returns
        -------
        numpy.ndarray of int, shape (n,)

        Raises
        ------
        sudlib.files.InputError
            If something is advised that is no arm.
        """
        return place_of(advice, self.arms, self.codes.to_numpy(), list(self.codes))

    def names(self, advice: Any) -> Array:
        """Return the names of the arms that are advised.

        Parameters
        ----------
        advice : array-like
            As for :meth:`place`.

        Returns
        -------
        numpy.ndarray of str, shape (n,)
        """
        return np.asarray(self.arms, dtype=object)[self.place(advice)]


def place_of(
    advice: Any,
    arms: Sequence[str],
    codes: Array,
    treatments: list[str] | None = None,
) -> Array:
    """Return the places of advised combinations among arms.

    Parameters
    ----------
    advice : array-like
        Names, (n,), or codes, (n, K).
    arms : sequence of str
        Names of the arms.
    codes : numpy.ndarray of shape (arms, K)
    treatments : list of str, optional
        What the columns of ``codes`` are called: columns of advice that have names are
        put in this order.

    Returns
    -------
    numpy.ndarray of int, shape (n,)

    Raises
    ------
    sudlib.files.InputError
        If something is advised that is no arm.
    """
    advice = named_table(advice)
    if isinstance(advice, pd.DataFrame):
        names = treatments if column_names(advice) else None
        advice = check_treatments(advice, names=names)
    advice = np.asarray(advice)
    if advice.ndim == 1:
        keys, asked = pd.Index(arms), pd.Index(advice)
    else:
        if advice.ndim != 2 or advice.shape[1] != codes.shape[1]:
            raise InputError(
                f"advice must have {codes.shape[1]} columns, one a treatment, not shape"
                f" {advice.shape}"
            )
        keys, asked = pd.Index(combination_number(codes)), combination_number(advice)
    places = keys.get_indexer(pd.Index(asked))
    if (places < 0).any():
        raise InputError(
            f"{int((places < 0).sum())} of {len(places)} people are advised what nobody"
            f" received; the arms are {', '.join(map(str, arms))}"
        )
    return places
