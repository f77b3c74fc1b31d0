"""Count the lines of code of the library: no comments, docstrings or blank lines."""

import argparse
import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT,
    tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


def count(source):
    """Return in how many lines of a Python source there is code."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            words = node.body[0]
            lines.difference_update(range(words.lineno, words.end_lineno + 1))
    return len(lines)


def by_room(folder):
    """Return the lines of code of each room of a folder, the largest first."""
    rooms = Counter()
    for path in sorted(folder.rglob("*.py")):
        room = path.relative_to(folder).parts[0]
        rooms[room] += count(path.read_text(encoding="utf-8"))
    return dict(rooms.most_common())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "sudlib")
    folder = parser.parse_args().folder
    if not folder.is_dir():
        parser.error(f"there is no folder {str(folder)!r}")
    sizes = by_room(folder)
    for name, number in (sizes | {"all": sum(sizes.values())}).items():
        print(f"{number:7,}  {name}")
