# Everything here starts from make, git and Python 3.11 or newer with venv and pip; nothing has to be activated.
# `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
PROFILE ?= quick
DATASET ?= reviews
OUT ?= figures$(if $(filter-out quick,$(PROFILE)),/$(PROFILE))
EXAMPLES ?= 500
AUDIT := pip-audit==2.10.1
EXTRAS ?= notebooks,offline,t5,media,report,course,cluster,test

# An active conda environment made from environment.yml is used as it is; otherwise the environment is .venv.
ifeq ($(CONDA_DEFAULT_ENV),mugkit)
ENV := $(CONDA_PREFIX)
BIN := $(CONDA_PREFIX)/bin
else
ENV := .venv
BIN := $(CURDIR)/.venv/bin
endif
STAMP := $(ENV)/.mugkit-setup
PARTS := .[$(EXTRAS)]

export PATH := $(BIN):$(PATH)
export TOKENIZERS_PARALLELISM := false

# uv does not read pip's configuration: hand it a machine's wheelhouse, mirror and certificates where pip has them and
# the environment does not say otherwise. (`pip config get` would read the user's file only, not the machine's.)
pip_setting = $(shell $(BIN)/python -m pip config list 2>/dev/null \
	| sed -nE "s/^(:env:|global|install)\.$(1)='(.*)'$$/\2/p" | head -1 | sed 's/\\n/ /g' | xargs | tr ' ' ',')
from_pip = $(if $($(1)),,$(addprefix $(1)=,$(call pip_setting,$(2))))
LIKE_PIP = $(call from_pip,UV_FIND_LINKS,find-links) $(call from_pip,UV_DEFAULT_INDEX,index-url) \
	$(call from_pip,SSL_CERT_FILE,cert)
OLD_PYTHON := mugkit needs Python 3.11 or newer. Name one: make setup PYTHON=python3.12

# Where the notebooks write while they are tested: figures/ stays as committed.
CHECKED := $(CURDIR)/.mugkit/checked
QUIETLY := HF_HUB_OFFLINE=1 MUGKIT_PROGRESS=0
# Two targets at a time, where each leaves a core idle now and then.
BESIDE := $(MAKE) --no-print-directory --jobs 2
# Unit tests side by side, a file's together: they share what they set up.
SPREAD := --numprocesses=2 --dist=loadfile --no-loadscope-reorder

.PHONY: help setup other-parts data reproduce test test-types test-units test-slow test-slow-units runs test-studies \
	durations test-peers test-lowest test-newest soak faults fuzz audit notebooks costs first bench gpu report book lab \
	pins sizes clean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 14

setup: $(STAMP)  ## create the environment, or add EXTRAS of pyproject.toml; does nothing when it is up to date

$(ENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(OLD_PYTHON)")' || \
		{ echo "found: $$($(PYTHON) --version 2>&1)" >&2; exit 1; }
	@if [ "$(ENV)" = .venv ]; then $(PYTHON) -m venv .venv; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

$(STAMP): pyproject.toml constraints.txt Makefile | $(ENV)/bin/uv
	@echo "installing mugkit and what it needs into $(ENV)"  # the next line may hold a mirror's password
	@$(LIKE_PIP) $(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt --compile-bytecode \
		--editable '$(PARTS)'
	@echo '$(PARTS)' > $@

# The stamp holds the parts of the last setup: others are installed although no file has changed.
ifneq "$(shell cat $(STAMP) 2>/dev/null)" "$(PARTS)"
$(STAMP): other-parts
endif

data: setup  ## fetch and prepare the default data set
	mugkit prepare reviews

reproduce: data  ## run every notebook and write figures/ (PROFILE, DATASET and OUT can be set)
	mugkit reproduce --profile $(PROFILE) --dataset $(DATASET) --out $(OUT)

# Where notebooks are compared with committed outputs, those of studies are left out, whose runs take longer than all
# others together: `make test-studies` compares them, after an hour on a slow machine.
STUDIES := $(wildcard notebooks/12_*.ipynb notebooks/14_*.ipynb notebooks/15_*.ipynb)
NUMBERED := $(wildcard notebooks/[0-9]*.ipynb)
PEER := PYTHONPATH=tests python -c "from benchmarks import environment; environment.python()"
UNIT := HF_HUB_OFFLINE=1 pytest $(SPREAD) --ignore=tests/test_environment.py
NBVAL := $(QUIETLY) MUGKIT_OUT=$(CHECKED) PYTHONPATH=tests OMP_NUM_THREADS=1 pytest $(SPREAD) -p kernels_apart \
	--nbval --nbval-current-env --nbval-cell-timeout=900

test: data  ## lint, types, the unit tests that answer soon, and every notebook twice under smoke with the same outputs
	ruff check
	ruff format --check
	$(BESIDE) test-types test-units
	rm -rf $(CHECKED)
	mkdir -p $(CHECKED)
	python tests/notebooks/small_reviews.py
	printf '%s\n' $(NUMBERED) | $(QUIETLY) OMP_NUM_THREADS=1 xargs -P 2 -I{} sh -c \
		'papermill --no-progress-bar -p profile smoke -p dataset reviews-small -p out $(CHECKED)/smoke {} $(CHECKED)/$$(basename {}) || exit 255'
	$(NBVAL) $(CHECKED)/[0-9]*.ipynb

test-types: setup
	mypy

test-units: data
	$(UNIT) -m "not slow"

test-slow: data  ## all that takes long: browser, kills, clusters, attacks, the environment, notebooks' committed outputs
	$(BESIDE) test-slow-units runs
	rm -rf $(CHECKED)
	# The longest notebook first. Kernels share no ports (tests/kernels_apart.py), and each takes a core.
	$(NBVAL) $$(command -v espeak-ng >/dev/null && echo data_prep/*.ipynb) \
		$(filter-out $(STUDIES),$(NUMBERED)) notebooks/assignments/*.ipynb
	@command -v espeak-ng >/dev/null || \
		echo "data_prep/*.ipynb not run: it needs speech (apt-get install espeak-ng); .ci/run installs it"
	MUGKIT_OUT=$(CHECKED) pytest tests/notebooks/test_golden.py  # what the notebooks wrote, against figures/

test-slow-units: data
	$(UNIT) -m slow
	@$(LIKE_PIP) pytest tests/test_environment.py  # builds an environment from scratch: needs the network
	@$(LIKE_PIP) $(PEER) || echo "tests/peers will be skipped: MMSA's environment cannot be made here"
	HF_HUB_OFFLINE=1 pytest tests/peers

# Trainings use the time in which slow tests wait, and no more: tests have limits of time.
runs: data
	HF_HUB_OFFLINE=1 nice -n 15 mugkit reproduce --only-runs --no-studies

test-studies: data  ## compare the committed outputs of the studies' notebooks, all runs computed
	HF_HUB_OFFLINE=1 mugkit reproduce --only-runs
	$(NBVAL) $(STUDIES)

durations: data  ## measure every unit test, and write down which are slow
	$(UNIT) --durations=0 | tee .mugkit/durations.txt
	python .ci/upkeep/durations.py < .mugkit/durations.txt

test-peers: setup  ## our baselines beside MMSA's, whose weights are copied over (makes MMSA's environment first)
	@$(LIKE_PIP) $(PEER)
	HF_HUB_OFFLINE=1 pytest tests/peers

# In environments of their own. TORCH names a build: `make test-newest TORCH=torch==2.13.0+cpu` spares gigabytes of CUDA.
# Without TESTS, what passed goes to figures/versions.json and DEPENDENCIES.md.
test-lowest: TORCH ?= $(shell $(BIN)/uv pip freeze --quiet --python $(BIN)/python | grep '^torch==')
test-lowest: data  ## unit tests with the lowest versions that pyproject.toml allows (torch: as set up)
	$(call test_with,lowest,lowest-direct)

test-newest: data  ## unit tests with the newest versions that pyproject.toml allows
	$(call test_with,newest,highest)

define test_with
	$(BIN)/uv venv --quiet --clear --seed --python $(BIN)/python .mugkit/env-$(1)
	echo '$(TORCH)' > .mugkit/env-$(1)/torch.txt
	@$(LIKE_PIP) $(BIN)/uv pip install --quiet --python .mugkit/env-$(1)/bin/python --resolution $(2) \
		--constraint .mugkit/env-$(1)/torch.txt --compile-bytecode --editable '.[$(EXTRAS)]'
	PATH="$(CURDIR)/.mugkit/env-$(1)/bin:$$PATH" HF_HUB_OFFLINE=1 pytest $(SPREAD) --ignore=tests/test_environment.py \
		--junitxml=.mugkit/env-$(1)/tests.xml $(TESTS)
	@if [ -z "$(TESTS)" ]; then \
		.mugkit/env-$(1)/bin/python .ci/upkeep/dependencies.py $(1) .mugkit/env-$(1)/tests.xml; \
		python .ci/upkeep/dependencies.py; \
	fi
endef

soak: setup  ## faults and hostile files in full (fifteen minutes); counts go to figures/reliability.json
	HF_HUB_OFFLINE=1 python tests/reliability/soak.py

faults: setup  ## plant faults in a copy of the library, one at a time, and count how many the tests catch (WHEN, COMMIT)
	python tests/reliability/planted_faults.py figures/planted_faults.json --as $(or $(WHEN),after) --commit $(or $(COMMIT),HEAD)

fuzz: setup  ## look for files that make a reader fail (EXAMPLES of each reader, another seed each time)
	HF_HUB_OFFLINE=1 python tests/reliability/fuzz.py $(EXAMPLES)

# pip-audit has an environment of its own. --strict: what it cannot look up is a failure, never passed over.
audit: setup  ## look up what is installed among known vulnerabilities (needs the network)
	@list=$$(mktemp); trap 'rm -f "$$list"' EXIT; \
	$(BIN)/uv pip freeze --quiet --python $(BIN)/python --exclude-editable | sed -E 's/\+[a-z0-9.]+$$//' > "$$list"; \
	$(LIKE_PIP) $(BIN)/uv tool run --quiet --from $(AUDIT) pip-audit --strict --no-deps --disable-pip \
		--requirement "$$list" || { echo "make audit: not passed; above is which package is vulnerable, or could" \
		"not be looked up (the service unknown to it, or out of reach)" >&2; exit 1; }

notebooks: data  ## run every notebook in place, to commit its outputs
	$(QUIETLY) jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
		--ExecutePreprocessor.timeout=-1 \
		notebooks/*.ipynb notebooks/assignments/*.ipynb data_prep/*.ipynb
	jupyter nbconvert --log-level WARN --to notebook --inplace --coalesce-streams \
		notebooks/*.ipynb notebooks/assignments/*.ipynb data_prep/*.ipynb  # a kernel may print a line in two parts
	mugkit report --out figures
	python .ci/upkeep/readme.py

costs: data  ## measure each notebook's time and memory where its runs are stored, and write them into its first cell
	HF_HUB_OFFLINE=1 python .ci/upkeep/costs.py measure

first: data  ## measure how soon notebook 00 shows its results where nothing is stored; fails when it takes over 30 s
	@HF_HUB_OFFLINE=1 python .ci/upkeep/costs.py first

bench: data  ## measure ratios of speed (ten minutes, fetches MMSA); fails when one falls under its bar
	@HF_HUB_OFFLINE=1 $(LIKE_PIP) mugkit bench --out $(OUT)

gpu: setup  ## check everything that needs a GPU (eight minutes); SKIP=bench leaves a part out
	HF_HUB_OFFLINE=1 python tests/gpu/check.py --out $(OUT) $(addprefix --skip ,$(SKIP))

report: setup  ## write the ledger of claims and figures/report.html from what figures/ holds
	mugkit report --out $(OUT)

book: setup  ## build the book of executed notebooks and the API into .mugkit/book
	python .ci/book/make_book.py .mugkit/book

lab: data  ## open the notebooks in JupyterLab (LAB: options of it, such as LAB=--no-browser)
	jupyter lab $(LAB) notebooks

# Pins that the lowest supported Python can install, the present ones where they still fit. Left out: CUDA's libraries,
# which come with torch on machines that have them, and local version tags (torch's +cpu), which say which build a
# machine chose.
pins: setup  ## work out constraints.txt anew after a change in pyproject.toml
	cp constraints.txt constraints.txt.new
	@$(LIKE_PIP) $(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11.0 --no-header --no-annotate \
		--quiet --output-file constraints.txt.new
	{ grep '^#' constraints.txt; sed -E '/^(nvidia-|cuda-|triton)/d; s/\+[a-z0-9.]+$$//' constraints.txt.new; } > constraints.txt.pins
	mv constraints.txt.pins constraints.txt && rm constraints.txt.new

sizes:  ## print lines and files of Python by folder, as git has them
	@git ls-files '*.py' | xargs wc -l | awk '$$2 != "total" {parts = split($$2, part, "/"); for (i = 1; i < parts && i < 3; i++) \
		{place = i == 1 ? part[1] : place "/" part[2]; lines[place] += $$1; files[place]++}} \
		END {for (place in lines) printf "%-24s %6d lines %4d files\n", place, lines[place], files[place]}' | LC_ALL=C sort

clean:  ## remove the environment and tool caches; prepared data and runs in .mugkit stay
	rm -rf .venv build dist mugkit.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find mugkit tests -name __pycache__ -type d -prune -exec rm -rf {} +
