"""The first blocks of a network computed once for each cell of the picture."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from sudlib.files import InputError
from sudlib.images import VARIABLES, TextImage

#: Combinations of cells that are drawn together at most, where they come close.
TOGETHER = 2048


@keras.saving.register_keras_serializable("sudlib")
class GreyConv2D(keras.layers.Conv2D):
    """A convolution of three equal channels, of which one is given.

    Its weights are those of a convolution of three channels.  Since the channels are
    equal, the kernel can be added up over them first: a third of the work, the same
    result but for rounding.
    """

    def build(self, input_shape):
        """Make the weights that three channels would have."""
        if input_shape[-1] != 1:
            raise InputError(f"one grey channel is wanted, not {input_shape[-1]}")
        super().build((*input_shape[:-1], 3))
        self.input_spec = keras.layers.InputSpec(min_ndim=4, axes={-1: 1})

    def call(self, inputs):
        """Return the convolution of a batch."""
        found = ops.conv(
            inputs,
            ops.sum(self.kernel, axis=2, keepdims=True),
            strides=list(self.strides),
            padding=self.padding,
        )
        found = found + self.bias if self.use_bias else found
        return self.activation(found) if self.activation is not None else found

    def compute_output_shape(self, input_shape):
        """Return the shape of the result."""
        return super().compute_output_shape((*input_shape[:-1], 3))


# ------------------------------------------------- blocks 1 and 2, on the patches only

#: After two blocks a step to the right is four pixels, and one value has seen ten.
STEP, SEEN = 4, 10


def _windows(picture):
    """Return for each cell the values after two blocks that its ink can touch.

    Rows of ``(top, left, rows, columns)`` in the grid of values.
    """
    rows, columns = (1 + (side - SEEN) // STEP for side in picture.shape)
    found = []
    for y, x, height, width in picture.boxes.tolist():
        top, left = (max(0, -(-(at - SEEN + 1) // STEP)) for at in (y, x))
        bottom = min(rows - 1, (y + height - 1) // STEP)
        right = min(columns - 1, (x + width - 1) // STEP)
        found.append((top, left, bottom + 1 - top, right + 1 - left))
    return found, (rows, columns)


def _common(first, second):
    """Return the rectangle that two rectangles share, or None."""
    top, left = max(first[0], second[0]), max(first[1], second[1])
    bottom = min(first[0] + first[2], second[0] + second[2])
    right = min(first[1] + first[3], second[1] + second[3])
    if top >= bottom or left >= right:
        return None
    return top, left, bottom - top, right - left


def atlas(picture):
    """Return the windows of a picture that have to be computed, and where they go.

    A value after two blocks sees ten by ten pixels, mostly those of one cell or of
    none.  So each cell has a window, drawn once for each of its levels; and where the
    windows of cells meet, the common part is drawn once more for each combination of
    their levels, and goes on top.

    Parameters
    ----------
    picture : TextImage

    Returns
    -------
    parts : list of tuple
        ``(rectangle, columns, windows)``: where the values go (top, left, rows,
        columns), which columns of the codes choose among them, and the pixels, uint8
        of shape (combinations, height, width), the last column turning fastest.
    shape : tuple of int
        Rows and columns of the grid of values.

    Raises
    ------
    InputError
        If so many cells come close to each other that it would not pay.
    """
    windows, shape = _windows(picture)
    wanted = [(window, (column,)) for column, window in enumerate(windows)]
    shared = {}
    for first, second in itertools.combinations(windows, 2):
        rectangle = _common(first, second)
        if rectangle is not None:
            shared[rectangle] = tuple(
                column
                for column, window in enumerate(windows)
                if _common(window, rectangle) is not None
            )
    wanted += list(shared.items())
    return [
        (rectangle, columns, _drawn(picture, rectangle, columns))
        for rectangle, columns in wanted
    ], shape


def _drawn(picture, rectangle, columns):
    """Return the pixels that a rectangle of values sees, for each combination."""
    numbers = [len(picture.patches[column]) for column in columns]
    if math.prod(numbers) > TOGETHER:
        names = ", ".join(VARIABLES[column] for column in columns)
        raise InputError(
            f"the cells of {names} come so close to each other that"
            f" {math.prod(numbers):,} combinations had to be drawn (at most"
            f' {TOGETHER:,}): use blocks="plain" with this picture'
        )
    top, left, rows, wide = rectangle
    height, width = STEP * (rows - 1) + SEEN, STEP * (wide - 1) + SEEN
    canvas = np.zeros((math.prod(numbers), *picture.shape), np.uint8)
    for levels, columns_of in zip(
        np.indices(numbers).reshape(len(columns), -1), columns, strict=True
    ):
        y, x, high, across = picture.boxes[columns_of]
        canvas[:, y : y + high, x : x + across] = picture.patches[columns_of][levels]
    y, x = STEP * top, STEP * left
    return canvas[:, y : y + height, x : x + width].copy()


@keras.saving.register_keras_serializable("sudlib")
class AtlasBlocks(keras.layers.Layer):
    """The first two blocks of the study's network, computed on the patches.

    Every record of a batch is made of the same few patches.  So both blocks are
    computed once for each window of :func:`atlas`; what a record needs of them is
    looked up by its codes.  Elsewhere the picture is black, and the blocks have one
    value for that.  The logits are those of the plain path but for rounding, and so are
    the gradients.

    Parameters
    ----------
    picture : TextImage or dict
        What would draw, or what its ``to_config`` returned.
    scale : float
        Full ink is 255 times this.
    filters : int, default=32
    """

    def __init__(self, picture, scale=1.0, filters=32, **kwargs):
        super().__init__(**kwargs)
        if isinstance(picture, dict):
            picture = TextImage.from_config(picture)
        self.picture, self.scale, self.filters = picture, float(scale), filters
        self.parts, self.shape = atlas(picture)
        #: Windows of one size are computed together: (size, rows of the parts).
        self.sizes = {}
        for number, (_, _, windows) in enumerate(self.parts):
            self.sizes.setdefault(windows.shape[1:], []).append(number)

    def build(self, input_shape):
        """Make the weights of two convolutions, those of three channels first."""
        for number, channels in ((1, 3), (2, self.filters)):
            kernel = self.add_weight(
                shape=(3, 3, channels, self.filters), name=f"kernel_{number}"
            )
            bias = self.add_weight(
                shape=(self.filters,), initializer="zeros", name=f"bias_{number}"
            )
            setattr(self, f"kernel_{number}", kernel)
            setattr(self, f"bias_{number}", bias)

    def blocks(self, pixels):
        """Return both blocks of pictures with one channel."""
        first = ops.sum(self.kernel_1, axis=2, keepdims=True)
        x = ops.relu(ops.conv(pixels, first, padding="valid") + self.bias_1)
        x = ops.max_pool(x, 2, 2, padding="valid")
        x = ops.relu(ops.conv(x, self.kernel_2, padding="valid") + self.bias_2)
        return ops.max_pool(x, 2, 2, padding="valid")

    def call(self, codes):
        """Return what the two blocks make of the records' pictures."""
        codes = ops.cast(codes, "int32")
        values = [None] * len(self.parts)
        for numbers in self.sizes.values():
            windows = np.concatenate([self.parts[number][2] for number in numbers])
            found = self.blocks(self._pixels(windows))
            start = 0
            for number in numbers:
                end = start + len(self.parts[number][2])
                values[number] = found[start:end]
                start = end
        black = self.blocks(self._pixels(np.zeros((1, SEEN, SEEN), np.uint8)))
        if keras.backend.backend() == "tensorflow":
            # TensorFlow knows no gradient of slice_update, so every value is looked up.
            return self._looked_up(codes, values, black)
        canvas = ops.broadcast_to(
            black, (ops.shape(codes)[0], *self.shape, self.filters)
        )
        for (rectangle, columns, _), found in zip(self.parts, values, strict=True):
            chosen = ops.take(found, self._chosen(codes, columns), axis=0)
            at = (0, rectangle[0], rectangle[1], 0)
            canvas = ops.slice_update(canvas, at, chosen)
        return canvas

    def _pixels(self, windows):
        """Return pixels as the convolutions take them."""
        pixels = (windows * np.float32(self.scale))[..., None]
        return ops.convert_to_tensor(pixels, self.compute_dtype)

    def _chosen(self, codes, columns):
        """Return which combination of levels each record shows in these columns."""
        chosen = codes[:, columns[0]]
        for column in columns[1:]:
            chosen = chosen * len(self.picture.patches[column]) + codes[:, column]
        return chosen

    def _looked_up(self, codes, values, black):
        """Return the canvas, each of its values taken from one long table."""
        table = [ops.reshape(found, (-1, self.filters)) for found in (black, *values)]
        start, begins = 1, np.zeros(self.shape, "int32")
        step, part = np.zeros(self.shape, "int32"), np.zeros(self.shape, "int32")
        for number, ((top, left, rows, wide), _, windows) in enumerate(self.parts):
            here = slice(top, top + rows), slice(left, left + wide)
            begins[here] = start + np.arange(rows * wide).reshape(rows, wide)
            step[here], part[here] = rows * wide, number
            start += len(windows) * rows * wide
        chosen = ops.stack(
            [self._chosen(codes, columns) for _, columns, _ in self.parts], axis=1
        )
        places = begins.ravel() + step.ravel() * ops.take(chosen, part.ravel(), axis=1)
        found = ops.take(ops.concatenate(table), places, axis=0)
        return ops.reshape(found, (-1, *self.shape, self.filters))

    def compute_output_shape(self, input_shape):
        """Return (records, rows, columns, filters)."""
        return (input_shape[0], *self.shape, self.filters)

    def compute_output_spec(self, codes):
        """Return the symbolic output: its shape and dtype."""
        shape = self.compute_output_shape(codes.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def batch_multiply_adds(self):
        """Return the multiplications of one batch, however many records it has."""
        total = 0
        for _, _, windows in [*self.parts, (0, 0, np.zeros((1, SEEN, SEEN)))]:
            number, height, width = windows.shape
            first = (height - 2) * (width - 2) * 9 * self.filters
            second = ((height - 2) // 2 - 2) * ((width - 2) // 2 - 2)
            total += number * (first + second * 9 * self.filters**2)
        return total

    def get_config(self):
        """Return what rebuilds this layer, the patches included."""
        return {
            **super().get_config(),
            "picture": self.picture.to_config(),
            "scale": self.scale,
            "filters": self.filters,
        }


def cell_of(picture):
    """Return height and width of the cells of a picture that is a grid of 28.

    Raises
    ------
    InputError
        If the cells are not equal, or the ink of one reaches into another.
    """
    height, width = picture.shape
    for rows in (7, 4, 14, 2, 28, 1):
        columns = len(VARIABLES) // rows
        cell = height // rows, width // columns
        if height % rows or width % columns:
            continue
        y, x, high, wide = picture.boxes.T
        place = y // cell[0] * columns + x // cell[1]
        inside = (y % cell[0] + high <= cell[0]) & (x % cell[1] + wide <= cell[1])
        if inside.all() and len(set(place)) == len(VARIABLES):
            return cell
    raise InputError(
        f'a cell network needs 28 equal cells that touch each other, as layout "grid"'
        f" has them; layout {picture.layout.name!r} has not"
    )


def glyphs(picture):
    """Return every cell as it looks for every level of its variable.

    Parameters
    ----------
    picture : TextImage
        A grid of 28 equal cells.

    Returns
    -------
    list of numpy.ndarray
        For each variable uint8, levels x height x width of a cell.
    """
    high, wide = cell_of(picture)
    found = []
    for (y, x, height, width), patch in zip(
        picture.boxes.tolist(), picture.patches, strict=True
    ):
        cells = np.zeros((len(patch), high, wide), np.uint8)
        top, left = y % high, x % wide
        cells[:, top : top + height, left : left + width] = patch
        found.append(cells)
    return found


@keras.saving.register_keras_serializable("sudlib")
class ReadCells(keras.layers.Layer):
    """The first layer of a cell network, without the drawing.

    Parameters
    ----------
    picture : TextImage or dict
        A grid of 28 equal cells.
    filters : int
        Of the shared reader.
    scale : float
        Full ink is 255 times this.
    """

    def __init__(self, picture, filters, scale=1 / 255, **kwargs):
        super().__init__(**kwargs)
        if isinstance(picture, dict):
            picture = TextImage.from_config(picture)
        self.picture, self.filters, self.scale = picture, filters, float(scale)
        cells = glyphs(picture)
        high, wide = cell_of(picture)
        # Cells from left to right and from above, as a convolution leaves them.
        places = picture.boxes[:, 0] // high, picture.boxes[:, 1] // wide
        self.order = np.lexsort(places[::-1])
        self.grid = tuple(int(place.max()) + 1 for place in places)
        numbers = [len(cells[column]) for column in self.order]
        self.starts = np.concatenate([[0], np.cumsum(numbers)[:-1]]).astype("int32")
        # A glyph that several cells share is read once.
        shown = np.concatenate([cells[column] for column in self.order])
        shown = shown.reshape(len(shown), -1)
        self.distinct, self.which = np.unique(shown, axis=0, return_inverse=True)
        self.which = self.which.reshape(-1).astype("int32")

    def build(self, input_shape):
        """Make the weights of a convolution of one cell."""
        cell = cell_of(self.picture)
        self.kernel = self.add_weight(shape=(*cell, 1, self.filters), name="kernel")
        self.bias = self.add_weight(
            shape=(self.filters,), initializer="zeros", name="bias"
        )

    def call(self, codes):
        """Return what is read in each cell of the records' pictures."""
        ink = ops.convert_to_tensor(
            self.distinct * np.float32(self.scale), self.compute_dtype
        )
        kernel = ops.reshape(self.kernel, (-1, self.filters))
        table = ops.matmul(ink, kernel) + self.bias
        levels = ops.take(ops.cast(codes, "int32"), self.order, axis=1) + self.starts
        places = ops.take(ops.convert_to_tensor(self.which), levels, axis=0)
        return ops.reshape(
            ops.take(table, places, axis=0), (-1, *self.grid, self.filters)
        )

    def compute_output_shape(self, input_shape):
        """Return (records, rows, columns, filters)."""
        return (input_shape[0], *self.grid, self.filters)

    def batch_multiply_adds(self):
        """Return the multiplications of one batch, however many records it has."""
        return self.distinct.size * self.filters

    def get_config(self):
        """Return what rebuilds this layer, the patches included."""
        return {
            **super().get_config(),
            "picture": self.picture.to_config(),
            "filters": self.filters,
            "scale": self.scale,
        }
