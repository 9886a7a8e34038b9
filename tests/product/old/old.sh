#!/bin/sh
# An older caller with a newer library: caller.c, compiled against frozen layouts, in one program
# with a library of today. And initializers of before, which must not warn in C or C++.
set -u
cd "$(dirname "$0")/../../.."
. tests/product/results.sh
here=tests/product/old
"$gen" generate $here/old.lua --isa portable -o "$work/k" >/dev/null || exit 1
warn="-Wall -Wextra -Wpedantic -Werror"
old_caller() {
    "$cc" -std=c11 -D_GNU_SOURCE $warn -O1 -I$here -c $here/caller.c -o "$work/caller.o" &&
        make -s -j "$jobs" -C "$work/k" lib CFLAGS=-O0 &&
        "$cc" -std=c11 -D_GNU_SOURCE -O1 -fopenmp -I"$work/k" -I"$work/k/runtime" $here/today.c \
            "$work/caller.o" "$work/k/build/libold.a" -lm -o "$work/old" && "$work/old"
}
check old-caller old_caller
# Arrays of elements that were shorter are refused by the linker, and by the loader of a library.
old_tensors() {
    "$cc" -std=c11 $warn -I$here -c $here/tensors.c -o "$work/tensors.o" || return 1
    "$cc" -shared -o "$work/libold.so" -x c - <<'C' || return 1
int attn_block_weights(void) { return 0; }
int attn_block_pack(void) { return 0; }
C
    "$cc" "$work/tensors.o" -L"$work" -lold -Wl,-z,now -Wl,-rpath,"$work" -o "$work/tensors" || return 1
    "$work/tensors" || return 1 # with a library of then
    make -s -j "$jobs" -C "$work/k" shared CFLAGS=-O0 || return 1
    cp "$work/k/build/libold.so" "$work/libold.so" || return 1
    "$work/tensors" 2>"$work/said" && return 1
    cat "$work/said"
    grep -q 'undefined symbol: attn_block_\(weights\|pack\)$' "$work/said" || return 1
    "$cc" "$work/tensors.o" -L"$work" -lold -o "$work/linked" 2>"$work/said" && return 1
    grep -q 'undefined reference to .attn_block_pack' "$work/said"
}
check old-tensors old_tensors
cat >"$work/init.c" <<'C'
#include "attn.h"
int initial(float *x);
int initial(float *x) {
    attn_args a = ATTN_ARGS_INIT;
    a.q = a.k = a.v = (attn_view){x, 64, 32, 16};
    a.o = (attn_out){x, 64, 32, 16};
    attn_side side = {x, 3};
    attn_block_args b = ATTN_BLOCK_ARGS_INIT;
    return a.q.token == 16 && side.count && b.struct_size && !a.k_scale.data;
}
C
cp "$work/init.c" "$work/init.cpp"
for compiler in gcc clang; do
    has $compiler || { skip "$compiler is not installed" && continue; }
    check "initializers-$compiler" $compiler -std=c11 $warn -I"$work/k/runtime" -c "$work/init.c" \
        -o "$work/init.o"
    cxx=$(cxx_of $compiler)
    has "$cxx" || { skip "$cxx is not installed" && continue; }
    check "initializers-$cxx" "$cxx" -std=c++11 -Wall -Wextra -Werror -I"$work/k/runtime" \
        -c "$work/init.cpp" -o "$work/init.o"
done
results
