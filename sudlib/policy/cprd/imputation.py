"""Multiple imputation of missing covariates by chained equations."""

from __future__ import annotations

import pandas as pd
from sklearn.utils.parallel import Parallel, delayed

from sudlib.files import InputError
from sudlib.policy.cprd.variables import cached_schema


def impute(
    covariates: pd.DataFrame, *, n_imputations: int = 5, seed: int = 33
) -> list[pd.DataFrame]:
    """Return the covariates completed several times by chained equations.

    Each missing value is drawn from the posterior of a Bayesian ridge regression on the
    other covariates (scikit-learn's ``IterativeImputer``), kept inside the schema's
    limits, and rounded where it is yes or no.  The outcome and the treatments are not
    used: a rule must work for a person who has neither.  On a cluster
    (:func:`sudlib.parallel.use`) the tables are completed side by side.

    Parameters
    ----------
    covariates : pandas.DataFrame
        With missing values.
    n_imputations : int, default=5
        Number of completed tables; the study used five.
    seed : int, default=33
        Seed of the first; each further one adds 1.

    Returns
    -------
    list of pandas.DataFrame
        Without missing values.

    Raises
    ------
    sudlib.files.InputError
        If a covariate is missing for everybody.

    References
    ----------
    van Buuren (2018), Flexible imputation of missing data.
    """
    nobody = [name for name in covariates if covariates[name].isna().all()]
    if nobody:
        raise InputError(
            f"the covariate {', '.join(nobody)} is missing for everybody: it cannot"
            " be imputed"
        )
    if not covariates.isna().to_numpy().any():
        return [covariates.copy() for _ in range(n_imputations)]
    rules = cached_schema().loc[list(covariates.columns)]
    each = delayed(_complete)
    return Parallel()(
        each(covariates, rules, seed + number) for number in range(n_imputations)
    )


def _complete(covariates: pd.DataFrame, rules: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the covariates completed once."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from threadpoolctl import threadpool_limits

    marks = rules.index[rules["kind"] == "yes-no"]
    imputer = IterativeImputer(
        sample_posterior=True,
        max_iter=5,
        min_value=rules["low"].to_numpy(),
        max_value=rules["high"].to_numpy(),
        random_state=seed,
    ).set_output(transform="pandas")
    # Many small fits: threads would only wait for each other.
    with threadpool_limits(1):
        values = imputer.fit_transform(covariates)
    values[marks] = values[marks].round()
    values.loc[values["smoker"] == 1, "ex_smoker"] = 0.0
    return values
