"""What all rules share: fitting, predicting, choosing the best combination."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from sudlib.files import InputError
from sudlib.policy.outcome_weights import contrast_basis
from sudlib.policy.propensity import estimate_propensity
from sudlib.policy.treatments import check_people, combinations


class _Rule(BaseEstimator):
    """What all rules share."""

    def _start(self, X, A, outcome, propensity):
        """Check what was given, remember its shape, and return it with propensities."""
        X, A, outcome, propensity = check_people(X, A, outcome, propensity)
        self.n_treatments_ = A.shape[1]
        if propensity is None:
            how = getattr(self, "propensity", "marginal")
            propensity = estimate_propensity(X, A, how)
        return X, A, outcome, propensity

    def _inputs(self, X):
        check_is_fitted(self)
        X = np.asarray(
            validate_data(self, X, reset=False, dtype="float32"), dtype="float32"
        )
        return self.scaler_.transform(X) if self.scaler_ is not None else X

    def _scale(self, X, given):
        """Remember names and widths of the covariates; return them scaled if asked."""
        validate_data(self, given, skip_check_array=True)
        self.scaler_ = StandardScaler().fit(X) if self.standardise else None
        return X if self.scaler_ is None else self.scaler_.transform(X)

    def value(self, X, A, outcome, propensity=None):
        """Return the estimated mean outcome if everybody followed the rule.

        The mean outcome of those who happened to be treated as advised, each weighted
        by one over the probability of the combination (T of the study's section 7).

        Parameters
        ----------
        X, A, outcome : arrays of shape (n, p), (n, K) and (n,)
        propensity : array of shape (n,), optional
            By default the share of each combination.

        Returns
        -------
        float
            NaN if nobody was treated as advised.
        """
        raw, A, outcome, propensity = check_people(
            X, A, outcome, propensity, train=False
        )
        if propensity is None:
            propensity = estimate_propensity(raw, A)
        as_advised = (self.predict(X) == A).all(axis=1)
        weight = as_advised / propensity
        return float(weight @ outcome / weight.sum()) if weight.any() else float("nan")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _split(rows, share, seed):
    """Return rows to train on and rows to watch."""
    order = np.random.default_rng([seed, 1]).permutation(rows)
    held = min(max(1, round(share * rows)), rows - 1)
    return order[held:], order[:held]


def _signs(scores):
    """Return +1 where a score is above 0: without evidence nothing is recommended."""
    return np.where(scores > 0, 1, -1).astype("int8")


def _each(networks, held, score):
    """Return the scores of the networks of every data set on its own people."""
    return np.concatenate(
        [
            score(networks[place : place + 1], *people)
            for place, people in enumerate(held)
        ]
    )


def fit_together(rules, studies):
    """Return rules, each fitted to its own study, trained as one computation.

    Every rule is what its ``fit`` alone would make it, to the last digit: the data sets
    are stacked, and one matrix product serves them all.

    Parameters
    ----------
    rules : list of OutcomeWeightedClassifier or of ContrastNetwork
        Not yet fitted, with the same settings.
    studies : list of tuple
        What ``fit`` takes for each: ``(X, A, outcome, propensity, validation)``.

    Returns
    -------
    list
        The same rules.

    Raises
    ------
    InputError
        If settings differ, or the studies do not have the same shape.
    """
    first = rules[0]
    if any(repr(rule.get_params()) != repr(first.get_params()) for rule in rules):
        raise InputError("rules that are fitted together must have the same settings")
    ready = [rule._prepare(*study) for rule, study in zip(rules, studies, strict=True)]
    parts, held = zip(*ready, strict=True)
    shapes = {tuple(array.shape for array in part) for part in parts}
    if len(shapes) > 1:
        raise InputError(
            "studies that are fitted together must have as many people, covariates and"
            f" treatments; their shapes are {sorted(shapes)}"
        )
    networks = first._train(parts, held)
    for place, (rule, people) in enumerate(zip(rules, held, strict=True)):
        own = slice(place, place + 1)
        if isinstance(networks, dict):
            rule._finish({key: net[own] for key, net in networks.items()}, people)
        else:
            rule._finish(networks[own], people)
    return rules


def best_combination(effects, treatments):
    """Return the combinations with the largest sum of effects, (n, K).

    Parameters
    ----------
    effects : array of shape (n, K) or (n, K + K (K - 1) / 2)
        Effects of treatments, and then of pairs, as in
        :func:`sudlib.policy.outcome_weights.contrast_basis`.
    treatments : int
    """
    effects = np.asarray(effects)
    if effects.shape[1] == treatments:
        return _signs(effects)
    every = combinations(treatments, "int8")
    return every[(effects @ contrast_basis(every, 2)[:, 1:].T).argmax(axis=1)]
