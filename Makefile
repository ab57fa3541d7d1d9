# vigil: `make` builds, `make demo` shows it, `make check` is what CI runs. GNU make.

GO ?= go
PREFIX ?= /usr/local
MANDIR ?= $(PREFIX)/share/man
# Where the pinned tools are installed by `make deps`.
TOOLS ?= $(shell $(GO) env GOPATH)/bin
# Where `make bin` puts the commands.
BIN ?= bin
# How long `make fuzz` gives to each of its targets.
FUZZTIME ?= 30s
# Arguments of the benchmark: make bench BENCH='-n 50 --only runit,vigil --works status,HUP'.
BENCH ?=
# Arguments of the torture: make torture TORTURE='--time 30m --seed 7'.
TORTURE ?=

COMMANDS := svscan supervise svc svstat svevents svmon
PAGES := $(wildcard cmd/*/*.[158] internal/*/*.[157])
# Where commands begin that do something before Go's runtime.
ifeq ($(shell $(GO) env GOOS)/$(shell $(GO) env GOARCH),linux/amd64)
BEGIN_svscan := -E vigil/internal/process.textEntry
BEGIN_supervise := -E vigil/internal/process.textEntry
BEGIN_svevents := -E vigil/internal/process.slackEntry
BEGIN_svmon := -E vigil/internal/process.quietEntry
BEGIN_svc := -E vigil/internal/early.svc
BEGIN_svstat := -E vigil/internal/early.svstat
endif
# No symbols and no cgo: what supervise links is memory that every service costs.
LDFLAGS := -s -w $(if $(VERSION),-X vigil/internal/cli.Version=$(VERSION))
# Go 1.26's new collector keeps its marks in every span, which is a tenth of a supervise's memory; supervise hardly
# ever collects anything.
COLLECTOR := $(if $(filter go1.26%,$(shell $(GO) env GOVERSION)),nogreenteagc)
# Go 1.26's runtime wakes up every minute; the tag quiet sets the variable that says so, which the linker has to allow.
QUIET := $(if $(filter go1.26%,$(shell $(GO) env GOVERSION)),-tags quiet)
LDFLAGS += $(if $(QUIET),-checklinkname=0)
# These run commands that they build from the tree, which go's cache of test results cannot see.
UNCACHED := ./cmd/... ./internal/e2e/... ./internal/man/... ./examples/...

# Without this, go asks git, which says nothing of a clone that belongs to somebody else.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# Scripts that `make check` runs a second time, with commands that have the race detector: most goroutines are in
# svscan and the hub. It makes the start of a command ten times as long.
RACED := TestScripts/(subscriber_|command_socket|scan_re|survive_sv|instance_scale)

# Those that it runs with three services in each supervise: what has two or more, and is not about such supervises
# anyway. `make test-dense` runs all.
DENSE := TestScripts/(bad_(blocks|ignores|ready|settings)|fault_no_proc|instance_(away|killed)|needs_|policy_|ready_|scan_(container|essential|remove)|supervise_(down|log_r)|survive_(all|away|leftover|removed|tree|upgrade_all))

# A machine that has much else to do is no failure.
PATIENCE := -timeout 60m

# One goroutine and a walk through every state: the race detector would find nothing, and take minutes.
PURE := ./internal/machine

all: bin

bin: $(addprefix $(BIN)/,$(COMMANDS))

$(BIN)/supervise: export GOEXPERIMENT := $(COLLECTOR)
$(BIN)/%: FORCE
	CGO_ENABLED=0 $(GO) build -trimpath $(QUIET) -ldflags='$(LDFLAGS) $(BEGIN_$*)' -o $(BIN)/ ./cmd/$*

demo: bin
	examples/demo/story bin

check: deps lint vet vuln test torture-minute

deps:
	.ci/deps $(TOOLS)

lint:
	$(TOOLS)/golangci-lint run ./...

vet:
	$(GO) vet ./...
	GOOS=freebsd $(GO) vet ./...
	GOOS=openbsd $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...

# The known vulnerabilities that the code reaches.
vuln:
	.ci/vuln $(TOOLS)

test:
	$(GO) test $(PATIENCE) $(PURE)
	$(GO) test $(PATIENCE) -race $$($(GO) list ./... | grep -vxF "$$($(GO) list $(UNCACHED) $(PURE))")
	$(GO) test $(PATIENCE) -race -count=1 $$($(GO) list $(UNCACHED) | grep -v /internal/e2e$$)
	$(GO) test $(PATIENCE) -count=1 ./internal/e2e
	$(GO) test $(PATIENCE) -race -count=1 -run '$(RACED)' ./internal/e2e
	$(GO) test $(PATIENCE) -count=1 -run '$(DENSE)' ./internal/e2e -dense

# All scripts with the race detector in every command: some ten minutes.
race:
	$(GO) test -race -count=1 $(PATIENCE) ./internal/e2e

# All scripts with three services in each supervise.
test-dense:
	$(GO) test -count=1 $(PATIENCE) ./internal/e2e -dense

man:
	$(GO) test -count=1 ./internal/man

# Every fuzz target for FUZZTIME: go takes one of them at a time.
fuzz:
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

bench: bin
	.ci/deps $(TOOLS)
	$(GO) run ./internal/bench $(BENCH)

# The ratios to runit's of a few rows, against those of the last commit that changed them: BENCHED writes these.
BENCHED := -n 30 --rounds 3 --tries 15 --arrivals 5 --only runit,vigil --works 'services from nothing,the scanner -> all,its next start,sends a HUP,status of 30,own processes,idle supervise,renamed in'
bench-check: bin
	.ci/deps $(TOOLS)
	$(GO) run ./internal/bench $(BENCHED) --check docs/benchmarks.json

torture: bin
	$(GO) run ./internal/torture $(TORTURE)

# The last part of `make check`: the steps are the same each time; what they meet is not. Others are chosen by
# make torture-minute TORTURE='--seed 2'.
torture-minute: bin
	$(GO) run ./internal/torture --time 60s --seed 1 --rate 50 $(TORTURE)

cover:
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -n 1
	@echo 'by line: go tool cover -html=cover.out'

install: bin
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(MANDIR)/man8
	install -m 755 $(addprefix bin/,$(COMMANDS)) $(DESTDIR)$(PREFIX)/bin
	for page in $(PAGES); do install -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.} || exit; done

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(COMMANDS))
	for page in $(PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit; done

clean:
	rm -rf bin cover.out

FORCE:
.PHONY: all demo check deps lint vet vuln test race test-dense man fuzz bench bench-check torture torture-minute cover install uninstall clean FORCE
