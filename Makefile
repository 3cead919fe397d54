# SPDX-License-Identifier: Apache-2.0
# Short names for what meson and the scripts do; nothing is decided here.

BUILD ?= build
FUZZ_SECONDS ?= 60
SOAK_ROUNDS ?= 20
SOAK_SECONDS ?= 3600
PYTHON = build/venv/bin/python
SHOW = TEST_BUILD=$(CURDIR)/$(BUILD) $(PYTHON) tools/show.py

all: build

$(BUILD)/build.ninja:
	meson setup $(BUILD)

build: $(BUILD)/build.ninja
	ninja -C $(BUILD)

test: build
	meson test -C $(BUILD) --no-rebuild --print-errorlogs

quick:
	./test.sh quick

check:
	./test.sh

venv:
	tools/venv.sh

bench: build venv
	$(SHOW) decode-speed

fuzz: venv
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(SHOW) fuzz

# The long versions of what the tests do in short.
soak: build venv
	FUZZ_SECONDS=600 $(SHOW) fuzz
	SOAK=1 $(SHOW) conformance
	SOAK=1 $(SHOW) faults
	SOAK_SECONDS=$(SOAK_SECONDS) $(SHOW) soak
	$(SHOW) reopenings
	for round in $$(seq $(SOAK_ROUNDS)); do \
		echo "soak: round $$round of $(SOAK_ROUNDS)"; \
		TICKWIRE=$(CURDIR)/$(BUILD)/src/node/tickwire $(PYTHON) -m pytest -q tests/e2e || exit 1; \
	done

format:
	tools/lint.sh reformat

lint: build
	tools/lint.sh format
	tools/lint.sh shell
	tools/lint.sh cppcheck
	tools/lint.sh analyzer
	[ -f build/clang/build.ninja ] || CC=clang meson setup build/clang
	ninja -C build/clang
	tools/lint.sh clang-tidy build/clang

show:
	@python3 tools/show.py

show-%: build venv
	$(SHOW) $*

.PHONY: all build test quick check venv bench fuzz soak format lint show
