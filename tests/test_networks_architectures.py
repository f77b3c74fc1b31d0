"""The study's network and ours: what they are, and that the fast paths are exact."""

import json

import numpy as np
import pytest

from sudlib.files import InputError
from sudlib.images import VARIABLES, TextImage, levels

keras = pytest.importorskip("keras")

from test_networks_training import child  # noqa: E402

from sudlib.networks import architectures, atlas, flops, training  # noqa: E402

RANDOM = np.random.default_rng(5)
CODES = np.stack([RANDOM.integers(0, number, 6) for number in levels()], axis=1)
CODES = CODES.astype("uint8")


def weights(model, seed=7):
    """Return random weights for a model, biases that are not zero included."""
    random = np.random.default_rng(seed)
    return [
        weight + 0.02 * random.standard_normal(weight.shape).astype("float32")
        for weight in model.get_weights()
    ]


@pytest.fixture(scope="module")
def both():
    """The three ways to compute one network."""
    return three_ways("general")


def three_ways(layout):
    picture = TextImage(layout)
    models = {
        blocks: architectures.published_network(picture, "unit", blocks=blocks)
        for blocks in architectures.BLOCKS
    }
    first = weights(models["plain"])
    for model in models.values():
        model.set_weights(first)
    return models


class TestPublished:
    def test_is_the_studys_network(self):
        model = architectures.published_network()
        names = [type(layer).__name__ for layer in model.layers]
        block = ["Conv2D", "MaxPooling2D"]
        assert names == [
            *("InputLayer", "DrawRecords", *block, *block, "Dropout", *block, *block),
            *("Dropout", "Flatten", "Dense", "Dropout", "Dense"),
        ]
        assert model.get_layer("draw").output.shape == (None, 250, 250, 3)
        rates = [layer.rate for layer in model.layers if hasattr(layer, "rate")]
        assert rates == [0.25, 0.25, 0.5]
        assert model.layers[-1].activation is keras.activations.linear

    def test_has_as_many_weights_as_by_hand(self):
        first, others = 3 * 3 * 3 * 32 + 32, 3 * (3 * 3 * 32 * 32 + 32)
        hidden = 13 * 13 * 32 * 256 + 256
        model = architectures.published_network()
        assert model.count_params() == first + others + hidden + 256 + 1

    @pytest.mark.parametrize("blocks", ["grey", "atlas"])
    def test_every_way_has_the_same_weights(self, both, blocks):
        shapes = [weight.shape for weight in both["plain"].get_weights()]
        assert [weight.shape for weight in both[blocks].get_weights()] == shapes

    @pytest.mark.parametrize("layout", ["general", "clinic"])
    def test_every_way_gives_the_same_logits(self, both, layout):
        models = both if layout == "general" else three_ways(layout)
        plain, *others = (
            keras.ops.convert_to_numpy(models[blocks](CODES, training=False))
            for blocks in architectures.BLOCKS
        )
        assert plain.std() > 1e-3
        for found in others:
            assert np.abs(found - plain).max() < 1e-6 * max(1, np.abs(plain).max())

    def test_starts_from_the_same_weights_in_every_way(self):
        kept = []
        for blocks in ("plain", "grey", "atlas"):
            keras.utils.set_random_seed(3)
            model = architectures.published_network("clinic", blocks=blocks)
            kept.append(model.get_weights())
        for weight, *others in zip(*kept, strict=True):
            assert all(weight.std() == pytest.approx(o.std(), rel=0.2) for o in others)

    def test_refuses_unknown_words_and_small_pictures(self):
        with pytest.raises(InputError, match="plain, grey, atlas"):
            architectures.published_network(blocks="fast")
        with pytest.raises(InputError, match="raw, unit"):
            architectures.published_network(preprocessing="imagenet")
        with pytest.raises(InputError, match="46 x 46"):
            architectures.published_network(TextImage("grid").resized(40))

    def test_can_be_saved_and_loaded(self, both, tmp_path):
        both["atlas"].save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        found = training.logits(loaded, CODES, 6)
        assert np.array_equal(found, training.logits(both["atlas"], CODES, 6))


#: The gradient of a sum of logits for every weight, on TensorFlow or on JAX.
GRADIENTS = """
import json, sys
import numpy as np
import keras
sys.path.insert(0, sys.argv[1])
from test_networks_architectures import CODES, gradients, weights
print(json.dumps(gradients()))
"""


def gradients():
    """Return the largest gap between gradients, relative to the largest gradient."""
    found, first = {}, None
    for blocks in architectures.BLOCKS:
        model = architectures.published_network("general", "unit", blocks=blocks)
        first = first or weights(model)
        model.set_weights(first)
        found[blocks] = _gradients(model)
    gaps = {}
    for blocks in ("grey", "atlas"):
        gaps[blocks] = max(
            float(np.abs(a - b).max() / np.abs(b).max())
            for a, b in zip(found[blocks], found["plain"], strict=True)
        )
    return gaps


def _gradients(model):
    completed = (np.arange(len(CODES)) % 2).astype("float32")[:, None]
    if keras.backend.backend() == "jax":
        import jax

        values = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]

        def lost(values):
            logit, _ = model.stateless_call(values, others, CODES, training=False)
            return training.loss()(completed, logit)

        return [np.asarray(gradient) for gradient in jax.grad(lost)(values)]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        lost = training.loss()(completed, model(CODES, training=False))
    return [np.asarray(g) for g in tape.gradient(lost, model.trainable_variables)]


@pytest.mark.skipif(
    keras.backend.backend() not in ("jax", "tensorflow"), reason="no gradients here"
)
def test_every_way_gives_the_same_gradients():
    assert max(gradients().values()) < 1e-4


@pytest.mark.slow
def test_every_way_gives_the_same_gradients_on_jax():
    pytest.importorskip("jax", reason="JAX is not installed")
    from pathlib import Path

    folder = str(Path(__file__).parent)
    assert max(child(GRADIENTS, folder).values()) < 1e-4


class TestAtlas:
    @pytest.mark.parametrize("name", ["general", "clinic"])
    def test_every_value_outside_the_windows_is_that_of_black(self, name):
        picture = TextImage(name)
        parts, shape = atlas.atlas(picture)
        touched = np.zeros(shape, bool)
        for (top, left, rows, wide), _, _ in parts:
            touched[top : top + rows, left : left + wide] = True
        ink = picture.draw(np.ones((1, 28), int))[0] * 0
        for y, x, high, wide in picture.boxes:
            ink[y : y + high, x : x + wide] = 1
        for row, column in np.argwhere(~touched):
            y, x = 4 * row, 4 * column
            assert not ink[y : y + 10, x : x + 10].any()

    def test_cells_that_come_close_are_drawn_together(self):
        parts, _ = atlas.atlas(TextImage("general"))
        together = [columns for _, columns, _ in parts if len(columns) > 1]
        assert together and all(len(columns) == 2 for columns in together)

    def test_too_many_cells_side_by_side_are_refused(self):
        with pytest.raises(InputError, match='use blocks="plain"'):
            atlas.atlas(TextImage("grid"))

    def test_is_used_where_patches_are_few(self, monkeypatch):
        assert (
            architectures.fastest("general")
            == architectures.fastest("clinic")
            == "atlas"
        )
        assert architectures.fastest("grid") == "plain"
        assert architectures.fastest(TextImage("general").resized(64)) == "plain"
        monkeypatch.setattr(architectures, "has_gpu", lambda: True)
        assert architectures.fastest("general") == "plain"


@pytest.fixture(scope="module")
def cells():
    plain, fast = (architectures.cell_network(blocks=way) for way in ("plain", "atlas"))
    first = weights(plain)
    plain.set_weights(first)
    fast.set_weights(first)
    return plain, fast


class TestCells:
    def test_both_ways_give_the_same_logits(self, cells):
        plain, fast = (training.logits(model, CODES, 6) for model in cells)
        assert np.abs(plain - fast).max() < 1e-6 * max(1, np.abs(plain).max())

    def test_the_first_layer_is_an_embedding(self, cells):
        plain = cells[0]
        reader = keras.Model(plain.input, plain.get_layer("read_cells").output)
        read = np.asarray(reader.predict(CODES, verbose=0)).reshape(len(CODES), 28, -1)
        tables = architectures.embeddings(plain)
        looked_up = np.stack(
            [table[CODES[:, column]] for column, table in enumerate(tables)], axis=1
        )
        assert [len(table) for table in tables] == list(levels())
        assert np.abs(read - looked_up).max() < 1e-5

    def test_the_tables_of_both_ways_are_one(self, cells):
        for one, other in zip(*map(architectures.embeddings, cells), strict=True):
            assert np.array_equal(one, other)

    def test_every_variable_has_glyphs_that_differ(self):
        for cells_of_one in atlas.glyphs(TextImage("grid")):
            flat = cells_of_one.reshape(len(cells_of_one), -1)
            assert len(np.unique(flat, axis=0)) == len(flat)

    @pytest.mark.parametrize("blocks", ["plain", "atlas"])
    def test_no_arrangement_of_the_cells_is_better_than_another(self, blocks):
        """For any weights there are weights that see moved cells as these saw them."""
        grid = TextImage("grid")
        moved = grid.with_layout_shuffled(33)
        first, second = (
            architectures.cell_network(picture, blocks=blocks)
            for picture in (grid, moved)
        )
        kernel, bias, hidden, *rest = weights(first)
        first.set_weights([kernel, bias, hidden, *rest])
        corners = [
            np.array(
                [
                    (picture.layout.cell(v).y, picture.layout.cell(v).x)
                    for v in VARIABLES
                ]
            )
            for picture in (grid, moved)
        ]
        size = np.array(atlas.cell_of(grid))
        old, new = (((at - at.min(axis=0)) // size) @ [4, 1] for at in corners)
        assert (old != new).any() and sorted(new) == list(range(28))
        of_place = hidden.reshape(28, 32, -1)
        there = np.empty_like(of_place)
        there[new] = of_place[old]
        second.set_weights([kernel, bias, there.reshape(hidden.shape), *rest])
        one, other = (training.logits(model, CODES, 6) for model in (first, second))
        assert np.ptp(one) > 1e-3
        assert np.abs(one - other).max() < 1e-5

    def test_a_layout_without_equal_cells_is_refused(self):
        with pytest.raises(InputError, match="28 equal cells"):
            architectures.cell_network("general")

    def test_can_be_saved_and_loaded(self, cells, tmp_path):
        cells[1].save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        found = training.logits(loaded, CODES, 6)
        assert np.array_equal(found, training.logits(cells[1], CODES, 6))


class TestTransformer:
    @pytest.mark.parametrize("tokens", ["cells", "codes"])
    def test_ends_in_a_logit_that_depends_on_every_answer(self, tokens):
        model = architectures.token_transformer(tokens, width=8, heads=2, depth=1)
        model.set_weights(weights(model))
        one = CODES[:1]
        before = training.logits(model, one, 1)
        assert before.shape == (1,)
        for column in range(28):
            other = one.copy()
            other[0, column] = (other[0, column] + 1) % levels()[column]
            assert training.logits(model, other, 1) != before

    def test_knows_a_place_by_its_own_vector_and_by_nothing_else(self):
        model = architectures.token_transformer(width=8, heads=2, depth=1)
        model.set_weights(weights(model))
        # Two flags, drawn with the same digits: their cells change places.
        flags = [VARIABLES.index(name) for name in ("ALCFLG", "HERFLG")]
        one = CODES[:1].copy()
        one[0, flags] = 1, 2
        swapped = one.copy()
        swapped[0, flags] = 2, 1
        both = np.concatenate([one, swapped])
        known = training.logits(model, both, 2)
        assert abs(known[0] - known[1]) > 1e-5
        places = model.get_layer("places")
        places.set_weights([np.zeros_like(places.get_weights()[0])])
        unknown = training.logits(model, both, 2)
        assert unknown[0] == pytest.approx(unknown[1], abs=1e-6)

    def test_has_the_weights_that_are_counted_by_hand(self):
        model = architectures.token_transformer("codes", width=8, heads=2, depth=3)
        attention, dense = 4 * (8 * 8 + 8), (8 * 16 + 16) + (16 * 8 + 8)
        by_hand = sum(levels()) * 8 + 3 * (attention + dense + 2 * 16) + 16 + 9
        assert model.count_params() == by_hand

    def test_other_tokens_are_refused(self):
        with pytest.raises(InputError, match="tokens must be"):
            architectures.token_transformer("words")


class TestCosts:
    def test_of_the_studys_network_by_hand(self):
        model = architectures.published_network()
        by_hand = (
            248 * 248 * 9 * 3 * 32
            + (122 * 122 + 59 * 59 + 27 * 27) * 9 * 32 * 32
            + 13 * 13 * 32 * 256
            + 256
        )
        assert flops.multiply_adds(model) == by_hand

    def test_two_blocks_are_most_of_it(self):
        table = flops.by_layer(architectures.published_network())["multiply-adds"]
        share = table[["convolution_1", "convolution_2"]].sum() / table.sum()
        assert share == pytest.approx(0.83, abs=0.01)

    def test_on_patches_it_is_a_quarter_of_the_work(self):
        plain = flops.multiply_adds(architectures.published_network())
        fast = flops.multiply_adds(architectures.published_network(blocks="atlas"), 32)
        assert 3.5 < plain / fast < 6

    def test_on_patches_it_is_that_of_the_two_blocks_on_each_window(self):
        layers = keras.layers
        blocks = atlas.AtlasBlocks("clinic", filters=4)
        windows = [windows.shape for _, _, windows in blocks.parts]
        total = 0
        for number, height, width in [*windows, (1, 10, 10)]:
            given = keras.Input((height, width, 1))
            x = layers.MaxPooling2D(2)(layers.Conv2D(4, 3)(given))
            one = keras.Model(given, layers.Conv2D(4, 3)(x))
            total += number * flops.multiply_adds(one)
        assert blocks.batch_multiply_adds() == total

    def test_of_mobilenet_as_its_paper_prints_it(self):
        # Howard et al. 2017, table 4: 569 million for width 1 at 224 pixels.
        model = keras.applications.MobileNet(weights=None)
        assert flops.multiply_adds(model) == pytest.approx(569e6, rel=0.005)

    def test_of_every_kind_of_layer_by_hand(self):
        layers = keras.layers
        given = keras.Input((9, 9, 4))
        x = layers.Conv2D(6, (3, 2), groups=2, padding="same")(given)
        x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, strides=2)(x))
        x = layers.Dense(5)(layers.Flatten()(x))
        table = flops.by_layer(keras.Model(given, x))
        assert table["multiply-adds"].tolist() == [
            9 * 9 * 6 * (3 * 2 * 4 // 2),
            4 * 4 * 6 * 3 * 3,
            4 * 4 * 6 * 5,
        ]
        assert table["output"].tolist() == ["9 x 9 x 6", "4 x 4 x 6", "5"]

    def test_work_of_a_batch_is_shared(self):
        model = architectures.cell_network(blocks="atlas", hidden=(), glyphs=3)
        layer = model.get_layer("read_cells")
        assert layer.batch_multiply_adds() == layer.distinct.size * 3
        assert flops.multiply_adds(model, 10) == round(
            layer.distinct.size * 3 / 10 + 28 * 3
        )

    def test_an_unknown_layer_is_not_passed_over(self):
        given = keras.Input((5, 3))
        model = keras.Model(given, keras.layers.LSTM(2)(given))
        with pytest.raises(InputError, match="nothing is known"):
            flops.multiply_adds(model)

    def test_an_unknown_size_is_said(self):
        given = keras.Input((None, None, 3))
        model = keras.Model(given, keras.layers.Conv2D(2, 3)(given))
        with pytest.raises(InputError, match="size"):
            flops.multiply_adds(model)


@pytest.mark.slow
def test_costs_of_resnet50_as_known():
    # He et al. 2016, table 1: 3.8 billion at 224 pixels, without the last layer's and
    # with the stride in the first convolution of a block, as Keras has it.
    side = {}
    for pixels in (224, 250):
        model = keras.applications.ResNet50(
            weights=None, include_top=False, input_shape=(pixels, pixels, 3)
        )
        side[pixels] = flops.multiply_adds(model) / 1e9
    print(json.dumps(side))
    assert side[224] == pytest.approx(3.8, abs=0.1)
    assert side[250] == pytest.approx(5.0, abs=0.1)
