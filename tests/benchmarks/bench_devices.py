"""Measure how fast a device draws, reads and learns the pictures of study A.

Usage: [KERAS_BACKEND=jax] python tests/benchmarks/bench_devices.py
       [--seconds 5] [--batch 256] [--save] [--only draw resnet50 lite scratch]

One row for each piece of work and precision, measured in this one run: drawing 250 x
250 pictures from 28 small integers, features of ResNet50 and of EfficientNet-Lite0
(random weights: what a product of numbers costs does not depend on them), training of
the study's network from scratch, plain and on the windows of the glyph atlas.  Beside
each rate stands what the network's arithmetic amounts to at that rate.

``--save`` puts the rows into data/results/study_a/devices.csv, in place of earlier
rows of the same device and backend; the book shows that table.
"""

import argparse
import datetime
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from sudlib import book, images
from sudlib.networks import architectures, backbones, devices, flops, training
from sudlib.networks.layers import DrawRecords

SAVED = Path(__file__).resolve().parents[2] / "data/results/study_a/devices.csv"
PRECISIONS = ("float32", "mixed_bfloat16")


def some_records(records, seed=33):
    """Return made-up codes, records x 28: every level equally often."""
    draw = np.random.default_rng(seed)
    return np.column_stack(
        [draw.integers(0, count, records) for count in images.levels()]
    ).astype(np.uint8)


def rate(step, batch, seconds):
    """Return records a second; the first two calls compile and are not counted."""
    for _ in range(2):
        step()
    calls, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        step()
        calls += 1
    return calls * batch / (time.perf_counter() - begin)


def fetch(result):
    """Wait for a result: devices answer before they have computed.

    One number is fetched, so that no picture travels back.
    """
    return float(keras.ops.convert_to_numpy(keras.ops.sum(result)))


def forward(layers, batch, seconds):
    """Return the rate of a compiled forward pass from codes to one number."""
    codes = some_records(batch)
    inputs = keras.Input((codes.shape[1],), dtype="uint8")
    total = keras.layers.GlobalAveragePooling2D(dtype="float32")(layers(inputs))
    model = keras.Model(inputs, total)
    model.compile(jit_compile=devices.use_xla())
    return rate(lambda: model.predict_on_batch(codes), batch, seconds)


class _policy:
    """Keras' precision for everything that is built in the block."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_):
        keras.config.set_dtype_policy(self.before)


def bench_draw(batch, seconds, precision):
    """Return (rate, multiply-adds) of drawing."""
    kind = "float32" if precision == "float32" else "bfloat16"
    return forward(DrawRecords("general", dtype=kind), batch, seconds), 0


def bench_base(name, batch, seconds, precision):
    """Return (rate, multiply-adds) of a frozen base on drawn pictures."""
    with _policy(precision):
        base = backbones.base(name, weights="random")
        draw = DrawRecords("general", channels=3)
        found = forward(lambda codes: base.model(draw(codes)), batch, seconds)
    return found, base.multiply_adds


def bench_scratch(blocks, batch, seconds, precision):
    """Return (rate, multiply-adds of a forward pass) of a training step."""
    with _policy(precision):
        network = architectures.published_network(
            images.TextImage("general"), preprocessing="unit", blocks=blocks
        )
    network.compile("adam", training.loss(), jit_compile=devices.use_xla())
    codes = some_records(batch)
    completed = (np.arange(batch) % 2).astype("float32").reshape(-1, 1)
    found = rate(lambda: network.train_on_batch(codes, completed), batch, seconds)
    return found, flops.multiply_adds(network)


WORK = {
    "draw": ("drawing", bench_draw),
    "resnet50": (
        "ResNet50, features (random weights)",
        lambda *given: bench_base("resnet50", *given),
    ),
    "lite": (
        "EfficientNet-Lite0, features (random weights)",
        lambda *given: bench_base("efficientnet-lite0", *given),
    ),
    "scratch": (
        "network from scratch, training",
        lambda *given: bench_scratch("plain", *given),
    ),
    "atlas": (
        "network from scratch, training on the atlas",
        lambda *given: bench_scratch("atlas", *given),
    ),
}


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5, help="of each row")
    parser.add_argument("--batch", type=int, default=None, help="records (256; CPU 32)")
    parser.add_argument("--save", action="store_true", help=f"into {SAVED.name}")
    parser.add_argument("--only", nargs="+", choices=WORK, default=list(WORK))
    given = parser.parse_args()
    device = book.device()
    gpu = devices.has_gpu()
    batch = given.batch or (256 if gpu else 32)
    print(f"{device}\n")
    rows = []
    for key in given.only:
        words, bench = WORK[key]
        # Sixteen bits are for graphics cards: a processor only pretends.
        for precision in PRECISIONS if gpu else PRECISIONS[:1]:
            try:
                found, work = bench(batch, given.seconds, precision)
            except Exception as error:  # one row fails: the others are still wanted
                print(f"{words}, {precision}: {type(error).__name__}: {error}"[:300])
                continue
            rows.append(
                {
                    "device": device,
                    "gpu": gpu,
                    "backend": keras.backend.backend(),
                    "work": words,
                    "precision": precision,
                    "batch": batch,
                    "records_per_second": round(found, 1),
                    "gigamacs_per_second": round(found * work / 1e9, 1),
                    "date": datetime.date.today().isoformat(),
                }
            )
            print(f"{words}, {precision}: {found:,.0f} records/s")
    table = pd.DataFrame(rows)
    if given.save and len(table):
        SAVED.parent.mkdir(parents=True, exist_ok=True)
        if SAVED.exists():
            kept = pd.read_csv(SAVED)
            again = kept["device"].eq(device) & kept["work"].isin(table["work"])
            table = pd.concat([kept[~again], table])
        table.to_csv(SAVED, index=False)
        print(f"\nsaved: {SAVED.name}, {len(table)} rows")


if __name__ == "__main__":
    main()
