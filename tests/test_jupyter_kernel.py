"""The kernel sets its backend first, and says clearly what it cannot do."""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from unittest import mock

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not the GNU C library")
def test_the_kernel_keeps_memory_for_the_next_large_array():
    """Counted in pages that the system had to fetch; seconds would depend on it."""
    script = """if True:
        import resource
        import numpy as np
        for _ in range(20):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            np.ones(8_000_000)  # 64 MB: 15,625 pages
            pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        print(pages)
    """
    given = jupyter_kernel.kernel_specification(gpu=False, backend="tensorflow")["env"]
    fetched = [
        int(subprocess.check_output([sys.executable, "-c", script], env=environment))
        for environment in (os.environ, {**os.environ, **given})
    ]
    assert fetched[1] < 100
    assert fetched[1] < fetched[0], "the check sees nothing here"


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


def test_the_backend_is_set_before_keras_is_imported():
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


# ---------------------------------------------------------------------------- threads


def settings_of_a_kernel(monkeypatch, *, gpu=False, **given):
    """Return the variables with which a kernel would start."""
    from ipykernel.kernelapp import IPKernelApp

    monkeypatch.setattr(IPKernelApp, "launch_instance", lambda words: None)
    monkeypatch.setattr(jupyter_kernel, "see_gpus", lambda backend: ["a card"])
    monkeypatch.setattr(jupyter_kernel, "require_backend", lambda backend: None)
    with mock.patch.dict(os.environ, given):
        jupyter_kernel.launch("tensorflow", gpu, [])
        return dict(os.environ)


def threads_of_a_kernel(monkeypatch, **given):
    """Return the thread settings with which a kernel would start."""
    settings = settings_of_a_kernel(monkeypatch, **given)
    return {name: settings.get(name) for name in jupyter_kernel._THREADS}


def test_convolutions_are_as_fast_on_processors_without_avx512(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    name = "TF_ENABLE_ONEDNN_OPTS"
    assert settings_of_a_kernel(monkeypatch)[name] == "1"
    assert settings_of_a_kernel(monkeypatch, **{name: "0"})[name] == "0"


def test_a_kernel_computes_with_one_thread_whatever_the_machine_has_set(monkeypatch):
    monkeypatch.delenv("SUDLIB_THREADS", raising=False)
    found = threads_of_a_kernel(monkeypatch, OMP_NUM_THREADS="64")
    assert set(found.values()) == {"1"} and len(found) > 5


def test_more_threads_are_used_where_they_are_asked_for(monkeypatch):
    found = threads_of_a_kernel(monkeypatch, SUDLIB_THREADS="4")
    assert set(found.values()) == {"4"}


def test_a_card_is_fed_by_as_many_threads_as_tensorflow_likes(monkeypatch):
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    found = threads_of_a_kernel(monkeypatch, gpu=True)
    assert found["TF_NUM_INTRAOP_THREADS"] is None and found["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_said(asked):
    with pytest.raises(SystemExit, match=f"1 or more, not {asked!r}"):
        jupyter_kernel.thread_settings(asked)


@pytest.mark.parametrize("asked", ["1", "2"])
def test_the_stamp_says_how_many_threads_the_libraries_really_have(asked):
    code = (
        "import numpy, scipy.linalg, sklearn.ensemble\n"
        "from sudlib.book import provenance; print(provenance.threads())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **jupyter_kernel.thread_settings(asked)},
        capture_output=True,
        text=True,
        check=True,
    )
    # OpenMP starts as many as it is told to; BLAS no more than there are cores.
    assert asked in done.stdout.strip().split(", ")[0]
    assert asked != "1" or done.stdout.strip() == "1"
