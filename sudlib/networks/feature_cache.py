"""What a frozen network makes of each picture, computed once and kept.

A base that is not trained gives the same features in every epoch, so one pass a picture
is enough: for as many epochs, heads and controls as one likes.  Pictures are drawn
inside the network and exist only a batch at a time; equal records are computed once;
what has been computed is kept on disk, in pieces, so that a second run makes no pass
and a run that was stopped goes on where it was.  Taught in ``a05_resnet50_transfer``.
"""

import hashlib
import io
import json
import os
import time
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from keras import layers
from tqdm import tqdm

from sudlib import images
from sudlib.files import InputError
from sudlib.networks import training
from sudlib.networks.layers import DrawRecords

#: What a piece on disk must have been written by: raise it whenever features change.
VERSION = 1


#: How the map of a base becomes features.
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
        Pictures that really went through the base in this call.
    asked : int
        Records that features were asked for.
    distinct : int
        How many different records these are: passes are at most so many.
    seconds : float
        That all passes took, in this call or when they were made.
    batch_size : int
        The one that was used in the end.
    """

    values: np.ndarray = field(repr=False)
    passes: int
    asked: int
    distinct: int
    seconds: float
    batch_size: int


def cache_folder():
    """Return where features are kept: below ``SUDLIB_CACHE``, or the system's cache."""
    from sudlib import teds

    return teds.cache_folder() / "features"


def compute(
    base,
    picture,
    codes,
    *,
    pooled="average",
    stages=0,
    folder=None,
    batch_size=None,
    dtype="float16",
    progress=True,
):
    """Return the features of records, with as few passes through the base as possible.

    Parameters
    ----------
    base : sudlib.networks.backbones.Base
    picture : sudlib.images.text_image.TextImage
        Of the base's height and width.
    codes : numpy.ndarray
        Small integers, records x 28, from :func:`sudlib.images.codes.encode`.
    pooled : {"average", "places", "map"}
        "average": the mean of each channel over the map, as the study did; where a
        mark stands is lost.  "places": as many numbers, but each place of the map
        keeps its own, as fixed random mixtures of the channels.  "map": everything.
        The first two are kept together: whoever has one has the other.
    stages : {0, 1, 2}
        Leave so many of the last stages out (then ``pooled`` must be "map").
    folder : path, optional
        Where features are kept; None: :func:`cache_folder`; False: nowhere.
    batch_size : int, optional
        By default 16, which is best for a processor's caches; on a GPU 256.
    dtype : {"float16", "float32"}
        Of the values.
    progress : bool, default=True
        Show a bar; in a file, or under papermill, there is none.

    Returns
    -------
    Features

    Raises
    ------
    InputError
        If the picture does not fit the base, a code has no glyph, or float16 does not
        hold a value.
    """
    _check(base, picture, pooled, stages, dtype)
    codes = images.as_codes(codes)
    distinct, inverse = np.unique(codes, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    kind = "map" if pooled == "map" else "pooled"
    key = _key(base, picture, distinct, kind, stages, dtype)
    store = _Store(cache_folder() if folder is None else folder, key)
    network = _Network(base, picture, kind, stages, batch_size)
    order = np.argsort(inverse, kind="stable")
    ends = np.searchsorted(inverse[order], np.arange(0, len(distinct) + PIECE, PIECE))
    values, passes, seconds = None, 0, 0.0
    with tqdm(total=len(distinct), unit="record", disable=_quiet(progress)) as bar:
        for number, start in enumerate(range(0, len(distinct), PIECE)):
            part = distinct[start : start + PIECE]
            found, took = store.read(start, len(part))
            if found is None:
                begin = time.perf_counter()
                found = _cast(network(part, bar), dtype)
                took = time.perf_counter() - begin
                passes += len(part)
                store.write(start, found, took)
            else:
                bar.update(len(part))
            seconds += took
            if values is None:
                values = np.empty((len(codes), *found[pooled].shape[1:]), dtype)
            rows = order[ends[number] : ends[number + 1]]
            values[rows] = found[pooled][inverse[rows] - start]
    if values is None:
        raise InputError("there are no records to compute features of")
    return Features(
        values=values,
        passes=passes,
        asked=len(codes),
        distinct=len(distinct),
        seconds=seconds,
        batch_size=network.batch_size,
    )


def _quiet(progress):
    return None if progress else True  # None: a bar only where there is a terminal


def _check(base, picture, pooled, stages, dtype):
    for name, value, allowed in (
        ("pooled", pooled, POOLINGS),
        ("stages", stages, (0, 1, 2)),
        ("dtype", dtype, ("float16", "float32")),
    ):
        if value not in allowed:
            raise InputError(
                f"{name} must be one of {', '.join(map(str, allowed))}, not {value!r}"
            )
    if stages and pooled != "map":
        raise InputError(
            f'features before the last stages are a map: pooled="map", not {pooled!r}'
        )
    if tuple(picture.shape) != tuple(base.side):
        raise InputError(
            f"the base takes pictures of {' x '.join(map(str, base.side))} pixels, and"
            f" these have {' x '.join(map(str, picture.shape))}: ask for"
            f" base(..., side={tuple(picture.shape)})"
        )


def _key(base, picture, distinct, kind, stages, dtype):
    """Return a fingerprint of everything that the features depend on."""
    digest = hashlib.sha256()
    said = [base.key, picture.key, kind, stages, dtype, distinct.shape]
    digest.update(json.dumps(said).encode())
    digest.update(np.ascontiguousarray(distinct).tobytes())
    return digest.hexdigest()


def _cast(found, dtype):
    """Return values in a smaller type, or say that they do not fit."""
    with np.errstate(over="ignore"):
        small = {name: values.astype(dtype) for name, values in found.items()}
    if not all(np.isfinite(values).all() for values in small.values()):
        raise InputError(
            f"{dtype} does not hold every feature of this base: ask for"
            ' dtype="float32", or for the right preprocessing'
        )
    return small


def _places(shape):
    """Return the fixed mixtures of "places": channels x mixtures."""
    rows, columns, channels = shape
    mixtures = max(1, channels // (rows * columns))
    random = np.random.default_rng(33)
    mixed = random.normal(0, 1 / np.sqrt(channels), (channels, mixtures))
    return mixed.astype("float32")


class _Network:
    """From codes to features, batch by batch; a batch that does not fit is halved."""

    def __init__(self, base, picture, kind, stages, batch_size):
        self.base, self.picture, self.kind = base, picture, kind
        self.gpu = training.has_gpu()
        self.stages, self.batch_size = stages, int(batch_size or (16, 256)[self.gpu])
        self.halved, self.model = False, None

    def _build(self):
        """Build the model when the first pass is made: what is kept needs none."""
        codes = keras.Input((28,), dtype="uint8", name="codes")
        drawn = DrawRecords(self.picture, channels=1)(codes)
        network = self.base.cut(self.stages)[0] if self.stages else self.base.grey
        found = network(drawn)
        if self.kind == "pooled":
            mix = _places(found.shape[1:])
            mixing = layers.Dense(mix.shape[1], use_bias=False, name="mixtures")
            average = layers.GlobalAveragePooling2D()(found)
            places = layers.Flatten()(mixing(found))
            mixing.set_weights([mix])
            found = {"average": average, "places": places}
        else:
            found = {"map": found}
        self.model = keras.Model(codes, found)
        # XLA makes TensorFlow's convolutions on a processor thirty times slower, and on
        # a GPU faster.
        self.model.compile(jit_compile=self.gpu or keras.backend.backend() == "jax")

    def __call__(self, codes, bar):
        """Return the features of some records as a dictionary of arrays."""
        if self.model is None:
            self._build()
        start, came = 0, []
        while start < len(codes):
            batch = codes[start : start + self.batch_size]
            try:
                found = self._pass(batch)
            except Exception as error:
                fits = training.out_of_memory(error)
                if not fits or self.halved or self.batch_size == 1:
                    raise
                print(
                    f"The memory did not hold a batch of {self.batch_size}: it goes on"
                    f" with batches of {self.batch_size // 2}."
                )
                self.batch_size, self.halved = self.batch_size // 2, True
                continue
            came.append(found)
            start += len(batch)
            bar.update(len(batch))
        return {
            name: np.concatenate([found[name] for found in came]) for name in came[0]
        }

    def _pass(self, batch):
        """Send one batch through, filled up: another length would be compiled anew."""
        full = np.zeros((self.batch_size, batch.shape[1]), np.uint8)
        full[: len(batch)] = batch
        found = self.model.predict_on_batch(full)
        return {name: values[: len(batch)] for name, values in found.items()}


class _Store:
    """Pieces of features on disk; what cannot be trusted is not read."""

    def __init__(self, folder, key):
        self.key, self.said = key, set()
        self.folder = None if folder is False else Path(folder).expanduser() / key[:32]

    def _say(self, words):
        if words not in self.said:
            self.said.add(words)
            print(words)

    def read(self, start, rows):
        """Return a piece and its seconds; None if it is not what it should be."""
        if self.folder is None:
            return None, 0.0
        path = self.folder / f"{start:09d}.npz"
        if not path.exists():
            return None, 0.0
        try:
            with np.load(path) as kept:
                stamp = json.loads(kept["stamp"].tobytes())
                values = {name: kept[name] for name in kept.files if name != "stamp"}
        except (
            OSError,
            ValueError,
            KeyError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
        ):
            self._say("Kept features cannot be read: they are computed again.")
            return None, 0.0
        if stamp.get("version") != VERSION:
            self._say("Kept features are of another version: they are computed again.")
            return None, 0.0
        seconds = stamp.pop("seconds", None)
        wanted = {"version": VERSION, "key": self.key, "start": start, "rows": rows}
        if stamp != wanted or any(len(part) != rows for part in values.values()):
            self._say("Kept features are of something else: they are computed again.")
            return None, 0.0
        return values, float(seconds or 0)

    def write(self, start, values, seconds):
        """Keep a piece; where that cannot be done, say so and go on."""
        if self.folder is None:
            return
        rows = len(next(iter(values.values())))
        stamp = {"version": VERSION, "key": self.key, "start": start, "rows": rows}
        stamp["seconds"] = seconds
        words = np.frombuffer(json.dumps(stamp).encode(), np.uint8)
        stream = io.BytesIO()
        np.savez(stream, stamp=words, **values)
        path = self.folder / f"{start:09d}.npz"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(stream.getbuffer())
            os.replace(temporary, path)
        except OSError as error:
            self._say(f"Features cannot be kept ({error}): a second run computes them.")
