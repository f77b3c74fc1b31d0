"""The wing stands alone: four libraries, fairlearn's signatures, one surface."""

import inspect
import re
import subprocess
import sys

import pytest

from sudlib import fairness

# What NumPy, SciPy, pandas and scikit-learn bring along is theirs.
ALLOWED = {
    *("numpy", "scipy", "pandas", "sklearn"),
    *(
        "cloudpickle",
        "dateutil",
        "joblib",
        "narwhals",
        "pytz",
        "six",
        "threadpoolctl",
        "tzdata",
    ),
}

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder

class Block(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in {allowed!r} | {{"sudlib"}} | set(sys.stdlib_module_names):
            if not top.startswith("_"):
                raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Block())
try:
    import fairlearn
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("the block does not work")
from sudlib import fairness

groups = {{"sex": list("ffmmm") * 20, "age": list("oyoyy") * 20}}
true, predicted = [1, 0, 1, 0, 0] * 20, [1, 0, 0, 1, 0] * 20
for measure in fairness.MEASURES:
    getattr(fairness, measure)(true, predicted, sensitive_features=groups)
fairness.assess(true, predicted, sensitive_features=groups, families=["pairs"])
fairness.fair_null(true, predicted, sensitive_features=groups)
fairness.interactions(groups, true, sizes=(2,))
fairness.Reweighing(variant="raking", sets="each").fit(groups, true)
print(sorted(
    module for module in sys.modules
    if module.startswith("sudlib.") and not module.startswith("sudlib.fairness")
))
"""


def test_it_needs_numpy_scipy_pandas_and_scikit_learn_only():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(allowed=ALLOWED)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rooms = {
        f"sudlib.{name}"
        for name in ("classes", "estimates", "files", "raking", "validation")
    }
    assert set(eval(done.stdout)) == rooms


@pytest.mark.parametrize("name", list(fairness.MEASURES))
def test_measures_have_fairlearns_signature_and_documentation(name):
    measure = getattr(fairness, name)
    parameters = list(inspect.signature(measure).parameters.values())
    assert [p.name for p in parameters[:2]] == ["y_true", "y_pred"]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[2:])
    weight = inspect.signature(measure).parameters["sample_weight"]
    assert weight.default is None
    assert measure.__name__ == measure.__qualname__ == name
    assert f">>> {name}(" in measure.__doc__ and "{" not in measure.__doc__.replace(
        '{"', ""
    )
    assert ("smallest ratio" in measure.__doc__) == name.endswith("ratio")


def test_every_measure_reports_the_number_of_its_example():
    true, predicted = [1, 1, 0, 0] * 2, [1, 0, 1, 0, 1, 1, 1, 1]
    for name in fairness.MEASURES:
        found = getattr(fairness, name)(
            true, predicted, sensitive_features=list("aaaabbbb")
        )
        assert found == 0.5 and repr(found) == str(found) == "0.5"


def test_the_surface_is_what_all_lists():
    assert fairness.__all__ == sorted(
        fairness.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    for name in fairness.__all__:
        assert getattr(fairness, name) is not None
    assert fairness.disparate_impact is fairness.demographic_parity_ratio


@pytest.mark.parametrize(
    "name", [name for name in fairness.__all__ if name[0].islower()] + ["Reweighing"]
)
def test_documented_defaults_are_the_defaults(name):
    public = getattr(fairness, name)
    parameters = inspect.signature(public).parameters
    documented = re.findall(
        r"^ +(\w+) :[^\n]*?(?:\\?\n)? *default=(\S.*)$", public.__doc__, re.M
    )
    for parameter, default in documented:
        assert parameters[parameter].default == eval(default), parameter
    if name in ("assess", "fair_null", "interactions", "Reweighing"):
        assert len(documented) >= 2
