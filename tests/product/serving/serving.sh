#!/bin/sh
# Users of one model in a serving loop, each with the text that he gets alone: serving.c on a tiny
# model at random; and items that share a prefix: prefix.c. On the widest instruction set here;
# ATTN_FULL=1: on all. `serving.sh smollm2`: SmolLM2, whose files ../smollm2/smollm2.sh makes.
set -u
cd "$(dirname "$0")/../../.."
here=tests/product/serving
build=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive

compile() { # compile MODEL.lua OPTIMIZATION SOURCE..
    "$build/attn-gen" generate "$1" --isa "$isas" --name lm -o "$work/lm" >/dev/null || exit 1
    optimization=$2
    shift 2
    make -s -C "$work/lm" lib CFLAGS="$optimization" >"$work/make.log" 2>&1 || { cat "$work/make.log" && exit 1; }
    ${CC:-cc} -std=c11 -D_GNU_SOURCE "$optimization" -Wall -Wextra -Wpedantic -Werror -fopenmp \
        -I"$work/lm" -I"$work/lm/runtime" $here/serving.c $here/head.c "$@" "$work/lm/build/liblm.a" -lm \
        -o "$work/serving" || exit 1
}

isas=portable
for isa in avx2 avx512; do
    if grep -q $isa /proc/cpuinfo; then isas=${ATTN_FULL:+$isas,}$isa; fi
done

tiny() {
    compile $here/tiny.lua -O0 $here/tiny.c
    "$build/attn-gen" generate --heads 4 --kv-heads 2 --head-dim 64 --isa "$isas" --name k -o "$work/k" >/dev/null &&
        make -s -C "$work/k" lib CFLAGS=-O1 >"$work/make.log" 2>&1 || { cat "$work/make.log" && exit 1; }
    ${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Wpedantic -Werror -fopenmp -I"$work/k" \
        -I"$work/k/runtime" $here/prefix.c "$work/k/build/libk.a" -lm -o "$work/prefix" || exit 1
    status=0
    for isa in $(echo "$isas" | tr , ' '); do
        ATTN_ISA=$isa "$work/serving" || status=1
        ATTN_ISA=$isa "$work/prefix" || status=1
    done
    exit $status
}

smollm2() {
    why=$(sh tests/product/smollm2/smollm2.sh prepare)
    case $? in
    0) ;;
    3) echo "skipped serving SmolLM2: $why" && echo "0 passed, 0 failed, 1 skipped" && exit 0 ;;
    *) echo "$why" && exit 1 ;;
    esac
    compile tests/product/smollm2/smollm2.lua -O2 $here/smollm2.c tests/product/smollm2/model.c
    n=0
    for text in "What is the capital of France?" "Name three colours." "Write a haiku about rain." \
        "Why is the sky blue?" "Count from one to ten."; do
        n=$((n + 1))
        PYTHONPATH=$build/smollm2/python "${PYTHON:-python3}" tests/product/smollm2/reference.py encode \
            "$build/smollm2" "$text" >"$work/chat$n" || exit 1
    done
    # What the chats begin with is the system's prompt.
    common=$(awk '{n = NR == 1 ? NF : n; for (i = 1; i <= n; i++) {if (NR == 1) w[i] = $i; else if ($i != w[i]) n = i - 1}} END {print n}' "$work"/chat*)
    cut -d ' ' -f "1-$common" "$work/chat1" >"$work/system"
    for i in $(seq $n); do cut -d ' ' -f "$((common + 1))-" "$work/chat$i" >"$work/user$i"; done
    "$work/serving" "$build/smollm2" "$work/system" "$work"/user*
    exit
}

case ${1:-tiny} in
tiny) tiny ;;
smollm2) smollm2 ;;
*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2 && exit 2 ;;
esac
