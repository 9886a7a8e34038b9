#!/bin/sh
# make demo: a built-in model from its file to verified, timed kernels, on this CPU's widest
# instruction set.
set -eu
gen=build/attn-gen
dir=build/demo
jobs=${JOBS:--j$(nproc 2>/dev/null || echo 2)}
isa=portable
if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then isa=avx2; fi
if grep -qw avx512dq /proc/cpuinfo 2>/dev/null; then isa=avx512; fi
echo "1. The built-in model 'tiny': its kernels for $isa, as C"
$gen generate tiny --isa $isa -o $dir
echo
echo "2. Compiled, and run on random data against the double-precision reference"
make -s $jobs -C $dir selftest
echo
echo "3. What the plan says of its first kernel"
$gen explain tiny --isa $isa --q-len 1024 --kv-len 1024 | sed -n '1,/workspace/p'
echo
echo "4. Kernels on golden data (PyTorch's outputs in double precision; small shapes), one thread"
build/attn-verify --time --isa $isa --backend flex tests/golden/flex/*.safetensors
echo
echo "5. Real sizes, one thread: kernel, error against the oracle, GFLOP/s, share of this CPU's peak"
echo "   P1 causal, 8 heads of 64, 1024 tokens; P2 causal, 32 heads on 8 of 128, 2048 tokens; P3 P1 not"
echo "   causal; P4 P1 with a window of 256, 4096 tokens; D1 one token on 4096 keys, 32 heads on 8 of 128;"
echo "   M1 one token of absorbed mla on 4096 keys, 16 heads. bar: what we aim at; /bnd: share of the"
echo "   error bound; %read: share of the read bandwidth (over 100: the keys were in cache)"
make -s $jobs bench BENCH=build/demo-bench BENCH_ISA=$isa BENCH_CASES=P1,P2,P3,P4,D1,M1 BENCH_ARGS="--rounds 5"
