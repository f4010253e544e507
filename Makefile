# Everything a newcomer types: make lab, make test. What the targets need is
# checked and installed by lab/preflight.sh.

# Arguments for `lab run`, such as ARGS='--kernel socket-copy', and what to
# measure: MODE=count. Without -c in ARGS it reads configs/lab.yaml; naming that
# here would forbid ARGS='--resume DIR', which has a configuration already.
ARGS ?=
MODE ?=

# Pinned: a newer linter must not fail an old commit.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Nothing starts before the preflight has passed, with -j neither.
.NOTPARALLEL:

# Stands in every manifest. Empty outside a git checkout.
REVISION = $(shell git rev-parse HEAD 2>/dev/null | tr -d '\n'; test -z "$$(git status --porcelain 2>/dev/null)" || printf %s +dirty)

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "  ARGS='…' passes arguments to 'lab run' (see bin/lab run --help); MODE=count chooses what to measure"

.PHONY: lab
lab: preflight build ## build the kernels, measure, print the table
	bin/lab run $(if $(MODE),--mode $(MODE)) $(ARGS)

.PHONY: preflight
preflight: ## check this machine, install Debian packages that are missing
	@lab/preflight.sh $(ARGS)

.PHONY: build
build: ## build bin/lab
	go build -ldflags '-X splicelab/lab/cli.linked=$(REVISION)' -o bin/lab ./lab

.PHONY: test
test: preflight lint ## everything that must pass: lint, unit tests, tests on real VMs
	go test -race ./...
	@echo "Tests on real VMs (the first time, they build kernels)"
	go test -tags vm -short -count=1 -timeout 60m ./lab/run

.PHONY: test-all
test-all: test ## make test, then all kernels of all lines, some with lockdep, stress-ng, every fuzz test for a while
	go test -tags vm -count=1 -timeout 150m -run 'TestRealVerify|TestRealCopies|TestRealStress' ./lab/run
	@set -e; go list -f '{{.Dir}}' ./... | while read -r folder; do \
		grep -ho '^func Fuzz[A-Za-z0-9_]*' "$$folder"/*_test.go 2>/dev/null | while read -r _ name; do \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime 30s -fuzzminimizetime 1s "$$folder" </dev/null; \
		done; \
	done

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change:" $$unformatted; exit 1; }
	go vet ./...
	go vet -tags vm ./...
	go run $(STATICCHECK) -tags vm ./...

.PHONY: bench
bench: preflight ## boot, agent, samples, run, report: against the budgets
	@echo "CPU time and shares of it; the budgets are for two cores without KVM"
	go test -tags vm -run '^$$' -bench . -benchtime 3x ./lab/run ./results/report

.PHONY: clean
clean: ## remove bin
	rm -rf bin
	@echo "Built kernels and samples stay in the cache; to drop them: rm -r '$${SPLICELAB_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/splicelab}'"
