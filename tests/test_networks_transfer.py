"""Carrying a network over: what is trained, what stays, and what it can change."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sudlib.files import InputError
from sudlib.images import TextImage, levels

keras = pytest.importorskip("keras")

from sudlib.networks import (  # noqa: E402
    architectures,
    heads,
    layers,
    training,
    transfer,
)

SHORT = training.Recipe(epochs=3)
RANDOM = np.random.default_rng(4)
CODES = (RANDOM.random((900, 28)) * levels()).astype("uint8")
SOURCE, TARGET, TEST = slice(0, 500), slice(500, 740), slice(740, None)
SIGNAL = CODES[:, 0] / 6 - CODES[:, 14] / 9
#: The target wants half of what the source wants, and another variable much more.
OUTCOME = np.where(
    np.arange(900) < 500,
    SIGNAL + RANDOM.normal(0, 0.5, 900) > 0,
    SIGNAL / 2 + CODES[:, 1] + RANDOM.normal(0, 0.3, 900) > 1.2,
).astype(int)
INPUTS, COMPLETED = CODES[TARGET], OUTCOME[TARGET]


def network(seed=1):
    keras.utils.set_random_seed(seed)
    given = keras.Input((28,), dtype="uint8")
    x = keras.layers.Rescaling(0.1)(given)
    x = keras.layers.Dense(12, activation="relu")(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(given, keras.layers.Dense(1)(x))


@pytest.fixture(scope="module")
def source():
    model = network()
    recipe = training.Recipe(epochs=25, learning_rate=1e-2)
    training.train(model, CODES[SOURCE], OUTCOME[SOURCE], recipe=recipe)
    return model


@pytest.fixture(autouse=True)
def untouched(source):
    """Whatever is carried over, the source stays as it was."""
    before = [weight.copy() for weight in source.get_weights()]
    yield
    for old, new in zip(before, source.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert transfer.count_trainable(source) == 28 * 12 + 12 + 13


def area(carried):
    return average_precision_score(OUTCOME[TEST], carried.logits(CODES[TEST]))


def slope_of(moved):
    return moved.model.layers[-1].get_weights()[0].item()


def test_the_published_transfer_has_nothing_to_train(source):
    moved = transfer.zero_shot(
        source,
        INPUTS,
        COMPLETED,
        validation_data=(CODES[TEST], OUTCOME[TEST]),
        recipe=SHORT,
    )
    assert moved.trained == 0
    assert moved.training.history["val_loss"].nunique() == 1
    assert len(moved.training.history) == 3
    np.testing.assert_array_equal(
        moved.logits(CODES[TEST]), training.logits(source, CODES[TEST])
    )


def test_two_parameters_change_no_rank_and_so_no_curve(source):
    nothing = transfer.zero_shot(source)
    moved = transfer.platt(source, INPUTS, COMPLETED)
    assert moved.trained == 2 and slope_of(moved) > 0
    before, after = (each.logits(CODES[TEST]) for each in (nothing, moved))
    np.testing.assert_array_equal(rankdata(before), rankdata(after))
    assert area(moved) == area(nothing)
    assert not np.allclose(before, after)


def test_the_exact_line_is_the_maximum_of_the_likelihood(source):
    """There the residuals sum to nothing, as they are and times the logit."""
    moved = transfer.platt(source, INPUTS, COMPLETED)
    left = moved.probabilities(INPUTS) - COMPLETED
    assert abs(left.mean()) < 1e-4
    assert abs((left * training.logits(source, INPUTS)).mean()) < 1e-4
    assert log_loss(COMPLETED, moved.probabilities(INPUTS)) < log_loss(
        COMPLETED, transfer.zero_shot(source).probabilities(INPUTS)
    )


def test_validation_rows_join_where_nothing_needs_validation(source):
    first, second = slice(0, 150), slice(150, None)
    pair = INPUTS[second], COMPLETED[second]
    whole = transfer.platt(source, INPUTS, COMPLETED)
    joined = transfer.platt(
        source, INPUTS[first], COMPLETED[first], validation_data=pair
    )
    np.testing.assert_allclose(
        joined.logits(CODES[TEST]), whole.logits(CODES[TEST]), atol=1e-5
    )


def test_a_start_below_zero_turns_the_ranks_round_and_stays_there(source):
    recipe = training.Recipe(epochs=3)
    moved = transfer.platt(source, INPUTS, COMPLETED, recipe=recipe, start=-1.0)
    steps = 3 * -(-len(INPUTS) // 32)
    assert slope_of(moved) < -1 + 1.5e-3 * steps
    turned = average_precision_score(
        OUTCOME[TEST], -training.logits(source, CODES[TEST])
    )
    assert area(moved) == pytest.approx(turned)
    up = transfer.platt(source, INPUTS, COMPLETED, recipe=recipe, start=1.0)
    assert area(up) == area(transfer.zero_shot(source))


def test_a_head_is_a_logistic_regression_on_the_last_features(source):
    features = training.predict(transfer.features_of(source), CODES)
    head = heads.logistic_head(features[TARGET], COMPLETED)
    base = keras.Model(source.input, source.layers[-1].input)
    found = np.asarray(base(CODES))
    penalised = [
        make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=500))
        for C in (1e-4, 1e-3, 1e-2, 1e-1)
    ]
    scaled = StandardScaler().fit_transform(found[TARGET])
    losses = [
        cross_val_score(
            head["logisticregression"],
            scaled,
            COMPLETED,
            cv=3,
            scoring="neg_log_loss",
        ).mean()
        for head in penalised
    ]
    best = penalised[int(np.argmax(losses))].fit(found[TARGET], COMPLETED)
    np.testing.assert_allclose(
        head.probabilities(features[TEST]),
        best.predict_proba(found[TEST])[:, 1],
        atol=1e-5,
    )


def test_fine_tuning_moves_every_layer_and_helps_where_the_target_differs(source):
    recipe = training.Recipe(epochs=40, learning_rate=1e-2)
    moved = transfer.unfrozen(source, INPUTS, COMPLETED, recipe=recipe)
    assert moved.trained == transfer.count_trainable(source)
    for old, new in zip(source.get_weights(), moved.model.get_weights(), strict=True):
        assert not np.array_equal(old, new)
    assert area(moved) > area(transfer.zero_shot(source)) + 0.05


def test_from_scratch_knows_nothing_of_the_source(source):
    one = transfer.from_scratch(source, INPUTS, COMPLETED, recipe=SHORT, seed=5)
    other = transfer.from_scratch(
        network(seed=9), INPUTS, COMPLETED, recipe=SHORT, seed=5
    )
    np.testing.assert_array_equal(one.logits(CODES[TEST]), other.logits(CODES[TEST]))
    third = transfer.from_scratch(source, INPUTS, COMPLETED, recipe=SHORT, seed=6)
    assert not np.array_equal(one.logits(CODES[TEST]), third.logits(CODES[TEST]))


def drawing(picture, seed=2):
    keras.utils.set_random_seed(seed)
    given = keras.Input((28,), dtype="uint8")
    x = layers.DrawRecords(picture, scale=1 / 255)(given)
    x = keras.layers.AveragePooling2D(10)(x)
    return keras.Model(given, keras.layers.Dense(1)(keras.layers.Flatten()(x)))


def test_a_network_shown_another_layout_reads_the_pictures_of_that_layout():
    general, clinic = TextImage("general"), TextImage("clinic")
    model = drawing(general)
    shown = transfer.redraw(model, clinic)
    kernel, bias = model.layers[-1].get_weights()
    for picture, network_of in ((general, model), (clinic, shown)):
        pixels = picture.draw(CODES[:9]) / 255
        pooled = pixels.reshape(9, 25, 10, 25, 10).mean(axis=(2, 4)).reshape(9, -1)
        np.testing.assert_allclose(
            training.logits(network_of, CODES[:9]),
            (pooled @ kernel + bias)[:, 0],
            atol=1e-5,
        )
    assert model.layers[1].picture.layout.name == "general"


def test_what_cannot_be_carried_over_is_said(source):
    given = keras.Input((28,))
    two = keras.Model(given, keras.layers.Dense(2)(given))
    with pytest.raises(InputError, match="dense layer with one unit"):
        transfer.zero_shot(two)
    soft = keras.Model(given, keras.layers.Activation("relu")(given))
    with pytest.raises(InputError, match="not in Activation"):
        transfer.features_of(soft)
    for arm in (transfer.platt, transfer.unfrozen):
        with pytest.raises(InputError, match="both outcomes are needed"):
            arm(source, INPUTS, np.zeros(len(INPUTS)))
    with pytest.raises(InputError, match="none of the network's layers draws"):
        transfer.redraw(source, TextImage("grid"))
    with pytest.raises(InputError, match="must be of the size the network reads"):
        transfer.redraw(drawing("general"), TextImage("grid"))


def test_the_first_sample_is_the_one_of_the_studys_notebook():
    # 232,131 people of whom 1% are 2,322: two calls of scikit-learn with seed 33.
    everybody = np.arange(232_131)
    _, tenth = train_test_split(everybody, test_size=0.01, random_state=33)
    learn, report = train_test_split(tenth, test_size=0.50, random_state=33)
    first, second = transfer.samples(len(everybody), 2322, 2)
    np.testing.assert_array_equal(first[0], learn)
    np.testing.assert_array_equal(first[1], report)
    assert not set(np.concatenate(first)) & set(np.concatenate(second))


def test_samples_share_nobody_as_long_as_there_are_people():
    found = transfer.samples(100, 10, 10, seed=1)
    assert len(np.unique(np.concatenate([r for pair in found for r in pair]))) == 100
    assert all(len(learn) == len(report) == 5 for learn, report in found)
    again = transfer.samples(100, 10, 12, seed=1)
    np.testing.assert_array_equal(again[3][0], found[3][0])
    assert len(again) == 12 and not set(again[11][0]) & set(again[11][1])
    (whole,) = transfer.samples(100, 100, 1)
    assert sorted(np.concatenate(whole)) == list(range(100))
    with pytest.raises(InputError, match="whole number from 2 to 100"):
        transfer.samples(100, 101, 1)


@pytest.mark.parametrize("name", ["cells", "published"])
def test_the_networks_of_the_study_and_ours_can_be_carried_over(name):
    small = {each: TextImage(each).resized(46) for each in ("general", "clinic")}
    build = {
        "cells": lambda: architectures.cell_network(blocks="atlas"),
        "published": lambda: architectures.published_network(
            small["general"], "unit", blocks="grey"
        ),
    }[name]
    keras.utils.set_random_seed(7)
    model = build()
    rows, outcome = INPUTS[:60], COMPLETED[:60]
    moved = transfer.platt(model, rows, outcome)
    assert moved.trained == 2 and transfer.last_layer(moved.model).units == 1
    np.testing.assert_allclose(
        transfer.zero_shot(model).logits(rows), training.logits(model, rows)
    )
    assert transfer.count_trainable(
        keras.models.clone_model(model)
    ) == transfer.count_trainable(model)
    if name == "published":
        shown = transfer.redraw(model, small["clinic"])
        there = architectures.published_network(small["clinic"], "unit", blocks="grey")
        there.set_weights(model.get_weights())
        np.testing.assert_allclose(
            training.logits(shown, rows), training.logits(there, rows), atol=1e-6
        )
        assert not np.allclose(
            training.logits(shown, rows), training.logits(model, rows)
        )


def test_outcomes_of_other_people_or_that_are_none_are_refused(source):
    values = pd.DataFrame(RANDOM.random((240, 3)))
    done = pd.Series(COMPLETED)
    watch = INPUTS, np.where(COMPLETED, 0.7, 0.2)
    masked = np.ma.masked_array(COMPLETED, mask=np.arange(240) < 3)
    for call, said in (
        (lambda: heads.logistic_head(values, done[::-1]), "different indexes"),
        (lambda: heads.logistic_head(values, done, (values, watch[1])), "0 or 1"),
        (lambda: heads.logistic_head(values, done[:100]), "same length"),
        (lambda: transfer.platt(source, INPUTS, done, validation_data=watch), "0 or 1"),
        (lambda: transfer.platt(source, INPUTS, done[:100]), "same length"),
        (lambda: transfer.unfrozen(source, INPUTS, masked), "0 or 1"),
    ):
        with pytest.raises(InputError, match=said):
            call()
