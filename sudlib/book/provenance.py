"""Where a result comes from: commit, versions, device, data."""

import html
import importlib.metadata
import os
import platform
import subprocess
import sys

from sudlib.book.results import ROOT

SHOWN_VERSIONS = (
    "numpy",
    "pandas",
    "scikit-learn",
    "keras",
    "imbalanced-learn",
    "papermill",
)


# ------------------------------------------------------------------------ stamp


def git_commit(root=ROOT):
    """Return the commit of the checkout, marked when files differ from it, or None."""

    def ask(*words):
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True
        )
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit = ask("rev-parse", "--short=12", "HEAD")
        if commit and ask("status", "--porcelain"):
            commit += " with uncommitted changes"
    except OSError:
        return None
    return commit


def device():
    """Return the device in words; asks Keras only when a notebook has loaded it."""
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


def _kinds(backend):
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
        found = framework.devices()
        return [each.device_kind for each in found if each.platform == "gpu"]
    cards = range(framework.cuda.device_count())
    return [framework.cuda.get_device_name(card) for card in cards]


def versions():
    """Return the versions of Python and of the packages that shape the numbers."""
    found = {"python": platform.python_version()}
    for name in SHOWN_VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name in ("tensorflow", "tensorflow-cpu", "jax", "torch"):
        if name.split("-")[0] in sys.modules:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
    return found


def provenance(result):
    """Return the provenance stamp of a result as an HTML table."""
    stamp = result["stamp"]
    data = [
        f"{used.get('data')} ({', '.join(map(str, used.get('years', [])))})"
        + (", synthetic" if used.get("synthetic") else "")
        + (f", SHA-256 {used['sha256']}" if used.get("sha256") else "")
        for used in stamp["data"]
    ]
    rows = {
        "data": "; ".join(dict.fromkeys(data)) or "none",
        "parameters": ", ".join(f"{k} = {v!r}" for k, v in stamp["parameters"].items()),
        "commit": stamp["commit"] or "not known",
        **{
            f"SHA-256 of {kind}": value
            for kind, value in stamp["fingerprints"].items()
            if kind != "parameters"
        },
        "versions": ", ".join(f"{k} {v}" for k, v in stamp["versions"].items()),
        "device": stamp["device"],
        "minutes": f"{stamp['minutes']:.2f}",
        "date": stamp["date"],
    }
    cells = "".join(
        f"<tr><th scope='row'>{name}</th><td>{html.escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    return f"<table class='provenance'><tbody>{cells}</tbody></table>"
