"""Which open studies there are: what they hold, their terms, files and hashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sudlib.files import data_file
from sudlib.validation import check_choice


@dataclass(frozen=True)
class Study:
    """One open study, as ``data/trials/registry.json`` describes it.

    Attributes
    ----------
    name : str
        What :func:`load` calls it.
    what : str
        What it is, in a sentence.
    rows : int
        Rows of its frame.
    of : str
        What a row is: ``"people"``, ``"stays"``, ``"admissions"`` or ``"discharges"``.
    terms : str
        Terms of use.
    citation : str
        What to cite.
    page : str
        Where its owners describe it.
    files : dict of str to dict
        By their place in a folder: ``sha256`` (None where only what is ``inside``
        counts), ``bytes`` and ``urls`` (newest first; none where no address is known,
        so that the file must be in a folder of yours); optionally ``inside`` (the
        SHA-256 of what a zip holds), ``same`` (files with the same table) and ``made``
        (how the file is made from what the address gives).
    """

    name: str
    what: str
    rows: int
    of: str
    terms: str
    citation: str
    page: str
    files: Mapping[str, Mapping[str, Any]]


def registry() -> dict[str, Study]:
    """Return the open studies by name.

    Returns
    -------
    dict of str to Study

    Examples
    --------
    >>> {name: study.rows for name, study in registry().items()}["ist"]
    19435
    """
    text = data_file("trials/registry.json").read_text(encoding="utf-8")
    return {name: Study(name, **entry) for name, entry in json.loads(text).items()}


def study(name: str) -> Study:
    """Return one open study.

    Parameters
    ----------
    name : str
        A key of :func:`registry`.

    Returns
    -------
    Study

    Raises
    ------
    sudlib.files.InputError
        If there is none of that name.
    """
    known = registry()
    return known[check_choice("study", name, known)]


def dictionary(name: str) -> pd.DataFrame:
    """Return what each column of a study's frame means.

    Parameters
    ----------
    name : str
        A key of :func:`registry`.

    Returns
    -------
    pandas.DataFrame
        Indexed by column: ``label``, ``kind`` ("id", "text", "number", "yes/no",
        "levels" or "code": see :mod:`sudlib.teds.codebook`), ``unit``, ``levels`` (the
        file's code = ours, by ``|``), ``role`` ("design", "treatment", "covariate":
        known before treatment, "after" or "outcome") and ``source`` (the variable's
        name in the file).

    Examples
    --------
    >>> dictionary("ist").loc["systolic", ["label", "unit"]].to_list()
    ['systolic blood pressure', 'mmHg']
    """
    path = data_file("trials/dictionary.csv")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = table[table["study"] == study(name).name]
    return rows.drop(columns="study").set_index("name")


def covariates(name: str) -> list[str]:
    """Return the columns of a study that are known before treatment.

    Parameters
    ----------
    name : str
        A key of :func:`registry`.

    Returns
    -------
    list of str
    """
    words = dictionary(name)
    return list(words.index[words["role"] == "covariate"])
