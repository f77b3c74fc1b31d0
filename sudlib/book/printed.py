"""The numbers that the studies print, one row a claim."""

from __future__ import annotations

import json
from functools import cache

import pandas as pd

from sudlib.files import data_file
from sudlib.validation import check_choice

#: The studies, with their titles.
STUDIES = {
    "a": "Study A: records drawn as pictures, transfer learning",
    "b": "Study B: kernels, trees, networks and fairness",
    "c": "Study C: outcome-weighted learning for combination therapies",
    "d": "Part D: open trials, real people",
}


#: Kinds of claims that are no number.
NO_NUMBER = ("matrix", "words", "input")


def published(study: str | None = None) -> pd.DataFrame:
    """Return what a study prints, one row a claim.

    Parameters
    ----------
    study : {"a", "b", "c", "d"}, optional
        By default all of them.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``key``: ``study``, ``cohort``, ``model``, ``metric``, ``kind``
        ("score", "share", "ratio", "count", "matrix", "words": a statement, or
        "input": a setting or a meaning that a page can only use, not find),
        ``printed`` (the text as printed), ``value`` (a float, NaN for a matrix and for
        words), ``matrix`` (rows true 0 and 1, or None), ``decimals`` (None where
        nothing was rounded), ``standard_error``,
        ``exact`` (the unrounded number where an output shows it), ``condition``,
        ``where``, ``years``, ``rows`` (people the number is computed on), ``same_as``
        (the claim it repeats) and ``reason`` (why it cannot be reproduced).

    Raises
    ------
    InputError
        For a study that is not one of these.

    Examples
    --------
    >>> claim = published("a").loc["a.general.forest.f05"]
    >>> claim["printed"], claim["rows"]
    ('0.67', 93424)
    """
    if study is None:
        return pd.concat([published(name) for name in STUDIES])
    return _read(check_choice("study", study, STUDIES)).copy()


@cache
def _read(study: str) -> pd.DataFrame:
    """Return the table of one study, read once."""
    path = data_file(f"claims/study_{study}.csv")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table = table.rename(columns={"value": "printed"}).assign(study=study)
    table["value"] = pd.to_numeric(
        table["printed"].mask(table["kind"].isin(NO_NUMBER)), errors="raise"
    )
    convert = {"decimals": int, "standard_error": float, "exact": float, "rows": int}
    for name, kind in convert.items():
        cells = [kind(text) if text else None for text in table[name]]
        table[name] = pd.Series(cells, dtype=object)
    pairs = zip(table["kind"], table["printed"], strict=True)
    table["matrix"] = [
        json.loads(text) if kind == "matrix" else None for kind, text in pairs
    ]
    table["years"] = [tuple(map(int, text.split())) for text in table["years"]]
    return table.set_index("key")
