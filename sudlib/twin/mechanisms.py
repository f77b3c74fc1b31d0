"""Whether what a comparison finds on the twin is found in other made-up worlds too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from sudlib.twin.completion import MECHANISMS
from sudlib.twin.sampler import sample


def across_mechanisms(
    compare: Callable[[pd.DataFrame], Mapping[str, float]],
    *,
    year: int = 2018,
    rows: int = 30_000,
    seeds: Iterable[int] = (33,),
    similarities: Iterable[float] = (1.0,),
) -> pd.DataFrame:
    """Return what a comparison gives under every mechanism of the twin.

    The people are the same under all of them, and so are the totals; only how
    completion depends on what is known of a person differs.  A finding whose sign is
    not the same everywhere belongs to a mechanism, not to the methods compared.

    Parameters
    ----------
    compare : callable
        ``compare(records)`` returns differences by name.
    year : int, default=2018
        Of the records.
    rows : int, default=30_000
        Records drawn for each comparison.
    seeds : iterable of int, default=(33,)
        The comparison's differences are means over these draws.
    similarities : iterable of float, default=(1.0,)
        Of other opioids to heroin; see :func:`sudlib.twin.sample`.

    Returns
    -------
    pandas.DataFrame
        One row a difference; a column for every mechanism (and similarity, if there
        are several), and ``holds``: whether the sign is the same in all of them.

    Notes
    -----
    Taught in ``a08_experiment_1_side_by_side``.

    Examples
    --------
    >>> table = across_mechanisms(lambda made: {"women": (made.GENDER == 2).mean()},
    ...                           rows=500)
    >>> list(table.columns), bool(table.holds["women"])
    (['additive', 'pairs', 'smooth', 'trees', 'tables', 'holds'], True)
    """
    similarities, seeds = tuple(similarities), tuple(seeds)
    columns = {}
    for mechanism in MECHANISMS:
        for similarity in similarities:
            given = {"mechanism": mechanism, "similarity": similarity}
            results = [
                dict(compare(sample(year, rows, seed, **given)))  # type: ignore[arg-type]
                for seed in seeds
            ]
            several = len(similarities) > 1
            name = f"{mechanism}, {similarity:g}" if several else mechanism
            columns[name] = pd.DataFrame(results).mean()
    table = pd.DataFrame(columns)
    signs = np.sign(table.to_numpy())
    holds = (signs == signs[:, :1]).all(axis=1) & (signs[:, 0] != 0)
    return table.assign(holds=holds)


def tell_signs(table: pd.DataFrame) -> str:
    """Return in words which differences keep their sign under all mechanisms.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`across_mechanisms`; without rows where records are real, which have
        one outcome and no mechanism.

    Returns
    -------
    str

    Examples
    --------
    >>> print(tell_signs(pd.DataFrame(
    ...     {"pairs": [1, 2], "trees": [1, -2], "holds": [True, False]},
    ...     index=["boosting ahead of the forest", "words ahead of codes"])))
    Under all 2 mechanisms, boosting did better than the forest. It depends on the \
mechanism whether words did better than codes.
    """
    if not len(table):
        return "These people have one outcome, so nothing here depends on a mechanism."
    every = f"all {table.shape[1] - 1} mechanisms"
    holds, above = table["holds"].astype(bool), table.iloc[:, 0] > 0
    turned = [
        name.replace(" ahead of ", " did worse than ")
        if " ahead of " in name
        else f"{name} (the other way round)"
        for name in table.index
    ]
    names = table.index.str.replace(" ahead of ", " did better than ")
    names = names.where(above | ~holds, turned)
    kept = f"Under {every}, {', and '.join(names[holds])}."
    turning = ", and whether ".join(names[~holds])
    rest = f"It depends on the mechanism whether {turning}."
    if holds.all():
        return kept
    return f"{kept} {rest}" if holds.any() else rest
