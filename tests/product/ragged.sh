#!/bin/sh
# The bits of an item of a layer, whatever its neighbours: ragged.c, on every instruction set.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive
"$build/attn-gen" generate tests/product/ragged.lua -o "$work/k" >/dev/null || exit 1
flags="-std=gnu11 -O0 -fopenmp -I$work/k -I$work/k/runtime"
sh tests/product/objects.sh "$work/objects" "$flags" "$work"/k/attn_*.c "$work/k/registry.c" \
    "$work"/k/runtime/*.c || exit 1
# shellcheck disable=SC2086
"${CC:-cc}" $flags tests/product/ragged.c "$work"/objects/*.o -lm -o "$work/ragged" || exit 1
status=0
for isa in portable avx2 avx512; do
    if [ $isa != portable ] && ! grep -q $isa /proc/cpuinfo; then
        echo "skipped $isa: this CPU does not run it"
        continue
    fi
    ATTN_ISA=$isa "$work/ragged" || status=1
done
exit $status
