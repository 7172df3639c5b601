# Everything that a developer does. Nothing here is more than one command: read it, or run it by hand.
.DEFAULT_GOAL := help
.PHONY: help setup check lint format test schema migrate serve demo work import bench chaos

help: ## Print this.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install everything, also what tests and checks need.
	./gonggu setup --dev

check: ## Exactly what CI runs: lint, types, import contracts, then all tests, twice.
	.ci/run

lint: ## The quick part of check: no tests.
	.ci/run lint

format: setup ## Put the code in order: what ruff can mend by itself.
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

test: ## The tests, on an embedded PostgreSQL and Valkey. For some: make test ARGS="-k nearby"
	./gonggu test $(ARGS)

schema: ## Write schema/schema.graphql anew after a change of the schema.
	./gonggu schema --write

migrate: ## Bring the database's tables up to this version.
	./gonggu migrate

serve: ## The server.
	./gonggu serve

demo: ## The server with demo data.
	./gonggu demo

work: ## Background work alone.
	./gonggu work

import: ## Fill the catalogue with the items and markets that come along.
	./gonggu import items
	./gonggu import markets

chaos: ## Break everything for five minutes, and see that nobody misses anything.
	./gonggu setup --dev
	.venv/bin/python -m tests.chaos --seed 1 --seconds 300 --clients 400 --chats 16

bench: ## Measure instead of test.
	./gonggu setup --dev
	.venv/bin/python -m tests.benchmarks.bench_nearby
	.venv/bin/python -m tests.benchmarks.bench_jobs
	.venv/bin/python -m tests.benchmarks.bench_hub
	.venv/bin/python -m tests.benchmarks.bench_fanout
	.venv/bin/python -m tests.benchmarks.bench_live
	.venv/bin/python -m tests.benchmarks.bench_telling
	.venv/bin/python -m tests.benchmarks.bench_penalties
