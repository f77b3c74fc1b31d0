# make book · make test · make lab · make clean
PYTHON ?=
BIN = .venv/bin
# What is asked for reaches the shell as a variable, whatever stands in it.
export PYTHON PROFILE DATA KERNEL JOBS THREADS NOTEBOOK SCHEDULER NAME TITLE ROOM N
# Some machines have a NAME of their own (Windows' Linux its host's).
ifeq ($(origin NAME),environment)
NAME =
endif

# Of another Python or environment: they would lead out of .venv.
unexport PYTHONHOME PYTHONPATH PYTHONUSERBASE PYTHONSTARTUP PYTHONWARNINGS
unexport PYTHONOPTIMIZE PYTHONSAFEPATH __PYVENV_LAUNCHER__ VIRTUAL_ENV

.PHONY: book teach test test-all lab lint notebook house lines mutants bench clean clean-all environment help

help:           ## list what can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/:/'

environment:    ## make .venv from the lock file, register the kernel
	@$${PYTHON:-python3} workflow/environment.py

book: environment   ## run what has changed, build the website (PROFILE=paper DATA=... KERNEL=... JOBS=... THREADS=... NOTEBOOK=... SCHEDULER=tcp://...)
	@exec $(BIN)/python workflow/book.py --profile="$$PROFILE" --data="$$DATA" --kernel="$$KERNEL" --jobs="$$JOBS" --threads="$$THREADS" --only="$$NOTEBOOK" --scheduler="$$SCHEDULER"

teach: environment  ## make student and solution notebooks, marking and slides in _build/teach (PROFILE=paper)
	@$(BIN)/python workflow/teach.py --executed "_build/$${PROFILE:-quick}/executed"

# Two tests at a time: each worker loads TensorFlow by itself (2 GB; JOBS=4 for four).
# One thread each, as in the book: the threads of two workers wait for each other.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
PYTEST = env $(ONE_THREAD) $(BIN)/python -m pytest -n "$${JOBS:-2}" --dist worksteal

test: environment   ## run the fast tests (JOBS=...)
	$(PYTEST)

test-all: environment   ## run all tests, the slow ones too
	$(PYTEST) -m "slow or not slow"

lab: environment    ## open JupyterLab on the notebooks
	@$(BIN)/python workflow/notebook_filter.py --tell-git
	$(BIN)/jupyter lab --notebook-dir=.

lint: environment   ## check style and annotations
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

notebook: environment  ## begin an experiment (NAME=a11_short_name TITLE="A question?")
	@$(BIN)/python tools/new_notebook.py "$$NAME" "$$TITLE"

house: environment  ## draw the rooms and arrows of the library into the README
	@$(BIN)/python tools/draw_house.py --write

lines:          ## count the library's lines of code, room by room
	@python3 tools/count_code.py

bench: environment  ## run the benchmarks beside their peers, keep their tables (NAME=fairness for one)
	$(BIN)/python tools/run_benchmarks.py $$NAME

mutants: environment  ## which slips would the tests not notice? (ROOM=fairness N=50; minutes)
	$(BIN)/python tools/mutate.py "$$ROOM" --number "$${N:-50}"

clean:          ## remove what was built, but no results that took an hour or more
	@$${PYTHON:-python3} workflow/clean.py

clean-all:      ## remove those too, and the environment (asks first)
	@$${PYTHON:-python3} workflow/clean.py --all
