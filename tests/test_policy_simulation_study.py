"""The simulation of study C: draws, scores, shards, and what comes with the book."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sudlib import book, policy
from sudlib.files import InputError, data_file, sha256
from sudlib.policy import (
    AdditiveQLearner,
    BoundedEffectsNetwork,
    ContrastNetwork,
    OneAgainstOne,
    OutcomeWeightedClassifier,
    combination_number,
    combinations,
    fit_together,
    multiverse,
    simulation,
    simulation_study,
)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def few_steps():
    """Return the study's rules with a few steps: the shape of a study, in a second."""
    return {
        "naive": OneAgainstOne(steps=5, alpha=(0.1, 0.001)),
        "dnn_simple": OutcomeWeightedClassifier(alpha=(0.1, 0.001), steps=20),
        "ridge_q": AdditiveQLearner(effect_penalty=4.0),
        "contrast": ContrastNetwork(1, steps=20, members=1),
    }


# ------------------------------------------------------------------------ the world


def test_a_seed_is_a_world():
    first, again = (simulation.draw_truth("right", [1, 2]) for _ in range(2))
    assert np.array_equal(first.first, again.first)
    one, two = simulation.draw(first, 50, 3), simulation.draw(again, 50, 3)
    assert np.array_equal(one.outcome, two.outcome)
    assert not np.array_equal(one.outcome, simulation.draw(first, 50, 4).outcome)


@pytest.mark.parametrize("setting", simulation.SETTINGS)
def test_outcomes_are_those_of_the_equations_written_as_a_loop(setting):
    """Equations (16) to (19) and (23), one person and one combination at a time."""
    world = simulation.draw_truth(setting, 5)
    X = simulation.draw(world, 4, 6).X
    found = world.outcomes(X)
    for i, x in enumerate(X.astype(float)):
        h = np.maximum(world.first.T.astype(float) @ x, 0)
        u = world.second.T.astype(float) @ h
        T = np.sign(u) * (0.05 / (1 + np.exp(-u)) + 2.0)
        M = 0.05 / (1 + np.exp(-(world.main.astype(float) @ x))) - 2.05
        for j, a in enumerate(combinations(5)):
            total = sum(T[k] for k in range(5) if a[k] == 1)
            if setting == "wrong":
                total -= 0.1 * total**2
            assert found[i, j] == pytest.approx(total + M, abs=1e-4)


def test_expected_outcomes_stay_within_the_bounds_the_study_gives():
    world = simulation.draw_truth("right", 7)
    expected = simulation.draw(world, 2000, 8).expected
    # the study says -12 to 8; its own numbers allow 5 * 2.05 = 10.25 less 2
    assert expected.min() >= -12.31 and expected.max() <= 8.26


def test_the_bayes_rule_of_the_right_model_is_the_sign_of_each_effect():
    world = simulation.draw_truth("right", 9)
    people = simulation.draw(world, 500, 10)
    advice = combinations(5)[people.bayes]
    assert np.array_equal(advice, np.sign(world.effects(people.X)))


def test_the_bayes_rule_errs_as_printed_and_never_without_noise():
    rates = {"realised": [], "expected": []}
    for repeat in range(10):
        world = simulation.draw_truth("right", [11, repeat])
        for best, found in rates.items():
            people = simulation.draw(world, 5000, [12, repeat], best=best)
            tally = simulation.Tally(5).add(people.bayes, people.best, people.outcomes)
            found.append(tally.scores()["adjusted_mcr"])
    assert np.mean(rates["realised"]) == pytest.approx(0.0657, abs=0.001)
    assert max(rates["expected"]) == 0


def test_every_combination_is_given_about_equally_often():
    people = simulation.draw(simulation.draw_truth("right", 1), 32_000, 2)
    counts = np.bincount(combination_number(people.A), minlength=32)
    assert np.abs(counts - 1000).max() < 160


@pytest.mark.parametrize("changes", [{"setting": "6.1"}, {"covariates": "cauchy"}])
def test_unknown_worlds_are_refused(changes):
    with pytest.raises(InputError, match="must be"):
        simulation.draw_truth(**{"setting": "right", "seed": 1} | changes)


# ----------------------------------------------------------------------- the scores


def test_scores_are_the_studys_equations_counted_by_hand():
    generator = np.random.default_rng(13)
    every, n = combinations(3), 60
    best = generator.integers(0, 7, n)  # the last combination is best for nobody
    advice = every[generator.integers(0, 8, n)]
    outcomes = generator.normal(size=(n, 8))
    found = simulation.score(advice, best, outcomes)
    wrong = [tuple(a) != tuple(every[b]) for a, b in zip(advice, best, strict=True)]
    rates = [
        np.mean([wrong[i] for i in range(n) if best[i] == cell])
        for cell in range(8)
        if cell in best
    ]
    chosen = [
        outcomes[i, j]
        for i in range(n)
        for j in range(8)
        if tuple(every[j]) == tuple(advice[i])
    ]
    assert found["mcr"] == pytest.approx(np.mean(wrong))
    assert found["amcr"] == pytest.approx(np.mean(rates))
    assert found["ab"] == pytest.approx(np.mean(chosen))
    assert (1 - found["adjusted_mcr"]) ** 3 == pytest.approx(1 - np.mean(wrong))


def test_scores_of_batches_are_scores_of_all():
    world = simulation.draw_truth("wrong", 14)
    parts = [simulation.draw(world, 300, [15, part]) for part in range(3)]
    rules = {"none": lambda X: np.full((len(X), 5), -1)}
    found = simulation.score_rules(world, 900, 15, rules, rows_at_once=300)
    best = np.concatenate([part.best for part in parts])
    outcomes = np.concatenate([part.outcomes for part in parts])
    whole = simulation.score(np.full((900, 5), -1), best, outcomes)
    assert found["none"] == pytest.approx(whole)


def test_scores_of_nobody_are_refused():
    with pytest.raises(InputError, match="at least one person"):
        simulation.Tally(2).scores()


# ----------------------------------------------------------------------- the shards


@pytest.fixture
def runner(monkeypatch):
    """Return the tool that runs the study."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import run_study_c

    return run_study_c


def test_shards_cover_every_repeat_once(runner):
    repeats = [
        (setting, size, repeat)
        for setting, size, first, number in runner.shards(repeats=25, block=10)
        for repeat in range(first, first + number)
    ]
    assert len(repeats) == len(set(repeats)) == 2 * 4 * 25
    names = [runner.shard_name(*shard) for shard in runner.shards(repeats=25)]
    assert set().union(*map(runner.repeats_of, names)) == set(repeats)


def test_merged_shards_do_not_depend_on_their_order_or_cut(few_steps):
    one = [
        simulation_study.run_repeats("right", 200, [r], methods=few_steps, test=500)
        for r in (0, 1)
    ]
    same = simulation_study.merge([pd.concat(one)]).drop(columns="seconds")
    again = simulation_study.merge(one[::-1]).drop(columns="seconds")
    pd.testing.assert_frame_equal(same, again)
    twice = simulation_study.merge([*one, one[0]]).drop(columns="seconds")
    pd.testing.assert_frame_equal(same, twice)
    changed = one[0].assign(ab=9.0)
    with pytest.raises(InputError, match="disagree"):
        simulation_study.merge([*one, changed])


def test_rules_are_tested_on_ten_times_the_rows_they_learn_from(monkeypatch):
    asked, score = [], simulation_study.score_rules

    def fewer(truth, rows, *more, **choices):
        asked.append(rows)
        return score(truth, 50, *more, **choices)

    monkeypatch.setattr(simulation_study, "score_rules", fewer)
    rule = {"ridge_q": policy.AdditiveQLearner()}
    simulation_study.run_repeats("right", 20, [0], methods=rule)
    assert asked == [10 * 5 * 20]


def test_a_repeat_is_the_same_wherever_it_runs(few_steps):
    first, again = (
        simulation_study.run_repeats(
            "wrong", 200, [3], methods=few_steps, test=500
        ).drop(columns="seconds")
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert {"naive", "dnn_simple", "dnn_simple_observed", "bayes"} <= set(
        first["method"]
    )


def test_repeats_trained_together_score_as_repeats_trained_alone(few_steps):
    few_steps["dnn_1hdd"] = OutcomeWeightedClassifier(
        hidden=(7,), alpha=(0.1, 0.001), steps=40, dropout=0.2, early_stopping=True
    )
    few_steps["auto"] = ContrastNetwork("auto", hidden=(5,), steps=40, members=2)
    few_steps["bounded"] = BoundedEffectsNetwork(hidden=(5,), steps=40, members=2)
    same = {"methods": few_steps, "test": 500}
    together = simulation_study.run_repeats("wrong", 200, (3, 5, 8), **same)
    alone = pd.concat(
        simulation_study.run_repeats("wrong", 200, [r], **same) for r in (3, 5, 8)
    )
    pd.testing.assert_frame_equal(
        together.drop(columns="seconds"),
        alone.drop(columns="seconds").reset_index(drop=True),
        rtol=0,
        atol=0,
    )


def test_only_rules_and_studies_of_one_shape_are_fitted_together():
    world = simulation.draw_truth("right", 1)
    people = [simulation.draw(world, rows, rows) for rows in (200, 200, 300)]
    studies = [(s.X, s.A, s.outcome) for s in people]
    rules = [OutcomeWeightedClassifier(steps=5) for _ in studies]
    with pytest.raises(InputError, match="as many people"):
        fit_together(rules, studies)
    rules[1] = OutcomeWeightedClassifier(steps=6)
    with pytest.raises(InputError, match="same settings"):
        fit_together(rules[:2], studies[:2])


def test_summary_is_mean_error_and_paired_regret():
    scores = pd.DataFrame(
        {
            "setting": "right",
            "n_train": 200,
            "repeat": [0, 0, 1, 1],
            "method": ["naive", "bayes"] * 2,
            **{name: [1.0, 4.0, 3.0, 5.0] for name in simulation_study.SCORES},
        }
    )
    found = simulation_study.summary(scores).loc["right", 200, "naive"]
    assert found["ab"] == 2 and found["ab_se"] == 1
    assert found["regret"] == 2.5 and found["regret_se"] == 0.5
    gap, error = simulation_study.paired_difference(
        scores, "right", 200, "naive", "bayes", "ab"
    )
    assert (gap, error) == (-2.5, 0.5)


def test_the_runner_goes_on_where_it_was_and_merges(
    runner, tmp_path, monkeypatch, capsys
):
    runs_made = []

    def run_repeats(setting, size, repeats, *, seed):
        runs_made.extend((setting, size, repeat) for repeat in repeats)
        row = {"setting": setting, "n_train": size, "seconds": 0.1, "method": "bayes"}
        return pd.DataFrame([row | {"repeat": r, "ab": r / 3} for r in repeats])

    monkeypatch.setattr(simulation_study, "run_repeats", run_repeats)
    words = ["--folder", str(tmp_path / "f"), "--out", str(tmp_path / "o")]
    words += ["--repeats", "4", "--block", "2", "--size", "200"]
    shard = runner.shard_name("wrong", 200, 2, 2)
    assert runner.main([*words, "--shard", shard]) == 0
    assert runs_made == [("wrong", 200, 2), ("wrong", 200, 3)]
    assert runner.main(words) == 0
    assert len(runs_made) == 8, "the shard that was there was run again"
    first = (tmp_path / "o" / "scores.csv.gz").read_bytes()
    assert runner.main([*words, "--merge"]) == 0
    assert (tmp_path / "o" / "scores.csv.gz").read_bytes() == first
    assert len(pd.read_csv(tmp_path / "o" / "scores.csv.gz")) == 8
    assert runner.main([*words, "--shard", "none.csv"]) == 2
    assert runner.main([*words, "--at-once", "0"]) == 2
    assert "--at-once must be 1 or more, not 0" in capsys.readouterr().err
    empty = ["--folder", str(tmp_path / "empty"), "--out", str(tmp_path), "--merge"]
    assert runner.main(empty) == 2
    assert "no shards" in capsys.readouterr().err


def test_a_run_that_asks_for_a_gpu_stops_without_one(runner, monkeypatch, capsys):
    keras = pytest.importorskip("keras")
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind=None: [])
    assert runner.main(["--gpu", "--list"]) == 2
    assert "sees no GPU" in capsys.readouterr().err
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind=None: ["gpu:0"])
    assert runner.main(["--gpu", "--list", "--block", "100"]) == 0
    assert len(capsys.readouterr().out.split()) == 8


SLURM = ["--profile", "workflow/slurm", "--executor"]


@pytest.mark.parametrize("more", [[], [*SLURM, "dryrun"], [*SLURM, "slurm"]])
def test_the_workflow_fans_out_one_job_a_shard(tmp_path, more):
    pytest.importorskip("snakemake")
    if more[-1:] == ["slurm"]:  # without the plugin, all but the sending is tried
        pytest.importorskip("snakemake_executor_plugin_slurm")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", "workflow/study_c.smk", "-n"]
        + ["--cores", "1", "--directory", str(tmp_path), "--config", "repeats=20"]
        + more,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("rule shard:") == 2 * 4 * 2, said


# ------------------------------------------------------------------------ the choices


def test_a_choice_changes_one_thing():
    for name, choice in multiverse.CHOICES.items():
        changed = [*choice.repeats, *filter(None, (choice.network, choice.naive))]
        assert len(changed) == (name != "base")


def test_a_choice_changes_what_its_words_say():
    for choice in multiverse.CHOICES.values():
        changes = choice.network | choice.naive | choice.repeats
        if choice.question == "iterations":
            words = choice.answer.removeprefix("naive: ").replace(",", "")
            assert changes == {"steps": int(words)}
        if "step size" in choice.answer and "learning_rate" in changes:
            assert float(choice.answer.split()[-1]) == changes["learning_rate"]
        if "less the smallest" in choice.answer:
            assert changes == {"weights": "shifted"}
    assert multiverse.CHOICES["known"].repeats == {"propensity": 0.5**5}


def test_an_unknown_choice_is_refused():
    with pytest.raises(InputError, match="a choice must be one of"):
        multiverse.run_choices(["sigmoid"], 200, [0])


# ------------------------------------------------------------- what the book carries


def test_the_kept_study_is_the_one_its_provenance_names():
    stamp = simulation_study.provenance()
    assert stamp["sha256"] == sha256(data_file("results/study_c/scores.csv.gz"))
    scores = simulation_study.published_study()
    counts = scores.groupby(["setting", "n_train"])["repeat"].nunique()
    named = {f"{setting}, {size}": n for (setting, size), n in counts.items()}
    assert named == stamp["repeats"]
    assert not scores.duplicated(["setting", "n_train", "repeat", "method"]).any()


def test_the_kept_study_holds_the_claims_it_is_shown_for():
    scores = simulation_study.published_study()
    means = simulation_study.summary(scores)
    for setting in simulation.SETTINGS:
        bayes = means.loc[setting].xs("bayes", level="method")
        printed = {"right": 0.0657, "wrong": 0.1157}[setting]
        assert bayes["adjusted_mcr"].mean() == pytest.approx(printed, abs=0.03)
        here = scores[scores["setting"] == setting]
        repeats = here.groupby("n_train")["repeat"].nunique()
        assert {200, 1000} <= set(repeats.index)
        for size in repeats.index[repeats > 2]:
            for ours in ("contrast", "bounded"):
                for rival in ("dnn_simple", "dnn_1hdd", "ridge_q"):
                    gap, error = simulation_study.paired_difference(
                        scores, setting, size, ours, rival
                    )
                    assert gap < -2 * error, (setting, size, ours, rival)


@pytest.mark.parametrize("setting", simulation.SETTINGS)
@pytest.mark.parametrize("size", simulation.SIZES)
def test_our_best_rule_is_below_the_best_number_the_study_prints(setting, size):
    """By more than two standard errors, the print's and ours combined."""
    ours = simulation_study.summary(simulation_study.published_study()).loc[
        setting, size, "bounded"
    ]
    printed = book.published("c")
    rows = [
        printed.loc[f"c.{setting}.n{size}.{method}.adjusted_mcr"]
        for method in ("dnn_simple", "dnn_1hdd")
    ]
    best = min(rows, key=lambda row: float(row["value"]))
    both = np.hypot(ours["adjusted_mcr_se"], float(best["standard_error"]))
    assert ours["adjusted_mcr"] < float(best["value"]) - 2 * both


@pytest.mark.slow
def test_a_repeat_of_the_kept_study_can_be_derived_again():
    kept = simulation_study.published_study()
    kept = kept[(kept["setting"] == "right") & (kept["n_train"] == 200)]
    again = simulation_study.run_repeats("right", 200, [0])
    both = again.merge(kept, on=["setting", "n_train", "repeat", "method"])
    gap = (both["adjusted_mcr_x"] - both["adjusted_mcr_y"]).abs().max()
    assert len(both) == len(again) and gap < 0.01


def test_the_record_of_other_software_is_whole_and_says_its_versions():
    kept = pd.read_csv(data_file("results/study_c/other_software.csv"))
    assert not kept.duplicated(["method", "repeat"]).any()
    for method, rows in kept.groupby("method"):
        assert sorted(rows["repeat"]) == list(range(len(rows))), method
        assert len(rows) >= 5 and rows["version"].nunique() == 1, method
    assert (kept[["seconds", "cpu_seconds"]] > 0).all(axis=None)
    stamp = json.loads(data_file("results/study_c/recorded.json").read_text())
    said = stamp["files"]["other_software.csv"]["versions"]
    used = kept[kept["software"] != "sudlib"].groupby("software")["version"].first()
    assert said == used.astype(str).to_dict()


def test_the_record_of_other_software_holds_what_its_page_says():
    kept = pd.read_csv(data_file("results/study_c/other_software.csv"))
    rates = kept.groupby("method")["adjusted_mcr"].mean()
    arms = rates.index.str.contains("over 32 arms")
    assert rates[arms].min() > rates[~arms].max()
    ours = ["bounded-effects network", "contrast network"]
    assert list(rates.sort_values().index[:2]) == ours
    linear = rates["additive Q-learning, ridge"]
    behind = rates - linear
    assert behind["LinearDRLearner for each treatment"] < 0.01
    assert behind["owl for each treatment, logistic loss"] < 0.02
    assert behind["CausalForestDML for each treatment"] > 0.03


def test_the_record_of_other_software_is_of_the_draws_of_its_tool(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import other_software

    kept = pd.read_csv(data_file("results/study_c/other_software.csv"))
    method = "additive Q-learning, ridge"
    row = kept[(kept["method"] == method) & (kept["repeat"] == 0)].iloc[0]
    train, test = other_software.draws(0)
    advice = policy.AdditiveQLearner().fit(train.X, train.A, train.outcome)
    advice = advice.predict(test.X)
    found = simulation.score(advice, test.best, test.outcomes)["adjusted_mcr"]
    assert found == pytest.approx(row["adjusted_mcr"], abs=1e-3)
    regret = other_software.rivals_regret(advice, test)
    assert regret == pytest.approx(row["regret"], abs=1e-2)
