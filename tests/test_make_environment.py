"""The script that makes the environment chooses an interpreter by running it."""

import hashlib
import os
import stat
import subprocess
import sys
import zipfile

import environment
import pytest


def shim(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Make a folder of fake interpreters the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PYTHON", raising=False)
    return tmp_path


def test_a_shim_that_fails_and_a_wrong_version_are_passed_over(only):
    shim(only, "python3", "exit 127")
    shim(only, "python3.13", "echo 3 10")
    shim(only, "python3.12", "echo 3 12")
    assert environment.find_python() == "python3.12"


def test_no_usable_python_is_said_with_what_was_found(only):
    shim(only, "python3", "echo 3 14")
    with pytest.raises(SystemExit) as caught:
        environment.find_python()
    said = str(caught.value)
    assert "needs Python 3.11, 3.12 or 3.13" in said and "python3 is 3.14" in said


def test_a_named_python_is_the_only_one_tried(only, monkeypatch):
    shim(only, "python3", "echo 3 11")
    monkeypatch.setenv("PYTHON", os.fspath(shim(only, "mine", "echo 3 13")))
    assert environment.find_python().endswith("mine")


def test_the_pin_of_one_package_is_cut_out_with_its_hashes():
    pin = environment.locked("uv")
    assert pin.startswith("uv==") and "--hash=sha256:" in pin
    assert pin.count("==") == 1


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Return the Python of an empty environment, and a wheel of a small uv."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    wheel = folder / "uv-1.0-py3-none-any.whl"
    about = "uv-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("uv/__init__.py", "")
        packed.writestr("uv/__main__.py", "print('uv 1.0')")
        said = "Metadata-Version: 2.1\nName: uv\nVersion: 1.0\n"
        packed.writestr(f"{about}/METADATA", said)
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "")
    return folder / "venv" / "bin" / "python", wheel


@pytest.mark.parametrize(
    "misleading",
    [
        {"PIP_USER": "1"},
        {"PIP_TARGET": "{}/elsewhere"},
        {"PIP_PREFIX": "{}/elsewhere", "PIP_ROOT": "{}"},
        {"PIP_REQUIRE_VIRTUALENV": "1", "PIP_NO_BINARY": ":all:", "PIP_DRY_RUN": "1"},
        {"PYTHONHOME": "{}", "PYTHONPATH": "{}", "PYTHONWARNINGS": "error"},
        {"UV_TARGET": "{}", "UV_SYSTEM_PYTHON": "1", "VIRTUAL_ENV": "{}"},
        {"PIP_CONFIG_FILE": "user = true"},
    ],
    ids=str,
)
def test_what_the_caller_has_set_for_other_environments_leads_nowhere(
    fresh, tmp_path, monkeypatch, misleading
):
    python, wheel = fresh
    pin = f"uv==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    monkeypatch.setattr(environment, "locked", lambda name: pin)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # where packages come from is kept
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    for name, value in misleading.items():
        if name == "PIP_CONFIG_FILE":
            (tmp_path / "pip.conf").write_text(f"[install]\n{value}\n")
            value = "{}/pip.conf"
        monkeypatch.setenv(name, value.format(tmp_path))
    environment.install_uv(python)
    environment.call(python, "-m", "pip", "uninstall", "-q", "-y", "uv")


def test_a_pip_that_installs_elsewhere_is_said_with_the_remedy(
    fresh, tmp_path, monkeypatch
):
    python, wheel = fresh
    pin = f"uv==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    monkeypatch.setattr(environment, "locked", lambda name: pin)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    (tmp_path / "pip.conf").write_text(f"[install]\ntarget = {tmp_path}/there\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with pytest.raises(SystemExit, match="pip config unset install.target"):
        environment.install_uv(python)


def test_make_hides_another_pythons_variables_from_what_it_calls():
    makefile = (environment.ROOT / "Makefile").read_text()
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV"):
        assert f" {name}" in " ".join(
            line for line in makefile.splitlines() if line.startswith("unexport")
        )


# ------------------------------------------------------- broken, moved, of another lock


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Stand a small environment in .venv's place; note what main() would do."""
    done = []

    def run(words, **keywords):
        if "venv" in words:
            done.append("made anew")
            python = venv / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            shim(python.parent, "python", "exit 0")
            return subprocess.CompletedProcess(words, 0)
        return real(words, **keywords)

    real, venv = subprocess.run, tmp_path / ".venv"
    monkeypatch.setattr(environment, "VENV", venv)
    monkeypatch.setattr(environment, "STAMP", venv / "installed.sha256")
    monkeypatch.setattr(environment, "LOCK", tmp_path / "requirements.lock")
    environment.LOCK.write_text("numpy==2\n")
    monkeypatch.setattr(environment, "install_uv", lambda python: None)
    monkeypatch.setattr(environment, "call", lambda *words: done.append(words[3]))
    monkeypatch.setattr(environment.subprocess, "run", run)
    environment.main()
    assert done[0] == "made anew"
    done.clear()

    def again():
        environment.main()
        return done

    again.venv = venv
    return again


def test_an_environment_that_is_whole_is_left_alone(place):
    assert place() == []


def test_another_lock_file_is_installed_into_the_same_environment(place):
    environment.LOCK.write_text("numpy==3\n")
    done = place()
    assert done and "made anew" not in done


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "it has no Python (the Python it was made from is gone)"),
        ("echo papermill kernel", "it lacks papermill, kernel"),
        ("echo 'No module named encodings' >&2; exit 1", "its Python stops: No module"),
        ("", "it was made elsewhere"),
    ],
)
def test_a_broken_or_moved_environment_is_made_anew(place, capsys, text, said):
    python = place.venv / "bin" / "python"
    if text is None:
        python.unlink()
        python.symlink_to(place.venv / "gone")
    elif text:
        shim(python.parent, "python", text)
    else:
        lines = environment.STAMP.read_text().replace(str(place.venv), "/elsewhere")
        environment.STAMP.write_text(lines)
    assert place()[0] == "made anew"
    assert said in capsys.readouterr().out
    assert environment.what_is_broken(python) == ""


def test_what_an_environment_lacks_is_found_by_its_own_python(fresh):
    said = environment.what_is_broken(fresh[0])
    assert said.startswith("it lacks snakemake, ") and said.endswith(", kernel")


def test_an_installation_that_was_interrupted_begins_again(place, monkeypatch):
    def stop(*words):
        raise KeyboardInterrupt

    environment.LOCK.write_text("numpy==3\n")
    with monkeypatch.context() as patch:
        patch.setattr(environment, "call", stop)
        with pytest.raises(KeyboardInterrupt):
            place()
    environment.LOCK.write_text("numpy==2\n")
    assert place(), "the old stamp is not believed"


def test_a_word_too_many_makes_nothing():
    script = environment.__file__
    done = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "It takes no arguments, not --help." in done.stderr
    assert not done.stdout
