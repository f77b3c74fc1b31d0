"""Read the log of study A's training out of a notebook of its general cohort.

    python tools/make_transfer_log.py [--log scratch_log] [--from FOLDER]

One line of ``data/study_a/transfer_log.csv`` is one epoch of the network with ResNet50,
one of ``scratch_log.csv`` one epoch of the network from scratch, and one of
``pilot_log.csv`` one epoch of the pilot of March 2021, which logged other measures.
"""

import argparse
import json
import re
from pathlib import Path

import sources

EPOCH = re.compile(
    r"Epoch (?P<epoch>\d+)/\d+\s+(?:\S+ \[=*>?\.*\] - )?(?P<seconds>\d+)s\b.*?"
    r" - loss: (?P<loss>[\d.]+).*? - val_loss: (?P<val_loss>[\d.]+)(?P<rest>[^\n]*)"
)
#: The notebook that holds each log, by its name in ``data/sources.csv``.
LOGS = {
    "transfer_log": "study-a-notebook",
    "scratch_log": "study-a-notebook-scratch",
    "pilot_log": "study-a-notebook-pilot",
}
COUNTS = ("true_negatives", "false_positives", "false_negatives", "true_positives")
#: What the pilot logged of its validation set.
SHARES = ("val_auc", "val_binary_accuracy")


def read_log(notebook, measures):
    """Return the epochs logged in a notebook's outputs, a dictionary each."""
    text = "".join(
        "".join(output.get("text", []))
        for cell in notebook.get("cells", [])
        for output in cell.get("outputs", [])
        if output.get("output_type") == "stream"
    )
    epochs = []
    for found in EPOCH.finditer(text):
        row = {name: found[name] for name in ("epoch", "seconds", "loss", "val_loss")}
        for name in measures:
            logged = rf" (?:val_)?{name}: ([\d.]+?)(?:\.0+)?(?!\S)"
            number = re.search(logged, found["rest"])
            row[name] = number[1] if number else ""
        epochs.append(row)
    if not epochs:
        raise sources.InputError(
            "the notebook's outputs hold no log of Keras: lines 'Epoch 1/15', and after"
            " each the seconds, loss and val_loss"
        )
    return epochs


def make(path, out, log="transfer_log"):
    """Write the log of the notebook at ``path`` below ``out``."""
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    measures = SHARES if log == "pilot_log" else COUNTS
    sources.write_rows(out / f"study_a/{log}.csv", read_log(notebook, measures))


def main(words=None):
    """Write the log."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="folders", action="append", default=[])
    parser.add_argument("--out", type=Path, default=sources.DATA)
    parser.add_argument("--log", choices=LOGS, default="transfer_log")
    asked = parser.parse_args(words)
    make(sources.obtain(LOGS[asked.log], asked.folders), asked.out, asked.log)
    return 0


if __name__ == "__main__":
    sources.run(main)
