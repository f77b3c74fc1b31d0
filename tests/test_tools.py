"""The tools that make ``data/``: on small inputs, and against what is committed."""

import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sudlib import teds, twin
from sudlib.files import InputError
from sudlib.teds import codebook
from sudlib.twin import completion, sampler

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
SHARED = Path(os.environ.get("SUDLIB_SHARED", ROOT.parent / "shared"))
sys.path.insert(0, str(ROOT / "tools"))

import count_code  # noqa: E402
import count_teds  # noqa: E402
import fit_outcome  # noqa: E402
import fit_twin  # noqa: E402
import make_claims_b  # noqa: E402
import make_codebook  # noqa: E402
import make_joints  # noqa: E402
import make_targets  # noqa: E402
import make_transfer_log  # noqa: E402
import remake  # noqa: E402
import sources  # noqa: E402
import twin_states  # noqa: E402


@pytest.fixture(scope="module")
def records():
    """Make a small file's records look like the agency's: by their case numbers."""
    frame = twin.sample(2019, rows=400, seed=1)
    frame["CASEID"] = 20_190_000_000 + 1_000_000 + np.arange(len(frame))
    return frame


@pytest.fixture(scope="module")
def counted(records, tmp_path_factory):
    path = teds.write(records, tmp_path_factory.mktemp("small") / "small.csv")
    return count_teds.count(2019, path), path


# ------------------------------------------------------------------ the door


def test_every_file_of_data_is_made_by_one_entry_and_no_entry_is_empty():
    there = sorted(
        path.relative_to(DATA).as_posix()
        for path in DATA.rglob("*")
        if path.is_file() and DATA / "raw" not in path.parents  # ignored by git
    )
    assert sorted(product.path for product in remake.PRODUCTS) == there


def test_every_command_is_a_tool_that_is_there():
    for product in remake.PRODUCTS:
        for name in re.findall(r"[\w/]+\.py", product.command):
            here = [ROOT / "tools" / name, ROOT / name]
            assert any(path.is_file() for path in here), product.command
        assert product.how in remake.HOW


#: Parts of other tools, and tools that make no data.
ELSEWHERE = {
    "sources",
    "twin_guesses",
    "twin_states",
    "fit_outcome",
    "draw_house",
    "count_code",
    "mutate",
    "new_notebook",
}


def test_comments_docstrings_and_blank_lines_are_no_code():
    source = '''"""A module.

    Of two lines."""
import os  # which is code

# which is not
def f(a,
      b):
    """Nor this."""
    text = """but
    this is"""
    return text
'''
    assert count_code.count(source) == 6


def test_readme_of_data_names_every_tool():
    text = (DATA / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "tools").glob("*.py"):
        if path.stem not in ELSEWHERE:
            assert path.name in text, path.name


def test_no_tool_names_a_place_outside_the_repository():
    for path in (ROOT / "tools").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\.\./|shared/|/home/|/work/", text), path.name


def test_list_and_check_speak_of_the_files_asked_for(capsys):
    assert remake.main(["--list", "study_a"]) == 0
    held = len(list((ROOT / "data" / "study_a").iterdir()))
    assert capsys.readouterr().out.count("study_a/") == held
    assert remake.main(["--check", "claims/study_b.csv", "twin/states.csv"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("same ") and second.startswith("agrees ")
    with pytest.raises(InputError, match="data/ has no 'claims/study_x.csv'"):
        remake.main(["--check", "claims/study_x.csv"])
    with pytest.raises(InputError, match="name what to make"):
        remake.main([])


def test_a_file_that_is_not_what_its_tool_makes_fails_the_check(capsys, monkeypatch):
    def other(out):
        (out / "claims").mkdir()
        text = (DATA / "claims/study_b.csv").read_text("utf-8")
        (out / "claims/study_b.csv").write_text(text.replace("0.43", "0.44", 1))

    monkeypatch.setattr(make_claims_b, "make", other)
    assert remake.main(["--check", "claims/study_b.csv"]) == 1
    assert capsys.readouterr().out.startswith("differs ")


def test_counted_numbers_that_differ_fail_the_check(capsys, tmp_path):
    counts = pd.DataFrame([(2018, "GENDER", 1, 1_070_050)])
    counts.columns = ["year", "variable", "code", "frequency"]
    count_teds.store(tmp_path, {"frequencies": counts})
    words = ["--check", "codebook/codes.csv", "--counts", str(tmp_path)]
    assert remake.main(words) == 1
    assert "GENDER 1 f2018 was 1070049, is 1070050" in capsys.readouterr().out


def test_a_source_that_is_not_at_hand_leaves_its_file_unchecked(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("SUDLIB_CACHE", str(tmp_path))
    words = ["--check", "study_a/transfer_log.csv", "twin/correlations_2019.csv"]
    assert remake.main([*words, "--counts", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(line.startswith("unchecked ") for line in lines)


@pytest.mark.parametrize(
    "path",
    [
        *("codebook/variables.csv", "codebook/cohorts.csv", "claims/study_a.csv"),
        *("claims/study_c.csv", "claims/tables_b.csv", "study_a", "weights.csv"),
        *("fonts", "twin/states.csv", "cprd/schema.csv", "sources.csv"),
        *("results/study_c",),
    ],
)
def test_transcriptions_and_records_agree_with_what_else_is_known(path):
    for product in remake.chosen([path]):
        if product.check:
            assert product.check(remake.Context())


def test_a_repeat_that_comes_out_otherwise_is_told():
    path = DATA / "results/study_c/scores.csv.gz"
    made = pd.read_csv(path).query("setting == 'right' and n_train == 200")
    made = made[made.repeat == 0]
    assert "9 of 9 rules run again are the same" in remake._again(made, path)
    other = made.assign(ab=made.ab + 0.1 * (np.arange(len(made)) < 3))
    assert "6 of 9 rules run again are the same" in remake._again(other, path)
    with pytest.raises(remake.Wrong, match="0 of 9 rules"):
        remake._again(made.assign(ab=made.ab + 0.1), path)
    with pytest.raises(remake.Wrong, match="lacks rows"):
        remake._again(made.assign(repeat=1000), path)


# ------------------------------------------------------------------ sources


def test_a_source_comes_from_a_folder_and_its_hash_is_held(tmp_path):
    below = tmp_path / "deep" / "er"
    below.mkdir(parents=True)
    (below / "small.txt").write_bytes(b"small")
    good = hashlib.sha256(b"small").hexdigest()
    source = sources.Source("small", "small.txt", "a test", (), good, "free")
    known = {"small": source}
    assert sources.obtain("small", [tmp_path], known=known) == below / "small.txt"
    (below / "small.txt").write_bytes(b"other")
    with pytest.raises(InputError, match=f"it should be {good}"):
        sources.obtain("small", [tmp_path], known=known)
    with pytest.raises(InputError, match="there is no source 'large'"):
        sources.obtain("large", known=known)
    with pytest.raises(InputError, match="must name a folder"):
        sources.obtain("small", [tmp_path / "none"], known=known)
    with pytest.raises(InputError, match="read on paper"):
        sources.obtain("study-c")


def test_a_source_is_downloaded_once_and_offline_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("SUDLIB_CACHE", str(tmp_path))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"small")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/small.txt"
    good = hashlib.sha256(b"small").hexdigest()
    source = sources.Source("small", "small.txt", "a test", (url,), good, "free")
    known = {"small": source}
    assert sources.obtain("small", fetch=False, known=known) is None
    path = sources.obtain("small", known=known)
    server.shutdown()
    server.server_close()
    assert path.read_bytes() == b"small"
    assert sources.obtain("small", known=known) == path  # no server any more
    path.unlink()
    monkeypatch.setattr("sudlib.downloads.Resume.__init__.__defaults__", (1, 0.0))
    with pytest.raises(InputError, match="name its folder with --from"):
        sources.obtain("small", known=known)


def test_a_year_comes_from_a_folder_by_its_official_name(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDLIB_CACHE", str(tmp_path / "cache"))
    assert sources.obtain_year(2019, [tmp_path], fetch=False) is None
    bundle = tmp_path / teds.read_registry()[2019].zip
    bundle.touch()
    assert sources.obtain_year(2019, [tmp_path], fetch=False) == bundle
    with pytest.raises(InputError, match="must be one of 2015.*not 2014"):
        sources.obtain_year(2014)


def test_a_file_is_taken_out_of_a_debian_package(tmp_path):
    inside = io.BytesIO()
    with tarfile.open(fileobj=inside, mode="w:xz") as files:
        entry = tarfile.TarInfo("./usr/share/some.ttf")
        entry.size = 3
        files.addfile(entry, io.BytesIO(b"ttf"))
    parts = b"!<arch>\n"
    for name, body in (("debian-binary", b"2.0"), ("data.tar.xz", inside.getvalue())):
        parts += f"{name:16}{0:<12}{0:<6}{0:<6}{644:<8}{len(body):<10}`\n".encode()
        parts += body + b"\n" * (len(body) % 2)
    path = tmp_path / "some.deb"
    path.write_bytes(parts)
    assert remake.unpack(path, "some.ttf") == b"ttf"
    with pytest.raises(InputError, match="holds other.ttf"):
        remake.unpack(path, "other.ttf")


# ------------------------------------------------------------------ counting


def test_counts_are_those_of_the_records(records, counted):
    tables, path = counted
    table = tables["frequencies"]
    sums = table.groupby("variable").frequency.sum()
    assert (sums == 400).all() and len(sums) == 74  # all but CASEID and DISYR
    ages = table[table.variable == "AGE"].set_index("code").frequency
    assert ages.to_dict() == records.AGE.value_counts().to_dict()
    cells = tables["reason_by_state"].set_index(["state", "reason"])["count"]
    state = records.STFIPS.iloc[0]
    here = records[records.STFIPS == state].REASON.value_counts()
    assert cells[state].to_dict() == here.to_dict()
    assert tables["reason_by_service"]["count"].sum() == 400
    pairs = tables["correlations"].set_index(["first", "second"]).r
    wanted = np.corrcoef(records.EMPLOY, records.ARRESTS)[0, 1]
    assert pairs["EMPLOY", "ARRESTS"] == pytest.approx(wanted, abs=5e-4)
    assert len(pairs) == 29**2
    women = records[records.GENDER == 2]
    done = tables["completion"].set_index(["variable", "code"])
    assert done.loc[("GENDER", 2), "rows"] == len(women)
    share = (women.REASON == 1).mean()
    assert done.loc[("GENDER", 2), "completed"] == pytest.approx(share, abs=5e-4)
    assert ("SUB1", 1) not in done.index and ("SUB1", -9) not in done.index
    size = tables["files"].iloc[0]
    assert (size.rows, size["columns"]) == (400, 76)
    assert size.csv_bytes == path.stat().st_size
    assert size.csv_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_zip_gives_the_same_counts_and_its_own_hash(counted, tmp_path):
    tables, path = counted
    bundle = tmp_path / "small.zip"
    with zipfile.ZipFile(bundle, "w") as stream:
        stream.write(path, "small.csv")
    again = count_teds.count(2019, bundle)
    assert again["frequencies"].equals(tables["frequencies"])
    size = again["files"].iloc[0]
    assert size.zip_sha256 == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert size.csv_sha256 == tables["files"].iloc[0].csv_sha256


def test_a_file_of_2015_is_counted_with_its_two_more_columns(tmp_path):
    frame = twin.sample(2015, rows=60, seed=3)
    frame["CASEID"] = 20_150_000_000 + 1_000_000 + np.arange(len(frame))
    frame["NUMSUBS"] = (frame[["SUB1", "SUB2", "SUB3"]] > 1).sum(axis=1)
    frame["YEAR"] = 2015
    frame = frame.rename(columns={"CBSA2010": "CBSA"})
    frame.to_csv(tmp_path / "small.csv", index=False)
    tables = count_teds.count(2015, tmp_path / "small.csv")
    assert tables["files"]["columns"].iloc[0] == 78
    table = tables["frequencies"].set_index("variable").frequency
    assert table["NUMSUBS"].sum() == table["CBSA2010"].sum() == 60
    assert "YEAR" not in table.index


def test_made_up_records_are_not_counted(tmp_path):
    path = teds.write(twin.sample(2019, rows=30, seed=2), tmp_path / "mine.csv")
    with pytest.raises(InputError, match="made-up records"):
        count_teds.count(2019, path)


def test_a_year_counted_again_replaces_itself_and_others_stay(tmp_path):
    columns = ["year", "variable", "code", "frequency"]

    def store(*rows):
        table = pd.DataFrame(rows, columns=columns)
        count_teds.store(tmp_path, {"frequencies": table})

    store((2018, "VET", 1, 5))
    store((2017, "VET", 1, 7), (2017, "VET", 2, 8))
    store((2018, "VET", 2, 6))
    kept = count_teds.load(tmp_path, "frequencies").to_numpy().tolist()
    assert kept == [
        [2017, "VET", 1, 7],
        [2017, "VET", 2, 8],
        [2018, "VET", 2, 6],
    ]
    with pytest.raises(InputError, match="do not tell rows apart"):
        store((2018, "VET", 2, 6), (2018, "VET", 2, 7))
    assert count_teds.load(tmp_path, "files") is None


CODES = """,code,full_label,Value,Label,Frequency,Percent
0,CASEID,Case identification number,,,,
0,DISYR,Year of discharge,2018,2018,"1,200",100%
0,VET,Veteran status,1,Yes,200,17%
1,VET,Veteran status,2,No,"1,000",83%
0,CBSA,Area,10180,"ABILENE, TX METRO",70,6%
1,CBSA,Area,X ,OTHERS,"1,130",94%
"""


def test_codes_of_a_codebook_are_read_and_a_damaged_table_is_refused(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text(CODES)
    table = count_teds.read_codes(path, 2018)
    assert table[["variable", "code", "frequency"]].to_numpy().tolist() == [
        ["VET", 1, 200],
        ["VET", 2, 1000],
        ["CBSA2010", 10180, 70],
    ]
    path.write_text(CODES.replace("Yes,200", "Yes,20"))
    with pytest.raises(InputError, match="of VET sum to 1,020, not to the 1,200"):
        count_teds.read_codes(path, 2018)
    path.write_text(CODES.replace("Frequency", "Count"))
    with pytest.raises(InputError, match="lacks the columns Frequency"):
        count_teds.read_codes(path, 2018)


def test_the_command_counts_tables_of_codebooks(tmp_path, capsys):
    (tmp_path / sources.registry()["codes-2018"].file).write_text(CODES)
    words = ["2018", "--codebooks", "--from", str(tmp_path)]
    assert count_teds.main([*words, "--counts", str(tmp_path / "counts")]) == 0
    assert capsys.readouterr().out == "2018: 3 codes of 2 variables\n"
    assert len(count_teds.load(tmp_path / "counts", "frequencies")) == 3
    with pytest.raises(InputError, match="no TEDS-D file is below"):
        count_teds.main(["--from", str(tmp_path)])


# ------------------------------------------------------------------ the codebook


def small_base(folder):
    """Write a codebook of one variable and two years."""
    (folder / "codebook").mkdir(parents=True)
    (folder / "codebook/codes.csv").write_text(
        "variable,code,label,also,f2018,f2019\n"
        "STFIPS,1,Alabama,,3,\nSTFIPS,2,Alaska,,4,\nSTFIPS,41,Oregon,,,5\n"
    )
    (folder / "codebook/years.csv").write_text(
        "year,rows,columns,codebook,states_excluded,note\n"
        "2018,7,76,complete,Oregon,\n2019,,76,none,,\n"
    )
    (folder / "registry.csv").write_text(
        "year,zip,zip_bytes,zip_sha256,csv,csv_bytes,csv_sha256,urls\n"
        "2018,a.zip,10,aa,a.csv,20,bb,https://x\n2019,b.zip,,,b.csv,,,https://y\n"
    )
    return folder


def counts_of(folder, *rows, **more):
    table = pd.DataFrame(rows, columns=["year", "variable", "code", "frequency"])
    count_teds.store(folder, {"frequencies": table.assign(**more)})
    return folder


def test_numbers_are_filled_words_stay_and_years_not_counted_stay(tmp_path):
    base = small_base(tmp_path / "base")
    rows = [(2018, "STFIPS", 1, 3), (2018, "STFIPS", 2, 4)]
    counts = counts_of(tmp_path / "counts", *rows)
    tallies = make_codebook.make(counts, tmp_path / "out", base)
    assert [(t.equal, t.added, t.differ) for t in tallies.values()] == [
        (2, 0, []),
        (2, 0, []),
    ]
    for name in ("codes", "years"):
        made = (tmp_path / f"out/codebook/{name}.csv").read_text()
        assert made == (base / f"codebook/{name}.csv").read_text()
    assert not (tmp_path / "out/registry.csv").exists()  # no file was measured


def test_what_is_counted_otherwise_is_told_and_written(tmp_path):
    base = small_base(tmp_path / "base")
    rows = [(2018, "STFIPS", 1, 9), (2018, "STFIPS", 3, 1), (2019, "STFIPS", 2, 6)]
    counts = counts_of(tmp_path / "counts", *rows)
    tally = make_codebook.make(counts, tmp_path / "out", base)["codebook/codes.csv"]
    assert (tally.equal, tally.added) == (0, 1)
    assert tally.differ == [
        "STFIPS 1 f2018 was 3, is 9",
        "STFIPS 3 f2018 is counted, but has no row",
        "STFIPS 2 f2018 was 4, but is not counted",
        "STFIPS 41 f2019 was 5, but is not counted",
    ]
    made = (tmp_path / "out/codebook/codes.csv").read_text()
    assert "STFIPS,1,Alabama,,9,\nSTFIPS,2,Alaska,,,6\n" in made
    assert "2019,6,76,none,Alabama; Oregon," in (
        tmp_path / "out/codebook/years.csv"
    ).read_text().replace("\r", "")


def test_a_label_that_the_table_does_not_know_is_told(tmp_path):
    base = small_base(tmp_path / "base")
    rows = [(2018, "STFIPS", 1, 3), (2018, "STFIPS", 2, 4)]
    counts = counts_of(tmp_path / "counts", *rows, label=["ALA-BAMA", "Alabama"])
    tally = make_codebook.make(counts, tmp_path / "out", base)["codebook/codes.csv"]
    assert tally.differ == ["STFIPS 2 of 2018 is labelled 'Alabama'"]


def test_sizes_and_hashes_are_filled_into_the_registry(tmp_path):
    base = small_base(tmp_path / "base")
    files = [(2018, 7, 76, "a.csv", 20, "bb"), (2019, 8, 76, "b.csv", 30, "cc")]
    names = ["year", "rows", "columns", "csv", "csv_bytes", "csv_sha256"]
    count_teds.store(tmp_path, {"files": pd.DataFrame(files, columns=names)})
    tallies = make_codebook.make(tmp_path, tmp_path / "out", base)
    assert (tallies["registry.csv"].equal, tallies["registry.csv"].added) == (4, 2)
    last = (tmp_path / "out/registry.csv").read_text().splitlines()[-1]
    assert last == "2019,b.zip,,,b.csv,30,cc,https://y"
    with pytest.raises(InputError, match="nothing has been counted"):
        make_codebook.main(["--counts", str(tmp_path / "none"), "--out", str(tmp_path)])


@pytest.mark.skipif(
    not (SHARED / "teds/codebook").is_dir(),
    reason="the agency's codebooks are not here (SUDLIB_SHARED names their folder)",
)
def test_committed_frequencies_and_labels_are_the_agencys(tmp_path):
    path = SHARED / "teds/codebook/teds_d_2015_2019_frequencies_long.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table = table[table.code.str.fullmatch(r"-?\d+")]
    table["variable"] = table.variable.replace(codebook.RENAMED)
    table = table[~table.variable.isin(count_teds.NOT_COUNTED)]
    table = table.astype({"year": int, "code": int, "frequency": int})
    names = ["year", "variable", "code", "frequency", "label"]
    count_teds.store(tmp_path, {"frequencies": table[names]})
    tallies = make_codebook.make(tmp_path, tmp_path / "out")
    tally = tallies["codebook/codes.csv"]
    assert tally.differ == [] and tally.added == 0 and tally.equal > 2500
    assert tallies["codebook/years.csv"].differ == []


# ------------------------------------------------------------------ the twin's tables


def test_committed_tables_of_the_twin_come_back_from_what_was_counted(tmp_path):
    counts = tmp_path / "counts"
    for name, years in make_targets.COUNTED.items():
        table = pd.read_csv(DATA / f"twin/reason_by_{name}.csv")
        table = table[table.year.isin(years)].melt(["year", name])
        table["reason"] = table.variable.str[-1].astype(int)
        table = table.rename(columns={"value": "count"}).drop(columns="variable")
        count_teds.store(counts, {f"reason_by_{name}": table})
    square = pd.read_csv(DATA / "twin/correlations_2019.csv", index_col=0)
    pairs = square.rename_axis("first").melt(
        ignore_index=False, var_name="second", value_name="r"
    )
    count_teds.store(counts, {"correlations": pairs.reset_index().assign(year=2019)})
    table = pd.read_csv(DATA / "twin/completion_2023.csv").assign(year=2023)
    count_teds.store(counts, {"completion": table.iloc[::-1]})
    made = make_targets.make(counts, tmp_path)
    assert len(made) == 4
    for name in made:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_a_year_that_must_be_counted_and_is_not_is_named():
    table = pd.DataFrame({"year": [2016, 2017], "state": 1, "reason": 1, "count": 1})
    with pytest.raises(InputError, match="2018, 2019 is not"):
        make_targets.reasons("state", "STFIPS", table)


def test_with_every_year_a_counted_one_is_not_estimated():
    kept = pd.read_csv(DATA / "twin/reason_by_service.csv")
    table = kept[kept.year.isin([2018, 2019])].melt(["year", "service"])
    table["reason"] = table.variable.str[-1].astype(int)
    table["count"] = (table.value + 1).where(table.year == 2018, table.value)
    first = make_targets.reasons("service", "SERVICES", table)
    second = make_targets.reasons("service", "SERVICES", table, every_year=True)
    rows = kept.year == 2018
    assert np.allclose(first[rows.to_numpy()].astype(float), kept[rows])
    gap = second[rows.to_numpy()].astype(float).to_numpy() - kept[rows].to_numpy()
    assert np.allclose(gap[:, 2:], 1, atol=0.01)


def test_the_kept_twin_has_the_settings_that_its_tool_names():
    with np.load(DATA / "twin/parameters.npz") as kept:
        for name in twin.MECHANISMS:
            spread = kept[f"strength/{name}"] / 64
            wanted = [fit_outcome.SPREAD[each] for each in completion.CLASSES]
            assert np.abs(spread - wanted).max() <= 1 / 128
        stay = kept["base/1"] / completion.UNIT
    assert np.abs(stay - 1.4 * fit_outcome.STAY.ravel()).max() <= 0.5 / completion.UNIT


def test_the_twin_can_be_fitted_on_a_small_share(tmp_path, capsys):
    words = "--share 0.02 --rows 4000 --rounds 3 --outer 1 --out".split()
    assert fit_twin.main([*words, str(tmp_path)]) == 0
    with (
        np.load(tmp_path / "twin/parameters.npz") as small,
        np.load(DATA / "twin/parameters.npz") as full,
    ):
        assert set(small.files) == set(full.files)
        for name in full.files:
            assert small[name].shape == full[name].shape, name
            assert small[name].dtype == full[name].dtype, name
        parameters = {name: small[name] for name in ("mixing", "means", "shift")}
        parameters["closed"] = small["2019/closed"]
        for part in ("cuts", "codes"):
            parameters[part] = {
                step.variable: small[f"2019/{part}/{step.variable}"]
                for step in twin.STEPS
            }
    rng = np.random.default_rng(5)
    official = twin_states.official_rows(2019).astype(float)
    place = np.sort(rng.choice(52, 20_000, p=official / official.sum()))
    columns = sampler.draw_features(parameters, 2019, place.astype(np.int8), rng)
    for name in ("AGE", "SUB1", "EMPLOY", "METHUSE", "SERVICES", "LOS"):
        codes, counts = twin.margin(2019, name)
        have = np.array([(columns[name] == code).mean() for code in codes])
        assert np.abs(have - counts / counts.sum()).sum() / 2 < 0.05, name
    assert np.corrcoef(columns["IDU"], columns["ROUTE1"])[0, 1] > 0.7
    with pytest.raises(InputError, match="--share must be above 0.*not 2.0"):
        fit_twin.main(["--share", "2"])
    assert "round 3/3" in capsys.readouterr().out


@pytest.mark.skipif(not (SHARED / "teds/real").is_dir(), reason="no real figures here")
def test_joint_tables_are_made_from_what_others_printed(tmp_path):
    made = make_joints.make(SHARED / "teds", tmp_path)
    assert len(made) == len(make_joints.TABLES)
    for name in made:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_no_cell_of_people_by_state_is_below_ten():
    people = pd.read_csv(DATA / "twin/people_by_state.csv")
    assert people.people.min() >= make_joints.LEAST == 10
    assert not people.duplicated(["variable", "state", "code"]).any()


def test_joint_tables_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match="teds_d_2019_stfips_x_sub1.csv is not in"):
        make_joints.make(tmp_path, tmp_path, only="sub1_by_state")


# ------------------------------------------------------------------ study A and B


def test_claims_of_study_b_are_made_from_the_printed_rows(tmp_path):
    assert make_claims_b.make(tmp_path) == (447, 927)
    made = (tmp_path / "claims/study_b.csv").read_bytes()
    assert made == (DATA / "claims/study_b.csv").read_bytes()


def test_a_number_printed_twice_must_be_the_same_and_tables_known():
    row = {"row": "1", "table": "T_SPD_binary", "section": "6.3", "variable": "VET"}
    row |= {"dataset": "COMPLETED", "group": "Veteran", "value": "0.4"}
    (claim,) = make_claims_b.claims([row, row | {"row": "2"}])
    assert (claim["key"], claim["value"]) == (
        "b.completed.positive_rate.vet.veteran",
        "0.40",
    )
    with pytest.raises(InputError, match="is printed as 0.40 and, in row 2.*as 0.50"):
        make_claims_b.claims([row, row | {"row": "2", "value": "0.5"}])
    with pytest.raises(InputError, match="'T_new', which no claim is made of"):
        make_claims_b.claims([row | {"table": "T_new"}])


def test_printed_rows_must_be_numbered_through(tmp_path):
    path = tmp_path / "tables_b.csv"
    path.write_text("row,table\n1,prose\n3,prose\n")
    with pytest.raises(InputError, match="must be numbered 1 to 2"):
        make_claims_b.read_printed(path)


def test_the_log_of_training_is_read_out_of_a_notebook(tmp_path):
    lines = []
    for epoch, loss in ((1, "0.5924"), (2, "0.5701")):
        lines += [
            f"Epoch {epoch}/15\n",
            f"9537/9537 [==============================] - 18{epoch}s 199ms/step -"
            f" loss: {loss} - precision: 0.7 - true_positives: 2.5 -"
            f" val_loss: 0.574{epoch} -"
            " val_precision: 0.85 - val_true_positives: 13309.0000 -"
            " val_true_negatives: 78832.0000 - val_false_negatives: 36388.0000 -"
            " val_false_positives: 2263.0000\n",
        ]
    output = {"output_type": "stream", "text": lines}
    notebook = {"cells": [{"cell_type": "markdown"}, {"outputs": [output]}]}
    path = tmp_path / sources.registry()["study-a-notebook"].file
    path.write_text(json.dumps(notebook))
    out = tmp_path / "out"
    words = ["--from", str(tmp_path), "--out", str(out)]
    assert make_transfer_log.main(words) == 0
    made = (out / "study_a/transfer_log.csv").read_text().splitlines()
    kept = (DATA / "study_a/transfer_log.csv").read_text().splitlines()
    assert made == [
        kept[0],
        "1,181,0.5924,0.5741,78832,2263,36388,13309",
        "2,182,0.5701,0.5742,78832,2263,36388,13309",
    ]
    assert kept[1].startswith("1,1896,") and kept[1].endswith("78832,2263,36388,13309")
    other = tmp_path / sources.registry()["study-a-notebook-scratch"].file
    other.write_text(json.dumps(notebook))
    assert make_transfer_log.main([*words, "--log", "scratch_log"]) == 0
    assert (out / "study_a/scratch_log.csv").read_text().splitlines() == made
    path.write_text(json.dumps({"cells": []}))
    with pytest.raises(InputError, match="hold no log of Keras"):
        make_transfer_log.main(words)


def test_the_log_of_the_pilot_has_the_measures_that_it_logged(tmp_path):
    line = (
        "Epoch 1/20\n5043/5043 [====] - 1022s 199ms/step - loss: 27.5827 - auc: 0.7137"
        " - binary_accuracy: 0.6736 - val_loss: 0.5310 - val_auc: 0.7686"
        " - val_binary_accuracy: 0.7438\n"
    )
    notebook = {"cells": [{"outputs": [{"output_type": "stream", "text": [line]}]}]}
    path = tmp_path / sources.registry()["study-a-notebook-pilot"].file
    path.write_text(json.dumps(notebook))
    words = ["--from", str(tmp_path), "--out", str(tmp_path), "--log", "pilot_log"]
    assert make_transfer_log.main(words) == 0
    made = (tmp_path / "study_a/pilot_log.csv").read_text().splitlines()
    kept = (DATA / "study_a/pilot_log.csv").read_text().splitlines()
    assert made == kept[:2] and len(kept) == 21


class TestBenchmarks:
    """`make bench` keeps what a benchmark printed, and nothing of one that stopped."""

    @pytest.fixture
    def benchmarks(self, tmp_path, monkeypatch):
        import run_benchmarks

        scripts = tmp_path / "scripts"
        scripts.mkdir()
        monkeypatch.setattr(run_benchmarks, "SCRIPTS", scripts)
        monkeypatch.setattr(run_benchmarks, "KEPT", tmp_path / "kept")
        monkeypatch.setattr(run_benchmarks, "ROOT", tmp_path)
        monkeypatch.setattr(
            run_benchmarks,
            "BENCHMARKS",
            {"good": ("Fast?", ["7"]), "bad": ("Fast?", []), "long": ("Fast?", [])},
        )
        (scripts / "bench_good.py").write_text("import sys; print('s', sys.argv[1])")
        (scripts / "bench_bad.py").write_text("print('s'); raise ValueError('no')")
        (scripts / "bench_long.py").write_text("import time; time.sleep(60)")
        return run_benchmarks

    def test_what_it_printed_is_kept_with_where_it_ran(self, benchmarks):
        assert benchmarks.run("good", 1) == ""
        kept = (benchmarks.KEPT / "good.txt").read_text().splitlines()
        assert kept[:2] == ["Fast?", "python scripts/bench_good.py 7"]
        assert "cores" in kept[2] and kept[3:] == ["", "s 7"]

    def test_one_that_stops_or_takes_too_long_keeps_nothing(self, benchmarks):
        assert benchmarks.run("bad", 1) == "ValueError: no"
        assert benchmarks.run("long", 0.01) == "took more than 0.01 minutes"
        assert not benchmarks.KEPT.exists()

    def test_a_name_that_is_none_is_told(self, benchmarks, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["run_benchmarks.py", "godo"])
        with pytest.raises(SystemExit, match="no benchmark godo; there are good"):
            benchmarks.main()

    def test_every_benchmark_that_is_listed_has_its_script(self):
        import run_benchmarks

        for name in run_benchmarks.BENCHMARKS:
            assert (run_benchmarks.SCRIPTS / f"bench_{name}.py").exists()

    def test_the_page_shows_each_with_its_question(self, tmp_path):
        import prose_tables

        (tmp_path / "a.txt").write_text("Fast?\npython a.py\n2026; here\n\nx 1.0\n")
        shown = prose_tables.benchmarks(tmp_path)
        assert shown.startswith("## Fast?\n\n`python a.py`\n\nMeasured 2026; here.")
        assert "```text\nx 1.0\n```" in shown
        assert "make bench" in prose_tables.benchmarks(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("record_paper", "there is no result nosuch"),
        ("record_trials", "there is no result nosuch"),
        ("mutate", "there is no room 'nosuch' in sudlib"),
    ],
)
def test_a_tool_says_in_words_what_is_not_there(name, said):
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / f"{name}.py", "nosuch"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["count_code", "other_software", "record_worlds"])
@pytest.mark.parametrize("word", ["--help", "--nosuch"])
def test_a_tool_says_what_it_does_before_it_does_it(name, word):
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / f"{name}.py", word],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == (0 if word == "--help" else 2)
    assert "usage:" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["count_code", "/nosuch"], "there is no folder '/nosuch'"),
        (["mutate", "raking", "--files", "nosuch"], "no module nosuch"),
        (["mutate", "raking", "--number", "0"], "--number must be from 1 up, not 0"),
        (["mutate", "files"], "no test is named for files"),
        (["run_benchmarks", "twin", "--minutes", "nan"], "must be above 0"),
        (["run_benchmarks", "twin", "--minutes", "-1"], "must be above 0"),
        (["record_trials", "."], "there is no result . to read"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, list) else "",
)
def test_a_tool_says_which_setting_it_cannot_use(words, said):
    name, *rest = words
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / f"{name}.py", *rest],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and said in done.stderr
    assert "Traceback" not in done.stderr
