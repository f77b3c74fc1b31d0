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


def main():
    """Make the environment if the lock file or pyproject.toml changed."""
    lock = LOCK.read_bytes()
    pyproject = (ROOT / "pyproject.toml").read_bytes()
    wanted = hashlib.sha256(lock + pyproject).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    python = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        chosen = find_python()
        print(f"make: a new environment in {VENV} (about 2.2 GB)", flush=True)
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
    main()
