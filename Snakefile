# Which notebook runs when.  Called by workflow/book.py; the list is in
# workflow/notebooks.yml.  Every notebook becomes one papermill run whose
# fingerprint (notebook, the library modules and data files it uses, parameters, lock
# file) is a parameter of the rule: what changes it, and nothing else, runs it again.

import json
import sys
from pathlib import Path

sys.path.insert(0, "workflow")
import plan

OUT = config["out"]
SITE = config["site"]
THREADS = int(config["threads"])
KERNEL = config["kernel"]
PROFILE = config["profile"]
GIVEN = config.get("given") or {}


rule site:
    input:
        expand(OUT + "/executed/{name}.ipynb", name=plan.NOTEBOOKS),
        expand(OUT + "/results/{name}.json", name=plan.NOTEBOOKS),
        # Their words are on the site as they are now.
        words=[plan.source(name) for name in plan.NOTEBOOKS],
        pages=[
            str(path)
            for path in sorted(Path("book").rglob("*"))
            if path.is_file() and ".ipynb_checkpoints" not in path.parts
        ],
        settings=["_config.yml", *map(str, sorted(Path("workflow").glob("*.py")))],
        claims=[
            *map(str, sorted(Path("sudlib/book").glob("*.py"))),
            *map(str, sorted(Path("data/claims").glob("*"))),
        ],
        measured=[
            "data/results/study_a/devices.csv",
            *map(str, sorted(Path("data/results/benchmarks").glob("*.txt"))),
            *map(str, sorted(Path("data/results/paper").glob("*.json"))),
        ],
    output:
        SITE + "/html/index.html",
    params:
        out=OUT,
        site=SITE,
    threads: workflow.cores
    log:
        OUT + "/logs/site.log",
    shell:
        "python workflow/build_site.py --results {params.out:q}/results"
        " --notebooks {params.out:q}/executed --out {params.site:q} --jobs {threads}"
        " > {log:q} 2>&1"
        # the page and line of each warning, which may stand far above the end
        " || (tail -n 25 {log:q} >&2; grep -aE '(WARNING|ERROR): .*\\[' {log:q} >&2; exit 1)"


for name in plan.NOTEBOOKS:

    rule:
        name:
            name
        input:
            [f"{OUT}/results/{other}.json" for other in plan.needs(name)],
            # Their content counts, through the fingerprint; their dates do not.
            sources=[ancient(path) for path in plan.own_inputs(name)],
        output:
            executed=f"{OUT}/executed/{name}.ipynb",
            result=f"{OUT}/results/{name}.json",
        params:
            notebook=plan.source(name),
            # A function: braces in a path that is given are no wildcards.
            given=lambda wildcards, text=json.dumps(
                plan.parameters(name, PROFILE, GIVEN), sort_keys=True
            ): text,
            fingerprint=json.dumps(
                plan.fingerprint(name, PROFILE, GIVEN), sort_keys=True
            ),
            kernel=KERNEL,
            computing=THREADS,
        log:
            f"{OUT}/logs/{name}.log",
        # The longest first; a whole number.
        priority: round(100 * plan.urgency(name, PROFILE))
        threads: THREADS
        shell:
            "python workflow/execute.py {params.notebook:q} --parameters {params.given:q}"
            " --kernel {params.kernel:q} --threads {params.computing}"
            " --executed {output.executed:q} --result {output.result:q}"
            " --log {log:q}"
