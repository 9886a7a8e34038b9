#!/bin/sh
# Long sums of a layer's matrix products: see products.c. Products with matrices in blocks (blocks.c):
# each type on one instruction set, q4_0, q8_0 and q6_k, whose integers are summed in three ways, on
# all; full: all on all. Sums of integers have the same bits on all but portable.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${BUILD:-build}/attn-gen" generate --level block --d-model 64 --n-heads 4 --isa portable --name k \
    -o "$work/k" >/dev/null
layer=$(basename "$work"/k/attn_f32_block_*.c)
# The runtime of all folders below.
sh tests/check/evex.sh "$work/k"
sh tests/product/objects.sh "$work/runtime" "-std=gnu11 -O1 -w" "$work"/k/runtime/*.c
core=$(ls "$work"/k/attn_*.c | grep -v block_)
prefix=$(sed -n '1,14s/.* Statics begin with \(k[0-9a-f]*_\)\.$/\1/p' "$work/k/$layer")
${CC:-cc} -std=c11 -O2 -DGENERATED="\"$layer\"" -Dgemm="${prefix}gemm" -I"$work/k" -I"$work/k/runtime" tests/check/products.c \
    $core "$work/k/registry.c" "$work"/runtime/*.o -lm -o "$work/products"
"$work/products"

blocks() { # blocks TYPE ISA DOT
    dir=$work/$1_$2_$3
    "${BUILD:-build}/attn-gen" generate --level block --d-model 256 --n-heads 4 --isa "$2" --name k \
        --weight-type "$1" --weight-dot "$3" -o "$dir" >/dev/null
    sh tests/check/evex.sh "$dir"
    layer=$(basename "$dir"/attn_f32_block_*.c)
    prefix=$(sed -n '1,14s/.* Statics begin with \(k[0-9a-f]*_\)\.$/\1/p' "$dir/$layer")
    id=$(echo "$1" | tr a-z A-Z)
    product="-Dgemm=${prefix}gemm_$1"
    if grep -q "${prefix}gemm_ints_$1(" "$dir/$layer"; then
        product="-Dgemm=${prefix}gemm_ints_$1 -DINTEGERS=${prefix}to_integers"
    fi
    if [ "$3" = i8 ]; then product="$product -DBYTES"; fi
    # shellcheck disable=SC2086
    ${CC:-cc} -std=c11 -O1 -w -DGENERATED="\"$layer\"" -DTYPE="ATTN_WEIGHT_$id" $product \
        -I"$dir" -I"$dir/runtime" -c tests/check/blocks.c -o "$dir/blocks.o"
    [ -f "$work/core_$2.o" ] || ${CC:-cc} -std=c11 -O1 -w -I"$dir" -I"$dir/runtime" -c -o "$work/core_$2.o" \
        "$(ls "$dir"/attn_*.c | grep -v block_)"
    ${CC:-cc} -w -I"$dir" -I"$dir/runtime" -O1 "$dir/registry.c" "$dir/blocks.o" "$work/core_$2.o" \
        "$work"/runtime/*.o -lm -o "$dir/blocks"
    said=$("$dir/blocks") || fail=1
    echo "$2 $3 $said"
    [ "$2" != portable ] || return 0
    : "${bits:=${said##* }}"
    [ "$bits" = "${said##* }" ] || { echo "$2 $1: $3: OTHER BITS than before"; fail=1; }
}
isas=portable
has() { grep -qw "$1" /proc/cpuinfo 2>/dev/null; }
if has avx2 && has fma; then isas="$isas avx2"; fi
if has avx_vnni || has avx512_vnni; then isas="$isas avxvnni"; fi
if has avx512bw && has avx512dq && has avx512vl; then isas="$isas avx512"; fi
if [ "${isas##* }" = avx512 ] && has avx512_vnni; then isas="$isas avx512vnni"; fi
fail=0 turn=0
count=$(echo $isas | wc -w)
for type in $(sed -n 's/^ *WEIGHT([A-Z0-9_]*, \([a-z0-9_]*\), [0-9]*, [0-9]*, "", .*/\1/p' runtime/weight_types.def); do
    case $type in q4_0 | q8_0 | q6_k) all=1 ;; *) all=${ATTN_FULL:-} ;; esac
    for dot in f32 i8; do
        at=0 bits=
        [ $dot = f32 ] || all=${ATTN_FULL:-}
        for isa in $isas; do
            if [ -n "$all" ] || [ "$at" = $((turn % count)) ]; then blocks "$type" "$isa" $dot; fi
            at=$((at + 1))
        done
    done
    turn=$((turn + 1))
done
exit $fail
