#!/bin/sh
# What attn-gen reads, mutated by libFuzzer (clang) under ASan and UBSan; see fuzz.c. FUZZ_SECONDS
# each target (default 60), FUZZ_TARGETS (default: all). Kept inputs are in build/fuzz/corpus and
# serve the next run; an input that fails is left in build/fuzz, and named.
set -eu
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-60}
targets=${FUZZ_TARGETS:-"expr decl model config gguf weights packed tune safetensors name folder manifest text"}
out=${BUILD:-build}/fuzz
flags="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
mkdir -p "$out"
printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d[0] && !n; }\n' >"$out/probe.c"
if ! clang -fsanitize=fuzzer,address,undefined "$out/probe.c" -o "$out/probe" 2>"$out/probe.txt"; then
    echo "fuzz: needs clang with libFuzzer (Debian: clang and libclang-rt-dev)" >&2
    cat "$out/probe.txt" >&2
    exit 2
fi

# Seeds: files of this tree, and the expressions of the property test.
files() { # files FOLDER: a file a line
    awk -v to="$1/" '{ printf "%s", $0 > (to "seed" NR); close(to "seed" NR) }'
}
seed() { # seed TARGET FOLDER
    case $1 in
    expr)
        sed -n 's/.*score=\([^;"]*\).*/s\1/p; s/.*mask=\([^;"]*\).*/m\1/p' tests/property/specs.c |
            files "$2" ;;
    decl)
        grep -oE '(tensor|scalar)=[^;"]*' tests/property/specs.c | sed 's/^[a-z]*=//' | sort -u |
            files "$2" ;;
    model) cp gen/models/*.lua generated/model.lua tests/product/*.lua "$2" ;;
    config) cp tests/import/*.json tests/import/cases/*.json tests/import/families/*.json "$2" ;;
    weights)
        find tests/golden/model -name '*.safetensors' -exec sh -c 'head -c 6000 "$1" >"$2/$(echo "$1" | tr / _)"' - {} "$2" \;
        printf '\216\0\0\0\0\0\0\0{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}123456789012' >"$2/small"
        cp tests/golden/model/llama/model.safetensors.index.json "$2" ;;
    packed)
        head -c 600 /dev/zero >"$2/zeros"
        { head -c 72 /dev/zero && printf '\100\0\0\0\0\0\0\0' && head -c 599 /dev/zero && printf '\1'; } >"$2/odd" ;;
    gguf) cp tests/import/gguf/*.gguf "$2" ;;
    tune)
        printf 'return { ["attn_f32_regular_sdpa_full_self_h8d64"] = { avx2 = { vectors = 3, lazy = true } } }' > "$2/seed" ;;
    safetensors) find tests/golden -name '*.safetensors' -size -24k -exec cp {} "$2" \; ;;
    folder)
        cp generated/manifest.json "$2"
        mine=9239e72e43a9bbce # of "mine" and a newline: see fuzz.c
        list='{"generator": "attn-gen 0.1.0", "files": ['
        for path in mine.c .git/config sub/mine.c .hidden runtime/mine.c runtime/deep/mine.c \
            ../outside/mine.c; do
            list="$list${sep:-}{\"path\": \"$path\", \"hash\": \"$mine\"}"
            sep=", "
        done
        printf '%s]}' "$list" >"$2/list"
        { printf '%s]}\0attn-gen journal 1\n' "$list"
            for path in mine.c a.c runtime/mine.c; do
                for kind in add replace remove; do echo "$kind $mine $path"; done
            done; } >"$2/journal" ;;
    manifest)
        sed 's/"path":.*/"path": "a.c",/' generated/manifest.json | head -c 8000 > "$2/seed"
        printf '{"generator": "attn-gen 1", "layers": [{"kernel": "a"}, {"kernel": "b"}], "kernels": [{"name": "a", "x": 1, "semantics": ["s"], "plans": [{"isa": "avx2", "choice": {"k": 1}, "reasons": ["r"]}]}], "files": [{"path": "f", "hash": "0"}], "options": {"isa": "avx2", "unroll": 0}, "sources": {}}' > "$2/small"
        { cat "$2/small"; printf '\0'; sed 's/"b"/"a"/; s/1/2/g; s/"r"/"q"/' "$2/small"; } > "$2/two" ;;
    text) cp gen/models/tiny.lua README.md "$2"; printf 'a\r*/ ??/\ \342\200\256 \377\n' > "$2/odd" ;;
    name) ls generated | sed -n 's/__.*//p' | sort -u |
        files "$2" ;;
    esac
}

status=0
for target in $targets; do
    corpus=$out/corpus/$target
    mkdir -p "$corpus"
    seed "$target" "$corpus"
    make -s -j "$(nproc 2>/dev/null || echo 2)" CC=clang BUILD="$out" CFLAGS="$flags" "$out/fuzz-$target"
    if "$out/fuzz-$target" "$corpus" -max_total_time="$seconds" -timeout=20 -max_len=8192 -rss_limit_mb=4096 \
        -artifact_prefix="$out/$target-" -print_final_stats=1 >"$out/$target.log" 2>&1; then
        echo "fuzz-$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target.log") inputs, 0 failed"
    else
        status=1
        echo "fuzz-$target: FAILED, see $out/$target.log"
        grep -E "ERROR|runtime error|fuzz:|Test unit written" "$out/$target.log" | head -4 || true
    fi
done
exit $status
