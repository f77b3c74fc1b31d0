"""Files of other kinds and other packing: read, or one line with a remedy."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest

from sudlib import records, teds
from sudlib.files import InputError


def tar(content):
    """The same bytes in a tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as bundle:
        entry = tarfile.TarInfo("t.csv")
        entry.size = len(content)
        bundle.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(scope="module")
def frame():
    return records.load("twin", rows=40)


@pytest.fixture
def table(frame, tmp_path):
    return teds.write(frame, tmp_path / "table.csv")


def refuse(path, *words):
    """Hold that a file is refused in one line that names it and what to do."""
    with pytest.raises(InputError) as caught:
        teds.read(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message, message


def zipped(path, table, method=zipfile.ZIP_DEFLATED, says=None, flag=0):
    """Pack a table; ``says`` is the number of the method written in both headers."""
    with zipfile.ZipFile(path, "w", method) as bundle:
        bundle.write(table, "tedsd.csv")
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\x01\x02")
    for place in (6, central + 8):
        content[place] |= flag
    if says is not None:
        for place in (8, central + 10):
            content[place : place + 2] = struct.pack("<H", says)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("ending", [".zip", ".csv", ""])
def test_a_zip_is_one_whatever_its_name(table, frame, tmp_path, method, ending):
    path = zipped(tmp_path / f"packed{ending}", table, method)
    assert len(teds.read(path)) == len(frame)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_python_knows_are_unpacked_and_damage_is_told(
    table, frame, tmp_path, method
):
    path = zipped(tmp_path / "packed.zip", table, method)
    assert len(teds.read(path)) == len(frame)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged|cut off"):
        teds.read(path)


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "Deflate64 (Windows Explorer"), (98, "PPMd"), (99, "AES"), (77, "number 77")],
)
def test_methods_that_python_does_not_know_are_named(table, tmp_path, number, name):
    path = zipped(tmp_path / "packed.zip", table, says=number)
    refuse(path, name, "unpack it and give the CSV")


def test_a_zip_with_a_password_is_refused(table, tmp_path):
    path = zipped(tmp_path / "secret.zip", table, flag=1)
    refuse(path, "is encrypted", "password", "give the CSV")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ["holds nothing"]),
        (["notes.docx"], ["holds notes.docx", "unpack it"]),
        (["one.csv", "two.csv"], ["one.csv, two.csv", "unpack it"]),
        (["inner.zip"], ["holds inner.zip", "unpack it"]),
        (["[Content_Types].xml", "xl/sheet1.xml"], ["spreadsheet", "save it as CSV"]),
    ],
)
def test_a_zip_without_one_table_is_refused(table, tmp_path, names, words):
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        for name in names:
            bundle.write(table, name)
    refuse(path, *words)


def test_the_table_is_found_beside_what_others_put_there(table, frame, tmp_path):
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("folder/", "")
        bundle.write(table, "folder/TEDSD.TSV")
        bundle.writestr("folder/codebook.csv", "variable,label\nAGE,Age\n")
        bundle.writestr("folder/._TEDSD.TSV", "x")
        bundle.writestr("__MACOSX/folder/._TEDSD.csv", "x")
        bundle.writestr(".DS_Store", "x")
    assert len(teds.read(path)) == len(frame)


def test_packed_tables_in_a_zip_are_named(table, tmp_path):
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("inside.csv", gzip.compress(table.read_bytes()))
    with pytest.raises(InputError, match="inside.csv is a gzip archive.*unpack it"):
        teds.read(path)


@pytest.mark.parametrize(
    ("name", "pack", "kind", "remedy"),
    [
        ("t.csv.gz", gzip.compress, "gzip", "unpack it"),
        ("t.csv.bz2", bz2.compress, "bzip2", "unpack it"),
        ("t.csv", lzma.compress, "xz", "unpack it"),
        ("t.7z", lambda text: b"7z\xbc\xaf\x27\x1c" + text, "7-Zip", "unpack it"),
        ("t.csv", lambda text: b"\x28\xb5\x2f\xfd\0" + text, "Zstand", "unpack it"),
        ("t.tar", tar, "tar archive", "unpack it"),
        ("t.sav", lambda text: b"$FL2" + text, "SPSS", "save it as CSV"),
        ("t.sas7bdat", lambda text: bytes(12) + b"\xc2\xea\x81\x60", "SAS", "save it"),
        ("t.rda", lambda text: b"RDX3\n" + text, "R file", "save it as CSV"),
        ("t.rds", lambda text: b"X\n\0\0" + text, "R file", "save it as CSV"),
        ("t.dta", lambda text: b"\x72\x02" + text, "Stata", "save it as CSV"),
        ("t.xls", lambda text: b"\xd0\xcf\x11\xe0" + text, "Excel", "save it as CSV"),
        ("t.json", lambda text: b'[{"AGE": 1}]', "JSON", "save it as CSV"),
        ("t.csv", lambda text: b"<!DOCTYPE html><p>No", "web page", "download"),
        ("t.csv", lambda text: b"\n", "empty", "download"),
        ("t.csv", lambda t: t.decode().encode("utf-16"), "UTF-16", "UTF-8"),
        ("t.csv", lambda t: t.decode().encode("utf-16-le"), "UTF-16", "UTF-8"),
        ("t.csv", lambda t: t.decode().encode("utf-16-be"), "UTF-16", "UTF-8"),
    ],
)
def test_other_kinds_of_file_are_named(table, tmp_path, name, pack, kind, remedy):
    path = tmp_path / name
    path.write_bytes(pack(table.read_bytes()))
    refuse(path, kind, remedy)


def test_files_that_pandas_writes_for_others_are_named(frame, tmp_path):
    frame.to_stata(tmp_path / "any.data", write_index=False)
    refuse(tmp_path / "any.data", "Stata", "save it as CSV")
    frame.to_feather(tmp_path / "any.data")
    refuse(tmp_path / "any.data", "Feather", "save it as CSV")


def test_the_content_says_what_a_file_is_not_its_ending(frame, tmp_path):
    frame.to_parquet(tmp_path / "table.csv")
    frame.to_csv(tmp_path / "table.parquet", index=False)
    for name in ("table.csv", "table.parquet"):
        read = teds.read(tmp_path / name)
        pd.testing.assert_frame_equal(read, frame)


# ------------------------------------------------------- discharges or admissions


def admissions(frame):
    """The same people as a file of admissions has them."""
    gone = [name for name in frame if name.endswith("_D")]
    admitted = frame.drop(columns=[*gone, "LOS", "REASON"])
    return admitted.rename(columns={"DISYR": "ADMYR"})


@pytest.mark.parametrize("name", ["tedsa_puf_2018.csv", "tedsd_puf_part.csv"])
@pytest.mark.parametrize("year", [None, 2018])
def test_admissions_are_refused_whatever_they_are_called(frame, tmp_path, name, year):
    admissions(frame).to_csv(tmp_path / name, index=False)
    with pytest.raises(InputError, match=r"admissions \(TEDS-A\).*REASON.*ADMYR is;"):
        teds.read(tmp_path / name, year=year)


def test_admissions_whose_year_has_another_name_are_refused_too(frame, tmp_path):
    path = tmp_path / "mine.csv"
    for name in ("DISYR", "OTHER"):
        admissions(frame).rename(columns={"ADMYR": name}).to_csv(path, index=False)
        with pytest.raises(InputError, match=r"is of admissions \(TEDS-A\)"):
            teds.read(path, year=2018)


def test_what_nothing_shows_to_be_discharges_is_refused(frame, tmp_path):
    path = tmp_path / "tedsd_2018.csv"
    frame[["CASEID", "AGE", "SUB1"]].to_csv(path, index=False)
    with pytest.raises(InputError, match="nothing shows .* discharges .* LOS"):
        teds.read(path, year=2018)
    assert len(teds.read(path, year=2018, check=False)) == len(frame)


def test_a_frame_of_admissions_has_no_cohorts(frame):
    for pick in (teds.cohorts.general, teds.cohorts.methadone, teds.cohorts.heroin):
        with pytest.raises(InputError, match="is of admissions"):
            pick(admissions(frame))
        with pytest.raises(InputError, match="is of admissions"):
            pick(admissions(frame)[["ADMYR", "SERVICES", "SUB1", "METHUSE"]])


# ------------------------------------------------------------ years of one's own


def several(tmp_path, frame, years=(2017, 2018, 2019)):
    parts = []
    for year in years:
        part = frame.assign(DISYR=np.int16(year), STFIPS=np.int8(1), IDU=np.int8(0))
        parts.append(part.assign(CASEID=year * 10**7 + 10**6 + np.arange(len(part))))
    return teds.write(pd.concat(parts, ignore_index=True), tmp_path / "all.csv")


def test_years_pick_from_a_file_of_several(frame, tmp_path):
    path = several(tmp_path, frame)
    for columns in (None, ["AGE", "DISYR"], ["AGE"]):
        with pytest.warns(UserWarning, match="80 of 120 rows are of other years than"):
            read = records.load(path, years=2019, columns=columns)
        assert len(read) == 40 and read.attrs["years"] == [2019]
        assert read.attrs["dropped"] == 80 and read.attrs["rows_in_file"] == 120
        assert "DISYR" not in read or set(read.DISYR) == {2019}
    with pytest.warns(UserWarning, match="40 of 120 rows .* than 2017 and 2018"):
        both = records.load(path, years=(2017, 2018, 2016))
    assert both.DISYR.value_counts().to_dict() == {2017: 40, 2018: 40}
    assert len(records.load(path, years=(2017, 2018, 2019))) == 120
    with pytest.raises(InputError, match="of 2017, 2018, 2019, none of 2015"):
        records.load(path, years=2015)


def test_the_only_year_of_a_file_is_taken_and_told(frame, tmp_path):
    path = several(tmp_path, frame, [2017])
    with pytest.warns(UserWarning, match="of 2017 only, .* not of 2019"):
        assert records.load(path, years=2019).attrs["years"] == [2017]
