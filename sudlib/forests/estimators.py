"""The forest, logistic regression and gradient boosting, with their grids."""

import warnings

from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from sudlib import encoding
from sudlib.files import InputError
from sudlib.forests.published import _scaled, _settings, published_grid

RECIPES = {
    "published": "forest, as published",
    "repaired": "forest, repaired",
    "boosting": "boosting",
    "logistic": "logistic regression",
    "constant": "everybody completes",
}


#: Recipes that later pages set beside these; :func:`why_not` says if one cannot run.
PEERS = {"lightgbm": "LightGBM"}


class SteadyForest(RandomForestClassifier):
    """scikit-learn's random forest, whose scores are the same to the last digit.

    It grows its trees side by side but adds up their votes one after another: added in
    whatever order the cores finish, the last digit changes from run to run, and with it
    what becomes of a score of one half.
    """

    def fit(self, X, y, sample_weight=None):
        """Return the forest, grown as scikit-learn grows it."""
        # Its threads all set Python's warning filters and put them back, side by side:
        # now and then none are left, and every later library's warnings fill the page.
        with warnings.catch_warnings():
            return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        """Return the share of votes for each class, as scikit-learn does."""
        n_jobs, self.n_jobs = self.n_jobs, 1
        try:
            return super().predict_proba(X)
        finally:
            self.n_jobs = n_jobs


def estimator(recipe, *, seed=33, n_jobs=-1):
    """Return the unfitted pipeline of a recipe: an encoder, then a model.

    Parameters
    ----------
    recipe : {"published", "repaired", "boosting", "logistic", "constant", "lightgbm"}
    seed : int, default=33
    n_jobs : int, default=-1
        Cores for the trees of a forest.  Results do not depend on it.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Raises
    ------
    InputError
        If there is no such recipe, or it cannot run here (see :func:`why_not`).
    """
    if recipe not in RECIPES and recipe not in PEERS:
        known = ", ".join([*RECIPES, *PEERS])
        raise InputError(f"recipe must be one of {known}, not {recipe!r}")
    if why_not(recipe):
        raise InputError(why_not(recipe))
    if recipe == "lightgbm":
        return Pipeline(
            [("encode", encoding.NativeCategories()), ("model", _lightgbm(seed))]
        )
    forest = SteadyForest(random_state=seed, n_jobs=n_jobs)
    steps = {
        "published": (encoding.IntegerCodes(), forest),
        "repaired": (encoding.OneHotCodes(ordered="number"), forest),
        "boosting": (
            encoding.NativeCategories(),
            HistGradientBoostingClassifier(
                categorical_features="from_dtype",
                early_stopping=False,
                random_state=seed,
            ),
        ),
        "logistic": (
            encoding.OneHotCodes(),
            LogisticRegression(max_iter=2000),
        ),
        "constant": (encoding.IntegerCodes(), DummyClassifier(strategy="prior")),
    }
    encoder, model = steps[recipe]
    return Pipeline([("encode", encoder), ("model", model)])


def why_not(recipe):
    """Return why a recipe cannot run on this machine; an empty text if it can.

    LightGBM needs the OpenMP library of the system, ``libgomp``, which a bare
    container may lack: then its row is left out, and the page says why.

    Parameters
    ----------
    recipe : str

    Returns
    -------
    str

    Examples
    --------
    >>> why_not("boosting")
    ''
    """
    if recipe != "lightgbm":
        return ""
    try:
        import lightgbm  # noqa: F401
    except ModuleNotFoundError:
        return "LightGBM is not installed: pip install lightgbm"
    except (ImportError, OSError) as error:
        return (
            f"LightGBM is installed but cannot be loaded ({error}); it needs the"
            " OpenMP library of the system (Debian and Ubuntu: apt-get install"
            " libgomp1)"
        )
    return ""


def _lightgbm(seed):
    """Return LightGBM, the same to the last digit on any number of cores."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


def size_of(choices):
    """Return how many combinations a grid has.

    Examples
    --------
    >>> size_of(published_grid())
    11880
    """
    return len(ParameterGrid(choices))


def grid(recipe, trees=1.0):
    """Return the settings that a recipe's search may try, as a dict of lists."""
    if recipe == "published":
        return published_grid(trees)
    if recipe == "lightgbm":  # its trees are steps, not votes: fewer is another model
        return dict(_settings()["lightgbm"])
    return _scaled(dict(_settings().get(recipe, {})), trees)
