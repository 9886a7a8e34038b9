# bench.mk - `make bench` and its relatives; included by the Makefile.
#
# build/bench/ holds all that a run needs: the program, kernels.so and sizes.txt. It runs where
# there is no more than libc, libm and libgomp. Objects and sources stay beside it.

# Instruction sets of the kernels: native, all, or a list as attn-gen's --isa takes it. Folder,
# objects and library follow a change of it by themselves.
BENCH_ISA = native
BENCH_ARGS =
# These cases alone, and no other's kernels: A,B,.. of `bench --list`; empty: all.
BENCH_CASES =
BENCH = $(BUILD)/bench
BENCH_GEN = $(BENCH)-kernels
BENCH_ONLY = $(if $(BENCH_CASES),--case $(BENCH_CASES))
# As a product would build them, but for -fPIC: peers.py loads them too.
BENCH_KERNEL_FLAGS = -std=c11 -O2 -fopenmp -fPIC -I$(BENCH_GEN) -I$(BENCH_GEN)/runtime
BENCH_SOURCES = $(addprefix tests/bench/,bench.c blas.c busy.c cases.c data.c layers.c plot.c report.c)
BENCH_OBJECTS = $(BENCH_SOURCES:%.c=$(BUILD)/obj/%.o)
BENCH_PYTHON = python3

bench: bench-build ## times the kernels beside the machine's peaks; build/bench.json
	$(BENCH)/bench --json $(BUILD)/bench.json $(BENCH_ONLY) $(BENCH_ARGS)

bench-plot: bench-build ## share of the peak over lengths; build/bench.svg
	$(BENCH)/bench --json $(BUILD)/bench-plot.json --svg $(BUILD)/bench.svg $(BENCH_ARGS)

bench-peers: bench-build ## the same shapes through PyTorch and ONNX Runtime, where installed
	$(BENCH_PYTHON) tests/bench/peers.py --json $(BUILD)/bench-peers.json $(BENCH_ARGS)

# This file again, on all CPUs.
BENCH_AGAIN = --no-print-directory $(JOBS) -f $(firstword $(MAKEFILE_LIST))

# For a machine without Lua and cJSON: copy build/bench there and run build/bench/bench.
bench-folder: ## build/bench with the kernels of all instruction sets
	$(MAKE) $(BENCH_AGAIN) bench-build BENCH_ISA=all

$(BENCH_OBJECTS): ALL_CFLAGS += -fopenmp
$(BENCH)/bench: $(BENCH_OBJECTS) $(PROGRAM_LIBS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fopenmp -o $@ $^ -l:liblua5.4.a -ldl -lm

bench-programs: $(BENCH)/bench $(BUILD)/attn-gen
	@:
# attn-gen writes only what differs, so nothing is compiled twice.
bench-build:
	@$(MAKE) $(BENCH_AGAIN) bench-programs
	@$(BENCH)/bench --model $(BENCH_ONLY) > $(BENCH)/model.lua
	@$(BUILD)/attn-gen generate $(BENCH)/model.lua -o $(BENCH_GEN) --isa $(BENCH_ISA) > /dev/null
	@$(MAKE) $(BENCH_AGAIN) bench-kernels
	@cp -p $(BENCH_GEN)/kernels.so $(BENCH_GEN)/sizes.txt $(BENCH)/

# A make of its own: only now is it known which kernels there are.
BENCH_KERNELS = $(wildcard $(BENCH_GEN)/*.c $(BENCH_GEN)/runtime/*.c)
BENCH_KERNEL_SOURCES = $(filter-out %/selftest.c,$(BENCH_KERNELS))
BENCH_KERNEL_OBJECTS = $(patsubst $(BENCH_GEN)/%.c,$(BENCH_GEN)/obj/%.o,$(BENCH_KERNEL_SOURCES))
bench-kernels: $(BENCH_GEN)/kernels.so $(BENCH_GEN)/sizes.txt
$(BENCH_GEN)/kernels.so: $(BENCH_KERNEL_OBJECTS)
	$(CC) $(BENCH_KERNEL_FLAGS) -shared -Wl,-Bsymbolic -o $@ $(BENCH_KERNEL_OBJECTS) -lm
$(BENCH_GEN)/sizes.txt: $(BENCH_GEN)/kernels.so
	cd $(BENCH_GEN)/obj && size $(notdir $(filter $(BENCH_GEN)/obj/attn_%,$(BENCH_KERNEL_OBJECTS))) | \
		awk 'NR > 1 { print $$1, $$6 }' > $(abspath $@)
$(BENCH_GEN)/obj/%.o: $(BENCH_GEN)/%.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_KERNEL_FLAGS) -MMD -MP -c -o $@ $<
-include $(BENCH_KERNEL_OBJECTS:.o=.d) $(BENCH_OBJECTS:.o=.d)

.PHONY: bench bench-plot bench-peers bench-folder bench-build bench-programs \
	bench-kernels
