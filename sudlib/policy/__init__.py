"""Individualised treatment rules for combinations, and their evaluation."""

from sudlib.policy import (
    batched,
    cprd,
    losses,
    multiverse,
    simulation,
    simulation_study,
)
from sudlib.policy.a_learning import ContrastLearner
from sudlib.policy.base import best_combination, fit_together
from sudlib.policy.dynamic_regimes import (
    DiseaseCourse,
    stagewise_owl,
    two_stage_q_learning,
)
from sudlib.policy.evaluation import (
    agreement,
    augmented_scores,
    augmented_value,
    cross_fitted_value,
    describe,
    matched_average,
    matched_interval,
)
from sudlib.policy.heldout import (
    held_out,
    network_advice,
    one_by_one,
    over_splits,
    splits,
)
from sudlib.policy.one_vs_one import OneAgainstOne
from sudlib.policy.outcome_networks import BoundedEffectsNetwork, ContrastNetwork
from sudlib.policy.outcome_weights import doubly_robust_contrasts, outcome_weights
from sudlib.policy.owl import STRENGTHS, OutcomeWeightedClassifier
from sudlib.policy.policy_tree import PolicyTree
from sudlib.policy.pretraining import boltzmann_start
from sudlib.policy.propensity import PROPENSITIES, Propensity, estimate_propensity
from sudlib.policy.q_learning import PENALTIES, AdditiveQLearner, RidgeQ
from sudlib.policy.treatments import combination_number, combinations

__all__ = [
    "AdditiveQLearner",
    "BoundedEffectsNetwork",
    "ContrastLearner",
    "ContrastNetwork",
    "DiseaseCourse",
    "OneAgainstOne",
    "OutcomeWeightedClassifier",
    "PENALTIES",
    "PROPENSITIES",
    "PolicyTree",
    "Propensity",
    "RidgeQ",
    "STRENGTHS",
    "agreement",
    "augmented_scores",
    "augmented_value",
    "batched",
    "best_combination",
    "boltzmann_start",
    "combination_number",
    "combinations",
    "cprd",
    "cross_fitted_value",
    "describe",
    "doubly_robust_contrasts",
    "estimate_propensity",
    "fit_together",
    "held_out",
    "losses",
    "matched_average",
    "matched_interval",
    "multiverse",
    "network_advice",
    "one_by_one",
    "outcome_weights",
    "over_splits",
    "simulation",
    "simulation_study",
    "splits",
    "stagewise_owl",
    "two_stage_q_learning",
]
