"""A headless Chromium, driven through its own protocol."""

import json
import shutil
import subprocess
import time
import urllib.request
from importlib.util import find_spec

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
#: Why no page can be opened here, or ''.
LACKING = (
    f"none of {', '.join(BROWSERS)} is here"
    if not BROWSER
    else ""
    if find_spec("websocket")
    else "websocket-client is not installed"
)


def wait_for(ask, seconds, what):
    """Return what ``ask`` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := ask():
                return found
        except (OSError, ValueError):
            pass
        time.sleep(0.3)
    raise TimeoutError(f"waited {seconds} s for {what}")


def stop(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Browser:
    """One tab of a headless Chromium."""

    def __init__(self, folder):
        command = [
            BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu",
            "--remote-debugging-port=0", "--remote-allow-origins=*",
            f"--user-data-dir={folder}", "--window-size=1280,900", "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self.connect(folder / "DevToolsActivePort")
        except BaseException:
            stop(self.process)
            raise

    def connect(self, written):
        import websocket

        lines = wait_for(lambda: written.read_text().split(), 30, "Chromium")
        address = f"http://127.0.0.1:{lines[0]}/json"

        def tabs():
            found = json.load(urllib.request.urlopen(address, timeout=5))
            return [tab for tab in found if tab["type"] == "page"]

        tab = wait_for(tabs, 30, "a tab of Chromium")[0]
        self.socket = websocket.create_connection(
            tab["webSocketDebuggerUrl"], timeout=300
        )
        self.number = 0
        self.events = []

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(
            json.dumps({"id": self.number, "method": method, "params": parameters})
        )
        while True:
            said = json.loads(self.socket.recv())
            if said.get("id") == self.number:
                assert "error" not in said, said
                return said["result"]
            self.events.append(said)

    def run(self, script):
        """Return what a script in the tab evaluates to, once its promise is kept."""
        found = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def resize(self, width, height):
        """Show the page in a window of this size; a narrow one is a phone's."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    def visit(self, address, *, dark=False):
        """Open a page and return what its console says that is an error."""
        for part in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{part}.enable")
        self.resize(1280, 900)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        # By way of an empty page, which is waited for: a page may be opened twice.
        self.call("Page.navigate", url="about:blank")
        empty = "location.href == 'about:blank' && document.readyState == 'complete'"
        wait_for(lambda: self.run(empty), 60, "an empty page")
        self.events.clear()
        self.call("Page.navigate", url=address)
        ready = "location.href != 'about:blank' && document.readyState == 'complete'"
        wait_for(lambda: self.run(ready), 60, address)
        self.run("new Promise((done) => setTimeout(done, 200))")
        return [words for event in self.events if (words := error_of(event))]

    def close(self):
        self.socket.close()
        stop(self.process)


def error_of(event):
    """Return what is wrong by an event of Chromium, or ''."""
    given = event.get("params", {})
    match event.get("method"):
        case "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            return details.get("exception", {}).get("description", details["text"])
        case "Log.entryAdded" if given["entry"]["level"] == "error":
            return f"{given['entry']['text']} {given['entry'].get('url', '')}"
        case "Runtime.consoleAPICalled" if given["type"] in ("error", "assert"):
            return " ".join(str(each.get("value", "")) for each in given["args"])
        case "Network.requestWillBeSent":
            address = given["request"]["url"]
            if not address.startswith(("file:", "data:", "blob:", "about:")):
                return f"asks another machine for {address}"
    return ""
