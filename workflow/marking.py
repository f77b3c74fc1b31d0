"""Marks the exercises: what to keep as ``answer`` in each notebook, and is it right?

``make teach`` puts a copy of this file beside the student's notebooks, whose marking
cell calls :func:`check`.  It needs the notebook's own variables only.
"""

import inspect

#: One for each notebook with an exercise; :func:`exercise` fills it.
EXERCISES = {}


def exercise(keep, solution):
    """Register the check of one notebook's exercise, which has the notebook's name.

    Parameters
    ----------
    keep : str
        What to keep as ``answer``, in words.
    solution : str
        The answer, as an expression in the solution's variables.
    """

    def register(test):
        test.keep, test.solution = keep, solution
        EXERCISES[test.__name__] = test
        return test

    return register


def check(name, variables):
    """Print that the answer to a notebook's exercise is right, or raise why it is not.

    Parameters
    ----------
    name : str
        The notebook's.
    variables : mapping
        Its variables: ``globals()``.
    """
    test = EXERCISES[name]
    asked = list(inspect.signature(test).parameters)
    if variables.get("answer") is None:
        raise AssertionError(f"no answer yet: keep {test.keep} as `answer`")
    lacking = [each for each in asked if each not in variables]
    if lacking:
        raise AssertionError(f"run the cells above first: {', '.join(lacking)}")
    try:
        test(**{each: variables[each] for each in asked})
    except AssertionError:
        raise
    except Exception as error:  # of another form than the check can read
        raise AssertionError(
            f"the answer has another form ({error!r}): keep {test.keep} as `answer`"
        ) from error
    print("Right.")


def close(one, other):
    """Return whether two numbers are equal but for rounding."""
    return abs(float(one) - float(other)) < 1e-6


def rows_of(table):
    """Return the rows of a table, an array or a list of lists."""
    rows = table.to_numpy() if hasattr(table, "to_numpy") else table
    return [[float(each) for each in row] for row in rows]


@exercise("the new shares of people who completed, in the order of `table`,", "narrow")
def a01_discharge_records(answer, everybody, cohorts, table):
    left = everybody[everybody["REASON"].isin([1, 2])]
    right = cohorts.table(left)["share"]
    assert len(answer) == len(table), "one share for each cohort"
    for each, share, name in zip(answer, right, table.index, strict=True):
        assert 0 <= each <= 1, "a share, between 0 and 1"
        assert abs(each - share) < 0.001, (
            f"{name}: of those whose `REASON` is 1 or 2, count those with 1"
        )


@exercise("the new threshold", "low")
def a02_forest_general(answer, arms, completed, parts, scores):
    truth, spare = completed.iloc[parts.threshold], arms["repaired"].spare
    best = scores.f_beta(truth, spare >= answer, beta=2)
    for other in (each / 50 for each in range(51)):
        assert scores.f_beta(truth, spare >= other, beta=2) <= best + 1e-9, (
            f"on the validation set F2 is higher at {other:.2f}"
        )
    assert answer <= arms["repaired"].threshold, "where recall counts, it falls"


@exercise("the list of the 200 values of F0.5 on the test set", "reached")
def a03_forest_methadone(answer, arms, scores):
    arm = arms["repaired"]
    best = scores.best_threshold(arm.completed, arm.score)
    highest = scores.f_beta(arm.completed, arm.score >= best)
    assert len(answer) == 200, f"200 draws, not {len(answer)}"
    assert all(0 < each <= highest + 1e-9 for each in answer), (
        f"on the test set no threshold gives an F0.5 above {highest:.3f}"
    )
    assert len({round(each, 6) for each in answer}) > 1, "each draw has its threshold"


@exercise("the variable without which most average precision is lost", "lost.index[0]")
def a04_records_as_pictures(
    answer, cell, codes, completed, images, scores, test, training
):
    assert answer in images.VARIABLES, f"one of {', '.join(images.VARIABLES)}"

    def area(column):
        without = codes[test].copy()
        without[:, column] = 0
        score = training.probabilities(cell.model_, without)
        found = scores.evaluate(completed[test], score, n_resamples=0, band=False)
        return found.estimates["average_precision"].value

    areas = {name: area(column) for column, name in enumerate(images.VARIABLES)}
    assert close(areas[answer], min(areas.values())), "another one costs more"


@exercise(
    "two sets, of the heads (`average`, `places`) that lose nothing: where all pictures"
    " are shuffled alike, and where each is shuffled differently,",
    '({"average", "places"}, {"average"})',
)
def a05_resnet50_transfer(answer):
    alike, each = ({part} if isinstance(part, str) else set(part) for part in answer)
    assert alike == {"average", "places"}, (
        "shuffled alike, a mark still has one place, only another one"
    )
    assert each == {"average"}, "which head needs a place to mean one variable?"


@exercise("the name of the protocol", "winner")
def a06_fine_tuning(answer, tuned):
    other = ("another order of the people", "the best trained epoch")
    lost = {name: way[0].loss for name, way in tuned.items() if name not in other}
    assert answer in lost, f"one of {', '.join(lost)}"
    assert lost[answer] == min(lost.values()), "another validation loss is lower"


@exercise("the network that averages over the cells, trained,", "averaged")
def a07_network_from_scratch(answer, codes, completed, results, scores, test, training):
    score = training.probabilities(answer, codes[test])
    found = scores.evaluate(completed[test], score, n_resamples=0, band=False)
    area = found.estimates["average_precision"].value
    kept = results["cells"].estimates["average_precision"].value
    assert area < kept, "it cannot know which question an answer belongs to"
    assert area > completed[test].mean(), "it has not learned: is it trained?"


@exercise("the mean score of each person", "mean")
def a08_experiment_1_side_by_side(answer, score, best_picture, lightgbm):
    both = [score[arm] for arm in (best_picture, lightgbm) if arm in score]
    assert len(answer) == len(both[0]), "one number for each person of the test set"
    far = abs(answer - sum(both) / len(both))
    assert all(each < 1e-6 for each in far), (
        "a score lies half way between the scores of the two models"
    )


@exercise(
    "two numbers, the average precision among the last 1,500 people of the source, on"
    " the layout that was learned and on the other one,",
    "[average_precision_score(source[1][unseen], training.probabilities(model,"
    " seen[unseen])) for model in (network, shown)]",
)
def a09_methadone_transfer(answer, network, seen, shown, source, training):
    from sklearn.metrics import average_precision_score

    rows = slice(-1500, None)
    for model, area in zip((network, shown), answer, strict=True):
        score = training.probabilities(model, seen[rows])
        right = average_precision_score(source[1][rows], score)
        assert abs(area - right) < 0.005, (
            "judge the last 1,500 people of the source by both networks, the one that"
            " draws on its own layout first"
        )


@exercise("the list of the F0.5 of each draw", "moved_f05")
def a10_heroin_to_other_opioids(answer, draws, logit, scores, target):
    assert len(answer) == len(draws), "one number for each draw"
    for value, (learn, report) in zip(answer, draws, strict=True):
        threshold = scores.best_threshold(target[1][learn], logit[learn])
        right = scores.f_beta(target[1][report], logit[report] >= threshold)
        assert close(value, right), "choose on the training set, judge on the test set"


@exercise("the shift in log-odds that makes the mean prediction right", "shift")
def a11_all_years_at_once(answer, models, oldest, features_last, truth_last):
    chance = models[oldest].predict_proba(features_last)[:, 1]
    odds = chance / (1 - chance) * 2.718281828459045**answer
    mean = (odds / (1 + odds)).mean()
    assert abs(mean - truth_last.mean()) < 1e-3, (
        f"with this shift the mean prediction is {mean:.3f}, and"
        f" {truth_last.mean():.3f} completed"
    )


@exercise("the names of the columns that are removed now", "set(removed['column'])")
def b01_oklahoma_records(answer, dropped, everybody, everyone, seed, coding, oklahoma):
    which = {"everyone": everyone, "seed": seed, "reading": "services-4"}
    now = set(coding.clean(oklahoma.select_people(everybody, **which))[1]["column"])
    kept, lacking = set(answer) - now, now - set(dropped["column"]) - set(answer)
    assert not kept, f"{min(kept)} is not removed"
    assert not lacking, f"{len(lacking)} more are removed that were kept before"


@exercise("the accuracy on permuted classes where completing is rarest", "accuracy")
def b02_balancing(answer, completion):
    before = completion.loc["before", "accuracy"]
    assert 0 <= answer <= 1, "a share, between 0 and 1"
    assert answer > before, (
        f"with the classes as they were it is {before:.3f}; a rarer class has more"
        " synthetic rows"
    )


@exercise(
    "the balanced accuracy on each split, balanced inside with SMOTEN,", "inside[key]"
)
def b03_support_vector_machines(answer, outer_splits, repaired):
    assert len(answer) == outer_splits, f"one number for each of {outer_splits} splits"
    weighted = repaired["COMPLETED", "rbf"]["test_balanced_accuracy"]
    gap = abs(sum(answer) - sum(weighted)) / outer_splits
    assert 0 < gap < 0.1, (
        "weights and SMOTEN inside the split hardly differ: were the test rows left as"
        " they are?"
    )


@exercise("the fitted tree", "small")
def b04_trees_forests_networks(answer, cohorts):
    cohort = cohorts["COMPLETED", "published"]
    assert answer.get_depth() == 2, f"its depth is {answer.get_depth()}"
    assert set(answer.classes_) == set(cohort.y), "it predicts another target"
    columns = len(cohort.X.columns)
    assert answer.n_features_in_ == columns, "fit it on the published columns"
    people = answer.tree_.n_node_samples[0]
    assert people < len(cohort.y), (
        f"it learned from {people}: fit it on the training set"
    )


@exercise(
    "two things, the measure of one variable with `min_n=100`, and whether the model"
    " has become fairer (True or False),",
    "(large, False)",
)
def b05_fairness_measures(answer, made, fairness):
    measure, fairer = answer
    kept, value, right = made["COMPLETED"], float(measure), []
    for name in kept.groups:
        given = {"sensitive_features": kept.groups[name], "pos_label": "COMPLETE"}
        given |= {"missing": "omit", "min_n": 100}
        of = kept.y, kept.predicted["poly"]
        right.append(float(fairness.equalized_odds_difference(*of, **given)))
    undefined = value != value and any(each != each for each in right)
    assert undefined or any(abs(value - each) < 0.006 for each in right), (
        "no variable has this measure: does a group with fewer than 100 people count?"
    )
    assert not fairer, "the model predicts the same for everybody as before"


@exercise("the row of the demographic parity ratio over pairs", "row")
def b06_interactions_reweighing_worst_case(answer, judge, predictions):
    if hasattr(answer, "squeeze"):  # a table of one row
        answer = answer.squeeze()
    limited = judge(predictions["raking"]).set_index(["family", "measure"])
    before = limited.loc[("pairs", "demographic_parity_ratio"), "value"]
    assert answer["value"] <= before, "with more groups the worst is not better"
    assert min(answer["lowest_n"], answer["highest_n"]) < 30, (
        "its extreme is in a small group"
    )


@exercise("the accuracy of the recipe", "made.predicted['rbf'].eq(made.y).mean()")
def b07_what_the_printed_numbers_prove(answer):
    assert abs(answer - 0.25) < 0.06, (
        "where SMOTEN makes no row, four equal classes leave chance, a quarter"
    )


@exercise("the list of the column positions that are kept", "np.flatnonzero(keep)")
def b08_beyond(answer, cohort, coding):
    names = [column.rsplit("_", 1)[0] for column in cohort.X.columns]
    right = [n for n, name in enumerate(names) if name not in coding.VARIABLES]
    if len(answer) == len(names):  # a mask, not positions
        answer = [n for n, kept in enumerate(answer) if kept]
    assert sorted(answer) == right, (
        "all columns but those of the nine sensitive features"
    )


@exercise("three things, `base`, `interactions` and the scale that first fails,",
          "(base, interactions, scale)")  # fmt: skip
def c01_the_idea(answer, every, rule_of):
    base, interactions, scale = answer

    def right(grown):
        outcomes = base + (grown - 1) * interactions
        return (rule_of(outcomes) == every[outcomes.argmax()]).all()

    assert not right(scale), "at this scale the Hamming rule is still the best"
    assert right(0.05), "small interactions do not mislead it"


def _with_more_people(answer, simulation):
    world, rule, rate = answer
    fresh = simulation.draw(world, 10_000, [99, 1, 2])
    found = simulation.score(rule.predict(fresh.X), fresh.best, fresh.outcomes)
    assert abs(found["adjusted_mcr"] - rate) < 0.02, "judged on new people it differs"
    assert rate < 0.4, "advice at random is wrong in about half of the decisions"


_KEEP = "the world, the rule fitted with more people, and its adjusted rate,"
_FOUND = "(world, rule, score['adjusted_mcr'])"


@exercise(_KEEP, _FOUND)
def c02_simulation_right_model(answer, simulation):
    _with_more_people(answer, simulation)


@exercise(_KEEP, _FOUND)
def c03_simulation_wrong_model(answer, simulation):
    _with_more_people(answer, simulation)


@exercise("the rule with both changes, not fitted,", "rule")
def c04_what_the_paper_leaves_open(answer):
    settings = answer.get_params()
    assert settings["weights"] == "residual", "its weights are not residual"
    assert settings["steps"] == 500, f"it takes {settings['steps']} steps"


@exercise("the table of `policy.over_splits` with the modelled propensity",
          "policy.over_splits(again)")  # fmt: skip
def c05_diabetes(answer, summary):
    now, before = answer.loc["all four", "T"], summary.loc["all four", "T"]
    assert now < before, f"T of *all four* was {before:.2f} and should come down"
    assert now > answer.loc["all four", "value"] - 2, "T and the value are in points"


@exercise("the value that each order loses, by its number,", "lost_many")
def c06_losses_and_structure(answer, lost_by_order):
    answer = dict(answer)
    assert set(answer) >= {1, 3}, "compare orders 1 and 3"
    assert answer[1] < answer[3], "order 3 loses more: are the two exchanged?"
    assert 0 <= answer[3] < lost_by_order.loc[0, "order 3"], (
        "with ten times the people order 3 loses less"
    )
    assert 0 <= answer[1] < 0.05, "order 1 loses little while effects add up"


@exercise("the adjusted misclassification rates, by the number of people,",
          "{n: float(rows[f'{n:,} people']['adjusted misclassification'])"
          " for n in (5000, 20_000)}")  # fmt: skip
def c07_other_software(answer):
    answer = {int(people): float(rate) for people, rate in dict(answer).items()}
    few, many = answer[min(answer)], answer[max(answer)]
    assert max(answer) > 5000, "try more than 5,000 people"
    assert many < few < 0.5, "more people in each arm are wrong less often"


@exercise("the share of the gain that each design loses, by its name,", "wider")
def c08_sharing_and_scale(answer, lost, DESIGNS):  # noqa: N803
    wide = [name for name, (nodes, _) in DESIGNS.items() if nodes == 200]
    assert wide and wide[0] in answer, "add a design of 200 nodes to `DESIGNS`"
    for name, before in lost.loc[0].iloc[:2].mean().items():
        assert abs(answer[name] - before) < 0.01, f"{name}: share 0, worlds 0 and 1"
    assert 0 < answer[wide[0]] < 1, "a share of the gain, between 0 and 1"


@exercise(
    "two numbers, the value lost by DNN-simple as the study ran it and by additive"
    " Q-learning,",
    "[with_many.loc[name, 'value lost'] for name in ('DNN-simple, as the study',"
    " 'additive Q-learning')]",
)
def c09_weights_value_robustness(answer):
    network, additive = answer
    assert 0 <= additive < 0.1, "with 20,000 people additive Q-learning loses little"
    assert network > additive, "the marginal propensity stays wrong"


@exercise(
    "the values, one row a cost and one column each for the best rules and no change,",
    "costs",
)
def c10_outcomes_and_visits(answer):
    if hasattr(answer, "sort_index"):
        answer = answer.sort_index()[["best rules", "no change"]]
    loss = [best - none for best, none in rows_of(answer)]
    assert all(each > -0.05 for each in loss), (
        "never changing cannot beat the best rules"
    )
    assert loss[-1] < loss[0], "the dearer a change, the less is lost by none"


@exercise("the share of each route, one row a substance,", "table")
def d01_how_real_is_the_twin(answer):
    rows = rows_of(answer)
    assert all(close(sum(row), 1) for row in rows), "the shares of a substance sum to 1"
    assert max(rows[0]) > 0.9, "alcohol, in the first row, is nearly always drunk"


@exercise("two things, the number of definitions and the name of the shared choice,",
          "(len(fewer), 'missing')")  # fmt: skip
def d02_three_trials(answer, multiverse, CHOICES):  # noqa: N803
    number, choice = answer
    fewer = multiverse[multiverse["value"] < 0]
    assert number == len(fewer), "count the definitions with a negative difference"
    assert choice in CHOICES, f"one of {', '.join(CHOICES)}"
    assert fewer[choice].nunique() == 1, f"they differ in {choice}"


@exercise("the share of people that she would have to see by prediction", "need")
def d03_who_stays(answer, fifths):
    left, seen, half = 0, 0, (fifths["people"] - fifths["events"]).sum() / 2
    for people, stayed in fifths[["people", "events"]].to_numpy():
        part = min(1, (half - left) / (people - stayed))
        left, seen = left + part * (people - stayed), seen + part * people
        if part < 1:
            break
    assert 0 < answer < 1, "a share, between 0 and 1"
    right = seen / fifths["people"].sum()
    assert abs(answer - right) < 0.02, "begin with those who are least likely to stay"


@exercise("three things, the variable, the width in percentage points, and the people"
          " needed for half of it,",
          "(smallest.name, width, 4 * int(smallest['people']))")  # fmt: skip
def d04_is_it_fair(answer, opportunity):
    variable, width, people = answer
    fewest = opportunity["people"].min()
    known = ", ".join(dict.fromkeys(opportunity.index))
    assert variable in opportunity.index, f"the variable is one of {known}"
    row = opportunity.loc[[variable]].sort_values("people").iloc[0]
    assert row["people"] == fewest, f"another group has only {fewest:.0f} people"
    right = 100 * (row["high"] - row["low"])
    assert abs(width - right) < 0.5, "from the lower to the upper end, in points"
    assert people == 4 * fewest, "half the width takes four times as many"


@exercise("half the mean width of the intervals, by trial, in people of 100,", "half")
def d05_which_medication(answer, gains):
    for trial, rules in gains.groupby(level=0):
        wide = [100 * (row.high - row.low) / 2 for row in rules.itertuples()]
        assert close(answer[trial], sum(wide) / len(wide)), f"trial {trial} differs"


@exercise("the price", "gain / cost")
def d06_stroke(answer, plane):
    row = plane.loc["aspirin"].set_index("outcome")["value"]
    right = row["dead or dependent"] / -row["major bleeding"]
    assert abs(answer - right) <= 0.05 * right, "deaths spared for each bleeding added"


@exercise("two things, the best arm on average, and whether the rule gains measurably,",
          "(actg['value'].drop(['rule', 'best for all', 'difference']).idxmax(),"
          " bool(actg.loc['difference', 'low'] > 0))")  # fmt: skip
def d07_diabetes_observed(answer, trials):
    rows = trials.read_recorded("d07_diabetes_observed")["tables"]["actg"]
    found = {row["what"]: row for row in rows}
    arms = set(found) - {"rule", "best for all", "difference"}
    arm, gains = answer
    assert arm in arms, f"one of {', '.join(sorted(arms))}"
    assert all(found[arm]["value"] >= found[each]["value"] for each in arms), (
        "another arm has a higher mean"
    )
    assert gains == (found["difference"]["low"] > 0), "look at the interval"


@exercise("the number of people", "needed")
def d08_real_admissions(answer, fairness):
    apart = [fairness.detectable_difference(n, rate=0.4) for n in (answer - 1, answer)]
    assert apart[1] <= 0.1, f"{answer} people find {100 * apart[1]:.1f} points"
    assert apart[0] > 0.1, "fewer people are enough"
