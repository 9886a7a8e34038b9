#!/bin/sh
# The committed catalog compiles without a warning, with every compiler at hand, as C11; the public
# header as C++ too.
set -eu
jobs=$(nproc 2>/dev/null || echo 2)
warn="-std=c11 -Wall -Wextra -Wpedantic -Werror"
for cc in gcc clang; do
    command -v $cc >/dev/null 2>&1 || {
        echo "generated: $cc skipped, not installed"
        continue
    }
    # clang warns before it optimises; real objects are made of it in tests/product.
    case $cc in clang) how=-fsyntax-only ;; *) how="-O1 -c -o /dev/null" ;; esac
    # shellcheck disable=SC2086
    find generated -name '*.c' | xargs -P "$jobs" -n 1 $cc $warn -I. $how
    find generated -name '*.c' | grep -c . | xargs printf "generated: %s accepts %s files\n" $cc
done
for cxx in g++ clang++; do
    command -v $cxx >/dev/null 2>&1 || continue
    printf '#include "catalog.h"\nint main() { attn_args a = ATTN_ARGS_INIT; return (int)a.batch; }\n' |
        $cxx -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I. -Igenerated -c -o /dev/null -
    echo "generated: $cxx reads attn.h"
done
