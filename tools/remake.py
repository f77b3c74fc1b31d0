"""How every file of ``data/`` is made, made again, and whether it is what it should be.

    python tools/remake.py --list              # how each is made, and from what
    python tools/remake.py --check             # with the sources that are at hand
    python tools/remake.py --check twin --from FOLDER
    python tools/remake.py twin/parameters.npz # make it again; downloads what it needs

A name is a path below ``data/`` or the beginning of one.  ``--check`` changes nothing,
downloads nothing, and ends with status 1 if a file is not what its tool makes now.
"""

import argparse
import importlib.util
import io
import json
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import count_teds
import fit_twin
import make_claims_b
import make_codebook
import make_joints
import make_targets
import make_transfer_log
import numpy as np
import other_software
import pandas as pd
import sources
from sources import DATA
from threadpoolctl import threadpool_limits

from sudlib import book, trials, twin
from sudlib.book import printed
from sudlib.files import InputError, sha256
from sudlib.policy import (
    AdditiveQLearner,
    multiverse,
    simulation,
    simulation_study,
    worlds,
)
from sudlib.teds import codebook

HOW = {
    "counted": "counted in the agency's TEDS-D files",
    "derived": "made from another file by a program",
    "fitted": "fitted by a program, from what is in data/",
    "copied": "copied, unmodified",
    "transcribed": "typed from print, or measured in it: the file is the transcription",
    "recorded": "a run that takes long, recorded with its provenance",
    "ours": "written for this book",
}


class NotAtHand(Exception):
    """What a check needs is not on this machine."""


class Wrong(Exception):
    """A file is not what it should be."""


@dataclass
class Context:
    """Where a tool takes from and writes to."""

    out: Path = DATA
    folders: tuple = ()
    counts: Path = sources.COUNTS
    fetch: bool = False
    slow: bool = False
    tallies: dict = field(default_factory=dict)

    def source(self, name):
        """Return the path of a source."""
        path = sources.obtain(name, self.folders, fetch=self.fetch)
        if path is None:
            raise NotAtHand(f"{name} is not at hand: --from names a folder that has it")
        return path

    def counted(self, table, years):
        """See to it that some years have been counted, as far as they are at hand."""
        have = count_teds.load(self.counts, table)
        have = set() if have is None else set(have.year)
        for year in sorted(set(years) - have):
            path = sources.obtain_year(year, self.folders, fetch=self.fetch)
            if path is not None:
                count_teds.store(self.counts, count_teds.count(year, path))
                have.add(year)
        if not have & set(years):
            raise NotAtHand(
                f"none of TEDS-D {', '.join(map(str, years))} is at hand or counted in"
                f" {self.counts.name}"
            )


@dataclass(frozen=True)
class Product:
    """One file below ``data/``, or all files below a folder of it."""

    path: str
    how: str
    command: str = ""
    sources: tuple = ()
    make: object = None  # called with a Context; writes below its ``out``
    check: object = None  # called with a Context; returns words, or raises Wrong
    slow: bool = False


# ------------------------------------------------------------------ making

FILES = tuple(range(2015, 2024))
CODED = tuple(range(2015, 2021))  # the years with a column in codes.csv
TARGETS = {"reason_by_state": (2016, 2017, 2018, 2019), "reason_by_service": (2019,)}
TARGETS |= {"correlations": (2019,), "completion": (2023,)}


def _codebook(table, years):
    def make(context):
        context.counted(table, years)
        context.tallies |= make_codebook.make(context.counts, context.out)

    return make


def _targets(table):
    def make(context):
        context.counted(table, TARGETS[table])
        make_targets.make(context.counts, context.out, only=table)

    return make


def _joint(table, source):
    def make(context):
        context.source(source)  # or say that it is not at hand
        for folder in context.folders:
            if any(Path(folder).rglob("*teds*")):
                make_joints.make(folder, context.out, only=table)
                return
        raise NotAtHand(f"{source} is not below a folder named by --from")

    return make


def _log(name):
    def make(context):
        source = context.source(make_transfer_log.LOGS[name])
        make_transfer_log.make(source, context.out, name)

    return make


def _font(context):
    name = "LiberationSans-Regular.ttf"
    (context.out / "fonts").mkdir(parents=True, exist_ok=True)
    content = unpack(context.source("liberation-fonts"), name)
    (context.out / "fonts" / name).write_bytes(content)


def unpack(package, name):
    """Return a file of a Debian package: an ``ar`` archive with a ``tar`` in it."""
    content = Path(package).read_bytes()
    place = 8
    while content[:8] == b"!<arch>\n" and place + 60 <= len(content):
        head = content[place : place + 60].decode("ascii")
        size = int(head[48:58])
        if head[:16].startswith("data.tar"):
            inside = io.BytesIO(content[place + 60 : place + 60 + size])
            with tarfile.open(fileobj=inside) as files:
                for entry in files:
                    if entry.isfile() and entry.name.rsplit("/", 1)[-1] == name:
                        return files.extractfile(entry).read()
        place += 60 + size + size % 2
    raise InputError(f"{package} is not a Debian package that holds {name}")


# ------------------------------------------------------------------ checks


def _expect(truth, words):
    if not truth:
        raise Wrong(words)


def _rows(path):
    return sources.read_rows(DATA / path)


def _variables(context):
    names = [row["variable"] for row in _rows("codebook/variables.csv")]
    _expect(len(set(names)) == len(names), "a variable stands twice")
    codes = {row["variable"] for row in _rows("codebook/codes.csv")}
    _expect(codes <= set(names), f"codes of no variable: {sorted(codes - set(names))}")
    return f"{len(names)} variables, and every code is of one of them"


def _cohorts(context):
    rows = {row["cohort"]: row for row in _rows("codebook/cohorts.csv")}
    heroin = sum(
        int(row["f2017"]) + int(row["f2018"])
        for row in _rows("codebook/codes.csv")
        if (row["variable"], row["code"]) == ("SUB1", "5")
    )
    said = int(rows["heroin"]["rows"])
    _expect(said == heroin, f"heroin has {said} rows, the codebook {heroin}")
    words = "heroin is the codebook's"
    found = count_teds.load(context.counts, "cohorts")
    for name in ("general", "methadone"):
        if found is not None and (found.year == 2018).any():
            count = int(found[found.year == 2018].set_index("cohort").rows[name])
            said = int(rows[name]["rows"])
            _expect(count == said, f"{name} has {said} rows, counted are {count}")
            words += f", {name} as counted"
    return words


def _claims(letter):
    def check(context):
        table = printed.published(letter)
        _expect(table.index.is_unique, "a key stands twice")
        return f"{len(table)} claims can be read, each key once"

    return check


def _headlines(context):
    rows = _rows("claims/headlines.csv")
    known = printed.published().index
    _expect(all(row["key"] in known for row in rows), "a headline is no claim")
    return f"{len(rows)} headline claims, each a claim of a study"


def _judgements(context):
    rows = _rows("claims/judgements.csv")
    _expect(len({row["id"] for row in rows}) == len(rows), "an id stands twice")
    _expect(all(row["refuted_by"] for row in rows), "a judgement cannot be refuted")
    return f"{len(rows)} judgements, each with what would refute it"


def _printed(context):
    records = make_claims_b.read_printed(DATA / "claims/tables_b.csv")
    return f"{len(records)} printed rows, numbered, each becomes claims"


def _losses(context):
    kept = [float(row["val_loss"]) for row in _rows("study_a/logged_losses.csv")]
    for loss, log in zip(kept, ("transfer_log", "scratch_log"), strict=False):
        lowest = min(float(row["val_loss"]) for row in _rows(f"study_a/{log}.csv"))
        _expect(loss == lowest, f"the loss is {loss}, the lowest of {log} {lowest}")
    return "the first two are the lowest of the two logs"


def _curves(context):
    keys = printed.published("a").index
    for row in _rows("study_a/printed_curves.csv"):
        stem = row["key"].removesuffix(" (README)")
        known = any(key.startswith(stem + ".") for key in keys)
        _expect(known, f"no claim begins with {row['key']}")
    return "each curve is of a model with claims"


def _tabpfn(context):
    for row in _rows("tabpfn_on_discharges.csv"):
        numbers = {name: float(row[name]) for name in list(row)[5:10]}
        gap = numbers["tabpfn_auc"] - numbers["boosting_auc"]
        off = abs(gap - numbers["difference"])
        inside = numbers["low"] < numbers["difference"] < numbers["high"]
        _expect(off < 2e-4 and inside, f"{row['substance']}: not {gap:.4f}")
    return "each difference is that of its two areas, and lies in its interval"


def _words(path):
    def check(context):
        for row in _rows(path):
            name = row["variable"]
            codebook.label(name)
            code = row.get("code")
            known = code is None or int(code) in (-9, *codebook.codes(name, 2018))
            _expect(known, f"{name} has no code {code}")
        return "every variable and code is the codebook's"

    return check


def _grid(context):
    grid = json.loads((DATA / "study_a/forest_grid.json").read_text("utf-8"))
    published = grid["published"]
    for name, value in published["best_methadone"].items():
        tried = published["grid"].get(name, [value])
        _expect(value in tried, f"the best {name}, {value}, is not in the grid")
    return "what was best stands in the grid"


def _weights(context):
    """Hold digests against those that Keras and the bundling package have."""
    done = []
    for row in _rows("weights.csv"):
        package = "keras" if row["algorithm"] == "md5" else row["source"].split()[3]
        spec = importlib.util.find_spec(package.replace("-", "_"))
        if spec is None:
            raise NotAtHand(f"the package {package} is not installed")
        folder = Path(spec.submodule_search_locations[0])
        if row["algorithm"] == "md5":
            text = (folder / "src/applications/resnet.py").read_text(encoding="utf-8")
            _expect(row["digest"] in text, f"Keras has another digest of {row['file']}")
        else:
            path = next(folder.rglob(row["file"]), None)
            _expect(path is not None, f"{package} does not hold {row['file']}")
            _expect(sha256(path) == row["digest"], f"{row['file']} has another SHA-256")
            size = path.stat().st_size
            _expect(str(size) == row["bytes"], f"{row['file']} has {size} bytes")
        done.append(row["architecture"])
    return f"{' and '.join(done)}: the digests are those of the installed packages"


def _font_hash(context):
    for row in _rows("fonts/fonts.csv"):
        found = sha256(DATA / "fonts" / row["file"])
        _expect(found == row["sha256"], f"{row['file']} has the SHA-256 {found}")
    return "the hash is the file's"


def _licence(context):
    text = (DATA / "fonts/LICENSE-OFL.txt").read_text(encoding="utf-8")
    _expect("SIL OPEN FONT LICENSE Version 1.1" in text, "not the SIL OFL 1.1")
    return "the SIL OFL 1.1"


def _states(context):
    codes = pd.read_csv(DATA / "codebook/codes.csv")
    states = pd.read_csv(DATA / "twin/states.csv")
    place = states.set_index("STFIPS")
    for name in ("DIVISION", "REGION"):
        for year in twin.YEARS:
            counts = codes.set_index("code")[["variable", f"f{year}"]].dropna()
            there = counts[counts.variable == "STFIPS"][f"f{year}"]
            sums = there.groupby(place[name].reindex(there.index)).sum()
            known = counts[counts.variable == name][f"f{year}"]
            same = sums.sort_index().equals(known.sort_index().rename_axis(name))
            _expect(
                same, f"the states' sums by {name} in {year} are not the codebook's"
            )
    return "the states' sums by division and region are the codebook's, every year"


def _again(made, path):
    """Hold scores made again against those kept; return how far apart they are.

    Half of them must be the same.  Not all: on another processor the last bit of a
    sum differs, and 2,000 steps later some networks do.
    """
    key = ["choice", "setting", "n_train", "repeat", "method"]
    key = [name for name in key if name in made]
    both = made.merge(pd.read_csv(path), on=key, suffixes=("", "_kept"))
    _expect(len(both) == len(made) > 0, "it lacks rows of a repeat that is run again")
    names = list(simulation_study.SCORES)
    kept = both[[f"{name}_kept" for name in names]].to_numpy()
    gaps = np.abs(both[names].to_numpy() - kept).max(axis=1)
    same = int((gaps < 1e-4).sum())
    _expect(
        2 * same >= len(both), f"{same} of {len(both)} rules run again are the same"
    )
    words = f"{same} of {len(both)} rules run again are the same"
    return f"{words}, the worst {gaps.max():.0e} off"


def _scores(context):
    """Hold the full study against its provenance, and one repeat run again."""
    path = DATA / "results/study_c/scores.csv.gz"
    said = json.loads((path.parent / "provenance.json").read_text("utf-8"))["sha256"]
    _expect(sha256(path) == said, f"provenance.json has another SHA-256: {said}")
    # As it was recorded: with more threads the last bit, and so a network, differs.
    with threadpool_limits(1):
        made = simulation_study.run_repeats("right", 200, range(1))
    return _again(made, path)


def _choices(context):
    """Hold one repeat of the naive choices, run again, against the recorded ones."""
    with threadpool_limits(1):
        made = multiverse.run_choices(
            multiverse.NAIVE, 200, range(1), methods=("naive",), seed=33
        )
    return _again(made, DATA / "results/study_c/choices.csv.gz")


def _software(context):
    """Hold this book's ridge on the first draw against the recorded one."""
    train, test = other_software.draws(0)
    rule = AdditiveQLearner().fit(train.X, train.A, train.outcome)
    scores = simulation.score(rule.predict(test.X), test.best, test.outcomes)
    kept = pd.read_csv(DATA / "results/study_c/other_software.csv")
    kept = kept[(kept.method == "additive Q-learning, ridge") & (kept.repeat == 0)]
    gap = abs(kept.adjusted_mcr.iloc[0] - scores["adjusted_mcr"])
    _expect(gap < 1e-4, f"this book's ridge on its first draw is off {gap}")
    return f"one of its fits run again, gap {gap:.0e}"


def _worlds(context):
    """Hold this book's ridge in one world against the recorded one."""
    world = worlds.make_world("threshold")
    asked = world.people(2000, 33)
    rule = AdditiveQLearner().fit(*world.draw(1000, 33))
    kept = pd.read_csv(DATA / "results/study_c/worlds.csv")
    kept = kept.set_index(["method", "world", "seed"])["lost"]
    gap = abs(kept["ridge", "threshold", 33] - world.loss(rule.predict(asked), asked))
    _expect(gap < 1e-4, f"this book's ridge in the first world is off {gap}")
    return f"one of its fits run again, gap {gap:.0e}"


def _recorded(context):
    folder = DATA / "results/study_c"
    named = json.loads((folder / "recorded.json").read_text("utf-8"))["files"]
    lost = [name for name in named if not (folder / name).is_file()]
    _expect(not lost, f"recorded.json names what is not there: {', '.join(lost)}")
    return f"it says of {len(named)} files where they came from"


def _schema(context):
    for row in _rows("cprd/schema.csv"):
        low, high = float(row["low"]), float(row["high"])
        mean = float(row["mean"] or low)
        _expect(low <= mean <= high, f"the mean of {row['name']} is out of its range")
    return "every mean lies in its range"


def _trials(context):
    done = [name for name in trials.registry() if trials.at_hand(name)]
    if not done:
        raise NotAtHand("no open study is at hand: SUDLIB_OPEN_DATA names a folder")
    for name in done:
        trials.fetch(name)  # stops at another SHA-256
    return f"{', '.join(done)}: the hashes are those of the files"


def _dictionary(context):
    for name in trials.registry():
        words = trials.dictionary(name)
        _expect(words.index.is_unique, f"a column of {name} stands twice")
    return "each column stands once"


def _trial(name):
    def check(context):
        kept = trials.read_recorded(name)
        for table, rows in kept["tables"].items():
            trials.check_counts(pd.DataFrame(rows), table)
        for used in kept["data"]:
            if not used["synthetic"]:
                digest = trials.digest(used["data"])
                _expect(used["sha256"] == digest, f"computed from other files: {used}")
        return f"{len(kept['tables'])} tables, no cell under ten people"

    return check


def _paper(name):
    def check(context):
        kept = book.recorded_result(name)
        _expect(
            kept["stamp"]["parameters"]["size"] == "paper", "it ran at another size"
        )
        _expect(not kept["tables"], f"it holds tables: {', '.join(kept['tables'])}")
        book.compare([kept])  # stops at a claim that no study makes
        return f"{len(kept['claims'])} numbers of claims"

    return check


def _sources(context):
    known = sources.registry()
    used = {name for product in PRODUCTS for name in product.sources}
    _expect(used <= set(known), f"not declared: {sorted(used - set(known))}")
    for source in known.values():
        _expect(source.terms, f"{source.name} has no terms")
    return f"{len(known)} sources, and every one that is used is declared"


# ------------------------------------------------------------------ the list

_AGENCY = ("teds-d", "codes-2017", "codes-2018", "codes-2019")
_CODEBOOKS = tuple(f"codebook-{year}" for year in range(2015, 2020))
_RUN = "results/study_c/"

PRODUCTS = (
    Product(
        "codebook/codes.csv",
        "counted",
        "count_teds.py; make_codebook.py",
        (*_AGENCY, "pools", *_CODEBOOKS),
        make=_codebook("frequencies", CODED),
    ),
    Product(
        "codebook/years.csv",
        "counted",
        "count_teds.py; make_codebook.py",
        ("teds-d",),
        make=_codebook("files", FILES),
    ),
    Product(
        "registry.csv",
        "counted",
        "count_teds.py; make_codebook.py",
        ("teds-d",),
        make=_codebook("files", FILES),
    ),
    Product("codebook/variables.csv", "transcribed", "", _CODEBOOKS, check=_variables),
    Product(
        "codebook/cohorts.csv", "transcribed", "", ("study-a", "teds-d"), check=_cohorts
    ),
    Product("codebook/phrases.csv", "ours"),
    Product("claims/study_a.csv", "transcribed", "", ("study-a",), check=_claims("a")),
    Product("claims/study_c.csv", "transcribed", "", ("study-c",), check=_claims("c")),
    Product("claims/study_d.csv", "transcribed", "", ("trials",), check=_claims("d")),
    Product("claims/judgements.csv", "ours", check=_judgements),
    Product("claims/headlines.csv", "ours", check=_headlines),
    Product("claims/coverage.csv", "ours"),
    Product("claims/tables_b.csv", "transcribed", "", ("study-b",), check=_printed),
    Product(
        "claims/study_b.csv",
        "derived",
        "make_claims_b.py",
        make=lambda context: make_claims_b.make(context.out),
        check=_claims("b"),
    ),
    Product(
        "study_a/transfer_log.csv",
        "derived",
        "make_transfer_log.py",
        ("study-a-notebook",),
        make=_log("transfer_log"),
    ),
    Product(
        "study_a/scratch_log.csv",
        "derived",
        "make_transfer_log.py",
        ("study-a-notebook-scratch",),
        make=_log("scratch_log"),
    ),
    Product(
        "study_a/pilot_log.csv",
        "derived",
        "make_transfer_log.py",
        ("study-a-notebook-pilot",),
        make=_log("pilot_log"),
    ),
    Product(
        "tabpfn_on_discharges.csv",
        "transcribed",
        "",
        ("tabpfn-on-discharges",),
        check=_tabpfn,
    ),
    Product(
        "study_a/logged_losses.csv", "transcribed", "", ("study-a",), check=_losses
    ),
    Product(
        "study_a/printed_curves.csv", "transcribed", "", ("study-a",), check=_curves
    ),
    Product(
        "study_a/layouts.csv",
        "transcribed",
        "",
        ("study-a",),
        check=_words("study_a/layouts.csv"),
    ),
    Product(
        "study_a/words.csv",
        "transcribed",
        "",
        ("study-a",),
        check=_words("study_a/words.csv"),
    ),
    Product("study_a/forest_grid.json", "transcribed", "", ("study-a",), check=_grid),
    Product("weights.csv", "transcribed", "", check=_weights),
    Product(
        "fonts/LiberationSans-Regular.ttf",
        "copied",
        "remake.py fonts",
        ("liberation-fonts",),
        make=_font,
        check=_font_hash,
    ),
    Product("fonts/fonts.csv", "ours", check=_font_hash),
    Product(
        "fonts/LICENSE-OFL.txt", "copied", "", ("liberation-fonts",), check=_licence
    ),
    Product(
        "twin/correlations_2019.csv",
        "counted",
        "count_teds.py; make_targets.py",
        ("teds-d",),
        make=_targets("correlations"),
    ),
    Product(
        "twin/reason_by_state.csv",
        "counted",
        "count_teds.py; make_targets.py",
        ("teds-d",),
        make=_targets("reason_by_state"),
    ),
    Product(
        "twin/reason_by_service.csv",
        "counted",
        "count_teds.py; make_targets.py",
        ("teds-d",),
        make=_targets("reason_by_service"),
    ),
    Product(
        "twin/completion_2023.csv",
        "counted",
        "count_teds.py; make_targets.py",
        ("teds-d", "completion-2023"),
        make=_targets("completion"),
    ),
    *(
        Product(
            f"twin/{table}.csv",
            "counted" if table == "people_by_state" else "transcribed",
            "make_joints.py",
            needed,
            make=_joint(table, needed[0]),
        )
        for table, needed in (
            ("sub1_by_state", ("sub1-by-state",)),
            ("outpatient_by_state", ("services-by-state", "sub1-by-state")),
            ("people_by_state", ("admissions-2020", "services-by-state")),
            ("left_by_level", ("left-by-level",)),
            ("logistic_2017", ("logistic-2017",)),
            ("real_figures", ("forest-2019", "forest-37-states")),
        )
    ),
    Product("twin/states.csv", "transcribed", "", ("census",), check=_states),
    Product("twin/parts.csv", "ours"),
    Product("twin/steps.csv", "ours"),
    Product("twin/mechanisms.csv", "ours"),
    Product(
        "twin/parameters.npz",
        "fitted",
        "fit_twin.py",
        make=lambda context: fit_twin.make(context.out),
        slow=True,
    ),
    Product(_RUN + "scores.csv.gz", "recorded", "run_study_c.py", check=_scores),
    Product(_RUN + "provenance.json", "recorded", "run_study_c.py"),
    Product(
        _RUN + "choices.csv.gz",
        "recorded",
        "run_study_c.py --choices 24",
        check=_choices,
    ),
    Product(
        _RUN + "other_software.csv", "recorded", "other_software.py", check=_software
    ),
    Product(_RUN + "diabetes.csv", "recorded", "notebook c05, paper size"),
    Product(_RUN + "diabetes_second.csv", "recorded", "notebook c05, paper size"),
    Product(_RUN + "beyond.csv", "recorded", "notebook c09, paper size"),
    Product(_RUN + "worlds.csv", "recorded", "record_worlds.py", check=_worlds),
    Product(_RUN + "benchmark.json", "recorded", "tests/benchmarks/bench_policy.py"),
    Product(_RUN + "recorded.json", "ours", check=_recorded),
    Product(
        "results/study_a/devices.csv", "recorded", "tests/benchmarks/bench_devices.py"
    ),
    Product("study_c/choices.json", "ours"),
    Product("cprd/schema.csv", "ours", check=_schema),
    Product("cprd/coefficients.csv", "ours"),
    Product("cprd/covariates.csv", "ours"),
    Product("style/book.mplstyle", "ours"),
    Product("style/claims.css", "ours"),
    Product("style/claims.html", "ours"),
    Product("trials/registry.json", "ours", check=_trials),
    Product("trials/dictionary.csv", "ours", check=_dictionary),
    *(
        Product(
            f"results/trials/{path.name}",
            "recorded",
            "record_trials.py",
            check=_trial(path.stem),
        )
        for path in sorted((DATA / "results/trials").glob("*.json"))
    ),
    *(
        Product(
            f"results/paper/{path.name}",
            "recorded",
            "record_paper.py",
            check=_paper(path.stem),
        )
        for path in sorted((DATA / "results/paper").glob("*.json"))
    ),
    *(
        Product(f"results/benchmarks/{path.name}", "recorded", "run_benchmarks.py")
        for path in sorted((DATA / "results/benchmarks").glob("*.txt"))
    ),
    Product("style/explorer.html", "ours"),
    Product("style/explorer.js", "ours"),
    Product("sources.csv", "ours", check=_sources),
    Product("README.md", "ours"),
)


def chosen(names):
    """Return the products of some names; all without one."""
    if not names:
        return list(PRODUCTS)
    found = []
    for name in names:
        part = [
            product
            for product in PRODUCTS
            if product.path == name or product.path.startswith(name.rstrip("/") + "/")
        ]
        if not part:
            raise InputError(
                f"data/ has no {name!r}; name a file or a folder of"
                f" {', '.join(product.path for product in PRODUCTS)}"
            )
        found += part
    return list(dict.fromkeys(found))


def compare(path, made):
    """Return that a file is what was made, or raise how it is not."""
    if path.suffix == ".npz":
        with np.load(path) as ours, np.load(made) as theirs:
            if set(ours.files) != set(theirs.files):
                raise Wrong("it does not hold the arrays that are made")
            same = [np.array_equal(ours[name], theirs[name]) for name in ours.files]
        if all(same):
            return f"all {len(same)} arrays are what is made"
        raise Wrong(f"{len(same) - sum(same)} of {len(same)} arrays differ")
    ours, theirs = path.read_bytes(), made.read_bytes()
    if ours == theirs:
        return f"{len(ours):,} bytes, as made"
    if b"\0" in ours[:4096]:
        raise Wrong("it is not what is made")
    pairs = zip(ours.decode().splitlines(), theirs.decode().splitlines(), strict=False)
    for number, (kept, new) in enumerate(pairs, 1):
        if kept != new:
            raise Wrong(f"line {number} is {kept[:60]!r}, made is {new[:60]!r}")
    raise Wrong("it has another number of lines than what is made")


def check(product, context):
    """Return a word and a sentence on one file: same, agrees, differs, unchecked."""
    words, status = [], "unchecked"
    try:
        if product.check:
            words.append(product.check(context))
            status = "agrees"
        if product.make and product.slow and not context.slow:
            words.append("making it takes minutes: --slow")
        elif product.make:
            with tempfile.TemporaryDirectory() as folder:
                context.out = Path(folder)
                product.make(context)
                tally = context.tallies.get(product.path)
                if tally is not None and tally.differ:
                    raise Wrong(str(tally))
                if tally is None:
                    made = context.out / product.path
                    words.append(compare(DATA / product.path, made))
                else:
                    words.append(str(tally))
            status = "same"
    except NotAtHand as error:
        words.append(str(error))
    except Wrong as error:
        return "differs", str(error)
    return status, "; ".join(words) or HOW[product.how]


def main(words=None):
    """List, check or make what the arguments ask for; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slow", action="store_true", help="check what takes minutes")
    parser.add_argument(
        "--from", dest="folders", action="append", default=[], metavar="FOLDER"
    )
    parser.add_argument("--counts", type=Path, default=sources.COUNTS)
    asked = parser.parse_args(words)
    products = chosen(asked.names)
    if asked.list:
        for product in products:
            made = product.command or HOW[product.how]
            given = ", ".join(product.sources) or "-"
            print(f"{product.path:34} {product.how:12} {made}  [{given}]")
        return 0
    if asked.check:
        failed = 0
        for product in products:
            context = Context(
                folders=tuple(asked.folders), counts=asked.counts, slow=asked.slow
            )
            status, sentence = check(product, context)
            failed += status == "differs"
            print(f"{status:10} {product.path:34} {sentence}", flush=True)
        return int(failed > 0)
    if not asked.names:
        raise InputError("name what to make, or ask with --list or --check")
    context = Context(folders=tuple(asked.folders), counts=asked.counts, fetch=True)
    for product in products:
        if product.make:
            product.make(context)
            print(f"made {product.path}", context.tallies.get(product.path, ""))
        else:
            again = f"; run {product.command}" if product.command else ""
            print(f"kept {product.path}: {HOW[product.how]}{again}")
    return 0


if __name__ == "__main__":
    sources.run(main)
