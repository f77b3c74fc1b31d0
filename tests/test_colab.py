"""Eight notebooks run as in Colab: its packages, the wheel, its first cell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

import address  # noqa: E402

UV = (sys.executable, "-m", "uv")
VERSIONS = Path(__file__).with_name("colab_versions.txt")
NOTEBOOKS = (
    "a01_discharge_records",
    "a04_records_as_pictures",
    "b02_balancing",
    "b05_fairness_measures",
    "c01_the_idea",
    "c08_sharing_and_scale",
    "d01_how_real_is_the_twin",
    "d02_three_trials",
)
pytestmark = pytest.mark.slow


def run(*command, **settings):
    """Run a command; where packages cannot be had, skip."""
    done = subprocess.run(command, capture_output=True, text=True, **settings)
    if "dns error" in done.stderr or "Failed to fetch" in done.stderr:
        pytest.skip("uv reaches no packages")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """Return a folder with Colab's packages, the wheel and what its first cell adds."""
    folder = tmp_path_factory.mktemp("colab")
    found = subprocess.run(
        [*UV, "python", "find", "3.12"], capture_output=True, text=True
    )
    if found.returncode:
        pytest.skip("there is no Python 3.12 here")
    run(*UV, "venv", "-q", "--seed", "--python", found.stdout.strip(), folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(*UV, "pip", "install", "-q", "--python", python, "-r", VERSIONS)
    run(*UV, "build", "-q", "--wheel", ROOT, "-o", folder)
    before = set(run(python, "-m", "pip", "freeze").splitlines())
    run(python, "-c", address.FROM_WHEEL, cwd=folder)
    after = set(run(python, "-m", "pip", "freeze").splitlines())
    run(python, "-m", "ipykernel", "install", "--prefix", folder, "--name", "colab")
    return folder, before, after


def test_the_first_cell_changes_no_package_of_colab(colab):
    _, before, after = colab
    assert before <= after
    assert {line.split("==")[0].split(" ")[0] for line in after - before} == {
        "fairlearn",
        "narwhals",
        "sudlib",
    }


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_with_the_packages_of_colab(colab, name, tmp_path):
    folder = colab[0]
    executed = tmp_path / "executed.ipynb"
    run(
        sys.executable, "-m", "papermill", "--kernel", "colab", "--cwd", tmp_path,
        "--no-progress-bar", ROOT / "notebooks" / f"{name}.ipynb", executed,
        "-p", "size", "quick",
        env=os.environ
        | {
            "JUPYTER_PATH": str(folder / "share" / "jupyter"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        },
    )  # fmt: skip
    outputs = [
        output
        for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
    ]
    said = ["".join(o.get("data", {}).get("text/markdown", "")) for o in outputs]
    assert any("**At a glance.**" in text for text in said)
    assert not any("{" in text and "}" in text and "glue:" in text for text in said)
