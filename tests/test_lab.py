"""A page in a real JupyterLab, driven through Chromium's own protocol."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from chromium import LACKING, Browser, stop, wait_for

from sudlib.book import figures

ROOT = Path(__file__).resolve().parent.parent
SMALL = {"max_records": 8000, "max_people": 3000, "trees": 0.02, "more_splits": 1}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKING), reason=LACKING or "here"),
    pytest.mark.skipif(
        not find_spec("jupyterlab"),
        reason="JupyterLab is not installed beside this Python",
    ),
]


def of_somebody_else():
    """Return an executed notebook with a figure, which nobody here has trusted."""
    figure, axes = figures.canvas()
    axes.plot([1, 2], [1, 2])
    with mock.patch("IPython.display.display") as display:
        figures.show(figure, "A line rises", "It rises.")
    output = nbformat.v4.new_output("display_data", data=display.call_args[0][0])
    cells = [
        nbformat.v4.new_code_cell("show()", execution_count=1, outputs=[output]),
        nbformat.v4.new_markdown_cell("The end."),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab on a small copy of a page; return how to open it."""
    folder = tmp_path_factory.mktemp("lab")
    pages = folder / "pages"
    pages.mkdir()
    notebook = nbformat.read(ROOT / "notebooks" / "a02_forest_general.ipynb", 4)
    notebook.metadata.kernelspec.name = "python3"
    [cell] = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    for name, value in SMALL.items():
        cell.source = re.sub(rf"(?m)^({name}:[^=]*=) \w+", rf"\1 {value}", cell.source)
    nbformat.write(notebook, pages / "page.ipynb")
    nbformat.write(of_somebody_else(), pages / "theirs.ipynb")
    # All cells are drawn at once, so that all can be read.
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    search = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root",
            "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={pages}", "--IdentityProvider.token=",
            "--LabApp.expose_app_in_browser=True",
        ],
        env={
            **os.environ,
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "SUDLIB_RESULTS": str(folder / "results"),
            "PYTHONPATH": search,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(
            lambda: urllib.request.urlopen(f"{address}/api", timeout=5),
            90,
            "JupyterLab",
        )
        browser = Browser(folder / "profile")
        try:
            yield browser, address
        finally:
            browser.close()
    finally:
        stop(server)


PANEL = "[...window.jupyterapp.shell.widgets('main')].find(w => w.sessionContext)"


def open_page(browser, address, name):
    browser.call("Page.navigate", url=f"{address}/lab/tree/{name}?reset")
    time.sleep(1)
    ready = (
        f"(() => {{ const app = window.jupyterapp; if (!app) return false;"
        f" const panel = {PANEL}; if (!panel) return false;"
        " app.shell.activateById(panel.id);"
        " return panel.content.widgets.length > 1 && panel.sessionContext.isReady; })()"
    )
    wait_for(lambda: browser.run(ready), 90, "the notebook in JupyterLab")


def run_all(browser):
    browser.run("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    wait_for(
        lambda: browser.run(
            f"{PANEL}.content.widgets.filter(c => c.model.type == 'code')"
            ".every(c => c.model.executionCount && c.prompt != '*')"
        ),
        300,
        "all cells",
    )
    time.sleep(1)  # what is drawn after the last message


def text_of(browser):
    return browser.run(f"{PANEL}.content.node.innerText")


def check_reads_well(text):
    assert not re.search(r"\{[\w:+-]+\}`", text), "a role is shown raw"
    assert not re.search(r"(```|:::)\s*\{", text), "a directive is shown raw"
    assert "appear when all cells have run" not in text
    assert "Traceback" not in text
    assert "run.say(" not in text and "run.keep(" not in text
    assert re.search(r"has an F0\.5 of 0\.\d\d \(0\.\d\d to 0\.\d\d\)", text)
    assert "[Breiman, 2001]" in text and "A solution" in text


def test_sentences_with_numbers_are_whole_and_follow_the_parameters(lab):
    browser, address = lab
    open_page(browser, address, "page.ipynb")
    run_all(browser)
    first = text_of(browser)
    check_reads_well(first)
    browser.run(
        f"{PANEL}.content.widgets.filter(c => c.model.type == 'code').slice(1, 2)"
        ".forEach(c => c.model.sharedModel.setSource("
        "c.model.sharedModel.getSource().replace('int = 33', 'int = 7')))"
    )
    run_all(browser)
    second = text_of(browser)
    check_reads_well(second)

    def glance(text):
        return re.search(r"At a glance\..*?for its forest", text, re.S)[0]

    assert glance(first) != glance(second)


def test_the_figures_of_a_notebook_that_is_not_trusted_are_seen(lab):
    browser, address = lab
    open_page(browser, address, "theirs.ipynb")
    seen = (
        "[...document.querySelectorAll('figure svg, figure img')]"
        ".filter(e => e.checkVisibility()).map(e => [e.tagName, e.naturalWidth > 100])"
    )
    assert wait_for(lambda: browser.run(seen), 30, "the figure") == [["IMG", True]]
    # Trusted, the drawing stands in its place.
    browser.run(
        f"{PANEL}.content.widgets.filter(c => c.model.type == 'code')"
        ".forEach(c => { c.model.trusted = true; })"
    )
    wait_for(
        lambda: [tag for tag, _ in browser.run(seen)] == ["svg"], 30, "the drawing"
    )
