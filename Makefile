# Everything a newcomer needs: `make run` and `make test` do all the set-up themselves.
# Nothing is downloaded from anywhere but Debian's mirrors and the npm registry.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

# onnxruntime-node's install step would download CUDA files; the CPU library ships in the package.
export ONNXRUNTIME_NODE_INSTALL := skip

CLANG ?= clang-19
CLANG_FORMAT ?= clang-format-19
STAMPS := build/.stamps
NODE_DIR := $(shell node -p "require('node:path').resolve(process.execPath, '../..')" 2>/dev/null)
MULTIARCH := $(shell gcc -print-multiarch 2>/dev/null || echo $(shell uname -m)-linux-gnu)
BIN := node_modules/.bin

DEBIAN_PACKAGES := build-essential clang-19 clang-format-19 libbpf-dev libelf-dev zlib1g-dev libzstd-dev bpftool iproute2 ethtool iperf3 nftables pkg-config python3
# Second implementations that the tests and benches compare with.
TEST_PACKAGES := tshark softflowd nfdump iputils-ping libclang-rt-19-dev libssl-dev prometheus prometheus-node-exporter openssl clickhouse-server clickhouse-client zookeeper default-jre-headless chromium fonts-dejavu-core

BPF_SOURCES := $(wildcard bpf/*.c bpf/*.h bench/packet/*.c)
NATIVE_SOURCES := $(wildcard native/src/*.cc native/src/*.h native/src/*.hpp)
TS_SOURCES := $(shell find src -type f -not -path 'src/console/*' 2>/dev/null)
CONSOLE_SOURCES := $(shell find src/console -type f 2>/dev/null)

say = @printf '\033[36m▶\033[0m %s\n' "$(1)" >&2

.PHONY: setup setup-test build bpf native ts console run test bench bench-packet bench-replay fuzz soak lint fmt package test-package reference clean help

help:
	@echo 'make run [SECONDS=90] [INTERFACE=eth1,eth2] | test | build | bench | bench-packet | bench-replay | fuzz [SECONDS=60] | soak [SECONDS=20] [SEED=1] | lint | fmt | package | clean'

## set-up ---------------------------------------------------------------------------------------------------

setup: $(STAMPS)/debian $(STAMPS)/npm

setup-test: setup $(STAMPS)/debian-test

$(STAMPS)/debian: scripts/install-debian.sh Makefile
	@mkdir -p $(STAMPS)
	@scripts/install-debian.sh $(DEBIAN_PACKAGES)
	@touch $@

$(STAMPS)/debian-test: scripts/install-debian.sh Makefile
	@mkdir -p $(STAMPS)
	@scripts/install-debian.sh --optional $(TEST_PACKAGES)
	@touch $@

$(STAMPS)/npm: package.json package-lock.json .npmrc | $(STAMPS)/debian
	$(call say,npm ci)
	@npm ci --loglevel=error >&2
	@touch $@

## build ----------------------------------------------------------------------------------------------------

build: bpf native ts console

bpf: build/bpf/gateway.bpf.o build/bpf/bench.bpf.o

CLANG_BPF = $(CLANG) -O2 -g -Wall -Werror -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -I/usr/include/$(MULTIARCH) -Ibpf

build/bpf/%.bpf.o: bpf/%.bpf.c $(BPF_SOURCES) | $(STAMPS)/debian
	$(call say,clang $<)
	@mkdir -p build/bpf
	@$(CLANG_BPF) -c $< -o $@

build/bpf/bench.bpf.o: bench/packet/bench.bpf.c $(BPF_SOURCES) | $(STAMPS)/debian
	$(call say,clang $<)
	@mkdir -p build/bpf
	@$(CLANG_BPF) -c $< -o $@

native: build/Release/tidegate.node

build/Release/tidegate.node: binding.gyp $(NATIVE_SOURCES) $(wildcard bpf/*.h) | $(STAMPS)/npm
	$(call say,addon)
	@# A running gateway has the old file mapped: it keeps it, and the new one is another file.
	@rm -f build/Release/tidegate.node build/Release/obj.target/tidegate.node
	@$(BIN)/node-gyp --nodedir=$(NODE_DIR) configure $(if $(V),,--silent) >&2
	@$(BIN)/node-gyp --nodedir=$(NODE_DIR) build -j 2 $(if $(V),,--silent) >&2
	@touch $@

ts: $(STAMPS)/ts

$(STAMPS)/ts: tsconfig.json $(TS_SOURCES) | $(STAMPS)/npm
	$(call say,tsc)
	@$(BIN)/tsc -p tsconfig.json
	@mkdir -p dist/fingerprint && cp -r src/fingerprint/model dist/fingerprint/
	@chmod +x dist/cli/main.js
	@touch $@

console: $(STAMPS)/console

$(STAMPS)/console: $(CONSOLE_SOURCES) | $(STAMPS)/npm
	$(call say,console)
	@$(BIN)/tsc -p src/console/tsconfig.json
	@$(BIN)/vite build --config src/console/vite.config.ts --logLevel warn
	@touch $@

## run ------------------------------------------------------------------------------------------------------

# With no INTERFACE: a lab of network namespaces with real clients and servers. With one: observe it, change nothing.
run: setup build
ifdef INTERFACE
	@exec node dist/cli/main.js run --interface $(INTERFACE) $(if $(SECONDS_ARG),--seconds $(SECONDS_ARG))
else
	@exec node dist/cli/main.js lab $(if $(SECONDS_ARG),--seconds $(SECONDS_ARG)) $(if $(SEASON),--season $(SEASON))
endif

# SECONDS is special in bash, never inherited from the environment by mistake: take it from the command line only.
ifeq ($(origin SECONDS),command line)
SECONDS_ARG := $(SECONDS)
endif

## test -----------------------------------------------------------------------------------------------------

test: setup-test build lint build/test/other-layout build/test/foreign.bpf.o
	$(call say,tests)
	@$(BIN)/tsc -p tsconfig.test.json
	@$(BIN)/vitest run $(TESTS)

# A datapath of another layout, which a test drains: the loader and the programs compiled with TG_TRIAL_LAYOUT.
TRIAL := -DTG_TRIAL_LAYOUT -DTG_ABI_VERSION=1004
TRIAL_LOADER := test/capture/fixtures/other-layout.cc $(wildcard native/src/loader*.cc) \
	$(addprefix native/src/,predecessor.cc pinned_ring.cc ring_map.cc delta_decoder.cc btf_fields.cc nic_probe.cc xdp_features.cc)

build/test/other-layout: $(TRIAL_LOADER) $(BPF_SOURCES) $(wildcard native/src/*.h) | $(STAMPS)/debian
	$(call say,a datapath of another layout)
	@mkdir -p build/test
	@$(CLANG_BPF) $(TRIAL) -c bpf/gateway.bpf.c -o build/test/other-layout.bpf.o
	@g++ -std=c++20 -O0 -Wall -Wextra -Werror -Wno-missing-field-initializers $(TRIAL) -Ibpf -Inative/src \
		-o $@ $(TRIAL_LOADER) -lbpf

build/test/%.bpf.o: test/capture/fixtures/%.bpf.c | $(STAMPS)/debian
	@mkdir -p build/test
	@$(CLANG_BPF) -c $< -o $@

lint: $(STAMPS)/npm
	$(call say,lint)
	@$(BIN)/biome check --error-on-warnings .
	@node scripts/check-imports.mjs
	@$(CLANG_FORMAT) --dry-run --Werror $(BPF_SOURCES) $(NATIVE_SOURCES)

# Pages of docs/reference and the console's types, from the program; a test fails while they are stale.
reference: ts
	@node scripts/generate-reference.mjs
	@node scripts/generate-console-types.mjs

fmt: $(STAMPS)/npm
	@$(BIN)/biome check --write . || true
	@$(CLANG_FORMAT) -i $(BPF_SOURCES) $(NATIVE_SOURCES)

bench: build
	@node dist/cli/main.js bench all

bench-packet: build
	@node dist/cli/main.js bench packet

bench-replay: build setup-test
	@node dist/cli/main.js bench replay

# Floods, TCP, stalls, kills and full rings in a random order, the same for the same SEED; the sum must come out.
soak: setup-test build
	@TIDEGATE_SOAK_SECONDS=$(or $(SECONDS_ARG),20) TIDEGATE_SOAK_SEED=$(or $(SEED),1) \
		$(BIN)/vitest run test/capture/soak.test.ts

# Parser and cache under libFuzzer with the sanitizers; new inputs go to build/fuzz/corpus, the seeds stay as they are.
fuzz: build/fuzz/meter build/fuzz/decode | $(STAMPS)/debian-test
	@mkdir -p build/fuzz/corpus build/fuzz/decode-corpus
	@cd build/fuzz && ./meter -max_total_time=$(or $(SECONDS_ARG),60) -max_len=2048 -timeout=5 corpus ../../test/fuzz/corpus
	@cd build/fuzz && ./decode -max_total_time=$(or $(SECONDS_ARG),60) -max_len=4096 -timeout=5 decode-corpus

build/fuzz/meter: test/fuzz/meter_fuzz.c $(wildcard bpf/*.h) | $(STAMPS)/debian-test
	$(call say,fuzzer)
	@mkdir -p build/fuzz
	@$(CLANG) -g -O1 -Wall -Wextra -Werror -Wno-unused-function -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $<

DECODERS := $(wildcard native/src/decode_*.cc) native/src/ja4.cc

build/fuzz/decode: test/fuzz/decode_fuzz.cc $(DECODERS) $(wildcard native/src/*.h) | $(STAMPS)/debian-test
	$(call say,fuzzer of the decoders)
	@mkdir -p build/fuzz
	@$(CLANG) -x c++ -std=c++20 -g -O1 -Wall -Wextra -Werror -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $< $(DECODERS) -lstdc++ -lcrypto

# A Debian package in build/package; COMPRESS=none is quick.
package: build
	$(call say,package)
	@node scripts/make-deb.mjs --compress $(or $(COMPRESS),xz)

# Installs the package in a root of its own, runs it and removes it.
test-package: setup-test build
	@node scripts/make-deb.mjs --compress none >&2
	@$(BIN)/vitest run test/packaging

clean:
	rm -rf build dist
