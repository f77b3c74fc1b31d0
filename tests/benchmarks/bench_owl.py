"""The study's fits as one batched computation against a plain loop of Keras models.

    python tests/benchmarks/bench_owl.py
    python tests/benchmarks/bench_owl.py --repeats 5 --steps 2000

The same data, the same start, the same rows in each step, side by side in one run:
repeats x penalty strengths x {DNN-simple, DNN-1hdd}.  Three ways:

* plain Keras: one model a fit, built, compiled and trained with ``model.fit``;
* ``engine="numpy"``: all fits of a kind stacked;
* ``engine="keras"``: the same stack inside one compiled loop, with and without XLA.

Times are processor seconds of this process (a shared machine does not change them
much) and wall seconds.  Nothing is asserted.

Equal within float error?  Rounding decides now and then on which side of a kink (of
the hinge, of ReLU) a row falls; from there paths part, and with a hidden layer the
weights end apart although most decisions are the same.  In double precision it comes
later, but over 2,000 steps it comes too: the largest and the median difference of any
weight after all steps are printed, for both precisions.
"""

import argparse
import time
from functools import partial

import numpy as np

from sudlib.owl import STRENGTHS, batched, losses, simulation, weights


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
        share = weights.estimate_propensity(people.X, people.A)
        _, w = weights.outcome_weights(people.X, people.A, people.outcome, share)
        parts.append((people.X, people.A.astype("f4"), w.astype("f4")))
    return [np.stack(part) for part in zip(*parts, strict=True)]


def plain_keras(X, A, w, hidden, start, order, shape):
    """Return the weights of one Keras model a fit, trained one after another."""
    import keras

    chosen, found = order.ravel(), np.empty_like(start)
    dtype = keras.config.floatx()
    # In double precision Keras must not round the number; in single it wants Python's.
    number = np.float64 if dtype == "float64" else float
    X, A, w = (array.astype(dtype) for array in (X, A, w))
    for repeat, place in np.ndindex(start.shape[:2]):
        penalty = keras.regularizers.L1(number(STRENGTHS[place]))
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
        pairs = shape.layers(np, start[repeat, place])
        model.set_weights([p for pair in pairs for p in (pair[0], pair[1][0])])
        model.compile(
            keras.optimizers.Adam(number(0.01), number(0.9), number(0.999)), "hinge"
        )
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


def stacked(X, A, w, hidden, start, order, shape, engine, dtype="float32"):
    """Return the weights of all fits, trained as one computation."""
    return batched.train(
        X,
        (A[:, None], w[:, None]),
        losses.WeightedHamming("hinge", 1, A.shape[-1]),
        hidden=hidden,
        outputs=A.shape[-1],
        strengths=STRENGTHS,
        steps=len(order),
        start=start,
        order=order,
        engine=engine,
        dtype=dtype,
    ).flat


def decisions(shape, flat, X):
    """Return what each fit recommends to everybody it learnt from."""
    return batched.Networks(shape, flat).outputs(X) > 0


def without_xla(work):
    """Run with the compiled loop as a plain graph."""
    kept = batched.compiled
    batched.compiled = lambda function: kept(function, xla=False)
    try:
        return work()
    finally:
        batched.compiled = kept


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--no-keras-engine", action="store_true")
    asked = parser.parse_args()
    import keras

    X, A, w = problem(asked.repeats, asked.size)
    fits = asked.repeats * len(STRENGTHS)
    print(f"Keras on {keras.backend.backend()}, {asked.steps} steps of 100 rows")
    total = {}
    for name, hidden in {"DNN-simple": (), "DNN-1hdd": (45,)}.items():
        shape = batched.Shape((X.shape[-1], *hidden, A.shape[-1]))
        generator = np.random.default_rng(0)
        start = shape.initial(generator, (asked.repeats, len(STRENGTHS)))
        order = batched.batches(generator, X.shape[1], 100, asked.steps)

        task = X, A, w, hidden, start, order, shape
        ways = {
            "plain Keras loop": partial(plain_keras, *task),
            "batched, numpy": partial(stacked, *task, engine="numpy"),
        }
        if not asked.no_keras_engine:
            compiled = partial(stacked, *task, engine="keras")
            ways["batched, Keras compiled by XLA"] = compiled
            ways["batched, Keras without XLA"] = partial(without_xla, compiled)
        plain = None
        for way, work in ways.items():
            found, cpu, wall = clock(work)
            plain = found if plain is None else plain
            total.setdefault(way, np.zeros(2))
            total[way] += cpu, wall
            same = decisions(shape, found, X) == decisions(shape, plain, X)
            print(
                f"{name}, {fits} fits, {way}: {cpu:.2f} s of processor, {wall:.2f} s;"
                f" {1000 * cpu / fits:.0f} ms a fit; {same.mean():.2%} of all decisions"
                " as in the loop",
                flush=True,
            )
        for dtype in ("float32", "float64"):
            keras.config.set_floatx(dtype)
            keras.config.set_dtype_policy(dtype)
            few = X[:1], A[:1], w[:1], hidden, start[:1].astype(dtype), order, shape
            gap = np.abs(plain_keras(*few) - stacked(*few, "numpy", dtype))
            print(
                f"{name}, {dtype}: weights after {len(order)} steps differ by"
                f" {np.median(gap):.1e} (median), {gap.max():.1e} (largest)",
                flush=True,
            )
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    base = total["plain Keras loop"]
    for way, (cpu, wall) in total.items():
        print(
            f"{way}: {base[0] / cpu:.0f} times as fast by processor time,"
            f" {base[1] / wall:.0f} times by wall time"
        )


if __name__ == "__main__":
    main()
