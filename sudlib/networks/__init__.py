"""Networks on pictures and on codes: Keras 3, whatever its backend.

Import the module you need, e.g. ``from sudlib.networks import layers``: each imports
Keras, which takes seconds, so nothing is imported here.
"""
