"""Features: computed once, kept, trusted only when they are what they should be."""

import time

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sudlib import images
from sudlib.files import InputError
from sudlib.networks import backbones, feature_cache, heads, training

LEVELS = np.array(images.levels())


def some_codes(n, seed=0):
    return np.random.default_rng(seed).integers(0, LEVELS, (n, 28)).astype(np.uint8)


@pytest.fixture(scope="module")
def picture():
    return images.TextImage("grid")


def tiny(picture, scale=1 / 255):
    """Return a base of one layer: what is tested here does not depend on its depth."""
    layers = keras.layers
    pixels = keras.Input((*picture.shape, 3))
    x = layers.Rescaling(scale)(pixels)
    x = layers.Conv2D(128, 16, 16, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(pixels, x)
    backbones._draw_weights(model, "efficientnet-lite0", 1)
    key = f"tiny {scale}"
    side = tuple(picture.shape)
    return backbones.Base(
        "efficientnet-lite0", "random weights", "raw", side, model, key
    )


@pytest.fixture(scope="module")
def base(picture):
    return tiny(picture)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(feature_cache, "PIECE", 16)


@pytest.fixture
def ask(base, picture, tmp_path):
    def compute(codes, **changes):
        settings = {"folder": tmp_path, "batch_size": 8, **changes}
        return feature_cache.compute(base, picture, codes, **settings)

    compute.folder = tmp_path
    return compute


def pieces(folder):
    return sorted(folder.rglob("*.npz"))


def test_features_are_those_of_the_drawn_pictures(ask, base, picture):
    codes = some_codes(5)
    drawn = picture.draw(codes)[..., None].astype("float32")
    expected = keras.ops.convert_to_numpy(base.model(np.repeat(drawn, 3, -1)))
    found = ask(codes, pooled="map", dtype="float32").values
    np.testing.assert_allclose(found, expected, atol=2e-5 * abs(expected).max())
    average = ask(codes, dtype="float32").values
    np.testing.assert_allclose(average, expected.mean((1, 2)), atol=1e-4)
    places = ask(codes, pooled="places", dtype="float32").values
    mixed = expected @ feature_cache._mixtures(base.shape)
    np.testing.assert_allclose(places, mixed.reshape(5, -1), atol=1e-3)
    # As many numbers as channels, so that heads are compared fairly.
    assert places.shape == average.shape == (5, 128)


def test_half_precision_is_close(ask):
    codes = some_codes(5)
    whole = ask(codes, dtype="float32").values
    np.testing.assert_allclose(ask(codes).values, whole, rtol=1e-3, atol=1e-5)


def test_features_before_the_last_stage_lead_to_the_last_map(picture, tmp_path):
    base = backbones.base("efficientnet-lite0", side=picture.shape)
    asked = {"pooled": "map", "folder": tmp_path, "dtype": "float32"}
    before = feature_cache.compute(
        base, picture, some_codes(5), stages=1, **asked
    ).values
    last = feature_cache.compute(base, picture, some_codes(5), **asked).values
    found = keras.ops.convert_to_numpy(base.tail(1)(before))
    np.testing.assert_allclose(found, last, atol=2e-5 * abs(last).max())


def test_equal_records_are_computed_once(ask):
    codes = np.repeat(some_codes(6), 5, axis=0)[
        np.random.default_rng(0).permutation(30)
    ]
    found = ask(codes)
    assert (found.passes, found.asked, found.distinct) == (6, 30, 6)
    first, inverse = np.unique(codes, axis=0, return_inverse=True)
    np.testing.assert_array_equal(found.values, ask(first).values[inverse.ravel()])


def test_order_of_the_records_is_kept_over_pieces(ask):
    codes = some_codes(50)
    found = ask(codes, folder=False)
    for row in (0, 17, 49):
        one = ask(codes[row : row + 1], folder=False).values
        np.testing.assert_allclose(found.values[row], one[0], rtol=2e-3, atol=1e-4)


def test_second_run_and_another_head_make_no_pass(ask, monkeypatch):
    codes = some_codes(20)
    begin = time.perf_counter()
    first = ask(codes)
    assert first.passes == 20 and first.batch_size == 8
    assert 0 < first.seconds < time.perf_counter() - begin

    def never(*_):
        raise AssertionError("a model was built")

    monkeypatch.setattr(feature_cache, "_build", never)
    second, other = ask(codes), ask(codes, pooled="places")
    assert second.passes == other.passes == 0
    assert second.seconds == other.seconds == first.seconds
    np.testing.assert_array_equal(first.values, second.values)
    assert ask(codes[::-1]).passes == 0  # the same people in another order


@pytest.mark.parametrize("change", ["codes", "picture", "base", "dtype", "map"])
def test_whatever_changes_the_features_is_computed_anew(ask, change, picture):
    codes = some_codes(3)
    ask(codes)
    if change == "codes":
        codes = codes.copy()
        codes[0, 0] ^= 1
        found = ask(codes)
    elif change == "picture":
        other, folder = picture.blanked("AGE"), ask.folder
        found = feature_cache.compute(tiny(picture), other, codes, folder=folder)
    elif change == "base":
        raw = tiny(picture, scale=1.0)
        found = feature_cache.compute(raw, picture, codes, folder=ask.folder)
    elif change == "dtype":
        found = ask(codes, dtype="float32")
    else:
        found = ask(codes, pooled="map")
    assert found.passes == 3


def test_run_that_was_stopped_goes_on_where_it_was(ask, monkeypatch):
    codes = some_codes(40)
    real, calls = keras.Model.predict, []

    def stops(self, batches, **options):
        calls.append(batches)
        if len(calls) == 3:  # in the third piece
            raise KeyboardInterrupt
        return real(self, batches, **options)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "predict", stops)
        with pytest.raises(KeyboardInterrupt):
            ask(codes)
    found = ask(codes)
    assert found.passes == 40 - 32
    np.testing.assert_array_equal(found.values, ask(codes, folder=False).values)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def garble(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [truncate, garble, empty])
def test_damaged_piece_is_computed_again_and_said(ask, harm):
    codes = some_codes(40)
    good = ask(codes).values
    harm(pieces(ask.folder)[1])
    with pytest.warns(UserWarning, match="cannot be read: they are computed again"):
        found = ask(codes)
    assert found.passes == 16
    np.testing.assert_array_equal(found.values, good)
    assert ask(codes).passes == 0  # it has been put right


def test_older_version_is_computed_again(ask, monkeypatch):
    codes = some_codes(20)
    ask(codes)
    monkeypatch.setattr(feature_cache, "VERSION", feature_cache.VERSION + 1)
    assert ask(codes).passes == 20


def test_piece_of_something_else_is_computed_again_and_said(ask):
    codes = some_codes(40)
    good = ask(codes).values
    first, second, _ = pieces(ask.folder)
    second.write_bytes(first.read_bytes())
    with pytest.warns(UserWarning, match="something else: they are computed again"):
        found = ask(codes)
    assert found.passes == 16
    np.testing.assert_array_equal(found.values, good)


def test_folder_that_cannot_be_written_is_told_and_the_run_goes_on(ask):
    (ask.folder / "file").write_text("")
    with pytest.warns(UserWarning, match="cannot be stored"):
        found = ask(some_codes(3), folder=ask.folder / "file")
    assert found.passes == 3


def test_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SUDLIB_CACHE", str(tmp_path / "there"))
    assert feature_cache.cache_folder() == tmp_path / "there" / "features"


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


def test_batch_that_does_not_fit_is_halved_until_it_does_and_said_once(
    ask, monkeypatch, capsys
):
    codes = some_codes(20)
    good = ask(codes, folder=False)
    real, sizes = keras.Model.predict, []

    def fits_2(self, batches, **options):
        sizes.append(batches.batch_size)
        if batches.batch_size > 2:
            raise ResourceExhaustedError("OOM when allocating tensor")
        return real(self, batches, **options)

    monkeypatch.setattr(keras.Model, "predict", fits_2)
    found = ask(codes, folder=False)
    assert found.batch_size == 2 and found.passes == 20
    assert sizes == [8, 4, 2, 2]  # two pieces: the second begins where the first ended
    assert capsys.readouterr().out.count("did not hold a batch of 8") == 1
    np.testing.assert_allclose(found.values, good.values, rtol=2e-3, atol=1e-4)


def test_another_error_is_not_taken_for_a_lack_of_memory(ask, monkeypatch):
    def broken(*_, **__):
        raise ValueError("something else")

    monkeypatch.setattr(keras.Model, "predict", broken)
    with pytest.raises(ValueError, match="something else"):
        ask(some_codes(3), folder=False)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_records(base, picture):
    import resource

    feature_cache.compute(base, picture, some_codes(200), folder=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    feature_cache.compute(base, picture, some_codes(4000, 1), folder=False)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # 4,000 pictures as three channels of floats are 172 MB; their features are 1 MB.
    assert grown < 60_000


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pooled": "max"}, "pooled must be one of average, places, map"),
        ({"stages": 1}, "pooled=\"map\", not 'average'"),
        ({"dtype": "int8"}, "dtype must be one of"),
    ],
)
def test_bad_input_is_told(ask, changes, why):
    with pytest.raises(InputError, match=why):
        ask(some_codes(2), **changes)


def test_code_without_a_glyph_and_wrong_size_are_told(ask, base):
    with pytest.raises(InputError, match="level without a glyph"):
        ask(np.full((2, 28), 200, np.uint8))
    with pytest.raises(InputError, match="ask for base.*250, 250"):
        feature_cache.compute(base, images.TextImage("general"), some_codes(2))
    with pytest.raises(InputError, match="no records"):
        ask(some_codes(0))


def test_value_too_large_for_half_precision_is_told():
    with pytest.raises(InputError, match='ask for dtype="float32"'):
        feature_cache._cast(np.array([1e5], "float32"), "float16")


@pytest.fixture(scope="module")
def learnable():
    random = np.random.default_rng(1)
    values = random.normal(size=(600, 12)) * random.uniform(0.1, 10, 12)
    logit = (values / values.std(0)) @ random.normal(size=12)
    return values, (random.random(600) < 1 / (1 + np.exp(-logit))).astype(int)


def test_converged_head_has_no_slope_left(learnable):
    values, completed = learnable
    head = heads.logistic_head(
        values[:400], completed[:400], (values[400:], completed[400:])
    )
    scaled = head.model[0].transform(values[:400].astype("float32"))
    wrong = head.probabilities(values[:400]) - completed[:400]
    slope = scaled.T @ wrong + head.model[1].coef_[0] / head.C
    assert abs(slope).max() < 0.05 * abs(scaled.T @ (0.5 - completed[:400])).max() / 10
    assert head.losses[head.C] == min(head.losses.values())
    assert set(head.losses) == {10.0**power for power in range(-5, 1)}


def test_converged_head_is_the_exact_optimum(learnable):
    values, completed = learnable
    watch = values[400:], completed[400:]
    head = heads.logistic_head(values[:400], completed[:400], watch)
    exact = LogisticRegression(
        C=head.C, solver="newton-cholesky", tol=1e-6, max_iter=200
    ).fit(head.model[0].transform(values[:400].astype("float32")), completed[:400])
    np.testing.assert_allclose(head.model[1].coef_, exact.coef_, atol=5e-3)


def test_noise_of_half_precision_is_not_scaled_up(learnable):
    """A feature of 100 that varies by 1e-3 would be made as large as all others."""
    values, completed = learnable
    noise = 100 + 1e-3 * np.random.default_rng(5).normal(size=(600, 1))
    with_noise = np.hstack([values, noise])
    head = heads.logistic_head(with_noise, completed)
    without = heads.logistic_head(values, completed)
    assert abs(head.weights[0][-1, 0]) < 0.01
    np.testing.assert_allclose(
        head.probabilities(with_noise), without.probabilities(values), atol=1e-3
    )


def test_a_dense_layer_with_the_heads_weights_gives_its_logits(learnable):
    values, completed = learnable
    head = heads.logistic_head(values, completed, Cs=[0.5])
    kernel, bias = head.weights
    logit = (values @ kernel + bias)[:, 0]
    np.testing.assert_allclose(
        1 / (1 + np.exp(-logit)), head.probabilities(values), atol=1e-5
    )
    assert head.C == 0.5 and set(head.losses) == {0.5}


def test_a_single_completion_gets_the_strongest_penalty():
    values = np.random.default_rng(0).normal(size=(20, 3))
    head = heads.logistic_head(values, np.arange(20) == 7)
    assert head.C == 1e-4
    with pytest.raises(InputError, match="0 of the 20 records completed"):
        heads.logistic_head(values, np.zeros(20))


def test_training_the_published_head_on_features_is_training_the_frozen_network(
    base, picture
):
    """The study sent every picture through the base in each epoch: to no effect."""
    codes, completed = some_codes(24), np.random.default_rng(2).integers(0, 2, 24)
    recipe = training.Recipe(epochs=2, batch_size=8)
    found = feature_cache.compute(
        base, picture, codes, folder=False, dtype="float32"
    ).values
    head = heads.published_head(found)
    whole_head = heads.published_head(found)
    pixels = keras.Input((*picture.shape, 1))
    map_ = base.grey(pixels, training=False)
    pooled = keras.layers.GlobalAveragePooling2D()(map_)
    whole = keras.Model(pixels, whole_head(pooled))
    drawn = picture.draw(codes)[..., None].astype("float32")
    short = training.train(head, found, completed, recipe=recipe, progress=False)
    long = training.train(whole, drawn, completed, recipe=recipe, progress=False)
    np.testing.assert_allclose(short.history["loss"], long.history["loss"], rtol=1e-4)
    np.testing.assert_allclose(
        head.get_weights()[0], whole_head.get_weights()[0], atol=1e-4
    )
