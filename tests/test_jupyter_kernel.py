"""The kernel sets its backend first, and says clearly what it cannot do."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from sudlib.book import jupyter_kernel


def call(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "sudlib.book.jupyter_kernel", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_installed_kernel_is_found_by_jupyter(tmp_path, monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager

    given = {"gpu": True, "backend": "tensorflow", "prefix": tmp_path}
    assert jupyter_kernel.install(**given) == "sudlib-gpu"
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    assert "sudlib-gpu" in KernelSpecManager().find_kernel_specs()
    path = tmp_path / "share" / "jupyter" / "kernels" / "sudlib-gpu" / "kernel.json"
    content = json.loads(path.read_text())
    assert content["argv"][0] == sys.executable
    assert "--require-gpu" in content["argv"]


def test_an_unknown_backend_names_the_known_ones():
    done = call("install", "--backend", "theano")
    assert done.returncode != 0
    assert "tensorflow, jax, torch, not 'theano'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_backend_is_an_error_never_a_fallback():
    missing = [name for name in ("jax", "torch") if not importlib.util.find_spec(name)]
    if not missing:
        pytest.skip("jax and torch are both installed here: none is missing")
    done = call("launch", "-f", "nowhere.json", KERAS_BACKEND=missing[0])
    assert done.returncode != 0
    assert f"{missing[0]!r} was asked for but is not installed" in done.stderr


def test_the_gpu_kernel_takes_the_first_backend_that_sees_a_gpu(monkeypatch, capsys):
    asked = []

    def answer(words, **keywords):
        asked.append(words[-1].split("see_gpus(")[1].split(")")[0])
        seen = "1" if "jax" in words[-1] and sees else "0"
        return subprocess.CompletedProcess(words, 0, f"a log line\n{seen}\n", "")

    monkeypatch.setattr(jupyter_kernel.subprocess, "run", answer)
    monkeypatch.setattr(
        jupyter_kernel.importlib.util, "find_spec", lambda name: object()
    )
    sees = True
    assert jupyter_kernel.first_with_gpu() == "jax"
    assert asked == ["'tensorflow'", "'jax'"]
    sees = False
    assert jupyter_kernel.first_with_gpu() == "tensorflow"
    assert "no backend that is installed here sees a GPU" in capsys.readouterr().err


def test_the_question_to_a_backend_is_python_that_runs(monkeypatch):
    """Asked in a process of its own, it must name a function that exists there."""
    real = subprocess.run

    def answer(words, **keywords):
        code = f"import sudlib.book.jupyter_kernel as k; k.see_gpus = str; {words[-1]}"
        return real([words[0], "-c", code], **keywords)

    monkeypatch.setattr(jupyter_kernel.subprocess, "run", answer)
    monkeypatch.setattr(jupyter_kernel, "BACKENDS", ("sys",))
    # str("sys") has three letters: as if it saw three cards.
    assert jupyter_kernel.first_with_gpu() == "sys"


@pytest.mark.slow
def test_a_gpu_that_is_not_there_stops_the_kernel():
    if jupyter_kernel.see_gpus("tensorflow"):
        pytest.skip("this machine has a GPU")
    done = call("launch", "--require-gpu", "-f", "nowhere.json")
    assert done.returncode != 0
    assert "a GPU was asked for and tensorflow sees none" in done.stderr


def test_the_backend_is_set_before_keras_is_imported(tmp_path):
    # The launcher must not import a framework on its way to the kernel.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, sudlib.book.jupyter_kernel as k;"
            "k.require_backend('tensorflow');"
            "print(sorted({'keras', 'tensorflow', 'jax'} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]"
