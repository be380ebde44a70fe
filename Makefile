# Everything a developer needs. Downloads go to the user's cache folder once (see scripts/bootstrap).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# SwiftPM uses all cores by itself and admits one build at a time; tests and benchmarks want the machine for themselves.
.NOTPARALLEL:

SWIFT ?= swift
PYTHON ?= python3

## PORT=6379          run: where the server listens; 0 picks a free port
PORT ?= 6379
## SERVER=redis7      run, bench, bench-full, bench-smoke, bench-cold: redis7, redis8 or valkey9
SERVER ?= redis7
## DATA=              run: folder for the server's data; default: a temporary one, removed at the end
DATA ?=
## ONCE=              run: 1 stops the server after the table
ONCE ?=
## ENGINES=           engines, test: those to fetch; fuzz, hammer-engines, hammer-commands, batching, dags, leaks,
##                    bench-full, bench-cold: those to use; default: all.
##                    build, run, bench: default: onnx only, which is quick.
##                    onnx, tf (0.3 GB to fetch), tflite, torch (0.6 GB, compiles for half a minute), with commas
ENGINES ?=
## SERVERS=           test, test-integration, test-asan-server, fuzz, fuzz-restore, hammer, hammer-engines,
##                    hammer-commands, batching, dags, chaos, replication, cluster, leaks, soak, stall, stall-files: the
##                    servers; default: all three
SERVERS ?= redis7 redis8 valkey9
## PYTEST_ARGS=       test, test-integration: further arguments for pytest, such as -k NAME
PYTEST_ARGS ?=
## PROCESSES=3        test, test-integration: how many run tests at once; 0 runs them one after the other
PROCESSES ?= 3
## SEED=              fuzz, fuzz-restore, fuzz-parsers, hammer, hammer-engines, hammer-commands, batching, dags, chaos,
##                    replication, cluster, soak: repeat the run with this seed; default: a new one, which is printed
SEED ?=
## COUNT=             fuzz, replication: commands per server, default a million; fuzz-restore: payloads per type and
##                    server, default 100000; leaks: rounds per format, default a thousand; dags: graphs per server,
##                    default 20000
COUNT ?=
## REQUESTS=200000    batching: requests per server
REQUESTS ?= 200000
## CONNECTIONS=64     batching: connections that send them
CONNECTIONS ?= 64
## FAULTS=            chaos: such as kill,full-disk; default: all, in turn
FAULTS ?=
## MODELS=2000        fuzz: damaged files per format and server
MODELS ?= 2000
## SECONDS=           hammer, hammer-engines, cluster: duration per server, default 60; hammer-commands: default 1800;
##                    fuzz-parsers: duration per parser, default 60;
##                    bench, bench-full, bench-smoke: length of a measurement, default 1.5, 3 and 1
SECONDS ?=
## STALL_ARGS=        stall, stall-files: further arguments, such as --rounds 20, --pause 0.2, or --shield on a shared machine
STALL_ARGS ?=
## ROUNDS=            bench, bench-full, bench-smoke: how often each figure is taken, default 3, 5 and 5;
##                    chaos: rounds per server and kind of file, default 50
## SYSTEMS=           bench, bench-full: serving systems to compare with, or none; default: flask, torchserve and
##                    triton; bench-full: all
## SCENARIOS=         bench, bench-full: what to measure; default: hot-path, clients and baseline; bench-full: all
## RECORD=            bench-smoke: 1 writes the ratios down instead of comparing with those recorded
## BENCH_ARGS=        bench, bench-full, bench-smoke, bench-cold: further arguments for the benchmark, such as
##                    --other-module "RedisAI 1.2.7=/opt/redisai.so"
BENCH_ARGS ?=
ROUNDS ?=
SYSTEMS ?=
SCENARIOS ?=
RECORD ?=

comma := ,
BOOTSTRAP := $(PYTHON) scripts/bootstrap
SCRATCH := .build
# Package.swift looks which engines there are: it must not be taken from a cache.
SWIFT_FLAGS := --scratch-path $(SCRATCH) --manifest-cache none --disable-build-manifest-caching
REPORTS := $(SCRATCH)/reports
# The tests' own Python, and what makes models of all engines.
MODEL_MAKERS := test-venv reference-venv debian-torch debian-onnxruntime basic-pitch silero-vad
# The load generator is a package of its own.
LOAD := benchmarks/load
LOAD_FLAGS := --package-path $(LOAD) --scratch-path $(LOAD)/.build --manifest-cache none --disable-build-manifest-caching
SWIFT_SOURCES := Package.swift Sources Tests $(LOAD)/Package.swift $(LOAD)/Sources $(LOAD)/Tests

.PHONY: help
help:
	@echo "make TARGET [VARIABLE=value]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "variables"
	@awk '/^## / { sub("## ", ""); print "  " $$0 }' $(MAKEFILE_LIST)

.PHONY: swift
swift:
	@command -v $(SWIFT) > /dev/null || { echo "$(SWIFT) not found: install Swift 6.2 or later, see swift.org" >&2; exit 1; }

.PHONY: build
build: module ## Build dist/redisai.so and put ONNX Runtime, or ENGINES, beside it
	@$(BOOTSTRAP) stage $(or $(ENGINES),onnx)

.PHONY: engines
engines: ## Fetch all engines, or ENGINES, and put them into dist/backends
	@$(BOOTSTRAP) stage $(ENGINES)

.PHONY: module
module: swift
	@echo "==> building the module"
	@$(SWIFT) build $(SWIFT_FLAGS) -c release --product RedisAI
	@$(SWIFT) build $(SWIFT_FLAGS) -c release --product redisai-model-check
	@scripts/stage.sh $(SCRATCH)/release dist

.PHONY: run
run: check-port build ## Start a server with the module and classify some files with a real model
	@$(BOOTSTRAP) ensure $(SERVER) run-venv magika
	@$(PYTHON) scripts/run_server.py --port $(PORT) $(if $(DATA),--data "$(DATA)") $(if $(filter-out 0,$(ONCE)),--once) \
		--server "$$($(BOOTSTRAP) path $(SERVER))" --module dist/redisai.so \
		--python "$$($(BOOTSTRAP) path run-venv)" --model "$$($(BOOTSTRAP) path magika)"

# Before the build, so that nobody waits for it in vain.
.PHONY: check-port
check-port:
	@$(PYTHON) scripts/run_server.py --port $(PORT) --check-port

.PHONY: test
test: test-unit test-tsan test-load test-bench test-integration ## Run all tests on all three servers

.PHONY: test-unit
test-unit: swift engines ## Run the unit tests
	@$(BOOTSTRAP) ensure basic-pitch silero-vad
	@mkdir -p $(REPORTS)
	@echo "==> unit tests"
	@eval "$$($(BOOTSTRAP) env)"; \
		$(SWIFT) test $(SWIFT_FLAGS) --disable-xctest --xunit-output $(REPORTS)/unit.xml 2>&1 \
		| tee $(REPORTS)/unit.log
	@$(PYTHON) scripts/check_report.py $(REPORTS)/unit.xml --swift-log $(REPORTS)/unit.log

# The targets with sanitizers build everything once more, each in a folder of its own.
SANITIZED_FLAGS = --scratch-path $(SCRATCH)/$(1) --manifest-cache none --disable-build-manifest-caching
## TESTS=             test-tsan, test-asan: which unit tests; default: without the engines, resp. all
TESTS ?=

.PHONY: test-tsan
test-tsan: swift ## Run the unit tests of everything but the engines with Thread Sanitizer
	@echo "==> unit tests with Thread Sanitizer"
	@mkdir -p $(REPORTS)
	@SWIFT_BACKTRACE=enable=no $(SWIFT) test $(call SANITIZED_FLAGS,tsan) --sanitize=thread --disable-xctest \
		--filter '$(or $(TESTS),^(Tensors|Inference|BackendSupport)Tests)' \
		--xunit-output $(REPORTS)/tsan.xml > $(REPORTS)/tsan.log 2>&1 || { grep -v ' export local ' $(REPORTS)/tsan.log; exit 1; }
	@$(PYTHON) scripts/check_report.py $(REPORTS)/tsan.xml --swift-log $(REPORTS)/tsan.log

.PHONY: test-asan
test-asan: swift engines ## Run all unit tests with Address Sanitizer and Leak Sanitizer
	@$(BOOTSTRAP) ensure basic-pitch silero-vad
	@echo "==> unit tests with Address Sanitizer"
	@mkdir -p $(REPORTS)
	@eval "$$($(BOOTSTRAP) env)"; export SWIFT_BACKTRACE=enable=no; \
		LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/sanitizers/leaks.txt \
		$(SWIFT) test $(call SANITIZED_FLAGS,asan) --sanitize=address --disable-xctest $(if $(TESTS),--filter '$(TESTS)') \
		--xunit-output $(REPORTS)/asan.xml > $(REPORTS)/asan.log 2>&1 || { grep -v ' export local ' $(REPORTS)/asan.log; exit 1; }
	@$(PYTHON) scripts/check_report.py $(REPORTS)/asan.xml --swift-log $(REPORTS)/asan.log

# Nothing that measures time, or waits for something that takes a moment otherwise.
ASAN_TESTS := test_s0_*.py test_s1_*.py test_s3_*.py test_s4_*.py test_s5_[12]*.py test_s7_*.py test_s8_*.py test_s9_*.py \
	test_s10_[127]*.py test_s10_dags.py test_s10_rdb_restart.py test_hostile_models.py

.PHONY: test-asan-server
test-asan-server: module engines ## Run integration tests on servers that run the module with Address Sanitizer
	@$(BOOTSTRAP) ensure $(sort redis7 $(SERVERS)) $(MODEL_MAKERS) magika minilm
	@echo "==> building the module with Address Sanitizer"
	@mkdir -p $(REPORTS)
	@$(SWIFT) build $(call SANITIZED_FLAGS,asan) --sanitize=address --product RedisAI > $(REPORTS)/asan-module.log 2>&1 || \
		{ cat $(REPORTS)/asan-module.log; exit 1; }
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		eval "$$($(PYTHON) scripts/sanitized_server.py $(SCRATCH)/asan dist $(REPORTS)/asan-server)"; \
		cd Tests/integration; "$$REDISAI_TEST_PYTHON" -m pytest $(ASAN_TESTS) -p no:cacheprovider $(PYTEST_ARGS) || status=1; \
		if grep -rv "WARNING: AddressSanitizer failed to allocate" $(CURDIR)/$(REPORTS)/asan-server; then exit 1; fi; \
		exit $${status:-0}

.PHONY: fuzz-parsers
fuzz-parsers: swift ## Have libFuzzer make bytes for each parser of the module, for SECONDS each
	@$(BOOTSTRAP) ensure $(MODEL_MAKERS) magika redis7
	@echo "==> building the parsers with libFuzzer"
	@mkdir -p $(SCRATCH)/fuzz
	@$(SWIFT) build $(call SANITIZED_FLAGS,fuzz) --sanitize=address -Xswiftc -sanitize=fuzzer --product ParserFuzzing \
		> $(SCRATCH)/fuzz/build.log 2>&1 || { cat $(SCRATCH)/fuzz/build.log; exit 1; }
	@"$$($(PYTHON) scripts/toolchain.py clang++)" -fsanitize=fuzzer,address -fuse-ld=lld -rdynamic -L$(SCRATCH)/fuzz/debug \
		-lParserFuzzing -Wl,-rpath,'$$ORIGIN/debug' -o $(SCRATCH)/fuzz/fuzz-parsers
	@eval "$$($(BOOTSTRAP) env redis7)"; PYTHONPATH=Tests:Tests/integration "$$REDISAI_TEST_PYTHON" -m reliability.parsers \
		--program $(SCRATCH)/fuzz/fuzz-parsers --folder $(SCRATCH)/fuzz --seconds $(or $(SECONDS),60) --seed $(or $(SEED),0)

.PHONY: test-bench
test-bench: ## Run the tests of the benchmark suite
	@$(BOOTSTRAP) ensure bench-venv redis7 flask tensorflow-serving-api
	@mkdir -p $(REPORTS)
	@echo "==> tests of the benchmark suite"
	@eval "$$($(BOOTSTRAP) env redis7)"; PYTHONPATH=benchmarks:Tests/integration "$$($(BOOTSTRAP) path bench-venv)" -m pytest benchmarks/tests \
		--rootdir=benchmarks -p no:cacheprovider --junitxml=$(REPORTS)/bench.xml
	@$(PYTHON) scripts/check_report.py $(REPORTS)/bench.xml

# redis7 brings redis-cli, which runs the examples of the documentation.
.PHONY: test-integration
test-integration: module engines ## Run the integration tests
	@$(BOOTSTRAP) ensure $(sort redis7 $(SERVERS)) test-venv reference-venv clients-venv debian-torch \
		debian-onnxruntime magika minilm basic-pitch silero-vad
	@mkdir -p $(REPORTS)
	@echo "==> integration tests on $(SERVERS)"
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		"$$REDISAI_TEST_PYTHON" -m pytest Tests/integration -p no:cacheprovider --numprocesses=$(PROCESSES) \
			--junitxml=$(REPORTS)/integration.xml $(PYTEST_ARGS)
	@$(PYTHON) scripts/check_report.py $(REPORTS)/integration.xml

.PHONY: aibench
aibench: swift ## Build the load generator, benchmarks/load/.build/release/aibench
	@echo "==> building aibench"
	@$(SWIFT) build $(LOAD_FLAGS) -c release --product aibench --static-swift-stdlib

.PHONY: test-load
test-load: swift ## Run the load generator's tests
	@mkdir -p $(REPORTS)
	@echo "==> load generator tests"
	@$(SWIFT) test $(LOAD_FLAGS) --disable-xctest --xunit-output $(REPORTS)/load.xml 2>&1 | tee $(REPORTS)/load.log
	@$(PYTHON) scripts/check_report.py $(REPORTS)/load.xml --swift-log $(REPORTS)/load.log

.PHONY: fuzz
fuzz: module engines ## Send a million bad commands and thousands of damaged files per engine to each server
	@$(BOOTSTRAP) ensure $(SERVERS) $(MODEL_MAKERS) magika
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.fuzz --seed "$(SEED)" --count $(or $(COUNT),1000000) \
			--models $(MODELS) --engines "$(ENGINES)"

.PHONY: fuzz-restore
fuzz-restore: module engines ## Send damaged data of all layouts to each server through RESTORE
	@$(BOOTSTRAP) ensure $(SERVERS) test-venv
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.restore_fuzz --seed "$(SEED)" --count $(or $(COUNT),100000)

.PHONY: hammer
hammer: build ## Let many clients use each server at once and some leave in the middle
	@$(BOOTSTRAP) ensure $(SERVERS) test-venv
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.hammer --seed "$(SEED)" --seconds $(or $(SECONDS),60)

.PHONY: hammer-engines
hammer-engines: module engines ## Let many clients use all engines, or ENGINES, and scripts at once
	@$(BOOTSTRAP) ensure $(SERVERS) $(MODEL_MAKERS)
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.engines --seed "$(SEED)" --seconds $(or $(SECONDS),60) \
			--engines "$(ENGINES)"

.PHONY: hammer-commands
hammer-commands: module engines ## Send all commands at once, right and damaged ones, while clients are killed and leave
	@$(BOOTSTRAP) ensure $(SERVERS) $(MODEL_MAKERS)
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.hammer_commands --seed "$(SEED)" \
			--seconds $(or $(SECONDS),1800) --engines "$(ENGINES)"

.PHONY: batching
batching: module engines ## Compare answers of batched runs with those to each request alone
	@$(BOOTSTRAP) ensure $(SERVERS) $(MODEL_MAKERS)
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.batching --seed "$(SEED)" \
			--requests $(REQUESTS) --connections $(CONNECTIONS) --engines "$(ENGINES)"

.PHONY: dags
dags: module engines ## Compare random DAGs over several devices and engines with an interpreter of their own
	@$(BOOTSTRAP) ensure $(SERVERS) $(MODEL_MAKERS)
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.dags --seed "$(SEED)" \
			--count $(or $(COUNT),20000) --engines "$(ENGINES)"

.PHONY: chaos
chaos: module engines ## Kill servers, freeze them, take their disk and network away under load: nothing may be lost
	@$(BOOTSTRAP) ensure $(SERVERS) test-venv debian-torch
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.chaos --seed "$(SEED)" --rounds $(or $(ROUNDS),50) \
			--faults "$(FAULTS)"

.PHONY: replication
replication: module engines ## Send a million commands to a primary with two replicas that copy anew and take over
	@$(BOOTSTRAP) ensure $(SERVERS) test-venv debian-torch
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.replication --seed "$(SEED)" \
			--count $(or $(COUNT),1000000)

.PHONY: leaks
leaks: module engines ## Store, run and delete models of all engines, or ENGINES, again and again and watch the memory
	@$(BOOTSTRAP) ensure $(SERVERS) $(MODEL_MAKERS)
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.leaks --count $(or $(COUNT),1000) --engines "$(ENGINES)"

## MINUTES=60         soak: per server
MINUTES ?= 60
## RATE=              soak: operations per second; default: 150, about half of a core
RATE ?=

.PHONY: soak
soak: module engines ## Do everything at once for an hour (MINUTES) per server and watch what stays in memory
	@$(BOOTSTRAP) ensure $(SERVERS) bench-venv $(MODEL_MAKERS)
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; status=0; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.soak --seed "$(SEED)" --minutes $(MINUTES) \
			--engines "$(ENGINES)" --output $(REPORTS) $(if $(RATE),--rate $(RATE)) || status=1; \
		"$$($(BOOTSTRAP) path bench-venv)" Tests/reliability/soak_plot.py $(REPORTS)/soak-*.csv; \
		exit $$status

.PHONY: cluster
cluster: module engines ## Move slots of a cluster to and fro under load, and then kill a primary
	@$(BOOTSTRAP) ensure $(SERVERS) $(MODEL_MAKERS)
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.cluster --seed "$(SEED)" --seconds $(or $(SECONDS),60)

.PHONY: bench-cold
bench-cold: module engines ## Measure how long an empty server takes to the first answer of each engine, or of ENGINES
	@$(BOOTSTRAP) ensure redis7 $(SERVER) $(MODEL_MAKERS)
	@eval "$$($(BOOTSTRAP) env $(SERVER))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" benchmarks/cold_start.py --engines "$(ENGINES)" \
			--server "$$($(BOOTSTRAP) path $(SERVER))" --module dist/redisai.so $(BENCH_ARGS)

RAW := benchmarks/raw
BACKENDS := Sources/Backends
RAW_FLAGS := -O2 -Wall -Wextra -Wno-unused-const-variable

$(SCRATCH)/raw_run_onnx: $(RAW)/raw_run_onnx.c $(RAW)/raw_run.h $(BACKENDS)/ONNXRuntime/CONNXRuntime/include/CONNXRuntime.h
	@mkdir -p $(@D)
	@$(CC) $(RAW_FLAGS) -I $(BACKENDS)/ONNXRuntime/CONNXRuntime/include -o $@ $< -ldl

$(SCRATCH)/raw_run_tf: $(RAW)/raw_run_tf.c $(RAW)/raw_run.h $(wildcard $(BACKENDS)/TensorFlow/CTensorFlow/include/*.h)
	@mkdir -p $(@D)
	@$(CC) $(RAW_FLAGS) -I $(BACKENDS)/TensorFlow/CTensorFlow/include -o $@ $< $(BACKENDS)/TensorFlow/CTensorFlow/names.c -ldl

$(SCRATCH)/raw_run_tflite: $(RAW)/raw_run_tflite.c $(RAW)/raw_run.h $(wildcard $(BACKENDS)/LiteRT/CLiteRT/include/*.h)
	@mkdir -p $(@D)
	@$(CC) $(RAW_FLAGS) -I $(BACKENDS)/LiteRT/CLiteRT/include -o $@ $< $(BACKENDS)/LiteRT/CLiteRT/functions.c -ldl

# libtorch speaks C++ only: the program is linked with it, where the cache has it.
$(SCRATCH)/raw_run_torch: $(RAW)/raw_run_torch.cpp $(RAW)/raw_run.h
	@mkdir -p $(@D)
	@$(BOOTSTRAP) ensure engine-torch
	@engine="$$($(BOOTSTRAP) path engine-torch)"; \
		$(CXX) -std=c++20 $(RAW_FLAGS) -isystem "$$engine/include" -isystem "$$engine/include/torch/csrc/api/include" \
			-o $@ $< -L"$$engine" -Wl,-rpath,"$$engine" -Wl,--no-as-needed -l:libtorch_cpu.so -l:libc10.so -l:libgomp.so.1

AIBENCH := $(LOAD)/.build/release/aibench
RAW_RUNS := $(foreach engine,onnx tf tflite torch,$(SCRATCH)/raw_run_$(engine))
# When make began: the short suite says how long everything took, downloads and builds included.
BENCH_BEGAN := $(shell date +%s)
# Of the serving systems to compare with, those that have to be fetched.
BENCH_PEERS := $(filter flask torchserve triton mlserver,$(subst $(comma), ,$(or $(SYSTEMS),flask torchserve triton)))
BENCH_FULL_PEERS := $(if $(SYSTEMS),$(BENCH_PEERS),flask torchserve triton mlserver)
SUITE = eval "$$($(BOOTSTRAP) env $(SERVER))"; PYTHONPATH=benchmarks:Tests/integration \
	"$$($(BOOTSTRAP) path bench-venv)" -m suite
SUITE_ARGS = --server "$$($(BOOTSTRAP) path $(SERVER))" --module dist/redisai.so --aibench $(AIBENCH) --raw $(SCRATCH) \
	$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(BENCH_ARGS)
RUN_ARGS = --began $(BENCH_BEGAN) --systems "$(SYSTEMS)" --scenarios "$(SCENARIOS)" $(SUITE_ARGS)

.PHONY: bench
bench: build aibench $(SCRATCH)/raw_run_onnx ## Compare with three serving systems and the floor, and write a report
	@$(BOOTSTRAP) ensure $(sort redis7 $(SERVER)) bench-venv debian-torch $(BENCH_PEERS)
	@$(SUITE) run --short --engines $(or $(ENGINES),onnx) $(RUN_ARGS)

.PHONY: bench-full
bench-full: module engines aibench $(RAW_RUNS) ## Measure all scenarios, engines and serving systems, and write a report
	@$(BOOTSTRAP) ensure $(sort redis7 $(SERVER)) bench-venv $(MODEL_MAKERS) $(BENCH_FULL_PEERS)
	@$(SUITE) run --engines "$(ENGINES)" $(RUN_ARGS)

.PHONY: bench-smoke
bench-smoke: build aibench $(SCRATCH)/raw_run_onnx ## Check that a request costs no more than recorded beside ECHO and the engine
	@$(BOOTSTRAP) ensure $(sort redis7 $(SERVER)) bench-venv
	@$(SUITE) smoke $(if $(filter-out 0,$(RECORD)),--record) $(SUITE_ARGS)

.PHONY: stall
stall: build ## Measure how long others wait while a large model is stored, replaced and deleted
	@$(BOOTSTRAP) ensure $(SERVERS) test-venv minilm
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.stall $(STALL_ARGS)

.PHONY: stall-files
stall-files: module engines ## Measure how long others wait while a gigabyte of models is saved, copied, restored and deleted
	@$(BOOTSTRAP) ensure $(SERVERS) test-venv
	@eval "$$($(BOOTSTRAP) env $(SERVERS))"; \
		PYTHONPATH=Tests "$$REDISAI_TEST_PYTHON" -m reliability.stall_files $(STALL_ARGS)

.PHONY: format
format: swift ## Format the Swift sources
	@$(SWIFT) format --in-place --parallel --recursive $(SWIFT_SOURCES)

.PHONY: lint
lint: swift ## Check the format of the Swift sources
	@echo "==> swift format lint"
	@$(SWIFT) format lint --strict --parallel --recursive $(SWIFT_SOURCES)

.PHONY: clean
clean: ## Remove what was built
	@rm -rf $(SCRATCH) $(LOAD)/.build dist

.PHONY: distclean
distclean: clean ## Remove also benchmark results and the package lock; the cache folder stays
	@rm -rf benchmarks/results Package.resolved $(LOAD)/Package.resolved
