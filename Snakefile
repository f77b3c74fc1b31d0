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
KERNEL = config["kernel"]
PROFILE = config["profile"]
GIVEN = config.get("given") or {}


rule site:
    input:
        expand(OUT + "/executed/{name}.ipynb", name=plan.NOTEBOOKS),
        expand(OUT + "/results/{name}.json", name=plan.NOTEBOOKS),
        pages=[
            str(path)
            for path in sorted(Path("book").rglob("*"))
            if path.is_file() and ".ipynb_checkpoints" not in path.parts
        ],
        settings=["_config.yml", "workflow/build_site.py", "workflow/stage.py"],
        claims=[
            *map(str, sorted(Path("sudlib/book").glob("*.py"))),
            *map(str, sorted(Path("data/claims").glob("*"))),
        ],
        devices="data/results/study_a/devices.csv",
    output:
        "_build/html/index.html",
    params:
        out=OUT,
    log:
        OUT + "/logs/site.log",
    shell:
        "python workflow/build_site.py --results {params.out:q}/results"
        " --notebooks {params.out:q}/executed > {log:q} 2>&1"
        " || (tail -n 25 {log:q} >&2; exit 1)"


for name, entry in plan.NOTEBOOKS.items():

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
        log:
            f"{OUT}/logs/{name}.log",
        threads: entry.get("threads", 2)
        shell:
            "python workflow/execute.py {params.notebook:q} --parameters {params.given:q}"
            " --kernel {params.kernel:q} --executed {output.executed:q}"
            " --result {output.result:q} --log {log:q}"
