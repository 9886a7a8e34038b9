#!/bin/sh
# The committed catalog compiles without a warning, with every compiler at hand, as C11, and passes
# its selftest, by its own Makefile; the public header compiles as C++ too. Kernels that this CPU does
# not run are only read, unless ATTN_FULL is set. A pointer is no address to ask for: what comes next
# may lie past its object.
set -eu
jobs=$(nproc 2>/dev/null || echo 2)
warn="-Wall -Wextra -Wpedantic -Werror"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folder=generated
if [ -z "${ATTN_FULL:-}" ] && ! grep -qw avx512f /proc/cpuinfo; then
    folder=$work/catalog
    "${BUILD:-build}/attn-gen" generate catalog --isa portable,avx2 -o "$folder"
    # shellcheck disable=SC2086
    find generated -name '*__avx512_*.c' | xargs -P "$jobs" -n 1 "${CC:-cc}" -std=c11 $warn -I. -fsyntax-only
fi
# Warnings of gcc come from its optimisers too.
make -s -j "$jobs" -C "$folder" CC="${CC:-cc}" CFLAGS="-O1 $warn" BUILD="$work/build" selftest
if command -v clang >/dev/null 2>&1; then # warns before it optimises; tests/product makes objects
    # shellcheck disable=SC2086
    find generated -name '*.c' | xargs -P "$jobs" -n 1 clang -std=c11 $warn -I. -fsyntax-only
    echo "generated: clang accepts all files"
else
    echo "generated: clang skipped, not installed"
fi
# Kernels that only some types have, and only where the CPU multiplies integers or pairs of bf16.
cat >"$work/dots.lua" <<'T'
local function core(f) f.op, f.heads, f.kv_heads, f.head_dim = "full_self", 6, 2, 72 return f end
return { layers = { core { kv_type = "i8" }, core { kv_type = "i8", dot = "i8" },
    core { type = "bf16", dot = "bf16" } } }
T
"${BUILD:-build}/attn-gen" generate "$work/dots.lua" --isa avx2,avxvnni,avx512vnni,avx512bf16 -o "$work/dots" >/dev/null
[ "$(find "$work/dots" -name '*__*.c' | wc -l)" = 9 ] || { echo "not these 9 kernels" >&2 && exit 1; }
sh tests/check/evex.sh "$work/dots"
for cc in "${CC:-cc}" clang; do
    command -v "$cc" >/dev/null 2>&1 || continue
    # shellcheck disable=SC2086
    "$cc" -std=c11 $warn -I"$work/dots" -fsyntax-only "$work/dots"/attn_*.c
done
make -s -j "$jobs" -C "$work/dots" CC="${CC:-cc}" CFLAGS=-Og BUILD="$work/build-dots" selftest
echo "generated: products of integers and of pairs of bf16 compile and pass their selftest"
# Layers whose rows become integers of 8 bits, beside portable ones, which stay in floats; matrices of
# two K-quants, as published GGUF files have them.
cat >"$work/weights.lua" <<'T'
local function layer(f)
    f.level, f.d_model, f.heads, f.kv_heads, f.head_dim = "block", 256, 4, 2, 64
    f.norm, f.residual, f.rope, f.weight_dot = "rmsnorm", "serial", "half", "i8"
    return f
end
return { layers = {
    layer { ffn = "swiglu", ffn_dim = 256, weight_type = "q4_k", weight_types = "v_proj=q6_k; down_proj=q6_k" },
    layer { ffn = "moe", experts = 8, top_k = 2, expert_dim = 64, expert_act = "swiglu",
        router = "softmax_topk", weight_types = "o_proj=q8_0; experts.up_proj=q4_0" },
} }
T
"${BUILD:-build}/attn-gen" generate "$work/weights.lua" --isa portable,avx2 -o "$work/weights" >/dev/null
make -s -j "$jobs" -C "$work/weights" CC="${CC:-cc}" CFLAGS="-Og $warn" BUILD="$work/build-weights" selftest
echo "generated: layers with rows in 8 bits and with matrices of several types pass their selftest"
asks() { # asks HEADER ADDRESS: whether that may be asked for
    printf '#include "%s"\nvoid f(float *p) { ATTN_PREFETCH_L1(%s); ATTN_PREFETCH_L2(%s); }\n' \
        "$1" "$2" "$2" | ${CC:-cc} -std=c11 -I. -fsyntax-only -x c - 2>/dev/null
}
for header in $(grep -l 'define ATTN_PREFETCH_L1' runtime/simd/*.h); do
    asks "$header" '(uintptr_t)p' || continue # another machine's
    if asks "$header" p; then
        echo "generated: ATTN_PREFETCH of $header takes a pointer" && exit 1
    fi
done
for cxx in g++ clang++; do
    command -v $cxx >/dev/null 2>&1 || continue
    # shellcheck disable=SC2086
    printf '#include "catalog.h"\nint main() { attn_args a = ATTN_ARGS_INIT; return (int)a.batch; }\n' |
        $cxx -x c++ -std=c++11 $warn -I. -Igenerated -c -o /dev/null -
    echo "generated: $cxx reads attn.h"
done
