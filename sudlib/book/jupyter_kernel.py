"""The Jupyter kernel of the book: set the backend before any framework is imported.

``python -m sudlib.book.jupyter_kernel install`` registers the kernel
``sudlib`` in the running
environment (``--gpu``: the kernel ``sudlib-gpu``, which stops where there is no GPU).
``python -m sudlib.book.jupyter_kernel launch`` is what Jupyter calls.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def kernel_specification(*, gpu, backend):
    """Return the kernelspec of the book as a dictionary."""
    name = "sudlib (GPU)" if gpu else "sudlib"
    launch = ["launch", "--backend", backend] + (["--require-gpu"] if gpu else [])
    return {
        "argv": [
            sys.executable,
            "-m",
            "sudlib.book.jupyter_kernel",
            *launch,
            "-f",
            "{connection_file}",
        ],
        "display_name": name,
        "language": "python",
        "metadata": {"debugger": True},
    }  # fmt: skip


def install(*, gpu=False, backend=None, prefix=sys.prefix):
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


def require_backend(backend):
    """Stop with a clear message when a Keras backend is unknown or missing."""
    if backend not in BACKENDS:
        sys.exit(
            f"sudlib kernel: backend must be {', '.join(BACKENDS)}, not {backend!r}"
        )
    if importlib.util.find_spec(BACKENDS[backend]) is None:
        sys.exit(
            f"sudlib kernel: the backend {backend!r} was asked for but is not"
            " installed here; install it, or choose another with --backend"
        )


def see_gpus(backend):
    """Return the GPUs a backend sees, by name; imports the backend."""
    if backend == "tensorflow":
        import tensorflow

        return [gpu.name for gpu in tensorflow.config.list_physical_devices("GPU")]
    if backend == "jax":
        import jax

        return [str(device) for device in jax.devices() if device.platform == "gpu"]
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def first_with_gpu():
    """Return the first installed backend that sees a GPU; TensorFlow where none does.

    Each is asked in a process of its own: two frameworks in one would share the
    memory of the card.
    """
    for backend in BACKENDS:
        if importlib.util.find_spec(BACKENDS[backend]) is None:
            continue
        ask = f"from {__spec__.name} import see_gpus; print(len(see_gpus({backend!r})))"
        done = subprocess.run(
            [sys.executable, "-c", ask], capture_output=True, text=True
        )
        if done.returncode == 0 and done.stdout.split()[-1:] not in ([], ["0"]):
            return backend
    print(
        "sudlib kernel: no backend that is installed here sees a GPU; the kernel is"
        " registered for TensorFlow and will stop until one does",
        file=sys.stderr,
    )
    return "tensorflow"


def launch(backend, require_gpu, rest):
    """Set the environment of the frameworks, then become an IPython kernel."""
    backend = os.environ.get("KERAS_BACKEND") or backend
    require_backend(backend)
    os.environ["KERAS_BACKEND"] = backend
    # Frameworks share the GPU's memory instead of taking all of it at once.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
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


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sudlib.book.jupyter_kernel", description=__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (
        ("install", "register the kernel"),
        ("launch", "start a kernel (what Jupyter calls)"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument(
            "--backend",
            help="Keras backend: tensorflow (default), jax or torch; with --gpu the"
            " first that sees one",
        )
        if name == "install":
            command.add_argument(
                "--gpu", action="store_true", help="the kernel that needs a GPU"
            )
        else:
            command.add_argument("--require-gpu", action="store_true")
    known, rest = parser.parse_known_args(arguments)
    if known.command == "launch":
        launch(known.backend or "tensorflow", known.require_gpu, rest)
    elif rest:
        parser.error(f"unknown words: {' '.join(rest)}")
    else:
        print(f"kernel {install(gpu=known.gpu, backend=known.backend)!r} is registered")


if __name__ == "__main__":
    main()
