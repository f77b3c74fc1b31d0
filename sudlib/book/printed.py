"""The numbers that the studies print, one row a claim."""

import json
import math

import pandas as pd

from sudlib.files import InputError, data_file

STUDIES = {
    "a": "Study A: records drawn as pictures, transfer learning",
    "b": "Study B: kernels, trees, networks and fairness",
    "c": "Study C: outcome-weighted learning for combination therapies",
}


#: Kinds of claims that are no number.
NO_NUMBER = ("matrix", "words", "input")


# ------------------------------------------------------------- what studies print


def published(study=None):
    """Return what a study prints, one row a claim.

    Parameters
    ----------
    study : {"a", "b", "c"}, optional
        By default all three.

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
        For a study that is not one of the three.

    Examples
    --------
    >>> claim = published("a").loc["a.general.forest.f05"]
    >>> claim["printed"], claim["rows"]
    ('0.67', 93424)
    """
    if study is None:
        return pd.concat([published(name) for name in STUDIES])
    if study not in STUDIES:
        raise InputError(f"study must be one of {', '.join(STUDIES)}, not {study!r}")
    table = pd.read_csv(
        data_file(f"claims/study_{study}.csv"), dtype=str, keep_default_na=False
    )
    table["study"] = study
    table = table.rename(columns={"value": "printed"})
    matrix = table["kind"] == "matrix"
    table["value"] = [
        math.nan if kind in NO_NUMBER else float(text)
        for text, kind in zip(table["printed"], table["kind"], strict=True)
    ]
    table["matrix"] = [
        json.loads(text) if drawn else None
        for text, drawn in zip(table["printed"], matrix, strict=True)
    ]
    for name, convert in (
        ("decimals", int),
        ("standard_error", float),
        ("exact", float),
        ("rows", int),
    ):
        table[name] = pd.Series(
            [convert(text) if text else None for text in table[name]], dtype=object
        )
    table["years"] = [
        tuple(int(year) for year in text.split()) for text in table["years"]
    ]
    return table.set_index("key")
