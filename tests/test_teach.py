"""Course material: notebooks, marking, slides, questions, terms."""

import ast
import builtins
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import chromium
import glossary
import marking
import nbformat
import notebook_style
import numpy as np
import pandas as pd
import pytest
import questions
import teach
from nbclient import NotebookClient
from sklearn.tree import DecisionTreeClassifier
from sphinx.util.nodes import _make_id

from sudlib import fairness, scores
from sudlib.estimates import mean_over_splits
from sudlib.files import InputError
from sudlib.policy import combinations, simulation

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TWO = [
    path for path in NOTEBOOKS if path.stem in ("a02_forest_general", "c01_the_idea")
]


def solution_lines(path):
    """Return the lines of a notebook's solution that stand nowhere else in it."""
    cells = nbformat.read(path, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if teach.is_solution(cell))
    rest = "\n".join(cell.source for cell in cells if not teach.is_solution(cell))
    lines = notebook_style.without_title(source).split("\n")
    return [line.strip() for line in lines if line.strip() not in rest]


def everything(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


# ------------------------------------------------------------------------ notebooks


@pytest.mark.parametrize("path", TWO, ids=lambda path: path.stem)
def test_the_students_copy_holds_no_solution_and_the_other_one_does(path):
    student, solved = (teach.copy_of(path, solved=each) for each in (False, True))
    lines = solution_lines(path)
    assert len(lines) > 4
    assert not [line for line in lines if line in everything(student)]
    assert not [line for line in lines if line not in everything(solved)]
    assert "A solution</summary>" not in everything(student)
    assert "A hint</summary>" in everything(student)
    assert "A solution</summary>" in everything(solved)
    assert "answer = None" in everything(student)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_student_gets_is_a_notebook_that_leads_nowhere_else(path):
    for solved in (False, True):
        made = teach.copy_of(path, solved=solved)
        nbformat.validate(made)
        ids = [cell["id"] for cell in made.cells]
        assert len(set(ids)) == len(ids)
        text = "\n".join(c.source for c in made.cells if c.cell_type == "markdown")
        assert "](../book/" not in text
        assert not notebook_style._raw(text)
        linked = re.findall(r"\]\((\w+)\.ipynb", text)
        assert set(linked) <= {other.stem for other in NOTEBOOKS}


def test_the_hint_names_what_the_solution_calls_and_nothing_of_the_page():
    [path] = [path for path in TWO if path.stem == "a02_forest_general"]
    words = teach.hint(nbformat.read(path, as_version=4))
    assert "`scores.best_threshold`, `scores.evaluate`" in words
    assert "figures." not in words and "print" not in words


@pytest.mark.parametrize(
    "stem, named",
    [
        ("d03_who_stays", "What you need stands above: `fifths`."),
        (
            "c01_the_idea",
            "What you need stands above: `draw_problem`, `every`, `rule_of`.",
        ),
        ("a01_discharge_records", "The solution calls `cohorts.table`."),
    ],
)
def test_a_hint_names_what_the_solution_begins_with_and_no_line_of_it(stem, named):
    [path] = [path for path in NOTEBOOKS if path.stem == stem]
    assert named in teach.hint(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_hint_holds_names_only(path):
    words = teach.hint(nbformat.read(path, as_version=4))
    assert all(re.fullmatch(r"[\w.]+", name) for name in re.findall("`(.*?)`", words))


# -------------------------------------------------------------------------- marking


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_exercise_is_marked_by_variables_that_its_page_has(path):
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    exercise = [cell for cell in code if teach.is_solution(cell)]
    assert bool(exercise) == (path.stem in marking.EXERCISES)
    if not exercise:
        return
    before, own = set(), set()
    for cell in code:
        for node in ast.walk(ast.parse(cell.source)):
            found = own if cell in exercise else before
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.alias):
                found.add(node.asname or node.name)
            elif isinstance(node, ast.FunctionDef):
                found.add(node.name)
    assert "answer" not in own
    test = marking.EXERCISES[path.stem]
    asked = test.__code__.co_varnames[: test.__code__.co_argcount]
    assert asked[0] == "answer"
    assert set(asked[1:]) <= before
    names = [
        node
        for node in ast.walk(ast.parse(test.solution, mode="eval"))
        if isinstance(node, ast.Name)
    ]
    own |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    assert {node.id for node in names} <= before | own | set(dir(builtins))


def names_in(cells, context):
    return {
        node.id
        for cell in cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, context)
    } | {
        node.name
        for cell in cells
        if cell.cell_type == "code" and context is ast.Store
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("name", marking.EXERCISES)
def test_what_the_page_needs_of_an_exercise_is_asked_for(name):
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    [place] = [n for n, cell in enumerate(cells) if teach.is_solution(cell)]
    before, here, after = cells[:place], [cells[place]], cells[place + 1 :]
    lost = names_in(here, ast.Store) - names_in(before, ast.Store)
    needed = lost & (names_in(after, ast.Load) - names_in(after, ast.Store))
    assert needed <= set(re.findall(r"`(\w+)`", marking.EXERCISES[name].keep))


@pytest.mark.parametrize("name", marking.EXERCISES)
def test_an_empty_answer_is_refused_with_what_to_keep(name):
    for variables in ({}, {"answer": None}):
        with pytest.raises(AssertionError, match="no answer yet: keep .* as `answer`"):
            marking.check(name, variables)


@pytest.mark.parametrize("wrong", [5, "x", [], {}, lambda: 0])
@pytest.mark.parametrize(
    "name",
    [n for n, test in marking.EXERCISES.items() if test.__code__.co_argcount == 1],
)
def test_an_answer_of_another_kind_is_refused_with_what_to_keep(name, wrong):
    with pytest.raises(AssertionError):
        marking.check(name, {"answer": wrong})


def test_an_answer_without_its_notebook_is_told_what_to_run():
    with pytest.raises(AssertionError, match=r"run the cells above first: arms, "):
        marking.check("a02_forest_general", {"answer": 0.2})


@pytest.mark.parametrize(
    "right, wrong",
    [
        (({"average", "places"}, {"average"}), ({"average"}, {"average"})),
        ((["places", "average"], ["average"]), (["places", "average"], ["places"])),
        ((["places", "average"], "average"), (["places", "average"], "places")),
    ],
)
def test_the_heads_that_lose_nothing_are_told_from_those_that_do(right, wrong, capsys):
    marking.check("a05_resnet50_transfer", {"answer": right})
    assert capsys.readouterr().out == "Right.\n"
    with pytest.raises(AssertionError):
        marking.check("a05_resnet50_transfer", {"answer": wrong})


@pytest.mark.parametrize("wrong", [0.9, 0.5, 0.32])
def test_the_recipe_on_noise_with_equal_classes_scores_a_quarter(wrong):
    marking.check("b07_what_the_printed_numbers_prove", {"answer": 0.26})
    with pytest.raises(AssertionError, match="a quarter"):
        marking.check("b07_what_the_printed_numbers_prove", {"answer": wrong})


LEFT = pd.DataFrame({"REASON": [1, 1, 2, 4], "group": list("abab")})
PEOPLE = pd.DataFrame({"sex": [0, 1, 0, 1], "age": [0, 0, 1, 1]})
DONE = pd.Series(["COMPLETE", "INCOMPLETE", "COMPLETE", "COMPLETE"])


def shares(records):
    done = (records["REASON"] == 1).groupby(records["group"]).mean()
    return pd.DataFrame({"share": done})


def cleaned(people):
    columns = ["empty", "SERVICES", "METHFLG"] if people else ["empty"]
    return None, pd.DataFrame({"column": columns})


def odds(y, predicted, *, sensitive_features, min_n, **_):
    return {"sex": 0.12345, "race": np.nan}[sensitive_features.iloc[0]]


def judged(_, min_n=30):
    row = ROW if min_n == 0 else ROW | {"value": 0.5, "lowest": "B 1"}
    named = {"family": "pairs", "measure": "demographic_parity_ratio"}
    return pd.DataFrame([named | row])


def tree(depth=2, rows=3, y=DONE, columns=2):
    one = DecisionTreeClassifier(max_depth=depth, random_state=0)
    X = pd.DataFrame({"sex": [0, 1, 0, 1], "age": [0, 0, 1, 1], "x": 0}).iloc[
        :, :columns
    ]
    if depth == 2:  # a class that needs both questions
        y = pd.Series(y.to_numpy()[[0, 1, 1, 0]])
    return one.fit(X[:rows], y[:rows])


ROW = {"value": 0.0, "lowest": "A 1", "lowest_n": 2, "highest_n": 400}
GROUPS = pd.DataFrame({"a": ["sex"], "b": ["race"]})
KEPT = SimpleNamespace(y=0, predicted={"poly": 0}, groups=GROUPS)
COSTS = pd.DataFrame({"best rules": [2.5, 2.2], "no change": [2.1, 2.1]}, [0.25, 1.0])
ROUTES = pd.DataFrame({"drunk": [0.99, 0.3], "smoked": [0.01, 0.7]})
SPARE = SimpleNamespace(
    spare=np.array([0.1, 0.3, 0.4, 0.6, 0.2]),
    score=np.array([0.3, 0.5, 0.6, 0.9]),
    completed=np.array([0, 1, 1, 1]),
)
WHO = np.arange(40)
MANY = np.random.default_rng(0).random(1000)
DRAWN = np.random.default_rng(1).random(1000) < 0.7 * MANY
LEARN, REPORT = slice(0, 500), slice(500, 1000)


def f05_at(threshold, rows=REPORT):
    return scores.f_beta(DRAWN[rows], MANY[rows] >= threshold)


CUTS = [each / 100 for each in range(100)]
F05_CHOSEN = f05_at(scores.best_threshold(DRAWN[LEARN], MANY[LEARN]))
F05_GRID = f05_at(max(CUTS, key=lambda cut: f05_at(cut, LEARN)))
F05_HALF, F05_BEST = (
    f05_at(0.05),
    f05_at(scores.best_threshold(DRAWN[REPORT], MANY[REPORT])),
)
# Halves: a threshold is then below any F0.5, and could be taken for one.
WATCHED = SimpleNamespace(
    spare=MANY[LEARN] / 2, score=MANY[REPORT] / 2, completed=DRAWN[REPORT]
)


def reached_by(seed, together=False, threshold=False, judged=REPORT):
    """Return F0.5 (or the threshold) of each of 200 draws of the validation set."""
    random, truth, found = np.random.default_rng(seed), DRAWN[LEARN], []
    for _ in range(200):
        parts = (
            [np.arange(500)]
            if together
            else [np.flatnonzero(truth == n) for n in (0, 1)]
        )
        rows = np.concatenate([random.choice(part, len(part)) for part in parts])
        cut = scores.best_threshold(truth[rows], MANY[LEARN][rows])
        found.append(cut / 2 if threshold else f05_at(cut, judged))
    return found


def chances(features):
    """Return chances of not completing and of completing."""
    return np.column_stack([1 - features, features])


ARMS = [
    {"what": what, "value": value, "low": low}
    for what, value, low in (
        ("a", 380.0, None),
        ("b", 400.0, None),
        ("rule", 402.0, 390.0),
        ("best for all", 400.0, 388.0),
        ("difference", 2.0, -5.0),
    )
]
EVERY = combinations(3)


def rule_of(outcomes):
    """Return the combination of the treatments that help on average."""
    return np.where(outcomes @ EVERY > 0, 1, -1)


# Alone, each treatment adds 1; beyond a ratio of 2, all three together lose to two.
MISLED = np.ones(3), np.array([0.0] * 7 + [-1.0])


class Unchanged:
    """An analysis and a machine that give back what they are given."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X

    def predict(self, X):
        return [X.shape[1] / 3]


class Simulated:
    """A simulation whose rates depend on two settings of a rule."""

    def __init__(self, **settings):
        self.settings = settings

    def get_params(self):
        return self.settings

    def recipes(self, people_each):
        return {"dnn_simple": Simulated(weights="raw", steps=1000)}

    def draw_truth(self, setting, seed):
        return None

    def draw(self, world, people, seed):
        return None

    def fit_rules_together(self, trains, validations, rules):
        return [[rules]]

    def score_rules(self, world, people, seed, rules):
        other = {
            n: (r.settings["weights"] == "residual", r.settings["steps"] == 500)
            for n, r in rules.items()
        }
        rate = {(0, 0): 0.27, (1, 0): 0.25, (0, 1): 0.26, (1, 1): 0.25}
        return {n: {"adjusted_mcr": rate[each]} for n, each in other.items()}


MARKED = {
    "a01_discharge_records": (
        {
            "everybody": LEFT,
            "cohorts": SimpleNamespace(table=shares),
            "table": shares(LEFT),
        },
        [
            ([0.5, 1.0], "b"),
            [np.array([0.5, 1.0]), "b"],
            (pd.Series([0.5, 1]), "b"),
            ({"a": 0.5, "b": 1.0}, "b"),
        ],
        [
            ([1.0, 0.5], "b"),
            ([0.5, 0.5], "b"),
            ([50, 100], "b"),
            ([0.5], "b"),
            ([0.5, 1.0], "a"),
            ([0.5, 1.0], "c"),
            [0.5, 1.0],
        ],
    ),
    "a02_forest_general": (
        {
            "arms": {"repaired": SPARE},
            "completed": pd.Series([0, 1, 1, 1, 0]),
            "parts": SimpleNamespace(threshold=[0, 1, 2, 3, 4]),
            "scores": scores,
        },
        [(0.3, 0.75), [np.float64(0.22), 0.75], (0.2345, 0.751)],
        [(0.5, 1.0), (0.3, 1.0), (0.15, 0.6), 0.3, (0.3, 75)],
    ),
    "a03_forest_methadone": (
        {
            "arms": {"repaired": WATCHED},
            "scores": scores,
            "validation": pd.Series(DRAWN[LEARN]),
            "seed": 33,
        },
        # Drawn with and without regard to the outcome, and rounded.
        [reached_by(1), reached_by(2, together=True), np.round(reached_by(3), 2)],
        [
            reached_by(1, threshold=True),
            reached_by(1)[:100],
            reached_by(1, judged=LEARN),
            [F05_CHOSEN] * 200,
        ],
    ),
    "a06_fine_tuning": (
        {
            "tuned": {
                "one": (SimpleNamespace(loss=0.5), None),
                "two": (SimpleNamespace(loss=0.4), None),
                "the best trained epoch": (SimpleNamespace(loss=0.3), None),
            }
        },
        ["two"],
        ["one", "the best trained epoch", ["two"], 0.4],
    ),
    "a11_all_years_at_once": (
        {
            "models": {2015: SimpleNamespace(predict_proba=chances)},
            "oldest": 2015,
            "features_last": np.array([0.2, 0.5, 0.7]),
            "truth_last": np.array([1, 1, 0]),
        },
        # By bisection: the mean of the shifted chances is then two thirds.
        [1.0009, np.float64(1.000)],
        [0.2, -1.0009, 0, 0.5],
    ),
    "d03_who_stays": (
        {"fifths": pd.DataFrame({"people": [100, 100, 50], "events": [20, 60, 50]})},
        # 60 of 120 leave among the first 75 of 250.
        [0.3, np.float64(0.29), 0.31],
        [0.5, 0.4, 30, 0.2],
    ),
    "d06_stroke": (
        {
            "plane": pd.DataFrame(
                {
                    "outcome": ["dead or dependent", "major bleeding"],
                    "value": [12.0, -2.0],
                },
                ["aspirin", "aspirin"],
            )
        },
        [6, 6.2, np.float64(5.9)],
        [1 / 6, -6, 10, 14, "6"],
    ),
    "d07_diabetes_observed": (
        {
            "trials": SimpleNamespace(
                read_recorded=lambda name: {"tables": {"actg": ARMS}}
            )
        },
        [("b", False), ["b", np.False_], ("b", 0), ("b", "False")],
        [("a", False), ("b", True), ("b", "no"), ("rule", False), "b"],
    ),
    "a08_experiment_1_side_by_side": (
        {
            "score": {"one": WHO / 8, "two": WHO / 4},
            "best_picture": "one",
            "lightgbm": "two",
            "truth": WHO > 19,
            "found": {
                arm: scores.evaluate(
                    WHO > 19, WHO % shift, n_resamples=50, band=False, seed=0
                )
                for arm, shift in (("one", 3), ("two", 4))
            },
            "scores": scores,
            "seed": 0,
            "n_resamples": 50,
        },
        [(WHO * 3 / 16, True), [pd.Series(WHO * 3 / 16).round(3), np.True_]],
        [
            (WHO * 3 / 16, False),
            (WHO * 3 / 16, "no"),
            (WHO * 3 / 16, "False"),
            (WHO / 8, True),
            (WHO[:3], True),
            WHO * 3 / 16,
        ],
    ),
    "a10_heroin_to_other_opioids": (
        {
            "draws": [(np.arange(0, 500), np.arange(500, 1000))] * 2,
            "network_scores": lambda learn, rows: {
                "network, two parameters": MANY[rows]
            },
            "scores": scores,
            "target": (None, DRAWN),
        },
        [[F05_CHOSEN] * 2, [F05_GRID, F05_CHOSEN], np.array([round(F05_GRID, 2)] * 2)],
        [[F05_HALF] * 2, [F05_CHOSEN], [F05_CHOSEN, F05_HALF], [F05_BEST] * 2],
    ),
    "b01_oklahoma_records": (
        {
            "dropped": cleaned(0)[1],
            "everybody": None,
            "everyone": False,
            "seed": 1,
            "coding": SimpleNamespace(clean=cleaned),
            "oklahoma": SimpleNamespace(select_people=lambda _, **which: 1),
        },
        [{"SERVICES", "METHFLG"}, ["empty", "METHFLG", "SERVICES"]],
        [["SERVICES"], "SERVICES", "empty", ["SERVICES", "METHFLG", "AGE"], []],
    ),
    "b04_trees_forests_networks": (
        {"cohorts": {("COMPLETED", "published"): SimpleNamespace(X=PEOPLE, y=DONE)}},
        [(tree(), 0.5), [tree(), 0.48]],
        [
            (tree(depth=1), 0.5),
            (tree(rows=4), 0.5),
            (tree(columns=3), 0.5),
            (tree(y=DONE + "?"), 0.0),
            (tree(), 0.7),
            (tree(), 98),
            tree(),
        ],
    ),
    "b05_fairness_measures": (
        {
            "made": {"COMPLETED": KEPT},
            "fairness": SimpleNamespace(equalized_odds_difference=odds),
        },
        [(["a"], False), [{"a"}, False], ("a", np.False_), (pd.Index(["a"]), 0)],
        [
            (["a"], "no"),
            (["a"], True),
            ([], False),
            (["a", "b"], False),
            (["age"], False),
            ["a"],
        ],
    ),
    "b06_interactions_reweighing_worst_case": (
        {"judge": judged, "predictions": {"raking": None}},
        [ROW, pd.Series(ROW), pd.DataFrame([ROW]), ROW | {"value": 0.002}],
        [ROW | {"value": 0.5}, ROW | {"lowest": "B 1"}, 0.0],
    ),
    "b02_balancing": (
        {
            "cohort": SimpleNamespace(y=["COMPLETE"] * 10 + ["INCOMPLETE"] * 20),
            "oklahoma": SimpleNamespace(subset=lambda cohort, rows: len(rows)),
            "score": lambda rows, balance, permuted: {
                "accuracy": {30: 0.77, 22: 0.95}[rows] if balance == "before" else 0
            },
        },
        [(0.77, 0.95), [0.8, 0.94], np.array([0.75, 0.96])],
        [(0.95, 0.77), (0.77, 0.92), (0.84, 0.95), (77, 95), 0.95],
    ),
    "b03_support_vector_machines": (
        {
            "outer_splits": 4,
            "repaired": {
                ("COMPLETED", "rbf"): {"test_balanced_accuracy": np.full(4, 0.6)}
            },
            "mean_over_splits": mean_over_splits,
        },
        [
            ([0.6, 0.61, 0.59, 0.6], "neither"),
            (np.array([0.65, 0.66, 0.65, 0.66]), "SMOTEN"),
        ],
        [
            ([0.6, 0.61, 0.59, 0.6], "weights"),
            ([0.65, 0.66, 0.65, 0.66], "neither"),
            ([0.9, 0.91, 0.9, 0.9], "SMOTEN"),
            ([0.6, 0.61], "neither"),
        ],
    ),
    "b08_beyond": (
        {
            "cohort": SimpleNamespace(X=pd.DataFrame(columns=["A_1", "SEX_1", "B_2"])),
            "coding": SimpleNamespace(VARIABLES=["SEX"]),
            "correspondence": SimpleNamespace(MCA=lambda numbers: Unchanged()),
            "multiclass_scores": SimpleNamespace(
                measures=lambda truth, made: {"balanced_accuracy": made[0]}
            ),
            "parts": [SimpleNamespace(X_train=np.eye(3), X_test=np.eye(3), y_train=0)],
            "truth": None,
            "SVC": lambda **_: Unchanged(),
        },
        [0.667, np.float64(0.67)],
        [1.0, 66.7, 0.1, [0, 2]],
    ),
    "c01_the_idea": (
        {"every": EVERY, "rule_of": rule_of},
        [(*MISLED, 2.02), [*MISLED, 2.0], (*MISLED, np.float64(2.05))],
        [(*MISLED, 1.2), (*MISLED, 8.0), (*MISLED, 3.0), 2.0],
    ),
    "c04_what_the_paper_leaves_open": (
        {
            "simulation": Simulated(),
            "simulation_study": Simulated(),
            "people_each": 200,
            "seed": 33,
        },
        [
            (0.27, 0.25, 0.26, 0.25, 0.01),
            np.array([0.28, 0.25, 0.26, 0.24, 0.01]),
            (0.33, 0.31, 0.32, 0.31, 0.01),  # of another draw
        ],
        [
            (0.27, 0.25, 0.26, 0.25, -0.03),
            (0.27, -0.02, -0.01, -0.02, 0.01),
            (0.5, 0.25, 0.26, 0.25, 0.24),
            (27, 25, 26, 25, 1),
            (0.27, 0.25, 0.26, 0.25),
        ],
    ),
    "c06_losses_and_structure": (
        {"lost_by_order": pd.DataFrame({"order 3": [0.1]})},
        [{1: 0.005, 3: 0.04}, pd.Series({1: 0.005, 3: 0.04})],
        [{1: 0.04, 3: 0.005}, {1: 0.005, 3: 0.2}, {1: 0.005}, [0.005, 0.04]],
    ),
    "c07_other_software": (
        {
            "here": pd.DataFrame(
                {
                    "method": "additive Q-learning, ridge",
                    "repeat": [0, 1],
                    "adjusted_mcr": [0.27, 0.2],
                }
            )
        },
        [
            ({5000: 0.3, 20_000: 0.25}, True),
            (pd.Series({"20000": 0.28, "5000": "0.300"}), np.False_),
        ],
        [
            ({5000: 0.25, 20_000: 0.3}, False),
            ({5000: 0.3}, False),
            ({5000: 0.3, 20_000: 0.25}, False),
            ({5000: 0.3, 20_000: 0.28}, True),
            {5000: 0.3, 20_000: 0.25},
        ],
    ),
    "c10_outcomes_and_visits": (
        {},
        [COSTS, COSTS[::-1], COSTS.iloc[:, ::-1], COSTS.to_numpy()],
        [COSTS.set_axis([1.0, 0.25]), COSTS.iloc[[0, 0]], COSTS.T],
    ),
    "d01_how_real_is_the_twin": (
        {},
        [ROUTES, ROUTES.to_numpy(), ROUTES.to_numpy().tolist()],
        [ROUTES.T, 100 * ROUTES, ROUTES[::-1], ROUTES["drunk"]],
    ),
    "d02_three_trials": (
        {
            "multiverse": pd.DataFrame(
                {"value": [-1, -2, 3], "missing": list("nnp"), "reports": [0, 1, 0]}
            ),
            "CHOICES": {"missing": "pn", "reports": (0, 1)},
        },
        [(2, ["missing"]), [np.int64(2), "missing"], (2, {"missing"})],
        [(3, ["missing"]), (2, []), (2, ["missing", "reports"]), (2, "urine"), 2],
    ),
    "d05_which_medication": (
        {
            "gains": pd.DataFrame(
                {"low": [-0.03, -0.03, -0.1], "high": [0.03, 0.05, 0.1]},
                ["0027", "0027", "0051"],
            )
        },
        [
            ("0051", {"0027": 3.5, "0051": 10}),
            ["0051", pd.Series({"0027": 3.53, "0051": 10.0})],
            ("0051", [3.5, 10.0]),
        ],
        [
            ("0027", {"0027": 3.5, "0051": 10}),
            ("0051", {"0027": 7, "0051": 20}),
            ("0051", [10.0, 3.5]),
            ("0051", [3.5]),
            {"0027": 3.5},
        ],
    ),
    "d08_real_admissions": (
        {"fairness": fairness},
        [189, 190, np.int64(188)],
        [95, 94, 250, 0.19, 47],
    ),
    "d04_is_it_fair": (
        {
            "opportunity": pd.DataFrame(
                {"people": [90, 40, 60], "low": 0.2, "high": [0.4, 0.6, 0.5]},
                ["age", "work", "work"],
            )
        },
        [("work", 40.0, 160), ["work", np.float64(40), np.int64(160)]],
        [("age", 20, 360), ("work", 20, 160), ("work", 40, 80), ("student", 40, 160)],
    ),
}


@pytest.mark.parametrize("name", ["c02_simulation_right_model"])
def test_a_gain_is_that_of_two_rules_on_new_people_of_one_world(name):
    world = simulation.draw_truth("right", 33)
    given = np.random.default_rng(1)

    def rule(share):
        """Return a rule that is right in a share of the decisions."""
        return SimpleNamespace(
            predict=lambda X: np.where(
                given.random((len(X), 5)) < share, np.sign(world.effects(X)), 1
            )
        )

    few, many, coin = rule(0.7), rule(0.8), rule(0)
    fresh = simulation.draw(world, 10_000, 5)
    rates = [
        simulation.score(each.predict(fresh.X), fresh.best, fresh.outcomes)
        for each in (few, many)
    ]
    gain = rates[0]["adjusted_mcr"] - rates[1]["adjusted_mcr"]
    variables = {"simulation": simulation}
    marking.check(name, variables | {"answer": (world, few, many, gain)})
    for wrong in (
        (world, few, many, -gain),
        (world, few, many, 100 * gain),
        (world, coin, many, gain),
        (world, many, gain),
    ):
        with pytest.raises(AssertionError):
            marking.check(name, variables | {"answer": wrong})


@pytest.mark.parametrize("name", MARKED)
def test_a_right_answer_in_another_form_is_accepted_and_a_wrong_one_told_why(name):
    variables, right, wrong = MARKED[name]
    for answer in right:
        marking.check(name, variables | {"answer": answer})
    for answer in wrong:
        with pytest.raises(AssertionError, match=r"\w"):
            marking.check(name, variables | {"answer": answer})


def test_an_answer_that_cannot_be_read_is_told_what_to_keep():
    with pytest.raises(AssertionError, match="another form .*: keep the price"):
        marking.check("d06_stroke", {"answer": "six", "plane": None})


def marked(path, tmp_path, monkeypatch, wrong=""):
    """Run a solved copy up to its marking; return what the marking printed.

    ``wrong`` is an answer that is tried after the right one.
    """
    monkeypatch.setenv("SUDLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shutil.copy(marking.__file__, tmp_path)
    notebook = teach.copy_of(path, solved=True)
    [last] = [n for n, cell in enumerate(notebook.cells) if cell["id"] == "marking"]
    notebook.cells = notebook.cells[: last + 1]
    if wrong:
        again = f"answer = {wrong}\ntry:\n    check({path.stem!r}, globals())\n"
        notebook.cells[last].source += f"\n{again}except AssertionError as error:"
        notebook.cells[last].source += "\n    print(error)"
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    return "".join(output.text for output in notebook.cells[last].outputs)


def test_the_solutions_answer_is_accepted_and_a_wrong_one_refused(
    tmp_path, monkeypatch
):
    [path] = [path for path in NOTEBOOKS if path.stem == "c01_the_idea"]
    said = marked(path, tmp_path, monkeypatch, "*failed[:2], 0.5")
    assert said.startswith("Right.\nat this ratio of twice the largest interaction")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(marking.EXERCISES))
def test_every_solution_is_accepted(name, tmp_path, monkeypatch):
    path = ROOT / "notebooks" / f"{name}.ipynb"
    assert marked(path, tmp_path, monkeypatch) == "Right.\n"


# --------------------------------------------------------------------------- slides


@pytest.fixture
def run_page():
    """Make a small executed page: title, glance, a figure, a table, a summary."""
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell

    def said(kind, text):
        output = nbformat.v4.new_output("display_data", data={kind: text})
        return code("secret = 1", outputs=[output])

    figure = (
        '<figure class="sudlib"><svg></svg><img class="untrusted" src="x"></figure>'
    )
    return nbformat.v4.new_notebook(
        cells=[
            markdown("# Why?\n\nBecause.\n\nReading: 5 minutes."),
            said("text/markdown", "**At a glance.**\nIt *is* so."),
            markdown("Words.\n\n## Result\n\nMore words."),
            said("text/html", figure),
            said("text/html", "<table></table>"),
            markdown("## Summary"),
            said("text/markdown", "* See [there](b.ipynb).\n\nNext: [more](b.ipynb)"),
            markdown("## Provenance"),
            said("text/html", '<table class="provenance"></table>'),
        ]
    )


def test_slides_are_title_glance_figures_and_take_away(run_page):
    texts = teach.slide_texts(run_page)
    assert texts == [
        "# Why?\n\nBecause.",
        "**At a glance.**\nIt *is* so.",
        '## Result\n\n<figure class="sudlib"><svg></svg></figure>',
        "## Take-away\n\n* See there.",
    ]
    page = teach.slides_of(run_page)
    assert page.count("<section ") == 4
    assert "<em>is</em>" in page and "secret" not in page
    assert not re.findall(r'(?:src|href)="https?:', page)  # no network


def test_slides_under_one_heading_say_which_of_them_they_are(run_page):
    run_page.cells.insert(4, run_page.cells[3])
    heads = [text.partition("\n")[0] for text in teach.slide_texts(run_page)]
    assert heads[2:] == ["## Result (1 of 2)", "## Result (2 of 2)", "## Take-away"]


def test_a_summary_without_numbers_is_a_take_away_too(run_page):
    del run_page.cells[6]
    for end in ("\n* Next: [more](b.ipynb), or not.", "\n\n## Notes\n\nMore."):
        run_page.cells[5].source = f"## Summary\n\n* It is so.{end}"
        assert teach.slide_texts(run_page)[-1] == "## Take-away\n\n* It is so."
    [path] = [path for path in NOTEBOOKS if path.stem == "claims"]
    page = nbformat.read(path, as_version=4)
    [last] = [each for each in teach.slide_texts(page) if "Take-away" in each]
    assert last.startswith("## Take-away\n\n* Every claim") and "Next" not in last


@pytest.mark.skipif(bool(chromium.LACKING), reason=chromium.LACKING)
@pytest.mark.parametrize(("width", "height"), [(470, 200), (200, 470)])
def test_a_figure_fills_its_slide_so_that_the_last_row_can_read_it(
    width, height, run_page, tmp_path
):
    size = f'viewBox="0 0 {width} {height}"'
    size += f' style="width:{width}px;max-width:100%;height:auto"'  # as on a page
    run_page.cells[3].outputs[0].data["text/html"] = (
        f'<figure class="sudlib"><svg {size}><rect width="{width}" height="{height}"/>'
        "</svg><figcaption>It is so.</figcaption></figure>"
    )
    (tmp_path / "slides.html").write_text(teach.slides_of(run_page), encoding="utf-8")
    tab = chromium.Browser(tmp_path / "tab")
    try:
        tab.visit((tmp_path / "slides.html").as_uri())  # 1280 by 900 pixels
        wide, high, slide = tab.run(
            "(() => { const r = document.querySelector('rect').getBoundingClientRect();"
            " const s = document.querySelector('rect').closest('section');"
            " return [r.width, r.height, s.getBoundingClientRect().height]; })()"
        )
    finally:
        tab.close()
    assert abs(wide / high - width / height) < 0.01, "it is not stretched"
    assert slide <= 901, "nothing is cut off"
    assert wide > 900 or high > 500


def test_what_was_not_run_has_no_slides_and_is_named(run_page, tmp_path):
    (tmp_path / "run").mkdir()
    nbformat.write(run_page, tmp_path / "run" / "c01_the_idea.ipynb")
    names = [path.stem for path in TWO]
    out = tmp_path / "out"
    assert teach.make(names, tmp_path / "run", out) == ["a02_forest_general"]
    assert [page.stem for page in out.glob("slides/*.html")] == ["c01_the_idea"]
    for folder in ("student", "solutions"):
        made = {file.name for file in (out / folder).iterdir()}
        assert made == {"marking.py", *(f"{name}.ipynb" for name in names)}
    assert (out / "slides" / "mathjax" / "tex-chtml.js").exists()


def test_an_unknown_notebook_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="no notebook 'z99'; there are a01_"):
        teach.make(["z99"], tmp_path, tmp_path)


# ------------------------------------------------------------------------ questions

ASKED = questions.read()


def test_every_chapter_has_five_questions():
    counted = {path.stem: len(ASKED.get(path.stem, [])) for path in NOTEBOOKS}
    assert {stem: n for stem, n in counted.items() if n != 5} == {}
    assert set(ASKED) == set(counted)


@pytest.mark.parametrize("stem", ASKED)
def test_a_question_has_one_right_answer_two_wrong_ones_and_a_reason(stem):
    for question in ASKED[stem]:
        assert set(question) == {"ask", "right", "wrong", "why"}
        found = questions.options(question)
        assert len({option.casefold() for option in found}) == 3
        assert question["why"].endswith(".")
        assert question["why"].count(". ") == 0, "one sentence"


@pytest.mark.parametrize("stem", ASKED)
def test_a_reason_names_no_option_by_its_place(stem):
    place = r"\bThe (first|second|third|last|former|latter|other two)\b"
    for question in ASKED[stem]:  # options are shown in the order of the alphabet
        assert not re.search(place, question["why"]), question["ask"]


def test_the_place_and_the_length_of_an_option_do_not_give_it_away():
    every = [question for asked in ASKED.values() for question in asked]
    places = [questions.options(each).index(each["right"]) for each in every]
    assert max(places.count(place) for place in range(3)) < 0.45 * len(every)
    longest = [len(q["right"]) > max(map(len, q["wrong"])) for q in every]
    # A third would be longest by chance; two standard errors above that are 0.40.
    assert sum(longest) < 0.4 * len(every)


@pytest.mark.parametrize("stem", ASKED)
def test_the_right_options_of_a_chapter_stand_in_different_places(stem):
    places = [questions.options(each).index(each["right"]) for each in ASKED[stem]]
    assert len(set(places)) > 1


def test_a_question_works_by_keyboard_and_without_scripts():
    block = questions.block("a02_forest_general", ASKED["a02_forest_general"])
    assert block.count("<fieldset") == block.count("<legend>") == 5
    for number in range(1, 6):
        assert block.count(f'type="radio" name="a02_forest_general-{number}"') == 3
    assert block.count("<label>") == 15
    assert block.count("<details><summary>Answer to question") == 5
    assert "script" not in block and "onclick" not in block


def test_the_letter_shown_is_that_of_the_right_option():
    question = {
        "ask": "`a` *or* <b>?",
        "right": "b",
        "wrong": ["A", "c"],
        "why": "It is.",
    }
    block = questions.block("x", [question])
    assert "<legend>1. <code>a</code> <em>or</em> &lt;b&gt;?</legend>" in block
    assert "<strong>B.</strong> It is." in block and "> B. b</label>" in block
    plain = questions.plain_block([question])
    assert "* B. b\n" in plain and "**B.** It is." in plain


def test_questions_stand_below_the_summary():
    markdown = nbformat.v4.new_markdown_cell
    cells = [markdown("# One"), markdown("## Summary"), markdown("## Provenance")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    questions.add(notebook, "a02_forest_general")
    titles = [cell.source.split("\n")[0] for cell in notebook.cells]
    assert titles == ["# One", "## Summary", questions.TITLE, "## Provenance"]
    assert len(questions.add(notebook, "no_such_page").cells) == 4


# ------------------------------------------------------------------------- glossary


def terms_in(text):
    return re.findall(r'<a class="term"[^>]*>([^<]*)</a>', text)


def test_the_first_use_of_a_term_is_linked_with_its_meaning_and_no_other():
    link = glossary.linker("b03_support_vector_machines")
    text = link("Two kernels. A kernel, and average\nprecision.")
    assert terms_in(text) == ["kernels", "average\nprecision"]
    assert 'href="../book/glossary.html#term-kernel"' in text
    assert 'title="A function that says how alike two people are;' in text
    assert terms_in(link("The kernel again; equalized odds.")) == ["equalized odds"]


@pytest.mark.parametrize(
    "text",
    [
        "# Equalized odds",
        "`regret` and ``a ` regret``",
        "```python\nregret = 1\n```",
        "````{admonition} regret\n```\nregret\n```\nregret\n````",
        "    regret = 1",
        "$regret$ and $$\nregret\n$$",
        "[the regret](c01_the_idea.ipynb), [[regret, 2001]](../book/references.md#a)",
        '<img alt="the regret\nof it">',
        '<a href="x">regret</a><summary>regret</summary><!-- regret -->',
        "{{ regret }} {cite:p}`regret`",
        "regrettable, no-regret, regret-free",
        "![regret](a.png) https://regret.org",
    ],
)
def test_headings_code_formulas_links_and_tags_are_left_alone(text):
    assert glossary.linker("c05_diabetes")(text) == text


def test_a_word_with_two_meanings_is_linked_where_it_is_the_term():
    for page, found in (
        ("b03_support_vector_machines", ["kernel"]),
        ("study_b", ["kernel"]),
        ("how_to_rerun", ["verdict"]),
        ("c01_the_idea", ["verdict", "value"]),
    ):
        text = "The kernel, the verdict, the values and the value."
        assert sorted(terms_in(glossary.linker(page)(text))) == sorted(found)


def test_the_longest_term_wins():
    link = glossary.linker("b03_support_vector_machines")
    assert terms_in(link("By nested cross-validation.")) == ["nested cross-validation"]


def test_outputs_and_code_cells_of_a_notebook_are_left_alone():
    cells = [
        nbformat.v4.new_code_cell("regret = 1"),
        nbformat.v4.new_markdown_cell("Its regret."),
        nbformat.v4.new_markdown_cell("The regret."),
    ]
    made = glossary.add(nbformat.v4.new_notebook(cells=cells), "c05_diabetes").cells
    assert made[0].source == "regret = 1" and made[2].source == "The regret."
    assert terms_in(made[1].source) == ["regret"]


def test_terms_are_in_the_order_of_the_alphabet_and_explained_in_one_or_two_sentences():
    terms = list(glossary.read())
    assert terms == sorted(terms, key=str.casefold)
    for term, meaning in glossary.read().items():
        assert 1 <= len(re.findall(r"[.?](?= [A-Z]|$)", meaning)) <= 2, term
    asked = (
        "equalized odds, SMOTEN, kernel, propensity, Hamming loss, regret, doubly"
        " robust, average precision, nested cross-validation, off-policy evaluation,"
        " misspecified, individualised treatment rule, overlap"
    )
    assert set(asked.split(", ")) <= set(terms)


def test_every_term_has_the_id_that_sphinx_gives_it():
    ids = [glossary.anchor(term) for term in glossary.read()]
    assert ids == [f"term-{_make_id(term)}" for term in glossary.read()]
    assert len(set(ids)) == len(ids)
    assert set(glossary.ONLY) <= set(glossary.read())


@pytest.mark.parametrize("term", ["Cramér's V", "F0.5", "k-means", "ROC curve"])
def test_a_term_has_the_id_that_sphinx_gives_it(term):
    from sphinx.util.nodes import _make_id

    assert glossary.anchor(term) == _make_id(f"term-{term}")


@pytest.fixture
def small_root(tmp_path):
    """Return a checkout of one notebook, without its words on copyright."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book" / "_static" / "mathjax").mkdir(parents=True)
    shutil.copy(TWO[0], tmp_path / "notebooks")
    return tmp_path


def test_a_shell_line_in_a_page_stops_no_course(small_root):
    path = small_root / "notebooks" / TWO[0].name
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(5, nbformat.v4.new_code_cell("files = !ls"))
    nbformat.write(notebook, path)
    made = teach.make([], small_root / "executed", small_root / "out", small_root)
    assert made == [TWO[0].stem]
    notebook.cells[5].source = "x = = 1"
    nbformat.write(notebook, path)
    with pytest.raises(InputError, match=f"{path.name}, cell 6"):
        teach.make([], small_root / "executed", small_root / "out", small_root)


@pytest.mark.parametrize("content", ["", '{"cells": [', '{"a": 1}'])
def test_an_executed_page_that_was_cut_off_is_named(small_root, content):
    run = small_root / "executed" / TWO[0].name
    run.parent.mkdir()
    run.write_text(content)
    with pytest.raises(InputError, match=TWO[0].name):
        teach.make([], run.parent, small_root / "out", small_root)


def test_a_place_that_cannot_be_written_to_is_named(capsys):
    assert teach.main(["--out", str(ROOT / "README.md"), TWO[0].stem]) == 2
    assert "README.md" in capsys.readouterr().err


def test_no_number_is_no_right_answer():
    scores = {"best": np.array([0.2, 0.4]), "lightgbm": np.array([0.4, 0.6])}
    given = {"score": scores, "best_picture": "best", "lightgbm": "lightgbm"}
    given |= {"truth": np.array([0, 1]), "seed": 1, "n_resamples": 1}
    given |= {"found": {}, "scores": None}
    mean = np.array([0.3, np.nan])
    with pytest.raises(AssertionError, match="half way"):
        marking.check(
            "a08_experiment_1_side_by_side", {"answer": (mean, True), **given}
        )
    costs = [[1.0, 0.5], [np.nan, 0.5], [0.6, 0.5]]
    with pytest.raises(AssertionError, match="never changing"):
        marking.check("c10_outcomes_and_visits", {"answer": costs})
