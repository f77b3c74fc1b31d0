"""Download a file so that nothing is lost and nothing wrong is kept.

pooch verifies a download and puts it in its place; its own downloader begins again
each time.  The one here goes on where an earlier one stopped, and several addresses
are tried in turn.  Used by :func:`sudlib.teds.fetch` and for the weights of networks.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import TqdmWarning, tqdm

with warnings.catch_warnings():
    # pooch looks for a widget to show progress in; ours is a line of text.
    warnings.simplefilter("ignore", TqdmWarning)
    import pooch
import requests  # comes with pooch


class DownloadError(Exception):
    """No address gave the file; the message has a line for each that was tried."""


def system_cache() -> Path:
    """Return the folder where this system keeps what can be downloaded again.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> system_cache().name
    'sudlib'
    """
    return Path(pooch.os_cache("sudlib"))


def download(
    urls: Iterable[str],
    path: Path,
    *,
    sha256: str | None = None,
    good: Callable[[Path], bool] | None = None,
    wrong: str = "another file (wrong SHA-256, or not a zip)",
    tries: int = 3,
    timeout: tuple[float, float] = (15, 60),
) -> None:
    """Download a file from the first address that has the right one.

    Parameters
    ----------
    urls : iterable of str
        Addresses, the most likely first.
    path : pathlib.Path
        Where the file goes, whole or not at all.  What has come so far of a broken
        download waits beside it, in a file that ends in ``.part``.
    sha256 : str, optional
        What the file must have.
    good : callable, optional
        Told the path, says whether the file is what it should be.
    wrong : str, optional
        What is said of an address that has another file.
    tries : int, default=3
        How often each address is asked without a byte more.
    timeout : tuple of float, default=(15, 60)
        Seconds to wait for a connection, and for the next bytes.

    Raises
    ------
    DownloadError
        If no address gave the file.
    """
    part = path.with_name(path.name + ".part")
    failures = []
    for url in urls:
        # What was left of an earlier run may be of another file: then once more.
        for _ in range(2 if part.exists() else 1):
            try:
                downloader = Resume(part, tries, timeout=timeout)
                _retrieve(url, path, downloader, sha256, good)
                return
            except requests.RequestException as error:
                failures.append(f"{url}: {_reason(error)}")
                break
            except ValueError:  # from pooch: another hash
                failures.append(f"{url}: {wrong}")
                part.unlink(missing_ok=True)
    raise DownloadError("\n  ".join(failures))


def _retrieve(
    url: str,
    path: Path,
    downloader: Resume,
    sha256: str | None,
    good: Callable[[Path], bool] | None,
) -> None:
    """Download one address with pooch; raise ValueError if it is another file."""
    log = pooch.get_logger()
    level = log.level
    # Without a hash pooch logs a line of advice that is not for our readers.
    log.setLevel("ERROR")
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=path.name,
            path=path.parent,
            downloader=downloader,
        )
    finally:
        log.setLevel(level)
    if good is not None and not good(path):
        path.unlink()
        raise ValueError("not what it should be")


def _reason(error: requests.RequestException) -> str:
    """Return in a line why a download failed."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, BrokenOff):
        return str(error)
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)


class BrokenOff(requests.ConnectionError):
    """A download ended before its end."""


@dataclass
class Resume:
    """A downloader for pooch that goes on where an earlier one stopped.

    Parameters
    ----------
    part : pathlib.Path
        Holds what has come so far, and stays when the download breaks off.
    tries : int
        How often to ask again without a byte more before giving up.
    pause : float
        Seconds before asking again.
    timeout : tuple of float
        Seconds to wait for a connection, and for the next bytes.
    """

    part: Path
    tries: int = 3
    pause: float = 1.0
    timeout: tuple[float, float] = (15, 60)

    def __call__(self, url: str, output_file: Any, pooch_instance: Any) -> None:
        """Download ``url`` to ``output_file``."""
        tries_left, size = self.tries, -1
        while True:
            try:
                self._ask(url)
                break
            except requests.RequestException as error:
                got = self._size()
                tries_left = self.tries if got > size >= 0 else tries_left - 1
                size = got
                if tries_left <= 0 or not _may_pass(error):
                    raise
                time.sleep(self.pause)
        os.replace(self.part, output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _ask(self, url: str) -> None:
        """Ask once for what is missing, and append what comes."""
        got = self._size()
        headers = {"Accept-Encoding": "identity"}
        if got:
            headers["Range"] = f"bytes={got}-"
        with requests.get(
            url, headers=headers, stream=True, timeout=self.timeout
        ) as response:
            span = re.fullmatch(
                r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)",
                response.headers.get("Content-Range", "").strip(),
            )
            total = span[2] if span else response.headers.get("Content-Length")
            total = int(total) if total and total.isdigit() else None
            if response.status_code == 416:  # nothing is missing, or too much is here
                if total == got:
                    return
                self.part.unlink()
                raise BrokenOff("what was here is longer than the file")
            response.raise_for_status()
            goes_on = (
                response.status_code == 206 and span and span[1] and int(span[1]) == got
            )
            if response.status_code == 206 and not goes_on:
                self.part.unlink(missing_ok=True)
                raise BrokenOff("the server sent another part than was asked for")
            with (
                open(self.part, "ab" if goes_on else "wb") as stream,
                tqdm(
                    desc=Path(url).name,
                    initial=got if goes_on else 0,
                    total=total,
                    unit="B",
                    unit_scale=True,
                    leave=False,
                ) as bar,
            ):
                # Small pieces: a piece that breaks off is lost.
                for chunk in response.iter_content(2**13):
                    stream.write(chunk)
                    bar.update(len(chunk))
        if total is not None and self._size() < total:
            raise BrokenOff(f"broke off after {self._size():,} of {total:,} bytes")


def _may_pass(error: requests.RequestException) -> bool:
    """Tell whether it makes sense to ask again."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in (408, 425, 429, 500, 502, 503, 504)
    chunk = requests.exceptions.ChunkedEncodingError
    return isinstance(error, requests.ConnectionError | requests.Timeout | chunk)
