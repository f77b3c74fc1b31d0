"""Files that R wrote, read without R."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd


def read_rda(path: Path, name: str | None = None) -> pd.DataFrame:
    """Return a data frame from a file that R wrote.

    Parameters
    ----------
    path : pathlib.Path
    name : str, optional
        Which object of the file; by default its only one.

    Returns
    -------
    pandas.DataFrame
    """
    import rdata  # and with it xarray: only where such a file is read

    with warnings.catch_warnings():
        # R's classes of tibbles, and a missing name of an encoding: nothing is lost.
        warnings.simplefilter("ignore")
        objects = rdata.read_rda(path)
    return objects[name] if name else next(iter(objects.values()))
