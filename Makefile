# make demo, make test: each makes the environment it needs. Only Python with pip and venv is taken for granted;
# PYTHON=python3.13 takes another one than python3.11, in an environment of its own.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv$(if $(filter-out file,$(origin PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
DEMO ?= demo
WHEELHOUSE ?= wheelhouse
WORKER_WHEELHOUSE ?= worker-wheelhouse
PEERS ?= .venv-peers
PEER_ENVIRONMENTS := $(foreach peer,ray_data daft_udf tf_data,$(PEERS)/$(peer)/installed)
ON_ALL_CORES := --numprocesses=auto --maxprocesses=8 --dist=worksteal

.PHONY: help demo test test-slow test-endurance cluster-test bench bench-quick bench-peers peers screenshots format wheelhouse worker-wheelhouse clean

help:
	@echo "make demo        draw a night, train, serve, audit and score it, in $(DEMO)/"
	@echo "make test        ruff, mypy, doctests and pytest"
	@echo "make test-slow   the tests that take minutes: memory, kills, installation without internet"
	@echo "make test-endurance  two hundred bad nights, the largest networks, speed on an idle machine"
	@echo "make cluster-test  nights on Flink and Spark; needs Java 17, Maven and Go, builds the rest once"
	@echo "make bench       speed and memory side by side with others, in 45 minutes; bench-quick: a few parts"
	@echo "make bench-peers the same night by Ray Data, Daft and tf.data, each in an environment of its own, in $(PEERS)/"
	@echo "make screenshots take the pictures of docs/ anew; needs Chromium"
	@echo "make format      format the code"
	@echo "make wheelhouse  gather all that a machine without internet needs, in $(WHEELHOUSE)/"
	@echo "make worker-wheelhouse  the same for what only audits nights, without TensorFlow, in $(WORKER_WHEELHOUSE)/"
	@echo "make clean       remove what these made"

$(VENV)/installed: setup.py constraints.txt
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and 'hs-audit needs Python 3.11, 3.12 or 3.13, this is ' + sys.version)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/installed
	$(BIN)/hs-audit demo $(DEMO)

test: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest $(ON_ALL_CORES)

test-slow: $(VENV)/installed
	$(BIN)/pytest -m slow $(ON_ALL_CORES)

test-endurance: $(VENV)/installed
	$(BIN)/pytest -m endurance

cluster-test: $(VENV)/installed
	$(BIN)/pytest -rs -m cluster tests/cluster

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks --output benchmarks/results

bench-quick: $(VENV)/installed
	$(BIN)/python -m benchmarks --quick

bench-peers: $(VENV)/installed peers
	$(BIN)/python -m benchmarks.engines --environments $(PEERS) --output benchmarks/results/peers.json

peers: $(PEER_ENVIRONMENTS)

# TensorFlow itself only where the engine is tf.data: half a gigabyte in each process would count as the engine's.
$(PEERS)/%/installed: benchmarks/engines/%.txt $(PEERS)/messages/made
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --find-links $(PEERS)/messages --requirement $<
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps tensorflow-serving-api==2.21.0
	@touch $@

$(PEERS)/messages/made: $(VENV)/installed
	$(BIN)/python pipeline/deploy/messages_wheel.py $(@D)
	@touch $@

screenshots: $(VENV)/installed
	$(BIN)/python docs/screenshots.py

format: $(VENV)/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

wheelhouse: $(VENV)/installed
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --constraint constraints.txt --wheel-dir $(WHEELHOUSE) '.[all]'
	cp constraints.txt $(WHEELHOUSE)/
	@echo "Copy $(WHEELHOUSE)/ over; docs/operations.md tells how to install from it."

worker-wheelhouse: $(VENV)/installed
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --constraint constraints.txt --wheel-dir $(WORKER_WHEELHOUSE) '.[object-storage,hdfs]'
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --constraint constraints.txt --wheel-dir $(WORKER_WHEELHOUSE) --no-deps tensorflow-serving-api
	$(BIN)/python pipeline/deploy/messages_wheel.py $(WORKER_WHEELHOUSE)
	cp constraints.txt $(WORKER_WHEELHOUSE)/
	@echo "pipeline/deploy/Dockerfile installs from it; docs/shipping.md tells how to do without a container."

clean:
	rm -rf $(VENV) .venv-* $(PEERS) $(DEMO) $(WHEELHOUSE) $(WORKER_WHEELHOUSE) build *.egg-info
