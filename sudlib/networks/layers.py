"""Keras layers of our own: drawing records inside a network.

Taught in ``a04_records_as_pictures``.
"""

import keras
import numpy as np
from keras import ops

from sudlib.files import InputError
from sudlib.images import VARIABLES, TextImage


@keras.saving.register_keras_serializable("sudlib")
class DrawRecords(keras.layers.Layer):
    """Pictures, drawn on the device from 28 small integers a record.

    A record travels to the device as 28 bytes instead of 62,500.  The patches of each
    variable are gathered by its codes and put into an empty canvas, one
    ``slice_update`` a cell.  Without XLA, TensorFlow copies the whole canvas at each
    of the 28 updates: compile the model with ``jit_compile=True`` there.

    Parameters
    ----------
    picture : TextImage, str or dict
        What draws: a :class:`sudlib.images.text_image.TextImage`, the name of its layout, or
        what its ``to_config`` returned.
    channels : {1, 3}
        3 repeats the grey picture, as photographs' networks expect.
    scale : float
        Full ink is 255 times this: 1.0 for raw 0-255 pixels, 1/255 for 0 to 1.
    **kwargs
        Of ``keras.layers.Layer``.  ``dtype="uint8"`` (with scale 1) keeps bytes;
        otherwise the pixels have the layer's compute dtype.

    Notes
    -----
    Input: integers, records x 28, from :func:`sudlib.images.codes.encode`.  Output: records
    x height x width x channels.  A saved model keeps the patches, not the font.

    Examples
    --------
    >>> layer = DrawRecords("grid", scale=1 / 255)
    >>> layer(np.zeros((2, 28), "uint8")).shape  # doctest: +SKIP
    (2, 56, 64, 1)
    """

    def __init__(self, picture="general", channels=1, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        if channels not in (1, 3):
            raise InputError(f"channels must be 1 or 3, not {channels!r}")
        if isinstance(picture, dict):
            picture = TextImage.from_config(picture)
        elif isinstance(picture, str):
            picture = TextImage(picture)
        if not isinstance(picture, TextImage):
            raise InputError(
                f"picture must be a TextImage or a layout's name, not {picture!r}"
            )
        if self.compute_dtype == "uint8" and scale != 1:
            raise InputError(f"bytes hold whole numbers: scale must be 1, not {scale}")
        self.picture, self.channels, self.scale = picture, channels, float(scale)
        # Scaled, and with their channels, once here: no pixel is touched again later.
        bytes_or_floats = np.uint8 if self.compute_dtype == "uint8" else np.float32
        self._ink = [
            np.repeat(
                (patch * np.float32(self.scale)).astype(bytes_or_floats)[..., None],
                channels,
                axis=-1,
            )
            for patch in picture.patches
        ]

    def build(self, input_shape):
        """Check that the input has a column for each variable."""
        if input_shape[-1] != len(VARIABLES):
            raise InputError(
                f"this layer draws {len(VARIABLES)} codes a record, not"
                f" {input_shape[-1]}"
            )

    def call(self, codes):
        """Return the pictures of a batch of codes."""
        # Indices: neither float32 nor bytes are taken as such by every backend.
        codes = ops.cast(codes, "int32")
        shape = (ops.shape(codes)[0], *self.picture.shape, self.channels)
        canvas = ops.zeros(shape, self.compute_dtype)
        for column, (y, x, _, _) in enumerate(self.picture.boxes.tolist()):
            ink = ops.convert_to_tensor(self._ink[column], self.compute_dtype)
            cell = ops.take(ink, codes[:, column], axis=0)
            canvas = ops.slice_update(canvas, (0, y, x, 0), cell)
        return canvas

    def compute_output_shape(self, input_shape):
        """Return (records, height, width, channels)."""
        return (input_shape[0], *self.picture.shape, self.channels)

    def compute_output_spec(self, codes):
        """Return the symbolic output: its shape and dtype."""
        shape = self.compute_output_shape(codes.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        """Return what rebuilds this layer, the patches included."""
        return {
            **super().get_config(),
            "picture": self.picture.to_config(),
            "channels": self.channels,
            "scale": self.scale,
        }
