# The full simulation study of study C, one job a shard, on one machine or on many.
#
#   snakemake -s workflow/study_c.smk -j 2                          # this machine
#   snakemake -s workflow/study_c.smk --profile workflow/slurm      # a SLURM cluster
#
# A shard that is there is not run again; the merged table does not depend on the order.
import sys

sys.path.insert(0, f"{workflow.basedir}/../tools")
import run_study_c as study

FOLDER = config.get("folder", "_build/study_c")
OUT = config.get("out", "data/results/study_c")
REPEATS = int(config.get("repeats", study.REPEATS))
SHARDS = [study.shard_name(*shard) for shard in study.shards(repeats=REPEATS)]


localrules:
    all,
    merge,


rule all:
    input:
        f"{OUT}/scores.csv.gz",


rule shard:
    output:
        f"{FOLDER}/{{shard}}.csv",
    wildcard_constraints:
        shard=r"(right|wrong)_n\d+_r\d+-\d+",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        "OPENBLAS_NUM_THREADS=1 {sys.executable} tools/run_study_c.py"
        " --folder {FOLDER} --repeats {REPEATS} --shard {wildcards.shard}.csv"


rule merge:
    input:
        expand(f"{FOLDER}/{{name}}", name=SHARDS),
    output:
        f"{OUT}/scores.csv.gz",
    shell:
        "{sys.executable} tools/run_study_c.py --folder {FOLDER} --out {OUT} --merge"
