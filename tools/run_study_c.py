"""Run the simulation study of Liang, Ye and Fu in full, in shards, and merge them.

    python tools/run_study_c.py --folder _build/study_c              # all of it
    python tools/run_study_c.py --folder _build/study_c --size 200 --setting right
    python tools/run_study_c.py --folder _build/study_c --merge      # only merge
    python tools/run_study_c.py --folder _build/study_c --gpu --block 100
    python tools/run_study_c.py --folder _build/study_c --scheduler tcp://host:8786

A shard whose repeats are there already is not run again, so a stopped run goes on;
several of these may share a folder, on one machine or on many.  Merging writes
``scores.csv.gz`` and ``provenance.json`` to ``--out`` (by default data/results/study_c,
what the book shows).
"""

import argparse
import datetime
import gzip
import io
import json
import os
import sys
import time
from pathlib import Path

import pandas as pd

from sudlib import book, parallel
from sudlib.files import InputError, sha256
from sudlib.policy import multiverse, simulation_study
from sudlib.policy.batched import choose_engine
from sudlib.policy.simulation import SETTINGS, SIZES
from sudlib.policy.simulation_study import REPEATS, SEED, TREATMENTS

ROOT = Path(__file__).resolve().parent.parent

#: People of all repeats that are trained as one computation, at most.
AT_ONCE = 100_000


def shards(settings=tuple(SETTINGS), sizes=SIZES, repeats=REPEATS, block=10):
    """Return the shards of a study, (setting, size, first repeat, number of repeats).

    The first five repeats of every size come first, then the cheap sizes, so that a
    stopped study shows all sizes and is whole where it got to.
    """
    plan = [
        (setting, size, first, min(block, repeats - first))
        for size in sizes
        for first in range(0, repeats, block)
        for setting in settings
    ]
    return sorted(plan, key=lambda shard: shard[2] >= 5)


def shard_name(setting, size, first, number):
    """Return the name of a shard's file.

    Examples
    --------
    >>> shard_name("right", 200, 10, 10)
    'right_n200_r010-019.csv'
    """
    return f"{setting}_n{size}_r{first:03d}-{first + number - 1:03d}.csv"


def repeats_of(name):
    """Return the (setting, size, repeat) that a shard's file holds, from its name.

    Examples
    --------
    >>> sorted(repeats_of("wrong_n200_r010-011.csv"))
    [('wrong', 200, 10), ('wrong', 200, 11)]
    """
    setting, size, span = name.removesuffix(".csv").split("_")
    first, last = (int(number) for number in span[1:].split("-"))
    return {(setting, int(size[1:]), repeat) for repeat in range(first, last + 1)}


def blocks(size, first, number, at_once=None):
    """Yield the repeats of a shard that are trained as one computation."""
    at_once = at_once or max(1, AT_ONCE // (size * TREATMENTS))
    for begin in range(first, first + number, at_once):
        yield range(begin, min(begin + at_once, first + number))


def run_shard(setting, size, first, number, *, seed=SEED, progress=None, at_once=None):
    """Return the scores of several repeats, some of them trained at once.

    ``at_once`` is how many; by default as many as keep to :data:`AT_ONCE` people.
    """
    frames = []
    for block in blocks(size, first, number, at_once):
        frames.append(simulation_study.run_repeats(setting, size, block, seed=seed))
        for repeat in block if progress else ():
            progress(setting, size, repeat)
    return pd.concat(frames, ignore_index=True)


def parse(words=None):
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / "study_c")
    parser.add_argument("--out", type=Path, default=ROOT / "data/results/study_c")
    parser.add_argument("--setting", choices=tuple(SETTINGS), action="append")
    parser.add_argument("--size", type=int, choices=SIZES, action="append")
    parser.add_argument("--repeats", type=int, default=simulation_study.REPEATS)
    parser.add_argument("--block", type=int, default=10, help="repeats in a shard")
    parser.add_argument(
        "--at-once",
        type=int,
        metavar="N",
        help="repeats trained as one computation (with --gpu: the whole shard)",
    )
    parser.add_argument(
        "--gpu", action="store_true", help="train with Keras on the GPU that it sees"
    )
    parser.add_argument(
        "--scheduler", metavar="tcp://HOST:PORT", help="share each shard on a cluster"
    )
    parser.add_argument("--seed", type=int, default=simulation_study.SEED)
    parser.add_argument("--shard", help="only this one, by the name of its file")
    parser.add_argument("--list", action="store_true", help="name the shards and stop")
    parser.add_argument("--merge", action="store_true", help="only merge what is there")
    parser.add_argument(
        "--choices", type=int, metavar="N", help="run N repeats of every choice"
    )
    parser.add_argument("--no-merge", action="store_true", help="only run")
    return parser.parse_args(words)


def write_whole(path, text):
    """Write a file under another name first, so that no half a shard is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    other = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    other.write_text(text, encoding="utf-8")
    other.replace(path)


def run(plan, folder, seed, at_once=None):
    """Run every shard that is not there yet."""
    began, there = time.perf_counter(), set()
    for path in folder.glob("*_n*_r*.csv"):
        there |= repeats_of(path.name)
    todo = [shard for shard in plan if repeats_of(shard_name(*shard)) - there]
    print(f"{len(plan) - len(todo)} of {len(plan)} shards are there already")
    total = sum(shard[3] for shard in todo)
    done = 0

    def progress(setting, size, repeat):
        nonlocal done
        done += 1
        minutes = (time.perf_counter() - began) / 60
        print(
            f"{setting} n={size} repeat {repeat}: {done} of {total},"
            f" {minutes:.1f} minutes",
            flush=True,
        )

    for shard in todo:
        cpu, wall = time.process_time(), time.perf_counter()
        scores = run_shard(*shard, seed=seed, progress=progress, at_once=at_once)
        target = folder / shard_name(*shard)
        write_whole(target, scores.to_csv(index=False, float_format="%.8g"))
        note = {
            "shard": target.name,
            "seed": seed,
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "wall_seconds": round(time.perf_counter() - wall, 2),
            "commit": book.git_commit(),
            "versions": book.versions(),
            "device": book.device(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        }
        write_whole(target.with_suffix(".json"), json.dumps(note, indent=1) + "\n")


def run_choices(repeats, out, seed):
    """Run the choices of notebook c04 and write their scores after every repeat.

    The naive rule's at every size of both settings, with a quarter of the repeats; all
    of them at 200 people per treatment, and at 1,000 with a quarter.
    """
    some = max(1, repeats // 4)
    cells = [(setting, size) for setting in SETTINGS for size in SIZES]
    plan = [(multiverse.NAIVE, ("naive",), *cell, some) for cell in cells]
    plan += [
        (tuple(multiverse.CHOICES), None, "right", 200, repeats),
        (tuple(multiverse.CHOICES), None, "right", 1000, some),
    ]
    key = ["choice", "setting", "n_train", "repeat", "method"]
    frames = []
    for names, methods, setting, size, number in plan:
        for part in blocks(size, 0, number):
            scores = multiverse.run_choices(
                names, size, part, methods=methods, setting=setting, seed=seed
            )
            frames.append(scores)
            print(f"choices: {setting} n={size}, {part.stop} of {number}", flush=True)
            table = pd.concat(frames, ignore_index=True).drop_duplicates(key)
            pack(table, out / "choices.csv.gz")


def pack(table, target):
    """Write a table as compressed CSV; the same table gives the same file."""
    buffer = io.BytesIO()
    # no time and no name inside
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0) as packed:
        packed.write(table.to_csv(index=False, float_format="%.8g").encode())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(buffer.getvalue())


def merge(folder, out):
    """Merge all shards of a folder, and say where they came from."""
    paths = sorted(folder.glob("*_n*_r*.csv"))
    if not paths:
        raise InputError(f"no shards in {folder}; run them first")
    table = simulation_study.merge(pd.read_csv(path) for path in paths)
    target = out / "scores.csv.gz"
    pack(table, target)
    notes = [json.loads(path.with_suffix(".json").read_text()) for path in paths]
    counts = table.groupby(["setting", "n_train"])["repeat"].nunique()
    stamp = {
        "what": "simulation study of Liang, Ye and Fu, sections 6.1 and 6.2",
        "command": "python tools/run_study_c.py",
        "sha256": sha256(target),
        "repeats": {
            f"{setting}, {size}": int(n) for (setting, size), n in counts.items()
        },
        "cpu_minutes": round(sum(note["cpu_seconds"] for note in notes) / 60, 2),
        **{
            name: sorted({json.dumps(note[name]) for note in notes})
            for name in ("seed", "commit", "versions", "device")
        },
        "first": min(note["date"] for note in notes),
        "last": max(note["date"] for note in notes),
        "shards": len(paths),
    }
    for name in ("seed", "commit", "versions", "device"):
        stamp[name] = [json.loads(text) for text in stamp[name]]
    write_whole(out / "provenance.json", json.dumps(stamp, indent=1) + "\n")
    print(f"{len(table)} rows of {len(paths)} shards; {stamp['repeats']}")


def main(words=None):
    """Run what the arguments ask for; return the exit status."""
    asked = parse(words)
    if asked.at_once is not None and asked.at_once < 1:
        print(f"--at-once must be 1 or more, not {asked.at_once}", file=sys.stderr)
        return 2
    if asked.gpu:
        import keras  # loaded, it is what engine="auto" takes when there is a GPU

        if choose_engine("auto") != "keras":
            print(
                f"Keras on {keras.backend.backend()} sees no GPU; set KERAS_BACKEND to"
                " one that does, or leave --gpu out",
                file=sys.stderr,
            )
            return 2
        asked.at_once = asked.at_once or asked.block
    if asked.scheduler:
        asked.at_once = asked.at_once or asked.block
        try:
            parallel.use(asked.scheduler)
        except InputError as error:
            print(error, file=sys.stderr)
            return 2
    plan = shards(
        tuple(asked.setting or SETTINGS),
        tuple(asked.size or SIZES),
        asked.repeats,
        asked.block,
    )
    if asked.shard:
        plan = [shard for shard in plan if shard_name(*shard) == asked.shard]
        if not plan:
            print(f"no shard is named {asked.shard}; see --list", file=sys.stderr)
            return 2
    if asked.list:
        print("\n".join(shard_name(*shard) for shard in plan))
        return 0
    if asked.choices:
        run_choices(asked.choices, asked.out, asked.seed)
        return 0
    try:
        if not asked.merge:
            run(plan, asked.folder, asked.seed, asked.at_once)
        if not asked.shard and not asked.no_merge:
            merge(asked.folder, asked.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
