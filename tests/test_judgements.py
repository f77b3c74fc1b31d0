"""Every sentence that judges a study is registered, with what would refute it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from sudlib.book import consistency
from sudlib.files import data_file

ROOT = Path(__file__).parent.parent
REGISTER = pd.read_csv(data_file("claims/judgements.csv"), keep_default_na=False)

# A sentence about a study, and the words with which a sentence judges.
STUDY = re.compile(
    r"[Tt]he stud|[Ss]tudy's|[Tt]he paper|[Pp]rint|README|[Ii]ts (own|notebook|table)"
    r"|[Pp]ublished (recipe|forest|network|transfer|formula)|section \d|tables? \d"
)
JUDGED = re.compile(
    r"do(es)? not (fit|belong|notice)|impossible|cannot be (true|rebuilt|reproduced)"
    r"|swapped|not equalized odds|another formula|contradict|not possible|wrongly"
    r"|not of that kind|trains (nothing|\{)|nobody's rank|one of many|by mistake|Flaw"
    r"|must count|pure noise scores|on pure noise;|[Rr]uled out"
)
# Sentences that use such words and judge no study.
NO_JUDGEMENT = (
    "how to test whether an accuracy can belong to a test set",
    "with the reason where it cannot be reproduced",
    "were predicted correctly and wrongly",
    "We proved contradictions among study B's printed numbers on one page",
    "A check that fails shows that two printed statements do not fit each other",
)


def sentences(page):
    """Yield the sentences of a page: Markdown and the templates of run.say."""
    for cell in cells_of(page):
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            said = re.findall(r'"""(.*?)"""', text, re.DOTALL)
            text = "\n".join(said) if "run.say(" in text else ""
        for sentence in re.split(r"(?<=[.!?:])\s+|\n\n|\n\s*(?:\*|\d\.) ", text):
            yield " ".join(sentence.split())


def cells_of(page):
    """Return the cells of a notebook, or a page of prose as one cell."""
    prose = ROOT / f"book/{page}.md"
    if prose.exists():
        return [{"cell_type": "markdown", "source": prose.read_text("utf-8")}]
    return json.loads((ROOT / f"notebooks/{page}.ipynb").read_text("utf-8"))["cells"]


def code(page):
    """Return all code of a notebook; of a page of prose, its text."""
    prose = (ROOT / f"book/{page}.md").exists()
    return "\n".join(
        "".join(cell["source"])
        for cell in cells_of(page)
        if prose or cell["cell_type"] == "code"
    )


NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
PROSE = ("index", "study_a", "study_b", "study_c", "real_people", "errata")
PAGES = [*NOTEBOOKS, *PROSE]


@pytest.mark.parametrize("page", PAGES)
def test_no_sentence_judges_a_study_outside_the_register(page):
    known = REGISTER.loc[REGISTER["page"] == page, "sentence"]
    judging = [
        sentence
        for sentence in sentences(page)
        if STUDY.search(sentence) and JUDGED.search(sentence)
        if not any(words in sentence for words in NO_JUDGEMENT)
    ]
    unknown = [s for s in judging if not any(words in s for words in known)]
    assert not unknown, "add to data/claims/judgements.csv:\n" + "\n".join(unknown)


@pytest.mark.parametrize("row", REGISTER.itertuples(), ids=REGISTER["id"])
def test_a_judgement_stands_on_its_page_and_is_computed(row):
    whole = " ".join(sentences(row.page))
    assert row.sentence in whole
    source = code(row.page)
    for name in row.computed.split():
        kind, _, named = name.rpartition(":")
        if kind == "check":  # a printed number held against another, with no data
            assert any(each.__name__ == named for each in consistency._CHECKS)
        elif kind == "test":
            every = (
                path.read_text("utf-8") for path in Path(__file__).parent.glob("*.py")
            )
            assert any(f"def {named}(" in text for text in every)
        elif kind == "page":
            assert named in PAGES
        else:
            assert re.search(rf"\b{named}\b[^=\n]*=[^=]", source), name


def test_every_judgement_says_what_would_refute_it():
    assert REGISTER["id"].is_unique and len(REGISTER) >= 30
    assert set(REGISTER["id"].str[0]) == {"a", "b", "c"}
    assert REGISTER["refuted_by"].str.endswith(".").all()
    assert (REGISTER["computed"] != "").all()


def test_the_register_notices_a_new_judgement():
    sentence = "The study's table contradicts its own text."
    assert STUDY.search(sentence) and JUDGED.search(sentence)
    assert not any(words in sentence for words in REGISTER["sentence"])
