"""Networks that are traced once and used again for others of the same architecture.

Keras traces a network again for each object, which for a small one takes longer than an
epoch.  A page that trains the same architecture twenty times would trace it twenty
times.  Here an architecture has one *twin*, which is traced once; weights go in, and
come out again.  What is computed is the same, in the same order.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sudlib.networks import devices

#: Twins that are kept, and the weights from which on a network is not copied.
KEPT, LARGE = 12, 5_000_000

_twins: OrderedDict[str, keras.Model] = OrderedDict()


def architecture(model: keras.Model) -> str:
    """Return what distinguishes the computation of a network, its weights aside.

    Parameters
    ----------
    model : keras.Model
        Functional or sequential.

    Returns
    -------
    str
        The same for two networks that were built alike, whatever their layers are
        numbered.
    """
    # Keras numbers the names of layers by how many there were before.
    numbers: dict[str, str] = {}

    def renumber(found: re.Match[str]) -> str:
        return numbers.setdefault(found[0], f'"{found[1]}#{len(numbers)}"')

    layers = re.sub(r'"([a-z][a-z0-9_]*?)(?:_\d+)*"', renumber, model.to_json())
    return f"{layers} {[weight.trainable for weight in model.weights]}"


def fingerprint(
    model: keras.Model, arrays: Iterable[NDArray[Any]], *settings: Any
) -> str:
    """Return a fingerprint of everything that decides what training ends with.

    Parameters
    ----------
    model : keras.Model
        With the weights that training starts from.
    arrays : iterable of numpy.ndarray
        What it is trained and validated on; they may be mapped into memory.
    *settings
        What else counts, as JSON holds it.

    Returns
    -------
    str
    """
    digest = hashlib.sha256(json.dumps(settings).encode())
    # Keras numbers the names of layers by how many there were before.
    digest.update(re.sub(r'(_\d+)+"', '"', model.to_json()).encode())
    for variable in model.variables:
        if variable.name != "seed_generator_state":
            digest.update(str(variable.trainable).encode())
            digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        for start in range(0, len(array), 4096):
            digest.update(np.ascontiguousarray(array[start : start + 4096]).tobytes())
    return digest.hexdigest()


def twin(model: keras.Model, purpose: str) -> keras.Model:
    """Return a network of the same architecture, with the same weights, for a purpose.

    Parameters
    ----------
    model : keras.Model
        It is not changed.
    purpose : str
        Twins of other purposes are other networks: how they are compiled differs.

    Returns
    -------
    keras.Model
        The model itself where it is too large to be kept twice.
    """
    if model.count_params() >= LARGE:
        return model
    key = f"{purpose} {keras.config.floatx()} {architecture(model)}"
    if key not in _twins:
        # Drawing first weights that are not used must not move what is drawn later.
        state = random.getstate()
        _twins[key] = keras.models.clone_model(model)
        random.setstate(state)
        for mine, theirs in zip(
            devices.leaves(_twins[key]), devices.leaves(model), strict=True
        ):
            mine.trainable = theirs.trainable
        while len(_twins) > KEPT:
            _twins.popitem(last=False)
    _twins.move_to_end(key)
    _twins[key].set_weights(model.get_weights())
    return _twins[key]


def is_twin(model: keras.Model) -> bool:
    """Return whether a network is one of the twins that are kept.

    Parameters
    ----------
    model : keras.Model
        Any.

    Returns
    -------
    bool
    """
    return any(model is each for each in _twins.values())
