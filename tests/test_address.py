"""Buttons lead to the repository that a checkout came from, or are not there."""

import subprocess
import sys
import zipfile

import address
import pytest

STATED = "https://github.com/sudlib/sudlib"


@pytest.fixture
def checkout(tmp_path):
    """Return a function that makes a repository with a remote; None: with none."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "pyproject.toml").write_text(
        f'[project.urls]\nRepository = "{STATED}"\n'
    )

    def make(remote):
        if remote:
            command = ["git", "-C", tmp_path, "remote", "add", "origin", remote]
            subprocess.run(command, check=True)
        return tmp_path

    return make


def settings():
    return {
        "repository": {"url": STATED, "branch": "main"},
        "launch_buttons": {"colab_url": "https://colab"},
        "html": {"use_repository_button": True, "use_issues_button": True},
    }


@pytest.mark.parametrize(
    ("remote", "found"),
    [
        ("https://github.com/sudlib/sudlib.git", STATED),
        ("https://github.com/sudlib/sudlib/", STATED),
        ("https://somebody:secret@github.com/sudlib/sudlib", STATED),
        ("git@github.com:sudlib/sudlib.git", STATED),
        ("ssh://git@gitlab.example.org:2222/a/b/c.git", "https://gitlab.example.org/a/b/c"),
        ("/srv/git/sudlib.git", ""),
        ("../sudlib", ""),
        ("file:///srv/git/sudlib.git", ""),
        (None, ""),
    ],
)  # fmt: skip
def test_the_address_is_that_of_the_remote_without_its_password(
    checkout, remote, found
):
    assert address.public_address(checkout(remote)) == found


def test_where_the_book_is_published_every_button_leads_there(checkout):
    root = checkout("git@github.com:sudlib/sudlib.git")
    assert address.with_buttons(settings(), root) == settings()


def test_a_copy_of_somebody_else_links_to_itself_and_has_no_button_of_colab(checkout):
    made = address.with_buttons(settings(), checkout("https://github.com/me/copy"))
    assert made["repository"]["url"] == "https://github.com/me/copy"
    assert "launch_buttons" not in made and made["html"]["use_repository_button"]


@pytest.mark.parametrize("remote", [None, "/srv/git/sudlib.git"])
def test_a_book_without_an_address_has_no_such_button(checkout, remote):
    made = address.with_buttons(settings(), checkout(remote))
    assert "repository" not in made and "launch_buttons" not in made
    assert not any(made["html"].values())


def test_what_a_downloaded_notebook_installs_from_is_a_wheel_beside_it(tmp_path):
    hidden = (
        "import sys, importlib.util\nimportlib.util.find_spec = lambda name: None\n"
    )
    words = [sys.executable, "-c", hidden + address.FROM_WHEEL]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "Upload the wheel" in done.stderr
    words = [sys.executable, "-c", address.FROM_WHEEL]
    assert not subprocess.run(words, cwd=tmp_path).returncode, "it is installed here"


@pytest.mark.slow
def test_the_wheel_beside_the_site_says_its_commit(tmp_path):
    address.add_wheel(tmp_path)
    (wheel,) = (tmp_path / "wheel").iterdir()
    commit = address.book.git_commit(address.ROOT).split()[0]
    assert wheel.name.startswith("sudlib-0.1.0-1.") and commit in wheel.name
    assert "sudlib/files.py" in zipfile.ZipFile(wheel).namelist()
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps", "--target",
         tmp_path / "there", wheel],
    )  # fmt: skip
    assert not done.returncode and (tmp_path / "there" / "sudlib").is_dir()


def test_a_machine_that_cannot_build_a_wheel_says_so(tmp_path, capsys):
    (tmp_path / "nothing").mkdir()
    address.add_wheel(tmp_path, tmp_path / "nothing")
    assert "no wheel beside the site" in capsys.readouterr().err
