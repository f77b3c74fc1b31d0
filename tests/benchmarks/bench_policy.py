"""The study's fits as one batched computation against a plain loop of Keras models.

    python tests/benchmarks/bench_policy.py
    python tests/benchmarks/bench_policy.py --repeats 2 --keras-engine
    python tests/benchmarks/bench_policy.py --save        # what notebook c02 shows

The same data, the same start, the same rows in each step, side by side in one run:
repeats x penalty strengths x {DNN-simple, DNN-1hdd}.  The ways:

* plain Keras: one model a fit, built, compiled and trained with ``model.fit``;
* ``engine="numpy"``: all fits of a kind stacked;
* with ``--keras-engine`` also the same stack inside one compiled loop, with and without
  XLA.

Times are processor seconds of this process (a shared machine does not change them
much) and wall seconds.  Nothing is asserted.

Equal within float error?  After few steps yes.  Then rounding decides now and then on
which side of a kink (of the hinge, of ReLU) a row falls, and paths part.  How far they
part by rounding alone is measured beside it: the plain loop against itself, from a
start whose weights are moved by one unit in the last place.
"""

import argparse
import datetime
import json
import time
from functools import partial
from pathlib import Path

import numpy as np

from sudlib import book, policy
from sudlib.policy import STUDY_ALPHAS, batched, losses, optimisers, simulation

KEPT = Path(__file__).resolve().parents[2] / "data/results/study_c/benchmark.json"


def clock(work):
    """Return what ``work`` returns, its processor seconds and its wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return found, time.process_time() - cpu, time.perf_counter() - wall


def problem(repeats, size):
    """Return the data of every repeat: X, A and weights, (repeats, n, .)."""
    parts = []
    for repeat in range(repeats):
        world = simulation.draw_truth("right", [33, repeat])
        people = simulation.draw(world, 5 * size, [33, repeat, 1])
        share = policy.estimate_propensity(people.X, people.A)
        _, w = policy.outcome_weights(people.X, people.A, people.outcome, share)
        parts.append((people.X, people.A.astype("f4"), w.astype("f4")))
    return [np.stack(part) for part in zip(*parts, strict=True)]


def plain_keras(X, A, w, hidden, start, order, shape):
    """Return the weights of one Keras model a fit, trained one after another."""
    import keras

    chosen, found = order.ravel(), np.empty_like(start)
    for repeat, place in np.ndindex(start.shape[:2]):
        penalty = keras.regularizers.L1(STUDY_ALPHAS[place])
        layers = [
            keras.layers.Dense(width, "relu", kernel_regularizer=penalty)
            for width in hidden
        ]
        model = keras.Sequential(
            [
                keras.Input((X.shape[-1],)),
                *layers,
                keras.layers.Dense(A.shape[-1], "tanh", kernel_regularizer=penalty),
            ]
        )
        matrices = shape.matrices(np, start[repeat, place])
        model.set_weights([part for m in matrices for part in (m[:-1], m[-1])])
        model.compile(keras.optimizers.Adam(0.01), "hinge")
        model.fit(
            X[repeat][chosen],
            A[repeat][chosen],
            sample_weight=w[repeat][chosen, 0],
            batch_size=order.shape[1],
            shuffle=False,
            verbose=0,
        )
        found[repeat, place] = np.concatenate(
            [part.ravel() for part in model.get_weights()]
        )
    return found


def stacked(X, A, w, hidden, start, order, shape, engine):
    """Return the weights of all fits, trained as one computation."""
    return batched.train(
        X,
        (A[:, None], w[:, None]),
        losses.WeightedHamming("hinge", 1, A.shape[-1]),
        hidden=hidden,
        outputs=A.shape[-1],
        alphas=STUDY_ALPHAS,
        steps=len(order),
        start=start,
        order=order,
        engine=engine,
    ).flat


def decisions(shape, flat, X):
    """Return what each fit recommends to everybody it learned from."""
    return batched.Networks(shape, flat).outputs(X) > 0


def without_xla(work):
    """Run with the compiled loop as a plain graph."""
    kept = optimisers.compiled
    optimisers.compiled = lambda function: kept(function, xla=False)
    try:
        return work()
    finally:
        optimisers.compiled = kept


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--keras-engine", action="store_true")
    parser.add_argument("--save", action="store_true", help=f"write {KEPT.name}")
    asked = parser.parse_args()
    import keras

    X, A, w = problem(asked.repeats, asked.size)
    fits = asked.repeats * len(STUDY_ALPHAS)
    print(
        f"Keras on {keras.backend.backend()}, {asked.steps:,} steps of 100 rows, {fits}"
        f" fits a network\n\n{'':42}{'CPU s':>9}{'wall s':>9}{'CPU ms a fit':>14}"
        f"{'same decisions':>17}"
    )
    total, kept, parted = {}, [], []
    for name, hidden in {"DNN-simple": (), "DNN-1hdd": (45,)}.items():
        shape = batched.Shape((X.shape[-1], *hidden, A.shape[-1]))
        generator = np.random.default_rng(0)
        start = shape.initial(generator, (asked.repeats, len(STUDY_ALPHAS)))
        order = batched.batches(generator, X.shape[1], 100, asked.steps)

        task = X, A, w, hidden, start, order, shape
        ways = {
            "plain Keras loop": partial(plain_keras, *task),
            "batched, numpy": partial(stacked, *task, engine="numpy"),
        }
        if asked.keras_engine:
            compiled = partial(stacked, *task, engine="keras")
            ways["batched, Keras compiled by XLA"] = compiled
            ways["batched, Keras without XLA"] = partial(without_xla, compiled)
        plain = None
        for way, work in ways.items():
            found, cpu, wall = clock(work)
            plain = found if plain is None else plain
            total.setdefault(way, {})[name] = np.array([cpu, wall])
            same = decisions(shape, found, X) == decisions(shape, plain, X)
            print(
                f"{name:11} {way:30}{cpu:9.2f}{wall:9.2f}{1000 * cpu / fits:14.0f}"
                f"{same.mean():17.2%}",
                flush=True,
            )
        first = X[:1], A[:1], w[:1], hidden, start[:1]
        for steps in (10, 100, asked.steps):
            few = order[:steps]
            plain = plain_keras(*first, few, shape)
            moved = (*first[:-1], np.nextafter(first[-1], np.float32(np.inf)))
            gaps = {
                "batched": stacked(*first, few, shape, "numpy") - plain,
                "loop, moved by one bit": plain_keras(*moved, few, shape) - plain,
            }
            for way, gap in gaps.items():
                same = decisions(shape, plain + gap, X[:1]) == decisions(
                    shape, plain, X[:1]
                )
                kept.append(
                    {
                        "network": name,
                        "way": way,
                        "steps": steps,
                        "median_gap": float(np.median(np.abs(gap))),
                        "largest_gap": float(np.abs(gap).max()),
                        "same_decisions": float(same.mean()),
                    }
                )
                row = (len(few), np.median(np.abs(gap)), np.abs(gap).max())
                parted.append(
                    f"{name:11} {way:30}{row[0]:6,}{row[1]:12.1e}{row[2]:12.1e}"
                    f"{same.mean():17.2%}"
                )
    loop, ratios = total["plain Keras loop"], {}
    for way, seconds in total.items():
        both = sum(loop.values()) / sum(seconds.values())
        ratios[way] = {"both": both} | {n: loop[n] / seconds[n] for n in seconds}
    print(f"\n{'times as fast as the loop':42}{'CPU':>9}{'wall':>9}")
    for way in [*total][1:]:
        for name, (cpu, wall) in ratios[way].items():
            print(f"{name:11} {way:30}{cpu:9.0f}{wall:9.0f}")
    print(
        f"\n{'how far weights part from the loop':42}{'steps':>6}{'median':>12}"
        f"{'largest':>12}{'same decisions':>17}"
    )
    print(*parted, sep="\n")
    if asked.save:
        note = {
            "what": "study C's fits as one computation against a plain Keras loop",
            "made_by": "tests/benchmarks/bench_policy.py --save",
            "fits": fits,
            "steps": asked.steps,
            "times_as_fast": {
                name: {"processor": round(cpu, 1), "wall": round(wall, 1)}
                for name, (cpu, wall) in ratios["batched, numpy"].items()
            },
            "agreement": kept,
            "date": datetime.date.today().isoformat(),
            "commit": book.git_commit(),
            "backend": keras.backend.backend(),
            "versions": book.versions(),
            "device": book.device(),
        }
        KEPT.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
