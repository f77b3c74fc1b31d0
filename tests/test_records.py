import doctest
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sudlib import records, teds
from sudlib.files import InputError, sha256
from sudlib.teds import codebook, registry


def test_examples_in_docstrings_run():
    assert doctest.testmod(records).failed == 0


@pytest.fixture
def mine(tmp_path):
    """Return the path of a file of 500 rows of 2018, and its frame."""
    frame = records.load("twin", rows=500)
    # As if they were real: a real file's cases are numbered lower.
    frame["CASEID"] = 2018 * 10**7 + 10**6 + np.arange(500)
    return frame, teds.write(frame, tmp_path / "mine.csv")


def agency(monkeypatch, tmp_path, years):
    """Make small files stand for the agency's, as if fetched; return the calls."""
    asked = []

    def fetch(year, *, folder=None):
        asked.append(year)
        frame = records.load("twin", years=(year,), rows=100)
        frame["CASEID"] = year * 10**7 + 10**6 + np.arange(100)
        return teds.write(frame, tmp_path / f"agency_{year}.csv")

    monkeypatch.setattr(teds, "fetch", fetch)
    return asked


def test_three_doors_give_one_schema(mine, monkeypatch, tmp_path):
    frame, path = mine
    agency(monkeypatch, tmp_path, [2018])
    frames = [records.load(door) for door in ("teds-d-2018", str(path), path)]
    for each in [frame, *frames]:
        assert list(each.columns) == list(codebook.COLUMNS)
        assert {n: str(k) for n, k in each.dtypes.items()} == {
            name: codebook.dtype(name) for name in codebook.COLUMNS
        }
        assert list(each.index) == list(range(len(each)))
    assert [each.attrs["synthetic"] for each in [frame, *frames]] == [
        True,
        None,
        None,
        None,
    ]
    assert frame.attrs["data"] == "twin" and frame.attrs["sha256"] is None
    assert frames[0].attrs["data"] == "teds-d-2018"
    assert frames[1].attrs["data"] == "mine.csv"
    assert frames[1].attrs["sha256"] == sha256(path)


def test_twin_draws_the_rows_asked_for_and_always_the_same():
    one = records.load("twin", rows=1000, seed=1)
    again = records.load("twin", rows=1000, seed=1)
    other = records.load("twin", rows=1000, seed=2)
    pd.testing.assert_frame_equal(one, again)
    assert len(one) == 1000 and not one.equals(other)
    assert set(one.DISYR) == {2018} and one.attrs["rows_in_file"] == 1000


def test_twin_of_two_years_shares_the_rows_as_the_files_do():
    frame = records.load("twin", years=(2017, 2018), rows=2001)
    counts = frame.DISYR.value_counts()
    share = codebook.size(2017) / (codebook.size(2017) + codebook.size(2018))
    assert len(frame) == 2001 and abs(counts[2017] - 2001 * share) <= 1
    assert frame.attrs["years"] == [2017, 2018] and frame.attrs["synthetic"]
    assert not frame.duplicated(["DISYR", "CASEID"]).any()
    assert len(records.load("twin", years=(2017, 2018), rows=1)) == 1


def test_real_rows_are_sampled_without_replacement_in_their_order(mine):
    frame, path = mine
    picked = records.load(path, rows=200, seed=5)
    assert len(picked) == 200 and picked.CASEID.is_monotonic_increasing
    assert picked.CASEID.is_unique and picked.attrs["rows_in_file"] == 500
    pd.testing.assert_frame_equal(picked, records.load(path, rows=200, seed=5))
    assert not picked.equals(records.load(path, rows=200, seed=6))
    assert len(records.load(path, rows=500)) == 500
    with pytest.raises(InputError, match="rows is 501, but mine.csv has only 500"):
        records.load(path, rows=501)


def test_columns_wanted_are_those_given(mine):
    frame, path = mine
    for door in ("twin", path):
        got = records.load(door, rows=50, columns=["REASON", "SEX"])
        assert list(got.columns) == ["REASON", "GENDER"]
    with pytest.raises(InputError, match="has no variable 'AGES'"):
        records.load("twin", rows=5, columns=["AGES"])
    with pytest.raises(InputError, match="has no column NUMSUBS"):
        records.load(path, columns=["NUMSUBS"])


def test_agencys_years_are_put_together(monkeypatch, tmp_path):
    asked = agency(monkeypatch, tmp_path, [2017, 2018])
    frame = records.load("teds-d-2018", years=(2017, 2018))
    assert asked == [2017, 2018]
    assert frame.DISYR.value_counts().to_dict() == {2017: 100, 2018: 100}
    attrs = frame.attrs
    assert attrs["data"] == "teds-d-2017+2018" and attrs["years"] == [2017, 2018]
    assert attrs["rows_in_file"] == 200 and attrs["verified"] is False
    assert len(attrs["sha256"].split(" + ")) == 2


def test_year_in_the_door_goes_before_years(monkeypatch, tmp_path):
    asked = agency(monkeypatch, tmp_path, [2019])
    assert records.load("TEDS-D-2019").attrs["years"] == [2019]
    assert asked == [2019]


def test_folder_of_official_files_is_a_door(mine, monkeypatch, tmp_path):
    frame, path = mine
    folder = tmp_path / "official"
    folder.mkdir()
    known = teds.read_registry()
    small = {
        year: teds.Download(**{**vars(known[year]), "csv": f"{year}.csv"})
        for year in (2017, 2018)
    }
    monkeypatch.setattr(registry, "official_download", lambda name: None)
    for module in (registry, teds):
        monkeypatch.setattr(module, "read_registry", lambda: small)
    for year in (2017, 2018):
        part = frame.assign(DISYR=np.int16(year), STFIPS=np.int8(1))
        part["CASEID"] = year * 10**7 + 10**6 + np.arange(500)
        teds.write(part, folder / f"{year}.csv")
    both = records.load(folder, years=(2017, 2018))
    assert len(both) == 1000 and both.attrs["data"] == "2017.csv + 2018.csv"
    (folder / "2017.csv").unlink()
    with pytest.raises(InputError, match="no file of 2017: neither 2017.csv nor"):
        records.load(folder, years=(2017, 2018))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"data": "twinn"}, 'must be "twin", "teds-d-YEAR" .* not \'twinn\''),
        ({"data": "no/such.csv"}, "no such file or folder"),
        ({"data": "teds-d-1999"}, "2015 to 2023, not 1999"),
        ({"data": "teds-d"}, "teds-d-YEAR"),
        ({"years": (2014,)}, "2015 to 2023, not 2014"),
        ({"years": ()}, "at least one year"),
        ({"years": (2018, 2018)}, "each once"),
        ({"years": ("2018",)}, "not '2018'"),
        (
            {"rows": 0},
            "rows must be a whole number from 1 up, or None for all there are, not 0",
        ),
        ({"rows": 1.5}, "not 1.5"),
        ({"rows": True}, "not True"),
        ({"seed": -1}, "seed must be a whole number from 0 up, not -1"),
        ({"seed": None}, "not None"),
    ],
    ids=str,
)
def test_what_is_no_door_year_size_or_seed_is_told(arguments, match):
    with pytest.raises(InputError, match=match):
        records.load(**arguments)


def test_a_frame_of_the_twin_is_still_made_up_when_it_comes_back(tmp_path):
    frame = records.load("twin", rows=50)
    path = teds.write(frame, Path(tmp_path) / "mine.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert records.load(path).attrs["synthetic"] is True


def test_no_real_record_is_read_aloud():
    frame = records.load("twin", rows=20)
    first = frame.iloc[0]
    assert records.example_aloud(frame) == teds.read_aloud(first)
    frame.attrs, frame["CASEID"] = {}, range(20)
    said = records.example_aloud(frame, ["AGE", "GENDER", "SUB1"])
    assert "made up" in said


@pytest.mark.parametrize(
    "data", ["teds-d-1999", "teds-d-18", "nowhere.csv", "Twin ", ""]
)
def test_a_door_that_is_not_there_is_named(data):
    if data == "":
        data = "no/such/folder"
    with pytest.raises(InputError):
        records.door(data)


@pytest.mark.parametrize("years", [2018.5, True, "2018", None, 2014, (2018, "2019")])
def test_years_are_whole_numbers_that_there_are(years):
    with pytest.raises(InputError, match="the year must be one of 2015 to 2023"):
        records.load("twin", rows=5, years=years)


def test_a_year_that_a_file_has_not_is_told(tmp_path):
    frames = [records.load("twin", rows=20, years=(year,)) for year in (2017, 2018)]
    pd.concat(frames).to_csv(tmp_path / "two.csv", index=False)
    with pytest.warns(UserWarning, match="two.csv has no discharges of 2019"):
        found = records.load(tmp_path / "two.csv", years=(2017, 2018, 2019))
    assert found.attrs["years"] == [2017, 2018] and len(found) == 40
    with pytest.warns(UserWarning) as told:
        found = records.load(tmp_path / "two.csv", years=(2018, 2019))
    assert [str(each.message)[:34] for each in told] == [
        "two.csv has no discharges of 2019",
        "two.csv: 20 of 40 rows are of othe",
    ]
    assert found["DISYR"].unique().tolist() == [2018]
