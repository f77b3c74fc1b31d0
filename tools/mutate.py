"""Which small slips in a room would its tests not notice?  Run on request.

Each mutant is the library with one slip in it, drawn at random: a sign turned round, a
bound moved by one, ``any`` for ``all``, another axis, a condition negated, a statement
left out.  The room's tests run on a copy of the checkout; a mutant that passes them has
survived.  Some survivors are equal in effect to what they replace: read each one.

    python tools/mutate.py fairness --number 50 --seed 1
    python tools/mutate.py book --files claims verdicts --tests test_book_claims
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Pow: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
NAMES = {"any": "all", "min": "max", "argmin": "argmax", "low": "high", "ceil": "floor"}
NAMES |= {"nanmin": "nanmax", "first": "last", "cumsum": "cumprod", "log": "exp"}
NAMES |= {other: name for name, other in NAMES.items()}


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that compute: no annotation, import, message or ``__all__``."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Raise):
        return
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from parts(child)


def slips(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Yield (field, new value) for each slip that one node allows."""
    for field in ("op", "ops"):
        value = getattr(node, field, None)
        operator = value[0] if isinstance(value, list) else value
        if type(operator) in OPERATORS:
            new = OPERATORS[type(operator)]()
            yield field, [new, *value[1:]] if isinstance(value, list) else new
    if isinstance(node, ast.Constant) and type(node.value) in (bool, int, float):
        changed = not node.value if isinstance(node.value, bool) else node.value + 1
        yield "value", changed
    if isinstance(node, ast.Name) and node.id in NAMES:
        yield "id", NAMES[node.id]
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield "attr", NAMES[node.attr]
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "test", ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, ast.comprehension) and node.ifs:
        yield "ifs", node.ifs[1:]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "op", ast.UAdd()
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "operand", ast.UnaryOp(ast.Not(), node.operand)
    if isinstance(node, ast.Slice) and node.lower is not None:
        yield "lower", None
    body = getattr(node, "body", None)
    for index, line in enumerate(body if isinstance(body, list) else []):
        call = isinstance(line, ast.Expr) and isinstance(line.value, ast.Call)
        if call or isinstance(line, ast.AugAssign | ast.Continue):
            yield "body", [*body[:index], ast.Pass(), *body[index + 1 :]]


def mutants(path: Path) -> list[tuple[int, str, str, str]]:
    """Return (line, old, new, whole source) of every slip in one file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in list(parts(tree)):
        old = ast.unparse(node)
        for field, value in slips(node):
            kept = getattr(node, field)
            setattr(node, field, value)
            mutant = ast.fix_missing_locations(copy.deepcopy(tree))
            new = ast.unparse(node)
            setattr(node, field, kept)
            place = getattr(node, "lineno", 0)
            found.append((place, old, new, ast.unparse(mutant)))
    return found


def copy_checkout(folder: Path) -> None:
    """Copy what tests can change and link what they only read."""
    for path in ROOT.iterdir():
        if path.name in ("sudlib", "tests", "workflow", "tools"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, folder / path.name, ignore=ignore)
        elif path.name not in (".git", "_build", ".pytest_cache", ".hypothesis"):
            (folder / path.name).symlink_to(path)
    # A checkout of its own, so that what is stamped with a commit has one.
    author = ["-c", "user.name=mutate", "-c", "user.email=mutate@localhost"]
    for words in (
        ["init", "-q"],
        [*author, "commit", "-q", "--allow-empty", "-m", "0"],
    ):
        subprocess.run(["git", "-C", folder, *words], check=True)


def passes(folder: Path, tests: list[str], limit: float, *, loud: bool = False) -> bool:
    """Return whether the tests pass on the copy within a limit of seconds."""
    words = ["-x", "-q", "--no-header", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "HYPOTHESIS_DATABASE": ""}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words, *tests],
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return False
    if loud and done.returncode:
        sys.exit(f"the tests fail before anything is changed:\n{done.stdout.decode()}")
    return done.returncode == 0


def short(text: str) -> str:
    """Return a text on one line, at most 100 characters of it."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."


def differing(old: str, new: str) -> tuple[str, str]:
    """Return the lines in which two texts differ, shortened."""
    pairs = zip(old.splitlines(), new.splitlines(), strict=False)
    for one, other in pairs:
        if one != other:
            return short(one), short(other)
    return short(old), short(new)


def main(words: list[str] | None = None) -> int:
    """Run the command line; return 1 if a mutant survived."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("room", help="a wing or single room: fairness, scores ...")
    parser.add_argument("--files", nargs="*", help="only these modules of a wing")
    parser.add_argument("--tests", nargs="*", help="names of test files")
    parser.add_argument("--number", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(words)
    room = ROOT / "sudlib" / given.room
    files = sorted(room.rglob("*.py")) if room.is_dir() else [room.with_suffix(".py")]
    if not all(path.is_file() for path in files):
        parser.error(f"there is no room {given.room!r} in sudlib")
    if given.files:
        unknown = {*given.files} - {path.stem for path in files}
        if unknown:
            parser.error(f"{given.room} has no module {', '.join(sorted(unknown))}")
        files = [path for path in files if path.stem in given.files]
    if given.number < 1:
        parser.error(f"--number must be from 1 up, not {given.number}")
    tests = [f"tests/{name}.py" for name in given.tests or []] or [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").glob(f"test_{given.room}*.py"))
    ]
    if not tests:
        parser.error(f"no test is named for {given.room}: say which with --tests")
    every = [(path, *mutant) for path in files for mutant in mutants(path)]
    chosen = random.Random(given.seed).sample(every, min(given.number, len(every)))
    print(f"{len(chosen)} of {len(every)} mutants, tests: {' '.join(tests)}")
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="mutants") as name:
        folder = Path(name)
        copy_checkout(folder)
        start = time.perf_counter()
        passes(folder, tests, 3600, loud=True)
        limit = 30 + 3 * (time.perf_counter() - start)
        for path, line, old, new, source in sorted(chosen, key=lambda each: each[:2]):
            target = folder / path.relative_to(ROOT)
            kept = target.read_text(encoding="utf-8")
            target.write_text(source, encoding="utf-8")
            if passes(folder, tests, limit):
                survivors += 1
                one, other = differing(old, new)
                print(f"{path.relative_to(ROOT)}:{line}\n  - {one}\n  + {other}")
                sys.stdout.flush()
            target.write_text(kept, encoding="utf-8")
    print(f"{survivors} of {len(chosen)} survived ({survivors / len(chosen):.0%})")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
