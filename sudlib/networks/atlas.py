"""The first blocks of a network computed once for each cell of the picture.

Taught in ``a07_network_from_scratch``.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from sudlib.files import InputError
from sudlib.images import VARIABLES, TextImage
from sudlib.networks.layers import PictureLayer

#: Top, left, rows and columns in a grid of values.
Rectangle = tuple[int, int, int, int]

#: Combinations of cells that are drawn together at most, where they come close.
TOGETHER = 2048


@keras.saving.register_keras_serializable("sudlib")
class GreyConv2D(keras.layers.Conv2D):
    """A convolution of three equal channels, of which one is given.

    Its weights are those of a convolution of three channels.  Since the channels are
    equal, the kernel can be added up over them first: a third of the work, the same
    result but for rounding.

    Parameters
    ----------
    filters : int
        Channels that it returns.
    kernel_size : int or tuple of int
        Height and width of a kernel.
    **kwargs
        For :class:`keras.layers.Conv2D`.
    """

    def __init__(
        self, filters: int, kernel_size: int | tuple[int, int], **kwargs: Any
    ) -> None:
        super().__init__(filters, kernel_size, **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights that three channels would have.

        Parameters
        ----------
        input_shape : tuple
            Of the inputs, the number of records unknown.
        """
        if input_shape[-1] != 1:
            raise InputError(f"one grey channel is wanted, not {input_shape[-1]}")
        super().build((*input_shape[:-1], 3))
        self.input_spec = keras.layers.InputSpec(min_ndim=4, axes={-1: 1})

    def call(self, inputs: Any) -> Any:
        """Return the convolution of a batch.

        Parameters
        ----------
        inputs : tensor
            A batch.

        Returns
        -------
        tensor
        """
        kernel = ops.sum(self.kernel, axis=2, keepdims=True)
        x = ops.conv(inputs, kernel, strides=list(self.strides), padding=self.padding)
        x = x + self.bias if self.use_bias else x
        return self.activation(x) if self.activation is not None else x

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple:
        """Return the shape of the result.

        Parameters
        ----------
        input_shape : tuple
            Of the inputs, the number of records unknown.

        Returns
        -------
        tuple
        """
        return super().compute_output_shape((*input_shape[:-1], 3))


#: After two blocks a step to the right is four pixels, and one value has seen ten.
STEP, SEEN = 4, 10


def _windows(picture: TextImage) -> tuple[list[Rectangle], tuple[int, int]]:
    """Return for each cell the values after two blocks that its ink can touch."""
    rows, columns = (1 + (side - SEEN) // STEP for side in picture.shape)
    windows = []
    for y, x, height, width in picture.boxes.tolist():
        top, left = (max(0, -(-(start - SEEN + 1) // STEP)) for start in (y, x))
        bottom = min(rows - 1, (y + height - 1) // STEP)
        right = min(columns - 1, (x + width - 1) // STEP)
        windows.append((top, left, bottom + 1 - top, right + 1 - left))
    return windows, (rows, columns)


def _common(first: Rectangle, second: Rectangle) -> Rectangle | None:
    """Return the rectangle that two rectangles share, or None."""
    top, left = max(first[0], second[0]), max(first[1], second[1])
    bottom = min(first[0] + first[2], second[0] + second[2])
    right = min(first[1] + first[3], second[1] + second[3])
    if top >= bottom or left >= right:
        return None
    return top, left, bottom - top, right - left


def atlas(
    picture: TextImage,
) -> tuple[list[tuple[Rectangle, tuple[int, ...], NDArray[np.uint8]]], tuple[int, int]]:
    """Return the windows of a picture that have to be computed, and where they go.

    A value after two blocks sees 10 x 10 pixels, mostly those of one cell or of none.
    So each cell has a window, drawn once for each of its levels; and where the windows
    of cells meet, the common part is drawn once more for each combination of their
    levels, and goes on top.

    Parameters
    ----------
    picture : TextImage
        What draws.

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
        if rectangle := _common(first, second):
            near = [_common(window, rectangle) is not None for window in windows]
            shared[rectangle] = tuple(np.flatnonzero(near).tolist())
    return [
        (rectangle, columns, _draw_combinations(picture, rectangle, columns))
        for rectangle, columns in [*wanted, *shared.items()]
    ], shape


def _draw_combinations(
    picture: TextImage, rectangle: Rectangle, columns: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Return the pixels that a rectangle of values sees, for each combination."""
    numbers = [len(picture.patches[column]) for column in columns]
    if math.prod(numbers) > TOGETHER:
        names = ", ".join(VARIABLES[column] for column in columns)
        raise InputError(
            f"the cells of {names} come so close to each other that"
            f" {math.prod(numbers):,} combinations had to be drawn (at most"
            f' {TOGETHER:,}): use blocks="plain" with this picture'
        )
    canvas = np.zeros((math.prod(numbers), *picture.shape), np.uint8)
    levels = np.indices(numbers).reshape(len(columns), -1)
    for column, levels_of_column in zip(columns, levels, strict=True):
        y, x, height, width = picture.boxes[column]
        patch = picture.patches[column][levels_of_column]
        canvas[:, y : y + height, x : x + width] = patch
    top, left, rows, wide = rectangle
    y, x = STEP * top, STEP * left
    height, width = STEP * (rows - 1) + SEEN, STEP * (wide - 1) + SEEN
    return canvas[:, y : y + height, x : x + width].copy()


class _Reader(PictureLayer):
    """What layers have in common that make a grid of values, not pixels, of codes."""

    grid: tuple[int, int]

    def __init__(self, picture: Any, scale: float, filters: int, **kwargs: Any) -> None:
        super().__init__(picture, scale, **kwargs)
        self.filters = filters

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple:
        """Return (records, rows, columns, filters)."""
        return (input_shape[0], *self.grid, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer: the patches too, but not the font."""
        return {**super().get_config(), "filters": self.filters}

    def _add_convolution(self, *shape: int, end: str = "") -> tuple[Any, Any]:
        """Make kernel and bias of a convolution: height, width and channels."""
        kernel = self.add_weight(shape=(*shape, self.filters), name=f"kernel{end}")
        biases = {"shape": (self.filters,), "initializer": "zeros"}
        return kernel, self.add_weight(**biases, name=f"bias{end}")


@keras.saving.register_keras_serializable("sudlib")
class AtlasBlocks(_Reader):
    """The first two blocks of the study's network, computed on the patches.

    Every record of a batch is made of the same few patches.  So both blocks are
    computed once for each window of :func:`atlas`; what a record needs of them is
    looked up by its codes.  Elsewhere the picture is black, and the blocks have one
    value for that.  The logits are those of the plain path but for rounding, and so are
    the gradients.

    Parameters
    ----------
    picture : TextImage, str or dict
        What draws, the name of its layout, or what its ``to_config`` returned.
    scale : float, default=1
        Full ink is 255 times this.
    filters : int, default=32
        Of each convolution.
    **kwargs
        Of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        picture: TextImage | str | dict,
        scale: float = 1.0,
        filters: int = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(picture, scale, filters, **kwargs)
        self.parts, self.grid = atlas(self.picture)
        # Windows of one size are computed together: size -> numbers of the parts.
        sizes: dict[tuple[int, ...], list[int]] = {}
        for number, (_, _, windows) in enumerate(self.parts):
            sizes.setdefault(windows.shape[1:], []).append(number)
        self.windows = [
            np.concatenate([self.parts[number][2] for number in numbers])
            for numbers in sizes.values()
        ]
        # All values stand in one table: first black, then size after size, part after
        # part, combination after combination.
        start, starts = 1, {}
        for number in itertools.chain(*sizes.values()):
            (_, _, rows, wide), _, windows = self.parts[number]
            starts[number] = start
            start += len(windows) * rows * wide
        # The place of a value is _start + _step x the combination that _part shows.
        self._start, self._step, self._part = np.zeros((3, *self.grid), "int32")
        for number, ((top, left, rows, wide), _, _) in enumerate(self.parts):
            here = slice(top, top + rows), slice(left, left + wide)
            inside = np.arange(rows * wide).reshape(rows, wide)
            self._start[here] = starts[number] + inside
            self._step[here], self._part[here] = rows * wide, number

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of two convolutions, those of three channels first.

        Parameters
        ----------
        input_shape : tuple
            Of the inputs, the number of records unknown.
        """
        add = self._add_convolution
        self.kernel_1, self.bias_1 = add(3, 3, 3, end="_1")
        self.kernel_2, self.bias_2 = add(3, 3, self.filters, end="_2")

    def blocks(self, pixels: NDArray[np.uint8]) -> Any:
        """Return both blocks of pictures with one channel.

        Parameters
        ----------
        pixels : numpy.ndarray of shape (n, height, width)
            From 0 to 255.

        Returns
        -------
        tensor
        """
        scaled = (pixels * np.float32(self.scale))[..., None]
        x = ops.convert_to_tensor(scaled, self.compute_dtype)
        first = ops.sum(self.kernel_1, axis=2, keepdims=True)
        x = ops.relu(ops.conv(x, first, padding="valid") + self.bias_1)
        x = ops.max_pool(x, 2, 2, padding="valid")
        x = ops.relu(ops.conv(x, self.kernel_2, padding="valid") + self.bias_2)
        return ops.max_pool(x, 2, 2, padding="valid")

    def call(self, codes: Any) -> Any:
        """Return what the two blocks make of the records' pictures.

        Parameters
        ----------
        codes : tensor of shape (n, 28)
            Codes of a batch of records.

        Returns
        -------
        tensor
        """
        codes = ops.cast(codes, "int32")
        black = np.zeros((1, SEEN, SEEN), np.uint8)
        table = [
            ops.reshape(self.blocks(windows), (-1, self.filters))
            for windows in (black, *self.windows)
        ]
        chosen = ops.stack(
            [self._combination(codes, columns) for _, columns, _ in self.parts], axis=1
        )
        # Looked up, not put into a canvas: TensorFlow has no gradient of slice_update.
        chosen = ops.take(chosen, self._part.ravel(), axis=1)
        places = self._start.ravel() + self._step.ravel() * chosen
        looked_up = ops.take(ops.concatenate(table), places, axis=0)
        return ops.reshape(looked_up, (-1, *self.grid, self.filters))

    def _combination(self, codes: Any, columns: tuple[int, ...]) -> Any:
        """Return which combination of levels each record shows in these columns."""
        chosen = codes[:, columns[0]]
        for column in columns[1:]:
            chosen = chosen * len(self.picture.patches[column]) + codes[:, column]
        return chosen

    def batch_multiply_adds(self) -> int:
        """Return the multiplications of one batch, however many records it has.

        Returns
        -------
        int
        """
        total = 0
        shapes = [windows.shape for _, _, windows in self.parts]
        for number, height, width in [*shapes, (1, SEEN, SEEN)]:
            first = (height - 2) * (width - 2) * 9 * self.filters
            second = ((height - 2) // 2 - 2) * ((width - 2) // 2 - 2)
            total += number * (first + second * 9 * self.filters**2)
        return total


def cell_of(picture: TextImage) -> tuple[int, int]:
    """Return height and width of the cells of a picture that is a grid of 28.

    Parameters
    ----------
    picture : TextImage
        With 28 equal cells that touch each other.

    Returns
    -------
    tuple of int

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


def glyphs(picture: TextImage) -> list[NDArray[np.uint8]]:
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
    cells = []
    for box, patch in zip(picture.boxes.tolist(), picture.patches, strict=True):
        y, x, height, width = box
        top, left = y % high, x % wide
        around = (top, high - top - height), (left, wide - left - width)
        cells.append(np.pad(patch, ((0, 0), *around)))
    return cells


@keras.saving.register_keras_serializable("sudlib")
class ReadCells(_Reader):
    """The first layer of a cell network, without the drawing.

    Parameters
    ----------
    picture : TextImage, str or dict
        A grid of 28 equal cells.
    filters : int
        Of the shared reader.
    scale : float, default=1/255
        Full ink is 255 times this.
    **kwargs
        Of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        picture: TextImage | str | dict,
        filters: int,
        scale: float = 1 / 255,
        **kwargs: Any,
    ) -> None:
        super().__init__(picture, scale, filters, **kwargs)
        cells, self.cell = glyphs(self.picture), cell_of(self.picture)
        # Cells from left to right and from above, as a convolution leaves them.
        row, column = (self.picture.boxes[:, :2] // self.cell).T
        self.order = np.lexsort((column, row))
        self.grid = int(row.max()) + 1, int(column.max()) + 1
        numbers = [len(cells[variable]) for variable in self.order]
        self.starts = np.cumsum([0, *numbers[:-1]]).astype("int32")
        # A glyph that several cells share is read once.
        shown = np.concatenate([cells[variable] for variable in self.order])
        shown = shown.reshape(len(shown), -1)
        self.distinct, which = np.unique(shown, axis=0, return_inverse=True)
        self.which = which.reshape(-1).astype("int32")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of a convolution of one cell.

        Parameters
        ----------
        input_shape : tuple
            Of the inputs, the number of records unknown.
        """
        self.kernel, self.bias = self._add_convolution(*self.cell, 1)

    def call(self, codes: Any) -> Any:
        """Return what is read in each cell of the records' pictures.

        Parameters
        ----------
        codes : tensor of shape (n, 28)
            Codes of a batch of records.

        Returns
        -------
        tensor
        """
        scaled = self.distinct * np.float32(self.scale)
        ink = ops.convert_to_tensor(scaled, self.compute_dtype)
        kernel = ops.reshape(self.kernel, (-1, self.filters))
        table = ops.matmul(ink, kernel) + self.bias
        levels = ops.take(ops.cast(codes, "int32"), self.order, axis=1) + self.starts
        places = ops.take(ops.convert_to_tensor(self.which), levels, axis=0)
        cells = ops.take(table, places, axis=0)
        return ops.reshape(cells, (-1, *self.grid, self.filters))

    def batch_multiply_adds(self) -> int:
        """Return the multiplications of one batch, however many records it has.

        Returns
        -------
        int
        """
        return self.distinct.size * self.filters
