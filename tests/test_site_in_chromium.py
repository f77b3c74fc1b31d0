"""The built site in a real browser: silent, within its width, and accessible.

``make book`` builds the site that is looked at; axe-core is fetched with npm.
"""

import subprocess
import tarfile
from pathlib import Path
from shutil import which

import pytest
from chromium import LACKING, Browser
from conftest import ROOT

SITE = ROOT / "_build" / "html"
PAGES = sorted(
    path
    for path in SITE.rglob("*.html")
    if "_static" not in path.relative_to(SITE).parts
    # Listings of source code are the theme's, made from one template.
    and "_modules" not in path.relative_to(SITE).parts
    # The site's own first file only sends the reader on to the first page.
    and path != SITE / "index.html"
)
#: The version whose rules the book is held to.
AXE = "axe-core@4.10.3"
#: Success criteria of WCAG 2.1, levels A and AA.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
RUN_AXE = f"""axe.run(document, {{runOnly: {RULES}, resultTypes: ["violations"]}}).then(
  (found) => found.violations.map((one) => one.id + ": " + one.help + " at "
    + one.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(" | ")))"""

pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=LACKING or "here"),
    pytest.mark.skipif(not PAGES, reason="no site is built: run `make book` first"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """Return the script of axe-core, or skip where npm cannot fetch it."""
    if not which("npm"):
        pytest.skip("npm is not installed, which fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    words = ["npm", "pack", "--silent", AXE, "--pack-destination", str(folder)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    packed = list(folder.glob("*.tgz"))
    if done.returncode or not packed:
        pytest.skip(f"npm cannot fetch {AXE}: {done.stderr.strip()[:80]}")
    with tarfile.open(packed[0]) as opened:
        return opened.extractfile("package/axe.min.js").read().decode()


def named(path):
    return path.relative_to(SITE).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_page_opens_without_an_error_and_fits_a_phone(browser, path):
    """It asks no other machine for anything, either."""
    assert not browser.visit(path.as_uri())
    browser.resize(390, 844)
    assert browser.run("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", PAGES, ids=named)
def test_axe_finds_nothing_that_shuts_a_reader_out(browser, axe, path, dark):
    browser.visit(path.as_uri(), dark=dark)
    browser.run(axe)
    assert not browser.run(RUN_AXE)


def test_what_an_error_is_these_checks_can_see(browser, tmp_path):
    """A page with every fault they look for; without it they could see nothing."""
    page = Path(tmp_path) / "bad.html"
    page.write_text(
        "<title>bad</title><div style='width: 2000px'>wide</div>"
        "<script src='gone.js'></script><script>console.error('said')</script>"
        "<script>thrown()</script><img src='http://127.0.0.1:9/picture.png'>"
    )
    said = "\n".join(browser.visit(page.as_uri()))
    for fault in ("gone.js", "said", "thrown is not defined", "127.0.0.1:9"):
        assert fault in said
    browser.resize(390, 844)
    assert browser.run("document.documentElement.scrollWidth") > 390
