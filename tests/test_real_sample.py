"""The door for a file of one's own, on 1,000 real rows where they are at hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sudlib import book, records
from sudlib.teds import cohorts

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SUDLIB_SHARED", ROOT.parent / "shared"))
SAMPLE = SHARED / "teds" / "rows" / "tedsd_2023_sample_1000.csv"

pytestmark = pytest.mark.skipif(
    not SAMPLE.exists(), reason=f"the real sample is not at hand ({SAMPLE.name})"
)


@pytest.mark.filterwarnings("ignore:.*blank:UserWarning")
def test_the_sample_comes_in_by_its_path_as_real_and_unverified():
    frame = records.load(SAMPLE)
    assert len(frame) == 1000 and frame.attrs["years"] == [2023]
    assert frame.attrs["synthetic"] is None and frame.attrs["verified"] is False
    # The raw file's own columns, counted in plain text.
    rows = [line.split(",") for line in SAMPLE.read_text().splitlines()]
    column = rows[0].index("REASON")
    assert cohorts.completed(frame).sum() == sum(row[column] == "1" for row in rows[1:])


@pytest.mark.slow
def test_the_forests_run_on_the_sample_and_no_verdict_follows():
    done = subprocess.run(
        [
            sys.executable, "workflow/book.py", "--data", str(SAMPLE),
            "--only", "a02_forest_general a03_forest_methadone",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=560,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = ROOT.glob("_build/quick-tedsd_2023_sample_1000-*/results")
    results = {
        path.stem: json.loads(path.read_text()) for path in folder.glob("a0[23]*.json")
    }
    table = book.compare(results)
    ours = table[table["ours"].notna()]
    assert len(ours) > 5
    assert set(ours["verdict"]) == {"not comparable"}
    assert ours["reason"].str.contains("2023").all()
