"""The models of study B: kernels, trees, forests and a small network (floor 3).

Everything is scikit-learn's and Keras's.  What stands here is which rows, balanced when
(:func:`splits`: before the split, as published, or inside it), and grids that do shared
work once: one matrix of dot products for all kernels, one forest for all its sizes,
many networks in one fit.
Taught in the notebooks *How well do kernels predict completion?* and *Do trees, forests
and networks do better?*.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sudlib import bias
from sudlib.balancing import SMOTEN
from sudlib.files import InputError

KERNELS = ("linear", "poly", "rbf", "sigmoid")

BALANCE = {
    "none": "classes as they are",
    "before": "SMOTEN on all rows, then split",
    "inside": "split, then SMOTEN on the training rows",
    "weights": "split, rare classes weigh more",
}
"""When classes are balanced; "before" lets made-up rows reach the test set."""

COSTS = (0.1, 1, 10, 100)
"""The values of C of section 6.5."""

OFFSET = -0.1
"""The study's r (section 11: "r = -0.1, gamma = scale")."""

PRINTED_C = {
    "COMPLETED": {"linear": 0.1, "poly": 10, "rbf": 10, "sigmoid": 1},
    "NOPRIOR": {"linear": 10, "poly": 1, "rbf": 10, "sigmoid": 1},
}
"""The optimal C of each kernel in the tables of sections 6.6 and 6.7."""

# Which parameters a kernel has.
_PARAMETERS = {
    "linear": (),
    "poly": ("gamma", "coef0", "degree"),
    "rbf": ("gamma",),
    "sigmoid": ("gamma", "coef0"),
}

TREE_GRID = {
    "max_depth": (None, 2, 4, 6, 8, 10),
    "min_samples_split": (2, 5, 10),
    "min_samples_leaf": (1, 2, 4),
}
"""Section 7.2."""

FOREST_GRID = {
    "n_estimators": (10, 50, 100, 200),
    "max_features": ("sqrt", "log2"),
    "max_depth": (None, 5, 10, 20),
    "min_samples_split": (2, 5, 10),
    "min_samples_leaf": (1, 2, 4),
}
"""Section 7.3; its third choice of features, "auto", meant "sqrt" and is gone."""

NETWORK_GRID = {
    "layer1": (8, 10, 20, 30),
    "layer2": (8, 10, 20, 30),
    "activation": ("relu", "tanh", "sigmoid"),
    "optimizer": ("adam", "sgd"),
    "loss": ("categorical_crossentropy", "mean_squared_error"),
}
"""Section 7.4."""

EPOCHS = 20


# ------------------------------------------------------------------------ splits


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge by.

    Attributes
    ----------
    X_train, X_test : numpy.ndarray of float
        Columns of 0 and 1, as the cohort's variant encodes them.
    y_train, y_test : numpy.ndarray of str
    groups_train, groups_test : pandas.DataFrame
        The nine bias variables of the same rows; of a made-up row, those it was
        given.
    made_up_train, made_up_test : numpy.ndarray of bool
        Which rows SMOTEN made up.
    rows_test : numpy.ndarray of int
        Row in the cohort; -1 for a made-up row.
    weighted : bool
        Whether rare classes weigh more.
    """

    X_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    groups_train: pd.DataFrame = field(repr=False)
    made_up_train: np.ndarray = field(repr=False)
    X_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    groups_test: pd.DataFrame = field(repr=False)
    made_up_test: np.ndarray = field(repr=False)
    rows_test: np.ndarray = field(repr=False)
    weighted: bool = False


def splits(cohort, balance="inside", *, folds=None, repeats=1, test_share=0.3, seed=33):
    """Return the splits of a cohort, balanced before, inside or not at all.

    Parameters
    ----------
    cohort : sudlib.bias.Cohort
    balance : {"none", "before", "inside", "weights"}
        See :data:`BALANCE`.  "before" is the study's way: a made-up row may stand in
        the test set, its parents in the training set.
    folds : int, optional
        Cross-validation in so many stratified folds; by default single splits.
    repeats : int, default=1
        How many single splits, or rounds of folds.
    test_share : float, default=0.3
        Of a single split.
    seed : int

    Returns
    -------
    list of Split
        Single splits are stratified unless the cohort is as published.

    Raises
    ------
    InputError
        If a class has fewer rows than there are folds, or the split leaves a class
        without a row to learn from.
    """
    if balance not in BALANCE:
        choices = ", ".join(f'"{name}"' for name in BALANCE)
        raise InputError(f"balance must be one of {choices}, not {balance!r}")
    smallest = cohort.y.value_counts()
    if folds and smallest.iloc[-1] < folds:
        raise InputError(
            f"class {smallest.index[-1]!r} has {smallest.iloc[-1]} rows, fewer than"
            f" the {folds} folds"
        )
    table, y = _table(cohort), cohort.y
    made = np.zeros(len(y), bool)
    if balance == "before":
        table, y = _balanced(table, y, seed)
        made = np.arange(len(y)) >= len(cohort)
    y = np.asarray(y)
    groups = _groups(table, cohort) if balance == "before" else cohort.groups
    found = []
    for train, test in _divide(y, cohort, folds, repeats, test_share, seed):
        part, label, own = table.iloc[train], y[train], made[train]
        groups_train = groups.iloc[train]
        if set(label) != set(y):
            raise InputError(
                f"class {sorted(set(y) - set(label))[0]!r} has no row to learn from in"
                " a split: too few people"
            )
        if balance == "inside":
            part, label = _balanced(part, label, seed)
            label = np.asarray(label)
            own = np.arange(len(label)) >= len(train)
            groups_train = _groups(part, cohort)
        found.append(
            Split(
                X_train=_encoded(part, cohort),
                y_train=label,
                groups_train=groups_train,
                made_up_train=own,
                X_test=_encoded(table.iloc[test], cohort),
                y_test=y[test],
                groups_test=groups.iloc[test],
                made_up_test=made[test],
                rows_test=np.where(test < len(cohort), test, -1),
                weighted=balance == "weights",
            )
        )
    return found


def _divide(y, cohort, folds, repeats, test_share, seed):
    """Yield the row numbers to learn from and to judge by."""
    for repeat in range(repeats):
        if folds:
            rounds = StratifiedKFold(folds, shuffle=True, random_state=seed + repeat)
            yield from rounds.split(np.zeros(len(y)), y)
        else:
            yield train_test_split(
                np.arange(len(y)),
                test_size=test_share,
                shuffle=True,
                random_state=seed + repeat,
                stratify=None if cohort.variant == "published" else y,
            )


def _table(cohort):
    """Return what SMOTEN is given: encoded columns as published, repaired the levels.

    On encoded columns it can set two levels of a variable at once, or none.
    """
    if cohort.variant == "published":
        return cohort.X
    return cohort.levels.apply(lambda column: column.cat.codes)


def _balanced(table, y, seed):
    return SMOTEN(random_state=seed, fewer_neighbours=True).fit_resample(table, y)


def _levels(table, cohort):
    """Return level codes as the cohort's categorical columns."""
    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(
                table[name].to_numpy(), dtype=cohort.levels[name].dtype
            )
            for name in table.columns
        },
        index=table.index,
    )


def _encoded(table, cohort):
    """Return the columns of 0 and 1 as floats."""
    if cohort.variant != "published":
        table = bias.one_hot(_levels(table, cohort))
    return table.to_numpy(float)


def _groups(table, cohort):
    """Return the nine bias variables of rows that may be made up."""
    found = {}
    for name in bias.VARIABLES:
        like = cohort.groups[name]
        if name not in cohort.levels:  # constant, hence no feature
            values = np.full(len(table), like.cat.categories[0], object)
        elif cohort.variant == "published":
            # One column a pair of groups: the first was dropped.
            second = f"{name}_{like.cat.categories[1]}"
            values = like.cat.categories.to_numpy()[table[second].to_numpy()]
        else:
            values = cohort.levels[name].cat.categories.to_numpy()[
                table[name].to_numpy()
            ]
        found[name] = pd.Categorical(
            np.where(np.isin(values, like.cat.categories), values, None),
            categories=like.cat.categories,
        )
    return pd.DataFrame(found, index=table.index)


# ----------------------------------------------------------- support vector machines


def svm_candidates(
    kernels=KERNELS, C=COSTS, gamma=("scale",), coef0=(OFFSET,), degree=(3,)
):
    """Return the settings of a grid; a kernel varies only the parameters it has.

    Examples
    --------
    >>> [len(svm_candidates([kernel], degree=(2, 3))) for kernel in KERNELS]
    [4, 8, 4, 4]
    """
    values = {"gamma": gamma, "coef0": coef0, "degree": degree}
    found = []
    for kernel in kernels:
        if kernel not in _PARAMETERS:
            raise InputError(
                f"a kernel must be one of {', '.join(KERNELS)}, not {kernel!r}"
            )
        own = _PARAMETERS[kernel]
        for setting in itertools.product(*(values[name] for name in own)):
            found += [
                {"kernel": kernel, "C": cost, **dict(zip(own, setting, strict=True))}
                for cost in C
            ]
    return found


def gram(dots, left, right, *, kernel, gamma=1.0, coef0=0.0, degree=3):
    """Return a kernel's values from dot products, scikit-learn's formulas.

    Parameters
    ----------
    dots : numpy.ndarray of shape (n, m)
        Dot products of two sets of rows.
    left, right : numpy.ndarray of shape (n,) and (m,)
        Dot products of each row with itself.
    kernel : {"linear", "poly", "rbf", "sigmoid"}
    gamma, coef0 : float
    degree : int

    Returns
    -------
    numpy.ndarray of shape (n, m)
    """
    if kernel == "linear":
        return dots
    if kernel == "rbf":
        return np.exp(-gamma * (left[:, None] + right[None, :] - 2 * dots))
    raised = gamma * dots + coef0
    return np.tanh(raised) if kernel == "sigmoid" else raised**degree


def scale(X):
    """Return what gamma="scale" means for these rows: 1 / (columns · variance)."""
    variance = X.var()
    return 1.0 / (X.shape[1] * variance) if variance else 1.0


def svm_grid(split, candidates, *, sample_weight=None, seed=None, n_jobs=2):
    """Return the predictions of every setting of a grid for a split's test rows.

    The dot products are worked out once; each kernel is a function of them, and all
    values of C share one kernel matrix.  The machine itself is scikit-learn's ``SVC``,
    so the predictions are those of ``SVC`` on the rows.

    Parameters
    ----------
    split : Split
    candidates : list of dict
        From :func:`svm_candidates`.
    sample_weight : array-like, optional
        Of the training rows.
    seed : int, optional
        For the other grids; a support vector machine draws nothing.
    n_jobs : int, default=2
        Threads.

    Returns
    -------
    numpy.ndarray of str, shape (settings, test rows)

    Notes
    -----
    scikit-learn-intelex's SVC is not used: on 2,500 rows of 80 columns it takes as much
    CPU time as scikit-learn's, and predicts other classes in 12 of 60 settings, most of
    them with the sigmoid and the polynomial kernel
    (``tests/benchmarks/bench_kernels.py`` compares the two where it is installed).
    """
    if not candidates:
        raise InputError("the grid has no settings")
    train, test = split.X_train, split.X_test
    within, across = train @ train.T, test @ train.T
    own = np.diag(within)
    theirs = np.einsum("ij,ij->i", test, test)
    shared = {}
    for place, setting in enumerate(candidates):
        kernel = tuple(sorted((k, v) for k, v in setting.items() if k != "C"))
        shared.setdefault(kernel, []).append((place, setting["C"]))
    weights = "balanced" if split.weighted else None

    def run(setting, costs):
        setting = dict(setting)
        if setting.get("gamma") == "scale":
            setting["gamma"] = scale(train)
        matrix = gram(within, own, own, **setting)
        rows = gram(across, theirs, own, **setting)
        found = []
        for place, cost in costs:
            machine = SVC(
                kernel="precomputed", C=cost, class_weight=weights, cache_size=500
            ).fit(matrix, split.y_train, sample_weight=sample_weight)
            found.append((place, machine.predict(rows)))
        return found

    # The slowest first: the linear kernel with a large C.
    done = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(run)(setting, costs) for setting, costs in shared.items()
    )
    found = np.empty((len(candidates), len(test)), split.y_train.dtype)
    for place, predicted in itertools.chain.from_iterable(done):
        found[place] = predicted
    return found


# -------------------------------------------------------------- trees and forests


def settings(grid):
    """Return every combination of a grid's values, as a list of dicts.

    Examples
    --------
    >>> [len(settings(grid)) for grid in (TREE_GRID, FOREST_GRID, NETWORK_GRID)]
    [54, 288, 192]
    """
    return [
        dict(zip(grid, values, strict=True))
        for values in itertools.product(*grid.values())
    ]


def tree_grid(split, candidates, *, sample_weight=None, seed=33, n_jobs=2):
    """Return the predictions of every decision tree of a grid (section 7.2).

    Parameters and result as in :func:`svm_grid`.
    """
    weights = "balanced" if split.weighted else None

    def run(setting):
        tree = DecisionTreeClassifier(
            random_state=seed, class_weight=weights, **setting
        )
        tree.fit(split.X_train, split.y_train, sample_weight=sample_weight)
        return tree.predict(split.X_test)

    return np.array(
        Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(run)(setting) for setting in candidates
        )
    )


def forest_grid(split, candidates, *, sample_weight=None, seed=33, n_jobs=2):
    """Return the predictions of every random forest of a grid (section 7.3).

    A forest of 200 trees begins with the trees that a forest of 10 with the same seed
    has: the largest is grown, the smaller ones are read off it.  Parameters and
    result as in :func:`svm_grid`.
    """
    shared = {}
    for place, setting in enumerate(candidates):
        rest = tuple(sorted((k, str(v)) for k, v in setting.items() if k[:2] != "n_"))
        shared.setdefault(rest, []).append(place)
    found = np.empty((len(candidates), len(split.y_test)), split.y_train.dtype)
    for places in shared.values():
        sizes = {place: candidates[place].get("n_estimators", 100) for place in places}
        forest = RandomForestClassifier(
            **{**candidates[places[0]], "n_estimators": max(sizes.values())},
            class_weight="balanced" if split.weighted else None,
            random_state=seed,
            n_jobs=n_jobs,
        ).fit(split.X_train, split.y_train, sample_weight=sample_weight)
        votes = np.zeros((len(split.y_test), len(forest.classes_)))
        rows = split.X_test.astype(np.float32)
        for grown, tree in enumerate(forest.estimators_, start=1):
            votes += tree.predict_proba(rows, check_input=False)
            for place in places:
                if sizes[place] == grown:
                    found[place] = forest.classes_[np.argmax(votes / grown, axis=1)]
    return found


# ----------------------------------------------------------------------- networks


def network(columns, classes, *, layer1, layer2, activation, optimizer, loss):
    """Return the study's network, compiled: two hidden layers, one score a class.

    Parameters
    ----------
    columns, classes : int
    layer1, layer2 : int
        Units.
    activation : {"relu", "tanh", "sigmoid"}
    optimizer : {"adam", "sgd"}
    loss : {"categorical_crossentropy", "mean_squared_error"}

    Returns
    -------
    keras.Model
    """
    import keras

    model = keras.Sequential(
        [
            keras.Input((columns,)),
            keras.layers.Dense(layer1, activation=activation),
            keras.layers.Dense(layer2, activation=activation),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(optimizer=optimizer, loss=loss)
    return model


def first_weights(columns, classes, setting, seed):
    """Return the weights a network begins with: Glorot's uniform ones, no bias.

    They depend on the seed and the setting alone, not on the grid it stands in.

    Returns
    -------
    list of numpy.ndarray
        As ``keras.Model.set_weights`` takes them.
    """
    sizes = (columns, setting["layer1"], setting["layer2"], classes)
    random = np.random.default_rng([seed, *sizes])
    found = []
    for left, right in itertools.pairwise(sizes):
        limit = np.sqrt(6 / (left + right))
        found.append(random.uniform(-limit, limit, (left, right)).astype(np.float32))
        found.append(np.zeros(right, np.float32))
    return found


def side_by_side(columns, classes, candidates, seed):
    """Return one Keras model that holds many of the study's networks, uncompiled.

    They share nothing, so the gradient of the sum of their losses is each network's
    own: training them together is training each alone, in one pass over the data.
    Smaller layers are padded with units that always give 0.

    Parameters
    ----------
    columns, classes : int
    candidates : list of dict
        Settings with the same optimizer and loss, sorted by activation.
    seed : int

    Returns
    -------
    keras.Model
        Its output has shape (rows, networks, classes).
    """
    import keras

    widest = [
        max(setting[name] for setting in candidates) for name in ("layer1", "layer2")
    ]
    sizes = (columns, *widest, classes)
    starts = [first_weights(columns, classes, s, seed) for s in candidates]
    names = [setting["activation"] for setting in candidates]
    runs = [(name, len(list(run))) for name, run in itertools.groupby(names)]

    class Layer(keras.layers.Layer):
        """One layer of every network."""

        def __init__(self, depth):
            super().__init__()
            left, right = sizes[depth : depth + 2]
            kernel = np.zeros((len(candidates), left, right), np.float32)
            real = np.zeros((len(candidates), right), np.float32)
            for place, start in enumerate(starts):
                rows, units = start[2 * depth].shape
                kernel[place, :rows, :units] = start[2 * depth]
                real[place, :units] = 1
            self.depth, self.real = depth, real
            self.kernel = self.add_weight(shape=kernel.shape, name="kernel")
            self.bias = self.add_weight(
                shape=real.shape, initializer="zeros", name="bias"
            )
            self.kernel.assign(kernel)
            self.built = True

        def call(self, inputs):
            form = "bl,nlr->bnr" if self.depth == 0 else "bnl,nlr->bnr"
            value = keras.ops.einsum(form, inputs, self.kernel) + self.bias
            if self.depth == 2:
                return keras.ops.softmax(value)
            parts, begin = [], 0
            for name, length in runs:
                bend = keras.activations.get(name)
                parts.append(bend(value[:, begin : begin + length]))
                begin += length
            return keras.ops.concatenate(parts, axis=1) * self.real

    inputs = keras.Input((columns,))
    return keras.Model(inputs, Layer(2)(Layer(1)(Layer(0)(inputs))))


def summed_loss(name):
    """Return Keras's loss of that name, summed over networks that lie side by side."""
    import keras

    alone = keras.losses.get(name)

    def loss(truth, scores):
        truth = keras.ops.broadcast_to(truth[:, None, :], keras.ops.shape(scores))
        return keras.ops.sum(alone(truth, scores), axis=-1)

    return loss


def network_grid(
    split, candidates, *, sample_weight=None, seed=33, epochs=EPOCHS, n_jobs=None
):
    """Return the predictions of every network of a grid (section 7.4).

    Networks with the same optimizer and loss are trained side by side, in one fit
    (:func:`side_by_side`): the 192 of the study's grid in four.  Parameters and
    result as in :func:`svm_grid`; ``epochs`` as printed, batches of 32, ``n_jobs`` is
    Keras's own affair.
    """
    import keras

    labels, code = np.unique(split.y_train, return_inverse=True)
    wanted = np.eye(len(labels), dtype=np.float32)[code]
    weights = None if sample_weight is None else np.asarray(sample_weight, np.float32)
    if split.weighted:
        rare = len(code) / (len(labels) * np.bincount(code))
        weights = (1 if weights is None else weights) * rare[code].astype(np.float32)
    train, test = (X.astype(np.float32) for X in (split.X_train, split.X_test))
    found = np.empty((len(candidates), len(test)), labels.dtype)
    order = sorted(
        range(len(candidates)),
        key=lambda place: [
            candidates[place][name] for name in ("optimizer", "loss", "activation")
        ],
    )
    for (optimizer, loss), places in itertools.groupby(
        order, lambda place: [candidates[place][name] for name in ("optimizer", "loss")]
    ):
        places = list(places)
        together = [candidates[place] for place in places]
        model = side_by_side(train.shape[1], len(labels), together, seed)
        model.compile(optimizer=optimizer, loss=summed_loss(loss))
        keras.utils.set_random_seed(seed)  # the order of the batches
        model.fit(
            train,
            wanted,
            epochs=epochs,
            batch_size=32,
            sample_weight=weights,
            verbose=0,
        )
        scores = keras.ops.convert_to_numpy(model(test, training=False))
        found[places] = labels[np.argmax(scores, axis=2)].T
    return found


GRIDS = {
    "svm": svm_grid,
    "tree": tree_grid,
    "forest": forest_grid,
    "network": network_grid,
}


# ------------------------------------------------------------ choosing, predicting


def cross_validate(method, cohort, candidates, *, balance="inside", folds=5, **more):
    """Return a grid's out-of-fold scores.

    Parameters
    ----------
    method : {"svm", "tree", "forest", "network"}
    cohort : sudlib.bias.Cohort
    candidates : list of dict
    balance : str
    folds : int
    **more
        ``seed``, ``n_jobs`` …

    Returns
    -------
    pandas.DataFrame
        One row a setting, in the order of the candidates: its parameters, then
        ``accuracy``, ``balanced_accuracy`` and ``mcc`` over all test rows.
    """
    parts = splits(cohort, balance, folds=folds, seed=more.get("seed", 33))
    return grid_scores(method, parts, candidates, **more)


def grid_scores(method, parts, candidates, **more):
    """Return the scores of a grid over the test rows of some splits, pooled.

    Parameters and result as in :func:`cross_validate`, but for ``parts``, a list of
    :class:`Split`.
    """
    grid = _grid(method)
    predicted = np.hstack([grid(part, candidates, **more) for part in parts])
    truth = np.concatenate([part.y_test for part in parts])
    table = pd.DataFrame(candidates)
    scored = pd.DataFrame([measures(truth, row) for row in predicted])
    return pd.concat([table, scored], axis=1)


def _grid(method):
    if method not in GRIDS:
        raise InputError(f"method must be one of {', '.join(GRIDS)}, not {method!r}")
    return GRIDS[method]


def nested(
    method,
    cohort,
    candidates,
    *,
    balance="inside",
    repeats=5,
    inner=3,
    by="balanced_accuracy",
    seed=33,
    **more,
):
    """Return predictions of settings that were chosen without the rows they predict.

    For each of several stratified 70/30 splits the grid is cross-validated inside the
    training rows, the best setting fitted on them, and the test rows predicted once.

    Parameters
    ----------
    method, cohort, candidates, balance
        As in :func:`cross_validate`.
    repeats : int, default=5
        Splits.
    inner : int, default=3
        Folds inside the training rows.
    by : str, default="balanced_accuracy"
        The score that chooses.
    seed : int
    **more
        Passed to the grid.

    Returns
    -------
    pandas.DataFrame
        One row a split: the chosen setting, ``inner`` (its score inside),
        ``accuracy``, ``balanced_accuracy``, ``mcc``, ``n`` and ``matrix``.
    """
    found = []
    for repeat in range(repeats):
        [part] = splits(cohort, balance, seed=seed + repeat)
        best, inside = 0, np.nan
        if len(candidates) > 1:  # nothing to choose from one
            known = np.setdiff1d(np.arange(len(cohort)), part.rows_test)
            table = cross_validate(
                method,
                bias.subset(cohort, known),
                candidates,
                balance=balance,
                folds=inner,
                seed=seed + repeat,
                **more,
            )
            best = int(table[by].to_numpy().argmax())
            inside = table[by][best]
        [predicted] = _grid(method)(part, [candidates[best]], seed=seed, **more)
        found.append(
            {
                **candidates[best],
                "inner": inside,
                **measures(part.y_test, predicted),
                "n": len(predicted),
                "matrix": confusion(part.y_test, predicted, cohort.classes).tolist(),
            }
        )
    return pd.DataFrame(found)


def tuned(method, cohort, candidates, *, balance="none", inner=3, seed=33, **more):
    """Return a grid search and the test predictions of its winner, as published.

    One 70/30 split; the grid is scored by accuracy inside the training rows, in
    ``inner`` folds (1: on one split of them); the best is fitted on all of them.

    Parameters
    ----------
    method, cohort, candidates, balance
        As in :func:`cross_validate`.
    inner : int, default=3
    seed : int
    **more
        Passed to the grid.

    Returns
    -------
    setting : dict
        The winner.
    part : Split
    predicted : numpy.ndarray of str
    table : pandas.DataFrame
        Every setting's scores inside the training rows.
    """
    [part] = splits(cohort, balance, seed=seed)
    training = bias.subset(cohort, np.setdiff1d(np.arange(len(cohort)), part.rows_test))
    folds = inner if inner > 1 else None
    inside = splits(training, balance, folds=folds, seed=seed)
    table = grid_scores(method, inside, candidates, seed=seed, **more)
    setting = candidates[int(table["accuracy"].to_numpy().argmax())]
    [predicted] = _grid(method)(part, [setting], seed=seed, **more)
    return setting, part, predicted, table


def report(truth, predicted, classes):
    """Return precision, recall, F1 and support of each class, NaN where undefined.

    Parameters
    ----------
    truth, predicted : array-like of str
    classes : list of str

    Returns
    -------
    pandas.DataFrame
        Indexed by class.
    """
    matrix = confusion(truth, predicted, classes)
    right, true, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return pd.DataFrame(
            {
                "precision": right / said,
                "recall": right / true,
                "f1": np.where(true > 0, 2 * right / (true + said), np.nan),
                "support": true,
            },
            index=pd.Index(classes, name="class"),
        )


@dataclass(frozen=True)
class Predictions:
    """Predictions of several models for the same people, with their groups.

    Attributes
    ----------
    y : pandas.Series of str
        True classes.
    predicted : pandas.DataFrame of str
        One column a model, the same rows.
    groups : pandas.DataFrame
        The nine bias variables of the same rows; NaN where not recorded.
    made_up : numpy.ndarray of bool
        Which rows SMOTEN made up: some, when it ran before the split.
    classes : list of str
    synthetic : bool
        Whether the people themselves are made up (the twin).
    """

    y: pd.Series
    predicted: pd.DataFrame
    groups: pd.DataFrame
    made_up: np.ndarray
    classes: list
    synthetic: bool

    def __len__(self):
        return len(self.y)


def printed_models(target):
    """Return the study's support vector machines: each kernel with its optimal C.

    Returns
    -------
    dict of str to (str, dict)
        Name, then method and setting, as :func:`predictions` takes them.
    """
    costs = PRINTED_C["COMPLETED" if target == "COMPLETED" else "NOPRIOR"]
    return {
        kernel: ("svm", svm_candidates([kernel], C=[costs[kernel]])[0])
        for kernel in KERNELS
    }


TREES = {
    "tree": ("tree", {}),
    "forest": ("forest", {"n_estimators": 100}),
}
"""A decision tree and a forest with scikit-learn's defaults, as models."""


def predictions(
    cohort, models=None, *, balance=None, folds=None, reweigh=None, seed=33, n_jobs=2
):
    """Return what the study's models predict, with everybody's groups.

    Parameters
    ----------
    cohort : sudlib.bias.Cohort
    models : dict of str to (str, dict), optional
        Name, then method ("svm", "tree", "forest", "network") and setting; by default
        :func:`printed_models`.
    balance : str, optional
        As in :func:`splits`; by default "before" for a cohort as published, "inside"
        for a repaired one.
    folds : int, optional
        By default one 70/30 split as published; 5 folds repaired, so that everybody
        is predicted once by models that never saw them.
    reweigh : callable, optional
        From the groups and classes of the training rows to their weights.
    seed : int
    n_jobs : int, default=2

    Returns
    -------
    Predictions
    """
    published = cohort.variant == "published"
    models = printed_models(cohort.target) if models is None else models
    balance = balance or ("before" if published else "inside")
    folds = folds if folds or published else 5
    parts = splits(cohort, balance, folds=folds, seed=seed)
    columns = {name: [] for name in models}
    for part in parts:
        weight = None
        if reweigh is not None:
            weight = np.asarray(reweigh(part.groups_train, part.y_train), float)
        for name, (method, setting) in models.items():
            [predicted] = _grid(method)(
                part, [setting], sample_weight=weight, seed=seed, n_jobs=n_jobs
            )
            columns[name].append(predicted)
    return Predictions(
        y=pd.Series(
            np.concatenate([part.y_test for part in parts]), name=cohort.target
        ),
        predicted=pd.DataFrame(
            {name: np.concatenate(found) for name, found in columns.items()}
        ),
        groups=pd.concat([part.groups_test for part in parts], ignore_index=True),
        made_up=np.concatenate([part.made_up_test for part in parts]),
        classes=cohort.classes,
        synthetic=cohort.synthetic,
    )


# ------------------------------------------------------------------------- scores


def confusion(truth, predicted, classes):
    """Return the confusion matrix: rows true, columns predicted, in this order."""
    place = {label: index for index, label in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), int)
    try:
        rows = [place[label] for label in truth]
        columns = [place[label] for label in predicted]
    except KeyError as error:
        raise InputError(
            f"{error.args[0]!r} is not among the classes {', '.join(map(str, classes))}"
        ) from None
    np.add.at(matrix, (rows, columns), 1)
    return matrix


def from_confusion(matrices):
    """Return accuracy, balanced accuracy and Matthews correlation of matrices.

    Parameters
    ----------
    matrices : array-like of shape (..., classes, classes)

    Returns
    -------
    dict of str to numpy.ndarray
        Balanced accuracy is over the classes that occur; the correlation is NaN where
        one class takes all rows or all predictions.
    """
    matrices = np.asarray(matrices, float)
    total = matrices.sum(axis=(-2, -1))
    true, said = matrices.sum(axis=-1), matrices.sum(axis=-2)
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / true
        balanced = np.where(true > 0, recall, 0).sum(axis=-1) / (true > 0).sum(axis=-1)
        top = right.sum(axis=-1) * total - (true * said).sum(axis=-1)
        bottom = (total**2 - (said**2).sum(axis=-1)) * (
            total**2 - (true**2).sum(axis=-1)
        )
        return {
            "accuracy": right.sum(axis=-1) / total,
            "balanced_accuracy": balanced,
            "mcc": np.where(bottom > 0, top / np.sqrt(bottom), np.nan),
        }


def measures(truth, predicted, *, draws=0, seed=33):
    """Return accuracy, balanced accuracy and MCC, with intervals when asked.

    Parameters
    ----------
    truth, predicted : array-like of str
    draws : int, default=0
        Bootstrap draws of the rows; with some, ``accuracy_low`` and so on are the
        ends of 95 % intervals.
    seed : int

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> measures(["a", "a", "b", "b"], ["a", "a", "b", "a"])["accuracy"]
    0.75
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or truth.ndim != 1 or not len(truth):
        raise InputError(
            "truth and predicted must be two columns of the same length, at least 1,"
            f" not of shapes {truth.shape} and {predicted.shape}"
        )
    classes, code = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    k = len(classes)
    cells = code[: len(truth)] * k + code[len(truth) :]
    counts = np.bincount(cells, minlength=k * k)
    found = {
        name: float(value)
        for name, value in from_confusion(counts.reshape(k, k)).items()
    }
    if draws:
        # Drawing rows with replacement is drawing the cells of the matrix.
        drawn = np.random.default_rng(seed).multinomial(
            len(truth), counts / len(truth), draws
        )
        for name, values in from_confusion(drawn.reshape(draws, k, k)).items():
            known = values[~np.isnan(values)]
            low, high = (
                np.percentile(known, [2.5, 97.5]) if len(known) else [np.nan] * 2
            )
            found[f"{name}_low"], found[f"{name}_high"] = float(low), float(high)
    return found


def over_splits(values, test_share=0.3):
    """Return the mean of a score over random splits, with its 95 % interval.

    Random splits share rows, so their spread alone promises too much; the variance
    is corrected for it.

    Parameters
    ----------
    values : array-like of float
        One score a split.
    test_share : float, default=0.3

    Returns
    -------
    value, low, high : float
        The ends are NaN for a single split.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error.

    Examples
    --------
    >>> [round(end, 3) for end in over_splits([0.60, 0.62, 0.61, 0.59, 0.63])]
    [0.61, 0.575, 0.645]
    """
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, np.nan, np.nan
    variance = values.var(ddof=1) * (1 / len(values) + test_share / (1 - test_share))
    reach = float(stats.t.ppf(0.975, len(values) - 1) * np.sqrt(variance))
    return mean, mean - reach, mean + reach
