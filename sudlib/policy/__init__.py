"""Individualised treatment rules for combinations, and their evaluation.

Estimators recommend a combination of treatments from covariates
(:class:`TreatmentRule`); functions judge a rule on data.  Needs NumPy, SciPy, pandas
and scikit-learn only; Keras where a rule is told to train with it.
"""

from sudlib.policy import (
    batched,
    cprd,
    losses,
    multiverse,
    simulation,
    simulation_study,
    worlds,
)
from sudlib.policy.a_learning import ContrastLearner
from sudlib.policy.alternatives import angle_based_rule, ranking_rule, value_search
from sudlib.policy.base import TreatmentRule, fit_together
from sudlib.policy.best_rule import BestRule, BoostedOutcome
from sudlib.policy.censoring import restricted_time
from sudlib.policy.constraints import Bounded, best_within
from sudlib.policy.doubly_robust import (
    augmented_scores,
    augmented_value,
    doubly_robust_contrasts,
    support,
)
from sudlib.policy.dynamic_regimes import (
    DiseaseCourse,
    stagewise_owl,
    two_stage_q_learning,
)
from sudlib.policy.evaluation import Evaluation, evaluate, over_divisions
from sudlib.policy.heldout import (
    held_out,
    network_advice,
    one_by_one,
    over_splits,
    splits,
)
from sudlib.policy.matching import agreement, matched_average, matched_interval
from sudlib.policy.one_vs_one import OneAgainstOne
from sudlib.policy.outcome_networks import BoundedEffectsNetwork, ContrastNetwork
from sudlib.policy.outcome_weights import outcome_weights
from sudlib.policy.overlap import Overlap
from sudlib.policy.owl import STUDY_ALPHAS, OutcomeWeightedClassifier
from sudlib.policy.policy_tree import PolicyTree
from sudlib.policy.pretraining import boltzmann_start
from sudlib.policy.propensity import PROPENSITIES, Propensity, estimate_propensity
from sudlib.policy.q_learning import RIDGE_ALPHAS, AdditiveQLearner
from sudlib.policy.treatments import (
    best_combination,
    combination_number,
    combinations,
    describe,
)
from sudlib.policy.trial import Trial

__all__ = [
    "AdditiveQLearner",
    "BestRule",
    "Bounded",
    "BoostedOutcome",
    "BoundedEffectsNetwork",
    "ContrastLearner",
    "ContrastNetwork",
    "DiseaseCourse",
    "Evaluation",
    "OneAgainstOne",
    "OutcomeWeightedClassifier",
    "Overlap",
    "PROPENSITIES",
    "PolicyTree",
    "Propensity",
    "RIDGE_ALPHAS",
    "STUDY_ALPHAS",
    "TreatmentRule",
    "Trial",
    "agreement",
    "angle_based_rule",
    "augmented_scores",
    "augmented_value",
    "batched",
    "best_combination",
    "best_within",
    "boltzmann_start",
    "combination_number",
    "combinations",
    "cprd",
    "describe",
    "doubly_robust_contrasts",
    "estimate_propensity",
    "evaluate",
    "fit_together",
    "held_out",
    "losses",
    "matched_average",
    "matched_interval",
    "multiverse",
    "network_advice",
    "one_by_one",
    "outcome_weights",
    "over_divisions",
    "over_splits",
    "ranking_rule",
    "restricted_time",
    "simulation",
    "simulation_study",
    "splits",
    "stagewise_owl",
    "support",
    "two_stage_q_learning",
    "value_search",
    "worlds",
]
