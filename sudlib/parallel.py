"""Sends what joblib runs side by side to a Dask cluster.

scikit-learn's searches and cross-validation, the repeats of the simulation study
(:func:`sudlib.policy.simulation_study.run_repeats`, and with it the multiverse) and
imputations (:func:`sudlib.policy.cprd.impute`) go through joblib: one after another on
this machine, unless :func:`use` names a cluster.  Described on the page *How to rerun*.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from typing import Any

from sudlib.files import InputError

#: The variable of the environment that tells a page its cluster.
VARIABLE = "SUDLIB_SCHEDULER"

#: Seconds that a scheduler or a first worker may take to answer.
PATIENCE = 10.0


def use(
    scheduler: str | None, *, patience: float = PATIENCE
) -> contextlib.AbstractContextManager[Any]:
    """Send what joblib runs to a cluster, in a ``with`` block or from here on.

    Results are the same as without, and a worker that is lost is made up for by the
    others: what it had computed is computed again.

    Parameters
    ----------
    scheduler : str or None
        The address that ``dask scheduler`` prints, such as ``"tcp://10.0.0.1:8786"``.
        None: everything stays on this machine.
    patience : float, default=10
        Seconds to wait for the scheduler, and for a first worker.

    Returns
    -------
    context manager
        It need not be entered: as :class:`joblib.parallel_config`, which it is, it
        counts from its making.

    Raises
    ------
    InputError
        If it is no address, Dask is not installed, nobody answers there, it has no
        workers, or these cannot import ``sudlib``.

    Examples
    --------
    >>> with use(None):
    ...     pass
    >>> use("10.0.0.1")
    Traceback (most recent call last):
    sudlib.files.InputError: scheduler must be an address such as \
'tcp://10.0.0.1:8786', as dask scheduler prints it, not '10.0.0.1'
    """
    if scheduler is None:
        return contextlib.nullcontext()
    if not re.fullmatch(r"(tcp|tls)://\S+:\d+", str(scheduler)):
        raise InputError(
            "scheduler must be an address such as 'tcp://10.0.0.1:8786', as dask"
            f" scheduler prints it, not {scheduler!r}"
        )
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise InputError(
            f"scheduler={scheduler!r} needs Dask, which is not installed: pip install"
            ' "sudlib[cluster]"'
        ) from error
    import joblib

    class Client(distributed.Client):
        # joblib puts what many tasks read on one worker; were that one lost, it could
        # not be computed again.
        def scatter(self, *data: Any, **settings: Any) -> Any:
            return super().scatter(*data, **{"broadcast": True, **settings})

    try:
        client = Client(scheduler, timeout=patience, set_as_default=False)
    except OSError as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler} within {patience:g} seconds: is"
            " it running, and can this machine reach it?"
        ) from error
    try:
        client.wait_for_workers(1, timeout=patience)
        client.run(importlib.import_module, "sudlib.files")
    except TimeoutError as error:
        client.close()
        raise InputError(
            f"the Dask scheduler at {scheduler} has no workers after {patience:g}"
            f" seconds; start some: dask worker {scheduler}"
        ) from error
    except ModuleNotFoundError as error:
        client.close()
        raise InputError(
            f"the workers of {scheduler} cannot import {error.name}: start them in the"
            " environment of the book"
        ) from error
    return joblib.parallel_config(backend="dask", client=client)
