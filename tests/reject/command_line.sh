#!/bin/sh
# The commands as a user meets them: exit status, message, and no output files on any error.
set -u
gen=build/attn-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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
        printf 'FAIL: %s\n  exit %s, wanted %s and "%s":\n%s\n' "$*" "$got" "$want" "$text" "$out"
    fi
}
nothing_written() {
    if [ -e "$work/out" ]; then
        failed=$((failed + 1))
        echo "FAIL: an error left output files"
        rm -rf "$work/out"
    else
        passed=$((passed + 1))
    fi
}
spoil() { # spoil CASE SCRIPT TEXT: what sed makes of a golden case, header of the same length
    case $1 in */*) file=$1 ;; *) file=stored/$1 ;; esac
    LC_ALL=C sed "$2" "tests/golden/$file.safetensors" >"$work/case.safetensors"
    check 2 "case.safetensors: $3" build/attn-verify --oracle "$work/case.safetensors"
}
one="--heads 4 --head-dim 16 --isa portable"
# shellcheck disable=SC2086
{
    check 0 "attn-gen" $gen --version
    check 0 "--window" $gen generate --help
    check 0 "--window" $gen help generate
    check 0 "COMMAND --help" $gen help
    check 2 "unknown command 'reprot' (did you mean 'report'?)" $gen help reprot
    check 0 "tiny" $gen models
    check 2 "attn-gen generate tiny -o out" $gen
    check 2 "frobnicate" $gen frobnicate
    check 2 "--head-dim" $gen generate --heads 4 -o "$work/out"
    check 2 "--kv-heads" $gen generate --heads 4 --kv-heads 3 --head-dim 16 -o "$work/out"
    check 2 "--isa" $gen generate $one --isa sse9 -o "$work/out"
    check 2 "--unroll: attn_f32_regular_sdpa_full_self_h4d300 would unroll 300 steps of the loop over its head width: at most 256" \
        $gen generate --heads 4 --head-dim 300 --unroll full -o "$work/out"
    check 2 "--unroll: attn_f32_regular_sdpa_full_self_h4d300 would unroll 257 steps" \
        $gen explain --heads 4 --head-dim 300 --unroll 257
    check 0 "unroll: 256 of 300 steps" $gen explain --heads 4 --head-dim 300 --unroll 256 --isa avx2
    check 2 "--window" $gen generate $one --window abc -o "$work/out"
    check 2 "window" $gen generate $one --op sliding_self -o "$work/out"
    check 2 "column 9" $gen generate $one --backend flex --mask 'k <= q +' -o "$work/out"
    check 2 "flex" $gen generate $one --mask 'k <= q' -o "$work/out"
    spoil block/weights_q4_0 's/"stored"/"strode"/' 'w.down_proj.weight: is U8: `stored` must say NAME=TYPE of it'
    spoil block/weights_q4_0 's/;q_proj.weight=q4_0/;q_proj.weight=q9_0/' 'stored: q_proj.weight=q9_0 is no type of blocks'
    spoil block/weights_q4_0 's/;q_proj.weight=q4_0/;q_proj.weight=bf16/' 'stored: q_proj.weight=bf16 is no type of blocks'
    spoil block/weights_q4_0 's/;q_proj.weight=q4_0/;q_proj.weight=q8_0/' \
        'w.q_proj.weight: its rows of 36 bytes are no blocks of q8_0, of 34'
    spoil i8_gqa_causal 's/in\.k_scale/in.k_scala/' 'in.k_scale: missing: i8 has a scale a row, F32 [2, 2, 13]'
    spoil i8_gqa_causal 's/\(v_scale": {"dtype": \)"F32/\1"I32/' 'in.v_scale: is I32: i8 has a scale a row, F32 ['
    spoil i8_gqa_causal 's/\(v_scale".*\)\[2, 2, 13\]/\1[2, 13, 2]/' \
        'in.v_scale: has another shape: i8 has a scale a row, F32 [2, 2, 13]'
    spoil paged_i8_gqa_causal 's/in\.k_scale/in.k_scala/' 'in.k_scale: missing: i8 has a scale a row, F32 [4, 2, 16]'
    spoil paged_i8_gqa_causal 's/\(k_scale".*\)\[4, 2, 16\], "data_offsets": \[3072/\1[8, 1, 16], "data_offsets": [3072/' \
        'in.k_scale: its shape must be [pages, heads, page] = [4, .., 16]'
    check 2 "--users: must be an integer from 1 to 2147483647, got '-1'" $gen report tiny --users -1 -o "$work/out"
    check 2 "--users: must be an integer from 1 to 2147483647, got '0'" $gen report tiny --users 0 -o "$work/out"
    spoil i8_gqa_causal 's/"kv_type": "i8"/"kv_typo": "i8"/' "in.k: must be F32, as the case's type says, got I8"
    spoil i8_gqa_causal 's/"kv_type": "i8"/"kv_type": "f8"/' "kv_type: must be one of 'same', 'f32', 'bf16', 'f16', 'i8', got 'f8'"
    spoil i8_gqa_causal 's/"dot": "f32"/"dot": "f23"/' "dot: must be one of 'auto', 'f32', 'i16', 'bf16', 'i8', got 'f23'"
    spoil bf16_causal 's/"type": "bf16"/"type": "f16" /' "in.q: must be F16, as the case's type says, got BF16"
    spoil bf16_causal 's/"type": "bf16"/"type": "f32" /' "in.q: must be F32, as the case's type says, got BF16"
    spoil f16_overflow 's/"kv_type": "bf16"/"kv_type": "same"/' "in.k: must be F16, as the case's type says, got BF16"
    spoil f16_keys_latent 's/in\.k"/in.x"/' "in.k: missing"
    check 2 "--fodler: unknown flag (did you mean '--folder'?)" build/attn-verify --fodler x
    check 2 "nosuch" $gen generate nosuch -o "$work/out"
    check 2 "tinny: neither a .lua file, a config.json, a .gguf file nor a built-in model (did you mean 'tiny'?)" \
        $gen generate tinny -o "$work/out"
    check 2 "download its config.json" $gen generate meta-llama/Llama-3.2-1B -o "$work/out"
    check 2 "--isa: unknown instruction set 'avx3' (did you mean 'avx2'?); allowed: " $gen explain tiny --isa avx3
    check 2 "unknown instruction set 'AVX512' (did you mean 'avx512'?)" $gen explain tiny --isa portable,AVX512
    check 2 "(did you mean 'native'?)" $gen explain tiny --isa nativ
    check 2 "--batsh: unknown flag (did you mean '--batch'?); attn-gen explain --help" \
        $gen explain tiny --batsh 3
    check 2 "missing.lua" $gen generate "$work/missing.lua" -o "$work/out"
    nothing_written
    printf 'return { layers = { { heads = 4,\n  head_dmi = 16 } } }\n' >"$work/typo.lua"
    check 2 "typo.lua:2:3" $gen generate "$work/typo.lua" -o "$work/out"
    check 2 "did you mean 'head_dim'" $gen generate "$work/typo.lua" -o "$work/out"
    printf 'while true do end' >"$work/hang.lua"
    check 2 "hang.lua" timeout 10 $gen generate "$work/hang.lua" -o "$work/out"
    printf 'return { layers = { { heads = 4, head_dim = 16 } } }\0' >"$work/zero.lua"
    check 2 "zero byte" $gen generate "$work/zero.lua" -o "$work/out"
    nothing_written

    # A config.json is a model; the command line has no say in it but for level, backend and what
    # caches store, which goes for a model file too.
    config=tests/import/gemma-3-1b.json
    printf '{"model_type": "llama", "attention_sinks": 4}' >"$work/sinks.json"
    check 2 "sinks.json:1:25: attention_sinks" $gen generate "$work/sinks.json" -o "$work/out"
    check 2 "--weight-type, --weight-types and --weight-rest" $gen generate $config --heads 4 -o "$work/out"
    check 2 "cannot open" $gen generate "$work/none.json" -o "$work/out"
    nothing_written
    check 0 '"rope_base":	1000000' $gen explain --json --isa portable $config
    check 0 '"rope_base":	null' $gen explain --json --isa portable --level core $config
    check 0 '"window":	511' $gen explain --json --isa portable --level core $config
    # So is a GGUF file.
    tiny=tests/import/gguf/llama.gguf
    check 0 'rope = "interleaved"' $gen generate --dump spec $tiny
    check 0 "llama.gguf: stored as q5_0: attn_v (1 of 2 layers), ffn_down (1 of 2 layers)" \
        $gen explain --isa portable $tiny
    check 0 "weight_types=v_proj=q5_0; down_proj=q5_0 " $gen explain --isa portable $tiny
    check 0 " weight_type=q8_0 weight_types=v_proj=bf16 " $gen explain --isa portable $tiny \
        --weight-type q8_0 --weight-types v_proj=bf16
    check 2 "no layer has a matrix q_a_proj whose type is free" $gen explain $tiny \
        --weight-types "v_proj=f16; q_a_proj=f16"
    check 0 "attn_f32_regular_sdpa_full_self_h2k1d16" $gen explain --isa portable --level core $tiny
    check 2 "a .gguf file takes --level" $gen generate $tiny --heads 4 -o "$work/out"
    check 2 "none.gguf: cannot open" $gen generate "$work/none.gguf" -o "$work/out"
    : >"$work/empty.gguf"
    check 2 "empty.gguf: byte 0: this is no GGUF file" $gen generate "$work/empty.gguf" -o "$work/out"
    head -c 200 $tiny >"$work/cut.gguf"
    check 2 "cut.gguf: byte" $gen generate "$work/cut.gguf" -o "$work/out"
    mkfifo "$work/pipe.gguf"
    check 2 "pipe.gguf: is a FIFO, not a file" $gen generate "$work/pipe.gguf" -o "$work/out"
    nothing_written
    check 0 attn_f32_kvbf16_block_ $gen explain --kv-type bf16 $config
    check 0 attn_f32_kvi8_rotate_block_ $gen explain --kv-type i8 $config
    check 0 attn_f32_kvi8_dotf32_block_ $gen explain --kv-type i8 --rotate=false --dot f32 $config
    $gen generate --dump spec --kv-type i8 tests/product/layer.lua >"$work/i8.lua"
    check 0 'kv_type = "bf16"' $gen generate --dump spec --kv-type bf16 "$work/i8.lua"
    check 0 'kv_type = "bf16"' $gen generate --dump spec --kv-type bf16 tests/product/layer.lua
    check 2 "--kv-type: must be one of" $gen generate tiny --kv-type f17 -o "$work/out"
    # In a hub's cache, a link in a folder that a commit names; files of MBs; other encodings.
    snapshot=$work/models--org--Tiny-1B/snapshots/0123456789abcdef0123456789abcdef01234567
    mkdir -p "$snapshot" "$work/models--org--Tiny-1B/blobs"
    printf '{"model_type": "llama"}' >"$work/models--org--Tiny-1B/blobs/1"
    ln -s ../../blobs/1 "$snapshot/config.json"
    check 0 'name = "Tiny-1B"' $gen generate --dump spec "$snapshot/config.json"
    {
        printf '{"model_type": "llama", "num_hidden_layers": 2, "quantization_config": {"ignore": ['
        yes '"model.layers.0.self_attn.q_proj",' | head -n 60000
        printf '0]}}'
    } >"$work/long.json"
    check 0 'name = "long"' $gen generate --dump spec "$work/long.json"
    printf '{"model_type": "llama"}' | iconv -t UTF-16LE >"$work/wide.json"
    check 2 "wide.json: has a zero byte at offset 1: a model file is text; is it UTF-16" \
        $gen generate --dump spec "$work/wide.json"
    head -c 67108865 /dev/zero >"$work/huge.json"
    check 2 "huge.json: larger than 67108864 bytes" $gen generate --dump spec "$work/huge.json"
    # A folder is the config.json in it, and named by it.
    mkdir "$work/gemma" "$work/empty" && cp $config "$work/gemma/config.json"
    check 0 "gemma: 26 layers" $gen explain --isa portable --level core "$work/gemma/"
    check 2 "$work/empty: a folder without a config.json" $gen explain "$work/empty"

    # A signal leaves no temporary folder behind, and ends the program as it should.
    mkdir "$work/tmp"
    for signal in INT TERM HUP; do
        check 124 "" env TMPDIR="$work/tmp" timeout -s $signal 0.7 $gen explain gemma-2-2b --measure-text
        check 124 "" env TMPDIR="$work/tmp" timeout -s $signal 0.7 $gen tune tiny -o "$work/out"
        for seconds in 0.1 0.2 0.3 0.7; do # while it generates, probes the compiler, compiles
            check 124 "" env TMPDIR="$work/tmp" timeout -s $signal $seconds build/attn-verify \
                tests/golden/block/llama3.safetensors
        done
    done
    $gen generate --op sliding_self --window 4095 --heads 32 --head-dim 128 --isa portable -o "$work/wide" >"$work/text"
    for signal in INT TERM HUP; do # golden, at work on its cases
        check 124 "" env TMPDIR="$work/tmp" timeout -s $signal 0.3 $gen golden "$work/wide" -o "$work/out" --cases 1000
    done
    check 1 "" test -n "$(ls "$work/tmp")"
    nothing_written

    # How far long commands are: on a terminal, and gone at the end.
    if command -v script >/dev/null 2>&1 && script -qec true /dev/null >/dev/null 2>&1; then
        clear=$(printf '\r\033[K')
        check 0 "kernel 1 of 1, case 2 of 2$clear" \
            script -qec "$gen golden $work/wide -o $work/cases --cases 2" /dev/null
        check 0 "0 of 2 cases left${clear}2 passed" script -qec \
            "CFLAGS=-O0 build/attn-verify --folder $work/wide $work/cases/*.safetensors" /dev/null
        rm -r "$work/cases"
    fi
    check 0 "2 cases in" $gen golden "$work/wide" -o "$work/cases" --cases 2
    $gen golden "$work/wide" -o "$work/cases" --cases 2 2>"$work/text" >/dev/null
    check 1 "" test -s "$work/text"

    # A folder's life: written, current, stale, missing, orphan; foreign folders are refused.
    check 0 "1 kernel x 1 instruction set" $gen generate $one -o "$work/out"
    check 0 "current" $gen check "$work/out"
    check 2 "$work/out: a folder; its model file is $work/out/model.lua" $gen explain "$work/out"
    cp -r "$work/out" "$work/copy"
    check 0 "current" $gen check "$work/copy"
    mkdir "$work/copy/build" && touch "$work/copy/build/x"
    check 0 "current" $gen check "$work/copy"
    touch "$work/copy/extra.c"
    check 1 "extra.c: orphan" $gen check "$work/copy"
    echo "/* edited */" >>"$work/copy/registry.c"
    check 1 "registry.c: stale" $gen check "$work/copy"
    rm "$work/copy/selftest.c"
    check 1 "selftest.c: missing" $gen check "$work/copy"
    check 0 "1 kernel" $gen generate $one -o "$work/copy"
    check 1 "extra.c: orphan" $gen check "$work/copy"
    old=$(ls "$work/out" | grep -c '^attn_.*\.c$')
    check 0 "2 instruction sets" $gen generate --heads 4 --head-dim 16 --isa portable,avx2 -o "$work/out"
    check 0 "1 instruction set" $gen generate $one -o "$work/out"
    [ "$(ls "$work/out" | grep -c '^attn_.*\.c$')" = "$old" ] || {
        failed=$((failed + 1))
        echo "FAIL: files that only the old manifest lists stayed"
    }
    mkdir "$work/foreign" && echo keep >"$work/foreign/notes.txt"
    check 2 "not empty" $gen generate $one -o "$work/foreign"
    [ "$(cat "$work/foreign/notes.txt")" = keep ] || failed=$((failed + 1))
    check 2 "manifest.json" $gen check "$work/foreign"

    # The same inputs give the same bytes.
    $gen generate $one -o "$work/a" >/dev/null
    $gen generate $one -o "$work/b" >/dev/null
    check 0 "" diff -r "$work/a" "$work/b"

    # Tune files: the same file gives the same bytes, and a folder keeps what it was made with.
    key=attn_f32_regular_sdpa_full_self_h4d16
    printf 'return { ["%s"] = { portable = { key_block = 64, tiles = 2 } } }\n' $key >"$work/t.lua"
    rm -rf "$work/a" "$work/b"
    check 0 "1 kernel" $gen generate $one --tune "$work/t.lua" -o "$work/a"
    check 0 "1 kernel" $gen generate $one --tune "$work/t.lua" -o "$work/b"
    check 0 "" diff -r "$work/a" "$work/b"
    check 0 "BK = 64," cat "$work/a/${key}__portable_q12k64t"????????.c
    check 0 "current" $gen check "$work/a"
    check 0 "" cmp "$work/a/tune.lua" "$work/t.lua"
    check 0 "1 kernel" $gen generate "$work/a/model.lua" --isa portable --tune "$work/a/tune.lua" -o "$work/a2"
    tuned=$(basename "$work/a/${key}__portable_q12k64t"????????.c) # t and a hash of the choices
    check 0 "" cmp "$work/a/$tuned" "$work/a2/$tuned"
    check 0 "tune file: key_block 64 (without it: 96), tiles 2 (without it: 16)" \
        $gen explain $one --tune "$work/t.lua"
    check 0 '"from_tune_file":	["key_block", "tiles"]' $gen explain $one --tune "$work/t.lua" --json
    sed -i 's/tiles = 2/tiles = 4/' "$work/a/tune.lua"
    check 1 "$tuned: orphan" $gen check "$work/a"
    rm "$work/a/tune.lua"
    check 2 "tune.lua: cannot open" $gen check "$work/a"
    rm -rf "$work/out"
    printf 'return {\n  ["%s"] = {\n    portable = { key_blok = 64 } } }\n' $key >"$work/bad.lua"
    check 2 "bad.lua:3:18: unknown parameter 'key_blok' (did you mean 'key_block'?)" \
        $gen generate $one --tune "$work/bad.lua" -o "$work/out"
    check 2 "unknown kernel '$key'" $gen generate tiny --tune "$work/t.lua" -o "$work/out"
    printf 'return {\n  ["%s"] = {' $key >"$work/bad.lua"
    check 2 "bad.lua:2" $gen generate $one --tune "$work/bad.lua" -o "$work/out"
    check 2 "nosuch.lua: cannot open" $gen generate $one --tune nosuch.lua -o "$work/out"
    nothing_written
    check 2 "needs a C compiler, and 'no-such-cc' is none" \
        env CC=no-such-cc $gen tune $one -o "$work/out"
    check 2 "cannot write in $work/nowhere/" $gen tune $one -o "$work/nowhere/out"
    check 2 "is a folder" $gen tune $one -o "$work"
    nothing_written
    check 2 "needs a C compiler, and 'no-such-cc' is none" \
        env CC=no-such-cc $gen explain $one --measure-text
    check 0 "bytes, measured" $gen explain $one --measure-text
    check 0 "an estimate; --measure-text" $gen explain $one
    check 0 "within the budget of 2000000" $gen explain $one

    # All twelve combinations from flags alone.
    for op in "full_self" "sliding_self --window 7" "segment_cross"; do
        for backend in sdpa flex; do
            rm -rf "$work/c"
            check 0 "1 kernel" $gen generate --form regular --op $op --backend $backend --heads 4 \
                --head-dim 16 -o "$work/c"
            rm -rf "$work/c"
            check 0 "1 kernel" $gen generate --form mla --op $op --backend $backend --heads 4 \
                --kv-comp-dim 16 --retr-dim 8 -o "$work/c"
        done
    done
    mask='k <= q and q - k <= 256'
    check 0 "max(0, q - 256) <= k <= q" $gen explain $one --causal false --backend flex --mask "$mask" \
        --q-len 4096 --kv-len 4096
    check 0 "no mask tensor exists" $gen explain $one --causal false --backend flex --mask "$mask" \
        --q-len 4096 --kv-len 4096
    for d in spec plan expr lua c; do
        check 0 "" $gen generate $one --backend flex --mask 'k <= q' --dump $d
    done
}
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
