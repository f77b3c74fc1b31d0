"""The embedding network: what its layer computes, and what it can learn."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from sudlib import images, twin
from sudlib.files import InputError
from sudlib.teds import cohorts

keras = pytest.importorskip("keras")

from sudlib.networks import EmbeddingNetwork, entity_embedding, training  # noqa: E402

SHORT = training.Recipe(epochs=15, learning_rate=5e-3, patience=15)


@pytest.fixture(scope="module")
def people():
    """Records of the twin, with an outcome that is an interaction of two variables."""
    records = cohorts.general(twin.sample(2018, 8000, seed=3)).head(2300)
    codes = images.encode(records)
    woman, flag = (
        codes[:, images.VARIABLES.index(name)] == 2 for name in ("GENDER", "MARFLG")
    )
    wrong = np.random.default_rng(0).random(len(codes)) < 0.05
    return records, codes, (woman ^ flag ^ wrong).astype(int)


@pytest.fixture(scope="module")
def fitted(people):
    _, codes, completed = people
    network = EmbeddingNetwork(recipe=SHORT)
    return network.fit(codes[:2000], completed[:2000])


def test_an_embedding_is_a_one_hot_code_times_a_table():
    levels = (3, 5, 2)
    layer = entity_embedding.EntityEmbedding(levels, width=4)
    codes = np.array([[0, 4, 1], [2, 0, 0]], np.uint8)
    found = keras.ops.convert_to_numpy(layer(codes))
    table = keras.ops.convert_to_numpy(layer.vectors)
    for row, person in enumerate(codes):
        for variable, level in enumerate(person):
            one_hot = np.zeros(sum(levels))
            one_hot[sum(levels[:variable]) + level] = 1
            np.testing.assert_allclose(found[row, variable], one_hot @ table)
    assert layer.compute_output_shape((None, 3)) == (None, 3, 4)


def test_every_level_of_every_variable_has_a_vector_of_its_own():
    network = entity_embedding.embedding_network(width=5)
    table = network.layers[1].vectors
    assert tuple(table.shape) == (sum(images.levels()), 5)
    ends = np.cumsum(images.levels())
    np.testing.assert_array_equal(network.layers[1].first[1:], ends[:-1])


def test_it_learns_an_interaction_that_no_logistic_regression_can(fitted, people):
    _, codes, completed = people
    train, test = slice(0, 2000), slice(2000, None)
    score = fitted.predict_proba(codes[test])[:, 1]
    one_hot = np.concatenate(
        [
            codes[:, [column]] == np.arange(levels)
            for column, levels in enumerate(images.levels())
        ],
        axis=1,
    )
    linear = LogisticRegression(max_iter=500).fit(one_hot[train], completed[train])
    other = linear.predict_proba(one_hot[test])[:, 1]
    ours, theirs = (
        average_precision_score(completed[test], each) for each in (score, other)
    )
    assert ours > theirs + 0.15


def test_it_behaves_as_an_estimator(fitted, people):
    records, codes, _ = people
    probabilities = fitted.predict_proba(codes[2000:])
    assert probabilities.shape == (300, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(
        fitted.predict(codes[2000:]), probabilities[:, 1] > 0.5
    )
    np.testing.assert_array_equal(
        fitted.predict_proba(records.iloc[2000:]), probabilities
    )
    again = clone(fitted)
    assert again.get_params() == fitted.get_params() and not hasattr(again, "model_")
    assert fitted.classes_.tolist() == [0, 1] and fitted.n_features_in_ == 28
    assert list(fitted.history_) == ["loss", "val_loss", "seconds"]


def test_the_same_seed_makes_the_same_network(fitted, people):
    _, codes, completed = people
    again = clone(fitted).fit(codes[:2000], completed[:2000])
    np.testing.assert_array_equal(
        again.predict_proba(codes[2000:]), fitted.predict_proba(codes[2000:])
    )


def test_a_saved_network_is_the_same_network(fitted, people, tmp_path):
    _, codes, _ = people
    fitted.model_.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(
        training.logits(loaded, codes[:50]), training.logits(fitted.model_, codes[:50])
    )


def test_what_cannot_be_read_is_said(people):
    _, codes, completed = people
    with pytest.raises(InputError, match="codes must be whole numbers"):
        EmbeddingNetwork().fit(codes.astype(float), completed)
    with pytest.raises(InputError, match="28 columns"):
        EmbeddingNetwork().fit(codes[:, :5], completed)
    with pytest.raises(InputError, match="same length"):
        EmbeddingNetwork().fit(codes, completed[:5])
