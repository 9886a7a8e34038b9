#!/bin/sh
# The committed catalog's selftest under ASan and UBSan, layers with what runs them, and the generator
# itself on every built-in model and on a wrong one.
set -eu
flags="-O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jobs=$(nproc 2>/dev/null || echo 2)
# libgomp's team memory is not freed at exit; leaks are checked in the generator below.
export ASAN_OPTIONS=detect_leaks=0
make -s -j "$jobs" -C generated selftest CFLAGS="$flags" BUILD="$work/selftest" |
    grep -vE '^(cc|ar|gcc) ' | tail -n 2
export ASAN_OPTIONS=detect_leaks=1
make -s -j "$jobs" "$work/gen/attn-gen" BUILD="$work/gen" CFLAGS="$flags"
gen=$work/gen/attn-gen
for model in $("$gen" models | cut -d' ' -f1); do "$gen" generate "$model" -o "$work/$model" >/dev/null; done
"$gen" explain tiny --q-len 300 --kv-len 300 --json >/dev/null
"$gen" check generated >/dev/null
if "$gen" generate --heads 8 --head-dim 64 --backend flex --mask 'k <= qq' -o "$work/x" 2>/dev/null; then
    exit 1
fi
echo "sanitize: generator ok"
# Layers: the runtime, generated code and the test program. Every third one: all kinds of attention.
make -s -j "$jobs" "$work/gen/property" BUILD="$work/gen" CFLAGS="$flags"
export ASAN_OPTIONS=detect_leaks=0
isa=portable
if grep -qw avx2 /proc/cpuinfo; then isa=avx2; fi
"$work/gen/property" --test layers,statuses,layer-statuses --every 3 --shapes 3 --isa "$isa" --cflags "$flags"
# Offsets from null are clang's to see: tensors may be null where they have no elements.
if command -v clang >/dev/null 2>&1; then
    CC=clang "$work/gen/property" --test statuses \
        --cflags "-O0 -fsanitize=undefined -fsanitize-trap=undefined"
fi
