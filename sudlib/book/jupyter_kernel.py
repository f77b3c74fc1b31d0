"""The Jupyter kernel of the book: set backend and threads before anything is imported.

``python -m sudlib.book.jupyter_kernel install`` registers the kernel ``sudlib`` in the
running environment (``--gpu``: the kernel ``sudlib-gpu``, which stops where there is no
GPU).  ``python -m sudlib.book.jupyter_kernel launch`` is what Jupyter calls.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: The Keras backends, in the order in which they are asked for a GPU.
BACKENDS = ("tensorflow", "jax", "torch")
# Set before a framework is loaded: GPU memory shared, not taken all at once; no logs.
# And oneDNN's convolutions on every processor: TensorFlow takes them by itself only
# where there is AVX-512, and elsewhere its own are half as fast
# (``tests/benchmarks/bench_memory.py``).
_ENVIRONMENT = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}
# Read by the C library (glibc; others pass them over) when the process starts: freed
# memory up to 1 GiB is kept for what comes next.  By default each large array is
# fetched from the system and given back, and clearing its pages took as long as the
# networks themselves (``tests/benchmarks/bench_memory.py``).
_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}
#: Variables by which the libraries that compute are told how many threads to start.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def thread_settings(asked: str | None, gpu: bool = False) -> dict[str, str]:
    """Return the variables that set how many threads a kernel computes with.

    One thread is the default: sums are then added in the same order on every machine,
    small matrices are faster than on many, and pages that run side by side do not take
    each other's cores.

    Parameters
    ----------
    asked : str or None
        A whole number (``SUDLIB_THREADS``); None or empty: 1.
    gpu : bool, default=False
        Where a graphics card computes, TensorFlow chooses how many threads feed it.

    Returns
    -------
    dict of str to str
    """
    number = asked or "1"
    if not number.isdecimal() or int(number) < 1:
        sys.exit(
            "sudlib kernel: SUDLIB_THREADS must be a whole number of threads, 1 or"
            f" more, not {number!r}"
        )
    names = [name for name in _THREADS if not (gpu and name.startswith("TF_"))]
    return dict.fromkeys(names, str(int(number)))


def kernel_specification(*, gpu: bool, backend: str) -> dict[str, Any]:
    """Return the kernelspec of the book.

    Parameters
    ----------
    gpu : bool
        Whether the kernel refuses to start where no GPU is seen.
    backend : {"tensorflow", "jax", "torch"}

    Returns
    -------
    dict
        The content of ``kernel.json``.
    """
    module = "sudlib.book.jupyter_kernel"
    launch = ["launch", "--backend", backend, *(["--require-gpu"] if gpu else [])]
    return {
        "argv": [sys.executable, "-m", module, *launch, "-f", "{connection_file}"],
        "display_name": "sudlib (GPU)" if gpu else "sudlib",
        "language": "python",
        "env": _MEMORY,
        "metadata": {"debugger": True},
    }


def install(
    *,
    gpu: bool = False,
    backend: str | None = None,
    prefix: str | os.PathLike[str] = sys.prefix,
) -> str:
    """Register the kernel below a prefix and return its name.

    Parameters
    ----------
    gpu : bool
        Register ``sudlib-gpu``, which refuses to start where no GPU is seen.
    backend : str, optional
        ``"tensorflow"``, ``"jax"`` or ``"torch"``; it must be installed.  None takes
        TensorFlow, or for ``gpu`` the first that sees a GPU.
    prefix : path-like
        Below it, ``share/jupyter/kernels`` is written.

    Returns
    -------
    str
    """
    from jupyter_client.kernelspec import KernelSpecManager

    if backend is None:
        backend = first_with_gpu() if gpu else "tensorflow"
    require_backend(backend)
    name = "sudlib-gpu" if gpu else "sudlib"
    with tempfile.TemporaryDirectory() as folder:
        content = kernel_specification(gpu=gpu, backend=backend)
        (Path(folder) / "kernel.json").write_text(json.dumps(content, indent=1))
        KernelSpecManager().install_kernel_spec(folder, name, prefix=str(prefix))
    return name


def require_backend(backend: str) -> None:
    """Stop with a clear message when a Keras backend is unknown or missing.

    Parameters
    ----------
    backend : str
    """
    if backend not in BACKENDS:
        sys.exit(
            f"sudlib kernel: backend must be {', '.join(BACKENDS)}, not {backend!r}"
        )
    if importlib.util.find_spec(backend) is None:
        sys.exit(
            f"sudlib kernel: the backend {backend!r} was asked for but is not"
            " installed here; install it, or choose another with --backend"
        )


def see_gpus(backend: str) -> list[str]:
    """Return the GPUs a backend sees, by name; imports the backend.

    Parameters
    ----------
    backend : {"tensorflow", "jax", "torch"}

    Returns
    -------
    list of str
    """
    if backend == "tensorflow":
        import tensorflow

        return [gpu.name for gpu in tensorflow.config.list_physical_devices("GPU")]
    if backend == "jax":
        import jax

        return [str(device) for device in jax.devices() if device.platform == "gpu"]
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def first_with_gpu() -> str:
    """Return the first installed backend that sees a GPU; TensorFlow where none does.

    Each is asked in a process of its own: two frameworks in one would share the
    memory of the card.

    Returns
    -------
    str
    """
    for backend in filter(importlib.util.find_spec, BACKENDS):
        ask = f"from {__spec__.name} import see_gpus; print(len(see_gpus({backend!r})))"
        command = [sys.executable, "-c", ask]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.split()[-1:] not in ([], ["0"]):
            return backend
    print(
        "sudlib kernel: no backend that is installed here sees a GPU; the kernel is"
        " registered for TensorFlow and will stop until one does",
        file=sys.stderr,
    )
    return "tensorflow"


def launch(backend: str, require_gpu: bool, rest: Sequence[str]) -> None:
    """Set backend, threads and memory of the frameworks, then become an IPython kernel.

    Parameters
    ----------
    backend : {"tensorflow", "jax", "torch"}
        ``KERAS_BACKEND`` of the environment goes before it.
    require_gpu : bool
        Stop where the backend sees no GPU.
    rest : sequence of str
        What Jupyter adds to the command line.
    """
    backend = os.environ.get("KERAS_BACKEND") or backend
    require_backend(backend)
    os.environ.update({**_ENVIRONMENT, **os.environ, "KERAS_BACKEND": backend})
    os.environ.update(thread_settings(os.environ.get("SUDLIB_THREADS"), require_gpu))
    if require_gpu:
        gpus = see_gpus(backend)
        print(f"sudlib kernel: {backend} on {gpus or 'no GPU'}", file=sys.stderr)
        if not gpus and os.environ.get("SUDLIB_GPU_MISSING") != "use-cpu":
            sys.exit(
                f"sudlib kernel: a GPU was asked for and {backend} sees none. Use the"
                " kernel 'sudlib' (make book), or set SUDLIB_GPU_MISSING=use-cpu to go"
                " on without one."
            )
    from ipykernel.kernelapp import IPKernelApp

    # Without this, C++ log lines of the frameworks land in the notebooks.
    IPKernelApp.launch_instance(["--IPKernelApp.capture_fd_output=False", *rest])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sudlib.book.jupyter_kernel", description=__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    install_, launch_ = (
        commands.add_parser(name, help=words, description=words)
        for name, words in (
            ("install", "register the kernel"),
            ("launch", "start a kernel (what Jupyter calls)"),
        )
    )
    words = f"Keras backend: {', '.join(BACKENDS)}; by default {BACKENDS[0]}"
    install_.add_argument("--backend", help=f"{words}, with --gpu the first with one")
    install_.add_argument("--gpu", action="store_true", help="a kernel that needs one")
    launch_.add_argument("--backend", default=BACKENDS[0], help=words)
    launch_.add_argument("--require-gpu", action="store_true")
    given, rest = parser.parse_known_args(arguments)
    if given.command == "launch":
        launch(given.backend, given.require_gpu, rest)
    elif rest:
        parser.error(f"unknown words: {' '.join(rest)}")
    else:
        name = install(gpu=given.gpu, backend=given.backend)
        print(f"kernel {name!r} is registered")


if __name__ == "__main__":
    main()
