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


def said(answer):
    """Return an answer of True or False; a word such as "no" is true in Python."""
    assert str(answer) in ("True", "False", "0", "1"), (
        f"say True or False, not {answer!r}"
    )
    return str(answer) in ("True", "1")


def names_of(answer):
    """Return a set of names, also where there is one only and no list around it."""
    return {answer} if isinstance(answer, str) else set(answer)


def rows_of(table):
    """Return the rows of a table, an array or a list of lists."""
    rows = table.to_numpy() if hasattr(table, "to_numpy") else table
    return [[float(each) for each in row] for row in rows]


@exercise(
    "two things, the new shares of people who completed, in the order of `table`, and"
    " the name of the cohort whose share changes most,",
    "(narrow, most)",
)
def a01_discharge_records(answer, everybody, cohorts, table):
    shares, most = answer
    if isinstance(shares, dict):
        shares = list(shares.values())
    left = everybody[everybody["REASON"].isin([1, 2])]
    right = cohorts.table(left)["share"].set_axis(table.index)
    assert len(shares) == len(table), "one share for each cohort"
    for each, share, name in zip(shares, right, table.index, strict=True):
        assert 0 <= each <= 1, "a share, between 0 and 1"
        assert abs(each - share) < 0.0051, (
            f"{name}: of those whose `REASON` is 1 or 2, count those with 1"
        )
    moved = (right - table["share"]).abs()
    assert most in moved.index, f"the cohort is one of {', '.join(moved.index)}"
    assert moved[most] > moved.max() - 0.0051, "the share of another cohort moves more"


@exercise(
    "two numbers, the new threshold and the precision on the test set with it,",
    "(low, precision)",
)
def a02_forest_general(answer, arms, completed, parts, scores):
    threshold, precision = answer
    arm, truth = arms["repaired"], completed.iloc[parts.threshold]
    best = scores.f_beta(truth, arm.spare >= threshold, beta=2)
    for other in (each / 50 for each in range(51)):
        assert scores.f_beta(truth, arm.spare >= other, beta=2) <= best + 0.002, (
            f"on the validation set F2 is higher at {other:.2f}"
        )
    judged = zip(arm.completed, arm.score, strict=True)
    hits = [bool(truth) for truth, score in judged if score >= threshold]
    assert abs(precision - sum(hits) / len(hits)) < 0.0051, (
        "of the test set, at or above the threshold, the share who complete"
    )


@exercise("the list of the 200 values of F0.5 on the test set", "reached")
def a03_forest_methadone(answer, arms, scores, validation, seed):
    from statistics import median

    arm, truth = arms["repaired"], validation.to_numpy()
    best = scores.best_threshold(arm.completed, arm.score)
    highest = scores.f_beta(arm.completed, arm.score >= best)
    assert len(answer) == 200, f"200 draws, not {len(answer)}"
    assert all(0 < each <= highest + 1e-3 for each in answer), (
        f"on the test set no threshold gives an F0.5 above {highest:.3f}"
    )
    assert len({round(each, 6) for each in answer}) > 1, "each draw has its threshold"
    usual = []
    for done, not_done in scores.resamples(truth, n_resamples=200, seed=seed):
        drawn = [*truth.nonzero()[0][done], *(~truth).nonzero()[0][not_done]]
        cut = scores.best_threshold(truth[drawn], arm.spare[drawn])
        usual.append(scores.f_beta(arm.completed, arm.score >= cut))
    assert abs(median(answer) - median(usual)) < 0.0101, (
        f"their median is about {median(usual):.3f}: draw from the validation set,"
        " choose the threshold there, and take F0.5 (not the threshold) on all of the"
        " test set"
    )


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
    "two sets, of the heads (`average`, `places`) that should do about as well as"
    " before: where all pictures are shuffled alike, and where each is shuffled"
    " differently,",
    '({"average", "places"}, {"average"})',
)
def a05_resnet50_transfer(answer):
    alike, each = map(names_of, answer)
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


@exercise(
    "two things, the mean score of each person, and whether it is measurably better"
    " than both (True or False),",
    "(mean, beats)",
)
def a08_experiment_1_side_by_side(
    answer, score, best_picture, lightgbm, found, scores, truth, seed, n_resamples
):
    mean, beats = answer
    both = [arm for arm in (best_picture, lightgbm) if arm in score]
    assert len(mean) == len(truth), "one number for each person of the test set"
    right = sum(score[arm] for arm in both) / len(both)
    assert all(abs(mean - right) < 1e-3), (
        "a score lies half way between the scores of the two models"
    )
    given = {"seed": seed, "n_resamples": n_resamples, "band": False}
    together = scores.evaluate(truth, right, **given)
    gains = [
        scores.difference(together, found[arm], "average_precision") for arm in both
    ]
    assert said(beats) == all(gain.low > 0 for gain in gains), (
        "better than both where both intervals of the difference lie above 0"
    )


@exercise(
    "two numbers, the average precision among the last 1,500 people of the source, on"
    " the layout that was learned and on the other one,",
    "(own, other)",
)
def a09_methadone_transfer(answer, network, seen, shown, source, training):
    from sklearn.metrics import average_precision_score

    rows = slice(-1500, None)
    for model, area in zip((network, shown), answer, strict=True):
        score = training.probabilities(model, seen[rows])
        right = average_precision_score(source[1][rows], score)
        assert abs(area - right) < 0.0051, (
            "judge the last 1,500 people of the source by both networks, the one that"
            " draws on its own layout first"
        )


@exercise("the list of the F0.5 of each draw", "moved_f05")
def a10_heroin_to_other_opioids(answer, draws, network_scores, scores, target):
    assert len(answer) == len(draws), "one number for each draw"
    arm = "network, two parameters"
    hundredths = [each / 100 for each in range(101)]
    for value, (learn, report) in zip(answer, draws, strict=True):
        own, new = (network_scores(learn, rows)[arm] for rows in (learn, report))
        best = scores.best_threshold(target[1][learn], own)
        tried = [best, *hundredths, *sorted(own)[:: len(own) // 100 + 1]]
        learned = [scores.f_beta(target[1][learn], own >= cut) for cut in tried]
        # As good on the training set as a grid of hundredths can be.
        least = max(learned[1 : 1 + len(hundredths)]) - 1e-9
        reached = [
            scores.f_beta(target[1][report], new >= cut)
            for cut, found in zip(tried, learned, strict=True)
            if found >= least
        ]
        assert min(reached) - 0.0051 < value < max(reached) + 0.0051, (
            "choose on the training set, judge on the test set"
        )


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
    named = names_of(answer)
    kept, lacking = named - now, now - set(dropped["column"]) - named
    assert not kept, f"{min(kept)} is not removed"
    assert not lacking, (
        f"{len(lacking)} columns that are not in `dropped` and are removed now are"
        " missing from your answer"
    )


@exercise(
    "two numbers, the accuracy on permuted classes with everybody and with one in five"
    " of the people who completed,",
    "(floor[1], floor[5])",
)
def b02_balancing(answer, cohort, oklahoma, score):
    done = [n for n, label in enumerate(cohort.y) if label == "COMPLETE"]
    rest = sorted(set(range(len(cohort.y))) - set(done))
    rows = {1: sorted(rest + done), 5: sorted(rest + done[::5])}
    everybody, fewer = answer
    assert max(everybody, fewer) <= 1, "two shares, between 0 and 1"
    for keep, value, room, whom in (
        (1, everybody, 0.04, "everybody"),
        (5, fewer, 0.02, "one in five"),
    ):
        right = score(oklahoma.subset(cohort, rows[keep]), "before", True)["accuracy"]
        assert abs(value - right) < room, (
            f"with {whom} it is about {right:.2f}: are the classes permuted, and then"
            " balanced before the split?"
        )


@exercise(
    "two things, the balanced accuracy on each split, balanced inside with SMOTEN, and"
    ' which is measurably better ("SMOTEN", "weights" or "neither"),',
    "(inside[key], better)",
)
def b03_support_vector_machines(answer, outer_splits, repaired, mean_over_splits):
    inside, better = answer
    assert len(inside) == outer_splits, f"one number for each of {outer_splits} splits"
    weighted = repaired["COMPLETED", "rbf"]["test_balanced_accuracy"]
    gap = mean_over_splits(inside - weighted)
    assert abs(gap.value) < 0.1, (
        "weights and SMOTEN inside the split hardly differ: were the test rows left as"
        " they are?"
    )
    right = "SMOTEN" if gap.low > 0 else "weights" if gap.high < 0 else "neither"
    assert better == right, f"the interval is {gap.low:+.3f} to {gap.high:+.3f}"


@exercise(
    "two things, the fitted tree and its accuracy on the test set,", "(small, right)"
)
def b04_trees_forests_networks(answer, cohorts):
    tree, accuracy = answer
    cohort = cohorts["COMPLETED", "published"]
    assert tree.get_depth() == 2, f"its depth is {tree.get_depth()}"
    assert set(tree.classes_) == set(cohort.y), "it predicts another target"
    columns = len(cohort.X.columns)
    assert tree.n_features_in_ == columns, "fit it on the published columns"
    people = tree.tree_.n_node_samples[0]
    assert people < len(cohort.y), (
        f"it learned from {people}: fit it on the training set"
    )
    named = hasattr(tree, "feature_names_in_")
    whole = tree.score(cohort.X if named else cohort.X.to_numpy(), cohort.y)
    assert abs(accuracy - whole) < 0.05, (
        f"it is right for {whole:.0%} of all people: which share of the test set is it?"
    )


@exercise(
    "two things, the names of the variables that still have a difference with"
    " `min_n=100`, and whether the model has become fairer (True or False),",
    "(still, False)",
)
def b05_fairness_measures(answer, made, fairness):
    names, fairer = answer
    kept, right = made["COMPLETED"], set()
    for name in kept.groups:
        given = {"sensitive_features": kept.groups[name], "pos_label": "COMPLETE"}
        given |= {"missing": "omit", "min_n": 100}
        of = kept.y, kept.predicted["poly"]
        value = float(fairness.equalized_odds_difference(*of, **given))
        right |= {name} if value == value else set()
    names = names_of(names)
    assert names <= set(kept.groups), f"names such as {kept.groups.columns[0]}"
    for name in sorted(names ^ right):
        raise AssertionError(
            f"{name}: are there two groups in which a rate is over 100 people or more?"
        )
    assert not said(fairer), "the model predicts the same for everybody as before"


@exercise("the row of the demographic parity ratio over pairs", "row")
def b06_interactions_reweighing_worst_case(answer, judge, predictions):
    if hasattr(answer, "squeeze"):  # a table of one row
        answer = answer.squeeze()
    free = judge(predictions["raking"], min_n=0).set_index(["family", "measure"])
    row = free.loc[("pairs", "demographic_parity_ratio")]
    assert abs(answer["value"] - row["value"]) < 0.0051, (
        "judge with `min_n=0`, and take the row of pairs"
    )
    assert answer["lowest"] == row["lowest"], "another group has the lowest rate"


@exercise("the accuracy of the recipe", "made.predicted['rbf'].eq(made.y).mean()")
def b07_what_the_printed_numbers_prove(answer):
    assert abs(answer - 0.25) < 0.06, (
        "where SMOTEN makes no row, four equal classes leave chance, a quarter"
    )


@exercise("the balanced accuracy without the nine features", "score")
def b08_beyond(
    answer, cohort, coding, correspondence, multiclass_scores, parts, truth, SVC
):
    names = [column.rsplit("_", 1)[0] for column in cohort.X.columns]
    keep = [name not in coding.VARIABLES for name in names]
    predicted = []
    for part in parts:
        mca = correspondence.MCA(10).fit(part.X_train[:, keep])
        machine = SVC(class_weight="balanced")
        machine.fit(mca.transform(part.X_train[:, keep]), part.y_train)
        predicted += list(machine.predict(mca.transform(part.X_test[:, keep])))
    right = multiclass_scores.measures(truth, predicted)["balanced_accuracy"]
    assert 0 <= answer <= 1, "the balanced accuracy itself, between 0 and 1"
    assert abs(answer - right) < 0.01, (
        "leave out every column of the nine features before the analysis, and keep its"
        " ten numbers, the machine and the splits"
    )


@exercise(
    "three things, the `effects` and `interactions` of the problem and the ratio of the"
    " first failure,",
    "failed",
)
def c01_the_idea(answer, every, rule_of):
    effects, interactions, ratio = answer
    unit = min(abs(effects)) / (2 * max(abs(interactions)))

    def fails(at):
        outcomes = (every > 0) @ effects + at * unit * interactions
        return (rule_of(outcomes) != every[outcomes.argmax()]).any()

    # A ratio may be rounded, and one below 1 cannot fail (theorem 5.2).
    near = (ratio * (1 + step / 200) for step in range(-10, 11))
    assert any(map(fails, near)), (
        "at this ratio of twice the largest interaction to the smallest effect the"
        " Hamming rule is still the best"
    )
    below = [1 + (0.95 * ratio - 1) * step / 200 for step in range(201)]
    assert ratio < 1.1 or not any(map(fails, below)), (
        "it fails at a smaller ratio already: take smaller steps"
    )


def _with_more_people(answer, simulation):
    world, few, many, gain = answer
    fresh = simulation.draw(world, 10_000, [99, 1, 2])
    rates = []
    for rule in (few, many):
        found = simulation.score(rule.predict(fresh.X), fresh.best, fresh.outcomes)
        rates.append(found["adjusted_mcr"])
    assert rates[0] != rates[1], "two rules: one from 1,000 people, one from 2,000"
    assert max(rates) < 0.4, "advice at random is wrong in about half of the decisions"
    assert abs(gain - (rates[0] - rates[1])) < 0.015, (
        f"on new people the rate goes from {rates[0]:.3f} to {rates[1]:.3f}"
    )


_KEEP = (
    "four things, the world, the rules from 1,000 and from 2,000 people, and by how"
    " much the adjusted rate falls (as a share),"
)
_FOUND = "(world, *rules, rates[0] - rates[1])"


@exercise(_KEEP, _FOUND)
def c02_simulation_right_model(answer, simulation):
    _with_more_people(answer, simulation)


@exercise(_KEEP, _FOUND)
def c03_simulation_wrong_model(answer, simulation):
    _with_more_people(answer, simulation)


@exercise(
    "five numbers, the adjusted rates as it is, with `residual`, with 500 steps and"
    " with both, and what both together do beyond the sum of the two,",
    "(*adjusted, beyond)",
)
def c04_what_the_paper_leaves_open(
    answer, simulation, simulation_study, people_each, seed
):
    *rates, beyond = (float(each) for each in answer)
    as_read, residual, short, both = rates
    recipe = simulation_study.recipes(people_each)["dnn_simple"]
    changes = {}, {"weights": "residual"}, {"steps": 500}
    rules = {
        n: recipe.__class__(**recipe.get_params() | changed)
        for n, changed in enumerate((*changes, changes[1] | changes[2]))
    }
    right = [0.0] * 4
    for repeat in range(3):
        seeds = [[seed, 1, people_each, repeat, purpose] for purpose in range(4)]
        world = simulation.draw_truth("right", seeds[0])
        train, own = (simulation.draw(world, 1000, each) for each in seeds[1:3])
        fitted = simulation_study.fit_rules_together([train], [own], rules)[0][0]
        found = simulation.score_rules(world, 10_000, seeds[3], fitted)
        right = [was + found[n]["adjusted_mcr"] / 3 for n, was in enumerate(right)]
    for value, usual in zip(rates, right, strict=True):
        # From draw to draw such a rate has a standard deviation of 0.02.
        assert abs(value - usual) < 0.08, f"rates like this are about {usual:.2f}"
    assert abs(beyond - (both - residual - short + as_read)) < 0.002, (
        "what both do against the first rate, less what each does against it"
    )


@exercise("the table of `policy.over_splits` with the modelled propensity",
          "policy.over_splits(again)")  # fmt: skip
def c05_diabetes(answer, summary):
    now, before = answer.loc["all four", "T"], summary.loc["all four", "T"]
    assert now != before, (
        f"T of *all four* is {before:.2f} with the marginal propensity"
    )
    assert "additive Q-learning" in answer.index, "judge additive Q-learning, too"
    if "value" in answer:  # the truth is known
        value = answer.loc["all four", "value"]
        assert now < before, f"T of *all four* was {before:.2f} and should come down"
        assert now > value - 2, "T and the value are in points"


@exercise("the value that each order loses, by its number,", "lost_many")
def c06_losses_and_structure(answer, lost_by_order):
    answer = dict(answer)
    assert set(answer) >= {1, 3}, "compare orders 1 and 3"
    assert min(answer[1], answer[3]) >= 0, "a value lost against the best rule"
    assert answer[1] < answer[3], "order 3 loses more: are the two exchanged?"
    before = lost_by_order.loc[0, "order 3"]
    assert answer[3] < before, f"with 2,000 people order 3 loses {before:.3f}, not less"


@exercise(
    "two things, the adjusted misclassification rates by the number of people, and"
    " whether the arms reach additive Q-learning (True or False),",
    "(rows, reaches)",
)
def c07_other_software(answer, here):
    rates, reaches = answer
    rates = {int(people): float(rate) for people, rate in dict(rates).items()}
    assert {5000, 20_000} <= set(rates), "try 5,000 and 20,000 people"
    assert rates[20_000] < rates[5000] < 0.5, (
        "more people in each arm are wrong less often"
    )
    ours = here.set_index(["method", "repeat"])["adjusted_mcr"]
    goal = ours["additive Q-learning, ridge", 0]
    assert said(reaches) == (rates[20_000] <= goal), (
        f"additive Q-learning has {goal:.3f} with 5,000 people"
    )


@exercise("the share of the gain that each design loses, by its name,", "wider")
def c08_sharing_and_scale(answer, lost, DESIGNS):
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


@exercise(
    "the share of each route, one row a substance, alcohol in the first,", "table"
)
def d01_how_real_is_the_twin(answer):
    rows = rows_of(answer)
    assert all(abs(sum(row) - 1) < 0.01 for row in rows), (
        "the shares of a substance sum to 1"
    )
    assert max(rows[0]) > 0.9, "alcohol, in the first row, is nearly always drunk"


@exercise(
    "two things, the number of definitions and the names of the choices that they"
    " share,",
    "(len(fewer), shared)",
)
def d02_three_trials(answer, multiverse, CHOICES):
    number, choices = answer
    fewer = multiverse[multiverse["value"] < 0]
    assert number == len(fewer), "count the definitions with a negative difference"
    choices = names_of(choices)
    assert choices <= set(CHOICES), f"names out of {', '.join(CHOICES)}"
    for choice in CHOICES:
        same = fewer[choice].nunique() == 1
        assert (choice in choices) == same, (
            f"they {'all agree' if same else 'differ'} in {choice}"
        )


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
    assert abs(answer - right) < 0.02, (
        "begin with those who are least likely to stay, and count a part of the last"
        " fifth only"
    )


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


@exercise(
    "two things, the trial, and half the mean width of the intervals by trial, in"
    " people of 100,",
    "(half.idxmax(), half)",
)
def d05_which_medication(answer, gains):
    name, half = answer
    right = {}
    for trial, rules in gains.groupby(level=0):
        wide = [100 * (row.high - row.low) / 2 for row in rules.itertuples()]
        right[trial] = sum(wide) / len(wide)
    if not hasattr(half, "keys"):  # a list, in the order of the trials
        half = dict(zip(right, half, strict=True))
    for trial, width in right.items():
        assert abs(half[trial] - width) < 0.051, (
            f"{trial}: take half of `high` - `low`, the mean of it over the trial's"
            " rules, and count people of 100"
        )
    assert name == max(right, key=right.get), "where are the intervals widest?"


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
    assert said(gains) == (found["difference"]["low"] > 0), "look at the interval"


@exercise("the number of people", "needed")
def d08_real_admissions(answer, fairness):
    fewer = int(0.97 * answer) - 1  # a rounded number will do
    apart = [fairness.detectable_difference(n, rate=0.4) for n in (fewer, answer)]
    assert apart[1] <= 0.1005, f"{answer} people find {100 * apart[1]:.1f} points"
    assert apart[0] > 0.1, "fewer people are enough"
