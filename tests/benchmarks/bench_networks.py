"""Train and score the networks from scratch: on whole pictures, and on their patches.

Run ``python tests/benchmarks/bench_networks.py``; one process a backend, the same
records and the same weights.  It runs on whatever device the backend finds (the first
line says which), so the same script compares them on a GPU::

    python tests/benchmarks/bench_networks.py --backends jax --batches 32 256 1024 \
        --steps 40 --precisions float32 mixed_bfloat16
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time

import numpy as np

ARMS = {
    "published, 250 px": ("published", ("plain", "grey", "atlas")),
    "cells": ("cells", ("plain", "atlas")),
}


def measure(options):
    """Print the table of this process's backend."""
    import keras

    from sudlib import images
    from sudlib.networks import architectures, devices, training

    print(
        f"\nKeras {keras.__version__} on {keras.backend.backend()},"
        f" {', '.join(keras.distribution.list_devices())}, {os.cpu_count()} cores"
    )
    random = np.random.default_rng(33)
    rows = max(options.batches) * options.steps
    codes = np.stack(
        [random.integers(0, number, rows) for number in images.levels()], axis=1
    ).astype("uint8")
    completed = random.integers(0, 2, rows)

    def model(name, blocks):
        keras.utils.set_random_seed(33)
        if name == "cells":
            return architectures.cell_network(blocks=blocks)
        return architectures.published_network("general", "unit", blocks=blocks)

    print(
        f"{'network':<18} {'precision':<15} {'batch':>5} {'blocks':<6}"
        f" {'trained/s':>10} {'ratio':>6} {'scored/s':>10} {'ratio':>6}"
    )
    for words, (name, ways) in ARMS.items():
        for precision in options.precisions:
            for batch in options.batches:
                taken = batch * options.steps
                first = None
                for blocks in ways:
                    recipe = training.Recipe(
                        epochs=3, batch_size=batch, precision=precision
                    )
                    network = model(name, blocks)
                    found = training.train(
                        network, codes[:taken], completed[:taken], recipe=recipe
                    )
                    trained = taken / found.history["seconds"].min()
                    seconds = []
                    for _ in range(3):
                        start = time.perf_counter()
                        with devices.precision(network, precision):
                            training.logits(network, codes[:taken], batch)
                        seconds.append(time.perf_counter() - start)
                    scored = taken / min(seconds)
                    first = first or (trained, scored)
                    print(
                        f"{words:<18} {precision:<15} {batch:>5} {blocks:<6}"
                        f" {trained:>10,.0f} {trained / first[0]:>6.2f}"
                        f" {scored:>10,.0f} {scored / first[1]:>6.2f}",
                        flush=True,
                    )


def main():
    """Run one child for each backend that is installed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax"])
    parser.add_argument("--batches", nargs="+", type=int, default=[32])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    options = parser.parse_args()
    if os.environ.get("BENCH_CHILD"):
        return measure(options)
    for backend in options.backends:
        if importlib.util.find_spec(backend) is None:
            print(f"\n{backend} is not installed: left out")
            continue
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "BENCH_CHILD": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        subprocess.run([sys.executable, *sys.argv], env=environment, check=True)


if __name__ == "__main__":
    main()
