"""Networks on pictures and on codes: Keras 3, whatever its backend."""

from sudlib.networks import (
    architectures,
    atlas,
    backbones,
    devices,
    entity_embedding,
    feature_cache,
    finetuning,
    flops,
    heads,
    training,
    transfer,
)
from sudlib.networks.estimators import EmbeddingNetwork, PictureClassifier
from sudlib.networks.layers import DrawRecords

__all__ = [
    "DrawRecords",
    "EmbeddingNetwork",
    "PictureClassifier",
    "architectures",
    "atlas",
    "backbones",
    "devices",
    "entity_embedding",
    "feature_cache",
    "finetuning",
    "flops",
    "heads",
    "training",
    "transfer",
]
