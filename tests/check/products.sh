#!/bin/sh
# Long sums of a layer's matrix products: see products.c.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${BUILD:-build}/attn-gen" generate --level block --d-model 64 --n-heads 4 --isa portable --name k \
    -o "$work/k" >/dev/null
layer=$(basename "$work"/k/attn_f32_block_*.c)
core=$(ls "$work"/k/attn_*.c | grep -v block_)
prefix=$(sed -n '1,14s/.* Statics begin with \(k[0-9a-f]*_\)\.$/\1/p' "$work/k/$layer")
${CC:-cc} -std=c11 -O2 -DGENERATED="\"$layer\"" -Dgemm="${prefix}gemm" -I"$work/k" -I"$work/k/runtime" tests/check/products.c \
    $core "$work/k/registry.c" "$work"/k/runtime/*.c -lm -o "$work/products"
"$work/products"
