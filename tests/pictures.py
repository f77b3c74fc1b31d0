"""Pictures made once, and random codes to draw, for tests of both ways to draw."""

import functools

import numpy as np

from sudlib import images


@functools.cache
def picture(name="general"):
    return images.TextImage(name)


def draw_codes(records, seed=33):
    """Return random codes, every level of every variable among them."""
    generator = np.random.default_rng(seed)
    columns = [
        generator.permutation(np.arange(records) % many) for many in images.levels()
    ]
    return np.stack(columns, axis=1).astype(np.uint8)
