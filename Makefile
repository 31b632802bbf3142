# SPDX-License-Identifier: BSD-3-Clause
# Thin names over meson, pytest and the scripts in tools/. `make help` lists them.
.DEFAULT_GOAL := all
PYTHON ?= python3
export PYTHON

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

deps:            ## install what building and testing needs (Debian packages, .venv*)
	@tools/deps.sh all

deps-build:
	@tools/deps.sh build

deps-ref:
	@tools/deps.sh ref

all: deps-build  ## build the programs (build/bin) and the Python package (build/python)
	@tools/build.sh build

check: deps      ## all tests; ends with the line "N passed, N failed, N skipped"
	@.venv/bin/python tools/check.py

unit: all        ## C unit tests only, seconds
	@.venv/bin/python tools/check.py unit

asan: deps-build ## build with ASan and UBSan (build-asan)
	@tools/build.sh build-asan

tsan: deps-build ## build with TSan (build-tsan)
	@tools/build.sh build-tsan

demo: deps-ref all   ## a controller, 4 engines and a real job on them
	@.venv-ref/bin/python tools/demo.py

bench: deps-ref all  ## figures side by side with the reference (ONLY=key,key)
	@tools/build.sh build-bench
	@.venv-ref/bin/python tests/bench/bench.py $(if $(ONLY),--only $(ONLY))

fuzz: deps-build ## one libFuzzer target, bounded: make fuzz T=zmtp S=60
	@tools/build.sh build-fuzz fuzz-targets
	@tools/fuzz.sh "$(T)" $(or $(S),60)

coverage: deps-build ## line coverage of the parsers by the fuzz corpora; fails below 90 %
	@python3 tools/coverage.py

soak: deps-ref all   ## engines die under load: make soak S=300 K=zoo SEED=1 (seconds, configuration, to repeat one)
	@ERSA_CHAOS_S=$(or $(S),300) ERSA_CHAOS_KINDS=$(or $(K),zoo) ERSA_CHAOS_SEED=$(SEED) .venv/bin/python tools/check.py chaos

map:             ## docs/map.md from the top comments of the files
	@python3 tools/map.py

fmt:             ## clang-format on all C
	@git ls-files -- '*.c' '*.h' | xargs clang-format -i

lint: deps-build ## formatting, include order, file length, clang-tidy
	@.venv/bin/python tools/check.py lint tidy

clean:           ## remove the build folders (keeps the virtual environments)
	rm -rf build build-*

.PHONY: help deps deps-build deps-ref all check unit asan tsan demo bench fuzz coverage soak map fmt lint clean
