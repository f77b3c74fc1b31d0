"""Where the book is published, if it is: buttons, Colab's first cell, the wheel."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from sudlib import book

ROOT = Path(__file__).resolve().parent.parent
#: The first cell of a downloaded notebook where the book has no public address.
FROM_WHEEL = """# Colab: install sudlib from the wheel that stands beside this site.
import glob, importlib.util, subprocess, sys

if importlib.util.find_spec("sudlib") is None:
    wheels = sorted(glob.glob("sudlib-*.whl"))
    if not wheels:
        raise SystemExit("Upload the wheel (sudlib-....whl, in the folder wheel of the"
                         " site) beside this notebook, then run this cell again.")
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "--no-deps", wheels[-1]], check=True)
    subprocess.run([*pip, "pooch", "imbalanced-learn", "fairlearn"], check=True)"""


def public_address(root=ROOT):
    """Return the web address of the repository a checkout came from, or an empty text.

    It is git's ``origin``, where that is on the web; a folder on a disk is no address.
    """
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        said = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
    found = re.fullmatch(
        r"(?:https?://(?:[^@/]*@)?|(?:ssh://)?git@)([\w.-]+\.\w+)(?::\d+)?[:/](.+?)(\.git)?/?",
        said,
    )
    return f"https://{found[1]}/{found[2]}" if found else ""


def stated_address(root=ROOT):
    """Return the address that the notebooks install from: that of pyproject.toml."""
    path = root / "pyproject.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return table.get("project", {}).get("urls", {}).get("Repository", "")


def is_published(root=ROOT):
    """Return whether a checkout came from the address that its notebooks install from.

    Colab's button runs what stands there; another name may be a stranger's.
    """
    address = public_address(root)
    return bool(address) and address == stated_address(root)


def with_buttons(settings, root=ROOT):
    """Return the settings with the buttons that lead somewhere.

    Where git knows no address there are none to the repository; where the book is not
    published (:func:`is_published`), none to Colab.
    """
    address = public_address(root)
    if address:
        settings.setdefault("repository", {})["url"] = address
    else:
        settings.pop("repository", None)
        for name in ("use_repository_button", "use_issues_button"):
            settings.get("html", {})[name] = False
    if not is_published(root):
        settings.pop("launch_buttons", None)
    return settings


def add_wheel(site, root=ROOT):
    """Put the library beside the pages, as a wheel whose name says the commit.

    It is what Colab installs where the book has no public address.  A machine that can
    neither reach the builder of wheels nor has it says so; the site needs none.
    """
    commit = book.git_commit(root).split()[0]
    place = site / "wheel"
    command = [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", str(root)]
    done = subprocess.run([*command, "--out-dir", str(place)], capture_output=True)
    (place / ".gitignore").unlink(missing_ok=True)
    for wheel in place.glob("sudlib-*.whl"):
        name, version, rest = wheel.name.split("-", 2)
        wheel.rename(place / f"{name}-{version}-1.{commit}-{rest}")
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
        print(f"build_site: no wheel beside the site: {said}", file=sys.stderr)
