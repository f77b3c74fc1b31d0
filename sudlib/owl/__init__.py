"""Outcome-weighted learning for combination therapies (floor 3).

People have covariates ``X`` (n, p), received a combination ``A`` (n, K) coded -1 and
+1, and had an ``outcome`` (n,), larger is better.

>>> from sudlib.owl import OutcomeWeightedClassifier, simulation
>>> world = simulation.draw_truth("right", 33)
>>> train, test = simulation.draw(world, 1000, 1), simulation.draw(world, 2000, 2)
>>> rule = OutcomeWeightedClassifier(hidden=(), strength=0.01, steps=300)
>>> rule = rule.fit(train.X, train.A, train.outcome)
>>> advice = rule.predict(test.X)
>>> scores = simulation.score(advice, test.best, test.outcomes)
>>> sorted(scores)
['ab', 'adjusted_amcr', 'adjusted_mcr', 'amcr', 'mcr']

``losses``      surrogates, τ-th order Hamming loss (and ``sudlib.combinations``)
``batched``     many small networks trained as one computation, numpy or Keras
``weights``     propensities, outcome weights, doubly robust contrasts
``rules``       the estimators
``simulation``  section 6 as pure functions of a seed, scores (20) to (22)
``study``       the full study in shards, merged exactly
"""

from sudlib.owl import batched, losses, simulation, weights
from sudlib.owl.rules import (
    STRENGTHS,
    BoundedEffectsNetwork,
    ContrastNetwork,
    OneAgainstOne,
    OutcomeWeightedClassifier,
    RidgeQ,
)

__all__ = [
    "STRENGTHS",
    "BoundedEffectsNetwork",
    "ContrastNetwork",
    "OneAgainstOne",
    "OutcomeWeightedClassifier",
    "RidgeQ",
    "batched",
    "losses",
    "simulation",
    "weights",
]
