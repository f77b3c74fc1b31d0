"""Many years in one folder: the same counts as by hand, and no label lost."""

import numpy as np
import pandas as pd
import pytest

from sudlib import teds, twin
from sudlib.files import InputError


@pytest.fixture(scope="module")
def years():
    return {year: twin.sample(year, rows=400) for year in (2016, 2018, 2019)}


@pytest.fixture
def archive(years, tmp_path):
    archive = teds.Archive(tmp_path / "archive")
    for frame in years.values():
        archive.add(frame)
    return archive


def test_counts_are_those_of_all_rows_at_once(archive, years):
    together = pd.concat(years.values())
    by = ["DISYR", "GENDER", "REASON"]
    expected = together[together.SERVICES.isin([6, 7, 8]) & (together.METHUSE == 2)]
    expected = expected.groupby(by).size().rename("records").reset_index()
    counted = archive.count(by, {"SERVICES": (6, 7, 8), "METHUSE": 2})
    pd.testing.assert_frame_equal(counted, expected, check_dtype=False)


def test_records_are_read_as_they_were_kept(archive, years):
    columns = ["CASEID", "DISYR", "AGE", "SUB1"]
    read = archive.read(columns, {"DISYR": (2016, 2019), "STFIPS": 40})
    kept = pd.concat([years[2016], years[2019]])
    kept = kept.loc[kept.STFIPS == 40, columns].reset_index(drop=True)
    assert len(read)
    pd.testing.assert_frame_equal(read, kept, check_dtype=False)
    assert read.attrs["years"] == [2016, 2019]
    assert read.attrs["synthetic"] is True


def test_a_year_that_is_added_again_replaces_the_one_kept(archive):
    archive.add(twin.sample(2018, rows=50))
    assert archive.count("DISYR").records.tolist() == [400, 50, 400]


def test_a_frame_of_several_years_is_sorted_into_them(years, tmp_path):
    archive = teds.Archive(tmp_path)
    archive.add(pd.concat(years.values()))
    assert list(archive.files) == [2016, 2018, 2019]
    assert archive.count("DISYR").records.tolist() == [400] * 3


def test_a_column_that_one_year_lacks_is_missing_there(archive, years):
    archive.add(years[2016].drop(columns="HLTHINS"))
    counted = archive.count(["DISYR", "HLTHINS"]).set_index("DISYR")
    assert counted.loc[2016].to_dict() == {"HLTHINS": -9, "records": 400}
    assert counted.loc[2018].records.sum() == 400


def test_made_up_years_among_others_make_a_mixture(archive, years):
    assert archive.origin == "synthetic"
    other = years[2019].assign(CASEID=range(20191000000, 20191000400))
    other.attrs = {}
    archive.add(other)
    assert archive.origin == "mixture"
    assert archive.read(["AGE"]).attrs["synthetic"] is True


def test_nothing_in_an_archive_is_called_real(years, tmp_path):
    archive = teds.Archive(tmp_path)
    frame = years[2018].assign(CASEID=range(20181000000, 20181000400))
    frame.attrs = {"origin": "real", "synthetic": False}
    archive.add(frame)
    assert archive.origin == "unverified"
    assert archive.read(["AGE"]).attrs["synthetic"] is None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda frame: frame.drop(columns="DISYR"), "needs the column DISYR"),
        (lambda frame: frame.iloc[:0], "number of records.*not 0"),
        (lambda frame: frame.assign(AGE="old"), "AGE is 'old'"),
        (lambda frame: frame.assign(AGE=99), "AGE is 99"),
        (lambda frame: pd.concat([frame, frame[["AGE"]]], axis=1), "AGE twice"),
        (lambda frame: frame.to_dict("list"), "not dict"),
        (lambda frame: frame.assign(WEIGHT=1), "WEIGHT is no column"),
        (lambda frame: frame.assign(DISYR=1999), "1999"),
    ],
    ids=[
        *("no year", "no row", "no label", "no code", "a column twice", "no frame"),
        *("another column", "another year"),
    ],
)
def test_what_cannot_be_kept_is_told(archive, years, spoil, said):
    with pytest.raises(InputError, match=said):
        archive.add(spoil(years[2018]))
    assert archive.count("DISYR").records.sum() == 1200


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda archive: archive.count("AGEE"), "no variable 'AGEE'"),
        (lambda archive: archive.read(["AGE", "AGE"]), "each once"),
        (lambda archive: archive.count("AGE", {"SUBJ": 1}), "SUBJ is no column"),
        (lambda archive: archive.count("NUMSUBS"), "has no column NUMSUBS"),
        (lambda archive: archive.count([]), "at least one column"),
        (lambda archive: archive.count("AGE", {"AGE": 999}), "by its codes.*999"),
        (lambda archive: archive.count("AGE", {"AGE": "5"}), "by its codes.*'5'"),
        (lambda archive: archive.count("AGE", {"AGE": 2.5}), "by its codes.*2.5"),
        (lambda archive: archive.count("AGE", {"AGE": 13}), "by its codes.*13"),
        (lambda archive: archive.count("AGE", {"AGE": [2, None]}), "by its codes"),
        (lambda archive: archive.count("AGE", {"AGE": True}), "by its codes.*True"),
        (lambda archive: archive.count("AGE", {"DISYR": 2017}), "2016, 2018, 2019"),
        (lambda archive: archive.count("AGE", ["AGE"]), "where must map"),
    ],
)
def test_a_question_about_no_column_is_told(archive, ask, said):
    with pytest.raises(InputError, match=said):
        ask(archive)


def test_an_archive_is_a_folder_with_a_year_in_it(tmp_path):
    with pytest.raises(InputError, match="keeps no year yet"):
        teds.Archive(tmp_path).count("AGE")
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(InputError, match="is a file"):
        teds.Archive(path)


def test_years_of_other_integer_types_labels_and_floats_are_kept_as_codes(
    archive, years
):
    plain = archive.count(["DISYR", "AGE"])
    for kind in ("int64", "Int32", "float64", "string", "category"):
        archive.add(years[2018].astype({"AGE": kind, "DISYR": "int64"}))
        pd.testing.assert_frame_equal(archive.count(["DISYR", "AGE"]), plain)
    assert archive.read(["AGE"]).dtypes.to_list() == ["int8"]


def test_years_that_are_read_are_those_that_were_asked_for(archive):
    assert archive.read(["AGE"], {"DISYR": np.int16(2018)}).attrs["years"] == [2018]
    assert archive.read(["AGE"]).attrs["years"] == [2016, 2018, 2019]


def test_a_year_whose_file_is_cut_off_is_named(archive, years):
    path = archive.files[2018]
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="2018.*not a whole parquet file.*again"):
        archive.count("AGE")
    (archive.folder / "DISYR=new").mkdir()
    (archive.folder / "DISYR=new" / "records.parquet").write_bytes(b"")
    archive.add(years[2018])
    assert archive.count("DISYR").records.tolist() == [400] * 3


@pytest.mark.parametrize("cells", [["one"], [1.0], [[1]]])
def test_a_file_that_no_archive_wrote_is_named_and_not_its_neighbour(archive, cells):
    pd.DataFrame({"AGE": cells}).to_parquet(archive.files[2016])
    for ask in (archive.count, archive.read):
        with pytest.raises(InputError, match="DISYR=2016.*AGE.*add its year again"):
            ask(["AGE"], {"DISYR": 2019})
