import builtins
import json
import os
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import (
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
    train_test_split,
)

from sudlib import book, encoding, forests, scores, twin
from sudlib.files import InputError
from sudlib.forests import estimators
from sudlib.teds import cohorts

SHARED = Path(
    os.environ.get("SUDLIB_SHARED", Path(__file__).parent.parent.parent / "shared")
)
TINY = {"trees": 0.02, "n_candidates": 3}


@pytest.fixture(scope="module")
def people():
    """Features of the twin, with a completion that is easy to learn."""
    records = cohorts.general(twin.sample(2018, 9000, seed=5))
    features, _ = encoding.features(records)
    random = np.random.default_rng(2)
    weight = (
        2 * (features["SUB1"] == 4)
        - 2 * (features["PSOURCE"] == 7)
        + 2 * (features["EMPLOY"] == 1)
        - 0.6
    )
    completed = random.random(len(features)) < 1 / (1 + np.exp(-weight))
    return features, completed.to_numpy()


def learn(recipe, people, parts=None, **keywords):
    features, completed = people
    keywords = {"choose": scores.best_threshold, **TINY, **keywords}
    parts = parts or forests.split_general(completed)
    return forests.learn(recipe, features, completed, parts, **keywords)


def drawn_as_the_study_drew():
    return list(ParameterSampler(forests.published_grid(), 10, random_state=33))


def test_the_printed_winner_is_among_the_ten_that_the_seed_draws():
    """Grid, order and seed are the study's: chance would be about 1 in 1,200."""
    drawn = drawn_as_the_study_drew()
    assert len(drawn) == 10
    assert forests.published_best() in drawn
    total = len(ParameterGrid(forests.published_grid()))
    assert total == 2 * 11 * 2 * 3 * 3 * 6 * 5


def test_sqrt_for_auto_draws_what_auto_would_have_drawn():
    grid = forests.published_grid()
    old = {**grid, "max_features": ["auto", "sqrt"]}
    before = list(ParameterSampler(old, 10, random_state=33))
    for now, then in zip(drawn_as_the_study_drew(), before, strict=True):
        assert now == {**then, "max_features": "sqrt"}
    assert {then["max_features"] for then in before} == {"auto", "sqrt"}


def test_the_grid_is_the_one_the_study_prints():
    path = SHARED / "published" / "study_a_published.json"
    if not path.exists():
        pytest.skip(f"the study's published facts are not at hand: {path}")
    printed = json.loads(path.read_text(encoding="utf-8"))["forest"]
    ours = json.loads(
        (Path(__file__).parent.parent / "data/study_a/forest_grid.json").read_text()
    )["published"]
    assert ours["grid"] == printed["grid"]
    best = dict(printed["best_methadone"])
    assert best.pop("cv_score") == ours["best_methadone_cv_score"]
    assert best == ours["best_methadone"]


def test_parts_have_the_sizes_the_study_prints():
    completed = np.arange(622_821) % 3 == 0
    parts = forests.split_general(completed)
    assert [len(parts.study), len(parts.threshold), len(parts.report)] == [
        435_974,
        93_423,
        93_424,
    ]
    parts = forests.split_methadone(np.arange(167_301) % 5 == 0)
    assert [len(parts.study), len(parts.report)] == [8_365, 8_366]
    assert len(parts.fit) + len(parts.threshold) == 8_365


def test_parts_are_the_rows_of_the_studys_own_lines():
    rows = np.arange(5000)
    completed = rows % 3 == 0
    first, second = train_test_split(rows, test_size=0.30, random_state=33)
    _, report = train_test_split(second, test_size=0.50, random_state=33)
    parts = forests.split_general(completed)
    np.testing.assert_array_equal(parts.study, first)
    np.testing.assert_array_equal(parts.report, report)
    rows = np.arange(200_000)
    _, tenth = train_test_split(rows, test_size=0.10, random_state=33)
    study, report = train_test_split(tenth, test_size=0.50, random_state=33)
    parts = forests.split_methadone(rows % 3 == 0)
    np.testing.assert_array_equal(parts.study, study)
    np.testing.assert_array_equal(parts.report, report)


@pytest.mark.parametrize("split", [forests.split_general, forests.split_methadone])
@pytest.mark.parametrize("people", [300, 20_000, 190_000])
def test_tuning_threshold_and_report_share_nobody(split, people):
    parts = split(np.arange(people) % 3 == 0)
    joined = np.concatenate([parts.fit, parts.threshold, parts.report])
    assert len(np.unique(joined)) == len(joined)
    assert not set(parts.study) & set(parts.report)
    assert set(parts.fit) <= set(parts.study)
    assert parts.table["people"].tolist()[-1] == len(parts.report)


def test_few_people_in_methadone_treatment_are_all_taken():
    parts = forests.split_methadone(np.arange(9_000) % 4 == 0)
    assert len(parts.study) + len(parts.report) == 9_000
    parts = forests.split_methadone(np.arange(60_000) % 4 == 0)
    assert len(parts.study) + len(parts.report) == 16_731


def test_published_is_plain_scikit_learn_on_the_codes(people):
    """The study's few lines, written out, give the same forest and predictions."""
    features, completed = people
    completed = completed.astype(int)
    arm = learn("published", people)
    train, rest = train_test_split(features, test_size=0.30, random_state=33)
    y_train, y_rest = train_test_split(completed, test_size=0.30, random_state=33)
    _, x_val = train_test_split(rest, test_size=0.50, random_state=33)
    _, y_val = train_test_split(y_rest, test_size=0.50, random_state=33)
    search = RandomizedSearchCV(
        RandomForestClassifier(random_state=33),
        forests.published_grid(0.02),
        n_iter=3,
        cv=3,
        scoring=make_scorer(fbeta_score, beta=0.5, zero_division=0),
        random_state=33,
    ).fit(train, y_train)
    assert arm.settings == search.best_params_
    assert arm.search["mean"].max() == search.best_score_
    np.testing.assert_array_equal(arm.completed, y_val)
    np.testing.assert_array_equal(arm.score, search.predict_proba(x_val)[:, 1])
    np.testing.assert_array_equal(
        arm.score >= arm.threshold, search.predict(x_val) == 1
    )


def test_a_search_that_was_stopped_goes_on_with_the_candidates_it_lacks(
    people, tmp_path, monkeypatch
):
    plain, fitted = learn("published", people), []
    fit = estimators.SteadyForest.fit

    def stopped_at(number):
        def fit_or_stop(self, X, y, sample_weight=None):
            if len(fitted) == number:
                raise KeyboardInterrupt
            fitted.append(len(y))
            return fit(self, X, y, sample_weight)

        return fit_or_stop

    memory = joblib.Memory(tmp_path, verbose=0)
    monkeypatch.setattr(estimators.SteadyForest, "fit", stopped_at(7))  # in the third
    with pytest.raises(KeyboardInterrupt):
        learn("published", people, memory=memory)
    fitted.clear()
    monkeypatch.setattr(estimators.SteadyForest, "fit", stopped_at(-1))
    arm = learn("published", people, memory=memory)
    assert len(fitted) == 3 + 1, "three folds of the third, and the winner"
    np.testing.assert_array_equal(arm.score, plain.score)
    assert arm.settings == plain.settings and arm.search.equals(plain.search)
    again = learn("published", people, memory=memory)
    assert len(fitted) == 4 and again.settings == plain.settings


@pytest.mark.parametrize("recipe", list(forests.RECIPES))
def test_rows_to_report_teach_nothing(recipe, people):
    """Turn their outcomes round: neither scores nor threshold may move."""
    features, completed = people
    parts = forests.split_general(completed)
    turned = completed.copy()
    turned[parts.report] = ~turned[parts.report]
    settings = {} if recipe in ("boosting", "logistic", "constant") else None
    before = learn(recipe, people, parts, settings=settings)
    after = learn(recipe, (features, turned), parts, settings=settings)
    np.testing.assert_array_equal(before.score, after.score)
    assert before.threshold == after.threshold
    assert (before.completed != after.completed).all()


def test_rows_of_the_threshold_choose_the_threshold_and_nothing_else(people):
    features, completed = people
    parts = forests.split_general(completed)
    turned = completed.copy()
    turned[parts.threshold] = ~turned[parts.threshold]
    before = learn("repaired", people, parts)
    after = learn("repaired", (features, turned), parts)
    np.testing.assert_array_equal(before.score, after.score)
    assert before.threshold != after.threshold
    seen = []

    def choose(truth, score):
        seen.append((truth, score))
        return 0.3

    arm = learn("repaired", people, parts, choose=choose, settings={"max_depth": 3})
    assert arm.threshold == 0.3
    np.testing.assert_array_equal(seen[0][0], completed[parts.threshold])
    np.testing.assert_array_equal(seen[0][1], arm.spare)
    assert len(seen) == 1 and len(seen[0][1]) == len(parts.threshold)


def test_results_do_not_depend_on_the_number_of_cores(people):
    settings = {"n_estimators": 12}
    one, two = (
        learn("repaired", people, settings=settings, n_jobs=n_jobs) for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.score, two.score)


def test_growing_side_by_side_leaves_the_warning_filters_as_they_were(people):
    before = list(warnings.filters)
    for _ in range(5):
        learn("repaired", people, settings={"n_estimators": 20}, n_jobs=4)
    assert list(warnings.filters) == before


def test_settings_found_before_are_not_searched_again(people):
    first = learn("published", people)
    again = learn("published", people, settings=first.settings)
    assert again.search is None
    np.testing.assert_array_equal(first.score, again.score)
    other = learn("published", people, settings=first.settings, seed=1)
    assert not np.array_equal(first.score, other.score)


@pytest.mark.parametrize("recipe", ["published", "repaired", "boosting", "logistic"])
def test_every_recipe_learns_what_there_is_to_learn(recipe, people):
    arm = learn(recipe, people, trees=0.05, n_candidates=1, n_jobs=1)
    kept = scores.evaluate(
        arm.completed, arm.score, threshold=arm.threshold, n_resamples=200, band=False
    )
    assert kept.estimates["average_precision"].low > arm.completed.mean() + 0.1
    assert kept.estimates["balanced_accuracy"].low > 0.55


def test_the_constant_says_that_everybody_completes(people):
    arm = learn("constant", people)
    kept = scores.evaluate(
        arm.completed, arm.score, threshold=arm.threshold, n_resamples=0
    )
    assert kept.estimates["recall"].value == 1
    assert kept.estimates["precision"].value == pytest.approx(arm.completed.mean())
    assert kept.estimates["average_precision"].value == pytest.approx(
        arm.completed.mean()
    )


def test_fewer_trees_change_only_the_number_of_trees():
    whole, tenth = forests.published_grid(), forests.published_grid(0.1)
    assert tenth.pop("n_estimators") == [5, 20, 40, 60, 80, 100]
    assert whole.pop("n_estimators") == [50, 200, 400, 600, 800, 1000]
    assert whole == tenth


def test_too_few_people_are_said_in_words(people):
    with pytest.raises(InputError, match="at least 20 people"):
        forests.split_general([0, 1] * 5)
    with pytest.raises(InputError, match="0 completed and 70 did not"):
        forests.split_general(np.zeros(100))
    with pytest.raises(InputError, match="recipe must be one of published, repaired"):
        learn("tree", people)


def test_settings_read_as_words():
    assert forests.describe(forests.published_best()) == (
        "bootstrap yes, class weights 20 to 80, max depth 10, max features sqrt,"
        " min samples leaf 1, min samples split 5, n estimators 600"
    )


def test_a_search_is_kept_best_first(people):
    table = learn("published", people).search
    assert isinstance(table, pd.DataFrame) and len(table) == 3
    assert table["mean"].is_monotonic_decreasing


def test_a_small_cohort_is_taken_whole_a_large_one_in_part():
    people = pd.DataFrame({"AGE": np.arange(100)})
    people.attrs = {"data": "twin"}
    taken = forests.take(people, 30)
    assert len(taken) == 30 and taken.index.is_monotonic_increasing
    assert taken.attrs == people.attrs and taken.index.is_unique
    assert forests.take(taken, 30) is taken
    assert forests.take(people, None) is people


def test_repeats_use_other_splits_and_keep_the_settings(people):
    features, completed = people
    arm = learn("repaired", people)
    again = forests.repeat(
        arm,
        features,
        completed,
        forests.split_general,
        (1, 2),
        choose=scores.best_threshold,
        **TINY,
    )
    assert [each.settings for each in again] == [arm.settings] * 2
    assert not np.array_equal(again[0].score, again[1].score)
    assert again[0].search is None

    def too_few(completed, seed):
        raise InputError("too few people")

    assert (
        forests.repeat(
            arm,
            features,
            completed,
            too_few,
            (1, 2),
            choose=scores.best_threshold,
            **TINY,
        )
        == []
    )


def test_a_model_is_kept_only_where_asked(people):
    features, completed = people
    parts = forests.split_general(completed)
    settings = {"C": 0.1}
    assert learn("logistic", people, parts, settings=settings).model is None
    arm = learn("logistic", people, parts, settings=settings, keep_model=True)
    np.testing.assert_array_equal(
        arm.model.predict_proba(features.iloc[parts.report])[:, 1], arm.score
    )


needs_lightgbm = pytest.mark.skipif(
    bool(forests.why_not("lightgbm")), reason=forests.why_not("lightgbm") or "-"
)
#: Settings that LightGBM fits in a moment.
SHORT = {"n_estimators": 30, "num_leaves": 7}


@needs_lightgbm
def test_lightgbm_learns_as_boosting_does_and_reports_on_nobody_it_saw(people):
    features, completed = people
    parts = forests.split_general(completed)
    turned = completed.copy()
    turned[parts.report] = ~turned[parts.report]
    before = learn("lightgbm", people, parts, settings=SHORT)
    after = learn("lightgbm", (features, turned), parts, settings=SHORT)
    np.testing.assert_array_equal(before.score, after.score)
    assert before.threshold == after.threshold
    kept = scores.evaluate(before.completed, before.score, n_resamples=200, band=False)
    assert kept.estimates["average_precision"].low > before.completed.mean() + 0.1
    peer = learn("boosting", people, parts, settings={"max_iter": 30})
    assert np.corrcoef(before.score, peer.score)[0, 1] > 0.9


@needs_lightgbm
def test_lightgbm_is_handed_nominal_codes_as_categories(people):
    features, completed = people
    parts = forests.split_general(completed)
    arm = learn("lightgbm", people, parts, settings=SHORT, keep_model=True)
    booster = arm.model["model"].booster_
    names = booster.feature_name()
    split_as_category = {
        node
        for node, kind in zip(
            booster.trees_to_dataframe()["split_feature"],
            booster.trees_to_dataframe()["decision_type"],
            strict=True,
        )
        if kind == "=="
    }
    nominal = set(arm.model["encode"].transform(features).select_dtypes("category"))
    assert split_as_category and split_as_category <= nominal
    assert "AGE" in names and "AGE" not in split_as_category


@needs_lightgbm
def test_lightgbm_searches_all_its_trees_at_every_size():
    assert estimators.grid("lightgbm", 0.1) == estimators.grid("lightgbm", 1)
    assert estimators.grid("lightgbm")["n_estimators"] == [100, 200, 400]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'lightgbm'"), "not installed"),
        (ImportError("libgomp.so.1"), "libgomp1"),
        (OSError("libgomp.so.1: cannot open shared object file"), "libgomp1"),
    ],
)
def test_where_lightgbm_cannot_be_loaded_the_reason_is_said(monkeypatch, error, said):
    real = builtins.__import__

    def without(name, *more, **words):
        if name.split(".")[0] == "lightgbm":
            raise error
        return real(name, *more, **words)

    monkeypatch.setattr(builtins, "__import__", without)
    assert said in forests.why_not("lightgbm")
    with pytest.raises(InputError, match=said):
        estimators.estimator("lightgbm")
    assert forests.why_not("boosting") == ""


@pytest.fixture(scope="module")
def cohorts_of_two(people):
    """A large source and a small target in which one effect has turned round."""
    features, completed = people
    target = features.index < 2 * features.index.max() // 3
    source = (features[~target], completed[~target])
    turned = completed[target] ^ (features[target]["GENDER"] == 2).to_numpy()
    return source, (features[target], turned)


def test_a_fit_uses_the_rows_that_are_named_and_no_others(cohorts_of_two):
    source, target = cohorts_of_two
    for rows, seen, outcome in (
        ("source", *source),
        ("target", *target),
        (
            "both",
            pd.concat([source[0], target[0]]),
            np.append(source[1], target[1]),
        ),
    ):
        settings = {"n_estimators": 10}
        ours = forests.fit_on("repaired", rows, source, target, settings=settings)
        plain = estimators.estimator("repaired").set_params(model__n_estimators=10)
        plain.fit(seen, outcome.astype(int))
        np.testing.assert_array_equal(
            ours.predict_proba(target[0]), plain.predict_proba(target[0])
        )


@needs_lightgbm
def test_going_on_keeps_the_trees_of_the_source_and_adds_more(cohorts_of_two):
    source, target = cohorts_of_two
    first = forests.fit_on("lightgbm", "source", source, target, settings=SHORT)
    last = forests.fit_on(
        "lightgbm", "on", source, target, fitted=first, more={"n_estimators": 10}
    )
    old, new = first["model"].booster_, last["model"].booster_
    assert new.num_trees() == old.num_trees() + 10
    rows = first["encode"].transform(target[0])
    np.testing.assert_allclose(
        new.predict(rows, num_iteration=old.num_trees(), raw_score=True),
        old.predict(rows, raw_score=True),
    )
    loss = [
        -np.log(np.where(target[1], p, 1 - p)).mean()
        for p in (m.predict_proba(target[0])[:, 1] for m in (first, last))
    ]
    assert loss[1] < loss[0]
    again = forests.fit_on(
        "lightgbm",
        "on",
        source,
        target,
        settings=SHORT,
        more={"n_estimators": 10},
    )
    np.testing.assert_array_equal(
        again.predict_proba(target[0]), last.predict_proba(target[0])
    )


def test_who_cannot_go_on_is_told(cohorts_of_two):
    source, target = cohorts_of_two
    with pytest.raises(InputError, match='only "lightgbm" can go on'):
        forests.fit_on("boosting", "on", source, target)
    with pytest.raises(InputError, match="rows must be one of source, target"):
        forests.fit_on("boosting", "some", source, target)


def test_no_printed_score_lies_above_the_best_of_its_printed_curve():
    printed = book.published("a")["value"]
    for stem, best in forests.printed_curves()["best_f05"].items():
        assert printed[f"{stem.removesuffix(' (README)')}.f05"] - 0.005 <= best < 1


def test_points_of_a_printed_curve_agree_with_its_printed_area():
    curves = forests.printed_curves()["area"]
    assert set(forests.printed_points()) == {*curves.index} - {"a.methadone.cnn"}
    for key, curve in forests.printed_points().items():
        assert (curve.diff().dropna() <= 0.005).all()
        recall = np.r_[0, curve.index]
        area = np.trapezoid(np.r_[curve.iloc[0], curve], recall)
        assert abs(area - curves[key]) < 0.03, key


def test_outcomes_of_other_people_or_that_are_none_are_not_learned():
    people = cohorts.general(twin.sample(2018, 3000))
    features, done = people[["AGE", "RACE"]], cohorts.completed(people)
    parts = forests.split_general(done)
    for wrong, said in (
        (done[::-1], "different indexes"),
        (np.where(done, 0.7, 0.2), "completed must be 0 or 1"),
        (np.where(done, "1", "0"), "completed must be 0 or 1"),
    ):
        with pytest.raises(InputError, match=said):
            forests.learn("lightgbm", features, wrong, parts, choose=None)
        with pytest.raises(InputError, match=said):
            forests.fit_on("lightgbm", "target", None, (features, wrong))
        with pytest.raises(InputError, match=said):
            forests.fit_on("lightgbm", "on", (features, done), (features, wrong))


def test_people_are_taken_in_their_order_whatever_their_index():
    people = pd.DataFrame({"AGE": range(50)}, index=range(50, 0, -1))
    taken = forests.take(people, 20)
    assert taken["AGE"].is_monotonic_increasing and len(taken) == 20
    for wrong in (10.0, -1, "10"):
        with pytest.raises(InputError, match="n must be a whole number from 1 up"):
            forests.take(people, wrong)
