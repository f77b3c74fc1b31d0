"""Downloading, held against a server of our own that misbehaves in every known way."""

import collections
import doctest
import errno
import hashlib
import http.server
import io
import stat
import threading
import warnings
import zipfile

import numpy as np
import pytest

from sudlib import downloads, teds
from sudlib.files import InputError
from sudlib.teds import agency_files, registry

YEAR = 2018
# Some 200 KB that do not shrink in a zip, so that a break falls in the middle.
NOISE = np.random.default_rng(0).integers(0, 2**31, 20_000)
TABLE = b"DISYR,LOS\r\n" + b"".join(b"2018,%d\r\n" % (n % 37 + 1) for n in NOISE)


def zipped(entries, compress=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compress) as bundle:
        for name, content in entries.items():
            entry = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            entry.compress_type = compress
            bundle.writestr(entry, content)
    return stream.getvalue()


BUNDLE = zipped({"readme.pdf": b"%PDF", "tedsd_puf_2018.csv": TABLE})


class Server:
    """A server on this machine; ``way`` says how it answers each path."""

    def __init__(self):
        self.ways = {}
        self.asked = []
        self.sent = collections.Counter()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, self.headers.get("Range")))
                outer.ways[self.path](self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def answer(request, status, body=b"", **headers):
    request.send_response(status)
    headers.setdefault("Content_Length", str(len(body)))
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


def whole(body):
    """Answer with the file; ranges too."""

    def way(request):
        span = request.headers.get("Range")
        if not span:
            return answer(request, 200, body)
        start = int(span.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            return answer(request, 416, Content_Range=f"bytes */{len(body)}")
        answer(
            request,
            206,
            body[start:],
            Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}",
        )

    return way


def no_ranges(body):
    """Answer with the whole file, whatever was asked for."""
    return lambda request: answer(request, 200, body)


def breaks(body, after, times=10**6, ranges=True):
    """Die after some bytes of each answer, so many times."""
    left = [times]

    def way(request):
        span = request.headers.get("Range") if ranges else None
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        if left[0] <= 0:
            return (whole if ranges else no_ranges)(body)(request)
        left[0] -= 1
        request.send_response(206 if span else 200)
        request.send_header("Content-Length", str(len(body) - start))
        if span:
            content = f"bytes {start}-{len(body) - 1}/{len(body)}"
            request.send_header("Content-Range", content)
        request.end_headers()
        request.wfile.write(body[start : start + after])
        request.wfile.flush()
        request.connection.close()

    return way


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Do not wait between tries, and never ask the real agency."""
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    monkeypatch.delenv("SUDLIB_CACHE", raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def offer(server, monkeypatch):
    """Make the registry name our server: offer(way, way ...) for newest first."""

    def set_up(*ways, bundle=BUNDLE, table=TABLE, known=True):
        urls = []
        for place, way in enumerate(ways):
            path = f"/{place}/teds.zip"
            server.ways[path] = way
            urls.append(server.url(path))
        digest = hashlib.sha256
        download = teds.Download(
            year=YEAR,
            zip="teds.zip",
            zip_bytes=len(bundle) if known else None,
            zip_sha256=digest(bundle).hexdigest() if known else None,
            csv="tedsd_puf_2018.csv",
            csv_bytes=len(table) if known else None,
            csv_sha256=digest(table).hexdigest() if known else None,
            urls=tuple(urls),
        )
        monkeypatch.setattr(registry, "read_registry", lambda: {YEAR: download})
        return server

    return set_up


def left_over(folder):
    """Names in a folder, but for the lock."""
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_examples_in_docstrings_run():
    assert doctest.testmod(downloads).failed == 0


def test_good_server_gives_the_file_once(offer, tmp_path):
    server = offer(whole(BUNDLE))
    path = teds.fetch(YEAR, folder=tmp_path)
    assert path == tmp_path / "tedsd_puf_2018.csv" and path.read_bytes() == TABLE
    assert left_over(tmp_path) == ["teds.zip", "tedsd_puf_2018.csv"]
    assert teds.fetch(YEAR, folder=tmp_path) == path
    assert len(server.asked) == 1  # never a second download


def test_cache_folder_is_the_environments(offer, tmp_path, monkeypatch):
    offer(whole(BUNDLE))
    monkeypatch.setenv("SUDLIB_CACHE", str(tmp_path / "deep" / "cache"))
    assert teds.fetch(YEAR).parent == tmp_path / "deep" / "cache"
    monkeypatch.delenv("SUDLIB_CACHE")
    assert teds.cache_folder().name == "sudlib"


def test_folder_that_cannot_be_made_is_told(offer, tmp_path):
    offer(whole(BUNDLE))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made .*SUDLIB_CACHE"):
        teds.fetch(YEAR, folder=tmp_path / "file" / "cache")


def test_redirect_is_followed(offer, tmp_path):
    server = offer(
        lambda request: answer(request, 301, Location=server.url("/moved/here.zip"))
    )
    server.ways["/moved/here.zip"] = whole(BUNDLE)
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE


def test_broken_download_goes_on_where_it_stopped(offer, tmp_path):
    server = offer(breaks(BUNDLE, 90_000))
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    starts = [span for _, span in server.asked]
    # The last piece of each answer, up to 8 KB, is lost with the connection.
    starts = [int(span[6:-1]) if span else 0 for span in starts]
    assert len(starts) == 3
    for before, after in zip(starts, starts[1:], strict=False):
        assert before + 90_000 - 2**13 < after <= before + 90_000


def test_broken_download_goes_on_in_a_later_run(offer, tmp_path):
    server = offer(breaks(BUNDLE, 60_000, times=1))
    server.ways["/0/teds.zip"] = once_then(
        breaks(BUNDLE, 60_000, times=1), lambda request: answer(request, 503)
    )
    with pytest.raises(InputError, match="the server answered 503"):
        teds.fetch(YEAR, folder=tmp_path)
    part = tmp_path / "teds.zip.part"
    got = part.stat().st_size
    assert 50_000 < got <= 60_000 and part.read_bytes() == BUNDLE[:got]
    server.asked.clear()
    server.ways["/0/teds.zip"] = whole(BUNDLE)
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    assert server.asked == [("/0/teds.zip", f"bytes={got}-")]
    assert not part.exists()


def once_then(first, later):
    ways = [first]
    return lambda request: (ways.pop() if ways else later)(request)


def test_server_without_ranges_is_asked_anew(offer, tmp_path):
    server = offer(breaks(BUNDLE, 60_000, times=2, ranges=False))
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    assert len(server.asked) == 3


def test_answer_that_is_too_short_is_not_taken(offer, tmp_path):
    def short(request):  # says nothing of its length, and just ends
        request.send_response(200)
        request.end_headers()
        request.wfile.write(BUNDLE[:50_000])

    offer(short, whole(BUNDLE))
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE


def test_server_that_never_gets_further_is_given_up(offer, tmp_path):
    server = offer(breaks(BUNDLE, 0))
    with pytest.raises(InputError, match="could not be downloaded"):
        teds.fetch(YEAR, folder=tmp_path)
    assert len(server.asked) <= 4


def test_server_that_dies_at_once_hands_over_to_the_next(offer, tmp_path):
    server = offer(lambda request: request.connection.close(), whole(BUNDLE))
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    assert server.asked[-1][0] == "/1/teds.zip"


def test_file_that_has_moved_is_taken_from_the_next_address(offer, tmp_path):
    server = offer(lambda request: answer(request, 404, b"gone"), whole(BUNDLE))
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    assert [path for path, _ in server.asked] == ["/0/teds.zip", "/1/teds.zip"]


def test_wrong_file_is_not_taken(offer, tmp_path):
    page = b"<html>The page you want is elsewhere</html>"
    offer(no_ranges(page), no_ranges(zipped({"tedsd_puf_2018.csv": b"DISYR,LOS\r\n"})))
    with pytest.raises(InputError) as caught:
        teds.fetch(YEAR, folder=tmp_path)
    assert str(caught.value).count("another file (wrong SHA-256") == 2
    assert left_over(tmp_path) == []


def test_left_over_of_another_file_does_not_spoil_the_download(offer, tmp_path):
    server = offer(whole(BUNDLE))
    (tmp_path / "teds.zip.part").write_bytes(b"x" * 5_000)
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    assert [span for _, span in server.asked] == ["bytes=5000-", None]
    # Longer than the file: the server says so.
    for path in tmp_path.glob("teds*"):
        path.unlink()
    (tmp_path / "teds.zip.part").write_bytes(b"x" * (len(BUNDLE) + 5))
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE


def test_left_over_that_is_whole_needs_no_byte_more(offer, tmp_path):
    server = offer(whole(BUNDLE))
    (tmp_path / "teds.zip.part").write_bytes(BUNDLE)
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    assert server.asked == [("/0/teds.zip", f"bytes={len(BUNDLE)}-")]


def test_offline_says_what_to_download_from_where_and_where_to_put_it(offer, tmp_path):
    server = offer(whole(BUNDLE))
    server.close()
    with pytest.raises(InputError) as caught:
        teds.fetch(YEAR, folder=tmp_path)
    message = str(caught.value)
    digest = hashlib.sha256(BUNDLE).hexdigest()
    for part in ("no connection", "teds.zip", teds.PAGE, str(tmp_path), digest):
        assert part in message
    server.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), None)
    server.thread = threading.Thread(target=server.server.serve_forever, daemon=True)
    server.thread.start()


@pytest.mark.parametrize("what", ["zip", "csv"])
def test_file_put_there_by_hand_counts(offer, tmp_path, what):
    server = offer(whole(BUNDLE))
    if what == "zip":
        (tmp_path / "teds.zip").write_bytes(BUNDLE)
    else:
        (tmp_path / "tedsd_puf_2018.csv").write_bytes(TABLE)
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    assert server.asked == []


def test_wrong_file_in_the_folder_is_put_aside_not_lost(offer, tmp_path):
    offer(whole(BUNDLE))
    for name in ("teds.zip", "tedsd_puf_2018.csv"):
        (tmp_path / name).write_bytes(b"mine")
    with pytest.warns(UserWarning, match="is not the agency's file"):
        assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    for name in ("teds.zip.wrong", "tedsd_puf_2018.csv.wrong"):
        assert (tmp_path / name).read_bytes() == b"mine"


def test_lost_csv_comes_out_of_the_zip_again(offer, tmp_path):
    server = offer(whole(BUNDLE))
    teds.fetch(YEAR, folder=tmp_path).unlink()
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE
    assert len(server.asked) == 1


def test_year_without_a_known_hash_warns_that_it_is_not_verified(offer, tmp_path):
    offer(whole(BUNDLE), known=False)
    with pytest.warns(UserWarning, match="no SHA-256 .* 2018 is known, so .* verified"):
        assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE


def test_year_without_a_known_hash_still_needs_a_zip(offer, tmp_path):
    offer(no_ranges(b"<html></html>"), known=False)
    with pytest.raises(InputError, match="not a zip"):
        teds.fetch(YEAR, folder=tmp_path)
    assert left_over(tmp_path) == []


def test_csv_with_another_hash_than_the_registry_is_refused(offer, tmp_path):
    offer(whole(BUNDLE), table=TABLE[:-1] + b"x")
    with pytest.raises(InputError, match="is not the agency's file of 2018"):
        teds.fetch(YEAR, folder=tmp_path)
    assert left_over(tmp_path) == ["teds.zip"]


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    entry.create_system = 3
    return entry


@pytest.mark.parametrize(
    "name",
    [
        "../outside.csv",
        "a/../../outside.csv",
        "/etc/outside.csv",
        "\\outside.csv",
        "..\\outside.csv",
        "C:\\outside.csv",
        "C:outside.csv",
        link("tedsd_puf_2018.csv"),
    ],
    ids=str,
)
def test_zip_entry_that_would_leave_the_folder_is_refused(offer, tmp_path, name):
    # The good table is there too: one bad entry is enough.
    folder = tmp_path / "cache"
    bundle = zipped({"good.csv": TABLE, name: b"/etc/passwd"})
    offer(whole(bundle), bundle=bundle)
    with pytest.raises(InputError, match="is refused: its entry .*(outside|link)"):
        teds.fetch(YEAR, folder=folder)
    assert left_over(folder) == ["teds.zip"]
    assert left_over(tmp_path) == ["cache"]
    with pytest.raises(InputError, match="is refused"):
        teds.read(folder / "teds.zip")


def test_zip_that_would_unpack_to_more_than_the_table_is_refused(offer, tmp_path):
    bomb = zipped({"tedsd_puf_2018.csv": b"0" * 10**7}, zipfile.ZIP_DEFLATED)
    offer(whole(bomb), bundle=bomb)
    with pytest.raises(InputError, match="would have 10,000,000 bytes, more than"):
        teds.fetch(YEAR, folder=tmp_path)


def test_damaged_zip_is_told(offer, tmp_path):
    damaged = bytearray(BUNDLE)
    damaged[len(BUNDLE) // 2] ^= 0xFF
    offer(whole(bytes(damaged)), bundle=bytes(damaged))
    with pytest.raises(InputError, match="cannot be unpacked .*delete it and run"):
        teds.fetch(YEAR, folder=tmp_path)
    assert left_over(tmp_path) == ["teds.zip"]


def test_disk_without_room_is_told_before_the_download(offer, tmp_path, monkeypatch):
    server = offer(whole(BUNDLE))
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(
        agency_files.shutil, "disk_usage", lambda path: usage(1, 1, 1000)
    )
    with pytest.raises(InputError, match="MB free, but .* needs .*SUDLIB_CACHE"):
        teds.fetch(YEAR, folder=tmp_path)
    assert server.asked == []


class FullDisk(io.FileIO):
    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "module", [downloads, agency_files], ids=["download", "unpack"]
)
def test_disk_that_fills_up(offer, tmp_path, monkeypatch, module):
    offer(whole(BUNDLE))

    def fills_up(path, mode="r", *rest, **options):
        if str(path).endswith(".part") and mode in ("wb", "ab"):
            return FullDisk(path, "w")
        return open(path, mode, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "open", fills_up, raising=False)
        with pytest.raises(InputError, match="the disk of .* is full"):
            teds.fetch(YEAR, folder=tmp_path)
    assert "tedsd_puf_2018.csv" not in left_over(tmp_path)
    assert teds.fetch(YEAR, folder=tmp_path).read_bytes() == TABLE


def test_two_runs_at_once_download_once(offer, tmp_path):
    server = offer(whole(BUNDLE))
    paths = []
    runs = [
        threading.Thread(target=lambda: paths.append(teds.fetch(YEAR, folder=tmp_path)))
        for _ in range(4)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(paths) == 4 and len(server.asked) == 1


def test_progress_bar_shows_and_goes(offer, tmp_path, capsys):
    offer(whole(BUNDLE))
    teds.fetch(YEAR, folder=tmp_path)
    assert "teds.zip" in capsys.readouterr().err


def test_unknown_year_is_told(tmp_path):
    with pytest.raises(InputError, match="2015 to 2023, not 2014"):
        teds.fetch(2014, folder=tmp_path)


def test_what_was_fetched_is_read_as_verified(offer, tmp_path):
    offer(whole(BUNDLE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = teds.read(teds.fetch(YEAR, folder=tmp_path))
    assert read.attrs["verified"] is True and len(read) == len(NOISE)
