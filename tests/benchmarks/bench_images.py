"""How fast are records drawn?  One core, one run, every way side by side.

    python tests/benchmarks/bench_images.py [--tintolib PYTHON]

The limit first: a picture is 62,500 bytes, and nothing can write pictures faster than
memory takes them, so finished pictures are copied beside all else.  Times are CPU
seconds of a process held on one core, the best of several rounds in turn: other work
on the machine then disturbs little.  The layer is measured once per backend of Keras
that is installed, TINTOlib's SuperTML where it is installed, here or in the
environment whose interpreter is given; it asks for ``arial.ttf``, and gets our font.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
import time

import numpy as np

from sudlib import images

RECORDS = 4096
BATCH = 128
BATCHES = (32, 128)  # of the layer: the study's, and one that hides the cost of a call
ROUNDS = 7
SLOW = 60  # records, for what is slow

TINTOLIB = """
    import json, sys, time
    import pandas as pd
    from PIL import ImageFont
    font, rows, folder, variable = json.load(sys.stdin)
    real = ImageFont.truetype
    ImageFont.truetype = lambda name, *a, **k: real(
        font if name == "arial.ttf" else name, *a, **k)
    from TINTOlib.supertml import SuperTML
    table = pd.DataFrame(rows)
    table["completed"] = [place % 2 for place in range(len(table))]
    model = SuperTML(problem="classification", pixels=250, font_size=10,
                     feature_importance=variable, random_seed=1)
    model.fit(table)
    start = time.process_time()
    model.transform(table, folder)
    print(json.dumps((time.process_time() - start) / len(table)))
"""


def draw_codes(records, seed=33):
    """Return random records, every level equally likely."""
    draw = np.random.default_rng(seed).integers
    columns = [draw(0, many, records) for many in images.levels()]
    return np.stack(columns, axis=1).astype(np.uint8)


def race(ways, rounds=ROUNDS):
    """Return the best rate of each way, {name: (function, records)}, in turn."""
    best = dict.fromkeys(ways, np.inf)
    for each, _ in ways.values():
        each()  # once for caches and compilers
    for _ in range(rounds):
        for name, (each, records) in ways.items():
            start = time.process_time()
            each()
            best[name] = min(best[name], (time.process_time() - start) / records)
    return {name: 1 / seconds for name, seconds in best.items()}


def copying(finished, batch):
    """Return a function that copies finished pictures, batch by batch."""
    out = np.zeros((batch, *finished.shape[1:]), finished.dtype)

    def copy():
        for start in range(0, len(finished), batch):
            np.copyto(out, finished[start : start + batch])

    return copy


def without_keras(picture, codes):
    """Return the rates of everything that needs no Keras."""
    finished = picture.draw(codes)
    fresh = np.zeros_like(finished)
    few = codes[:SLOW]

    def to_files():
        with tempfile.TemporaryDirectory() as folder:
            for place, row in enumerate(few):
                image = picture.draw_pil(row).convert("RGB")
                image.save(os.path.join(folder, f"{place}.png"))

    def in_memory():
        for row in few:
            picture.draw_pil(row)

    def in_batches():
        for _ in picture.batches(codes, BATCH):
            pass

    return race(
        {
            "PIL and a PNG file (as the study)": (to_files, len(few)),
            "PIL, in memory": (in_memory, len(few)),
            "NumPy, all pictures kept": (
                lambda: picture.draw(codes, fresh),
                len(codes),
            ),
            "NumPy, batches in one buffer": (in_batches, len(codes)),
            "finished pictures copied, byte by byte": (
                copying(finished, BATCH),
                len(codes),
            ),
        }
    )


def compiled(backend, layer):
    """Return the layer as functions of codes, as this backend can compile it."""
    if backend == "tensorflow":
        import tensorflow

        return {
            "XLA": tensorflow.function(layer, jit_compile=True),
            "no XLA": tensorflow.function(layer),
        }
    if backend == "jax":
        import jax

        drawn = jax.jit(lambda part: layer(part))
        return {"XLA": lambda part: drawn(part).block_until_ready()}
    return {"eager": layer}


def with_keras(picture, codes):
    """Return the rates of the layer on this process' backend, by type of pixel."""
    import keras

    from sudlib.networks.layers import DrawRecords

    def drawing(function, records, batch):
        def run():
            for start in range(0, records, batch):
                function(codes[start : start + batch])

        return run, records

    backend, rates = keras.backend.backend(), {}
    for dtype, records in (("uint8", RECORDS), ("float32", RECORDS // 4)):
        finished = np.ones((records, *picture.shape), dtype)
        layer = DrawRecords(picture, dtype=dtype)
        layer.build((None, codes.shape[1]))
        for batch in BATCHES:
            ways = {
                f"layer, {backend}, {how}, {dtype}, batches of {batch}": drawing(
                    function, records, batch
                )
                for how, function in compiled(backend, layer).items()
            }
            ways["copy"] = copying(finished, batch), records
            found = race(ways)
            limit = found.pop("copy")
            rates |= {name: (rate, rate / limit) for name, rate in found.items()}
    return rates


def in_backend(backend):
    """Return with_keras in a process of its own, or None if there is no backend."""
    done = subprocess.run(
        [sys.executable, __file__, "--layer"],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # One core, one thread: waiting threads would take its time.
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
        },
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout.strip().splitlines()[-1])


def tintolib(interpreter, codes, variable):
    """Return the rate of TINTOlib's SuperTML, with PNG files, or what went wrong."""
    rows = [dict(zip(images.VARIABLES, row, strict=True)) for row in codes.tolist()]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [interpreter, "-c", textwrap.dedent(TINTOLIB)],
            input=json.dumps([str(images.font_file()), rows, folder, variable]),
            capture_output=True,
            text=True,
        )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    return 1 / json.loads(done.stdout.strip().splitlines()[-1])


def growth(picture, codes):
    """Return by how many bytes peak memory grows while drawing codes in batches."""
    for _ in picture.batches(codes[: 4 * BATCH], BATCH):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        for _ in picture.batches(codes, BATCH):
            pass
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def main():
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tintolib", default=sys.executable, metavar="PYTHON")
    options.add_argument("--layer", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    picture, codes = images.TextImage("general"), draw_codes(RECORDS)
    if given.layer:
        print(json.dumps(with_keras(picture, codes)))
        return
    size = int(np.prod(picture.shape))
    drawn = int(picture.boxes[:, 2:].prod(axis=1).sum())
    print(
        f"One picture: {size:,} bytes; its 28 cells: {drawn:,} bytes"
        f" ({drawn / size:.1%}); all patches:"
        f" {sum(patch.size for patch in picture.patches):,} bytes; its codes: 28 bytes."
    )
    more = growth(picture, codes)
    print(f"Drawing {20 * RECORDS:,} records in batches adds {more:,} bytes of memory.")
    rates = without_keras(picture, codes)
    first, limit = next(iter(rates.values())), list(rates.values())[-1]
    print(f"\n{'records/s':>10} {'x PIL + PNG':>12} {'of copying':>11}")
    for name, rate in rates.items():
        print(f"{rate:10,.0f} {rate / first:12,.1f} {rate / limit:11.2f}  {name}")
    for backend in ("tensorflow", "jax", "torch"):
        found = in_backend(backend)
        if isinstance(found, str):
            print(f"{'':10} {'':12} {'':11}  layer, {backend}: {found}")
            continue
        for name, (rate, share) in found.items():
            print(f"{rate:10,.0f} {rate / first:12,.1f} {share:11.2f}  {name}")
    for variable, name in ((False, "equal font"), (True, "variable font")):
        rate = tintolib(given.tintolib, codes[:SLOW], variable)
        name = f"TINTOlib's SuperTML, {name}, PNG files"
        if isinstance(rate, str):
            print(f"{'':10} {'':12} {'':11}  {name}: not measured ({rate})")
        else:
            print(f"{rate:10,.0f} {rate / first:12,.1f} {rate / limit:11.3f}  {name}")
    print("\nof copying: pixels of the same type, batches of the same size.")


if __name__ == "__main__":
    main()
