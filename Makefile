# `make` says what there is. Building and running need Go and nothing else; scripts/deps.sh installs what tests need.

# Programs are static. The race detector alone needs a C compiler.
export CGO_ENABLED ?= 0

DEPS     := scripts/deps.sh
LINT     := go tool -modfile=tools/go.mod golangci-lint
COMPOSE  := docker compose
FUZZTIME ?= 30s
BENCHFLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help deps fmt lint vet test race fuzz verify journeys bench bench-e2e bench-scale demo-crash run run-api run-api-full run-worker \
	migrate-up migrate-down docker-up docker-up-full docker-down build clean

help: ## Print this list
	@awk -F ':.*## ' '/^##  / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-15s%s\n", $$1, $$2}' Makefile

##  Running

run: bin/viva ## Run everything in one process: no Redis, no PostgreSQL, data in ./data
	@exec bin/viva serve

demo-crash: bin/viva ## Kill the service under load, again and again, and see that every answer is counted
	@go run ./scripts/demo-crash

run-api: bin/api ## Run the API on the servers of docker-up
	@exec bin/api --config configs/dev.yaml

run-worker: bin/worker ## Run the worker on the servers of docker-up
	@exec bin/worker --config configs/dev.yaml

# The stack has an API of its own on the same port, which makes room.
run-api-full: bin/api ## Run the API on the servers of docker-up-full, in place of the one there
	@$(COMPOSE) stop api 2>/dev/null || true
	@exec bin/api --config configs/full.yaml

migrate-up: ## Bring the database of docker-up up to date
	go run ./cmd/viva migrate up --config configs/dev.yaml

migrate-down: ## Undo the newest migration of that database
	go run ./cmd/viva migrate down --config configs/dev.yaml

docker-up: ## Start PostgreSQL (5433) and Redis (6380) for development
	$(COMPOSE) --file docker-compose.dev.yml up --detach --wait

docker-up-full: export VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
docker-up-full: export REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
docker-up-full: ## Start it all: API 8080, worker 8081, PostgreSQL 5434, Redis 6381, Prometheus 9090, Grafana 3001
	$(COMPOSE) up --detach --build --wait

docker-down: ## Stop both, keeping their data
	$(COMPOSE) --file docker-compose.dev.yml down
	$(COMPOSE) down

##  Building

build: bin/viva bin/api bin/worker ## Build the programs into ./bin

# Go knows best what is up to date.
.PHONY: bin/viva bin/api bin/worker
bin/viva bin/api bin/worker:
	@[ -e $@ ] || echo "building $@: a minute or two, the first time" >&2
	@go build -o $@ ./cmd/$(@F)

clean: ## Remove what was built and measured (not ./data)
	rm -rf bin coverage.out

fmt: ## Format the Go code
	gofmt -w .

##  Checking

deps: ## Install what the tests start: Redis, PostgreSQL, nginx, Caddy, Prometheus; and a C compiler
	$(DEPS) redis postgres nginx caddy prometheus gcc
	go mod download

test: ## Run the tests
	$(DEPS) redis postgres -- go test -shuffle=on ./...

# What one goroutine computes, or does to a large table, takes minutes under the race detector, and has no races: `make test` runs it.
LARGE := NoWholeTable|Tallies|FoundAlongIndexes|FoundByAnIndex|AccuracyIsAsDocumented|GCRARoundsNothing

race: ## Run the tests under the race detector
	CGO_ENABLED=1 $(DEPS) redis postgres gcc -- go test -race -shuffle=on -timeout=20m -skip '$(LARGE)' ./internal/... ./pkg/...

journeys: ## Run the built programs through whole journeys, behind real gateways
	$(DEPS) redis postgres nginx caddy prometheus -- go test -tags=journeys -count=1 -timeout=20m ./tests/...

fuzz: ## Fuzz every fuzz test for FUZZTIME (30s)
	scripts/fuzz.sh $(FUZZTIME)

vet: ## Run go vet
	go vet -tags=journeys ./...

lint: ## Run golangci-lint, go vet among it, and check the container files
	$(LINT) run ./...
	go test -C tools/containers -count=1 .

verify: ## Check that modules, formatting and generated files are as they should be
	scripts/verify.sh

##  Measuring

bench: ## Measure the limiter against its peers, in about ten minutes (BENCHFLAGS=-quick: one)
	$(DEPS) redis -- go run -C bench . $(BENCHFLAGS)

bench-e2e: ## Measure the service over HTTP beside its peers, in about 25 minutes (BENCHFLAGS=-quick: three)
	$(DEPS) redis postgres -- go run -C bench ./e2e $(BENCHFLAGS)

bench-scale: ## Measure the service with a thousand to ten million keys, in an hour or less (BENCHFLAGS=-quick: minutes)
	$(DEPS) postgres -- go run -C bench ./scale $(BENCHFLAGS)
