"""Made-up rows keep their label, and nothing that may be one is called real."""

import doctest
import io

import numpy as np
import pandas as pd
import pytest

from sudlib import book, origin, records, teds
from sudlib.files import InputError, sha256
from sudlib.oklahoma import cohort
from sudlib.teds import registry


@pytest.fixture(scope="module")
def twin():
    return records.load("twin", rows=300, years=(2019,))


def numbered(frame, start=10**6):
    """The rows with numbers as the agency gives them, and without attrs."""
    frame = frame.assign(CASEID=2019 * 10**7 + start + np.arange(len(frame)))
    frame.attrs = {}
    return frame


@pytest.fixture
def real(twin, tmp_path, monkeypatch):
    """Records whose file has the hash of the agency's."""
    path = teds.write(numbered(twin), tmp_path / "official.csv")
    known = registry.read_registry()[2019]
    same = teds.Download(**{**vars(known), "csv_sha256": sha256(path)})
    monkeypatch.setattr(registry, "read_registry", lambda: {2019: same})
    return teds.read(path)


def test_examples_in_docstrings_run():
    assert doctest.testmod(origin).failed == 0


def labels(frame):
    """What every place that keeps the label says of a frame."""
    run = book.start("not_in_the_book", size="quick")
    run.uses(frame)
    run.claim("a.x", 0.5)
    assert run.claims[0]["synthetic"] is run.synthetic
    assert run.data[0]["origin"] == run.origin == origin.origin_of(frame)
    return run.origin


def saved_csv(frame):
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))


def saved_parquet(frame):
    file = io.BytesIO()
    frame.to_parquet(file)
    return pd.read_parquet(file)


STATES = pd.DataFrame({"STFIPS": range(1, 80), "name": "x"})


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t,
        lambda t: pd.concat([t, records.load("twin", rows=9)]),
        lambda t: t.merge(STATES, on="STFIPS", how="left"),
        lambda t: STATES.merge(t, on="STFIPS"),
        lambda t: t.merge(t, on="STFIPS"),
        lambda t: pd.concat({"one": t}, axis=1),
        lambda t: t.groupby("GENDER", group_keys=False).sample(20, random_state=0),
        lambda t: t[t.AGE > 3].assign(x=1).sort_values("AGE"),
        lambda t: pd.DataFrame(t.to_dict("records")),
        lambda t: t.drop(columns="CASEID"),  # the attrs say it
        lambda t: pd.DataFrame(t.set_index("CASEID").to_dict("index")).T.rename_axis(
            "CASEID"
        ),
        saved_csv,
        saved_parquet,
        lambda t: saved_csv(t).astype(str),
        lambda t: saved_csv(t).astype("category"),
        lambda t: saved_csv(t).astype("Int64"),
        lambda t: saved_csv(t).rename(columns=str.lower),
    ],
)
def test_made_up_rows_keep_their_label(twin, change):
    assert labels(change(twin)) == "synthetic"


@pytest.mark.parametrize("ending", [".csv", ".zip", ".parquet"])
@pytest.mark.parametrize("columns", [None, ["AGE"], ["AGE", "CASEID"]])
def test_made_up_rows_are_known_in_files(twin, tmp_path, ending, columns):
    bare = twin.copy()
    bare.attrs = {}
    path = teds.write(bare, tmp_path / f"mine{ending}")
    for read in (
        teds.read(path, columns),
        records.load(path, years=2019, columns=columns, rows=5),
    ):
        assert read.attrs["synthetic"] is True and labels(read) == "synthetic"
    with pytest.raises(InputError, match="name of an official file"):
        teds.write(bare, tmp_path / f"tedsd_puf_2019{ending}")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.drop(columns="CASEID"),
        lambda t: t.assign(CASEID=range(1, len(t) + 1)),
        numbered,
    ],
)
def test_what_cannot_be_shown_to_be_real_is_not_called_so(twin, tmp_path, change):
    changed = change(twin)
    changed.attrs = {}
    path = tmp_path / "mine.csv"
    changed.to_csv(path, index=False)
    for read in (changed, teds.read(path), records.load(path, years=2019)):
        assert read.attrs.get("synthetic") is None
        assert labels(read) == "unverified"
        assert "This one is made up" in records.example_aloud(read)
        with pytest.raises(InputError, match="only made-up records"):
            cohort.older_noprior(read)


def test_a_parquet_file_of_the_library_keeps_the_label_without_numbers(twin, tmp_path):
    bare = twin.drop(columns="CASEID")
    path = teds.write(bare, tmp_path / "mine.parquet")
    assert teds.read(path).attrs["origin"] == "synthetic"
    bare.to_parquet(path)  # pandas keeps the attrs
    assert teds.read(path).attrs["origin"] == "synthetic"
    for ending in (".csv", ".zip"):
        with pytest.raises(InputError, match="would not show .* made up: keep CASEID"):
            teds.write(bare, tmp_path / f"mine{ending}")


@pytest.mark.parametrize("made_up", [1, 3, 299])
def test_real_rows_among_made_up_ones_are_a_mixture(twin, tmp_path, made_up):
    bare = twin.copy()
    bare.attrs = {}
    both = pd.concat([numbered(twin)[made_up:], bare[:made_up]], ignore_index=True)
    assert labels(both) == "mixture"
    path = teds.write(both, tmp_path / "mine.csv")
    for columns in (None, ["AGE"]):
        read = teds.read(path, columns)
        assert read.attrs["origin"] == "mixture" and read.attrs["synthetic"] is True
        assert labels(read) == "mixture"
    assert labels(records.load(path, years=2019)) == "mixture"
    with pytest.raises(InputError, match="only made-up records"):
        cohort.older_noprior(both)


@pytest.mark.parametrize("made_up", [2018, 2019])
def test_a_folder_of_real_and_made_up_years_is_a_mixture_without_numbers_too(
    twin, tmp_path, monkeypatch, made_up
):
    known = teds.read_registry()
    small = {
        year: teds.Download(**{**vars(known[year]), "csv": f"{year}.csv"})
        for year in (2018, 2019)
    }
    monkeypatch.setattr(registry, "official_download", lambda name: None)
    for module in (registry, teds):
        monkeypatch.setattr(module, "read_registry", lambda: small)
    for year in small:
        start = 8 * 10**6 if year == made_up else 10**6
        part = twin.assign(DISYR=np.int16(year), STFIPS=np.int8(1))
        part["CASEID"] = year * 10**7 + start + np.arange(len(part))
        part.attrs = {}
        teds.write(part, tmp_path / f"{year}.csv")
    for columns in (None, ["AGE"]):
        read = records.load(tmp_path, years=(2018, 2019), columns=columns)
        assert read.attrs["synthetic"] is True and labels(read) == "mixture"


def test_the_agencys_file_is_real_until_something_else_is_among_it(real, twin):
    assert labels(real) == labels(real[real.AGE > 3]) == "real"
    assert real.attrs["synthetic"] is False
    assert labels(pd.concat([real, twin])) == "mixture"
    bare = real.drop(columns="CASEID")
    assert labels(bare) == "real"
    assert labels(pd.concat([bare, twin.drop(columns="CASEID")])) == "unverified"
    assert labels(pd.concat([bare, bare])) == "unverified"  # more than the file had
    assert labels(real.merge(STATES, on="STFIPS")) != "synthetic"


def test_a_page_on_real_and_unknown_records_is_not_verified(real, twin):
    run = book.start("not_in_the_book", size="quick")
    run.uses(real)
    assert run.synthetic is False and run.records_words == "real records"
    run.uses(numbered(twin))
    assert run.synthetic is None and "not verified" in run.records_words
    run.uses(twin)
    assert run.synthetic is True and "among others" in run.records_words


def test_made_up_cases_are_known_under_another_name():
    frame = pd.DataFrame({"CASEID": [20188000001, 20188000002], "AGE": [3, 4]})
    renamed = frame.rename(columns={"CASEID": "person"})
    assert origin.origin_of(renamed) == "synthetic"
    assert origin.origin_of(renamed.set_index("person")) == "synthetic"
    assert origin.origin_of(renamed.astype({"person": float})) == "synthetic"
    other = pd.DataFrame({"income": [20188000001, 3], "AGE": [3, 4]})
    assert origin.origin_of(other) == "unverified"


def test_made_up_cases_are_known_as_text_and_in_any_index():
    frame = pd.DataFrame({"CASEID": [20188000001, 20188000002], "AGE": [3, 4]})
    person = frame["CASEID"].astype(str).rename("person")
    for kind in (object, "category", "string"):
        text = frame[["AGE"]].assign(person=person.astype(kind))
        assert origin.origin_of(text) == "synthetic"
        assert origin.origin_of(text.set_index("person")) == "synthetic"
    bare = frame.set_index(["AGE", "CASEID"]).rename_axis([None, None])
    assert origin.origin_of(bare.assign(LOS=1)) == "synthetic"
    real = pd.Index([20181000001, 20181000002], name="CASEID")
    assert origin.origin_of(frame.set_index(real)) == "mixture"
    words = frame[["AGE"]].assign(said=["20188000001 people", "x"])
    assert origin.origin_of(words) == "unverified"
