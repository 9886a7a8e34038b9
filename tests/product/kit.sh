#!/bin/sh
# The regression kit as a product's CI uses it: golden, attn-verify --folder, check, diff; on a
# folder and on a single file. A kernel that is changed by hand must be noticed by each.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
gen=$build/attn-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive
export CFLAGS=-O0 # what is tested is who notices what
passed=0
failed=0
check() { # check STATUS TEXT COMMAND..: exit status, and text in its output
    want=$1 text=$2
    shift 2
    out=$("$@" 2>&1)
    got=$?
    if [ "$got" = "$want" ] && { [ -z "$text" ] || printf "%s" "$out" | grep -qF -- "$text"; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL: %s\n  exit %s, wanted %s and "%s":\n%s\n' "$*" "$got" "$want" "$text" \
            "$(printf "%s" "$out" | tail -n 20)"
    fi
}
verify() { # verify FOLDER
    "$build/attn-verify" --folder "$1" "$work"/cases/*.safetensors
}

# Every input that a kernel takes: sinks, masks, segments, side tensors that are indexes, scalars,
# a shared mla key, a window to both sides.
cat >"$work/kit.lua" <<'L'
return { name = "kit", layers = {
    { op = "segment_cross", heads = 4, kv_heads = 2, head_dim = 24, lookback = 2, sinks = true },
    { op = "sliding_self", causal = false, window = 5, right_window = 2, heads = 2, head_dim = 8,
      softcap = 30 },
    { form = "mla", key = "shared", op = "segment_cross", heads = 2, q_comp_dim = 24,
      kv_comp_dim = 16, retr_dim = 8, scale = 0.2, lookback = 1 },
    { op = "segment_cross", backend = "flex", heads = 4, head_dim = 8, lookback = 3,
      score = "s + table[bucket[k]][h] * gain", mask = "k % 2 == 0 or k < first",
      tensor = { "bucket=i32[kv_len]", "table=f32[2][heads]" },
      scalar = { "gain=f32", "first=i32" } },
} }
L
check 0 "4 kernels" "$gen" generate "$work/kit.lua" --isa portable,avx2 -o "$work/kit"
check 0 "4 kernels, 32 cases" "$gen" golden "$work/kit" -o "$work/cases" --seed 5
check 0 "32 cases" "$gen" golden "$work/kit" -o "$work/again" --seed 5
check 0 "" diff -r "$work/cases" "$work/again"
check 0 "32 cases" "$gen" golden "$work/kit" -o "$work/again" --seed 6
check 1 "differ" diff -rq "$work/cases" "$work/again"
check 2 "holds kernels" "$gen" golden "$work/kit" -o "$work/kit"
check 2 "holds cases" "$gen" generate "$work/kit.lua" -o "$work/cases"
check 0 "current" "$gen" check "$work/kit"
for input in q_start kv_len seg_id key_padding_mask attn_mask sinks; do
    check 0 "" grep -qal "in.$input" "$work"/cases/*
done
check 0 "" grep -qal "side.bucket" "$work"/cases/*
check 0 "" grep -qal '"scalars":"gain=' "$work"/cases/*
check 0 "0 failed" verify "$work/kit"

# The same cases, on the same model as one file.
check 0 "2 files" "$gen" generate "$work/kit.lua" --single-file --isa portable -o "$work/one"
check 0 "0 failed" verify "$work/one"
check 0 "32 cases" "$gen" golden "$work/one/kit.c" -o "$work/again" --seed 5
check 0 "" diff -r "$work/cases" "$work/again"

# Whole layers: their weights are in the cases, and a wrong layer is noticed.
layers() { # layers FOLDER
    "$build/attn-verify" --folder "$1" "$work"/layers/*.safetensors
}
cat >"$work/layers.lua" <<'L'
local function mla(fields)
  fields.level, fields.form, fields.heads, fields.d_model = "block", "mla", 2, 20
  fields.head_dim, fields.kv_comp_dim, fields.retr_dim, fields.ffn_dim = 3, 16, 8, 24
  return fields
end
return { name = "layers", layers = {
  { level = "block", op = "segment_cross", heads = 2, head_dim = 8, q_dim = 12, kv_dim = 10,
    lookback = 1, sinks = true },
  mla { key = "shared", v_head_dim = 4 }, -- keys are expanded from 9 queries on
  mla { q_comp_dim = 12, op = "sliding_self", window = 3 },
  { level = "block", heads = 2, head_dim = 8, d_model = 256, ffn = "none", weight_type = "q4_0",
    o_gate = "head", weight_types = "v_proj=q6_k; k_proj=f16; o_gate=q8_0" },
} }
L
check 0 "4 layers, 9 kernels" "$gen" generate "$work/layers.lua" --isa portable -o "$work/whole"
check 0 "9 kernels, 18 cases" "$gen" golden "$work/whole" -o "$work/layers" --seed 5 --cases 2
check 0 "" grep -qal '"level":"block"' "$work"/layers/*
check 0 "" grep -qal '"stored":"q_proj.weight=q4_0;v_proj.weight=q6_k;o_gate.weight=q8_0' "$work"/layers/*
check 0 "0 failed" layers "$work/whole"
cp -r "$work/whole" "$work/wrong"
sed -i 's/vf_fma(a, vf_loadu(angles + i), turned)/vf_fma(a, vf_loadu(angles + i), vf_neg(turned))/' \
    "$work"/wrong/attn_f32_block*.c
check 1 "failed" layers "$work/wrong"
check 0 "EXPAND_FROM = 9," grep -h "EXPAND_FROM = " "$work"/whole/attn_f32_block*.c
rm -rf "$work/wrong"
cp -r "$work/whole" "$work/wrong"
sed -i 's/EXPANDED + HEAD, key + LATENT,/EXPANDED + HEAD, key,/' "$work"/wrong/attn_f32_block*.c
check 1 "failed" layers "$work/wrong"

# A mixture whose rows may be rounded to 8 bits: those next to another choice of experts are open, and
# the others hold the kernel that rounds to what rounding makes.
cat >"$work/mixture.lua" <<'L'
return { name = "mixture", layers = { { level = "block", heads = 4, kv_heads = 2, head_dim = 16,
    d_model = 64, norm = "rmsnorm", ffn = "moe", experts = 16, top_k = 4, expert_dim = 64,
    weight_type = "q8_0", weight_dot = "i8" } } }
L
mixtures() { # mixtures FOLDER
    "$build/attn-verify" --folder "$1" "$work"/mixtures/*block*.safetensors
}
check 0 "2 kernels" "$gen" generate "$work/mixture.lua" --isa portable,avx2 -o "$work/mixture"
check 0 "4 cases" "$gen" golden "$work/mixture" -o "$work/mixtures" --seed 1 --cases 2
check 0 "" grep -qal '"out.y_open"' "$work"/mixtures/*
check 0 "0 failed" mixtures "$work/mixture"
if grep -qw avx2 /proc/cpuinfo; then
    sed -i 's/MOST_INT \/ most/0.9f * &/' "$work"/mixture/attn_f32_block*avx2*.c
    check 1 "failed" mixtures "$work/mixture"
fi

# A mask with more rows than any of the ragged items has.
check 0 "1 kernel" "$gen" generate --heads 4 --head-dim 16 --kv-type bf16 --isa portable --name rows -o "$work/rows"
check 0 "8 cases" "$gen" golden "$work/rows" -o "$work/row-cases" --seed 1
check 0 "1 passed" "$build/attn-verify" --folder "$work/rows" "$work"/row-cases/*.6.safetensors

# A case's backend is a wish: both that can express it are run.
check 0 "2 passed" "$build/attn-verify" --isa portable --cflags -O0 \
    tests/golden/seed/regular_full_self_sdpa_nopad.safetensors

# Tuned: the file is part of the folder, and of the single file.
sliding=$(cd "$work/kit" && ls attn_*sliding*avx2*.c)
printf 'return { ["%s"] = { avx2 = { key_block = 64 } } }\n' "${sliding%%__*}" >"$work/tuned.lua"
check 0 "4 kernels" "$gen" generate "$work/kit.lua" --isa portable,avx2 --tune "$work/tuned.lua" -o "$work/tuned"
check 0 "current" "$gen" check "$work/tuned"
check 1 "key_block: 96 -> 64" "$gen" diff "$work/kit" "$work/tuned"
check 1 "option tune: none -> tune.lua" "$gen" diff "$work/kit" "$work/tuned"
check 0 "32 cases" "$gen" golden "$work/tuned" -o "$work/again" --seed 5
check 0 "" diff -r "$work/cases" "$work/again"
check 0 "2 files" "$gen" generate "$work/kit.lua" --single-file --isa avx2 --tune "$work/tuned.lua" -o "$work/one-tuned"
check 0 "" grep -q "== ${sliding%%__*}__avx2_q[0-9]*k64t[0-9a-f]*.c" "$work/one-tuned/kit.c"
check 0 "current" "$gen" check "$work/one-tuned/kit.c"
sed -i 's/key_block = 64/key_block = 32/' "$work/one-tuned/kit.c"
check 1 "kit.c: stale" "$gen" check "$work/one-tuned/kit.c"

# Edited by hand: the window is one key narrower, in one kernel.
check 0 "4 kernels" "$gen" generate "$work/kit.lua" --isa portable -o "$work/portable"
cp -r "$work/portable" "$work/edited"
sed -i 's/p - 5, to/p - 4, to/' "$work"/edited/attn_*sliding*portable*.c
check 1 "FAIL" verify "$work/edited"
check 1 "portable_q12k96.c: stale" "$gen" check "$work/edited"
check 1 "edited since it was generated" "$gen" diff "$work/portable" "$work/edited"

# The options of the product's build: -O2, then the environment's CFLAGS, as the folder's Makefile
# has them. Those that change floating point are refused with the reason, as in a build of the product.
small() { # small [VARIABLE=VALUE..]
    env "$@" "$build/attn-verify" --folder "$work/small" "$work"/small-cases/*.safetensors
}
check 0 "1 kernel" "$gen" generate --heads 2 --head-dim 8 --isa portable --name small -o "$work/small"
check 0 "2 cases" "$gen" golden "$work/small" -o "$work/small-cases" --seed 5 --cases 2
check 0 "2 passed, 0 failed" small CFLAGS=-O0
check 1 "does not compile: -ffast-math (or -Ofast) makes this code wrong" small CFLAGS=-Ofast
check 1 "does not compile: needs C11" small CFLAGS=-std=c99
if command -v clang >/dev/null 2>&1; then
    check 1 "attn_plan_create: the kernels or the runtime were compiled with options that change" \
        small CC=clang CFLAGS="-O1 -funsafe-math-optimizations"
fi
if command -v cmake >/dev/null 2>&1; then
    check 0 "" env CFLAGS="-O2 -ffast-math" cmake -S "$work/small" -B "$work/small-cmake"
    check 2 "-ffast-math (or -Ofast) makes this code wrong" cmake --build "$work/small-cmake"
fi

# What changed, in the words of the spec.
check 0 "" "$gen" diff "$work/kit" "$work/kit"
sed 's/window = 5/window = 3/; s/lookback = 1/lookback = 0/' "$work/kit.lua" >"$work/new.lua"
check 0 "4 kernels" "$gen" generate "$work/new.lua" --name kit --unroll 4 --isa avx2 -o "$work/new"
check 1 "window: 5 -> 3" "$gen" diff "$work/kit" "$work/new"
check 1 "now: Keys: query position p sees the keys p - 3 .. p + 2" "$gen" diff "$work/kit" "$work/new"
check 1 "layer 2: " "$gen" diff "$work/kit" "$work/new"
check 1 "plan portable: removed" "$gen" diff "$work/kit" "$work/new"
check 1 "option unroll: 0 -> 4" "$gen" diff "$work/kit" "$work/new"
check 2 "manifest.json" "$gen" diff "$work/kit" "$work"
check 2 "attn-gen diff OLD NEW" "$gen" diff "$work/kit"
mkdir "$work/templates" && cp -r templates/. "$work/templates"
sed -i 's/^\/\* form/\/* Form/' "$work/templates/form/regular.c.tpl"
check 0 "4 kernels" "$gen" generate "$work/kit.lua" --isa portable,avx2 --templates "$work/templates" -o "$work/other"
check 1 "templates: changed" "$gen" diff "$work/kit" "$work/other"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
