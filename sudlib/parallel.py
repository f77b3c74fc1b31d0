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
from collections.abc import Callable
from typing import Any

from sudlib.files import InputError
from sudlib.validation import check_number

#: The variable of the environment that tells a page its cluster.
VARIABLE = "SUDLIB_SCHEDULER"

#: Seconds that a scheduler or a first worker may take to answer.
PATIENCE = 10.0


def use(
    scheduler: str | None, *, patience: float = PATIENCE
) -> contextlib.AbstractContextManager[Any]:
    """Send what joblib runs to a cluster, in a ``with`` block or from here on.

    Results are the same as without, and a worker that is lost is made up for by the
    others: what it had computed is computed again.  Of loops within loops, such as a
    search inside cross-validation, the outermost is shared out.

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
    patience = check_number("patience", patience, 0, open_low=True)
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
    import dask
    import joblib
    from joblib._dask import DaskDistributedBackend

    # joblib puts what many tasks read on one worker.  Were that one lost, it would be
    # gone: as the result of a task it comes again.  What a task itself runs with joblib
    # stays on its worker, for the same reason.
    class Client(distributed.Client):
        async def scatter(self, data: Any, **_: Any) -> Any:
            return self.submit(_itself, data, pure=False)

    class Backend(DaskDistributedBackend):
        def submit(self, func: Any, callback: Any = None) -> Any:
            func.items = [(_alone, (f, *args), more) for f, args, more in func.items]
            return super().submit(func, callback)

    try:
        client = Client(scheduler, timeout=patience, set_as_default=False)
    except OSError as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler} within {patience:g} seconds: is"
            " it running, and can this machine reach it?"
        ) from error
    except TypeError as error:
        raise InputError(
            f"scheduler={scheduler!r} needs certificates in Dask's own configuration"
            f" (distributed.comm.tls): {error}"
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
    # Not a fault of the graph: the records themselves go with it, once.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "2 GB"})
    return joblib.parallel_config(backend=Backend(client=client), n_jobs=-1)


def _itself(data: Any) -> Any:
    """Return what is given, as the result of a task."""
    return data


def _alone(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Call a function on a worker; what it runs with joblib stays on that worker."""
    import joblib

    with joblib.parallel_config(backend="sequential"):
        return function(*args, **keywords)
