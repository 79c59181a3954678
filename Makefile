# The verbs a person expects. Everything is installed by scripts/install-deps and built below build/.
BUILD ?= build/release
JOBS ?= $(shell nproc)
DEMO ?= build/demo
# make test SAN=address,undefined builds and tests in build/san-address-undefined without LibTorch.
comma := ,
ifdef SAN
BUILD := build/san-$(subst $(comma),-,$(SAN))
CONFIGURE := -DSIGHTLINE_SANITIZE=$(SAN) -DSIGHTLINE_TRAIN=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1"
endif
export CTEST_OUTPUT_ON_FAILURE := 1
export ASAN_OPTIONS ?= detect_leaks=1:allocator_may_return_null=1
export LSAN_OPTIONS ?= suppressions=$(CURDIR)/tests/lsan.txt:print_suppressions=0

.PHONY: all deps configure demo test quick-test thread-test soak bench fuzz format lint install package clean help
all: configure  ## build both programs and the tests
	@cmake --build $(BUILD) -j $(JOBS) $(ALL_TARGETS)

deps:
	@scripts/install-deps build

configure: deps
	@test -f $(BUILD)/build.ninja || cmake -G Ninja -B $(BUILD) $(CONFIGURE)

demo: configure  ## build, then from Fashion-MNIST to a released package that answers
	@cmake --build $(BUILD) -j $(JOBS) --target sightline sightline-video sightline-train
	@scripts/demo $(BUILD)/bin $(DEMO)

# The folders that read what strangers wrote; with SAN only these are built and tested when CORE=1.
CORE_FOLDERS := base demand graph image dataset store line tasks weights net
ifdef CORE
ALL_TARGETS := --target $(CORE_FOLDERS:%=sightline_%_test)
CORE_LABELS := -L '^($(subst $(eval ) ,|,$(CORE_FOLDERS)))$$'
endif

test: all  ## build and run every test and check
	@scripts/check-layers
	@test -n "$(SAN)" || scripts/check-links $(BUILD)
	@ctest --test-dir $(BUILD) -j $(JOBS) $(CORE_LABELS) --no-tests=error --timeout 900
	@test -n "$(CORE)" || scripts/check-tests $(BUILD)

# Libraries that are not instrumented (oneDNN, OpenMP) look full of races, which are none; the test that is about GCC's own threads is left out,
# nothing else.
THREADED := Team.*:Scheduler.*:Ways.*:RuntimeConcurrency.*:SharedSession.*:HeadBank.*:MergedGraph.*:-Team.OthersHaveTheirOwnThreads
thread-test:  ## the threads of the runtime and of the server under ThreadSanitizer
	@$(MAKE) --no-print-directory configure SAN=thread
	@cmake --build build/san-thread -j $(JOBS) --target sightline_runtime_test sightline_net_test sightline_serving_test
	@TSAN_OPTIONS="halt_on_error=1:ignore_noninstrumented_modules=1" \
		build/san-thread/sightline_runtime_test --gtest_brief=1 --gtest_filter='$(THREADED)'
	@TSAN_OPTIONS="halt_on_error=1:ignore_noninstrumented_modules=1" build/san-thread/sightline_net_test --gtest_brief=1
	@TSAN_OPTIONS="halt_on_error=1:ignore_noninstrumented_modules=1" build/san-thread/sightline_serving_test --gtest_brief=1

soak: all  ## the long tests: ten minutes of a server under everything at once, 50 kills of a build
	@scripts/soak $(BUILD)

bench: configure  ## speed and memory as ratios against named rivals
	@scripts/install-deps bench rival
	@cmake --build $(BUILD) -j $(JOBS) --target sightline sightline-video sightline-train sightline-nets
	@bench/run $(BUILD)/bin

fuzz:  ## libFuzzer on everything that reads what strangers wrote (SECONDS=60 each)
	@scripts/install-deps build fuzz
	@scripts/fuzz $(or $(SECONDS),60)

format:  ## clang-format in place
	@scripts/install-deps lint
	@git ls-files '*.h' '*.cpp' | xargs clang-format-14 -i

lint: configure  ## formatting and clang-tidy
	@scripts/install-deps lint
	@scripts/lint $(BUILD)

install: all  ## PREFIX=/usr/local
	@cmake --install $(BUILD) --prefix $(or $(PREFIX),/usr/local)

package: all  ## two .deb files in $(BUILD)/packages
	@cd $(BUILD) && cpack -G DEB >cpack.log || { cat cpack.log; exit 1; }
	@ls -l $(BUILD)/packages/*.deb

clean:  ## remove everything that was built
	rm -rf build

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14
