import difflib

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from sudlib import encoding, twin
from sudlib.files import InputError
from sudlib.teds import codebook, cohorts

ENCODERS = [
    encoding.IntegerCodes(),
    encoding.OneHotCodes(),
    encoding.OneHotCodes(ordered="number"),
    encoding.NativeCategories(),
]


@pytest.fixture(scope="module")
def records():
    return twin.sample(2018, 3000, seed=5)


@pytest.fixture(scope="module")
def features(records):
    return encoding.features(records)[0]


def test_derived_flags_are_the_flags_of_the_records(records):
    bare = records.drop(columns=list(codebook.FLAGS))
    found = encoding.derive_flags(bare)
    assert len(codebook.FLAGS) == 18
    for name in codebook.FLAGS:
        assert (found[name] == records[name]).all(), name
    assert found.attrs == records.attrs
    assert "ALCFLG" not in bare.columns


def test_flags_stand_for_the_substance_of_their_label():
    """The codebook's own words, not our order: 'Cocaine/crack reported at admission'"""
    labels = codebook.codes("SUB1")
    for flag, substance in codebook.FLAGS.items():
        words = codebook.label(flag).removesuffix(" reported at admission")
        (nearest,) = difflib.get_close_matches(words, labels.values(), 1, cutoff=0.5)
        assert nearest == labels[substance], flag


def test_flags_that_cannot_be_derived_are_left_out():
    records = pd.DataFrame({"SUB1": [2], "SUB2": [1], "AGE": [4]})
    found, left_out = encoding.features(records)
    assert list(found.columns) == ["AGE", "SUB1", "SUB2"]
    assert "ALCFLG" in left_out and len(left_out) == 25
    with pytest.raises(InputError, match="none of the features"):
        encoding.features(pd.DataFrame({"CASEID": [1]}))


def test_features_are_the_28_of_the_study_in_its_order(features):
    assert list(features.columns) == list(cohorts.FEATURES)
    assert features.shape[1] == 28


def test_one_hot_is_scikit_learns_one_hot(features):
    ours = encoding.OneHotCodes().fit(features)
    peer = OneHotEncoder(
        categories=[encoding.known_codes(name) for name in features],
        sparse_output=False,
        dtype=np.float32,
    ).fit(features)
    np.testing.assert_array_equal(ours.transform(features), peer.transform(features))
    assert [name.replace("=", "_") for name in ours.get_feature_names_out()] == list(
        peer.get_feature_names_out()
    )


def test_one_hot_has_a_column_for_codes_that_no_row_has(features):
    few = features.iloc[:3]
    assert (
        encoding.OneHotCodes().fit_transform(few).shape[1]
        == (encoding.OneHotCodes().fit_transform(features).shape[1])
    )
    assert (encoding.OneHotCodes().fit_transform(few).sum(axis=1) == 28).all()


def test_ordered_codes_stay_numbers_and_lose_their_minus_nine(features):
    encoder = encoding.OneHotCodes(ordered="number").fit(features)
    names = list(encoder.get_feature_names_out())
    table = encoder.transform(features)
    for name in ("AGE", "EDUC", "FREQ1"):
        column = table[:, names.index(name)]
        missing = features[name].to_numpy() == codebook.MISSING
        np.testing.assert_array_equal(np.isnan(column), missing)
        np.testing.assert_array_equal(column[~missing], features[name][~missing])
    assert "RACE=5" in names and "RACE" not in names


def test_integer_codes_are_the_codes(features):
    np.testing.assert_array_equal(
        encoding.IntegerCodes().fit_transform(features), features.to_numpy()
    )


def test_native_categories_know_the_codebook_not_the_rows(features):
    first = encoding.NativeCategories().fit_transform(features.iloc[:5])
    rest = encoding.NativeCategories().fit_transform(features)
    assert (first.dtypes == rest.dtypes).all()
    assert list(rest["SUB1"].cat.categories) == list(encoding.known_codes("SUB1"))
    assert rest["AGE"].dtype == np.float32
    assert not rest["SUB1"].isna().any()


#: Checks of scikit-learn's contract that an encoder cannot pass, and why.
FRAME = "it returns a frame with categories, which NumPy cannot compare as numbers"
EXPECTED_TO_FAIL = {
    encoding.NativeCategories: dict.fromkeys(
        [
            "check_estimators_pickle",
            "check_fit_idempotent",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_pipeline_consistency",
            "check_transformer_data_not_an_array",
            "check_transformer_general",
        ],
        FRAME,
    )
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_encoders_keep_scikit_learns_contract(encoder):
    check_estimator(
        encoder, expected_failed_checks=EXPECTED_TO_FAIL.get(type(encoder), {})
    )


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_an_array_is_encoded_as_the_frame_that_names_its_columns(encoder, features):
    of_frame = clone(encoder).fit(features)
    of_array = clone(encoder).set_params(variables=cohorts.FEATURES)
    of_array.fit(features.to_numpy())
    np.testing.assert_array_equal(
        np.asarray(of_frame.transform(features), float),
        np.asarray(of_array.transform(features.to_numpy()), float),
    )
    names = of_frame.get_feature_names_out()
    np.testing.assert_array_equal(names, of_array.get_feature_names_out())
    assert len(names) == of_frame.transform(features).shape[1]
    with pytest.raises(InputError, match="names 28 columns, but the array has 3"):
        of_array.fit(features.to_numpy()[:, :3])


def test_codes_of_an_array_without_names_are_those_seen():
    seen = np.array([[3, 7], [5, 7], [3, 9]])
    encoder = encoding.OneHotCodes().fit(seen)
    assert list(encoder.get_feature_names_out()) == ["x0=3", "x0=5", "x1=7", "x1=9"]
    assert encoder.transform([[5, 8]]).tolist() == [[0, 1, 0, 0]]


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_columns_must_be_those_of_fit(encoder, features):
    with pytest.raises(NotFittedError):
        clone(encoder).transform(features)
    with pytest.raises(NotFittedError):
        clone(encoder).get_feature_names_out()
    fitted = clone(encoder).fit(features)
    assert list(fitted.feature_names_in_) == list(cohorts.FEATURES)
    for other in (features.drop(columns="AGE"), features[features.columns[::-1]]):
        with pytest.raises(ValueError, match="feature names should match"):
            fitted.transform(other)
    with pytest.raises(InputError, match="no variable 'AGES'"):
        clone(encoding.OneHotCodes()).fit(features.rename(columns={"AGE": "AGES"}))
    index = features.index[::-1] + 5
    table = encoding.NativeCategories().fit_transform(features.set_axis(index))
    assert list(table.index) == list(index)


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_encoders_work_inside_folds(encoder, features, records):
    model = HistGradientBoostingClassifier(
        max_iter=5, categorical_features="from_dtype"
    )
    if not isinstance(encoder, encoding.NativeCategories):
        model = DecisionTreeClassifier(max_depth=3)
    found = cross_val_score(
        make_pipeline(encoder, model), features, cohorts.completed(records), cv=3
    )
    assert np.isfinite(found).all()


def renumbered(features, seed=0):
    """Give every nominal variable's codes other numbers, as a new edition might."""
    random = np.random.default_rng(seed)
    out = features.copy()
    for name in features:
        if codebook.scale(name) == "nominal":
            known = encoding.known_codes(name)
            swap = dict(zip(known, random.permutation(known), strict=True))
            out[name] = features[name].map(swap).astype(np.int8)
    return out


def test_one_hot_does_not_care_how_nominal_codes_are_numbered(features, records):
    """What makes a nominal code nominal; as integers the same codes do care."""
    completed = cohorts.completed(records)

    def scores(encoder, model, table):
        return make_pipeline(encoder, model).fit(table, completed).predict_proba(table)

    other = renumbered(features)
    linear = LogisticRegression(C=0.1, solver="newton-cholesky")
    np.testing.assert_allclose(
        scores(encoding.OneHotCodes(), linear, features),
        scores(encoding.OneHotCodes(), linear, other),
        atol=1e-3,
    )
    tree = DecisionTreeClassifier(max_depth=4, random_state=0)
    gap = scores(encoding.IntegerCodes(), tree, features) - scores(
        encoding.IntegerCodes(), tree, other
    )
    assert np.abs(gap).max() > 0.05


@pytest.mark.parametrize(
    "encoder",
    [encoding.IntegerCodes, encoding.OneHotCodes, encoding.NativeCategories],
)
def test_a_code_of_no_codebook_is_told(encoder):
    fitted = encoder().fit(pd.DataFrame({"GENDER": [1, 2]}))
    with pytest.raises(InputError, match="GENDER is 77 in row 2 of 2; allowed: -9, 1"):
        fitted.transform(pd.DataFrame({"GENDER": [1, 77]}))
    with pytest.raises(InputError, match="GENDER is 77"):
        encoder(variables=["GENDER"]).fit([[77]])


@pytest.mark.parametrize(
    "encoder",
    [encoding.IntegerCodes, encoding.OneHotCodes, encoding.NativeCategories],
)
def test_the_same_codes_in_another_form_are_encoded_alike(encoder):
    codes = pd.DataFrame({"GENDER": [1, 2, -9], "AGE": [3, 12, 7]})
    right = np.asarray(encoder().fit(codes).transform(codes), float)
    forms = [
        codes.astype(str),
        codes.astype(float),
        codes.astype("Int64"),
        codes.astype("category"),
        codes.astype(str).astype("category"),
        codes.assign(GENDER=["Male", "Female", "-9"]),
    ]
    for form in forms:
        for fitted in (encoder().fit(codes), encoder().fit(form)):
            np.testing.assert_array_equal(np.asarray(fitted.transform(form)), right)
    with pytest.warns(UserWarning, match="1 blank cells are read as missing .*GENDER"):
        holes = codes.astype("Int64").mask(codes == -9)
        got = np.asarray(encoder().fit(codes).transform(holes), float)
    np.testing.assert_array_equal(got, right)


def test_a_variable_missing_for_everybody_is_left_out_of_boosting():
    """The real sample of 2023 has such columns; scikit-learn stops at them."""
    table = pd.DataFrame({"AGE": [-9] * 60, "EDUC": [1, 2, 3] * 20, "RACE": [-9] * 60})
    encoder = encoding.NativeCategories().fit(table)
    assert list(encoder.get_feature_names_out()) == ["EDUC", "RACE"]
    model = HistGradientBoostingClassifier(
        max_iter=3, categorical_features="from_dtype"
    )
    make_pipeline(encoder, model).fit(table, [0, 1] * 30)


def test_what_ordered_may_be_is_said():
    with pytest.raises(InputError, match="one-hot, number, not 'ordinal'"):
        encoding.OneHotCodes(ordered="ordinal").fit(pd.DataFrame({"AGE": [1]}))


@pytest.mark.parametrize(
    "encoder", [encoding.IntegerCodes, encoding.OneHotCodes, encoding.NativeCategories]
)
def test_what_is_masked_in_an_array_is_missing_and_a_list_is_a_table(encoder):
    fitted = encoder(variables=["MARSTAT", "RACE"]).fit(np.array([[1, 5], [2, 4]]))
    masked = np.ma.masked_equal(np.array([[1, 5], [2, 4]], "uint8"), 5)
    missing = fitted.transform(np.array([[1, -9], [2, 4]]))
    for given in (masked, [[1, -9], [2, 4]]):
        np.testing.assert_array_equal(
            np.asarray(fitted.transform(given)), np.asarray(missing)
        )


def test_a_sparse_array_of_named_variables_is_refused():
    encoder = encoding.OneHotCodes(variables=["GENDER", "RACE"])
    with pytest.raises(InputError, match="X must be a dense table"):
        encoder.fit(sparse.csr_array([[1, 5], [2, 5]]))
