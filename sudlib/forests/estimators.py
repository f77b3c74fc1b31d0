"""The forest, logistic regression and gradient boosting, with their grids."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from sudlib.encoding import IntegerCodes, NativeCategories, OneHotCodes
from sudlib.files import InputError
from sudlib.forests.published import published_grid, read_settings, scaled_grid
from sudlib.validation import check_choice

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

    n_jobs: int | None

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Return the forest, grown as scikit-learn grows it."""
        # Its threads all set Python's warning filters and put them back, side by side:
        # now and then none are left, and every later library's warnings fill the page.
        with warnings.catch_warnings():
            return super().fit(X, y, sample_weight)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the share of votes for each class, as scikit-learn does."""
        n_jobs, self.n_jobs = self.n_jobs, 1
        try:
            return super().predict_proba(X)
        finally:
            self.n_jobs = n_jobs


def estimator(recipe: str, *, seed: int = 33, n_jobs: int = -1) -> Pipeline:
    """Return the unfitted pipeline of a recipe: an encoder, then a model.

    Parameters
    ----------
    recipe : {"published", "repaired", "boosting", "logistic", "constant", "lightgbm"}
    seed : int, default=33
        Of the model.
    n_jobs : int, default=-1
        Cores for the trees of a forest.  Results do not depend on it.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``encode`` and ``model``.

    Raises
    ------
    InputError
        If there is no such recipe, or it cannot run here (see :func:`why_not`).

    Examples
    --------
    >>> list(estimator("logistic").named_steps)
    ['encode', 'model']
    """
    check_choice("recipe", recipe, [*RECIPES, *PEERS])
    if why_not(recipe):
        raise InputError(why_not(recipe))
    encoder: Any = NativeCategories()
    model: Any = SteadyForest(random_state=seed, n_jobs=n_jobs)
    if recipe == "published":
        encoder = IntegerCodes()
    elif recipe == "repaired":
        encoder = OneHotCodes(ordered="number")
    elif recipe == "logistic":
        encoder, model = OneHotCodes(), LogisticRegression(max_iter=2000)
    elif recipe == "constant":
        encoder, model = IntegerCodes(), DummyClassifier(strategy="prior")
    elif recipe == "boosting":
        model = HistGradientBoostingClassifier(
            categorical_features="from_dtype", early_stopping=False, random_state=seed
        )
    else:
        from lightgbm import LGBMClassifier

        # the same to the last digit on any number of cores
        steady: Any = {"n_jobs": 1, "deterministic": True, "force_row_wise": True}
        model = LGBMClassifier(random_state=seed, verbose=-1, **steady)
    return Pipeline([("encode", encoder), ("model", model)])


def why_not(recipe: str) -> str:
    """Return why a recipe cannot run on this machine; an empty text if it can.

    LightGBM needs the OpenMP library of the system, ``libgomp``, which a bare
    container may lack: then its row is left out, and the page says why.

    Parameters
    ----------
    recipe : str
        A key of :data:`RECIPES` or :data:`PEERS`.

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


def grid(recipe: str, trees: float = 1.0) -> dict[str, list[Any]]:
    """Return the settings that a recipe's search may try.

    Parameters
    ----------
    recipe : str
        A key of :data:`RECIPES` or :data:`PEERS`.
    trees : float, default=1.0
        Every number of a forest's trees is multiplied by this.

    Returns
    -------
    dict of str to list
        Empty for a recipe without settings.

    Examples
    --------
    >>> grid("constant")
    {}
    """
    if recipe == "published":
        return published_grid(trees)
    choices = read_settings().get(recipe, {})
    # LightGBM's trees are steps, not votes: fewer of them is another model.
    return choices if recipe == "lightgbm" else scaled_grid(choices, trees)
