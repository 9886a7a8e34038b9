#!/bin/sh
# evex.sh FOLDER: lets a CPU with AVX-512's VNNI and no AVX-VNNI run the AVX-VNNI kernels of a
# generated folder, for tests: the same instructions, in the other encoding. Elsewhere it does
# nothing.
set -eu
has() { grep -qw "$1" /proc/cpuinfo 2>/dev/null; }
if has avx_vnni || ! has avx512_vnni || ! has avx512vl; then exit 0; fi
sed -i 's/fma,f16c,avxvnni/fma,f16c,avx512vnni,avx512vl/; s/_avx_epi32/_epi32/; s/%{vex%} //' \
    "$1/runtime/simd/avxvnni.h"
sed -i 's/X86_HAS_AVXVNNI/(X86_HAS_AVXVNNI || X86_HAS("avx512vnni"))/' "$1/runtime/isa.def"
