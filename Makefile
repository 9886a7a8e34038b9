# attn-gen. `make` lists the targets.
CC ?= cc
BUILD = build
WARN = -Wall -Wextra -Wpedantic -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -Iruntime -Igen -I/usr/include/lua5.4
# Lua links statically, so that build/attn-gen runs where no Lua is installed.
LIBS = -l:liblua5.4.a -lcjson -ldl -lm

RUNTIME_SOURCES = $(addprefix runtime/,spec.c cpu.c reference.c dispatch.c)
RUNTIME_FILES = $(sort $(wildcard runtime/*.h runtime/*.c runtime/*.def runtime/simd/*.h))
EMBEDDED = $(sort $(wildcard templates/*.lua templates/*.tpl templates/*/*.tpl gen/*.lua \
	gen/models/*.lua)) $(RUNTIME_FILES)
# Everything of the generator but its main: tests and attn-verify link it too.
GEN_SOURCES = $(filter-out gen/main.c,$(wildcard gen/*.c)) $(wildcard gen/expr/*.c) \
	runtime/spec.c runtime/cpu.c
GEN_OBJECTS = $(GEN_SOURCES:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/embedded.o
VERIFY_SOURCES = $(wildcard gen/verify/*.c)
VERIFY_OBJECTS = $(VERIFY_SOURCES:%.c=$(BUILD)/obj/%.o)

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

all: $(BUILD)/attn-gen $(BUILD)/attn-verify ## build/attn-gen and build/attn-verify

$(BUILD)/attn-gen: $(BUILD)/obj/gen/main.o $(BUILD)/libgen.a
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/attn-verify: $(VERIFY_OBJECTS) $(BUILD)/libgen.a
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/libgen.a: $(GEN_OBJECTS)
	@rm -f $@
	ar rcs $@ $(GEN_OBJECTS)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -c -o $@ $<
$(BUILD)/embedded.c: gen/embed.sh $(EMBEDDED)
	@mkdir -p $(@D)
	gen/embed.sh $(EMBEDDED) > $@.new && mv $@.new $@
$(BUILD)/obj/embedded.o: $(BUILD)/embedded.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Wno-overlength-strings -c -o $@ $<

-include $(GEN_OBJECTS:.o=.d) $(VERIFY_OBJECTS:.o=.d) $(BUILD)/obj/gen/main.d

clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: help all clean
