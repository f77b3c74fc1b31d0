"""The script that makes the environment chooses an interpreter by running it."""

import os
import stat

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
