"""The networks as estimators keep scikit-learn's conventions."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

from sudlib.files import InputError
from sudlib.images import LEVELS, VARIABLES, levels

keras = pytest.importorskip("keras")

from sudlib.networks import EmbeddingNetwork, PictureClassifier, training  # noqa: E402

RANDOM = np.random.default_rng(8)
CODES = np.stack([RANDOM.integers(0, number, 600) for number in levels()], axis=1)
CODES = CODES.astype("uint8")
SUB1 = VARIABLES.index("SUB1")
COMPLETED = (CODES[:, SUB1] % 2).astype(int)
SHORT = training.Recipe(epochs=12, batch_size=50, learning_rate=0.01)


@pytest.fixture(scope="module")
def fitted():
    model = PictureClassifier("cells", recipe=SHORT, progress=False)
    return model.fit(
        CODES[:500], COMPLETED[:500], validation_data=(CODES[500:], COMPLETED[500:])
    )


def test_reads_codes_and_not_their_order(fitted):
    # Odd codes complete: no threshold on the code can say that.
    right = (fitted.predict(CODES[500:]) == COMPLETED[500:]).mean()
    assert right > 0.9


def test_probabilities_are_probabilities(fitted):
    scores = fitted.predict_proba(CODES)
    assert scores.shape == (600, 2) and np.allclose(scores.sum(axis=1), 1)
    assert (scores >= 0).all()
    assert fitted.classes_.tolist() == [0, 1] and fitted.n_features_in_ == 28


def test_a_frame_of_records_gives_what_its_codes_give(fitted):
    people = pd.DataFrame(
        {
            name: np.array(LEVELS[name])[CODES[:40, column]]
            for column, name in enumerate(VARIABLES)
        }
    )
    assert np.array_equal(
        fitted.predict_proba(people), fitted.predict_proba(CODES[:40])
    )


def test_keeps_how_training_went(fitted):
    assert list(fitted.history_.columns) == ["loss", "val_loss", "seconds"]
    assert fitted.training_.best_epoch in fitted.history_.index
    assert 20_000 < fitted.multiply_adds_ < 2_000_000


def test_the_same_seed_gives_the_same_scores(fitted):
    again = clone(fitted).fit(
        CODES[:500], COMPLETED[:500], validation_data=(CODES[500:], COMPLETED[500:])
    )
    assert np.allclose(
        again.predict_proba(CODES), fitted.predict_proba(CODES), atol=1e-5
    )


def test_parameters_can_be_read_set_and_cloned():
    model = PictureClassifier("cells", random_state=5, recipe=SHORT)
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(random_state=6).random_state == 6


@pytest.mark.parametrize("network", [PictureClassifier, EmbeddingNetwork])
def test_unfitted_it_says_so(network):
    with pytest.raises(NotFittedError):
        network().predict_proba(CODES)


def refuses_other_columns(error):
    """Tell whether an error came from columns that are not codes of 28 variables."""
    while error is not None:
        if isinstance(error, InputError) and "28 columns" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


#: Checks that fail for another reason than their columns, and why.
EXPECTED = {
    "check_estimators_nan_inf": "floats of any kind are refused, by their columns",
    "check_classifiers_regression_target": "the columns are refused before y is read",
}


@pytest.mark.parametrize("network", [PictureClassifier("cells"), EmbeddingNetwork()])
def test_scikit_learns_checks_pass_but_for_their_columns(network):
    """Its checks draw two to ten columns of floats; these networks read codes only."""
    results = check_estimator(network, on_fail=None, on_skip=None)
    passed = {each["check_name"] for each in results if each["status"] == "passed"}
    assert passed >= {
        "check_estimator_cloneable",
        "check_no_attributes_set_in_init",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_estimators_unfitted",
        "check_estimator_tags_renamed",
    }
    failed = [each for each in results if each["status"] == "failed"]
    assert failed
    for each in failed:
        known = each["check_name"] in EXPECTED
        assert known or refuses_other_columns(each["exception"]), each["check_name"]


def test_what_those_checks_would_see_of_a_fit(fitted):
    """Fitted attributes, untouched parameters, feature names, a copy by pickle."""
    given = fitted.get_params()
    assert (
        given == PictureClassifier("cells", recipe=SHORT, progress=False).get_params()
    )
    assert fitted.n_features_in_ == 28
    assert fitted.feature_names_in_.tolist() == list(VARIABLES)
    assert fitted.score(CODES[500:], COMPLETED[500:]) > 0.9
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict(CODES[:20]), fitted.predict(CODES[:20]))


def test_a_random_state_is_drawn_from_and_a_number_is_kept():
    models = [
        EmbeddingNetwork(random_state=state).build()
        for state in (5, 5, np.random.RandomState(5), np.random.RandomState(5))
    ]
    tables = [model.get_weights()[0] for model in models]
    assert np.array_equal(tables[0], tables[1])
    assert np.array_equal(tables[2], tables[3])
    assert not np.array_equal(tables[0], tables[2])


@pytest.mark.parametrize(
    "given, outcome, word",
    [
        (CODES[:9], COMPLETED[:8], "X and y must have the same length"),
        (CODES[:9, :5], COMPLETED[:9], "28"),
        (CODES[:9].astype(float), COMPLETED[:9], "whole numbers"),
        (CODES[:9] + 30, COMPLETED[:9], "may be 0 to"),
        (CODES[:9], np.arange(9), "0 or 1"),
        (CODES[:9], np.zeros(9, int), "both outcomes"),
    ],
)
def test_wrong_input_is_refused_in_words(given, outcome, word):
    with pytest.raises(InputError, match=word):
        PictureClassifier("cells").fit(given, outcome)


@pytest.mark.parametrize(
    "options, word",
    [
        ({"architecture": "vgg"}, "published, cells"),
        ({"architecture": "cells", "preprocessing": "raw"}, "unit"),
        ({"architecture": "cells", "picture": "clinic"}, "28 equal cells"),
    ],
)
def test_wrong_parameters_are_refused_at_fit(options, word):
    with pytest.raises(InputError, match=word):
        PictureClassifier(**options).fit(CODES[:20], COMPLETED[:20])


@pytest.mark.slow
def test_the_studys_network_fits_and_scores():
    recipe = training.Recipe(epochs=1, batch_size=8)
    model = PictureClassifier("published", recipe=recipe, preprocessing="raw")
    model.fit(CODES[:16], COMPLETED[:16])
    assert model.predict_proba(CODES[:3]).shape == (3, 2)
