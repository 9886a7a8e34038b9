#!/bin/sh
# Under ASan and UBSan: the generator on every built-in model and on a wrong one; the selftest of a few
# kernels (ATTN_FULL: the catalog's too), portable and on the best instruction set here; layers with
# what runs them; every wrong argument. (What this CPU does not run is compiled by generated.sh.)
set -eu
flags="-O0 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jobs=$(nproc 2>/dev/null || echo 2)
isa=portable
for wider in avx2 avx512; do
    if grep -q "$wider" /proc/cpuinfo; then isa=$wider; fi
done
make -s -j "$jobs" "$work/gen/attn-gen" "$work/gen/property" BUILD="$work/gen" CFLAGS="$flags"
gen=$work/gen/attn-gen
export ASAN_OPTIONS=detect_leaks=1
for model in $("$gen" models | cut -d' ' -f1); do # the catalog below
    [ "$model" = catalog ] || "$gen" generate "$model" -o "$work/$model" >/dev/null
done
"$gen" explain tiny --q-len 300 --kv-len 300 --json >/dev/null
"$gen" check generated >/dev/null
if "$gen" generate --heads 8 --head-dim 64 --backend flex --mask 'k <= qq' -o "$work/x" 2>/dev/null; then
    exit 1
fi
echo "sanitize: generator ok"

# libgomp's team memory is not freed at exit: leaks are looked for in the generator only.
export ASAN_OPTIONS=detect_leaks=0
selftest() { # selftest NAME MODEL ISA
    "$gen" generate "$2" --isa "$3" --name "$1" -o "$work/$1" >/dev/null
    make -s -j "$jobs" -C "$work/$1" selftest CFLAGS="$flags" >"$work/log" 2>&1 || {
        tail -n 40 "$work/log" && exit 1
    }
    tail -n 1 "$work/log"
    rm -rf "${work:?}/$1"
}
full=${ATTN_FULL:-}
[ -z "$full" ] || selftest native catalog "$isa"
# Widths that end within a vector, in each kind of kernel.
cat >"$work/few.lua" <<'L'
return { name = "few", layers = {
  { heads = 4, kv_heads = 2, head_dim = 19, v_dim = 13 },
  { op = "sliding_self", backend = "flex", heads = 3, head_dim = 10, window = 40,
    tensor = "doc=i32[kv_len]", mask = document("doc"), score = softcapped(20) },
  { op = "segment_cross", form = "mla", heads = 2, kv_comp_dim = 22, retr_dim = 9, lookback = 2 },
} }
L
selftest few "$work/few.lua" "portable,$isa"
# Layers: the runtime, generated code and the test program. Every fourth one: both forms, both keys, all ops.
"$work/gen/property" --test "layers${full:+,statuses,layer-statuses}" --every 4 --shapes 2 --isa "$isa" \
    --cflags "$flags"
# Offsets from null are clang's to see: tensors may be null where they have no elements.
if command -v clang >/dev/null 2>&1; then
    CC=clang "$work/gen/property" --test statuses,layer-statuses --isa "$isa" \
        --cflags "-O0 -fsanitize=undefined -fsanitize-trap=undefined"
elif [ -z "$full" ]; then
    "$work/gen/property" --test statuses,layer-statuses --isa "$isa" --cflags "$flags"
fi
