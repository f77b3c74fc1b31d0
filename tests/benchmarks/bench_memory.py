"""Features of pictures with the settings of the book's kernel, and without.

    python tests/benchmarks/bench_memory.py [--records 256]

The same backbone and the same pictures in three processes, one thread each.  Memory
that is kept saves what the system takes to hand it out and to clear it.  TensorFlow
uses oneDNN by itself on processors with AVX-512 only; there the last two lines are
alike.
The numbers that are computed are equal, up to rounding.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

from sudlib.book import jupyter_kernel


def measure(records):
    """Print what one process takes."""
    import numpy as np

    from sudlib import images
    from sudlib.networks import backbones, feature_cache

    picture = images.TextImage("general")
    random = np.random.default_rng(33)
    codes = [random.integers(0, number, records) for number in images.levels()]
    codes = np.stack(codes, axis=1)
    network = backbones.base(
        "efficientnet-lite0", "imagenet", picture.shape, preprocessing="imagenet"
    )
    feature_cache.compute(network, picture, codes[:32], folder=False, progress=False)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    found = feature_cache.compute(network, picture, codes, folder=False, progress=False)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    print(
        f"{seconds:8.1f}{user + system:8.1f}{system:10.1f}"
        f"{after.ru_minflt - before.ru_minflt:16,}{after.ru_maxrss / 1024:9,.0f}"
        f"{float(found.values.astype(float).mean()):15.6f}",
        flush=True,
    )


def main():
    """Measure all three, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=256)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        measure(asked.records)
        return
    settings = jupyter_kernel.kernel_specification(gpu=False, backend="tensorflow")
    ours = ("MALLOC", "ONEDNN")
    plain = {n: text for n, text in os.environ.items() if not any(o in n for o in ours)}
    plain |= {**jupyter_kernel.thread_settings("1"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    print(
        f"EfficientNet-Lite0, {asked.records:,} pictures, one thread\n"
        f"{'memory':14}{'wall s':>8}{'CPU s':>8}{'system s':>10}{'pages fetched':>16}"
        f"{'peak MB':>9}{'mean feature':>15}"
    )
    kept, fast = settings["env"], {"TF_ENABLE_ONEDNN_OPTS": "1"}
    ways = {"as by default": {}, "kept": kept, "kept, oneDNN": kept | fast}
    for name, more in ways.items():
        print(f"{name:14}", end="", flush=True)
        command = [sys.executable, __file__, "--alone", "--records", str(asked.records)]
        subprocess.run(command, env={**plain, **more}, check=True)


if __name__ == "__main__":
    main()
