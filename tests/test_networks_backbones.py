"""Bases: true weights, right pixels, and faster forms that compute the same."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from sudlib.files import InputError
from sudlib.networks import backbones, imagenet

SIDE = (56, 64)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def grey():
    return np.random.default_rng(0).integers(0, 256, (3, *SIDE, 1)).astype("float32")


@pytest.fixture(scope="module")
def lite():
    return backbones.base("efficientnet-lite0", side=SIDE)


@pytest.fixture(scope="module")
def resnet():
    return backbones.base("resnet50", "random", side=SIDE)


@pytest.fixture(scope="module")
def classifier():
    """EfficientNet-Lite0 on prepared pixels, with its authors' 1,000 classes."""
    tensors = imagenet.read_torch(imagenet.locate("efficientnet-lite0"))
    prepared = keras.Input((224, 224, 3))
    whole = keras.Model(prepared, backbones._efficientnet_lite0(prepared))
    backbones._load(whole, tensors)
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(whole.output)
    last = keras.layers.Dense(1000)
    model = keras.Model(prepared, last(pooled))
    last.set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
    return model


def photograph(name):
    """Return the middle of a photograph, prepared as its authors prepare it."""
    picture = Image.fromarray(load_sample_image(name))
    scale = 256 / min(picture.size)
    size = [round(length * scale) for length in picture.size]
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = (length // 2 - 112 for length in size)
    picture = picture.crop((left, top, left + 224, top + 224))
    return (np.asarray(picture, "float32")[None] - 127) / 128


def test_lite0_has_its_authors_number_of_weights(classifier):
    assert classifier.count_params() == 4_694_024


@pytest.mark.parametrize(("name", "kind"), [("china.jpg", 698), ("flower.jpg", 985)])
def test_lite0_names_what_photographs_show(classifier, name, kind):
    # 698 is palace, 985 daisy.
    chances = numpy(keras.ops.softmax(classifier(photograph(name))))[0]
    assert chances.argmax() == kind
    assert chances[kind] > 2 * np.sort(chances)[-2]


def test_base_prepares_pixels_as_its_authors_do(classifier, lite):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3))
    before = keras.Model(classifier.input, classifier.get_layer("pooled").input)
    base = backbones.base("efficientnet-lite0", side=224)
    expected = numpy(before((pixels.astype("float32") - 127) / 128))
    found = numpy(base.model(pixels.astype("float32")))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_resnet50_prepares_pixels_as_keras_does(resnet):
    pixels = np.random.default_rng(1).integers(0, 256, (2, *SIDE, 3)).astype("float32")
    network = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=(*SIDE, 3)
    )
    network.set_weights(resnet.model.get_weights())
    right = keras.applications.resnet50.preprocess_input(pixels.copy())
    expected = numpy(network(right))
    np.testing.assert_allclose(numpy(resnet.model(pixels)), expected, rtol=1e-4)
    raw = backbones.base("resnet50", "random", side=SIDE, preprocessing="raw")
    np.testing.assert_allclose(
        numpy(raw.model(pixels)), numpy(network(pixels)), rtol=1e-4
    )


def test_resnet50_takes_a_file_of_keras_weights(tmp_path, monkeypatch):
    import hashlib

    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    path = tmp_path / "resnet.h5"
    network = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=(*SIDE, 3)
    )
    with h5py.File(path, "w") as stream:
        legacy_h5_format.save_weights_to_hdf5_group(stream, network)
    kept = imagenet.known()["resnet50"]
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    entry = imagenet.WeightsFile(
        "resnet50", "", "f.h5", path.stat().st_size, "md5", digest, kept.url
    )
    # What Keras saves without its top is as large as what it downloads, but for names.
    assert abs(entry.bytes - kept.bytes) < 1e5
    monkeypatch.setattr(imagenet, "known", lambda: {"resnet50": entry})
    base = backbones.base("resnet50", path, side=SIDE)
    assert base.weights_words == "ImageNet weights"
    for ours, theirs in zip(
        base.model.get_weights(), network.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_words_say_what_the_weights_are(lite, resnet):
    assert str(lite) == "EfficientNet-Lite0, ImageNet weights"
    assert str(resnet) == "ResNet50, random weights"
    assert lite.shape == (2, 2, 1280) and resnet.shape == (2, 2, 2048)
    assert not lite.model.trainable_variables


def test_key_tells_apart_whatever_changes_the_features(lite):
    def key(**changes):
        return backbones.base("efficientnet-lite0", **{"side": SIDE, **changes}).key

    assert key() == lite.key
    others = [
        key(preprocessing="raw"),
        key(side=64),
        key(weights="random"),
        key(weights="random", seed=1),
    ]
    assert len({lite.key, *others}) == 5
    assert key(weights="random") == others[2]


@pytest.mark.parametrize("name", backbones.BASES)
def test_random_weights_neither_fade_nor_explode(name, grey):
    base = backbones.base(name, "random", side=SIDE)
    found = numpy(base.grey(grey))
    assert 0.01 < found.std() < 1000


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("vgg16", {}, "base must be one of resnet50, efficientnet-lite0"),
        ("resnet50", {"side": 31}, "at least 32, not 31 x 31"),
        ("efficientnet-lite0", {"side": (250, 20)}, "at least 32, not 250 x 20"),
        ("resnet50", {"preprocessing": "mobilenet"}, "must be one of imagenet, raw"),
        ("resnet50", {"weights": "imagnet"}, "there is no file 'imagnet'"),
    ],
)
def test_bad_input_is_told(name, changes, why):
    with pytest.raises(InputError, match=why):
        backbones.base(name, **changes)


@pytest.mark.parametrize(
    ("name", "preprocessing"),
    [("resnet50", "imagenet"), ("efficientnet-lite0", "imagenet"), ("resnet50", "raw")],
)
def test_grey_form_computes_the_same(name, preprocessing, grey):
    kind = "random" if name == "resnet50" else "imagenet"
    base = backbones.base(name, kind, side=SIDE, preprocessing=preprocessing)
    whole = numpy(base.model(np.repeat(grey, 3, -1)))
    fast = numpy(base.grey(grey))
    np.testing.assert_allclose(fast, whole, atol=2e-5 * abs(whole).max())
    # It has no normalisation left, and ours reads one channel instead of three.
    left = [type(layer).__name__ for layer in base.grey.layers]
    assert "BatchNormalization" not in left


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("name", backbones.BASES)
def test_two_parts_compute_what_the_whole_does(name, stages, grey, lite, resnet):
    base = {"resnet50": resnet, "efficientnet-lite0": lite}[name]
    trunk, tail = base.trunk(stages), base.tail(stages)
    whole = numpy(base.model(np.repeat(grey, 3, -1)))
    parts = numpy(tail(trunk(grey)))
    np.testing.assert_allclose(parts, whole, atol=2e-5 * abs(whole).max())
    assert not trunk.trainable_variables and tail.trainable_variables
    # Training the copy leaves the base as it is.
    tail.set_weights([value + 1 for value in tail.get_weights()])
    np.testing.assert_array_equal(whole, numpy(base.model(np.repeat(grey, 3, -1))))


def test_only_one_or_two_stages_can_be_cut_off(lite):
    with pytest.raises(InputError, match="stages must be one of 1, 2"):
        lite.tail(3)


@pytest.mark.slow
def test_jax_computes_the_same_features(lite, grey, tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed")
    np.save(tmp_path / "grey.npy", grey)
    program = (
        "import sys, numpy as np, keras; from sudlib.networks import backbones\n"
        "assert keras.backend.backend() == 'jax'\n"
        f"base = backbones.base('efficientnet-lite0', side={SIDE})\n"
        "found = base.grey(np.load(sys.argv[1] + '/grey.npy'))\n"
        "np.savez(sys.argv[1] + '/found.npz', found=np.asarray(found), key=base.key)\n"
    )
    import os

    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, env=environment
    )
    there = np.load(tmp_path / "found.npz")
    assert there["key"] == lite.key
    np.testing.assert_allclose(there["found"], numpy(lite.grey(grey)), atol=1e-4)
