"""Fine-tuning: on kept maps it is the same function, and what is frozen stays so."""

import keras
import numpy as np
import pytest

from sudlib import images
from sudlib.files import InputError
from sudlib.networks import backbones, feature_cache, finetuning, heads, training

N = 24


@pytest.fixture(scope="module")
def picture():
    return images.TextImage("grid")


@pytest.fixture(scope="module")
def base(picture):
    return backbones.base("efficientnet-lite0", side=picture.shape)


@pytest.fixture(scope="module")
def codes():
    levels = np.array(images.levels())
    drawn = np.random.default_rng(0).integers(0, levels, (N, 28))
    return drawn.astype(np.uint8)


@pytest.fixture(scope="module")
def completed():
    return np.random.default_rng(1).integers(0, 2, N)


def compute(base, picture, codes, **more):
    given = {"folder": False, "dtype": "float32", "progress": False, **more}
    return feature_cache.compute(base, picture, codes, **given).values


@pytest.fixture(scope="module")
def maps(base, picture, codes):
    return compute(base, picture, codes, pooled="map", stages=1)


def norms(model):
    return [
        value
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for value in layer.get_weights()
    ]


def test_before_training_it_is_the_frozen_network_with_its_head(
    base, picture, codes, maps, completed
):
    frozen = compute(base, picture, codes)
    head = heads.logistic_head(frozen, completed, (frozen, completed))
    start = head.weights
    top = finetuning.top_of(base, start=start)
    np.testing.assert_allclose(finetuning.averages(top, maps), frozen, atol=1e-4)
    logit = keras.ops.convert_to_numpy(top(maps))[:, 0]
    expected = head.model.decision_function(frozen.astype("float32"))
    # So few people make some spreads small, and dividing by them enlarges rounding.
    np.testing.assert_allclose(logit, expected, atol=0.01)


def test_maps_of_one_stage_follow_from_those_of_two(base, picture, codes, maps):
    earlier = compute(base, picture, codes, pooled="map", stages=2)
    later = finetuning.next_maps(base, earlier, batch_size=10)
    assert later.shape == maps.shape != earlier.shape
    np.testing.assert_allclose(later, maps, atol=1e-3 * np.abs(maps).max())


def test_training_on_kept_maps_is_training_the_whole_network(
    base, picture, codes, maps, completed
):
    way = finetuning.Protocol(epochs=1, may_stay=False, learning_rate=1e-4)
    short = finetuning.top_of(base, way)
    inner = finetuning.top_of(base, way)
    whole = finetuning.whole(base, picture, inner)
    assert len(whole.trainable_variables) == len(short.trainable_variables)
    given = {"seed": 5, "batch_size": 8, "progress": False}
    one = finetuning.tune(short, maps, completed, (maps, completed), way, **given)
    other = finetuning.tune(whole, codes, completed, (codes, completed), way, **given)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(
            one.course.history[name], other.course.history[name], rtol=1e-4
        )
    np.testing.assert_allclose(
        training.probabilities(short, maps),
        training.probabilities(whole, codes),
        atol=1e-4,
    )
    assert one.trained == other.trained


@pytest.mark.parametrize("norm", finetuning.NORMS)
def test_only_what_is_released_changes(base, maps, completed, norm):
    before = [value.copy() for value in base.model.get_weights()]
    way = finetuning.Protocol(norm=norm, epochs=1, may_stay=False)
    top = finetuning.top_of(base, way)
    normed, kernel = norms(top), top.get_layer("conv_head").get_weights()[0]
    finetuning.tune(
        top, maps, completed, (maps, completed), way, batch_size=8, progress=False
    )
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(normed, norms(top), strict=True)
    ]
    assert all(moved) if norm == "trained" else not any(moved)
    assert not np.array_equal(kernel, top.get_layer("conv_head").get_weights()[0])
    for old, new in zip(before, base.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_does_harm_to_the_watched_is_not_kept(base, maps, completed):
    wild = finetuning.Protocol(learning_rate=0.1, epochs=1)
    # Watched people of whom the opposite is true: every step does harm.
    watch = maps, 1 - completed
    given = {"batch_size": 8, "progress": False}
    top = finetuning.top_of(base, wild)
    before = top.get_weights()
    kept = finetuning.tune(top, maps, completed, watch, wild, **given)
    assert kept.best_epoch == 0 and kept.loss == kept.start_loss
    assert kept.loss < kept.course.history["val_loss"].min()
    for old, new in zip(before, top.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_released_weights_are_those_of_the_last_stage_and_the_head(base):
    def trained(**changes):
        top = finetuning.top_of(base, finetuning.Protocol(**changes))
        return sum(int(np.prod(each.shape)) for each in top.trainable_variables)

    # One block 192 -> 1152 -> 320, the last convolution to 1280, and the logit.
    kernels = 192 * 1152 + 9 * 1152 + 1152 * 320 + 320 * 1280
    assert trained() == kernels + 1281
    assert trained(norm="trained") == kernels + 1281 + 2 * (2 * 1152 + 320 + 1280)
    assert trained(stages=2) > trained()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"stages": 3}, "stages must be one of 1, 2, not 3"),
        ({"norm": "off"}, "norm must be one of frozen, trained"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
    ],
)
def test_bad_ways_are_told(changes, why):
    with pytest.raises(InputError, match=why):
        finetuning.Protocol(**changes).recipe()
