#!/bin/sh
# Users of one model in a serving loop, each with the text that he gets alone: serving.c on tiny
# models at random, one of them sliding; and items that share a prefix: prefix.c.
# `serving.sh smollm2`: serving.c on SmolLM2, whose files ../smollm2/smollm2.sh makes.
set -u
cd "$(dirname "$0")/../../.."
here=tests/product/serving
build=${BUILD:-build}
page=16
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive
isa=portable
for name in avx2 avx512; do
    if grep -q $name /proc/cpuinfo; then isa=$name; fi
done
warn="-std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Wpedantic -Werror -fopenmp"

library() { # library NAME OPTIMIZATION WHAT..: $work/NAME/build/libNAME.a
    name=$1
    "$build/attn-gen" generate --isa "$isa" --name "$@" -o "$work/$name" >"$work/log" 2>&1 &&
        make -s -j "$(nproc)" -C "$work/$name" lib CFLAGS="$optimization" >"$work/log" 2>&1 && return
    cat "$work/log"
    exit 1
}
# shellcheck disable=SC2086
serving() { # serving MODEL: $work/serving
    library lm "$1" --layout paged --page $page
    ${CC:-cc} $warn -I"$work/lm" -I"$work/lm/runtime" -DMODEL_HEADER='"lm_model.h"' \
        -DMODEL_OPEN=lm_model_open -DPAGE=$page $here/serving.c "$work/lm/build/liblm.a" -lm -o "$work/serving" || exit 1
}

tiny() {
    optimization=-O0 status=0
    awk -v dir="$work" 'BEGIN {for (u = 0; u < 7; u++) {s = ""; for (i = 0; i < (u ? 3 * u : 29); i++) {
        r = (r * 1103 + 12345 + u) % 65536; s = s " " r % 61}; print s > (dir "/user" u)}}'
    for model in llama gemma2; do
        serving tests/golden/model/$model
        "$work/serving" tests/golden/model/$model -1 "$work/user0" "$work"/user[1-6] || status=1
        rm -r "$work/lm"
    done
    library k --heads 4 --kv-heads 2 --head-dim 64
    # shellcheck disable=SC2086
    ${CC:-cc} $warn -I"$work/k" -I"$work/k/runtime" $here/prefix.c "$work/k/build/libk.a" -lm \
        -o "$work/prefix" || exit 1
    "$work/prefix" || status=1
    exit $status
}

smollm2() {
    why=$(sh tests/product/smollm2/smollm2.sh prepare)
    case $? in
    0) ;;
    3) echo "skipped serving SmolLM2: $why" && echo "0 passed, 0 failed, 1 skipped" && exit 0 ;;
    *) echo "$why" && exit 1 ;;
    esac
    optimization=-O2 model=$build/smollm2 n=0
    serving "$model/SmolLM2-135M-Instruct.Q4_1.gguf"
    export PYTHONPATH="$model/python" PYTHONDONTWRITEBYTECODE=1
    for text in "What is the capital of France?" "Name three colours." "Write a haiku about rain." \
        "Why is the sky blue?" "Count from one to ten."; do
        n=$((n + 1))
        "${PYTHON:-python3}" tests/product/smollm2/reference.py encode "$model" "$text" >"$work/chat$n" || exit 1
    done
    # What the chats begin with is the system's prompt.
    common=$(awk '{n = NR == 1 ? NF : n; for (i = 1; i <= n; i++) if (NR == 1) w[i] = $i; else if ($i != w[i]) n = i - 1} END {print n}' "$work"/chat*)
    cut -d ' ' -f "1-$common" "$work/chat1" >"$work/system"
    for i in $(seq $n); do cut -d ' ' -f "$((common + 1))-" "$work/chat$i" >"$work/user$i"; done
    "$work/serving" "$model/SmolLM2-135M-Instruct.Q4_1.gguf" 2 "$work/system" "$work"/user* >"$work/out"
    status=$?
    grep -v '^text' "$work/out"
    grep '^text' "$work/out" | while read -r _ ids; do
        echo "$ids" | tr ' ' '\n' | "${PYTHON:-python3}" tests/product/smollm2/reference.py decode "$model"
    done
    exit $status
}

case ${1:-tiny} in
tiny) tiny ;;
smollm2) smollm2 ;;
*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2 && exit 2 ;;
esac
