# attn-gen. `make` lists the targets.
CC ?= cc
BUILD = build
WARN = -Wall -Wextra -Wpedantic -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -Iruntime -Igen -I/usr/include/lua5.4
# Lua links statically, so that build/attn-gen runs where no Lua is installed.
LIBS = -l:liblua5.4.a -lcjson -ldl -lm

# For makes of our own: as many jobs as there are CPUs, unless who called make said how many.
CPUS = -j$(shell nproc 2>/dev/null || echo 2)
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,$(CPUS))

RUNTIME_FILES = $(sort $(wildcard runtime/*.h runtime/*.c runtime/*.def runtime/*.md runtime/simd/*.h))
EMBEDDED = $(sort $(wildcard templates/*.lua templates/*.tpl templates/*/*.tpl gen/lua/*.lua \
	gen/import/*.json gen/models/*.lua)) $(RUNTIME_FILES)
# The generator's rooms, but for main and what calls, measures and checks kernels: lab and verify.
GEN_ROOMS = lua expr spec import plan output show
GEN_SOURCES = $(filter-out gen/main.c,$(wildcard gen/*.c)) \
	$(foreach room,$(GEN_ROOMS),$(wildcard gen/$(room)/*.c)) \
	runtime/spec.c runtime/spec_block.c runtime/spec_fields.c runtime/spec_name.c runtime/op.c runtime/layout.c runtime/cpu.c runtime/gguf.c runtime/json.c runtime/safetensors.c runtime/quant.c
GEN_OBJECTS = $(GEN_SOURCES:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/embedded.o
# What attn-gen (tune, golden), attn-verify, tests and bench share.
LAB_OBJECTS = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard gen/lab/*.c))
VERIFY_OBJECTS = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard gen/verify/*.c))
PROGRAM_LIBS = $(BUILD)/liblab.a $(BUILD)/libgen.a

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

all: $(BUILD)/attn-gen $(BUILD)/attn-verify ## build/attn-gen and build/attn-verify

# Without OpenMP, so that attn-gen runs where no compiler is: a peak of its own, of one thread.
SERIAL_PEAK = $(BUILD)/obj/serial/peak.o
$(SERIAL_PEAK): gen/lab/peak.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Wno-unknown-pragmas -MMD -MP -c -o $@ $<
$(BUILD)/obj/gen/lab/peak.o: ALL_CFLAGS += -fopenmp
$(BUILD)/attn-gen: $(BUILD)/obj/gen/main.o $(SERIAL_PEAK) $(PROGRAM_LIBS)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/attn-verify: $(VERIFY_OBJECTS) $(PROGRAM_LIBS)
	$(CC) $(ALL_CFLAGS) -fopenmp -o $@ $^ $(LIBS)
$(BUILD)/libgen.a: $(GEN_OBJECTS)
	@rm -f $@
	ar rcs $@ $^
$(BUILD)/liblab.a: $(LAB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/embedded.c: gen/embed.sh $(EMBEDDED)
	@mkdir -p $(@D)
	gen/embed.sh $(EMBEDDED) > $@.new && mv $@.new $@
$(BUILD)/obj/embedded.o: $(BUILD)/embedded.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Wno-overlength-strings -c -o $@ $<

-include $(GEN_OBJECTS:.o=.d) $(LAB_OBJECTS:.o=.d) $(VERIFY_OBJECTS:.o=.d) $(BUILD)/obj/gen/main.d \
	$(SERIAL_PEAK:.o=.d)

deps: ## install what is missing (apt, as root or by sudo), or name it
	@CC="$(CC)" sh tests/check/deps.sh $(DEPS)

generate: $(BUILD)/attn-gen ## write the committed catalog, generated/
	$(BUILD)/attn-gen generate catalog --runtime ../runtime -o generated
check-generated: $(BUILD)/attn-gen ## prove that generated/ is current and free of orphans
	$(BUILD)/attn-gen check generated

test: ## everything that CI runs
	@$(MAKE) --no-print-directory deps DEPS=test
	@sh tests/run.sh
test-full: ## the long campaigns as well
	@$(MAKE) --no-print-directory deps DEPS=full
	@ATTN_FULL=1 sh tests/run.sh
demo: ## a built-in model's kernels on golden data: errors and speed
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory $(JOBS) -s all
	@MAKEFLAGS= JOBS="$(or $(filter -j%,$(MAKEFLAGS)),$(CPUS))" sh tests/demo.sh

# Criterion tests: all suites in one program.
TEST_SOURCES = $(wildcard tests/unit/test_*.c tests/reject/test_*.c)
TEST_OBJECTS = $(TEST_SOURCES:%.c=$(BUILD)/obj/%.o) \
	$(addprefix $(BUILD)/obj/runtime/,abi.o block_experts.o block_latent.o block_names.o block_weights.o model_abi.o \
		model_dots_portable.o model_dots_avx2.o model_dots_avx512.o)
$(BUILD)/unit: $(TEST_OBJECTS) $(PROGRAM_LIBS)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS) -lcriterion
# Property tests: a plain program, so that it runs where no Criterion is.
PROPERTY_SOURCES = $(wildcard tests/property/*.c)
PROPERTY_OBJECTS = $(PROPERTY_SOURCES:%.c=$(BUILD)/obj/%.o)
$(BUILD)/property: $(PROPERTY_OBJECTS) $(PROGRAM_LIBS)
	$(CC) $(ALL_CFLAGS) -fopenmp -o $@ $^ $(LIBS)
# Folders under faults: the test's calls stand before libc's, also preloaded into attn-gen.
FOLDER_OBJECTS = $(addprefix $(BUILD)/obj/tests/folder/,main.o fault.o)
$(BUILD)/folder-faults: $(FOLDER_OBJECTS) $(BUILD)/libgen.a
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/fault.so: tests/folder/fault.c tests/folder/fault.h
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -shared -fPIC -o $@ $<
$(BUILD)/obj/tests/%.o: ALL_CFLAGS += -Wno-missing-field-initializers
# Callers that use OpenMP themselves.
$(BUILD)/obj/tests/property/sweep.o: ALL_CFLAGS += -fopenmp

# What the stages of tests/run.sh run.
programs: all $(addprefix $(BUILD)/,unit property folder-faults fault.so bench/bench)

asan: ## the tests' programs and generated code under ASan and UBSan
	@sh tests/check/sanitize.sh

$(BUILD)/fuzz-%: tests/fuzz/fuzz.c runtime/packed_file.c runtime/check.c $(PROGRAM_LIBS)
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -DFUZZ_TARGET=$* -o $@ $^ $(LIBS)
fuzz: ## mutated inputs for every reader of attn-gen (clang, libFuzzer); FUZZ_SECONDS=60 each
	@BUILD="$(BUILD)" sh tests/fuzz/fuzz.sh

format: ## apply .clang-format
	clang-format -i $$(git ls-files 'gen/*.[ch]' 'runtime/*.[ch]' 'tests/*.[ch]')

include tests/bench/bench.mk

-include $(TEST_OBJECTS:.o=.d) $(PROPERTY_OBJECTS:.o=.d) $(FOLDER_OBJECTS:.o=.d)

PREFIX ?= /usr/local
install: all ## attn-gen, attn-verify, manual page and completion; PREFIX=/usr/local, DESTDIR
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/man/man1 \
		share/bash-completion/completions share/zsh/site-functions share/doc/attn-gen)
	install -m 755 $(BUILD)/attn-gen $(BUILD)/attn-verify $(DESTDIR)$(PREFIX)/bin
	$(BUILD)/attn-gen man > $(DESTDIR)$(PREFIX)/share/man/man1/attn-gen.1
	$(BUILD)/attn-gen completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/attn-gen
	$(BUILD)/attn-gen completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_attn-gen
	install -m 644 LICENSE runtime/CONTRACT.md $(DESTDIR)$(PREFIX)/share/doc/attn-gen

clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: help all programs deps generate check-generated test test-full demo asan fuzz format install clean
