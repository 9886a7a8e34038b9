#!/bin/sh
# The pages as a new user takes them: every command that they show, in an empty folder (session.sh).
# Then README.md's example with gcc and clang, with and without OpenMP, as a debug build; with the kernels
# of all instruction sets in one program, run on each that this CPU has. Then a folder of one kernel:
# its selftest, and a C++ program against its library.
set -u
cd "$(dirname "$0")/../.."
. tests/product/results.sh
one=$work/one

# Kernel names differ by instruction set; the printed digits do not.
same_output() { # same_output PROGRAM ISA
    ATTN_ISA=$2 "$1" >"$1.$2" || return 1
    [ "$(grep -c "__$2_" "$1.$2")" = 4 ] || { cat "$1.$2" && return 1; }
    sed -E 's/__[a-z0-9]+_q[0-9]+k[0-9]+:/__ISA_TILE:/' "$1.$2" | diff $here/expected.txt -
}

runs() { # runs ISA: as runtime/cpu.c
    case $1 in
    portable) return 0 ;;
    avx2) need="avx2 fma" ;;
    avx512) need="avx2 fma avx512f avx512bw avx512dq avx512vl" ;;
    esac
    for feature in $need; do grep -qw "$feature" /proc/cpuinfo 2>/dev/null || return 1; done
}

build_variant() { # build_variant PROGRAM CC FLAGS..
    program=$1 cc=$2
    shift 2
    CC=$cc sh $here/objects.sh "$program.o" "$*" "$folder"/attn_*.c "$folder/registry.c" \
        "$folder"/runtime/*.c $here/example.c && "$cc" "$@" "$program.o"/*.o -lm -o "$program"
}

variant() { # variant NAME FOLDER CC [FLAG]
    name=$1 folder=$work/$2 cc=$3
    shift 3
    has "$cc" || { skip "$name, $cc is not installed" && return; }
    check "$name-compiles" build_variant "$work/$name" "$cc" -O0 -Wall -Wextra -Werror -Daligned_alloc=absent "$@" \
        -I"$folder" -I"$folder/runtime" || return
    isas "$name"
}
isas() { # isas NAME: the example $work/NAME, of $folder, on each of its instruction sets
    name=$1
    for isa in portable avx2 avx512; do
        if ! ls "$folder"/attn_*"__${isa}_"* >/dev/null 2>&1; then
            continue
        elif runs $isa; then
            check "$name-$isa" same_output "$work/$name" $isa
        else
            skip "$name-$isa, not on this CPU"
        fi
    done
}

cpu() { # seconds of all processes that ended
    times >"$work/times"
    tr 'ms' '  ' <"$work/times" | awk '{t += $1 * 60 + $2 + $3 * 60 + $4} END {printf "%.0f", t}'
}
selftest() { # as the folder's Makefile says, in 30 s of one CPU
    cpu >"$work/before"
    make -s -j "$jobs" -C "$one" selftest || return 1
    cpu >"$work/after"
    seconds=$(($(cat "$work/after") - $(cat "$work/before")))
    [ $seconds -lt 30 ] || { echo "took $seconds s" && return 1; }
}

plan() { # plan CXX
    "$1" -std=c++11 -O1 -Wall -Wextra -Wpedantic -Werror -I"$one" -I"$one/runtime" \
        $here/plan.cpp "$one"/build/lib*.a -fopenmp -lm -o "$work/plan-$1" || return 1
    "$work/plan-$1" | grep -q '^attn_f32_regular_sdpa_full_self_h4d32__[a-z0-9_]*:prefill$'
}

# Nothing is written beside build/, which git ignores. -Og: what folders compile takes two thirds of
# the time; the pages' own cc commands are as they stand.
session() {
    mkdir -p "$work/tree/build" && ln -s "$PWD/tests" "$work/tree/tests" &&
        ln -s "$gen" "${gen%gen}verify" "$work/tree/build" || return 1
    CFLAGS=-Og MAKEFLAGS="-j$jobs" sh $here/session.sh "$work/tree" && [ "$(ls "$work/tree")" = "build
tests" ]
}

check generate "$gen" generate $here/my.lua -o "$work/my"
check generate-portable "$gen" generate $here/my.lua --isa portable -o "$work/portable"
check generate-one "$gen" generate --heads 4 --head-dim 32 -o "$one"
# Two at a time. The kernels of all instruction sets take a compiler about ten seconds, so each
# compiler builds them once.
(
    if runs avx2; then check session session && cp "$work/tree/build/example" "$work/gcc" &&
        folder=$work/my && isas gcc; else skip "session: README.md shows what AVX2 prints"; fi
    variant gcc-openmp portable gcc -fopenmp
    : >"$work/pages-ended"
) &
(
    variant clang portable clang
    variant clang-openmp my clang -fopenmp
    variant gcc-debug portable gcc -DATTN_DEBUG
    : >"$work/clang-ended"
) &
wait
for lane in pages clang; do [ -e "$work/$lane-ended" ] || check "$lane-ended" false; done
check selftest selftest
for cxx in g++ clang++; do
    if has $cxx; then check plan-$cxx plan $cxx; else skip "$cxx"; fi
done

results
