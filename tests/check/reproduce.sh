#!/bin/sh
# A banner is a signature. The command of each file, run in a copy of its folder, gives the same file,
# byte for byte; its input hash changes with every choice that changes code; and where the runtime is
# stands in the build files and the manifest alone.
set -u
cd "$(dirname "$0")/../.."
gen=$PWD/${BUILD:-build}/attn-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
verdict() { # verdict STATUS WHAT
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $2"
    fi
}

command_of() { # the line of a banner's first fourteen
    sed -n '1,14s/^ \*   \(attn-gen generate .* -o DIR\)$/\1/p' "$1"
}
# reproduce FOLDER: every kernel, the header and the registry
reproduce() {
    rm -rf "$work/copy" "$work/made"
    cp -r "$1" "$work/copy"
    mkdir "$work/made"
    for f in "$work"/copy/attn_*.c "$work"/copy/registry.c "$work"/copy/*.h; do
        command=$(command_of "$f")
        [ "$(printf '%s\n' "$command" | grep -c .)" = 1 ]
        verdict $? "$1: $(basename "$f") names no command" || continue
        name=$(printf %s "$command" | cksum | tr -d ' ')
        if [ ! -e "$work/made/$name" ]; then
            # shellcheck disable=SC2086
            (cd "$work/copy" && "$gen" $(echo "${command#attn-gen }" | sed "s|DIR$|../made/$name|")) >"$work/log" 2>&1 ||
                { verdict 1 "$1: $command: $(cat "$work/log")" && continue; }
        fi
        cmp -s "$f" "$work/made/$name/$(basename "$f")"
        verdict $? "$1: $command does not give $(basename "$f")"
    done
    rm -rf "$work/copy"
}
generate() { # generate FOLDER FLAGS..
    to=$1
    shift
    "$gen" generate "$@" -o "$work/$to" >"$work/log" 2>&1
    verdict $? "generate $*: $(cat "$work/log")"
}
hashes() { # of a folder's kernels, with the files' names less their ISA and tile
    grep -ho '^ \* Inputs [0-9a-f]*' "$work/$1"/attn_*.c
}

cat >"$work/layers.lua" <<'L'
return { name = "layers", layers = {
  { level = "block", heads = 4, kv_heads = 2, head_dim = 8, d_model = 32, norm = "rmsnorm" },
  { level = "block", form = "mla", key = "shared", heads = 2, d_model = 20, head_dim = 3,
    kv_comp_dim = 16, retr_dim = 8, ffn_dim = 24, v_head_dim = 4 },
  { op = "segment_cross", heads = 4, head_dim = 16, lookback = 2 },
} }
L
small="--heads 2 --head-dim 32"
key=attn_f32_regular_sdpa_full_self_h2d32
printf 'return { ["%s"] = { avx2 = { key_block = 64, unroll = 8 } } }\n' $key >"$work/tune.lua"

generate layers "$work/layers.lua"
# shellcheck disable=SC2086
{
    generate plain $small
    generate eight $small --unroll 8
    generate full $small --unroll full --name other
    generate tuned $small --tune "$work/tune.lua" --isa avx2,portable
}
generate layers-full "$work/layers.lua" --unroll full --isa portable
for folder in generated "$work"/layers "$work"/plain "$work"/eight "$work"/full "$work"/tuned "$work"/layers-full; do
    reproduce "$folder"
done

# Files of one name that differ in their code have other hashes.
for folder in eight full tuned; do
    for f in "$work/$folder"/attn_*.c; do
        other=$work/plain/$(basename "$f")
        if [ ! -e "$other" ] || [ "$(sed 1,/^.#include/d "$f" | cksum)" = "$(sed 1,/^.#include/d "$other" | cksum)" ]; then continue; fi
        ! grep -qF "$(grep -o '^ \* Inputs [0-9a-f]*' "$f")" "$other"
        verdict $? "$folder: $(basename "$f") has other code and the same input hash"
    done
done
[ "$(hashes plain | sort -u | grep -c .)" = 3 ]
verdict $? "plain: kernels share an input hash"

# A runtime somewhere else: build files and manifest.
generate apart "$work/layers.lua" --runtime ../runtime
different=$(diff -rq "$work/layers" "$work/apart" | grep -v ': runtime$' | grep -v ': layers.pc$' |
    sed 's/.*\/\([^ ]*\) differ$/\1/' | sort | tr '\n' ' ')
[ "$different" = "CMakeLists.txt Makefile manifest.json " ]
verdict $? "--runtime changes $different"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
