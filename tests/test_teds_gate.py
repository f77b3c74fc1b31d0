"""The gate for records: the same codes whatever the cells, or what does not fit."""

import doctest
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from sudlib import encoding, images, records, teds
from sudlib.files import InputError
from sudlib.oklahoma import coding, cohort
from sudlib.teds import codebook, cohorts, gate
from sudlib.teds.codebook import MISSING


@pytest.fixture(scope="module")
def codes():
    frame = records.load("twin", rows=250)
    frame.attrs = {}
    return frame


def labelled(frame):
    """Every variable by its labels, as a file of statistics packages has them."""
    return frame.assign(
        **{
            name: frame[name].map(codebook.codes(name, 2018))
            for name in frame
            if name not in ("DISYR", *codebook.OPEN)
        }
    )


FORMS = {
    "text": lambda f: f.astype(str),
    "text in Arrow": lambda f: f.astype("string[pyarrow]"),
    "text with spaces": lambda f: f.astype(str).apply(lambda c: " " + c + " "),
    "text of floats": lambda f: f.astype(float).astype(str),
    "text of floats with a comma": lambda f: f.map(lambda c: f"{c},0"),
    "text with zeros": lambda f: f.map(lambda c: f"{c:02d}" if c >= 0 else str(c)),
    "floats": lambda f: f.astype(float),
    "objects": lambda f: f.astype(object),
    "decimals": lambda f: f.map(Decimal),
    "nullable": lambda f: f.astype("Int64"),
    "Arrow": lambda f: f.astype("int64[pyarrow]"),
    "categories of numbers": lambda f: f.astype("category"),
    "categories of text": lambda f: f.astype(str).astype("category"),
    "categories of floats": lambda f: f.astype(float).astype("category"),
    "ordered categories": lambda f: f.apply(
        lambda c: pd.Categorical(c, sorted(set(c)), ordered=True)
    ),
    "labels": labelled,
    "categories of labels": lambda f: labelled(f).astype("category"),
    "labels in capitals": lambda f: labelled(f).map(
        lambda c: c.upper() if isinstance(c, str) else c
    ),
    "labels behind codes": lambda f: labelled(f).combine(
        f,
        lambda a, b: pd.Series(
            [
                f"{code} - {text}" if isinstance(text, str) else text
                for text, code in zip(a, b, strict=True)
            ]
        ),
    ),
    "wide": lambda f: f.astype("int64"),
    "unsigned": lambda f: f.mask(f < 0, 1).astype("uint16").where(f >= 0, f),
    "flags as bool": lambda f: f.astype(dict.fromkeys(codebook.FLAGS, bool)),
}
SMALL = [name for name in codebook.COLUMNS if name != "CASEID"]


def test_examples_in_docstrings_run():
    assert doctest.testmod(gate).failed == 0


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_frame_gives_the_codes(codes, form):
    changed = FORMS[form](codes[SMALL] if form == "unsigned" else codes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = teds.official_codes(changed)
    for name in changed:
        assert (read[name] == codes[name]).all(), name
    assert read.index.equals(codes.index)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_form_of_a_file_gives_the_codes(codes, tmp_path, form, kind):
    names = SMALL if form == "unsigned" else list(codes)
    changed = FORMS[form](codes[names])
    path = tmp_path / f"mine.{kind}"
    if kind == "csv":
        changed.to_csv(path, index=False)
    else:
        changed.to_parquet(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = teds.read(path)
    for name in names:
        assert (read[name] == codes[name]).all(), name
        assert read[name].dtype == codebook.dtype(name)


# What each public function makes of records, to be the same for every form of them.
FUNCTIONS = {
    "completed": lambda f: cohorts.completed(f).to_numpy(),
    "general": lambda f: cohorts.general(f).index,
    "methadone": lambda f: cohorts.methadone(f).index,
    "heroin": lambda f: cohorts.heroin(f).index,
    "other_opioids": lambda f: cohorts.other_opioids(f).index,
    "oklahoma": lambda f: cohorts.oklahoma(f, "los-30").index,
    "table": lambda f: cohorts.table(f)[["rows", "completed"]],
    "against_known": lambda f: cohorts.against_known(f)[["rows"]],
    "read_aloud": lambda f: [teds.read_aloud(f.iloc[0]), teds.read_aloud(f.iloc[7])],
    "features": lambda f: encoding.features(f)[0],
    "derive_flags": lambda f: encoding.derive_flags(
        f.drop(columns=list(codebook.FLAGS))
    )[list(codebook.FLAGS)],
    "IntegerCodes": lambda f: encoding.IntegerCodes().fit_transform(f),
    "OneHotCodes": lambda f: encoding.OneHotCodes().fit_transform(f),
    "images": images.encode,
    "groups": lambda f: coding.bucketise(f).astype(str),
    "imputed": lambda f: coding.impute(f[["AGE", "EDUC", "PREG"]]),
    "target": lambda f: coding.make_target(f, "COMPLETED_NOPRIOR").astype(str),
    "reasons": lambda f: coding.make_target(f, "REASON"),
    "levels": lambda f: coding.make_features(f).astype(str),
    "cohort": lambda f: cohort.make_cohort(f).X,
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "form", ["text", "text of floats", "nullable", "categories of numbers", "labels"]
)
def test_every_public_function_has_the_same_gate(codes, function, form):
    call = FUNCTIONS[function]
    right, got = call(codes), call(FORMS[form](codes))
    assert pd.DataFrame(got).equals(pd.DataFrame(right))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("cell", ["Blue", "1.5", 99, 2.5, "300", "3,7", "1 - Blue"])
def test_every_public_function_refuses_what_is_no_code(codes, function, cell):
    """A variable that each of them looks at, in the first row and the last."""
    used = {"completed": "REASON", "reasons": "REASON", "imputed": "EDUC"}
    name = used.get(function, "SUB1")
    if function == "groups":
        name = "EDUC"
    bad = codes.astype({name: object})
    bad.iloc[[0, -1], bad.columns.get_loc(name)] = cell
    with pytest.raises(InputError, match=f"{name} is ") as caught:
        FUNCTIONS[function](bad)
    said = str(caught.value)
    assert str(cell) in said and "allowed" in said
    if function != "read_aloud":
        assert "row 1 of 250" in said and "first of 2 such" in said


def test_blank_cells_are_missing_counted_and_told(codes):
    holes = codes.astype("Int64").mask(codes == MISSING)
    for blank in (holes, holes.astype(float), holes.astype(object)):
        with pytest.warns(UserWarning, match=r"blank cells .* missing \(-9\): .*EDUC"):
            read = teds.official_codes(blank)
        assert (read == codes).all(axis=None)


@pytest.mark.parametrize("blank", ["", " ", "NA", "nan", "<NA>", ".", None, np.nan])
def test_words_for_nothing_are_blank_and_none_is_a_label(blank):
    frame = pd.DataFrame({"AGE": ["3", blank]})
    with pytest.warns(UserWarning, match="1 blank cells .* AGE 1"):
        assert teds.official_codes(frame)["AGE"].tolist() == [3, MISSING]
    none = pd.DataFrame({"ARRESTS": ["None"], "SUB1": ["None"]})
    assert teds.official_codes(none).to_numpy().tolist() == [[0, 1]]
    with pytest.raises(InputError, match="AGE is 'None'"):
        teds.official_codes(pd.DataFrame({"AGE": ["None"]}))


def test_completed_is_not_known_where_the_reason_is_missing():
    for missing in (MISSING, "-9"):
        with pytest.raises(InputError, match="REASON is missing .* 1 of 2 rows"):
            cohorts.completed(pd.DataFrame({"REASON": [1, missing]}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOS", "3.3"),  # not 3
        ("LOS", "5,5"),
        ("LOS", "1,000"),
        ("LOS", "1e1"),
        ("DAYWAIT", "1.5"),
        ("DAYWAIT", "2: 1–7"),  # a label of 1
        ("REASON", "2 - Treatment completed"),
        ("GENDER", "True"),
        ("CASEID", "2.0181E+10"),  # a spreadsheet's, with its digits lost
    ],
)
def test_number_and_label_must_say_the_same(name, text):
    with pytest.raises(InputError, match=f"{name} is '"):
        teds.official_codes(pd.DataFrame({name: [text]}))


def test_case_numbers_that_lost_their_digits_are_refused(tmp_path):
    cases = pd.Series([20181000001, 20181000003], name="CASEID")
    exact = cases.astype("float64").to_frame()
    assert teds.official_codes(exact)["CASEID"].tolist() == cases.tolist()
    with pytest.raises(InputError, match="CASEID is 2.018"):
        teds.official_codes(cases.astype("float32").to_frame())
    table = pa.table({"DISYR": [2018, 2018], "CASEID": cases.astype("float32")})
    parquet.write_table(table, tmp_path / "mine.parquet")
    with pytest.raises(InputError, match=r"CASEID is 2.*first of 2 such cells"):
        teds.read(tmp_path / "mine.parquet")


@pytest.mark.parametrize(
    ("column", "match"),
    [
        ([True, False], "GENDER is '?[Tt]rue'?"),  # 1 and 2 are no truth values
        ([[1], [2]], "GENDER"),
        (pd.to_datetime(["2018-01-01", "2018-01-02"]), "GENDER is 2018"),
        ([1 + 2j, 1], "GENDER is"),
    ],
)
def test_columns_of_other_kinds_are_refused(column, match):
    with pytest.raises(InputError, match=match):
        teds.official_codes(pd.DataFrame({"GENDER": column}))


def test_what_is_no_frame_and_columns_twice_are_refused(codes):
    with pytest.raises(InputError, match="must be a pandas DataFrame, not list"):
        teds.official_codes([1, 2])
    twice = pd.concat([codes[["SUB1"]], codes[["SUB1"]]], axis=1)
    with pytest.raises(InputError, match="column SUB1 twice"):
        cohorts.heroin(twice)


def test_integers_are_not_copied_and_other_columns_stay(codes):
    assert teds.official_codes(codes) is codes
    mine = codes.assign(mine="x", AGE=codes.AGE.astype(str))
    mine.attrs = {"data": "mine"}
    read = teds.official_codes(mine)
    assert (read["mine"] == "x").all() and read.attrs == {"data": "mine"}
    assert mine["AGE"].iloc[0] == str(codes["AGE"].iloc[0])  # not changed in place


# ------------------------------------------------------------ persons, once each


def people(**columns):
    return pd.DataFrame({"SUB1": [5, 5, 5, 5], **columns})


def test_a_person_is_known_by_number_and_year_only():
    once = people(CASEID=[7, 7, 8, 7], DISYR=[2018, 2018, 2018, 2019])
    with pytest.warns(UserWarning, match="1 of 4 rows repeat a case .* dropped"):
        picked = cohorts.heroin(once)
    assert picked.index.tolist() == [0, 2, 3] and picked.attrs["dropped"] == 1
    with pytest.warns(UserWarning, match="1 of 4 rows"):
        assert len(cohorts.heroin(once.astype(str))) == 3


@pytest.mark.parametrize(
    "columns",
    [
        {"CASEID": [7, 7, 7, 7]},  # the numbers begin again each year
        {"CASEID": [MISSING] * 4, "DISYR": [2018] * 4},  # nobody's number
        {"DISYR": [2018] * 4},
    ],
)
def test_without_a_whole_key_nobody_is_dropped(columns):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picked = cohorts.heroin(people(**columns))
    assert len(picked) == 4 and "dropped" not in picked.attrs


def test_people_without_a_class_are_counted(codes):
    made = cohort.make_cohort(codes, "NOPRIOR")
    assert made.left_out == (codes.NOPRIOR == MISSING).sum() > 0
    assert len(made) + made.left_out == len(codes)
    assert cohort.subset(made, [0, 1]).left_out == made.left_out


def test_every_number_of_a_byte_is_a_code_exactly_where_the_codebook_says_so():
    numbers = np.arange(-128, 128).astype(np.int8)
    for year in (2015, 2019):
        for name in set(codebook.COLUMNS) - {*codebook.OPEN, "DISYR"}:
            allowed = np.isin(numbers, [*codebook.codes(name, year)])
            wrong = gate.no_codes(name, numbers, (year,))
            np.testing.assert_array_equal(wrong, ~allowed, f"{name} in {year}")


def test_flags_in_words_and_gaps_of_spreadsheets_are_read():
    frame = pd.DataFrame({"ALCFLG": ["TRUE", "False"], "EDUC": ["#N/A", "#NULL!"]})
    with pytest.warns(UserWarning, match="2 blank cells"):
        assert teds.official_codes(frame).to_numpy().tolist() == [[1, -9], [0, -9]]
    with pytest.raises(InputError, match="GENDER is 'True'"):
        teds.official_codes(pd.DataFrame({"GENDER": ["True"]}))
