"""The door to open studies, without their files: servers, hashes, recorded results."""

import functools
import hashlib
import http.server
import io
import json
import re
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sudlib import trials
from sudlib.book.run import Run
from sudlib.files import InputError, data_file
from sudlib.trials import files_at_hand, page, readers

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import record_trials

COLON = "id,rx,etype\n1.0,Lev,2.0\n2.0,Obs,2.0\n"


PAGES = sorted(
    path
    for path in (Path(__file__).parent.parent / "notebooks").glob("d*.ipynb")
    if "trials.Page(" in path.read_text(encoding="utf-8")
)


def digest_of(content):
    return hashlib.sha256(content).hexdigest()


def zipped(name, content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        bundle.writestr(f"folder/{name}", content)
    return stream.getvalue()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Return a function that serves files and registers studies of them."""
    folder = tmp_path / "served"
    folder.mkdir()
    quiet = type(
        "Quiet",
        (http.server.SimpleHTTPRequestHandler,),
        {"log_message": lambda *_: None},
    )
    handler = functools.partial(quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SUDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SUDLIB_OPEN_DATA", raising=False)

    def offer(content, *, file="actg175/small.txt", served_as="small.txt", **entry):
        (folder / served_as).write_bytes(content)
        url = f"http://127.0.0.1:{server.server_port}/{served_as}"
        entry = {"sha256": digest_of(content), "bytes": 1, "urls": [url], **entry}
        small = trials.Study(
            "small", "a study", 2, "people", "none", "us", "here", {file: entry}
        )
        monkeypatch.setattr(files_at_hand, "study", lambda name: small)
        return tmp_path / "cache" / "open" / file

    yield offer
    server.shutdown()


def test_a_file_is_downloaded_once_and_kept(served, monkeypatch):
    path = served(b"a b\n1 2\n")
    assert not trials.at_hand("small")
    assert trials.fetch("small") == {"actg175/small.txt": path}
    assert path.read_bytes() == b"a b\n1 2\n" and trials.at_hand("small")
    monkeypatch.setattr("sudlib.downloads.download", None)  # a second would fail
    assert trials.fetch("small") == {"actg175/small.txt": path}


def test_a_download_with_another_hash_is_not_taken(served):
    path = served(b"a b\n1 2\n", sha256=digest_of(b"other"))
    with pytest.raises(trials.NotAtHand, match="wrong SHA-256"):
        trials.fetch("small")
    assert not path.exists()


def test_of_a_zip_what_is_inside_counts(served):
    inside = {"table.csv": digest_of(b"1,2")}
    path = served(
        zipped("table.csv", b"1,2"), file="d/t.zip", sha256=None, inside=inside
    )
    assert trials.fetch("small") == {"d/t.zip": path}
    path.unlink()
    served(zipped("table.csv", b"1,3"), file="d/t.zip", sha256=None, inside=inside)
    with pytest.raises(trials.NotAtHand, match=r"d/t\.zip"):
        trials.fetch("small")


def test_a_table_is_made_from_the_file_that_is_served(served, monkeypatch):
    rows = pd.DataFrame(
        {"id": [1, 1, 2], "rx": ["Lev", "Lev", "Obs"], "etype": [1, 2, 2]}
    )
    monkeypatch.setattr(files_at_hand, "read_rda", lambda path, name: rows)
    made = {"sha256": digest_of(COLON.encode()), "made": "from R's file"}
    path = served(b"R", file="colon/colon.csv", served_as="cancer.rda", **made)
    assert trials.fetch("small") == {"colon/colon.csv": path}
    assert path.read_text() == COLON
    path.unlink()
    rows.loc[2, "rx"] = "Lev"
    with pytest.raises(trials.NotAtHand):
        trials.fetch("small")
    assert not path.exists()


def test_offline_says_soon_what_is_missing_and_how_to_get_it(served):
    served(b"a", urls=["http://127.0.0.1:9/nobody/small.txt"])
    began = time.monotonic()
    with pytest.raises(trials.NotAtHand) as told:
        trials.fetch("small")
    assert time.monotonic() - began < 5
    for words in ("actg175/small.txt", "no connection", "By hand", "SUDLIB_OPEN_DATA"):
        assert words in str(told.value)


def test_a_folder_of_ones_own_is_held_to_the_hashes_and_never_written(
    served, monkeypatch, tmp_path
):
    served(b"a b\n")
    own = tmp_path / "own"
    monkeypatch.setenv("SUDLIB_OPEN_DATA", str(own))
    with pytest.raises(InputError, match="there is no folder"):
        trials.fetch("small")
    own.mkdir()
    with pytest.raises(trials.NotAtHand, match=r"actg175/small\.txt"):
        trials.fetch("small")
    assert not list(own.iterdir())
    (own / "actg175").mkdir()
    (own / "actg175" / "small.txt").write_bytes(b"a b\n")
    assert trials.fetch("small") == {"actg175/small.txt": own / "actg175/small.txt"}
    (own / "actg175" / "small.txt").write_bytes(b"a c\n")
    with pytest.raises(InputError, match="SHA-256") as told:
        trials.fetch("small")
    assert not isinstance(told.value, trials.NotAtHand)  # wrong is not absent


def test_a_file_with_the_same_table_stands_for_the_one_named(served):
    same = {"actg175/same.csv": digest_of(b"1")}
    path = served(b"a b\n", same=same)
    path.parent.mkdir(parents=True)
    path.with_name("same.csv").write_bytes(b"1")
    assert trials.fetch("small") == {"actg175/small.txt": path.with_name("same.csv")}


def test_a_file_without_an_address_is_asked_of_the_reader(
    served, monkeypatch, tmp_path
):
    served(b"a b\n", file="rows/small.txt", urls=[])
    with pytest.raises(trials.NotAtHand, match="at no address that we know.*SUDLIB"):
        trials.fetch("small")
    # It may lie in the folder that is named, or in the one around it.
    own = tmp_path / "own"
    (own / "open").mkdir(parents=True)
    monkeypatch.setenv("SUDLIB_OPEN_DATA", str(own / "open"))
    for folder in (own, own / "open"):
        assert not trials.at_hand("small")
        (folder / "rows").mkdir()
        path = folder / "rows/small.txt"
        path.write_bytes(b"a b\n")
        assert trials.fetch("small") == {"rows/small.txt": path}
        path.write_bytes(b"a c\n")
        with pytest.raises(InputError, match="SHA-256"):
            trials.fetch("small")
        path.unlink()


def test_recorded_asks_for_no_file(served, monkeypatch):
    path = served(b"a b\n")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a b\n")
    monkeypatch.setenv("SUDLIB_OPEN_DATA", "recorded")
    assert not trials.at_hand("small")
    with pytest.raises(trials.NotAtHand, match="recorded"):
        trials.fetch("small")


def test_an_unknown_study_is_named():
    with pytest.raises(InputError, match="ctn0094, ist, diabetes130, actg175, colon"):
        trials.load("ist2")


def test_every_study_has_terms_a_citation_and_a_hash():
    for study in trials.registry().values():
        assert study.terms and study.citation and study.page.startswith("https://")
        for entry in study.files.values():
            hashes = [entry["sha256"] or "", *entry.get("inside", {}).values()]
            assert any(len(each) == 64 for each in hashes)
            assert all(url.startswith("https://") for url in entry["urls"])


def test_every_column_says_what_it_is():
    kinds = {"id", "text", "number", "yes/no", "levels", "code"}
    for name in trials.registry():
        words = trials.dictionary(name)
        assert words.index.is_unique and set(words["kind"]) <= kinds
        assert (words["unit"] != "").equals(words["kind"] == "number")
        assert set(words["role"]) <= {
            "id", "design", "treatment", "covariate", "after", "outcome",
        }  # fmt: skip
        assert (words[["label", "source"]] != "").all().all()


def test_codes_are_read_alike_from_r_and_from_text():
    words = pd.DataFrame(
        {
            "kind": ["yes/no", "levels", "number", "text", "code"],
            "levels": ["1=1|2=0", "1=low|2=high|3=high", "", "", ""],
            "source": ["a", "b", "c", "d", "b"],
        },
        index=["yes", "dose", "age", "place", "AGE"],
    )
    text = {"a": ["1", "2", None], "b": ["3", "1", "9"]}
    r = {"a": pd.array([1, 2, None], "Int32"), "b": [3.0, 1.0, 9.0]}
    more = {"c": ["40", None, "2.5"], "d": ["x", "7", None]}
    for given in (text, r):
        tidy = readers._tidy(pd.DataFrame({**given, **more}, index=[5, 9, 2]), words)
        assert tidy["yes"].tolist()[:2] == [1, 0] and np.isnan(tidy["yes"][2])
        assert tidy["dose"].tolist()[:2] == ["high", "low"]
        assert tidy["dose"].isna().tolist() == [False, False, True]
        assert list(tidy["dose"].cat.categories) == ["low", "high"]
        assert tidy["age"].tolist()[0] == 40
        assert tidy["AGE"].tolist() == [3, 1, 9]
        assert tidy["place"].tolist()[:2] == ["x", "7"]


@pytest.mark.parametrize(
    "by",
    [
        pd.Series([1, 1, 2, 2], [4, 5, 6, 7], name="fifth"),
        pd.Series([False, False, True, True], [4, 5, 6, 7]),
        pd.Series(["a", "a", "b", "b"], [4, 5, 6, 7], dtype="category"),
        pd.Series(["a", "a", "b", "b"], [4, 5, 6, 7]),
        pd.Series([1.5, 1.5, 2.5, 2.5], [4, 5, 6, 7]),
    ],
    ids=["whole numbers", "yes and no", "categories", "text", "numbers"],
)
def test_groups_of_any_kind_are_counted(by):
    table = trials.shares(pd.Series([1, 0, 1, 1], [4, 5, 6, 7]), by)
    assert table.index.tolist() == by.unique().tolist()
    assert table.index.name is None
    assert table["people"].tolist() == [2, 2]
    assert table["events"].tolist() == [1, 2]


def test_the_difference_of_two_shares_is_newcombes():
    # His table II, 56/70 against 48/80: .0524 to .3339.
    groups = pd.Series(["a"] * 70 + ["b"] * 80)
    events = pd.Series([1.0] * 56 + [0.0] * 14 + [1.0] * 48 + [0.0] * 32)
    events[150], groups[150] = np.nan, "b"  # not known: does not count
    table = trials.shares(events, groups)
    assert table["people"].to_list() == [70, 80]
    found = trials.difference(table, "a", "b")
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
    back = trials.difference(table, "b", "a")
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def test_a_share_of_nobody_is_refused():
    with pytest.raises(InputError, match="not 0/0"):
        trials.share(0, 0)


# ---------------------------------------------------------------- recorded results


@pytest.mark.parametrize(
    ("column", "counts", "said"),
    [
        ("people", [10, 9], "people has 9"),
        ("people_treated", [0, 20], "people_treated has 0"),
        ("events", [12, 91], "people without the event has 9"),
        ("events", [12, 9], "events has 9"),
    ],
)
def test_no_cell_under_ten_people_leaves_a_page(column, counts, said):
    table = pd.DataFrame({"people": [100, 100], column: counts})
    with pytest.raises(InputError, match=said):
        trials.check_counts(table, "arms")


def test_cells_of_ten_and_other_numbers_pass():
    table = pd.DataFrame({"people": [20, 40], "events": [10, 30], "weeks": [1, 2]})
    assert trials.check_counts(table) is table


def small_page(monkeypatch, recorded=None):
    def fetch(name):
        if recorded is not None:
            raise trials.NotAtHand("not here")

    monkeypatch.setattr(page, "fetch", fetch)
    monkeypatch.setattr(page, "read_recorded", lambda name: recorded)
    run = Run("d99_small", {"seed": 33})
    return run, trials.Page(run, "ist")


def test_a_recorded_page_shows_the_same_table_as_the_one_that_computed_it(
    monkeypatch, tmp_path
):
    def arms():
        frame = {"people": [30, 40], "share": [0.1, np.nan], "gap": [np.nan, np.nan]}
        return pd.DataFrame(frame, index=pd.Index(["a", "b"], name="arm"))

    run, computed = small_page(monkeypatch)
    first = computed.result(arms)
    assert "computed here" in computed.label()
    stamp = {key: None for key in ("commit", "versions", "minutes")}
    stamp |= {"date": "2026-11-29T10:00+00:00", "data": run.data, "commit": "abc"}
    stamp["parameters"] = {"seed": 7}
    result = {"notebook": "d99_small", "stamp": stamp, "tables": run.tables}
    kept = json.loads(record_trials.record(result, tmp_path).read_text())
    run, shown = small_page(monkeypatch, kept)
    second = shown.result(arms)
    pd.testing.assert_frame_equal(first, second)
    assert second["gap"].dtype == float and second.index.name == "arm"
    assert "Recorded results" in shown.label() and "2026-11-29" in shown.label()
    assert "not used, but seed = 7" in shown.label()
    assert run.data[0]["data"] == "ist, recorded 2026-11-29" and run.synthetic is False
    with pytest.raises(InputError, match="was not computed"):
        record_trials.record({**result, "stamp": {**stamp, "data": run.data}}, tmp_path)


def test_a_label_says_how_rows_without_an_address_are_got(monkeypatch):
    kept = {"date": "2026-11-29", "commit": "a", "tables": {}, "parameters": {}}
    _, shown = small_page(monkeypatch, kept)
    assert "`make book` downloads" in shown.label()
    shown.studies.append(trials.study("discharges2023"))
    assert "No address is known for" in shown.label()
    assert "tedsd_2023_sample_1000.csv" in shown.label()


def test_a_result_that_was_never_recorded_is_named(monkeypatch):
    kept = {"date": "2026-11-29", "commit": "a", "tables": {"other": []}}
    _, shown = small_page(monkeypatch, kept)

    def arms():
        raise AssertionError("must not be computed")

    with pytest.raises(InputError, match="no recorded result 'arms'; it has other"):
        shown.result(arms)


def test_every_recorded_result_is_of_these_files_and_of_groups_of_ten():
    for path in sorted(data_file("README.md").parent.glob("results/trials/*.json")):
        kept = json.loads(path.read_text())
        assert kept["notebook"] == path.stem and kept["commit"] and kept["date"]
        for used in kept["data"]:
            if not used["synthetic"]:  # the twin beside it has no file
                assert used["sha256"] == trials.digest(used["data"])
        for name, rows in kept["tables"].items():
            trials.check_counts(pd.DataFrame(rows), name)


def test_the_area_is_scikit_learns_and_ties_are_half_a_pair():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(5)
    outcome = random.integers(0, 2, 80)
    score = random.integers(0, 6, 80) + outcome
    assert trials.area(outcome, score) == pytest.approx(roc_auc_score(outcome, score))
    assert np.isnan(trials.area([1, 1], [0.2, 0.3]))


def test_areas_are_compared_on_the_same_people_and_the_gap_is_to_the_first():
    random = np.random.default_rng(3)
    outcome = np.repeat([0, 1], [60, 30])
    good, bad = outcome + random.normal(size=90), random.normal(size=90)
    table = trials.areas(outcome, {"good": good, "again": good, "bad": bad})
    assert (table.loc["again", ["gap", "gap_low", "gap_high"]] == 0).all()
    assert table.loc["bad", "gap_high"] < 0 < table.loc["good", "low"] - 0.5
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    with pytest.raises(InputError, match="length"):
        trials.areas(outcome, {"good": good[:-1]})


def test_gaps_are_filled_and_said_where_they_are_many():
    X = pd.DataFrame(
        {"a": [1.0, np.nan, 3.0] * 40, "b": range(120)}, index=range(5, 125)
    )
    filled = trials.without_gaps(X)
    assert filled.notna().all().all() and list(filled.index) == list(range(120))
    assert filled["a"].tolist()[:3] == [1, 2, 3]
    assert filled["not answered"].tolist()[:3] == [0, 1, 0]
    few = X.assign(a=1.0)
    few.loc[5, "a"] = np.nan  # one of 120: not worth a column
    assert list(trials.without_gaps(few)) == ["a", "b"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_result_of_a_page_on_real_people_is_recorded(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    asked = re.findall(r"@page\.result\ndef (\w+)", code)
    assert asked and list(trials.read_recorded(path.stem)["tables"]) == asked


@pytest.mark.parametrize(
    ("X", "said"),
    [
        ({"a": [1.0, 2.0], "b": [None, None]}, "'b' is missing throughout"),
        ({"a": ["x", None]}, "a must hold numbers, not text"),
        ({"a": [1, np.inf, np.nan]}, "a must be finite"),
    ],
)
def test_gaps_that_no_median_fills_are_told(X, said):
    with pytest.raises(InputError, match=said):
        trials.without_gaps(pd.DataFrame(X))
    with pytest.raises(InputError, match="DataFrame"):
        trials.without_gaps(np.array([[1.0]]))


def test_nullable_gaps_are_filled_as_plain_ones():
    X = pd.DataFrame({"a": [1, None, 3], "b": [True, None, True]})
    filled = trials.without_gaps(X.astype({"a": "Int64", "b": "boolean"}))
    assert filled[["a", "b"]].to_numpy().tolist() == [[1, 1], [2, 1], [3, 1]]


def test_one_person_is_no_proof_of_an_area():
    people, others = [1] + [0] * 50, np.linspace(0, 1, 50)
    one = trials.areas(people, {"s": np.r_[0.7, others]}).loc["s"]
    assert one["low"] < 0.05 and one["high"] > 0.95
    perfect = {"s": np.r_[2.0, others], "t": np.r_[3.0, others]}
    gap = trials.areas(people, perfect).loc["t"]
    assert gap["gap"] == 0 and gap["gap_low"] < -0.9 and gap["gap_high"] > 0.9
    same = trials.areas(people, {"s": perfect["s"], "t": perfect["s"]}).loc["t"]
    assert same["gap_low"] == same["gap_high"] == 0
    with pytest.raises(InputError, match="scores must be a dict"):
        trials.areas(people, [perfect["s"]])


def test_the_difference_is_of_two_groups_that_are_there_once():
    table = trials.shares(pd.Series([1, 0, 1, 0]), pd.Series(list("aabb")))
    with pytest.raises(InputError, match="rows of 'a' must be 1, not 2"):
        trials.difference(pd.concat([table, table]), "a", "b")


def test_what_is_read_of_a_zip_is_what_was_checked(tmp_path):
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("old_diabetic_data.csv", "a\n1\n")
        bundle.writestr("__MACOSX/x/._diabetic_data.csv", "?")
        bundle.writestr("x/diabetic_data.csv", "a\n2\n")
    assert readers._raw("diabetes130", (path,))["a"].tolist() == ["2"]


@pytest.mark.parametrize("method", [9, 99])
def test_a_zip_that_python_cannot_unpack_is_another_file(tmp_path, method):
    path, content = tmp_path / "d.zip", bytearray(zipped("t.csv", b"1,2"))
    central = content.rindex(b"PK\x01\x02")
    content[8:10] = content[central + 10 : central + 12] = bytes([method, 0])
    path.write_bytes(content)
    entry = {"sha256": None, "inside": {"t.csv": digest_of(b"1,2")}}
    assert "no zip that can be unpacked" in files_at_hand._wrong(path, entry)
