"""Features of pictures with the memory settings of the book's kernel, and without.

    python tests/benchmarks/bench_memory.py [--records 256]

The same backbone and the same pictures in two processes, one thread each.  The
difference is what the system takes to hand out memory and to clear it: the numbers that
are computed are equal.
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
    """Measure both ways, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=256)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        measure(asked.records)
        return
    settings = jupyter_kernel.kernel_specification(gpu=False, backend="tensorflow")
    plain = {name: text for name, text in os.environ.items() if "MALLOC" not in name}
    plain |= {**jupyter_kernel.thread_settings("1"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    print(
        f"EfficientNet-Lite0, {asked.records:,} pictures, one thread\n"
        f"{'memory':14}{'wall s':>8}{'CPU s':>8}{'system s':>10}{'pages fetched':>16}"
        f"{'peak MB':>9}{'mean feature':>15}"
    )
    for name, more in (("as by default", {}), ("kept", settings["env"])):
        print(f"{name:14}", end="", flush=True)
        command = [sys.executable, __file__, "--alone", "--records", str(asked.records)]
        subprocess.run(command, env={**plain, **more}, check=True)


if __name__ == "__main__":
    main()
