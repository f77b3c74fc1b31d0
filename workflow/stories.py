"""The pictures of the front page and of the answer pages, drawn from result files.

Bars are plain HTML: a few hundred bytes each, readable without a picture, on a phone
and in the dark.  Larger figures are those of the executed notebooks.
"""

import html
import re

import nbformat

from sudlib import images
from sudlib.files import InputError
from sudlib.images.layouts import text
from sudlib.teds import codebook

# A made-up person, drawn on the first page as study A would draw the record.
PERSON = {"AGE": 6, "GENDER": 2, "EDUC": 4, "EMPLOY": 1, "SUB1": 4, "SUB2": 2}
PERSON |= {"MARSTAT": 1, "RACE": 5, "ETHNIC": 4, "VET": 2, "PREG": 2, "LIVARAG": 3}
PERSON |= {"PSOURCE": 7, "NOPRIOR": 1, "FREQ1": 3, "FRSTUSE1": 4, "ROUTE1": 2}
PERSON |= {"ARRESTS": 0, "METHUSE": 2, "MARFLG": 1, "ALCFLG": 1}
FLAGS = ("COKEFLG", "METHFLG", "OPSYNFLG", "HERFLG")


def raw(text):
    """Return HTML as a block that a page of prose can take in."""
    return f"```{{raw}} html\n{text}\n```"


def bars(caption, rows, most, unit=""):
    """Return a bar chart as HTML.

    Parameters
    ----------
    caption : str
        What the bars say, in one sentence.
    rows : list of (str, float, str)
        Label, length, and a class: "ours", "study" or "" for what it is held against.
    most : float
        The length of a full bar.
    unit : str, optional
        Said after each number.
    """
    lines = [
        f'<div class="bar {kind}"><span>{html.escape(label)}</span>'
        f'<b style="--part:{max(0, min(1, value / most)):.3f}"></b>'
        f"<span>{value:.0f}{unit}</span></div>"
        for label, value, kind in rows
    ]
    head = f"<figcaption>{html.escape(caption)}</figcaption>"
    return raw(f'<figure class="bars">{head}{"".join(lines)}</figure>')


def record_picture():
    """Return a record as study A drew it, as SVG; each text says what it means."""
    layout = images.layout("general")
    codes = PERSON | dict.fromkeys(FLAGS, 0)
    texts = []
    for cell in layout.cells:
        code = codes.get(cell.variable, codebook.MISSING)
        said = html.escape(text(cell, code))
        meaning = codebook.codes(cell.variable).get(code, "not recorded")
        about = f"{codebook.label(cell.variable)}: {meaning}"
        texts.append(
            f'<text x="{cell.x}" y="{cell.y + cell.size}" font-size="{cell.size + 2}">'
            f"{said}<title>{html.escape(about)}</title></text>"
        )
    return raw(
        '<figure class="record"><svg viewBox="0 0 250 250" role="img" aria-label="A'
        " made-up person's record as study A draws it: white words and codes on"
        ' black."><rect width="250" height="250"/>'
        f"{''.join(texts)}</svg><figcaption>A made-up person's record</figcaption>"
        "</figure>"
    )


def figure(executed, stem, cell):
    """Return a figure of an executed notebook as a block of HTML.

    Parameters
    ----------
    executed : pathlib.Path
        The folder of executed notebooks.
    stem, cell : str
        The notebook and the identifier of its cell.

    Raises
    ------
    InputError
        If the cell shows no figure.
    """
    path = executed / f"{stem}.ipynb"
    if not path.exists():
        return "*This figure has not been run in this copy.*"
    for each in nbformat.read(path, as_version=4).cells:
        if each.get("id") == cell:
            for output in each.get("outputs", []):
                shown = "".join(output.get("data", {}).get("text/html", ""))
                if "<figure" in shown:
                    return raw(re.sub(r"\n\s*\n", "\n", shown))
    raise InputError(f"{stem} has no figure in a cell {cell!r}")


def number(results, stem, name):
    """Return a value as a number ("85%" is 85); None where it was not run."""
    text = results.get(stem, {}).get("values", {}).get(name)
    return None if text is None else float(re.sub(r"[^0-9.eE+-]", "", text))


def noise_bars(results):
    """Return what study B's recipe scores where nothing can be predicted."""
    page = "b07_what_the_printed_numbers_prove"
    inside, before, printed = (
        number(results, page, name)
        for name in ("noise_inside", "noise_best", "printed_high")
    )
    if None in (inside, before, printed):
        return ""
    return bars(
        "Score on pure noise, four classes",
        [
            ("a guess", 25, ""),
            ("balanced after the split", inside, "ours"),
            ("balanced before the split", before, "ours"),
            ("printed by the study, on its records", printed, "study"),
        ],
        100,
        "%",
    )


def decision_bars(results):
    """Return how often study C's rules are wrong, of 100 decisions."""
    page = "c02_simulation_right_model"
    if page not in results:
        return ""
    table = results[page]["tables"]["results"]
    rates = {
        row["rule"]: 100 * float(row["adjusted MCR"].split()[0])
        for row in table
        if row["n"] == 1000
    }
    shown = {
        "one classifier for each pair": ("Naive", "study"),
        "one deep network (the study)": ("DNN-1hdd", "study"),
        "linear regression": ("Ridge Q-learning", "ours"),
        "the best possible rule": ("Bayes", ""),
    }
    return bars(
        "Wrong decisions of 100",
        [(label, rates[rule], kind) for label, (rule, kind) in shown.items()],
        50,
    )


#: Figures of notebooks that pages of prose show: notebook and cell.
FIGURES = {
    "figure_a_side_by_side": ("a08_experiment_1_side_by_side", "a08-20"),
    "figure_b_noise": ("b07_what_the_printed_numbers_prove", "b07-noisefig"),
    "figure_d_weeks": ("d02_three_trials", "d02-14"),
    "figure_c_sizes": ("c02_simulation_right_model", "c02-16"),
}


def staying_bars(results):
    """Return how many of 100 people completed treatment in a real trial."""
    page = "d02_three_trials"
    shown = {"methadone": "glance_m", "buprenorphine": "glance_b"}
    found = [(arm, number(results, page, name), "ours") for arm, name in shown.items()]
    if any(value is None for _, value, _ in found):
        return ""
    return bars("Of 100 people, completed 24 weeks", found, 100)


#: Pictures drawn here, each from the result files.
DRAWN = {
    "picture_record": lambda results: record_picture(),
    "picture_noise": noise_bars,
    "picture_decisions": decision_bars,
    "picture_staying": staying_bars,
}


def pictures(asked, results, executed):
    """Return the pictures that pages of prose ask for, by name."""
    found = {name: draw(results) for name, draw in DRAWN.items() if name in asked}
    for name in asked & set(FIGURES):
        found[name] = figure(executed, *FIGURES[name])
    return found
