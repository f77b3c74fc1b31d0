"""Strict parameters, the provenance stamp and results on disk.

Papermill runs a notebook and Snakemake knows when; this module adds what they lack.
A notebook begins with :func:`start`, names the data it used with :meth:`Run.uses`,
says its numbers with :meth:`Run.say`, keeps them with :meth:`Run.claim` and
:meth:`Run.keep`, and ends with :meth:`Run.finish`.  How it is used is shown on the page
*How to rerun* of the book.
"""

from __future__ import annotations

import copy
import datetime
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sudlib import parallel
from sudlib.book.freshness import fingerprints
from sudlib.book.parameters import ARMS, Parameter, check_parameters, check_value
from sudlib.book.prose import fill
from sudlib.book.provenance import (
    device,
    git_commit,
    provenance,
    threads,
    versions,
)
from sudlib.book.results import ROOT, plain, results_folder, write_json
from sudlib.files import InputError
from sudlib.origin import IS_SYNTHETIC, ORIGINS, joint_origin, origin_of

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import HTML, Markdown


@dataclass
class Run:
    """One run of one notebook: its parameters, its data and its numbers.

    Parameters
    ----------
    notebook : str
        Its file name without the ending.
    parameters : mapping
        All of them, by name; read only.
    started : float
        When it began, by :func:`time.perf_counter`.
    data : list of dict
        What :meth:`uses` has noted.
    claims : list of dict
        What :meth:`claim` and :meth:`used` have noted.
    values : dict of str to str
        Numbers for pages of prose, as :meth:`say` and :meth:`value` printed them.
    tables : dict of str to list
        Small tables kept with the results.
    fingerprints : dict of str to str
        From :func:`sudlib.book.freshness.fingerprints`.
    places : list of str
        What :meth:`place` has made.
    namespace : mapping, optional
        The notebook's variables, in which the parameters must stay what they are.
    """

    notebook: str
    parameters: Mapping[str, Any]
    started: float = field(default_factory=time.perf_counter)
    data: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    namespace: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Take the parameters as they are now: read only, and nobody else's lists."""
        self.parameters = MappingProxyType(copy.deepcopy(dict(self.parameters)))

    @property
    def origin(self) -> str:
        """Where the records of this run are from: a key of ``origin.ORIGINS``."""
        return joint_origin(used.get("origin", "unverified") for used in self.data)

    @property
    def synthetic(self) -> bool | None:
        """True when any record is made up; None when none is shown to be real."""
        return IS_SYNTHETIC[self.origin]

    @property
    def records_words(self) -> str:
        """What the records of this run are, in the words of a page."""
        return ORIGINS[self.origin]

    @property
    def verdict_words(self) -> str:
        """Which verdicts follow from records that are not made up, in a sentence."""
        follows = "the verdicts above follow the rule of this book"
        nothing = "no verdict about the study follows from them"
        end = follows if self.synthetic is False else nothing
        return f"These are {self.records_words}: {end}."

    def uses(self, records: pd.DataFrame) -> pd.DataFrame:
        """Remember which data a frame of records came from; return the frame.

        Parameters
        ----------
        records : pandas.DataFrame
            Where it came from is known by :func:`sudlib.origin.origin_of`: what
            cannot be shown to be real is not called so.

        Returns
        -------
        pandas.DataFrame
            ``records``, unchanged.
        """
        origin = origin_of(records)
        label = {"synthetic": IS_SYNTHETIC[origin], "origin": origin}
        self.data.append(plain(dict(records.attrs) | label))
        return records

    def claim(
        self,
        key: str | dict[str, Any],
        value: Any = None,
        *,
        low: float | None = None,
        high: float | None = None,
        arm: str | None = None,
        n: int | None = None,
        note: str | None = None,
        **more: Any,
    ) -> None:
        """Keep our number for a claim of a study, or our numbers for many.

        Parameters
        ----------
        key : str or dict
            The claim's key in ``data/claims``.  Or several at once, each key with a
            number, an estimate, a dict of the arguments below, or one of these for
            each arm: ``{"published": ..., "repaired": ...}``.  Said again, such a
            number takes the place of the one before.
        value : float, list or estimate
            Our number; a confusion matrix as a list of rows; or anything with
            ``value``, ``low`` and ``high``.
        low, high : float, optional
            Ends of the 95% interval.
        arm : str, optional
            ``"published"`` or ``"repaired"``; by default this run's variant.
        n : int, optional
            Rows the number was computed on.
        note : str, optional
            What a reader must know beside it.
        **more
            Anything else to keep with the number.

        Examples
        --------
        >>> run = Run("a02_forest_general", {})
        >>> run.claim(
        ...     {
        ...         "a.general.forest.f05": {"published": 0.64, "repaired": 0.65},
        ...         "a.general.forest.pr_auc": {"value": 0.7, "low": 0.6, "high": 0.8},
        ...     }
        ... )
        >>> [(kept["arm"], kept["value"]) for kept in run.claims[:2]]
        [('published', 0.64), ('repaired', 0.65)]
        """
        if isinstance(key, dict):
            self._claim_each(key, {"arm": arm, "n": n, "note": note, **more})
            return
        if hasattr(value, "value") and hasattr(value, "low"):
            value, low, high = value.value, value.low, value.high
        arm = arm or self.parameters.get("variant")
        number = {"key": key, "arm": arm, "value": value, "low": low, "high": high}
        source = {
            "synthetic": self.synthetic,
            "data": ", ".join(sorted({used.get("data", "") for used in self.data})),
            "years": sorted({y for used in self.data for y in used.get("years", [])}),
        }
        common = {name: self.parameters.get(name) for name in ("size", "seed")}
        self.claims.append(
            plain({**number, "n": n, "note": note, **source, **common, **more})
        )

    def _claim_each(self, numbers: dict[str, Any], common: dict[str, Any]) -> None:
        """Keep the numbers of a mapping; each may be given for both arms."""
        for key, given in numbers.items():
            both = isinstance(given, dict) and given and set(given) <= set(ARMS)
            for arm, one in given.items() if both else [(common["arm"], given)]:
                words = {**common, "arm": arm or self.parameters.get("variant")}
                words |= one if isinstance(one, dict) else {"value": one}
                said = key, words["arm"]
                others = [c for c in self.claims if (c["key"], c["arm"]) != said]
                self.claims[:] = others
                self.claim(key, **words)

    def used(self, key: str, value: Any, *, note: str | None = None) -> Any:
        """Keep what this page really uses of a setting that a study prints.

        The claims page compares it with what is printed; records, years and sizes do
        not matter for it.

        Parameters
        ----------
        key : str
            A claim of the kind "input".
        value : object
            The setting itself, taken from the code that uses it: a text, a number, a
            list or a grid.
        note : str, optional
            Why it differs from what is printed, or where it stands.

        Returns
        -------
        object
            The value.
        """
        self.claim(key, value, arm="published", note=note)
        return value

    def say(
        self, template: str, /, *, at: str | None = None, **numbers: Any
    ) -> Markdown | None:
        """Return sentences with numbers in them, for a cell to show as its output.

        Parameters
        ----------
        template : str
            Markdown with named fields, as in :meth:`str.format`: ``{gain:+.2f}``,
            ``{gain.low:.2f}``, ``{row[mean]:.1%}``.  Braces of formulas are doubled
            (``$F_{{0.5}}$``), backslashes need ``r"..."``.  Paragraphs, lists, tables,
            formulas and links may stand in it; headings, directives and roles stand
            in Markdown cells.
        at : str, optional
            A :meth:`place` further up: the sentences are shown there, not here.
        **numbers
            A value for each field.  NaN is printed as *undefined*.

        Returns
        -------
        IPython.display.Markdown or None
            None where they were shown at a place.

        Raises
        ------
        InputError
            For a field without a value, a value without a field, a field without a
            name, a field that two formats print differently, or Markdown that one of
            the readers' programs would show raw.

        Examples
        --------
        Every printed number has a name, for the pages of prose.

        >>> run = Run("a02_forest_general", {})
        >>> run.say("Slightly: {gain:+.2f} ({low:.2f} to {high:.2f}).",
        ...         gain=0.0421, low=0.0317, high=0.0519).data
        'Slightly: +0.04 (0.03 to 0.05).'
        >>> run.values["gain"]
        '+0.04'
        """
        from IPython.display import Markdown, update_display

        text, texts = fill(template, numbers)
        if at is not None and at not in self.places:
            raise InputError(
                f"say(at={at!r}): there is no such place on this page; places made with"
                f" run.place(...) are {', '.join(map(repr, self.places)) or 'none'}"
            )
        self.values.update(texts)
        if at is None:
            return Markdown(text)
        update_display(Markdown(text), display_id=f"{self.notebook}-{at}")
        return None

    def place(self, name: str) -> None:
        """Show a place near the top of the page, for what is computed further down.

        Parameters
        ----------
        name : str
            What ``say(..., at=name)`` calls it.
        """
        from IPython.display import Markdown, display

        if name not in self.places:
            self.places.append(name)
        display(
            Markdown("*The numbers of this paragraph appear when all cells have run.*"),
            display_id=f"{self.notebook}-{name}",
        )

    def keep(self, **tables: pd.DataFrame | pd.Series) -> None:
        """Keep small tables with the results; show nothing.

        Parameters
        ----------
        **tables
            A data frame, or a series, for each name; its index is kept as columns.
        """
        for name, frame in tables.items():
            if not hasattr(frame, "reset_index"):
                raise InputError(
                    f"keep({name}=...) takes a data frame or a series, not"
                    f" {type(frame).__name__}"
                )
            table = frame.reset_index(allow_duplicates=True)
            names = [str(each) for each in table.columns]
            if len(set(names)) < len(names):
                raise InputError(
                    f"keep({name}=...): its columns, the index among them, must have a"
                    f" name each, not {', '.join(names)}"
                )
            self.tables[name] = plain(table.to_dict(orient="records"))

    def check_read_only(self) -> None:
        """Raise an InputError when a parameter is no longer what it was at the start.

        Raises
        ------
        InputError
            Naming the parameter, its value at the start and the one it has now.
        """
        for name, kept in self.parameters.items():
            now = self.namespace.get(name, kept)
            if type(now) is not type(kept) or now != kept:
                raise InputError(
                    f"{self.notebook}: the parameter {name} was {kept!r} when the run"
                    f" started and is {now!r} now. Parameters are read only: give the"
                    " loop variable or result that took its name another name"
                )

    def finish(self) -> HTML:
        """Write the results and show where they came from.

        Returns
        -------
        IPython.display.HTML
            The provenance table for the foot of the page.

        Raises
        ------
        InputError
            If a parameter was changed on the way (:meth:`check_read_only`).
        """
        self.check_read_only()
        stamp = {
            "parameters": plain(dict(self.parameters)),
            "data": self.data,
            "fingerprints": self.fingerprints,
            "commit": git_commit(),
            "versions": versions(),
            "device": device(),
            "threads": threads(),
            "minutes": round((time.perf_counter() - self.started) / 60, 2),
            "cpu_minutes": round(time.process_time() / 60, 2),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        }
        result = {
            "notebook": self.notebook,
            "stamp": stamp,
            "claims": self.claims,
            "values": self.values,
            "tables": self.tables,
        }
        write_json(results_folder() / f"{self.notebook}.json", result)
        from IPython.display import HTML, Markdown, display

        if not os.environ.get("SUDLIB_RESULTS"):  # by hand: a built page says it anyway
            # No import that freshness follows: what is built does not depend on it.
            recorded = import_module("sudlib.book.recorded")
            full = recorded.recorded_result(self.notebook)
            if full is not None and not recorded.is_paper_size(result):
                display(Markdown(recorded.at_full_size(result, full)))
        return HTML(provenance(result))


def start(notebook: str, **parameters: Any) -> Run:
    """Return a new run; call it once, in the cell below the imports.

    Where the variable ``SUDLIB_SCHEDULER`` names a Dask cluster, what joblib runs is
    sent there from now on (:func:`sudlib.parallel.use`).

    Parameters
    ----------
    notebook : str
        The notebook's file name without its ending.
    **parameters
        The notebook's parameters, all of them, by name.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If a parameter is unknown, of the wrong type or not one of the allowed
        values, or the cluster cannot be used.

    Examples
    --------
    >>> run = start("a02_forest_general", size="quick", seed=33)
    >>> run.say("{share:.1%} complete.", share=0.3795).data
    '38.0% complete.'
    """
    names = sys._getframe(1).f_globals
    parallel.use(os.environ.get(parallel.VARIABLE) or None)
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    if not path.exists():  # Colab, where only the library is installed
        for name, value in parameters.items():
            kind = "None" if value is None else type(value).__name__
            check_value(Parameter(name, kind, value), value, notebook)
        return Run(notebook, parameters, namespace=names)
    parameters = check_parameters(path, parameters)
    # Taken now: what is edited while the notebook runs is not what it ran on.
    taken = fingerprints(path, parameters, folder=Path.cwd())
    return Run(notebook, parameters, fingerprints=taken, namespace=names)
