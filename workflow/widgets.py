"""The five things to touch: blocks of HTML for a page, with their data inside.

Each block says its numbers in a sentence, which is whole without a script, and holds
what ``book/_static/touch.js`` needs to say another one when the reader moves something.
The numbers are those of the result files; nothing is computed here that a notebook
could have kept.
"""

import base64
import html
import io
import json
import re

import numpy as np
import pandas as pd
from PIL import Image
from stories import FLAGS, PERSON, number, raw

from sudlib import fairness, images
from sudlib.origin import IS_SYNTHETIC, ORIGINS, joint_origin
from sudlib.teds import codebook

NOT_RUN = "*This needs a run of the page [{stem}](../notebooks/{stem}.ipynb).*"
TOO_FEW = "*Too few people to be shown.*"
#: Answers that are asked at once; the others are behind a fold.
FIRST_ASKED = ("AGE", "GENDER", "PREG", "EDUC", "EMPLOY", "LIVARAG", "SUB1", "SUB2")
LAYOUTS = {
    "general": "first experiment",
    "clinic": "methadone and opioids",
    "pilot": "pilot of March 2021",
}
OTHERS = "others"
FAMILIES = {"each": "one variable at a time", "pairs": "two variables crossed"}
COVARIATES = {
    "hba1c": "HbA1c before treatment",
    "age": "age",
    "bmi": "body mass index",
    "duration": "years with diabetes",
    "male": "man",
    "heart_failure": "heart failure",
}
MEDICINES = {
    "dpp4": "DPP4 inhibitor",
    "su": "sulfonylurea",
    "met": "metformin",
    "tzd": "thiazolidinedione",
}
#: Noise as in study B's recipe for four classes, but small: the browser computes it.
NOISE = {
    "people": 240,
    "columns": 10,
    "levels": 3,
    "shares": [0.7, 0.14, 0.1, 0.06],
    "neighbours": 5,
    "held_out": 0.3,
    "seed": 33,
}


# ------------------------------------------------------------------------ the parts


def choice(name, label, options, chosen):
    """Return a select with its label; options are pairs of a value and its words."""
    shown = "".join(
        f'<option value="{html.escape(str(value))}"'
        f"{' selected' if value == chosen else ''}>{html.escape(str(words))}</option>"
        for value, words in options
    )
    return (
        f"<label>{html.escape(label)}"
        f' <select name="{name}" autocomplete="off">{shown}</select></label>'
    )


def slider(name, label, low, high, step, value):
    """Return a range input with its label; the script shows the value beside it."""
    return (
        f'<label class="touch-slider"><span>{html.escape(label)}</span>'
        f' <input type="range" name="{name}" min="{low}" max="{high}" step="{step}"'
        f' value="{value}" autocomplete="off"><span data-beside="{name}"'
        ' aria-hidden="true"></span></label>'
    )


def stamp(results, stem):
    """Return where the numbers are from, and what the records behind them are."""
    run = results[stem]["stamp"]
    used = [each.get("origin") or _origin(each) for each in run.get("data") or []]
    kind = joint_origin(used)
    words = ORIGINS[kind] if used else "no records"
    if {each.get("data") for each in run.get("data") or []} == {"noise"}:
        words = "noise"
    if IS_SYNTHETIC[kind]:
        words = f'{words} (<span class="verdict synthetic">synthetic</span>)'
    return (
        f'<p class="touch-stamp">Computed on {words} by'
        f' <a href="../notebooks/{stem}.html">{stem}</a>, {run["date"][:10]},'
        f" commit {html.escape(str(run['commit']))}.</p>"
    )


def _origin(used):
    """Return the origin of data in a stamp that says only whether they are made up."""
    return "synthetic" if used.get("synthetic") else "unverified"


def block(kind, data, controls, sentence, stamped=""):
    """Return a thing to touch as a block that a page of prose can take in.

    Parameters
    ----------
    kind : str
        Which function of ``touch.js`` moves it.
    data : dict
        What that function needs, written as JSON.
    controls : str
        Native inputs with labels; shown where scripts run.
    sentence : str
        What it says before anything is moved: whole without a script.
    stamped : str, optional
        Where the numbers are from.
    """
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    written = written.replace("<", "\\u003c")
    return raw(
        f'<div class="touch" data-touch="{kind}">'
        f'<script type="application/json">{written}</script>'
        f'<form hidden aria-label="Controls: {kind}">{controls}</form>'
        '<div class="touch-picture" aria-hidden="true"></div>'
        f'<output aria-live="polite">{html.escape(sentence)}</output>{stamped}</div>'
    )


def rows_of(results, stem, table):
    """Return a kept table as a data frame, or None where it has not been kept."""
    kept = results.get(stem, {}).get("tables", {}).get(table)
    return None if kept is None else pd.DataFrame(kept)


# ------------------------------------------------------------- 1. record and picture


def record(results):
    """Return the record that becomes a picture; its pixels are the study's."""
    drawers = {name: images.TextImage(name) for name in LAYOUTS}
    strips, wide = {}, 0
    layouts = {name: [] for name in drawers}
    for name, drawer in drawers.items():
        for variable, box, patch in zip(
            images.VARIABLES, drawer.boxes.tolist(), drawer.patches, strict=True
        ):
            key = variable, patch.shape, patch.tobytes()
            if key not in strips:
                strips[key] = wide
                wide += patch.shape[2]
            y, x, high, broad = box
            layouts[name].append([x, y, broad, high, strips[key]])
    sprite = np.zeros((max(n * high for _, (n, high, _), _ in strips), wide), np.uint8)
    for (_, (n, high, broad), patch), left in strips.items():
        texts = np.frombuffer(patch, np.uint8).reshape(n * high, broad)
        sprite[: n * high, left : left + broad] = texts
    flags = {n: code for n, code in codebook.FLAGS.items() if n in images.VARIABLES}
    codes = PERSON | dict.fromkeys(FLAGS, 0)
    codes = {n: codes.get(n, codebook.MISSING) for n in images.VARIABLES}
    drawn = drawers["general"].draw(images.encode(pd.DataFrame([codes])))[0]
    lit, all_pixels = int((drawn > 0).sum()), drawn.size
    asked = {name: _answers(name, codes[name], name in flags) for name in codes}
    controls = choice("layout", "Layout", LAYOUTS.items(), "general")
    controls += "".join(asked[name] for name in FIRST_ASKED)
    rest = "".join(text for name, text in asked.items() if name not in FIRST_ASKED)
    controls += f"<details><summary>The other 20 answers</summary>{rest}</details>"
    data = {
        "side": drawn.shape[0],
        "sprite": f"data:image/png;base64,{_png(sprite)}",
        "variables": [{"name": name} for name in images.VARIABLES],
        "layouts": layouts,
        "flags": flags,
        "substances": ["SUB1", "SUB2", "SUB3"],
    }
    sentence = (
        f"The 28 answers light {lit:,} of {all_pixels:,} pixels,"
        f" {_of_100(lit, all_pixels)}% of the picture."
    )
    made_up = '<p class="touch-stamp">The person is made up (<span class="verdict'
    made_up += (
        ' synthetic">synthetic</span>); the cells stand where the study has them.</p>'
    )
    return block("record", data, controls, sentence, made_up)


def _answers(name, chosen, derived):
    """Return a select with every answer to a variable; flags follow the substances."""
    wordings = codebook.wordings(name)
    options = []
    for code in images.LEVELS[name]:
        words = wordings[code][0] if wordings.get(code) else ""
        if code == codebook.MISSING:
            words = "not recorded"
        options.append((code, words if len(words) < 48 else f"{words[:46]}…"))
    label = codebook.label(name) + " (follows from the substances)" * derived
    text = choice(name, label, options, chosen)
    return text.replace("<select", "<select disabled", 1) if derived else text


def _png(pixels):
    """Return a grey picture as base64 text."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


# ------------------------------------------------------------------ 2. the threshold


def threshold(results):
    """Return the threshold that the reader moves, for four groups of people."""
    stem = "a02_forest_general"
    table = rows_of(results, stem, "score_counts")
    if table is None:
        return NOT_RUN.format(stem=stem)
    if table.empty:
        return TOO_FEW
    counts = table.pivot_table(
        index="score", columns=["group", "completed"], values="people", fill_value=0
    ).astype(int)
    at = [round(float(score), 2) for score in counts.index]
    both = [name for name, both in counts.T.groupby("group") if both.any(axis=1).all()]
    groups = sorted(both, key=lambda n: (n == OTHERS, -counts[n].to_numpy().sum()))
    costs = rows_of(results, stem, "costs").set_index("arm")
    chosen = float(
        costs.loc[next(n for n in costs.index if "boosting" in n), "threshold"]
    )
    first = int(np.abs(np.array(at) - chosen).argmin())
    data = {
        "scores": at,
        "others": OTHERS,
        "groups": [
            {
                "name": name,
                **{
                    key: counts[name, code].tolist()
                    for key, code in (("yes", 1), ("no", 0))
                },
            }
            for name in groups
        ],
    }
    controls = slider("threshold", "Threshold", 0, len(at) - 1, 1, first)
    return block(
        "threshold",
        data,
        controls,
        _threshold_words(data, first),
        stamp(results, stem),
    )


def _threshold_words(data, first):
    """Return the sentence of ``touch.js`` for a threshold."""
    tp, fp = (
        sum(sum(group[key][first:]) for group in data["groups"])
        for key in ("yes", "no")
    )
    complete, other = (
        sum(sum(group[key]) for group in data["groups"]) for key in ("yes", "no")
    )
    precision = f"{tp / (tp + fp):.2f}" if tp + fp else "undefined"
    found = ", ".join(
        f"{group['name']} {_of_100(sum(group['yes'][first:]), sum(group['yes']))}"
        for group in data["groups"]
        if group["name"] != OTHERS
    )
    return (
        f"At a threshold of {data['scores'][first]:.2f}, {tp + fp:,} of"
        f" {complete + other:,} people are predicted to complete: precision"
        f" {precision}, recall {tp / complete:.2f}, F0.5"
        f" {1.25 * tp / (tp + 0.25 * complete + fp):.2f}. Found, of 100 who complete:"
        f" {found}. The rest are missed."
    )


def _of_100(part, whole):
    """Return a share as a whole number of 100, rounded as browsers round."""
    return int(np.floor(100 * part / whole + 0.5))


# -------------------------------------------------------------------- 3. the fairness


def fair(results):
    """Return a fairness measure with its interval, by family and smallest group."""
    stem = "b05_fairness_measures"
    table = rows_of(results, stem, "smallest_group")
    if table is None:
        return NOT_RUN.format(stem=stem)
    rows = [_fair_row(row) for row in table.to_dict("records")]
    measures = [(name, name.replace("_", " ")) for name in fairness.MEASURES]
    sizes = sorted(set(table["min_n"]))
    asked = "demographic_parity_ratio", "each", sizes[0]
    controls = (
        choice("measure", "Measure", measures, asked[0])
        + choice("family", "Groups", FAMILIES.items(), asked[1])
        + choice(
            "smallest", "Smallest group", [(n, f"{n} people") for n in sizes], asked[2]
        )
    )
    (shown,) = (row for row in rows if tuple(row[:3]) == asked)
    return block("fairness", {"rows": rows}, controls, shown[-1], stamp(results, stem))


def _fair_row(row):
    """Return one answer of :func:`sudlib.fairness.assess` as a list with a sentence."""
    measure = row["measure"].replace("_", " ")
    kind = row["measure"].rpartition("_")[2]
    limit = row["min_ratio" if kind == "ratio" else "max_difference"]
    groups = int(row["n_groups"] - row["n_empty"] - row["n_small"])
    scope = (
        f"{measure.capitalize()}, {FAMILIES[row['family']]},"
        f" {groups} groups of at least {row['min_n']} people"
    )
    start = [row["measure"], row["family"], row["min_n"]]
    if row["value"] is None or np.isnan(row["value"]):
        return [*start, None, None, None, "", limit, f"{scope}: undefined."]
    lowest, highest = (
        re.sub(r"\b[A-Z]{3,} ", "", row[e]) for e in ("lowest", "highest")
    )
    side = "at least" if kind == "ratio" else "at most"
    sentence = (
        f"{scope}: {row['value']:.2f}, 95% interval {row['low']:.2f} to"
        f" {row['high']:.2f}; fair means {side} {limit}. Verdict: {row['verdict']}."
        f" Furthest apart: {lowest} ({row['lowest_n']:,.0f} people) and {highest}"
        f" ({row['highest_n']:,.0f})."
    )
    numbers = [round(float(row[name]), 4) for name in ("value", "low", "high")]
    return [*start, *numbers, row["verdict"], limit, sentence]


# ------------------------------------------------------------------------ 4. the noise


def noise(results):
    """Return noise to balance before or after the split, in the reader's browser."""
    stem = "b07_what_the_printed_numbers_prove"
    inside, before = (
        number(results, stem, name) for name in ("noise_inside", "noise_best")
    )
    if None in (inside, before):
        return NOT_RUN.format(stem=stem)
    sentence = (
        "In this book's own run, noise balanced before the split is predicted right in"
        f" {before:.0f} of 100; balanced after the split, in {inside:.0f} of 100. A"
        " guess is right in 25 of 100."
    )
    controls = '<button type="submit">Again</button>'
    own = (
        '<p class="touch-stamp">The draws are made in your browser. In the book\'s own'
        f" run, {before:.0f} and {inside:.0f} of 100 are right.</p>"
    )
    return block("noise", NOISE, controls, sentence, own + stamp(results, stem))


# ------------------------------------------------------------------------- 5. the rule


def rule(results):
    """Return the rule for a person: covariates move, advice and its value move."""
    stem = "c05_diabetes"
    table = rows_of(results, stem, "linear_rule")
    if table is None:
        return NOT_RUN.format(stem=stem)
    table = table.set_index("covariate")
    numbers = ["anyway", *MEDICINES]
    base = table.loc["middle", numbers].astype(float)
    covariates, controls = [], ""
    for name, label in COVARIATES.items():
        row = table.loc[name]
        yes_no = row["kind"] == "yes-no"
        digits = int(name in ("hba1c", "bmi"))
        unit = {"hba1c": "%"}.get(name, "")
        step = 0.1 if digits else 1
        middle = float(row["middle"]) if yes_no else round(float(row["middle"]), digits)
        slopes = row[numbers].astype(float)
        base = base + slopes * (middle - float(row["middle"]))
        low, high = (round(float(row[end]), digits) for end in ("low", "high"))
        covariates.append(
            {
                "name": name,
                "label": label,
                "middle": middle,
                "digits": digits,
                "unit": unit,
                "slopes": slopes.round(5).tolist(),
            }
        )
        controls += (
            f'<label><input type="checkbox" name="{name}" autocomplete="off"'
            f"{' checked' * bool(middle)}> {label}</label>"
            if yes_no
            else slider(name, label, low, high, step, middle)
        )
    data = {
        "covariates": covariates,
        "base": base.round(5).tolist(),
        "medicines": list(MEDICINES.values()),
        "most": 4,
    }
    return block("rule", data, controls, _rule_words(data), stamp(results, stem))


def _rule_words(data):
    """Return the sentence of ``touch.js`` for the middle person."""
    said = []
    for each in data["covariates"]:
        value = f"{each['middle']:.{each['digits']}f}{each['unit']}"
        if each["name"] in ("male", "heart_failure"):
            value = "yes" if each["middle"] else "no"
        said.append(f"{each['label']} {value}")
    anyway, *effects = data["base"]
    given = [m for m, e in zip(data["medicines"], effects, strict=True) if e > 0]
    return (
        f"{', '.join(said)}: the rule advises {' + '.join(given) or 'no medicine'}."
        f" HbA1c is expected {_course(anyway + sum(map(abs, effects)))}"
        f" percentage points; without medicine, {_course(anyway - sum(effects))}."
    )


def _course(fall):
    """Return a change of HbA1c in words, as ``touch.js`` says it."""
    size = f"{abs(fall):.1f}"
    return f"to {'rise' if fall < 0 and size != '0.0' else 'fall'} by {size}"


#: The things to touch, each from the result files, as stories.DRAWN has pictures.
DRAWN = {
    "touch_record": record,
    "touch_threshold": threshold,
    "touch_fairness": fair,
    "touch_noise": noise,
    "touch_rule": rule,
}


def blocks(asked, results):
    """Return the things to touch that pages of prose ask for, by name."""
    return {name: draw(results) for name, draw in DRAWN.items() if name in asked}
