import csv
import doctest
import json
import os
from pathlib import Path

import pytest

from sudlib import teds, twin
from sudlib.files import InputError
from sudlib.teds import codebook

SHARED = Path(
    os.environ.get("SUDLIB_SHARED", Path(__file__).resolve().parents[2] / "shared")
)
needs_shared = pytest.mark.skipif(
    not (SHARED / "teds/codebook").is_dir(),
    reason="the agency's codebooks are not here (SUDLIB_SHARED names their folder)",
)


def test_examples_in_docstrings_run():
    assert doctest.testmod(codebook).failed == 0


def test_schema_has_the_76_official_columns_in_order():
    assert len(codebook.COLUMNS) == 76
    assert codebook.COLUMNS[:4] == ("DISYR", "CASEID", "STFIPS", "CBSA2010")
    assert codebook.COLUMNS[-4:] == ("DIVISION", "REGION", "IDU", "ALCDRUG")
    assert tuple(codebook.variables(2019)) == codebook.COLUMNS


@pytest.mark.parametrize("year", codebook.YEARS)
def test_each_year_has_its_columns_once(year):
    names = codebook.variables(year)
    assert len(set(names)) == len(names) == (78 if year < 2017 else 76)
    schema = {codebook.RENAMED.get(name, name) for name in names}
    assert set(codebook.COLUMNS) <= schema


@pytest.mark.parametrize("year", range(2015, 2020))
def test_frequencies_of_each_variable_sum_to_the_size(year):
    sums = codebook.frequencies(year).groupby("variable").frequency.sum()
    assert sums.pop("CBSA2010") < codebook.size(year)  # few areas are printed
    assert set(sums) == {codebook.size(year)}
    without = {"CASEID", "CBSA2010", "YEAR", *(["SERVICES"] if year < 2017 else [])}
    names = {codebook.RENAMED.get(name, name) for name in codebook.variables(year)}
    assert set(sums.index) == names - without


def test_frequencies_of_2020_are_27_variables_and_sum_to_the_size():
    sums = codebook.frequencies(2020).groupby("variable").frequency.sum()
    assert len(sums.drop("DISYR")) == 27
    assert set(sums) == {codebook.size(2020)}


@pytest.mark.parametrize("year", range(2015, 2020))
def test_codes_are_those_that_occur_in_the_year(year):
    table = codebook.frequencies(year)
    for variable, part in table.groupby("variable"):
        if variable != "CBSA2010":
            assert list(part.code) == list(codebook.codes(variable, year)), variable


def test_states_left_out_of_a_year_are_no_code_of_it():
    assert 45 not in codebook.codes("STFIPS", 2015)  # South Carolina
    assert 13 not in codebook.codes("STFIPS", 2018)  # Georgia
    assert codebook.codes("STFIPS", 2019)[13] == "Georgia"
    assert codebook.codes("STFIPS", 2022)[41] == "Oregon"


def test_missing_length_of_stay_is_a_code_of_2015_and_2016_only():
    years = [year for year in codebook.YEARS if -9 in codebook.codes("LOS", year)]
    assert years == [2015, 2016]


@pytest.mark.parametrize("variable", [v for v in codebook.COLUMNS if v != "CASEID"])
def test_every_variable_has_label_sentence_scale_and_small_type(variable):
    assert codebook.label(variable)
    assert codebook.describe(variable).endswith(".")
    assert codebook.scale(variable) in ("ordered", "nominal", "identifier")
    # Every code fits its type.
    limit = {"int8": 127, "int16": 32767, "int32": 2**31 - 1}[codebook.dtype(variable)]
    codes = list(codebook.codes(variable))
    assert all(-limit <= code <= limit for code in codes)


def test_all_columns_but_three_are_ordered_or_nominal():
    scales = {name: codebook.scale(name) for name in codebook.COLUMNS}
    identifiers = {name for name, scale in scales.items() if scale == "identifier"}
    assert identifiers == {"DISYR", "CASEID", "CBSA2010"} and len(scales) == 76


def test_names_of_other_years_are_understood():
    assert codebook.codes("SEX", 2023) == codebook.codes("GENDER", 2023)
    assert codebook.label("CBSA2020") == codebook.label("CBSA2010")


def test_unknown_year_variable_and_frequencies_are_clear_errors():
    with pytest.raises(InputError, match="2015 to 2023, not 2014"):
        codebook.codes("AGE", 2014)
    with pytest.raises(InputError, match="not '2018'"):
        codebook.variables("2018")
    with pytest.raises(InputError, match="no variable 'AGES'; it has DISYR"):
        codebook.label("AGES")
    with pytest.raises(InputError, match="frequencies of 2022 are not known"):
        codebook.frequencies(2022)
    with pytest.raises(InputError, match="size of the file of 2021 is not known"):
        codebook.size(2021)


def test_record_read_aloud_names_what_matters_and_skips_what_is_missing():
    text = teds.read_aloud(
        {
            "DISYR": 2018,
            "STFIPS": 11,
            "AGE": 6,
            "GENDER": 2,
            "RACE": 5,
            "PREG": 1,
            "EMPLOY": 4,
            "DETNLF": 2,
            "EDUC": -9,
            "SERVICES": 4,
            "PSOURCE": 7,
            "SUB1": 8,
            "ROUTE1": 2,
            "FRSTUSE1": 7,
            "SUB2": 1,
            "LOS": 1,
            "REASON": 2,
        }
    )
    assert text == (
        "A woman aged 30–34 years (race: White, pregnant, not in the labor force, as a"
        " student) entered short-term residential treatment (30 days or fewer) in the"
        " District of Columbia, referred by the courts or criminal justice."
        " Primary substance: PCP (smoked, first used at age 30 or over)."
        " The stay lasted 1 day and ended in 2018 when the person left before the end."
        " Missing or not applicable: 1 of the 17 variables read."
    )


def test_empty_record_still_reads():
    assert teds.read_aloud({}) == "A person entered treatment."


def test_every_code_of_every_variable_can_be_read_aloud():
    for variable in codebook.COLUMNS:
        for code in codebook.codes(variable):
            text = teds.read_aloud({"DISYR": 2019, variable: code})
            assert text.endswith(".") and "  " not in text and "()" not in text


def test_words_used_for_people_are_people_first():
    texts = " ".join(
        teds.read_aloud({"DISYR": 2019, variable: code})
        for variable in codebook.COLUMNS
        for code in codebook.codes(variable)
    ).lower()
    for word in ("addict", "abuser", "user ", "client", "offender", "alcoholic"):
        assert word not in texts


def test_record_with_a_code_outside_the_codebook_is_refused():
    with pytest.raises(InputError, match="AGE is 99 in this record; allowed are 1-12"):
        teds.read_aloud({"AGE": 99})


@needs_shared
@pytest.mark.parametrize("year", range(2015, 2020))
def test_codebook_is_the_agencys(year):
    name = f"teds/codebook/teds_d_{year}_codebook.json"
    book = json.loads((SHARED / name).read_text())
    assert codebook.size(year) == book["N"]
    ours = codebook.frequencies(year).set_index(["variable", "code"]).frequency
    for entry in book["variables"]:
        variable = codebook.RENAMED.get(entry["name"], entry["name"])
        for value in entry["values"]:
            if value["code"] == "X":  # a sum that the codebook does not print
                continue
            assert ours[variable, value["code"]] == value["frequency"]
            if variable != "DISYR":
                wordings = codebook.wordings(variable)[value["code"]]
                assert _plain(value["label"]) in map(_plain, wordings)


@needs_shared
def test_order_of_columns_is_the_official_header():
    order = json.loads((SHARED / "teds/codebook/header_order.json").read_text())
    assert list(codebook.COLUMNS) == order["columns_2017_2020"]


@needs_shared
def test_codes_of_the_real_sample_of_2023_are_known():
    with open(SHARED / "teds/rows/tedsd_2023_sample_1000.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for name in set(rows[0]) - {"CASEID"}:
        found = {int(row[name]) for row in rows if row[name]}
        assert found <= set(codebook.codes(name, 2023)), name


def _plain(label):
    return "".join(c for c in label.casefold() if c.isascii() and c.isalnum())


def test_blanks_are_counted_as_missing_codes_are():
    row = twin.sample(2018, rows=5, seed=3).iloc[0]
    blank = row.astype(float).mask(row == codebook.MISSING)
    assert codebook.MISSING in row.tolist()
    assert teds.read_aloud(blank) == teds.read_aloud(row)
    assert "-9" not in teds.read_aloud({"DISYR": -9, "REASON": 1})
    for wrong in (row.to_frame(), None, [1, 2]):
        with pytest.raises(InputError, match="a record must be a row of a frame"):
            teds.read_aloud(wrong)
