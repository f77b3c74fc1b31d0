"""Record what pages compute at full size, which takes minutes to hours.

    python tools/record_paper.py _build/paper/results/b02_balancing.json ...

Takes result files of ``make book PROFILE=paper`` and writes
``data/results/paper/NAME.json``: claims with intervals, the numbers that its sentences
say, what stands at its top, and where it was computed.  No table and no row; texts
longer than a phrase are left out, since one may describe a record.  A page that is
recorded again takes the place of the one before; the others stay.
"""

import argparse
import json
import sys
from pathlib import Path

import sources

from sudlib import book
from sudlib.files import InputError

#: Longer texts are sentences of their own, or a record in words.
LONGEST = 100
#: Bytes of one page.
LARGEST = 30_000
HEADLINES = sources.DATA / "claims" / "headlines.csv"
#: What is kept of a claim, and of the data it was computed on.
CLAIM = ("key", "arm", "value", "low", "high", "n", "note", "synthetic", "data")
CLAIM += ("years", "size", "seed")
#: What all claims of a page may share.
SHARED = tuple(k for k in CLAIM if k not in ("key", "value", "low", "high"))
DATA = ("data", "years", "synthetic", "origin", "sha256", "rows_in_file")


def glance_of(executed):
    """Return what an executed page says at its top, or "" where it says nothing there.

    Parameters
    ----------
    executed : pathlib.Path
        The executed copy of a notebook.
    """
    for cell in json.loads(executed.read_text("utf-8"))["cells"]:
        if 'run.place("glance")' in "".join(cell["source"]):
            for output in cell["outputs"]:
                text = "".join(output.get("data", {}).get("text/markdown", ""))
                if "**At a glance.**" in text:
                    return text.replace("**At a glance.**", "").strip()
    return ""


def shortened(result, glance):
    """Return what is recorded of a result.

    Parameters
    ----------
    result : dict
        As ``run.finish()`` wrote it.
    glance : str
        From :func:`glance_of`.

    Raises
    ------
    InputError
        If it was not computed at paper size, or on records that are not made up and
        whose hash is not known; or if what is left is still large.
    """
    name, stamp = result["notebook"], result["stamp"]
    size = stamp["parameters"].get("size")
    if size != "paper":
        raise InputError(f'{name} must have run with size = "paper", not {size!r}')
    if any(used.get("origin") == "unverified" for used in stamp["data"]):
        raise InputError(f"{name} ran on records that are not verified: not recorded")
    if "uncommitted" in (stamp["commit"] or "unknown"):
        raise InputError(f"{name} ran {stamp['commit']}: commit, and run it again")
    used = [{k: each.get(k) for k in DATA} for each in stamp["data"]]
    # A page that draws one kind of people in each repeat has used one kind of data.
    used = [each for place, each in enumerate(used) if each not in used[:place]]
    kept = {
        "notebook": name,
        "stamp": {**stamp, "data": used},
        "values": {
            key: text
            for key, text in result["values"].items()
            if len(text) <= LONGEST and "example" not in key
        },
        "glance": glance,
        "tables": {},
    }
    kept |= claims_of(result["claims"], LARGEST - len(as_text(kept | {"claims": []})))
    length = len(as_text(kept))
    if length > LARGEST:
        raise InputError(
            f"{name} would take {length:,} bytes, more than the {LARGEST:,} of a page"
        )
    return kept


def claims_of(claims, room):
    """Return the claims that are kept: what all share once, those that fit, the rest.

    Claims that a study rests on come first, then those with an interval, then the
    others as the page made them.

    Parameters
    ----------
    claims : list of dict
    room : int
        Bytes there are.
    """
    headlines = {row["key"] for row in sources.read_rows(HEADLINES)}
    plain = [{k: rounded(claim.get(k)) for k in CLAIM} for claim in claims]
    common = (
        {k: plain[0][k] for k in SHARED if all(c[k] == plain[0][k] for c in plain)}
        if plain
        else {}
    )
    short = [
        {k: v for k, v in claim.items() if v is not None and k not in common}
        for claim in plain
    ]
    order = sorted(
        range(len(short)),
        key=lambda n: (short[n]["key"] not in headlines, "low" not in short[n], n),
    )
    room -= len(json.dumps(common)) + 100
    chosen = []
    for n in order:
        room -= len(json.dumps(short[n])) + 4
        if room < 0:
            break
        chosen.append(n)
    return {
        "common": common,
        "claims": [short[n] for n in sorted(chosen)],
        "claims_left_out": len(short) - len(chosen),
    }


def rounded(value):
    """Return a float with six significant digits, and anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def as_text(kept):
    """Return what is recorded as JSON, one line a claim."""
    claims = ",\n".join(f"  {json.dumps(claim)}" for claim in kept["claims"])
    text = json.dumps({**kept, "claims": None}, indent=1)
    return text.replace('"claims": null', f'"claims": [\n{claims}\n ]') + "\n"


def record(path, folder):
    """Write what is recorded of one result file; return the file made.

    Parameters
    ----------
    path : pathlib.Path
        ``<build>/results/NAME.json``; the executed page stands in
        ``<build>/executed``.
    folder : pathlib.Path
        Where to.
    """
    result = book.read_result(path)
    executed = path.parent.parent / "executed" / f"{result['notebook']}.ipynb"
    glance = glance_of(executed) if executed.exists() else ""
    made, text = (
        folder / f"{result['notebook']}.json",
        as_text(shortened(result, glance)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    made.write_text(text, encoding="utf-8")
    return made


def main(words=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, default=sources.DATA / "results/paper")
    given = parser.parse_args(words)
    for path in given.results:
        made = record(path, given.to)
        sys.stdout.write(f"{made.name}: {made.stat().st_size:,} bytes\n")
    return 0


if __name__ == "__main__":
    sources.run(main)
