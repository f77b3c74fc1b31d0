"""Run the benchmarks and keep what they print, for the page *How fast is it?*.

    python tools/run_benchmarks.py [NAME ...] [--minutes 10]

Every benchmark stands beside its honest peer in one run and prints seconds or rates,
memory and ratios.  What it prints is kept in ``data/results/benchmarks/NAME.txt`` below
three lines of provenance: the question, the command, and when and where it ran.  A
benchmark that stops or takes too long leaves its earlier record as it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "tests" / "benchmarks"
KEPT = ROOT / "data" / "results" / "benchmarks"

#: Name, the question it answers, and its arguments; the devices have a table by
#: themselves.
BENCHMARKS = {
    "read_teds": ("How fast is a year of TEDS-D read?", ["--repeats", "3"]),
    "archive": ("How fast are all years counted?", []),
    "twin": ("How fast is a made-up year drawn?", []),
    "images": ("How fast are records drawn as pictures?", []),
    "forests": ("What do forests, boosting and intervals cost?", []),
    "smoten": ("How fast is balancing?", []),
    "fairness": ("What do intervals of group measures cost?", []),
    "oklahoma_models": ("What do study B's kernels cost?", []),
    "policy": ("What do study C's fits cost?", ["--repeats", "2"]),
    "memory": ("What does it cost to fetch memory again and again?", []),
    "networks": ("What do the networks of study A cost?", ["--backends", "tensorflow"]),
}


def processor() -> str:
    """Return the processor's name, as the machine tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            line.split(":")[1].strip() for line in lines if "model name" in line
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def run(name: str, minutes: float) -> str:
    """Run one benchmark; return why it failed, or an empty text."""
    question, words = BENCHMARKS[name]
    script = SCRIPTS / f"bench_{name}.py"
    command = " ".join(["python", str(script.relative_to(ROOT)), *words])
    load = os.getloadavg()[0]
    # A peer outside the book's environment (polars) may stand on the reader's own path.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable, str(script), *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            timeout=60 * minutes,
        )
    except subprocess.TimeoutExpired:
        return f"took more than {minutes:g} minutes"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["stopped without a word"])[-1]
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    where = f"{os.cpu_count()} cores, {processor()}, load {load:.1f} at the start"
    KEPT.mkdir(parents=True, exist_ok=True)
    text = "\n".join([question, command, f"{when}; {where}", "", done.stdout.strip()])
    (KEPT / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    return ""


def main() -> None:
    """Run those that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--minutes", type=float, default=10, help="at most, for each")
    given = parser.parse_args()
    if not 0 < given.minutes <= 1440:
        parser.error(f"--minutes must be above 0, at most 1440, not {given.minutes}")
    unknown = sorted({*given.names} - {*BENCHMARKS})
    if unknown:
        sys.exit(
            f"there is no benchmark {', '.join(unknown)}; there are"
            f" {', '.join(BENCHMARKS)}"
        )
    failed = False
    for name in given.names or BENCHMARKS:
        print(f"{name} …", flush=True)
        why = run(name, given.minutes)
        failed |= bool(why)
        if why:
            print(f"  not kept: {why}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
