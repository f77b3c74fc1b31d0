"""What pages find at full size, below each and on a page of its own.

What was recorded stands in ``data/results/paper``; ``workflow/notebooks.yml`` says what
a page without a record needs.
"""

import inspect
import re
from functools import cache

import nbformat
import notebook_style
import plan
import prose_tables

from sudlib import book
from sudlib.book import freshness, recorded

TITLE = "## At full size"
PROVENANCE = "## Provenance"
PAGE = "[at full size](../book/sizes.md)"


def has_sizes(name):
    """Return whether a notebook computes at two sizes."""
    return "size" in book.declared_parameters(plan.ROOT / plan.source(name))


def short(name):
    """Return a notebook as a link with its short name: its letter and number."""
    return f"[{name.split('_')[0]}]({name}.ipynb)"


def why_not(name, link=short):
    """Return why a page has no recorded run, in one sentence.

    Parameters
    ----------
    name : str
        The notebook.
    link : callable
        What makes a link of another notebook's name.
    """
    entry = plan.NOTEBOOKS[name]
    if not has_sizes(name):
        return "It computes at one size only, which is the one shown."
    time = recorded.in_words(plan.minutes(name, "paper"))
    if entry.get("recorded"):
        folder, file = entry["recorded"].split("/")
        return (
            "The page shows the whole study at every size, from a recorded run"
            f" (`{file}` in `data/results/{folder}`); at full size it computes it"
            f" again, in about {time} of one core."
        )
    if entry.get("card"):
        return f"Not run: it needs a graphics card, and about {time} on one."
    cards = [n for n in sorted(plan.waits_for(name)) if plan.NOTEBOOKS[n].get("card")]
    if cards:
        first, last = ", ".join(map(link, cards[:-1])), link(cards[-1])
        which = f"{first} and {last}, which need" if first else f"{last}, which needs"
        return f"Not run: it waits for {which} a graphics card."
    return f"Not run yet: it takes about {time} of one core."


def everybody():
    """Return what a recorded run of study B takes where a short one draws, in words."""
    counted = book.recorded_result("b01_oklahoma_records")
    told = "{people} in the twin, where the study had {rows_study}"
    numbers = f" ({told.format_map(counted['values'])})" if counted else ""
    return (
        "A recorded run of study B takes everybody whom our reading of its filter"
        f" keeps{numbers}. A short run takes at most as many people as the study had,"
        " so the recorded intervals are narrower than its own people would allow."
    )


def block(name, result):
    """Return what stands at the foot of a page about its full size, as Markdown.

    Parameters
    ----------
    name : str
        The notebook.
    result : dict
        Its result in this build.
    """
    full = book.recorded_result(name)
    if full is None:
        return f"{why_not(name)} See the page {PAGE}."
    own = book.at_full_size(result, full)
    if plan.NOTEBOOKS[name].get("everybody"):
        own += f"\n\n{everybody()}"
    turned = turns(name, result, full)
    if turned:
        told = "\n".join(f"* {here} At full size: {there}" for here, there in turned)
        own += f"\n\nThese sentences say something else then:\n\n{told}"
    return f"{own}\n\nAll pages are compared on the page {PAGE}."


def add(notebook, name, result):
    """Put what is known of a page's full size before its provenance; return it.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    name : str
    result : dict or None
        Without one, and on a page that itself ran at that size or knows one size only,
        nothing is put.
    """
    if name not in plan.NOTEBOOKS or result is None or recorded.is_paper_size(result):
        return notebook
    if not has_sizes(name):
        return notebook
    cell = nbformat.v4.new_markdown_cell(f"{TITLE}\n\n{block(name, result)}")
    sources = [each.source.strip() for each in notebook.cells]
    place = sources.index(PROVENANCE) if PROVENANCE in sources else len(sources)
    notebook.cells.insert(place, cell)
    return notebook


# ------------------------------------------------------------ what another size changes


@cache
def sentences(name):
    """Return the sentences with fields that a notebook says, each as a template."""
    found = []
    source = freshness.source_of(plan.ROOT / plan.source(name))
    for template in notebook_style.templates(source):
        for line in inspect.cleandoc(template).split("\n"):
            # After a colon a lone field is the end of a sentence, and none by itself.
            ends = r"(?<=[.:?]) (?=[A-Z])|(?<=[.?]) (?=\{)"
            for sentence in re.split(ends, line.strip()):
                if re.search(r"(?<!\{)\{[A-Za-z_]", sentence):
                    found.append(sentence.lstrip("* "))
    return list(dict.fromkeys(found))


def key_of(field):
    """Return the name under which a result keeps a field of a sentence."""
    name = re.split(r"[!:]", field)[0]
    return re.sub(r"[.\[]", "_", name).replace("]", "")


def filled(sentence, values):
    """Return a sentence with the texts of a result; None where it lacks one."""
    texts = {f: values.get(key_of(f)) for f in fields(sentence)}
    if None in texts.values():
        return None
    for field, text in texts.items():
        sentence = sentence.replace(f"{{{field}}}", text)
    return sentence.replace("{{", "{").replace("}}", "}")


def fields(sentence):
    """Return the fields of a sentence as they stand between braces."""
    return re.findall(r"(?<!\{)\{([A-Za-z_][^{}]*)\}(?!\})", sentence)


def turns(name, result, full):
    """Return the sentences whose words differ at full size, filled both ways.

    Numbers always differ a little; what counts is a field that is a word or a phrase
    without a digit, such as a direction that is computed.

    Parameters
    ----------
    name : str
    result, full : dict
        A run of this copy, and what was recorded.
    """
    here, there = result["values"], full["values"]
    found = []
    for sentence in sentences(name):
        words = [
            key
            for key in map(key_of, fields(sentence))
            if here.get(key, "") != there.get(key, "")
            and not re.search(r"\d", here.get(key, "") + there.get(key, ""))
        ]
        both = filled(sentence, here), filled(sentence, there)
        if words and None not in both:
            found.append(both)
    return found


def compared(result, full):
    """Return how the numbers of a page compare: within, with an interval, turned.

    Parameters
    ----------
    result, full : dict

    Returns
    -------
    dict
        ``with_interval``: claims with a number in both runs and an interval in this
        copy's; ``within``: those whose recorded number lies in it; ``verdicts``: what
        a claim is called in both runs, where that differs, with the claim's words.
    """
    counts = {"with_interval": 0, "within": 0, "verdicts": []}
    for words, first, second in recorded.beside(result, full):
        if first is None or second is None:
            continue
        inside = recorded.lies_within(first, second)
        counts["with_interval"] += inside is not None
        counts["within"] += bool(inside)
        if first["verdict"] != second["verdict"]:
            counts["verdicts"].append((words, first["verdict"], second["verdict"]))
    return counts


# ------------------------------------------------------------------ the page of sizes


def findings(name, result, full):
    """Return what differs between a run of this copy and the recorded one, or None.

    Returns
    -------
    tuple or None
        :func:`compared`, then :func:`turns`; None where one of the runs is missing or
        both have the same size.
    """
    if result is None or full is None or recorded.is_paper_size(result):
        return None
    return compared(result, full), turns(name, result, full)


def row_of(name, full, found):
    """Return a recorded page's line in the table of sizes.

    Parameters
    ----------
    name : str
    full : dict
        What was recorded.
    found : tuple or None
        From :func:`findings`.
    """
    stamp, parts = full["stamp"], []
    if found:
        counts, turned = found
        said = len(sentences(name))
        parts.append(
            f"{len(turned)} of {said} sentences turn{'s' * (len(turned) == 1)}"
        )
        if counts["with_interval"]:
            parts.append(
                f"{counts['within']} of {counts['with_interval']} numbers lie in the"
                " interval of this copy"
            )
        if counts["verdicts"]:
            parts.append(f"verdicts that differ: {len(counts['verdicts'])}")
    if has_changed(name, full):
        parts.append("the page's own code has changed since")
    return (
        f"| {prose_tables.title_of(name)} | {stamp['date'][:10]}"
        f" | {recorded.in_words(stamp['cpu_minutes'])} | {'; '.join(parts)} |"
    )


def page_link(name):
    """Return a notebook as a link from a page of prose."""
    return f"[{name.split('_')[0]}](../notebooks/{name}.ipynb)"


def has_changed(name, full):
    """Return whether a page's own code is another than that which was recorded."""
    path = plan.ROOT / plan.source(name)
    now = freshness.fingerprints(path, full["stamp"]["parameters"])["notebook"]
    return now != full["stamp"]["fingerprints"]["notebook"]


def changes(found):
    """Return, page by page, what turns at full size, as Markdown.

    Parameters
    ----------
    found : dict of str to tuple
        :func:`findings` by page.
    """
    parts = []
    for name, (counts, turned) in found.items():
        lines = [f"* {here} *At full size:* {there}" for here, there in turned]
        lines += [
            f"* {words}: *{first}* here, *{second}* at full size."
            for words, first, second in counts["verdicts"]
        ]
        if lines:
            told = "\n".join(for_prose(line) for line in lines)
            parts.append(f"### {prose_tables.title_of(name)}\n\n{told}")
    return "\n\n".join(parts) or "Nothing turns, or nothing can be compared here."


def answer(found):
    """Return how many sentences turn at full size, as a sentence or two.

    Parameters
    ----------
    found : dict of str to tuple or None
        :func:`findings` by page.
    """
    turned = [len(each[1]) for each in found.values() if each]
    if not turned:
        return "No page of this copy can be compared with a recorded one."
    said = sum(len(sentences(name)) for name, each in found.items() if each)
    changed = sum(turned)
    return (
        f"Of {said:,} sentences with computed numbers or words, on {len(turned)}"
        f" page{'s' * (len(turned) != 1)} that can be compared, {changed}"
        f" say{'s' * (changed == 1)} something else at full size."
    )


def for_prose(text):
    """Return a text of a notebook with its links as a page of prose needs them."""
    text = re.sub(r"\]\((\w+\.ipynb)", r"](../notebooks/\1", text)
    return re.sub(r"\]\(\.\./book/", "](", text)


def names(results):
    """Return what the page ``book/sizes.md`` shows, by its names."""
    pages = [
        name for name in plan.NOTEBOOKS if (plan.ROOT / plan.source(name)).exists()
    ]
    sized = [name for name in pages if has_sizes(name)]
    full = {name: book.recorded_result(name) for name in sized}
    found = {name: findings(name, results.get(name), full[name]) for name in sized}
    done = ["| page | run on | computing | what differs from this copy |"]
    done += ["| --- | --- | ---: | --- |"]
    done += [row_of(n, each, found[n]) for n, each in full.items() if each]
    lacking = ["| page | what is missing |", "| --- | --- |"]
    lacking += [
        f"| {prose_tables.title_of(name)} | {why_not(name, link=page_link)} |"
        for name, each in full.items()
        if each is None
    ]
    minutes = [each["stamp"]["cpu_minutes"] for each in full.values() if each]
    return {
        "sizes_table": "\n".join(done),
        "sizes_answer": answer(found),
        "sizes_missing": "\n".join(lacking),
        "sizes_changes": changes({name: each for name, each in found.items() if each}),
        "sizes_pages": str(len(sized)),
        "sizes_recorded": str(len(minutes)),
        "sizes_everybody": everybody(),
        "sizes_time": recorded.in_words(sum(minutes)),
    }
