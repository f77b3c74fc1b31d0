"""What joblib runs goes to a Dask cluster, and comes back the same.

The tests with workers need Dask, which is no part of the lock file:
``pip install "sudlib[cluster]"``; without it they are skipped.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.svm import SVC

from sudlib import book, parallel
from sudlib.files import InputError
from sudlib.policy import cprd, simulation_study

ROOT = Path(__file__).resolve().parent.parent
needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None,
    reason='Dask is not installed: pip install "sudlib[cluster]"',
)


def test_without_a_scheduler_nothing_changes():
    with parallel.use(None):
        assert joblib.effective_n_jobs(None) == 1


@pytest.mark.parametrize(
    "address", ["localhost", "tcp://nowhere", "10.0.0.1:8786", 8786]
)
def test_what_is_no_address_is_told(address):
    with pytest.raises(InputError, match=r"scheduler must be .* not .*" + str(address)):
        parallel.use(address)


def test_a_missing_dask_is_told_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"needs Dask.*sudlib\[cluster\]"):
        parallel.use("tcp://127.0.0.1:8786")


@needs_dask
def test_where_nobody_answers_it_says_so_within_seconds():
    begin = time.perf_counter()
    # Port 9 of this machine: nobody listens there.
    with pytest.raises(InputError, match="no Dask scheduler answers at tcp://127"):
        parallel.use("tcp://127.0.0.1:9", patience=1)
    assert time.perf_counter() - begin < 20


class Cluster:
    """A scheduler on loopback, and workers that are processes of their own."""

    def __init__(self, folder):
        self.folder, self.workers = folder, []
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", "0")
        text = self.said("scheduler.log", "Scheduler at:")
        self.address = text.partition("Scheduler at:")[2].split()[0]

    def start(self, kind, *words, name=None, path=ROOT):
        log = open(self.folder / f"{name or kind}.log", "wb")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", kind, *words, "--no-dashboard"],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                # One thread each, as the pages compute.
                env={**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"},
            )

    def said(self, log, words):
        for _ in range(300):
            text = (self.folder / log).read_text()
            if words in text:
                return text
            time.sleep(0.1)
        raise AssertionError(text)

    def add(self, number, path=ROOT):
        for _ in range(number):
            name = f"worker-{len(self.workers)}"
            words = ["--no-nanny", "--nthreads", "1", "--name", name]
            worker = self.start("worker", self.address, *words, name=name, path=path)
            self.workers.append(worker)
            self.said(f"{name}.log", "Registered to:")

    def have(self, number):
        self.add(number - sum(worker.poll() is None for worker in self.workers))

    def stop(self):
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def losing_one(self):
        """Kill a worker that is computing, once it has computed something."""
        import distributed

        client = distributed.Client(self.address, set_as_default=False)
        names = {w["name"]: a for a, w in client.scheduler_info()["workers"].items()}
        number = next(i for i, w in enumerate(self.workers) if w.poll() is None)
        address, done = names[f"worker-{number}"], threading.Event()

        def kill():
            while not done.is_set():
                if client.processing().get(address):
                    time.sleep(0.3)
                    self.workers[number].kill()
                    return

        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            client.close()
        assert self.workers[number].wait(5), "it was killed in the middle"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.stop()


def same_search():
    """Return what nested cross-validation finds, as study B's pages ask for it."""
    random = np.random.default_rng(33)
    X = random.normal(size=(700, 12))
    y = (X[:, 0] * X[:, 1] + random.normal(size=700) > 0).astype(int)
    search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": [0.03, 0.3]}, cv=3)
    return cross_validate(search, X, y, cv=4)["test_score"]


def same_shards():
    """Return scores of a few repeats of study C, without the seconds they took."""
    scores = simulation_study.run_repeats(
        "right", 100, range(6), test=500, methods=few_methods()
    )
    return scores.drop(columns="seconds")


def few_methods():
    methods = simulation_study.recipes(100)
    return {name: methods[name] for name in ("naive", "ridge_q")}


def same_imputations():
    """Return the study's covariates, completed several times, as one table."""
    covariates, _, _ = cprd.arrays(cprd.sample(200, seed=2))
    return pd.concat(cprd.impute(covariates, n_imputations=4))


@needs_dask
@pytest.mark.slow
@pytest.mark.parametrize("work", [same_search, same_shards, same_imputations])
def test_a_cluster_that_loses_a_worker_in_the_middle_finds_the_same(cluster, work):
    here = work()
    cluster.have(2)
    with parallel.use(scheduler=cluster.address), cluster.losing_one():
        there = work()
    pd.testing.assert_frame_equal(pd.DataFrame(there), pd.DataFrame(here))
    assert joblib.effective_n_jobs(None) == 1, "after the block all stays here again"


@needs_dask
@pytest.mark.slow
def test_a_scheduler_without_workers_that_can_compute_is_told(tmp_path):
    cluster = Cluster(tmp_path)
    try:
        with pytest.raises(InputError, match="has no workers after 1 seconds"):
            parallel.use(cluster.address, patience=1)
        # Another package of this name, as in an environment that is not the book's.
        (tmp_path / "sudlib").mkdir()
        (tmp_path / "sudlib" / "__init__.py").touch()
        cluster.add(1, path=tmp_path)
        with pytest.raises(InputError, match="cannot import sudlib.files"):
            parallel.use(cluster.address)
    finally:
        cluster.stop()


def test_a_page_takes_its_cluster_from_the_environment(monkeypatch):
    monkeypatch.setenv(parallel.VARIABLE, "localhost")
    with pytest.raises(InputError, match="scheduler must be an address"):
        book.start("c01_the_idea")


@pytest.mark.parametrize("patience", [0, -1, "5", None, float("nan"), True])
def test_a_wait_is_a_number_of_seconds(patience):
    with pytest.raises(InputError, match="patience must be a number above 0"):
        parallel.use("tcp://127.0.0.1:9", patience=patience)


@needs_dask
def test_an_address_that_needs_certificates_says_so():
    with pytest.raises(InputError, match=r"needs certificates.*distributed\.comm\.tls"):
        parallel.use("tls://127.0.0.1:9", patience=1)
