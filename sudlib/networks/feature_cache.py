"""What a frozen network makes of each picture, computed once and stored.

A backbone that is not trained gives the same features in every epoch, so one pass a
picture is enough for as many epochs, heads and controls as one likes.  Pictures are
drawn inside the network and exist only a batch at a time; equal records are computed
once; what has been computed is stored on disk, in pieces, so that a second run makes no
pass and a run that was stopped resumes.  Taught in ``a05_resnet50_transfer``.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from sudlib import images
from sudlib.files import InputError, expand_path
from sudlib.networks.backbones import Base
from sudlib.networks.batches import predict_within_memory
from sudlib.networks.devices import has_gpu
from sudlib.networks.layers import DrawRecords, codes_input
from sudlib.validation import check_choice

#: Part of every key: raise it whenever features change.
VERSION = 2

#: How the map of a backbone becomes features.
POOLINGS = ("average", "places", "map")

#: Records of a piece on disk.
PIECE = 1024


@dataclass(frozen=True)
class Features:
    """What :func:`compute` returns.

    Attributes
    ----------
    values : numpy.ndarray
        One row a record, in the order of the codes.
    passes : int
        Pictures that really went through the backbone in this call.
    asked : int
        Records that features were asked for.
    distinct : int
        How many different records these are: passes are at most so many.
    seconds : float
        That all passes took, in this call or when they were made.
    batch_size : int
        The one that was used in the end.
    """

    values: NDArray[np.floating] = field(repr=False)
    passes: int
    asked: int
    distinct: int
    seconds: float
    batch_size: int


def cache_folder() -> Path:
    """Return where features are stored: below ``SUDLIB_CACHE``, or the system's cache.

    Returns
    -------
    pathlib.Path
    """
    from sudlib import teds

    return teds.cache_folder() / "features"


def compute(
    base: Base,
    picture: images.TextImage,
    codes: ArrayLike,
    *,
    pooled: str = "average",
    stages: int = 0,
    folder: str | os.PathLike[str] | Literal[False] | None = None,
    batch_size: int | None = None,
    dtype: str = "float16",
    progress: bool = True,
) -> Features:
    """Return features of records, with as few passes through the backbone as possible.

    Parameters
    ----------
    base : sudlib.networks.backbones.Base
        The frozen network.
    picture : sudlib.images.TextImage
        Of the backbone's height and width.
    codes : array-like of int, records x 28
        From :func:`sudlib.images.encode`.
    pooled : {"average", "places", "map"}
        "average": the mean of each channel over the map, as the study did; where a
        mark stands is lost.  "places": as many numbers, but each place of the map
        keeps its own, as fixed random mixtures of the channels.  "map": everything.
        The first two are stored together: whoever has one has the other.
    stages : {0, 1, 2}
        Leave so many of the last stages out (then ``pooled`` must be "map").
    folder : path, optional
        Where features are stored; None: :func:`cache_folder`; False: nowhere.
    batch_size : int, optional
        By default 16, which is best for a CPU's caches; on a GPU 256.
    dtype : {"float16", "float32"}
        Of the values.
    progress : bool, default=True
        Show a progress bar on a terminal.

    Returns
    -------
    Features

    Raises
    ------
    InputError
        If the picture does not fit the backbone, a code has no glyph, or float16 does
        not hold a value.
    """
    check_choice("pooled", pooled, POOLINGS)
    check_choice("stages", stages, (0, 1, 2))
    check_choice("dtype", dtype, ("float16", "float32"))
    if stages and pooled != "map":
        raise InputError(
            f'features before the last stages are a map: pooled="map", not {pooled!r}'
        )
    if tuple(picture.shape) != tuple(base.side):
        raise InputError(
            f"the backbone takes pictures of {' x '.join(map(str, base.side))} pixels,"
            f" and these have {' x '.join(map(str, picture.shape))}: ask for"
            f" base(..., side={tuple(picture.shape)})"
        )
    codes = images.as_codes(codes)
    if len(codes) == 0:
        raise InputError("there are no records to compute features of")
    distinct, inverse = np.unique(codes, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    kind = "map" if pooled == "map" else "pooled"
    key = _key(base, picture, distinct, kind, stages, dtype)
    if folder is not False:
        folder = expand_path(folder or cache_folder()) / key[:32]
    model = None
    # No larger than the records: a batch is filled up to its size.
    size = min(batch_size or (256 if has_gpu() else 16), len(distinct))
    values, passes, seconds = np.empty(0), 0, 0.0
    # None: a bar on a terminal only, not in a file or under papermill.
    hidden = None if progress else True
    with tqdm(total=len(distinct), unit="record", disable=hidden) as bar:
        for start in range(0, len(distinct), PIECE):
            records = distinct[start : start + PIECE]
            path = folder and folder / f"{start:09d}.npz"
            piece = _read(path, key, start)
            if piece is None:
                begin, asked = time.perf_counter(), size
                model = model or _build(base, picture, kind, stages)
                outputs, size = predict_within_memory(model, records, size)
                if size < asked:
                    print(
                        f"The memory did not hold a batch of {asked}: features are"
                        f" computed in batches of {size}."
                    )
                piece = {name: _cast(output, dtype) for name, output in outputs.items()}
                piece["seconds"] = np.array(time.perf_counter() - begin)
                passes += len(records)
                _write(path, key, start, piece)
            seconds += float(piece["seconds"])
            if start == 0:
                values = np.empty((len(codes), *piece[pooled].shape[1:]), dtype)
            rows = np.flatnonzero(inverse // PIECE == start // PIECE)
            values[rows] = piece[pooled][inverse[rows] - start]
            bar.update(len(records))
    return Features(values, passes, len(codes), len(distinct), seconds, size)


def _key(
    base: Base, picture: images.TextImage, distinct: NDArray[np.uint8], *settings: Any
) -> str:
    """Return a fingerprint of everything that the features depend on."""
    settings = VERSION, base.key, picture.key, *settings, distinct.shape
    digest = hashlib.sha256(json.dumps(settings).encode())
    digest.update(np.ascontiguousarray(distinct).tobytes())
    return digest.hexdigest()


def _cast(outputs: NDArray[Any], dtype: str) -> NDArray[np.floating]:
    """Return values in a smaller type, or say that they do not fit."""
    with np.errstate(over="ignore"):
        small = np.asarray(outputs).astype(dtype)
    if not np.isfinite(small).all():
        raise InputError(
            f"{dtype} does not hold every feature of this backbone: ask for"
            ' dtype="float32", or for ImageNet preprocessing'
        )
    return small


def _mixtures(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return the fixed mixtures of "places": channels x mixtures."""
    rows, columns, channels = shape
    size = channels, max(1, channels // (rows * columns))
    random = np.random.default_rng(33)
    return random.normal(0, 1 / np.sqrt(channels), size).astype("float32")


def _build(
    base: Base, picture: images.TextImage, kind: str, stages: int
) -> keras.Model:
    """Return the network from codes to a dictionary of features, once for each kind.

    Tracing it takes as long as a hundred small pictures.
    """
    asked = picture.key, kind, stages
    if asked not in base.built:
        base.built.clear()
        base.built[asked] = _network(base, picture, kind, stages)
    return base.built[asked]


def _network(
    base: Base, picture: images.TextImage, kind: str, stages: int
) -> keras.Model:
    codes = codes_input()
    network = base.trunk(stages) if stages else base.grey
    output = network(DrawRecords(picture, channels=1)(codes))
    if kind == "map":
        return keras.Model(codes, {"map": output})
    mixtures = _mixtures(output.shape[1:])
    mixing = layers.Dense(mixtures.shape[1], use_bias=False, name="mixtures")
    places = layers.Flatten()(mixing(output))
    mixing.set_weights([mixtures])
    average = layers.GlobalAveragePooling2D()(output)
    return keras.Model(codes, {"average": average, "places": places})


def _read(
    path: Path | Literal[False], key: str, start: int
) -> dict[str, NDArray[Any]] | None:
    """Return a stored piece; None if there is none that can be trusted."""
    if not path or not path.exists():
        return None
    try:
        with np.load(path) as stored:
            piece = dict(stored)
        if str(piece.pop("stamp")) == f"{key} {start}":
            return piece
        reason = "are of something else"
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        reason = "cannot be read"
    # The usual filters show a warning once.
    warnings.warn(f"Stored features {reason}: they are computed again.", stacklevel=3)
    return None


def _write(
    path: Path | Literal[False], key: str, start: int, piece: dict[str, Any]
) -> None:
    """Store a piece, whole or not at all; where that cannot be done, warn."""
    if not path:
        return
    partial = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(partial, stamp=np.array(f"{key} {start}"), **piece)
        os.replace(partial, path)
    except OSError as error:
        warnings.warn(f"Features cannot be stored ({error}).", stacklevel=3)
