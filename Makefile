# The newcomer's two commands are `make demo` and `make test`. Each sets up what it needs in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# uv unpacks and resolves many times faster than pip. It reads UV_INDEX_URL, but not pip's settings; if it fails, pip
# is used. Like pip it trusts the system's certificates, such as those of a company's proxy.
export UV_NATIVE_TLS ?= 1
comma := ,
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python $(1) || \
	{ echo "uv could not install it; pip does"; $(BIN)/python -m pip install --quiet $(1); }
RETAIL ?=
MOMENTS ?= 50
ORDERS ?= 5000
SKUS ?= 20000

# Some hundred tests start Python: without compiled files each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
ENGINE ?= local
MERCHANTS ?= 200
.PHONY: fleet-demo help demo test mutants check lint mypy pyright format interop bench contract soak crash crash-sqlite crash-postgresql crash-crowds fuzz docs dist release clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(VENV)/.base: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' 'uv>=0.5,<1'
	@touch $@

$(VENV)/.run: pyproject.toml $(VENV)/.base
	$(call INSTALL,--editable '.[cli$(comma)emulator]')
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.base
	$(call INSTALL,--group dev --editable '.[all$(comma)arrow$(comma)polars]')
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run  ## run the main job against the embedded service (RETAIL=file.csv for your own data)
	$(BIN)/octopus-soap demo $(if $(RETAIL),--retail-csv $(RETAIL))

fleet-demo: $(VENV)/.dev  ## run the jobs of 200 merchants (MERCHANTS=, RETAIL=file.csv, ENGINE=celery)
	$(BIN)/python samples/fleet_demo.py --merchants $(MERCHANTS) --engine $(ENGINE) $(if $(RETAIL),--retail-csv $(RETAIL))

test: $(VENV)/.dev  ## run the quick tests; with ALL=1 the long ones too, which start processes or other tools
	$(BIN)/python -m pytest $(if $(ALL),,-m "not long")

mutants: $(VENV)/.dev  ## make about 150 one-line faults in a copy of the package; list those that no test notices (WORDS="retry leases")
	$(BIN)/python -m tests.mutants $(WORDS)

check: lint mypy pyright  ## types and lint

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

mypy pyright: $(VENV)/.dev
	$(BIN)/$@

format: $(VENV)/.dev  ## let ruff format and fix what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

interop: $(VENV)/.dev  ## all 20 operations with PHP, Node, Java, C++ and other Python toolkits, in both directions
	$(BIN)/python -m tests.interop.run $(if $(REQUIRE),--require)

bench: $(VENV)/.dev  ## measure against other SOAP stacks; they are installed under benchmarks/.peers
	$(BIN)/python -m benchmarks.run

contract: $(VENV)/.dev  ## compile the bundled contract, after a change of wsdl/ or of the version
	$(BIN)/python -c 'from octopus_soap.contracts import bundled, wsdl; wsdl.compile_contract(bundled.contract_path())'

soak: $(VENV)/.dev  ## 10,000 batch calls, a fifth of them failing in scripted ways; at most two minutes
	$(BIN)/python benchmarks/soak.py

crash: crash-sqlite crash-postgresql crash-crowds  ## kill each job at every step and at MOMENTS random moments, on SQLite and PostgreSQL; workers share ORDERS orders and SKUS SKUs

crash-sqlite: $(VENV)/.dev
	$(BIN)/python -m tests.jobs.crash --database sqlite --moments $(MOMENTS)

crash-postgresql: $(VENV)/.dev
	.ci/postgres $(BIN)/python $(BIN)/python -m tests.jobs.crash --database postgresql --moments $(MOMENTS)

crash-crowds: $(VENV)/.dev
	.ci/postgres $(BIN)/python $(BIN)/python -m tests.jobs.order_crowd --orders $(ORDERS)
	.ci/postgres $(BIN)/python $(BIN)/python -m tests.jobs.push_crowd --skus $(SKUS)

fuzz: $(VENV)/.dev  ## fuzz the decoder for a minute, and 100,000 broken pages of rows
	-$(BIN)/python -m pip install --quiet atheris  # without it a plain random mutator runs
	$(BIN)/python tests/fuzz/fuzz_decode.py -max_total_time=60
	$(BIN)/python tests/fuzz/fuzz_rows.py 100000

$(VENV)/.docs: pyproject.toml $(VENV)/.dev
	$(call INSTALL,--group docs)
	@touch $@

docs: $(VENV)/.docs  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/.release: pyproject.toml $(VENV)/.base
	$(BIN)/python -m pip install --quiet --group release
	@touch $@

dist: $(VENV)/.release  ## build the distributions, check them, install and run them on every Python found
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python tests/release/check_release.py

release: $(VENV)/.dev $(VENV)/.release  ## set the version and build it, checked: make release VERSION=1.0.0rc1 (publishes nothing)
	$(BIN)/python tests/release/new_version.py $(VERSION)
	$(MAKE) contract dist

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
