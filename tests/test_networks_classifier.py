"""Networks on pictures keep scikit-learn's conventions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sudlib.files import InputError
from sudlib.images import LEVELS, VARIABLES, levels

keras = pytest.importorskip("keras")

from sudlib.networks import PictureClassifier, training  # noqa: E402

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


def test_unfitted_it_says_so():
    with pytest.raises(NotFittedError):
        PictureClassifier().predict_proba(CODES)


@pytest.mark.parametrize(
    "given, outcome, word",
    [
        (CODES[:9], COMPLETED[:8], "one outcome a record"),
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
