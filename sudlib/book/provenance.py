"""Where a result comes from: commit, versions, device, data."""

from __future__ import annotations

import html
import importlib.metadata
import os
import platform
import subprocess
import sys
from typing import Any

from sudlib.book.results import ROOT

#: Packages that shape the numbers; the frameworks only where a page has loaded one.
SHOWN_VERSIONS = "numpy pandas scikit-learn keras imbalanced-learn papermill".split()
UNKNOWN = "unknown"
_FRAMEWORKS = {"tensorflow": "tensorflow", "tensorflow-cpu": "tensorflow"}
_FRAMEWORKS |= {"jax": "jax", "torch": "torch"}


def git_commit(root: str | os.PathLike[str] = ROOT) -> str:
    """Return the commit of the book's own repository, marked when files differ from it.

    Parameters
    ----------
    root : path-like
        The checkout.

    Returns
    -------
    str
        ``"unknown"`` without git, and where ``root`` is not the top of a repository:
        one around it, in which the book's files were put, says nothing of them.
    """
    # A hook of git sets variables that name another repository.
    own = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def ask(*words: str) -> str | None:
        command = ["git", "-C", str(root), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=own)
        except (OSError, UnicodeDecodeError):
            return None
        return None if done.returncode else done.stdout.rstrip("\n")

    top = ask("rev-parse", "--show-toplevel")
    commit = ask("rev-parse", "--short=12", "HEAD")
    if not top or not commit or not os.path.samefile(top, root):
        return UNKNOWN
    changed = ask("status", "--porcelain", "--untracked-files=normal")
    if changed is None:
        return f"{commit} (whether files differ from it is unknown)"
    return f"{commit} with uncommitted changes" if changed else commit


def device() -> str:
    """Return the device in words; asks Keras only when a notebook has loaded it.

    Returns
    -------
    str
    """
    text = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    if "keras" in sys.modules:
        keras = sys.modules["keras"]
        backend = keras.backend.backend()
        try:
            names = _kinds(backend) or keras.distribution.list_devices()
        except Exception:  # older backends cannot list: the core count stands
            names = []
        text += f", Keras on {backend}" + (f": {', '.join(names)}" if names else "")
    return text


def threads() -> str:
    """Return how many threads the loaded libraries compute with, in words.

    Returns
    -------
    str
        As they say themselves: ``"1"``, or each that differs, with its name.
    """
    from threadpoolctl import threadpool_info  # scikit-learn brings it

    found = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    if "tensorflow" in sys.modules:
        threading = sys.modules["tensorflow"].config.threading
        # 0: as many as there are cores.
        within = threading.get_intra_op_parallelism_threads()
        found["tensorflow"] = within or int(
            os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1
        )
    if len(set(found.values())) == 1:
        return str(next(iter(found.values())))
    each = sorted(f"{name} {number}" for name, number in found.items())
    return ", ".join(each) or UNKNOWN


def _kinds(backend: str) -> list[str]:
    """Return the graphics cards a loaded backend computes on, by their makers' names.

    Asking is each framework's own affair: Keras knows a device as ``gpu:0`` only.
    """
    framework = sys.modules.get(backend)
    if framework is None:
        return []
    if backend == "tensorflow":
        ask = framework.config.experimental.get_device_details
        cards = framework.config.list_physical_devices("GPU")
        return [ask(card).get("device_name", card.name) for card in cards]
    if backend == "jax":
        devices = framework.devices()
        return [each.device_kind for each in devices if each.platform == "gpu"]
    cards = range(framework.cuda.device_count())
    return [framework.cuda.get_device_name(card) for card in cards]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape the numbers.

    Returns
    -------
    dict of str to str
        Without those that are not installed.
    """
    loaded = [name for name, module in _FRAMEWORKS.items() if module in sys.modules]
    known = {"python": platform.python_version()}
    for name in [*SHOWN_VERSIONS, *loaded]:
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known


def provenance(result: dict[str, Any]) -> str:
    """Return the provenance stamp of a result as an HTML table.

    Parameters
    ----------
    result : dict
        A result as :meth:`sudlib.book.run.Run.finish` writes it.

    Returns
    -------
    str
    """
    stamp = result["stamp"]
    data = [
        str(used.get("data"))
        + (f" ({', '.join(map(str, used['years']))})" if used.get("years") else "")
        + f", {used.get('origin', 'unverified')}"
        + (f", SHA-256 {used['sha256']}" if used.get("sha256") else "")
        for used in stamp["data"]
    ]
    hashes = {k: v for k, v in stamp["fingerprints"].items() if k != "parameters"}
    rows = {
        "data": "; ".join(dict.fromkeys(data)) or "none",
        "parameters": ", ".join(f"{k} = {v!r}" for k, v in stamp["parameters"].items()),
        "commit": stamp["commit"] or UNKNOWN,
        **{f"SHA-256 of {kind}": value for kind, value in hashes.items()},
        "versions": ", ".join(f"{k} {v}" for k, v in stamp["versions"].items()),
        "device": stamp["device"],
        "threads": stamp.get("threads", UNKNOWN),
        "minutes": f"{stamp['minutes']:.2f}",
        "date": stamp["date"],
    }
    cells = "".join(
        f"<tr><th scope='row'>{name}</th><td>{html.escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    return f"<table class='provenance'><tbody>{cells}</tbody></table>"
