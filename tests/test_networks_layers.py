"""The layer that draws inside a network: the pixels of NumPy, on every backend."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from pictures import draw_codes, picture

from sudlib import images
from sudlib.files import InputError

keras = pytest.importorskip("keras")
from sudlib.networks.layers import DrawRecords  # noqa: E402


def model_of(layer):
    codes = keras.Input((28,), dtype="uint8")
    return keras.Model(codes, layer(codes))


class TestPixels:
    @pytest.mark.parametrize("name", images.LAYOUTS)
    def test_are_those_of_numpy_on_a_thousand_records(self, name):
        codes = draw_codes(1000)
        drawn = model_of(DrawRecords(picture(name))).predict(codes, 128, verbose=0)
        assert drawn.dtype == np.float32
        np.testing.assert_array_equal(drawn[..., 0], picture(name).draw(codes))

    def test_three_channels_are_equal_and_scaled(self):
        codes = draw_codes(40)
        drawn = np.asarray(DrawRecords(picture(), channels=3, scale=1 / 255)(codes))
        want = picture().draw(codes) * np.float32(1 / 255)
        assert drawn.shape == (40, 250, 250, 3)
        for channel in range(3):
            np.testing.assert_array_equal(drawn[..., channel], want)
        assert drawn.max() == 1

    @pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
    def test_any_integers_will_do(self, dtype):
        codes = draw_codes(20)
        drawn = np.asarray(DrawRecords(picture("grid"))(codes.astype(dtype)))
        np.testing.assert_array_equal(drawn[..., 0], picture("grid").draw(codes))

    @pytest.mark.parametrize(
        "control",
        [
            lambda drawn: drawn.resized(64),
            lambda drawn: drawn.blanked("words"),
            lambda drawn: drawn.with_layout_shuffled(2),
        ],
        ids=["resized", "blanked", "shuffled"],
    )
    def test_of_controls_are_those_of_numpy(self, control):
        made, codes = control(picture("clinic")), draw_codes(30)
        drawn = np.asarray(DrawRecords(made)(codes))
        np.testing.assert_array_equal(drawn[..., 0], made.draw(codes))

    def test_stay_bytes_when_asked_and_halves_in_mixed_precision(self):
        codes = draw_codes(20)
        raw = np.asarray(DrawRecords(picture("grid"), dtype="uint8")(codes))
        assert raw.dtype == np.uint8
        np.testing.assert_array_equal(raw[..., 0], picture("grid").draw(codes))
        half = DrawRecords(picture("grid"), dtype="mixed_bfloat16")(codes)
        assert keras.backend.standardize_dtype(half.dtype) == "bfloat16"
        # Whole numbers up to 255 have eight bits: bfloat16 holds them exactly.
        half = np.asarray(keras.ops.cast(half, "float32"))
        np.testing.assert_array_equal(half[..., 0], picture("grid").draw(codes))

    def test_are_the_same_compiled_by_xla(self):
        tensorflow = pytest.importorskip("tensorflow")
        if keras.backend.backend() != "tensorflow":
            pytest.skip(f"the backend is {keras.backend.backend()}")
        codes = draw_codes(64)
        draw = tensorflow.function(DrawRecords(picture()), jit_compile=True)
        np.testing.assert_array_equal(
            draw(codes).numpy()[..., 0], picture().draw(codes)
        )


OTHER_BACKEND = """
    import json, sys
    import keras, numpy as np
    from sudlib import images
    from sudlib.networks.layers import DrawRecords
    assert keras.backend.backend() == sys.argv[1]
    codes = np.array(json.load(sys.stdin), np.uint8)
    wrong = {}
    for name in images.LAYOUTS:
        picture, place = images.TextImage(name), keras.Input((28,), dtype="uint8")
        model = keras.Model(place, DrawRecords(picture)(place))
        drawn = np.asarray(model.predict(codes, batch_size=128, verbose=0))
        wrong[name] = int((drawn[..., 0] != picture.draw(codes)).sum())
    place = keras.Input((28,), dtype="uint8")
    rest = keras.layers.Dense(1)(keras.layers.Flatten()(
        DrawRecords("grid", channels=3, scale=1 / 255)(place)))
    model = keras.Model(place, rest)
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    losses = model.fit(codes, codes[:, 1] > 1, epochs=5, verbose=0).history["loss"]
    print(json.dumps([wrong, losses]))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_draw_the_same_pixels_and_learn_from_them(backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OTHER_BACKEND), backend],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        input=json.dumps(draw_codes(100).tolist()),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    wrong, losses = json.loads(done.stdout.strip().splitlines()[-1])
    assert wrong == dict.fromkeys(images.LAYOUTS, 0)
    assert losses[-1] < losses[0]


class TestLayer:
    def test_nothing_in_it_is_trained(self):
        layer = DrawRecords("grid")
        layer(draw_codes(2))
        assert layer.count_params() == 0

    def test_knows_its_shape_before_it_draws(self):
        model = model_of(DrawRecords("clinic", channels=3))
        assert model.output_shape == (None, 250, 250, 3)
        assert DrawRecords("grid").compute_output_shape((5, 28)) == (5, 56, 64, 1)

    def test_a_saved_model_draws_the_same_without_the_font(self, tmp_path):
        font = tmp_path / "own.ttf"
        font.write_bytes(images.font_file("dejavu-sans").read_bytes())
        made = images.TextImage("general", font=font)
        model = model_of(DrawRecords(made, channels=3, scale=1 / 255))
        model.save(tmp_path / "model.keras")
        font.unlink()
        again = keras.saving.load_model(tmp_path / "model.keras")
        codes = draw_codes(20)
        np.testing.assert_array_equal(
            again.predict(codes, verbose=0), model.predict(codes, verbose=0)
        )
        assert again.layers[-1].picture.key == made.key

    @pytest.mark.parametrize(
        "wrong, words",
        [
            ({"channels": 2}, "channels must be one of 1, 3, not 2"),
            ({"scale": 0.5, "dtype": "uint8"}, "scale must be 1, not 0.5"),
            ({"picture": "tiny"}, "layout must be one of"),
            ({"picture": 7}, "picture must be a TextImage"),
        ],
    )
    def test_what_it_cannot_draw_is_refused(self, wrong, words):
        with pytest.raises(InputError, match=words):
            DrawRecords(**{"picture": "grid", **wrong})

    def test_other_columns_are_refused(self):
        with pytest.raises(InputError, match="28 codes a record, not 27"):
            DrawRecords("grid")(np.zeros((3, 27), "uint8"))
