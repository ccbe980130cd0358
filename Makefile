# SPDX-License-Identifier: GPL-3.0-only

ARCH     := $(subst ppc64le,ppc64el,$(shell go env GOARCH))
ARCHES   ?= $(ARCH)
FUZZTIME ?= 1m
LONGEST  := ./tests ./tests/life ./internal/service ./internal/jujusim ./internal/decision
VULN     := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: help build charm demo bench test test-all check format vet staticcheck vulnerabilities tidy docs fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## compile every package
	go build ./...

charm: ## pack build/tls-authority_<arch>.charm; ARCHES="amd64 arm64 ppc64el s390x" for others
	@go run ./cmd/packcharm --arch "$(ARCHES)"

demo: ## deploy the charm in a simulated model, watch it issue certificates and rotate its CA
	@go run ./cmd/packcharm --arch $(ARCH)
	@go run ./cmd/jujusim demo --charm build/tls-authority_$(ARCH).charm

bench: ## measure what a hook costs, in models of growing size and beside other CAs: some eight minutes
	@go run ./cmd/packcharm --arch $(ARCH)
	@go build -o build/jujusim ./cmd/jujusim
	@build/jujusim bench --charm build/tls-authority_$(ARCH).charm --json build/bench.json

# The longest first, so that the others run beside them and not before them.
test: ## run the tests with the race detector; they pack the charm they drive
	@go run ./cmd/testreport -race -timeout 20m $(LONGEST) ./...

test-all: ## the fast suite and the heavy ones, with a table of what ran and what was skipped; then a minute of each fuzz target
	@go run ./cmd/testreport -table ". -race -timeout 20m $(LONGEST) ./..." "tests/heavy -timeout 120m ./..." "tests/heavy/observe -timeout 20m ./..." "tests/heavy/hooktools -timeout 40m ./..."
	@$(MAKE) --no-print-directory fuzz

check: format vet staticcheck vulnerabilities tidy test ## everything that must pass before a change lands

format:
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted by gofmt: $$files"; false; }

vet:
	go vet ./...

staticcheck:
	go tool staticcheck ./...

# A machine that cannot reach the database says so and goes on; findings fail.
vulnerabilities:
	@mkdir -p build
	@go run $(VULN) ./... >build/govulncheck.txt 2>&1 || { grep -q 'fetching vulnerabilities' build/govulncheck.txt && echo "govulncheck: database not reachable, skipped"; } || { cat build/govulncheck.txt; false; }

tidy:
	go mod tidy -diff

docs: ## write what is generated: documents from config.yaml and actions.yaml, rules and dashboard of internal/observe
	@go test ./internal/observe -run '^TestGenerated' -count=1 -update
	@go test ./tests -run '^TestSource(Documents|Metrics)AreGenerated$$|^TestDependenciesAreListed$$' -count=1 -update

# The list is a file: a package that does not build must not pass as one without targets.
fuzz: ## run every fuzz target for FUZZTIME, one after another; the first finding ends it
	@mkdir -p build
	@go test -list '^Fuzz' ./... >build/fuzz.txt || { cat build/fuzz.txt; false; }
	@awk '/^Fuzz/ {t[n++] = $$1} /^ok/ {for (i = 0; i < n; i++) print $$2, t[i]; n = 0}' build/fuzz.txt | while read -r p t; do echo "$$t of $$p"; go test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) "$$p" || exit 1; done

clean: ## remove what was built
	rm -rf build
