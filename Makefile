# The first target sets up .venv with everything the project needs. Only Python 3.11+ and make are required.
PYTHON ?= python3

.PHONY: demo test test-long ui serve lint bench bench-serving azurite spark cluster lock clean

RISK := .venv/bin/risk
# `exec env`: SIGTERM to make ends the server; without it, only the shell that started the server.
# Without settings of your own book, the UI and the service are those of the demo: the settings of the simulated bank.
OWN := $(RISK_LANDING)$(RISK_CONTRACT)$(RISK_POLICY)$(shell grep -sE '^(export +)?RISK_(LANDING|CONTRACT|POLICY)=' .env)
BANK := $(if $(OWN),,$(foreach setting,$(shell grep ^RISK_ data/bank/settings.env),$(if $($(firstword $(subst =, ,$(setting)))),,$(setting))))
# Workers share the cores: with few rows, more threads of BLAS and polars only wait for each other.
# Compiled modules are cached also where the machine's own setting forbids it: tests start hundreds of processes.
PYTEST := OPENBLAS_NUM_THREADS=1 POLARS_MAX_THREADS=1 PYTHONDONTWRITEBYTECODE= .venv/bin/pytest
# One worker more than cores: many tests wait for servers, time limits and retries.
WORKERS := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; set PYTHON=python3.12, say")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Without build isolation, pyspark, which has no wheel, is built by the setuptools of requirements.lock.
.venv/.spark: spark.lock .venv/.ready
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r spark.lock
	touch $@

demo: .venv/.ready  ## run the main jobs on a simulated bank and show what they made
	$(RISK) demo

ui: .venv/.ready  ## the Dagster UI on the same lake and history
	exec env $(BANK) $(RISK) ui

serve: .venv/.ready  ## the desk and POST /predict by the live model, http://127.0.0.1:8000
	exec env $(BANK) $(RISK) serve

test: .venv/.ready  ## the suite without the tests that take minutes, with coverage unless COVERAGE=no
	$(PYTEST) --numprocesses $(WORKERS) --maxprocesses 5 --dist worksteal -m "not long" $(if $(filter no,$(COVERAGE)),,--cov --cov-report=)
	$(if $(filter no,$(COVERAGE)),,.venv/bin/python -m tests.coverage_report)

test-long: .venv/.spark  ## only the tests that take minutes
	@$(PYTEST) --numprocesses $(WORKERS) --maxprocesses 5 --dist loadfile --no-loadscope-reorder -m long; status=$$?; [ $$status -ne 5 ] || { echo "no long tests"; exit 0; }; exit $$status

lint: .venv/.ready  ## format, lint, types, import rules
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: .venv/.ready  ## the README's figures
	.venv/bin/python -m tests.bench

bench-serving: .venv/.ready  ## POST /predict against other servers; installs those in .bench
	.venv/bin/python -m tests.bench.serving

azurite: .venv/.ready  ## a storage account to try by hand; prints the settings to copy
	@.venv/bin/python -m tests.azurite

spark: .venv/.spark  ## pyspark (450 MB), for runs on several machines; needs Java 17 or newer

cluster: .venv/.spark  ## a Spark master with two workers to try by hand; prints the settings to copy
	@.venv/bin/python -m tests.engine

# One resolution: a package that is in both locks has the same version.
LOCK := .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras --quiet
SPARK := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"], sep="\n")

lock: .venv/.ready  ## renew requirements.lock and spark.lock from pyproject.toml
	.venv/bin/pip install --quiet --disable-pip-version-check uv
	$(LOCK) pyproject.toml --group dev --extra deploy --extra keyvault --extra telemetry --output-file requirements.lock
	.venv/bin/python -c '$(SPARK)' | $(LOCK) - --constraint requirements.lock --output-file spark.lock

clean:  ## take away what was made here: environment, lake, history
	rm -rf .venv .dagster lakehouse bank-lakehouse bank-landing .bench tests/azurite/node_modules tests/pages/node_modules
