"""pyproject.toml, environment.yml and the lock file say the same."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"matplotlib-base": "matplotlib", "jupyter_client": "jupyter-client"}


def project():
    """Return the requirements of pyproject.toml, by name; all extras but two."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = dict(table["optional-dependencies"])
    for name in ("gpu", "cluster"):  # few have one: installed by hand
        extras.pop(name)
    lines = [*table["dependencies"], *sum(extras.values(), [])]
    needs = [Requirement(line) for line in lines]
    return [need for need in needs if need.name != "sudlib"]


def test_the_gpu_extra_has_the_bounds_of_the_backend_it_extends():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (line,) = table["optional-dependencies"]["gpu"]
    known = {need.name: need.specifier for need in project()}
    assert Requirement(line).specifier == known["jax"]


def conda():
    """Return name -> bounds of environment.yml, pip's part included."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    lines = [line for line in listed if isinstance(line, str)]
    lines += [
        part for entry in listed if isinstance(entry, dict) for part in entry["pip"]
    ]
    found = {}
    for line in lines:
        if line.startswith("-"):
            continue
        name, _, bounds = line.partition(" ")
        found[CONDA_NAMES.get(name, name)] = SpecifierSet(bounds)
    return found


def locked():
    """Return (name, version, marker) for every pin of the lock file."""
    pins = re.findall(
        r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]*))?",
        (ROOT / "requirements.lock").read_text(),
        re.M,
    )
    return [(name, version, marker.strip()) for name, version, marker in pins]


def test_conda_and_pip_have_the_same_bounds():
    wanted = {need.name: need.specifier for need in project()}
    wanted["tensorflow"] = wanted.pop("tensorflow-cpu")
    found = conda()
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert found.pop("python") == SpecifierSet(table["requires-python"])
    found.pop("pip")
    assert found == wanted


def pip_part():
    """Return the lines that conda gives to pip, without their comments."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (lines,) = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    return lines


def test_pip_can_read_every_line_that_conda_gives_it():
    """A file of requirements knows ``-e .`` but no ``--no-deps`` before it."""
    *packages, own = pip_part()
    assert own == "-e ."
    for line in packages:
        Requirement(line)


@pytest.mark.slow
def test_the_pip_part_of_the_conda_file_installs_and_its_kernel_runs_a_page(tmp_path):
    """Beside the packages that conda would bring: here those of this environment."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (place,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (place / "conda.pth").write_text("\n".join(here) + "\n")
    copy = tmp_path / "checkout"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(".venv", "_build", ".git", ".snakemake"),
    )
    # Conda writes such a file beside environment.yml and calls pip there.
    (copy / "pip.txt").write_text("\n".join(pip_part()) + "\n")
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", "pip.txt"],
        cwd=copy,
        capture_output=True,
        text=True,
    )
    if (
        "NameResolutionError" in done.stderr
        or "No matching distribution" in done.stderr
    ):
        pytest.skip(f"pip reaches no packages: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    subprocess.run([python, "-m", "sudlib.book.jupyter_kernel", "install"], check=True)
    words = ["workflow/book.py", "--only", "c01_the_idea", "--jobs", "1"]
    done = subprocess.run([python, *words], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (copy / "_build/quick/results/c01_the_idea.json").exists()


def test_every_line_of_the_conda_file_says_why():
    text = (ROOT / "environment.yml").read_text()
    lines = text.split("dependencies:\n")[1].splitlines()
    assert not [line for line in lines if "#" not in line and "pip:" not in line]


def test_the_lock_satisfies_every_bound():
    pins = {}
    for name, version, _ in locked():
        pins.setdefault(name, []).append(version)
    for need in project():
        assert need.name in pins, f"{need.name} is not in the lock file"
        for version in pins[need.name]:
            assert need.specifier.contains(version), f"{need.name} {version}"


def test_every_pin_has_a_hash_and_none_an_address():
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"^(?=\S)", text, flags=re.M)[1:]
    assert len(blocks) > 50
    assert not [block[:40] for block in blocks if "--hash=sha256:" not in block]
    assert not re.search(r"(https?|file)://", text)


def test_the_extra_all_is_all_but_tests_gpu_and_cluster():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = table["optional-dependencies"]
    (line,) = extras["all"]
    assert Requirement(line).extras == set(extras) - {"all", "test", "gpu", "cluster"}
    assert Requirement(line).name == table["name"]


ALONE = """
import importlib.abc, sys
import numpy, pandas, scipy.stats, sklearn.linear_model, sklearn.model_selection
import sklearn.utils.estimator_checks  # what scikit-learn itself brings along

class Refuse(importlib.abc.MetaPathFinder):
    # Lazily loaded parts of the four may ask for whatever they like.
    def find_spec(self, name, path, target=None):
        first, caller = name.partition(".")[0], sys._getframe(1)
        while caller and "importlib" in caller.f_code.co_filename:
            caller = caller.f_back
        if first in {FORBIDDEN!r} and "sudlib" in caller.f_code.co_filename:
            raise ImportError(f"{name} is not among the four")

sys.meta_path.insert(0, Refuse())
from sudlib import fairness, policy
rng = numpy.random.default_rng(1)
X, A = rng.normal(size=(80, 2)), rng.choice([-1, 1], size=(80, 2))
y = X[:, 0] * A[:, 0] + A[:, 1]
print(policy.AdditiveQLearner().fit(X, A, y).predict(X)[:, 1].mean())
print(sorted({name.partition(".")[0] for name in sys.modules} & set({FORBIDDEN!r})))
"""


def test_fairness_and_policy_need_four_packages_only():
    """As they are installed by themselves: every other package is refused them."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bare = {Requirement(line).name for line in table["dependencies"]}
    assert bare == {"numpy", "pandas", "scikit-learn", "scipy"}
    others = (
        "matplotlib keras tensorflow jax torch imblearn fairlearn lightgbm IPython"
        " pooch requests tqdm pyarrow seaborn PIL yaml nbformat myst_nb"
    ).split()
    code = ALONE.replace("{FORBIDDEN!r}", repr(others))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "1.0", "it learns to give the second"
    loaded = set(ast.literal_eval(done.stdout.splitlines()[1]))
    assert not loaded - {"pyarrow"}, "pandas itself may load pyarrow"


def test_the_running_environment_is_the_locked_one():
    import importlib.metadata

    differing = {}
    for name, version, marker in locked():
        from packaging.markers import Marker

        if marker and not Marker(marker).evaluate():
            continue
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = None
        if installed != version:
            differing[name] = (version, installed)
    if len(differing) > 20:
        pytest.skip(f"not run in the locked environment: {len(differing)} differ")
    assert not differing


#: What a package is imported as, where that is not its name.
IMPORTED = {
    "IPython": "ipython",
    "PIL": "pillow",
    "imblearn": "imbalanced-learn",
    "joblib": "scikit-learn",  # which runs on it
    "jupyter_client": "jupyter-client",
    "myst_nb": "myst-nb",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
#: Backends of Keras and Dask, which are used where they are installed.
OPTIONAL = {"dask", "distributed", "jax", "tensorflow", "torch"}


def imports(folder):
    """Return the packages that the code below a folder imports, each with a file."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], path.name)
    return found


def test_every_package_that_the_library_imports_is_declared():
    declared = {need.name for need in project()} | {"sudlib"}
    undeclared = {
        name: file
        for name, file in imports(ROOT / "sudlib").items()
        if name not in sys.stdlib_module_names
        and name not in OPTIONAL
        and IMPORTED.get(name, name) not in declared
    }
    assert not undeclared


EVERY_MODULE = """
import importlib, pkgutil, sys
import sudlib
assert "site-packages" in sudlib.__file__, sudlib.__file__
names = [m.name for m in pkgutil.walk_packages(sudlib.__path__, "sudlib.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.mark.slow
def test_every_module_of_the_wheel_imports_where_only_what_it_declares_is(tmp_path):
    uv = (sys.executable, "-m", "uv")
    subprocess.run([*uv, "build", "-q", "--wheel", ROOT, "-o", tmp_path], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv = tmp_path / "venv"
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, venv], check=True)
    python = venv / "bin" / "python"
    # The versions of the lock file, which are in uv's cache.
    pins = tmp_path / "pins.txt"
    pins.write_text(
        "".join(f"{n}=={v} ; {m}\n" if m else f"{n}=={v}\n" for n, v, m in locked())
    )
    install = ["pip", "install", "-q", "--python", python, "--constraint", pins]
    done = subprocess.run(
        [*uv, *install, f"sudlib[all] @ {wheel.as_uri()}"],
        capture_output=True,
        text=True,
    )
    if "dns error" in done.stderr or "Failed to fetch" in done.stderr:
        pytest.skip("uv reaches no packages")
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [python, "-I", "-c", EVERY_MODULE], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 100


@pytest.mark.slow
def test_a_wheel_as_colab_installs_it_finds_its_data(tmp_path):
    uv = (sys.executable, "-m", "uv")
    subprocess.run([*uv, "build", "-q", "--wheel", ROOT, "-o", tmp_path], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "sudlib/py.typed" in names, "its annotations count for who installs it"
    assert "sudlib/_data/style/claims.html" in names
    site = tmp_path / "site"
    subprocess.run(
        [*uv, "pip", "install", "-q", "--no-deps", "--target", site, wheel], check=True
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "import sudlib.files, sudlib.teds.codebook\n"
            "assert sys.argv[1] in sudlib.files.__file__, sudlib.files.__file__\n"
            "print(sudlib.teds.codebook.size(2018),"
            " sudlib.files.data_file('README.md'))",
            site,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1666366") and "_data" in done.stdout
