#!/bin/sh
# Runs every stage and closes with one line that counts tests. A stage is a command; it counts as
# the tests that it reports ("N passed, N failed" or Criterion's synthesis), else as one.
# ATTN_FULL=1: the long campaigns as well. A failing stage does not stop the others.
set -u
cd "$(dirname "$0")/.."
build=${BUILD:-build}
jobs=$(nproc 2>/dev/null || echo 2)
log=$build/test-log
mkdir -p "$log"
passed=0
failed=0
skipped=0

stage() { # stage NAME COMMAND..
    name=$1
    shift
    start=$(date +%s)
    if "$@" >"$log/$name" 2>&1; then ok=1; else ok=0; fi
    seconds=$(($(date +%s) - start))
    counts=$(sed -nE \
        -e 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*$/\1 \2 0\4/p' \
        -e 's/^property: .* ([0-9]+) problems.* ([0-9]+) failed$/\1 \2 0/p' \
        -e 's/^property: ([0-9]+) (status checks.*|mutations), ([0-9]+) .*$/\1 \3 0/p' "$log/$name" |
        awk '{p += $1; f += $2; s += $3} END {if (NR) print p, f, s}')
    criterion=$(sed 's/\x1b\[[0-9;]*m//g' "$log/$name" |
        sed -nE 's/.*Tested: ([0-9]+) \| Passing: ([0-9]+) \| Failing: ([0-9]+) \| Crashing: ([0-9]+).*/\2 \3 \4/p' |
        awk '{p += $1; f += $2 + $3} END {if (NR) print p, f, 0}')
    # shellcheck disable=SC2086
    set -- ${counts:-${criterion:-$ok $((1 - ok)) 0}}
    # A command that failed without a failed test of its own is a failure all the same.
    if [ "$ok" = 0 ] && [ "$2" = 0 ]; then set -- "$1" 1 "$3"; fi
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
    printf '%-22s %5d passed %3d failed %3d skipped %5d s\n' "$name" "$1" "$2" "$3" "$seconds"
    sed 's/\x1b\[[0-9;]*m//g' "$log/$name" | grep -iE '^(skip|.*: skipped|.*\[SKIP\])' | sort | uniq -c |
        sort -rn | head -4 | sed 's/^ */    /'
    if [ "$ok" = 0 ]; then tail -n 40 "$log/$name" | sed 's/^/    | /'; fi
}

# Portable kernels have the stages that name no instruction set, and test-full.
fast=avx2,avx512
if ! grep -qw avx2 /proc/cpuinfo 2>/dev/null; then fast=portable; fi

stage build make -s -j "$jobs" all "$build/unit" "$build/property"
stage layers sh tests/check/layers.sh
stage style sh tests/check/style.sh
stage readme sh tests/check/readme.sh
stage unit "$build/unit" -j"$jobs"
stage check-generated "$build/attn-gen" check generated
stage generated-compiles sh tests/check/generated.sh
stage golden "$build/attn-verify" tests/golden/flex/*.safetensors
stage golden-reference "$build/attn-verify" --reference --backend flex tests/golden/flex/*.safetensors
stage golden-extremes "$build/attn-verify" tests/golden/extremes/*.safetensors
if [ -n "${ATTN_FULL:-}" ]; then
    stage golden-seed "$build/attn-verify" tests/golden/seed/*.safetensors
    stage golden-onnx "$build/attn-verify" --threads 2 tests/golden/onnx/*.safetensors
    stage golden-block "$build/attn-verify" tests/golden/block/*.safetensors
else
    stage golden-seed "$build/attn-verify" --isa "$fast" tests/golden/seed/*.safetensors
    stage golden-onnx "$build/attn-verify" --isa "$fast" --backend sdpa --threads 2 tests/golden/onnx/*.safetensors
    stage golden-block "$build/attn-verify" --isa "$fast" --backend sdpa tests/golden/block/*.safetensors
fi
stage golden-oracle "$build/attn-verify" --oracle tests/golden/*/*.safetensors
stage products sh tests/check/products.sh
stage axes sh tests/check/axes.sh
stage report sh tests/check/report.sh
stage command-line sh tests/reject/command_line.sh
stage folder sh tests/folder/folder.sh
stage injection sh tests/reject/injection.sh
stage memory sh tests/fault/memory.sh
stage import sh tests/import/selftest.sh
stage product sh tests/product/product.sh
stage package sh tests/product/package.sh
stage foreign sh tests/product/foreign.sh
stage old-caller sh tests/product/old/old.sh
stage process sh tests/product/process.sh
stage kit sh tests/product/kit.sh
stage unseen sh tests/product/unseen.sh
stage compilers sh tests/check/compilers.sh
stage ragged sh tests/product/ragged.sh
stage sanitize sh tests/check/sanitize.sh
if [ -n "${ATTN_FULL:-}" ]; then
    stage oracle-mutations sh tests/check/oracle_mutations.sh
    stage property-full env ATTN_PROPERTY_SHAPES=200 "$build/property" \
        --test sweep,sums,statuses,mutations
    stage property-layers "$build/property" --test layers,layer-statuses,layer-mutations \
        --layers 110 --shapes 16
    stage property-layers-seed "$build/property" --test layers --layers 220 --shapes 8 --seed 2
    stage property-unroll "$build/property" --unroll -1 --test sweep
    stage property-tuned "$build/property" --tuned --test sweep --shapes 60
    stage tune sh tests/check/tune.sh
    stage fuzz env FUZZ_SECONDS=30 sh tests/fuzz/fuzz.sh
    stage property-seed env ATTN_PROPERTY_SEED=2 ATTN_PROPERTY_SHAPES=100 "$build/property" \
        --test sweep
    stage smollm2 sh tests/product/smollm2/smollm2.sh test
else
    stage property "$build/property" --test sweep,sums,statuses --isa "$fast" --shapes 12 --cflags -O1
    # What the long campaign found once: few rows that run as tiles, keys that lie in each other.
    stage property-band "$build/property" --spec band --shape 188 --shapes 200 --isa portable \
        --test sweep --cflags -O1
    stage property-cross "$build/property" --spec cross20 --shape 48 --shapes 200 --isa portable \
        --test sweep --cflags -O1
    stage property-layers "$build/property" --test layers,layer-statuses \
        --shapes 3 --cflags -O1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
