import csv
import doctest
import errno
import io
import json
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sudlib import records, teds
from sudlib.files import InputError, sha256
from sudlib.origin import SYNTHETIC_CASES
from sudlib.teds import codebook, csv_blocks, gate, reader, registry, writer

# A busy machine is no failure of what is tested.
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SHARED = Path(
    os.environ.get("SUDLIB_SHARED", Path(__file__).resolve().parents[2] / "shared")
)
SAMPLE = SHARED / "teds/rows/tedsd_2023_sample_1000.csv"
needs_sample = pytest.mark.skipif(
    not SAMPLE.is_file(),
    reason="the 1,000 real rows are not here (SUDLIB_SHARED names their folder)",
)


def make(rows, year=2018, columns=codebook.COLUMNS, seed=0):
    """Records whose cells are codes of the year, each column on its own."""
    rng = np.random.default_rng(seed)
    frame = {}
    for name in columns:
        if name == "CASEID":
            values = year * 10**7 + 10**6 + rng.permutation(rows)
        elif name == "CBSA2010":
            values = rng.choice([-9, 10180, 49740], rows)
        else:
            values = rng.choice(list(codebook.codes(name, year)), rows)
        frame[name] = values.astype(codebook.dtype(name))
    return pd.DataFrame(frame)


def as_text(frame, line_end="\r\n"):
    """The official format, written the slow way."""
    lines = [",".join(frame.columns)]
    lines += [",".join(map(str, row)) for row in frame.to_numpy().tolist()]
    return line_end.join([*lines, ""])


def same(read, written):
    """Hold two frames against each other, attrs aside."""
    assert list(read.columns) == list(written.columns)
    for name in written.columns:
        assert read[name].dtype == codebook.dtype(name)
        assert (read[name].to_numpy() == written[name].to_numpy()).all(), name
    return True


@pytest.fixture
def official(tmp_path):
    """Write a whole official-looking file of 300 rows; return frame and path."""
    frame = make(300)
    path = tmp_path / "mine.csv"
    path.write_bytes(as_text(frame).encode())
    return frame, path


def test_examples_in_docstrings_run():
    assert doctest.testmod(reader).failed == 0


# ------------------------------------------------------------------ round trips

years = st.sampled_from([2015, 2016, 2017, 2018, 2019, 2020, 2023])
some_columns = st.lists(
    st.sampled_from([n for n in codebook.COLUMNS if n != "DISYR"]), unique=True
).map(lambda names: ["DISYR", *names])


@pytest.mark.parametrize("ending", [".csv", ".zip", ".parquet"])
@settings(QUICK, max_examples=25)
@given(
    year=years,
    columns=some_columns,
    rows=st.integers(1, 300),
    seed=st.integers(0, 99),
)
def test_what_is_written_is_what_is_read(
    tmp_path_factory, ending, year, columns, rows, seed
):
    frame = make(rows, year, columns if len(columns) > 1 else ["DISYR", "AGE"], seed)
    path = tmp_path_factory.mktemp("round") / f"mine{ending}"
    teds.write(frame, path)
    read = teds.read(path, list(frame.columns))
    assert same(read, frame)
    assert read.attrs["years"] == [year] and read.attrs["rows_in_file"] == rows


@settings(QUICK, max_examples=25)
@given(columns=some_columns, rows=st.integers(0, 60), seed=st.integers(0, 99))
def test_bytes_written_are_the_official_format(tmp_path_factory, columns, rows, seed):
    frame = make(rows, 2018, columns, seed)
    path = tmp_path_factory.mktemp("bytes") / "mine.csv"
    teds.write(frame, path)
    assert path.read_bytes() == as_text(frame).encode()


@settings(QUICK, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-128, 127),
            st.integers(-(2**31), 2**31 - 1),
        ),
        max_size=20,
    )
)
def test_any_integer_is_written_in_full(tmp_path_factory, rows):
    kinds = {"CASEID": "int64", "AGE": "int8", "CBSA2010": "int32"}
    frame = pd.DataFrame(rows, columns=list(kinds)).astype(kinds)
    path = tmp_path_factory.mktemp("any") / "mine.csv"
    teds.write(frame, path)
    assert path.read_bytes() == as_text(frame).encode()


def test_rows_beyond_one_block_come_back(tmp_path, monkeypatch):
    frame = make(600)
    path = teds.write(frame, tmp_path / "mine.csv")
    old = path.with_name("old mac.csv")
    old.write_bytes(as_text(frame, "\r").encode())
    # Pieces of whole rows, of less than one row, and larger than the file.
    for block, piece in ((20_000, 1_000), (1_000, 50), (1_000, 1_000), (10**7, 10**7)):
        monkeypatch.setattr(csv_blocks, "BLOCK", block)
        monkeypatch.setattr(csv_blocks, "PIECE", piece)
        monkeypatch.setattr(csv_blocks, "HEAD", max(block, 2_000))
        assert same(teds.read(path), frame) and same(teds.read(old), frame)
        assert teds.read(old).attrs["sha256"] == sha256(old)


def test_a_repeated_case_is_seen_however_far_apart_the_numbers_lie(tmp_path):
    for far in (0, 10**5):  # close together, and one far from the others
        frame = make(500)
        frame.loc[499, "CASEID"] += far
        assert len(teds.read(teds.write(frame, tmp_path / "all.csv"))) == 500
        frame.loc[400, "CASEID"] = frame.loc[7, "CASEID"]
        path = teds.write(frame, tmp_path / "twice.csv")
        with pytest.raises(InputError, match="of row 8 occurs again in row 401"):
            teds.read(path)


def test_any_line_ends_byte_order_mark_and_separators_are_read(tmp_path):
    frame = make(50)
    path = tmp_path / "mine.csv"
    for text in (
        as_text(frame, "\n"),
        "\ufeff" + as_text(frame),
        *(as_text(frame).replace(",", sign) for sign in "\t;|"),
        as_text(frame, "\r"),
        as_text(frame, "\r").rstrip("\r"),
        as_text(frame, "\n").replace("\n", "\r\n", 1),
        as_text(frame, "\n").replace("\n", "\r", 1),
        as_text(frame, "\n").rstrip("\n"),
        as_text(frame).lower(),  # the names, that is
        '"' + as_text(frame, "\n").replace(",", '","').replace("\n", '"\n"')[:-1],
    ):
        path.write_bytes(text.encode())
        assert same(teds.read(path), frame)


# --------------------------------------------------------- years, names, labels


def test_columns_wanted_come_in_the_order_wanted(official):
    frame, path = official
    read = teds.read(path, ["REASON", "AGE", "CASEID"])
    assert same(read, frame[["REASON", "AGE", "CASEID"]])


def test_file_of_2016_comes_back_in_the_one_schema(tmp_path):
    names = codebook.variables(2016)
    frame = make(40, 2016, [codebook.RENAMED.get(name, name) for name in names])
    path = tmp_path / "old.csv"
    path.write_text(as_text(frame.set_axis(names, axis=1)))
    read = teds.read(path)
    assert same(read, frame[list(codebook.COLUMNS)])
    assert same(teds.read(path, ["NUMSUBS", "CBSA"]), frame[["NUMSUBS", "CBSA2010"]])


def test_file_of_2023_has_sex_and_another_area(tmp_path):
    frame = make(40, 2023)
    path = tmp_path / "new.csv"
    path.write_text(as_text(frame.set_axis(codebook.variables(2023), axis=1)))
    assert same(teds.read(path), frame)
    assert same(teds.read(path, ["SEX"]), frame[["GENDER"]])


def label_file(frame, spell, encoding):
    """A file of text labels, as the agency made one in 2021."""
    texts = frame.astype(object)
    for name in frame.columns:
        if name not in ("DISYR", "CASEID", "CBSA2010"):
            words = codebook.codes(name, 2021)
            texts[name] = [spell(words[code]) for code in frame[name]]
    stream = io.StringIO()
    texts.to_csv(stream, index=False, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    return stream.getvalue().encode(encoding)


@pytest.mark.parametrize(
    ("spell", "encoding"),
    [
        (lambda label: label.replace("–", "-"), "latin-1"),
        (lambda label: label.upper().replace("–", "-"), "latin-1"),
        (lambda label: label, "cp1252"),  # the en dash is one byte, 0x96
        (lambda label: label, "utf-8"),
        (lambda label: label.replace("–", "â€“"), "cp1252"),  # dashes gone wrong
        (lambda label: label.replace("–", "?"), "ascii"),
        (lambda label: f"  {label} ".replace(" ", "  "), "cp1252"),
        (lambda label: label.replace("–", " – ").replace("/", " / "), "utf-8"),
    ],
)
def test_text_labels_of_2021_become_codes(tmp_path, spell, encoding):
    frame = make(400, 2021)
    path = tmp_path / "labels.csv"
    path.write_bytes(label_file(frame, spell, encoding))
    assert same(teds.read(path), frame)


def test_labels_with_their_code_in_front_become_codes(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(
        "DISYR,REASON,AGE\n2021,1 - Treatment Completed,1: 12–14 years\n2021,7,2\n"
    )
    read = teds.read(path)
    assert read.REASON.tolist() == [1, 7] and read.AGE.tolist() == [1, 2]


def test_no_two_codes_of_a_variable_share_a_wording():
    for name in codebook.COLUMNS:
        spelt = {}
        for code, wordings in codebook.wordings(name).items():
            for wording in wordings:
                assert spelt.setdefault(gate.plain(wording), code) == code, name


def test_unknown_label_is_a_clear_error(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("DISYR,GENDER\n2021,Male\n2021,Blue\n2021,Female\n2021,Blue\n")
    with pytest.raises(InputError) as caught:
        teds.read(path)
    message = str(caught.value)
    assert "GENDER is 'Blue' in row 2, line 3" in message
    assert "first of 2 such cells" in message and "allowed: -9, 1-2" in message


def test_names_of_areas_in_text_are_missing_with_a_warning(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('DISYR,CBSA2020\n2021,"Nowhere, XX"\n2021,"Akron, OH Metro"\n')
    with pytest.warns(UserWarning, match="CBSA2010 1"):
        read = teds.read(path)
    assert read.CBSA2010.tolist() == [-9, 10420]


def test_blank_cells_are_missing_counted_and_told(tmp_path):
    path = tmp_path / "blanks.csv"
    path.write_text("DISYR,AGE,LOS\n2018,,5\n2018,3,\n2018,,\n")
    with pytest.warns(UserWarning, match="4 blank cells .*AGE 2, LOS 2"):
        read = teds.read(path)
    assert read.AGE.tolist() == [-9, 3, -9] and read.LOS.tolist() == [5, -9, -9]
    assert read.attrs["blanks"] == {"AGE": 2, "LOS": 2}


@needs_sample
def test_real_sample_of_2023_reads_cell_for_cell():
    with open(SAMPLE, newline="") as stream:
        rows = list(csv.DictReader(stream))
    with pytest.warns(UserWarning, match="6354 blank cells"):
        read = teds.read(SAMPLE)
    assert read.shape == (1000, 44)
    for source in rows[0]:
        name = codebook.RENAMED.get(source, source)
        assert read[name].tolist() == [int(row[source] or -9) for row in rows]
    assert read.attrs["synthetic"] is None and read.attrs["verified"] is False
    assert read.attrs["sha256"] == sha256(SAMPLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no blank in these
        read = teds.read(SAMPLE, ["SEX", "AGE", "REASON"])
    assert list(read.columns) == ["GENDER", "AGE", "REASON"]
    with pytest.raises(InputError, match="no column DETCRIM, ROUTE2; it has DISYR"):
        teds.read(SAMPLE, ["AGE", "DETCRIM", "ROUTE2"])


# ------------------------------------------------------------------------ attrs


def test_attrs_say_where_the_records_are_from(official, tmp_path):
    frame, path = official
    attrs = teds.read(path).attrs
    assert attrs == {
        "data": "mine.csv",
        "years": [2018],
        "synthetic": None,
        "origin": "unverified",
        "sha256": sha256(path),
        "rows_in_file": 300,
        "dropped": 0,
        "verified": False,
        "blanks": {},
    }
    # The hash is that of the CSV, inside a zip too.
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as bundle:
        bundle.write(path, "any.csv")
    assert teds.read(tmp_path / "mine.zip").attrs["sha256"] == sha256(path)


def test_made_up_cases_are_told_by_their_numbers(tmp_path):
    frame = make(20)
    frame["CASEID"] += SYNTHETIC_CASES - 10**6
    path = teds.write(frame, tmp_path / "mine.csv")
    assert teds.read(path, ["AGE"]).attrs["synthetic"] is True


def test_made_up_records_stay_so_in_parquet(tmp_path):
    frame = make(20)
    frame.attrs = {"synthetic": True}
    path = teds.write(frame, tmp_path / "mine.parquet")
    assert teds.read(path).attrs["synthetic"] is True


def test_official_file_is_known_by_its_hash(official, monkeypatch):
    frame, path = official
    known = teds.read_registry()
    changed = teds.Download(
        **{**vars(known[2018]), "csv_sha256": sha256(path), "csv_bytes": None}
    )
    monkeypatch.setattr(registry, "read_registry", lambda: {2018: changed})
    for check in (True, False):
        attrs = teds.read(path, check=check).attrs
        assert attrs["verified"] is True and attrs["origin"] == "real"
        assert attrs["synthetic"] is False


# -------------------------------------------------------------------- bad input


def bad(path, match, *, columns=None, **options):
    with pytest.raises(InputError, match=match):
        teds.read(path, columns, **options)


def change(path, row, column, text):
    """Put a text into one cell; rows count from 1."""
    lines = path.read_bytes().decode().split("\r\n")
    place = lines[0].split(",").index(column)
    cells = lines[row].split(",")
    cells[place] = text
    lines[row] = ",".join(cells)
    path.write_bytes("\r\n".join(lines).encode())


def test_missing_file_folder_and_empty_file(tmp_path):
    bad(tmp_path / "none.csv", "there is no file .*none.csv")
    bad(tmp_path, "is a folder")
    bad("x" * 5000, "there is no file")
    os.mkfifo(tmp_path / "pipe.csv")  # would be waited for, or read twice
    bad(tmp_path / "pipe.csv", "there is no file .*pipe.csv")
    (tmp_path / "empty.csv").write_text("")
    bad(tmp_path / "empty.csv", "empty.csv is empty")
    (tmp_path / "head.csv").write_text("DISYR,CASEID\r\n")
    bad(tmp_path / "head.csv", "a header but no records")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name,price\nbread,2\n", "not a TEDS-D file: 0 of its 2 .*name, price"),
        ("DISYR,a,b,c\n2018,1,2,3\n", "not a TEDS-D file: 1 of its 4"),
        ("DISYR,AGE,AGE\n2018,1,1\n", "column AGE more than once"),
        ("DISYR,SEX,GENDER\n2018,1,1\n", "column GENDER twice, as SEX and GENDER"),
        ("%PDF-1.4\0\0\0", "is a PDF; .* give the data file itself"),
        ("DISYR,AGE\0\n2018,1\n", "is not a text file"),
    ],
)
def test_what_is_no_teds_d_file(tmp_path, text, match):
    (tmp_path / "other.csv").write_text(text)
    bad(tmp_path / "other.csv", match)


def test_missing_and_unknown_columns(official):
    frame, path = official
    part = path.with_name("part.csv")
    teds.write(frame[["DISYR", "AGE", "REASON"]], part)
    bad(part, "no column SUB1, LOS; it has DISYR", columns=["AGE", "SUB1", "LOS"])
    bad(part, "TEDS-D has no variable 'AGES'", columns=["AGES"])
    bad(part, "each once", columns=["AGE", "AGE"])
    bad(part, "at least one", columns=[])


def test_code_outside_the_codebook_names_row_column_value_allowed_and_count(official):
    frame, path = official
    for row in (7, 9, 250):
        change(path, row, "AGE", "13")
    change(path, 8, "SUB1", "0")
    with pytest.raises(InputError) as caught:
        teds.read(path)
    message = str(caught.value)
    assert "mine.csv does not fit the codebook" in message
    assert "AGE is 13 in row 7, line 8 (the first of 3 such cells)" in message
    assert "allowed: 1-12" in message
    assert "SUB1 is 0 in row 8, line 9; allowed: -9, 1-19" in message
    # Whoever wants it as it is may have it.
    assert teds.read(path, check=False).AGE[6] == 13
    # A column that is not wanted is not looked at.
    teds.read(path, ["LOS"])


@pytest.mark.parametrize("text", ["300", "-500", "99999999999"])
def test_code_that_does_not_even_fit(official, text):
    frame, path = official
    change(path, 12, "MARSTAT", text)
    bad(path, rf"MARSTAT is '?{text}'? in row 12, line 13")


def test_code_of_another_year_is_no_code_of_this_one(tmp_path):
    frame = make(30, 2018).assign(STFIPS=np.int8(13))  # Georgia is not in 2018
    path = teds.write(frame, tmp_path / "mine.csv")
    bad(path, r"STFIPS is 13 in row 1, line 2 \(the first of 30")


def test_codes_of_late_years_say_that_their_codebook_is_not_at_hand(tmp_path):
    frame = make(30, 2022).assign(NOPRIOR=np.int8(5))
    path = teds.write(frame, tmp_path / "mine.csv")
    bad(path, "codebook of 2022 is not part of sudlib.*check=False")


@pytest.mark.parametrize("text", ["3.5", "x", "1e1", "--1"])
def test_cell_that_is_no_integer(official, text):
    frame, path = official
    change(path, 5, "EDUC", text)
    bad(path, f"EDUC is '{text}' in row 5, line 6; allowed: -9, 1-5")


def test_repeated_case_is_an_error_unless_said_otherwise(tmp_path):
    frame = make(20)
    frame.loc[[15, 17], "CASEID"] = frame.CASEID[4]
    path = teds.write(frame, tmp_path / "mine.csv")
    bad(path, r"CASEID \d+ of row 5 occurs again in row 16; 2 rows repeat")
    assert len(teds.read(path, duplicates="keep")) == 20
    with pytest.warns(UserWarning, match="2 of 20 rows repeat the CASEID .* dropped"):
        kept = teds.read(path, duplicates="drop")
    assert kept.attrs["dropped"] == 2
    assert same(kept, frame.drop([15, 17]))
    assert list(kept.index) == list(range(18))
    assert kept.attrs["rows_in_file"] == 20
    bad(path, "must be one of error, drop, keep, not 'no'", duplicates="no")


def test_same_number_in_two_years_is_no_repeated_case(tmp_path):
    frame = pd.concat([make(5, 2017), make(5, 2018)], ignore_index=True)
    frame["CASEID"] = [1, 2, 3, 4, 5] * 2
    path = teds.write(frame, tmp_path / "mine.csv")
    assert teds.read(path).attrs["years"] == [2017, 2018]
    frame.loc[9, "CASEID"] = 1
    teds.write(frame, path)
    bad(path, "CASEID 1 of row 6 occurs again in row 10; 1 rows")


@pytest.mark.parametrize("cut", [1, 2, 3, 40, 100])
def test_truncated_csv_is_told(official, cut):
    frame, path = official
    path.write_bytes(path.read_bytes()[:-cut])
    bad(path, "cut off")


def test_row_with_too_few_or_too_many_fields_is_told(official):
    frame, path = official
    lines = path.read_bytes().split(b"\r\n")
    for place, line in ((57, lines[57].rsplit(b",", 3)[0]), (9, lines[9] + b",1,1")):
        path.write_bytes(b"\r\n".join([*lines[:place], line, *lines[place + 1 :]]))
        fields = line.count(b",") + 1
        bad(path, f"row {place}, line {place + 1} has {fields} fields, .* has 76")


def test_official_name_with_too_few_bytes_or_rows_or_another_hash(official):
    frame, path = official
    known = teds.read_registry()[2018]
    copy = path.with_name("tedsd_puf_2018.csv")
    copy.write_bytes(path.read_bytes())
    bad(copy, "agency's file of 2018 has 308,822,434: it is cut off")
    assert same(teds.read(path), frame)  # under its own name it is fine
    with pytest.MonkeyPatch.context() as patch:
        smaller = teds.Download(**{**vars(known), "csv_bytes": copy.stat().st_size})
        patch.setattr(registry, "read_registry", lambda: {2018: smaller})
        bad(copy, "has 300 records, .* 2018 has 1,666,366")
        patch.setattr(codebook, "size", lambda year: 300)
        bad(copy, "is not the agency's file of 2018: its SHA-256 is")
        with zipfile.ZipFile(path.with_name("official.zip"), "w") as bundle:
            bundle.write(copy, copy.name)
        bad(path.with_name("official.zip"), "is not the agency's file of 2018")
    assert same(teds.read(path.with_name("official.zip"), check=False), frame)


def test_truncated_damaged_or_other_zip(official):
    frame, path = official
    bundle = teds.write(make(3000), path.with_name("mine.zip"))
    whole = bundle.read_bytes()
    for cut in (len(whole) // 2, len(whole) - 10, 10):
        bundle.write_bytes(whole[:cut])
        bad(bundle, "not a whole zip file")
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    bundle.write_bytes(damaged)
    bad(bundle, "cut off or damaged|cannot be unpacked")


def test_zip_must_hold_one_table(tmp_path):
    path = tmp_path / "mine.zip"
    text = as_text(make(5))
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("readme.pdf", "x")
    bad(path, "must hold one CSV of TEDS-D; it holds readme.pdf")
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("readme.txt", "x")
        bundle.writestr("folder/table.csv", text)
    assert len(teds.read(path)) == 5
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("other.csv", text)
    bad(path, "it holds readme.txt, folder/table.csv, other.csv")


def test_truncated_parquet_is_told(tmp_path):
    path = teds.write(make(50), tmp_path / "mine.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    bad(path, "not a whole parquet file")


def test_parquet_is_checked_too(tmp_path):
    frame = make(30)
    path = tmp_path / "mine.parquet"
    frame.assign(AGE=99).to_parquet(path)
    bad(path, r"AGE is 99 in row 1, line 2 \(the first of 30")
    frame.assign(AGE=1.5).to_parquet(path)
    bad(path, r"AGE is 1\.5 in row 1, line 2 \(the first of 30 ")
    frame.astype("float64").to_parquet(path)  # whole numbers all the same
    assert same(teds.read(path), frame)
    frame.assign(AGE=pd.array([None] * 30, "Int8")).to_parquet(path)
    with pytest.warns(UserWarning, match="AGE 30"):
        assert set(teds.read(path).AGE) == {-9}


def test_year_that_is_not_known(tmp_path):
    frame = make(5).assign(DISYR=np.int16(2014))
    path = teds.write(frame, tmp_path / "mine.csv")
    bad(path, r"DISYR is 2014 in row 1, line 2 .*allowed: 2015-2023")
    bad(path, "must be one of 2015 to 2023, not 2024", year=2024)
    good = teds.write(make(5), tmp_path / "good.csv")
    bad(good, "has records of 2018 in DISYR, but year=2017 was given", year=2017)


def test_file_without_a_year_needs_one(tmp_path):
    frame = make(5)[["CASEID", "AGE", "LOS"]]
    path = teds.write(frame, tmp_path / "mine.csv")
    bad(path, "has no column DISYR, so its year is not known: say year=")
    assert teds.read(path, year=2018).attrs["years"] == [2018]
    bad(path, "year=2019 was given, but its case numbers begin with 2018", year=2019)
    named = teds.write(frame, tmp_path / "teds_2018.csv")  # a name is no proof
    bad(named, "has no column DISYR")


# ---------------------------------------------------------------- writing safely


def test_frame_that_cannot_be_written_is_refused(tmp_path):
    frame = make(3)
    with pytest.raises(InputError, match=r"ends in .csv, .zip, .parquet, not 'a.txt'"):
        teds.write(frame, tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"hold integers .*: AGE \(float64\)"):
        teds.write(frame.assign(AGE=1.5), tmp_path / "a.csv")
    with pytest.raises(InputError, match="AGE"):
        holes = pd.array([1, None, 2], "Int8")
        teds.write(frame.assign(AGE=holes), tmp_path / "a.csv")
    with pytest.raises(InputError, match="no folder .*nowhere"):
        teds.write(frame, tmp_path / "nowhere" / "a.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".csv", ".zip", ".parquet"])
def test_made_up_records_never_get_an_official_name(tmp_path, ending):
    frame = make(3)
    frame.attrs = {"synthetic": True}
    with pytest.raises(InputError, match="name of an official file"):
        teds.write(frame, tmp_path / f"tedsd_puf_2019{ending}")


@pytest.mark.parametrize("ending", [".csv", ".zip"])
def test_full_disk_is_told_and_nothing_is_lost(tmp_path, monkeypatch, ending):
    path = tmp_path / f"mine{ending}"
    teds.write(make(3), path)
    before = path.read_bytes()

    def lines(frame):
        yield b"DISYR\r\n"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "_lines", lines)
    with pytest.raises(InputError, match="disk of .* is full .* nothing was changed"):
        teds.write(make(5), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = teds.write(make(3), tmp_path / "mine.csv")
    before = path.read_bytes()

    def lines(frame):
        yield b"DISYR\r\n"
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "_lines", lines)
    with pytest.raises(KeyboardInterrupt):
        teds.write(make(5), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_same_records_give_the_same_zip(tmp_path):
    one = teds.write(make(9), tmp_path / "one.zip").read_bytes()
    again = teds.write(make(9), tmp_path / "one.zip").read_bytes()
    assert one == again


# ---------------------------------------------------------------------- registry


def test_registry_has_every_year_its_addresses_and_what_is_known():
    known = teds.read_registry()
    assert tuple(known) == codebook.YEARS
    for year, download in known.items():
        assert download.urls and all(u.startswith("https://") for u in download.urls)
        assert all(url.endswith(download.zip) for url in download.urls)
        assert "www.samhsa.gov/data" in download.urls[0]  # newest first
        if year in (2021, 2023):
            assert download.zip_sha256 is None and download.csv_sha256 is None
        else:
            assert len(download.zip_sha256) == len(download.csv_sha256) == 64


@pytest.mark.skipif(
    not (SHARED / "teds").is_dir(),
    reason="the list of downloads is not here (SUDLIB_SHARED names its folder)",
)
def test_registry_is_the_verified_list():
    known = teds.read_registry()
    with open(SHARED / "teds/downloads.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        download = known[int(row["year"])]
        assert download.zip == row["bundle"]
        assert download.zip_bytes == int(row["bundle_bytes"])
        assert download.zip_sha256 == row["bundle_sha256"]
        assert download.csv == row["data_file"]
        assert download.csv_bytes == int(row["data_bytes"])
        assert download.csv_sha256 == row["data_sha256"]
        assert download.urls[0] == row["url"]
        assert codebook.size(int(row["year"])) == int(row["n_data_rows"])
    names = json.loads((SHARED / "teds/download_urls.json").read_text())
    for year, name in names["data_file_names_inside_zip"].items():
        assert known[int(year)].csv == name.split()[0]


@pytest.mark.parametrize("columns", [None, ["CASEID"], ["AGE", "CASEID"]])
def test_case_numbers_that_pandas_keeps_as_an_index_are_read(tmp_path, columns):
    frame = make(5).assign(CASEID=range(20188000000, 20188000005))
    frame.set_index("CASEID").to_parquet(tmp_path / "indexed.parquet")
    read = teds.read(tmp_path / "indexed.parquet", columns)
    assert read["CASEID"].tolist() == frame["CASEID"].tolist()
    assert read.attrs["origin"] == "synthetic"  # known by these numbers
    if columns is None:
        assert read["AGE"].tolist() == frame["AGE"].tolist()


def test_a_damaged_zip_is_named(tmp_path):
    path = tmp_path / "sent.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("tedsd.csv", as_text(make(200)))
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)
    with pytest.raises(InputError, match="tedsd.csv in sent.zip cannot be unpacked"):
        teds.read(path)


@pytest.mark.parametrize("columns", [5, [5], [["AGE"]], {"AGE", "SEX"}, b"AGE", [None]])
def test_columns_are_a_list_of_names(official, columns):
    path, said = official[1], "columns must list|TEDS-D has no variable"
    bad(path, said, columns=columns)
    with pytest.raises(InputError, match=said):
        records.load("twin", rows=5, columns=columns)
    with pytest.raises(InputError, match="year must be one of 2015"):
        teds.read(path, year=np.array([2018, 2019]))


def test_a_file_that_may_not_be_read_is_named(official, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    bad(official[1], f"{official[1].name} cannot be read .Permission denied")


def test_what_is_written_has_names_and_loses_no_key(tmp_path):
    frame = make(5)
    path = teds.write(frame.set_index(["DISYR", "CASEID"]), tmp_path / "keys.csv")
    assert teds.read(path).CASEID.tolist() == frame.CASEID.tolist()
    for wrong in (
        pd.concat([frame, frame[["AGE"]]], axis=1),
        frame.rename(columns={"AGE": "the,age"}),
        frame.rename_axis("AGE"),
        frame.set_axis(pd.MultiIndex.from_product([["x"], frame.columns]), axis=1),
    ):
        with pytest.raises(InputError, match="columns must have a name each"):
            teds.write(wrong, tmp_path / "wrong.csv")
    with pytest.raises(InputError, match="must be a pandas DataFrame, not Series"):
        teds.write(frame.AGE, tmp_path / "wrong.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="folder.csv' cannot be written"):
        teds.write(frame, tmp_path / "folder.csv")
    with pytest.raises(InputError, match="cannot be written"):
        teds.write(frame, "/proc/x.csv")


def test_many_columns_of_ones_own_leave_a_file_what_it_is(tmp_path):
    frame = pd.DataFrame({name: [1] for name in codebook.COLUMNS[:30]})
    frame["DISYR"], frame["CASEID"] = 2018, 20181000001
    own = pd.DataFrame({f"mine_{place}": [0] for place in range(60)})
    path = tmp_path / "more.csv"
    pd.concat([own, frame], axis=1).to_csv(path, index=False)
    assert teds.read(path, check=False).shape == (1, 30)
