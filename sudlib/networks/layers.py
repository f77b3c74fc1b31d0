"""Keras layers that read codes of records through a picture.

Taught in ``a04_records_as_pictures``.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from sudlib.files import InputError
from sudlib.images import VARIABLES, TextImage
from sudlib.validation import check_choice


def codes_input() -> keras.KerasTensor:
    """Return the input of every network here: the 28 codes of a record.

    Returns
    -------
    keras.KerasTensor
    """
    return keras.Input((len(VARIABLES),), dtype="uint8", name="codes")


class PictureLayer(keras.layers.Layer):
    """What the layers that hold a picture have in common.

    Parameters
    ----------
    picture : TextImage, str or dict
        What draws, the name of its layout, or what its ``to_config`` returned.
    scale : float, default=1
        Full ink is 255 times this: 1 for pixels from 0 to 255, 1/255 for 0 to 1.
    **kwargs
        Of ``keras.layers.Layer``.
    """

    def __init__(
        self, picture: TextImage | str | dict, scale: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(picture, dict):
            picture = TextImage.from_config(picture)
        elif isinstance(picture, str):
            picture = TextImage(picture)
        if not isinstance(picture, TextImage):
            raise InputError(
                f"picture must be a TextImage or a layout's name, not {picture!r}"
            )
        self.picture, self.scale = picture, float(scale)

    def compute_output_spec(self, codes: keras.KerasTensor) -> keras.KerasTensor:
        """Return the symbolic output: its shape and dtype.

        Parameters
        ----------
        codes : keras.KerasTensor
            Symbolic codes.

        Returns
        -------
        keras.KerasTensor
        """
        shape = self.compute_output_shape(codes.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer: the patches too, but not the font.

        Returns
        -------
        dict
        """
        own = {"picture": self.picture.to_config(), "scale": self.scale}
        return super().get_config() | own


@keras.saving.register_keras_serializable("sudlib")
class DrawRecords(PictureLayer):
    """Pictures, drawn on the device from the 28 codes of a record.

    A record travels to the device as 28 bytes instead of 62,500.  The patches of each
    variable are gathered by its codes and put into an empty canvas, one
    ``slice_update`` a cell.  Without XLA, TensorFlow copies the whole canvas at each
    of the 28 updates: compile the model with ``jit_compile=True`` there.

    Parameters
    ----------
    picture : TextImage, str or dict
        What draws, the name of its layout, or what its ``to_config`` returned.
    channels : {1, 3}
        3 repeats the grey picture, as networks for photographs expect.
    scale : float, default=1
        Full ink is 255 times this: 1 for pixels from 0 to 255, 1/255 for 0 to 1.
    **kwargs
        Of ``keras.layers.Layer``.  ``dtype="uint8"`` (with scale 1) keeps bytes;
        otherwise the pixels have the layer's compute dtype.

    Notes
    -----
    Input: integers, records x 28, from :func:`sudlib.images.encode`.  Output: records x
    height x width x channels.  A saved model keeps the patches, not the font.

    Examples
    --------
    >>> layer = DrawRecords("grid", scale=1 / 255)
    >>> tuple(layer(np.zeros((2, 28), "uint8")).shape)
    (2, 56, 64, 1)
    """

    def __init__(
        self,
        picture: TextImage | str | dict = "general",
        channels: int = 1,
        scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(picture, scale, **kwargs)
        self.channels = check_choice("channels", channels, (1, 3))
        if self.compute_dtype == "uint8" and scale != 1:
            raise InputError(f"bytes hold whole numbers: scale must be 1, not {scale}")
        # Scaled, and with their channels, once here: no pixel is touched again later.
        dtype = np.uint8 if self.compute_dtype == "uint8" else np.float32
        self._ink = [
            np.repeat((patch * np.float32(scale)).astype(dtype)[..., None], channels, 3)
            for patch in self.picture.patches
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that the input has a column for each variable.

        Parameters
        ----------
        input_shape : tuple
            Of the inputs, the number of records unknown.
        """
        if input_shape[-1] != len(VARIABLES):
            raise InputError(
                f"this layer draws {len(VARIABLES)} codes a record, not"
                f" {input_shape[-1]}"
            )

    def call(self, codes: Any) -> Any:
        """Return the pictures of a batch of codes.

        Parameters
        ----------
        codes : tensor of shape (n, 28)
            Codes of a batch of records.

        Returns
        -------
        tensor
        """
        # Indices: neither float32 nor bytes are taken as such by every backend.
        codes = ops.cast(codes, "int32")
        shape = (ops.shape(codes)[0], *self.picture.shape, self.channels)
        canvas = ops.zeros(shape, self.compute_dtype)
        for column, (y, x, _, _) in enumerate(self.picture.boxes.tolist()):
            ink = ops.convert_to_tensor(self._ink[column], self.compute_dtype)
            cell = ops.take(ink, codes[:, column], axis=0)
            canvas = ops.slice_update(canvas, (0, y, x, 0), cell)
        return canvas

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple:
        """Return (records, height, width, channels).

        Parameters
        ----------
        input_shape : tuple
            Of the inputs, the number of records unknown.

        Returns
        -------
        tuple
        """
        return (input_shape[0], *self.picture.shape, self.channels)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer: the patches too, but not the font.

        Returns
        -------
        dict
        """
        return {**super().get_config(), "channels": self.channels}
