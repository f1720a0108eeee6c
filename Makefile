# Everything that a person or a gate runs here. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)$$/  make \1|\2/' | column -t -s '|'

.PHONY: setup
setup: ## the virtual environment, from locked versions with hashes; made anew when they or the Python have changed
	@python=$$(.ci/python-ready) && .ci/venv $(VENV) "$$python"

.PHONY: demo
demo: setup ## sell samples through the whole pipeline: SALES=300, or until Ctrl-C; SERVERS=real, CAPTURE=polling, RATE=50, LATENCY_MS=50
	@$(PY) -m streams.local demo $(if $(SERVERS),--servers $(SERVERS)) $(if $(CAPTURE),--capture $(CAPTURE)) $(if $(SALES),--sales $(SALES)) \
		$(if $(RATE),--rate $(RATE)) $(if $(LATENCY_MS),--latency-ms $(LATENCY_MS))

.PHONY: local
local: setup ## only the servers, for a worker of your own; SERVERS=real: Kafka, Debezium, PostgreSQL; CAPTURE=polling
	@$(PY) -m streams.local up $(if $(SERVERS),--servers $(SERVERS)) $(if $(CAPTURE),--capture $(CAPTURE))

.PHONY: up
up: ## the whole system in containers, SQL Server included, until Ctrl-C; passwords are made in .local/compose.env
	@python3 -m streams.local.docker_versions
	@python3 -m streams.local.compose_env
	docker compose --env-file .local/compose.env up --build

.PHONY: down
down: ## take the containers away; their volumes stay (docker compose down --volumes forgets those too)
	@python3 -m streams.local.docker_versions
	docker compose --env-file .local/compose.env down

.PHONY: test
test: setup ## lint, types and all tests, with what each suite took
	@.ci/suites $(PY)

.PHONY: oracle
oracle: setup ## answers of the API and of what stands before it, spoilt and mixed, read and judged; EXAMPLES=20000
	@ORACLE_EXAMPLES=$(or $(EXAMPLES),20000) $(PY) -m pytest -q --timeout 0 tests/unit/test_answers_oracle.py

.PHONY: desk
desk: setup ## the screens of the page before SALES=1000000 sales and a tenth as many decisions: plans and times
	@DESK_SALES=$(or $(SALES),1000000) $(PY) -m pytest -q -s tests/contract/stores/test_desk_many.py

.PHONY: bomb
bomb: setup ## batches of 900 KB that unpack to MB=900, on every topic that a worker reads: what that costs it
	@BOMB_MB=$(or $(MB),900) $(PY) -m pytest -q -s tests/servers/test_hostile_batches.py

.PHONY: chaos
chaos: setup ## every fault that the harness knows, on the real servers: SEED=1 SALES=5000 MINUTES=6 CAPTURE=polling
	@$(PY) -m tests.harness.chaos $(if $(SEED),--seed $(SEED)) $(if $(SALES),--sales $(SALES)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(CAPTURE),--capture $(CAPTURE))

.PHONY: attack
attack: setup ## hostile topic values, answers, sockets, requests, floods, rows and secrets, and what held; SEED=1 EFFORT=0.1 ONLY=SQL
	@$(PY) -m tests.harness.attack $(if $(SEED),--seed $(SEED)) $(if $(EFFORT),--effort $(EFFORT)) $(if $(ONLY),--only "$(ONLY)")

.PHONY: outage
outage: setup ## the national API is away for MINUTES=10, in real time, and comes back; RATE=2 sales a second meanwhile
	@$(PY) -m tests.harness.chaos.outage $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE))

.PHONY: quiet
quiet: setup ## MINUTES=120 without a sale, in real time, before a worker that was started on committed positions
	@$(PY) -m tests.harness.chaos.quiet $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: latency
latency: setup ## from commit to sale-status and to write-back on the real servers; SALES=1500 RATE=50 LATENCY_MS=50 CAPTURE=polling POLL_INTERVAL=0.2 BACKLOG=20000
	@$(PY) -m tests.harness.bench.latency $(if $(SALES),--sales $(SALES)) $(if $(RATE),--rate $(RATE)) \
		$(if $(LATENCY_MS),--latency-ms $(LATENCY_MS)) $(if $(CAPTURE),--capture $(CAPTURE)) \
		$(if $(POLL_INTERVAL),--poll-interval $(POLL_INTERVAL)) $(if $(BACKLOG),--backlog $(BACKLOG))

.PHONY: bench
bench: setup ## the worker beside Celery, bare clients and plain Faust; SALES=300 LATENCIES=50,200 ONLY="plain faust" ROUNDS=3 QUICK=1 JSON=FILE
	@$(PY) -m tests.harness.bench $(if $(SALES),--sales $(SALES)) $(if $(LATENCIES),--latencies $(LATENCIES)) \
		$(if $(ONLY),--only "$(ONLY)") $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick) $(if $(JSON),--json $(JSON))

.PHONY: scale
scale: setup ## workers and partitions side by side, and what each part uses; PARTITIONS=8,32 WORKERS=1,2 SALES=12000 LATENCY_MS=50
	@$(PY) -m tests.harness.bench.scale $(if $(PARTITIONS),--partitions $(PARTITIONS)) $(if $(WORKERS),--workers $(WORKERS)) \
		$(if $(SALES),--sales $(SALES)) $(if $(LATENCY_MS),--latency-ms $(LATENCY_MS))

.PHONY: rebalance
rebalance: setup ## workers come, leave and are killed while tills sell: what it costs the sales; RATE=100 LATENCY_MS=50
	@$(PY) -m tests.harness.bench.rebalance $(if $(RATE),--rate $(RATE)) $(if $(LATENCY_MS),--latency-ms $(LATENCY_MS))

.PHONY: soak
soak: setup ## tills sell for long: memory and what waits; SALES=100000 RATE=400 LATENCY_MS=50
	@$(PY) -m tests.harness.bench.soak $(if $(SALES),--sales $(SALES)) $(if $(RATE),--rate $(RATE)) \
		$(if $(LATENCY_MS),--latency-ms $(LATENCY_MS))

.PHONY: catch-up
catch-up: setup ## many sales are pending that only the database knows of; SALES=50000 RATE=10 LATENCY_MS=50
	@$(PY) -m tests.harness.bench.catch_up $(if $(SALES),--sales $(SALES)) $(if $(RATE),--rate $(RATE)) \
		$(if $(LATENCY_MS),--latency-ms $(LATENCY_MS))

.PHONY: corrections
corrections: setup ## what looking for changed sales costs the sales database; SALES=1000000 RECENT=300000
	@$(PY) -m tests.harness.bench.corrections $(if $(SALES),--sales $(SALES)) $(if $(RECENT),--recent $(RECENT))

.PHONY: polling
polling: setup ## what a poll for new sales costs the sales database; SALES=1000000
	@$(PY) -m tests.harness.bench.polling $(if $(SALES),--sales $(SALES))

.PHONY: databases
databases: setup ## a worker for each of COUNT=10 databases: memory and CPU, idle and with RATE=5 sales a second in all; MINUTES=2 PARTITIONS=8 DOCUMENTS=sale
	@$(PY) -m tests.harness.bench.databases $(if $(COUNT),--count $(COUNT)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(RATE),--rate $(RATE)) $(if $(PARTITIONS),--partitions $(PARTITIONS)) \
		$(if $(DOCUMENTS),--documents $(DOCUMENTS))

.PHONY: sizing
sizing: setup ## workers, partitions and places for SALES_PER_DAY=200000 LATENCY_MS=200
	@$(PY) -m streams.operators.commands.sizing $(if $(SALES_PER_DAY),--sales-per-day $(SALES_PER_DAY)) \
		$(if $(LATENCY_MS),--latency-ms $(LATENCY_MS))

.PHONY: promises
promises: setup ## break each promise in a copy of the code, and see its test fail
	@$(PY) -m tests.harness.promises

.PHONY: upgrade
upgrade: setup ## after `make lock`: do the libraries still do what we work around? What fails here has become needless
	$(PY) -m pytest -q -m upgrade tests

.PHONY: lint
lint: setup ## ruff, the floor plan (imports go down only), and the strict type checker
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/mypy

.PHONY: audit
audit: setup ## known weaknesses of the locked dependencies (asks the registry's database; needs the internet)
	$(VENV)/bin/uv tool run pip-audit --requirement .ci/requirements.lock --no-deps --disable-pip

.PHONY: format
format: setup ## put the code into its form
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: contract
contract: setup ## write docs/contract from the model of sale-status
	$(PY) -m streams.operators.reference.sale_status_contract docs/contract

.PHONY: failures
failures: setup ## write docs/failures.md and its Vietnamese page from the reasons and their words
	$(PY) -m streams.operators.reference.failures_page

.PHONY: screenshots
screenshots: setup ## photograph the page of the demo, in both languages, into docs/screenshots
	@$(PY) -m tests.harness.showing.screenshots

.PHONY: first-five-minutes
first-five-minutes: setup ## record a newcomer's session into docs/first-five-minutes.txt, and into the README, which shows it
	@$(PY) -m tests.harness.showing.first_five_minutes

.PHONY: lock
lock: setup ## take the newest allowed versions into the lock files; `make upgrade` looks at them
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--all-extras --group build pyproject.toml -o .ci/requirements.lock
	echo 'uv' | $(VENV)/bin/uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate - -o .ci/bootstrap.lock
	echo 'check-jsonschema' | $(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate - -o .ci/compose-check.lock

.PHONY: clean
clean: ## forget the virtual environment, runs and caches of tests
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
