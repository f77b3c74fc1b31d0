"""Run one notebook with papermill: strict parameters first, a short error last.

Snakemake calls it, one call a notebook.  ``python workflow/execute.py --help``.
"""

# ruff: noqa: E402
import argparse
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

# A grammar of addresses, which checking a notebook's form does not use: a second of
# computing for each notebook.
sys.modules.setdefault("rfc3987_syntax", None)

import papermill
import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError

from sudlib import book
from sudlib.book import jupyter_kernel
from sudlib.files import InputError

ROOT = Path(__file__).resolve().parent.parent
#: Bytes of a socket's path before "-1", "-2", ... are added to it.
LONGEST = 100


def message_of(error, words):
    """Return what to tell a person about a notebook that stopped.

    A kernel that died has said why, if at all, in the file ``words``.
    """
    text = f"with\n    {name_of(error)}"
    if isinstance(error, papermill.PapermillExecutionError):
        first = error.source.strip().splitlines()[0]
        return f"in cell [{error.exec_count}], which begins\n    {first}\n{text}"
    said = words.read_text(errors="replace").splitlines() if words.exists() else []
    own = [line for line in said if line.startswith("sudlib kernel: ")]
    return "\n    ".join([text, *own[-2:]])


def name_of(error):
    """Return an error as Python prints it; one of a notebook, as it stood there."""
    if isinstance(error, papermill.PapermillExecutionError):
        return f"{error.ename}: {error.evalue}"
    return f"{type(error).__name__}: {error}"


def check_kernel(name):
    """Raise an InputError that lists the kernels there are when one is missing."""
    known = sorted(KernelSpecManager().find_kernel_specs())
    if name not in known:
        raise InputError(
            f"there is no Jupyter kernel {name!r}; there are {', '.join(known)}. The"
            " book's own are registered by: python -m sudlib.book.jupyter_kernel"
            " install [--gpu]"
        )


def kernel_manager(folder, words):
    """Return a manager class whose kernels talk through sockets in one fresh folder.

    Kernels started side by side over TCP now and then take each other's port and
    hang; a folder of their own cannot be taken.  (Only below a long TMPDIR it is TCP:
    the name of a Unix socket has at most 107 bytes.)  What the process of the kernel
    says by itself (log lines of the frameworks, why it could not start) goes to the
    file ``words``.
    """

    class LocalKernelManager(AsyncKernelManager):
        def __init__(self, **settings):
            super().__init__(**settings)
            sockets = Path(folder) / "kernel"
            if os.name != "nt" and len(os.fsencode(sockets)) <= LONGEST:
                self.transport, self.ip = "ipc", str(sockets)

        async def _async_launch_kernel(self, kernel_cmd, **settings):
            with open(words, "ab") as stream:
                await super()._async_launch_kernel(
                    kernel_cmd, stderr=stream, **settings
                )

    return LocalKernelManager


def hide_injected(path):
    """Fold away the cell in which papermill wrote the parameters it was given."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        if "injected-parameters" in tags:
            cell["metadata"]["tags"] = [*tags, "hide-input"]
    path.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")


def execute(notebook, parameters, kernel, reading, log):
    """Run a notebook; its executed copy grows in ``reading``, its words in ``log``."""
    logging.basicConfig(filename=log, filemode="w", level=logging.INFO, force=True)
    for attempt in (1, 2):
        with tempfile.TemporaryDirectory(prefix="sud") as folder:
            try:
                papermill.execute_notebook(
                    str(notebook),
                    str(reading),
                    parameters=parameters,
                    kernel_name=kernel,
                    language="python",
                    cwd=str(ROOT),
                    log_output=True,
                    progress_bar={"desc": notebook.stem, "mininterval": 1},
                    start_timeout=120,
                    kernel_manager_class=kernel_manager(
                        folder, log.with_suffix(".kernel")
                    ),
                )
                return
            except (RuntimeError, DeadKernelError) as error:
                # One more try when the kernel never came up; a notebook that began
                # and died is shown, not run again.
                began = any(
                    cell.get("outputs") or cell.get("execution_count")
                    for cell in json.loads(reading.read_text())["cells"]
                )
                if attempt == 2 or began or "start" not in str(error).lower():
                    raise


def end_with_the_build():
    """End this process and those beside it once ``make book`` is no more.

    A build that is killed cannot end what it started; these look for it themselves.
    """
    number = os.environ.get("SUDLIB_BUILD")
    if not number:
        return

    def lives():
        try:
            return builder.is_running() and builder.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def watch():
        while builder and lives():
            time.sleep(0.5)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    builder = psutil.Process(int(number)) if psutil.pid_exists(int(number)) else None
    threading.Thread(target=watch, daemon=True).start()


def report(log, text, why):
    """Say what went wrong, and leave it for the end of ``make book`` and for the page.

    Parameters
    ----------
    log : pathlib.Path
    text : str
        For the person who builds.
    why : str
        For the reader of the page that has no numbers.
    """
    log.with_suffix(".error").write_text(f"{text}\n", encoding="utf-8")
    why = " ".join(why.replace("`", "'").split())
    log.with_suffix(".why").write_text(f"`{why}`\n", encoding="utf-8")
    print(f"\n{text}\n", file=sys.stderr)


def parameters_of(text):
    """Return the parameters that a text of JSON names, or raise for the parser."""

    def once(pairs):
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    with contextlib.suppress(ValueError):
        if isinstance(given := json.loads(text, object_pairs_hook=once), dict):
            return given
    raise argparse.ArgumentTypeError(
        f'must be JSON such as \'{{"size": "quick"}}\', each name once, not {text!r}'
    )


def main(arguments=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--parameters", type=parameters_of, default={}, help="JSON")
    parser.add_argument("--kernel", default="sudlib")
    parser.add_argument("--threads", default="", help="threads to compute with (1)")
    parser.add_argument("--executed", type=Path, required=True, help="notebook to make")
    parser.add_argument("--result", type=Path, required=True, help="JSON to make")
    parser.add_argument("--log", type=Path, required=True)
    given = parser.parse_args(arguments)
    end_with_the_build()
    # For any kernel; that of the book would set them itself.
    os.environ["SUDLIB_THREADS"] = given.threads
    os.environ.update(jupyter_kernel.thread_settings(given.threads))
    stem = given.notebook.stem
    reading = given.log.with_suffix(".ipynb")
    for path in (given.executed, given.result, given.log):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        book.check_parameters(given.notebook, given.parameters)
        check_kernel(given.kernel)
    except InputError as error:
        report(given.log, f"{stem} was not started: {error}", str(error))
        return 2
    os.environ["SUDLIB_RESULTS"] = str(given.log.parent.resolve() / "unfinished")
    os.environ["SUDLIB_FINISHED"] = str(given.result.parent.resolve())
    made = Path(os.environ["SUDLIB_RESULTS"]) / f"{stem}.json"
    made.unlink(missing_ok=True)
    given.log.with_suffix(".kernel").unlink(missing_ok=True)
    try:
        execute(given.notebook, given.parameters, given.kernel, reading, given.log)
        if not made.exists():
            raise RuntimeError(
                f'it did not end with run.finish() of book.start("{stem}"): no result'
            )
    except Exception as error:
        report(
            given.log,
            f"{stem} stopped {message_of(error, given.log.with_suffix('.kernel'))}\n"
            f"The notebook as far as it came, with the error: {reading}\n"
            f"Its log: {given.log}",
            name_of(error),
        )
        return 1
    hide_injected(reading)
    shutil.move(made, given.result)
    shutil.move(reading, given.executed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
