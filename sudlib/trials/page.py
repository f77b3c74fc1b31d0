"""Results on real people: computed where the files are, recorded elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from sudlib.disclosure import MINIMUM_COUNT
from sudlib.files import InputError, data_file
from sudlib.trials.files_at_hand import VARIABLE, NotAtHand, fetch
from sudlib.trials.readers import digest
from sudlib.trials.studies import study

#: A column whose name begins so counts people, and no cell of it may be small.
COUNTED = ("people", "events")


class Page:
    """The results of one notebook of part D.

    Parameters
    ----------
    run : sudlib.book.Run
        The notebook's run; it is told which data were used.
    *studies : str
        The studies it needs, by the names of :func:`registry`.

    Attributes
    ----------
    recorded : dict or None
        What was recorded, where the files are not at hand; None where they are.
    """

    def __init__(self, run: Any, *studies: str) -> None:
        self.run, self.studies = run, [study(name) for name in studies]
        self.recorded: dict[str, Any] | None = None
        try:
            for each in self.studies:
                fetch(each.name)
        except NotAtHand as error:
            self.recorded, self.missing = read_recorded(run.notebook), str(error)
        for each in self.studies:
            where = f", recorded {self.recorded['date'][:10]}" if self.recorded else ""
            noted = pd.DataFrame()
            # The hashes were checked, here or where the result was recorded.
            noted.attrs = {"data": each.name + where, "sha256": digest(each.name)}
            noted.attrs |= {"verified": True, "rows_in_file": each.rows}
            run.uses(noted)

    def result(self, function: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return the table that a function computes; where it cannot, the recorded one.

        Used as a decorator, so that the name of the function becomes the table.

        Parameters
        ----------
        function : callable
            Takes nothing, returns a data frame of sums and estimates: never a row of a
            person.  A column whose name begins with ``people`` or ``events`` counts
            people.

        Returns
        -------
        pandas.DataFrame
            The same in both cases: as it comes back from JSON.

        Raises
        ------
        sudlib.files.InputError
            If a count is below ten, or so is the rest of a group, or nothing was
            recorded under this name.
        """
        name = function.__name__
        if self.recorded:
            if name not in self.recorded["tables"]:
                raise InputError(
                    f"{self.run.notebook} has no recorded result {name!r}; it has"
                    f" {', '.join(self.recorded['tables'])}"
                )
            self.run.tables[name] = self.recorded["tables"][name]
        else:
            self.run.keep(**{name: check_counts(function(), name)})
        return _frame(self.run.tables[name])

    def label(self) -> str:
        """Return in a sentence or three where this page's numbers come from.

        Returns
        -------
        str
            Markdown.
        """
        names = " and ".join(f"`{each.name}`" for each in self.studies)
        hashes = " and ".join(digest(each.name)[:12] for each in self.studies)
        if not self.recorded:
            return (
                f"The numbers of this page are computed here, from the rows of {names}"
                f" (SHA-256 {hashes}…): **real people**, and no row is shown."
            )
        asked, kept = self.run.parameters, self.recorded["parameters"]
        other = {name: kept[name] for name in kept if kept[name] != asked.get(name)}
        words = ", ".join(f"{name} = {value!r}" for name, value in other.items())
        return (
            f"**Recorded results.** The rows of {names} are not on this machine. Shown"
            f" is what was computed from them on {self.recorded['date'][:10]} at commit"
            f" {self.recorded['commit']} (SHA-256 {hashes}…). {self._how()}"
            + (f" Your parameters were not used, but {words}." if other else "")
        )

    def _how(self) -> str:
        """Return how a reader gets the files."""
        files = [file for each in self.studies for file in each.files.items()]
        if all(entry["urls"] for _, entry in files):
            return (
                "With the internet, `make book` downloads the files and computes; or"
                f" `{VARIABLE}` names a folder that holds them."
            )
        names = " and ".join(f"`{file}`" for file, _ in files)
        return (
            f"No address is known for {names}; where `{VARIABLE}` names a folder that"
            " holds them, `make book` computes."
        )


def check_counts(table: pd.DataFrame, name: str = "a table") -> pd.DataFrame:
    """Return a table if no cell counts fewer than ten people.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns whose names begin with ``people`` or ``events`` count people;
        ``events`` is a part of ``people``, and the rest must not be small either.
    name : str
        For the message.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    sudlib.files.InputError
        If one does.
    """
    counted = {c: table[c] for c in table if str(c).startswith(COUNTED)}
    if {"people", "events"} <= set(counted):
        counted["people without the event"] = table["people"] - table["events"]
    for column, counts in counted.items():
        if (counts.dropna() < MINIMUM_COUNT).any():
            raise InputError(
                f"{name} must count at least {MINIMUM_COUNT} people in each cell;"
                f" {column} has {int(counts.min())}"
            )
    return table


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a table as it was kept: its first column is the index."""
    frame = pd.DataFrame(rows)
    empty = frame.columns[frame.isna().all()]
    frame[empty] = frame[empty].astype(float)
    return frame.set_index(frame.columns[0])


def read_recorded(notebook: str) -> dict[str, Any]:
    """Return what was recorded of a notebook.

    Parameters
    ----------
    notebook : str
        Its name.

    Returns
    -------
    dict
        ``notebook``, ``date``, ``commit``, ``data``, ``parameters``, ``versions``,
        ``minutes`` and ``tables``.
    """
    path = data_file(f"results/trials/{notebook}.json")
    return json.loads(path.read_text(encoding="utf-8"))
