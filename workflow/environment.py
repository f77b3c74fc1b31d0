"""Make the project's environment (.venv) from the lock file.

Runs on a bare Python: standard library only.  ``make book`` and ``make test``
call it; when the lock file has not changed it returns at once.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
STAMP = VENV / "installed.sha256"
#: Variables of Python and of other environments that would lead out of .venv.
MISLEADING = {
    "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "PYTHONSTARTUP", "PYTHONWARNINGS",
    "PYTHONEXECUTABLE", "PYTHONPLATLIBDIR", "PYTHONSAFEPATH", "PYTHONNOUSERSITE",
    "PYTHONOPTIMIZE", "PYTHONDONTWRITEBYTECODE", "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV", "CONDA_PREFIX",
}  # fmt: skip
#: What of pip's and uv's settings is about the source of packages.
SOURCES = (
    "INDEX|FIND_LINKS|TRUSTED|INSECURE|CERT|TLS|PROXY|CACHE|TIMEOUT|RETRIES|KEYRING"
    "|AUTH|OFFLINE|CONFIG_FILE|LINK_MODE|CONCURRENT"
)
ALLOWED = ((3, 11), (3, 12), (3, 13))


def stop(message):
    """End with a message for a person, not a traceback."""
    sys.exit(f"\nmake: {message}\n")


def find_python():
    """Return an interpreter that runs and is new enough (a shim can exist and fail)."""
    asked = os.environ.get("PYTHON")
    names = [asked] if asked else ["python3", "python3.13", "python3.12", "python3.11"]
    seen = []
    for name in names:
        try:
            done = subprocess.run(
                [name, "-c", "import sys; print(*sys.version_info[:2])"],
                capture_output=True,
                text=True,
                timeout=60,
                env=clean_environment(),
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode:
            continue
        version = tuple(int(part) for part in done.stdout.split())
        if version in ALLOWED:
            return name
        seen.append(f"{name} is {version[0]}.{version[1]}")
    stop(
        "needs Python 3.11, 3.12 or 3.13"
        + (f", but {', '.join(seen)}" if seen else ", but none was found")
        + ". Install one, or name it: make book PYTHON=/path/to/python3.12"
    )


def locked(name):
    """Return the lines of the lock file that pin one package, hashes and all."""
    found = re.search(rf"^{name}==.*?(?=^\S|\Z)", LOCK.read_text(), re.M | re.S)
    return found.group(0)


def clean_environment():
    """Return the caller's variables without those that install somewhere else.

    Of pip's and uv's settings those stay that say where packages come from and how to
    reach it (index, mirror, proxy, certificates, cache).
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in MISLEADING
        and (not name.startswith(("PIP_", "UV_")) or re.search(SOURCES, name))
    }
    # A pip.conf may say user = true: a variable goes before it.
    return kept | {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def call(*command):
    """Run a command and stop with its name when it fails."""
    done = subprocess.run([str(part) for part in command], env=clean_environment())
    if done.returncode:
        stop(f"this step failed (see above): {' '.join(map(str, command))}")


def install_uv(python):
    """Let pip install the pinned uv, which installs the rest."""
    with tempfile.TemporaryDirectory() as folder:
        only_uv = Path(folder) / "uv.txt"
        only_uv.write_text(locked("uv"))
        call(python, "-m", "pip", "install", "-q", "--require-hashes", "-r", only_uv)
    seen = [python, "-m", "uv", "--version"]
    if subprocess.run(seen, capture_output=True, env=clean_environment()).returncode:
        stop(
            "pip installed uv somewhere else than into .venv: a pip.conf sets target,"
            " prefix or root. `pip config list` shows it; take it away with"
            " `pip config unset install.target` (or .prefix, .root)"
        )


#: Run by the environment's own Python: what of it is missing, one word each.
EXAMINE = """
import importlib.util, json, sys
names = "snakemake papermill jupyter_book ipykernel pandas sklearn keras sudlib".split()
print(*(name for name in names if importlib.util.find_spec(name) is None))
place = sys.prefix + "/share/jupyter/kernels/sudlib/kernel.json"
try:
    json.load(open(place))
except (OSError, ValueError):
    print("kernel")
"""


def what_is_broken(python):
    """Return why an environment cannot be used, or an empty text.

    Parameters
    ----------
    python : pathlib.Path
        Its interpreter.
    """
    if not python.exists():
        gone = " (the Python it was made from is gone)" if python.is_symlink() else ""
        return f"it has no Python{gone}"
    examine = [str(python), "-I", "-c", EXAMINE]
    try:
        done = subprocess.run(
            examine, capture_output=True, text=True, env=clean_environment()
        )
    except OSError as error:
        return f"its Python does not start ({error.strerror})"
    if done.returncode:
        return f"its Python stops: {(done.stderr.splitlines() or ['?'])[-1]}"
    return f"it lacks {', '.join(done.stdout.split())}" if done.stdout.split() else ""


def main():
    """Make the environment where it is missing, broken, moved, or of another lock file.

    What is broken or moved (its scripts name the old place) is made anew.
    """
    # The last one registers the kernel.
    parts = (LOCK, ROOT / "pyproject.toml", ROOT / "sudlib/book/jupyter_kernel.py")
    content = b"".join(part.read_bytes() for part in parts)
    wanted = f"{hashlib.sha256(content).hexdigest()} {VENV}"
    found = STAMP.read_text() if STAMP.exists() else ""
    python = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
    anew = ""
    if found:
        moved = found.partition(" ")[2] not in ("", str(VENV))
        anew = "it was made elsewhere" if moved else what_is_broken(python)
        if found == wanted and not anew:
            return
        # If this is interrupted, the next call begins again.
        STAMP.unlink()
    if anew or not python.exists():
        chosen = find_python()
        why = f" ({anew})" if anew else ""
        print(f"make: a new environment in {VENV}{why} (about 2.2 GB)", flush=True)
        made = [chosen, "-m", "venv", "--clear", str(VENV)]
        if subprocess.run(made, env=clean_environment()).returncode:
            stop(
                f"{chosen} could not make a virtual environment. On Debian and"
                " Ubuntu: sudo apt-get install python3-venv; then run make again."
            )
    install_uv(python)
    uv = (python, "-m", "uv", "pip")
    # Without compiled bytecode every kernel pays 25 s for its first import.
    call(
        *uv, "sync", "--require-hashes", "--compile-bytecode", "--python", python, LOCK
    )
    # Hashes and an editable install cannot share one call.
    call(*uv, "install", "--quiet", "--no-deps", "--python", python, "--editable", ROOT)
    call(python, "-m", "sudlib.book.jupyter_kernel", "install")
    STAMP.write_text(wanted)


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(f"{__doc__}\nIt takes no arguments, not {' '.join(sys.argv[1:])}.")
    main()
