"""Strict parameters, the provenance stamp and results on disk.

Papermill runs a notebook and Snakemake knows when; this module adds what they lack.
A notebook begins with :func:`start`, names the data it used with :meth:`Run.uses`,
keeps its numbers with :meth:`Run.claim`, :meth:`Run.value` and :meth:`Run.table`,
and ends with :meth:`Run.finish`.  How it is used is shown on the page
*How to rerun* of the book.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sudlib.book.freshness import fingerprints
from sudlib.book.parameters import Parameter, check_parameters, check_value
from sudlib.book.provenance import device, git_commit, provenance, versions
from sudlib.book.results import ROOT, plain, results_folder, write_json

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import HTML


@dataclass
class Run:
    """One run of one notebook: its parameters, its data and its numbers.

    Parameters
    ----------
    notebook : str
        Its file name without the ending.
    parameters : dict
        All of them, by name.
    started : float
        When it began, by :func:`time.perf_counter`.
    data : list of dict
        What :meth:`uses` has noted.
    claims : list of dict
        What :meth:`claim` and :meth:`used` have noted.
    values : dict of str to str
        Numbers for prose.
    tables : dict of str to list
        Small tables kept with the results.
    fingerprints : dict of str to str
        From :func:`sudlib.book.freshness.fingerprints`.
    """

    notebook: str
    parameters: dict[str, Any]
    started: float = field(default_factory=time.perf_counter)
    data: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """True when any records of this run came from a twin."""
        return any(used.get("synthetic") for used in self.data)

    def uses(self, records: pd.DataFrame) -> pd.DataFrame:
        """Remember which data a frame of records came from; return the frame.

        Parameters
        ----------
        records : pandas.DataFrame
            Its ``attrs`` say where it came from, as the library's readers set them.

        Returns
        -------
        pandas.DataFrame
            ``records``, unchanged.
        """
        self.data.append(plain(dict(records.attrs)))
        return records

    def claim(
        self,
        key: str,
        value: Any,
        *,
        low: float | None = None,
        high: float | None = None,
        arm: str | None = None,
        n: int | None = None,
        note: str | None = None,
        **more: Any,
    ) -> None:
        """Keep our number for a claim of a study.

        Parameters
        ----------
        key : str
            The claim's key in ``data/claims``.
        value : float or list
            Our number; a confusion matrix as a list of rows.
        low, high : float, optional
            Ends of the 95 % interval.
        arm : str, optional
            ``"published"`` or ``"repaired"``; by default this run's variant.
        n : int, optional
            Rows the number was computed on.
        note : str, optional
            What a reader must know beside it.
        **more
            Anything else to keep with the number.
        """
        arm = arm or self.parameters.get("variant")
        years = sorted({year for used in self.data for year in used.get("years", [])})
        self.claims.append(
            plain(
                {
                    "key": key,
                    "arm": arm,
                    "value": value,
                    "low": low,
                    "high": high,
                    "n": n,
                    "note": note,
                    "synthetic": self.synthetic,
                    "data": ", ".join(sorted({u.get("data", "") for u in self.data})),
                    "years": years,
                    "size": self.parameters.get("size"),
                    "seed": self.parameters.get("seed"),
                    **more,
                }
            )
        )

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

    def value(self, name: str, value: Any, form: str = "{}") -> str:
        """Name a number for prose: here by ``glue``, elsewhere by substitution.

        Parameters
        ----------
        name : str
            Name to glue it by.
        value : object
            The number.
        form : str
            How it is printed, as in :meth:`str.format`.

        Returns
        -------
        str
            The printed number.
        """
        text = form.format(value)
        self.values[name] = text
        try:
            from myst_nb import glue
        except ImportError:  # Colab: the page is not built there
            return text
        glue(name, text, display=False)
        return text

    def table(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep a small table with the results; return it.

        Parameters
        ----------
        name : str
        frame : pandas.DataFrame
            Its index is kept as columns.

        Returns
        -------
        pandas.DataFrame
            ``frame``, unchanged.
        """
        self.tables[name] = plain(frame.reset_index().to_dict(orient="records"))
        return frame

    def finish(self) -> HTML:
        """Write the results and show where they came from.

        Returns
        -------
        IPython.display.HTML
            The provenance table for the foot of the page.
        """
        stamp = {
            "parameters": plain(self.parameters),
            "data": self.data,
            "fingerprints": self.fingerprints,
            "commit": git_commit(),
            "versions": versions(),
            "device": device(),
            "minutes": round((time.perf_counter() - self.started) / 60, 2),
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
        from IPython.display import HTML

        return HTML(provenance(result))


def start(notebook: str, **parameters: Any) -> Run:
    """Return a new run; call it once, in the cell below the imports.

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
        values.

    Examples
    --------
    >>> run = start("a02_forest_general", size="quick", seed=33)
    >>> run.value("share", 0.3795, "{:.1%}")
    '38.0%'
    """
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    if not path.exists():  # Colab, where only the library is installed
        for name, value in parameters.items():
            kept = Parameter(name, type(value).__name__, value)
            check_value(kept, value, notebook)
        return Run(notebook, dict(parameters))
    parameters = check_parameters(path, parameters)
    # Taken now: what is edited while the notebook runs is not what it ran on.
    taken = fingerprints(path, parameters)
    return Run(notebook, parameters, fingerprints=taken)
